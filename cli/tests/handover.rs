//! Hand-over with real processes: a package written while the vault is served, killed in its middle over and over, checked
//! without keys, and spoilt.
//!
//! `SHOSOIN_JOB_KILLS` says how many kills the export must take (3 unless set).
#![expect(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../trust/tests/openssl/mod.rs"]
mod openssl;
mod support;

use openssl::{GOOD, OpenSsl};
use serde_json::Value;
use shosoin_protocol::evidence::{Class, Evidence};
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::halves::Halves;
use support::kill::{Dice, FirstSign, from_env, run_and_kill};
use support::site::{Site, count};
use support::{Done, arg, bytes, shosoin};

fn package(site: &Site) -> PathBuf {
    site.path("package")
}

fn export(site: &Site, more: &[&str]) -> Done {
    let package = package(site);
    let export = ["handover", "export", "--dir", site.arg(), "--to", arg(&package), "--file-size", "1MiB", "--json"];
    shosoin(&[&export, more].concat())
}

fn verify(site: &Site, more: &[&str]) -> Done {
    let package = package(site);
    shosoin(&[&["handover", "verify", "--from", arg(&package), "--json"], more].concat())
}

#[test]
fn a_package_is_written_while_the_vault_is_served_and_checked_without_it() {
    let site = Site::new("6", 5);
    let up = site.up();
    let report = export(&site, &[]).ok().json();
    assert_eq!((&report["state"], count(&report, "added_entries")), (&Value::from("whole"), 8));
    let fingerprint = report["fingerprint"].as_str().unwrap().to_owned();
    let checked = verify(&site, &["--fingerprint", &fingerprint]).ok().json();
    assert_eq!((count(&checked, "entries"), &checked["findings"]), (8, &serde_json::json!([])));
    let readme = std::fs::read_to_string(package(&site).join("README.txt")).unwrap();
    assert!(readme.contains("shosoin-reader --from") && readme.contains("封印"));
    assert!(std::fs::read_to_string(package(&site).join("format.md")).unwrap().contains("### Package manifest"));
    let again = export(&site, &[]).ok().json();
    assert_eq!(count(&again, "added_records"), 0);
    let shown = site.vault(&["audit", "show", "--action", "handover-exported"]).ok().json();
    assert_eq!(shown["records"].as_array().unwrap().len(), 4, "begun and done, twice: {shown}");
    up.stop();
    // an operator sees what it is at a glance, too
    let text = shosoin(&["handover", "verify", "--from", arg(&package(&site))]).ok().stdout;
    assert!(text.contains("everything in it holds") && text.contains("8 of 8 entries proved"), "{text}");
}

#[test]
fn exports_killed_in_their_middle_go_on_and_the_package_is_whole() {
    let mut site = Site::with_records_of(1_500_000, "6", 8);
    let (mut dice, wanted) = (Dice::thrown_for("export"), from_env("SHOSOIN_JOB_KILLS", 3));
    let (mut killed, mut runs) = (0, 0);
    while killed < wanted {
        assert!(runs < wanted * 8, "the export was hit {killed} times in {runs} runs");
        let package = package(&site);
        let mut command =
            vec!["handover", "export", "--dir", site.arg(), "--to", arg(&package), "--file-size", "1MiB", "--json"];
        if runs % 2 == 0 {
            command.extend(["--rate", "8MiB"]);
        }
        let hit = run_and_kill(&command, FirstSign::Progress, Duration::from_millis(dice.below(900)));
        runs += 1;
        killed += u64::from(hit);
        if !hit {
            site.put_more(1); // it came to its end: there is something to do again
        }
    }
    let unfinished = verify(&site, &[]);
    assert!(
        [0, 5].contains(&unfinished.code),
        "a package that was cut off is judged, not refused: {}",
        unfinished.stderr
    );
    let report = export(&site, &[]).ok().json();
    assert_eq!(report["state"], "whole");
    let checked = verify(&site, &[]).ok().json();
    assert_eq!((&checked["entries"], &checked["findings"]), (&report["log_size"], &serde_json::json!([])));
    println!("export: {killed} of {runs} runs killed in their middle");
    site.assert_sound();
}

