//! Carrying out an order: survey, guard, the act by which the end begins, the index, and then the media.
//!
//! Order, and each step before the next: the act is durable in the ledger │ reads and the index let go │ segments are compacted and
//! their old copies overwritten │ a certificate. A kill at any point leaves the act or nothing: from the act on, whatever opens the
//! vault goes on.
//!
//! Invariants
//! - Only [`judge_order`](super::judge_order) lets an end begin, on what media say; the committer asks it again on what the rows
//!   say at the moment the act gets its place.
//! - What is to go is not held from before the ledger is read for the last time, so nobody builds upon it meanwhile.
//! - A dry run reads and judges all of it, and changes nothing.

use super::standing::{order_row, refusal};
use super::survey::{GoingRecord, Seen, Survey};
use super::{Obstacle, OrderCase, Permit, Refused, ended, judge_order};
use crate::acts::OperatorAct;
use crate::audit::{Action, AuditEvent, Detail, Outcome, shortened_reason};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::index::Pending;
use crate::jobs::{By, JobKind, JobOptions, JobReport, runner};
use crate::rows::{self, GoneRow, OrderStanding, RecordRow, Row, Rows};
use crate::vault::Inner;
use bytes::Bytes;
use serde::Serialize;
use shosoin_protocol::act::{DisposalStep, Disposed, Document};
use shosoin_protocol::approval::Approval;
use shosoin_protocol::removal::RemovalList;
use shosoin_protocol::retention::DAY_MS;
use shosoin_protocol::{HospitalId, VersionId};
use shosoin_tiers::{Location, Unpaced};
use std::sync::Arc;

/// Rows that are written while no group is being committed, at a time.
const ROWS_AT_ONCE: usize = 4096;

/// What came of a run, or would come.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// whose, in hex
    pub hospital: String,
    /// the order, in hex
    pub order: String,
    /// nothing was changed
    pub dry_run: bool,
    /// the guard let it, or would
    pub allowed: bool,
    /// what stands against it
    pub obstacles: Vec<String>,
    /// entries that lose, or lost, their records
    pub entries: u64,
    /// records that go
    pub records: u64,
    /// their sealed bytes
    pub bytes: u64,
    /// records that stay, because others that live name them too
    pub shared: u64,
    /// records that were read whole again before
    pub verified: u64,
    /// records that could not be: on a shelf, or damaged
    pub unverified: u64,
    /// what removing them came to
    pub removal: Option<JobReport>,
    /// the certificate, if one was issued
    pub certificate: Option<super::certify::Issued>,
}

/// An order that was surveyed.
struct Surveyed<'a> {
    survey: Survey<'a>,
    going: Vec<GoingRecord>,
    seen: Seen,
}

/// What the guard said of an order: a permit and the approvals it rests on, or every obstacle.
type Judged = Result<(Permit, Vec<Approval>), Vec<Refused>>;

impl Inner {
    /// Carries out an order, or goes on where an earlier run was cut off, for `actor`.
    pub(crate) fn dispose(self: &Arc<Self>, order: VersionId, dry_run: bool, actor: &str) -> Result<RunReport> {
        let desk = self.desk_of_order(order)?;
        let hospital = desk.info().hospital;
        let place = self.jobs.control.take(JobKind::Compact)?;
        let row = order_row(self.index.as_ref(), hospital, order)?;
        let mut report = RunReport {
            hospital: hospital.to_string(),
            order: order.to_string(),
            dry_run,
            allowed: true,
            obstacles: Vec::new(),
            entries: row.entries,
            records: 0,
            bytes: 0,
            shared: 0,
            verified: 0,
            unverified: 0,
            removal: None,
            certificate: None,
        };
        if matches!(row.standing, OrderStanding::Ordered | OrderStanding::Cancelled) {
            self.decide(&desk, order, dry_run, actor, &mut report)?;
        }
        if dry_run {
            return Ok(report);
        }
        let options = JobOptions { hospital: Some(hospital), released: true, ..JobOptions::default() };
        report.removal = Some(runner::run(self, &place, JobKind::Compact, &options, By::Operator)?);
        report.certificate = Some(self.certify(&desk, order, actor)?);
        Ok(report)
    }

    /// The desk of the hospital that has this order.
    pub(crate) fn desk_of_order(&self, order: VersionId) -> Result<Arc<Desk>> {
        let has = |desk: &Arc<Desk>| order_row(self.index.as_ref(), desk.info().hospital, order).is_ok();
        let unknown = || Error::NotFound { what: "disposal order", id: order.to_string() };
        self.desks().into_iter().find(has).ok_or_else(unknown)
    }

