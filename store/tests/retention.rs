//! What keeps records at the vault: the hospital reports starts, extends, locks, holds and releases; nothing shortens, and
//! media alone bring all of it back.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::{Hospital, NOW_MS, Site, accept, assert_clean, enrolled, refused};
use serde_json::Value;
use shosoin_protocol::act::{Document, Hold, HoldReason, Lock, LockMode, Release, Retain, RetentionChange, Versions};
use shosoin_protocol::policy::{DepositPolicy, Retention};
use shosoin_protocol::{Suite, VersionId};
use shosoin_store::accounts::Caller;
use shosoin_store::assets::{AssetCommand, AssetQuery};
use shosoin_store::disposal::{DisposalCommand, DueQuery};
use shosoin_store::{IndexKind, Vault};

const DAY_MS: u64 = 86_400_000;

fn term(term_days: u32, start_ms: Option<u64>) -> Retention {
    Retention::Term { term_days, start_ms }
}

/// Deposits a record that is kept so.
async fn deposit(vault: &Vault, hospital: &mut Hospital, name: &str, retention: Retention) -> VersionId {
    let mut parcel = hospital.parcel(name, &[hospital.chunk(3_000, name.len() as u64)]);
    parcel.deposit.policy = DepositPolicy { retention, ..DepositPolicy::default() };
    let request = hospital.send(&parcel);
    accept(vault, hospital, [request]).await;
    parcel.deposit.version
}

fn retain(change: RetentionChange) -> Document {
    Document::Retention(Retain::of_subject(change))
}

async fn state(vault: &Vault, hospital: &mut Hospital, subject: Option<VersionId>, document: &Document) -> VersionId {
    let (id, request) = hospital.act(subject, document);
    accept(vault, hospital, [request]).await;
    id
}

async fn refusal(vault: &Vault, hospital: &mut Hospital, subject: Option<VersionId>, document: &Document) -> String {
    let (_, request) = hospital.act(subject, document);
    refused(vault, hospital, request).await.message
}

async fn due(vault: &Vault, within_days: u32) -> Value {
    let query = DueQuery { within_days, limit: 100, ..DueQuery::default() };
    vault.disposal_command(DisposalCommand::Due(query), Caller::this_process()).await.unwrap()
}

fn numbers(due: &Value) -> Vec<u64> {
    due["due"].as_array().unwrap().iter().map(|entry| entry["number"].as_u64().unwrap()).collect()
}

