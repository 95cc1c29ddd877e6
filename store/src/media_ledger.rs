//! The ledger of media: every volume there ever was, what it is, where in its life it is, and what was done to it. A
//! projection of the audit log, kept in memory: the log is the truth, and outlives every medium.
//!
//! Invariants
//! - Nothing changes here before the record that says so is durable in the audit log.
//! - A medium is never forgotten, not even a destroyed one.
//! - A state changes only along [`allowed_after`]; who, when and why are kept.
//! - A clock that went back or far ahead is noticed and stays doubted until a person confirms it, or until it stands again
//!   where it must: nothing is released or retired on its word.

use crate::accounts::{AccountId, Mark};
use crate::audit::{Action, AuditEvent, AuditLog, AuditRecord, Detail, MediaState, Outcome, TestKind};
use crate::changes::Changes;
use crate::error::{Error, Result};
use crate::machines::Machines;
use parking_lot::RwLock;
use serde::Serialize;
use shosoin_protocol::VolumeId;
use shosoin_tiers::VolumeLabel;
use shosoin_tiers::life::{self, ClockState, Wear};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Tests of one medium that are kept in memory; all of them are in the log.
const TESTS_MAX: usize = 16;
/// Jobs whose rates are remembered.
const RATES_MAX: usize = 32;
/// Bytes in a second of a copy, as long as none has been measured.
pub const RATE_DEFAULT: u64 = 50_000_000;

/// The states that a medium in `state` may go to.
pub fn allowed_after(state: MediaState) -> &'static [MediaState] {
    use MediaState::{Active, Destroyed, Draining, Lost, New, OnShelf, Retired, Sanitised, Suspect};
    match state {
        New => &[Active, Retired, Lost],
        Active => &[Suspect, Draining, OnShelf, Retired, Lost],
        Suspect => &[Active, Draining, OnShelf, Retired, Lost],
        Draining => &[Active, Suspect, Retired, Lost],
        OnShelf => &[Active, Suspect, Draining, Lost],
        Retired => &[Sanitised, Destroyed, Lost],
        Sanitised => &[Destroyed, Lost],
        Lost => &[Suspect, Destroyed],
        Destroyed => &[],
    }
}

/// A test and when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestResult {
    /// when, in milliseconds since 1970
    pub at_ms: u64,
    /// what was tested
    pub test: TestKind,
    /// what it gave, in the test's own unit
    pub value: u64,
    /// whether the medium passed
    pub passed: bool,
}

/// A tour of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TourResult {
    /// when it ended, in milliseconds since 1970
    pub at_ms: u64,
    /// bytes read
    pub read_bytes: u64,
    /// units verified
    pub units: u64,
    /// findings
    pub findings: u64,
}

/// Where a medium is kept, as measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Environment {
    /// when, in milliseconds since 1970
    pub at_ms: u64,
    /// tenths of a degree Celsius
    pub celsius_tenths: Option<i32>,
    /// relative humidity in per cent
    pub humidity_percent: Option<u8>,
    /// remark
    pub note: String,
}

/// One medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// its label as it was last written or read
    pub label: VolumeLabel,
    /// where it was last mounted: folder or address
    pub place: String,
    /// the shelf it is kept on when it is not mounted
    pub shelf: String,
    /// where in its life it is
    pub state: MediaState,
    /// since when, in milliseconds since 1970
    pub since_ms: u64,
    /// who said so
    pub actor: String,
    /// why
    pub reason: String,
    /// since when it is known here, in milliseconds since 1970
    pub known_ms: u64,
    /// it carries an old label: an old image was brought back, and no tour has passed clean since
    pub stale: bool,
    /// newest tests, oldest first
    pub tests: Vec<TestResult>,
    /// how much it has been used
    pub wear: Option<Wear>,
    /// where it is kept
    pub environment: Option<Environment>,
    /// its last tour
    pub last_tour: Option<TourResult>,
}

