//! The operator's background work with the real binary on real folders: damage is found, mended and gone, with the vault
//! served and not; jobs that are killed at any moment lose nothing and are finished by the next run.
//!
//! `SHOSOIN_JOB_KILLS` says how often (6 of each job unless set), `SHOSOIN_CRASH_SEED` repeats a run that failed.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Done, Serving, arg, bytes, shosoin};

/// Longest life of a job that is killed, in milliseconds.
const LIFE_MS_MAX: u64 = 120;

/// A site made by `up`, not running, with records in closed segments.
struct Site {
    dir: tempfile::TempDir,
    contents: Vec<Vec<u8>>,
}

impl Site {
    fn new(volumes: &str, records: usize) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let site = Site { dir, contents: (0..records).map(|number| bytes(number as u64 + 1, 300_000)).collect() };
        Serving::start(&["up", "--dir", site.arg(), "--s3", "127.0.0.1:0", "--volumes", volumes, "--code", "4+2"])
            .stop();
        shosoin(&["bucket", "create", "records", "--dir", site.arg()]).ok();
        let file = site.dir.path().join("record");
        for (number, content) in site.contents.iter().enumerate() {
            std::fs::write(&file, content).unwrap();
            shosoin(&["put", "records", &number.to_string(), arg(&file), "--dir", site.arg()]).ok();
        }
        site
    }

    fn arg(&self) -> &str {
        arg(self.dir.path())
    }

    fn up(&self) -> Serving {
        Serving::start(&["up", "--dir", self.arg(), "--s3", "127.0.0.1:0"])
    }

    fn job(&self, arguments: &[&str]) -> Done {
        shosoin(&[arguments, &["--dir", self.arg(), "--json"]].concat())
    }

    fn volume(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("vault/volumes/v{number:02}"))
    }

    /// Shard files of one volume.
    fn shards(&self, number: usize) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for hospital in std::fs::read_dir(self.volume(number).join("segments")).unwrap() {
            for shard in std::fs::read_dir(hospital.unwrap().path()).unwrap() {
                found.push(shard.unwrap().path());
            }
        }
        found
    }

    /// Flips a byte of every shard on one volume, at another place in each.
    fn damage(&self, number: usize, salt: u64) {
        for (at, path) in (salt..).zip(self.shards(number)) {
            let file = File::options().read(true).write(true).open(&path).unwrap();
            let at = 4096 + (at * 7919) % (file.metadata().unwrap().len() - 8192);
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
        }
    }

    fn assert_exact(&self) {
        let out = self.dir.path().join("out");
        for (number, content) in self.contents.iter().enumerate() {
            let _ = std::fs::remove_file(&out);
            shosoin(&["get", "records", &number.to_string(), "--out", arg(&out), "--dir", self.arg()]).ok();
            assert!(std::fs::read(&out).unwrap() == *content, "record {number} has other bytes");
        }
    }

    fn volume_id(&self, number: usize) -> String {
        let status = shosoin(&["vault", "status", "--dir", arg(&self.dir.path().join("vault")), "--json"]).ok().json();
        let ends = format!("v{number:02}");
        let volumes = status["volumes"].as_array().unwrap();
        let volume = volumes.iter().find(|volume| volume["place"].as_str().unwrap().ends_with(&ends)).unwrap();
        volume["id"].as_str().unwrap().to_owned()
    }
}

fn count(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("no {field} in {report}"))
}

#[test]
fn damage_in_a_stopped_site_is_found_mended_and_gone() {
    let site = Site::new("6", 3);
    assert_eq!(count(&site.job(&["scrub"]).ok().json(), "findings"), 0);
    site.damage(2, 1);
    let found = site.job(&["scrub"]);
    let report = found.json();
    assert!(found.code != 0 && count(&report, "findings") > 0, "{report}");
    let planned = site.job(&["repair", "--dry-run"]).ok().json();
    assert!(planned["dry_run"] == true && !planned["done"].as_array().unwrap().is_empty(), "{planned}");
    let mended = site.job(&["repair"]).ok().json();
    assert!(count(&mended, "rebuilt") > 0 && count(&mended, "short") == 0, "{mended}");
    assert!(count(&mended, "reread_bytes") >= count(&mended, "written_bytes"));
    assert_eq!(count(&site.job(&["scrub"]).ok().json(), "findings"), 0);
    site.assert_exact();
}

#[test]
fn a_running_site_is_scrubbed_and_mends_itself_and_says_so() {
    let site = Site::new("6", 3);
    site.damage(1, 5);
    site.damage(4, 9);
    let up = site.up();
    let report = site.job(&["scrub"]).json();
    assert!(count(&report, "findings") > 0 && report["by"] == "operator", "{report}");
    let mended = site.job(&["repair"]).ok().json();
    assert_eq!(count(&mended, "short"), 0, "{mended}");
    assert_eq!(count(&site.job(&["scrub"]).ok().json(), "findings"), 0);
    let jobs = site.job(&["jobs"]).ok().json();
    assert_eq!((&jobs["scheduled"], &jobs["scrub"]["debt_bytes"]), (&Value::Bool(true), &Value::from(0)));
    let scrub = jobs["jobs"].as_array().unwrap().iter().find(|job| job["job"] == "scrub").unwrap();
    assert!(scrub["last"]["outcome"] == "done" && scrub["late_since_ms"].is_null(), "{scrub}");
    let text = shosoin(&["jobs", "--dir", site.arg()]).ok().stdout;
    assert!(text.contains("scrub debt   0 B of") && text.contains("next start"), "{text}");
    assert_eq!(site.job(&["jobs", "--cancel", "scrub"]).ok().json()["cancelled"], false);
    up.stop();
    site.assert_exact();
}

