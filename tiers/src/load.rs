//! Loading: one whole stripe from media, past the page cache, every unit verified by digest before it is used.
//!
//! Invariants
//! - A header is believed only if its digests hold and it is the one that belongs here: this segment, this shard, this
//!   offset. One such header is enough to verify every unit.
//! - Only units that match their digest are decoded. Parity is never asked whether data is right.
//! - A stripe is not given up while any copy of a shard is unread: where the copies in use leave too few good units, the
//!   spare ones are asked.

use crate::bug::{self, Bug};
use crate::finding::Defect;
use crate::layout::{BLOCK_BYTES, unit_parts};
use crate::mount::{Mount, Reading};
use crate::record::FRAME_LEN;
use crate::segment::{Identity, Segment, shard_no};
use crate::stripe::{HEADER_LEN, UnitHeader, slot_len};
use crate::{AlignedBuf, Code, Erasure, Error, Frame, MediaFile, RepairItem, Result, gap, wait};
use shosoin_protocol::SegmentId;
use std::ops::Range;
use std::sync::Arc;

/// The shard files of one segment, opened for reading, or why they are not.
pub struct ShardFiles {
    /// what never changes about the segment
    pub identity: Identity,
    files: Vec<Result<Arc<dyn MediaFile>, Defect>>,
    /// where they are
    mounts: Vec<Option<Arc<Mount>>>,
    /// further copies, which are read only where those leave too little
    spares: Vec<(usize, Arc<Mount>)>,
}

impl ShardFiles {
    /// Opens the copies of a segment that are in use, and knows its spare ones.
    pub fn of(segment: &Segment) -> Self {
        ShardFiles::open(segment.identity, &segment.shards()).with_spares_of(segment)
    }

    /// Knows every other copy in `segment` as a spare one.
    pub fn with_spares_of(self, segment: &Segment) -> Self {
        let copies = segment.copies().map(|(shard, mount)| (usize::from(shard), mount));
        let is_open = |shard: usize, mount: &Mount| {
            self.mounts.get(shard).and_then(Option::as_ref).is_some_and(|open| open.id() == mount.id())
        };
        let spares = copies.filter(|(shard, mount)| !is_open(*shard, mount)).collect();
        ShardFiles { spares, ..self }
    }

