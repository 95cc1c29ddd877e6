//! Migrate: a closed segment goes from hot volumes to the archive, shard by shard, as a value that can be stepped.
//!
//! Invariants
//! - Nothing hot is removed before every shard of the segment has a copy in the archive, and each only with proof that its
//!   other copy was read whole and is good.
//! - Before a segment leaves hot volumes for good, its records other than chunks are appended again to a hot segment: ledgers,
//!   names and manifests stay readable whatever is on a shelf.
//! - What was done is what media show, so that a run that was killed goes on where it was; at worst records are appended twice,
//!   which is harmless.
//!
//! Not here: which segments go, and when (the vault's policy), records of what was moved (the audit log).

use crate::copy_forward::Copied;
use crate::mount::Mount;
use crate::pace::Pace;
use crate::scrub::ShardRef;
use crate::segment::{Segment, shard_no};
use crate::tier::SegmentState;
use crate::volume::TierKind;
use crate::{Error, Location, Record, Result, Tier};
use shosoin_protocol::{Address, RecordKind, SegmentId, VolumeId};
use std::sync::Arc;

/// Records are appended again in groups of this many bytes.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// One segment on its way to the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// which segment
    pub segment: SegmentId,
    /// whether the hot copies stay too, and are read from
    pub keep_hot: bool,
    /// how far it is
    pub phase: MigrationPhase,
}

/// How far a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationPhase {
    /// shards get copies in the archive
    Copy,
    /// records other than chunks are appended to a hot segment
    Append,
    /// hot copies are verified against the archive and released
    Release,
    /// nothing is left to do
    Ended,
}

/// What one step did.
#[derive(Debug)]
pub enum MigrationStep {
    /// a shard has a copy in the archive now; with no bytes written, its hot copy was verified and is the one that is read
    Copied(Copied),
    /// these records are in a hot segment now, too
    Appended {
        /// each, with its new place
        records: Vec<(RecordKind, Address, Location)>,
        /// their bytes
        bytes: u64,
    },
    /// a hot copy of a shard is gone
    Released {
        /// which shard
        shard: ShardRef,
        /// the volume it was on
        from: VolumeId,
        /// the volume with the verified copy
        verified_on: VolumeId,
        /// bytes that freed
        bytes: u64,
    },
}

impl Migration {
    /// A migration that has not begun.
    pub fn new(segment: SegmentId, keep_hot: bool) -> Self {
        Migration { segment, keep_hot, phase: MigrationPhase::Copy }
    }

    /// Does the next piece, at most one shard; `None` when nothing is left. After an error nothing has moved on.
    pub fn step(&mut self, tier: &Tier, pace: &dyn Pace) -> Result<Option<MigrationStep>> {
        let segment = tier.segment(self.segment)?;
        if segment.state() != SegmentState::Closed {
            let why = "it is not closed, and only closed segments move".to_owned();
            return Err(Error::SegmentUnreadable { segment: self.segment, why });
        }
        loop {
            let (done, next) = match self.phase {
                MigrationPhase::Copy if self.keep_hot => {
                    let copied = copy(tier, &segment, pace)?;
                    let done = copied.map(Ok).or_else(|| prefer_hot(tier, &segment, pace).transpose()).transpose()?;
                    (done.map(MigrationStep::Copied), MigrationPhase::Ended)
                }
                MigrationPhase::Copy => {
                    (copy(tier, &segment, pace)?.map(MigrationStep::Copied), MigrationPhase::Append)
                }
                // what is in the archive alone already was appended before its first hot copy went
                MigrationPhase::Append if !is_hot(&segment) => (None, MigrationPhase::Ended),
                MigrationPhase::Append => {
                    let appended = append(tier, &segment, pace)?;
                    self.phase = MigrationPhase::Release;
                    return Ok(Some(appended));
                }
                MigrationPhase::Release => (release(tier, &segment, pace)?, MigrationPhase::Ended),
                MigrationPhase::Ended => return Ok(None),
            };
            match done {
                Some(step) => return Ok(Some(step)),
                None => self.phase = next,
            }
        }
    }
}

impl Tier {
    /// Whether each volume in use is hot or of the archive.
    pub fn kinds(&self) -> Vec<(VolumeId, TierKind)> {
        self.mounts().iter().map(|mount| (mount.id(), mount.volume.label().tier)).collect()
    }

