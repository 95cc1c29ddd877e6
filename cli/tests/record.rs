//! The life of a record, on the record: asset ledger, reconciliation and statement of applicability, through the real
//! binary, on a site with records of several kinds.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use shosoin_protocol::reconciliation::{Account, Amount, Reconciliation};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{Digest, Suite};
use std::collections::BTreeMap;
use std::path::PathBuf;
use support::{Done, Serving, arg, shosoin};
use tempfile::TempDir;

/// A site of `up`, stopped, with seven records of three kinds.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap() };
        Serving::start(&["up", "--dir", arg(&site.root()), "--s3", "127.0.0.1:0"]).stop();
        let buckets = [
            ("charts", vec!["--record-type", "T4-01", "--label", "sensitive", "--retention-days", "1827"], 3),
            ("scans", vec!["--record-type", "T5-03"], 2),
            ("other", Vec::new(), 2),
        ];
        for (bucket, policy, count) in buckets {
            let root = site.root();
            let create = ["bucket", "create", "--dir", arg(&root), bucket];
            shosoin(&[&create[..], &policy[..]].concat()).ok();
            for number in 1..=count {
                let file = site.path("record");
                std::fs::write(&file, format!("{bucket} {number} ").repeat(2_000 * number)).unwrap();
                let name = format!("{number}.dcm");
                shosoin(&["put", "--dir", arg(&site.root()), bucket, &name, arg(&file)]).ok();
            }
        }
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("site")
    }

    fn vault(&self) -> PathBuf {
        self.path("site/vault")
    }

    fn run(&self, command: &[&str], more: &[&str]) -> Done {
        shosoin(&[command, &["--dir", arg(&self.root()), "--json"], more].concat())
    }

    fn numbers(&self, more: &[&str]) -> Vec<u64> {
        let page = self.run(&["assets", "list"], more).ok().json();
        page["assets"].as_array().unwrap().iter().map(|asset| asset["number"].as_u64().unwrap()).collect()
    }

    fn statement(&self, more: &[&str]) -> BTreeMap<String, Value> {
        let statement = self.run(&["applicability", "--lang", "en"], more).ok().json();
        assert_eq!(statement["edition"], "2");
        let lines = statement["controls"].as_array().unwrap().iter();
        lines.map(|line| (line["id"].as_str().unwrap().to_owned(), line.clone())).collect()
    }

    fn audit(&self, action: &str) -> Vec<Value> {
        let shown = shosoin(&["audit", "show", "--dir", arg(&self.vault()), "--action", action, "--json"]).ok().json();
        shown["records"].as_array().unwrap().clone()
    }
}

#[test]
fn every_deposit_is_in_the_asset_ledger_filtered_sorted_and_exported_7_2_1_m2_m3_s2() {
    let site = Site::new();
    let all = site.numbers(&[]);
    assert_eq!(all.len(), 7, "one entry per deposit, and none for buckets and devices");
    assert!(all.is_sorted());
    let charts = site.numbers(&["--type", "T4-01"]);
    assert_eq!((charts.len(), site.numbers(&["--label", "sensitive"])), (3, charts.clone()));
    assert_eq!(site.numbers(&["--retention", "start-unknown"]), charts, "a term without a start has no end (1.1-R1)");
    assert_eq!(site.numbers(&["--retention", "none"]).len(), 4);
    assert_eq!(site.numbers(&["--state", "disposed"]).len(), 0);
    assert_eq!(site.numbers(&["--since", "2999-01-01"]).len(), 0);

    let by_size = site.numbers(&["--order", "bytes", "--descending"]);
    let first = site.run(&["assets", "list"], &["--order", "bytes", "--descending", "--limit", "3"]).ok().json();
    assert_eq!((first["matched"].as_u64(), first["assets"].as_array().unwrap().len()), (Some(7), 3));
    let next = first["next"].as_str().unwrap();
    let rest = site.numbers(&["--order", "bytes", "--descending", "--after", next]);
    assert_eq!(rest, by_size[3..], "the next page begins where the first ended");

    let asset = shosoin(&["assets", "show", "--dir", arg(&site.root()), "--json", &charts[0].to_string()]).ok().json();
    assert_eq!((asset["kind"].as_str(), asset["business"].as_str()), (Some("T4-01"), Some("treatment")));
    assert_eq!(asset["media"].as_array().unwrap().len(), 6, "the volumes of its shards");
    assert_eq!(
        (asset["arisen"]["term_days"].as_u64(), &asset["arisen"]["planned_disposal_ms"]),
        (Some(1827), &Value::Null)
    );
    assert_eq!(
        (asset["history"][0]["what"].as_str(), asset["location"]["complete"].as_bool()),
        (Some("stored"), Some(true))
    );

    let csv = shosoin(&["assets", "export", "--dir", arg(&site.root()), "--format", "csv"]).ok().stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 8);
    assert!(lines.iter().all(|line| line.split(',').count() == 21), "{csv}");
    let json = shosoin(&["assets", "export", "--dir", arg(&site.root()), "--format", "json"]).ok().stdout;
    for text in [&csv, &json] {
        for named in ["dcm", "charts", "scans"] {
            assert!(!text.contains(named), "7.2-R2: {named} in {text}");
        }
    }

    let before = site.run(&["assets", "list"], &[]).ok().json()["assets"].clone();
    shosoin(&["vault", "rebuild", "--dir", arg(&site.vault())]).ok();
    assert_eq!(site.run(&["assets", "list"], &[]).ok().json()["assets"], before, "made anew from media");
    assert!(site.audit("assets-read").len() >= 10, "every reading is on the record");
}

