//! Upkeep: records are disposed of, sparse segments compacted and removed, and segments go to the archive. What an index
//! would note is noted here; what a vault makes durable is kept across stops, and nothing else.

use crate::outcome::Rule;
use crate::rng::Rng;
use crate::run::Run;
use shosoin_protocol::{Address, SegmentId};
use shosoin_tiers::{Compacted, Error, Location, Migration, MigrationStep, SegmentState, Tier, Unpaced, Walked};
use std::collections::BTreeSet;

/// Steps of a migration in one step of the run.
const MIGRATION_STEPS_MAX: usize = 20;

/// Bytes rewritten for each byte gained, at most.
const AMPLIFICATION_MAX: f64 = 2.0;

/// What the vault remembers of it.
#[derive(Debug)]
pub(crate) struct Upkeep {
    rng: Rng,
    /// segments of which the engine said that they are removed
    removed: BTreeSet<SegmentId>,
    /// segments of which records were disposed of
    sparse: BTreeSet<SegmentId>,
    /// the segment that goes to the archive, and whether its hot copies stay
    migrating: Option<(SegmentId, bool)>,
}

impl Upkeep {
    pub fn new(seed: u64) -> Self {
        let rng = Rng::fork(seed, "upkeep");
        Upkeep { rng, removed: BTreeSet::new(), sparse: BTreeSet::new(), migrating: None }
    }
}

impl Run<'_> {
    /// What is due of it on this day.
    pub fn upkeep(&mut self) {
        let step_days = self.options.step_days;
        if self.upkeep.rng.once_in((self.options.disposal_days / step_days).max(1)) {
            self.dispose();
        }
        self.compact();
        if self.upkeep.rng.once_in((self.options.migration_days / step_days).max(1)) {
            self.begin_migration();
        }
        self.migrate();
        if self.upkeep.rng.once_in(10)
            && let Some(tier) = &self.tier
        {
            let _ = tier.sweep(&Unpaced); // what stays behind goes another time
        }
    }

    /// A closed segment, chosen at random, that `wanted` likes.
    fn closed_segment(&mut self, wanted: impl Fn(&Tier, SegmentId) -> bool) -> Option<SegmentId> {
        let tier = self.tier.as_ref()?;
        let closed = tier.segments().into_iter().filter(|info| info.state == SegmentState::Closed);
        let mut ids: Vec<SegmentId> = closed.map(|info| info.id).filter(|id| wanted(tier, *id)).collect();
        ids.sort_unstable();
        (!ids.is_empty()).then(|| ids[self.upkeep.rng.index(ids.len())])
    }

    /// Most records of a segment are disposed of: nobody asks for them again.
    fn dispose(&mut self) {
        if self.is_dead() {
            return;
        }
        let Some(segment) = self.closed_segment(|_, _| true) else { return };
        let rng = &mut self.upkeep.rng;
        self.acknowledged.retain(|record| record.location.segment != segment || rng.once_in(4));
        self.upkeep.sparse.insert(segment);
    }

    /// Compacts what is sparse enough, and removes it.
    fn compact(&mut self) {
        for segment in self.upkeep.sparse.clone() {
            let Some(tier) = &self.tier else { return };
            let live: BTreeSet<(Address, Location)> = self
                .acknowledged
                .iter()
                .filter(|record| record.location.segment == segment)
                .map(|record| (record.address, record.location))
                .collect();
            let mut is_live = |walked: &Walked| live.contains(&(walked.address, walked.location));
            let done = tier.compact_segment(segment, &mut is_live, AMPLIFICATION_MAX, &Unpaced);
            if self.is_dead() {
                return; // what was written so far is there twice, and nobody knows
            }
            match done {
                Ok(done) if done.moved().len() == live.len() => self.remove(done),
                Ok(done) => {
                    // some were lost with their stripes: a vault that misses records there does not remove it
                    self.upkeep.sparse.remove(&segment);
                    let what = format!("{segment}: {} of {} live records were moved", done.moved().len(), live.len());
                    if self.options.is_strict() {
                        self.violate(Rule::Unlisted, what);
                    }
                }
                Err(Error::Dense { .. }) => drop(self.upkeep.sparse.remove(&segment)),
                Err(_) => {} // damaged, busy or killed: another time
            }
        }
    }

    /// The index is switched, and then the files go.
    fn remove(&mut self, done: Compacted) {
        let segment = done.segment();
        for moved in done.moved() {
            self.acknowledge(moved.to.segment, moved.to.stripe_at);
            let records = self.acknowledged.iter_mut();
            records
                .filter(|record| record.location == moved.from && record.address == moved.address)
                .for_each(|record| record.location = moved.to);
            self.outcome.compacted += 1;
        }
        self.upkeep.sparse.remove(&segment);
        self.world.with(|state| state.budget.forget(segment));
        let Some(tier) = &self.tier else { return };
        if tier.remove_segment(done).is_ok() && !self.is_dead() {
            self.upkeep.removed.insert(segment); // what stays behind is swept later
            self.outcome.removed += 1;
        }
    }

    fn begin_migration(&mut self) {
        if self.upkeep.migrating.is_none() && !self.is_dead() {
            let keep_hot = self.upkeep.rng.once_in(3);
            let segment = self.closed_segment(|tier, id| tier.bytes_to_archive(id).is_ok_and(|bytes| bytes > 0));
            self.upkeep.migrating = segment.map(|segment| (segment, keep_hot));
        }
    }

    /// Goes on with the migration under way: what was done is what media show.
    fn migrate(&mut self) {
        let Some((segment, keep_hot)) = self.upkeep.migrating else { return };
        let mut migration = Migration::new(segment, keep_hot);
        for _ in 0..MIGRATION_STEPS_MAX {
            let Some(tier) = &self.tier else { return };
            let step = migration.step(tier, &Unpaced);
            if self.is_dead() {
                return;
            }
            match step {
                Ok(Some(MigrationStep::Appended { records, .. })) => {
                    for (_, address, to) in records {
                        self.acknowledge(to.segment, to.stripe_at);
                        let moved = |record: &&mut crate::oracle::Acknowledged| {
                            record.location.segment == segment && record.address == address
                        };
                        self.acknowledged.iter_mut().filter(moved).for_each(|record| record.location = to);
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.outcome.archived += 1;
                    self.upkeep.migrating = None;
                    return;
                }
                Err(_) => {
                    let is_gone = self.upkeep.removed.contains(&segment);
                    self.upkeep.migrating = self.upkeep.migrating.filter(|_| !is_gone);
                    return;
                }
            }
        }
    }

    /// What was removed is not taken up again.
    pub fn expect_removed(&mut self) {
        let Some(tier) = &self.tier else { return };
        let back = tier.segments().into_iter().find(|info| self.upkeep.removed.contains(&info.id));
        if let Some(info) = back {
            self.violate(Rule::Returned, format!("segment {} was removed and is there again", info.id));
        }
    }
}
