//! One process at a time in a folder. The lock is the system's and ends with the process; the file only says who has it.

use crate::error::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Name of the file that is locked.
const FILE: &str = "lock";

/// A folder that is ours until this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes `dir`, or says who has it.
    pub fn take(dir: &Path) -> Result<Lock> {
        let path = dir.join(FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(Error::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: dir.to_owned(), pid: holder(&mut file) }),
            Err(TryLockError::Error(source)) => return Err(Error::file("lock", &path)(source)),
        }
        let pid = std::process::id().to_string();
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(pid.as_bytes()));
        written.map_err(Error::file("write", &path))?;
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    /// Closing the file does not let go while a child process that was just forked still has a copy of it.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

fn holder(file: &mut File) -> String {
    let mut pid = String::new();
    match file.read_to_string(&mut pid) {
        Ok(1..) => pid,
        _ => "that is just starting".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_to_take_a_folder_is_told_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let Err(Error::InUse { pid, .. }) = Lock::take(dir.path()) else { panic!("the folder is taken") };
        assert_eq!(pid, std::process::id().to_string());
        drop(first);
        Lock::take(dir.path()).unwrap();
    }
}
