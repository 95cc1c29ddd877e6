//! The scrub job: tours of volumes, several at a time. Of one hospital alone it is no tour, and counts as none.

use super::Work;
use crate::check::{Finding, Severity};
use crate::error::Result;
use crate::jobs::report::{Figures, Gain};
use crate::jobs::tours::{Picked, TourRecord};
use crate::jobs::{By, JobOptions};
use crate::vault::Inner;
use shosoin_protocol::VolumeId;
use shosoin_tiers::Error as MediaError;
use shosoin_tiers::Pace;
use shosoin_tiers::Tour;
use shosoin_tiers::{Scrubbed, ShardRef};
use std::collections::VecDeque;

/// A scrub.
pub struct Scrub {
    waiting: VecDeque<VolumeId>,
    at_once: usize,
    touring: Vec<Tour>,
    picked: VecDeque<(VolumeId, ShardRef, u64)>,
    only: Option<VolumeId>,
    behind: u64,
    all: u64,
}

/// What one tour did in one step.
enum Stepped {
    /// it goes on
    On(Tour, Gain),
    /// it read everything
    Ended(Tour),
    /// its volume cannot be read any more
    Broken(Tour, MediaError),
}

impl Scrub {
    /// Tours of the volumes that are due or, for an operator, of all that are asked for. A tour that was begun goes on.
    pub fn begin(inner: &Inner, options: &JobOptions, by: By) -> Result<Self> {
        let now_ms = inner.clock.now_ms();
        let volumes = match by {
            By::Schedule => inner.jobs.tours_due(inner, now_ms),
            By::Operator => inner.tier.volumes().iter().map(|volume| volume.id).collect(),
        };
        let volumes = volumes.into_iter().filter(|volume| options.volume.is_none_or(|asked| asked == *volume));
        let at_once = usize::try_from(inner.config.jobs.scrub_volumes_at_once.max(1)).unwrap_or(1);
        let mut scrub = Scrub {
            waiting: volumes.collect(),
            at_once,
            touring: Vec::new(),
            picked: VecDeque::new(),
            only: options.volume,
            behind: 0,
            all: 0,
        };
        match options.hospital {
            Some(hospital) => {
                for volume in std::mem::take(&mut scrub.waiting) {
                    let shards = inner.tier.shards_on(volume).into_iter().filter(|on| on.shard.hospital == hospital);
                    scrub.picked.extend(shards.map(|on| (volume, on.shard, on.len_bytes)));
                }
                scrub.picked.make_contiguous().sort_unstable();
                scrub.all = scrub.picked.iter().map(|(_, _, len_bytes)| len_bytes).sum();
                let begun = inner.jobs.picked().filter(|it| it.shard.hospital == hospital && it.only == options.volume);
                if let Some(begun) = begun {
                    scrub.picked.retain(|(volume, shard, _)| (*volume, *shard) > (begun.volume, begun.shard));
                }
                scrub.behind = scrub.all - scrub.picked.iter().map(|(_, _, len_bytes)| len_bytes).sum::<u64>();
            }
            None => {
                for volume in &scrub.waiting {
                    let tour = inner.jobs.tour_of(*volume).unwrap_or_else(|| Tour::new(*volume, now_ms));
                    let total = tour.total_bytes(&inner.tier);
                    scrub.all += total;
                    scrub.behind += total.saturating_sub(tour.left_bytes(&inner.tier));
                }
            }
        }
        Ok(scrub)
    }

    /// A shard of the hospital that was asked for is dealt with.
    fn passed(&mut self, inner: &Inner, volume: VolumeId, shard: ShardRef) {
        self.picked.pop_front();
        let more = !self.picked.is_empty();
        inner.jobs.keep_picked(more.then_some(Picked { only: self.only, volume, shard }));
    }

