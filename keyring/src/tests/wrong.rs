//! Ways to be wrong.
//!
//! Those that a forger without keys can make are cut, flipped or swapped; those that only a faulty sealer could make,
//! a lie inside the sealed bytes, are sealed here with the right keys.

use super::forms::{DRAWN, Form, PASSPHRASE, PLAIN, QUICK, SALT, T, data_key, drawn, open_with, seal_payload};
use super::vectors::{state, vector::Vector};
use super::*;
use crate::seal::{Aead, AwsLc};
use crate::wrap::DataKey;
use crate::{derive, keyfile, padding};
use shosoin_protocol::envelope::{Context, Envelope};
use shosoin_protocol::manifest::ChunkRef;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Address, Digest};

const OTHER_VERSION: VersionId = VersionId([0x23; 16]);

/// Name, why it is wrong, form, bytes.
type Case = (&'static str, &'static str, Form, Vec<u8>);

/// Every wrong form, with the error that it gets from the cipher it was made with.
pub(super) fn wrong_forms<A: Aead>(suite: Suite) -> Vec<Vector> {
    let keyring = keyring(suite);
    let mut cases: Vec<Case> = Form::ALL.into_iter().flat_map(|form| common::<A>(&keyring, form)).collect();
    cases.extend(chunks::<A>(&keyring));
    cases.extend(pages_and_wraps::<A>(&keyring));
    cases.extend(summaries_and_local_files::<A>(&keyring));
    cases.extend(sealed_to_the_hospital::<A>(&keyring));
    cases.extend(key_files::<A>(&keyring));
    cases.extend(key_files_of_tokens::<A>(&keyring));
    cases.into_iter().map(|case| vector_of::<A>(&keyring, case)).collect()
}

fn vector_of<A: Aead>(keyring: &Keyring, (name, note, form, body): Case) -> Vector {
    let mut vector = Vector {
        name: format!("{}/wrong-{name}", form.structure()),
        notes: vec![note.to_owned()],
        structure: form.structure().to_owned(),
        expect: String::new(),
        fields: form.facts(keyring.suite()),
        body,
    };
    match name {
        "address" => vector.fields.insert("address".into(), Address([0; 32]).to_string()),
        "share" => vector.fields.insert("share".into(), hex::encode([0x32; 32])),
        "passphrase" => vector.fields.insert("passphrase".into(), "Correct horse battery staple".into()),
        "commitment-of-the-entry" => vector.fields.insert("dek-commit".into(), Digest([0; 32]).to_string()),
        _ => None,
    };
    vector.expect = match open_with::<A>(keyring, &vector) {
        Ok(_) => panic!("{} must be refused", vector.name),
        Err(error) => state(&error),
    };
    vector
}

fn changed(good: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = good.to_vec();
    change(&mut bytes);
    bytes
}

/// Bytes before the sealed ones.
fn aad_len(form: Form, good: &[u8]) -> usize {
    match form {
        Form::Local => 88,
        Form::KeyFile => 100,
        Form::KeyFileToken => 208,
        _ => Envelope::parse(good).unwrap().aad.len(),
    }
}

