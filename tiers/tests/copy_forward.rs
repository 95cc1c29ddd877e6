//! Copy-forward and drain: a shard moves as a whole, verified, and the old copy goes only after proof. Killed at any call,
//! nothing is lost, nothing unfinished is trusted, and the next run completes it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{HOSPITAL, Rig, Stored, append, assert_all_read, volume_no};
use proptest::prelude::*;
use shosoin_protocol::{ErrorKind, VolumeId};
use shosoin_tiers::media::{Fault, Faults, MemoryMedia, WriteUnit};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{
    Defect, Drain, DrainPhase, DrainStep, Error, Media, SegmentState, Severity, ShardRef, Threads, Tier, Unpaced,
    Volume, VolumeLabel, VolumeState,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

struct Filled {
    rig: Rig,
    stored: Vec<Stored>,
    /// the content of every shard file, by path
    shards: BTreeMap<String, Vec<u8>>,
}

fn volume(no: usize) -> VolumeId {
    VolumeId([u8::try_from(no).unwrap() + 1; 16])
}

/// Two closed segments on the first volumes, and `spare` empty ones.
fn filled(code: &str, spare: usize) -> Filled {
    let mut rig = Rig::new(code, spare);
    rig.options.threads = Threads::None;
    rig.options.segment_bytes_max = 100_000;
    let needed = rig.options.code.shards();
    let (tier, _) = rig.open_without(&(needed..needed + spare).collect::<Vec<_>>()).unwrap();
    let stored = [0..5, 5..8, 8..12, 12..14].map(|numbers| append(&tier, numbers).unwrap()).concat();
    tier.close().unwrap();
    assert!(tier.segments().len() > 1);
    let shards =
        rig.media.iter().flat_map(|media| media.image()).filter(|(path, _)| path.ends_with(".shard")).collect();
    Filled { rig, stored, shards }
}

/// The shards on a volume.
fn shards_on(tier: &Tier, no: usize) -> Vec<ShardRef> {
    tier.shards_on(volume(no)).into_iter().map(|on| on.shard).collect()
}

fn path(shard: ShardRef) -> String {
    format!("segments/{}/{}-{}.shard", shard.hospital, shard.segment, shard.shard)
}

impl Filled {
    /// Every record reads exact, every shard that is used is what it was, and no volume has two of a segment.
    #[track_caller]
    fn assert_whole(&self, tier: &Tier, what: &str) {
        for segment in tier.segments() {
            let mut seen = BTreeSet::new();
            for (shard, volume) in (0u8..).zip(&segment.shards) {
                let volume = volume.unwrap_or_else(|| panic!("{what}: shard {shard} is missing"));
                assert!(seen.insert(volume), "{what}: two shards on {volume}");
                let path = path(ShardRef { hospital: HOSPITAL, segment: segment.id, shard });
                let image = self.rig.media[volume_no(volume)].image();
                assert!(image.get(&path) == self.shards.get(&path), "{what}: {path} on {volume} is not what it was");
            }
            assert_eq!(tier.check_segment(segment.id), [], "{what}");
        }
        assert_all_read(tier, &self.stored, what);
    }

    fn damage(&self, no: usize, shard: ShardRef, at: usize) {
        self.rig.media[no].tamper(&path(shard), |bytes| bytes[at] ^= 0x10).unwrap();
    }
}

#[test]
fn a_copied_shard_is_used_where_it_is_now_and_the_old_copy_stays_until_it_is_released_with_proof() {
    let filled = filled("4+2", 1);
    let (tier, _) = filled.rig.open();
    for shard in shards_on(&tier, 2) {
        let copied = tier.copy_shard(shard, volume(2), volume(6), &Unpaced).unwrap();
        assert_eq!(copied.bytes, filled.shards[&path(shard)].len() as u64);
        assert!(filled.rig.media[2].image()[&path(shard)] == filled.rig.media[6].image()[&path(shard)]);
        let on = tier.shards_on(volume(2)).into_iter().find(|on| on.shard == shard).unwrap();
        assert!(on.spare, "the old copy is not read any more");
        filled.assert_whole(&tier, "two copies");
        let proof = tier.verify_other_copy(shard, volume(2), &Unpaced).unwrap();
        assert!(proof.volume() == volume(6) && proof.read_bytes() == copied.bytes);
        assert_eq!(tier.release_copy(shard, volume(2), proof).unwrap(), copied.bytes);
        filled.assert_whole(&tier, "released");
    }
    assert!(shards_on(&tier, 2).is_empty() && filled.rig.shards(2).is_empty());
    drop(tier);
    let (tier, findings) = filled.rig.open();
    assert!(findings.is_empty(), "{findings:?}");
    filled.assert_whole(&tier, "reopened");
}

#[test]
fn the_last_good_copy_is_never_released() {
    let filled = filled("4+2", 1);
    let (tier, _) = filled.rig.open();
    let shards = shards_on(&tier, 0);
    let (shard, other) = (shards[0], shards[1]);
    let unproven = |result: Result<u64, Error>, why: &str| {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::Unproven { .. }) && error.to_string().contains(why), "{error}");
        assert_eq!(error.kind(), ErrorKind::Refused);
    };
    let none = tier.verify_other_copy(shard, volume(0), &Unpaced).unwrap_err();
    assert!(none.to_string().contains("there is no other copy"), "{none}");
    tier.copy_shard(shard, volume(0), volume(6), &Unpaced).unwrap();
    tier.copy_shard(other, volume(0), volume(6), &Unpaced).unwrap();
    let of_other = tier.verify_other_copy(other, volume(0), &Unpaced).unwrap();
    unproven(tier.release_copy(shard, volume(0), of_other), "another shard");
    let of_new = tier.verify_other_copy(shard, volume(0), &Unpaced).unwrap();
    unproven(tier.release_copy(shard, volume(6), of_new), "this copy itself");
    let before = tier.verify_other_copy(shard, volume(0), &Unpaced).unwrap();
    tier.detach(volume(6)).unwrap();
    unproven(tier.release_copy(shard, volume(0), before), "not in use");
    let returned = Volume::open(Arc::new(filled.rig.media[6].clone())).unwrap();
    tier.attach(returned).unwrap();
    filled.damage(6, shard, 5000);
    let error = tier.verify_other_copy(shard, volume(0), &Unpaced).unwrap_err();
    assert!(error.to_string().contains("no other copy is good"), "{error}");
    assert!(filled.rig.media[0].image().contains_key(&path(shard)), "it is still there");
    let missing = tier.verify_other_copy(other, volume(0), &Unpaced).unwrap();
    unproven(tier.release_copy(shard, volume(0), missing), "another shard");
    let gone = tier.verify_other_copy(other, volume(0), &Unpaced).unwrap();
    assert!(matches!(tier.release_copy(other, volume(3), gone), Err(Error::CopyUnknown { .. })));
    filled.assert_whole(&tier, "nothing was released");
}

