//! Who the vault is: its signing keys and its TLS identity, in files only the vault's user can read.

use zeroize::Zeroizing;

/// TLS key and self-signed certificate of the vault.
pub struct TlsIdentity {
    /// certificate, DER
    pub certificate_der: Vec<u8>,
    /// private key, PKCS#8 DER
    pub key_der: Zeroizing<Vec<u8>>,
}
