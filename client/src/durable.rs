//! Small files of the hospital's state: written whole, synced, renamed into place, the folder synced.
//!
//! A reader sees the old file or the new one, also after a power cut. The media have a sequence of their own
//! (`shosoin-tiers`), which the hospital side does not link.

use std::fs::{File, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells apart two writers of one file in one process; the process id does so between processes.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Puts `bytes` in place of whatever `path` held, readable by its owner only; durable on return. Several may do so at a
/// time: the last one to finish is the file.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    replace_through(&path.with_file_name(format!(".{}-{unique}.tmp", std::process::id())), path, bytes)
}

/// [`replace`] for a file with one writer: what a crash leaves behind is `temporary`, which the next replacement takes.
pub fn replace_through(temporary: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let written = write_and_rename(temporary, path, bytes);
    if written.is_err() {
        // Nothing points at the temporary file; if it cannot be removed either, the first cause is the one to tell.
        let _ = std::fs::remove_file(temporary);
    }
    written?;
    sync_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(temporary, path)
}

/// Makes names created in or removed from `folder` durable.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)?.sync_all()
}
