//! The local view of names: what the summaries of the ledger add up to, in an embedded database.
//!
//! Invariants
//! - The view is a function of a prefix of the ledger: the rows say which ([`row::PositionRow`]), and rows and position
//!   change together or not at all.
//! - Only entries that were verified to be in the ledger are applied, each once, in the order of the ledger.
//! - It is a cache. Deleted, damaged, or of another format, it is rebuilt from the ledger; so nothing here is synced.
//!
//! Not here: following the ledger (`ledger`), what S3 makes of the rows (`gateway`).

mod apply;
mod ended;
mod filling;
pub mod keeping;
mod key;
pub mod list;
pub mod row;

use crate::{Error, Result, ViewRow};
pub use filling::Filling;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, Readable, Slice};
use row::{ActRow, BucketRow, Chain, DeviceRow, EndRow, EndedRow, KeptRow, NameRow, PositionRow, VersionRow};
use shosoin_protocol::act::{ActKind, DeviceRole, Document};
use shosoin_protocol::entry::Entry;
use shosoin_protocol::manifest::{BucketFacts, Summary};
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{DeviceId, LogId, VersionId};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory for rows that were read, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Memory for rows not yet in a table, in bytes.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
/// Size of the journal, in bytes.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// An entry at its verified place in the ledger, with its opened summary.
#[derive(Debug, Clone)]
pub struct Placed {
    /// leaf index
    pub index: u64,
    /// the vault's clock when it was accepted, in milliseconds since 1970
    pub accepted_ms: u64,
    /// the entry
    pub entry: Entry,
    /// its summary, where it has one
    pub summary: Option<Summary>,
    /// its document, where it is an act
    pub document: Option<Document>,
    /// what its signer may do
    pub source: Source,
}

/// Who an entry is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// whoever has the hospital's secrets, or the vault
    Full,
    /// a machine that only deposits: what it brings is a version more, and never takes the place of one
    Depositor,
    /// such a machine, with what it may not bring: no name has it
    OutOfScope,
}

/// Newest change of a name of which the vault knows none: only machines that make no name tokens brought versions of it.
const UNCHANGED: VersionId = VersionId([0; 16]);

/// The local view of names of one hospital at one vault.
pub struct View {
    database: Database,
    rows: Keyspace,
    /// acts applied since it was opened
    acts: AtomicU64,
}

