//! The vault: the front of everything the operator runs. Each method is one request of the API or one command.
//!
//! Here below: what it does about itself (`upkeep`).

mod upkeep;

use crate::accounts::{Accounts, Caller};
use crate::agreements::Agreements;
use crate::audit::AuditLog;
use crate::changes::{self, Look};
use crate::check::{CheckOptions, CheckReport, Severity};
use crate::clients::{Clients, Operation};
use crate::config::{IndexKind, VolumeSpec};
use crate::desk::Desk;
use crate::disposal::run;
use crate::error::{Error, Result};
use crate::group::Workplace;
use crate::hospitals::{self, HospitalInfo};
use crate::identity::{Identity, TlsIdentity};
use crate::in_flight::InFlight;
use crate::index::Index;
use crate::jobs::Jobs;
use crate::ledger::Ledger;
use crate::machines::HostStanding;
use crate::media_ledger::MediaLedger;
use crate::migrate::{self, MigrateReport};
use crate::network::ConnectionLog;
use crate::notify::Standings;
use crate::open::{self, Opened, Standing};
use crate::plan::Plan;
use crate::quarantine::Quarantine;
use crate::read_log::{ReadLog, Visitor};
use crate::rebuild::{Progress, RebuildReport};
use crate::records::Records;
use crate::setup;
use crate::sharing;
use crate::status::{self, CanaryStatus, Counters, Status, Work};
use crate::time_sync::TimeStatus;
use crate::transfers::Transfers;
use crate::volumes::Volumes;
use crate::{Code, Config, Finding, init};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use shosoin_protocol::answer::{AuditReply, Nonce};
use shosoin_protocol::api::{DepositBatch, DepositReplies, DeviceReply, Hello, LogPage, VersionReply, WrapsReply};
use shosoin_protocol::limits::{
    ADDRESS_QUERY_MAX, DEPOSIT_BATCH_BYTES_MAX, DEPOSIT_BATCH_MAX, RECORD_BYTES_MAX, REWRAP_MAX,
};
use shosoin_protocol::plan::ShelfReply;
use shosoin_protocol::{Address, DeviceId, Digest, HospitalId, LogId, NameToken, VaultId, VersionId};
use shosoin_tiers::media::{FileMedia, Media};
use shosoin_tiers::{Clock, Random, SystemClock, SystemRandom, Tier, Unpaced};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Payload bytes that may be inside the vault at once, waiting or being written: what callers beyond it wait for.
pub const INTAKE_BYTES_MAX: usize = 96 * 1024 * 1024;
/// Bytes that one permit of intake stands for.
const PERMIT_BYTES: usize = 1024;

/// What a new vault is made of.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// its volumes; folders are made where they are not there yet
    pub volumes: Vec<VolumeSpec>,
    /// code of new segments
    pub code: Code,
    /// waive the placement rules, and say so everywhere
    pub demo: bool,
    /// which database holds the index
    pub index: IndexKind,
    /// address the API will listen on
    pub listen: SocketAddr,
}

/// How to open a vault.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// what time it is
    pub clock: Arc<dyn Clock>,
    /// random ids of segments
    pub random: Arc<dyn Random>,
    /// media to use in place of those the configuration names: simulated ones
    pub media: Option<Vec<Arc<dyn Media>>>,
    /// bytes of payload after which a segment is closed; `None` for the default of `tiers`
    pub segment_bytes_max: Option<u64>,
    /// file of the program that opens it; `None` for the one that runs
    pub program: Option<PathBuf>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            media: None,
            segment_bytes_max: None,
            program: None,
        }
    }
}

