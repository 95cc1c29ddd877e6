//! The key file: a hospital's secrets under a passphrase. Bytes in, bytes out; writing them safely is the caller's.
//!
//! ```text
//! header = "shky" | version:u8 | suite:u8 | 0:u16 | hospital:16 | memory_kib:u32 | passes:u32 | lanes:u32 | salt:32
//! file   = header | commitment:32 | AES-256-GCM(body) | tag:16 | SHA-256 of everything before:32
//! body   = root:32 | hospital seed:32 | device seed:32 | TLS key:var | TLS certificate:var
//! ```
//!
//! Invariants
//! - The digest at the end needs no passphrase, so a damaged file is never mistaken for a wrong passphrase, and it is
//!   checked before any memory is spent on Argon2.
//! - Argon2 parameters are bounded when read: a hostile file cannot exhaust the machine.
//!
//! Source: RFC 9106 (Argon2id), whose second recommended choice the default follows with one lane.

use crate::keyring::Secrets;
use crate::seal::{self, Aead, AwsLc};
use crate::secret::{self, SecretKey};
use crate::tls::TlsIdentity;
use crate::{Error, Keyring, Result, derive};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::envelope::TAG_LEN;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, HospitalId, Suite};
use zeroize::Zeroizing;

const MAGIC: [u8; 4] = *b"shky";
const VERSION: u8 = 1;
const HEADER_LEN: usize = 68;
/// Everything before the sealed body.
const AAD_LEN: usize = HEADER_LEN + 32;
/// Longest TLS key or certificate, in bytes.
const DER_BYTES_MAX: usize = 8 * 1024;

/// Cost of turning a passphrase into a key; stored in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Params {
    /// memory, in KiB: 8 per lane to 1 GiB
    pub memory_kib: u32,
    /// passes over the memory: 1 to 16
    pub passes: u32,
    /// lanes: 1 to 16
    pub lanes: u32,
}

impl Default for Argon2Params {
    /// 64 MiB, three passes, one lane.
    fn default() -> Self {
        Argon2Params { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }
}

impl Argon2Params {
    const MEMORY_KIB_MAX: u32 = 1024 * 1024;
    const PASSES_MAX: u32 = 16;
    const LANES_MAX: u32 = 16;

    pub(crate) fn check(self) -> Result<Self> {
        let within = |what, found, least, most| match (least..=most).contains(&found) {
            true => Ok(()),
            false => Err(Error::Argon2Params { what, found, least, most }),
        };
        within("lanes", self.lanes, 1, Self::LANES_MAX)?;
        within("passes", self.passes, 1, Self::PASSES_MAX)?;
        within("memory (KiB)", self.memory_kib, 8 * self.lanes, Self::MEMORY_KIB_MAX)?;
        Ok(self)
    }

