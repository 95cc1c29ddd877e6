//! Rewriting: one pass through the shards of a closed segment that writes some of them anew. Repair and copy-forward are
//! both made of it.
//!
//! Invariants
//! - Every shard is read at most once, from its start to its end, past the cache. Only as many shards are read as are needed:
//!   a copy of a good shard reads that one, a rebuild reads k. Spare copies are read where those in use leave too little.
//! - Every unit is verified by digest before it is used, and a rebuilt one before it is written. Parity never judges.
//! - What is written is whole and right, or nothing: a stripe with too few good units ends the writing, not the reading,
//!   so that everything that is short is named.
//! - Memory is bounded by one stripe, or a mebibyte of each shard where that is more.

use crate::access::Access;
use crate::blueprint::{Blueprint, Window};
use crate::bug::{self, Bug};
use crate::finding::{Defect, Finding, Place};
use crate::load::ShardFiles;
use crate::mount::Mount;
use crate::new_shard::{NewShard, Trouble};
use crate::pace::Pace;
use crate::queue::RepairItem;
use crate::segment::{Segment, shard_no};
use crate::stripe::{HEADER_LEN, UnitHeader};
use crate::tier::Threads;
use crate::{AlignedBuf, Error, Result};
use shosoin_protocol::Digest;
use std::ops::Range;
use std::sync::Arc;

/// Windows of at least this many bytes are read from several shards at the same time.
const TOGETHER_BYTES_MIN: usize = 256 * 1024;

/// One shard that is written anew.
pub struct Job {
    /// which shard
    pub shard: usize,
    /// whether a copy of it is there to be read
    pub own: bool,
    /// the volume it is written to
    pub target: Arc<Mount>,
    /// what is written there, until that fails
    pub output: Result<NewShard, Error>,
    /// units, and a footer, that were not good in its own copy
    pub bad_units: u64,
    /// whether its own copy is good from its first to its last byte
    pub sound: bool,
    /// whether a unit of it can be brought back by nobody
    pub short: bool,
}

impl Job {
    /// Nothing read or written yet.
    pub fn new(shard: usize, own: bool, output: NewShard) -> Self {
        let target = output.mount().clone();
        Job { shard, own, target, output: Ok(output), bad_units: 0, sound: false, short: false }
    }
}

/// One pass, and what it met.
pub struct Rewrite<'a> {
    access: &'a Access,
    plan: &'a Blueprint,
    files: &'a ShardFiles,
    pace: &'a dyn Pace,
    buffers: Vec<AlignedBuf>,
    /// bytes read from shards
    pub read_bytes: u64,
    /// bytes written
    pub written_bytes: u64,
    /// units that cannot be brought back
    pub short: Vec<Finding>,
    /// the first damage met on each shard that is not written anew
    pub met: Vec<(Finding, RepairItem)>,
}

/// What is known of one unit that was read.
struct Unit {
    header: Result<UnitHeader, Defect>,
    /// digest of its bytes; `None` where they could not be read
    digest: Option<Digest>,
}

/// One stripe, as far as it was read.
struct Judged {
    header: Option<UnitHeader>,
    good: Vec<bool>,
}

impl Judged {
    fn good_count(&self) -> usize {
        self.good.iter().filter(|good| **good).count()
    }
}

impl<'a> Rewrite<'a> {
    /// Nothing read yet.
    pub fn new(access: &'a Access, plan: &'a Blueprint, files: &'a ShardFiles, pace: &'a dyn Pace) -> Self {
        let buffers = (0..plan.identity.code.shards()).map(|_| AlignedBuf::default()).collect();
        Rewrite {
            access,
            plan,
            files,
            pace,
            buffers,
            read_bytes: 0,
            written_bytes: 0,
            short: Vec::new(),
            met: Vec::new(),
        }
    }

