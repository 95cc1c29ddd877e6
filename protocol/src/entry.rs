//! Ledger entries and their one canonical encoding.
//!
//! An entry is what a device of the hospital states and signs, or the vault where it is an act of the operator's; the
//! ledger gives it a place. Leaves hold ids,
//! digests, codes and times: never a name, never free text. `device seq`, `prev` and `seen` make omission and forks
//! visible to anyone who holds two entries of one device.

use crate::act::Act;
use crate::codec::{Reader, Writer};
use crate::limits::ENTRY_BYTES_MAX;
use crate::policy::DepositPolicy;
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::{Address, DeviceId, Digest, Error, HospitalId, LogId, NameToken, Result, Suite, VersionId, merkle};

/// First bytes of every entry.
pub const MAGIC: [u8; 4] = *b"shse";
/// Version of the entry format.
pub const VERSION: u8 = 1;

/// What must be true of the newest change of a name for another to be accepted: an optimistic lock that the vault
/// can keep without knowing what the changes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// anything
    Any,
    /// the name was never changed, or its newest change is a delete marker
    Absent,
    /// the newest change of the name has this id
    Version(VersionId),
}

/// A device's word about a ledger head it has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// leaves
    pub size: u64,
    /// root
    pub root: Digest,
}

impl Seen {
    /// The empty log.
    pub fn nothing() -> Self {
        Seen { size: 0, root: merkle::empty_root() }
    }
}

/// Fields of a deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// version, fresh
    pub version: VersionId,
    /// condition on the name
    pub expected: Expected,
    /// whose name
    pub name_token: NameToken,
    /// root page of the manifest
    pub manifest: Address,
    /// Merkle root of the address list
    pub address_root: Digest,
    /// address of the stored address list
    pub address_list: Address,
    /// addresses in the list
    pub address_count: u32,
    /// sealed bytes of all addresses and the manifest root together
    pub stored_bytes: u64,
    /// commitment to the data key
    pub dek_commit: Digest,
    /// address of the wrap
    pub wrap: Address,
    /// address of the sealed summary
    pub summary: Address,
    /// record type, label, retention
    pub policy: DepositPolicy,
    /// address of the malware report, where the content was scanned
    pub report: Option<Address>,
}

impl Deposit {
    /// The records that are this version's alone, beside those of its address list.
    pub fn own_records(&self) -> Vec<Address> {
        let own = [self.manifest, self.address_list, self.wrap, self.summary];
        own.into_iter().chain(self.report).collect()
    }
}

/// A change that only names and summaries know: markers, buckets, tags, withdrawals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameChange {
    /// id of this change; for a delete marker its S3 version id
    pub version: VersionId,
    /// condition on the name
    pub expected: Expected,
    /// whose name; for a bucket, the token of the bucket alone
    pub name_token: NameToken,
    /// address of the sealed summary
    pub summary: Address,
}

/// A device joins or leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceChange {
    /// true to enrol, false to revoke
    pub enrol: bool,
    /// key of the device
    pub key: PublicKey,
    /// the hospital's signature over log id and all fields above
    pub certificate: Signature,
}

impl DeviceChange {
    /// A change that the hospital's key certifies.
    pub fn certify(log: LogId, enrol: bool, key: PublicKey, hospital_key: &SigningKey) -> Self {
        let certificate = hospital_key.sign(Domain::Device, &Self::certified_bytes(log, enrol, &key));
        DeviceChange { enrol, key, certificate }
    }

    /// Refuses a change the hospital did not certify for this log.
    pub fn verify(&self, log: LogId, hospital_key: &PublicKey) -> Result<()> {
        hospital_key.verify(Domain::Device, &Self::certified_bytes(log, self.enrol, &self.key), &self.certificate)
    }

    fn certified_bytes(log: LogId, enrol: bool, key: &PublicKey) -> Vec<u8> {
        let mut out = Writer::new();
        out.put(&log.0).u8(u8::from(enrol));
        key.write(&mut out);
        out.finish()
    }
}

