//! The keyring: the secrets of one hospital, opened.

use crate::deposits::DepositKey;
use crate::derive::{self, Root};
use crate::owner::Owner;
use crate::seal::{Aead, Frame};
use crate::secret::{self, SecretKey};
use crate::tls::TlsIdentity;
use crate::{Error, Result, padding};
use shosoin_protocol::api::Enrolment;
use shosoin_protocol::envelope::{Context, Envelope, EnvelopeType};
use shosoin_protocol::limits::RECORD_BYTES_MAX;
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{DeviceId, HospitalId, NameToken, Suite};
use zeroize::Zeroizing;

/// What a key file holds: everything that is random. The rest is derived from it.
pub(crate) struct Secrets {
    pub(crate) suite: Suite,
    pub(crate) hospital: HospitalId,
    pub(crate) root: SecretKey,
    pub(crate) hospital_seed: SecretKey,
    pub(crate) device_seed: SecretKey,
    pub(crate) tls: TlsIdentity,
}

/// The secrets of one hospital and of one of its devices. Wiped when dropped; no `Debug`, no `Clone`.
pub struct Keyring {
    secrets: Secrets,
    hospital_key: SigningKey,
    device_key: SigningKey,
    name_key: SecretKey,
    bucket_key: SecretKey,
    view_key: SecretKey,
    local_key: SecretKey,
    /// where deposits are sealed to, on a machine that opens nothing
    deposits_to: Option<DepositKey>,
}

impl Keyring {
    /// New secrets for a new hospital: id, root, signing keys of the hospital and of this device, TLS identity.
    pub fn generate(suite: Suite) -> Result<Self> {
        Self::with_root(suite, HospitalId(secret::random()?), SecretKey::random()?, signing_seed(suite)?)
    }

    /// A new device, with a TLS identity of its own, of the hospital that has this root and this signing seed.
    pub(crate) fn with_root(
        suite: Suite,
        hospital: HospitalId,
        root: SecretKey,
        hospital_seed: SecretKey,
    ) -> Result<Self> {
        let (device_seed, tls) = (signing_seed(suite)?, TlsIdentity::generate()?);
        Self::from_secrets(Secrets { suite, hospital, root, hospital_seed, device_seed, tls })
    }

    pub(crate) fn from_secrets(secrets: Secrets) -> Result<Self> {
        let root = Root { secret: &secrets.root, suite: secrets.suite, hospital: secrets.hospital };
        Ok(Keyring {
            hospital_key: signing_key(secrets.suite, &secrets.hospital_seed)?,
            device_key: signing_key(secrets.suite, &secrets.device_seed)?,
            name_key: root.name_key(),
            bucket_key: root.bucket_key(),
            view_key: root.view_key(),
            local_key: root.local_key(),
            deposits_to: None,
            secrets,
        })
    }

    /// The same, as the keyring of a machine that only deposits.
    pub(crate) fn depositing_to(self, to: DepositKey) -> Self {
        Keyring { deposits_to: Some(to), ..self }
    }

    pub(crate) fn deposits_to(&self) -> Option<&DepositKey> {
        self.deposits_to.as_ref()
    }

    /// The hospital's algorithms.
    pub fn suite(&self) -> Suite {
        self.secrets.suite
    }

    /// The hospital.
    pub fn hospital(&self) -> HospitalId {
        self.secrets.hospital
    }

    /// Signs the entries of this device.
    pub fn device_key(&self) -> &SigningKey {
        &self.device_key
    }

    /// Certifies devices, signs the enrolment.
    pub fn hospital_key(&self) -> &SigningKey {
        &self.hospital_key
    }

    /// Id of this device.
    pub fn device_id(&self) -> DeviceId {
        self.device_key.public().device_id()
    }

    /// Certificate of the TLS client, DER.
    pub fn tls_certificate_der(&self) -> &[u8] {
        &self.secrets.tls.certificate_der
    }

    /// Key of the TLS client, PKCS#8 DER.
    pub fn tls_key_der(&self) -> &[u8] {
        &self.secrets.tls.key_der
    }

    /// What a vault pins: SHA-256 of the DER public key info in the certificate.
    pub fn tls_pin(&self) -> [u8; 32] {
        self.secrets.tls.pin
    }

    /// The signed file that the operator needs to open this hospital's ledger. It holds public facts only.
    pub fn enrolment(&self) -> Vec<u8> {
        let enrolment = Enrolment {
            suite: self.suite(),
            hospital: self.hospital(),
            hospital_key: self.hospital_key.public(),
            device_key: self.device_key.public(),
            tls_pin: self.tls_pin(),
        };
        enrolment.sign(&self.hospital_key)
    }

    /// Token of a name in a bucket: equal names meet, nothing else shows.
    pub fn name_token(&self, bucket: &str, name: &str) -> NameToken {
        derive::name_token(&self.name_key, bucket, name)
    }

    /// Token of a bucket, which is never the token of a name.
    pub fn bucket_token(&self, bucket: &str) -> NameToken {
        derive::bucket_token(&self.bucket_key, bucket)
    }

    /// Whose records it opens.
    pub(crate) fn owner(&self) -> Owner {
        Owner::new(self.suite(), self.hospital())
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub(crate) fn root(&self) -> Root<'_> {
        Root { secret: &self.secrets.root, suite: self.suite(), hospital: self.hospital() }
    }

    pub(crate) fn view_key(&self) -> &SecretKey {
        &self.view_key
    }

    pub(crate) fn local_key(&self) -> &SecretKey {
        &self.local_key
    }

    /// An envelope of this hospital, of its suite and of the type that belongs here.
    pub(crate) fn parse<'a>(&self, what: &'static str, kind: EnvelopeType, stored: &'a [u8]) -> Result<Envelope<'a>> {
        self.owner().parse(what, kind, stored)
    }

    /// Seals `plain | zeros | length:u32`. `secret` as [`seal::seal_after`] demands.
    pub(crate) fn seal_padded<A: Aead>(
        &self,
        what: &'static str,
        context: Context,
        secret: &SecretKey,
        plain: &[u8],
    ) -> Result<Vec<u8>> {
        let too_long = |_| Error::TooLong { what, found: plain.len(), limit: RECORD_BYTES_MAX };
        let len = u32::try_from(plain.len()).map_err(too_long)?;
        let frame = Frame { suite: self.suite(), class: 0, hospital: self.hospital(), context };
        frame.seal::<A>(what, secret, plain, &padding::tail(plain.len(), &len.to_le_bytes()))
    }

    /// Opens what [`seal_padded`](Self::seal_padded) sealed.
    pub(crate) fn open_padded<A: Aead>(
        &self,
        what: &'static str,
        envelope: &Envelope<'_>,
        secret: &SecretKey,
    ) -> Result<Vec<u8>> {
        self.owner().open_padded::<A>(what, envelope, secret)
    }
}

/// A random seed that is good for a signing key; P-256 refuses one in 2^32.
pub(crate) fn signing_seed(suite: Suite) -> Result<SecretKey> {
    loop {
        let seed = SecretKey::random()?;
        if signing_key(suite, &seed).is_ok() {
            return Ok(seed);
        }
    }
}

fn signing_key(suite: Suite, seed: &SecretKey) -> Result<SigningKey> {
    SigningKey::from_seed(suite, &Zeroizing::new(*seed.as_bytes())).map_err(Error::form("signing key"))
}
