//! Machines that only deposit: what they store is sealed to a public key of the hospital, and nothing they have opens it.
//!
//! ```text
//! root --- deposit key pair, by KEM
//!            public half, on the machine ---- HPKE export --- envelope secret of a wrap or a summary
//!            private half, at the hospital -- HPKE export --- the same
//! ```
//!
//! The keyring of such a machine has a root like any other, so that chunks, pages and files of its own are sealed by the same
//! code; but that root is drawn anew whenever its key file is opened, is written nowhere, and belongs to no hospital. What it
//! seals for others to open, data keys and summaries, goes to the deposit key instead.
//!
//! What is always true
//! - The key file holds a signing seed, a TLS identity and public keys: nothing in it opens a record, its own ones included.
//! - Every sealing draws an encapsulated key of its own, so no envelope secret seals two payloads.
//! - Suite, hospital, type and version are in the `info` of HPKE: what is sealed for one place opens in no other.
//!
//! What such a machine cannot do: meet equal chunks of others (that takes the dedup secret), make name tokens, open anything.
//!
//! Source: RFC 9180, base mode and secret export.

use crate::keyring::Secrets;
use crate::seal::{self, Aead, AwsLc, Frame};
use crate::secret::{self, SecretKey};
use crate::share::{Drawn, public_key};
use crate::tls::TlsIdentity;
use crate::{DataKey, Error, Keyring, Result, derive, padding};
use hpke::aead::ExportOnlyAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, X25519HkdfSha256};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use shosoin_protocol::act::ShareKem;
use shosoin_protocol::api::Enrolment;
use shosoin_protocol::envelope::{Context, Encapsulated, Envelope, EnvelopeType};
use shosoin_protocol::limits::SUMMARY_BYTES_MAX;
use shosoin_protocol::manifest::Summary;
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{HospitalId, Suite, VaultId, VersionId};
use zeroize::Zeroizing;

const WRAP: &str = "wrap to the hospital";
const SUMMARY: &str = "summary to the hospital";
/// What the envelope secret is exported for.
const EXPORT: &[u8] = b"envelope secret";

/// The public half of the key that a hospital's machines seal their deposits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositKey {
    /// its KEM
    pub kem: ShareKem,
    /// its bytes
    pub key: Vec<u8>,
}

/// What a machine that only deposits may deposit, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositTerms {
    /// the vault
    pub vault: VaultId,
    /// its key
    pub vault_key: PublicKey,
    /// bucket
    pub bucket: String,
    /// how its names begin
    pub prefix: String,
    /// record type, label and retention
    pub policy: DepositPolicy,
    /// bytes of a chunk
    pub chunk_plain_bytes: u32,
    /// codec of the bucket
    pub codec: u8,
}

impl Keyring {
    /// The key that this hospital's machines seal their deposits to.
    pub fn deposit_key(&self) -> DepositKey {
        let kem = self.usual_kem();
        let secret = self.root().deposit_secret(kem.code());
        let key = match kem {
            ShareKem::P256 => public_key::<DhP256HkdfSha256>(secret.as_bytes()),
            _ => public_key::<X25519HkdfSha256>(secret.as_bytes()),
        };
        DepositKey { kem, key }
    }

    /// A new machine of this hospital that only deposits: signing key and TLS identity of its own, and no secret of the
    /// hospital.
    pub fn new_depositor(&self) -> Result<Keyring> {
        let device_seed = crate::keyring::signing_seed(self.suite())?;
        depositor(self.suite(), self.hospital(), device_seed, TlsIdentity::generate()?, self.deposit_key())
    }

    /// What the operator needs to let another machine of this hospital in.
    pub fn enrolment_of(&self, machine: &Keyring) -> Vec<u8> {
        let enrolment = Enrolment {
            suite: self.suite(),
            hospital: self.hospital(),
            hospital_key: self.hospital_key().public(),
            device_key: machine.device_key().public(),
            tls_pin: machine.tls_pin(),
        };
        enrolment.sign(self.hospital_key())
    }

    /// Whether this is the keyring of a machine that only deposits.
    pub fn only_deposits(&self) -> bool {
        self.deposits_to().is_some()
    }

    pub(crate) fn wrap_to_hospital(&self, to: &DepositKey, key: &DataKey, version: VersionId) -> Result<Vec<u8>> {
        self.wrap_to_hospital_as::<AwsLc>(to, key, version, Drawn::new(secret::random()?))
    }

    pub(crate) fn wrap_to_hospital_as<A: Aead>(
        &self,
        to: &DepositKey,
        key: &DataKey,
        version: VersionId,
        drawn: Drawn,
    ) -> Result<Vec<u8>> {
        let (to, secret) = self.encapsulate(to, EnvelopeType::HospitalWrap, version, drawn)?;
        let context = Context::HospitalWrap { version, to };
        let frame = Frame { suite: self.suite(), class: 0, hospital: self.hospital(), context };
        frame.seal::<A>(WRAP, &secret, key.secret().as_bytes(), &[])
    }

    pub(crate) fn seal_summary_to_hospital(
        &self,
        to: &DepositKey,
        version: VersionId,
        summary: &Summary,
    ) -> Result<Vec<u8>> {
        self.seal_summary_to_hospital_as::<AwsLc>(to, version, summary, Drawn::new(secret::random()?))
    }

