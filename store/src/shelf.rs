//! Which volumes hold the shards of segments that have left the hot ones, or of volumes that were put on a shelf: so that a
//! record on a shelf is told from one that is lost, and the operator is told what to mount.
//!
//! Invariants
//! - What is needed to answer is in the index, and in files beside the ledger of media: an index that is made anew while
//!   media are on their shelf has it from there.
//! - A list is written before a medium is taken out of use, and the table of a segment before its first hot copy is removed.
//! - What a volume is not known to hold is not taken off its list: one that could not be listed keeps the list it has.
//! - None of it is believed: records are verified when their medium is there.

pub mod file;

use crate::error::{Error, Result};
use crate::index::{Batch, Index, Pending};
use crate::rows::{self, RecordRow, Row, Rows, ShelfRow};
use file::{ListedShard, ShelfList, ShelfTable};
use shosoin_protocol::{HospitalId, RecordKind, SegmentId, VolumeId};
use shosoin_tiers::volume::TierKind;
use shosoin_tiers::{Error as MediaError, Mounted, SegmentInfo, SegmentState, Tier};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Remembers where every closed segment is that no hot volume has.
pub fn remember_all(index: &dyn Index, tier: &Tier) -> Result<()> {
    let mut batch = Batch::default();
    for segment in gone_cold(tier) {
        put(index, &mut batch, &segment)?;
    }
    match batch.is_empty() {
        true => Ok(()),
        false => index.write(batch),
    }
}

/// Closed segments that no hot volume has.
fn gone_cold(tier: &Tier) -> impl Iterator<Item = SegmentInfo> {
    let cold = |info: &SegmentInfo| info.state == SegmentState::Closed && !tier.is_hot(info.id).unwrap_or(true);
    tier.segments().into_iter().filter(cold).collect::<Vec<_>>().into_iter()
}

/// Remembers where one segment is, and where its chunks are in it.
pub fn remember(dir: &Path, index: &dyn Index, tier: &Tier, segment: SegmentId) -> Result<()> {
    let mut batch = Batch::default();
    if let Some(info) = tier.segment_info(segment) {
        put(index, &mut batch, &info)?;
        keep_table(dir, tier, &info)?;
    }
    index.write(batch)
}

/// Writes the files of the vault in `dir` about everything that may be away when it is opened next: archive volumes, and
/// segments that are on these alone. What has not changed is not written; the table of a segment never changes.
pub fn keep_all(dir: &Path, tier: &Tier, now_ms: u64) -> Result<()> {
    keep_lists(dir, tier, now_ms)?;
    for info in gone_cold(tier) {
        if !file::exists::<ShelfTable>(dir, &info.id.to_string()) {
            keep_table(dir, tier, &info)?;
        }
    }
    Ok(())
}

/// Writes the lists of archive volumes that have changed.
pub fn keep_lists(dir: &Path, tier: &Tier, now_ms: u64) -> Result<()> {
    let archived = tier.kinds().into_iter().filter(|(_, kind)| *kind == TierKind::Archive);
    archived.map(|(volume, _)| volume).try_for_each(|volume| keep_list(dir, tier, volume, now_ms))
}

/// Remembers everything that is on a volume which is about to be taken to a shelf.
pub fn keep_volume(dir: &Path, index: &dyn Index, tier: &Tier, volume: VolumeId, now_ms: u64) -> Result<()> {
    let mut batch = Batch::default();
    for shard in tier.shards_on(volume) {
        if let Some(info) = tier.segment_info(shard.shard.segment) {
            put(index, &mut batch, &info)?;
        }
    }
    index.write(batch)?;
    keep_list(dir, tier, volume, now_ms)
}

