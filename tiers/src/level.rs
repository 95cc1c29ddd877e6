//! Level: bring shards from fuller volumes to one that is emptier, until it has its share, as a value that can be stepped.
//! Nothing does this by itself: a volume that is added later fills with what comes later.
//!
//! Invariants
//! - Each shard is copied, verified, and read whole once more before its old copy is released, as when a volume is emptied.
//! - Placement holds as everywhere: never two shards of a segment on one volume, nor more than m on what is lost together.
//! - What was done is what media show. After a kill a shard has two copies; the next run proves and releases one of them.
//! - It stays within one tier, and takes nothing from volumes that take no writes: what is there could not be released.

use crate::drain::{DrainStep, keeps};
use crate::mount::Mount;
use crate::pace::Pace;
use crate::scrub::ShardRef;
use crate::tier::SegmentState;
use crate::{Error, Result, Tier};
use shosoin_protocol::VolumeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bringing shards to one volume.
#[derive(Debug)]
pub struct Level {
    /// the volume that gets them
    pub to: VolumeId,
    /// shards that could not be moved in this run
    kept: BTreeSet<ShardRef>,
}

/// A shard on a volume.
struct On {
    shard: ShardRef,
    len: u64,
    /// whether another copy is the one that is used
    spare: bool,
    is_closed: bool,
}

impl Level {
    /// Nothing moved yet.
    pub fn new(to: VolumeId) -> Self {
        Level { to, kept: BTreeSet::new() }
    }

    /// Moves or releases the next shard; `None` when the volume has its share, or nothing more may come to it.
    pub fn step(&mut self, tier: &Tier, pace: &dyn Pace) -> Result<Option<DrainStep>> {
        while let Some((shard, from, has_copy)) = self.next(tier)? {
            let step = match has_copy {
                true => release(tier, shard, from, pace),
                false => tier.copy_shard(shard, from, self.to, pace).map(DrainStep::Copied),
            };
            match step {
                Err(Error::CopyUnknown { .. } | Error::SegmentUnknown { .. }) => drop(self.kept.insert(shard)),
                Err(why) if keeps(&why) => {
                    self.kept.insert(shard);
                    return Ok(Some(DrainStep::Kept { shard, why }));
                }
                other => return other.map(Some),
            }
        }
        Ok(None)
    }

    /// Bytes that are still to come, and whose old copies are still to go.
    pub fn left_bytes(&self, tier: &Tier) -> Result<u64> {
        let volumes = self.volumes(tier)?;
        let used = |mount: &Arc<Mount>| on(tier, mount.id()).iter().map(|on| on.len).sum::<u64>();
        let here = volumes.iter().find(|mount| mount.id() == self.to).map_or(0, used);
        let mean = volumes.iter().map(used).sum::<u64>() / volumes.len().max(1) as u64;
        Ok(mean.saturating_sub(here))
    }

    /// The volumes of the same tier that may give, and the one that gets.
    fn volumes(&self, tier: &Tier) -> Result<Vec<Arc<Mount>>> {
        let to = tier.mount(self.to).ok_or(Error::VolumeUnknown { volume: self.to })?;
        let kind = to.volume.label().tier;
        let takes_part = |mount: &Arc<Mount>| mount.volume.label().tier == kind && mount.volume.takes_writes();
        Ok(tier.mounts().into_iter().filter(|mount| takes_part(mount) && mount.answers()).collect())
    }

    /// The next shard, where it is, and whether the volume has a copy of it that is used already.
    fn next(&self, tier: &Tier) -> Result<Option<(ShardRef, VolumeId, bool)>> {
        let volumes = self.volumes(tier)?;
        let mut others: Vec<(VolumeId, Vec<On>)> = volumes
            .iter()
            .filter(|mount| mount.id() != self.to)
            .map(|mount| (mount.id(), on(tier, mount.id())))
            .collect();
        let here = on(tier, self.to);
        // a copy that is there already is verified and used first, then the other one goes
        let moved: BTreeMap<ShardRef, bool> = here.iter().map(|on| (on.shard, !on.spare)).collect();
        let doubled = others.iter().flat_map(|(from, on)| on.iter().map(move |on| (on.shard, *from)));
        let doubled = doubled.filter(|(shard, _)| !self.kept.contains(shard));
        if let Some(next) = doubled.filter_map(|(shard, from)| Some((shard, from, *moved.get(&shard)?))).next() {
            return Ok(Some(next));
        }
        let bytes = |on: &[On]| on.iter().map(|on| on.len).sum::<u64>();
        let used = bytes(&here);
        let mean = (used + others.iter().map(|(_, on)| bytes(on)).sum::<u64>()) / volumes.len().max(1) as u64;
        others.sort_by_key(|(_, on)| std::cmp::Reverse(bytes(on)));
        for (from, on) in others.iter().filter(|(_, on)| bytes(on) > mean) {
            let fits = |on: &&On| on.is_closed && !on.spare && used + on.len <= mean && !self.kept.contains(&on.shard);
            let may_come = |on: &&On| tier.may_lie_on(on.shard, on.len, self.to);
            if let Some(on) = on.iter().filter(fits).find(may_come) {
                return Ok(Some((on.shard, *from, false)));
            }
        }
        Ok(None)
    }
}

/// Proves the other copy of a shard and releases the one on `from`.
fn release(tier: &Tier, shard: ShardRef, from: VolumeId, pace: &dyn Pace) -> Result<DrainStep> {
    let proof = tier.verify_other_copy(shard, from, pace)?;
    let verified_on = proof.volume();
    let bytes = tier.release_copy(shard, from, proof)?;
    Ok(DrainStep::Released { shard, from, verified_on, bytes })
}

fn on(tier: &Tier, volume: VolumeId) -> Vec<On> {
    let on = tier.shards_on(volume).into_iter();
    on.map(|on| On { shard: on.shard, len: on.len_bytes, spare: on.spare, is_closed: on.state == SegmentState::Closed })
        .collect()
}
