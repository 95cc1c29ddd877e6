//! A machine that knows nothing begins from a snapshot that another one made; and from nothing but a good one.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::*;
use shosoin_client::{Client, ClientOptions, Condition, ListQuery, VersionsQuery};
use shosoin_keyring::keyfile;
use shosoin_protocol::act::{ActKind, Document, Snapshot};
use shosoin_protocol::manifest::Versioning;
use shosoin_protocol::sign::Signature;
use shosoin_protocol::{Digest, Suite};
use std::sync::Arc;

/// A machine of the hospital that has never been here, and its own state.
async fn newcomer(site: &Site, wire: &Arc<Wire>, name: &str) -> Client {
    let keyring = keyfile::open(&site.further_machine(), b"test").unwrap();
    Client::open(ClientOptions::new(site.dir.path().join(name)), keyring, wire.clone()).await.unwrap()
}

/// Everything that a gateway answers from its view.
fn seen(client: &Client) -> String {
    let names = ListQuery { bucket: BUCKET.into(), max: 1000, ..Default::default() };
    let versions = VersionsQuery { bucket: BUCKET.into(), max: 1000, ..Default::default() };
    let pages = (client.list(&names).unwrap(), client.list_versions(&versions).unwrap());
    format!("{:?} {pages:?} {:?}", client.buckets().unwrap(), client.lookup(BUCKET, "tagged", None).unwrap())
}

async fn fill(client: &Client) {
    for n in 0..20 {
        put(client, &format!("n{n}"), format!("content {n}").as_bytes()).await;
    }
    let tagged = put(client, "tagged", b"t").await.version;
    client.set_tags(BUCKET, "tagged", Some(tagged), vec![("k".into(), "v".into())]).await.unwrap();
    client.delete(BUCKET, "n3", Condition::Any).await.unwrap();
    let withdrawn = put(client, "n4", b"again").await.version;
    client.withdraw(BUCKET, "n4", withdrawn).await.unwrap();
}

