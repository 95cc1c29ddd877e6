//! Mount: a volume in use by a tier, with its lane and with what happened to it since it was opened.

use crate::bounded::Bounded;
use crate::lane::{Begun, Lane};
use crate::media::Space;
use crate::tier::{Threads, VolumeState, VolumeStatus};
use crate::volume::TierKind;
use crate::wait::{Owed, Reader, Wait, fill};
use crate::{AlignedBuf, Error, Media, MediaFile, Result, Volume};
use shosoin_protocol::VolumeId;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A volume that ran full takes new shards again when this many more bytes are free.
const ROOM_REGAINED_BYTES: u64 = 64 * 1024 * 1024;

/// A volume in use.
#[derive(Debug)]
pub struct Mount {
    /// the volume
    pub volume: Volume,
    /// the thread that writes to it
    pub lane: Lane,
    /// free bytes at which it counts as writable again after it ran full; 0 when it did not
    full_until_free_bytes: AtomicU64,
    /// it gets no new shards, because what it holds moves elsewhere
    draining: AtomicBool,
    /// its label could not be found where it was
    away: AtomicBool,
    /// what was found on it is in the catalogue
    taken_in: AtomicBool,
    /// calls that it did not answer in time
    owed: Owed,
    /// threads for small calls
    small: Bounded,
    threads: Threads,
    wait: Wait,
    read_errors: AtomicU64,
}

/// Id and generation of the label that is on a medium now.
pub fn label_at(media: &Arc<dyn Media>) -> Result<(VolumeId, u64)> {
    Volume::open(media.clone()).map(|volume| (volume.id(), volume.label().generation))
}

/// A read that was begun.
pub enum Reading {
    /// it is done
    Done(Result<()>, AlignedBuf),
    /// a thread does it
    Waits(Reader),
}

impl Reading {
    /// What was read. Where the volume did not answer in time it keeps the memory.
    pub fn end(self) -> (Result<()>, AlignedBuf) {
        match self {
            Reading::Done(read, buffer) => (read, buffer),
            Reading::Waits(mut reader) => reader.answer().unwrap_or_else(|error| (Err(error), AlignedBuf::default())),
        }
    }
}

impl Mount {
    /// Puts a volume to use.
    pub fn start(volume: Volume, threads: Threads, wait: Wait) -> Result<Self> {
        let place = volume.media().place();
        let lane = match threads {
            Threads::PerVolume => Lane::start(format!("volume {}", volume.id()), place, wait.clone())?,
            Threads::None => Lane::inline(place, wait.clone()),
        };
        Ok(Mount {
            lane,
            volume,
            draining: AtomicBool::new(false),
            away: AtomicBool::new(false),
            taken_in: AtomicBool::new(false),
            owed: Owed::default(),
            small: Bounded::default(),
            threads,
            wait,
            full_until_free_bytes: AtomicU64::new(0),
            read_errors: AtomicU64::new(0),
        })
    }

    /// Its id.
    pub fn id(&self) -> VolumeId {
        self.volume.id()
    }

    /// Records what a write or sync gave: after a failure the volume gets no new shards.
    pub fn note_write<T>(&self, result: &Result<T>) {
        match result {
            Ok(_) => {}
            Err(Error::NoSpace { .. }) => {
                let free = self.space().map_or(0, |space| space.free_bytes);
                self.full_until_free_bytes.store(free.saturating_add(ROOM_REGAINED_BYTES), Ordering::Release);
            }
            Err(error) => {
                tracing::error!(volume = %self.id(), %error, "a write failed, the volume is suspect");
                self.volume.mark_suspect();
            }
        }
    }

    /// Records that a read failed, and looks whether the volume is still there.
    pub fn note_read_error(&self, error: &Error) {
        self.read_errors.fetch_add(1, Ordering::Relaxed);
        if !matches!(error, Error::Slow { .. } | Error::VolumeAway { .. }) {
            self.look();
        }
    }

    /// Looks whether the volume is where it was.
    pub fn look(&self) {
        let known = self.volume.label().generation;
        self.judge(known, label_at(self.volume.media()));
    }

    /// The volume is there if what was found where it was is its label, of the generation `known` before that look or a
    /// later one, or a label that nobody can read: what lies on it is verified anyway. While it is not there, nothing is
    /// read from it.
    pub fn judge(&self, known: u64, found: Result<(VolumeId, u64)>) {
        let id = self.id();
        let is_here = match &found {
            Ok((found, generation)) => *found == id && *generation >= known,
            Err(error) => matches!(error, Error::LabelDamaged { .. }),
        };
        if self.away.swap(!is_here, Ordering::AcqRel) == is_here {
            let place = self.volume.media().place();
            tracing::warn!(volume = %id, place, is_here, ?found, "a volume went away or came back");
        }
    }

    /// Whether all that is on it is in the catalogue. Until then nothing may be concluded from what is not.
    pub fn is_known(&self) -> bool {
        self.taken_in.load(Ordering::Acquire) && !self.volume.is_unlisted()
    }

