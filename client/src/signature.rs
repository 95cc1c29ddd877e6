//! Signatures that documents bring with them (detached CMS): verified before the document is sealed, and after it was opened.
//!
//! Invariants
//! - A content that a signer did not sign is never stored with that signature, and never given out with it.
//! - A signer whose certificate is not trusted is refused, unless the hospital or whoever stores the document says that this
//!   standing is expected; then the signed deposit says what it was.
//! - When a document is opened, its signature is verified over what was opened, and certificates are judged at the time at
//!   which they were judged first: the timestamped ledger shows that the deposit is not younger.
//!
//! Not here: paths, algorithms and forms (`trust`), where results are kept (`protocol::manifest::signature`).

use crate::clock::now_ms;
use crate::task::blocking;
use crate::{Client, Error, OpenObject, Part, Result};
use bytes::Bytes;
use futures::future::ready;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use shosoin_protocol::limits::DOCUMENT_SIGNATURE_BYTES_MAX;
use shosoin_protocol::manifest::{DocumentSignature, DocumentSigner, SignerStanding};
use shosoin_protocol::suite::Hasher;
use shosoin_protocol::{Digest, VersionId};
use shosoin_trust::document::{ContentDigests, Signed, Standing, read, verify};
use shosoin_trust::{Anchors, SignedMessage};

/// A signature, and the content that it is held against, as it comes.
pub struct SignatureCheck {
    cms: Vec<u8>,
    message: SignedMessage,
    signed: ContentDigests,
    plain: Hasher,
    size_bytes: u64,
}

/// A signature whose signers did sign a content, which is known by the digest and length of each of its parts.
#[derive(Debug, Clone)]
pub struct CheckedDocument {
    signature: DocumentSignature,
    parts: Vec<(Digest, u64)>,
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
        Ok(SignatureCheck { cms: cms.to_vec(), message, signed, plain: Hasher::new(suite), size_bytes: 0 })
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

    /// What is true of every signer at a time; the content, which came in one piece, must be the one that was signed.
    fn judge(self, anchors: &Anchors, at_ms: u64) -> Result<(Vec<Signed>, CheckedDocument)> {
        let signed = verify(&self.message, &self.signed.finish(), anchors, at_ms).map_err(refused)?;
        let signers = signed.iter().map(signer).collect();
        let signature = DocumentSignature { judged_ms: at_ms, cms: self.cms, signers };
        Ok((signed, CheckedDocument { signature, parts: vec![(self.plain.finish(), self.size_bytes)] }))
    }
}

impl CheckedDocument {
    /// The same, of a content that was read from these parts: whoever calls this has opened every chunk of them, or has compared
    /// them with the parts that were read.
    pub(crate) fn of_parts(self, parts: &[Part]) -> Self {
        CheckedDocument { parts: parts.iter().map(digest_of).collect(), ..self }
    }

