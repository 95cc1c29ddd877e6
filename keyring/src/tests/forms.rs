//! The sealed forms, as vectors have them: one good specimen of each, made without randomness, and how each is opened
//! from nothing but the facts in a vector's fields.

use super::vectors::vector::Vector;
use super::*;
use crate::chunk::Scratch;
use crate::keyfile::{self, Argon2Params, TokenPart, TokenShare, WrapMechanism};
use crate::seal::{Aead, Frame};
use crate::share::Drawn;
use crate::wrap::DataKey;
use crate::{Codec, content_key};
use shosoin_protocol::envelope::Context;
use shosoin_protocol::manifest::ChunkRef;
use shosoin_protocol::{Address, Digest};
use std::collections::BTreeMap;

pub(super) const SALT: [u8; 32] = [0x66; 32];
pub(super) const T: [u8; 32] = [0x88; 32];
pub(super) const PLAIN: &[u8] = b"one short record";
pub(super) const PASSPHRASE: &str = "correct horse battery staple";
pub(super) const QUICK: Argon2Params = Argon2Params { memory_kib: 64, passes: 1, lanes: 1 };

pub(super) fn data_key() -> DataKey {
    DataKey::new(SecretKey::new([0x77; 32]))
}

/// What the token of a specimen unwraps.
pub(super) const SHARE: [u8; 32] = [0x33; 32];

/// A share as a token would give it.
pub(super) fn token_share(secret: [u8; 32]) -> TokenShare {
    let (serial, label) = ("8a1f".to_owned(), "hospital".to_owned());
    let part = TokenPart { mechanism: WrapMechanism::KeyWrap, key: [0x55; 16], serial, label, wrapped: [0x44; 40] };
    TokenShare { part, secret: SecretKey::new(secret) }
}

/// What HPKE draws for the encapsulated key of a specimen, over and over.
pub(super) const DRAWN: u8 = 0x99;

pub(super) fn drawn(byte: u8) -> Drawn {
    Drawn::new([byte; 256])
}

/// A form that this crate seals and opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Chunk,
    Page,
    Wrap,
    Summary,
    HospitalWrap,
    HospitalSummary,
    Local,
    KeyFile,
    KeyFileToken,
}

impl Form {
    pub(super) const ALL: [Form; 9] = [
        Form::Chunk,
        Form::Page,
        Form::Wrap,
        Form::Summary,
        Form::HospitalWrap,
        Form::HospitalSummary,
        Form::Local,
        Form::KeyFile,
        Form::KeyFileToken,
    ];

    /// Its name, which is also its folder.
    pub(super) fn structure(self) -> &'static str {
        match self {
            Form::Chunk => "sealed-chunk",
            Form::Page => "sealed-page",
            Form::Wrap => "sealed-wrap",
            Form::Summary => "sealed-summary",
            Form::HospitalWrap => "sealed-hospital-wrap",
            Form::HospitalSummary => "sealed-hospital-summary",
            Form::Local => "local-seal",
            Form::KeyFile => "key-file",
            Form::KeyFileToken => "key-file-token",
        }
    }

    pub(super) fn of(structure: &str) -> Option<Form> {
        Form::ALL.into_iter().find(|form| form.structure() == structure)
    }

    /// What is inside a good specimen.
    pub(super) fn plain(self) -> Vec<u8> {
        match self {
            Form::Chunk => PLAIN.to_vec(),
            Form::Page => b"not yet a manifest".to_vec(),
            Form::Wrap | Form::HospitalWrap => data_key().secret().as_bytes().to_vec(),
            Form::Summary | Form::HospitalSummary => marker().encode(),
            Form::Local => b"upload state".to_vec(),
            Form::KeyFile | Form::KeyFileToken => ROOT.to_vec(),
        }
    }

    /// A good specimen.
    pub(super) fn seal<A: Aead>(self, keyring: &Keyring) -> Vec<u8> {
        let page = Context::Manifest { version: VERSION, page: 1, pages: 3, salt: SALT };
        let wrap = Context::Wrap { version: VERSION, epoch: 1, wrap_no: 0, salt: SALT };
        let sealed = match self {
            Form::Chunk => return seal_chunk::<A>(keyring, 0, PLAIN).bytes,
            Form::Page => keyring.seal_manifest_page_as::<A>(&data_key(), page, &self.plain()),
            Form::Wrap => keyring.wrap_as::<A>(&data_key(), wrap),
            Form::Summary => keyring.seal_summary_as::<A>(VERSION, SALT, &marker()),
            Form::HospitalWrap => {
                keyring.wrap_to_hospital_as::<A>(&keyring.deposit_key(), &data_key(), VERSION, drawn(DRAWN))
            }
            Form::HospitalSummary => {
                let to = keyring.deposit_key();
                keyring.seal_summary_to_hospital_as::<A>(&to, VERSION, &marker(), drawn(DRAWN))
            }
            Form::Local => keyring.seal_local_as::<A>("upload", &SALT, &self.plain()),
            Form::KeyFile => keyfile::seal_as::<A>(keyring, PASSPHRASE.as_bytes(), QUICK, &SALT),
            Form::KeyFileToken => {
                keyfile::seal_under::<A>(keyring, PASSPHRASE.as_bytes(), QUICK, &SALT, Some(&token_share(SHARE)))
            }
        };
        sealed.unwrap()
    }

    /// What someone needs besides the bytes to open a good specimen.
    pub(super) fn facts(self, suite: Suite) -> BTreeMap<String, String> {
        let commit = data_key().commit().to_string();
        let own: &[(&str, String)] = match self {
            Form::Chunk => &[("t", hex::encode(T)), ("plain-len", PLAIN.len().to_string())],
            Form::Page => &[
                ("version", VERSION.to_string()),
                ("page", "1".into()),
                ("pages", "3".into()),
                ("data-key", hex::encode(data_key().secret().as_bytes())),
            ],
            Form::Wrap => &[("version", VERSION.to_string()), ("dek-commit", commit)],
            Form::Summary => &[("version", VERSION.to_string())],
            Form::HospitalWrap => {
                &[("version", VERSION.to_string()), ("dek-commit", commit), ("drawn", hex::encode([DRAWN; 32]))]
            }
            Form::HospitalSummary => &[("version", VERSION.to_string()), ("drawn", hex::encode([DRAWN; 32]))],
            Form::Local => &[("label", "upload".into())],
            Form::KeyFile => &[("passphrase", PASSPHRASE.into())],
            Form::KeyFileToken => &[("passphrase", PASSPHRASE.into()), ("share", hex::encode(SHARE))],
        };
        let world =
            [("suite", suite.code().to_string()), ("hospital", HOSPITAL.to_string()), ("root", hex::encode(ROOT))];
        world.iter().chain(own).map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }
}

