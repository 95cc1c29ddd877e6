//! Media in a folder of a file system: what a disk, a tape file system or a test gives.
//!
//! Shard files are written with `O_DIRECT`, past the page cache: a tenth of the processor time of buffered writes, and what
//! is read back came from the device. Where the file system refuses, writes are buffered and [`WriteMode`] says so.
//! Files are created for their owner alone (mode 0600).

use super::{Fuse, Listed, Media, MediaFile, Space, WriteMode, WriteUnit, check_aligned, failure};
use crate::buffer::AlignedBuf;
use crate::layout::{BLOCK_BYTES, parent};
use crate::{Error, Result};
use rustix::fs::{Access, Advice, AtFlags, CWD, FlockOperation, OFlags};
use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// File systems that overwrite in place, by the numbers of `statfs(2)`: ext2 to ext4, XFS, and memory.
const IN_PLACE: [rustix::fs::FsWord; 3] = [0xef53, 0x5846_5342, 0x0102_1994];

/// How a folder is opened as a medium.
#[derive(Debug, Clone, Copy)]
pub struct FileOptions {
    /// write shard files past the page cache
    pub direct: bool,
    /// refuse the folder while another process has it open with this option
    pub exclusive: bool,
}

impl Default for FileOptions {
    fn default() -> Self {
        FileOptions { direct: true, exclusive: true }
    }
}

/// A folder as a medium.
#[derive(Debug)]
pub struct FileMedia {
    shared: Arc<Shared>,
    /// holds the lock, and keeps the file system from being unmounted under us
    folder: File,
}

/// What the medium and its open files both need.
#[derive(Debug)]
struct Shared {
    root: PathBuf,
    direct: AtomicBool,
}

impl FileMedia {
    /// Opens the folder `root`, which must be there.
    pub fn open(root: &Path, options: FileOptions) -> Result<FileMedia> {
        let place = root.display().to_string();
        let folder = File::open(root).and_then(|folder| match folder.metadata()?.is_dir() {
            true => Ok(folder),
            false => Err(io::Error::from(io::ErrorKind::NotADirectory)),
        });
        let folder = folder.map_err(|source| Error::VolumeAbsent { place: place.clone(), source })?;
        if options.exclusive {
            match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::VolumeBusy { place }),
                Err(error) => return Err(failure(&place, "", "lock", error.into())),
            }
        }
        let shared = Arc::new(Shared { root: root.to_owned(), direct: options.direct.into() });
        Ok(FileMedia { shared, folder })
    }

    /// Whether the file system writes over the blocks that a file has. Those that are not known to do so do not: they may keep old
    /// blocks for snapshots, or be in front of a medium that is written once.
    fn overwrites_in_place(&self, path: &str) -> Result<bool> {
        let found = rustix::fs::statfs(self.shared.path(path))
            .map_err(|error| self.shared.failed(path, "look at")(error.into()))?;
        Ok(IN_PLACE.contains(&found.f_type))
    }

    fn writer(&self, path: &str, unit: WriteUnit, file: File, call: &'static str) -> Result<Arc<dyn MediaFile>> {
        let reader = File::open(self.shared.path(path)).map_err(self.shared.failed(path, call))?;
        if unit == WriteUnit::Blocks {
            self.shared.bypass_cache(&file);
        }
        Ok(Arc::new(Handle::new(&self.shared, path, reader, Some((file, unit)))))
    }
}

impl Drop for FileMedia {
    /// Lets the lock go itself: closing the folder does not, while a child process that was just forked still has a copy of it.
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.folder, FlockOperation::Unlock);
    }
}

impl Shared {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }

    /// Turns an error of the system into ours; where nothing is found because the volume is gone, it says so.
    fn failed<'a>(&'a self, path: &'a str, call: &'static str) -> impl FnOnce(io::Error) -> Error + 'a {
        move |source| match source.kind() {
            io::ErrorKind::NotFound if !self.root.is_dir() => Error::VolumeAbsent { place: self.place(), source },
            _ => failure(&self.place(), path, call, source),
        }
    }

    /// Asks for direct writes. The flag is set after the file is there: asking while creating it can leave an empty file
    /// behind where the file system refuses.
    fn bypass_cache(&self, file: &File) {
        if self.direct.load(Ordering::Relaxed) && set_direct(file).is_err() {
            self.direct.store(false, Ordering::Relaxed);
        }
    }
}

fn set_direct(file: &File) -> rustix::io::Result<()> {
    rustix::fs::fcntl_setfl(file, rustix::fs::fcntl_getfl(file)? | OFlags::DIRECT)
}

impl Media for FileMedia {
    fn place(&self) -> String {
        self.shared.place()
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>> {
        let mut listed = Vec::new();
        for entry in std::fs::read_dir(self.shared.path(dir)).map_err(self.shared.failed(dir, "list"))? {
            let entry = entry.map_err(self.shared.failed(dir, "list"))?;
            let is_dir = entry.file_type().map_err(self.shared.failed(dir, "list"))?.is_dir();
            listed.push(Listed { name: entry.file_name().to_string_lossy().into_owned(), is_dir });
        }
        listed.sort_unstable();
        Ok(listed)
    }

    fn make_dir(&self, dir: &str) -> Result<()> {
        if dir.is_empty() {
            return Ok(());
        }
        self.make_dir(parent(dir))?;
        match std::fs::create_dir(self.shared.path(dir)) {
            Ok(()) => {}
            // One that another process made just before it was killed may not be durable yet, so it is synced all the same.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.shared.path(dir).is_dir() => {}
            Err(error) => return Err(self.shared.failed(dir, "make folder")(error)),
        }
        self.sync_dir(parent(dir))
    }

    fn create(&self, path: &str, unit: WriteUnit) -> Result<Arc<dyn MediaFile>> {
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.shared.path(path));
        self.writer(path, unit, created.map_err(self.shared.failed(path, "create"))?, "create")
    }

