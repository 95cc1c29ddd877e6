//! Small files of the hospital's folder: written whole and durably, readable by their owner alone.

use crate::error::{Error, Result};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Makes `dir` and the folders above it, for the owner alone, where they are not there yet.
pub fn create_dir(dir: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(Error::file("make folder", dir))
}

/// Writes a file that must not exist yet. After a crash it is there whole, or not at all.
pub fn create(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension("tmp");
    let _ = std::fs::remove_file(&temporary); // left by a crash, never promised to anyone
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(Error::file("create", &temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::file("write", &temporary))?;
    // a hard link, unlike a rename, refuses to replace a file
    std::fs::hard_link(&temporary, path).map_err(Error::file("create", path))?;
    std::fs::remove_file(&temporary).map_err(Error::file("remove", &temporary))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file("sync folder", folder))
}

/// Reads a whole file; nothing if it is not there.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_file_is_its_owners_alone_and_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keyring");
        create(&path, b"first").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(create(&path, b"second").is_err());
        assert_eq!(read(&path).unwrap().unwrap(), b"first");
    }
}