    /// Writes every job's stripes. Footers are the business of [`NewShard::finish`].
    pub fn run(&mut self, jobs: &mut [Job]) -> Result<()> {
        for window in self.plan.windows() {
            if jobs.iter().all(|job| job.output.is_err()) {
                return Ok(());
            }
            self.window(&window, jobs)?;
        }
        for job in jobs.iter_mut().filter(|job| job.own) {
            self.pace.spend(self.plan.footer_len())?;
            self.read_bytes += self.plan.footer_len();
            job.bad_units += u64::from(self.plan.judge_footer(self.files, job.shard).is_err());
            job.sound = job.bad_units == 0;
        }
        Ok(())
    }

    fn window(&mut self, window: &Window, jobs: &mut [Job]) -> Result<()> {
        let mut units: Vec<Option<Vec<Unit>>> = (0..self.buffers.len()).map(|_| None).collect();
        let own: Vec<usize> = jobs.iter().filter(|job| job.own).map(|job| job.shard).collect();
        self.load(window, &own, &mut units)?;
        loop {
            let wanted = self.wanted(window, &units, jobs);
            let unread = |shard: &usize| units[*shard].is_none() && jobs.iter().all(|job| job.shard != *shard);
            let present = |shard: &usize| self.files.get(*shard).is_ok();
            let next: Vec<usize> = (0..units.len()).filter(unread).filter(present).take(wanted).collect();
            if next.is_empty() {
                break;
            }
            self.load(window, &next, &mut units)?;
        }
        self.note_met(window, &units, jobs);
        self.ask_spares(window, &mut units, jobs)?;
        for index in 0..window.stripes.len() {
            self.stripe(window, index, &units, jobs)?;
        }
        for job in jobs.iter_mut().filter(|job| !job.short) {
            let Ok(output) = &mut job.output else { continue };
            self.pace.spend(window.len as u64)?;
            let buffer = &mut self.buffers[job.shard];
            buffer.resize(window.len);
            match output.write(std::mem::take(buffer)) {
                Ok(bytes) => {
                    *buffer = bytes;
                    self.written_bytes += window.len as u64;
                }
                Err(error) => {
                    output.discard();
                    job.output = Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes units that no copy in use has from spare ones.
    fn ask_spares(&mut self, window: &Window, units: &mut [Option<Vec<Unit>>], jobs: &mut [Job]) -> Result<()> {
        for (shard, files) in self.files.spares() {
            if self.wanted(window, units, jobs) == 0 {
                break;
            }
            self.pace.spend(window.len as u64)?;
            let mut buffer = AlignedBuf::default();
            let (read_bytes, found) = read_units(self.plan, &files, window, shard, &mut buffer);
            self.read_bytes += read_bytes;
            let judged: Vec<Judged> = (0..found.len()).map(|index| self.judge(window, index, units)).collect();
            let Some(used) = &mut units[shard] else {
                (units[shard], self.buffers[shard]) = (Some(found), buffer);
                continue;
            };
            let own = jobs.iter_mut().find(|job| job.shard == shard);
            let mut bad_units = 0;
            for (index, unit) in found.into_iter().enumerate() {
                let header = judged[index].header.as_ref().or(unit.header.as_ref().ok());
                if judged[index].good[shard] || defect(&unit, shard, header).is_some() {
                    continue;
                }
                let slot = slot(self.plan, window, window.stripes.start + index);
                self.buffers[shard][slot.clone()].copy_from_slice(&buffer[slot]);
                used[index] = unit;
                bad_units += 1;
            }
            own.into_iter().for_each(|job| job.bad_units += bad_units);
        }
        Ok(())
    }

    /// How many more shards must be read so that every stripe of the window can be had.
    fn wanted(&self, window: &Window, units: &[Option<Vec<Unit>>], jobs: &[Job]) -> usize {
        let k = self.plan.identity.code.k();
        let of_stripe = |index: usize| {
            let judged = self.judge(window, index, units);
            match &judged.header {
                Some(_) if jobs.iter().all(|job| judged.good[job.shard]) => 0,
                Some(_) => k.saturating_sub(judged.good_count()),
                None => k.saturating_sub(units.iter().flatten().count()).max(1),
            }
        };
        (0..window.stripes.len()).map(of_stripe).max().unwrap_or(0)
    }

    /// Reads the window from `shards`, at the same time where that is worth a thread.
    fn load(&mut self, window: &Window, shards: &[usize], units: &mut [Option<Vec<Unit>>]) -> Result<()> {
        for _ in shards {
            self.pace.spend(window.len as u64)?;
        }
        let (plan, files) = (self.plan, self.files);
        let buffers = self.buffers.iter_mut().enumerate().filter(|(shard, _)| shards.contains(shard));
        let read = move |shard: usize, buffer: &mut AlignedBuf| read_units(plan, files, window, shard, buffer);
        let alone = shards.len() < 2 || window.len < TOGETHER_BYTES_MIN || self.access.threads == Threads::None;
        let found: Vec<(usize, (u64, Vec<Unit>))> = match alone {
            true => buffers.map(|(shard, buffer)| (shard, read(shard, buffer))).collect(),
            false => std::thread::scope(|scope| {
                let reading: Vec<_> =
                    buffers.map(|(shard, buffer)| (shard, scope.spawn(move || read(shard, buffer)))).collect();
                let joined = reading.into_iter().map(|(shard, thread)| Some((shard, thread.join().ok()?)));
                joined.collect::<Option<Vec<_>>>()
            })
            .ok_or(Error::Abandoned { what: "reading a shard" })?,
        };
        for (shard, (bytes, found)) in found {
            self.read_bytes += bytes;
            units[shard] = Some(found);
        }
        Ok(())
    }

    /// What is known of one stripe of the window.
    fn judge(&self, window: &Window, index: usize, units: &[Option<Vec<Unit>>]) -> Judged {
        let of_stripe = |unit: &'_ Option<Vec<Unit>>| unit.as_ref().map(|units| &units[index]).map(|unit| unit.digest);
        let headers = units.iter().flatten().filter_map(|units| units[index].header.as_ref().ok());
        let header = headers.into_iter().next().cloned();
        debug_assert!(window.stripes.len() > index, "a stripe of this window");
        let good = units.iter().enumerate().map(|(shard, unit)| match (&header, of_stripe(unit)) {
            (Some(_), Some(Some(_))) if bug::is(Bug::RepairTrustsUnverified) => true,
            (Some(header), Some(Some(digest))) => header.stripe.units[shard] == digest,
            _ => false,
        });
        Judged { good: good.collect(), header }
    }

    /// Notes the first damage on each shard that is only read.
    fn note_met(&mut self, window: &Window, units: &[Option<Vec<Unit>>], jobs: &[Job]) {
        let Blueprint { identity, .. } = self.plan;
        for (index, no) in window.stripes.clone().enumerate() {
            let judged = self.judge(window, index, units);
            for (shard, read) in units.iter().enumerate() {
                let Some(unit) = read.as_ref().map(|units| &units[index]) else { continue };
                let Some(defect) = defect(unit, shard, judged.header.as_ref()) else { continue };
                let known = self.met.iter().any(|(_, item)| usize::from(item.shard) == shard);
                if known || jobs.iter().any(|job| job.shard == shard) {
                    continue;
                }
                let at = self.plan.stripe(no).start;
                let left = identity.code.m().saturating_sub(self.met.len() + jobs.len() + 1);
                let item = RepairItem {
                    redundancy_left: shard_no(left),
                    segment: identity.id,
                    shard: shard_no(shard),
                    stripe_at: Some(at),
                };
                let place = Place::segment(identity.id).shard(shard_no(shard), None).at(at);
                self.met.push((Finding::new(place, defect), item));
            }
        }
    }

    /// Makes the units of every job right in its buffer, header included, or says which cannot be.
    fn stripe(&mut self, window: &Window, index: usize, units: &[Option<Vec<Unit>>], jobs: &mut [Job]) -> Result<()> {
        let judged = self.judge(window, index, units);
        let no = window.stripes.start + index;
        let clean = |job: &Job| {
            let unit = units[job.shard].as_ref().map(|units| &units[index]);
            unit.is_some_and(|unit| defect(unit, job.shard, judged.header.as_ref()).is_none())
        };
        let unclean: Vec<usize> = (0..jobs.len()).filter(|job| !clean(&jobs[*job])).collect();
        if unclean.is_empty() {
            return Ok(());
        }
        unclean.iter().for_each(|job| jobs[*job].bad_units += 1);
        let lost: Vec<usize> = unclean.iter().copied().filter(|job| !judged.good[jobs[*job].shard]).collect();
        let needed = self.plan.identity.code.k();
        let Some(header) = judged.header.as_ref().filter(|_| lost.is_empty() || judged.good_count() >= needed) else {
            self.give_up(no, &judged, &lost, jobs);
            return Ok(());
        };
        let slot = slot(self.plan, window, no);
        if !lost.is_empty() {
            let shards: Vec<usize> = lost.iter().map(|job| jobs[*job].shard).collect();
            self.rebuild(window, &judged, &slot, &shards)?;
        }
        let (common, digest) = header.stripe.encode();
        for job in unclean {
            let shard = jobs[job].shard;
            let bytes = &mut self.buffers[shard][slot.clone()];
            let (expected, found) =
                (header.stripe.units[shard], self.plan.identity.suite.digest(&[&bytes[HEADER_LEN..]]));
            header.stripe.write_unit_header(&common, digest, shard_no(shard), bytes);
            if expected != found {
                self.fall_short(no, Defect::UnitDamaged { expected, found }, &mut jobs[job]);
            }
        }
        Ok(())
    }

    /// Decodes the units of `shards` from the good ones.
    fn rebuild(&mut self, window: &Window, judged: &Judged, slot: &Range<usize>, shards: &[usize]) -> Result<()> {
        let code = self.plan.identity.code;
        let erasure = self.access.erasure(code)?;
        self.buffers.iter_mut().for_each(|buffer| buffer.resize(window.len));
        let units = self.buffers.iter_mut().map(|buffer| &mut buffer[slot.clone()][HEADER_LEN..]);
        let mut slots: Vec<(&mut [u8], bool)> = units.zip(judged.good.iter().copied()).collect();
        match shards.iter().all(|shard| *shard < code.k()) {
            true => erasure.rebuild_data(&mut slots),
            false => erasure.rebuild(&mut slots),
        }
    }

    /// Names the units of a stripe that cannot be brought back. What nobody could look at may be good all the same, so
    /// such a stripe is not called lost.
    fn give_up(&mut self, no: usize, judged: &Judged, lost: &[usize], jobs: &mut [Job]) {
        let code = self.plan.identity.code;
        let (good, needed) = (shard_no(judged.good_count()), shard_no(code.k()));
        let at = self.plan.stripe(no).start;
        let unseen = (0..code.shards()).filter(|shard| self.is_unseen(*shard, at)).count();
        let defect = match judged.good_count() + unseen >= code.k() {
            true => Defect::StripeOutOfSight { good, unseen: shard_no(unseen), needed },
            false => Defect::StripeLost { good, needed },
        };
        for job in lost {
            self.fall_short(no, defect.clone(), &mut jobs[*job]);
        }
    }

    /// Whether nobody can look at a unit now.
    fn is_unseen(&self, shard: usize, at: u64) -> bool {
        let mut bytes = AlignedBuf::default();
        self.files.read(shard, at, crate::layout::BLOCK_BYTES, &mut bytes).is_err_and(|defect| defect.is_unseen())
    }

    fn fall_short(&mut self, no: usize, defect: Defect, job: &mut Job) {
        let place = Place::segment(self.plan.identity.id).shard(shard_no(job.shard), None);
        self.short.push(Finding::new(place.at(self.plan.stripe(no).start), defect));
        job.short = true;
    }
}

/// Where a stripe lies in the buffers of a window.
fn slot(plan: &Blueprint, window: &Window, no: usize) -> Range<usize> {
    let range = plan.stripe(no);
    let in_window = |at: u64| usize::try_from(at - window.at).unwrap_or(usize::MAX);
    in_window(range.start)..in_window(range.end)
}

/// What is wrong with one unit, or the header before it.
fn defect(unit: &Unit, shard: usize, header: Option<&UnitHeader>) -> Option<Defect> {
    let own = unit.header.as_ref().err();
    match (own, header, unit.digest) {
        (Some(defect), ..) => Some(defect.clone()),
        (None, Some(header), Some(found)) => {
            let expected = header.stripe.units[shard];
            (expected != found).then_some(Defect::UnitDamaged { expected, found })
        }
        _ => Some(Defect::HeaderDamaged { why: "no shard has a good one".into() }),
    }
}

/// Reads the window of one shard, and each stripe of it alone where the whole cannot be read. Gives the bytes read.
fn read_units(
    plan: &Blueprint,
    files: &ShardFiles,
    window: &Window,
    shard: usize,
    buffer: &mut AlignedBuf,
) -> (u64, Vec<Unit>) {
    let whole = files.read(shard, window.at, window.len, buffer);
    let mut read_bytes = buffer.len() as u64;
    buffer.resize(window.len);
    let mut units = Vec::with_capacity(window.stripes.len());
    let mut alone = AlignedBuf::default();
    for no in window.stripes.clone() {
        let at = plan.stripe(no).start;
        let slot = &mut buffer[slot(plan, window, no)];
        if whole.is_err() && window.stripes.len() > 1 {
            let again = files.read(shard, at, slot.len(), &mut alone);
            read_bytes += alone.len() as u64;
            if let Err(defect) = again {
                units.push(Unit { header: Err(defect), digest: None });
                continue;
            }
            slot.copy_from_slice(&alone);
        } else if let Err(defect) = &whole {
            units.push(Unit { header: Err(defect.clone()), digest: None });
            continue;
        }
        let digest = plan.identity.suite.digest(&[&slot[HEADER_LEN..]]);
        units.push(Unit { header: plan.believe(slot, shard, no), digest: Some(digest) });
    }
    (read_bytes, units)
}

/// Ends a job whose stripes are all written: its file takes its place. Gives the bytes read back.
pub fn finish(output: NewShard, plan: &Blueprint, pace: &dyn Pace) -> Result<Result<u64, Error>> {
    match output.finish(plan, pace) {
        Ok(reread) => Ok(Ok(reread)),
        Err(Trouble::Target(error)) => Ok(Err(error)),
        Err(Trouble::Stop(error)) => Err(error),
    }
}

/// Whether one copy of a shard is good from its first to its last byte, and the bytes read to know. Reading ends at the first
/// damage.
pub fn is_good_on(
    segment: &Segment,
    plan: &Blueprint,
    shard: usize,
    mount: &Arc<Mount>,
    pace: &dyn Pace,
) -> Result<(bool, u64)> {
    let files = ShardFiles::alone(segment.identity, shard, mount);
    let (mut buffer, mut read_bytes) = (AlignedBuf::default(), 0);
    for window in plan.windows() {
        pace.spend(window.len as u64)?;
        let (read, units) = read_units(plan, &files, &window, shard, &mut buffer);
        read_bytes += read;
        let bad = |unit: &Unit| defect(unit, shard, unit.header.as_ref().ok()).is_some();
        if units.iter().any(bad) {
            return Ok((false, read_bytes));
        }
    }
    pace.spend(plan.footer_len())?;
    Ok((plan.judge_footer(&files, shard).is_ok(), read_bytes + plan.footer_len()))
}
