//! The media that the engine sees: [`Media`] over a [`Disk`](crate::disk::Disk) of the world.

use crate::disk::{File, Folder, Shared};
use crate::world::{Call, State, World};
use parking_lot::Mutex;
use shosoin_tiers::buffer::is_aligned;
use shosoin_tiers::layout::{BLOCK_BYTES, parent};
use shosoin_tiers::media::{Listed, Op, Space, WriteMode, WriteUnit};
use shosoin_tiers::{AlignedBuf, Error, Media, MediaFile, Result};
use std::io::ErrorKind;
use std::sync::Arc;

/// One simulated medium.
#[derive(Debug, Clone)]
pub struct SimMedia {
    world: Arc<World>,
    disk: usize,
    place: Arc<str>,
}

impl SimMedia {
    /// The medium number `disk` of the world.
    pub fn new(world: &Arc<World>, disk: usize) -> Self {
        let place = world.with(|state| state.disks[disk].place.as_str().into());
        SimMedia { world: world.clone(), disk, place }
    }

    fn call<'a>(&'a self, op: Op, path: &'a str) -> Call<'a> {
        Call { disk: self.disk, place: &self.place, op, path, at: 0, len: 0 }
    }

    fn in_folder<T>(
        &self,
        op: Op,
        path: &str,
        action: impl FnOnce(&mut Folder, &str) -> Result<T, ErrorKind>,
    ) -> Result<T> {
        let call = self.call(op, path);
        self.world.call(&call, |state, _| {
            let folder = state.disks[self.disk].folders.get_mut(parent(path)).ok_or(ErrorKind::NotFound);
            folder.and_then(|folder| action(folder, name(path))).map_err(|kind| call.failed(kind))
        })
    }

    fn handle(&self, path: &str, file: Shared, unit: Option<WriteUnit>) -> Arc<dyn MediaFile> {
        Arc::new(SimFile { media: self.clone(), path: path.into(), file, unit })
    }
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

impl Media for SimMedia {
    fn place(&self) -> String {
        self.place.to_string()
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>> {
        let call = self.call(Op::List, dir);
        self.world.call(&call, |state, _| {
            if !dir.is_empty() && state.listing_fails(self.disk) {
                return Err(call.failed(ErrorKind::Other));
            }
            let folders = &state.disks[self.disk].folders;
            let folder = folders.get(dir).ok_or_else(|| call.failed(ErrorKind::NotFound))?;
            let inside = folders.keys().filter(|path| !path.is_empty() && parent(path) == dir);
            let inside = inside.map(|path| Listed { name: name(path).to_owned(), is_dir: true });
            let files = folder.files().keys().map(|name| Listed { name: name.clone(), is_dir: false });
            let mut listed: Vec<_> = inside.chain(files).collect();
            listed.sort_unstable();
            Ok(listed)
        })
    }

    fn make_dir(&self, dir: &str) -> Result<()> {
        let call = self.call(Op::MakeDir, dir);
        self.world.call(&call, |state, _| {
            let mut made = dir;
            while !state.disks[self.disk].folders.contains_key(made) {
                state.disks[self.disk].folders.insert(made.to_owned(), Folder::default());
                made = parent(made);
            }
            Ok(())
        })
    }

    fn create(&self, path: &str, unit: WriteUnit) -> Result<Arc<dyn MediaFile>> {
        let file = Arc::new(Mutex::new(File::default()));
        self.in_folder(Op::Create, path, |folder, name| match folder.files().contains_key(name) {
            true => Err(ErrorKind::AlreadyExists),
            false => {
                folder.link(name, file.clone());
                Ok(())
            }
        })?;
        Ok(self.handle(path, file, Some(unit)))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        let find = |folder: &mut Folder, name: &str| folder.files().get(name).cloned().ok_or(ErrorKind::NotFound);
        Ok(self.handle(path, self.in_folder(Op::Open, path, find)?, None))
    }

    fn open_to_append(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        let find = |folder: &mut Folder, name: &str| folder.files().get(name).cloned().ok_or(ErrorKind::NotFound);
        Ok(self.handle(path, self.in_folder(Op::OpenToAppend, path, find)?, Some(WriteUnit::Blocks)))
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.world.with(|state| state.expect_another_copy(self.disk, path, None));
        let len = self.in_folder(Op::Remove, path, |folder, name| {
            let len = folder.files().get(name).map(|file| file.lock().len() as u64);
            folder.unlink(name);
            len.ok_or(ErrorKind::NotFound)
        })?;
        self.world.with(|state| {
            let used = &mut state.disks[self.disk].used_bytes;
            *used = used.saturating_sub(len);
        });
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.world.with(|state| state.expect_another_copy(self.disk, to, Some(from)));
        self.in_folder(Op::Rename, from, |folder, old| {
            match parent(from) == parent(to) && folder.rename(old, name(to)) {
                true => Ok(()),
                false => Err(ErrorKind::NotFound),
            }
        })
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        let call = self.call(Op::SyncDir, dir);
        self.world.call(&call, |state, _| {
            let folder = state.disks[self.disk].folders.get_mut(dir);
            folder.map(Folder::sync).ok_or_else(|| call.failed(ErrorKind::NotFound))
        })
    }

    fn space(&self) -> Result<Space> {
        self.world.call(&self.call(Op::Space, ""), |state, now_ms| {
            let disk = &state.disks[self.disk];
            let full = disk.full_until_ms > now_ms;
            let free_bytes = if full { 0 } else { disk.capacity_bytes.saturating_sub(disk.used_bytes) };
            Ok(Space { free_bytes, total_bytes: disk.capacity_bytes })
        })
    }

    fn is_read_only(&self) -> Result<bool> {
        self.world.call(&self.call(Op::IsReadOnly, ""), |state, _| Ok(state.disks[self.disk].is_read_only))
    }

    fn write_mode(&self) -> WriteMode {
        WriteMode::Direct
    }
}

#[derive(Debug)]
struct SimFile {
    media: SimMedia,
    path: Box<str>,
    file: Shared,
    /// `None` where it was opened for reading
    unit: Option<WriteUnit>,
}

impl SimFile {
    fn call(&self, op: Op, at: u64, len: usize) -> Call<'_> {
        Call { at, len, ..self.media.call(op, &self.path) }
    }

