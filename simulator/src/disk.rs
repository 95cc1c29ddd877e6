//! One simulated medium: its files, what of them is durable, what of them has decayed, and what the page cache hides.
//!
//! Model
//! - A file keeps the bytes as they were written. Whatever the medium did to them lies over it, block by block, as
//!   [`Damage`]: a closed file without damage costs its bytes and nothing else, and whether a unit is good is a look-up.
//! - Reads through the page cache do not see damage that came after the file was cached; reads past it always do.
//! - A power cut takes what no honest sync covered: of each such write, each sector may or may not be there. Of the names
//!   changed since the folder's last sync, a prefix stays, as journals keep it.

use crate::rng::Rng;
use parking_lot::Mutex;
use shosoin_protocol::{SegmentId, VolumeId};
use shosoin_tiers::VolumeLabel;
use shosoin_tiers::layout::{BLOCK_BYTES, TEMPORARY, parse_shard_name};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What a medium writes as a whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What the medium did to one block.
#[derive(Debug, Clone)]
pub enum Damage {
    /// it cannot be read
    Unreadable,
    /// it reads as something else
    Bytes(Box<[u8]>),
}

#[derive(Debug, Clone)]
struct Spot {
    damage: Damage,
    /// the page cache holds the block as it was before
    behind_cache: bool,
}

/// Bytes that no honest sync covered.
#[derive(Debug, Clone)]
struct Unsynced {
    range: Range<usize>,
    /// the medium said they are durable, and will have stored them by then
    lied_until_ms: Option<u64>,
}

/// A file on a medium.
#[derive(Debug, Clone, Default)]
pub struct File {
    data: Vec<u8>,
    spots: BTreeMap<usize, Spot>,
    unsynced: Vec<Unsynced>,
    cached: bool,
}

/// A read that met a sector that cannot be read.
#[derive(Debug)]
pub struct BadSector;

impl File {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// The bytes as they were written.
    pub fn written(&self) -> &[u8] {
        &self.data
    }

    /// Stores `bytes` at `at`.
    pub fn write(&mut self, at: usize, bytes: &[u8], into_cache: bool) {
        let end = at + bytes.len();
        if self.data.len() < end {
            self.data.reserve_exact(end - self.data.len());
            self.data.resize(end, 0);
        }
        self.data[at..end].copy_from_slice(bytes);
        self.unsynced.push(Unsynced { range: at..end, lied_until_ms: None });
        self.cached |= into_cache;
    }

    /// Whether `range` touches bytes that an earlier sync made durable.
    pub fn is_synced(&self, range: &Range<usize>) -> bool {
        let start = self.unsynced.iter().map(|unsynced| unsynced.range.start).min().unwrap_or(self.data.len());
        range.start < start.min(self.data.len())
    }

    /// Makes everything durable.
    pub fn sync(&mut self) {
        self.unsynced.clear();
    }

    /// Says that everything is durable; it is not before `until_ms`.
    pub fn sync_lying(&mut self, until_ms: u64) {
        self.unsynced.iter_mut().for_each(|unsynced| unsynced.lied_until_ms = Some(until_ms));
    }

    /// A sync fails: what it should have made durable is dropped, and a later sync would not bring it back.
    pub fn sync_failing(&mut self) {
        for unsynced in std::mem::take(&mut self.unsynced) {
            self.spoil(unsynced.range, |_, bytes| bytes.fill(0));
            self.spots.values_mut().for_each(|spot| spot.behind_cache = self.cached);
        }
    }

    /// Bytes `range` that no sync covered yet.
    pub fn unsynced(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.unsynced.iter().map(|unsynced| unsynced.range.clone())
    }

    /// Lets the medium change `range`: `change` gets each part with its offset.
    pub fn spoil(&mut self, range: Range<usize>, mut change: impl FnMut(usize, &mut [u8])) {
        let range = range.start..range.end.min(self.data.len());
        for block in blocks(&range) {
            let (mut bytes, start) = (self.block(block), block * BLOCK_BYTES);
            let from = range.start.max(start) - start;
            let to = (range.end - start).min(bytes.len());
            if from < to {
                change(start + from, &mut bytes[from..to]);
            }
            self.spots.insert(block, Spot { damage: Damage::Bytes(bytes), behind_cache: self.cached });
        }
    }

    /// Makes one block unreadable.
    pub fn kill_block(&mut self, block: usize) {
        if block * BLOCK_BYTES < self.data.len() {
            self.spots.insert(block, Spot { damage: Damage::Unreadable, behind_cache: self.cached });
        }
    }

    /// What the medium holds of a block; zeros where it cannot be read.
    pub fn block(&self, block: usize) -> Box<[u8]> {
        let start = (block * BLOCK_BYTES).min(self.data.len());
        let end = (start + BLOCK_BYTES).min(self.data.len());
        match self.spots.get(&block).map(|spot| &spot.damage) {
            Some(Damage::Bytes(bytes)) if bytes.len() == end - start => bytes.clone(),
            Some(Damage::Unreadable) => vec![0; end - start].into(),
            _ => self.data[start..end].into(),
        }
    }

