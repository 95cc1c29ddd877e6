//! A prefix of an object store as a medium: folders, whole files, no appending.
//!
//! Invariants
//! - A file is named here only after all its bytes were read back under that name and compared by digest.
//! - Nothing is replaced but by [`Media::rename`], which `durable::replace` alone uses.

use crate::fault::Failure;
use crate::reader::Reader;
use crate::upload::Upload;
use crate::{Bridge, Fault, keys};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use parking_lot::Mutex;
use shosoin_tiers::layout::{TEMPORARY, parent};
use shosoin_tiers::media::{Listed, MediaFile, Space, WriteMode, WriteUnit};
use shosoin_tiers::{Error, Media, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Size of the parts that a file is uploaded and read back in. Stores take parts from 5 MiB on, and at most 10,000 of them,
/// so a file has at most 78 GiB.
pub const PART_BYTES: usize = 8 * 1024 * 1024;
/// What [`Media::space`] answers, because no store says how much room is left: a PiB, all of it free. A quota that is used
/// up shows when a write fails.
pub const SPACE_BYTES: u64 = 1 << 50;

/// How much memory and time a medium takes for one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// size of the parts of an upload and of what is read back at once
    pub part_bytes: usize,
    /// one call on a store, retries included, takes no longer
    pub call: Duration,
    /// a listing of many pages takes no longer
    pub list: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { part_bytes: PART_BYTES, call: Duration::from_secs(120), list: Duration::from_secs(600) }
    }
}

/// Digest and length of a file.
pub type Attested = (blake3::Hash, u64);

/// A prefix of an object store as a medium.
#[derive(Debug, Clone)]
pub struct ObjectMedia {
    pub(crate) shared: Arc<Shared>,
}

/// What the medium and its open files both need.
#[derive(Debug)]
pub struct Shared {
    pub store: Arc<dyn ObjectStore>,
    pub prefix: Path,
    pub place: String,
    pub limits: Limits,
    bridge: Arc<Bridge>,
    /// folders that are known to be there; they are never removed
    folders: Mutex<BTreeSet<String>>,
    /// digests of temporary files, which are about to be renamed
    temporary: Mutex<BTreeMap<String, Attested>>,
}

impl ObjectMedia {
    /// The objects of `store` under `prefix` as a medium; `place` is its name in errors. Asks the store nothing.
    pub fn over(store: Arc<dyn ObjectStore>, prefix: Path, place: &str, bridge: Arc<Bridge>, limits: Limits) -> Self {
        let (folders, temporary, place) = (Mutex::default(), Mutex::default(), place.to_owned());
        ObjectMedia { shared: Arc::new(Shared { store, prefix, place, limits, bridge, folders, temporary }) }
    }

    /// Asks the store for one page of the prefix; a failure means that the volume is absent.
    pub fn probe(&self) -> Result<()> {
        self.shared.probe().map_err(|failure| failure.absent(&self.shared.place))
    }

    /// Reads the whole file at `path` and compares it with the digest beside it. An error says that it differs, or that
    /// there is none.
    pub fn verify(&self, path: &str) -> Result<u64> {
        let shared = &self.shared;
        let failed = shared.failed(path, "verify");
        let (expected, len_bytes) = shared.stated(path).map_err(&failed)?;
        shared.read_back(path, (expected, len_bytes)).map_err(&failed)?;
        Ok(len_bytes)
    }
}

impl Shared {
    pub fn failed(&self, path: &str, call: &'static str) -> impl Fn(Failure) -> Error {
        let (place, path) = (self.place.clone(), path.to_owned());
        move |failure| failure.error(&place, &path, call)
    }

    pub fn object(&self, path: &str) -> Path {
        keys::object(&self.prefix, path)
    }

    /// Waits for a request, for as long as one may take.
    pub fn ask<T: Send + 'static, F>(&self, request: impl FnOnce(Arc<dyn ObjectStore>) -> F) -> Result<T, Failure>
    where
        F: Future<Output = object_store::Result<T>> + Send + 'static,
    {
        self.within(self.limits.call, request(self.store.clone()))
    }

    fn within<T: Send + 'static>(
        &self,
        limit: Duration,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, Failure> {
        self.wait(async move { bounded(limit, request).await })
    }

