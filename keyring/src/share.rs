//! Sharing: data keys of granted versions, sealed to the key of another hospital by HPKE (RFC 9180, base mode, one message).
//!
//! The key that others seal to derives from the root, one for each KEM, so it needs no file and comes back with the root. What the
//! owner grants is authenticated with what it seals; who granted it is shown by the entry that names the grant, not by HPKE.
//!
//! What is always true
//! - A grant opens only for its recipient, between these two hospitals, with every word of it as it was made.
//! - It gives data keys of the versions it names. No secret that anything else derives from is in it.

use crate::wrap::DataKey;
use crate::{Error, Keyring, Result, derive, secret};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, X25519HkdfSha256, XWing};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use shosoin_protocol::act::share::{DATA_KEY_BYTES, ShareGrant, ShareKem, ShareTerms, key_digest};
use shosoin_protocol::share::ShareCard;
use shosoin_protocol::{HospitalId, Suite};
use zeroize::Zeroizing;

const WHAT: &str = "grant";

impl Keyring {
    /// What this hospital hands to others, so that they can share with it and know what it shares: signed by its own key.
    pub fn share_card(&self, kem: ShareKem) -> Result<Vec<u8>> {
        let card = ShareCard {
            hospital: self.hospital(),
            hospital_key: self.hospital_key().public(),
            kem,
            share_key: self.share_key(kem)?,
        };
        Ok(card.sign(self.hospital_key()))
    }

    /// The KEM that hospitals of a suite seal to each other with, unless they choose otherwise.
    pub fn usual_kem(&self) -> ShareKem {
        match self.suite() {
            Suite::Default => ShareKem::X25519,
            Suite::Cryptrec => ShareKem::P256,
        }
    }

    /// Seals the data keys of the versions of `terms`, in their order, to the hospital on the card.
    pub fn seal_grant(&self, terms: ShareTerms, card: &ShareCard, keys: &[DataKey]) -> Result<ShareGrant> {
        let named = terms.versions.as_slice().len();
        if named != keys.len() {
            return Err(Error::Bug { what: "keys of a grant" });
        }
        let for_the_card = (terms.recipient, terms.kem, terms.recipient_key);
        if for_the_card != (card.hospital, card.kem, key_digest(card.kem, &card.share_key)) {
            return Err(Error::misplaced(WHAT, "it is for another hospital than the one on the card"));
        }
        let mut plain = Zeroizing::new(Vec::with_capacity(named * DATA_KEY_BYTES));
        keys.iter().for_each(|key| plain.extend_from_slice(key.secret().as_bytes()));
        let (info, aad) = (self.share_info(self.suite(), self.hospital(), terms.recipient), terms.encode());
        let message = Message { info: &info, aad: &aad };
        let (encapsulated, sealed) = match terms.kem {
            ShareKem::X25519 => message.seal::<X25519HkdfSha256>(&card.share_key, &plain)?,
            ShareKem::P256 => message.seal::<DhP256HkdfSha256>(&card.share_key, &plain)?,
            ShareKem::XWing => message.seal::<XWing>(&card.share_key, &plain)?,
        };
        Ok(ShareGrant { terms, encapsulated, sealed })
    }

    /// The data keys that a hospital of this suite granted to this one, in the order of the versions.
    pub fn open_grant(&self, owner: HospitalId, suite: Suite, grant: &ShareGrant) -> Result<Vec<DataKey>> {
        let ShareGrant { terms, encapsulated, sealed } = grant;
        if terms.recipient != self.hospital() {
            return Err(Error::misplaced(WHAT, "it is for another hospital"));
        }
        if terms.recipient_key != key_digest(terms.kem, &self.share_key(terms.kem)?) {
            return Err(Error::misplaced(WHAT, "it is sealed to another key than this hospital's"));
        }
        let secret = self.root().share_secret(terms.kem.code());
        let (info, aad) = (self.share_info(suite, owner, terms.recipient), terms.encode());
        let message = Message { info: &info, aad: &aad };
        let plain = match terms.kem {
            ShareKem::X25519 => message.open::<X25519HkdfSha256>(secret.as_bytes(), encapsulated, sealed)?,
            ShareKem::P256 => message.open::<DhP256HkdfSha256>(secret.as_bytes(), encapsulated, sealed)?,
            ShareKem::XWing => message.open::<XWing>(secret.as_bytes(), encapsulated, sealed)?,
        };
        let (keys, rest) = plain.as_chunks::<DATA_KEY_BYTES>();
        match rest.is_empty() && keys.len() == terms.versions.as_slice().len() {
            true => Ok(keys.iter().map(DataKey::from_bytes).collect()),
            false => Err(Error::Content { what: WHAT, why: "it must seal one key for each version" }),
        }
    }

