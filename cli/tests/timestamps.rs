//! Trusted times through the real binary: OpenSSL's own authority, served over loopback HTTP, honest and otherwise.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../trust/tests/openssl/mod.rs"]
mod openssl;
mod support;

use openssl::{ENDED, GOOD, OpenSsl, set_time};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use support::site::Site;
use support::{Done, arg, shosoin};

/// How the authority answers.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Honest(&'static str),
    /// the same token for everybody
    Replayed,
    /// for another digest than was asked about
    OtherImprint,
    /// with a clock that stands at a day in the past
    SlowClock,
    Failing,
    Endless,
    Silent,
}

/// An authority on a port of its own.
struct Authority {
    root: Arc<OpenSsl>,
    manner: Arc<Mutex<Manner>>,
    url: String,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Authority {
    fn start(name: &str) -> Authority {
        let root = Arc::new(OpenSsl::new(name));
        root.issue_ec("clock", "tsa", GOOD);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/tsa", listener.local_addr().unwrap());
        let (manner, stopped) = (Arc::new(Mutex::new(Manner::Honest("clock"))), Arc::new(AtomicBool::new(false)));
        let (own_root, own_manner, own_stopped) = (root.clone(), manner.clone(), stopped.clone());
        let thread = std::thread::spawn(move || {
            let (mut kept, mut held) = (None, Vec::new());
            for stream in listener.incoming().map(Result::unwrap) {
                if own_stopped.load(Ordering::SeqCst) {
                    return;
                }
                let manner = *own_manner.lock().unwrap();
                match manner {
                    Manner::Silent => held.push(stream),
                    manner => answer(stream, &own_root, manner, &mut kept),
                }
            }
        });
        Authority { root, manner, url, stopped, thread: Some(thread) }
    }

    fn be(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// Its section of `gateway.toml`; the certificates are written beside it.
    fn section(&self, site: &Site, file: &str) -> String {
        std::fs::write(site.path("hospital").join(file), self.root.read("ca.pem")).unwrap();
        let (url, fingerprint) = (&self.url, self.root.fingerprint("ca"));
        format!(
            "[[timestamp_authorities]]\nurl = \"{url}\"\nanchors = \"{file}\"\nfingerprints = [\"{fingerprint}\"]\n"
        )
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://").trim_end_matches("/tsa"));
        self.thread.take().map(JoinHandle::join);
    }
}

fn answer(stream: TcpStream, root: &OpenSsl, manner: Manner, kept: &mut Option<Vec<u8>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut len, mut line) = (0, String::new());
    let (mut is_post, mut is_query) = (false, false);
    while reader.read_line(&mut line).unwrap() > 2 {
        is_post |= line.starts_with("POST /tsa HTTP/1.1");
        is_query |= line.trim_end().eq_ignore_ascii_case("content-type: application/timestamp-query");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            len = value.trim().parse().unwrap();
        }
        line.clear();
    }
    assert!(is_post && is_query);
    let mut query = vec![0; len];
    reader.read_exact(&mut query).unwrap();
    let (status, body) = match manner {
        Manner::Honest(signer) => (200, root.answer(signer, &query)),
        Manner::Replayed => (200, kept.get_or_insert_with(|| root.answer("clock", &query)).clone()),
        Manner::OtherImprint => {
            // the digest is the last octet string before the nonce
            let at = query.windows(2).position(|two| two == [0x04, 0x40]).unwrap() + 2;
            query[at] ^= 1;
            (200, root.answer("clock", &query))
        }
        Manner::SlowClock => {
            let honest = root.answer("clock", &query);
            (200, root.changed_answer("clock", &honest, |said| set_time(said, "20260101000000Z")))
        }
        Manner::Failing => (503, b"later".to_vec()),
        Manner::Endless => (200, vec![0x30; 1 << 20]),
        Manner::Silent => unreachable!("it was never read"),
    };
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/timestamp-reply\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    let _ = stream.write_all(&[head.as_bytes(), &body].concat()); // a client that has seen enough hangs up
}

fn configure(site: &Site, sections: &[String]) {
    std::fs::write(site.path("hospital/gateway.toml"), format!("form = 1\n{}", sections.concat())).unwrap();
}

fn take(site: &Site) -> Done {
    shosoin(&["timestamp", "take", "--dir", site.arg(), "--json"])
}

fn heads(site: &Site) -> Vec<PathBuf> {
    let mut heads: Vec<PathBuf> =
        std::fs::read_dir(site.path("hospital/timestamps")).unwrap().map(|entry| entry.unwrap().path()).collect();
    heads.sort();
    heads
}

