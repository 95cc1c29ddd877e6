//! Records: what a segment holds, how one is framed inside a stripe, and where it lies.
//!
//! Invariants
//! - A record never spans stripes; frames follow each other without gaps, so a stripe's payload is its frames and
//!   nothing else.
//! - The address is the suite digest of the record's bytes, whatever its kind: one rule verifies everything.
//! - A [`Location`] is a hint: whoever follows it verifies the bytes it leads to.

use crate::stripe::slot_len;
use crate::{Code, Error, Result};
use bytes::Bytes;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::limits::RECORD_BYTES_MAX;
use shosoin_protocol::{Address, RecordKind, SegmentId};

/// Bytes of a frame before the record's own bytes.
pub const FRAME_LEN: usize = 40;
/// [`FRAME_LEN`] as offsets in a payload have it.
pub(crate) const FRAME_LEN_U32: u32 = 40;

/// One opaque record, ready to be stored.
#[derive(Debug, Clone)]
pub struct Record {
    /// what it is
    pub kind: RecordKind,
    /// suite digest of `bytes`
    pub address: Address,
    /// stored bytes
    pub bytes: Bytes,
}

impl Record {
    /// Bytes it takes in a stripe, frame included.
    pub fn framed_len(&self) -> usize {
        FRAME_LEN + self.bytes.len()
    }
}

/// What stands before a record's bytes: kind, length, address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// what the record is
    pub kind: RecordKind,
    /// length of the record's bytes
    pub len: u32,
    /// suite digest of the record's bytes
    pub address: Address,
}

impl Frame {
    /// The bytes; see `docs/format.md`, *Record*.
    pub fn encode(&self) -> [u8; FRAME_LEN] {
        let mut out = [0; FRAME_LEN];
        out[0] = self.kind.code();
        out[4..8].copy_from_slice(&self.len.to_le_bytes());
        out[8..].copy_from_slice(&self.address.0);
        out
    }

    /// Reads one frame.
    pub fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let kind = RecordKind::try_from(reader.u8("record kind")?)?;
        reader.zeros(1, "record flags")?;
        reader.zeros(2, "record reserved")?;
        let len = reader.count(RECORD_BYTES_MAX, "record length")?;
        let len = u32::try_from(len).unwrap_or(u32::MAX); // RECORD_BYTES_MAX is far below 4 GiB
        Ok(Frame { kind, len, address: Address::read(reader)? })
    }

    /// Reads one frame that is all of `bytes`.
    pub fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        let mut reader = Reader::new(bytes, "record frame");
        let frame = Frame::read(&mut reader)?;
        reader.finish()?;
        Ok(frame)
    }

    /// Bytes of frame and record together.
    pub fn framed_len(&self) -> u64 {
        FRAME_LEN as u64 + u64::from(self.len)
    }
}

/// Where a record lies, with all that a reader needs to fetch it without reading a header first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// segment
    pub segment: SegmentId,
    /// offset of the unit header in every shard file
    pub stripe_at: u64,
    /// length of the stripe's payload
    pub payload_len: u32,
    /// offset of the record's frame inside the payload
    pub at: u32,
    /// length of the record's bytes, frame not counted
    pub len: u32,
}

impl Location {
    /// Length of the encoding.
    pub const LEN: usize = 36;

    /// The bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = Writer::with_capacity(Self::LEN);
        out.put(&self.segment.0).u64(self.stripe_at).u32(self.payload_len).u32(self.at).u32(self.len);
        let mut bytes = [0; Self::LEN];
        bytes.copy_from_slice(&out.finish());
        bytes
    }

    /// Reads what [`Location::encode`] wrote; refuses a record that would not lie inside its stripe.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        Self::parse(bytes).map_err(|source| Error::Location { source })
    }

    fn parse(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        let mut reader = Reader::new(bytes, "location");
        let location = Location {
            segment: SegmentId::read(&mut reader)?,
            stripe_at: reader.u64("stripe offset")?,
            payload_len: reader.u32("payload length")?,
            at: reader.u32("record offset")?,
            len: reader.u32("record length")?,
        };
        reader.finish()?;
        match location.end() <= u64::from(location.payload_len) {
            true => Ok(location),
            false => {
                Err(shosoin_protocol::Error::Invalid { what: "location", why: "the record must lie in its stripe" })
            }
        }
    }

    /// Where the stripe after the record's begins in a segment of `code`, or would.
    pub fn next_stripe_at(&self, code: Code) -> u64 {
        self.stripe_at + slot_len(self.payload_len, code)
    }

    /// Where the record ends inside the payload.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.at) + FRAME_LEN as u64 + u64::from(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_has_these_bytes() {
        let frame = Frame { kind: RecordKind::Entry, len: 0x0001_0203, address: Address([0xab; 32]) };
        let golden = "06000000030201 00".replace(' ', "") + &"ab".repeat(32);
        assert_eq!(hex::encode(frame.encode()), golden);
        assert_eq!(Frame::decode(&frame.encode()).unwrap(), frame);
        assert_eq!((FRAME_LEN, FRAME_LEN_U32), (golden.len() / 2, 40));
    }

    #[test]
    fn frames_that_are_wrong_in_one_way_are_refused() {
        let good = Frame { kind: RecordKind::Chunk, len: 5, address: Address([1; 32]) }.encode();
        let with = |at: usize, byte: u8| {
            let mut bytes = good;
            bytes[at] = byte;
            Frame::decode(&bytes)
        };
        assert!(with(0, 0).is_err() && with(0, 9).is_err(), "no such kind");
        assert!(with(1, 1).is_err(), "flags of a later version");
        assert!(with(2, 1).is_err() && with(3, 1).is_err(), "reserved bytes");
        assert!(with(7, 0x7f).is_err(), "longer than any record");
        assert!(Frame::decode(&good[..39]).is_err(), "truncated");
        assert!(Frame::decode(&[good.as_slice(), &[0]].concat()).is_err(), "trailing");
    }

    proptest! {
        #[test]
        fn a_location_reads_back_and_never_points_out_of_its_stripe(
            segment: [u8; 16], stripe_at: u64, payload_len: u32, at: u32, len: u32,
        ) {
            let location = Location { segment: SegmentId(segment), stripe_at, payload_len, at, len };
            let inside = u64::from(at) + 40 + u64::from(len) <= u64::from(payload_len);
            match Location::decode(&location.encode()) {
                Ok(read) => prop_assert!(inside && read == location),
                Err(_) => prop_assert!(!inside),
            }
        }

        #[test]
        fn any_bytes_are_a_location_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(location) = Location::decode(&bytes) {
                prop_assert_eq!(location.encode().to_vec(), bytes);
            }
        }
    }
}
