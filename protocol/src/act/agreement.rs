//! An agreement between a hospital and its operator: one canonical text, signed by both.
//!
//! Invariants
//! - Numbers, codes and digests alone; what needs words is a paper that both sides keep, and its digest is here.
//! - The hospital's key and the vault's key sign the same bytes, which name both parties, so an agreement of another
//!   hospital or vault is none here.
//! - Agreements of a hospital are numbered without a gap, and each names the terms it replaces: an older one cannot be put
//!   in force again.
//!
//! Source: guideline `agreement` (3.3-R1, 3.4-R2, 3.5-R1, 7.6.8-M1, 8.2-R2, 7.2.2-M5 and M6).

mod proposal;
mod words;

pub use proposal::Draft;
pub use words::{
    Channel, Copies, Deliver, Emergency, Erasure, Line, Notice, Outward, Paper, Routes, Scanning, Timestamps,
};

use crate::codec::{Reader, Writer};
use crate::limits::{AGREED_LIST_MAX, AGREED_TYPES_MAX};
use crate::policy::{DepositPolicy, Label, RecordType, Retention};
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::suite::sha256;
use crate::{Digest, Error, HospitalId, Result, Suite, VaultId};

/// What the agreement says of one record type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeRule {
    /// the type
    pub record_type: RecordType,
    /// days that every deposit of it must be kept at least, from its start event on; 0: none
    pub term_days_min: u32,
    /// seconds within which a record can be read (6.2-R1); 0: not agreed
    pub read_within_s: u32,
}

/// How records of one label are handled (7.2.2-M6). How they are stored follows from the vault: sealed, coded, scrubbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelRule {
    /// the label
    pub label: Label,
    /// to whom they are delivered
    pub deliver: Deliver,
    /// which copies there may be
    pub copies: Copies,
    /// how they end
    pub erasure: Erasure,
}

/// Whom the hospital wants to be told, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoticeRule {
    /// what of
    pub notice: Notice,
    /// by which channel
    pub channel: Channel,
    /// number of the target, which both sides' configuration gives a meaning
    pub target: u16,
}

/// When communication stops (7.6.8-M4d).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRule {
    /// failed transfers of one link after which all communication stops; at least 1
    pub failures_max: u32,
    /// minutes within which they count together; at least 1
    pub window_minutes: u32,
}

/// What is demanded of the scan (7.6.3-M3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanRule {
    /// whether contents are scanned
    pub scanning: Scanning,
    /// hours that the scanner's definitions may be old when it scans
    pub definitions_hours_max: u32,
    /// hours that a scan may be old when the deposit comes over the network
    pub scan_hours_max: u32,
    /// the same where it comes on a medium, at the time it was packed
    pub packed_hours_max: u32,
}

/// How evidence is kept (3.4-R7, T6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuarantineRule {
    /// days after which people must have decided
    pub term_days: u32,
    /// bytes of evidence at one time
    pub bytes_max: u64,
}

/// Everything that is agreed. Lists are ascending, each thing once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// made by a demonstration for itself: it shows how things work and binds nobody
    pub demo: bool,
    /// the hospital's algorithms, and so those of both signatures
    pub suite: Suite,
    /// hospital
    pub hospital: HospitalId,
    /// vault
    pub vault: VaultId,
    /// from 1, one more than that of the terms before
    pub number: u32,
    /// digest of the terms before; zeros for the first
    pub previous: Digest,
    /// when it was drafted, in milliseconds since 1970
    pub made_ms: u64,
    /// from when on it counts, if both have signed by then
    pub from_ms: u64,
    /// ways in
    pub routes: Routes,
    /// how they are joined
    pub line: Line,
    /// whether complete copies at a second site are allowed (T8)
    pub second_site: bool,
    /// whether the hospital may export
    pub exports: bool,
    /// malware
    pub scan: ScanRule,
    /// how records end
    pub erasure: Erasure,
    /// passes of overwriting; 0 where media are destroyed
    pub overwrite_passes: u8,
    /// days between the last approval of a disposal and the act
    pub cool_down_days: u32,
    /// the other way
    pub emergency: Emergency,
    /// where times come from
    pub timestamps: Timestamps,
    /// when communication stops
    pub retry: RetryRule,
    /// evidence
    pub quarantine: QuarantineRule,
    /// sealed bytes that deposits of the hospital may take; what a code adds does not count
    pub quota_bytes: u64,
    /// record types that may come
    pub types: Vec<TypeRule>,
    /// labels that they may have
    pub labels: Vec<LabelRule>,
    /// who is told
    pub notices: Vec<NoticeRule>,
    /// outward connections
    pub outward: Vec<Outward>,
    /// papers
    pub papers: Vec<(Paper, Digest)>,
}

