//! Wrong forms: one golden line each, `case | opener | error | hex`, refused alike by both AES implementations.
//!
//! The sealed forms that a forger without keys can make are cut, flipped or swapped; those that only a faulty sealer
//! could make (a lie inside the sealed bytes) are sealed here with the right keys.

use super::*;
use crate::seal::{Aead, AwsLc, Frame, PureRust};
use crate::wrap::DataKey;
use shosoin_protocol::Digest;
use shosoin_protocol::envelope::{Context, Envelope};
use shosoin_protocol::manifest::ChunkRef;

const SALT: [u8; 32] = [0x66; 32];
const T: [u8; 32] = [0x88; 32];
const OTHER_VERSION: VersionId = VersionId([0x23; 16]);
const PLAIN: &[u8] = b"one short record";

fn data_key() -> DataKey {
    DataKey::new(SecretKey::new([0x77; 32]))
}

/// Who opens the bytes, and as what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opener {
    Chunk,
    Manifest,
    Wrap,
    Summary,
    Local,
}

impl Opener {
    const ALL: [Opener; 5] = [Opener::Chunk, Opener::Manifest, Opener::Wrap, Opener::Summary, Opener::Local];

    fn name(self) -> &'static str {
        match self {
            Opener::Chunk => "chunk",
            Opener::Manifest => "manifest-page-1-of-3",
            Opener::Wrap => "wrap",
            Opener::Summary => "summary",
            Opener::Local => "local",
        }
    }

    fn good(self, keyring: &Keyring) -> Vec<u8> {
        let manifest = Context::Manifest { version: VERSION, page: 1, pages: 3, salt: SALT };
        let wrap = Context::Wrap { version: VERSION, epoch: 1, wrap_no: 0, salt: SALT };
        match self {
            Opener::Chunk => chunk_of(keyring, &payload(0, PLAIN.len(), PLAIN.len(), PLAIN, 256)),
            Opener::Manifest => {
                keyring.seal_manifest_page_as::<AwsLc>(&data_key(), manifest, b"not yet a manifest").unwrap()
            }
            Opener::Wrap => keyring.wrap_as::<AwsLc>(&data_key(), wrap).unwrap(),
            Opener::Summary => keyring.seal_summary_as::<AwsLc>(VERSION, SALT, &marker()).unwrap(),
            Opener::Local => keyring.seal_local_as::<AwsLc>("upload", &SALT, b"upload state").unwrap(),
        }
    }

    /// Opens with the cipher `A`; chunks as if their address were right, since anyone can make it so.
    fn open<A: Aead>(self, keyring: &Keyring, bytes: &[u8]) -> crate::Result<()> {
        let plain_len = PLAIN.len().try_into().unwrap();
        let chunk = ChunkRef { address: keyring.suite().address(bytes), t: T, plain_len };
        match self {
            Opener::Chunk => {
                keyring.open_payload::<A>(&chunk, bytes, &mut Vec::new())?;
                keyring.open_chunk(&chunk, bytes).map(drop)
            }
            Opener::Manifest => keyring.open_manifest_page_as::<A>(&data_key(), (VERSION, 1, 3), bytes).map(drop),
            Opener::Wrap => keyring.unwrap_as::<A>(VERSION, bytes, &data_key().commit()).map(drop),
            Opener::Summary => keyring.open_summary_as::<A>(VERSION, bytes).map(drop),
            Opener::Local => keyring.open_local_as::<A>("upload", bytes).map(drop),
        }
    }

    fn aad_len(self, good: &[u8]) -> usize {
        if self == Opener::Local { 88 } else { Envelope::parse(good).unwrap().aad.len() }
    }
}

/// A chunk payload that says what it is told to say.
fn payload(codec: u8, plain_len: usize, coded_len: usize, coded: &[u8], padded_len: usize) -> Vec<u8> {
    let len = |len: usize| u32::try_from(len).unwrap().to_le_bytes();
    let mut out = [&[codec][..], &len(plain_len), &len(coded_len), coded].concat();
    out.resize(9 + padded_len, 0);
    out
}

/// A chunk whose payload is whatever it is.
fn chunk_of(keyring: &Keyring, payload: &[u8]) -> Vec<u8> {
    sealed(keyring, Context::Chunk, &SecretKey::new(T), payload)
}

fn sealed(keyring: &Keyring, context: Context, secret: &SecretKey, payload: &[u8]) -> Vec<u8> {
    let frame = Frame { suite: keyring.suite(), class: 0, hospital: keyring.hospital(), context };
    let mut buffer = frame.buffer("test", payload.len()).unwrap();
    buffer.extend_from_slice(payload);
    frame.seal::<AwsLc>(secret, buffer).unwrap()
}