/// An open vault. Clones share it; the folder is free again when the last one is gone.
#[derive(Clone)]
pub struct Vault {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) identity: Identity,
    pub(crate) tier: Arc<Tier>,
    pub(crate) index: Arc<dyn Index>,
    pub(crate) records: Arc<Records>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) work: Arc<Work>,
    desks: RwLock<BTreeMap<HospitalId, Arc<Desk>>>,
    pub(crate) media: Arc<MediaLedger>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) accounts: Arc<Accounts>,
    absent: Vec<String>,
    pub(crate) findings: Vec<Finding>,
    room: Semaphore,
    pub(crate) clients: Arc<Clients>,
    pub(crate) in_flight: InFlight,
    pub(crate) opened_ms: u64,
    pub(crate) jobs: Jobs,
    /// evidence of what was suspicious
    pub(crate) quarantine: Quarantine,
    /// how often transfers failed, and whose line is stopped
    pub(crate) transfers: Transfers,
    /// held while a package is written or taken in: one at a time
    pub(crate) handover: Mutex<()>,
    /// grants and address lists read for what is shared
    pub(crate) shares: Mutex<sharing::Kept>,
    /// when canaries were tried last, once that was looked up
    pub(crate) canaries_ms: Mutex<Option<u64>>,
    /// reads of sealed records, on their way into the audit log
    pub(crate) read_log: ReadLog,
    /// who connected, on its way into the audit log
    pub(crate) connections: ConnectionLog,
    /// whether the room for the audit log was short when it was looked at last
    log_short: AtomicBool,
    /// whether it is on record that the register of machines does not let this host
    pub(crate) host_unknown: AtomicBool,
    /// file of the program, as it was called when this began: it may be replaced while it runs
    pub(crate) program: PathBuf,
    /// what the vault saw when it looked at its own files last
    pub(crate) last_look: Mutex<Option<Look>>,
    /// what chrony said last
    pub(crate) last_time: Mutex<Option<TimeStatus>>,
    /// how channels fare that tell people
    pub(crate) standings: Standings,
    /// what came of the newest try on the canary of each hospital
    pub(crate) canaries: Mutex<BTreeMap<HospitalId, CanaryStatus>>,
    /// last, so that the lock on the folder goes when nothing uses it any more
    pub(crate) folder: FileMedia,
}

impl Vault {
    /// Makes a vault in `dir`, which must not hold one yet: volumes, `vault.toml`, signing keys, TLS identity.
    pub async fn init(dir: &Path, options: InitOptions) -> Result<()> {
        let dir = dir.to_owned();
        blocking(move || init::init(&dir, &options)).await
    }

    /// Opens the vault in `dir`: recovers the segments of an unclean stop, catches the index up from media, and
    /// makes it anew where it is empty, ahead of media, or garbage.
    pub async fn open(dir: &Path, options: OpenOptions) -> Result<Vault> {
        let dir = dir.to_owned();
        blocking(move || Inner::open(dir, &options).map(|inner| Vault { inner: Arc::new(inner) })).await
    }

    /// Recreates index and ledger state of the vault in `dir` from media alone. The vault must not be open.
    pub async fn rebuild(dir: &Path, progress: impl Fn(Progress) + Send + Sync + 'static) -> Result<RebuildReport> {
        let dir = dir.to_owned();
        blocking(move || open::rebuild(&dir, &OpenOptions::default(), None, &progress)).await
    }

