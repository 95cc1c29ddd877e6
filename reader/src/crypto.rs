//! Hashes, derivation, envelopes: format.md, "Suites", "Envelopes", "Derivation".

use crate::bytes::Fields;
use crate::error::{Error, Result};
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use hpke::{Deserializable, Kem, OpModeR, aead::ExportOnlyAead, kdf::HkdfSha256};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// 32 secret bytes.
pub type Key = Zeroizing<[u8; 32]>;
/// 16 bytes that name a hospital, a version, a segment.
pub type Id = [u8; 16];
/// Hash of stored bytes.
pub type Address = [u8; 32];

/// SHA-256 of the parts in a row.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// The hash of a suite: 1 BLAKE3-256, 2 SHA-256.
pub fn hash(suite: u8, bytes: &[u8]) -> [u8; 32] {
    match suite {
        1 => blake3::hash(bytes).into(),
        _ => sha256(&[bytes]),
    }
}

/// The hash of a suite over bytes that come in pieces.
pub enum Hasher {
    /// suite 1
    Blake3(Box<blake3::Hasher>),
    /// suite 2
    Sha256(Sha256),
}

impl Hasher {
    /// The hash of `suite`.
    pub fn of(suite: u8) -> Self {
        match suite {
            1 => Hasher::Blake3(Box::default()),
            _ => Hasher::Sha256(Sha256::new()),
        }
    }

    /// Goes on with `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Blake3(hash) => drop(hash.update(bytes)),
            Hasher::Sha256(hash) => hash.update(bytes),
        }
    }

    /// The digest; the next bytes begin another.
    pub fn take(&mut self) -> [u8; 32] {
        match self {
            Hasher::Blake3(hash) => {
                let digest = hash.finalize().into();
                hash.reset();
                digest
            }
            Hasher::Sha256(hash) => hash.finalize_reset().into(),
        }
    }
}

/// HKDF-SHA-256 with `info` = label, zero, context. 32 bytes are always few enough to expand to.
pub fn derive(salt: Option<&[u8]>, secret: &[u8], label: &str, context: &[&[u8]]) -> Key {
    let info = [&[label.as_bytes(), &[0]], context].concat();
    let mut out = Key::default();
    if Hkdf::<Sha256>::new(salt, secret).expand_multi_info(&info, &mut out[..]).is_err() {
        out.zeroize();
    }
    out
}

/// What HPKE exports to the holder of the key pair that derives from `secret`: RFC 9180, base mode.
pub fn exported<K: Kem>(secret: &Key, encapsulated: &[u8], info: &[u8]) -> Result<Key> {
    let refused = |_| Error::form("envelope", "its encapsulated key is none");
    let (key, encapsulated) = (K::derive_keypair(&secret[..]).0, K::EncappedKey::from_bytes(encapsulated));
    let encapsulated = encapsulated.map_err(refused)?;
    let receiver = hpke::setup_receiver::<ExportOnlyAead, HkdfSha256, K>(&OpModeR::Base, &key, &encapsulated, info);
    let mut out = Key::default();
    receiver.and_then(|receiver| receiver.export(b"envelope secret", &mut out[..])).map_err(refused).map(|()| out)
}

/// Whether `secret` is the one committed to.
pub fn commits(secret: &Key, commitment: &[u8; 32]) -> bool {
    *derive(None, &secret[..], "commit", &[]) == *commitment
}

/// Opens AES-256-GCM with nonce zero under the sealing key of `secret`.
pub fn open(what: &'static str, secret: &Key, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let Some((ciphertext, tag)) = sealed.split_last_chunk::<16>() else {
        return Err(Error::form(what, "it is too short"));
    };
    let key = derive(None, &secret[..], "seal", &[]);
    let mut plain = Zeroizing::new(ciphertext.to_vec());
    let cipher = Aes256Gcm::new((&*key).into());
    match cipher.decrypt_inout_detached(&[0; 12].into(), aad, plain.as_mut_slice().into(), tag.into()) {
        Ok(()) => Ok(plain),
        Err(_) => Err(Error::form(what, "its bytes are not those that were sealed")),
    }
}

/// A sealed envelope, split into its parts.
pub struct Envelope<'a> {
    /// 1 chunk, 2 manifest page, 3 wrap, 4 summary; 6 and 7: the last two, sealed to the hospital
    pub kind: u8,
    /// whose it is
    pub hospital: Id,
    /// fields between header and commitment
    pub context: &'a [u8],
    commitment: [u8; 32],
    aad: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads the part that needs no key.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        const WHAT: &str = "envelope";
        let mut fields = Fields::of(bytes, WHAT);
        if fields.array::<4>()? != *b"shsn" || fields.u8()? != 1 {
            return Err(Error::form(WHAT, "it does not begin like one of version 1"));
        }
        let (_suite, kind, _class) = (fields.u8()?, fields.u8()?, fields.u8()?);
        let hospital = fields.array()?;
        let (sealed_len, _) = (fields.count()?, fields.u32()?);
        let context = fields.take(match kind {
            1 => 0,
            2 | 3 => 56,
            4 => 48,
            6 | 7 => 20 + if bytes.get(48) == Some(&2) { 65 } else { 32 },
            _ => return Err(Error::form(WHAT, "its type is unknown")),
        })?;
        let commitment = fields.array()?;
        let aad = &bytes[..32 + context.len() + 32];
        let sealed = fields.rest();
        match sealed.len() == sealed_len {
            true => Ok(Envelope { kind, hospital, context, commitment, aad, sealed }),
            false => Err(Error::form(WHAT, "its length is not the one it states")),
        }
    }

    /// Opens it, after its commitment.
    pub fn open(&self, what: &'static str, secret: &Key) -> Result<Zeroizing<Vec<u8>>> {
        match commits(secret, &self.commitment) {
            true => open(what, secret, self.aad, self.sealed),
            false => Err(Error::form(what, "it was sealed under another key")),
        }
    }

    /// Opens a manifest page or summary: content, zeros, and the length of the content.
    pub fn open_padded(&self, what: &'static str, secret: &Key) -> Result<Zeroizing<Vec<u8>>> {
        let mut opened = self.open(what, secret)?;
        let len = opened.split_last_chunk::<4>().map(|(padded, len)| (padded.len(), u32::from_le_bytes(*len) as usize));
        match len {
            Some((padded, len)) if len <= padded => {
                opened.truncate(len);
                Ok(opened)
            }
            _ => Err(Error::form(what, "its length field does not fit")),
        }
    }
}