    fn share_key(&self, kem: ShareKem) -> Result<Vec<u8>> {
        let secret = self.root().share_secret(kem.code());
        Ok(match kem {
            ShareKem::X25519 => public_key::<X25519HkdfSha256>(secret.as_bytes()),
            ShareKem::P256 => public_key::<DhP256HkdfSha256>(secret.as_bytes()),
            ShareKem::XWing => public_key::<XWing>(secret.as_bytes()),
        })
    }

    fn share_info(&self, suite: Suite, owner: HospitalId, recipient: HospitalId) -> Vec<u8> {
        [derive::SHARE_MESSAGE, &[suite.code()], &owner.0, &recipient.0].concat()
    }
}

pub(crate) fn public_key<K: Kem>(secret: &[u8]) -> Vec<u8> {
    K::derive_keypair(secret).1.to_bytes().to_vec()
}

/// What both sides of one message must know.
struct Message<'a> {
    info: &'a [u8],
    aad: &'a [u8],
}

impl Message<'_> {
    fn seal<K: Kem>(&self, key: &[u8], plain: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
        let bad = |_| Error::misplaced(WHAT, "the key on the card is none of its KEM");
        let key = K::PublicKey::from_bytes(key).map_err(bad)?;
        let mut random = Drawn::new(secret::random()?);
        let sealed = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, K>(
            &OpModeS::Base,
            &key,
            self.info,
            plain,
            self.aad,
            &mut random,
        );
        let (encapsulated, sealed) = sealed.map_err(bad)?;
        match random.ran_short() {
            true => Err(Error::Bug { what: "randomness of a grant" }),
            false => Ok((encapsulated.to_bytes().to_vec(), sealed)),
        }
    }

    fn open<K: Kem>(&self, secret: &[u8], encapsulated: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let refused = |_| Error::Tag { what: WHAT };
        let encapsulated = K::EncappedKey::from_bytes(encapsulated).map_err(refused)?;
        let (key, _) = K::derive_keypair(secret);
        let plain = hpke::single_shot_open::<AesGcm256, HkdfSha256, K>(
            &OpModeR::Base,
            &key,
            &encapsulated,
            self.info,
            sealed,
            self.aad,
        );
        plain.map(Zeroizing::new).map_err(refused)
    }
}

/// Randomness that was drawn before, so that a system that has none is an error and no panic. HPKE takes 32 or 64 bytes of it.
pub(crate) struct Drawn {
    bytes: Zeroizing<[u8; 256]>,
    used: usize,
    short: bool,
}

impl Drawn {
    pub(crate) fn new(bytes: [u8; 256]) -> Self {
        Drawn { bytes: Zeroizing::new(bytes), used: 0, short: false }
    }

    /// Whether more was taken than was there: then what was made with it is not to be used.
    pub(crate) fn ran_short(&self) -> bool {
        self.short
    }
}

impl hpke::rand_core::TryRng for Drawn {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        match self.bytes.get(self.used..self.used + out.len()) {
            Some(drawn) => out.copy_from_slice(drawn),
            None => self.short = true,
        }
        self.used += out.len();
        Ok(())
    }
}

impl hpke::rand_core::TryCryptoRng for Drawn {}
