//! One file of the audit log: a header that continues the chain of the file before it, then records, each with a digest
//! over the one before it. Bytes in, bytes out; `docs/format.md` has the tables.
//!
//! Invariants
//! - A record is judged by its own digest, which covers the digest stored before it: a changed record is found where it
//!   is, and those behind it are still judged.
//! - What does not parse as a record is never skipped by searching for the next one: the walk ends there and says so.

use crate::audit::event::AuditEvent;
use crate::error::Result;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, Error as FormatError};

/// First bytes of every file.
pub const MAGIC: [u8; 4] = *b"shal";
/// Version of the file's form.
pub const VERSION: u8 = 1;
/// Bytes of a file's header.
pub const HEADER_LEN: usize = 112;
/// A file is followed by the next one when it has this many bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Longest body of a record: all of its texts and details at their limits fit.
pub const BODY_BYTES_MAX: usize = 8 * 1024;

const DIGEST_LEN: usize = 32;
const LABEL_HEADER: &[u8] = b"shosoin audit file v1\0";
const LABEL_RECORD: &[u8] = b"shosoin audit record v1\0";

/// Where the chain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// number of the newest record; 0 before the first
    pub seq: u64,
    /// its digest, or that of the header of a file without records
    pub digest: Digest,
}

impl Tip {
    /// Before the first file.
    pub const START: Tip = Tip { seq: 0, digest: Digest([0; 32]) };
}

/// What a file says of the one before it, and of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// number of the file, from 1
    pub number: u32,
    /// where the chain stood when it was begun
    pub before: Tip,
    /// bytes of the file before it that hold records; 0 for the first
    pub kept_bytes: u64,
    /// bytes it had in all: more than those that hold records where a crash tore the last one
    pub total_bytes: u64,
    /// when it was begun, in milliseconds since 1970
    pub begun_ms: u64,
}

impl Header {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(HEADER_LEN);
        out.put(&MAGIC).u8(VERSION).zeros(3).u32(self.number).zeros(4);
        out.u64(self.before.seq).u64(self.kept_bytes).u64(self.total_bytes).u64(self.begun_ms);
        out.put(&self.before.digest.0);
        let mut bytes = out.finish();
        let digest = sha256(&[LABEL_HEADER, &bytes]);
        bytes.extend_from_slice(&digest.0);
        bytes
    }

    /// Parses and checks one.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes, "audit file header");
        let covered = Reader::new(bytes, "audit file header").take(HEADER_LEN - DIGEST_LEN, "audit file header")?;
        if reader.array::<4>("audit file magic")? != MAGIC {
            return Err(FormatError::Magic { what: "audit file" });
        }
        let version = reader.u8("audit file version")?;
        reader.zeros(3, "audit file padding")?;
        let number = reader.u32("audit file number")?;
        reader.zeros(4, "audit file padding")?;
        let seq = reader.u64("audit number before")?;
        let (kept_bytes, total_bytes) = (reader.u64("bytes kept")?, reader.u64("bytes in all")?);
        let begun_ms = reader.u64("begun")?;
        let digest = Digest::read(&mut reader)?;
        let found = Digest::read(&mut reader)?;
        reader.finish()?;
        let expected = sha256(&[LABEL_HEADER, covered]);
        if expected != found {
            let (expected, found) = (expected.to_string(), found.to_string());
            return Err(FormatError::Mismatch { what: "digest of the audit file header", expected, found });
        }
        // every later version keeps the length, and the digest at the end: what a newer release wrote is no damage
        match version {
            VERSION => Ok(Header { number, before: Tip { seq, digest }, kept_bytes, total_bytes, begun_ms }),
            found => Err(FormatError::Version { what: "audit file", found, known: VERSION }),
        }
    }

    /// Where the chain stands behind the header.
    pub fn tip(&self) -> Tip {
        Tip { seq: self.before.seq, digest: sha256(&[LABEL_HEADER, &self.encode()]) }
    }
}

/// The bytes of one record behind `tip`, and where the chain stands then.
pub fn encode_record(tip: Tip, event: &AuditEvent) -> Result<(Vec<u8>, Tip)> {
    let seq = tip.seq + 1;
    let mut body = Writer::with_capacity(256);
    event.write(seq, &mut body)?;
    let body = body.finish();
    let mut out = Writer::with_capacity(body.len() + 4 + DIGEST_LEN);
    out.var(&body);
    let digest = record_digest(tip.digest, &body);
    out.put(&digest.0);
    Ok((out.finish(), Tip { seq, digest }))
}

fn record_digest(before: Digest, body: &[u8]) -> Digest {
    sha256(&[LABEL_RECORD, &before.0, body])
}

/// One record met by a walk.
#[derive(Debug)]
pub struct Met {
    /// offset in the file
    pub at: usize,
    /// the number it should have
    pub seq: u64,
    /// digest stored behind it
    pub digest: Digest,
    /// what it says, or why it is not believed
    pub event: Result<AuditEvent, String>,
}

/// Walks the records of a file from behind its header.
#[derive(Debug)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    tip: Tip,
}

impl<'a> Walk<'a> {
    /// The records of the file with these bytes and this header.
    pub fn new(bytes: &'a [u8], header: &Header) -> Self {
        Walk { bytes, at: HEADER_LEN, tip: header.tip() }
    }

    /// Offset behind the last record met.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Where the chain stands behind the last record met.
    pub fn tip(&self) -> Tip {
        self.tip
    }

    /// Bytes that no record has claimed.
    pub fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    fn parse(&self) -> Result<(&'a [u8], Digest), FormatError> {
        let mut reader = Reader::new(self.bytes.get(self.at..).unwrap_or_default(), "audit record");
        let body = reader.var(BODY_BYTES_MAX, "audit record")?;
        Ok((body, Digest::read(&mut reader)?))
    }
}

impl Iterator for Walk<'_> {
    type Item = Met;

    /// The next record; `None` at the end, or where what follows is no whole record ([`left`](Self::left) tells).
    fn next(&mut self) -> Option<Met> {
        let (body, digest) = self.parse().ok()?;
        let (at, seq) = (self.at, self.tip.seq + 1);
        let event = match record_digest(self.tip.digest, body) == digest {
            false => Err("its digest is not that of its bytes behind the record before it".to_owned()),
            true => match AuditEvent::read(body) {
                Ok((found, event)) if found == seq => Ok(event),
                Ok((found, _)) => Err(format!("it has number {found} in place of {seq}")),
                Err(error) => Err(error.to_string()),
            },
        };
        self.at += 4 + body.len() + DIGEST_LEN;
        self.tip = Tip { seq, digest };
        Some(Met { at, seq, digest, event })
    }
}