    /// The envelope secret of a key file.
    pub(crate) fn stretch(self, passphrase: &[u8], salt: &[u8; 32]) -> Result<SecretKey> {
        let bug = |_| Error::Bug { what: "Argon2id" };
        let params = argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(bug)?;
        let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut stretched = Zeroizing::new([0; 32]);
        argon2.hash_password_into(passphrase, salt, &mut stretched[..]).map_err(bug)?;
        Ok(derive::key_file(&SecretKey::new(*stretched)))
    }
}

/// The bytes of a key file that holds `keyring` under `passphrase`.
pub fn seal(keyring: &Keyring, passphrase: &[u8], params: Argon2Params) -> Result<Vec<u8>> {
    seal_as::<AwsLc>(keyring, passphrase, params, &secret::random()?)
}

/// Opens the bytes of a key file. What is wrong with them has a variant of its own: [`Error::ForeignKeyFile`],
/// [`Error::NewerKeyFile`], [`Error::DamagedKeyFile`], [`Error::Argon2Params`], [`Error::WrongPassphrase`].
pub fn open(bytes: &[u8], passphrase: &[u8]) -> Result<Keyring> {
    open_as::<AwsLc>(bytes, passphrase)
}

pub(crate) fn seal_as<A: Aead>(
    keyring: &Keyring,
    passphrase: &[u8],
    params: Argon2Params,
    salt: &[u8; 32],
) -> Result<Vec<u8>> {
    if passphrase.is_empty() {
        return Err(Error::EmptyPassphrase);
    }
    let params = params.check()?;
    let secret = params.stretch(passphrase, salt)?;
    let mut aad = Writer::with_capacity(AAD_LEN);
    aad.put(&MAGIC).u8(VERSION).u8(keyring.suite().code()).zeros(2).put(&keyring.hospital().0);
    aad.u32(params.memory_kib).u32(params.passes).u32(params.lanes).put(salt).put(&derive::commitment(&secret));
    let mut file = seal::seal_after::<A>(&secret, &aad.finish(), &encode_body(keyring.secrets()), &[])?;
    let digest = sha256(&[&file]);
    file.extend_from_slice(&digest.0);
    Ok(file)
}

pub(crate) fn open_as<A: Aead>(bytes: &[u8], passphrase: &[u8]) -> Result<Keyring> {
    let raw = RawKeyFile::read(bytes)?;
    let params = raw.params.check()?;
    let secret = params.stretch(passphrase, &raw.salt)?;
    seal::check_commitment("key file", &secret, &raw.commit).map_err(|_| Error::WrongPassphrase)?;
    let mut body = Zeroizing::new(Vec::new());
    seal::open_after::<A>("key file", &secret, raw.aad, raw.sealed, &mut body)
        .map_err(|_| Error::DamagedKeyFile { why: "its sealed part does not verify" })?;
    decode_body(raw.suite, raw.hospital, &body)
}

/// A key file whose digest is right. Nothing in it is believed before its body was opened.
struct RawKeyFile<'a> {
    suite: Suite,
    hospital: HospitalId,
    params: Argon2Params,
    salt: [u8; 32],
    commit: [u8; 32],
    aad: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> RawKeyFile<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let damaged = |why| Error::DamagedKeyFile { why };
        match bytes {
            [a, b, c, d, VERSION, ..] if [*a, *b, *c, *d] == MAGIC => {}
            [a, b, c, d, found, ..] if [*a, *b, *c, *d] == MAGIC => {
                return Err(Error::NewerKeyFile { found: *found, known: VERSION });
            }
            _ => return Err(Error::ForeignKeyFile),
        }
        match bytes.split_last_chunk::<{ Digest::LEN }>() {
            Some((file, digest)) if sha256(&[file]).0 == *digest && file.len() >= AAD_LEN + TAG_LEN => {
                Self::read_fields(file).map_err(|_| damaged("a field of its header is not valid"))
            }
            _ => Err(damaged("its digest does not match its bytes")),
        }
    }

    fn read_fields(file: &'a [u8]) -> shosoin_protocol::Result<Self> {
        let mut reader = Reader::new(file, "key file");
        reader.take(MAGIC.len() + 1, "magic and version")?;
        let suite = Suite::try_from(reader.u8("suite")?)?;
        reader.zeros(2, "reserved bytes")?;
        Ok(RawKeyFile {
            suite,
            hospital: HospitalId::read(&mut reader)?,
            params: Argon2Params {
                memory_kib: reader.u32("memory")?,
                passes: reader.u32("passes")?,
                lanes: reader.u32("lanes")?,
            },
            salt: reader.array("salt")?,
            commit: reader.array("key commitment")?,
            aad: &file[..AAD_LEN],
            sealed: reader.rest(),
        })
    }
}

fn encode_body(secrets: &Secrets) -> Zeroizing<Vec<u8>> {
    let (key, certificate) = (&secrets.tls.key_der, &secrets.tls.certificate_der);
    let mut out = Writer::with_capacity(3 * 32 + 4 + key.len() + 4 + certificate.len());
    for secret in [&secrets.root, &secrets.hospital_seed, &secrets.device_seed] {
        out.put(secret.as_bytes());
    }
    out.var(key).var(certificate);
    Zeroizing::new(out.finish())
}

fn decode_body(suite: Suite, hospital: HospitalId, body: &[u8]) -> Result<Keyring> {
    let damaged = |_| Error::DamagedKeyFile { why: "its content does not have the form it must have" };
    let mut reader = Reader::new(body, "key file body");
    let mut key = |what| reader.array(what).map(SecretKey::new).map_err(damaged);
    let (root, hospital_seed, device_seed) = (key("root")?, key("hospital seed")?, key("device seed")?);
    let key_der = Zeroizing::new(reader.var(DER_BYTES_MAX, "TLS key").map_err(damaged)?.to_vec());
    let certificate_der = reader.var(DER_BYTES_MAX, "TLS certificate").map_err(damaged)?.to_vec();
    reader.finish().map_err(damaged)?;
    let tls = TlsIdentity::from_der(key_der, certificate_der)?;
    Keyring::from_secrets(Secrets { suite, hospital, root, hospital_seed, device_seed, tls })
}