fn verify(site: &Site, file: &str) -> Done {
    shosoin(&["evidence", "verify", file, "--dir", site.arg(), "--json"])
}

#[test]
fn a_head_is_timestamped_kept_beside_the_checkpoints_and_judged_offline_7_6_8_m1() {
    let (mut site, authority) = (Site::new("6", 1), Authority::start("Time"));
    configure(&site, &[authority.section(&site, "tsa.pem")]);
    let taken = take(&site).ok().json();
    let file = taken["file"].as_str().unwrap().to_owned();
    assert_eq!(take(&site).ok().json()["timestamp"], taken["timestamp"], "the same head is not stamped twice");
    site.put_more(1);
    take(&site).ok();
    assert_eq!(heads(&site).len(), 2);
    let judged = verify(&site, &file).ok().json();
    assert_eq!((judged["class"].as_str(), judged["against"].as_str()), (Some("head"), Some("nobody")));
    assert_eq!(judged["timestamps"][0], taken["timestamp"]);
    // somebody else, with the keys and the authority's certificate, and nothing of the hospital
    let keys = shosoin(&["evidence", "keys", "--dir", site.arg(), "--json"]).ok().json();
    let (vault, root, fingerprint) =
        (keys["vault_key"].as_str().unwrap(), authority.root.path("ca.pem"), authority.root.fingerprint("ca"));
    let outside = ["evidence", "verify", &file, "--vault-key", vault, "--json"];
    let trusted = ["--anchors", arg(&root), "--fingerprint", &fingerprint];
    let judged = shosoin(&[&outside[..], &trusted].concat()).ok().json();
    assert_eq!(judged["timestamps"][0], taken["timestamp"]);
    assert_eq!(shosoin(&outside).ok().json()["timestamps_not_judged"], 1);
    let stranger = OpenSsl::new("Time");
    let (root, fingerprint) = (stranger.path("ca.pem"), stranger.fingerprint("ca"));
    let untrusted = ["--anchors", arg(&root), "--fingerprint", &fingerprint];
    let refused = shosoin(&[&outside[..], &untrusted].concat()).fails(5, &["prove nothing"]);
    assert!(refused.stdout.contains("none of the trust anchors"), "{}", refused.stdout);
    // a token that was altered is no token
    let text = std::fs::read_to_string(&file).unwrap();
    let at = text.find("=== timestamp\n").unwrap() + 200;
    let altered = site.path("altered.txt");
    let other = if &text[at..at + 1] == "A" { "B" } else { "A" };
    std::fs::write(&altered, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    assert!(verify(&site, arg(&altered)).fails(5, &[]).stdout.contains("was changed"));
}

#[test]
fn whatever_an_authority_does_wrong_is_refused_and_told_and_nothing_is_kept_of_it() {
    let (site, authority) = (Site::new("6", 1), Authority::start("Time"));
    configure(&site, &[authority.section(&site, "tsa.pem")]);
    authority.be(Manner::Replayed);
    take(&site).ok(); // the first time it is a true answer
    let kept = heads(&site).pop().unwrap();
    let (stamped, unstamped) = (std::fs::read(&kept).unwrap(), site.path("hospital/timestamps/unstamped"));
    std::fs::remove_file(&kept).unwrap();
    take(&site).fails(5, &["answers another query", "nonce"]);
    authority.be(Manner::OtherImprint);
    take(&site).fails(5, &["answers another query", "imprint"]);
    authority.be(Manner::SlowClock);
    take(&site).fails(4, &["the clocks disagree", "1767225600000", "compare this machine's clock"]);
    authority.root.issue_ec("ended", "tsa", ENDED);
    authority.be(Manner::Honest("ended"));
    take(&site).fails(4, &["was valid until"]);
    authority.be(Manner::Failing);
    take(&site).fails(6, &["status 503"]);
    authority.be(Manner::Endless);
    take(&site).fails(6, &["too long"]);
    authority.be(Manner::Honest("clock"));
    let stranger = Authority::start("Time");
    let section = stranger.section(&site, "tsa.pem").replace(&stranger.url, &authority.url);
    configure(&site, &[section]);
    take(&site).fails(4, &["none of the trust anchors", "compare fingerprints by another way"]);
    // a fingerprint that was not typed, or not right
    let section = authority.section(&site, "tsa.pem");
    let fingerprint = authority.root.fingerprint("ca");
    configure(&site, &[section.replace(&fingerprint, &stranger.root.fingerprint("ca"))]);
    take(&site).fails(2, &["nobody entered that fingerprint"]);
    let text = std::fs::read_to_string(heads(&site).pop().unwrap()).unwrap();
    assert!(!text.contains("=== timestamp"), "nothing of all that was kept");
    assert!(!unstamped.exists() && stamped != text.as_bytes());
}

#[test]
fn an_authority_that_is_silent_is_waited_for_so_long_and_the_next_one_is_asked() {
    let (site, silent, other) = (Site::new("6", 1), Authority::start("One"), Authority::start("Two"));
    silent.be(Manner::Silent);
    configure(&site, &[silent.section(&site, "one.pem"), other.section(&site, "two.pem")]);
    let begun = Instant::now();
    let taken = take(&site).ok().json();
    assert_eq!(taken["timestamp"]["authority"], "CN=clock");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    drop(other);
}

#[test]
fn evidence_is_renewed_before_its_certificate_ends_under_a_new_authority_and_a_stronger_digest_7_6_11_s4() {
    let (site, old, new) = (Site::new("6", 1), Authority::start("Old"), Authority::start("New"));
    old.root.issue_ec("soon", "tsa", ("20250101000000Z", "20270101000000Z"));
    old.be(Manner::Honest("soon"));
    configure(&site, &[old.section(&site, "old.pem")]);
    let take = ["timestamp", "take", "--dir", site.arg(), "--hash", "sha256", "--json"];
    let taken = shosoin(&take).ok().json();
    let file = taken["file"].as_str().unwrap();
    let first = std::fs::read_to_string(file).unwrap();
    // the old authority is asked no more; what it gave still counts
    let retired = old.section(&site, "old.pem").replace(&format!("url = \"{}\"\n", old.url), "");
    configure(&site, &[retired, new.section(&site, "new.pem")]);
    let renew = |within: &str| shosoin(&["evidence", "renew", "--dir", site.arg(), "--within-days", within, "--json"]);
    assert_eq!(renew("0").ok().json()["renewed"], false);
    let renewed = renew("4000").ok().json();
    assert_eq!((&renewed["renewed"], &renewed["timestamp"]["hash"]), (&true.into(), &"sha512".into()));
    let second = std::fs::read_to_string(file).unwrap();
    assert!(second.starts_with(first.split("=== digest").next().unwrap()), "what was covered stays as it was");
    let judged = verify(&site, file).ok().json();
    let hashes: Vec<_> = judged["timestamps"].as_array().unwrap().iter().map(|stamp| stamp["hash"].clone()).collect();
    assert_eq!(hashes, ["sha256", "sha512"]);
    assert_eq!(judged["timestamps"][0]["time_ms"], taken["timestamp"]["time_ms"]);
    assert_eq!(renew("100").ok().json()["renewed"], false);
    // without the old anchor the first time is proved by nobody
    configure(&site, &[new.section(&site, "new.pem")]);
    verify(&site, file).fails(5, &[]);
    renew("9999").fails(6, &["1 of 1 files"]);
}

#[test]
fn without_a_network_query_and_answer_are_carried_by_hand() {
    let (site, authority) = (Site::new("6", 1), Authority::start("Time"));
    configure(&site, &[authority.section(&site, "tsa.pem")]);
    authority.be(Manner::Failing);
    let taken = shosoin(&["timestamp", "take", "--dir", site.arg(), "--unstamped", "--json"]).ok().json();
    let file = taken["file"].as_str().unwrap();
    let (query, answer) = (site.path("query.tsq"), site.path("answer.tsr"));
    shosoin(&["timestamp", "request", file, "--out", arg(&query)]).ok();
    std::fs::write(&answer, authority.root.answer("clock", &std::fs::read(&query).unwrap())).unwrap();
    let other = site.path("other.tsq");
    shosoin(&["timestamp", "request", file, "--out", arg(&other)]).ok();
    let add = |query: &PathBuf| {
        let files = ["--query", arg(query), "--answer", arg(&answer)];
        shosoin(&[&["timestamp", "add", file, "--dir", site.arg(), "--json"][..], &files].concat())
    };
    add(&other).fails(5, &["nonce"]);
    let added = add(&query).ok().json();
    assert_eq!(verify(&site, file).ok().json()["timestamps"][0], added["timestamp"]);
    add(&query).fails(5, &["imprint"]); // it is about the file as it was, not about one that has a timestamp already
}
