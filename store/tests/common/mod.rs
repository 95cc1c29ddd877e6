//! A hospital that seals nothing: envelopes whose sealed bytes are noise, which is all a vault can tell of real ones.
#![allow(dead_code, reason = "each test file uses its own part")]
#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "help for tests, which may panic")]

pub mod tls;

use bytes::Bytes;
use shosoin_protocol::act::agreement::{Agreement, Draft, Terms};
use shosoin_protocol::act::{Act, Document};
use shosoin_protocol::api::{DepositBatch, DepositRequest, Enrolment, InlineRecord, Problem};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::{Body, Deposit, DeviceChange, Entry, Expected, NameChange, Seen, Statement};
use shosoin_protocol::envelope::{Context, write_aad};
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::receipt::Receipt;
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{
    Address, DeviceId, Digest, HospitalId, LogId, NameToken, RecordKind, Suite, VaultId, VersionId, VolumeId,
};
use shosoin_store::accounts::{AccountCommand, Caller, Role};
use shosoin_store::agreements::AgreementCommand;
use shosoin_store::{CheckOptions, IndexKind, InitOptions, OpenOptions, Vault, VolumeSpec};
use shosoin_tiers::clock::{ManualClock, SeededRandom};
use shosoin_tiers::media::{Media, MemoryMedia};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{Volume, VolumeLabel};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the clocks of the tests say.
pub const NOW_MS: u64 = 1_900_000_000_000;

pub fn key(suite: Suite, seed: u8) -> SigningKey {
    SigningKey::from_seed(suite, &Zeroizing::new([seed; 32])).unwrap()
}

/// A hospital with one device.
pub struct Hospital {
    pub suite: Suite,
    pub id: HospitalId,
    pub hospital_key: SigningKey,
    pub device: Device,
    pub log: LogId,
    versions: u64,
}

/// A device and where its chain of entries stands.
pub struct Device {
    pub key: SigningKey,
    pub next_seq: u64,
    pub prev: Digest,
    pub seen: Seen,
}

impl Device {
    pub fn new(suite: Suite, seed: u8) -> Self {
        Device { key: key(suite, seed), next_seq: 0, prev: Digest([0; 32]), seen: Seen::nothing() }
    }

    pub fn id(&self) -> DeviceId {
        self.key.public().device_id()
    }

    /// Signs the next entry and moves the chain on, as if it were accepted.
    pub fn sign(&mut self, hospital: &Named, body: Body) -> Entry {
        let entry = Entry::sign(self.statement(hospital, body), &self.key);
        self.next_seq += 1;
        self.prev = entry.leaf_hash();
        entry
    }

    pub fn statement(&self, hospital: &Named, body: Body) -> Statement {
        Statement {
            suite: hospital.suite,
            log: hospital.log,
            hospital: hospital.id,
            device: self.id(),
            device_seq: self.next_seq,
            prev: self.prev,
            seen: self.seen,
            claimed_ms: NOW_MS,
            body,
        }
    }
}

/// What an entry says of its hospital.
#[derive(Clone, Copy)]
pub struct Named {
    pub suite: Suite,
    pub id: HospitalId,
    pub log: LogId,
}

/// The records of one version, before its entry is signed.
#[derive(Clone)]
pub struct Parcel {
    pub deposit: Deposit,
    pub chunks: Vec<Bytes>,
    pub records: Vec<InlineRecord>,
}

impl Parcel {
    pub fn body(&self) -> Body {
        Body::Deposit(Box::new(self.deposit.clone()))
    }
}

impl Hospital {
    pub fn new(suite: Suite, seed: u8, vault: VaultId) -> Self {
        let id = HospitalId([seed; 16]);
        Hospital {
            suite,
            id,
            hospital_key: key(suite, seed),
            device: Device::new(suite, seed + 100),
            log: LogId::of(vault, id),
            versions: 0,
        }
    }

    pub fn named(&self) -> Named {
        Named { suite: self.suite, id: self.id, log: self.log }
    }

    pub fn enrolment(&self) -> Vec<u8> {
        let enrolment = Enrolment {
            suite: self.suite,
            hospital: self.id,
            hospital_key: self.hospital_key.public(),
            device_key: self.device.key.public(),
            tls_pin: [self.id.0[0]; 32],
        };
        enrolment.sign(&self.hospital_key)
    }

    /// The entry that begins the log.
    pub fn first_entry(&mut self) -> DepositRequest {
        let change = DeviceChange::certify(self.log, true, self.device.key.public(), &self.hospital_key);
        bare(self.device.sign(&self.named(), Body::Device(change)))
    }

