//! A vault, or a wire, that misbehaves: what is wrong is refused, what is lost is found, what is not known is said.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::*;
use shosoin_client::{Condition, Error, ListQuery, Part, Transport as _, VerifyOptions};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::manifest::{BucketFacts, Versioning};
use shosoin_protocol::{ErrorKind, Suite};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_never_read() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    put(&client, "scan", &noise(1, 2_000_000)).await;
    wire.misbehave(Fault::FlipRecords);
    let error = get(&client, "scan").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    let error = client.verify(BUCKET, "scan", None, VerifyOptions { content: true }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    wire.misbehave(Fault::None);
    assert_eq!(get(&client, "scan").await.unwrap(), noise(1, 2_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_vault_lost_is_damage_and_not_an_absent_object() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    put(&client, "scan", &noise(2, 2_000_000)).await;
    wire.misbehave(Fault::NoRecords);
    assert!(matches!(get(&client, "scan").await, Err(Error::Damaged { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_than_the_one_asked_for_is_refused() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    let old = put(&client, "scan", b"old").await.version;
    put(&client, "scan", b"new").await;
    wire.misbehave(Fault::OtherVersion(old));
    assert!(matches!(get(&client, "scan").await, Err(Error::Contradiction { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrap_of_another_version_opens_nothing() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    let old = put(&client, "scan", b"old").await.version;
    put(&client, "scan", b"new").await;
    let wrap = wire.version(old).await.unwrap().wrap;
    wire.misbehave(Fault::OtherWrap(wrap));
    assert!(matches!(get(&client, "scan").await, Err(Error::Keyring { what: "data key", .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_checkpoint_is_refused_with_both_heads() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    put(&client, "first", b"1").await;
    let old = client.head_text().unwrap();
    put(&client, "second", b"2").await;
    let newest = client.head_text().unwrap();
    wire.misbehave(Fault::OldCheckpoint(old.clone()));
    for outcome in [client.refresh().await, get(&client, "second").await.map(|_| ())] {
        match outcome {
            Err(Error::Head { why, remembered, offered, evidence }) => {
                assert_eq!((why, &remembered, &offered), ("went back", &newest, &old));
                let kept = std::fs::read_to_string(evidence.unwrap()).unwrap();
                assert!(kept.contains(&newest) && kept.contains(&old));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_omitted_entry_or_another_summary_is_refused() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    for n in 0..5 {
        put(&client, &format!("n{n}"), b"x").await;
    }
    client.close().await.unwrap();
    drop(client);
    std::fs::remove_dir_all(site.state_dir()).unwrap();
    for fault in [Fault::OmitEntry(3), Fault::FlipSummaries] {
        wire.misbehave(fault.clone());
        let refused = site.try_client(&wire).await.err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Damaged, "{fault:?}: {refused}");
        wire.misbehave(Fault::None);
    }
    assert_eq!(get(&site.client(&wire).await, "n4").await.unwrap(), b"x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_for_something_else_is_no_receipt() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let content = write(&client, b"x").await;
    wire.misbehave(Fault::StaleReceipts);
    let refused = client.put_object(object("scan"), Part::single(content), Condition::Any).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Damaged);
    wire.misbehave(Fault::None);
    put(&client, "next", b"y").await;
    assert_eq!(get(&client, "next").await.unwrap(), b"y");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_receipt_proves_its_own_entry_and_no_other() {
    let (_site, _wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    let first = put(&client, "scan", b"old").await;
    put(&client, "scan", b"new").await;
    let receipt = first.receipt.unwrap().encode();
    let proved = client.verify_receipt(BUCKET, "scan", Some(first.version), &receipt).await.unwrap();
    assert_eq!((proved.level, proved.sites), (1, 1));
    assert!(proved.ledger_size > first.leaf_index);
    assert!(client.verify_receipt(BUCKET, "scan", None, &receipt).await.is_err(), "it is for another entry");
    for at in [receipt.len() - 1, receipt.len() / 2, 6] {
        let mut forged = receipt.clone();
        forged[at] ^= 1;
        let refused = client.verify_receipt(BUCKET, "scan", Some(first.version), &forged).await;
        assert!(matches!(refused, Err(Error::Answer { .. })), "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_in_the_ledger_and_stored_once() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    wire.misbehave(Fault::LoseAnswers(1));
    let stored = put(&client, "scan", b"once").await;
    assert!(stored.receipt.is_none());
    assert_eq!(client.lookup(BUCKET, "scan", None).unwrap().unwrap().leaf_index, stored.leaf_index);
    wire.misbehave(Fault::LoseDeposits(2));
    assert!(put(&client, "scan", b"twice").await.receipt.is_some());
    let query = shosoin_client::VersionsQuery { bucket: BUCKET.into(), max: 10, ..Default::default() };
    assert_eq!(client.list_versions(&query).unwrap().versions.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_that_arrives_late_is_stored_once_and_answered_as_stored() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    wire.misbehave(Fault::DelayBatch);
    let stored = put(&client, "scan", b"once").await;
    assert!(stored.receipt.is_none());
    let row = client.lookup(BUCKET, "scan", None).unwrap().unwrap();
    assert_eq!((row.version, row.leaf_index), (stored.version, stored.leaf_index));
    let query = shosoin_client::VersionsQuery { bucket: BUCKET.into(), max: 10, ..Default::default() };
    assert_eq!(client.list_versions(&query).unwrap().versions.len(), 1);
    assert!(put(&client, "next", b"x").await.receipt.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_asked_for_again_by_its_id_is_the_same_version() {
    let (_site, _wire, client) = ward(Suite::Default, Versioning::Enabled).await;
    let version = Some(shosoin_protocol::VersionId::new(5, [9; 10]));
    let deposit = async |bytes: &[u8], condition| {
        let content = write(&client, bytes).await;
        let asked = shosoin_client::NewObject { version, ..object("scan") };
        client.put_object(asked, Part::single(content), condition).await.unwrap()
    };
    let first = deposit(b"once", Condition::Absent).await;
    let again = deposit(b"once", Condition::Absent).await;
    assert_eq!((again.version, again.leaf_index, &again.facts), (first.version, first.leaf_index, &first.facts));
    client.withdraw(BUCKET, "scan", first.version).await.unwrap();
    let out_of_view = deposit(b"once", Condition::Absent).await;
    assert_eq!((out_of_view.leaf_index, out_of_view.etag), (first.leaf_index, first.etag));
    assert_eq!(client.lookup(BUCKET, "scan", None).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_stays_silent_is_reported_and_the_next_put_goes_through() {
    let (_site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    wire.misbehave(Fault::LoseDeposits(100));
    let content = write(&client, b"x").await;
    let refused = client.put_object(object("scan"), Part::single(content), Condition::Any).await.unwrap_err();
    assert_eq!((refused.is_unreachable(), refused.kind()), (true, ErrorKind::Unavailable));
    assert_eq!(client.lookup(BUCKET, "scan", None).unwrap(), None);
    wire.misbehave(Fault::None);
    put(&client, "scan", b"y").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_back_when_the_state_folder_is_gone() {
    for suite in Suite::ALL {
        let (site, wire, client) = ward(suite, Versioning::Enabled).await;
        client.create_bucket(BucketFacts::new("other", 5)).await.unwrap();
        let first = put(&client, "scan", b"first").await.version;
        put(&client, "scan", b"second").await;
        client.set_tags(BUCKET, "scan", Some(first), vec![("k".into(), "v".into())]).await.unwrap();
        put(&client, "gone", b"x").await;
        client.delete(BUCKET, "gone", Condition::Any).await.unwrap();
        let withdrawn = put(&client, "withdrawn", b"x").await.version;
        client.withdraw(BUCKET, "withdrawn", withdrawn).await.unwrap();
        let versions = shosoin_client::VersionsQuery { bucket: BUCKET.into(), max: 100, ..Default::default() };
        let names = ListQuery { bucket: BUCKET.into(), max: 100, ..Default::default() };
        let all = |client: &shosoin_client::Client| {
            let tags = client.lookup(BUCKET, "scan", Some(first)).unwrap().unwrap();
            let pages = (client.list(&names).unwrap(), client.list_versions(&versions).unwrap());
            (client.buckets().unwrap(), pages, tags, client.head().unwrap())
        };
        let before = all(&client);
        assert_eq!(before.2.object().unwrap().0.tags.len(), 1);
        client.close().await.unwrap();
        drop(client);
        std::fs::remove_dir_all(site.state_dir()).unwrap();
        let client = site.client(&wire).await;
        confirm(&client).await;
        assert_eq!(all(&client), before);
        assert_eq!(get(&client, "scan").await.unwrap(), b"second");
        put(&client, "after", b"y").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_comes_back_when_it_alone_is_gone_or_behind_the_remembered_head() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    let (view, older) = (site.state_dir().join("view"), site.dir.path().join("older-view"));
    put(&client, "first", b"1").await;
    client.close().await.unwrap();
    drop(client);
    copy_folder(&view, &older);
    let client = site.client(&wire).await;
    put(&client, "second", b"2").await;
    client.close().await.unwrap();
    drop(client);
    std::fs::remove_dir_all(&view).unwrap();
    let client = site.client(&wire).await;
    assert_eq!(get(&client, "second").await.unwrap(), b"2");
    client.close().await.unwrap();
    drop(client);
    std::fs::remove_dir_all(&view).unwrap();
    copy_folder(&older, &view);
    let client = site.client(&wire).await;
    assert_eq!(
        (get(&client, "first").await.unwrap(), get(&client, "second").await.unwrap()),
        (b"1".into(), b"2".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forked_or_smaller_ledger_is_refused_with_evidence() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    put(&client, "common", b"x").await;
    client.close().await.unwrap();
    drop(client);
    wire.vault.close().await.unwrap();
    drop(wire);
    site.copy_vault("older");
    site.copy_vault("forked");

    let wire = site.wire("vault").await;
    let client = site.client(&wire).await;
    put(&client, "one", b"1").await;
    put(&client, "two", b"2").await;
    client.close().await.unwrap();
    let remembered = client.head_text().unwrap();
    drop((client, wire));
    let kept = site.dir.path().join("kept");
    copy_folder(&site.state_dir(), &kept);

    let refused = site.try_client(&site.wire("older").await).await.err().unwrap();
    assert!(matches!(&refused, Error::Head { why: "went back", remembered: r, .. } if *r == remembered), "{refused}");

    std::fs::remove_dir_all(site.state_dir()).unwrap();
    let forked = site.wire("forked").await;
    let client = site.client(&forked).await;
    confirm(&client).await;
    for n in 0..3 {
        put(&client, &format!("fork{n}"), b"f").await;
    }
    client.close().await.unwrap();
    drop(client);
    std::fs::remove_dir_all(site.state_dir()).unwrap();
    copy_folder(&kept, &site.state_dir());
    match site.try_client(&forked).await.err().unwrap() {
        Error::Head { why: "forked", remembered: r, offered, evidence } => {
            let kept = std::fs::read_to_string(evidence.unwrap()).unwrap();
            assert!(kept.contains(&r) && kept.contains(&offered));
            assert!(!kept.ends_with("leaves\n"), "the proof that fails is part of it: {kept}");
            let (sizes, _) = (Checkpoint::parse(&r).unwrap(), assert_eq!(r, remembered));
            assert!(Checkpoint::parse(&offered).unwrap().0.size > sizes.0.size);
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_with_another_key_or_for_another_hospital_is_refused() {
    let (site, wire, client) = ward(Suite::Default, Versioning::Off).await;
    client.close().await.unwrap();
    drop(client);
    let other = Site::new(Suite::Default).await;
    let refused = site.try_client(&other.wire("vault").await).await.err().unwrap();
    assert!(matches!(refused, Error::WrongVault { what: "hospital", .. }), "{refused}");
    let mut options = shosoin_client::ClientOptions::new(site.dir.path().join("pinned"));
    options.vault_key = Some(site.keyring().device_key().public());
    let refused = shosoin_client::Client::open(options, site.keyring(), wire.clone()).await.err().unwrap();
    assert!(matches!(refused, Error::WrongVault { what: "key", .. }), "{refused}");
}