#[test]
fn who_is_no_reader_of_the_asset_ledger_is_refused_on_the_record_7_2_1_m4_m5() {
    let site = Site::new();
    let toml = site.vault().join("vault.toml");
    let text = std::fs::read_to_string(&toml).unwrap();
    let moved =
        text.replacen("[[volume]]", "[assets]\nmanager = \"op-7\"\nreaders = [\"nobody-here\"]\n\n[[volume]]", 1);
    std::fs::write(&toml, moved).unwrap();
    for command in [&["assets", "list"][..], &["reconcile", "sign"], &["applicability"]] {
        site.run(command, &[]).fails(4, &["may not read the asset ledger"]);
    }
    let refused = site.audit("assets-read");
    assert_eq!(refused.len(), 3);
    assert!(refused.iter().all(|record| record["outcome"] == "refused" && record["actor"] != ""), "{refused:?}");
}

#[test]
fn what_was_received_is_what_is_held_and_a_loss_is_named_to_the_hospital_8_2_r4() {
    let site = Site::new();
    site.run(&["reconcile", "verify"], &[]).fails(3, &["reconciliation of hospital"]);
    let signed = site.run(&["reconcile", "sign"], &[]).ok().json();
    assert_eq!((signed["received"]["count"].as_u64(), signed["held"]["count"].as_u64()), (Some(7), Some(7)));
    let checked = site.run(&["reconcile", "verify"], &[]).ok().json();
    assert_eq!((checked["agrees"].as_bool(), checked["counted"].as_u64()), (Some(true), Some(7)));

    let account = PathBuf::from(signed["file"].as_str().unwrap());
    let mut altered = std::fs::read(&account).unwrap();
    altered[104] ^= 1; // one more is said to be held
    std::fs::write(site.path("altered"), altered).unwrap();
    site.run(&["reconcile", "verify"], &["--account", arg(&site.path("altered"))]).fails(5, &["signature"]);

    // what a vault would sign that received something else, or lost something
    let account = Reconciliation::decode(&std::fs::read(&account).unwrap()).unwrap().account;
    let key_file = std::fs::read(site.vault().join("vault.key")).unwrap();
    let seed: [u8; 32] = key_file[24..56].try_into().unwrap();
    let key = SigningKey::from_seed(Suite::Default, &seed.into()).unwrap();
    let says = |changed: Account| {
        std::fs::write(site.path("changed"), Reconciliation::sign(changed, &key).encode()).unwrap();
        let checked = site.run(&["reconcile", "verify"], &["--account", arg(&site.path("changed"))]).fails(5, &[]);
        checked.json()["findings"].to_string()
    };
    let chart = site.numbers(&["--type", "T4-01"])[1];
    let one = Amount { count: 1, bytes: 100 };
    let held = Amount { count: account.held.count - 1, bytes: account.held.bytes - 100 };
    let lost = says(Account { held, missing: one, missing_leaves: vec![chart], ..account.clone() });
    assert!(lost.contains(&format!("leaf {chart}")) && lost.contains("charts/2.dcm"), "{lost}");
    let more = Amount { count: 8, ..account.received };
    let wrong = says(Account { received: more, ..account.clone() });
    assert!(wrong.contains("deposits received: the vault says 8, the log has 7"), "{wrong}");
    let root = says(Account { log_root: Digest([9; 32]), ..account.clone() });
    assert!(root.contains("root: the account is about root 0909"), "{root}");
    let ahead = says(Account { log_size: account.log_size + 1, ..account.clone() });
    assert!(ahead.contains("log: the account is about"), "{ahead}");

    // more volumes away than the code survives: nothing can be shown, and the account says so
    for volume in ["v01", "v02", "v03"] {
        std::fs::rename(site.vault().join("volumes").join(volume), site.path(volume)).unwrap();
    }
    let short = site.run(&["reconcile", "sign"], &[]);
    assert_ne!(short.code, 0, "{}", short.stdout);
    for volume in ["v01", "v02", "v03"] {
        std::fs::rename(site.path(volume), site.vault().join("volumes").join(volume)).unwrap();
    }
    site.run(&["reconcile", "sign"], &[]).ok();
    assert!(site.audit("reconciled").len() >= 2);
}

