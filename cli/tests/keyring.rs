//! The key file on the command line: made once, opened only by its passphrase, never replaced.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use support::{arg, shosoin};
use tempfile::TempDir;

/// A folder with a hospital and its passphrase.
struct Fixture {
    dir: TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let fixture = Fixture { dir: tempfile::tempdir().unwrap() };
        std::fs::write(fixture.path("passphrase"), "correct horse\n").unwrap();
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn keyring(&self, command: &str, passphrase: &Path) -> support::Done {
        let hospital = self.path("h");
        shosoin(&["keyring", command, "--dir", arg(&hospital), "--passphrase-file", arg(passphrase), "--json"])
    }

    fn made() -> Fixture {
        let fixture = Fixture::new();
        fixture.keyring("init", &fixture.path("passphrase")).ok();
        fixture
    }
}

#[test]
fn a_keyring_shows_the_same_public_facts_that_making_it_did() {
    let fixture = Fixture::new();
    let made = fixture.keyring("init", &fixture.path("passphrase")).ok().json();
    let shown = fixture.keyring("show", &fixture.path("passphrase")).ok().json();
    assert_eq!(made, shown);
    assert_eq!(made["suite"], 1);
    assert_eq!(std::fs::metadata(fixture.path("h/keyring")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(fixture.path("h")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_passphrase_can_come_from_a_descriptor() {
    let fixture = Fixture::made();
    let script = format!(
        "{} keyring show --dir {} --passphrase-fd 3 --json 3<{}",
        env!("CARGO_BIN_EXE_shosoin"),
        arg(&fixture.path("h")),
        arg(&fixture.path("passphrase"))
    );
    let done = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_wrong_passphrase_is_refused_and_says_that_nothing_was_changed() {
    let fixture = Fixture::made();
    std::fs::write(fixture.path("wrong"), "correct horse \n").unwrap();
    let failure = fixture.keyring("show", &fixture.path("wrong")).fails(4, &[]).failure();
    assert_eq!(failure["kind"], "refused");
    assert!(failure["message"].as_str().unwrap().contains("passphrase does not open this key file"), "{failure}");
    assert!(failure["safe"].as_str().unwrap().contains("nothing was changed"), "{failure}");
}

#[test]
fn a_missing_key_file_is_not_found_and_says_where_it_was_looked_for() {
    let fixture = Fixture::new();
    let hospital = fixture.path("h");
    fixture.keyring("show", &fixture.path("passphrase")).fails(3, &[arg(&hospital), "keyring init"]);
}

#[test]
fn a_foreign_key_file_is_invalid() {
    let fixture = Fixture::made();
    std::fs::write(fixture.path("h/keyring"), "-----BEGIN SOMETHING ELSE-----").unwrap();
    fixture.keyring("show", &fixture.path("passphrase")).fails(2, &["not a Shosoin key file"]);
}

#[test]
fn a_key_file_with_one_flipped_bit_never_opens() {
    let fixture = Fixture::made();
    let path = fixture.path("h/keyring");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let done = fixture.keyring("show", &fixture.path("passphrase"));
    assert!([2, 4, 5].contains(&done.code), "{} {}", done.code, done.stderr);
}

#[test]
fn a_second_init_does_not_touch_the_first() {
    let fixture = Fixture::made();
    let before = std::fs::read(fixture.path("h/keyring")).unwrap();
    fixture.keyring("init", &fixture.path("passphrase")).fails(2, &["a key file is there"]);
    assert_eq!(std::fs::read(fixture.path("h/keyring")).unwrap(), before);
}

#[test]
fn an_empty_or_missing_passphrase_makes_no_key_file() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("empty"), "\n").unwrap();
    fixture.keyring("init", &fixture.path("empty")).fails(2, &["empty"]);
    fixture.keyring("init", &fixture.path("nowhere")).fails(3, &["nowhere"]);
    let hospital = fixture.path("h");
    shosoin(&["keyring", "init", "--dir", arg(&hospital)]).fails(2, &["--passphrase-file"]);
    assert!(!fixture.path("h/keyring").exists());
}

#[test]
fn an_enrolment_is_written_for_the_operator_and_never_over_a_file() {
    let fixture = Fixture::made();
    let (hospital, passphrase, target) = (fixture.path("h"), fixture.path("passphrase"), fixture.path("out"));
    let arguments = [
        "keyring",
        "show",
        "--dir",
        arg(&hospital),
        "--passphrase-file",
        arg(&passphrase),
        "--enrolment",
        arg(&target),
    ];
    shosoin(&arguments).ok();
    assert_eq!(std::fs::read(&target).unwrap(), std::fs::read(fixture.path("h/enrolment")).unwrap());
    shosoin(&arguments).fails(6, &["out"]);
}
