//! Content sealed anew over real vaults: fresh keys throughout, the same bytes, facts and terms; and a hospital that moves to
//! another suite.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::*;
use shosoin_client::{
    Client, ClientOptions, Condition, Error, Fate, NewObject, Part, ResealReport, Selected, Selection, Transport,
};
use shosoin_keyring::Keyring;
use shosoin_protocol::act::{Custody, Document, EpochReason, HoldReason, Lock, LockMode, RetentionChange, SuitePolicy};
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::manifest::{AddressList, Versioning};
use shosoin_protocol::policy::{DepositPolicy, Retention};
use shosoin_protocol::{Address, Suite, VersionId};
use shosoin_store::CheckOptions;
use std::sync::Arc;

async fn all(client: &Client) -> Vec<Selected> {
    client.select(&Selection::default()).await.unwrap()
}

async fn reseal(client: &Client) -> ResealReport {
    client.reseal(all(client).await, &|_| {}).await.unwrap()
}

fn newest(client: &Client, name: &str) -> VersionId {
    client.lookup(BUCKET, name, None).unwrap().unwrap().version
}

/// Every address that a version depends on, in clear.
async fn addresses(wire: &Arc<Wire>, version: VersionId) -> Vec<Address> {
    let reply = Transport::version(wire.as_ref(), version).await.unwrap();
    let entry = Entry::decode(&reply.entry).unwrap();
    let Body::Deposit(deposit) = entry.body() else { panic!("a deposit") };
    let list = Transport::record(wire.as_ref(), deposit.address_list).await.unwrap();
    AddressList::decode(&list).unwrap().addresses().to_vec()
}

