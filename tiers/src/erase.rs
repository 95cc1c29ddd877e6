//! Erasing: overwriting a shard file where it lies, several times, reading back that it was, and only then removing it.
//!
//! Invariants
//! - Only a file that is about to be removed is overwritten, and only one of a segment that every volume lists as removed.
//! - "Overwritten" is said after the last pass was synced and every byte of it was read back past the cache.
//! - Where a medium does not overwrite in place, the file is removed and nothing more is said.
//! - What was done to a copy is told before its file goes, so that no kill can leave it gone and unexplained.
//!
//! Not here: which segments go (the store), what flash or a store keeps of what was overwritten (nobody can see that from here).
//! Source: guideline 7.8-R1, 7.5.4-M1.

use crate::compact::Compacted;
use crate::finding::{Defect, Finding, Place};
use crate::layout::{BLOCK_BYTES, SEGMENTS, TEMPORARY, hospital_dir, parse_shard_name};
use crate::mount::Mount;
use crate::pace::Pace;
use crate::tier::SegmentState;
use crate::{AlignedBuf, Error, MediaFile, Result, Tier};
use shosoin_protocol::{HospitalId, SegmentId, VolumeId};
use std::sync::Arc;

/// Bytes written or read back at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What one copy of a shard went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasedCopy {
    /// whose
    pub hospital: HospitalId,
    /// segment
    pub segment: SegmentId,
    /// which shard
    pub shard: u8,
    /// on which volume
    pub volume: VolumeId,
    /// length of the file
    pub bytes: u64,
    /// what was done
    pub how: How,
}

/// What was done to a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// overwritten so often, and read back
    Overwritten(u8),
    /// its medium does not overwrite in place: its file is removed
    OnlyRemoved,
    /// nothing could be done now, for this reason
    Left(String),
}

/// Takes each copy as it is dealt with; an error ends the work, and the copy's file stays.
pub type Told<'a> = dyn FnMut(ErasedCopy) -> Result<()> + 'a;

impl Tier {
    /// Like [`Tier::remove_segment`], but every copy is overwritten `passes` times before it goes. Copies that could not be
    /// dealt with now are told too, and given as findings.
    pub fn erase_segment(
        &self,
        proof: Compacted,
        passes: u8,
        pace: &dyn Pace,
        told: &mut Told<'_>,
    ) -> Result<Vec<Finding>> {
        let (id, hospital) = (proof.segment(), proof.hospital());
        let _working = self.access.begin_work(id)?;
        let segment = self.removable(&proof)?;
        self.note_removed(id, segment.identity.code.m())?;
        let mut left = Vec::new();
        for (shard, mount) in segment.copies() {
            let path = segment.identity.path(shard.into());
            let how = erase(&mount, &path, passes, pace);
            let erased = self.end_copy((hospital, id, shard), &mount, &path, how, told)?;
            if matches!(erased, How::Left(_)) {
                left.push(Finding::new(Place::segment(id).shard(shard, Some(mount.id())), Defect::SegmentRemoved));
            }
            self.access.forget(id, shard.into());
            self.access.repairs.done(id, shard);
        }
        Ok(left)
    }

    /// Tells what was done to a copy, and removes its file.
    fn end_copy(
        &self,
        (hospital, segment, shard): (HospitalId, SegmentId, u8),
        mount: &Arc<Mount>,
        path: &str,
        how: Result<(How, u64)>,
        told: &mut Told<'_>,
    ) -> Result<How> {
        let (how, bytes) = match how {
            Err(Error::Stopped) => return Err(Error::Stopped),
            Err(error) => (How::Left(error.to_string()), 0),
            Ok(done) => done,
        };
        let volume = mount.id();
        let copy = ErasedCopy { hospital, segment, shard, volume, bytes, how };
        told(copy.clone())?;
        if matches!(copy.how, How::Left(_)) {
            return Ok(copy.how);
        }
        let (media, path) = (mount.volume.media().clone(), path.to_owned());
        let removed = mount.change("a removal", move || match media.remove(&path) {
            Ok(()) | Err(Error::NotFound { .. }) => media.sync_dir(crate::layout::parent(&path)),
            Err(error) => Err(error),
        });
        match removed {
            Ok(()) => Ok(copy.how),
            Err(error) => {
                let how = How::Left(error.to_string());
                told(ErasedCopy { how: how.clone(), ..copy })?;
                Ok(how)
            }
        }
    }

    /// Erases what volumes still have of removed segments, as those that were away, and removes unfinished files. Gives the
    /// number of files that went.
    pub fn sweep_erasing(&self, passes: u8, pace: &dyn Pace, told: &mut Told<'_>) -> Result<u64> {
        let mut swept = 0;
        for mount in self.mounts().into_iter().filter(|mount| mount.volume.takes_writes() && mount.answers()) {
            let media = mount.volume.media().clone();
            let Ok(folders) = mount.call("a listing", move || media.list(SEGMENTS)) else { continue };
            for hospital in folders.iter().filter_map(|folder| folder.name.parse().ok()) {
                swept += self.sweep_folder_erasing(&mount, hospital, passes, pace, told)?;
            }
        }
        Ok(swept)
    }

