//! Epochs of the hospital's ledger: which one wraps are made under, and beginning the next.
//!
//! - A new epoch is durable in the ledger before any wrap is made under it.
//! - Every machine learns of it from the ledger; what it needs besides is derived from the root.
//! - A wrap is made only under a key that the act of its epoch commits to.

use crate::{Client, Error, Result};
use shosoin_protocol::act::{Custody, Document, Epoch, EpochReason, KeySource};
use shosoin_protocol::api::code;

/// An epoch that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// its number
    pub epoch: u32,
    /// the one before
    pub previous: u32,
    /// place of its act in the ledger
    pub leaf_index: u64,
}

impl Client {
    /// The newest epoch of the ledger, as far as it is verified and applied.
    pub fn epoch(&self) -> Result<u32> {
        Ok(self.newest_epoch()?.map_or(Epoch::FIRST, |epoch| epoch.number))
    }

    fn newest_epoch(&self) -> Result<Option<Epoch>> {
        self.inner.view.epoch().map(|row| match row.map(|row| row.document) {
            Some(Document::Epoch(epoch)) => Some(epoch),
            _ => None,
        })
    }

    /// The epoch that wraps are made under now. Refuses one whose key this key file does not have.
    pub(crate) fn wrapping_epoch(&self) -> Result<u32> {
        match self.newest_epoch()? {
            None => Ok(Epoch::FIRST),
            Some(epoch) if self.inner.keyring.has_epoch(&epoch) => Ok(epoch.number),
            Some(epoch) => Err(Error::EpochKey { epoch: epoch.number }),
        }
    }

    /// Begins the next epoch; durable in the ledger on return. Where another machine begins one at the same moment, one of the
    /// two is refused.
    pub async fn rotate(&self, reason: EpochReason, custody: Custody) -> Result<Begun> {
        self.refresh().await?;
        let previous = self.wrapping_epoch()?;
        let number = previous.checked_add(1).ok_or(Error::Invalid { what: "epoch", why: "no number is left" })?;
        let (source, commit) = (KeySource::Root, self.inner.keyring.epoch_commit(number));
        let stated = self.state(None, Document::Epoch(Epoch { number, reason, source, custody, commit })).await;
        match stated {
            Ok(stated) => Ok(Begun { epoch: number, previous, leaf_index: stated.leaf_index }),
            Err(error) if error.is_problem(code::EPOCH_ORDER) => {
                self.refresh().await?;
                Err(Error::EpochTaken { epoch: self.epoch()? })
            }
            Err(error) => Err(error),
        }
    }
}
