//! Volumes that an operator has declared lost: what waited for them is decided without them, once, and what is lost with
//! them is named. Without that word nothing is decided that they could prove wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{Rig, SUITE, Stored, append, assert_all_read, volume_no, walk_all};
use shosoin_tiers::media::{Fault, Faults, Op};
use shosoin_tiers::{Defect, Finding, SegmentState, Severity, Threads, Tier, Unpaced};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

struct Filled {
    rig: Rig,
    stored: Vec<Stored>,
    /// the volume of each shard
    volumes: Vec<usize>,
    /// where each stripe begins
    stripes: Vec<u64>,
}

/// A segment of three stripes whose writer was killed, on six of twelve volumes.
fn killed() -> Filled {
    let mut rig = Rig::new("4+2", 6);
    rig.options.threads = Threads::None;
    let (tier, _) = rig.open_without(&[6, 7, 8, 9, 10, 11]).unwrap();
    let stored = [0..5, 5..8, 8..12].map(|numbers| append(&tier, numbers).unwrap()).concat();
    let volumes = tier.segments()[0].shards.iter().map(|volume| volume_no(volume.unwrap())).collect();
    let starts: BTreeSet<u64> = stored.iter().map(|stored| stored.location.stripe_at).collect();
    Filled { rig, stored, volumes, stripes: starts.into_iter().collect() }
}

impl Filled {
    fn flip(&self, shard: usize, stripe: usize) {
        let media = &self.rig.media[self.volumes[shard]];
        let path = self.rig.shards(self.volumes[shard]).remove(0);
        let at = usize::try_from(self.stripes[stripe]).unwrap() + 1500;
        media.tamper(&path, |bytes| bytes[at] ^= 2).unwrap();
    }

    fn volumes_of(&self, shards: &[usize]) -> Vec<usize> {
        shards.iter().map(|shard| self.volumes[*shard]).collect()
    }

    fn open(&mut self, lost: &[usize], absence_is_final: bool) -> (Tier, Vec<Finding>) {
        self.rig.options.absence_is_final = absence_is_final;
        self.rig.open_without(&self.volumes_of(lost)).unwrap()
    }

    /// The records in stripes that are not in `dead`.
    fn outside(&self, dead: &[usize]) -> Vec<Stored> {
        let dead: Vec<u64> = dead.iter().map(|stripe| self.stripes[*stripe]).collect();
        self.stored.iter().filter(|stored| !dead.contains(&stored.location.stripe_at)).cloned().collect()
    }
}

/// Offsets of stripes that are called lost.
fn lost_stripes(findings: &[Finding]) -> BTreeSet<u64> {
    let lost = findings.iter().filter(|finding| matches!(finding.defect, Defect::StripeLost { .. }));
    lost.map(|finding| finding.place.offset.unwrap()).collect()
}

fn is_lost(finding: &&Finding) -> bool {
    finding.severity() == Severity::Lost
}

/// The hospital's log goes on, and stays as it was decided.
#[track_caller]
fn assert_goes_on(filled: &mut Filled, tier: Tier, lost: &[usize], readable: &[Stored]) {
    let mut stored = readable.to_vec();
    stored.extend(append(&tier, 20..25).unwrap());
    assert_all_read(&tier, &stored, "it goes on");
    tier.close().unwrap();
    drop(tier);
    let (tier, findings) = filled.open(lost, false);
    assert!(!findings.iter().any(|finding| is_lost(&finding)), "it was said once: {findings:?}");
    assert!(tier.segments().iter().all(|segment| segment.state == SegmentState::Closed));
    assert_all_read(&tier, &stored, "reopened");
    let walked: BTreeSet<_> = walk_all(&tier).into_iter().map(|walked| walked.location).collect();
    assert_eq!(walked, stored.iter().map(|stored| stored.location).collect());
}

#[test]
fn with_fewer_than_k_shards_left_for_good_the_segment_ends_and_every_stripe_of_it_is_called_lost() {
    for lost in [vec![0, 1, 2], vec![3, 4, 5], vec![0, 2, 4, 5], vec![1, 2, 3, 4, 5]] {
        let mut filled = killed();
        let (tier, findings) = filled.open(&lost, false);
        assert_eq!(tier.segments()[0].state, SegmentState::Unreadable);
        assert!(findings.iter().any(|finding| is_lost(&finding)));
        drop(tier);
        let (tier, findings) = filled.open(&lost, true);
        assert_eq!(tier.segments()[0].state, SegmentState::Closed, "without {lost:?}: {findings:?}");
        assert_eq!(lost_stripes(&findings), filled.stripes.iter().copied().collect(), "without {lost:?}");
        // a record inside one unit that is left can be read all the same; no other one is, and none is wrong
        let read = |stored: &&Stored| match tier.read(SUITE, &stored.location, &stored.record.address) {
            Ok(bytes) => bytes == stored.record.bytes,
            Err(error) => error.kind() != shosoin_protocol::ErrorKind::Damaged,
        };
        let large = filled.stored.iter().filter(|stored| stored.record.bytes.len() > 30_000);
        assert!(
            large.filter(read).count() == 0
                && filled.stored.iter().all(|stored| {
                    tier.read(SUITE, &stored.location, &stored.record.address)
                        .map_or(true, |bytes| bytes == stored.record.bytes)
                })
        );
        assert_goes_on(&mut filled, tier, &lost, &[]);
    }
}

