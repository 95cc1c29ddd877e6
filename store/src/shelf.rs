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

/// What must be mounted for `row`; `None` where enough is there, or too little is known.
fn away(tier: &Tier, row: ShelfRow) -> Option<Away> {
    let present = tier.kinds();
    let (here, volumes): (Vec<_>, Vec<_>) =
        row.shards.into_iter().flatten().partition(|volume| present.iter().any(|(id, _)| id == volume));
    let needed = usize::from(row.needed).saturating_sub(here.len());
    (needed > 0 && needed <= volumes.len()).then_some(Away { needed, volumes })
}

/// Every segment that is on a shelf.
pub fn all_away(index: &dyn Index, tier: &Tier) -> Result<BTreeMap<SegmentId, Away>> {
    let mut found = BTreeMap::new();
    index.scan(&rows::shelf_prefix(), &mut |key, value| {
        let segment = rows::watermark_segment(key);
        found.extend(segment.zip(away(tier, ShelfRow::decode(value)?)));
        Ok(true)
    })?;
    Ok(found)
}

/// The same error, or which volumes must be mounted if that is what is wrong.
pub fn explain(index: &dyn Index, tier: &Tier, segment: SegmentId, error: MediaError) -> Error {
    let out_of_sight = matches!(
        error,
        MediaError::SegmentUnknown { .. } | MediaError::SegmentUnreadable { .. } | MediaError::RecordUnreadable { .. }
    );
    match index.row::<ShelfRow>(&rows::shelf_key(segment)).ok().flatten().and_then(|row| away(tier, row)) {
        Some(Away { needed, volumes }) if out_of_sight => Error::OnShelf { segment, needed, volumes },
        _ => error.into(),
    }
}
