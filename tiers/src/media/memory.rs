//! Media in memory, which remembers what would survive a power cut.
//!
//! Model of a crash: synced bytes stay. Of every write since the last sync, each sector may or may not have reached the
//! medium, in any order. Of the names made, moved and removed since the folder's last sync, a prefix has: file systems
//! with a journal keep the order of these. Folders are durable once made, as [`Media::make_dir`] promises.

use super::{Fuse, Listed, Media, MediaFile, Space, WriteMode, WriteUnit, check_aligned, failure};
use crate::buffer::AlignedBuf;
use crate::clock::SeededRandom;
use crate::layout::{BLOCK_BYTES, parent};
use crate::{Error, Result};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;

/// What a medium writes as a whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A medium in memory. Clones are the same medium.
#[derive(Debug, Clone)]
pub struct MemoryMedia {
    disk: Arc<Disk>,
}

#[derive(Debug)]
struct Disk {
    place: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    folders: BTreeMap<String, Folder>,
    capacity_bytes: u64,
    used_bytes: u64,
    read_only: bool,
    write_once: bool,
}

#[derive(Debug, Default)]
struct Folder {
    live: BTreeMap<String, Arc<Mutex<Content>>>,
    durable: BTreeMap<String, Arc<Mutex<Content>>>,
    /// what turns `durable` into `live`
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Link(String, Arc<Mutex<Content>>),
    Unlink(String),
    Rename(String, String),
}

#[derive(Debug, Clone, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// written since the last sync
    pending: Vec<Range<usize>>,
}

impl MemoryMedia {
    /// An empty medium that holds as much as is written to it; `place` is its name in errors.
    pub fn new(place: &str) -> Self {
        MemoryMedia::with_capacity(place, u64::MAX)
    }

    /// An empty medium that is full after `capacity_bytes`.
    pub fn with_capacity(place: &str, capacity_bytes: u64) -> Self {
        let folders = BTreeMap::from([(String::new(), Folder::default())]);
        let state = Mutex::new(State { folders, capacity_bytes, used_bytes: 0, read_only: false, write_once: false });
        MemoryMedia { disk: Arc::new(Disk { place: place.to_owned(), state }) }
    }

    /// Makes it a medium whose files cannot be overwritten in place, or one whose files can.
    pub fn set_write_once(&self, write_once: bool) {
        self.disk.state.lock().write_once = write_once;
    }

    /// Makes the medium read-only, or writable again.
    pub fn set_read_only(&self, read_only: bool) {
        self.disk.state.lock().read_only = read_only;
    }

    /// Cuts the power. Files that are open now lead nowhere afterwards.
    pub fn crash(&self, random: &SeededRandom) {
        let mut state = self.disk.state.lock();
        for folder in state.folders.values_mut() {
            folder.crash(random);
        }
        let used = state.folders.values().flat_map(|folder| folder.live.values());
        state.used_bytes = used.map(|content| content.lock().live.len() as u64).sum();
    }

    /// Every file, with its path.
    pub fn paths(&self) -> Vec<String> {
        let state = self.disk.state.lock();
        let files = state.folders.iter().flat_map(|(dir, folder)| folder.live.keys().map(move |name| join(dir, name)));
        files.collect()
    }

    /// The content of every file, by path.
    pub fn image(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.disk.state.lock();
        let files = state.folders.iter().flat_map(|(dir, folder)| folder.live.iter().map(move |file| (dir, file)));
        files.map(|(dir, (name, content))| (join(dir, name), content.lock().live.clone())).collect()
    }

    /// Changes the bytes of a file behind the back of whoever wrote it, as decay, accidents and attackers do.
    pub fn tamper(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let content = self.disk.file(path, "tamper")?;
        let mut content = content.lock();
        change(&mut content.live);
        content.durable = content.live.clone();
        content.pending.clear();
        Ok(())
    }
}

impl Folder {
    fn apply(names: &mut BTreeMap<String, Arc<Mutex<Content>>>, change: Change) {
        match change {
            Change::Link(name, content) => {
                names.insert(name, content);
            }
            Change::Unlink(name) => {
                names.remove(&name);
            }
            Change::Rename(from, to) => {
                if let Some(content) = names.remove(&from) {
                    names.insert(to, content);
                }
            }
        }
    }

