//! Certificates of disposal: the operator's signed word of what became of every copy of records that were ended, with the proof
//! that it was ordered, approved and put on the record. Verified offline, by anyone, years later.
//!
//! Invariants
//! - Every entry in it is proved under one signed head of the hospital's ledger, and every signature can be checked from what is
//!   inside and two keys: the vault's and the hospital's.
//! - A copy whose bytes may still be somewhere is pending, and named. Nothing here says more than was seen.
//! - It names no patient and no record but by ids and digests.
//!
//! Source: guideline 7.5.4-M4 (device type, control number, worker, time, work done), 6.1-R8, 7.8-M3, 8.2-R3.

use crate::act::{Act, ActKind, DisposalStep, Disposed, Document, Order, codes};
use crate::approval::{Approval, ApprovedOrder};
use crate::checkpoint::Checkpoint;
use crate::codec::{Reader, Writer};
use crate::entry::{Body, Entry};
use crate::limits::*;
use crate::receipt::{read_proof, write_proof};
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::{
    DeviceId, Digest, Error, HospitalId, LogId, Result, SegmentId, Suite, VaultId, VersionId, VolumeId, merkle,
};

/// First bytes of every certificate.
pub const MAGIC: [u8; 4] = *b"shcd";
/// Version of the format.
pub const VERSION: u8 = 1;
/// Approvals by distinct people that a disposal needs.
pub const APPROVALS_MIN: usize = 2;

codes! {
    /// What became of one copy.
    CopyState, "state of a copy" {
        /// overwritten where it lay, read back, removed
        Erased = 1 "erased",
        /// removed; its medium does not overwrite in place, so its bytes may still be on it
        Removed = 2 "removed",
        /// still there: its medium is on a shelf, away, or takes no writes
        There = 3 "there",
        /// its medium was securely erased as a whole
        Sanitised = 4 "sanitised",
        /// its medium was destroyed
        Destroyed = 5 "destroyed",
        /// its medium is lost, and nobody knows where its bytes are
        Lost = 6 "lost",
    }

    /// What is known against taking an erasure for complete.
    Caveat, "caveat of a copy" {
        /// nothing
        None = 0 "none",
        /// flash keeps cells that were remapped, until the medium is securely erased or destroyed
        Flash = 1 "flash",
        /// the agreement has its medium destroyed, and that was not done yet
        ToDestroy = 2 "to-destroy",
    }
}

impl CopyState {
    /// Whether bytes of a copy may still be somewhere.
    fn is_pending(self) -> bool {
        matches!(self, CopyState::Removed | CopyState::There | CopyState::Lost)
    }
}

/// One copy of a part of a segment that held what was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFacts {
    /// segment
    pub segment: SegmentId,
    /// which part of it
    pub shard: u8,
    /// on which volume
    pub volume: VolumeId,
    /// what became of it
    pub state: CopyState,
    /// times it was overwritten
    pub passes: u8,
    /// what is known against it
    pub caveat: Caveat,
    /// bytes
    pub bytes: u64,
    /// when, in milliseconds since 1970
    pub at_ms: u64,
    /// number of the audit record that says so
    pub audit: u64,
    /// who did it
    pub worker: String,
}

impl CopyFacts {
    /// Whether its bytes may still be somewhere, or what was agreed on was not done.
    pub fn is_pending(&self) -> bool {
        self.state.is_pending() || self.caveat == Caveat::ToDestroy
    }
}

/// One medium, as its label has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediumFacts {
    /// id on its label: its control number
    pub volume: VolumeId,
    /// kind of device, as in `hdd`
    pub class: String,
    /// maker
    pub vendor: String,
    /// model
    pub model: String,
    /// serial number
    pub serial: String,
}

/// An entry with its place and the proof of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvedEntry {
    /// place
    pub index: u64,
    /// the vault's clock when it was accepted, in milliseconds since 1970
    pub accepted_ms: u64,
    /// the entry
    pub entry: Vec<u8>,
    /// proof that it is under the head
    pub proof: Vec<Digest>,
}

