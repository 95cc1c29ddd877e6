//! Messages of the vault API: binary bodies in the canonical encoding, and JSON where people read along.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/hello` | | [`Hello`] as JSON |
//! | `POST /v1/chunks/missing` | addresses | one byte for each: 1 if it is missing |
//! | `PUT /v1/chunks/{address}` | sealed chunk | empty, once it is durable |
//! | `GET /v1/records/{address}` | | the record |
//! | `GET /v1/audit/{address}?nonce=` | | [`AuditReply`](crate::answer::AuditReply): signed, read on media |
//! | `POST /v1/plan` | addresses | [`ShelfReply`](crate::plan::ShelfReply) as JSON: what must be mounted to read them |
//! | `POST /v1/deposits` | [`DepositBatch`] | [`DepositReplies`] |
//! | `GET /v1/versions/{version}` | | [`VersionReply`] |
//! | `POST /v1/wraps` | versions | [`WrapsReply`] |
//! | `GET /v1/names/{token}` | | [`VersionReply`] of the newest change of the name |
//! | `GET /v1/devices/{device}` | | [`DeviceReply`]: where the calling device's chain of entries stands |
//! | `GET /v1/log/checkpoint` | | checkpoint text |
//! | `GET /v1/log/snapshot` | | [`VersionReply`] of the act that names the newest snapshot of a view |
//! | `GET /v1/log/entries?from=&size=` | | [`LogPage`] |
//! | `GET /v1/log/consistency?from=&to=` | | hashes |
//! | `GET /v1/shares` | | [`Offers`](crate::share::Offers): what other hospitals grant the caller |
//! | `GET /v1/shares/{owner}/{grant}/versions/{version}` | | [`SharedVersion`](crate::share::SharedVersion) |
//! | `GET /v1/shares/{owner}/{grant}/versions/{version}/records/{address}` | | the record |
//! | `GET /v1/reconciliation` | | the newest [`Reconciliation`](crate::reconciliation::Reconciliation) |
//!
//! The hospital is known by the pinned key of its TLS client certificate; a failure is [`Problem`] as JSON.

use crate::act::{Document, HandOverIn};
use crate::codec::{Reader, Writer};
use crate::entry::{Body, Entry, PlacedEntry};
use crate::kind::ErrorKind;
use crate::limits::*;
use crate::receipt::{Inclusion, Receipt};
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::{Address, Digest, Error, HospitalId, RecordKind, Result, Suite, VersionId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Version of the API; both sides say it in every path.
pub const API_VERSION: &str = "v1";

/// What a vault says of itself to a hospital it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// vault id, hex
    pub vault: String,
    /// key that signs checkpoints and receipts: suite byte and key, hex
    pub vault_key: String,
    /// hospital the caller is known as, hex
    pub hospital: String,
    /// release of the vault
    pub release: String,
    /// code of new segments, as in `4+2`
    pub code: String,
    /// the vault's clock, in milliseconds since 1970
    pub time_ms: u64,
    /// placement rules are waived: a demonstration, not an archive
    pub demo: bool,
    /// the acts by which vaults took the ledger over, oldest first; none where this one kept it from its beginning
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_over: Vec<TakenOver>,
}

/// An act by which a vault took a ledger over, for whoever has not read the ledger yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenOver {
    /// the entry, hex
    pub entry: String,
    /// its document, hex
    pub document: String,
}

impl TakenOver {
    /// What it says; signatures are not looked at.
    pub fn decode(&self) -> Result<(Entry, HandOverIn)> {
        let bytes =
            |text: &str| hex::decode(text).map_err(|_| Error::Invalid { what: "hand-over", why: "it must be hex" });
        let (entry, document) = (Entry::decode(&bytes(&self.entry)?)?, bytes(&self.document)?);
        let Body::Act(act) = entry.body() else {
            return Err(Error::Invalid { what: "hand-over", why: "its entry is no act" });
        };
        entry.statement().suite.verify(&act.document, &document)?;
        match Document::decode(act.kind, &document)? {
            Document::HandOverIn(handover) => Ok((entry, *handover)),
            _ => Err(Error::Invalid { what: "hand-over", why: "its entry takes nothing over" }),
        }
    }
}

/// A failure, as the vault API tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// name of the [`ErrorKind`]
    pub kind: String,
    /// stable code of the failure, kebab-case
    pub code: String,
    /// what failed, on what, and why, in one sentence
    pub message: String,
}