/// What an entry says. Codes are stable; those not listed are refused until a release gives them a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// 1: a version of a record is deposited; 6: the same, with a malware report
    Deposit(Box<Deposit>),
    /// 2: a delete marker on a name
    Marker(NameChange),
    /// 3: bucket state or tags changed, or a version was withdrawn from view
    Policy(NameChange),
    /// 4: a device joins or leaves
    Device(DeviceChange),
    /// 5: an act, with its document
    Act(Act),
}

impl Body {
    /// Code of the kind.
    pub fn code(&self) -> u8 {
        match self {
            Body::Deposit(deposit) => {
                if deposit.report.is_none() {
                    1
                } else {
                    6
                }
            }
            Body::Marker(_) => 2,
            Body::Policy(_) => 3,
            Body::Device(_) => 4,
            Body::Act(_) => 5,
        }
    }

    /// Name of the kind, for reports.
    pub fn name(&self) -> &'static str {
        match self {
            Body::Deposit(_) => "deposit",
            Body::Marker(_) => "delete-marker",
            Body::Policy(_) => "policy",
            Body::Device(_) => "device",
            Body::Act(act) => act.kind.name(),
        }
    }

    /// Version, condition and name token, where the entry is about a name.
    pub fn name_change(&self) -> Option<(VersionId, Expected, NameToken)> {
        match self {
            Body::Deposit(deposit) => Some((deposit.version, deposit.expected, deposit.name_token)),
            Body::Marker(change) | Body::Policy(change) => Some((change.version, change.expected, change.name_token)),
            Body::Device(_) | Body::Act(_) => None,
        }
    }

    /// The id it takes, which no other entry of the hospital may take: of a version, a change of a name, or an act.
    pub fn id(&self) -> Option<VersionId> {
        match self {
            Body::Act(act) => Some(act.id),
            _ => self.name_change().map(|(version, _, _)| version),
        }
    }

    /// Address of the sealed summary, where there is one.
    pub fn summary(&self) -> Option<Address> {
        match self {
            Body::Deposit(deposit) => Some(deposit.summary),
            Body::Marker(change) | Body::Policy(change) => Some(change.summary),
            Body::Device(_) | Body::Act(_) => None,
        }
    }

    /// Address of what travels with it in a page of the log: the sealed summary, or the document.
    pub fn attachment(&self) -> Option<Address> {
        match self {
            Body::Act(act) => Some(act.document),
            _ => self.summary(),
        }
    }
}

/// An entry before its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// algorithms of the hospital
    pub suite: Suite,
    /// ledger it is meant for, so it cannot be replayed into another
    pub log: LogId,
    /// whose ledger
    pub hospital: HospitalId,
    /// who states it
    pub device: DeviceId,
    /// entries this device made before
    pub device_seq: u64,
    /// leaf hash of the previous entry of this device, zeros for the first
    pub prev: Digest,
    /// newest ledger head the device has seen
    pub seen: Seen,
    /// the device's clock, in milliseconds since 1970
    pub claimed_ms: u64,
    /// what it states
    pub body: Body,
}

impl Statement {
    /// The bytes that are signed.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(512);
        out.put(&MAGIC).u8(VERSION).u8(self.suite.code()).u8(self.body.code()).zeros(1);
        out.put(&self.log.0).put(&self.hospital.0).put(&self.device.0).u64(self.device_seq);
        out.put(&self.prev.0).u64(self.seen.size).put(&self.seen.root.0).u64(self.claimed_ms);
        match &self.body {
            Body::Deposit(deposit) => write_deposit(&mut out, deposit),
            Body::Marker(change) | Body::Policy(change) => {
                out.put(&change.version.0);
                write_expected(&mut out, change.expected);
                out.put(&change.name_token.0).put(&change.summary.0);
            }
            Body::Device(change) => {
                out.u8(u8::from(change.enrol));
                change.key.write(&mut out);
                out.put(&change.certificate.0);
            }
            Body::Act(act) => act.write(&mut out),
        }
        out.finish()
    }
}