#[test]
fn a_copy_is_refused_where_it_could_be_lost_together_with_another_shard() {
    let filled = filled("4+2", 2);
    let (tier, _) = filled.rig.open();
    let shard = shards_on(&tier, 0)[0];
    let refused = |to: usize, why: &str| {
        let error = tier.copy_shard(shard, volume(0), volume(to), &Unpaced).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    };
    refused(1, "another shard of the segment");
    tier.set_draining(volume(6), true).unwrap();
    refused(6, "takes no new shards");
    assert!(matches!(tier.copy_shard(shard, volume(0), volume(40), &Unpaced), Err(Error::VolumeUnknown { .. })));
    assert!(matches!(tier.copy_shard(shard, volume(3), volume(7), &Unpaced), Err(Error::CopyUnknown { .. })));
    let unknown = ShardRef { shard: 9, ..shard };
    assert!(matches!(tier.copy_shard(unknown, volume(0), volume(7), &Unpaced), Err(Error::SegmentUnknown { .. })));
    assert_eq!(tier.target_for(shard, None).unwrap(), volume(7));
    assert!(matches!(tier.target_for(shard, Some(TierKind::Archive)), Err(Error::Placement { .. })));
    filled.assert_whole(&tier, "refused");
}

/// A rig whose volumes say what they share; those beyond the needed ones too.
fn rig_of_lots(lots: &[&str], tiers: &[TierKind]) -> Rig {
    let mut rig = Rig::new("4+2", 0);
    rig.options.threads = Threads::None;
    rig.media.clear();
    for (no, (lot, tier)) in lots.iter().zip(tiers).enumerate() {
        let media = MemoryMedia::new(&format!("v{no:02}"));
        let mut label = VolumeLabel::new(volume(no), *tier, MediaClass::Hdd, 0);
        label.lot = (*lot).to_owned();
        Volume::create(Arc::new(media.clone()), label).unwrap();
        rig.media.push(media);
    }
    rig
}

