//! An index in memory: the model the other backends are held to, and the index of tests that lose it on purpose.

use super::{Batch, Index, Visit};
use crate::error::Result;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A sorted map.
#[derive(Debug, Default)]
pub struct MemoryIndex {
    rows: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Index for MemoryIndex {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.rows.read().get(key).cloned())
    }

    fn write(&self, batch: Batch) -> Result<()> {
        let mut rows = self.rows.write();
        for (key, value) in batch.rows {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        Ok(())
    }

    fn scan(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let mut from = Bound::Included(prefix.to_vec());
        loop {
            let next = self.rows.read().range((from, Bound::Unbounded)).next().map(|(k, v)| (k.clone(), v.clone()));
            match next {
                Some((key, value)) if key.starts_with(prefix) => {
                    if !visit(&key, &value)? {
                        return Ok(());
                    }
                    from = Bound::Excluded(key);
                }
                _ => return Ok(()),
            }
        }
    }

    fn cache_bytes(&self) -> Option<u64> {
        None
    }
}