    /// Reads from `at` on as the medium has it, or as the page cache does; gives how many bytes there were.
    pub fn read(&mut self, at: usize, into: &mut [u8], through_cache: bool) -> Result<usize, BadSector> {
        let from = at.min(self.data.len());
        let count = into.len().min(self.data.len() - from);
        into[..count].copy_from_slice(&self.data[from..from + count]);
        let hidden = through_cache && self.cached;
        if !self.spots.is_empty() && count > 0 {
            let range = from..from + count;
            for (block, spot) in self.spots.range(from / BLOCK_BYTES..(from + count).div_ceil(BLOCK_BYTES)) {
                if hidden && spot.behind_cache {
                    continue;
                }
                let Damage::Bytes(bytes) = &spot.damage else { return Err(BadSector) };
                let start = block * BLOCK_BYTES;
                let (first, last) = (range.start.max(start), range.end.min(start + bytes.len()));
                if first < last {
                    into[first - from..last - from].copy_from_slice(&bytes[first - start..last - start]);
                }
            }
        }
        if through_cache && !self.cached {
            self.cached = true; // what it holds now is what was just read: spots so far stay visible
        }
        Ok(count)
    }

    /// Whether nothing that lies in `range` is changed, and all of it is there.
    pub fn is_whole(&self, range: Range<usize>) -> bool {
        range.end <= self.data.len() && !blocks(&range).any(|block| self.spots.contains_key(&block))
    }

    /// What the medium has in `range`; `None` where it cannot be read or is not there.
    pub fn on_medium(&self, range: Range<usize>) -> Option<Vec<u8>> {
        let mut bytes = self.data.get(range.clone())?.to_vec();
        for (block, spot) in self.spots.range(range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES)) {
            let Damage::Bytes(found) = &spot.damage else { return None };
            let start = block * BLOCK_BYTES;
            let (first, last) = (range.start.max(start), range.end.min(start + found.len()));
            if first < last {
                bytes[first - range.start..last - range.start].copy_from_slice(&found[first - start..last - start]);
            }
        }
        Some(bytes)
    }

    /// The system needs its memory for something else.
    pub fn evict(&mut self) {
        self.cached = false;
        self.spots.values_mut().for_each(|spot| spot.behind_cache = false);
    }

    fn cut_power(&mut self, now_ms: u64, rng: &mut Rng) {
        self.evict();
        for Unsynced { range, lied_until_ms } in std::mem::take(&mut self.unsynced) {
            if lied_until_ms.is_some_and(|until| until <= now_ms) {
                continue;
            }
            match rng.below(4) {
                0 => {}
                1 if range.end >= self.data.len() => {
                    self.data.truncate(range.start);
                    let blocks = self.data.len().div_ceil(BLOCK_BYTES);
                    self.spots.retain(|block, _| *block < blocks);
                }
                1 => self.spoil(range, |_, bytes| bytes.fill(0)),
                _ => self.spoil(range, |_, bytes| {
                    for sector in bytes.chunks_mut(SECTOR_BYTES) {
                        if rng.once_in(2) {
                            sector.fill(0);
                        }
                    }
                }),
            }
        }
    }
}

fn blocks(range: &Range<usize>) -> Range<usize> {
    range.start / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES)
}

/// A file that handles and folders share: an unlinked one lives as long as somebody has it open.
pub type Shared = Arc<Mutex<File>>;

/// What undoes a change of names that no sync covered.
#[derive(Debug, Clone)]
enum Undo {
    Link(String),
    Unlink(String, Shared),
    Rename { from: String, to: String, replaced: Option<Shared> },
}

/// A folder of a medium.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    live: BTreeMap<String, Shared>,
    unsynced: Vec<Undo>,
}

impl Folder {
    /// The files in it.
    pub fn files(&self) -> &BTreeMap<String, Shared> {
        &self.live
    }

    /// Adds a file.
    pub fn link(&mut self, name: &str, file: Shared) {
        self.live.insert(name.to_owned(), file);
        self.unsynced.push(Undo::Link(name.to_owned()));
    }

    /// Removes a file; false where there is none.
    pub fn unlink(&mut self, name: &str) -> bool {
        let Some(file) = self.live.remove(name) else { return false };
        self.unsynced.push(Undo::Unlink(name.to_owned(), file));
        true
    }

