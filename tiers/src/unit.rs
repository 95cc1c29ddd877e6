//! Units of a closed segment, read a window at a time from one copy of one shard, and what is wrong with them.

use crate::AlignedBuf;
use crate::blueprint::{Blueprint, Window};
use crate::finding::Defect;
use crate::load::ShardFiles;
use crate::stripe::{HEADER_LEN, UnitHeader};
use shosoin_protocol::Digest;
use std::ops::Range;

/// What is known of one unit that was read.
pub struct Unit {
    /// the header before it
    pub header: Result<UnitHeader, Defect>,
    /// digest of its bytes; `None` where they could not be read
    pub digest: Option<Digest>,
}

impl Unit {
    /// What is wrong with it, or with the header before it; `header` is any good one of its stripe.
    pub fn defect(&self, shard: usize, header: Option<&UnitHeader>) -> Option<Defect> {
        let own = self.header.as_ref().err();
        match (own, header, self.digest) {
            (Some(defect), ..) => Some(defect.clone()),
            (None, Some(header), Some(found)) => {
                let expected = header.stripe.units[shard];
                (expected != found).then_some(Defect::UnitDamaged { expected, found })
            }
            _ => Some(Defect::HeaderDamaged { why: "no shard has a good one".into() }),
        }
    }
}

/// Where a stripe lies in the buffers of a window.
pub fn slot(plan: &Blueprint, window: &Window, no: usize) -> Range<usize> {
    let range = plan.stripe(no);
    let in_window = |at: u64| usize::try_from(at - window.at).unwrap_or(usize::MAX);
    in_window(range.start)..in_window(range.end)
}

/// Reads the window of one shard, and each stripe of it alone where the whole cannot be read. Gives the bytes read.
pub fn read_units(
    plan: &Blueprint,
    files: &ShardFiles,
    window: &Window,
    shard: usize,
    buffer: &mut AlignedBuf,
) -> (u64, Vec<Unit>) {
    let whole = files.read(shard, window.at, window.len, buffer);
    let mut read_bytes = buffer.len() as u64;
    buffer.resize(window.len);
    let mut units = Vec::with_capacity(window.stripes.len());
    let mut alone = AlignedBuf::default();
    for no in window.stripes.clone() {
        let at = plan.stripe(no).start;
        let slot = &mut buffer[slot(plan, window, no)];
        if whole.is_err() && window.stripes.len() > 1 {
            let again = files.read(shard, at, slot.len(), &mut alone);
            read_bytes += alone.len() as u64;
            if let Err(defect) = again {
                units.push(Unit { header: Err(defect), digest: None });
                continue;
            }
            slot.copy_from_slice(&alone);
        } else if let Err(defect) = &whole {
            units.push(Unit { header: Err(defect.clone()), digest: None });
            continue;
        }
        let header = plan.believe(slot, shard, no);
        let is_gap = header == Err(Defect::UnitGap);
        let digest = (!is_gap).then(|| plan.identity.suite.digest(&[&slot[HEADER_LEN..]]));
        units.push(Unit { header, digest });
    }
    (read_bytes, units)
}
