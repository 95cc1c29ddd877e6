//! Where wrapping anew stands: `state_dir/rewrap`, replaced whole or not at all, gone when the job is done.
//!
//! A cursor of another ledger or epoch, or one that is damaged, counts as none: the job then begins anew and finds done what
//! is done.

use super::Counts;
use crate::task::blocking;
use crate::{Client, Error, Result, durable};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, LogId};
use std::io::ErrorKind;
use std::path::PathBuf;

/// First bytes of the file.
const MAGIC: [u8; 4] = *b"shrw";
/// Version of the file.
const VERSION: u8 = 1;

/// Where the job stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// leaves that are done
    pub frontier: Frontier,
    /// deposits among them
    pub counts: Counts,
    /// acts so far
    pub acts: u64,
}

/// The file of one job.
#[derive(Debug, Clone)]
pub struct File {
    path: PathBuf,
    log: LogId,
    epoch: u32,
}

impl File {
    /// That of wrapping anew under `epoch`.
    pub fn of(client: &Client, epoch: u32) -> Self {
        let ledger = &client.inner.ledger;
        File { path: ledger.state_dir().join("rewrap"), log: ledger.identity().log, epoch }
    }

    /// Reads it, if it is there and of this job.
    pub async fn load(&self) -> Result<Option<Cursor>> {
        let file = self.clone();
        let read = move || match std::fs::read(&file.path) {
            Ok(bytes) => Ok(file.decode(&bytes).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::State { path: file.path, source }),
        };
        blocking("reading the cursor", read).await
    }

    /// Replaces it; there for good on return.
    pub async fn save(&self, cursor: Cursor) -> Result<()> {
        let file = self.clone();
        let write = move || {
            let replaced = durable::replace(&file.path, &file.encode(&cursor));
            replaced.map_err(|source| Error::State { path: file.path, source })
        };
        blocking("saving the cursor", write).await
    }

    /// Removes it: the job is done.
    pub async fn remove(&self) -> Result<()> {
        let path = self.path.clone();
        let remove = move || match std::fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|source| Error::State { path, source }),
        };
        blocking("removing the cursor", remove).await
    }

    fn encode(&self, cursor: &Cursor) -> Vec<u8> {
        let Counts { rewrapped, already, gone, failed } = cursor.counts;
        let mut out = Writer::with_capacity(256);
        out.put(&MAGIC).u8(VERSION).zeros(3).put(&self.log.0).u32(self.epoch);
        out.u64(rewrapped).u64(already).u64(gone).u64(failed).u64(cursor.acts).u64(cursor.frontier.size());
        out.count(cursor.frontier.peaks().len());
        for peak in cursor.frontier.peaks() {
            out.put(&peak.0);
        }
        let mut bytes = out.finish();
        let digest = sha256(&[&bytes]);
        bytes.extend_from_slice(&digest.0);
        bytes
    }

    fn decode(&self, bytes: &[u8]) -> shosoin_protocol::Result<Cursor> {
        const WHAT: &str = "rewrap cursor";
        let other = |why| Err(shosoin_protocol::Error::Invalid { what: WHAT, why });
        let mut reader = Reader::new(bytes, WHAT);
        reader.form(MAGIC, VERSION, WHAT)?;
        reader.zeros(3, "reserved bytes")?;
        if LogId::read(&mut reader)? != self.log || reader.u32("epoch")? != self.epoch {
            return other("it is of another job");
        }
        let mut count = || reader.u64("count");
        let counts = Counts { rewrapped: count()?, already: count()?, gone: count()?, failed: count()? };
        let (acts, size) = (count()?, count()?);
        let peaks = reader.count(64, "peaks")?;
        let peaks = (0..peaks).map(|_| Digest::read(&mut reader)).collect::<shosoin_protocol::Result<Vec<_>>>()?;
        let found = Digest::read(&mut reader)?;
        reader.finish()?;
        match found == sha256(&[&bytes[..bytes.len() - Digest::LEN]]) {
            true => Ok(Cursor { frontier: Frontier::from_peaks(size, peaks)?, counts, acts }),
            false => other("its digest does not match its bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_for_its_own_job_and_for_no_other() {
        let mut frontier = Frontier::default();
        (0..5u8).for_each(|leaf| frontier.push(Digest([leaf; 32]), |_, _| {}));
        let counts = Counts { rewrapped: 1, already: 2, gone: 3, failed: 4 };
        let cursor = Cursor { frontier, counts, acts: 5 };
        let file = File { path: PathBuf::new(), log: LogId([1; 16]), epoch: 2 };
        let bytes = file.encode(&cursor);
        assert_eq!(file.decode(&bytes).unwrap(), cursor);
        assert!(File { epoch: 3, ..file.clone() }.decode(&bytes).is_err());
        assert!(File { log: LogId([2; 16]), ..file.clone() }.decode(&bytes).is_err());
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(file.decode(&wrong).is_err(), "byte {at}");
        }
        assert!(file.decode(&bytes[1..]).is_err());
    }
}
