//! The head of the evidence in quarantine: what was set aside, as it came, and the addresses of its records, which follow it in
//! the same file. The ledger has the digest of the head, so nothing in the file can change unseen.
//!
//! Not here: what the ledger says of it ([`crate::act::QuarantineIn`]), and where the file is.

use crate::act::{QuarantineReason, QuarantinedThing};
use crate::codec::{Reader, Writer};
use crate::limits::{DEPOSIT_BYTES_MAX, EVIDENCE_RECORDS_MAX, RECORD_BYTES_MAX};
use crate::suite::sha256;
use crate::{Address, Digest, Error, HospitalId, RecordKind, Result, Suite, VersionId};

/// First bytes of a head.
pub const MAGIC: [u8; 4] = *b"shqe";
/// Version of its form.
pub const VERSION: u8 = 1;

/// One record of the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvidenceRecord {
    /// whether it came along; otherwise it was held already, for an upload that went on
    pub came_along: bool,
    /// as what it came
    pub kind: RecordKind,
    /// its length in bytes
    pub len: u32,
    /// of its bytes as they are, under the hospital's suite
    pub address: Address,
}

/// Everything but the bytes of the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceHead {
    /// why
    pub reason: QuarantineReason,
    /// what
    pub thing: QuarantinedThing,
    /// the hospital's
    pub suite: Suite,
    /// who sent it, as the connection said
    pub hospital: HospitalId,
    /// id of the act by which it came in
    pub id: VersionId,
    /// when, in milliseconds since 1970
    pub taken_ms: u64,
    /// records that belong to it and are not kept
    pub left_out: u32,
    /// the address under which a chunk came; zeros for a deposit
    pub claimed: Address,
    /// the entry of a deposit as it came; empty for a chunk
    pub entry: Vec<u8>,
    /// the records, in the order of the file
    pub records: Vec<EvidenceRecord>,
}

impl EvidenceHead {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(128 + self.entry.len() + 38 * self.records.len());
        out.put(&MAGIC).u8(VERSION).u8(self.reason.code()).u8(self.thing.code()).u8(self.suite.code());
        out.put(&self.hospital.0).put(&self.id.0).u64(self.taken_ms).u32(self.left_out).put(&self.claimed.0);
        out.var(&self.entry).count(self.records.len());
        for record in &self.records {
            out.u8(record.came_along.into()).u8(record.kind.code()).u32(record.len).put(&record.address.0);
        }
        out.finish()
    }

    /// Reads them.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "head of evidence");
        if reader.array::<4>("magic of evidence")? != MAGIC {
            return Err(Error::Magic { what: "head of evidence" });
        }
        match reader.u8("version of evidence")? {
            VERSION => {}
            found => return Err(Error::Version { what: "head of evidence", found, known: VERSION }),
        }
        let reason = QuarantineReason::from_code(reader.u8("reason of quarantine")?)?;
        let thing = QuarantinedThing::from_code(reader.u8("thing in quarantine")?)?;
        let suite = Suite::try_from(reader.u8("suite of evidence")?)?;
        let (hospital, id) = (HospitalId::read(&mut reader)?, VersionId::read(&mut reader)?);
        let (taken_ms, left_out) = (reader.u64("time of quarantine")?, reader.u32("records left out")?);
        let claimed = Address::read(&mut reader)?;
        let entry = reader.var(DEPOSIT_BYTES_MAX, "entry in evidence")?.to_vec();
        let count = reader.count(EVIDENCE_RECORDS_MAX, "records of evidence")?;
        let records = (0..count).map(|_| read_record(&mut reader)).collect::<Result<_>>()?;
        reader.finish()?;
        Ok(EvidenceHead { reason, thing, suite, hospital, id, taken_ms, left_out, claimed, entry, records })
    }

    /// By which the ledger names it.
    pub fn digest(&self) -> Digest {
        sha256(&[&self.encode()])
    }

    /// Bytes of its records.
    pub fn record_bytes(&self) -> u64 {
        self.records.iter().map(|record| u64::from(record.len)).sum()
    }
}

fn read_record(reader: &mut Reader<'_>) -> Result<EvidenceRecord> {
    let came_along = match reader.u8("origin of a record")? {
        0 => false,
        1 => true,
        _ => return Err(Error::Invalid { what: "origin of a record", why: "it came along or was held" }),
    };
    let kind = RecordKind::try_from(reader.u8("record kind")?)?;
    let len = reader.u32("length of a record")?;
    if len as usize > RECORD_BYTES_MAX.max(DEPOSIT_BYTES_MAX) {
        let limit = RECORD_BYTES_MAX.max(DEPOSIT_BYTES_MAX) as u64;
        return Err(Error::OverLimit { what: "record of evidence", found: len.into(), limit });
    }
    Ok(EvidenceRecord { came_along, kind, len, address: Address::read(reader)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_and_any_cut_or_longer_one_is_refused() {
        let record = EvidenceRecord { came_along: true, kind: RecordKind::Wrap, len: 7, address: Address([1; 32]) };
        let held = EvidenceRecord { came_along: false, kind: RecordKind::Chunk, len: 9, address: Address([2; 32]) };
        let head = EvidenceHead {
            reason: QuarantineReason::Infected,
            thing: QuarantinedThing::Deposit,
            suite: Suite::Cryptrec,
            hospital: HospitalId([3; 16]),
            id: VersionId([4; 16]),
            taken_ms: 5,
            left_out: 6,
            claimed: Address([0; 32]),
            entry: vec![7; 300],
            records: vec![record, held],
        };
        let bytes = head.encode();
        assert_eq!(EvidenceHead::decode(&bytes).ok().as_ref(), Some(&head));
        assert_eq!(head.record_bytes(), 16);
        assert!((0..bytes.len()).all(|len| EvidenceHead::decode(&bytes[..len]).is_err()));
        assert!(EvidenceHead::decode(&[&bytes[..], &[0]].concat()).is_err());
    }
}