    /// Bytes that moving a segment to the archive would copy; 0 where each of its shards is there already.
    pub fn bytes_to_archive(&self, segment: SegmentId) -> Result<u64> {
        let segment = self.segment(segment)?;
        let missing = (0..segment.identity.code.shards()).filter(|no| on(&segment, *no, TierKind::Archive).is_none());
        let bytes = missing.filter_map(|no| segment.open_shard(no)?.and_then(|file| file.len()).ok());
        Ok(bytes.sum())
    }

    /// Whether any shard of a segment has a copy on a hot volume.
    pub fn is_hot(&self, segment: SegmentId) -> Result<bool> {
        Ok(is_hot(&*self.segment(segment)?))
    }
}

fn shard_ref(segment: &Segment, no: usize) -> ShardRef {
    ShardRef { hospital: segment.identity.hospital, segment: segment.identity.id, shard: shard_no(no) }
}

/// A copy of a shard on a volume of this kind.
fn on(segment: &Segment, no: usize, kind: TierKind) -> Option<Arc<Mount>> {
    segment.copies_of(no).into_iter().find(|mount| mount.volume.label().tier == kind)
}

fn is_hot(segment: &Segment) -> bool {
    (0..segment.identity.code.shards()).any(|no| on(segment, no, TierKind::Hot).is_some())
}

/// Gives the next shard that has none a copy in the archive.
fn copy(tier: &Tier, segment: &Segment, pace: &dyn Pace) -> Result<Option<Copied>> {
    for no in 0..segment.identity.code.shards() {
        if on(segment, no, TierKind::Archive).is_some() {
            continue;
        }
        let from = on(segment, no, TierKind::Hot).ok_or_else(|| Error::SegmentUnreadable {
            segment: segment.identity.id,
            why: format!("shard {no} is missing; it moves when it is repaired"),
        })?;
        return tier.copy_away(shard_ref(segment, no), from.id(), Some(TierKind::Archive), pace).map(Some);
    }
    Ok(None)
}

/// Reads from the hot copy of the next shard that has one and is read from the archive.
fn prefer_hot(tier: &Tier, segment: &Segment, pace: &dyn Pace) -> Result<Option<Copied>> {
    for no in 0..segment.identity.code.shards() {
        let used = segment.shard(no).filter(|used| used.volume.label().tier == TierKind::Archive);
        if let (Some(used), Some(hot)) = (used, on(segment, no, TierKind::Hot)) {
            return tier.copy_shard(shard_ref(segment, no), used.id(), hot.id(), pace).map(Some);
        }
    }
    Ok(None)
}

/// Releases the next hot copy.
fn release(tier: &Tier, segment: &Segment, pace: &dyn Pace) -> Result<Option<MigrationStep>> {
    for no in 0..segment.identity.code.shards() {
        let Some(hot) = on(segment, no, TierKind::Hot) else { continue };
        let (shard, from) = (shard_ref(segment, no), hot.id());
        let proof = match tier.verify_other_copy(shard, from, pace) {
            Err(Error::Unproven { .. }) => {
                let copied = tier.copy_away(shard, from, Some(TierKind::Archive), pace)?;
                return Ok(Some(MigrationStep::Copied(copied)));
            }
            proof => proof?,
        };
        let verified_on = proof.volume();
        let bytes = tier.release_copy(shard, from, proof)?;
        return Ok(Some(MigrationStep::Released { shard, from, verified_on, bytes }));
    }
    Ok(None)
}

/// Appends every record that is no chunk to the hospital's open segment, which is hot.
fn append(tier: &Tier, segment: &Segment, pace: &dyn Pace) -> Result<MigrationStep> {
    let identity = segment.identity;
    let mut wanted = Vec::new();
    tier.walk(identity.id, 0, &mut |walked| {
        if walked.kind != RecordKind::Chunk {
            wanted.push(walked);
        }
        Ok(())
    })?;
    let (mut records, mut bytes, mut group, mut group_bytes) = (Vec::with_capacity(wanted.len()), 0, Vec::new(), 0);
    for (no, walked) in wanted.iter().enumerate() {
        let read = tier.read(identity.suite, &walked.location, &walked.address)?;
        group_bytes += read.len();
        group.push(Record { kind: walked.kind, address: walked.address, bytes: read });
        if group_bytes >= GROUP_BYTES || no + 1 == wanted.len() {
            pace.spend(group_bytes as u64)?;
            let done = tier.append(identity.hospital, identity.suite, &group)?;
            let placed = group.drain(..).zip(done.locations);
            records.extend(placed.map(|(record, at)| (record.kind, record.address, at)));
            bytes += std::mem::take(&mut group_bytes) as u64;
        }
    }
    Ok(MigrationStep::Appended { records, bytes })
}