impl View {
    /// Opens the view in `dir`, and says where it stands. One that belongs to another ledger, has another format, or
    /// cannot be read is removed and begun anew; one that another process has open is left alone.
    pub fn open(dir: &Path, log: LogId) -> Result<(View, PositionRow)> {
        match View::open_files(dir).and_then(|view| Ok((view.position()?, view))) {
            Ok((Some(position), view)) if position.log == log => return Ok((view, position)),
            Ok((None, view)) if view.rows.is_empty().map_err(Error::View)? => return view.begin(log),
            Ok((None, _)) => tracing::warn!("a snapshot was taken only in part; the local view of names is rebuilt"),
            Err(Error::View(fjall::Error::Locked)) => return Err(Error::View(fjall::Error::Locked)),
            Ok(_) => tracing::warn!("the local view of names is of another ledger; it is rebuilt"),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the local view of names cannot be read; it is rebuilt");
            }
        }
        match std::fs::remove_dir_all(dir) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::State { path: dir.into(), source }),
            _ => View::open_files(dir)?.begin(log),
        }
    }

    fn open_files(dir: &Path) -> Result<View> {
        let builder = Database::builder(dir).cache_size(CACHE_BYTES).max_journaling_size(JOURNAL_BYTES);
        let database = builder.worker_threads(1).open().map_err(Error::View)?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let rows = database.keyspace("view", options).map_err(Error::View)?;
        Ok(View { database, rows, acts: AtomicU64::new(0) })
    }

    fn begin(self, log: LogId) -> Result<(View, PositionRow)> {
        let start = PositionRow { log, frontier: Frontier::default(), checkpoint: String::new() };
        self.rows.insert(key::POSITION, start.encode()).map_err(Error::View)?;
        Ok((self, start))
    }

    /// Where the view stands; none before it was begun.
    pub fn position(&self) -> Result<Option<PositionRow>> {
        self.reading().decode(key::POSITION, PositionRow::decode)
    }

    /// Where the ledger ended, unless it goes on.
    pub fn ended(&self) -> Result<Option<EndRow>> {
        self.reading().decode(key::ENDED, EndRow::decode)
    }

    /// A bucket, ended ones included.
    pub fn bucket(&self, bucket: &str) -> Result<Option<BucketRow>> {
        self.reading().decode(&key::bucket(bucket), BucketRow::decode)
    }

    /// Every bucket that is not ended, by name.
    pub fn buckets(&self) -> Result<Vec<BucketFacts>> {
        let mut buckets = Vec::new();
        for row in self.rows.prefix(key::bucket("")) {
            let facts = BucketRow::decode(&row.value().map_err(Error::View)?).map_err(Error::ViewDamaged)?.facts;
            if !facts.deleted {
                buckets.push(facts);
            }
        }
        Ok(buckets)
    }

    /// Whether a bucket has no version and no marker.
    pub fn is_empty(&self, bucket: &str) -> Result<bool> {
        match self.rows.prefix(key::versions_from(bucket, b"")).next() {
            None => Ok(true),
            Some(row) => row.key().map(|_| false).map_err(Error::View),
        }
    }

    /// A device that the ledger knows.
    pub fn device(&self, device: DeviceId) -> Result<Option<DeviceRow>> {
        self.reading().decode(&key::device(device), DeviceRow::decode)
    }

    /// What a device may do, where that is less than others may.
    pub fn role(&self, device: DeviceId) -> Result<Option<DeviceRole>> {
        let row = self.reading().decode(&key::role(device), ActRow::decode)?;
        Ok(row.and_then(|row| match row.document {
            Document::DeviceRole(role) => Some(role),
            _ => None,
        }))
    }

    /// Every device that the ledger knows, by id.
    pub fn devices(&self) -> Result<Vec<DeviceRow>> {
        let rows = self.rows.prefix(key::devices());
        let decode = |value: fjall::Slice| DeviceRow::decode(&value).map_err(Error::ViewDamaged);
        rows.map(|row| row.value().map_err(Error::View).and_then(decode)).collect()
    }

    /// Lets the chain of the operator's acts begin, unless it has.
    pub fn know_vault(&self, key: PublicKey) -> Result<()> {
        let device = key.device_id();
        match self.device(device)? {
            Some(_) => Ok(()),
            None => {
                let row = DeviceRow { key, enrolled: false, chain: Chain::START };
                self.rows.insert(key::device(device), row.encode()).map_err(Error::View)
            }
        }
    }

    /// The act that began the newest epoch; none in the first one.
    pub fn epoch(&self) -> Result<Option<ActRow>> {
        self.reading().decode(key::EPOCH, ActRow::decode)
    }

    /// The newest suite policy, if there is one.
    pub fn suite_policy(&self) -> Result<Option<ActRow>> {
        self.reading().decode(key::SUITE_POLICY, ActRow::decode)
    }

    /// Gives every act from a leaf on, in the order of the ledger.
    pub fn acts_from(&self, leaf: u64, mut give: impl FnMut(ActRow)) -> Result<()> {
        let end = key::acts().into_iter().map(|byte| byte + 1).collect();
        for row in self.reading().range(key::act(leaf), Some(end)) {
            let (_, value) = row.into_inner().map_err(Error::View)?;
            give(ActRow::decode(&value).map_err(Error::ViewDamaged)?);
        }
        Ok(())
    }

    /// Every act of these kinds, in the order of the ledger.
    pub fn acts(&self, kinds: &[ActKind]) -> Result<Vec<ActRow>> {
        let mut acts = Vec::new();
        for row in self.rows.prefix(key::acts()) {
            let act = ActRow::decode(&row.value().map_err(Error::View)?).map_err(Error::ViewDamaged)?;
            if kinds.contains(&act.document.kind()) {
                acts.push(act);
            }
        }
        Ok(acts)
    }

    /// Changes with every act that is applied.
    pub fn acts_applied(&self) -> u64 {
        self.acts.load(Ordering::Acquire)
    }

    /// What keeps a version; with the id of zeros, the holds on everything.
    pub fn kept(&self, version: VersionId) -> Result<KeptRow> {
        self.reading().kept(version)
    }

    /// The act of this id.
    pub fn act(&self, id: VersionId) -> Result<Option<ActRow>> {
        let rows = self.reading();
        match rows.placed(id)? {
            Some(index) => rows.decode(&key::act(index), ActRow::decode),
            None => Ok(None),
        }
    }

    /// By which order the records of a version ended, if they did; `leaf_index` is the place of its entry.
    pub fn disposed_of(&self, version: VersionId, leaf_index: u64) -> Result<Option<EndedRow>> {
        self.reading().ended(version, leaf_index)
    }

    /// The first entry without its summary of which no act says that it ended.
    pub fn owed(&self) -> Result<Option<u64>> {
        let Some(row) = self.rows.prefix(key::owed_all()).next() else { return Ok(None) };
        let key = row.key().map_err(Error::View)?;
        Ok(key.get(1..).and_then(|index| index.try_into().ok()).map(u64::from_be_bytes))
    }

    /// Where the chain of a device stands.
    pub fn chain(&self, device: DeviceId) -> Result<Chain> {
        Ok(self.device(device)?.map_or(Chain::START, |row| row.chain))
    }

    /// The newest version of a name, and the newest change of the name of whatever kind, as they are at one moment.
    pub fn newest(&self, bucket: &str, name: &str) -> Result<(Option<ViewRow>, Option<VersionId>)> {
        let rows = self.reading();
        let Some(state) = rows.name(bucket, name)? else { return Ok((None, None)) };
        Ok((
            rows.view_row(bucket, name, state.latest, &state)?,
            Some(state.last_change).filter(|change| *change != UNCHANGED),
        ))
    }

    /// Leaf index of a version, in view or not; none if the ledger has no such version.
    pub fn placed(&self, version: VersionId) -> Result<Option<u64>> {
        self.reading().placed(version)
    }

    /// One version of a name; `None` means the newest.
    pub fn lookup(&self, bucket: &str, name: &str, version: Option<VersionId>) -> Result<Option<ViewRow>> {
        let rows = self.reading();
        let Some(state) = rows.name(bucket, name)? else { return Ok(None) };
        let index = match version {
            None => state.latest,
            Some(version) => rows.placed(version)?,
        };
        rows.view_row(bucket, name, index, &state)
    }

    /// The version of a name that S3 calls `null`.
    pub fn lookup_null(&self, bucket: &str, name: &str) -> Result<Option<ViewRow>> {
        let rows = self.reading();
        match rows.name(bucket, name)? {
            Some(state) => rows.view_row(bucket, name, state.null, &state),
            None => Ok(None),
        }
    }

    /// The rows as they are now, whatever is applied meanwhile.
    fn reading(&self) -> Reading<'_> {
        Reading { rows: &self.rows, snapshot: self.database.snapshot() }
    }
}

