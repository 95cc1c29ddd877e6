//! What a job says of itself: while it runs, when it ended, and between runs.

use super::{By, JobKind};
use crate::check::{Finding, Severity};
use crate::compaction::SegmentGain;
use serde::Serialize;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{Error, Result};

/// Findings that a report lists; the rest are counted.
pub const FINDINGS_MAX: usize = 1_000;
/// Sentences about what was done that a report lists.
const DONE_MAX: usize = 1_000;
/// Segments that a report lists.
const SEGMENTS_MAX: usize = 1_000;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Outcome {
    /// nothing is left to do
    Done = 1,
    /// at a safe point, because its time was over or somebody asked; the cursor is saved
    Stopped = 2,
    /// at a safe point, because its window closed or more urgent work came; it goes on by itself
    Paused = 3,
    /// the process ended in the middle of it; it goes on where its cursor is
    Interrupted = 4,
    /// something failed; it is tried again
    Failed = 5,
}

impl Outcome {
    /// Its name in JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Stopped => "stopped",
            Outcome::Paused => "paused",
            Outcome::Interrupted => "interrupted",
            Outcome::Failed => "failed",
        }
    }

    pub(super) fn from_code(code: u8) -> Result<Self> {
        let all = [Outcome::Done, Outcome::Stopped, Outcome::Paused, Outcome::Interrupted, Outcome::Failed];
        let known = all.into_iter().find(|outcome| *outcome as u8 == code);
        known.ok_or(Error::Invalid { what: "outcome of a job", why: "there is no such" })
    }
}

/// What a run did, in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// shards, segments or records dealt with
    pub items: u64,
    /// units verified
    pub units: u64,
    /// bytes read from media
    pub read_bytes: u64,
    /// bytes written to media
    pub written_bytes: u64,
    /// bytes read back past the cache after they were written
    pub reread_bytes: u64,
    /// bytes freed
    pub freed_bytes: u64,
    /// shards or units rebuilt from others
    pub rebuilt: u64,
    /// what is not as it should be
    pub findings: u64,
    /// what could not be done and waits
    pub short: u64,
}

impl Figures {
    const COUNT: usize = 9;

    fn values(&self) -> [u64; Self::COUNT] {
        let Figures { items, units, read_bytes, written_bytes, reread_bytes, freed_bytes, rebuilt, findings, short } =
            *self;
        [items, units, read_bytes, written_bytes, reread_bytes, freed_bytes, rebuilt, findings, short]
    }

    pub(super) fn write(&self, out: &mut Writer) {
        for value in self.values() {
            out.u64(value);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let mut next = || reader.u64("figure of a job");
        Ok(Figures {
            items: next()?,
            units: next()?,
            read_bytes: next()?,
            written_bytes: next()?,
            reread_bytes: next()?,
            freed_bytes: next()?,
            rebuilt: next()?,
            findings: next()?,
            short: next()?,
        })
    }
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Figures) {
        self.items += other.items;
        self.units += other.units;
        self.read_bytes += other.read_bytes;
        self.written_bytes += other.written_bytes;
        self.reread_bytes += other.reread_bytes;
        self.freed_bytes += other.freed_bytes;
        self.rebuilt += other.rebuilt;
        self.findings += other.findings;
        self.short += other.short;
    }
}

/// The result of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobReport {
    /// which kind
    pub job: JobKind,
    /// how it ended
    pub outcome: Outcome,
    /// on whose account it ran
    pub by: By,
    /// nothing was changed: what follows would be done
    pub dry_run: bool,
    /// when it began
    pub started_ms: u64,
    /// when it ended
    pub ended_ms: u64,
    /// what it did
    #[serde(flatten)]
    pub figures: Figures,
    /// bytes that are left to read or move
    pub left_bytes: u64,
    /// what was done or, in a dry run, would be done, in sentences
    pub done: Vec<String>,
    /// what is not as it should be; `findings` counts those beyond the list too
    #[serde(rename = "finding")]
    pub listed: Vec<Finding>,
    /// what compacting segments brought or, in a dry run, would bring: those with anything that does not live
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<SegmentGain>,
    /// why it failed
    pub error: Option<String>,
}

impl JobReport {
    /// A run that begins.
    pub(super) fn new(job: JobKind, by: By, dry_run: bool, started_ms: u64) -> Self {
        JobReport {
            job,
            outcome: Outcome::Done,
            by,
            dry_run,
            started_ms,
            ended_ms: started_ms,
            figures: Figures::default(),
            left_bytes: 0,
            done: Vec::new(),
            listed: Vec::new(),
            segments: Vec::new(),
            error: None,
        }
    }

    pub(super) fn add(&mut self, gain: Gain) {
        self.figures += gain.figures;
        let room = FINDINGS_MAX.saturating_sub(self.listed.len());
        self.listed.extend(gain.findings.into_iter().take(room));
        let room = DONE_MAX.saturating_sub(self.done.len());
        self.done.extend(gain.done.into_iter().take(room));
        let room = SEGMENTS_MAX.saturating_sub(self.segments.len());
        self.segments.extend(gain.segments.into_iter().take(room));
    }

