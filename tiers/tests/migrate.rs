//! Segments that go from hot volumes to the archive: nothing is lost, whenever the run is killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use shosoin_protocol::{Address, HospitalId, RecordKind, SegmentId, Suite, VolumeId};
use shosoin_tiers::clock::{ManualClock, SeededRandom};
use shosoin_tiers::media::{Faults, FaultyMedia, MemoryMedia};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{
    Code, Error, Location, Media, Migration, MigrationStep, Record, SegmentState, Threads, Tier, TierOptions, Unpaced,
    Volume, VolumeLabel, Walked,
};
use std::sync::Arc;

const HOSPITAL: HospitalId = HospitalId([7; 16]);
const VOLUMES: u8 = 3;

/// Three hot and three archive volumes of code 1+2, and records of two kinds in one closed segment.
struct Rig {
    media: Vec<MemoryMedia>,
    stored: Vec<(RecordKind, Address, Vec<u8>, Location)>,
    segment: SegmentId,
}

impl Rig {
    fn new() -> Rig {
        let media: Vec<MemoryMedia> = (0..2 * VOLUMES).map(|no| MemoryMedia::new(&format!("v{no}"))).collect();
        for (no, medium) in (0..).zip(&media) {
            let (tier, class) =
                if no < VOLUMES { (TierKind::Hot, MediaClass::Ssd) } else { (TierKind::Archive, MediaClass::Tape) };
            let mut label = VolumeLabel::new(VolumeId([no; 16]), tier, class, 0);
            label.demo = true;
            Volume::create(Arc::new(medium.clone()), label).unwrap();
        }
        let mut rig = Rig { media, stored: Vec::new(), segment: SegmentId([0; 16]) };
        let tier = rig.open(1, |_| true, &Arc::new(Faults::default()));
        for no in 0u8..6 {
            let kind = if no % 3 == 0 { RecordKind::Summary } else { RecordKind::Chunk };
            let bytes = vec![no; 9_000 + usize::from(no)];
            let address = Suite::Default.address(&bytes);
            let record = Record { kind, address, bytes: bytes.clone().into() };
            let at = tier.append(HOSPITAL, Suite::Default, &[record]).unwrap().locations[0];
            rig.stored.push((kind, address, bytes, at));
        }
        tier.close().unwrap();
        rig.segment = rig.stored[0].3.segment;
        rig
    }

    fn open(&self, seed: u64, present: impl Fn(u8) -> bool, faults: &Arc<Faults>) -> Tier {
        let media = (0..).zip(&self.media).filter(|(no, _)| present(*no));
        let wrap = |(_, medium): (u8, &MemoryMedia)| {
            Volume::open(Arc::new(FaultyMedia::new(Arc::new(medium.clone()), faults.clone())) as Arc<dyn Media>)
        };
        let volumes = media.map(wrap).collect::<Result<Vec<_>, _>>().unwrap();
        let options =
            TierOptions { demo: true, threads: Threads::None, ..TierOptions::new(Code::parse("1+2").unwrap()) };
        let (clock, random) = (Arc::new(ManualClock::new(1_000)), Arc::new(SeededRandom::new(seed)));
        Tier::open(volumes, options, clock, random).unwrap().0
    }

    /// Every record is read exactly from where it was, wherever its shards are now.
    fn assert_whole(&self, tier: &Tier, context: &str) {
        for (kind, address, bytes, at) in &self.stored {
            let read = tier.read(Suite::Default, at, address).map(|read| *read == bytes[..]);
            assert!(matches!(read, Ok(true)), "{kind:?} {context}: {read:?}");
        }
    }

    fn kinds_on(&self, tier: &Tier, segment: SegmentId) -> Vec<TierKind> {
        let kinds = tier.kinds();
        let info = tier.segments().into_iter().find(|info| info.id == segment).unwrap();
        let kind = |volume: VolumeId| kinds.iter().find(|(id, _)| *id == volume).unwrap().1;
        info.shards.into_iter().flatten().map(kind).collect()
    }
}

