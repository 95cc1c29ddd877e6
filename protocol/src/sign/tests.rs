use super::*;

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn key(suite: Suite, seed: &str) -> SigningKey {
    SigningKey::from_seed(suite, &bytes(seed).into()).unwrap()
}

#[test]
fn ed25519_signs_as_rfc_8032_test_1_says() {
    let key = key(Suite::Default, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    assert_eq!(key.public().to_string(), "01d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let expected = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    assert_eq!(key.sign(Domain::Note, b""), Signature(bytes(expected)));
}

const RFC_6979_KEY: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";

#[test]
fn p256_signs_as_rfc_6979_says_where_its_s_is_the_lower() {
    let key = key(Suite::Cryptrec, RFC_6979_KEY);
    let expected = "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083";
    assert_eq!(key.sign(Domain::Note, b"test"), Signature(bytes(expected)));
}

#[test]
fn p256_signs_with_the_lower_s_where_rfc_6979_has_the_higher() {
    let key = key(Suite::Cryptrec, RFC_6979_KEY);
    let published = "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
    let published = Signature(bytes(published));
    let made = key.sign(Domain::Note, b"sample");
    assert_eq!(made.0[..32], published.0[..32]);
    assert_ne!(made.0[32..], published.0[32..]);
    key.public().verify(Domain::Note, b"sample", &made).unwrap();
    key.public().verify(Domain::Note, b"sample", &published).unwrap_err();
}

#[test]
fn a_signature_is_good_for_one_key_one_domain_and_one_message() {
    let domains = [Domain::Entry, Domain::Receipt, Domain::Device, Domain::Enrolment, Domain::Note];
    for suite in Suite::ALL {
        let signer = key(suite, &"01".repeat(32));
        let others = [key(suite, &"02".repeat(32)), key(Suite::ALL[2 - suite.code() as usize], &"01".repeat(32))];
        for made_for in domains {
            let signature = signer.sign(made_for, b"message");
            for shown_for in domains {
                let verified = signer.public().verify(shown_for, b"message", &signature).is_ok();
                assert_eq!(verified, made_for == shown_for, "{made_for:?} shown for {shown_for:?}");
            }
            signer.public().verify(made_for, b"massage", &signature).unwrap_err();
            for other in &others {
                other.public().verify(made_for, b"message", &signature).unwrap_err();
            }
        }
    }
}

#[test]
fn a_signature_with_any_bit_changed_does_not_verify() {
    for suite in Suite::ALL {
        let signer = key(suite, &"01".repeat(32));
        let signature = signer.sign(Domain::Entry, b"message");
        for bit in 0..Signature::LEN * 8 {
            let mut wrong = signature;
            wrong.0[bit / 8] ^= 1 << (bit % 8);
            signer.public().verify(Domain::Entry, b"message", &wrong).unwrap_err();
        }
    }
}

/// Compressed y from p to 2^255 - 1, with both signs: some decompress, none is the canonical form of its point.
#[test]
fn no_ed25519_key_has_a_second_encoding() {
    let mut decompressed = 0;
    for above in 0xed..=0xff {
        for sign in [0x7f, 0xff] {
            let mut text = [0xff; 32];
            (text[0], text[31]) = (above, sign);
            decompressed += usize::from(ed25519_dalek::VerifyingKey::from_bytes(&text).is_ok());
            assert!(PublicKey::Ed25519(text).point().is_err(), "{}", hex::encode(text));
        }
    }
    assert!(decompressed > 0, "the library takes some of them, so the check is needed");
}

#[test]
fn the_highest_canonical_y_is_not_refused_for_its_range() {
    let mut text = [0xff; 32];
    (text[0], text[31]) = (0xec, 0x7f);
    assert!(is_below_p25519(&text));
    (text[0], text[31]) = (0xff, 0x7e);
    assert!(is_below_p25519(&text));
}

#[test]
fn a_compact_p256_point_is_refused_though_the_library_takes_it() {
    let PublicKey::P256(mut text) = key(Suite::Cryptrec, &"02".repeat(32)).public() else {
        panic!("suite 2 has P-256 keys");
    };
    text[0] = 0x05;
    assert!(p256::ecdsa::VerifyingKey::from_sec1_bytes(&text).is_ok());
    assert!(PublicKey::P256(text).point().is_err());
}

#[test]
fn a_seed_that_is_no_scalar_of_p256_is_refused() {
    for seed in [[0; 32], [0xff; 32]] {
        assert!(SigningKey::from_seed(Suite::Cryptrec, &seed.into()).is_err());
        assert!(SigningKey::from_seed(Suite::Default, &seed.into()).is_ok());
    }
}

#[test]
fn a_public_key_reads_back_from_its_text() {
    for suite in Suite::ALL {
        let public = key(suite, &"03".repeat(32)).public();
        assert_eq!(public.to_string().parse(), Ok(public.clone()));
        assert!(public.to_string().to_uppercase().parse::<PublicKey>().is_err());
        assert!(format!("{public}00").parse::<PublicKey>().is_err());
        assert_eq!(public.fingerprint().split(' ').map(str::len).collect::<Vec<_>>(), [4; 16]);
    }
}
