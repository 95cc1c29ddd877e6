//! Padding: lengths say little about what is sealed.
//!
//! Lengths are rounded up to Padmé numbers, and to at least [`PADDED_BYTES_MIN`]: with at most 12 % more bytes, less
//! above 1 MiB, the length of n bytes leaks O(log log n) bits. Powers of two, and sums of a few, are Padmé numbers,
//! so whole chunks of the usual sizes get no padding.
//!
//! Padding is zeros, and there is one right amount: anything else is refused when it is opened.
//!
//! Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019.

use crate::{Error, Result};

/// Least padded length, in bytes: the smallest records all look alike.
pub(crate) const PADDED_BYTES_MIN: usize = 256;

/// The length that `len` bytes are padded to.
pub(crate) fn padded_len(len: usize) -> usize {
    if len <= PADDED_BYTES_MIN {
        return PADDED_BYTES_MIN;
    }
    let exponent = len.ilog2();
    let zero_bits = exponent - (exponent.ilog2() + 1);
    len.next_multiple_of(1 << zero_bits)
}

/// What follows `len` bytes of content inside a payload: zeros up to the padded length, then `trailer`.
pub(crate) fn tail(len: usize, trailer: &[u8]) -> Vec<u8> {
    let zeros = padded_len(len) - len;
    let mut tail = Vec::with_capacity(zeros + trailer.len());
    tail.resize(zeros, 0);
    tail.extend_from_slice(trailer);
    tail
}

/// The first `len` of `padded`; refuses a padded length that is not the one for `len`, and padding that is not zero.
pub(crate) fn content<'a>(what: &'static str, padded: &'a [u8], len: u32) -> Result<&'a [u8]> {
    match usize::try_from(len) {
        Ok(len) if len <= padded.len() && padded_len(len) == padded.len() => {
            let (content, zeros) = padded.split_at(len);
            match zeros.iter().all(|byte| *byte == 0) {
                true => Ok(content),
                false => Err(Error::Content { what, why: "its padding must be zero" }),
            }
        }
        _ => Err(Error::Content { what, why: "its length does not fit its padded length" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn padme_numbers_are_those_of_the_paper() {
        for (len, padded) in
            [(0, 256), (1, 256), (256, 256), (257, 272), (1000, 1024), (1025, 1088), (100_000, 100_352)]
        {
            assert_eq!(padded_len(len), padded, "{len}");
        }
    }

    #[test]
    fn whole_chunks_of_the_usual_sizes_get_no_padding() {
        for mib in [1usize, 2, 3, 4, 5, 6, 8, 10, 12, 16] {
            assert_eq!(padded_len(mib << 20), mib << 20);
        }
        assert_eq!(padded_len(256 << 10), 256 << 10);
    }

    #[test]
    fn padding_that_is_not_zero_or_not_of_the_right_length_is_refused() {
        let mut padded = [&[7; 300][..], &tail(300, &[])].concat();
        assert_eq!(content("test", &padded, 300).unwrap(), [7; 300]);
        assert!(content("test", &padded[..padded.len() - 1], 300).is_err());
        assert!(content("test", &padded, 200).is_err());
        assert!(content("test", &padded, u32::MAX).is_err());
        padded.push(0);
        assert!(content("test", &padded, 300).is_err());
        padded.pop();
        *padded.last_mut().unwrap() = 1;
        assert!(content("test", &padded, 300).is_err());
    }

    proptest! {
        #[test]
        fn padding_adds_little_and_is_idempotent(len in 0usize..1 << 25) {
            let padded = padded_len(len);
            prop_assert!(padded >= len);
            prop_assert!(len < PADDED_BYTES_MIN || padded * 100 <= len * 112);
            prop_assert_eq!(padded_len(padded), padded);
        }

        #[test]
        fn what_is_padded_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let padded = [&bytes[..], &tail(bytes.len(), &[])].concat();
            prop_assert_eq!(padded.len(), padded_len(bytes.len()));
            prop_assert_eq!(content("test", &padded, bytes.len().try_into().unwrap()).unwrap(), &bytes[..]);
        }
    }
}
