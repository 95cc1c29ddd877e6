//! Preparing a stripe: records are gathered once into aligned memory, where the media layer writes them from. Parity is
//! encoded in place and every unit digested while its bytes are still in the processor's cache.
//!
//! Invariants
//! - Payload bytes are copied exactly once, from the record to where they are written from.
//! - Memory between the end of the payload and the end of the last data unit is zero, whatever the buffer held before.

use crate::buffer::AlignedBuf;
use crate::pool::Pool;
use crate::record::{FRAME_LEN, FRAME_LEN_U32, Frame, Record};
use crate::stripe::{HEADER_LEN, STRIPE_PAYLOAD_BYTES_MAX, StripeHeader, slot_len};
use crate::{Erasure, Error, Location, Result};
use shosoin_protocol::limits::RECORD_BYTES_MAX;
use shosoin_protocol::suite::Hasher;
use shosoin_protocol::{Digest, SegmentId, Suite};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of each unit that are gathered, encoded and digested in one go: k + m of them stay within a core's own cache.
const STRIP_BYTES: usize = 32 * 1024;
/// Payload at which a stripe takes no more records and the next one begins: large enough that a sync costs little beside
/// the writing, small enough that the next stripe can be prepared meanwhile and a rebuild reads no more than it must.
pub const STRIPE_PAYLOAD_BYTES_AIM: usize = 8 * 1024 * 1024;

/// Where each stripe of a group begins and ends among `records`, in order.
pub fn split(records: &[Record]) -> Result<Vec<Range<usize>>> {
    let mut stripes = Vec::new();
    let (mut first, mut payload_len) = (0, 0);
    for (index, record) in records.iter().enumerate() {
        if record.bytes.len() > RECORD_BYTES_MAX {
            let (address, len_bytes) = (record.address, record.bytes.len());
            return Err(Error::RecordTooLarge { address, len_bytes, limit_bytes: RECORD_BYTES_MAX });
        }
        let is_full = payload_len >= STRIPE_PAYLOAD_BYTES_AIM;
        if is_full || payload_len + record.framed_len() > STRIPE_PAYLOAD_BYTES_MAX {
            stripes.push(first..index);
            (first, payload_len) = (index, 0);
        }
        payload_len += record.framed_len();
    }
    if first < records.len() {
        stripes.push(first..records.len());
    }
    Ok(stripes)
}

/// A stripe that is ready to be written but for its headers, which depend on where it goes.
pub struct Prepared {
    /// k + m slots, each a header and a unit
    memory: AlignedBuf,
    /// bytes of one slot
    slot_len: usize,
    /// algorithm of the digests
    pub suite: Suite,
    /// bytes of payload
    pub payload_len: u32,
    /// the frames, in order, as the footer repeats them
    pub frames: Vec<u8>,
    /// where each frame begins in the payload
    at: Vec<u32>,
    /// digest of every unit
    pub units: Vec<Digest>,
}

impl Prepared {
    /// Gathers, encodes and digests `records`, which must fit one stripe, using memory from `pool`.
    pub fn new(erasure: &Erasure, suite: Suite, records: &[Record], pool: &Pool) -> Result<Self> {
        let code = erasure.code();
        let (frames, at, payload_len) = frame(records);
        let slot_len = usize::try_from(slot_len(payload_len, code)).unwrap_or(usize::MAX);
        let memory = pool.take(slot_len * code.shards());
        let mut prepared = Prepared { memory, slot_len, suite, payload_len, frames, at, units: Vec::new() };
        prepared.fill(erasure, records)?;
        Ok(prepared)
    }

    /// Records in it.
    pub fn records(&self) -> u32 {
        u32::try_from(self.at.len()).unwrap_or(u32::MAX)
    }