impl Problem {
    /// Its kind; an unknown name is a bug of the other side.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::from_name(&self.kind).unwrap_or(ErrorKind::Bug)
    }
}

/// Codes of [`Problem`] that the other side acts on.
pub mod code {
    /// The condition on the name does not hold: another version is current.
    pub const EXPECTED_VERSION: &str = "expected-version";
    /// The ledger has a change with this version id already.
    pub const VERSION_EXISTS: &str = "version-exists";
    /// The epoch is not the next one of the ledger.
    pub const EPOCH_ORDER: &str = "epoch-order";
    /// The deposit is in a weaker suite than the hospital's policy takes.
    pub const BELOW_SUITE: &str = "below-suite";
    /// The deposit names addresses that the vault does not hold.
    pub const MISSING_ADDRESSES: &str = "missing-addresses";
    /// The device sequence or previous entry is not the next one.
    pub const OUT_OF_SEQUENCE: &str = "out-of-sequence";
    /// The records of the version were disposed of: they will not come back. HTTP says 410.
    pub const DISPOSED: &str = "disposed";
    /// A hold, a release or a change of retention that the rules do not allow.
    pub const KEEPING_RULE: &str = "keeping-rule";
    /// The vault does not know the hospital.
    pub const UNKNOWN_HOSPITAL: &str = "unknown-hospital";
    /// The vault does not know the device, or it was revoked.
    pub const UNKNOWN_DEVICE: &str = "unknown-device";
    /// The device's clock is too far ahead.
    pub const CLOCK_SKEW: &str = "clock-skew";
    /// No agreement with the hospital is in force.
    pub const NO_AGREEMENT: &str = "no-agreement";
    /// The agreement in force does not have this record type, label, retention or route.
    pub const NOT_AGREED: &str = "not-agreed";
    /// The malware report is missing, too old, does not verify, or says that something was found.
    pub const MALWARE_REPORT: &str = "malware-report";
    /// too many transfers failed: nothing is said over this line until a person opened it again
    pub const COMMUNICATION_STOPPED: &str = "communication-stopped";
    /// said by no vault: the deposit is on a medium, and no line was used
    pub const PACKED: &str = "packed";
    /// The agreed quota is used up.
    pub const OVER_QUOTA: &str = "over-quota";
    /// Too few volumes can be written.
    pub const NO_WRITABLE_MEDIA: &str = "no-writable-media";
    /// Fewer than k good units are left.
    pub const UNREADABLE: &str = "unreadable";
    /// There is no such record, version or name.
    pub const NOT_FOUND: &str = "not-found";
    /// What was asked for is on media that must be mounted first.
    pub const ON_SHELF: &str = "on-shelf";
}

/// One record sent along with a deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineRecord {
    /// what it is
    pub kind: RecordKind,
    /// the bytes; their address is computed by the vault
    pub bytes: Bytes,
}

/// A deposit: a signed entry and the records it names that the vault does not hold yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositRequest {
    /// signed entry
    pub entry: Bytes,
    /// records, summary, wrap, address list and manifest among them
    pub records: Vec<InlineRecord>,
}

impl DepositRequest {
    /// The body of the request.
    pub fn encode(&self) -> Vec<u8> {
        let size = self.records.iter().map(|record| record.bytes.len() + 5).sum::<usize>() + self.entry.len() + 8;
        let mut out = Writer::with_capacity(size);
        out.var(&self.entry).count(self.records.len());
        for record in &self.records {
            out.u8(record.kind.code()).var(&record.bytes);
        }
        out.finish()
    }

    /// Reads a body; records share its memory.
    pub fn decode(body: &Bytes) -> Result<Self> {
        if body.len() > DEPOSIT_BYTES_MAX {
            let (found, limit) = (body.len() as u64, DEPOSIT_BYTES_MAX as u64);
            return Err(Error::OverLimit { what: "deposit", found, limit });
        }
        let mut reader = Reader::new(body, "deposit");
        let entry = body.slice_ref(reader.var(ENTRY_BYTES_MAX, "entry")?);
        let count = reader.count(DEPOSIT_RECORDS_MAX, "records of a deposit")?;
        let mut records = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            let kind = RecordKind::try_from(reader.u8("record kind")?)?;
            if matches!(kind, RecordKind::Entry | RecordKind::Checkpoint) {
                return Err(Error::Invalid {
                    what: "record kind",
                    why: "entries and checkpoints are the vault's to write",
                });
            }
            records.push(InlineRecord { kind, bytes: body.slice_ref(reader.var(RECORD_BYTES_MAX, "record")?) });
        }
        reader.finish()?;
        Ok(DepositRequest { entry, records })
    }
}

