//! Whole tiers in memory: against a model, and against the rules that others' data loss taught.

use super::*;
use crate::clock::{ManualClock, SeededRandom};
use crate::layout::shard_path;
use crate::media::{Call, Fault, Faults, FaultyMedia, Media, MemoryMedia, Op, RecordedMedia, Recorder};
use crate::stripe::HEADER_LEN;
use crate::volume::{MediaClass, TierKind, VolumeLabel};
use crate::{Defect, Severity};
use proptest::prelude::*;
use std::io::ErrorKind;

const HOSPITAL: HospitalId = HospitalId([7; 16]);

/// Some memory media, labelled, and whatever stands between them and the tier.
struct Rig {
    media: Vec<MemoryMedia>,
    options: TierOptions,
    seed: u64,
}

impl Rig {
    fn new(code: &str, volumes: u8) -> Rig {
        let media: Vec<MemoryMedia> = (0..volumes).map(|no| MemoryMedia::new(&format!("v{no:02}"))).collect();
        for (no, medium) in (0..).zip(&media) {
            let label = VolumeLabel::new(VolumeId([no; 16]), TierKind::Hot, MediaClass::Ssd, 0);
            Volume::create(Arc::new(medium.clone()), label).unwrap();
        }
        let options = TierOptions { demo: true, ..TierOptions::new(Code::parse(code).unwrap()) };
        Rig { media, options, seed: 0 }
    }

    /// Opens the volumes for which `present` holds, each behind what `wrap` puts before it.
    fn open_with(
        &mut self,
        present: impl Fn(usize) -> bool,
        wrap: impl Fn(Arc<dyn Media>) -> Arc<dyn Media>,
    ) -> (Tier, Vec<Finding>) {
        self.seed += 1;
        let media = self.media.iter().enumerate().filter(|(no, _)| present(*no));
        let volumes = media.map(|(_, medium)| Volume::open(wrap(Arc::new(medium.clone()))).unwrap()).collect();
        let (clock, random) = (Arc::new(ManualClock::new(1_000)), Arc::new(SeededRandom::new(self.seed)));
        Tier::open(volumes, self.options.clone(), clock, random).unwrap()
    }

    fn open(&mut self) -> (Tier, Vec<Finding>) {
        self.open_with(|_| true, |medium| medium)
    }

    fn open_without(&mut self, absent: &[usize]) -> (Tier, Vec<Finding>) {
        self.open_with(|no| !absent.contains(&no), |medium| medium)
    }

    /// Changes the bytes of the shard on volume `volume`.
    fn tamper(&self, volume: usize, info: &SegmentInfo, change: impl FnOnce(&mut Vec<u8>)) {
        let shard = info.shards.iter().position(|id| *id == Some(VolumeId([u8::try_from(volume).unwrap(); 16])));
        let shard = u8::try_from(shard.unwrap()).unwrap();
        self.media[volume].tamper(&shard_path(info.hospital, info.id, shard), change).unwrap();
    }
}

fn record(suite: Suite, seed: u64, len: usize) -> Record {
    let mut bytes = vec![0; len];
    SeededRandom::new(seed).fill(&mut bytes).unwrap();
    Record { kind: RecordKind::Chunk, address: suite.address(&bytes), bytes: Bytes::from(bytes) }
}

fn records(suite: Suite, lens: &[usize]) -> Vec<Record> {
    (1u64..).zip(lens).map(|(seed, len)| record(suite, seed * 1_000_003 + *len as u64, *len)).collect()
}

fn assert_reads(tier: &Tier, suite: Suite, records: &[Record], locations: &[Location]) {
    for (record, at) in records.iter().zip(locations) {
        assert!(tier.peek(at, &record.address).unwrap());
        assert!(tier.read(suite, at, &record.address).unwrap() == record.bytes, "{at:?}");
    }
}

fn walk_all(tier: &Tier) -> Vec<Walked> {
    let mut walked = Vec::new();
    for info in tier.segments() {
        let end = tier.walk(info.id, 0, &mut |record| {
            walked.push(record);
            Ok(())
        });
        assert_eq!(end.unwrap(), info.end);
    }
    walked
}

fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(Finding::severity).max()
}

#[test]
fn records_of_every_code_and_suite_come_back_while_open_when_closed_and_after_a_stop() {
    for code in Code::ALLOWED {
        for suite in Suite::ALL {
            let mut rig = Rig::new(&code.to_string(), 14);
            let records = records(suite, &[0, 1, 4095, 5_000_000, 70_000]);
            let (tier, findings) = rig.open();
            assert_eq!(findings, []);
            let done = tier.append(HOSPITAL, suite, &records).unwrap();
            assert_eq!((done.durable.k, done.durable.m), code.bytes());
            assert_reads(&tier, suite, &records, &done.locations);
            drop(tier);
            let (tier, findings) = rig.open();
            assert!(matches!(findings[0].defect, Defect::SegmentRecovered { stripes: 1, records: 5 }), "{findings:?}");
            assert_reads(&tier, suite, &records, &done.locations);
            let more = tier.append(HOSPITAL, suite, &records).unwrap();
            tier.close().unwrap();
            drop(tier);
            let (tier, findings) = rig.open();
            assert_eq!(findings, []);
            assert_reads(&tier, suite, &records, &more.locations);
            assert_eq!(walk_all(&tier).len(), 10);
            assert!(tier.segments().iter().all(|info| tier.check_segment(info.id).is_empty()));
            assert_eq!(tier.take_repairs(), []);
            assert_eq!(tier.counters().rebuilt_reads, 0);
        }
    }
}

#[test]
fn many_small_records_share_one_stripe_and_one_sync_per_volume() {
    let mut rig = Rig::new("4+2", 6);
    let recorder = Arc::new(Recorder::default());
    let (tier, _) = rig.open_with(|_| true, |medium| Arc::new(RecordedMedia::new(medium, recorder.clone())));
    tier.append(HOSPITAL, Suite::Default, &records(Suite::Default, &[10])).unwrap(); // begins the segment
    recorder.take();
    let many = records(Suite::Default, &[700; 1000]);
    let done = tier.append(HOSPITAL, Suite::Default, &many).unwrap();
    let (calls, count) = (recorder.take(), |calls: &[Call], op| calls.iter().filter(|call| call.op == op).count());
    assert_eq!((count(&calls, Op::Write), count(&calls, Op::Sync), calls.len()), (6, 6, 12), "{calls:?}");
    assert!(done.locations.iter().all(|at| at.stripe_at == done.locations[0].stripe_at));
    let counters = tier.counters();
    assert_eq!((counters.stripes, counters.records, counters.syncs), (2, 1001, 12));
    tier.read(Suite::Default, &done.locations[500], &many[500].address).unwrap();
    let calls = recorder.take();
    assert!(count(&calls, Op::Read) <= 2 && count(&calls, Op::ReadPastCache) == 0, "{calls:?}");
}

#[test]
fn opening_a_closed_segment_reads_one_block_of_it() {
    let mut rig = Rig::new("4+2", 6);
    let (tier, _) = rig.open();
    tier.append(HOSPITAL, Suite::Default, &records(Suite::Default, &[1_000_000; 5])).unwrap();
    tier.close().unwrap();
    drop(tier);
    let recorder = Arc::new(Recorder::default());
    rig.open_with(|_| true, |medium| Arc::new(RecordedMedia::new(medium, recorder.clone())));
    let calls = recorder.take();
    let shards = calls.iter().filter(|call| call.path.ends_with(".shard"));
    let read: Vec<usize> =
        shards.filter(|call| matches!(call.op, Op::Read | Op::ReadPastCache)).map(|call| call.len_bytes).collect();
    assert_eq!(read, [4096]);
}

