//! Wraps: the data key of a version, under the key-encryption key of an epoch.
//!
//! A wrap is its own small record, so rotation and sharing write new wraps and never touch what the key sealed.
//! `dek_commit` stands in the signed entry: a wrap that brings another key, however well it was sealed, is refused.

use crate::seal::{self, Aead, AwsLc, Frame};
use crate::secret::{self, SecretKey};
use crate::{Error, Keyring, Result, derive};
use shosoin_protocol::envelope::{Context, EnvelopeType};
use shosoin_protocol::{Digest, VersionId};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const WHAT: &str = "wrap";

/// Epoch of the key-encryption key that new wraps are made under.
pub(crate) const EPOCH: u32 = 1;

/// The random key of one version, under which its manifest pages are sealed.
pub struct DataKey(SecretKey);

impl DataKey {
    /// The commitment that the signed entry carries.
    pub fn commit(&self) -> Digest {
        derive::data_key_commitment(&self.0)
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

    /// Wraps the data key of `version`; `wrap_no` counts the wraps of this key that exist already.
    pub fn wrap(&self, key: &DataKey, version: VersionId, wrap_no: u32) -> Result<Vec<u8>> {
        let context = Context::Wrap { version, epoch: EPOCH, wrap_no, salt: secret::random()? };
        self.wrap_as::<AwsLc>(key, context)
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
        let envelope = self.parse(WHAT, EnvelopeType::Wrap, wrap)?;
        let secret = match envelope.context {
            Context::Wrap { version: found, epoch, wrap_no, salt } if found == version => {
                derive::wrap(&self.root().key_encryption_key(epoch), &salt, version, epoch, wrap_no)
            }
            _ => return Err(Error::misplaced(WHAT, "it is of another version")),
        };
        let mut opened = Zeroizing::new(Vec::new());
        seal::open::<A>(WHAT, &envelope, &secret, &mut opened)?;
        let bytes: &[u8; 32] = match opened.as_slice().try_into() {
            Ok(bytes) => bytes,
            Err(_) => return Err(Error::Content { what: WHAT, why: "a data key has 32 bytes" }),
        };
        let key = DataKey(SecretKey::fill_with(|out| out.copy_from_slice(bytes)));
        match bool::from(key.commit().0.ct_eq(&dek_commit.0)) {
            true => Ok(key),
            false => Err(Error::Commitment { what: "data key" }),
        }
    }
}
