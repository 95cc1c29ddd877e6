//! Cutting a pushed stream at fixed places. A piece that arrives as one whole chunk is passed on without a copy;
//! everything else is copied once, into the buffer of its chunk.
//!
//! Invariant: the chunks put together are the bytes pushed; all but the last have the chunk size; none is empty.

use bytes::{Bytes, BytesMut};

/// Cuts at multiples of the chunk size.
#[derive(Debug)]
pub struct Chunker {
    chunk_bytes: usize,
    expected: usize,
    partial: BytesMut,
}

impl Chunker {
    /// Cuts every `chunk_bytes` bytes, which is at least 1.
    pub fn new(chunk_bytes: u32) -> Self {
        let chunk_bytes = chunk_bytes.max(1) as usize;
        Chunker { chunk_bytes, expected: chunk_bytes, partial: BytesMut::new() }
    }

    /// Makes room for `bytes` only when the next chunk begins.
    pub fn expect(&mut self, bytes: usize) {
        self.expected = bytes.min(self.chunk_bytes);
    }

    /// Takes bytes off the front of `pushed`, up to the end of the current chunk; gives the chunk if that fills it.
    pub fn fill(&mut self, pushed: &mut Bytes) -> Option<Bytes> {
        if self.partial.is_empty() && pushed.len() >= self.chunk_bytes {
            return Some(pushed.split_to(self.chunk_bytes));
        }
        if self.partial.is_empty() {
            self.partial.reserve(self.expected);
        }
        let room = self.chunk_bytes - self.partial.len();
        self.partial.extend_from_slice(&pushed.split_to(room.min(pushed.len())));
        match self.partial.len() == self.chunk_bytes {
            true => Some(std::mem::take(&mut self.partial).freeze()),
            false => None,
        }
    }

    /// The last, short chunk, if there is one.
    pub fn finish(&mut self) -> Option<Bytes> {
        match self.partial.is_empty() {
            true => None,
            false => Some(std::mem::take(&mut self.partial).freeze()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunk_bytes: u32, pieces: &[Vec<u8>]) -> Vec<Bytes> {
        let mut chunker = Chunker::new(chunk_bytes);
        let mut chunks = Vec::new();
        for piece in pieces {
            let mut pushed = Bytes::copy_from_slice(piece);
            while !pushed.is_empty() {
                chunks.extend(chunker.fill(&mut pushed));
            }
        }
        chunks.extend(chunker.finish());
        chunks
    }

    proptest! {
        #[test]
        fn chunks_are_the_bytes_pushed_cut_at_multiples(
            chunk_bytes in 1u32..50,
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 0..12),
        ) {
            let chunks = cut(chunk_bytes, &pieces);
            prop_assert_eq!(chunks.concat(), pieces.concat());
            prop_assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
            let full = chunks.len().saturating_sub(1);
            prop_assert!(chunks[..full].iter().all(|chunk| chunk.len() == chunk_bytes as usize));
        }
    }

    #[test]
    fn a_piece_that_is_a_whole_chunk_is_not_copied() {
        let mut chunker = Chunker::new(4);
        let mut pushed = Bytes::from(vec![1, 2, 3, 4, 5, 6, 7, 8]);
        let at = pushed.as_ptr();
        assert_eq!(chunker.fill(&mut pushed).unwrap().as_ptr(), at);
        assert_eq!(chunker.fill(&mut pushed).unwrap().as_ptr(), at.wrapping_add(4));
    }
}
