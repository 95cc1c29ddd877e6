//! Whole tiers in memory: against a model, and against the rules that others' data loss taught.

use super::*;
use crate::clock::{ManualClock, SeededRandom};
use crate::layout::{BLOCK_BYTES, shard_path};
use crate::media::{Call, Fault, Faults, FaultyMedia, Media, MemoryMedia, Op, RecordedMedia, Recorder};
use crate::stripe::{HEADER_LEN, slot_len};
use crate::volume::{MediaClass, TierKind, VolumeLabel};
use crate::{Defect, Severity};
use proptest::prelude::*;

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