    /// What was found on it is in the catalogue.
    pub fn set_known(&self) {
        self.taken_in.store(true, Ordering::Release);
    }

    /// Whether it can be read now: it is there, and owes no answer.
    pub fn answers(&self) -> bool {
        !self.away.load(Ordering::Acquire) && self.owed.is_none()
    }

    /// Begins a read past the cache. Nobody waits for it too long, but where the tier has no threads.
    pub fn read(&self, file: &Arc<dyn MediaFile>, piece: Range<u64>, mut buffer: AlignedBuf) -> Reading {
        if self.threads == Threads::None {
            let place = self.volume.media().place();
            let read = self.wait.here(&place, "a read", || fill(&**file, &piece, &mut buffer));
            return Reading::Done(read, buffer);
        }
        match self.reader(file).and_then(|mut reader| reader.ask(piece, buffer).map(|()| reader)) {
            Ok(reader) => Reading::Waits(reader),
            Err(error) => Reading::Done(Err(error), AlignedBuf::default()),
        }
    }

    /// Reads a small piece past the cache; like [`read`](Self::read) where that is not worth a thread of its own.
    pub fn read_small(&self, file: &Arc<dyn MediaFile>, piece: Range<u64>, mut buffer: AlignedBuf) -> Reading {
        let file = file.clone();
        match self.call("a read", move || Ok((fill(&*file, &piece, &mut buffer), buffer))) {
            Ok((read, buffer)) => Reading::Done(read, buffer),
            Err(error) => Reading::Done(Err(error), AlignedBuf::default()),
        }
    }

    /// Makes a small call that is waited for no longer than a volume may take.
    pub fn call<T, F>(&self, what: &'static str, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let place = self.volume.media().place();
        match self.threads {
            Threads::None => self.wait.here(&place, what, call),
            Threads::PerVolume => self.small.call(&place, what, &self.wait, &self.owed, call),
        }
    }

    /// Changes something on the lane of the volume, behind the writes that wait there, and notes how it went.
    pub fn change<T, F>(&self, what: &'static str, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let begun = self.lane.begin(what, job);
        self.end_change(what, begun)
    }

    /// Waits for a change that was begun on the lane, and notes how it went.
    pub fn end_change<T>(&self, what: &'static str, begun: Begun<T>) -> Result<T> {
        let done = self.lane.end(what, begun);
        self.note_write(&done);
        done
    }

    /// A thread that reads from one file of the volume, as long as it answers in time.
    pub fn reader(&self, file: &Arc<dyn MediaFile>) -> Result<Reader> {
        Reader::start(file.clone(), self.volume.media().place(), &self.wait, &self.owed)
    }

    /// Whether what is read may be read ahead on other threads.
    pub fn has_threads(&self) -> bool {
        self.threads == Threads::PerVolume
    }

    /// Stops or allows new shards on it.
    pub fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Release);
    }

    /// Whether new segments may begin on it: archive media get whole closed shards only.
    pub fn takes_segments(&self) -> bool {
        self.volume.label().tier == TierKind::Hot
    }

    /// Whether a writer may go on with the shards it has on it.
    pub fn takes_stripes(&self) -> bool {
        self.volume.takes_writes() && self.answers() && !self.draining.load(Ordering::Acquire)
    }

    /// The room on its medium, where that says so in time.
    fn space(&self) -> Option<Space> {
        let media = self.volume.media().clone();
        self.call("a look at its room", move || media.space()).ok()
    }

    /// Free bytes, if it takes new shards now.
    pub fn room(&self) -> Option<u64> {
        match self.state() {
            VolumeState::Writable => self.space().map(|space| space.free_bytes),
            _ => None,
        }
    }

    /// How it is doing.
    pub fn state(&self) -> VolumeState {
        if !self.answers() {
            return VolumeState::Away;
        }
        if self.volume.is_unlisted() {
            return VolumeState::Unlisted;
        }
        if self.volume.is_suspect() {
            return VolumeState::Suspect;
        }
        if self.volume.is_read_only() {
            return VolumeState::ReadOnly;
        }
        if self.draining.load(Ordering::Acquire) {
            return VolumeState::Draining;
        }
        let until = self.full_until_free_bytes.load(Ordering::Acquire);
        let regained = || self.space().is_some_and(|space| space.free_bytes >= until);
        match until == 0 || regained() {
            true => VolumeState::Writable,
            false => VolumeState::Full,
        }
    }

    /// What `status` shows of a volume with `shards` shards.
    pub fn status(&self, shards: u32) -> VolumeStatus {
        let space = self.space();
        VolumeStatus {
            id: self.id(),
            place: self.volume.media().place(),
            state: self.state(),
            free_bytes: space.map(|space| space.free_bytes),
            total_bytes: space.map(|space| space.total_bytes),
            write_mode: self.volume.media().write_mode(),
            shards,
            read_errors: self.read_errors.load(Ordering::Relaxed),
            listed: self.is_known(),
        }
    }
}
