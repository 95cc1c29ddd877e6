//! Quarantine: what hospitals sent and intake found suspicious, set aside as evidence.
//!
//! A deposit passes `staged` (its chunks came, nobody was told anything), `verified` (intake judged it) and `committed` (it has
//! its receipt). What is refused because it was cut, is too early, or was not agreed on may come again; what is *suspicious*
//! ends here: a malware report that is forged or says "infected", a signature of nobody, bytes of another address.
//!
//! Invariants
//! - Evidence is in a folder of its own, which may be another device. No request of the API reads it, and no job touches it.
//! - It is on disk before the ledger says so, and in the ledger before anybody is answered. A stop in between is caught up at
//!   the next start.
//! - It goes by one way alone, `command`: two people agreed, and the ledger says what became of it. A term that
//!   is over ends nothing: it is shown, counted and reported until people have decided.
//! - The same thing sent again is the same evidence.
//!
//! Not here: which things are suspicious beyond what intake found, and the way back. What was wrongly set aside is sent again by
//! the hospital, and judged again.
//! Source: guideline 3.3-P3, 3.4-R6, 3.4-R7, 3.4-P3, T6.

mod command;
mod folder;

pub use command::{InQuarantine, QuarantineAnswer, QuarantineCommand};
pub use folder::Quarantine;

use crate::acts::{OperatorAct, StatedAct};
use crate::audit::{Action, AuditEvent, Outcome};
use crate::check::Finding;
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::intake::Prepared;
use crate::journal::VAULT;
use crate::malware::ReportFault;
use crate::rows::{self, Row as _, UnnamedRow};
use crate::status::Abandoned;
use crate::vault::Inner;
use bytes::Bytes;
use serde::Serialize;
use shosoin_protocol::act::agreement::QuarantineRule;
use shosoin_protocol::act::{
    ActKind, Document, QuarantineIn, QuarantineOut, QuarantineReason, QuarantinedThing, TransferFailure,
};
use shosoin_protocol::api::DepositRequest;
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::limits::{EVIDENCE_ITEMS_MAX, EVIDENCE_RECORDS_MAX};
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::quarantine::{EvidenceHead, EvidenceRecord};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Address, Digest, HospitalId, RecordKind, VersionId};
use shosoin_tiers::Record;
use shosoin_tiers::life::DAY_MS;
use std::collections::HashSet;
use std::sync::Arc;

/// What counts where no agreement is in force.
const RULE_DEFAULT: QuarantineRule = QuarantineRule { term_days: 30, bytes_max: 10 << 30 };

/// Something in quarantine, or that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// its number: the id of the act by which it came in
    pub id: VersionId,
    /// leaf of that act
    pub index: u64,
    /// what the ledger says of it
    pub said: QuarantineIn,
    /// when it left, in milliseconds since 1970, and how
    pub left: Option<(u64, QuarantineOut)>,
}

impl Item {
    /// Whether people should have decided by now.
    pub fn is_overdue(&self, now_ms: u64) -> bool {
        self.left.is_none() && now_ms >= self.said.until_ms
    }
}

/// What quarantine holds for one hospital.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QuarantineStatus {
    /// things in it
    pub items: usize,
    /// their bytes
    pub bytes: u64,
    /// those whose term is over, and nobody has decided
    pub overdue: usize,
}

/// Something suspicious, as it came.
struct Suspect {
    reason: QuarantineReason,
    thing: QuarantinedThing,
    version: Option<VersionId>,
    entry: Bytes,
    claimed: Address,
    sent: Vec<(RecordKind, Bytes)>,
    /// records that an upload brought before
    held: Vec<Address>,
}

/// Why something is to be set aside, if it is.
fn suspicion(error: &Error) -> Option<QuarantineReason> {
    use shosoin_protocol::Error as Broken;
    match error {
        Error::Report { source: ReportFault::Infected } => Some(QuarantineReason::Infected),
        Error::Report { source } if source.is_suspicious() => Some(QuarantineReason::Report),
        Error::Malformed { source: Broken::Signature { .. }, .. } => Some(QuarantineReason::Signature),
        Error::Malformed { source: Broken::Mismatch { what: "address", .. }, .. } => Some(QuarantineReason::Digest),
        Error::Malformed { source: Broken::Mismatch { what: "hospital of the envelope", .. }, .. } => {
            Some(QuarantineReason::Misdirected)
        }
        Error::Misdirected { .. } => Some(QuarantineReason::Misdirected),
        _ => None,
    }
}

impl Suspect {
    fn chunk(reason: QuarantineReason, claimed: Address, bytes: Bytes) -> Self {
        let (thing, sent) = (QuarantinedThing::Chunk, vec![(RecordKind::Chunk, bytes)]);
        Suspect { reason, thing, version: None, entry: Bytes::new(), claimed, sent, held: Vec::new() }
    }