/// Deposits of one device in the order of its sequence. The vault takes them in this order; after a refusal the rest
/// are refused as [`code::OUT_OF_SEQUENCE`] and the device signs them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositBatch {
    /// the deposits
    pub deposits: Vec<DepositRequest>,
}

impl DepositBatch {
    /// The body of the request.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.count(self.deposits.len());
        for deposit in &self.deposits {
            out.var(&deposit.encode());
        }
        out.finish()
    }

    /// Reads a body; records share its memory.
    pub fn decode(body: &Bytes) -> Result<Self> {
        if body.len() > DEPOSIT_BATCH_BYTES_MAX {
            let (found, limit) = (body.len() as u64, DEPOSIT_BATCH_BYTES_MAX as u64);
            return Err(Error::OverLimit { what: "deposit batch", found, limit });
        }
        let mut reader = Reader::new(body, "deposit batch");
        let count = reader.count(DEPOSIT_BATCH_MAX, "deposits of a batch")?;
        let mut deposits = Vec::with_capacity(count);
        let mut records = 0;
        for _ in 0..count {
            let deposit = DepositRequest::decode(&body.slice_ref(reader.var(DEPOSIT_BYTES_MAX, "deposit")?))?;
            records += deposit.records.len();
            if records > DEPOSIT_BATCH_RECORDS_MAX {
                let (found, limit) = (records as u64, DEPOSIT_BATCH_RECORDS_MAX as u64);
                return Err(Error::OverLimit { what: "records of a batch", found, limit });
            }
            deposits.push(deposit);
        }
        reader.finish()?;
        Ok(DepositBatch { deposits })
    }
}

/// One answer for each deposit of a batch, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositReplies {
    /// receipt, or why not
    pub replies: Vec<Result<Receipt, Problem>>,
}

impl DepositReplies {
    /// The body of the answer. A sentence that is too long is cut: it must never cost the receipts beside it.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.count(self.replies.len());
        for reply in &self.replies {
            match reply {
                Ok(receipt) => out.u8(0).var(&receipt.encode()),
                Err(Problem { kind, code, message }) => out.u8(1).var(cut(kind)).var(cut(code)).var(cut(message)),
            };
        }
        out.finish()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(body, "deposit replies");
        let count = reader.count(DEPOSIT_BATCH_MAX, "replies of a batch")?;
        let mut replies = Vec::with_capacity(count);
        for _ in 0..count {
            replies.push(match reader.u8("reply kind")? {
                0 => Ok(Receipt::decode(reader.var(RECEIPT_BYTES_MAX, "receipt")?)?),
                1 => Err(Problem {
                    kind: reader.text(PROBLEM_BYTES_MAX, "problem kind")?,
                    code: reader.text(PROBLEM_BYTES_MAX, "problem code")?,
                    message: reader.text(PROBLEM_BYTES_MAX, "problem message")?,
                }),
                _ => return Err(Error::Invalid { what: "reply kind", why: "it must be 0 or 1" }),
            });
        }
        reader.finish()?;
        Ok(DepositReplies { replies })
    }
}

/// At most [`PROBLEM_BYTES_MAX`] bytes of `text`, whole characters.
fn cut(text: &str) -> &[u8] {
    &text.as_bytes()[..text.floor_char_boundary(PROBLEM_BYTES_MAX)]
}

/// Where a device's chain of entries stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReply {
    /// sequence of the next entry
    pub next_seq: u64,
    /// leaf hash of the newest entry, zeros if there is none
    pub prev: Digest,
}

impl DeviceReply {
    /// The body of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.next_seq).put(&self.prev.0);
        out.finish()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(body, "device reply");
        let reply = DeviceReply { next_seq: reader.u64("next sequence")?, prev: Digest::read(&mut reader)? };
        reader.finish()?;
        Ok(reply)
    }
}

/// Writes a question about addresses.
pub fn encode_addresses(addresses: &[Address]) -> Vec<u8> {
    let mut out = Writer::with_capacity(4 + addresses.len() * Address::LEN);
    out.count(addresses.len());
    for address in addresses {
        address.write(&mut out);
    }
    out.finish()
}

