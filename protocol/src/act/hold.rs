//! Holds: the hospital, or a court through it, forbids any end of a record's life until the hold is released.

use super::codes;
use crate::codec::{Reader, Writer};
use crate::{Result, VersionId};

codes! {
    /// Why a hold was set.
    HoldReason, "reason of a hold" {
        /// a court case, or one to be expected
        Litigation = 1 "litigation",
        /// an authority looks into something
        Investigation = 2 "investigation",
        /// the patient asked for it
        PatientRequest = 3 "patient-request",
        /// an audit under way
        Audit = 4 "audit",
        /// an S3 client set it
        ObjectLock = 5 "object-lock",
        /// a reason that the hospital keeps in its own files
        Other = 6 "other",
    }
}

/// A version, or everything the hospital has, is on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// why
    pub reason: HoldReason,
}

/// A hold ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// id of the act that set it
    pub hold: VersionId,
}

impl Hold {
    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.reason.code()).zeros(7);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let reason = HoldReason::from_code(reader.u8("reason of the hold")?)?;
        reader.zeros(7, "reserved bytes of the hold")?;
        Ok(Hold { reason })
    }
}

impl Release {
    pub(super) fn write(&self, out: &mut Writer) {
        out.put(&self.hold.0);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Release { hold: VersionId::read(reader)? })
    }
}
