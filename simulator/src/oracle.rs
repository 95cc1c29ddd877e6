//! The oracle: what was acknowledged, and what can still be read of it by the laws of the code. It knows the media from
//! outside and asks the engine nothing.

use crate::disk::{Disk, File, Health, shard_name};
use crate::world::{State, World};
use bytes::Bytes;
use shosoin_protocol::{Address, SegmentId, Suite, VolumeId};
use shosoin_tiers::Location;
use std::collections::BTreeSet;

/// A record that somebody was told is durable.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// its address
    pub address: Address,
    /// algorithm of the address
    pub suite: Suite,
    /// where the engine said it is
    pub location: Location,
    /// its bytes
    pub bytes: Bytes,
    /// whether it was found lost, and counted
    pub is_lost: bool,
}

/// What the media hold of one stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// shards of which some copy is exactly as it was written, on a volume that answers and is in use
    pub sure: usize,
    /// shards of which some copy holds the unit, whatever is around it
    pub possible: usize,
}

/// What the media hold of the stripe at `at`, looked at from outside, while the engine has the volumes `in_use`.
pub fn left(world: &World, in_use: &BTreeSet<VolumeId>, segment: SegmentId, at: u64) -> Left {
    let now_ms = world.now_ms();
    world.with(|state| {
        let shards = u8::try_from(state.budget.shards()).unwrap_or(u8::MAX);
        let verdicts: Vec<(bool, bool)> =
            (0..shards).map(|shard| verdict(state, in_use, segment, shard, at, now_ms)).collect();
        Left {
            sure: verdicts.iter().filter(|(sure, _)| *sure).count(),
            possible: verdicts.iter().filter(|(_, possible)| *possible).count(),
        }
    })
}

/// Whether a unit can surely and possibly be read.
fn verdict(
    state: &State,
    in_use: &BTreeSet<VolumeId>,
    segment: SegmentId,
    shard: u8,
    at: u64,
    now_ms: u64,
) -> (bool, bool) {
    let Some(extent) = state.budget.extent(segment, at) else { return (false, false) };
    let intended = extent.intended[usize::from(shard)];
    let (mut sure, mut possible) = (false, false);
    for (disk, bytes) in copies_of(state, segment, shard, at, extent.len) {
        let answers = disk.is_steady(now_ms) && in_use.contains(&disk.id());
        sure |= answers && bytes.as_ref().is_some_and(|bytes| intended.is_slot(bytes));
        possible |= bytes.as_ref().is_some_and(|bytes| intended.is_unit(bytes));
    }
    (sure, possible)
}

/// Whether some present medium has a copy of the unit exactly as it was written.
pub fn is_whole(state: &State, segment: SegmentId, shard: u8, at: u64) -> bool {
    let Some(extent) = state.budget.extent(segment, at) else { return true };
    let intended = extent.intended[usize::from(shard)];
    copies_of(state, segment, shard, at, extent.len)
        .any(|(_, bytes)| bytes.is_some_and(|bytes| intended.is_slot(&bytes)))
}

/// Whether some medium has the unit, and no power cut would take it.
pub fn is_durable(state: &State, segment: SegmentId, shard: u8, at: u64) -> bool {
    let name = shard_name(segment, shard);
    let holds = |disk: &&Disk| {
        disk.shard(&name).is_some_and(|file| file.lock().unsynced().all(|range| range.start as u64 > at))
    };
    is_whole(state, segment, shard, at) && state.disks.iter().any(|disk| holds(&disk))
}

/// Whether the copy of a shard on one medium is whole, as far as it was acknowledged.
pub fn is_whole_on(state: &State, disk: &Disk, segment: SegmentId, shard: u8) -> bool {
    let Some(file) = disk.shard(&shard_name(segment, shard)) else { return false };
    is_whole_file(state, &file.lock(), segment, shard)
}

/// Whether a file holds everything that was acknowledged of a shard.
pub fn is_whole_file(state: &State, file: &File, segment: SegmentId, shard: u8) -> bool {
    state.budget.acknowledged(segment).all(|at| {
        let Some(extent) = state.budget.extent(segment, at) else { return true };
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        let range = start..start.saturating_add(usize::try_from(extent.len).unwrap_or(usize::MAX));
        let intended = extent.intended[usize::from(shard)];
        file.on_medium(range).is_some_and(|bytes| intended.is_slot(&bytes))
    })
}

/// Every copy of a unit, as the medium has it, on media that are there or will be again.
fn copies_of(
    state: &State,
    segment: SegmentId,
    shard: u8,
    at: u64,
    len: u64,
) -> impl Iterator<Item = (&Disk, Option<Vec<u8>>)> {
    let name = shard_name(segment, shard);
    let start = usize::try_from(at).unwrap_or(usize::MAX);
    let range = start..start.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
    let alive = state.disks.iter().filter(|disk| matches!(disk.health, Health::Present | Health::Pulled));
    alive.filter_map(move |disk| Some((disk, disk.shard(&name)?.lock().on_medium(range.clone()))))
}
