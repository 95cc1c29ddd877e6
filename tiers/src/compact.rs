//! Compaction: write the records of a segment that are still live anew, read them back, and only then remove the segment.
//!
//! Invariants
//! - A record is read and verified, appended to the hospital's open segment, and read back past the cache from there, before
//!   its old place may go. What cannot be read is an error, and everything stays.
//! - A segment with a stripe that nobody can list is never removed: what lies there may matter, and may come back.
//! - Only a compaction that was completed lets its segment be removed; nothing else makes that proof.
//! - A removed segment stays removed: every volume lists it before its first shard goes (`removed`), and what a volume that
//!   comes back still has of it is not taken up again.
//! - What is rewritten for each byte gained is bounded before anything is written.
//!
//! Not here: which records are live, and where the index points (the store).

use crate::access::Access;
use crate::closed;
use crate::copy_forward::remove_copy;
use crate::finding::{Defect, Finding, Place};
use crate::layout::{SEGMENTS, TEMPORARY, hospital_dir, parse_shard_name};
use crate::load::{Extent, ShardFiles};
use crate::mount::Mount;
use crate::pace::Pace;
use crate::read;
use crate::record::FRAME_LEN;
use crate::segment::Segment;
use crate::tier::{SegmentState, Walked};
use crate::{Error, Location, Record, Result, Tier};
use shosoin_protocol::{Address, HospitalId, RecordKind, SegmentId};
use std::sync::Arc;

/// Bytes of records that are read, appended and read back in one go.
const BATCH_BYTES: u64 = 8 << 20;

/// A record that has a new place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// what it is
    pub kind: RecordKind,
    /// its address
    pub address: Address,
    /// where it was
    pub from: Location,
    /// where it is too, verified
    pub to: Location,
}

/// What compacting a segment costs and gains, in bytes of payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gain {
    /// bytes of live records, which are written anew
    pub live_bytes: u64,
    /// bytes of the others, which are gained
    pub dead_bytes: u64,
}

impl Gain {
    /// Bytes rewritten for each byte gained; infinite where nothing is.
    pub fn amplification(&self) -> f64 {
        match (self.live_bytes, self.dead_bytes) {
            (0, _) => 0.0,
            (live, dead) => live as f64 / dead as f64,
        }
    }
}

/// A compaction that is complete and verified: the only thing that lets its segment be removed.
#[derive(Debug)]
pub struct Compacted {
    segment: Arc<Segment>,
    moved: Vec<Moved>,
    gain: Gain,
}

impl Compacted {
    /// The segment whose live records are elsewhere too.
    pub fn segment(&self) -> SegmentId {
        self.segment.identity.id
    }

    /// Whose records it holds.
    pub fn hospital(&self) -> HospitalId {
        self.segment.identity.hospital
    }

    /// Whether it is this very segment.
    pub(crate) fn is_of(&self, segment: &Arc<Segment>) -> bool {
        Arc::ptr_eq(&self.segment, segment)
    }

    /// Every live record, in order.
    pub fn moved(&self) -> &[Moved] {
        &self.moved
    }

    /// What it cost, and what removing the segment gains.
    pub fn gain(&self) -> Gain {
        self.gain
    }
}

impl Tier {
    /// What compacting a closed segment would cost and gain.
    pub fn compaction_gain(&self, segment: SegmentId, live: &mut dyn FnMut(&Walked) -> bool) -> Result<Gain> {
        let found = self.segment(segment)?;
        Ok(sort(&self.access, &found, live)?.1)
    }

