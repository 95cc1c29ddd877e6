//! A workload, and every call it makes on media fails in turn: torn, refused, done and yet refused, or the last one before
//! the machine dies. After each, every acknowledged record reads exact and nothing that was never stored is ever given.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{HOSPITAL, Rig, SUITE, Stored, append, assert_all_read, record, walk_all};
use shosoin_protocol::Address;
use shosoin_tiers::media::{Fault, Faults};
use shosoin_tiers::{Media, Severity, Tier};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;

const GROUPS: [std::ops::Range<u32>; 5] = [0..3, 3..4, 4..9, 9..12, 12..14];

/// Small segments, so that the workload begins and closes several.
fn rig(spare: usize) -> Rig {
    let mut rig = Rig::new("4+2", spare);
    rig.options.segment_bytes_max = 60_000;
    rig
}

/// Opens the tier, stores every group, closes it; gives what was acknowledged and how many groups were refused.
fn workload(rig: &Rig, faults: &Arc<Faults>) -> (Vec<Stored>, usize) {
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    if let Ok((tier, _)) = rig.open_through(faults) {
        for numbers in GROUPS {
            match append(&tier, numbers) {
                Ok(stored) => acknowledged.extend(stored),
                Err(_) => refused += 1,
            }
        }
        // A close that fails leaves a segment to recover; that is what happens next.
        let _ = tier.close();
    } else {
        refused = GROUPS.len();
    }
    (acknowledged, refused)
}

fn calls_of_the_workload(spare: usize) -> u64 {
    let (rig, faults) = (rig(spare), Arc::new(Faults::default()));
    let (stored, refused) = workload(&rig, &faults);
    assert!(stored.len() == 14 && refused == 0);
    faults.calls()
}

/// Everything that must hold of a tier that was opened after something went wrong.
#[track_caller]
fn assert_sound(tier: &Tier, acknowledged: &[Stored], what: &str) {
    assert_all_read(tier, acknowledged, what);
    let ever_given: BTreeMap<Address, _> = (0..40).map(record).map(|record| (record.address, record)).collect();
    let mut walked = BTreeSet::new();
    for found in walk_all(tier) {
        let known = ever_given.get(&found.address).unwrap_or_else(|| panic!("{what}: {} is a stranger", found.address));
        let bytes = tier.read(SUITE, &found.location, &found.address).unwrap();
        assert!(bytes == known.bytes && found.kind == known.kind, "{what}: wrong record");
        walked.insert(found.location);
    }
    for stored in acknowledged {
        assert!(walked.contains(&stored.location), "{what}: an acknowledged record is in no table");
    }
    assert!(tier.segments().iter().all(|segment| segment.hospital == HOSPITAL), "{what}");
}

/// Reopens, looks, stores more, closes, reopens and looks again.
fn assert_recovers(rig: &Rig, mut acknowledged: Vec<Stored>, what: &str) {
    let (tier, findings) = rig.open();
    let lost: Vec<_> = findings.iter().filter(|finding| finding.severity() == Severity::Lost).collect();
    assert!(lost.is_empty(), "{what}: {lost:?}");
    assert_sound(&tier, &acknowledged, what);
    acknowledged.extend(append(&tier, 30..34).unwrap());
    assert_sound(&tier, &acknowledged, what);
    tier.close().unwrap();
    drop(tier);
    let (tier, _) = rig.open();
    assert_sound(&tier, &acknowledged, &format!("{what}, reopened"));
}

#[test]
fn killed_at_any_call_no_acknowledged_record_is_lost() {
    for call in 0..calls_of_the_workload(0) + 5 {
        for (power_cut, keep) in [(true, 1000), (false, 5000), (true, 0)] {
            let (rig, faults) = (rig(0), Arc::new(Faults::default()));
            faults.kill_at(call, keep);
            let (acknowledged, _) = workload(&rig, &faults);
            if power_cut {
                rig.crash(call * 7 + keep);
            }
            assert_recovers(&rig, acknowledged, &format!("killed at call {call}, power cut {power_cut}"));
        }
    }
}

#[test]
fn killed_at_any_call_and_started_without_two_volumes_no_acknowledged_record_is_lost() {
    for call in 0..calls_of_the_workload(0) {
        let (rig, faults) = (rig(0), Arc::new(Faults::default()));
        faults.kill_at(call, 3000);
        let (acknowledged, _) = workload(&rig, &faults);
        rig.crash(call);
        let absent = [call % 6, (call * 5 + 2) % 6].map(|no| usize::try_from(no).unwrap());
        let what = format!("killed at call {call}, started without {absent:?}");
        let (tier, _) = rig.open_without(&absent).unwrap();
        assert_sound(&tier, &acknowledged, &what);
        drop(tier);
        assert_recovers(&rig, acknowledged, &what);
    }
}