    pub fn fresh_version(&mut self) -> VersionId {
        self.versions += 1;
        let mut random = [self.id.0[0]; 10];
        random[..8].copy_from_slice(&self.versions.to_le_bytes());
        VersionId::new(NOW_MS, random)
    }

    pub fn sealed(&self, context: Context, len: u32, salt: u64) -> Bytes {
        sealed(self.suite, self.id, context, len, salt)
    }

    pub fn chunk(&self, len: u32, salt: u64) -> Bytes {
        self.sealed(Context::Chunk, len, salt)
    }

    /// The records of a version of `name` with these chunks.
    pub fn parcel(&mut self, name: &str, chunks: &[Bytes]) -> Parcel {
        let version = self.fresh_version();
        let salt = self.versions;
        let address = |bytes: &Bytes| self.suite.address(bytes);
        let manifest = self.sealed(Context::Manifest { version, page: 0, pages: 1, salt: [5; 32] }, 200, salt);
        let wrap = self.sealed(Context::Wrap { version, epoch: 1, wrap_no: 0, salt: [1; 32] }, 48, salt);
        let summary = self.sealed(Context::Summary { version, salt: [2; 32] }, 120, salt);
        let list = AddressList::new(chunks.iter().map(address).collect());
        let list_bytes = Bytes::from(list.encode());
        let mut distinct: Vec<&Bytes> = chunks.iter().collect();
        distinct.sort();
        distinct.dedup();
        let stored = manifest.len() + distinct.iter().map(|chunk| chunk.len()).sum::<usize>();
        let deposit = Deposit {
            version,
            expected: Expected::Any,
            name_token: token(name),
            manifest: address(&manifest),
            address_root: list.root(),
            address_list: address(&list_bytes),
            address_count: list.addresses().len() as u32,
            stored_bytes: stored as u64,
            dek_commit: Digest([4; 32]),
            wrap: address(&wrap),
            summary: address(&summary),
            policy: DepositPolicy::default(),
            report: None,
        };
        let record = |kind, bytes: &Bytes| InlineRecord { kind, bytes: bytes.clone() };
        let records = vec![
            record(RecordKind::Manifest, &manifest),
            record(RecordKind::AddressList, &list_bytes),
            record(RecordKind::Wrap, &wrap),
            record(RecordKind::Summary, &summary),
        ];
        Parcel { deposit, chunks: chunks.to_vec(), records }
    }

    /// Signs a parcel and sends its chunks along.
    pub fn send(&mut self, parcel: &Parcel) -> DepositRequest {
        let entry = self.device.sign(&self.named(), parcel.body());
        request(&entry, parcel)
    }

    /// A small version of `name`, all in one request.
    pub fn small(&mut self, name: &str) -> (Parcel, DepositRequest) {
        let salt = self.versions + 1_000;
        let parcel = self.parcel(name, &[self.chunk(3_000, salt)]);
        let request = self.send(&parcel);
        (parcel, request)
    }

    /// An act with the document that it brings, signed by the device.
    pub fn act(&mut self, subject: Option<VersionId>, document: &Document) -> (VersionId, DepositRequest) {
        let id = self.fresh_version();
        (id, self.act_as(id, subject, document))
    }

    /// The same, under an id that was drawn before.
    pub fn act_as(&mut self, id: VersionId, subject: Option<VersionId>, document: &Document) -> DepositRequest {
        let bytes = Bytes::from(document.encode());
        let act = Act { id, kind: document.kind(), subject, document: self.suite.address(&bytes) };
        let entry = self.device.sign(&self.named(), Body::Act(act));
        let records = vec![InlineRecord { kind: RecordKind::Document, bytes }];
        DepositRequest { entry: Bytes::copy_from_slice(entry.bytes()), records }
    }

    /// A delete marker on `name`.
    pub fn marker(&mut self, name: &str) -> (VersionId, DepositRequest) {
        let version = self.fresh_version();
        let summary = self.sealed(Context::Summary { version, salt: [3; 32] }, 90, self.versions);
        let change = NameChange {
            version,
            expected: Expected::Any,
            name_token: token(name),
            summary: self.suite.address(&summary),
        };
        let entry = self.device.sign(&self.named(), Body::Marker(change));
        let records = vec![InlineRecord { kind: RecordKind::Summary, bytes: summary }];
        (version, DepositRequest { entry: Bytes::copy_from_slice(entry.bytes()), records })
    }
}

/// An entry with the records of its parcel, chunks included.
pub fn request(entry: &Entry, parcel: &Parcel) -> DepositRequest {
    let chunks = parcel.chunks.iter().map(|bytes| InlineRecord { kind: RecordKind::Chunk, bytes: bytes.clone() });
    let records = parcel.records.iter().cloned().chain(chunks).collect();
    DepositRequest { entry: Bytes::copy_from_slice(entry.bytes()), records }
}

