//! `[jobs]` and `[metrics]` of `vault.toml`: when background work runs, how fast, and when to raise an alarm. Every
//! field has a default, so that a vault whose operator decided nothing is scrubbed all the same.

use super::JobKind;
use super::window::{self, UtcOffset, Window};
use crate::compaction::{Amplification, UPLOAD_DAYS};
use serde::{Deserialize, Serialize};
use shosoin_tiers::life::Week;
use std::net::SocketAddr;
use std::time::Duration;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// Minutes that absent volumes are waited for, unless the operator decides otherwise.
const ABSENCE_GRACE_MINUTES: u32 = 60;

/// When background work runs, and how fast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// whether anything starts by itself; commands run jobs all the same
    pub enabled: bool,
    /// every byte on a volume is verified at least this often
    pub scrub_period_days: u32,
    /// volumes that are scrubbed at the same time
    pub scrub_volumes_at_once: u32,
    /// index, ledgers and media are compared this often
    pub check_period_days: u32,
    /// sparse segments are looked for this often
    pub compact_period_days: u32,
    /// minutes after the start that what absent volumes hold is not rebuilt by itself: a cable is found sooner than a volume
    /// is written anew. An operator's `repair` does not wait.
    pub absence_grace_minutes: u32,
    /// bytes that may be rewritten for each byte that compaction gains
    pub compact_amplification_max: Amplification,
    /// days that an upload may take from its first chunk to its entry: what no entry names stays this long
    pub upload_days: u32,
    /// segments to move between tiers are looked for this often
    pub migrate_period_hours: u32,
    /// volumes near their end are looked for this often
    pub copy_forward_period_hours: u32,
    /// when long work may run; none means always. Repair and the watcher do not wait for a window.
    pub windows: Vec<Window>,
    /// offset from UTC of the hours of the windows
    pub utc_offset: UtcOffset,
    /// bytes a second that all background work together may read and write; 0 means as fast as the media allow
    pub rate_bytes_per_second: u64,
    /// ages, as in `1h`, at which fresh records are read again
    pub watcher_ages: Vec<Age>,
    /// records of each hospital that are read again at each age, at most
    pub watcher_sample: u32,
    /// bytes not verified within the period at which the alarm is raised
    pub scrub_debt_alarm_bytes: u64,
}

impl Default for JobsConfig {
    fn default() -> Self {
        JobsConfig {
            enabled: true,
            scrub_period_days: 30,
            scrub_volumes_at_once: 2,
            check_period_days: 7,
            compact_period_days: 7,
            absence_grace_minutes: ABSENCE_GRACE_MINUTES,
            compact_amplification_max: Amplification::DEFAULT,
            upload_days: UPLOAD_DAYS,
            migrate_period_hours: 24,
            copy_forward_period_hours: 1,
            windows: Vec::new(),
            utc_offset: UtcOffset::default(),
            rate_bytes_per_second: 0,
            watcher_ages: [60, 3_600, 86_400, 7 * 86_400, 30 * 86_400].map(Age::of_seconds).to_vec(),
            watcher_sample: 8,
            scrub_debt_alarm_bytes: 1,
        }
    }
}

impl JobsConfig {
    /// Whether nothing was decided.
    pub fn is_default(&self) -> bool {
        *self == JobsConfig::default()
    }

    /// The time from one start of a kind to the next.
    pub fn period_ms(&self, kind: JobKind) -> u64 {
        match kind {
            JobKind::Scrub => self.scrub_period_ms(),
            JobKind::Watcher => self.watcher_ages.iter().map(|age| age.ms()).min().unwrap_or(DAY_MS),
            JobKind::Repair => HOUR_MS,
            JobKind::CopyForward => u64::from(self.copy_forward_period_hours.max(1)) * HOUR_MS,
            JobKind::Migrate => u64::from(self.migrate_period_hours.max(1)) * HOUR_MS,
            JobKind::Compact => u64::from(self.compact_period_days.max(1)) * DAY_MS,
            JobKind::Check => u64::from(self.check_period_days.max(1)) * DAY_MS,
            JobKind::Forecast => DAY_MS,
        }
    }

    /// The time that absent volumes are waited for.
    pub fn absence_grace_ms(&self) -> u64 {
        u64::from(self.absence_grace_minutes) * 60_000
    }

    /// The time that an upload may take.
    pub fn upload_ms(&self) -> u64 {
        u64::from(self.upload_days.max(1)) * DAY_MS
    }

    /// The time within which every byte is to be verified.
    pub fn scrub_period_ms(&self) -> u64 {
        u64::from(self.scrub_period_days.max(1)) * DAY_MS
    }

    /// Whether a kind may run now, as far as windows say.
    pub fn may_run(&self, kind: JobKind, now_ms: u64) -> bool {
        !kind.keeps_windows() || window::is_open(&self.windows, self.utc_offset, now_ms)
    }

    /// The first moment from `at_ms` on at which a kind may run.
    pub fn may_run_from(&self, kind: JobKind, at_ms: u64) -> u64 {
        match kind.keeps_windows() {
            true => window::next_open(&self.windows, self.utc_offset, at_ms),
            false => at_ms,
        }
    }

    /// The minutes of each week in which long work may run.
    pub fn week(&self) -> Week {
        Week::new(|at_ms| window::is_open(&self.windows, self.utc_offset, at_ms))
    }

    /// Hours of each week in which long work may run.
    pub fn hours_per_week(&self) -> u32 {
        window::hours_per_week(&self.windows)
    }

    /// The cap on all background work together, if there is one.
    pub fn rate(&self) -> Option<u64> {
        (self.rate_bytes_per_second > 0).then_some(self.rate_bytes_per_second)
    }
}

/// Where figures are shown besides the administration socket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// a loopback address that answers `/metrics` to whoever asks; none unless given
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

impl MetricsConfig {
    /// Whether nothing was decided.
    pub fn is_default(&self) -> bool {
        *self == MetricsConfig::default()
    }
}

/// A length of time, as in `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Age(Duration);

impl Age {
    fn of_seconds(seconds: u64) -> Self {
        Age(Duration::from_secs(seconds))
    }

    /// In milliseconds.
    pub fn ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl TryFrom<String> for Age {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match humantime::parse_duration(&text) {
            Ok(age) if age >= Duration::from_secs(1) => Ok(Age(age)),
            Ok(_) => Err(format!("{text:?} is shorter than a second")),
            Err(error) => Err(format!("{text:?} is no length of time, as in `1h`: {error}")),
        }
    }
}

impl From<Age> for String {
    fn from(age: Age) -> String {
        humantime::format_duration(age.0).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_section_is_the_defaults_and_the_defaults_read_back() {
        let empty: JobsConfig = toml::from_str("").unwrap();
        assert_eq!(empty, JobsConfig::default());
        let text = toml::to_string(&empty).unwrap();
        assert_eq!(toml::from_str::<JobsConfig>(&text).unwrap(), empty, "{text}");
        assert_eq!(empty.scrub_period_ms(), 30 * DAY_MS);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        for (text, needle) in [
            ("scrub_perod_days = 30", "scrub_perod_days"),
            ("windows = [\"Mon-Fri 20-6\"]", "Mon-Fri 20-6"),
            ("watcher_ages = [\"soon\"]", "soon"),
            ("utc_offset = \"JST\"", "JST"),
        ] {
            let error = toml::from_str::<JobsConfig>(text).unwrap_err().to_string();
            assert!(error.contains(needle), "{error}");
        }
    }
}
