//! Hand-over with real processes: a package written while the vault is served, killed in its middle over and over, checked
//! without keys, and spoilt.
//!
//! `SHOSOIN_JOB_KILLS` says how many kills the export must take (3 unless set).

mod support;

use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use support::kill::{Dice, FirstSign, from_env, run_and_kill};
use support::site::{Site, count};
use support::{Done, arg, shosoin};

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
