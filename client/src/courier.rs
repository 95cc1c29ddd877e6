//! Packing: deposits that go to the vault on a medium, by courier, in place of a line (guideline 3.3).
//!
//! A packing client is a client whose transport writes what others send: chunks and signed batches become files. Everything before
//! that is the same, from the scan to the signature. What it asks about the ledger it still asks the vault.
//!
//! Invariants
//! - Nothing on a medium is there under its name before it is whole and synced; the manifest comes last.
//! - A packed entry has its place in the chain of this device. Until the vault has taken the medium in, the device states nothing
//!   over its line: its chain goes on on the medium. A device of its own packs media, so that the others go on working.
//!
//! Not here: what the vault makes of a medium, and seals and couriers, which are people's.

use crate::{Client, ClientOptions, Error, Result, Transport, durable};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use shosoin_protocol::answer::{AuditReply, Nonce};
use shosoin_protocol::api::{DepositBatch, DepositReplies, DeviceReply, Hello, LogPage, Problem, VersionReply, code};
use shosoin_protocol::entry::DeviceChange;
use shosoin_protocol::medium::{FOLDER, MediumBatch, MediumKind, MediumManifest, MediumPlace};
use shosoin_protocol::plan::ShelfReply;
use shosoin_protocol::share::ShareAsk;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Address, DeviceId, Digest, NameToken, VersionId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is on the medium so far.
#[derive(Debug, Default)]
struct Packed {
    chunks: BTreeMap<Address, u32>,
    batches: Vec<MediumBatch>,
    bytes: u64,
}

/// What was packed.
#[derive(Debug, Clone, Copy)]
pub struct PackedTotals {
    /// sealed chunks and pages
    pub chunks: usize,
    /// batches of deposits
    pub batches: usize,
    /// bytes, the manifest aside
    pub bytes: u64,
}

/// The transport that writes to a medium.
pub struct Courier {
    line: Arc<dyn Transport>,
    folder: PathBuf,
    packed: Mutex<Packed>,
}

impl Client {
    /// A client that packs onto the medium mounted at `medium`, which must not have been packed before. It shares this one's
    /// state; its deposits fail with [`Error::is_packed`] once they are on the medium.
    pub fn packing(&self, medium: &Path, options: ClientOptions) -> Result<(Client, Arc<Courier>)> {
        let folder = medium.join(FOLDER);
        let failed = |source| Error::State { path: folder.clone(), source };
        std::fs::create_dir(&folder).map_err(failed)?;
        for part in ["chunks", "deposits"] {
            std::fs::create_dir(folder.join(part)).map_err(failed)?;
        }
        let line = self.transport().clone();
        let courier = Arc::new(Courier { line, folder, packed: Mutex::default() });
        Ok((self.over(&options, courier.clone(), true), courier))
    }
}

impl Error {
    /// Whether a deposit did not fail at all, but is on a medium.
    pub fn is_packed(&self) -> bool {
        matches!(self.root(), Error::Vault(problem) if problem.code == code::PACKED)
    }
}

impl Courier {
    /// Writes the manifest: the medium is whole, and may leave the house. Gives its totals.
    pub fn seal(&self, client: &Client, kind: MediumKind, place: MediumPlace, packed_ms: u64) -> Result<PackedTotals> {
        let keyring = client.keyring();
        let log = client.log();
        let packed = self.packed.lock();
        let manifest = MediumManifest {
            suite: keyring.suite(),
            kind,
            hospital: keyring.hospital(),
            log,
            place,
            packed_ms,
            device: DeviceChange::certify(log, true, keyring.device_key().public(), keyring.hospital_key()),
            chunks: packed.chunks.iter().map(|(address, len)| (*address, *len)).collect(),
            batches: packed.batches.clone(),
        };
        self.write("manifest", &manifest.sign(keyring.device_key()))?;
        Ok(PackedTotals { chunks: packed.chunks.len(), batches: packed.batches.len(), bytes: packed.bytes })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        durable::replace(&path, bytes).map_err(|source| Error::State { path, source })
    }
}

#[async_trait]
impl Transport for Courier {
    async fn hello(&self) -> Result<Hello> {
        self.line.hello().await
    }

    /// A medium is complete in itself: the vault lacks whatever is not on it.
    async fn missing(&self, addresses: &[Address]) -> Result<Vec<bool>> {
        let packed = self.packed.lock();
        Ok(addresses.iter().map(|address| !packed.chunks.contains_key(address)).collect())
    }

    async fn put_chunk(&self, address: Address, bytes: Bytes) -> Result<()> {
        self.write(&MediumManifest::chunk_file(&address), &bytes)?;
        let len = u32::try_from(bytes.len()).map_err(|_| Error::Lost { task: "the length of a chunk" })?;
        let mut packed = self.packed.lock();
        if packed.chunks.insert(address, len).is_none() {
            packed.bytes += u64::from(len);
        }
        Ok(())
    }

    async fn deposit(&self, batch: &DepositBatch) -> Result<DepositReplies> {
        let bytes = batch.encode();
        let len = u32::try_from(bytes.len()).map_err(|_| Error::Lost { task: "the length of a batch" })?;
        let number = self.packed.lock().batches.len();
        self.write(&MediumManifest::batch_file(number), &bytes)?;
        let mut packed = self.packed.lock();
        packed.batches.push(MediumBatch { len, digest: sha256(&[&bytes]) });
        packed.bytes += u64::from(len);
        let message = "it is on the medium, and in the ledger once the vault has taken the medium in".to_owned();
        Err(Error::Vault(Problem { kind: "refused".to_owned(), code: code::PACKED.to_owned(), message }))
    }

    async fn record(&self, address: Address) -> Result<Bytes> {
        self.line.record(address).await
    }

    async fn audit_record(&self, address: Address, nonce: Nonce) -> Result<AuditReply> {
        self.line.audit_record(address, nonce).await
    }

    async fn plan(&self, addresses: &[Address]) -> Result<ShelfReply> {
        self.line.plan(addresses).await
    }

    async fn version(&self, version: VersionId) -> Result<VersionReply> {
        self.line.version(version).await
    }

    async fn wraps(&self, versions: &[VersionId]) -> Result<Vec<Bytes>> {
        self.line.wraps(versions).await
    }

    async fn name(&self, token: NameToken) -> Result<VersionReply> {
        self.line.name(token).await
    }

    async fn device(&self, device: DeviceId) -> Result<DeviceReply> {
        self.line.device(device).await
    }

    async fn checkpoint(&self) -> Result<String> {
        self.line.checkpoint().await
    }

    async fn snapshot(&self) -> Result<VersionReply> {
        self.line.snapshot().await
    }

    async fn log_entries(&self, from: u64, count: u32) -> Result<LogPage> {
        self.line.log_entries(from, count).await
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<Vec<Digest>> {
        self.line.consistency(from, to).await
    }

    async fn reconciliation(&self) -> Result<Bytes> {
        self.line.reconciliation().await
    }

    async fn share(&self, ask: ShareAsk) -> Result<Bytes> {
        self.line.share(ask).await
    }
}
