//! The committer of one hospital: a thread that takes everything waiting, gives entries their places, makes the group
//! durable in one stripe under one checkpoint, and only then answers.
//!
//! Order on media: chunks, manifests, address lists, wraps, summaries, documents, entries, checkpoint. Then the index, then the
//! head that readers see, then the answers. See `docs/ordering.md`.
//!
//! Invariants
//! - It is the only writer of its hospital's log, so a place once given is taken on media by that entry or by nobody.
//! - Nobody is told yes before the append has returned and the rows are written.
//! - After a write whose outcome is unknown it *halts*: it takes nothing more until the vault is opened again and media
//!   have said what happened. To go on could give one place to two entries.

use crate::acts::OperatorAct;
use crate::error::{Error, Result};
use crate::group::{Done, Failure, Group, Seat, Workplace};
use crate::in_flight::Ticket;
use crate::intake::Prepared;
use bytes::Bytes;
use parking_lot::Mutex;
use shosoin_protocol::limits::DOCUMENT_BYTES_MAX;
use shosoin_tiers::Record;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Bytes after which a group takes no more: enough that stripes are prepared while others are written and syncs do not
/// count, little enough that the next one does not wait long.
const GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Requests that may wait for one committer; their bytes are bounded by the vault.
const WAITING_MAX: usize = 1024;

/// Each deposit of a batch: its place, or why it has none, and the evidence that all places are durable.
pub struct Places {
    /// in the order of the batch
    pub seats: Vec<Result<Seat>>,
    /// there if anyone has a seat
    pub done: Option<Arc<Done>>,
}

enum Job {
    Chunk { record: Record, answer: oneshot::Sender<Result<()>> },
    Deposits { deposits: Vec<Result<Prepared>>, answer: oneshot::Sender<Result<Places>>, ticket: Ticket },
    Act { act: OperatorAct, attached: Vec<Bytes>, answer: oneshot::Sender<Result<Places>> },
}

/// A job in a group that is not committed yet.
enum Joined {
    Chunk { outcome: Result<()>, answer: oneshot::Sender<Result<()>> },
    Deposits { seats: Vec<Result<Seat>>, answer: oneshot::Sender<Result<Places>>, _ticket: Option<Ticket> },
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Job::Chunk { record, .. } => record.framed_len(),
            Job::Act { attached, .. } => DOCUMENT_BYTES_MAX + attached.iter().map(Bytes::len).sum::<usize>(),
            Job::Deposits { deposits, .. } => {
                deposits.iter().flatten().flat_map(|deposit| &deposit.records).map(Record::framed_len).sum()
            }
        }
    }

    fn join(self, group: &mut Group<'_>) -> Joined {
        match self {
            Job::Chunk { record, answer } => Joined::Chunk { outcome: group.add_record(record), answer },
            Job::Deposits { deposits, answer, ticket } => {
                let seats = deposits.into_iter().map(|deposit| group.add_deposit(deposit?)).collect();
                Joined::Deposits { seats, answer, _ticket: Some(ticket) }
            }
            Job::Act { act, attached, answer } => {
                Joined::Deposits { seats: vec![group.add_act(act, attached)], answer, _ticket: None }
            }
        }
    }

    fn refuse(self, error: Error) {
        match self {
            Job::Chunk { answer, .. } => tell(answer, Err(error)),
            Job::Deposits { answer, .. } | Job::Act { answer, .. } => tell(answer, Err(error)),
        }
    }
}

impl Joined {
    fn answer(self, done: &Option<Arc<Done>>) {
        match self {
            Joined::Chunk { outcome, answer } => tell(answer, outcome),
            Joined::Deposits { seats, answer, .. } => tell(answer, Ok(Places { seats, done: done.clone() })),
        }
    }

    fn refuse(self, error: Error) {
        match self {
            Joined::Chunk { answer, .. } => tell(answer, Err(error)),
            Joined::Deposits { answer, .. } => tell(answer, Err(error)),
        }
    }
}

/// A caller that went away needs no answer.
fn tell<T>(answer: oneshot::Sender<T>, value: T) {
    let _ = answer.send(value);
}

/// The way to a hospital's committer.
pub struct Committer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    state: Arc<State>,
}

/// What the thread and its callers both see.
struct State {
    /// held while a group is being committed
    busy: Mutex<()>,
    /// why nothing more is taken
    halted: Mutex<Option<String>>,
}

