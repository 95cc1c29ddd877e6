//! Level: a volume that was added gets its share when somebody asks, and only then. Killed at any call, nothing is lost and the
//! next run completes it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{Rig, Stored, append, assert_all_read, volume_no};
use shosoin_protocol::VolumeId;
use shosoin_tiers::media::Faults;
use shosoin_tiers::{DrainStep, Error, Level, Threads, Tier, Unpaced};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The volume that is added.
const ADDED: usize = 6;

fn id(no: usize) -> VolumeId {
    VolumeId([u8::try_from(no).unwrap() + 1; 16])
}

/// Segments of about the same size on six volumes, and an empty one.
fn filled() -> (Rig, Vec<Stored>) {
    let mut rig = Rig::new("4+2", 1);
    rig.options.threads = Threads::None;
    rig.options.segment_bytes_max = 1;
    let (tier, _) = rig.open_without(&[ADDED]).unwrap();
    let stored = (0..10).flat_map(|no| append(&tier, 7 * no..7 * no + 7).unwrap()).collect();
    tier.close().unwrap();
    assert_eq!(tier.segments().len(), 10);
    (rig, stored)
}

fn used(tier: &Tier, no: usize) -> u64 {
    tier.shards_on(id(no)).iter().map(|on| on.len_bytes).sum()
}

fn run(tier: &Tier) -> Vec<DrainStep> {
    let (mut level, mut steps) = (Level::new(id(ADDED)), Vec::new());
    while let Some(step) = level.step(tier, &Unpaced).unwrap() {
        steps.push(step);
        assert!(steps.len() < 100, "it never ends");
    }
    steps
}

/// Every shard is on exactly one volume, no two of a segment on the same, and everything reads.
#[track_caller]
fn assert_sound(tier: &Tier, stored: &[Stored], what: &str) {
    for segment in tier.segments() {
        let on: BTreeSet<usize> = segment.shards.iter().map(|volume| volume_no(volume.unwrap())).collect();
        assert_eq!(on.len(), 6, "{what}");
        assert_eq!(tier.check_segment(segment.id), [], "{what}");
    }
    let copies: usize = (0..=ADDED).map(|no| tier.shards_on(id(no)).len()).sum();
    assert_eq!(copies, 60, "{what}: a copy too many");
    assert_all_read(tier, stored, what);
}

#[test]
fn a_volume_that_is_added_stays_empty_until_somebody_asks_and_then_gets_its_share() {
    let (rig, stored) = filled();
    let (tier, _) = rig.open();
    assert_eq!(used(&tier, ADDED), 0, "nobody asked");
    let left = Level::new(id(ADDED)).left_bytes(&tier).unwrap();
    let steps = run(&tier);
    let copied = steps.iter().filter(|step| matches!(step, DrainStep::Copied(_))).count();
    let released = steps.iter().filter(|step| matches!(step, DrainStep::Released { .. })).count();
    assert!(copied == released && copied == 8 && steps.len() == 16, "{steps:?}");
    let share = (0..=ADDED).map(|no| used(&tier, no)).sum::<u64>() / 7;
    assert!(used(&tier, ADDED) <= share && used(&tier, ADDED) > share * 4 / 5 && left == share, "{left} of {share}");
    assert_sound(&tier, &stored, "level");
    assert!(run(&tier).is_empty(), "nothing is left to do");
    drop(tier);
    assert_sound(&rig.open().0, &stored, "reopened");
}

#[test]
fn nothing_comes_from_volumes_that_take_no_writes_and_an_unknown_volume_is_refused() {
    let (rig, stored) = filled();
    (0..6).for_each(|no| rig.media[no].set_read_only(true));
    let (tier, _) = rig.open();
    assert!(run(&tier).is_empty());
    assert_sound(&tier, &stored, "as it was");
    let unknown = Level::new(VolumeId([99; 16])).step(&tier, &Unpaced);
    assert!(matches!(unknown, Err(Error::VolumeUnknown { .. })));
}

#[test]
fn a_shard_whose_new_copy_is_damaged_keeps_its_old_one() {
    let (rig, stored) = filled();
    let (tier, _) = rig.open();
    let mut level = Level::new(id(ADDED));
    let Some(DrainStep::Copied(copied)) = level.step(&tier, &Unpaced).unwrap() else { panic!("nothing was copied") };
    let path = rig.shards(ADDED).remove(0);
    rig.media[ADDED].tamper(&path, |bytes| bytes[2000] ^= 1).unwrap();
    let Some(DrainStep::Kept { shard, why }) = level.step(&tier, &Unpaced).unwrap() else { panic!("it was released") };
    assert!(shard == copied.shard && matches!(why, Error::Unproven { .. }), "{why}");
    assert!(tier.shards_on(copied.from).iter().any(|on| on.shard == shard));
    assert_all_read(&tier, &stored, "both are there");
}

#[test]
fn killed_at_any_call_nothing_is_lost_and_the_next_run_completes_it() {
    let through = |rig: &Rig, faults: &Arc<Faults>| {
        if let Ok((tier, _)) = rig.open_through(faults) {
            let mut level = Level::new(id(ADDED));
            while let Ok(Some(_)) = level.step(&tier, &Unpaced) {}
        }
    };
    let (rig, _) = filled();
    let faults = Arc::new(Faults::default());
    through(&rig, &faults);
    let calls = faults.calls();
    assert!(calls > 400, "only {calls} calls");
    for call in (0..calls).step_by(3) {
        for (power_cut, keep) in [(true, 1000), (false, 5000)] {
            let what = format!("killed at call {call}, power cut {power_cut}");
            let (rig, stored) = filled();
            let faults = Arc::new(Faults::default());
            faults.kill_at(call, keep);
            through(&rig, &faults);
            if power_cut {
                rig.crash(call);
            }
            let (tier, _) = rig.open();
            assert_all_read(&tier, &stored, &what);
            let steps = run(&tier);
            assert!(!steps.iter().any(|step| matches!(step, DrainStep::Kept { .. })), "{what}: {steps:?}");
            tier.sweep(&Unpaced).unwrap();
            assert_sound(&tier, &stored, &what);
        }
    }
}
