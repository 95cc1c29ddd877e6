//! The index: an embedded database that remembers where things are. It is a cache of media and may vanish at any time.
//!
//! Invariants
//! - Rows are hints. Whoever reads one checks the bytes it points to, and can do without it.
//! - A batch is applied whole or not at all, also across a killed process; after a power cut the newest batches may be
//!   gone, and the watermarks among the rows say which.
//! - Memory does not grow with rows: every backend is held to [`CACHE_BYTES`] and fixed write buffers.
//!
//! Not here: what keys and values say (`rows`), filling it from media (`rebuild`).

mod fjall;
mod memory;
mod sled;
mod watched;

pub use watched::WatchedIndex;

use crate::config::IndexKind;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Block cache of a backend, in bytes; what the index takes beyond it does not depend on how much it holds.
pub const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// Rows held back before they are written, where many are written in a row.
const PENDING_MAX: usize = 4096;

/// An ordered map of bytes to bytes.
pub trait Index: Send + Sync {
    /// The value of one key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Applies a batch whole or not at all; visible to every reader on return.
    fn write(&self, batch: Batch) -> Result<()>;

    /// Calls `visit` with every row whose key begins with `prefix`, ascending, until it answers `false`.
    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()>;

    /// What the backend may keep in memory for reading, in bytes; `None` where it keeps everything.
    fn cache_bytes(&self) -> Option<u64>;
}

/// Takes one row of a scan; `false` ends it.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool> + 'a;

/// Rows to write together; the last value of a key counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// by key; `None` removes the row
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// Adds or replaces a row.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.rows.insert(key, Some(value));
    }

    /// Removes a row, if it is there.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.rows.insert(key, None);
    }

    /// Rows in the batch.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// An index with a batch that is not written yet: reads see the batch first.
pub struct Pending<'a> {
    index: &'a dyn Index,
    batch: Batch,
}

impl<'a> Pending<'a> {
    /// Nothing pending over `index`.
    pub fn new(index: &'a dyn Index) -> Self {
        Pending { index, batch: Batch::default() }
    }

    /// The value of one key as it will be.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.batch.rows.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.index.get(key),
        }
    }

    /// Adds or replaces a row.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.batch.put(key, value);
    }

    /// Removes a row, if it is there.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.batch.remove(key);
    }

    /// Writes what is pending if that are many rows.
    pub fn write_if_many(&mut self) -> Result<()> {
        if self.batch.len() < PENDING_MAX {
            return Ok(());
        }
        self.write()
    }

    /// Whether [`write_if_many`](Self::write_if_many) would write.
    pub fn is_many(&self) -> bool {
        self.batch.len() >= PENDING_MAX
    }

    /// Writes what is pending; afterwards nothing is.
    pub fn write(&mut self) -> Result<()> {
        self.index.write(std::mem::take(&mut self.batch))
    }
}

/// Opens the index in the folder `dir`, creating it where there is none.
pub fn open(kind: IndexKind, dir: &Path) -> Result<Box<dyn Index>> {
    match kind {
        IndexKind::Fjall => Ok(Box::new(fjall::FjallIndex::open(dir)?)),
        IndexKind::Sled => Ok(Box::new(sled::SledIndex::open(dir)?)),
        IndexKind::Memory => Ok(Box::new(memory::MemoryIndex::default())),
    }
}

/// Does something with an index that may be garbage: where the database panics on what it finds, that is an error.
pub fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = |_| Err(failed("open")("the database panicked on what it found"));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}

/// Makes an [`Error::Index`] out of what a backend says.
fn failed<E: ToString>(action: &'static str) -> impl Fn(E) -> Error {
    move |error| Error::Index { action, why: error.to_string() }
}

#[cfg(test)]
mod tests;
