//! Reading: only the chunks a range touches, a few of them ahead of the reader, each verified and opened before its
//! first byte is given out.
//!
//! The next chunk is always under way; further ones only while the read-ahead memory of the client allows it. So a
//! slow reader holds up nobody, and memory is bounded by readers plus read-ahead.

use crate::client::Inner;
use crate::open::Opened;
use crate::retry::repeat;
use crate::task::blocking;
use crate::{Error, Result, open};
use bytes::Bytes;
use futures::Stream;
use futures::stream::{self, StreamExt as _};
use shosoin_protocol::VersionId;
use shosoin_protocol::manifest::{ChunkRef, ObjectFacts};
use shosoin_protocol::policy::DepositPolicy;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

/// Chunks of one reader under way at a time.
const CHUNKS_AHEAD: usize = 4;
/// Sealed chunks up to this length are opened without changing threads, in bytes.
const OPEN_AT_ONCE_BYTES_MAX: usize = 32 * 1024;

/// A version whose entry, place, key and manifest were verified and opened.
#[derive(Clone)]
pub struct OpenObject {
    pub(crate) inner: Arc<Inner>,
    pub(crate) opened: Arc<Opened>,
}

impl OpenObject {
    /// Which version it is.
    pub fn version(&self) -> VersionId {
        self.opened.version()
    }

    /// What kind of record it is, as its entry states.
    pub fn policy(&self) -> DepositPolicy {
        self.opened.deposit.policy
    }

    /// What it is, with the tags it had when it was stored.
    pub fn facts(&self) -> &ObjectFacts {
        &self.opened.facts
    }

    /// Its bytes in `range`, in order. Only the chunks the range touches are fetched; no byte of a chunk comes before
    /// the whole chunk is verified. A range that leaves the object is an error of the first item.
    pub fn read(&self, range: Range<u64>) -> impl Stream<Item = Result<Bytes>> + Send + Unpin + use<> {
        let outside = range.start > range.end || range.end > self.facts().size_bytes;
        let early = outside.then_some(Err(Error::Invalid { what: "range", why: "it leaves the object" }));
        let chunks = if outside || range.is_empty() { 0..0 } else { self.opened.touched(&range) };
        let reader = ReadAhead { object: self.clone(), range, chunks, under_way: VecDeque::new() };
        Box::pin(stream::iter(early).chain(stream::try_unfold(reader, ReadAhead::next)))
    }

    /// One whole chunk, verified and opened.
    pub(crate) async fn chunk(&self, index: usize) -> Result<Bytes> {
        let chunk = self.opened.chunks[index];
        fetch(&self.inner, self.version(), chunk).await.map(|(plain, _)| plain)
    }

    /// One whole chunk and the length of its sealed bytes.
    pub(crate) async fn chunk_with_stored_len(&self, index: usize) -> Result<(Bytes, usize)> {
        fetch(&self.inner, self.version(), self.opened.chunks[index]).await
    }
}

/// One chunk of a version, verified and opened, and the length of its sealed bytes.
pub(crate) async fn fetch(inner: &Arc<Inner>, version: VersionId, chunk: ChunkRef) -> Result<(Bytes, usize)> {
    let stored = repeat(|| inner.transport.record(chunk.address)).await;
    let stored = stored.map_err(|error| open::lacking(version, "a chunk", error))?;
    let len = stored.len();
    open_chunk(inner, chunk, stored).await.map(|plain| (plain, len))
}

/// Verifies and opens a sealed chunk.
pub(crate) async fn open_chunk(inner: &Arc<Inner>, chunk: ChunkRef, stored: Bytes) -> Result<Bytes> {
    let len = stored.len();
    let keyring = inner.keyring.clone();
    let open = move || keyring.open_chunk(&chunk, &stored).map_err(|source| Error::Keyring { what: "chunk", source });
    if len <= OPEN_AT_ONCE_BYTES_MAX { open() } else { blocking("opening a chunk", open).await }
}

/// A chunk under way, and the read-ahead memory it takes; stopped when nobody wants it any more.
struct UnderWay {
    task: JoinHandle<Result<Bytes>>,
    begin: u64,
    _ahead: Option<OwnedSemaphorePermit>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct ReadAhead {
    object: OpenObject,
    range: Range<u64>,
    /// chunks not begun yet
    chunks: Range<usize>,
    under_way: VecDeque<UnderWay>,
}

impl ReadAhead {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        self.begin_more();
        let Some(mut first) = self.under_way.pop_front() else { return Ok(None) };
        let plain = (&mut first.task).await.unwrap_or(Err(Error::Lost { task: "a chunk" }))?;
        let begin = first.begin;
        drop(first);
        self.begin_more();
        let end = begin + plain.len() as u64;
        let from = usize::try_from(self.range.start.max(begin) - begin).unwrap_or(usize::MAX);
        let to = usize::try_from(self.range.end.min(end) - begin).unwrap_or(usize::MAX);
        Ok(Some((plain.slice(from..to), self)))
    }

    fn begin_more(&mut self) {
        while self.under_way.len() < CHUNKS_AHEAD && !self.chunks.is_empty() {
            let index = self.chunks.start;
            let ahead = match self.under_way.is_empty() {
                true => None,
                false => match self.reserve(index) {
                    Some(permit) => Some(permit),
                    None => return,
                },
            };
            self.chunks.start += 1;
            let object = self.object.clone();
            let begin = object.opened.begins[index];
            let task = tokio::spawn(async move { object.chunk(index).await });
            self.under_way.push_back(UnderWay { task, begin, _ahead: ahead });
        }
    }

    /// Read-ahead memory for a chunk, sealed and plain, if there is any left.
    fn reserve(&self, index: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = self.object.opened.chunks[index].plain_len.saturating_mul(2);
        self.object.inner.read_ahead.clone().try_acquire_many_owned(bytes).ok()
    }
}