    pub(crate) fn seal_summary_to_hospital_as<A: Aead>(
        &self,
        to: &DepositKey,
        version: VersionId,
        summary: &Summary,
        drawn: Drawn,
    ) -> Result<Vec<u8>> {
        let plain = summary.encode();
        Summary::decode(&plain).map_err(|source| Error::Unreadable { what: SUMMARY, source })?;
        let (to, secret) = self.encapsulate(to, EnvelopeType::HospitalSummary, version, drawn)?;
        let stored = self.seal_padded::<A>(SUMMARY, Context::HospitalSummary { version, to }, &secret, &plain)?;
        match stored.len() {
            0..=SUMMARY_BYTES_MAX => Ok(stored),
            found => Err(Error::TooLong { what: SUMMARY, found, limit: SUMMARY_BYTES_MAX }),
        }
    }

    /// Opens a wrap or a summary that was sealed to the hospital, whichever `envelope` is.
    pub(crate) fn open_to_hospital<A: Aead>(
        &self,
        version: VersionId,
        envelope: &Envelope<'_>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let (what, found, to) = match envelope.context {
            Context::HospitalWrap { version, to } => (WRAP, version, to),
            Context::HospitalSummary { version, to } => (SUMMARY, version, to),
            _ => return Err(Error::Bug { what: "an envelope that is not to the hospital" }),
        };
        if found != version {
            return Err(Error::misplaced(what, "it is of another version"));
        }
        let info = info(self.suite(), self.hospital(), envelope.header.kind, version);
        let root = self.root().deposit_secret(to.kem().code());
        let secret = match to.kem() {
            ShareKem::P256 => decapsulate::<DhP256HkdfSha256>(what, root.as_bytes(), to.bytes(), &info)?,
            _ => decapsulate::<X25519HkdfSha256>(what, root.as_bytes(), to.bytes(), &info)?,
        };
        let mut opened = Zeroizing::new(Vec::new());
        seal::open::<A>(what, envelope, &secret, &mut opened)?;
        if what == SUMMARY {
            let Some((padded, len)) = opened.split_last_chunk() else {
                return Err(Error::Content { what, why: "it is shorter than its length field" });
            };
            let len = padding::content(what, padded, u32::from_le_bytes(*len))?.len();
            opened.truncate(len);
        }
        Ok(opened)
    }

    fn encapsulate(
        &self,
        to: &DepositKey,
        kind: EnvelopeType,
        version: VersionId,
        drawn: Drawn,
    ) -> Result<(Encapsulated, SecretKey)> {
        let info = info(self.suite(), self.hospital(), kind, version);
        let (encapsulated, secret) = match to.kem {
            ShareKem::P256 => encapsulate::<DhP256HkdfSha256>(&to.key, &info, drawn)?,
            _ => encapsulate::<X25519HkdfSha256>(&to.key, &info, drawn)?,
        };
        let encapsulated = Encapsulated::of(to.kem, &encapsulated).ok_or(Error::Bug { what: "encapsulated key" })?;
        Ok((encapsulated, secret))
    }
}

/// A keyring without a root of any hospital.
pub(crate) fn depositor(
    suite: Suite,
    hospital: HospitalId,
    device_seed: SecretKey,
    tls: TlsIdentity,
    to: DepositKey,
) -> Result<Keyring> {
    let (root, hospital_seed) = (SecretKey::random()?, crate::keyring::signing_seed(suite)?);
    let secrets = Secrets { suite, hospital, root, hospital_seed, device_seed, tls };
    Keyring::from_secrets(secrets).map(|keyring| keyring.depositing_to(to))
}

fn info(suite: Suite, hospital: HospitalId, kind: EnvelopeType, version: VersionId) -> Vec<u8> {
    [derive::DEPOSIT_MESSAGE, &[suite.code()], &hospital.0, &[kind as u8], &version.0].concat()
}

fn encapsulate<K: Kem>(key: &[u8], info: &[u8], mut random: Drawn) -> Result<(Vec<u8>, SecretKey)> {
    let bad = |_| Error::misplaced(WRAP, "the deposit key is none of its KEM");
    let key = K::PublicKey::from_bytes(key).map_err(bad)?;
    let sender = hpke::setup_sender_with_rng::<ExportOnlyAead, HkdfSha256, K>(&OpModeS::Base, &key, info, &mut random);
    let (encapsulated, sender) = sender.map_err(bad)?;
    if random.ran_short() {
        return Err(Error::Bug { what: "randomness of a deposit" });
    }
    let mut exported = Zeroizing::new([0; 32]);
    sender.export(EXPORT, &mut exported[..]).map_err(|_| Error::Bug { what: "export of HPKE" })?;
    Ok((encapsulated.to_bytes().to_vec(), SecretKey::new(*exported)))
}

fn decapsulate<K: Kem>(what: &'static str, root: &[u8], encapsulated: &[u8], info: &[u8]) -> Result<SecretKey> {
    let refused = |_| Error::Tag { what };
    let encapsulated = K::EncappedKey::from_bytes(encapsulated).map_err(refused)?;
    let (key, _) = K::derive_keypair(root);
    let receiver = hpke::setup_receiver::<ExportOnlyAead, HkdfSha256, K>(&OpModeR::Base, &key, &encapsulated, info);
    let mut exported = Zeroizing::new([0; 32]);
    receiver.map_err(refused)?.export(EXPORT, &mut exported[..]).map_err(refused)?;
    Ok(SecretKey::new(*exported))
}
