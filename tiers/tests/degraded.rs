//! Degraded life: volumes that are slow, vanish, come back, are older images of themselves, or exist twice. Service goes
//! on while the code allows, the state shows, and nothing that comes back is trusted blindly.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{HOSPITAL, Rig, SUITE, Stored, append, assert_all_read};
use parking_lot::{Condvar, Mutex};
use shosoin_protocol::{RecordKind, VolumeId};
use shosoin_tiers::clock::{ManualClock, SeededRandom};
use shosoin_tiers::media::{Call, Fault, Faults, FaultyMedia, FileMedia, FileOptions, Hook, Hooked, MemoryMedia, Op};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{
    Defect, Error, Finding, Media, Record, ShardRef, Threads, Tier, TierOptions, Tour, Unpaced, Volume, VolumeLabel,
    VolumeState,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the tests wait for a volume. Whatever hangs here hangs until it is let go, and nothing else takes nearly as long.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Lets calls through, or holds those of a kind on one volume until they are let go.
#[derive(Debug, Default)]
struct Gate {
    held: Mutex<Option<(String, Vec<Op>)>>,
    changed: Condvar,
    waiting: Mutex<u32>,
}

impl Gate {
    fn hold(&self, place: String, ops: &[Op]) {
        *self.held.lock() = Some((place, ops.to_vec()));
    }

    fn let_go(&self) {
        *self.held.lock() = None;
        self.changed.notify_all();
        let mut waiting = self.waiting.lock();
        while *waiting > 0 {
            self.changed.wait(&mut waiting);
        }
    }
}

impl Hook for Gate {
    fn before(&self, call: &Call) -> Option<Fault> {
        let mut held = self.held.lock();
        let is_held = |held: &Option<(String, Vec<Op>)>| {
            let shards = call.path.ends_with(".shard") || call.op == Op::Space;
            held.as_ref().is_some_and(|(place, ops)| shards && *place == call.place && ops.contains(&call.op))
        };
        if !is_held(&held) {
            return None;
        }
        *self.waiting.lock() += 1;
        while is_held(&held) {
            self.changed.wait(&mut held);
        }
        drop(held);
        *self.waiting.lock() -= 1;
        self.changed.notify_all();
        None
    }
}

/// A tier behind a gate.
fn gated(code: &str, spare: usize) -> (Rig, Arc<Gate>, Tier) {
    let mut rig = Rig::new(code, spare);
    rig.options.wait_max = WAIT_MAX;
    let gate = Arc::new(Gate::default());
    let (tier, _) = open_behind(&rig, &gate);
    (rig, gate, tier)
}

fn open_behind(rig: &Rig, gate: &Arc<Gate>) -> (Tier, Vec<Finding>) {
    let hooked = |media: &MemoryMedia| Hooked::new(Arc::new(media.clone()), gate.clone());
    let volumes = rig.media.iter().map(|media| Volume::open(Arc::new(hooked(media))).unwrap()).collect();
    open(volumes, rig.options.clone())
}

fn open(volumes: Vec<Volume>, options: TierOptions) -> (Tier, Vec<Finding>) {
    Tier::open(volumes, options, Arc::new(ManualClock::new(1_000)), Arc::new(SeededRandom::new(7))).unwrap()
}

fn volume(no: usize) -> VolumeId {
    VolumeId([u8::try_from(no + 1).unwrap(); 16])
}

fn place(no: usize) -> String {
    format!("v{no:02}")
}

fn state(tier: &Tier, no: usize) -> VolumeState {
    tier.volumes().into_iter().find(|status| status.id == volume(no)).unwrap().state
}

/// What the tours of all volumes find.
fn tours(tier: &Tier) -> Vec<Finding> {
    let volumes = tier.volumes().into_iter();
    volumes.flat_map(|status| tour(tier, status.id)).collect()
}

fn tour(tier: &Tier, volume: VolumeId) -> Vec<Finding> {
    let (mut tour, mut findings) = (Tour::new(volume, 0), Vec::new());
    while let Some(found) = tour.step(tier, &Unpaced).unwrap() {
        findings.extend(found);
    }
    findings
}

/// A record of this many bytes that no other number gives.
fn large(no: u8, len: usize) -> Record {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[no]).finalize_xof().fill(&mut bytes);
    Record { kind: RecordKind::Chunk, address: SUITE.address(&bytes), bytes: bytes.into() }
}