fn changed(good: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = good.to_vec();
    change(&mut bytes);
    bytes
}

type Case = (&'static str, Opener, Vec<u8>);

/// Cases that every form has.
fn common_cases(keyring: &Keyring, opener: Opener) -> Vec<Case> {
    let good = opener.good(keyring);
    let (aad_len, len) = (opener.aad_len(&good), good.len());
    let other_suite = 3 - keyring.suite().code();
    let foreign = keyring_of(keyring.suite(), HospitalId([0x12; 16]), 0x33);
    let other_root = keyring_of(keyring.suite(), HOSPITAL, 0x34);
    let commit_at = aad_len - 32;
    let mut cases = vec![
        ("empty", Vec::new()),
        ("truncated-in-header", good[..7].to_vec()),
        ("truncated-in-commitment", good[..aad_len - 1].to_vec()),
        ("truncated-before-tag", good[..aad_len].to_vec()),
        ("truncated-by-one", good[..len - 1].to_vec()),
        ("trailing-byte", changed(&good, |bytes| bytes.push(0))),
        ("wrong-magic", changed(&good, |bytes| bytes[0] ^= 1)),
        ("newer-version", changed(&good, |bytes| bytes[4] = 2)),
        ("unknown-suite", changed(&good, |bytes| bytes[5] = 3)),
        ("wrong-suite", changed(&good, |bytes| bytes[5] = other_suite)),
        ("foreign-hospital-in-header", changed(&good, |bytes| bytes[8] ^= 1)),
        ("foreign-hospital", opener.good(&foreign)),
        ("commitment-flipped", changed(&good, |bytes| bytes[commit_at] ^= 1)),
        ("ciphertext-flipped", changed(&good, |bytes| bytes[aad_len] ^= 1)),
        ("tag-flipped", changed(&good, |bytes| bytes[len - 1] ^= 0x80)),
    ];
    if !matches!(opener, Opener::Chunk | Opener::Manifest) {
        cases.push(("other-root", opener.good(&other_root)));
    }
    if opener != Opener::Local {
        let sealed_len = u32::try_from(len - aad_len).unwrap();
        let with_len =
            |sealed_len: u32| changed(&good, |bytes| bytes[24..28].copy_from_slice(&sealed_len.to_le_bytes()));
        let wrong_type = if opener == Opener::Summary { Opener::Wrap } else { Opener::Summary };
        cases.extend([
            ("unknown-type", changed(&good, |bytes| bytes[6] = 9)),
            ("wrong-type", wrong_type.good(keyring)),
            ("class-that-is-not-its-own", changed(&good, |bytes| bytes[7] = 1)),
            ("sealed-length-one-more", with_len(sealed_len + 1)),
            ("sealed-length-one-less", with_len(sealed_len - 1)),
            ("sealed-length-below-tag", with_len(15)),
            ("sealed-length-absurd", with_len(u32::MAX)),
            ("reserved-not-zero", changed(&good, |bytes| bytes[28] = 1)),
        ]);
    }
    cases.into_iter().map(|(name, bytes)| (name, opener, bytes)).collect()
}

/// Cases of chunks: lies inside what is sealed.
fn chunk_cases(keyring: &Keyring) -> Vec<Case> {
    let len = PLAIN.len();
    let zstd = |plain: &[u8]| zstd::bulk::compress(plain, 1).unwrap();
    let (good, bomb, short) = (zstd(PLAIN), zstd(&[0; 100_000]), zstd(&PLAIN[1..]));
    let padding_at = |at: usize| changed(&payload(0, len, len, PLAIN, 256), |payload| payload[9 + at] = 1);
    let cases = vec![
        ("payload-empty", Vec::new()),
        ("payload-cut-in-header", vec![0; 8]),
        ("codec-unknown", payload(2, len, len, PLAIN, 256)),
        ("plain-length-lie", payload(0, len + 1, len, PLAIN, 256)),
        ("plain-length-absurd", payload(0, u32::MAX as usize, len, PLAIN, 256)),
        ("coded-length-lie", payload(0, len, len + 1, PLAIN, 256)),
        ("coded-length-past-the-end", payload(0, len, 257, PLAIN, 256)),
        ("coded-length-absurd", payload(0, len, u32::MAX as usize, PLAIN, 256)),
        ("padding-first-byte-not-zero", padding_at(len)),
        ("padding-last-byte-not-zero", padding_at(255)),
        ("padding-missing", payload(0, len, len, PLAIN, len)),
        ("padding-too-long", payload(0, len, len, PLAIN, 272)),
        ("zstd-garbage", payload(1, len, len, PLAIN, 256)),
        ("zstd-bomb", payload(1, len, bomb.len(), &bomb, 256)),
        ("zstd-too-short", payload(1, len, short.len(), &short, 256)),
        ("zstd-cut", payload(1, len, good.len() - 1, &good[..good.len() - 1], 256)),
    ];
    let cases = cases.into_iter().map(|(name, payload)| (name, Opener::Chunk, chunk_of(keyring, &payload)));
    let other_secret = sealed(keyring, Context::Chunk, &SecretKey::new([0x89; 32]), &payload(0, len, len, PLAIN, 256));
    cases.chain([("sealed-under-another-secret", Opener::Chunk, other_secret)]).collect()
}

/// Cases of the forms that stand for a place: another version, another page, another wrap.
fn place_cases(keyring: &Keyring) -> Vec<Case> {
    let page = |key: &DataKey, version, page, pages| {
        let context = Context::Manifest { version, page, pages, salt: SALT };
        keyring.seal_manifest_page_as::<AwsLc>(key, context, b"not yet a manifest").unwrap()
    };
    let wrap = |key: &DataKey, version| {
        keyring.wrap_as::<AwsLc>(key, Context::Wrap { version, epoch: 1, wrap_no: 0, salt: SALT }).unwrap()
    };
    let (key, other_key) = (data_key(), DataKey::new(SecretKey::new([0x78; 32])));
    let good_page = Opener::Manifest.good(keyring);
    let good_wrap = Opener::Wrap.good(keyring);
    let summary = |secret_version| crate::derive::summary(keyring.view_key(), &SALT, secret_version);
    let summary_context = Context::Summary { version: VERSION, salt: SALT };
    let padded = |plain: &[u8]| {
        let mut out = Vec::new();
        crate::padding::put(&mut out, plain).unwrap();
        out
    };
    vec![
        ("pages-swapped", Opener::Manifest, page(&key, VERSION, 2, 3)),
        ("page-of-a-longer-manifest", Opener::Manifest, page(&key, VERSION, 1, 4)),
        ("page-of-another-version", Opener::Manifest, page(&key, OTHER_VERSION, 1, 3)),
        ("page-renumbered", Opener::Manifest, changed(&page(&key, VERSION, 2, 3), |bytes| bytes[48] = 1)),
        ("page-number-not-below-count", Opener::Manifest, changed(&good_page, |bytes| bytes[48] = 3)),
        ("page-under-another-data-key", Opener::Manifest, page(&other_key, VERSION, 1, 3)),
        ("page-salt-changed", Opener::Manifest, changed(&good_page, |bytes| bytes[56] ^= 1)),
        ("wrap-of-another-version", Opener::Wrap, wrap(&key, OTHER_VERSION)),
        ("wrap-of-another-data-key", Opener::Wrap, wrap(&other_key, VERSION)),
        ("wrap-epoch-changed", Opener::Wrap, changed(&good_wrap, |bytes| bytes[48] = 2)),
        ("wrap-number-changed", Opener::Wrap, changed(&good_wrap, |bytes| bytes[52] = 1)),
        ("wrap-of-a-short-key", Opener::Wrap, {
            let secret = crate::derive::wrap(&keyring.root().key_encryption_key(1), &SALT, VERSION, 1, 0);
            sealed(keyring, Context::Wrap { version: VERSION, epoch: 1, wrap_no: 0, salt: SALT }, &secret, &[0x77; 31])
        }),
        ("summary-of-another-version", Opener::Summary, {
            keyring.seal_summary_as::<AwsLc>(OTHER_VERSION, SALT, &marker()).unwrap()
        }),
        ("summary-moved-to-this-version", Opener::Summary, {
            sealed(keyring, summary_context, &summary(OTHER_VERSION), &padded(&marker().encode()))
        }),
        ("summary-that-is-none", Opener::Summary, {
            sealed(keyring, summary_context, &summary(VERSION), &padded(b"\x09"))
        }),
        ("summary-without-padding", Opener::Summary, {
            let plain = marker().encode();
            let len = u32::try_from(plain.len()).unwrap().to_le_bytes();
            sealed(keyring, summary_context, &summary(VERSION), &[&len[..], &plain].concat())
        }),
        ("local-of-another-label", Opener::Local, {
            keyring.seal_local_as::<AwsLc>("users", &SALT, b"upload state").unwrap()
        }),
        ("local-reserved-not-zero", Opener::Local, { changed(&Opener::Local.good(keyring), |bytes| bytes[6] = 1) }),
    ]
}

#[test]
fn every_wrong_form_is_refused_with_its_own_error_by_both_implementations() {
    for suite in Suite::ALL {
        let keyring = keyring(suite);
        let mut cases: Vec<Case> = Opener::ALL.into_iter().flat_map(|opener| common_cases(&keyring, opener)).collect();
        cases.extend(chunk_cases(&keyring));
        cases.extend(place_cases(&keyring));
        assert!(cases.len() >= 40);
        let mut text = String::new();
        for (name, opener, bytes) in cases {
            let error = |result: crate::Result<()>| match result {
                Ok(()) => panic!("{} {name} must be refused", opener.name()),
                Err(error) => code(&error),
            };
            let pure_rust = error(opener.open::<PureRust>(&keyring, &bytes));
            let error = error(opener.open::<AwsLc>(&keyring, &bytes));
            assert_eq!(error, pure_rust, "{name}");
            text += &format!("{name} | {} | {error} | {}\n", opener.name(), hex::encode(bytes));
        }
        compare_with_golden(&format!("wrong-suite-{}.txt", suite.code()), &text);
    }
}

#[test]
fn the_forms_that_the_wrong_ones_are_made_from_open() {
    for suite in Suite::ALL {
        let keyring = keyring(suite);
        for opener in Opener::ALL {
            opener.open::<AwsLc>(&keyring, &opener.good(&keyring)).unwrap();
            opener.open::<PureRust>(&keyring, &opener.good(&keyring)).unwrap();
        }
    }
}

#[test]
fn every_flipped_bit_of_every_form_is_refused() {
    for suite in Suite::ALL {
        let keyring = keyring(suite);
        for opener in Opener::ALL {
            let good = opener.good(&keyring);
            for bit in 0..good.len() * 8 {
                let flipped = changed(&good, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                assert!(opener.open::<AwsLc>(&keyring, &flipped).is_err(), "{} bit {bit}", opener.name());
            }
        }
    }
}

#[test]
fn every_form_cut_anywhere_is_refused() {
    let keyring = keyring(Suite::Default);
    for opener in Opener::ALL {
        let good = opener.good(&keyring);
        for len in 0..good.len() {
            assert!(opener.open::<AwsLc>(&keyring, &good[..len]).is_err(), "{} cut at {len}", opener.name());
        }
    }
}

#[test]
fn a_chunk_that_is_not_what_its_address_names_is_refused_before_it_is_opened() {
    let keyring = keyring(Suite::Default);
    let stored = Opener::Chunk.good(&keyring);
    let plain_len = PLAIN.len().try_into().unwrap();
    let chunk = ChunkRef { address: shosoin_protocol::Address([0; 32]), t: T, plain_len };
    let error = refused(keyring.open_chunk(&chunk, &stored));
    assert!(matches!(error, Error::Form { source: shosoin_protocol::Error::Mismatch { what: "address", .. }, .. }));
    let lying = ChunkRef { address: keyring.suite().address(&stored), t: T, plain_len: plain_len - 1 };
    assert!(matches!(refused(keyring.open_chunk(&lying, &stored)), Error::Content { .. }));
}

#[test]
fn a_wrap_is_refused_where_the_entry_commits_to_another_key() {
    let keyring = keyring(Suite::Cryptrec);
    let wrap = Opener::Wrap.good(&keyring);
    let error = refused(keyring.unwrap(VERSION, &wrap, &Digest([0; 32])));
    assert!(matches!(error, Error::Commitment { what: "data key" }));
}

#[test]
fn a_record_over_the_limit_is_refused_when_sealed_and_when_opened() {
    let keyring = keyring(Suite::Default);
    let limit = shosoin_protocol::limits::RECORD_BYTES_MAX;
    let huge = vec![0; limit];
    let error = refused(keyring.seal_manifest_page(&data_key(), VERSION, 0, 1, &huge));
    assert!(matches!(error, Error::TooLong { .. }));
    assert!(keyring.open_summary(VERSION, &vec![0; limit + 1]).is_err());
    let facts = "v".repeat(1000);
    let tags = (0..1100).map(|at| (format!("{at}"), facts.clone())).collect();
    let summary = Summary::Tags { bucket: "b".into(), name: "n".into(), version: VERSION, tags };
    assert!(keyring.seal_summary(VERSION, &summary).is_err());
}

#[test]
fn a_page_number_at_or_above_the_count_is_not_sealed() {
    let keyring = keyring(Suite::Default);
    assert!(keyring.seal_manifest_page(&data_key(), VERSION, 3, 3, b"").is_err());
}
