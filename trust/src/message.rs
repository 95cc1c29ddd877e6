//! A CMS signature (RFC 5652): who signed which digest. Read without believing it; each signer is verified alone.

use crate::algorithm::{HashName, verifiers};
use crate::anchors::{encoded, fingerprint};
use crate::error::form;
use crate::{Error, Result};
use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetString, SetOfVec};
use der::{Any, Decode, Encode as _};
use pki_types::CertificateDer;
use webpki::EndEntityCert;
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::ext::pkix::SubjectKeyIdentifier;

const WHAT: &str = "a CMS signature";
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// Bytes of a signature or token, certificates included.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Signers of one message.
pub const SIGNERS_MAX: usize = 8;
/// Certificates in one message.
const CERTIFICATES_MAX: usize = 16;

/// A signed message, not yet believed.
#[derive(Debug, Clone)]
pub struct SignedMessage {
    content_type: ObjectIdentifier,
    content: Option<Vec<u8>>,
    certificates: Vec<(Certificate, Vec<u8>)>,
    signers: Vec<SignerInfo>,
}

impl SignedMessage {
    /// Reads DER, or the BER that some software writes.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(form(WHAT, format!("it has {} bytes, the limit is {MESSAGE_BYTES_MAX}", bytes.len())));
        }
        let malformed = |error: der::Error| form(WHAT, error);
        let info = ContentInfo::from_der(bytes).or_else(|_| ContentInfo::from_ber(bytes)).map_err(malformed)?;
        if info.content_type != SIGNED_DATA {
            return Err(form(WHAT, format!("its content is {}, not signed data", info.content_type)));
        }
        let data = info.content.to_der().map_err(malformed)?;
        let data = SignedData::from_der(&data).or_else(|_| SignedData::from_ber(&data)).map_err(malformed)?;
        let certificates = data.certificates.map(|set| set.0.into_vec()).unwrap_or_default();
        let signers = data.signer_infos.0.into_vec();
        if certificates.len() > CERTIFICATES_MAX || signers.is_empty() || signers.len() > SIGNERS_MAX {
            return Err(form(
                WHAT,
                format!("it needs 1 to {SIGNERS_MAX} signers and at most {CERTIFICATES_MAX} certificates"),
            ));
        }
        let plain = certificates.into_iter().filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate),
            CertificateChoices::Other(_) => None,
        });
        let certificates = plain.map(|certificate| encoded(&certificate).map(|der| (certificate, der)));
        let content = match data.encap_content_info.econtent {
            Some(content) => Some(content.decode_as::<OctetString>().map_err(malformed)?.into_bytes().into()),
            None => None,
        };
        let content_type = data.encap_content_info.econtent_type;
        Ok(SignedMessage { content_type, content, certificates: certificates.collect::<Result<_>>()?, signers })
    }

    /// What it says it signs.
    pub fn content_type(&self) -> ObjectIdentifier {
        self.content_type
    }

    /// The content, where it is not detached.
    pub fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// How many signed.
    pub fn signers(&self) -> usize {
        self.signers.len()
    }

    /// Which hash functions its signers used. Refuses weak ones.
    pub fn hashes(&self) -> Result<Vec<HashName>> {
        let hash = |signer: &SignerInfo| HashName::of("a digest", signer.digest_alg.oid);
        let mut hashes = self.signers.iter().map(hash).collect::<Result<Vec<_>>>()?;
        hashes.sort();
        hashes.dedup();
        Ok(hashes)
    }

    /// Every certificate in it but one, as they may stand between a signer and an anchor.
    pub fn certificates_but(&self, but: &[u8]) -> Vec<Vec<u8>> {
        self.certificates.iter().map(|(_, der)| der).filter(|der| *der != but).cloned().collect()
    }

    /// Verifies the signature of one signer over content whose digest `digest` gives, by the certificate that it names. What
    /// is proved is that the key of that certificate signed the content: of the certificate nothing.
    pub fn verify(&self, signer: usize, digest: impl Fn(HashName) -> Option<Vec<u8>>) -> Result<Vec<u8>> {
        let info = self.signers.get(signer).ok_or_else(|| form(WHAT, "it has no such signer"))?;
        let certificate = self.certificate_of(&info.sid)?;
        let hash = HashName::of("a digest", info.digest_alg.oid)?;
        let digest = digest(hash).ok_or(Error::OtherContent)?;
        let message = self.signed_bytes(info, &digest)?;
        let verifiers = verifiers(&info.signature_algorithm, hash)?;
        let der = CertificateDer::from(certificate.as_slice());
        let end = EndEntityCert::try_from(&der).map_err(|error| form("a certificate", error))?;
        let holds = |verifier| end.verify_signature(verifier, &message, info.signature.as_bytes()).is_ok();
        match verifiers.iter().any(|verifier| holds(*verifier)) {
            true => Ok(certificate),
            false => Err(Error::Forged { signer: fingerprint(&certificate) }),
        }
    }

    /// The bytes that were signed: the signed attributes, which must hold the digest.
    fn signed_bytes(&self, info: &SignerInfo, digest: &[u8]) -> Result<Vec<u8>> {
        let Some(attributes) = &info.signed_attrs else {
            return Err(form(WHAT, "it has no signed attributes: what it signs cannot be told from other data"));
        };
        let malformed = |error: der::Error| form(WHAT, error);
        let content_type = single(attributes, CONTENT_TYPE)?.ok_or_else(|| form(WHAT, "it has no content type"))?;
        let stated = single(attributes, MESSAGE_DIGEST)?.ok_or_else(|| form(WHAT, "it has no message digest"))?;
        let stated = stated.decode_as::<OctetString>().map_err(malformed)?;
        if content_type.decode_as::<ObjectIdentifier>().map_err(malformed)? != self.content_type {
            return Err(form(WHAT, "its signed content type is another"));
        }
        match stated.as_bytes() == digest {
            true => attributes.to_der().map_err(|error| form(WHAT, error)),
            false => Err(Error::OtherContent),
        }
    }

    /// A signed attribute of a signer in DER, if it is there.
    pub fn attribute(&self, signer: usize, kind: ObjectIdentifier) -> Result<Option<Vec<u8>>> {
        let attributes = self.signers.get(signer).and_then(|info| info.signed_attrs.as_ref());
        let value = attributes.map(|all| single(all, kind)).transpose()?.flatten();
        value.map(|value| value.to_der().map_err(|error| form(WHAT, error))).transpose()
    }

    fn certificate_of(&self, sid: &SignerIdentifier) -> Result<Vec<u8>> {
        let is_named = |certificate: &Certificate| {
            let tbs = certificate.tbs_certificate();
            match sid {
                SignerIdentifier::IssuerAndSerialNumber(named) => {
                    *tbs.issuer() == named.issuer && *tbs.serial_number() == named.serial_number
                }
                SignerIdentifier::SubjectKeyIdentifier(named) => tbs
                    .get_extension::<SubjectKeyIdentifier>()
                    .is_ok_and(|own| own.is_some_and(|(_, own)| own == *named)),
            }
        };
        let found = self.certificates.iter().find(|(certificate, _)| is_named(certificate));
        found.map(|(_, der)| der.clone()).ok_or_else(|| form(WHAT, "the certificate of a signer is not in it"))
    }
}

/// The one value of an attribute that may be there once.
fn single(attributes: &SetOfVec<Attribute>, kind: ObjectIdentifier) -> Result<Option<Any>> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == kind);
    let (first, twice) = (found.next(), found.next().is_some());
    match first.map(|attribute| attribute.values.as_slice()) {
        None => Ok(None),
        Some([value]) if !twice => Ok(Some(value.clone())),
        Some(_) => Err(form(WHAT, format!("its attribute {kind} is there more than once"))),
    }
}