    /// Steps every tour in hand, each on a thread of its own where there are several.
    fn step_tours(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Gain> {
        let step = |tour: Tour| step_one(inner, tour, pace);
        let tours = std::mem::take(&mut self.touring);
        let before = tours.clone();
        let stepped: Vec<Stepped> = match tours.len() {
            0 | 1 => tours.into_iter().map(step).collect(),
            _ => std::thread::scope(|scope| {
                let threads: Vec<_> = tours.into_iter().map(|tour| scope.spawn(move || step(tour))).collect();
                threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
            }),
        };
        if stepped.len() < before.len() {
            return Err(crate::Error::Bug("a tour panicked"));
        }
        let (mut gain, mut stopped) = (Gain::default(), false);
        for stepped in stepped {
            match stepped {
                Stepped::On(tour, brought) => {
                    self.behind += brought.figures.read_bytes;
                    gain = gain.found(brought.findings);
                    gain.figures += brought.figures;
                    inner.jobs.keep_tour(&tour);
                    self.touring.push(tour);
                }
                Stepped::Ended(tour) => {
                    gain.done.push(end(inner, &tour)?);
                    gain.save_now = true;
                }
                Stepped::Broken(tour, MediaError::Stopped) => {
                    stopped = true;
                    self.touring.push(tour);
                }
                Stepped::Broken(tour, error) => {
                    let message = format!("tour of volume {} broke off: {error}", tour.volume);
                    gain = gain.found([Finding { severity: Severity::Degraded, code: "tour-broken", message }]);
                    gain.figures.short += 1;
                }
            }
        }
        // What others brought while one was stopped is in their tours, which are kept.
        if stopped && gain.figures == Figures::default() { Err(MediaError::Stopped.into()) } else { Ok(gain) }
    }
}

fn step_one(inner: &Inner, mut tour: Tour, pace: &dyn Pace) -> Stepped {
    let before = tour.done;
    match tour.step(&inner.tier, pace) {
        Ok(None) => Stepped::Ended(tour),
        Err(error) => Stepped::Broken(tour, error),
        Ok(Some(findings)) => {
            let figures = Figures {
                items: tour.done.shards - before.shards,
                units: tour.done.units - before.units,
                read_bytes: tour.done.read_bytes - before.read_bytes,
                ..Figures::default()
            };
            let unlisted = (tour.done.findings - before.findings).saturating_sub(findings.len() as u64);
            let mut gain = Gain { figures, ..Gain::default() }.found(findings.iter().map(Finding::from));
            gain.figures.findings += unlisted;
            Stepped::On(tour, gain)
        }
    }
}

/// A tour ended: what it found is in the stored queue, the audit log says so, then its volume counts as verified.
fn end(inner: &Inner, tour: &Tour) -> Result<String> {
    let done = tour.done;
    inner.keep_repairs()?;
    inner.volumes.tour_ended(tour.volume, done.read_bytes, done.units, done.findings, 0)?;
    let record = TourRecord {
        started_ms: tour.started_ms,
        ended_ms: inner.stamp(),
        read_bytes: done.read_bytes,
        units: done.units,
        findings: done.findings,
    };
    inner.jobs.end_tour(inner, tour.volume, record)?;
    let (shards, findings) = (tour.done.shards, tour.done.findings);
    Ok(format!("tour of volume {}: {shards} shards read, {findings} findings", tour.volume))
}

impl Work for Scrub {
    fn step(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Gain>> {
        if let Some((volume, shard, _)) = self.picked.front().copied() {
            let scrubbed = match inner.tier.scrub_copy(volume, shard, pace) {
                Err(error @ (MediaError::Stopped | MediaError::Abandoned { .. })) => return Err(error.into()),
                Err(error) => {
                    self.passed(inner, volume, shard);
                    let message = format!("shard {} of segment {}: {error}", shard.shard, shard.segment);
                    return Ok(Some(Gain::default().found([Finding {
                        severity: Severity::Degraded,
                        code: "shard-unread",
                        message,
                    }])));
                }
                Ok(scrubbed) => scrubbed,
            };
            self.passed(inner, volume, shard);
            self.behind += scrubbed.read_bytes;
            return Ok(Some(gain_of(&scrubbed)));
        }
        while self.touring.len() < self.at_once {
            let Some(volume) = self.waiting.pop_front() else { break };
            let started_ms = inner.stamp();
            self.touring.push(inner.jobs.tour_of(volume).unwrap_or_else(|| Tour::new(volume, started_ms)));
        }
        match self.touring.is_empty() {
            true => Ok(None),
            false => self.step_tours(inner, pace).map(Some),
        }
    }

    fn extent(&self, _inner: &Inner) -> (u64, Option<u64>) {
        (self.behind, Some(self.all.max(self.behind)))
    }

    fn cursor(&self, inner: &Inner) -> Vec<u8> {
        inner.jobs.scrubs_in_hand()
    }

    fn plan(&self, inner: &Inner) -> Vec<String> {
        let tour = |volume: &VolumeId| {
            let begun = inner.jobs.tour_of(*volume);
            let verb = if begun.is_some() { "goes on" } else { "would begin" };
            let tour = begun.unwrap_or_else(|| Tour::new(*volume, 0));
            let (left, total) = (tour.left_bytes(&inner.tier), tour.total_bytes(&inner.tier));
            format!("tour of volume {volume} {verb}: {left} of {total} bytes to read")
        };
        let shard = |(volume, shard, len_bytes): &(VolumeId, ShardRef, u64)| {
            format!("shard {} of segment {} on volume {volume}: {len_bytes} bytes to read", shard.shard, shard.segment)
        };
        self.waiting.iter().map(tour).chain(self.picked.iter().map(shard)).collect()
    }
}

/// What scrubbing one copy brought.
pub fn gain_of(scrubbed: &Scrubbed) -> Gain {
    let figures = Figures { items: 1, units: scrubbed.units, read_bytes: scrubbed.read_bytes, ..Figures::default() };
    let mut gain = Gain { figures, ..Gain::default() }.found(scrubbed.findings.iter().map(Finding::from));
    gain.figures.findings += scrubbed.unlisted;
    gain
}
