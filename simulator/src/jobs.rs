//! The vault's jobs, run as its scheduler would: tours when they are due, repair whenever something waits, drains step by
//! step. The repair queue and cursors are stored after each step and read back before the next, as a vault that is killed
//! would.

use crate::outcome::Rule;
use crate::run::Run;
use crate::world::DAY_MS;
use shosoin_protocol::VolumeId;
use shosoin_tiers::{Drain, DrainPhase, DrainStep, Unpaced};

/// Repairs tried in one step of the run.
const REPAIRS_MAX: usize = 400;

/// Steps of a drain in one step of the run.
const DRAIN_STEPS_MAX: usize = 60;

impl Run<'_> {
    /// Everything that is due on this day.
    pub fn jobs(&mut self) {
        if self.options.scrub {
            self.tours();
        }
        self.repair();
        self.drains();
        self.repair();
    }

    fn tours(&mut self) {
        let now_ms = self.world.now_ms();
        let tour_ms = self.options.tour_days * DAY_MS;
        let due: Vec<(VolumeId, u64)> = self.operator.toured_ms.iter().map(|(volume, at)| (*volume, *at)).collect();
        for (volume, last_ms) in due {
            if last_ms + tour_ms > now_ms {
                continue;
            }
            if self.is_dead() {
                return;
            }
            if self.tour(volume) {
                self.outcome.scrub_age_days = self.outcome.scrub_age_days.max((now_ms - last_ms) / DAY_MS);
                self.operator.toured_ms.insert(volume, now_ms);
                self.operator.tours.remove(&volume);
                self.tidy(volume);
            }
        }
    }

    /// Goes on with the tour of one volume; true when it has ended.
    fn tour(&mut self, volume: VolumeId) -> bool {
        let mut tour = self.tour_of(volume);
        let Some(tier) = &self.tier else { return false };
        loop {
            let step = tour.step(tier, &Unpaced);
            if self.world.with(|state| state.is_dead) {
                return false;
            }
            self.operator.repairs = tier.repair_plan(); // before the cursor: it passes over nothing that is not queued
            self.operator.tours.insert(volume, tour.encode());
            match step {
                Ok(Some(findings)) => self.outcome.reported += findings.len() as u64,
                Ok(None) => {
                    self.outcome.scrubbed_bytes += tour.done.read_bytes;
                    return true;
                }
                Err(_) => return false, // the volume is away: the tour goes on when it is back
            }
        }
    }

    fn repair(&mut self) {
        let Some(tier) = &self.tier else { return };
        for _ in 0..REPAIRS_MAX {
            if self.world.with(|state| state.is_dead) {
                return;
            }
            let next = tier.repair_next(&Unpaced);
            if !self.world.with(|state| state.is_dead) {
                self.operator.repairs = tier.repair_plan();
            }
            match next {
                Ok(Some(repaired)) => self.outcome.repaired += repaired.rebuilt.len() as u64,
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn drains(&mut self) {
        let drains: Vec<(VolumeId, Vec<u8>)> =
            self.operator.drains.iter().map(|(volume, bytes)| (*volume, bytes.clone())).collect();
        for (volume, bytes) in drains {
            if self.is_dead() {
                return;
            }
            match Drain::decode(&bytes) {
                Ok(drain) => self.drain(drain),
                Err(error) => {
                    self.violate(Rule::Unreported, format!("the stored drain of volume {volume} is not good: {error}"));
                }
            }
        }
    }

    fn drain(&mut self, mut drain: Drain) {
        let Some(tier) = &self.tier else { return };
        for _ in 0..DRAIN_STEPS_MAX {
            let step = drain.step(tier, &Unpaced);
            if self.world.with(|state| state.is_dead) {
                return;
            }
            self.operator.drains.insert(drain.volume, drain.encode());
            match step {
                Ok(Some(DrainStep::Copied(_))) => self.outcome.copied += 1,
                Ok(Some(_)) => {}
                Ok(None) if drain.phase == DrainPhase::Ended => return self.end_drain(&drain),
                Ok(None) | Err(_) => return,
            }
        }
    }
}
