//! Names and offsets on a volume, as pure functions.
//!
//! ```text
//! label  label.bak  removed
//! segments/<hospital>/<segment>-<shard>.shard
//! ```
//! A shard file names its segment and shard and nothing of its volume, so moving it is a copy.

use shosoin_protocol::{HospitalId, SegmentId};
use std::ops::Range;

/// Everything on media is padded to blocks of this many bytes, so that no later write touches a synced block.
pub const BLOCK_BYTES: usize = 4096;
/// First copy of the volume label.
pub const LABEL: &str = "label";
/// Second copy of the volume label.
pub const LABEL_BAK: &str = "label.bak";
/// The list of removed segments.
pub const REMOVED: &str = "removed";
/// Folder of all segments.
pub const SEGMENTS: &str = "segments";
/// Ends the names of files that are not finished; whatever carries it after a restart was never promised to anyone.
pub const TEMPORARY: &str = ".tmp";

/// Folder of the shards of one hospital.
pub fn hospital_dir(hospital: HospitalId) -> String {
    format!("{SEGMENTS}/{hospital}")
}

/// Path of one shard file.
pub fn shard_path(hospital: HospitalId, segment: SegmentId, shard: u8) -> String {
    format!("{SEGMENTS}/{hospital}/{segment}-{shard}.shard")
}

/// Segment and shard of a shard file's name, if it is exactly one that [`shard_path`] gives.
pub fn parse_shard_name(name: &str) -> Option<(SegmentId, u8)> {
    let (segment, shard) = name.strip_suffix(".shard")?.split_once('-')?;
    let parsed = (segment.parse().ok()?, shard.parse::<u8>().ok()?);
    (parsed.1.to_string() == shard).then_some(parsed)
}

/// The folder that `path` is in.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// `bytes` rounded up to whole blocks.
pub const fn align_up(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES as u64)
}

/// A part of one data unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPart {
    /// which data unit, from 0
    pub unit: usize,
    /// where in the unit, in bytes from its start
    pub range: Range<u64>,
}

/// The parts of data units that bytes `range` of a payload are in, in order, when every unit has `unit_bytes` bytes.
pub fn unit_parts(range: Range<u64>, unit_bytes: u64) -> impl Iterator<Item = UnitPart> {
    let units = match range.is_empty() {
        true => 0..0,
        false => range.start / unit_bytes..range.end.div_ceil(unit_bytes),
    };
    units.map(move |unit| {
        let first = unit * unit_bytes;
        let part = range.start.max(first) - first..range.end.min(first + unit_bytes) - first;
        UnitPart { unit: usize::try_from(unit).unwrap_or(usize::MAX), range: part }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_shard_path_says_hospital_segment_and_shard() {
        let path = shard_path(HospitalId([1; 16]), SegmentId([2; 16]), 13);
        let (dir, name) = path.rsplit_once('/').unwrap();
        assert_eq!(path, format!("segments/{}/{}-13.shard", "01".repeat(16), "02".repeat(16)));
        assert_eq!((dir, dir), (hospital_dir(HospitalId([1; 16])).as_str(), parent(&path)));
        assert_eq!(parse_shard_name(name), Some((SegmentId([2; 16]), 13)));
    }

    #[test]
    fn names_that_are_nearly_those_of_shards_are_not() {
        let id = "ab".repeat(16);
        let good = format!("{id}-1.shard");
        assert!(parse_shard_name(&good).is_some());
        let wrong = [
            format!("{id}-01.shard"),
            format!("{id}-+1.shard"),
            format!("{id}-256.shard"),
            format!("{id}-.shard"),
            format!("{id}.shard"),
            format!("{id}-1.shard.tmp"),
            format!("{}-1.shard", id.to_uppercase()),
            format!("{}-1.shard", &id[2..]),
        ];
        for name in wrong {
            assert_eq!(parse_shard_name(&name), None, "{name}");
        }
    }

    #[test]
    fn the_volume_is_the_parent_of_its_own_files() {
        assert_eq!((parent(LABEL), parent("a/b/c"), parent("a/b")), ("", "a/b", "a"));
    }

    proptest! {
        #[test]
        fn unit_parts_cover_the_range_exactly_once_and_in_order(
            k in 1u64..=10, payload_len in 1u64..200_000, from: u64, to: u64,
        ) {
            let (a, b) = (from % (payload_len + 1), to % (payload_len + 1));
            let range = a.min(b)..a.max(b);
            let unit = payload_len.div_ceil(k);
            let mut next = range.start;
            for part in unit_parts(range.clone(), unit) {
                prop_assert!((part.unit as u64) < k && !part.range.is_empty() && part.range.end <= unit);
                prop_assert_eq!(part.unit as u64 * unit + part.range.start, next);
                next += part.range.end - part.range.start;
            }
            prop_assert_eq!(next, range.end);
        }

        #[test]
        fn any_shard_name_reads_back(segment: [u8; 16], shard: u8) {
            let path = shard_path(HospitalId([0; 16]), SegmentId(segment), shard);
            let name = path.rsplit_once('/').unwrap().1;
            prop_assert_eq!(parse_shard_name(name), Some((SegmentId(segment), shard)));
        }
    }
}