    /// A deposit with everything that came along, and what its list of addresses names besides.
    fn deposit(reason: QuarantineReason, desk: &Desk, request: &DepositRequest) -> Self {
        let (mut version, mut held) = (None, Vec::new());
        if let Ok(entry) = Entry::decode(&request.entry) {
            version = entry.body().id();
            if let Body::Deposit(deposit) = entry.body() {
                held = named_by(desk, request, &deposit.address_list);
                held.extend(deposit.own_records().iter().copied());
            }
        }
        let sent: Vec<_> = request.records.iter().map(|record| (record.kind, record.bytes.clone())).collect();
        let suite = desk.info().suite;
        let along: HashSet<Address> = sent.iter().map(|(_, bytes)| suite.address(bytes)).collect();
        held.retain(|address| !along.contains(address));
        let (thing, claimed) = (QuarantinedThing::Deposit, Address([0; 32]));
        Suspect { reason, thing, version, entry: request.entry.clone(), claimed, sent, held }
    }

    /// By which the same thing is known again.
    fn came(&self, desk: &Desk) -> Digest {
        let first = self.sent.first().map_or([0; 32], |(_, bytes)| desk.info().suite.address(bytes).0);
        came(&self.entry, &self.claimed, &first)
    }
}

fn came(entry: &[u8], claimed: &Address, first: &[u8; 32]) -> Digest {
    match entry.is_empty() {
        true => sha256(&[&claimed.0, first]),
        false => sha256(&[entry]),
    }
}

/// What a list of addresses names, if it is there and is one.
fn named_by(desk: &Desk, request: &DepositRequest, list: &Address) -> Vec<Address> {
    let suite = desk.info().suite;
    let along = request.records.iter().find(|record| suite.address(&record.bytes) == *list);
    let bytes = along.map(|record| record.bytes.clone()).or_else(|| desk.record(list).ok());
    let list = bytes.and_then(|bytes| AddressList::decode(&bytes).ok());
    list.map_or_else(Vec::new, |list| list.addresses().to_vec())
}

impl Inner {
    /// Judges a chunk; what is suspicious is set aside.
    pub(crate) fn judged_chunk(&self, desk: &Arc<Desk>, address: Address, bytes: Bytes) -> Result<Option<Record>> {
        desk.judge_chunk(address, bytes.clone()).map_err(|error| match suspicion(&error) {
            Some(reason) => self.set_aside(desk, &Suspect::chunk(reason, address, bytes), error),
            None => error,
        })
    }

    /// Judges the deposits of a batch; what is suspicious is set aside.
    pub(crate) fn judged_deposits(
        &self,
        desk: &Arc<Desk>,
        deposits: &[DepositRequest],
        packed_ms: Option<u64>,
    ) -> Vec<Result<Prepared>> {
        let one = |(outcome, request): (Result<Prepared>, &DepositRequest)| {
            outcome.map_err(|error| match suspicion(&error) {
                Some(reason) => self.set_aside(desk, &Suspect::deposit(reason, desk, request), error),
                None => error,
            })
        };
        desk.prepare(deposits, packed_ms).into_iter().zip(deposits).map(one).collect()
    }

    /// Keeps the evidence and says so in the ledger; gives what the hospital is told. Where it cannot be kept the refusal stays,
    /// and the audit log says that there is no evidence. Either way it is a transfer that failed.
    fn set_aside(&self, desk: &Arc<Desk>, suspect: &Suspect, error: Error) -> Error {
        let hospital = desk.info().hospital;
        let told = match self.try_set_aside(desk, suspect) {
            Ok(id) => Error::Quarantined { id, source: Box::new(error) },
            Err(failed) => {
                tracing::error!(%hospital, error = &failed as &dyn std::error::Error, "evidence could not be kept");
                self.note_lost_evidence(hospital, suspect.reason, &failed);
                error
            }
        };
        let how = match suspect.reason {
            QuarantineReason::Digest => TransferFailure::Digest,
            QuarantineReason::Signature => TransferFailure::Signature,
            _ => TransferFailure::Quarantined,
        };
        if let Err(error) = self.transfer_failed(desk, how) {
            tracing::error!(%hospital, error = &error as &dyn std::error::Error, "a failed transfer could not be counted");
        }
        told
    }

    fn note_lost_evidence(&self, hospital: HospitalId, reason: QuarantineReason, failed: &Error) {
        let mut event = AuditEvent::new(self.clock.now_ms(), VAULT, Action::Quarantined).ended(Outcome::Failed);
        event.hospital = Some(hospital);
        if let Err(unheard) = self.media.record(event.because(format!("{}: {}", reason.name(), failed.code()))) {
            tracing::error!(error = &unheard as &dyn std::error::Error, "and the audit log does not say so");
        }
    }

