//! Handshakes with the vault's own server side, in memory: what must not get in is tried.

use super::config_with;
use crate::{Error, Result, Vault};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection, SignatureScheme};
use std::sync::Arc;

/// Messages that a handshake takes, at most.
const FLIGHTS_MAX: usize = 16;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// a peer without a certificate
    pub without_certificate: bool,
    /// a peer with a key that no enrolment names
    pub stranger: bool,
}

/// Tries both.
pub fn probe(vault: &Vault) -> Result<Probe> {
    let server = config_with(vault, false)?;
    let nobody = client(None).map_err(|source| Error::Tls { source })?;
    let key = rcgen::KeyPair::generate().map_err(certificate)?;
    let params = rcgen::CertificateParams::new(vec!["nobody".to_owned()]).map_err(certificate)?;
    let signed = params.self_signed(&key).map_err(certificate)?;
    let identity = (signed.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()));
    let stranger = client(Some(identity)).map_err(|source| Error::Tls { source })?;
    Ok(Probe { without_certificate: is_refused(&server, nobody)?, stranger: is_refused(&server, stranger)? })
}

fn certificate(error: rcgen::Error) -> Error {
    Error::Certificate { why: error.to_string() }
}

type Identity = (CertificateDer<'static>, PrivatePkcs8KeyDer<'static>);

fn client(identity: Option<Identity>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer(provider)));
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key.into()),
    }
}

/// Whether the server side ends the handshake with an error of its own.
fn is_refused(server: &Arc<ServerConfig>, client: ClientConfig) -> Result<bool> {
    let tls = |source| Error::Tls { source };
    let name = ServerName::try_from("vault").map_err(|_| Error::Bug("a name of a server"))?;
    let mut client = ClientConnection::new(Arc::new(client), name).map_err(tls)?;
    let mut server = ServerConnection::new(server.clone()).map_err(tls)?;
    let moved = |_| Error::Bug("a handshake in memory");
    for _ in 0..FLIGHTS_MAX {
        let mut flight = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut flight).map_err(moved)?;
        }
        let mut unread = flight.as_slice();
        while !unread.is_empty() {
            server.read_tls(&mut unread).map_err(moved)?;
            if server.process_new_packets().is_err() {
                return Ok(true);
            }
        }
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).map_err(moved)?;
        }
        let mut unread = answer.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).map_err(moved)?;
            client.process_new_packets().map_err(tls)?;
        }
        if !server.is_handshaking() {
            return Ok(false);
        }
    }
    Ok(false)
}

/// The server side is our own, so any certificate of it will do.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
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
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
