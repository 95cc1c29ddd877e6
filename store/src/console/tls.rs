//! The console's end of TLS 1.3: the vault's own certificate, or the one that the operator configured.
//!
//! The vault's own is signed by nobody: whoever opens the console for the first time compares its fingerprint with the one that
//! `vault serve` prints, as hospitals do with the pin.

use super::config::{ConsoleConfig, Identity};
use crate::error::{Error, Result};
use crate::vault::Vault;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;
use shosoin_protocol::suite::sha256;
use std::path::Path;
use std::sync::Arc;

/// What the console shows to browsers.
pub(super) struct Shown {
    pub(super) server: Arc<ServerConfig>,
    /// SHA-256 of its first certificate, as browsers write it
    pub(super) fingerprint: String,
}

/// Reads and checks it.
pub(super) fn shown(vault: &Vault, config: &ConsoleConfig) -> Result<Shown> {
    let (chain, key) = identity(vault, &vault.inner.dir, config)?;
    let first = chain.first().ok_or(ConsoleConfig::bad(&vault.inner.dir, "the file of the certificate has none"))?;
    let digest = sha256(&[first]).0;
    let fingerprint = digest.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
    let mut server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|source| Error::Tls { source })?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(Shown { server: Arc::new(server), fingerprint })
}

type Chain = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(vault: &Vault, dir: &Path, config: &ConsoleConfig) -> Result<Chain> {
    let Some(Identity { certificate, key }) = config.identity(dir)? else {
        let own = vault.tls();
        let key = PrivatePkcs8KeyDer::from(own.key_der.to_vec());
        return Ok((vec![CertificateDer::from(own.certificate_der.clone())], key.into()));
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate).collect();
    let chain = chain.map_err(|_| ConsoleConfig::bad(dir, "the file of the certificate is no PEM"))?;
    let key = PrivateKeyDer::from_pem_slice(&key);
    Ok((chain, key.map_err(|_| ConsoleConfig::bad(dir, "the file of the key has no private key in PEM"))?))
}