fn keep_list(dir: &Path, tier: &Tier, volume: VolumeId, now_ms: u64) -> Result<()> {
    let is_meant = |mounted: &Mounted| mounted.label.id == volume && !mounted.unlisted;
    let Some(mounted) = tier.mounted().into_iter().find(is_meant) else { return Ok(()) };
    let listed = |on: shosoin_tiers::ShardOnVolume| {
        let info = tier.segment_info(on.shard.segment)?;
        let of_code = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        Some(ListedShard {
            hospital: on.shard.hospital,
            segment: on.shard.segment,
            shard: on.shard.shard,
            k: of_code(info.code.k()),
            m: of_code(info.code.m()),
            len_bytes: on.len_bytes,
        })
    };
    let mut shards: Vec<ListedShard> = tier.shards_on(volume).into_iter().filter_map(listed).collect();
    shards.sort_unstable();
    let generation = mounted.label.generation;
    match file::load::<ShelfList>(dir, &volume.to_string()) {
        Some(known) if known.generation == generation && known.shards == shards => Ok(()),
        _ => file::save(dir, &ShelfList { volume, generation, written_ms: now_ms, shards }),
    }
}

fn keep_table(dir: &Path, tier: &Tier, info: &SegmentInfo) -> Result<()> {
    let mut chunks = Vec::new();
    tier.walk(info.id, 0, &mut |walked| {
        if walked.kind == RecordKind::Chunk {
            chunks.push((walked.address, walked.location));
        }
        Ok(())
    })?;
    file::save(dir, &ShelfTable { hospital: info.hospital, segment: info.id, chunks })
}

/// Segments of a hospital that a list of some medium names.
pub fn segments_of(dir: &Path, hospital: HospitalId) -> Result<BTreeSet<SegmentId>> {
    let mut segments = BTreeSet::new();
    file::for_each(dir, &mut |list: ShelfList| {
        segments.extend(list.shards.iter().filter(|listed| listed.hospital == hospital).map(|listed| listed.segment));
        Ok(())
    })?;
    Ok(segments)
}

/// Takes what the files of the vault in `dir` say into an index that was made anew. What media say counts more, and what is
/// said of removed segments counts for nothing.
pub fn take_in(dir: &Path, index: &dyn Index, tier: &Tier) -> Result<()> {
    let mut rows = Pending::new(index);
    file::for_each(dir, &mut |list: ShelfList| {
        for listed in list.shards.into_iter().filter(|listed| !tier.is_removed(listed.segment)) {
            let key = rows::shelf_key(listed.segment);
            let count = usize::from(listed.k) + usize::from(listed.m);
            let known: Option<ShelfRow> = rows.row(&key)?;
            let mut row = known.unwrap_or(ShelfRow { needed: listed.k, shards: vec![None; count] });
            if let Some(slot @ None) = row.shards.get_mut(usize::from(listed.shard)) {
                *slot = Some(list.volume);
                rows.put(key, row.encode());
                rows.write_if_many()?;
            }
        }
        Ok(())
    })?;
    file::for_each(dir, &mut |table: ShelfTable| {
        if tier.is_removed(table.segment) {
            file::forget(dir, table.segment);
            return Ok(());
        }
        for (address, at) in table.chunks {
            let key = rows::record_key(table.hospital, &address);
            if rows.get(&key)?.is_none() {
                rows.put(key, RecordRow { kind: RecordKind::Chunk, at }.encode());
                rows.write_if_many()?;
            }
        }
        Ok(())
    })?;
    rows.write()
}

/// Shards that the list of a medium names and that are not on it; nothing where there is no list.
pub fn missing_from(dir: &Path, volume: &shosoin_tiers::Volume) -> Option<(usize, usize)> {
    let list = file::load::<ShelfList>(dir, &volume.id().to_string())?;
    let is_missing = |listed: &&ListedShard| {
        let path = shosoin_tiers::layout::shard_path(listed.hospital, listed.segment, listed.shard);
        volume.media().open(&path).and_then(|file| file.len()).map_or(true, |len| len < listed.len_bytes)
    };
    Some((list.shards.iter().filter(is_missing).count(), list.shards.len()))
}

/// A row with what is seen now; what is out of sight now stays as it was remembered.
fn put(index: &dyn Index, batch: &mut Batch, info: &SegmentInfo) -> Result<()> {
    let key = rows::shelf_key(info.id);
    let known: Option<ShelfRow> = index.row(&key)?;
    let before = |no: usize| known.as_ref().and_then(|row| row.shards.get(no).copied().flatten());
    let shards = info.shards.iter().enumerate().map(|(no, seen)| seen.or_else(|| before(no))).collect();
    let needed = u8::try_from(info.code.k()).unwrap_or(u8::MAX);
    batch.put(key, ShelfRow { needed, shards }.encode());
    Ok(())
}