#[test]
fn killed_again_at_any_call_of_the_recovery_no_acknowledged_record_is_lost() {
    let calls = calls_of_the_workload(0);
    for first in (calls / 4..calls).step_by(7) {
        let mut second = 0;
        loop {
            let (rig, faults) = (rig(0), Arc::new(Faults::default()));
            faults.kill_at(first, 2000);
            let (acknowledged, _) = workload(&rig, &faults);
            rig.crash(first);
            let again = Arc::new(Faults::default());
            again.kill_at(second, 300);
            drop(rig.open_through(&again));
            rig.crash(first * 1000 + second);
            assert_recovers(&rig, acknowledged, &format!("killed at call {first} and at {second} of the recovery"));
            if !again.is_dead() {
                break;
            }
            second += 5;
        }
    }
}

#[test]
fn one_failed_call_of_any_kind_refuses_nothing_where_there_is_a_spare_volume() {
    let faults_of_one_call = [
        Fault::Fail(ErrorKind::Other),
        Fault::DoneAndFail(ErrorKind::Other),
        Fault::Torn { keep: 1500, kind: ErrorKind::Other },
        Fault::Fail(ErrorKind::StorageFull),
        Fault::Torn { keep: 4500, kind: ErrorKind::StorageFull },
        Fault::Fail(ErrorKind::ReadOnlyFilesystem),
    ];
    for fault in faults_of_one_call {
        for call in opening_calls(2)..calls_of_the_workload(2) {
            let (rig, faults) = (rig(2), Arc::new(Faults::default()));
            faults.at(call, fault);
            let (acknowledged, refused) = workload(&rig, &faults);
            let what = format!("{fault:?} at call {call}");
            assert_eq!(refused, 0, "{what}");
            rig.crash(call);
            assert_recovers(&rig, acknowledged, &what);
        }
    }
}

/// Calls made before the first record is stored.
fn opening_calls(spare: usize) -> u64 {
    let (rig, faults) = (rig(spare), Arc::new(Faults::default()));
    drop(rig.open_through(&faults).unwrap());
    faults.calls()
}

#[test]
fn one_failed_call_without_a_spare_volume_refuses_and_loses_nothing_acknowledged() {
    for fault in [Fault::Fail(ErrorKind::Other), Fault::DoneAndFail(ErrorKind::Other)] {
        for call in 0..calls_of_the_workload(0) {
            let (rig, faults) = (rig(0), Arc::new(Faults::default()));
            faults.at(call, fault);
            let (acknowledged, _) = workload(&rig, &faults);
            assert_recovers(&rig, acknowledged, &format!("{fault:?} at call {call}"));
        }
    }
}

#[test]
fn bytes_that_rot_while_they_are_written_on_one_volume_are_healed() {
    for call in 0..calls_of_the_workload(0) {
        let (rig, faults) = (rig(0), Arc::new(Faults::default()));
        faults.at(call, Fault::Flip { at: call * 131, mask: 0x20 });
        let (acknowledged, _) = workload(&rig, &faults);
        assert_recovers(&rig, acknowledged, &format!("flipped at call {call}"));
    }
}

#[test]
fn two_volumes_that_lie_about_syncing_lose_nothing() {
    for seed in 0..20 {
        let (rig, faults) = (rig(0), Arc::new(Faults::default()));
        faults.when(|_, call| ["v01", "v04"].contains(&call.place.as_str()).then_some(Fault::Lost));
        let (acknowledged, refused) = workload(&rig, &faults);
        assert_eq!((acknowledged.len(), refused), (14, 0));
        rig.crash(seed);
        let (tier, _) = rig.open();
        assert_all_read(&tier, &acknowledged, &format!("seed {seed}"));
    }
}

#[test]
fn a_full_or_read_only_tier_refuses_and_keeps_what_it_has() {
    let rig = rig(0);
    let (tier, _) = rig.open();
    let stored = append(&tier, 0..5).unwrap();
    tier.close().unwrap();
    rig.media.iter().for_each(|media| media.set_read_only(true));
    let error = append(&tier, 5..6).unwrap_err();
    assert_ne!(error.kind(), shosoin_protocol::ErrorKind::Bug, "{error}");
    assert_all_read(&tier, &stored, "read-only");
    drop(tier);
    let before: Vec<_> = rig.media.iter().map(|media| media.image()).collect();
    let (tier, _) = rig.open();
    assert_all_read(&tier, &stored, "opened read-only");
    append(&tier, 5..6).unwrap_err();
    drop(tier);
    assert!(before == rig.media.iter().map(|media| media.image()).collect::<Vec<_>>());
    rig.media.iter().for_each(|media| media.set_read_only(false));
    let (tier, _) = rig.open();
    append(&tier, 5..6).unwrap();
}

#[test]
fn a_read_writes_nothing() {
    let rig = rig(0);
    let (tier, _) = rig.open();
    let stored = GROUPS.map(|numbers| append(&tier, numbers).unwrap()).concat();
    tier.close().unwrap();
    drop(tier);
    let faults = Arc::new(Faults::default());
    faults.when(|_, call| {
        assert!(!call.op.changes(), "{call:?}");
        None
    });
    let (tier, _) = rig.open_through(&faults).unwrap();
    assert_sound(&tier, &stored, "reading");
    assert!(rig.media[0].list("").is_ok());
}
