//! Repair: rebuild missing or damaged shards of a closed segment from the good ones, and trust the result only after it
//! was read back.
//!
//! Invariants
//! - A shard is written anew, on a volume that may have it, under a temporary name; it takes its place, and the catalogue's
//!   row, only after all of it was synced, read back past the cache and verified. Whatever was there before stays until then.
//! - What cannot be brought back is named, stripe by stripe, and keeps nothing else from being brought back: the shard is
//!   written with the lost units as they were found ([`crate::job`]), unless nothing of it can be mended. What nobody could
//!   look at is not called lost, and its place is not overwritten by anything but proven bytes.
//! - What fails waits before it is tried again; damage met on the way is queued, not repaired in passing.
//!
//! Not here: finding damage (`scrub`), when to repair (the scheduler), how one pass reads and writes (`rewrite`).

use crate::blueprint::Blueprint;
use crate::closed;
use crate::copies;
use crate::copy_forward::remove_copy;
use crate::finding::{Defect, Finding, Place};
use crate::job::{Job, LostUnits};
use crate::load::{Extent, ShardFiles};
use crate::mount::Mount;
use crate::new_shard::NewShard;
use crate::pace::Pace;
use crate::queue::Setback;
use crate::rewrite::Rewrite;
use crate::segment::{Segment, shard_no};
use crate::stripe::slot_len;
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
    /// shards that were written anew, and where: whole but for what `short` names
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
    /// order, and once more where some unit turns out to be lost; only verified units are used. A shard that is rebuilt is
    /// read back and in use when this returns; what of it cannot be brought back is named in [`Repaired::short`].
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
            bad_copies: BTreeMap::new(),
            lost: BTreeMap::new(),
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
            let repaired = self.still_lost(segment, pace).transpose();
            match repaired.unwrap_or_else(|| self.repair_segment(segment, &shards, pace)) {
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

    /// Units of a segment that were tried before and that nobody can bring back now either; `None` where a repair may bring
    /// back any of what waits. This reads their stripes alone, so that what is lost costs little for as long as it waits.
    fn still_lost(&self, id: SegmentId, pace: &dyn Pace) -> Result<Option<Repaired>> {
        let Some(units) = self.access.repairs.tried_units(id) else { return Ok(None) };
        let segment = self.segment(id)?;
        let Ok(table) = closed::table(&self.access, &segment) else { return Ok(None) };
        let (files, needed) = (ShardFiles::of(&segment), segment.identity.code.k());
        let mut repaired = Repaired::nothing(id);
        for (at, row) in table.stripes_at() {
            let here: Vec<u8> = units.iter().filter(|(_, of)| *of == at).map(|(shard, _)| *shard).collect();
            if here.is_empty() {
                continue;
            }
            let read_bytes = slot_len(row.payload_len, segment.identity.code) * segment.identity.code.shards() as u64;
            pace.spend(read_bytes)?;
            repaired.read_bytes += read_bytes;
            let stripe = files.load(at, row.payload_len, Extent::All);
            let (good, unseen) = (stripe.good_count(), stripe.unseen_count());
            if good >= needed || here.iter().any(|shard| stripe.defects().iter().all(|(no, _)| no != shard)) {
                return Ok(None);
            }
            let (good, unseen, needed) = (shard_no(good), shard_no(unseen), shard_no(needed));
            let defect = match good + unseen >= needed {
                true => Defect::StripeOutOfSight { good, unseen, needed },
                false => Defect::StripeLost { good, needed },
            };
            let named =
                here.into_iter().map(|no| Finding::new(Place::segment(id).shard(no, None).at(at), defect.clone()));
            repaired.short.extend(named);
        }
        Ok((repaired.short.len() == units.len()).then_some(repaired))
    }

    /// Takes what was repaired out of the queue, and lets the rest wait.
    fn settle(&self, repaired: &Repaired, shards: &[u8]) {
        for shard in shards {
            let short: Vec<&Finding> =
                repaired.short.iter().filter(|finding| finding.place.shard == Some(*shard)).collect();
            let Some(first) = short.first() else {
                self.access.repairs.done(repaired.segment, *shard);
                continue;
            };
            if repaired.rebuilt.iter().any(|(rebuilt, _)| rebuilt == shard) {
                let lost: Vec<u64> = short.iter().filter_map(|finding| finding.place.offset).collect();
                self.access.repairs.narrow(repaired.segment, *shard, &lost);
            }
            self.access.repairs.set_back(repaired.segment, *shard, &first.to_string(), self.now_ms());
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

/// What becomes of a shard that was written, or only read, in a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// its file takes its place
    Publish,
    /// its file is given up, and another pass must try it
    Again,
    /// its file is given up: the shard is good, or nothing of it can be mended
    Leave,
}

/// One repair under way.
struct Repair<'a> {
    tier: &'a Tier,
    segment: &'a Segment,
    plan: &'a Blueprint,
    pace: &'a dyn Pace,
    /// volumes that failed to take a shard, and how the last of them failed
    refused: BTreeMap<usize, (BTreeSet<VolumeId>, Option<Error>)>,
    /// copies of shards of which none is good
    bad_copies: BTreeMap<usize, Vec<Arc<Mount>>>,
    /// shards that are written although some of their units are lost
    lost: BTreeMap<usize, LostUnits>,
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
        for (finding, item) in std::mem::take(&mut pass.met) {
            self.tier.queue_repairs([item]);
            self.done.met.push(finding);
        }
        if ran.is_err() {
            jobs.iter_mut().for_each(Job::discard);
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
                    jobs.for_each(|mut job| job.discard());
                    return Err(error);
                }
            }
        }
        Ok(again)
    }

    /// Of a shard with several copies the first good one is used, and nothing is written. Bad ones before it go: a later
    /// start could take one of them for the copy to use. Where none is good, the one that has the most is rebuilt from.
    fn use_good_copy(&mut self, shard: usize) -> Result<bool> {
        let copies = self.segment.copies_of(shard);
        let mut best: Option<(usize, Arc<Mount>)> = None;
        for (no, mount) in copies.iter().enumerate().filter(|_| copies.len() > 1) {
            let judged = copies::judge(self.segment, self.plan, shard, mount, self.pace)?;
            self.done.read_bytes += judged.read_bytes;
            match (judged.is_good(), no) {
                (true, 0) => self.done.sound.push(shard_no(shard)),
                (true, _) => {
                    self.tier.use_copy(self.segment, shard, mount)?;
                    copies[..no].iter().for_each(|bad| self.remove_bad(shard, bad));
                    self.done.rebuilt.push((shard_no(shard), mount.id()));
                }
                (false, _) => {
                    if best.as_ref().is_none_or(|(least, _)| judged.defects() < *least) {
                        best = Some((judged.defects(), mount.clone()));
                    }
                    continue;
                }
            }
            return Ok(true);
        }
        if let Some((_, best)) = best {
            self.tier.use_copy(self.segment, shard, &best)?;
            self.bad_copies.insert(shard, copies);
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

    /// Removes the copies that were found bad before a whole one was written: a later start could take one of them.
    fn remove_others(&mut self, shard: usize, whole: &Mount) {
        let bad = self.bad_copies.remove(&shard).unwrap_or_default();
        bad.iter().filter(|bad| bad.id() != whole.id()).for_each(|bad| self.remove_bad(shard, bad));
    }

    /// A job for every shard that has somewhere to go; the others are short.
    fn jobs(&mut self, wanted: &BTreeSet<usize>) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut promised: Vec<(usize, Arc<Mount>)> = Vec::new();
        for shard in wanted {
            match self.output(*shard, &promised) {
                Ok(output) => {
                    promised.push((*shard, output.mount().clone()));
                    let job = Job::new(*shard, self.segment.shard(*shard).is_some(), output);
                    jobs.push(Job { kept: self.lost.get(shard).cloned(), ..job });
                }
                Err(error) => {
                    self.done.unrepaired(*shard, &error);
                    self.name_lost(*shard);
                }
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

    /// Puts a rewritten shard in its place; false when another pass must try it.
    fn end(&mut self, mut job: Job) -> Result<bool> {
        let (shard, target, is_whole) = (job.shard, job.target.clone(), job.lost.is_empty());
        if job.output.is_ok() {
            let next = self.judge(&job);
            if next != Next::Publish {
                job.discard();
                return Ok(next == Next::Leave);
            }
            self.done.written_bytes += self.plan.file_len() - self.plan.gap().start;
        }
        match job.finish(self.plan, self.pace)? {
            Ok(reread) => {
                self.done.reread_bytes += reread;
                self.tier.use_copy(self.segment, shard, &target)?;
                self.done.rebuilt.push((shard_no(shard), target.id()));
                match is_whole {
                    true => self.remove_others(shard, &target),
                    false => self.name_lost(shard),
                }
                Ok(true)
            }
            Err(error) => {
                self.refuse(shard, target.id(), error);
                Ok(false)
            }
        }
    }

    /// What becomes of a job whose stripes were all read.
    fn judge(&mut self, job: &Job) -> Next {
        if job.sound {
            self.done.sound.push(shard_no(job.shard));
            return Next::Leave;
        }
        if job.lost.is_empty() {
            return Next::Publish;
        }
        self.lost.insert(job.shard, job.lost.clone());
        if !job.gains() {
            self.name_lost(job.shard);
            return Next::Leave;
        }
        let is_own = self.segment.shard(job.shard).is_some_and(|own| own.id() == job.target.id());
        match (&job.kept, is_own && !job.may_replace()) {
            (None, _) => Next::Again,
            (Some(_), true) => {
                self.spare_own(job.shard);
                Next::Again
            }
            (Some(_), false) => Next::Publish,
        }
    }

    /// Copies of a shard that stay as they are: what is there and cannot be read now may be some day.
    fn spare_own(&mut self, shard: usize) {
        let why = "a unit of it is lost and cannot be read there, and another try at it is not given up".to_owned();
        let (refused, last) = self.refused.entry(shard).or_default();
        refused.extend(self.segment.copies_of(shard).iter().map(|mount| mount.id()));
        *last = Some(Error::Placement { wanted: 1, offered: 0, why });
    }

    /// Names the units of a shard that are lost.
    fn name_lost(&mut self, shard: usize) {
        let lost = self.lost.get(&shard).into_iter().flat_map(BTreeMap::values);
        self.done.short.extend(lost.map(|lost| lost.finding.clone()));
    }
}
