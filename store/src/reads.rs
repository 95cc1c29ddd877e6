//! When something of each segment was read last, by whole days, over restarts: what decides that a segment goes to the
//! archive because nobody wants it.
//!
//! Invariants
//! - What is told is never earlier than what happened: a read counts as made at the end of its day, and what nobody knows
//!   counts as read when the knowledge begins. So nothing moves early because something was forgotten.
//! - At most [`SEGMENTS_MAX`] segments are remembered; those beyond are the ones read longest ago.

use crate::error::Result;
use crate::shelf::file::{self, LAST_READS, LastReads};
use parking_lot::Mutex;
use shosoin_protocol::SegmentId;
use shosoin_tiers::Clock;
use shosoin_tiers::life::DAY_MS;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Segments that are remembered, 20 bytes each.
pub const SEGMENTS_MAX: usize = 1 << 20;

/// The last read of each segment.
pub struct Reads {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

struct Known {
    reads: LastReads,
    is_changed: bool,
}

impl Reads {
    /// What the vault in `dir` knows of reads; from now on where it knows nothing.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Self {
        let known = file::load::<LastReads>(dir, LAST_READS);
        let is_changed = known.is_none();
        let reads = known.unwrap_or_else(|| LastReads { since_ms: clock.now_ms(), ..LastReads::default() });
        Reads { dir: dir.to_owned(), clock, known: Mutex::new(Known { reads, is_changed }) }
    }

    /// When something of a segment was read last, at the latest, in milliseconds since 1970.
    pub fn last_ms(&self, segment: SegmentId) -> u64 {
        let known = self.known.lock();
        let day_ends = |day: &u32| (u64::from(*day) + 1).saturating_mul(DAY_MS) - 1;
        known.reads.days.get(&segment).map_or(known.reads.since_ms, day_ends)
    }

    /// Something of a segment was read.
    pub fn note(&self, segment: SegmentId) {
        let today = u32::try_from(self.clock.now_ms() / DAY_MS).unwrap_or(u32::MAX);
        let mut known = self.known.lock();
        if known.reads.days.get(&segment).is_none_or(|day| *day < today) {
            known.reads.days.insert(segment, today);
            known.is_changed = true;
        }
    }

    /// Writes what changed, durably. A kill loses what was noted since.
    pub fn keep(&self) -> Result<()> {
        let mut known = self.known.lock();
        if !known.is_changed {
            return Ok(());
        }
        known.reads.forget_oldest(SEGMENTS_MAX);
        file::save(&self.dir, &known.reads)?;
        known.is_changed = false;
        Ok(())
    }
}

impl LastReads {
    /// Keeps the newest `limit`; what is left out counts as read on the last day that is.
    fn forget_oldest(&mut self, limit: usize) {
        if self.days.len() <= limit {
            return;
        }
        let mut days: Vec<u32> = self.days.values().copied().collect();
        days.sort_unstable();
        let cut = days[days.len() - limit - 1];
        self.days.retain(|_, day| *day > cut);
        self.since_ms = self.since_ms.max((u64::from(cut) + 1).saturating_mul(DAY_MS) - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_tiers::clock::ManualClock;

    fn segment(no: u8) -> SegmentId {
        SegmentId([no; 16])
    }

    #[test]
    fn what_was_read_is_known_after_a_restart_and_never_as_earlier_than_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(100 * DAY_MS + 5));
        let reads = Reads::open(dir.path(), clock.clone());
        reads.keep().unwrap();
        clock.advance(10 * DAY_MS);
        reads.note(segment(1));
        reads.keep().unwrap();
        clock.advance(10 * DAY_MS);
        let reads = Reads::open(dir.path(), clock.clone());
        assert_eq!(reads.last_ms(segment(1)), 111 * DAY_MS - 1, "the end of the day it was read");
        assert_eq!(reads.last_ms(segment(2)), 100 * DAY_MS + 5, "since when reads are known");
        std::fs::write(dir.path().join("shelf/last-reads"), b"torn").unwrap();
        let reads = Reads::open(dir.path(), clock);
        assert_eq!(reads.last_ms(segment(1)), 120 * DAY_MS + 5, "knowledge that was lost begins anew");
    }

    #[test]
    fn segments_read_longest_ago_are_forgotten_first_and_count_as_read_later_than_they_were() {
        let days = (0..10u8).map(|no| (segment(no), u32::from(no) / 2)).collect();
        let mut reads = LastReads { since_ms: 7, days };
        reads.forget_oldest(5);
        assert_eq!(reads.days.len(), 4, "those of the day that is cut go together");
        assert_eq!(reads.since_ms, 3 * DAY_MS - 1);
        assert!(!reads.days.contains_key(&segment(4)) && reads.days.contains_key(&segment(6)));
    }
}
