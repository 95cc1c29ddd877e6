//! The index in `sled`, a B+ tree on a log: selectable.
//!
//! `sled` 0.34 does not fsync: after a power cut it came back empty, or not at all. So every batch is flushed and its
//! files are synced here; that costs a sync per group, which is why it is not the default.

use super::{Batch, CACHE_BYTES, Index, Visit, failed};
use crate::error::Result;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The default tree of a database.
pub struct SledIndex {
    database: sled::Db,
    dir: PathBuf,
}

impl SledIndex {
    /// Opens or creates the database in `dir`.
    pub fn open(dir: &Path) -> Result<Self> {
        let config = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        Ok(SledIndex { database: config.open().map_err(failed("open"))?, dir: dir.to_owned() })
    }

    /// Hands everything to the system and syncs each file and the folder.
    fn sync(&self) -> Result<()> {
        self.database.flush().map_err(failed("flush"))?;
        for entry in std::fs::read_dir(&self.dir).map_err(failed("sync"))? {
            let path = entry.map_err(failed("sync"))?.path();
            if path.is_file() {
                File::open(&path).and_then(|file| file.sync_data()).map_err(failed("sync"))?;
            }
        }
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed("sync"))
    }
}

impl Index for SledIndex {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.database.get(key).map_err(failed("read"))?.map(|value| value.to_vec()))
    }

    fn write(&self, batch: Batch) -> Result<()> {
        let mut writes = sled::Batch::default();
        for (key, value) in batch.rows {
            match value {
                Some(value) => writes.insert(key, value),
                None => writes.remove(key),
            }
        }
        self.database.apply_batch(writes).map_err(failed("write"))?;
        self.sync()
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        for row in self.database.scan_prefix(prefix) {
            let (key, value) = row.map_err(failed("scan"))?;
            if !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn cache_bytes(&self) -> Option<u64> {
        Some(CACHE_BYTES)
    }
}