#[test]
fn a_target_never_makes_more_than_m_shards_share_a_lot_and_one_that_shares_less_comes_first() {
    let hot = [TierKind::Hot; 9];
    let rig = rig_of_lots(&["a", "a", "b", "b", "c", "c"], &hot);
    let (tier, _) = rig.open();
    append(&tier, 0..5).unwrap();
    tier.close().unwrap();
    let add = |no: usize, lot: &str| {
        let media = MemoryMedia::new(&format!("v{no:02}"));
        let mut label = VolumeLabel::new(volume(no), TierKind::Hot, MediaClass::Hdd, 0);
        label.lot = lot.to_owned();
        tier.attach(Volume::create(Arc::new(media), label).unwrap()).unwrap();
    };
    let (of_a, of_b) = (shards_on(&tier, 0)[0], shards_on(&tier, 2)[0]);
    add(6, "a");
    assert!(matches!(tier.target_for(of_b, None), Err(Error::Placement { .. })), "three of lot a");
    assert!(tier.copy_shard(of_b, volume(2), volume(6), &Unpaced).is_err());
    assert_eq!(tier.target_for(of_a, None).unwrap(), volume(6), "one of lot a for another");
    add(7, "d");
    assert_eq!(tier.target_for(of_a, None).unwrap(), volume(7), "a lot of its own is better");
    assert_eq!(tier.target_for(of_b, None).unwrap(), volume(7));
}

#[test]
fn new_segments_are_on_hot_volumes_and_closed_ones_move_to_the_archive_and_back() {
    let tiers: Vec<TierKind> = (0..12).map(|no| if no < 6 { TierKind::Hot } else { TierKind::Archive }).collect();
    let rig = rig_of_lots(&[""; 12], &tiers);
    let (tier, _) = rig.open();
    assert_eq!(tier.writable_volumes(), 6);
    let mut stored = append(&tier, 0..8).unwrap();
    tier.close().unwrap();
    let before: Vec<usize> = tier.segments()[0].shards.iter().map(|volume| volume_no(volume.unwrap())).collect();
    assert!(before.iter().all(|no| *no < 6), "{before:?}");
    for (shard, from) in (0..6).flat_map(|no| shards_on(&tier, no).into_iter().map(move |shard| (shard, volume(no)))) {
        tier.copy_away(shard, from, Some(TierKind::Archive), &Unpaced).unwrap();
        let proof = tier.verify_other_copy(shard, from, &Unpaced).unwrap();
        tier.release_copy(shard, from, proof).unwrap();
    }
    let after: Vec<usize> = tier.segments()[0].shards.iter().map(|volume| volume_no(volume.unwrap())).collect();
    assert!(after.iter().all(|no| *no >= 6), "{after:?}");
    stored.extend(append(&tier, 8..12).unwrap());
    assert_all_read(&tier, &stored, "on both");
    tier.close().unwrap();
    assert!((6..12).all(|no| shards_on(&tier, no).len() == 1), "nothing new in the archive");
    let archived = shards_on(&tier, 6)[0];
    assert!(
        volume_no(tier.target_for(archived, None).unwrap()) >= 6
            || tier.target_for(archived, Some(TierKind::Archive)).is_err()
    );
    drop(tier);
    let lost: Vec<usize> = (0..6).collect();
    let (tier, _) = rig.open_without(&lost).unwrap();
    assert_all_read(&tier, &stored[..8], "the archive alone");
}

#[test]
fn units_that_are_bad_at_the_source_are_good_in_the_copy() {
    let filled = filled("4+2", 1);
    let (tier, _) = filled.rig.open();
    let shard = shards_on(&tier, 4)[0];
    filled.damage(4, shard, 100);
    filled.damage(4, shard, filled.shards[&path(shard)].len() - 10);
    let copied = tier.copy_shard(shard, volume(4), volume(6), &Unpaced).unwrap();
    assert_eq!(copied.mended, 2, "a header and a footer");
    filled.assert_whole(&tier, "mended on the way");
}

