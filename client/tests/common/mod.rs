//! A real vault on a temporary folder, a hospital, and a wire between the two that counts, and misbehaves on demand.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, missing_docs, reason = "help for tests")]

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use parking_lot::Mutex;
use shosoin_client::{
    Client, ClientOptions, Condition, Error, Keyring, NewObject, Part, PartContent, Result, Stored, Transport,
};
use shosoin_keyring::escrow::{self, Quorum};
use shosoin_keyring::{Argon2Params, keyfile};
use shosoin_protocol::answer::{AuditReply, Nonce};
use shosoin_protocol::api::{DepositBatch, DepositReplies, DeviceReply, Hello, LogPage, VersionReply};
use shosoin_protocol::limits::CHUNK_PLAIN_BYTES_MIN;
use shosoin_protocol::manifest::{BucketFacts, Versioning};
use shosoin_protocol::plan::ShelfReply;
use shosoin_protocol::policy::Label;
use shosoin_protocol::share::ShareAsk;
use shosoin_protocol::{Address, DeviceId, Digest, HospitalId, NameToken, Suite, VersionId};
use shosoin_store::{Code, IndexKind, InitOptions, OpenOptions, Vault, VolumeSpec};
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

pub const BUCKET: &str = "ward";

/// What the wire does wrong.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Fault {
    #[default]
    None,
    /// one bit of every record
    FlipRecords,
    /// every version is answered with this one
    OtherVersion(VersionId),
    /// every checkpoint is this one
    OldCheckpoint(String),
    /// the log lacks this entry; those after it move up
    OmitEntry(u64),
    /// one bit in every sealed summary of the log
    FlipSummaries,
    /// no record is found
    NoRecords,
    /// deposits happen, but their answer is lost, this often
    LoseAnswers(usize),
    /// deposits do not arrive, this often
    LoseDeposits(usize),
    /// the next batch is silent, and arrives before the one after it
    DelayBatch,
    /// receipts are those of the first deposit
    StaleReceipts,
    /// it does not say that it is a demonstration
    Production,
    /// every wrap is this one
    OtherWrap(Bytes),
    /// answers this where the newest snapshot is asked for
    OtherSnapshot(VersionReply),
}

#[derive(Default)]
pub struct Counts {
    pub chunks: AtomicUsize,
    pub chunk_bytes: AtomicUsize,
    pub repeated_chunks: AtomicUsize,
    pub deposits: AtomicUsize,
    pub batches: AtomicUsize,
    pub inline_bytes: AtomicUsize,
    pub records: AtomicUsize,
    pub versions: AtomicUsize,
    pub out_of_sequence: AtomicUsize,
}

impl Counts {
    pub fn get(count: &AtomicUsize) -> usize {
        count.load(Ordering::SeqCst)
    }
}

/// A vault in this process, as one hospital sees it.
pub struct Wire {
    pub vault: Vault,
    pub hospital: HospitalId,
    pub counts: Counts,
    pub fault: Mutex<Fault>,
    pub put: Mutex<HashSet<Address>>,
    first_receipt: Mutex<Option<shosoin_protocol::receipt::Receipt>>,
    delayed: Mutex<Option<DepositBatch>>,
}

impl Wire {
    /// What the vault says of its newest snapshot.
    pub async fn snapshot_reply(&self) -> VersionReply {
        self.vault.snapshot(self.hospital).await.unwrap()
    }

    pub fn new(vault: Vault, hospital: HospitalId) -> Arc<Self> {
        let (counts, fault, put) = (Counts::default(), Mutex::default(), Mutex::default());
        Arc::new(Wire {
            vault,
            hospital,
            counts,
            fault,
            put,
            first_receipt: Mutex::default(),
            delayed: Mutex::default(),
        })
    }

    pub fn misbehave(&self, fault: Fault) {
        *self.fault.lock() = fault;
    }

    fn fault(&self) -> Fault {
        self.fault.lock().clone()
    }

    fn lost(operation: &'static str) -> Error {
        let source = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the line went dead");
        Error::Unreachable { endpoint: "test".into(), operation, source: Box::new(source) }
    }

