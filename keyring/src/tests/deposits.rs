//! Machines that only deposit: what they seal, the hospital opens, and nothing that they have opens anything.

use super::*;
use crate::keyfile::{self, Argon2Params, deposit};
use crate::seal::{self, AwsLc};
use crate::{DataKey, DepositTerms, WrapPlace};
use shosoin_protocol::VaultId;
use shosoin_protocol::envelope::{Envelope, EnvelopeType};
use shosoin_protocol::manifest::BucketFacts;
use shosoin_protocol::policy::DepositPolicy;

const CHEAP: Argon2Params = Argon2Params { memory_kib: 8, passes: 1, lanes: 1 };

fn summary() -> Summary {
    Summary::Bucket(BucketFacts::new("modality", 7))
}

fn terms(keyring: &Keyring) -> DepositTerms {
    DepositTerms {
        vault: VaultId([0x7a; 16]),
        vault_key: keyring.hospital_key().public(),
        bucket: "charts".to_owned(),
        prefix: "modality-3/".to_owned(),
        policy: DepositPolicy::default(),
        chunk_plain_bytes: 1 << 20,
        codec: 1,
    }
}

/// What a machine stored: data key, its wrap, a summary.
fn stored(machine: &Keyring) -> (DataKey, Vec<u8>, Vec<u8>) {
    let key = machine.new_data_key().unwrap();
    let wrap = machine.wrap(&key, VERSION, WrapPlace::first(1)).unwrap();
    let sealed = machine.seal_summary(VERSION, &summary()).unwrap();
    (key, wrap, sealed)
}

#[test]
fn the_hospital_opens_what_its_machine_sealed_and_wraps_it_anew_under_an_epoch() {
    for suite in Suite::ALL {
        let hospital = keyring(suite);
        let machine = hospital.new_depositor().unwrap();
        assert!(machine.only_deposits() && !hospital.only_deposits());
        assert_eq!((machine.hospital(), machine.suite()), (hospital.hospital(), suite));
        let (key, wrap, sealed) = stored(&machine);
        assert!(EnvelopeType::HospitalWrap.is_of(&wrap) && EnvelopeType::HospitalSummary.is_of(&sealed));
        assert_eq!(hospital.open_summary(VERSION, &sealed).unwrap(), summary());
        let opened = hospital.unwrap(VERSION, &wrap, &key.commit()).unwrap();
        assert_eq!(opened.secret().as_bytes(), key.secret().as_bytes());
        assert_eq!(hospital.wrap_place(&wrap).unwrap(), WrapPlace::TO_HOSPITAL);
        let anew = hospital.rewrap(VERSION, &wrap, &key.commit(), 3).unwrap();
        assert_eq!(hospital.wrap_place(&anew).unwrap(), WrapPlace { epoch: 3, number: 1 });
        assert_eq!(hospital.unwrap(VERSION, &anew, &key.commit()).unwrap().commit(), key.commit());
        // nothing is sealed twice under one secret
        assert_ne!(machine.wrap(&key, VERSION, WrapPlace::first(1)).unwrap()[48..], wrap[48..]);
    }
}

#[test]
fn what_was_sealed_for_one_place_opens_in_no_other() {
    for suite in Suite::ALL {
        let hospital = keyring(suite);
        let (key, wrap, sealed) = stored(&hospital.new_depositor().unwrap());
        let other = VersionId([0x23; 16]);
        assert!(
            hospital.open_summary(other, &sealed).is_err() && hospital.unwrap(other, &wrap, &key.commit()).is_err()
        );
        let moved = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            bytes[32..48].copy_from_slice(&other.0);
            bytes
        };
        assert!(matches!(hospital.open_summary(other, &moved(&sealed)), Err(Error::Commitment { .. })));
        assert!(hospital.unwrap(other, &moved(&wrap), &key.commit()).is_err());
        let mut retyped = sealed.clone();
        retyped[6] = EnvelopeType::HospitalWrap as u8;
        assert!(matches!(hospital.unwrap(VERSION, &retyped, &key.commit()), Err(Error::Commitment { .. })));
        for at in (0..wrap.len()).filter(|at| *at != 6) {
            let mut flipped = wrap.clone();
            flipped[at] ^= 1;
            assert!(hospital.unwrap(VERSION, &flipped, &key.commit()).is_err(), "byte {at}");
        }
        let stranger = keyring_of(suite, HospitalId([0x12; 16]), ROOT);
        assert!(stranger.open_summary(VERSION, &sealed).is_err());
        let other_root = keyring_of(suite, HOSPITAL, [0x34; 32]);
        assert!(matches!(other_root.open_summary(VERSION, &sealed), Err(Error::Commitment { .. })));
        let wrong = hospital.new_data_key().unwrap();
        assert!(matches!(hospital.unwrap(VERSION, &wrap, &wrong.commit()), Err(Error::Commitment { .. })));
    }
}

