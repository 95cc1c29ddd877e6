//! What the ledger of media asks of a running tier: labels, media, copies of shards, and a volume's way into and out of
//! suspicion.

use crate::media::Media;
use crate::mount::Mount;
use crate::what_if::{Copies, SegmentCopies};
use crate::{Error, Finding, Result, Tier, Volume, VolumeLabel};
use shosoin_protocol::VolumeId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A volume in use, as the ledger of media sees it.
#[derive(Debug, Clone)]
pub struct Mounted {
    /// its label
    pub label: Arc<VolumeLabel>,
    /// where it is
    pub place: String,
    /// its storage
    pub media: Arc<dyn Media>,
    /// whether the medium takes no writes
    pub read_only: bool,
    /// whether a write or sync failed on it
    pub suspect: bool,
    /// whether it could not be listed, so that nobody knows all that is on it
    pub unlisted: bool,
}

impl Tier {
    /// Every volume in use.
    pub fn mounted(&self) -> Vec<Mounted> {
        let mounted = |mount: &Mount, volume: &Volume| Mounted {
            label: volume.label(),
            place: volume.media().place(),
            media: volume.media().clone(),
            read_only: volume.is_read_only(),
            suspect: volume.is_suspect(),
            unlisted: !mount.is_known(),
        };
        self.mounts().iter().map(|mount| mounted(mount, &mount.volume)).collect()
    }

    /// The volumes that are where they were and can be read now.
    pub fn answering(&self) -> BTreeSet<VolumeId> {
        self.mounts().iter().filter(|mount| mount.answers()).map(|mount| mount.id()).collect()
    }

    /// Writes the label of a volume anew, durably; the id stays and the generation rises. Gives what it says now.
    pub fn relabel(&self, volume: VolumeId, change: impl FnOnce(&mut VolumeLabel)) -> Result<Arc<VolumeLabel>> {
        let mount = self.mount(volume).ok_or(Error::VolumeUnknown { volume })?;
        mount.volume.relabel(change)?;
        Ok(mount.volume.label())
    }

    /// Nothing more is written to a volume until it is [reopened](Self::reopen).
    pub fn mark_suspect(&self, volume: VolumeId) -> Result<()> {
        let mount = self.mount(volume).ok_or(Error::VolumeUnknown { volume })?;
        mount.volume.mark_suspect();
        self.set_draining(volume, true)?;
        mount.set_draining(false);
        Ok(())
    }

    /// Opens a volume anew from its medium: a person has looked, and it may be written to again.
    pub fn reopen(&self, volume: VolumeId) -> Result<Vec<Finding>> {
        let mount = self.mount(volume).ok_or(Error::VolumeUnknown { volume })?;
        let opened = Volume::open(mount.volume.media().clone())?;
        if opened.id() != volume {
            let (found, place) = (opened.id(), mount.volume.media().place());
            tracing::error!(%volume, %found, place, "another volume is where this one was");
            return Err(Error::VolumeUnknown { volume });
        }
        self.detach(volume)?;
        self.attach(opened)
    }

    /// Every segment with the volumes that hold a copy of each of its shards.
    pub fn copies(&self) -> Vec<SegmentCopies> {
        let copies = |info: &crate::SegmentInfo| {
            let segment = self.segment(info.id).ok()?;
            let mut shards: Vec<Copies> = vec![Vec::new(); info.code.shards()];
            for (shard, mount) in segment.copies() {
                shards[usize::from(shard)].push(mount.id());
            }
            let (id, hospital, code) = (info.id, info.hospital, info.code);
            Some(SegmentCopies { segment: id, hospital, code, payload_bytes: info.payload_bytes, shards })
        };
        self.segments().iter().filter_map(copies).collect()
    }
}