#[test]
fn a_source_that_changes_while_it_is_copied_changes_nothing_in_the_copy() {
    for (after, at) in [(0, 5000), (1, 100), (3, 9000)] {
        let filled = filled("4+2", 1);
        let faults = Arc::new(Faults::default());
        let (tier, _) = filled.rig.open_through(&faults).unwrap();
        let shard = shards_on(&tier, 1)[0];
        let (source, file) = (filled.rig.media[1].clone(), path(shard));
        let mut writes = 0;
        faults.when(move |_, call| {
            writes += u32::from(call.path.ends_with(".tmp"));
            if writes == after {
                source.tamper(&file, |bytes| bytes[at] ^= 1).unwrap();
            }
            None
        });
        tier.copy_shard(shard, volume(1), volume(6), &Unpaced).unwrap();
        faults.clear();
        filled.assert_whole(&tier, "the copy is what the table says");
    }
}

#[test]
fn a_shard_that_cannot_be_made_whole_is_copied_with_what_is_left_of_it() {
    let filled = filled("4+2", 1);
    let (tier, _) = filled.rig.open();
    let shard = shards_on(&tier, 0)[0];
    for no in 0..3 {
        let of_segment = shards_on(&tier, no).into_iter().find(|on| on.segment == shard.segment).unwrap();
        filled.damage(no, of_segment, 2000);
    }
    let left = filled.rig.media[0].image()[&path(shard)].clone();
    let copied = tier.copy_shard(shard, volume(0), volume(6), &Unpaced).unwrap();
    assert_eq!((copied.lost, copied.mended), (1, 0));
    assert!(filled.rig.media[6].image()[&path(shard)] == left, "byte for byte");
    let mut drain = Drain::new(volume(0), 5);
    let steps = drain_all(&mut drain, &tier);
    assert!(!steps.iter().any(|step| matches!(step, DrainStep::Kept { .. })), "{steps:?}");
    assert_eq!(drain.left_bytes(&tier), 0, "it keeps no volume from being emptied");
    let lost = tier.check_segment(shard.segment).into_iter().filter(|found| found.severity() == Severity::Lost);
    assert_eq!(lost.count(), 1, "and stays named");
}

#[test]
fn a_copy_that_is_there_already_is_verified_and_used_or_mended() {
    let filled = filled("4+2", 1);
    let (tier, _) = filled.rig.open();
    let shard = shards_on(&tier, 0)[0];
    let first = tier.copy_shard(shard, volume(0), volume(6), &Unpaced).unwrap();
    let again = tier.copy_shard(shard, volume(0), volume(6), &Unpaced).unwrap();
    assert!(first.bytes > 0 && again.bytes == 0 && again.read_bytes == first.bytes);
    filled.damage(6, shard, 3333);
    let mended = tier.copy_shard(shard, volume(0), volume(6), &Unpaced).unwrap();
    assert_eq!(mended.bytes, first.bytes);
    filled.assert_whole(&tier, "mended in place");
    assert_eq!(tier.shards_on(volume(6)).len(), 1, "one row for one file");
}

#[track_caller]
fn drain_all(drain: &mut Drain, tier: &Tier) -> Vec<DrainStep> {
    let mut steps = Vec::new();
    while let Some(step) = drain.step(tier, &Unpaced).unwrap() {
        steps.push(step);
        assert!(steps.len() < 100, "the drain never ends: {steps:?}");
    }
    assert_eq!(drain.phase, DrainPhase::Ended);
    steps
}

#[test]
fn a_drained_volume_is_empty_and_everything_is_elsewhere() {
    for code in ["4+2", "1+1", "10+4"] {
        let filled = filled(code, 1);
        let (tier, _) = filled.rig.open();
        let before = shards_on(&tier, 1);
        let mut drain = Drain::new(volume(1), 5);
        let steps = drain_all(&mut drain, &tier);
        let (copied, released): (Vec<_>, Vec<_>) = steps.iter().partition(|step| matches!(step, DrainStep::Copied(_)));
        assert!(copied.len() == before.len() && released.len() == before.len(), "{steps:?}");
        assert!(drain.done.copied == before.len() as u64 && drain.done.kept == 0, "{drain:?}");
        assert!(drain.left_bytes(&tier) == 0 && filled.rig.shards(1).is_empty());
        let state = tier.volumes().into_iter().find(|status| status.id == volume(1)).unwrap();
        assert!(state.state == VolumeState::Draining && state.shards == 0, "{state:?}");
        filled.assert_whole(&tier, code);
        drop(tier);
        let (tier, findings) = filled.rig.open_without(&[1]).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        filled.assert_whole(&tier, "without the volume");
    }
}

