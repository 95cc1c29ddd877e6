//! Compaction: what is live is elsewhere, read back, before anything is removed; what was removed stays so. Killed at any
//! call, no live record is lost.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{HOSPITAL, Rig, SUITE, Stored, append, assert_all_read, volume_no, walk_all};
use proptest::prelude::*;
use shosoin_protocol::{Address, ErrorKind, SegmentId};
use shosoin_tiers::clock::{ManualClock, SeededRandom};
use shosoin_tiers::layout::REMOVED;
use shosoin_tiers::media::{Fault, Faults, Media as _, Op};
use shosoin_tiers::{
    Compacted, Defect, Error, Finding, Location, SegmentState, Severity, Threads, Tier, Unpaced, Volume, Walked,
    removed,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

struct Filled {
    rig: Rig,
    stored: Vec<Stored>,
    /// the closed segment that is sparse
    segment: SegmentId,
}

/// A closed segment of twelve records in three stripes, and an open one.
fn filled(spare: usize) -> Filled {
    let mut rig = Rig::new("4+2", spare);
    rig.options.threads = Threads::None;
    let (tier, _) = rig.open();
    let mut stored = [0..5, 5..8, 8..12].map(|numbers| append(&tier, numbers).unwrap()).concat();
    tier.close().unwrap();
    let segment = tier.segments()[0].id;
    stored.extend(append(&tier, 12..14).unwrap());
    tier.close().unwrap();
    Filled { rig, stored, segment }
}

/// Every third record is live.
fn is_live(no: usize) -> bool {
    no.is_multiple_of(3)
}

impl Filled {
    fn of_segment(&self) -> Vec<&Stored> {
        self.stored.iter().filter(|stored| stored.location.segment == self.segment).collect()
    }

    fn live(&self) -> BTreeSet<Address> {
        let of_segment = self.of_segment().into_iter().enumerate();
        of_segment.filter(|(no, _)| is_live(*no)).map(|(_, stored)| stored.record.address).collect()
    }

    fn compact(&self, tier: &Tier) -> Result<Compacted, Error> {
        let live = self.live();
        tier.compact_segment(self.segment, &mut |walked: &Walked| live.contains(&walked.address), 10.0, &Unpaced)
    }

    /// What must be readable whatever happens: live records, and those of other segments.
    fn needed(&self) -> Vec<&Stored> {
        let live = self.live();
        let needed =
            |stored: &&Stored| live.contains(&stored.record.address) || stored.location.segment != self.segment;
        self.stored.iter().filter(needed).collect()
    }

    /// Every needed record can be found by walking, and reads exact there.
    #[track_caller]
    fn assert_nothing_lost(&self, tier: &Tier, what: &str) {
        let mut places: BTreeMap<Address, Vec<Location>> = BTreeMap::new();
        walk_all(tier).into_iter().for_each(|walked| places.entry(walked.address).or_default().push(walked.location));
        for Stored { record, .. } in self.needed() {
            let places = places.get(&record.address).unwrap_or_else(|| panic!("{what}: {} is gone", record.address));
            for place in places {
                assert!(tier.read(SUITE, place, &record.address).unwrap() == record.bytes, "{what}: wrong bytes");
            }
        }
    }

    fn files_of_the_segment(&self) -> Vec<String> {
        let paths = self.rig.media.iter().flat_map(|media| media.paths());
        paths.filter(|path| path.contains(&self.segment.to_string())).collect()
    }
}

#[test]
fn live_records_move_and_the_rest_goes_with_the_segment() {
    let filled = filled(0);
    let (tier, _) = filled.rig.open();
    let before = tier.segments().iter().find(|info| info.id == filled.segment).unwrap().payload_bytes;
    let compacted = filled.compact(&tier).unwrap();
    let of_segment = filled.of_segment();
    let live = of_segment.iter().enumerate().filter(|(no, _)| is_live(*no)).map(|(_, stored)| stored);
    let expected: Vec<(Address, Location)> = live.map(|stored| (stored.record.address, stored.location)).collect();
    let moved: Vec<(Address, Location)> = compacted.moved().iter().map(|moved| (moved.address, moved.from)).collect();
    assert_eq!(moved, expected, "exactly the live ones, in order");
    let gain = compacted.gain();
    assert_eq!(gain.live_bytes + gain.dead_bytes, before);
    assert!(gain.amplification() > 0.0 && gain.amplification() < 10.0, "{gain:?}");
    assert_all_read(&tier, &filled.stored, "both places are right until it is removed");
    let new: Vec<Stored> = compacted
        .moved()
        .iter()
        .map(|moved| {
            let stored = filled.stored.iter().find(|stored| stored.record.address == moved.address).unwrap();
            Stored { record: stored.record.clone(), location: moved.to }
        })
        .collect();
    assert_eq!(tier.remove_segment(compacted).unwrap(), []);
    assert!(filled.files_of_the_segment().is_empty());
    assert_all_read(&tier, &new, "in the new place");
    let old = filled.stored[1].location;
    assert!(matches!(tier.read(SUITE, &old, &filled.stored[1].record.address), Err(Error::SegmentUnknown { .. })));
    filled.assert_nothing_lost(&tier, "removed");
    drop(tier);
    let (tier, findings) = filled.rig.open();
    assert!(findings.iter().all(|finding| finding.severity() == Severity::Note), "{findings:?}");
    filled.assert_nothing_lost(&tier, "reopened");
    assert!(tier.segments().iter().all(|info| info.id != filled.segment));
}

#[test]
fn what_would_write_more_than_the_bound_is_refused_before_anything_is_written() {
    let filled = filled(0);
    let (tier, _) = filled.rig.open();
    let before: Vec<_> = filled.rig.media.iter().map(|media| media.image()).collect();
    let live = filled.live();
    let gain = tier.compaction_gain(filled.segment, &mut |walked| live.contains(&walked.address)).unwrap();
    let bound = gain.amplification() * 0.99;
    let refused = tier.compact_segment(filled.segment, &mut |walked| live.contains(&walked.address), bound, &Unpaced);
    let error = refused.unwrap_err();
    assert!(matches!(error, Error::Dense { .. }) && error.kind() == ErrorKind::Refused, "{error}");
    let all = tier.compact_segment(filled.segment, &mut |_| true, 1e9, &Unpaced).unwrap_err();
    assert!(matches!(all, Error::Dense { dead_bytes: 0, .. }), "{all}");
    assert!(before == filled.rig.media.iter().map(|media| media.image()).collect::<Vec<_>>());
    let whole = tier.compact_segment(filled.segment, &mut |_| true, f64::INFINITY, &Unpaced).unwrap();
    assert!(whole.moved().len() == 12 && whole.gain().amplification().is_infinite());
    let none = tier.compact_segment(filled.segment, &mut |_| false, 0.0, &Unpaced).unwrap();
    assert!(none.moved().is_empty() && none.gain().live_bytes == 0);
}

#[test]
fn a_volume_that_comes_back_does_not_bring_a_removed_segment_back() {
    let filled = filled(0);
    let (tier, _) = filled.rig.open();
    let away = volume_no(tier.segments()[0].shards[0].unwrap());
    let id = tier.segments()[0].shards[0].unwrap();
    tier.detach(id).unwrap();
    let compacted = {
        let media = shosoin_tiers::media::MemoryMedia::new("v06");
        let label = shosoin_tiers::VolumeLabel::new(
            shosoin_protocol::VolumeId([0x77; 16]),
            shosoin_tiers::volume::TierKind::Hot,
            shosoin_tiers::volume::MediaClass::Ssd,
            0,
        );
        tier.attach(Volume::create(Arc::new(media), label).unwrap()).unwrap();
        filled.compact(&tier).unwrap()
    };
    tier.remove_segment(compacted).unwrap();
    let back = || Volume::open(Arc::new(filled.rig.media[away].clone())).unwrap();
    let findings = tier.attach(back()).unwrap();
    let removed = findings.iter().filter(|finding| finding.defect == Defect::SegmentRemoved).count();
    assert!(removed == 1 && tier.segments().iter().all(|info| info.id != filled.segment), "{findings:?}");
    drop(tier);
    let (tier, findings) = filled.rig.open();
    let removed: Vec<_> = findings.iter().filter(|finding| finding.defect == Defect::SegmentRemoved).collect();
    assert!(removed.len() == 1 && removed[0].severity() == Severity::Note, "{findings:?}");
    assert!(tier.segments().iter().all(|info| info.id != filled.segment));
    assert!(tier.repair_plan().iter().all(|item| item.segment != filled.segment), "nothing of it is rebuilt");
    assert_eq!(tier.sweep(&Unpaced).unwrap(), 1);
    assert!(filled.files_of_the_segment().is_empty());
    assert_eq!(tier.sweep(&Unpaced).unwrap(), 0);
}

#[test]
fn one_volume_that_lists_a_removed_segment_is_enough_and_tells_the_others() {
    let filled = filled(0);
    let (tier, _) = filled.rig.open();
    let compacted = filled.compact(&tier).unwrap();
    let live: Vec<_> = compacted.moved().to_vec();
    tier.remove_segment(compacted).unwrap();
    tier.close().unwrap();
    drop(tier);
    for no in 1..6 {
        let media = &filled.rig.media[no];
        for path in media.paths().into_iter().filter(|path| path.contains(&filled.segment.to_string())) {
            media.remove(&path).unwrap();
        }
        match no {
            1 => media.tamper(REMOVED, |bytes| bytes[20] ^= 1).unwrap(),
            2 => media.tamper(REMOVED, |bytes| bytes.clear()).unwrap(),
            _ => media.remove(REMOVED).unwrap(),
        }
    }
    let (tier, findings) = filled.rig.open();
    let unlisted = |finding: &&Finding| matches!(finding.defect, Defect::RemovedUnlisted { .. });
    assert_eq!(findings.iter().filter(unlisted).count(), 2, "{findings:?}");
    assert!(tier.is_removed(filled.segment));
    for moved in live {
        tier.read(SUITE, &moved.to, &moved.address).unwrap();
    }
    drop(tier);
    let (tier, findings) = filled.rig.open_without(&[0]).unwrap();
    assert_eq!(findings.iter().filter(unlisted).count(), 0, "every list was written anew: {findings:?}");
    assert!(tier.is_removed(filled.segment));
}

#[test]
fn a_volume_that_comes_cannot_remove_a_segment_that_is_in_use_nor_can_a_suspect_one() {
    let filled = filled(1);
    let list = removed::encode(&BTreeSet::from([filled.segment]));
    let stranger = &filled.rig.media[6];
    shosoin_tiers::durable::replace(stranger, REMOVED, &list).unwrap();
    let (tier, _) = filled.rig.open_without(&[6]).unwrap();
    tier.attach(Volume::open(Arc::new(stranger.clone())).unwrap()).unwrap();
    assert!(!tier.is_removed(filled.segment));
    assert_all_read(&tier, &filled.stored, "nothing is removed");
    drop(tier);
    let (tier, _) = filled.rig.open();
    assert!(!tier.is_removed(filled.segment), "its list was written anew");
    drop(tier);
    shosoin_tiers::durable::replace(stranger, REMOVED, &list).unwrap();
    let volumes = filled.rig.media.iter().map(|media| Volume::open(Arc::new(media.clone())).unwrap());
    let volumes: Vec<Volume> = volumes.collect();
    volumes[6].mark_suspect();
    let (clock, random) = (Arc::new(ManualClock::new(0)), Arc::new(SeededRandom::new(9)));
    let (tier, _) = Tier::open(volumes, filled.rig.options.clone(), clock, random).unwrap();
    assert!(!tier.is_removed(filled.segment), "it was given up once, and what it says is old");
    assert_all_read(&tier, &filled.stored, "nothing is removed");
}

#[test]
fn a_segment_is_not_removed_where_too_few_volumes_can_list_it() {
    let filled = filled(0);
    let (tier, _) = filled.rig.open();
    let compacted = filled.compact(&tier).unwrap();
    let volumes: Vec<_> = tier.volumes().iter().map(|volume| volume.id).collect();
    for volume in &volumes[..4] {
        tier.mark_suspect(*volume).unwrap();
    }
    let error = tier.remove_segment(compacted).unwrap_err();
    assert!(matches!(error, Error::NoWritableMedia { needed: 3, writable: 2 }), "{error}");
    assert!(!tier.is_removed(filled.segment), "nothing was written, so nothing is removed");
    assert_eq!(filled.files_of_the_segment().len(), 6);
    assert_all_read(&tier, &filled.stored, "all is as it was");
}

#[test]
fn what_is_not_closed_lost_in_part_or_unreadable_is_not_compacted_and_stays() {
    let filled = filled(0);
    let (tier, _) = filled.rig.open();
    append(&tier, 20..22).unwrap();
    let open = tier.segments().into_iter().find(|info| info.state == SegmentState::Open).unwrap();
    let error = tier.compact_segment(open.id, &mut |_| false, 1.0, &Unpaced).unwrap_err();
    assert!(matches!(error, Error::SegmentUnclosed { .. }), "{error}");
    let info = tier.segments().into_iter().find(|info| info.id == filled.segment).unwrap();
    for volume in info.shards.iter().take(3) {
        let media = &filled.rig.media[volume_no(volume.unwrap())];
        let path = media.paths().into_iter().find(|path| path.contains(&filled.segment.to_string())).unwrap();
        media.tamper(&path, |bytes| bytes[1024..8192].fill(7)).unwrap();
    }
    let error = filled.compact(&tier).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert_eq!(filled.files_of_the_segment().len(), 6);
    assert!(matches!(
        tier.compact_segment(SegmentId([3; 16]), &mut |_| true, 1.0, &Unpaced),
        Err(Error::SegmentUnknown { .. })
    ));
}

#[test]
fn the_proof_of_another_start_removes_nothing() {
    let filled = filled(0);
    let (first, _) = filled.rig.open();
    let proof = filled.compact(&first).unwrap();
    first.close().unwrap();
    drop(first);
    let (second, _) = filled.rig.open();
    assert!(matches!(second.remove_segment(proof), Err(Error::SegmentUnclosed { .. })));
    assert_eq!(filled.files_of_the_segment().len(), 6);
}

#[test]
fn records_that_do_not_read_back_let_nothing_be_removed() {
    let filled = filled(0);
    let faults = Arc::new(Faults::default());
    let (tier, _) = filled.rig.open_through(&faults).unwrap();
    let lying = ["v00", "v02", "v05"];
    faults.when(move |_, call| {
        (call.op == Op::Write && lying.contains(&call.place.as_str())).then_some(Fault::Flip { at: 2000, mask: 1 })
    });
    let error = filled.compact(&tier).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    faults.clear();
    assert_eq!(filled.files_of_the_segment().len(), 6);
    assert_all_read(&tier, &filled.stored, "the old ones are still there");
}

/// Compacts and removes as a store does it.
fn compact_through(filled: &Filled, faults: &Arc<Faults>) {
    let Ok((tier, _)) = filled.rig.open_through(faults) else { return };
    let Ok(compacted) = filled.compact(&tier) else { return };
    drop(tier.remove_segment(compacted));
    drop(tier.close());
}

fn calls_of_a_compaction() -> u64 {
    let (filled, faults) = (filled(1), Arc::new(Faults::default()));
    compact_through(&filled, &faults);
    assert!(filled.files_of_the_segment().is_empty());
    faults.calls()
}

#[track_caller]
fn assert_completes(filled: &Filled, what: &str) {
    let files = filled.files_of_the_segment().len();
    let (tier, findings) = filled.rig.open();
    assert!(findings.iter().all(|finding| finding.severity() != Severity::Lost), "{what}: {findings:?}");
    filled.assert_nothing_lost(&tier, what);
    let still_there = tier.segments().iter().any(|info| info.id == filled.segment);
    assert!(files >= 6 || !still_there, "{what}: it was listed as removed before its first shard went");
    if still_there {
        let compacted = filled.compact(&tier).unwrap();
        tier.remove_segment(compacted).unwrap();
    }
    tier.sweep(&Unpaced).unwrap();
    assert_eq!(filled.files_of_the_segment(), Vec::<String>::new(), "{what}");
    filled.assert_nothing_lost(&tier, &format!("{what}, completed"));
    assert!(tier.segments().iter().all(|info| info.hospital == HOSPITAL));
}

#[test]
fn killed_at_any_call_of_a_compaction_no_live_record_is_lost_and_the_next_one_completes() {
    let calls = calls_of_a_compaction();
    assert!(calls > 100, "only {calls} calls");
    for call in 0..calls {
        for (power_cut, keep) in [(true, 1000), (false, 5000)] {
            let (filled, faults) = (filled(1), Arc::new(Faults::default()));
            faults.kill_at(call, keep);
            compact_through(&filled, &faults);
            if power_cut {
                filled.rig.crash(call * 11);
            }
            assert_completes(&filled, &format!("killed at call {call}, power cut {power_cut}"));
        }
    }
}

#[test]
fn one_failed_call_of_any_kind_during_a_compaction_loses_nothing() {
    let kinds = [
        Fault::Fail(std::io::ErrorKind::Other),
        Fault::DoneAndFail(std::io::ErrorKind::Other),
        Fault::Torn { keep: 1500, kind: std::io::ErrorKind::Other },
        Fault::Flip { at: 4321, mask: 2 },
    ];
    for fault in kinds {
        for call in 0..calls_of_a_compaction() {
            let (filled, faults) = (filled(1), Arc::new(Faults::default()));
            faults.at(call, fault);
            compact_through(&filled, &faults);
            filled.rig.crash(call);
            assert_completes(&filled, &format!("{fault:?} at call {call}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_live_moves_whole_through_damage_on_m_shards(
        live in prop::collection::vec(any::<bool>(), 12), bad in prop::collection::btree_set(0usize..6, 0..=2), at in 0usize..30_000,
    ) {
        let filled = filled(0);
        let (tier, _) = filled.rig.open();
        for no in bad {
            let media = &filled.rig.media[no];
            for path in media.paths().into_iter().filter(|path| path.contains(&filled.segment.to_string())) {
                media.tamper(&path, |bytes| bytes[at] ^= 1).unwrap();
            }
        }
        let chosen: BTreeMap<Address, bool> =
            filled.of_segment().iter().zip(&live).map(|(stored, live)| (stored.record.address, *live)).collect();
        let is_live = |walked: &Walked| chosen[&walked.address];
        let compacted = tier.compact_segment(filled.segment, &mut { is_live }, f64::INFINITY, &Unpaced).unwrap();
        let expected = filled.of_segment().iter().filter(|stored| chosen[&stored.record.address]).count();
        prop_assert_eq!(compacted.moved().len(), expected);
        let moved: Vec<_> = compacted.moved().to_vec();
        tier.remove_segment(compacted).unwrap();
        for moved in moved {
            let record = &filled.stored.iter().find(|stored| stored.record.address == moved.address).unwrap().record;
            prop_assert_eq!(&tier.read(SUITE, &moved.to, &moved.address).unwrap(), &record.bytes);
        }
        prop_assert!(filled.files_of_the_segment().is_empty());
    }
}
