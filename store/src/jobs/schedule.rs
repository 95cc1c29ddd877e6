//! The schedule: what is known of every kind between runs, when each is due, and who starts it.
//!
//! A tick looks at the clock, asks jobs outside their window to pause, and starts what is due. Each kind starts at most once
//! a tick, and while the clock is in doubt at most once a day of the process's own time: a clock that jumps to and fro starts
//! no storm.

use super::control::{Control, Place};
use super::pace::Rate;
use super::report::{Figures, JobReport, Outcome, ScrubDebt};
use super::settings::JobsConfig;
use super::state::{JobState, LastRun, REPAIRS, Repairs, Sparse};
use super::tours::{self, Picked, TOURS, TourRecord, Tours};
use super::{By, JobKind, JobOptions, file, runner, work};
use crate::error::Result;
use crate::vault::Inner;
use parking_lot::Mutex;
use shosoin_protocol::VolumeId;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_tiers::Tour;
use shosoin_tiers::media::Media;
use shosoin_tiers::{RepairItem, SegmentState};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// After a failure, a job is tried again this much later.
const RETRY_MS: u64 = HOUR_MS / 4;
/// After it was cancelled, an automatic job waits this long.
const CANCELLED_MS: u64 = HOUR_MS;
/// Shortest time between two automatic starts of a kind while the clock is in doubt.
const DOUBT_GAP: Duration = Duration::from_secs(86_400);
/// Longest stored tour.
const TOUR_BYTES_MAX: usize = 1024;
/// Tours in hand, at most.
const TOURS_MAX: usize = 1024;
/// Longest time between two ticks.
const TICK: Duration = Duration::from_secs(2);
/// Time between two looks whether volumes are still there.
const LOOK: Duration = Duration::from_secs(60);

/// What is known of jobs.
pub(crate) struct Jobs {
    /// which run
    pub(crate) control: Arc<Control>,
    states: Mutex<BTreeMap<JobKind, JobState>>,
    tours: Mutex<Tours>,
    in_hand: Mutex<BTreeMap<VolumeId, Tour>>,
    /// the scrub of one hospital that was begun and not ended
    picked: Mutex<Option<Picked>>,
    rate: Option<Arc<Rate>>,
    totals: Mutex<BTreeMap<JobKind, Totals>>,
    begun: Mutex<BTreeMap<JobKind, Instant>>,
    saved_repairs: Mutex<Vec<RepairItem>>,
    /// what the last compaction of this process left
    pub(crate) sparse: Mutex<Option<Sparse>>,
    scheduled: AtomicBool,
}

/// What a kind did since the vault was opened.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// runs, by outcome
    pub runs: BTreeMap<&'static str, u64>,
    /// what they did
    pub figures: Figures,
}

impl Jobs {
    /// Reads what is known. What is lost or damaged begins anew.
    pub fn open(folder: &dyn Media, config: &JobsConfig) -> Result<Self> {
        file::prepare(folder)?;
        let states = JobKind::ALL.into_iter().filter_map(|kind| Some((kind, file::load(folder, kind.name())?)));
        let mut states: BTreeMap<JobKind, JobState> = states.collect();
        states.values_mut().for_each(interrupted);
        let in_hand = states.get(&JobKind::Scrub).and_then(|state| decode_scrubs(&state.cursor).ok());
        let (in_hand, picked) = in_hand.unwrap_or_default();
        Ok(Jobs {
            control: Arc::default(),
            states: Mutex::new(states),
            tours: Mutex::new(file::load(folder, TOURS).unwrap_or_default()),
            in_hand: Mutex::new(in_hand),
            picked: Mutex::new(picked),
            rate: config.rate().map(|rate| Arc::new(Rate::new(rate))),
            totals: Mutex::default(),
            begun: Mutex::default(),
            saved_repairs: Mutex::default(),
            sparse: Mutex::default(),
            scheduled: AtomicBool::new(false),
        })
    }

    /// Puts into the repair queue what an earlier process knew of, and meets new volumes.
    pub fn resume(&self, inner: &Inner) -> Result<()> {
        let saved: Option<Repairs> = file::load(&inner.folder, REPAIRS);
        *self.saved_repairs.lock() = saved.clone().unwrap_or_default().0;
        work::refill(inner, saved);
        let now_ms = inner.stamp();
        let mut tours = self.tours.lock();
        if tours.meet(&inner.tier, now_ms) {
            file::save(&inner.folder, TOURS, &*tours)?;
        }
        Ok(())
    }