/// How much ended, and what was seen on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedFacts {
    /// entries whose records ended
    pub entries: u64,
    /// records that ended
    pub records: u64,
    /// their bytes
    pub bytes: u64,
    /// records that these entries name and that stay, because others that live name them too
    pub shared: u64,
    /// records that were read again, whole, before anything was removed
    pub verified: u64,
    /// records that were not: on a shelf, or damaged
    pub unverified: u64,
    /// the first removal, in milliseconds since 1970
    pub began_ms: u64,
    /// the newest one
    pub ended_ms: u64,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// whose word it is
    pub vault: VaultId,
    /// to whom
    pub hospital: HospitalId,
    /// key of the vault
    pub vault_key: PublicKey,
    /// which certificate for this order, from 1
    pub serial: u32,
    /// when, in milliseconds since 1970
    pub issued_ms: u64,
    /// signed head
    pub checkpoint: String,
    /// the order
    pub ordered: ProvedEntry,
    /// document of the order
    pub order_document: Vec<u8>,
    /// entry by which the device joined that signed it
    pub device: ProvedEntry,
    /// the act by which the end began
    pub begun: ProvedEntry,
    /// document of that act
    pub begun_document: Vec<u8>,
    /// how much
    pub ended: EndedFacts,
    /// every copy
    pub copies: Vec<CopyFacts>,
    /// the media these are on
    pub media: Vec<MediumFacts>,
    /// media from which earlier copies of this hospital's segments were removed without being overwritten, and that were not
    /// erased or destroyed since: remains may be on them
    pub earlier: Vec<VolumeId>,
}

/// A certificate whose every claim that can be checked was.
#[derive(Debug, Clone)]
pub struct VerifiedCertificate {
    /// what it says
    pub certificate: Certificate,
    /// the order's act
    pub order_id: VersionId,
    /// the order
    pub order: Order,
    /// who agreed
    pub approvals: Vec<Approval>,
    /// whether the hospital's key was known, so that the device behind the order is the hospital's for certain
    pub hospital_key_checked: bool,
}

impl Certificate {
    /// Copies whose bytes may still be somewhere.
    pub fn pending(&self) -> u64 {
        self.copies.iter().filter(|copy| copy.is_pending()).count() as u64
    }

    /// Whether every copy is gone, and nothing is known against that.
    pub fn is_complete(&self) -> bool {
        self.pending() == 0 && self.earlier.is_empty() && self.copies.iter().all(|copy| copy.caveat == Caveat::None)
    }

