//! Everything the vault does for one hospital: its desk. Synchronous; the vault calls it from threads that may block.

use crate::agreements::Agreements;
use crate::committer::{Committer, Places};
use crate::disposal::standing;
use crate::error::{Error, Result};
use crate::group::{Done, Seat, Workplace};
use crate::handover;
use crate::hospitals::{HospitalInfo, Machine};
use crate::index::Index;
use crate::intake::{Intake, Prepared};
use crate::ledger::{Head, Ledger};
use crate::open::Standing;
use crate::records::Records;
use crate::rows::{self, DeviceRow, DeviceState, EndedRow, LeafIndex, LeafRow, NameRow, RoleRow, Rows, WrapRow};
use bytes::Bytes;
use parking_lot::RwLock;
use shosoin_protocol::act::{Document, HandOverIn, Role};
use shosoin_protocol::answer::{Answer, AuditReply, Nonce, Outcome, Said};
use shosoin_protocol::api::{
    DepositReplies, DepositRequest, DeviceReply, LogItem, LogPage, TakenOver, VersionReply, code,
};
use shosoin_protocol::entry::{Body, Deposit, Entry, PlacedEntry};
use shosoin_protocol::limits::{LOG_PAGE_BYTES_MAX, LOG_PAGE_ENTRIES_MAX};
use shosoin_protocol::receipt::{Durable, Inclusion, Receipt};
use shosoin_protocol::{Address, DeviceId, Digest, Lineage, LogId, NameToken, VaultId, VersionId};
use shosoin_tiers::{Clock, Record, Tier};
use std::sync::{Arc, OnceLock};

/// The desk of one hospital.
pub struct Desk {
    info: HospitalInfo,
    /// all its machines, those that came since the desk was opened among them
    machines: RwLock<Vec<Machine>>,
    log: LogId,
    ledger: Arc<Ledger>,
    records: Arc<Records>,
    index: Arc<dyn Index>,
    clock: Arc<dyn Clock>,
    agreements: Arc<Agreements>,
    committer: Committer,
    unseen: Option<String>,
    lineage: OnceLock<Lineage>,
}

impl Desk {
    /// Opens a desk.
    pub fn open(workplace: Workplace, log: LogId, standing: Standing) -> Result<Self> {
        let halted = standing.halted.or_else(|| workplace.ledger.broken().map(str::to_owned));
        Ok(Desk {
            info: workplace.hospital.clone(),
            machines: RwLock::new(workplace.hospital.machines.clone()),
            log,
            ledger: workplace.ledger.clone(),
            records: workplace.records.clone(),
            index: workplace.index.clone(),
            clock: workplace.clock.clone(),
            agreements: workplace.agreements.clone(),
            committer: Committer::start(workplace, halted)?,
            unseen: standing.unseen,
            lineage: OnceLock::new(),
        })
    }

    /// The newest head, where it is known.
    pub fn head(&self) -> Result<Arc<Head>> {
        match &self.unseen {
            None => Ok(self.ledger.head()),
            Some(why) => Err(Error::LogUnseen { hospital: self.info.hospital, why: why.clone() }),
        }
    }

    /// Refuses where no entry would be taken anyway.
    pub fn takes_entries(&self) -> Result<()> {
        let read_only = |why| Err(Error::ReadOnly { hospital: self.info.hospital, why });
        self.committer.halted().map_or(Ok(()), read_only)
    }

    /// Proof that the log of `from` leaves is a prefix of the log of `to` leaves.
    pub fn consistency(&self, from: u64, to: u64) -> Result<Vec<Digest>> {
        self.head()?;
        self.ledger.consistency(from, to)
    }

    /// Whose desk it is.
    pub fn info(&self) -> &HospitalInfo {
        &self.info
    }

    /// Whose desk it is, with every machine of today.
    pub fn info_now(&self) -> HospitalInfo {
        HospitalInfo { machines: self.machines.read().clone(), ..self.info.clone() }
    }

    /// From now on these are its machines.
    pub fn set_machines(&self, machines: Vec<Machine>) {
        *self.machines.write() = machines;
    }

    /// Whether a machine with this pin is let in: it is enrolled, and its device was not revoked.
    pub fn lets_in(&self, pin: &[u8; 32]) -> Result<bool> {
        self.device_of(pin).map(|device| device.is_some())
    }

