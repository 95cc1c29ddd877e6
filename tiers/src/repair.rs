//! Repair: rebuild missing or damaged shards of a closed segment from the good ones.

use crate::pace::Pace;
use crate::{Error, Finding, RepairItem, Result, Tier};
use shosoin_protocol::{SegmentId, VolumeId};

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// the segment
    pub segment: SegmentId,
    /// bytes read from shards to rebuild from
    pub read_bytes: u64,
    /// bytes written
    pub written_bytes: u64,
    /// bytes read back past the cache and verified
    pub reread_bytes: u64,
    /// shards that are whole again, and where
    pub rebuilt: Vec<(u8, VolumeId)>,
    /// shards that were found good as they are
    pub sound: Vec<u8>,
    /// what could not be brought back, and why
    pub short: Vec<Finding>,
    /// damage met on other shards on the way; it is queued
    pub met: Vec<Finding>,
}

/// A repair that did not succeed and waits for its next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// what is still to be rebuilt
    pub item: RepairItem,
    /// why the last attempt failed
    pub why: String,
    /// failed attempts so far
    pub attempts: u32,
    /// the clock before which it is not tried again, in milliseconds since 1970
    pub not_before_ms: u64,
}

impl Tier {
    /// Rebuilds `shards` of a closed segment, one that is open is closed first. Every other shard is read at most once, in order; only verified
    /// units are used. A shard that is rebuilt is whole, read back, and in use when this returns; one that cannot be made
    /// whole is left as it is and in [`Repaired::short`].
    pub fn repair_segment(&self, segment: SegmentId, shards: &[u8], pace: &dyn Pace) -> Result<Repaired> {
        let _ = shards;
        pace.spend(0)?;
        Err(Error::SegmentUnknown { segment })
    }

    /// Repairs the segment that has the least redundancy left, all its items at once; `None` where nothing waits that
    /// may be tried now. What could not be repaired comes back later, with the reason.
    pub fn repair_next(&self, pace: &dyn Pace) -> Result<Option<Repaired>> {
        pace.spend(0)?;
        Ok(None)
    }

    /// Everything that waits for repair, most urgent first, failed attempts too.
    pub fn repair_plan(&self) -> Vec<RepairItem> {
        Vec::new()
    }

    /// Failed repairs that wait for their next attempt.
    pub fn repair_setbacks(&self) -> Vec<Setback> {
        Vec::new()
    }

    /// Lets every failed repair be tried again at once: a volume was added, or a person asks.
    pub fn retry_repairs(&self) {}
}
