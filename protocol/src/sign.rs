//! Signatures of both suites behind one pair of types. Signing is deterministic, so it needs no randomness here.
//!
//! Invariants
//! - Every signature but a checkpoint's covers `domain | 0 | message`: bytes signed for one purpose mean nothing
//!   for another. Checkpoints follow the public signed-note form and are signed as they are.
//! - A key has one encoding, and a signature that verifies has no second form that verifies too: Ed25519 strictly,
//!   with canonical points of full order; P-256 with compressed points (0x02, 0x03) and the lower of both `s`.
//!
//! Source: RFC 8032; FIPS 186-5; Chalkias et al., "Taming the many EdDSAs", 2020; C2SP `signed-note`.

use crate::codec::{Reader, Writer};
use crate::suite::sha256;
use crate::{DeviceId, Error, Result, Suite};
use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::Verifier as _;
use std::str::FromStr;
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
    /// An account of what was received and what is held, by the vault.
    Reconciliation,
    /// An answer to an audit, by the vault.
    Answer,
    /// Evidence or a report of an audit, by a device.
    Evidence,
    /// What a scanner said of a content, by the device that deposits it.
    MalwareReport,
    /// Terms that hospital and operator agree on, by each of them.
    Agreement,
    /// The manifest of a package that is handed over, by the vault.
    Package,
    /// An order of disposal, by the person who asks.
    Order,
    /// An approval of such an order, by a person.
    Approval,
    /// A certificate of disposal, by the vault.
    Certificate,
    /// The card by which other hospitals share with one, by that hospital.
    ShareCard,
    /// The manifest of a medium that a courier brings, by the device that packed it.
    Medium,
    /// What a station found on a medium, by the station.
    MediumCheck,
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
            Domain::Reconciliation => b"shosoin reconciliation v1\0",
            Domain::Answer => b"shosoin audit answer v1\0",
            Domain::Evidence => b"shosoin evidence v1\0",
            Domain::MalwareReport => b"shosoin malware report v1\0",
            Domain::Agreement => b"shosoin agreement v1\0",
            Domain::Package => b"shosoin package v1\0",
            Domain::Order => b"shosoin order v1\0",
            Domain::Approval => b"shosoin approval v1\0",
            Domain::Certificate => b"shosoin certificate v1\0",
            Domain::ShareCard => b"shosoin share card v1\0",
            Domain::Medium => b"shosoin medium v1\0",
            Domain::MediumCheck => b"shosoin medium check v1\0",
            Domain::Note => b"",
        }
    }

    fn what(self) -> &'static str {
        match self {
            Domain::Entry => "entry",
            Domain::Receipt => "receipt",
            Domain::Device => "device certificate",
            Domain::Enrolment => "enrolment",
            Domain::Reconciliation => "reconciliation",
            Domain::Answer => "audit answer",
            Domain::Evidence => "evidence",
            Domain::MalwareReport => "malware report",
            Domain::Agreement => "agreement",
            Domain::ShareCard => "share card",
            Domain::Package => "package manifest",
            Domain::Order => "disposal order",
            Domain::Approval => "approval",
            Domain::Certificate => "certificate",
            Domain::Medium => "manifest of a medium",
            Domain::MediumCheck => "result of a station",
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

    /// An ECDSA signature in DER, as signed notes have it; `None` if this is none.
    pub(crate) fn to_der(self) -> Option<Vec<u8>> {
        p256::ecdsa::Signature::from_slice(&self.0).ok().map(|signature| signature.to_der().as_bytes().to_vec())
    }

    /// Reads an ECDSA signature in DER.
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        let signature = p256::ecdsa::Signature::from_der(der).ok()?;
        let mut out = [0; Signature::LEN];
        out.copy_from_slice(&signature.to_bytes());
        Some(Signature(out))
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

    /// Reads suite byte and key, and refuses a key that could never verify, or that has another encoding.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let key = match Suite::try_from(reader.u8("key suite")?)? {
            Suite::Default => PublicKey::Ed25519(reader.array("public key")?),
            Suite::Cryptrec => PublicKey::P256(reader.array("public key")?),
        };
        key.point().map(|_| key)
    }

    /// The key as `SubjectPublicKeyInfo` in DER, as other software names P-256 keys.
    pub(crate) fn p256_spki(&self) -> Option<Vec<u8>> {
        match self.point() {
            Ok(Point::P256(key)) => Some([&P256_SPKI_PREFIX[..], key.to_sec1_point(false).as_bytes()].concat()),
            _ => None,
        }
    }

    /// An Ed25519 key, unless it could never verify.
    pub fn ed25519(bytes: [u8; 32]) -> Result<Self> {
        let key = PublicKey::Ed25519(bytes);
        key.point().map(|_| key)
    }

    /// A P-256 key from its DER form, which must be the one that [`p256_spki`](Self::p256_spki) gives.
    pub(crate) fn from_p256_spki(spki: &[u8]) -> Result<Self> {
        let bad = || Error::Invalid { what: "public key", why: "it is no P-256 key in DER" };
        let point = spki.strip_prefix(&P256_SPKI_PREFIX[..]).ok_or_else(bad)?;
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| bad())?;
        let mut out = [0; 33];
        out.copy_from_slice(key.to_sec1_point(true).as_bytes());
        let key = PublicKey::P256(out);
        if key.p256_spki().as_deref() == Some(spki) { Ok(key) } else { Err(bad()) }
    }

    fn point(&self) -> Result<Point> {
        let bad = |why| Error::Invalid { what: "public key", why };
        match self {
            PublicKey::Ed25519(bytes) => {
                let not_a_point = "it is no point of the curve in canonical form";
                let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| bad(not_a_point))?;
                match (is_below_p25519(bytes), key.is_weak()) {
                    (false, _) => Err(bad(not_a_point)),
                    (true, true) => Err(bad("its order is small")),
                    (true, false) => Ok(Point::Ed25519(key)),
                }
            }
            PublicKey::P256(bytes) => {
                let key = match bytes[0] {
                    0x02 | 0x03 => p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).ok(),
                    _ => None,
                };
                key.map(Point::P256).ok_or(bad("it is no compressed point of the curve"))
            }
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

    /// Refuses a signature that this key did not make over `message` in `domain`, or not in its one canonical form.
    pub fn verify(&self, domain: Domain, message: &[u8], signature: &Signature) -> Result<()> {
        let message = domain.message(message);
        let good = match self.point() {
            Ok(Point::Ed25519(key)) => {
                key.verify_strict(&message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
            }
            Ok(Point::P256(key)) => p256::ecdsa::Signature::from_slice(&signature.0).is_ok_and(|signature| {
                signature.normalize_s() == signature && key.verify(&message, &signature).is_ok()
            }),
            Err(_) => false,
        };
        if good { Ok(()) } else { Err(Error::Signature { what: domain.what() }) }
    }
}

/// Hex of suite byte and key, as [`PublicKey::from_str`] reads it.
impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02x}{}", self.suite().code(), hex::encode(self.as_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
        let bytes = match hex::decode(text) {
            Ok(bytes) if !upper => bytes,
            _ => return Err(Error::Invalid { what: "public key", why: "it must be lower-case hex" }),
        };
        let mut reader = Reader::new(&bytes, "public key");
        let key = PublicKey::read(&mut reader)?;
        reader.finish().map(|()| key)
    }
}

/// A public key that is a point one can verify with.
enum Point {
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
}

/// What precedes the uncompressed point in the DER form of every P-256 key (RFC 5480).
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Whether the y coordinate is below 2^255 - 19, as RFC 8032 wants it and decompression does not insist.
fn is_below_p25519(bytes: &[u8; 32]) -> bool {
    let low_enough = bytes[0] < 0xed;
    let middle_is_full = bytes[1..31].iter().all(|byte| *byte == 0xff);
    low_enough || !middle_is_full || bytes[31] & 0x7f != 0x7f
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
                let mut out = [0; Signature::LEN];
                out.copy_from_slice(&signature.normalize_s().to_bytes());
                Signature(out)
            }
        }
    }
}

#[cfg(test)]
mod tests;
