//! Changes of the media ledger killed at any moment: a volume is taken into use wholly or can be added again, it is in the
//! state before or after, and the ledger, `vault.toml` and the label never part.
//!
//! `SHOSOIN_JOB_KILLS` says how many additions must be killed in their middle (3 unless set), `SHOSOIN_CRASH_SEED` repeats a run that failed.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod support;

use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use support::arg;
use support::kill::{Dice, FirstSign, from_env, run_and_kill};
use support::site::Site;

/// First guess at how long a change of state runs before it changes something, in microseconds.
const LIFE_US: u64 = 200_000;
/// An addition that is killed lives at most this long after its first write to the medium, in microseconds; less where
/// that was too late.
const WRITING_US: u64 = 12_000;
/// The loop gives up after this many media for each kill it must bring about.
const MEDIA_PER_KILL: u64 = 20;
/// Every so many media one goes through its states under kills; the others go straight.
const WALK_EVERY: u64 = 3;

/// Feels its way to the moment at which a command changes something.
struct Aim {
    dice: Dice,
    life_us: u64,
}

impl Aim {
    /// Runs and kills a command near that moment. `is_done` looks whether it had done its work.
    fn kill(&mut self, command: &[&str], is_done: impl Fn() -> bool) -> bool {
        let life_us = self.life_us * (80 + self.dice.below(30)) / 100;
        run_and_kill(command, FirstSign::Start, Duration::from_micros(life_us));
        let done = is_done();
        self.life_us = self.life_us * if done { 97 } else { 103 } / 100;
        done
    }
}

fn listed(site: &Site) -> Vec<Value> {
    site.vault(&["volume", "list"]).ok().json()["volumes"].as_array().unwrap().clone()
}

fn state_at(site: &Site, place: &Path) -> Option<String> {
    let here: Vec<Value> = listed(site).into_iter().filter(|volume| volume["place"] == arg(place)).collect();
    assert!(here.len() <= 1, "one medium, one row: {here:?}");
    here.first().map(|volume| volume["state"].as_str().unwrap().to_owned())
}

fn is_configured(site: &Site, place: &Path) -> bool {
    std::fs::read_to_string(site.path("vault/vault.toml")).unwrap().contains(arg(place))
}

/// Adds a medium, killed in the middle of it at most `writing_us` after its first write, and once more wholly if it is not
/// there by then. Gives how long the next one may live.
fn add(site: &Site, place: &Path, dice: &mut Dice, writing_us: u64) -> u64 {
    let vault = site.path("vault");
    let command = ["volume", "add", arg(place), "--dir", arg(&vault), "--security-label", "C3", "--json"];
    run_and_kill(&command, FirstSign::Entry(place), Duration::from_micros(dice.below(writing_us)));
    let done = is_configured(site, place);
    if !done {
        site.vault(&["volume", "add", arg(place), "--security-label", "C3"]).ok();
    }
    let status = site.vault(&["vault", "status"]).ok().json();
    assert_eq!(status["volumes_absent"], Value::Array(Vec::new()), "{status}");
    assert_eq!(state_at(site, place).as_deref(), Some("active"));
    if done { (writing_us / 2).max(1) } else { (writing_us * 2).min(WRITING_US) }
}

/// Moves a medium on, killed on the way, and once more wholly if it is not there by then.
fn set_state(site: &Site, place: &Path, (from, to): (&str, &str), aim: &mut Aim) {
    let (vault, id) = (site.path("vault"), site.id_at(place));
    let command = ["volume", "set-state", &id, to, "--reason", "walk", "--dir", arg(&vault), "--json"];
    let state = || state_at(site, place).unwrap();
    if !aim.kill(&command, || state() == to) {
        assert_eq!(state(), from, "a killed change happened or did not");
        site.vault(&["volume", "set-state", &id, to, "--reason", "walk"]).ok();
    }
    let in_use = to != "retired";
    assert_eq!((state().as_str(), is_configured(site, place)), (to, in_use), "ledger and configuration agree");
    let status = site.vault(&["vault", "status"]).ok().json();
    assert_eq!(status["volumes_absent"], Value::Array(Vec::new()), "{status}");
}

/// Additions in the audit log that began and did not end.
fn cut_short(site: &Site) -> u64 {
    let shown = site.vault(&["audit", "show", "--action", "volume-added", "--newest", "100000"]).ok().json();
    let outcomes = shown["records"].as_array().unwrap().iter().map(|record| record["outcome"].as_str().unwrap());
    outcomes.fold(0, |open, outcome| if outcome == "begun" { open + 1 } else { open - 1 })
}

#[test]
fn media_taken_in_and_moved_on_under_kills_are_in_the_state_before_or_after() {
    let site = Site::new("6", 1);
    let wanted = from_env("SHOSOIN_JOB_KILLS", 3);
    let mut dice = Dice::thrown_for("volume add");
    let mut moving = Aim { dice: Dice::thrown_for("volume set-state"), life_us: LIFE_US };
    let (mut media, mut hits, mut walks, mut writing_us) = (0, 0, 0, WRITING_US);
    while hits < wanted {
        assert!(media < wanted * MEDIA_PER_KILL, "{hits} additions of {media} media were hit");
        let place = site.path(&format!("medium{media}"));
        std::fs::create_dir(&place).unwrap();
        writing_us = add(&site, &place, &mut dice, writing_us);
        if media % WALK_EVERY == 0 {
            walks += 1;
            for step in [("active", "suspect"), ("suspect", "draining"), ("draining", "retired")] {
                set_state(&site, &place, step, &mut moving);
            }
        } else {
            for state in ["draining", "retired"] {
                site.vault(&["volume", "set-state", &site.id_at(&place), state, "--reason", "walk"]).ok();
            }
        }
        (media, hits) = (media + 1, cut_short(&site));
    }
    println!("{hits} of {media} additions killed in their middle, {} changes of state killed on the way", walks * 3);
    site.assert_sound();
}