/// An entry that names no records.
pub fn bare(entry: Entry) -> DepositRequest {
    DepositRequest { entry: Bytes::copy_from_slice(entry.bytes()), records: Vec::new() }
}

pub fn batch(deposits: impl IntoIterator<Item = DepositRequest>) -> DepositBatch {
    DepositBatch { deposits: deposits.into_iter().collect() }
}

pub fn sealed(suite: Suite, hospital: HospitalId, context: Context, len: u32, salt: u64) -> Bytes {
    let mut bytes = write_aad(suite, 0, hospital, &context, &[9; 32], len);
    let noise = SeededRandom::new(salt);
    let mut sealed = vec![0; len as usize];
    shosoin_tiers::Random::fill(&noise, &mut sealed).unwrap();
    bytes.extend_from_slice(&sealed);
    Bytes::from(bytes)
}

pub fn token(name: &str) -> NameToken {
    NameToken(shosoin_protocol::suite::sha256(&[b"token of the tests", name.as_bytes()]).0)
}

/// Labelled volumes in memory.
pub fn memory_volumes(count: usize) -> Vec<MemoryMedia> {
    let volumes: Vec<_> = (1..=count).map(|no| MemoryMedia::new(&format!("v{no:02}"))).collect();
    for (no, media) in (1u8..).zip(&volumes) {
        let label = VolumeLabel::new(VolumeId([no; 16]), TierKind::Hot, MediaClass::Ssd, 0);
        Volume::create(Arc::new(media.clone()), label).unwrap();
    }
    volumes
}

/// The same volumes as a vault takes them.
pub fn as_media(volumes: &[MemoryMedia]) -> Vec<Arc<dyn Media>> {
    volumes.iter().map(|media| Arc::new(media.clone()) as Arc<dyn Media>).collect()
}

/// A vault on simulated or real media.
pub struct Site {
    pub dir: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    pub options: OpenOptions,
}

impl Site {
    /// A vault of 4+2 on six folders.
    pub async fn on_disk(index: IndexKind) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let volumes = (1..=6).map(|no| VolumeSpec::at(format!("volumes/v{no:02}"))).collect();
        Vault::init(&vault_dir(&dir), init_options(volumes, index)).await.unwrap();
        Site::of(dir, None)
    }

    /// A vault of 4+2 on media of the caller, labelled already.
    pub async fn on_media(index: IndexKind, media: Vec<Arc<dyn Media>>) -> Site {
        let dir = tempfile::tempdir().unwrap();
        Vault::init(&vault_dir(&dir), init_options(Vec::new(), index)).await.unwrap();
        Site::of(dir, Some(media))
    }

    fn of(dir: tempfile::TempDir, media: Option<Vec<Arc<dyn Media>>>) -> Site {
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let options = OpenOptions { clock: clock.clone(), media, ..OpenOptions::default() };
        Site { dir, clock, options }
    }

    pub fn path(&self) -> std::path::PathBuf {
        vault_dir(&self.dir)
    }

    pub async fn open(&self) -> Vault {
        Vault::open(&self.path(), self.options.clone()).await.unwrap()
    }
}

fn vault_dir(dir: &tempfile::TempDir) -> std::path::PathBuf {
    dir.path().join("vault")
}