/// One consistent look at the rows.
struct Reading<'a> {
    rows: &'a Keyspace,
    snapshot: fjall::Snapshot,
}

impl Reading<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Slice>> {
        self.snapshot.get(self.rows, key).map_err(Error::View)
    }

    fn decode<T>(&self, key: &[u8], decode: impl Fn(&[u8]) -> shosoin_protocol::Result<T>) -> Result<Option<T>> {
        self.get(key)?.map(|bytes| decode(&bytes).map_err(Error::ViewDamaged)).transpose()
    }

    fn name(&self, bucket: &str, name: &str) -> Result<Option<NameRow>> {
        self.decode(&key::name(bucket, name), NameRow::decode)
    }

    fn placed(&self, version: VersionId) -> Result<Option<u64>> {
        self.decode(&key::placed(version), |bytes| {
            let mut reader = shosoin_protocol::codec::Reader::new(bytes, "place of a version");
            let index = reader.u64("leaf index")?;
            reader.finish().map(|()| index)
        })
    }

    fn version(&self, bucket: &str, name: &str, index: u64) -> Result<Option<VersionRow>> {
        self.decode(&key::version(bucket, name, index), VersionRow::decode)
    }

    fn view_row(&self, bucket: &str, name: &str, index: Option<u64>, state: &NameRow) -> Result<Option<ViewRow>> {
        let Some(index) = index else { return Ok(None) };
        Ok(self.version(bucket, name, index)?.map(|row| row.into_view(index, state)))
    }

    /// Leaf index of the newest version of a name but `but`.
    fn newest(&self, bucket: &str, name: &str, but: u64) -> Result<Option<u64>> {
        for row in self.snapshot.prefix(self.rows, key::versions_of(bucket, name)) {
            let key = row.key().map_err(Error::View)?;
            let (_, index) = key::parse_version(bucket, &key).ok_or(list::bad_key())?;
            if index != but {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn range(&self, from: Vec<u8>, to: Option<Vec<u8>>) -> fjall::Iter {
        match to {
            Some(to) => self.snapshot.range(self.rows, from..to),
            None => self.snapshot.range(self.rows, from..),
        }
    }
}

#[cfg(test)]
mod tests;
