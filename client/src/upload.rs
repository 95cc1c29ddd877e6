//! Writing.
use crate::{PartContent, Result};
use bytes::Bytes;

/// A content on its way into the vault. Dropping it is an abort: nothing becomes visible.
pub struct ObjectWriter {}

impl ObjectWriter {
    /// Says how long the content will be, so that no more memory is reserved than it needs.
    pub fn expect_bytes(self, size_bytes: u64) -> Self {
        let _ = size_bytes;
        self
    }
    /// Adds bytes; waits while the memory budget is used up.
    pub async fn push(&mut self, bytes: Bytes) -> Result<()> {
        let _ = bytes;
        unimplemented!()
    }
    /// Waits until every chunk is in the vault or small enough to travel with the deposit.
    pub async fn finish(self) -> Result<PartContent> {
        unimplemented!()
    }
}