    /// Whether a fault that strikes so often strikes now.
    fn strikes(&self, left: usize, again: fn(usize) -> Fault) -> bool {
        *self.fault.lock() = if left > 1 { again(left - 1) } else { Fault::None };
        left > 0
    }
}

fn told<T>(answer: shosoin_store::Result<T>) -> Result<T> {
    answer.map_err(|error| Error::Vault(error.problem()))
}

fn flip(bytes: &Bytes) -> Bytes {
    let mut flipped = bytes.to_vec();
    let middle = flipped.len() / 2;
    if let Some(byte) = flipped.get_mut(middle) {
        *byte ^= 1;
    }
    flipped.into()
}

#[async_trait]
impl Transport for Wire {
    async fn hello(&self) -> Result<Hello> {
        let hello = told(self.vault.hello(self.hospital).await)?;
        Ok(Hello { demo: hello.demo && self.fault() != Fault::Production, ..hello })
    }

    async fn missing(&self, addresses: &[Address]) -> Result<Vec<bool>> {
        told(self.vault.missing(self.hospital, addresses).await)
    }

    async fn put_chunk(&self, address: Address, bytes: Bytes) -> Result<()> {
        self.counts.chunks.fetch_add(1, Ordering::SeqCst);
        self.counts.chunk_bytes.fetch_add(bytes.len(), Ordering::SeqCst);
        if !self.put.lock().insert(address) {
            self.counts.repeated_chunks.fetch_add(1, Ordering::SeqCst);
        }
        told(self.vault.put_chunk(self.hospital, address, bytes).await)
    }

    async fn deposit(&self, batch: &DepositBatch) -> Result<DepositReplies> {
        self.counts.batches.fetch_add(1, Ordering::SeqCst);
        self.counts.deposits.fetch_add(batch.deposits.len(), Ordering::SeqCst);
        let inline = batch.deposits.iter().flat_map(|deposit| &deposit.records).map(|record| record.bytes.len());
        self.counts.inline_bytes.fetch_add(inline.sum(), Ordering::SeqCst);
        if let Fault::LoseDeposits(left) = self.fault()
            && self.strikes(left, Fault::LoseDeposits)
        {
            return Err(Wire::lost("deposit"));
        }
        if self.fault() == Fault::DelayBatch {
            *self.delayed.lock() = Some(batch.clone());
            self.misbehave(Fault::None);
            return Err(Wire::lost("deposit"));
        }
        let delayed = self.delayed.lock().take();
        if let Some(delayed) = delayed {
            told(self.vault.deposit(self.hospital, delayed).await)?;
        }
        let mut replies = told(self.vault.deposit(self.hospital, batch.clone()).await)?;
        for reply in &mut replies.replies {
            match reply {
                Ok(receipt) => {
                    let first = self.first_receipt.lock().get_or_insert_with(|| receipt.clone()).clone();
                    if self.fault() == Fault::StaleReceipts {
                        *receipt = first;
                    }
                }
                Err(problem) if problem.code == shosoin_protocol::api::code::OUT_OF_SEQUENCE => {
                    self.counts.out_of_sequence.fetch_add(1, Ordering::SeqCst);
                }
                Err(_) => {}
            }
        }
        if let Fault::LoseAnswers(left) = self.fault()
            && self.strikes(left, Fault::LoseAnswers)
        {
            return Err(Wire::lost("deposit"));
        }
        Ok(replies)
    }

    async fn record(&self, address: Address) -> Result<Bytes> {
        self.counts.records.fetch_add(1, Ordering::SeqCst);
        let record = told(self.vault.record(self.hospital, address).await)?;
        match self.fault() {
            Fault::FlipRecords => Ok(flip(&record)),
            Fault::NoRecords => told(self.vault.record(self.hospital, Address([1; 32])).await),
            _ => Ok(record),
        }
    }

    async fn audit_record(&self, address: Address, nonce: Nonce) -> Result<AuditReply> {
        told(self.vault.audit_record(self.hospital, address, nonce).await)
    }

    async fn plan(&self, addresses: &[Address]) -> Result<ShelfReply> {
        told(self.vault.plan(self.hospital, addresses).await)
    }

