//! Witnesses as processes of their own: heads wait for them, forks between two machines show, kills make them forget
//! nothing, and silence is bounded and told.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use support::{Serving, arg, bytes, shosoin};
use tempfile::TempDir;

/// A site of `up`, stopped, that knows some witnesses.
struct Scene {
    dir: TempDir,
    witnesses: Vec<(PathBuf, String)>,
}

impl Scene {
    fn new(witnesses: usize) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let scene = Scene { witnesses: Vec::new(), dir };
        Serving::start(&["up", "--dir", scene.site(), "--s3", "127.0.0.1:0"]).stop();
        shosoin(&["bucket", "create", "records", "--dir", scene.site()]).ok();
        let keys = shosoin(&["evidence", "keys", "--dir", scene.site(), "--json"]).ok().json();
        let log = keys["ledger_key"].as_str().unwrap().to_owned();
        let make = |number: usize| {
            let folder = scene.path(&format!("witness-{number}"));
            let name = format!("witness.example/w{number}");
            let made = shosoin(&["witness", "init", "--dir", arg(&folder), "--name", &name, "--json"]).ok().json();
            shosoin(&["witness", "add-log", "--dir", arg(&folder), &log]).ok();
            (folder, made["key"].as_str().unwrap().to_owned())
        };
        let witnesses = (0..witnesses).map(make).collect();
        Scene { witnesses, ..scene }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn site(&self) -> &str {
        Box::leak(arg(&self.path("site")).to_owned().into_boxed_str())
    }

    fn serve(&self, number: usize) -> Serving {
        let folder = arg(&self.witnesses[number].0).to_owned();
        Serving::start(&["witness", "serve", "--dir", &folder, "--listen", "127.0.0.1:0"])
    }

    /// The hospital requires `required` of these, and waits for `wait` seconds.
    fn require(&self, required: usize, wait: u64, urls: &[String]) {
        let mut text = format!("form = 1\nrequire_witnesses = {required}\nwitness_wait_seconds = {wait}\n");
        for (url, (_, key)) in urls.iter().zip(&self.witnesses) {
            text += &format!("[[witnesses]]\nurl = \"{url}\"\nkey = \"{key}\"\n");
        }
        std::fs::write(self.path("site/hospital/gateway.toml"), text).unwrap();
    }

    fn put(&self, name: &str) -> support::Done {
        let file = self.path("record");
        std::fs::write(&file, bytes(1, 1000)).unwrap();
        shosoin(&["put", "records", name, arg(&file), "--dir", self.site(), "--json"])
    }

    fn shown(&self, number: usize) -> serde_json::Value {
        shosoin(&["witness", "show", "--dir", arg(&self.witnesses[number].0), "--json"]).ok().json()
    }
}