fn append_large(tier: &Tier, no: u8, len: usize) -> Stored {
    let record = large(no, len);
    let location = tier.append(HOSPITAL, SUITE, std::slice::from_ref(&record)).unwrap().locations[0];
    Stored { record, location }
}

#[test]
fn a_volume_that_hangs_in_a_write_or_sync_costs_one_wait_and_the_stripe_goes_elsewhere() {
    for op in [Op::Write, Op::Sync, Op::Create] {
        let (rig, gate, tier) = gated("4+2", 1);
        let mut stored = append(&tier, 0..5).unwrap();
        let hung = usize::from(tier.segments()[0].shards[1].unwrap().0[0]) - 1;
        gate.hold(place(hung), &[op]);
        // what holds the volume up is still there when these return: they were acknowledged without it
        let mut no = 5;
        while state(&tier, hung) != VolumeState::Suspect {
            assert!(no < 30, "no segment is begun on it");
            if op == Op::Create {
                tier.close().unwrap();
            }
            stored.extend(append(&tier, no..no + 3).unwrap());
            no += 3;
        }
        let acknowledged = stored.last().unwrap().location.segment;
        let segments = tier.segments();
        let info = segments.iter().find(|info| info.id == acknowledged).unwrap();
        assert!(!info.shards.contains(&Some(volume(hung))), "{op:?}");
        assert_all_read(&tier, &stored, "while it hangs");
        gate.let_go();
        tier.close().unwrap();
        assert_all_read(&tier, &stored, "after the late call");
        drop(tier);
        // the late one may be the one that is kept when others are lost
        for lost in (0..7).filter(|no| *no != hung) {
            let (tier, _) = rig.open_without(&[lost]).unwrap();
            assert_all_read(&tier, &stored, &format!("{op:?}, without {lost}"));
        }
    }
}

#[test]
fn a_late_write_is_found_by_a_tour_and_never_read_as_a_record() {
    let (rig, gate, tier) = gated("1+2", 1);
    let before = append(&tier, 0..3).unwrap();
    let info = tier.segments().remove(0);
    let hung = usize::from(info.shards[0].unwrap().0[0]) - 1;
    gate.hold(place(hung), &[Op::Write]);
    let after = append(&tier, 3..6).unwrap();
    let abandoned = tier.segments().into_iter().find(|segment| segment.id == info.id).unwrap();
    assert_eq!((abandoned.stripes, abandoned.records), (1, 3), "the stripe counts where it was written whole");
    let len = || rig.media[hung].image()[&rig.shards(hung)[0]].len() as u64;
    assert_eq!(len(), info.end);
    gate.let_go();
    while len() == info.end {
        std::thread::yield_now(); // the late write has been let go and comes
    }
    drop(tier);
    let (tier, met) = open_behind(&rig, &gate);
    let at_fault = |finding: &&Finding| finding.place.volume == Some(volume(hung));
    assert!(met.iter().any(|finding| at_fault(&finding)), "{met:?}");
    assert!(tours(&tier).iter().any(|finding| at_fault(&finding)));
    assert_all_read(&tier, &[before, after].concat(), "after the late write");
    let listed: u32 = tier.segments().iter().map(|segment| segment.records).sum();
    assert_eq!(listed, 6, "no record is there twice");
}

#[test]
fn a_volume_that_still_owes_a_write_is_not_taken_back_before_it_came() {
    let (rig, gate, tier) = gated("1+2", 1);
    append(&tier, 0..1).unwrap();
    let hung = usize::from(tier.segments()[0].shards[2].unwrap().0[0]) - 1;
    gate.hold(place(hung), &[Op::Sync]);
    append(&tier, 1..2).unwrap();
    assert_eq!(state(&tier, hung), VolumeState::Suspect);
    tier.detach(volume(hung)).unwrap();
    let again = || Volume::open(Arc::new(rig.media[hung].clone())).unwrap();
    assert!(matches!(tier.attach(again()), Err(Error::VolumeBusy { .. })));
    gate.let_go();
    while matches!(tier.attach(again()), Err(Error::VolumeBusy { .. })) {
        std::thread::yield_now(); // its thread has been let go and ends what it does
    }
    assert_eq!(state(&tier, hung), VolumeState::Writable);
}

