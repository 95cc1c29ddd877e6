//! The two halves apart: vault and gateway as two processes that meet only over mutual TLS, and a client that needs
//! the vault alone.

mod support;

use support::halves::Halves;
use support::{Serving, arg, bytes, shosoin};

#[test]
fn a_record_goes_in_and_comes_back_exact_with_no_gateway_anywhere() {
    let halves = Halves::new();
    let vault = halves.serve_vault();
    let url = vault.field("url");
    assert_eq!(vault.field("pin"), halves.pin);
    let fingerprint = halves.make_hospital("h");
    halves.enrol("h", &["--fingerprint", &fingerprint]).ok();
    halves.hospital("h", &url, &["bucket", "create", "records", "--record-type", "T4-01"]).ok();

    let (source, target) = (halves.path("source"), halves.path("target"));
    for (seed, len) in [(1, 0), (2, 1), (3, 70_000), (4, 9 * 1024 * 1024 + 1)] {
        let content = bytes(seed, len);
        std::fs::write(&source, &content).unwrap();
        let name = format!("study/{len}");
        let receipt = halves.path(&format!("receipt-{len}"));
        let kept = ["put", "records", &name, arg(&source), "--receipt", arg(&receipt)];
        let stored = halves.hospital("h", &url, &kept).ok().json();
        assert_eq!(stored["size_bytes"], len);
        assert_eq!(stored["receipt"], true);
        halves.hospital("h", &url, &["get", "records", &name, "--out", arg(&target), "--force"]).ok();
        assert!(std::fs::read(&target).unwrap() == content, "{len} bytes came back with other bytes");
        let verify = ["verify", "records", &name, "--content", "--receipt", arg(&receipt)];
        let proof = halves.hospital("h", &url, &verify).ok().json();
        assert_eq!((&proof["receipt"]["level"], &proof["receipt"]["k"]), (&1.into(), &4.into()));
    }
    let listed = halves.hospital("h", &url, &["ls", "records"]).ok();
    assert_eq!(listed.stdout.lines().count(), 4);
    let tour = halves.hospital("h", &url, &["verify", "--all", "--content"]).ok().json();
    assert_eq!((&tour["verified"], &tour["failed"]), (&4.into(), &0.into()));
    let stat = halves.hospital("h", &url, &["stat", "records", "study/70000"]).ok().json();
    assert_eq!(stat["size_bytes"], 70_000);
    vault.stop();
}

#[test]
fn a_gateway_on_another_machine_serves_and_the_client_does_without_it() {
    let halves = Halves::new();
    let vault = halves.serve_vault();
    let url = vault.field("url");
    let fingerprint = halves.make_hospital("h");
    halves.enrol("h", &["--fingerprint", &fingerprint]).ok();
    let (dir, passphrase) = (halves.path("h"), halves.path("passphrase"));
    let gateway = Serving::start(&[
        "gateway",
        "serve",
        "--dir",
        arg(&dir),
        "--vault-url",
        &url,
        "--vault-pin",
        &halves.pin,
        "--passphrase-file",
        arg(&passphrase),
        "--s3",
        "127.0.0.1:0",
    ]);
    assert!(gateway.field("s3_endpoint").starts_with("http://127.0.0.1:"));
    halves.hospital("h", &url, &["ls"]).fails(6, &["in use by process"]);
    gateway.stop();
    halves.hospital("h", &url, &["ls"]).ok();
    vault.stop();
}

#[test]
fn a_vault_with_another_key_gets_nothing_and_both_pins_are_told() {
    let halves = Halves::new();
    let vault = halves.serve_vault();
    halves.make_hospital("h");
    let wrong = "ab".repeat(32);
    let done = halves.hospital_with_pin("h", &vault.field("url"), &wrong, &["ls"]).fails(4, &[&wrong, &halves.pin]);
    assert_eq!(done.failure()["kind"], "refused");
    halves.hospital_with_pin("h", &vault.field("url"), "abcd", &["ls"]).fails(2, &["64 hex digits"]);
}

#[test]
fn a_hospital_that_is_not_enrolled_is_refused_until_it_is() {
    let halves = Halves::new();
    let vault = halves.serve_vault();
    let url = vault.field("url");
    halves.make_hospital("h");
    let done = halves.hospital("h", &url, &["ls"]).fails(4, &["unknown-hospital", "hospital enrol"]);
    assert_eq!(done.failure()["kind"], "refused");
    halves.enrol("h", &["--yes"]).ok();
    halves.hospital("h", &url, &["ls"]).ok();
}

