//! An index that leaves a mark when it fails, so that the next opening makes it anew instead of failing again.

use super::{Batch, Index, Visit};
use crate::error::{Error, Result};
use std::path::PathBuf;

/// An index and where its mark goes.
pub struct WatchedIndex {
    index: Box<dyn Index>,
    mark: PathBuf,
}

impl WatchedIndex {
    /// Watches `index`; the file `mark` appears when it fails.
    pub fn new(index: Box<dyn Index>, mark: PathBuf) -> Self {
        WatchedIndex { index, mark }
    }

    fn watch<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(error @ Error::Index { .. }) = &result {
            tracing::error!(%error, "the index failed; it is made anew when the vault is opened next");
            // Without the mark the next opening meets the same failure, and no worse.
            let _ = std::fs::write(&self.mark, error.to_string());
        }
        result
    }
}

impl Index for WatchedIndex {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.watch(self.index.get(key))
    }

    fn write(&self, batch: Batch) -> Result<()> {
        self.watch(self.index.write(batch))
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        self.watch(self.index.scan(prefix, visit))
    }

    fn cache_bytes(&self) -> Option<u64> {
        self.index.cache_bytes()
    }
}
