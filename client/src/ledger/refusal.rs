//! What is refused of heads, entries and receipts, and the evidence that is kept of it where the vault signed what does not hold.
//!
//! Invariants
//! - Evidence is on disk before the refusal is returned.
//! - What is only suspicious is kept and logged, and refuses nothing.

use super::{FORKED, Head, Ledger};
use crate::accuse::{self, Accusation};
use crate::retry::repeat;
use crate::{Error, Result, evidence};
use shosoin_protocol::Digest;
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::Entry;
use shosoin_protocol::evidence::{Class, Part};
use shosoin_protocol::limits::CLOCK_AHEAD_MS_MAX;
use shosoin_protocol::merkle;
use shosoin_protocol::receipt::Receipt;
use std::path::PathBuf;

impl Ledger {
    /// A larger ledger that was signed earlier. Order comes from the log, so nothing is refused; but it is the vault's own
    /// word against itself, and kept.
    pub(super) async fn watch_time(&self, remembered: &Head, offered: &Head) {
        let (before, now) = (remembered.checkpoint().time_ms, offered.checkpoint().time_ms);
        if remembered.size() < offered.size() && now.saturating_add(CLOCK_AHEAD_MS_MAX) < before {
            let parts = vec![Part::Remembered(remembered.text().to_owned()), Part::Head(offered.text().to_owned())];
            let evidence = self.keep(Class::Time, parts).await;
            tracing::error!(before, now, ?evidence, "the vault signed a larger ledger at an earlier time");
        }
    }

    /// Receipts for entries that were accepted, by the vault's own word, after their head was signed.
    pub(super) async fn watch_receipts(&self, receipts: &[Receipt]) {
        let after = |receipt: &&Receipt| {
            let head = Checkpoint::parse(&receipt.inclusion.checkpoint).ok();
            head.is_some_and(|(head, _)| {
                receipt.inclusion.accepted_ms > head.time_ms.saturating_add(CLOCK_AHEAD_MS_MAX)
            })
        };
        if let Some(receipt) = receipts.iter().find(after) {
            let evidence = self.keep(Class::Time, vec![Part::Receipt(receipt.encode())]).await;
            tracing::error!(?evidence, "the vault signed that it accepts entries in the future");
        }
    }

    /// The refusal of a head that contradicts the one remembered, once the evidence is on disk.
    pub(super) async fn refused(
        &self,
        why: &'static str,
        remembered: Head,
        offered: Head,
        proof: Vec<Digest>,
    ) -> Error {
        let (old, new) = (remembered.text().to_owned(), offered.text().to_owned());
        let (class, parts) = match why {
            FORKED => (Class::Fork, accuse::fork(&self.transport, &remembered, &offered, &proof).await),
            _ => (Class::Rollback, accuse::rollback(&self.identity, &self.transport, &remembered, &offered).await),
        };
        let evidence = self.keep(class, parts).await;
        Error::Head { why, remembered: old, offered: new, evidence }
    }

    /// Keeps evidence in the state folder; the file, if it proves anything.
    pub async fn keep(&self, class: Class, parts: Vec<Part>) -> Option<PathBuf> {
        evidence::keep(&self.identity, self.keeper.state_dir(), class, parts).await
    }

    /// The refusal of a receipt, with the receipt as evidence where the vault signed what does not hold.
    pub(super) async fn proved(&self, error: Error, receipt: Option<Receipt>) -> Error {
        let Some(receipt) = receipt else { return error };
        let kept = self.keep(Class::FalseReceipt, vec![Part::Receipt(receipt.encode())]).await;
        error.with_evidence(kept)
    }

    /// The refusal of an entry that may not be in the ledger under `offered`.
    pub(super) async fn accused(&self, error: Error, offered: &Head, accusation: Option<Accusation>) -> Error {
        let Some(accusation) = accusation else { return error };
        let Some(mut parts) = accuse::entry(&self.transport, offered, self.identity.log, accusation).await else {
            return error;
        };
        parts.extend(self.device_of(&parts).filter(|_| accusation.class == Class::Injection));
        let kept = self.keep(accusation.class, parts).await;
        error.with_evidence(kept)
    }

    /// The hospital's certificate for the device that an entry names, if the ledger has enrolled it.
    pub(super) fn device_of(&self, parts: &[Part]) -> Option<Part> {
        let bytes = parts.iter().find_map(|part| if let Part::Entry(bytes) = part { Some(bytes) } else { None })?;
        let device = Entry::decode(bytes).ok()?.statement().device;
        let own = Some(self.identity.keyring.device_key().public()).filter(|key| key.device_id() == device);
        let key = own.or_else(|| self.view.device(device).ok().flatten().map(|row| row.key))?;
        let certificate = evidence::certificate(&self.identity, &key);
        Some(Part::Device { key, certificate })
    }

    /// Refuses two heads of which the smaller is not a prefix of the larger.
    pub(super) async fn prove(&self, remembered: &Head, offered: &Head) -> Result<()> {
        let (old, new) = if offered.size() < remembered.size() { (offered, remembered) } else { (remembered, offered) };
        let trivial = old.size() == new.size() || old.size() == 0;
        let proof = match trivial {
            true => Vec::new(),
            false => repeat(|| self.transport.consistency(old.size(), new.size())).await?,
        };
        let (old, new) = (old.checkpoint(), new.checkpoint());
        match merkle::verify_consistency((old.size, &old.root), (new.size, &new.root), &proof) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.refused(FORKED, remembered.clone(), offered.clone(), proof).await),
        }
    }

    /// Says whose fault it is that entries do not lead to `offered`: the head's, if it does not continue the one
    /// remembered, or else that of the entries shown.
    pub(super) async fn blame(&self, offered: &Head) -> Error {
        if let Some(remembered) = self.head()
            && let Err(error) = self.prove(&remembered, offered).await
        {
            return error;
        }
        let why = format!("its entries do not lead to the head of {} leaves that it signed", offered.size());
        Error::Contradiction { operation: "entries of the ledger", why }
    }
}
