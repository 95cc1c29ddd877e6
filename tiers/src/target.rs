//! Target: which volume a further copy of one shard goes to.
//!
//! Invariants
//! - Never a volume that has another shard of the segment, used or spare.
//! - Never so that more than m shards of the segment could be lost together, unless the vault is labelled a demo.

use crate::mount::Mount;
use crate::placement::{Candidate, place_one};
use crate::scrub::ShardRef;
use crate::segment::{Segment, shard_no};
use crate::volume::TierKind;
use crate::{Error, Result, Tier, VolumeLabel};
use shosoin_protocol::VolumeId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a target is looked for.
pub struct Wanted<'a> {
    /// the segment
    pub segment: &'a Segment,
    /// its shard
    pub shard: usize,
    /// room that it needs, in bytes
    pub len: u64,
    /// only volumes of this tier; otherwise those of the tier that the segment is on come first
    pub tier: Option<TierKind>,
    /// volumes that will not do, because they failed or have it already
    pub refused: &'a BTreeSet<VolumeId>,
    /// further shards of the segment that are being written now, and where
    pub promised: &'a [(usize, Arc<Mount>)],
}

impl Wanted<'_> {
    /// Volumes of the other shards that are used, or will be.
    fn others(&self) -> Vec<Arc<Mount>> {
        let promised = |shard: usize| self.promised.iter().find(|(no, _)| *no == shard).map(|(_, mount)| mount.clone());
        let used = self.segment.shards().into_iter().enumerate();
        used.filter(|(shard, _)| *shard != self.shard).filter_map(|(shard, mount)| promised(shard).or(mount)).collect()
    }

    /// Volumes that have any copy of another shard.
    fn taken(&self) -> BTreeSet<VolumeId> {
        let other = |shard: &u8| *shard != shard_no(self.shard);
        let there = self.segment.copies().filter(|(shard, _)| other(shard)).map(|(_, mount)| mount.id());
        there.chain(self.others().iter().map(|mount| mount.id())).collect()
    }

    /// The tier that most of the segment is on.
    fn home(&self) -> TierKind {
        let here = self.segment.shard(self.shard);
        let kinds: Vec<TierKind> = self.others().iter().map(|mount| mount.volume.label().tier).collect();
        let archived = kinds.iter().filter(|kind| **kind == TierKind::Archive).count();
        match here {
            Some(mount) => mount.volume.label().tier,
            None if 2 * archived > kinds.len() => TierKind::Archive,
            None => TierKind::Hot,
        }
    }
}

impl Tier {
    /// The best volume for `wanted`.
    pub(crate) fn choose_target(&self, wanted: &Wanted<'_>) -> Result<Arc<Mount>> {
        let taken = wanted.taken();
        let free = |mount: &Arc<Mount>| !taken.contains(&mount.id()) && !wanted.refused.contains(&mount.id());
        let roomy: Vec<(Arc<Mount>, u64)> = self
            .mounts()
            .into_iter()
            .filter(free)
            .filter_map(|mount| mount.room().map(|room| (mount, room)))
            .filter(|(_, room)| *room >= wanted.len)
            .collect();
        let of_tier =
            |tier: TierKind| roomy.iter().filter(move |(mount, _)| mount.volume.label().tier == tier).cloned();
        match wanted.tier {
            Some(tier) => self.best(wanted, &of_tier(tier).collect::<Vec<_>>()),
            None => {
                self.best(wanted, &of_tier(wanted.home()).collect::<Vec<_>>()).or_else(|_| self.best(wanted, &roomy))
            }
        }
    }

    fn best(&self, wanted: &Wanted<'_>, roomy: &[(Arc<Mount>, u64)]) -> Result<Arc<Mount>> {
        let others = wanted.others();
        let labels: Vec<Arc<VolumeLabel>> = others.iter().map(|mount| mount.volume.label()).collect();
        let labels: Vec<&VolumeLabel> = labels.iter().map(|label| &**label).collect();
        let candidate = |(mount, free): &'_ (Arc<Mount>, u64)| (mount.volume.label(), *free);
        let offered: Vec<(Arc<VolumeLabel>, u64)> = roomy.iter().map(candidate).collect();
        let candidates: Vec<Candidate<'_>> =
            offered.iter().map(|(label, free_bytes)| Candidate { label, free_bytes: *free_bytes }).collect();
        let identity = wanted.segment.identity;
        let chosen = place_one(identity.code, identity.id, &labels, &candidates, self.is_demo())?;
        Ok(roomy[chosen].0.clone())
    }

    /// Refuses `target` where [`Tier::choose_target`] would never choose it.
    pub(crate) fn permit_target(&self, wanted: &Wanted<'_>, target: &Arc<Mount>) -> Result<()> {
        let refused = |why: &str| Error::Placement { wanted: 1, offered: 1, why: why.to_owned() };
        if wanted.taken().contains(&target.id()) {
            return Err(refused("the volume has another shard of the segment"));
        }
        match target.room() {
            Some(room) if room >= wanted.len => self.best(wanted, &[(target.clone(), room)]).map(|_| ()),
            Some(room) => Err(refused(&format!("{room} bytes are free, {} are needed", wanted.len))),
            None => Err(refused("the volume takes no new shards")),
        }
    }

    /// Whether `shard`, of `len` bytes, may have its copy on `volume`.
    pub(crate) fn may_lie_on(&self, shard: ShardRef, len: u64, volume: VolumeId) -> bool {
        let (Ok(segment), Some(target)) = (self.segment(shard.segment), self.mount(volume)) else { return false };
        let refused = BTreeSet::new();
        let wanted =
            Wanted { segment: &segment, shard: shard.shard.into(), len, tier: None, refused: &refused, promised: &[] };
        self.permit_target(&wanted, &target).is_ok()
    }

    /// From now on `shard` is read from `mount`, unless that was taken out of use meanwhile.
    pub(crate) fn use_copy(&self, segment: &Segment, shard: usize, mount: &Arc<Mount>) -> Result<()> {
        match self.mount(mount.id()).filter(|known| Arc::ptr_eq(known, mount)) {
            Some(mount) => segment.use_copy(shard, mount),
            None => return Err(Error::VolumeUnknown { volume: mount.id() }),
        }
        self.access.forget(segment.identity.id, shard);
        Ok(())
    }
}
