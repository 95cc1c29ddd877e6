//! What is on the record of everybody, through the real binary: who read what and from where, when the log itself began and
//! ended, what the vault is run with, and what happens when there is no room for the log.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use support::halves::Halves;
use support::site::Site;
use support::{Serving, arg, shosoin};

fn shown(site: &Site, more: &[&str]) -> Vec<Value> {
    let shown = site.vault(&[&["audit", "show"], more].concat()).ok().json();
    shown["records"].as_array().unwrap().clone()
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_default()
}

#[test]
fn reads_are_found_by_worker_number_time_kind_and_outcome_7_6_12_s2_s3() {
    let site = Site::with_records_of(20_000, "6", 2);
    site.assert_exact();
    let reads = shown(&site, &["--action", "records-read"]);
    let ended: Vec<&Value> = reads.iter().filter(|read| read["outcome"] == "done").collect();
    assert!(reads.iter().any(|read| read["outcome"] == "begun") && !ended.is_empty());
    assert!(reads.iter().all(|read| text(read, "actor").starts_with("device:") && read["hospital"].is_string()));
    let opened = |read: &&Value| read["detail"]["numbers"].as_array().map_or(0, Vec::len);
    assert!(ended.iter().map(opened).sum::<usize>() >= 2, "{ended:?}");
    assert!(ended.iter().all(|read| read["bytes"].as_u64() > Some(0) && read["units"].as_u64() > Some(0)));

    let page = site.vault(&["assets", "list"]).ok().json();
    let number = page["assets"][0]["number"].to_string();
    site.vault(&["assets", "show", &number]).ok();
    let about = shown(&site, &["--number", &number, "--order", "actor"]);
    let kinds: Vec<&str> = about.iter().map(|record| text(record, "action")).collect();
    assert!(kinds.contains(&"assets-read") && kinds.contains(&"records-read"), "{kinds:?}");
    assert!(about.is_sorted_by_key(|record| text(record, "actor").to_owned()));
    let other = page["assets"][1]["number"].to_string();
    assert!(shown(&site, &["--number", &other]).iter().all(|record| text(record, "action") != "assets-read"));
    let device = text(ended[0], "actor");
    assert!(shown(&site, &["--actor", device]).iter().all(|record| text(record, "action") == "records-read"));
    assert_eq!(shown(&site, &["--actor", device, "--since", "2999-01-01"]), Vec::<Value>::new());
    assert_eq!(shown(&site, &["--actor", device, "--outcome", "refused"]), Vec::<Value>::new());
    assert_eq!(shown(&site, &["--address", "192.0.2.1"]), Vec::<Value>::new());
    let looks = shown(&site, &["--action", "log-read"]);
    assert!(looks.len() >= 6, "whoever looks is in the log: {}", looks.len());
}

#[test]
fn the_whole_log_is_exported_in_both_forms_and_the_export_is_in_it() {
    let site = Site::with_records_of(20_000, "6", 1);
    let json = site.vault(&["audit", "export", "--format", "json"]).ok().stdout;
    let records: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seqs: Vec<u64> = records.iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "from the first, without gaps");
    let csv = site.vault(&["audit", "export", "--format", "csv"]).ok().stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("seq,time,duration_ms,actor,source,action,outcome"), "{}", lines[0]);
    assert!(lines.len() > records.len() && lines[1].contains(",log-started,"), "{}", lines[1]);
    let exports = shown(&site, &["--action", "log-read"]);
    assert_eq!(exports.iter().filter(|look| text(look, "reason") == "export").count(), 2);
    let only = site.vault(&["audit", "export", "--format", "json", "--action", "vault-started"]).ok().stdout;
    assert!(only.lines().all(|line| line.contains("\"vault-started\"")) && !only.is_empty());
}

