//! An agreement from its draft to a deposit, between two halves that meet over mutual TLS alone.

mod support;

use support::halves::Halves;
use support::{arg, bytes, shosoin};

#[test]
fn both_sides_draft_sign_and_show_and_nothing_is_taken_before_7_6_8_m1() {
    let halves = Halves::new();
    halves.require_agreements();
    let served = halves.serve_vault();
    let (url, vault) = (served.field("url"), halves.path("vault"));
    let fingerprint = halves.make_hospital("h");
    halves.enrol("h", &["--fingerprint", &fingerprint]).ok();
    let hospital = |command: &[&str]| halves.hospital("h", &url, command);
    let create = ["bucket", "create", "records", "--record-type", "T4-01", "--retention-days", "1827"];
    hospital(&create).fails(4, &["no agreement with it is signed"]);

    let [terms, half, both] = ["terms.toml", "half.shag", "both.shag"].map(|name| halves.path(name));
    hospital(&["agreement", "draft", "--out", arg(&terms)]).ok();
    let text = std::fs::read_to_string(&terms).unwrap().replace("quota = \"10 TiB\"", "quota = \"1 MiB\"");
    std::fs::write(&terms, text.replace("scanning = \"required\"", "scanning = \"off\"")).unwrap();
    hospital(&["agreement", "sign", arg(&terms), "--out", arg(&half)]).fails(4, &["give --yes"]);
    let signed = hospital(&["agreement", "sign", arg(&terms), "--out", arg(&half), "--yes"]).ok().json();
    assert!(signed["leaf_index"].is_null(), "{signed}");
    let seen = shosoin(&["agreement", "show", "--file", arg(&half), "--json"]).ok().json();
    assert_eq!((&seen["signed_by_hospital"], &seen["signed_by_operator"]), (&true.into(), &false.into()));
    hospital(&create).fails(4, &["no agreement with it is signed"]);

    let operator = |command: &[&str]| shosoin(&[command, &["--dir", arg(&vault), "--json"]].concat());
    let signed = operator(&["agreement", "sign", arg(&half), "--out", arg(&both), "--yes"]).ok().json();
    assert!(signed["leaf_index"].is_u64(), "{signed}");
    operator(&["agreement", "sign", arg(&half), "--out", arg(&halves.path("again")), "--yes"])
        .fails(2, &["older than"]);
    let shown = operator(&["agreement", "show"]).ok().json();
    assert_eq!((&shown["in_force"], &shown["required"]), (&1.into(), &true.into()));
    let clauses = shown["shown"]["clauses"].as_array().unwrap().clone();
    assert_eq!(hospital(&["agreement", "show"]).ok().json()["shown"]["clauses"].as_array().unwrap(), &clauses);

    hospital(&create).ok();
    let file = halves.path("file");
    std::fs::write(&file, bytes(1, 700_000)).unwrap();
    hospital(&["put", "records", "a", arg(&file)]).ok();
    hospital(&["put", "records", "b", arg(&file)]).fails(4, &["quota of 1048576 bytes"]);
    hospital(&["bucket", "create", "short", "--record-type", "T4-01", "--retention-days", "30"]).ok();
    hospital(&["put", "short", "a", arg(&file)]).fails(4, &["30 days", "1827 agreed on for T4-01"]);

    let second = halves.path("second.toml");
    operator(&["agreement", "draft", "--out", arg(&second)]).ok();
    let text = std::fs::read_to_string(&second).unwrap();
    std::fs::write(&second, text.replace("quota = \"1 MiB\"", "quota = \"1 GiB\"")).unwrap();
    let [half, both] = ["half2.shag", "both2.shag"].map(|name| halves.path(name));
    operator(&["agreement", "sign", arg(&second), "--out", arg(&half), "--yes"]).ok();
    let signed = hospital(&["agreement", "sign", arg(&half), "--out", arg(&both), "--yes"]).ok().json();
    assert!(signed["leaf_index"].is_u64(), "{signed}");
    hospital(&["put", "records", "b", arg(&file)]).ok();
    let shown = operator(&["agreement", "show"]).ok().json();
    assert_eq!(shown["changes"][0]["differences"], serde_json::json!([["quota", "1.0 MiB", "1.0 GiB"]]));
    served.stop();
}

#[test]
fn a_demonstration_agrees_with_itself_once_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let site = arg(dir.path());
    let served = || support::Serving::start(&["up", "--dir", site, "--s3", "127.0.0.1:0"]);
    served().stop();
    served().stop();
    for (folder, required) in
        [(dir.path().join("vault"), serde_json::json!(false)), (dir.path().into(), serde_json::json!(null))]
    {
        let shown = shosoin(&["agreement", "show", "--dir", arg(&folder), "--json"]).ok().json();
        assert_eq!((&shown["in_force"], &shown["required"]), (&1.into(), &required));
        let agreements = shown["agreements"].as_array().unwrap();
        assert_eq!((agreements.len(), &agreements[0]["demo"]), (1, &true.into()));
    }
}
