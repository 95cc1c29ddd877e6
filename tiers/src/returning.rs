//! Returning: volumes that are away for a while, or come back after it.
//!
//! Invariants
//! - Nothing is believed because it was right once. A volume that comes back may have been away while its segments went
//!   on, be an older image of itself, or another medium in the same place; its label says which it is and of which
//!   generation, and each shard is held against what the others of its segment say before it counts.
//! - A copy that is behind never takes the place of one that is not. Where no other is, it is used for what is good of it,
//!   because every read verifies, and waits for repair.
//! - What is on a volume that could not be listed is not known; it is listed again when it answers.
//! - What is as long as it must be is verified no further here: a tour does that, and every read.

use crate::closed;
use crate::finding::{Defect, Place};
use crate::lane::on_all;
use crate::load::unreadable;
use crate::mount::{Mount, label_at};
use crate::outline::agreed_footer;
use crate::scrub::shard_bytes;
use crate::segment::{Identity, Segment, shard_no};
use crate::tier::VolumeState;
use crate::{Error, Finding, Result, Tier, Volume};
use shosoin_protocol::VolumeId;
use std::sync::Arc;

impl Tier {
    /// Looks whether every volume in use is where it was, and answers; one that does again is read from again. Whoever keeps
    /// a tier calls this now and then.
    pub fn look_at_volumes(&self) -> Vec<(VolumeId, VolumeState)> {
        let mounts = self.mounts();
        let look = |mount: &'_ Arc<Mount>| {
            let media = mount.volume.media().clone();
            let known = mount.volume.label().generation;
            move || Ok((known, label_at(&media)))
        };
        let looked = on_all("a look at its label", mounts.iter().map(|mount| (&mount.lane, look(mount))));
        let judge = |(mount, looked): (&Arc<Mount>, crate::Result<_>)| {
            let (known, found) = looked.unwrap_or_else(|error| (0, Err(error)));
            mount.judge(known, found);
            (mount.id(), mount.state())
        };
        mounts.iter().zip(looked).map(judge).collect()
    }

    /// Lists again the volumes that could not be listed and answer now. Gives what was met, which names those that still
    /// cannot be. Whoever keeps a tier calls this now and then.
    pub fn list_again(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for mount in self.mounts().into_iter().filter(|mount| !mount.is_known() && mount.answers()) {
            let stale = self.meet_generation(&mount.volume);
            findings.extend(self.take_in(&mount, stale.is_some())?);
            if mount.is_known() {
                tracing::info!(volume = %mount.id(), "what is on the volume is known again");
            }
        }
        Ok(findings)
    }

    /// A volume in use of which all is known that is on it.
    pub(crate) fn listed(&self, volume: VolumeId) -> Result<Arc<Mount>> {
        let mount = self.mount(volume).ok_or(Error::VolumeUnknown { volume })?;
        match mount.is_known() {
            true => Ok(mount),
            false => Err(Error::VolumeUnlisted { volume, place: mount.volume.media().place() }),
        }
    }

    /// What is wrong with the generation of a volume that is taken into use. From now on no lower one is.
    pub(crate) fn meet_generation(&self, volume: &Volume) -> Option<Finding> {
        let (id, found) = (volume.id(), volume.label().generation);
        let mut generations = self.generations.lock();
        let known = generations.entry(id).or_insert(found);
        let stale = (found < *known).then_some(Defect::VolumeStale { known: *known, found });
        *known = found.max(*known);
        stale.map(|defect| Finding::new(Place::volume(id), defect))
    }

    /// Takes back the copy of a shard of a closed segment. On a volume whose label is `stale` the footer is read of every
    /// shard, otherwise of those that are not as long as they must be.
    pub(crate) fn take_back(&self, segment: &Segment, shard: usize, mount: Arc<Mount>, stale: bool) -> Option<Finding> {
        let defect = behind(segment, shard, &mount, stale);
        let place = Place::segment(segment.identity.id).shard(shard_no(shard), Some(mount.id()));
        let is_only_copy = segment.shard(shard).is_none();
        segment.add_copy(shard, mount);
        if defect.is_some() && is_only_copy {
            self.access.queue_shards(segment.identity.id, segment.identity.code, &[shard]);
        }
        defect.map(|defect| Finding::new(place, defect))
    }
}

/// Why a copy is not what the other shards of its segment say that it must be.
fn behind(segment: &Segment, shard: usize, mount: &Arc<Mount>, stale: bool) -> Option<Defect> {
    let Identity { id, hospital, .. } = segment.identity;
    let opened = segment.identity.open_on(mount, shard).and_then(|file| file.len().map(|len| (file, len)));
    let (file, len) = match opened {
        Ok(opened) => opened,
        Err(error) => return Some(unreadable(&error)),
    };
    if !stale && len == shard_bytes(&segment.info()) {
        return None;
    }
    let own = closed::locator(&*file, id, hospital, shard);
    match (own, agreed_footer(segment, (shard_no(shard), mount))) {
        (Ok(own), Some(agreed)) if own.closes_like(&agreed) => None,
        (Ok(_), None) => None,
        (Err(defect), None) => Some(defect),
        (_, Some(agreed)) if len < agreed.file_len() => {
            Some(Defect::ShardShort { missing_bytes: agreed.file_len() - len })
        }
        (_, Some(_)) => Some(Defect::FooterDamaged { why: "it is not the one that the segment has elsewhere".into() }),
    }
}
