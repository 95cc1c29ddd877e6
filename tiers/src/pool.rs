//! Pool: aligned memory that is used again, so that no stripe and no read pays for fresh pages.

use crate::AlignedBuf;
use parking_lot::Mutex;

/// Buffers waiting for their next use; never more than a given number.
#[derive(Debug)]
pub struct Pool {
    waiting: Mutex<Vec<AlignedBuf>>,
    buffers_max: usize,
}

impl Pool {
    /// An empty pool that keeps up to `buffers_max` buffers.
    pub fn new(buffers_max: usize) -> Self {
        Pool { waiting: Mutex::default(), buffers_max }
    }

    /// A buffer of at least `bytes` bytes; what it holds is anything.
    pub fn take(&self, bytes: usize) -> AlignedBuf {
        let mut buffer = self.waiting.lock().pop().unwrap_or_default();
        if buffer.len() < bytes {
            let capacity = bytes.next_power_of_two(); // so that a pool soon fits whatever is asked of it
            if buffer.capacity() < capacity {
                buffer = AlignedBuf::with_capacity(capacity);
            }
            buffer.resize(bytes);
        }
        buffer
    }

    /// Takes a buffer back.
    pub fn give(&self, buffer: AlignedBuf) {
        let mut waiting = self.waiting.lock();
        if waiting.len() < self.buffers_max && !buffer.is_empty() {
            waiting.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_and_no_more_of_it_is_kept_than_allowed() {
        let pool = Pool::new(1);
        let (first, second) = (pool.take(5000), pool.take(5000));
        let memory = first.as_ptr();
        pool.give(first);
        pool.give(second);
        assert_eq!(pool.waiting.lock().len(), 1);
        let again = pool.take(8000);
        assert_eq!((again.as_ptr(), again.len()), (memory, 8000));
        pool.give(again);
        assert_eq!(pool.take(100_000).len(), 100_000);
    }
}
