//! The media that tests rely on must themselves do what they say: crashes lose what was not synced and nothing else, and
//! every fault is the fault it is called.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use shosoin_protocol::ErrorKind;
use shosoin_tiers::clock::SeededRandom;
use shosoin_tiers::layout::BLOCK_BYTES;
use shosoin_tiers::media::{
    Fault, Faults, FaultyMedia, MediaFile, MemoryMedia, Op, RecordedMedia, Recorder, WriteUnit,
};
use shosoin_tiers::{AlignedBuf, Error, Media};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

fn block(value: u8) -> AlignedBuf {
    let mut out = AlignedBuf::default();
    out.extend_from_slice(&[value; BLOCK_BYTES]);
    out
}

fn content(media: &dyn Media, path: &str) -> Vec<u8> {
    let file = media.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

/// A file of one synced block of ones.
fn one_block(media: &dyn Media) -> Arc<dyn MediaFile> {
    let file = media.create("file", WriteUnit::Blocks).unwrap();
    file.write_at(0, &block(1)).unwrap();
    file.sync().unwrap();
    media.sync_dir("").unwrap();
    file
}

fn faulty() -> (MemoryMedia, Arc<Faults>, FaultyMedia) {
    let (memory, faults) = (MemoryMedia::new("v01"), Arc::new(Faults::default()));
    (memory.clone(), faults.clone(), FaultyMedia::new(Arc::new(memory), faults))
}

#[test]
fn a_crash_keeps_what_was_synced_and_any_part_of_the_rest() {
    let mut lengths = BTreeSet::new();
    for seed in 0..200 {
        let media = MemoryMedia::new("v01");
        let file = one_block(&media);
        file.write_at(BLOCK_BYTES as u64, &block(2)).unwrap();
        media.crash(&SeededRandom::new(seed));
        let found = content(&media, "file");
        assert!(found[..BLOCK_BYTES].iter().all(|byte| *byte == 1));
        for sector in found[BLOCK_BYTES..].chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]) && [0, 2].contains(&sector[0]));
        }
        lengths.insert(found.len());
    }
    assert!(lengths.contains(&BLOCK_BYTES) && lengths.contains(&(2 * BLOCK_BYTES)) && lengths.len() > 4);
}

#[test]
fn a_crash_keeps_names_that_were_synced_and_the_first_of_the_others() {
    let mut found = BTreeSet::new();
    for seed in 0..50 {
        let media = MemoryMedia::new("v01");
        one_block(&media);
        media.create("a", WriteUnit::Bytes).unwrap();
        media.rename("file", "b").unwrap();
        media.remove("a").unwrap();
        media.crash(&SeededRandom::new(seed));
        found.insert(media.paths().join(" "));
    }
    assert!(found.iter().map(String::as_str).eq(["a b", "a file", "b", "file"]));
}

#[test]
fn a_handle_from_before_a_crash_reaches_nothing_afterwards() {
    let media = MemoryMedia::new("v01");
    let file = one_block(&media);
    media.crash(&SeededRandom::new(1));
    file.write_at(0, &block(9)).unwrap();
    assert_eq!(content(&media, "file"), vec![1; BLOCK_BYTES]);
}

#[test]
fn a_full_medium_takes_no_more_and_a_read_only_one_takes_nothing() {
    let media = MemoryMedia::with_capacity("v01", 2 * BLOCK_BYTES as u64);
    one_block(&media);
    let more = media.create("more", WriteUnit::Blocks).unwrap();
    more.write_at(0, &block(2)).unwrap();
    let error = more.write_at(BLOCK_BYTES as u64, &block(3)).unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }) && error.kind() == ErrorKind::Unavailable);
    assert_eq!((media.space().unwrap().free_bytes, content(&media, "more").len()), (0, BLOCK_BYTES));
    media.set_read_only(true);
    let refused = [
        media.create("x", WriteUnit::Bytes).map(|_| ()),
        media.open_to_append("file").map(|_| ()),
        media.remove("file"),
        media.rename("file", "x"),
        media.make_dir("x"),
    ];
    assert!(refused.iter().all(|result| matches!(result, Err(Error::ReadOnly { .. }))));
    assert_eq!(content(&media, "file").len(), BLOCK_BYTES);
}

