use super::*;

fn head(size: u64) -> Checkpoint {
    let (vault, hospital) = (VaultId([0x7a; 16]), HospitalId([0x41; 16]));
    Checkpoint { vault, hospital, size, root: Digest([0x22; 32]), time_ms: 1_767_225_600_000, term: 3 }
}

fn key(suite: Suite) -> SigningKey {
    SigningKey::from_seed(suite, &[3; 32].into()).unwrap()
}

#[test]
fn a_signed_head_reads_back_under_both_suites() {
    for suite in Suite::ALL {
        for size in [0, 1, u64::MAX] {
            let signed = head(size).sign(&key(suite));
            assert_eq!(Checkpoint::verify(&signed, &key(suite).public()), Ok(head(size)));
        }
    }
}

#[test]
fn the_key_id_of_an_ed25519_key_is_that_of_the_go_checksum_database() {
    let published = BASE64.decode("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8").unwrap();
    let key = PublicKey::Ed25519(published[1..].try_into().unwrap());
    assert_eq!(hex::encode(key_id("sum.golang.org", &key)), "033de0ae");
}

#[test]
fn the_key_id_of_a_p256_key_is_that_of_the_sigstore_log() {
    let spki = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2G2Y+2tabdTV5BcGiBIx0a9fAFwrkBbmLSGtks4L3qX6yYY0zufBnhC8Ur/iy55GhWP/9A/bY2LhC30M9+RYtw==";
    let spki = BASE64.decode(spki).unwrap();
    let mut compressed = [0; 33];
    compressed[0] = 2 + (spki[90] & 1);
    compressed[1..].copy_from_slice(&spki[27..59]);
    let key = PublicKey::P256(compressed);
    assert_eq!(key.p256_spki().unwrap(), spki);
    assert_eq!(hex::encode(key_id("rekor.sigstore.dev", &key)), "c0d23d6a");
}

#[test]
fn sixteen_witnesses_fit_and_change_nothing() {
    let mut signed = head(9).sign(&key(Suite::Default));
    for witness in 0..16 {
        let line = BASE64.encode([witness; 76]);
        signed += &format!("\u{2014} witness.example/{witness} {line}\n");
    }
    assert_eq!(Checkpoint::verify(&signed, &key(Suite::Default).public()), Ok(head(9)));
}

#[test]
fn a_line_of_our_name_and_another_key_id_is_of_a_key_we_do_not_know() {
    let (old, new) = (key(Suite::Default), SigningKey::from_seed(Suite::Default, &[4; 32].into()).unwrap());
    let (first, second) = (head(9).sign(&old), head(9).sign(&new));
    let (_, line) = second.rsplit_once("\n\n").unwrap();
    let both = first + line;
    assert_eq!(Checkpoint::verify(&both, &old.public()), Ok(head(9)));
    assert_eq!(Checkpoint::verify(&both, &new.public()), Ok(head(9)));
}

#[test]
fn one_bad_line_of_our_key_spoils_the_note() {
    let signed = head(9).sign(&key(Suite::Default));
    let other = head(10).sign(&key(Suite::Default));
    let (_, line) = other.rsplit_once("\n\n").unwrap();
    let both = signed + line;
    assert_eq!(Checkpoint::verify(&both, &key(Suite::Default).public()), Err(Error::Signature { what: "checkpoint" }));
}

#[test]
fn a_suite_2_signature_has_one_der_form() {
    let signing = key(Suite::Cryptrec);
    let signed = head(9).sign(&signing);
    let (text, line) = signed.trim_end().rsplit_once(' ').unwrap();
    let mut bytes = BASE64.decode(line).unwrap();
    bytes.push(0);
    let wrong = format!("{text} {}\n", BASE64.encode(bytes));
    assert!(Checkpoint::verify(&wrong, &signing.public()).is_err());
}

#[test]
fn base64_with_bits_left_over_is_refused() {
    let signed = head(9).sign(&key(Suite::Default));
    let root = BASE64.encode([0x22; 32]);
    assert!(root.ends_with("I="), "the last digit carries two bits that must be zero: {root}");
    let wrong = signed.replace(&root, &root.replace("I=", "J="));
    assert_ne!(wrong, signed);
    assert!(Checkpoint::parse(&wrong).is_err());
}