#[test]
fn the_statement_has_every_control_and_is_met_only_where_something_was_measured_7_1_1_s3() {
    let site = Site::new();
    let before = site.statement(&[]);
    assert_eq!(before.len(), 392);
    let state = |lines: &BTreeMap<String, Value>, id: &str| lines[id]["state"].as_str().unwrap().to_owned();
    for line in before.values() {
        let fields: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["duty", "evidence", "id", "measured_at", "state"]);
        let (state, measured) = (line["state"].as_str().unwrap(), line["measured_at"].as_str());
        assert!(["met", "not-met", "not-shown", "organisation"].contains(&state), "{line}");
        assert!(line["duty"] != "organisation" || state == "organisation", "{line}");
        if ["met", "not-met"].contains(&state) {
            assert!(measured.is_some_and(|at| at.ends_with('Z')), "{line}");
            assert!(line["evidence"].as_str().unwrap().starts_with('['), "names the check that ran: {line}");
        }
    }
    assert_eq!(state(&before, "8.2-R4"), "not-shown", "no account was signed yet");
    assert_eq!(state(&before, "7.6.7-M7"), "not-met", "a demonstration on one device is no RAID-6");
    assert_eq!(state(&before, "8.1-R3"), "met");
    assert_eq!(state(&before, "7.6.12-M1"), "met");
    assert_eq!(state(&before, "7.6.14-PW-M2"), "not-shown");

    site.run(&["reconcile", "sign"], &[]).ok();
    let register = "[[attestation]]\ncontrol = \"2.1-R1\"\nowner = \"CISO\"\ndocument = \"ISMS certificate\"\nreviewed = \"2026-04-01\"\n";
    std::fs::write(site.vault().join("attestations.toml"), register).unwrap();
    let after = site.statement(&[]);
    assert_eq!((state(&after, "8.2-R4"), state(&after, "7.2.1-M2")), ("met".into(), "met".into()));
    assert!(after["2.1-R1"]["evidence"].as_str().unwrap().contains("ISMS certificate"));
    assert_eq!(after["2.1-R1"]["measured_at"], "2026-04-01");

    // one byte of the audit log, and no copy to mend it from: what was met a moment ago is not any more
    for volume in 1..=6 {
        let _ = std::fs::remove_dir_all(site.vault().join(format!("volumes/v0{volume}/audit")));
    }
    let log = site.vault().join("audit/000001.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&log, &bytes).unwrap();
    let tampered = site.statement(&[]);
    assert_eq!(state(&tampered, "7.6.12-M1"), "not-met", "{}", tampered["7.6.12-M1"]["evidence"]);

    for (lang, title) in [("ja", "適用宣言書"), ("en", "Statement of applicability")] {
        let root = site.root();
        let arguments = ["applicability", "--dir", arg(&root), "--format", "html", "--lang", lang];
        let page = shosoin(&arguments).ok().stdout;
        assert!(page.contains(title) && page.matches("<tr id=\"c-").count() == 392);
        let text = shosoin(&["applicability", "--dir", arg(&site.root()), "--lang", lang]).ok().stdout;
        assert!(text.contains("7.6.12-M1"));
    }
}

#[test]
fn a_served_vault_answers_the_same_through_its_socket() {
    let site = Site::new();
    let stopped = site.run(&["assets", "list"], &[]).ok().json()["assets"].clone();
    let serving = Serving::start(&["vault", "serve", "--dir", arg(&site.vault()), "--listen", "127.0.0.1:0"]);
    assert_eq!(site.run(&["assets", "list"], &[]).ok().json()["assets"], stopped);
    assert_eq!(site.run(&["reconcile", "sign"], &[]).ok().json()["balances"], true);
    let lines = site.statement(&[]);
    assert_eq!(lines["7.6.8-M4"]["state"], "not-shown", "only a part of it is measured");
    assert_eq!(lines["7.4-R3"]["state"], "met", "{}", lines["7.4-R3"]["evidence"]);
    serving.stop();
}