    fn try_set_aside(&self, desk: &Arc<Desk>, suspect: &Suspect) -> Result<VersionId> {
        let hospital = desk.info().hospital;
        let _one = self.quarantine.working.lock();
        let came = suspect.came(desk);
        let items = self.quarantined(desk)?;
        if let Some(item) = items.iter().find(|item| item.left.is_none() && self.is_same(hospital, item, came)) {
            return Ok(item.id);
        }
        if items.iter().filter(|item| item.left.is_none()).count() >= EVIDENCE_ITEMS_MAX {
            return Err(Error::Busy { what: "quarantine, which holds as many things as it can; release some of them" });
        }
        let now_ms = self.clock.now_ms();
        let rule = desk.agreements().in_force(now_ms)?.map_or(RULE_DEFAULT, |terms| terms.quarantine);
        let used: u64 = items.iter().filter(|item| item.left.is_none()).map(|item| item.said.bytes).sum();
        let head = self.head_of(desk, suspect, rule.bytes_max.saturating_sub(used), now_ms)?;
        let bytes = self.quarantine.keep(&head, |at, record| match suspect.sent.get(at) {
            Some((_, bytes)) => Ok(bytes.clone()),
            None => desk.record(&record.address),
        })?;
        let until_ms = now_ms.saturating_add(u64::from(rule.term_days) * DAY_MS);
        self.state_quarantined(desk, &head, Kept { version: suspect.version, bytes, until_ms })?;
        Ok(head.id)
    }

    fn is_same(&self, hospital: HospitalId, item: &Item, sought: Digest) -> bool {
        let Ok(head) = self.quarantine.head(hospital, item.id) else { return false };
        let first = head.records.first().map_or([0; 32], |record| record.address.0);
        came(&head.entry, &head.claimed, &first) == sought
    }

    /// The head of new evidence: everything that came along, and as much of what was held as `room` allows.
    fn head_of(&self, desk: &Desk, suspect: &Suspect, room: u64, now_ms: u64) -> Result<EvidenceHead> {
        let suite = desk.info().suite;
        let along = suspect.sent.iter().map(|(kind, bytes)| {
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            EvidenceRecord { came_along: true, kind: *kind, len, address: suite.address(bytes) }
        });
        let mut records: Vec<EvidenceRecord> = along.collect();
        let mut taken: u64 =
            records.iter().map(|record| u64::from(record.len)).sum::<u64>() + suspect.entry.len() as u64;
        if taken > room {
            return Err(Error::Busy { what: "quarantine, which is as full as was agreed on; release some of it" });
        }
        let mut left_out = 0u32;
        for address in &suspect.held {
            let Some(row) = desk.held(address)? else { continue };
            match records.len() < EVIDENCE_RECORDS_MAX && taken + u64::from(row.at.len) <= room {
                true => {
                    taken += u64::from(row.at.len);
                    let (kind, len, address) = (row.kind, row.at.len, *address);
                    records.push(EvidenceRecord { came_along: false, kind, len, address });
                }
                false => left_out = left_out.saturating_add(1),
            }
        }
        let (reason, thing, claimed, id) = (suspect.reason, suspect.thing, suspect.claimed, self.fresh_id()?);
        let (hospital, entry) = (desk.info().hospital, suspect.entry.to_vec());
        Ok(EvidenceHead { reason, thing, suite, hospital, id, taken_ms: now_ms, left_out, claimed, entry, records })
    }

    /// Puts evidence that is on disk into the ledger and the audit log.
    fn state_quarantined(&self, desk: &Arc<Desk>, head: &EvidenceHead, kept: Kept) -> Result<()> {
        let hospital = desk.info().hospital;
        let said = QuarantineIn {
            reason: head.reason,
            thing: head.thing,
            version: kept.version,
            taken_ms: head.taken_ms,
            until_ms: kept.until_ms,
            records: u32::try_from(head.records.len()).unwrap_or(u32::MAX),
            left_out: head.left_out,
            bytes: kept.bytes,
            evidence: head.digest(),
        };
        desk.state(OperatorAct { id: head.id, subject: None, document: Document::QuarantineIn(said) })?;
        self.quarantine.forget(hospital);
        let mut event = AuditEvent::new(self.clock.now_ms(), VAULT, Action::Quarantined);
        (event.hospital, event.bytes, event.units) = (Some(hospital), kept.bytes, u64::from(said.records));
        let left_out = if head.left_out > 0 { format!(", {} records left out", head.left_out) } else { String::new() };
        let event = event.because(format!("{} {}{left_out}", head.reason.name(), head.id));
        tracing::error!(%hospital, id = %head.id, reason = head.reason.name(), "something was set aside in quarantine");
        self.media.record(event).map(drop)
    }

