//! Control: which jobs run, one in each lane, and how they are asked to end.
//!
//! A job that somebody asks for makes the automatic one in its lane pause; two that somebody asked for do not meet.

use super::meter::Meter;
use super::pace::{StopFlag, StopReason};
use super::report::Progress;
use super::{By, JobKind, Lane};
use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A job that runs.
#[derive(Debug)]
struct Running {
    kind: JobKind,
    by: By,
    stop: StopFlag,
    meter: Arc<Meter>,
}

#[derive(Debug, Default)]
struct Lanes {
    running: Vec<Running>,
    threads: Vec<JoinHandle<()>>,
    closing: bool,
}

impl Lanes {
    fn in_lane(&self, lane: Lane) -> Option<&Running> {
        self.running.iter().find(|running| running.kind.lane() == lane)
    }
}

/// Which jobs run.
#[derive(Debug, Default)]
pub struct Control {
    lanes: Mutex<Lanes>,
    changed: Condvar,
}

/// A place in a lane; free again when dropped.
#[derive(Debug)]
pub struct Place {
    control: Arc<Control>,
    kind: JobKind,
    /// asks the job in this place to end
    pub stop: StopFlag,
    /// how far it has come
    pub meter: Arc<Meter>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.control.lanes.lock().running.retain(|running| running.kind != self.kind);
        self.control.changed.notify_all();
    }
}

impl Control {
    /// The lane of `kind`, if it is free.
    pub fn try_take(self: &Arc<Self>, kind: JobKind, by: By) -> Option<Place> {
        let mut lanes = self.lanes.lock();
        (!lanes.closing && lanes.in_lane(kind.lane()).is_none()).then(|| self.place(&mut lanes, kind, by))
    }

    /// The lane of `kind` for an operator: an automatic job in it is asked to pause, and waited for.
    pub fn take(self: &Arc<Self>, kind: JobKind) -> Result<Place> {
        let mut lanes = self.lanes.lock();
        loop {
            if lanes.closing {
                return Err(Error::Closing);
            }
            match lanes.in_lane(kind.lane()) {
                None => return Ok(self.place(&mut lanes, kind, By::Operator)),
                Some(running) if running.by == By::Operator => {
                    return Err(Error::JobRunning { job: running.kind.name() });
                }
                Some(running) => running.stop.stop(StopReason::MakeRoom),
            }
            self.changed.wait(&mut lanes);
        }
    }

    fn place(self: &Arc<Self>, lanes: &mut Lanes, kind: JobKind, by: By) -> Place {
        let (stop, meter) = (StopFlag::default(), Arc::new(Meter::new(kind)));
        lanes.running.push(Running { kind, by, stop: stop.clone(), meter: meter.clone() });
        Place { control: self.clone(), kind, stop, meter }
    }

    /// How far a kind has come, if it runs.
    pub fn progress(&self, kind: JobKind) -> Option<Progress> {
        self.lanes.lock().running.iter().find(|running| running.kind == kind).map(|running| running.meter.progress())
    }

    /// Asks a kind to end; gives whether it ran.
    pub fn stop(&self, kind: JobKind, reason: StopReason) -> bool {
        let lanes = self.lanes.lock();
        let running = lanes.running.iter().find(|running| running.kind == kind);
        running.inspect(|running| running.stop.stop(reason)).is_some()
    }

    /// Asks every automatic job of which `outside` is true to pause.
    pub fn pause_where(&self, outside: impl Fn(JobKind) -> bool) {
        let lanes = self.lanes.lock();
        let automatic = lanes.running.iter().filter(|running| running.by == By::Schedule && outside(running.kind));
        automatic.for_each(|running| running.stop.stop(StopReason::MakeRoom));
    }

    /// Asks the automatic job in the lane of `kind` to pause where `kind` is more urgent.
    pub fn make_room_for(&self, kind: JobKind) {
        let lanes = self.lanes.lock();
        if let Some(running) = lanes.in_lane(kind.lane()).filter(|running| running.by == By::Schedule)
            && kind < running.kind
        {
            running.stop.stop(StopReason::MakeRoom);
        }
    }

    /// Keeps a thread to be joined when the vault closes; those that have ended are let go.
    pub fn keep(&self, thread: JoinHandle<()>) {
        let mut lanes = self.lanes.lock();
        lanes.threads.retain(|thread| !thread.is_finished());
        lanes.threads.push(thread);
    }

    /// Waits for `time`, or until something changes. Gives whether to go on.
    pub fn wait(&self, time: Duration) -> bool {
        let mut lanes = self.lanes.lock();
        if !lanes.closing {
            self.changed.wait_for(&mut lanes, time);
        }
        !lanes.closing
    }

    /// Asks every job to end, waits for them, and lets none begin. Not from a thread of a job.
    pub fn close(&self) {
        let threads = {
            let mut lanes = self.lanes.lock();
            lanes.closing = true;
            lanes.running.iter().for_each(|running| running.stop.stop(StopReason::MakeRoom));
            std::mem::take(&mut lanes.threads)
        };
        self.changed.notify_all();
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a job panicked");
            }
        }
        let mut lanes = self.lanes.lock();
        while !lanes.running.is_empty() {
            self.changed.wait(&mut lanes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_hold_one_job_each_and_an_operator_makes_an_automatic_one_pause() {
        let control = Arc::new(Control::default());
        let scrub = control.try_take(JobKind::Scrub, By::Schedule).unwrap();
        assert!(control.try_take(JobKind::Check, By::Schedule).is_none(), "same lane");
        let repair = control.try_take(JobKind::Repair, By::Operator).unwrap();
        assert!(matches!(control.take(JobKind::Compact), Err(Error::JobRunning { job: "repair" })));
        let asks = std::thread::spawn({
            let control = control.clone();
            move || control.take(JobKind::Check).map(drop)
        });
        while scrub.stop.reason().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(scrub.stop.reason(), Some(StopReason::MakeRoom));
        drop(scrub);
        asks.join().unwrap().unwrap();
        assert_eq!(repair.stop.reason(), None);
        drop(repair);
        control.close();
        assert!(control.try_take(JobKind::Repair, By::Schedule).is_none(), "nothing begins after the end");
    }

    #[test]
    fn what_is_more_urgent_makes_what_is_less_urgent_pause_and_not_the_other_way_round() {
        let control = Arc::new(Control::default());
        let forward = control.try_take(JobKind::CopyForward, By::Schedule).unwrap();
        control.make_room_for(JobKind::Compact);
        assert_eq!(forward.stop.reason(), None);
        control.make_room_for(JobKind::Repair);
        assert_eq!(forward.stop.reason(), Some(StopReason::MakeRoom));
    }
}