    fn open(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        let file = File::open(self.shared.path(path)).map_err(self.shared.failed(path, "open"))?;
        Ok(Arc::new(Handle::new(&self.shared, path, file, None)))
    }

    fn open_to_append(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        let file = OpenOptions::new().write(true).open(self.shared.path(path));
        let file = file.map_err(self.shared.failed(path, "open to append"))?;
        self.writer(path, WriteUnit::Blocks, file, "open to append")
    }

    fn open_to_overwrite(&self, path: &str) -> Result<Option<Arc<dyn MediaFile>>> {
        match self.overwrites_in_place(path)? {
            true => self.open_to_append(path).map(Some),
            false => Ok(None),
        }
    }

    fn remove(&self, path: &str) -> Result<()> {
        std::fs::remove_file(self.shared.path(path)).map_err(self.shared.failed(path, "remove"))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        std::fs::rename(self.shared.path(from), self.shared.path(to)).map_err(self.shared.failed(from, "rename"))
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        let folder = File::open(self.shared.path(dir)).map_err(self.shared.failed(dir, "sync folder"))?;
        folder.sync_all().map_err(self.shared.failed(dir, "sync folder"))
    }

    fn space(&self) -> Result<Space> {
        let found = rustix::fs::statvfs(&self.shared.root);
        let found = found.map_err(|error| self.shared.failed("", "measure")(error.into()))?;
        Ok(Space {
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
            total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
        })
    }

    fn is_read_only(&self) -> Result<bool> {
        use rustix::io::Errno;
        match rustix::fs::accessat(CWD, &self.shared.root, Access::WRITE_OK, AtFlags::EACCESS) {
            Ok(()) => Ok(false),
            Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => Ok(true),
            Err(error) => Err(self.shared.failed("", "look at")(error.into())),
        }
    }

    fn write_mode(&self) -> WriteMode {
        match self.shared.direct.load(Ordering::Relaxed) {
            true => WriteMode::Direct,
            false => WriteMode::Buffered,
        }
    }
}

/// One open file. Reads and writes have descriptors of their own, because bypassing the cache is a property of those.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    path: String,
    reader: File,
    /// opened when first asked for; `None` where the file system refuses
    reader_past_cache: OnceLock<Option<File>>,
    writer: Option<(File, WriteUnit)>,
    fuse: Fuse,
}

impl Handle {
    fn new(shared: &Arc<Shared>, path: &str, reader: File, writer: Option<(File, WriteUnit)>) -> Self {
        let (shared, path) = (shared.clone(), path.to_owned());
        Handle { shared, path, reader, reader_past_cache: OnceLock::new(), writer, fuse: Fuse::default() }
    }

    fn failed(&self, call: &'static str) -> impl FnOnce(io::Error) -> Error + '_ {
        move |source| failure(&self.shared.place(), &self.path, call, source)
    }

    fn writer(&self, call: &'static str) -> Result<&(File, WriteUnit)> {
        let not_writable = || self.failed(call)(io::ErrorKind::PermissionDenied.into());
        self.writer.as_ref().ok_or_else(not_writable)
    }

    /// The descriptor that bypasses the cache, or the usual one with the range dropped from the cache.
    fn past_cache(&self, at: u64, len_bytes: usize) -> &File {
        let direct = i32::try_from(OFlags::DIRECT.bits()).unwrap_or_default();
        let open = || OpenOptions::new().read(true).custom_flags(direct).open(self.shared.path(&self.path)).ok();
        self.reader_past_cache.get_or_init(open).as_ref().unwrap_or_else(|| {
            // Advice only: where it is not taken, the read is right and merely comes from memory.
            let _ = rustix::fs::fadvise(&self.reader, at, NonZeroU64::new(len_bytes as u64), Advice::DontNeed);
            &self.reader
        })
    }
}

impl MediaFile for Handle {
    fn len(&self) -> Result<u64> {
        Ok(self.reader.metadata().map_err(self.failed("look at"))?.len())
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize> {
        fill(&self.reader, at, into, 1).map_err(self.failed("read"))
    }

    fn read_past_cache(&self, at: u64, len_bytes: usize, into: &mut AlignedBuf) -> Result<()> {
        into.resize(len_bytes.next_multiple_of(BLOCK_BYTES));
        check_aligned(&self.path, "read past the cache", at, into)?;
        let found = fill(self.past_cache(at, len_bytes), at, into, BLOCK_BYTES).map_err(self.failed("read"))?;
        into.resize(found.min(len_bytes));
        Ok(())
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let (file, unit) = self.writer("write")?;
        if *unit == WriteUnit::Blocks {
            check_aligned(&self.path, "write", at, bytes)?;
        }
        let write = || file.write_all_at(bytes, at).map_err(self.failed("write"));
        self.fuse.run(&self.shared.place(), &self.path, "write", write)
    }

    fn sync(&self) -> Result<()> {
        let (file, _) = self.writer("sync")?;
        let sync = || file.sync_data().map_err(self.failed("sync"));
        self.fuse.run(&self.shared.place(), &self.path, "sync", sync)
    }
}

/// Reads until `into` is full or the file ends, which a read that is not a multiple of `unit` bytes also says.
fn fill(file: &File, at: u64, into: &mut [u8], unit: usize) -> io::Result<usize> {
    let mut done = 0;
    while done < into.len() {
        match file.read_at(&mut into[done..], at + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if !done.is_multiple_of(unit) {
            break;
        }
    }
    Ok(done)
}
