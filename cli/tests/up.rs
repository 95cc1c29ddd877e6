//! `up`: everything is made on first use, opened afterwards, and owned by one process.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use support::{Serving, arg, bytes, shosoin};
use tempfile::TempDir;

struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Site {
        Site { dir: tempfile::tempdir().unwrap() }
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn up(&self) -> Serving {
        Serving::start(&["up", "--dir", arg(self.root()), "--s3", "127.0.0.1:0"])
    }
}

#[test]
fn the_first_line_has_all_that_a_client_needs_and_stays_the_same_after_a_restart() {
    let site = Site::new();
    let first = site.up();
    let stable = ["access_key_id", "secret_access_key", "region", "hospital"];
    let before: Vec<Value> = stable.iter().map(|name| first.ready[name].clone()).collect();
    assert!(before.iter().all(|value| value.as_str().is_some_and(|text| !text.is_empty())), "{}", first.ready);
    assert!(first.field("s3_endpoint").starts_with("http://127.0.0.1:"));
    assert!(first.ready["pid"].as_u64().is_some());
    let last = first.stop();
    assert_eq!(last["closed"], true);
    for counter in ["groups", "records", "deposits", "syncs"] {
        assert!(last[counter].as_u64().is_some(), "{last}");
    }
    let second = site.up();
    let after: Vec<Value> = stable.iter().map(|name| second.ready[name].clone()).collect();
    assert_eq!(before, after);
    second.stop();
}

#[test]
fn the_folder_has_two_halves_and_six_volumes() {
    let site = Site::new();
    site.up().stop();
    for made in
        ["vault/vault.toml", "vault/volumes/v01", "vault/volumes/v06", "hospital/keyring", "hospital/passphrase"]
    {
        assert!(site.path(made).exists(), "{made}");
    }
    assert!(!site.path("vault/volumes/v07").exists());
    let mut halves: Vec<_> = std::fs::read_dir(site.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    halves.sort();
    assert_eq!(halves, ["hospital", "vault"]);
}

#[test]
fn a_second_process_is_told_who_has_the_site() {
    let site = Site::new();
    let first = site.up();
    let pid = first.ready["pid"].to_string();
    shosoin(&["up", "--dir", arg(site.root()), "--s3", "127.0.0.1:0"]).fails(6, &["in use by process", &pid]);
    shosoin(&["ls", "--dir", arg(site.root())]).fails(6, &["in use by process", &pid]);
    first.stop();
}

#[test]
fn status_of_a_running_site_says_it_is_a_demonstration() {
    let site = Site::new();
    let up = site.up();
    let status = shosoin(&["vault", "status", "--dir", arg(&site.path("vault"))]).ok().stdout;
    assert!(status.contains("demonstration"), "{status}");
    up.stop();
}

#[test]
fn another_shape_than_the_vault_has_is_refused() {
    let site = Site::new();
    site.up().stop();
    let up = |more: &[&str]| shosoin(&[&["up", "--dir", arg(site.root()), "--s3", "127.0.0.1:0"], more].concat());
    up(&["--volumes", "7"]).fails(2, &["--volumes"]);
    up(&["--code", "1+2"]).fails(2, &["--code"]);
    let fresh = Site::new();
    let arguments = ["up", "--dir", arg(fresh.root()), "--s3", "127.0.0.1:0", "--code", "5+7"];
    shosoin(&arguments).fails(2, &["code"]);
    shosoin(&[&arguments[..5], &["--volumes", "3"]].concat()).fails(2, &["volume"]);
}

#[test]
fn commands_work_on_a_site_that_is_not_running() {
    let site = Site::new();
    site.up().stop();
    let root = arg(site.root());
    let (source, target) = (site.path("source"), site.path("target"));
    let content = bytes(5, 300_000);
    std::fs::write(&source, &content).unwrap();
    shosoin(&["bucket", "create", "records", "--dir", root]).ok();
    shosoin(&["put", "records", "a/b", arg(&source), "--dir", root, "--metadata", "study=42"]).ok();
    shosoin(&["get", "records", "a/b", "--out", arg(&target), "--dir", root]).ok();
    assert!(std::fs::read(&target).unwrap() == content);
    shosoin(&["get", "records", "a/b", "--out", arg(&target), "--dir", root]).fails(2, &["--force"]);
    let stat = shosoin(&["stat", "records", "a/b", "--dir", root, "--json"]).ok().json();
    assert_eq!(stat["metadata"]["study"], "42");
    shosoin(&["put", "records", "a/b", arg(&source), "--dir", root, "--if-absent"]).fails(4, &[]);
    shosoin(&["get", "records", "nothing", "--out", "-", "--dir", root]).fails(3, &["nothing"]);
    shosoin(&["put", "nowhere", "a", arg(&source), "--dir", root]).fails(3, &["bucket nowhere"]);
    let check = shosoin(&["vault", "check", "--dir", arg(&site.path("vault")), "--json"]).ok().json();
    assert!(check["sealed_bytes"].as_u64().unwrap() > 300_000, "{check}");
    assert_eq!(check["findings"].as_array().unwrap().len(), 0, "{check}");
}

#[test]
fn a_policy_is_kept_and_one_outside_the_vocabulary_is_refused() {
    let site = Site::new();
    site.up().stop();
    let root = arg(site.root());
    shosoin(&["bucket", "create", "records", "--dir", root]).ok();
    let set = ["bucket", "set-policy", "records", "--dir", root, "--json"];
    let policy = ["--record-type", "T4-01", "--label", "sensitive", "--retention-days", "1826"];
    shosoin(&[&set, policy.as_slice()].concat()).ok();
    let shown = shosoin(&["bucket", "show", "records", "--dir", root, "--json"]).ok().json();
    assert_eq!((&shown["record_type"], &shown["label"]), (&"T4-01".into(), &"sensitive".into()));
    assert_eq!(shown["retention_days"], 1826);
    shosoin(&[&set[..], &["--label", "secret"]].concat()).fails(2, &["label"]);
    shosoin(&[&set[..], &["--record-type", "X-01"]].concat()).fails(2, &["1-R1"]);
    shosoin(&["bucket", "set-policy", "nowhere", "--dir", root]).fails(3, &["bucket nowhere"]);
}

#[test]
fn access_keys_are_made_listed_without_secrets_and_ended() {
    let site = Site::new();
    let up = site.up();
    let root = arg(site.root());
    let user = |command: &[&str]| shosoin(&[&["gateway", "user"], command, &["--dir", root, "--json"]].concat());
    let made = user(&["add", "--name", "pacs", "--role", "write", "--bucket", "records"]).ok().json();
    let secret = made["secret_access_key"].as_str().unwrap();
    user(&["add", "--name", "pacs", "--role", "read"]).fails(4, &["pacs"]);
    let listed = user(&["list"]).ok().stdout;
    assert!(listed.contains("pacs") && listed.contains("admin") && !listed.contains(secret), "{listed}");
    user(&["remove", "--name", "pacs"]).ok();
    user(&["remove", "--name", "pacs"]).fails(3, &["pacs"]);
    up.stop();
}
