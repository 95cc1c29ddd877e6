//! Who the vault is: its signing keys and its TLS identity, in files only the vault's user can read.
//!
//! ```text
//! vault.key   magic "shsv" | version u8 | zeros 3 | vault id 16 | seed of suite 1, 32 | seed of suite 2, 32
//! tls.crt     self-signed certificate, DER          tls.key   its private key, PKCS#8 DER
//! ```
//! These keys sign checkpoints and receipts; none of them opens anything a hospital sealed.

use crate::error::{Error, Result};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{Suite, VaultId};
use shosoin_tiers::media::{FileMedia, Media};
use shosoin_tiers::{Random, durable};
use std::path::Path;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Name of the key file in the vault's folder.
pub const KEY_FILE: &str = "vault.key";
const CERTIFICATE_FILE: &str = "tls.crt";
const TLS_KEY_FILE: &str = "tls.key";
const MAGIC: [u8; 4] = *b"shsv";
const VERSION: u8 = 1;

/// The vault's keys.
pub struct Identity {
    vault: VaultId,
    keys: [Arc<SigningKey>; 2],
    tls: Arc<TlsIdentity>,
}

/// TLS key and self-signed certificate of the vault.
pub struct TlsIdentity {
    /// certificate, DER
    pub certificate_der: Vec<u8>,
    /// private key, PKCS#8 DER
    pub key_der: Zeroizing<Vec<u8>>,
}

impl Identity {
    /// Draws keys for a new vault and writes them into its folder. The key file comes last: where it is, all is.
    pub fn create(folder: &FileMedia, vault: VaultId, random: &dyn Random) -> Result<()> {
        let mut key_file = Zeroizing::new(Vec::with_capacity(88));
        let mut head = Writer::new();
        head.put(&MAGIC).u8(VERSION).zeros(3).put(&vault.0);
        key_file.extend_from_slice(&head.finish());
        for suite in Suite::ALL {
            key_file.extend_from_slice(&draw_seed(suite, random)?[..]);
        }
        let tls = draw_tls(vault)?;
        durable::replace(folder, CERTIFICATE_FILE, &tls.certificate_der)?;
        durable::replace(folder, TLS_KEY_FILE, &tls.key_der)?;
        Ok(durable::replace(folder, KEY_FILE, &key_file)?)
    }

    /// Reads the keys of the vault in `dir`.
    pub fn load(dir: &Path) -> Result<Self> {
        let bytes = Zeroizing::new(read(dir, KEY_FILE)?);
        let parsed = parse(&bytes);
        let (vault, keys) =
            parsed.map_err(|error| Error::Config { path: dir.join(KEY_FILE), why: error.to_string() })?;
        let key_der = Zeroizing::new(read(dir, TLS_KEY_FILE)?);
        let tls = Arc::new(TlsIdentity { certificate_der: read(dir, CERTIFICATE_FILE)?, key_der });
        Ok(Identity { vault, keys, tls })
    }

    /// Which vault.
    pub fn vault(&self) -> VaultId {
        self.vault
    }

    /// The key that signs for hospitals of `suite`.
    pub fn key(&self, suite: Suite) -> &Arc<SigningKey> {
        match suite {
            Suite::Default => &self.keys[0],
            Suite::Cryptrec => &self.keys[1],
        }
    }

    /// The TLS identity.
    pub fn tls(&self) -> &Arc<TlsIdentity> {
        &self.tls
    }
}

/// Whether the folder holds a vault's keys already.
pub fn exists(folder: &FileMedia) -> Result<bool> {
    Ok(folder.list("")?.iter().any(|listed| listed.name == KEY_FILE))
}

fn parse(bytes: &[u8]) -> shosoin_protocol::Result<(VaultId, [Arc<SigningKey>; 2])> {
    let mut reader = Reader::new(bytes, "vault key file");
    if reader.array::<4>("magic of the vault key file")? != MAGIC {
        return Err(shosoin_protocol::Error::Magic { what: "vault key file" });
    }
    match reader.u8("version of the vault key file")? {
        VERSION => {}
        found => return Err(shosoin_protocol::Error::Version { what: "vault key file", found, known: VERSION }),
    }
    reader.zeros(3, "reserved bytes of the vault key file")?;
    let vault = VaultId::read(&mut reader)?;
    let mut key = |suite| {
        let seed = Zeroizing::new(reader.array("signing seed")?);
        SigningKey::from_seed(suite, &seed).map(Arc::new)
    };
    let keys = [key(Suite::Default)?, key(Suite::Cryptrec)?];
    reader.finish()?;
    Ok((vault, keys))
}

/// Draws until the suite takes the seed; P-256 refuses one in four billion.
fn draw_seed(suite: Suite, random: &dyn Random) -> Result<Zeroizing<[u8; 32]>> {
    loop {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(&mut seed[..])?;
        if SigningKey::from_seed(suite, &seed).is_ok() {
            return Ok(seed);
        }
    }
}

fn draw_tls(vault: VaultId) -> Result<TlsIdentity> {
    let made = || {
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(vec![format!("vault-{vault}")])?.self_signed(&key)?;
        let key_der = Zeroizing::new(key.serialize_der());
        Ok(TlsIdentity { certificate_der: certificate.der().to_vec(), key_der })
    };
    made().map_err(|error: rcgen::Error| Error::Certificate { why: error.to_string() })
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>> {
    let path = dir.join(name);
    std::fs::read(&path).map_err(|source| Error::Io { action: "read", path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_tiers::SystemRandom;
    use shosoin_tiers::media::FileOptions;
    use std::os::unix::fs::PermissionsExt;

    fn made() -> (tempfile::TempDir, VaultId) {
        let dir = tempfile::tempdir().unwrap();
        let folder = FileMedia::open(dir.path(), FileOptions::default()).unwrap();
        assert!(!exists(&folder).unwrap());
        Identity::create(&folder, VaultId([7; 16]), &SystemRandom).unwrap();
        assert!(exists(&folder).unwrap());
        (dir, VaultId([7; 16]))
    }

    #[test]
    fn keys_are_read_back_as_they_were_made() {
        let (dir, vault) = made();
        let (first, second) = (Identity::load(dir.path()).unwrap(), Identity::load(dir.path()).unwrap());
        assert_eq!(first.vault(), vault);
        for suite in Suite::ALL {
            assert_eq!(first.key(suite).public(), second.key(suite).public());
            assert_eq!(first.key(suite).public().suite(), suite);
        }
        assert!(!first.tls().certificate_der.is_empty());
    }

    #[test]
    fn only_the_owner_may_read_the_key_files() {
        let (dir, _) = made();
        for name in [KEY_FILE, TLS_KEY_FILE] {
            let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_missing_truncated_longer_or_foreign_key_file_is_refused() {
        let (dir, _) = made();
        let path = dir.path().join(KEY_FILE);
        let good = std::fs::read(&path).unwrap();
        for bad in [&good[..good.len() - 1], &[&good[..], &[0]].concat(), b"other file", &[]] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(Identity::load(dir.path()), Err(Error::Config { .. })));
        }
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Identity::load(dir.path()), Err(Error::Io { .. })));
    }
}
