//! Applying one entry of the ledger: what it does to the rows, as S3 would have it.
//!
//! | entry | rows |
//! |---|---|
//! | object while versioning is enabled | a version more, the newest |
//! | object as `null` version | replaces the `null` version, the newest |
//! | object of a machine that only deposits | a version more, the newest, whatever it says of `null`; of nothing where it may not bring it |
//! | marker in a bucket never versioned | takes the `null` version out of view |
//! | marker otherwise | like an object without content |
//! | withdrawn | takes one version out of view; the next older one is the newest |
//! | tags | tags of one version |
//! | bucket | the bucket as a whole |
//! | act | the act itself, what it says of keeping versions, the versions that it ends, that an epoch is the newest, that the ledger ends or goes on |
//! | entry without its summary | nothing, until an act says that it ended |

use super::row::{
    ActRow, BucketRow, Chain, CurrentRow, DeviceRow, EndRow, NameRow, PositionRow, VersionContent, VersionRow,
};
use super::{Placed, Reading, Source, UNCHANGED, View, key};
use crate::{Error, Result};
use fjall::OwnedWriteBatch;
use shosoin_protocol::VersionId;
use shosoin_protocol::act::Document;
use shosoin_protocol::act::handover::OutState;
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::manifest::{Pairs, Summary, Versioning};
use std::sync::atomic::Ordering;

impl View {
    /// Applies the next entry; afterwards the view stands at `position`.
    pub fn apply(&self, placed: Placed, position: &PositionRow) -> Result<()> {
        let mut change = Change { view: self, rows: self.reading(), batch: self.database.batch(), index: placed.index };
        change.device(&placed.entry)?;
        let is_act = placed.document.is_some();
        if let Body::Deposit(deposit) = placed.entry.body() {
            change.deposited(deposit.version, deposit.policy)?;
        }
        if let (Body::Act(act), Some(document)) = (placed.entry.body(), placed.document) {
            change.keeping(act, &document)?;
            if let Document::Disposed(disposed) = &document {
                change.disposed(disposed, placed.entry.statement().log)?;
            }
            let device = placed.entry.statement().device;
            let (leaf_index, accepted_ms, id, subject) = (placed.index, placed.accepted_ms, act.id, act.subject);
            change.put(key::placed(id), leaf_index.to_le_bytes().to_vec());
            change.handover(&document, position);
            let leaf = placed.entry.leaf_hash();
            let row = ActRow { leaf_index, accepted_ms, leaf, id, device, subject, document };
            match &row.document {
                // names of wraps are as long as thousands of other acts, and the vault gives the newest wrap with its version
                Document::Rewrap(_) => {}
                Document::Epoch(_) => {
                    change.put(key::EPOCH.to_vec(), row.encode());
                    change.put(key::act(leaf_index), row.encode());
                }
                Document::DeviceRole(role) => {
                    change.put(key::role(role.device), row.encode());
                    change.put(key::act(leaf_index), row.encode());
                }
                Document::SuitePolicy(_) => {
                    change.put(key::SUITE_POLICY.to_vec(), row.encode());
                    change.put(key::act(leaf_index), row.encode());
                }
                _ => change.put(key::act(leaf_index), row.encode()),
            }
        }
        let is_owed = placed.summary.is_none() && placed.source != Source::OutOfScope;
        if placed.entry.body().name_change().is_some() && is_owed {
            change.put(key::owed(placed.index), Vec::new());
        }
        if let (Some((id, _, _)), Some(summary)) = (placed.entry.body().name_change(), placed.summary) {
            let (leaf, accepted_ms) = (placed.entry.leaf_hash(), placed.accepted_ms);
            let origin = Origin { id, leaf, accepted_ms, source: placed.source };
            change.summary(origin, summary)?;
        }
        change.put(key::POSITION.to_vec(), position.encode());
        change.batch.commit().map_err(Error::View)?;
        self.acts.fetch_add(u64::from(is_act), Ordering::Release);
        Ok(())
    }
}

