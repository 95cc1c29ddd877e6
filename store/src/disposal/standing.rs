//! Orders as rows of the index: what each one wants, how far it has come, and which entries it ended. A function of the acts of
//! the ledger in their order, judged and kept like everything that acts change (`keeping`).
//!
//! Invariants
//! - An order is taken only if the person it names signed it for this act and ledger, and if every entry it names is in the
//!   ledger as it says.
//! - The act by which an end begins is refused here, at the last moment before it has a place, if a hold, a term, a missing
//!   approval or anything else stands against it then ([`super::judge_order`]).

use super::{Case, Now, OrderCase, Refused, judge_order};
use crate::assets::{self, AssetState, Slot};
use crate::error::{Error, Result};
use crate::keeping;
use crate::rows::{self, ActRow, DisposedRow, EndedRow, LeafIndex, LeafRow, OrderRow, OrderStanding, Rows};
use shosoin_protocol::act::{
    Act, ActKind, Cancel, DisposalStep, Disposed, Document, Order, OrderItem, Scope, WordStage,
};
use shosoin_protocol::approval::{Approval, ApprovedOrder};
use shosoin_protocol::certificate::check_approvals;
use shosoin_protocol::retention::{DAY_MS, End};
use shosoin_protocol::{Digest, HospitalId, LogId, VersionId};

/// Days that an order may wait at most, from its acceptance on.
pub const ORDER_DAYS_MAX: u64 = 366;

/// What judging an act about disposal needs beside the rows.
pub struct Surroundings<'a> {
    /// whose
    pub hospital: HospitalId,
    /// the ledger
    pub log: LogId,
    /// place the act is to have
    pub leaf: u64,
    /// hash of its entry as a leaf
    pub leaf_hash: Digest,
    /// when it is, or was, accepted
    pub now_ms: u64,
    /// document of an earlier act
    pub document_of: &'a dyn Fn(&Act) -> Result<Document>,
    /// root of the ledger as it was with so many leaves
    pub root_at: &'a dyn Fn(u64) -> Result<Option<Digest>>,
}

/// What an act about disposal changes.
#[derive(Debug)]
pub struct OrderChange {
    /// which order
    pub order: VersionId,
    /// its row
    pub row: OrderRow,
    /// what it ends now
    pub ends: Vec<Ends>,
}

/// One thing that ends.
#[derive(Debug, Clone, Copy)]
pub enum Ends {
    /// an entry
    Entry(OrderItem),
    /// every entry below this place
    Below(u64),
}

/// Judges an act about disposal, against the rows as they are.
pub fn judge_act(
    rows: &(impl Rows + ?Sized),
    around: &Surroundings<'_>,
    act: &Act,
    document: &Document,
) -> Result<Option<OrderChange>> {
    match document {
        Document::DisposalOrder(order) => ordered(rows, around, act, order).map(Some),
        Document::DisposalCancelled(Cancel { order }) => {
            let mut row = order_row(rows, around.hospital, *order)?;
            match row.standing {
                OrderStanding::Ordered => {
                    row.standing = OrderStanding::Cancelled;
                    Ok(Some(OrderChange { order: *order, row, ends: Vec::new() }))
                }
                OrderStanding::Cancelled => {
                    Err(Error::Invalid { what: "cancellation", why: "it was cancelled already" })
                }
                _ => Err(Error::Invalid { what: "cancellation", why: "the disposal has begun, and cannot be undone" }),
            }
        }
        Document::Disposed(disposed) => step(rows, around, disposed).map(Some),
        _ => Ok(None),
    }
}

/// An order that the ledger has.
pub fn order_row(rows: &(impl Rows + ?Sized), hospital: HospitalId, order: VersionId) -> Result<OrderRow> {
    let unknown = || Error::NotFound { what: "disposal order", id: order.to_string() };
    rows.row::<OrderRow>(&rows::order_key(hospital, order))?.ok_or_else(unknown)
}

/// The order that ended the records of a version, if one did.
pub fn ended_by(
    rows: &(impl Rows + ?Sized),
    hospital: HospitalId,
    version: VersionId,
    leaf: u64,
) -> Result<Option<VersionId>> {
    if let Some(row) = rows.row::<DisposedRow>(&rows::disposed_key(hospital, version))? {
        return Ok(Some(row.order));
    }
    let all = rows.row::<DisposedRow>(&rows::disposed_key(hospital, keeping::EVERYTHING))?;
    Ok(all.filter(|row| leaf < row.below).map(|row| row.order))
}

/// The order that ended everything, if one did: nothing more is deposited after it.
pub fn contract_ended_by(rows: &(impl Rows + ?Sized), hospital: HospitalId) -> Result<Option<VersionId>> {
    let all = rows.row::<DisposedRow>(&rows::disposed_key(hospital, keeping::EVERYTHING))?;
    Ok(all.map(|row| row.order))
}