    /// The same for `caller`, if they may.
    pub async fn rebuild_for(
        dir: &Path,
        caller: Caller,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<RebuildReport> {
        let dir = dir.to_owned();
        blocking(move || open::rebuild(&dir, &OpenOptions::default(), Some(&caller), &progress)).await
    }

    /// Which vault this is.
    pub fn id(&self) -> VaultId {
        self.inner.identity.vault()
    }

    /// Address the configuration says to listen on.
    pub fn listen(&self) -> SocketAddr {
        self.inner.config.listen
    }

    /// TLS key and certificate for the API.
    pub fn tls(&self) -> Arc<TlsIdentity> {
        self.inner.identity.tls().clone()
    }

    /// Opens a ledger for the hospital of a signed enrolment, or lets a further machine of a known one in. Enrolling the same
    /// file again changes nothing.
    pub fn enrol(&self, enrolment: &[u8]) -> Result<HospitalId> {
        self.inner.enrol(enrolment)
    }

    /// The enrolled hospitals.
    pub fn hospitals(&self) -> Vec<HospitalInfo> {
        self.inner.desks.read().values().map(|desk| desk.info_now()).collect()
    }

    /// The hospital that has a machine whose TLS client key has this pin, and whose device was not revoked. Where the index
    /// does not answer, nobody is let in.
    pub fn hospital_by_pin(&self, pin: &[u8; 32]) -> Option<HospitalId> {
        let desks = self.inner.desks.read();
        let mut known = desks.values().filter(|desk| desk.lets_in(pin).unwrap_or(false));
        known.next().map(|desk| desk.info().hospital)
    }

    /// That hospital, with the device.
    pub(crate) fn device_by_pin(&self, pin: &[u8; 32]) -> Option<(HospitalId, DeviceId)> {
        let desks = self.inner.desks.read();
        desks.values().find_map(|desk| Some((desk.info().hospital, desk.device_of(pin).ok().flatten()?)))
    }

    /// Whether a device of a hospital may deposit and nothing else.
    pub(crate) fn only_deposits(&self, hospital: HospitalId, device: DeviceId) -> Result<bool> {
        self.inner.desks.read().get(&hospital).map_or(Ok(false), |desk| desk.only_deposits(device))
    }

    /// [`record`](Self::record) for a device, on record before it is answered.
    pub async fn record_for(&self, visitor: &Visitor, address: Address) -> Result<Bytes> {
        self.reads_begin(visitor).await?;
        let record = self.record(visitor.hospital, address).await?;
        self.inner.read_log.count(visitor, record.len() as u64, None);
        Ok(record)
    }

    /// [`audit_record`](Self::audit_record) for a device, on record before it is answered.
    pub async fn audit_record_for(&self, visitor: &Visitor, address: Address, nonce: Nonce) -> Result<AuditReply> {
        self.reads_begin(visitor).await?;
        let reply = self.audit_record(visitor.hospital, address, nonce).await?;
        self.inner.read_log.count(visitor, reply.record.len() as u64, None);
        Ok(reply)
    }

    /// [`version`](Self::version) for a device, on record before it is answered.
    pub async fn version_for(&self, visitor: &Visitor, version: VersionId) -> Result<VersionReply> {
        self.reads_begin(visitor).await?;
        let reply = self.version(visitor.hospital, version).await?;
        self.inner.read_log.count(visitor, reply.manifest.len() as u64, Some(reply.inclusion.index));
        Ok(reply)
    }

    /// [`name`](Self::name) for a device, on record before it is answered.
    pub async fn name_for(&self, visitor: &Visitor, token: NameToken) -> Result<VersionReply> {
        self.reads_begin(visitor).await?;
        let reply = self.name(visitor.hospital, token).await?;
        self.inner.read_log.count(visitor, reply.manifest.len() as u64, Some(reply.inclusion.index));
        Ok(reply)
    }

    async fn reads_begin(&self, visitor: &Visitor) -> Result<()> {
        let (inner, visitor, now_ms) = (self.inner.clone(), *visitor, self.inner.clock.now_ms());
        if inner.read_log.is_begun(&visitor, now_ms) {
            return Ok(());
        }
        blocking(move || inner.read_log.begin(visitor, now_ms)).await
    }

    /// What the vault says of itself to a hospital it knows.
    pub async fn hello(&self, hospital: HospitalId) -> Result<Hello> {
        let desk = self.line(hospital)?;
        let key = desk.ledger().public_key();
        let taken_over = self.at_desk(hospital, Desk::taken_over).await?;
        Ok(Hello {
            vault: self.id().to_string(),
            vault_key: key.to_string(),
            hospital: hospital.to_string(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
            code: self.inner.tier.code().to_string(),
            time_ms: self.inner.clock.now_ms(),
            demo: self.inner.tier.is_demo(),
            taken_over,
        })
    }

    /// For each address, whether it is missing. A row of the index is believed only after a look at the media.
    pub async fn missing(&self, hospital: HospitalId, addresses: &[Address]) -> Result<Vec<bool>> {
        let _request = self.inner.clients.begin(Operation::Missing);
        within("addresses", addresses.len(), ADDRESS_QUERY_MAX)?;
        let addresses = addresses.to_vec();
        self.at_desk(hospital, move |desk| desk.missing(&addresses)).await
    }

    /// Takes one sealed chunk, or one page of a manifest too large to travel with its deposit. Durable on `Ok`.
    pub async fn put_chunk(&self, hospital: HospitalId, address: Address, bytes: Bytes) -> Result<()> {
        let _request = self.inner.clients.begin(Operation::PutChunk);
        within("chunk", bytes.len(), RECORD_BYTES_MAX)?;
        let desk = self.line(hospital)?;
        self.take_chunk(&desk, address, bytes).await
    }

    /// Takes the deposits of one device in their order, and answers each. Durable where the answer is a receipt.
    pub async fn deposit(&self, hospital: HospitalId, batch: DepositBatch) -> Result<DepositReplies> {
        let _request = self.inner.clients.begin(Operation::Deposit);
        within("deposit batch", batch.deposits.len(), DEPOSIT_BATCH_MAX)?;
        let records = batch.deposits.iter().flat_map(|deposit| &deposit.records);
        let bytes = records.map(|record| record.bytes.len()).sum();
        within("deposit batch", bytes, DEPOSIT_BATCH_BYTES_MAX)?;
        let desk = self.line(hospital)?;
        desk.takes_entries()?;
        self.take_deposits(&desk, batch, None).await
    }

    /// One record by address.
    pub async fn record(&self, hospital: HospitalId, address: Address) -> Result<Bytes> {
        let _request = self.inner.clients.begin(Operation::Record);
        self.at_desk(hospital, move |desk| desk.record(&address)).await
    }

    /// The signed answer to an audit: the record as it is on media, or why it cannot be given.
    pub async fn audit_record(&self, hospital: HospitalId, address: Address, nonce: Nonce) -> Result<AuditReply> {
        let _request = self.inner.clients.begin(Operation::Record);
        let vault = self.id();
        self.at_desk(hospital, move |desk| desk.audit(vault, address, nonce)).await
    }

    /// What must be mounted before the records at these addresses can be read.
    pub async fn plan(&self, hospital: HospitalId, addresses: &[Address]) -> Result<ShelfReply> {
        within("addresses", addresses.len(), ADDRESS_QUERY_MAX)?;
        self.line(hospital)?;
        let (inner, addresses) = (self.inner.clone(), addresses.to_vec());
        let plan = move || {
            inner.volumes.look(); // a medium may just have been mounted
            let (index, tier, media) = (&*inner.index, &*inner.tier, &*inner.media);
            Plan { hospital, index, tier, media }.of(&addresses)
        };
        blocking(plan).await
    }

    /// One version: its entry with proof, wrap and manifest root.
    pub async fn version(&self, hospital: HospitalId, version: VersionId) -> Result<VersionReply> {
        let _request = self.inner.clients.begin(Operation::Version);
        self.at_desk(hospital, move |desk| desk.version(version)).await
    }

    /// The newest wrap of each of these versions; empty where there is none.
    pub async fn wraps(&self, hospital: HospitalId, versions: Vec<VersionId>) -> Result<WrapsReply> {
        let _request = self.inner.clients.begin(Operation::Version);
        within("versions", versions.len(), REWRAP_MAX)?;
        self.at_desk(hospital, move |desk| Ok(WrapsReply { wraps: desk.wraps(&versions)? })).await
    }

    /// The newest change of a name, as [`Vault::version`] answers it.
    pub async fn name(&self, hospital: HospitalId, token: NameToken) -> Result<VersionReply> {
        let _request = self.inner.clients.begin(Operation::Version);
        self.at_desk(hospital, move |desk| desk.name(token)).await
    }

    /// The act that names the newest snapshot of a view, with its place and proof.
    pub async fn snapshot(&self, hospital: HospitalId) -> Result<VersionReply> {
        let _request = self.inner.clients.begin(Operation::Log);
        self.at_desk(hospital, |desk| desk.snapshot()).await
    }

    /// Where a device's chain of entries stands; a device the ledger does not know stands at its beginning.
    pub async fn device(&self, hospital: HospitalId, device: DeviceId) -> Result<DeviceReply> {
        self.at_desk(hospital, move |desk| desk.device(device)).await
    }

    /// Newest signed head of the log.
    pub async fn checkpoint(&self, hospital: HospitalId) -> Result<String> {
        Ok(self.line(hospital)?.head()?.checkpoint.clone())
    }

    /// Entries from leaf `from` on, with their summaries: at most `count`, fewer where the page would grow too large.
    pub async fn log_entries(&self, hospital: HospitalId, from: u64, count: u32) -> Result<LogPage> {
        let _request = self.inner.clients.begin(Operation::Log);
        self.at_desk(hospital, move |desk| desk.log_page(from, count)).await
    }

    /// Proof that the log of `from` leaves is a prefix of the log of `to` leaves.
    pub async fn consistency(&self, hospital: HospitalId, from: u64, to: u64) -> Result<Vec<Digest>> {
        let _request = self.inner.clients.begin(Operation::Log);
        self.at_desk(hospital, move |desk| desk.consistency(from, to)).await
    }

    /// State of the whole vault.
    pub async fn status(&self) -> Result<Status> {
        let inner = self.inner.clone();
        blocking(move || Ok(inner.status())).await
    }

    /// The operator's audit log.
    pub fn audit(&self) -> &Arc<AuditLog> {
        self.inner.media.audit()
    }

    /// Every medium there ever was.
    pub fn media(&self) -> &Arc<MediaLedger> {
        &self.inner.media
    }

    /// Who may run this vault. Every call blocks.
    pub fn accounts(&self) -> &Arc<Accounts> {
        &self.inner.accounts
    }

    /// What the operator does with media. Every call blocks.
    pub fn volumes(&self) -> &Arc<Volumes> {
        &self.inner.volumes
    }

    /// Work since the vault was opened.
    pub fn counters(&self) -> Counters {
        self.inner.work.counters(self.inner.tier.counters())
    }

    /// Compares index, ledger and media; findings are the product, not errors.
    pub async fn check(&self, options: CheckOptions) -> Result<CheckReport> {
        let inner = self.inner.clone();
        blocking(move || inner.check(&options, &Unpaced)).await
    }

    /// Moves closed segments to the archive as the rules of `vault.toml` want it, now; with `dry_run` only says which.
    pub async fn migrate(&self, dry_run: bool) -> Result<MigrateReport> {
        let inner = self.inner.clone();
        blocking(move || inner.migrate(dry_run)).await
    }

    /// Finishes what is under way and closes open segments cleanly. Nothing can be stored afterwards.
    pub async fn close(&self) -> Result<()> {
        let inner = self.inner.clone();
        blocking(move || inner.close()).await
    }

    pub(crate) fn desk(&self, hospital: HospitalId) -> Result<Arc<Desk>> {
        self.inner.desks.read().get(&hospital).cloned().ok_or(Error::UnknownHospital { hospital })
    }

    /// Does something for a hospital on a thread that may block.
    async fn at_desk<T: Send + 'static>(
        &self,
        hospital: HospitalId,
        work: impl FnOnce(&Desk) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let desk = self.line(hospital)?;
        blocking(move || work(&desk)).await
    }

    /// Waits until there is room for this many bytes of payload.
    pub(crate) async fn room(&self, bytes: usize) -> Result<SemaphorePermit<'_>> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        self.inner.room.acquire_many(permits).await.map_err(|_| Error::Closing)
    }
}