    /// Whether nothing is wrong: no finding worse than a notice, nothing left undone, no failure.
    pub fn is_clean(&self) -> bool {
        self.error.is_none()
            && self.figures.short == 0
            && self.listed.iter().all(|finding| finding.severity == Severity::Notice)
    }

    /// The result in one sentence, for the audit log and the last line of `jobs`.
    pub fn sentence(&self) -> String {
        let Figures { items, units, read_bytes, written_bytes, reread_bytes, freed_bytes, rebuilt, findings, short } =
            self.figures;
        let mut text = format!(
            "{} {}: {items} items, {units} units, {read_bytes} bytes read, {written_bytes} written, {reread_bytes} read \
             back, {freed_bytes} freed, {rebuilt} rebuilt, {findings} findings, {short} short",
            self.job.name(),
            self.outcome.name(),
        );
        if let Some(error) = &self.error {
            text.push_str(": ");
            text.push_str(error);
        }
        text
    }
}

/// What one step brought.
#[derive(Debug, Default)]
pub struct Gain {
    /// figures; `findings` counts all of them, listed or not
    pub figures: Figures,
    /// what is not as it should be
    pub findings: Vec<Finding>,
    /// sentences about what was done
    pub done: Vec<String>,
    /// what compacting segments brought
    pub segments: Vec<SegmentGain>,
    /// whether the cursor must be on disk before the next step
    pub save_now: bool,
}

impl Gain {
    /// A sentence and nothing else.
    pub fn said(sentence: String) -> Self {
        Gain { done: vec![sentence], ..Gain::default() }
    }

    /// Findings, counted and listed.
    pub fn found(mut self, findings: impl IntoIterator<Item = Finding>) -> Self {
        let before = self.findings.len();
        self.findings.extend(findings);
        self.figures.findings += (self.findings.len() - before) as u64;
        self
    }
}

/// How far a run has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// which kind
    pub job: JobKind,
    /// bytes behind it, those of earlier runs of the same tour included
    pub done_bytes: u64,
    /// bytes in all, where that is known
    pub total_bytes: Option<u64>,
    /// bytes a second since it began
    pub bytes_per_second: u64,
    /// seconds left at that rate, where that is known
    pub eta_seconds: Option<u64>,
    /// findings so far
    pub findings: u64,
}

/// Every job, as `shosoin jobs` shows them.
#[derive(Debug, Clone, Serialize)]
pub struct JobsReport {
    /// whether this process starts jobs by itself
    pub scheduled: bool,
    /// vault's clock
    pub now_ms: u64,
    /// why the clock is not believed, if it is not: nothing that removes anything starts by itself
    pub clock_in_doubt: Option<String>,
    /// whether a window is open for long work
    pub window_open: bool,
    /// each kind
    pub jobs: Vec<JobStatus>,
    /// what was not verified within the period
    pub scrub: ScrubDebt,
    /// until when what absent volumes hold is not rebuilt by itself
    pub repair_waits_until_ms: Option<u64>,
    /// items that wait for repair, by how much may still be lost before data is
    pub repair_queue: Vec<RepairsWaiting>,
}

/// Items that wait for repair with as much redundancy left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RepairsWaiting {
    /// shards that may still be lost
    pub redundancy_left: u8,
    /// items
    pub items: u64,
}

/// One kind of job.
#[derive(Debug, Clone, Serialize)]
pub struct JobStatus {
    /// which kind
    pub job: JobKind,
    /// how far it has come, if it runs
    pub running: Option<Progress>,
    /// whether it should run now
    pub due: bool,
    /// when it should run, if it should ever
    pub next_ms: Option<u64>,
    /// since when it should have been done
    pub late_since_ms: Option<u64>,
    /// whether a run waits in the middle to go on
    pub in_hand: bool,
    /// its last run
    pub last: Option<LastResult>,
}

/// The last run of a kind.
#[derive(Debug, Clone, Serialize)]
pub struct LastResult {
    /// when it began
    pub started_ms: u64,
    /// when it ended
    pub ended_ms: u64,
    /// how
    pub outcome: Outcome,
    /// on whose account
    pub by: By,
    /// what it did
    #[serde(flatten)]
    pub figures: Figures,
    /// why it failed, or what it left
    pub message: String,
}

/// What is owed to the rule that every byte is verified within a period.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ScrubDebt {
    /// the period
    pub period_ms: u64,
    /// bytes of closed shards
    pub total_bytes: u64,
    /// those not verified within the period
    pub debt_bytes: u64,
    /// the longest any byte has gone unverified
    pub oldest_unverified_ms: u64,
    /// whether the debt is over the operator's threshold
    pub alarm: bool,
    /// each volume
    pub volumes: Vec<ScrubDebtOfVolume>,
}

/// The debt of one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScrubDebtOfVolume {
    /// which volume
    pub volume: String,
    /// bytes of closed shards on it
    pub total_bytes: u64,
    /// those not verified within the period
    pub debt_bytes: u64,
    /// the longest any byte on it has gone unverified
    pub oldest_unverified_ms: u64,
    /// when the last tour of it ended, if one did
    pub toured_ms: Option<u64>,
}