#[test]
fn each_fault_of_a_write_leaves_what_it_says() {
    let other = io::ErrorKind::Other;
    let cases: [(Fault, bool, Vec<u8>); 5] = [
        (Fault::Fail(other), false, vec![]),
        (Fault::DoneAndFail(other), false, vec![7; BLOCK_BYTES]),
        (Fault::Torn { keep: 100, kind: other }, false, [vec![7; 100], vec![0; BLOCK_BYTES - 100]].concat()),
        (Fault::Flip { at: 3, mask: 1 }, true, [vec![7; 3], vec![6], vec![7; BLOCK_BYTES - 4]].concat()),
        (Fault::Lost, true, vec![]),
    ];
    for (fault, succeeds, left) in cases {
        let (memory, faults, media) = faulty();
        let file = media.create("file", WriteUnit::Blocks).unwrap();
        faults.at(faults.calls(), fault);
        assert_eq!(file.write_at(0, &block(7)).is_ok(), succeeds, "{fault:?}");
        assert_eq!(content(&memory, "file"), left, "{fault:?}");
    }
}

#[test]
fn each_fault_of_a_read_gives_what_it_says() {
    let (memory, faults, media) = faulty();
    one_block(&memory);
    let file = media.open("file").unwrap();
    let read = |fault| {
        faults.at(faults.calls(), fault);
        let mut bytes = [0; 4];
        let found = file.read_at(0, &mut bytes);
        found.map(|found| bytes[..found].to_vec())
    };
    assert!(matches!(read(Fault::Fail(io::ErrorKind::Other)), Err(Error::Io { call: "read", .. })));
    assert_eq!(read(Fault::Flip { at: 2, mask: 0x80 }).unwrap(), [1, 1, 0x81, 1]);
    assert_eq!(read(Fault::ShortRead { keep: 3 }).unwrap(), [1, 1, 1]);
    assert_eq!(read(Fault::Lost).unwrap(), [1; 4]);
}

#[test]
fn a_sync_that_lies_loses_the_bytes_in_a_crash() {
    let mut lost = false;
    for seed in 0..20 {
        let (memory, faults, media) = faulty();
        faults.when(|_, call| (call.op == Op::Sync).then_some(Fault::Lost));
        one_block(&media);
        memory.crash(&SeededRandom::new(seed));
        lost |= content(&memory, "file") != vec![1; BLOCK_BYTES];
    }
    assert!(lost);
}

#[test]
fn after_the_machine_is_killed_every_call_fails_and_nothing_changes() {
    let (memory, faults, media) = faulty();
    let file = one_block(&media);
    faults.kill_at(faults.calls(), 10);
    file.write_at(BLOCK_BYTES as u64, &block(2)).unwrap_err();
    assert!(faults.is_dead());
    assert!(media.list("").is_err() && media.remove("file").is_err() && media.create("x", WriteUnit::Bytes).is_err());
    assert_eq!(memory.paths(), ["file"]);
    assert_eq!(&content(&memory, "file")[BLOCK_BYTES..BLOCK_BYTES + 11], [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0]);
    faults.clear();
    media.list("").unwrap();
}

#[test]
fn every_call_is_written_down_with_where_and_how_much() {
    let recorder = Arc::new(Recorder::default());
    let media = RecordedMedia::new(Arc::new(MemoryMedia::new("v01")), recorder.clone());
    one_block(&media);
    let ops: Vec<Op> = recorder.take().into_iter().map(|call| call.op).collect();
    assert_eq!(ops, [Op::Create, Op::Write, Op::Sync, Op::SyncDir]);
    media.open("file").unwrap().read_at(5, &mut [0; 7]).unwrap();
    assert_eq!(recorder.count(Op::Read), 1);
    let call = recorder.take().pop().unwrap();
    assert_eq!((call.place.as_str(), call.path.as_str(), call.at, call.len_bytes), ("v01", "file", 5, 7));
}
