use super::*;
use crate::clock::{ManualClock, SeededRandom};
use crate::layout::hospital_dir;
use crate::media::{Call, Fault, Hook, Hooked, MemoryMedia, Op, ReadOnlyMedia};
use crate::volume::{MediaClass, TierKind};
use crate::{SegmentState, Tier, TierOptions, Unpaced, Volume, VolumeLabel};
use bytes::Bytes;
use parking_lot::Mutex;
use shosoin_protocol::{Address, RecordKind, VolumeId};
use std::io::ErrorKind;

const HOSPITAL: HospitalId = HospitalId([7; 16]);

fn record(suite: Suite, seed: u8, len: usize) -> Record {
    let bytes: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap().wrapping_mul(seed | 1) ^ seed).collect();
    Record { kind: RecordKind::Chunk, address: suite.address(&bytes), bytes: Bytes::from(bytes) }
}

fn labelled() -> MemoryMedia {
    let media = MemoryMedia::new("package");
    let label = VolumeLabel::new(VolumeId([1; 16]), TierKind::Archive, MediaClass::Hdd, 0);
    Volume::create(Arc::new(media.clone()), label).unwrap();
    media
}

fn packer(media: Arc<dyn Media>, suite: Suite) -> Packer {
    let options = PackOptions { hospital: HOSPITAL, suite, segment_bytes_max: 20 << 20 };
    Packer::new(media, options, Arc::new(ManualClock::new(5)), Arc::new(SeededRandom::new(3))).unwrap()
}

fn pack(packer: &mut Packer, records: &[Record]) -> Result<Vec<PackedFile>> {
    let mut files = Vec::new();
    for record in records {
        files.extend(packer.add(record.clone(), &Unpaced)?);
    }
    files.extend(packer.finish(&Unpaced)?);
    Ok(files)
}

fn opened(media: &MemoryMedia) -> Tier {
    let media: Arc<dyn Media> = Arc::new(ReadOnlyMedia::over(Arc::new(media.clone())));
    let volume = Volume::open(media).unwrap();
    let options = TierOptions { demo: true, threads: crate::Threads::None, ..TierOptions::new(Code::PACKAGE) };
    let (tier, findings) =
        Tier::open(vec![volume], options, Arc::new(ManualClock::new(9)), Arc::new(SeededRandom::new(1))).unwrap();
    assert_eq!(findings, []);
    tier
}

#[test]
fn packed_records_are_read_back_in_their_order_as_from_any_volume() {
    for suite in Suite::ALL {
        let media = labelled();
        let records: Vec<Record> =
            (0..30).map(|seed| record(suite, seed, 40_000 + usize::from(seed) * 77_777)).collect();
        let files = pack(&mut packer(Arc::new(media.clone()), suite), &records).unwrap();
        assert_eq!(files.len(), 2, "the first is complete at 20 MiB");
        let tier = opened(&media);
        let mut found: Vec<Address> = Vec::new();
        for file in &files {
            let name = file.path.rsplit('/').next().unwrap();
            let (segment, shard) = crate::layout::parse_shard_name(name).unwrap();
            assert_eq!(shard, 0);
            assert_eq!(tier.segment_info(segment).unwrap().state, SegmentState::Closed);
            assert_eq!(tier.check_segment(segment), []);
            let again = file_digest(&media, &file.path, suite, &Unpaced).unwrap();
            assert_eq!(again, (file.len_bytes, file.digest));
            tier.walk(segment, 0, &mut |walked| {
                let bytes = tier.read(suite, &walked.location, &walked.address)?;
                assert_eq!(bytes, records[found.len()].bytes);
                found.push(walked.address);
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(found, records.iter().map(|record| record.address).collect::<Vec<_>>());
    }
}

#[test]
fn nothing_to_pack_is_no_file_and_a_packer_goes_on_after_it_finished() {
    let media = labelled();
    let mut packer = packer(Arc::new(media.clone()), Suite::Default);
    assert_eq!(packer.finish(&Unpaced).unwrap(), None);
    assert!(media.list(crate::layout::SEGMENTS).unwrap().is_empty());
    let first = pack(&mut packer, &[record(Suite::Default, 1, 10)]).unwrap();
    let second = pack(&mut packer, &[record(Suite::Default, 2, 0)]).unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first[0].path, second[0].path);
    assert_eq!(opened(&media).segments().len(), 2);
}

/// Spoils the one write that is asked for, or stops there.
#[derive(Debug)]
struct Spoil {
    fault: Fault,
    op: Op,
    after: Mutex<usize>,
}

impl Hook for Spoil {
    fn before(&self, call: &Call) -> Option<Fault> {
        let of_shard = call.path.contains(".shard");
        let mut after = self.after.lock();
        match (of_shard && call.op == self.op, *after) {
            (true, 0) => Some(self.fault),
            (true, _) => {
                *after -= 1;
                None
            }
            _ => None,
        }
    }
}

#[test]
fn a_file_that_reads_back_otherwise_or_is_cut_off_never_gets_its_name() {
    let records: Vec<Record> = (0..4).map(|seed| record(Suite::Default, seed, 9 << 20)).collect();
    let faults = [
        (Op::Write, Fault::Flip { at: 70_000, mask: 4 }),
        (Op::Write, Fault::Lost),
        (Op::Write, Fault::Fail(ErrorKind::StorageFull)),
        (Op::Sync, Fault::Fail(ErrorKind::Other)),
        (Op::ReadPastCache, Fault::ShortRead { keep: 4096 }),
        (Op::Rename, Fault::Fail(ErrorKind::Other)),
    ];
    for (op, fault) in faults {
        let media = labelled();
        let spoiled: Arc<dyn Media> =
            Arc::new(Hooked::new(Arc::new(media.clone()), Arc::new(Spoil { fault, op, after: Mutex::new(0) })));
        pack(&mut packer(spoiled, Suite::Default), &records).unwrap_err();
        let names: Vec<String> =
            media.list(&hospital_dir(HOSPITAL)).unwrap().into_iter().map(|listed| listed.name).collect();
        assert!(names.iter().all(|name| name.ends_with(TEMPORARY)), "{op:?} {fault:?} left {names:?}");
        assert_eq!(opened(&media).segments(), [], "{op:?} {fault:?}");
    }
}

#[test]
fn a_medium_that_is_only_read_refuses_every_write() {
    let media = labelled();
    let shut = ReadOnlyMedia::over(Arc::new(media.clone()));
    let is_refused = |refused: Error| matches!(refused, Error::ReadOnly { .. });
    assert!(is_refused(shut.create("x", WriteUnit::Bytes).unwrap_err()));
    assert!(is_refused(shut.open_to_append("label").unwrap_err()));
    assert!(is_refused(shut.remove("label").unwrap_err()));
    assert!(is_refused(shut.rename("label", "x").unwrap_err()));
    assert!(is_refused(shut.make_dir("x").unwrap_err()));
    assert!(is_refused(shut.sync_dir("").unwrap_err()));
    assert!(shut.is_read_only().unwrap());
    assert_eq!(shut.list("").unwrap(), media.list("").unwrap());
}