impl Medium {
    fn new(label: VolumeLabel, state: MediaState, event: &AuditEvent) -> Self {
        Medium {
            label,
            place: String::new(),
            shelf: String::new(),
            state,
            since_ms: event.at_ms,
            actor: event.actor.clone(),
            reason: event.reason.clone(),
            known_ms: event.at_ms,
            stale: false,
            tests: Vec::new(),
            wear: None,
            environment: None,
            last_tour: None,
        }
    }

    /// When its life ends, in milliseconds since 1970; `None` where it does not.
    pub fn ends_ms(&self) -> Option<u64> {
        life::ends_ms(&self.label, self.wear.as_ref())
    }

    /// When it must be tested next, in milliseconds since 1970.
    pub fn test_due_ms(&self) -> Option<u64> {
        let passed = |test: &&TestResult| test.passed && test.test == TestKind::OpticalErrorRate;
        life::test_due_ms(&self.label, self.tests.iter().rev().find(passed).map(|test| test.at_ms))
    }
}

/// What the log says of media and of time.
#[derive(Debug, Default)]
pub struct Projection {
    media: BTreeMap<VolumeId, Medium>,
    /// bytes and milliseconds of the newest jobs that moved or read shards
    rates: VecDeque<(u64, u64)>,
    /// the newest time that was not doubted
    trusted_ms: Option<u64>,
    clock_doubted: bool,
    /// whether the newest process that wrote the log said that it stops
    log_stopped: bool,
    /// what is known of the accounts file
    accounts: Mark,
    /// the register of processing devices
    machines: Arc<Machines>,
    /// the register of changes
    changes: Arc<Changes>,
}

impl Projection {
    /// Takes in the next record of the log.
    pub fn apply(&mut self, record: &AuditRecord) {
        let event = &record.event;
        self.log_stopped = matches!(event.action, Action::LogStopped | Action::VaultStopped);
        self.apply_time(event);
        if let Detail::Account { account, digest, .. } = &event.detail {
            self.accounts.digest = Some(*digest);
            self.accounts.ids.extend(account.parse::<AccountId>().ok());
        }
        if !matches!(event.outcome, Outcome::Done | Outcome::Findings) {
            return;
        }
        if matches!(event.detail, Detail::Machine(_) | Detail::MachineState { .. } | Detail::MachineCheck { .. }) {
            Arc::make_mut(&mut self.machines).apply(event);
        }
        if matches!(event.detail, Detail::Change(_) | Detail::Look { .. }) {
            Arc::make_mut(&mut self.changes).apply(event);
        }
        if matches!(event.action, Action::CopyForward | Action::Migrate | Action::Repair)
            && event.duration_ms > 0
            && event.bytes > 0
        {
            self.rates.push_back((event.bytes, event.duration_ms));
            self.rates.drain(..self.rates.len().saturating_sub(RATES_MAX));
        }
        let Some(volume) = event.volume else { return };
        match (event.action, &event.detail) {
            (Action::VolumeAdded, Detail::Label(label)) => {
                self.media.insert(volume, Medium::new(VolumeLabel::clone(label), MediaState::New, event));
            }
            (Action::VolumeAdopted, Detail::Label(label)) => {
                self.media.insert(volume, Medium::new(VolumeLabel::clone(label), MediaState::Active, event));
            }
            _ => {
                if let Some(medium) = self.media.get_mut(&volume) {
                    apply_to(medium, event);
                }
            }
        }
    }

    fn apply_time(&mut self, event: &AuditEvent) {
        if event.action == Action::ClockJumped {
            self.clock_doubted = event.outcome != Outcome::Done;
        }
        if !self.clock_doubted {
            self.trusted_ms = Some(self.trusted_ms.map_or(event.at_ms, |trusted| match event.action {
                Action::ClockJumped => event.at_ms,
                _ => trusted.max(event.at_ms),
            }));
        }
    }
}

