//! Volumes that are there and cannot be listed: what is on them is not known, which is not the same as nothing. What would
//! end with "there is nothing on it" waits until it is known again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{Rig, SUITE, Stored, append, assert_all_read, volume_no};
use shosoin_protocol::VolumeId;
use shosoin_tiers::layout::SEGMENTS;
use shosoin_tiers::media::{Fault, Faults, FaultyMedia, Op};
use shosoin_tiers::{
    Defect, Drain, DrainPhase, Error, Finding, Media, SegmentState, Threads, Tier, Tour, Unpaced, Volume, VolumeState,
    VolumeStatus,
};
use std::io::ErrorKind;
use std::sync::Arc;

/// Six volumes of seven with some closed segments on them.
fn filled() -> (Rig, Vec<Stored>) {
    let mut rig = Rig::new("4+2", 1);
    rig.options.threads = Threads::None;
    let mut stored = Vec::new();
    for numbers in [0..5, 5..8, 8..12] {
        let (tier, _) = rig.open();
        stored.extend(append(&tier, numbers).unwrap());
        tier.close().unwrap();
    }
    (rig, stored)
}

/// Lets listings of folders that begin with `path` fail on the volumes `unlisted`.
fn refuse_lists(rig: &Rig, faults: &Arc<Faults>, unlisted: &[usize], path: &'static str) {
    let places: Vec<String> = unlisted.iter().map(|no| rig.media[*no].place()).collect();
    faults.when(move |_, call| {
        let hit = call.op == Op::List && call.path.starts_with(path) && places.contains(&call.place);
        hit.then_some(Fault::Fail(ErrorKind::Other))
    });
}

fn id(no: usize) -> VolumeId {
    VolumeId([u8::try_from(no + 1).unwrap(); 16])
}

fn status(tier: &Tier, no: usize) -> VolumeStatus {
    tier.volumes().into_iter().find(|status| status.id == id(no)).unwrap()
}

fn unlisted(findings: &[Finding]) -> Vec<usize> {
    let of = findings.iter().filter(|finding| matches!(finding.defect, Defect::VolumeUnlisted { .. }));
    of.map(|finding| volume_no(finding.place.volume.unwrap())).collect()
}

/// Shards of every volume.
fn counts(tier: &Tier) -> Vec<u32> {
    tier.volumes().iter().map(|status| status.shards).collect()
}

#[track_caller]
fn assert_waits(tier: &Tier, no: usize) {
    let mut drain = Drain::new(id(no), 0);
    assert!(matches!(drain.step(tier, &Unpaced), Err(Error::VolumeUnlisted { .. })));
    assert_ne!(drain.phase, DrainPhase::Ended, "an end would say that it is empty");
    tier.set_draining(id(no), false).unwrap();
    let mut tour = Tour::new(id(no), 0);
    assert!(matches!(tour.step(tier, &Unpaced), Err(Error::VolumeUnlisted { .. })));
    assert!(!tour.ended, "an end would say that everything on it was read");
}

#[track_caller]
fn assert_drains_empty(tier: &Tier, no: usize) {
    let shards = status(tier, no).shards;
    let mut tour = Tour::new(id(no), 0);
    while tour.step(tier, &Unpaced).unwrap().is_some() {}
    assert_eq!(tour.done.shards, u64::from(shards), "every shard was read");
    let mut drain = Drain::new(id(no), 0);
    while drain.step(tier, &Unpaced).unwrap().is_some() {}
    assert_eq!((drain.done.released, drain.done.kept), (u64::from(shards), 0));
    assert_eq!(status(tier, no).shards, 0);
}

#[test]
fn a_volume_that_cannot_be_listed_is_neither_drained_nor_toured_nor_written_to_until_it_is() {
    let (rig, mut stored) = filled();
    let whole = counts(&rig.open().0);
    let no = whole.iter().position(|shards| *shards > 0).unwrap();
    // all of its folders, or only that of the hospital
    for path in [SEGMENTS, "segments/"] {
        let faults = Arc::new(Faults::default());
        refuse_lists(&rig, &faults, &[no], path);
        let (tier, findings) = rig.open_through(&faults).unwrap();
        assert_eq!(unlisted(&findings), [no], "{findings:?}");
        let there = status(&tier, no);
        assert_eq!((there.state, there.listed, there.shards), (VolumeState::Unlisted, false, 0));
        assert_all_read(&tier, &stored, "the others make up for it");
        assert_waits(&tier, no);
        assert_eq!(unlisted(&tier.list_again().unwrap()), [no], "it still cannot be");
        assert_waits(&tier, no);
        stored.extend(append(&tier, 30..33).unwrap());
        tier.close().unwrap();
        let open = tier.segments().into_iter().filter(|segment| segment.shards.contains(&Some(id(no))));
        assert_eq!(open.count(), 0, "nothing new is on it");

        faults.clear();
        assert_eq!(unlisted(&tier.list_again().unwrap()), []);
        let there = status(&tier, no);
        assert_eq!((there.state, there.listed), (VolumeState::Writable, true), "without a new start");
        assert_eq!(there.shards, whole[no], "each shard once");
        assert_eq!(tier.list_again().unwrap(), [], "nothing is left to list");
        assert_all_read(&tier, &stored, "listed again");
        tier.close().unwrap();
    }
    assert_drains_empty(&rig.open().0, no);
}

