//! Shares of the root: golden vectors, any quorum, every way to be wrong, sheets and drills.

use super::vectors::{state, vector, vector::Vector};
use super::*;
use crate::escrow::{self, Quorum, Share, Shared, drill::Drill, sheet};
use proptest::prelude::*;
use shosoin_protocol::suite::sha256;
use std::collections::BTreeMap;
use std::path::Path;
use vsss_rs::Gf256;

const NOW: u64 = 1_790_000_000_000;
const SET: [u8; 16] = [0x99; 16];

fn quorum(needed: u8, shares: u8) -> Quorum {
    Quorum { needed, shares }
}

fn again(share: &Share) -> Share {
    Share::decode(&share.encode()).unwrap()
}

fn chosen(shares: &[Share], which: &[usize]) -> Vec<Share> {
    which.iter().map(|at| again(&shares[*at])).collect()
}

fn higher(needed: u8) -> Vec<Shared> {
    let noise = noise(64 * usize::from(needed - 1));
    noise.chunks(64).map(|coefficients| Zeroizing::new(coefficients.to_vec())).collect()
}

/// Two of three, without randomness.
fn specimen(suite: Suite) -> Vec<Share> {
    keyring(suite).split_with(quorum(2, 3), NOW, SET, &higher(2)).unwrap()
}

/// A share with `change` made and its checksum right again, as a forger would.
fn forged(share: &Share, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = share.encode()[..142].to_vec();
    change(&mut bytes);
    let checksum = sha256(&[&bytes]).0;
    bytes.extend_from_slice(&checksum[..8]);
    bytes
}

fn altered(share: &Share, by: u8) -> Share {
    Share::decode(&forged(share, |bytes| bytes[100] ^= by)).unwrap()
}

fn made() -> Vec<Vector> {
    let vector = |name: String, note: &str, expect: String, fields: BTreeMap<String, String>, body: Vec<u8>| Vector {
        name: format!("escrow-share/{name}"),
        notes: vec![note.to_owned()],
        structure: "escrow-share".into(),
        expect,
        fields,
        body,
    };
    let mut all = Vec::new();
    for suite in Suite::ALL {
        for share in specimen(suite) {
            let fields = [
                ("suite", suite.code().to_string()),
                ("hospital", HOSPITAL.to_string()),
                ("root", hex::encode(ROOT)),
                ("hospital-seed", hex::encode([0x44; 32])),
                ("coefficients", hex::encode(&*higher(2)[0])),
                ("set", hex::encode(SET)),
                ("index", share.index().to_string()),
                ("made-day", share.facts().made_day.to_string()),
                ("code", sheet::code(&share).to_string()),
            ];
            let fields = fields.map(|(key, value)| (key.to_owned(), value)).into();
            let (name, note) =
                (format!("valid-{}-suite-{}", share.index(), suite.code()), "One of three; two are needed.");
            all.push(vector(name, note, "ok".into(), fields, share.encode().to_vec()));
        }
    }
    for (name, note, body) in wrong() {
        let expect = state(&refused(Share::decode(&body)));
        all.push(vector(format!("wrong-{name}"), note, expect, BTreeMap::new(), body));
    }
    all
}

fn wrong() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let share = &specimen(Suite::Default)[0];
    let good = share.encode().to_vec();
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    vec![
        ("magic", "Not a share.", changed(0, b'S')),
        ("newer", "Written by a newer release.", changed(4, 2)),
        ("value-flipped", "A bit of the value flipped.", changed(100, good[100] ^ 1)),
        ("checksum-flipped", "A bit of the checksum flipped.", changed(149, good[149] ^ 1)),
        ("truncated", "The last byte is missing.", good[..149].to_vec()),
        ("trailing", "One byte too many, checksum and all.", forged(share, |bytes| bytes.push(0))),
        ("empty", "Nothing.", Vec::new()),
        ("suite", "An unknown suite.", forged(share, |bytes| bytes[5] = 3)),
        ("needed-one", "One share would be the root itself.", forged(share, |bytes| bytes[6] = 1)),
        ("needed-too-many", "More are needed than there are.", forged(share, |bytes| bytes[6] = 4)),
        ("shares-too-many", "More than a split may have.", forged(share, |bytes| bytes[7] = 17)),
        ("index-zero", "The place of the root itself.", forged(share, |bytes| bytes[8] = 0)),
        ("index-beyond", "Not one of its split.", forged(share, |bytes| bytes[8] = 4)),
        ("reserved", "A reserved byte is not zero.", forged(share, |bytes| bytes[9] = 1)),
    ]
}

