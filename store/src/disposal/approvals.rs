//! Approvals of orders, as people hand them in: kept beside the vault until the end begins, when they go into the ledger.
//!
//! ```text
//! disposals/<hospital id>/<order id>/<milliseconds since 1970>-<id of the key>.shap
//! ```
//!
//! Invariants
//! - An approval counts only if its key is that of a person with an account who may agree to disposals, when it is handed in and
//!   again when it is used.
//! - Nobody counts twice, under whatever key, and who asked does not count.
//! - What is refused is in the audit log.
//!
//! Source: guideline 8.2-R6.

use super::standing::order_row;
use super::{DIR, ended};
use crate::accounts::{Account, Permission};
use crate::audit::{Action, AuditEvent, Outcome, shortened_reason};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::rows::OrderStanding;
use crate::vault::Inner;
use serde::Serialize;
use shosoin_protocol::act::{Document, Order};
use shosoin_protocol::approval::{ApprovalFile, ApprovedOrder};
use shosoin_protocol::{HospitalId, LogId, VersionId};
use shosoin_tiers::durable;
use shosoin_tiers::media::Media as _;
use std::sync::Arc;

/// Ending of their files.
const ENDING: &str = ".shap";

/// An approval that was handed in.
#[derive(Debug, Clone, Serialize)]
pub struct ApprovalView {
    /// whose order, in hex
    pub hospital: String,
    /// the order, in hex
    pub order: String,
    /// account of the person; missing where the key is nobody's any more
    pub person: Option<String>,
    /// fingerprint of the key
    pub key: String,
    /// when the person decided, by their clock, in milliseconds since 1970
    pub decided_ms: u64,
    /// when it was handed in, by the vault's
    pub accepted_ms: u64,
    /// why it does not count now; missing where it does
    pub does_not_count: Option<String>,
}

/// One of them, with what it is worth now.
pub struct Handed {
    /// the file
    pub file: ApprovalFile,
    /// when it was handed in
    pub accepted_ms: u64,
    /// the person, if the key is theirs
    pub person: Option<Account>,
    /// why it does not count now
    pub does_not_count: Option<String>,
}

impl Inner {
    /// Takes an approval in, for `actor`.
    pub(crate) fn approve(&self, bytes: &[u8], actor: &str) -> Result<ApprovalView> {
        let file = match ApprovalFile::verify(bytes) {
            Ok(file) => file,
            Err(source) => {
                return self.approval_refused(None, None, actor, Error::Malformed { what: "approval", source });
            }
        };
        let vault = self.identity.vault();
        let desk = self.desks().into_iter().find(|desk| LogId::of(vault, desk.info().hospital) == file.order.log);
        let order = file.order.order;
        let Some(desk) = desk else {
            let foreign =
                Error::Approval { order, why: "it is for an order at another vault or of another hospital".into() };
            return self.approval_refused(None, None, actor, foreign);
        };
        let hospital = Some(desk.info().hospital);
        match self.judge_approval(&desk, &file) {
            Err(error @ (Error::Approval { .. } | Error::NotFound { .. })) => {
                self.approval_refused(hospital, Some(order), actor, error)
            }
            Err(error) => Err(error),
            Ok(person) => self.keep_approval(&desk, &file, &person, actor),
        }
    }

    fn judge_approval(&self, desk: &Arc<Desk>, file: &ApprovalFile) -> Result<Account> {
        let order_id = file.order.order;
        let refuse = |why: String| Err(Error::Approval { order: order_id, why });
        let (approved, order) = self.approved_order(desk, order_id)?;
        if file.order != approved {
            return refuse("it is of another order than the ledger has".into());
        }
        let row = order_row(self.index.as_ref(), desk.info().hospital, order_id)?;
        match row.standing {
            OrderStanding::Ordered => {}
            OrderStanding::Cancelled => return refuse("the order was cancelled".into()),
            _ => return refuse("the disposal has begun already".into()),
        }
        if row.expires_ms <= self.clock.now_ms() {
            return refuse("the order has expired".into());
        }
        let person = match self.person(&file.approval.key, &order) {
            Ok(person) => person,
            Err(why) => return refuse(why),
        };
        let handed = self.handed_in(desk.info().hospital, &approved, &order)?;
        match handed.iter().any(|other| other.person.as_ref().is_some_and(|other| other.id == person.id)) {
            true => refuse(format!("{} has approved it already", person.id)),
            false => Ok(person),
        }
    }

    /// The person behind a key, if they may agree to this order now; else why not.
    fn person(&self, key: &shosoin_protocol::sign::PublicKey, order: &Order) -> Result<Account, String> {
        let people = self.accounts.list();
        let owner = |of: &shosoin_protocol::sign::PublicKey| people.iter().find(|one| one.key.as_ref() == Some(of));
        let Some(person) = owner(key) else { return Err("its key belongs to nobody with an account here".into()) };
        if let Err(refusal) = person.may(Permission::ApproveDisposal) {
            return Err(format!("{} may not approve: {refusal}", person.id));
        }
        let asked = *key == order.requester || owner(&order.requester).is_some_and(|asked| asked.id == person.id);
        match asked {
            true => Err(format!("{} asked for the disposal, and who asks does not approve", person.id)),
            false => Ok(person.clone()),
        }
    }

