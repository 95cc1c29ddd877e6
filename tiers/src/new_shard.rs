//! A shard file that is being written anew: a temporary file beside the place it is for, which takes that place only after
//! all of it was synced, read back past the cache, and found to be what the segment's table says, or what was left of units
//! that are lost.
//!
//! Invariants
//! - Whatever was at that place stays until then, and is replaced in one step.
//! - A failed call is never repeated on the same file; the volume is noted, and the file is given up.
//! - One piece is written while the next is made, and read back while the last is verified: memory is two pieces.

use crate::blueprint::{Blueprint, Window, judge_slot};
use crate::bug::{self, Bug};
use crate::durable;
use crate::job::LostUnits;
use crate::lane::Begun;
use crate::layout::{TEMPORARY, parent};
use crate::media::WriteUnit;
use crate::mount::Mount;
use crate::pace::Pace;
use crate::segment::Identity;
use crate::unit::slot;
use crate::{AlignedBuf, Error, MediaFile, Result};
use std::ops::Range;
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
    /// the last piece, while it is being written
    writing: Option<Begun<AlignedBuf>>,
}

/// What writing a piece is called where it fails.
const WRITING: &str = "writing a shard file";

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
        Ok(NewShard { file, shard, mount, path, at: 0, writing: None })
    }

    /// The volume it is written to.
    pub fn mount(&self) -> &Arc<Mount> {
        &self.mount
    }

    /// Appends whole blocks behind those before, which must be written first, and gives other memory back. How these fare
    /// may be said only by the next call.
    pub fn write(&mut self, bytes: AlignedBuf) -> Result<AlignedBuf> {
        let free = self.end_write()?;
        let (file, at) = (self.file.clone(), self.at);
        self.at += bytes.len() as u64;
        match self.mount.lane.begin(WRITING, move || file.write_at(at, &bytes).map(|()| bytes)) {
            done @ Begun::Done(_) => self.mount.end_change(WRITING, done),
            waits => {
                self.writing = Some(waits);
                Ok(free)
            }
        }
    }

    /// Waits until everything is written; gives memory that is not used any more.
    fn end_write(&mut self) -> Result<AlignedBuf> {
        self.writing.take().map_or(Ok(AlignedBuf::default()), |begun| self.mount.end_change(WRITING, begun))
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
        self.end_write().map_err(Trouble::Target)?;
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
            zeros.resize(0); // it may be memory that held something else
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
        let (mut free, mut ahead) = (AlignedBuf::default(), None);
        for part in parts(plan).map(Some).chain([None]) {
            let next = match part {
                Some(part) => {
                    let range = part.range();
                    pace.spend(range.end - range.start).map_err(Trouble::Stop)?;
                    Some((part, self.mount.read(&file, range, std::mem::take(&mut free))))
                }
                None => None,
            };
            if let Some((part, reading)) = std::mem::replace(&mut ahead, next) {
                let (read, bytes) = reading.end();
                read.map_err(Trouble::Target)?;
                self.verify(plan, lost, &part, &bytes)?;
                free = bytes;
            }
        }
        match file.len().map_err(Trouble::Target)? {
            len if len == plan.file_len() => Ok(len),
            _ => Err(self.differs("it has another length")),
        }
    }

    /// Refuses what is not what was to be written.
    fn verify(&self, plan: &Blueprint, lost: &LostUnits, part: &Part, bytes: &[u8]) -> Result<(), Trouble> {
        let range = part.range();
        if bytes.len() as u64 != range.end - range.start {
            return Err(self.differs("it ends early"));
        }
        match part {
            Part::Stripes(window) => window.stripes.clone().try_for_each(|no| {
                let slot = &bytes[slot(plan, window, no)];
                match lost.get(&no) {
                    Some(lost) if plan.identity.suite.digest(&[slot]) == lost.written => Ok(()),
                    Some(_) => Err(self.differs("it is not what was left of a lost unit")),
                    None => judge_slot(plan, slot, self.shard, no).map_err(|defect| self.differs(&defect.to_string())),
                }
            }),
            Part::Zeros(_) if bytes.iter().any(|byte| *byte != 0) => {
                Err(self.differs("it is not zero before its footer"))
            }
            Part::Footer(_) if *bytes != *plan.footer(self.shard) => Err(self.differs("its footer is another one")),
            Part::Zeros(_) | Part::Footer(_) => Ok(()),
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
    pub fn discard(&mut self) {
        let _ = self.end_write(); // noted, and nobody wants what it wrote
        if !self.mount.volume.takes_writes() {
            return;
        }
        let (media, path) = (self.mount.volume.media().clone(), format!("{}{TEMPORARY}", self.path));
        if let Err(error) = self.mount.call("a removal", move || media.remove(&path)) {
            tracing::warn!(volume = %self.mount.id(), %error, "an unfinished shard file stays behind");
        }
    }
}

/// A part of a shard file that is read back in one go.
enum Part {
    Stripes(Window),
    Zeros(Range<u64>),
    Footer(Range<u64>),
}

impl Part {
    fn range(&self) -> Range<u64> {
        match self {
            Part::Stripes(window) => window.at..window.at + window.len as u64,
            Part::Zeros(range) | Part::Footer(range) => range.clone(),
        }
    }
}

/// Every part of a shard file, in order.
fn parts(plan: &Blueprint) -> impl Iterator<Item = Part> + '_ {
    let gap = plan.gap();
    let step = usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX);
    let zeros = gap.clone().step_by(step).map(move |at| Part::Zeros(at..gap.end.min(at + PIECE_BYTES)));
    plan.windows().map(Part::Stripes).chain(zeros).chain([Part::Footer(plan.gap().end..plan.file_len())])
}