#[test]
fn a_volume_that_hangs_in_a_large_read_costs_one_wait_and_is_read_again_when_it_answers() {
    let (_rig, gate, tier) = gated("4+2", 0);
    let stored = append_large(&tier, 1, 4 << 20);
    tier.close().unwrap();
    let hung = usize::from(tier.segments()[0].shards[2].unwrap().0[0]) - 1;
    gate.hold(place(hung), &[Op::ReadPastCache]);
    assert_all_read(&tier, std::slice::from_ref(&stored), "while it hangs");
    assert_eq!(state(&tier, hung), VolumeState::Away);
    assert_eq!(tier.counters().rebuilt_reads, 1);
    let mut tour = Tour::new(volume(hung), 0);
    assert!(matches!(tour.step(&tier, &Unpaced), Err(Error::VolumeAway { .. })), "not damage of all its shards");
    gate.let_go();
    while state(&tier, hung) == VolumeState::Away {
        std::thread::yield_now(); // its thread has been let go and ends what it does
    }
    assert_eq!(tour.step(&tier, &Unpaced).unwrap(), Some(Vec::new()));
    assert_eq!(state(&tier, hung), VolumeState::Writable);
}

#[test]
fn a_volume_that_hangs_in_a_small_read_or_in_opening_a_file_costs_one_wait_and_is_read_again_when_it_answers() {
    for op in [Op::Read, Op::Open] {
        let (rig, gate, tier) = gated("4+2", 0);
        let stored: Vec<Stored> = (1..=3).map(|no| append_large(&tier, no, 900)).collect();
        tier.close().unwrap();
        drop(tier);
        let (tier, _) = open_behind(&rig, &gate);
        let hung = usize::from(tier.segments()[0].shards[0].unwrap().0[0]) - 1;
        gate.hold(place(hung), &[op, Op::ReadPastCache]);
        let begun = std::time::Instant::now();
        assert_all_read(&tier, &stored, "while it hangs");
        assert!(begun.elapsed() < 3 * WAIT_MAX, "{op:?}: one wait, and not one for each record");
        assert_eq!(state(&tier, hung), VolumeState::Away, "{op:?}");
        gate.let_go();
        while state(&tier, hung) == VolumeState::Away {
            std::thread::yield_now(); // its thread has been let go and ends what it does
        }
        assert_all_read(&tier, &stored, "when it answers again");
    }
}

#[test]
fn a_volume_that_hangs_when_its_room_is_asked_for_costs_one_wait_and_segments_begin_elsewhere() {
    let (_rig, gate, tier) = gated("4+2", 1);
    gate.hold(place(2), &[Op::Space]);
    let begun = std::time::Instant::now();
    assert!(tier.volumes().iter().filter(|status| status.free_bytes.is_none()).map(|status| status.id).eq([volume(2)]));
    let stored: Vec<Stored> = (1..=3).map(|no| append_large(&tier, no, 900)).collect();
    assert!(begun.elapsed() < 3 * WAIT_MAX, "one wait, and not one for each look");
    assert_eq!(state(&tier, 2), VolumeState::Away);
    assert!(tier.segments().iter().all(|segment| !segment.shards.contains(&Some(volume(2)))));
    assert_all_read(&tier, &stored, "while it hangs");
    gate.let_go();
    while state(&tier, 2) == VolumeState::Away {
        std::thread::yield_now(); // its thread has been let go and ends what it does
    }
    assert!(tier.volumes().iter().all(|status| status.free_bytes.is_some()), "it answers again");
}

