//! Closed segments: finding and reading their footers. Any one good copy is enough.

use crate::access::Access;
use crate::finding::Defect;
use crate::footer::{Locator, Table};
use crate::layout::BLOCK_BYTES;
use crate::load::{ShardFiles, unreadable};
use crate::recovery;
use crate::segment::{Identity, Segment, shard_no};
use crate::{AlignedBuf, MediaFile};
use shosoin_protocol::{HospitalId, SegmentId};
use std::sync::Arc;

/// The locator in the last block of a shard file, if it is the one of this segment and shard.
pub fn locator(
    file: &dyn MediaFile,
    segment: SegmentId,
    hospital: HospitalId,
    shard: usize,
) -> Result<Locator, Defect> {
    let damaged = |why: String| Defect::FooterDamaged { why };
    let len = file.len().map_err(|error| unreadable(&error))?;
    let at = len.checked_sub(BLOCK_BYTES as u64).ok_or_else(|| damaged("the file is shorter than a block".into()))?;
    let mut block = [0; BLOCK_BYTES];
    file.read_at(at, &mut block).map_err(|error| unreadable(&error))?;
    let locator = Locator::decode(&block).map_err(|error| damaged(error.to_string()))?;
    let ours = locator.segment == segment && locator.hospital == hospital && usize::from(locator.shard) == shard;
    match ours && locator.file_len() == len {
        true => Ok(locator),
        false => Err(damaged("it belongs to another segment, shard or length".into())),
    }
}

/// What a segment holds: from memory while it is open, else from any good footer, else by following its stripes.
pub fn table(access: &Access, segment: &Segment) -> Result<Arc<Table>, Defect> {
    if let Some(table) = segment.table() {
        return Ok(table);
    }
    let Identity { id, code, .. } = segment.identity;
    let files = ShardFiles::of(segment);
    let mut lost = Vec::new();
    for shard in 0..code.shards() {
        match table_on(&files, shard) {
            Ok(table) => {
                access.queue_shards(id, code, &lost);
                return Ok(Arc::new(table));
            }
            Err(_) => lost.push(shard),
        }
    }
    if let Some(table) = files.spares().find_map(|(shard, spare)| table_on(&spare, shard).ok()) {
        access.queue_shards(id, code, &lost);
        return Ok(Arc::new(table));
    }
    let (present, needed) = (shard_no(files.present()), shard_no(code.k()));
    let unreadable = Defect::SegmentUnreadable { present, needed };
    match present < needed {
        true => Err(unreadable),
        false => recovery::survey(access, &files).map(|survey| Arc::new(survey.table)).map_err(|_| unreadable),
    }
}

/// The table on one shard, verified.
pub fn table_on(files: &ShardFiles, shard: usize) -> Result<Table, Defect> {
    let identity = files.identity;
    let locator = locator(&**files.get(shard)?, identity.id, identity.hospital, shard)?;
    if locator.identity() != identity {
        return Err(Defect::FooterDamaged { why: "it has another code or suite than the segment".into() });
    }
    let len = usize::try_from(locator.table_len).unwrap_or(usize::MAX);
    let mut bytes = AlignedBuf::default();
    files.read(shard, locator.footer_at, len.next_multiple_of(BLOCK_BYTES), &mut bytes)?;
    let (table, padding) = bytes.split_at(len);
    match padding.iter().all(|byte| *byte == 0) {
        true => Table::decode(table, &locator).map_err(|error| Defect::FooterDamaged { why: error.to_string() }),
        false => Err(Defect::FooterDamaged { why: "its padding must be zero".into() }),
    }
}
