//! Sharing by consent between hospitals of one vault (8.1-R5, 8.1-R6, T21): who gets what, and who gets nothing.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::*;
use futures::TryStreamExt as _;
use shosoin_client::{Client, ClientOptions, Error, Granting, Keyring, Result, Transport as _, now_ms};
use shosoin_protocol::act::{ShareKem, SharePurpose, UnshareReason};
use shosoin_protocol::manifest::Versioning;
use shosoin_protocol::share::{Offer, ShareAsk, ShareCard};
use shosoin_protocol::{HospitalId, Suite, VersionId};
use shosoin_store::{OpenOptions, Vault};
use shosoin_tiers::{Clock, SystemClock};
use std::sync::Arc;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// One of several hospitals of a vault.
struct Other {
    client: Client,
    wire: Arc<Wire>,
    card: ShareCard,
}

async fn other(site: &Site, vault: &Vault, name: &str, suite: Suite, kem: ShareKem) -> Other {
    let keyring = Keyring::generate(suite).unwrap();
    let card = ShareCard::verify(&keyring.share_card(kem).unwrap()).unwrap();
    let wire = Wire::new(vault.clone(), vault.enrol(&keyring.enrolment()).unwrap());
    let options = ClientOptions::new(site.dir.path().join(name));
    Other { client: Client::open(options, keyring, wire.clone()).await.unwrap(), wire, card }
}

fn card_of(client: &Client) -> ShareCard {
    ShareCard::verify(&client.keyring().share_card(client.keyring().usual_kem()).unwrap()).unwrap()
}

fn granting(card: &ShareCard) -> Granting {
    let (purpose, consent) = (SharePurpose::Opinion, [7; 16]);
    Granting { card: card.clone(), purpose, consent, expires_ms: now_ms() + HOUR_MS }
}

async fn offer(client: &Client) -> Offer {
    client.share_offers().await.unwrap().offers.remove(0)
}

async fn shared(client: &Client, owner: &ShareCard, version: VersionId) -> Result<Vec<u8>> {
    let object = client.open_shared(owner, &offer(client).await, version).await?;
    let pieces: Vec<_> = object.read().try_collect().await?;
    Ok(pieces.concat())
}

