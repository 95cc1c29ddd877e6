//! Repair queue: what lost redundancy and waits to be rebuilt, most urgent first. Rebuilding is not here.
//!
//! Invariants
//! - The queue is bounded and may be lost: whatever it forgets, the next read or check of the same place finds again.
//! - What could not be rebuilt stays, with the reason, and waits before it is tried again; it waits no longer once less
//!   redundancy is left than when it failed. A clock that went back makes nothing wait longer than it would have.

use parking_lot::Mutex;
use shosoin_protocol::SegmentId;
use std::collections::HashMap;

/// Items kept; more damage than this is found again by a check.
const REPAIRS_MAX: usize = 64 * 1024;
/// How long a repair waits after its first failure; it doubles with each further one.
const RETRY_MS: u64 = 60_000;
/// How long it waits at most.
const RETRY_MS_MAX: u64 = 6 * 3600 * 1000;

/// Something that lost redundancy and waits to be rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepairItem {
    /// shards of the stripe or segment that may still be lost before data is; less is more urgent
    pub redundancy_left: u8,
    /// segment
    pub segment: SegmentId,
    /// shard to rebuild
    pub shard: u8,
    /// offset of the damaged unit, or `None` for the whole shard
    pub stripe_at: Option<u64>,
}

/// A repair that did not succeed and waits for its next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// what is still to be rebuilt
    pub item: RepairItem,
    /// why the last attempt failed
    pub why: String,
    /// failed attempts so far
    pub attempts: u32,
    /// when the last attempt failed, in milliseconds since 1970
    pub failed_ms: u64,
    /// how long it waits from then on
    pub wait_ms: u64,
}

impl Setback {
    /// Whether it waits no longer. A clock that shows a time before the failure was set back, and does not hold it up.
    fn is_over(&self, now_ms: u64) -> bool {
        now_ms < self.failed_ms || now_ms - self.failed_ms >= self.wait_ms
    }
}

/// What is to be rebuilt: segment, shard, and offset of the unit if it is only one.
type Target = (SegmentId, u8, Option<u64>);

#[derive(Debug)]
struct Waiting {
    redundancy_left: u8,
    setback: Option<Setback>,
}

/// The queue.
#[derive(Debug, Default)]
pub struct RepairQueue {
    waiting: Mutex<HashMap<Target, Waiting>>,
}

fn item(target: &Target, redundancy_left: u8) -> RepairItem {
    let (segment, shard, stripe_at) = *target;
    RepairItem { redundancy_left, segment, shard, stripe_at }
}

impl RepairQueue {
    /// Adds an item; one that waits already takes the newer count of what is left.
    pub fn add(&self, item: RepairItem) {
        let mut waiting = self.waiting.lock();
        let key = (item.segment, item.shard, item.stripe_at);
        let full = waiting.len() >= REPAIRS_MAX;
        match waiting.get_mut(&key) {
            Some(known) => {
                if item.redundancy_left < known.redundancy_left {
                    known.setback = None;
                }
                known.redundancy_left = item.redundancy_left;
            }
            None if full => {}
            None => {
                waiting.insert(key, Waiting { redundancy_left: item.redundancy_left, setback: None });
            }
        }
    }

