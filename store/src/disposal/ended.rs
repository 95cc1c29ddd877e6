//! Which entries have ended: the acts of the ledger that say so, read from media and verified there. What the index says only
//! leads to them.

use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::keeping;
use crate::rows::{self, ActRow, Row, Rows};
use crate::vault::Inner;
use shosoin_protocol::act::{Act, ActKind, DisposalStep, Disposed, Document, Order, Scope};
use shosoin_protocol::approval::{Approval, ApprovedOrder};
use shosoin_protocol::certificate::check_approvals;
use shosoin_protocol::entry::Body;
use shosoin_protocol::{Address, Digest, LogId, VersionId};
use std::collections::BTreeSet;

/// Leaves whose records were ended.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    leaves: BTreeSet<u64>,
    versions: BTreeSet<VersionId>,
    below: u64,
    /// the newest act by which an end began; whatever was made before it may still have what ended
    begun: Option<u64>,
}

/// A disposal that has begun, as media prove it.
#[derive(Debug, Clone)]
pub struct BegunDisposal {
    /// id of the act that ordered it
    pub order_id: VersionId,
    /// the order
    pub order: Order,
    /// place of the order's entry
    pub order_leaf: u64,
    /// document of the order
    pub order_document: Vec<u8>,
    /// place of the act by which it began
    pub begun_leaf: u64,
    /// document of that act
    pub begun_document: Vec<u8>,
    /// who agreed
    pub approvals: Vec<Approval>,
    /// the lists of what goes
    pub removals: Vec<Address>,
    /// entries of the ledger that were read before it began
    pub read_to: u64,
}

impl Ended {
    /// What has ended of a hospital's.
    pub(crate) fn of(inner: &Inner, desk: &Desk) -> Result<Self> {
        Ended::at(inner.index.as_ref(), desk)
    }

    /// What has ended, by way of an index.
    pub fn at(index: &dyn crate::index::Index, desk: &Desk) -> Result<Self> {
        let mut ended = Ended::default();
        for begun in begun(index, desk)? {
            ended.add(&begun.order, begun.begun_leaf);
        }
        Ok(ended)
    }

    /// Adds what an order ended, of which it is proved that it was carried out, and by the act at which leaf that began.
    pub fn add(&mut self, order: &Order, begun_leaf: u64) {
        self.begun = self.begun.max(Some(begun_leaf));
        match &order.scope {
            Scope::These(items) => {
                self.leaves.extend(items.iter().map(|item| item.leaf_index));
                self.versions.extend(items.iter().map(|item| item.version));
            }
            Scope::Everything { log_size, .. } => self.below = self.below.max(*log_size),
        }
    }

    /// Whether the records of the entry at this place have ended.
    pub fn is(&self, leaf: u64) -> bool {
        leaf < self.below || self.leaves.contains(&leaf)
    }

    /// What the document of an act keeps alive: all that it names, but wraps of what has ended, and snapshots of a view that
    /// still had it.
    pub fn names(&self, document: &Document) -> Vec<Address> {
        match document {
            // after everything nothing is deposited any more
            Document::Rewrap(_) if self.below > 0 => Vec::new(),
            Document::Rewrap(rewrap) => {
                let live = rewrap.wraps().iter().filter(|(version, _)| !self.versions.contains(version));
                live.map(|(_, wrap)| *wrap).collect()
            }
            Document::Snapshot(snapshot) if self.begun.is_some_and(|begun| snapshot.log_size <= begun) => Vec::new(),
            _ => document.names(),
        }
    }

    /// Whether nothing has.
    pub fn is_empty(&self) -> bool {
        self.below == 0 && self.leaves.is_empty()
    }
}

