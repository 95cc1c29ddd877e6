//! Wraps: the data key of a version, under the key-encryption key of an epoch.
//!
//! A wrap is its own small record, so rotation and sharing write new wraps and never touch what the key sealed.
//! `dek_commit` stands in the signed entry: a wrap that brings another key, however well it was sealed, is refused.
//!
//! The keys of all epochs derive from the root by number, so a key file needs nothing but the number to wrap or to open, and
//! the ledger tells the number ([`Epoch`]). Rotation limits what one key protects, and for how long; it does not shut out
//! whoever knows the root.

use crate::seal::{self, Aead, AwsLc, Frame};
use crate::secret::{self, SecretKey};
use crate::{Error, Keyring, Result, derive};
use shosoin_protocol::act::Epoch;
use shosoin_protocol::envelope::{Context, EnvelopeType};
use shosoin_protocol::{Digest, VersionId};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const WHAT: &str = "wrap";

/// Under what a wrap is made, and which one of its version it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapPlace {
    /// epoch of the key-encryption key
    pub epoch: u32,
    /// wraps of the same data key made before
    pub number: u32,
}

impl WrapPlace {
    /// Of a data key that a machine which only deposits sealed to the hospital: before every epoch.
    pub const TO_HOSPITAL: WrapPlace = WrapPlace { epoch: 0, number: 0 };

    /// The first wrap of a data key.
    pub fn first(epoch: u32) -> Self {
        WrapPlace { epoch, number: 0 }
    }
}

/// The random key of one version, under which its manifest pages are sealed.
pub struct DataKey(SecretKey);

impl DataKey {
    /// The commitment that the signed entry carries.
    pub fn commit(&self) -> Digest {
        derive::data_key_commitment(&self.0)
    }

    /// A data key that another hospital shared.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Self {
        DataKey(SecretKey::fill_with(|out| out.copy_from_slice(bytes)))
    }

    #[cfg(test)]
    pub(crate) fn new(secret: SecretKey) -> Self {
        DataKey(secret)
    }

    pub(crate) fn secret(&self) -> &SecretKey {
        &self.0
    }
}

impl Keyring {
    /// A fresh data key.
    pub fn new_data_key(&self) -> Result<DataKey> {
        SecretKey::random().map(DataKey)
    }

    /// Wraps the data key of `version`.
    pub fn wrap(&self, key: &DataKey, version: VersionId, place: WrapPlace) -> Result<Vec<u8>> {
        if let Some(to) = self.deposits_to() {
            return self.wrap_to_hospital(to, key, version);
        }
        let context = Context::Wrap { version, epoch: place.epoch, wrap_no: place.number, salt: secret::random()? };
        self.wrap_as::<AwsLc>(key, context)
    }

    /// Wraps the data key in `wrap` anew, under the key of `epoch`. What it gives was opened again, and brings the key that
    /// the entry commits to.
    pub fn rewrap(&self, version: VersionId, wrap: &[u8], dek_commit: &Digest, epoch: u32) -> Result<Vec<u8>> {
        let key = self.unwrap(version, wrap, dek_commit)?;
        let number = self.wrap_place(wrap)?.number.saturating_add(1);
        let fresh = self.wrap(&key, version, WrapPlace { epoch, number })?;
        self.unwrap(version, &fresh, dek_commit).map_err(|_| Error::SelfCheck)?;
        Ok(fresh)
    }

    /// What a wrap says of itself; only opening it shows that this is true.
    pub fn wrap_place(&self, wrap: &[u8]) -> Result<WrapPlace> {
        if EnvelopeType::HospitalWrap.is_of(wrap) {
            return self.parse(WHAT, EnvelopeType::HospitalWrap, wrap).map(|_| WrapPlace::TO_HOSPITAL);
        }
        match self.parse(WHAT, EnvelopeType::Wrap, wrap)?.context {
            Context::Wrap { epoch, wrap_no, .. } => Ok(WrapPlace { epoch, number: wrap_no }),
            _ => Err(Error::misplaced(WHAT, "it has another context")),
        }
    }

    /// Commitment to the key-encryption key of an epoch: what the act that begins it states.
    pub fn epoch_commit(&self, epoch: u32) -> Digest {
        derive::epoch_commitment(&self.root().key_encryption_key(epoch))
    }

    /// Whether the key that this keyring has for an epoch is the one that its act commits to.
    pub fn has_epoch(&self, epoch: &Epoch) -> bool {
        bool::from(self.epoch_commit(epoch.number).0.ct_eq(&epoch.commit.0))
    }

    /// The data key of `version`, which must be the one that its entry commits to.
    pub fn unwrap(&self, version: VersionId, wrap: &[u8], dek_commit: &Digest) -> Result<DataKey> {
        self.unwrap_as::<AwsLc>(version, wrap, dek_commit)
    }

    pub(crate) fn wrap_as<A: Aead>(&self, key: &DataKey, context: Context) -> Result<Vec<u8>> {
        let Context::Wrap { version, epoch, wrap_no, salt } = context else {
            return Err(Error::Bug { what: "wrap context" });
        };
        let secret = derive::wrap(&self.root().key_encryption_key(epoch), &salt, version, epoch, wrap_no);
        let frame = Frame { suite: self.suite(), class: 0, hospital: self.hospital(), context };
        frame.seal::<A>(WHAT, &secret, key.0.as_bytes(), &[])
    }

    pub(crate) fn unwrap_as<A: Aead>(&self, version: VersionId, wrap: &[u8], dek_commit: &Digest) -> Result<DataKey> {
        if EnvelopeType::HospitalWrap.is_of(wrap) {
            let envelope = self.parse(WHAT, EnvelopeType::HospitalWrap, wrap)?;
            return checked(&self.open_to_hospital::<A>(version, &envelope)?, dek_commit);
        }
        let envelope = self.parse(WHAT, EnvelopeType::Wrap, wrap)?;
        let secret = match envelope.context {
            Context::Wrap { version: found, epoch, wrap_no, salt } if found == version => {
                derive::wrap(&self.root().key_encryption_key(epoch), &salt, version, epoch, wrap_no)
            }
            _ => return Err(Error::misplaced(WHAT, "it is of another version")),
        };
        let mut opened = Zeroizing::new(Vec::new());
        seal::open::<A>(WHAT, &envelope, &secret, &mut opened)?;
        checked(&opened, dek_commit)
    }
}

/// The data key that was wrapped, which must be the one that the entry commits to.
fn checked(opened: &[u8], dek_commit: &Digest) -> Result<DataKey> {
    let bytes: &[u8; 32] = match opened.try_into() {
        Ok(bytes) => bytes,
        Err(_) => return Err(Error::Content { what: WHAT, why: "a data key has 32 bytes" }),
    };
    let key = DataKey(SecretKey::fill_with(|out| out.copy_from_slice(bytes)));
    match bool::from(key.commit().0.ct_eq(&dek_commit.0)) {
        true => Ok(key),
        false => Err(Error::Commitment { what: "data key" }),
    }
}