#[test]
fn a_package_that_was_spoilt_is_refused_with_what_and_where() {
    let site = Site::new("6", 3);
    export(&site, &[]).ok();
    let shard = site.shards(&package(&site)).into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let good = std::fs::read(&shard).unwrap();
    let mut bad = good.clone();
    bad[5000] ^= 1;
    std::fs::write(&shard, &bad).unwrap();
    let done = verify(&site, &[]).fails(5, &["findings"]);
    let name = shard.file_name().unwrap().to_str().unwrap();
    assert!(done.stdout.contains(name) && done.stdout.contains("has another content"), "{}", done.stdout);
    std::fs::write(&shard, &good[..good.len() / 2]).unwrap();
    verify(&site, &[]).fails(5, &["findings"]);
    // what is spoilt is not built upon
    export(&site, &[]).fails(2, &["is not there as it was written"]);
    std::fs::write(&shard, &good).unwrap();
    verify(&site, &["--fingerprint", "0000"]).fails(5, &["findings"]);
    verify(&site, &[]).ok();
    std::fs::remove_file(package(&site).join("manifest")).unwrap();
    verify(&site, &[]).fails(3, &["package"]);
    let nowhere = site.path("nowhere");
    shosoin(&["handover", "verify", "--from", arg(&nowhere)]).fails(6, &["nowhere"]);
}

/// A file and what stands in it instead.
type Spoilt<'a> = (&'a PathBuf, Vec<u8>);

/// A hospital that is to change its provider, and the two.
struct Move {
    old: Halves,
    new: Halves,
    package: PathBuf,
    /// key of the old vault, as its operator reads it out
    old_key: String,
}

impl Move {
    fn begin() -> Move {
        let (old, new) = (Halves::new(), Halves::new());
        old.make_hospital("h");
        old.enrol("h", &["--yes"]).ok();
        let package = old.path("package");
        let old_key = Move::status(&old)["keys"][0]["fingerprint"].as_str().unwrap().to_owned();
        Move { old, new, package, old_key }
    }

    fn status(half: &Halves) -> Value {
        shosoin(&["vault", "status", "--dir", arg(&half.path("vault")), "--json"]).ok().json()
    }

    /// The hospital's order, to the new vault or to one with another key.
    fn order(&self, url: &str, key: Option<&str>) -> Done {
        let status = Move::status(&self.new);
        let receiver = status["vault"].as_str().unwrap();
        let fingerprint = key.unwrap_or(status["keys"][0]["fingerprint"].as_str().unwrap());
        self.old.hospital(
            "h",
            url,
            &["handover", "order", "--receiver", receiver, "--fingerprint", fingerprint, "--yes"],
        )
    }

    fn close(&self) -> Done {
        let vault = self.old.path("vault");
        let to = ["--to", arg(&self.package), "--file-size", "1MiB", "--close"];
        shosoin(&[&["handover", "export", "--dir", arg(&vault), "--json"], &to[..]].concat())
    }

    fn import(&self) -> Done {
        let vault = self.new.path("vault");
        let from = ["--from", arg(&self.package), "--fingerprint", &self.old_key];
        shosoin(&[&["handover", "import", "--dir", arg(&vault), "--json"], &from[..]].concat())
    }

    fn confirm(&self, old_url: &str, new_url: &str) -> Done {
        let to = ["handover", "confirm", "--to-url", new_url, "--to-pin", &self.new.pin];
        self.old.hospital("h", old_url, &to)
    }

