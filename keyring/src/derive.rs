//! Every derivation label in the project, and nothing else.
//!
//! ```text
//! root --- key encryption, by epoch --- data key of a version (random, wrapped) --- manifest page
//!      |                                                 `-- HMAC: content marks of machines that only deposit
//!      |-- name key, bucket key            HMAC: tokens
//!      |-- scan key                        HMAC: content marks of malware reports
//!      |-- view key                        summary, piece of a snapshot
//!      |-- dedup secret, by class          PRF: t of a chunk
//!      |-- share key, by KEM             HPKE: what other hospitals grant
//!      |-- deposit key, by KEM           HPKE: what machines that only deposit seal to the hospital
//!      `-- local key                       small files of the hospital's side
//! t or any other envelope secret --- commitment, sealing key
//! ```
//!
//! Invariants
//! - All keys come from HKDF-SHA-256 with `info = label | 0 | context`; no label is a prefix of another with its zero.
//! - A key is good for one thing. Keys under the root bind suite and hospital, envelope secrets bind what the
//!   envelope stands for, so nothing derived for one place is ever right in another.
//!
//! Source: RFC 5869; RFC 2104.

use crate::secret::SecretKey;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shosoin_protocol::{Digest, HospitalId, NameToken, Suite, VersionId};
use zeroize::Zeroizing;

const KEY_ENCRYPTION: &[u8] = b"shosoin v1 key encryption\0";
const NAME: &[u8] = b"shosoin v1 name\0";
const BUCKET: &[u8] = b"shosoin v1 bucket\0";
const VIEW: &[u8] = b"shosoin v1 view\0";
const DEDUP: &[u8] = b"shosoin v1 dedup\0";
const LOCAL: &[u8] = b"shosoin v1 local\0";
const SCAN: &[u8] = b"shosoin v1 scan\0";
const MANIFEST_PAGE: &[u8] = b"shosoin v1 manifest page\0";
const WRAP: &[u8] = b"shosoin v1 wrap\0";
const SUMMARY: &[u8] = b"shosoin v1 summary\0";
const SNAPSHOT: &[u8] = b"shosoin v1 snapshot\0";
const LOCAL_FILE: &[u8] = b"shosoin v1 local file\0";
const KEY_FILE: &[u8] = b"shosoin v1 key file\0";
const KEY_FILE_TOKEN: &[u8] = b"shosoin v1 key file with token\0";
const SHARE_KEY: &[u8] = b"shosoin v1 share key\0";
/// Begins what both sides of a grant must know; nothing is derived with it but by HPKE.
pub(crate) const SHARE_MESSAGE: &[u8] = b"shosoin v1 share message\0";
const DEPOSIT_KEY: &[u8] = b"shosoin v1 deposit key\0";
/// Begins what both sides of a deposit to the hospital must know; nothing is derived with it but by HPKE.
pub(crate) const DEPOSIT_MESSAGE: &[u8] = b"shosoin v1 deposit message\0";
const ESCROW: &[u8] = b"shosoin v1 escrow\0";
const SEAL: &[u8] = b"seal\0";
const COMMIT: &[u8] = b"commit\0";
const DATA_KEY_COMMIT: &[u8] = b"shosoin v1 data key commit\0";
const DATA_KEY_SCAN: &[u8] = b"shosoin v1 data key scan\0";
const EPOCH_COMMIT: &[u8] = b"shosoin v1 epoch commit\0";

/// The root secret of a hospital, and what is bound into everything below it.
#[derive(Clone, Copy)]
pub(crate) struct Root<'a> {
    pub(crate) secret: &'a SecretKey,
    pub(crate) suite: Suite,
    pub(crate) hospital: HospitalId,
}

