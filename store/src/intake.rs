//! Intake: everything about a deposit that can be judged on its own, before it gets a place in the ledger. Runs on the
//! caller's thread, in parallel with other callers; what depends on the order of entries is judged in `sequence`.
//!
//! Invariants
//! - An entry that leaves here is signed by the device it names, meant for this log, not ahead of time, and knows only
//!   a history that this log had.
//! - Every record it names is held or sent along, is of the right kind, hospital, version and suite, and nothing else
//!   was sent along. So the list of addresses is complete before anyone is told that the deposit is.
//! - Content is what the agreement in force allows; how much of it may still come is judged in its order.
//! - Nothing is stored here.
//!
//! Not here: opening what is sealed. The operator checks framing and addresses, and cannot check more.

use crate::agreements::{self, Agreements};
use crate::error::{Error, Result};
use crate::hospitals::HospitalInfo;
use crate::index::Index;
use crate::ledger::Ledger;
use crate::malware;
use crate::records::Records;
use crate::rows::{self, DeviceRow, EpochRow, LeafIndex, RoleRow, Rows};
use bytes::Bytes;
use shosoin_protocol::act::{Act, Author, Document, Epoch, Rewrap, Role, Terms};
use shosoin_protocol::api::{DepositRequest, InlineRecord};
use shosoin_protocol::entry::{Body, Deposit, DeviceChange, Entry, Statement};
use shosoin_protocol::envelope::{Context, Envelope, EnvelopeType};
use shosoin_protocol::limits::{
    CLOCK_AHEAD_MS_MAX, DEPOSIT_BYTES_MAX, DEPOSIT_RECORDS_MAX, SUMMARY_BYTES_MAX, WRAP_BYTES_MAX,
};
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{Address, DeviceId, Digest, LogId, RecordKind, VersionId};
use shosoin_tiers::Record;
use std::collections::HashMap;
use std::sync::Arc;

/// A deposit that passed, with the records sent along.
#[derive(Debug)]
pub struct Prepared {
    /// its entry
    pub entry: Entry,
    /// records sent along
    pub records: Vec<Record>,
    /// what its act says, where it is one
    pub document: Option<Document>,
}

/// What intake knows of the hospital that deposits.
pub struct Intake<'a> {
    /// who deposits
    pub hospital: &'a HospitalInfo,
    /// its log at this vault
    pub log: LogId,
    /// its ledger
    pub ledger: &'a Ledger,
    /// what is held
    pub records: &'a Records,
    /// rows of devices
    pub index: &'a dyn Index,
    /// what was agreed on
    pub agreements: &'a Agreements,
    /// the vault's clock
    pub now_ms: u64,
    /// when the medium was packed that deposits came on
    pub packed_ms: Option<u64>,
}

/// What earlier deposits of a batch bring to the later ones. Each entry must follow the one before it, so should an
/// earlier one be refused after all, every later one is out of sequence.
#[derive(Default)]
struct Earlier {
    /// device, next sequence and leaf hash of the entry before; `None` before the first
    previous: Option<(DeviceId, u64, Digest)>,
    devices: HashMap<DeviceId, PublicKey>,
    records: HashMap<Address, Named>,
}

/// A record sent along, now or earlier, or held.
#[derive(Clone, Copy)]
struct Named {
    kind: RecordKind,
    len_bytes: u64,
}

impl Named {
    fn of(record: &InlineRecord) -> Self {
        Named { kind: record.kind, len_bytes: record.bytes.len() as u64 }
    }
}

impl Earlier {
    fn is_followed_by(&self, next: &Statement) -> Result<()> {
        match self.previous {
            Some(previous) if previous != (next.device, next.device_seq, next.prev) => Err(Error::NotAfterPrevious),
            _ => Ok(()),
        }
    }
}

