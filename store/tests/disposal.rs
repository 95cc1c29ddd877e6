//! The end of records: ordered by the hospital, approved by two people, guarded, proved, and gone from the media for good.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;
#[path = "stages/disposal.rs"]
mod stage;

use bytes::Bytes;
use common::{
    Hospital, NOW_MS, Parcel, Site, accept, as_media, assert_clean, assert_holds, enrolled, key, memory_volumes,
    refused, vault_key,
};
use serde_json::Value;
use shosoin_protocol::act::{
    Cancel, Custody, DisposalReason, Document, Epoch, EpochReason, HandOverWord, Hold, HoldReason, KeySource, Looked,
    Order, OrderItem, Release, Retain, RetentionChange, Rewrap, Scope, WordStage,
};
use shosoin_protocol::api::InlineRecord;
use shosoin_protocol::approval::{Approval, ApprovalFile, ApprovedOrder};
use shosoin_protocol::certificate::{Caveat, Certificate, CopyState};
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::envelope::Context;
use shosoin_protocol::policy::Retention;
use shosoin_protocol::reconciliation::Reconciliation;
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{Digest, LogId, RecordKind, Suite, VaultId, VersionId, VolumeId};
use shosoin_store::accounts::{AccountId, Caller, Change, Hours, OsUser, Role, Roles};
use shosoin_store::applicability::{Lang, StatementRequest};
use shosoin_store::assets::{AssetCommand, AssetState};
use shosoin_store::audit::{Action, AuditQuery, MediaState, Outcome};
use shosoin_store::disposal::DisposalCommand;
use shosoin_store::handover::{HandoverCommand, HandoverRun, Meter, VerifyOptions, verify};
use shosoin_store::{
    CheckOptions, Error, IndexKind, JobKind, JobOptions, OpenOptions, Result, Vault, VolumeSpec, actor,
};
use shosoin_tiers::media::{Faults, FaultyMedia, Media, MemoryMedia, WriteUnit};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{Volume, VolumeLabel};
use stage::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_and_approved_record_is_gone_from_every_medium_and_its_neighbours_live_6_1_r8_7_8_m3() {
    for suite in Suite::ALL {
        let (mut stage, vault) = Stage::new(suite).await;
        let (shared, own) = (stage.hospital.chunk(9_000, 1), stage.hospital.chunk(9_000, 2));
        let (gone, item) = stage.deposit(&vault, "gone", &[shared.clone(), own.clone()]).await;
        let (lives, _) = stage.deposit(&vault, "lives", std::slice::from_ref(&shared)).await;
        let (neighbour, _) = stage.deposit(&vault, "neighbour", &[stage.hospital.chunk(9_000, 3)]).await;
        let order = stage.ordered(&vault, &[item]).await;
        stage.approved(&vault, &order).await;
        let early = run(&vault, &order).await.unwrap_err();
        assert!(early.to_string().contains("cool-down until"), "{early}");
        stage.pass_cool_down();
        let planned = dry_run(&vault, &order).await;
        assert_eq!(
            (&planned["allowed"], &planned["records"], &planned["shared"]),
            (&true.into(), &5.into(), &1.into())
        );
        assert_eq!((&planned["verified"], &planned["unverified"]), (&5.into(), &0.into()));
        assert_holds(&vault, &stage.hospital, &[gone.clone(), lives.clone(), neighbour.clone()]).await;
        assert!(stage.is_on_media(&own));
        let report = run(&vault, &order).await.unwrap();
        assert!(!stage.is_on_media(&own) && stage.is_on_media(&shared), "{report}");
        let left = [lives, neighbour];
        assert_holds(&vault, &stage.hospital, &left).await;
        assert_clean(&vault).await;
        let asked = vault.version(stage.hospital.id, gone.deposit.version).await.unwrap_err();
        assert!(matches!(asked, Error::Disposed { version, .. } if version == gone.deposit.version), "{asked}");
        for address in [gone.deposit.wrap, gone.deposit.summary, gone.deposit.manifest, gone.deposit.address_list] {
            assert!(vault.record(stage.hospital.id, address).await.is_err());
        }
        assert_eq!(states(&vault).await, [AssetState::Disposed, AssetState::Held, AssetState::Held]);
        let account =
            vault.asset_command(AssetCommand::Reconcile { hospital: None }, Caller::user(KEEPER)).await.unwrap();
        assert_eq!((&account["disposed"]["count"], &account["balances"]), (&1.into(), &true.into()));
        let signed = Reconciliation::decode(&vault.reconciliation(stage.hospital.id).await.unwrap()).unwrap();
        assert!(signed.account.balances());
        let bytes = certificate(&report["certificate"]);
        let vault_key = vault_key(&vault, stage.hospital.id).await;
        let hospital_key = stage.hospital.hospital_key.public();
        let verified = Certificate::verify(&bytes, Some(&vault_key), Some(&hospital_key)).unwrap();
        assert_eq!((verified.order_id, verified.approvals.len()), (order.order, 2));
        let said = &verified.certificate;
        assert!(said.pending() == 0 && !said.copies.is_empty());
        assert!(said.copies.iter().all(|copy| copy.state == CopyState::Erased && copy.passes == 3 && copy.audit > 0));
        let flash = said.copies.iter().all(|copy| copy.caveat == Caveat::Flash);
        assert!(flash && !said.is_complete(), "of flash no more is said than what overwriting can do");
        assert_eq!((said.ended.records, said.ended.shared, said.ended.verified), (5, 1, 5));
        for at in (0..bytes.len()).step_by(7) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Certificate::verify(&changed, Some(&vault_key), Some(&hospital_key)).is_err(), "byte {at}");
        }
        let page = std::fs::read_to_string(report["certificate"]["html"].as_str().unwrap()).unwrap();
        assert!(page.contains("廃棄証明書") && page.contains(&said.copies[0].volume.to_string()));
        vault.close().await.unwrap();
        drop(vault);
        std::fs::remove_dir_all(stage.site.path().join("index")).unwrap();
        let vault = stage.site.open().await;
        assert_clean(&vault).await;
        assert_holds(&vault, &stage.hospital, &left).await;
        assert!(matches!(vault.version(stage.hospital.id, gone.deposit.version).await, Err(Error::Disposed { .. })));
        assert_eq!(states(&vault).await, [AssetState::Disposed, AssetState::Held, AssetState::Held]);
        vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approvals_by_who_asked_twice_by_one_suspended_strangers_and_of_other_orders_do_not_count_8_2_r6() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let (_, item) = stage.deposit(&vault, "record", &[stage.hospital.chunk(3_000, 1)]).await;
    let (_, other) = stage.deposit(&vault, "other", &[stage.hospital.chunk(3_000, 2)]).await;
    let order = stage.ordered(&vault, &[item]).await;
    let second = stage.ordered(&vault, &[other]).await;
    let asked = approve(&vault, &order, 0).await.unwrap_err();
    assert!(asked.to_string().contains("who asks does not approve"), "{asked}");
    approve(&vault, &order, 1).await.unwrap();
    let twice = approve(&vault, &order, 1).await.unwrap_err();
    assert!(twice.to_string().contains("approver-one has approved it already"), "{twice}");
    let suspended = approve(&vault, &order, 3).await.unwrap_err();
    assert!(suspended.to_string().contains("suspended"), "{suspended}");
    let stranger = approve(&vault, &order, 9).await.unwrap_err();
    assert!(stranger.to_string().contains("nobody with an account"), "{stranger}");
    let moved = ApprovalFile { order: second, approval: Approval::sign(&order, NOW_MS, &person(2)) };
    assert!(hand_in(&vault, moved).await.is_err(), "an approval of one order does not do for another");
    let mixed = ApprovedOrder { leaf: second.leaf, ..order };
    assert!(approve(&vault, &mixed, 2).await.unwrap_err().to_string().contains("another order"));
    let foreign = ApprovedOrder { log: LogId([9; 16]), ..order };
    assert!(
        approve(&vault, &foreign, 2).await.unwrap_err().to_string().contains("another vault or of another hospital")
    );
    stage.pass_cool_down();
    let one = run(&vault, &order).await.unwrap_err();
    assert!(one.to_string().contains("fewer than 2 approvals"), "{one}");
    approve(&vault, &order, 2).await.unwrap();
    vault.accounts().suspend(&Caller::user(ADMIN), &id("approver-two"), "suspected").unwrap();
    stage.pass_cool_down();
    let stopped = run(&vault, &order).await.unwrap_err();
    assert!(
        stopped.to_string().contains("fewer than 2 approvals"),
        "an approval must count when it is used: {stopped}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_terms_cancellations_expiry_and_a_jumped_clock_each_stand_against_the_end_8_2_r1() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let (parcel, item) = stage.deposit(&vault, "record", &[stage.hospital.chunk(3_000, 1)]).await;
    let version = Some(parcel.deposit.version);
    let order = stage.ordered(&vault, &[item]).await;
    stage.approved(&vault, &order).await;
    stage.pass_cool_down();
    assert_eq!(dry_run(&vault, &order).await["allowed"], true);
    let hold = Document::Hold(Hold::whole(HoldReason::Litigation));
    for subject in [version, None] {
        let held = stage.state(&vault, &hold, subject).await;
        let refusal = run(&vault, &order).await.unwrap_err();
        assert!(refusal.to_string().contains("on hold"), "a hold set after the approvals: {refusal}");
        stage.state(&vault, &Document::Release(Release { hold: held }), None).await;
    }
    let cancelled = stage.ordered(&vault, &[item]).await;
    stage.approved(&vault, &cancelled).await;
    stage.state(&vault, &Document::DisposalCancelled(Cancel { order: cancelled.order }), None).await;
    stage.pass_cool_down();
    assert!(run(&vault, &cancelled).await.unwrap_err().to_string().contains("order cancelled"));
    let term = Document::Retention(Retain::of_subject(RetentionChange::Until { until_ms: NOW_MS + 300 * DAY_MS }));
    stage.state(&vault, &term, version).await;
    assert!(run(&vault, &order).await.unwrap_err().to_string().contains("kept until"));
    stage.pass_days(900);
    let jumped = run(&vault, &order).await.unwrap_err();
    assert!(jumped.to_string().contains("clock doubted"), "no disposal on a clock's word: {jumped}");
    vault.media().confirm_clock(stage.site.options.clock.now_ms(), "tester").unwrap();
    let expired = run(&vault, &order).await.unwrap_err();
    assert!(expired.to_string().contains("order expired"), "{expired}");
    assert_holds(&vault, &stage.hospital, &[parcel]).await;
    assert_eq!(states(&vault).await, [AssetState::Held]);
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_are_replayed_foreign_forged_or_about_other_entries_are_refused() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let (_, item) = stage.deposit(&vault, "record", &[stage.hospital.chunk(3_000, 1)]).await;
    let refusal = |problem: shosoin_protocol::api::Problem| problem.message;
    // the document of one act does not do for another
    let first = stage.ordered(&vault, &[item]).await;
    let replayed = Document::DisposalOrder(stage.order(first.order, Scope::These(vec![item])));
    let (_, request) = stage.hospital.act(None, &replayed);
    assert!(refusal(refused(&vault, &mut stage.hospital, request).await).contains("signature"));
    // nor one that was signed for another ledger
    let id = stage.hospital.fresh_version();
    let (log, scope) = (LogId([8; 16]), Scope::These(vec![item]));
    let foreign = Order::sign((log, id), DisposalReason::Other, scope, 0, NOW_MS + DAY_MS, &person(0));
    let request = stage.hospital.act_as(id, None, &Document::DisposalOrder(foreign));
    assert!(refusal(refused(&vault, &mut stage.hospital, request).await).contains("signature"));
    let wrong = [
        OrderItem { leaf: Digest([1; 32]), ..item },
        OrderItem { version: VersionId([1; 16]), ..item },
        OrderItem { leaf_index: 0, ..item },
        OrderItem { leaf_index: 99, ..item },
    ];
    for wrong in wrong {
        let (_, request, _) = stage.order_request(Scope::These(vec![wrong]));
        assert!(refusal(refused(&vault, &mut stage.hospital, request).await).contains("another entry there"));
    }
    let (_, request, _) =
        stage.order_request(Scope::Everything { log_size: 2, log_root: Digest([3; 32]), hand_over: None });
    assert!(refusal(refused(&vault, &mut stage.hospital, request).await).contains("never had that size and root"));
    // and the vault may not order anything itself
    let own = Document::DisposalOrder(stage.order(VersionId([5; 16]), Scope::These(vec![item])));
    assert!(vault.state(stage.hospital.id, None, own).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_ends_before_its_terms_only_where_the_log_ended_and_the_hospital_confirmed_the_next_vault_8_2_r1() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let mut parcel = stage.hospital.parcel("record", &[stage.hospital.chunk(3_000, 1)]);
    parcel.deposit.policy.retention = Retention::Term { term_days: 3650, start_ms: Some(NOW_MS) };
    let request = stage.hospital.send(&parcel);
    accept(&vault, &mut stage.hospital, [request]).await;
    let word = HandOverWord::order(VaultId([9; 16]), Digest([4; 32]));
    let confirmed = HandOverWord {
        stage: WordStage::Confirmed,
        looked: Looked { versions: 1, of: 1, ..Looked::default() },
        head: "a head of the receiver".to_owned(),
        ..word.clone()
    };
    let elsewhere = HandOverWord { receiver: VaultId([8; 16]), ..confirmed.clone() };
    let ordered = stage.state(&vault, &Document::HandOverWord(Box::new(word)), None).await;
    let early = stage.state(&vault, &Document::HandOverWord(Box::new(confirmed.clone())), None).await;
    let package = stage.site.dir.path().join("package");
    std::fs::create_dir(&package).unwrap();
    let close = HandoverCommand::Export {
        hospital: None,
        to: VolumeSpec::at(package),
        rate: None,
        segment_bytes: Some(1 << 20),
        close: true,
        timestamps: None,
    };
    vault.handover_command(close, Caller::user(KEEPER), HandoverRun::default()).await.unwrap();
    let foreign = stage.state(&vault, &Document::HandOverWord(Box::new(elsewhere)), None).await;
    let late = stage.state(&vault, &Document::HandOverWord(Box::new(confirmed)), None).await;
    let everything = |stage: &Stage, hand_over| {
        let seen = stage.hospital.device.seen;
        Scope::Everything { log_size: seen.size, log_root: seen.root, hand_over }
    };
    for word in [ordered, early, foreign] {
        let (_, request, _) = stage.order_request(everything(&stage, Some(word)));
        let refusal = refused(&vault, &mut stage.hospital, request).await;
        assert!(refusal.message.contains("confirmation of a hand-over"), "{}", refusal.message);
    }
    for (hand_over, goes) in [(None, false), (Some(late), true)] {
        let order = stage.ordered_in(&vault, everything(&stage, hand_over)).await;
        stage.approved(&vault, &order).await;
        stage.pass_cool_down();
        match run(&vault, &order).await {
            Ok(report) => assert!(goes && report["certificate"]["pending"] == 0, "{report}"),
            Err(error) => assert!(!goes && error.to_string().contains("kept until"), "{error}"),
        }
        assert_eq!(stage.is_on_media(&parcel.chunks[0]), !goes);
    }
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_call_on_media_leaves_the_record_whole_or_the_end_under_way_and_it_is_finished() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let own = stage.hospital.chunk(9_000, 2);
    let (gone, item) = stage.deposit(&vault, "gone", std::slice::from_ref(&own)).await;
    let (lives, _) = stage.deposit(&vault, "lives", &[stage.hospital.chunk(9_000, 3)]).await;
    let order = stage.ordered(&vault, &[item]).await;
    stage.approved(&vault, &order).await;
    stage.pass_cool_down();
    vault.close().await.unwrap();
    drop(vault);
    let (mut ended, mut whole) = (0, 0);
    for at in (0..).step_by(11) {
        let fork = stage.fork();
        let faults = Arc::new(Faults::default());
        let vault = fork.open_through(&faults).await.unwrap();
        faults.kill_at(faults.calls() + at, 0);
        let outcome = run(&vault, &order).await;
        let complete = outcome.is_ok_and(|report| report["certificate"]["pending"] == 0) && !faults.is_dead();
        drop(vault);
        let vault = fork.site.open().await;
        match vault.version(stage.hospital.id, gone.deposit.version).await {
            Ok(_) => {
                assert_holds(&vault, &stage.hospital, std::slice::from_ref(&gone)).await;
                whole += 1;
            }
            Err(Error::Disposed { .. }) => ended += 1,
            Err(error) => panic!("call {at}: {error}"),
        }
        let report = run(&vault, &order).await.unwrap_or_else(|error| panic!("call {at}: {error}"));
        assert_eq!(report["certificate"]["pending"], 0, "call {at}: {report}");
        assert!(!fork.is_on_media(&own), "call {at}");
        assert_holds(&vault, &stage.hospital, std::slice::from_ref(&lives)).await;
        let report = vault.check(CheckOptions { every_unit: true, ..CheckOptions::default() }).await.unwrap();
        assert!(report.is_consistent(), "call {at}: {report:?}");
        vault.close().await.unwrap();
        if complete {
            assert!(ended > 3 && whole > 3, "kills came before and after the end had begun: {whole} and {ended}");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn media_that_cannot_be_overwritten_are_pending_until_they_are_destroyed_7_5_4_m4() {
    let (mut stage, vault) = Stage::on(hard_disks(6), Suite::Default).await;
    stage.media[2].set_write_once(true);
    let (_, item) = stage.deposit(&vault, "gone", &[stage.hospital.chunk(9_000, 2)]).await;
    let order = stage.ordered(&vault, &[item]).await;
    stage.approved(&vault, &order).await;
    stage.pass_cool_down();
    let report = run(&vault, &order).await.unwrap();
    assert_eq!((&report["certificate"]["complete"], &report["certificate"]["serial"]), (&false.into(), &1.into()));
    let (said, _) = Certificate::decode(&certificate(&report["certificate"])).unwrap();
    let pending: Vec<_> = said.copies.iter().filter(|copy| copy.is_pending()).collect();
    assert!(pending.iter().all(|copy| copy.state == CopyState::Removed && copy.volume.0 == [3; 16]));
    assert_eq!(pending.len() as u64, report["certificate"]["pending"].as_u64().unwrap());
    let again = command(&vault, DisposalCommand::Certificate { order: order.order.to_string() }).await.unwrap();
    assert_eq!(again["serial"], 1, "nothing has changed, so there is no other certificate");
    let (vault, [lost, destroyed]) = stage.destroyed(vault, 2, &order).await;
    assert_eq!((&lost["serial"], &lost["complete"]), (&2.into(), &false.into()));
    assert_eq!(lost["pending"], report["certificate"]["pending"], "nobody knows what became of a lost medium");
    assert_eq!((&destroyed["serial"], &destroyed["pending"]), (&3.into(), &0.into()));
    assert_eq!(destroyed["complete"], true, "{destroyed}");
    let (said, _) = Certificate::decode(&certificate(&destroyed)).unwrap();
    let on_it: Vec<_> = said.copies.iter().filter(|copy| copy.volume.0 == [3; 16]).collect();
    assert!(!on_it.is_empty() && on_it.iter().all(|copy| copy.state == CopyState::Destroyed && copy.worker == "taro"));
    let again = command(&vault, DisposalCommand::Certificate { order: order.order.to_string() }).await.unwrap();
    assert_eq!(again["serial"], 3);
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_end_gets_a_better_certificate_when_flash_it_was_on_is_destroyed_7_5_4_m4() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let (_, item) = stage.deposit(&vault, "gone", &[stage.hospital.chunk(9_000, 2)]).await;
    let order = stage.ordered(&vault, &[item]).await;
    stage.approved(&vault, &order).await;
    stage.pass_cool_down();
    let report = run(&vault, &order).await.unwrap();
    assert_eq!((&report["certificate"]["pending"], &report["certificate"]["complete"]), (&0.into(), &false.into()));
    let (vault, [lost, destroyed]) = stage.destroyed(vault, 0, &order).await;
    assert!(lost["pending"].as_u64().unwrap() > 0, "flash that is lost may have remains: {lost}");
    assert_eq!((&destroyed["serial"], &destroyed["pending"]), (&3.into(), &0.into()));
    let (said, _) = Certificate::decode(&certificate(&destroyed)).unwrap();
    for copy in &said.copies {
        let expected = match copy.volume.0 == [1; 16] {
            true => (CopyState::Destroyed, Caveat::None),
            false => (CopyState::Erased, Caveat::Flash),
        };
        assert_eq!((copy.state, copy.caveat), expected);
    }
    assert_eq!(destroyed["complete"], false, "the other five are flash, and still there");
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_was_away_does_not_bring_back_what_was_disposed_of() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let own = stage.hospital.chunk(9_000, 2);
    let (gone, item) = stage.deposit(&vault, "gone", std::slice::from_ref(&own)).await;
    let (lives, _) = stage.deposit(&vault, "lives", &[stage.hospital.chunk(9_000, 3)]).await;
    let order = stage.ordered(&vault, &[item]).await;
    stage.approved(&vault, &order).await;
    vault.close().await.unwrap();
    drop(vault);
    let old = stage.media[0].image();
    let vault = stage.site.open().await;
    stage.pass_cool_down();
    run(&vault, &order).await.unwrap();
    vault.close().await.unwrap();
    drop(vault);
    // an image of one volume from before the disposal is put back under the shards that are there
    restore_shards(&stage.media[0], &old);
    std::fs::remove_dir_all(stage.site.path().join("index")).unwrap();
    let vault = stage.site.open().await;
    assert!(matches!(vault.version(stage.hospital.id, gone.deposit.version).await, Err(Error::Disposed { .. })));
    assert!(vault.record(stage.hospital.id, gone.deposit.wrap).await.is_err());
    assert_holds(&vault, &stage.hospital, &[lives]).await;
    assert!(!stage.is_on_media(&own), "what came back with it was erased");
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_a_contract_everything_goes_and_the_ledger_and_the_proof_stay_8_2_r1_8_2_r3() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let mut parcels = Vec::new();
    for number in 0..4 {
        let chunk = stage.hospital.chunk(9_000, 10 + number);
        parcels.push(stage.deposit(&vault, &format!("record {number}"), &[chunk]).await.0);
    }
    let (_, marker) = stage.hospital.marker("record 1");
    accept(&vault, &mut stage.hospital, [marker]).await;
    let seen = stage.hospital.device.seen;
    let scope = Scope::Everything { log_size: seen.size, log_root: seen.root, hand_over: None };
    let order = stage.ordered_in(&vault, scope).await;
    let (late, _) = stage.deposit(&vault, "late", &[stage.hospital.chunk(3_000, 30)]).await;
    stage.approved(&vault, &order).await;
    stage.pass_cool_down();
    let newer = run(&vault, &order).await.unwrap_err();
    assert!(newer.to_string().contains("deposits came after the order"), "{newer}");
    assert_holds(&vault, &stage.hospital, &parcels).await;
    let seen = stage.hospital.device.seen;
    let scope = Scope::Everything { log_size: seen.size, log_root: seen.root, hand_over: None };
    let order = stage.ordered_in(&vault, scope).await;
    stage.approved(&vault, &order).await;
    stage.pass_cool_down();
    let report = run(&vault, &order).await.unwrap();
    assert_eq!(report["certificate"]["pending"], 0, "{report}");
    for parcel in parcels.iter().chain([&late]) {
        assert!(!stage.is_on_media(&parcel.chunks[0]));
        assert!(matches!(vault.version(stage.hospital.id, parcel.deposit.version).await, Err(Error::Disposed { .. })));
    }
    assert_clean(&vault).await;
    let account = vault.asset_command(AssetCommand::Reconcile { hospital: None }, Caller::user(KEEPER)).await.unwrap();
    assert_eq!((&account["received"]["count"], &account["disposed"]["count"]), (&5.into(), &5.into()));
    let mut leaves = 0;
    while let Some(item) = vault.log_entries(stage.hospital.id, leaves, 1).await.unwrap().items.pop() {
        let is_record = matches!(item.placed.entry.body(), Body::Deposit(_) | Body::Marker(_));
        assert_eq!(item.attachment.is_empty(), is_record || leaves == 0, "leaf {leaves}");
        leaves += 1;
    }
    let (_, request) = stage.hospital.small("after the end");
    let refusal = refused(&vault, &mut stage.hospital, request).await;
    assert_eq!(refusal.code, "contract-ended");
    let vault_key = vault_key(&vault, stage.hospital.id).await;
    Certificate::verify(&certificate(&report["certificate"]), Some(&vault_key), None).unwrap();
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wraps_that_were_made_since_the_deposit_go_with_what_they_open_and_those_of_others_stay() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let (gone, item) = stage.deposit(&vault, "gone", &[stage.hospital.chunk(3_000, 1)]).await;
    let (lives, _) = stage.deposit(&vault, "lives", &[stage.hospital.chunk(3_000, 2)]).await;
    let (reason, source, custody) = (EpochReason::Schedule, KeySource::Root, Custody::Passphrase);
    let epoch = Document::Epoch(Epoch { number: 2, reason, source, custody, commit: Digest([6; 32]) });
    stage.state(&vault, &epoch, None).await;
    let wraps = [(&gone, 1), (&lives, 2)].map(|(parcel, salt)| {
        let context = Context::Wrap { version: parcel.deposit.version, epoch: 2, wrap_no: 1, salt: [9; 32] };
        (parcel.deposit.version, stage.hospital.sealed(context, 48, salt))
    });
    let named = wraps.iter().map(|(version, wrap)| (*version, stage.hospital.suite.address(wrap))).collect();
    let mut request = stage.hospital.act(None, &Document::Rewrap(Rewrap::new(2, named).unwrap())).1;
    let record = |(_, bytes): &(VersionId, Bytes)| InlineRecord { kind: RecordKind::Wrap, bytes: bytes.clone() };
    request.records.extend(wraps.iter().map(record));
    accept(&vault, &mut stage.hospital, [request]).await;
    let order = stage.ordered(&vault, &[item]).await;
    stage.approved(&vault, &order).await;
    stage.pass_cool_down();
    let report = run(&vault, &order).await.unwrap();
    assert_eq!((&report["records"], &report["verified"]), (&6.into(), &6.into()), "{report}");
    assert!(!stage.is_on_media(&wraps[0].1) && stage.is_on_media(&wraps[1].1));
    let versions = vec![gone.deposit.version, lives.deposit.version];
    assert_eq!(vault.wraps(stage.hospital.id, versions).await.unwrap().wraps, [Bytes::new(), wraps[1].1.clone()]);
    assert_clean(&vault).await;
    vault.close().await.unwrap();
    drop(vault);
    std::fs::remove_dir_all(stage.site.path().join("index")).unwrap();
    let vault = stage.site.open().await;
    assert_clean(&vault).await;
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_nobody_ordered_is_refused_on_the_record_in_the_status_and_in_the_figures_8_2_r1() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    assert!(vault.status().await.unwrap().hospitals[0].canary.is_none(), "without a record there is nothing to try");
    stage.deposit(&vault, "record", &[stage.hospital.chunk(3_000, 1)]).await;
    let statement = StatementRequest { hospital: None, lang: Lang::En };
    vault.applicability(statement, Caller::user(KEEPER)).await.unwrap();
    let canary = vault.status().await.unwrap().hospitals[0].canary.unwrap();
    assert!(canary.sound && canary.tried_ms == NOW_MS, "{canary:?}");
    let figures = vault.metrics().await.unwrap();
    for figure in ["shosoin_canaries_loose{} 0.0", "shosoin_canaries_tried{} 1.0"] {
        assert!(figures.contains(figure), "{figures}");
    }
    let actions = vec![Action::DisposalRefused];
    let refused = vault.media().audit().read(&AuditQuery { actions, ..AuditQuery::default() }).unwrap();
    assert!(
        refused.iter().any(|record| record.event.actor == "job:canary" && record.event.outcome == Outcome::Refused)
    );
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_can_be_deposited_again_after_it_was_disposed_of() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let own = stage.hospital.chunk(9_000, 2);
    let (_, item) = stage.deposit(&vault, "gone", std::slice::from_ref(&own)).await;
    let order = stage.ordered(&vault, &[item]).await;
    stage.approved(&vault, &order).await;
    stage.pass_cool_down();
    run(&vault, &order).await.unwrap();
    let address = stage.hospital.suite.address(&own);
    assert_eq!(vault.missing(stage.hospital.id, &[address]).await.unwrap(), [true]);
    let (again, _) = stage.deposit(&vault, "gone", std::slice::from_ref(&own)).await;
    assert_holds(&vault, &stage.hospital, std::slice::from_ref(&again)).await;
    assert_clean(&vault).await;
    vault.close().await.unwrap();
    drop(vault);
    std::fs::remove_dir_all(stage.site.path().join("index")).unwrap();
    let vault = stage.site.open().await;
    assert_holds(&vault, &stage.hospital, &[again]).await;
    assert_clean(&vault).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disposal_begins_at_the_first_segment_however_far_a_compaction_had_come_that_was_stopped() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let (mut chunks, mut items) = (Vec::new(), Vec::new());
    for number in 0..8 {
        let chunk = stage.hospital.chunk(90_000, 10 + number); // two of them are more than a segment
        items.push(stage.deposit(&vault, &format!("record {number}"), std::slice::from_ref(&chunk)).await.1);
        chunks.push(chunk);
    }
    let order = stage.ordered(&vault, &items).await;
    stage.approved(&vault, &order).await;
    stage.pass_cool_down();
    let tour = |longest| JobOptions { max_duration: Some(longest), ..JobOptions::default() };
    let all = vault.run_job(JobKind::Compact, tour(Duration::ZERO)).await.unwrap().left_bytes;
    assert!(all > 0, "there are closed segments");
    let mut longest = Duration::ZERO;
    loop {
        let report = vault.run_job(JobKind::Compact, tour(longest)).await.unwrap();
        if report.outcome == shosoin_store::jobs::Outcome::Stopped && (1..all).contains(&report.left_bytes) {
            break;
        }
        longest += Duration::from_micros(50);
        assert!(longest < Duration::from_millis(100), "no run stopped behind a segment: {report:?}");
    }
    let report = run(&vault, &order).await.unwrap();
    assert_eq!(report["certificate"]["pending"], 0, "{report}");
    for chunk in &chunks {
        assert!(!stage.is_on_media(chunk));
    }
    assert_clean(&vault).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_after_a_disposal_names_what_was_ended_as_ended_and_nothing_of_it_as_missing_8_2_r1() {
    let (mut stage, vault) = Stage::new(Suite::Default).await;
    let own = stage.hospital.chunk(9_000, 2);
    let (gone, item) = stage.deposit(&vault, "gone", std::slice::from_ref(&own)).await;
    let shared = stage.hospital.chunk(9_000, 3);
    let (back, again) = stage.deposit(&vault, "gone and back", std::slice::from_ref(&shared)).await;
    let (lives, _) = stage.deposit(&vault, "lives", &[stage.hospital.chunk(9_000, 4)]).await;
    let order = stage.ordered(&vault, &[item, again]).await;
    stage.approved(&vault, &order).await;
    stage.pass_cool_down();
    run(&vault, &order).await.unwrap();
    let (returned, _) = stage.deposit(&vault, "back", &[shared]).await;
    let package = stage.site.dir.path().join("package");
    std::fs::create_dir(&package).unwrap();
    let export = HandoverCommand::Export {
        hospital: None,
        to: VolumeSpec::at(&package),
        rate: None,
        segment_bytes: Some(1 << 20),
        close: false,
        timestamps: None,
    };
    let report = vault.handover_command(export, Caller::user(KEEPER), HandoverRun::default()).await.unwrap();
    assert_eq!((&report["state"], &report["missing"]), (&"whole".into(), &Value::Array(Vec::new())), "{report}");
    let judged = |package: &std::path::Path| {
        let scratch = tempfile::tempdir().unwrap();
        let media = shosoin_tiers::media::FileMedia::open(package, Default::default()).unwrap();
        let options =
            VerifyOptions { fingerprint: None, scratch: scratch.path().join("rows"), index: IndexKind::Memory };
        verify::verify(Arc::new(media), &options, &shosoin_tiers::Unpaced, &Meter::default()).unwrap()
    };
    let good = judged(&package);
    assert!(good.is_good() && good.missing.is_empty(), "{good:?}");
    let held = |parcel: &Parcel| [parcel.deposit.wrap, parcel.deposit.manifest];
    for address in held(&gone).into_iter().chain(held(&back)) {
        assert!(vault.record(stage.hospital.id, address).await.is_err());
    }
    assert_holds(&vault, &stage.hospital, &[lives, returned]).await;
    vault.close().await.unwrap();
}