/// What all rows of one change have in common.
struct Origin {
    id: VersionId,
    leaf: shosoin_protocol::Digest,
    accepted_ms: u64,
    source: Source,
}

/// One entry's worth of rows, written together.
pub(super) struct Change<'a> {
    pub(super) view: &'a View,
    pub(super) rows: Reading<'a>,
    batch: OwnedWriteBatch,
    pub(super) index: u64,
}

impl Change<'_> {
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.batch.insert(&self.view.rows, key, value);
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.batch.remove(&self.view.rows, key);
    }

    /// The ledger ends, or goes on.
    fn handover(&mut self, document: &Document, position: &PositionRow) {
        match document {
            Document::HandOverOut(out) if out.state == OutState::Closed => {
                let end = EndRow { size: position.frontier.size(), root: position.frontier.root() };
                self.put(key::ENDED.to_vec(), end.encode());
            }
            Document::HandOverOut(_) | Document::HandOverIn(_) => self.remove(key::ENDED.to_vec()),
            _ => {}
        }
    }

    /// The signer's chain grows; a device change also changes who is enrolled.
    fn device(&mut self, entry: &Entry) -> Result<()> {
        let statement = entry.statement();
        let chain = Chain { next_seq: statement.device_seq + 1, prev: entry.leaf_hash() };
        let subject = match entry.body() {
            Body::Device(change) => Some(change),
            _ => None,
        };
        let signer = key::device(statement.device);
        let known = self.rows.decode(&signer, DeviceRow::decode)?;
        let mut own = known.or_else(|| subject.map(|c| DeviceRow { key: c.key.clone(), enrolled: c.enrol, chain }));
        if let Some(row) = &mut own {
            row.chain = chain;
        }
        if let Some(change) = subject {
            match (&mut own, change.key.device_id() == statement.device) {
                (Some(row), true) => row.enrolled = change.enrol,
                _ => self.other_device(change.key.clone(), change.enrol)?,
            }
        }
        if let Some(row) = own {
            self.put(signer, row.encode());
        }
        Ok(())
    }

    fn other_device(&mut self, device_key: shosoin_protocol::sign::PublicKey, enrolled: bool) -> Result<()> {
        let key = key::device(device_key.device_id());
        let chain = self.rows.decode(&key, DeviceRow::decode)?.map_or(Chain::START, |row| row.chain);
        self.put(key, DeviceRow { key: device_key, enrolled, chain }.encode());
        Ok(())
    }

    fn summary(&mut self, origin: Origin, summary: Summary) -> Result<()> {
        match summary {
            Summary::Object(facts) => {
                let (bucket, name) = (facts.bucket.clone(), facts.name.clone());
                let null_version = facts.null_version && origin.source == Source::Full;
                let content = VersionContent::Object(Box::new(facts));
                self.add_version(origin, &bucket, &name, null_version, content)
            }
            Summary::Marker { bucket, name, modified_ms, null_version } => match self.is_versioned(&bucket)? {
                true => {
                    let content = VersionContent::Marker { modified_ms };
                    self.add_version(origin, &bucket, &name, null_version, content)
                }
                false => self.take_null_out(origin.id, &bucket, &name),
            },
            Summary::Bucket(facts) => {
                let key = key::bucket(&facts.bucket);
                self.put(key, BucketRow { change: origin.id, facts }.encode());
                Ok(())
            }
            Summary::Tags { bucket, name, version, tags } => self.set_tags(origin.id, &bucket, &name, version, tags),
            Summary::Withdrawn { bucket, name, version } => self.withdraw(origin.id, &bucket, &name, version),
        }
    }

    fn is_versioned(&self, bucket: &str) -> Result<bool> {
        let row = self.rows.decode(&key::bucket(bucket), BucketRow::decode)?;
        Ok(row.is_some_and(|row| row.facts.versioning != Versioning::Off))
    }

    fn add_version(
        &mut self,
        origin: Origin,
        bucket: &str,
        name: &str,
        null_version: bool,
        content: VersionContent,
    ) -> Result<()> {
        let known = self.rows.name(bucket, name)?;
        let mut null = known.and_then(|state| state.null);
        let last_change = match origin.source {
            Source::Full => origin.id,
            _ => known.map_or(UNCHANGED, |state| state.last_change),
        };
        if null_version && let Some(old) = null.replace(self.index) {
            self.remove(key::version(bucket, name, old));
        }
        let state = NameRow { last_change, latest: Some(self.index), null };
        self.set_current(bucket, name, &content);
        self.put(key::placed(origin.id), self.index.to_le_bytes().to_vec());
        let row = VersionRow {
            version: origin.id,
            leaf: origin.leaf,
            accepted_ms: origin.accepted_ms,
            null_version,
            content,
        };
        self.put(key::version(bucket, name, self.index), row.encode());
        self.put(key::name(bucket, name), state.encode());
        Ok(())
    }

    pub(super) fn set_current(&mut self, bucket: &str, name: &str, content: &VersionContent) {
        match content {
            VersionContent::Object(facts) => self.put(key::current(bucket, name), CurrentRow::of(facts).encode()),
            VersionContent::Marker { .. } => self.remove(key::current(bucket, name)),
        }
    }

    fn take_null_out(&mut self, change: VersionId, bucket: &str, name: &str) -> Result<()> {
        let state = self.rows.name(bucket, name)?.unwrap_or(NameRow { last_change: change, latest: None, null: None });
        match state.null {
            Some(index) => self.take_out(change, bucket, name, index, state),
            None => {
                self.put(key::name(bucket, name), NameRow { last_change: change, ..state }.encode());
                Ok(())
            }
        }
    }

    fn withdraw(&mut self, change: VersionId, bucket: &str, name: &str, version: VersionId) -> Result<()> {
        let state = self.rows.name(bucket, name)?.unwrap_or(NameRow { last_change: change, latest: None, null: None });
        match self.index_of(bucket, name, version)? {
            Some(index) => self.take_out(change, bucket, name, index, state),
            None => {
                self.put(key::name(bucket, name), NameRow { last_change: change, ..state }.encode());
                Ok(())
            }
        }
    }

    /// Takes the version at `index` out of view; the newest one left becomes the newest.
    fn take_out(&mut self, change: VersionId, bucket: &str, name: &str, index: u64, state: NameRow) -> Result<()> {
        self.remove(key::version(bucket, name, index));
        let mut state = NameRow { last_change: change, null: state.null.filter(|null| *null != index), ..state };
        if state.latest == Some(index) {
            state.latest = self.rows.newest(bucket, name, index)?;
            let left = match state.latest {
                Some(latest) => self.rows.version(bucket, name, latest)?,
                None => None,
            };
            match left {
                Some(row) => self.set_current(bucket, name, &row.content),
                None => self.remove(key::current(bucket, name)),
            }
        }
        self.put(key::name(bucket, name), state.encode());
        Ok(())
    }

    fn set_tags(&mut self, id: VersionId, bucket: &str, name: &str, version: VersionId, tags: Pairs) -> Result<()> {
        if let Some(index) = self.index_of(bucket, name, version)?
            && let Some(mut row) = self.rows.version(bucket, name, index)?
        {
            if let VersionContent::Object(facts) = &mut row.content {
                facts.tags = tags;
            }
            self.put(key::version(bucket, name, index), row.encode());
        }
        if let Some(state) = self.rows.name(bucket, name)? {
            self.put(key::name(bucket, name), NameRow { last_change: id, ..state }.encode());
        }
        Ok(())
    }

    /// Where a version is, if it is one of this name and in view.
    fn index_of(&self, bucket: &str, name: &str, version: VersionId) -> Result<Option<u64>> {
        let Some(index) = self.rows.placed(version)? else { return Ok(None) };
        Ok(self.rows.version(bucket, name, index)?.map(|_| index))
    }
}