impl Inner {
    fn open(dir: PathBuf, options: &OpenOptions) -> Result<Self> {
        let Opened { folder, config, identity, tier, index, hospitals, media, absent, mut findings } =
            open::open(&dir, options)?;
        let clock = options.clock.clone();
        let (accounts, doubt) = open::accounts(&dir, &config, &media, options)?;
        findings.extend(doubt);
        let volumes = Volumes::new(&dir, config.clone(), tier.clone(), index.clone(), media.clone(), clock);
        if let Err(error) = volumes.finish_departures() {
            tracing::warn!(error = &error as &dyn std::error::Error, "vault.toml still names retired volumes");
        }
        let jobs = Jobs::open(&folder, &config.jobs)?;
        let quarantine = Quarantine::open(&dir, &config.intake.quarantine)?;
        let records = Arc::new(Records::new(&dir, index.clone(), tier.clone(), options.clock.clone()));
        media.audit().keep_free(config.audit.reserve_bytes());
        let (read_log, connections) = (ReadLog::new(media.clone()), ConnectionLog::new(media.clone()));
        let mut inner = Inner {
            dir,
            config,
            identity,
            records,
            tier,
            index,
            clock: options.clock.clone(),
            random: options.random.clone(),
            work: Arc::default(),
            desks: RwLock::default(),
            media,
            volumes: Arc::new(volumes),
            accounts: Arc::new(accounts),
            absent,
            findings,
            room: Semaphore::new(INTAKE_BYTES_MAX / PERMIT_BYTES),
            clients: Arc::default(),
            in_flight: InFlight::default(),
            opened_ms: options.clock.now_ms(),
            jobs,
            quarantine,
            transfers: Transfers::default(),
            handover: Mutex::default(),
            shares: Mutex::default(),
            canaries_ms: Mutex::default(),
            read_log,
            connections,
            log_short: AtomicBool::default(),
            host_unknown: AtomicBool::default(),
            program: options.program.clone().map_or_else(setup::program, Ok)?,
            last_look: Mutex::default(),
            last_time: Mutex::default(),
            standings: Standings::default(),
            canaries: Mutex::default(),
            folder,
        };
        for (info, ledger, standing) in hospitals {
            let desk = inner.open_desk(info, ledger, standing)?;
            inner.desks.write().insert(desk.info().hospital, Arc::new(desk));
        }
        inner.catch_up_quarantine();
        inner.catch_up_transfers();
        for desk in inner.desks() {
            if let Err(error) = run::catch_up(&inner, &desk) {
                let why = error.problem().message;
                let message =
                    format!("what was disposed of hospital {} is not all let go: {why}", desk.info().hospital);
                inner.findings.push(Finding { severity: Severity::Degraded, code: "disposal-open", message });
            }
        }
        inner.jobs.resume(&inner)?;
        Ok(inner)
    }

