//! A run: one seed, from the first deposit to the last check. Days pass in steps; on each, media decay, the operator does
//! what operators do, hospitals deposit and read, jobs work, and somebody may pull the plug in the middle of any of it.

use crate::budget::Budget;
use crate::decay::DecayRates;
use crate::disk::Health;
use crate::fault::FaultKind;
use crate::media::SimMedia;
use crate::operator::Operator;
use crate::oracle::Acknowledged;
use crate::outcome::{Outcome, Rule, Violation};
use crate::rng::{EngineRandom, Rng};
use crate::upkeep::Upkeep;
use crate::world::{CallRates, DAY_MS, World};
use bytes::Bytes;
use shosoin_protocol::{HospitalId, RecordKind, Suite, VolumeId};
use shosoin_tiers::{Code, Defect, Finding, Record, Severity, Threads, Tier, TierOptions, Volume};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// When every run begins, in milliseconds since 1970.
pub const START_MS: u64 = 1_767_225_600_000;

/// Bytes of payload after which a segment is closed.
const SEGMENT_BYTES_MAX: u64 = 96 * 1024;

/// What is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// everything that happens follows from it
    pub seed: u64,
    /// how long
    pub years: u64,
    /// hot volumes in use at one time
    pub volumes: usize,
    /// archive volumes beside them
    pub archive: usize,
    /// data and parity shards
    pub code: Code,
    /// whether volumes are toured
    pub scrub: bool,
    /// whether more may be ruined than the code survives
    pub beyond: bool,
    /// days between two steps
    pub step_days: u64,
    /// days between two tours of one volume
    pub tour_days: u64,
    /// days in which damage must be found and repaired
    pub window_days: u64,
    /// average days between two deposits
    pub deposit_days: u64,
    /// average days between two times at which most of some segment's records are disposed of
    pub disposal_days: u64,
    /// average days between two segments that go to the archive
    pub migration_days: u64,
    /// average days between two stops, clean or not
    pub stop_days: u64,
    /// how media decay
    pub decay: DecayRates,
    /// how calls go wrong
    pub calls: CallRates,
}

impl Options {
    /// The usual run: `years` on `volumes` volumes under 4+2, more eventful where it is short.
    pub fn new(seed: u64, years: u64, volumes: usize) -> Self {
        let short = years <= 5;
        Options {
            seed,
            years,
            volumes,
            archive: (volumes / 4).max(8),
            code: Code::ALLOWED[0],
            scrub: true,
            beyond: false,
            step_days: if short { 3 } else { 5 },
            tour_days: 30,
            window_days: 100,
            deposit_days: if short { 12 } else { 30 },
            disposal_days: if short { 60 } else { 150 },
            migration_days: if short { 60 } else { 120 },
            stop_days: if short { 40 } else { 90 },
            decay: DecayRates { latent: 9_000, label: 300, episode: 250, read_only: 40, death: 80, lot_death: 150 },
            calls: CallRates {
                read_error: 20_000,
                silent_write: 150,
                write_error: 4_000,
                sync_error: 4_000,
                lying_sync: 300,
            },
        }
    }

    /// The same in a storm: the machine stops every few days, so that recovery has much to do, and one write in twenty goes
    /// astray, unnoticed.
    pub fn storm(seed: u64, years: u64, volumes: usize) -> Self {
        let mut options = Options { deposit_days: 2, stop_days: 5, ..Options::new(seed, years, volumes) };
        options.calls.silent_write = 20;
        options
    }

    /// Whether a loss is a failure of the engine: scrub is on and the budget is kept.
    pub fn is_strict(&self) -> bool {
        self.scrub && !self.beyond
    }
}

/// Runs one seed. A panic of the engine is a violation like any other.
pub fn run(options: &Options) -> Outcome {
    let mut run = Run::new(options);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run.live())) {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        run.violate(Rule::Panicked, text.unwrap_or("no message").to_owned());
    }
    run.finish()
}

/// A run under way.
pub(crate) struct Run<'a> {
    pub options: &'a Options,
    pub world: Arc<World>,
    pub rng: Rng,
    pub tier: Option<Tier>,
    pub operator: Operator,
    pub upkeep: Upkeep,
    pub outcome: Outcome,
    random: Arc<EngineRandom>,
    pub acknowledged: Vec<Acknowledged>,
    /// what starts said is set aside as torn, or lost
    pub decided: Vec<Finding>,
    /// whether nothing changes any more
    pub is_settled: bool,
    hospitals: Vec<(HospitalId, Suite)>,
}

