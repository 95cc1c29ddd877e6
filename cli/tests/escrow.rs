//! Every machine of a hospital is gone, and three people come with their sheets.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::path::PathBuf;
use support::{Done, Serving, arg, bytes, shosoin};
use tempfile::TempDir;

/// A hospital, its passphrase, and what else a test puts there.
struct Fixture {
    dir: TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let fixture = Fixture { dir: tempfile::tempdir().unwrap() };
        std::fs::write(fixture.path("passphrase"), "correct horse").unwrap();
        fixture.with_passphrase("h", &["keyring", "init"]).ok();
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn with_passphrase(&self, hospital: &str, command: &[&str]) -> Done {
        let (dir, passphrase) = (self.path(hospital), self.path("passphrase"));
        shosoin(&[command, &["--dir", arg(&dir), "--passphrase-file", arg(&passphrase), "--json"]].concat())
    }

    /// Splits into `out` and gives the sheets.
    fn split(&self, hospital: &str, out: &str, more: &[&str]) -> Vec<String> {
        let out = self.path(out);
        let done = self.with_passphrase(hospital, &[&["escrow", "split", "--out", arg(&out)], more].concat()).ok();
        done.json()["sheets"].as_array().unwrap().iter().map(|path| path.as_str().unwrap().to_owned()).collect()
    }

    fn sheets(&self, hospital: &str, command: &str, sheets: &[&String]) -> Done {
        let mut arguments = vec!["escrow", command];
        arguments.extend(sheets.iter().map(|sheet| sheet.as_str()));
        self.with_passphrase(hospital, &arguments)
    }

    /// A file with changed text of a sheet.
    fn changed(&self, sheet: &str, change: impl Fn(&str) -> String) -> String {
        let path = self.path("changed");
        std::fs::write(&path, change(&std::fs::read_to_string(sheet).unwrap())).unwrap();
        arg(&path).to_owned()
    }
}

/// The twelve lines of a printed sheet, as a person would type them.
fn typed(page: &str) -> String {
    let lines = page.split("<pre>\n").nth(1).unwrap().split("</pre>").next().unwrap();
    lines.to_lowercase().replace('0', "o")
}

/// Its words, without the numbers of their lines.
fn words(page: &str) -> String {
    let lines = page.split("<pre class=\"words\">\n").nth(1).unwrap().split("</pre>").next().unwrap();
    lines.lines().map(|line| line.split_once(' ').unwrap().1.to_owned() + "\n").collect()
}

