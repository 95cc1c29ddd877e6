//! From the certificate of a signer to an anchor, at a given time, for a given purpose.

use crate::anchors::{Anchors, fingerprint};
use crate::error::form;
use crate::{Error, Result};
use der::Decode as _;
use der::asn1::ObjectIdentifier;
use pki_types::{CertificateDer, UnixTime};
use shosoin_protocol::Digest;
use std::time::Duration;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage as KeyUsageBits};

/// id-kp-timeStamping.
const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// The same as bytes of its content.
const TIME_STAMPING_BYTES: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
/// Purposes that let a certificate sign documents: any, e-mail, documents (RFC 9336), client authentication as HPKI has it.
const SIGNING_PURPOSES: [&[u8]; 4] =
    [&[0x55, 0x1d, 0x25, 0], &[0x2b, 6, 1, 5, 5, 7, 3, 4], &[0x2b, 6, 1, 5, 5, 7, 3, 36], &[0x2b, 6, 1, 5, 5, 7, 3, 2]];

/// What a certificate must be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// signing documents
    Documents,
    /// timestamping, and nothing else (RFC 3161, section 2.3)
    Timestamping,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Purpose::Documents => "signing documents",
            Purpose::Timestamping => "timestamping alone",
        }
    }
}

/// Who signed, as a path proved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// fingerprint of the certificate
    pub certificate: Digest,
    /// fingerprint of the anchor the path led to
    pub anchor: Digest,
    /// whom the certificate names
    pub subject: String,
    /// when the certificate ends
    pub until_ms: u64,
}

/// Accepts what may sign documents; a certificate that names no purpose may.
struct MaySign;

impl ExtendedKeyUsageValidator for MaySign {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let (mut none, mut found) = (true, false);
        for purpose in purposes {
            let purpose = purpose?.to_decoded_oid();
            none = false;
            found |= SIGNING_PURPOSES.iter().any(|known| webpki::KeyPurposeId::new(known).to_decoded_oid() == purpose);
        }
        match none || found {
            true => Ok(()),
            false => Err(webpki::Error::EmptyEkuExtension),
        }
    }
}

/// Proves that `certificate` led to an anchor at `at_ms`, `others` being between them, and was for `purpose`.
pub fn prove(
    certificate: &[u8],
    others: &[Vec<u8>],
    anchors: &Anchors,
    at_ms: u64,
    purpose: Purpose,
) -> Result<Signer> {
    let signer = fingerprint(certificate);
    let parsed = Certificate::from_der(certificate).map_err(|error| form("a certificate", error))?;
    check_purpose(&parsed, signer, purpose)?;
    let der = CertificateDer::from(certificate);
    let end = EndEntityCert::try_from(&der).map_err(|error| refused(error, signer, at_ms, purpose))?;
    let others: Vec<CertificateDer<'_>> = others.iter().map(|other| CertificateDer::from(other.as_slice())).collect();
    let time = UnixTime::since_unix_epoch(Duration::from_millis(at_ms));
    let (algorithms, anchors_of) = (ALL_VERIFICATION_ALGS, anchors.all());
    let path = match purpose {
        Purpose::Timestamping => {
            let usage = KeyUsage::required(TIME_STAMPING_BYTES);
            end.verify_for_usage(algorithms, anchors_of, &others, time, usage, None, None)
        }
        Purpose::Documents => end.verify_for_usage(algorithms, anchors_of, &others, time, MaySign, None, None),
    };
    let path = path.map_err(|error| refused(error, signer, at_ms, purpose))?;
    let anchor = anchors.fingerprint_of(path.anchor()).ok_or(Error::UnknownIssuer { signer })?;
    let tbs = parsed.tbs_certificate();
    let until_ms = millis(tbs.validity().not_after.to_unix_duration());
    Ok(Signer { certificate: signer, anchor, subject: tbs.subject().to_string(), until_ms })
}

/// Refuses a certificate that says it is for other things, where the path does not look.
fn check_purpose(certificate: &Certificate, signer: Digest, purpose: Purpose) -> Result<()> {
    let refuse = || Error::Purpose { signer, purpose: purpose.name() };
    let (tbs, malformed) = (certificate.tbs_certificate(), |error| form("a certificate", error));
    if let Some((_, bits)) = tbs.get_extension::<KeyUsageBits>().map_err(malformed)?
        && !bits.digital_signature()
        && !bits.non_repudiation()
    {
        return Err(refuse());
    }
    if purpose == Purpose::Timestamping {
        match tbs.get_extension::<ExtendedKeyUsage>().map_err(malformed)? {
            Some((true, ExtendedKeyUsage(purposes))) if purposes == [TIME_STAMPING] => {}
            _ => return Err(refuse()),
        }
    }
    Ok(())
}

fn refused(error: webpki::Error, signer: Digest, at_ms: u64, purpose: Purpose) -> Error {
    match error {
        // an anchor of the same name with another key is as unknown as any
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => Error::UnknownIssuer { signer },
        webpki::Error::CertExpired { not_after, .. } => {
            Error::Expired { signer, until_ms: not_after.as_secs().saturating_mul(1000), at_ms }
        }
        webpki::Error::CertNotValidYet { not_before, .. } => {
            Error::NotYetValid { signer, from_ms: not_before.as_secs().saturating_mul(1000), at_ms }
        }
        webpki::Error::EmptyEkuExtension | webpki::Error::RequiredEkuNotFoundContext(_) => {
            Error::Purpose { signer, purpose: purpose.name() }
        }
        error => Error::Path { signer, why: error.to_string() },
    }
}

/// Milliseconds of a time since 1970.
pub fn millis(since: Duration) -> u64 {
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
