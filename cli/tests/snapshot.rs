//! A new gateway of a hospital, as a process of its own, begins from the snapshot that another one made, over TLS.

mod support;

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

    let bare = |name: &str, command: &[&str]| {
        let (dir, passphrase) = (halves.path(name), halves.path("passphrase"));
        shosoin(&[command, &["--dir", arg(&dir), "--passphrase-file", arg(&passphrase), "--json"]].concat()).ok()
    };
    let out = halves.path("sheets");
    let split = bare("old", &["escrow", "split", "--out", arg(&out), "--needed", "2", "--shares", "2"]).json();
    let sheets: Vec<&str> = split["sheets"].as_array().unwrap().iter().map(|sheet| sheet.as_str().unwrap()).collect();
    bare("new", &[&["escrow", "restore"], sheets.as_slice()].concat());
    halves.enrol("new", &["--yes"]).ok();
    let (dir, passphrase) = (halves.path("new"), halves.path("passphrase"));
    let reach = ["--vault-url", &url, "--vault-pin", &halves.pin, "--passphrase-file", arg(&passphrase)];
    let serve = [&["gateway", "serve", "--dir", arg(&dir), "--s3", "127.0.0.1:0"], &reach[..]].concat();
    let gateway = Serving::start(&serve);
    assert_eq!(gateway.ready["from_snapshot"], made["log_size"], "{}", gateway.ready);
    gateway.stop();
    let names = |hospital: &str| halves.hospital(hospital, &url, &["ls", "records"]).ok().stdout;
    assert_eq!(names("new"), names("old"));
    let check = halves.path("vault");
    vault.stop();
    let check = shosoin(&["vault", "check", "--dir", arg(&check), "--every-unit", "--json"]).ok().json();
    assert_eq!(check["findings"].as_array().unwrap().len(), 0, "{check}");
}