#[test]
fn after_a_failed_sync_the_group_is_written_elsewhere_and_the_volume_is_suspect() {
    for op in [Op::Write, Op::Sync, Op::Create, Op::SyncDir, Op::MakeDir] {
        for fault in [Fault::Fail(ErrorKind::Other), Fault::DoneAndFail(ErrorKind::Other)] {
            let mut rig = Rig::new("4+2", 7);
            let faults = Arc::new(Faults::default());
            let (tier, _) = rig.open_with(|_| true, |medium| Arc::new(FaultyMedia::new(medium, faults.clone())));
            let first = records(Suite::Default, &[5000, 6000]);
            let before = tier.append(HOSPITAL, Suite::Default, &first).unwrap();
            let creates = matches!(op, Op::Create | Op::SyncDir | Op::MakeDir);
            if creates {
                tier.close().unwrap(); // the next append begins a segment
            }
            let mut struck = false;
            faults.when(move |_, call| {
                let hit = call.op == op && (call.path.ends_with(".shard") || creates) && !struck;
                struck |= hit;
                hit.then_some(fault)
            });
            let second = records(Suite::Default, &[70, 80_000]);
            let after = tier.append(HOSPITAL, Suite::Default, &second).unwrap();
            let states: Vec<VolumeState> = tier.volumes().iter().map(|status| status.state).collect();
            let suspect = states.iter().position(|state| *state == VolumeState::Suspect).unwrap();
            assert_eq!(states.iter().filter(|state| **state == VolumeState::Suspect).count(), 1, "{op:?}");
            assert_ne!(before.locations[0].segment, after.locations[0].segment);
            let info = tier.segments().into_iter().find(|info| info.id == after.locations[0].segment).unwrap();
            assert!(!info.shards.contains(&Some(tier.volumes()[suspect].id)));
            assert_reads(&tier, Suite::Default, &first, &before.locations);
            assert_reads(&tier, Suite::Default, &second, &after.locations);
            let old = tier.segments().into_iter().find(|info| info.id == before.locations[0].segment).unwrap();
            assert_eq!((old.state, old.records), (SegmentState::Closed, 2));
            drop(tier);
            let (tier, findings) = rig.open();
            assert!(worst(&findings) <= Some(Severity::Degraded), "{findings:?}");
            assert_reads(&tier, Suite::Default, &first, &before.locations);
            assert_reads(&tier, Suite::Default, &second, &after.locations);
        }
    }
}

#[test]
fn a_call_that_failed_is_never_made_again_on_that_shard() {
    let mut rig = Rig::new("4+2", 7);
    let (faults, recorder) = (Arc::new(Faults::default()), Arc::new(Recorder::default()));
    let (tier, _) = rig.open_with(
        |_| true,
        |medium| {
            let recorded = Arc::new(RecordedMedia::new(medium, recorder.clone()));
            Arc::new(FaultyMedia::new(recorded, faults.clone()))
        },
    );
    tier.append(HOSPITAL, Suite::Default, &records(Suite::Default, &[5000])).unwrap();
    recorder.take();
    let mut place = None;
    faults.when(move |_, call| {
        let hit = call.op == Op::Sync && *place.get_or_insert(call.place.clone()) == call.place;
        hit.then_some(Fault::DoneAndFail(ErrorKind::Other))
    });
    tier.append(HOSPITAL, Suite::Default, &records(Suite::Default, &[6000])).unwrap();
    tier.close().unwrap();
    let suspect = tier.volumes().into_iter().find(|status| status.state == VolumeState::Suspect).unwrap();
    let calls = recorder.take();
    let on_suspect: Vec<Op> = calls.iter().filter(|call| call.place == suspect.place).map(|call| call.op).collect();
    assert_eq!(on_suspect.iter().filter(|op| op.changes()).copied().collect::<Vec<_>>(), [Op::Write, Op::Sync]);
}

