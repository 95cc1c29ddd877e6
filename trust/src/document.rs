//! Detached signatures of documents (CMS, PKCS#7, the core of CAdES): what is true of each signer at a time.
//!
//! A content that was altered is an error. A certificate that had ended, had not begun, or leads to no anchor is a
//! [`Standing`]: whoever archives a document of long ago must be able to say what its signature was worth then.

use crate::algorithm::Hasher;
use crate::anchors::fingerprint;
use crate::error::form;
use crate::message::SignedMessage;
use crate::path::{self, Purpose, Signer, millis};
use crate::{Anchors, Error, HashName, Result};
use der::Decode as _;
use der::asn1::ObjectIdentifier;
use shosoin_protocol::Digest;
use x509_cert::time::Time;

/// id-data.
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");

/// The digests of a content that comes in pieces, as a signature needs them.
pub struct ContentDigests(Vec<(HashName, Hasher)>);

impl ContentDigests {
    /// Of the content that `message` signs.
    pub fn of(message: &SignedMessage) -> Result<Self> {
        Ok(ContentDigests(message.hashes()?.into_iter().map(|hash| (hash, hash.hasher())).collect()))
    }

    /// Takes more content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.iter_mut().for_each(|(_, hasher)| hasher.update(bytes));
    }

    /// The digests of all of it.
    pub fn finish(self) -> Vec<(HashName, Vec<u8>)> {
        self.0.into_iter().map(|(hash, hasher)| (hash, hasher.finish())).collect()
    }
}

/// What the certificate of a signer was worth.
#[derive(Debug)]
pub enum Standing {
    /// a path led to an anchor
    Trusted(Signer),
    /// why not
    Untrusted(Error),
}

/// One signer, whose key did sign the content.
#[derive(Debug)]
pub struct Signed {
    /// fingerprint of the certificate
    pub certificate: Digest,
    /// when the signer says it was signed; nobody else vouches for it
    pub claimed_ms: Option<u64>,
    /// what the certificate was worth at the time that was asked about
    pub standing: Standing,
}

/// Reads a detached signature. One that brings its own content is refused: it would sign something else than the record.
pub fn read(bytes: &[u8]) -> Result<SignedMessage> {
    let message = SignedMessage::read(bytes)?;
    match (message.content(), message.content_type() == DATA) {
        (None, true) => Ok(message),
        (Some(_), _) => Err(form("a detached signature", "it brings its own content")),
        (None, false) => Err(form("a detached signature", "it signs something else than data")),
    }
}

/// What is true of every signer at `at_ms`. Fails if one of them did not sign the content.
pub fn verify(
    message: &SignedMessage,
    digests: &[(HashName, Vec<u8>)],
    anchors: &Anchors,
    at_ms: u64,
) -> Result<Vec<Signed>> {
    let digest = |hash| digests.iter().find(|(name, _)| *name == hash).map(|(_, digest)| digest.clone());
    let signer = |number| {
        let certificate = message.verify(number, digest)?;
        let others = message.certificates_but(&certificate);
        let standing = match path::prove(&certificate, &others, anchors, at_ms, Purpose::Documents) {
            Ok(signer) => Standing::Trusted(signer),
            Err(error) => Standing::Untrusted(error),
        };
        Ok(Signed { certificate: fingerprint(&certificate), claimed_ms: claimed(message, number)?, standing })
    };
    (0..message.signers()).map(signer).collect()
}

fn claimed(message: &SignedMessage, signer: usize) -> Result<Option<u64>> {
    let Some(time) = message.attribute(signer, SIGNING_TIME)? else { return Ok(None) };
    let time = Time::from_der(&time).map_err(|error| form("the signing time", error))?;
    Ok(Some(millis(time.to_unix_duration())))
}