/// Cases that every form has. What is wrong with a header alone is in the vectors of `envelope`.
fn common<A: Aead>(keyring: &Keyring, form: Form) -> Vec<Case> {
    let good = form.seal::<A>(keyring);
    let (aad_len, len) = (aad_len(form, &good), good.len());
    let flipped = |at: usize| changed(&good, |bytes| bytes[at] ^= 0x10);
    let mut cases = vec![
        ("truncated", "The last byte is missing.", good[..len - 1].to_vec()),
        ("truncated-before-tag", "Nothing follows the commitment.", good[..aad_len].to_vec()),
        ("trailing", "One byte too many.", changed(&good, |bytes| bytes.push(0))),
        ("magic", "A bit of the magic bytes flipped.", flipped(0)),
        ("newer", "Written by a newer release.", changed(&good, |bytes| bytes[4] = 2)),
        ("suite", "Says a suite that is not its hospital's.", changed(&good, |bytes| bytes[5] ^= 3)),
        ("commitment-flipped", "A bit of the key commitment flipped.", flipped(aad_len - 1)),
        ("ciphertext-flipped", "A bit of the ciphertext flipped.", flipped(aad_len)),
    ];
    if !matches!(form, Form::KeyFile | Form::KeyFileToken) {
        let foreign = keyring_of(keyring.suite(), HospitalId([0x12; 16]), ROOT);
        cases.push(("tag-flipped", "A bit of the tag flipped.", flipped(len - 1)));
        cases.push(("foreign", "Sealed by another hospital with the same root.", form.seal::<A>(&foreign)));
        cases.push(("foreign-relabelled", "As of another hospital, by a flipped bit.", flipped(8)));
    }
    if matches!(form, Form::Wrap | Form::Summary | Form::HospitalWrap | Form::HospitalSummary | Form::Local) {
        let other = keyring_of(keyring.suite(), HOSPITAL, [0x34; 32]);
        cases.push(("root", "Sealed under another root.", form.seal::<A>(&other)));
    }
    if !matches!(form, Form::Local | Form::KeyFile | Form::KeyFileToken) {
        let wrong_type = match form {
            Form::Summary => Form::Wrap,
            Form::HospitalWrap => Form::HospitalSummary,
            Form::HospitalSummary => Form::HospitalWrap,
            _ => Form::Summary,
        };
        cases.push(("type", "A good envelope of another type.", wrong_type.seal::<A>(keyring)));
        cases.push(("class", "Says a class that it was not sealed in.", changed(&good, |bytes| bytes[7] = 1)));
    }
    cases.into_iter().map(|(name, note, bytes)| (name, note, form, bytes)).collect()
}

/// A chunk payload that says what it is told to say.
fn payload(codec: u8, plain_len: usize, coded_len: usize, coded: &[u8], padded_len: usize) -> Vec<u8> {
    let len = |len: usize| u32::try_from(len).unwrap().to_le_bytes();
    let mut out = coded.to_vec();
    out.resize(padded_len, 0);
    [&out[..], &[codec], &len(plain_len), &len(coded_len)].concat()
}

/// Lies inside a chunk.
fn chunks<A: Aead>(keyring: &Keyring) -> Vec<Case> {
    let (len, huge) = (PLAIN.len(), u32::MAX as usize);
    let good = payload(0, len, len, PLAIN, 256);
    let padding = |at: usize| changed(&good, |payload| payload[at] = 1);
    // Frames of zstd: the plain text, one byte less of it, 100,000 zeros.
    let frame = |text: &str| hex::decode(text).unwrap();
    let whole = frame("28b52ffd20108100006f6e652073686f7274207265636f7264");
    let short = frame("28b52ffd200f7900006e652073686f7274207265636f7264");
    let bomb = frame("28b52ffda0a086010003350c00");
    for (frame, len) in [(&whole, PLAIN.len()), (&short, PLAIN.len() - 1), (&bomb, 100_000)] {
        assert_eq!(zstd::bulk::decompress(frame, len).unwrap().len(), len);
    }
    let lies = [
        ("payload-empty", "Nothing is sealed.", Vec::new()),
        ("payload-cut", "The payload ends inside its lengths.", vec![0; 8]),
        ("codec", "A codec that no release knows.", payload(2, len, len, PLAIN, 256)),
        ("plain-length", "Says one byte more than there is.", payload(0, len + 1, len, PLAIN, 256)),
        ("plain-length-absurd", "Says 4 GiB.", payload(0, huge, len, PLAIN, 256)),
        ("coded-length", "Says one coded byte more than there is.", payload(0, len, len + 1, PLAIN, 256)),
        ("coded-length-past-end", "Says more coded bytes than are sealed.", payload(0, len, 257, PLAIN, 256)),
        ("coded-length-absurd", "Says 4 GiB of coded bytes.", payload(0, len, huge, PLAIN, 256)),
        ("padding-first", "The first byte of padding is not zero.", padding(len)),
        ("padding-last", "The last byte of padding is not zero.", padding(255)),
        ("padding-missing", "Not padded.", payload(0, len, len, PLAIN, len)),
        ("padding-long", "Padded to the next length but one.", payload(0, len, len, PLAIN, 272)),
        ("zstd-garbage", "Says zstd over bytes that are none.", payload(1, len, len, PLAIN, 256)),
        ("zstd-bomb", "100,000 bytes instead of 16.", payload(1, len, bomb.len(), &bomb, 256)),
        ("zstd-short", "15 bytes instead of 16.", payload(1, len, short.len(), &short, 256)),
        (
            "zstd-cut",
            "A frame without its last byte.",
            payload(1, len, whole.len() - 1, &whole[..whole.len() - 1], 256),
        ),
    ];
    let seal =
        |secret: [u8; 32], payload: &[u8]| seal_payload::<A>(keyring, Context::Chunk, &SecretKey::new(secret), payload);
    let lies = lies.into_iter().map(|(name, note, payload)| (name, note, Form::Chunk, seal(T, &payload)));
    let others = [
        ("secret", "A good chunk under another secret.", Form::Chunk, seal([0x89; 32], &good)),
        ("address", "A good chunk that is not what its address names.", Form::Chunk, seal(T, &good)),
    ];
    lies.chain(others).collect()
}

