//! The root of a hospital, from its key file or from sheets, and the keys below it that reading needs: format.md, "Key
//! file", "Derivation".

use crate::bytes::Fields;
use crate::crypto::{Envelope, Id, Key, commits, derive, exported, open, sha256};
use crate::error::{Error, Result};
use hpke::kem::{DhP256HkdfSha256, X25519HkdfSha256};

/// Memory that a key file may ask for, in KiB.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;

/// The root, and what is bound into everything below it.
pub struct Root {
    /// 1 or 2
    pub suite: u8,
    /// whose
    pub hospital: Id,
    /// 32 bytes
    pub secret: Key,
}

impl Root {
    /// Opens a key file.
    pub fn from_key_file(bytes: &[u8], passphrase: &[u8]) -> Result<Root> {
        const WHAT: &str = "key file";
        if bytes.starts_with(b"shkt") {
            return Err(Error::Keys(
                "the key file is bound to a token, which this reader does not ask: use sheets".to_owned(),
            ));
        }
        if bytes.len() < 148 || bytes[..5] != *b"shky\x01" {
            return Err(Error::form(WHAT, "it is none of version 1"));
        }
        let (file, digest) = bytes.split_at(bytes.len() - 32);
        if sha256(&[file]) != *digest {
            return Err(Error::form(WHAT, "its digest does not match its bytes"));
        }
        let mut fields = Fields::of(&file[5..], WHAT);
        let (suite, _) = (fields.u8()?, fields.u16()?);
        let hospital = fields.array()?;
        let (memory, passes, lanes) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (salt, commitment): ([u8; 32], [u8; 32]) = (fields.array()?, fields.array()?);
        if memory > MEMORY_KIB_MAX || passes > 16 || lanes > 16 || !matches!(suite, 1 | 2) {
            return Err(Error::form(WHAT, "a field of its header is not valid"));
        }
        let params = argon2::Params::new(memory, passes, lanes, Some(32));
        let params = params.map_err(|_| Error::form(WHAT, "a field of its header is not valid"))?;
        let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut stretched = Key::default();
        let made = argon2.hash_password_into(passphrase, &salt, &mut stretched[..]);
        made.map_err(|_| Error::Keys("the passphrase cannot be used".to_owned()))?;
        let secret = derive(None, &stretched[..], "shosoin v1 key file", &[]);
        if !commits(&secret, &commitment) {
            return Err(Error::Keys("the passphrase does not open this key file".to_owned()));
        }
        let body = open(WHAT, &secret, &file[..100], &file[100..])?;
        let mut root = Key::default();
        root.copy_from_slice(Fields::of(&body, WHAT).take(32)?);
        Ok(Root { suite, hospital, secret: root })
    }

    fn child(&self, label: &str, context: &[u8]) -> Key {
        derive(None, &self.secret[..], label, &[&[self.suite], &self.hospital, context])
    }

    /// The data key of a version from one of its wraps, if the wrap is of this root and gives the key that the entry
    /// commits to.
    pub fn unwrap(&self, version: &Id, wrap: &[u8], dek_commit: &[u8; 32]) -> Result<Key> {
        const WHAT: &str = "wrap";
        let envelope = self.envelope(&[3, 6], Some(version), wrap)?;
        let (context, salt) = envelope.context.split_at(24);
        let kek = self.child("shosoin v1 key encryption", &context[16..20]);
        let secret = match envelope.kind {
            3 => derive(Some(salt), &kek[..], "shosoin v1 wrap", &[context]),
            _ => self.deposited(&envelope)?,
        };
        let opened = envelope.open(WHAT, &secret)?;
        let mut key = Key::default();
        key.copy_from_slice(Fields::of(&opened, WHAT).take(32)?);
        match *derive(None, &key[..], "shosoin v1 data key commit", &[]) == *dek_commit && opened.len() == 32 {
            true => Ok(key),
            false => Err(Error::form(WHAT, "its key is not the one that the entry commits to")),
        }
    }

    /// Opens the summary of a version or change.
    pub fn open_summary(&self, version: &Id, stored: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>> {
        const WHAT: &str = "summary";
        let envelope = self.envelope(&[4, 7], Some(version), stored)?;
        let view = self.child("shosoin v1 view", &[]);
        let secret = match envelope.kind {
            4 => derive(Some(&envelope.context[16..]), &view[..], "shosoin v1 summary", &[version]),
            _ => self.deposited(&envelope)?,
        };
        envelope.open_padded(WHAT, &secret)
    }

    /// The secret of what a machine that only deposits sealed to the hospital.
    fn deposited(&self, envelope: &Envelope<'_>) -> Result<Key> {
        let (version, sealed_to) = envelope.context.split_at(16);
        let info =
            [b"shosoin v1 deposit message\0", &[self.suite][..], &self.hospital, &[envelope.kind], version].concat();
        let secret = self.child("shosoin v1 deposit key", &sealed_to[..1]);
        match sealed_to[0] {
            2 => exported::<DhP256HkdfSha256>(&secret, &sealed_to[4..], &info),
            _ => exported::<X25519HkdfSha256>(&secret, &sealed_to[4..], &info),
        }
    }

    /// An envelope of this hospital, of one of these types, and of this version where it is asked for.
    pub fn envelope<'a>(&self, kinds: &[u8], version: Option<&Id>, bytes: &'a [u8]) -> Result<Envelope<'a>> {
        let envelope = Envelope::parse(bytes)?;
        let is_of = version.is_none_or(|version| envelope.context.starts_with(version));
        match is_of && kinds.contains(&envelope.kind) && envelope.hospital == self.hospital {
            true => Ok(envelope),
            false => Err(Error::form("envelope", "it is of another hospital, version or type")),
        }
    }
}
