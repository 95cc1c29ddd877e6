//! What is sealed comes back, who meets whom, and what a failing machine gets.

use super::*;
use crate::chunk::{Codec, Scratch};
use crate::seal::{Aead, AwsLc};
use crate::wrap::WrapPlace;
use proptest::prelude::*;
use shosoin_protocol::ErrorKind;
use shosoin_protocol::envelope::{Envelope, TAG_LEN};
use shosoin_protocol::limits::{CHUNK_PLAIN_BYTES_MAX, DEDUP_PLAIN_BYTES_MIN};

const DEDUP_MIN: usize = DEDUP_PLAIN_BYTES_MIN as usize;

fn seal(keyring: &Keyring, class: u8, plain: &[u8]) -> crate::SealedChunk {
    keyring.seal_chunk(class, Codec::None, plain, &mut Scratch::default()).unwrap()
}

#[test]
fn equal_chunks_meet_inside_one_hospital_and_class_and_nowhere_else() {
    let plain = noise(DEDUP_MIN);
    for suite in Suite::ALL {
        let home = keyring(suite);
        let sealed = seal(&home, 1, &plain);
        assert_eq!(seal(&home, 1, &plain).bytes, sealed.bytes);
        let others = [
            seal(&home, 2, &plain),
            seal(&keyring_of(suite, HospitalId([9; 16]), ROOT), 1, &plain),
            seal(&keyring_of(suite, HOSPITAL, [0x34; 32]), 1, &plain),
            seal(&home, 1, &plain[1..]),
        ];
        for other in others {
            assert_ne!(other.chunk.address, sealed.chunk.address);
            assert_ne!(other.chunk.t, sealed.chunk.t);
        }
    }
}

#[test]
fn equal_chunks_below_64_kib_or_in_class_0_differ() {
    let keyring = keyring(Suite::Default);
    for (class, plain) in [(1, noise(DEDUP_MIN - 1)), (0, noise(DEDUP_MIN)), (1, Vec::new())] {
        let (one, two) = (seal(&keyring, class, &plain), seal(&keyring, class, &plain));
        assert_ne!(one.chunk.address, two.chunk.address);
        assert_ne!(one.chunk.t, two.chunk.t);
        assert_eq!(Envelope::parse(&one.bytes).unwrap().header.class, 0);
    }
}

#[test]
fn a_whole_chunk_carries_no_padding_and_lengths_that_pad_alike_look_alike() {
    let keyring = keyring(Suite::Default);
    assert_eq!(seal(&keyring, 0, &noise(1 << 18)).bytes.len(), 64 + 9 + (1 << 18) + TAG_LEN);
    assert_eq!(seal(&keyring, 0, b"a").bytes.len(), seal(&keyring, 0, &noise(200)).bytes.len());
}