    fn keep_approval(&self, desk: &Desk, file: &ApprovalFile, person: &Account, actor: &str) -> Result<ApprovalView> {
        let (hospital, order) = (desk.info().hospital, file.order.order);
        let now_ms = self.clock.now_ms();
        let event = AuditEvent::new(now_ms, actor, Action::DisposalApproved);
        let event = AuditEvent { hospital: Some(hospital), ..event }.because(format!("order {order} by {}", person.id));
        self.media.record(event)?;
        let dir = format!("{DIR}/{hospital}/{order}");
        for folder in [DIR.to_owned(), format!("{DIR}/{hospital}"), dir.clone()] {
            self.folder.make_dir(&folder)?;
        }
        let path = format!("{dir}/{now_ms}-{}{ENDING}", file.approval.key.device_id());
        durable::replace(&self.folder, &path, &file.encode())?;
        let handed =
            Handed { file: file.clone(), accepted_ms: now_ms, person: Some(person.clone()), does_not_count: None };
        Ok(view(hospital, &handed))
    }

    fn approval_refused<T>(
        &self,
        hospital: Option<HospitalId>,
        order: Option<VersionId>,
        actor: &str,
        error: Error,
    ) -> Result<T> {
        let event = AuditEvent::new(self.clock.now_ms(), actor, Action::DisposalApproved).ended(Outcome::Refused);
        let order = order.map_or_else(String::new, |order| format!("order {order}: "));
        let why = shortened_reason(&format!("{order}{}", error.problem().message));
        self.media.record(AuditEvent { hospital, ..event }.because(why))?;
        Err(error)
    }

    /// What an approval of an order signs, and the order, from media.
    pub(crate) fn approved_order(&self, desk: &Desk, id: VersionId) -> Result<(ApprovedOrder, Order)> {
        let row = order_row(self.index.as_ref(), desk.info().hospital, id)?;
        let (act, leaf, bytes) = ended::stated(desk, row.leaf)?;
        ended::signed_by_hospital(self.index.as_ref(), desk, row.leaf)?;
        let log = LogId::of(self.identity.vault(), desk.info().hospital);
        match crate::keeping::decode(&act, &bytes)? {
            Document::DisposalOrder(order) if act.id == id => {
                let malformed = |source| Error::Malformed { what: "disposal order", source };
                order.verify(log, id).map_err(malformed)?;
                Ok((ApprovedOrder { log, order: id, leaf, document: act.document }, order))
            }
            _ => Err(Error::NotFound { what: "disposal order", id: id.to_string() }),
        }
    }

    /// The approvals of an order that were handed in, oldest first, and what each is worth now.
    pub(crate) fn handed_in(
        &self,
        hospital: HospitalId,
        approved: &ApprovedOrder,
        order: &Order,
    ) -> Result<Vec<Handed>> {
        let dir = format!("{DIR}/{hospital}/{}", approved.order);
        let listed = match self.folder.list(&dir) {
            Ok(listed) => listed,
            Err(shosoin_tiers::Error::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut handed: Vec<Handed> = Vec::new();
        let time = |name: &str| name.strip_suffix(ENDING)?.split_once('-')?.0.parse::<u64>().ok();
        let mut files: Vec<(u64, String)> =
            listed.into_iter().filter_map(|file| Some((time(&file.name)?, file.name))).collect();
        files.sort();
        for (accepted_ms, name) in files {
            let path = self.dir.join(&dir).join(&name);
            let bytes = std::fs::read(&path).map_err(|source| Error::Io { action: "read", path, source })?;
            let Ok(file) = ApprovalFile::verify(&bytes) else { continue }; // not one: it counts for nothing
            let judged = match file.order == *approved {
                true => self.person(&file.approval.key, order),
                false => Err("it is of another order".into()),
            };
            let again = |person: &Account| {
                handed.iter().any(|other: &Handed| other.person.as_ref().is_some_and(|other| other.id == person.id))
            };
            let (person, does_not_count) = match judged {
                Ok(person) if again(&person) => (Some(person), Some("the same person approved before".to_owned())),
                Ok(person) => (Some(person), None),
                Err(why) => (
                    self.accounts.list().into_iter().find(|one| one.key.as_ref() == Some(&file.approval.key)),
                    Some(why),
                ),
            };
            handed.push(Handed { file, accepted_ms, person, does_not_count });
        }
        Ok(handed)
    }
}

/// One of them for people.
pub fn view(hospital: HospitalId, handed: &Handed) -> ApprovalView {
    ApprovalView {
        hospital: hospital.to_string(),
        order: handed.file.order.order.to_string(),
        person: handed.person.as_ref().map(|person| person.id.to_string()),
        key: handed.file.approval.key.fingerprint(),
        decided_ms: handed.file.approval.decided_ms,
        accepted_ms: handed.accepted_ms,
        does_not_count: handed.does_not_count.clone(),
    }
}