impl Root<'_> {
    /// Wraps data keys during one epoch.
    pub(crate) fn key_encryption_key(self, epoch: u32) -> SecretKey {
        self.child(KEY_ENCRYPTION, &epoch.to_le_bytes())
    }

    /// Makes name tokens.
    pub(crate) fn name_key(self) -> SecretKey {
        self.child(NAME, &[])
    }

    /// Makes bucket tokens: a key of their own, so that they never meet a name token.
    pub(crate) fn bucket_key(self) -> SecretKey {
        self.child(BUCKET, &[])
    }

    /// Seals summaries.
    pub(crate) fn view_key(self) -> SecretKey {
        self.child(VIEW, &[])
    }

    /// Makes chunk secrets from content, inside one class.
    pub(crate) fn dedup_secret(self, class: u8) -> SecretKey {
        self.child(DEDUP, &[class])
    }

    /// Seals small files of the hospital's side.
    pub(crate) fn local_key(self) -> SecretKey {
        self.child(LOCAL, &[])
    }

    /// Marks what was scanned for malware.
    pub(crate) fn scan_key(self) -> SecretKey {
        self.child(SCAN, &[])
    }

    /// Makes the key pair that other hospitals seal grants to, for one KEM.
    pub(crate) fn share_secret(self, kem: u8) -> SecretKey {
        self.child(SHARE_KEY, &[kem])
    }

    /// Makes the key pair that machines which only deposit seal to, for one KEM.
    pub(crate) fn deposit_secret(self, kem: u8) -> SecretKey {
        self.child(DEPOSIT_KEY, &[kem])
    }

    fn child(self, label: &[u8], context: &[u8]) -> SecretKey {
        expand(None, self.secret, &[label, &[self.suite.code()], &self.hospital.0, context])
    }
}

/// Secret of one sealing of one manifest page.
pub(crate) fn manifest_page(
    data_key: &SecretKey,
    salt: &[u8; 32],
    version: VersionId,
    page: u32,
    pages: u32,
) -> SecretKey {
    expand(Some(salt), data_key, &[MANIFEST_PAGE, &version.0, &page.to_le_bytes(), &pages.to_le_bytes()])
}

/// Secret of one wrap of one data key.
pub(crate) fn wrap(
    key_encryption_key: &SecretKey,
    salt: &[u8; 32],
    version: VersionId,
    epoch: u32,
    wrap_no: u32,
) -> SecretKey {
    expand(Some(salt), key_encryption_key, &[WRAP, &version.0, &epoch.to_le_bytes(), &wrap_no.to_le_bytes()])
}

/// Secret of one summary.
pub(crate) fn summary(view_key: &SecretKey, salt: &[u8; 32], version: VersionId) -> SecretKey {
    expand(Some(salt), view_key, &[SUMMARY, &version.0])
}

/// Secret of one piece of a snapshot; `place` says of which.
pub(crate) fn snapshot_piece(view_key: &SecretKey, salt: &[u8; 32], place: &[&[u8]]) -> SecretKey {
    expand(Some(salt), view_key, &[&[SNAPSHOT], place].concat())
}

/// Secret of one local file of the kind called `label`.
pub(crate) fn local_file(local_key: &SecretKey, salt: &[u8; 32], label: &str) -> SecretKey {
    expand(Some(salt), local_key, &[LOCAL_FILE, label.as_bytes()])
}

/// Secret of a key file, from what Argon2id made of its passphrase and salt.
pub(crate) fn key_file(stretched: &SecretKey) -> SecretKey {
    expand(None, stretched, &[KEY_FILE])
}

/// Secret of a key file that needs a token: whoever lacks either, the passphrase or the token's share, has nothing.
pub(crate) fn key_file_with_token(stretched: &SecretKey, share: &SecretKey) -> SecretKey {
    expand(Some(share.as_bytes()), stretched, &[KEY_FILE_TOKEN])
}

/// Key that seals the one payload of an envelope secret.
pub(crate) fn sealing_key(secret: &SecretKey) -> SecretKey {
    expand(None, secret, &[SEAL])
}

/// Commitment to an envelope secret. It stands in clear before the sealed bytes.
pub(crate) fn commitment(secret: &SecretKey) -> [u8; 32] {
    *expand(None, secret, &[COMMIT]).as_bytes()
}

/// Commitment to a data key. It stands in the signed entry.
pub(crate) fn data_key_commitment(data_key: &SecretKey) -> Digest {
    Digest(*expand(None, data_key, &[DATA_KEY_COMMIT]).as_bytes())
}

/// Marks what a machine that only deposits had scanned: it has no key under the root.
pub(crate) fn data_key_scan(data_key: &SecretKey) -> SecretKey {
    expand(None, data_key, &[DATA_KEY_SCAN])
}

/// Commitment to the key-encryption key of an epoch. It stands in the act that begins the epoch.
pub(crate) fn epoch_commitment(key_encryption_key: &SecretKey) -> Digest {
    Digest(*expand(None, key_encryption_key, &[EPOCH_COMMIT]).as_bytes())
}

/// Commitment to root and hospital seed; it stands in clear in every share of a split, which `split` describes.
pub(crate) fn escrow_commitment(root: &SecretKey, hospital_seed: &SecretKey, split: &[&[u8]]) -> [u8; 32] {
    let mut both = Zeroizing::new([0; 64]);
    both[..32].copy_from_slice(root.as_bytes());
    both[32..].copy_from_slice(hospital_seed.as_bytes());
    *expand_bytes(None, &both[..], &[&[ESCROW], split].concat()).as_bytes()
}

