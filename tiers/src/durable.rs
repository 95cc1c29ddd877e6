//! The one way a whole file is replaced: temporary file, write, sync, rename, sync the folder.
//!
//! After a crash at any point the file has its old content or its new one. A `.tmp` file that a crash leaves was never
//! promised to anyone.

use crate::layout::{TEMPORARY, parent};
use crate::media::{Media, WriteUnit};
use crate::{Error, Result};

/// Gives the file at `path` the content `bytes`, durably, whether or not it was there.
pub fn replace(media: &dyn Media, path: &str, bytes: &[u8]) -> Result<()> {
    let temporary = format!("{path}{TEMPORARY}");
    match media.remove(&temporary) {
        Ok(()) | Err(Error::NotFound { .. }) => {}
        Err(error) => return Err(error),
    }
    let file = media.create(&temporary, WriteUnit::Bytes)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    media.rename(&temporary, path)?;
    media.sync_dir(parent(path))
}
