//! Whether the clock of the vault's host agrees with standard time (guideline 7.6.12-M3, S1): asked of chrony, which keeps it, and
//! compared with a limit. Looked at when a process begins to serve, and every ten minutes while it does; on record when the answer changes, and once a day.
//!
//! Invariants
//! - What cannot be measured is *not measured*, and never taken for agreement. A chrony that follows nothing but the host's own
//!   clock agrees with nothing.
//! - Asking is bounded in time and in bytes, and fails without harm.
//!
//! Not here: clocks that jump (`media_ledger`, `tiers::life`), which are noticed without any other clock.
//!
//! Source: chronyc(1), `tracking`: the error of the clock is at most |system time| + root dispersion + half the root delay.

use crate::audit::{Action, AuditEvent, AuditQuery, Outcome, shortened_reason};
use crate::check::{Finding, Severity};
use crate::error::Result;
use crate::journal::VAULT;
use crate::vault::{Inner, Vault, blocking};
use serde::{Deserialize, Serialize};
use shosoin_tiers::life::DAY_MS;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest time between two measurements of a vault that is served, in milliseconds.
pub const PERIOD_MS: u64 = 600_000;
/// How far the clock may be from standard time, unless `vault.toml` says otherwise.
pub const ERROR_MS_MAX: u32 = 1000;
/// How long chrony may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest answer.
const ANSWER_BYTES_MAX: u64 = 4096;
/// Fields of `chronyc -c tracking`.
const FIELDS: usize = 14;
/// What chrony follows where it follows the host's own clock (127.127.1.1), and where it follows nothing.
const OWN_CLOCK: [&str; 2] = ["7F7F0101", "00000000"];

/// `[time]` of `vault.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeConfig {
    /// command that asks chrony; `-c tracking` follows it
    pub chronyc: Vec<String>,
    /// how far the clock may be from standard time, in milliseconds
    pub error_ms_max: u32,
}

impl Default for TimeConfig {
    fn default() -> Self {
        TimeConfig { chronyc: vec!["chronyc".to_owned()], error_ms_max: ERROR_MS_MAX }
    }
}

impl TimeConfig {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == TimeConfig::default()
    }

    /// What the types alone do not refuse.
    pub fn check(&self) -> Result<(), String> {
        match (self.chronyc.is_empty(), self.error_ms_max) {
            (true, _) => Err("time.chronyc names no command".to_owned()),
            (_, 0) => Err("time.error_ms_max is 0: no clock is that exact".to_owned()),
            _ => Ok(()),
        }
    }
}

/// What chrony says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Agreement {
    /// it could not be asked
    NotMeasured {
        /// why
        why: String,
    },
    /// the clock follows no source of standard time
    Unsynchronised {
        /// what it follows
        why: String,
    },
    /// it follows one, and may be further from it than the limit
    Beyond(Measured),
    /// it follows one, within the limit
    Agrees(Measured),
}

/// How far a clock may be from standard time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// the source
    pub source: String,
    /// how far that is from a reference clock
    pub stratum: u8,
    /// the greatest error, in microseconds
    pub error_us: u64,
}

impl Agreement {
    /// Every state by its name.
    pub const STATES: [&str; 4] = ["not-measured", "unsynchronised", "beyond", "agrees"];

