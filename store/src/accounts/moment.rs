//! The time by which people are judged. A clock that goes back makes nothing valid again, and one that runs far ahead ends
//! no lock.

use shosoin_tiers::life::{ClockState, judge_clock};

/// Between which times now is, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    earliest_ms: u64,
    latest_ms: u64,
    doubted: bool,
}

impl Moment {
    /// From what the clock says and the newest time that was not doubted.
    pub fn of(now_ms: u64, trusted_ms: Option<u64>) -> Self {
        let trusted = trusted_ms.unwrap_or(now_ms);
        match judge_clock(trusted_ms, now_ms) {
            ClockState::Sound => Moment::at(now_ms.max(trusted)),
            ClockState::WentBack(_) => Moment { earliest_ms: trusted, latest_ms: trusted, doubted: true },
            ClockState::FarAhead(_) => Moment { earliest_ms: trusted, latest_ms: now_ms, doubted: true },
        }
    }

    /// A time that nobody doubts.
    pub fn at(now_ms: u64) -> Self {
        Moment { earliest_ms: now_ms, latest_ms: now_ms, doubted: false }
    }

    /// Whether what lasts until `until_ms` has surely ended: locks, delays.
    pub fn is_surely_past(&self, until_ms: u64) -> bool {
        self.earliest_ms >= until_ms
    }

    /// Whether what lasts until `until_ms` may have ended: passwords, grants, requests, sessions.
    pub fn may_be_past(&self, until_ms: u64) -> bool {
        self.latest_ms >= until_ms
    }

    /// Whether the clock jumped, so that the hour of the day is not known.
    pub fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// The time to write down: never behind one that was written before.
    pub fn ms(&self) -> u64 {
        self.earliest_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_900_000_000_000;
    const HOUR: u64 = 3_600_000;

    #[test]
    fn a_clock_that_goes_back_makes_nothing_valid_again_and_one_far_ahead_ends_no_lock() {
        let back = Moment::of(NOW - 24 * HOUR, Some(NOW));
        assert!(back.may_be_past(NOW - HOUR) && back.is_doubted());
        assert_eq!(back.ms(), NOW);
        let little = Moment::of(NOW - 60_000, Some(NOW));
        assert!(little.may_be_past(NOW) && !little.is_doubted(), "a step of a minute makes nothing valid either");
        let ahead = Moment::of(NOW + 20_000 * HOUR, Some(NOW));
        assert!(!ahead.is_surely_past(NOW + HOUR) && ahead.may_be_past(NOW + HOUR) && ahead.is_doubted());
        assert!(Moment::of(NOW, None).is_surely_past(NOW));
    }
}
