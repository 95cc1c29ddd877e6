//! One mounted medium: its storage, its label, and whether it takes writes.
//!
//! Invariants
//! - The label is kept in two copies and written one after the other, so one of them is good at any time.
//! - One good copy is enough, and what is wrong with the other is a finding. With none, nobody can say which volume this
//!   is, and it is refused.
//! - A newer release's label is refused even beside one that could be read: what else has it written?

use crate::layout::{BLOCK_BYTES, LABEL, LABEL_BAK, SEGMENTS};
use crate::media::Media;
use crate::{Defect, Error, Finding, Place, Result, durable};
use parking_lot::RwLock;
use shosoin_protocol::{Error as FormatError, ErrorKind, VolumeId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

mod label;

pub use label::{Domains, MediaClass, RatedLife, TEXT_BYTES_MAX, TierKind, VERSION, VolumeLabel};

/// One mounted medium.
#[derive(Debug)]
pub struct Volume {
    media: Arc<dyn Media>,
    label: RwLock<Arc<VolumeLabel>>,
    findings: Vec<Finding>,
    read_only: bool,
    suspect: AtomicBool,
    unlisted: AtomicBool,
}

/// One copy of a label, if it is good.
type LabelCopy = Result<VolumeLabel, Flaw>;

/// What is wrong with one copy of a label.
#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error("it is missing")]
    Missing,
    #[error(transparent)]
    Unreadable(Error),
    #[error(transparent)]
    Damaged(FormatError),
}

impl Volume {
    /// Labels a medium. Refuses one that carries a label, even a damaged one.
    pub fn create(media: Arc<dyn Media>, label: VolumeLabel) -> Result<Volume> {
        let names = media.list("")?;
        if names.iter().any(|listed| listed.name == LABEL || listed.name == LABEL_BAK) {
            return Err(Error::VolumeExists { place: media.place() });
        }
        media.make_dir(SEGMENTS)?;
        write_label(&*media, &label)?;
        Ok(Volume::new(media, label, Vec::new(), false))
    }

    /// Reads the label of a medium and changes nothing.
    pub fn open(media: Arc<dyn Media>) -> Result<Volume> {
        let copies = (read_copy(&*media, LABEL), read_copy(&*media, LABEL_BAK));
        let (label, findings) = choose(&media.place(), copies.0, copies.1)?;
        let read_only = media.is_read_only()?;
        Ok(Volume::new(media, label, findings, read_only))
    }

    fn new(media: Arc<dyn Media>, label: VolumeLabel, findings: Vec<Finding>, read_only: bool) -> Self {
        Volume {
            media,
            label: RwLock::new(Arc::new(label)),
            findings,
            read_only,
            suspect: false.into(),
            unlisted: false.into(),
        }
    }

    /// Changes what the label says and writes both copies under the next generation, which also replaces a damaged one.
    /// The id stays; a change may raise the generation it goes on from, and never lowers it. What was wrong with the old
    /// copies stays among the [findings](Self::findings).
    pub fn relabel(&self, change: impl FnOnce(&mut VolumeLabel)) -> Result<()> {
        let mut current = self.label.write();
        let mut label = VolumeLabel::clone(&current);
        change(&mut label);
        label.id = current.id;
        label.generation = label.generation.max(current.generation) + 1;
        write_label(&*self.media, &label)?;
        *current = Arc::new(label);
        Ok(())
    }

    /// Writes both copies of the label anew if one of them is not good and the medium takes writes.
    pub fn heal_label(&self) -> Result<()> {
        match self.findings.is_empty() || self.read_only {
            true => Ok(()),
            false => self.relabel(|_| {}),
        }
    }

    /// Its id.
    pub fn id(&self) -> VolumeId {
        self.label.read().id
    }

    /// Its label, as it is now.
    pub fn label(&self) -> Arc<VolumeLabel> {
        self.label.read().clone()
    }

    /// Its storage.
    pub fn media(&self) -> &Arc<dyn Media> {
        &self.media
    }

