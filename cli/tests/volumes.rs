//! Media through the operator's commands, on real folders: beside a vault that is served, and on one that is not.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use support::{Done, Serving, arg, shosoin};
use tempfile::TempDir;

/// A vault of six volumes and a record in it.
struct Site {
    dir: TempDir,
}

impl Site {
    /// A site of `up`, with a record, stopped.
    fn new() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap() };
        let up = Serving::start(&["up", "--dir", arg(&site.path("site")), "--s3", "127.0.0.1:0"]);
        up.stop();
        std::fs::write(site.path("record"), vec![7; 300_000]).unwrap();
        let (dir, record) = (site.path("site"), site.path("record"));
        shosoin(&["bucket", "create", "--dir", arg(&dir), "records"]).ok();
        shosoin(&["put", "--dir", arg(&dir), "records", "a.dcm", arg(&record)]).ok();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn vault(&self) -> PathBuf {
        self.path("site/vault")
    }

    fn serve(&self) -> Serving {
        Serving::start(&["vault", "serve", "--dir", arg(&self.vault()), "--listen", "127.0.0.1:0"])
    }

    /// A new empty folder.
    fn medium(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir(&path).unwrap();
        path
    }

    fn volume(&self, arguments: &[&str]) -> Done {
        let (verb, rest) = arguments.split_first().unwrap();
        shosoin(&[&["volume", verb, "--dir", arg(&self.vault()), "--json"], rest].concat())
    }

    fn list(&self) -> Vec<Value> {
        self.volume(&["list"]).ok().json()["volumes"].as_array().unwrap().clone()
    }

    fn ids(&self) -> Vec<String> {
        self.list().iter().map(|volume| volume["label"]["id"].as_str().unwrap().to_owned()).collect()
    }

    fn state(&self, id: &str) -> String {
        let shown = self.volume(&["show", id]).ok().json();
        shown["volume"]["state"].as_str().unwrap().to_owned()
    }

    fn set(&self, id: &str, state: &str) -> Done {
        self.volume(&["set-state", id, state, "--reason", "for a test"])
    }

    fn toml(&self) -> String {
        std::fs::read_to_string(self.vault().join("vault.toml")).unwrap()
    }
}

#[test]
fn a_vault_made_before_its_ledger_takes_its_volumes_in_as_active() {
    let site = Site::new();
    std::fs::remove_dir_all(site.vault().join("audit")).unwrap();
    for number in 1..=6 {
        let _ = std::fs::remove_dir_all(site.vault().join(format!("volumes/v0{number}/audit")));
    }
    let list = site.list();
    assert_eq!(list.len(), 6);
    assert!(list.iter().all(|volume| volume["state"] == "active" && volume["mounted"] == true), "{list:?}");
    let records = shosoin(&["audit", "show", "--dir", arg(&site.vault()), "--action", "volume-adopted", "--json"]);
    assert_eq!(records.ok().json()["records"].as_array().unwrap().len(), 6);
}

