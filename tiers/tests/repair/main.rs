//! Repair: what was lost or damaged comes back byte for byte, from verified units alone, or is named. Whatever happens
//! meanwhile, no record is worse off than before.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../common/mod.rs"]
mod common;
mod copies;
mod damage;
mod filled;
mod kills;
mod lost;
mod targets;

use common::{HOSPITAL, Rig, SUITE, Stored, append, assert_all_read, volume_no};
use filled::{Filled, check_and_repair, choices, filled, filled_of, repair_all};
use shosoin_protocol::RecordKind;
use shosoin_tiers::media::{Call, Fault, Faults, Op};
use shosoin_tiers::{Defect, Error, Media, Pace, Record, Result, SegmentState, Severity, Threads, Tier, Unpaced};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn all_21_losses_of_one_or_two_of_six_volumes_come_back_byte_for_byte_on_spare_volumes() {
    for lost in (1..=2).flat_map(|count| choices(6, count)) {
        let filled = filled("4+2", 2);
        let (tier, _) = filled.rig.open_without(&lost).unwrap();
        let repaired = repair_all(&tier);
        let what = format!("without {lost:?}");
        assert_eq!(repaired.len(), 1, "{what}: all shards of a segment in one go");
        assert!(repaired[0].rebuilt.len() == lost.len() && repaired[0].short.is_empty(), "{what}: {repaired:?}");
        filled.assert_whole(&tier, &what);
        filled.assert_no_temporary(&what);
        drop(tier);
        let (tier, findings) = filled.rig.open_without(&lost).unwrap();
        assert!(findings.is_empty() && tier.repairs_waiting() == 0, "{what}, reopened: {findings:?}");
        filled.assert_whole(&tier, &format!("{what}, reopened"));
    }
}

#[test]
fn every_code_comes_back_from_the_loss_of_m_volumes() {
    for (code, m) in [("6+3", 3), ("8+3", 3), ("10+4", 4), ("1+1", 1), ("1+2", 2)] {
        let filled = filled(code, m);
        let lost: Vec<usize> =
            filled.volumes.iter().copied().skip(1).step_by(2).chain([filled.volumes[0]]).take(m).collect();
        let (tier, _) = filled.rig.open_without(&lost).unwrap();
        repair_all(&tier);
        filled.assert_whole(&tier, code);
    }
}

#[test]
fn all_20_losses_of_three_of_six_volumes_are_short_stripe_by_stripe_and_leave_everything() {
    for lost in choices(6, 3) {
        let filled = filled("4+2", 3);
        let before = filled.images();
        let (tier, _) = filled.rig.open_without(&lost).unwrap();
        let repaired = repair_all(&tier);
        let what = format!("without {lost:?}: {repaired:?}");
        assert!(repaired.len() == 1 && repaired[0].rebuilt.is_empty(), "{what}");
        let short: BTreeSet<(u8, u64)> = repaired[0]
            .short
            .iter()
            .map(|finding| (finding.place.shard.unwrap(), finding.place.offset.unwrap()))
            .collect();
        let of_lost = |shard: &usize| lost.contains(&filled.volumes[*shard]);
        let shards: Vec<u8> = (0..6).filter(of_lost).map(|shard| u8::try_from(shard).unwrap()).collect();
        let stripes = &filled.stripes[..filled.stripes.len() - 1];
        let expected = shards.iter().flat_map(|shard| stripes.iter().map(|at| (*shard, *at as u64)));
        assert_eq!(short, expected.collect(), "{what}");
        let out_of_sight = Defect::StripeOutOfSight { good: 3, unseen: 3, needed: 4 };
        assert!(repaired[0].short.iter().all(|finding| finding.defect == out_of_sight), "{what}");
        assert!(filled.images() == before, "{what}: something was written");
        assert!(tier.repair_next(&Unpaced).unwrap().is_none(), "{what}: tried again at once");
        let setbacks = tier.repair_setbacks();
        assert!(setbacks.len() == 3 && setbacks[0].why.contains("out of sight"), "{setbacks:?}");
        assert_eq!(tier.repair_plan().len(), 3);
    }
}

