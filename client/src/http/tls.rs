//! The hospital's end of mutual TLS: its certificate, and the one vault key it accepts.
//!
//! Invariants
//! - TLS 1.3 only, and no session is resumed: every connection sees the vault prove its key.
//! - The vault is its key: SHA-256 over the SubjectPublicKeyInfo of its certificate, the *pin*. Names, dates and issuers
//!   are not looked at, so no authority anywhere can vouch for another vault.
//!
//! Source: RFC 8446 (TLS 1.3); RFC 7469, section 2.4, for what a pin covers.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme};
use shosoin_protocol::suite::sha256;
use std::sync::Arc;

/// The peer proved another key than the pinned one.
#[derive(Debug, thiserror::Error)]
#[error("the vault has another key than the pinned one")]
pub(crate) struct WrongPin {
    /// pin of the key it has
    pub(crate) found: [u8; 32],
}

impl WrongPin {
    /// The wrong pin, if that is what `error` is about.
    pub(crate) fn of(error: &Error) -> Option<&WrongPin> {
        match error {
            Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => cause.downcast_ref(),
            _ => None,
        }
    }
}

/// Client side of TLS: a certificate with its PKCS#8 key, and the pin of the vault.
pub(crate) fn client_config(
    certificate_der: &[u8],
    key_der: &[u8],
    vault_pin: [u8; 32],
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let certificate = CertificateDer::from(certificate_der.to_vec());
    let key = PrivatePkcs8KeyDer::from(key_der.to_vec());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous() // in place of authorities: the pin, and proof that the peer holds its key
        .with_custom_certificate_verifier(Arc::new(PinnedVault { vault_pin, provider }))
        .with_client_auth_cert(vec![certificate], key.into())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// Client side of TLS to a peer that asks for no certificate: its pin is all that counts.
pub(crate) fn pinned_config(vault_pin: [u8; 32]) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous() // in place of authorities: the pin, and proof that the peer holds its key
        .with_custom_certificate_verifier(Arc::new(PinnedVault { vault_pin, provider }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Accepts the pinned key and no other.
#[derive(Debug)]
struct PinnedVault {
    vault_pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedVault {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key_info = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let found = sha256(&[&key_info]).0;
        match found == self.vault_pin {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::Other(OtherError(Arc::new(WrongPin { found }))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