#[test]
fn a_volume_that_became_suspect_is_written_to_by_no_other_segment_either() {
    let mut rig = Rig::new("4+2", 7);
    let (faults, recorder) = (Arc::new(Faults::default()), Arc::new(Recorder::default()));
    let (tier, _) = rig.open_with(
        |_| true,
        |medium| {
            let faulty = Arc::new(FaultyMedia::new(medium, faults.clone()));
            Arc::new(RecordedMedia::new(faulty, recorder.clone()))
        },
    );
    let other = HospitalId([0; 16]);
    let stored = records(Suite::Default, &[5000]);
    let before = tier.append(other, Suite::Default, &stored).unwrap();
    let shared = tier.segments()[0].shards[0].unwrap();
    let place = tier.volumes().into_iter().find(|status| status.id == shared).unwrap().place;
    let struck = place.clone();
    faults.when(move |_, call| {
        (call.place == struck && call.op != Op::Space && call.op.changes()).then_some(Fault::Fail(ErrorKind::Other))
    });
    for hospital in (1..10).map(|no| HospitalId([no; 16])) {
        tier.append(hospital, Suite::Default, &stored).unwrap(); // one of their segments meets the volume
    }
    assert_eq!(tier.volumes().iter().filter(|status| status.state == VolumeState::Suspect).count(), 1);
    recorder.take();
    let after = tier.append(other, Suite::Default, &stored).unwrap();
    assert!(recorder.take().iter().all(|call| call.place != place || !call.op.changes()));
    assert_ne!(before.locations[0].segment, after.locations[0].segment);
    assert_reads(&tier, Suite::Default, &stored, &before.locations);
    assert_reads(&tier, Suite::Default, &stored, &after.locations);
}

#[test]
fn with_too_few_writable_volumes_an_append_is_refused_and_everything_stays_readable() {
    let mut rig = Rig::new("4+2", 6);
    let faults = Arc::new(Faults::default());
    let (tier, _) = rig.open_with(|_| true, |medium| Arc::new(FaultyMedia::new(medium, faults.clone())));
    let stored = records(Suite::Default, &[5000, 4_000_000]);
    let done = tier.append(HOSPITAL, Suite::Default, &stored).unwrap();
    faults.when(|_, call| (call.place == "v03" && call.op == Op::Sync).then_some(Fault::Fail(ErrorKind::Other)));
    for _ in 0..2 {
        let refused = tier.append(HOSPITAL, Suite::Default, &records(Suite::Default, &[9]));
        assert!(matches!(refused, Err(Error::NoWritableMedia { needed: 6, writable: 5 })), "{refused:?}");
    }
    assert_reads(&tier, Suite::Default, &stored, &done.locations);
    assert_eq!(walk_all(&tier).len(), 2);
}

#[test]
fn a_full_volume_is_not_suspect_and_others_take_its_place() {
    let mut rig = Rig::new("1+1", 3);
    let mut label = VolumeLabel::new(VolumeId([9; 16]), TierKind::Hot, MediaClass::Ssd, 0);
    label.demo = true;
    let small = MemoryMedia::with_capacity("small", 24 * 1024 * 1024);
    Volume::create(Arc::new(small.clone()), label).unwrap();
    rig.media = vec![small, rig.media[0].clone(), rig.media[1].clone()];
    let (tier, _) = rig.open();
    let big = record(Suite::Default, 1, 6_000_000);
    let done: Vec<Committed> =
        (0..8).map(|_| tier.append(HOSPITAL, Suite::Default, std::slice::from_ref(&big)).unwrap()).collect();
    for done in &done {
        assert_reads(&tier, Suite::Default, std::slice::from_ref(&big), &done.locations);
    }
    let states: Vec<VolumeState> = tier.volumes().iter().map(|status| status.state).collect();
    assert!(!states.contains(&VolumeState::Suspect), "{states:?}");
}

