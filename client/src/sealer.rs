//! Sealing on blocking threads, as many at a time as the client was given, with buffers that are used again.

use crate::budget::{Budget, Reserved};
use crate::hashing::{Digests, PlainChunk};
use crate::task::blocking;
use crate::{Error, Result};
use bytes::Bytes;
use parking_lot::Mutex;
use shosoin_keyring::{Codec, Keyring, Scratch, SealedChunk};
use shosoin_protocol::Digest;
use shosoin_protocol::limits::DEDUP_PLAIN_BYTES_MIN;
use shosoin_protocol::manifest::{BucketFacts, ChunkRef};
use shosoin_protocol::policy::Label;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How the chunks of one content are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// dedup class, 0 for none
    pub class: u8,
    /// codec
    pub codec: Codec,
}

impl Recipe {
    /// The bucket's, but labels above ordinary never take part in dedup.
    pub fn new(bucket: &BucketFacts, label: Label) -> Result<Self> {
        let codec = Codec::try_from(bucket.codec).map_err(|source| Error::Keyring { what: "codec", source })?;
        Ok(Recipe { class: if label == Label::Ordinary { bucket.dedup_class } else { 0 }, codec })
    }

    /// The bucket's codec, without dedup: every chunk under a secret of its own.
    pub fn apart(bucket: &BucketFacts) -> Result<Self> {
        Recipe::new(bucket, bucket.policy.label).map(|recipe| Recipe { class: 0, ..recipe })
    }

    /// Whether an equal chunk may be in the vault already.
    pub fn may_meet(self, plain_len: usize) -> bool {
        self.class != 0 && plain_len >= DEDUP_PLAIN_BYTES_MIN as usize
    }
}

/// A sealed chunk that still counts against the budget.
pub struct Sealed {
    /// what the manifest says of it
    pub chunk: ChunkRef,
    /// its sealed bytes
    pub bytes: Bytes,
    /// released once the vault has them
    pub reserved: Reserved,
}

/// Sealed chunks of a content small enough to travel with its deposit, and its digests.
pub struct SealedWhole {
    /// the chunks, in order
    pub chunks: Vec<SealedChunk>,
    /// MD5 of the plain text
    pub md5: [u8; 16],
    /// digest of the plain text
    pub plain_digest: Digest,
}

/// The threads and buffers of sealing.
pub struct Sealer {
    keyring: Arc<Keyring>,
    budget: Arc<Budget>,
    threads: Arc<Semaphore>,
    scratch: Mutex<Vec<Scratch>>,
}

impl Sealer {
    /// Seals on at most `threads` threads at a time.
    pub fn new(keyring: Arc<Keyring>, budget: Arc<Budget>, threads: usize) -> Arc<Self> {
        let threads = Arc::new(Semaphore::new(threads.max(1)));
        Arc::new(Sealer { keyring, budget, threads, scratch: Mutex::new(Vec::new()) })
    }

    /// Seals one chunk; its plain text is given up before this returns.
    pub async fn seal(self: &Arc<Self>, recipe: Recipe, plain: PlainChunk) -> Result<Sealed> {
        let reserved = self.budget.sealed(plain.bytes.len()).await?;
        let sealed = self.run(move |sealer| sealer.seal_now(recipe, &plain.bytes)).await?;
        Ok(Sealed { chunk: sealed.chunk, bytes: Bytes::from(sealed.bytes), reserved })
    }

    /// Hashes and seals a small content in one go.
    pub async fn seal_whole(self: &Arc<Self>, recipe: Recipe, plain: Vec<PlainChunk>) -> Result<SealedWhole> {
        self.run(move |sealer| {
            let mut digests = Digests::new(sealer.keyring.suite());
            let mut chunks = Vec::with_capacity(plain.len());
            for chunk in &plain {
                digests.update(&chunk.bytes);
                chunks.push(sealer.seal_now(recipe, &chunk.bytes)?);
            }
            let (md5, plain_digest) = digests.finish();
            Ok(SealedWhole { chunks, md5, plain_digest })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Sealer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let thread = self.threads.clone().acquire_owned().await.map_err(|_| Error::Closing)?;
        let sealer = self.clone();
        blocking("sealing", move || {
            let _thread = thread;
            work(&sealer)
        })
        .await
    }

    fn seal_now(&self, recipe: Recipe, plain: &[u8]) -> Result<SealedChunk> {
        let mut scratch = self.scratch.lock().pop().unwrap_or_default();
        let sealed = self.keyring.seal_chunk(recipe.class, recipe.codec, plain, &mut scratch);
        self.scratch.lock().push(scratch);
        sealed.map_err(|source| Error::Keyring { what: "chunk", source })
    }
}
