//! A site made by `up`, not running, with records in closed segments: to be damaged, worked on and compared.

use super::{Done, Serving, arg, bytes, shosoin};
use serde_json::Value;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// A site in a folder of its own, gone with the value.
pub struct Site {
    dir: tempfile::TempDir,
    record_bytes: usize,
    records: u64,
}

impl Site {
    /// A site of so many volumes under the code 4+2, with so many records of 300,000 bytes, each in a segment of its own.
    pub fn new(volumes: &str, records: u64) -> Site {
        Site::with_records_of(300_000, volumes, records)
    }

    /// The same, with records of another size.
    pub fn with_records_of(record_bytes: usize, volumes: &str, records: u64) -> Site {
        let mut site = Site { dir: tempfile::tempdir().unwrap(), record_bytes, records: 0 };
        Serving::start(&["up", "--dir", site.arg(), "--s3", "127.0.0.1:0", "--volumes", volumes, "--code", "4+2"])
            .stop();
        shosoin(&["bucket", "create", "records", "--dir", site.arg()]).ok();
        site.put_more(records);
        site
    }

    /// Stores more records, each in a segment of its own.
    pub fn put_more(&mut self, count: u64) {
        let file = self.path("record");
        for _ in 0..count {
            std::fs::write(&file, self.content(self.records)).unwrap();
            shosoin(&["put", "records", &self.records.to_string(), arg(&file), "--dir", self.arg()]).ok();
            self.records += 1;
        }
    }

    fn content(&self, record: u64) -> Vec<u8> {
        bytes(record + 1, self.record_bytes)
    }

    /// Its folder.
    pub fn arg(&self) -> &str {
        arg(self.dir.path())
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts it.
    pub fn up(&self) -> Serving {
        Serving::start(&["up", "--dir", self.arg(), "--s3", "127.0.0.1:0"])
    }

    /// Starts it with a log that tests read.
    pub fn up_with_log(&self, filter: &str) -> Serving {
        Serving::start_with_log(&["up", "--dir", self.arg(), "--s3", "127.0.0.1:0"], Some(filter))
    }

    /// A job, or another command that knows sites.
    pub fn job(&self, arguments: &[&str]) -> Done {
        shosoin(&[arguments, &["--dir", self.arg(), "--json"]].concat())
    }

    /// A command about the vault's media or log, as in `volume list`.
    pub fn vault(&self, arguments: &[&str]) -> Done {
        shosoin(&[arguments, &["--dir", arg(&self.path("vault")), "--json"]].concat())
    }

    /// The folder of a volume that `up` made.
    pub fn volume(&self, number: u64) -> PathBuf {
        self.path(&format!("vault/volumes/v{number:02}"))
    }

    /// Shard files of one volume.
    pub fn shards(&self, volume: &Path) -> Vec<PathBuf> {
        let Ok(hospitals) = std::fs::read_dir(volume.join("segments")) else { return Vec::new() };
        let entries = hospitals.flat_map(|hospital| std::fs::read_dir(hospital.unwrap().path()).unwrap());
        let found = entries.map(|entry| entry.unwrap().path());
        found.filter(|path| path.extension().is_some_and(|extension| extension == "shard")).collect()
    }

    /// Flips a byte of every shard on one volume, at another place in each.
    pub fn damage(&self, number: u64, salt: u64) {
        for (at, path) in (salt..).zip(self.shards(&self.volume(number))) {
            let file = File::options().read(true).write(true).open(&path).unwrap();
            let at = 4096 + (at * 7919) % (file.metadata().unwrap().len() - 8192);
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
        }
    }

    /// Every record has the bytes that were stored.
    pub fn assert_exact(&self) {
        let out = self.path("out");
        for record in 0..self.records {
            let _ = std::fs::remove_file(&out);
            shosoin(&["get", "records", &record.to_string(), "--out", arg(&out), "--dir", self.arg()]).ok();
            assert!(std::fs::read(&out).unwrap() == self.content(record), "record {record} has other bytes");
        }
    }

    /// Every record is exact, every unit of every volume is good, and nothing was changed in the audit log.
    pub fn assert_sound(&self) {
        self.assert_exact();
        let check = self.job(&["check", "--every-unit"]).ok().json();
        assert_eq!(count(&check, "findings"), 0, "{check}");
        self.vault(&["audit", "verify"]).ok();
    }

    /// The id of the volume in a folder.
    pub fn id_at(&self, place: &Path) -> String {
        let listed = self.vault(&["volume", "list"]).ok().json();
        let volumes = listed["volumes"].as_array().unwrap();
        let found = volumes.iter().find(|volume| volume["place"] == arg(place));
        found.unwrap_or_else(|| panic!("no volume at {}: {listed}", place.display()))["label"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

/// A figure of a report.
pub fn count(report: &Value, field: &str) -> u64 {
    report[field].as_u64().unwrap_or_else(|| panic!("no {field} in {report}"))
}
