//! A new gateway of a hospital, as a process of its own, begins from the snapshot that another one made, over TLS: by a command, or
//! by itself when enough had come.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Name;
use object_store::{ClientOptions, ObjectStoreExt as _};
use std::ops::Range;
use support::halves::Halves;
use support::{Serving, arg, shosoin};

#[test]
fn a_new_gateway_takes_the_snapshot_and_has_every_name() {
    let halves = Halves::new();
    let vault = halves.serve_vault();
    let url = vault.field("url");
    halves.make_hospital("old");
    halves.enrol("old", &["--yes"]).ok();
    let old = |command: &[&str]| halves.hospital("old", &url, command);
    old(&["bucket", "create", "records"]).ok();
    let source = halves.path("source");
    std::fs::write(&source, "content").unwrap();
    for name in ["a", "patient/b"] {
        old(&["put", "records", name, arg(&source)]).ok();
    }
    let made = old(&["gateway", "snapshot"]).ok().json();
    assert!(made["rows"].as_u64().unwrap() > 4 && made["sealed_bytes"].as_u64().unwrap() > 100, "{made}");
    old(&["put", "records", "behind", arg(&source)]).ok();

    make_further_machine(&halves, "old", "new");
    let gateway = serve(&halves, &url, "new", None);
    assert_eq!(gateway.ready["from_snapshot"], made["log_size"], "{}", gateway.ready);
    gateway.stop();
    let names = |hospital: &str| halves.hospital(hospital, &url, &["ls", "records"]).ok().stdout;
    assert_eq!(names("new"), names("old"));
    vault.stop();
    assert_sound(&halves);
}

fn bare(halves: &Halves, name: &str, command: &[&str]) -> support::Done {
    let (dir, passphrase) = (halves.path(name), halves.path("passphrase"));
    shosoin(&[command, &["--dir", arg(&dir), "--passphrase-file", arg(&passphrase), "--json"]].concat()).ok()
}

/// Another machine with the hospital's root, from its sheets.
fn make_further_machine(halves: &Halves, of: &str, name: &str) {
    let out = halves.path("sheets");
    let split = bare(halves, of, &["escrow", "split", "--out", arg(&out), "--needed", "2", "--shares", "2"]).json();
    let sheets: Vec<&str> = split["sheets"].as_array().unwrap().iter().map(|sheet| sheet.as_str().unwrap()).collect();
    bare(halves, name, &[&["escrow", "restore"], sheets.as_slice()].concat());
    halves.enrol(name, &["--yes"]).ok();
}

fn serve(halves: &Halves, url: &str, name: &str, log: Option<&str>) -> Serving {
    let (dir, passphrase) = (halves.path(name), halves.path("passphrase"));
    let reach = ["--vault-url", url, "--vault-pin", &halves.pin, "--passphrase-file", arg(&passphrase)];
    let serve = [&["gateway", "serve", "--dir", arg(&dir), "--s3", "127.0.0.1:0"], &reach[..]].concat();
    Serving::start_with_log(&serve, log)
}

fn assert_sound(halves: &Halves) {
    let check = halves.path("vault");
    let check = shosoin(&["vault", "check", "--dir", arg(&check), "--every-unit", "--json"]).ok().json();
    assert_eq!(check["findings"].as_array().unwrap().len(), 0, "{check}");
}

/// Entries that must have come between two snapshots in these tests.
const ENTRIES: u64 = 12;
/// So many, with the turn of whatever device it is, make one due.
const ENOUGH: u64 = ENTRIES + ENTRIES / 4;

/// A vault that is served, and a hospital `old` whose gateway makes a snapshot by itself after so many entries.
struct Ward {
    halves: Halves,
    vault: Serving,
    url: String,
    key: (String, String),
}

impl Ward {
    fn new() -> Ward {
        let halves = Halves::new();
        let vault = halves.serve_vault();
        let url = vault.field("url");
        halves.make_hospital("old");
        halves.enrol("old", &["--yes"]).ok();
        halves.hospital("old", &url, &["bucket", "create", "records"]).ok();
        let config = format!("form = 1\nsnapshot_entries = {ENTRIES}\n");
        std::fs::write(halves.path("old").join("gateway.toml"), config).unwrap();
        let added = bare(&halves, "old", &["gateway", "user", "add", "--name", "pacs", "--role", "write"]).json();
        let field = |name: &str| added[name].as_str().unwrap().to_owned();
        let key = (field("access_key_id"), field("secret_access_key"));
        Ward { halves, vault, url, key }
    }