    /// From now on this desk serves its hospital.
    pub(crate) fn seat(&self, desk: Arc<Desk>) {
        self.desks.write().insert(desk.info().hospital, desk);
    }

    /// From now on nobody serves a hospital; what was under way is finished.
    pub(crate) fn unseat(&self, hospital: HospitalId) {
        let desk = self.desks.write().remove(&hospital);
        desk.iter().for_each(|desk| desk.committer().stop());
    }

    pub(crate) fn open_desk(&self, hospital: HospitalInfo, ledger: Ledger, standing: Standing) -> Result<Desk> {
        let log = LogId::of(self.identity.vault(), hospital.hospital);
        let (ledger, required) = (Arc::new(ledger), self.config.intake.agreement_required);
        let (vault, records, index) = (self.identity.vault(), self.records.clone(), self.index.clone());
        let agreements = Agreements::new(hospital.clone(), vault, ledger.clone(), records, index, required);
        let workplace = Workplace {
            hospital,
            ledger,
            agreements: Arc::new(agreements),
            records: self.records.clone(),
            index: self.index.clone(),
            tier: self.tier.clone(),
            clock: self.clock.clone(),
            work: self.work.clone(),
        };
        Desk::open(workplace, log, standing)
    }

    fn enrol(&self, enrolment: &[u8]) -> Result<HospitalId> {
        let mut desks = self.desks.write();
        let info = hospitals::keep(&self.folder, &self.dir, enrolment)?;
        let hospital = info.hospital;
        match desks.entry(hospital) {
            Entry::Occupied(desk) => desk.get().set_machines(info.machines),
            Entry::Vacant(vacant) => {
                let ledger = open::open_ledger(&self.identity, &info, &self.index, &self.tier, &*self.clock)?;
                let halted = open::too_many_absent(&self.tier, &self.media, &self.absent());
                let standing = Standing { unseen: halted.clone(), halted };
                vacant.insert(Arc::new(self.open_desk(info, ledger, standing)?));
            }
        }
        Ok(hospital)
    }