/// How many addresses two versions have in common.
async fn shared(wire: &Arc<Wire>, one: VersionId, other: VersionId) -> usize {
    let other = addresses(wire, other).await;
    addresses(wire, one).await.iter().filter(|address| other.contains(address)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sealed_anew_is_the_same_record_under_keys_of_its_own_and_the_older_version_is_out_of_view() {
    for (suite, versioning) in [(Suite::Default, Versioning::Enabled), (Suite::Cryptrec, Versioning::Off)] {
        let (_site, wire, client) = ward(suite, versioning).await;
        let term = Retention::Term { term_days: 3650, start_ms: None };
        let policy = DepositPolicy { retention: term, ..DepositPolicy::default() };
        let object = NewObject {
            headers: vec![("content-type".into(), "text/plain".into())],
            metadata: vec![("ward".into(), "3".into())],
            policy: Some(policy),
            multipart: true,
            ..object("chart")
        };
        let mut parts = Vec::new();
        for number in [1, 2] {
            parts.push(Part { number, content: write(&client, &noise(number.into(), 300_000)).await, checksum: None });
        }
        let old = client.put_object(object, parts, Condition::Any).await.unwrap();
        client.retain(vec![old.version], RetentionChange::Start { start_ms: 1_000_000 }).await.unwrap();
        client.retain(vec![old.version], RetentionChange::Until { until_ms: 4_000_000_000_000 }).await.unwrap();
        let lock = Lock { mode: LockMode::Governance, until_ms: 3_900_000_000_000 };
        client.retain(vec![old.version], RetentionChange::Lock(lock)).await.unwrap();
        client.hold(Some(vec![old.version]), HoldReason::Litigation, Some("case 7")).await.unwrap();

        let report = reseal(&client).await;
        assert_eq!((report.counts(), report.acts, report.plain_bytes), ((1, 0, 0), 1, 600_000));
        let new = newest(&client, "chart");
        assert_ne!(new, old.version);
        let row = client.lookup(BUCKET, "chart", None).unwrap().unwrap();
        let (facts, etag) = row.object().unwrap();
        assert_eq!((etag, facts), (old.etag.as_str(), &old.facts), "times, headers, parts and digests are the same");
        assert_eq!(get(&client, "chart").await.unwrap(), [noise(1, 300_000), noise(2, 300_000)].concat());
        assert_eq!(client.lookup(BUCKET, "chart", Some(old.version)).unwrap(), None, "out of view");
        assert_eq!(shared(&wire, old.version, new).await, 0);
        let keeping = client.keeping(new).unwrap().unwrap();
        assert_eq!(keeping.retention(), Retention::Term { term_days: 3650, start_ms: Some(1_000_000) });
        assert_eq!(
            (keeping.kept.until_ms, keeping.kept.lock, keeping.kept.holds.len()),
            (4_000_000_000_000, Some(lock), 1)
        );
        let holds = client.holds().unwrap();
        let hold = holds.iter().find(|hold| keeping.kept.holds == [hold.id]).unwrap();
        assert_eq!((hold.reason, hold.note.text()), (HoldReason::Litigation, Some("case 7")));
        assert_eq!(client.successors().unwrap().into_iter().collect::<Vec<_>>(), [(old.version, new)]);
        let check = wire.vault.check(CheckOptions::default()).await.unwrap();
        assert!(check.findings.is_empty(), "{:?}", check.findings);
        client.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_of_a_bucket_that_meets_equal_ones_meet_nothing_when_they_are_sealed_anew() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    let content = noise(7, 600_000);
    let old = put(&client, "one", &content).await.version;
    reseal(&client).await;
    let new = newest(&client, "one");
    let equal = put(&client, "equal", &content).await.version;
    assert_eq!(shared(&wire, old, equal).await, 3, "equal chunks of 256 KiB meet in this bucket");
    assert_eq!((shared(&wire, old, new).await, shared(&wire, new, equal).await), (0, 0));
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_seals_nothing_twice_and_what_cannot_be_sealed_anew_is_left_with_its_reason() {
    let (_site, _wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    let first = put(&client, "name", b"first").await.version;
    let second = put(&client, "name", b"second").await.version;
    let gone = put(&client, "gone", b"gone").await.version;
    client.withdraw(BUCKET, "gone", gone).await.unwrap();
    let report = reseal(&client).await;
    assert_eq!(report.counts(), (1, 2, 0));
    let why = |version| report.fates.iter().find(|(of, _)| *of == version).unwrap().1.clone();
    assert!(matches!(why(first), Fate::Left { why } if why.contains("older version")));
    assert!(matches!(why(gone), Fate::Left { why } if why.contains("out of view")));
    let Fate::Resealed { new, size_bytes: 6 } = why(second) else { panic!("{report:?}") };
    assert_eq!(newest(&client, "name"), new);
    let leaves = client.head().unwrap().size;
    // as a run that was killed before it named them would: the same selection once more
    let again: Vec<Selected> =
        all(&client).await.into_iter().filter(|record| record.keeping.version == second).collect();
    let report = client.reseal(again, &|_| {}).await.unwrap();
    assert_eq!((report.fates, report.acts), (vec![(second, Fate::Resealed { new, size_bytes: 0 })], 0));
    assert_eq!(client.head().unwrap().size, leaves, "nothing was added");
    client.rotate(EpochReason::Drill, Custody::Passphrase).await.unwrap();
    assert_eq!(reseal(&client).await.counts().0, 1, "in a later epoch it is sealed anew once more");
    assert_eq!(get(&client, "name").await.unwrap(), b"second");
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_machine_signed_and_could_read_is_told_since_when() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    put(&client, "before", &noise(1, 1000)).await;
    let lost = further_machine(&site, &wire, client.keyring(), "lost").await;
    let since_ms = shosoin_client::now_ms();
    let thiefs = put(&lost, "thief", b"by whoever has it").await.version;
    let device = lost.keyring().device_id();
    client.refresh().await.unwrap();
    let open = client.exposure(device, since_ms).await.unwrap();
    assert_eq!((open.entries, open.entries_since, open.revoked_ms), (2, 1, None));
    assert_eq!((open.deposits_since, open.readable.records, open.later.records), (vec![thiefs], 2, 0));
    client.revoke_device(device).await.unwrap();
    client.rotate(EpochReason::DeviceLost, Custody::Passphrase).await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(5), async {
        let before = shosoin_client::now_ms();
        while shosoin_client::now_ms() == before {
            tokio::task::yield_now().await; // the next deposit is of a later millisecond
        }
    })
    .await
    .unwrap();
    put(&client, "after", b"later").await;
    let selected: Vec<Selected> = all(&client).await.into_iter().filter(|record| record.name == "before").collect();
    client.reseal(selected, &|_| {}).await.unwrap();
    let closed = client.exposure(device, since_ms).await.unwrap();
    assert!(closed.revoked_ms.is_some_and(|revoked_ms| revoked_ms >= since_ms));
    assert_eq!((closed.readable.records, closed.resealed.records, closed.later.records), (2, 1, 2));
    assert_eq!(closed.epochs_since, [2]);
    assert!(matches!(lost.state(None, hold()).await, Err(Error::Vault(_))), "it signs nothing any more");
    for client in [client, lost] {
        client.close().await.unwrap();
    }
}

fn hold() -> Document {
    Document::Hold(shosoin_protocol::act::Hold::whole(HoldReason::Other))
}

/// A second hospital id at the same vault.
async fn second(site: &Site, wire: &Arc<Wire>, suite: Suite) -> (Arc<Wire>, Client) {
    let keyring = Keyring::generate(suite).unwrap();
    let hospital = wire.vault.enrol(&keyring.enrolment()).unwrap();
    let wire = Wire::new(wire.vault.clone(), hospital);
    let client = Client::open(ClientOptions::new(site.dir.path().join("second")), keyring, wire.clone()).await.unwrap();
    (wire, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hospital_moves_from_suite_1_to_2_both_stay_readable_and_the_weaker_one_takes_nothing_more_7_6_11_m4() {
    let (site, wire, one) = ward(Suite::Default, Versioning::Enabled).await;
    let stale = further_machine(&site, &wire, one.keyring(), "stale").await;
    put(&one, "chart", b"first").await;
    put(&one, "chart", &noise(2, 700_000)).await;
    put(&one, "hidden", b"hidden").await;
    one.delete(BUCKET, "hidden", Condition::Any).await.unwrap();
    let held = put(&one, "held", b"held").await.version;
    one.hold(Some(vec![held]), HoldReason::Litigation, None).await.unwrap();
    let (_, two) = second(&site, &wire, Suite::Cryptrec).await;
    assert!(matches!(two.succeed(&one, &|_| {}).await, Err(Error::Invalid { .. })), "not to a weaker suite");
    for round in 0..2 {
        let report = one.succeed(&two, &|_| {}).await.unwrap();
        assert_eq!((report.counts(), report.acts), ((4, 0, 0), u64::from(round == 0)), "{:?}", report.fates);
    }
    for client in [&one, &two] {
        assert_eq!(get(client, "chart").await.unwrap(), noise(2, 700_000));
        assert_eq!(get(client, "held").await.unwrap(), b"held");
        assert!(get(client, "hidden").await.is_err(), "a marker hides it");
        let query = shosoin_client::VersionsQuery { bucket: BUCKET.into(), max: 100, ..Default::default() };
        let listed = client.list_versions(&query).unwrap().versions;
        let chart: Vec<u64> = listed
            .iter()
            .filter(|listed| listed.object.name == "chart")
            .map(|listed| listed.object.size_bytes)
            .collect();
        assert_eq!(chart, [700_000, 5], "every version, newest first");
    }
    let moved = one.successors().unwrap()[&held];
    assert_eq!(two.keeping(moved).unwrap().unwrap().kept.holds.len(), 1, "it is held there too");

    let policy = SuitePolicy { minimum: Suite::Cryptrec, successor: Some(two.keyring().hospital()) };
    two.require_suite(SuitePolicy { successor: None, ..policy }).await.unwrap();
    one.require_suite(policy).await.unwrap();
    put(&two, "new", b"in suite 2").await;
    let refused =
        one.put_object(object("new"), Part::single(write(&one, b"x").await), Condition::Any).await.unwrap_err();
    assert!(matches!(&refused, Error::BelowSuite { minimum: Suite::Cryptrec, .. }), "{refused}");
    assert!(refused.to_string().contains(&two.keyring().hospital().to_string()), "it says where storing goes on");
    // a machine that has not read the policy yet is refused by the vault
    let refused =
        stale.put_object(object("new"), Part::single(write(&stale, b"x").await), Condition::Any).await.unwrap_err();
    assert!(refused.is_problem("below-suite"), "{refused}");
    let weaker = SuitePolicy { minimum: Suite::Default, successor: None };
    assert!(matches!(one.require_suite(weaker).await, Err(Error::SuitePolicy { .. })));
    let refused = one.state(None, Document::SuitePolicy(weaker)).await.unwrap_err();
    assert!(matches!(refused, Error::Vault(_)), "the vault refuses what a client would not even ask: {refused}");
    assert_eq!(get(&one, "chart").await.unwrap(), noise(2, 700_000), "what is there stays readable");
    let check = wire.vault.check(CheckOptions::default()).await.unwrap();
    assert!(check.findings.is_empty(), "{:?}", check.findings);
    for client in [one, two, stale] {
        client.close().await.unwrap();
    }
}
