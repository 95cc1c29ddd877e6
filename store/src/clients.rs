//! Clients: how many of their requests are being answered, and how long each kind took. Background work looks here
//! before each piece, and gives way.

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use std::sync::atomic::{AtomicUsize, Ordering};
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

    fn label(self) -> [(&'static str, &'static str); 1] {
        [("operation", self.name())]
    }
}

/// Latencies by operation, as metrics show them.
pub type Latencies = Family<[(&'static str, &'static str); 1], Histogram, fn() -> Histogram>;

/// The clients of a vault.
#[derive(Debug)]
pub struct Clients {
    in_flight: AtomicUsize,
    latencies: Latencies,
    last_end: Mutex<Option<Instant>>,
    turnstile: Mutex<()>,
}

impl Default for Clients {
    fn default() -> Self {
        let latencies = Latencies::new_with_constructor(|| Histogram::new(LATENCY_BOUNDS));
        for operation in Operation::ALL {
            drop(latencies.get_or_create(&operation.label()));
        }
        Clients { in_flight: AtomicUsize::new(0), latencies, last_end: Mutex::new(None), turnstile: Mutex::new(()) }
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

    /// Where background work waits for its turn while clients are busy.
    pub fn turnstile(&self) -> MutexGuard<'_, ()> {
        self.turnstile.lock()
    }

    /// How long requests took; a clone shows the same.
    pub fn latencies(&self) -> Latencies {
        self.latencies.clone()
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
        let latency = self.clients.latencies.get_or_create(&self.operation.label());
        latency.observe(self.began.elapsed().as_secs_f64());
        drop(latency);
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
    }
}
