//! The drill before production, and a hospital whose every machine is gone.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::*;
use shosoin_client::{Client, ClientOptions, Error, Keyring, Result, now_ms};
use shosoin_keyring::escrow::{self, Quorum, drill::Drill};
use shosoin_protocol::Suite;
use shosoin_protocol::manifest::Versioning;
use std::sync::Arc;

fn drill(keyring: &Keyring, held_ms: u64) -> Drill {
    let shares = keyring.split(Quorum::default(), held_ms).unwrap();
    Drill::held(keyring, &escrow::combine(&shares[1..4]).unwrap(), 3, held_ms).unwrap()
}

async fn open(site: &Site, wire: &Arc<Wire>, drill: Option<Drill>) -> Result<Client> {
    let options = ClientOptions { drill, ..ClientOptions::new(site.state_dir()) };
    Client::open(options, site.keyring(), wire.clone()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_joins_a_production_vault_only_after_a_drill_younger_than_a_year() {
    const DAY_MS: u64 = 86_400_000;
    let site = Site::new(Suite::Default).await;
    let wire = site.wire("vault").await;
    wire.misbehave(Fault::Production);
    let without = open(&site, &wire, None).await;
    assert!(matches!(without, Err(Error::NoDrill { held_ms: None })));
    let last_year = now_ms() - 366 * DAY_MS;
    let old = open(&site, &wire, Some(drill(&site.keyring(), last_year))).await;
    assert!(matches!(old, Err(Error::NoDrill { held_ms: Some(held) }) if held == last_year));
    assert_eq!(wire.vault.checkpoint(site.hospital).await.unwrap().lines().nth(1), Some("0"), "nothing was entered");
    open(&site, &wire, Some(drill(&site.keyring(), now_ms() - DAY_MS))).await.unwrap().close().await.unwrap();
    // a device that has joined is not shut out when its drill grows old
    open(&site, &wire, None).await.unwrap().close().await.unwrap();
    wire.vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_alone_bring_back_every_record_and_name_on_a_new_machine_in_both_suites() {
    for suite in Suite::ALL {
        let (site, wire, client) = ward(suite, Versioning::Enabled).await;
        let records = [("a", 0), ("b/c", 70_000), ("b/d", 900_000)];
        for (name, len) in records {
            put(&client, name, &noise(len as u64, len)).await;
        }
        let shares = client.keyring().split(Quorum::default(), now_ms()).unwrap();
        let old_device = client.keyring().device_id();
        client.close().await.unwrap();

        let restored = escrow::combine(&shares[2..]).unwrap().keyring().unwrap();
        assert_ne!(restored.device_id(), old_device);
        assert_eq!(wire.vault.enrol(&restored.enrolment()).unwrap(), site.hospital);
        assert_eq!(wire.vault.hospital_by_pin(&restored.tls_pin()), Some(site.hospital));
        let state = site.dir.path().join("new-machine");
        let client = Client::open(ClientOptions::new(state), restored, wire.clone()).await.unwrap();
        for (name, len) in records {
            assert_eq!(get(&client, name).await.unwrap(), noise(len as u64, len), "{name} in {suite:?}");
        }
        put(&client, "after", b"the loss").await;
        assert_eq!(get(&client, "after").await.unwrap(), b"the loss");
        client.close().await.unwrap();
        wire.vault.close().await.unwrap();
    }
}