    /// Whether this process starts jobs by itself.
    pub fn is_scheduled(&self) -> bool {
        self.scheduled.load(Ordering::Relaxed)
    }

    /// The cap on all jobs together.
    pub fn rate(&self) -> Option<Arc<Rate>> {
        self.rate.clone()
    }

    /// What is known of a kind.
    pub fn state(&self, kind: JobKind) -> JobState {
        self.states.lock().get(&kind).cloned().unwrap_or_default()
    }

    /// Where a kind goes on.
    pub fn cursor(&self, kind: JobKind) -> Vec<u8> {
        self.state(kind).cursor
    }

    /// What a kind did since the vault was opened.
    pub fn totals(&self, kind: JobKind) -> Totals {
        self.totals.lock().get(&kind).cloned().unwrap_or_default()
    }

    fn change(&self, inner: &Inner, kind: JobKind, change: impl FnOnce(&mut JobState)) -> Result<()> {
        let mut states = self.states.lock();
        let state = states.entry(kind).or_default();
        change(state);
        file::save(&inner.folder, kind.name(), state)
    }

    /// A run begins.
    pub fn begins(&self, inner: &Inner, kind: JobKind, at_ms: u64) -> Result<()> {
        self.change(inner, kind, |state| state.running_since_ms = Some(at_ms))
    }

    /// A run came this far.
    pub fn keep_cursor(&self, inner: &Inner, kind: JobKind, cursor: Vec<u8>) -> Result<()> {
        self.change(inner, kind, |state| state.cursor = cursor)
    }

    /// A run ended; `whole` where nothing was left out.
    pub fn ended(&self, inner: &Inner, kind: JobKind, last: LastRun, cursor: Vec<u8>, whole: bool) -> Result<()> {
        {
            let mut totals = self.totals.lock();
            let totals = totals.entry(kind).or_default();
            *totals.runs.entry(last.outcome.name()).or_default() += 1;
            totals.figures += last.figures;
        }
        let period_ms = inner.config.jobs.period_ms(kind);
        self.change(inner, kind, |state| {
            state.running_since_ms = None;
            state.cursor = cursor;
            match (last.outcome, last.by) {
                (Outcome::Done, _) if whole => {
                    let wait_ms = match kind {
                        JobKind::Scrub if last.figures.short > 0 => RETRY_MS, // a tour broke off, and would again at once
                        _ if waits_for_facts(kind) => 0,
                        _ => period_ms,
                    };
                    state.next_ms = last.ended_ms.saturating_add(wait_ms);
                    state.late_since_ms = None;
                }
                (Outcome::Failed, _) => state.next_ms = last.ended_ms.saturating_add(RETRY_MS),
                (Outcome::Stopped, By::Schedule) => state.next_ms = last.ended_ms.saturating_add(CANCELLED_MS),
                (Outcome::Paused, By::Schedule) => state.next_ms = last.ended_ms,
                _ => {}
            }
            state.last = Some(last);
        })
    }

    /// A run was refused before it began: it is tried again later, and not with every tick.
    fn put_off(&self, inner: &Inner, kind: JobKind, why: &crate::Error) {
        let (now_ms, message) = (inner.clock.now_ms(), why.problem().message);
        tracing::error!(job = kind.name(), why = message, "a job could not be run");
        let (outcome, by, figures) = (Outcome::Failed, By::Schedule, Figures::default());
        let last = LastRun { started_ms: now_ms, ended_ms: now_ms, outcome, by, figures, message };
        let cursor = self.cursor(kind);
        if let Err(error) = self.ended(inner, kind, last, cursor, true) {
            tracing::error!(job = kind.name(), %error, "the state of a job could not be saved");
        }
    }

    /// The tour of a volume that was begun and not ended.
    pub fn tour_of(&self, volume: VolumeId) -> Option<Tour> {
        self.in_hand.lock().get(&volume).cloned()
    }

    /// The last whole tour of a volume.
    pub fn last_tour(&self, volume: VolumeId) -> Option<TourRecord> {
        self.tours.lock().volumes.get(&volume).and_then(|toured| toured.last)
    }

    /// A tour came this far.
    pub fn keep_tour(&self, tour: &Tour) {
        self.in_hand.lock().insert(tour.volume, tour.clone());
    }

