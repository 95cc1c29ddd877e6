//! A site whose records can be ended: a bucket with charts, some of them past their term, and persons with keys of their own.

use super::{Done, Serving, arg, shosoin};
use serde_json::Value;
use shosoin_store::accounts::{Caller, Change, Hours, OsUser, Role, Roles};
use shosoin_store::{OpenOptions, Vault, actor};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use tempfile::TempDir;

/// User number of this machine that nobody has.
const ADMIN: u32 = 4_100_001;

/// A stopped site of `up` whose bucket `charts` keeps records for a month, and persons with keys.
pub struct Site {
    dir: TempDir,
}

impl Site {
    /// Charts of 0001 are past their term, those of 0002 are not.
    pub fn new() -> Site {
        let site = Site::empty();
        for name in ["0001/a.pdf", "0001/b.pdf", "0002/a.pdf"] {
            let file = site.path("record");
            std::fs::write(&file, name.repeat(500)).unwrap();
            site.run(&["put", "charts", name, arg(&file)], &[]).ok();
        }
        site.past_their_term("0001/");
        site
    }

    /// The bucket and the persons, and no chart.
    pub fn empty() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap() };
        Serving::start(&["up", "--dir", arg(&site.root()), "--s3", "127.0.0.1:0"]).stop();
        site.run(&["bucket", "create", "charts"], &["--record-type", "T4-01", "--retention-days", "30"]).ok();
        std::fs::write(site.path("passphrase"), "one of their own").unwrap();
        for person in ["manager", "hanako", "taro"] {
            let (key, passphrase) = (site.path(person), site.path("passphrase"));
            shosoin(&["approver", "key", "--out", arg(&key), "--passphrase-file", arg(&passphrase)]).ok();
        }
        site.people();
        site
    }

    /// The terms of these charts began long ago.
    pub fn past_their_term(&self, prefix: &str) {
        self.run(&["retention", "start", "charts", "--prefix", prefix, "--at", "2020-01-01"], &[]).ok();
    }

    /// An order that everything past its term under this prefix ends, with the approvals of two persons. Gives its id.
    pub fn approved_order(&self, prefix: &str) -> String {
        let request = ["dispose", "request", "charts", "--prefix", prefix, "--due", "--reason", "retention-ended"];
        let ordered = self.run_as(&request, ("--requester", "manager"), &[]).ok().json();
        let order = ordered["order"].as_str().unwrap().to_owned();
        for person in ["taro", "hanako"] {
            self.run_as(&["dispose", "approve", "--order", &order], ("--key", person), &[]).ok();
        }
        order
    }

    /// A path beside the site.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Its folder.
    pub fn root(&self) -> PathBuf {
        self.path("site")
    }

    /// A command about the site.
    pub fn run(&self, command: &[&str], more: &[&str]) -> Done {
        shosoin(&[command, &["--dir", arg(&self.root()), "--json"], more].concat())
    }

    /// The same with the key of a person.
    pub fn run_as(&self, command: &[&str], (role, person): (&str, &str), more: &[&str]) -> Done {
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

    /// The names of what is held.
    pub fn names(&self) -> Vec<String> {
        let listed = self.run(&["ls", "charts"], &[]).ok();
        let rows = listed.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.filter_map(|row| row["name"].as_str().map(str::to_owned)).collect()
    }
}
