//! Writing: bytes are pushed, cut, hashed, sealed and sent while more are on their way.
//!
//! Invariants
//! - Bytes count against the memory budget of the client from before they are gathered until they are sent.
//! - Every byte is hashed once and in order; chunks are sealed and sent in any order.
//! - A content of up to [`INLINE_PLAIN_BYTES_MAX`] is not sent at all: it travels with its deposit.
//! - Where contents are scanned, a chunk goes to the scanner before it is sealed, and nothing is given for deposit before the
//!   scanner called all of it clean. A content that travels with its deposit is not even sealed before.
//! - Nothing a writer does is visible; dropping it is an abort.

use crate::budget::{Budget, Reserved};
use crate::chunker::Chunker;
use crate::hashing::{HashQueue, PlainChunk};
use crate::part::SealedPiece;
use crate::scan::{Scan, ScanPlan, Scanned};
use crate::sealer::{Recipe, Sealer};
use crate::uploader::Uploader;
use crate::{Error, PartContent, Result};
use bytes::Bytes;
use shosoin_keyring::SealedChunk;
use shosoin_protocol::Suite;
use shosoin_protocol::limits::OBJECT_BYTES_MAX;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Largest plain text that travels with its deposit, in bytes: one request, one stripe.
pub const INLINE_PLAIN_BYTES_MAX: u64 = 1024 * 1024;
/// Chunks of one writer that may be sealed or sent at a time, so that one fast stream leaves room for others.
const CHUNKS_UNDER_WAY: usize = 8;

/// What all writers of a client share.
pub struct Intake {
    /// memory
    pub budget: Arc<Budget>,
    /// threads
    pub sealer: Arc<Sealer>,
    /// the way to the vault
    pub uploader: Arc<Uploader>,
    /// algorithms
    pub suite: Suite,
}

/// A content on its way into the vault. Dropping it is an abort: nothing becomes visible.
pub struct ObjectWriter {
    intake: Arc<Intake>,
    recipe: Recipe,
    chunk_bytes: u32,
    chunker: Chunker,
    /// memory for the plain text up to `reserved_to`
    reserved: Option<Arc<Reserved>>,
    reserved_to: u64,
    pushed_bytes: u64,
    expected_bytes: Option<u64>,
    /// whole chunks of a content that may yet stay small
    held: Vec<PlainChunk>,
    hashes: HashQueue,
    under_way: JoinSet<Result<(usize, SealedPiece)>>,
    pieces: Vec<Option<SealedPiece>>,
    /// how it is scanned, if it is
    plan: Option<ScanPlan>,
    scan: Option<Scan>,
}

impl ObjectWriter {
    pub(crate) fn new(intake: Arc<Intake>, recipe: Recipe, chunk_bytes: u32, plan: Option<ScanPlan>) -> Self {
        ObjectWriter {
            hashes: HashQueue::new(intake.suite),
            intake,
            recipe,
            chunk_bytes,
            chunker: Chunker::new(chunk_bytes),
            reserved: None,
            reserved_to: 0,
            pushed_bytes: 0,
            expected_bytes: None,
            held: Vec::new(),
            under_way: JoinSet::new(),
            pieces: Vec::new(),
            plan,
            scan: None,
        }
    }

    /// Says how long the content is, so that no more memory is reserved than it needs. More or fewer bytes are refused.
    pub fn expect_bytes(mut self, size_bytes: u64) -> Self {
        self.expected_bytes = Some(size_bytes);
        self
    }

    /// Adds bytes; waits while the memory budget is used up. After an error the writer is of no more use.
    pub async fn push(&mut self, mut bytes: Bytes) -> Result<()> {
        let before = self.pushed_bytes;
        self.pushed_bytes += bytes.len() as u64;
        if self.expected_bytes.is_some_and(|expected| self.pushed_bytes > expected) {
            return Err(Error::Invalid { what: "content", why: "it is longer than was announced" });
        }
        if self.pushed_bytes > OBJECT_BYTES_MAX {
            return Err(Error::OverLimit { what: "content", found: self.pushed_bytes, limit: OBJECT_BYTES_MAX });
        }
        if let Some(plan) = &self.plan {
            plan.may_be_this_long(self.expected_bytes.unwrap_or(self.pushed_bytes))?;
        }
        let mut at = before;
        while !bytes.is_empty() {
            self.reserve(at).await?;
            let left = bytes.len();
            let chunk = self.chunker.fill(&mut bytes);
            at += (left - bytes.len()) as u64;
            if let Some(chunk) = chunk {
                self.take(chunk, at).await?;
            }
        }
        Ok(())
    }

    /// Waits until every chunk is in the vault, or held to travel with the deposit.
    pub async fn finish(mut self) -> Result<PartContent> {
        if self.expected_bytes.is_some_and(|expected| self.pushed_bytes < expected) {
            return Err(Error::Invalid { what: "content", why: "it is shorter than was announced" });
        }
        if let Some(chunk) = self.chunker.finish() {
            self.take(chunk, self.pushed_bytes).await?;
        }
        if self.pieces.is_empty() {
            return self.finish_small().await;
        }
        let scanned = self.scanned().await?;
        while let Some(done) = self.under_way.join_next().await {
            self.note(done)?;
        }
        let chunks: Option<Vec<SealedPiece>> = self.pieces.into_iter().collect();
        let chunks = chunks.ok_or(Error::Lost { task: "a chunk" })?;
        let (md5, plain_digest) = self.hashes.finish().await;
        let content = PartContent::uploaded(self.pushed_bytes, md5, plain_digest, chunks, self.recipe.class != 0);
        Ok(PartContent { scanned, ..content })
    }

