//! Mount: a volume in use by a tier, with its lane and with what happened to it since it was opened.

use crate::lane::Lane;
use crate::tier::{Threads, VolumeState, VolumeStatus};
use crate::volume::TierKind;
use crate::{Error, Result, Volume};
use shosoin_protocol::VolumeId;
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
    read_errors: AtomicU64,
}

impl Mount {
    /// Puts a volume to use.
    pub fn start(volume: Volume, threads: Threads) -> Result<Self> {
        let lane = match threads {
            Threads::PerVolume => Lane::start(format!("volume {}", volume.id()))?,
            Threads::None => Lane::inline(),
        };
        Ok(Mount {
            lane,
            volume,
            draining: AtomicBool::new(false),
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
                let free = self.volume.media().space().map_or(0, |space| space.free_bytes);
                self.full_until_free_bytes.store(free.saturating_add(ROOM_REGAINED_BYTES), Ordering::Release);
            }
            Err(error) => {
                tracing::error!(volume = %self.id(), %error, "a write failed, the volume is suspect");
                self.volume.mark_suspect();
            }
        }
    }

    /// Records that a read failed.
    pub fn note_read_error(&self) {
        self.read_errors.fetch_add(1, Ordering::Relaxed);
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
        self.volume.takes_writes() && !self.draining.load(Ordering::Acquire)
    }

    /// Free bytes, if it takes new shards now.
    pub fn room(&self) -> Option<u64> {
        match self.state() {
            VolumeState::Writable => self.volume.media().space().ok().map(|space| space.free_bytes),
            _ => None,
        }
    }

    /// How it is doing.
    pub fn state(&self) -> VolumeState {
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
        let regained = || self.volume.media().space().is_ok_and(|space| space.free_bytes >= until);
        match until == 0 || regained() {
            true => VolumeState::Writable,
            false => VolumeState::Full,
        }
    }

    /// What `status` shows of a volume with `shards` shards.
    pub fn status(&self, shards: u32) -> VolumeStatus {
        let space = self.volume.media().space().ok();
        VolumeStatus {
            id: self.id(),
            place: self.volume.media().place(),
            state: self.state(),
            free_bytes: space.map(|space| space.free_bytes),
            total_bytes: space.map(|space| space.total_bytes),
            write_mode: self.volume.media().write_mode(),
            shards,
            read_errors: self.read_errors.load(Ordering::Relaxed),
        }
    }
}
