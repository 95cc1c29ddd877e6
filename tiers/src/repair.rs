//! Repair: rebuild missing or damaged shards of a closed segment from the good ones, and trust the result only after it
//! was read back.
//!
//! Invariants
//! - A shard is written whole, on a volume that may have it, under a temporary name; it takes its place, and the catalogue's
//!   row, only after all of it was synced, read back past the cache and verified. Whatever was there before stays until then.
//! - A shard that cannot be made whole is left as it is, and what is short is named, stripe by stripe. What nobody
//!   could look at is not called lost, and not overwritten by anything but proven bytes.
//! - What fails waits before it is tried again; damage met on the way is queued, not repaired in passing.
//!
//! Not here: finding damage (`scrub`), when to repair (the scheduler), how one pass reads and writes (`rewrite`).

use crate::blueprint::Blueprint;
use crate::copy_forward::remove_copy;
use crate::finding::{Defect, Finding, Place};
use crate::load::ShardFiles;
use crate::mount::Mount;
use crate::new_shard::NewShard;
use crate::pace::Pace;
use crate::queue::Setback;
use crate::rewrite::{Job, Rewrite, finish, is_good_on};
use crate::segment::{Segment, shard_no};
use crate::target::Wanted;
use crate::tier::SegmentState;
use crate::{Error, RepairItem, Result, Tier};
use shosoin_protocol::{SegmentId, VolumeId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// the segment
    pub segment: SegmentId,
    /// bytes read from shards to rebuild from
    pub read_bytes: u64,
    /// bytes written
    pub written_bytes: u64,
    /// bytes read back past the cache and verified
    pub reread_bytes: u64,
    /// shards that are whole again, and where
    pub rebuilt: Vec<(u8, VolumeId)>,
    /// shards that were found good as they are
    pub sound: Vec<u8>,
    /// what could not be brought back, and why
    pub short: Vec<Finding>,
    /// damage met on other shards on the way; it is queued
    pub met: Vec<Finding>,
}

impl Repaired {
    fn nothing(segment: SegmentId) -> Self {
        Repaired {
            segment,
            read_bytes: 0,
            written_bytes: 0,
            reread_bytes: 0,
            rebuilt: Vec::new(),
            sound: Vec::new(),
            short: Vec::new(),
            met: Vec::new(),
        }
    }

    fn unrepaired(&mut self, shard: usize, why: &Error) {
        let place = Place::segment(self.segment).shard(shard_no(shard), None);
        self.short.push(Finding::new(place, Defect::Unrepaired { why: why.to_string() }));
    }
}

impl Tier {
    /// Rebuilds `shards` of a closed segment; one that is open is closed first. Every other shard is read at most once, in
    /// order; only verified units are used. A shard that is rebuilt is whole, read back, and in use when this returns;
    /// one that cannot be made whole is left as it is and named in [`Repaired::short`].
    pub fn repair_segment(&self, segment: SegmentId, shards: &[u8], pace: &dyn Pace) -> Result<Repaired> {
        let found = self.segment(segment)?;
        let _working = self.access.begin_work(segment)?;
        if found.state() == SegmentState::Open {
            self.close_writers(|open| open.id == segment);
        }
        let plan = Blueprint::of(&self.access, &found, self.now_ms())?;
        let known = |shard: &usize| *shard < plan.identity.code.shards();
        let wanted: BTreeSet<usize> = shards.iter().map(|shard| usize::from(*shard)).filter(known).collect();
        let mut repair = Repair {
            tier: self,
            segment: &found,
            plan: &plan,
            pace,
            refused: BTreeMap::new(),
            done: Repaired::nothing(segment),
        };
        let mut left = wanted;
        while !left.is_empty() {
            left = repair.round(left)?;
        }
        Ok(repair.done)
    }

