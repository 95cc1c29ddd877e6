//! The monthly report to a hospital: what was received, given out, held and disposed of, what happened, and how verification and
//! the move to new media stand (3.4-ALL-P1, 4.2-R3). Figures only: ids, kinds, numbers and times.
//!
//! ```text
//! reports/<hospital id>/2026-04.json      as it was made first; what is shown later is this
//! ```
//!
//! Invariants
//! - A report is of a month that is over, is made once and never written again. Its digest is in the audit log, and with its figures
//!   in the ledger of the hospital, which may remark on it there.
//! - What is held now is said with the head of the hospital's log that it belongs to: the hospital checks it with `shosoin reconcile`.
//!
//! Not here: the signed account of every deposit (`reconcile`), alarms (`notify`).

mod html;
mod month;

pub use month::Month;

use crate::accounts::Caller;
use crate::acts::{OperatorAct, StatedAct};
use crate::applicability::Lang;
use crate::assets::{AssetState, scan_slots};
use crate::audit::{Action, AuditEvent, AuditQuery, Detail, Outcome};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::media_facts::is_expected;
use crate::notify::alarm_of;
use crate::vault::{Inner, Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shosoin_protocol::act::{ActKind, Document, MonthReport};
use shosoin_protocol::{Digest, HospitalId, VersionId};
use shosoin_tiers::durable;
use shosoin_tiers::media::Media as _;
use std::collections::BTreeMap;

/// Folder of the reports in the vault's folder.
const DIR: &str = "reports";

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ReportCommand {
    /// make the report of a month, if it is not there yet
    Make {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
        /// of which month
        month: Month,
    },
    /// a report that was made, as figures and as a document
    Show {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
        /// of which month
        month: Month,
        /// language of the document
        lang: Lang,
    },
    /// the reports that were made
    List {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
    },
}

impl ReportCommand {
    /// What it is called in the table of permissions.
    pub fn work(&self) -> &'static str {
        match self {
            ReportCommand::Make { .. } => "report make",
            ReportCommand::Show { .. } => "report show",
            ReportCommand::List { .. } => "report list",
        }
    }
}

/// Deposits and their sealed bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// deposits
    pub count: u64,
    /// sealed bytes
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        (self.count, self.bytes) = (self.count + 1, self.bytes.saturating_add(bytes));
    }
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// which vault
    pub vault: String,
    /// whose
    pub hospital: String,
    /// of which month
    pub month: Month,
    /// its first moment, in milliseconds since 1970
    pub from_ms: u64,
    /// the first moment behind it
    pub until_ms: u64,
    /// when it was made
    pub made_ms: u64,
    /// entries of the hospital's log then
    pub log_size: u64,
    /// their root
    pub log_root: String,
    /// deposits that came in this month
    pub received: Amount,
    /// deposits that are here, when the report was made
    pub held: Amount,
    /// deposits that were handed over until then
    pub given_out: Amount,
    /// deposits that were disposed of until then
    pub disposed: Amount,
    /// sealed records that devices of the hospital read this month
    pub read: Amount,
    /// what was done for the hospital this month, by kind and outcome
    pub events: BTreeMap<String, u64>,
    /// what the operator's people were alarmed about this month, by kind
    pub alarms: BTreeMap<String, u64>,
    /// incidents that the hospital was told of this month, by class
    pub incidents: BTreeMap<String, u64>,
    /// verification
    pub scrub: Scrub,
    /// the move from media that end their life to others
    pub copy_forward: CopyForward,
}

/// How verification stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scrub {
    /// every byte is to be verified within so many days
    pub period_days: u64,
    /// bytes to be verified
    pub total_bytes: u64,
    /// those that were not in time
    pub debt_bytes: u64,
    /// days that the longest unverified byte waits
    pub oldest_days: u64,
    /// tours of volumes that ended this month
    pub tours: u64,
    /// bytes they read
    pub read_bytes: u64,
    /// what they found
    pub findings: u64,
}

/// How the move to new media stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyForward {
    /// bytes that were moved and verified this month
    pub moved_bytes: u64,
    /// volumes in use
    pub volumes: u64,
    /// those that must be emptied within a year
    pub due_within_year: u64,
    /// those that should have been begun
    pub late: u64,
}

