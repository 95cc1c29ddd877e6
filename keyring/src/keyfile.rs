//! The key file: a hospital's secrets under a passphrase, or under a passphrase and a token. Bytes in, bytes out; writing
//! them safely is the caller's.
//!
//! ```text
//! header = magic:4 | version:u8 | suite:u8 | 0:u16 | hospital:16 | memory_kib:u32 | passes:u32 | lanes:u32 | salt:32
//! file   = header | token part, or nothing | commitment:32 | AES-256-GCM(body) | tag:16 | SHA-256 of everything before:32
//! body   = root:32 | hospital seed:32 | device seed:32 | TLS key:var | TLS certificate:var
//! magic  = "shky": the passphrase opens it; "shkt": the passphrase and the token that its token part names
//! ```
//!
//! Invariants
//! - The digest at the end needs no passphrase, so a damaged file is never mistaken for a wrong passphrase, and it is
//!   checked before any memory is spent on Argon2.
//! - Argon2 parameters are bounded when read: a hostile file cannot exhaust the machine.
//!
//! Source: RFC 9106 (Argon2id), whose second recommended choice the default follows with one lane.

pub mod deposit;
mod token;

pub use token::{TokenKeyId, TokenPart, TokenShare, WrapMechanism};

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
/// Of a key file that needs a token besides.
const MAGIC_TOKEN: [u8; 4] = *b"shkt";
/// Of a key file of a machine that only deposits.
const MAGIC_DEPOSIT: [u8; 4] = *b"shkd";
const VERSION: u8 = 1;
const HEADER_LEN: usize = 68;
const COMMIT_LEN: usize = 32;
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

    /// The envelope secret of a key file, with the token's share of it where there is one.
    pub(crate) fn stretch(self, passphrase: &[u8], salt: &[u8; 32], share: Option<&SecretKey>) -> Result<SecretKey> {
        let bug = |_| Error::Bug { what: "Argon2id" };
        let params = argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(bug)?;
        let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut stretched = Zeroizing::new([0; 32]);
        argon2.hash_password_into(passphrase, salt, &mut stretched[..]).map_err(bug)?;
        let stretched = SecretKey::new(*stretched);
        Ok(match share {
            None => derive::key_file(&stretched),
            Some(share) => derive::key_file_with_token(&stretched, share),
        })
    }
}

/// The bytes of a key file that holds `keyring` under `passphrase`.
pub fn seal(keyring: &Keyring, passphrase: &[u8], params: Argon2Params) -> Result<Vec<u8>> {
    seal_as::<AwsLc>(keyring, passphrase, params, &secret::random()?)
}

/// The bytes of a key file that holds `keyring` under `passphrase` and the token that made `share`.
pub fn seal_with_token(
    keyring: &Keyring,
    passphrase: &[u8],
    params: Argon2Params,
    share: &TokenShare,
) -> Result<Vec<u8>> {
    seal_under::<AwsLc>(keyring, passphrase, params, &secret::random()?, Some(share))
}

/// Opens the bytes of a key file. What is wrong with them has a variant of its own: [`Error::ForeignKeyFile`],
/// [`Error::NewerKeyFile`], [`Error::DamagedKeyFile`], [`Error::Argon2Params`], [`Error::WrongPassphrase`]. One that needs
/// a token gives [`Error::NeedsToken`].
pub fn open(bytes: &[u8], passphrase: &[u8]) -> Result<Keyring> {
    open_as::<AwsLc>(bytes, passphrase)
}

/// Opens the bytes of any key file; where it needs a token, `unwrap` asks the token for its share.
pub fn open_with_token(
    bytes: &[u8],
    passphrase: &[u8],
    unwrap: impl FnOnce(&TokenPart) -> Result<TokenShare>,
) -> Result<Keyring> {
    open_under::<AwsLc>(bytes, passphrase, unwrap)
}

/// The token without which a key file does not open, if it needs one. Its digest is checked, nothing else of it.
pub fn token_of(bytes: &[u8]) -> Result<Option<TokenPart>> {
    RawKeyFile::read(bytes).map(|raw| raw.token)
}

