//! One mounted medium: its storage, its label, and whether it takes writes.

use crate::media::Media;
use crate::{Error, Finding, Result};
use shosoin_protocol::VolumeId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

mod label;

pub use label::{Domains, MediaClass, RatedLife, TierKind, VolumeLabel};

/// One mounted medium.
#[derive(Debug)]
pub struct Volume {
    media: Arc<dyn Media>,
    label: VolumeLabel,
    findings: Vec<Finding>,
    read_only: bool,
    suspect: AtomicBool,
}

impl Volume {
    /// Labels an empty medium. Refuses one that carries a label already.
    pub fn create(media: Arc<dyn Media>, label: VolumeLabel) -> Result<Volume> {
        let _ = (media, label);
        Err(Error::Units { why: "not built yet" })
    }

    /// Reads the label of a medium.
    pub fn open(media: Arc<dyn Media>) -> Result<Volume> {
        Err(Error::LabelMissing { place: media.place() })
    }

    /// Its id.
    pub fn id(&self) -> VolumeId {
        self.label.id
    }

    /// Its label.
    pub fn label(&self) -> &VolumeLabel {
        &self.label
    }

    /// Its storage.
    pub fn media(&self) -> &Arc<dyn Media> {
        &self.media
    }

    /// What was wrong with its label when it was opened.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether new segments may be placed on it: neither read-only nor suspect.
    pub fn takes_writes(&self) -> bool {
        !self.read_only && !self.is_suspect()
    }

    /// Whether the medium was read-only when it was opened.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether a write or sync on it has failed since it was opened.
    pub fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Acquire)
    }

    /// Records that a write or sync failed: nothing more is written to it until a person has looked and it is opened again.
    pub fn mark_suspect(&self) {
        self.suspect.store(true, Ordering::Release);
    }
}

/// Refuses two volumes with one id.
pub fn refuse_duplicates(volumes: &[Volume]) -> Result<()> {
    for (index, second) in volumes.iter().enumerate() {
        if let Some(first) = volumes[..index].iter().find(|first| first.id() == second.id()) {
            let (first, second_place) = (first.media.place(), second.media.place());
            return Err(Error::VolumeDuplicate { id: second.id(), first, second: second_place });
        }
    }
    Ok(())
}
