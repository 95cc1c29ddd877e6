//! Which hash functions and signature algorithms count, by their object identifiers.

use crate::{Error, Result};
use der::asn1::ObjectIdentifier;
use pki_types::SignatureVerificationAlgorithm;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::str::FromStr;
use webpki::aws_lc_rs as algorithms;
use x509_cert::spki::AlgorithmIdentifierOwned;

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const RSA_ENCRYPTION: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = oid("1.2.840.113549.1.1.10");
const RSA_SHA256: ObjectIdentifier = oid("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = oid("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = oid("1.2.840.113549.1.1.13");
const ECDSA_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = oid("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = oid("1.2.840.10045.4.3.4");
const ED25519: ObjectIdentifier = oid("1.3.101.112");

/// A hash function that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashName {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl HashName {
    /// All of them, weakest first.
    pub const ALL: [HashName; 3] = [HashName::Sha256, HashName::Sha384, HashName::Sha512];

    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            HashName::Sha256 => "sha256",
            HashName::Sha384 => "sha384",
            HashName::Sha512 => "sha512",
        }
    }

    /// Its object identifier.
    pub const fn oid(self) -> ObjectIdentifier {
        match self {
            HashName::Sha256 => oid("2.16.840.1.101.3.4.2.1"),
            HashName::Sha384 => oid("2.16.840.1.101.3.4.2.2"),
            HashName::Sha512 => oid("2.16.840.1.101.3.4.2.3"),
        }
    }

    /// The one with this identifier. Weaker ones are refused.
    pub fn of(what: &'static str, algorithm: ObjectIdentifier) -> Result<Self> {
        let known = HashName::ALL.into_iter().find(|name| name.oid() == algorithm);
        known.ok_or_else(|| Error::Algorithm { what, algorithm: algorithm.to_string() })
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    /// For content that comes in pieces.
    pub fn hasher(self) -> Hasher {
        match self {
            HashName::Sha256 => Hasher::Sha256(Sha256::new()),
            HashName::Sha384 => Hasher::Sha384(Sha384::new()),
            HashName::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }
}

impl FromStr for HashName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = HashName::ALL.into_iter().find(|name| name.name() == text);
        known.ok_or_else(|| Error::Algorithm { what: "a digest", algorithm: text.to_owned() })
    }
}

/// A digest under way.
pub enum Hasher {
    /// SHA-256
    Sha256(Sha256),
    /// SHA-384
    Sha384(Sha384),
    /// SHA-512
    Sha512(Sha512),
}

impl Hasher {
    /// Takes more content.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha256(hasher) => hasher.update(bytes),
            Hasher::Sha384(hasher) => hasher.update(bytes),
            Hasher::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all of it.
    pub fn finish(self) -> Vec<u8> {
        match self {
            Hasher::Sha256(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha384(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha512(hasher) => hasher.finalize().to_vec(),
        }
    }
}

/// What may verify a signature of a signer: more than one where the curve is only in the key. None of them accepts RSA below
/// 2,048 bits.
pub fn verifiers(
    algorithm: &AlgorithmIdentifierOwned,
    digest: HashName,
) -> Result<&'static [&'static dyn SignatureVerificationAlgorithm]> {
    let unknown = || Error::Algorithm { what: "a signature", algorithm: algorithm.oid.to_string() };
    let by_digest = |sha256, sha384, sha512| match digest {
        HashName::Sha256 => sha256,
        HashName::Sha384 => sha384,
        HashName::Sha512 => sha512,
    };
    let named = |name: HashName, found: &'static [&'static dyn SignatureVerificationAlgorithm]| {
        if digest == name { Ok(found) } else { Err(unknown()) }
    };
    const RSA: [&[&dyn SignatureVerificationAlgorithm]; 3] = [
        &[algorithms::RSA_PKCS1_2048_8192_SHA256],
        &[algorithms::RSA_PKCS1_2048_8192_SHA384],
        &[algorithms::RSA_PKCS1_2048_8192_SHA512],
    ];
    const PSS: [&[&dyn SignatureVerificationAlgorithm]; 3] = [
        &[algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
        &[algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
        &[algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
    ];
    const EC: [&[&dyn SignatureVerificationAlgorithm]; 3] = [
        &[algorithms::ECDSA_P256_SHA256, algorithms::ECDSA_P384_SHA256, algorithms::ECDSA_P521_SHA256],
        &[algorithms::ECDSA_P256_SHA384, algorithms::ECDSA_P384_SHA384, algorithms::ECDSA_P521_SHA384],
        &[algorithms::ECDSA_P256_SHA512, algorithms::ECDSA_P384_SHA512, algorithms::ECDSA_P521_SHA512],
    ];
    const EDWARDS: &[&dyn SignatureVerificationAlgorithm] = &[algorithms::ED25519];
    match algorithm.oid {
        RSA_ENCRYPTION => Ok(by_digest(RSA[0], RSA[1], RSA[2])),
        RSA_SHA256 => named(HashName::Sha256, RSA[0]),
        RSA_SHA384 => named(HashName::Sha384, RSA[1]),
        RSA_SHA512 => named(HashName::Sha512, RSA[2]),
        RSA_PSS => Ok(by_digest(PSS[0], PSS[1], PSS[2])),
        ECDSA_SHA256 => named(HashName::Sha256, EC[0]),
        ECDSA_SHA384 => named(HashName::Sha384, EC[1]),
        ECDSA_SHA512 => named(HashName::Sha512, EC[2]),
        ED25519 => Ok(EDWARDS),
        _ => Err(unknown()),
    }
}