#[test]
fn three_sheets_and_the_vault_bring_every_record_and_name_back_on_a_new_machine() {
    let fixture = Fixture::new();
    let vault = fixture.path("vault");
    let volumes: Vec<String> =
        (1..=6).map(|number| fixture.path(&format!("m{number}")).display().to_string()).collect();
    let mut init = vec!["vault", "init", "--dir", arg(&vault), "--code", "4+2", "--demo", "--json"];
    volumes.iter().for_each(|volume| init.extend(["--volume", volume]));
    let pin = shosoin(&init).ok().json()["pin"].as_str().unwrap().to_owned();
    let serving = Serving::start(&["vault", "serve", "--dir", arg(&vault), "--listen", "127.0.0.1:0"]);
    let url = serving.field("url");
    let reach = ["--vault-url", url.as_str(), "--vault-pin", pin.as_str()];
    let enrol = |enrolment: PathBuf| {
        shosoin(&["hospital", "enrol", "--dir", arg(&vault), arg(&enrolment), "--yes", "--json"]).ok();
    };
    enrol(fixture.path("h/enrolment"));
    let remote = |hospital: &str, command: &[&str]| fixture.with_passphrase(hospital, &[command, &reach].concat());
    remote("h", &["bucket", "create", "records"]).ok();
    let records = [("a", 1), ("patient/b", 70_000), ("patient/c", 5_000_000)];
    for (name, len) in records {
        std::fs::write(fixture.path("source"), bytes(len as u64, len)).unwrap();
        remote("h", &["put", "records", name, arg(&fixture.path("source"))]).ok();
    }
    let before = remote("h", &["ls", "records"]).ok().stdout;
    let sheets = fixture.split("h", "sheets", &["--holder", "Director", "--holder", "Notary"]);
    assert_eq!(sheets.len(), 5);

    std::fs::rename(fixture.path("h"), fixture.path("thief")).unwrap();
    std::fs::write(fixture.path("typed"), typed(&std::fs::read_to_string(&sheets[4]).unwrap())).unwrap();
    let typed = arg(&fixture.path("typed")).to_owned();
    std::fs::write(fixture.path("words"), words(&std::fs::read_to_string(&sheets[0]).unwrap())).unwrap();
    let words = arg(&fixture.path("words")).to_owned();
    let restored = [&["escrow", "restore"], &[sheets[1].as_str(), &typed, &words] as &[&str], &reach].concat();
    fixture.with_passphrase("new", &restored).ok();
    fixture.with_passphrase("new", &restored).fails(2, &["a key file is there"]);
    let stranger = fixture.with_passphrase("new", &["ls", "records"]).fails(4, &["unknown-hospital"]);
    assert_eq!(stranger.failure()["kind"], "refused");
    enrol(fixture.path("new/enrolment"));
    assert_eq!(fixture.with_passphrase("new", &["ls", "records"]).ok().stdout, before);
    for (name, len) in records {
        let target = fixture.path("target");
        fixture.with_passphrase("new", &["get", "records", name, "--out", arg(&target), "--force"]).ok();
        assert!(std::fs::read(&target).unwrap() == bytes(len as u64, len), "{name} came back with other bytes");
    }
    let tour = fixture.with_passphrase("new", &["verify", "--all", "--content"]).ok().json();
    assert_eq!((&tour["verified"], &tour["failed"]), (&3.into(), &0.into()));
    shut_the_thief_out(&fixture, &reach);
    serving.stop();
    let again = Serving::start(&["vault", "serve", "--dir", arg(&vault), "--listen", "127.0.0.1:0"]);
    let reach = ["--vault-url", &again.field("url"), "--vault-pin", &pin].map(str::to_owned);
    let reach: Vec<&str> = reach.iter().map(String::as_str).collect();
    fixture.with_passphrase("new", &[&["ls"], reach.as_slice()].concat()).ok();
    fixture.with_passphrase("thief", &[&["ls"], reach.as_slice()].concat()).fails(4, &["unknown-hospital"]);
    again.stop();
}

/// The machine that was lost is still let in, until its device is revoked from the new one.
fn shut_the_thief_out(fixture: &Fixture, reach: &[&str]) {
    let thief = |command: &[&str]| fixture.with_passphrase("thief", &[command, reach].concat());
    let new = |command: &[&str]| fixture.with_passphrase("new", command);
    thief(&["ls", "records"]).ok();
    let listed = new(&["device", "list"]).ok().stdout;
    let devices: Vec<serde_json::Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |this: bool| devices.iter().find(|device| device["this"] == this).unwrap()["device"].as_str().unwrap();
    assert_eq!(devices.len(), 2, "{listed}");
    new(&["device", "revoke", of(false)]).fails(4, &["give --yes"]);
    new(&["device", "revoke", of(true), "--yes"]).fails(2, &["this machine"]);
    new(&["device", "revoke", &"ab".repeat(16), "--yes"]).fails(2, &["knows no such device"]);
    thief(&["ls", "records"]).ok();
    new(&["device", "revoke", of(false), "--yes"]).ok();
    new(&["device", "revoke", of(false), "--yes"]).fails(2, &["revoked already"]);
    thief(&["ls", "records"]).fails(4, &["unknown-hospital"]);
    new(&["ls", "records"]).ok();
}

#[test]
fn a_drill_compares_the_root_notes_its_day_and_writes_nothing_else() {
    let fixture = Fixture::new();
    assert!(fixture.with_passphrase("h", &["keyring", "show"]).ok().json()["escrow_drill"].is_null());
    let sheets = fixture.split("h", "sheets", &["--needed", "2", "--shares", "3"]);
    let files =
        || std::fs::read_dir(fixture.path("h")).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let (before, keyring) = (files(), std::fs::read(fixture.path("h/keyring")).unwrap());
    let drill = fixture.sheets("h", "drill", &[&sheets[2], &sheets[0]]).ok().json();
    assert_eq!((&drill["counts"], &drill["sheets_used"], &drill["needed"]), (&true.into(), &2.into(), &2.into()));
    assert_eq!(fixture.with_passphrase("h", &["keyring", "show"]).ok().json()["escrow_drill"], drill);
    assert_eq!(std::fs::read(fixture.path("h/keyring")).unwrap(), keyring);
    let new: Vec<_> = files().into_iter().filter(|file| !before.contains(file)).collect();
    assert_eq!(new, ["escrow-drill"]);
}

