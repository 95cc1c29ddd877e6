//! How far a job has come, for whoever looks while it runs.

use super::JobKind;
use super::report::Progress;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The meter of one run.
#[derive(Debug)]
pub struct Meter {
    kind: JobKind,
    began: Instant,
    /// bytes the pace let through since the last step ended
    spent: AtomicU64,
    reading: Mutex<Reading>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    behind: u64,
    total: Option<u64>,
    at_start: Option<u64>,
    findings: u64,
}

impl Meter {
    /// A run that begins now.
    pub fn new(kind: JobKind) -> Self {
        Meter { kind, began: Instant::now(), spent: AtomicU64::new(0), reading: Mutex::default() }
    }

    /// A piece is about to be read or written.
    pub fn spend(&self, bytes: u64) {
        self.spent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A step ended.
    pub fn stepped(&self, (behind, total): (u64, Option<u64>), findings: u64) {
        let mut reading = self.reading.lock();
        self.spent.store(0, Ordering::Relaxed);
        let at_start = reading.at_start.or(Some(behind));
        *reading = Reading { behind, total, at_start, findings };
    }

    /// How far it has come. Between steps, work that only reads is counted piece by piece.
    pub fn progress(&self) -> Progress {
        let Reading { behind, total, at_start, findings } = *self.reading.lock();
        let spent = if self.kind.lane() == super::Lane::Verify { self.spent.load(Ordering::Relaxed) } else { 0 };
        let done_bytes = total.map_or(behind + spent, |total| (behind + spent).min(total));
        let moved = done_bytes.saturating_sub(at_start.unwrap_or(behind));
        let elapsed_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let bytes_per_second = moved.saturating_mul(1000) / elapsed_ms;
        let left = total.map(|total| total - done_bytes);
        let eta_seconds = left.and_then(|left| left.checked_div(bytes_per_second));
        Progress { job: self.kind, done_bytes, total_bytes: total, bytes_per_second, eta_seconds, findings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_behind_at_the_start_is_shown_and_not_counted_into_the_rate() {
        let meter = Meter::new(JobKind::Scrub);
        meter.stepped((1_000, Some(2_000)), 0);
        assert_eq!((meter.progress().done_bytes, meter.progress().bytes_per_second), (1_000, 0));
        assert_eq!(meter.progress().eta_seconds, None);
        meter.spend(500);
        assert_eq!(meter.progress().done_bytes, 1_500);
        meter.spend(5_000);
        assert_eq!(meter.progress().done_bytes, 2_000, "never more than all");
        meter.stepped((1_800, Some(2_000)), 3);
        let progress = meter.progress();
        assert_eq!((progress.done_bytes, progress.findings), (1_800, 3));
        assert!(progress.bytes_per_second > 0 && progress.eta_seconds.is_some());
    }
}
