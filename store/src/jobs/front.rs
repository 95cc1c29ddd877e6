//! Jobs as the operator's commands see them.

use super::pace::StopReason;
use super::report::{JobReport, JobStatus, JobsReport, LastResult, Progress, RepairsWaiting, ScrubDebt};
use super::{By, JobKind, JobOptions, runner};
use crate::error::Result;
use crate::vault::{Inner, Vault, blocking};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Vault {
    /// From now on what is due starts by itself, until the vault is closed. For a process that serves.
    pub fn start_jobs(&self) -> Result<()> {
        self.inner.schedule()
    }

    /// Ends every job at its next safe point, whoever asked for it, and lets none begin.
    pub async fn stop_jobs(&self) -> Result<()> {
        let inner = self.inner.clone();
        blocking(move || {
            inner.jobs.control.close();
            Ok(())
        })
        .await
    }

    /// Runs a job now. An automatic one in its way pauses; one that somebody else asked for is an error.
    pub async fn run_job(&self, kind: JobKind, options: JobOptions) -> Result<JobReport> {
        let inner = self.inner.clone();
        blocking(move || {
            let place = inner.jobs.control.take(kind)?;
            runner::run(&inner, &place, kind, &options, By::Operator)
        })
        .await
    }

    /// Runs everything that is due, one after the other, and gives what came of it.
    pub async fn run_due_jobs(&self) -> Result<Vec<JobReport>> {
        let inner = self.inner.clone();
        blocking(move || inner.run_due()).await
    }

    /// How far a job has come, if it runs.
    pub fn job_progress(&self, kind: JobKind) -> Option<Progress> {
        self.inner.jobs.control.progress(kind)
    }

    /// Asks a job to end at its next safe point; gives whether it ran.
    pub fn cancel_job(&self, kind: JobKind) -> bool {
        self.inner.jobs.control.stop(kind, StopReason::Asked)
    }

    /// Every job: what runs, what is due, what is late, what came of it last.
    pub async fn jobs(&self) -> Result<JobsReport> {
        let inner = self.inner.clone();
        blocking(move || Ok(inner.jobs_report())).await
    }

    /// What is owed to the rule that every byte is verified within a period.
    pub async fn scrub_debt(&self) -> Result<ScrubDebt> {
        let inner = self.inner.clone();
        blocking(move || Ok(inner.jobs.debt(&inner))).await
    }
}

impl Inner {
    pub(crate) fn jobs_report(self: &Arc<Self>) -> JobsReport {
        let now_ms = self.clock.now_ms();
        JobsReport {
            scheduled: self.jobs.is_scheduled() && self.config.jobs.enabled,
            now_ms,
            clock_in_doubt: self.doubt(),
            window_open: self.config.jobs.may_run(JobKind::Scrub, now_ms),
            jobs: JobKind::ALL.into_iter().map(|kind| self.job_status(kind, now_ms)).collect(),
            scrub: self.jobs.debt(self),
            repair_waits_until_ms: self.repair_waits_until_ms(),
            repair_queue: self.repair_queue(),
        }
    }

    fn job_status(&self, kind: JobKind, now_ms: u64) -> JobStatus {
        let state = self.jobs.state(kind);
        let next_ms = self.jobs.next_ms(self, kind, now_ms);
        let last = state.last.map(|last| LastResult {
            started_ms: last.started_ms,
            ended_ms: last.ended_ms,
            outcome: last.outcome,
            by: last.by,
            figures: last.figures,
            message: last.message,
        });
        JobStatus {
            job: kind,
            running: self.jobs.control.progress(kind),
            due: next_ms.is_some_and(|at_ms| at_ms <= now_ms),
            next_ms,
            late_since_ms: state.late_since_ms,
            in_hand: !state.cursor.is_empty() && kind != JobKind::Watcher, // it always goes on where it was
            last,
        }
    }

    /// What waits for repair, by redundancy left.
    pub(crate) fn repair_queue(&self) -> Vec<RepairsWaiting> {
        let mut waiting: BTreeMap<u8, u64> = BTreeMap::new();
        for item in self.tier.repair_plan() {
            *waiting.entry(item.redundancy_left).or_default() += 1;
        }
        let waiting = waiting.into_iter();
        waiting.map(|(redundancy_left, items)| RepairsWaiting { redundancy_left, items }).collect()
    }
}
