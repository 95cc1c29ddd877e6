//! One run of a job, from its first step to its result.
//!
//! Order: the state says that it runs, the audit log that it begins; then steps, each followed by its cursor; then the
//! audit log has the result, and the state last. A kill between two of these repeats at most the step in hand.

use super::control::Place;
use super::pace::{JobPace, Rate, StopReason};
use super::report::{Gain, JobReport, Outcome};
use super::state::LastRun;
use super::work::{self, Work};
use super::{By, JobKind, JobOptions, Lane};
use crate::audit::{self, Action, AuditEvent, Detail};
use crate::check::Severity;
use crate::error::{Error, Result};
use crate::vault::Inner;
use shosoin_tiers::Error as MediaError;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time between two savings of a cursor.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// Runs a job in its place to its end. Refusals are errors; what fails on the way is in the report.
pub fn run(inner: &Inner, place: &Place, kind: JobKind, options: &JobOptions, by: By) -> Result<JobReport> {
    let now_ms = inner.clock.now_ms();
    let cursor = inner.jobs.cursor(kind);
    let work = work::begin(inner, kind, options, by, &cursor)?;
    let mut report = JobReport::new(kind, by, options.dry_run, now_ms);
    let (behind, total) = work.extent(inner);
    report.left_bytes = total.unwrap_or(0).saturating_sub(behind);
    if options.dry_run {
        (report.done, report.segments) = (work.plan(inner), work.segments());
        return Ok(report);
    }
    Run { inner, place, options, work, report, saved: Instant::now() }.complete()
}

struct Run<'a> {
    inner: &'a Inner,
    place: &'a Place,
    options: &'a JobOptions,
    work: Box<dyn Work>,
    report: JobReport,
    saved: Instant,
}

impl Run<'_> {
    fn complete(mut self) -> Result<JobReport> {
        let (inner, kind) = (self.inner, self.report.job);
        inner.jobs.begins(inner, kind, self.report.started_ms)?;
        if self.is_worth_noting() {
            inner.record(&self.event(audit::Outcome::Begun))?;
        }
        let pace = self.pace();
        self.place.meter.stepped(self.work.extent(inner), 0);
        let outcome = loop {
            match self.work.step(inner, &pace) {
                Ok(Some(gain)) => self.take(gain)?,
                Ok(None) => break Outcome::Done,
                Err(Error::Media(MediaError::Stopped)) => break self.stopped(),
                Err(error) => {
                    self.report.error = Some(error.problem().message);
                    break Outcome::Failed;
                }
            }
        };
        self.ended(outcome)
    }

    fn pace(&self) -> JobPace {
        let deadline = self.options.max_duration.and_then(|time| Instant::now().checked_add(time));
        let own = self.options.rate.map(|rate| Arc::new(Rate::new(rate)));
        let rates = own.into_iter().chain(self.inner.jobs.rate()).collect();
        let (stop, clients) = (self.place.stop.clone(), self.inner.clients.clone());
        JobPace::new(stop, deadline, rates, clients, self.place.meter.clone())
    }

    fn take(&mut self, gain: Gain) -> Result<()> {
        let save_now = gain.save_now;
        self.report.add(gain);
        self.place.meter.stepped(self.work.extent(self.inner), self.report.figures.findings);
        if save_now || self.saved.elapsed() >= SAVE_EVERY {
            self.inner.keep_repairs()?; // before the cursor: it passes over nothing that is not queued
            self.inner.jobs.keep_cursor(self.inner, self.report.job, self.work.cursor(self.inner))?;
            self.saved = Instant::now();
        }
        Ok(())
    }

    fn stopped(&self) -> Outcome {
        match self.place.stop.reason() {
            Some(StopReason::MakeRoom) => Outcome::Paused,
            _ => Outcome::Stopped,
        }
    }

    fn ended(mut self, outcome: Outcome) -> Result<JobReport> {
        let (inner, kind) = (self.inner, self.report.job);
        self.report.outcome = outcome;
        self.report.ended_ms = inner.clock.now_ms();
        if outcome == Outcome::Done {
            let left = self.work.left(inner);
            self.report.add(left);
        }
        let (behind, total) = self.work.extent(inner);
        self.report.left_bytes = total.unwrap_or(0).saturating_sub(behind);
        if self.is_worth_noting() {
            inner.record(&self.event(self.audited_outcome()))?;
        }
        let last = LastRun {
            started_ms: self.report.started_ms,
            ended_ms: self.report.ended_ms,
            outcome,
            by: self.report.by,
            figures: self.report.figures,
            message: self.report.error.clone().or_else(|| self.report.done.last().cloned()).unwrap_or_default(),
        };
        let whole = self.options.volume.is_none() && self.options.hospital.is_none();
        inner.keep_repairs()?;
        inner.jobs.ended(inner, kind, last, self.work.cursor(inner), whole)?;
        tracing::info!(job = kind.name(), outcome = outcome.name(), by = ?self.report.by, "a job ended");
        Ok(self.report)
    }

    /// Looking and finding nothing to do is not worth a record every minute, unless somebody asked.
    fn is_worth_noting(&self) -> bool {
        let something = self.report.figures.items > 0 || self.report.left_bytes > 0 || self.report.error.is_some();
        match self.report.job.lane() {
            Lane::Light => self.report.figures.items > 0 || self.report.error.is_some(),
            _ => something || self.report.by == By::Operator,
        }
    }

    fn audited_outcome(&self) -> audit::Outcome {
        match self.report.outcome {
            Outcome::Done if self.report.figures.findings > 0 => audit::Outcome::Findings,
            Outcome::Done => audit::Outcome::Done,
            Outcome::Failed => audit::Outcome::Failed,
            _ => audit::Outcome::Stopped,
        }
    }

    fn event(&self, outcome: audit::Outcome) -> AuditEvent {
        let report = &self.report;
        let mut event = AuditEvent::of_job(report.ended_ms, report.job.name(), action(report.job));
        event.duration_ms = report.ended_ms.saturating_sub(report.started_ms);
        (event.outcome, event.volume, event.hospital) = (outcome, self.options.volume, self.options.hospital);
        (event.bytes, event.units) = (report.figures.read_bytes + report.figures.reread_bytes, report.figures.units);
        let lost = report.listed.iter().filter(|finding| finding.severity == Severity::Damaged).count() as u64;
        event.detail = Detail::Found { findings: report.figures.findings, lost };
        event
    }
}

/// The word of a kind in the audit log.
pub fn action(kind: JobKind) -> Action {
    match kind {
        JobKind::Repair => Action::Repair,
        JobKind::CopyForward => Action::CopyForward,
        JobKind::Migrate => Action::Migrate,
        JobKind::Compact => Action::Compact,
        JobKind::Scrub => Action::Scrub,
        JobKind::Check => Action::Check,
        JobKind::Watcher => Action::Watch,
        JobKind::Forecast => Action::JobSetting,
    }
}