    /// Each spare copy, opened for reading, with its shard.
    pub fn spares(&self) -> impl Iterator<Item = (usize, ShardFiles)> + '_ {
        self.spares.iter().map(|(shard, mount)| (*shard, ShardFiles::alone(self.identity, *shard, mount)))
    }

    /// One copy of one shard, opened for reading.
    pub fn alone(identity: Identity, shard: usize, mount: &Arc<Mount>) -> Self {
        let mut mounts = vec![None; identity.code.shards()];
        mounts[shard] = Some(mount.clone());
        ShardFiles::open(identity, &mounts)
    }

    /// Opens all that are present.
    pub fn open(identity: Identity, shards: &[Option<Arc<Mount>>]) -> Self {
        let files = (0..identity.code.shards()).map(|shard| match identity.open_shard(shards, shard) {
            Some(Ok(file)) => Ok(file),
            Some(Err(error)) => Err(unreadable(&error)),
            None => Err(Defect::ShardMissing),
        });
        ShardFiles { identity, files: files.collect(), mounts: shards.to_vec(), spares: Vec::new() }
    }

    /// One of them.
    pub fn get(&self, shard: usize) -> Result<&Arc<dyn MediaFile>, Defect> {
        self.files[shard].as_ref().map_err(Clone::clone)
    }

    /// Shards that are present.
    pub fn present(&self) -> usize {
        self.files.iter().filter(|file| file.is_ok()).count()
    }

    /// Where the longest present shard ends.
    pub fn longest(&self) -> u64 {
        self.lens().max().unwrap_or(0)
    }

    fn lens(&self) -> impl Iterator<Item = u64> + '_ {
        self.files.iter().flatten().filter_map(|file| file.len().ok())
    }

    /// The header at `at` on every shard that has a believable one there.
    pub fn headers(&self, at: u64) -> Vec<Result<UnitHeader, Defect>> {
        (0..self.files.len()).map(|shard| self.header(shard, at)).collect()
    }

    fn header(&self, shard: usize, at: u64) -> Result<UnitHeader, Defect> {
        header_in(&**self.get(shard)?, self.identity, shard, at)
    }

    /// Fills `into` from `at` on, past the page cache; a file that ends before `len` bytes is a defect, and a volume that
    /// does not answer in time too.
    pub fn read(&self, shard: usize, at: u64, len: usize, into: &mut AlignedBuf) -> Result<(), Defect> {
        let reading = self.begin_read(shard, at, len, std::mem::take(into))?;
        end_read(reading, len, into)
    }

    /// Begins to read; large parts on a thread of their own.
    fn begin_read(&self, shard: usize, at: u64, len: usize, mut buffer: AlignedBuf) -> Result<Reading, Defect> {
        let (file, piece) = (self.get(shard)?, at..at + len as u64);
        match self.mounts.get(shard).and_then(Option::as_ref) {
            Some(mount) if len >= LARGE_READ_BYTES_MIN || !mount.has_threads() => Ok(mount.read(file, piece, buffer)),
            Some(mount) => Ok(mount.read_small(file, piece, buffer)),
            None => Ok(Reading::Done(wait::fill(&**file, &piece, &mut buffer), buffer)),
        }
    }

    /// Reads the stripe at `at`, which has `payload_len` bytes of payload; parity only where `extent` or damage asks.
    pub fn load(&self, at: u64, payload_len: u32, extent: Extent) -> Stripe {
        let code = self.identity.code;
        let mut stripe = Stripe::unread(code, payload_len);
        self.load_units(&mut stripe, 0..code.k(), at);
        if extent == Extent::All || stripe.good_count() < code.k() {
            self.load_units(&mut stripe, code.k()..code.shards(), at);
        }
        if stripe.good_count() < code.k() && !self.spares.is_empty() {
            self.load_spares(&mut stripe, at);
        }
        stripe
    }

    /// Takes good units from spare copies. What is wrong with those is no reason to repair the copy in use.
    fn load_spares(&self, stripe: &mut Stripe, at: u64) {
        let known = stripe.defects.len();
        if stripe.header.is_none() {
            let found = self.spares().find_map(|(shard, files)| Some((shard, files.header(shard, at).ok()?)));
            found.into_iter().for_each(|(shard, header)| stripe.meet(shard, Ok(header)));
            stripe.judge();
        }
        for (shard, files) in self.spares() {
            if stripe.units[shard] == Unit::Good || stripe.good_count() >= self.identity.code.k() {
                continue;
            }
            let mut slot = AlignedBuf::default();
            if files.read(shard, at, stripe.slot_len, &mut slot).is_ok() {
                (stripe.slots[shard], stripe.units[shard]) = (slot, Unit::Read);
                stripe.judge();
            }
        }
        stripe.defects.truncate(known);
    }

    /// Reads units, large ones at the same time.
    fn load_units(&self, stripe: &mut Stripe, shards: Range<usize>, at: u64) {
        let begin = |shard: usize| {
            let slot = std::mem::take(&mut stripe.slots[shard]);
            (shard, self.begin_read(shard, at, stripe.slot_len, slot))
        };
        let begun: Vec<_> = shards.map(begin).collect();
        for (shard, reading) in begun {
            let slot = &mut stripe.slots[shard];
            match reading.and_then(|reading| end_read(reading, stripe.slot_len, slot)) {
                Ok(()) => {
                    let header = believe(slot, self.identity, shard, at);
                    stripe.units[shard] = if header == Err(Defect::UnitGap) { Unit::Bad } else { Unit::Read };
                    stripe.meet(shard, header);
                }
                Err(defect) => stripe.defects.push((shard_no(shard), defect)),
            }
        }
        stripe.judge();
    }
}