#[test]
fn one_stripe_damaged_on_three_shards_is_named_and_where_nothing_can_be_mended_the_files_stay_as_they_are() {
    let filled = filled("4+2", 2);
    [0, 2, 5].into_iter().for_each(|shard| filled.flip(shard, 1));
    let before = filled.images();
    let (tier, _) = filled.rig.open();
    let repaired = check_and_repair(&tier);
    let short: Vec<_> = repaired.iter().flat_map(|repaired| &repaired.short).collect();
    let expected = Defect::StripeLost { good: 3, needed: 4 };
    assert!(short.len() == 3 && short.iter().all(|finding| finding.defect == expected), "{short:?}");
    assert!(short.iter().all(|finding| finding.place.offset == Some(filled.stripes[1] as u64)), "{short:?}");
    assert!(short.iter().all(|finding| finding.severity() == Severity::Lost));
    assert!(filled.images() == before, "what is left of a stripe is never touched");
}

#[test]
fn a_shard_whose_own_unit_of_a_lost_stripe_is_good_is_mended_elsewhere() {
    let filled = filled("4+2", 0);
    [0, 2, 5].into_iter().for_each(|shard| filled.flip(shard, 1));
    filled.flip(3, 2);
    let (tier, _) = filled.rig.open();
    let segment = tier.segments()[0].id;
    let repaired = tier.repair_segment(segment, &[3], &Unpaced).unwrap();
    assert!(repaired.rebuilt.len() == 1 && repaired.short.is_empty(), "{repaired:?}");
    let image = filled.rig.media[filled.volumes[3]].image();
    assert!(image[&filled.path(3)] == filled.shards[&filled.path(3)]);
}

/// Every read of shard files past the cache that is not of the file being written.
fn reads(calls: &[Call]) -> BTreeMap<String, Vec<(u64, usize)>> {
    let mut reads: BTreeMap<String, Vec<(u64, usize)>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.op == Op::ReadPastCache && call.path.ends_with(".shard")) {
        reads.entry(format!("{} {}", call.place, call.path)).or_default().push((call.at, call.len_bytes));
    }
    reads
}

#[test]
fn a_repair_reads_k_shards_once_each_and_in_order_and_reads_back_what_it_wrote() {
    for lost in [vec![1], vec![5], vec![0, 4]] {
        let filled = filled("4+2", 2);
        let faults = Arc::new(Faults::default());
        let calls = record(&faults);
        let (tier, _) = filled.rig.open_hooked_without(&faults, &lost).unwrap();
        calls.lock().clear();
        let repaired = repair_all(&tier).remove(0);
        let calls = calls.lock().clone();
        let end = *filled.stripes.last().unwrap();
        let reads = reads(&calls);
        let mut whole = 0;
        for (file, reads) in &reads {
            let reads: Vec<(u64, usize)> = reads.iter().copied().filter(|(at, _)| *at < end as u64).collect();
            assert!(
                reads.is_sorted() && reads.windows(2).all(|two| two[0].0 + two[0].1 as u64 <= two[1].0),
                "{file}: {reads:?}"
            );
            let bytes: usize = reads.iter().map(|(_, len)| len).sum();
            assert!(bytes == end || bytes == 0, "{file}: {reads:?}");
            whole += usize::from(bytes == end);
        }
        assert_eq!(whole, 4, "k shards: {reads:?}");
        assert_eq!(repaired.read_bytes, 4 * end as u64);
        let len = filled.shards[&filled.path(0)].len() as u64;
        let written: usize = calls.iter().filter(|call| call.op == Op::Write).map(|call| call.len_bytes).sum();
        let back = calls.iter().filter(|call| call.op == Op::ReadPastCache && call.path.ends_with(".tmp"));
        assert_eq!(written as u64, len * lost.len() as u64);
        assert_eq!(back.map(|call| call.len_bytes as u64).sum::<u64>(), written as u64);
        assert_eq!((repaired.written_bytes, repaired.reread_bytes), (written as u64, written as u64));
    }
}