async fn began_at(client: &Client) -> u64 {
    client.device_standing().await.unwrap().from_snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_machine_begins_from_a_snapshot_and_sees_what_one_sees_that_read_everything() {
    for suite in Suite::ALL {
        let (site, wire, client) = ward(suite, Versioning::Enabled).await;
        fill(&client).await;
        let made = client.make_snapshot(|_| {}).await.unwrap();
        assert!(made.pieces > 0 && made.rows > 60 && made.sealed_bytes > 0, "{made:?}");
        put(&client, "behind the snapshot", b"x").await;
        let new = newcomer(&site, &wire, "new").await;
        assert_eq!(began_at(&new).await, made.log_size, "{suite:?}");
        client.refresh().await.unwrap();
        assert_eq!(seen(&new), seen(&client));
        assert_eq!(get(&new, "n7").await.unwrap(), b"content 7");
        put(&new, "stored at the new machine", b"y").await;
        client.refresh().await.unwrap();
        assert_eq!(get(&client, "stored at the new machine").await.unwrap(), b"y");
        // a restart goes on from the state that is there now
        new.close().await.unwrap();
        let (device, root) = (new.keyring().device_id(), new.head().unwrap().root);
        assert!(device != client.keyring().device_id() && root == client.head().unwrap().root);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_snapshot_counts_and_a_state_that_was_lost_begins_from_it_too() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    put(&client, "one", b"1").await;
    let first = client.make_snapshot(|_| {}).await.unwrap();
    put(&client, "two", b"2").await;
    let second = client.make_snapshot(|_| {}).await.unwrap();
    assert!(second.log_size > first.log_size);
    client.close().await.unwrap();
    drop(client);
    std::fs::remove_dir_all(site.state_dir().join("view")).unwrap();
    let client = site.client(&wire).await;
    assert_eq!(began_at(&client).await, second.log_size);
    put(&client, "three", b"3").await;
    assert_eq!(get(&client, "two").await.unwrap(), b"2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_does_not_fit_in_every_way_is_not_used_and_the_ledger_is_read() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    fill(&client).await;
    client.make_snapshot(|_| {}).await.unwrap();
    let Document::Snapshot(good) = client.acts(&[ActKind::Snapshot]).unwrap().pop().unwrap().document else { panic!() };
    let size = client.head().unwrap().size;
    type Case = (&'static str, fn(&mut Snapshot, u64));
    let cases: [Case; 8] = [
        ("of another root", |snapshot, _| snapshot.root = Digest([7; 32])),
        ("of a shorter ledger than its root", |snapshot, _| snapshot.log_size -= 1),
        ("ahead of the ledger", |snapshot, size| snapshot.log_size = size + 1000),
        ("of another form", |snapshot, _| snapshot.form += 1),
        ("with more rows than it says", |snapshot, _| snapshot.rows -= 1),
        ("of a device that nobody certified", |snapshot, _| snapshot.certificate = Signature([7; 64])),
        ("of another salt", |snapshot, _| snapshot.salt = [7; 32]),
        ("with a length that a piece has not", |snapshot, _| snapshot.pieces[0].plain_len += 1),
    ];
    for (no, (what, change)) in cases.into_iter().enumerate() {
        let mut snapshot = good.clone();
        change(&mut snapshot, size);
        client.state(None, Document::Snapshot(snapshot)).await.unwrap();
        let new = newcomer(&site, &wire, &format!("new-{no}")).await;
        assert_eq!(began_at(&new).await, 0, "{what}");
        client.refresh().await.unwrap();
        assert_eq!(seen(&new), seen(&client), "{what}");
    }
    client.state(None, Document::Snapshot(good.clone())).await.unwrap();
    assert_eq!(
        began_at(&newcomer(&site, &wire, "good").await).await,
        good.log_size,
        "the good one, stated again, is used"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_one_or_another_hospitals_is_not_used() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    put(&client, "scan", b"x").await;
    client.make_snapshot(|_| {}).await.unwrap();
    wire.misbehave(Fault::FlipRecords);
    let new = newcomer(&site, &wire, "altered").await;
    wire.misbehave(Fault::None);
    assert_eq!((began_at(&new).await, get(&new, "scan").await.unwrap()), (0, b"x".to_vec()));

    let (_other_site, other_wire, other) = ward(Suite::Default, Versioning::Off).await;
    other.make_snapshot(|_| {}).await.unwrap();
    wire.misbehave(Fault::OtherSnapshot(other_wire.snapshot_reply().await));
    let new = newcomer(&site, &wire, "foreign").await;
    wire.misbehave(Fault::None);
    assert_eq!((began_at(&new).await, get(&new, "scan").await.unwrap()), (0, b"x".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_longer_ledger_than_the_one_that_is_shown_is_not_used() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    put(&client, "scan", b"x").await;
    client.close().await.unwrap();
    drop(client);
    wire.vault.close().await.unwrap();
    drop(wire);
    site.copy_vault("longer");
    let longer = site.wire("longer").await;
    let ahead = newcomer(&site, &longer, "ahead").await;
    put(&ahead, "only there", b"y").await;
    ahead.make_snapshot(|_| {}).await.unwrap();
    let reply = longer.snapshot_reply().await;
    let wire = site.wire("vault").await;
    wire.misbehave(Fault::OtherSnapshot(reply));
    let new = newcomer(&site, &wire, "new").await;
    assert_eq!((began_at(&new).await, get(&new, "scan").await.unwrap()), (0, b"x".to_vec()));
    assert!(new.lookup(BUCKET, "only there", None).unwrap().is_none());
}

/// Opens; a process that died in the middle of it still has the files open for a moment.
async fn open_patiently(site: &Site, wire: &Arc<Wire>, keyfile: &[u8], state: &str) -> Client {
    loop {
        let keyring = keyfile::open(keyfile, b"test").unwrap();
        match Client::open(ClientOptions::new(site.dir.path().join(state)), keyring, wire.clone()).await {
            Ok(client) => return client,
            Err(shosoin_client::Error::View(_)) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_dies_while_it_begins_from_a_snapshot_begins_anew() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    fill(&client).await;
    client.make_snapshot(|_| {}).await.unwrap();
    let keyfile = site.further_machine();
    for polls in [1, 2, 4, 6, 8, 10, 12, 16, 20, 30] {
        let state = format!("killed after {polls}");
        let keyring = keyfile::open(&keyfile, b"test").unwrap();
        let options = ClientOptions::new(site.dir.path().join(&state));
        let mut opening = Box::pin(Client::open(options, keyring, wire.clone()));
        for _ in 0..polls {
            if futures::poll!(&mut opening).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(opening);
        let opened = open_patiently(&site, &wire, &keyfile, &state).await;
        client.refresh().await.unwrap();
        opened.refresh().await.unwrap();
        assert_eq!(seen(&opened), seen(&client), "{polls}");
    }
}
