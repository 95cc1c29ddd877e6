//! Records on shelves, with real folders that are carried away and back: what must be mounted is said, what was fetched is
//! kept, and the fetch goes on after the mount, against a served vault and in one process.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use support::{Done, Serving, arg, bytes, shosoin};
use tempfile::TempDir;

const CHUNK: usize = 4 << 20;

/// A site of six hot and six archive volumes. `b` and `c` are in the archive alone, and so is the second half of `ab`.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Site {
        let site = Site { dir: tempfile::tempdir().unwrap() };
        Serving::start(&["up", "--dir", arg(&site.path("site")), "--s3", "127.0.0.1:0"]).stop();
        shosoin(&["bucket", "create", "--dir", arg(&site.path("site")), "records"]).ok();
        for no in 0..6 {
            std::fs::create_dir_all(site.tape(no)).unwrap();
            let serial = format!("T{no}");
            let facts = ["--tier", "archive", "--class", "tape", "--serial", &serial, "--security-label", "C3"];
            site.volume("add", &[&[arg(&site.tape(no))] as &[&str], &facts].concat()).ok();
            site.volume("test", &[&serial, "--place", &format!("cabinet 2, tray {no}")]).ok();
        }
        site.put("b", &bytes(2, CHUNK));
        site.put("c", &bytes(3, CHUNK));
        let toml = site.vault().join("vault.toml");
        let mut toml = std::fs::OpenOptions::new().append(true).open(toml).unwrap();
        write!(toml, "\n[[migrate]]\nolder_than = \"0s\"\nkeep = \"archive\"\n").unwrap();
        shosoin(&["migrate", "--dir", arg(&site.vault())]).ok();
        site.put("a", &bytes(1, CHUNK));
        site.put("ab", &[bytes(1, CHUNK), bytes(2, CHUNK)].concat());
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn vault(&self) -> PathBuf {
        self.path("site/vault")
    }

    fn tape(&self, no: usize) -> PathBuf {
        self.path(&format!("tapes/t{no}"))
    }

    fn put(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path("source"), content).unwrap();
        shosoin(&["put", "--dir", arg(&self.path("site")), "records", name, arg(&self.path("source"))]).ok();
    }

    fn volume(&self, verb: &str, rest: &[&str]) -> Done {
        shosoin(&[&["volume", verb, "--dir", arg(&self.vault()), "--json"], rest].concat())
    }

    fn carry_away(&self, numbers: impl IntoIterator<Item = usize>) {
        std::fs::create_dir_all(self.path("shelf")).unwrap();
        for no in numbers {
            std::fs::rename(self.tape(no), self.path(&format!("shelf/t{no}"))).unwrap();
        }
    }

    fn carry_back(&self, number: usize) {
        std::fs::rename(self.path(&format!("shelf/t{number}")), self.tape(number)).unwrap();
    }

    /// `get` in one process with the vault.
    fn get(&self, rest: &[&str]) -> Done {
        shosoin(&[&["get", "--dir", arg(&self.path("site")), "--json", "records"], rest].concat())
    }

    /// `get` of the hospital against a vault that is served.
    fn get_from(&self, vault: &Serving, rest: &[&str]) -> Done {
        let (dir, passphrase) = (self.path("site/hospital"), self.path("site/hospital/passphrase"));
        let (url, pin) = (vault.field("url"), vault.field("pin"));
        let reach =
            ["--dir", arg(&dir), "--passphrase-file", arg(&passphrase), "--vault-url", &url, "--vault-pin", &pin];
        shosoin(&[&["get", "--json"] as &[&str], &reach, &["records"], rest].concat())
    }

    fn serve(&self) -> Serving {
        Serving::start(&["vault", "serve", "--dir", arg(&self.vault()), "--listen", "127.0.0.1:0"])
    }
}

/// The serial numbers of the media of a plan, in its order.
fn serials(plan: &Value) -> Vec<String> {
    let mounts = plan["mounts"].as_array().unwrap();
    mounts.iter().map(|mount| mount["serial"].as_str().unwrap().to_owned()).collect()
}

fn number(serial: &str) -> usize {
    serial[1..].parse().unwrap()
}

fn part(target: &Path) -> PathBuf {
    PathBuf::from(format!("{}.shosoin-part", target.display()))
}

#[test]
fn a_get_that_meets_a_shelf_names_the_media_keeps_what_it_verified_and_goes_on_after_the_mount() {
    let site = Site::new();
    site.carry_away(0..6);
    let vault = site.serve();
    let target = site.path("ab");
    let stopped = site.get_from(&vault, &["ab", "--out", arg(&target)]).fails(6, &["mount 4 media first", "tray"]);
    let plan = stopped.json()["plan"].clone();
    assert_eq!((plan["mounts"].as_array().unwrap().len(), plan["waiting"].as_u64()), (4, Some(1)));
    assert_eq!(plan["mounts"][0]["class"], "tape");
    assert!(plan["mounts"][0]["shelf"].as_str().unwrap().starts_with("cabinet 2, tray "));
    assert!(plan["bytes"].as_u64().unwrap() >= CHUNK as u64 && plan["mount_ms"] == 4 * 300_000, "{plan}");
    assert!(!target.exists());
    assert!(std::fs::read(part(&target)).unwrap() == bytes(1, CHUNK), "what was verified is kept, and nothing else");

    // three of four are not enough, and the plan says which one more
    let wanted = serials(&plan);
    wanted.iter().take(3).for_each(|serial| site.carry_back(number(serial)));
    let plan = site.get_from(&vault, &["ab", "--out", arg(&target), "--plan"]).ok().json()["plan"].clone();
    assert_eq!(serials(&plan).len(), 1, "{plan}");
    // another than the one it names does as well
    let other = (0..6).find(|no| !wanted.contains(&format!("T{no}"))).unwrap();
    site.carry_back(other);
    let fetched = site.get_from(&vault, &["ab", "--out", arg(&target)]).ok().json();
    assert_eq!((&fetched["resumed_bytes"], &fetched["size_bytes"]), (&CHUNK.into(), &(2 * CHUNK).into()));
    assert!(std::fs::read(&target).unwrap() == [bytes(1, CHUNK), bytes(2, CHUNK)].concat());
    assert!(!part(&target).exists());
    let again = site.get_from(&vault, &["ab", "--out", arg(&target), "--plan"]).ok().json();
    assert_eq!(again["plan"]["mounts"], Value::Array(Vec::new()), "nothing needs to be mounted any more");
    vault.stop();
}

