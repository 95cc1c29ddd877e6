//! The fault budget: which shards of each stripe may still be ruined before the promise of the code is broken.
//!
//! The promise: nothing is lost while no stripe loses more than m shards within one window, a window being the time in
//! which scrub and repair must have brought back what was ruined before. So a fault counts until its window has passed,
//! *whether or not it was repaired*: an engine that does not scrub gets the same faults, and they add up.
//!
//! The budget also knows what the writer meant to store: the digest of every unit when it was handed to the media. With
//! that it can tell, without the engine, which stripes can still be read.

use shosoin_protocol::SegmentId;
use shosoin_tiers::stripe::HEADER_LEN;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Shards of the widest code.
const SHARDS: usize = 14;

/// Until somebody says otherwise.
pub const FOR_GOOD: u64 = u64::MAX;

/// What one unit was when it was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Intended {
    /// of header and unit
    slot: u64,
    /// of the unit alone: another header can verify it
    unit: u64,
}

impl Intended {
    /// What `bytes` are.
    pub fn of(bytes: &[u8]) -> Self {
        Intended { slot: short_hash(bytes), unit: short_hash(bytes.get(HEADER_LEN..).unwrap_or_default()) }
    }

    /// Whether header and unit are those that were written.
    pub fn is_slot(&self, bytes: &[u8]) -> bool {
        self.slot == short_hash(bytes)
    }

    /// Whether the unit is the one that was written, whatever its header is.
    pub fn is_unit(&self, bytes: &[u8]) -> bool {
        self.unit == short_hash(bytes.get(HEADER_LEN..).unwrap_or_default())
    }
}

