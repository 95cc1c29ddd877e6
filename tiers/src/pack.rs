//! Packing: closed segments of one hospital, file after file, onto a medium that leaves the house.
//!
//! Invariants
//! - A file has its name only after all of it was synced, read back past the cache, and found to have the digest of what was
//!   written. A packer that is killed leaves a temporary file, which was promised to nobody.
//! - Records lie in the order in which they were given, and a record of one file was given before every record of the next.
//! - Segments have the code of packages: one data shard, no parity. Nothing else about them differs from any other.
//!
//! Not here: which records, and what else a package holds (the store).

use crate::footer::{ClosedBy, Closing, Footer, SEGMENT_RECORDS_MAX, StripeRow, Table};
use crate::layout::{TEMPORARY, parent};
use crate::media::WriteUnit;
use crate::pool::Pool;
use crate::prepare::{Prepared, STRIPE_PAYLOAD_BYTES_AIM};
use crate::segment::Identity;
use crate::stripe::STRIPE_PAYLOAD_BYTES_MAX;
use crate::writer::next_header;
use crate::{AlignedBuf, Clock, Code, Erasure, Error, Media, MediaFile, Pace, Random, Record, Result, durable};
use shosoin_protocol::suite::Hasher;
use shosoin_protocol::{Digest, HospitalId, SegmentId, Suite};
use std::sync::Arc;

/// Files are read back, and digested, in pieces of this many bytes.
const PIECE_BYTES: usize = 4 << 20;

/// Whose records are packed, where to, and how.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// whose
    pub hospital: HospitalId,
    /// algorithm of digests and addresses
    pub suite: Suite,
    /// bytes of payload after which a file is complete
    pub segment_bytes_max: u64,
}

/// A file that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedFile {
    /// where it is on the medium
    pub path: String,
    /// its length
    pub len_bytes: u64,
    /// suite digest of all of it, as it was read back
    pub digest: Digest,
}

/// Packs records.
pub struct Packer {
    media: Arc<dyn Media>,
    options: PackOptions,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    erasure: Erasure,
    pool: Pool,
    waiting: Vec<Record>,
    waiting_bytes: usize,
    open: Option<OpenFile>,
}

/// The file that is being written.
struct OpenFile {
    identity: Identity,
    path: String,
    file: Arc<dyn MediaFile>,
    table: Table,
    hasher: Hasher,
}

impl Packer {
    /// A packer that has written nothing.
    pub fn new(
        media: Arc<dyn Media>,
        options: PackOptions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self> {
        let (erasure, pool) = (Erasure::new(Code::PACKAGE)?, Pool::new(1));
        Ok(Packer { media, options, clock, random, erasure, pool, waiting: Vec::new(), waiting_bytes: 0, open: None })
    }

    /// Takes the next record; gives the file that is complete with those before it, if one is.
    pub fn add(&mut self, record: Record, pace: &dyn Pace) -> Result<Option<PackedFile>> {
        let len = record.framed_len();
        let is_full = self.waiting_bytes >= STRIPE_PAYLOAD_BYTES_AIM
            || self.waiting_bytes as u64 >= self.options.segment_bytes_max;
        let complete = match is_full || self.waiting_bytes + len > STRIPE_PAYLOAD_BYTES_MAX {
            true => self.write_waiting(pace)?,
            false => None,
        };
        self.waiting_bytes += len;
        self.waiting.push(record);
        Ok(complete)
    }

    /// Writes what is waiting and completes the file it is in, if there is one. More may be added, to the next file.
    pub fn finish(&mut self, pace: &dyn Pace) -> Result<Option<PackedFile>> {
        match self.write_waiting(pace)? {
            Some(complete) => Ok(Some(complete)),
            None => self.open.take().map(|open| self.complete(open, pace)).transpose(),
        }
    }

    /// Writes a stripe of what is waiting; gives the file if that filled it.
    fn write_waiting(&mut self, pace: &dyn Pace) -> Result<Option<PackedFile>> {
        if self.waiting.is_empty() {
            return Ok(None);
        }
        let records = std::mem::take(&mut self.waiting);
        pace.spend(std::mem::take(&mut self.waiting_bytes) as u64)?;
        let mut open = self.open.take().map_or_else(|| self.begin(), Ok)?;
        let mut prepared = Prepared::new(&self.erasure, self.options.suite, &records, &self.pool)?;
        let header = next_header(&open.identity, &open.table, &prepared, self.clock.now_ms());
        let digest = prepared.write_headers(&header);
        let (memory, slot) = (prepared.lock(), prepared.slot(0));
        open.append(header.at, &memory[slot])?;
        prepared.unlock(memory);
        let row = StripeRow { payload_len: header.payload_len, records: header.records, digest };
        open.table.push(row, &prepared.frames);
        prepared.release(&self.pool);
        let is_full =
            open.table.end() >= self.options.segment_bytes_max || open.table.record_count() >= SEGMENT_RECORDS_MAX;
        match is_full {
            true => self.complete(open, pace).map(Some),
            false => {
                self.open = Some(open);
                Ok(None)
            }
        }
    }

    fn begin(&self) -> Result<OpenFile> {
        let PackOptions { hospital, suite, .. } = self.options;
        let mut id = [0; 16];
        self.random.fill(&mut id)?;
        let identity = Identity { id: SegmentId(id), hospital, suite, code: Code::PACKAGE };
        let path = identity.path(0);
        self.media.make_dir(parent(&path))?;
        let file = durable::begin(&*self.media, &path, WriteUnit::Blocks)?;
        Ok(OpenFile { identity, path, file, table: Table::new(Code::PACKAGE), hasher: Hasher::new(suite) })
    }

    /// Ends a file, syncs it, reads all of it back, and gives it its name.
    fn complete(&self, mut open: OpenFile, pace: &dyn Pace) -> Result<PackedFile> {
        let footer_at = open.table.end();
        let closing = Closing { identity: open.identity, by: ClosedBy::Writer, at_ms: self.clock.now_ms(), footer_at };
        let footer = Footer::new(&open.table, closing);
        open.append(footer.at(), &footer.for_shard(0))?;
        open.file.sync()?;
        let OpenFile { path, hasher, .. } = open;
        let written = hasher.finish();
        let (len_bytes, digest) = file_digest(&*self.media, &format!("{path}{TEMPORARY}"), self.options.suite, pace)?;
        if digest != written || len_bytes != footer.file_len() {
            let why = "its digest is another".to_owned();
            return Err(Error::ReadBack { place: self.media.place(), path, why });
        }
        durable::publish(&*self.media, &path)?;
        Ok(PackedFile { path, len_bytes, digest })
    }
}

impl OpenFile {
    fn append(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.file.write_at(at, bytes)
    }
}

/// Length and suite digest of a file, read past the cache where the medium can.
pub fn file_digest(media: &dyn Media, path: &str, suite: Suite, pace: &dyn Pace) -> Result<(u64, Digest)> {
    let file = media.open(path)?;
    let (mut hasher, mut piece, mut at) = (Hasher::new(suite), AlignedBuf::default(), 0);
    loop {
        pace.spend(PIECE_BYTES as u64)?;
        file.read_past_cache(at, PIECE_BYTES, &mut piece)?;
        hasher.update(&piece);
        at += piece.len() as u64;
        if piece.len() < PIECE_BYTES {
            return Ok((at, hasher.finish()));
        }
    }
}

#[cfg(test)]
mod tests;
