//! Signatures of both suites behind one pair of types. Signing is deterministic, so it needs no randomness here.
//!
//! Every signature but a checkpoint's covers `domain | 0 | message`: bytes signed for one purpose mean nothing
//! for another. Checkpoints follow the public signed-note form and are signed as they are.

use crate::codec::{Reader, Writer};
use crate::suite::sha256;
use crate::{DeviceId, Error, Result, Suite};
use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::Verifier as _;
use zeroize::Zeroizing;

/// What a signature is for; the text is part of what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// A ledger entry, by a device.
    Entry,
    /// A receipt, by the vault.
    Receipt,
    /// A device certificate, by the hospital.
    Device,
    /// An enrolment request, by the hospital.
    Enrolment,
    /// A note whose text carries its own domain: a checkpoint.
    Note,
}

impl Domain {
    fn prefix(self) -> &'static [u8] {
        match self {
            Domain::Entry => b"shosoin entry v1\0",
            Domain::Receipt => b"shosoin receipt v1\0",
            Domain::Device => b"shosoin device v1\0",
            Domain::Enrolment => b"shosoin enrolment v1\0",
            Domain::Note => b"",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Domain::Entry => "entry",
            Domain::Receipt => "receipt",
            Domain::Device => "device certificate",
            Domain::Enrolment => "enrolment",
            Domain::Note => "checkpoint",
        }
    }

    fn message(self, message: &[u8]) -> Vec<u8> {
        [self.prefix(), message].concat()
    }
}

/// A signature of either suite: 64 bytes, Ed25519 or fixed-width ECDSA (r, s).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// Length in bytes.
    pub const LEN: usize = 64;

    /// Reads one.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        reader.array("signature").map(Signature)
    }
}

/// A public key with its suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// Suite 1: Ed25519, 32 bytes.
    Ed25519([u8; 32]),
    /// Suite 2: P-256, compressed point, 33 bytes.
    P256([u8; 33]),
}

impl PublicKey {
    /// The suite the key belongs to.
    pub fn suite(&self) -> Suite {
        match self {
            PublicKey::Ed25519(_) => Suite::Default,
            PublicKey::P256(_) => Suite::Cryptrec,
        }
    }

    /// The key alone, without its suite byte.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            PublicKey::Ed25519(bytes) => bytes,
            PublicKey::P256(bytes) => bytes,
        }
    }

    /// Suite byte and key.
    pub fn write(&self, writer: &mut Writer) {
        writer.u8(self.suite().code()).put(self.as_bytes());
    }

    /// Reads suite byte and key; points that are not on the curve are refused when they are used.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        match Suite::try_from(reader.u8("key suite")?)? {
            Suite::Default => reader.array("public key").map(PublicKey::Ed25519),
            Suite::Cryptrec => reader.array("public key").map(PublicKey::P256),
        }
    }

    /// Id of the device that holds this key.
    pub fn device_id(&self) -> DeviceId {
        let digest = sha256(&[b"shosoin device", &[self.suite().code()], self.as_bytes()]);
        let mut out = [0; 16];
        out.copy_from_slice(&digest.0[..16]);
        DeviceId(out)
    }

    /// What two people read to each other: SHA-256 of suite byte and key, in hex groups of four.
    pub fn fingerprint(&self) -> String {
        let text = sha256(&[&[self.suite().code()], self.as_bytes()]).to_string();
        let groups: Vec<&str> = (0..text.len()).step_by(4).map(|at| &text[at..at + 4]).collect();
        groups.join(" ")
    }

    /// Refuses a signature that this key did not make over `message` in `domain`. Ed25519 is verified strictly.
    pub fn verify(&self, domain: Domain, message: &[u8], signature: &Signature) -> Result<()> {
        let bad = Error::Signature { what: domain.what() };
        let message = domain.message(message);
        let good = match self {
            PublicKey::Ed25519(bytes) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| bad.clone())?;
                key.verify_strict(&message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
            }
            PublicKey::P256(bytes) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(|_| bad.clone())?;
                let signature = p256::ecdsa::Signature::from_slice(&signature.0).map_err(|_| bad.clone())?;
                key.verify(&message, &signature).is_ok()
            }
        };
        if good { Ok(()) } else { Err(bad) }
    }
}

/// A signing key of either suite. No `Debug`, no `Clone`; wiped when dropped by the libraries beneath.
pub struct SigningKey(Inner);

enum Inner {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
}

impl SigningKey {
    /// From 32 secret bytes. For P-256 a seed outside the field (probability 2^-32) is refused: draw again.
    pub fn from_seed(suite: Suite, seed: &Zeroizing<[u8; 32]>) -> Result<Self> {
        match suite {
            Suite::Default => Ok(SigningKey(Inner::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(seed))))),
            Suite::Cryptrec => match p256::ecdsa::SigningKey::from_slice(&seed[..]) {
                Ok(key) => Ok(SigningKey(Inner::P256(Box::new(key)))),
                Err(_) => Err(Error::Invalid { what: "signing seed", why: "it is no scalar of P-256" }),
            },
        }
    }

    /// The matching public key.
    pub fn public(&self) -> PublicKey {
        match &self.0 {
            Inner::Ed25519(key) => PublicKey::Ed25519(key.verifying_key().to_bytes()),
            Inner::P256(key) => {
                let mut out = [0; 33];
                out.copy_from_slice(key.verifying_key().to_sec1_point(true).as_bytes());
                PublicKey::P256(out)
            }
        }
    }

    /// Signs `message` in `domain`.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        let message = domain.message(message);
        match &self.0 {
            Inner::Ed25519(key) => Signature(key.sign(&message).to_bytes()),
            Inner::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(&message);
                let mut out = [0; 64];
                out.copy_from_slice(&signature.to_bytes());
                Signature(out)
            }
        }
    }
}
