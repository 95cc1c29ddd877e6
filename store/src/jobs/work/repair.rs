//! The repair job: rebuilds what waits, least redundancy first, until nothing waits that may be tried now.

use super::{Work, is_asked_for};
use crate::audit::{Action, AuditEvent, Detail};
use crate::check::Finding;
use crate::error::Result;
use crate::jobs::report::{Figures, Gain};
use crate::jobs::state::Repairs;
use crate::jobs::{By, JobOptions};
use crate::vault::Inner;
use shosoin_protocol::SegmentId;
use shosoin_tiers::Pace;
use shosoin_tiers::Repaired;
use shosoin_tiers::{RepairItem, SegmentState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A repair.
pub struct Repair {
    /// segments and shards that were asked for; all that wait, where nothing was
    picked: Option<VecDeque<(SegmentId, Vec<u8>)>>,
    behind: u64,
    done: BTreeSet<SegmentId>,
}

/// Puts into the queue what an earlier process knew of, and what the catalogue shows to be missing.
pub fn refill(inner: &Inner, saved: Option<Repairs>) {
    inner.tier.queue_repairs(saved.unwrap_or_default().0);
    if inner.repair_waits_until_ms().is_none() {
        queue_missing(inner);
    }
}

/// Queues shards that are on no present volume.
fn queue_missing(inner: &Inner) {
    let closed = inner.tier.segments().into_iter().filter(|segment| segment.state == SegmentState::Closed);
    for segment in closed {
        let missing: Vec<u8> =
            (0u8..).zip(&segment.shards).filter(|(_, volume)| volume.is_none()).map(|(shard, _)| shard).collect();
        let left = u8::try_from(segment.code.m().saturating_sub(missing.len())).unwrap_or(0);
        let item = |shard| RepairItem { redundancy_left: left, segment: segment.id, shard, stripe_at: None };
        inner.tier.queue_repairs(missing.into_iter().map(item));
    }
}

impl Repair {
    /// Everything that waits or, where it was asked for, of one hospital or volume alone.
    pub fn begin(inner: &Inner, options: &JobOptions, by: By) -> Self {
        let waits = by == By::Schedule && inner.repair_waits_until_ms().is_some();
        if !waits {
            queue_missing(inner);
        }
        if by == By::Operator && !options.dry_run {
            inner.tier.retry_repairs();
        }
        let some = waits || options.volume.is_some() || options.hospital.is_some();
        let picked = some.then(|| picked(inner, options, waits));
        Repair { picked, behind: 0, done: BTreeSet::new() }
    }

    fn next(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Repaired>> {
        let Some(picked) = &mut self.picked else { return Ok(inner.tier.repair_next(pace)?) };
        let Some((segment, shards)) = picked.front().cloned() else { return Ok(None) };
        let repaired = inner.tier.repair_segment(segment, &shards, pace)?;
        picked.pop_front();
        Ok(Some(repaired))
    }
}

/// Shards that no present volume has.
fn missing(inner: &Inner) -> BTreeSet<(SegmentId, u8)> {
    let segments = inner.tier.segments().into_iter();
    let shards = segments.flat_map(|info| (0u8..).zip(info.shards).map(move |(shard, on)| (info.id, shard, on)));
    shards.filter(|(_, _, on)| on.is_none()).map(|(segment, shard, _)| (segment, shard)).collect()
}

/// What may be tried now, as far as absent volumes are not waited for and nothing of it failed lately; and whether anything
/// waits for them.
pub fn ready(inner: &Inner) -> (Vec<RepairItem>, bool) {
    let waits = inner.repair_waits_until_ms().is_some();
    let missing = if waits { missing(inner) } else { BTreeSet::new() };
    let setbacks = inner.tier.repair_setbacks();
    let fresh = |item: &RepairItem| !setbacks.iter().any(|setback| setback.item == *item);
    let (waiting, ready): (Vec<_>, Vec<_>) =
        inner.tier.repair_plan().into_iter().partition(|item| missing.contains(&(item.segment, item.shard)));
    (ready.into_iter().filter(fresh).collect(), !waiting.is_empty())
}

fn picked(inner: &Inner, options: &JobOptions, waits: bool) -> VecDeque<(SegmentId, Vec<u8>)> {
    let mut shards: BTreeMap<SegmentId, BTreeSet<u8>> = BTreeMap::new();
    let plan = if waits { ready(inner).0 } else { inner.tier.repair_plan() };
    for item in plan {
        let on_it = options.volume.is_none_or(|volume| {
            let segment = inner.tier.segments().into_iter().find(|segment| segment.id == item.segment);
            let on = segment.and_then(|segment| segment.shards.get(usize::from(item.shard)).copied().flatten());
            on == Some(volume)
        });
        if on_it && is_asked_for(inner, options, item.segment) {
            shards.entry(item.segment).or_default().insert(item.shard);
        }
    }
    shards.into_iter().map(|(segment, shards)| (segment, shards.into_iter().collect())).collect()
}

/// What one segment's repair brought; the audit log has it.
fn gain_of(inner: &Inner, repaired: &Repaired) -> Result<Gain> {
    let Repaired { segment, read_bytes, written_bytes, reread_bytes, rebuilt, short, met, .. } = repaired;
    let mut event = AuditEvent::of_job(inner.clock.now_ms(), "repair", Action::Repair);
    event.segment = Some(*segment);
    (event.bytes, event.units) = (*reread_bytes, rebuilt.len() as u64);
    event.detail = Detail::Found { findings: met.len() as u64, lost: short.len() as u64 };
    inner.record(&event)?;
    let figures = Figures {
        items: 1,
        read_bytes: *read_bytes,
        written_bytes: *written_bytes,
        reread_bytes: *reread_bytes,
        rebuilt: rebuilt.len() as u64,
        short: short.len() as u64,
        ..Figures::default()
    };
    let sentence =
        |(shard, volume): &(u8, _)| format!("shard {shard} of segment {segment} was rebuilt on volume {volume}");
    let done = rebuilt.iter().map(sentence).collect();
    Ok(Gain { figures, done, ..Gain::default() }.found(short.iter().chain(met).map(Finding::from)))
}

impl Work for Repair {
    fn step(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Gain>> {
        let Some(repaired) = self.next(inner, pace)? else { return Ok(None) };
        self.behind += repaired.written_bytes;
        self.done.insert(repaired.segment);
        gain_of(inner, &repaired).map(Some)
    }

    fn extent(&self, inner: &Inner) -> (u64, Option<u64>) {
        let waiting: BTreeMap<SegmentId, BTreeSet<u8>> =
            inner.tier.repair_plan().into_iter().fold(BTreeMap::new(), |mut shards, item| {
                shards.entry(item.segment).or_insert_with(BTreeSet::new).insert(item.shard);
                shards
            });
        let shard_bytes: BTreeMap<SegmentId, u64> =
            inner.tier.segments().iter().map(|segment| (segment.id, segment.end)).collect();
        let left = waiting
            .iter()
            .map(|(segment, shards)| shard_bytes.get(segment).copied().unwrap_or(0) * shards.len() as u64)
            .sum::<u64>();
        (self.behind, Some(self.behind + left))
    }

    fn plan(&self, inner: &Inner) -> Vec<String> {
        let wanted = |item: &RepairItem| match &self.picked {
            None => true,
            Some(picked) => picked.iter().any(|(id, shards)| *id == item.segment && shards.contains(&item.shard)),
        };
        let sentence = |item: RepairItem| {
            let what = item.stripe_at.map_or("whole shard".to_owned(), |at| format!("unit at {at}"));
            let RepairItem { redundancy_left, segment, shard, .. } = item;
            format!("shard {shard} of segment {segment}, {what}: {redundancy_left} more losses are survived")
        };
        inner.tier.repair_plan().into_iter().filter(wanted).map(sentence).collect()
    }

    /// What waits for another attempt is short too, though no attempt of this run failed.
    fn left(&self, inner: &Inner) -> Gain {
        let setbacks = inner.tier.repair_setbacks();
        let waiting = setbacks.iter().filter(|setback| !self.done.contains(&setback.item.segment));
        let sentence = |setback: &shosoin_tiers::Setback| {
            let RepairItem { segment, shard, .. } = setback.item;
            format!("shard {shard} of segment {segment} waits after {} attempts: {}", setback.attempts, setback.why)
        };
        let done: Vec<String> = waiting.map(sentence).collect();
        let figures = Figures { short: done.len() as u64, ..Figures::default() };
        Gain { figures, done, ..Gain::default() }
    }
}