/// Seals a chunk under the fixed secret, or in a class under the secret from its content, whatever its size.
pub(super) fn seal_chunk<A: Aead>(keyring: &Keyring, class: u8, plain: &[u8]) -> crate::SealedChunk {
    let secret = |content: &[u8], tail: &[u8]| match class {
        0 => Ok(SecretKey::new(T)),
        _ => Ok(content_key::from_content(keyring.root(), class, content, tail)),
    };
    keyring.seal_chunk_as::<A>(class, Codec::None, plain, &mut Scratch::default(), secret).unwrap()
}

/// Seals any payload at all, as only a faulty sealer would.
pub(super) fn seal_payload<A: Aead>(
    keyring: &Keyring,
    context: Context,
    secret: &SecretKey,
    payload: &[u8],
) -> Vec<u8> {
    let frame = Frame { suite: keyring.suite(), class: 0, hospital: keyring.hospital(), context };
    frame.seal::<A>("test", secret, payload, &[]).unwrap()
}

/// Opens a vector with its fields alone; gives what was inside.
pub(super) fn open<A: Aead>(vector: &Vector) -> crate::Result<Vec<u8>> {
    let suite = Suite::try_from(vector.field("suite").parse::<u8>().unwrap()).unwrap();
    let root = hex::decode(vector.field("root")).unwrap().try_into().unwrap();
    open_with::<A>(&keyring_of(suite, vector.field("hospital").parse().unwrap(), root), vector)
}

/// Opens a vector with a keyring made before.
pub(super) fn open_with<A: Aead>(keyring: &Keyring, vector: &Vector) -> crate::Result<Vec<u8>> {
    let bytes = vector.body.as_slice();
    let array = |key: &str| -> [u8; 32] { hex::decode(vector.field(key)).unwrap().try_into().unwrap() };
    let number = |key: &str| -> u32 { vector.field(key).parse().unwrap() };
    let version = || -> VersionId { vector.field("version").parse().unwrap() };
    match Form::of(&vector.structure).unwrap() {
        Form::Chunk => {
            let address =
                vector.fields.get("address").map_or(keyring.suite().address(bytes), |text| text.parse().unwrap());
            open_chunk::<A>(keyring, address, array("t"), number("plain-len"), bytes)
        }
        Form::Page => {
            let (key, place) = (SecretKey::new(array("data-key")), (version(), number("page"), number("pages")));
            keyring.open_manifest_page_as::<A>(&DataKey::new(key), place, bytes)
        }
        Form::Wrap | Form::HospitalWrap => {
            let key = keyring.unwrap_as::<A>(version(), bytes, &Digest(array("dek-commit")))?;
            Ok(key.secret().as_bytes().to_vec())
        }
        Form::Summary | Form::HospitalSummary => {
            keyring.open_summary_as::<A>(version(), bytes).map(|summary| summary.encode())
        }
        Form::Local => keyring.open_local_as::<A>(vector.field("label"), bytes),
        Form::KeyFile => {
            let opened = keyfile::open_as::<A>(bytes, vector.field("passphrase").as_bytes())?;
            Ok(opened.secrets().root.as_bytes().to_vec())
        }
        Form::KeyFileToken => {
            let unwrap = |part: &TokenPart| match *part == token_share(SHARE).part {
                true => Ok(token_share(array("share"))),
                false => Err(crate::Error::NoTokenKey { key: part.key }),
            };
            let opened = keyfile::open_under::<A>(bytes, vector.field("passphrase").as_bytes(), unwrap)?;
            Ok(opened.secrets().root.as_bytes().to_vec())
        }
    }
}

/// With AWS-LC this is what readers call; with the other cipher, the same steps after the address.
fn open_chunk<A: Aead>(
    keyring: &Keyring,
    address: Address,
    t: [u8; 32],
    plain_len: u32,
    bytes: &[u8],
) -> crate::Result<Vec<u8>> {
    let chunk = ChunkRef { address, t, plain_len };
    let plain = keyring.open_chunk(&chunk, bytes)?;
    keyring.open_payload::<A>(&chunk, bytes, &mut Vec::new())?;
    Ok(plain.to_vec())
}