/// What must be mounted before a segment can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// how many of the volumes are needed
    pub needed: usize,
    /// those that hold its shards and are not there
    pub volumes: Vec<VolumeId>,
}

impl Away {
    /// What is away of a segment, by what is remembered of it and what is in sight. Nothing is needed where enough of its
    /// shards can be read.
    pub fn of(tier: &Tier, segment: SegmentId, remembered: Option<&ShelfRow>) -> Away {
        let (answering, seen) = (tier.answering(), tier.segment_info(segment));
        let k = match (&seen, remembered) {
            (Some(seen), _) => seen.code.k(),
            (None, Some(row)) => usize::from(row.needed),
            (None, None) => return Away { needed: 1, volumes: Vec::new() },
        };
        let seen_on = |no: usize| seen.as_ref().and_then(|seen| seen.shards.get(no).copied().flatten());
        let known_on = |no: usize| remembered.and_then(|row| row.shards.get(no).copied().flatten());
        let is_open = seen.as_ref().is_some_and(|seen| seen.state != SegmentState::Unreadable);
        let count = seen.as_ref().map_or(0, |seen| seen.shards.len());
        let (mut here, mut volumes) = (0, Vec::new());
        for no in 0..count.max(remembered.map_or(0, |row| row.shards.len())) {
            match (seen_on(no), known_on(no)) {
                (Some(volume), _) if answering.contains(&volume) => here += 1,
                (_, Some(volume)) if !answering.contains(&volume) => volumes.push(volume),
                // with too few shards mounted the segment is not open yet, and what is remembered counts
                (None, Some(_)) if !is_open => here += 1,
                (Some(volume), _) => volumes.push(volume),
                _ => {}
            }
        }
        volumes.sort_unstable();
        volumes.dedup();
        Away { needed: k.saturating_sub(here), volumes }
    }

    /// Whether mounting what is away makes the segment readable.
    pub fn is_on_shelf(&self) -> bool {
        self.needed > 0 && self.needed <= self.volumes.len()
    }
}

/// Every segment that is on a shelf.
pub fn all_away(index: &dyn Index, tier: &Tier) -> Result<BTreeMap<SegmentId, Away>> {
    let mut found = BTreeMap::new();
    index.scan(&rows::shelf_prefix(), &mut |key, value| {
        if let Some(segment) = rows::watermark_segment(key) {
            let away = Away::of(tier, segment, Some(&ShelfRow::decode(value)?));
            found.extend(away.is_on_shelf().then_some((segment, away)));
        }
        Ok(true)
    })?;
    Ok(found)
}

/// What is away of one segment.
pub fn away(index: &dyn Index, tier: &Tier, segment: SegmentId) -> Result<Away> {
    let row = index.row::<ShelfRow>(&rows::shelf_key(segment))?;
    Ok(Away::of(tier, segment, row.as_ref()))
}

/// Shards that are needed to read a segment; 0 where nothing is known of it.
pub fn data_shards(index: &dyn Index, tier: &Tier, segment: SegmentId) -> Result<usize> {
    match tier.segment_info(segment) {
        Some(seen) => Ok(seen.code.k()),
        None => Ok(index.row::<ShelfRow>(&rows::shelf_key(segment))?.map_or(0, |row| usize::from(row.needed))),
    }
}

/// The same error, or which volumes must be mounted if that is what is wrong.
pub fn explain(index: &dyn Index, tier: &Tier, segment: SegmentId, error: MediaError) -> Error {
    let out_of_sight = matches!(
        error,
        MediaError::SegmentUnknown { .. } | MediaError::SegmentUnreadable { .. } | MediaError::RecordUnreadable { .. }
    );
    match away(index, tier, segment) {
        Ok(away) if out_of_sight && away.is_on_shelf() => {
            Error::OnShelf { segment, needed: away.needed, volumes: away.volumes }
        }
        _ => error.into(),
    }
}
