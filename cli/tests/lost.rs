//! A machine is stolen, and what is done about it from another one; and a hospital moves to another suite. Over the network.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::{Value, json};
use support::halves::Halves;
use support::{Done, Serving, arg, bytes};

struct Hospital<'a> {
    halves: &'a Halves,
    vault: &'a Serving,
    name: &'static str,
}

impl Hospital<'_> {
    fn run(&self, command: &[&str]) -> Done {
        self.halves.hospital(self.name, &self.vault.field("url"), command)
    }

    fn put(&self, name: &str, seed: u64) {
        let file = self.halves.path("source");
        std::fs::write(&file, bytes(seed, 90_000)).unwrap();
        self.run(&["put", "records", name, arg(&file)]).ok();
    }

    fn assert_holds(&self, name: &str, seed: u64) {
        let file = self.halves.path("target");
        self.run(&["get", "records", name, "--out", arg(&file), "--force"]).ok();
        assert!(std::fs::read(&file).unwrap() == bytes(seed, 90_000), "{name} has other bytes");
    }
}

#[test]
fn a_stolen_machine_is_shut_out_keys_are_changed_and_what_was_exposed_is_told_7_6_11_m2() {
    let halves = Halves::new();
    let vault = halves.serve_vault();
    let hospital = |name| Hospital { halves: &halves, vault: &vault, name };
    let (stolen, here) = (hospital("stolen"), hospital("here"));
    halves.make_hospital("stolen");
    halves.enrol("stolen", &["--yes"]).ok();
    stolen.run(&["bucket", "create", "records"]).ok();
    (0..4).for_each(|no| stolen.put(&format!("hiv/{no}"), no));
    stolen.put("other", 9);
    let sheets = halves.path("sheets");
    let split = stolen.run(&["escrow", "split", "--out", arg(&sheets), "--needed", "2", "--shares", "2"]);
    // commands about sheets reach no vault, and take no address of one
    assert_eq!(split.code, 2);
    let passphrase = halves.path("passphrase");
    let bare = |name: &str, command: &[&str]| {
        let dir = halves.path(name);
        support::shosoin(&[command, &["--dir", arg(&dir), "--passphrase-file", arg(&passphrase), "--json"]].concat())
    };
    let split =
        bare("stolen", &["escrow", "split", "--out", arg(&sheets), "--needed", "2", "--shares", "2"]).ok().json();
    let sheets: Vec<&str> = split["sheets"].as_array().unwrap().iter().map(|sheet| sheet.as_str().unwrap()).collect();
    bare("here", &[&["escrow", "restore"], sheets.as_slice()].concat()).ok();
    halves.enrol("here", &["--yes"]).ok();
    here.run(&["ls", "records"]).ok();
    let devices = here.run(&["device", "list"]).ok().stdout;
    let devices: Vec<Value> = devices.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let device = devices.iter().find(|device| device["this"] == false).unwrap()["device"].as_str().unwrap().to_owned();

    let drill = ["keyring", "compromise", "--device", &device, "--since", "2020-01-01"];
    let told = here.run(&drill).ok().json();
    assert_eq!(
        (&told["measures"], &told["revoked_ms"], &told["readable"]["records"]),
        (&Value::Null, &Value::Null, &json!(5))
    );
    stolen.put("planted", 7);
    here.run(&["keyring", "compromise", "--device", &"ab".repeat(16), "--since", "2020-01-01"])
        .fails(2, &["no such device"]);

    let done = here.run(&[&drill[..], &["--yes", "records", "--prefix", "hiv/"]].concat()).ok().json();
    let measures = &done["measures"];
    assert_eq!(
        (&measures["revoked_now"], &measures["epoch"], &measures["rewrapped"]),
        (&json!(true), &json!(2), &json!(6))
    );
    assert_eq!((&measures["reseal"]["resealed"], &measures["reseal"]["failed"]), (&json!(4), &json!(0)));
    assert_eq!(measures["reseal"]["plain_bytes"], 4 * 90_000);
    assert_eq!(
        (&done["readable"]["records"], &done["resealed"]["records"], &done["later"]["records"]),
        (&json!(6), &json!(4), &json!(4))
    );
    assert!(done["deposits_since"].as_array().unwrap().len() == 6, "what it stored since then is named: {done}");
    stolen.run(&["ls", "records"]).fails(4, &["unknown-hospital"]);
    // once more: everything was done already
    let again = here.run(&[&drill[..], &["--yes"]].concat()).ok().json();
    let measures = &again["measures"];
    assert_eq!(
        (&measures["revoked_now"], &measures["epoch"], &measures["rewrapped"]),
        (&json!(false), &json!(2), &json!(0))
    );
    (0..4).for_each(|no| here.assert_holds(&format!("hiv/{no}"), no));
    here.assert_holds("other", 9);
    let covered = here.run(&["keyring", "coverage"]).ok().json();
    let on: Vec<&Value> = covered["on"].as_array().unwrap().iter().map(|on| &on["epoch"]).collect();
    assert_eq!(on, [&json!(2)], "nothing depends on the older epoch any more");
    let verified = here.run(&["verify", "--all", "--content"]).ok().json();
    assert_eq!((&verified["verified"], &verified["failed"]), (&json!(6), &json!(0)));
    vault.stop();
}