    /// The desk of the hospital that is meant, by its id in hex; the only hospital of a vault needs no name.
    pub(crate) fn desk_of(&self, hospital: Option<&str>) -> Result<Arc<Desk>> {
        let desks = self.desks();
        let Some(text) = hospital else {
            return match desks.as_slice() {
                [desk] => Ok(desk.clone()),
                _ => Err(Error::Argument {
                    what: "hospital",
                    why: format!("the vault knows {} hospitals; name one", desks.len()),
                }),
            };
        };
        let wrong = |error: shosoin_protocol::Error| Error::Argument { what: "hospital", why: error.to_string() };
        let hospital: HospitalId = text.parse().map_err(wrong)?;
        let found = desks.into_iter().find(|desk| desk.info().hospital == hospital);
        found.ok_or(Error::UnknownHospital { hospital })
    }

    /// An id for an act, which nothing else has.
    pub(crate) fn fresh_id(&self) -> Result<VersionId> {
        let mut random = [0; 10];
        self.random.fill(&mut random)?;
        Ok(VersionId::new(self.clock.now_ms(), random))
    }

    fn migrate(&self, dry_run: bool) -> Result<MigrateReport> {
        migrate::run(&self.migrate_parts(), &self.config.migrate, self.records.reads(), dry_run)
    }