#[test]
fn bad_sheets_are_refused_each_for_its_own_reason_and_change_nothing() {
    let fixture = Fixture::new();
    let sheets = fixture.split("h", "sheets", &[]);
    let other_split = fixture.split("h", "others", &[]);
    fixture.with_passphrase("x", &["keyring", "init"]).ok();
    let foreign = fixture.split("x", "foreign", &[]);
    let refused = |sheets: &[&String], code, needle| {
        for command in ["drill", "restore"] {
            let hospital = if command == "drill" { "h" } else { "new" };
            let done = fixture.sheets(hospital, command, sheets).fails(code, &[needle]);
            assert!(done.failure()["safe"].as_str().unwrap().contains("nothing was changed"), "{}", done.stderr);
        }
        assert!(!fixture.path("new/keyring").exists() && !fixture.path("h/escrow-drill").exists());
    };
    let [a, b, c, ..] = sheets.as_slice() else { panic!() };
    refused(&[a, b], 4, "2 shares were given and 3 are needed");
    refused(&[a, b, a], 2, "share 1 was given twice");
    refused(&[a, b, &other_split[2]], 2, "differ in their split");
    refused(&[a, b, &foreign[2]], 2, "differ in their hospital");
    let slip = fixture.changed(c, |text| {
        let at = text.find("\n07 ").unwrap() + 5;
        let other = if text.as_bytes()[at] == b'7' { "8" } else { "7" };
        format!("{}{other}{}", &text[..at], &text[at + 1..])
    });
    refused(&[a, b, &slip], 5, "line 7 of the sheet is not right");
    let torn = fixture.changed(c, |text| text.replace("\n11 ", "\n"));
    refused(&[a, b, &torn], 5, "line 11 of the sheet is not right: it is missing");
    let two = fixture.changed(c, |text| text.to_owned() + &std::fs::read_to_string(a).unwrap());
    refused(&[a, b, &two], 5, "it is there twice");
    refused(&[a, b, &arg(&fixture.path("passphrase")).to_owned()], 5, "line 1 of the sheet");
    let misread = fixture.changed(c, |text| {
        words(text)
            .split_whitespace()
            .enumerate()
            .map(|(at, word)| if at == 41 { "shosoin ".to_owned() } else { format!("{word} ") })
            .collect()
    });
    refused(&[a, b, &misread], 5, "word 42 of the sheet is not right: it is in no list");
    refused(&[a, b, &"/nowhere".to_owned()], 3, "/nowhere");
    fixture.sheets("x", "drill", &[a, b, c]).fails(4, &["of another root than the key file"]);
    fixture.sheets("x", "verify", &[a]).fails(4, &["of another root than the key file"]);
    fixture.sheets("h", "verify", &[]).fails(2, &["name files with sheets"]);
    assert_eq!(fixture.sheets("h", "verify", &[a, b]).ok().stdout.lines().count(), 2);
}

#[test]
fn a_split_that_makes_no_sense_writes_no_sheet() {
    let fixture = Fixture::new();
    let out = fixture.path("sheets");
    let split =
        |more: &[&str]| fixture.with_passphrase("h", &[&["escrow", "split", "--out", arg(&out)], more].concat());
    split(&["--needed", "1"]).fails(2, &["1 of 5 shares cannot be"]);
    split(&["--needed", "4", "--shares", "3"]).fails(2, &["4 of 3 shares cannot be"]);
    split(&["--holder", "A", "--holder", " a "]).fails(2, &["named twice"]);
    split(&["--shares", "2", "--needed", "2", "--holder", "A", "--holder", "B", "--holder", "C"])
        .fails(2, &["3 people for 2"]);
    assert!(!out.exists());
    fixture.split("h", "sheets", &[]);
    std::fs::remove_file(out.join("sheet-1-of-5.html")).unwrap();
    split(&[]).fails(6, &["sheet-2-of-5.html"]);
    assert!(!out.join("sheet-1-of-5.html").exists(), "half a split is not left behind");
}
