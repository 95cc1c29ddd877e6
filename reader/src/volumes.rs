//! Volumes, shard files and stripes: format.md, "On media". Up to m of the k + m shards of a segment may be missing.
//!
//! What is always true: a byte is used only after the digest of its unit was checked; parity is never used to judge.

use crate::bytes::Fields;
use crate::crypto::{Id, hash};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const HEADER_LEN: usize = 1024;
const BLOCK: usize = 4096;
/// Longest payload of a stripe.
const PAYLOAD_MAX: usize = 32 * 1024 * 1024;
/// Folders below a given one that are searched for volumes.
const DEPTH_MAX: usize = 3;

/// All copies of all shards of one segment.
pub struct Segment {
    /// its id
    pub id: Id,
    hospital: Id,
    copies: Vec<(u8, File)>,
}

/// A stripe whose payload was verified.
pub struct Stripe {
    /// where it is in every shard
    pub offset: u64,
    /// records in a row
    pub payload: Vec<u8>,
}

/// One step along a segment.
pub enum Step {
    /// a stripe with its payload
    Read(Stripe),
    /// a stripe of which too few units are left
    Lost {
        /// where it is
        offset: u64,
    },
}

struct Header {
    suite: u8,
    k: usize,
    m: usize,
    unit_len: usize,
    payload_len: usize,
    previous: [u8; 32],
    digests: Vec<[u8; 32]>,
    digest: [u8; 32],
}

/// The segments of `hospital` below the given folders, by id.
pub fn find(folders: &[PathBuf], hospital: Id) -> Result<Vec<Segment>> {
    let mut segments: BTreeMap<Id, Segment> = BTreeMap::new();
    let wanted = crate::bytes::hex(&hospital);
    for folder in folders {
        let mut below = vec![(folder.clone(), 0)];
        while let Some((folder, depth)) = below.pop() {
            let shards = folder.join("segments").join(&wanted);
            if shards.is_dir() {
                list(&shards)?.into_iter().try_for_each(|path| add(&mut segments, hospital, &path))?;
            } else if depth < DEPTH_MAX {
                below.extend(list(&folder)?.into_iter().filter(|path| path.is_dir()).map(|path| (path, depth + 1)));
            }
        }
    }
    Ok(segments.into_values().collect())
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let listed = std::fs::read_dir(folder).map_err(Error::file("list", folder))?;
    let paths: std::io::Result<Vec<PathBuf>> = listed.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(Error::file("list", folder))?;
    paths.sort();
    Ok(paths)
}

/// `<segment id>-<shard number>.shard`; other files are not ours.
fn add(segments: &mut BTreeMap<Id, Segment>, hospital: Id, path: &Path) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".shard"));
    let Some((id, shard)) = name.and_then(|name| name.split_once('-')) else { return Ok(()) };
    let (Some(id), Ok(shard)) = (parse_id(id), shard.parse::<u8>()) else { return Ok(()) };
    let file = File::open(path).map_err(Error::file("open", path))?;
    segments.entry(id).or_insert_with(|| Segment { id, hospital, copies: Vec::new() }).copies.push((shard, file));
    Ok(())
}

/// An id from its 32 hexadecimal digits.
pub fn parse_id(text: &str) -> Option<Id> {
    let mut id = [0; 16];
    let good = text.len() == 32 && text.is_ascii();
    for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    good.then_some(id)
}

impl Segment {
    /// Every stripe in order. `what` gets each; damage does not end the walk, the end of the chain does.
    pub fn walk(&self, mut what: impl FnMut(Step) -> Result<()>) -> Result<u64> {
        let (mut offset, mut previous, mut stripes) = (0, [0; 32], 0);
        while let Some(header) = self.header(offset, Some(&previous)) {
            what(match self.payload(offset, &header) {
                Some(payload) => Step::Read(Stripe { offset, payload }),
                None => Step::Lost { offset },
            })?;
            (previous, stripes) = (header.digest, stripes + 1);
            offset += (HEADER_LEN + header.unit_len) as u64;
        }
        Ok(stripes)
    }

    /// The payload of the stripe at `offset` once more.
    pub fn read(&self, offset: u64) -> Option<Vec<u8>> {
        self.payload(offset, &self.header(offset, None)?)
    }

    /// How many stripes the segment had when it was closed; nothing if no copy says.
    pub fn closed_with(&self) -> Option<u64> {
        self.copies.iter().find_map(|(_, file)| {
            let end = file.metadata().ok()?.len();
            let mut locator = [0; BLOCK];
            file.read_exact_at(&mut locator, end.checked_sub(BLOCK as u64)?).ok()?;
            let good = locator[..5] == *b"shsf\x01" && hash(locator[5], &locator[..4064]) == locator[4064..];
            let ours = locator[16..32] == self.id;
            let stripes = u32::from_le_bytes(locator[72..76].try_into().ok()?);
            (good && ours).then_some(u64::from(stripes))
        })
    }