    fn change(&mut self, change: Change) {
        Folder::apply(&mut self.live, change.clone());
        self.pending.push(change);
    }

    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            Folder::apply(&mut self.durable, change);
        }
    }

    fn crash(&mut self, random: &SeededRandom) {
        let survive = random.below(self.pending.len() as u64 + 1);
        for change in self.pending.drain(..).take(usize::try_from(survive).unwrap_or(usize::MAX)) {
            Folder::apply(&mut self.durable, change);
        }
        for content in self.durable.values_mut() {
            let crashed = content.lock().crashed(random);
            *content = Arc::new(Mutex::new(crashed));
        }
        self.live = self.durable.clone();
    }
}

impl Content {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        self.live[at..end].copy_from_slice(bytes);
        self.pending.push(at..end);
    }

    fn crashed(&self, random: &SeededRandom) -> Content {
        let mut survived = self.durable.clone();
        for range in &self.pending {
            // Whole writes that survive or vanish are as likely as torn ones, because these are what recovery meets most.
            let (whole, vanished) = (random.below(4) == 0, random.below(4) == 0);
            for start in range.clone().step_by(SECTOR_BYTES) {
                let end = (start + SECTOR_BYTES).min(range.end);
                if whole || (!vanished && random.below(2) == 1) {
                    survived.resize(survived.len().max(end), 0);
                    survived[start..end].copy_from_slice(&self.live[start..end]);
                }
            }
        }
        Content { live: survived.clone(), durable: survived, pending: Vec::new() }
    }
}

impl Disk {
    fn failed(&self, path: &str, call: &'static str, kind: ErrorKind) -> Error {
        failure(&self.place, path, call, kind.into())
    }

    fn file(&self, path: &str, call: &'static str) -> Result<Arc<Mutex<Content>>> {
        let state = self.state.lock();
        let found = state.folders.get(parent(path)).and_then(|folder| folder.live.get(name(path)).cloned());
        found.ok_or_else(|| self.failed(path, call, ErrorKind::NotFound))
    }

