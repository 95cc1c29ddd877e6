//! Asking again: only what can be asked twice without harm, a few times, with growing pauses.

use crate::{Error, Result};
use shosoin_protocol::ErrorKind;
use std::time::Duration;

/// Times a request is made before its failure is believed.
const ATTEMPTS: u32 = 4;
/// Pause after the first failure; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The pause before attempt `attempt`, which counts from 1.
pub fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE * 2u32.saturating_pow(attempt.saturating_sub(1).min(6))
}

/// Runs `request` until it succeeds, fails for good, or has failed often enough.
pub async fn repeat<T, F: Future<Output = Result<T>>>(mut request: impl FnMut() -> F) -> Result<T> {
    let mut attempt = 1;
    loop {
        match request().await {
            Err(error) if attempt < ATTEMPTS && is_passing(&error) => tokio::time::sleep(pause(attempt)).await,
            answer => return answer,
        }
        attempt += 1;
    }
}

fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Unreachable { .. } | Error::Vault(_)) && error.kind() == ErrorKind::Unavailable
}