#[test]
fn nothing_in_the_key_file_of_a_machine_opens_what_it_or_the_hospital_stored() {
    for suite in Suite::ALL {
        let hospital = keyring(suite);
        let enrolled = hospital.new_depositor().unwrap();
        let file = deposit::seal(&enrolled, &terms(&hospital), b"machine", CHEAP).unwrap();
        let (machine, found) = deposit::open(&file, b"machine").unwrap();
        assert_eq!((machine.device_id(), machine.tls_pin()), (enrolled.device_id(), enrolled.tls_pin()));
        assert_eq!((machine.deposits_to(), found), (enrolled.deposits_to(), terms(&hospital)));
        let (key, wrap, sealed) = stored(&machine);
        let of_hospital = hospital.seal_summary(VERSION, &summary()).unwrap();
        let wrap_of_hospital = hospital.wrap(&key, VERSION, WrapPlace::first(1)).unwrap();
        for keyring in [&machine, &enrolled] {
            assert!(
                keyring.open_summary(VERSION, &sealed).is_err() && keyring.open_summary(VERSION, &of_hospital).is_err()
            );
            assert!(keyring.unwrap(VERSION, &wrap, &key.commit()).is_err());
            assert!(keyring.unwrap(VERSION, &wrap_of_hospital, &key.commit()).is_err());
        }
        // every 32 bytes that stand anywhere in what the passphrase opens, as a root and as the secret of an envelope
        let secret = CHEAP.stretch(b"machine", file[36..68].try_into().unwrap(), None).unwrap();
        let (aad, sealed_body) = file[..file.len() - 32].split_at(100);
        let mut body = Vec::new();
        seal::open_after::<AwsLc>("key file", &secret, aad, sealed_body, &mut body).unwrap();
        assert!(body.len() > 500);
        for window in body.windows(32) {
            let tried = keyring_of(suite, HOSPITAL, window.try_into().unwrap());
            assert!(
                tried.open_summary(VERSION, &sealed).is_err() && tried.open_summary(VERSION, &of_hospital).is_err()
            );
            for stored in [&wrap, &sealed, &of_hospital, &wrap_of_hospital] {
                let (mut out, envelope) = (Vec::new(), Envelope::parse(stored).unwrap());
                let secret = SecretKey::new(window.try_into().unwrap());
                assert!(seal::open::<AwsLc>("tried", &envelope, &secret, &mut out).is_err());
            }
        }
        for secret in [hospital.secrets().root.as_bytes(), hospital.secrets().hospital_seed.as_bytes()] {
            assert!(!body.windows(32).any(|window| window == secret));
        }
    }
}

#[test]
fn a_machines_key_file_is_no_hospitals_and_the_other_way_round() {
    let hospital = keyring(Suite::Default);
    let machine = hospital.new_depositor().unwrap();
    let file = deposit::seal(&machine, &terms(&hospital), b"machine", CHEAP).unwrap();
    assert!(matches!(keyfile::open(&file, b"machine"), Err(Error::DepositOnly)));
    assert!(matches!(deposit::open(&file, b"other"), Err(Error::WrongPassphrase)));
    let of_hospital = keyfile::seal(&hospital, b"hospital", CHEAP).unwrap();
    assert!(matches!(deposit::open(&of_hospital, b"hospital"), Err(Error::ForeignKeyFile)));
    assert!(deposit::seal(&hospital, &terms(&hospital), b"machine", CHEAP).is_err());
    let mut renamed = file.clone();
    renamed[..4].copy_from_slice(b"shky");
    assert!(matches!(keyfile::open(&renamed, b"machine"), Err(Error::DamagedKeyFile { .. })));
    for at in 0..file.len() {
        let mut flipped = file.clone();
        flipped[at] ^= 1;
        assert!(deposit::open(&flipped, b"machine").is_err(), "byte {at}");
    }
    let enrolment = shosoin_protocol::api::Enrolment::verify(&hospital.enrolment_of(&machine)).unwrap();
    assert_eq!(enrolment.hospital_key, hospital.hospital_key().public());
    assert_eq!(enrolment.device_key, machine.device_key().public());
}
