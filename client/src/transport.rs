//! How the client reaches its vault: the questions of [`shosoin_protocol::api`] as one trait.
//!
//! A transport moves bytes and parses them; it believes nothing. It may repeat what has the same effect twice as once,
//! never a deposit that the vault may have seen. What the vault says is checked by the callers, and a failure says
//! whether the vault answered ([`Error::Vault`]) or not ([`Error::Unreachable`]): after the latter a deposit may or may
//! not have been accepted.

use crate::{Error, Result};
use async_trait::async_trait;
use bytes::Bytes;
use shosoin_protocol::answer::{AuditReply, Nonce};
use shosoin_protocol::api::{DepositBatch, DepositReplies, DeviceReply, Hello, LogPage, VersionReply};
use shosoin_protocol::plan::ShelfReply;
use shosoin_protocol::share::ShareAsk;
use shosoin_protocol::{Address, DeviceId, Digest, NameToken, VersionId};

/// One vault, as one hospital sees it.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// What the vault says of itself.
    async fn hello(&self) -> Result<Hello>;

    /// For each address, whether the vault lacks it; at most `ADDRESS_QUERY_MAX` of them, answered in order.
    async fn missing(&self, addresses: &[Address]) -> Result<Vec<bool>>;

    /// Stores one sealed record under its address; durable on return.
    async fn put_chunk(&self, address: Address, bytes: Bytes) -> Result<()>;

    /// Deposits in device-sequence order, one reply for each.
    async fn deposit(&self, batch: &DepositBatch) -> Result<DepositReplies>;

    /// The bytes at an address; the caller verifies them.
    async fn record(&self, address: Address) -> Result<Bytes>;

    /// The vault's signed answer to an audit of one record, and its bytes where it gives them; the caller verifies both.
    async fn audit_record(&self, address: Address, nonce: Nonce) -> Result<AuditReply>;

    /// What must be mounted before the records at these addresses, at most `ADDRESS_QUERY_MAX`, can be read.
    async fn plan(&self, addresses: &[Address]) -> Result<ShelfReply>;

    /// One version with its entry and proof.
    async fn version(&self, version: VersionId) -> Result<VersionReply>;

    /// The newest wrap of each of these versions, at most `REWRAP_MAX`, in order; empty where there is none.
    async fn wraps(&self, versions: &[VersionId]) -> Result<Vec<Bytes>>;

    /// The newest change of a name, with its entry and proof.
    async fn name(&self, token: NameToken) -> Result<VersionReply>;

    /// Where the chain of entries of a device stands.
    async fn device(&self, device: DeviceId) -> Result<DeviceReply>;

    /// The newest signed ledger head.
    async fn checkpoint(&self) -> Result<String>;

    /// The act that names the newest snapshot of a view, with its entry and proof.
    async fn snapshot(&self) -> Result<VersionReply>;

    /// Consecutive entries from index `from`, at most `count`, fewer where the page would grow too large.
    async fn log_entries(&self, from: u64, count: u32) -> Result<LogPage>;

    /// Proof that the ledger of `from` leaves is a prefix of the ledger of `to` leaves.
    async fn consistency(&self, from: u64, to: u64) -> Result<Vec<Digest>>;

    /// The vault's newest signed account of what it received and holds; the caller verifies it.
    async fn reconciliation(&self) -> Result<Bytes>;

    /// What other hospitals granted: the answer as it came, for the caller to parse and verify.
    async fn share(&self, ask: ShareAsk) -> Result<Bytes>;
}

impl Error {
    /// Whether no answer came: the request may or may not have had its effect.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.root(), Error::Unreachable { .. })
    }
}
