//! A vault in the same process as its client: the transport of `up`. Each call is one call, without a wire.

use async_trait::async_trait;
use bytes::Bytes;
use shosoin_client::{Error, Result, Transport};
use shosoin_protocol::answer::{AuditReply, Nonce};
use shosoin_protocol::api::{DepositBatch, DepositReplies, DeviceReply, Hello, LogPage, VersionReply};
use shosoin_protocol::plan::ShelfReply;
use shosoin_protocol::share::ShareAsk;
use shosoin_protocol::{Address, DeviceId, Digest, HospitalId, NameToken, VersionId};
use shosoin_store::{Vault, Visitor};

/// An open vault, as one hospital sees it.
pub struct Embedded {
    vault: Vault,
    hospital: HospitalId,
    reader: Visitor,
}

impl Embedded {
    /// The vault as `hospital` sees it.
    pub fn new(vault: Vault, hospital: HospitalId) -> Self {
        let known = vault.hospitals().into_iter().find(|known| known.hospital == hospital);
        let device = known.map_or(DeviceId([0; 16]), |known| known.device_key.device_id());
        Embedded { vault, hospital, reader: Visitor { hospital, device, from: None } }
    }
}

/// The answer as it would come over the wire.
fn told<T>(answer: shosoin_store::Result<T>) -> Result<T> {
    answer.map_err(|error| Error::Vault(error.problem()))
}

#[async_trait]
impl Transport for Embedded {
    async fn hello(&self) -> Result<Hello> {
        told(self.vault.hello(self.hospital).await)
    }

    async fn missing(&self, addresses: &[Address]) -> Result<Vec<bool>> {
        told(self.vault.missing(self.hospital, addresses).await)
    }

    async fn put_chunk(&self, address: Address, bytes: Bytes) -> Result<()> {
        told(self.vault.put_chunk(self.hospital, address, bytes).await)
    }

    async fn deposit(&self, batch: &DepositBatch) -> Result<DepositReplies> {
        told(self.vault.deposit(self.hospital, batch.clone()).await)
    }

    async fn record(&self, address: Address) -> Result<Bytes> {
        told(self.vault.record_for(&self.reader, address).await)
    }

    async fn audit_record(&self, address: Address, nonce: Nonce) -> Result<AuditReply> {
        told(self.vault.audit_record_for(&self.reader, address, nonce).await)
    }

    async fn plan(&self, addresses: &[Address]) -> Result<ShelfReply> {
        told(self.vault.plan(self.hospital, addresses).await)
    }

    async fn version(&self, version: VersionId) -> Result<VersionReply> {
        told(self.vault.version_for(&self.reader, version).await)
    }

    async fn wraps(&self, versions: &[VersionId]) -> Result<Vec<Bytes>> {
        told(self.vault.wraps(self.hospital, versions.to_vec()).await).map(|reply| reply.wraps)
    }

    async fn name(&self, token: NameToken) -> Result<VersionReply> {
        told(self.vault.name_for(&self.reader, token).await)
    }

    async fn device(&self, device: DeviceId) -> Result<DeviceReply> {
        told(self.vault.device(self.hospital, device).await)
    }

    async fn checkpoint(&self) -> Result<String> {
        told(self.vault.checkpoint(self.hospital).await)
    }

    async fn snapshot(&self) -> Result<VersionReply> {
        told(self.vault.snapshot(self.hospital).await)
    }

    async fn log_entries(&self, from: u64, count: u32) -> Result<LogPage> {
        told(self.vault.log_entries(self.hospital, from, count).await)
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<Vec<Digest>> {
        told(self.vault.consistency(self.hospital, from, to).await)
    }

    async fn reconciliation(&self) -> Result<Bytes> {
        told(self.vault.reconciliation(self.hospital).await)
    }

    async fn share(&self, ask: ShareAsk) -> Result<Bytes> {
        told(self.vault.share(self.hospital, ask).await)
    }
}