    /// Its name.
    pub fn state(&self) -> &'static str {
        match self {
            Agreement::NotMeasured { .. } => "not-measured",
            Agreement::Unsynchronised { .. } => "unsynchronised",
            Agreement::Beyond(_) => "beyond",
            Agreement::Agrees(_) => "agrees",
        }
    }

    /// How far the clock may be, where that is known.
    pub fn measured(&self) -> Option<&Measured> {
        match self {
            Agreement::Beyond(measured) | Agreement::Agrees(measured) => Some(measured),
            Agreement::NotMeasured { .. } | Agreement::Unsynchronised { .. } => None,
        }
    }

    /// Whether somebody must look at the clock.
    pub fn is_bad(&self) -> bool {
        matches!(self, Agreement::Unsynchronised { .. } | Agreement::Beyond(_))
    }

    /// A sentence.
    pub fn sentence(&self, limit_ms: u32) -> String {
        match self {
            Agreement::NotMeasured { why } => format!("not measured: {why}"),
            Agreement::Unsynchronised { why } => format!("not synchronised: {why}"),
            Agreement::Beyond(Measured { source, stratum, error_us }) => {
                format!("up to {error_us} us from {source} (stratum {stratum}), beyond the limit of {limit_ms} ms")
            }
            Agreement::Agrees(Measured { source, stratum, error_us }) => {
                format!("at most {error_us} us from {source} (stratum {stratum}), the limit is {limit_ms} ms")
            }
        }
    }

    /// Reads the answer of `chronyc -c tracking`.
    fn parse(answer: &str, limit_ms: u32) -> Self {
        let not = |why: &str| Agreement::NotMeasured { why: why.to_owned() };
        let fields: Vec<&str> = answer.trim_end().split(',').collect();
        if fields.len() != FIELDS {
            return not("chrony answered something else than it does in version 4");
        }
        let number = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).filter(|n| n.is_finite());
        let text = |at: usize| fields.get(at).copied().unwrap_or_default();
        let (Some(system), Some(delay), Some(dispersion)) = (number(4), number(10), number(11)) else {
            return not("chrony answered figures that are none");
        };
        let (id, leap) = (text(0), text(13));
        if leap == "Not synchronised" || OWN_CLOCK.contains(&id) {
            let why =
                if leap == "Not synchronised" { "chrony has no source" } else { "chrony follows the host's own clock" };
            return Agreement::Unsynchronised { why: why.to_owned() };
        }
        let error_us = (system.abs() + dispersion + delay / 2.0).abs() * 1e6;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float becomes the nearest integer"
        )]
        let error_us = error_us.ceil() as u64;
        let named = |text: &str| text.chars().filter(|c| c.is_ascii_graphic()).take(64).collect::<String>();
        let source = if text(1).is_empty() { named(id) } else { named(text(1)) };
        let measured = Measured { source, stratum: text(2).parse().unwrap_or(16), error_us };
        match error_us <= u64::from(limit_ms) * 1000 {
            true => Agreement::Agrees(measured),
            false => Agreement::Beyond(measured),
        }
    }
}

/// The newest measurement of this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeStatus {
    /// what chrony said
    #[serde(flatten)]
    pub agreement: Agreement,
    /// the limit, in milliseconds
    pub limit_ms: u32,
    /// when it was asked, in milliseconds since 1970
    pub asked_ms: u64,
    /// when its state was put on record last, in milliseconds since 1970
    #[serde(skip)]
    told_ms: u64,
}

impl TimeStatus {
    /// What somebody must look at.
    pub fn finding(&self) -> Option<Finding> {
        let told = self.agreement.sentence(self.limit_ms);
        let message = format!("the clock of this host does not agree with standard time: {told}; look at chrony");
        self.agreement.is_bad().then_some(Finding { severity: Severity::Degraded, code: "clock-disagrees", message })
    }
}

/// Asks chrony, for a few seconds at most.
pub fn ask(config: &TimeConfig) -> Agreement {
    match answer(config) {
        Ok(answer) => Agreement::parse(&answer, config.error_ms_max),
        Err(why) => Agreement::NotMeasured { why },
    }
}

fn answer(config: &TimeConfig) -> Result<String, String> {
    let Some((program, arguments)) = config.chronyc.split_first() else { return Err("no command".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).args(["-c", "tracking"]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
    let (told, heard) = mpsc::channel();
    if let Some(out) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut answer = String::new();
            let read = out.take(ANSWER_BYTES_MAX).read_to_string(&mut answer);
            let _ = told.send(read.map(|_| answer));
        });
    }
    let answer = heard.recv_timeout(ANSWER);
    if answer.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match answer {
        Ok(Ok(answer)) if status.success() => Ok(answer),
        Ok(_) => Err(format!("{program} could not ask chrony ({status})")),
        Err(_) => Err(format!("{program} did not answer within {} seconds", ANSWER.as_secs())),
    }
}

impl Vault {
    /// Asks now, whenever it was asked before, as a vault that is served does by itself.
    pub async fn note_time(&self) -> Result<TimeStatus> {
        let inner = self.inner.clone();
        blocking(move || inner.note_time(inner.clock.now_ms())).await
    }
}

