//! Reading one record: first only its own bytes from the data units, and if those are not what its address says, the
//! whole stripe with every unit verified, decoded from good ones, and queued for repair.
//!
//! Invariants
//! - No byte leaves here that does not match the address it was asked for by.
//! - At most one stripe is being rebuilt at a time, and the last one rebuilt is kept: a reader that goes through a stripe
//!   record by record pays for it once, and memory stays bounded however many readers there are.

use crate::access::Access;
use crate::layout::{BLOCK_BYTES, align_up, unit_parts};
use crate::load::{Extent, LARGE_READ_BYTES_MIN, ShardFiles, Stripe};
use crate::mount::Reading;
use crate::record::FRAME_LEN;
use crate::segment::Segment;
use crate::stripe::{HEADER_LEN, STRIPE_PAYLOAD_BYTES_MAX, unit_len};
use crate::{Error, Frame, Location, Result};
use bytes::Bytes;
use shosoin_protocol::limits::RECORD_BYTES_MAX;
use shosoin_protocol::{Address, SegmentId, Suite};
use std::ops::Range;

/// No file is as long as this, so that offsets in a stripe can be added to where it begins.
const STRIPE_AT_MAX: u64 = 1 << 62;

/// The last stripe that had to be rebuilt.
pub struct Rebuilt {
    segment: SegmentId,
    at: u64,
    stripe: Stripe,
}

/// The record at `location`, verified against `address` under `suite`.
pub fn record(
    access: &Access,
    segment: &Segment,
    suite: Suite,
    location: &Location,
    address: &Address,
) -> Result<Bytes> {
    refuse_impossible(location, address)?;
    let body = u64::from(location.at) + FRAME_LEN as u64..location.end();
    if let Some(bytes) = direct(access, segment, location, body.clone())
        && suite.verify(address, &bytes).is_ok()
    {
        return Ok(Bytes::from(bytes));
    }
    let bytes = rebuilt(access, segment, location, address, body)?;
    match suite.verify(address, &bytes) {
        Ok(()) => Ok(Bytes::from(bytes)),
        Err(_) => Err(elsewhere(location, address)),
    }
}

/// The record at `location` as [`record`] gives it, but read anew: the whole stripe from media past the page cache, every
/// unit verified, and nothing that is kept in memory. What an audit from outside is answered with.
pub fn record_on_media(
    access: &Access,
    segment: &Segment,
    suite: Suite,
    location: &Location,
    address: &Address,
) -> Result<Bytes> {
    refuse_impossible(location, address)?;
    let body = u64::from(location.at) + FRAME_LEN as u64..location.end();
    let bytes = loaded(access, segment, location, address, Extent::Data)?.payload(body);
    match suite.verify(address, &bytes) {
        Ok(()) => Ok(Bytes::from(bytes)),
        Err(_) => Err(elsewhere(location, address)),
    }
}

/// Whether the frame at `location` names `address`.
pub fn peek(access: &Access, segment: &Segment, location: &Location, address: &Address) -> Result<bool> {
    refuse_impossible(location, address)?;
    let frame = u64::from(location.at)..u64::from(location.at) + FRAME_LEN as u64;
    let names =
        |bytes: &[u8]| Frame::decode(bytes).is_ok_and(|frame| frame.address == *address && frame.len == location.len);
    match direct(access, segment, location, frame.clone()) {
        Some(bytes) if names(&bytes) => Ok(true),
        _ => Ok(names(&rebuilt(access, segment, location, address, frame)?)),
    }
}

/// Refuses a location that no stripe can have, before memory is taken for it.
fn refuse_impossible(location: &Location, address: &Address) -> Result<()> {
    let inside = location.end() <= u64::from(location.payload_len);
    let limits = location.payload_len as usize <= STRIPE_PAYLOAD_BYTES_MAX && location.len as usize <= RECORD_BYTES_MAX;
    let offset = location.stripe_at < STRIPE_AT_MAX && location.stripe_at.is_multiple_of(BLOCK_BYTES as u64);
    match inside && limits && offset {
        true => Ok(()),
        false => Err(elsewhere(location, address)),
    }
}