    fn sweep_folder_erasing(
        &self,
        mount: &Arc<Mount>,
        hospital: HospitalId,
        passes: u8,
        pace: &dyn Pace,
        told: &mut Told<'_>,
    ) -> Result<u64> {
        let (media, folder) = (mount.volume.media().clone(), hospital_dir(hospital));
        let dir = folder.clone();
        let mut swept = 0;
        for file in mount.call("a listing", move || media.list(&dir)).unwrap_or_default() {
            let whole = file.name.strip_suffix(TEMPORARY).unwrap_or(&file.name);
            let Some((segment, shard)) = parse_shard_name(whole) else { continue };
            let is_removed = self.access.removed.read().contains(&segment);
            if whole.len() == file.name.len() && !is_removed {
                continue;
            }
            let Ok(_working) = self.access.begin_work(segment) else { continue }; // it may be one that is being written
            let path = format!("{folder}/{}", file.name);
            let how = erase(mount, &path, passes, pace);
            let done = self.end_copy((hospital, segment, shard), mount, &path, how, told)?;
            swept += u64::from(!matches!(done, How::Left(_)));
        }
        Ok(swept)
    }

    /// The segment of a proof, if it may be removed: it is the one that was compacted, closed, and what was moved is elsewhere.
    pub(crate) fn removable(&self, proof: &Compacted) -> Result<Arc<crate::segment::Segment>> {
        let id = proof.segment();
        let segment = self.segment(id)?;
        if !proof.is_of(&segment) || segment.state() != SegmentState::Closed {
            return Err(Error::SegmentUnclosed { segment: id, why: "it is not the one that was compacted" });
        }
        for moved in proof.moved() {
            if moved.to.segment == id {
                return Err(Error::SegmentUnclosed { segment: id, why: "a record was moved within it" });
            }
            self.segment(moved.to.segment)?;
        }
        Ok(segment)
    }

    /// Closes the open ones among these segments, so that they can be compacted.
    pub fn close_segments(&self, segments: &std::collections::BTreeSet<SegmentId>) {
        self.close_writers(|open| segments.contains(&open.id));
    }

    /// Every volume that a copy of a segment is on, with the shard, spare copies too.
    pub fn copies_on(&self, segment: SegmentId) -> Vec<(u8, VolumeId)> {
        let Ok(found) = self.segment(segment) else { return Vec::new() };
        found.copies().map(|(shard, mount)| (shard, mount.id())).collect()
    }
}

/// What the last pass leaves, and the one before it, and so on.
fn pattern(passes_left: u8) -> u8 {
    match passes_left {
        0 => 0x00,
        left if left.is_multiple_of(2) => 0x55,
        _ => 0xff,
    }
}

/// Overwrites a file and reads it back, as far as its medium can; gives what was done, and its length.
fn erase(mount: &Arc<Mount>, path: &str, passes: u8, pace: &dyn Pace) -> Result<(How, u64)> {
    if !mount.volume.takes_writes() || !mount.answers() {
        return Ok((How::Left("its volume takes no writes now".to_owned()), 0));
    }
    let (media, name) = (mount.volume.media().clone(), path.to_owned());
    let opened = mount.call("opening a file to overwrite it", move || {
        let bytes = media.open(&name)?.len()?;
        Ok((media.open_to_overwrite(&name)?, bytes))
    });
    let (file, bytes) = match opened {
        Ok((Some(file), bytes)) if passes > 0 => (file, bytes),
        Ok((_, bytes)) => return Ok((How::OnlyRemoved, bytes)),
        Err(error) => return Err(error),
    };
    for left in (0..passes).rev() {
        overwrite(mount, &file, bytes, pattern(left), pace)?;
    }
    confirm(mount, &file, bytes, pattern(0), pace)?;
    Ok((How::Overwritten(passes), bytes))
}

/// Pieces of a file, the last one up to the next whole block.
fn pieces(bytes: u64) -> impl Iterator<Item = (u64, usize)> {
    let end = bytes.next_multiple_of(BLOCK_BYTES as u64);
    (0..end).step_by(PIECE_BYTES).map(move |at| {
        let len = usize::try_from(end - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        (at, len)
    })
}

fn overwrite(mount: &Mount, file: &Arc<dyn MediaFile>, bytes: u64, pattern: u8, pace: &dyn Pace) -> Result<()> {
    let mut buffer = zeros(PIECE_BYTES);
    buffer.fill(pattern);
    for (at, len) in pieces(bytes) {
        pace.spend(len as u64)?;
        let file = file.clone();
        buffer = mount.change("an overwrite", move || file.write_at(at, &buffer[..len]).map(|()| buffer))?;
    }
    let file = file.clone();
    mount.change("a sync of an overwrite", move || file.sync())
}

fn confirm(mount: &Mount, file: &Arc<dyn MediaFile>, bytes: u64, pattern: u8, pace: &dyn Pace) -> Result<()> {
    for (at, len) in pieces(bytes) {
        pace.spend(len as u64)?;
        let (file, place) = (file.clone(), mount.volume.media().place());
        mount.call("reading an overwrite back", move || {
            let mut buffer = AlignedBuf::default();
            file.read_past_cache(at, len, &mut buffer)?;
            match buffer.len() == len && buffer.iter().all(|byte| *byte == pattern) {
                true => Ok(()),
                false => Err(Error::NotErased { place, at }),
            }
        })?;
    }
    Ok(())
}

fn zeros(bytes: usize) -> AlignedBuf {
    let mut buffer = AlignedBuf::with_capacity(bytes);
    buffer.resize(bytes);
    buffer
}