impl Terms {
    /// The bytes that both sign.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(1024);
        self.write(&mut out);
        out.finish()
    }

    /// By which the terms that replace these name them.
    pub fn digest(&self) -> Digest {
        sha256(&[&self.encode()])
    }

    fn write(&self, out: &mut Writer) {
        out.u8(self.demo.into()).u8(self.suite.code()).zeros(6);
        out.put(&self.hospital.0).put(&self.vault.0).u32(self.number).zeros(4).put(&self.previous.0);
        out.u64(self.made_ms).u64(self.from_ms);
        self.routes.write(out);
        out.u8(self.line.code()).u8(u8::from(self.second_site) | u8::from(self.exports) << 1);
        out.u8(self.scan.scanning.code()).u8(self.erasure.code()).u8(self.overwrite_passes);
        out.u8(self.emergency.code()).u8(self.timestamps.code());
        out.u32(self.cool_down_days).u32(self.retry.failures_max).u32(self.retry.window_minutes);
        out.u32(self.scan.definitions_hours_max).u32(self.scan.scan_hours_max).u32(self.scan.packed_hours_max);
        out.u32(self.quarantine.term_days).u64(self.quarantine.bytes_max).u64(self.quota_bytes);
        out.count(self.types.len());
        for rule in &self.types {
            out.u16(rule.record_type.number()).u32(rule.term_days_min).u32(rule.read_within_s);
        }
        out.count(self.labels.len());
        for rule in &self.labels {
            out.u8(rule.label as u8).u8(rule.deliver.code()).u8(rule.copies.code()).u8(rule.erasure.code());
        }
        out.count(self.notices.len());
        for rule in &self.notices {
            out.u8(rule.notice.code()).u8(rule.channel.code()).u16(rule.target);
        }
        out.count(self.outward.len());
        for outward in &self.outward {
            out.u8(outward.code());
        }
        out.count(self.papers.len());
        for (paper, digest) in &self.papers {
            out.u8(paper.code()).put(&digest.0);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let demo = flag(reader.u8("demonstration")?, "demonstration")?;
        let suite = Suite::try_from(reader.u8("suite of the agreement")?)?;
        reader.zeros(6, "reserved bytes of the agreement")?;
        let (hospital, vault) = (HospitalId::read(reader)?, VaultId::read(reader)?);
        let number = at_least_one(reader.u32("number of the agreement")?, "number of the agreement")?;
        reader.zeros(4, "reserved bytes of the agreement")?;
        let previous = Digest::read(reader)?;
        let (made_ms, from_ms) = (reader.u64("time of making")?, reader.u64("time in force")?);
        let (routes, line) = (Routes::read(reader)?, Line::from_code(reader.u8("line")?)?);
        let (second_site, exports) = match reader.u8("copying")? {
            bits @ 0..=3 => (bits & 1 != 0, bits & 2 != 0),
            _ => return Err(Error::Invalid { what: "copying", why: "unknown bits must be zero" }),
        };
        let scanning = Scanning::from_code(reader.u8("scanning")?)?;
        let (erasure, overwrite_passes) = (Erasure::from_code(reader.u8("erasure")?)?, reader.u8("passes")?);
        let emergency = Emergency::from_code(reader.u8("emergency channel")?)?;
        let timestamps = Timestamps::from_code(reader.u8("timestamps")?)?;
        let cool_down_days = reader.u32("cool-down")?;
        let failures_max = at_least_one(reader.u32("failed transfers")?, "failed transfers")?;
        let window_minutes = at_least_one(reader.u32("window")?, "window of failed transfers")?;
        let definitions_hours_max = reader.u32("age of definitions")?;
        let (scan_hours_max, packed_hours_max) = (reader.u32("age of a scan")?, reader.u32("age of a packed scan")?);
        let (term_days, bytes_max) = (reader.u32("term of quarantine")?, reader.u64("bytes of quarantine")?);
        let quota_bytes = reader.u64("quota")?;
        Ok(Terms {
            demo,
            suite,
            hospital,
            vault,
            number,
            previous,
            made_ms,
            from_ms,
            routes,
            line,
            second_site,
            exports,
            scan: ScanRule { scanning, definitions_hours_max, scan_hours_max, packed_hours_max },
            erasure,
            overwrite_passes,
            cool_down_days,
            emergency,
            timestamps,
            retry: RetryRule { failures_max, window_minutes },
            quarantine: QuarantineRule { term_days, bytes_max },
            quota_bytes,
            types: list(reader, AGREED_TYPES_MAX, "record types", read_type, |rule| rule.record_type)?,
            labels: list(reader, AGREED_LIST_MAX, "labels", read_label, |rule| rule.label)?,
            notices: list(reader, AGREED_LIST_MAX, "notices", read_notice, |rule| *rule)?,
            outward: list(
                reader,
                AGREED_LIST_MAX,
                "outward services",
                |reader| Outward::from_code(reader.u8("outward service")?),
                |outward| *outward,
            )?,
            papers: list(reader, AGREED_LIST_MAX, "papers", read_paper, |paper| paper.0)?,
        })
    }

    /// The rule of a record type, if it was agreed on.
    pub fn of_type(&self, record_type: RecordType) -> Option<&TypeRule> {
        self.types.iter().find(|rule| rule.record_type == record_type)
    }

    /// The rule of a label, if it was agreed on.
    pub fn of_label(&self, label: Label) -> Option<&LabelRule> {
        self.labels.iter().find(|rule| rule.label == label)
    }

    /// Why a deposit with this policy was not agreed on; `None`: it was.
    pub fn objects_to(&self, policy: &DepositPolicy) -> Option<NotAgreed> {
        let record_type = policy.record_type;
        let Some(rule) = self.of_type(record_type) else { return Some(NotAgreed::RecordType { record_type }) };
        if self.of_label(policy.label).is_none() {
            return Some(NotAgreed::Label { label: policy.label });
        }
        let term_days = match policy.retention {
            Retention::None => 0,
            Retention::Term { term_days, .. } => term_days,
        };
        (term_days < rule.term_days_min).then_some(NotAgreed::Retention {
            record_type,
            term_days,
            min_days: rule.term_days_min,
        })
    }
}