    fn read(&self, call: &Call<'_>, into: &mut [u8], through_cache: bool) -> Result<usize> {
        self.media.world.call(call, |state: &mut State, now_ms| {
            if state.read_fails(call, now_ms) {
                return Err(call.failed(ErrorKind::Other));
            }
            let at = usize::try_from(call.at).unwrap_or(usize::MAX);
            self.file.lock().read(at, into, through_cache).map_err(|_| call.failed(ErrorKind::Other))
        })
    }

    fn misaligned(&self, call: &Call<'_>) -> Error {
        Error::Misaligned { path: self.path.to_string(), call: call.op.name(), at: call.at, len_bytes: call.len }
    }
}

impl MediaFile for SimFile {
    fn len(&self) -> Result<u64> {
        self.media.world.call(&self.call(Op::Len, 0, 0), |_, _| Ok(self.file.lock().len() as u64))
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize> {
        self.read(&self.call(Op::Read, at, into.len()), into, true)
    }

    fn read_past_cache(&self, at: u64, len_bytes: usize, into: &mut AlignedBuf) -> Result<()> {
        let call = self.call(Op::ReadPastCache, at, len_bytes);
        into.resize(len_bytes.next_multiple_of(BLOCK_BYTES));
        if !at.is_multiple_of(BLOCK_BYTES as u64) || !is_aligned(into) {
            return Err(self.misaligned(&call));
        }
        let found = self.read(&call, into, false)?;
        into.resize(found.min(len_bytes));
        Ok(())
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let call = self.call(Op::Write, at, bytes.len());
        match self.unit {
            Some(WriteUnit::Bytes) => {}
            Some(WriteUnit::Blocks) if at.is_multiple_of(BLOCK_BYTES as u64) && is_aligned(bytes) => {}
            Some(WriteUnit::Blocks) => return Err(self.misaligned(&call)),
            None => return Err(call.failed(ErrorKind::PermissionDenied)),
        }
        self.media.world.call(&call, |state, now_ms| state.write(&call, &self.file, bytes, now_ms))
    }

    fn sync(&self) -> Result<()> {
        let call = self.call(Op::Sync, 0, 0);
        match self.unit {
            Some(_) => self.media.world.call(&call, |state, now_ms| state.sync(&call, &self.file, now_ms)),
            None => Err(call.failed(ErrorKind::PermissionDenied)),
        }
    }
}
