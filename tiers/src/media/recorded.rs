//! Media that write down every call, so that tests can say what something costs: a known chunk must write nothing.

use super::hooked::{Call, Fault, Hook, Hooked, Op};
use parking_lot::Mutex;

/// A medium whose calls are written down by a [`Recorder`].
pub type RecordedMedia = Hooked<Recorder>;

/// The calls made on one or several media, in order.
#[derive(Debug, Default)]
pub struct Recorder {
    calls: Mutex<Vec<Call>>,
}

impl Recorder {
    /// The calls since the last time this was asked.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut self.calls.lock())
    }

    /// How often `op` was called since [`take`](Self::take).
    pub fn count(&self, op: Op) -> usize {
        self.calls.lock().iter().filter(|call| call.op == op).count()
    }
}

impl Hook for Recorder {
    fn before(&self, call: &Call) -> Option<Fault> {
        self.calls.lock().push(call.clone());
        None
    }
}