/// A signed entry with its exact bytes. Parsing does not verify: [`Entry::verify`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    statement: Statement,
    bytes: Vec<u8>,
}

impl Entry {
    /// Signs a statement.
    pub fn sign(statement: Statement, key: &SigningKey) -> Self {
        let mut bytes = statement.encode();
        let signature = key.sign(Domain::Entry, &bytes);
        bytes.extend_from_slice(&signature.0);
        Entry { statement, bytes }
    }

    /// Parses an entry.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(Error::OverLimit { what: "entry", found: bytes.len() as u64, limit: ENTRY_BYTES_MAX as u64 });
        }
        let mut reader = Reader::new(bytes, "entry");
        let statement = read_statement(&mut reader)?;
        Signature::read(&mut reader)?;
        reader.finish()?;
        Ok(Entry { statement, bytes: bytes.to_vec() })
    }

    /// Refuses an entry that was made for another log or hospital.
    pub fn expect(&self, log: LogId, hospital: HospitalId) -> Result<()> {
        let (found_log, found_hospital) = (self.statement.log, self.statement.hospital);
        if found_hospital != hospital {
            let (expected, found) = (hospital.to_string(), found_hospital.to_string());
            return Err(Error::Mismatch { what: "hospital of the entry", expected, found });
        }
        if found_log != log {
            let (expected, found) = (log.to_string(), found_log.to_string());
            return Err(Error::Mismatch { what: "log of the entry", expected, found });
        }
        Ok(())
    }

    /// Refuses an entry that the device with this key did not sign.
    pub fn verify(&self, key: &PublicKey) -> Result<()> {
        let (signed, signature) = self.bytes.split_at(self.bytes.len() - Signature::LEN);
        let mut fixed = [0; Signature::LEN];
        fixed.copy_from_slice(signature);
        if key.device_id() != self.statement.device || key.suite() != self.statement.suite {
            return Err(Error::Signature { what: "entry" });
        }
        key.verify(Domain::Entry, signed, &Signature(fixed))
    }

    /// What it states.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Its kind and fields.
    pub fn body(&self) -> &Body {
        &self.statement.body
    }

    /// The exact bytes, signature included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its hash as a leaf of the ledger.
    pub fn leaf_hash(&self) -> Digest {
        merkle::leaf_hash(&self.bytes)
    }
}

fn write_deposit(out: &mut Writer, deposit: &Deposit) {
    out.put(&deposit.version.0);
    write_expected(out, deposit.expected);
    out.put(&deposit.name_token.0).put(&deposit.manifest.0).put(&deposit.address_root.0).put(&deposit.address_list.0);
    out.u32(deposit.address_count).u64(deposit.stored_bytes).put(&deposit.dek_commit.0);
    out.put(&deposit.wrap.0).put(&deposit.summary.0);
    deposit.policy.write(out);
    deposit.report.iter().for_each(|report| report.write(out));
}

fn write_expected(out: &mut Writer, expected: Expected) {
    match expected {
        Expected::Any => out.u8(0).zeros(16),
        Expected::Absent => out.u8(1).zeros(16),
        Expected::Version(version) => out.u8(2).put(&version.0),
    };
}

fn read_statement(reader: &mut Reader<'_>) -> Result<Statement> {
    if reader.array::<4>("entry magic")? != MAGIC {
        return Err(Error::Magic { what: "entry" });
    }
    match reader.u8("entry version")? {
        VERSION => {}
        found => return Err(Error::Version { what: "entry", found, known: VERSION }),
    }
    let suite = Suite::try_from(reader.u8("suite")?)?;
    let kind = reader.u8("entry kind")?;
    reader.zeros(1, "reserved byte of the entry")?;
    let statement = Statement {
        suite,
        log: LogId::read(reader)?,
        hospital: HospitalId::read(reader)?,
        device: DeviceId::read(reader)?,
        device_seq: reader.u64("device sequence")?,
        prev: Digest::read(reader)?,
        seen: Seen { size: reader.u64("seen size")?, root: Digest::read(reader)? },
        claimed_ms: reader.u64("claimed time")?,
        body: read_body(reader, kind)?,
    };
    check(&statement)?;
    Ok(statement)
}