impl<'a> Run<'a> {
    fn new(options: &'a Options) -> Self {
        let Options { seed, code, .. } = *options;
        let budget = Budget::new(code.k(), code.m(), options.beyond);
        let window_ms = options.window_days * DAY_MS;
        let world = World::new(Rng::fork(seed, "media"), budget, options.calls, window_ms, START_MS);
        let suite = |no: u8| Suite::ALL[usize::from(no) % Suite::ALL.len()];
        Run {
            options,
            world,
            rng: Rng::fork(seed, "work"),
            tier: None,
            operator: Operator::new(seed, options.volumes),
            upkeep: Upkeep::new(seed),
            outcome: Outcome::default(),
            random: Arc::new(EngineRandom::new(seed)),
            acknowledged: Vec::new(),
            decided: Vec::new(),
            is_settled: false,
            hospitals: (0..3).map(|no| (HospitalId([no + 1; 16]), suite(no))).collect(),
        }
    }

    fn live(&mut self) {
        self.install();
        self.start();
        let days = self.options.years * 365;
        for day in (0..days).step_by(usize::try_from(self.options.step_days).unwrap_or(1)) {
            let _ = day;
            self.world.clock.advance(self.options.step_days * DAY_MS);
            self.decay();
            self.plan_a_stop();
            self.operate();
            self.deposit();
            self.read_some();
            self.jobs();
            self.upkeep();
            self.stop_and_start();
            self.audit();
            self.take_broken();
        }
        self.settle();
        self.verify_everything();
    }

    /// Days since the beginning.
    pub fn day(&self) -> u64 {
        (self.world.now_ms() - START_MS) / DAY_MS
    }

    pub fn violate(&mut self, rule: Rule, what: String) {
        let violation = Violation { rule, day: self.day(), what };
        self.outcome.violations.push(violation);
    }

    /// Whether the process is dead, so that nothing it says counts.
    pub fn is_dead(&self) -> bool {
        self.world.with(|state| state.is_dead)
    }

    fn decay(&mut self) {
        let now_ms = self.world.now_ms();
        let Options { step_days, decay, .. } = *self.options;
        self.world.with(|state| {
            (0..state.disks.len()).for_each(|disk| state.decay(disk, step_days, &decay, now_ms));
            if state.rng.times(decay.lot_death * step_days) > 0 {
                state.kill_lot(now_ms);
            }
        });
    }

    /// Perhaps the process dies during this step, at one of the calls it makes.
    fn plan_a_stop(&mut self) {
        if self.rng.once_in((self.options.stop_days / self.options.step_days).max(1) * 2) {
            let calls = if self.rng.once_in(2) { 60 } else { 2_000 };
            let dies_in = self.rng.below(calls);
            self.world.with(|state| state.dies_in = Some(dies_in));
        }
    }

    fn stop_and_start(&mut self) {
        let dead = self.is_dead();
        if dead {
            self.tier = None;
            let power_cut = self.rng.once_in(3);
            let now_ms = self.world.now_ms();
            self.world.with(|state| {
                state.counts.add(if power_cut { FaultKind::PowerCut } else { FaultKind::ProcessKill });
                state.revive(power_cut, now_ms);
            });
        } else if self.rng.once_in((self.options.stop_days / self.options.step_days).max(1) * 2) {
            if let Some(tier) = self.tier.take()
                && self.rng.once_in(2)
            {
                let _ = tier.close(); // a footer that could not be written is found at the next start
            }
            if self.is_dead() {
                return self.stop_and_start();
            }
        }
        self.world.with(|state| state.dies_in = None);
        if self.tier.is_none() {
            self.while_stopped();
            self.start();
        }
    }

    /// Opens the vault, and again where it is killed on the way.
    pub fn start(&mut self) {
        for attempt in 0..20 {
            if attempt < 2 && self.rng.once_in(12) {
                let dies_in = self.rng.below(300);
                self.world.with(|state| state.dies_in = Some(dies_in));
            }
            let opened = self.open();
            let now_ms = self.world.now_ms();
            if self.is_dead() {
                drop(opened);
                let power_cut = self.rng.once_in(3);
                self.world.with(|state| {
                    state.counts.add(if power_cut { FaultKind::PowerCut } else { FaultKind::ProcessKill });
                    state.revive(power_cut, now_ms);
                    state.unlisted.clear();
                });
                continue;
            }
            self.world.with(|state| state.dies_in = None);
            match opened {
                Ok((tier, findings)) => {
                    self.outcome.starts += 1;
                    self.take_report(&findings);
                    tier.queue_repairs(self.operator.repairs.iter().copied());
                    self.tier = Some(tier);
                    self.expect_removed();
                    if self.rng.once_in(4) {
                        self.expect_listed();
                    }
                    return;
                }
                Err(error) => self.violate(Rule::Unopened, error.to_string()),
            }
        }
        self.violate(Rule::Unopened, "twenty attempts".into());
    }

