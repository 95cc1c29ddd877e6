//! Scratch: rows about a package, in a folder that is removed when nobody needs them any more. More addresses than memory
//! holds fit, and losing it costs a walk through tables.

use crate::config::IndexKind;
use crate::error::{Error, Result};
use crate::index::{self, Index};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Rows in a folder of their own.
pub struct Scratch {
    index: Option<Box<dyn Index>>,
    dir: PathBuf,
}

impl Scratch {
    /// Empty rows in `dir`, a folder of ours; what a killed process left there is removed.
    pub fn begin(kind: IndexKind, dir: &Path) -> Result<Self> {
        remove(dir)?;
        if let Some(parent) = dir.parent() {
            std::fs::create_dir_all(parent).map_err(|source| io("create", parent, source))?;
        }
        Scratch::fresh(kind, dir)
    }

    /// Empty rows in `dir`, which must not be there yet: in a folder that others write to nothing of theirs is used.
    pub fn fresh(kind: IndexKind, dir: &Path) -> Result<Self> {
        DirBuilder::new().mode(0o700).create(dir).map_err(|source| io("create", dir, source))?;
        Ok(Scratch { index: Some(index::open(kind, &dir.join("rows"))?), dir: dir.to_owned() })
    }

    /// The rows.
    pub fn rows(&self) -> Result<&dyn Index> {
        self.index.as_deref().ok_or(Error::Bug("scratch rows are there until they are dropped"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.index.take());
        if let Err(error) = remove(&self.dir) {
            tracing::warn!(error = &error as &dyn std::error::Error, "scratch rows could not be removed");
        }
    }
}

fn remove(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(io("remove", dir, source)),
        _ => Ok(()),
    }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}