#[test]
fn shards_deleted_from_a_volume_are_rebuilt_when_the_site_starts() {
    let site = Site::new("6", 3);
    let gone = site.shards(3);
    gone.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let up = site.up();
    let deadline = Instant::now() + Duration::from_secs(60);
    while site.shards(3).iter().filter(|path| path.extension().is_some_and(|ext| ext == "shard")).count() < gone.len() {
        assert!(Instant::now() < deadline, "nothing was rebuilt by itself: {}", site.job(&["jobs"]).stdout);
        std::thread::sleep(Duration::from_millis(50)); // looks again; what is waited for is the file system
    }
    assert_eq!(site.job(&["repair"]).ok().json()["short"], 0);
    up.stop();
    assert_eq!(count(&site.job(&["scrub"]).ok().json(), "findings"), 0);
    site.assert_exact();
}

#[test]
fn a_job_keeps_to_its_time_and_refuses_what_it_does_not_know() {
    let site = Site::new("6", 1);
    let stopped = site.job(&["scrub", "--max-duration", "0s"]).ok().json();
    assert!(stopped["outcome"] == "stopped" && count(&stopped, "left_bytes") > 0, "{stopped}");
    assert_eq!(site.job(&["scrub", "--rate", "500MiB"]).ok().json()["left_bytes"], 0);
    site.job(&["scrub", "--volume", &"ee".repeat(16)]).fails(3, &["not in use here"]);
    site.job(&["scrub", "--volume", "v01"]).fails(2, &["32 hex digits"]);
    site.job(&["scrub", "--rate", "fast"]).fails(2, &["fast"]);
    assert_eq!(count(&site.job(&["check", "--every-unit"]).ok().json(), "findings"), 0);
    assert_eq!(site.job(&["compact"]).ok().json()["outcome"], "done");
    assert_eq!(site.job(&["migrate"]).ok().json()["outcome"], "done");
}

#[test]
fn copy_forward_empties_a_volume_and_retires_it() {
    let site = Site::new("7", 3);
    let volume = site.volume_id(1);
    let planned = site.job(&["copy-forward", "--volume", &volume, "--dry-run"]).ok().json();
    assert_eq!(planned["done"].as_array().unwrap().len(), 1, "{planned}");
    let report = site.job(&["copy-forward", "--volume", &volume]).ok().json();
    assert_eq!((&report["outcome"], count(&report, "short")), (&Value::from("done"), 0), "{report}");
    assert_eq!(site.shards(1).len(), 0);
    assert_eq!(count(&site.job(&["scrub"]).ok().json(), "findings"), 0);
    site.assert_exact();
}

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// Runs a job and kills it after `life`; gives whether it had ended before.
fn run_and_kill(arguments: &[&str], life: Duration) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_shosoin"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(life); // the random life before a kill
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    ended
}

#[test]
fn jobs_killed_at_any_moment_lose_nothing_and_are_finished_by_the_next_run() {
    let rounds = from_env("SHOSOIN_JOB_KILLS", 6);
    let mut dice = from_env("SHOSOIN_CRASH_SEED", u64::from(std::process::id())) | 1;
    println!("SHOSOIN_JOB_KILLS={rounds} SHOSOIN_CRASH_SEED={dice}");
    let mut life = || {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        Duration::from_millis(dice % LIFE_MS_MAX)
    };
    let site = Site::new("8", 6);
    let mut killed = [0; 3];
    for round in 0..rounds {
        killed[0] += u64::from(!run_and_kill(&["scrub", "--dir", site.arg()], life()));
        site.damage(1 + usize::try_from(round % 2).unwrap(), round);
        killed[1] += u64::from(!run_and_kill(&["repair", "--dir", site.arg()], life()));
        let found = site.job(&["scrub"]).json();
        assert_eq!(found["outcome"], "done", "{found}");
        killed[1] += u64::from(!run_and_kill(&["repair", "--dir", site.arg()], life()));
        let mended = site.job(&["repair"]).ok().json();
        assert_eq!(count(&mended, "short"), 0, "{mended}");
    }
    let volume = site.volume_id(4);
    for _ in 0..rounds {
        killed[2] += u64::from(!run_and_kill(&["copy-forward", "--dir", site.arg(), "--volume", &volume], life()));
        site.assert_exact();
    }
    let _ = site.job(&["copy-forward", "--volume", &volume]); // retired already where a killed run had got so far
    assert_eq!(site.shards(4).len(), 0);
    let clean = site.job(&["scrub"]).ok().json();
    assert_eq!(count(&clean, "findings"), 0, "{clean}");
    site.assert_exact();
    println!("killed on the way: {} scrubs, {} repairs, {} copy-forwards", killed[0], killed[1], killed[2]);
    assert!(site.volume(4).is_dir() && Path::new(site.arg()).is_dir());
}