#[test]
fn a_last_stripe_that_only_lost_volumes_could_complete_is_lost_and_the_others_are_kept() {
    let mut filled = killed();
    filled.flip(3, 2);
    let (tier, findings) = filled.open(&[0, 5], false);
    assert_eq!(tier.segments()[0].state, SegmentState::Unreadable);
    assert!(findings.iter().any(|finding| matches!(finding.defect, Defect::StripeUnjudged { .. })), "{findings:?}");
    drop(tier);
    let (tier, findings) = filled.open(&[0, 5], true);
    assert_eq!(lost_stripes(&findings), BTreeSet::from([filled.stripes[2]]));
    let readable = filled.outside(&[2]);
    assert_goes_on(&mut filled, tier, &[0, 5], &readable);
}

#[test]
fn a_lost_stripe_in_the_middle_is_named_and_every_other_record_is_listed_and_repaired() {
    for lost in [vec![], vec![4], vec![1, 5]] {
        let mut filled = killed();
        [0, 2, 3].into_iter().for_each(|shard| filled.flip(shard, 1));
        let (tier, _) = filled.open(&lost, false);
        assert_eq!(tier.segments()[0].state, SegmentState::Unreadable);
        drop(tier);
        let (tier, findings) = filled.open(&lost, true);
        assert_eq!(lost_stripes(&findings), BTreeSet::from([filled.stripes[1]]), "without {lost:?}: {findings:?}");
        let segment = tier.segments().remove(0);
        assert_eq!((segment.state, segment.stripes), (SegmentState::Closed, 3));
        let checked = tier.check_segment(segment.id);
        assert_eq!(lost_stripes(&checked), BTreeSet::from([filled.stripes[1]]), "a check says so again");
        let shards: Vec<u8> = lost.iter().map(|shard| u8::try_from(*shard).unwrap()).collect();
        let repaired = tier.repair_segment(segment.id, &shards, &Unpaced).unwrap();
        let short: BTreeSet<u64> = repaired.short.iter().map(|finding| finding.place.offset.unwrap()).collect();
        let rebuilt: Vec<u8> = repaired.rebuilt.iter().map(|(shard, _)| *shard).collect();
        assert!(rebuilt == shards && short.iter().all(|at| *at == filled.stripes[1]), "{repaired:?}");
        let readable = filled.outside(&[1]);
        assert_goes_on(&mut filled, tier, &lost, &readable);
    }
}

#[test]
fn shards_that_are_there_and_cannot_be_read_are_waited_for_all_the_same() {
    let mut filled = killed();
    filled.rig.options.absence_is_final = true;
    let faults = Arc::new(Faults::default());
    let places: Vec<String> = [0, 1, 2]
        .map(|shard: usize| {
            use shosoin_tiers::Media;
            filled.rig.media[filled.volumes[shard]].place()
        })
        .into();
    faults.when(move |_, call| {
        let read = matches!(call.op, Op::Read | Op::ReadPastCache | Op::Open) && call.path.ends_with(".shard");
        (read && places.contains(&call.place)).then_some(Fault::Fail(ErrorKind::Other))
    });
    let (tier, findings) = filled.rig.open_through(&faults).unwrap();
    assert_eq!(tier.segments()[0].state, SegmentState::Unreadable, "{findings:?}");
    drop(tier);
    let (tier, _) = filled.open(&[], true);
    assert_all_read(&tier, &filled.stored, "they can be read again");
    assert_eq!(tier.segments()[0].state, SegmentState::Closed);
}

#[test]
fn the_word_changes_nothing_where_nothing_waits() {
    for lost in [vec![], vec![1], vec![0, 5]] {
        let images = [false, true].map(|absence_is_final| {
            let mut filled = killed();
            let (tier, findings) = filled.open(&lost, absence_is_final);
            assert!(!findings.iter().any(|finding| is_lost(&finding)), "{findings:?}");
            assert_all_read(&tier, &filled.stored, "within the budget");
            filled.rig.media.iter().map(|media| media.image()).collect::<Vec<_>>()
        });
        assert!(images[0] == images[1], "without {lost:?}");
    }
}

#[test]
fn killed_at_any_call_of_the_decision_the_next_start_decides_the_same() {
    let mut calls = 0;
    loop {
        let mut filled = killed();
        filled.flip(3, 2);
        let faults = Arc::new(Faults::default());
        faults.kill_at(calls, 700);
        let lost = filled.volumes_of(&[0, 5]);
        filled.rig.options.absence_is_final = true;
        drop(filled.rig.open_hooked_without(&faults, &lost));
        filled.rig.crash(calls);
        let (tier, _) = filled.open(&[0, 5], true);
        let readable = filled.outside(&[2]);
        assert_all_read(&tier, &readable, &format!("killed at call {calls}"));
        assert_goes_on(&mut filled, tier, &[0, 5], &readable);
        if !faults.is_dead() {
            break;
        }
        calls += 1;
    }
    assert!(calls > 40, "only {calls} calls");
}