fn short_hash(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// Everything that was written at one offset of a segment: a stripe, or a footer.
#[derive(Debug, Clone)]
pub struct Extent {
    /// bytes on each shard
    pub len: u64,
    /// whether somebody was told yes
    pub acknowledged: bool,
    /// what each unit was
    pub intended: [Intended; SHARDS],
    ruined_until: [u64; SHARDS],
}

#[derive(Debug)]
struct Known {
    extents: BTreeMap<u64, Extent>,
    absent_until: [u64; SHARDS],
}

/// A shard whose window has passed: it must be whole again.
pub type Due = (u64, SegmentId, u8);

/// The books.
#[derive(Debug)]
pub struct Budget {
    k: usize,
    m: usize,
    /// whether more than m may be ruined
    pub is_unlimited: bool,
    segments: BTreeMap<SegmentId, Known>,
    due: BTreeSet<Due>,
}

impl Budget {
    /// Empty books for segments of k + m shards.
    pub fn new(k: usize, m: usize, is_unlimited: bool) -> Self {
        Budget { k, m, is_unlimited, segments: BTreeMap::new(), due: BTreeSet::new() }
    }

    /// All shards.
    pub fn shards(&self) -> usize {
        self.k + self.m
    }

    /// The writer hands `bytes` for `shard` to the media, at `at`.
    pub fn meant(&mut self, segment: SegmentId, shard: u8, at: u64, bytes: &[u8]) {
        let known = self
            .segments
            .entry(segment)
            .or_insert_with(|| Known { extents: BTreeMap::new(), absent_until: [0; SHARDS] });
        let fresh = || Extent {
            len: bytes.len() as u64,
            acknowledged: false,
            intended: [Intended::default(); SHARDS],
            ruined_until: [0; SHARDS],
        };
        let extent = known.extents.entry(at).or_insert_with(fresh);
        if !extent.acknowledged {
            extent.len = extent.len.max(bytes.len() as u64);
            extent.intended[usize::from(shard)] = Intended::of(bytes);
        }
    }

    /// Somebody was told that the stripe is durable.
    pub fn acknowledge(&mut self, segment: SegmentId, at: u64) {
        if let Some(extent) = self.segments.get_mut(&segment).and_then(|known| known.extents.get_mut(&at)) {
            extent.acknowledged = true;
        }
    }

    /// What was written at `at` of a segment.
    pub fn extent(&self, segment: SegmentId, at: u64) -> Option<&Extent> {
        self.segments.get(&segment)?.extents.get(&at)
    }

    /// Whether the budget counts a shard of a stripe as ruined or absent now.
    pub fn is_ruined(&self, segment: SegmentId, shard: u8, at: u64, now_ms: u64) -> bool {
        let Some(known) = self.segments.get(&segment) else { return false };
        let ruined = known.extents.get(&at).map_or(0, |extent| extent.ruined_until[usize::from(shard)]);
        known.absent_until[usize::from(shard)].max(ruined) > now_ms
    }

    /// Every stripe of a segment that somebody was told is durable.
    pub fn acknowledged(&self, segment: SegmentId) -> impl Iterator<Item = u64> + '_ {
        let extents = self.segments.get(&segment).into_iter().flat_map(|known| &known.extents);
        extents.filter(|(_, extent)| extent.acknowledged).map(|(at, _)| *at)
    }

    /// Ruins `range` of a shard until `until_ms`, if the budget has room for it.
    pub fn ruin(&mut self, segment: SegmentId, shard: u8, range: Range<u64>, now_ms: u64, until_ms: u64) -> bool {
        let (m, unlimited, shard_no) = (self.m, self.is_unlimited, usize::from(shard));
        let Some(known) = self.segments.get_mut(&segment) else { return true };
        let absent = known.absent_until;
        let touched =
            || known.extents.range(..range.end).rev().take_while(|(at, extent)| *at + extent.len > range.start);
        if !unlimited && !touched().all(|(_, extent)| others(&absent, &extent.ruined_until, shard_no, now_ms) < m) {
            return false;
        }
        let touched: Vec<u64> = touched().map(|(at, _)| *at).collect();
        for at in touched {
            if let Some(extent) = known.extents.get_mut(&at) {
                extent.ruined_until[shard_no] = extent.ruined_until[shard_no].max(until_ms);
            }
        }
        self.due.insert((until_ms, segment, shard));
        true
    }

    /// Takes whole shards away until `until_ms`, all of them or none.
    pub fn take_away(&mut self, shards: &[(SegmentId, u8)], now_ms: u64, until_ms: u64) -> bool {
        let mut taken: BTreeMap<SegmentId, BTreeSet<usize>> = BTreeMap::new();
        for (segment, shard) in shards {
            taken.entry(*segment).or_default().insert(usize::from(*shard));
        }
        if !self.is_unlimited && !taken.iter().all(|(segment, shards)| self.can_spare(*segment, shards, now_ms)) {
            return false;
        }
        for (segment, shard) in shards {
            if let Some(known) = self.segments.get_mut(segment) {
                let absent = &mut known.absent_until[usize::from(*shard)];
                *absent = (*absent).max(until_ms);
                self.due.insert((until_ms, *segment, *shard));
            }
        }
        true
    }

    fn can_spare(&self, segment: SegmentId, shards: &BTreeSet<usize>, now_ms: u64) -> bool {
        let Some(known) = self.segments.get(&segment) else { return true };
        let gone = |ruined: Option<&[u64; SHARDS]>| {
            let is_gone = |shard: &usize| {
                shards.contains(shard)
                    || known.absent_until[*shard] > now_ms
                    || ruined.is_some_and(|ruined| ruined[*shard] > now_ms)
            };
            (0..SHARDS).filter(is_gone).count()
        };
        gone(None) <= self.m && known.extents.values().all(|extent| gone(Some(&extent.ruined_until)) <= self.m)
    }

    /// A segment was removed: what was in it is elsewhere, or nobody wants it.
    pub fn forget(&mut self, segment: SegmentId) {
        self.segments.remove(&segment);
    }

    /// Sets when whole shards are expected back.
    pub fn expect_back(&mut self, shards: &[(SegmentId, u8)], until_ms: u64) {
        for (segment, shard) in shards {
            let Some(known) = self.segments.get_mut(segment) else { continue };
            known.absent_until[usize::from(*shard)] = until_ms;
            self.due.insert((until_ms, *segment, *shard));
        }
    }

    /// Shards whose last window has passed by `now_ms`, with the stripes that must be whole again.
    pub fn take_due(&mut self, now_ms: u64) -> Vec<(SegmentId, u8, Vec<u64>)> {
        let later = self.due.split_off(&(now_ms + 1, SegmentId([0; 16]), 0));
        let due: BTreeSet<(SegmentId, u8)> =
            std::mem::replace(&mut self.due, later).into_iter().map(|(_, segment, shard)| (segment, shard)).collect();
        let mut whole = Vec::new();
        for (segment, shard) in due {
            let Some(known) = self.segments.get(&segment) else { continue };
            if known.absent_until[usize::from(shard)] > now_ms {
                continue;
            }
            let is_due = |extent: &Extent| extent.acknowledged && extent.ruined_until[usize::from(shard)] <= now_ms;
            let stripes = known.extents.iter().filter(|(_, extent)| is_due(extent)).map(|(at, _)| *at).collect();
            whole.push((segment, shard, stripes));
        }
        whole
    }
}