pub fn init_options(volumes: Vec<VolumeSpec>, index: IndexKind) -> InitOptions {
    InitOptions {
        volumes,
        code: shosoin_store::Code::parse("4+2").unwrap(),
        demo: true,
        index,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

/// Enrols a hospital and begins its log.
pub async fn enrolled(vault: &Vault, suite: Suite, seed: u8) -> Hospital {
    let mut hospital = Hospital::new(suite, seed, vault.id());
    assert_eq!(vault.enrol(&hospital.enrolment()).unwrap(), hospital.id);
    let first = hospital.first_entry();
    accept(vault, &mut hospital, [first]).await;
    hospital
}

/// Both sides agree on what `change` makes of the terms of a demonstration; the device has seen it.
pub async fn agree(vault: &Vault, hospital: &mut Hospital, change: impl FnOnce(Terms) -> Terms) {
    let draft = Draft { hospital: hospital.id, suite: hospital.suite, vault: vault.id(), now_ms: NOW_MS };
    let terms = change(Terms::demonstration(draft));
    let agreement = Agreement::draft(terms).sign_as_hospital(&hospital.hospital_key);
    let document = hex::encode(Document::Agreement(Box::new(agreement)).encode());
    let command = AgreementCommand::Sign { hospital: Some(hospital.id.to_string()), document };
    vault.agreement_command(command, Caller::this_process()).await.unwrap();
    see_head(vault, hospital).await;
}

/// The device sees the newest head, as it does after the operator stated something.
pub async fn see_head(vault: &Vault, hospital: &mut Hospital) {
    let text = vault.checkpoint(hospital.id).await.unwrap();
    let (head, _) = Checkpoint::parse(&text).unwrap();
    hospital.device.seen = Seen { size: head.size, root: head.root };
}

/// Three people of the vault: an administrator, a keeper and an auditor, as users of this machine who have all been here.
pub async fn people(vault: &Vault) -> [Caller; 3] {
    let duties = [("daemon", 1, Role::Admin), ("bin", 2, Role::Keeper), ("sys", 3, Role::Auditor)];
    let admin = Caller::user(1);
    for (user, _, role) in duties {
        let add = AccountCommand::Add {
            id: format!("{user}.one").parse().unwrap(),
            name: String::new(),
            roles: vec![role],
            os_user: Some(user.to_owned()),
            hours: Vec::new(),
            reason: String::new(),
        };
        let by = if role == Role::Admin { Caller::this_process() } else { admin.clone() };
        vault.account_command(add, by, true).await.unwrap();
    }
    let all = duties.map(|(_, uid, _)| Caller::user(uid));
    for person in &all {
        vault.status_for(person).await.unwrap();
    }
    all
}

/// Deposits and expects a receipt for each, all of which must hold; the device has then seen the newest head.
pub async fn accept(
    vault: &Vault,
    hospital: &mut Hospital,
    deposits: impl IntoIterator<Item = DepositRequest>,
) -> Vec<Receipt> {
    let batch = batch(deposits);
    let replies = vault.deposit(hospital.id, batch.clone()).await.unwrap().replies;
    let vault_key = vault_key(vault, hospital.id).await;
    let mut receipts = Vec::new();
    for (reply, deposit) in replies.into_iter().zip(&batch.deposits) {
        let receipt = reply.unwrap();
        let leaf = Entry::decode(&deposit.entry).unwrap().leaf_hash();
        let head = receipt.verify(&leaf, &vault_key).unwrap();
        hospital.device.seen = Seen { size: head.size, root: head.root };
        receipts.push(receipt);
    }
    receipts
}

/// Why the vault does not take a deposit.
pub async fn refusal(vault: &Vault, hospital: &Hospital, request: DepositRequest) -> String {
    let replies = vault.deposit(hospital.id, batch([request])).await.unwrap().replies;
    replies.into_iter().next().unwrap().unwrap_err().message
}

pub async fn vault_key(vault: &Vault, hospital: HospitalId) -> shosoin_protocol::sign::PublicKey {
    let hello = vault.hello(hospital).await.unwrap();
    let bytes = hex::decode(hello.vault_key).unwrap();
    shosoin_protocol::sign::PublicKey::read(&mut shosoin_protocol::codec::Reader::new(&bytes, "vault key")).unwrap()
}

/// Sends one deposit that must be refused, and gives the refusal; the device's chain stands where it stood.
pub async fn refused(vault: &Vault, hospital: &mut Hospital, request: DepositRequest) -> Problem {
    let statement = Entry::decode(&request.entry).unwrap().statement().clone();
    let replies = vault.deposit(hospital.id, batch([request])).await.unwrap().replies;
    (hospital.device.next_seq, hospital.device.prev) = (statement.device_seq, statement.prev);
    replies.into_iter().next().unwrap().unwrap_err()
}

/// Every file below `dir`.
pub fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

pub fn address(suite: Suite, bytes: &Bytes) -> Address {
    suite.address(bytes)
}

/// Everything a hospital deposited is there, proven, byte for byte.
pub async fn assert_holds(vault: &Vault, hospital: &Hospital, parcels: &[Parcel]) {
    let vault_key = vault_key(vault, hospital.id).await;
    for parcel in parcels {
        let reply = vault.version(hospital.id, parcel.deposit.version).await.unwrap();
        let entry = Entry::decode(&reply.entry).unwrap();
        assert_eq!(entry.body(), &parcel.body());
        reply.inclusion.verify(&entry.leaf_hash(), &vault_key).unwrap();
        assert_eq!(hospital.suite.address(&reply.wrap), parcel.deposit.wrap);
        assert_eq!(hospital.suite.address(&reply.manifest), parcel.deposit.manifest);
        for chunk in &parcel.chunks {
            let address = hospital.suite.address(chunk);
            assert_eq!(&vault.record(hospital.id, address).await.unwrap(), chunk);
            assert_eq!(vault.missing(hospital.id, &[address]).await.unwrap(), [false]);
        }
    }
}

pub async fn assert_clean(vault: &Vault) {
    let report = vault.check(CheckOptions { every_unit: true, ..CheckOptions::default() }).await.unwrap();
    assert_eq!(report.findings, []);
}
