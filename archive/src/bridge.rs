//! How synchronous callers wait for an asynchronous store: its futures run on a small runtime of their own, and the caller's
//! thread sleeps until the answer or the limit.
//!
//! May be called from any thread, those that a runtime keeps for blocking work included, and never from asynchronous code:
//! there it would not fail, it would hold up a worker for as long as the store takes.

use std::io;
use std::sync::{Arc, mpsc};
use tokio::runtime::{Builder, Runtime};

/// Threads that talk to stores; they wait for the network most of the time.
const WORKERS: usize = 2;

/// A runtime for the stores of one process, shared by their volumes. Threads that outlive it are left to end by themselves.
#[derive(Debug)]
pub struct Bridge {
    /// `None` only while it is dropped
    runtime: Option<Runtime>,
}

impl Bridge {
    /// Starts the threads.
    pub fn start() -> io::Result<Arc<Bridge>> {
        let runtime =
            Builder::new_multi_thread().worker_threads(WORKERS).thread_name("archive").enable_all().build()?;
        Ok(Arc::new(Bridge { runtime: Some(runtime) }))
    }

    /// Runs `future` to its end; `None` if it panicked.
    pub fn wait<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.runtime.as_ref()?.spawn(async move {
            // Nobody waits any more when this fails, so nobody misses it.
            let _ = answer.send(future.await);
        });
        answered.recv().ok()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // A runtime must not wait for its threads where asynchronous code drops it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_on_plain_threads_blocking_threads_and_is_dropped_in_asynchronous_code() {
        let bridge = Bridge::start().unwrap();
        assert_eq!(bridge.wait(async { 7 }), Some(7));
        let other = Runtime::new().unwrap();
        other.block_on(async move {
            let shared = bridge.clone();
            let waited = tokio::task::spawn_blocking(move || shared.wait(async { 8 })).await;
            assert_eq!(waited.unwrap(), Some(8));
            drop(bridge);
        });
    }

    #[test]
    fn a_future_that_panics_gives_nothing_and_the_next_one_runs() {
        let bridge = Bridge::start().unwrap();
        assert_eq!(bridge.wait::<u8>(async { panic!("as asked") }), None);
        assert_eq!(bridge.wait(async { 1 }), Some(1));
    }
}