/// Reads a question about addresses.
pub fn decode_addresses(body: &[u8]) -> Result<Vec<Address>> {
    let mut reader = Reader::new(body, "address query");
    let count = reader.count(ADDRESS_QUERY_MAX, "addresses")?;
    let addresses = (0..count).map(|_| Address::read(&mut reader)).collect::<Result<Vec<_>>>()?;
    reader.finish()?;
    Ok(addresses)
}

/// One version: its entry with proof, and the small records needed to open it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionReply {
    /// exact bytes of the entry
    pub entry: Bytes,
    /// its place, and the proof
    pub inclusion: Inclusion,
    /// newest wrap of the data key; empty for a marker
    pub wrap: Bytes,
    /// sealed root page of the manifest; empty for a marker
    pub manifest: Bytes,
}

impl VersionReply {
    /// The body of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(2048 + self.manifest.len());
        out.var(&self.entry);
        self.inclusion.write(&mut out);
        out.var(&self.wrap).var(&self.manifest);
        out.finish()
    }

    /// Reads a body.
    pub fn decode(body: &Bytes) -> Result<Self> {
        let mut reader = Reader::new(body, "version reply");
        let entry = body.slice_ref(reader.var(ENTRY_BYTES_MAX, "entry")?);
        let inclusion = Inclusion::read(&mut reader)?;
        let wrap = body.slice_ref(reader.var(RECORD_BYTES_MAX, "wrap")?);
        let manifest = body.slice_ref(reader.var(RECORD_BYTES_MAX, "manifest root")?);
        reader.finish()?;
        Ok(VersionReply { entry, inclusion, wrap, manifest })
    }
}

/// Question for the newest wraps of versions.
pub fn encode_versions(versions: &[VersionId]) -> Vec<u8> {
    let mut out = Writer::with_capacity(4 + versions.len() * VersionId::LEN);
    out.count(versions.len());
    for version in versions {
        version.write(&mut out);
    }
    out.finish()
}

/// Reads a question for wraps.
pub fn decode_versions(body: &[u8]) -> Result<Vec<VersionId>> {
    let mut reader = Reader::new(body, "version query");
    let count = reader.count(REWRAP_MAX, "versions")?;
    let versions = (0..count).map(|_| VersionId::read(&mut reader)).collect::<Result<Vec<_>>>()?;
    reader.finish()?;
    Ok(versions)
}

/// The newest wrap of each version that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrapsReply {
    /// in the order of the question; empty where there is no such version, or no wrap of it any more
    pub wraps: Vec<Bytes>,
}

impl WrapsReply {
    /// The body of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(4 + self.wraps.len() * 172);
        out.count(self.wraps.len());
        for wrap in &self.wraps {
            out.var(wrap);
        }
        out.finish()
    }

    /// Reads a body.
    pub fn decode(body: &Bytes) -> Result<Self> {
        let mut reader = Reader::new(body, "wraps reply");
        let count = reader.count(REWRAP_MAX, "wraps")?;
        let mut wraps = Vec::with_capacity(count);
        for _ in 0..count {
            wraps.push(body.slice_ref(reader.var(WRAP_BYTES_MAX, "wrap")?));
        }
        reader.finish()?;
        Ok(WrapsReply { wraps })
    }
}

/// One entry of a page of the log, with its sealed summary or document where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogItem {
    /// the entry at its place
    pub placed: PlacedEntry,
    /// what [`Body::attachment`](crate::entry::Body::attachment) names: the sealed summary, or the document of an act; empty
    /// where the entry has none
    pub attachment: Bytes,
}

/// Consecutive entries of the log from an index on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogPage {
    /// the entries, consecutive; fewer than asked for where the page would grow too large
    pub items: Vec<LogItem>,
}

impl LogPage {
    /// The body of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.count(self.items.len());
        for item in &self.items {
            out.var(&item.placed.encode()).var(&item.attachment);
        }
        out.finish()
    }

    /// Reads a body.
    pub fn decode(body: &Bytes) -> Result<Self> {
        if body.len() > LOG_PAGE_BYTES_MAX {
            let (found, limit) = (body.len() as u64, LOG_PAGE_BYTES_MAX as u64);
            return Err(Error::OverLimit { what: "log page", found, limit });
        }
        let mut reader = Reader::new(body, "log page");
        let count = reader.count(LOG_PAGE_ENTRIES_MAX, "entries of a log page")?;
        let mut items: Vec<LogItem> = Vec::new();
        for _ in 0..count {
            let placed = PlacedEntry::decode(reader.var(ENTRY_BYTES_MAX + 16, "placed entry")?)?;
            let next = items.last().map_or(Some(placed.index), |last| last.placed.index.checked_add(1));
            if next != Some(placed.index) {
                return Err(Error::Invalid { what: "log page", why: "its entries must be consecutive" });
            }
            items.push(LogItem { placed, attachment: body.slice_ref(reader.var(SUMMARY_BYTES_MAX, "summary")?) });
        }
        reader.finish()?;
        Ok(LogPage { items })
    }
}

