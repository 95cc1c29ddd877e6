//! A file on its way into a store: written from the start to the end, durable as a whole at `sync` or not at all.
//!
//! A file of one part is one conditional put. A longer one takes its name first, by a conditional put of nothing, so that of
//! two writers one loses; its parts stay invisible until `sync` puts them together under that name. Memory holds at most
//! [`IN_FLIGHT`] parts on their way and one that fills. Whatever ends a file early gives up its parts and its name.

use crate::fault::Failure;
use crate::media::{Attested, Shared, bounded};
use crate::reader::Reader;
use bytes::{Bytes, BytesMut};
use object_store::{MultipartUpload, ObjectStoreExt};
use parking_lot::Mutex;
use shosoin_tiers::buffer::is_aligned;
use shosoin_tiers::layout::BLOCK_BYTES;
use shosoin_tiers::media::{MediaFile, WriteUnit};
use shosoin_tiers::{AlignedBuf, Error, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Parts on their way at the same time.
const IN_FLIGHT: usize = 2;

/// One file on its way.
#[derive(Debug)]
pub struct Upload {
    shared: Arc<Shared>,
    path: String,
    unit: WriteUnit,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    filling: BytesMut,
    len_bytes: u64,
    hasher: blake3::Hasher,
}

#[derive(Debug)]
enum Stage {
    /// everything written so far is in memory
    Small,
    /// parts are on their way
    Parts(Parts),
    /// the store has it under its name, and nobody has compared it yet
    Placed,
    /// the store has it, and it was read back
    Stored,
    /// a write or sync failed
    Failed,
}

#[derive(Debug)]
struct Parts {
    upload: Box<dyn MultipartUpload>,
    flying: JoinSet<Result<(), Failure>>,
    /// how long one call takes at most
    limit: Duration,
}

impl Parts {
    /// Sends a part as soon as fewer than [`IN_FLIGHT`] are on their way.
    async fn send(&mut self, part: Bytes) -> Result<(), Failure> {
        self.land(IN_FLIGHT - 1).await?;
        self.flying.spawn(bounded(self.limit, self.upload.put_part(part.into())));
        Ok(())
    }

    /// Waits until no more than `left` parts are on their way.
    async fn land(&mut self, left: usize) -> Result<(), Failure> {
        while self.flying.len() > left
            && let Some(landed) = self.flying.join_next().await
        {
            landed.unwrap_or(Err(Failure::Abandoned))?;
        }
        Ok(())
    }

    async fn complete(&mut self, last: Bytes) -> Result<(), Failure> {
        if !last.is_empty() {
            self.send(last).await?;
        }
        self.land(0).await?;
        bounded(self.limit, self.upload.complete()).await.map(drop)
    }

    async fn abort(&mut self) -> Result<(), Failure> {
        self.flying.shutdown().await;
        bounded(self.limit, self.upload.abort()).await
    }
}

impl Upload {
    /// Nothing is sent yet.
    pub fn new(shared: &Arc<Shared>, path: &str, unit: WriteUnit) -> Self {
        let state =
            State { stage: Stage::Small, filling: BytesMut::new(), len_bytes: 0, hasher: blake3::Hasher::new() };
        Upload { shared: shared.clone(), path: path.to_owned(), unit, state: Mutex::new(state) }
    }

    fn refused(&self, call: &'static str) -> Error {
        Error::WholeFilesOnly { place: self.shared.place.clone(), path: self.path.clone(), call }
    }

    /// Does something that, if it fails, ends the file.
    fn once(
        &self,
        call: &'static str,
        state: &mut State,
        action: impl FnOnce(&mut State) -> Result<(), Failure>,
    ) -> Result<()> {
        if matches!(state.stage, Stage::Failed) {
            let (place, path) = (self.shared.place.clone(), self.path.clone());
            return Err(Error::Suspect { place, path, call });
        }
        let Err(failure) = action(state) else { return Ok(()) };
        self.give_up(state);
        Err(match failure.is_taken() {
            true => Error::Exists { place: self.shared.place.clone(), path: self.path.clone() },
            false => failure.error(&self.shared.place, &self.path, call),
        })
    }

    /// Gives up the parts and the name. What cannot be given up, because the store is out of reach, is an empty file under
    /// that name and parts that nobody can see; rules of the bucket end those.
    fn give_up(&self, state: &mut State) {
        state.filling = BytesMut::new();
        if let Stage::Parts(mut parts) = std::mem::replace(&mut state.stage, Stage::Failed) {
            let aborted = self.shared.wait(async move { parts.abort().await });
            let unnamed = self.shared.delete(self.shared.object(&self.path));
            if let Err(failure) = aborted.and(unnamed) {
                let (place, path, fault) = (&self.shared.place, &self.path, failure.fault());
                tracing::warn!(place, path, %fault, "parts of a file that was given up are left in its store");
            }
        }
    }

    /// Takes bytes and sends every part that is full.
    fn take(&self, state: &mut State, mut bytes: &[u8]) -> Result<(), Failure> {
        state.hasher.update(bytes);
        state.len_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            // a part is sent when more follows, so that a file of exactly one part stays small
            if state.filling.len() == self.shared.limits.part_bytes {
                self.send(state)?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(self.shared.limits.part_bytes - state.filling.len()));
            state.filling.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn send(&self, state: &mut State) -> Result<(), Failure> {
        if matches!(state.stage, Stage::Small) {
            let object = self.shared.object(&self.path);
            self.shared.put_new(object.clone(), Bytes::new())?;
            let upload = self.shared.ask(|store| async move { store.put_multipart(&object).await });
            let upload = upload.inspect_err(|_| drop(self.shared.delete(self.shared.object(&self.path))))?;
            state.stage = Stage::Parts(Parts { upload, flying: JoinSet::new(), limit: self.shared.limits.call });
        }
        let part = state.filling.split().freeze();
        self.with_parts(state, |mut parts| async move {
            let sent = parts.send(part).await;
            (parts, sent)
        })
    }

    /// Lends the parts to work on the runtime and takes them back, whatever came of it.
    fn with_parts<F>(&self, state: &mut State, work: impl FnOnce(Parts) -> F) -> Result<(), Failure>
    where
        F: Future<Output = (Parts, Result<(), Failure>)> + Send + 'static,
    {
        match std::mem::replace(&mut state.stage, Stage::Failed) {
            Stage::Parts(parts) => {
                let (parts, done) = self.shared.finish(work(parts)).ok_or(Failure::Abandoned)?;
                state.stage = Stage::Parts(parts);
                done
            }
            _ => Err(Failure::Abandoned),
        }
    }

    /// Puts the file under its name as a whole, reads it back, and records its digest beside it.
    fn store(&self, state: &mut State) -> Result<(), Failure> {
        let attested: Attested = (state.hasher.finalize(), state.len_bytes);
        let last = state.filling.split().freeze();
        match state.stage {
            Stage::Small => match self.shared.put_new(self.shared.object(&self.path), last) {
                // A put that was tried again meets what the first try stored; anything else is somebody else's file.
                Err(failure) if failure.is_taken() => {
                    self.shared.read_back(&self.path, attested).map_err(|_| failure)?;
                }
                put => put?,
            },
            _ => self.with_parts(state, |mut parts| async move {
                let done = parts.complete(last).await;
                (parts, done)
            })?,
        }
        state.stage = Stage::Placed;
        self.shared.read_back(&self.path, attested)?;
        self.shared.attest(&self.path, attested)?;
        state.stage = Stage::Stored;
        Ok(())
    }

    /// The file as it is in the store; until it is there nothing of it can be read.
    fn stored(&self, call: &'static str) -> Result<Reader> {
        let state = self.state.lock();
        match state.stage {
            Stage::Stored => Ok(Reader::new(&self.shared, &self.path, state.len_bytes, None)),
            _ => Err(self.refused(call)),
        }
    }
}

impl MediaFile for Upload {
    fn len(&self) -> Result<u64> {
        Ok(self.state.lock().len_bytes)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize> {
        self.stored("read")?.read_at(at, into)
    }

    fn read_past_cache(&self, at: u64, len_bytes: usize, into: &mut AlignedBuf) -> Result<()> {
        if !at.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(Error::Misaligned { path: self.path.clone(), call: "read past the cache", at, len_bytes });
        }
        self.stored("read past the cache")?.read_past_cache(at, len_bytes, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let blocks = at.is_multiple_of(BLOCK_BYTES as u64) && is_aligned(bytes);
        if self.unit == WriteUnit::Blocks && !blocks {
            return Err(Error::Misaligned { path: self.path.clone(), call: "write", at, len_bytes: bytes.len() });
        }
        let mut state = self.state.lock();
        if matches!(state.stage, Stage::Stored) || (at != state.len_bytes && !matches!(state.stage, Stage::Failed)) {
            return Err(self.refused("write"));
        }
        self.once("write", &mut state, |state| self.take(state, bytes))
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.state.lock();
        match state.stage {
            Stage::Stored => Ok(()),
            _ => self.once("sync", &mut state, |state| self.store(state)),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.give_up(&mut self.state.lock());
    }
}