impl Intake<'_> {
    /// Judges the deposits of a batch in their order. After one that is refused, so are the rest.
    pub fn prepare(&self, deposits: &[DepositRequest]) -> Vec<Result<Prepared>> {
        let mut earlier = Earlier::default();
        let mut refused = false;
        let judge = |deposit: &DepositRequest| {
            let judged = if refused { Err(Error::NotAfterPrevious) } else { self.judge(deposit, &mut earlier) };
            refused = judged.is_err();
            judged
        };
        deposits.iter().map(judge).collect()
    }

    /// Judges a chunk, or a page of a manifest, that is sent before its deposit.
    pub fn chunk(&self, address: Address, bytes: Bytes) -> Result<Record> {
        self.agreements.for_content(self.now_ms)?;
        let suite = self.hospital.suite;
        suite.verify(&address, &bytes).map_err(|source| Error::Malformed { what: "chunk", source })?;
        let envelope = Envelope::parse(&bytes).map_err(|source| Error::Malformed { what: "chunk", source })?;
        let kind = match envelope.header.kind {
            EnvelopeType::Manifest => RecordKind::Manifest,
            _ => RecordKind::Chunk,
        };
        self.envelope(kind, SealedTo::Itself, &bytes, None)?;
        Ok(Record { kind, address, bytes })
    }

    fn judge(&self, request: &DepositRequest, earlier: &mut Earlier) -> Result<Prepared> {
        within_limits(request)?;
        let entry = Entry::decode(&request.entry).map_err(|source| Error::Malformed { what: "entry", source })?;
        let statement = entry.statement();
        earlier.is_followed_by(statement)?;
        self.meant_for_this_log(statement)?;
        self.not_ahead(statement)?;
        let key = self.signed(&entry, earlier)?;
        self.knows_our_history(statement)?;
        let parcel = Parcel::new(self, &request.records, earlier);
        let mut document = None;
        match &statement.body {
            Body::Deposit(deposit) => {
                let terms = self.agreed(Some(&deposit.policy))?;
                parcel.complete(deposit, self.seals_to(statement.device)?)?;
                let report = parcel.report(deposit)?;
                let moment = malware::Moment { now_ms: self.now_ms, packed_ms: self.packed_ms };
                malware::judge(terms.as_deref(), statement, deposit, report.as_deref(), &key, moment)?;
            }
            Body::Marker(change) | Body::Policy(change) => {
                drop(self.agreed(None)?);
                parcel.summary(change.version, &change.summary, SealedTo::Itself)?;
                parcel.nothing_but(|address| *address == change.summary)?;
            }
            Body::Device(change) => {
                self.certified(change)?;
                parcel.nothing_but(|_| false)?;
            }
            Body::Act(act) => {
                let stated = parcel.act(act)?;
                if let Document::Agreement(agreed) = &stated {
                    let verified = agreed.verify(&self.agreements.parties());
                    verified.map_err(|source| Error::Malformed { what: "agreement", source })?;
                }
                document = Some(stated);
            }
        }
        let (records, named) = parcel.into_records();
        earlier.records.extend(named);
        earlier.previous = Some((statement.device, statement.device_seq.saturating_add(1), entry.leaf_hash()));
        if let Body::Device(change) = &statement.body {
            earlier.devices.insert(change.key.device_id(), change.key.clone());
        }
        Ok(Prepared { entry, records, document })
    }

    /// Whom a device seals wraps and summaries to.
    fn seals_to(&self, device: DeviceId) -> Result<SealedTo> {
        let role = self.index.row::<RoleRow>(&rows::role_key(self.hospital.hospital, device))?;
        Ok(match role.map(|row| row.role) {
            Some(Role::DepositOnly) => SealedTo::Hospital,
            None => SealedTo::Itself,
        })
    }

    /// Content is taken under an agreement, where one is needed or there is one, and is what it allows.
    fn agreed(&self, policy: Option<&DepositPolicy>) -> Result<Option<Arc<Terms>>> {
        let terms = self.agreements.for_content(self.now_ms)?;
        if let (Some(terms), Some(policy)) = (&terms, policy) {
            agreements::allows(terms, policy)?;
        }
        Ok(terms)
    }

    fn meant_for_this_log(&self, statement: &Statement) -> Result<()> {
        match statement {
            _ if statement.hospital != self.hospital.hospital => {
                Err(Error::Misdirected { why: "it is of another hospital than the caller" })
            }
            _ if statement.log != self.log => Err(Error::Misdirected { why: "it is meant for another log" }),
            _ if statement.suite != self.hospital.suite => {
                Err(Error::Invalid { what: "entry", why: "its suite is not the hospital's" })
            }
            _ => Ok(()),
        }
    }

    fn not_ahead(&self, statement: &Statement) -> Result<()> {
        let ahead_ms = statement.claimed_ms.saturating_sub(self.now_ms);
        match ahead_ms <= CLOCK_AHEAD_MS_MAX {
            true => Ok(()),
            false => Err(Error::ClockSkew { ahead_ms, limit_ms: CLOCK_AHEAD_MS_MAX }),
        }
    }

    /// A device's id is a digest of its key, so a key with that id is the right one wherever it comes from; whether the
    /// device may sign is for `sequence` to say.
    fn signed(&self, entry: &Entry, earlier: &Earlier) -> Result<PublicKey> {
        let device = entry.statement().device;
        let key = match entry.body() {
            Body::Device(change) if change.key.device_id() == device => Some(change.key.clone()),
            _ => match earlier.devices.get(&device) {
                Some(key) => Some(key.clone()),
                None => self.device(device)?.key,
            },
        };
        let key = key.ok_or(Error::UnknownDevice { device, why: "is not enrolled" })?;
        entry.verify(&key).map_err(|source| Error::Malformed { what: "entry", source })?;
        Ok(key)
    }

    fn device(&self, device: DeviceId) -> Result<DeviceRow> {
        Ok(self.index.row(&rows::device_key(self.hospital.hospital, device))?.unwrap_or_default())
    }

    fn knows_our_history(&self, statement: &Statement) -> Result<()> {
        let seen = statement.seen;
        match self.ledger.root_at(seen.size)? == Some(seen.root) {
            true => Ok(()),
            false => {
                let (device, seen_size, seen_root) = (statement.device, seen.size, seen.root);
                Err(Error::ForeignHistory { device, seen_size, seen_root })
            }
        }
    }

    fn certified(&self, change: &DeviceChange) -> Result<()> {
        if change.key.suite() != self.hospital.suite {
            return Err(Error::Invalid { what: "device", why: "its key is not of the hospital's suite" });
        }
        let verified = change.verify(self.log, &self.hospital.hospital_key);
        verified.map_err(|source| Error::Malformed { what: "device certificate", source })
    }

    /// Refuses an envelope that is not of this hospital, its suite, and the right kind and version.
    fn envelope(&self, kind: RecordKind, to: SealedTo, bytes: &[u8], version: Option<VersionId>) -> Result<()> {
        let what = noun(kind);
        let malformed = |source| Error::Malformed { what, source };
        let expected = match (kind, to) {
            (RecordKind::Manifest, _) => EnvelopeType::Manifest,
            (RecordKind::Wrap, SealedTo::Itself) => EnvelopeType::Wrap,
            (RecordKind::Wrap, SealedTo::Hospital) => EnvelopeType::HospitalWrap,
            (RecordKind::Summary, SealedTo::Itself) => EnvelopeType::Summary,
            (RecordKind::Summary, SealedTo::Hospital) => EnvelopeType::HospitalSummary,
            _ => EnvelopeType::Chunk,
        };
        let envelope = Envelope::parse(bytes).map_err(malformed)?;
        envelope.expect(self.hospital.hospital, expected).map_err(malformed)?;
        if envelope.header.suite != self.hospital.suite {
            return Err(Error::Invalid { what, why: "its suite is not the hospital's" });
        }
        let of = match envelope.context {
            Context::Chunk => None,
            Context::Manifest { version, .. } | Context::Wrap { version, .. } | Context::Summary { version, .. } => {
                Some(version)
            }
            Context::HospitalWrap { version, .. } | Context::HospitalSummary { version, .. } => Some(version),
        };
        match (version, of) {
            (Some(expected), Some(found)) if expected != found => {
                Err(Error::Invalid { what, why: "it is sealed for another version" })
            }
            _ => Ok(()),
        }
    }
}

