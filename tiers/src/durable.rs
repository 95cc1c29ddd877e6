//! The one way a whole file is replaced: temporary file, write, sync, rename, sync the folder.
//!
//! After a crash at any point the file has its old content or its new one. A `.tmp` file that a crash leaves was never
//! promised to anyone.

use crate::layout::{TEMPORARY, parent};
use crate::media::{Media, WriteUnit};
use crate::{Error, MediaFile, Result};
use std::sync::Arc;

/// Gives the file at `path` the content `bytes`, durably, whether or not it was there.
pub fn replace(media: &dyn Media, path: &str, bytes: &[u8]) -> Result<()> {
    write(media, path, |file| file.write_at(0, bytes))
}

/// Gives the file at `path` what `fill` writes into it, durably, whether or not it was there. Where `fill` fails, nothing of it
/// is there.
pub fn write<E: From<Error>>(
    media: &dyn Media,
    path: &str,
    fill: impl FnOnce(&dyn MediaFile) -> Result<(), E>,
) -> Result<(), E> {
    let file = begin(media, path, WriteUnit::Bytes)?;
    fill(&*file)?;
    file.sync()?;
    Ok(publish(media, path)?)
}

/// Creates the temporary file of `path`, in place of one that was left behind.
pub(crate) fn begin(media: &dyn Media, path: &str, unit: WriteUnit) -> Result<Arc<dyn MediaFile>> {
    let temporary = format!("{path}{TEMPORARY}");
    match media.remove(&temporary) {
        Ok(()) | Err(Error::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    media.create(&temporary, unit)
}

/// Puts the temporary file of `path`, which must be synced, in its place, durably.
pub(crate) fn publish(media: &dyn Media, path: &str) -> Result<()> {
    media.rename(&format!("{path}{TEMPORARY}"), path)?;
    media.sync_dir(parent(path))
}