    /// The device of that machine.
    pub fn device_of(&self, pin: &[u8; 32]) -> Result<Option<DeviceId>> {
        let device = self.machines.read().iter().find(|machine| machine.tls_pin == *pin).map(|machine| machine.device);
        let Some(device) = device else { return Ok(None) };
        let row = self.index.row::<DeviceRow>(&rows::device_key(self.info.hospital, device))?.unwrap_or_default();
        Ok((row.state != DeviceState::Revoked).then_some(device))
    }

    /// Whether a device may deposit and nothing else.
    pub fn only_deposits(&self, device: DeviceId) -> Result<bool> {
        let role = self.index.row::<RoleRow>(&rows::role_key(self.info.hospital, device))?;
        Ok(role.is_some_and(|row| row.role == Role::DepositOnly))
    }

    /// Which log it is.
    pub fn log(&self) -> LogId {
        self.log
    }

    /// The vaults that kept the ledger. It grows only where a hospital is taken over, before its desk is seen by anybody.
    pub fn lineage(&self) -> Result<&Lineage> {
        if let Some(lineage) = self.lineage.get() {
            return Ok(lineage);
        }
        let lineage = handover::lineage(self, &*self.index)?;
        Ok(self.lineage.get_or_init(|| lineage))
    }

    /// The acts by which vaults took the ledger over, oldest first.
    pub fn taken_over(&self) -> Result<Vec<TakenOver>> {
        let hex = |(entry, document): (Entry, HandOverIn)| TakenOver {
            entry: hex::encode(entry.bytes()),
            document: hex::encode(Document::HandOverIn(Box::new(document)).encode()),
        };
        Ok(handover::taken_over(self, &*self.index)?.into_iter().map(hex).collect())
    }

    /// The act that ended the log, unless that was taken back.
    pub fn ended(&self) -> Result<Option<EndedRow>> {
        let row = self.index.row::<EndedRow>(&rows::ended_key(self.info.hospital))?;
        Ok(row.filter(|row| row.ended))
    }

    /// The hospital's ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The vault's clock.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// What was agreed on with it.
    pub fn agreements(&self) -> &Agreements {
        &self.agreements
    }

    /// The hospital's committer.
    pub fn committer(&self) -> &Committer {
        &self.committer
    }

    /// For each address, whether it is missing.
    pub fn missing(&self, addresses: &[Address]) -> Result<Vec<bool>> {
        let missing = |address| Ok(self.records.offered(self.info.hospital, address)?.is_none());
        addresses.iter().map(missing).collect()
    }

    /// Judges a chunk; `None` if it is held already.
    pub fn judge_chunk(&self, address: Address, bytes: Bytes) -> Result<Option<Record>> {
        let record = self.intake().chunk(address, bytes)?;
        self.agreements.within_quota(0, record.bytes.len() as u64, self.clock.now_ms())?;
        Ok(self.records.offered(self.info.hospital, &address)?.is_none().then_some(record))
    }

    /// Judges the deposits of a batch.
    pub fn prepare(&self, deposits: &[DepositRequest], packed_ms: Option<u64>) -> Vec<Result<Prepared>> {
        Intake { packed_ms, ..self.intake() }.prepare(deposits)
    }