    /// What waits for one segment.
    pub fn of(&self, segment: SegmentId) -> Vec<RepairItem> {
        let waiting = self.waiting.lock();
        let ours = waiting.iter().filter(|((id, ..), _)| *id == segment);
        ours.map(|(target, waiting)| item(target, waiting.redundancy_left)).collect()
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Takes everything, most urgent first.
    pub fn take(&self) -> Vec<RepairItem> {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        let mut items: Vec<RepairItem> =
            waiting.iter().map(|(target, waiting)| item(target, waiting.redundancy_left)).collect();
        items.sort_unstable();
        items
    }

    /// Everything, most urgent first; nothing is taken.
    pub fn items(&self) -> Vec<RepairItem> {
        let waiting = self.waiting.lock();
        let mut items: Vec<RepairItem> =
            waiting.iter().map(|(target, waiting)| item(target, waiting.redundancy_left)).collect();
        items.sort_unstable();
        items
    }

    /// What failed and waits for its next attempt.
    pub fn setbacks(&self) -> Vec<Setback> {
        let waiting = self.waiting.lock();
        let mut setbacks: Vec<Setback> = waiting.values().filter_map(|waiting| waiting.setback.clone()).collect();
        setbacks.sort_unstable_by_key(|setback| setback.item);
        setbacks
    }

    /// The segment of the most urgent item that may be tried at `now_ms`, and every shard of it that waits.
    pub fn next(&self, now_ms: u64) -> Option<(SegmentId, Vec<u8>)> {
        let waiting = self.waiting.lock();
        let ready = |waiting: &Waiting| waiting.setback.as_ref().is_none_or(|setback| setback.is_over(now_ms));
        let ready = waiting.iter().filter(|(_, waiting)| ready(waiting));
        let urgent = ready.map(|(target, waiting)| item(target, waiting.redundancy_left)).min()?;
        let mut shards: Vec<u8> =
            waiting.keys().filter(|(segment, ..)| *segment == urgent.segment).map(|(_, shard, _)| *shard).collect();
        shards.sort_unstable();
        shards.dedup();
        Some((urgent.segment, shards))
    }

    /// Forgets everything about a shard: it is whole, or its segment is gone.
    pub fn done(&self, segment: SegmentId, shard: u8) {
        self.waiting.lock().retain(|(of, no, _), _| (*of, *no) != (segment, shard));
    }

    /// A shard is whole but for its units at `stripes`, which wait on.
    pub fn narrow(&self, segment: SegmentId, shard: u8, stripes: &[u64]) {
        let is_left = |at: &Option<u64>| at.is_some_and(|at| stripes.contains(&at));
        self.waiting.lock().retain(|(of, no, at), _| (*of, *no) != (segment, shard) || is_left(at));
        for at in stripes {
            self.add(RepairItem { redundancy_left: 0, segment, shard, stripe_at: Some(*at) });
        }
    }

    /// Every unit that waits for a segment, by shard and offset; `None` where a whole shard does, or where one was not tried yet.
    pub fn tried_units(&self, segment: SegmentId) -> Option<Vec<(u8, u64)>> {
        let waiting = self.waiting.lock();
        let ours = waiting.iter().filter(|((id, ..), _)| *id == segment);
        ours.map(|((_, shard, at), waiting)| at.filter(|_| waiting.setback.is_some()).map(|at| (*shard, at))).collect()
    }

    /// A shard could not be rebuilt at `now_ms`: what waits for it waits longer.
    pub fn set_back(&self, segment: SegmentId, shard: u8, why: &str, now_ms: u64) {
        for (target, waiting) in self.waiting.lock().iter_mut() {
            if (target.0, target.1) != (segment, shard) {
                continue;
            }
            let attempts = waiting.setback.as_ref().map_or(0, |setback| setback.attempts) + 1;
            let wait_ms = RETRY_MS.saturating_mul(1 << (attempts - 1).min(16)).min(RETRY_MS_MAX);
            let item = item(target, waiting.redundancy_left);
            waiting.setback = Some(Setback { item, why: why.to_owned(), attempts, failed_ms: now_ms, wait_ms });
        }
    }

    /// Lets everything be tried again at once.
    pub fn retry(&self) {
        self.waiting.lock().values_mut().for_each(|waiting| waiting.setback = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(redundancy_left: u8, shard: u8) -> RepairItem {
        RepairItem { redundancy_left, segment: SegmentId([1; 16]), shard, stripe_at: Some(0) }
    }

    #[test]
    fn the_least_redundant_comes_first_and_nothing_comes_twice() {
        let queue = RepairQueue::default();
        queue.add(item(1, 3));
        queue.add(item(2, 5));
        queue.add(item(0, 5));
        queue.add(item(1, 3));
        assert_eq!(queue.items(), [item(0, 5), item(1, 3)]);
        assert_eq!(queue.next(0), Some((SegmentId([1; 16]), vec![3, 5])));
        assert_eq!(queue.take(), [item(0, 5), item(1, 3)]);
        assert_eq!(queue.take(), []);
    }

    proptest! {
        #[test]
        fn the_next_segment_is_always_one_with_the_least_left_of_what_may_be_tried(
            items in prop::collection::vec((0u8..3, 0u8..5, 0u8..6), 1..40), failed in prop::collection::vec((0u8..5, 0u8..6), 0..10),
        ) {
            let queue = RepairQueue::default();
            for (left, segment, shard) in &items {
                queue.add(RepairItem { redundancy_left: *left, segment: SegmentId([*segment; 16]), shard: *shard, stripe_at: None });
            }
            failed.iter().for_each(|(segment, shard)| queue.set_back(SegmentId([*segment; 16]), *shard, "why", 10));
            let ready = |item: &&RepairItem| !failed.contains(&(item.segment.0[0], item.shard));
            let (items, now) = (queue.items(), 11);
            let least = items.iter().filter(ready).map(|item| item.redundancy_left).min();
            match queue.next(now) {
                None => prop_assert_eq!(least, None),
                Some((segment, shards)) => {
                    let of_segment: Vec<&RepairItem> = items.iter().filter(|item| item.segment == segment).collect();
                    let ready = of_segment.iter().copied().filter(ready).map(|item| item.redundancy_left).min();
                    prop_assert_eq!(ready, least);
                    prop_assert_eq!(shards.len(), of_segment.len(), "everything of the segment goes together");
                }
            }
        }
    }

    #[test]
    fn of_a_shard_that_is_whole_but_for_some_units_those_alone_wait() {
        let queue = RepairQueue::default();
        let whole = RepairItem { stripe_at: None, ..item(1, 3) };
        [whole, item(1, 3), item(1, 4)].into_iter().for_each(|item| queue.add(item));
        queue.narrow(SegmentId([1; 16]), 3, &[0, 8192]);
        let far = RepairItem { stripe_at: Some(8192), ..item(0, 3) };
        assert_eq!(queue.items(), [item(0, 3), far, item(1, 4)]);
        assert_eq!(queue.tried_units(SegmentId([1; 16])), None, "nothing was tried");
        [3, 4].into_iter().for_each(|shard| queue.set_back(SegmentId([1; 16]), shard, "lost", 1000));
        let mut tried = queue.tried_units(SegmentId([1; 16])).unwrap();
        tried.sort_unstable();
        assert_eq!(tried, [(3, 0), (3, 8192), (4, 0)]);
        queue.add(whole);
        assert_eq!(queue.tried_units(SegmentId([1; 16])), None, "a whole shard");
    }

    #[test]
    fn what_failed_waits_longer_each_time_and_says_why() {
        let queue = RepairQueue::default();
        queue.add(item(1, 3));
        for (attempt, wait_ms) in (1..).zip([60_000, 120_000, 240_000]) {
            queue.set_back(SegmentId([1; 16]), 3, "no room", 1000);
            let setbacks = queue.setbacks();
            assert!(setbacks.len() == 1 && setbacks[0].attempts == attempt && setbacks[0].why == "no room");
            queue.add(item(1, 3)); // found again by a read: no reason to hurry
            assert_eq!(queue.next(1000 + wait_ms - 1), None);
            assert!(queue.next(1000 + wait_ms).is_some());
        }
        for _ in 0..80 {
            queue.set_back(SegmentId([1; 16]), 3, "no room", 1000);
        }
        assert!(queue.next(1000 + RETRY_MS_MAX).is_some(), "never longer than that");
    }

    #[test]
    fn less_redundancy_a_retry_or_a_clock_set_back_ends_the_waiting() {
        let queue = RepairQueue::default();
        let set_back = || {
            queue.add(item(1, 3));
            queue.set_back(SegmentId([1; 16]), 3, "no room", 1000);
            assert_eq!(queue.next(1001), None);
        };
        set_back();
        assert!(queue.next(999).is_some(), "the clock was set back");
        queue.add(item(0, 3));
        assert!(queue.next(1001).is_some(), "less is left");
        set_back();
        queue.retry();
        assert!(queue.next(1001).is_some(), "somebody asked");
        queue.done(SegmentId([1; 16]), 3);
        assert_eq!((queue.next(1001), queue.len()), (None, 0));
    }
}