/// With `SHOSOIN_NEW_VECTORS=1` it writes the files that are not there yet; one that is there is never changed.
#[test]
fn the_committed_shares_are_still_made_read_and_refused_as_their_files_state() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors");
    if std::env::var_os("SHOSOIN_NEW_VECTORS").is_some() {
        for vector in &made() {
            let path = folder.join(&vector.name).with_extension("txt");
            if !path.exists() {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, vector.render()).unwrap();
            }
        }
    }
    let committed: Vec<Vector> = vector::load(&folder).unwrap();
    let committed: Vec<Vector> = committed.into_iter().filter(|vector| vector.structure == "escrow-share").collect();
    let (mut committed, mut made) = (committed, made());
    committed.sort_by(|a, b| a.name.cmp(&b.name));
    made.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(committed, made);
}

#[test]
fn offsets_are_those_of_the_page() {
    let share = &specimen(Suite::Default)[2];
    let bytes = share.encode();
    assert_eq!(bytes.len(), escrow::SHARE_LEN);
    assert_eq!(bytes[..10], *b"shes\x01\x01\x02\x03\x03\x00");
    assert_eq!(bytes[10..14], 20717u32.to_le_bytes());
    assert_eq!((&bytes[14..30], &bytes[30..46]), (&HOSPITAL.0[..], &SET[..]));
    assert_eq!(bytes[142..], sha256(&[&bytes[..142]]).0[..8]);
    let drill = Drill { quorum: quorum(3, 5), used: 4, made_day: 7, set: SET, held_ms: NOW };
    let body = drill.encode();
    assert_eq!(
        (&body[..8], &body[8..24], &body[24..]),
        (&[1, 3, 5, 4, 7, 0, 0, 0][..], &SET[..], &NOW.to_le_bytes()[..])
    );
    assert_eq!(Drill::decode(&body).unwrap(), drill);
    assert!(Drill::decode(&body[..31]).is_err() && Drill::decode(&[&body[..], &[0]].concat()).is_err());
}