    /// The signed bytes of the file.
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let mut bytes = self.fields();
        bytes.extend_from_slice(&key.sign(Domain::Certificate, &bytes).0);
        bytes
    }

    fn fields(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(1024 + 128 * self.copies.len());
        out.put(&MAGIC).u8(VERSION).u8(self.vault_key.suite().code()).zeros(2);
        out.put(&self.vault.0).put(&self.hospital.0);
        self.vault_key.write(&mut out);
        out.u32(self.serial).u64(self.issued_ms).var(self.checkpoint.as_bytes());
        write_proved(&mut out, &self.ordered);
        out.var(&self.order_document);
        write_proved(&mut out, &self.device);
        write_proved(&mut out, &self.begun);
        out.var(&self.begun_document);
        let EndedFacts { entries, records, bytes, shared, verified, unverified, began_ms, ended_ms } = self.ended;
        for figure in [entries, records, bytes, shared, verified, unverified, began_ms, ended_ms] {
            out.u64(figure);
        }
        out.count(self.copies.len());
        for copy in &self.copies {
            out.put(&copy.segment.0).put(&copy.volume.0).u8(copy.shard).u8(copy.state.code()).u8(copy.passes);
            out.u8(copy.caveat.code()).u64(copy.bytes).u64(copy.at_ms).u64(copy.audit).var(copy.worker.as_bytes());
        }
        out.count(self.media.len());
        for medium in &self.media {
            out.put(&medium.volume.0);
            for text in [&medium.class, &medium.vendor, &medium.model, &medium.serial] {
                out.var(text.as_bytes());
            }
        }
        out.count(self.earlier.len());
        self.earlier.iter().for_each(|volume| volume.write(&mut out));
        out.finish()
    }

    /// Reads a certificate without believing it; gives its signature too.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Signature)> {
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            let (found, limit) = (bytes.len() as u64, CERTIFICATE_BYTES_MAX as u64);
            return Err(Error::OverLimit { what: "certificate", found, limit });
        }
        let mut reader = Reader::new(bytes, "certificate");
        if reader.array::<4>("certificate magic")? != MAGIC {
            return Err(Error::Magic { what: "certificate" });
        }
        match reader.u8("certificate version")? {
            VERSION => {}
            found => return Err(Error::Version { what: "certificate", found, known: VERSION }),
        }
        let suite = Suite::try_from(reader.u8("suite")?)?;
        reader.zeros(2, "reserved bytes of the certificate")?;
        let certificate = read_fields(&mut reader)?;
        if certificate.vault_key.suite() != suite {
            return Err(Error::Suite { found: suite.code(), expected: "the suite of the vault's key" });
        }
        let signature = Signature::read(&mut reader)?;
        reader.finish().map(|()| (certificate, signature))
    }

    /// Verifies everything that bytes alone can show. `vault_key` is the key that the vault is known by; without it the one inside
    /// is taken, and its fingerprint must be compared. `hospital_key` shows that the device behind the order is the hospital's.
    pub fn verify(
        bytes: &[u8],
        vault_key: Option<&PublicKey>,
        hospital_key: Option<&PublicKey>,
    ) -> Result<VerifiedCertificate> {
        let (certificate, signature) = Certificate::decode(bytes)?;
        let wrong = |why| Error::Invalid { what: "certificate", why };
        if vault_key.is_some_and(|known| *known != certificate.vault_key) {
            return Err(wrong("it is of another vault than the one that is known"));
        }
        let key = &certificate.vault_key;
        key.verify(Domain::Certificate, &certificate.fields(), &signature)?;
        let head = Checkpoint::verify(&certificate.checkpoint, key)?;
        if (head.vault, head.hospital) != (certificate.vault, certificate.hospital) {
            return Err(wrong("its head is of another ledger"));
        }
        let log = LogId::of(certificate.vault, certificate.hospital);
        let proved = |proved: &ProvedEntry| {
            let entry = Entry::decode(&proved.entry)?;
            entry.expect(log, certificate.hospital)?;
            merkle::verify_inclusion(&entry.leaf_hash(), proved.index, head.size, &proved.proof, &head.root)?;
            Ok::<_, Error>(entry)
        };
        let (ordered, device) = (proved(&certificate.ordered)?, proved(&certificate.device)?);
        let device_key = match device.body() {
            Body::Device(change) if change.enrol && change.key.device_id() == ordered.statement().device => {
                if let Some(hospital_key) = hospital_key {
                    change.verify(log, hospital_key)?;
                }
                &change.key
            }
            _ => return Err(wrong("the device behind the order is not the one that joined")),
        };
        ordered.verify(device_key)?;
        let (order_id, order) = ordered_by(&ordered, &certificate.order_document)?;
        order.verify(log, order_id)?;
        let begun = proved(&certificate.begun)?;
        if begun.statement().device != key.device_id() {
            return Err(wrong("the act by which the end began is not the vault's"));
        }
        begun.verify(key)?;
        let approved = ApprovedOrder {
            log,
            order: order_id,
            leaf: ordered.leaf_hash(),
            document: ordered.statement().suite.address(&certificate.order_document),
        };
        let approvals = begun_by(&begun, &certificate.begun_document, &approved)?;
        check_approvals(&approved, &order, &approvals)?;
        let hospital_key_checked = hospital_key.is_some();
        Ok(VerifiedCertificate { order_id, order, approvals, hospital_key_checked, certificate })
    }
}

/// The order that an entry states, with this document.
fn ordered_by(entry: &Entry, document: &[u8]) -> Result<(VersionId, Order)> {
    let wrong = |why| Error::Invalid { what: "certificate", why };
    let act = act_of(entry, ActKind::DisposalOrder, document)?;
    match Document::decode(act.kind, document)? {
        Document::DisposalOrder(order) => Ok((act.id, order)),
        _ => Err(wrong("the order is none")),
    }
}

/// The approvals in the act by which an end began, which must be of that order.
fn begun_by(entry: &Entry, document: &[u8], approved: &ApprovedOrder) -> Result<Vec<Approval>> {
    let wrong = |why| Error::Invalid { what: "certificate", why };
    let act = act_of(entry, ActKind::Disposed, document)?;
    match Document::decode(act.kind, document)? {
        Document::Disposed(Disposed { order, step: DisposalStep::Begun { order_document, approvals, .. } })
            if order == approved.order && order_document == approved.document =>
        {
            Ok(approvals)
        }
        _ => Err(wrong("the act by which the end began is of another order")),
    }
}

fn act_of<'a>(entry: &'a Entry, kind: ActKind, document: &[u8]) -> Result<&'a Act> {
    let wrong = |why| Error::Invalid { what: "certificate", why };
    match entry.body() {
        Body::Act(act) if act.kind == kind => {
            entry
                .statement()
                .suite
                .verify(&act.document, document)
                .map_err(|_| wrong("a document is not its act's"))?;
            Ok(act)
        }
        _ => Err(wrong("an entry is of another kind")),
    }
}

