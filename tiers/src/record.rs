//! Records: what a segment holds, how one is framed inside a stripe, and where it lies.
//!
//! Invariants
//! - A record never spans stripes; frames follow each other without gaps, so a stripe's payload is its frames and
//!   nothing else.
//! - The address is the suite digest of the record's bytes, whatever its kind: one rule verifies everything.
//! - A [`Location`] is a hint: whoever follows it verifies the bytes it leads to.

use crate::{Error, Result};
use bytes::Bytes;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::limits::RECORD_BYTES_MAX;
use shosoin_protocol::{Address, RecordKind, SegmentId};

/// Bytes of a frame before the record's own bytes.
pub const FRAME_LEN: usize = 40;

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

    /// Where the record ends inside the payload.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.at) + FRAME_LEN as u64 + u64::from(self.len)
    }
}