#[test]
fn a_volume_that_hangs_in_a_removal_costs_one_wait_and_the_proof_can_be_given_again() {
    let (_rig, gate, tier) = gated("4+2", 1);
    let stored = append_large(&tier, 1, 4 << 20);
    tier.close().unwrap();
    let info = tier.segments()[0].clone();
    let from = info.shards[0].unwrap();
    let shard = ShardRef { hospital: HOSPITAL, segment: info.id, shard: 0 };
    tier.copy_away(shard, from, None, &Unpaced).unwrap();
    let proof = tier.verify_other_copy(shard, from, &Unpaced).unwrap();
    gate.hold(place(usize::from(from.0[0]) - 1), &[Op::Remove]);
    assert!(matches!(tier.release_copy(shard, from, proof), Err(Error::Slow { .. })));
    assert_eq!(state(&tier, usize::from(from.0[0]) - 1), VolumeState::Suspect);
    assert_eq!(tier.sweep(&Unpaced).unwrap(), 0, "a sweep passes it over");
    assert_all_read(&tier, std::slice::from_ref(&stored), "while it hangs");
    gate.let_go();
    assert_all_read(&tier, std::slice::from_ref(&stored), "afterwards");
}

#[test]
fn a_tour_of_a_volume_that_hangs_ends_in_time_and_goes_on_later() {
    let (_rig, gate, tier) = gated("1+1", 0);
    let stored = append_large(&tier, 1, 5 << 20);
    tier.close().unwrap();
    gate.hold(place(0), &[Op::ReadPastCache]);
    let mut tour = Tour::new(volume(0), 0);
    assert!(matches!(tour.step(&tier, &Unpaced), Err(Error::Slow { .. })));
    assert!(matches!(tour.step(&tier, &Unpaced), Err(Error::VolumeAway { .. })));
    assert_eq!((tour.after, tier.repairs_waiting()), (None, 0));
    assert_all_read(&tier, &[stored], "from the other copy");
    gate.let_go();
    while let Err(Error::VolumeAway { .. }) = tour.step(&tier, &Unpaced) {
        std::thread::yield_now();
    }
    assert_eq!(tour.done.shards, 1);
}

/// Moves the clock when a volume is written to.
#[derive(Debug)]
struct Sluggish {
    clock: Arc<ManualClock>,
    place: String,
}

impl Hook for Sluggish {
    fn before(&self, call: &Call) -> Option<Fault> {
        if call.place == self.place && call.op == Op::Sync && call.path.ends_with(".shard") {
            self.clock.advance(31_000);
        }
        None
    }
}

#[test]
fn without_threads_the_injected_clock_says_which_volume_is_slow() {
    let mut rig = Rig::new("1+2", 1);
    rig.options.threads = Threads::None;
    let clock = Arc::new(ManualClock::new(1_000));
    let hook = Arc::new(Sluggish { clock: clock.clone(), place: place(0) });
    let hooked = |media: &MemoryMedia| Hooked::new(Arc::new(media.clone()), hook.clone());
    let volumes = rig.media.iter().map(|media| Volume::open(Arc::new(hooked(media))).unwrap()).collect();
    let (tier, _) = Tier::open(volumes, rig.options.clone(), clock, Arc::new(SeededRandom::new(7))).unwrap();
    let mut stored = Vec::new();
    for no in 0..8 {
        stored.extend(append(&tier, no..no + 1).unwrap());
        tier.close().unwrap();
    }
    assert_eq!(state(&tier, 0), VolumeState::Suspect);
    assert!(tier.segments().iter().filter(|info| info.records > 0).all(|info| !info.shards.contains(&Some(volume(0)))));
    assert_all_read(&tier, &stored, "after a slow sync");
}

/// Volumes in folders, closed segments on them, and an open one.
fn on_files(dir: &Path, code: &str, spare: usize) -> (Tier, Vec<Stored>) {
    let options = TierOptions { demo: true, ..TierOptions::new(code.parse().unwrap()) };
    let create = |no: usize| {
        let root = dir.join(place(no));
        std::fs::create_dir(&root).unwrap();
        let media = FileMedia::open(&root, FileOptions::default()).unwrap();
        let label = VolumeLabel::new(volume(no), TierKind::Hot, MediaClass::Hdd, 0);
        Volume::create(Arc::new(media), label).unwrap()
    };
    let (tier, _) = open((0..options.code.shards() + spare).map(create).collect(), options);
    let mut stored = append(&tier, 0..5).unwrap();
    stored.push(append_large(&tier, 1, 2 << 20));
    tier.close().unwrap();
    stored.extend(append(&tier, 5..9).unwrap());
    (tier, stored)
}

