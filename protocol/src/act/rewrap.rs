//! New wraps of data keys: which version has which, many at a time. Bodies stay as they are.
//!
//! - Versions are ascending and there once, so a document has one form.
//! - Of all wraps of a version that ledger and deposits name, the one of the newest epoch counts, and among those the one
//!   named last. So a wrap of an older epoch never takes the place of a newer one.

use super::Epoch;
use crate::codec::{Reader, Writer};
use crate::limits::REWRAP_MAX;
use crate::{Address, Error, Result, VersionId};

/// Versions whose data keys were wrapped anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrap {
    epoch: u32,
    wraps: Vec<(VersionId, Address)>,
}

impl Rewrap {
    /// New wraps under the key of `epoch`, in any order. Refuses none, too many, and two for one version.
    pub fn new(epoch: u32, mut wraps: Vec<(VersionId, Address)>) -> Result<Self> {
        wraps.sort_unstable();
        Rewrap { epoch, wraps }.checked()
    }

    /// Epoch of all its wraps.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Each version with the address of its new wrap, ascending.
    pub fn wraps(&self) -> &[(VersionId, Address)] {
        &self.wraps
    }

    fn checked(self) -> Result<Self> {
        if self.epoch < Epoch::FIRST {
            return Err(Error::Invalid { what: "epoch of the wraps", why: "there is none before the first" });
        }
        if self.wraps.is_empty() {
            return Err(Error::Invalid { what: "wraps of the act", why: "there are none" });
        }
        if self.wraps.len() > REWRAP_MAX {
            let (found, limit) = (self.wraps.len() as u64, REWRAP_MAX as u64);
            return Err(Error::OverLimit { what: "wraps of the act", found, limit });
        }
        match self.wraps.is_sorted_by(|one, next| one.0 < next.0) {
            true => Ok(self),
            false => {
                Err(Error::Invalid { what: "wraps of the act", why: "versions must be ascending, and there once" })
            }
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u32(self.epoch).count(self.wraps.len());
        for (version, wrap) in &self.wraps {
            out.put(&version.0).put(&wrap.0);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let epoch = reader.u32("epoch of the wraps")?;
        let count = reader.count(REWRAP_MAX, "wraps of the act")?;
        let mut wraps = Vec::with_capacity(count);
        for _ in 0..count {
            wraps.push((VersionId::read(reader)?, Address::read(reader)?));
        }
        Rewrap { epoch, wraps }.checked()
    }
}
