//! Two hospitals of one vault with real processes: a record is granted, accepted, fetched, and not given any more (8.1-R6).

mod support;

use serde_json::Value;
use support::halves::Halves;
use support::{Done, arg, bytes, shosoin};

const CONSENT: &str = "5f0c8a71b2e401f3c99ab77ab12c9e01";

/// A command of a hospital that needs no vault.
fn alone(halves: &Halves, name: &str, command: &[&str]) -> Done {
    let (dir, passphrase) = (halves.path(name), halves.path("passphrase"));
    shosoin(&[command, &["--dir", arg(&dir), "--passphrase-file", arg(&passphrase), "--json"]].concat())
}

#[test]
fn a_record_is_shared_on_consent_fetched_and_the_end_of_the_share_holds_8_1_r6() {
    let halves = Halves::new();
    let vault = halves.serve_vault();
    let url = vault.field("url");
    let mut cards = Vec::new();
    for name in ["a", "b", "c"] {
        halves.make_hospital(name);
        halves.enrol(name, &["--yes"]).ok();
        let file = halves.path(&format!("{name}.card"));
        let card = alone(&halves, name, &["share", "card", "--out", arg(&file)]).ok().json();
        cards.push((
            file,
            card["hospital"].as_str().unwrap().to_owned(),
            card["fingerprint"].as_str().unwrap().to_owned(),
        ));
    }
    let at = |name: &str, command: &[&str]| halves.hospital(name, &url, command);
    let content = bytes(5, 5_000_000);
    let source = halves.path("source");
    std::fs::write(&source, &content).unwrap();
    at("a", &["bucket", "create", "charts"]).ok();
    let version =
        at("a", &["put", "charts", "0001.pdf", arg(&source)]).ok().json()["version"].as_str().unwrap().to_owned();

    // nobody grants to whom nobody compared, and a card that somebody changed on the way is not trusted
    let (file_b, b, of_b) = &cards[1];
    let grant = ["share", "grant", "charts", "0001.pdf", "--to", b, "--purpose", "opinion", "--consent", CONSENT];
    let grant = [&grant[..], &["--until", "2099-01-01"]].concat();
    at("a", &grant).fails(4, &["no card of hospital", "share trust"]);
    let mistaken = alone(&halves, "a", &["share", "trust", arg(file_b), "--fingerprint", &cards[2].2]);
    mistaken.fails(4, &["somebody may have put another card in its place"]);
    at("a", &grant).fails(4, &["no card of hospital"]);
    alone(&halves, "a", &["share", "trust", arg(file_b), "--fingerprint", of_b]).ok();
    let granted = at("a", &grant).ok().json();
    let id = granted["grant"].as_str().unwrap().to_owned();
    assert_eq!(granted["versions"], 1);

    // the other side believes nothing before it has compared, either
    let listed = at("b", &["share", "list"]).ok().json();
    assert_eq!(listed["state"], "not believed");
    at("b", &["share", "accept", &id]).fails(4, &["no card of hospital"]);
    let (file_a, _, of_a) = &cards[0];
    alone(&halves, "b", &["share", "trust", arg(file_a), "--fingerprint", of_a]).ok();
    let listed = at("b", &["share", "list"]).ok().json();
    assert_eq!((&listed["state"], &listed["versions"][0]), (&Value::from("offered"), &Value::from(version.clone())));
    let target = halves.path("target");
    let fetch = ["share", "get", &id, &version, "--out", arg(&target)];
    at("b", &fetch).fails(4, &["has not been accepted"]);
    at("b", &["share", "accept", &id]).ok();
    let fetched = at("b", &fetch).ok().json();
    assert_eq!((&fetched["name"], &fetched["size_bytes"]), (&Value::from("0001.pdf"), &Value::from(5_000_000)));
    assert!(std::fs::read(&target).unwrap() == content, "the record came with other bytes");

    // a third hospital has no part in it
    alone(&halves, "c", &["share", "trust", arg(file_a), "--fingerprint", of_a]).ok();
    assert_eq!(at("c", &["share", "list"]).ok().stdout, "");
    at("c", &["share", "accept", &id]).fails(2, &["no trusted hospital grants"]);
    at("c", &["share", "revoke", &id, "--reason", "other"]).fails(2, &["no such share"]);

    let ended = at("a", &["share", "revoke", &id, "--reason", "consent-withdrawn"]).ok().json();
    assert!(ended["cannot_be_undone"].as_str().unwrap().contains("may have been copied"));
    std::fs::remove_file(&target).unwrap();
    at("b", &fetch).fails(4, &["its owner has ended it"]);
    assert!(!target.exists());
    assert_eq!(at("b", &["share", "list"]).ok().json()["state"], "ended");
    vault.stop();
    let given =
        shosoin(&["audit", "show", "--dir", arg(&halves.path("vault")), "--action", "share-given", "--json"]).ok();
    assert_eq!(given.json()["records"].as_array().unwrap().len(), 1, "what was given is on the record");
}
