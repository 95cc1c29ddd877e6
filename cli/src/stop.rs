//! When to stop: SIGTERM and SIGINT ask a serving process to finish what it began.

use crate::error::{Error, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals, caught from the moment this is made.
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Begins to catch them.
    pub fn listen() -> Result<Stop> {
        let catch = |kind| signal(kind).map_err(|source| Error::System { action: "catch signals", source });
        Ok(Stop { terminate: catch(SignalKind::terminate())?, interrupt: catch(SignalKind::interrupt())? })
    }

    /// Ready when either came.
    pub async fn asked(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
