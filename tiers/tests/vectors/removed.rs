//! Lists of removed segments: the forms they have and the ways they can be wrong.

use super::vector::{Vector, describe};
use shosoin_protocol::SegmentId;
use shosoin_protocol::suite::sha256;
use shosoin_tiers::removed::{decode, encode};
use std::collections::BTreeMap;

/// Every case. A wrong one must be refused; with which error, its file says.
pub fn cases() -> Vec<Vector> {
    let list = |ids: &[u8]| encode(&ids.iter().map(|id| SegmentId([*id; 16])).collect());
    let valid = [
        ("valid-empty", "nothing was removed; not written, and read all the same", list(&[])),
        ("valid-three", "three segments", list(&[1, 2, 0xfe])),
    ];
    let two = list(&[1, 2]);
    let content = &two[..two.len() - 32];
    let with = |at: usize, value: u8| {
        let mut changed = content.to_vec();
        changed[at] = value;
        sum(&changed)
    };
    let wrong = [
        ("wrong-nothing", "an empty file", vec![]),
        ("wrong-checksum", "one bit of an id is flipped", flip(two.clone(), 20)),
        ("wrong-magic", "begins with other magic bytes", with(0, b'x')),
        ("wrong-version", "written by a newer release, and whole", with(4, 2)),
        ("wrong-reserved", "reserved bytes that are not zero", with(6, 1)),
        ("wrong-count", "names one more than it has", with(8, 3)),
        ("wrong-count-limit", "names more than a list may", with(11, 1)),
        ("wrong-trailing", "one byte after the last id, under a right checksum", sum(&[content, &[0]].concat())),
        ("wrong-order", "its ids do not ascend", with(12, 9)),
        ("wrong-twice", "names a segment twice", sum(&[&content[..28], &content[12..28]].concat())),
    ];
    let vector = |(name, why, body): (&str, &str, Vec<u8>)| Vector {
        name: format!("removed-list/{name}"),
        notes: vec![why.to_owned()],
        structure: "removed-list".into(),
        expect: decode(&body).map_or_else(|error| describe(&error), |_| "ok".into()),
        fields: BTreeMap::new(),
        body,
    };
    valid.into_iter().chain(wrong).map(vector).collect()
}

/// The content under a right checksum.
fn sum(content: &[u8]) -> Vec<u8> {
    [content, &sha256(&[content]).0].concat()
}

fn flip(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] ^= 1;
    bytes
}
