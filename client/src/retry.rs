//! Asking again: only what can be asked twice without harm, a few times, with growing pauses.

use crate::{Error, Result};
use shosoin_protocol::ErrorKind;
use shosoin_protocol::api::code;
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

/// The vault answered that it cannot now, and not that a person must mount something first. Silence is the transport's to
/// deal with.
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Vault(problem) if problem.kind() == ErrorKind::Unavailable && problem.code != code::ON_SHELF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::api::Problem;
    use std::cell::Cell;

    fn problem(kind: ErrorKind, code: &str) -> Error {
        Error::Vault(Problem { kind: kind.name().into(), code: code.into(), message: "y".into() })
    }

    #[tokio::test]
    async fn only_what_may_pass_is_asked_again_and_not_for_ever() {
        let cases = [
            (ErrorKind::Unavailable, "x", ATTEMPTS),
            (ErrorKind::Unavailable, code::ON_SHELF, 1),
            (ErrorKind::NotFound, "x", 1),
            (ErrorKind::Damaged, "x", 1),
        ];
        for (kind, code, asked) in cases {
            let times = Cell::new(0);
            let request = async || {
                times.set(times.get() + 1);
                Err::<(), Error>(problem(kind, code))
            };
            assert_eq!(repeat(request).await.unwrap_err().kind(), kind);
            assert_eq!(times.get(), asked);
        }
    }
}
