//! Seal and open: the only caller of the cipher, AES-256-GCM.
//!
//! Whatever is sealed has one secret of its own, an *envelope secret*. Two values come from it: the key, used for one
//! sealing only, and the commitment, which stands in clear before the sealed bytes and is checked before anything is
//! opened, because AES-GCM alone lets one ciphertext open under two keys.
//!
//! Invariants
//! - The nonce is always zero. That is right only because no envelope secret ever seals two payloads: it is a PRF of
//!   the payload, or it is derived with 32 fresh random bytes. Callers of [`seal_after`] must keep to this.
//! - Everything before the sealed bytes is authenticated with them.
//!
//! Source: SP 800-38D; Albertini et al., "How to Abuse and Fix Authenticated Encryption Without Key Commitment", 2022.

use crate::derive;
use crate::secret::SecretKey;
use crate::{Error, Result};
use shosoin_protocol::envelope::{self, Context, Envelope, TAG_LEN};
use shosoin_protocol::limits::RECORD_BYTES_MAX;
use shosoin_protocol::{HospitalId, Suite};
use subtle::ConstantTimeEq;

/// AES-256-GCM with a zero nonce. Two implementations exist so that every vector is checked with both.
pub(crate) trait Aead {
    /// Encrypts `content`, then `tail`, into `out`, which has room for both and the tag. `key` must never have sealed
    /// anything else.
    fn seal(key: &SecretKey, aad: &[u8], content: &[u8], tail: &[u8], out: &mut [u8]) -> Result<()>;

    /// Decrypts `sealed`, ciphertext and tag, into `out`, which is as long as the ciphertext; `false` if the tag does
    /// not verify, and then `out` means nothing.
    fn open(key: &SecretKey, aad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<bool>;
}

/// AES-256-GCM of AWS-LC.
pub(crate) struct AwsLc;

impl AwsLc {
    fn key(key: &SecretKey) -> Result<aws_lc_rs::aead::LessSafeKey> {
        let key = aws_lc_rs::aead::UnboundKey::new(&aws_lc_rs::aead::AES_256_GCM, key.as_bytes());
        key.map(aws_lc_rs::aead::LessSafeKey::new).map_err(|_| Error::Bug { what: "key schedule" })
    }

    fn nonce() -> aws_lc_rs::aead::Nonce {
        aws_lc_rs::aead::Nonce::assume_unique_for_key([0; aws_lc_rs::aead::NONCE_LEN])
    }
}

impl Aead for AwsLc {
    fn seal(key: &SecretKey, aad: &[u8], content: &[u8], tail: &[u8], out: &mut [u8]) -> Result<()> {
        let aad = aws_lc_rs::aead::Aad::from(aad);
        let (sealed_content, sealed_tail) = out.split_at_mut(content.len());
        let key = Self::key(key)?;
        let sealed = key.seal_out_of_place_scatter(Self::nonce(), aad, content, sealed_content, tail, sealed_tail);
        sealed.map_err(|_| Error::Bug { what: "sealing" })
    }