#[test]
fn new_segments_are_never_placed_on_volumes_of_the_archive() {
    let mut rig = Rig::new("1+1", 2);
    let archive = MemoryMedia::new("archive");
    let mut label = VolumeLabel::new(VolumeId([9; 16]), TierKind::Archive, MediaClass::Cloud, 0);
    label.demo = true;
    Volume::create(Arc::new(archive.clone()), label).unwrap();
    rig.media.insert(0, archive.clone());
    let (tier, _) = rig.open();
    assert_eq!(tier.writable_volumes(), 2);
    tier.append(HOSPITAL, Suite::Default, &records(Suite::Default, &[5000])).unwrap();
    assert!(archive.paths().iter().all(|path| path.starts_with("label")));
    drop(tier);
    let (tier, _) = rig.open_without(&[1]);
    let error = tier.append(HOSPITAL, Suite::Default, &records(Suite::Default, &[5000])).unwrap_err();
    assert!(matches!(error, Error::NoWritableMedia { needed: 2, writable: 1 }), "{error}");
}

#[test]
fn a_recovered_segment_is_never_appended_to() {
    let mut rig = Rig::new("4+2", 6);
    let (tier, _) = rig.open();
    let first = records(Suite::Default, &[5000]);
    let before = tier.append(HOSPITAL, Suite::Default, &first).unwrap();
    drop(tier);
    let (tier, _) = rig.open();
    let info = tier.segments().remove(0);
    assert_eq!((info.state, info.stripes, info.records), (SegmentState::Closed, 1, 1));
    let after = tier.append(HOSPITAL, Suite::Default, &first).unwrap();
    assert_ne!(before.locations[0].segment, after.locations[0].segment);
    tier.close().unwrap();
    assert_eq!(tier.segments().iter().find(|other| other.id == info.id), Some(&info));
}

#[test]
fn damage_before_the_last_stripe_never_truncates() {
    let suite = Suite::Default;
    for damaged in 0..=4usize {
        for (what, from, count) in [("header", 0, 40), ("unit", HEADER_LEN, 40), ("both", 0, HEADER_LEN + 40)] {
            let mut rig = Rig::new("4+2", 6);
            let (tier, _) = rig.open();
            let groups: Vec<Vec<Record>> = (0..4).map(|no| records(suite, &[90_000 + no, 200, 3])).collect();
            let done: Vec<Committed> =
                groups.iter().map(|group| tier.append(HOSPITAL, suite, group).unwrap()).collect();
            let info = tier.segments().remove(0);
            drop(tier);
            let at = usize::try_from(done[1].locations[0].stripe_at).unwrap();
            for volume in 0..damaged {
                rig.tamper(volume, &info, |bytes| {
                    bytes[at + from..at + from + count].iter_mut().for_each(|byte| *byte ^= 0x55);
                });
            }
            let (tier, findings) = rig.open();
            for (no, (group, done)) in groups.iter().zip(&done).enumerate() {
                if no != 1 || damaged <= 2 || what == "header" {
                    assert_reads(&tier, suite, group, &done.locations);
                } else {
                    let lost = tier.read(suite, &done.locations[0], &group[0].address);
                    assert!(
                        matches!(lost, Err(Error::RecordUnreadable { needed: 4, .. })),
                        "{what} {damaged} {lost:?}"
                    );
                }
            }
            let state = tier.segments()[0].state;
            let expected = if damaged <= 2 || what == "header" { (4, 12) } else { (4, 9) };
            assert_eq!((tier.segments()[0].stripes, tier.segments()[0].records), expected, "{what} {damaged}");
            assert_eq!(walk_all(&tier).len(), expected.1 as usize);
            assert_eq!(state == SegmentState::Closed, expected.1 == 12, "a lost stripe is never closed over");
            assert_eq!(worst(&findings) == Some(Severity::Lost), expected.1 == 9, "{findings:?}");
        }
    }
}

