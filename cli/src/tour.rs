//! Progress of work over a whole ledger: a bar for people; for programs a line of JSON now and then, with rate and time left.

use crate::output::Output;
use crate::progress::Progress;
use serde_json::json;
use shosoin_client::WalkProgress;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Programs are told how far it has come when it begins, and then this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// One tour over the ledger.
pub struct Tour {
    output: Output,
    bar: Progress,
    begun: Instant,
    /// when programs were told last, and versions so far
    state: Mutex<(Option<Instant>, u64)>,
}

impl Tour {
    /// Begins now; `what` is done to each version.
    pub fn new(output: Output, what: &'static str) -> Self {
        Tour { output, bar: Progress::count(output, what, Some(0)), begun: Instant::now(), state: Mutex::default() }
    }

    /// It has come this far.
    pub fn show(&self, progress: WalkProgress) {
        let WalkProgress { leaves_before, leaves, leaves_total, versions } = progress;
        self.bar.set(leaves, leaves_total);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = versions;
        if state.0.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            state.0 = Some(Instant::now());
            let (done, left) = (leaves - leaves_before, leaves_total - leaves);
            let eta_s = (done > 0).then(|| self.begun.elapsed().as_secs() * left / done);
            self.output.progress(&json!({
                "entries": leaves, "entries_total": leaves_total, "versions": versions,
                "versions_per_minute": self.per_minute(versions), "eta_s": eta_s,
            }));
        }
    }

    /// Ends it; gives versions a minute, over all of it.
    pub fn finish(self) -> u64 {
        self.per_minute(self.state.lock().unwrap_or_else(PoisonError::into_inner).1)
    }

    fn per_minute(&self, versions: u64) -> u64 {
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        versions.saturating_mul(60_000) / millis.max(1)
    }
}
