//! A hospital that follows its ledger from one vault to the next, and vaults that would have it follow something else (T10).
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::*;
use shosoin_client::{Client, ClientOptions, Error, Transport as _, VerifyOptions};
use shosoin_protocol::Suite;
use shosoin_protocol::act::handover::key_digest;
use shosoin_protocol::act::{ActKind, Document, HandOverWord, Hold, HoldReason, Looked, WordStage};
use shosoin_protocol::manifest::Versioning;
use shosoin_protocol::sign::PublicKey;
use shosoin_store::accounts::Caller;
use shosoin_store::handover::{HandoverCommand, HandoverRun};
use shosoin_store::identity::Identity;
use shosoin_store::{Code, IndexKind, InitOptions, OpenOptions, Vault, VolumeSpec};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Another vault beside the site's, without a hospital.
async fn other_vault(dir: &Path, name: &str) -> Vault {
    let options = InitOptions {
        volumes: (1..=3).map(|no| VolumeSpec::at(format!("volumes/v{no:02}"))).collect(),
        code: Code::parse("1+2").unwrap(),
        demo: true,
        index: IndexKind::Memory,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };
    Vault::init(&dir.join(name), options).await.unwrap();
    Vault::open(&dir.join(name), OpenOptions::default()).await.unwrap()
}

/// The key of the vault in a folder, without asking it.
fn key(dir: &Path, suite: Suite) -> PublicKey {
    Identity::load(dir).unwrap().key(suite).public()
}

/// The hospital's word that the vault in folder `to` takes over.
async fn order(client: &Client, to: &Path, suite: Suite) {
    let id = Identity::load(to).unwrap().vault();
    let order = HandOverWord::order(id, key_digest(&key(to, suite)));
    client.state(None, Document::HandOverWord(Box::new(order))).await.unwrap();
}

/// Hands over from `from`, whose key `from_key` is.
async fn hand_over(from: &Vault, from_key: PublicKey, to: &Vault, package: &Path) -> shosoin_store::Result<()> {
    std::fs::create_dir_all(package).unwrap();
    let (at, caller) = (VolumeSpec::at(package.to_owned()), Caller::this_process);
    let export = HandoverCommand::Export {
        hospital: None,
        to: at.clone(),
        rate: None,
        segment_bytes: Some(1 << 20),
        close: true,
        timestamps: None,
    };
    from.handover_command(export, caller(), HandoverRun::default()).await?;
    let fingerprint = from_key.fingerprint();
    let import = HandoverCommand::Import { from: at, fingerprint, accept_missing: false, rate: None };
    to.handover_command(import, caller(), HandoverRun::default()).await.map(drop)
}

fn next_state(site: &Site) -> PathBuf {
    site.dir.path().join("following")
}