    /// Surveys and judges an order, and lets its end begin.
    fn decide(
        &self,
        desk: &Arc<Desk>,
        id: VersionId,
        dry_run: bool,
        actor: &str,
        report: &mut RunReport,
    ) -> Result<()> {
        let (approved, order) = self.approved_order(desk, id)?;
        let hospital = desk.info().hospital;
        let pace = &Unpaced;
        let survey = Survey::begin(self, desk, &order, pace)?;
        let going = survey.going()?;
        let seen = survey.verify(&going, pace)?;
        (report.entries, report.shared, report.records) = (survey.entries(), survey.shared(), seen.records);
        (report.bytes, report.verified, report.unverified) = (seen.bytes, seen.verified, seen.unverified);
        let mut surveyed = Surveyed { survey, going, seen };
        let first = self.judge_surveyed(desk, id, &surveyed)?;
        if dry_run || first.is_err() {
            return self.told(desk, id, dry_run, actor, first.map(drop), report);
        }
        let addresses: Vec<_> = surveyed.going.iter().map(|record| record.address).collect();
        let _going = self.records.begin_going(hospital, addresses);
        self.in_flight.wait_for_earlier(|| Ok::<_, Error>(()))?;
        surveyed.survey.advance(pace)?;
        surveyed.going = surveyed.survey.going()?;
        let (permit, approvals) = match self.judge_surveyed(desk, id, &surveyed)? {
            Ok(permitted) => permitted,
            Err(obstacles) => return self.told(desk, id, dry_run, actor, Err(obstacles), report),
        };
        self.begin(desk, (id, approved.document), approvals, &surveyed, actor, permit)
    }

    /// The guard on what media say, the approvals as they count now, and time.
    fn judge_surveyed(&self, desk: &Arc<Desk>, id: VersionId, surveyed: &Surveyed<'_>) -> Result<Judged> {
        let (approved, order) = self.approved_order(desk, id)?;
        let hospital = desk.info().hospital;
        let row = order_row(self.index.as_ref(), hospital, id)?;
        let counted: Vec<_> = self
            .handed_in(hospital, &approved, &order)?
            .into_iter()
            .filter(|handed| handed.does_not_count.is_none())
            .collect();
        let cool_down_days = self.cool_down_days(desk, &order)?;
        let since_ms = counted.get(super::APPROVALS_MIN - 1).map(|second| second.accepted_ms.max(row.accepted_ms));
        let case = OrderCase {
            standing: row.standing,
            expires_ms: row.expires_ms,
            cool_down_ends_ms: since_ms.map(|since_ms| since_ms.saturating_add(cool_down_days * DAY_MS)),
            newer_deposits: surveyed.survey.has_newer_deposits(),
            identity: surveyed.survey.obstacles().iter().copied().chain(self.too_few_passes(desk)?).collect(),
        };
        let records = surveyed.survey.cases(counted.len());
        let judged = judge_order(&case, &records, self.now_for_disposal()?);
        let approvals = counted.into_iter().map(|handed| handed.file.approval).collect();
        Ok(judged.map(|permit| (permit, approvals)))
    }

    /// Stands against an end while copies would be overwritten less often than was agreed.
    fn too_few_passes(&self, desk: &Desk) -> Result<Option<Refused>> {
        let (terms, configured) = (desk.agreements().in_force(self.clock.now_ms())?, self.config.disposal.passes);
        let agreed = terms.map_or(0, |terms| terms.overwrite_passes);
        let obstacle = Obstacle::TooFewPasses { agreed, configured };
        Ok((agreed > configured).then_some(Refused { number: None, obstacle }))
    }

    /// Says what the guard said: a dry run reports it, a refusal of a run is on the record and an error.
    fn told(
        &self,
        desk: &Desk,
        id: VersionId,
        dry_run: bool,
        actor: &str,
        judged: Result<(), Vec<Refused>>,
        report: &mut RunReport,
    ) -> Result<()> {
        let Err(obstacles) = judged else { return Ok(()) };
        report.allowed = false;
        report.obstacles = obstacles.iter().map(Refused::to_string).collect();
        if dry_run {
            return Ok(());
        }
        let error = refusal(id, &obstacles);
        let event = AuditEvent::new(self.clock.now_ms(), actor, Action::DisposalRefused).ended(Outcome::Refused);
        let event = AuditEvent { hospital: Some(desk.info().hospital), units: obstacles.len() as u64, ..event };
        self.media.record(event.because(shortened_reason(&error.to_string())).with(Detail::Order(id)))?;
        Err(error)
    }

