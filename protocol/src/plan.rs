//! What must be mounted before records can be read: what a vault tells of media on shelves, as JSON, and the fewest mounts
//! that make all of it readable.
//!
//! Invariants
//! - Of the media of a segment any `needed` do, because any k of its k + m shards rebuild it; a choice takes that many of each.
//! - A choice is never larger than what taking the most useful medium first gives; with few media it is the smallest there is.

mod choice;

pub use choice::{Choice, choose};

use serde::{Deserialize, Serialize};

/// Answer to the question what must be mounted before the records at some addresses can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShelfReply {
    /// media that are not mounted and hold shards of what was asked for
    pub media: Vec<ShelfMedium>,
    /// segments that cannot be read as it is
    pub segments: Vec<ShelfSegment>,
    /// addresses that can be read now
    pub readable: u64,
    /// addresses that the vault does not know
    pub unknown: u64,
    /// bytes in a second that the vault reads or copies
    pub bytes_per_second: u64,
    /// whether that was measured; if not, it is what a vault without measurements reckons with
    pub is_measured: bool,
}

/// A medium that is not mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShelfMedium {
    /// volume id, hex
    pub id: String,
    /// `ssd`, `hdd`, `tape`, `optical` or `cloud`
    pub class: String,
    /// who made it
    pub vendor: String,
    /// maker's model
    pub model: String,
    /// maker's serial number
    pub serial: String,
    /// its security label
    pub security_label: String,
    /// where in its life it is, as in `on-shelf`
    pub state: String,
    /// shelf it is kept on; empty where nobody said
    pub shelf: String,
    /// folder or address where it was last mounted
    pub place: String,
}

/// A segment that cannot be read until media are mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShelfSegment {
    /// segment id, hex
    pub segment: String,
    /// how many of its media must be mounted, at the same time
    pub needed: u32,
    /// its media, by place in [`ShelfReply::media`]; fewer than needed where the rest are lost
    pub media: Vec<u32>,
    /// bytes to read from each
    pub bytes_each: u64,
    /// addresses in it that were asked for
    pub records: u64,
}
