//! Golden vectors: with all randomness given, sealing gives exactly these bytes under both AES implementations, and
//! both open them.

use super::*;
use crate::chunk::{Codec, Scratch, SealedChunk};
use crate::keyfile::{self, Argon2Params};
use crate::seal::{Aead, AwsLc, PureRust};
use crate::wrap::DataKey;
use crate::{content_key, derive};
use shosoin_protocol::envelope::Context;
use std::collections::BTreeMap;
use std::fmt::Write;

const SALT: [u8; 32] = [0x66; 32];
const PASSPHRASE: &[u8] = b"correct horse battery staple";
const QUICK: Argon2Params = Argon2Params { memory_kib: 64, passes: 1, lanes: 1 };

fn data_key() -> DataKey {
    DataKey::new(SecretKey::new([0x77; 32]))
}

fn random_chunk<A: Aead>(keyring: &Keyring, codec: Codec, plain: &[u8]) -> SealedChunk {
    let secret = |_: &[u8]| Ok(SecretKey::new([0x88; 32]));
    keyring.seal_chunk_as::<A>(0, codec, plain, &mut Scratch::default(), secret).unwrap()
}

fn dedup_chunk<A: Aead>(keyring: &Keyring, class: u8, plain: &[u8]) -> SealedChunk {
    let secret = |payload: &[u8]| Ok(content_key::from_content(keyring.root(), class, payload));
    keyring.seal_chunk_as::<A>(class, Codec::None, plain, &mut Scratch::default(), secret).unwrap()
}

/// Everything there is to seal, as `name = hex` lines.
fn write_vectors<A: Aead>(suite: Suite) -> String {
    let keyring = keyring(suite);
    let mut out = String::new();
    let mut put = |name: &str, bytes: &[u8]| writeln!(out, "{name} = {}", hex::encode(bytes)).unwrap();
    put("suite", &[suite.code()]);
    put("hospital", &HOSPITAL.0);
    put("version", &VERSION.0);
    put("name-token", &keyring.name_token("scans", "2026/a.dcm").0);
    put("bucket-token", &keyring.bucket_token("scans").0);
    put("dedup-secret-class-1", keyring.root().dedup_secret(1).as_bytes());
    put("key-encryption-key-1", keyring.root().key_encryption_key(1).as_bytes());
    for (name, codec, plain) in [
        ("chunk-empty", Codec::None, Vec::new()),
        ("chunk-short", Codec::None, b"one short record".to_vec()),
        ("chunk-padded", Codec::None, noise(257)),
        ("chunk-noise-stays-uncompressed", Codec::Zstd, noise(257)),
    ] {
        let sealed = random_chunk::<A>(&keyring, codec, &plain);
        put(&format!("{name}.plain"), &plain);
        put(&format!("{name}.t"), &sealed.chunk.t);
        put(&format!("{name}.stored"), &sealed.bytes);
        put(&format!("{name}.address"), &sealed.chunk.address.0);
    }
    let sealed = dedup_chunk::<A>(&keyring, 1, &noise(65_536));
    put("chunk-dedup-65536-noise.t", &sealed.chunk.t);
    put("chunk-dedup-65536-noise.first-96", &sealed.bytes[..96]);
    put("chunk-dedup-65536-noise.last-16", &sealed.bytes[sealed.bytes.len() - 16..]);
    put("chunk-dedup-65536-noise.address", &sealed.chunk.address.0);
    let context = Context::Manifest { version: VERSION, page: 1, pages: 3, salt: SALT };
    put("manifest-page-1-of-3.plain", b"not yet a manifest");
    let page = keyring.seal_manifest_page_as::<A>(&data_key(), context, b"not yet a manifest");
    put("manifest-page-1-of-3.stored", &page.unwrap());
    put("data-key", data_key().secret().as_bytes());
    put("data-key-commit", &derive::data_key_commitment(data_key().secret()).0);
    let context = Context::Wrap { version: VERSION, epoch: 1, wrap_no: 0, salt: SALT };
    put("wrap.stored", &keyring.wrap_as::<A>(&data_key(), context).unwrap());
    put("summary.plain", &marker().encode());
    put("summary.stored", &keyring.seal_summary_as::<A>(VERSION, SALT, &marker()).unwrap());
    put("local.plain", b"upload state");
    put("local.stored", &keyring.seal_local_as::<A>("upload", &SALT, b"upload state").unwrap());
    put("key-file.stored", &keyfile::seal_as::<A>(&keyring, PASSPHRASE, QUICK, &SALT).unwrap());
    out
}

fn open_vectors<A: Aead>(suite: Suite, text: &str) {
    let keyring = keyring(suite);
    let lines: BTreeMap<&str, Vec<u8>> =
        text.lines().map(|line| line.split_once(" = ").unwrap()).map(|(k, v)| (k, hex::decode(v).unwrap())).collect();
    let get = |name: &str| lines[name].as_slice();
    for name in ["chunk-empty", "chunk-short", "chunk-padded", "chunk-noise-stays-uncompressed"] {
        let field = |field: &str| get(&format!("{name}.{field}"));
        let chunk = shosoin_protocol::manifest::ChunkRef {
            address: shosoin_protocol::Address(field("address").try_into().unwrap()),
            t: field("t").try_into().unwrap(),
            plain_len: field("plain").len().try_into().unwrap(),
        };
        let mut opened = Vec::new();
        assert_eq!(keyring.open_payload::<A>(&chunk, field("stored"), &mut opened).unwrap().coded, field("plain"));
        assert_eq!(keyring.open_chunk(&chunk, field("stored")).unwrap(), field("plain"));
    }
    let commit = shosoin_protocol::Digest(get("data-key-commit").try_into().unwrap());
    let key = keyring.unwrap_as::<A>(VERSION, get("wrap.stored"), &commit).unwrap();
    assert_eq!(key.secret().as_bytes().as_slice(), get("data-key"));
    let page = keyring.open_manifest_page_as::<A>(&key, (VERSION, 1, 3), get("manifest-page-1-of-3.stored"));
    assert_eq!(page.unwrap(), get("manifest-page-1-of-3.plain"));
    let summary = keyring.open_summary_as::<A>(VERSION, get("summary.stored")).unwrap();
    assert_eq!(summary.encode(), get("summary.plain"));
    assert_eq!(keyring.open_local_as::<A>("upload", get("local.stored")).unwrap(), get("local.plain"));
    let reopened = keyfile::open_as::<A>(get("key-file.stored"), PASSPHRASE).unwrap();
    assert_eq!(reopened.enrolment(), keyring.enrolment());
    assert_eq!(reopened.name_token("scans", "2026/a.dcm").0.as_slice(), get("name-token"));
}

#[test]
fn sealing_gives_the_golden_bytes_with_both_implementations_and_both_open_them() {
    for suite in Suite::ALL {
        let text = write_vectors::<AwsLc>(suite);
        compare_with_golden(&format!("suite-{}.txt", suite.code()), &text);
        assert!(text == write_vectors::<PureRust>(suite));
        open_vectors::<AwsLc>(suite, &text);
        open_vectors::<PureRust>(suite, &text);
    }
}
