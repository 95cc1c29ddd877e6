//! Lanes: one thread for each volume, so that the k + m writes and syncs of a stripe happen at the same time.
//! In a simulation a lane has no thread and does its work where it is given, so that one seed is one run.
//! Measured: six small files synced from six threads take 0.6 ms, one after the other 1.4 ms.
//!
//! A job that is not done in time counts as failed. If it has not begun it never will; if it has, it may still be done
//! later, and whoever gave it must not care.

use crate::wait::Wait;
use crate::{Error, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that does what it is given, in order. Dropping it waits until it has, unless it is stuck.
#[derive(Debug)]
pub struct Lane {
    /// the volume, as a person would find it
    place: String,
    wait: Wait,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    progress: Arc<Progress>,
}

/// How far a lane is.
#[derive(Debug, Default)]
pub struct Progress {
    given: AtomicU64,
    done: AtomicU64,
    was_late: AtomicBool,
}

impl Progress {
    /// Whether a job was not done in time, and is not done yet.
    pub fn is_stuck(&self) -> bool {
        let late = self.was_late.load(Ordering::Acquire);
        late && self.done.load(Ordering::Acquire) < self.given.load(Ordering::Acquire)
    }
}

impl Lane {
    /// A lane without a thread.
    pub fn inline(place: String, wait: Wait) -> Self {
        Lane { place, wait, jobs: None, thread: None, progress: Arc::default() }
    }

    /// Starts the thread.
    pub fn start(name: String, place: String, wait: Wait) -> Result<Self> {
        let (jobs, queue) = unbounded::<Job>();
        let progress = Arc::new(Progress::default());
        let done = progress.clone();
        let run = move || {
            for job in queue {
                job();
                done.done.fetch_add(1, Ordering::AcqRel);
            }
        };
        match std::thread::Builder::new().name(name).spawn(run) {
            Ok(thread) => Ok(Lane { place, wait, jobs: Some(jobs), thread: Some(thread), progress }),
            Err(source) => Err(Error::Thread { source }),
        }
    }

    /// How far it is; this goes on being true when the lane is gone.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Gives it a job; whoever does must [`end`](Self::end) it.
    pub fn begin<T, F>(&self, what: &'static str, job: F) -> Begun<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let Some(jobs) = &self.jobs else { return Begun::Done(self.wait.here(&self.place, what, job)) };
        if self.progress.is_stuck() {
            return Begun::Done(Err(self.wait.slow(&self.place, what)));
        }
        let (answer, answered) = bounded(1);
        let left = Arc::new(AtomicBool::new(false));
        let unless_left = left.clone();
        self.progress.given.fetch_add(1, Ordering::AcqRel);
        // a lane whose thread is gone drops the job, and whoever waits for its answer sees that
        drop(jobs.send(Box::new(move || {
            if !unless_left.load(Ordering::Acquire) {
                let _ = answer.send(job());
            }
        })));
        Begun::Waits { answered, left, since: Instant::now() }
    }

    /// Waits for a job that was given, but not too long.
    pub fn end<T>(&self, what: &'static str, begun: Begun<T>) -> Result<T> {
        let (answered, left, since) = match begun {
            Begun::Done(result) => return result,
            Begun::Waits { answered, left, since } => (answered, left, since),
        };
        match answered.recv_deadline(since + self.wait.max) {
            Ok(result) => result,
            Err(RecvTimeoutError::Disconnected) => Err(Error::Abandoned { what }),
            Err(RecvTimeoutError::Timeout) => {
                left.store(true, Ordering::Release);
                self.progress.was_late.store(true, Ordering::Release);
                Err(self.wait.slow(&self.place, what))
            }
        }
    }
}

/// A job that was given.
pub enum Begun<T> {
    /// it was done where it was given
    Done(Result<T>),
    /// the thread does it
    Waits {
        /// how it went
        answered: Receiver<Result<T>>,
        /// nobody waits for it any more
        left: Arc<AtomicBool>,
        /// when it was given
        since: Instant,
    },
}

impl Drop for Lane {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take().filter(|_| !self.progress.is_stuck()) {
            let _ = thread.join();
        }
    }
}

