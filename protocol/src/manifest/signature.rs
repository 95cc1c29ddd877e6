//! A detached signature that a document brings with it, and what it was worth when the hospital took the document in.

use crate::codec::{Reader, Writer};
use crate::limits::{DOCUMENT_SIGNATURE_BYTES_MAX, DOCUMENT_SIGNERS_MAX};
use crate::{Digest, Error, Result};

/// Form 1: a detached CMS signature.
const DETACHED_CMS: u8 = 1;

/// A signature over the content of an object, whose every signer was verified before the content was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentSignature {
    /// time that certificates were judged at, in milliseconds since 1970: the device's clock
    pub judged_ms: u64,
    /// the CMS signature, as it came
    pub cms: Vec<u8>,
    /// its signers, in its order
    pub signers: Vec<DocumentSigner>,
}

/// One signer, whose key did sign the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentSigner {
    /// what the certificate was worth
    pub standing: SignerStanding,
    /// SHA-256 of the certificate
    pub certificate: Digest,
    /// SHA-256 of the trust anchor that it led to; only where it is trusted
    pub anchor: Option<Digest>,
    /// when the signer says it was signed, in milliseconds since 1970
    pub claimed_ms: Option<u64>,
}

/// What the certificate of a signer was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SignerStanding {
    /// it led to a trust anchor
    Trusted = 1,
    /// it had ended
    Expired = 2,
    /// it had not begun
    NotYetValid = 3,
    /// it led to no trust anchor
    UnknownIssuer = 4,
    /// it was for something else
    OtherPurpose = 5,
    /// it was not believed for another reason
    NotBelieved = 6,
}

impl SignerStanding {
    /// Every one, by code.
    pub const ALL: [SignerStanding; 6] = [
        SignerStanding::Trusted,
        SignerStanding::Expired,
        SignerStanding::NotYetValid,
        SignerStanding::UnknownIssuer,
        SignerStanding::OtherPurpose,
        SignerStanding::NotBelieved,
    ];

    /// Its name for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            SignerStanding::Trusted => "trusted",
            SignerStanding::Expired => "expired",
            SignerStanding::NotYetValid => "not-yet-valid",
            SignerStanding::UnknownIssuer => "unknown-issuer",
            SignerStanding::OtherPurpose => "other-purpose",
            SignerStanding::NotBelieved => "not-believed",
        }
    }

    fn from_code(code: u8) -> Result<Self> {
        let known = SignerStanding::ALL.into_iter().find(|standing| *standing as u8 == code);
        known.ok_or(Error::Invalid { what: "standing of a signer", why: "no such code" })
    }
}

impl DocumentSignature {
    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        out.u8(DETACHED_CMS).u64(self.judged_ms).var(&self.cms).count(self.signers.len());
        for signer in &self.signers {
            out.u8(signer.standing as u8).put(&signer.certificate.0);
            out.put(&signer.anchor.unwrap_or(Digest([0; 32])).0).u64(signer.claimed_ms.unwrap_or(0));
        }
    }

    /// Reads it.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        if reader.u8("form of a document signature")? != DETACHED_CMS {
            return Err(Error::Invalid { what: "form of a document signature", why: "no such code" });
        }
        let judged_ms = reader.u64("judged")?;
        let cms = reader.var(DOCUMENT_SIGNATURE_BYTES_MAX, "document signature")?.to_vec();
        let count = reader.count(DOCUMENT_SIGNERS_MAX, "signers of a document")?;
        let signers = (0..count).map(|_| DocumentSigner::read(reader)).collect::<Result<Vec<_>>>()?;
        match cms.is_empty() || signers.is_empty() {
            false => Ok(DocumentSignature { judged_ms, cms, signers }),
            true => Err(Error::Invalid { what: "document signature", why: "it is empty, or nobody signed" }),
        }
    }
}

impl DocumentSigner {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let standing = SignerStanding::from_code(reader.u8("standing of a signer")?)?;
        let (certificate, anchor) = (Digest::read(reader)?, Digest::read(reader)?);
        let claimed_ms = Some(reader.u64("claimed")?).filter(|claimed| *claimed != 0);
        let anchor = Some(anchor).filter(|anchor| anchor.0 != [0; 32]);
        match anchor.is_some() == (standing == SignerStanding::Trusted) {
            true => Ok(DocumentSigner { standing, certificate, anchor, claimed_ms }),
            false => Err(Error::Invalid { what: "anchor of a signer", why: "it is there if the signer is trusted" }),
        }
    }
}