#[test]
fn the_last_stripe_is_kept_with_k_good_units_and_else_set_aside_where_it_is() {
    let suite = Suite::Cryptrec;
    for torn in 0..=6 {
        let mut rig = Rig::new("4+2", 6);
        let (tier, _) = rig.open();
        let (first, last) = (records(suite, &[5000]), records(suite, &[60_000]));
        let first_done = tier.append(HOSPITAL, suite, &first).unwrap();
        let last_done = tier.append(HOSPITAL, suite, &last).unwrap();
        let info = tier.segments().remove(0);
        drop(tier);
        let at = usize::try_from(last_done.locations[0].stripe_at).unwrap();
        for volume in 0..torn {
            let keep = [0, 4096, 8192][volume % 3];
            rig.tamper(volume, &info, |bytes| bytes.truncate(at + keep));
        }
        let (tier, findings) = rig.open();
        assert_reads(&tier, suite, &first, &first_done.locations);
        let kept = torn <= 2;
        assert_eq!(tier.segments()[0].stripes, if kept { 2 } else { 1 }, "{torn}: {findings:?}");
        assert_eq!(tier.segments()[0].state, SegmentState::Closed);
        if kept {
            assert_reads(&tier, suite, &last, &last_done.locations);
            assert_eq!(tier.take_repairs().len(), torn);
        } else {
            let set_aside =
                findings.iter().find(|finding| matches!(finding.defect, Defect::StripeTorn { .. })).unwrap();
            assert_eq!(set_aside.place.offset, Some(at as u64));
            assert!(matches!(
                tier.read(suite, &last_done.locations[0], &last[0].address),
                Err(Error::RecordUnreadable { .. })
            ));
        }
        let survivors: Vec<usize> = (torn..6).collect();
        for volume in survivors {
            rig.tamper(volume, &info, |bytes| {
                assert_eq!(&bytes[at..at + 4], b"shsu", "the bytes that were set aside are still there");
            });
        }
        drop(tier);
        let (tier, findings) = rig.open();
        assert_eq!(tier.segments()[0].state, SegmentState::Closed);
        assert_eq!(findings, [], "what was closed once is not recovered again");
    }
}

#[test]
fn any_m_absent_volumes_lose_nothing_and_one_more_is_reported() {
    let suite = Suite::Default;
    for closed in [true, false] {
        let stored = records(suite, &[3_000_000, 100, 20_000]);
        let losses = (0..6usize).flat_map(|a| (a..6).flat_map(move |b| (b..6).map(move |c| [a, b, c])));
        for mut absent in losses.map(Vec::from) {
            absent.dedup();
            let mut rig = Rig::new("4+2", 6);
            let (tier, _) = rig.open();
            let done = tier.append(HOSPITAL, suite, &stored).unwrap();
            if closed {
                tier.close().unwrap();
            }
            drop(tier);
            let (tier, findings) = rig.open_without(&absent);
            assert_eq!(tier.segments()[0].shards.iter().filter(|shard| shard.is_none()).count(), absent.len());
            if absent.len() <= 2 {
                assert_reads(&tier, suite, &stored, &done.locations);
                assert_eq!(walk_all(&tier).len(), 3);
                assert_eq!(worst(&findings), Some(Severity::Degraded));
                assert!(tier.take_repairs().len() >= absent.len());
            } else {
                let lost = tier.read(suite, &done.locations[0], &stored[0].address);
                assert!(matches!(lost, Err(Error::RecordUnreadable { good: 3, needed: 4, .. })), "{lost:?}");
                assert_eq!(worst(&findings) == Some(Severity::Lost), !closed, "{findings:?}");
                assert!(
                    tier.check_segment(tier.segments()[0].id)
                        .iter()
                        .any(|finding| finding.severity() == Severity::Lost)
                );
            }
            drop(tier);
            let (tier, _) = rig.open();
            assert_reads(&tier, suite, &stored, &done.locations);
            assert_eq!(walk_all(&tier).len(), 3, "absent volumes that come back bring everything back");
        }
    }
}