fn apply_to(medium: &mut Medium, event: &AuditEvent) {
    let at_ms = event.at_ms;
    match (event.action, &event.detail) {
        (Action::VolumeRelabelled, Detail::Label(label)) => medium.label = VolumeLabel::clone(label),
        (Action::VolumeState, Detail::State { to, .. }) => {
            (medium.state, medium.since_ms) = (*to, at_ms);
            (medium.actor, medium.reason) = (event.actor.clone(), event.reason.clone());
        }
        (Action::VolumeTested, Detail::Test { test, value, passed }) => {
            medium.tests.push(TestResult { at_ms, test: *test, value: *value, passed: *passed });
            medium.tests.drain(..medium.tests.len().saturating_sub(TESTS_MAX));
        }
        (Action::VolumeWear, Detail::Wear { power_on_hours, passes, .. }) => {
            let before = medium.wear.unwrap_or_default();
            let (power_on_hours, passes) = (power_on_hours.or(before.power_on_hours), passes.or(before.passes));
            medium.wear = Some(Wear { at_ms, power_on_hours, passes });
        }
        (Action::VolumeEnvironment, Detail::Environment { celsius_tenths, humidity_percent }) => {
            let (celsius_tenths, humidity_percent) = (*celsius_tenths, *humidity_percent);
            let note = event.reason.clone();
            medium.environment = Some(Environment { at_ms, celsius_tenths, humidity_percent, note });
        }
        (Action::VolumePlaced, Detail::Place(place)) => medium.place.clone_from(place),
        (Action::VolumeShelved, Detail::Place(shelf)) => medium.shelf.clone_from(shelf),
        (Action::VolumeStale, _) => medium.stale = true,
        (Action::VolumeToured, Detail::Found { findings, .. }) => {
            let tour = TourResult { at_ms, read_bytes: event.bytes, units: event.units, findings: *findings };
            medium.last_tour = Some(tour);
            medium.stale &= *findings > 0;
        }
        _ => {}
    }
}

/// The ledger, and the log behind it.
#[derive(Debug)]
pub struct MediaLedger {
    audit: Arc<AuditLog>,
    projection: RwLock<Projection>,
}

impl MediaLedger {
    /// The ledger that `projection` has of everything in `audit`.
    pub fn new(audit: Arc<AuditLog>, projection: Projection) -> Self {
        MediaLedger { audit, projection: RwLock::new(projection) }
    }

    /// The log.
    pub fn audit(&self) -> &Arc<AuditLog> {
        &self.audit
    }

    /// Writes an event to the log, durably, and then takes it in. Gives its number.
    pub fn record(&self, event: AuditEvent) -> Result<u64> {
        self.append(&mut self.projection.write(), event)
    }

    fn append(&self, projection: &mut Projection, event: AuditEvent) -> Result<u64> {
        let seq = self.audit.append(&event)?;
        let digest = self.audit.head().1;
        projection.apply(&AuditRecord { seq, digest, event });
        Ok(seq)
    }

    /// Writes what `judge` makes of the register of machines as it stands; nobody changes it between. Gives it as it is then.
    pub fn register(&self, judge: impl FnOnce(&Machines) -> Result<Vec<AuditEvent>>) -> Result<Arc<Machines>> {
        let mut projection = self.projection.write();
        for event in judge(&projection.machines.clone())? {
            self.append(&mut projection, event)?;
        }
        Ok(projection.machines.clone())
    }

    /// The register of machines.
    pub fn machines(&self) -> Arc<Machines> {
        self.projection.read().machines.clone()
    }

    /// Writes what `judge` makes of the register of changes as it stands; nobody changes it between. Gives it as it is then.
    pub fn register_change(&self, judge: impl FnOnce(&Changes) -> Result<AuditEvent>) -> Result<Arc<Changes>> {
        let mut projection = self.projection.write();
        let event = judge(&projection.changes)?;
        self.append(&mut projection, event)?;
        Ok(projection.changes.clone())
    }

    /// The register of changes.
    pub fn changes(&self) -> Arc<Changes> {
        self.projection.read().changes.clone()
    }

    /// Whether the newest process that wrote the log said that it stops, or there was none before.
    pub fn log_was_stopped(&self) -> bool {
        self.audit.head().0 == 0 || self.projection.read().log_stopped
    }

    /// Every medium, by id.
    pub fn media(&self) -> Vec<Medium> {
        self.projection.read().media.values().cloned().collect()
    }

