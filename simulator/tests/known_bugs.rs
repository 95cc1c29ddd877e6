//! Proof of the harness: each of ten bugs that lost others' data, brought back one at a time, is caught within a few seeds.
//! The same seeds break no rule without them.

use shosoin_simulator::{Options, Rule, run};
use shosoin_tiers::bug::{Bug, bring_back};
use std::collections::BTreeSet;

/// Seeds in which each of them must show.
const SEEDS: u64 = 40;

/// Two years in which the machine stops every few days, so that recovery has much to do, on media as usual.
fn stormy(seed: u64) -> Options {
    Options { calls: Options::new(seed, 2, 12).calls, ..Options::storm(seed, 2, 12) }
}

/// The same on media that often put a write elsewhere, or nowhere, and call it done.
fn misdirecting(seed: u64) -> Options {
    Options::storm(seed, 2, 12)
}

fn broken(options: &Options) -> BTreeSet<Rule> {
    run(options).violations.iter().map(|violation| violation.rule).collect()
}

/// The first seed that breaks rules with `bug` and none without it, and the rules.
fn caught(bug: Bug, options: impl Fn(u64) -> Options) -> Option<(u64, BTreeSet<Rule>)> {
    (1..=SEEDS).find_map(|seed| {
        bring_back(Some(bug));
        let rules = broken(&options(seed));
        bring_back(None);
        (!rules.is_empty() && broken(&options(seed)).is_empty()).then_some((seed, rules))
    })
}

#[test]
fn where_there_is_no_bug_nothing_is_caught() {
    for seed in 1..=8 {
        assert_eq!(run(&stormy(seed)).violations, [], "seed {seed}");
    }
}

#[track_caller]
fn assert_caught(bug: Bug, by: &[Rule]) {
    assert_caught_in(bug, by, stormy);
}

#[track_caller]
fn assert_caught_in(bug: Bug, by: &[Rule], options: impl Fn(u64) -> Options) {
    let (seed, rules) = caught(bug, options).unwrap_or_else(|| panic!("{bug:?} does not show in {SEEDS} seeds"));
    println!("{bug:?}: seed {seed}, {rules:?}");
    assert!(by.iter().any(|rule| rules.contains(rule)), "{bug:?} in seed {seed} shows as {rules:?} only");
}

#[test]
fn writing_on_after_an_unclean_stop_is_caught() {
    assert_caught(Bug::ReappendAfterUncleanStop, &[Rule::Overwritten]);
}

#[test]
fn truncating_at_a_bad_digest_is_caught() {
    assert_caught(Bug::TruncateOnBadDigest, &[Rule::Unlisted]);
}

#[test]
fn retrying_a_failed_sync_is_caught() {
    assert_caught(Bug::RetriedSync, &[Rule::Undurable]);
}

#[test]
fn scrubbing_through_the_cache_is_caught() {
    assert_caught(Bug::ScrubThroughCache, &[Rule::Overdue]);
}

#[test]
fn scrubbing_parity_alone_is_caught() {
    assert_caught(Bug::ParityOnlyScrub, &[Rule::Overdue, Rule::Lost]);
}

#[test]
fn taking_a_listing_error_for_an_empty_folder_is_caught() {
    assert_caught(Bug::ListingErrorAsEmpty, &[Rule::Unreported]);
}

#[test]
fn releasing_before_verifying_is_caught() {
    assert_caught(Bug::ReleaseBeforeVerify, &[Rule::LastCopy]);
}

#[test]
fn trusting_a_stale_volume_is_caught() {
    assert_caught(Bug::StaleVolumeTrusted, &[Rule::Unlisted]);
}

#[test]
fn a_misdirected_write_that_goes_unnoticed_is_caught() {
    assert_caught_in(Bug::MisdirectedWriteUnnoticed, &[Rule::Lost, Rule::Unreadable, Rule::Overdue], misdirecting);
}

#[test]
fn a_repair_that_trusts_unverified_units_is_caught() {
    assert_caught(Bug::RepairTrustsUnverified, &[Rule::Overdue, Rule::Lost, Rule::Unreadable]);
}
