//! A shard file that is being written anew: a temporary file beside the place it is for, which takes that place only after
//! all of it was synced, read back past the cache, and found to be what the segment's table says, or what was left of units
//! that are lost.
//!
//! Invariants
//! - Whatever was at that place stays until then, and is replaced in one step.
//! - A failed call is never repeated on the same file; the volume is noted, and the file is given up.

use crate::blueprint::{Blueprint, judge_slot};
use crate::bug::{self, Bug};
use crate::durable;
use crate::job::LostUnits;
use crate::layout::{TEMPORARY, parent};
use crate::media::WriteUnit;
use crate::mount::Mount;
use crate::pace::Pace;
use crate::segment::Identity;
use crate::{AlignedBuf, Error, MediaFile, Result};
use std::sync::Arc;

/// Zeros between stripes and footer are written, and read back, in pieces of this many bytes.
const PIECE_BYTES: u64 = 1 << 20;

/// Why a shard file was not finished.
pub enum Trouble {
    /// its volume failed: another one may do
    Target(Error),
    /// the work is to stop
    Stop(Error),
}

/// A shard file that is being written.
pub struct NewShard {
    shard: usize,
    mount: Arc<Mount>,
    path: String,
    file: Arc<dyn MediaFile>,
    at: u64,
}

impl NewShard {
    /// Creates the temporary file. One that an earlier attempt left is removed; it was never promised to anyone.
    pub fn begin(identity: Identity, shard: usize, mount: Arc<Mount>) -> Result<Self> {
        let path = identity.path(shard);
        let (media, name) = (mount.volume.media().clone(), path.clone());
        let create = move || {
            media.make_dir(parent(&name))?;
            durable::begin(&*media, &name, WriteUnit::Blocks)
        };
        let file = mount.change("creating a shard file", create)?;
        Ok(NewShard { file, shard, mount, path, at: 0 })
    }

    /// The volume it is written to.
    pub fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    /// Appends whole blocks, and gives the memory back.
    pub fn write(&mut self, bytes: AlignedBuf) -> Result<AlignedBuf> {
        let (file, at) = (self.file.clone(), self.at);
        self.at += bytes.len() as u64;
        self.mount.change("writing a shard file", move || file.write_at(at, &bytes).map(|()| bytes))
    }

    /// Ends the file, syncs it, reads all of it back past the cache, and puts it in its place, durably; `lost` are the
    /// stripes of which it has something else than the unit. Gives the bytes read back.
    pub fn finish(mut self, plan: &Blueprint, lost: &LostUnits, pace: &dyn Pace) -> Result<u64, Trouble> {
        let result = self.complete(plan, lost, pace);
        if result.is_err() {
            self.discard();
        }
        result
    }

    fn complete(&mut self, plan: &Blueprint, lost: &LostUnits, pace: &dyn Pace) -> Result<u64, Trouble> {
        debug_assert_eq!(self.at, plan.gap().start, "every stripe was written");
        self.write_end(plan, pace)?;
        let synced = self.file.sync();
        self.mount.note_write(&synced);
        synced.map_err(Trouble::Target)?;
        let reread = match bug::is(Bug::ReleaseBeforeVerify) {
            true => 0,
            false => self.read_back(plan, lost, pace)?,
        };
        let published = durable::publish(&**self.mount.volume.media(), &self.path);
        self.mount.note_write(&published);
        published.map_err(Trouble::Target)?;
        Ok(reread)
    }

    fn write_end(&mut self, plan: &Blueprint, pace: &dyn Pace) -> Result<(), Trouble> {
        let mut zeros = AlignedBuf::default();
        while self.at < plan.gap().end {
            let len = PIECE_BYTES.min(plan.gap().end - self.at);
            pace.spend(len).map_err(Trouble::Stop)?;
            zeros.resize(usize::try_from(len).unwrap_or_default());
            zeros = self.write(zeros).map_err(Trouble::Target)?;
        }
        let footer = plan.footer(self.shard);
        pace.spend(footer.len() as u64).map_err(Trouble::Stop)?;
        self.write(footer).map(drop).map_err(Trouble::Target)
    }

    /// Reads the file through a handle of its own and verifies every byte, by digests that were not made from it.
    fn read_back(&self, plan: &Blueprint, lost: &LostUnits, pace: &dyn Pace) -> Result<u64, Trouble> {
        let media = self.mount.volume.media();
        let file = media.open(&format!("{}{TEMPORARY}", self.path)).map_err(Trouble::Target)?;
        let mut back = ReadBack { new: self, file, pace, bytes: AlignedBuf::default() };
        for window in plan.windows() {
            back.read(window.at, window.len as u64)?;
            for no in window.stripes {
                let range = plan.stripe(no);
                let in_window = |at: u64| usize::try_from(at - window.at).unwrap_or(usize::MAX);
                let slot = &back.bytes[in_window(range.start)..in_window(range.end)];
                match lost.get(&no) {
                    Some(lost) if plan.identity.suite.digest(&[slot]) != lost.written => {
                        return Err(self.differs("it is not what was left of a lost unit"));
                    }
                    Some(_) => {}
                    None => {
                        judge_slot(plan, slot, self.shard, no).map_err(|defect| self.differs(&defect.to_string()))?
                    }
                }
            }
        }
        let mut at = plan.gap().start;
        while at < plan.gap().end {
            let len = PIECE_BYTES.min(plan.gap().end - at);
            back.read(at, len)?;
            if back.bytes.iter().any(|byte| *byte != 0) {
                return Err(self.differs("it is not zero before its footer"));
            }
            at += len;
        }
        back.read(at, plan.footer_len())?;
        let len = back.file.len().map_err(Trouble::Target)?;
        match *back.bytes == *plan.footer(self.shard) && len == plan.file_len() {
            true => Ok(len),
            false => Err(self.differs("its footer is another one")),
        }
    }

    fn differs(&self, why: &str) -> Trouble {
        let (place, path) = (self.mount.volume.media().place(), self.path.clone());
        tracing::error!(%place, %path, why, "what was written reads back otherwise");
        let error = Error::ReadBack { place, path, why: why.to_owned() };
        self.mount.note_read_error(&error);
        Trouble::Target(error)
    }

    /// Removes the temporary file, unless its volume failed; then it is left as what it is, and never trusted.
    pub fn discard(&self) {
        if !self.mount.volume.takes_writes() {
            return;
        }
        let (media, path) = (self.mount.volume.media().clone(), format!("{}{TEMPORARY}", self.path));
        if let Err(error) = self.mount.call("a removal", move || media.remove(&path)) {
            tracing::warn!(volume = %self.mount.id(), %error, "an unfinished shard file stays behind");
        }
    }
}

/// What is read back, piece by piece.
struct ReadBack<'a> {
    new: &'a NewShard,
    file: Arc<dyn MediaFile>,
    pace: &'a dyn Pace,
    bytes: AlignedBuf,
}

impl ReadBack<'_> {
    fn read(&mut self, at: u64, len: u64) -> Result<(), Trouble> {
        self.pace.spend(len).map_err(Trouble::Stop)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let reading = self.new.mount.read(&self.file, at..at + len as u64, std::mem::take(&mut self.bytes));
        let (read, bytes) = reading.end();
        self.bytes = bytes;
        read.map_err(Trouble::Target)?;
        match self.bytes.len() == len {
            true => Ok(()),
            false => Err(self.new.differs("it ends early")),
        }
    }
}