    /// Where each record lies, now that the stripe is at `stripe_at` of `segment`.
    pub fn locations(&self, segment: SegmentId, stripe_at: u64) -> impl Iterator<Item = Location> + '_ {
        let ends = self.at.iter().skip(1).copied().chain([self.payload_len]);
        self.at.iter().zip(ends).map(move |(at, end)| Location {
            segment,
            stripe_at,
            payload_len: self.payload_len,
            at: *at,
            len: end - at - FRAME_LEN_U32,
        })
    }

    /// Writes the header of every unit; gives the digest of the stripe.
    pub fn write_headers(&mut self, stripe: &StripeHeader) -> Digest {
        debug_assert_eq!(stripe.units, self.units, "a header describes the units behind it");
        let (common, digest) = stripe.encode();
        for (shard, slot) in (0..).zip(self.memory.chunks_exact_mut(self.slot_len).take(stripe.code.shards())) {
            stripe.write_unit_header(&common, digest, shard, slot);
        }
        digest
    }

    /// Lends the slots out for writing; [`Prepared::unlock`] takes them back.
    pub fn lock(&mut self) -> Arc<AlignedBuf> {
        Arc::new(std::mem::take(&mut self.memory))
    }

    /// Takes back the memory that [`Prepared::lock`] lent. Where a volume that is late still holds it, it keeps that and
    /// this goes on with a copy.
    pub fn unlock(&mut self, memory: Arc<AlignedBuf>) {
        self.memory = Arc::try_unwrap(memory).unwrap_or_else(|held| held.duplicate());
    }

    /// Where the slot of `shard` lies in the memory that [`Prepared::lock`] lends.
    pub fn slot(&self, shard: usize) -> Range<usize> {
        shard * self.slot_len..(shard + 1) * self.slot_len
    }

    /// Gives the memory back.
    pub fn release(self, pool: &Pool) {
        pool.give(self.memory);
    }

    fn fill(&mut self, erasure: &Erasure, records: &[Record]) -> Result<()> {
        let code = erasure.code();
        let unit_len = self.slot_len - HEADER_LEN;
        let sources = Sources { frames: &self.frames, records };
        let mut cursors: Vec<Cursor> = (0..code.k()).map(|unit| sources.seek(unit * unit_len, &self.at)).collect();
        let mut hashers = vec![Hasher::new(self.suite); code.shards()];
        let slots = self.memory.chunks_exact_mut(self.slot_len).take(code.shards());
        let mut units: Vec<&mut [u8]> = slots.map(|slot| &mut slot[HEADER_LEN..]).collect();
        for start in (0..unit_len).step_by(STRIP_BYTES) {
            let strip = start..unit_len.min(start + STRIP_BYTES);
            let (data, parity) = units.split_at_mut(code.k());
            for (unit, cursor) in data.iter_mut().zip(&mut cursors) {
                sources.copy(cursor, &mut unit[strip.clone()]);
            }
            let data: Vec<&[u8]> = data.iter().map(|unit| &unit[strip.clone()]).collect();
            let mut parity: Vec<&mut [u8]> = parity.iter_mut().map(|unit| &mut unit[strip.clone()]).collect();
            erasure.encode(&data, &mut parity)?;
            for (unit, hasher) in units.iter().zip(&mut hashers) {
                hasher.update(&unit[strip.clone()]);
            }
        }
        self.units = hashers.into_iter().map(Hasher::finish).collect();
        Ok(())
    }
}

/// The frames of `records`, where each begins in the payload, and the length of the payload.
fn frame(records: &[Record]) -> (Vec<u8>, Vec<u32>, u32) {
    let mut frames = Vec::with_capacity(records.len() * FRAME_LEN);
    let mut starts = Vec::with_capacity(records.len());
    let mut at = 0u32;
    for record in records {
        let len = u32::try_from(record.bytes.len()).unwrap_or(u32::MAX); // `split` refused longer ones
        frames.extend_from_slice(&Frame { kind: record.kind, len, address: record.address }.encode());
        starts.push(at);
        at += FRAME_LEN_U32 + len;
    }
    (frames, starts, at)
}

/// The payload of a stripe before it is gathered: frames and records in turn.
struct Sources<'a> {
    frames: &'a [u8],
    records: &'a [Record],
}

/// A place in the payload.
struct Cursor {
    record: usize,
    /// bytes into frame and record together
    offset: usize,
}