    async fn version(&self, version: VersionId) -> Result<VersionReply> {
        self.counts.versions.fetch_add(1, Ordering::SeqCst);
        let version = match self.fault() {
            Fault::OtherVersion(other) => other,
            _ => version,
        };
        let mut reply = told(self.vault.version(self.hospital, version).await)?;
        match self.fault() {
            Fault::OldCheckpoint(text) => reply.inclusion.checkpoint = text,
            Fault::OtherWrap(wrap) => reply.wrap = wrap,
            _ => {}
        }
        Ok(reply)
    }

    async fn wraps(&self, versions: &[VersionId]) -> Result<Vec<Bytes>> {
        let wraps = told(self.vault.wraps(self.hospital, versions.to_vec()).await)?.wraps;
        match self.fault() {
            Fault::OtherWrap(wrap) => Ok(vec![wrap; wraps.len()]),
            _ => Ok(wraps),
        }
    }

    async fn name(&self, token: NameToken) -> Result<VersionReply> {
        told(self.vault.name(self.hospital, token).await)
    }

    async fn device(&self, device: DeviceId) -> Result<DeviceReply> {
        told(self.vault.device(self.hospital, device).await)
    }

    async fn checkpoint(&self) -> Result<String> {
        match self.fault() {
            Fault::OldCheckpoint(text) => Ok(text),
            _ => told(self.vault.checkpoint(self.hospital).await),
        }
    }

    async fn snapshot(&self) -> Result<VersionReply> {
        match self.fault() {
            Fault::OtherSnapshot(reply) => Ok(reply),
            _ => told(self.vault.snapshot(self.hospital).await),
        }
    }

    async fn log_entries(&self, from: u64, count: u32) -> Result<LogPage> {
        let mut page = told(self.vault.log_entries(self.hospital, from, count + 1).await)?;
        match self.fault() {
            Fault::OmitEntry(index) if index >= from => {
                page.items.retain(|item| item.placed.index != index);
                page.items.iter_mut().zip(from..).for_each(|(item, index)| item.placed.index = index);
            }
            Fault::FlipSummaries => page.items.iter_mut().for_each(|item| item.attachment = flip(&item.attachment)),
            _ => {}
        }
        page.items.truncate(count as usize);
        Ok(page)
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<Vec<Digest>> {
        told(self.vault.consistency(self.hospital, from, to).await)
    }

    async fn reconciliation(&self) -> Result<Bytes> {
        told(self.vault.reconciliation(self.hospital).await)
    }

    async fn share(&self, ask: ShareAsk) -> Result<Bytes> {
        let answer = told(self.vault.share(self.hospital, ask).await)?;
        match self.fault() {
            Fault::FlipRecords if ask != ShareAsk::Offers => {
                let mut bytes = answer.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                Ok(bytes.into())
            }
            _ => Ok(answer),
        }
    }
}

/// A hospital and the folder of its vault.
pub struct Site {
    pub dir: tempfile::TempDir,
    pub hospital: HospitalId,
    keyfile: Vec<u8>,
}

impl Site {
    pub async fn new(suite: Suite) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let options = InitOptions {
            volumes: (1..=3).map(|no| VolumeSpec::at(format!("volumes/v{no:02}"))).collect(),
            code: Code::parse("1+2").unwrap(),
            demo: true,
            index: IndexKind::Fjall,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        };
        Vault::init(&dir.path().join("vault"), options).await.unwrap();
        let keyring = Keyring::generate(suite).unwrap();
        let params = Argon2Params { memory_kib: 8, passes: 1, lanes: 1 };
        let keyfile = keyfile::seal(&keyring, b"test", params).unwrap();
        let vault = Vault::open(&dir.path().join("vault"), OpenOptions::default()).await.unwrap();
        let hospital = vault.enrol(&keyring.enrolment()).unwrap();
        vault.close().await.unwrap();
        Site { dir, hospital, keyfile }
    }

    /// The key file of a further machine of the hospital.
    pub fn further_machine(&self) -> Vec<u8> {
        let shares = self.keyring().split(Quorum::default(), 1).unwrap();
        let keyring = escrow::combine(&shares[..3]).unwrap().keyring().unwrap();
        keyfile::seal(&keyring, b"test", Argon2Params { memory_kib: 8, passes: 1, lanes: 1 }).unwrap()
    }

