//! The register of machines through the real binary: on a stopped vault, over the socket of one that is served, and at the start of a
//! vault that was moved to another host.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use support::halves::Halves;
use support::{Done, arg, binary, shosoin};

struct House {
    halves: Halves,
}

impl House {
    fn new() -> House {
        let house = House { halves: Halves::new() };
        house.be_on_host("4c0f");
        let path = house.halves.path("vault").join("vault.toml");
        let settings = format!(
            "[machines]\nrefuse_unknown_host = true\nhost_id = {:?}\n\n[[volume]]",
            house.halves.path("host-id")
        );
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("[[volume]]", &settings, 1)).unwrap();
        house
    }

    fn be_on_host(&self, id: &str) {
        std::fs::write(self.halves.path("host-id"), id).unwrap();
    }

    fn run(&self, command: &[&str], more: &[&str]) -> Done {
        shosoin(&[command, &["--dir", arg(&self.halves.path("vault"))], more].concat())
    }

    fn machine(&self, command: &[&str]) -> Done {
        self.run(&[&["machine"], command].concat(), &["--json"])
    }

    fn check_all(&self, machine: &str) -> Value {
        let passed = ["--passed", "malware,patches,address", "--reason", "full scan"];
        self.machine(&[&["check", machine], &passed[..]].concat()).ok().json()
    }

    /// Tries to serve the vault, which must not begin; gives what was said.
    fn is_not_served(&self) -> (Option<i32>, String) {
        let mut command = Command::new(binary());
        command.args(["vault", "serve", "--dir", arg(&self.halves.path("vault")), "--listen", "127.0.0.1:0", "--json"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if !line.is_empty() {
            child.kill().unwrap();
        }
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(line, "", "it is served: {said}");
        (child.wait().unwrap().code(), said)
    }
}

#[test]
fn a_vault_is_served_on_its_registered_host_alone_and_a_machine_is_checked_before_it_is_connected_7_5_3_m1_m13() {
    let house = House::new();
    house.halves.serve_vault().stop(); // nothing is registered yet
    let reason = ["--reason", "order 118"];
    let host = ["add", "vault-a", "--kind", "vault-host", "--this-host", "--address", "10.0.8.2"];
    let added = house.machine(&[&host[..], &reason].concat()).ok().json();
    assert_eq!((&added["machine"]["state"], &added["machine"]["may_connect"]), (&"new".into(), &false.into()));
    house.machine(&[&host[..], &reason].concat()).fails(4, &["vault-a", "taken"]);
    let connect = ["set-state", "vault-a", "active", "--reason", "checked today"];
    house.machine(&connect).fails(4, &["before it was checked", "malware, patches, address"]);
    let half = ["check", "vault-a", "--passed", "malware,patches", "--failed", "address", "--reason", "wrong cable"];
    house.machine(&half).ok();
    house.machine(&connect).fails(4, &["address"]);
    house.machine(&["check", "vault-a", "--passed", "virus", "--reason", "x"]).fails(2, &["malware"]);
    let (code, said) = house.is_not_served();
    assert!(code == Some(4) && said.contains("it is new"), "{code:?} {said}");
    house.check_all("vault-a");
    house.machine(&connect).ok();

    let serving = house.halves.serve_vault();
    let desk = ["add", "desk-1", "--kind", "operator-terminal", "--address", "10.0.8.21"];
    house.machine(&[&desk[..], &reason].concat()).ok();
    let taken = ["add", "desk-2", "--kind", "operator-terminal", "--address", "10.0.8.21"];
    house.machine(&[&taken[..], &reason].concat()).fails(4, &["desk-1 has it"]);
    let listed = house.machine(&["list", "--state", "new"]).ok().json();
    assert_eq!((&listed["machines"][0]["id"], &listed["machines"][1]), (&"desk-1".into(), &Value::Null));
    assert_eq!(listed["host"]["known"]["machine"], "vault-a");
    let text = house.run(&["machine", "list"], &[]).ok().stdout;
    assert!(text.contains("this vault is on vault-a") && text.contains("may be connected"), "{text}");
    let shown = house.run(&["machine", "show", "vault-a"], &[]).ok().stdout;
    assert!(shown.contains("full scan") && shown.contains("machine-state"), "{shown}");
    serving.stop();
}

#[test]
fn a_vault_on_a_strange_host_does_not_start_until_that_one_is_registered_and_checked_7_5_3_m1() {
    let house = House::new();
    let host = ["add", "vault-a", "--kind", "vault-host", "--this-host", "--reason", "order 118"];
    house.machine(&host).ok();
    house.check_all("vault-a");
    house.machine(&["set-state", "vault-a", "active", "--reason", "checked"]).ok();
    house.be_on_host("77aa");
    let (code, said) = house.is_not_served();
    assert!(code == Some(4) && said.contains("not registered"), "{code:?} {said}");
    let found = house.run(&["audit", "show", "--action", "machine-unknown", "--json"], &[]).ok().json();
    assert_eq!(found["records"][0]["outcome"], "refused");
    let status = house.run(&["vault", "status", "--json"], &[]).ok().json();
    let codes: Vec<&Value> = status["findings"].as_array().unwrap().iter().map(|finding| &finding["code"]).collect();
    assert!(codes.contains(&&"host-unknown".into()), "{codes:?}");

    house.machine(&["change", "vault-a", "--this-host", "--reason", "new board"]).ok();
    let (code, said) = house.is_not_served();
    assert!(code == Some(4) && said.contains("address"), "what was checked was the old one: {code:?} {said}");
    house.check_all("vault-a");
    house.halves.serve_vault().stop();
}