    fn open(&mut self) -> shosoin_tiers::Result<(Tier, Vec<Finding>)> {
        let present = self.world.with(|state| {
            (0..state.disks.len()).filter(|disk| state.disks[*disk].health == Health::Present).collect::<Vec<_>>()
        });
        // a medium that does not answer is left out, as an operator would
        let media = present.into_iter().map(|disk| SimMedia::new(&self.world, disk));
        let count = media.len();
        let volumes: Vec<Volume> = media.filter_map(|media| Volume::open(Arc::new(media)).ok()).collect();
        let options = TierOptions {
            segment_bytes_max: SEGMENT_BYTES_MAX,
            threads: Threads::None,
            absence_is_final: volumes.len() == count && self.operator.expects_none_back(),
            ..TierOptions::new(self.options.code)
        };
        Tier::open(volumes, options, self.world.clock.clone(), self.random.clone())
    }

    /// What a start or an attach reports: every listing that failed must be named, and what is set aside or given up is
    /// remembered, because it is said once.
    pub fn take_report(&mut self, findings: &[Finding]) {
        self.outcome.reported += findings.len() as u64;
        let keeps_nothing =
            |defect: &Defect| matches!(defect, Defect::StripeTorn { .. } | Defect::SegmentRecovered { stripes: 0, .. });
        let decides = |found: &&Finding| found.severity() == Severity::Lost || keeps_nothing(&found.defect);
        self.decided.extend(findings.iter().filter(decides).cloned());
        let unlisted = self.world.with(|state| std::mem::take(&mut state.unlisted));
        for volume in unlisted {
            let named = |finding: &Finding| {
                finding.place.volume == Some(volume) && matches!(finding.defect, Defect::VolumeUnlisted { .. })
            };
            if !findings.iter().any(named) {
                self.violate(Rule::Unreported, format!("volume {volume} could not be listed and nobody says so"));
            }
        }
    }

    fn deposit(&mut self) {
        if self.is_dead() || !self.rng.once_in((self.options.deposit_days / self.options.step_days).max(1)) {
            return;
        }
        // most deposits of some months are of one hospital, so that segments fill
        let usual = usize::try_from(self.day() / 500).unwrap_or_default() % self.hospitals.len();
        let other = self.rng.index(self.hospitals.len());
        let (hospital, suite) = self.hospitals[if self.rng.once_in(5) { other } else { usual }];
        let count = 1 + self.rng.index(5);
        let records: Vec<Record> = (0..count).map(|_| self.record(suite)).collect();
        let Some(tier) = &self.tier else { return };
        match tier.append(hospital, suite, &records) {
            Ok(done) if !self.is_dead() => {
                for (record, location) in records.into_iter().zip(done.locations) {
                    self.outcome.records += 1;
                    self.outcome.bytes += record.bytes.len() as u64;
                    self.acknowledge(location.segment, location.stripe_at);
                    let (address, bytes) = (record.address, record.bytes);
                    self.acknowledged.push(Acknowledged { address, suite, location, bytes, is_lost: false });
                }
            }
            Ok(_) | Err(_) => self.outcome.refused += 1,
        }
    }

    fn record(&mut self, suite: Suite) -> Record {
        let len = match self.rng.below(20) {
            0 => self.rng.below(2),
            1..9 => self.rng.below(700),
            9..17 => self.rng.below(6_000),
            _ => self.rng.below(24_000),
        };
        let mut bytes = vec![0; usize::try_from(len).unwrap_or_default()];
        self.rng.fill(&mut bytes);
        let kind = RecordKind::ALL[self.rng.index(RecordKind::Checkpoint.code().into())];
        Record { kind, address: suite.address(&bytes), bytes: Bytes::from(bytes) }
    }

    /// Faults end; everything absent is replaced, everything is toured and repaired.
    fn settle(&mut self) {
        self.world.with(|state| {
            state.rates = CallRates::default();
            state.dies_in = None;
        });
        self.world.clock.advance(10 * DAY_MS);
        self.stop_and_start();
        for round in 0..30 {
            self.world.clock.advance(3 * DAY_MS);
            if round == 15 {
                self.tier = None; // what absent volumes kept open can be decided now that they are declared lost
                self.start();
            }
            self.operate();
            self.jobs();
        }
    }

    fn finish(mut self) -> Outcome {
        self.take_broken();
        drop(self.tier.take());
        let outcome = &mut self.outcome;
        self.world.with(|state| {
            outcome.faults = state.counts.clone();
            (outcome.calls, outcome.trace) = (state.calls, state.trace);
        });
        self.outcome
    }

    /// Volumes that the engine has and could list.
    pub fn in_use(&self) -> BTreeSet<VolumeId> {
        let volumes = self.tier.iter().flat_map(Tier::volumes).map(|status| status.id);
        volumes.filter(|volume| !self.operator.is_unlisted(*volume)).collect()
    }

    /// Takes what the media saw the engine do against a rule.
    fn take_broken(&mut self) {
        for (rule, what) in self.world.with(|state| std::mem::take(&mut state.broken)) {
            self.violate(rule, what);
        }
    }

    /// The medium of a volume that is in its slot.
    pub fn disk_of(&self, volume: VolumeId) -> Option<usize> {
        self.world
            .with(|state| state.disks.iter().position(|disk| disk.id() == volume && disk.health == Health::Present))
    }
}
