//! Aligned memory for direct I/O, in safe code: a vector that is a block longer than it needs to be.

use crate::layout::BLOCK_BYTES;
use std::ops::{Deref, DerefMut};

/// Bytes whose first one lies on a block boundary in memory. Reusable: [`clear`](Self::clear) keeps the memory.
pub struct AlignedBuf {
    /// `start` bytes that only align, then the content; never reallocated in place, so `start` stays right
    memory: Vec<u8>,
    start: usize,
}

impl AlignedBuf {
    /// An empty buffer that takes `bytes` bytes without allocating again.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut memory: Vec<u8> = Vec::with_capacity(bytes + BLOCK_BYTES);
        let start = memory.as_ptr().align_offset(BLOCK_BYTES);
        memory.resize(start, 0);
        AlignedBuf { memory, start }
    }

    /// Bytes it takes without allocating again.
    pub fn capacity(&self) -> usize {
        self.memory.capacity() - self.start
    }

    /// Forgets the content and keeps the memory.
    pub fn clear(&mut self) {
        self.memory.truncate(self.start);
    }

    /// Cuts off, or fills up with zeros, to `len` bytes.
    pub fn resize(&mut self, len: usize) {
        self.reserve(len.saturating_sub(self.len()));
        self.memory.resize(self.start + len, 0);
    }

    /// Adds `bytes` at the end.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.memory.extend_from_slice(bytes);
    }

    /// Adds zeros up to the next block boundary.
    pub fn pad_to_block(&mut self) {
        self.resize(self.len().next_multiple_of(BLOCK_BYTES));
    }

    /// The same bytes in other memory.
    pub fn duplicate(&self) -> Self {
        let mut copy = AlignedBuf::with_capacity(self.len());
        copy.extend_from_slice(self);
        copy
    }

    fn reserve(&mut self, more: usize) {
        let needed = self.len() + more;
        if needed > self.capacity() {
            let mut grown = AlignedBuf::with_capacity(needed.max(2 * self.capacity()));
            grown.memory.extend_from_slice(self);
            *self = grown;
        }
    }
}

impl Default for AlignedBuf {
    fn default() -> Self {
        AlignedBuf::with_capacity(0)
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..]
    }
}

impl std::fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBuf({} of {} bytes)", self.len(), self.capacity())
    }
}

/// Whether `bytes` may be written directly: its memory and its length are whole blocks.
pub fn is_aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().align_offset(BLOCK_BYTES) == 0 && bytes.len().is_multiple_of(BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_aligned_through_growth_and_reuse() {
        let mut buf = AlignedBuf::with_capacity(100);
        buf.extend_from_slice(&[7; 100]);
        assert!(!is_aligned(&buf));
        buf.pad_to_block();
        assert!(is_aligned(&buf) && buf.len() == BLOCK_BYTES);
        buf.extend_from_slice(&vec![9; 10 * BLOCK_BYTES]);
        assert!(is_aligned(&buf) && buf.len() == 11 * BLOCK_BYTES);
        assert_eq!((buf[99], buf[100], buf[BLOCK_BYTES]), (7, 0, 9));
        let memory = buf.as_ptr();
        buf.clear();
        assert!(buf.is_empty());
        buf.resize(11 * BLOCK_BYTES);
        assert!(buf.as_ptr() == memory && buf.iter().all(|byte| *byte == 0));
    }
}
