//! Reading one record: first only its own bytes from the data units, and if those are not what its address says, the
//! whole stripe with every unit verified, decoded from good ones, and queued for repair.
//!
//! Invariants
//! - No byte leaves here that does not match the address it was asked for by.
//! - At most one stripe is being rebuilt at a time, and the last one rebuilt is kept: a reader that goes through a stripe
//!   record by record pays for it once, and memory stays bounded however many readers there are.

use crate::access::Access;
use crate::layout::{BLOCK_BYTES, unit_parts};
use crate::load::{Extent, ShardFiles, Stripe};
use crate::record::FRAME_LEN;
use crate::segment::Segment;
use crate::stripe::{HEADER_LEN, STRIPE_PAYLOAD_BYTES_MAX, unit_len};
use crate::tier::Threads;
use crate::{Error, Frame, Location, MediaFile, Result};
use bytes::Bytes;
use shosoin_protocol::limits::RECORD_BYTES_MAX;
use shosoin_protocol::{Address, SegmentId, Suite};
use std::ops::Range;

/// Parts of a unit from this size on are read past the page cache: measured on cold data it is half as fast again and
/// costs a quarter of the processor time. Smaller ones are better off in the cache with their neighbours.
const PAST_CACHE_BYTES_MIN: usize = 256 * 1024;

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
        parts.push((part.unit, location.stripe_at + HEADER_LEN as u64 + part.range.start, into));
        left = rest;
    }
    let read = |(unit, at, into): (usize, u64, &mut [u8])| read_part(access, segment, unit, at, into);
    let small = parts.iter().all(|(_, _, into)| into.len() < PAST_CACHE_BYTES_MIN);
    let all_read = match small || access.threads == Threads::None {
        true => parts.into_iter().all(read),
        false => std::thread::scope(|scope| {
            let here = parts.pop();
            let elsewhere: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || read(part))).collect();
            let here = here.is_none_or(read);
            elsewhere.into_iter().fold(here, |all, thread| thread.join().unwrap_or(false) && all)
        }),
    };
    all_read.then_some(bytes)
}

/// Fills `into` from `at` of a data unit's shard; false where that cannot be done.
fn read_part(access: &Access, segment: &Segment, unit: usize, at: u64, into: &mut [u8]) -> bool {
    let Some(file) = access.file(segment, unit) else { return false };
    let len = into.len();
    let read = match len < PAST_CACHE_BYTES_MIN {
        true => file.read_at(at, into),
        false => read_past_cache(access, &*file, at, into),
    };
    match read {
        Ok(count) => count == len,
        Err(error) => {
            access.note_read_error(segment, unit, &error);
            false
        }
    }
}

/// Fills `into` from `at`, past the page cache: whole blocks around it are read into memory that is used again.
fn read_past_cache(access: &Access, file: &dyn MediaFile, at: u64, into: &mut [u8]) -> Result<usize> {
    let skipped = at % BLOCK_BYTES as u64;
    let skipped_len = usize::try_from(skipped).unwrap_or_default();
    let len = (skipped_len + into.len()).next_multiple_of(BLOCK_BYTES);
    let mut blocks = access.pool.take(len);
    let read = file.read_past_cache(at - skipped, len, &mut blocks);
    let found = blocks.get(skipped_len..skipped_len + into.len());
    let count = found.map_or(0, |found| {
        into.copy_from_slice(found);
        into.len()
    });
    access.pool.give(blocks);
    read.map(|()| count)
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
    let mut stripe = ShardFiles::open(segment.identity, &segment.shards()).load(at, location.payload_len, Extent::All);
    if stripe.header().is_some() {
        access.queue(stripe.repairs(id, at));
    }
    let (good, needed) = (stripe.good_count(), segment.identity.code.k());
    if good < needed {
        return Err(Error::RecordUnreadable { address: *address, segment: id, stripe_at: at, good, needed });
    }
    stripe.rebuild(&*access.erasure(segment.identity.code)?)?;
    access.count_rebuilt();
    let bytes = stripe.payload(range);
    *last = Some(Rebuilt { segment: id, at, stripe });
    Ok(bytes)
}

fn elsewhere(location: &Location, address: &Address) -> Error {
    Error::RecordElsewhere { address: *address, segment: location.segment, stripe_at: location.stripe_at }
}
