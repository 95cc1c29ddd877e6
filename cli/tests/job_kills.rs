//! Every job of the operator killed in its middle, over and over: nothing is lost, the next run goes on and finishes, and
//! the audit log has each run that began and did not end.
//!
//! `SHOSOIN_JOB_KILLS` says how many kills each job must take (3 unless set), `SHOSOIN_CRASH_SEED` repeats the moments of a
//! run that failed. A kill counts only if the audit log says that it hit a run: begun, and without an end. Half of the
//! runs keep to a rate, so that kills fall evenly over a job; the others run at full speed, so that kills fall into its
//! reads, writes and syncs and not into its rests.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use support::arg;
use support::kill::{Dice, FirstSign, from_env, run_and_kill};
use support::site::{Site, count};

/// Bytes of each record.
const RECORD_BYTES: usize = 1_500_000;
/// A killed run of a job that keeps to a rate lives up to this long after its first sign of life, in milliseconds.
const PACED_LIFE_MS: u64 = 700;
/// The same at full speed.
const FAST_LIFE_MS: u64 = 120;
/// A loop gives up after this many runs for each kill it must bring about.
const RUNS_PER_KILL: u64 = 8;

/// Brings about kills of one job.
struct Killer {
    job: &'static str,
    rate: &'static str,
    wanted: u64,
    dice: Dice,
}

impl Killer {
    fn of(job: &'static str, rate: &'static str) -> Killer {
        Killer { job, rate, wanted: from_env("SHOSOIN_JOB_KILLS", 3), dice: Dice::thrown_for(job) }
    }

    /// Runs the job and kills it; gives whether it was still there.
    fn run_and_kill(&mut self, site: &Site, round: u64, arguments: &[&str]) -> bool {
        let (pace, life): (&[&str], _) = match round % 2 {
            0 => (&["--rate", self.rate], PACED_LIFE_MS),
            _ => (&[], FAST_LIFE_MS),
        };
        let life = Duration::from_millis(self.dice.below(life));
        let command = [&[self.job, "--dir", site.arg(), "--json"], arguments, pace].concat();
        run_and_kill(&command, FirstSign::Progress, life)
    }

    /// Kills the job until the audit log has the wanted number of runs without an end. `between` looks at the site after
    /// each kill and gives the next run something to do; it gets how many runs there were.
    fn kill(&mut self, site: &mut Site, mut between: impl FnMut(&mut Site, u64) -> Vec<String>) {
        let (mut runs, mut hits) = (0, 0);
        while hits < self.wanted {
            assert!(runs < self.wanted * RUNS_PER_KILL, "{} was hit {hits} times in {runs} runs", self.job);
            let arguments = between(site, runs);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            self.run_and_kill(site, runs, &arguments);
            runs += 1;
            hits = self.unended(site);
        }
        println!("{}: {hits} of {runs} runs killed in their middle", self.job);
    }

    /// Runs in the audit log that began and did not end. What a run did on its way has records too, about segments.
    fn unended(&self, site: &Site) -> u64 {
        let shown = site.vault(&["audit", "show", "--action", self.job, "--newest", "100000"]).ok().json();
        let records = shown["records"].as_array().unwrap().iter();
        let of_runs = records.filter(|record| record["segment"].is_null() && !record["detail"]["found"].is_null());
        of_runs.fold(0, |open, record| if record["outcome"] == "begun" { open + 1 } else { open - 1 })
    }

    /// The next run ends by itself, with nothing short.
    fn finishes(&self, site: &Site, arguments: &[&str]) -> Value {
        let report = site.job(&[&[self.job], arguments].concat()).ok().json();
        assert_eq!((&report["outcome"], count(&report, "short")), (&Value::from("done"), 0), "{report}");
        report
    }
}

