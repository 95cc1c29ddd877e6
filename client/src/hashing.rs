//! MD5 and digest of a plain text that arrives in chunks, computed beside the sealing.
//!
//! MD5 is the slowest step of an S3 put, and it cannot be split. So each writer has one queue of chunks and at most one
//! blocking task at a time that works it off in order; between chunks no thread waits.

use crate::Result;
use crate::budget::Reserved;
use crate::task::blocking;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use parking_lot::Mutex;
use shosoin_protocol::suite::Hasher;
use shosoin_protocol::{Digest, Suite};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// A chunk of plain text that still counts against the budget.
#[derive(Debug, Clone)]
pub struct PlainChunk {
    /// the bytes
    pub bytes: Bytes,
    /// released with the last holder
    pub reserved: Arc<Reserved>,
}

/// MD5 and digest so far.
pub struct Digests {
    md5: Md5,
    digest: Hasher,
}

impl Digests {
    /// Of nothing.
    pub fn new(suite: Suite) -> Self {
        Digests { md5: Md5::new(), digest: Hasher::new(suite) }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.digest.update(bytes);
    }

    /// Adds bytes on a blocking thread.
    pub async fn add(mut self, bytes: Bytes) -> Result<Self> {
        blocking("hashing", move || {
            self.update(&bytes);
            Ok(self)
        })
        .await
    }

    /// MD5 and digest of everything added.
    pub fn finish(self) -> ([u8; 16], Digest) {
        (self.md5.finalize().into(), self.digest.finish())
    }
}

/// MD5 of `bytes`: what [`shosoin_protocol::manifest::ObjectFacts::etag`] asks for.
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

/// The queue of one writer. Dropping it abandons what is queued.
pub struct HashQueue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    idle: Notify,
}

struct State {
    queue: VecDeque<PlainChunk>,
    /// none while the worker has them
    digests: Option<Digests>,
}

impl HashQueue {
    /// An empty queue.
    pub fn new(suite: Suite) -> Self {
        let state = State { queue: VecDeque::new(), digests: Some(Digests::new(suite)) };
        HashQueue(Arc::new(Shared { state: Mutex::new(state), idle: Notify::new() }))
    }

    /// Adds the next chunk and makes sure that somebody works on it.
    pub fn push(&self, chunk: PlainChunk) {
        let mut state = self.0.state.lock();
        state.queue.push_back(chunk);
        if let Some(digests) = state.digests.take() {
            let shared = self.0.clone();
            tokio::task::spawn_blocking(move || shared.work(digests));
        }
    }

    /// Waits for the queue to empty; gives MD5 and digest of all chunks in order.
    pub async fn finish(self) -> ([u8; 16], Digest) {
        loop {
            let idle = self.0.idle.notified();
            if let Some(digests) = self.0.state.lock().digests.take() {
                return digests.finish();
            }
            idle.await;
        }
    }
}

impl Drop for HashQueue {
    fn drop(&mut self) {
        self.0.state.lock().queue.clear();
    }
}

impl Shared {
    fn work(&self, mut digests: Digests) {
        loop {
            let next = {
                let mut state = self.state.lock();
                match state.queue.pop_front() {
                    Some(chunk) => chunk,
                    None => {
                        state.digests = Some(digests);
                        break;
                    }
                }
            };
            digests.update(&next.bytes);
        }
        self.idle.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    #[tokio::test]
    async fn digests_are_those_of_the_chunks_in_order() {
        let budget = Budget::new(1 << 20);
        for suite in Suite::ALL {
            let queue = HashQueue::new(suite);
            let chunks: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n; 1000 + usize::from(n)]).collect();
            for chunk in &chunks {
                let reserved = Arc::new(budget.plain(1).await.unwrap());
                queue.push(PlainChunk { bytes: Bytes::copy_from_slice(chunk), reserved });
            }
            let whole = chunks.concat();
            assert_eq!(queue.finish().await, (md5(&whole), suite.digest(&[&whole])));
            assert_eq!(budget.in_use(), 0, "hashed chunks are given up");
        }
    }

    #[tokio::test]
    async fn nothing_pushed_gives_the_digests_of_nothing() {
        let queue = HashQueue::new(Suite::Default);
        assert_eq!(queue.finish().await, (md5(b""), Suite::Default.digest(&[])));
    }
}