    /// Everything that is or was in a hospital's quarantine, in the order in which it came.
    pub(crate) fn quarantined(&self, desk: &Desk) -> Result<Arc<Vec<Item>>> {
        self.quarantine.items(desk.info().hospital, || {
            let acts = desk.acts(&*self.index, &[ActKind::QuarantineIn, ActKind::QuarantineOut])?;
            // evidence stays with the vault that it came to: what one before this vault set aside is not here
            let from = desk.lineage()?.current().from;
            Ok(items_of(acts).into_iter().filter(|item| item.index >= from).collect())
        })
    }

    /// What quarantine holds for a hospital.
    pub(crate) fn quarantine_status(&self, desk: &Desk) -> Result<QuarantineStatus> {
        let (items, now_ms) = (self.quarantined(desk)?, self.clock.now_ms());
        let mut status = QuarantineStatus::default();
        for item in items.iter().filter(|item| item.left.is_none()) {
            status.items += 1;
            status.bytes += item.said.bytes;
            status.overdue += usize::from(item.is_overdue(now_ms));
        }
        Ok(status)
    }

    /// After a stop: evidence that the ledger does not know yet is put there, and what left by it goes. What fails is tried again
    /// at the next start; the evidence stays.
    pub(crate) fn catch_up_quarantine(&self) {
        for desk in self.desks() {
            if let Err(error) = self.catch_up_evidence(&desk) {
                let hospital = desk.info().hospital;
                tracing::error!(%hospital, error = &error as &dyn std::error::Error, "quarantine was not caught up");
            }
        }
    }

    fn catch_up_evidence(&self, desk: &Arc<Desk>) -> Result<()> {
        let hospital = desk.info().hospital;
        let found = self.quarantine.ids(hospital)?;
        if found.is_empty() {
            return Ok(());
        }
        let items = self.quarantined(desk)?;
        for id in found {
            match items.iter().find(|item| item.id == id) {
                Some(item) if item.left.is_some() => self.quarantine.remove(hospital, id)?,
                Some(_) => {}
                None => self.state_found(desk, id)?,
            }
        }
        Ok(())
    }

    fn state_found(&self, desk: &Arc<Desk>, id: VersionId) -> Result<()> {
        let head = self.quarantine.head(desk.info().hospital, id)?;
        let now_ms = self.clock.now_ms();
        let rule = desk.agreements().in_force(now_ms)?.map_or(RULE_DEFAULT, |terms| terms.quarantine);
        let until_ms = head.taken_ms.saturating_add(u64::from(rule.term_days) * DAY_MS);
        let version = Entry::decode(&head.entry).ok().and_then(|entry| entry.body().id());
        let bytes = head.record_bytes() + head.entry.len() as u64;
        self.state_quarantined(desk, &head, Kept { version, bytes, until_ms })
    }

    /// What uploads brought that no deposit followed, as compaction found it.
    pub(crate) fn abandoned(&self, desk: &Desk) -> Result<Abandoned> {
        let mut left = Abandoned::default();
        self.index.scan(&rows::unnamed_prefix(desk.info().hospital), &mut |_, value| {
            let row = UnnamedRow::decode(value)?;
            left.records += 1;
            left.bytes += u64::from(row.at.len);
            left.since_ms = Some(left.since_ms.map_or(row.since_ms, |since_ms| since_ms.min(row.since_ms)));
            Ok(true)
        })?;
        left.until_ms = left.since_ms.map(|since_ms| since_ms.saturating_add(self.config.jobs.upload_ms()));
        Ok(left)
    }

    /// Compares the evidence with what the ledger says of it.
    pub(crate) fn check_quarantine(&self, findings: &mut Vec<Finding>) -> Result<()> {
        for desk in self.desks() {
            let hospital = desk.info().hospital;
            for item in self.quarantined(&desk)?.iter().filter(|item| item.left.is_none()) {
                if let Err(error) = self.quarantine.verify(hospital, item) {
                    let why = error.problem().message;
                    let message = format!("evidence {} of hospital {hospital} is not what came in: {why}", item.id);
                    findings.push(Finding::damaged("quarantine-evidence", message));
                }
            }
        }
        Ok(())
    }
}

/// What evidence that is on disk has besides its head.
struct Kept {
    version: Option<VersionId>,
    bytes: u64,
    until_ms: u64,
}

fn items_of(acts: Vec<StatedAct>) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for act in acts {
        match act.document {
            Document::QuarantineIn(said) => items.push(Item { id: act.id, index: act.index, said, left: None }),
            Document::QuarantineOut(out) => {
                let item = items.iter_mut().find(|item| item.id == out.quarantined && item.left.is_none());
                item.into_iter().for_each(|item| item.left = Some((act.accepted_ms, out)));
            }
            _ => {}
        }
    }
    items
}