fn reopen(root: &Path) -> Volume {
    Volume::open(Arc::new(FileMedia::open(root, FileOptions::default()).unwrap())).unwrap()
}

#[test]
fn service_goes_on_without_a_volume_that_was_pulled_and_with_it_when_it_is_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let (tier, mut stored) = on_files(dir.path(), "1+2", 1);
    let pulled = usize::from(tier.segments()[0].shards[0].unwrap().0[0]) - 1;
    let (root, shelf) = (dir.path().join(place(pulled)), dir.path().join("shelf"));
    std::fs::rename(&root, &shelf).unwrap();
    let looked: BTreeMap<_, _> = tier.look_at_volumes().into_iter().collect();
    assert_eq!(looked.values().filter(|state| **state == VolumeState::Away).count(), 1);
    assert_eq!(looked[&volume(pulled)], VolumeState::Away);
    assert_all_read(&tier, &stored, "without it");
    stored.extend(append(&tier, 9..12).unwrap());
    assert_all_read(&tier, &stored, "written without it");
    let mut tour = Tour::new(volume(pulled), 0);
    assert!(tour.step(&tier, &Unpaced).is_err() && tour.after.is_none());
    // an empty folder in its place, as a mount point is without its mount
    std::fs::create_dir(&root).unwrap();
    assert_eq!(tier.look_at_volumes().into_iter().filter(|(_, state)| *state == VolumeState::Away).count(), 1);
    assert!(matches!(tour.step(&tier, &Unpaced), Err(Error::VolumeAway { .. })), "not a volume without shards");
    std::fs::remove_dir(&root).unwrap();
    std::fs::rename(&shelf, &root).unwrap();
    assert!(tier.look_at_volumes().into_iter().all(|(_, state)| state != VolumeState::Away));
    assert_all_read(&tier, &stored, "with it");
    assert!(tour.step(&tier, &Unpaced).unwrap().is_some());
}

#[test]
fn a_read_that_finds_the_volume_gone_says_so_before_anybody_looks() {
    let dir = tempfile::tempdir().unwrap();
    let (tier, stored) = on_files(dir.path(), "1+2", 0);
    let pulled = usize::from(tier.segments()[0].shards[0].unwrap().0[0]) - 1;
    tier.close().unwrap();
    drop(tier);
    let volumes = (0..3).map(|no| reopen(&dir.path().join(place(no)))).collect();
    let (tier, _) = open(volumes, TierOptions { demo: true, ..TierOptions::new("1+2".parse().unwrap()) });
    std::fs::rename(dir.path().join(place(pulled)), dir.path().join("shelf")).unwrap();
    assert_all_read(&tier, &stored, "without it"); // no file of it was open, so every read looks for it
    assert_eq!(state(&tier, pulled), VolumeState::Away);
}

#[test]
fn another_medium_in_the_place_of_a_volume_is_not_taken_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (tier, stored) = on_files(dir.path(), "1+2", 0);
    let root = dir.path().join(place(0));
    std::fs::rename(&root, dir.path().join("shelf")).unwrap();
    std::fs::create_dir(&root).unwrap();
    let media = FileMedia::open(&root, FileOptions { exclusive: false, ..FileOptions::default() }).unwrap();
    let other = VolumeLabel::new(VolumeId([0x77; 16]), TierKind::Hot, MediaClass::Hdd, 0);
    Volume::create(Arc::new(media), other).unwrap();
    tier.look_at_volumes();
    assert_eq!(state(&tier, 0), VolumeState::Away);
    assert_all_read(&tier, &stored, "without it");
}

#[test]
fn a_volume_whose_reads_fail_is_read_around_and_shows_its_errors() {
    let rig = Rig::new("4+2", 0);
    let (tier, _) = rig.open();
    let stored = append(&tier, 0..12).unwrap();
    tier.close().unwrap();
    drop(tier);
    let faults = Arc::new(Faults::default());
    let (tier, _) = rig.open_through(&faults).unwrap();
    // all of it, its label too: the medium is dead
    faults.when(|_, call| (call.place == "v03").then_some(Fault::Fail(std::io::ErrorKind::Other)));
    assert_all_read(&tier, &stored, "without it");
    assert_eq!(state(&tier, 3), VolumeState::Away);
    assert!(tier.volumes().iter().any(|status| status.id == volume(3) && status.read_errors > 0));
    faults.clear();
    tier.look_at_volumes();
    assert_eq!(state(&tier, 3), VolumeState::Writable);
}