#[test]
fn what_could_be_listed_of_a_volume_is_read_and_the_rest_is_known_once_when_it_can_be() {
    use shosoin_tiers::Record;
    let (rig, stored) = filled();
    let other = shosoin_protocol::HospitalId([0xcd; 16]);
    let (tier, _) = rig.open();
    let records: Vec<Record> = stored.iter().map(|stored| stored.record.clone()).collect();
    let placed = tier.append(other, SUITE, &records).unwrap().locations;
    tier.close().unwrap();
    let whole = counts(&tier);
    drop(tier);
    let no = whole.iter().position(|shards| *shards == *whole.iter().max().unwrap()).unwrap();
    let faults = Arc::new(Faults::default());
    refuse_lists(&rig, &faults, &[no], "segments/cd");
    let (tier, findings) = rig.open_through(&faults).unwrap();
    assert_eq!(unlisted(&findings), [no]);
    let part = status(&tier, no).shards;
    assert!(0 < part && part < whole[no], "{part} of {}", whole[no]);
    assert_waits(&tier, no);
    faults.clear();
    assert_eq!(tier.list_again().unwrap(), []);
    assert_eq!(counts(&tier), whole, "no shard counts twice");
    for (record, at) in records.iter().zip(placed) {
        assert_eq!(tier.read(SUITE, &at, &record.address).unwrap(), record.bytes);
    }
    assert_drains_empty(&tier, no);
}

#[test]
fn a_volume_that_is_taken_into_use_and_cannot_be_listed_waits_like_any_other() {
    let (rig, stored) = filled();
    let (tier, _) = rig.open();
    let whole = counts(&tier);
    let no = whole.iter().position(|shards| *shards > 0).unwrap();
    tier.detach(id(no)).unwrap();
    let faults = Arc::new(Faults::default());
    refuse_lists(&rig, &faults, &[no], SEGMENTS);
    let media = FaultyMedia::new(Arc::new(rig.media[no].clone()), faults.clone());
    let findings = tier.attach(Volume::open(Arc::new(media)).unwrap()).unwrap();
    assert_eq!(unlisted(&findings), [no]);
    assert_waits(&tier, no);
    faults.clear();
    tier.list_again().unwrap();
    assert_eq!(status(&tier, no).shards, whole[no]);
    assert_all_read(&tier, &stored, "listed again");
    assert_drains_empty(&tier, no);
}

#[test]
fn where_a_volume_cannot_be_listed_nothing_is_decided_without_it_although_all_absent_ones_are_lost() {
    let mut rig = Rig::new("4+2", 0);
    rig.options.threads = Threads::None;
    let (tier, _) = rig.open();
    let stored = [0..5, 5..8, 8..12].map(|numbers| append(&tier, numbers).unwrap()).concat();
    drop(tier); // killed: the segment is open
    rig.options.absence_is_final = true;
    let faults = Arc::new(Faults::default());
    refuse_lists(&rig, &faults, &[0, 1, 2], SEGMENTS);
    let (tier, findings) = rig.open_through(&faults).unwrap();
    assert_eq!(unlisted(&findings), [0, 1, 2]);
    assert_eq!(tier.segments()[0].state, SegmentState::Unreadable, "three shards may be there: {findings:?}");
    faults.clear();
    let findings = tier.list_again().unwrap();
    assert_eq!(tier.segments()[0].state, SegmentState::Closed, "{findings:?}");
    assert!(tier.volumes().iter().all(|status| status.state == VolumeState::Writable && status.shards == 1));
    assert_all_read(&tier, &stored, "nothing was given up");
    assert_eq!(tier.segments()[0].records, 12);
}