/// One request, as any client sends it.
fn post(url: &str, body: &str) -> (u16, String) {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /add-checkpoint HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn heads_are_believed_only_with_as_many_witnesses_as_are_required_and_silence_is_bounded() {
    let scene = Scene::new(3);
    let (one, two) = (scene.serve(0), scene.serve(1));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap(); // takes connections and says nothing
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let urls = [one.field("witness"), two.field("witness"), silent_url];
    scene.require(2, 20, &urls);
    scene.put("first").ok();
    let kept = std::fs::read_to_string(scene.path("site/hospital/witnessed")).unwrap();
    assert!(kept.contains("witness.example/w0 ") && kept.contains("witness.example/w1 "), "{kept}");
    scene.require(3, 3, &urls);
    let begun = Instant::now();
    scene.put("second").fails(6, &["2 of 3 witnesses", "witness.example/w2", "no answer in time"]);
    assert!(begun.elapsed() < Duration::from_secs(20), "the wait is bounded: {:?}", begun.elapsed());
    drop(two);
    scene.require(2, 2, &urls);
    scene.put("third").fails(6, &["1 of 2 witnesses", "cannot connect"]);
    let more = shosoin(&["ls", "records", "--dir", scene.site(), "--require-witnesses", "1", "--json"]).ok();
    assert!(more.stdout.contains("first"));
    scene.require(4, 2, &urls);
    scene.put("never").fails(2, &["witnesses"]);
    one.stop();
    assert!(scene.shown(0)["logs"][0]["size"].as_u64().unwrap() > 2);
}

#[test]
fn a_vault_that_shows_two_machines_two_histories_is_caught_by_the_witness_between_them() {
    let scene = Scene::new(1);
    let witness = scene.serve(0);
    scene.require(1, 10, &[witness.field("witness")]);
    scene.put("common").ok();
    copy(&scene.path("site"), &scene.path("other"));
    scene.put("in one history").ok();
    scene.put("and one more").ok();
    // the other machine never met the first history: only the witness knows both
    let file = scene.path("record");
    let other = scene.path("other");
    let refused = shosoin(&["put", "records", "in another", arg(&file), "--dir", arg(&other)]);
    refused.fails(6, &["witness.example/w0 has signed"]);
    for name in ["a", "b", "c"] {
        shosoin(&["put", "records", name, arg(&file), "--dir", arg(&other), "--require-witnesses", "0"]).ok();
    }
    let caught = shosoin(&["put", "records", "d", arg(&file), "--dir", arg(&other)]).fails(4, &["forked"]);
    let evidence: Vec<_> = std::fs::read_dir(other.join("hospital/evidence")).unwrap().collect();
    assert_eq!(evidence.len(), 1, "{}", caught.stderr);
    let path = evidence.into_iter().next().unwrap().unwrap().path();
    let judged = shosoin(&["evidence", "verify", arg(&path), "--dir", arg(&other), "--json"]).ok().json();
    assert_eq!((judged["class"].as_str(), judged["against"].as_str()), (Some("fork"), Some("vault")));
    witness.stop();
    assert_eq!(scene.shown(0)["logs"][0]["conflicts"], 1);
}

#[test]
fn witnesses_that_are_required_on_the_record_bind_every_machine_whatever_its_configuration_says() {
    let scene = Scene::new(2);
    let (one, two) = (scene.serve(0), scene.serve(1));
    let urls = [one.field("witness"), two.field("witness")];
    scene.require(1, 10, &urls);
    scene.put("before").ok();
    let require = |number: &str, more: &[&str]| {
        shosoin(&[&["witness", "require", number, "--dir", scene.site(), "--json"][..], more].concat())
    };
    require("3", &[]).fails(2, &["2 are configured"]);
    assert_eq!(require("2", &[]).ok().json()["required"], 2);
    scene.put("witnessed by both").ok();
    // one machine's configuration asks for less, or for nobody
    drop(two);
    scene.put("by one").fails(6, &["1 of 2 witnesses"]);
    std::fs::write(scene.path("site/hospital/gateway.toml"), "form = 1\n").unwrap();
    scene.put("by nobody").fails(6, &["the hospital's own act requires 2 of 2 witnesses"]);
    // a machine that remembers nothing learns it from the ledger
    let fresh = scene.path("fresh");
    let list = ["ls", "records", "--dir", scene.site(), "--state", arg(&fresh)];
    shosoin(&list).fails(6, &["the hospital's own act requires"]);
    shosoin(&[&list[..], &["--require-witnesses", "0"]].concat()).fails(6, &["the hospital's own act requires"]);
    // a witness that counts by name alone, and is another
    scene.require(1, 2, &urls);
    require("0", &[]).fails(6, &["1 of 2 witnesses"]);
    require("0", &["--although-unwitnessed"]).ok();
    scene.put("by one again").ok();
    one.stop();
}

#[test]
fn a_witness_that_is_killed_forgets_nothing_it_has_signed() {
    let scene = Scene::new(1);
    for round in 0..5 {
        let mut witness = scene.serve(0);
        scene.require(1, 10, &[witness.field("witness")]);
        scene.put(&format!("round-{round}")).ok();
        let signed = std::fs::read_to_string(scene.path("site/hospital/witnessed")).unwrap();
        witness.kill();
        let witness = scene.serve(0);
        let (status, size) = post(&witness.field("witness"), &format!("old 0\n\n{signed}"));
        assert_eq!(status, 409, "{size}");
        assert_eq!(size.trim(), signed.lines().nth(1).unwrap(), "the head that left is the head that is remembered");
        assert_eq!(post(&witness.field("witness"), "old 0\n\nnonsense").0, 400);
        assert_eq!(post(&witness.field("witness"), &"x".repeat(20_000)).0, 413);
        witness.stop();
    }
}