    /// Writes the records of a closed segment that are `live` anew, through the hospital's open segment, and reads each of
    /// them back. The old ones stay until [`Tier::remove_segment`]. Refused where more than `amplification_max` bytes would be
    /// written for each byte gained; a segment of which a record must go whatever it costs is given no bound
    /// ([`f64::INFINITY`]).
    pub fn compact_segment(
        &self,
        segment: SegmentId,
        live: &mut dyn FnMut(&Walked) -> bool,
        amplification_max: f64,
        pace: &dyn Pace,
    ) -> Result<Compacted> {
        let found = self.segment(segment)?;
        let _working = self.access.begin_work(segment)?;
        let (records, gain) = sort(&self.access, &found, live)?;
        if gain.amplification() > amplification_max {
            return Err(Error::Dense { segment, live_bytes: gain.live_bytes, dead_bytes: gain.dead_bytes });
        }
        let mut moved = Vec::with_capacity(records.len());
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let (batch, left) = rest.split_at(batch_len(rest));
            self.rewrite(&found, batch, pace, &mut moved)?;
            rest = left;
        }
        Ok(Compacted { segment: found, moved, gain })
    }

    /// Reads, appends and reads back some records.
    fn rewrite(&self, from: &Segment, batch: &[Walked], pace: &dyn Pace, moved: &mut Vec<Moved>) -> Result<()> {
        let suite = from.identity.suite;
        let mut records = Vec::with_capacity(batch.len());
        for Walked { kind, address, location } in batch {
            pace.spend(location.len.into())?;
            let bytes = read::record(&self.access, from, suite, location, address)?;
            records.push(Record { kind: *kind, address: *address, bytes });
        }
        pace.spend(records.iter().map(|record| record.bytes.len() as u64).sum())?;
        let committed = self.append(from.identity.hospital, suite, &records)?;
        let placed = batch.iter().zip(committed.locations);
        let placed: Vec<Moved> = placed
            .map(|(walked, to)| Moved { kind: walked.kind, address: walked.address, from: walked.location, to })
            .collect();
        for stripe in placed.chunk_by(|a, b| (a.to.segment, a.to.stripe_at) == (b.to.segment, b.to.stripe_at)) {
            self.read_back(stripe, pace)?;
        }
        moved.extend(placed);
        Ok(())
    }

    /// Verifies records of one stripe where they are now, past the cache.
    fn read_back(&self, placed: &[Moved], pace: &dyn Pace) -> Result<()> {
        let Some(Moved { to, address, .. }) = placed.first() else { return Ok(()) };
        pace.spend(to.payload_len.into())?;
        let segment = self.segment(to.segment)?;
        let files = ShardFiles::open(segment.identity, &segment.shards());
        let mut stripe = files.load(to.stripe_at, to.payload_len, Extent::Data);
        self.access.queue(stripe.repairs(to.segment, to.stripe_at));
        let (good, needed) = (stripe.good_count(), segment.identity.code.k());
        if good < needed {
            let (segment, stripe_at) = (to.segment, to.stripe_at);
            return Err(Error::RecordUnreadable { address: *address, segment, stripe_at, good, needed });
        }
        stripe.rebuild(&*self.access.erasure(segment.identity.code)?)?;
        for Moved { address, to, .. } in placed {
            let bytes = stripe.payload(u64::from(to.at) + FRAME_LEN as u64..to.end());
            let elsewhere =
                |_| Error::RecordElsewhere { address: *address, segment: to.segment, stripe_at: to.stripe_at };
            segment.identity.suite.verify(address, &bytes).map_err(elsewhere)?;
        }
        Ok(())
    }

    /// Makes it durable that a compacted segment is removed, then removes every copy of every shard of it, and gives what
    /// could not be removed. Before this the caller switches its index to [`Compacted::moved`]. After an error no shard was
    /// touched; where it was a write that failed the segment counts as removed all the same. What stays behind goes with
    /// [`Tier::sweep`].
    pub fn remove_segment(&self, proof: Compacted) -> Result<Vec<Finding>> {
        let id = proof.segment();
        let _working = self.access.begin_work(id)?;
        let segment = self.removable(&proof)?;
        self.note_removed(id, segment.identity.code.m())?;
        let mut left = Vec::new();
        for (shard, mount) in segment.copies() {
            let removed = match mount.volume.takes_writes() && mount.answers() {
                true => remove_copy(&segment, shard.into(), &mount).is_ok(),
                false => false,
            };
            if !removed {
                left.push(Finding::new(Place::segment(id).shard(shard, Some(mount.id())), Defect::SegmentRemoved));
            }
            self.access.forget(id, shard.into());
            self.access.repairs.done(id, shard);
        }
        Ok(left)
    }

    /// Removes what removed segments and unfinished work left among the shards, and gives the number of files removed. A
    /// volume that cannot be listed or takes no writes is left for another time.
    pub fn sweep(&self, pace: &dyn Pace) -> Result<u64> {
        let mut swept = 0;
        for mount in self.mounts().into_iter().filter(|mount| mount.volume.takes_writes() && mount.answers()) {
            let media = mount.volume.media().clone();
            let Ok(folders) = mount.call("a listing", move || media.list(SEGMENTS)) else { continue };
            for hospital in folders.iter().filter_map(|folder| folder.name.parse().ok()) {
                swept += self.sweep_folder(&mount, &hospital_dir(hospital), pace)?;
            }
        }
        Ok(swept)
    }

    fn sweep_folder(&self, mount: &Mount, dir: &str, pace: &dyn Pace) -> Result<u64> {
        let (media, folder) = (mount.volume.media().clone(), dir.to_owned());
        let mut swept = 0;
        for file in mount.call("a listing", move || media.list(&folder)).unwrap_or_default() {
            let temporary = file.name.strip_suffix(TEMPORARY);
            let Some((segment, _)) = parse_shard_name(temporary.unwrap_or(&file.name)) else { continue };
            if temporary.is_none() && !self.access.removed.read().contains(&segment) {
                continue;
            }
            let Ok(_working) = self.access.begin_work(segment) else { continue }; // it may be one that is being written
            pace.spend(0)?;
            let (media, folder) = (mount.volume.media().clone(), dir.to_owned());
            let removed = mount.change("a removal", move || {
                media.remove(&format!("{folder}/{}", file.name)).and_then(|()| media.sync_dir(&folder))
            });
            swept += u64::from(removed.is_ok());
        }
        Ok(swept)
    }
}

/// The live records of a segment, in order, and what moving them costs and gains.
fn sort(access: &Access, segment: &Segment, live: &mut dyn FnMut(&Walked) -> bool) -> Result<(Vec<Walked>, Gain)> {
    let id = segment.identity.id;
    if segment.state() != SegmentState::Closed {
        return Err(Error::SegmentUnclosed { segment: id, why: "only closed ones are compacted" });
    }
    let unreadable = |why: String| Error::SegmentUnreadable { segment: id, why };
    let table = closed::table(access, segment).map_err(|defect| unreadable(defect.to_string()))?;
    if table.end() != segment.info().end || table.stripes().iter().any(|row| row.records == 0) {
        return Err(unreadable("a stripe of it is lost, and nobody knows what was in it".to_owned()));
    }
    let (mut records, mut live_bytes) = (Vec::new(), 0);
    for walked in table.walk(id, 0) {
        let walked = walked.map_err(|error| unreadable(error.to_string()))?;
        if live(&walked) {
            live_bytes += FRAME_LEN as u64 + u64::from(walked.location.len);
            records.push(walked);
        }
    }
    Ok((records, Gain { live_bytes, dead_bytes: table.payload_bytes() - live_bytes }))
}

/// How many of `records` go together: at least one.
fn batch_len(records: &[Walked]) -> usize {
    let mut bytes = 0;
    let fits = |walked: &&Walked| {
        bytes += FRAME_LEN as u64 + u64::from(walked.location.len);
        bytes <= BATCH_BYTES
    };
    records.iter().take_while(fits).count().max(1)
}