impl Report {
    /// What of it is in the ledger.
    fn stated(&self, digest: Digest) -> Result<MonthReport> {
        let amount =
            |amount: Amount| shosoin_protocol::reconciliation::Amount { count: amount.count, bytes: amount.bytes };
        let (year, month) = self.month.parts();
        let log_root = self.log_root.parse().map_err(|_| Error::Bug("a report has no root of the log"))?;
        Ok(MonthReport {
            year,
            month,
            digest,
            log_size: self.log_size,
            log_root,
            received: amount(self.received),
            held: amount(self.held),
            given_out: amount(self.given_out),
            disposed: amount(self.disposed),
            incidents: u32::try_from(self.incidents.values().sum::<u64>()).unwrap_or(u32::MAX),
        })
    }
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn report_command(&self, command: ReportCommand, caller: Caller) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        blocking(move || match command {
            ReportCommand::Make { hospital, month } => inner.make_report(hospital.as_deref(), month, &actor),
            ReportCommand::Show { hospital, month, lang } => {
                let (report, digest) = inner.report(hospital.as_deref(), month)?;
                let page = html::page(&report, &digest.to_string(), lang);
                let desk = inner.desk_of(hospital.as_deref())?;
                let remarks = inner.remarks_on(&desk, digest)?;
                Ok(json!({ "report": report, "digest": digest.to_string(), "html": page, "remarks": remarks }))
            }
            ReportCommand::List { hospital } => {
                let hospital = inner.desk_of(hospital.as_deref())?.info().hospital;
                Ok(json!({ "hospital": hospital.to_string(), "months": inner.reports_of(hospital)? }))
            }
        })
        .await
    }
}

impl Inner {
    fn make_report(&self, hospital: Option<&str>, month: Month, actor: &str) -> Result<Value> {
        let desk = self.desk_of(hospital)?;
        let (hospital, now_ms) = (desk.info().hospital, self.clock.now_ms());
        if self.reports_of(hospital)?.contains(&month) {
            let (report, digest) = self.report(Some(&hospital.to_string()), month)?;
            let act = self.on_record(&desk, &report, digest)?.to_string();
            return Ok(json!({ "made": false, "report": report, "digest": digest.to_string(), "act": act }));
        }
        let (from_ms, until_ms) = month.span(self.accounts.config().utc_offset);
        if until_ms > now_ms {
            return Err(Error::Argument { what: "month", why: "it is not over yet".to_owned() });
        }
        let report = self.figures(&desk, month, (from_ms, until_ms), now_ms)?;
        let bytes =
            serde_json::to_vec_pretty(&report).map_err(|_| Error::Bug("a report could not be written as JSON"))?;
        let digest = Digest(Sha256::digest(&bytes).into());
        let event = AuditEvent::new(now_ms, actor, Action::ReportMade).because(month.to_string());
        let detail = Detail::Content { digest, len: bytes.len() as u64 };
        self.media.record(AuditEvent { hospital: Some(hospital), ..event.with(detail) })?;
        self.folder.make_dir(DIR)?;
        self.folder.make_dir(&format!("{DIR}/{hospital}"))?;
        durable::replace(&self.folder, &format!("{DIR}/{hospital}/{month}.json"), &bytes)?;
        let act = self.on_record(&desk, &report, digest)?.to_string();
        Ok(json!({ "made": true, "report": report, "digest": digest.to_string(), "act": act }))
    }

    /// Puts a report on the record of the hospital, unless it is there: whoever made it may have been stopped in between. Gives the
    /// id of the act.
    fn on_record(&self, desk: &Desk, report: &Report, digest: Digest) -> Result<VersionId> {
        let of_digest = |act: &StatedAct| matches!(&act.document, Document::Report(stated) if stated.digest == digest);
        if let Some(act) = desk.acts(&*self.index, &[ActKind::Report])?.into_iter().find(of_digest) {
            return Ok(act.id);
        }
        let document = Document::Report(Box::new(report.stated(digest)?));
        let act = OperatorAct { id: self.fresh_id()?, subject: None, document };
        let id = act.id;
        desk.state(act).map(|_| id)
    }

    /// What the hospital said of a report, in the order of the ledger.
    fn remarks_on(&self, desk: &Desk, digest: Digest) -> Result<Vec<Value>> {
        let acts = desk.acts(&*self.index, &[ActKind::Report, ActKind::Remark])?;
        let is_report = |act: &&StatedAct| matches!(&act.document, Document::Report(stated) if stated.digest == digest);
        let Some(report) = acts.iter().find(is_report) else { return Ok(Vec::new()) };
        let remark = |act: &StatedAct| match act.document {
            Document::Remark(remark) if remark.report == report.id => Some(json!({
                "id": act.id.to_string(), "leaf_index": act.index, "accepted_ms": act.accepted_ms,
                "word": remark.word.name(), "text": remark.text.map(|digest| digest.to_string()),
            })),
            _ => None,
        };
        Ok(acts.iter().filter_map(remark).collect())
    }