    /// What a migration works on.
    pub(crate) fn migrate_parts(&self) -> migrate::Parts<'_> {
        let (tier, index, media, clock) = (&*self.tier, &*self.index, &self.media, &*self.clock);
        migrate::Parts { dir: &self.dir, tier, index, media, clock }
    }

    /// Places of volumes that were expected when the vault was opened and have not come back.
    pub(crate) fn absent(&self) -> Vec<String> {
        let mounted = self.tier.mounted();
        let is_back = |place: &&String| mounted.iter().any(|mounted| mounted.place == **place);
        self.absent.iter().filter(|place| !is_back(place)).cloned().collect()
    }

    pub(crate) fn desks(&self) -> Vec<Arc<Desk>> {
        self.desks.read().values().cloned().collect()
    }

    pub(crate) fn status(&self) -> Status {
        let desks = self.desks();
        let mut status = status::gather(status::Parts {
            identity: &self.identity,
            config: &self.config,
            tier: &self.tier,
            absent: &self.absent(),
            repair_waits_until_ms: self.repair_waits_until_ms(),
            findings: &self.findings,
            desks: &desks,
            counters: self.work.counters(self.tier.counters()),
            scrub: self.jobs.debt(self),
            accounts: &self.accounts,
            log_room: self.media.audit().room().ok(),
        });
        if let HostStanding::Unknown { why } = self.host_standing() {
            let message = format!("this vault is on a host that the register of machines does not let: {why}");
            status.findings.push(Finding { severity: Severity::Degraded, code: "host-unknown", message });
        }
        status.itself = self.newest_self_status();
        if let Some(itself) = &status.itself {
            status.findings.extend(itself.unregistered().map(|kind| changes::finding(itself, kind)));
        }
        status.network = Some(self.network_status());
        status.findings.extend(self.lines_of_nobody());
        status.time = self.last_time.lock().clone();
        status.findings.extend(status.time.as_ref().and_then(TimeStatus::finding));
        for (hospital, desk) in status.hospitals.iter_mut().zip(&desks) {
            hospital.quarantine = self.quarantine_status(desk).ok();
            hospital.line = Some(self.line_status(desk));
            hospital.abandoned = self.abandoned(desk).ok();
            hospital.canary = self.canaries.lock().get(&desk.info().hospital).copied();
        }
        status
    }
}

/// Runs work that blocks on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::Bug("a task of the vault panicked"))?
}

/// Limits that the codec enforces on the wire, for callers in this process.
fn within(what: &'static str, found: usize, limit: usize) -> Result<()> {
    let over = shosoin_protocol::Error::OverLimit { what, found: found as u64, limit: limit as u64 };
    if found <= limit { Ok(()) } else { Err(Error::Malformed { what, source: over }) }
}