#[test]
fn a_medium_is_added_to_a_served_vault_labelled_and_there_after_a_restart() {
    let site = Site::new();
    let serving = site.serve();
    let medium = site.medium("new");
    let facts =
        ["--class", "hdd", "--serial", "ZL2X", "--lot", "2026-04", "--rated-life", "7y", "--security-label", "C3"];
    let dry = site.volume(&[&["add", arg(&medium), "--dry-run"] as &[&str], &facts].concat()).ok().json();
    assert_eq!((dry["dry_run"].as_bool(), std::fs::read_dir(&medium).unwrap().count()), (Some(true), 0));
    let added = site.volume(&[&["add", arg(&medium), "--reason", "order 118"] as &[&str], &facts].concat()).ok().json();
    let id = added["label"]["id"].as_str().unwrap().to_owned();
    assert!(medium.join("label").is_file() && site.toml().contains(arg(&medium)));
    let shown = site.volume(&["show", &id[..8]]).ok().json();
    assert_eq!(shown["volume"]["state"], "active");
    assert_eq!(shown["volume"]["label"]["security_label"], "C3");
    assert_eq!(shown["volume"]["mounted"], true);
    site.volume(&["add", arg(&medium)]).fails(4, &["vault.toml names the place"]);
    serving.stop();
    let listed = site.list();
    let found = listed.iter().find(|volume| volume["label"]["id"] == id.as_str()).unwrap();
    assert_eq!((&found["mounted"], &found["label"]["serial"]), (&Value::Bool(true), &Value::from("ZL2X")));
    let history = site.volume(&["show", &id]).ok().json()["history"].as_array().unwrap().clone();
    let actions: Vec<&str> = history.iter().map(|record| record["action"].as_str().unwrap()).collect();
    assert_eq!(&actions[..4], ["volume-added", "volume-added", "volume-placed", "volume-state"]);
    assert_eq!((&history[0]["outcome"], &history[1]["reason"]), (&Value::from("begun"), &Value::from("order 118")));
}

#[test]
fn a_volume_with_the_only_copies_is_not_retired_and_the_try_is_recorded() {
    let site = Site::new();
    let list = site.list();
    let holder = list.iter().find(|volume| volume["shards"].as_u64().unwrap() > 0).unwrap();
    let id = holder["label"]["id"].as_str().unwrap();
    site.set(id, "retired").fails(4, &["only copy"]);
    assert_eq!(site.state(id), "active");
    let shown = site.volume(&["show", id]).ok().json();
    let refused: Vec<&Value> =
        shown["history"].as_array().unwrap().iter().filter(|record| record["outcome"] == "refused").collect();
    assert_eq!(refused.len(), 1, "a refused try is in the log");
}

