//! Tier: the volumes of one media class under one code, and every segment on them. The front type of this crate.

use crate::access::Access;
use crate::catalogue::Found;
use crate::finding::{Defect, Place};
use crate::footer::SEGMENT_RECORDS_MAX;
use crate::lane::Progress;
use crate::media::WriteMode;
use crate::mount::Mount;
use crate::placement::{Candidate, Request};
use crate::pool::Pool;
use crate::prepare::Prepared;
use crate::recovery::Terms;
use crate::removed;
use crate::segment::{Identity, Segment};
use crate::volume::refuse_duplicates;
use crate::wait::{WAIT_MAX, Wait};
use crate::writer::{Writer, room_for};
use crate::{
    Clock, Code, Erasure, Error, Finding, Location, Random, Record, RepairItem, Result, Volume, catalogue, check,
    closed, placement, prepare, read, recovery,
};
use bytes::Bytes;
use lru::LruCache;
use parking_lot::{Mutex, RwLock};
use shosoin_protocol::receipt::Durable;
use shosoin_protocol::{Address, HospitalId, RecordKind, SegmentId, Suite, VolumeId};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Segments open for writing at the same time; each holds k + m descriptors and its table.
const OPEN_SEGMENTS_MAX: NonZeroUsize = NonZeroUsize::MIN.saturating_add(15);

/// Stripes whose memory is kept: one being written while another is prepared.
const STRIPE_BUFFERS_MAX: usize = 2;

/// How a tier is run.
#[derive(Debug, Clone)]
pub struct TierOptions {
    /// data and parity shards of new segments
    pub code: Code,
    /// bytes of payload after which a segment is closed and the next one begun
    pub segment_bytes_max: u64,
    /// whether placement may put shards on volumes that share a device, host or rack
    pub demo: bool,
    /// what runs beside the caller
    pub threads: Threads,
    /// the longest that a volume may take for one write, sync or large read
    pub wait_max: Duration,
    /// every volume that is not present has been declared lost by the operator: what waits for them is decided without them
    pub absence_is_final: bool,
}

/// What runs beside the caller of a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// one thread for each volume, and more while large records are written or read
    PerVolume,
    /// none: every call does its own work, so that one seed is one run
    None,
}

impl TierOptions {
    /// The defaults for `code`: segments of 1 GiB, no demo, a thread for each volume.
    pub fn new(code: Code) -> Self {
        TierOptions {
            code,
            segment_bytes_max: 1 << 30,
            demo: false,
            threads: Threads::PerVolume,
            wait_max: WAIT_MAX,
            absence_is_final: false,
        }
    }
}

/// What an append made durable.
#[derive(Debug, Clone)]
pub struct Committed {
    /// where each record lies, in the order given
    pub locations: Vec<Location>,
    /// how durable they are
    pub durable: Durable,
}

/// Whether a segment still grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SegmentState {
    /// Its writer may append to it.
    Open,
    /// It has a footer and never changes again.
    Closed,
    /// Its writer is gone and it could not be closed: shards are missing, or a stripe is lost. It is read as far as
    /// possible and never written to.
    Unreadable,
}

/// One segment, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// segment
    pub id: SegmentId,
    /// whose records it holds
    pub hospital: HospitalId,
    /// algorithm of its digests and addresses
    pub suite: Suite,
    /// its code
    pub code: Code,
    /// whether it still grows
    pub state: SegmentState,
    /// stripes
    pub stripes: u32,
    /// records
    pub records: u32,
    /// bytes of payload, frames included
    pub payload_bytes: u64,
    /// where the next stripe begins, or would; the end of a walk
    pub end: u64,
    /// when it was closed, by the clock of then
    pub closed_ms: Option<u64>,
    /// the volume each shard is on, by shard; `None` where no present volume has it
    pub shards: Vec<Option<VolumeId>>,
}

/// One record met by a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// what it is
    pub kind: RecordKind,
    /// suite digest of its bytes
    pub address: Address,
    /// where it is
    pub location: Location,
}

