//! Versions whose records ended: out of view for good, with everything the view knew of them but ids.
//!
//! Invariant: the vault's word that an end began is believed only with the hospital's own order in the ledger and the approvals of
//! two people under it; a vault that ends anything else contradicts its ledger.

use super::apply::Change;
use super::keeping::EVERYTHING;
use super::row::{EndedRow, NameRow};
use super::{Reading, key, list};
use crate::{Error, Result};
use shosoin_protocol::act::{DisposalStep, Disposed, Document, Scope};
use shosoin_protocol::approval::ApprovedOrder;
use shosoin_protocol::certificate::check_approvals;
use shosoin_protocol::{LogId, VersionId};
use std::collections::{BTreeMap, BTreeSet};

impl Reading<'_> {
    pub(super) fn ended(&self, version: VersionId, leaf_index: u64) -> Result<Option<EndedRow>> {
        match self.decode(&key::ended(version), EndedRow::decode)? {
            Some(row) => Ok(Some(row)),
            None => Ok(self.decode(&key::ended(EVERYTHING), EndedRow::decode)?.filter(|row| leaf_index < row.below)),
        }
    }
}

impl Change<'_> {
    /// An end began, in an entry of `log`: what it is about goes out of view. What a former vault ended is ordered and approved in its log.
    pub(super) fn disposed(&mut self, disposed: &Disposed, log: LogId) -> Result<()> {
        let DisposalStep::Begun { order_document, approvals, .. } = &disposed.step else { return Ok(()) };
        let index = self.index;
        let contradicts = |why: String| Error::Contradiction {
            operation: "the ledger",
            why: format!("the act at leaf {index} ends records {why}"),
        };
        let ordered = self.rows.act(disposed.order)?;
        let Some((row, Document::DisposalOrder(order))) = ordered.as_ref().map(|row| (row, &row.document)) else {
            return Err(contradicts("without an order of the hospital".to_owned()));
        };
        let approved = ApprovedOrder { log, order: row.id, leaf: row.leaf, document: *order_document };
        let proved = order.verify(log, row.id).and_then(|()| check_approvals(&approved, order, approvals));
        proved.map_err(|source| contradicts(format!("without two approvals of its order: {source}")))?;
        let (leaves, below): (BTreeSet<u64>, u64) = match &order.scope {
            Scope::These(items) => {
                for item in items {
                    let row = EndedRow { order: disposed.order, begun_leaf: index, below: 0 };
                    self.put(key::ended(item.version), row.encode());
                    self.remove(key::owed(item.leaf_index));
                }
                (items.iter().map(|item| item.leaf_index).collect(), 0)
            }
            Scope::Everything { log_size, .. } => {
                let row = EndedRow { order: disposed.order, begun_leaf: index, below: *log_size };
                self.put(key::ended(EVERYTHING), row.encode());
                self.no_longer_owed_below(*log_size)?;
                (BTreeSet::new(), *log_size)
            }
        };
        self.out_of_view(&|leaf| leaf < below || leaves.contains(&leaf))
    }

    fn no_longer_owed_below(&mut self, below: u64) -> Result<()> {
        let mut owed = Vec::new();
        for row in self.view.rows.prefix(key::owed_all()) {
            let found = row.key().map_err(Error::View)?.to_vec();
            if found.as_slice() < key::owed(below).as_slice() {
                owed.push(found);
            }
        }
        owed.into_iter().for_each(|key| self.remove(key));
        Ok(())
    }

    /// Takes versions out of view, by their places in the ledger.
    fn out_of_view(&mut self, goes: &dyn Fn(u64) -> bool) -> Result<()> {
        let mut names: BTreeMap<(String, String), BTreeSet<u64>> = BTreeMap::new();
        for bucket in self.view.every_bucket()? {
            for row in self.view.rows.prefix(key::versions_from(&bucket, b"")) {
                let found = row.key().map_err(Error::View)?;
                let (name, leaf) = key::parse_version(&bucket, &found).ok_or(list::bad_key())?;
                if goes(leaf)
                    && let Ok(name) = String::from_utf8(name)
                {
                    names.entry((bucket.clone(), name)).or_default().insert(leaf);
                }
            }
        }
        names.into_iter().try_for_each(|((bucket, name), leaves)| self.end_versions(&bucket, &name, &leaves))
    }

    /// The newest version that is left is the newest; of a name without one nothing stays.
    fn end_versions(&mut self, bucket: &str, name: &str, leaves: &BTreeSet<u64>) -> Result<()> {
        leaves.iter().for_each(|leaf| self.remove(key::version(bucket, name, *leaf)));
        let Some(state) = self.rows.name(bucket, name)? else { return Ok(()) };
        let mut left = None;
        for row in self.view.rows.prefix(key::versions_of(bucket, name)) {
            let found = row.key().map_err(Error::View)?;
            let (_, leaf) = key::parse_version(bucket, &found).ok_or(list::bad_key())?;
            if !leaves.contains(&leaf) {
                left = Some(leaf);
                break;
            }
        }
        let newest = match left {
            Some(leaf) => self.rows.version(bucket, name, leaf)?,
            None => None,
        };
        match newest {
            None => {
                self.remove(key::current(bucket, name));
                self.remove(key::name(bucket, name));
            }
            Some(row) => {
                let was_out = state.latest.is_none();
                if !was_out {
                    self.set_current(bucket, name, &row.content);
                }
                let latest = if was_out { None } else { left };
                let state = NameRow { latest, null: state.null.filter(|null| !leaves.contains(null)), ..state };
                self.put(key::name(bucket, name), state.encode());
            }
        }
        Ok(())
    }
}

impl super::View {
    /// Every bucket there ever was.
    fn every_bucket(&self) -> Result<Vec<String>> {
        let mut buckets = Vec::new();
        for row in self.rows.prefix(key::bucket("")) {
            let row = super::BucketRow::decode(&row.value().map_err(Error::View)?).map_err(Error::ViewDamaged)?;
            buckets.push(row.facts.bucket);
        }
        Ok(buckets)
    }
}
