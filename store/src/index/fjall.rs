//! The index in `fjall`, a log-structured merge tree: the default.
//!
//! Its journal is handed to the system on every batch and not synced: a killed process loses nothing, a power cut the
//! newest batches, in order.

use super::{Batch, CACHE_BYTES, Index, Visit, failed};
use crate::error::Result;
use fjall::config::PinningPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use std::path::Path;

/// One write buffer, in bytes; a few of them exist while they are flushed.
const WRITE_BUFFER_BYTES: u64 = 8 * 1024 * 1024;
/// Journal kept on disk, in bytes: bounds how much is replayed at opening. The least the library takes.
const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Descriptors the backend may hold open.
const FILES_MAX: usize = 200;

/// The one keyspace of a database.
pub struct FjallIndex {
    database: Database,
    rows: Keyspace,
}

impl FjallIndex {
    /// Opens or creates the database in `dir`.
    pub fn open(dir: &Path) -> Result<Self> {
        let builder = Database::builder(dir).cache_size(CACHE_BYTES).max_journaling_size(JOURNAL_BYTES_MAX);
        let database = builder.max_cached_files(Some(FILES_MAX)).open().map_err(failed("open"))?;
        let rows = database.keyspace("rows", keyspace_options).map_err(failed("open"))?;
        Ok(FjallIndex { database, rows })
    }
}

/// Filters and block indexes go through the cache like everything else, or memory would grow with rows.
fn keyspace_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(WRITE_BUFFER_BYTES)
        .filter_block_pinning_policy(PinningPolicy::disabled())
        .index_block_pinning_policy(PinningPolicy::disabled())
}

impl Index for FjallIndex {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.rows.get(key).map_err(failed("read"))?.map(|value| value.to_vec()))
    }

    fn write(&self, batch: Batch) -> Result<()> {
        // One made without a durability stays in this process's memory until its buffer is full.
        let writes = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), batch.len());
        let mut writes = writes.durability(Some(fjall::PersistMode::Buffer));
        for (key, value) in batch.rows {
            match value {
                Some(value) => writes.insert(&self.rows, key, value),
                None => writes.remove(&self.rows, key),
            }
        }
        writes.commit().map_err(failed("write"))
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        for row in self.rows.prefix(prefix) {
            let (key, value) = row.into_inner().map_err(failed("scan"))?;
            if !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn cache_bytes(&self) -> Option<u64> {
        Some(self.database.cache_capacity())
    }
}