    async fn finish_small(mut self) -> Result<PartContent> {
        for chunk in self.held.clone() {
            self.scan(&chunk.bytes).await?;
        }
        let scanned = self.scanned().await?;
        let reserved = self.held.iter().map(|chunk| chunk.reserved.clone()).collect();
        let whole = self.intake.sealer.seal_whole(self.recipe, self.held).await?;
        let (mut chunks, mut inline) = (Vec::new(), Vec::new());
        for SealedChunk { chunk, bytes } in whole.chunks {
            chunks.push(SealedPiece::new(chunk, bytes.len()));
            inline.push(Bytes::from(bytes));
        }
        let (size_bytes, may_meet) = (self.pushed_bytes, self.recipe.class != 0);
        Ok(PartContent {
            size_bytes,
            md5: whole.md5,
            plain_digest: whole.plain_digest,
            chunks,
            inline,
            may_meet,
            scanned,
            _reserved: reserved,
        })
    }

    /// Hands a chunk to the scanner, if contents are scanned.
    async fn scan(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(plan) = &self.plan else { return Ok(()) };
        let scan = match &mut self.scan {
            Some(scan) => scan,
            none => none.insert(plan.begin().await?),
        };
        Ok(scan.push(bytes).await?)
    }

    /// What the scanner says of all of it; nothing where contents are not scanned.
    async fn scanned(&mut self) -> Result<Option<Scanned>> {
        let Some(plan) = &self.plan else { return Ok(None) };
        let scan = match self.scan.take() {
            Some(scan) => scan,
            None => plan.begin().await?,
        };
        Ok(Some(scan.finish().await?))
    }

    /// Before the first byte of a chunk, reserves all of it; before the very first byte, everything that may be held.
    /// What is held is sent on its way first: nobody may hold memory that others need to finish while waiting for more.
    async fn reserve(&mut self, at: u64) -> Result<()> {
        if at < self.reserved_to {
            return Ok(());
        }
        self.dispatch_held().await?;
        let left = self.expected_bytes.map_or(u64::MAX, |expected| expected - at);
        let unit = if at == 0 { INLINE_PLAIN_BYTES_MAX.max(self.chunk_bytes.into()) } else { self.chunk_bytes.into() };
        let bytes = left.min(unit);
        self.reserved = Some(Arc::new(self.intake.budget.plain(usize::try_from(bytes).unwrap_or(usize::MAX)).await?));
        self.reserved_to = at + bytes;
        self.chunker.expect(usize::try_from(left).unwrap_or(usize::MAX));
        Ok(())
    }

    /// A chunk that ends at `end`: held while the content is small, else sent on its way with those held before it.
    async fn take(&mut self, bytes: Bytes, end: u64) -> Result<()> {
        let reserved = self.reserved.clone().ok_or(Error::Lost { task: "a reservation" })?;
        self.held.push(PlainChunk { bytes, reserved });
        if end >= self.reserved_to {
            self.reserved = None;
        }
        if end > INLINE_PLAIN_BYTES_MAX { self.dispatch_held().await } else { Ok(()) }
    }

    async fn dispatch_held(&mut self) -> Result<()> {
        for chunk in std::mem::take(&mut self.held) {
            self.dispatch(chunk).await?;
        }
        Ok(())
    }

    async fn dispatch(&mut self, plain: PlainChunk) -> Result<()> {
        while self.under_way.len() >= CHUNKS_UNDER_WAY {
            match self.under_way.join_next().await {
                Some(done) => self.note(done)?,
                None => break,
            }
        }
        self.scan(&plain.bytes).await?;
        self.hashes.push(plain.clone());
        let ordinal = self.pieces.len();
        self.pieces.push(None);
        let (intake, recipe) = (self.intake.clone(), self.recipe);
        self.under_way.spawn(async move {
            let may_meet = recipe.may_meet(plain.bytes.len());
            let sealed = intake.sealer.seal(recipe, plain).await?;
            let piece = SealedPiece::new(sealed.chunk, sealed.bytes.len());
            let (address, bytes, reserved) = (sealed.chunk.address, sealed.bytes, sealed.reserved);
            // what is on its way arrives, even where its writer is dropped: a transfer that is cut counts as one that failed
            let sent = tokio::spawn(async move {
                let sent = intake.uploader.upload(address, bytes, may_meet).await;
                drop(reserved);
                sent
            });
            sent.await.map_err(|_| Error::Lost { task: "the sending of a chunk" })??;
            Ok((ordinal, piece))
        });
        Ok(())
    }

    fn note(&mut self, done: Result<Result<(usize, SealedPiece)>, tokio::task::JoinError>) -> Result<()> {
        let (ordinal, piece) = done.map_err(|_| Error::Lost { task: "a chunk" })??;
        self.pieces[ordinal] = Some(piece);
        Ok(())
    }
}
