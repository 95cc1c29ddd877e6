//! An object opened for reading: ranged requests, each of which gives what was asked for or fails.

use crate::media::Shared;
use shosoin_tiers::layout::BLOCK_BYTES;
use shosoin_tiers::media::MediaFile;
use shosoin_tiers::{AlignedBuf, Error, Result};
use std::sync::Arc;

/// One object, as it was when it was opened.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    path: String,
    len_bytes: u64,
    tag: Option<String>,
}

impl Reader {
    /// The object at `path`, of which this is known.
    pub fn new(shared: &Arc<Shared>, path: &str, len_bytes: u64, tag: Option<String>) -> Self {
        Reader { shared: shared.clone(), path: path.to_owned(), len_bytes, tag }
    }

    fn refused<T>(&self, call: &'static str) -> Result<T> {
        Err(Error::WholeFilesOnly { place: self.shared.place.clone(), path: self.path.clone(), call })
    }
}

impl MediaFile for Reader {
    fn len(&self) -> Result<u64> {
        Ok(self.len_bytes)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.len_bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let wanted = into.len().min(left);
        let mut done = 0;
        while done < wanted {
            let piece = (wanted - done).min(self.shared.limits.part_bytes);
            let from = at + done as u64;
            let read = self.shared.get(self.shared.object(&self.path), from..from + piece as u64, self.tag.clone());
            let read = read.map_err(|failure| self.shared.not_found(failure));
            into[done..done + piece].copy_from_slice(&read.map_err(self.shared.failed(&self.path, "read"))?);
            done += piece;
        }
        Ok(done)
    }

    fn read_past_cache(&self, at: u64, len_bytes: usize, into: &mut AlignedBuf) -> Result<()> {
        if !at.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(Error::Misaligned { path: self.path.clone(), call: "read past the cache", at, len_bytes });
        }
        into.resize(len_bytes);
        let found = self.read_at(at, into)?;
        into.resize(found);
        Ok(())
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Result<()> {
        self.refused("write")
    }

    fn sync(&self) -> Result<()> {
        self.refused("sync")
    }
}
