//! The key file bound to a token, against SoftHSM2: a real PKCS#11 module, with keys in files instead of a chip.
//!
//! Where SoftHSM2 is not installed these tests say so and check nothing (`apt install softhsm2`); CI installs it.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Done, arg, bytes, shosoin_with};
use tempfile::TempDir;

const PIN: &str = "4711-hospital";
/// Where distributions put it.
const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
];

/// Places of functions in `CK_FUNCTION_LIST`, and what they may answer.
const LOGIN: u32 = 18;
const DESTROY: u32 = 22;
const ATTRIBUTE: u32 = 24;
const FIND: u32 = 27;
const GENERATE: u32 = 58;
const WRAP: u32 = 60;
const UNWRAP: u32 = 61;
const DEVICE_ERROR: u32 = 0x30;
const DEVICE_REMOVED: u32 = 0x32;
const PIN_LOCKED: u32 = 0xa4;

/// A call of the module that fails: which function, which of its calls, with what answer.
type Failing = (u32, u32, u32);

/// A site with two records, and a token.
struct Ward {
    dir: TempDir,
    module: PathBuf,
}

impl Ward {
    /// None where there is no SoftHSM2; that is said.
    fn new() -> Option<Ward> {
        let Some(module) = MODULES.map(PathBuf::from).into_iter().find(|module| module.exists()) else {
            eprintln!("NOT TESTED: there is no SoftHSM2 here; `apt install softhsm2` brings it");
            return None;
        };
        let ward = Ward { dir: tempfile::tempdir().unwrap(), module };
        std::fs::create_dir(ward.path("tokens")).unwrap();
        ward.configure("");
        std::fs::write(ward.path("pin"), format!("{PIN}\n")).unwrap();
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", "hospital", "--pin", PIN, "--so-pin", "so-4711"])
            .env("SOFTHSM2_CONF", ward.path("softhsm2.conf"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(ward)
    }

    fn configure(&self, more: &str) {
        let tokens = self.path("tokens");
        let text =
            format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n{more}\n", arg(&tokens));
        std::fs::write(self.path("softhsm2.conf"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A hospital without a vault.
    fn with_key_file(self) -> Ward {
        std::fs::write(self.path("passphrase"), "correct horse").unwrap();
        self.bare(&[
            "keyring",
            "init",
            "--dir",
            arg(&self.path("h")),
            "--passphrase-file",
            arg(&self.path("passphrase")),
        ])
        .ok();
        self
    }

    fn bare(&self, arguments: &[&str]) -> Done {
        self.failing(None, arguments)
    }

    fn failing(&self, failing: Option<Failing>, arguments: &[&str]) -> Done {
        let mut environment = vec![("SOFTHSM2_CONF", arg(&self.path("softhsm2.conf")).to_owned())];
        if let Some((function, at, code)) = failing {
            environment.push(("FAIL_MODULE", arg(&self.module).to_owned()));
            environment.extend(
                [("FAIL_CALL", function), ("FAIL_AT", at), ("FAIL_CODE", code)].map(|(k, v)| (k, v.to_string())),
            );
        }
        shosoin_with(&environment, &[arguments, &["--json"]].concat())
    }

    /// A command on the hospital's key file, with its passphrase and the PIN in `pin`.
    fn hospital(&self, command: &[&str], pin: &str, failing: Option<Failing>) -> Done {
        let (dir, passphrase, pin) = (self.path("h"), self.path("passphrase"), self.path(pin));
        let secrets = ["--dir", arg(&dir), "--passphrase-file", arg(&passphrase), "--pin-file", arg(&pin)];
        self.failing(failing, &[command, &secrets].concat())
    }

    fn protect(&self, module: &Path, failing: Option<Failing>) -> Done {
        self.hospital(&["keyring", "hsm", "protect", "--module", arg(module), "--token", "hospital"], "pin", failing)
    }

    fn show(&self) -> Done {
        self.hospital(&["keyring", "show"], "pin", None)
    }

    fn probe(&self, more: &[&str]) -> Done {
        self.bare(&[&["keyring", "hsm", "probe", "--module", arg(&self.module)], more].concat())
    }

    /// Wrapping keys in the token.
    fn wrapping_keys(&self) -> usize {
        let probed = self.probe(&["--pin-file", arg(&self.path("pin"))]).ok().json();
        probed["trial"]["wrapping_keys"].as_array().unwrap().len()
    }

    /// The real module with one failing call.
    fn failing_module(&self) -> PathBuf {
        let (source, module) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hsm/failing.c"), self.path("failing.so"));
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let built =
            Command::new(compiler).args(["-shared", "-fPIC", "-o", arg(&module), source, "-ldl"]).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        module
    }

    fn key_file(&self) -> Vec<u8> {
        std::fs::read(self.path("h/keyring")).unwrap()
    }
}

#[test]
fn a_site_goes_on_with_its_key_file_bound_to_a_token_and_without_token_or_pin_nothing_opens() {
    let Some(ward) = Ward::new() else { return };
    let (site, pin) = (ward.path("site"), ward.path("pin"));
    support::Serving::start(&["up", "--dir", arg(&site), "--s3", "127.0.0.1:0"]).stop();
    let run = |command: &[&str]| ward.bare(&[command, &["--dir", arg(&site)]].concat());
    let with_pin = |command: &[&str]| run(&[command, &["--pin-file", arg(&pin)]].concat());
    run(&["bucket", "create", "records"]).ok();
    std::fs::write(ward.path("source"), bytes(1, 70_000)).unwrap();
    run(&["put", "records", "before", arg(&ward.path("source"))]).ok();
    assert_eq!(run(&["keyring", "show"]).ok().json()["custody"], json!({ "kept_by": "passphrase", "weaker": true }));
    let text = shosoin_with::<&str>(&[], &["keyring", "show", "--dir", arg(&site)]).ok().stdout;
    assert!(text.contains("kept by      passphrase alone: weaker than with a token"), "{text}");

    with_pin(&["keyring", "hsm", "protect", "--module", arg(&ward.module)]).ok();
    let custody = &with_pin(&["keyring", "show"]).ok().json()["custody"];
    assert_eq!(
        (&custody["weaker"], &custody["token"], &custody["mechanism"]),
        (&json!(false), &json!("hospital"), &json!("CKM_AES_KEY_WRAP"))
    );
    let refused = run(&["ls", "records"]).fails(2, &["--pin-file"]);
    assert!(!refused.stderr.contains("before"));
    std::fs::write(ward.path("wrong"), "0000-hospital").unwrap();
    let before = std::fs::read(site.join("hospital/keyring")).unwrap();
    let wrong = run(&["ls", "records", "--pin-file", arg(&ward.path("wrong"))])
        .fails(4, &["the token refused the PIN"])
        .failure();
    assert!(wrong["next"].as_str().unwrap().contains("counts"), "{wrong}");
    std::fs::rename(ward.path("tokens"), ward.path("away")).unwrap();
    std::fs::create_dir(ward.path("tokens")).unwrap();
    with_pin(&["ls", "records"]).fails(6, &["0 tokens are called", "there are: none", "escrow restore"]);
    std::fs::remove_dir(ward.path("tokens")).unwrap();
    std::fs::rename(ward.path("away"), ward.path("tokens")).unwrap();
    assert_eq!(std::fs::read(site.join("hospital/keyring")).unwrap(), before, "refusals changed nothing");

    with_pin(&["put", "records", "after", arg(&ward.path("source"))]).ok();
    let rotated = with_pin(&["keyring", "rotate"]).ok().json();
    assert_eq!((&rotated["epoch"], &rotated["custody"]), (&json!(2), &json!("token")));
    let verified = with_pin(&["verify", "--all", "--content"]).ok().json();
    assert_eq!((&verified["verified"], &verified["failed"]), (&json!(2), &json!(0)));

    with_pin(&["keyring", "hsm", "release"]).fails(4, &["give --yes"]);
    with_pin(&["keyring", "hsm", "release", "--yes"]).ok();
    assert_eq!(ward.wrapping_keys(), 0, "nothing needs the key any more, so it is gone");
    assert_eq!(run(&["ls", "records"]).ok().stdout.lines().count(), 2);
}

#[test]
fn a_probe_says_what_a_token_can_do_and_leaves_nothing_in_it() {
    let Some(ward) = Ward::new() else { return };
    let listed = ward.probe(&["--token", "hospital"]).ok().json();
    assert_eq!((&listed["suffices"], &listed["trial"]), (&json!(true), &Value::Null));
    let tried = ward.probe(&["--pin-file", arg(&ward.path("pin"))]).ok().json();
    assert_eq!(tried["trial"], json!({ "works_with": "CKM_AES_KEY_WRAP", "failed": null, "wrapping_keys": [] }));
    let text = shosoin_with(
        &[("SOFTHSM2_CONF", arg(&ward.path("softhsm2.conf")).to_owned())],
        &["keyring", "hsm", "probe", "--module", arg(&ward.module)],
    );
    assert!(text.ok().stdout.contains("yes      CKM_AES_KEY_GEN        make the wrapping key and the share"));
    ward.probe(&["--token", "laboratory"]).fails(6, &["0 tokens are called \\\"laboratory\\\"", "hospital"]);
    ward.bare(&["keyring", "hsm", "probe", "--module", "/nowhere.so"]).fails(6, &["/nowhere.so cannot be loaded"]);
    // SoftHSM takes out what a list with a minus names, but for its first
    ward.configure("slots.mechanisms = -CKM_MD5,CKM_AES_KEY_WRAP,CKM_AES_KEY_WRAP_PAD");
    let report = ward.probe(&[]).fails(4, &["cannot keep a wrapping key"]).json();
    let missing: Vec<&Value> = report["mechanisms"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["listed"] == false)
        .map(|row| &row["mechanism"])
        .collect();
    assert!(
        missing.contains(&&json!("CKM_AES_KEY_WRAP")) && missing.contains(&&json!("CKM_AES_KEY_WRAP_PAD")),
        "{report}"
    );
}

#[test]
fn wherever_a_token_fails_while_a_key_file_is_bound_the_key_file_is_as_it_was_and_no_key_is_left_behind() {
    let Some(ward) = Ward::new().map(Ward::with_key_file) else { return };
    let (module, before) = (ward.failing_module(), ward.key_file());
    let steps = [
        (LOGIN, 1, DEVICE_ERROR),
        (GENERATE, 1, DEVICE_ERROR),
        (GENERATE, 2, DEVICE_REMOVED),
        (ATTRIBUTE, 1, DEVICE_ERROR),
        (ATTRIBUTE, 8, DEVICE_ERROR),
        (UNWRAP, 2, DEVICE_REMOVED),
        (FIND, 1, DEVICE_ERROR),
    ];
    for failing in steps {
        let failed = ward.protect(&module, Some(failing)).fails(6, &["the token failed to"]).failure();
        assert!(failed["safe"].as_str().unwrap().contains("the key file is as it was"), "{failed}");
        assert_eq!(ward.key_file(), before, "{failing:?}");
        assert_eq!(ward.wrapping_keys(), 0, "{failing:?}");
    }
    ward.show().ok();
    // one mechanism that fails is not the end: there is another
    ward.protect(&module, Some((WRAP, 1, DEVICE_ERROR))).ok();
    let shown = ward.hospital(&["keyring", "show"], "pin", Some((LOGIN, 0, 0))).ok();
    assert_eq!(shown.json()["custody"]["mechanism"], "CKM_AES_KEY_WRAP_PAD");
    assert_eq!(ward.wrapping_keys(), 1);
}

#[test]
fn wherever_a_token_fails_while_a_key_file_is_opened_nothing_opens_and_the_next_try_does() {
    let Some(ward) = Ward::new().map(Ward::with_key_file) else { return };
    let module = ward.failing_module();
    ward.protect(&module, Some((LOGIN, 0, 0))).ok();
    let before = ward.key_file();
    let show = |failing| ward.hospital(&["keyring", "show"], "pin", Some(failing));
    for failing in
        [(LOGIN, 1, DEVICE_ERROR), (FIND, 1, DEVICE_REMOVED), (UNWRAP, 1, DEVICE_ERROR), (ATTRIBUTE, 2, DEVICE_ERROR)]
    {
        show(failing).fails(6, &["cannot open key file", "the token failed to"]);
    }
    show((LOGIN, 1, PIN_LOCKED)).fails(4, &["locked or has expired", "security officer"]);
    assert_eq!(ward.key_file(), before);
    show((LOGIN, 0, 0)).ok();
}

#[test]
fn a_destroyed_wrapping_key_ends_every_copy_of_the_key_file_and_only_after_a_drill() {
    let Some(ward) = Ward::new().map(Ward::with_key_file) else { return };
    ward.protect(&ward.module, None).ok();
    ward.protect(&ward.module, None).fails(2, &["bound to a token"]);
    let copy = ward.key_file();
    let destroy = |more: &[&str]| ward.hospital(&[&["keyring", "hsm", "destroy"], more].concat(), "pin", None);
    destroy(&[]).fails(4, &["give --yes"]);
    destroy(&["--yes"]).fails(4, &["escrow drill"]);
    let sheets = ward.path("sheets");
    let split = ward
        .hospital(&["escrow", "split", "--needed", "2", "--shares", "2", "--out", arg(&sheets)], "pin", None)
        .ok()
        .json();
    let sheets: Vec<&str> = split["sheets"].as_array().unwrap().iter().map(|sheet| sheet.as_str().unwrap()).collect();
    ward.hospital(&[&["escrow", "drill"], sheets.as_slice()].concat(), "pin", None).ok();
    let hospital = ward.show().ok().json()["hospital"].clone();
    // a token that fails here has destroyed nothing
    let module = ward.failing_module();
    std::fs::write(ward.path("h/token.toml"), format!("form = 1\nmodule = {:?}\n", arg(&module))).unwrap();
    ward.hospital(&["keyring", "hsm", "destroy", "--yes"], "pin", Some((DESTROY, 2, DEVICE_ERROR)))
        .fails(6, &["the token failed to"]);
    ward.hospital(&["keyring", "show"], "pin", Some((LOGIN, 0, 0))).ok();
    ward.hospital(&["keyring", "hsm", "destroy", "--yes"], "pin", Some((LOGIN, 0, 0))).ok();
    assert_eq!(ward.key_file(), copy, "it is the token that changed");
    ward.hospital(&["keyring", "show"], "pin", Some((LOGIN, 0, 0)))
        .fails(3, &["holds no wrapping key", "escrow restore"]);
    let new = ward.path("new");
    let passphrase = ward.path("passphrase");
    let restored =
        [&["escrow", "restore", "--dir", arg(&new), "--passphrase-file", arg(&passphrase)], sheets.as_slice()].concat();
    assert_eq!(ward.bare(&restored).ok().json()["hospital"], hospital);
}

#[test]
fn a_key_file_and_its_passphrase_without_the_token_are_nothing() {
    let Some(ward) = Ward::new().map(Ward::with_key_file) else { return };
    ward.protect(&ward.module, None).ok();
    // a thief with the whole folder, the passphrase and the PIN, and a token of the same label
    std::fs::rename(ward.path("tokens"), ward.path("hospitals")).unwrap();
    std::fs::create_dir(ward.path("tokens")).unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "hospital", "--pin", PIN, "--so-pin", "so-4711"])
        .env("SOFTHSM2_CONF", ward.path("softhsm2.conf"))
        .status()
        .unwrap();
    assert!(made.success());
    ward.show().fails(6, &["0 tokens are called"]);
}