/// Good forms in a wrong place.
fn pages_and_wraps<A: Aead>(keyring: &Keyring) -> Vec<Case> {
    let other_key = DataKey::new(SecretKey::new([0x78; 32]));
    let page = |key: &DataKey, version, page, pages| {
        let context = Context::Manifest { version, page, pages, salt: SALT };
        keyring.seal_manifest_page_as::<A>(key, context, &Form::Page.plain()).unwrap()
    };
    let wrap_context = |version| Context::Wrap { version, epoch: 1, wrap_no: 0, salt: SALT };
    let wrap = |key: &DataKey, version| keyring.wrap_as::<A>(key, wrap_context(version)).unwrap();
    let wrap_secret = derive::wrap(&keyring.root().key_encryption_key(1), &SALT, VERSION, 1, 0);
    let (key, good_page, good_wrap) = (data_key(), Form::Page.seal::<A>(keyring), Form::Wrap.seal::<A>(keyring));
    let short_key = seal_payload::<A>(keyring, wrap_context(VERSION), &wrap_secret, &[0x77; 31]);
    vec![
        ("swapped", "Page 2 where page 1 belongs.", Form::Page, page(&key, VERSION, 2, 3)),
        ("count", "Page 1 of a longer manifest.", Form::Page, page(&key, VERSION, 1, 4)),
        ("version", "Page of another version.", Form::Page, page(&key, OTHER_VERSION, 1, 3)),
        ("renumbered", "Page 2 that says it is page 1.", Form::Page, {
            changed(&page(&key, VERSION, 2, 3), |bytes| bytes[48] = 1)
        }),
        ("data-key", "Sealed under another data key.", Form::Page, page(&other_key, VERSION, 1, 3)),
        ("salt", "A bit of its salt flipped.", Form::Page, changed(&good_page, |bytes| bytes[56] ^= 1)),
        ("version", "Wrap of another version.", Form::Wrap, wrap(&key, OTHER_VERSION)),
        ("data-key", "Brings a key that the entry does not commit to.", Form::Wrap, wrap(&other_key, VERSION)),
        ("commitment-of-the-entry", "The entry commits to another key.", Form::Wrap, good_wrap.clone()),
        ("epoch", "Says another epoch.", Form::Wrap, changed(&good_wrap, |bytes| bytes[48] = 2)),
        ("number", "Says it is a later wrap.", Form::Wrap, changed(&good_wrap, |bytes| bytes[52] = 1)),
        ("short-key", "Holds a key of 31 bytes.", Form::Wrap, short_key),
    ]
}

fn summaries_and_local_files<A: Aead>(keyring: &Keyring) -> Vec<Case> {
    let secret = |version| derive::summary(keyring.view_key(), &SALT, version);
    let context = Context::Summary { version: VERSION, salt: SALT };
    let summary = |secret, payload: &[u8]| seal_payload::<A>(keyring, context, &secret, payload);
    let len = |plain: &[u8]| u32::try_from(plain.len()).unwrap().to_le_bytes();
    let padded = |plain: &[u8]| [plain, &padding::tail(plain.len(), &len(plain))].concat();
    let plain = marker().encode();
    let unpadded = [&plain[..], &len(&plain)].concat();
    let other_version = keyring.seal_summary_as::<A>(OTHER_VERSION, SALT, &marker()).unwrap();
    let moved = summary(secret(OTHER_VERSION), &padded(&plain));
    let (none, unpadded) = (summary(secret(VERSION), &padded(&[9])), summary(secret(VERSION), &unpadded));
    let other_label = keyring.seal_local_as::<A>("users", &SALT, &Form::Local.plain()).unwrap();
    let reserved = changed(&Form::Local.seal::<A>(keyring), |bytes| bytes[6] = 1);
    vec![
        ("version", "Summary of another version.", Form::Summary, other_version),
        ("moved", "Of another version, relabelled.", Form::Summary, moved),
        ("content", "Opens, but is no summary.", Form::Summary, none),
        ("padding-missing", "Not padded.", Form::Summary, unpadded),
        ("label", "Sealed as another kind of file.", Form::Local, other_label),
        ("reserved", "A reserved byte is not zero.", Form::Local, reserved),
    ]
}

