//! Whether this gateway may sign: what its device has in the ledger against what its own state knows, and the confirmation
//! by a person after a restore from a backup.

use crate::{Client, Result};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::{DeviceId, Digest};

/// What a person compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// this device
    pub device: DeviceId,
    /// entries of this device in the ledger
    pub entries: u64,
    /// of these, how many its own state knows to be its own, before what was on its way
    pub known: u64,
    /// it signs nothing until the head was confirmed
    pub read_only: bool,
    /// newest head that was verified
    pub head: Option<Checkpoint>,
    /// leaves of the snapshot that the view began from since it was opened; 0 without one
    pub from_snapshot: u64,
}

impl Client {
    /// Whether this device may sign, as of the newest head.
    pub async fn device_standing(&self) -> Result<Standing> {
        self.refresh().await?;
        self.known_standing()
    }

    /// The same as of what is known; the vault is not asked.
    pub fn known_standing(&self) -> Result<Standing> {
        let (ledger, device) = (&self.inner.ledger, self.keyring().device_id());
        let chain = ledger.told_chain()?;
        let (known, read_only) = (ledger.signed().known_entries(), !ledger.signed().is_own(&chain));
        let (head, from_snapshot) = (self.head(), ledger.began_at());
        Ok(Standing { device, entries: chain.next_seq, known, read_only, head, from_snapshot })
    }

    /// Lets a gateway that was restored from a backup, or that lost its state, sign again: behind whatever the ledger has of its
    /// device. `size` and `root` are of a head that a person knows by another way; a ledger that does not contain it is
    /// refused. The other copy, if there is one, then finds itself read-only.
    pub async fn confirm_head(&self, size: u64, root: Digest) -> Result<Standing> {
        self.refresh().await?;
        self.inner.ledger.demand_prefix(size, root).await?;
        self.inner.ledger.adopt().await?;
        self.device_standing().await
    }
}