/// Notes every call from now on.
fn record(faults: &Arc<Faults>) -> Arc<parking_lot::Mutex<Vec<Call>>> {
    let calls = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let noted = calls.clone();
    faults.when(move |_, call| {
        noted.lock().push(call.clone());
        None
    });
    calls
}

#[test]
fn a_repair_that_meets_a_second_damage_goes_on_and_queues_it() {
    let filled = filled("4+2", 1);
    let (tier, _) = filled.rig.open_without(&[filled.volumes[0]]).unwrap();
    tier.take_repairs();
    filled.flip(2, 1);
    let segment = tier.segments()[0].id;
    let repaired = tier.repair_segment(segment, &[0], &Unpaced).unwrap();
    assert!(repaired.rebuilt.len() == 1 && repaired.short.is_empty(), "{repaired:?}");
    assert!(repaired.met.len() == 1 && repaired.met[0].place.shard == Some(2), "{repaired:?}");
    let plan = tier.repair_plan();
    assert!(plan.len() == 1 && plan[0].shard == 2, "{plan:?}");
    repair_all(&tier);
    filled.assert_whole(&tier, "both");
}

#[test]
fn a_shard_that_is_good_is_left_alone() {
    let filled = filled("4+2", 1);
    let before = filled.images();
    let (tier, _) = filled.rig.open();
    let segment = tier.segments()[0].id;
    let repaired = tier.repair_segment(segment, &[1, 4, 1, 99], &Unpaced).unwrap();
    assert!(repaired.sound == [1, 4] && repaired.rebuilt.is_empty() && repaired.short.is_empty(), "{repaired:?}");
    assert!(filled.images() == before);
}

#[test]
fn units_that_nobody_can_look_at_are_not_called_lost_and_come_back_with_their_volumes() {
    let filled = filled("4+2", 1);
    let faults = Arc::new(Faults::default());
    let (tier, _) = filled.rig.open_through(&faults).unwrap();
    filled.flip(0, 1);
    let places: Vec<String> = [1, 3].map(|shard: usize| filled.rig.media[filled.volumes[shard]].place()).into();
    faults.when(move |_, call| {
        let read = call.op == Op::ReadPastCache && call.path.ends_with(".shard");
        (read && places.contains(&call.place)).then_some(Fault::Fail(ErrorKind::Other))
    });
    let segment = tier.segments()[0].id;
    let repaired = tier.repair_segment(segment, &[0], &Unpaced).unwrap();
    let expected = Defect::StripeOutOfSight { good: 3, unseen: 2, needed: 4 };
    assert!(repaired.short.len() == 1 && repaired.short[0].defect == expected, "{repaired:?}");
    faults.clear();
    repair_all(&tier);
    let repaired = tier.repair_segment(segment, &[0], &Unpaced).unwrap();
    assert_eq!(repaired.rebuilt.len(), 1);
    filled.assert_whole(&tier, "they can be read again");
}