#[test]
fn a_segment_with_its_footers_damaged_is_listed_by_its_stripes() {
    let suite = Suite::Default;
    for damaged in 1..=6 {
        let mut rig = Rig::new("4+2", 6);
        let (tier, _) = rig.open();
        let stored = records(suite, &[100, 200, 300]);
        let done = tier.append(HOSPITAL, suite, &stored).unwrap();
        tier.close().unwrap();
        let info = tier.segments().remove(0);
        for volume in 0..damaged {
            rig.tamper(volume, &info, |bytes| {
                let at = bytes.len() - 4000;
                bytes[at] ^= 1;
            });
        }
        assert_eq!(walk_all(&tier).len(), 3);
        let footers = |findings: &[Finding]| {
            findings.iter().filter(|finding| matches!(finding.defect, Defect::FooterDamaged { .. })).count()
        };
        assert_eq!(footers(&tier.check_segment(info.id)), damaged);
        drop(tier);
        let (tier, _) = rig.open();
        assert_eq!(tier.segments()[0].state, SegmentState::Closed);
        assert_reads(&tier, suite, &stored, &done.locations);
        assert_eq!(walk_all(&tier).len(), 3);
    }
}

#[test]
fn one_flipped_byte_anywhere_is_found_by_check_and_never_read() {
    let suite = Suite::Default;
    let mut rig = Rig::new("1+2", 3);
    let (tier, _) = rig.open();
    let stored = records(suite, &[50, 6000]);
    let done = tier.append(HOSPITAL, suite, &stored).unwrap();
    tier.close().unwrap();
    let info = tier.segments().remove(0);
    for shard in 0..3 {
        let mut len = 0;
        rig.tamper(shard, &info, |bytes| len = bytes.len());
        for at in 0..len {
            let flip = |rig: &Rig| rig.tamper(shard, &info, |bytes| bytes[at] ^= 4);
            flip(&rig);
            assert_reads(&tier, suite, &stored, &done.locations);
            assert_ne!(tier.check_segment(info.id), [], "byte {at} of {len} of shard {shard}");
            flip(&rig);
        }
    }
}

#[test]
fn a_wrong_location_is_an_error_and_never_wrong_bytes() {
    let suite = Suite::Default;
    let mut rig = Rig::new("4+2", 6);
    let (tier, _) = rig.open();
    let stored = records(suite, &[100, 20_000]);
    let done = tier.append(HOSPITAL, suite, &stored).unwrap();
    let (good, address) = (done.locations[1], stored[1].address);
    let wrong = [
        Location { segment: SegmentId([0; 16]), ..good },
        Location { stripe_at: 4096, ..good },
        Location { stripe_at: 1, ..good },
        Location { stripe_at: u64::MAX, ..good },
        Location { stripe_at: u64::MAX - 4095, ..good },
        Location { stripe_at: u64::MAX - 4095, payload_len: 30_000_000, at: 29_000_000, ..good },
        Location { payload_len: u32::MAX, ..good },
        Location { at: u32::MAX, ..good },
        Location { at: good.at + 1, ..good },
        Location { at: 0, ..good },
        Location { len: u32::MAX, ..good },
        Location { len: 5, ..good },
        done.locations[0],
    ];
    for at in wrong {
        assert!(tier.read(suite, &at, &address).is_err(), "{at:?}");
        assert!(!tier.peek(&at, &address).unwrap_or(false), "{at:?}");
    }
    assert!(tier.read(suite, &Location { payload_len: 100_000, ..good }, &address).is_err(), "units of another length");
    assert!(tier.read(Suite::Cryptrec, &good, &address).is_err());
    assert_reads(&tier, suite, &stored, &done.locations);
}

#[test]
fn every_hospital_and_suite_has_its_own_segments_however_many_there_are() {
    let mut rig = Rig::new("4+2", 6);
    let (tier, _) = rig.open();
    let mut stored = Vec::new();
    for round in 0..2u64 {
        for no in 0..20u8 {
            for suite in Suite::ALL {
                let records = vec![record(suite, round * 100 + u64::from(no), 500)];
                let done = tier.append(HospitalId([no; 16]), suite, &records).unwrap();
                stored.push((HospitalId([no; 16]), suite, records, done));
            }
        }
    }
    let open = tier.segments().iter().filter(|info| info.state == SegmentState::Open).count();
    assert_eq!(open, OPEN_SEGMENTS_MAX.get());
    tier.close().unwrap();
    drop(tier);
    let (tier, findings) = rig.open();
    assert_eq!(findings, []);
    for (hospital, suite, records, done) in &stored {
        assert_reads(&tier, *suite, records, &done.locations);
        let info = tier.segments_of(*hospital).into_iter().find(|info| info.id == done.locations[0].segment);
        assert_eq!(info.unwrap().suite, *suite);
    }
}