/// What one field says about another.
fn check(statement: &Statement) -> Result<()> {
    if statement.device_seq == 0 && statement.prev.0 != [0; 32] {
        return Err(Error::Invalid { what: "previous entry", why: "the first entry of a device has none" });
    }
    if statement.seen.size == 0 && statement.seen != Seen::nothing() {
        return Err(Error::Invalid { what: "seen root", why: "an empty log has the empty root" });
    }
    match &statement.body {
        Body::Device(change) if change.key.suite() != statement.suite => {
            Err(Error::Suite { found: change.key.suite().code(), expected: "the suite of the entry" })
        }
        _ => Ok(()),
    }
}

fn read_body(reader: &mut Reader<'_>, kind: u8) -> Result<Body> {
    match kind {
        1 | 6 => read_deposit(reader, kind == 6).map(|deposit| Body::Deposit(Box::new(deposit))),
        2 => read_name_change(reader).map(Body::Marker),
        3 => read_name_change(reader).map(Body::Policy),
        4 => {
            let enrol = reader.flag("device change")?;
            let key = PublicKey::read(reader)?;
            Ok(Body::Device(DeviceChange { enrol, key, certificate: Signature::read(reader)? }))
        }
        5 => Act::read(reader).map(Body::Act),
        _ => Err(Error::Invalid { what: "entry kind", why: "no such kind in this release" }),
    }
}

fn read_deposit(reader: &mut Reader<'_>, reported: bool) -> Result<Deposit> {
    Ok(Deposit {
        version: VersionId::read(reader)?,
        expected: read_expected(reader)?,
        name_token: NameToken::read(reader)?,
        manifest: Address::read(reader)?,
        address_root: Digest::read(reader)?,
        address_list: Address::read(reader)?,
        address_count: reader.u32("address count")?,
        stored_bytes: reader.u64("stored bytes")?,
        dek_commit: Digest::read(reader)?,
        wrap: Address::read(reader)?,
        summary: Address::read(reader)?,
        policy: DepositPolicy::read(reader)?,
        report: if reported { Some(Address::read(reader)?) } else { None },
    })
}

fn read_name_change(reader: &mut Reader<'_>) -> Result<NameChange> {
    Ok(NameChange {
        version: VersionId::read(reader)?,
        expected: read_expected(reader)?,
        name_token: NameToken::read(reader)?,
        summary: Address::read(reader)?,
    })
}

fn read_expected(reader: &mut Reader<'_>) -> Result<Expected> {
    let kind = reader.u8("expected kind")?;
    let version = VersionId::read(reader)?;
    match (kind, version.0 == [0; 16]) {
        (0, true) => Ok(Expected::Any),
        (1, true) => Ok(Expected::Absent),
        (2, _) => Ok(Expected::Version(version)),
        _ => Err(Error::Invalid { what: "expected version", why: "unused bytes must be zero" }),
    }
}

/// An entry at its place in the ledger, as it is stored: leaf index, acceptance time, entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedEntry {
    /// leaf index
    pub index: u64,
    /// the vault's clock when it was accepted, in milliseconds since 1970
    pub accepted_ms: u64,
    /// the entry
    pub entry: Entry,
}

impl PlacedEntry {
    /// The stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(16 + self.entry.bytes.len());
        out.u64(self.index).u64(self.accepted_ms).put(&self.entry.bytes);
        out.finish()
    }

    /// Reads what was stored.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "placed entry");
        let (index, accepted_ms) = (reader.u64("leaf index")?, reader.u64("accepted time")?);
        Ok(PlacedEntry { index, accepted_ms, entry: Entry::decode(reader.rest())? })
    }
}