    /// A tour ended.
    pub fn end_tour(&self, inner: &Inner, volume: VolumeId, record: TourRecord) -> Result<()> {
        let mut tours = self.tours.lock();
        let toured = tours.volumes.entry(volume).or_default();
        toured.last = Some(record);
        file::save(&inner.folder, TOURS, &*tours)?;
        self.in_hand.lock().remove(&volume);
        Ok(())
    }

    /// The last shard that a scrub of one hospital read.
    pub fn picked(&self) -> Option<Picked> {
        *self.picked.lock()
    }

    /// A scrub of one hospital came this far, or ended.
    pub fn keep_picked(&self, picked: Option<Picked>) {
        *self.picked.lock() = picked;
    }

    /// Tours and the scrub of a hospital in hand, as they are stored.
    pub fn scrubs_in_hand(&self) -> Vec<u8> {
        encode_scrubs(&self.in_hand.lock(), *self.picked.lock())
    }

    /// Volumes whose tour is due or in hand, longest waiting first.
    pub fn tours_due(&self, inner: &Inner, now_ms: u64) -> Vec<VolumeId> {
        let mut due = self.tour_times(inner, now_ms);
        due.retain(|(at_ms, _)| *at_ms <= now_ms);
        due.sort_unstable();
        due.into_iter().map(|(_, volume)| volume).collect()
    }

    /// When the next tour of each volume is due.
    fn tour_times(&self, inner: &Inner, now_ms: u64) -> Vec<(u64, VolumeId)> {
        let period_ms = inner.config.jobs.scrub_period_ms();
        let (mut tours, in_hand) = (self.tours.lock(), self.in_hand.lock());
        if tours.meet(&inner.tier, now_ms)
            && let Err(error) = file::save(&inner.folder, TOURS, &*tours)
        {
            tracing::warn!(%error, "what is known of tours could not be saved");
        }
        let volumes = inner.tier.volumes().into_iter().filter(|volume| volume.shards > 0).map(|volume| volume.id);
        let time = |volume| match in_hand.contains_key(&volume) {
            true => (0, volume),
            false => (tours.due_ms(volume, inner.mounted_from_shelf_ms(volume), period_ms, now_ms), volume),
        };
        volumes.map(time).collect()
    }

    /// What is owed now.
    pub fn debt(&self, inner: &Inner) -> ScrubDebt {
        let now_ms = inner.stamp();
        tours::debt(&inner.tier, &self.tours.lock(), &self.in_hand.lock(), &inner.config.jobs, now_ms)
    }

    /// When a kind is to start next; `None` while there is nothing for it to do.
    pub fn next_ms(&self, inner: &Inner, kind: JobKind, now_ms: u64) -> Option<u64> {
        let config = &inner.config.jobs;
        let state = self.state(kind);
        // A time further off than a whole period was set by a clock that was ahead.
        let limit = now_ms.saturating_add(config.period_ms(kind).max(DAY_MS));
        let set_ms = if state.next_ms > limit { 0 } else { state.next_ms };
        let wanted_ms = match kind {
            JobKind::Scrub => self.tour_times(inner, now_ms).into_iter().map(|(at_ms, _)| at_ms).min()?.max(set_ms),
            JobKind::Repair => repair_wanted(inner, now_ms)?.max(set_ms),
            JobKind::CopyForward if state.cursor.is_empty() && work::volumes_to_drain(inner, now_ms).is_empty() => {
                return None;
            }
            JobKind::Check | JobKind::Compact if set_ms == 0 && state.last.is_none() => {
                oldest_closed_ms(inner).unwrap_or(now_ms).min(now_ms).saturating_add(config.period_ms(kind))
            }
            _ => set_ms,
        };
        Some(config.may_run_from(kind, wanted_ms.max(1)))
    }

    /// Notes whether a kind is late.
    fn note_late(&self, inner: &Inner, kind: JobKind, next_ms: Option<u64>, now_ms: u64) -> Result<()> {
        let since = next_ms.map(|next_ms| next_ms.saturating_add(grace_ms(kind, &inner.config.jobs)));
        let since = since.filter(|since| *since < now_ms);
        let state = self.state(kind);
        match since {
            Some(since) if state.late_since_ms.is_none() => {
                self.change(inner, kind, |state| state.late_since_ms = Some(since))
            }
            None if next_ms.is_none() && state.late_since_ms.is_some() => {
                self.change(inner, kind, |state| state.late_since_ms = None)
            }
            _ => Ok(()),
        }
    }