#[test]
fn a_segment_is_closed_when_it_is_full_and_the_next_one_begun() {
    let mut rig = Rig::new("4+2", 6);
    rig.options.segment_bytes_max = 200_000;
    let (tier, _) = rig.open();
    let stored = records(Suite::Default, &[60_000; 10]);
    let locations: Vec<Location> = stored
        .iter()
        .flat_map(|record| tier.append(HOSPITAL, Suite::Default, std::slice::from_ref(record)).unwrap().locations)
        .collect();
    let segments = tier.segments();
    assert_eq!(segments.len(), 3);
    assert_eq!(segments.iter().filter(|info| info.state == SegmentState::Closed).count(), 2);
    assert_reads(&tier, Suite::Default, &stored, &locations);
}

#[test]
fn a_walk_goes_on_where_it_stopped() {
    let mut rig = Rig::new("4+2", 6);
    let (tier, _) = rig.open();
    let stored = records(Suite::Default, &[10, 20, 30]);
    let mut end = 0;
    for record in &stored {
        let done = tier.append(HOSPITAL, Suite::Default, std::slice::from_ref(record)).unwrap();
        let mut met = Vec::new();
        let from = end;
        end = tier
            .walk(done.locations[0].segment, from, &mut |walked| {
                met.push((walked.address, walked.location));
                Ok(())
            })
            .unwrap();
        assert_eq!(met, [(record.address, done.locations[0])]);
    }
    assert!(matches!(tier.walk(SegmentId([0; 16]), 0, &mut |_| Ok(())), Err(Error::SegmentUnknown { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn appends_reads_walks_and_restarts_agree_with_a_model(
        code in prop::sample::select(Code::ALLOWED.to_vec()),
        suite in prop::sample::select(Suite::ALL.to_vec()),
        steps in prop::collection::vec((0u8..8, prop::collection::vec(
            prop_oneof![6 => 0usize..2000, 2 => 2000usize..300_000, 1 => 300_000usize..9_000_000], 1..5)), 1..10),
    ) {
        let mut rig = Rig::new(&code.to_string(), 14);
        rig.options.segment_bytes_max = 12_000_000;
        let (mut tier, _) = rig.open();
        let mut model: BTreeMap<Address, (Bytes, Location)> = BTreeMap::new();
        for (no, (action, lens)) in (0u64..).zip(steps) {
            let group: Vec<Record> =
                (0u64..).zip(&lens).map(|(at, len)| record(suite, no * 10 + at, *len)).collect();
            let done = tier.append(HOSPITAL, suite, &group).unwrap();
            for (record, at) in group.into_iter().zip(done.locations) {
                model.insert(record.address, (record.bytes, at));
            }
            match action {
                0 => {
                    drop(tier);
                    tier = rig.open().0;
                }
                1 => {
                    drop(tier);
                    let random = SeededRandom::new(no);
                    rig.media.iter().for_each(|medium| medium.crash(&random));
                    let (opened, findings) = rig.open();
                    prop_assert!(worst(&findings) <= Some(Severity::Note), "{:?}", findings);
                    tier = opened;
                }
                2 => tier.close().unwrap(),
                _ => {}
            }
            for (address, (bytes, at)) in &model {
                prop_assert!(tier.read(suite, at, address).unwrap() == bytes);
            }
            let walked: BTreeMap<Address, Location> =
                walk_all(&tier).into_iter().map(|walked| (walked.address, walked.location)).collect();
            prop_assert!(model.iter().all(|(address, (bytes, at))| bytes.is_empty() || walked.get(address) == Some(at)));
            prop_assert_eq!(walked.len(), model.len());
        }
        prop_assert_eq!(tier.counters().rebuilt_reads, 0);
    }
}
