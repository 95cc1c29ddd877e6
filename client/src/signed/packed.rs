//! Leaf hashes of what was packed onto media and may still be on its way, in a file of the state folder.
//!
//! Invariants
//! - A row stands at the place of its entry in the chain of this device, so one is found without the others: memory does not
//!   grow with what was packed.
//! - The file outlives a power cut before what it is about is on a medium. A row that is torn or lost is of somebody else, which
//!   errs on the safe side.
//!
//! Format: [docs/format.md](../../../docs/format.md), "Packed entries".

use crate::view::row::Chain;
use crate::{Error, Result, durable};
use parking_lot::Mutex;
use shosoin_protocol::Digest;
use shosoin_protocol::codec::{Reader, Writer};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const FILE: &str = "packed-entries";
/// First bytes of the file.
const MAGIC: [u8; 4] = *b"shpe";
/// Version of the file.
const VERSION: u8 = 1;
/// Bytes before the rows.
const HEADER_LEN: usize = 16;
/// The same as an offset of the file.
const HEADER_BYTES: u64 = HEADER_LEN as u64;
const WHAT: &str = "packed entries";

/// The rows that are there: of `first`, and those behind it up to `next`.
#[derive(Debug, Clone, Copy)]
struct Rows {
    first: u64,
    next: u64,
}

/// The file.
#[derive(Debug)]
pub struct Packed {
    path: PathBuf,
    open: Mutex<Option<(File, Rows)>>,
}

impl Packed {
    /// Opens the file of a state folder, if there is one; one that is damaged has no rows.
    pub fn open(state_dir: &Path) -> Result<Packed> {
        let path = state_dir.join(FILE);
        let failed = |source| Error::State { path: path.clone(), source };
        let open = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(failed(source)),
            Ok(file) => {
                let len_bytes = file.metadata().map_err(failed)?.len();
                let mut header = [0; HEADER_LEN];
                let read = file.read_exact_at(&mut header, 0);
                match read.ok().and_then(|()| decode(&header).ok()) {
                    Some(first) => {
                        let rows = len_bytes.saturating_sub(HEADER_BYTES) / Digest::LEN as u64;
                        Some((file, Rows { first, next: first.saturating_add(rows) }))
                    }
                    None => {
                        tracing::warn!("what this device packed onto media cannot be read");
                        None
                    }
                }
            }
        };
        Ok(Packed { path, open: Mutex::new(open) })
    }

    /// Whether the newest entry that `chain` has was packed here.
    pub fn has(&self, chain: &Chain) -> bool {
        let (open, Some(seq)) = (self.open.lock(), chain.next_seq.checked_sub(1)) else { return false };
        let Some((file, rows)) = &*open else { return false };
        let mut row = [0; Digest::LEN];
        (rows.first..rows.next).contains(&seq)
            && file.read_exact_at(&mut row, place(*rows, seq)).is_ok()
            && Digest(row) == chain.prev
    }

    /// Adds what is packed from `first_seq` on, durably. Where nothing was on its way, as the ledger has all before it (`told_seq`), or
    /// where it does not follow what there is, the file begins anew.
    pub fn append(&self, told_seq: u64, first_seq: u64, leaves: &[Digest]) -> Result<()> {
        let failed = |source| Error::State { path: self.path.clone(), source };
        let mut open = self.open.lock();
        let goes_on = |rows: &Rows| told_seq != first_seq && (rows.first..=rows.next).contains(&first_seq);
        if !open.as_ref().is_some_and(|(_, rows)| goes_on(rows)) {
            *open = Some((self.begin(first_seq)?, Rows { first: first_seq, next: first_seq }));
        }
        let Some((file, rows)) = &mut *open else { return Ok(()) };
        let bytes: Vec<u8> = leaves.iter().flat_map(|leaf| leaf.0).collect();
        file.write_all_at(&bytes, place(*rows, first_seq)).and_then(|()| file.sync_all()).map_err(failed)?;
        rows.next = rows.next.max(first_seq.saturating_add(leaves.len() as u64));
        Ok(())
    }

    /// Puts a file without rows in the place of the one that is there.
    fn begin(&self, first_seq: u64) -> Result<File> {
        let failed = |source| Error::State { path: self.path.clone(), source };
        durable::replace(&self.path, &encode(first_seq)).map_err(failed)?;
        OpenOptions::new().read(true).write(true).mode(0o600).open(&self.path).map_err(failed)
    }
}

fn place(rows: Rows, seq: u64) -> u64 {
    HEADER_BYTES + (seq - rows.first) * Digest::LEN as u64
}

fn encode(first_seq: u64) -> Vec<u8> {
    let mut out = Writer::with_capacity(HEADER_LEN);
    out.put(&MAGIC).u8(VERSION).zeros(3).u64(first_seq);
    out.finish()
}

fn decode(header: &[u8]) -> shosoin_protocol::Result<u64> {
    let mut reader = Reader::new(header, WHAT);
    reader.form(MAGIC, VERSION, WHAT)?;
    reader.zeros(3, "reserved bytes")?;
    let first_seq = reader.u64("first sequence")?;
    reader.finish().map(|()| first_seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(seq: u64, byte: u8) -> Chain {
        Chain { next_seq: seq + 1, prev: Digest([byte; 32]) }
    }

    #[test]
    fn a_row_that_was_torn_off_and_a_file_that_is_another_vouch_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let packed = Packed::open(dir.path()).unwrap();
        packed.append(3, 4, &[Digest([4; 32]), Digest([5; 32])]).unwrap();
        assert!(packed.has(&chain(4, 4)) && packed.has(&chain(5, 5)) && !packed.has(&chain(5, 4)));
        assert!(!packed.has(&chain(3, 4)) && !packed.has(&chain(6, 0)) && !packed.has(&Chain::START));
        let path = dir.path().join(FILE);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let torn = Packed::open(dir.path()).unwrap();
        assert!(torn.has(&chain(4, 4)) && !torn.has(&chain(5, 5)));
        for at in 0..8 {
            let mut other = whole.clone();
            other[at] ^= 1;
            std::fs::write(&path, other).unwrap();
            assert!(!Packed::open(dir.path()).unwrap().has(&chain(4, 4)), "byte {at}");
        }
    }

    #[test]
    fn what_is_packed_again_at_the_same_place_counts() {
        let dir = tempfile::tempdir().unwrap();
        let packed = Packed::open(dir.path()).unwrap();
        packed.append(0, 1, &[Digest([1; 32]), Digest([2; 32])]).unwrap();
        packed.append(0, 2, &[Digest([9; 32])]).unwrap();
        assert!(packed.has(&chain(1, 1)) && packed.has(&chain(2, 9)) && !packed.has(&chain(2, 2)));
        packed.append(0, 7, &[Digest([7; 32])]).unwrap();
        assert!(packed.has(&chain(7, 7)) && !packed.has(&chain(1, 1)), "it does not follow: begun anew");
    }
}
