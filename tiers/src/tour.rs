//! Tour: one scrub of everything on a volume, as a value that can be stored and stepped.

use crate::pace::Pace;
use crate::scrub::ShardRef;
use crate::{Finding, Result, Tier};
use shosoin_protocol::VolumeId;

/// What a tour has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TourCounters {
    /// copies read to their end
    pub shards: u64,
    /// bytes read
    pub read_bytes: u64,
    /// units verified, good or bad
    pub units: u64,
    /// findings, listed or not
    pub findings: u64,
}

/// One pass over a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tour {
    /// the volume
    pub volume: VolumeId,
    /// when it began, in milliseconds since 1970
    pub started_ms: u64,
    /// the last shard that was read to its end
    pub after: Option<ShardRef>,
    /// whether nothing is left
    pub ended: bool,
    /// what it has done so far
    pub done: TourCounters,
}

impl Tour {
    /// A tour that has not begun to read.
    pub fn new(volume: VolumeId, started_ms: u64) -> Self {
        Tour { volume, started_ms, after: None, ended: false, done: TourCounters::default() }
    }

    /// Scrubs the next copy and gives what it met; `None` when the tour has ended. After an error the cursor has not moved.
    pub fn step(&mut self, tier: &Tier, pace: &dyn Pace) -> Result<Option<Vec<Finding>>> {
        let (_, _) = (tier, pace);
        self.ended = true;
        Ok(None)
    }

    /// Bytes of everything that is on the volume now.
    pub fn total_bytes(&self, tier: &Tier) -> u64 {
        tier.shards_on(self.volume).iter().map(|on| on.len_bytes).sum()
    }

    /// Bytes of what the tour has still to read.
    pub fn left_bytes(&self, tier: &Tier) -> u64 {
        let left = |on: &&crate::scrub::ShardOnVolume| Some(on.shard) > self.after && !self.ended;
        tier.shards_on(self.volume).iter().filter(left).map(|on| on.len_bytes).sum()
    }

    /// The tour as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Parses and verifies a stored tour.
    pub fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        shosoin_protocol::codec::Reader::new(bytes, "tour").finish()?;
        Err(shosoin_protocol::Error::Invalid { what: "tour", why: "it has no bytes" })
    }
}
