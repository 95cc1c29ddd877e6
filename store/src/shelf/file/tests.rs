use super::*;
use std::fmt::Debug;

use crate::table::{Structure, byte_tables, compare, page};

const VOLUME: VolumeId = VolumeId([0x11; 16]);
const HOSPITAL: HospitalId = HospitalId([0x22; 16]);
const SEGMENT: SegmentId = SegmentId([0x33; 16]);
const TIME: u64 = 0x0102_0304_0506_0708;

fn list() -> ShelfList {
    let row = ListedShard { hospital: HOSPITAL, segment: SEGMENT, shard: 5, k: 4, m: 2, len_bytes: 4096 };
    ShelfList { volume: VOLUME, generation: 7, written_ms: TIME, shards: vec![row] }
}

fn chunk_table() -> ShelfTable {
    let at = Location { segment: SEGMENT, stripe_at: 4096, payload_len: 500, at: 10, len: 77 };
    ShelfTable { hospital: HOSPITAL, segment: SEGMENT, chunks: vec![(Address([0x44; 32]), at)] }
}

fn reads() -> LastReads {
    LastReads { since_ms: TIME, days: BTreeMap::from([(SEGMENT, 20_000)]) }
}

fn le<const N: usize>(bytes: [u8; N]) -> Vec<u8> {
    bytes.to_vec()
}

fn structure(encoded: Vec<u8>, magic: &[u8; 4], body: Vec<(&'static str, Vec<u8>)>) -> Structure {
    let mut fields = vec![("magic", magic.to_vec()), ("version", vec![1]), ("reserved", vec![0; 3])];
    fields.extend(body);
    let checksum = sha256(&[&encoded[..encoded.len() - 32]]).0.to_vec();
    fields.push(("checksum", checksum));
    Structure { begins_at: 0, ends_at: encoded.len(), encoded, fields }
}

#[test]
fn every_table_about_the_shelf_says_what_the_encoders_write() {
    let row = [&HOSPITAL.0[..], &SEGMENT.0, &[5, 4, 2, 0], &4096u64.to_le_bytes()].concat();
    let list_fields = vec![
        ("volume", VOLUME.0.to_vec()),
        ("generation", le(7u64.to_le_bytes())),
        ("written", le(TIME.to_le_bytes())),
        ("shards", [&1u32.to_le_bytes()[..], &row].concat()),
    ];
    let row =
        [&[0x44; 32][..], &4096u64.to_le_bytes(), &500u32.to_le_bytes(), &10u32.to_le_bytes(), &77u32.to_le_bytes()];
    let table_fields = vec![
        ("hospital", HOSPITAL.0.to_vec()),
        ("segment", SEGMENT.0.to_vec()),
        ("chunks", [&1u32.to_le_bytes()[..], &row.concat()].concat()),
    ];
    let reads_fields = vec![
        ("since", le(TIME.to_le_bytes())),
        ("segments", [&1u32.to_le_bytes()[..], &SEGMENT.0, &20_000u32.to_le_bytes()].concat()),
    ];
    let tables = byte_tables(&page());
    for (title, structure) in [
        ("Shelf list", structure(list().encode(), b"shsl", list_fields)),
        ("Shelf table", structure(chunk_table().encode(), b"shst", table_fields)),
        ("Last reads", structure(reads().encode(), b"shlr", reads_fields)),
    ] {
        compare(tables.iter().find(|table| table.title == title).unwrap(), &structure);
    }
}

fn survives_nothing<T: Stored + PartialEq + Debug>(value: T) {
    let bytes = value.encode();
    assert_eq!(T::decode(&bytes).unwrap(), value);
    for at in 0..bytes.len() {
        assert!(T::decode(&bytes[..at]).is_err());
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert!(T::decode(&flipped).is_err(), "byte {at}");
    }
}

#[test]
fn a_shelf_file_that_was_cut_or_changed_is_none() {
    survives_nothing(list());
    survives_nothing(chunk_table());
    survives_nothing(reads());
}

#[test]
fn the_golden_list_is_what_it_was() {
    let golden = [
        hex::encode(b"shsl"),
        "01000000".to_owned(),
        "11".repeat(16),
        "0700000000000000".to_owned(),
        "0807060504030201".to_owned(),
        "01000000".to_owned(),
        "22".repeat(16),
        "33".repeat(16),
        "05040200".to_owned(),
        "0010000000000000".to_owned(),
    ];
    let bytes = list().encode();
    assert_eq!(hex::encode(&bytes[..bytes.len() - 32]), golden.concat());
}

#[test]
fn files_are_replaced_visited_and_those_that_are_damaged_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(load::<ShelfList>(dir.path(), &VOLUME.to_string()), None);
    save(dir.path(), &list()).unwrap();
    save(dir.path(), &ShelfList { generation: 8, ..list() }).unwrap();
    save(dir.path(), &chunk_table()).unwrap();
    assert_eq!(load::<ShelfList>(dir.path(), &VOLUME.to_string()).unwrap().generation, 8);
    std::fs::write(dir.path().join(DIR).join("ff.list"), b"shsl").unwrap();
    let mut met = 0;
    for_each(dir.path(), &mut |list: ShelfList| {
        met += list.shards.len();
        Ok(())
    })
    .unwrap();
    assert_eq!(met, 1);
    forget(dir.path(), SEGMENT);
    forget(dir.path(), SEGMENT);
    assert_eq!(load::<ShelfTable>(dir.path(), &SEGMENT.to_string()), None);
}