    fn serve(&self) -> Serving {
        serve(&self.halves, &self.url, "old", Some("info"))
    }

    async fn put(&self, gateway: &Serving, names: Range<u64>) {
        let s3: AmazonS3 = AmazonS3Builder::new()
            .with_endpoint(gateway.field("s3_endpoint"))
            .with_access_key_id(&self.key.0)
            .with_secret_access_key(&self.key.1)
            .with_region("us-east-1")
            .with_bucket_name("records")
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .build()
            .unwrap();
        for name in names {
            s3.put(&Name::from(name.to_string()), name.to_string().into_bytes().into()).await.unwrap();
        }
    }

    /// Leaves of the snapshot that a machine which never was here begins from.
    fn newcomer_begins_from(&self, name: &str) -> u64 {
        make_further_machine(&self.halves, "old", name);
        let gateway = serve(&self.halves, &self.url, name, None);
        let from = gateway.ready["from_snapshot"].as_u64().unwrap();
        gateway.stop();
        let names = |hospital: &str| self.halves.hospital(hospital, &self.url, &["ls", "records"]).ok().stdout;
        assert_eq!(names(name), names("old"));
        from
    }
}

/// The figure of a log line.
fn figure(line: &str, name: &str) -> u64 {
    let digits = line.split(&format!("{name}=")).nth(1).or_else(|| line.split(&format!("\"{name}\":")).nth(1));
    let digits = digits.unwrap_or_else(|| panic!("no {name} in {line}"));
    digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gateway_makes_one_by_itself_when_enough_has_come_and_no_second_one_after_a_restart() {
    let ward = Ward::new();
    let mut gateway = ward.serve();
    ward.put(&gateway, 0..ENOUGH).await;
    let made = gateway.wait_for_log(&["a snapshot of the view was made"]);
    let behind = figure(&made, "log_size");
    assert!((ENTRIES..=ENOUGH + 3).contains(&behind), "{made}");
    gateway.stop();
    let (gateway, dir) = (ward.serve(), ward.halves.path("old"));
    // the command works beside a gateway that runs, which is the one that makes it
    let behind =
        shosoin(&["gateway", "snapshot", "--dir", arg(&dir), "--json"]).ok().json()["log_size"].as_u64().unwrap();
    let status = shosoin(&["gateway", "status", "--dir", arg(&dir), "--json"]).ok().json();
    assert_eq!((&status["snapshot"], &status["log_size"]), (&behind.into(), &(behind + 1).into()), "{status}");
    assert!(status["snapshot_due"].as_u64().unwrap() >= behind + ENTRIES, "{status}");
    gateway.stop();
    let gateway = ward.serve();
    ward.put(&gateway, 100..105).await;
    gateway.stop();
    assert_eq!(ward.newcomer_begins_from("new"), behind);
    let Ward { halves, vault, .. } = ward;
    vault.stop();
    assert_sound(&halves);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_while_it_makes_one_leaves_nothing_wrong_and_the_next_makes_it() {
    let ward = Ward::new();
    for round in 0..3 {
        let mut gateway = ward.serve();
        let first = round * 100;
        ward.put(&gateway, first..first + ENOUGH + 1).await;
        gateway.wait_for_log(&["a snapshot of the view is made"]);
        gateway.kill();
    }
    let mut gateway = ward.serve();
    ward.put(&gateway, 1000..1000 + 2 * ENOUGH).await; // also after one that was made in the moment before the kill
    let behind = figure(&gateway.wait_for_log(&["a snapshot of the view was made"]), "log_size");
    gateway.stop();
    assert_eq!(ward.newcomer_begins_from("new"), behind);
    let Ward { halves, vault, .. } = ward;
    vault.stop();
    assert_sound(&halves);
}

#[test]
fn a_gateway_whose_folder_has_too_long_a_name_for_a_socket_serves_and_the_command_works_without_it() {
    let (halves, long) = (Halves::new(), "h".repeat(120));
    let vault = halves.serve_vault();
    let url = vault.field("url");
    halves.make_hospital(&long);
    halves.enrol(&long, &["--yes"]).ok();
    let mut gateway = serve(&halves, &url, &long, Some("warn"));
    gateway.wait_for_log(&["there is no socket"]);
    let dir = halves.path(&long);
    shosoin(&["gateway", "status", "--dir", arg(&dir), "--json"]).fails(6, &["none that can be asked"]);
    gateway.stop();
    let made = halves.hospital(&long, &url, &["gateway", "snapshot"]).ok().json();
    assert!(made["pieces"].as_u64() > Some(0), "{made}");
}
