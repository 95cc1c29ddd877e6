//! The files below `shelf/` in the vault's folder: what is on each medium that may be away, where the chunks of segments
//! are that left hot volumes, and when segments were read last. They outlive the index, so that a vault whose index was made
//! anew still knows what is on which shelf. Each is replaced as a whole; one that is not good counts as absent.
//!
//! The forms are in `docs/format.md`.

use crate::error::Result;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Address, HospitalId, SegmentId, VolumeId};
use shosoin_tiers::media::{FileMedia, FileOptions, Media};
use shosoin_tiers::{Error as MediaError, Location, durable};
use std::collections::BTreeMap;
use std::path::Path;

/// Folder of the files.
pub const DIR: &str = "shelf";
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 32;
/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// A file: magic, version, reserved, body, checksum.
pub trait Stored: Sized {
    /// First bytes.
    const MAGIC: [u8; 4];
    /// Ending of its name.
    const ENDING: &'static str;

    /// Name without the ending.
    fn name(&self) -> String;

    /// Writes the body.
    fn write(&self, out: &mut Writer);

    /// Reads the body.
    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self>;

    /// The whole file.
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.put(&Self::MAGIC).u8(VERSION).zeros(3);
        self.write(&mut out);
        let mut bytes = out.finish();
        let checksum = sha256(&[&bytes]);
        bytes.extend_from_slice(&checksum.0);
        bytes
    }

    /// Reads a whole file.
    fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        use shosoin_protocol::Error;
        let what = "shelf file";
        let truncated = Error::Truncated { what, needed: CHECKSUM_BYTES, left: bytes.len() };
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(truncated)?;
        if sha256(&[content]).0 != *checksum {
            return Err(Error::Invalid { what, why: "its checksum is another" });
        }
        let mut reader = Reader::new(content, what);
        if reader.array::<4>("magic")? != Self::MAGIC {
            return Err(Error::Magic { what });
        }
        match reader.u8("version")? {
            VERSION => {}
            found => return Err(Error::Version { what, found, known: VERSION }),
        }
        reader.zeros(3, "reserved")?;
        let value = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// One shard on a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedShard {
    /// whose
    pub hospital: HospitalId,
    /// segment
    pub segment: SegmentId,
    /// which of its shards
    pub shard: u8,
    /// shards that are needed to read the segment
    pub k: u8,
    /// shards that may be missing
    pub m: u8,
    /// bytes of its file
    pub len_bytes: u64,
}

/// What is on one medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShelfList {
    /// medium
    pub volume: VolumeId,
    /// generation of its label
    pub generation: u64,
    /// when the list was made, in milliseconds since 1970
    pub written_ms: u64,
    /// shards, in order
    pub shards: Vec<ListedShard>,
}

impl Stored for ShelfList {
    const MAGIC: [u8; 4] = *b"shsl";
    const ENDING: &'static str = ".list";

    fn name(&self) -> String {
        self.volume.to_string()
    }

    fn write(&self, out: &mut Writer) {
        out.put(&self.volume.0).u64(self.generation).u64(self.written_ms).count(self.shards.len());
        for row in &self.shards {
            out.put(&row.hospital.0).put(&row.segment.0).u8(row.shard).u8(row.k).u8(row.m).zeros(1).u64(row.len_bytes);
        }
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let (volume, generation) = (VolumeId::read(reader)?, reader.u64("generation")?);
        let (written_ms, count) = (reader.u64("written")?, reader.u32("shards")?);
        let mut shards = Vec::new();
        for _ in 0..count {
            let (hospital, segment) = (HospitalId::read(reader)?, SegmentId::read(reader)?);
            let (shard, k, m) = (reader.u8("shard")?, reader.u8("k")?, reader.u8("m")?);
            reader.zeros(1, "reserved")?;
            shards.push(ListedShard { hospital, segment, shard, k, m, len_bytes: reader.u64("length")? });
        }
        Ok(ShelfList { volume, generation, written_ms, shards })
    }
}

/// Where the chunks of one segment are that no hot volume has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShelfTable {
    /// whose
    pub hospital: HospitalId,
    /// segment
    pub segment: SegmentId,
    /// chunks by address
    pub chunks: Vec<(Address, Location)>,
}

impl Stored for ShelfTable {
    const MAGIC: [u8; 4] = *b"shst";
    const ENDING: &'static str = ".table";