#[test]
fn start_and_stop_of_vault_and_log_are_on_record_and_so_is_a_stop_that_was_none_7_6_12_s2() {
    let site = Site::with_records_of(20_000, "6", 0);
    site.up().kill();
    site.up().stop();
    let started = shown(&site, &["--action", "log-started"]);
    let outcomes: Vec<&str> = started.iter().map(|record| text(record, "outcome")).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "findings").count(), 1, "{outcomes:?}");
    let unclean = started.iter().find(|record| record["outcome"] == "findings").unwrap();
    assert!(text(unclean, "reason").contains("did not say that it stopped"));
    let stopped = shown(&site, &["--action", "log-stopped"]);
    assert_eq!(stopped.len() + 1, started.len(), "the killed one has none");
    let order = ["log-started", "vault-started", "vault-stopped", "log-stopped"];
    let ends = shown(&site, &order.iter().flat_map(|action| ["--action", action]).collect::<Vec<_>>());
    assert_eq!(ends.iter().take(4).map(|record| text(record, "action")).collect::<Vec<_>>(), order);
}

#[test]
fn changed_settings_and_a_changed_program_are_on_record_with_what_they_were_7_6_12_s2() {
    let site = Site::with_records_of(20_000, "6", 0);
    assert_eq!(shown(&site, &["--action", "program-changed"]).len(), 1, "as it was met first");
    let path = site.path("vault/vault.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{before}\n[audit]\nreserve_mib = 7\n")).unwrap();
    site.up().stop();
    site.up().stop();
    let changes = shown(&site, &["--action", "settings-changed"]);
    let reasons: Vec<&str> = changes.iter().map(|record| text(record, "reason")).collect();
    assert_eq!(reasons, ["as they were met first", "changed: audit.reserve_mib"]);
    let digest = text(&changes[1]["detail"]["content"], "digest").to_owned();
    let kept = std::fs::read_to_string(site.path(&format!("vault/audit/settings/{digest}.toml"))).unwrap();
    assert!(kept.contains("reserve_mib = 7"));
}

/// Fills a folder until only `left` bytes are free.
fn fill(folder: &Path, left: u64) {
    let free = Command::new("stat").args(["-f", "-c", "%a %S", arg(folder)]).output().unwrap().stdout;
    let free: u64 =
        String::from_utf8(free).unwrap().split_whitespace().map(|part| part.parse::<u64>().unwrap()).product();
    std::fs::write(folder.join("filler"), vec![1; usize::try_from(free.saturating_sub(left)).unwrap()]).unwrap();
}

