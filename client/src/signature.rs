//! Signatures that documents bring with them (detached CMS): verified before the document is sealed, and after it was opened.
//!
//! Invariants
//! - A content that a signer did not sign is never stored with that signature, and never given out with it.
//! - A signer whose certificate is not trusted is refused, unless whoever stores the document says that this standing is
//!   expected; then the signed deposit says what it was.
//! - When a document is opened, its signature is verified over what was opened, and certificates are judged at the time at
//!   which they were judged first: the timestamped ledger shows that the deposit is not younger.
//!
//! Not here: paths, algorithms and forms (`trust`), where results are kept (`protocol::manifest::signature`).

use crate::clock::now_ms;
use crate::hashing::Digests;
use crate::task::blocking;
use crate::{Client, Error, OpenObject, Part, Result};
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Serialize;
use shosoin_protocol::Digest;
use shosoin_protocol::limits::DOCUMENT_SIGNATURE_BYTES_MAX;
use shosoin_protocol::manifest::{DocumentSignature, DocumentSigner, SignerStanding};
use shosoin_trust::document::{ContentDigests, Signed, Standing, read, verify};
use shosoin_trust::{Anchors, SignedMessage};

/// A signature, and the content that it is held against, as it comes.
pub struct SignatureCheck {
    cms: Vec<u8>,
    message: SignedMessage,
    signed: ContentDigests,
    plain: Digests,
    size_bytes: u64,
}

/// A signature whose signers did sign a content, which is known by its digest.
#[derive(Debug, Clone)]
pub struct CheckedDocument {
    signature: DocumentSignature,
    plain_digest: Digest,
    size_bytes: u64,
}

/// What is true of a signature that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureProof {
    /// when certificates were judged first, and are judged again, in milliseconds since 1970
    pub judged_ms: u64,
    /// whether the signature was verified again, over what was opened
    pub verified: bool,
    /// the signers
    pub signers: Vec<SignerProof>,
}

/// What is true of one signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignerProof {
    /// what the signed deposit says
    pub stored: &'static str,
    /// what the trust anchors of now say of the same time; none if the signature was not verified again
    pub now: Option<&'static str>,
    /// SHA-256 of the certificate, hex
    pub certificate: String,
    /// SHA-256 of the anchor that it led to when it was stored, hex
    pub anchor: Option<String>,
    /// whom the certificate names, if the anchors of now trust it
    pub subject: Option<String>,
    /// when the signer says it was signed, in milliseconds since 1970
    pub claimed_ms: Option<u64>,
}

impl SignatureCheck {
    fn new(cms: &[u8], suite: shosoin_protocol::Suite) -> Result<Self> {
        if cms.len() > DOCUMENT_SIGNATURE_BYTES_MAX {
            let (found, limit) = (cms.len() as u64, DOCUMENT_SIGNATURE_BYTES_MAX as u64);
            return Err(Error::OverLimit { what: "document signature", found, limit });
        }
        let message = read(cms).map_err(refused)?;
        let signed = ContentDigests::of(&message).map_err(refused)?;
        Ok(SignatureCheck { cms: cms.to_vec(), message, signed, plain: Digests::new(suite), size_bytes: 0 })
    }

    /// Takes more of the content.
    pub async fn add(mut self, bytes: Bytes) -> Result<Self> {
        blocking("hashing", move || {
            self.signed.update(&bytes);
            self.plain.update(&bytes);
            self.size_bytes += bytes.len() as u64;
            Ok(self)
        })
        .await
    }

    /// What is true of every signer at a time; the content must be the one that was signed.
    fn judge(self, anchors: &Anchors, at_ms: u64) -> Result<(Vec<Signed>, CheckedDocument)> {
        let signed = verify(&self.message, &self.signed.finish(), anchors, at_ms).map_err(refused)?;
        let signers = signed.iter().map(signer).collect();
        let (_, plain_digest) = self.plain.finish();
        let signature = DocumentSignature { judged_ms: at_ms, cms: self.cms, signers };
        Ok((signed, CheckedDocument { signature, plain_digest, size_bytes: self.size_bytes }))
    }
}

impl CheckedDocument {
    /// The same, of a content that was compared with the one whose signature was verified and sealed anew as `parts`: digests
    /// are of the suite that it is sealed in.
    pub(crate) fn sealed_anew_as(self, parts: &[Part]) -> Self {
        let plain_digest = parts.first().map_or(self.plain_digest, |part| part.content.plain_digest);
        CheckedDocument { plain_digest, ..self }
    }

