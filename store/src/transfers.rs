//! Transfers that fail, and the stop they lead to: a failed transfer may be tried again as often as the agreement says; then all
//! communication between the two ends, reads too, until a named person has looked for the cause and another one agreed
//! (guideline 7.6.8-M4d; T11: what is urgent goes the other way that was agreed beforehand).
//!
//! Invariants
//! - What one fault cuts at the same moment counts once: a line that breaks breaks every transfer on it.
//! - The count survives a restart: it is on disk before whoever sent is answered.
//! - From the failure that is one too many on, nothing is taken from that hospital and nothing given to it, whatever happens to
//!   the ledger entry about it; the entry is made as soon as the ledger takes one.
//! - Whether communication is stopped follows from the ledger, so an index or a folder that is lost opens no line.
//! - Nothing opens it but [`TransferCommand::Reopen`].
//!
//! Not here: which failures there are. A transfer that did not arrive whole is told by `http`, what is not what it says by
//! `quarantine`.

mod command;
mod file;

pub use command::TransferCommand;
pub use file::LineFile;

use crate::acts::{OperatorAct, StatedAct};
use crate::audit::{Action, AuditEvent};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::journal::VAULT;
use crate::vault::{Inner, Vault, blocking};
use file::Failure;
use parking_lot::Mutex;
use serde::Serialize;
use shosoin_protocol::act::agreement::{Emergency, RetryRule};
use shosoin_protocol::act::{ActKind, Document, Stopped, TransferFailure};
use shosoin_protocol::{HospitalId, VersionId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Milliseconds of a minute.
const MINUTE_MS: u64 = 60 * 1000;

/// The lines to all hospitals.
#[derive(Debug, Default)]
pub struct Transfers {
    lines: Mutex<BTreeMap<HospitalId, Line>>,
}

/// What is known of one line.
#[derive(Debug, Clone, Default)]
struct Line {
    file: LineFile,
    /// the stop in the ledger that nothing has ended
    stopped: Option<(VersionId, Stopped)>,
}

impl Line {
    fn is_stopped(&self) -> bool {
        self.stopped.is_some() || self.file.stop_ms.is_some()
    }
}

/// How a line stands. Times in milliseconds since 1970.
#[derive(Debug, Clone, Serialize)]
pub struct LineStatus {
    /// since when communication is stopped
    pub stopped_ms: Option<u64>,
    /// how the last transfer before it failed
    pub last: Option<&'static str>,
    /// failed transfers that count now
    pub failures: usize,
    /// with so many it stops; missing where nothing was agreed on
    pub failures_max: Option<u32>,
    /// minutes within which they count together
    pub window_minutes: Option<u32>,
    /// the way that is left while it is stopped
    pub other_way: Option<&'static str>,
}

impl Vault {
    /// The desk of a hospital that asks over its line, unless communication is stopped.
    pub(crate) fn line(&self, hospital: HospitalId) -> Result<Arc<Desk>> {
        let desk = self.desk(hospital)?;
        self.inner.is_open(&desk)?;
        Ok(desk)
    }

    /// A transfer of this hospital did not arrive whole.
    pub async fn transfer_cut(&self, hospital: HospitalId) -> Result<()> {
        let (inner, desk) = (self.inner.clone(), self.desk(hospital)?);
        blocking(move || inner.transfer_failed(&desk, TransferFailure::Cut)).await
    }
}

impl Inner {
    /// Refuses while communication is stopped.
    pub(crate) fn is_open(&self, desk: &Desk) -> Result<()> {
        let hospital = desk.info().hospital;
        let lines = self.transfers.lines.lock();
        let Some(line) = lines.get(&hospital).filter(|line| line.is_stopped()) else { return Ok(()) };
        let since_ms = line.stopped.map_or(line.file.stop_ms, |(_, stopped)| Some(stopped.stopped_ms)).unwrap_or(0);
        drop(lines);
        let other_way = desk.agreements().in_force(desk.now_ms()).ok().flatten().map(|terms| terms.emergency.name());
        Err(Error::CommunicationStopped {
            hospital,
            since_ms,
            other_way: other_way.unwrap_or(Emergency::Telephone.name()),
        })
    }

    /// Counts a transfer that failed, and stops communication where it is one too many.
    pub(crate) fn transfer_failed(&self, desk: &Arc<Desk>, how: TransferFailure) -> Result<()> {
        let (hospital, now_ms) = (desk.info().hospital, self.clock.now_ms());
        let rule = desk.agreements().in_force(now_ms)?.map(|terms| terms.retry);
        let mut lines = self.transfers.lines.lock();
        let line = lines.entry(hospital).or_default();
        if line.is_stopped() {
            return Ok(());
        }
        if !line.file.add(Failure { at_ms: now_ms, how }, window_ms(rule)) {
            return Ok(());
        }
        let counted = line.file.failures.len();
        let stops = rule.is_some_and(|rule| counted >= limit(rule));
        line.file.stop_ms = stops.then_some(now_ms);
        file::save(&self.folder, hospital, &line.file)?;
        let mut event = AuditEvent::new(now_ms, VAULT, Action::TransferFailed);
        (event.hospital, event.units) = (Some(hospital), counted as u64);
        self.media.record(event.because(how.name()))?;
        if !stops {
            return Ok(());
        }
        drop(lines);
        self.stop_communication(desk)
    }

    /// Puts a stop that was decided into the ledger and the audit log.
    fn stop_communication(&self, desk: &Arc<Desk>) -> Result<()> {
        let (hospital, now_ms) = (desk.info().hospital, self.clock.now_ms());
        let rule = desk.agreements().in_force(now_ms)?.map(|terms| terms.retry);
        let lines = self.transfers.lines.lock();
        let file = lines.get(&hospital).map(|line| line.file.clone()).unwrap_or_default();
        drop(lines);
        let Some(stopped_ms) = file.stop_ms else { return Ok(()) };
        let said = Stopped {
            last: file.failures.last().map_or(TransferFailure::Person, |failure| failure.how),
            failures: u32::try_from(file.failures.len()).unwrap_or(u32::MAX),
            window_minutes: rule.map_or(0, |rule| rule.window_minutes),
            first_ms: file.failures.first().map_or(stopped_ms, |failure| failure.at_ms),
            stopped_ms,
        };
        tracing::error!(%hospital, failures = said.failures, "communication is stopped: too many transfers failed");
        let mut event = AuditEvent::new(now_ms, VAULT, Action::CommunicationStopped);
        (event.hospital, event.units) = (Some(hospital), said.failures.into());
        self.media.record(event.because(said.last.name()))?;
        let act = OperatorAct { id: self.fresh_id()?, subject: None, document: Document::Stopped(said) };
        let id = act.id;
        desk.state(act)?;
        if let Some(line) = self.transfers.lines.lock().get_mut(&hospital) {
            line.stopped = Some((id, said));
        }
        Ok(())
    }

    /// Opens the line again and forgets what failed before.
    pub(super) fn line_opened(&self, hospital: HospitalId) -> Result<()> {
        let mut lines = self.transfers.lines.lock();
        file::save(&self.folder, hospital, &LineFile::default())?;
        lines.insert(hospital, Line::default());
        Ok(())
    }

    /// The stop that nothing has ended.
    pub(super) fn stop_of(&self, hospital: HospitalId) -> Option<(VersionId, Stopped)> {
        self.transfers.lines.lock().get(&hospital).and_then(|line| line.stopped)
    }

    /// Looks up how every line stands, and makes entries that a stop of the vault has cut off. Where the ledger is not in sight
    /// the file's word stands: what it says is stopped stays so.
    pub(crate) fn catch_up_transfers(&self) {
        for desk in self.desks() {
            let hospital = desk.info().hospital;
            let caught_up = desk.acts(&*self.index, &[ActKind::Stopped, ActKind::Reopened]).and_then(|acts| {
                let line = Line { file: file::load(&self.folder, hospital), stopped: open_stop(acts) };
                let to_state = line.file.stop_ms.is_some() && line.stopped.is_none();
                self.transfers.lines.lock().insert(hospital, line);
                if to_state { self.stop_communication(&desk) } else { Ok(()) }
            });
            if let Err(error) = caught_up {
                tracing::error!(%hospital, error = &error as &dyn std::error::Error, "how the line stands is not all known");
                let line = || Line { file: file::load(&self.folder, hospital), stopped: None };
                self.transfers.lines.lock().entry(hospital).or_insert_with(line);
            }
        }
    }

    /// How a line stands.
    pub(crate) fn line_status(&self, desk: &Desk) -> LineStatus {
        let (hospital, now_ms) = (desk.info().hospital, self.clock.now_ms());
        let terms = desk.agreements().in_force(now_ms).ok().flatten();
        let rule = terms.as_ref().map(|terms| terms.retry);
        let line = self.transfers.lines.lock().get(&hospital).cloned().unwrap_or_default();
        let stopped_ms = line.stopped.map_or(line.file.stop_ms, |(_, stopped)| Some(stopped.stopped_ms));
        let last = line.stopped.map(|(_, stopped)| stopped.last).or(line.file.failures.last().map(|last| last.how));
        LineStatus {
            stopped_ms,
            last: last.map(TransferFailure::name),
            failures: line.file.counted(now_ms, window_ms(rule)),
            failures_max: rule.map(|rule| rule.failures_max),
            window_minutes: rule.map(|rule| rule.window_minutes),
            other_way: terms.as_ref().map(|terms| terms.emergency.name()),
        }
    }
}

fn window_ms(rule: Option<RetryRule>) -> u64 {
    rule.map_or(u64::MAX, |rule| u64::from(rule.window_minutes) * MINUTE_MS)
}

fn limit(rule: RetryRule) -> usize {
    usize::try_from(rule.failures_max).unwrap_or(usize::MAX).min(file::FAILURES_MAX)
}

fn open_stop(acts: Vec<StatedAct>) -> Option<(VersionId, Stopped)> {
    let mut open = None;
    for act in acts {
        match act.document {
            Document::Stopped(stopped) => open = Some((act.id, stopped)),
            Document::Reopened(reopened) => open = open.filter(|(id, _)| *id != reopened.stopped),
            _ => {}
        }
    }
    open
}
