//! Repair queue: what lost redundancy and waits to be rebuilt, most urgent first. Rebuilding is not here.
//!
//! The queue is bounded and may be lost: whatever it forgets, the next read or check of the same place finds again.

use parking_lot::Mutex;
use shosoin_protocol::SegmentId;
use std::collections::HashMap;

/// Items kept; more damage than this is found again by a check.
const REPAIRS_MAX: usize = 64 * 1024;

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

/// What is to be rebuilt: segment, shard, and offset of the unit if it is only one.
type Target = (SegmentId, u8, Option<u64>);

/// The queue.
#[derive(Debug, Default)]
pub struct RepairQueue {
    /// redundancy left, by target
    waiting: Mutex<HashMap<Target, u8>>,
}

impl RepairQueue {
    /// Adds an item; one that waits already takes the newer count of what is left.
    pub fn add(&self, item: RepairItem) {
        let mut waiting = self.waiting.lock();
        let key = (item.segment, item.shard, item.stripe_at);
        if waiting.len() < REPAIRS_MAX || waiting.contains_key(&key) {
            waiting.insert(key, item.redundancy_left);
        }
    }

    /// What waits for one segment.
    pub fn of(&self, segment: SegmentId) -> Vec<RepairItem> {
        let waiting = self.waiting.lock();
        let ours = waiting.iter().filter(|((id, ..), _)| *id == segment);
        ours.map(|((segment, shard, stripe_at), redundancy_left)| RepairItem {
            redundancy_left: *redundancy_left,
            segment: *segment,
            shard: *shard,
            stripe_at: *stripe_at,
        })
        .collect()
    }

    /// Items that wait.
    pub fn len(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Takes everything, most urgent first.
    pub fn take(&self) -> Vec<RepairItem> {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        let mut items: Vec<RepairItem> = waiting
            .into_iter()
            .map(|((segment, shard, stripe_at), redundancy_left)| RepairItem {
                redundancy_left,
                segment,
                shard,
                stripe_at,
            })
            .collect();
        items.sort_unstable();
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_redundant_comes_first_and_nothing_comes_twice() {
        let queue = RepairQueue::default();
        let item = |redundancy_left, shard| RepairItem {
            redundancy_left,
            segment: SegmentId([1; 16]),
            shard,
            stripe_at: Some(0),
        };
        queue.add(item(1, 3));
        queue.add(item(2, 5));
        queue.add(item(0, 5));
        queue.add(item(1, 3));
        assert_eq!(queue.take(), [item(0, 5), item(1, 3)]);
        assert_eq!(queue.take(), []);
    }
}