    pub fn keyring(&self) -> Keyring {
        keyfile::open(&self.keyfile, b"test").unwrap()
    }

    /// Opens the vault in folder `vault`; a task of its last client may hold it for a moment still.
    pub async fn open(&self, vault: &str, options: OpenOptions) -> Vault {
        let (path, began) = (self.dir.path().join(vault), Instant::now());
        loop {
            match Vault::open(&path, options.clone()).await {
                Err(shosoin_store::Error::InUse { .. }) if began.elapsed().as_secs() < 10 => {
                    tokio::task::yield_now().await
                }
                opened => return opened.unwrap(),
            }
        }
    }

    /// The vault in folder `vault`, or in a copy of it made with [`Site::copy_vault`].
    pub async fn wire(&self, vault: &str) -> Arc<Wire> {
        let vault = self.open(vault, OpenOptions::default()).await;
        Wire::new(vault, self.hospital)
    }

    pub fn copy_vault(&self, copy: &str) {
        copy_folder(&self.dir.path().join("vault"), &self.dir.path().join(copy));
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("hospital")
    }

    pub async fn client(&self, wire: &Arc<Wire>) -> Client {
        self.try_client(wire).await.unwrap()
    }

    pub async fn try_client(&self, wire: &Arc<Wire>) -> Result<Client> {
        Client::open(ClientOptions::new(self.state_dir()), self.keyring(), wire.clone()).await
    }
}

/// A vault, a client of it, and a bucket of 256 KiB chunks.
pub async fn ward(suite: Suite, versioning: Versioning) -> (Site, Arc<Wire>, Client) {
    let site = Site::new(suite).await;
    let wire = site.wire("vault").await;
    let client = site.client(&wire).await;
    client.create_bucket(bucket(versioning)).await.unwrap();
    (site, wire, client)
}

/// What a person does whose gateway lost its state.
pub async fn confirm(client: &Client) {
    let head = client.head().unwrap();
    client.confirm_head(head.size, head.root).await.unwrap();
}

pub fn bucket(versioning: Versioning) -> BucketFacts {
    let chunk_plain_bytes = CHUNK_PLAIN_BYTES_MIN;
    BucketFacts { versioning, chunk_plain_bytes, ..BucketFacts::new(BUCKET, 1) }
}

/// Bytes that no two seeds share.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out
}

pub async fn write(client: &Client, bytes: &[u8]) -> PartContent {
    let facts = client.bucket(BUCKET).unwrap().unwrap();
    let mut writer = client.writer(&facts, Label::Ordinary).unwrap();
    for piece in bytes.chunks(100_000) {
        writer.push(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    writer.finish().await.unwrap()
}

pub fn object(name: &str) -> NewObject {
    NewObject { bucket: BUCKET.into(), name: name.into(), ..NewObject::default() }
}

pub async fn put(client: &Client, name: &str, bytes: &[u8]) -> Stored {
    let content = write(client, bytes).await;
    client.put_object(object(name), Part::single(content), Condition::Any).await.unwrap()
}

pub async fn get(client: &Client, name: &str) -> Result<Vec<u8>> {
    let open = client.open_object(BUCKET, name, None).await?;
    let size = open.facts().size_bytes;
    read(client, name, 0..size).await
}

pub async fn read(client: &Client, name: &str, range: Range<u64>) -> Result<Vec<u8>> {
    let open = client.open_object(BUCKET, name, None).await?;
    let pieces: Vec<Bytes> = open.read(range).try_collect().await?;
    Ok(pieces.concat())
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// Another machine of the same hospital, made from shares.
pub async fn further_machine(site: &Site, wire: &Arc<Wire>, from: &Keyring, folder: &str) -> Client {
    let shares = from.split(shosoin_keyring::escrow::Quorum::default(), shosoin_client::now_ms()).unwrap();
    let restored = shosoin_keyring::escrow::combine(&shares[..3]).unwrap().keyring().unwrap();
    assert_eq!(wire.vault.enrol(&restored.enrolment()).unwrap(), site.hospital);
    Client::open(ClientOptions::new(site.dir.path().join(folder)), restored, wire.clone()).await.unwrap()
}
