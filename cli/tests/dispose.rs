//! The end of records, through the real binary: asked for at the hospital, agreed to by two persons with keys of their own, carried
//! out at the vault, certified, and verified by whoever has the certificate.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use shosoin_store::accounts::{Caller, Change, Hours, OsUser, Role, Roles};
use shosoin_store::{OpenOptions, Vault, actor};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use support::{Done, Serving, arg, shosoin};
use tempfile::TempDir;

/// User number of this machine that nobody has.
const ADMIN: u32 = 4_100_001;

/// A stopped site of `up` with three charts, two of them past their term, and persons with keys.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap() };
        Serving::start(&["up", "--dir", arg(&site.root()), "--s3", "127.0.0.1:0"]).stop();
        site.run(&["bucket", "create", "charts"], &["--record-type", "T4-01", "--retention-days", "30"]).ok();
        for name in ["0001/a.pdf", "0001/b.pdf", "0002/a.pdf"] {
            let file = site.path("record");
            std::fs::write(&file, name.repeat(500)).unwrap();
            site.run(&["put", "charts", name, arg(&file)], &[]).ok();
        }
        site.run(&["retention", "start", "charts", "--prefix", "0001/", "--at", "2020-01-01"], &[]).ok();
        std::fs::write(site.path("passphrase"), "one of their own").unwrap();
        for person in ["manager", "hanako", "taro"] {
            let (key, passphrase) = (site.path(person), site.path("passphrase"));
            shosoin(&["approver", "key", "--out", arg(&key), "--passphrase-file", arg(&passphrase)]).ok();
        }
        site.people();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("site")
    }

    fn run(&self, command: &[&str], more: &[&str]) -> Done {
        shosoin(&[command, &["--dir", arg(&self.root()), "--json"], more].concat())
    }

    /// The same with the key of a person.
    fn run_as(&self, command: &[&str], (role, person): (&str, &str), more: &[&str]) -> Done {
        let (key, passphrase) = (self.path(person), self.path("passphrase"));
        let passphrase_of = if role == "--key" { "--passphrase-file" } else { "--requester-passphrase-file" };
        self.run(command, &[&[role, arg(&key), passphrase_of, arg(&passphrase)], more].concat())
    }

    /// An administrator, whoever runs this as keeper, and the three with their keys.
    fn people(&self) {
        let uid = std::fs::metadata(self.root()).unwrap().uid();
        let keys = ["manager", "hanako", "taro"].map(|person| {
            let (key, passphrase) = (self.path(person), self.path("passphrase"));
            let shown = shosoin(&["approver", "show", arg(&key), "--passphrase-file", arg(&passphrase), "--json"]);
            (person, shown.ok().json()["key"].as_str().unwrap().to_owned())
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let vault = Vault::open(&self.root().join("vault"), OpenOptions::default()).await.unwrap();
            let add = |by: &Caller, id: &str, role: Role, uid: Option<u32>| {
                let os_user = uid.map(|uid| OsUser { uid, name: actor::user(uid) });
                let (id, name, roles) = (id.parse().unwrap(), id.to_owned(), Roles::of(&[role]).unwrap());
                let change = Change::Add { id, name, roles, os_user, hours: Hours::default() };
                vault.accounts().propose(by, change, "").unwrap();
            };
            add(&Caller::this_process(), "admin-one", Role::Admin, Some(ADMIN));
            let admin = Caller::user(ADMIN);
            add(&admin, "keeper-one", Role::Keeper, Some(uid));
            for (person, key) in keys {
                add(&admin, person, Role::DisposalApprover, None);
                let change = Change::SetKey { id: person.parse().unwrap(), key: Some(key.parse().unwrap()) };
                vault.accounts().propose(&admin, change, "").unwrap();
            }
            vault.close().await.unwrap();
        });
    }

    fn names(&self) -> Vec<String> {
        let listed = self.run(&["ls", "charts"], &[]).ok();
        let rows = listed.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.filter_map(|row| row["name"].as_str().map(str::to_owned)).collect()
    }
}

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

    let held = site.run(&["hold", "set", "charts", "0001/a.pdf", "--reason", "litigation"], &[]).ok().json();
    site.run(&run, &[]).fails(4, &["on hold"]);
    site.run(&["hold", "release", held["acts"][0]["id"].as_str().unwrap()], &[]).ok();
    let would = site.run(&run, &["--dry-run"]).ok().json();
    assert_eq!((&would["allowed"], &would["dry_run"], site.names().len()), (&true.into(), &true.into(), 3));

    let done = site.run(&run, &[]).ok().json();
    assert_eq!((&done["entries"], &done["certificate"]["pending"]), (&2.into(), &0.into()), "{done}");
    assert_eq!(site.names(), ["0002/a.pdf"]);
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