    /// A command of the hospital with nothing but its folder.
    fn moved(&self, command: &[&str]) -> Done {
        let (dir, passphrase) = (self.old.path("h"), self.old.path("passphrase"));
        shosoin(&[command, &["--dir", arg(&dir), "--passphrase-file", arg(&passphrase), "--json"]].concat())
    }

    /// Shard files of the package.
    fn shards(&self) -> Vec<PathBuf> {
        let hospitals = std::fs::read_dir(self.package.join("segments")).unwrap();
        let files = hospitals.flat_map(|hospital| std::fs::read_dir(hospital.unwrap().path()).unwrap());
        let mut shards: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        shards.retain(|path| path.extension().is_some_and(|end| end == "shard"));
        shards.sort();
        shards
    }
}

#[test]
fn a_hospital_changes_its_provider_and_finds_every_byte_there_6_2_r7() {
    let moving = Move::begin();
    let (from, to) = (moving.old.serve_vault(), moving.new.serve_vault());
    let (old_url, new_url) = (from.field("url"), to.field("url"));
    let source = moving.old.path("source");
    moving.old.hospital("h", &old_url, &["bucket", "create", "records", "--record-type", "T4-01"]).ok();
    let content: Vec<Vec<u8>> = [0, 1, 70_000, 3_000_001].map(|len| bytes(len as u64 + 1, len)).into();
    for (number, bytes) in content.iter().enumerate() {
        std::fs::write(&source, bytes).unwrap();
        moving.old.hospital("h", &old_url, &["put", "records", &format!("study/{number}"), arg(&source)]).ok();
    }
    moving.close().fails(4, &["has not ordered it"]);
    moving.confirm(&old_url, &new_url).fails(2, &["has not ordered one"]);
    moving.order(&old_url, None).ok();
    assert_eq!(moving.close().ok().json()["state"], "closed");
    let late = moving.old.hospital("h", &old_url, &["put", "records", "late", arg(&source)]);
    late.fails(4, &["handed-over"]);
    moving.confirm(&old_url, &new_url).fails(4, &["unknown-hospital"]);
    let took = moving.import().ok().json();
    assert_eq!(took["machines"], 1);
    moving.import().fails(4, &["has a ledger of that hospital already"]);

    // until the hospital has confirmed, its folder reaches the old vault, and the old vault may dispose of nothing
    let old_vault = moving.old.path("vault");
    let status = || shosoin(&["handover", "status", "--dir", arg(&old_vault), "--json"]).ok().json();
    assert_eq!(status()["confirmed"], Value::Null);
    let confirmed = moving.confirm(&old_url, &new_url).ok().json();
    assert_eq!((count(&confirmed, "versions"), count(&confirmed, "of")), (4, 4));
    assert_eq!(status()["confirmed"]["versions"], 4);
    assert_eq!(status()["confirmed"]["receiver"], status()["ordered_to"]);
    from.stop();

    // with the old provider gone, everything is there, and more can come
    let target = moving.old.path("target");
    for (number, bytes) in content.iter().enumerate() {
        moving.moved(&["get", "records", &format!("study/{number}"), "--out", arg(&target), "--force"]).ok();
        assert!(std::fs::read(&target).unwrap() == *bytes, "record {number} came back with other bytes");
    }
    let tour = moving.moved(&["verify", "--all", "--content"]).ok().json();
    assert_eq!((count(&tour, "verified"), count(&tour, "failed")), (4, 0));
    std::fs::write(&source, b"at the next provider").unwrap();
    moving.moved(&["put", "records", "new", arg(&source)]).ok();
    moving.moved(&["handover", "confirm", "--to-url", &new_url, "--to-pin", &moving.new.pin]).fails(2, &["already"]);
    to.stop();
    let check = shosoin(&["check", "--dir", arg(&moving.new.path("vault")), "--every-unit", "--json"]).ok().json();
    assert_eq!(count(&check, "findings"), 0, "{check}");
}

