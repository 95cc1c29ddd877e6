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

/// Length of the payload that holds `len` bytes behind their length.
pub(crate) fn payload_len(len: usize) -> usize {
    4 + padded_len(len)
}

/// Appends `len:u32 | bytes | zeros`. The caller has checked that `bytes` is within a limit far below 4 GiB.
pub(crate) fn put(payload: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    let len = u32::try_from(bytes.len()).map_err(|_| Error::Bug { what: "length before padding" })?;
    let end = payload.len() + payload_len(bytes.len());
    payload.extend_from_slice(&len.to_le_bytes());
    payload.extend_from_slice(bytes);
    payload.resize(end, 0);
    Ok(())
}

/// The bytes that [`put`] was given.
pub(crate) fn strip<'a>(what: &'static str, payload: &'a [u8]) -> Result<&'a [u8]> {
    let Some((len, padded)) = payload.split_first_chunk() else {
        return Err(Error::Content { what, why: "it is shorter than its length field" });
    };
    content(what, padded, u32::from_le_bytes(*len))
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
        let mut payload = Vec::new();
        put(&mut payload, &[7; 300]).unwrap();
        assert_eq!(strip("test", &payload).unwrap(), [7; 300]);
        let mut longer = payload.clone();
        longer.push(0);
        assert!(strip("test", &longer).is_err());
        assert!(strip("test", &payload[..payload.len() - 1]).is_err());
        assert!(strip("test", &payload[..3]).is_err());
        let mut shorter = payload.clone();
        shorter[..4].copy_from_slice(&200u32.to_le_bytes());
        assert!(strip("test", &shorter).is_err());
        *payload.last_mut().unwrap() = 1;
        assert!(strip("test", &payload).is_err());
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
            let mut payload = Vec::new();
            put(&mut payload, &bytes).unwrap();
            prop_assert_eq!(payload.len(), payload_len(bytes.len()));
            prop_assert_eq!(strip("test", &payload).unwrap(), &bytes[..]);
        }
    }
}
