//! What this device signed itself, as the ledger and its own state have it: where its chain stands, and what is on media on the way.
//!
//! Invariants
//! - Nothing more is signed behind an entry of this device that was not signed here, until a person has compared the head.

use super::{Ledger, OWN_ENTRIES_KEPT};
use crate::signed::Signed;
use crate::task::blocking;
use crate::view::row::Chain;
use crate::{Error, Result, ahead};
use shosoin_protocol::Digest;
use shosoin_protocol::entry::{Entry, Seen};
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Ledger {
    /// Where this device's chain stands, and the head it has seen, as its next entry must say.
    pub async fn standing(&self) -> Result<(Chain, Seen)> {
        let position = self.position.lock().await;
        let seen = Seen { size: position.frontier.size(), root: position.frontier.root() };
        let chain = self.view.chain(self.identity.keyring.device_id())?;
        let mut ahead = self.ahead.lock();
        match *ahead {
            Some(packed) if packed.next_seq > chain.next_seq => Ok((packed, seen)),
            Some(_) => {
                *ahead = None;
                ahead::forget(self.keeper.state_dir())?;
                Ok((chain, seen))
            }
            None => Ok((chain, seen)),
        }
    }

    /// Whether entries of this device are on media that the vault has not taken in, as far as is known.
    pub fn is_ahead(&self) -> bool {
        self.ahead.lock().is_some()
    }

    /// This entry of this device, and those before it, are on a medium: the next one follows it.
    pub fn packed(&self, last: &Entry) -> Result<()> {
        let chain = Chain { next_seq: last.statement().device_seq + 1, prev: last.leaf_hash() };
        let mut ahead = self.ahead.lock();
        ahead::save(self.keeper.state_dir(), &chain)?;
        *ahead = Some(chain);
        Ok(())
    }

    /// What was packed never arrived.
    pub fn forget_packed(&self) -> Result<()> {
        let mut ahead = self.ahead.lock();
        ahead::forget(self.keeper.state_dir())?;
        *ahead = None;
        Ok(())
    }

    /// [`standing`](Self::standing), if the newest entry of this device is one that was signed here: before anything more is.
    pub async fn own_standing(&self) -> Result<(Chain, Seen)> {
        let standing = self.standing().await?;
        let chain = self.told_chain()?;
        match self.signed.is_own(&chain) {
            true => Ok(standing),
            false => Err(self.unconfirmed(&chain)),
        }
    }

    /// Where the ledger has the chain of this device, whatever of it is on media that have not arrived.
    pub fn told_chain(&self) -> Result<Chain> {
        self.view.chain(self.identity.keyring.device_id())
    }

    /// What this device signed, as this state knows it.
    pub fn signed(&self) -> &Arc<Signed> {
        &self.signed
    }

    pub(super) fn unconfirmed(&self, chain: &Chain) -> Error {
        let device = self.identity.keyring.device_id();
        Error::Unconfirmed { device, known: self.signed.known_entries(), found: chain.next_seq }
    }

    /// Says so, once, when the ledger has an entry of this device that was not signed here.
    pub fn watch_for_copies(&self) -> Result<()> {
        let chain = self.told_chain()?;
        if self.signed.is_anothers(&chain) && !self.alarmed.swap(true, Ordering::SeqCst) {
            let error = self.unconfirmed(&chain);
            tracing::error!(error = &error as &dyn std::error::Error, "ALARM: this gateway is read-only");
        }
        Ok(())
    }

    /// Goes on signing behind whatever the ledger has of this device. A person has compared the head.
    pub async fn adopt(&self) -> Result<Chain> {
        let position = self.position.lock().await;
        let chain = self.view.chain(self.identity.keyring.device_id())?;
        let signed = self.signed.clone();
        blocking("noting what is signed", move || signed.adopt(chain)).await?;
        drop(position);
        self.alarmed.store(false, Ordering::SeqCst);
        Ok(chain)
    }

    /// Leaf index of a recent entry of this device, if the ledger holds exactly this one.
    pub fn own_entry(&self, device_seq: u64, leaf: &Digest) -> Option<u64> {
        let own = self.own.lock();
        own.iter().find(|(seq, known, _)| *seq == device_seq && known == leaf).map(|(_, _, index)| *index)
    }

    pub(super) fn remember_own(&self, entries: Vec<(u64, Digest, u64)>) {
        let mut own = self.own.lock();
        own.extend(entries);
        let surplus = own.len().saturating_sub(OWN_ENTRIES_KEPT);
        own.drain(..surplus);
    }
}