#[test]
fn a_hospital_moves_to_suite_2_and_its_old_id_stays_readable_and_takes_nothing_more() {
    let halves = Halves::new();
    let vault = halves.serve_vault();
    let hospital = |name| Hospital { halves: &halves, vault: &vault, name };
    let (one, two) = (hospital("one"), hospital("two"));
    halves.make_hospital("one");
    let (dir, passphrase, url) = (halves.path("two"), halves.path("passphrase"), vault.field("url"));
    let init = ["keyring", "init", "--suite", "cryptrec", "--vault-url", &url, "--vault-pin", &halves.pin];
    support::shosoin(&[&init[..], &["--dir", arg(&dir), "--passphrase-file", arg(&passphrase)]].concat()).ok();
    for name in ["one", "two"] {
        halves.enrol(name, &["--yes"]).ok();
    }
    one.run(&["bucket", "create", "records"]).ok();
    (0..3).for_each(|no| one.put(&no.to_string(), no));
    assert_eq!(one.run(&["suite", "show"]).ok().json()["minimum"], Value::Null);
    let moved = one.run(&["suite", "move", "--to", arg(&dir)]).ok().json();
    assert_eq!((&moved["moved"], &moved["failed"], &moved["ended"]), (&json!(3), &json!(0), &json!(false)));
    one.put("3", 3);
    let moved = one.run(&["suite", "move", "--to", arg(&dir), "--end"]).ok().json();
    assert_eq!((&moved["moved"], &moved["plain_bytes"], &moved["ended"]), (&json!(4), &json!(90_000), &json!(true)));
    for hospital in [&one, &two] {
        (0..4).for_each(|no| hospital.assert_holds(&no.to_string(), no));
    }
    let shown = one.run(&["suite", "show"]).ok().json();
    assert_eq!((&shown["suite"], &shown["minimum"], &shown["stores"]), (&json!(1), &json!(2), &json!(false)));
    assert_eq!(shown["successor"], two.run(&["suite", "show"]).ok().json()["hospital"]);
    let file = halves.path("source");
    one.run(&["put", "records", "late", arg(&file)]).fails(4, &["demands suite 2"]);
    one.run(&["suite", "require", "1", "--yes"]).fails(4, &["never goes down"]);
    one.run(&["suite", "require", "2"]).fails(4, &["give --yes"]);
    two.put("late", 5);
    let covered = two.run(&["keyring", "coverage"]).ok().json();
    assert_eq!((&covered["on"][0]["suite"], &covered["on"][0]["versions"]), (&json!(2), &json!(5)));
    vault.stop();
}