#[test]
fn the_signature_of_a_document_survives_sealing_anew_and_a_hand_over_and_holds_over_what_is_opened_3_5_r2() {
    let moving = Move::begin();
    let (from, to) = (moving.old.serve_vault(), moving.new.serve_vault());
    let (old_url, new_url) = (from.field("url"), to.field("url"));
    let root = OpenSsl::new("Medical root");
    root.issue_ec("doctor", "signer", GOOD);
    root.issue_ec("nurse", "signer", GOOD);
    let folder = moving.old.path("h");
    std::fs::write(folder.join("doctors.pem"), root.read("ca.pem")).unwrap();
    let trusted = format!("[documents]\nanchors = \"doctors.pem\"\nfingerprints = [\"{}\"]\n", root.fingerprint("ca"));
    std::fs::write(folder.join("gateway.toml"), format!("form = 1\n{trusted}")).unwrap();
    let (source, signature, target) =
        (moving.old.path("source"), moving.old.path("source.p7s"), moving.old.path("target"));
    let content = bytes(11, 900_000);
    std::fs::write(&source, &content).unwrap();
    let both = ["-signer", "nurse.pem", "-inkey", "nurse.key"];
    std::fs::write(&signature, root.sign("doctor", &source, &both)).unwrap();
    moving.old.hospital("h", &old_url, &["bucket", "create", "records"]).ok();
    let put = ["put", "records", "letter", arg(&source), "--signature", arg(&signature)];
    let stored = moving.old.hospital("h", &old_url, &put).ok().json();
    let get = ["get", "records", "letter", "--out", arg(&target), "--force"];
    let verify = ["verify", "records", "letter", "--content"];
    // what is told of the signature, once it held over what was opened
    let told = |got: Done, proved: Done| {
        let (got, proved) = (got.ok().json(), proved.ok().json());
        assert!(std::fs::read(&target).unwrap() == content, "the document came back with other bytes");
        assert_eq!(got["signature"], proved["signature"]);
        assert_eq!(got["signature"]["verified"], true);
        (got["version"].clone(), got["signature"].clone())
    };
    let at_first = || told(moving.old.hospital("h", &old_url, &get), moving.old.hospital("h", &old_url, &verify));
    let (version, signed) = at_first();
    assert_eq!(version, stored["version"]);
    let signers = signed["signers"].as_array().unwrap();
    assert_eq!(signers.len(), 2);
    assert!(signers.iter().all(|signer| (&signer["stored"], &signer["now"]) == (&"trusted".into(), &"trusted".into())));

    // sealed anew it is another version under other keys, with the same signature, judged when it was judged
    moving.old.hospital("h", &old_url, &["keyring", "rotate", "--reason", "schedule"]).ok();
    let sealed = moving.old.hospital("h", &old_url, &["keyring", "reseal", "records", "letter"]).ok().json();
    assert_eq!((count(&sealed, "resealed"), count(&sealed, "failed")), (1, 0), "{sealed}");
    let (anew, after) = at_first();
    assert_ne!(anew, version);
    assert_eq!(after, signed);

    moving.order(&old_url, None).ok();
    moving.close().ok();
    moving.import().ok();
    moving.confirm(&old_url, &new_url).ok();
    from.stop();
    assert_eq!(told(moving.moved(&get), moving.moved(&verify)), (anew.clone(), signed.clone()));
    moving.moved(&["keyring", "reseal", "records", "letter"]).ok();
    let (third, after) = told(moving.moved(&get), moving.moved(&verify));
    assert_ne!(third, anew);
    assert_eq!(after, signed);

    // trust that is withdrawn afterwards shows beside what was true
    let config = std::fs::read_to_string(folder.join("gateway.toml")).unwrap();
    let other = OpenSsl::new("Another root");
    std::fs::write(folder.join("doctors.pem"), other.read("ca.pem")).unwrap();
    let config = config.replace(&root.fingerprint("ca"), &other.fingerprint("ca"));
    std::fs::write(folder.join("gateway.toml"), config).unwrap();
    let (_, withdrawn) = told(moving.moved(&get), moving.moved(&verify));
    let signer = &withdrawn["signers"][0];
    assert_eq!((&signer["stored"], &signer["now"]), (&"trusted".into(), &"unknown-issuer".into()));
    to.stop();
}