async fn planned(vault: &Vault, number: u64) -> Value {
    let query = AssetQuery { from_number: Some(number), to_number: Some(number + 1), ..AssetQuery::default() };
    let page = vault.asset_command(AssetCommand::List(Box::new(query)), Caller::this_process()).await.unwrap();
    page["assets"][0]["arisen"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_runs_from_the_event_that_the_hospital_reports_and_only_grows_1_1_r1_6_3_r6() {
    for suite in Suite::ALL {
        let site = Site::on_disk(IndexKind::Fjall).await;
        let vault = site.open().await;
        let mut hospital = enrolled(&vault, suite, 1).await;
        let version = deposit(&vault, &mut hospital, "chart", term(10, None)).await;
        assert_eq!(due(&vault, 36_500).await["start_unknown"], 1, "no start, no end");
        let start = |start_ms| retain(RetentionChange::Start { start_ms });
        state(&vault, &mut hospital, Some(version), &start(NOW_MS - 20 * DAY_MS)).await;
        assert_eq!(numbers(&due(&vault, 0).await), [1]);
        let earlier = refusal(&vault, &mut hospital, Some(version), &start(NOW_MS - 30 * DAY_MS)).await;
        assert!(earlier.contains("earlier start would shorten"), "{earlier}");
        let shorter = retain(RetentionChange::Term { term_days: 9 });
        let shorter = refusal(&vault, &mut hospital, Some(version), &shorter).await;
        assert!(shorter.contains("longer already") && shorter.contains(&version.to_string()), "{shorter}");
        state(&vault, &mut hospital, Some(version), &retain(RetentionChange::Term { term_days: 50 })).await;
        assert_eq!((numbers(&due(&vault, 0).await), numbers(&due(&vault, 30).await)), (vec![], vec![1]));
        let planned = planned(&vault, 1).await;
        assert_eq!(planned["term_days"], 50);
        assert_eq!(planned["planned_disposal_ms"], NOW_MS + 30 * DAY_MS);
        assert_clean(&vault).await;
        vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_act_starts_the_terms_of_many_records_and_is_refused_whole_where_one_may_not() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let mut versions = Vec::new();
    for number in 0..5 {
        versions.push(deposit(&vault, &mut hospital, &format!("image {number}"), term(1, None)).await);
    }
    let without = deposit(&vault, &mut hospital, "no term", Retention::None).await;
    let start = RetentionChange::Start { start_ms: NOW_MS - 2 * DAY_MS };
    let listed = |versions: &[VersionId]| {
        Document::Retention(Retain { change: start, versions: Versions::new(versions.to_vec()).unwrap() })
    };
    let all = listed(&[versions.clone(), vec![without]].concat());
    assert!(refusal(&vault, &mut hospital, None, &all).await.contains("no term that could start"));
    assert_eq!(numbers(&due(&vault, 0).await), [0u64; 0], "nothing of it was done");
    let twice_told = listed(&versions);
    let both = refusal(&vault, &mut hospital, Some(versions[0]), &twice_told).await;
    assert!(both.contains("a subject and a list"), "{both}");
    let nobody = Document::Retention(Retain { change: start, versions: Versions::default() });
    assert!(refusal(&vault, &mut hospital, None, &nobody).await.contains("about no version"));
    state(&vault, &mut hospital, None, &listed(&versions)).await;
    let found = due(&vault, 0).await;
    assert_eq!(numbers(&found), [1, 2, 3, 4, 5]);
    assert_eq!((&found["without_term"], &found["count"]), (&1.into(), &5.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_keeps_what_has_expired_until_it_is_released_by_its_id() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let ended = term(1, Some(NOW_MS - 5 * DAY_MS));
    let one = deposit(&vault, &mut hospital, "one", ended).await;
    deposit(&vault, &mut hospital, "two", ended).await;
    assert_eq!(numbers(&due(&vault, 0).await), [1, 2]);
    let hold = Document::Hold(Hold::whole(HoldReason::Litigation));
    let first = state(&vault, &mut hospital, Some(one), &hold).await;
    let second = state(&vault, &mut hospital, Some(one), &hold).await;
    assert_eq!(numbers(&due(&vault, 0).await), [2]);
    let release = |hold| Document::Release(Release { hold });
    state(&vault, &mut hospital, None, &release(first)).await;
    assert_eq!(numbers(&due(&vault, 0).await), [2], "two holds end one by one");
    let twice = refusal(&vault, &mut hospital, None, &release(first)).await;
    assert!(twice.contains("ended already"), "{twice}");
    for no_hold in [one, VersionId([77; 16])] {
        assert!(refusal(&vault, &mut hospital, None, &release(no_hold)).await.contains("is not held"));
    }
    let everything = state(&vault, &mut hospital, None, &hold).await;
    let found = due(&vault, 0).await;
    assert_eq!((numbers(&found), &found["on_hold"]), (vec![], &2.into()));
    state(&vault, &mut hospital, None, &release(everything)).await;
    state(&vault, &mut hospital, None, &release(second)).await;
    assert_eq!(numbers(&due(&vault, 0).await), [1, 2]);
    let unknown = refusal(&vault, &mut hospital, Some(VersionId([78; 16])), &hold).await;
    assert!(unknown.contains("deposit of version"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_may_come_before_its_version_and_compliance_is_never_shortened_by_anyone() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let mut parcel = hospital.parcel("locked", &[hospital.chunk(3_000, 3)]);
    parcel.deposit.policy.retention = term(1, Some(0));
    let version = parcel.deposit.version;
    let lock = |mode, until_ms| RetentionChange::Lock(Lock { mode, until_ms });
    let until_ms = NOW_MS + 9 * DAY_MS;
    state(&vault, &mut hospital, Some(version), &retain(lock(LockMode::Compliance, until_ms))).await;
    let request = hospital.send(&parcel);
    accept(&vault, &mut hospital, [request]).await;
    assert_eq!(planned(&vault, 2).await["planned_disposal_ms"], until_ms);
    for weaker in [
        lock(LockMode::Compliance, until_ms - 1),
        lock(LockMode::Governance, until_ms + 1),
        RetentionChange::Bypass(None),
    ] {
        let refused = refusal(&vault, &mut hospital, Some(version), &retain(weaker)).await;
        assert!(refused.contains("cannot change like that"), "{refused}");
    }
    state(&vault, &mut hospital, Some(version), &retain(lock(LockMode::Compliance, until_ms + 1))).await;
    assert_eq!(planned(&vault, 2).await["planned_disposal_ms"], until_ms + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_records_is_rebuilt_from_media_alone() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let ended = term(1, Some(NOW_MS - 5 * DAY_MS));
    let mut versions = Vec::new();
    for number in 0..6 {
        versions.push(deposit(&vault, &mut hospital, &format!("record {number}"), ended).await);
    }
    let hold = |note| Document::Hold(Hold { note, ..Hold::whole(HoldReason::Audit) });
    state(&vault, &mut hospital, Some(versions[0]), &hold(vec![1; 40])).await;
    let released = state(&vault, &mut hospital, Some(versions[1]), &hold(vec![2; 40])).await;
    state(&vault, &mut hospital, None, &Document::Release(Release { hold: released })).await;
    state(&vault, &mut hospital, Some(versions[2]), &retain(RetentionChange::Until { until_ms: NOW_MS + 9 })).await;
    let before = due(&vault, 0).await;
    assert_eq!(numbers(&before), [2, 4, 5, 6]);
    vault.close().await.unwrap();
    drop(vault);
    std::fs::remove_dir_all(site.path().join("index")).unwrap();
    let vault = site.open().await;
    assert_eq!(due(&vault, 0).await, before);
    assert_clean(&vault).await;
    let again = refusal(&vault, &mut hospital, None, &Document::Release(Release { hold: released })).await;
    assert!(again.contains("ended already"), "{again}");
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_clock_is_doubted_nothing_is_due() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    deposit(&vault, &mut hospital, "chart", term(1, Some(NOW_MS - 5 * DAY_MS))).await;
    assert_eq!(numbers(&due(&vault, 0).await), [1]);
    site.clock.advance(3_650 * DAY_MS);
    let query = DueQuery { limit: 10, ..DueQuery::default() };
    let error = vault.disposal_command(DisposalCommand::Due(query), Caller::this_process()).await.unwrap_err();
    assert!(error.to_string().contains("the clock is doubted"), "{error}");
}
