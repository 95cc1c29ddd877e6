//! Units that are lost beyond the code: they keep nothing else from being brought back, stay named, and what is left of them
//! stays what it is.

use crate::common::{SUITE, assert_all_read, volume_no};
use crate::filled::{Filled, check_and_repair, filled, repair_all};
use shosoin_tiers::media::{Fault, Faults, Op};
use shosoin_tiers::{Defect, Drain, DrainStep, Finding, Media, RepairItem, Severity, Tier, Tour, Unpaced};
use std::io::ErrorKind;
use std::sync::Arc;

const LOST: Defect = Defect::StripeLost { good: 3, needed: 4 };

/// A segment whose second stripe is bad on `shards`.
fn with_lost_stripe(shards: &[usize], spare: usize) -> Filled {
    let filled = filled("4+2", spare);
    shards.iter().for_each(|shard| filled.flip(*shard, 1));
    filled
}

/// What is in a shard file, in use, of the bytes of one stripe and of all others.
fn split(filled: &Filled, volume: usize, shard: usize) -> (Vec<u8>, Vec<u8>) {
    let mut image = filled.rig.media[volume].image()[&filled.path(shard)].clone();
    let lost = image.drain(filled.stripes[1]..filled.stripes[2]).collect();
    (lost, image)
}

fn good(filled: &Filled, shard: usize) -> (Vec<u8>, Vec<u8>) {
    let mut image = filled.shards[&filled.path(shard)].clone();
    let lost = image.drain(filled.stripes[1]..filled.stripes[2]).collect();
    (lost, image)
}

/// Every record reads but those of the second stripe that are not in good units alone.
#[track_caller]
fn assert_rest_read(tier: &Tier, filled: &Filled, what: &str) {
    let is_lost = |at: u64| at == filled.stripes[1] as u64;
    let (lost, rest): (Vec<_>, Vec<_>) =
        filled.stored.iter().cloned().partition(|stored| is_lost(stored.location.stripe_at));
    assert_all_read(tier, &rest, what);
    let read = lost.iter().map(|stored| (stored, tier.read(SUITE, &stored.location, &stored.record.address)));
    let (read, failed): (Vec<_>, Vec<_>) = read.partition(|(_, read)| read.is_ok());
    assert!(!failed.is_empty(), "{what}: nothing is lost");
    assert!(read.iter().all(|(stored, read)| *read.as_ref().unwrap() == stored.record.bytes), "{what}: wrong bytes");
}

fn lost_findings(tier: &Tier) -> Vec<Finding> {
    let mut found = tier.check_segment(tier.segments()[0].id);
    found.retain(|finding| finding.severity() == Severity::Lost);
    found
}

#[test]
fn a_lost_stripe_keeps_its_neighbours_in_the_same_shards_from_nothing() {
    let filled = with_lost_stripe(&[0, 2, 5], 0);
    [0, 2].into_iter().for_each(|shard| filled.flip(shard, 0));
    filled.flip(5, 2);
    let before: Vec<_> = [0, 2, 5].map(|shard| split(&filled, filled.volumes[shard], shard)).into();
    let (tier, _) = filled.rig.open();
    let repaired = check_and_repair(&tier);
    let rebuilt: Vec<usize> =
        repaired.iter().flat_map(|it| &it.rebuilt).map(|(shard, _)| usize::from(*shard)).collect();
    assert_eq!(rebuilt, [0, 2, 5], "{repaired:?}");
    for ((before, _), shard) in before.iter().zip([0, 2, 5]) {
        let (lost, rest) = split(&filled, filled.volumes[shard], shard);
        assert!(lost == *before, "what is left of a lost unit was changed");
        assert!(rest == good(&filled, shard).1, "shard {shard} is whole but for it");
    }
    filled.assert_no_temporary("repaired");
    assert_rest_read(&tier, &filled, "repaired");
    let at = Some(filled.stripes[1] as u64);
    let named = lost_findings(&tier);
    assert!(named.len() == 1 && named[0].defect == LOST && named[0].place.offset == at, "{named:?}");
    let waiting = tier.repair_plan();
    assert!(waiting.len() == 3 && waiting.iter().all(|item| item.stripe_at == at), "{waiting:?}");
    assert!(tier.repair_setbacks().iter().all(|setback| setback.why.contains("stripe is lost")));
    assert!(tier.repair_next(&Unpaced).unwrap().is_none(), "tried again at once");
}