#[test]
fn a_segment_that_is_open_is_closed_first_and_one_that_waits_for_shards_is_refused_by_name() {
    let mut rig = Rig::new("4+2", 1);
    rig.options.threads = Threads::None;
    let (tier, _) = rig.open();
    let mut stored = append(&tier, 0..5).unwrap();
    let info = tier.segments().remove(0);
    assert_eq!(info.state, SegmentState::Open);
    let volume = &rig.media[volume_no(info.shards[2].unwrap())];
    let path = volume.paths().into_iter().find(|path| path.ends_with(".shard")).unwrap();
    volume.tamper(&path, |bytes| bytes[3000] ^= 1).unwrap();
    let repaired = tier.repair_segment(info.id, &[2], &Unpaced).unwrap();
    assert!(repaired.rebuilt.len() == 1, "{repaired:?}");
    assert_eq!(tier.segments()[0].state, SegmentState::Closed);
    stored.extend(append(&tier, 5..9).unwrap());
    assert_all_read(&tier, &stored, "it goes on in another segment");
    let open = tier.segments().into_iter().find(|segment| segment.state == SegmentState::Open).unwrap();
    drop(tier);
    let lost: Vec<usize> = open.shards.iter().take(4).map(|volume| volume_no(volume.unwrap())).collect();
    let (tier, _) = rig.open_without(&lost).unwrap();
    let error = tier.repair_segment(open.id, &[0], &Unpaced).unwrap_err();
    assert!(matches!(error, Error::SegmentUnclosed { .. }), "{error}");
    while let Some(repaired) = tier.repair_next(&Unpaced).unwrap() {
        assert!(repaired.rebuilt.is_empty() && !repaired.short.is_empty(), "{repaired:?}");
    }
    assert!(tier.repair_setbacks().iter().any(|setback| setback.why.contains("not closed")));
    let unknown = tier.repair_segment(shosoin_protocol::SegmentId([9; 16]), &[0], &Unpaced).unwrap_err();
    assert!(matches!(unknown, Error::SegmentUnknown { .. }), "{unknown}");
}

/// A pace that stops the work after some pieces.
struct StopsAfter(AtomicU64);

impl Pace for StopsAfter {
    fn spend(&self, _bytes: u64) -> Result<()> {
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Stopped),
        }
    }
}

#[test]
fn a_repair_that_is_stopped_leaves_nothing_behind_and_is_done_later() {
    let filled = filled("4+2", 2);
    let lost = [filled.volumes[0], filled.volumes[4]];
    let (tier, _) = filled.rig.open_without(&lost).unwrap();
    let before = filled.images();
    let mut stops = 0;
    loop {
        match tier.repair_next(&StopsAfter(stops.into())) {
            Err(Error::Stopped) => {
                let unchanged = filled.images() == before;
                assert!(unchanged || stops > 4, "stopped after {stops} pieces");
                assert_all_read(&tier, &filled.stored, "stopped");
            }
            Ok(repaired) => break assert!(repaired.is_some()),
            Err(error) => panic!("{error}"),
        }
        filled.assert_no_temporary("stopped");
        assert!(!tier.repair_plan().is_empty());
        stops += 1;
    }
    assert!(stops > 8, "only {stops} pieces");
    repair_all(&tier);
    filled.assert_whole(&tier, "at last");
}

#[test]
fn footers_that_are_all_lost_are_written_anew_from_the_stripes() {
    let filled = filled("4+2", 0);
    let (tier, _) = filled.rig.open();
    (0..6).for_each(|shard| {
        filled.damage(shard, |bytes| {
            let len = bytes.len();
            bytes[len - 100] ^= 1;
        })
    });
    let segment = tier.segments()[0].id;
    let repaired = tier.repair_segment(segment, &[0, 1, 2, 3, 4, 5], &Unpaced).unwrap();
    assert!(repaired.rebuilt.len() == 6 && repaired.short.is_empty(), "{repaired:?}");
    assert_eq!(tier.check_segment(segment), []);
    drop(tier);
    let (tier, findings) = filled.rig.open();
    assert!(findings.is_empty(), "{findings:?}");
    assert_all_read(&tier, &filled.stored, "reopened");
    assert_eq!(tier.check_segment(segment), []);
    let read = tier.read(SUITE, &filled.stored[0].location, &filled.stored[0].record.address).unwrap();
    assert_eq!(read, filled.stored[0].record.bytes);
}