/// What was not agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAgreed {
    /// record type
    #[error("record type {} is not among those agreed on", record_type.code())]
    RecordType {
        /// of the deposit
        record_type: RecordType,
    },
    /// label
    #[error("label {} is not among those agreed on", label.name())]
    Label {
        /// of the deposit
        label: Label,
    },
    /// retention
    #[error("{} days of retention are fewer than the {min_days} agreed on for {}", term_days, record_type.code())]
    Retention {
        /// of the deposit
        record_type: RecordType,
        /// days that the deposit states; 0 where it states none
        term_days: u32,
        /// days agreed on
        min_days: u32,
    },
    /// the way it came
    #[error("the route {route} is not among those agreed on")]
    Route {
        /// the way
        route: &'static str,
    },
}

/// Terms, and who signed them. A draft that one side signed has the same form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// what is agreed
    pub terms: Terms,
    /// by the hospital's key; `None`: not yet
    pub by_hospital: Option<Signature>,
    /// by the vault's key of the hospital's suite; `None`: not yet
    pub by_vault: Option<Signature>,
}

impl Agreement {
    /// Terms that nobody signed yet.
    pub fn draft(terms: Terms) -> Self {
        Agreement { terms, by_hospital: None, by_vault: None }
    }

    /// The same, signed by the hospital.
    #[must_use]
    pub fn sign_as_hospital(self, key: &SigningKey) -> Self {
        Agreement { by_hospital: Some(key.sign(Domain::Agreement, &self.terms.encode())), ..self }
    }

    /// The same, signed by the operator.
    #[must_use]
    pub fn sign_as_vault(self, key: &SigningKey) -> Self {
        Agreement { by_vault: Some(key.sign(Domain::Agreement, &self.terms.encode())), ..self }
    }

    /// Whether the hospital's signature is there. A wrong one is an error.
    pub fn signed_by_hospital(&self, key: &PublicKey) -> Result<bool> {
        self.signed(self.by_hospital.as_ref(), key)
    }

    /// Whether the vault's signature is there. A wrong one is an error.
    pub fn signed_by_vault(&self, key: &PublicKey) -> Result<bool> {
        self.signed(self.by_vault.as_ref(), key)
    }

    fn signed(&self, signature: Option<&Signature>, key: &PublicKey) -> Result<bool> {
        match signature {
            None => Ok(false),
            Some(signature) => key.verify(Domain::Agreement, &self.terms.encode(), signature).map(|()| true),
        }
    }

    /// Refuses what does not bind these two: unsigned, signed wrongly, or of others.
    pub fn verify(&self, parties: &Parties<'_>) -> Result<()> {
        let invalid = |why| Err(Error::Invalid { what: "agreement", why });
        self.is_between(parties)?;
        match (self.signed_by_hospital(parties.hospital_key)?, self.signed_by_vault(parties.vault_key)?) {
            (true, true) => Ok(()),
            (true, false) => invalid("the operator has not signed it"),
            (false, true) => invalid("the hospital has not signed it"),
            (false, false) => invalid("nobody has signed it"),
        }
    }

