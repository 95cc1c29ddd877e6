//! The folder of an export: what is in it already, and how a file gets its name there.
//!
//! Invariants
//! - Only a folder that is new, empty, or an earlier export of the same hospital is written to, by one process at a time.
//! - No path goes through a link or a file: every folder on the way is a real one, below the folder.
//! - A file has its name only after all of it was read back and had the digests that the hospital signed.
//! - What is there is replaced only where that was asked for.

use crate::error::{Error, Result};
use crate::files;
use crate::lock::Lock;
use shosoin_client::durable;
use shosoin_protocol::manifest::PartFact;
use shosoin_protocol::suite::Hasher;
use shosoin_protocol::{Digest, HospitalId, Suite};
use std::fs::{File, FileTimes};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Folder of what is on its way.
const SCRATCH: &str = ".shosoin-export";
/// File in it that says whose export this is.
const OWNER: &str = "of";
/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// nothing
    Nothing,
    /// the record, whose SHA-256 this is
    Same(Digest),
    /// something else
    Other,
}

/// A folder that is ours to write to.
pub struct Folder {
    root: PathBuf,
    _lock: Option<Lock>,
}

impl Folder {
    /// Takes the folder for this hospital, and makes it if it is not there.
    pub fn take(root: &Path, hospital: HospitalId) -> Result<Folder> {
        Folder::check(root, hospital)?;
        let scratch = root.join(SCRATCH);
        files::create_dir(&scratch)?;
        let lock = Lock::take(&scratch)?;
        let owner = scratch.join(OWNER);
        durable::replace(&owner, hospital.to_string().as_bytes()).map_err(Error::file("write", &owner))?;
        Ok(Folder { root: root.to_owned(), _lock: Some(lock) })
    }

    /// Only looks at it.
    pub fn look(root: &Path, hospital: HospitalId) -> Result<Folder> {
        Folder::check(root, hospital)?;
        Ok(Folder { root: root.to_owned(), _lock: None })
    }

    fn check(root: &Path, hospital: HospitalId) -> Result<()> {
        let refuse = |why: &str| Err(Error::invalid(root.display().to_string(), why));
        match files::read(&root.join(SCRATCH).join(OWNER))? {
            Some(owner) if owner == hospital.to_string().as_bytes() => return Ok(()),
            Some(_) => return refuse("it has an export of another hospital; give another folder"),
            None => {}
        }
        let mut entries = match std::fs::read_dir(root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::file("list", root)(error)),
        };
        let foreign = entries.any(|entry| !entry.is_ok_and(|entry| entry.file_name() == SCRATCH));
        if foreign { refuse("it is not empty and has no earlier export; give a new or empty folder") } else { Ok(()) }
    }

    /// A path in it.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Where a version is while it is fetched.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.root.join(SCRATCH).join(name)
    }

    /// What is at a path, if it has these parts.
    pub fn found(&self, relative: &str, suite: Suite, parts: &[PartFact]) -> Result<Found> {
        let path = self.path(relative);
        let size: u64 = parts.iter().map(|part| part.size_bytes).sum();
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(Found::Nothing),
            Err(error) => Err(Error::file("look at", path)(error)),
            Ok(metadata) if metadata.is_file() && metadata.len() == size && self.is_reached(relative) => {
                Ok(read_back(&path, suite, parts)?.map_or(Found::Other, Found::Same))
            }
            Ok(_) => Ok(Found::Other),
        }
    }

    /// Whether every folder on the way is a real one.
    fn is_reached(&self, relative: &str) -> bool {
        let mut ends = relative.match_indices('/').map(|(at, _)| &relative[..at]);
        ends.all(|folder| std::fs::symlink_metadata(self.path(folder)).is_ok_and(|found| found.is_dir()))
    }

    /// Gives a fetched file its name, and the time that the record has.
    pub fn place(&self, scratch: &Path, relative: &str, modified_ms: u64, replace: bool) -> Result<()> {
        let target = self.path(relative);
        for (at, _) in relative.match_indices('/') {
            self.make_folder(&relative[..at])?;
        }
        match std::fs::symlink_metadata(&target) {
            Ok(found) if found.is_dir() => return Err(in_the_way(&target, "a folder is there")),
            Ok(_) if !replace => return Err(in_the_way(&target, "a file is there that is not this record")),
            _ => {}
        }
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(modified_ms);
        let file = File::open(scratch).map_err(Error::file("open", scratch))?;
        file.set_times(FileTimes::new().set_modified(modified)).map_err(Error::file("set the time of", scratch))?;
        // nobody else writes here, and links are refused above, so what is there now is what was looked at
        std::fs::rename(scratch, &target).map_err(|error| unmade("create", &target, error))?;
        let folder = target.parent().unwrap_or(&self.root);
        durable::sync_folder(folder).map_err(Error::file("sync folder", folder))
    }

    fn make_folder(&self, relative: &str) -> Result<()> {
        let path = self.path(relative);
        match std::fs::create_dir(&path) {
            Ok(()) => {
                let above = path.parent().unwrap_or(&self.root);
                durable::sync_folder(above).map_err(Error::file("sync folder", above))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match std::fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => Ok(()),
                _ => Err(in_the_way(&path, "something is there that is no folder")),
            },
            Err(error) => Err(unmade("make folder", &path, error)),
        }
    }
}

/// What concerns one record alone, so that the others go on.
fn in_the_way(path: &Path, why: &str) -> Error {
    Error::invalid(path.display().to_string(), why)
}

/// A name that this file system does not take concerns one record; anything else, as a full disk, the whole folder.
fn unmade(action: &'static str, path: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::InvalidFilename | ErrorKind::InvalidInput => {
            in_the_way(path, "this file system does not take the name")
        }
        _ => Error::file(action, path)(error),
    }
}

/// SHA-256 of a file, if it has exactly these parts.
pub fn read_back(path: &Path, suite: Suite, parts: &[PartFact]) -> Result<Option<Digest>> {
    let failed = |error| Error::file("read", path)(error);
    let mut file = File::open(path).map_err(failed)?;
    let (mut whole, mut buffer) = (Hasher::new(Suite::Cryptrec), vec![0; READ_BYTES]);
    for part in parts {
        let (mut digest, mut left) = (Hasher::new(suite), part.size_bytes);
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
            match file.read(&mut buffer[..want]).map_err(failed)? {
                0 => return Ok(None),
                read => {
                    digest.update(&buffer[..read]);
                    whole.update(&buffer[..read]);
                    left -= read as u64;
                }
            }
        }
        if digest.finish() != part.plain_digest {
            return Ok(None);
        }
    }
    let ends = file.read(&mut buffer[..1]).map_err(failed)? == 0;
    Ok(ends.then(|| whole.finish()))
}