    /// What was wrong with its label when it was opened.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether new segments may be placed on it: neither read-only nor suspect, and listed.
    pub fn takes_writes(&self) -> bool {
        !self.read_only && !self.is_suspect() && !self.is_unlisted()
    }

    /// Whether the medium was read-only when it was opened.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether a write or sync on it has failed since it was opened.
    pub fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Acquire)
    }

    /// Records that a write or sync failed: nothing more is written to it until a person has looked and it is opened
    /// again.
    pub fn mark_suspect(&self) {
        self.suspect.store(true, Ordering::Release);
    }

    /// Whether its folders could not be listed, so that nobody knows all that is on it.
    pub fn is_unlisted(&self) -> bool {
        self.unlisted.load(Ordering::Acquire)
    }

    /// Records whether its folders could be listed.
    pub fn set_unlisted(&self, unlisted: bool) {
        self.unlisted.store(unlisted, Ordering::Release);
    }
}

/// Replaces both copies, one after the other: a crash leaves at least one that is good, old or new.
fn write_label(media: &dyn Media, label: &VolumeLabel) -> Result<()> {
    let format = |source| Error::Format { what: "label".into(), place: media.place(), source };
    let bytes = label.encode().map_err(format)?;
    [LABEL, LABEL_BAK].into_iter().try_for_each(|path| durable::replace(media, path, &bytes))
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

/// Reads one copy of the label.
fn read_copy(media: &dyn Media, path: &str) -> LabelCopy {
    // A label of any version fits in one block; a byte more is asked for so that trailing bytes are noticed.
    let mut bytes = vec![0; BLOCK_BYTES + 1];
    match media.open(path).and_then(|file| file.read_at(0, &mut bytes)) {
        Ok(len) => VolumeLabel::decode(&bytes[..len]).map_err(Flaw::Damaged),
        Err(Error::NotFound { .. }) => Err(Flaw::Missing),
        Err(error) => Err(Flaw::Unreadable(error)),
    }
}

/// Decides which copy counts and what is wrong with the other.
fn choose(place: &str, first: LabelCopy, second: LabelCopy) -> Result<(VolumeLabel, Vec<Finding>)> {
    let place = || place.to_owned();
    match (first, second) {
        (Err(Flaw::Damaged(source)), _) | (_, Err(Flaw::Damaged(source)))
            if source.kind() == ErrorKind::Unsupported =>
        {
            Err(Error::LabelUnsupported { place: place(), source })
        }
        (Ok(first), Ok(second)) if first == second => Ok((first, Vec::new())),
        (Ok(first), Ok(second)) if first.id != second.id || first.generation == second.generation => {
            let source = FormatError::Invalid { what: "volume label", why: "its two copies contradict each other" };
            Err(Error::LabelDamaged { place: place(), source })
        }
        (Ok(first), Ok(second)) => {
            let first_is_newer = first.generation > second.generation;
            let (good, older, path) = if first_is_newer { (first, second, LABEL_BAK) } else { (second, first, LABEL) };
            let why = format!("it has generation {}, the other copy {}", older.generation, good.generation);
            Ok(with_finding(good, path, why))
        }
        (Ok(good), Err(flaw)) => Ok(with_finding(good, LABEL_BAK, flaw.to_string())),
        (Err(flaw), Ok(good)) => Ok(with_finding(good, LABEL, flaw.to_string())),
        (Err(Flaw::Unreadable(error)), Err(_)) | (Err(_), Err(Flaw::Unreadable(error))) => Err(error),
        (Err(Flaw::Damaged(source)), Err(_)) | (Err(_), Err(Flaw::Damaged(source))) => {
            Err(Error::LabelDamaged { place: place(), source })
        }
        (Err(Flaw::Missing), Err(Flaw::Missing)) => Err(Error::LabelMissing { place: place() }),
    }
}

fn with_finding(label: VolumeLabel, path: &str, why: String) -> (VolumeLabel, Vec<Finding>) {
    let finding = Finding::new(Place::volume(label.id), Defect::Label { path: path.to_owned(), why });
    (label, vec![finding])
}
