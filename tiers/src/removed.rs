//! The list of removed segments, of which every volume keeps a copy: what was compacted away stays away, whichever volumes come
//! back, and though nothing is left but media.
//!
//! Invariants
//! - A segment is on the list before the first of its shards goes, on more volumes than may be lost together.
//! - What any volume in use says is removed is removed; the others are told. A suspect volume is not asked: it may be an old
//!   image, or one that was given up and is there again.
//! - A volume that comes while the tier runs cannot remove a segment that is in use. Its list is written anew.
//! - Ids are never taken off the list: they are random, and none is used twice.
//!
//! Why a list and not a mark beside the shards: one that is read whole and has a checksum cannot be half seen.

use crate::durable;
use crate::finding::{Defect, Finding, Place};
use crate::layout::REMOVED;
use crate::media::Media;
use crate::mount::Mount;
use crate::{Error, Result, Tier};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Error as FormatError, SegmentId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// First bytes of the list.
pub const MAGIC: [u8; 4] = *b"shrm";
/// Version of its format.
pub const VERSION: u8 = 1;
/// Segments it may name: a thousand segments removed each day for more than a thousand days, 16 MiB on each volume.
pub const REMOVED_MAX: usize = 1 << 20;

const CHECKSUM_BYTES: usize = 32;
const FILE_BYTES_MAX: usize = 16 + REMOVED_MAX * SegmentId::LEN + CHECKSUM_BYTES;

/// The file.
pub fn encode(removed: &BTreeSet<SegmentId>) -> Vec<u8> {
    let mut out = Writer::with_capacity(16 + removed.len() * SegmentId::LEN + CHECKSUM_BYTES);
    out.put(&MAGIC).u8(VERSION).put(&[0; 3]).count(removed.len());
    for segment in removed {
        out.put(&segment.0);
    }
    let mut bytes = out.finish();
    let checksum = sha256(&[&bytes]);
    bytes.extend_from_slice(&checksum.0);
    bytes
}

/// The list in a whole file. Ids must ascend, so that a list has one form.
pub fn decode(bytes: &[u8]) -> shosoin_protocol::Result<BTreeSet<SegmentId>> {
    let what = "list of removed segments";
    let truncated = FormatError::Truncated { what, needed: CHECKSUM_BYTES, left: bytes.len() };
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(truncated)?;
    if sha256(&[content]).0 != *checksum {
        return Err(FormatError::Invalid { what, why: "its checksum is another" });
    }
    let mut reader = Reader::new(content, what);
    if reader.array::<4>("magic")? != MAGIC {
        return Err(FormatError::Magic { what });
    }
    match reader.u8("version")? {
        VERSION => {}
        found => return Err(FormatError::Version { what, found, known: VERSION }),
    }
    if reader.array::<3>("reserved")? != [0; 3] {
        return Err(FormatError::Invalid { what, why: "its reserved bytes are not zero" });
    }
    let mut removed = BTreeSet::new();
    for _ in 0..reader.count(REMOVED_MAX, "removed segments")? {
        let segment = SegmentId::read(&mut reader)?;
        if removed.last().is_some_and(|last| *last >= segment) {
            return Err(FormatError::Invalid { what, why: "its ids do not ascend" });
        }
        removed.insert(segment);
    }
    reader.finish()?;
    Ok(removed)
}

/// The list on one volume; empty where there is none.
fn read(media: &dyn Media) -> Result<BTreeSet<SegmentId>> {
    let file = match media.open(REMOVED) {
        Ok(file) => file,
        Err(Error::NotFound { .. }) => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX).min(FILE_BYTES_MAX + 1);
    let mut bytes = vec![0; len];
    let len = file.read_at(0, &mut bytes)?;
    decode(&bytes[..len]).map_err(|source| Error::Format { what: REMOVED.into(), place: media.place(), source })
}