    /// The kinds that are to start now.
    fn startable(&self, inner: &Inner, now_ms: u64) -> Vec<JobKind> {
        let config = &inner.config.jobs;
        let in_doubt = inner.doubt().is_some();
        let mut start = Vec::new();
        for kind in JobKind::ALL {
            let next_ms = self.next_ms(inner, kind, now_ms);
            if let Err(error) = self.note_late(inner, kind, next_ms, now_ms) {
                tracing::warn!(job = kind.name(), %error, "the state of a job could not be saved");
            }
            let rested = |begun: &Instant| begun.elapsed() >= DOUBT_GAP;
            let allowed = !in_doubt || (!removes(kind) && self.begun.lock().get(&kind).is_none_or(rested));
            if config.enabled && allowed && next_ms.is_some_and(|at| at <= now_ms) && config.may_run(kind, now_ms) {
                start.push(kind);
            }
        }
        start
    }
}

impl Inner {
    /// Why the clock is not believed, if it is not: nothing that removes anything starts by itself then.
    pub(crate) fn doubt(&self) -> Option<String> {
        let now_ms = self.clock.now_ms();
        let days = |from_ms: u64, to_ms: u64| to_ms.saturating_sub(from_ms) / DAY_MS;
        match self.media.clock_is_trusted(now_ms) {
            Ok(true) => None,
            Ok(false) => Some(match self.media.trusted_ms() {
                Some(last_ms) if last_ms > now_ms => format!("it went back by {} days", days(now_ms, last_ms)),
                last_ms => format!("it is {} days ahead of the last event", days(last_ms.unwrap_or(0), now_ms)),
            }),
            Err(error) => Some(format!("it cannot be judged: {}", error.problem().message)),
        }
    }

    /// The time to date things with: while the clock is in doubt, the last one that was believed, so that no byte counts as
    /// verified on a doubted clock's word.
    pub(crate) fn stamp(&self) -> u64 {
        let now_ms = self.clock.now_ms();
        match self.doubt() {
            None => now_ms,
            Some(_) => self.media.trusted_ms().unwrap_or(now_ms).min(now_ms),
        }
    }

    /// Writes the repair queue down where it changed.
    pub(crate) fn keep_repairs(&self) -> Result<()> {
        let plan = self.tier.repair_plan();
        let mut saved = self.jobs.saved_repairs.lock();
        if *saved != plan {
            let repairs = Repairs(plan);
            file::save(&self.folder, REPAIRS, &repairs)?;
            *saved = repairs.0;
        }
        Ok(())
    }

    /// Starts what is due, each on a thread of its own.
    fn tick(self: &Arc<Self>) {
        let now_ms = self.clock.now_ms();
        let (config, in_doubt) = (&self.config.jobs, self.doubt().is_some());
        self.jobs.control.pause_where(|kind| !config.may_run(kind, now_ms) || (in_doubt && removes(kind)));
        for kind in self.jobs.startable(self, now_ms) {
            match self.jobs.control.try_take(kind, By::Schedule) {
                None => self.jobs.control.make_room_for(kind),
                Some(place) => self.spawn(kind, place),
            }
        }
        if let Err(error) = self.keep_repairs() {
            tracing::warn!(%error, "the repair queue could not be saved");
        }
    }

    fn spawn(self: &Arc<Self>, kind: JobKind, place: Place) {
        self.jobs.begun.lock().insert(kind, Instant::now());
        let inner = self.clone();
        let thread = std::thread::Builder::new().name(kind.name().into()).spawn(move || {
            if let Err(error) = runner::run(&inner, &place, kind, &JobOptions::default(), By::Schedule) {
                inner.jobs.put_off(&inner, kind, &error);
            }
        });
        match thread {
            Ok(thread) => self.jobs.control.keep(thread),
            Err(error) => tracing::error!(job = kind.name(), %error, "the system gave no thread to a job"),
        }
    }

    /// Runs everything that is due now, one after the other, in this thread.
    pub(crate) fn run_due(&self) -> Result<Vec<JobReport>> {
        let now_ms = self.clock.now_ms();
        let mut reports = Vec::new();
        for kind in self.jobs.startable(self, now_ms) {
            if let Some(place) = self.jobs.control.try_take(kind, By::Schedule) {
                self.jobs.begun.lock().insert(kind, Instant::now());
                reports.push(runner::run(self, &place, kind, &JobOptions::default(), By::Schedule)?);
            }
        }
        Ok(reports)
    }