async fn follow(site: &Site, wire: &Arc<Wire>) -> Result<Client, Error> {
    let options = ClientOptions::new(next_state(site));
    Client::follow(options, site.keyring(), wire.clone(), &site.state_dir()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_follows_its_ledger_and_finds_everything_it_had() {
    for suite in Suite::ALL {
        let (site, wire, client) = ward(suite, Versioning::Enabled).await;
        let (first, second) = (noise(1, 700_000), noise(2, 10));
        let stored = put(&client, "first", &first).await;
        put(&client, "second", &second).await;
        let receipt = stored.receipt.unwrap().encode();
        let two = other_vault(site.dir.path(), "two").await;
        order(&client, &site.dir.path().join("two"), suite).await;
        hand_over(&wire.vault, key(&site.dir.path().join("vault"), suite), &two, &site.dir.path().join("package"))
            .await
            .unwrap();
        let late = client.put_object(
            object("late"),
            shosoin_client::Part::single(write(&client, b"late").await),
            shosoin_client::Condition::Any,
        );
        assert!(late.await.unwrap_err().is_problem("handed-over"));
        client.close().await.unwrap();
        drop(client);

        let next = Wire::new(two, site.hospital);
        let client = follow(&site, &next).await.unwrap();
        assert_eq!(get(&client, "first").await.unwrap(), first);
        put(&client, "third", b"at the next vault").await;
        for name in ["first", "second", "third"] {
            client.verify(BUCKET, name, None, VerifyOptions { content: true }).await.unwrap();
        }
        let proof = client.verify_receipt(BUCKET, "first", None, &receipt).await.unwrap();
        assert!(proof.ledger_size > 0, "what the first vault signed still counts");
        assert_eq!(client.check_receipt(&receipt).await.unwrap(), 2, "behind the device and the bucket");
        assert!(client.devices().unwrap().iter().all(|device| device.is_this), "neither vault is a device");
        assert_eq!(client.acts(&[ActKind::HandOverIn]).unwrap().len(), 1);
        client.close().await.unwrap();
        drop(client);

        // again from what it remembers, and from nothing but the keyring, as after a restore from sheets
        for state in [next_state(&site), site.dir.path().join("anew")] {
            let client = Client::open(ClientOptions::new(state), site.keyring(), next.clone()).await.unwrap();
            assert_eq!(get(&client, "first").await.unwrap(), first);
            client.close().await.unwrap();
        }
        // the old state knows the old vault alone
        assert!(matches!(site.try_client(&next).await, Err(Error::WrongVault { what: "key", .. })));
        next.vault.close().await.unwrap();
        wire.vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_does_not_continue_the_ledger_is_not_followed_t10() {
    let suite = Suite::Default;
    let (site, wire, client) = ward(suite, Versioning::Off).await;
    put(&client, "first", b"first").await;
    client.close().await.unwrap();
    drop(client);
    assert!(matches!(follow(&site, &wire).await, Err(Error::Invalid { what: "next vault", .. })));
    // one that enrolled the hospital anew
    let stranger = other_vault(site.dir.path(), "stranger").await;
    stranger.enrol(&site.keyring().enrolment()).unwrap();
    let stranger = Wire::new(stranger, site.hospital);
    let refused = follow(&site, &stranger).await.err().unwrap();
    assert!(matches!(&refused, Error::Contradiction { why, .. } if why.contains("do not lead back")), "{refused}");
    assert!(!next_state(&site).join("head").exists(), "nothing is pinned");
    // another key than the one that was compared
    let options = ClientOptions {
        vault_key: Some(key(&site.dir.path().join("vault"), suite)),
        ..ClientOptions::new(next_state(&site))
    };
    let pinned = Client::follow(options, site.keyring(), stranger.clone(), &site.state_dir()).await;
    assert!(matches!(pinned, Err(Error::WrongVault { what: "key", .. }) | Err(Error::Contradiction { .. })));
}

/// The old vault hands over an older copy of itself: what the hospital had stored since is not in it.
#[tokio::test(flavor = "multi_thread")]
async fn entries_that_were_left_out_at_the_hand_over_are_missed_t10() {
    for after_the_end in [false, true] {
        let suite = Suite::Default;
        let (site, wire, client) = ward(suite, Versioning::Off).await;
        let two = other_vault(site.dir.path(), "two").await;
        put(&client, "first", b"first").await;
        order(&client, &site.dir.path().join("two"), suite).await;
        client.close().await.unwrap();
        drop(client);
        wire.vault.close().await.unwrap();
        drop(wire);
        site.copy_vault("copy");
        // what only the hospital has seen
        let wire = site.wire("vault").await;
        let client = site.client(&wire).await;
        put(&client, "second", b"this will be missed").await;
        if after_the_end {
            // the vault also ends that ledger, and takes the hospital's hold after it
            std::fs::create_dir_all(site.dir.path().join("elsewhere")).unwrap();
            let to = VolumeSpec::at(site.dir.path().join("elsewhere"));
            let export = HandoverCommand::Export {
                hospital: None,
                to,
                rate: None,
                segment_bytes: None,
                close: true,
                timestamps: None,
            };
            wire.vault.handover_command(export, Caller::this_process(), HandoverRun::default()).await.unwrap();
            client.refresh().await.unwrap();
            client.state(None, Document::Hold(Hold::whole(HoldReason::Audit))).await.unwrap();
            client.state(None, Document::Hold(Hold::whole(HoldReason::Audit))).await.unwrap();
        }
        client.close().await.unwrap();
        drop(client);
        let copy = site.wire("copy").await;
        hand_over(&copy.vault, key(&site.dir.path().join("copy"), suite), &two, &site.dir.path().join("package"))
            .await
            .unwrap();
        let next = Wire::new(two, site.hospital);
        let refused = follow(&site, &next).await.err().unwrap();
        match after_the_end {
            false => assert!(matches!(refused, Error::Head { .. } | Error::Contradiction { .. }), "{refused}"),
            true => {
                assert!(matches!(&refused, Error::Head { why, .. } if why.contains("without entries")), "{refused}")
            }
        }
        next.vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_after_the_end_stays_with_the_old_vault_and_does_not_hinder() {
    let suite = Suite::Cryptrec;
    let (site, wire, client) = ward(suite, Versioning::Off).await;
    let two = other_vault(site.dir.path(), "two").await;
    put(&client, "first", b"first").await;
    order(&client, &site.dir.path().join("two"), suite).await;
    hand_over(&wire.vault, key(&site.dir.path().join("vault"), suite), &two, &site.dir.path().join("package"))
        .await
        .unwrap();
    client.refresh().await.unwrap();
    let confirmed = HandOverWord {
        stage: WordStage::Confirmed,
        looked: Looked { versions: 1, of: 1, ..Looked::default() },
        head: "a head".to_owned(),
        ..HandOverWord::order(two.id(), key_digest(&key(&site.dir.path().join("two"), suite)))
    };
    client.state(None, Document::HandOverWord(Box::new(confirmed))).await.unwrap();
    let beyond = client.head().unwrap().size;
    client.close().await.unwrap();
    drop(client);
    let next = Wire::new(two, site.hospital);
    let client = follow(&site, &next).await.unwrap();
    assert!(client.head().unwrap().size < beyond + 1, "what came after the end is not there");
    assert_eq!(get(&client, "first").await.unwrap(), b"first");
    put(&client, "second", b"second").await;
    client.close().await.unwrap();
    // the vault itself may not go back behind what was followed to
    assert!(next.checkpoint().await.is_ok());
}
