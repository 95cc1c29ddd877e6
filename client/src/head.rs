//! What the client remembers of its vault across restarts: whose ledger it follows, the newest head it verified, and
//! where its own chain of entries stood. `state_dir/head`, replaced whole or not at all.
//!
//! The file is written behind the deposits, newest state only: it may lag the ledger by the writes of the moment, never
//! by more, and it is a lower bound either way. A vault that shows less than it is caught.

use crate::task::blocking;
use crate::view::row::Chain;
use crate::{Error, Result, durable};
use parking_lot::Mutex;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::limits::CHECKPOINT_BYTES_MAX;
use shosoin_protocol::lineage::SPANS_MAX;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, VaultId};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// First bytes of the file.
const MAGIC: [u8; 4] = *b"shhd";
/// Version of the file.
const VERSION: u8 = 1;

/// What is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// the vault
    pub vault: VaultId,
    /// its key, pinned
    pub vault_key: PublicKey,
    /// newest signed head that was verified, as text; empty before the first
    pub checkpoint: String,
    /// where the chain of this device stood
    pub chain: Chain,
    /// the vaults that kept the ledger before and that this client has followed, with their keys, oldest first
    pub former: Vec<(VaultId, PublicKey)>,
}

impl Remembered {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(1024);
        out.put(&MAGIC).u8(VERSION).put(&self.vault.0);
        self.vault_key.write(&mut out);
        out.var(self.checkpoint.as_bytes()).u64(self.chain.next_seq).put(&self.chain.prev.0);
        out.count(self.former.len());
        for (vault, key) in &self.former {
            out.put(&vault.0);
            key.write(&mut out);
        }
        let mut bytes = out.finish();
        let digest = sha256(&[&bytes]);
        bytes.extend_from_slice(&digest.0);
        bytes
    }

    fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        let mut reader = Reader::new(bytes, "remembered head");
        reader.form(MAGIC, VERSION, "remembered head")?;
        let vault = VaultId::read(&mut reader)?;
        let vault_key = PublicKey::read(&mut reader)?;
        let checkpoint = reader.text(CHECKPOINT_BYTES_MAX, "checkpoint")?;
        let chain = Chain { next_seq: reader.u64("next sequence")?, prev: Digest::read(&mut reader)? };
        let count = reader.count(SPANS_MAX, "former vaults")?;
        let former = (0..count).map(|_| Ok((VaultId::read(&mut reader)?, PublicKey::read(&mut reader)?)));
        let former = former.collect::<shosoin_protocol::Result<_>>()?;
        let found = Digest::read(&mut reader)?;
        reader.finish()?;
        let expected = sha256(&[&bytes[..bytes.len() - Digest::LEN]]);
        match found == expected {
            true => Ok(Remembered { vault, vault_key, checkpoint, chain, former }),
            false => {
                let (expected, found) = (expected.to_string(), found.to_string());
                Err(shosoin_protocol::Error::Mismatch { what: "digest of the head", expected, found })
            }
        }
    }

    /// Reads the file; none if there is none.
    pub fn load(path: &Path) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::State { path: path.into(), source }),
        };
        Self::decode(&bytes).map(Some).map_err(|source| Error::StateDamaged { path: path.into(), source })
    }

    /// Replaces the file; on return the new one is there for good.
    pub fn save(&self, path: &Path) -> Result<()> {
        let replaced = durable::replace_through(&path.with_extension("new"), path, &self.encode());
        replaced.map_err(|source| Error::State { path: path.into(), source })
    }
}

/// The vault that the state in `state_dir` has pinned, and its key; none if it never met one.
pub fn pinned_vault(state_dir: &Path) -> Result<Option<(VaultId, PublicKey)>> {
    Ok(Remembered::load(&state_dir.join("head"))?.map(|remembered| (remembered.vault, remembered.vault_key)))
}

/// Saves the newest state in the background.
pub struct HeadKeeper {
    newest: watch::Sender<Remembered>,
    file: Arc<HeadFile>,
    task: JoinHandle<()>,
}

/// The file, and whoever is writing it. Each writer takes the newest state once it is its turn, so none goes back.
struct HeadFile {
    path: PathBuf,
    /// held while writing
    closed: Mutex<bool>,
    newest: watch::Receiver<Remembered>,
}

impl HeadKeeper {
    /// Keeps `path` up to date from `remembered` on.
    pub fn new(path: PathBuf, remembered: Remembered) -> Self {
        let (newest, changes) = watch::channel(remembered);
        let file = Arc::new(HeadFile { path, closed: Mutex::new(false), newest: changes.clone() });
        let task = tokio::spawn(keep(file.clone(), changes));
        HeadKeeper { newest, file, task }
    }

    /// Remembers a newer head and chain.
    pub fn remember(&self, checkpoint: &str, chain: Chain) {
        self.newest.send_modify(|remembered| {
            remembered.checkpoint = checkpoint.to_owned();
            remembered.chain = chain;
        });
    }

    /// Folder of the file.
    pub fn state_dir(&self) -> &Path {
        self.file.path.parent().unwrap_or(Path::new("."))
    }

    /// What is remembered now.
    pub fn remembered(&self) -> Remembered {
        self.newest.borrow().clone()
    }

    /// Saves what is remembered now; it is there for good on return.
    pub async fn save(&self) -> Result<()> {
        let file = self.file.clone();
        blocking("saving the head", move || file.save(false)).await
    }

    /// [`HeadKeeper::save`], and nothing is saved afterwards.
    pub async fn close(&self) -> Result<()> {
        let file = self.file.clone();
        blocking("saving the head", move || file.save(true)).await
    }
}

impl Drop for HeadKeeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HeadFile {
    fn save(&self, for_the_last_time: bool) -> Result<()> {
        let mut closed = self.closed.lock();
        if *closed {
            return Ok(());
        }
        *closed = for_the_last_time;
        let newest = self.newest.borrow().clone();
        newest.save(&self.path)
    }
}

async fn keep(file: Arc<HeadFile>, mut changes: watch::Receiver<Remembered>) {
    while changes.changed().await.is_ok() {
        let file = file.clone();
        if let Err(error) = blocking("saving the head", move || file.save(false)).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the newest ledger head could not be saved; the older one is kept"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A key that is one: others are refused where they are read.
    fn remembered_key() -> PublicKey {
        let seed = [9; 32].into();
        shosoin_protocol::sign::SigningKey::from_seed(shosoin_protocol::Suite::Cryptrec, &seed).unwrap().public()
    }

    fn remembered() -> Remembered {
        Remembered {
            vault: VaultId([7; 16]),
            vault_key: PublicKey::Ed25519([9; 32]),
            checkpoint: "a head".into(),
            chain: Chain { next_seq: 41, prev: Digest([1; 32]) },
            former: vec![(VaultId([6; 16]), remembered_key())],
        }
    }

    #[test]
    fn what_was_saved_is_what_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("head");
        assert_eq!(Remembered::load(&path).unwrap(), None);
        remembered().save(&path).unwrap();
        assert_eq!(Remembered::load(&path).unwrap(), Some(remembered()));
    }

    proptest! {
        #[test]
        fn a_file_with_any_byte_changed_is_refused(at in 0usize..195, flip in 1u8..) {
            let mut bytes = remembered().encode();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(Remembered::decode(&bytes).is_err());
        }
    }
}