/// Reads from this size on go past the cache on a thread of their own, and are waited for no longer than a volume may take:
/// measured on cold data they are half as fast again so and cost a quarter of the processor time. Smaller ones are better
/// off in the cache with their neighbours.
pub const LARGE_READ_BYTES_MIN: usize = 256 * 1024;

/// How much of a stripe to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The data units, and parity only where one of them is bad.
    Data,
    /// Every unit.
    All,
}

/// The defect that `error` is to a shard.
pub fn unreadable(error: &Error) -> Defect {
    match error {
        Error::NotFound { .. } => Defect::ShardMissing,
        other => Defect::ShardUnreadable { why: other.to_string() },
    }
}

/// What a read gave; a file that ends before `len` bytes is a defect.
fn end_read(reading: Reading, len: usize, into: &mut AlignedBuf) -> Result<(), Defect> {
    let (read, buffer) = reading.end();
    *into = buffer;
    read.map_err(|error| unreadable(&error))?;
    match into.len() == len {
        true => Ok(()),
        false => Err(Defect::ShardShort { missing_bytes: (len - into.len()) as u64 }),
    }
}

/// The header at `at` of a shard file, if it is believable.
pub fn header_in(file: &dyn MediaFile, identity: Identity, shard: usize, at: u64) -> Result<UnitHeader, Defect> {
    let (mut block, mut bytes) = (AlignedBuf::default(), AlignedBuf::default());
    let read = file.read_past_cache(at, BLOCK_BYTES, &mut block);
    end_read(Reading::Done(read, block), BLOCK_BYTES, &mut bytes)?;
    believe(&bytes, identity, shard, at)
}

/// Believes a unit header that is valid and belongs where it was found.
pub fn believe(bytes: &[u8], identity: Identity, shard: usize, at: u64) -> Result<UnitHeader, Defect> {
    if gap::is_at(bytes, identity, shard, at) {
        return Err(Defect::UnitGap);
    }
    let header = UnitHeader::decode(bytes).map_err(|error| Defect::HeaderDamaged { why: error.to_string() })?;
    let stripe = &header.stripe;
    match bug::is(Bug::MisdirectedWriteUnnoticed)
        || stripe.identity() == identity && usize::from(header.shard) == shard && stripe.at == at
    {
        true => Ok(header),
        false => Err(Defect::HeaderDamaged { why: "it belongs to another segment, shard or offset".into() }),
    }
}

/// A stripe read from media. Units that are not good hold anything until [`Stripe::rebuild`].
pub struct Stripe {
    code: Code,
    payload_len: u32,
    slot_len: usize,
    header: Option<UnitHeader>,
    slots: Vec<AlignedBuf>,
    units: Vec<Unit>,
    defects: Vec<(u8, Defect)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Unread,
    /// read, but no header is known yet that could verify it
    Read,
    Good,
    Bad,
}

impl Stripe {
    fn unread(code: Code, payload_len: u32) -> Self {
        let slot_len = usize::try_from(slot_len(payload_len, code)).unwrap_or(usize::MAX);
        let slots = (0..code.shards()).map(|_| AlignedBuf::default()).collect();
        let units = vec![Unit::Unread; code.shards()];
        Stripe { code, payload_len, slot_len, header: None, slots, units, defects: Vec::new() }
    }

    fn meet(&mut self, shard: usize, header: Result<UnitHeader, Defect>) {
        let header = header.and_then(|header| match header.stripe.payload_len == self.payload_len {
            true => Ok(header),
            false => Err(Defect::HeaderDamaged { why: "its payload has another length".into() }),
        });
        match (header, &self.header) {
            (Err(defect), _) => self.defects.push((shard_no(shard), defect)),
            (Ok(header), None) => self.header = Some(header),
            (Ok(header), Some(first)) if header.digest == first.digest => {}
            (Ok(_), Some(_)) => {
                let why = "it describes another stripe than the other shards".into();
                self.defects.push((shard_no(shard), Defect::HeaderDamaged { why }));
            }
        }
    }