/// Token of a name: HMAC of `bucket | 0 | name`. Bucket names hold no zero byte, so no two pairs share a message.
pub(crate) fn name_token(name_key: &SecretKey, bucket: &str, name: &str) -> NameToken {
    NameToken(hmac(name_key, &[bucket.as_bytes(), &[0], name.as_bytes()]))
}

/// Token of a bucket alone.
pub(crate) fn bucket_token(bucket_key: &SecretKey, bucket: &str) -> NameToken {
    NameToken(hmac(bucket_key, &[bucket.as_bytes()]))
}

/// HMAC-SHA-256 of the concatenation of `parts`.
#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
pub(crate) fn hmac(key: &SecretKey, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any key length is good");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn expand(salt: Option<&[u8; 32]>, secret: &SecretKey, info: &[&[u8]]) -> SecretKey {
    expand_bytes(salt, secret.as_bytes(), info)
}

#[expect(clippy::expect_used, reason = "32 bytes are within the 8,160 that HKDF-SHA-256 gives")]
fn expand_bytes(salt: Option<&[u8; 32]>, secret: &[u8], info: &[&[u8]]) -> SecretKey {
    let hkdf = Hkdf::<Sha256>::new(salt.map(|salt| salt.as_slice()), secret);
    SecretKey::fill_with(|out| hkdf.expand_multi_info(info, out).expect("32 bytes are few enough"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_label_is_a_prefix_of_another() {
        let labels = [
            KEY_ENCRYPTION,
            NAME,
            BUCKET,
            VIEW,
            DEDUP,
            LOCAL,
            SCAN,
            MANIFEST_PAGE,
            WRAP,
            SUMMARY,
            SNAPSHOT,
            LOCAL_FILE,
            KEY_FILE,
            KEY_FILE_TOKEN,
            SHARE_KEY,
            SHARE_MESSAGE,
            DEPOSIT_KEY,
            DEPOSIT_MESSAGE,
            ESCROW,
            SEAL,
            COMMIT,
            DATA_KEY_COMMIT,
            DATA_KEY_SCAN,
            EPOCH_COMMIT,
        ];
        for (at, label) in labels.iter().enumerate() {
            assert!(label.ends_with(b"\0") && !label[..label.len() - 1].contains(&0));
            for (other_at, other) in labels.iter().enumerate() {
                assert!(at == other_at || !other.starts_with(label));
            }
        }
    }

    #[test]
    fn every_key_under_a_root_differs_from_every_other() {
        let secret = SecretKey::new([7; 32]);
        let mut seen = HashSet::new();
        for suite in Suite::ALL {
            for hospital in [HospitalId([1; 16]), HospitalId([2; 16])] {
                let root = Root { secret: &secret, suite, hospital };
                let keys = [
                    root.key_encryption_key(1),
                    root.key_encryption_key(2),
                    root.name_key(),
                    root.bucket_key(),
                    root.view_key(),
                    root.dedup_secret(1),
                    root.dedup_secret(2),
                    root.local_key(),
                    root.scan_key(),
                    root.share_secret(1),
                    root.deposit_secret(1),
                    root.deposit_secret(2),
                ];
                for key in keys {
                    assert!(seen.insert(*key.as_bytes()));
                }
            }
        }
    }

    #[test]
    fn expansion_is_hkdf_as_rfc_5869_has_it() {
        // RFC 5869 appendix A.3 with a 32-byte input is not given there; the value is from the definition by HMAC.
        let secret = SecretKey::new([0x0b; 32]);
        let extracted = SecretKey::new(hmac(&SecretKey::new([0; 32]), &[secret.as_bytes()]));
        let expanded = hmac(&extracted, &[SEAL, &[1]]);
        assert_eq!(*sealing_key(&secret).as_bytes(), expanded);
    }

    #[test]
    fn equal_names_meet_and_buckets_never_meet_names() {
        let (names, buckets) = (SecretKey::new([1; 32]), SecretKey::new([2; 32]));
        assert_eq!(name_token(&names, "scans", "a"), name_token(&names, "scans", "a"));
        assert_ne!(name_token(&names, "scans", "a"), name_token(&names, "scan", "sa"));
        assert_ne!(name_token(&names, "scans", ""), bucket_token(&buckets, "scans"));
    }
}
