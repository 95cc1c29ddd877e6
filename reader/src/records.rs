//! What the segments of a hospital hold: format.md, "Record". Chunks stay on media until they are asked for, everything
//! else is small and is kept. Every record is checked against its address.

use crate::bytes::{Fields, hex};
use crate::crypto::{Address, Id, hash};
use crate::error::{Error, Result};
use crate::volumes::{Segment, Step, Stripe};
use std::collections::BTreeMap;

const CHUNK: u8 = 1;
const WRAP: u8 = 4;
const ENTRY: u8 = 6;
const CHECKPOINT: u8 = 7;
/// Bytes before those of a record.
const HEAD: usize = 40;

/// Where a chunk is.
#[derive(Clone, Copy)]
struct Place {
    segment: usize,
    offset: u64,
    at: usize,
    len: usize,
}

/// Every record of one hospital.
pub struct Records {
    suite: u8,
    segments: Vec<Segment>,
    chunks: BTreeMap<Address, Place>,
    small: BTreeMap<Address, Vec<u8>>,
    /// wraps by version
    pub wraps: BTreeMap<Id, Vec<Vec<u8>>>,
    /// placed entries, in no order
    pub entries: Vec<Vec<u8>>,
    /// texts of signed heads, in no order
    pub checkpoints: Vec<Vec<u8>>,
    /// what is damaged or missing, for people
    pub findings: Vec<String>,
    last: Option<(usize, Stripe)>,
}

impl Records {
    /// Reads all segments once, verifying everything.
    pub fn read(suite: u8, segments: Vec<Segment>) -> Result<Records> {
        let mut records = Records {
            suite,
            segments: Vec::new(),
            chunks: BTreeMap::new(),
            small: BTreeMap::new(),
            wraps: BTreeMap::new(),
            entries: Vec::new(),
            checkpoints: Vec::new(),
            findings: Vec::new(),
            last: None,
        };
        for (number, segment) in segments.iter().enumerate() {
            let name = hex(&segment.id);
            let mut lost = Vec::new();
            let stripes = segment.walk(|step| {
                match step {
                    Step::Read(stripe) => records.take_in(number, &name, &stripe),
                    Step::Lost { offset } => lost.push(offset),
                }
                Ok(())
            })?;
            records.judge(&name, stripes, &lost, segment.closed_with());
        }
        records.segments = segments;
        Ok(records)
    }

    /// A last stripe with too few units was never promised to anyone, unless the segment was closed with it.
    fn judge(&mut self, name: &str, stripes: u64, lost: &[u64], closed: Option<u64>) {
        for offset in lost {
            self.findings.push(format!("segment {name}: too few units of the stripe at {offset} are left"));
        }
        match closed {
            Some(expected) if expected != stripes => {
                self.findings.push(format!("segment {name}: {stripes} of its {expected} stripes can be followed"));
            }
            None if stripes == 0 => self.findings.push(format!("segment {name}: no stripe of it can be read")),
            _ => {}
        }
    }

    fn take_in(&mut self, segment: usize, name: &str, stripe: &Stripe) {
        let mut at = 0;
        while at < stripe.payload.len() {
            match self.take_record(segment, stripe, at) {
                Ok(len) => at += HEAD + len,
                Err(error) => {
                    self.findings.push(format!("segment {name}, stripe at {}: {error}", stripe.offset));
                    return;
                }
            }
        }
    }

    /// Takes the record at `at` in; gives the length of its bytes.
    fn take_record(&mut self, segment: usize, stripe: &Stripe, at: usize) -> Result<usize> {
        let mut fields = Fields::of(&stripe.payload[at..], "record");
        let (kind, _) = (fields.u8()?, fields.take(3)?);
        let len = fields.count()?;
        let address: Address = fields.array()?;
        let bytes = fields.take(len)?;
        if hash(self.suite, bytes) != address {
            return Err(Error::form("record", "its bytes do not have its address"));
        }
        match kind {
            CHUNK => drop(self.chunks.insert(address, Place { segment, offset: stripe.offset, at: at + HEAD, len })),
            ENTRY => self.entries.push(bytes.to_vec()),
            CHECKPOINT => self.checkpoints.push(bytes.to_vec()),
            WRAP => {
                let mut version = [0; 16];
                version.copy_from_slice(Fields::of(bytes.get(32..).unwrap_or_default(), "wrap").take(16)?);
                self.wraps.entry(version).or_default().push(bytes.to_vec());
            }
            _ => drop(self.small.insert(address, bytes.to_vec())),
        }
        Ok(len)
    }

    /// A record that is neither chunk, wrap, entry nor checkpoint.
    pub fn small(&self, what: &'static str, address: &Address) -> Result<&[u8]> {
        let found = self.small.get(address);
        found.map(Vec::as_slice).ok_or_else(|| Error::Missing { what, address: hex(address) })
    }

    /// A chunk, read from media and checked once more.
    pub fn chunk(&mut self, address: &Address) -> Result<&[u8]> {
        let missing = || Error::Missing { what: "chunk", address: hex(address) };
        let place = *self.chunks.get(address).ok_or_else(missing)?;
        let held =
            matches!(&self.last, Some((segment, stripe)) if *segment == place.segment && stripe.offset == place.offset);
        if !held {
            let payload = self.segments[place.segment].read(place.offset).ok_or_else(missing)?;
            self.last = Some((place.segment, Stripe { offset: place.offset, payload }));
        }
        let bytes = self.last.as_ref().and_then(|(_, stripe)| stripe.payload.get(place.at..place.at + place.len));
        match bytes {
            Some(bytes) if hash(self.suite, bytes) == *address => Ok(bytes),
            _ => Err(missing()),
        }
    }

    /// Chunks held.
    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }
}
