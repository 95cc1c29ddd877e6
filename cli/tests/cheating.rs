//! A cheating operator, caught: the vault, the witness and both machines of the hospital are processes of their own, and whoever
//! judges has nothing but public keys and files.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::path::{Path, PathBuf};
use support::halves::Halves;
use support::{Done, Serving, arg, shosoin};

/// A hospital with two machines, its vault, and a witness that knows the ledger.
struct Scene {
    halves: Halves,
    vault: Option<Serving>,
    witness: Serving,
}

/// Folders of the operator.
const OPERATORS: [&str; 7] = ["vault", "m1", "m2", "m3", "m4", "m5", "m6"];

impl Scene {
    fn new() -> Scene {
        let halves = Halves::new();
        let fingerprint = halves.make_hospital("hospital");
        halves.enrol("hospital", &["--fingerprint", &fingerprint]).ok();
        std::fs::write(halves.path("record"), "Allergic to penicillin.").unwrap();
        let vault = halves.serve_vault();
        halves.hospital("hospital", &vault.field("url"), &["bucket", "create", "records"]).ok();
        let keys = shosoin(&["evidence", "keys", "--dir", arg(&halves.path("hospital")), "--json"]).ok().json();
        let folder = halves.path("witness");
        let init = ["witness", "init", "--dir", arg(&folder), "--name", "witness.example/w", "--json"];
        let key = shosoin(&init).ok().json()["key"].as_str().unwrap().to_owned();
        shosoin(&["witness", "add-log", "--dir", arg(&folder), keys["ledger_key"].as_str().unwrap()]).ok();
        let witness = Serving::start(&["witness", "serve", "--dir", arg(&folder), "--listen", "127.0.0.1:0"]);
        let url = witness.field("witness");
        let text = format!(
            "form = 1\nrequire_witnesses = 1\nwitness_wait_seconds = 5\n[[witnesses]]\nurl = \"{url}\"\nkey = \"{key}\"\n"
        );
        std::fs::write(halves.path("hospital/gateway.toml"), text).unwrap();
        Scene { halves, vault: Some(vault), witness }
    }

    /// A command of the first machine, or of one that remembers nothing.
    fn machine(&self, state: Option<&Path>, command: &[&str]) -> Done {
        let url = self.vault.as_ref().unwrap().field("url");
        let state = state.map(|state| vec!["--state", arg(state)]).unwrap_or_default();
        self.halves.hospital("hospital", &url, &[command, &state].concat())
    }

    fn put(&self, state: Option<&Path>, name: &str, more: &[&str]) -> Done {
        let file = self.halves.path("record");
        self.machine(state, &[&["put", "records", name, arg(&file)][..], more].concat())
    }

    /// The operator keeps a copy of everything, or puts it in place of everything.
    fn backup(&mut self) {
        self.vault.take().unwrap().stop();
        OPERATORS.iter().for_each(|folder| copy(&self.halves.path(folder), &self.halves.path("backup").join(folder)));
        self.vault = Some(self.halves.serve_vault());
    }

    fn restore(&mut self) {
        self.vault.take().unwrap().stop();
        for folder in OPERATORS {
            std::fs::remove_dir_all(self.halves.path(folder)).unwrap();
            copy(&self.halves.path("backup").join(folder), &self.halves.path(folder));
        }
        self.vault = Some(self.halves.serve_vault());
    }

    /// Evidence in a state folder, judged by an outsider who was told two keys: class and against whom.
    fn judged(&self, state: &Path) -> Vec<(String, String)> {
        let keys = shosoin(&["evidence", "keys", "--dir", arg(&self.halves.path("hospital")), "--json"]).ok().json();
        let outside = self.halves.path("outside");
        std::fs::create_dir_all(&outside).unwrap();
        let mut judged = Vec::new();
        for entry in std::fs::read_dir(state.join("evidence")).unwrap() {
            let path = entry.unwrap().path();
            let file = outside.join(path.file_name().unwrap());
            std::fs::copy(&path, &file).unwrap();
            let [vault, hospital] = ["vault_key", "hospital_key"].map(|key| keys[key].as_str().unwrap());
            let judge = ["evidence", "verify", arg(&file), "--vault-key", vault, "--hospital-key", hospital, "--json"];
            let verdict = shosoin(&judge).ok().json();
            judged.push(["class", "against"].map(|field| verdict[field].as_str().unwrap().to_owned()).into());
        }
        judged.sort();
        judged
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, to) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        match kind {
            kind if kind.is_dir() => copy(&entry.path(), &to),
            kind if kind.is_file() => drop(std::fs::copy(entry.path(), to).unwrap()),
            _ => {} // the socket of a vault that runs
        }
    }
}

fn against_vault(class: &str) -> (String, String) {
    (class.to_owned(), "vault".to_owned())
}

#[test]
fn an_operator_who_unmakes_a_record_is_caught_by_its_machine_by_the_witness_and_by_a_receipt() {
    let mut scene = Scene::new();
    let (own, new): (PathBuf, PathBuf) = (scene.halves.path("hospital"), scene.halves.path("new machine"));
    scene.put(None, "early", &[]).ok();
    scene.backup();
    let receipts = scene.halves.path("receipts");
    std::fs::create_dir(&receipts).unwrap();
    scene.put(None, "late", &["--receipt", arg(&receipts.join("late"))]).ok();
    // somebody is to forget that this was ever deposited: the vault and all media go back by a day
    scene.restore();
    scene.machine(None, &["ls", "records"]).fails(4, &["went back"]);
    assert_eq!(scene.judged(&own), [against_vault("rollback")], "the vault's own signatures show it");
    // a machine that remembers nothing would believe it; the witness does not sign
    scene.machine(Some(&new), &["ls", "records"]).fails(6, &["witness.example/w has signed"]);
    // so the operator lets the ledger grow beyond what the witness saw, without the record
    scene.put(Some(&new), "other", &["--require-witnesses", "0"]).fails(4, &["read-only", "not signed here"]);
    let confirm = ["gateway", "confirm", "--require-witnesses", "0"]; // and somebody takes the vault's word for it
    let head = scene.machine(Some(&new), &confirm).ok().json()["head"].as_str().unwrap().to_owned();
    scene.machine(Some(&new), &[&confirm[..], &["--head", &head]].concat()).ok();
    for name in ["other", "another", "third"] {
        scene.put(Some(&new), name, &["--require-witnesses", "0"]).ok();
    }
    scene.put(Some(&new), "fourth", &[]).fails(4, &["forked"]);
    assert_eq!(scene.judged(&new), [against_vault("fork")], "both heads are signed by the vault");
    // without any witness, a receipt that was kept is enough
    let third = scene.halves.path("third machine");
    let audit = ["audit-vault", "--receipts", arg(&receipts), "--require-witnesses", "0"];
    scene.machine(Some(&third), &audit).fails(5, &["receipts failed the audit"]);
    // the head in the receipt and the head of now are both the vault's, and the deposit is in neither of what it serves
    assert_eq!(scene.judged(&third), [against_vault("fork"), against_vault("omission")]);
    assert_eq!(scene.judged(&own), [against_vault("rollback")], "nothing was added to it");
    scene.vault.take().unwrap().stop();
    scene.witness.stop();
}