#[test]
fn a_segment_that_is_open_on_a_drained_volume_is_closed_and_moves_and_the_next_one_is_elsewhere() {
    let mut rig = Rig::new("4+2", 1);
    rig.options.threads = Threads::None;
    let (tier, _) = rig.open_without(&[6]).unwrap();
    let mut stored = append(&tier, 0..5).unwrap();
    tier.attach(Volume::open(Arc::new(rig.media[6].clone())).unwrap()).unwrap();
    let mut drain = Drain::new(volume(3), 5);
    drain_all(&mut drain, &tier);
    assert!(drain.done.released == 1 && tier.segments()[0].state == SegmentState::Closed, "{drain:?}");
    stored.extend(append(&tier, 5..9).unwrap());
    assert!(shards_on(&tier, 3).is_empty());
    assert_all_read(&tier, &stored, "drained");
}

#[test]
fn a_drain_without_room_keeps_everything_and_completes_when_there_is_room() {
    let filled = filled("4+2", 0);
    let (tier, _) = filled.rig.open();
    let mut drain = Drain::new(volume(5), 5);
    let steps = drain_all(&mut drain, &tier);
    assert!(
        steps
            .iter()
            .all(|step| matches!(step, DrainStep::Kept { why: Error::Placement { .. } | Error::Unproven { .. }, .. })),
        "{steps:?}"
    );
    assert!(drain.left_bytes(&tier) > 0 && drain.done.released == 0);
    filled.assert_whole(&tier, "no room");
    let media = MemoryMedia::new("v06");
    let label = VolumeLabel::new(volume(6), TierKind::Hot, MediaClass::Ssd, 0);
    tier.attach(Volume::create(Arc::new(media), label).unwrap()).unwrap();
    let mut drain = Drain::new(volume(5), 6);
    drain_all(&mut drain, &tier);
    assert!(drain.left_bytes(&tier) == 0 && filled.rig.shards(5).is_empty());
    assert_all_read(&tier, &filled.stored, "room at last");
}

#[test]
fn a_drain_whose_cursor_is_lost_at_any_step_ends_the_same() {
    let steps = {
        let filled = filled("4+2", 1);
        let (tier, _) = filled.rig.open();
        drain_all(&mut Drain::new(volume(2), 5), &tier).len()
    };
    for done in 0..=steps {
        for stored in [true, false] {
            let filled = filled("4+2", 1);
            let (tier, _) = filled.rig.open();
            let mut drain = Drain::new(volume(2), 5);
            (0..done).for_each(|_| drop(drain.step(&tier, &Unpaced).unwrap()));
            let bytes = drain.encode();
            drop(tier);
            let (tier, _) = filled.rig.open();
            let mut drain = if stored { Drain::decode(&bytes).unwrap() } else { Drain::new(volume(2), 9) };
            drain_all(&mut drain, &tier);
            assert!(filled.rig.shards(2).is_empty(), "after {done} steps, cursor kept {stored}");
            filled.assert_whole(&tier, &format!("after {done} steps, cursor kept {stored}"));
        }
    }
}

#[test]
fn a_stale_copy_on_another_volume_is_never_taken_for_the_moved_one() {
    let filled = filled("4+2", 1);
    let (tier, _) = filled.rig.open();
    let shard = shards_on(&tier, 0)[0];
    drop(tier);
    let stale = filled.shards[&path(shard)][..8192].to_vec();
    let media = &filled.rig.media[6];
    media.make_dir(path(shard).rsplit_once('/').unwrap().0).unwrap();
    media.create(&path(shard), WriteUnit::Bytes).unwrap().write_at(0, &stale).unwrap();
    let (tier, _) = filled.rig.open();
    let mut drain = Drain::new(volume(0), 5);
    drain_all(&mut drain, &tier);
    // there is nowhere but the volume of the stale copy to go
    assert!(
        filled.rig.media[0].image().contains_key(&path(shard))
            || media.image()[&path(shard)] == filled.shards[&path(shard)]
    );
    assert_all_read(&tier, &filled.stored, "with a stale copy about");
    tier.check_segment(shard.segment);
}