#[test]
fn every_pair_of_three_brings_back_the_same_keys_and_a_device_of_its_own() {
    for suite in Suite::ALL {
        let (old, shares) = (keyring(suite), specimen(suite));
        for pair in [[0, 1], [0, 2], [2, 1]] {
            let new = escrow::combine(&chosen(&shares, &pair)).unwrap().keyring().unwrap();
            assert_eq!(new.secrets().root.as_bytes(), &ROOT);
            assert_eq!((new.suite(), new.hospital()), (suite, HOSPITAL));
            assert_eq!(new.hospital_key().public(), old.hospital_key().public());
            assert_eq!(new.name_token("scans", "a"), old.name_token("scans", "a"));
            assert_ne!(new.device_id(), old.device_id());
            assert_ne!(new.tls_pin(), old.tls_pin());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_quorum_of_any_split_brings_the_root_back_and_a_second_implementation_agrees(
        (needed, shares) in (2u8..=16).prop_flat_map(|shares| (2..=shares, Just(shares))),
        order in Just((0..16usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let keyring = keyring(Suite::Default);
        let split = keyring.split(quorum(needed, shares), NOW).unwrap();
        let which: Vec<usize> = order.into_iter().filter(|at| *at < shares.into()).take(needed.into()).collect();
        let some = chosen(&split, &which);
        prop_assert!(some.iter().all(|share| keyring.is_shared_by(share.facts())));
        let root = escrow::combine(&some).unwrap().keyring().unwrap();
        prop_assert_eq!(root.secrets().root.as_bytes(), &ROOT);
        let theirs: Vec<Vec<u8>> =
            some.iter().map(|share| [&[share.index()], &share.encode()[78..142]].concat()).collect();
        prop_assert_eq!(Gf256::combine_bytes(&theirs).unwrap(), [[0x33; 32], [0x44; 32]].concat());
        let too_few = refused(escrow::combine(&some[1..]));
        prop_assert!(matches!(too_few, Error::TooFewShares { .. }), "{}", too_few);
    }

    #[test]
    fn one_or_two_wrong_characters_are_found_in_their_line(
        line in 0usize..12, at in 0usize..22, other in 0usize..22, by in 1usize..32, twice in any::<bool>(),
    ) {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let text = sheet::code(&specimen(Suite::Default)[0]).to_string();
        let mut bytes = text.into_bytes();
        for at in if twice && at != other { vec![at, other] } else { vec![at] } {
            let place = &mut bytes["SHOSOIN1:".len() + line * 22 + at];
            let symbol = ALPHABET.iter().position(|letter| letter == place).unwrap();
            *place = ALPHABET[(symbol + by) % 32];
        }
        let error = refused(sheet::read(std::str::from_utf8(&bytes).unwrap()));
        prop_assert!(matches!(error, Error::SheetLine { line: found, .. } if found == line + 1), "{}", error);
    }

    #[test]
    fn no_text_and_no_bytes_make_a_reader_panic(text in ".{0,400}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (sheet::read(&text), sheet::read(&format!("SHOSOIN1:{text}")), Share::decode(&bytes), Drill::decode(&bytes));
    }
}

/// A generator that never gives zero, or only odd numbers, has been another library's fault: then too few shares tell
/// something. Of 38,400 coefficients every value must come up.
#[test]
fn coefficients_take_every_value() {
    let mut seen = [false; 256];
    for _ in 0..600 {
        let split = keyring(Suite::Default).split(quorum(2, 2), NOW).unwrap();
        let value = &split[0].encode()[78..142];
        let secret = [[0x33; 32], [0x44; 32]].concat();
        value.iter().zip(secret).for_each(|(value, secret)| seen[usize::from(value ^ secret)] = true);
    }
    assert!(seen.iter().all(|seen| *seen));
}

#[test]
fn shares_that_do_not_belong_together_are_refused() {
    let (ours, other) = (specimen(Suite::Default), keyring(Suite::Default).split(quorum(2, 3), NOW).unwrap());
    let foreign = keyring_of(Suite::Default, HospitalId([0x12; 16]), ROOT).split(quorum(2, 3), NOW).unwrap();
    let pair = |b: &Share| escrow::combine(&[again(&ours[0]), again(b)]);
    assert!(matches!(refused(pair(&other[1])), Error::MixedShares { what: "split" }));
    assert!(matches!(refused(pair(&foreign[1])), Error::MixedShares { what: "hospital" }));
    let other_day = Share::decode(&forged(&ours[1], |bytes| bytes[10] ^= 1)).unwrap();
    assert!(matches!(refused(pair(&other_day)), Error::MixedShares { what: "description of the split" }));
    assert!(matches!(refused(pair(&ours[0])), Error::RepeatedShare { index: 1 }));
    assert!(matches!(refused(escrow::combine(&ours[..1])), Error::TooFewShares { found: 1, needed: 2 }));
    assert!(matches!(refused(escrow::combine(&[])), Error::TooFewShares { found: 0, .. }));
}

#[test]
fn an_altered_share_is_refused_and_named_where_the_others_can_tell() {
    let split = keyring(Suite::Default).split(quorum(3, 5), NOW).unwrap();
    let with = |which: &[usize], bad: &[usize]| {
        let shares = which.iter().map(|at| match bad.iter().position(|bad| bad == at) {
            Some(nth) => altered(&split[*at], [4, 0x91][nth]),
            None => again(&split[*at]),
        });
        refused(escrow::combine(&shares.collect::<Vec<_>>()))
    };
    assert!(matches!(with(&[0, 1, 2], &[1]), Error::AlteredShares { which } if which.is_empty()));
    assert!(matches!(with(&[0, 1, 2, 3], &[1]), Error::AlteredShares { which } if which == [2]));
    assert!(matches!(with(&[4, 3, 2, 1, 0], &[4, 0]), Error::AlteredShares { which } if which == [5, 1]));
    assert!(matches!(with(&[0, 1, 2, 3], &[1, 2]), Error::AlteredShares { which } if which.is_empty()));
    assert!(escrow::combine(&chosen(&split, &[0, 1, 2, 3, 4])).is_ok());
}

/// Shares 1 and 5 have equal weights beside 4, so that equal changes cancel: the root is right, and still it cannot be
/// told who altered what.
#[test]
fn changes_that_cancel_are_refused_and_nobody_is_accused() {
    let split = keyring(Suite::Default).split(quorum(3, 5), NOW).unwrap();
    let changed = |at: usize| if matches!(at, 0 | 4) { altered(&split[at], 4) } else { again(&split[at]) };
    let shares: Vec<Share> = [4, 3, 0, 1, 2].map(changed).into();
    assert!(matches!(refused(escrow::combine(&shares)), Error::AlteredShares { which } if which.is_empty()));
    assert!(escrow::combine(&shares[..3]).is_ok());
}

/// Raising one's own index, or the description that all carry, gives nothing: the commitment covers both.
#[test]
fn a_lower_quorum_cannot_be_written_into_shares() {
    let split = keyring(Suite::Default).split(quorum(3, 5), NOW).unwrap();
    let lowered = |share: &Share| Share::decode(&forged(share, |bytes| bytes[6] = 2)).unwrap();
    let all: Vec<Share> = split.iter().map(lowered).collect();
    assert!(matches!(refused(escrow::combine(&all)), Error::AlteredShares { .. }));
    assert!(!keyring(Suite::Default).is_shared_by(all[0].facts()));
}

#[test]
fn a_split_that_makes_no_sense_is_refused() {
    for (needed, shares) in [(0, 5), (1, 5), (6, 5), (3, 17), (2, 0)] {
        let error = refused(keyring(Suite::Default).split(quorum(needed, shares), NOW));
        assert!(matches!(error, Error::Quorum { .. }), "{needed} of {shares}: {error}");
    }
}

#[test]
fn a_sheet_is_read_however_it_was_typed_and_whatever_stands_around_it() {
    let share = &specimen(Suite::Default)[1];
    let (lines, code) = (sheet::lines(share), sheet::code(share));
    let reads = |text: &str| assert_eq!(*sheet::read(text).unwrap().encode(), *share.encode(), "{text}");
    reads(&lines);
    reads(&code);
    reads(&format!("<html>\n12 people met, 3 left\n<pre>\n{}</pre>\n2026 a sheet\n", &*lines));
    reads(&lines.to_lowercase().replace('0', "o").replace('1', "l"));
    let reversed: Vec<&str> = lines.lines().rev().collect();
    reads(&reversed.join("\r\n"));
}

#[test]
fn a_sheet_with_a_line_missing_twice_there_or_exchanged_is_refused_by_that_line() {
    let lines = sheet::lines(&specimen(Suite::Default)[0]).to_string();
    let at = |text: &str| match refused(sheet::read(text)) {
        Error::SheetLine { line, .. } => line,
        other => panic!("{other}"),
    };
    let kept: Vec<&str> = lines.lines().collect();
    assert_eq!(at(&[&kept[..6], &kept[7..]].concat().join("\n")), 7);
    assert_eq!(at(&format!("{lines}{}\n", kept[2])), 3);
    let exchanged = lines.replace("\n05 ", "\nxx ").replace("\n04 ", "\n05 ").replace("\nxx ", "\n04 ");
    assert_eq!(at(&exchanged), 5);
    assert_eq!(at("nothing here"), 1);
    assert_eq!(at("SHOSOIN1:ABC"), 0);
}

#[test]
fn a_drill_is_written_only_for_the_right_root_and_counts_for_a_year() {
    let (ours, foreign) = (keyring(Suite::Default), keyring_of(Suite::Default, HOSPITAL, [0x34; 32]));
    let restored = escrow::combine(&specimen(Suite::Default)[..2]).unwrap();
    assert!(matches!(refused(Drill::held(&foreign, &restored, 2, NOW)), Error::OtherRoot));
    let drill = Drill::held(&ours, &restored, 2, NOW).unwrap();
    let file = drill.seal(&ours).unwrap();
    assert_eq!(Drill::open(&ours, &file).unwrap(), drill);
    assert!(Drill::open(&foreign, &file).is_err());
    assert!(drill.counts(NOW) && drill.counts(NOW + 365 * 86_400_000));
    assert!(!drill.counts(NOW + 365 * 86_400_000 + 1) && !drill.counts(NOW - 1));
}
