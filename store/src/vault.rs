//! The vault: the front of everything the operator runs. Each method is one request of the API or one command.

use crate::check::{CheckOptions, CheckReport};
use crate::config::{Code, IndexKind, VolumeSpec};
use crate::error::{Error, Result};
use crate::hospitals::HospitalInfo;
use crate::identity::TlsIdentity;
use crate::status::{Counters, Status};
use bytes::Bytes;
use shosoin_protocol::api::{DepositBatch, DepositReplies, DeviceReply, Hello, LogPage, VersionReply};
use shosoin_protocol::{Address, DeviceId, Digest, HospitalId, NameToken, VaultId, VersionId};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

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
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {}

/// Progress of a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// segments done
    pub segments: u64,
    /// segments in all
    pub segments_total: u64,
    /// payload bytes of the segments done
    pub bytes: u64,
    /// payload bytes in all
    pub bytes_total: u64,
}

/// What a rebuild did.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct RebuildReport {
    /// segments walked
    pub segments: u64,
    /// records found
    pub records: u64,
    /// ledger entries found
    pub entries: u64,
    /// damage met on the way
    pub findings: Vec<crate::Finding>,
}

/// An open vault. Clones share it.
#[derive(Clone)]
pub struct Vault {
    _inner: Arc<()>,
}

impl Vault {
    /// Makes a vault in `dir`, which must not hold one yet: `vault.toml`, signing keys, TLS identity, volumes.
    pub async fn init(_dir: &Path, _options: InitOptions) -> Result<()> {
        Err(Error::Closing)
    }

    /// Opens the vault in `dir`: recovers the segments of an unclean stop, catches the index up from media, and
    /// rebuilds it where it is empty, older than media, or garbage.
    pub async fn open(_dir: &Path, _options: OpenOptions) -> Result<Vault> {
        Err(Error::Closing)
    }

    /// Recreates index and ledger state of the vault in `dir` from media alone. The vault must not be open.
    pub async fn rebuild(_dir: &Path, _progress: impl Fn(Progress) + Send + Sync + 'static) -> Result<RebuildReport> {
        Err(Error::Closing)
    }

    /// Which vault this is.
    pub fn id(&self) -> VaultId {
        VaultId([0; 16])
    }

    /// Address the configuration says to listen on.
    pub fn listen(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    /// TLS key and certificate for the API.
    pub fn tls(&self) -> Arc<TlsIdentity> {
        Arc::new(TlsIdentity { certificate_der: Vec::new(), key_der: Vec::new().into() })
    }

    /// Opens a ledger for the hospital of a signed enrolment. Enrolling the same file again changes nothing.
    pub fn enrol(&self, _enrolment: &[u8]) -> Result<HospitalId> {
        Err(Error::Closing)
    }

    /// The enrolled hospitals.
    pub fn hospitals(&self) -> Vec<HospitalInfo> {
        Vec::new()
    }

    /// The hospital whose TLS client key has this pin.
    pub fn hospital_by_pin(&self, _pin: &[u8; 32]) -> Option<HospitalId> {
        None
    }

    /// What the vault says of itself to a hospital it knows.
    pub async fn hello(&self, _hospital: HospitalId) -> Result<Hello> {
        Err(Error::Closing)
    }

    /// For each address, whether it is missing. A row of the index is believed only after a look at the media.
    pub async fn missing(&self, _hospital: HospitalId, _addresses: &[Address]) -> Result<Vec<bool>> {
        Err(Error::Closing)
    }

    /// Takes one sealed chunk, or one page of a manifest too large to travel with its deposit. Durable on `Ok`.
    pub async fn put_chunk(&self, _hospital: HospitalId, _address: Address, _bytes: Bytes) -> Result<()> {
        Err(Error::Closing)
    }

    /// Takes the deposits of one device in their order, and answers each. Durable where the answer is a receipt.
    pub async fn deposit(&self, _hospital: HospitalId, _batch: DepositBatch) -> Result<DepositReplies> {
        Err(Error::Closing)
    }

    /// One record by address.
    pub async fn record(&self, _hospital: HospitalId, _address: Address) -> Result<Bytes> {
        Err(Error::Closing)
    }

    /// One version: its entry with proof, wrap and manifest root.
    pub async fn version(&self, _hospital: HospitalId, _version: VersionId) -> Result<VersionReply> {
        Err(Error::Closing)
    }

    /// The newest change of a name, as [`Vault::version`] answers it.
    pub async fn name(&self, _hospital: HospitalId, _token: NameToken) -> Result<VersionReply> {
        Err(Error::Closing)
    }

    /// Where a device's chain of entries stands; a device the ledger does not know stands at its beginning.
    pub async fn device(&self, _hospital: HospitalId, _device: DeviceId) -> Result<DeviceReply> {
        Err(Error::Closing)
    }

    /// Newest signed head of the log.
    pub async fn checkpoint(&self, _hospital: HospitalId) -> Result<String> {
        Err(Error::Closing)
    }

    /// Entries from leaf `from` on, with their summaries: at most `count`, fewer where the page would grow too large.
    pub async fn log_entries(&self, _hospital: HospitalId, _from: u64, _count: u32) -> Result<LogPage> {
        Err(Error::Closing)
    }

    /// Proof that the log of `from` leaves is a prefix of the log of `to` leaves.
    pub async fn consistency(&self, _hospital: HospitalId, _from: u64, _to: u64) -> Result<Vec<Digest>> {
        Err(Error::Closing)
    }

    /// State of the whole vault.
    pub async fn status(&self) -> Result<Status> {
        Err(Error::Closing)
    }

    /// Work since the vault was opened.
    pub fn counters(&self) -> Counters {
        Counters::default()
    }

    /// Compares index, ledger and media; findings are the product, not errors.
    pub async fn check(&self, _options: CheckOptions) -> Result<CheckReport> {
        Err(Error::Closing)
    }

    /// Finishes what is under way, closes open segments cleanly, and gives up the folder.
    pub async fn close(&self) -> Result<()> {
        Ok(())
    }
}
