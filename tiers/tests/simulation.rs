//! Years on media that lie, under the real engine: many short histories, two long ones, and what shows when the rules of
//! the game are changed. A seed that fails is printed; with the same commit it fails again:
//! `shosoin-bench fifty-years --first-seed S --years Y --volumes V`.
//!
//! `SHOSOIN_SEED` starts somewhere else than at 1.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use shosoin_simulator::{FaultKind, Options, Outcome, run};

const SHORT_YEARS: u64 = 1;
const SHORT_VOLUMES: usize = 12;

fn first_seed() -> u64 {
    std::env::var("SHOSOIN_SEED").map_or(1, |seed| seed.parse().unwrap())
}

fn short(seed: u64) -> Options {
    Options::new(seed, SHORT_YEARS, SHORT_VOLUMES)
}

/// Runs `options`, and panics with everything that is needed to run it again if a rule was broken.
#[track_caller]
fn hold(options: &Options) -> Outcome {
    let outcome = run(options);
    let broken: Vec<String> = outcome.violations.iter().take(5).map(ToString::to_string).collect();
    assert!(
        broken.is_empty(),
        "seed {} of {} years on {} volumes: {} rules broken: {broken:#?}",
        options.seed,
        options.years,
        options.volumes,
        outcome.violations.len(),
    );
    outcome
}

/// All of `count` short seeds from `from` on, and what they gave together.
#[track_caller]
fn hold_short(from: u64, count: u64, change: impl Fn(&mut Options)) -> Outcome {
    let mut all = Outcome::default();
    for seed in first_seed() + from..first_seed() + from + count {
        let mut options = short(seed);
        change(&mut options);
        all.merge(hold(&options));
    }
    all
}

/// What must be true of many runs together for them to show anything.
fn assert_eventful(all: &Outcome, runs: u64) {
    let silent: Vec<&str> = all.faults.iter().filter(|(_, count)| *count == 0).map(|(kind, _)| kind.name()).collect();
    assert_eq!(silent, [""; 0], "kinds of faults that never came");
    assert!(all.faults.total() > 40 * runs && all.repaired > 20 * runs && all.retired > runs, "{all:?}");
    assert!(all.compacted > runs && all.removed > runs && all.archived > runs, "{all:?}");
    assert!(all.records > 50 * runs && all.faults.of(FaultKind::ProcessKill) > runs / 2, "{all:?}");
}

#[test]
fn a_hundred_short_histories_lose_nothing_inside_the_budget() {
    let all = hold_short(0, 100, |_| {});
    assert_eq!((all.lost, all.wrong), (0, 0));
    assert_eventful(&all, 100);
}

#[test]
fn another_hundred_short_histories_lose_nothing_inside_the_budget() {
    let all = hold_short(100, 100, |_| {});
    assert_eq!((all.lost, all.wrong), (0, 0));
    assert_eventful(&all, 100);
}

#[test]
fn two_long_histories_lose_nothing_and_move_everything_on_in_time() {
    for seed in first_seed()..first_seed() + 2 {
        let outcome = hold(&Options::new(seed, 12, 24));
        assert_eq!((outcome.lost, outcome.wrong, outcome.copy_forward_late_days), (0, 0, 0));
        assert!(outcome.retired > 24 && outcome.faults.total() > 1_000, "{outcome:?}");
        assert!(outcome.scrub_age_days < 60, "{outcome:?}");
    }
}

/// The machine stops every few days and one write in twenty goes astray: what a recovery, a repair and a compaction leave
/// behind when they are killed meets the next one.
#[test]
fn storms_lose_nothing_inside_the_budget() {
    for seed in first_seed()..first_seed() + 5 {
        hold(&Options::storm(seed, 2, 12));
    }
}

#[test]
fn without_scrub_the_same_histories_lose_records_so_the_simulator_can_see_loss() {
    let all = hold_short(0, 100, |options| options.scrub = false);
    assert!(all.lost > 0, "{all:?}");
    assert_eq!(all.wrong, 0);
}

#[test]
fn beyond_the_budget_exactly_what_is_lost_is_named_and_no_wrong_byte_comes_out() {
    let all = hold_short(0, 30, |options| {
        options.beyond = true;
        options.decay.latent *= 6;
        options.decay.death *= 6;
        options.decay.lot_death *= 6;
    });
    assert!(all.lost > 0, "{all:?}");
    assert_eq!(all.wrong, 0);
}

#[test]
fn a_seed_is_a_run_call_by_call() {
    let (first, second) = (run(&short(first_seed())), run(&short(first_seed())));
    assert_eq!(first, second);
    assert_ne!(first.trace, run(&short(first_seed() + 1)).trace);
}