fn ordered(rows: &(impl Rows + ?Sized), around: &Surroundings<'_>, act: &Act, order: &Order) -> Result<OrderChange> {
    let refuse = |why| Err(Error::Invalid { what: "disposal order", why });
    order.verify(around.log, act.id).map_err(|source| Error::Malformed { what: "disposal order", source })?;
    if act.subject.is_some() {
        return refuse("it names its entries itself, and has no subject");
    }
    if order.expires_ms <= around.now_ms {
        return refuse("it has expired");
    }
    if order.expires_ms - around.now_ms > ORDER_DAYS_MAX * DAY_MS {
        return refuse("it would stand for more than a year");
    }
    let entries = match &order.scope {
        Scope::These(items) => {
            items.iter().try_for_each(|item| names_an_entry(rows, around, item))?;
            items.len() as u64
        }
        Scope::Everything { log_size, log_root, hand_over } => {
            if *log_size > around.leaf || (around.root_at)(*log_size)? != Some(*log_root) {
                return refuse("the ledger never had that size and root");
            }
            if let Some(hand_over) = hand_over {
                is_confirmed(rows, around, *hand_over)?;
            }
            *log_size
        }
    };
    let row = OrderRow {
        leaf: around.leaf,
        leaf_hash: around.leaf_hash,
        accepted_ms: around.now_ms,
        document: act.document,
        everything: matches!(order.scope, Scope::Everything { .. }),
        entries,
        expires_ms: order.expires_ms,
        cool_down_days: order.cool_down_days,
        standing: OrderStanding::Ordered,
        begun_leaf: 0,
        begun_ms: 0,
        serial: 0,
        pending: 0,
    };
    Ok(OrderChange { order: act.id, row, ends: Vec::new() })
}

/// Refuses an item that is not an entry of this ledger, or is ended already.
fn names_an_entry(rows: &(impl Rows + ?Sized), around: &Surroundings<'_>, item: &OrderItem) -> Result<()> {
    let hospital = around.hospital;
    let refuse = |why| Err(Error::OrderItem { leaf: item.leaf_index, version: item.version, why });
    let leaf = rows.row::<LeafIndex>(&rows::version_key(hospital, item.version))?;
    let known = rows.row::<LeafRow>(&rows::leaf_key(hospital, item.leaf_index))?.map(|row| row.leaf);
    if item.leaf_index >= around.leaf || leaf != Some(LeafIndex(item.leaf_index)) || known != Some(item.leaf) {
        return refuse("the ledger has another entry there");
    }
    if rows.row::<ActRow>(&rows::act_key(hospital, item.leaf_index))?.is_some() {
        return refuse("it is an act, and acts stay");
    }
    match ended_by(rows, hospital, item.version, item.leaf_index)? {
        Some(_) => refuse("its records have ended already"),
        None => Ok(()),
    }
}

/// Refuses what is not the hospital's word that another vault holds everything: its order to hand over is not enough.
fn is_confirmed(rows: &(impl Rows + ?Sized), around: &Surroundings<'_>, id: VersionId) -> Result<()> {
    let missing = || Error::NotFound { what: "confirmation of a hand-over", id: id.to_string() };
    let LeafIndex(leaf) = rows.row(&rows::version_key(around.hospital, id))?.ok_or_else(missing)?;
    let row: ActRow = rows.row(&rows::act_key(around.hospital, leaf))?.ok_or_else(missing)?;
    if row.act.kind != ActKind::HandOverWord {
        return Err(missing());
    }
    let ended: Option<EndedRow> = rows.row(&rows::ended_key(around.hospital))?;
    let ended = ended.filter(|ended| ended.ended && ended.index < leaf).ok_or_else(missing)?;
    let out: ActRow = rows.row(&rows::act_key(around.hospital, ended.index))?.ok_or_else(missing)?;
    match ((around.document_of)(&row.act)?, (around.document_of)(&out.act)?) {
        (Document::HandOverWord(word), Document::HandOverOut(out))
            if word.stage == WordStage::Confirmed && word.receiver == out.receiver =>
        {
            Ok(())
        }
        _ => Err(missing()),
    }
}

/// Whether another vault keeps what an order names, terms and all: it was handed over, as the order's hospital has confirmed, and the
/// log has not gone on here.
fn is_kept_elsewhere(rows: &(impl Rows + ?Sized), hospital: HospitalId, order: &Order) -> Result<bool> {
    let ended = rows.row::<EndedRow>(&rows::ended_key(hospital))?;
    Ok(order.scope.hand_over().is_some() && ended.is_some_and(|ended| ended.ended))
}

