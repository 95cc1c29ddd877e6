//! Which volumes hold the shards of segments that have left the hot ones: hints in the index, so that a record on a shelf is
//! told from one that is lost, and the operator is told what to mount.
//!
//! Rows are written when a vault is opened and when a segment moves. An index that is made anew while media are on their
//! shelf knows them again when they were mounted once.

use crate::error::{Error, Result};
use crate::index::{Batch, Index};
use crate::rows::{self, Row, Rows, ShelfRow};
use shosoin_protocol::{SegmentId, VolumeId};
use shosoin_tiers::{Error as MediaError, SegmentInfo, SegmentState, Tier};
use std::collections::BTreeMap;

/// Remembers where every closed segment is that no hot volume has.
pub fn remember_all(index: &dyn Index, tier: &Tier) -> Result<()> {
    let mut batch = Batch::default();
    for segment in tier.segments() {
        if segment.state == SegmentState::Closed && !tier.is_hot(segment.id).unwrap_or(true) {
            put(index, &mut batch, &segment)?;
        }
    }
    match batch.is_empty() {
        true => Ok(()),
        false => index.write(batch),
    }
}

/// Remembers where one segment is.
pub fn remember(index: &dyn Index, tier: &Tier, segment: SegmentId) -> Result<()> {
    let mut batch = Batch::default();
    if let Some(info) = tier.segments().iter().find(|info| info.id == segment) {
        put(index, &mut batch, info)?;
    }
    index.write(batch)
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