    /// Renames a file, replacing what is at `to`; false where there is none.
    pub fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(file) = self.live.remove(from) else { return false };
        let replaced = self.live.insert(to.to_owned(), file);
        self.unsynced.push(Undo::Rename { from: from.to_owned(), to: to.to_owned(), replaced });
        true
    }

    /// Makes names durable.
    pub fn sync(&mut self) {
        self.unsynced.clear();
    }

    fn cut_power(&mut self, now_ms: u64, rng: &mut Rng) {
        let kept = rng.index(self.unsynced.len() + 1);
        while self.unsynced.len() > kept {
            match self.unsynced.pop() {
                Some(Undo::Link(name)) => drop(self.live.remove(&name)),
                Some(Undo::Unlink(name, file)) => drop(self.live.insert(name, file)),
                Some(Undo::Rename { from, to, replaced }) => {
                    let moved = self.live.remove(&to);
                    self.live.extend(moved.map(|file| (from, file)));
                    self.live.extend(replaced.map(|file| (to, file)));
                }
                None => {}
            }
        }
        self.unsynced.clear();
        for file in self.live.values_mut() {
            let mut cut = file.lock().clone();
            cut.cut_power(now_ms, rng);
            *file = Arc::new(Mutex::new(cut)); // handles from before lead nowhere
        }
    }

    fn image(&self) -> Folder {
        let copy = |file: &Shared| Arc::new(Mutex::new(file.lock().clone()));
        let live = self.live.iter().map(|(name, file)| (name.clone(), copy(file))).collect();
        Folder { live, unsynced: Vec::new() }
    }
}

/// How a medium is doing, as the world sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// in its slot
    Present,
    /// somebody pulled it, and it is well
    Pulled,
    /// every call fails, for good
    Dead,
    /// taken out of use
    Retired,
}

/// One medium.
#[derive(Debug, Clone)]
pub struct Disk {
    /// where it is, for errors
    pub place: String,
    /// what it says about itself
    pub label: VolumeLabel,
    /// folders by path
    pub folders: BTreeMap<String, Folder>,
    /// how it is doing
    pub health: Health,
    /// calls time out now and then until then
    pub slow_until_ms: u64,
    /// calls fail now and then until then
    pub flaps_until_ms: u64,
    /// it takes no writes any more
    pub is_read_only: bool,
    /// writes find no room until then
    pub full_until_ms: u64,
    /// the next listing fails
    pub listing_fails: bool,
    /// whether writes go through the page cache
    pub is_buffered: bool,
    /// room on it
    pub capacity_bytes: u64,
    /// bytes written to it
    pub used_bytes: u64,
    /// when its rated life ends, in milliseconds since 1970
    pub rated_until_ms: u64,
}

impl Disk {
    /// An empty medium.
    pub fn new(place: String, label: VolumeLabel, capacity_bytes: u64, rated_until_ms: u64) -> Self {
        Disk {
            place,
            label,
            folders: BTreeMap::from([(String::new(), Folder::default())]),
            health: Health::Present,
            slow_until_ms: 0,
            flaps_until_ms: 0,
            is_read_only: false,
            full_until_ms: 0,
            listing_fails: false,
            is_buffered: false,
            capacity_bytes,
            used_bytes: 0,
            rated_until_ms,
        }
    }

    /// Its volume.
    pub fn id(&self) -> VolumeId {
        self.label.id
    }

    /// Whether every call on it works now.
    pub fn is_steady(&self, now_ms: u64) -> bool {
        self.health == Health::Present && self.slow_until_ms <= now_ms && self.flaps_until_ms <= now_ms
    }

    /// A file by path.
    pub fn file(&self, path: &str) -> Option<&Shared> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.folders.get(dir)?.live.get(name)
    }

    /// Every shard file with its path's folder and name.
    pub fn shards(&self) -> impl Iterator<Item = (SegmentId, u8, &Shared)> + '_ {
        let files = self.folders.values().flat_map(|folder| &folder.live);
        files.filter_map(|(name, file)| {
            let (segment, shard) = parse_shard_name(name)?;
            Some((segment, shard, file))
        })
    }

    /// The copy of a shard on it, if there is one.
    pub fn shard(&self, name: &str) -> Option<&Shared> {
        self.folders.values().find_map(|folder| folder.live.get(name))
    }

    /// Cuts the power.
    pub fn cut_power(&mut self, now_ms: u64, rng: &mut Rng) {
        self.folders.values_mut().for_each(|folder| folder.cut_power(now_ms, rng));
        self.count_used();
    }

    /// Recounts what is on it.
    pub fn count_used(&mut self) {
        let files = self.folders.values().flat_map(|folder| folder.live.values());
        self.used_bytes = files.map(|file| file.lock().len() as u64).sum();
    }

    /// The files as they are now, as an image that somebody could restore.
    pub fn image(&self) -> BTreeMap<String, Folder> {
        self.folders.iter().map(|(path, folder)| (path.clone(), folder.image())).collect()
    }

    /// The page cache lets go of everything.
    pub fn evict(&self) {
        self.folders.values().flat_map(|folder| folder.live.values()).for_each(|file| file.lock().evict());
    }
}

/// Segment and shard of a shard file's path, also while it is being rebuilt.
pub fn shard_of(path: &str) -> Option<(SegmentId, u8)> {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    parse_shard_name(name.strip_suffix(TEMPORARY).unwrap_or(name))
}

/// Name of a shard file, in whatever folder it is.
pub fn shard_name(segment: SegmentId, shard: u8) -> String {
    format!("{segment}-{shard}.shard")
}
