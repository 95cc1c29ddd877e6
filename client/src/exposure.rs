//! Exposure: what a device that is no longer in the hospital's hands signed, and what could be read with it, since when.
//!
//! - The ledger is read whole and held to its head; what is counted is what the hospital itself signed, and when the vault
//!   accepted it.
//! - Whoever has a machine with an open key file has the root. So everything that the vault served while the machine was let
//!   in counts as readable, and later records only in so far as their sealed bytes are had some other way.

use crate::{Client, Result};
use shosoin_protocol::act::{ActKind, Document};
use shosoin_protocol::entry::Body;
use shosoin_protocol::{DeviceId, VersionId};
use std::collections::BTreeSet;

/// Records, and their sealed bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Records {
    /// how many
    pub records: u64,
    /// sealed bytes
    pub stored_bytes: u64,
}

impl Records {
    fn add(&mut self, stored_bytes: u64) {
        self.records += 1;
        self.stored_bytes += stored_bytes;
    }
}

/// What a device signed and could read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exposure {
    /// leaves of the ledger that were read
    pub leaves: u64,
    /// entries of the device: how many, and when the first and the last were accepted
    pub entries: u64,
    /// milliseconds since 1970
    pub first_ms: Option<u64>,
    /// milliseconds since 1970
    pub last_ms: Option<u64>,
    /// when it was revoked, in milliseconds since 1970; none while it is let in
    pub revoked_ms: Option<u64>,
    /// entries that it signed since the moment that was asked about: whoever had it then signed them
    pub entries_since: u64,
    /// versions that it deposited since then, at most a thousand of them
    pub deposits_since: Vec<VersionId>,
    /// stored before it was revoked: what it could read
    pub readable: Records,
    /// of those, sealed anew since it was revoked, and the older version out of use
    pub resealed: Records,
    /// stored since it was revoked: it was never served to it
    pub later: Records,
    /// epochs that began since it was revoked
    pub epochs_since: Vec<u32>,
}

/// Deposits that are named.
const NAMED_MAX: usize = 1000;

impl Client {
    /// Reads the whole ledger for what `device` signed and could read; `since_ms` is when it was last surely in good hands.
    pub async fn exposure(&self, device: DeviceId, since_ms: u64) -> Result<Exposure> {
        let mut exposure = Exposure::default();
        let mut deposits: Vec<(VersionId, u64, u64)> = Vec::new();
        let leaves = self
            .walk(&mut |_, item| {
                let (entry, accepted_ms) = (&item.placed.entry, item.placed.accepted_ms);
                if entry.statement().device == device {
                    exposure.signed(entry.body(), accepted_ms, since_ms);
                }
                match entry.body() {
                    Body::Device(change) if change.key.device_id() == device && !change.enrol => {
                        exposure.revoked_ms = Some(accepted_ms);
                    }
                    Body::Deposit(deposit) if !item.attachment.is_empty() => {
                        deposits.push((deposit.version, accepted_ms, deposit.stored_bytes));
                    }
                    _ => {}
                }
                Ok(())
            })
            .await?;
        exposure.leaves = leaves;
        let until_ms = exposure.revoked_ms.unwrap_or(u64::MAX);
        let resealed = self.resealed_since(until_ms)?;
        for (version, accepted_ms, stored_bytes) in deposits {
            match accepted_ms <= until_ms {
                true => exposure.readable.add(stored_bytes),
                false => exposure.later.add(stored_bytes),
            }
            if resealed.contains(&version) {
                exposure.resealed.add(stored_bytes);
            }
        }
        let epochs = self.acts(&[ActKind::Epoch])?.into_iter().filter(|act| act.accepted_ms >= until_ms);
        exposure.epochs_since = epochs
            .filter_map(|act| match act.document {
                Document::Epoch(epoch) => Some(epoch.number),
                _ => None,
            })
            .collect();
        Ok(exposure)
    }

    /// Older versions that acts since then name as sealed anew.
    fn resealed_since(&self, since_ms: u64) -> Result<BTreeSet<VersionId>> {
        let acts = self.acts(&[ActKind::Reseal])?.into_iter().filter(|act| act.accepted_ms >= since_ms);
        let olds = acts.flat_map(|act| match act.document {
            Document::Reseal(reseal) => reseal.pairs().iter().map(|(old, _)| *old).collect(),
            _ => Vec::new(),
        });
        Ok(olds.collect())
    }
}

impl Exposure {
    fn signed(&mut self, body: &Body, accepted_ms: u64, since_ms: u64) {
        self.entries += 1;
        self.first_ms = self.first_ms.or(Some(accepted_ms));
        self.last_ms = Some(accepted_ms);
        if accepted_ms < since_ms {
            return;
        }
        self.entries_since += 1;
        if let Body::Deposit(deposit) = body
            && self.deposits_since.len() < NAMED_MAX
        {
            self.deposits_since.push(deposit.version);
        }
    }
}