    /// Refuses parts that are not the content whose signature was verified.
    pub(crate) fn for_parts(&self, parts: &[Part]) -> Result<()> {
        match parts.iter().map(digest_of).eq(self.parts.iter().copied()) {
            true => Ok(()),
            false => Err(Error::Invalid { what: "content", why: "it is not the one whose signature was verified" }),
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

    /// Ends it. Every signer must have signed the content, and be trusted now or of a standing that is accepted: by the
    /// options of this client, or in `accepted`.
    pub fn checked_document(&self, check: SignatureCheck, accepted: &[SignerStanding]) -> Result<CheckedDocument> {
        let (signed, document) = check.judge(&self.inner.document_anchors, now_ms())?;
        for (signed, signer) in signed.into_iter().zip(&document.signature.signers) {
            if let Standing::Untrusted(source) = signed.standing
                && !accepted.contains(&signer.standing)
                && !self.inner.accepted_signers.contains(&signer.standing)
            {
                return Err(Error::UntrustedSigner { standing: signer.standing.name(), source });
            }
        }
        Ok(document)
    }

    /// Verifies a detached signature over parts whose chunks are in the vault, or travel with the deposit of `version`: each is
    /// read back and opened.
    pub async fn check_signature_of_parts(
        &self,
        cms: &[u8],
        version: VersionId,
        parts: &[Part],
    ) -> Result<CheckedDocument> {
        let mut check = self.check_signature(cms)?;
        for part in parts {
            let mut plain = self.plain_of(version, part);
            while let Some(bytes) = plain.next().await {
                check = check.add(bytes?).await?;
            }
        }
        Ok(self.checked_document(check, &[])?.of_parts(parts))
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
        let Some(mut check) = self.signature_check()? else { return Ok(None) };
        let mut pieces = self.read(0..self.facts().size_bytes);
        while let Some(piece) = pieces.next().await {
            check = check.add(piece?).await?;
        }
        self.judge_again(check).map(Some)
    }

    /// Its whole content, held against the signature that it brought, if it did, while it passes: the last piece comes only
    /// when the signature holds over all of them, so whoever got the whole length got what was signed.
    pub fn read_signed(&self) -> impl Stream<Item = Result<Bytes>> + Send + Unpin + use<> {
        let (object, pieces) = (self.clone(), self.read(0..self.facts().size_bytes));
        let judge = move |check| object.judge_again(check).map(drop);
        let reading = self.signature_check().map(|check| held_back(pieces, check, judge));
        Box::pin(stream::once(ready(reading)).try_flatten())
    }

    fn signature_check(&self) -> Result<Option<SignatureCheck>> {
        let signature = self.facts().signature.as_ref();
        signature.map(|signature| SignatureCheck::new(&signature.cms, self.inner.keyring.suite())).transpose()
    }

    /// Judges at the time at which it was judged first; the signers must be those whom the deposit names.
    fn judge_again(&self, check: SignatureCheck) -> Result<SignatureProof> {
        let facts = self.facts();
        let Some(signature) = &facts.signature else {
            return Err(Error::Invalid { what: "signature", why: "the record has none" });
        };
        let (signed, document) = check.judge(&self.inner.document_anchors, signature.judged_ms)?;
        let same = |(one, other): (&DocumentSigner, &DocumentSigner)| one.certificate == other.certificate;
        let known = &document.signature.signers;
        if known.len() != signature.signers.len() || !known.iter().zip(&signature.signers).all(same) {
            let why = "its signature is by others than its deposit says".to_owned();
            return Err(Error::Damaged { version: self.version(), why });
        }
        let signers = signature.signers.iter().zip(&signed).map(|(signer, now)| proof(signer, Some(now))).collect();
        Ok(SignatureProof { judged_ms: signature.judged_ms, verified: true, signers })
    }

    /// The signature for a copy of the whole content.
    pub fn carried_signature(&self) -> Option<CheckedDocument> {
        Some(CheckedDocument { signature: self.facts().signature.clone()?, parts: self.digests() })
    }

    /// A signature that comes after the document: verified over its whole content, for a copy of it.
    pub async fn check_signature(&self, client: &Client, cms: &[u8]) -> Result<CheckedDocument> {
        let mut check = client.check_signature(cms)?;
        let mut pieces = self.read(0..self.facts().size_bytes);
        while let Some(piece) = pieces.next().await {
            check = check.add(piece?).await?;
        }
        Ok(CheckedDocument { parts: self.digests(), ..client.checked_document(check, &[])? })
    }

    fn digests(&self) -> Vec<(Digest, u64)> {
        self.facts().parts.iter().map(|part| (part.plain_digest, part.size_bytes)).collect()
    }
}

/// `pieces`, the last of them only when `judge` found that the signature holds over all; without a signature each at once.
fn held_back(
    pieces: impl Stream<Item = Result<Bytes>> + Send + Unpin,
    check: Option<SignatureCheck>,
    judge: impl FnOnce(SignatureCheck) -> Result<()> + Send,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let reading = SignedRead { pieces, check, held: None, judge: Some(judge) };
    stream::try_unfold(reading, SignedRead::next)
}

/// See [`held_back`].
struct SignedRead<S, J> {
    pieces: S,
    check: Option<SignatureCheck>,
    /// the newest piece of a document with a signature
    held: Option<Bytes>,
    judge: Option<J>,
}

impl<S, J> SignedRead<S, J>
where
    S: Stream<Item = Result<Bytes>> + Send + Unpin,
    J: FnOnce(SignatureCheck) -> Result<()> + Send,
{
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        while let Some(piece) = self.pieces.next().await {
            let piece = piece?;
            let Some(check) = self.check.take() else { return Ok(Some((piece, self))) };
            self.check = Some(check.add(piece.clone()).await?);
            if let Some(before) = self.held.replace(piece) {
                return Ok(Some((before, self)));
            }
        }
        if let (Some(check), Some(judge)) = (self.check.take(), self.judge.take()) {
            judge(check)?;
        }
        Ok(self.held.take().map(|last| (last, self)))
    }
}

fn digest_of(part: &Part) -> (Digest, u64) {
    (part.content.plain_digest, part.content.size_bytes)
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

#[cfg(test)]
#[path = "../../trust/tests/openssl/mod.rs"]
mod openssl;

#[cfg(test)]
mod tests {
    use super::openssl::{GOOD, OpenSsl};
    use super::*;
    use shosoin_protocol::Suite;

    /// What comes of pieces that are held against the signature of somebody over `signed`, and how it ends.
    async fn read(signed: &[u8], pieces: &[&'static [u8]]) -> (Vec<u8>, Result<()>) {
        let root = OpenSsl::new("Root");
        root.issue_ec("doctor", "signer", GOOD);
        root.write("letter", signed);
        let cms = root.sign("doctor", &root.path("letter"), &[]);
        let check = SignatureCheck::new(&cms, Suite::Default).unwrap();
        let judge = |check: SignatureCheck| check.judge(&Anchors::default(), now_ms()).map(drop);
        let pieces = stream::iter(pieces.iter().map(|piece| Ok(Bytes::from_static(piece))));
        let mut given = Box::pin(held_back(pieces, Some(check), judge));
        let mut read = Vec::new();
        loop {
            match given.next().await {
                Some(Ok(piece)) => read.extend_from_slice(&piece),
                Some(Err(error)) => return (read, Err(error)),
                None => return (read, Ok(())),
            }
        }
    }

    #[tokio::test]
    async fn the_last_piece_of_a_signed_document_comes_only_if_the_signature_holds_over_the_whole() {
        let (given, end) = read(b"penicillin", &[b"peni", b"cil", b"lin"]).await;
        assert!(given == b"penicillin" && end.is_ok());
        let (given, end) = read(b"penicillin", &[b"Peni", b"cil", b"lin"]).await;
        assert_eq!(given, b"Penicil");
        assert!(matches!(end, Err(Error::DocumentSignature { .. })), "{end:?}");
        let (given, end) = read(b"penicillin", &[b"Penicillin"]).await;
        assert!(given.is_empty() && end.is_err());
        let (given, end) = read(b"penicillin", &[]).await;
        assert!(given.is_empty() && end.is_err());
    }
}