#[test]
fn a_shard_with_a_long_torn_end_is_rebuilt_with_zeros_there() {
    let mut rig = Rig::new("4+2", 1);
    rig.options.threads = Threads::PerVolume;
    let (tier, _) = rig.open_without(&[6]).unwrap();
    let mut stored = append_large(&tier, 1, 9 << 20);
    stored.extend(append(&tier, 0..5).unwrap());
    drop(tier); // killed, with a part of another stripe behind what it made durable
    let torn = rig.shards(2).remove(0);
    rig.media[2].tamper(&torn, |bytes| bytes.extend_from_slice(&vec![0xab; 5 << 20])).unwrap();
    drop(rig.open_without(&[6]).unwrap());
    let (tier, _) = rig.open_without(&[0]).unwrap();
    let repaired = repair_all(&tier);
    assert!(repaired.len() == 1 && repaired[0].rebuilt.len() == 1 && repaired[0].short.is_empty(), "{repaired:?}");
    assert_eq!(tier.check_segment(tier.segments()[0].id), []);
    assert_all_read(&tier, &stored, "rebuilt");
    let path = rig.shards(0).remove(0);
    let (lost, rebuilt) = (rig.media[0].image()[&path].clone(), rig.media[6].image()[&path].clone());
    assert!(lost == rebuilt && rebuilt.len() > 5 << 20, "byte for byte");
}

/// A segment of many windows: large stripes of a window each, and small ones that share windows.
fn many_windows(spare: usize) -> Filled {
    let mut rig = Rig::new("4+2", spare);
    rig.options.threads = Threads::PerVolume;
    let (tier, _) = rig.open_without(&(6..6 + spare).collect::<Vec<_>>()).unwrap();
    let mut stored = append_large(&tier, 1, 9 << 20);
    (0..600).for_each(|no| stored.extend(append(&tier, no..no + 1).unwrap()));
    stored.extend(append_large(&tier, 2, 5 << 20));
    tier.close().unwrap();
    filled_of(rig, &tier, stored)
}

fn append_large(tier: &Tier, no: u8, len: usize) -> Vec<Stored> {
    let bytes = vec![no; len];
    let record = Record { kind: RecordKind::Chunk, address: SUITE.address(&bytes), bytes: bytes.into() };
    let committed = tier.append(HOSPITAL, SUITE, std::slice::from_ref(&record)).unwrap();
    vec![Stored { record, location: committed.locations[0] }]
}

#[test]
fn a_segment_of_many_windows_comes_back_whole_and_a_bad_sector_costs_one_unit_of_it() {
    let filled = many_windows(2);
    let lost = [filled.volumes[1]];
    let faults = Arc::new(Faults::default());
    let (tier, _) = filled.rig.open_hooked_without(&faults, &lost).unwrap();
    // in the middle of a window of small stripes, and in a stripe that is a window of its own
    let sectors = [filled.stripes[300] as u64 + 100, filled.stripes[1] as u64 - 5000];
    let (place, path) = (filled.rig.media[filled.volumes[2]].place(), filled.path(2));
    faults.when(move |_, call| {
        let hit = |sector: &u64| (call.at..call.at + call.len_bytes as u64).contains(sector);
        let read = call.op == Op::ReadPastCache && call.place == place && call.path == path;
        (read && sectors.iter().any(hit)).then_some(Fault::Fail(ErrorKind::Other))
    });
    filled.flip(3, 299);
    let repaired = tier.repair_next(&Unpaced).unwrap().unwrap();
    assert!(repaired.rebuilt.len() == 1 && repaired.short.is_empty(), "{repaired:?}");
    let met: BTreeSet<u8> = repaired.met.iter().map(|finding| finding.place.shard.unwrap()).collect();
    assert_eq!(met, BTreeSet::from([2, 3]), "{:?}", repaired.met);
    repair_all(&tier);
    faults.clear();
    filled.assert_whole(&tier, "many windows");
}