/// The hospital's side of timestamps that are carried by hand, with an authority of OpenSSL's.
struct Clock<'a> {
    moving: &'a Move,
    root: OpenSsl,
}

impl Clock<'_> {
    fn new(moving: &Move) -> Clock<'_> {
        let root = OpenSsl::new("Time");
        root.issue_ec("clock", "tsa", GOOD);
        let folder = moving.old.path("h");
        std::fs::write(folder.join("tsa.pem"), root.read("ca.pem")).unwrap();
        let fingerprint = root.fingerprint("ca");
        let section = format!("[[timestamp_authorities]]\nanchors = \"tsa.pem\"\nfingerprints = [\"{fingerprint}\"]\n");
        std::fs::write(folder.join("gateway.toml"), format!("form = 1\n{section}")).unwrap();
        Clock { moving, root }
    }

    /// A file with the newest head and no token.
    fn head(&self, url: &str) -> PathBuf {
        let taken = self.moving.old.hospital("h", url, &["timestamp", "take", "--unstamped"]).ok().json();
        PathBuf::from(taken["file"].as_str().unwrap())
    }

    /// A token over all that is in the file.
    fn stamp(&self, file: &Path) {
        let (query, answer) = (self.moving.old.path("query.tsq"), self.moving.old.path("answer.tsr"));
        let _ = std::fs::remove_file(&query);
        shosoin(&["timestamp", "request", arg(file), "--out", arg(&query)]).ok();
        std::fs::write(&answer, self.root.answer("clock", &std::fs::read(&query).unwrap())).unwrap();
        let (dir, file) = (self.moving.old.path("h"), arg(file));
        shosoin(&["timestamp", "add", file, "--dir", arg(&dir), "--query", arg(&query), "--answer", arg(&answer)]).ok();
    }

    /// What a file proves to somebody with the vault's key and the authority's certificate.
    fn proves(&self, file: &Path, vault_key: &str) -> Done {
        let (root, fingerprint) = (self.root.path("ca.pem"), self.root.fingerprint("ca"));
        let trusted = ["--anchors", arg(&root), "--fingerprint", &fingerprint, "--vault-key", vault_key, "--json"];
        shosoin(&[&["evidence", "verify", arg(file)], &trusted[..]].concat())
    }
}