/// Whom wraps and summaries are sealed to: the machines that hold the hospital's secrets, or the hospital's key for deposits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SealedTo {
    Itself,
    Hospital,
}

/// The records of one deposit: those sent along, and those held.
struct Parcel<'a> {
    intake: &'a Intake<'a>,
    earlier: &'a Earlier,
    sent: HashMap<Address, &'a InlineRecord>,
}

impl<'a> Parcel<'a> {
    fn new(intake: &'a Intake<'a>, records: &'a [InlineRecord], earlier: &'a Earlier) -> Self {
        let suite = intake.hospital.suite;
        let sent = records.iter().map(|record| (suite.address(&record.bytes), record)).collect();
        Parcel { intake, earlier, sent }
    }

    /// Everything a deposit names is here or held, and is what the entry says.
    fn complete(&self, deposit: &Deposit, to: SealedTo) -> Result<()> {
        let manifest = self.fetch(RecordKind::Manifest, &deposit.manifest)?;
        self.intake.envelope(RecordKind::Manifest, to, &manifest, Some(deposit.version))?;
        match to {
            SealedTo::Itself => drop(self.wrap(deposit.version, &deposit.wrap)?),
            SealedTo::Hospital => drop(self.fetch_wrap(deposit.version, &deposit.wrap, to)?),
        }
        self.summary(deposit.version, &deposit.summary, to)?;
        let list = self.list(deposit)?;
        self.nothing_but(|address| {
            deposit.own_records().contains(address) || list.addresses().binary_search(address).is_ok()
        })?;
        let stored_bytes = self.all_held(deposit.version, &list)? + manifest.len() as u64;
        match stored_bytes == deposit.stored_bytes {
            true => Ok(()),
            false => Err(Error::Invalid { what: "entry", why: "its stored bytes are not those of its records" }),
        }
    }

