//! Proof against the operator, through the real binary: audits, evidence, and whoever judges it with public keys alone.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use std::os::unix::fs::FileExt as _;
use support::site::Site;
use support::{arg, shosoin};

/// The public keys of a site, as an outsider is given them.
fn keys(site: &Site) -> (String, String) {
    let keys = shosoin(&["evidence", "keys", "--dir", site.arg(), "--json"]).ok().json();
    let key = |name: &str| keys[name].as_str().unwrap().to_owned();
    (key("vault_key"), key("hospital_key"))
}

fn judge(site: &Site, file: &str) -> support::Done {
    let (vault, hospital) = keys(site);
    shosoin(&["evidence", "verify", file, "--vault-key", &vault, "--hospital-key", &hospital, "--json"])
}

#[test]
fn an_audit_of_a_sound_vault_holds_and_its_report_is_judged_offline_3_4_r1() {
    let site = Site::new("6", 3);
    let (report, receipts) = (site.path("report.txt"), site.path("receipts"));
    std::fs::create_dir(&receipts).unwrap();
    let (file, receipt) = (site.path("more"), receipts.join("one"));
    std::fs::write(&file, b"with a receipt").unwrap();
    shosoin(&["put", "records", "more", arg(&file), "--dir", site.arg(), "--receipt", arg(&receipt)]).ok();
    let audit = ["audit-vault", "--dir", site.arg(), "--confidence", "0.99", "--damage", "0.1", "--json"];
    let more = ["--report", arg(&report), "--receipts", arg(&receipts)];
    let audited = shosoin(&[&audit[..], &more[..]].concat()).ok().json();
    assert_eq!((&audited["holds"], &audited["receipts"]), (&Value::Bool(true), &1.into()));
    assert!(audited["population"].as_u64().unwrap() > audited["sample"].as_u64().unwrap());
    assert_eq!(audited["given"], audited["sample"]);
    let judged = judge(&site, arg(&report)).ok().json();
    assert_eq!((&judged["class"], &judged["against"]), (&"audit".into(), &"nobody".into()));
    assert!(judged["attested_by"].is_string());
    let mut text = std::fs::read_to_string(&report).unwrap();
    text = text.replacen("failed 0", "failed 1", 1);
    std::fs::write(&report, text).unwrap();
    let refused = judge(&site, arg(&report)).fails(5, &["prove nothing"]);
    assert_eq!(refused.json()["holds"], false);
    shosoin(&["audit-vault", "--dir", site.arg(), "--confidence", "1.5"]).fails(2, &["confidence"]);
}

#[test]
fn a_vault_that_lost_a_record_signs_that_and_anyone_can_judge_it_6_1_r5() {
    let site = Site::with_records_of(3_000_000, "6", 2);
    for number in 1..=3 {
        // the chunks of a large record come before its entry, so the ledger stays whole
        let shards = site.shards(&site.volume(number));
        let largest =
            shards.iter().max_by_key(|path| (std::fs::metadata(path).unwrap().len(), path.file_name())).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(largest).unwrap();
        file.write_all_at(&[0xa5; 64], 100_000).unwrap();
    }
    let audit = ["audit-vault", "--dir", site.arg(), "--confidence", "0.999999", "--damage", "0.01", "--json"];
    let audited = shosoin(&audit).fails(5, &["failed the audit"]).json();
    assert_eq!(audited["holds"], false);
    let failures = audited["failures"].as_array().unwrap();
    let file = failures.iter().find_map(|failure| failure["evidence"].as_str()).expect("evidence is kept");
    let judged = judge(&site, file).ok().json();
    assert_eq!((&judged["class"], &judged["against"]), (&"loss".into(), &"vault".into()), "{judged}");
    let own = shosoin(&["evidence", "verify", file, "--dir", site.arg()]).ok().stdout;
    assert!(own.contains("against    the vault"), "{own}");
    let foreign = Site::new("6", 0);
    let (vault, hospital) = keys(&foreign);
    let by_other_keys = ["evidence", "verify", file, "--vault-key", &vault, "--hospital-key", &hospital];
    shosoin(&by_other_keys).fails(5, &["prove nothing"]);
}
