//! The key file: what is wrong with it has its own error each.

use super::forms::token_share;
use super::*;
use crate::keyfile::{Argon2Params, open, open_with_token, seal, seal_with_token, token_of};
use shosoin_protocol::ErrorKind;
use shosoin_protocol::suite::sha256;

const QUICK: Argon2Params = Argon2Params { memory_kib: 64, passes: 1, lanes: 1 };

/// A key file whose bytes were changed by someone who knows where its digest is.
fn forged(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = seal(&keyring(Suite::Default), b"secret", QUICK).unwrap();
    file.truncate(file.len() - 32);
    change(&mut file);
    let digest = sha256(&[&file]);
    file.extend_from_slice(&digest.0);
    file
}

#[test]
fn a_keyring_comes_back_from_its_key_file_whole() {
    for suite in Suite::ALL {
        let keyring = Keyring::generate(suite).unwrap();
        let back = open(&seal(&keyring, b"secret", QUICK).unwrap(), b"secret").unwrap();
        assert_eq!(back.suite(), suite);
        assert_eq!(back.hospital(), keyring.hospital());
        assert_eq!(back.device_id(), keyring.device_id());
        assert_eq!(back.enrolment(), keyring.enrolment());
        assert_eq!(back.tls_certificate_der(), keyring.tls_certificate_der());
        assert_eq!(back.tls_key_der(), keyring.tls_key_der());
        assert_eq!(back.tls_pin(), keyring.tls_pin());
        let stored = keyring.seal_summary(VERSION, &marker()).unwrap();
        assert_eq!(back.open_summary(VERSION, &stored).unwrap(), marker());
        assert!(shosoin_protocol::api::Enrolment::verify(&back.enrolment()).is_ok());
    }
}

#[test]
fn a_key_file_of_a_token_opens_with_passphrase_and_token_and_says_which_token_it_needs() {
    let keyring = keyring(Suite::Default);
    let share = || token_share([0x31; 32]);
    let file = seal_with_token(&keyring, b"secret", QUICK, &share()).unwrap();
    assert_eq!(token_of(&file).unwrap().as_ref(), Some(share().part()));
    assert_eq!(token_of(&seal(&keyring, b"secret", QUICK).unwrap()).unwrap(), None);
    let back = open_with_token(&file, b"secret", |part| {
        assert_eq!(part, share().part());
        Ok(share())
    });
    assert_eq!(back.unwrap().enrolment(), keyring.enrolment());
    let error = refused(open(&file, b"secret"));
    assert!(
        matches!(&error, Error::NeedsToken { label, serial } if label == "hospital" && serial == "8a1f"),
        "{error}"
    );
    assert!(matches!(refused(open_with_token(&file, b"other", |_| Ok(share()))), Error::WrongPassphrase));
    assert!(matches!(refused(open_with_token(&file, b"secret", |_| Ok(token_share([0; 32])))), Error::WrongPassphrase));
    assert!(matches!(refused(open_with_token(&file, b"secret", |_| Err(Error::WrongPin))), Error::WrongPin));
    for at in 4..file.len() {
        let mut flipped = file.clone();
        flipped[at] ^= 1 << (at % 8);
        let asked = open_with_token(&flipped, b"secret", |_| panic!("a damaged file asked the token, at {at}"));
        assert!(matches!(refused(asked), Error::DamagedKeyFile { .. } | Error::NewerKeyFile { .. }), "{at}");
    }
}

#[test]
fn two_key_files_of_one_keyring_share_no_salt() {
    let keyring = keyring(Suite::Default);
    assert_ne!(seal(&keyring, b"secret", QUICK).unwrap(), seal(&keyring, b"secret", QUICK).unwrap());
}

#[test]
fn a_wrong_passphrase_is_called_a_wrong_passphrase() {
    let file = seal(&keyring(Suite::Default), b"secret", QUICK).unwrap();
    for wrong in [&b"Secret"[..], b"secret ", b"", b"secret\0"] {
        let error = refused(open(&file, wrong));
        assert!(matches!(error, Error::WrongPassphrase), "{error}");
        assert_eq!(error.kind(), ErrorKind::Refused);
    }
}

#[test]
fn an_empty_passphrase_seals_nothing() {
    assert!(matches!(refused(seal(&keyring(Suite::Default), b"", QUICK)), Error::EmptyPassphrase));
}