#[test]
fn a_scrub_goes_on_naming_what_is_lost_and_a_check_finds_nothing_else() {
    let filled = with_lost_stripe(&[0, 2, 5], 0);
    filled.flip(0, 2);
    let (tier, _) = filled.rig.open();
    check_and_repair(&tier);
    let mut findings = Vec::new();
    for volume in tier.volumes() {
        let mut tour = Tour::new(volume.id, 1);
        while let Some(found) = tour.step(&tier, &Unpaced).unwrap() {
            findings.extend(found);
        }
    }
    let at = Some(filled.stripes[1] as u64);
    assert!(findings.len() == 3 && findings.iter().all(|finding| finding.place.offset == at), "{findings:?}");
    let checked = tier.check_segment(tier.segments()[0].id);
    assert!(checked.len() == 4 && checked.iter().all(|finding| finding.place.offset == at), "{checked:?}");
}

#[test]
fn a_missing_shard_is_rebuilt_around_a_lost_unit_and_takes_it_from_its_volume_when_that_comes_back() {
    let filled = with_lost_stripe(&[2, 5], 1);
    let away = filled.volumes[0];
    let (tier, _) = filled.rig.open_without(&[away]).unwrap();
    let repaired = check_and_repair(&tier);
    let of_missing: Vec<_> = repaired.iter().flat_map(|it| &it.rebuilt).filter(|(shard, _)| *shard == 0).collect();
    assert!(of_missing.len() == 1 && volume_no(of_missing[0].1) == 6, "{repaired:?}");
    let out_of_sight = Defect::StripeOutOfSight { good: 3, unseen: 1, needed: 4 };
    assert!(repaired[0].short.iter().all(|finding| finding.defect == out_of_sight), "{repaired:?}");
    let (gap, rest) = split(&filled, 6, 0);
    assert!(gap.starts_with(b"shsg") && gap[80..].iter().all(|byte| *byte == 0), "a gap and nothing more");
    assert!(rest == good(&filled, 0).1);
    assert_rest_read(&tier, &filled, "rebuilt");
    let named = tier.check_segment(tier.segments()[0].id);
    let gaps = named.iter().filter(|finding| finding.defect == Defect::UnitGap && finding.place.shard == Some(0));
    assert_eq!(gaps.count(), 1, "{named:?}");
    tier.retry_repairs();
    let again = repair_all(&tier);
    assert!(again.iter().all(|it| it.rebuilt.is_empty()), "there is nothing to gain: {again:?}");
    assert!(again.iter().flat_map(|it| &it.short).all(|finding| finding.defect == out_of_sight), "{again:?}");
    drop(tier);
    let (tier, _) = filled.rig.open();
    assert_all_read(&tier, &filled.stored, "the volume is back");
    check_and_repair(&tier);
    filled.assert_whole(&tier, "the volume is back");
}

#[test]
fn where_a_lost_unit_cannot_be_read_its_file_stays_and_the_rest_is_rebuilt_elsewhere_or_not_at_all() {
    for spare in [0, 1] {
        let filled = with_lost_stripe(&[2, 5], spare);
        filled.flip(0, 0);
        let faults = Arc::new(Faults::default());
        let (tier, _) = filled.rig.open_through(&faults).unwrap();
        let (place, path) = (filled.rig.media[filled.volumes[0]].place(), filled.path(0));
        let sector = filled.stripes[1] as u64 + 1100;
        faults.when(move |_, call| {
            let hit = (call.at..call.at + call.len_bytes as u64).contains(&sector);
            let reads = matches!(call.op, Op::ReadPastCache | Op::Read);
            (reads && hit && call.place == place && call.path == path).then_some(Fault::Fail(ErrorKind::Other))
        });
        let before = filled.rig.media[filled.volumes[0]].image();
        let segment = tier.segments()[0].id;
        let repaired = tier.repair_segment(segment, &[0], &Unpaced).unwrap();
        assert!(filled.rig.media[filled.volumes[0]].image() == before, "its file stays as it is");
        let offsets: Vec<_> = repaired.short.iter().filter_map(|finding| finding.place.offset).collect();
        assert_eq!(offsets, [filled.stripes[1] as u64], "{repaired:?}");
        match spare {
            0 => {
                let why = repaired.short.iter().find_map(|finding| match &finding.defect {
                    Defect::Unrepaired { why } => Some(why.clone()),
                    _ => None,
                });
                assert!(why.unwrap().contains("cannot be read there") && repaired.rebuilt.is_empty(), "{repaired:?}");
            }
            _ => {
                assert_eq!(repaired.rebuilt.iter().map(|(_, on)| volume_no(*on)).collect::<Vec<_>>(), [6]);
                let (gap, rest) = split(&filled, 6, 0);
                assert!(gap.starts_with(b"shsg") && rest == good(&filled, 0).1);
                assert_rest_read(&tier, &filled, "rebuilt elsewhere");
            }
        }
        faults.clear();
        assert_all_read(&tier, &filled.stored, "it can be read again");
        tier.retry_repairs();
        check_and_repair(&tier);
        filled.assert_whole(&tier, "it can be read again");
        drop(tier);
        let (tier, _) = filled.rig.open();
        filled.assert_whole(&tier, "and after a start");
    }
}