#[test]
fn when_the_disk_of_the_log_is_full_nothing_begins_reads_go_on_and_no_record_is_lost_7_6_12_m5() {
    let site = Site::with_records_of(20_000, "6", 1);
    let (log, apart) = (site.path("vault/audit"), site.path("audit-before"));
    std::fs::rename(&log, &apart).unwrap();
    std::fs::create_dir(&log).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs", arg(&log)]).output();
    if !mounted.is_ok_and(|done| done.status.success()) {
        println!("no right to mount a small disk here: a full one is not tried");
        return;
    }
    let _unmount = Unmount(log.clone());
    assert!(Command::new("cp").args(["-a", arg(&apart.join(".")), arg(&log)]).status().unwrap().success());
    let path = site.path("vault/vault.toml");
    let settings = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{settings}\n[audit]\nreserve_mib = 2\n")).unwrap();
    let serving: Serving = site.up();
    site.vault(&["volume", "stocktake"]).ok();
    fill(&log, 1 << 20);
    site.vault(&["volume", "stocktake"]).fails(6, &["nothing was begun", "make room there"]);
    site.job(&["scrub"]).fails(6, &["nothing was begun"]);
    let status = site.vault(&["vault", "status"]).ok().json();
    assert!(status["findings"].to_string().contains("log-space"), "{}", status["findings"]);
    std::fs::remove_file(log.join("filler")).unwrap();
    site.vault(&["volume", "stocktake"]).ok();
    site.job(&["scrub"]).ok();
    fill(&log, 100 << 10);
    serving.stop();
    std::fs::remove_file(log.join("filler")).unwrap();
    site.vault(&["audit", "verify"]).ok();
    let seqs: Vec<u64> = shown(&site, &[]).iter().map(|record| record["seq"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
}

/// Takes a small disk away again.
struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn an_incident_is_in_the_ledger_with_its_scene_as_it_was_4_3_r1_r5() {
    let site = Site::with_records_of(20_000, "6", 1);
    let evidence = site.path("seen.txt");
    std::fs::write(&evidence, "somebody was here").unwrap();
    let state = ["incident", "state", "--class", "access", "--severity", "grave", "--scene", arg(&evidence)];
    let stated = site.vault(&state).ok().json();
    assert_eq!(stated["stated"].as_array().unwrap().len(), 1);
    let listed = || site.vault(&["incident", "list"]).ok().json()["incidents"][0].clone();
    let one = listed();
    assert_eq!((text(&one, "class"), text(&one, "severity")), ("access", "grave"));
    assert_eq!((&one["scene"], text(&one, "scene_state")), (&stated["scene"], "as it was"));
    let scene = site.path(&format!("vault/incidents/{}", text(&stated, "incident")));
    assert!(scene.join("audit/000001.log").is_file() && scene.join("status.json").is_file());
    std::fs::write(scene.join("given/00-seen.txt"), "nobody was here").unwrap();
    assert_eq!(text(&listed(), "scene_state"), "changed");
    std::fs::remove_dir_all(&scene).unwrap();
    assert_eq!(text(&listed(), "scene_state"), "missing");
    let records = shown(&site, &["--action", "incident-stated"]);
    let told = records.iter().find(|record| record["outcome"] == "done").unwrap();
    assert_eq!((&told["detail"]["content"]["digest"], &told["number"]), (&stated["scene"], &one["leaf_index"]));
    site.vault(&["incident", "state", "--class", "boredom", "--severity", "grave"]).fails(2, &["it is one of loss"]);
    site.job(&["check"]).ok();
}

/// What `shosoin notices` shows, a line each.
fn notices(site: &Site, more: &[&str]) -> Vec<Value> {
    let told = site.job(&[&["notices"], more].concat()).ok().stdout;
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_the_operator_told_is_read_from_the_ledger_and_what_is_new_is_shown_once_3_4_r6_3_4_all_p2_4_3_r1() {
    let site = Site::with_records_of(20_000, "6", 1);
    assert_eq!(notices(&site, &[]), Vec::<Value>::new());
    let state = |class| ["incident", "state", "--class", class, "--severity", "grave"];
    let stated = site.vault(&state("loss")).ok().json();
    let kinds = |told: &[Value]| told.iter().map(|one| text(one, "class").to_owned()).collect::<Vec<_>>();
    let peeked = notices(&site, &["--peek"]);
    assert_eq!((kinds(&peeked), &peeked[0]["scene"]), (vec!["loss".to_owned()], &stated["scene"]));
    assert_eq!(peeked[0]["leaf_index"], stated["stated"][0]["leaf_index"]);
    assert_eq!(notices(&site, &[]), peeked, "a look that was not remembered changed nothing");
    assert_eq!(notices(&site, &[]), Vec::<Value>::new(), "shown once");
    site.vault(&state("access")).ok();
    let both = notices(&site, &["--all", "--peek"]);
    assert_eq!(kinds(&both), ["loss", "access"]);
    assert_eq!([&both[0]["new"], &both[1]["new"]], [false, true]);
    assert_eq!(notices(&site, &["--since", "2999-01-01"]), Vec::<Value>::new());
    assert_eq!(kinds(&notices(&site, &["--since", "2026-01-01"])), ["loss", "access"]);
    assert_eq!(notices(&site, &[]), Vec::<Value>::new());
    let shown = shosoin(&["notices", "--all", "--dir", site.arg()]).ok().stdout;
    assert!(shown.lines().count() == 2 && shown.contains("grave: access, noticed "), "{shown}");
}

#[test]
fn whoever_follows_is_told_as_soon_as_the_operator_says_something_3_4_all_p2() {
    let halves = Halves::new();
    let vault = halves.serve_vault();
    let (url, fingerprint) = (vault.field("url"), halves.make_hospital("h"));
    halves.enrol("h", &["--fingerprint", &fingerprint]).ok();
    halves.hospital("h", &url, &["ls"]).ok();
    let (folder, hospital, passphrase) = (halves.path("vault"), halves.path("h"), halves.path("passphrase"));
    let state = |class| {
        let state = ["incident", "state", "--class", class, "--severity", "serious", "--dir", arg(&folder), "--json"];
        shosoin(&state).ok().json()
    };
    state("malware");
    let mut following = Command::new(support::binary())
        .args(["notices", "--follow", "--every", "1", "--json", "--dir", arg(&hospital), "--vault-url", &url])
        .args(["--vault-pin", &halves.pin, "--passphrase-file", arg(&passphrase)])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = std::io::BufRead::lines(std::io::BufReader::new(following.stdout.take().unwrap()));
    let mut next = || serde_json::from_str::<Value>(&told.next().unwrap().unwrap()).unwrap();
    assert_eq!(text(&next(), "class"), "malware");
    state("outage"); // while the hospital follows
    assert_eq!(text(&next(), "class"), "outage");
    Command::new("kill").arg(following.id().to_string()).status().unwrap();
    assert!(following.wait().unwrap().success(), "SIGTERM ends it in order");
    assert_eq!(halves.hospital("h", &url, &["notices"]).ok().stdout, "", "both were shown, and that is remembered");
    vault.stop();
}

/// A month that is over for certain.
const MONTH: &str = "2020-02";

#[test]
fn a_report_is_on_the_record_of_the_hospital_and_so_is_its_remark_4_2_r3() {
    let site = Site::with_records_of(20_000, "6", 2);
    site.job(&["remark", MONTH, "agreed"]).fails(2, &["no report"]);
    let made = site.vault(&["report", "make", MONTH]).ok().json();
    let told = notices(&site, &[]);
    assert_eq!((text(&told[0], "kind"), text(&told[0], "month")), ("report", MONTH));
    assert_eq!((&told[0]["digest"], &told[0]["id"]), (&made["digest"], &made["act"]));
    assert_eq!((&told[0]["held"], &told[0]["received"]), (&2.into(), &0.into()));
    let again = site.vault(&["report", "make", MONTH]).ok().json();
    assert_eq!((&again["made"], &again["act"]), (&false.into(), &made["act"]), "on the record once");
    assert_eq!(notices(&site, &[]), Vec::<Value>::new());

    let words = site.path("remark.txt");
    std::fs::write(&words, "保管件数が当院の台帳と一致しません").unwrap();
    let said = site.job(&["remark", MONTH, "objects", "--text", arg(&words)]).ok().json();
    site.job(&["remark", MONTH, "agreed"]).ok();
    site.job(&["remark", MONTH, "delighted"]).fails(2, &["agreed, objects, asks"]);
    let shown = site.vault(&["report", "show", MONTH, "--text", arg(&words)]).ok().json();
    let remarks = shown["remarks"].as_array().unwrap();
    assert_eq!(remarks.iter().map(|one| text(one, "word")).collect::<Vec<_>>(), ["objects", "agreed"]);
    assert_eq!(
        (&remarks[0]["text"], &remarks[0]["id"], &remarks[1]["text"]),
        (&said["text"], &said["id"], &Value::Null)
    );
    std::fs::write(&words, "一致しました").unwrap();
    site.vault(&["report", "show", MONTH, "--text", arg(&words)]).fails(2, &["no remark on this report"]);
    site.job(&["check"]).ok();
}