#[test]
fn a_volume_whose_label_has_decayed_is_still_the_volume_that_it_was() {
    let rig = Rig::new("1+2", 0);
    let (tier, _) = rig.open();
    let stored = append(&tier, 0..5).unwrap();
    for path in ["label", "label.bak"] {
        rig.media[0].tamper(path, |bytes| bytes[30] ^= 1).unwrap();
    }
    tier.look_at_volumes();
    assert_eq!(state(&tier, 0), VolumeState::Writable);
    tier.relabel(volume(1), |_| {}).unwrap();
    assert!(
        tier.look_at_volumes().into_iter().all(|(_, state)| state != VolumeState::Away),
        "a newer label is its own"
    );
    assert_all_read(&tier, &stored, "with a damaged label");
}

#[test]
fn the_wrong_volume_pulled_and_put_back_leaves_the_tier_whole() {
    let rig = Rig::new("4+2", 1);
    let (tier, _) = rig.open();
    let mut stored = append(&tier, 0..12).unwrap();
    let pulled = usize::from(tier.segments()[0].shards[3].unwrap().0[0]) - 1;
    tier.detach(volume(pulled)).unwrap();
    stored.extend(append(&tier, 12..20).unwrap());
    tier.close().unwrap();
    assert_all_read(&tier, &stored, "without it");
    let met = tier.attach(Volume::open(Arc::new(rig.media[pulled].clone())).unwrap()).unwrap();
    assert_eq!(met, []);
    assert!(tier.segments().iter().all(|info| info.shards.iter().all(Option::is_some)));
    assert_eq!(tours(&tier), []);
    assert_all_read(&tier, &stored, "with it");
}

/// The content of every file of a medium, in another medium.
fn image_of(media: &MemoryMedia) -> MemoryMedia {
    let copy = MemoryMedia::new(&format!("image of {}", media.place()));
    copy.make_dir("segments").unwrap();
    for (path, bytes) in media.image() {
        copy.make_dir(shosoin_tiers::layout::parent(&path)).unwrap();
        copy.create(&path, shosoin_tiers::media::WriteUnit::Bytes).unwrap().write_at(0, &bytes).unwrap();
    }
    copy
}

#[test]
fn a_clone_of_a_volume_is_refused_beside_it_and_held_to_the_others_instead_of_it() {
    let rig = Rig::new("4+2", 0);
    let (tier, _) = rig.open();
    let mut stored = append(&tier, 0..5).unwrap();
    let clone = image_of(&rig.media[2]); // its segment is open and goes on
    stored.extend(append(&tier, 5..9).unwrap());
    tier.close().unwrap();
    let open_clone = || Volume::open(Arc::new(clone.clone())).unwrap();
    assert!(matches!(tier.attach(open_clone()), Err(Error::VolumeDuplicate { .. })));
    tier.detach(volume(2)).unwrap();
    let met = tier.attach(open_clone()).unwrap();
    let short = |finding: &Finding| matches!(finding.defect, Defect::ShardShort { .. });
    assert!(met.len() == 1 && short(&met[0]), "{met:?}");
    assert_eq!(met[0].place.volume, Some(volume(2)));
    let waiting = tier.take_repairs();
    assert_eq!(waiting.iter().filter(|item| item.stripe_at.is_none()).count(), 1, "{waiting:?}");
    assert_all_read(&tier, &stored, "with the clone");
    assert!(tour(&tier, volume(2)).iter().any(short));
}

#[test]
fn an_old_image_is_recognised_by_its_generation_and_by_what_it_lacks() {
    let rig = Rig::new("4+2", 0);
    let (tier, _) = rig.open();
    let mut stored = append(&tier, 0..5).unwrap();
    tier.close().unwrap();
    let old = image_of(&rig.media[4]); // one segment, closed and whole
    tier.relabel(volume(4), |label| label.lot = "b".into()).unwrap();
    stored.extend(append(&tier, 5..9).unwrap());
    tier.close().unwrap();
    tier.detach(volume(4)).unwrap();
    let met = tier.attach(Volume::open(Arc::new(old.clone())).unwrap()).unwrap();
    let stale = Defect::VolumeStale { known: 2, found: 1 };
    assert_eq!(met, [Finding::new(shosoin_tiers::Place::volume(volume(4)), stale)]);
    let missing = tours(&tier);
    assert!(matches!(missing[..], [Finding { defect: Defect::ShardMissing, .. }]), "{missing:?}");
    assert_all_read(&tier, &stored, "with the old image");
}

