//! Chunk secrets: from content, so that equal chunks meet inside one hospital and class, or random.
//!
//! Invariants
//! - A secret made from content is a PRF of the whole payload, so one secret never meets two payloads.
//! - Below [`DEDUP_PLAIN_BYTES_MIN`], and in class 0, secrets are random: a small guess must not be confirmed by
//!   its address.

use crate::derive::{self, Root};
use crate::secret::SecretKey;
use shosoin_protocol::Suite;
use shosoin_protocol::limits::DEDUP_PLAIN_BYTES_MIN;

/// Class that a chunk of `plain_len` bytes is sealed in: its bucket's, or 0 where dedup is off.
pub(crate) fn effective_class(class: u8, plain_len: usize) -> u8 {
    if plain_len < DEDUP_PLAIN_BYTES_MIN as usize { 0 } else { class }
}

/// The secret of the payload `content | tail` inside one class: keyed BLAKE3 in suite 1, HMAC-SHA-256 in suite 2.
pub(crate) fn from_content(root: Root<'_>, class: u8, content: &[u8], tail: &[u8]) -> SecretKey {
    let secret = root.dedup_secret(class);
    match root.suite {
        Suite::Default => {
            let mut hasher = blake3::Hasher::new_keyed(secret.as_bytes());
            SecretKey::new(*hasher.update(content).update(tail).finalize().as_bytes())
        }
        Suite::Cryptrec => SecretKey::new(derive::hmac(&secret, &[content, tail])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::HospitalId;

    #[test]
    fn equal_content_meets_only_inside_one_hospital_class_and_suite() {
        let (one, two) = (SecretKey::new([1; 32]), SecretKey::new([2; 32]));
        let root = Root { secret: &one, suite: Suite::Default, hospital: HospitalId([1; 16]) };
        let t = |root, class| *from_content(root, class, b"sa", b"me").as_bytes();
        assert_eq!(t(root, 1), t(root, 1));
        assert_ne!(t(root, 1), t(root, 2));
        assert_ne!(t(root, 1), t(Root { secret: &two, ..root }, 1));
        assert_ne!(t(root, 1), t(Root { hospital: HospitalId([2; 16]), ..root }, 1));
        assert_ne!(t(root, 1), t(Root { suite: Suite::Cryptrec, ..root }, 1));
        assert_ne!(t(root, 1), *from_content(root, 1, b"other", b"").as_bytes());
        assert_eq!(t(root, 1), *from_content(root, 1, b"same", b"").as_bytes());
    }

    #[test]
    fn small_chunks_have_no_class() {
        let least = DEDUP_PLAIN_BYTES_MIN as usize;
        assert_eq!(effective_class(3, least - 1), 0);
        assert_eq!(effective_class(3, least), 3);
    }
}
