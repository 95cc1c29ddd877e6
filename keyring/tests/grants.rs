//! Grants: sealed for one hospital, word for word, with every KEM (8.1-R6).
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use shosoin_keyring::{DataKey, Keyring};
use shosoin_protocol::act::Versions;
use shosoin_protocol::act::share::{ShareGrant, ShareKem, SharePurpose, ShareTerms, key_digest};
use shosoin_protocol::share::ShareCard;
use shosoin_protocol::{Suite, VersionId};

const KEMS: [ShareKem; 3] = [ShareKem::X25519, ShareKem::P256, ShareKem::XWing];

fn card(keyring: &Keyring, kem: ShareKem) -> ShareCard {
    ShareCard::verify(&keyring.share_card(kem).unwrap()).unwrap()
}

fn terms(card: &ShareCard, versions: u8) -> ShareTerms {
    ShareTerms {
        kem: card.kem,
        purpose: SharePurpose::Opinion,
        recipient: card.hospital,
        recipient_key: key_digest(card.kem, &card.share_key),
        consent: [7; 16],
        expires_ms: 1_800_000_000_000,
        versions: Versions::new((1..=versions).map(|no| VersionId([no; 16])).collect()).unwrap(),
    }
}

fn keys(keyring: &Keyring, count: u8) -> Vec<DataKey> {
    (0..count).map(|_| keyring.new_data_key().unwrap()).collect()
}

#[test]
fn the_recipient_opens_the_keys_that_were_granted_in_their_order_with_every_kem() {
    for suite in Suite::ALL {
        let (owner, recipient) = (Keyring::generate(suite).unwrap(), Keyring::generate(Suite::Cryptrec).unwrap());
        for kem in KEMS {
            let (card, keys) = (card(&recipient, kem), keys(&owner, 3));
            let grant = owner.seal_grant(terms(&card, 3), &card, &keys).unwrap();
            let opened = recipient.open_grant(owner.hospital(), suite, &grant).unwrap();
            assert!(opened.iter().map(DataKey::commit).eq(keys.iter().map(DataKey::commit)));
            let again = owner.seal_grant(terms(&card, 3), &card, &keys).unwrap();
            assert_ne!(again.encapsulated, grant.encapsulated, "each grant has randomness of its own");
        }
    }
}

#[test]
fn nobody_else_opens_a_grant_and_no_word_of_it_can_be_changed() {
    let suite = Suite::Default;
    let [owner, recipient, third] = [0; 3].map(|_| Keyring::generate(suite).unwrap());
    for kem in KEMS {
        let card = card(&recipient, kem);
        let grant = owner.seal_grant(terms(&card, 2), &card, &keys(&owner, 2)).unwrap();
        assert!(third.open_grant(owner.hospital(), suite, &grant).is_err(), "a third hospital");
        assert!(owner.open_grant(owner.hospital(), suite, &grant).is_err(), "the owner by this way");
        let opens = |grant: &ShareGrant| recipient.open_grant(owner.hospital(), suite, grant).is_ok();
        assert!(opens(&grant));
        let changed = |change: &dyn Fn(&mut ShareGrant)| {
            let mut other = grant.clone();
            change(&mut other);
            other
        };
        let changes: [&dyn Fn(&mut ShareGrant); 7] = [
            &|grant| grant.terms.expires_ms += 1,
            &|grant| grant.terms.purpose = SharePurpose::Research,
            &|grant| grant.terms.consent[0] ^= 1,
            &|grant| grant.terms.versions = Versions::new(vec![VersionId([1; 16]), VersionId([3; 16])]).unwrap(),
            &|grant| grant.sealed[0] ^= 1,
            &|grant| grant.encapsulated[3] ^= 1,
            &|grant| grant.terms.recipient_key.0[0] ^= 1,
        ];
        for (no, change) in changes.iter().enumerate() {
            assert!(!opens(&changed(change)), "{kem:?}: change {no}");
        }
        assert!(recipient.open_grant(third.hospital(), suite, &grant).is_err(), "said to be another owner's");
        assert!(recipient.open_grant(owner.hospital(), Suite::Cryptrec, &grant).is_err(), "of another suite");
    }
}

#[test]
fn a_card_is_for_one_hospital_and_comes_back_with_its_root() {
    let keyring = Keyring::generate(Suite::Default).unwrap();
    let other = Keyring::generate(Suite::Default).unwrap();
    let good = card(&keyring, ShareKem::X25519);
    assert_eq!(good, card(&keyring, ShareKem::X25519));
    assert!(owner_refuses(&other, &good));
    let mut bytes = keyring.share_card(ShareKem::X25519).unwrap();
    let last = bytes.len() - 80;
    bytes[last] ^= 1;
    assert!(ShareCard::verify(&bytes).is_err(), "a changed card");
}

/// A grant for another hospital than the one on the card is not sealed.
fn owner_refuses(owner: &Keyring, card: &ShareCard) -> bool {
    let elsewhere = ShareTerms { recipient: owner.hospital(), ..terms(card, 1) };
    owner.seal_grant(elsewhere, card, &keys(owner, 1)).is_err()
}