#[test]
fn on_an_old_image_a_shard_of_the_right_length_is_still_held_against_the_others() {
    let other = Rig::new("4+2", 0); // the same identities, other records
    let (tier, _) = other.open();
    append(&tier, 700..705).unwrap();
    tier.close().unwrap();
    let rig = Rig::new("4+2", 0);
    let (tier, _) = rig.open();
    let stored = append(&tier, 0..5).unwrap();
    tier.close().unwrap();
    assert_eq!(rig.shards(4), other.shards(4));
    tier.relabel(volume(4), |_| {}).unwrap();
    tier.detach(volume(4)).unwrap();
    let met = tier.attach(Volume::open(Arc::new(other.media[4].clone())).unwrap()).unwrap();
    assert!(matches!(met[..], [Finding { defect: Defect::FooterDamaged { .. }, .. }, _]), "{met:?}");
    assert_eq!(tier.repairs_waiting(), 1);
    assert_all_read(&tier, &stored, "with a shard of another time");
}

#[test]
fn a_copy_that_is_behind_does_not_take_the_place_of_one_that_is_not() {
    let rig = Rig::new("1+2", 1);
    let (tier, _) = rig.open();
    let stored = append(&tier, 0..5).unwrap();
    tier.close().unwrap();
    let info = tier.segments().remove(0);
    let on = usize::from(info.shards[0].unwrap().0[0]) - 1;
    let free = (0..4).find(|no| !info.shards.contains(&Some(volume(*no)))).unwrap();
    tier.detach(volume(free)).unwrap();
    let path = rig.shards(on).remove(0);
    let behind = rig.media[on].image()[&path][..4096].to_vec();
    rig.media[free].make_dir(shosoin_tiers::layout::parent(&path)).unwrap();
    let file = rig.media[free].create(&path, shosoin_tiers::media::WriteUnit::Bytes).unwrap();
    file.write_at(0, &behind).unwrap();
    let met = tier.attach(Volume::open(Arc::new(rig.media[free].clone())).unwrap()).unwrap();
    assert!(matches!(met[..], [Finding { defect: Defect::ShardShort { .. }, .. }]), "{met:?}");
    assert_eq!(tier.segments()[0].shards, info.shards, "the good copy stays in use");
    assert_eq!(tier.repairs_waiting(), 0, "no redundancy was lost");
    assert!(tier.shards_on(volume(free)).iter().all(|on| on.spare));
    assert_all_read(&tier, &stored, "with a spare that is behind");
}

#[test]
fn a_full_volume_is_left_out_and_reading_goes_on() {
    let code = "1+2";
    let rig = Rig::new(code, 1);
    let faults = Arc::new(Faults::default());
    let hooked = |media: &MemoryMedia| FaultyMedia::new(Arc::new(media.clone()), faults.clone());
    let volumes = rig.media.iter().map(|media| Volume::open(Arc::new(hooked(media))).unwrap()).collect();
    let (tier, _) = open(volumes, rig.options.clone());
    let mut stored = append(&tier, 0..3).unwrap();
    let full = tier.segments()[0].shards[1].unwrap();
    let at = place(usize::from(full.0[0]) - 1);
    faults.when(move |_, call| {
        let is_full = call.place == at && matches!(call.op, Op::Write | Op::Create);
        is_full.then_some(Fault::Fail(std::io::ErrorKind::StorageFull))
    });
    stored.extend(append(&tier, 3..9).unwrap());
    let newest = stored.last().unwrap().location.segment;
    let segments = tier.segments();
    assert!(!segments.iter().find(|info| info.id == newest).unwrap().shards.contains(&Some(full)));
    assert_all_read(&tier, &stored, "with a full volume");
}