/// What a hospital hands the operator so that its ledger can be opened: public facts, signed by the hospital's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// algorithms
    pub suite: Suite,
    /// hospital id
    pub hospital: HospitalId,
    /// key that certifies devices
    pub hospital_key: PublicKey,
    /// first device
    pub device_key: PublicKey,
    /// SHA-256 of the public key info of the hospital's TLS client certificate
    pub tls_pin: [u8; 32],
}

impl Enrolment {
    /// First bytes.
    pub const MAGIC: [u8; 4] = *b"shsh";
    /// Version of the enrolment format.
    pub const VERSION: u8 = 1;

    /// The signed file.
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let mut bytes = self.signed_bytes();
        let signature = key.sign(Domain::Enrolment, &bytes);
        bytes.extend_from_slice(&signature.0);
        bytes
    }

    /// Reads a file and refuses it unless the key in it signed it. Who holds that key is for people to compare.
    pub fn verify(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "enrolment");
        if reader.array::<4>("enrolment magic")? != Self::MAGIC {
            return Err(Error::Magic { what: "enrolment" });
        }
        match reader.u8("enrolment version")? {
            Self::VERSION => {}
            found => return Err(Error::Version { what: "enrolment", found, known: Self::VERSION }),
        }
        let suite = Suite::try_from(reader.u8("suite")?)?;
        reader.zeros(2, "reserved bytes of the enrolment")?;
        let hospital = HospitalId::read(&mut reader)?;
        let (hospital_key, device_key) = (PublicKey::read(&mut reader)?, PublicKey::read(&mut reader)?);
        let tls_pin = reader.array("TLS pin")?;
        let signature = Signature::read(&mut reader)?;
        reader.finish()?;
        if let Some(other) = [&hospital_key, &device_key].into_iter().find(|key| key.suite() != suite) {
            return Err(Error::Suite { found: other.suite().code(), expected: "the suite of the enrolment" });
        }
        let enrolment = Enrolment { suite, hospital, hospital_key, device_key, tls_pin };
        enrolment.hospital_key.verify(Domain::Enrolment, &enrolment.signed_bytes(), &signature)?;
        Ok(enrolment)
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.put(&Self::MAGIC).u8(Self::VERSION).u8(self.suite.code()).zeros(2).put(&self.hospital.0);
        self.hospital_key.write(&mut out);
        self.device_key.write(&mut out);
        out.put(&self.tls_pin);
        out.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_is_too_long_is_cut_between_characters() {
        let problem = |message: String| DepositReplies {
            replies: vec![Err(Problem { kind: "bug".into(), code: "bug".into(), message })],
        };
        let long = problem("録".repeat(PROBLEM_BYTES_MAX));
        let short = problem("録".repeat(PROBLEM_BYTES_MAX / 3));
        assert_eq!(DepositReplies::decode(&long.encode()), Ok(short));
    }

    #[test]
    fn many_tiny_records_do_not_unfold_into_much_memory() {
        let batch = |deposits: usize| {
            let records = vec![InlineRecord { kind: RecordKind::Chunk, bytes: Bytes::new() }; 4096];
            DepositBatch { deposits: vec![DepositRequest { entry: Bytes::new(), records }; deposits] }
        };
        assert!(DepositBatch::decode(&batch(2).encode().into()).is_ok());
        let expected = Error::OverLimit { what: "records of a batch", found: 12_288, limit: 8192 };
        assert_eq!(DepositBatch::decode(&batch(3).encode().into()), Err(expected));
    }

    #[test]
    fn a_problem_of_an_unknown_kind_is_a_bug_of_the_other_side() {
        let problem = |kind: &str| Problem { kind: kind.into(), code: String::new(), message: String::new() };
        assert_eq!(problem("not-found").kind(), ErrorKind::NotFound);
        assert_eq!(problem("what").kind(), ErrorKind::Bug);
    }
}
