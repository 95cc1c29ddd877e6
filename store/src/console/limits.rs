//! How much one address, and one person, may ask for in a while.
//!
//! A bucket for each: full at first, refilled at a steady rate, one token for a request. Accounts lock by themselves after wrong
//! tries (`accounts::log_on`); this is for floods, whoever they try to be.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Buckets that are kept. Full ones are forgotten first; where that makes no room, strangers wait.
const BUCKETS_MAX: usize = 4096;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// requests of an address
    Requests,
    /// tries to log on from an address
    LogOnFrom,
    /// tries to log on with an id
    LogOnAs,
    /// what a person asks for that costs more than a look
    Work,
}

impl Kind {
    /// Tokens of a full bucket, and those that come back in a minute.
    const fn rate(self) -> (f64, f64) {
        match self {
            Kind::Requests => (240.0, 600.0),
            Kind::LogOnFrom => (12.0, 12.0),
            Kind::LogOnAs => (12.0, 6.0),
            Kind::Work => (30.0, 30.0),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Who asked for how much.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<(Kind, String), Bucket>>);

impl Limits {
    /// Takes one token, or says how long to wait for the next.
    pub(super) fn take(&self, kind: Kind, key: &str, now: Instant) -> Result<(), Duration> {
        let (most, per_minute) = kind.rate();
        let refilled = |kind: Kind, bucket: &Bucket| {
            let (most, per_minute) = kind.rate();
            (bucket.tokens + now.saturating_duration_since(bucket.at).as_secs_f64() * per_minute / 60.0).min(most)
        };
        let mut buckets = self.0.lock();
        let key = (kind, key.to_owned());
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&key) {
            buckets.retain(|(kind, _), bucket| refilled(*kind, bucket) < kind.rate().0);
            if buckets.len() >= BUCKETS_MAX {
                return Err(Duration::from_secs(60));
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: most, at: now });
        let tokens = refilled(kind, bucket);
        if tokens < 1.0 {
            *bucket = Bucket { tokens, at: now };
            return Err(Duration::from_secs_f64((1.0 - tokens) * 60.0 / per_minute));
        }
        *bucket = Bucket { tokens: tokens - 1.0, at: now };
        Ok(())
    }
}

/// What counts as one address: a whole /64 of the newer form, of which one machine has as many as it likes.
pub(super) fn address_key(from: IpAddr) -> String {
    match from.to_canonical() {
        IpAddr::V4(four) => four.to_string(),
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_turned_away_until_its_time_has_passed_and_others_are_not() {
        let (limits, now) = (Limits::default(), Instant::now());
        assert!((0..12).all(|_| limits.take(Kind::LogOnFrom, "a", now).is_ok()));
        let wait = limits.take(Kind::LogOnFrom, "a", now).unwrap_err();
        assert!(wait > Duration::from_secs(4) && wait <= Duration::from_secs(5), "{wait:?}");
        assert!(limits.take(Kind::LogOnFrom, "b", now).is_ok());
        assert!(limits.take(Kind::Requests, "a", now).is_ok());
        assert!(limits.take(Kind::LogOnFrom, "a", now + wait).is_ok());
        assert!(limits.take(Kind::LogOnFrom, "a", now + wait).is_err());
    }

    #[test]
    fn strangers_without_number_take_no_memory_without_bound() {
        let (limits, now) = (Limits::default(), Instant::now());
        for no in 0..BUCKETS_MAX {
            assert!(limits.take(Kind::LogOnAs, &no.to_string(), now).is_ok());
        }
        assert!(limits.take(Kind::LogOnAs, "one more", now).is_err());
        assert!(limits.take(Kind::LogOnAs, "0", now).is_ok(), "who was there before goes on");
        let later = now + Duration::from_secs(60);
        assert!(limits.take(Kind::LogOnAs, "one more", later).is_ok(), "full buckets are forgotten");
        assert!(limits.0.lock().len() <= BUCKETS_MAX);
    }

    #[test]
    fn a_machine_with_many_addresses_is_one() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.7"), key("192.0.2.7"));
    }
}
