//! Media: the storage of one volume, as few calls as the engine needs and no more.
//!
//! Invariants
//! - A file is created once and only grows; nothing is overwritten, but for a file that is about to be removed (`erase`).
//!   Writes are whole blocks from aligned memory.
//! - Bytes are durable after [`MediaFile::sync`] of the file *and* [`Media::sync_dir`] of its folder, not before.
//! - After a failed write or sync a handle refuses every further write and sync: the failure is never retried.
//! - A folder that cannot be listed is an error, never an empty folder.
//!
//! Paths are relative to the volume, with `/` between names; `""` is the volume itself.
//! Source: Rebello et al., "Can Applications Recover from fsync Failures?", 2020.

mod faulty;
mod file;
mod hooked;
mod memory;
mod read_only;
mod recorded;

pub use faulty::{Faults, FaultyMedia};
pub use file::{FileMedia, FileOptions};
pub use hooked::{Call, Fault, Hook, Hooked, Op};
pub use memory::MemoryMedia;
pub use read_only::ReadOnlyMedia;
pub use recorded::{RecordedMedia, Recorder};

use crate::buffer::{AlignedBuf, is_aligned};
use crate::layout::BLOCK_BYTES;
use crate::{Error, Result};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The storage of one volume.
pub trait Media: Send + Sync + std::fmt::Debug {
    /// Where the volume is, as a person would find it; for errors and reports.
    fn place(&self) -> String;

    /// Everything directly inside the folder `dir`, sorted by name.
    fn list(&self, dir: &str) -> Result<Vec<Listed>>;

    /// Makes the folder `dir` and the folders it is in, durably. A folder that is there already is not an error.
    fn make_dir(&self, dir: &str) -> Result<()>;

    /// Creates a file that must not be there yet. Durable only after `sync` and `sync_dir`.
    fn create(&self, path: &str, unit: WriteUnit) -> Result<Arc<dyn MediaFile>>;

    /// Opens a file for reading; its handle refuses to write.
    fn open(&self, path: &str) -> Result<Arc<dyn MediaFile>>;

    /// Opens a file to write whole blocks behind its end: a recovered segment gets its footer there.
    fn open_to_append(&self, path: &str) -> Result<Arc<dyn MediaFile>>;

    /// Opens a file to overwrite it where it lies, in whole blocks; nothing where the medium does not overwrite in place, so that
    /// what is written would lie beside what was. Only `erase` calls this.
    fn open_to_overwrite(&self, path: &str) -> Result<Option<Arc<dyn MediaFile>>> {
        let _ = path;
        Ok(None)
    }

    /// Removes a file. Durable only after `sync_dir`.
    fn remove(&self, path: &str) -> Result<()>;

    /// Renames a file within its folder, replacing what is at `to`. Durable only after `sync_dir`. Only [`crate::durable`]
    /// calls this.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Makes creations, renames and removals in the folder `dir` durable.
    fn sync_dir(&self, dir: &str) -> Result<()>;

    /// Room on the medium, in bytes.
    fn space(&self) -> Result<Space>;

    /// Whether the medium takes no writes at all.
    fn is_read_only(&self) -> Result<bool>;

    /// Whether writes bypass the page cache.
    fn write_mode(&self) -> WriteMode;
}

/// One open file on a volume. Positions are bytes from the start of the file.
#[expect(clippy::len_without_is_empty, reason = "an empty file means nothing of its own on media")]
pub trait MediaFile: Send + Sync + std::fmt::Debug {
    /// Length in bytes.
    fn len(&self) -> Result<u64>;

    /// Fills `into` from `at` through the page cache; gives fewer bytes only where the file ends.
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize>;

    /// Reads `len_bytes` from the block boundary `at` into `into`, replacing what it held, and past the page cache
    /// where the medium can: this is what scrub and read-back see. Fewer bytes only where the file ends.
    fn read_past_cache(&self, at: u64, len_bytes: usize, into: &mut AlignedBuf) -> Result<()>;

    /// Writes all of `bytes` at `at`. Where the file's [`WriteUnit`] is blocks, `at` and the length are whole blocks and
    /// the memory is aligned (a block-aligned part of an [`AlignedBuf`]). Nothing is durable before [`sync`](Self::sync).
    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()>;

    /// Makes content and length durable.
    fn sync(&self) -> Result<()>;
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// the name, without its folder
    pub name: String,
    /// whether it is a folder
    pub is_dir: bool,
}

/// In what pieces a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteUnit {
    /// whole blocks from aligned memory, past the page cache where the medium can: shard files
    Blocks,
    /// any bytes, through the page cache: small files that are replaced as a whole
    Bytes,
}

/// Room on a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// bytes that can still be written
    pub free_bytes: u64,
    /// bytes it holds when empty
    pub total_bytes: u64,
}

/// How writes reach the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// past the page cache
    Direct,
    /// through the page cache, because the file system refused the other way or the medium has no such thing
    Buffered,
}

/// Turns an error of the system into ours.
fn failure(place: &str, path: &str, call: &'static str, source: io::Error) -> Error {
    let (place, path) = (place.to_owned(), path.to_owned());
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound { place, path },
        io::ErrorKind::AlreadyExists => Error::Exists { place, path },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoSpace { place, path, call },
        io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly { place, path, call },
        _ => Error::Io { place, path, call, source },
    }
}

/// Refuses what a medium that writes whole blocks could not take.
fn check_aligned(path: &str, call: &'static str, at: u64, bytes: &[u8]) -> Result<()> {
    match at.is_multiple_of(BLOCK_BYTES as u64) && is_aligned(bytes) {
        true => Ok(()),
        false => Err(Error::Misaligned { path: path.to_owned(), call, at, len_bytes: bytes.len() }),
    }
}

/// Remembers that a write or sync through a handle failed, and refuses every later one: after a failed sync the system
/// may have dropped the bytes and call the next sync a success.
#[derive(Debug, Default)]
struct Fuse {
    blown: AtomicBool,
}

impl Fuse {
    fn run(&self, place: &str, path: &str, call: &'static str, action: impl FnOnce() -> Result<()>) -> Result<()> {
        if self.blown.load(Ordering::Acquire) {
            return Err(Error::Suspect { place: place.to_owned(), path: path.to_owned(), call });
        }
        action().inspect_err(|_| self.blown.store(true, Ordering::Release))
    }
}