    fn intake(&self) -> Intake<'_> {
        Intake {
            hospital: &self.info,
            log: self.log,
            ledger: &self.ledger,
            records: &self.records,
            index: self.index.as_ref(),
            agreements: &self.agreements,
            now_ms: self.clock.now_ms(),
            packed_ms: None,
        }
    }

    /// Proves and signs the places of a batch.
    pub fn receipts(&self, places: Places) -> DepositReplies {
        let receipt = |seat: Result<Seat>| {
            let (seat, done) = (seat?, places.done.as_deref().ok_or(Error::Bug("a seat in a group that was not"))?);
            self.receipt(&seat, done)
        };
        let replies = places.seats.into_iter().map(|seat| receipt(seat).map_err(|error| error.problem()));
        DepositReplies { replies: replies.collect() }
    }

    fn receipt(&self, seat: &Seat, done: &Done) -> Result<Receipt> {
        let proof = self.ledger.inclusion(&seat.leaf, seat.index, &done.head)?;
        let checkpoint = done.head.checkpoint.clone();
        let inclusion = Inclusion { index: seat.index, accepted_ms: seat.accepted_ms, proof, checkpoint };
        Ok(Receipt::sign(seat.leaf, inclusion, done.durable, self.ledger.key()))
    }

    /// A receipt for a version that has its place already, under the newest head: as much as was durable when it got it.
    pub fn receipt_again(&self, tier: &Tier, version: VersionId) -> Result<Receipt> {
        let VersionReply { entry, inclusion, .. } = self.version(version)?;
        let bad = |source| Error::Malformed { what: "entry", source };
        let leaf = Entry::decode(&entry).map_err(bad)?.leaf_hash();
        let row = self.index.row::<LeafRow>(&rows::leaf_key(self.info.hospital, inclusion.index))?;
        let segment = row.and_then(|row| tier.segment_info(row.at.segment));
        let code = segment.ok_or(Error::Bug("an entry that was read is in a segment"))?.code;
        let (k, m) = code.bytes();
        let durable = Durable { level: 1, sites: 1, k, m };
        Ok(Receipt::sign(leaf, inclusion, durable, self.ledger.key()))
    }

    /// One record.
    pub fn record(&self, address: &Address) -> Result<Bytes> {
        self.records.read(self.info.hospital, self.info.suite, address)
    }

    /// Where a record is, if it is held.
    pub fn held(&self, address: &Address) -> Result<Option<rows::RecordRow>> {
        self.records.held(self.info.hospital, address)
    }

    /// The signed answer to an audit, and the record where it is given: read on media, whatever the index says of it.
    pub fn audit(&self, vault: VaultId, address: Address, nonce: Nonce) -> Result<AuditReply> {
        let (hospital, suite) = (self.info.hospital, self.info.suite);
        let (record, outcome) = match self.records.read_on_media(hospital, suite, &address) {
            Ok(record) => {
                let len = u32::try_from(record.len()).map_err(|_| Error::Bug("a record is below 4 GiB"))?;
                let outcome = Outcome::Given { len, digest: suite.digest(&[&record]) };
                (record, outcome)
            }
            Err(error) => (Bytes::new(), refused(error)?),
        };
        let (time_ms, checkpoint) = (self.clock.now_ms(), self.head()?.checkpoint.clone());
        let said = Said { vault, hospital, nonce, address, outcome, time_ms, checkpoint };
        Ok(AuditReply { answer: Answer::sign(said, self.ledger.key()), record })
    }

    /// One version.
    pub fn version(&self, version: VersionId) -> Result<VersionReply> {
        let not_found = || Error::NotFound { what: "version", id: version.to_string() };
        let row = self.index.row::<LeafIndex>(&rows::version_key(self.info.hospital, version))?;
        let placed = self.entry(row.ok_or_else(not_found)?.0)?.ok_or_else(not_found)?;
        self.not_ended(version, placed.0.index)?;
        match placed.0.entry.body().name_change() {
            Some((found, _, _)) if found == version => self.reply(placed),
            _ => Err(misled("version", version)),
        }
    }

    /// Refuses a version whose records were disposed of.
    fn not_ended(&self, version: VersionId, leaf: u64) -> Result<()> {
        match standing::ended_by(self.index.as_ref(), self.info.hospital, version, leaf)? {
            Some(order) => Err(Error::Disposed { version, order }),
            None => Ok(()),
        }
    }

    /// Whether the records of an entry were disposed of.
    pub fn has_ended(&self, placed: &PlacedEntry) -> Result<bool> {
        let Some((version, _, _)) = placed.entry.body().name_change() else { return Ok(false) };
        Ok(standing::ended_by(self.index.as_ref(), self.info.hospital, version, placed.index)?.is_some())
    }

    /// The newest change of a name.
    pub fn name(&self, token: NameToken) -> Result<VersionReply> {
        let not_found = || Error::NotFound { what: "name", id: token.to_string() };
        let row = self.index.row::<NameRow>(&rows::name_key(self.info.hospital, token))?;
        let placed = self.entry(row.ok_or_else(not_found)?.index)?.ok_or_else(not_found)?;
        if let Some((version, _, _)) = placed.0.entry.body().name_change() {
            self.not_ended(version, placed.0.index)?;
        }
        match placed.0.entry.body().name_change() {
            Some((_, _, found)) if found == token => self.reply(placed),
            _ => Err(misled("name", token)),
        }
    }

    /// The index that leads to what it serves.
    pub fn index(&self) -> &dyn Index {
        self.index.as_ref()
    }

    /// The entry at a leaf, with its proof.
    pub fn entry_with_proof(&self, leaf: u64) -> Result<VersionReply> {
        let placed = self.entry(leaf)?.ok_or(Error::NotFound { what: "leaf", id: leaf.to_string() })?;
        self.reply(placed)
    }

    /// The entry of a leaf and a head over it; `None` where its group is not acknowledged.
    fn entry(&self, index: u64) -> Result<Option<(PlacedEntry, Arc<Head>)>> {
        let head = self.head()?;
        match index < head.size {
            true => Ok(Some((self.ledger.entry(index)?, head))),
            false => Ok(None),
        }
    }

    fn reply(&self, (placed, head): (PlacedEntry, Arc<Head>)) -> Result<VersionReply> {
        let PlacedEntry { index, accepted_ms, entry } = placed;
        let proof = self.ledger.inclusion(&entry.leaf_hash(), index, &head)?;
        let (wrap, manifest) = match entry.body() {
            Body::Deposit(deposit) => (self.newest_wrap(deposit)?, self.record(&deposit.manifest)?),
            _ => (Bytes::new(), Bytes::new()),
        };
        let inclusion = Inclusion { index, accepted_ms, proof, checkpoint: head.checkpoint.clone() };
        Ok(VersionReply { entry: Bytes::copy_from_slice(entry.bytes()), inclusion, wrap, manifest })
    }

    /// The newest wrap of each version; empty where there is none.
    pub fn wraps(&self, versions: &[VersionId]) -> Result<Vec<Bytes>> {
        versions.iter().map(|version| self.wrap_of(*version)).collect()
    }

    fn wrap_of(&self, version: VersionId) -> Result<Bytes> {
        let row = self.index.row::<LeafIndex>(&rows::version_key(self.info.hospital, version))?;
        let Some(row) = row else { return Ok(Bytes::new()) };
        match self.entry(row.0)?.as_ref().map(|(placed, _)| placed.entry.body()) {
            Some(Body::Deposit(deposit)) if deposit.version == version => match self.newest_wrap(deposit) {
                Err(Error::NotFound { .. }) => Ok(Bytes::new()),
                read => read,
            },
            _ => Ok(Bytes::new()),
        }
    }

    /// The wrap that an act named last, or the one that was deposited.
    fn newest_wrap(&self, deposit: &Deposit) -> Result<Bytes> {
        let row = self.index.row::<WrapRow>(&rows::wrap_key(self.info.hospital, deposit.version))?;
        self.record(&row.map_or(deposit.wrap, |row| row.address))
    }

    /// Where a device's chain of entries stands.
    pub fn device(&self, device: DeviceId) -> Result<DeviceReply> {
        let row = self.index.row::<DeviceRow>(&rows::device_key(self.info.hospital, device))?.unwrap_or_default();
        Ok(DeviceReply { next_seq: row.next_seq, prev: row.prev })
    }

    /// Entries from leaf `from` on, with their summaries and documents, as many as fit a page.
    pub fn log_page(&self, from: u64, count: u32) -> Result<LogPage> {
        let count = u64::from(count).min(LOG_PAGE_ENTRIES_MAX as u64);
        let end = self.head()?.size.min(from.saturating_add(count));
        let (mut items, mut bytes) = (Vec::new(), 0);
        for index in from..end {
            let placed = self.ledger.entry(index)?;
            let attachment = placed.entry.body().attachment();
            let attachment = match attachment.map_or(Ok(Bytes::new()), |address| self.record(&address)) {
                Err(Error::NotFound { .. }) if self.has_ended(&placed)? => Bytes::new(),
                other => other?,
            };
            bytes += placed.entry.bytes().len() + attachment.len() + LOG_ITEM_BYTES;
            if bytes > LOG_PAGE_BYTES_MAX {
                break;
            }
            items.push(LogItem { placed, attachment });
        }
        Ok(LogPage { items })
    }
}

/// What an item of a page of the log takes beside entry and summary.
const LOG_ITEM_BYTES: usize = 24;

/// What the vault must say of a record that it cannot give. What may pass is no answer, but a failure.
fn refused(error: Error) -> Result<Outcome> {
    match error.code() {
        code::NOT_FOUND => Ok(Outcome::NotHeld),
        code::UNREADABLE => Ok(Outcome::Unreadable),
        code::ON_SHELF => Ok(Outcome::OnShelf),
        _ => Err(error),
    }
}

/// A row that leads to an entry about something else.
fn misled(what: &'static str, id: impl ToString) -> Error {
    Error::Damaged { what, id: id.to_string(), why: "its row in the index leads to another entry".into() }
}
