//! Small calls on a volume that nobody waits for too long: reads through the cache, opening a file. They are made on threads
//! that are kept for the next call, because starting one costs more than the call itself.
//!
//! A call that does not answer in time keeps its thread and its memory, and the volume owes that answer: until it has given
//! it, nothing more is asked of it here.

use crate::wait::{Owed, Wait};
use crate::{Error, Result};
use crossbeam_channel::{Sender, bounded};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Threads of one volume that are kept while nothing is asked of it.
const IDLE_MAX: usize = 8;

type Job = Box<dyn FnOnce() + Send>;

/// The threads of one volume.
#[derive(Debug, Default)]
pub struct Bounded {
    idle: Mutex<Vec<Sender<Job>>>,
}

impl Bounded {
    /// Makes a call; [`Error::Slow`] if it takes longer than a volume may, or if the volume owes an answer already.
    pub fn call<T, F>(&self, place: &str, what: &'static str, wait: &Wait, owed: &Owed, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        if !owed.is_none() {
            return Err(wait.slow(place, what));
        }
        let (answer, answered) = bounded(1);
        let is_left = Arc::new(Mutex::new(false));
        let (left, paid) = (is_left.clone(), owed.clone());
        let job: Job = Box::new(move || {
            let made = call();
            let left = left.lock();
            match *left {
                true => paid.pay(),
                false => drop(answer.send(made)),
            }
        });
        let thread = self.give(job)?;
        let made = match answered.recv_timeout(wait.max) {
            Ok(made) => made,
            Err(error) if error.is_disconnected() => return Err(Error::Abandoned { what }),
            Err(_) => {
                let mut left = is_left.lock();
                match answered.recv_timeout(Duration::ZERO) {
                    Ok(made) => made,
                    Err(_) => {
                        *left = true;
                        owed.owe();
                        return Err(wait.slow(place, what));
                    }
                }
            }
        };
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(thread);
        }
        made
    }

    /// Gives a job to a thread that has nothing to do.
    fn give(&self, mut job: Job) -> Result<Sender<Job>> {
        while let Some(thread) = { self.idle.lock().pop() } {
            match thread.send(job) {
                Ok(()) => return Ok(thread),
                Err(returned) => job = returned.into_inner(), // it panicked in what it did before
            }
        }
        let (thread, jobs) = bounded::<Job>(1);
        let run = move || jobs.into_iter().for_each(|job| job());
        let spawned = std::thread::Builder::new().name("small read".into()).spawn(run);
        spawned.map_err(|source| Error::Thread { source })?;
        thread.send(job).map_err(|_| Error::Abandoned { what: "a thread that was just started" })?;
        Ok(thread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemClock;
    use std::thread::ThreadId;

    fn wait(max: Duration) -> Wait {
        Wait { max, clock: Arc::new(SystemClock) }
    }

    #[test]
    fn calls_one_after_the_other_are_made_on_one_thread() {
        let (bounded, owed) = (Bounded::default(), Owed::default());
        let on =
            || bounded.call("v01", "test", &wait(Duration::from_secs(60)), &owed, || Ok(std::thread::current().id()));
        let threads: Vec<ThreadId> = (0..5).map(|_| on().unwrap()).collect();
        assert!(threads.iter().all(|thread| *thread == threads[0] && *thread != std::thread::current().id()));
    }

    #[test]
    fn a_call_that_hangs_is_left_and_the_next_fails_at_once_until_it_has_answered() {
        let (threads, owed, short) = (Bounded::default(), Owed::default(), wait(Duration::from_millis(20)));
        let (release, held) = bounded::<()>(0);
        let hangs = threads.call("v01", "test", &short, &owed, move || held.recv().map_err(|_| Error::Stopped));
        assert!(matches!(hangs, Err(Error::Slow { .. })));
        assert!(!owed.is_none());
        let long = wait(Duration::from_secs(600));
        let refused = threads.call("v01", "test", &long, &owed, || Ok(()));
        assert!(matches!(refused, Err(Error::Slow { .. })), "nobody waits again");
        release.send(()).unwrap();
        while !owed.is_none() {
            std::thread::yield_now(); // it has been let go and answers
        }
        threads.call("v01", "test", &long, &owed, || Ok(())).unwrap();
    }
}