    fn open(key: &SecretKey, aad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<bool> {
        let aad = aws_lc_rs::aead::Aad::from(aad);
        let Some((ciphertext, tag)) = sealed.split_last_chunk::<TAG_LEN>() else { return Ok(false) };
        Ok(Self::key(key)?.open_separate_gather(Self::nonce(), aad, ciphertext, tag, out).is_ok())
    }
}

/// An envelope that is being sealed: everything its header says but the length.
pub(crate) struct Frame {
    pub(crate) suite: Suite,
    pub(crate) class: u8,
    pub(crate) hospital: HospitalId,
    pub(crate) context: Context,
}

impl Frame {
    /// Seals `content | tail` as one payload into a fresh envelope. `secret` as [`seal_after`] demands.
    pub(crate) fn seal<A: Aead>(
        &self,
        what: &'static str,
        secret: &SecretKey,
        content: &[u8],
        tail: &[u8],
    ) -> Result<Vec<u8>> {
        let sealed_len = content.len() + tail.len() + TAG_LEN;
        let found = self.context.aad_len() + sealed_len;
        if found > RECORD_BYTES_MAX {
            return Err(Error::TooLong { what, found, limit: RECORD_BYTES_MAX });
        }
        let sealed_len = u32::try_from(sealed_len).map_err(|_| Error::Bug { what: "sealed length" })?;
        let commit = derive::commitment(secret);
        let aad = envelope::write_aad(self.suite, self.class, self.hospital, &self.context, &commit, sealed_len);
        seal_after::<A>(secret, &aad, content, tail)
    }
}

/// Opens the sealed bytes of an envelope into `out`, after its commitment was checked.
pub(crate) fn open<A: Aead>(
    what: &'static str,
    envelope: &Envelope<'_>,
    secret: &SecretKey,
    out: &mut Vec<u8>,
) -> Result<()> {
    check_commitment(what, secret, &envelope.commit)?;
    open_after::<A>(what, secret, envelope.aad, envelope.sealed, out)
}

/// Refuses a secret that is not the one committed to.
pub(crate) fn check_commitment(what: &'static str, secret: &SecretKey, commit: &[u8; 32]) -> Result<()> {
    match bool::from(derive::commitment(secret).ct_eq(commit)) {
        true => Ok(()),
        false => Err(Error::Commitment { what }),
    }
}

/// Seals `content | tail` as one payload: gives `aad | ciphertext | tag`. The content is read once and not copied.
///
/// `secret` must seal this payload and never another one: see the head of this file.
pub(crate) fn seal_after<A: Aead>(secret: &SecretKey, aad: &[u8], content: &[u8], tail: &[u8]) -> Result<Vec<u8>> {
    let mut out = vec![0; aad.len() + content.len() + tail.len() + TAG_LEN];
    let (head, sealed) = out.split_at_mut(aad.len());
    head.copy_from_slice(aad);
    A::seal(&derive::sealing_key(secret), aad, content, tail, sealed)?;
    Ok(out)
}

/// Opens `sealed` into `out`. The caller has checked the commitment.
pub(crate) fn open_after<A: Aead>(
    what: &'static str,
    secret: &SecretKey,
    aad: &[u8],
    sealed: &[u8],
    out: &mut Vec<u8>,
) -> Result<()> {
    out.resize(sealed.len().saturating_sub(TAG_LEN), 0);
    match A::open(&derive::sealing_key(secret), aad, sealed, out)? {
        true => Ok(()),
        false => {
            out.clear();
            Err(Error::Tag { what })
        }
    }
}

/// AES-256-GCM of RustCrypto: nothing in common with AWS-LC but the standard.
#[cfg(test)]
pub(crate) struct PureRust;

#[cfg(test)]
impl Aead for PureRust {
    fn seal(key: &SecretKey, aad: &[u8], content: &[u8], tail: &[u8], out: &mut [u8]) -> Result<()> {
        use aes_gcm::{AeadInOut, KeyInit};
        let mut payload = [content, tail].concat();
        let cipher = aes_gcm::Aes256Gcm::new(key.as_bytes().into());
        let tag = cipher.encrypt_inout_detached(&[0; 12].into(), aad, payload.as_mut_slice().into());
        payload.extend_from_slice(&tag.map_err(|_| Error::Bug { what: "sealing" })?);
        out.copy_from_slice(&payload);
        Ok(())
    }

    fn open(key: &SecretKey, aad: &[u8], sealed: &[u8], out: &mut [u8]) -> Result<bool> {
        use aes_gcm::{AeadInOut, KeyInit};
        let Some((ciphertext, tag)) = sealed.split_last_chunk::<TAG_LEN>() else { return Ok(false) };
        let cipher = aes_gcm::Aes256Gcm::new(key.as_bytes().into());
        out.copy_from_slice(ciphertext);
        Ok(cipher.decrypt_inout_detached(&[0; 12].into(), aad, out.into(), tag.into()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SP 800-38D test case 14 of the GCM specification: zero key, zero nonce, 16 zero bytes.
    fn known_answer<A: Aead>() {
        let key = SecretKey::new([0; 32]);
        for split in [0, 7, 16] {
            let mut sealed = [0; 32];
            A::seal(&key, &[], &[0; 16][..split], &[0; 16][split..], &mut sealed).unwrap();
            assert_eq!(hex::encode(sealed), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
            let mut out = [1; 16];
            assert!(A::open(&key, &[], &sealed, &mut out).unwrap());
            assert_eq!(out, [0; 16]);
            assert!(!A::open(&key, b"x", &sealed, &mut out).unwrap());
            assert!(!A::open(&key, &[], &sealed[..15], &mut []).unwrap());
        }
    }

    #[test]
    fn both_implementations_give_the_known_answer() {
        known_answer::<AwsLc>();
        known_answer::<PureRust>();
    }
}
