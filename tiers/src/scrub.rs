//! Scrub: read one copy of a shard, all of it, and find damage before a second fault meets it.

use crate::pace::Pace;
use crate::tier::SegmentState;
use crate::{Error, Finding, Result, Tier};
use shosoin_protocol::{HospitalId, SegmentId, VolumeId};

/// One shard of one segment, wherever it is. Tours go in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardRef {
    /// whose records the segment holds
    pub hospital: HospitalId,
    /// segment
    pub segment: SegmentId,
    /// which of its shards
    pub shard: u8,
}

/// A copy of a shard on a volume, as the catalogue knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardOnVolume {
    /// which shard
    pub shard: ShardRef,
    /// bytes of stripes and footer; torn bytes that a recovery left between them are not counted
    pub len_bytes: u64,
    /// state of its segment
    pub state: SegmentState,
    /// whether another copy of the shard is the one that is used
    pub spare: bool,
}

/// What a scrub read and met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// bytes read from the copy
    pub read_bytes: u64,
    /// units verified, good or bad
    pub units: u64,
    /// what is not as it should be
    pub findings: Vec<Finding>,
    /// findings beyond those that are listed
    pub unlisted: u64,
}

impl std::ops::AddAssign for Scrubbed {
    fn add_assign(&mut self, other: Scrubbed) {
        self.read_bytes += other.read_bytes;
        self.units += other.units;
        self.findings.extend(other.findings);
        self.unlisted += other.unlisted;
    }
}

impl Tier {
    /// Every copy on a volume, used or spare, in the order of a tour.
    pub fn shards_on(&self, volume: VolumeId) -> Vec<ShardOnVolume> {
        let _ = volume;
        Vec::new()
    }

    /// Reads one copy of a shard, used or spare, past the page cache, and verifies every byte of it by digests that are held
    /// outside it where any are. Damage is reported and queued for repair; nothing on media is changed.
    pub fn scrub_copy(&self, volume: VolumeId, shard: ShardRef, pace: &dyn Pace) -> Result<Scrubbed> {
        pace.spend(0)?;
        Err(Error::CopyUnknown { segment: shard.segment, shard: shard.shard, volume })
    }
}