#[test]
fn scrubs_killed_in_their_middle_go_on_and_finish_their_tours() {
    let mut site = Site::with_records_of(RECORD_BYTES, "6", 6);
    let mut killer = Killer::of("scrub", "20MiB");
    killer.kill(&mut site, |_, _| Vec::new());
    killer.finishes(&site, &[]);
    let toured = site.vault(&["audit", "show", "--action", "volume-toured"]).ok().json();
    assert!(toured["records"].as_array().unwrap().len() >= 6, "every volume was read whole: {toured}");
    site.assert_sound();
}

#[test]
fn checks_killed_in_their_middle_change_nothing_and_finish() {
    let mut site = Site::with_records_of(RECORD_BYTES, "6", 6);
    let mut killer = Killer::of("check", "20MiB");
    killer.kill(&mut site, |_, _| vec!["--every-unit".to_owned()]);
    assert_eq!(count(&killer.finishes(&site, &["--every-unit"]), "findings"), 0);
    site.assert_sound();
}

#[test]
fn repairs_killed_in_their_middle_lose_nothing_and_finish() {
    let mut site = Site::with_records_of(RECORD_BYTES, "8", 6);
    let mut killer = Killer::of("repair", "8MiB");
    killer.kill(&mut site, |site, round| {
        // Every unit that is read damaged is queued; two volumes of eight are always within the code.
        if count(&site.job(&["repair", "--dry-run"]).ok().json(), "left_bytes") == 0 {
            site.damage(1, round);
            site.damage(2, round + 3);
            let found = site.job(&["scrub"]).json();
            assert!(count(&found, "findings") > 0, "{found}");
        }
        Vec::new()
    });
    killer.finishes(&site, &[]);
    site.job(&["scrub"]).ok();
    site.assert_sound();
}

/// Takes a fresh folder into use as a volume.
fn add_volume(site: &Site, name: &str, facts: &[&str]) -> PathBuf {
    let place = site.path(name);
    std::fs::create_dir(&place).unwrap();
    site.vault(&[&["volume", "add", arg(&place), "--security-label", "C3"], facts].concat()).ok();
    place
}

#[test]
fn copy_forwards_killed_in_their_middle_lose_nothing_and_retire_their_volumes() {
    let mut site = Site::with_records_of(RECORD_BYTES, "7", 6);
    let mut killer = Killer::of("copy-forward", "8MiB");
    let mut volumes: Vec<PathBuf> = (1..=7).map(|number| site.volume(number)).collect();
    let mut at = 0;
    killer.kill(&mut site, |site, _| {
        if site.shards(&volumes[at]).is_empty() {
            volumes.push(add_volume(site, &format!("fresh{at}"), &[])); // what was retired is replaced, as over the years
            at += 1;
        }
        vec!["--volume".to_owned(), site.id_at(&volumes[at])]
    });
    let last = site.id_at(&volumes[at]);
    if !site.shards(&volumes[at]).is_empty() {
        killer.finishes(&site, &["--volume", &last]);
    }
    for place in &volumes[..=at] {
        assert_eq!(site.shards(place), Vec::<PathBuf>::new());
    }
    site.assert_sound();
}

#[test]
fn migrations_killed_in_their_middle_lose_nothing_and_finish() {
    let mut site = Site::with_records_of(RECORD_BYTES, "6", 3);
    for number in 1..=6 {
        add_volume(&site, &format!("tape{number}"), &["--tier", "archive", "--class", "tape"]);
    }
    let config = site.path("vault/vault.toml");
    let rule = "\n[[migrate]]\nolder_than = \"0s\"\nkeep = \"archive\"\n";
    std::fs::write(&config, std::fs::read_to_string(&config).unwrap() + rule).unwrap();
    let mut killer = Killer::of("migrate", "8MiB");
    killer.kill(&mut site, |site, _| {
        if count(&site.job(&["migrate", "--dry-run"]).ok().json(), "left_bytes") == 0 {
            site.put_more(2);
        }
        Vec::new()
    });
    killer.finishes(&site, &[]);
    // A kill while a hot segment is written to may leave fewer than k + m units of its last stripe: repair knows.
    assert_eq!(site.job(&["repair"]).ok().json()["short"], 0);
    site.assert_sound();
}
