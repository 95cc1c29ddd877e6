//! The hospital's TLS identity: a key, and a self-signed certificate around it. Peers pin the key; nothing else in the
//! certificate is believed, so it says nothing about the hospital and does not expire.

use crate::{Error, Result};
use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};
use shosoin_protocol::suite::sha256;
use zeroize::Zeroizing;

/// Key, certificate and pin.
pub(crate) struct TlsIdentity {
    /// PKCS#8
    pub(crate) key_der: Zeroizing<Vec<u8>>,
    pub(crate) certificate_der: Vec<u8>,
    /// SHA-256 of the DER public key info
    pub(crate) pin: [u8; 32],
}

impl TlsIdentity {
    /// A new P-256 key and its certificate.
    pub(crate) fn generate() -> Result<Self> {
        let key = KeyPair::generate().map_err(Error::Tls)?;
        let mut params = CertificateParams::new(vec!["hospital.shosoin.invalid".to_owned()]).map_err(Error::Tls)?;
        params.distinguished_name.push(DnType::CommonName, "shosoin hospital");
        let certificate = params.self_signed(&key).map_err(Error::Tls)?;
        Ok(TlsIdentity {
            key_der: Zeroizing::new(key.serialized_der().to_vec()),
            certificate_der: certificate.der().to_vec(),
            pin: pin(&key),
        })
    }

    /// The identity that a key file holds.
    pub(crate) fn from_der(key_der: Zeroizing<Vec<u8>>, certificate_der: Vec<u8>) -> Result<Self> {
        let key = KeyPair::try_from(key_der.as_slice()).map_err(Error::Tls)?;
        Ok(TlsIdentity { key_der, certificate_der, pin: pin(&key) })
    }
}

fn pin(key: &KeyPair) -> [u8; 32] {
    sha256(&[&key.subject_public_key_info()]).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pin_is_of_the_key_that_the_certificate_carries() {
        let made = TlsIdentity::generate().unwrap();
        let key = KeyPair::try_from(made.key_der.as_slice()).unwrap();
        let info = key.subject_public_key_info();
        assert!(made.certificate_der.windows(info.len()).any(|window| window == info));
        assert_eq!(made.pin, sha256(&[&info]).0);
        assert_ne!(made.pin, TlsIdentity::generate().unwrap().pin);
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        assert!(TlsIdentity::from_der(Zeroizing::new(vec![1, 2, 3]), Vec::new()).is_err());
    }
}
