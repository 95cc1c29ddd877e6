//! Which volumes hold the shards of segments that have left the hot ones: hints in the index, so that a record on a shelf is
//! told from one that is lost, and the operator is told what to mount.
//!
//! Rows are written when a vault is opened and when a segment moves. An index that is made anew while media are on their
//! shelf knows them again when they were mounted once.

use crate::error::{Error, Result};
use crate::index::{Batch, Index};
use crate::rows::{self, Row, Rows, ShelfRow};
use shosoin_protocol::SegmentId;
use shosoin_tiers::{Error as MediaError, SegmentInfo, SegmentState, Tier};

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

/// The same error, or which volumes must be mounted if that is what is wrong.
pub fn explain(index: &dyn Index, tier: &Tier, segment: SegmentId, error: MediaError) -> Error {
    let out_of_sight = matches!(
        error,
        MediaError::SegmentUnknown { .. } | MediaError::SegmentUnreadable { .. } | MediaError::RecordUnreadable { .. }
    );
    let Ok(Some(row)) = index.row::<ShelfRow>(&rows::shelf_key(segment)) else { return error.into() };
    let present = tier.kinds();
    let (here, away): (Vec<_>, Vec<_>) =
        row.shards.into_iter().flatten().partition(|volume| present.iter().any(|(id, _)| id == volume));
    let needed = usize::from(row.needed).saturating_sub(here.len());
    match out_of_sight && needed > 0 && needed <= away.len() {
        true => Error::OnShelf { segment, needed, volumes: away },
        false => error.into(),
    }
}