#[test]
fn a_unit_that_reads_otherwise_each_time_is_not_overwritten() {
    let filled = with_lost_stripe(&[2, 5], 0);
    filled.flip(0, 0);
    let faults = Arc::new(Faults::default());
    let (tier, _) = filled.rig.open_through(&faults).unwrap();
    let (place, path, stripe) =
        (filled.rig.media[filled.volumes[0]].place(), filled.path(0), filled.stripes[1] as u64 + 1100);
    let reads = std::sync::atomic::AtomicU8::new(1);
    faults.when(move |_, call| {
        let hit = call.op == Op::ReadPastCache && call.place == place && call.path == path;
        let within = (call.at..call.at + call.len_bytes as u64).contains(&stripe);
        let mask = reads.fetch_add(u8::from(hit && within), std::sync::atomic::Ordering::Relaxed);
        let at = stripe - call.at.min(stripe);
        (hit && within).then_some(Fault::Flip { at, mask: mask.max(1) })
    });
    let before = filled.rig.media[filled.volumes[0]].image();
    let repaired = tier.repair_segment(tier.segments()[0].id, &[0], &Unpaced).unwrap();
    assert!(repaired.rebuilt.is_empty() && !repaired.short.is_empty(), "{repaired:?}");
    assert!(
        filled.rig.media[filled.volumes[0]].image() == before,
        "the good unit that nobody could read is still there"
    );
    faults.clear();
    check_and_repair(&tier);
    filled.assert_whole(&tier, "it reads as it is");
}

#[test]
fn a_damaged_header_before_a_good_unit_of_a_lost_stripe_is_written_again() {
    let filled = with_lost_stripe(&[0, 2, 5], 0);
    filled.damage(3, |bytes| bytes[filled.stripes[1] + 100] ^= 1);
    filled.flip(3, 0);
    let (tier, _) = filled.rig.open();
    check_and_repair(&tier);
    assert!(filled.rig.media[filled.volumes[3]].image()[&filled.path(3)] == filled.shards[&filled.path(3)]);
}

#[test]
fn what_is_lost_costs_its_stripe_alone_each_time_it_is_tried_and_comes_back_when_its_units_do() {
    let filled = with_lost_stripe(&[0, 2, 5], 0);
    filled.flip(0, 0);
    let bad = filled.rig.media[filled.volumes[2]].image()[&filled.path(2)].clone();
    let (tier, _) = filled.rig.open();
    check_and_repair(&tier);
    let slot = (filled.stripes[2] - filled.stripes[1]) as u64;
    for _ in 0..3 {
        filled.rig.clock.advance(6 * 3600 * 1000);
        let again = repair_all(&tier);
        assert!(again.len() == 1 && again[0].rebuilt.is_empty() && again[0].short.len() == 3, "{again:?}");
        assert_eq!(again[0].read_bytes, 6 * slot, "{again:?}");
    }
    filled.damage(2, |bytes| bytes[filled.stripes[1] + 2000] ^= 4);
    assert!(bad != filled.shards[&filled.path(2)]);
    tier.retry_repairs();
    repair_all(&tier);
    filled.assert_whole(&tier, "k units are there again");
}

