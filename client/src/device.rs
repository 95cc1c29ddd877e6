//! The machines of a hospital, as its ledger has them: who may sign, and who no longer.

use crate::lane::Intent;
use crate::{Client, Error, Result};
use shosoin_protocol::DeviceId;
use shosoin_protocol::entry::{Body, DeviceChange};
use shosoin_protocol::sign::PublicKey;

/// One device that the ledger knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// its id, made of its key
    pub id: DeviceId,
    /// what its entries are verified with
    pub key: PublicKey,
    /// it may sign; one that was revoked never may again
    pub enrolled: bool,
    /// entries it has signed
    pub entries: u64,
    /// it is this machine
    pub is_this: bool,
    /// it may deposit, and nothing else
    pub deposit_only: bool,
}

impl Client {
    /// Every device that the ledger knows, by id.
    pub fn devices(&self) -> Result<Vec<Device>> {
        let own = self.inner.keyring.device_id();
        let row = |row: crate::view::row::DeviceRow| {
            let id = row.key.device_id();
            let (entries, is_this) = (row.chain.next_seq, id == own);
            let deposit_only = self.inner.view.role(id)?.is_some();
            Ok(Device { id, key: row.key, enrolled: row.enrolled, entries, is_this, deposit_only })
        };
        let lineage = &self.inner.ledger.identity().lineage;
        let devices = self.inner.view.devices()?.into_iter().filter(|row| !lineage.is_vault(row.key.device_id()));
        devices.map(row).collect()
    }

    /// Revokes another device, for good: from then on the vault takes nothing it signs and does not let its machine in. What
    /// it knows it keeps; what it has signed stays valid.
    pub async fn revoke_device(&self, device: DeviceId) -> Result<()> {
        let invalid = |why| Err(Error::Invalid { what: "device", why });
        let known = self.devices()?.into_iter().find(|known| known.id == device);
        let key = match known {
            None => return invalid("the ledger knows no such device"),
            Some(Device { is_this: true, .. }) => return invalid("it is this machine: revoke it from another one"),
            Some(Device { enrolled: false, .. }) => return invalid("it was revoked already"),
            Some(Device { key, .. }) => key,
        };
        let log = self.inner.ledger.identity().log;
        let body = Body::Device(DeviceChange::certify(log, false, key, self.inner.keyring.hospital_key()));
        self.inner.lane.submit(Intent { body, summary: None, document: None, records: Vec::new() }).await.map(|_| ())
    }
}