/// How a volume is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VolumeState {
    /// It takes new shards.
    Writable,
    /// It has no room for new shards.
    Full,
    /// Its medium takes no writes.
    ReadOnly,
    /// It gets no new shards, because what it holds moves elsewhere.
    Draining,
    /// Its folders could not be listed, so nobody knows all that is on it. What is known is read; nothing is written to it,
    /// and it never counts as empty.
    Unlisted,
    /// It does not answer, or its medium is not where it was. It is neither read nor written until it is there again.
    Away,
    /// A write or sync on it failed or took too long; it is read from and never written to again until it is opened anew.
    Suspect,
}

/// One volume, as `status` shows it.
#[derive(Debug, Clone)]
pub struct VolumeStatus {
    /// volume
    pub id: VolumeId,
    /// where it is
    pub place: String,
    /// how it is doing
    pub state: VolumeState,
    /// room left, in bytes; `None` when the medium does not say
    pub free_bytes: Option<u64>,
    /// room in all, in bytes; `None` when the medium does not say
    pub total_bytes: Option<u64>,
    /// whether writes bypass the page cache
    pub write_mode: WriteMode,
    /// shards on it
    pub shards: u32,
    /// failed reads since it was opened
    pub read_errors: u64,
    /// whether all that is on it is known: without that, `shards` is no more than a part
    pub listed: bool,
}

/// Counters since the tier was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TierCounters {
    /// stripes made durable
    pub stripes: u64,
    /// records made durable
    pub records: u64,
    /// syncs of shard files
    pub syncs: u64,
    /// reads that needed other units than the record's own
    pub rebuilt_reads: u64,
}

/// The volumes of one media class under one code, and every segment on them.
pub struct Tier {
    options: TierOptions,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    mounts: RwLock<Vec<Arc<Mount>>>,
    segments: RwLock<BTreeMap<SegmentId, Arc<Segment>>>,
    /// the open segment of each hospital and suite, least recently used first to be closed
    writers: Mutex<LruCache<(HospitalId, Suite), SharedSlot>>,
    erasure: Arc<Erasure>,
    pub(crate) access: Access,
    /// the highest generation that each volume's label was seen with
    pub(crate) generations: Mutex<BTreeMap<VolumeId, u64>>,
    /// volumes that were taken out of use while they owed an answer to a write
    left_behind: Mutex<Vec<(VolumeId, Arc<Progress>)>>,
    /// held while what is on a volume becomes known
    taking_in: Mutex<()>,
    pool: Pool,
    stripes: AtomicU64,
    records: AtomicU64,
    syncs: AtomicU64,
}

/// A label that cannot be written stays as it is, and the volume takes no other writes either.
fn heal_label(volume: &Volume) {
    if let Err(error) = volume.heal_label() {
        tracing::error!(volume = %volume.id(), %error, "a damaged label could not be written anew, the volume is suspect");
        volume.mark_suspect();
    }
}

fn is_unlisted(finding: &Finding) -> bool {
    matches!(finding.defect, Defect::VolumeUnlisted { .. })
}

/// A shard of a removed segment lies on a volume that was away.
fn left_over(segment: SegmentId, shard: u8, volume: VolumeId) -> Finding {
    Finding::new(Place::segment(segment).shard(shard, Some(volume)), Defect::SegmentRemoved)
}

type SharedSlot = Arc<Mutex<Slot>>;

/// Where the open segment of one hospital is, if there is one.
#[derive(Default)]
struct Slot {
    writer: Option<Writer>,
    /// whoever finds this asks for a new slot: this one was closed and is in no list any more
    retired: bool,
}