/// Of a machine that only deposits, in a wrong place or to another key.
fn sealed_to_the_hospital<A: Aead>(keyring: &Keyring) -> Vec<Case> {
    let to = keyring.deposit_key();
    let wrap =
        |key: &DataKey, version, random| keyring.wrap_to_hospital_as::<A>(&to, key, version, drawn(random)).unwrap();
    let summary =
        |version, random| keyring.seal_summary_to_hospital_as::<A>(&to, version, &marker(), drawn(random)).unwrap();
    let (key, other_key) = (data_key(), DataKey::new(SecretKey::new([0x78; 32])));
    let (good_wrap, good_summary) = (wrap(&key, VERSION, DRAWN), summary(VERSION, DRAWN));
    // header 32, version 16, then the encapsulated key up to the commitment
    let encapsulated_of = |good: &[u8], other: &[u8]| {
        let end = Envelope::parse(good).unwrap().aad.len() - 32;
        changed(good, |bytes| bytes[48..end].copy_from_slice(&other[48..end]))
    };
    let to_another = keyring_of(keyring.suite(), HOSPITAL, [0x34; 32]).deposit_key();
    let strange = keyring.wrap_to_hospital_as::<A>(&to_another, &key, VERSION, drawn(DRAWN)).unwrap();
    let moved = |bytes: &[u8]| changed(bytes, |bytes| bytes[32..48].copy_from_slice(&VERSION.0));
    let (wrap_note, summary_note) = ("Wrap of another version.", "Summary of another version.");
    let relabelled = "Of another version, relabelled.";
    let encapsulated = "The encapsulated key of another sealing.";
    vec![
        ("version", wrap_note, Form::HospitalWrap, wrap(&key, OTHER_VERSION, DRAWN)),
        ("version", summary_note, Form::HospitalSummary, summary(OTHER_VERSION, DRAWN)),
        ("moved", relabelled, Form::HospitalWrap, moved(&wrap(&key, OTHER_VERSION, DRAWN))),
        ("moved", relabelled, Form::HospitalSummary, moved(&summary(OTHER_VERSION, DRAWN))),
        ("encapsulated", encapsulated, Form::HospitalWrap, encapsulated_of(&good_wrap, &wrap(&key, VERSION, 0x9a))),
        ("encapsulated", encapsulated, Form::HospitalSummary, encapsulated_of(&good_summary, &summary(VERSION, 0x9a))),
        ("to-another-key", "Sealed to the deposit key of another root.", Form::HospitalWrap, strange),
        ("data-key", "Brings a key that the entry does not commit to.", Form::HospitalWrap, {
            wrap(&other_key, VERSION, DRAWN)
        }),
        ("commitment-of-the-entry", "The entry commits to another key.", Form::HospitalWrap, good_wrap.clone()),
        ("retyped", "A summary that says it is a wrap.", Form::HospitalWrap, {
            changed(&good_summary, |bytes| bytes[6] = good_wrap[6])
        }),
    ]
}

/// A key file changed by someone who knows how its digest is made.
fn forged(file: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = file[..file.len() - 32].to_vec();
    change(&mut file);
    let digest = sha256(&[&file]);
    file.extend_from_slice(&digest.0);
    file
}

fn key_files<A: Aead>(keyring: &Keyring) -> Vec<Case> {
    let good = keyfile::seal_as::<A>(keyring, PASSPHRASE.as_bytes(), QUICK, &SALT).unwrap();
    let number = |at: usize, value: u32| forged(&good, |file| file[at..at + 4].copy_from_slice(&value.to_le_bytes()));
    let forged = |at: usize| forged(&good, |file| file[at] ^= 1);
    let last = good.len() - 33;
    let cases = [
        ("passphrase", "The passphrase in the fields is not the one it was sealed with.", good.clone()),
        ("foreign", "Not a key file.", b"age-encryption.org/v1\n-> scrypt".to_vec()),
        ("memory-absurd", "Asks for 4 TiB; its digest is right.", number(24, u32::MAX)),
        ("passes-absurd", "Asks for 2^32 - 1 passes; its digest is right.", number(28, u32::MAX)),
        ("lanes-zero", "Asks for no lane; its digest is right.", number(32, 0)),
        ("forged-hospital", "Another hospital's id; its digest is right.", forged(8)),
        ("forged-reserved", "A reserved byte is not zero; its digest is right.", forged(6)),
        ("forged-tag", "A bit of the tag flipped; its digest is right.", forged(last)),
    ];
    cases.into_iter().map(|(name, note, bytes)| (name, note, Form::KeyFile, bytes)).collect()
}