    /// The first good header of the stripe at `offset`: the one that follows `previous`, if that is known.
    fn header(&self, offset: u64, previous: Option<&[u8; 32]>) -> Option<Header> {
        let of_copy = |(shard, file): &(u8, File)| {
            let mut bytes = [0; HEADER_LEN];
            file.read_exact_at(&mut bytes, offset).ok()?;
            let header = self.parse(&bytes, *shard, offset).ok()?;
            previous.is_none_or(|previous| header.previous == *previous).then_some(header)
        };
        self.copies.iter().find_map(of_copy)
    }

    fn parse(&self, bytes: &[u8; HEADER_LEN], shard: u8, offset: u64) -> Result<Header> {
        const WHAT: &str = "unit header";
        let mut fields = Fields::of(bytes, WHAT);
        if fields.array::<4>()? != *b"shsu" || fields.u8()? != 1 {
            return Err(Error::form(WHAT, "it is none of version 1"));
        }
        let (suite, k, m) = (fields.u8()?, usize::from(fields.u8()?), usize::from(fields.u8()?));
        let (unit_len, _) = (fields.count()?, fields.u32()?);
        let (segment, hospital): (Id, Id) = (fields.array()?, fields.array()?);
        let (_number, found_offset, payload_len) = (fields.u64()?, fields.u64()?, fields.count()?);
        let (_records, _written, previous) = (fields.u32()?, fields.u64()?, fields.array()?);
        let digests: Vec<[u8; 32]> = (0..14).map(|_| fields.array()).collect::<Result<_>>()?;
        let whole = hash(suite, &bytes[..992]) == bytes[992..] && hash(suite, &bytes[..928]) == bytes[928..960];
        let ours = segment == self.id && hospital == self.hospital && found_offset == offset && bytes[960] == shard;
        let slot = (HEADER_LEN + payload_len.div_ceil(k.max(1))).next_multiple_of(BLOCK);
        let fits = k >= 1 && k + m <= digests.len() && payload_len <= PAYLOAD_MAX && unit_len == slot - HEADER_LEN;
        match whole && ours && fits {
            true => {
                let mut digest = [0; 32];
                digest.copy_from_slice(&bytes[928..960]);
                Ok(Header { suite, k, m, unit_len, payload_len, previous, digests, digest })
            }
            false => Err(Error::form(WHAT, "it is not of this place, or was changed")),
        }
    }

    /// The payload, from any k good units.
    fn payload(&self, offset: u64, header: &Header) -> Option<Vec<u8>> {
        let mut units: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        // data units first: with all of them nothing is computed
        let mut copies: Vec<&(u8, File)> = self.copies.iter().collect();
        copies.sort_by_key(|(shard, _)| *shard);
        for (shard, file) in copies {
            if units.len() == header.k || units.contains_key(shard) || usize::from(*shard) >= header.k + header.m {
                continue;
            }
            let mut unit = vec![0; header.unit_len];
            let read = file.read_exact_at(&mut unit, offset + HEADER_LEN as u64);
            if read.is_ok() && hash(header.suite, &unit) == header.digests[usize::from(*shard)] {
                units.insert(*shard, unit);
            }
        }
        (units.len() == header.k).then(|| {
            let mut payload = Vec::with_capacity(header.k * header.unit_len);
            for data in (0u8..).take(header.k) {
                match units.get(&data) {
                    Some(unit) => payload.extend_from_slice(unit),
                    None => payload.extend_from_slice(&rebuild(&units, data, header.unit_len)),
                }
            }
            payload.truncate(header.payload_len);
            payload
        })
    }
}

/// The unit at place `wanted` of the polynomials through all of `units`.
fn rebuild(units: &BTreeMap<u8, Vec<u8>>, wanted: u8, unit_len: usize) -> Vec<u8> {
    let mut out = vec![0; unit_len];
    for (&own, unit) in units {
        let others = units.keys().filter(|other| **other != own);
        let weight = others.fold(1, |weight, other| mul(weight, mul(wanted ^ other, inverse(own ^ other))));
        let products: Vec<u8> = (0..=255).map(|value| mul(weight, value)).collect();
        out.iter_mut().zip(unit).for_each(|(sum, value)| *sum ^= products[usize::from(*value)]);
    }
    out
}

/// Product in GF(256) reduced by 0x11d.
fn mul(a: u8, b: u8) -> u8 {
    let (mut product, mut a) = (0, a);
    for bit in 0..8 {
        product ^= a & ((b >> bit) & 1).wrapping_neg();
        a = (a << 1) ^ (0x1d & (a >> 7).wrapping_neg());
    }
    product
}

fn inverse(a: u8) -> u8 {
    (0..254).fold(1, |power, _| mul(power, a))
}