    /// Verifies every unit that was read and can be verified now.
    fn judge(&mut self) {
        let Some(header) = &self.header else { return };
        for shard in 0..self.units.len() {
            if self.units[shard] != Unit::Read {
                continue;
            }
            let (expected, found) =
                (header.stripe.units[shard], header.stripe.suite.digest(&[&self.slots[shard][HEADER_LEN..]]));
            self.units[shard] = match expected == found {
                true => Unit::Good,
                false => {
                    self.defects.push((shard_no(shard), Defect::UnitDamaged { expected, found }));
                    Unit::Bad
                }
            };
        }
    }

    /// The header, if any shard had a good one.
    pub fn header(&self) -> Option<&UnitHeader> {
        self.header.as_ref()
    }

    /// Bytes of payload.
    pub fn payload_len(&self) -> u32 {
        self.payload_len
    }

    /// Units that match their digest.
    pub fn good_count(&self) -> usize {
        self.units.iter().filter(|unit| **unit == Unit::Good).count()
    }

    /// Units that nobody could look at: their shards are absent or cannot be read now, and may be good all the same.
    pub fn unseen_count(&self) -> usize {
        self.defects.iter().filter(|(_, defect)| defect.is_unseen()).count()
    }

    /// What was wrong, by shard.
    pub fn defects(&self) -> &[(u8, Defect)] {
        &self.defects
    }

    /// What must be repaired: one item for each shard with a defect.
    pub fn repairs(&self, segment: SegmentId, at: u64) -> Vec<RepairItem> {
        let left = self.good_count().saturating_sub(self.code.k());
        let item = |(shard, defect): &(u8, Defect)| RepairItem {
            redundancy_left: shard_no(left),
            segment,
            shard: *shard,
            stripe_at: (*defect != Defect::ShardMissing).then_some(at),
        };
        self.defects.iter().map(item).collect()
    }

    /// Decodes the data units that are not good from those that are.
    pub fn rebuild(&mut self, erasure: &Erasure) -> Result<()> {
        let good = |unit: &Unit| *unit == Unit::Good;
        if self.units[..self.code.k()].iter().all(good) {
            return Ok(());
        }
        self.slots.iter_mut().for_each(|slot| slot.resize(self.slot_len));
        let units = self.slots.iter_mut().map(|slot| &mut slot[HEADER_LEN..]);
        let mut slots: Vec<(&mut [u8], bool)> = units.zip(&self.units).map(|(slot, unit)| (slot, good(unit))).collect();
        erasure.rebuild_data(&mut slots)
    }

    /// Copies bytes `range` of the payload. Right only after [`Stripe::rebuild`].
    pub fn payload(&self, range: Range<u64>) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::try_from(range.end - range.start).unwrap_or(0));
        for part in unit_parts(range, self.slot_len as u64 - HEADER_LEN as u64) {
            let bytes = |at: u64| HEADER_LEN + usize::try_from(at).unwrap_or(usize::MAX);
            out.extend_from_slice(&self.slots[part.unit][bytes(part.range.start)..bytes(part.range.end)]);
        }
        out
    }

    /// The frames of its records, encoded, in order. Right only after [`Stripe::rebuild`].
    pub fn frames(&self) -> shosoin_protocol::Result<Vec<u8>> {
        let invalid = |why| shosoin_protocol::Error::Invalid { what: "payload", why };
        let (mut at, mut frames, end) = (0, Vec::new(), u64::from(self.payload_len));
        while at < end {
            let bytes = self.payload(at..end.min(at + FRAME_LEN as u64));
            at += Frame::decode(&bytes)?.framed_len();
            frames.extend_from_slice(&bytes);
        }
        let records = self.header.as_ref().map_or(0, |header| header.stripe.records);
        match (at == end, frames.len() / FRAME_LEN == records as usize) {
            (true, true) => Ok(frames),
            (false, _) => Err(invalid("its records must fill it")),
            _ => Err(invalid("it must hold as many records as its header says")),
        }
    }
}