    /// The malware report that a deposit names.
    fn report(&self, deposit: &Deposit) -> Result<Option<Bytes>> {
        deposit.report.as_ref().map(|report| self.fetch(RecordKind::Document, report)).transpose()
    }

    /// An act is the hospital's to state, and its document is here or held and says what such a document may say.
    fn act(&self, act: &Act) -> Result<Document> {
        if act.kind.author() == Author::Operator {
            return Err(Error::Invalid { what: "act", why: "only the operator can state one of this kind" });
        }
        let bytes = self.fetch(RecordKind::Document, &act.document)?;
        let document = Document::decode(act.kind, &bytes);
        let document = document.map_err(|source| Error::Malformed { what: "document", source })?;
        let named = document.names();
        self.nothing_but(|address| *address == act.document || named.contains(address))?;
        for address in &named {
            if self.named(address)?.is_none() {
                return Err(Error::MissingAddresses { count: named.len(), first: *address });
            }
        }
        if let Document::Rewrap(rewrap) = &document {
            self.rewrap(rewrap)?;
        }
        Ok(document)
    }

    /// Every new wrap is of the version and the epoch that the act says, and the versions are in the ledger.
    fn rewrap(&self, rewrap: &Rewrap) -> Result<()> {
        for (version, address) in rewrap.wraps() {
            if self.wrap(*version, address)? != rewrap.epoch() {
                return Err(Error::Invalid { what: "wrap", why: "it is of another epoch than its act says" });
            }
            let key = rows::version_key(self.intake.hospital.hospital, *version);
            if self.intake.index.row::<LeafIndex>(&key)?.is_none() {
                return Err(Error::NotFound { what: "version", id: version.to_string() });
            }
        }
        Ok(())
    }

    /// The wrap is here or held, and is of this version and of an epoch that has begun; gives the epoch.
    fn wrap(&self, version: VersionId, address: &Address) -> Result<u32> {
        let wrap = self.fetch_wrap(version, address, SealedTo::Itself)?;
        let envelope = Envelope::parse(&wrap).map_err(|source| Error::Malformed { what: "wrap", source })?;
        let Context::Wrap { epoch, .. } = envelope.context else { return Err(Error::Bug("a wrap of another kind")) };
        let newest = self.intake.index.row::<EpochRow>(&rows::epoch_key(self.intake.hospital.hospital))?;
        match (Epoch::FIRST..=newest.unwrap_or_default().0).contains(&epoch) {
            true => Ok(epoch),
            false => Err(Error::Invalid { what: "wrap", why: "it is of an epoch that has not begun in the ledger" }),
        }
    }

    fn fetch_wrap(&self, version: VersionId, address: &Address, to: SealedTo) -> Result<Bytes> {
        let wrap = self.fetch(RecordKind::Wrap, address)?;
        if wrap.len() > WRAP_BYTES_MAX {
            return Err(Error::Invalid { what: "wrap", why: "it is over its limit of 4 KiB" });
        }
        self.intake.envelope(RecordKind::Wrap, to, &wrap, Some(version)).map(|()| wrap)
    }

    /// The summary is here or held, and is of this version.
    fn summary(&self, version: VersionId, address: &Address, to: SealedTo) -> Result<()> {
        let summary = self.fetch(RecordKind::Summary, address)?;
        if summary.len() > SUMMARY_BYTES_MAX {
            return Err(Error::Invalid { what: "summary", why: "it is over its limit of 1,088 KiB" });
        }
        self.intake.envelope(RecordKind::Summary, to, &summary, Some(version))
    }