    /// Repairs the segment that has the least redundancy left, all its items at once; `None` where nothing waits that
    /// may be tried now. What could not be repaired waits, with the reason, and is tried again later.
    pub fn repair_next(&self, pace: &dyn Pace) -> Result<Option<Repaired>> {
        while let Some((segment, shards)) = self.access.repairs.next(self.now_ms()) {
            match self.repair_segment(segment, &shards, pace) {
                Ok(repaired) => {
                    self.settle(&repaired, &shards);
                    return Ok(Some(repaired));
                }
                Err(Error::SegmentUnknown { .. }) => {
                    shards.iter().for_each(|shard| self.access.repairs.done(segment, *shard));
                }
                Err(
                    error @ (Error::SegmentUnclosed { .. }
                    | Error::SegmentUnreadable { .. }
                    | Error::SegmentBusy { .. }),
                ) => {
                    let mut repaired = Repaired::nothing(segment);
                    shards.iter().for_each(|shard| repaired.unrepaired((*shard).into(), &error));
                    self.settle(&repaired, &shards);
                    return Ok(Some(repaired));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes what was repaired out of the queue, and lets the rest wait.
    fn settle(&self, repaired: &Repaired, shards: &[u8]) {
        for shard in shards {
            let of_shard = |finding: &&Finding| finding.place.shard == Some(*shard);
            match repaired.short.iter().find(of_shard) {
                Some(finding) => {
                    self.access.repairs.set_back(repaired.segment, *shard, &finding.to_string(), self.now_ms());
                }
                None => self.access.repairs.done(repaired.segment, *shard),
            }
        }
    }

    /// Everything that waits for repair, most urgent first, failed attempts too.
    pub fn repair_plan(&self) -> Vec<RepairItem> {
        self.access.repairs.items()
    }

    /// Failed repairs that wait for their next attempt.
    pub fn repair_setbacks(&self) -> Vec<Setback> {
        self.access.repairs.setbacks()
    }

    /// Lets every failed repair be tried again at once: a volume was added, or a person asks.
    pub fn retry_repairs(&self) {
        self.access.repairs.retry();
    }
}

/// One repair under way.
struct Repair<'a> {
    tier: &'a Tier,
    segment: &'a Segment,
    plan: &'a Blueprint,
    pace: &'a dyn Pace,
    /// volumes that failed to take a shard, and how the last of them failed
    refused: BTreeMap<usize, (BTreeSet<VolumeId>, Option<Error>)>,
    done: Repaired,
}

impl Repair<'_> {
    /// Tries every shard of `wanted` once, in one pass; gives those that must be tried on another volume.
    fn round(&mut self, wanted: BTreeSet<usize>) -> Result<BTreeSet<usize>> {
        let mut bad = BTreeSet::new();
        for shard in wanted {
            if !self.use_good_copy(shard)? {
                bad.insert(shard);
            }
        }
        let mut jobs = self.jobs(&bad);
        let files = ShardFiles::of(self.segment);
        let mut pass = Rewrite::new(&self.tier.access, self.plan, &files, self.pace);
        let ran = pass.run(&mut jobs);
        self.done.read_bytes += pass.read_bytes;
        self.done.written_bytes += pass.written_bytes;
        self.done.short.append(&mut pass.short);
        for (finding, item) in std::mem::take(&mut pass.met) {
            self.tier.queue_repairs([item]);
            self.done.met.push(finding);
        }
        if ran.is_err() {
            jobs.iter().filter_map(|job| job.output.as_ref().ok()).for_each(NewShard::discard);
        }
        ran?;
        let mut again = BTreeSet::new();
        let mut jobs = jobs.into_iter();
        while let Some(job) = jobs.next() {
            let shard = job.shard;
            match self.end(job) {
                Ok(true) => {}
                Ok(false) => drop(again.insert(shard)),
                Err(error) => {
                    jobs.filter_map(|job| job.output.ok()).for_each(|output| output.discard());
                    return Err(error);
                }
            }
        }
        Ok(again)
    }

    /// Of a shard with several copies the first good one is used, and nothing is written. Bad ones before it go: a later
    /// start could take one of them for the copy to use.
    fn use_good_copy(&mut self, shard: usize) -> Result<bool> {
        let copies = self.segment.copies_of(shard);
        for (no, mount) in copies.iter().enumerate().filter(|_| copies.len() > 1) {
            let (good, read_bytes) = is_good_on(self.segment, self.plan, shard, mount, self.pace)?;
            self.done.read_bytes += read_bytes;
            match (good, no) {
                (true, 0) => self.done.sound.push(shard_no(shard)),
                (true, _) => {
                    self.tier.use_copy(self.segment, shard, mount)?;
                    copies[..no].iter().for_each(|bad| self.remove_bad(shard, bad));
                    self.done.rebuilt.push((shard_no(shard), mount.id()));
                }
                (false, _) => continue,
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Removes a copy that is not good, while another one is used that is; where that cannot be done it stays, spare.
    fn remove_bad(&self, shard: usize, mount: &Mount) {
        if !mount.volume.takes_writes() || !mount.answers() {
            return;
        }
        match remove_copy(self.segment, shard, mount) {
            Ok(_) => self.segment.forget_copy(shard, mount.id()),
            Err(error) => tracing::warn!(volume = %mount.id(), shard, %error, "a bad copy of a shard stays behind"),
        }
    }

    /// A job for every shard that has somewhere to go; the others are short.
    fn jobs(&mut self, wanted: &BTreeSet<usize>) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut promised: Vec<(usize, Arc<Mount>)> = Vec::new();
        for shard in wanted {
            match self.output(*shard, &promised) {
                Ok(output) => {
                    promised.push((*shard, output.mount().clone()));
                    jobs.push(Job::new(*shard, self.segment.shard(*shard).is_some(), output));
                }
                Err(error) => self.done.unrepaired(*shard, &error),
            }
        }
        jobs
    }

    /// A new file for a shard: on its own volume where that will do, else on the best one that takes it.
    fn output(&mut self, shard: usize, promised: &[(usize, Arc<Mount>)]) -> Result<NewShard> {
        loop {
            let (refused, last) = self.refused.entry(shard).or_default();
            let wanted =
                Wanted { segment: self.segment, shard, len: self.plan.file_len(), tier: None, refused, promised };
            let here = self.segment.shard(shard).filter(|mount| !refused.contains(&mount.id()));
            let here = here.filter(|mount| mount.room().is_some_and(|room| room >= self.plan.file_len()));
            let target = match here.map_or_else(|| self.tier.choose_target(&wanted), Ok) {
                Ok(target) => target,
                Err(error) => return Err(last.take().unwrap_or(error)),
            };
            match NewShard::begin(self.segment.identity, shard, target.clone()) {
                Ok(output) => return Ok(output),
                Err(error) => self.refuse(shard, target.id(), error),
            }
        }
    }

    fn refuse(&mut self, shard: usize, volume: VolumeId, error: Error) {
        tracing::error!(%volume, shard, %error, "a shard could not be rebuilt there");
        let (refused, last) = self.refused.entry(shard).or_default();
        refused.insert(volume);
        *last = Some(error);
    }

    /// Puts a rewritten shard in its place; false when it must be tried on another volume.
    fn end(&mut self, job: Job) -> Result<bool> {
        let Job { shard, target, .. } = job;
        let ended = match job.output {
            Ok(output) if job.short || job.sound => {
                output.discard();
                self.done.sound.extend(job.sound.then_some(shard_no(shard)));
                return Ok(true);
            }
            Ok(output) => {
                self.done.written_bytes += self.plan.file_len() - self.plan.gap().start;
                finish(output, self.plan, self.pace)?
            }
            Err(error) => Err(error),
        };
        match ended {
            Ok(reread) => {
                self.done.reread_bytes += reread;
                self.tier.use_copy(self.segment, shard, &target)?;
                self.done.rebuilt.push((shard_no(shard), target.id()));
                Ok(true)
            }
            Err(error) => {
                self.refuse(shard, target.id(), error);
                Ok(false)
            }
        }
    }
}