#[test]
fn a_key_file_cut_anywhere_is_damaged_or_foreign_and_never_a_wrong_passphrase() {
    let file = seal(&keyring(Suite::Default), b"secret", QUICK).unwrap();
    for len in 0..file.len() {
        match refused(open(&file[..len], b"secret")) {
            Error::ForeignKeyFile if len < 5 => {}
            Error::DamagedKeyFile { .. } if len >= 5 => {}
            error => panic!("cut at {len}: {error}"),
        }
    }
}

#[test]
fn every_flipped_bit_of_a_key_file_is_called_damage() {
    let file = seal(&keyring(Suite::Default), b"secret", QUICK).unwrap();
    for at in 0..file.len() {
        let mut flipped = file.clone();
        flipped[at] ^= 1 << (at % 8);
        match refused(open(&flipped, b"secret")) {
            Error::ForeignKeyFile if at < 4 => {}
            Error::NewerKeyFile { known: 1, .. } if at == 4 => {}
            Error::DamagedKeyFile { .. } if at > 4 => {}
            error => panic!("flipped at {at}: {error}"),
        }
    }
}

#[test]
fn a_foreign_file_is_called_foreign() {
    let age = b"age-encryption.org/v1\n-> scrypt";
    assert!(matches!(refused(open(age, b"secret")), Error::ForeignKeyFile));
    let enrolment = keyring(Suite::Default).enrolment();
    assert!(matches!(refused(open(&enrolment, b"secret")), Error::ForeignKeyFile));
}

#[test]
fn a_newer_key_file_is_called_newer_whatever_follows_its_version() {
    let error = refused(open(b"shky\x02 and whatever a later release writes", b"secret"));
    assert!(matches!(error, Error::NewerKeyFile { found: 2, known: 1 }));
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[test]
fn absurd_parameters_are_refused_before_any_memory_is_spent() {
    for (at, value, what) in [
        (24, u32::MAX, "memory (KiB)"),
        (24, 0, "memory (KiB)"),
        (28, u32::MAX, "passes"),
        (28, 0, "passes"),
        (32, u32::MAX, "lanes"),
        (32, 0, "lanes"),
        (32, 16, "memory (KiB)"),
    ] {
        let file = forged(|file| file[at..at + 4].copy_from_slice(&value.to_le_bytes()));
        match (what, refused(open(&file, b"secret"))) {
            ("memory (KiB)", Error::Argon2Params { what: "memory (KiB)", .. }) if value != 16 => {}
            ("memory (KiB)", Error::Argon2Params { what: "memory (KiB)", found: 64, least: 128, .. }) => {}
            (expected, Error::Argon2Params { what, found, .. }) if what == expected && found == value => {}
            (_, error) => panic!("{what} = {value}: {error}"),
        }
    }
}

#[test]
fn a_forged_header_never_opens() {
    let unknown_suite = forged(|file| file[5] = 9);
    assert!(matches!(refused(open(&unknown_suite, b"secret")), Error::DamagedKeyFile { .. }));
    let reserved = forged(|file| file[6] = 1);
    assert!(matches!(refused(open(&reserved, b"secret")), Error::DamagedKeyFile { .. }));
    let other_suite = forged(|file| file[5] = 2);
    assert!(matches!(refused(open(&other_suite, b"secret")), Error::DamagedKeyFile { .. }));
    let other_hospital = forged(|file| file[8] ^= 1);
    assert!(matches!(refused(open(&other_hospital, b"secret")), Error::DamagedKeyFile { .. }));
    let other_salt = forged(|file| file[36] ^= 1);
    assert!(matches!(refused(open(&other_salt, b"secret")), Error::WrongPassphrase));
    let sealed = forged(|file| *file.last_mut().unwrap() ^= 1);
    assert!(matches!(refused(open(&sealed, b"secret")), Error::DamagedKeyFile { .. }));
}

#[test]
fn the_default_cost_is_64_mib_three_passes_one_lane() {
    let file = seal(&keyring(Suite::Default), b"secret", Argon2Params::default()).unwrap();
    assert_eq!(file[24..36], [0, 0, 1, 0, 3, 0, 0, 0, 1, 0, 0, 0]);
    assert!(open(&file, b"secret").is_ok());
}