impl Committer {
    /// Starts the thread; with a reason it begins halted.
    pub fn start(workplace: Workplace, halted: Option<String>) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let state = Arc::new(State { busy: Mutex::new(()), halted: Mutex::new(halted) });
        let worker = Worker { workplace, state: state.clone() };
        let thread = std::thread::Builder::new().name("committer".into()).spawn(move || worker.run(waiting));
        let thread = thread.map_err(|_| Error::Bug("the system gave no thread to the committer"))?;
        Ok(Committer { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)), state })
    }

    /// Makes a record durable.
    pub async fn store(&self, record: Record) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        self.submit(Job::Chunk { record, answer }).await?;
        answered.await.map_err(|_| Error::Closing)?
    }

    /// Gives deposits their places, in their order. They are in flight until their group has ended, whether or not anybody
    /// waits for the answer.
    pub async fn deposit(&self, deposits: Vec<Result<Prepared>>, ticket: Ticket) -> Result<Places> {
        let (answer, answered) = oneshot::channel();
        self.submit(Job::Deposits { deposits, answer, ticket }).await?;
        answered.await.map_err(|_| Error::Closing)?
    }

    /// Puts an act of the operator into the log, with the further records that its document names; durable on `Ok`. Blocks.
    pub fn state(&self, act: OperatorAct, attached: Vec<Bytes>) -> Result<Seat> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.lock().clone().ok_or(Error::Closing)?;
        jobs.blocking_send(Job::Act { act, attached, answer }).map_err(|_| Error::Closing)?;
        let places = answered.blocking_recv().map_err(|_| Error::Closing)??;
        let seat = places.seats.into_iter().next().ok_or(Error::Bug("an act without an answer"))??;
        places.done.map(|_| seat).ok_or(Error::Bug("a seat in a group that was not"))
    }

    /// Requests that wait for the group being committed.
    pub fn waiting(&self) -> usize {
        self.jobs.lock().as_ref().map_or(0, |jobs| jobs.max_capacity() - jobs.capacity())
    }

    /// Why the log takes no more entries, if it does not.
    pub fn halted(&self) -> Option<String> {
        self.state.halted.lock().clone()
    }

    /// Waits until everything that is on media by now is in the index too. Blocks.
    pub fn settle(&self) {
        drop(self.state.busy.lock());
    }

    /// Does something while no group is being committed. Blocks.
    pub fn between_groups<T>(&self, work: impl FnOnce() -> T) -> T {
        let _busy = self.state.busy.lock();
        work()
    }

    /// Finishes what is waiting and ends the thread. Blocks.
    pub fn stop(&self) {
        drop(self.jobs.lock().take());
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("a committer panicked");
        }
    }

    async fn submit(&self, job: Job) -> Result<()> {
        let jobs = self.jobs.lock().clone().ok_or(Error::Closing)?;
        jobs.send(job).await.map_err(|_| Error::Closing)
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Worker {
    workplace: Workplace,
    state: Arc<State>,
}

impl Worker {
    fn run(self, mut waiting: mpsc::Receiver<Job>) {
        let mut left_over = None;
        while let Some(first) = left_over.take().or_else(|| waiting.blocking_recv()) {
            let mut bytes = first.bytes();
            let mut jobs = vec![first];
            while let Ok(job) = waiting.try_recv() {
                bytes += job.bytes();
                if bytes > GROUP_BYTES_MAX {
                    left_over = Some(job);
                    break;
                }
                jobs.push(job);
            }
            self.commit(jobs);
        }
    }

    fn commit(&self, jobs: Vec<Job>) {
        let _busy = self.state.busy.lock();
        let hospital = self.workplace.hospital.hospital;
        if let Some(why) = self.state.halted.lock().clone() {
            jobs.into_iter().for_each(|job| job.refuse(Error::ReadOnly { hospital, why: why.clone() }));
            return;
        }
        let mut group = Group::new(&self.workplace);
        let joined: Vec<Joined> = jobs.into_iter().map(|job| job.join(&mut group)).collect();
        match group.commit() {
            Ok(done) => {
                let done = done.map(Arc::new);
                joined.into_iter().for_each(|job| job.answer(&done));
            }
            Err(failure) => self.fail(joined, failure),
        }
    }

    fn fail(&self, joined: Vec<Joined>, Failure { error, halts }: Failure) {
        let hospital = self.workplace.hospital.hospital;
        tracing::error!(%hospital, %error, halts, "a group was not committed");
        let error = Arc::new(error);
        let why = error.problem().message;
        if halts {
            *self.state.halted.lock() = Some(why.clone());
        }
        for job in joined {
            job.refuse(match halts {
                true => Error::ReadOnly { hospital, why: why.clone() },
                false => Error::Group(error.clone()),
            });
        }
    }
}