impl Inner {
    /// Asks, and puts on record what changed since it was asked last, or is a day old.
    pub(crate) fn note_time(&self, now_ms: u64) -> Result<TimeStatus> {
        let limit_ms = self.config.time.error_ms_max;
        let agreement = ask(&self.config.time);
        let last = self.last_time.lock().clone();
        let told_ms = match last.filter(|last| last.agreement.state() == agreement.state()) {
            Some(last) => Some(last.told_ms),
            None => self.time_told(agreement.state())?,
        };
        let told_ms = told_ms.filter(|told_ms| now_ms.abs_diff(*told_ms) < DAY_MS);
        if told_ms.is_none() {
            let why = format!("{}: {}", agreement.state(), agreement.sentence(limit_ms));
            let event = AuditEvent::new(now_ms, VAULT, Action::TimeAgreement).because(shortened_reason(&why));
            let event = AuditEvent { units: agreement.measured().map_or(0, |measured| measured.error_us), ..event };
            self.media.record(if agreement.is_bad() { event.ended(Outcome::Findings) } else { event })?;
        }
        let status = TimeStatus { agreement, limit_ms, asked_ms: now_ms, told_ms: told_ms.unwrap_or(now_ms) };
        *self.last_time.lock() = Some(status.clone());
        Ok(status)
    }

    /// When the newest record says that it is this state.
    fn time_told(&self, state: &str) -> Result<Option<u64>> {
        let query = AuditQuery { actions: vec![Action::TimeAgreement], newest: Some(1), ..AuditQuery::default() };
        let newest = self.media.audit().read(&query)?.pop();
        let of_state = newest.filter(|record| record.event.reason.starts_with(&format!("{state}: ")));
        Ok(of_state.map(|record| record.event.at_ms))
    }

    /// Asks again, every ten minutes.
    pub(crate) fn watch_time(&self, now_ms: u64) -> Result<()> {
        let asked_ms = self.last_time.lock().as_ref().map_or(0, |status| status.asked_ms);
        match now_ms.abs_diff(asked_ms) < PERIOD_MS {
            true => Ok(()),
            false => self.note_time(now_ms).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As chrony 4.3 answered: a server of the national institute, and one's own clock.
    const SERVER: &str = "85F3EEA3,ntp.nict.jp,2,1795954566.504092825,0.000012345,-0.000004021,0.000016113,-3.102,0.001,0.044,0.004104233,0.000251112,64.3,Normal\n";
    const OWN: &str = "7F7F0101,,8,1795954566.504092825,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,0.000000000,0.000000000,0.0,Normal\n";

    #[test]
    fn the_greatest_error_is_reckoned_from_offset_dispersion_and_delay_and_compared_with_the_limit_7_6_12_s1() {
        let agreement = Agreement::parse(SERVER, 1000);
        let measured = agreement.measured().unwrap();
        assert_eq!((measured.source.as_str(), measured.stratum, measured.error_us), ("ntp.nict.jp", 2, 2316));
        assert_eq!(agreement.state(), "agrees");
        assert_eq!(Agreement::parse(SERVER, 2).state(), "beyond");
        let ahead = SERVER.replace("0.000012345", "-1.500000000");
        assert!(Agreement::parse(&ahead, 1000).is_bad());
    }

    #[test]
    fn ones_own_clock_no_source_and_no_answer_are_never_agreement_7_6_12_m3() {
        assert_eq!(Agreement::parse(OWN, 1000).state(), "unsynchronised");
        let none = SERVER.replace("Normal", "Not synchronised");
        assert_eq!(Agreement::parse(&none, 1000).state(), "unsynchronised");
        for wrong in ["", "506 Cannot talk to daemon", &SERVER.replace("0.004104233", "nan"), &SERVER[..40]] {
            assert_eq!(Agreement::parse(wrong, 1000).state(), "not-measured", "{wrong}");
        }
        let ask_with = |chronyc: &[&str]| {
            let chronyc = chronyc.iter().map(|word| (*word).to_owned()).collect();
            ask(&TimeConfig { chronyc, ..TimeConfig::default() }).state()
        };
        assert_eq!(
            (ask_with(&["/no/such/chronyc"]), ask_with(&["false"]), ask_with(&["cat", "/dev/zero"])),
            ("not-measured", "not-measured", "not-measured")
        );
    }
}