#[test]
fn two_hospitals_of_one_vault_do_not_see_each_other() {
    let halves = Halves::new();
    let vault = halves.serve_vault();
    let url = vault.field("url");
    for name in ["a", "b"] {
        halves.make_hospital(name);
        halves.enrol(name, &["--yes"]).ok();
        halves.hospital(name, &url, &["bucket", "create", name]).ok();
    }
    let seen = halves.hospital("a", &url, &["ls"]).ok().stdout;
    assert!(seen.contains("\"a\"") && !seen.contains("\"b\""), "{seen}");
}

#[test]
fn a_vault_that_is_not_there_is_unavailable_and_says_what_to_check() {
    let halves = Halves::new();
    halves.make_hospital("h");
    let url = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("https://{}", listener.local_addr().unwrap())
    };
    let done = halves.hospital("h", &url, &["ls"]).fails(6, &["check that the vault is running"]);
    assert_eq!(done.failure()["kind"], "unavailable");
    halves.hospital("h", "http://127.0.0.1:1", &["ls"]).fails(2, &["https://host:port"]);
}

#[test]
fn something_that_is_no_vault_is_unavailable_and_gets_no_request() {
    let halves = Halves::new();
    halves.make_hospital("h");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let other = std::thread::spawn(move || {
        for stream in listener.incoming().take(4) {
            use std::io::Write as _;
            let _ = stream.unwrap().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        }
    });
    halves.hospital("h", &url, &["ls"]).fails(6, &["TLS"]);
    other.join().unwrap();
}

#[test]
fn enrolling_takes_the_right_fingerprint_and_an_untouched_file() {
    let halves = Halves::new();
    let fingerprint = halves.make_hospital("h");
    halves.enrol("h", &[]).fails(4, &["--fingerprint"]);
    halves
        .enrol("h", &["--fingerprint", &fingerprint.replace(|c: char| c.is_ascii_hexdigit(), "0")])
        .fails(4, &["another"]);
    let file = halves.path("h").join("enrolment");
    let mut content = std::fs::read(&file).unwrap();
    content[40] ^= 1;
    std::fs::write(&file, content).unwrap();
    halves.enrol("h", &["--yes"]).fails(2, &["no enrolment"]);
}

#[test]
fn status_and_enrolment_reach_a_vault_while_it_is_served_and_say_that_it_is_a_demonstration() {
    let halves = Halves::new();
    let dir = halves.path("vault");
    let status = |how: &str| shosoin(&["vault", "status", "--dir", arg(&dir), how]);
    let stopped = status("--json").ok().json();
    let vault = halves.serve_vault();
    let served = status("--json").ok().json();
    assert_eq!(stopped["vault"], served["vault"]);
    assert_eq!(served["demo"], true);
    assert!(served["notice"].as_str().unwrap().contains("demonstration"), "{served}");
    assert_eq!(served["volumes"].as_array().unwrap().len(), 6);
    halves.make_hospital("h");
    halves.enrol("h", &["--yes"]).ok();
    assert_eq!(status("--json").ok().json()["hospitals"].as_array().unwrap().len(), 1);
    shosoin(&["vault", "check", "--dir", arg(&dir), "--json"]).ok();
    shosoin(&["vault", "rebuild", "--dir", arg(&dir)]).fails(6, &["in use"]);
    shosoin(&["vault", "serve", "--dir", arg(&dir)]).fails(6, &["in use"]);
    vault.stop();
    shosoin(&["vault", "rebuild", "--dir", arg(&dir), "--json"]).ok();
}

#[test]
fn status_names_volumes_that_are_absent_and_says_until_when_they_are_waited_for() {
    let halves = Halves::new();
    let dir = halves.path("vault");
    std::fs::rename(halves.path("m2"), halves.path("elsewhere")).unwrap();
    let status = |how: &[&str]| shosoin(&[&["vault", "status", "--dir", arg(&dir)], how].concat());
    let shown = status(&["--json"]).ok().json();
    assert!(
        shown["repair_waits_until_ms"].is_u64() && shown["volumes_absent"].as_array().unwrap().len() == 1,
        "{shown}"
    );
    let text = status(&[]).ok().stdout;
    let line = text.lines().find(|line| line.starts_with("absent")).unwrap();
    assert!(line.contains("m2") && line.contains("waited for until") && line.contains("shosoin repair"), "{text}");
    std::fs::rename(halves.path("elsewhere"), halves.path("m2")).unwrap();
    assert!(status(&["--json"]).ok().json()["repair_waits_until_ms"].is_null());
}

#[test]
fn a_vault_killed_without_warning_is_served_again() {
    let halves = Halves::new();
    let mut vault = halves.serve_vault();
    vault.kill();
    let vault = halves.serve_vault();
    assert_eq!(vault.field("pin"), halves.pin);
    vault.stop();
}
