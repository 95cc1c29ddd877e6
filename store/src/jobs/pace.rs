//! The pace of background work: it stops when asked, keeps to a rate, and gives way to clients.
//!
//! While clients are busy, work takes small turns: after each piece it rests until they are idle, or for a multiple of
//! what its last turn took, whichever comes first. So it always goes on, and it never has more than a small share of a
//! medium that somebody waits for.

use super::meter::Meter;
use crate::clients::Clients;
use parking_lot::Mutex;
use shosoin_tiers::Pace;
use shosoin_tiers::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Rest after a turn while clients are busy, as a multiple of the turn: at most a tenth of the time is ours.
const REST_PER_TURN: u32 = 9;
/// Bounds of one such rest.
const REST_MIN: Duration = Duration::from_millis(2);
const REST_MAX: Duration = Duration::from_millis(500);
/// How often a rest looks up.
const LOOK: Duration = Duration::from_millis(1);
/// After the last request, clients count as busy for this long.
const LULL: Duration = Duration::from_millis(10);
/// Work that sleeps for its rate looks up this often, so that it can be stopped.
const NAP: Duration = Duration::from_millis(20);

/// Why a job is to end at its next safe point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StopReason {
    /// somebody asked, or its time is over
    Asked = 1,
    /// it is to go on later by itself
    MakeRoom = 2,
}

/// Asks a job to end. Clones ask the same job.
#[derive(Debug, Clone, Default)]
pub struct StopFlag {
    reason: Arc<AtomicU8>,
}

impl StopFlag {
    /// Asks; the first reason stays.
    pub fn stop(&self, reason: StopReason) {
        let _ = self.reason.compare_exchange(0, reason as u8, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Why it was asked, if it was.
    pub fn reason(&self) -> Option<StopReason> {
        match self.reason.load(Ordering::Relaxed) {
            0 => None,
            2 => Some(StopReason::MakeRoom),
            _ => Some(StopReason::Asked),
        }
    }
}

/// Bytes a second, shared by everything that holds it.
#[derive(Debug)]
pub struct Rate {
    bytes_per_second: f64,
    free_at: Mutex<Instant>,
}

impl Rate {
    /// At most this many bytes a second.
    pub fn new(bytes_per_second: u64) -> Self {
        Rate { bytes_per_second: bytes_per_second.max(1) as f64, free_at: Mutex::new(Instant::now()) }
    }

    /// Books `bytes` and gives until when to wait before they may be moved. A second of unused time can be made up for.
    fn book(&self, bytes: u64) -> Instant {
        let now = Instant::now();
        let mut free_at = self.free_at.lock();
        let start = (*free_at).max(now.checked_sub(Duration::from_secs(1)).unwrap_or(now));
        *free_at = start + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        start
    }
}

/// The pace of one job.
#[derive(Debug)]
pub struct JobPace {
    stop: StopFlag,
    deadline: Option<Instant>,
    rates: Vec<Arc<Rate>>,
    clients: Arc<Clients>,
    meter: Option<Arc<Meter>>,
    turn: Mutex<Instant>,
}

impl JobPace {
    /// A pace that ends with `stop` or at `deadline`, keeps to every rate, gives way to `clients`, and tells a meter, if any.
    pub fn new(
        stop: StopFlag,
        deadline: Option<Instant>,
        rates: Vec<Arc<Rate>>,
        clients: Arc<Clients>,
        meter: impl Into<Option<Arc<Meter>>>,
    ) -> Self {
        JobPace { stop, deadline, rates, clients, meter: meter.into(), turn: Mutex::new(Instant::now()) }
    }

    fn check(&self) -> Result<()> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.stop.stop(StopReason::Asked);
        }
        match self.stop.reason() {
            None => Ok(()),
            Some(_) => Err(Error::Stopped),
        }
    }

    fn keep_to(&self, rate: &Rate, bytes: u64) -> Result<()> {
        let until = rate.book(bytes);
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            std::thread::sleep(left.min(NAP));
            self.check()?;
        }
        Ok(())
    }

    fn give_way(&self, turn: Duration) -> Result<()> {
        let rest = (turn * REST_PER_TURN).clamp(REST_MIN, REST_MAX);
        let _alone = self.clients.turnstile(); // jobs rest one after the other, or many would have many shares
        let until = Instant::now() + rest;
        while self.clients.are_busy(LULL) && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        self.check()
    }
}

impl Pace for JobPace {
    fn spend(&self, bytes: u64) -> Result<()> {
        let turn = self.turn.lock().elapsed();
        self.check()?;
        for rate in &self.rates {
            self.keep_to(rate, bytes)?;
        }
        if self.clients.are_busy(LULL) {
            self.give_way(turn)?;
        }
        *self.turn.lock() = Instant::now();
        self.meter.iter().for_each(|meter| meter.spend(bytes));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Operation;
    use crate::jobs::JobKind;

    fn pace(deadline: Option<Instant>, rates: Vec<Arc<Rate>>, clients: &Arc<Clients>) -> JobPace {
        JobPace::new(StopFlag::default(), deadline, rates, clients.clone(), Arc::new(Meter::new(JobKind::Scrub)))
    }

    #[test]
    fn work_ends_when_asked_and_when_its_time_is_over() {
        let clients = Arc::default();
        let asked = pace(None, Vec::new(), &clients);
        asked.spend(1).unwrap();
        asked.stop.stop(StopReason::MakeRoom);
        assert!(matches!(asked.spend(1), Err(Error::Stopped)));
        assert_eq!(asked.stop.reason(), Some(StopReason::MakeRoom));
        let over = pace(Some(Instant::now()), Vec::new(), &clients);
        assert!(matches!(over.spend(1), Err(Error::Stopped)));
        assert_eq!(over.stop.reason(), Some(StopReason::Asked));
    }

    #[test]
    fn a_rate_is_kept_over_all_who_share_it() {
        let rate = Arc::new(Rate::new(1_000_000));
        let begin = Instant::now();
        let clients = Arc::default();
        let (one, other) = (pace(None, vec![rate.clone()], &clients), pace(None, vec![rate], &clients));
        for _ in 0..3 {
            one.spend(50_000).unwrap();
            other.spend(50_000).unwrap();
        }
        assert!(
            begin.elapsed() >= Duration::from_millis(240),
            "six pieces, five waits of 50 ms: {:?}",
            begin.elapsed()
        );
    }

    #[test]
    fn work_rests_while_a_client_waits_and_goes_on_all_the_same() {
        let clients: Arc<Clients> = Arc::default();
        let pace = pace(None, Vec::new(), &clients);
        let request = clients.begin(Operation::Record);
        let begin = Instant::now();
        pace.spend(1).unwrap();
        assert!(begin.elapsed() >= REST_MIN);
        assert!(begin.elapsed() < Duration::from_secs(5), "a client that never ends does not stop it for ever");
        drop(request);
    }
}
