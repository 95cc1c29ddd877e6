//! Orders as the operator sees them: what was ordered, who agreed, what stands in the way, what is left to do.

use super::approvals::{ApprovalView, view};
use super::standing::cases;
use super::{APPROVALS_MIN, Now, OrderCase, Refused, judge_order};
use crate::audit::{Action, AuditEvent};
use crate::desk::Desk;
use crate::error::Result;
use crate::rows::{self, OrderRow, OrderStanding, Row};
use crate::vault::Inner;
use serde::Serialize;
use shosoin_protocol::VersionId;
use shosoin_protocol::act::Scope;
use shosoin_protocol::retention::DAY_MS;
use std::sync::Arc;

/// One order.
#[derive(Debug, Clone, Serialize)]
pub struct OrderView {
    /// whose, in hex
    pub hospital: String,
    /// id of the act, in hex
    pub order: String,
    /// ordered, cancelled, begun, certified or closed
    pub standing: &'static str,
    /// place in the ledger
    pub leaf: u64,
    /// when it was accepted, in milliseconds since 1970
    pub accepted_ms: u64,
    /// not to be carried out from this moment on
    pub expires_ms: u64,
    /// why
    pub reason: &'static str,
    /// everything, at the end of a contract
    pub everything: bool,
    /// entries it names
    pub entries: u64,
    /// fingerprint of the key of the person who asked
    pub requester: String,
    /// approvals that were handed in
    pub approvals: Vec<ApprovalView>,
    /// approvals that count now
    pub counted: usize,
    /// when it may be carried out, as far as approvals and cool-down go
    pub cool_down_ends_ms: Option<u64>,
    /// what stands against it, as the index has it; a run reads media
    pub obstacles: Vec<String>,
    /// when its end began
    pub begun_ms: Option<u64>,
    /// certificates issued
    pub certificates: u32,
    /// copies that are pending in the newest one
    pub pending: u64,
    /// what an approval signs, for `dispose approve` on another machine
    pub to_approve: Option<ToApprove>,
}

/// What an approver is given: the order itself, and what the vault knows of it.
#[derive(Debug, Clone, Serialize)]
pub struct ToApprove {
    /// ledger, in hex
    pub log: String,
    /// hash of the order's entry, hex
    pub leaf: String,
    /// address of its document, hex
    pub document: String,
    /// the document, hex
    pub bytes: String,
    /// suite of the hospital
    pub suite: u8,
}

impl Inner {
    /// Orders of all hospitals, or one of them, for `actor`.
    pub(crate) fn disposals(&self, only: Option<VersionId>, actor: &str) -> Result<Vec<OrderView>> {
        self.reader(actor)?;
        let mut views = Vec::new();
        for desk in self.desks() {
            let hospital = desk.info().hospital;
            let mut found = Vec::new();
            self.index.scan(&rows::order_prefix(hospital), &mut |key, value| {
                if let Some(order) = rows::order_id(key).filter(|order| only.is_none_or(|only| only == *order)) {
                    found.push((order, OrderRow::decode(value)?));
                }
                Ok(true)
            })?;
            found.sort_by_key(|(_, row)| row.leaf);
            for (order, row) in found {
                views.push(self.order_view(&desk, order, &row, only.is_some())?);
            }
            let mut event = AuditEvent::new(self.clock.now_ms(), actor, Action::AssetsRead);
            (event.hospital, event.units) = (Some(hospital), views.len() as u64);
            self.media.record(event)?;
        }
        match (only, views.is_empty()) {
            (Some(order), true) => Err(crate::Error::NotFound { what: "disposal order", id: order.to_string() }),
            _ => Ok(views),
        }
    }

    fn order_view(&self, desk: &Arc<Desk>, id: VersionId, row: &OrderRow, in_full: bool) -> Result<OrderView> {
        let hospital = desk.info().hospital;
        let (approved, order) = self.approved_order(desk, id)?;
        let handed = self.handed_in(hospital, &approved, &order)?;
        let counted: Vec<u64> =
            handed.iter().filter(|one| one.does_not_count.is_none()).map(|one| one.accepted_ms).collect();
        let days = self.cool_down_days(desk, &order)?;
        let second = counted.get(APPROVALS_MIN - 1).map(|at_ms| (*at_ms).max(row.accepted_ms));
        let cool_down_ends_ms = second.map(|at_ms| at_ms.saturating_add(days * DAY_MS));
        let waits = row.standing == OrderStanding::Ordered;
        let obstacles = match waits {
            false => Vec::new(),
            true => {
                let case = OrderCase {
                    standing: row.standing,
                    expires_ms: row.expires_ms,
                    cool_down_ends_ms,
                    newer_deposits: false,
                    identity: Vec::new(),
                };
                let records = cases(self.index.as_ref(), hospital, &order, counted.len())?;
                let now: Now = self.now_for_disposal()?;
                let judged = judge_order(&case, &records, now);
                judged.err().unwrap_or_default().iter().take(100).map(Refused::to_string).collect()
            }
        };
        let to_approve = (in_full && waits).then(|| -> Result<ToApprove> {
            let (_, _, bytes) = super::ended::stated(desk, row.leaf)?;
            Ok(ToApprove {
                log: approved.log.to_string(),
                leaf: approved.leaf.to_string(),
                document: approved.document.to_string(),
                bytes: hex::encode(bytes),
                suite: desk.info().suite.code(),
            })
        });
        Ok(OrderView {
            hospital: hospital.to_string(),
            order: id.to_string(),
            standing: row.standing.name(),
            leaf: row.leaf,
            accepted_ms: row.accepted_ms,
            expires_ms: row.expires_ms,
            reason: order.reason.name(),
            everything: matches!(order.scope, Scope::Everything { .. }),
            entries: row.entries,
            requester: order.requester.fingerprint(),
            approvals: handed.iter().map(|one| view(hospital, one)).collect(),
            counted: counted.len(),
            cool_down_ends_ms,
            obstacles,
            begun_ms: Some(row.begun_ms).filter(|at_ms| *at_ms > 0),
            certificates: row.serial,
            pending: row.pending,
            to_approve: to_approve.transpose()?,
        })
    }
}
