//! Copy-forward: move closed shards to other volumes, whole, and release the old copy only after proof.

use crate::pace::Pace;
use crate::scrub::ShardRef;
use crate::volume::TierKind;
use crate::{Error, Result, Tier};
use shosoin_protocol::VolumeId;

/// A shard that was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// which shard
    pub shard: ShardRef,
    /// the volume it was read from, which still has it
    pub from: VolumeId,
    /// the volume it is used on now
    pub to: VolumeId,
    /// bytes written; 0 where a good copy was there already
    pub bytes: u64,
    /// units that were bad at the source and rebuilt from other shards
    pub rebuilt_units: u64,
}

/// Proof that a copy of a shard was read past the cache, all of it, and is good. Only
/// [`Tier::verify_other_copy`] makes one, and it holds only while the volume stays in use.
#[derive(Debug)]
pub struct VerifiedCopy {
    shard: ShardRef,
    volume: VolumeId,
}

impl VerifiedCopy {
    /// Which shard.
    pub fn shard(&self) -> ShardRef {
        self.shard
    }

    /// The volume with the good copy.
    pub fn volume(&self) -> VolumeId {
        self.volume
    }
}

impl Tier {
    /// The volume that a further copy of `shard` goes to, of `tier` where that is said: never one that has another shard of
    /// the segment, and never so that more than m shards can be lost together.
    pub fn target_for(&self, shard: ShardRef, tier: Option<TierKind>) -> Result<VolumeId> {
        let _ = tier;
        Err(Error::SegmentUnknown { segment: shard.segment })
    }

    /// Copies a shard of a closed segment from one volume to another. The new copy is whole, read back and used when this
    /// returns; the old one stays, spare. Units that are bad at the source are rebuilt from the other shards. A good copy
    /// that is on `to` already is verified and used.
    pub fn copy_shard(&self, shard: ShardRef, from: VolumeId, to: VolumeId, pace: &dyn Pace) -> Result<Copied> {
        let _ = to;
        pace.spend(0)?;
        Err(Error::CopyUnknown { segment: shard.segment, shard: shard.shard, volume: from })
    }

    /// Reads a copy of `shard` on another volume than `than`, all of it, and gives the proof if it is good.
    pub fn verify_other_copy(&self, shard: ShardRef, than: VolumeId, pace: &dyn Pace) -> Result<VerifiedCopy> {
        pace.spend(0)?;
        Err(Error::CopyUnknown { segment: shard.segment, shard: shard.shard, volume: than })
    }

    /// Removes the copy of `shard` on `volume`, durably, and gives the bytes that frees. The proof must be of another copy
    /// that is still there: the last good copy is never released.
    pub fn release_copy(&self, shard: ShardRef, volume: VolumeId, proof: VerifiedCopy) -> Result<u64> {
        let _ = proof;
        Err(Error::CopyUnknown { segment: shard.segment, shard: shard.shard, volume })
    }
}