/// Shards beside `shard` that are ruined or absent now.
fn others(absent: &[u64; SHARDS], ruined: &[u64; SHARDS], shard: usize, now_ms: u64) -> usize {
    (0..SHARDS).filter(|other| *other != shard && absent[*other].max(ruined[*other]) > now_ms).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: SegmentId = SegmentId([1; 16]);

    fn books() -> Budget {
        let mut budget = Budget::new(4, 2, false);
        for shard in 0..6 {
            budget.meant(SEGMENT, shard, 0, &[shard; 4096]);
            budget.meant(SEGMENT, shard, 4096, &[shard; 8192]);
        }
        budget.acknowledge(SEGMENT, 0);
        budget
    }

    #[test]
    fn a_third_shard_of_a_stripe_is_refused_until_the_window_of_another_has_passed() {
        let mut budget = books();
        assert!(budget.ruin(SEGMENT, 0, 0..1, 10, 100) && budget.ruin(SEGMENT, 1, 4095..4096, 10, 50));
        assert!(!budget.ruin(SEGMENT, 2, 0..4096, 10, 100));
        assert!(budget.ruin(SEGMENT, 0, 5..6, 10, 90), "the same shard again");
        assert!(budget.ruin(SEGMENT, 2, 4096..4097, 10, 100), "another stripe");
        assert!(budget.ruin(SEGMENT, 2, 0..4096, 50, 120), "one window has passed");
        assert_eq!(budget.take_due(60), [(SEGMENT, 1, vec![0])]);
        assert_eq!(budget.take_due(60), []);
    }

    #[test]
    fn volumes_are_taken_away_together_or_not_at_all() {
        let mut budget = books();
        assert!(!budget.take_away(&[(SEGMENT, 0), (SEGMENT, 1), (SEGMENT, 2)], 0, FOR_GOOD));
        assert!(budget.ruin(SEGMENT, 3, 0..1, 0, 10));
        assert!(!budget.take_away(&[(SEGMENT, 0), (SEGMENT, 1)], 0, FOR_GOOD));
        assert!(budget.take_away(&[(SEGMENT, 0), (SEGMENT, 1)], 10, FOR_GOOD));
        budget.expect_back(&[(SEGMENT, 0), (SEGMENT, 1)], 20);
        assert!(!budget.ruin(SEGMENT, 4, 0..1, 15, 30) && budget.ruin(SEGMENT, 4, 0..1, 20, 30));
    }

    #[test]
    fn beyond_the_budget_everything_is_allowed() {
        let mut budget = Budget { is_unlimited: true, ..books() };
        assert!((0..6).all(|shard| budget.ruin(SEGMENT, shard, 0..1, 0, 10)));
        assert!(budget.take_away(&[(SEGMENT, 0), (SEGMENT, 1), (SEGMENT, 2)], 0, 10));
    }
}