impl Tier {
    /// Opens `volumes`, finds their segments, and recovers and closes those whose writer did not. What was met on the
    /// way is returned; absent volumes are simply not given.
    pub fn open(
        volumes: Vec<Volume>,
        options: TierOptions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<(Tier, Vec<Finding>)> {
        refuse_duplicates(&volumes)?;
        volumes.iter().for_each(heal_label);
        let mut findings: Vec<Finding> = volumes.iter().flat_map(|volume| volume.findings().to_vec()).collect();
        let wait = Wait { max: options.wait_max, clock: clock.clone() };
        let mounts = volumes
            .into_iter()
            .map(|volume| Mount::start(volume, options.threads, wait.clone()).map(Arc::new))
            .collect::<Result<Vec<_>>>()?;
        let access = Access::new(options.threads);
        let (removed, unlisted) = removed::gather(&mounts);
        findings.extend(unlisted);
        access.removed.write().extend(removed);
        let (found, listed) = catalogue::list(&mounts);
        let all_listed = !listed.iter().any(is_unlisted);
        findings.extend(listed);
        let tier = Tier {
            erasure: access.erasure(options.code)?,
            options,
            clock,
            random,
            mounts: RwLock::new(mounts),
            segments: RwLock::default(),
            writers: Mutex::new(LruCache::new(OPEN_SEGMENTS_MAX)),
            access,
            generations: Mutex::default(),
            left_behind: Mutex::default(),
            taking_in: Mutex::default(),
            pool: Pool::new(STRIPE_BUFFERS_MAX),
            stripes: AtomicU64::new(0),
            records: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
        };
        tier.mounts().iter().for_each(|mount| drop(tier.meet_generation(&mount.volume)));
        for found in found {
            findings.extend(tier.admit(&found, all_listed)?);
        }
        tier.mounts().iter().for_each(|mount| mount.set_known());
        tier.tell_removed();
        Ok((tier, findings))
    }

    /// Puts a segment that was found on media into the catalogue, recovered and closed if its writer did not. Unless
    /// `all_listed`, what is missing of it may be on a volume that is there.
    fn admit(&self, found: &Found, all_listed: bool) -> Result<Vec<Finding>> {
        if self.access.removed.read().contains(&found.id) {
            return Ok(found.copies().map(|(shard, mount)| left_over(found.id, shard, mount.id())).collect());
        }
        let terms = Terms {
            code: self.options.code,
            now_ms: self.clock.now_ms(),
            absence_is_final: self.options.absence_is_final && all_listed,
        };
        let (segment, met) = recovery::open(&self.access, found, terms)?;
        if let Some(segment) = segment {
            let spares =
                found.spares().iter().filter(|(shard, _)| usize::from(*shard) < segment.identity.code.shards());
            spares.for_each(|(shard, mount)| segment.add_copy((*shard).into(), mount.clone()));
            self.segments.write().insert(segment.identity.id, Arc::new(segment));
        }
        Ok(met)
    }

    /// Takes a volume into use while the tier runs: its shards are found, and segments that could not be read or closed
    /// without them are looked at again. What was met is returned.
    pub fn attach(&self, volume: Volume) -> Result<Vec<Finding>> {
        if let Some(first) = self.mount(volume.id()) {
            let (first, second) = (first.volume.media().place(), volume.media().place());
            return Err(Error::VolumeDuplicate { id: volume.id(), first, second });
        }
        self.refuse_left_behind(&volume)?;
        let stale = self.meet_generation(&volume);
        heal_label(&volume);
        let mut findings = volume.findings().to_vec();
        let mount = Arc::new(Mount::start(volume, self.options.threads, self.wait())?);
        findings.extend(self.meet_removed(&mount));
        self.mounts.write().push(mount.clone());
        findings.extend(self.take_in(&mount, stale.is_some())?);
        findings.extend(stale);
        Ok(findings)
    }

    /// Lists a volume in use and takes in what is on it and is not known. Only when that has worked all of it is.
    pub(crate) fn take_in(&self, mount: &Arc<Mount>, is_stale: bool) -> Result<Vec<Finding>> {
        let _one_at_a_time = self.taking_in.lock();
        if mount.is_known() {
            return Ok(Vec::new());
        }
        let (found, mut findings) = catalogue::list(std::slice::from_ref(mount));
        let is_listed = !findings.iter().any(is_unlisted);
        let mut undecided = BTreeSet::new();
        for found in found {
            match self.segment(found.id) {
                Ok(segment) if segment.state() == SegmentState::Closed => {
                    let shards = found.shards(segment.identity.code).into_iter().enumerate();
                    let copies = shards.filter_map(|(shard, copy)| Some((shard, copy?)));
                    let is_new = |(no, _): &(usize, Arc<Mount>)| {
                        segment.copies_of(*no).iter().all(|known| known.id() != mount.id())
                    };
                    let copies = copies.filter(is_new);
                    findings.extend(copies.filter_map(|(no, copy)| self.take_back(&segment, no, copy, is_stale)));
                }
                Ok(segment) if segment.state() == SegmentState::Open => {}
                _ => drop(undecided.insert(found.id)),
            }
        }
        mount.volume.set_unlisted(!is_listed);
        if !undecided.is_empty() {
            let (found, listed) = catalogue::list(&self.mounts());
            let unlisted: Vec<Finding> = listed.into_iter().filter(is_unlisted).collect();
            for found in found.iter().filter(|found| undecided.contains(&found.id)) {
                findings.extend(self.admit(found, unlisted.is_empty())?);
            }
            findings.extend(unlisted);
        }
        if is_listed {
            mount.set_known();
        }
        Ok(findings)
    }

    /// A write that a volume still owes an answer to could reach it at any time: until it has, it is not taken back.
    fn refuse_left_behind(&self, volume: &Volume) -> Result<()> {
        let mut left_behind = self.left_behind.lock();
        left_behind.retain(|(_, progress)| progress.is_stuck());
        match left_behind.iter().any(|(id, _)| *id == volume.id()) {
            true => Err(Error::VolumeBusy { place: volume.media().place() }),
            false => Ok(()),
        }
    }

    /// Takes a volume out of use: it is neither read nor written from now on, and what it holds counts as missing. Writers
    /// that have shards on it close their segments first, so that their footers are on it too.
    pub fn detach(&self, volume: VolumeId) -> Result<()> {
        let mount = self.mount(volume).ok_or(Error::VolumeUnknown { volume })?;
        mount.set_draining(true);
        self.close_writers_on(volume);
        self.mounts.write().retain(|mount| mount.id() != volume);
        self.meet_generation(&mount.volume);
        if mount.lane.progress().is_stuck() {
            self.left_behind.lock().push((volume, mount.lane.progress()));
        }
        for segment in self.catalogue() {
            for shard in 0..segment.identity.code.shards() {
                segment.forget_copy(shard, volume);
                self.access.forget(segment.identity.id, shard);
            }
        }
        Ok(())
    }

    /// Stops or allows new shards on a volume.
    pub fn set_draining(&self, volume: VolumeId, draining: bool) -> Result<()> {
        let mount = self.mount(volume).ok_or(Error::VolumeUnknown { volume })?;
        mount.set_draining(draining);
        if draining {
            self.close_writers_on(volume);
        }
        Ok(())
    }

    /// Closes the open segments that have a shard on `volume`, so that everything on it is of closed segments.
    fn close_writers_on(&self, volume: VolumeId) {
        self.close_writers(|segment| segment.shards.contains(&Some(volume)));
    }

    /// Closes the open segments that `ends` says.
    pub(crate) fn close_writers(&self, ends: impl Fn(&SegmentInfo) -> bool) {
        let slots: Vec<SharedSlot> = self.writers.lock().iter().map(|(_, slot)| slot.clone()).collect();
        for slot in slots {
            let mut slot = slot.lock();
            if let Some(writer) = slot.writer.take_if(|writer| ends(&writer.segment().info())) {
                self.finish(writer);
            }
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn wait(&self) -> Wait {
        Wait { max: self.options.wait_max, clock: self.clock.clone() }
    }

    pub(crate) fn mounts(&self) -> Vec<Arc<Mount>> {
        self.mounts.read().clone()
    }

    pub(crate) fn mount(&self, volume: VolumeId) -> Option<Arc<Mount>> {
        self.mounts.read().iter().find(|mount| mount.id() == volume).cloned()
    }

    /// Stores `records` of one hospital in as few stripes as they fit; all of them are durable on k + m volumes when
    /// it returns. After an error nothing may be assumed about them.
    ///
    /// A volume on which a write or sync fails is suspect from then on; its segment is closed and the stripe is written
    /// to another one, on other volumes, before this returns. While one stripe is written the next is prepared.
    pub fn append(&self, hospital: HospitalId, suite: Suite, records: &[Record]) -> Result<Committed> {
        let mut stripes = prepare::split(records)?.into_iter().map(|range| &records[range]);
        let prepare = |records| Prepared::new(&self.erasure, suite, records, &self.pool);
        let mut next = stripes.next().map(prepare).transpose()?;
        let mut locations = Vec::with_capacity(records.len());
        while let Some(mut prepared) = next.take() {
            let (committed, prepared_next) = match self.options.threads {
                Threads::PerVolume => std::thread::scope(|scope| {
                    let preparing = stripes.next().map(|records| scope.spawn(move || prepare(records)));
                    let committed = self.commit(hospital, suite, &mut prepared);
                    (committed, preparing.map(|thread| thread.join()))
                }),
                Threads::None => {
                    (self.commit(hospital, suite, &mut prepared), stripes.next().map(|records| Ok(prepare(records))))
                }
            };
            let (segment, stripe_at) = committed?;
            locations.extend(prepared.locations(segment, stripe_at));
            prepared.release(&self.pool);
            let abandoned = |_| Err(Error::Abandoned { what: "preparing a stripe" });
            next = prepared_next.map(|joined| joined.unwrap_or_else(abandoned)).transpose()?;
        }
        self.records.fetch_add(locations.len() as u64, Ordering::Relaxed);
        let (k, m) = self.options.code.bytes();
        Ok(Committed { locations, durable: Durable { level: 1, sites: 1, k, m } })
    }

    /// Writes one stripe to the hospital's open segment, or to the next one where that fails.
    fn commit(&self, hospital: HospitalId, suite: Suite, prepared: &mut Prepared) -> Result<(SegmentId, u64)> {
        loop {
            let slot = self.slot(hospital, suite);
            let mut slot = slot.lock();
            if slot.retired {
                continue;
            }
            for _ in 0..self.mounts.read().len() {
                match self.commit_once(hospital, suite, &mut slot.writer, prepared) {
                    Err(error) if error.took_a_volume() => {
                        tracing::error!(%hospital, %error, "a stripe goes to another segment");
                    }
                    result => return result,
                }
            }
            return self.commit_once(hospital, suite, &mut slot.writer, prepared);
        }
    }

    fn commit_once(
        &self,
        hospital: HospitalId,
        suite: Suite,
        open: &mut Option<Writer>,
        prepared: &mut Prepared,
    ) -> Result<(SegmentId, u64)> {
        if let Some(writer) = open.take_if(|writer| !writer.takes_writes()) {
            self.finish(writer);
        }
        let mut writer = match open.take() {
            Some(writer) => writer,
            None => self.begin(hospital, suite, prepared.payload_len)?,
        };
        let segment = writer.segment().identity.id;
        let written = writer.append(prepared, self.clock.now_ms());
        if written.is_err() || writer.is_full(self.options.segment_bytes_max, SEGMENT_RECORDS_MAX) {
            self.finish(writer);
        } else {
            *open = Some(writer);
        }
        let stripe_at = written?;
        self.stripes.fetch_add(1, Ordering::Relaxed);
        self.syncs.fetch_add(self.options.code.shards() as u64, Ordering::Relaxed);
        Ok((segment, stripe_at))
    }

    /// The slot of one hospital; one that has to make room for it is closed.
    fn slot(&self, hospital: HospitalId, suite: Suite) -> SharedSlot {
        let mut writers = self.writers.lock();
        if let Some(slot) = writers.get(&(hospital, suite)) {
            return slot.clone();
        }
        let slot = Arc::new(Mutex::new(Slot::default()));
        let evicted = writers.push((hospital, suite), slot.clone());
        drop(writers);
        if let Some((_, evicted)) = evicted {
            self.retire(&evicted);
        }
        slot
    }

    fn retire(&self, slot: &Mutex<Slot>) -> Vec<(VolumeId, Error)> {
        let mut slot = slot.lock();
        slot.retired = true;
        slot.writer.take().map_or_else(Vec::new, |writer| self.finish(writer))
    }

    /// Begins a segment on volumes that take writes and have room for the stripe and a footer.
    fn begin(&self, hospital: HospitalId, suite: Suite, payload_len: u32) -> Result<Writer> {
        let code = self.options.code;
        let mut id = [0; 16];
        self.random.fill(&mut id)?;
        let identity = Identity { id: SegmentId(id), hospital, suite, code };
        let shard_bytes = room_for(payload_len, code);
        let mounts = self.mounts();
        let hot = mounts.iter().filter(|mount| mount.takes_segments());
        let roomy = hot.filter_map(|mount| Some((mount, mount.room()?)));
        let roomy: Vec<(&Arc<Mount>, u64)> = roomy.filter(|(_, room)| *room >= shard_bytes).collect();
        if roomy.len() < code.shards() {
            return Err(Error::NoWritableMedia { needed: code.shards(), writable: roomy.len() });
        }
        let candidate = |(mount, free_bytes): &(&Arc<Mount>, u64)| (*free_bytes, mount.volume.label());
        let labels: Vec<_> = roomy.iter().map(candidate).collect();
        let candidates: Vec<Candidate<'_>> =
            labels.iter().map(|(free_bytes, label)| Candidate { label, free_bytes: *free_bytes }).collect();
        let request = Request { code, segment: identity.id, shard_bytes, demo: self.options.demo };
        let placed = placement::place(&request, &candidates)?;
        let placed: Vec<Arc<Mount>> = placed.into_iter().map(|index| roomy[index].0.clone()).collect();
        let writer = Writer::begin(identity, &placed)?;
        self.segments.write().insert(identity.id, writer.segment().clone());
        Ok(writer)
    }

    /// Closes the segment of a writer. Volumes where that fails are suspect, and the segment has a footer on the others.
    fn finish(&self, writer: Writer) -> Vec<(VolumeId, Error)> {
        let segment = writer.segment().identity.id;
        let failures = writer.close(self.clock.now_ms());
        for (volume, error) in &failures {
            tracing::error!(%volume, %segment, %error, "a footer could not be written");
        }
        failures
    }

    /// The record at `at`, verified against `address`; rebuilt from other units where its own are bad or missing, and
    /// then queued for repair. An `at` that cannot be right is [`Error::RecordElsewhere`] or [`Error::SegmentUnknown`].
    pub fn read(&self, suite: Suite, at: &Location, address: &Address) -> Result<Bytes> {
        read::record(&self.access, &*self.segment(at.segment)?, suite, at, address)
    }

    /// [`read`](Self::read) past every cache: the whole stripe from media, each unit verified.
    pub fn read_on_media(&self, suite: Suite, at: &Location, address: &Address) -> Result<Bytes> {
        read::record_on_media(&self.access, &*self.segment(at.segment)?, suite, at, address)
    }

    /// Whether the frame at `at` names `address`. Reads one frame and verifies nothing else.
    pub fn peek(&self, at: &Location, address: &Address) -> Result<bool> {
        read::peek(&self.access, &*self.segment(at.segment)?, at, address)
    }

    pub(crate) fn segment(&self, id: SegmentId) -> Result<Arc<Segment>> {
        self.segments.read().get(&id).cloned().ok_or(Error::SegmentUnknown { segment: id })
    }

    /// Takes a segment out of the catalogue.
    pub(crate) fn forget_segment(&self, id: SegmentId) {
        self.segments.write().remove(&id);
    }

    /// Every segment of the catalogue, by id.
    pub(crate) fn catalogue(&self) -> Vec<Arc<Segment>> {
        self.segments.read().values().cloned().collect()
    }

    /// Every segment, by id.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.segments.read().values().map(|segment| segment.info()).collect()
    }

    /// One segment, if it is in sight.
    pub fn segment_info(&self, segment: SegmentId) -> Option<SegmentInfo> {
        self.segments.read().get(&segment).map(|segment| segment.info())
    }

    /// Every segment of one hospital, by id.
    pub fn segments_of(&self, hospital: HospitalId) -> Vec<SegmentInfo> {
        let segments = self.segments.read();
        segments
            .values()
            .filter(|segment| segment.identity.hospital == hospital)
            .map(|segment| segment.info())
            .collect()
    }

    /// Visits the records of `segment` from the stripe at `from_stripe_at` on, in order, and gives the offset where
    /// the next walk goes on. What the records hold is not read: the table says where they are.
    pub fn walk(
        &self,
        segment: SegmentId,
        from_stripe_at: u64,
        visit: &mut dyn FnMut(Walked) -> Result<()>,
    ) -> Result<u64> {
        let found = self.segment(segment)?;
        let unreadable = |why: String| Error::SegmentUnreadable { segment, why };
        let table = closed::table(&self.access, &found).map_err(|defect| unreadable(defect.to_string()))?;
        for walked in table.walk(segment, from_stripe_at) {
            visit(walked.map_err(|error| unreadable(error.to_string()))?)?;
        }
        Ok(table.end())
    }

    /// Reads every unit and footer of `segment` past the page cache and reports what is not as it should be.
    pub fn check_segment(&self, segment: SegmentId) -> Vec<Finding> {
        match self.segment(segment) {
            Ok(found) => check::segment(&self.access, &found),
            Err(_) => Vec::new(),
        }
    }

    /// Items that wait for repair.
    pub fn repairs_waiting(&self) -> usize {
        self.access.repairs.len()
    }

    /// Queues what lost redundancy, as an earlier run found it; what is no longer so costs one look.
    pub fn queue_repairs(&self, items: impl IntoIterator<Item = RepairItem>) {
        items.into_iter().for_each(|item| self.access.repairs.add(item));
    }

    /// Takes what waits for repair, most urgent first.
    pub fn take_repairs(&self) -> Vec<RepairItem> {
        self.access.repairs.take()
    }

    /// Every present volume.
    pub fn volumes(&self) -> Vec<VolumeStatus> {
        let mut shards: BTreeMap<VolumeId, u32> = BTreeMap::new();
        for segment in self.segments.read().values() {
            segment.copies().for_each(|(_, mount)| *shards.entry(mount.id()).or_default() += 1);
        }
        let status = |mount: &Arc<Mount>| mount.status(shards.get(&mount.id()).copied().unwrap_or(0));
        self.mounts.read().iter().map(status).collect()
    }

    /// Volumes that take shards of new segments now; those of the archive never do.
    pub fn writable_volumes(&self) -> usize {
        let takes = |mount: &&Arc<Mount>| mount.takes_segments() && mount.state() == VolumeState::Writable;
        self.mounts.read().iter().filter(takes).count()
    }

    /// Counters since the tier was opened.
    pub fn counters(&self) -> TierCounters {
        TierCounters {
            stripes: self.stripes.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
            rebuilt_reads: self.access.rebuilt_reads(),
        }
    }

    /// Code of new segments.
    pub fn code(&self) -> Code {
        self.options.code
    }

    /// Whether placement may put shards on volumes that share a device, host or rack.
    pub fn is_demo(&self) -> bool {
        self.options.demo
    }

    /// Closes every open segment. The tier can go on being read. The first failure to write a footer is returned when
    /// all of them are closed; nothing acknowledged depends on it.
    pub fn close(&self) -> Result<()> {
        let mut slots = Vec::new();
        {
            let mut writers = self.writers.lock();
            while let Some((_, slot)) = writers.pop_lru() {
                slots.push(slot);
            }
        }
        let failures: Vec<_> = slots.iter().flat_map(|slot| self.retire(slot)).collect();
        failures.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
    }
}

#[cfg(test)]
mod tests;
