//! A medium that is only read, whatever it would allow: what came from elsewhere is judged as it is, not mended.

use super::{Listed, Media, MediaFile, Space, WriteMode, WriteUnit};
use crate::{Error, Result};
use std::sync::Arc;

/// A medium whose every write is refused.
#[derive(Debug)]
pub struct ReadOnlyMedia {
    inner: Arc<dyn Media>,
}

impl ReadOnlyMedia {
    /// The same medium, to be read alone.
    pub fn over(inner: Arc<dyn Media>) -> Self {
        ReadOnlyMedia { inner }
    }

    fn refused<T>(&self, path: &str, call: &'static str) -> Result<T> {
        Err(Error::ReadOnly { place: self.inner.place(), path: path.to_owned(), call })
    }
}

impl Media for ReadOnlyMedia {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>> {
        self.inner.list(dir)
    }

    fn make_dir(&self, dir: &str) -> Result<()> {
        self.refused(dir, "make folder")
    }

    fn create(&self, path: &str, _unit: WriteUnit) -> Result<Arc<dyn MediaFile>> {
        self.refused(path, "create")
    }

    fn open(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        self.inner.open(path)
    }

    fn open_to_append(&self, path: &str) -> Result<Arc<dyn MediaFile>> {
        self.refused(path, "open to append")
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.refused(path, "remove")
    }

    fn rename(&self, from: &str, _to: &str) -> Result<()> {
        self.refused(from, "rename")
    }

    fn sync_dir(&self, dir: &str) -> Result<()> {
        self.refused(dir, "sync folder")
    }

    fn space(&self) -> Result<Space> {
        self.inner.space()
    }

    fn is_read_only(&self) -> Result<bool> {
        Ok(true)
    }

    fn write_mode(&self) -> WriteMode {
        self.inner.write_mode()
    }
}
