//! The wall clock and fresh version ids: the only place of the client that asks the system for time or randomness.

use crate::{Error, Result};
use shosoin_protocol::VersionId;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970; 0 if the clock stands before that.
pub fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// A version id that nobody used before.
pub fn fresh_version(now_ms: u64) -> Result<VersionId> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| Error::Randomness { why: error.to_string() })?;
    Ok(VersionId::new(now_ms, random))
}
