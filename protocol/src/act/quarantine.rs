//! Quarantine on the record: what was set aside because something was wrong with it, and what became of the evidence
//! (guideline 3.4-R6, 3.4-R7, T6).

use super::codes;
use crate::codec::{Reader, Writer};
use crate::{Digest, Result, VersionId};

codes! {
    /// Why something was set aside.
    QuarantineReason, "reason of quarantine" {
        /// its malware report does not verify, or is of something else
        Report = 1 "malware-report",
        /// its malware report says that it is infected
        Infected = 2 "infected",
        /// it is not signed by the device that it names
        Signature = 3 "signature",
        /// its bytes are not those of the address it came under
        Digest = 4 "digest",
        /// it is of another hospital, or meant for another log
        Misdirected = 5 "misdirected",
    }

    /// What was set aside.
    QuarantinedThing, "thing in quarantine" {
        /// a deposit: its entry, the records that came along and those that were held for it
        Deposit = 1 "deposit",
        /// a chunk, or a page of a manifest, that was sent before its deposit
        Chunk = 2 "chunk",
    }

    /// What became of it.
    QuarantineOutcome, "outcome of quarantine" {
        /// it was handed out as the hospital decided, and is kept here no longer
        HandedOut = 1 "handed-out",
        /// it was destroyed as the hospital decided
        Destroyed = 2 "destroyed",
    }
}

/// Something was set aside; the id of the act is its number in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantineIn {
    /// why
    pub reason: QuarantineReason,
    /// what
    pub thing: QuarantinedThing,
    /// the version that its entry names; none: a chunk, or an entry about no version
    pub version: Option<VersionId>,
    /// when, in milliseconds since 1970
    pub taken_ms: u64,
    /// until when people must have decided, in milliseconds since 1970
    pub until_ms: u64,
    /// records that are kept
    pub records: u32,
    /// records that belong to it and are not kept: there was no room for them
    pub left_out: u32,
    /// bytes that are kept
    pub bytes: u64,
    /// SHA-256 of the head of the evidence, which names the records in it
    pub evidence: Digest,
}

/// The evidence left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantineOut {
    /// id of the act by which it came in
    pub quarantined: VersionId,
    /// what became of it
    pub outcome: QuarantineOutcome,
    /// whether the evidence was still what it was when it came in
    pub intact: bool,
    /// number of the request that two people agreed to
    pub request: u64,
}

impl QuarantineIn {
    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.reason.code()).u8(self.thing.code()).zeros(6);
        out.put(&self.version.map_or([0; 16], |version| version.0)).u64(self.taken_ms).u64(self.until_ms);
        out.u32(self.records).u32(self.left_out).u64(self.bytes).put(&self.evidence.0);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let reason = QuarantineReason::from_code(reader.u8("reason of quarantine")?)?;
        let thing = QuarantinedThing::from_code(reader.u8("thing in quarantine")?)?;
        reader.zeros(6, "reserved bytes of quarantine")?;
        let version = Some(VersionId::read(reader)?).filter(|version| version.0 != [0; 16]);
        let (taken_ms, until_ms) = (reader.u64("time of quarantine")?, reader.u64("term of quarantine")?);
        let (records, left_out) = (reader.u32("records in quarantine")?, reader.u32("records left out")?);
        let (bytes, evidence) = (reader.u64("bytes in quarantine")?, Digest::read(reader)?);
        Ok(QuarantineIn { reason, thing, version, taken_ms, until_ms, records, left_out, bytes, evidence })
    }
}

impl QuarantineOut {
    pub(super) fn write(&self, out: &mut Writer) {
        out.put(&self.quarantined.0).u8(self.outcome.code()).u8(self.intact.into()).zeros(6).u64(self.request);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let quarantined = VersionId::read(reader)?;
        let outcome = QuarantineOutcome::from_code(reader.u8("outcome of quarantine")?)?;
        let intact = match reader.u8("intact evidence")? {
            0 => false,
            1 => true,
            _ => return Err(crate::Error::Invalid { what: "intact evidence", why: "it is or it is not" }),
        };
        reader.zeros(6, "reserved bytes of quarantine")?;
        Ok(QuarantineOut { quarantined, outcome, intact, request: reader.u64("request of quarantine")? })
    }
}
