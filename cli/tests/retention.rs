//! How long records are kept, through the real binary: starts that the hospital reports, extensions, holds, and what is due.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use std::path::PathBuf;
use support::{Done, Serving, arg, shosoin};
use tempfile::TempDir;

/// A stopped site of `up` with charts whose term of 30 days waits for its start.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap() };
        Serving::start(&["up", "--dir", arg(&site.root()), "--s3", "127.0.0.1:0"]).stop();
        site.run(&["bucket", "create", "charts"], &["--record-type", "T4-01", "--retention-days", "30"]).ok();
        for name in ["0001/a.pdf", "0001/b.pdf", "0002/a.pdf"] {
            let file = site.dir.path().join("record");
            std::fs::write(&file, name.repeat(500)).unwrap();
            site.run(&["put", "charts", name, arg(&file)], &[]).ok();
        }
        site
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("site")
    }

    fn run(&self, command: &[&str], more: &[&str]) -> Done {
        shosoin(&[command, &["--dir", arg(&self.root()), "--json"], more].concat())
    }

    fn lines(&self, command: &[&str], more: &[&str]) -> Vec<Value> {
        let done = self.run(command, more).ok();
        done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn due_names(&self) -> Vec<String> {
        let due = self.lines(&["retention", "due"], &[]);
        due.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }

    fn due_at_vault(&self) -> u64 {
        self.run(&["dispose", "due"], &[]).ok().json()["count"].as_u64().unwrap()
    }
}

#[test]
fn both_sides_agree_on_what_is_due_after_starts_extensions_and_holds_1_1_r1_6_3_r6() {
    let site = Site::new();
    assert_eq!((site.due_names(), site.due_at_vault()), (vec![], 0), "nothing is due before its term began");
    let shown = site.lines(&["retention", "show", "charts", "0001/a.pdf"], &[]);
    assert_eq!((&shown[0]["end"], &shown[0]["term_days"]), (&"start-unknown".into(), &30.into()));
    let started =
        site.run(&["retention", "start", "charts", "--prefix", "0001/", "--at", "2020-01-01"], &[]).ok().json();
    assert_eq!((started["versions"].as_u64(), started["acts"].as_array().unwrap().len()), (Some(2), 1));
    assert_eq!((site.due_names(), site.due_at_vault()), (vec!["0001/a.pdf".into(), "0001/b.pdf".into()], 2));
    let earlier = ["retention", "start", "charts", "0001/a.pdf", "--at", "2019-01-01"];
    site.run(&earlier, &[]).fails(4, &["cannot change like that", "earlier start would shorten"]);
    site.run(&["retention", "extend", "charts", "0001/a.pdf", "--days", "29"], &[]).fails(4, &["longer already"]);
    site.run(&["retention", "extend", "charts", "0001/a.pdf", "--until", "2100-01-01"], &[]).ok();
    assert_eq!((site.due_names(), site.due_at_vault()), (vec!["0001/b.pdf".into()], 1));
    site.run(&["retention", "start", "charts", "no such name", "--at", "2020-01-01"], &[])
        .fails(2, &["no such record"]);
}

#[test]
fn a_hold_is_set_on_what_a_delete_hid_too_and_is_released_by_its_id() {
    let site = Site::new();
    site.run(&["retention", "start", "charts", "--prefix", "", "--at", "2020-01-01"], &[]).ok();
    assert_eq!(site.due_at_vault(), 3);
    let reason = ["--reason", "litigation", "--case", "2026 (wa) 1234"];
    let held = site.run(&["hold", "set", "charts", "--prefix", "0001/"], &reason).ok().json();
    assert_eq!((held["versions"].as_u64(), site.due_at_vault()), (Some(2), 1));
    let listed = site.lines(&["hold", "list"], &[]);
    assert_eq!((&listed[0]["case"], &listed[0]["reason"]), (&"2026 (wa) 1234".into(), &"litigation".into()));
    let vault_files =
        std::process::Command::new("grep").args(["-rl", "(wa) 1234", arg(&site.root())]).output().unwrap();
    assert_eq!(String::from_utf8(vault_files.stdout).unwrap(), "", "the reference is in clear nowhere");
    let everything = site.run(&["hold", "set", "--everything", "--reason", "audit"], &[]).ok().json();
    assert_eq!(site.due_at_vault(), 0);
    for hold in [&everything, &held] {
        let id = hold["acts"][0]["id"].as_str().unwrap();
        site.run(&["hold", "release", id], &[]).ok();
        site.run(&["hold", "release", id], &[]).fails(2, &["ended already"]);
    }
    assert_eq!((site.due_at_vault(), site.lines(&["hold", "list"], &[]).len()), (3, 0));
    assert_eq!(site.lines(&["hold", "list"], &["--all"]).len(), 2);
}
