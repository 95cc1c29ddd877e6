//! Whether the vault's clock is to be believed.
//!
//! The last time that was believed is kept on disk. A clock that is far ahead of it, or behind it, is in doubt until it
//! comes back or an operator confirms it. While it is in doubt nothing that removes anything starts by itself, and what is
//! done is dated with the last time that was believed, so that no byte counts as verified on a doubted clock's word.

use super::file::Stored;
use shosoin_protocol::Result;
use shosoin_protocol::codec::{Reader, Writer};

/// Name of the file.
pub const CLOCK: &str = "clock";
/// How far a clock may be set back.
const BACK_MS: u64 = 86_400_000;

/// What is known of the clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClockGuard {
    /// the newest time that was believed; 0 before the first
    pub believed_ms: u64,
}

impl Stored for ClockGuard {
    const FORM: u8 = 4;

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.believed_ms);
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(ClockGuard { believed_ms: reader.u64("believed time")? })
    }
}

impl ClockGuard {
    /// Looks at the clock. Gives why it is in doubt, if it is.
    pub fn look(&mut self, now_ms: u64, jump_ms: u64) -> Option<String> {
        let days = |ms: u64| ms / 86_400_000;
        if self.believed_ms > 0 && now_ms > self.believed_ms.saturating_add(jump_ms) {
            let ahead = days(now_ms - self.believed_ms);
            return Some(format!("the clock is {ahead} days ahead of when this vault last ran"));
        }
        if now_ms.saturating_add(BACK_MS) < self.believed_ms {
            return Some(format!("the clock went back by {} days", days(self.believed_ms - now_ms)));
        }
        self.believed_ms = self.believed_ms.max(now_ms);
        None
    }

    /// The time to date things with.
    pub fn stamp(&self, now_ms: u64, in_doubt: bool) -> u64 {
        if in_doubt { self.believed_ms.min(now_ms) } else { now_ms }
    }

    /// Believes a time because an operator says so.
    pub fn confirm(&mut self, now_ms: u64) {
        self.believed_ms = now_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;
    const JUMP_MS: u64 = 40 * DAY_MS;

    #[test]
    fn a_clock_that_moves_on_is_believed_and_one_that_jumps_is_not_until_it_comes_back_or_somebody_confirms() {
        let start = 20_000 * DAY_MS;
        let mut guard = ClockGuard::default();
        assert_eq!(guard.look(start, JUMP_MS), None);
        assert_eq!(guard.look(start + 30 * DAY_MS, JUMP_MS), None);
        let ahead = start + 3_680 * DAY_MS;
        assert!(guard.look(ahead, JUMP_MS).unwrap().contains("3650 days ahead"));
        assert_eq!(guard.stamp(ahead, true), start + 30 * DAY_MS);
        assert_eq!(guard.look(start + 31 * DAY_MS, JUMP_MS), None, "it came back");
        assert!(guard.look(start, JUMP_MS).unwrap().contains("went back by 31 days"));
        assert_eq!(guard.look(start + 31 * DAY_MS - 3_600_000, JUMP_MS), None, "an hour is no jump");
        guard.confirm(ahead);
        assert_eq!(guard.look(ahead + 1, JUMP_MS), None);
    }
}