impl Sources<'_> {
    /// The cursor at byte `at` of the payload; past its end there are zeros.
    fn seek(&self, at: usize, starts: &[u32]) -> Cursor {
        let record = starts.partition_point(|start| *start as usize <= at).saturating_sub(1);
        Cursor { record, offset: at - starts.get(record).map_or(0, |start| *start as usize) }
    }

    /// Fills `out` from the cursor on, and moves it.
    fn copy(&self, cursor: &mut Cursor, mut out: &mut [u8]) {
        while let Some(record) = self.records.get(cursor.record).filter(|_| !out.is_empty()) {
            let frame = &self.frames[cursor.record * FRAME_LEN..][..FRAME_LEN];
            let from = match cursor.offset.checked_sub(FRAME_LEN) {
                None => &frame[cursor.offset..],
                Some(offset) => record.bytes.get(offset..).unwrap_or_default(),
            };
            if from.is_empty() {
                // past the end of the last record a cursor finds nothing more, before it the next record
                *cursor = Cursor { record: cursor.record + 1, offset: 0 };
                continue;
            }
            let count = from.len().min(out.len());
            let (head, tail) = out.split_at_mut(count);
            head.copy_from_slice(&from[..count]);
            cursor.offset += count;
            out = tail;
        }
        out.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;
    use bytes::Bytes;
    use proptest::prelude::*;
    use shosoin_protocol::RecordKind;

    fn record(suite: Suite, bytes: Vec<u8>) -> Record {
        Record { kind: RecordKind::Chunk, address: suite.address(&bytes), bytes: Bytes::from(bytes) }
    }

    /// What the payload must be: frames and records one after the other.
    fn payload(records: &[Record]) -> Vec<u8> {
        let mut out = Vec::new();
        for record in records {
            let len = u32::try_from(record.bytes.len()).unwrap();
            out.extend_from_slice(&Frame { kind: record.kind, len, address: record.address }.encode());
            out.extend_from_slice(&record.bytes);
        }
        out
    }

    #[test]
    fn a_stripe_is_full_when_it_has_what_it_aims_for_and_records_are_never_cut() {
        let of = |len: usize| {
            let bytes = Bytes::from(vec![0; len]);
            Record { kind: RecordKind::Chunk, address: shosoin_protocol::Address([0; 32]), bytes }
        };
        let (mib, small) = (1 << 20, of(100));
        let chunks = vec![of(4 * mib); 5];
        assert_eq!(split(&chunks).unwrap(), [0..2, 2..4, 4..5]);
        assert_eq!(split(&[of(7 * mib), of(RECORD_BYTES_MAX), small.clone(), small.clone()]).unwrap(), [0..2, 2..4]);
        assert_eq!(split(&vec![small.clone(); 1000]).unwrap().len(), 1);
        assert_eq!(split(&[]).unwrap(), []);
        assert!(matches!(split(&[small, of(RECORD_BYTES_MAX + 1)]), Err(Error::RecordTooLarge { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn units_hold_the_payload_then_zeros_and_their_digests_and_parity_are_right(
            lens in prop::collection::vec(prop_oneof![0usize..50, 0usize..5000, 60_000usize..700_000], 1..12),
            code in prop::sample::select(Code::ALLOWED.to_vec()),
            suite in prop::sample::select(Suite::ALL.to_vec()),
        ) {
            let mut fill = 0u8;
            let records: Vec<Record> = lens.into_iter().map(|len| {
                fill = fill.wrapping_add(37);
                record(suite, (0..len).map(|at| fill.wrapping_add((at % 251).try_into().unwrap()) | 1).collect())
            }).collect();
            let (erasure, pool) = (Erasure::new(code).unwrap(), Pool::new(1));
            let mut dirty = pool.take(8 << 20);
            dirty.fill(0xaa);
            pool.give(dirty);
            let prepared = Prepared::new(&erasure, suite, &records, &pool).unwrap();
            let unit = |shard: usize| &prepared.memory[prepared.slot(shard)][HEADER_LEN..];
            let mut found: Vec<u8> = (0..code.k()).flat_map(|shard| unit(shard).to_vec()).collect();
            let expected = payload(&records);
            prop_assert_eq!(prepared.payload_len as usize, expected.len());
            prop_assert!(found[expected.len()..].iter().all(|byte| *byte == 0));
            found.truncate(expected.len());
            prop_assert!(found == expected);
            let data: Vec<&[u8]> = (0..code.k()).map(unit).collect();
            let mut parity = vec![vec![0; unit(0).len()]; code.m()];
            let mut parity_slices: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
            erasure.encode(&data, &mut parity_slices).unwrap();
            for (shard, expected) in (code.k()..).zip(&parity) {
                prop_assert!(unit(shard) == expected.as_slice());
            }
            for shard in 0..code.shards() {
                prop_assert_eq!(prepared.units[shard], suite.digest(&[unit(shard)]));
            }
        }
    }
}