fn is_refused(result: Result<Vec<u8>>, why: &str) {
    match result.unwrap_err() {
        Error::Vault(problem) => {
            assert_eq!(problem.code, "not-shared", "{}", problem.message);
            assert!(problem.message.contains(why), "{}", problem.message);
        }
        error => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_record_is_opened_by_the_hospital_that_accepted_it_and_by_nobody_else_8_1_r6() {
    for (suite, kem) in [(Suite::Default, ShareKem::P256), (Suite::Cryptrec, ShareKem::XWing)] {
        let (site, wire, owner) = ward(suite, Versioning::Enabled).await;
        let content = noise(1, 700_000); // three chunks
        let granted = put(&owner, "granted", &content).await.version;
        let kept = put(&owner, "kept", &noise(2, 300_000)).await.version;
        let partner = other(&site, &wire.vault, "partner", Suite::Default, kem).await;
        let third = other(&site, &wire.vault, "third", suite, ShareKem::X25519).await;
        let owner_card = card_of(&owner);

        let grant = owner.grant_share(granting(&partner.card), vec![granted]).await.unwrap().id;
        assert_eq!(third.client.share_offers().await.unwrap().offers, [], "it is nobody else's to know");
        is_refused(shared(&partner.client, &owner_card, granted).await, "has not been accepted");
        partner.client.accept_share(&owner_card, &offer(&partner.client).await).await.unwrap();
        assert!(shared(&partner.client, &owner_card, granted).await.unwrap() == content);
        let opened = partner.client.open_shared(&owner_card, &offer(&partner.client).await, granted).await.unwrap();
        assert_eq!(opened.facts().name, "granted");

        // neither another version, nor a record of another version, nor another hospital
        let version = |owner: HospitalId, version: VersionId| ShareAsk::Version { owner, grant, version };
        assert!(partner.wire.share(version(site.hospital, kept)).await.unwrap_err().is_not_found());
        assert!(third.wire.share(version(site.hospital, granted)).await.unwrap_err().is_not_found());
        assert!(partner.wire.share(version(third.card.hospital, granted)).await.unwrap_err().is_not_found());
        let reply = wire.version(kept).await.unwrap();
        let entry = shosoin_protocol::entry::Entry::decode(&reply.entry).unwrap();
        let shosoin_protocol::entry::Body::Deposit(deposit) = entry.body() else { panic!("a deposit") };
        for address in [deposit.manifest, deposit.wrap, deposit.summary, deposit.address_list] {
            let ask = ShareAsk::Record { owner: site.hospital, grant, version: granted, address };
            assert!(partner.wire.share(ask).await.unwrap_err().is_not_found(), "a record of another version");
        }
        let again = partner.client.accept_share(&owner_card, &offer(&partner.client).await).await;
        assert!(again.is_err(), "it is accepted once");
        assert!(third.client.end_share(grant, UnshareReason::Other).await.is_err(), "it is not theirs to end");

        // the end holds at once, and in an index that was made anew from media
        owner.end_share(grant, UnshareReason::ConsentWithdrawn).await.unwrap();
        is_refused(shared(&partner.client, &owner_card, granted).await, "its owner has ended it");
        assert!(owner.end_share(grant, UnshareReason::Other).await.is_err(), "it ends once");
        let states: Vec<bool> = owner.shares().unwrap().iter().map(|share| share.ended).collect();
        assert_eq!(states, [true]);
        let hospital = partner.wire.hospital;
        for client in [&owner, &partner.client, &third.client] {
            client.close().await.unwrap();
        }
        wire.vault.close().await.unwrap();
        drop((owner, partner, third, opened, wire));
        std::fs::remove_dir_all(site.dir.path().join("vault/index")).unwrap();
        let vault = site.wire("vault").await.vault.clone();
        let refused = Wire::new(vault.clone(), hospital).share(version(site.hospital, granted)).await.unwrap_err();
        assert!(refused.is_problem("not-shared"), "{refused}");
        vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_that_its_hospital_ended_and_a_grant_whose_time_is_over_give_nothing() {
    let (site, wire, owner) = ward(Suite::Default, Versioning::Off).await;
    let version = put(&owner, "granted", &noise(1, 70_000)).await.version;
    let owner_card = card_of(&owner);
    let partner = other(&site, &wire.vault, "partner", Suite::Default, ShareKem::X25519).await;
    let first = owner.grant_share(granting(&partner.card), vec![version]).await.unwrap().id;
    partner.client.accept_share(&owner_card, &offer(&partner.client).await).await.unwrap();
    partner.client.end_share(first, UnshareReason::Declined).await.unwrap();
    is_refused(shared(&partner.client, &owner_card, version).await, "the hospital that it was for has ended it");

    let past = Granting { expires_ms: now_ms() - 1, ..granting(&partner.card) };
    assert!(matches!(owner.grant_share(past, vec![version]).await, Err(Error::Invalid { .. })));
    let own = owner.grant_share(granting(&owner_card), vec![version]).await;
    assert!(matches!(own, Err(Error::Invalid { what: "card", .. })));
    let second = owner.grant_share(granting(&partner.card), vec![version]).await.unwrap().id;
    partner.client.accept_share(&owner_card, &offer(&partner.client).await).await.unwrap();
    shared(&partner.client, &owner_card, version).await.unwrap();
    let hospital = partner.wire.hospital;
    for client in [&owner, &partner.client] {
        client.close().await.unwrap();
    }
    wire.vault.close().await.unwrap();
    drop((owner, partner, wire));
    // two hours later
    let options = OpenOptions { clock: Arc::new(Later), ..OpenOptions::default() };
    let vault = site.open("vault", options).await;
    let ask = ShareAsk::Version { owner: site.hospital, grant: second, version };
    let refused = Wire::new(vault.clone(), hospital).share(ask).await.unwrap_err();
    assert!(refused.is_problem("not-shared") && refused.to_string().contains("has passed"), "{refused}");
    vault.close().await.unwrap();
}

/// Two hours ahead.
#[derive(Debug)]
struct Later;

impl Clock for Later {
    fn now_ms(&self) -> u64 {
        SystemClock.now_ms() + 2 * HOUR_MS
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_the_operator_nor_another_hospital_can_make_or_alter_a_grant_t21() {
    let (site, wire, owner) = ward(Suite::Default, Versioning::Off).await;
    let [one, two] = [(1, "one"), (2, "two")].map(|(seed, name)| (noise(seed, 70_000), name));
    let version = put(&owner, one.1, &one.0).await.version;
    put(&owner, two.1, &two.0).await;
    let owner_card = card_of(&owner);
    let partner = other(&site, &wire.vault, "partner", Suite::Default, ShareKem::X25519).await;
    let third = other(&site, &wire.vault, "third", Suite::Default, ShareKem::X25519).await;
    owner.grant_share(granting(&partner.card), vec![version]).await.unwrap();
    let good = offer(&partner.client).await;
    let own = partner.client.keyring().hospital();
    good.verify(&owner_card, own).unwrap();

    // what the vault may change on the way: any byte of the document, of the entry, of the enrolment
    let changed = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes::Bytes::from(bytes)
    };
    for at in (8..good.document.len()).step_by(5) {
        let other = Offer { document: changed(&good.document, at), ..good.clone() };
        assert!(other.verify(&owner_card, own).is_err(), "byte {at} of the document");
        assert!(partner.client.accept_share(&owner_card, &other).await.is_err());
    }
    for at in (0..good.grant.entry.len()).step_by(7) {
        let mut other = good.clone();
        other.grant.entry = changed(&good.grant.entry, at);
        assert!(other.verify(&owner_card, own).is_err(), "byte {at} of the entry");
    }
    for at in (8..good.grant.enrolment.len()).step_by(7) {
        let mut other = good.clone();
        other.grant.enrolment = changed(&good.grant.enrolment, at);
        assert!(other.verify(&owner_card, own).is_err(), "byte {at} of the enrolment");
    }
    // a grant of another hospital, said to be the owner's
    let foreign = put_at_third(&third, &partner.card).await;
    let mut posed = partner.client.share_offers().await.unwrap().offers;
    posed.retain(|offer| offer.owner == third.card.hospital);
    let posed = Offer { owner: site.hospital, ..posed.remove(0) };
    assert!(posed.verify(&owner_card, own).is_err());
    assert!(partner.client.open_shared(&owner_card, &posed, foreign).await.is_err());
    // and a card with the owner's name and another's key is another card
    let posing = ShareCard { hospital: site.hospital, ..third.card.clone() };
    assert!(good.verify(&posing, own).is_err());
    // the offer of one is nothing to another
    assert!(good.verify(&owner_card, third.card.hospital).is_err());
    assert!(third.client.accept_share(&owner_card, &good).await.is_err());

    // a grant sealed to a key that somebody else put on the card of the partner
    let stranger = Keyring::generate(Suite::Default).unwrap();
    let stranger = ShareCard::verify(&stranger.share_card(ShareKem::X25519).unwrap()).unwrap();
    let wrong = ShareCard { share_key: stranger.share_key, ..partner.card.clone() };
    let wrong = owner.grant_share(granting(&wrong), vec![version]).await.unwrap().id;
    let newest = offer(&partner.client).await;
    assert_eq!(newest.verify(&owner_card, own).unwrap().0.id, wrong);
    let refused = partner.client.accept_share(&owner_card, &newest).await.unwrap_err();
    assert!(format!("{refused:?}").contains("another key"), "{refused:?}");
}

/// A record of the third hospital, granted to the hospital on the card.
async fn put_at_third(third: &Other, card: &ShareCard) -> VersionId {
    third.client.create_bucket(bucket(Versioning::Off)).await.unwrap();
    let version = put(&third.client, "theirs", b"theirs").await.version;
    third.client.grant_share(granting(card), vec![version]).await.unwrap();
    version
}

/// What the vault serves instead of what was granted is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_serves_other_bytes_under_a_grant_is_noticed() {
    let (site, wire, owner) = ward(Suite::Default, Versioning::Off).await;
    let version = put(&owner, "granted", &noise(1, 300_000)).await.version;
    let owner_card = card_of(&owner);
    let partner = other(&site, &wire.vault, "partner", Suite::Cryptrec, ShareKem::P256).await;
    owner.grant_share(granting(&partner.card), vec![version]).await.unwrap();
    partner.client.accept_share(&owner_card, &offer(&partner.client).await).await.unwrap();
    shared(&partner.client, &owner_card, version).await.unwrap();
    partner.wire.misbehave(Fault::FlipRecords);
    assert!(shared(&partner.client, &owner_card, version).await.is_err());
    partner.wire.misbehave(Fault::None);
    shared(&partner.client, &owner_card, version).await.unwrap();
    drop(site);
}