    /// Refuses parts that are not the content whose signature was verified.
    pub(crate) fn for_parts(&self, parts: &[Part]) -> Result<()> {
        match parts {
            [part] if (part.content.plain_digest, part.content.size_bytes) == (self.plain_digest, self.size_bytes) => {
                Ok(())
            }
            _ => Err(Error::Invalid { what: "content", why: "it is not the one whose signature was verified" }),
        }
    }

    /// What is kept of it.
    pub(crate) fn into_signature(self) -> DocumentSignature {
        self.signature
    }
}

impl Client {
    /// Begins to verify a detached signature over a content that is to be stored.
    pub fn check_signature(&self, cms: &[u8]) -> Result<SignatureCheck> {
        SignatureCheck::new(cms, self.inner.keyring.suite())
    }

    /// Ends it. Every signer must have signed the content, and be trusted now or of a standing in `accepted`.
    pub fn checked_document(&self, check: SignatureCheck, accepted: &[SignerStanding]) -> Result<CheckedDocument> {
        let (signed, document) = check.judge(&self.inner.document_anchors, now_ms())?;
        for (signed, signer) in signed.into_iter().zip(&document.signature.signers) {
            if let Standing::Untrusted(source) = signed.standing
                && !accepted.contains(&signer.standing)
            {
                return Err(Error::UntrustedSigner { standing: signer.standing.name(), source });
            }
        }
        Ok(document)
    }
}

impl OpenObject {
    /// What the signed deposit says of the signature that the document brought, if it did.
    pub fn stored_signature(&self) -> Option<SignatureProof> {
        let signature = self.facts().signature.as_ref()?;
        let signers = signature.signers.iter().map(|signer| proof(signer, None)).collect();
        Some(SignatureProof { judged_ms: signature.judged_ms, verified: false, signers })
    }

    /// Verifies the signature that the document brought over its whole content, which is fetched and opened for it.
    pub async fn verify_signature(&self) -> Result<Option<SignatureProof>> {
        let Some(signature) = self.facts().signature.clone() else { return Ok(None) };
        let mut check = SignatureCheck::new(&signature.cms, self.inner.keyring.suite())?;
        let mut pieces = self.read(0..self.facts().size_bytes);
        while let Some(piece) = pieces.next().await {
            check = check.add(piece?).await?;
        }
        let (signed, document) = check.judge(&self.inner.document_anchors, signature.judged_ms)?;
        let same = |(one, other): (&DocumentSigner, &DocumentSigner)| one.certificate == other.certificate;
        let known = &document.signature.signers;
        if known.len() != signature.signers.len() || !known.iter().zip(&signature.signers).all(same) {
            let why = "its signature is by others than its deposit says".to_owned();
            return Err(Error::Damaged { version: self.version(), why });
        }
        let signers = signature.signers.iter().zip(&signed).map(|(signer, now)| proof(signer, Some(now))).collect();
        Ok(Some(SignatureProof { judged_ms: signature.judged_ms, verified: true, signers }))
    }

    /// The signature for a copy of the whole content.
    pub fn carried_signature(&self) -> Option<CheckedDocument> {
        let (signature, [part]) = (self.facts().signature.clone()?, self.facts().parts.as_slice()) else { return None };
        Some(CheckedDocument { signature, plain_digest: part.plain_digest, size_bytes: part.size_bytes })
    }
}

fn refused(source: shosoin_trust::Error) -> Error {
    Error::DocumentSignature { source }
}

fn standing(error: &shosoin_trust::Error) -> SignerStanding {
    match error {
        shosoin_trust::Error::Expired { .. } => SignerStanding::Expired,
        shosoin_trust::Error::NotYetValid { .. } => SignerStanding::NotYetValid,
        shosoin_trust::Error::UnknownIssuer { .. } => SignerStanding::UnknownIssuer,
        shosoin_trust::Error::Purpose { .. } => SignerStanding::OtherPurpose,
        _ => SignerStanding::NotBelieved,
    }
}

fn signer(signed: &Signed) -> DocumentSigner {
    let (standing, anchor) = match &signed.standing {
        Standing::Trusted(signer) => (SignerStanding::Trusted, Some(signer.anchor)),
        Standing::Untrusted(error) => (standing(error), None),
    };
    DocumentSigner { standing, certificate: signed.certificate, anchor, claimed_ms: signed.claimed_ms }
}

fn proof(stored: &DocumentSigner, now: Option<&Signed>) -> SignerProof {
    let subject = now.and_then(|now| match &now.standing {
        Standing::Trusted(signer) => Some(signer.subject.clone()),
        Standing::Untrusted(_) => None,
    });
    SignerProof {
        stored: stored.standing.name(),
        now: now.map(|now| signer(now).standing.name()),
        certificate: stored.certificate.to_string(),
        anchor: stored.anchor.map(|anchor| anchor.to_string()),
        subject,
        claimed_ms: stored.claimed_ms,
    }
}