pub(crate) fn seal_as<A: Aead>(
    keyring: &Keyring,
    passphrase: &[u8],
    params: Argon2Params,
    salt: &[u8; 32],
) -> Result<Vec<u8>> {
    seal_under::<A>(keyring, passphrase, params, salt, None)
}

pub(crate) fn seal_under<A: Aead>(
    keyring: &Keyring,
    passphrase: &[u8],
    params: Argon2Params,
    salt: &[u8; 32],
    share: Option<&TokenShare>,
) -> Result<Vec<u8>> {
    if passphrase.is_empty() {
        return Err(Error::EmptyPassphrase);
    }
    let params = params.check()?;
    let secret = params.stretch(passphrase, salt, share.map(|share| &share.secret))?;
    let mut aad = Writer::with_capacity(HEADER_LEN + TokenPart::LEN + COMMIT_LEN);
    let magic = if share.is_some() { &MAGIC_TOKEN } else { &MAGIC };
    aad.put(magic).u8(VERSION).u8(keyring.suite().code()).zeros(2).put(&keyring.hospital().0);
    aad.u32(params.memory_kib).u32(params.passes).u32(params.lanes).put(salt);
    if let Some(share) = share {
        share.part.write(&mut aad);
    }
    aad.put(&derive::commitment(&secret));
    let mut file = seal::seal_after::<A>(&secret, &aad.finish(), &encode_body(keyring.secrets()), &[])?;
    let digest = sha256(&[&file]);
    file.extend_from_slice(&digest.0);
    Ok(file)
}

pub(crate) fn open_as<A: Aead>(bytes: &[u8], passphrase: &[u8]) -> Result<Keyring> {
    let needed = |part: &TokenPart| Error::NeedsToken { label: part.label.clone(), serial: part.serial.clone() };
    open_under::<A>(bytes, passphrase, |part| Err(needed(part)))
}

pub(crate) fn open_under<A: Aead>(
    bytes: &[u8],
    passphrase: &[u8],
    unwrap: impl FnOnce(&TokenPart) -> Result<TokenShare>,
) -> Result<Keyring> {
    let raw = RawKeyFile::read(bytes)?;
    if deposit::is_one(bytes) {
        return Err(Error::DepositOnly);
    }
    let params = raw.params.check()?;
    let share = raw.token.as_ref().map(unwrap).transpose()?;
    let secret = params.stretch(passphrase, &raw.salt, share.as_ref().map(|share| &share.secret))?;
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
    token: Option<TokenPart>,
    commit: [u8; 32],
    aad: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> RawKeyFile<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self> {
        let damaged = |why| Error::DamagedKeyFile { why };
        let aad_len = match bytes.split_first_chunk() {
            Some((&MAGIC | &MAGIC_DEPOSIT, _)) => HEADER_LEN + COMMIT_LEN,
            Some((&MAGIC_TOKEN, _)) => HEADER_LEN + TokenPart::LEN + COMMIT_LEN,
            _ => return Err(Error::ForeignKeyFile),
        };
        match bytes.get(MAGIC.len()) {
            Some(&VERSION) => {}
            Some(&found) => return Err(Error::NewerKeyFile { found, known: VERSION }),
            None => return Err(Error::ForeignKeyFile),
        }
        match bytes.split_last_chunk::<{ Digest::LEN }>() {
            Some((file, digest)) if sha256(&[file]).0 == *digest && file.len() >= aad_len + TAG_LEN => {
                Self::read_fields(file, aad_len).map_err(|_| damaged("a field of its header is not valid"))
            }
            _ => Err(damaged("its digest does not match its bytes")),
        }
    }

    fn read_fields(file: &'a [u8], aad_len: usize) -> shosoin_protocol::Result<Self> {
        let mut reader = Reader::new(file, "key file");
        let magic: [u8; 4] = reader.array("magic")?;
        reader.u8("version")?;
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
            token: if magic == MAGIC_TOKEN { Some(TokenPart::read(&mut reader)?) } else { None },
            commit: reader.array("key commitment")?,
            aad: &file[..aad_len],
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