    /// Waits for work that bounds itself.
    pub fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        self.bridge.wait(work).unwrap_or(Err(Failure::Abandoned))
    }

    /// Waits for work that cannot fail; `None` if it panicked.
    pub fn finish<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.bridge.wait(work)
    }

    fn probe(&self) -> Result<(), Failure> {
        let prefix = self.prefix.clone();
        let first = self.ask(|store| async move { store.list(Some(&prefix)).next().await.transpose() });
        first.map(drop)
    }

    /// Tells an object that is not there from a bucket that is not there: both answer the same to a look at the object.
    pub fn not_found(&self, failure: Failure) -> Failure {
        match failure.is_not_found() {
            true => self.probe().err().unwrap_or(failure),
            false => failure,
        }
    }

    /// Length and tag of an object.
    pub fn look(&self, object: Path) -> Result<(u64, Option<String>), Failure> {
        let meta = self.ask(|store| async move { store.head(&object).await })?;
        Ok((meta.size, meta.e_tag))
    }

    fn is_there(&self, object: Path) -> Result<bool, Failure> {
        match self.look(object) {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_not_found() => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Bytes `range` of an object, all of them or an error. With a tag, of that state of it.
    pub fn get(&self, object: Path, range: Range<u64>, tag: Option<String>) -> Result<bytes::Bytes, Failure> {
        let expected = range.end - range.start;
        let options = GetOptions { if_match: tag, range: Some(range.into()), ..GetOptions::default() };
        let read = self.ask(|store| async move { store.get_opts(&object, options).await?.bytes().await })?;
        match read.len() as u64 {
            found if found == expected => Ok(read),
            found => Err(Failure::Fault(Fault::WrongLength { expected, found })),
        }
    }

    /// Reads a file and gives its digest and length.
    fn digest(&self, path: &str) -> Result<Attested, Failure> {
        let (len_bytes, tag) = self.look(self.object(path))?;
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        while at < len_bytes {
            let end = (at + self.limits.part_bytes as u64).min(len_bytes);
            hasher.update(&self.get(self.object(path), at..end, tag.clone())?);
            at = end;
        }
        Ok((hasher.finalize(), len_bytes))
    }

    /// Reads back what was stored at `path` and compares it.
    pub fn read_back(&self, path: &str, expected: Attested) -> Result<(), Failure> {
        let found = self.digest(path)?;
        let why = match (found.1 == expected.1, found == expected) {
            (_, true) => return Ok(()),
            (false, _) => format!("{} bytes instead of {}", found.1, expected.1),
            (true, false) => "its digest differs".to_owned(),
        };
        Err(Failure::Fault(Fault::ReadBack { why }))
    }

    /// What the digest object of a file says.
    fn stated(&self, path: &str) -> Result<Attested, Failure> {
        let object = keys::digest(&self.prefix, path);
        let (len_bytes, _) = self.look(object.clone())?;
        let text = match len_bytes <= keys::DIGEST_BYTES_MAX as u64 {
            true => self.get(object, 0..len_bytes, None)?,
            false => bytes::Bytes::new(),
        };
        let unreadable = || Failure::Fault(Fault::ReadBack { why: "the digest beside it is not one".into() });
        keys::parse_digest(&text).ok_or_else(unreadable)
    }

    /// Records the digest of a file that was read back. Temporary files have theirs in memory.
    pub fn attest(&self, path: &str, attested: Attested) -> Result<(), Failure> {
        if path.ends_with(TEMPORARY) {
            self.temporary.lock().insert(path.to_owned(), attested);
            return Ok(());
        }
        let object = keys::digest(&self.prefix, path);
        let text = keys::digest_text(&attested.0, attested.1);
        self.ask(|store| async move { store.put(&object, text.into()).await }).map(drop)
    }

    /// Puts an object that must not be there yet.
    pub fn put_new(&self, object: Path, bytes: bytes::Bytes) -> Result<(), Failure> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        self.ask(|store| async move { store.put_opts(&object, bytes.into(), options).await }).map(drop)
    }

    pub fn delete(&self, object: Path) -> Result<(), Failure> {
        match self.ask(|store| async move { store.delete(&object).await }) {
            Err(failure) if failure.is_not_found() => Ok(()),
            other => other,
        }
    }

    fn folder_is_there(&self, dir: &str) -> Result<bool, Failure> {
        if dir.is_empty() || self.folders.lock().contains(dir) {
            return Ok(true);
        }
        let there = self.is_there(keys::folder(&self.prefix, dir))?;
        if there {
            self.folders.lock().insert(dir.to_owned());
        }
        Ok(there)
    }
}

/// Waits for a request no longer than this.
pub async fn bounded<T>(limit: Duration, request: impl Future<Output = object_store::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(limit, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::Late { limit }),
    }
}

