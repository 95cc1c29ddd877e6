//! The end of records, through the real binary: asked for at the hospital, agreed to by two persons with keys of their own, carried
//! out at the vault, certified, and verified by whoever has the certificate.

mod support;

use support::disposals::Site;
use support::{arg, shosoin};

#[test]
fn records_end_by_order_two_approvals_and_a_certificate_that_anybody_verifies_6_1_r8_7_8_m3_8_2_r6() {
    let site = Site::new();
    let request = ["dispose", "request", "charts", "--prefix", "", "--due", "--reason", "retention-ended"];
    let ordered = site.run_as(&request, ("--requester", "manager"), &[]).ok().json();
    assert_eq!(ordered["deposits"], 2, "what is not due is not in it: {ordered}");
    let order = ordered["order"].as_str().unwrap();
    let run = ["dispose", "run", "--order", order];
    site.run(&run, &[]).fails(4, &["fewer than 2 approvals"]);

    let approve = ["dispose", "approve", "--order", order];
    site.run_as(&approve, ("--key", "manager"), &[]).fails(4, &["who asks does not approve"]);
    site.run_as(&approve, ("--key", "taro"), &[]).ok();
    site.run_as(&approve, ("--key", "taro"), &[]).fails(4, &["has approved it already"]);
    let (exported, approval) = (site.path("order.json"), site.path("hanako.shap"));
    site.run(&["dispose", "status", "--order", order, "--export", arg(&exported)], &[]).ok();
    let (key, passphrase) = (site.path("hanako"), site.path("passphrase"));
    let elsewhere = ["dispose", "approve", "--order-file", arg(&exported), "--out", arg(&approval), "--key", arg(&key)];
    shosoin(&[&elsewhere[..], &["--passphrase-file", arg(&passphrase)]].concat()).ok();
    site.run(&["dispose", "approve", "--approval", arg(&approval)], &[]).ok();

    let snapshot = site.run(&["gateway", "snapshot"], &[]).ok().json();
    let held = site.run(&["hold", "set", "charts", "0001/a.pdf", "--reason", "litigation"], &[]).ok().json();
    site.run(&run, &[]).fails(4, &["on hold"]);
    site.run(&["hold", "release", held["acts"][0]["id"].as_str().unwrap()], &[]).ok();
    let would = site.run(&run, &["--dry-run"]).ok().json();
    assert_eq!((&would["allowed"], &would["dry_run"], site.names().len()), (&true.into(), &true.into(), 3));

    // a gateway that lost its view begins from the snapshot, which still has all three names
    let begun_anew = || {
        std::fs::remove_dir_all(site.root().join("hospital/view")).unwrap();
        site.run(&["gateway", "confirm"], &[]).ok().json()["from_snapshot"].clone()
    };
    assert_eq!((begun_anew(), site.names().len()), (snapshot["log_size"].clone(), 3));
    let done = site.run(&run, &[]).ok().json();
    assert_eq!((&done["entries"], &done["certificate"]["pending"]), (&2.into(), &0.into()), "{done}");
    assert_eq!(site.names(), ["0002/a.pdf"]);
    assert_eq!(
        (begun_anew(), site.names().len()),
        (0.into(), 1),
        "names of what ended were in the snapshot: it ended too"
    );
    let again = site.run(&["gateway", "snapshot"], &[]).ok().json();
    assert_eq!((begun_anew(), site.names().len()), (again["log_size"].clone(), 1), "one made afterwards is good");
    let out = site.path("out");
    site.run(&["get", "charts", "0001/a.pdf", "--out", arg(&out)], &[]).fails(3, &["no such object"]);
    site.run(&["get", "charts", "0002/a.pdf", "--out", arg(&out)], &[]).ok();
    shosoin(&["vault", "check", "--every-unit", "--dir", arg(&site.root().join("vault"))]).ok();
    site.run(&["reconcile", "sign"], &[]).ok();
    site.run(&["reconcile", "verify"], &[]).ok();
    let audit = ["audit-vault", "--confidence", "0.999999", "--damage", "0.000001"];
    let audited = site.run(&audit, &[]).ok().json();
    assert_eq!((&audited["holds"], &audited["failed"]), (&true.into(), &0.into()), "nobody owes what ended: {audited}");
    site.run(&run, &["--dry-run"]).ok();
    let package = site.path("package");
    let vault = site.root().join("vault");
    let export = ["handover", "export", "--dir", arg(&vault), "--to", arg(&package), "--json"];
    let exported = shosoin(&export).ok().json();
    assert_eq!(exported["missing"], serde_json::json!([]), "what ended is not lost");
    let verify = ["handover", "verify", "--from", arg(&package), "--json"];
    assert_eq!(shosoin(&verify).ok().json()["findings"], serde_json::json!([]));

    let (certificate, page) = (site.path("certificate.shcd"), site.path("certificate.html"));
    let issue = ["dispose", "certificate", "--order", order, "--out", arg(&certificate), "--html", arg(&page)];
    assert_eq!(site.run(&issue, &[]).ok().json()["pending"], 0);
    let verified = site.run(&["dispose", "verify", arg(&certificate)], &[]).ok().json();
    assert_eq!((&verified["vault_key_known"], &verified["hospital_key_checked"]), (&true.into(), &true.into()));
    assert_eq!((&verified["entries"], &verified["order"]), (&2.into(), &order.into()));
    assert!(std::fs::read_to_string(&page).unwrap().contains("Order and approvals"));
    let mut forged = std::fs::read(&certificate).unwrap();
    forged[90] ^= 1;
    std::fs::write(&certificate, forged).unwrap();
    shosoin(&["dispose", "verify", arg(&certificate)]).fails(5, &["prove nothing"]);
}

#[test]
fn an_order_is_taken_back_and_everything_goes_only_where_the_hand_over_is_answered_for_8_2_r1() {
    let site = Site::new();
    let everything = ["dispose", "request", "--everything", "--reason", "contract-ended"];
    site.run_as(&everything, ("--requester", "manager"), &[]).fails(4, &["--no-hand-over"]);
    let ordered = site.run_as(&everything, ("--requester", "manager"), &["--no-hand-over"]).ok().json();
    let order = ordered["order"].as_str().unwrap();
    let approve = ["dispose", "approve", "--order", order];
    site.run_as(&approve, ("--key", "taro"), &[]).ok();
    site.run_as(&approve, ("--key", "hanako"), &[]).ok();
    site.run(&["dispose", "run", "--order", order], &[]).fails(4, &["start of its term not known"]);
    site.run(&["dispose", "cancel", order], &[]).ok();
    site.run(&["dispose", "run", "--order", order], &[]).fails(4, &["order cancelled"]);
    assert_eq!(site.names().len(), 3);
}