    /// Refuses one that is meant for others.
    pub fn is_between(&self, parties: &Parties<'_>) -> Result<()> {
        let why = match &self.terms {
            terms if terms.hospital != parties.hospital => "it is of another hospital",
            terms if terms.vault != parties.vault => "it is with another vault",
            terms if terms.suite != parties.hospital_key.suite() => "its suite is not the hospital's",
            _ => return Ok(()),
        };
        Err(Error::Invalid { what: "agreement", why })
    }

    /// Refuses one that does not continue `newest`, the one with the highest number so far.
    pub fn follows(&self, newest: Option<&Terms>) -> Result<()> {
        let (number, previous) = newest.map_or((1, Digest([0; 32])), |terms| (terms.number + 1, terms.digest()));
        let why = match &self.terms {
            terms if terms.number < number => "it is older than the newest one, or that one again",
            terms if terms.number > number => "numbers before its own are missing",
            terms if terms.previous != previous => "it replaces other terms than those of the newest one",
            terms if newest.is_some_and(|newest| newest.from_ms > terms.from_ms) => {
                "it would be in force before the one it replaces"
            }
            _ => return Ok(()),
        };
        Err(Error::Invalid { what: "agreement", why })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        self.terms.write(out);
        for signature in [&self.by_hospital, &self.by_vault] {
            out.put(&signature.map_or([0; Signature::LEN], |signature| signature.0));
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let terms = Terms::read(reader)?;
        let signature = |reader: &mut Reader<'_>| {
            Signature::read(reader).map(|signature| Some(signature).filter(|signature| signature.0 != [0; 64]))
        };
        Ok(Agreement { terms, by_hospital: signature(reader)?, by_vault: signature(reader)? })
    }
}

/// Whom an agreement binds.
#[derive(Debug, Clone, Copy)]
pub struct Parties<'a> {
    /// hospital
    pub hospital: HospitalId,
    /// the key that certifies its devices
    pub hospital_key: &'a PublicKey,
    /// vault
    pub vault: VaultId,
    /// its key of the hospital's suite
    pub vault_key: &'a PublicKey,
}

fn flag(byte: u8, what: &'static str) -> Result<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::Invalid { what, why: "it must be 0 or 1" }),
    }
}

fn at_least_one(value: u32, what: &'static str) -> Result<u32> {
    if value == 0 { Err(Error::Invalid { what, why: "it must be at least 1" }) } else { Ok(value) }
}

/// A list in ascending order of `key`, each once.
fn list<T, K: Ord>(
    reader: &mut Reader<'_>,
    limit: usize,
    what: &'static str,
    read: impl Fn(&mut Reader<'_>) -> Result<T>,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>> {
    let count = reader.count(limit, what)?;
    let items = (0..count).map(|_| read(reader)).collect::<Result<Vec<T>>>()?;
    match items.is_sorted_by(|a, b| key(a) < key(b)) {
        true => Ok(items),
        false => Err(Error::Invalid { what, why: "they must ascend, each once" }),
    }
}

fn read_type(reader: &mut Reader<'_>) -> Result<TypeRule> {
    let record_type = RecordType::from_number(reader.u16("record type")?)?;
    let (term_days_min, read_within_s) = (reader.u32("least term")?, reader.u32("read target")?);
    Ok(TypeRule { record_type, term_days_min, read_within_s })
}

fn read_label(reader: &mut Reader<'_>) -> Result<LabelRule> {
    Ok(LabelRule {
        label: Label::from_code(reader.u8("label")?)?,
        deliver: Deliver::from_code(reader.u8("delivery")?)?,
        copies: Copies::from_code(reader.u8("copies")?)?,
        erasure: Erasure::from_code(reader.u8("erasure")?)?,
    })
}

fn read_notice(reader: &mut Reader<'_>) -> Result<NoticeRule> {
    let (notice, channel) = (Notice::from_code(reader.u8("notice")?)?, Channel::from_code(reader.u8("channel")?)?);
    Ok(NoticeRule { notice, channel, target: reader.u16("target of a notice")? })
}

fn read_paper(reader: &mut Reader<'_>) -> Result<(Paper, Digest)> {
    Ok((Paper::from_code(reader.u8("paper")?)?, Digest::read(reader)?))
}

#[cfg(test)]
mod tests;
