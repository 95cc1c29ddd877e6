//! The vault's end of mutual TLS: the one identity it shows, and the pins of the hospitals it lets in.
//!
//! Invariants
//! - TLS 1.3 only, and no session is resumed: every connection proves its key anew, against the enrolments of that moment.
//! - A peer is its key: SHA-256 over the SubjectPublicKeyInfo of its certificate, the *pin*. Names, dates and issuers in
//!   certificates mean nothing here; both sides sign their own.
//! - A key that no enrolment names does not get past the handshake, and the refusal is logged with its pin.
//!
//! Source: RFC 8446 (TLS 1.3); RFC 7469, section 2.4, for what a pin covers.

mod probe;

pub use probe::{Probe, probe};

use crate::{Error, Result, Vault};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use shosoin_protocol::suite::sha256;
use std::sync::Arc;

/// Server side of TLS for a vault: its identity, and only peers that it knows.
pub(super) fn server_config(vault: &Vault) -> Result<Arc<ServerConfig>> {
    config_with(vault, true)
}

/// As [`server_config`]; without `loud`, who is refused is not logged.
fn config_with(vault: &Vault, loud: bool) -> Result<Arc<ServerConfig>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Arc::new(EnrolledHospitals { vault: vault.clone(), provider: provider.clone(), loud });
    let identity = vault.tls();
    let certificate = CertificateDer::from(identity.certificate_der.clone());
    let key = PrivatePkcs8KeyDer::from(identity.key_der.to_vec());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map(|builder| builder.with_client_cert_verifier(verifier))
        .and_then(|builder| builder.with_single_cert(vec![certificate], key.into()))
        .map_err(|source| Error::Tls { source })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// What a hospital pins: the key of this vault.
pub fn vault_pin(vault: &Vault) -> Result<[u8; 32]> {
    pin_of(&CertificateDer::from(vault.tls().certificate_der.as_slice())).map_err(|source| Error::Tls { source })
}

/// The pin of a certificate.
pub(super) fn pin_of(certificate: &CertificateDer<'_>) -> Result<[u8; 32], rustls::Error> {
    let key_info = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    Ok(sha256(&[&key_info]).0)
}

/// Lets a handshake finish only for a key that an enrolment names.
struct EnrolledHospitals {
    vault: Vault,
    provider: Arc<CryptoProvider>,
    loud: bool,
}

impl std::fmt::Debug for EnrolledHospitals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EnrolledHospitals")
    }
}

impl ClientCertVerifier for EnrolledHospitals {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let pin = pin_of(end_entity)?;
        match self.vault.hospital_by_pin(&pin) {
            Some(_) => Ok(ClientCertVerified::assertion()),
            None => {
                if self.loud {
                    tracing::warn!(pin = %hex::encode(pin), "refused a connection: no enrolment names this key");
                }
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
