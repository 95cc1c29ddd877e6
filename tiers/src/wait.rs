//! Wait: no volume is waited for without end. A call that takes too long counts as failed, whatever becomes of it later.
//!
//! Invariants
//! - What a late call works with is its own: memory, file and place in the file are given to nothing else meanwhile.
//! - A volume that owes an answer to a read is not read from until it has given it.
//!
//! Without threads nothing can be left behind, so there a call that took too long by the injected clock fails when it
//! returns: what it did is done, as a late write may be.

use crate::{AlignedBuf, Clock, Error, MediaFile, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// How long a volume may take for one write, sync, removal or read: longer than a disk needs to spin up or to try a bad sector
/// again, shorter than a client waits.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// How long is waited, and by which clock where there are no threads.
#[derive(Debug, Clone)]
pub struct Wait {
    /// the longest
    pub max: Duration,
    /// measures calls that nobody can leave behind
    pub clock: Arc<dyn Clock>,
}

impl Wait {
    /// What a call that took too long is.
    pub fn slow(&self, place: &str, what: &'static str) -> Error {
        let waited_ms = u64::try_from(self.max.as_millis()).unwrap_or(u64::MAX);
        Error::Slow { place: place.to_owned(), what, waited_ms }
    }

    /// Makes a call where it is; too late is an error although it was made.
    pub fn here<T>(&self, place: &str, what: &'static str, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let begun_ms = self.clock.now_ms();
        let made = call();
        match u128::from(self.clock.now_ms().saturating_sub(begun_ms)) > self.max.as_millis() {
            true => Err(self.slow(place, what)),
            false => made,
        }
    }
}

/// Reads that a volume owes an answer to.
#[derive(Debug, Clone, Default)]
pub struct Owed(Arc<AtomicI64>);

impl Owed {
    /// One more is owed.
    pub fn owe(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// One was given.
    pub fn pay(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) <= 0
    }
}

/// What a reader is to read, and into what.
type Asked = (Range<u64>, AlignedBuf);
/// What it read.
type Answered = (Result<()>, AlignedBuf);

/// Pieces that a reader can be asked for at a time: one it reads, and one it goes on with by itself.
const ASKED_MAX: usize = 2;

/// A thread that reads from one file, piece after piece. It ends when nobody asks it any more; one that does not answer
/// in time is left behind.
pub struct Reader {
    asked: Sender<Asked>,
    answers: Receiver<Answered>,
    /// whether it was left behind; its lock is held while an answer is given
    left: Arc<Mutex<bool>>,
    owed: Owed,
    wait: Wait,
    place: String,
    /// since when it reads what is answered next
    since: Instant,
    waiting: usize,
}

impl Reader {
    /// Starts the thread for a file of the volume at `place`.
    pub fn start(file: Arc<dyn MediaFile>, place: String, wait: &Wait, owed: &Owed) -> Result<Self> {
        let (asked, asks) = bounded::<Asked>(ASKED_MAX);
        let (answer, answers) = bounded::<Answered>(ASKED_MAX);
        let (left, wait, owed) = (Arc::new(Mutex::new(false)), wait.clone(), owed.clone());
        let (is_left, paid) = (left.clone(), owed.clone());
        let run = move || {
            for (piece, mut buffer) in asks {
                let read = fill(&*file, &piece, &mut buffer);
                let is_left = is_left.lock();
                if *is_left {
                    paid.pay();
                    return;
                }
                if answer.send((read, buffer)).is_err() {
                    return;
                }
            }
        };
        match std::thread::Builder::new().name("read".into()).spawn(run) {
            Ok(_) => Ok(Reader { asked, answers, left, owed, wait, place, since: Instant::now(), waiting: 0 }),
            Err(source) => Err(Error::Thread { source }),
        }
    }

    /// Asks for a piece; no more than two may wait for their answers.
    pub fn ask(&mut self, piece: Range<u64>, buffer: AlignedBuf) -> Result<()> {
        debug_assert!(self.waiting < ASKED_MAX, "nobody asks for more than there is room for");
        if self.waiting == 0 {
            self.since = Instant::now();
        }
        self.waiting += 1;
        self.asked.send((piece, buffer)).map_err(|_| Error::Abandoned { what: "reading" })
    }

    /// What was asked for first, or why not. After [`Error::Slow`] the reader must not be asked again.
    pub fn answer(&mut self) -> Result<Answered> {
        let answered = match self.answers.recv_deadline(self.since + self.wait.max) {
            Ok(answered) => answered,
            Err(RecvTimeoutError::Disconnected) => return Err(Error::Abandoned { what: "reading" }),
            Err(RecvTimeoutError::Timeout) => self.leave()?,
        };
        (self.since, self.waiting) = (Instant::now(), self.waiting.saturating_sub(1));
        Ok(answered)
    }

    /// Waits no longer, unless the answer came at the last moment.
    fn leave(&self) -> Result<Answered> {
        let mut left = self.left.lock();
        self.answers.try_recv().map_err(|_| {
            *left = true;
            self.owed.owe();
            self.wait.slow(&self.place, "a read")
        })
    }
}

/// Fills `buffer` with a piece of a file, past the page cache.
pub fn fill(file: &dyn MediaFile, piece: &Range<u64>, buffer: &mut AlignedBuf) -> Result<()> {
    file.read_past_cache(piece.start, usize::try_from(piece.end - piece.start).unwrap_or(usize::MAX), buffer)
}