#[test]
fn timestamps_travel_with_the_ledger_they_date_and_the_next_vault_sends_them_on_6_2_r7_7_6_11_s4() {
    let moving = Move::begin();
    let (from, to) = (moving.old.serve_vault(), moving.new.serve_vault());
    let (old_url, new_url) = (from.field("url"), to.field("url"));
    let clock = Clock::new(&moving);
    let source = moving.old.path("source");
    std::fs::write(&source, bytes(1, 300_000)).unwrap();
    moving.old.hospital("h", &old_url, &["bucket", "create", "records"]).ok();
    moving.old.hospital("h", &old_url, &["put", "records", "one", arg(&source)]).ok();
    let keys = shosoin(&["evidence", "keys", "--dir", arg(&moving.old.path("h")), "--json"]).ok().json();
    let vault_key = keys["vault_key"].as_str().unwrap();
    let folder = moving.old.path("h/timestamps");
    let vault = moving.old.path("vault");
    let export = |more: &[&str]| {
        let to = ["--to", arg(&moving.package), "--file-size", "1MiB", "--json"];
        shosoin(&[&["handover", "export", "--dir", arg(&vault)], &to[..], more].concat())
    };
    let given = ["--timestamps", arg(&folder)];
    let check = || shosoin(&["handover", "verify", "--from", arg(&moving.package), "--json"]);

    // a head without a token dates nothing, and is not taken for one that does
    let first = clock.head(&old_url);
    export(&given).fails(2, &["has no timestamp"]);
    assert!(!moving.package.join("manifest").exists(), "it is refused before anything is written");
    clock.stamp(&first);
    assert_eq!(export(&given).ok().json()["timestamps"], 1);
    let found = check().ok().json()["timestamps"].clone();
    let name = first.file_name().unwrap().to_str().unwrap();
    assert_eq!((&found[0]["file"], &found[0]["tokens"]), (&format!("timestamps/{name}").into(), &1.into()));
    let packed = moving.package.join("timestamps").join(name);
    assert_eq!(std::fs::read(&packed).unwrap(), std::fs::read(&first).unwrap());

    // what is renewed replaces what it renews; an older copy does not replace that
    let before = std::fs::read(&first).unwrap();
    clock.stamp(&first);
    moving.old.hospital("h", &old_url, &["put", "records", "two", arg(&source)]).ok();
    clock.stamp(&clock.head(&old_url));
    assert_eq!(export(&given).ok().json()["timestamps"], 2);
    let renewed = std::fs::read(&first).unwrap();
    std::fs::write(&first, &before).unwrap();
    assert_eq!(export(&given).ok().json()["timestamps"], 2);
    assert_eq!(std::fs::read(&packed).unwrap(), renewed);
    let tokens: Vec<u64> =
        check().ok().json()["timestamps"].as_array().unwrap().iter().map(|one| count(one, "tokens")).collect();
    assert_eq!(tokens, [2, 1]);
    assert!(
        shosoin(&["handover", "verify", "--from", arg(&moving.package)])
            .ok()
            .stdout
            .contains("2 heads with 3 timestamps")
    );
    assert_eq!(clock.proves(&packed, vault_key).ok().json()["timestamps"].as_array().unwrap().len(), 2);

    // the last package has them without being told, the next vault keeps them, and its own package has them too
    moving.order(&old_url, None).ok();
    assert_eq!(moving.close().ok().json()["timestamps"], 2);
    let took = moving.import().ok().json();
    assert_eq!(took["package"]["timestamps"].as_array().unwrap().len(), 2);
    moving.confirm(&old_url, &new_url).ok();
    from.stop();
    std::fs::write(&source, b"at the next provider").unwrap();
    moving.moved(&["put", "records", "three", arg(&source)]).ok();
    let (next, second) = (moving.new.path("vault"), moving.new.path("package"));
    let exported = shosoin(&["handover", "export", "--dir", arg(&next), "--to", arg(&second), "--json"]).ok().json();
    assert_eq!(exported["timestamps"], 2);
    assert_eq!(std::fs::read(second.join("timestamps").join(name)).unwrap(), renewed);
    let found = shosoin(&["handover", "verify", "--from", arg(&second), "--json"]).ok().json();
    assert_eq!(found["timestamps"].as_array().unwrap().len(), 2);
    clock.proves(&second.join("timestamps").join(name), vault_key).ok();
    to.stop();
}

