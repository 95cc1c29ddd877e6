//! Floods: the same refused try again and again is one record a minute with a count, so that nobody fills the audit log, or
//! hides in it.

use parking_lot::Mutex;
use std::collections::BTreeMap;

/// One record in this time, in milliseconds.
const EVERY_MS: u64 = 60_000;
/// Kinds of tries that are told apart.
const KEYS_MAX: usize = 1024;

/// What was counted.
#[derive(Debug, Default)]
pub struct Floods(Mutex<BTreeMap<String, (u64, u64)>>);

impl Floods {
    /// Counts a try. Gives how many there were since the last record, where one is due.
    pub fn count(&self, key: &str, now_ms: u64) -> Option<u64> {
        let mut counted = self.0.lock();
        if counted.len() >= KEYS_MAX && !counted.contains_key(key) {
            counted.retain(|_, (last_ms, _)| now_ms.abs_diff(*last_ms) < EVERY_MS);
            if counted.len() >= KEYS_MAX {
                return None;
            }
        }
        let (last_ms, count) = counted.entry(key.to_owned()).or_insert((0, 0));
        *count += 1;
        if now_ms.abs_diff(*last_ms) < EVERY_MS {
            return None;
        }
        *last_ms = now_ms;
        Some(std::mem::take(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_told_at_once_and_the_rest_by_number() {
        let floods = Floods::default();
        assert_eq!(floods.count("a", 1_000_000), Some(1));
        assert!((0..99).all(|_| floods.count("a", 1_000_001).is_none()));
        assert_eq!(floods.count("b", 1_000_001), Some(1));
        assert_eq!(floods.count("a", 1_060_000), Some(100));
    }
}
