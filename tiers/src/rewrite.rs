//! Rewriting: one pass through the shards of a closed segment that writes some of them anew. Repair and copy-forward are
//! both made of it.
//!
//! Invariants
//! - Every shard is read at most once, from its start to its end, past the cache. Only as many shards are read as are needed:
//!   a copy of a good shard reads that one, a rebuild reads k. Spare copies are read where those in use leave too little.
//! - Every unit is verified by digest before it is used, and a rebuilt one before it is written. Parity never judges.
//! - What is written is right, unit by unit. A stripe with too few good units ends the writing, not the reading, so that
//!   everything that is lost is named; only a pass that was told of it writes on, and leaves the lost unit as it was found.
//! - A window is read while the last one is written. Memory is bounded by one stripe, or a mebibyte of each shard where that is
//!   more, and as much again of each that is written.

use crate::access::Access;
use crate::blueprint::{Blueprint, Window};
use crate::bug::{self, Bug};
use crate::finding::{Defect, Finding, Place};
use crate::job::{Job, Left, Lost};
use crate::load::ShardFiles;
use crate::pace::Pace;
use crate::queue::RepairItem;
use crate::segment::shard_no;
use crate::stripe::{HEADER_LEN, UnitHeader};
use crate::tier::Threads;
use crate::unit::{Unit, read_units, slot};
use crate::{AlignedBuf, Error, Result, gap};
use std::ops::Range;

/// Windows of at least this many bytes are read from several shards at the same time.
const TOGETHER_BYTES_MIN: usize = 256 * 1024;

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
    /// the first damage met on each shard that is not written anew
    pub met: Vec<(Finding, RepairItem)>,
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
        Rewrite { access, plan, files, pace, buffers, read_bytes: 0, written_bytes: 0, met: Vec::new() }
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
        for job in jobs.iter_mut().filter(|job| job.writes()) {
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
                if judged[index].good[shard] || unit.defect(shard, header).is_some() {
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
                let Some(defect) = unit.defect(shard, judged.header.as_ref()) else { continue };
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
        let unit_of = |job: &Job| units[job.shard].as_ref().map(|units| &units[index]);
        let is_clean =
            |job: &Job| unit_of(job).is_some_and(|unit| unit.defect(job.shard, judged.header.as_ref()).is_none());
        let mut unclean: Vec<&mut Job> = jobs.iter_mut().filter(|job| !is_clean(job)).collect();
        unclean.iter_mut().for_each(|job| job.bad_units += 1);
        let (mut mended, bad): (Vec<_>, Vec<_>) = unclean.into_iter().partition(|job| judged.good[job.shard]);
        let slot = slot(self.plan, window, no);
        if bad.is_empty() || judged.header.is_some() && judged.good_count() >= self.plan.identity.code.k() {
            let shards: Vec<usize> = bad.iter().map(|job| job.shard).collect();
            self.rebuild(window, &judged, &slot, &shards)?;
            mended.extend(bad);
        } else {
            let defect = self.why_lost(no, &judged);
            for job in bad {
                self.buffers[job.shard].resize(window.len);
                let bytes = &self.buffers[job.shard][slot.clone()];
                let left = Left::of(unit_of(job), || self.plan.identity.suite.digest(&[bytes]));
                self.lose(no, &slot, left, defect.clone(), job);
            }
        }
        let Some(header) = &judged.header else { return Ok(()) };
        let (common, digest) = header.stripe.encode();
        for job in mended {
            let bytes = &mut self.buffers[job.shard][slot.clone()];
            let (expected, found) =
                (header.stripe.units[job.shard], self.plan.identity.suite.digest(&[&bytes[HEADER_LEN..]]));
            header.stripe.write_unit_header(&common, digest, shard_no(job.shard), bytes);
            if expected != found {
                self.lose(no, &slot, Left::Unread, Defect::UnitDamaged { expected, found }, job);
            }
        }
        Ok(())
    }

    /// Decodes the units of `shards` from the good ones.
    fn rebuild(&mut self, window: &Window, judged: &Judged, slot: &Range<usize>, shards: &[usize]) -> Result<()> {
        if shards.is_empty() {
            return Ok(());
        }
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

    /// Why units of a stripe cannot be brought back. What nobody could look at may be good all the same, so such a stripe is
    /// not called lost.
    fn why_lost(&self, no: usize, judged: &Judged) -> Defect {
        let code = self.plan.identity.code;
        let (good, needed) = (shard_no(judged.good_count()), shard_no(code.k()));
        let at = self.plan.stripe(no).start;
        let unseen = (0..code.shards()).filter(|shard| !judged.good[*shard] && self.is_unseen(*shard, at)).count();
        match judged.good_count() + unseen >= code.k() {
            true => Defect::StripeOutOfSight { good, unseen: shard_no(unseen), needed },
            false => Defect::StripeLost { good, needed },
        }
    }

    /// Whether nobody can look at a unit now, or could when its shard was written anew.
    fn is_unseen(&self, shard: usize, at: u64) -> bool {
        let mut bytes = AlignedBuf::default();
        match self.files.read(shard, at, crate::layout::BLOCK_BYTES, &mut bytes) {
            Ok(()) => gap::is_at(&bytes, self.plan.identity, shard, at),
            Err(defect) => defect.is_unseen(),
        }
    }

    /// Notes that a unit of a job cannot be brought back, and leaves in its place what its own copy has there, or a gap.
    fn lose(&mut self, no: usize, slot: &Range<usize>, left: Left, defect: Defect, job: &mut Job) {
        let (identity, at) = (self.plan.identity, self.plan.stripe(no).start);
        let bytes = &mut self.buffers[job.shard][slot.clone()];
        if !matches!(left, Left::Bytes(_)) {
            gap::fill(identity, job.shard, at, bytes);
        }
        let place = Place::segment(identity.id).shard(shard_no(job.shard), None).at(at);
        let written = identity.suite.digest(&[bytes]);
        job.lost.insert(no, Lost { finding: Finding::new(place, defect), left, written });
    }
}