    /// Runs `change` on the folder that `path` is in.
    fn change(
        &self,
        path: &str,
        call: &'static str,
        change: impl FnOnce(&mut Folder, &str) -> Result<(), ErrorKind>,
    ) -> Result<()> {
        let mut state = self.state.lock();
        if state.read_only {
            return Err(self.failed(path, call, ErrorKind::ReadOnlyFilesystem));
        }
        let folder = state.folders.get_mut(parent(path)).ok_or_else(|| self.failed(path, call, ErrorKind::NotFound))?;
        change(folder, name(path)).map_err(|kind| self.failed(path, call, kind))
    }
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn join(dir: &str, name: &str) -> String {
    match dir {
        "" => name.to_owned(),
        _ => format!("{dir}/{name}"),
    }
}

impl Media for MemoryMedia {
    fn place(&self) -> String {
        self.disk.place.clone()
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>> {
        let state = self.disk.state.lock();
        let folder = state.folders.get(dir).ok_or_else(|| self.disk.failed(dir, "list", ErrorKind::NotFound))?;
        let folders = state.folders.keys().filter(|path| !path.is_empty() && parent(path) == dir);
        let folders = folders.map(|path| Listed { name: name(path).to_owned(), is_dir: true });
        let files = folder.live.keys().map(|name| Listed { name: name.clone(), is_dir: false });
        let mut listed: Vec<_> = folders.chain(files).collect();
        listed.sort_unstable();
        Ok(listed)
    }

    fn make_dir(&self, dir: &str) -> Result<()> {
        let mut state = self.disk.state.lock();
        let mut made = dir;
        while !state.folders.contains_key(made) {
            if state.read_only {
                return Err(self.disk.failed(dir, "make folder", ErrorKind::ReadOnlyFilesystem));
            }
            state.folders.insert(made.to_owned(), Folder::default());
            made = parent(made);
        }
        Ok(())
    }

    fn create(&self, path: &str, unit: WriteUnit) -> Result<Arc<dyn MediaFile>> {
        let content = Arc::new(Mutex::new(Content::default()));
        self.disk.change(path, "create", |folder, name| match folder.live.contains_key(name) {
            true => Err(ErrorKind::AlreadyExists),
            false => {
                folder.change(Change::Link(name.to_owned(), content.clone()));
                Ok(())
            }
        })?;
        Ok(self.handle(path, content, Some(unit)))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        Ok(self.handle(path, self.disk.file(path, "open")?, None))
    }

    fn open_to_append(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        let content = self.disk.file(path, "open to append")?;
        self.disk.change(path, "open to append", |_, _| Ok(()))?;
        Ok(self.handle(path, content, Some(WriteUnit::Blocks)))
    }

    fn open_to_overwrite(&self, path: &str) -> Result<Option<Arc<dyn MediaFile>>> {
        let write_once = self.disk.state.lock().write_once;
        match write_once {
            true => Ok(None),
            false => self.open_to_append(path).map(Some),
        }
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.disk.change(path, "remove", |folder, name| match folder.live.contains_key(name) {
            true => {
                folder.change(Change::Unlink(name.to_owned()));
                Ok(())
            }
            false => Err(ErrorKind::NotFound),
        })
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.disk.change(from, "rename", |folder, old| {
            match folder.live.contains_key(old) && parent(from) == parent(to) {
                true => {
                    folder.change(Change::Rename(old.to_owned(), name(to).to_owned()));
                    Ok(())
                }
                false => Err(ErrorKind::NotFound),
            }
        })
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        let mut state = self.disk.state.lock();
        let folder = state.folders.get_mut(dir);
        folder.map(Folder::sync).ok_or_else(|| self.disk.failed(dir, "sync folder", ErrorKind::NotFound))
    }

    fn space(&self) -> Result<Space> {
        let state = self.disk.state.lock();
        let free_bytes = state.capacity_bytes.saturating_sub(state.used_bytes);
        Ok(Space { free_bytes, total_bytes: state.capacity_bytes })
    }

    fn is_read_only(&self) -> Result<bool> {
        Ok(self.disk.state.lock().read_only)
    }

    fn write_mode(&self) -> WriteMode {
        WriteMode::Buffered
    }
}

impl MemoryMedia {
    fn handle(&self, path: &str, content: Arc<Mutex<Content>>, unit: Option<WriteUnit>) -> Arc<dyn MediaFile> {
        Arc::new(Handle { disk: self.disk.clone(), path: path.to_owned(), content, unit, fuse: Fuse::default() })
    }
}

#[derive(Debug)]
struct Handle {
    disk: Arc<Disk>,
    path: String,
    content: Arc<Mutex<Content>>,
    /// `None` where it was opened for reading
    unit: Option<WriteUnit>,
    fuse: Fuse,
}

impl Handle {
    fn write(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let failed = |kind| self.disk.failed(&self.path, "write", kind);
        let at = usize::try_from(at).map_err(|_| failed(ErrorKind::FileTooLarge))?;
        let mut state = self.disk.state.lock();
        if state.read_only {
            return Err(failed(ErrorKind::ReadOnlyFilesystem));
        }
        let mut content = self.content.lock();
        let grows = (at + bytes.len()).saturating_sub(content.live.len()) as u64;
        if state.used_bytes + grows > state.capacity_bytes {
            return Err(failed(ErrorKind::StorageFull));
        }
        state.used_bytes += grows;
        content.write(at, bytes);
        Ok(())
    }
}

impl MediaFile for Handle {
    fn len(&self) -> Result<u64> {
        Ok(self.content.lock().live.len() as u64)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize> {
        let content = self.content.lock();
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(content.live.len());
        let count = into.len().min(content.live.len() - from);
        into[..count].copy_from_slice(&content.live[from..from + count]);
        Ok(count)
    }

    fn read_past_cache(&self, at: u64, len_bytes: usize, into: &mut AlignedBuf) -> Result<()> {
        into.resize(len_bytes.next_multiple_of(BLOCK_BYTES));
        check_aligned(&self.path, "read past the cache", at, into)?;
        let found = self.read_at(at, into)?;
        into.resize(found.min(len_bytes));
        Ok(())
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        match self.unit {
            Some(WriteUnit::Blocks) => check_aligned(&self.path, "write", at, bytes)?,
            Some(WriteUnit::Bytes) => {}
            None => return Err(self.disk.failed(&self.path, "write", ErrorKind::PermissionDenied)),
        }
        self.fuse.run(&self.disk.place, &self.path, "write", || self.write(at, bytes))
    }

    fn sync(&self) -> Result<()> {
        if self.unit.is_none() {
            return Err(self.disk.failed(&self.path, "sync", ErrorKind::PermissionDenied));
        }
        self.fuse.run(&self.disk.place, &self.path, "sync", || {
            let mut content = self.content.lock();
            content.durable = content.live.clone();
            content.pending.clear();
            Ok(())
        })
    }
}