#[test]
fn timestamps_that_are_cut_altered_or_of_another_ledger_are_refused_wherever_they_are_met() {
    let (moving, other) = (Move::begin(), Move::begin());
    let vaults = [&moving, &other].map(|one| one.old.serve_vault());
    let heads = [&moving, &other].map(|one| Clock::new(one)).map(|clock| {
        let file = clock.head(&vaults[usize::from(!std::ptr::eq(clock.moving, &moving))].field("url"));
        clock.stamp(&file);
        std::fs::read_to_string(file).unwrap()
    });
    let [good, foreign] = &heads;
    let (given, vault) = (moving.old.path("given"), moving.old.path("vault"));
    let export = || {
        let to = ["--to", arg(&moving.package), "--timestamps", arg(&given), "--json"];
        shosoin(&[&["handover", "export", "--dir", arg(&vault)], &to[..]].concat())
    };
    let give = |text: &str| {
        let _ = std::fs::remove_dir_all(&given);
        std::fs::create_dir_all(&given).unwrap();
        std::fs::write(given.join("head-1.txt"), text).unwrap();
        std::fs::write(given.join("notes.txt"), "of no interest here").unwrap();
    };
    // a text that is whole in itself, with something else in it
    let changed = |change: &dyn Fn(&mut Evidence)| {
        let mut evidence = Evidence::parse(good).unwrap();
        change(&mut evidence);
        evidence.render()
    };
    let cut = &good[..good.len() - 40];
    let flipped = good.replacen("found 1", "found 2", 1);
    assert_ne!(&flipped, good);
    let audit = changed(&|evidence| evidence.class = Class::Audit);
    let other_head = changed(&|evidence| evidence.parts = Evidence::parse(foreign).unwrap().parts);
    for (what, text, why) in [
        ("cut", cut, "head-1.txt"),
        ("flipped", &flipped, "head-1.txt"),
        ("of another ledger", foreign, "not evidence of a head of this ledger"),
        ("of another class", &audit, "not evidence of a head of this ledger"),
        ("with a head of another vault", &other_head, "head-1.txt"),
    ] {
        give(text);
        export().fails(2, &["--timestamps", why]);
        assert!(!moving.package.join("manifest").exists(), "{what}: nothing was written");
    }
    // an altered token is whole for a vault, which does not read its form, and for whoever checks the package it is none
    for (no, part) in [0, 3, 5, 9].into_iter().enumerate() {
        let altered = changed(&|evidence| {
            let token = &mut evidence.timestamps[0];
            let at = token.len() * part / 10;
            token[at] ^= 0x01;
        });
        let fresh = moving.old.path(&format!("altered-{no}"));
        give(&altered);
        let to = ["--to", arg(&fresh), "--timestamps", arg(&given), "--json"];
        shosoin(&[&["handover", "export", "--dir", arg(&vault)], &to[..]].concat()).ok();
        let done = shosoin(&["handover", "verify", "--from", arg(&fresh), "--json"]).fails(5, &["findings"]);
        assert!(done.stdout.contains("head-1.txt"), "{part}: {}", done.stdout);
        std::fs::remove_dir_all(vault.join("timestamps")).unwrap();
    }
    // one that is changed in the package is told by the manifest, and not taken in
    give(good);
    moving.order(&vaults[0].field("url"), None).ok();
    let to = ["--to", arg(&moving.package), "--timestamps", arg(&given), "--close", "--json"];
    shosoin(&[&["handover", "export", "--dir", arg(&vault)], &to[..]].concat()).ok();
    let packed = moving.package.join("timestamps/head-1.txt");
    for text in [cut.to_owned(), flipped, String::new()] {
        std::fs::write(&packed, text).unwrap();
        let done = shosoin(&["handover", "verify", "--from", arg(&moving.package), "--json"]).fails(5, &["findings"]);
        assert!(done.stdout.contains("head-1.txt") && done.stdout.contains("timestamp"), "{}", done.stdout);
        moving.import().fails(4, &["findings"]);
    }
    std::fs::remove_file(&packed).unwrap();
    moving.import().fails(4, &["findings"]);
    std::fs::write(&packed, good).unwrap();
    std::fs::write(packed.with_file_name("head-2.txt"), good).unwrap();
    moving.import().fails(4, &["not in the manifest"]);
    std::fs::remove_file(packed.with_file_name("head-2.txt")).unwrap();
    moving.import().ok();
    vaults.into_iter().for_each(|vault| drop(vault.stop()));
}

