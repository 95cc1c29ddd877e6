//! Copies: judging one whole copy of a shard, and two copies of it against each other.

use crate::AlignedBuf;
use crate::Result;
use crate::blueprint::Blueprint;
use crate::load::ShardFiles;
use crate::mount::Mount;
use crate::pace::Pace;
use crate::segment::Segment;
use crate::unit::read_units;
use std::sync::Arc;

/// What was found in one copy of a shard.
#[derive(Debug, Default)]
pub struct Judged {
    /// stripes of which its unit, or the header before it, is not good
    pub bad: Vec<usize>,
    /// whether it ends as it must
    pub footer_is_good: bool,
    /// bytes read to know
    pub read_bytes: u64,
}

impl Judged {
    /// Whether it is good from its first to its last byte.
    pub fn is_good(&self) -> bool {
        self.bad.is_empty() && self.footer_is_good
    }

    /// Units, and a footer, that are not good.
    pub fn defects(&self) -> usize {
        self.bad.len() + usize::from(!self.footer_is_good)
    }
}

/// Reads one copy of a shard from its first to its last byte, past the cache.
pub fn judge(segment: &Segment, plan: &Blueprint, shard: usize, mount: &Arc<Mount>, pace: &dyn Pace) -> Result<Judged> {
    let files = ShardFiles::alone(segment.identity, shard, mount);
    let (mut buffer, mut judged) = (AlignedBuf::default(), Judged::default());
    for window in plan.windows() {
        pace.spend(window.len as u64)?;
        let (read_bytes, units) = read_units(plan, &files, &window, shard, &mut buffer);
        judged.read_bytes += read_bytes;
        let is_bad = |index: &usize| {
            let unit = &units[*index];
            unit.defect(shard, unit.header.as_ref().ok()).is_some()
        };
        judged.bad.extend((0..units.len()).filter(is_bad).map(|index| window.stripes.start + index));
    }
    pace.spend(plan.footer_len())?;
    judged.read_bytes += plan.footer_len();
    judged.footer_is_good = plan.judge_footer(&files, shard).is_ok();
    Ok(judged)
}

/// What comparing two copies of a shard gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compared {
    /// whether both could be read, and have the same bytes
    pub are_same: bool,
    /// bytes read to know
    pub read_bytes: u64,
}

/// Compares `stripes` of two copies of a shard, byte for byte.
pub fn compare(
    segment: &Segment,
    plan: &Blueprint,
    shard: usize,
    mounts: [&Arc<Mount>; 2],
    stripes: &[usize],
    pace: &dyn Pace,
) -> Result<Compared> {
    let files = mounts.map(|mount| ShardFiles::alone(segment.identity, shard, mount));
    let mut buffers = [AlignedBuf::default(), AlignedBuf::default()];
    let mut compared = Compared { are_same: true, read_bytes: 0 };
    for range in stripes.iter().map(|no| plan.stripe(*no)) {
        let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        for (files, buffer) in files.iter().zip(&mut buffers) {
            pace.spend(len as u64)?;
            compared.are_same &= files.read(shard, range.start, len, buffer).is_ok();
            compared.read_bytes += buffer.len() as u64;
        }
        compared.are_same &= *buffers[0] == *buffers[1];
        if !compared.are_same {
            break;
        }
    }
    Ok(compared)
}