fn finish(tier: &Tier, migration: &mut Migration) -> Result<Vec<MigrationStep>, Error> {
    std::iter::from_fn(|| migration.step(tier, &Unpaced).transpose()).collect()
}

#[test]
fn a_segment_that_moved_is_read_from_the_archive_and_its_other_records_from_hot_volumes_too() {
    let rig = Rig::new();
    let faults = Arc::default();
    let tier = rig.open(2, |_| true, &faults);
    assert!(tier.bytes_to_archive(rig.segment).unwrap() > 0);
    let steps = finish(&tier, &mut Migration::new(rig.segment, false)).unwrap();
    assert!(matches!(steps[3], MigrationStep::Appended { .. }) && steps.len() == 7, "{steps:?}");
    rig.assert_whole(&tier, "after the move");
    assert_eq!(rig.kinds_on(&tier, rig.segment), [TierKind::Archive; 3]);
    assert!(!tier.is_hot(rig.segment).unwrap() && tier.bytes_to_archive(rig.segment).unwrap() == 0);
    tier.close().unwrap();
    drop(tier);
    let hot_alone = rig.open(3, |no| no < VOLUMES, &faults);
    let mut found = Vec::new();
    for info in hot_alone.segments() {
        assert_eq!(info.state, SegmentState::Closed);
        let mut meet = |walked: Walked| {
            found.push((walked.kind, walked.address));
            Ok(())
        };
        hot_alone.walk(info.id, 0, &mut meet).unwrap();
    }
    let others = rig.stored.iter().filter(|(kind, ..)| *kind != RecordKind::Chunk);
    assert!(others.map(|(kind, address, ..)| (*kind, *address)).eq(found));
}

#[test]
fn a_segment_that_is_kept_on_both_is_read_from_hot_volumes_and_survives_the_loss_of_all_of_them() {
    let rig = Rig::new();
    let faults = Arc::default();
    let tier = rig.open(2, |_| true, &faults);
    finish(&tier, &mut Migration::new(rig.segment, true)).unwrap();
    assert_eq!(rig.kinds_on(&tier, rig.segment), [TierKind::Hot; 3]);
    drop(tier);
    let tier = rig.open(3, |_| true, &faults);
    assert_eq!(rig.kinds_on(&tier, rig.segment), [TierKind::Hot; 3], "after a start too");
    drop(tier);
    rig.assert_whole(&rig.open(4, |no| no >= VOLUMES, &faults), "with every hot volume lost");
}

#[test]
fn a_migration_killed_at_any_call_on_media_loses_nothing_and_is_finished_by_the_next_run() {
    let probe = Rig::new();
    let faults = Arc::<Faults>::default();
    let tier = probe.open(2, |_| true, &faults);
    let before = faults.calls();
    finish(&tier, &mut Migration::new(probe.segment, false)).unwrap();
    let calls = faults.calls() - before;
    assert!(calls > 100, "{calls}");
    for kill in 0..calls {
        let rig = Rig::new();
        let faults = Arc::<Faults>::default();
        let tier = rig.open(2, |_| true, &faults);
        faults.kill_at(faults.calls() + kill, kill * 512);
        let _ = finish(&tier, &mut Migration::new(rig.segment, false));
        assert!(faults.is_dead(), "call {kill} of {calls}");
        drop(tier);
        rig.media.iter().for_each(|media| media.crash(&SeededRandom::new(kill)));
        let faults = Arc::default();
        let tier = rig.open(3, |_| true, &faults);
        rig.assert_whole(&tier, &format!("killed at call {kill}"));
        finish(&tier, &mut Migration::new(rig.segment, false)).unwrap();
        rig.assert_whole(&tier, &format!("killed at call {kill} and finished"));
        assert_eq!(rig.kinds_on(&tier, rig.segment), [TierKind::Archive; 3], "killed at call {kill}");
        drop(tier);
        for lost in VOLUMES..2 * VOLUMES {
            let left = rig.open(4, |no| no != lost, &faults);
            rig.assert_whole(&left, &format!("killed at call {kill}, without archive volume {lost}"));
        }
    }
}