/// The list on a volume that is believed; one that is not good is a finding.
fn believed(mount: &Mount, findings: &mut Vec<Finding>) -> BTreeSet<SegmentId> {
    if mount.volume.is_suspect() {
        return BTreeSet::new();
    }
    read(&**mount.volume.media()).unwrap_or_else(|error| {
        let defect = Defect::RemovedUnlisted { why: error.to_string() };
        findings.push(Finding::new(Place::volume(mount.id()), defect));
        BTreeSet::new()
    })
}

/// What the volumes together say was removed.
pub(crate) fn gather(mounts: &[Arc<Mount>]) -> (BTreeSet<SegmentId>, Vec<Finding>) {
    let mut findings = Vec::new();
    let removed = mounts.iter().flat_map(|mount| believed(mount, &mut findings)).collect();
    (removed, findings)
}

fn write(mount: &Mount, bytes: &[u8]) -> bool {
    if !mount.volume.takes_writes() || !mount.answers() {
        return false;
    }
    let written = durable::replace(&**mount.volume.media(), REMOVED, bytes);
    mount.note_write(&written);
    written.is_ok()
}

impl Tier {
    /// Whether a segment was removed by a compaction.
    pub fn is_removed(&self, segment: SegmentId) -> bool {
        self.access.removed.read().contains(&segment)
    }

    /// Tells the volumes whose list is another. An empty list is never written over one that could not be read.
    pub(crate) fn tell_removed(&self) {
        let removed = self.access.removed.read().clone();
        if removed.is_empty() {
            return;
        }
        let knows = |mount: &Mount| read(&**mount.volume.media()).is_ok_and(|list| list == removed);
        for mount in self.mounts().iter().filter(|mount| !knows(mount)) {
            write(mount, &encode(&removed));
        }
    }

    /// Takes in what the list of a volume that comes says, but for segments that are in use.
    pub(crate) fn meet_removed(&self, mount: &Arc<Mount>) -> Vec<Finding> {
        let mut findings = Vec::new();
        let list = believed(mount, &mut findings);
        let unused = list.iter().filter(|id| self.segment(**id).is_err()).copied();
        let known = {
            let mut removed = self.access.removed.write();
            removed.extend(unused);
            removed.clone()
        };
        if findings.is_empty() && list != known {
            write(mount, &encode(&known));
        }
        findings
    }

    /// Makes it durable that a segment is removed, on more volumes than its code may lose. From the first write on it counts as
    /// removed, whatever comes of the others.
    pub(crate) fn note_removed(&self, segment: SegmentId, may_lose: usize) -> Result<()> {
        let (needed, mounts) = (may_lose + 1, self.mounts());
        let writable = mounts.iter().filter(|mount| mount.volume.takes_writes() && mount.answers()).count();
        if writable < needed {
            return Err(Error::NoWritableMedia { needed, writable });
        }
        let list = {
            let mut removed = self.access.removed.write();
            if removed.len() >= REMOVED_MAX {
                let source = FormatError::OverLimit {
                    what: "removed segments",
                    found: removed.len() as u64 + 1,
                    limit: REMOVED_MAX as u64,
                };
                return Err(Error::Format { what: REMOVED.into(), place: "every volume".into(), source });
            }
            removed.insert(segment);
            encode(&removed)
        };
        self.forget_segment(segment);
        match mounts.iter().filter(|mount| write(mount, &list)).count() {
            noted if noted >= needed => Ok(()),
            writable => Err(Error::NoWritableMedia { needed, writable }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_and_no_byte_of_it_may_be_another() {
        for ids in [vec![], vec![3], vec![1, 2, 9]] {
            let removed: BTreeSet<SegmentId> = ids.into_iter().map(|id| SegmentId([id; 16])).collect();
            let bytes = encode(&removed);
            assert_eq!(decode(&bytes).unwrap(), removed);
            (0..bytes.len()).for_each(|len| assert!(decode(&bytes[..len]).is_err(), "cut to {len}"));
            for at in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1;
                assert!(decode(&flipped).is_err(), "byte {at}");
            }
        }
    }
}