    /// The end begins: durable in the ledger, then the index lets go.
    fn begin(
        &self,
        desk: &Desk,
        (order, order_document): (VersionId, shosoin_protocol::Address),
        approvals: Vec<Approval>,
        surveyed: &Surveyed<'_>,
        actor: &str,
        _permit: Permit,
    ) -> Result<()> {
        let hospital = desk.info().hospital;
        let addresses = surveyed.going.iter().map(|record| record.address).collect();
        let lists: Vec<Bytes> = RemovalList::lists(addresses).iter().map(|list| Bytes::from(list.encode())).collect();
        let removals = lists.iter().map(|list| desk.info().suite.address(list)).collect();
        let read_to = surveyed.survey.read_to();
        let event = AuditEvent::new(self.clock.now_ms(), actor, Action::Disposed).ended(Outcome::Begun);
        let (bytes, units) = (surveyed.seen.bytes, surveyed.seen.records);
        let event = AuditEvent { hospital: Some(hospital), bytes, units, ..event }.with(Detail::Order(order));
        self.media.record(event)?;
        let (shared, verified, unverified) =
            (surveyed.survey.shared(), surveyed.seen.verified, surveyed.seen.unverified);
        let event = AuditEvent::new(self.clock.now_ms(), actor, Action::Disposed).ended(Outcome::Begun);
        let event = AuditEvent { hospital: Some(hospital), ..event };
        self.media.record(event.with(Detail::Survey { order, shared, verified, unverified }))?;
        let step = DisposalStep::Begun { order_document, approvals, removals, read_to };
        let document = Document::Disposed(Disposed { order, step });
        let act = OperatorAct { id: self.fresh_id()?, subject: None, document };
        if let Err(error) = desk.state_with(act, lists) {
            let event = AuditEvent::new(self.clock.now_ms(), actor, Action::DisposalRefused).ended(Outcome::Refused);
            let event = AuditEvent { hospital: Some(hospital), ..event }.with(Detail::Order(order));
            self.media.record(event.because(shortened_reason(&error.problem().message)))?;
            return Err(error);
        }
        for part in surveyed.going.chunks(ROWS_AT_ONCE) {
            desk.committer().between_groups(|| let_go(self, hospital, order, part))?;
        }
        desk.agreements().forget_used();
        Ok(())
    }
}

/// Rows of records that go lead nowhere any more; where they lie is remembered until their segment has gone.
fn let_go(inner: &Inner, hospital: HospitalId, order: VersionId, going: &[GoingRecord]) -> Result<()> {
    let mut rows = Pending::new(inner.index.as_ref());
    for GoingRecord { address, at } in going {
        let key = rows::record_key(hospital, address);
        let row = rows.row::<RecordRow>(&key)?;
        if let (Some(row), Some(at)) = (row, at)
            && row.at == *at
        {
            gone(&mut rows, hospital, order, address, row.at);
        }
    }
    rows.write()
}

fn gone(
    rows: &mut Pending<'_>,
    hospital: HospitalId,
    order: VersionId,
    address: &shosoin_protocol::Address,
    at: Location,
) {
    rows.remove(rows::record_key(hospital, address));
    rows.remove(rows::unnamed_key(hospital, address));
    rows.put(rows::gone_key(hospital, address), GoneRow { at, order }.encode());
}

/// Lets go, after a start, of what disposals that are not closed have ended: what an earlier process did not come to, and what
/// a rebuild found on media again. What was deposited after the end began is not touched.
pub fn catch_up(inner: &Inner, desk: &Arc<Desk>) -> Result<()> {
    let hospital = desk.info().hospital;
    let mut open = Vec::new();
    inner.index.scan(&rows::order_prefix(hospital), &mut |key, value| {
        let row = rows::OrderRow::decode(value)?;
        if matches!(row.standing, OrderStanding::Begun | OrderStanding::Certified)
            && let Some(order) = rows::order_id(key)
        {
            open.push((order, row.begun_leaf));
        }
        Ok(true)
    })?;
    for (order, begun_leaf) in open {
        let Some(begun) = ended::begun_at(inner.index.as_ref(), desk, begun_leaf)? else { continue };
        let named_since = named_since(desk, begun.read_to)?;
        for list in &begun.removals {
            let bytes = desk.record(list)?;
            let list =
                RemovalList::decode(&bytes).map_err(|source| Error::Malformed { what: "list of removals", source })?;
            for part in list.addresses().chunks(ROWS_AT_ONCE) {
                desk.committer().between_groups(|| {
                    let mut rows = Pending::new(inner.index.as_ref());
                    for address in part.iter().filter(|address| !named_since.contains(*address)) {
                        if let Some(row) = rows.row::<RecordRow>(&rows::record_key(hospital, address))? {
                            gone(&mut rows, hospital, order, address, row.at);
                        }
                    }
                    rows.write()
                })?;
            }
        }
    }
    Ok(())
}

/// What deposits name that came after a place in the ledger.
fn named_since(desk: &Desk, from: u64) -> Result<std::collections::BTreeSet<shosoin_protocol::Address>> {
    use shosoin_protocol::entry::Body;
    use shosoin_protocol::manifest::AddressList;
    let mut named = std::collections::BTreeSet::new();
    for leaf in from..desk.head()?.size {
        let placed = desk.ledger().entry(leaf)?;
        if let Body::Deposit(deposit) = placed.entry.body()
            && let Ok(bytes) = desk.record(&deposit.address_list)
        {
            let list = AddressList::decode(&bytes);
            let list = list.map_err(|source| Error::Malformed { what: "address list", source })?;
            named.extend(deposit.own_records());
            named.extend(list.addresses());
        }
    }
    Ok(named)
}