#[test]
fn an_empty_volume_goes_its_way_from_draining_to_destroyed_and_its_history_stays() {
    let site = Site::new();
    let medium = site.medium("seventh");
    let id = site.volume(&["add", arg(&medium), "--security-label", "C3"]).ok().json()["label"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let serving = site.serve();
    let dry = site.volume(&["set-state", &id, "draining", "--reason", "test", "--dry-run"]).ok().json();
    assert_eq!((dry["dry_run"].as_bool(), site.state(&id).as_str()), (Some(true), "active"));
    site.set(&id, "sanitised").fails(4, &["is active", "draining"]);
    for state in ["draining", "retired", "sanitised", "destroyed"] {
        site.set(&id, state).ok();
        assert_eq!(site.state(&id), state);
    }
    assert!(!site.toml().contains("seventh"), "{}", site.toml());
    site.set(&id, "active").fails(4, &["nothing more"]);
    serving.stop();
    std::fs::remove_dir_all(&medium).unwrap();
    let shown = site.volume(&["show", &id]).ok().json();
    assert_eq!(shown["volume"]["state"], "destroyed");
    assert!(shown["history"].as_array().unwrap().len() >= 8, "{shown}");
    let status = shosoin(&["vault", "status", "--dir", arg(&site.vault()), "--json"]).ok().json();
    assert_eq!(status["volumes_absent"], Value::Array(Vec::new()), "nobody waits for it");
}

#[test]
fn a_shelved_volume_is_not_missed_and_comes_back_when_asked_for() {
    let site = Site::new();
    let medium = site.medium("tape");
    let added = site
        .volume(&["add", arg(&medium), "--tier", "archive", "--class", "tape", "--security-label", "C3"])
        .ok()
        .json();
    let id = added["label"]["id"].as_str().unwrap().to_owned();
    let serving = site.serve();
    site.set(&id, "on-shelf").ok();
    site.volume(&["test", &id, "--place", "cabinet 2, tray 7", "--celsius", "19.5", "--humidity", "42"]).ok();
    let report = site.volume(&["stocktake"]).fails(5, &["not as the ledger"]).json();
    assert_eq!(report["missing"][0]["place"], "cabinet 2, tray 7");
    let report = site.volume(&["stocktake", "--seen", &id]).ok().json();
    assert_eq!(report["present"].as_array().unwrap().len(), 7);
    site.volume(&["stocktake", "--seen", &id, "--seen", "no such medium"]).fails(5, &["1 media"]);
    let moved = site.path("elsewhere");
    std::fs::rename(&medium, &moved).unwrap();
    site.set(&id, "active").fails(4, &["not mounted anywhere"]);
    serving.stop();
    let status = shosoin(&["vault", "status", "--dir", arg(&site.vault()), "--json"]).ok().json();
    assert_eq!(status["volumes_absent"], Value::Array(Vec::new()), "what is on a shelf is not missed");
    std::fs::rename(&moved, &medium).unwrap();
    let serving = site.serve();
    assert_eq!(site.state(&id), "active", "it was mounted when the vault was started");
    site.set(&id, "on-shelf").ok();
    site.set(&id, "active").ok();
    assert_eq!(site.volume(&["show", &id]).ok().json()["volume"]["mounted"], true);
    serving.stop();
}

#[test]
fn a_volume_that_cannot_be_listed_is_not_retired_or_emptied_and_is_whole_when_it_can_be_again() {
    let site = Site::new();
    let list = site.list();
    let (id, place) = (list[1]["label"]["id"].as_str().unwrap(), list[1]["place"].as_str().unwrap());
    let (folder, away) = (Path::new(place).join("segments"), Path::new(place).join("away"));
    std::fs::rename(&folder, &away).unwrap();
    std::fs::write(&folder, "no folder").unwrap();
    let serving = site.serve();
    let state = || {
        let status = shosoin(&["vault", "status", "--dir", arg(&site.vault()), "--json"]).ok().json();
        let volumes = status["volumes"].as_array().unwrap().iter();
        volumes.filter(|volume| volume["id"] == id).map(|volume| volume["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(state(), ["unlisted"]);
    for to in ["retired", "on-shelf"] {
        site.set(id, to).fails(4, &["could not be listed", "mount it anew", "set it to lost"]);
    }
    let emptied = shosoin(&["copy-forward", "--dir", arg(&site.vault()), "--volume", id]).fails(5, &[]);
    assert!(emptied.stdout.contains("what is on it is not known"), "{}", emptied.stdout);
    assert_eq!(state(), ["unlisted"], "and it is not retired");
    serving.stop();
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    let serving = site.serve();
    assert_eq!(state(), ["draining"]);
    site.set(id, "active").ok();
    site.set(id, "retired").fails(4, &["only copy"]);
    shosoin(&["check", "--dir", arg(&site.vault())]).ok();
    serving.stop();
}

#[test]
fn a_label_that_changed_under_the_ledger_is_found_by_stocktaking() {
    let site = Site::new();
    let mut serving = site.serve();
    let id = site.ids()[0].clone();
    site.volume(&["label", &id, "--firmware", "1.0", "--rack", "2", "--reason", "maker notice"]).ok();
    let place = PathBuf::from(site.volume(&["show", &id]).ok().json()["volume"]["place"].as_str().unwrap());
    let old = std::fs::read(place.join("label")).unwrap();
    site.volume(&["label", &id, "--firmware", "2.0"]).ok();
    for name in ["label", "label.bak"] {
        std::fs::write(place.join(name), &old).unwrap();
    }
    let report = site.volume(&["stocktake"]).fails(5, &[]).json();
    let why = report["differing"][0]["why"].as_str().unwrap();
    assert!(why.contains("firmware is \"1.0\", the ledger says \"2.0\""), "{why}");
    serving.kill();
    let status = shosoin(&["vault", "status", "--dir", arg(&site.vault()), "--json"]).ok().json();
    let stale = status["findings"].as_array().unwrap().iter().any(|finding| finding["code"] == "volume-stale");
    assert!(stale, "an old image is recognised: {status}");
    assert_eq!(site.state(&id), "suspect");
    site.set(&id, "active").fails(4, &["tour of it has passed clean"]);
}

#[test]
fn a_lost_volume_that_was_declared_so_is_not_waited_for_and_is_suspect_when_it_returns() {
    let site = Site::new();
    let list = site.list();
    let (id, place) = (list[2]["label"]["id"].as_str().unwrap(), list[2]["place"].as_str().unwrap());
    site.set(id, "lost").fails(4, &["is mounted and in use"]);
    let away = site.path("away");
    std::fs::rename(place, &away).unwrap();
    let status = || shosoin(&["vault", "status", "--dir", arg(&site.vault()), "--json"]).ok().json();
    assert_eq!(status()["volumes_absent"].as_array().unwrap().len(), 1);
    site.set(id, "lost").ok();
    assert_eq!(status()["volumes_absent"], Value::Array(Vec::new()));
    std::fs::rename(&away, place).unwrap();
    let toml = site.toml() + &format!("\n[[volume]]\npath = \"{place}\"\n");
    std::fs::write(site.vault().join("vault.toml"), toml).unwrap();
    let findings = status()["findings"].clone();
    assert!(findings.as_array().unwrap().iter().any(|finding| finding["code"] == "volume-returned"), "{findings}");
    assert_eq!(site.state(id), "suspect");
}

#[test]
fn a_volume_taken_out_of_the_configuration_by_hand_is_still_missed() {
    let site = Site::new();
    site.list();
    let toml = site.toml();
    let cut = toml.rfind("[[volume]]").unwrap();
    std::fs::write(site.vault().join("vault.toml"), &toml[..cut]).unwrap();
    let status = shosoin(&["vault", "status", "--dir", arg(&site.vault()), "--json"]).ok().json();
    assert_eq!(status["volumes_absent"].as_array().unwrap().len(), 1, "{status}");
}

#[test]
fn what_a_loss_would_cost_is_said_for_a_lot_and_refused_for_one_that_nobody_has() {
    let site = Site::new();
    let serving = site.serve();
    for id in site.ids().iter().take(3) {
        site.volume(&["label", id, "--lot", "L1"]).ok();
    }
    let report = site.volume(&["what-if", "--lose", "lot:L1"]).ok().json();
    let lost = report["lost"].as_u64().unwrap();
    assert!(lost > 0 && report["volumes"].as_array().unwrap().len() == 3, "{report}");
    assert!(!report["violations"].as_array().unwrap().is_empty(), "three of six in one lot: {report}");
    let one = site.volume(&["what-if", "--lose", &format!("volume:{}", &site.ids()[0][..8])]).ok().json();
    assert_eq!((one["lost"].as_u64(), one["degraded"].as_u64()), (Some(0), Some(lost)));
    site.volume(&["what-if", "--lose", "lot:L9"]).fails(3, &["lot:L9"]);
    site.volume(&["what-if", "--lose", "colour:red"]).fails(2, &["it is volume:ID"]);
    serving.stop();
}

#[test]
fn a_forecast_names_what_ends_and_draws_it() {
    let site = Site::new();
    let id = site.ids()[0].clone();
    site.volume(&["label", &id, "--first-use", "2020-01-01", "--rated-life", "5y"]).ok();
    let svg = site.path("forecast.svg");
    let vault = site.vault();
    let report =
        shosoin(&["forecast", "--dir", arg(&vault), "--months", "36", "--svg", arg(&svg), "--json"]).ok().json();
    assert_eq!(report["months"].as_array().unwrap().len(), 36);
    assert_eq!(report["expiring"][0]["volume"], id.as_str());
    assert_eq!(report["months"][0]["begin"][0], id.as_str(), "it is overdue");
    let drawing = std::fs::read_to_string(&svg).unwrap();
    assert!(drawing.starts_with("<svg") && drawing.matches("<rect").count() == 36, "{drawing}");
    let text = shosoin(&["forecast", "--dir", arg(&vault), "--months", "3"]).ok().stdout;
    assert!(text.contains("life ends 2024-12-31") && text.contains("reckoned with"), "{text}");
    shosoin(&["forecast", "--dir", arg(&vault), "--months", "0"]).fails(2, &["months"]);
}

#[test]
fn what_smartctl_says_is_recorded_and_another_devices_report_is_refused() {
    let site = Site::new();
    let id = site.ids()[0].clone();
    site.volume(&["label", &id, "--serial", "ZL2X", "--rated-life", "40000h"]).ok();
    let report = |serial: &str| {
        let text = format!(
            "{{\"smartctl\":{{}},\"serial_number\":\"{serial}\",\"smart_status\":{{\"passed\":true}},\"power_on_time\":{{\"hours\":31337}}}}"
        );
        std::fs::write(site.path("smart.json"), text).unwrap();
        site.volume(&["test", &id, "--smartctl", arg(&site.path("smart.json"))])
    };
    report("OTHER").fails(2, &["serial number OTHER"]);
    report("ZL2X").ok();
    let shown = site.volume(&["show", &id]).ok().json();
    assert_eq!(shown["volume"]["power_on_hours"], 31_337);
    assert_eq!(shown["tests"][0]["passed"], true);
    site.volume(&["test", &id]).fails(2, &["measurement"]);
    site.volume(&["test", &id, "--test", "surface", "--value", "3"]).fails(2, &["--passed or --failed"]);
}

#[test]
fn a_device_that_smartctl_cannot_ask_is_refused_and_nothing_is_recorded() {
    let site = Site::new();
    let id = site.ids()[0].clone();
    let refused = site.volume(&["test", &id, "--device", "/dev/no-such-disk"]);
    let reasons = ["could not ask the device", "no smartctl on this machine"];
    assert!(refused.code == 2 && reasons.iter().any(|why| refused.stderr.contains(why)), "{}", refused.stderr);
    assert!(site.volume(&["show", &id]).ok().json()["tests"].as_array().unwrap().is_empty());
}

#[test]
fn unknown_volumes_bad_words_and_long_labels_are_refused_with_the_rule() {
    let site = Site::new();
    let id = site.ids()[0].clone();
    site.volume(&["show", "feedfeed"]).fails(3, &["volume feedfeed is not in the ledger", "`shosoin volume list`"]);
    site.set("feedfeed", "draining").fails(3, &["feedfeed"]);
    site.set(&id, "broken").fails(2, &["it is one of new, active"]);
    site.volume(&["label", &id, "--vendor", &"x".repeat(241)]).fails(2, &["241 bytes", "240"]);
    site.volume(&["label", &id, "--vendor", "a\u{1b}[2J"]).fails(2, &["control characters"]);
    site.volume(&["label", &id, "--rated-life", "long"]).fails(2, &["5y"]);
    site.volume(&["add", arg(&site.path("nowhere")), "--security-label", "C3"]).fails(6, &["absent"]);
    site.volume(&["set-state", &id, "draining", "--reason", &"x".repeat(241)]).fails(2, &["reason", "240"]);
}

#[test]
fn a_medium_without_a_security_label_is_refused_and_those_of_a_new_vault_say_that_nobody_chose_one() {
    let site = Site::new();
    let medium = site.medium("new");
    site.volume(&["add", arg(&medium)]).fails(2, &["security label", "7.6.7-M8", "--security-label"]);
    site.volume(&["add", arg(&medium), "--security-label", " "]).fails(2, &["7.6.7-M8"]);
    assert_eq!(std::fs::read_dir(&medium).unwrap().count(), 0, "nothing was written to it");
    let list = site.list();
    assert!(list.iter().all(|volume| volume["label"]["security_label"] == "sealed medical records (default of init)"));
    let id = site.ids()[0].clone();
    site.volume(&["label", &id, "--security-label", ""]).fails(2, &["7.6.7-M8"]);
    site.volume(&["label", &id, "--security-label", "C3"]).ok();
    let text = shosoin(&["volume", "show", "--dir", arg(&site.vault()), &id]).ok().stdout;
    assert!(text.contains("security label C3"), "{text}");
    site.volume(&["stocktake"]).ok();
}

#[test]
fn with_windows_of_ten_hours_a_week_a_volume_begins_to_move_no_later_than_its_last_windows_allow() {
    let site = Site::new();
    let id = site.list().iter().find(|volume| volume["shards"].as_u64() > Some(0)).unwrap()["label"]["id"].clone();
    let id = id.as_str().unwrap();
    let start = || site.volume(&["show", id]).ok().json()["volume"]["latest_start_ms"].as_u64().unwrap();
    let around_the_clock = start();
    let toml = site.toml() + "\n[jobs]\nwindows = [\"Sat-Sat 20:00-06:00\"]\nutc_offset = \"+09:00\"\n";
    let toml = if site.toml().contains("[jobs]") {
        site.toml().replace("[jobs]", "[jobs]\nwindows = [\"Sat-Sat 20:00-06:00\"]\nutc_offset = \"+09:00\"")
    } else {
        toml
    };
    std::fs::write(site.vault().join("vault.toml"), toml).unwrap();
    let in_windows = start();
    let hour = 3_600_000;
    assert!(in_windows <= around_the_clock && around_the_clock - in_windows < 7 * 24 * hour, "{in_windows}");
    // Saturday 11:00 UTC to 21:00 UTC, in hours from the first moment of 1970, a Thursday
    let of_week = in_windows / hour % (7 * 24);
    assert!((2 * 24 + 11..2 * 24 + 21).contains(&of_week), "it begins in a window: hour {of_week}");
    let report = shosoin(&["forecast", "--dir", arg(&site.vault()), "--months", "90", "--json"]).ok().json();
    assert_eq!(report["hours_per_week"], 10);
    let expiring = report["expiring"].as_array().unwrap().iter().find(|expiring| expiring["volume"] == id).unwrap();
    assert_eq!(expiring["latest_start_ms"], in_windows);
    assert!(report["growth_basis"].as_str().unwrap().starts_with("guessed"));
}

#[test]
fn the_audit_log_is_verified_and_a_changed_byte_in_it_is_found_while_the_vault_opens() {
    let site = Site::new();
    let verify = || shosoin(&["audit", "verify", "--dir", arg(&site.vault()), "--json"]);
    let report = verify().ok().json();
    assert!(report["records"].as_u64().unwrap() > 10 && report["copies"].as_u64().unwrap() >= 2, "{report}");
    let log = site.vault().join("audit/000001.log");
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    for number in 1..=6 {
        let _ = std::fs::remove_dir_all(site.vault().join(format!("volumes/v0{number}/audit"))); // nothing mends it
    }
    let report = verify().fails(5, &["damaged audit log"]).json();
    let codes: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"audit-damaged"), "{codes:?}");
}

#[test]
fn a_lost_audit_folder_is_taken_from_the_volumes_with_the_ledger_in_it() {
    let site = Site::new();
    let id = site.ids()[0].clone();
    site.volume(&["label", &id, "--vendor", "Acme"]).ok();
    std::fs::remove_dir_all(site.vault().join("audit")).unwrap();
    let status = shosoin(&["vault", "status", "--dir", arg(&site.vault()), "--json"]).ok().json();
    let restored = status["findings"].as_array().unwrap().iter().any(|finding| finding["code"] == "audit-restored");
    assert!(restored, "{status}");
    let shown = site.volume(&["show", &id]).ok().json();
    assert_eq!(shown["volume"]["label"]["vendor"], "Acme");
    assert!(Path::new(&site.vault().join("audit/head")).is_file());
    shosoin(&["audit", "verify", "--dir", arg(&site.vault())]).ok();
}