/// Refuses approvals that are too few, not of this order, twice by one key, or by whoever asked.
pub fn check_approvals(approved: &ApprovedOrder, order: &Order, approvals: &[Approval]) -> Result<()> {
    let wrong = |why| Err(Error::Invalid { what: "approvals", why });
    for (at, approval) in approvals.iter().enumerate() {
        approval.verify(approved)?;
        if approval.key == order.requester {
            return wrong("who asks does not approve");
        }
        if approvals[..at].iter().any(|earlier| earlier.key == approval.key) {
            return wrong("one person approved twice");
        }
    }
    match approvals.len() {
        count if count >= APPROVALS_MIN => Ok(()),
        _ => wrong("two people must approve"),
    }
}

fn write_proved(out: &mut Writer, proved: &ProvedEntry) {
    out.u64(proved.index).u64(proved.accepted_ms).var(&proved.entry);
    write_proof(out, &proved.proof);
}

fn read_proved(reader: &mut Reader<'_>) -> Result<ProvedEntry> {
    Ok(ProvedEntry {
        index: reader.u64("leaf index")?,
        accepted_ms: reader.u64("accepted time")?,
        entry: reader.var(ENTRY_BYTES_MAX, "entry")?.to_vec(),
        proof: read_proof(reader)?,
    })
}

fn read_fields(reader: &mut Reader<'_>) -> Result<Certificate> {
    Ok(Certificate {
        vault: VaultId::read(reader)?,
        hospital: HospitalId::read(reader)?,
        vault_key: PublicKey::read(reader)?,
        serial: reader.u32("serial")?,
        issued_ms: reader.u64("issued")?,
        checkpoint: reader.text(CHECKPOINT_BYTES_MAX, "checkpoint")?,
        ordered: read_proved(reader)?,
        order_document: reader.var(DOCUMENT_BYTES_MAX, "document")?.to_vec(),
        device: read_proved(reader)?,
        begun: read_proved(reader)?,
        begun_document: reader.var(DOCUMENT_BYTES_MAX, "document")?.to_vec(),
        ended: EndedFacts {
            entries: reader.u64("entries")?,
            records: reader.u64("records")?,
            bytes: reader.u64("bytes")?,
            shared: reader.u64("shared records")?,
            verified: reader.u64("verified records")?,
            unverified: reader.u64("unverified records")?,
            began_ms: reader.u64("beginning")?,
            ended_ms: reader.u64("end")?,
        },
        copies: {
            let count = reader.count(CERTIFICATE_COPIES_MAX, "copies")?;
            (0..count).map(|_| read_copy(reader)).collect::<Result<_>>()?
        },
        media: {
            let count = reader.count(CERTIFICATE_MEDIA_MAX, "media")?;
            (0..count).map(|_| read_medium(reader)).collect::<Result<_>>()?
        },
        earlier: {
            let count = reader.count(CERTIFICATE_MEDIA_MAX, "media")?;
            (0..count).map(|_| VolumeId::read(reader)).collect::<Result<_>>()?
        },
    })
}

fn read_copy(reader: &mut Reader<'_>) -> Result<CopyFacts> {
    Ok(CopyFacts {
        segment: SegmentId::read(reader)?,
        volume: VolumeId::read(reader)?,
        shard: reader.u8("shard")?,
        state: CopyState::from_code(reader.u8("state of the copy")?)?,
        passes: reader.u8("passes")?,
        caveat: Caveat::from_code(reader.u8("caveat of the copy")?)?,
        bytes: reader.u64("bytes")?,
        at_ms: reader.u64("moment")?,
        audit: reader.u64("audit record")?,
        worker: text(reader, "worker")?,
    })
}

fn read_medium(reader: &mut Reader<'_>) -> Result<MediumFacts> {
    Ok(MediumFacts {
        volume: VolumeId::read(reader)?,
        class: text(reader, "class of the medium")?,
        vendor: text(reader, "vendor")?,
        model: text(reader, "model")?,
        serial: text(reader, "serial number")?,
    })
}

/// Short text that moves no terminal's cursor.
fn text(reader: &mut Reader<'_>, what: &'static str) -> Result<String> {
    let text = reader.text(CERTIFICATE_TEXT_BYTES_MAX, what)?;
    match text.chars().any(char::is_control) {
        true => Err(Error::Invalid { what, why: "control characters are not allowed in it" }),
        false => Ok(text),
    }
}

/// Who signed an order at the hospital: the device of its entry.
pub fn device_of(entry: &Entry) -> DeviceId {
    entry.statement().device
}