#[test]
fn a_volume_with_a_lost_unit_is_emptied_with_what_is_left_of_it() {
    let filled = with_lost_stripe(&[0, 2, 5], 1);
    filled.flip(0, 2);
    let before = split(&filled, filled.volumes[0], 0).0;
    let (tier, _) = filled.rig.open();
    let from = tier.segments()[0].shards[0].unwrap();
    let mut drain = Drain::new(from, 1);
    let mut steps = Vec::new();
    while let Some(step) = drain.step(&tier, &Unpaced).unwrap() {
        steps.push(step);
    }
    let [DrainStep::Copied(copied), DrainStep::Released { verified_on, .. }] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!((copied.mended, copied.lost, volume_no(*verified_on)), (1, 1, 6));
    let (lost, rest) = split(&filled, 6, 0);
    assert!(lost == before && rest == good(&filled, 0).1);
    assert!(tier.shards_on(from).is_empty());
    assert_rest_read(&tier, &filled, "emptied");
    check_and_repair(&tier);
    assert_eq!(lost_findings(&tier).len(), 1);
}

#[test]
fn a_copy_whose_lost_unit_cannot_be_read_is_not_released() {
    let filled = with_lost_stripe(&[2, 5], 2);
    let faults = Arc::new(Faults::default());
    let (tier, _) = filled.rig.open_through(&faults).unwrap();
    let (place, path) = (filled.rig.media[filled.volumes[0]].place(), filled.path(0));
    let sector = filled.stripes[1] as u64 + 1100;
    faults.when(move |_, call| {
        let hit = (call.at..call.at + call.len_bytes as u64).contains(&sector);
        (hit && call.op == Op::ReadPastCache && call.place == place && call.path == path)
            .then_some(Fault::Fail(ErrorKind::Other))
    });
    let from = tier.segments()[0].shards[0].unwrap();
    let mut drain = Drain::new(from, 1);
    let mut steps = Vec::new();
    while let Some(step) = drain.step(&tier, &Unpaced).unwrap() {
        steps.push(step);
    }
    assert!(matches!(&steps[..], [DrainStep::Copied(_), DrainStep::Kept { .. }]), "{steps:?}");
    assert_eq!(tier.shards_on(from).len(), 1, "what is there may be read some day");
    let temporary: Vec<String> = filled.rig.media.iter().flat_map(|media| media.paths()).collect();
    assert!(!temporary.iter().any(|path| path.ends_with(".tmp")), "{temporary:?}");
    faults.clear();
    let mut drain = Drain::new(from, 2);
    while drain.step(&tier, &Unpaced).unwrap().is_some() {}
    assert!(tier.shards_on(from).is_empty(), "it was read again");
    check_and_repair(&tier);
    filled.assert_whole(&tier, "emptied");
}

/// Killed at any call of a repair around a lost unit, what was good is good and what was left of the lost one is there.
#[test]
fn killed_at_any_call_of_a_repair_around_a_lost_unit_nothing_more_is_lost() {
    let hurt = || {
        let filled = with_lost_stripe(&[0, 2, 5], 1);
        filled.flip(0, 0);
        filled
    };
    let repair = |filled: &Filled, faults: &Arc<Faults>| {
        if let Ok((tier, _)) = filled.rig.open_through(faults) {
            tier.segments().iter().for_each(|segment| {
                let item = RepairItem { redundancy_left: 0, segment: segment.id, shard: 0, stripe_at: None };
                tier.queue_repairs([item]);
            });
            while let Ok(Some(_)) = tier.repair_next(&Unpaced) {}
        }
    };
    let faults = Arc::new(Faults::default());
    repair(&hurt(), &faults);
    let calls = faults.calls();
    assert!(calls > 60, "only {calls} calls");
    for call in 0..calls {
        for (power_cut, keep) in [(true, 1000), (false, 5000)] {
            let what = format!("killed at call {call}, power cut {power_cut}");
            let filled = hurt();
            let before = split(&filled, filled.volumes[0], 0).0;
            let faults = Arc::new(Faults::default());
            faults.kill_at(call, keep);
            repair(&filled, &faults);
            if power_cut {
                filled.rig.crash(call);
            }
            let (tier, _) = filled.rig.open();
            check_and_repair(&tier);
            let on = volume_no(tier.segments()[0].shards[0].unwrap());
            let (lost, rest) = split(&filled, on, 0);
            assert!(lost == before && rest == good(&filled, 0).1, "{what}");
            assert_rest_read(&tier, &filled, &what);
        }
    }
}