#[test]
fn a_chunk_over_the_limit_is_refused_and_the_largest_is_not() {
    let (keyring, mut scratch) = (keyring(Suite::Default), Scratch::default());
    let mut plain = vec![7; CHUNK_PLAIN_BYTES_MAX as usize];
    let sealed = keyring.seal_chunk(0, Codec::None, &plain, &mut scratch).unwrap();
    assert_eq!(keyring.open_chunk(&sealed.chunk, &sealed.bytes).unwrap(), plain);
    plain.push(7);
    let error = refused(keyring.seal_chunk(0, Codec::None, &plain, &mut scratch));
    assert!(matches!(error, Error::TooLong { found, .. } if found == plain.len()));
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn zstd_is_used_only_where_it_saves() {
    let (keyring, mut scratch) = (keyring(Suite::Cryptrec), Scratch::default());
    let text = b"SERIES DESCRIPTION: CT THORAX; ".repeat(40_000);
    let mut half = noise(1 << 20);
    half[400_000..].fill(0);
    let mut noisy_middle = vec![0; 1 << 20];
    noisy_middle[(1 << 19) - 65_536..(1 << 19) + 65_536].copy_from_slice(&noise(131_072));
    for (plain, smaller) in [(text, true), (half, true), (noise(1 << 20), false), (noisy_middle, false)] {
        let sealed = keyring.seal_chunk(1, Codec::Zstd, &plain, &mut scratch).unwrap();
        assert_eq!(sealed.bytes.len() < plain.len(), smaller);
        assert_eq!(keyring.open_chunk(&sealed.chunk, &sealed.bytes).unwrap(), plain);
    }
}

#[test]
fn a_summary_that_could_not_be_read_back_is_not_sealed() {
    let summary = Summary::Marker { bucket: "b".into(), name: "n".repeat(2000), modified_ms: 0, null_version: false };
    let error = refused(keyring(Suite::Default).seal_summary(VERSION, &summary));
    assert!(matches!(error, Error::Unreadable { .. }));
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

/// A machine that flips a bit of the plain text on its way into the cipher.
struct FlipsBefore;
/// A machine that flips a bit of the ciphertext after the tag was made.
struct FlipsAfter;
/// A machine that expands a key wrongly while it seals.
struct WrongKey;

impl Aead for FlipsBefore {
    fn seal(key: &SecretKey, aad: &[u8], content: &[u8], tail: &[u8], out: &mut [u8]) -> crate::Result<()> {
        let mut content = content.to_vec();
        content[100] ^= 0x10;
        AwsLc::seal(key, aad, &content, tail, out)
    }

    fn open(key: &SecretKey, aad: &[u8], sealed: &[u8], out: &mut [u8]) -> crate::Result<bool> {
        AwsLc::open(key, aad, sealed, out)
    }
}

impl Aead for FlipsAfter {
    fn seal(key: &SecretKey, aad: &[u8], content: &[u8], tail: &[u8], out: &mut [u8]) -> crate::Result<()> {
        AwsLc::seal(key, aad, content, tail, out)?;
        out[100] ^= 0x10;
        Ok(())
    }

    fn open(key: &SecretKey, aad: &[u8], sealed: &[u8], out: &mut [u8]) -> crate::Result<bool> {
        AwsLc::open(key, aad, sealed, out)
    }
}

impl Aead for WrongKey {
    fn seal(key: &SecretKey, aad: &[u8], content: &[u8], tail: &[u8], out: &mut [u8]) -> crate::Result<()> {
        let mut wrong = *key.as_bytes();
        wrong[0] ^= 1;
        AwsLc::seal(&SecretKey::new(wrong), aad, content, tail, out)
    }

    fn open(key: &SecretKey, aad: &[u8], sealed: &[u8], out: &mut [u8]) -> crate::Result<bool> {
        AwsLc::open(key, aad, sealed, out)
    }
}

#[test]
fn a_flipped_bit_while_sealing_is_met_before_the_chunk_is_given_out() {
    fn seal_on<A: Aead>() -> Error {
        let secret = |_: &[u8], _: &[u8]| SecretKey::random();
        let mut scratch = Scratch::default();
        refused(keyring(Suite::Default).seal_chunk_as::<A>(0, Codec::None, &noise(4096), &mut scratch, secret))
    }
    for error in [seal_on::<FlipsBefore>(), seal_on::<FlipsAfter>(), seal_on::<WrongKey>()] {
        assert!(matches!(error, Error::SelfCheck), "{error}");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
}

fn any_suite() -> impl Strategy<Value = Suite> {
    prop_oneof![Just(Suite::Default), Just(Suite::Cryptrec)]
}

fn any_plain() -> impl Strategy<Value = Vec<u8>> {
    let random = proptest::collection::vec(any::<u8>(), 0..5000);
    let long = (0usize..300_000).prop_map(noise);
    let repeated = (any::<u8>(), 0usize..300_000).prop_map(|(byte, len)| vec![byte; len]);
    prop_oneof![random, long, repeated]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunks_come_back(suite in any_suite(), class in 0u8..3, zstd in any::<bool>(), plain in any_plain()) {
        let (keyring, codec) = (keyring(suite), if zstd { Codec::Zstd } else { Codec::None });
        let sealed = keyring.seal_chunk(class, codec, &plain, &mut Scratch::default()).unwrap();
        prop_assert_eq!(sealed.chunk.address, suite.address(&sealed.bytes));
        prop_assert_eq!(sealed.chunk.plain_len as usize, plain.len());
        prop_assert_eq!(keyring.open_chunk(&sealed.chunk, &sealed.bytes).unwrap(), plain);
    }

    #[test]
    fn pages_wraps_and_local_files_come_back(
        suite in any_suite(),
        plain in any_plain(),
        page in 0u32..10,
        epoch in any::<u32>(),
        number in any::<u32>(),
        label in "[a-z]{0,20}",
    ) {
        let keyring = keyring(suite);
        let key = keyring.new_data_key().unwrap();
        let wrap = keyring.wrap(&key, VERSION, WrapPlace { epoch, number }).unwrap();
        let unwrapped = keyring.unwrap(VERSION, &wrap, &key.commit()).unwrap();
        let stored = keyring.seal_manifest_page(&key, VERSION, page, 10, &plain).unwrap();
        let again = keyring.seal_manifest_page(&key, VERSION, page, 10, &plain).unwrap();
        prop_assert_ne!(&stored, &again, "a page sealed twice has two keys");
        prop_assert_eq!(&keyring.open_manifest_page(&unwrapped, VERSION, page, 10, &stored).unwrap(), &plain);
        let local = keyring.seal_local(&label, &plain).unwrap();
        prop_assert_eq!(keyring.open_local(&label, &local).unwrap(), plain);
    }

    #[test]
    fn openers_are_total(suite in any_suite(), bytes in proptest::collection::vec(any::<u8>(), 0..400), header in 0usize..5) {
        let keyring = keyring(suite);
        let mut stored = bytes;
        let magic: &[u8] = [&b""[..], b"shsn\x01", b"shlc\x01", b"shky\x01", b"shsn\x01\x01\x01\x00"][header];
        stored.splice(0..0, magic.iter().copied());
        prop_assert!(keyring.open_summary(VERSION, &stored).is_err());
        prop_assert!(keyring.open_local("x", &stored).is_err());
        prop_assert!(keyring.unwrap(VERSION, &stored, &shosoin_protocol::Digest([0; 32])).is_err());
        prop_assert!(crate::keyfile::open(&stored, b"x").is_err());
        let chunk = shosoin_protocol::manifest::ChunkRef { address: suite.address(&stored), t: [1; 32], plain_len: 1 };
        prop_assert!(keyring.open_chunk(&chunk, &stored).is_err());
    }
}
