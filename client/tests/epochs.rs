//! Epochs over real vaults: how machines learn of them, and wrapping every data key anew, stopped anywhere.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::*;
use parking_lot::Mutex;
use shosoin_client::{Client, Counts, CoverageReport, Dependence, Error, RewrapOptions, RewrapReport};
use shosoin_protocol::act::{Custody, EpochReason};
use shosoin_protocol::manifest::Versioning;
use shosoin_protocol::{Suite, VersionId};
use shosoin_store::CheckOptions;

const SMALL_ACTS: RewrapOptions = RewrapOptions { dry_run: false, act_wraps_max: 3 };
const DRY_RUN: RewrapOptions = RewrapOptions { dry_run: true, act_wraps_max: 3 };

async fn rotate(client: &Client) -> u32 {
    client.rotate(EpochReason::Drill, Custody::Passphrase).await.unwrap().epoch
}

async fn rewrap(client: &Client, options: RewrapOptions) -> RewrapReport {
    client.rewrap(options, &|_| {}).await.unwrap()
}

async fn coverage(client: &Client) -> CoverageReport {
    client.coverage(|_| false, |_| {}, &|_| {}).await.unwrap()
}

/// Versions by the epoch of their wrap.
async fn by_epoch(client: &Client) -> Vec<(u32, u64)> {
    coverage(client).await.on.into_iter().map(|(on, (count, _))| (on.epoch, count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_machine_learns_a_new_epoch_from_the_ledger_and_old_ones_stay_readable() {
    for suite in Suite::ALL {
        let (site, wire, here) = ward(suite, Versioning::Enabled).await;
        let there = further_machine(&site, &wire, here.keyring(), "there").await;
        put(&here, "first", b"in epoch 1").await;
        assert_eq!((here.epoch().unwrap(), rotate(&here).await, here.epoch().unwrap()), (1, 2, 2));
        there.refresh().await.unwrap();
        assert_eq!(there.epoch().unwrap(), 2);
        put(&there, "second", b"in epoch 2").await;
        assert_eq!(rotate(&there).await, 3);
        // and one that comes later, from shares and the ledger alone
        let later = further_machine(&site, &wire, here.keyring(), "later").await;
        assert_eq!(later.epoch().unwrap(), 3);
        put(&later, "third", b"in epoch 3").await;
        for client in [&here, &there, &later] {
            client.refresh().await.unwrap();
            for (name, content) in [("first", "in epoch 1"), ("second", "in epoch 2"), ("third", "in epoch 3")] {
                assert_eq!(get(client, name).await.unwrap(), content.as_bytes(), "{name} in {suite:?}");
            }
            assert_eq!(by_epoch(client).await, [(1, 1), (2, 1), (3, 1)]);
        }
        for client in [here, there, later] {
            client.close().await.unwrap();
        }
        wire.vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_machines_that_rotate_at_once_one_is_told_so_and_the_epoch_begins_once() {
    let (site, wire, here) = ward(Suite::Default, Versioning::Enabled).await;
    let there = further_machine(&site, &wire, here.keyring(), "there").await;
    for _ in 0..10 {
        let before = here.epoch().unwrap();
        let rotate = |client: Client| async move { client.rotate(EpochReason::Drill, Custody::Passphrase).await };
        let (one, two) = tokio::join!(rotate(here.clone()), rotate(there.clone()));
        for client in [&here, &there] {
            client.refresh().await.unwrap();
        }
        let begun: Vec<u32> = [&one, &two].into_iter().flatten().map(|begun| begun.epoch).collect();
        assert_eq!(*begun.iter().max().unwrap(), here.epoch().unwrap());
        assert_eq!(u32::try_from(begun.len()).unwrap(), here.epoch().unwrap() - before, "{one:?} {two:?}");
        for refused in [one, two].into_iter().filter_map(Result::err) {
            assert!(matches!(refused, Error::EpochTaken { epoch } if epoch == before + 1), "{refused:?}");
        }
        assert_eq!(here.epoch().unwrap(), there.epoch().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_wrapped_anew_without_touching_a_body_and_the_vault_gives_the_new_wraps() {
    for suite in Suite::ALL {
        let (site, wire, client) = ward(suite, Versioning::Enabled).await;
        for no in 0..10u64 {
            put(&client, &format!("n{}", no % 7), &noise(no, 300 + usize::try_from(no).unwrap())).await;
        }
        put(&client, "large", &noise(99, 900_000)).await;
        client.delete(BUCKET, "n0", shosoin_client::Condition::Any).await.unwrap();
        rotate(&client).await;
        put(&client, "new", b"under the new epoch").await;
        let (sent, deposits) = (Sent::of(&wire), 12);

        let would = rewrap(&client, DRY_RUN).await;
        let expected = Counts { rewrapped: 11, already: 1, gone: 0, failed: 0 };
        assert_eq!((would.counts, would.acts), (expected, 0));
        assert_eq!(by_epoch(&client).await, [(1, 11), (2, 1)], "a dry run changes nothing");

        let done = rewrap(&client, SMALL_ACTS).await;
        assert_eq!((done.counts, done.acts, done.epoch, done.began_at), (expected, 4, 2, 0));
        assert_eq!(done.counts.deposits(), deposits);
        assert_eq!(Sent::of(&wire), sent, "no chunk was sent or read");
        let covered = coverage(&client).await;
        assert_eq!(covered.on.keys().copied().collect::<Vec<_>>(), [Dependence { epoch: 2, suite }]);
        assert_eq!((covered.versions(), covered.gone, covered.failed_count), (deposits, 0, 0));

        let again = rewrap(&client, SMALL_ACTS).await;
        assert_eq!(again.counts, Counts { already: 12, ..Counts::default() });
        assert_eq!(again.acts, 0, "what is done is not done twice");

        client.close().await.unwrap();
        wire.vault.close().await.unwrap();
        drop((client, wire));
        // media alone: neither index nor view
        std::fs::remove_dir_all(site.dir.path().join("vault/index")).unwrap();
        std::fs::remove_dir_all(site.state_dir().join("view")).unwrap();
        let wire = site.wire("vault").await;
        let client = site.client(&wire).await;
        assert_eq!(by_epoch(&client).await, [(2, 12)], "{suite:?}");
        assert_eq!(get(&client, "large").await.unwrap(), noise(99, 900_000));
        assert_eq!(get(&client, "n3").await.unwrap(), noise(3, 303));
        let report = wire.vault.check(CheckOptions { every_unit: true, ..CheckOptions::default() }).await.unwrap();
        assert_eq!(report.findings, []);
        client.close().await.unwrap();
        wire.vault.close().await.unwrap();
    }
}

/// Chunks that went over the wire, either way.
#[derive(Debug, PartialEq)]
struct Sent {
    chunks: usize,
    records: usize,
}

impl Sent {
    fn of(wire: &Wire) -> Self {
        let get = common::Counts::get;
        Sent { chunks: get(&wire.counts.chunks), records: get(&wire.counts.records) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrapping_anew_goes_on_where_silence_stopped_it() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    for no in 0..9u64 {
        put(&client, &format!("n{no}"), &noise(no, 200)).await;
    }
    rotate(&client).await;
    // more answers are lost than are asked for again
    for fault in [Fault::LoseDeposits(4), Fault::LoseAnswers(2)] {
        wire.misbehave(fault);
        let stopped = client.rewrap(SMALL_ACTS, &|_| {}).await;
        wire.misbehave(Fault::None);
        if let Err(error) = stopped {
            assert!(error.is_unreachable(), "{error}");
        }
    }
    let done = rewrap(&client, SMALL_ACTS).await;
    assert_eq!((done.counts.failed, done.counts.deposits()), (0, 9));
    assert_eq!(by_epoch(&client).await, [(2, 9)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrap_of_another_version_is_told_and_wraps_of_others_go_on() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    let one = put(&client, "one", b"1").await.version;
    let two = put(&client, "two", b"2").await.version;
    rotate(&client).await;
    let foreign = wire.vault.wraps(wire.hospital, vec![one]).await.unwrap().wraps.remove(0);
    wire.misbehave(Fault::OtherWrap(foreign));
    let report = rewrap(&client, SMALL_ACTS).await;
    assert_eq!(report.counts, Counts { rewrapped: 1, failed: 1, ..Counts::default() });
    assert_eq!(report.failed.iter().map(|(version, _)| *version).collect::<Vec<_>>(), [two]);
    let covered = coverage(&client).await;
    assert_eq!((covered.versions(), covered.failed_count), (1, 1), "nothing is counted that does not open");
    wire.misbehave(Fault::None);
    assert_eq!(rewrap(&client, SMALL_ACTS).await.counts.rewrapped, 1);
    assert_eq!(get(&client, "two").await.unwrap(), b"2");
}

#[tokio::test(flavor = "multi_thread")]
async fn coverage_names_what_depends_on_an_epoch() {
    let (_site, _wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    let old = put(&client, "old", &noise(1, 5_000)).await;
    rotate(&client).await;
    put(&client, "new", &noise(2, 5_000)).await;
    let named: Mutex<Vec<(VersionId, String)>> = Mutex::default();
    let report = client
        .coverage(|on| on.epoch == 1, |covered| named.lock().push((covered.version, covered.name.unwrap().1)), &|_| {})
        .await
        .unwrap();
    assert_eq!(*named.lock(), [(old.version, "old".to_owned())]);
    let [(_, (1, old_bytes)), (_, (1, new_bytes))] = report.on.into_iter().collect::<Vec<_>>()[..] else {
        panic!("one version in each epoch")
    };
    assert!(old_bytes > 5_000 && new_bytes > 5_000);
}