    /// One medium.
    pub fn get(&self, volume: VolumeId) -> Option<Medium> {
        self.projection.read().media.get(&volume).cloned()
    }

    /// The medium that `text` names: an id, enough of its beginning, a place, or a serial number that only one has.
    pub fn find(&self, text: &str) -> Result<Medium> {
        let projection = self.projection.read();
        let is_named = |medium: &&Medium| {
            let id = medium.label.id.to_string();
            id == text
                || (text.len() >= 4 && id.starts_with(text))
                || medium.place == text
                || medium.label.serial == text
        };
        let mut named = projection.media.values().filter(is_named);
        match (named.next().filter(|_| !text.is_empty()), named.next()) {
            (Some(medium), None) => Ok(medium.clone()),
            (Some(_), Some(_)) => {
                let why = "names several volumes; more of the id names one".to_owned();
                Err(Error::VolumeState { volume: text.to_owned(), why })
            }
            (None, _) => Err(Error::UnknownVolume { volume: text.to_owned() }),
        }
    }

    /// The media that were last at `place`.
    pub fn at_place(&self, place: &str) -> Vec<Medium> {
        self.projection.read().media.values().filter(|medium| medium.place == place).cloned().collect()
    }

    /// Bytes in a second of the newest copies and repairs, or [`RATE_DEFAULT`].
    pub fn measured_rate(&self) -> u64 {
        self.rate().0
    }

    /// That rate, and whether it was measured.
    pub fn rate(&self) -> (u64, bool) {
        let rates = &self.projection.read().rates;
        let sum = |bytes: u64, (more, _): &(u64, u64)| bytes.saturating_add(*more);
        let (bytes, ms) = (rates.iter().fold(0, sum), rates.iter().map(|(_, ms)| ms).sum::<u64>());
        let rate = u128::from(bytes) * 1000 / u128::from(ms.max(1));
        match ms {
            0 => (RATE_DEFAULT, false),
            _ => (u64::try_from(rate).unwrap_or(u64::MAX).max(1), true),
        }
    }

    /// Whether anything may be released or retired on the word of a clock that says `now_ms`. A clock that went back, or
    /// far ahead of everything that happened, is recorded, and stays doubted until [`confirm_clock`](Self::confirm_clock)
    /// or until it stands again where it must.
    pub fn clock_is_trusted(&self, now_ms: u64) -> Result<bool> {
        let (trusted_ms, doubted) = {
            let projection = self.projection.read();
            (projection.trusted_ms, projection.clock_doubted)
        };
        let event = |reason: String| AuditEvent::new(now_ms, "vault", Action::ClockJumped).because(reason);
        let days = |ms: u64| ms / life::DAY_MS;
        let (sound, reason) = match life::judge_clock(trusted_ms, now_ms) {
            ClockState::Sound => (true, "the clock stands again where it must".to_owned()),
            ClockState::WentBack(ms) => (false, format!("the clock went back by {} minutes", ms / 60_000)),
            ClockState::FarAhead(ms) => (false, format!("the clock is {} days ahead of the last event", days(ms))),
        };
        if sound == doubted {
            let outcome = if sound { Outcome::Done } else { Outcome::Findings };
            self.record(event(reason).ended(outcome))?;
        }
        Ok(sound)
    }

    /// A person has compared the clock with a good one.
    pub fn confirm_clock(&self, now_ms: u64, actor: &str) -> Result<()> {
        let event = AuditEvent::new(now_ms, actor, Action::ClockJumped).because("a person confirmed the clock");
        self.record(event).map(drop)
    }

    /// The newest time that was not doubted, in milliseconds since 1970.
    pub fn trusted_ms(&self) -> Option<u64> {
        self.projection.read().trusted_ms
    }

    /// What the log knows of the accounts file.
    pub fn accounts_mark(&self) -> Mark {
        self.projection.read().accounts.clone()
    }

    /// Whether the clock is doubted now.
    pub fn clock_is_doubted(&self) -> bool {
        self.projection.read().clock_doubted
    }
}