/// Bytes `range` of the payload straight from the data units, unverified; `None` where one of them cannot be read. The
/// units of a large record are read at the same time, because they are on different volumes.
fn direct(access: &Access, segment: &Segment, location: &Location, range: Range<u64>) -> Option<Vec<u8>> {
    let unit_len = unit_len(location.payload_len, segment.identity.code);
    let mut bytes = vec![0; usize::try_from(range.end - range.start).ok()?];
    let mut parts = Vec::new();
    let mut left = bytes.as_mut_slice();
    for part in unit_parts(range, unit_len) {
        let len = usize::try_from(part.range.end - part.range.start).ok()?;
        let (into, rest) = left.split_at_mut_checked(len)?;
        parts.push(Part { unit: part.unit, at: location.stripe_at + HEADER_LEN as u64 + part.range.start, into });
        left = rest;
    }
    let all_read = match parts.iter().all(|part| part.into.len() < LARGE_READ_BYTES_MIN) {
        true => parts.into_iter().all(|part| part.read(access, segment)),
        false => {
            let begun: Vec<_> = parts.into_iter().map(|part| part.begin(access, segment)).collect();
            let ended = begun.into_iter().map(|begun| begun.is_some_and(|begun| begun.end(access, segment)));
            ended.collect::<Vec<_>>().into_iter().all(|is_whole| is_whole)
        }
    };
    all_read.then_some(bytes)
}

/// A part of a data unit that is to be read.
struct Part<'a> {
    unit: usize,
    at: u64,
    into: &'a mut [u8],
}

/// A part whose blocks are being read, past the cache, into memory that is used again.
struct Begun<'a> {
    part: Part<'a>,
    reading: Reading,
}

impl<'a> Part<'a> {
    /// Reads it through the cache; false where that cannot be done.
    fn read(self, access: &Access, segment: &Segment) -> bool {
        let Some((file, mount)) = access.file(segment, self.unit).zip(segment.shard(self.unit)) else { return false };
        let (at, len) = (self.at, self.into.len());
        let read = mount.call("a read", move || {
            let mut bytes = vec![0; len];
            file.read_at(at, &mut bytes).map(|count| (bytes, count))
        });
        match read {
            Ok((bytes, count)) => {
                self.into.copy_from_slice(&bytes);
                count == len
            }
            Err(error) => {
                access.note_read_error(segment, self.unit, &error);
                false
            }
        }
    }

    fn begin(self, access: &Access, segment: &Segment) -> Option<Begun<'a>> {
        let (file, mount) = (access.file(segment, self.unit)?, segment.shard(self.unit)?);
        let blocks = self.at - self.at % BLOCK_BYTES as u64..align_up(self.at + self.into.len() as u64);
        let buffer = access.pool.take(usize::try_from(blocks.end - blocks.start).ok()?);
        Some(Begun { reading: mount.read(&file, blocks, buffer), part: self })
    }
}

impl Begun<'_> {
    /// Waits for it; false where it cannot be read, or not in time.
    fn end(self, access: &Access, segment: &Segment) -> bool {
        let Part { unit, at, into } = self.part;
        let (read, blocks) = self.reading.end();
        let skipped = usize::try_from(at % BLOCK_BYTES as u64).unwrap_or_default();
        let found = blocks.get(skipped..skipped + into.len()).filter(|_| read.is_ok());
        found.into_iter().for_each(|found| into.copy_from_slice(found));
        let is_whole = found.is_some();
        access.pool.give(blocks);
        if let Err(error) = read {
            access.note_read_error(segment, unit, &error);
        }
        is_whole
    }
}

/// Bytes `range` of the payload, decoded from verified units where needed.
fn rebuilt(
    access: &Access,
    segment: &Segment,
    location: &Location,
    address: &Address,
    range: Range<u64>,
) -> Result<Vec<u8>> {
    let (id, at) = (segment.identity.id, location.stripe_at);
    let mut last = access.rebuilt.lock();
    if let Some(kept) = last.as_ref().filter(|kept| kept.segment == id && kept.at == at)
        && kept.stripe.payload_len() == location.payload_len
    {
        return Ok(kept.stripe.payload(range));
    }
    *last = None;
    let stripe = loaded(access, segment, location, address, Extent::All)?;
    access.count_rebuilt();
    let bytes = stripe.payload(range);
    *last = Some(Rebuilt { segment: id, at, stripe });
    Ok(bytes)
}

/// The stripe at `location` from media, its data units good or decoded from good ones; damage is queued for repair.
fn loaded(
    access: &Access,
    segment: &Segment,
    location: &Location,
    address: &Address,
    extent: Extent,
) -> Result<Stripe> {
    let (id, at) = (segment.identity.id, location.stripe_at);
    let mut stripe = ShardFiles::of(segment).load(at, location.payload_len, extent);
    if stripe.header().is_some() {
        access.queue(stripe.repairs(id, at));
    }
    let (good, needed) = (stripe.good_count(), segment.identity.code.k());
    if good < needed {
        return Err(Error::RecordUnreadable { address: *address, segment: id, stripe_at: at, good, needed });
    }
    stripe.rebuild(&*access.erasure(segment.identity.code)?)?;
    Ok(stripe)
}

fn elsewhere(location: &Location, address: &Address) -> Error {
    Error::RecordElsewhere { address: *address, segment: location.segment, stripe_at: location.stripe_at }
}
