//! Suites: one byte that names every algorithm of an object, from address to signature.

use crate::{Address, Digest, Error, Result};
use sha2::{Digest as _, Sha256};

/// The algorithms of one hospital at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Suite {
    /// BLAKE3-256, AES-256-GCM, HKDF-SHA-256, keyed BLAKE3, Ed25519.
    Default = 1,
    /// Only e-Government recommended algorithms: SHA-256, AES-256-GCM, HKDF-SHA-256, HMAC-SHA-256, ECDSA P-256.
    Cryptrec = 2,
}

impl Suite {
    /// Both suites; tests run over both.
    pub const ALL: [Suite; 2] = [Suite::Default, Suite::Cryptrec];

    /// The byte on media and on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Digest of the concatenation of `parts` under the suite's address hash.
    pub fn digest(self, parts: &[&[u8]]) -> Digest {
        match self {
            Suite::Default => {
                let mut hasher = blake3::Hasher::new();
                for part in parts {
                    hasher.update(part);
                }
                Digest(*hasher.finalize().as_bytes())
            }
            Suite::Cryptrec => sha256(parts),
        }
    }

    /// Address of stored bytes.
    pub fn address(self, stored: &[u8]) -> Address {
        Address(self.digest(&[stored]).0)
    }

    /// Refuses bytes that are not what `address` names.
    pub fn verify(self, address: &Address, stored: &[u8]) -> Result<()> {
        let found = self.address(stored);
        match found == *address {
            true => Ok(()),
            false => Err(Error::Mismatch { what: "address", expected: address.to_string(), found: found.to_string() }),
        }
    }
}

impl TryFrom<u8> for Suite {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self> {
        match code {
            1 => Ok(Suite::Default),
            2 => Ok(Suite::Cryptrec),
            found => Err(Error::Suite { found, expected: "a suite this release knows (1 or 2)" }),
        }
    }
}

/// An address hash over bytes that arrive in pieces.
#[derive(Debug, Clone)]
pub enum Hasher {
    /// Suite 1.
    Blake3(Box<blake3::Hasher>),
    /// Suite 2.
    Sha256(Sha256),
}

impl Hasher {
    /// An empty hash under `suite`.
    pub fn new(suite: Suite) -> Self {
        match suite {
            Suite::Default => Hasher::Blake3(Box::default()),
            Suite::Cryptrec => Hasher::Sha256(Sha256::new()),
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Blake3(hasher) => {
                hasher.update(bytes);
            }
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all bytes added.
    pub fn finish(self) -> Digest {
        match self {
            Hasher::Blake3(hasher) => Digest(*hasher.finalize().as_bytes()),
            Hasher::Sha256(hasher) => Digest(hasher.finalize().into()),
        }
    }
}

/// SHA-256 of the concatenation of `parts`: ledger tree, key ids, log ids, whatever the suite.
pub fn sha256(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Digest(hasher.finalize().into())
}