    fn name(&self) -> String {
        self.segment.to_string()
    }

    fn write(&self, out: &mut Writer) {
        out.put(&self.hospital.0).put(&self.segment.0).count(self.chunks.len());
        for (address, at) in &self.chunks {
            out.put(&address.0).u64(at.stripe_at).u32(at.payload_len).u32(at.at).u32(at.len);
        }
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let (hospital, segment) = (HospitalId::read(reader)?, SegmentId::read(reader)?);
        let mut chunks = Vec::new();
        for _ in 0..reader.u32("chunks")? {
            let address = Address::read(reader)?;
            let (stripe_at, payload_len) = (reader.u64("stripe offset")?, reader.u32("payload length")?);
            let (at, len) = (reader.u32("record offset")?, reader.u32("record length")?);
            chunks.push((address, Location { segment, stripe_at, payload_len, at, len }));
        }
        Ok(ShelfTable { hospital, segment, chunks })
    }
}

/// On which day something of each segment was read last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastReads {
    /// since when reads are known, in milliseconds since 1970
    pub since_ms: u64,
    /// days since 1970 by segment
    pub days: BTreeMap<SegmentId, u32>,
}

impl Stored for LastReads {
    const MAGIC: [u8; 4] = *b"shlr";
    const ENDING: &'static str = "";

    fn name(&self) -> String {
        LAST_READS.to_owned()
    }

    fn write(&self, out: &mut Writer) {
        out.u64(self.since_ms).count(self.days.len());
        for (segment, day) in &self.days {
            out.put(&segment.0).u32(*day);
        }
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let mut reads = LastReads { since_ms: reader.u64("since")?, days: BTreeMap::new() };
        for _ in 0..reader.u32("segments")? {
            let segment = SegmentId::read(reader)?;
            reads.days.insert(segment, reader.u32("day")?);
        }
        Ok(reads)
    }
}

/// Name of the file of [`LastReads`].
pub const LAST_READS: &str = "last-reads";

fn folder(dir: &Path) -> Result<FileMedia> {
    let folder = FileMedia::open(dir, FileOptions { exclusive: false, ..FileOptions::default() })?;
    match folder.make_dir(DIR) {
        Ok(()) | Err(MediaError::Exists { .. }) => Ok(folder),
        Err(error) => Err(error.into()),
    }
}

/// Replaces a file of the vault in `dir`, durably.
pub fn save<T: Stored>(dir: &Path, value: &T) -> Result<()> {
    let path = format!("{DIR}/{}{}", value.name(), T::ENDING);
    Ok(durable::replace(&folder(dir)?, &path, &value.encode())?)
}

/// Reads a file; `None` where there is none that is good.
pub fn load<T: Stored>(dir: &Path, name: &str) -> Option<T> {
    load_file(&dir.join(DIR).join(format!("{name}{}", T::ENDING)))
}

/// Whether there is such a file.
pub fn exists<T: Stored>(dir: &Path, name: &str) -> bool {
    dir.join(DIR).join(format!("{name}{}", T::ENDING)).exists()
}

fn load_file<T: Stored>(path: &Path) -> Option<T> {
    let len = std::fs::metadata(path).ok()?.len();
    let read = if len <= FILE_BYTES_MAX { std::fs::read(path) } else { Err(std::io::ErrorKind::FileTooLarge.into()) };
    let bytes = read.inspect_err(|error| tracing::warn!(path = %path.display(), %error, "a shelf file cannot be read"));
    let value = T::decode(&bytes.ok()?);
    value.inspect_err(|error| tracing::warn!(path = %path.display(), %error, "a shelf file is not good")).ok()
}

/// Visits every good file of a kind.
pub fn for_each<T: Stored>(dir: &Path, visit: &mut dyn FnMut(T) -> Result<()>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(dir.join(DIR)) else { return Ok(()) };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let is_kind = |path: &Path| path.to_string_lossy().ends_with(T::ENDING);
    for path in paths.iter().filter(|path| is_kind(path)) {
        if let Some(value) = load_file(path) {
            visit(value)?;
        }
    }
    Ok(())
}

/// Removes the table of a segment that is no more.
pub fn forget(dir: &Path, segment: SegmentId) {
    let path = dir.join(DIR).join(format!("{segment}{}", ShelfTable::ENDING));
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "the table of a removed segment stays");
    }
}

#[cfg(test)]
mod tests;