#[test]
fn several_records_are_planned_together_and_those_that_are_there_are_fetched_at_once() {
    let site = Site::new();
    site.carry_away(0..6);
    let folder = site.path("out");
    std::fs::create_dir(&folder).unwrap();
    let wanted = ["a", "b", "c", "ab", "--out-dir", arg(&folder)];
    let plan = site.get(&[&wanted[..], &["--plan"]].concat()).ok().json()["plan"].clone();
    assert_eq!(serials(&plan).len(), 4, "one set of media serves all of them: {plan}");
    assert_eq!((plan["waiting"].as_u64(), plan["readable"].as_u64()), (Some(2), Some(1)), "pieces, each counted once");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "a plan fetches nothing");
    let stopped = site.get(&wanted).fails(6, &["mount 4 media first"]).json();
    assert_eq!(stopped["files"].as_array().unwrap().len(), 1, "{stopped}");
    assert!(folder.join("a").is_file() && !folder.join("b").exists());
    let chosen = serials(&plan);
    chosen.iter().for_each(|serial| site.carry_back(number(serial)));
    let rest = ["b", "c", "ab", "--out-dir", arg(&folder)];
    let fetched = site.get(&rest).ok().json();
    assert_eq!(fetched["files"].as_array().unwrap().len(), 3);
    for (name, content) in [("b", bytes(2, CHUNK)), ("c", bytes(3, CHUNK))] {
        assert!(std::fs::read(folder.join(name)).unwrap() == content, "{name}");
    }
    let text = shosoin(&["get", "--dir", arg(&site.path("site")), "records", "b", "--plan"]).ok().stdout;
    assert_eq!(text, "nothing needs to be mounted\n");
    site.get(&["b", "c", "--out", "x"]).fails(2, &["--out"]);
    site.get(&["x/b", "y/b", "--out-dir", arg(&folder), "--force"]).fails(2, &["two of the records"]);
}

#[test]
fn a_get_waits_for_media_that_are_put_on_a_shelf_by_command_and_mounted_meanwhile() {
    let site = Site::new();
    let vault = site.serve();
    for no in 0..6 {
        site.volume("set-state", &[&format!("T{no}"), "on-shelf", "--reason", "carried to the vault room"]).ok();
    }
    let target = site.path("b");
    let stopped = site.get_from(&vault, &["b", "--out", arg(&target)]).fails(6, &["on-shelf"]).json();
    assert_eq!(stopped["plan"]["mounts"][0]["state"], "on-shelf");
    let mut left = serials(&stopped["plan"]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| site.get_from(&vault, &["b", "--out", arg(&target), "--wait", "120s"]));
        for serial in left.drain(..) {
            site.volume("set-state", &[&serial, "active", "--reason", "for a get"]).ok();
        }
        waiting.join().unwrap().ok();
    });
    assert!(std::fs::read(&target).unwrap() == bytes(2, CHUNK));
    vault.stop();
}

#[test]
fn a_vault_whose_index_was_made_anew_while_its_media_are_away_plans_their_mount_and_reads_their_label_back() {
    let site = Site::new();
    for no in 0..6 {
        site.volume("set-state", &[&format!("T{no}"), "on-shelf", "--reason", "carried to the vault room"]).ok();
        site.carry_away([no]);
    }
    let shown = site.volume("show", &["T0"]).ok().json();
    assert!(shown["volume"]["used_bytes"].as_u64().unwrap() > (CHUNK / 4) as u64, "what is on it is known: {shown}");
    shosoin(&["vault", "rebuild", "--dir", arg(&site.vault())]).ok();
    let plan = site.get(&["b", "c", "--plan"]).ok().json()["plan"].clone();
    assert_eq!((serials(&plan).len(), plan["waiting"].as_u64(), plan["unknown"].as_u64()), (4, Some(2), Some(0)));
    let first = number(&serials(&plan)[0]);
    let shards = walk(&site.path(&format!("shelf/t{first}/segments")));
    assert!(!shards.is_empty());
    std::fs::remove_file(&shards[0]).unwrap();
    (0..6).for_each(|no| site.carry_back(no));
    let status = shosoin(&["vault", "status", "--dir", arg(&site.vault()), "--json"]).ok().json();
    let findings = status["findings"].as_array().unwrap();
    let missing = findings.iter().find(|finding| finding["code"] == "shelf-shards-missing").unwrap();
    assert!(missing["message"].as_str().unwrap().contains("without 1 of"), "{missing}");
    site.get(&["b", "--out", arg(&site.path("b"))]).ok();
    assert!(std::fs::read(site.path("b")).unwrap() == bytes(2, CHUNK));
}

/// Every shard file below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