#[test]
fn a_package_that_was_cut_swapped_or_changed_is_not_taken_in_and_a_good_one_then_is() {
    let moving = Move::begin();
    let from = moving.old.serve_vault();
    let url = from.field("url");
    let source = moving.old.path("source");
    moving.old.hospital("h", &url, &["bucket", "create", "records"]).ok();
    for number in 0..2 {
        std::fs::write(&source, bytes(number + 1, 1_200_000)).unwrap();
        moving.old.hospital("h", &url, &["put", "records", &number.to_string(), arg(&source)]).ok();
    }
    moving.order(&url, None).ok();
    moving.close().ok();
    from.stop();
    let shards = moving.shards();
    let (first, last) = (&shards[0], &shards[shards.len() - 1]);
    assert_ne!(first, last);
    let manifest = moving.package.join("manifest");
    let good: Vec<Vec<u8>> = [first, last, &manifest].map(|path| std::fs::read(path).unwrap()).into();
    let changed = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let cases: [(&str, Vec<Spoilt<'_>>); 5] = [
        ("a shard is cut short", vec![(first, good[0][..good[0].len() / 2].to_vec())]),
        ("two shards are swapped", vec![(first, good[1].clone()), (last, good[0].clone())]),
        ("a bit of a record is flipped", vec![(first, changed(&good[0], 9_000))]),
        ("a bit of the manifest is flipped", vec![(&manifest, changed(&good[2], good[2].len() / 2))]),
        ("the manifest is cut short", vec![(&manifest, good[2][..good[2].len() - 1].to_vec())]),
    ];
    for (what, files) in cases {
        files.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
        let done = moving.import();
        // 2 where what was changed is no package any more, 4 where it is one that does not hold
        assert!(matches!(done.code, 2 | 4), "{what}: {} {}", done.code, done.stderr);
        assert!(done.stderr.contains("package"), "{what}: {}", done.stderr);
        assert_eq!(Move::status(&moving.new)["hospitals"], serde_json::json!([]), "{what}: nothing of it is here");
        for (path, bytes) in [first, last, &manifest].into_iter().zip(&good) {
            std::fs::write(path, bytes).unwrap();
        }
    }
    moving.import().ok();
    assert_eq!(Move::status(&moving.new)["hospitals"].as_array().unwrap().len(), 1);
}

#[test]
fn what_the_receiving_vault_lost_is_not_confirmed_and_the_former_one_goes_on_keeping_it() {
    let moving = Move::begin();
    let from = moving.old.serve_vault();
    let old_url = from.field("url");
    let source = moving.old.path("source");
    moving.old.hospital("h", &old_url, &["bucket", "create", "records"]).ok();
    std::fs::write(&source, bytes(1, 900_000)).unwrap();
    moving.old.hospital("h", &old_url, &["put", "records", "one", arg(&source)]).ok();
    // an order that names the vault and another key is nobody's
    moving.order(&old_url, Some(&moving.old_key)).ok();
    moving.close().ok();
    moving.import().fails(4, &["not to this one"]);
    let reopen = ["handover", "reopen", "--dir", arg(&moving.old.path("vault")), "--yes"].map(str::to_owned);
    shosoin(&reopen).ok();
    moving.order(&old_url, None).ok();
    moving.close().ok();
    moving.import().ok();
    for number in 1..=3 {
        // three volumes of six are more than 4+2 survives
        std::fs::remove_dir_all(moving.new.path(&format!("m{number}")).join("segments")).unwrap();
    }
    let to = moving.new.serve_vault();
    let new_url = to.field("url");
    let done = moving.confirm(&old_url, &new_url);
    assert_ne!(done.code, 0, "{}", done.stdout);
    let status = shosoin(&["handover", "status", "--dir", arg(&moving.old.path("vault")), "--json"]).ok().json();
    assert_eq!(status["confirmed"], Value::Null);
    moving.old.hospital("h", &old_url, &["verify", "--all", "--content"]).ok();
    from.stop();
    to.stop();
}
