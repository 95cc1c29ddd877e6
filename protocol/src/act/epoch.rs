//! Epochs: from an act of this kind on, data keys are wrapped under another key. Wraps of earlier epochs stay readable.
//!
//! - Epochs are numbered without a gap. The first one, 1, begins with the ledger and has no act.
//! - The commitment fixes the key without telling it: a machine that derives another one notices before it wraps anything.

use super::codes;
use crate::codec::{Reader, Writer};
use crate::{Digest, Error, Result};

codes! {
    /// Why a new epoch begins.
    EpochReason, "reason of an epoch" {
        /// the hospital's rules say how long a key is used
        Schedule = 1 "schedule",
        /// a machine was lost or stolen
        DeviceLost = 2 "device-lost",
        /// somebody who knew secrets left
        PersonLeft = 3 "person-left",
        /// keys may have leaked
        LeakSuspected = 4 "leak-suspected",
        /// keys have leaked
        LeakKnown = 5 "leak-known",
        /// an exercise
        Drill = 6 "drill",
    }

    /// Where the key of an epoch comes from.
    KeySource, "source of an epoch's key" {
        /// derived from the root, as those before
        Root = 1 "root",
    }

    /// What keeps the root on the machine that began the epoch.
    Custody, "custody of the root" {
        /// a key file under a passphrase
        Passphrase = 1 "passphrase",
        /// a key file that a token must open, besides the passphrase
        Token = 2 "token",
    }
}

/// A new epoch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch {
    /// its number: one more than the newest before
    pub number: u32,
    /// why
    pub reason: EpochReason,
    /// where its key comes from
    pub source: KeySource,
    /// what keeps the root
    pub custody: Custody,
    /// commitment to its key-encryption key
    pub commit: Digest,
}

impl Epoch {
    /// The epoch that a ledger begins with.
    pub const FIRST: u32 = 1;

    pub(super) fn write(&self, out: &mut Writer) {
        out.u32(self.number).u8(self.reason.code()).u8(self.source.code()).u8(self.custody.code()).zeros(1);
        out.put(&self.commit.0);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let number = reader.u32("number of the epoch")?;
        if number <= Epoch::FIRST {
            return Err(Error::Invalid { what: "number of the epoch", why: "the first one begins without an act" });
        }
        let reason = EpochReason::from_code(reader.u8("reason of the epoch")?)?;
        let source = KeySource::from_code(reader.u8("source of the epoch's key")?)?;
        let custody = Custody::from_code(reader.u8("custody of the root")?)?;
        reader.zeros(1, "reserved byte of the epoch")?;
        Ok(Epoch { number, reason, source, custody, commit: Digest::read(reader)? })
    }
}