    /// Starts the thread that starts jobs. It does not keep the vault open.
    pub(crate) fn schedule(self: &Arc<Self>) -> Result<()> {
        if self.jobs.scheduled.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let (control, inner) = (self.jobs.control.clone(), Arc::downgrade(self));
        let watch = move || {
            let mut looked = Instant::now();
            while control.wait(TICK) {
                let Some(inner) = inner.upgrade() else { return };
                if looked.elapsed() >= LOOK {
                    inner.volumes.look();
                    inner.watch_canaries();
                    inner.keep_reads();
                    inner.sweep_accounts();
                    inner.watch_log();
                    looked = Instant::now();
                }
                inner.tick();
            }
        };
        let thread = std::thread::Builder::new().name("schedule".into()).spawn(watch);
        let thread = thread.map_err(|_| crate::Error::Bug("the system gave no thread to the schedule"))?;
        self.jobs.control.keep(thread);
        Ok(())
    }
}

/// Whether a run of this kind ends with something removed.
fn removes(kind: JobKind) -> bool {
    matches!(kind, JobKind::CopyForward | JobKind::Migrate | JobKind::Compact)
}

/// Whether facts and not the time of the last run say when the next one is.
fn waits_for_facts(kind: JobKind) -> bool {
    matches!(kind, JobKind::Scrub | JobKind::Repair)
}

/// How long after it is due a kind counts as late.
fn grace_ms(kind: JobKind, config: &JobsConfig) -> u64 {
    match kind {
        JobKind::Scrub => config.scrub_period_ms() / 10,
        JobKind::Watcher | JobKind::Repair => HOUR_MS,
        _ => DAY_MS,
    }
}

/// When something that waits for repair may be tried.
fn repair_wanted(inner: &Inner, now_ms: u64) -> Option<u64> {
    if inner.tier.repairs_waiting() == 0 {
        return None;
    }
    let setbacks = inner.tier.repair_setbacks();
    let retry = setbacks.iter().map(|setback| setback.failed_ms.saturating_add(setback.wait_ms)).min();
    let (ready, waiting) = work::repairs_ready(inner);
    let until = inner.repair_waits_until_ms().filter(|_| waiting);
    if ready.is_empty() { retry.into_iter().chain(until).min() } else { Some(now_ms) }
}

fn oldest_closed_ms(inner: &Inner) -> Option<u64> {
    let closed = inner.tier.segments().into_iter().filter(|segment| segment.state == SegmentState::Closed);
    closed.filter_map(|segment| segment.closed_ms).min()
}

/// A run that a kill cut short is the last one, interrupted.
fn interrupted(state: &mut JobState) {
    let Some(started_ms) = state.running_since_ms.take() else { return };
    let message = "the process ended in the middle of it".to_owned();
    let (by, figures) = (By::Schedule, Figures::default());
    state.last =
        Some(LastRun { started_ms, ended_ms: started_ms, outcome: Outcome::Interrupted, by, figures, message });
}

fn encode_scrubs(tours: &BTreeMap<VolumeId, Tour>, picked: Option<Picked>) -> Vec<u8> {
    if tours.is_empty() && picked.is_none() {
        return Vec::new();
    }
    let mut out = Writer::new();
    out.count(tours.len().min(TOURS_MAX));
    for tour in tours.values().take(TOURS_MAX) {
        out.var(&tour.encode());
    }
    if let Some(picked) = picked {
        picked.write(&mut out);
    }
    out.finish()
}

fn decode_scrubs(bytes: &[u8]) -> shosoin_protocol::Result<(BTreeMap<VolumeId, Tour>, Option<Picked>)> {
    let mut reader = Reader::new(bytes, "tours in hand");
    let count = reader.count(TOURS_MAX, "tours")?;
    let mut tours = BTreeMap::new();
    for _ in 0..count {
        let tour = Tour::decode(reader.var(TOUR_BYTES_MAX, "tour")?)?;
        tours.insert(tour.volume, tour);
    }
    let picked = (reader.left() > 0).then(|| Picked::read(&mut reader)).transpose()?;
    reader.finish()?;
    Ok((tours, picked))
}