fn key_files_of_tokens<A: Aead>(keyring: &Keyring) -> Vec<Case> {
    let good = Form::KeyFileToken.seal::<A>(keyring);
    let set = |at: usize, value: u8| forged(&good, |file| file[at] = value);
    let cases = [
        ("passphrase", "The passphrase in the fields is not the one it was sealed with.", good.clone()),
        ("share", "The token gives another share.", good.clone()),
        ("mechanism", "No such mechanism; its digest is right.", set(68, 3)),
        ("forged-reserved", "A reserved byte is not zero; its digest is right.", set(69, 1)),
        ("forged-key", "Names another key; its digest is right.", set(72, 1)),
        ("label-control", "A line feed in the label; its digest is right.", set(104, b'\n')),
        ("serial-text", "A serial number that is not UTF-8; its digest is right.", set(88, 0xff)),
        ("forged-wrapped", "Another wrapped share; its digest is right.", set(136, 1)),
        ("relabelled", "Says that it needs no token; its digest is right.", set(3, b'y')),
    ];
    cases.into_iter().map(|(name, note, bytes)| (name, note, Form::KeyFileToken, bytes)).collect()
}

/// Whether changed bytes open with the facts of a good specimen.
fn opens(keyring: &Keyring, form: Form, body: Vec<u8>) -> bool {
    let (structure, fields) = (form.structure().to_owned(), form.facts(keyring.suite()));
    let vector = Vector { name: String::new(), notes: Vec::new(), structure, expect: String::new(), fields, body };
    open_with::<AwsLc>(keyring, &vector).is_ok()
}

#[test]
fn every_flipped_bit_of_every_form_is_refused() {
    for suite in Suite::ALL {
        let keyring = keyring(suite);
        for form in Form::ALL {
            let good = form.seal::<AwsLc>(&keyring);
            assert!(opens(&keyring, form, good.clone()));
            for bit in 0..good.len() * 8 {
                let flipped = changed(&good, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                assert!(!opens(&keyring, form, flipped), "{form:?} bit {bit}");
            }
        }
    }
}

#[test]
fn every_form_cut_anywhere_is_refused() {
    let keyring = keyring(Suite::Default);
    for form in Form::ALL {
        let good = form.seal::<AwsLc>(&keyring);
        for len in 0..good.len() {
            assert!(!opens(&keyring, form, good[..len].to_vec()), "{form:?} cut at {len}");
        }
    }
}

#[test]
fn a_chunk_that_is_not_what_its_address_names_is_refused_before_it_is_opened() {
    let keyring = keyring(Suite::Default);
    let chunk = ChunkRef { address: Address([0; 32]), t: T, plain_len: PLAIN.len().try_into().unwrap() };
    let error = refused(keyring.open_chunk(&chunk, b"not even an envelope"));
    assert!(matches!(error, Error::Form { source: shosoin_protocol::Error::Mismatch { what: "address", .. }, .. }));
}

#[test]
fn a_record_over_the_limit_is_refused_when_sealed_and_when_opened() {
    let keyring = keyring(Suite::Default);
    let limit = shosoin_protocol::limits::RECORD_BYTES_MAX;
    let error = refused(keyring.seal_manifest_page(&data_key(), VERSION, 0, 1, &vec![0; limit]));
    assert!(matches!(error, Error::TooLong { .. }));
    let error = refused(keyring.open_summary(VERSION, &vec![0; limit + 1]));
    assert!(matches!(error, Error::Form { source: shosoin_protocol::Error::OverLimit { .. }, .. }));
}

#[test]
fn a_page_number_at_or_above_the_count_is_not_sealed() {
    assert!(keyring(Suite::Default).seal_manifest_page(&data_key(), VERSION, 3, 3, b"").is_err());
}