fn step(rows: &(impl Rows + ?Sized), around: &Surroundings<'_>, disposed: &Disposed) -> Result<OrderChange> {
    let mut row = order_row(rows, around.hospital, disposed.order)?;
    match &disposed.step {
        DisposalStep::Begun { order_document, approvals, .. } => {
            let order = document(rows, around, disposed.order, &row)?;
            if *order_document != row.document {
                return Err(Error::Bug("an end was about to begin of another order"));
            }
            let approved =
                ApprovedOrder { log: around.log, order: disposed.order, leaf: row.leaf_hash, document: row.document };
            begins(rows, around, &row, &order, &approved, approvals)?;
            let ends = match &order.scope {
                Scope::These(items) => items.iter().copied().map(Ends::Entry).collect(),
                Scope::Everything { log_size, .. } => vec![Ends::Below(*log_size)],
            };
            (row.standing, row.begun_leaf, row.begun_ms) = (OrderStanding::Begun, around.leaf, around.now_ms);
            Ok(OrderChange { order: disposed.order, row, ends })
        }
        DisposalStep::Certified { serial, pending, .. } => {
            let has_begun =
                matches!(row.standing, OrderStanding::Begun | OrderStanding::Certified | OrderStanding::Closed);
            let follows = has_begun && *serial == row.serial + 1;
            if !follows {
                return Err(Error::Bug("a certificate was about to be stated out of its order"));
            }
            (row.serial, row.pending) = (*serial, *pending);
            row.standing = if *pending == 0 { OrderStanding::Closed } else { OrderStanding::Certified };
            Ok(OrderChange { order: disposed.order, row, ends: Vec::new() })
        }
    }
}

/// The document of an order.
pub fn document(
    rows: &(impl Rows + ?Sized),
    around: &Surroundings<'_>,
    id: VersionId,
    row: &OrderRow,
) -> Result<Order> {
    let unknown = || Error::NotFound { what: "disposal order", id: id.to_string() };
    let act: ActRow = rows.row(&rows::act_key(around.hospital, row.leaf))?.ok_or_else(unknown)?;
    match (around.document_of)(&act.act)? {
        Document::DisposalOrder(order) => Ok(order),
        _ => Err(unknown()),
    }
}

/// The guard, against the rows as they are when the act gets its place. Cool-down and enrolment were judged before, by
/// whoever states the act: what the ledger does not say cannot be judged from it again.
fn begins(
    rows: &(impl Rows + ?Sized),
    around: &Surroundings<'_>,
    row: &OrderRow,
    order: &Order,
    approved: &ApprovedOrder,
    approvals: &[Approval],
) -> Result<()> {
    let counted = match check_approvals(approved, order, approvals) {
        Ok(()) => approvals.len(),
        Err(source) => return Err(Error::Malformed { what: "approvals", source }),
    };
    let case = OrderCase {
        standing: row.standing,
        expires_ms: row.expires_ms,
        cool_down_ends_ms: Some(0),
        newer_deposits: row.everything && newer_deposits(rows, around.hospital, order, around.leaf)?,
        identity: Vec::new(),
    };
    let records = cases(rows, around.hospital, order, counted)?;
    match judge_order(&case, &records, Now::Trusted(around.now_ms)) {
        Ok(_) => Ok(()),
        Err(obstacles) => Err(refusal(approved.order, &obstacles)),
    }
}

/// A refusal in words, with the first of its obstacles.
pub fn refusal(order: VersionId, obstacles: &[Refused]) -> Error {
    const NAMED: usize = 8;
    let mut named: Vec<String> = obstacles.iter().take(NAMED).map(Refused::to_string).collect();
    if obstacles.len() > NAMED {
        named.push(format!("{} more", obstacles.len() - NAMED));
    }
    Error::DisposalRefused { order, why: named.join("; ") }
}

/// What the guard looks at of every deposit that an order means, as the index has it.
pub fn cases(
    rows: &(impl Rows + ?Sized),
    hospital: HospitalId,
    order: &Order,
    approvals: usize,
) -> Result<Vec<(u64, Case)>> {
    let everything_on_hold = !keeping::of_everything(rows, hospital)?.is_empty();
    let keeping_known = keeping::is_known(rows, hospital)?;
    let kept_elsewhere = is_kept_elsewhere(rows, hospital, order)?;
    let case = |slot: Slot| Case {
        end: if kept_elsewhere { End::Never } else { slot.end() },
        on_hold: slot.on_hold || everything_on_hold,
        keeping_known,
        ordered: true,
        approvals,
    };
    let mut cases = Vec::new();
    match &order.scope {
        Scope::These(items) => {
            for item in items {
                if let Some(slot) = assets::slot_of(rows, hospital, item.leaf_index)? {
                    cases.push((item.leaf_index, case(slot)));
                }
            }
        }
        Scope::Everything { log_size, .. } => {
            for number in 0..*log_size {
                if let Some(slot) = assets::slot_of(rows, hospital, number)?
                    && slot.state == AssetState::Held
                {
                    cases.push((number, case(slot)));
                }
            }
        }
    }
    // an order of changes alone, or of nothing that is held: the hold on everything still stands against it
    if cases.is_empty() && everything_on_hold {
        let case = Case { end: End::Never, on_hold: true, keeping_known, ordered: true, approvals };
        cases.push((0, case));
    }
    Ok(cases)
}

/// Whether anything was deposited after an order of everything.
fn newer_deposits(rows: &(impl Rows + ?Sized), hospital: HospitalId, order: &Order, size: u64) -> Result<bool> {
    let Scope::Everything { log_size, .. } = order.scope else { return Ok(false) };
    for number in log_size..size {
        if assets::slot_of(rows, hospital, number)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