/// Runs every job on its lane and waits for all of them, but for none too long; answers come in the order of the jobs.
pub fn on_all<'a, T, F>(what: &'static str, jobs: impl Iterator<Item = (&'a Lane, F)>) -> Vec<Result<T>>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    let begun: Vec<_> = jobs.map(|(lane, job)| (lane, lane.begin(what, job))).collect();
    begun.into_iter().map(|(lane, begun)| lane.end(what, begun)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::{Clock, SystemClock};
    use std::sync::Barrier;
    use std::time::Duration;

    fn wait(max: Duration, clock: Arc<dyn Clock>) -> Wait {
        Wait { max, clock }
    }

    fn lane(name: &str, max: Duration) -> Lane {
        Lane::start(name.into(), name.into(), wait(max, Arc::new(SystemClock))).unwrap()
    }

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn jobs_on_different_lanes_run_at_the_same_time_and_answer_in_order() {
        let lanes: Vec<Lane> = (0..4).map(|no| lane(&format!("lane {no}"), LONG)).collect();
        let meeting = Arc::new(Barrier::new(4));
        let jobs = lanes.iter().enumerate().map(|(no, lane)| {
            let meeting = meeting.clone();
            let job = move || {
                meeting.wait(); // would never return if one had to wait for another
                Ok(no)
            };
            (lane, job)
        });
        let answers: Vec<usize> = on_all("meeting", jobs).into_iter().map(Result::unwrap).collect();
        assert_eq!(answers, [0, 1, 2, 3]);
    }

    #[test]
    fn a_lane_that_died_is_an_error_and_not_a_hang() {
        let lane = lane("doomed", LONG);
        let quiet = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let jobs = [true, false].into_iter().map(|dies| {
            let job = move || match dies {
                true => panic!("as this test wants it"),
                false => Ok(()),
            };
            (&lane, job)
        });
        let answers = on_all("test", jobs);
        std::panic::set_hook(quiet);
        assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Abandoned { .. }))));
    }

    #[test]
    fn a_stuck_lane_fails_its_jobs_in_time_takes_no_more_and_does_not_hold_up_who_drops_it() {
        let lane = lane("stuck", Duration::from_millis(20));
        let (release, held) = bounded::<()>(0);
        let (begun, seen) = bounded::<&str>(4);
        let job = |name: &'static str, held: Option<Receiver<()>>| {
            let begun = begun.clone();
            move || {
                begun.send(name).unwrap();
                held.map_or(Ok(()), |held| held.recv().map_err(|_| Error::Stopped))
            }
        };
        let jobs = [job("first", Some(held)), job("behind it", None)].map(|job| (&lane, job));
        let answers = on_all("test", jobs.into_iter());
        assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Slow { .. }))), "{answers:?}");
        let refused = on_all("test", [(&lane, job("afterwards", None))].into_iter());
        assert!(matches!(refused[..], [Err(Error::Slow { .. })]));
        let progress = lane.progress();
        drop(lane); // returns although its thread is in the first job
        assert!(progress.is_stuck());
        release.send(()).unwrap();
        drop(begun);
        drop(refused);
        assert_eq!(seen.iter().collect::<Vec<_>>(), ["first"], "what was left before it began never begins");
    }

    #[test]
    fn without_a_thread_a_job_that_took_too_long_by_the_clock_has_failed() {
        let clock = Arc::new(ManualClock::new(5));
        let lane = Lane::inline("simulated".into(), wait(Duration::from_secs(30), clock.clone()));
        let takes = |ms: u64| {
            let clock = clock.clone();
            (&lane, move || {
                clock.advance(ms);
                Ok(())
            })
        };
        assert!(matches!(on_all("test", [takes(30_000)].into_iter())[..], [Ok(())]));
        assert!(matches!(
            on_all("test", [takes(30_001)].into_iter())[..],
            [Err(Error::Slow { waited_ms: 30_000, .. })]
        ));
    }
}