impl Media for ObjectMedia {
    fn place(&self) -> String {
        self.shared.place.clone()
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>> {
        let object = self.shared.object(dir);
        let list = {
            let store = self.shared.store.clone();
            async move { store.list_with_delimiter(Some(&object)).await }
        };
        let found = self.shared.within(self.shared.limits.list, list).map_err(self.shared.failed(dir, "list"))?;
        let name = |object: &Path| object.filename().unwrap_or_default().to_owned();
        let folders = found.common_prefixes.iter().map(|folder| Listed { name: name(folder), is_dir: true });
        let files = found.objects.iter().map(|file| Listed { name: name(&file.location), is_dir: false });
        let all: Vec<Listed> = folders.chain(files).collect();
        if all.is_empty() && !dir.is_empty() {
            return Err(Error::NotFound { place: self.place(), path: dir.to_owned() });
        }
        let mut listed: Vec<_> = all.into_iter().filter(|listed| !keys::is_hidden(dir, &listed.name)).collect();
        listed.sort_unstable();
        Ok(listed)
    }

    fn make_dir(&self, dir: &str) -> Result<()> {
        if dir.is_empty() || self.shared.folder_is_there(dir).map_err(self.shared.failed(dir, "make folder"))? {
            return Ok(());
        }
        self.make_dir(parent(dir))?;
        match self.shared.put_new(keys::folder(&self.shared.prefix, dir), bytes::Bytes::new()) {
            Err(failure) if !failure.is_taken() => return Err(self.shared.failed(dir, "make folder")(failure)),
            _ => {}
        }
        self.shared.folders.lock().insert(dir.to_owned());
        Ok(())
    }

    fn create(&self, path: &str, unit: WriteUnit) -> Result<Arc<dyn MediaFile>> {
        let failed = self.shared.failed(path, "create");
        if !self.shared.folder_is_there(parent(path)).map_err(&failed)? {
            return Err(Error::NotFound { place: self.place(), path: path.to_owned() });
        }
        match self.shared.is_there(self.shared.object(path)).map_err(&failed)? {
            true => Err(Error::Exists { place: self.place(), path: path.to_owned() }),
            false => Ok(Arc::new(Upload::new(&self.shared, path, unit))),
        }
    }

    fn open(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        let looked = self.shared.look(self.shared.object(path)).map_err(|failure| self.shared.not_found(failure));
        let (len_bytes, tag) = looked.map_err(self.shared.failed(path, "open"))?;
        Ok(Arc::new(Reader::new(&self.shared, path, len_bytes, tag)))
    }

    fn open_to_append(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        self.open(path)?;
        Err(Error::WholeFilesOnly { place: self.place(), path: path.to_owned(), call: "open to append" })
    }

    fn remove(&self, path: &str) -> Result<()> {
        let failed = self.shared.failed(path, "remove");
        let looked = self.shared.look(self.shared.object(path)).map_err(|failure| self.shared.not_found(failure));
        looked.map_err(&failed)?;
        self.shared.delete(self.shared.object(path)).map_err(&failed)?;
        self.shared.temporary.lock().remove(path);
        self.shared.delete(keys::digest(&self.shared.prefix, path)).map_err(&failed)
    }

    /// Copies inside the store, reads the copy back, then removes the original. Stores copy objects of up to 5 GiB so.
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let shared = &self.shared;
        let failed = shared.failed(from, "rename");
        let known = shared.temporary.lock().get(from).copied();
        let attested = match known {
            Some(attested) => attested,
            None => shared.digest(from).map_err(|failure| shared.not_found(failure)).map_err(&failed)?,
        };
        let (source, target) = (shared.object(from), shared.object(to));
        let copied = shared.ask(|store| async move { store.copy(&source, &target).await });
        copied.map_err(&failed)?;
        shared.read_back(to, attested).map_err(&failed)?;
        shared.attest(to, attested).map_err(&failed)?;
        shared.delete(shared.object(from)).map_err(&failed)?;
        shared.temporary.lock().remove(from);
        shared.delete(keys::digest(&shared.prefix, from)).map_err(&failed)
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        match self.shared.folder_is_there(dir).map_err(self.shared.failed(dir, "sync folder"))? {
            true => Ok(()),
            false => Err(Error::NotFound { place: self.place(), path: dir.to_owned() }),
        }
    }

    fn space(&self) -> Result<Space> {
        Ok(Space { free_bytes: SPACE_BYTES, total_bytes: SPACE_BYTES })
    }

    fn is_read_only(&self) -> Result<bool> {
        Ok(false)
    }

    fn write_mode(&self) -> WriteMode {
        WriteMode::Buffered
    }
}