/// Every disposal of a hospital that has begun, each proved from media.
pub fn begun(index: &dyn crate::index::Index, desk: &Desk) -> Result<Vec<BegunDisposal>> {
    let (hospital, size) = (desk.info().hospital, desk.head()?.size);
    let mut leaves = Vec::new();
    index.scan(&rows::act_prefix(hospital), &mut |key, value| {
        match rows::act_index(key) {
            Some(leaf) if leaf < size && ActRow::decode(value)?.act.kind == ActKind::Disposed => leaves.push(leaf),
            _ => {}
        }
        Ok(true)
    })?;
    leaves.into_iter().filter_map(|leaf| begun_at(index, desk, leaf).transpose()).collect()
}

/// The disposal that begins at a leaf, proved from media; nothing where the act there says something else.
pub fn begun_at(index: &dyn crate::index::Index, desk: &Desk, leaf: u64) -> Result<Option<BegunDisposal>> {
    let (act, _, begun_document) = stated(desk, leaf)?;
    let Document::Disposed(Disposed { order: order_id, step }) = keeping::decode(&act, &begun_document)? else {
        return Ok(None);
    };
    let DisposalStep::Begun { order_document: address, approvals, removals, read_to } = step else { return Ok(None) };
    let placed = desk.ledger().entry(leaf)?;
    let bad = |source| Error::Malformed { what: "act by which an end began", source };
    let (hospital, log) = (desk.info().hospital, placed.entry.statement().log);
    // what a vault before this one ended was verified with that vault's key when the ledger was taken over
    if log == LogId::of(desk.ledger().vault(), hospital) {
        if placed.entry.statement().device != desk.ledger().public_key().device_id() {
            return Err(unproved(order_id, "the act by which it began is not this vault's"));
        }
        placed.entry.verify(desk.ledger().public_key()).map_err(bad)?;
    }
    let order_leaf = index.row::<rows::LeafIndex>(&rows::version_key(hospital, order_id))?;
    let order_leaf = order_leaf.ok_or_else(|| unproved(order_id, "its order has no place"))?.0;
    let (order_act, leaf_hash, order_document) = stated(desk, order_leaf)?;
    if order_act.id != order_id || order_act.document != address {
        return Err(unproved(order_id, "it began on another order"));
    }
    let Document::DisposalOrder(order) = keeping::decode(&order_act, &order_document)? else {
        return Err(unproved(order_id, "its order is none"));
    };
    order.verify(log, order_id).map_err(bad)?;
    signed_by_hospital(index, desk, order_leaf)?;
    let approved = ApprovedOrder { log, order: order_id, leaf: leaf_hash, document: address };
    check_approvals(&approved, &order, &approvals).map_err(bad)?;
    Ok(Some(BegunDisposal {
        order_id,
        order,
        order_leaf,
        order_document,
        begun_leaf: leaf,
        begun_document,
        approvals,
        removals,
        read_to,
    }))
}

/// Refuses an order whose entry is not signed by a device of the hospital.
pub fn signed_by_hospital(index: &dyn crate::index::Index, desk: &Desk, leaf: u64) -> Result<()> {
    let placed = desk.ledger().entry(leaf)?;
    let device = placed.entry.statement().device;
    let row = index.row::<rows::DeviceRow>(&rows::device_key(desk.info().hospital, device))?;
    let key = row.and_then(|row| row.key).ok_or(Error::UnknownDevice { device, why: "is not enrolled" })?;
    placed.entry.verify(&key).map_err(|source| Error::Malformed { what: "disposal order", source })
}

/// The act at a leaf, the hash of its entry, and its document, from media.
pub fn stated(desk: &Desk, leaf: u64) -> Result<(Act, Digest, Vec<u8>)> {
    let placed = desk.ledger().entry(leaf)?;
    match placed.entry.body() {
        Body::Act(act) => Ok((act.clone(), placed.entry.leaf_hash(), desk.record(&act.document)?.to_vec())),
        _ => {
            Err(Error::Damaged { what: "act at leaf", id: leaf.to_string(), why: "the entry there is none".to_owned() })
        }
    }
}

fn unproved(order: VersionId, why: &str) -> Error {
    Error::Damaged { what: "disposal", id: order.to_string(), why: why.to_owned() }
}
