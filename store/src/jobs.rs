//! Jobs: the background work of a vault. Scrub, watcher, repair, copy-forward, migrate, compact, check and forecast, each
//! by itself when it is due, or now because an operator asks.
//!
//! `schedule` says when a kind is due, `control` lets one job run in each lane, `runner` steps it to its end. A kind of
//! work is a `Work`: bounded steps, and a cursor between them. What is known between runs (`state`, `tours`) lies in files
//! below `jobs/` in the vault's folder, each replaced as a whole.
//!
//! Invariants
//! - Losing a file below `jobs/` only repeats work. A cursor is saved between steps, so a kill costs one step.
//! - A job ends at a safe point: what a step made durable stays, what it did not finish is done again.
//! - Its result is in the audit log; before a job removes anything, the audit log says so.
//! - The clock decides only when work starts. What it removes needs proof that was read from media, and a clock that jumped
//!   starts nothing that removes.
//!
//! Not here: how media are read, rebuilt and moved (`tiers`); when a volume has to go (`life`).

mod control;
mod file;
mod front;
mod media;
mod meter;
mod pace;
pub mod report;
pub(crate) mod runner;
mod schedule;
pub mod settings;
pub mod state;
pub mod tours;
pub mod window;
mod work;

use crate::compaction::Amplification;
use serde::{Deserialize, Serialize};
use shosoin_protocol::{HospitalId, VolumeId};
use std::time::Duration;

pub(crate) use pace::{JobPace, Rate, StopFlag, StopReason};
pub use report::{JobReport, JobStatus, JobsReport, Outcome, Progress, ScrubDebt, ScrubDebtOfVolume};
pub(crate) use runner::action as action_of;
pub(crate) use schedule::Jobs;
pub use settings::{JobsConfig, MetricsConfig};

/// A kind of background work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum JobKind {
    /// rebuild what lost redundancy, most urgent first
    Repair = 1,
    /// move everything off volumes that near their end
    CopyForward = 2,
    /// move closed segments between tiers
    Migrate = 3,
    /// rewrite what lives in sparse segments
    Compact = 4,
    /// read and verify every unit of every volume
    Scrub = 5,
    /// compare index, ledgers and media
    Check = 6,
    /// read fresh records again
    Watcher = 7,
    /// work out which media expire when
    Forecast = 8,
}

impl JobKind {
    /// Every kind, most urgent first.
    pub const ALL: [JobKind; 8] = [
        JobKind::Repair,
        JobKind::CopyForward,
        JobKind::Migrate,
        JobKind::Compact,
        JobKind::Scrub,
        JobKind::Check,
        JobKind::Watcher,
        JobKind::Forecast,
    ];

    /// Its name in commands, files, metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            JobKind::Repair => "repair",
            JobKind::CopyForward => "copy-forward",
            JobKind::Migrate => "migrate",
            JobKind::Compact => "compact",
            JobKind::Scrub => "scrub",
            JobKind::Check => "check",
            JobKind::Watcher => "watcher",
            JobKind::Forecast => "forecast",
        }
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Option<JobKind> {
        JobKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it waits for a window. What is urgent or small does not.
    pub const fn keeps_windows(self) -> bool {
        !matches!(self, JobKind::Repair | JobKind::Watcher | JobKind::Forecast)
    }

    /// Which work it shares its thread and the media with.
    const fn lane(self) -> Lane {
        match self {
            JobKind::Repair | JobKind::CopyForward | JobKind::Migrate | JobKind::Compact => Lane::Move,
            JobKind::Scrub | JobKind::Check => Lane::Verify,
            JobKind::Watcher | JobKind::Forecast => Lane::Light,
        }
    }
}

/// Jobs of one lane run one after the other; lanes run beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// what writes to media
    Move,
    /// what reads all of them
    Verify,
    /// what is done in a moment
    Light,
}

/// What is asked of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobOptions {
    /// say what would be done, and do nothing
    pub dry_run: bool,
    /// only this volume
    pub volume: Option<VolumeId>,
    /// only segments of this hospital
    pub hospital: Option<HospitalId>,
    /// end at the first safe point after this time
    pub max_duration: Option<Duration>,
    /// bytes a second, at most
    pub rate: Option<u64>,
    /// check only: read every unit too
    pub every_unit: bool,
    /// copy-forward only: bring shards from fuller volumes to this one, in place of emptying volumes
    pub onto: Option<VolumeId>,
    /// compact only: bytes that may be rewritten for each byte gained, in place of what `vault.toml` says
    pub amplification: Option<Amplification>,
    /// compact only: nothing but segments with records that were disposed of
    pub released: bool,
}

/// On whose account a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum By {
    /// it was due
    Schedule = 1,
    /// somebody asked
    Operator = 2,
}
