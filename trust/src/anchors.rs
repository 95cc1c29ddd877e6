//! What a hospital trusts: certificates in a file, each of which somebody also entered by its fingerprint. Two ways, so that
//! neither who can write the file nor who can write the configuration is believed alone.

use crate::error::form;
use crate::{Error, Result};
use der::Encode as _;
use pki_types::pem::PemObject as _;
use pki_types::{CertificateDer, TrustAnchor};
use shosoin_protocol::Digest;
use shosoin_protocol::suite::sha256;

/// Bytes of a file of anchors.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Anchors of one hospital.
const ANCHORS_MAX: usize = 64;

/// Trust anchors.
#[derive(Debug, Clone, Default)]
pub struct Anchors {
    fingerprints: Vec<Digest>,
    anchors: Vec<TrustAnchor<'static>>,
}

impl Anchors {
    /// From a file in PEM or DER, and the fingerprints that were entered. Every certificate must be among the fingerprints and
    /// every fingerprint in the file.
    pub fn read(file: &[u8], entered: &[Digest]) -> Result<Self> {
        let certificates = certificates(file)?;
        let mut anchors = Anchors::default();
        for certificate in &certificates {
            let found = fingerprint(certificate);
            if !entered.contains(&found) {
                return Err(Error::NotEntered { found });
            }
            let anchor = webpki::anchor_from_trusted_cert(certificate);
            anchors.anchors.push(anchor.map_err(|error| form("a trust anchor", error))?.to_owned());
            anchors.fingerprints.push(found);
        }
        match entered.iter().find(|wanted| !anchors.fingerprints.contains(wanted)) {
            Some(wanted) => Err(Error::NoSuchAnchor { wanted: *wanted }),
            None => Ok(anchors),
        }
    }

    /// These and those.
    pub fn and(mut self, more: Anchors) -> Self {
        self.fingerprints.extend(more.fingerprints);
        self.anchors.extend(more.anchors);
        self
    }

    /// True if nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    pub(crate) fn all(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// Fingerprint of one that a path led to.
    pub(crate) fn fingerprint_of(&self, anchor: &TrustAnchor<'_>) -> Option<Digest> {
        let at = self.anchors.iter().position(|known| known == anchor)?;
        self.fingerprints.get(at).copied()
    }
}

/// SHA-256 of a certificate in DER, as `openssl x509 -fingerprint -sha256` shows it.
pub fn fingerprint(certificate: &[u8]) -> Digest {
    sha256(&[certificate])
}

/// The certificates of a file, in PEM or a single one in DER.
pub fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let what = "a file of certificates";
    if file.len() > FILE_BYTES_MAX {
        return Err(form(what, format!("it has {} bytes, the limit is {FILE_BYTES_MAX}", file.len())));
    }
    if file.first() == Some(&0x30) {
        return Ok(vec![CertificateDer::from(file.to_vec())]);
    }
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(file) {
        found.push(certificate.map_err(|error| form(what, error))?);
        if found.len() > ANCHORS_MAX {
            return Err(form(what, format!("it has more than {ANCHORS_MAX} certificates")));
        }
    }
    match found.is_empty() {
        true => Err(form(what, "there is no certificate in it")),
        false => Ok(found),
    }
}

/// A parsed certificate as it was.
pub fn encoded(certificate: &x509_cert::Certificate) -> Result<Vec<u8>> {
    certificate.to_der().map_err(|error| form("a certificate", error))
}