/// Drains volume 2 until it ends or something fails for good.
fn drain_through(filled: &Filled, faults: &Arc<Faults>) {
    if let Ok((tier, _)) = filled.rig.open_through(faults) {
        let mut drain = Drain::new(volume(2), 5);
        while let Ok(Some(_)) = drain.step(&tier, &Unpaced) {
            if drain.done.kept > 10 {
                break;
            }
        }
    }
}

fn calls_of_a_drain() -> u64 {
    let (filled, faults) = (filled("4+2", 2), Arc::new(Faults::default()));
    drain_through(&filled, &faults);
    assert!(filled.rig.shards(2).is_empty());
    faults.calls()
}

/// After whatever happened: nothing lost, no less redundancy, nothing unfinished trusted, and a new drain completes.
fn assert_completes(filled: &Filled, what: &str) {
    let (tier, findings) = filled.rig.open();
    assert!(findings.iter().all(|finding| finding.severity() == Severity::Note), "{what}: {findings:?}");
    filled.assert_whole(&tier, what);
    drain_all(&mut Drain::new(volume(2), 9), &tier);
    assert!(filled.rig.shards(2).is_empty(), "{what}: not empty");
    filled.assert_whole(&tier, &format!("{what}, completed"));
    drop(tier);
    let (tier, findings) = filled.rig.open_without(&[2]).unwrap();
    // a copy that was finished and not used, because its volume failed in the last moment, is a spare one
    assert!(findings.iter().all(|finding| finding.defect == Defect::ShardTwice), "{what}: {findings:?}");
    filled.assert_whole(&tier, &format!("{what}, without the volume"));
}

#[test]
fn killed_at_any_call_of_a_drain_nothing_is_lost_and_the_next_one_completes() {
    let calls = calls_of_a_drain();
    assert!(calls > 100, "only {calls} calls");
    for call in 0..calls {
        for (power_cut, keep) in [(true, 1000), (false, 5000)] {
            let (filled, faults) = (filled("4+2", 2), Arc::new(Faults::default()));
            faults.kill_at(call, keep);
            drain_through(&filled, &faults);
            if power_cut {
                filled.rig.crash(call * 3);
            }
            assert_completes(&filled, &format!("killed at call {call}, power cut {power_cut}"));
        }
    }
}

#[test]
fn one_failed_call_of_any_kind_during_a_drain_loses_nothing() {
    let kinds = [
        Fault::Fail(std::io::ErrorKind::Other),
        Fault::DoneAndFail(std::io::ErrorKind::Other),
        Fault::Fail(std::io::ErrorKind::StorageFull),
        Fault::Torn { keep: 1500, kind: std::io::ErrorKind::Other },
        Fault::Flip { at: 4321, mask: 2 },
        Fault::ShortRead { keep: 999 },
    ];
    for fault in kinds {
        for call in 0..calls_of_a_drain() {
            let (filled, faults) = (filled("4+2", 2), Arc::new(Faults::default()));
            faults.at(call, fault);
            drain_through(&filled, &faults);
            filled.rig.crash(call);
            assert_completes(&filled, &format!("{fault:?} at call {call}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_volume_is_drained_whatever_m_shards_of_each_stripe_look_like(
        drained in 0usize..6, damaged in prop::collection::vec((0usize..6, 0usize..60_000), 0..12), stop in 0usize..12,
    ) {
        let filled = filled("4+2", 2);
        let (tier, _) = filled.rig.open();
        let bad: BTreeSet<usize> = damaged.iter().map(|(no, _)| *no).take(2).collect();
        for (no, at) in damaged.iter().filter(|(no, _)| bad.contains(no)) {
            for shard in shards_on(&tier, *no) {
                let len = filled.shards[&path(shard)].len();
                filled.damage(*no, shard, at % len);
            }
        }
        let mut drain = Drain::new(volume(drained), 5);
        for _ in 0..stop {
            drain.step(&tier, &Unpaced).unwrap();
        }
        drop(tier);
        let (tier, _) = filled.rig.open();
        drain_all(&mut Drain::new(volume(drained), 5), &tier);
        prop_assert!(filled.rig.shards(drained).is_empty());
        assert_all_read(&tier, &filled.stored, "drained");
        for segment in tier.segments() {
            tier.check_segment(segment.id);
        }
        while tier.repair_next(&Unpaced).unwrap().is_some() {}
        filled.assert_whole(&tier, "drained and repaired");
    }
}