    /// A report as it was made, if it is still what the audit log says it was.
    fn report(&self, hospital: Option<&str>, month: Month) -> Result<(Report, Digest)> {
        let hospital = self.desk_of(hospital)?.info().hospital;
        let path = self.dir.join(DIR).join(hospital.to_string()).join(format!("{month}.json"));
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NotFound { what: "report", id: month.to_string() });
            }
            Err(source) => return Err(Error::Io { action: "read", path, source }),
        };
        let digest = Digest(Sha256::digest(&bytes).into());
        let query = AuditQuery { actions: vec![Action::ReportMade], hospital: Some(hospital), ..AuditQuery::default() };
        let made =
            self.media.audit().read(&query)?.into_iter().rev().find(|record| record.event.reason == month.to_string());
        let is_known = made.is_some_and(
            |record| matches!(record.event.detail, Detail::Content { digest: made, .. } if made == digest),
        );
        let report = serde_json::from_slice(&bytes).ok().filter(|_| is_known);
        let damaged = || Error::Config {
            path,
            why: "it is not the report that was made: its digest is not in the audit log".into(),
        };
        Ok((report.ok_or_else(damaged)?, digest))
    }

    /// The months with a report, newest first.
    pub(crate) fn reports_of(&self, hospital: HospitalId) -> Result<Vec<Month>> {
        let dir = self.dir.join(DIR).join(hospital.to_string());
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        let failed = |source| Error::Io { action: "list", path: dir.clone(), source };
        let mut months = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            months.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<Month>().ok()));
        }
        months.sort_unstable_by(|one, other| other.cmp(one));
        Ok(months)
    }

    fn figures(&self, desk: &Desk, month: Month, (from_ms, until_ms): (u64, u64), now_ms: u64) -> Result<Report> {
        let (hospital, head) = (desk.info().hospital, desk.head()?);
        let mut report = Report {
            vault: self.identity.vault().to_string(),
            hospital: hospital.to_string(),
            month,
            from_ms,
            until_ms,
            made_ms: now_ms,
            log_size: head.size,
            log_root: head.root.to_string(),
            received: Amount::default(),
            held: Amount::default(),
            given_out: Amount::default(),
            disposed: Amount::default(),
            read: Amount::default(),
            events: BTreeMap::new(),
            alarms: BTreeMap::new(),
            incidents: BTreeMap::new(),
            scrub: Scrub::default(),
            copy_forward: CopyForward::default(),
        };
        scan_slots(&*self.index, hospital, &mut |slot| {
            if (from_ms..until_ms).contains(&slot.accepted_ms) {
                report.received.add(slot.stored_bytes);
            }
            match slot.state {
                AssetState::Held => report.held.add(slot.stored_bytes),
                AssetState::GivenOut => report.given_out.add(slot.stored_bytes),
                AssetState::Disposed => report.disposed.add(slot.stored_bytes),
            }
            Ok(true)
        })?;
        for act in desk.acts(&*self.index, &[ActKind::Incident])? {
            if let Document::Incident(incident) = act.document
                && (from_ms..until_ms).contains(&act.accepted_ms)
            {
                *report.incidents.entry(incident.class.name().to_owned()).or_default() += 1;
            }
        }
        self.count_events(hospital, &mut report)?;
        self.state_of_media(&mut report);
        Ok(report)
    }

    fn count_events(&self, hospital: HospitalId, report: &mut Report) -> Result<()> {
        let query =
            AuditQuery { since_ms: Some(report.from_ms), until_ms: Some(report.until_ms), ..AuditQuery::default() };
        self.media.audit().for_each(&query, &mut |record| {
            let event = &record.event;
            let ended = event.outcome != Outcome::Begun;
            if event.hospital == Some(hospital) && ended {
                *report.events.entry(format!("{} {}", event.action, event.outcome)).or_default() += 1;
            }
            if let Some(alarm) = alarm_of(&record) {
                *report.alarms.entry(alarm.name().to_owned()).or_default() += 1;
            }
            match event.action {
                Action::RecordsRead if event.hospital == Some(hospital) && ended => {
                    report.read.count += event.units;
                    report.read.bytes += event.bytes;
                }
                Action::VolumeToured => {
                    report.scrub.tours += 1;
                    report.scrub.read_bytes += event.bytes;
                    if let Detail::Found { findings, .. } = event.detail {
                        report.scrub.findings += findings;
                    }
                }
                Action::CopyForward if ended => report.copy_forward.moved_bytes += event.bytes,
                _ => {}
            }
        })
    }

    fn state_of_media(&self, report: &mut Report) {
        const DAY_MS: u64 = shosoin_tiers::life::DAY_MS;
        let debt = self.jobs.debt(self);
        report.scrub.period_days = debt.period_ms / DAY_MS;
        report.scrub.total_bytes = debt.total_bytes;
        report.scrub.debt_bytes = debt.debt_bytes;
        report.scrub.oldest_days = debt.oldest_unverified_ms / DAY_MS;
        let now_ms = report.made_ms;
        for volume in self.volumes.list().iter().filter(|volume| is_expected(volume.state)) {
            report.copy_forward.volumes += 1;
            let starts = volume.latest_start_ms;
            report.copy_forward.due_within_year += u64::from(starts.is_some_and(|at| at < now_ms + 365 * DAY_MS));
            report.copy_forward.late += u64::from(starts.is_some_and(|at| at <= now_ms));
        }
    }
}
