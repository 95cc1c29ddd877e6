//! Epochs: who can make and open wraps of them, and what a new wrap must bring.

use super::*;
use crate::wrap::WrapPlace;
use shosoin_protocol::act::{Custody, Epoch, EpochReason, KeySource};

#[test]
fn a_key_wrapped_anew_is_the_same_key_under_another_epoch_and_the_old_wrap_still_opens() {
    for suite in Suite::ALL {
        let keyring = keyring(suite);
        let key = keyring.new_data_key().unwrap();
        let old = keyring.wrap(&key, VERSION, WrapPlace::first(1)).unwrap();
        let new = keyring.rewrap(VERSION, &old, &key.commit(), 3).unwrap();
        assert_eq!(keyring.wrap_place(&new).unwrap(), WrapPlace { epoch: 3, number: 1 });
        for wrap in [&old, &new] {
            let opened = keyring.unwrap(VERSION, wrap, &key.commit()).unwrap();
            assert_eq!(opened.secret().as_bytes(), key.secret().as_bytes(), "{suite:?}");
        }
        assert_eq!(old.len(), new.len());
        let newer = keyring.rewrap(VERSION, &new, &key.commit(), 4).unwrap();
        assert_eq!(keyring.wrap_place(&newer).unwrap(), WrapPlace { epoch: 4, number: 2 });
    }
}

#[test]
fn nothing_is_wrapped_anew_that_the_entry_does_not_commit_to() {
    let keyring = keyring(Suite::Default);
    let (key, other) = (keyring.new_data_key().unwrap(), keyring.new_data_key().unwrap());
    let wrap = keyring.wrap(&key, VERSION, WrapPlace::first(1)).unwrap();
    assert!(matches!(
        refused(keyring.rewrap(VERSION, &wrap, &other.commit(), 2)),
        Error::Commitment { what: "data key" }
    ));
    assert!(matches!(refused(keyring.rewrap(VersionId([0x23; 16]), &wrap, &key.commit(), 2)), Error::Form { .. }));
}

#[test]
fn every_machine_with_the_root_has_the_key_of_an_epoch_and_no_other_root_passes_for_it() {
    for suite in Suite::ALL {
        let (here, stranger) = (keyring(suite), keyring_of(suite, HOSPITAL, [0x34; 32]));
        let elsewhere = Keyring::with_root(suite, HOSPITAL, SecretKey::new(ROOT), SecretKey::new([0x44; 32])).unwrap();
        let epoch = |number| Epoch {
            number,
            reason: EpochReason::Schedule,
            source: KeySource::Root,
            custody: Custody::Passphrase,
            commit: here.epoch_commit(number),
        };
        assert!(here.has_epoch(&epoch(2)) && elsewhere.has_epoch(&epoch(2)));
        assert!(!stranger.has_epoch(&epoch(2)));
        assert!(!here.has_epoch(&Epoch { number: 3, ..epoch(2) }), "an epoch has a key of its own");
    }
}
