//! Holds: the hospital, or a court through it, forbids any end of a record's life until the hold is released.

use super::{Versions, codes};
use crate::codec::{Reader, Writer};
use crate::limits::HOLD_NOTE_BYTES_MAX;
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

/// One version (the act's subject), the versions listed, or everything the hospital has and will have is on hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// why
    pub reason: HoldReason,
    /// the versions; none beside a subject, and none where it is on everything
    pub versions: Versions,
    /// the hospital's own reference, as of a case, sealed by it; empty: none
    pub note: Vec<u8>,
}

/// A hold ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// id of the act that set it
    pub hold: VersionId,
}

impl Hold {
    /// A hold of the act's subject, or of everything where it has none.
    pub fn whole(reason: HoldReason) -> Self {
        Hold { reason, versions: Versions::default(), note: Vec::new() }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.reason.code()).zeros(7);
        self.versions.write(out);
        out.var(&self.note);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let reason = HoldReason::from_code(reader.u8("reason of the hold")?)?;
        reader.zeros(7, "reserved bytes of the hold")?;
        let versions = Versions::read(reader)?;
        Ok(Hold { reason, versions, note: reader.var(HOLD_NOTE_BYTES_MAX, "note of the hold")?.to_vec() })
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