    /// The address list, which must be the one the entry commits to.
    fn list(&self, deposit: &Deposit) -> Result<AddressList> {
        let bytes = self.fetch(RecordKind::AddressList, &deposit.address_list)?;
        let list = AddressList::decode(&bytes);
        let list = list.map_err(|source| Error::Malformed { what: "address list", source })?;
        let why = match &list {
            list if list.addresses().len() != deposit.address_count as usize => {
                "it has another count than the entry says"
            }
            list if list.root() != deposit.address_root => "its root is not the one in the entry",
            _ => return Ok(list),
        };
        Err(Error::Invalid { what: "address list", why })
    }

    /// Bytes of all listed records together; refuses a list with addresses that are neither held nor sent along.
    fn all_held(&self, version: VersionId, list: &AddressList) -> Result<u64> {
        let (mut total, mut missing) = (0u64, Vec::new());
        for address in list.addresses() {
            match self.named(address)? {
                Some(Named { kind: RecordKind::Chunk | RecordKind::Manifest, len_bytes }) => total += len_bytes,
                Some(_) => {
                    return Err(Error::Invalid { what: "address list", why: "it names a record that is no chunk" });
                }
                None => missing.push(*address),
            }
            if let Some(record) = self.sent.get(address) {
                self.intake.envelope(record.kind, SealedTo::Itself, &record.bytes, Some(version))?;
            }
        }
        match missing.first() {
            None => Ok(total),
            Some(first) => Err(Error::MissingAddresses { count: missing.len(), first: *first }),
        }
    }

    fn named(&self, address: &Address) -> Result<Option<Named>> {
        if let Some(record) = self.sent.get(address) {
            return Ok(Some(Named::of(record)));
        }
        if let Some(named) = self.earlier.records.get(address) {
            return Ok(Some(*named));
        }
        let held = self.intake.records.held(self.intake.hospital.hospital, address)?;
        Ok(held.map(|row| Named { kind: row.kind, len_bytes: row.at.len.into() }))
    }

    /// The bytes of a record the entry names: sent along, or held from an earlier attempt.
    fn fetch(&self, kind: RecordKind, address: &Address) -> Result<Bytes> {
        match self.sent.get(address) {
            Some(record) if record.kind == kind => Ok(record.bytes.clone()),
            Some(_) => Err(Error::Invalid { what: noun(kind), why: "it was sent as another kind of record" }),
            None => {
                let HospitalInfo { hospital, suite, .. } = *self.intake.hospital;
                match self.intake.records.read(hospital, suite, address) {
                    Err(Error::NotFound { .. }) => Err(Error::MissingAddresses { count: 1, first: *address }),
                    other => other,
                }
            }
        }
    }

    /// Refuses records that the entry does not name: nobody could ever ask for them or dispose of them.
    fn nothing_but(&self, is_named: impl Fn(&Address) -> bool) -> Result<()> {
        match self.sent.keys().all(is_named) {
            true => Ok(()),
            false => Err(Error::Invalid { what: "deposit", why: "it brings records that its entry does not name" }),
        }
    }

    fn into_records(self) -> (Vec<Record>, Vec<(Address, Named)>) {
        let named = self.sent.iter().map(|(address, sent)| (*address, Named::of(sent))).collect();
        let record =
            |(address, sent): (Address, &InlineRecord)| Record { kind: sent.kind, address, bytes: sent.bytes.clone() };
        (self.sent.into_iter().map(record).collect(), named)
    }
}

/// Limits that the codec enforces on the wire, for callers in this process.
fn within_limits(request: &DepositRequest) -> Result<()> {
    let over = |what, found, limit| Error::Malformed {
        what: "deposit",
        source: shosoin_protocol::Error::OverLimit { what, found: found as u64, limit: limit as u64 },
    };
    let bytes = request.entry.len() + request.records.iter().map(|record| record.bytes.len()).sum::<usize>();
    match (request.records.len(), bytes) {
        (count, _) if count > DEPOSIT_RECORDS_MAX => Err(over("records of a deposit", count, DEPOSIT_RECORDS_MAX)),
        (_, bytes) if bytes > DEPOSIT_BYTES_MAX => Err(over("deposit", bytes, DEPOSIT_BYTES_MAX)),
        _ => Ok(()),
    }
}

fn noun(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Chunk => "chunk",
        RecordKind::Manifest => "manifest",
        RecordKind::AddressList => "address list",
        RecordKind::Wrap => "wrap",
        RecordKind::Summary => "summary",
        RecordKind::Entry => "entry",
        RecordKind::Checkpoint => "checkpoint",
        RecordKind::Document => "document",
    }
}
