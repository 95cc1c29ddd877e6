//! Clients: how many of their requests are being answered, and how long each kind took. Background work looks here
//! before each piece, and gives way.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Upper bounds of the classes of latency, in seconds.
pub const LATENCY_BOUNDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// which addresses are missing
    Missing,
    /// one chunk to keep
    PutChunk,
    /// deposits to accept
    Deposit,
    /// one record
    Record,
    /// one version, or the newest of a name
    Version,
    /// the log: entries, proofs, heads, devices
    Log,
}

impl Operation {
    /// Every one, in the order of their numbers.
    pub const ALL: [Operation; 6] = [
        Operation::Missing,
        Operation::PutChunk,
        Operation::Deposit,
        Operation::Record,
        Operation::Version,
        Operation::Log,
    ];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Operation::Missing => "missing",
            Operation::PutChunk => "put_chunk",
            Operation::Deposit => "deposit",
            Operation::Record => "record",
            Operation::Version => "version",
            Operation::Log => "log",
        }
    }
}

/// How long requests of one kind took.
#[derive(Debug, Default)]
pub struct Latency {
    classes: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    sum_us: AtomicU64,
}

impl Latency {
    fn observe(&self, took: Duration) {
        let class = LATENCY_BOUNDS.partition_point(|bound| *bound < took.as_secs_f64());
        self.classes[class].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Requests up to each bound, not cumulated; the last class has none.
    pub fn classes(&self) -> Vec<u64> {
        self.classes.iter().map(|class| class.load(Ordering::Relaxed)).collect()
    }

    /// All of it together, in seconds.
    pub fn sum_seconds(&self) -> f64 {
        self.sum_us.load(Ordering::Relaxed) as f64 / 1e6
    }
}

/// The clients of a vault.
#[derive(Debug)]
pub struct Clients {
    in_flight: AtomicUsize,
    latencies: [Latency; Operation::ALL.len()],
    last_end: Mutex<Option<Instant>>,
}

impl Default for Clients {
    fn default() -> Self {
        Clients { in_flight: AtomicUsize::new(0), latencies: Default::default(), last_end: Mutex::new(None) }
    }
}

impl Clients {
    /// Notes that a request began; it ended when what this gives is dropped.
    pub fn begin(&self, operation: Operation) -> Request<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Request { clients: self, operation, began: Instant::now() }
    }

    /// Requests that are being answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether a request is being answered, or one was within `lull`: clients ask again and again, and the moment between
    /// two requests is no rest.
    pub fn are_busy(&self, lull: Duration) -> bool {
        self.in_flight() > 0 || self.last_end.lock().is_some_and(|end| end.elapsed() < lull)
    }

    /// How long requests of one kind took.
    pub fn latency(&self, operation: Operation) -> &Latency {
        &self.latencies[operation as usize]
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Request<'a> {
    clients: &'a Clients,
    operation: Operation,
    began: Instant,
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.clients.latency(self.operation).observe(self.began.elapsed());
        *self.clients.last_end.lock() = Some(Instant::now());
        self.clients.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_in_flight_until_it_is_dropped_and_then_counted_once() {
        let clients = Clients::default();
        assert!(!clients.are_busy(Duration::from_secs(60)));
        let request = clients.begin(Operation::Record);
        assert_eq!(clients.in_flight(), 1);
        drop(request);
        assert_eq!(clients.in_flight(), 0);
        assert!(clients.are_busy(Duration::from_secs(60)), "the lull after a request is no rest yet");
        assert!(!clients.are_busy(Duration::ZERO));
        assert_eq!(clients.latency(Operation::Record).classes().iter().sum::<u64>(), 1);
        assert_eq!(clients.latency(Operation::Deposit).classes().iter().sum::<u64>(), 0);
    }
}
