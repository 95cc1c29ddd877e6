//! The memory that uploads may take, counted in bytes over all writers of a client.
//!
//! Two halves. *Plain* is reserved before bytes are gathered and held until they are both sealed and hashed; *sealed*
//! is reserved before sealing and held until the vault has the bytes. Whoever holds plain may wait for sealed, whoever
//! holds sealed waits for nothing but the vault: so waiting always ends. Both queues are first come, first served.

use crate::{Error, Result};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that are in use until this is dropped.
#[derive(Debug)]
pub struct Reserved {
    _permit: OwnedSemaphorePermit,
}

/// Both halves.
#[derive(Debug)]
pub struct Budget {
    plain: Half,
    sealed: Half,
}

#[derive(Debug)]
struct Half {
    free: Arc<Semaphore>,
    bytes: u32,
}

impl Budget {
    /// A budget of `bytes` in all, at least one byte each way.
    pub fn new(bytes: usize) -> Self {
        let half = u32::try_from(bytes / 2).unwrap_or(u32::MAX).max(1);
        Budget { plain: Half::new(half), sealed: Half::new(half) }
    }

    /// Waits until `bytes` of plain text may be gathered.
    pub async fn plain(&self, bytes: usize) -> Result<Reserved> {
        self.plain.reserve(bytes).await
    }

    /// Waits until the sealed form of `bytes` of plain text may be made.
    pub async fn sealed(&self, bytes: usize) -> Result<Reserved> {
        self.sealed.reserve(bytes).await
    }

    /// Bytes in use, both halves together.
    pub fn in_use(&self) -> usize {
        self.plain.in_use() + self.sealed.in_use()
    }
}

impl Half {
    fn new(bytes: u32) -> Self {
        Half { free: Arc::new(Semaphore::new(bytes as usize)), bytes }
    }

    /// A single chunk larger than the whole budget takes all of it: slow, but it goes on.
    async fn reserve(&self, bytes: usize) -> Result<Reserved> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes);
        let permit = self.free.clone().acquire_many_owned(bytes).await.map_err(|_| Error::Closing)?;
        Ok(Reserved { _permit: permit })
    }

    fn in_use(&self) -> usize {
        self.bytes as usize - self.free.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_dropped_can_be_reserved_again() {
        let budget = Budget::new(20);
        let first = budget.plain(10).await.unwrap();
        assert_eq!(budget.in_use(), 10);
        let mut second = Box::pin(budget.plain(1));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        second.await.unwrap();
    }

    #[tokio::test]
    async fn a_chunk_larger_than_the_budget_takes_all_of_it() {
        let budget = Budget::new(20);
        let whole = budget.sealed(1000).await.unwrap();
        assert_eq!(budget.in_use(), 10);
        drop(whole);
        assert_eq!(budget.in_use(), 0);
    }
}
