//! Agreements at a vault: what comes in only under one, and what is no agreement.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use bytes::Bytes;
use common::*;
use shosoin_protocol::act::agreement::{Agreement, Draft, Terms};
use shosoin_protocol::act::{Act, ActKind, Document};
use shosoin_protocol::api::{DepositRequest, InlineRecord, Problem, code};
use shosoin_protocol::entry::{Body, Seen};
use shosoin_protocol::policy::{DepositPolicy, Label, RecordType, Retention};
use shosoin_protocol::{RecordKind, Suite};
use shosoin_store::accounts::Caller;
use shosoin_store::agreements::AgreementCommand;
use shosoin_store::{Config, IndexKind, Vault};
use shosoin_tiers::media::{FileMedia, FileOptions};

/// A vault that needs agreements, and a hospital that has none yet.
async fn without_agreement(suite: Suite) -> (Site, Vault, Hospital) {
    let site = Site::on_disk(IndexKind::Fjall).await;
    require_agreements(&site);
    let vault = site.open().await;
    let hospital = enrolled(&vault, suite, 1).await;
    (site, vault, hospital)
}

fn require_agreements(site: &Site) {
    let folder = FileMedia::open(&site.path(), FileOptions::default()).unwrap();
    let mut config = Config::load(&site.path()).unwrap();
    config.intake.agreement_required = true;
    config.save(&folder, &site.path()).unwrap();
}

fn terms(vault: &Vault, hospital: &Hospital) -> Terms {
    Terms::demonstration(Draft { hospital: hospital.id, suite: hospital.suite, vault: vault.id(), now_ms: NOW_MS })
}

fn signed(terms: Terms, hospital: &Hospital) -> Vec<u8> {
    Document::Agreement(Box::new(Agreement::draft(terms).sign_as_hospital(&hospital.hospital_key))).encode()
}

async fn sign_as_operator(vault: &Vault, hospital: &Hospital, document: &[u8]) -> Result<Vec<u8>, Problem> {
    let command = AgreementCommand::Sign { hospital: Some(hospital.id.to_string()), document: hex::encode(document) };
    let answer = vault.agreement_command(command, Caller::this_process()).await.map_err(|error| error.problem())?;
    Ok(hex::decode(answer["document"].as_str().unwrap()).unwrap())
}

/// Both sign, the operator last; the device has then seen the act.
async fn agree(vault: &Vault, hospital: &mut Hospital, terms: Terms) {
    let document = signed(terms, hospital);
    sign_as_operator(vault, hospital, &document).await.unwrap();
    see_head(vault, hospital).await;
}

async fn see_head(vault: &Vault, hospital: &mut Hospital) {
    let text = vault.checkpoint(hospital.id).await.unwrap();
    let (head, _) = shosoin_protocol::checkpoint::Checkpoint::parse(&text).unwrap();
    hospital.device.seen = Seen { size: head.size, root: head.root };
}

/// The hospital puts an agreement into the log by an act of its own.
fn stated(hospital: &mut Hospital, document: &[u8]) -> DepositRequest {
    let bytes = Bytes::copy_from_slice(document);
    let id = hospital.fresh_version();
    let act = Act { id, kind: ActKind::Agreement, subject: None, document: hospital.suite.address(&bytes) };
    let entry = hospital.device.sign(&hospital.named(), Body::Act(act));
    let records = vec![InlineRecord { kind: RecordKind::Document, bytes }];
    DepositRequest { entry: Bytes::copy_from_slice(entry.bytes()), records }
}

/// What one deposit is answered; a refused one leaves the device's chain as it was.
async fn answer(vault: &Vault, hospital: &mut Hospital, deposit: DepositRequest) -> Result<(), Problem> {
    let mut replies = vault.deposit(hospital.id, batch([deposit])).await.unwrap().replies;
    let reply = replies.pop().unwrap();
    see_head(vault, hospital).await;
    reply.map(drop)
}

async fn refused(
    vault: &Vault,
    hospital: &mut Hospital,
    make: impl FnOnce(&mut Hospital) -> DepositRequest,
) -> Problem {
    let (seq, prev) = (hospital.device.next_seq, hospital.device.prev);
    let deposit = make(hospital);
    let problem = answer(vault, hospital, deposit).await.unwrap_err();
    (hospital.device.next_seq, hospital.device.prev) = (seq, prev);
    problem
}

#[tokio::test]
async fn nothing_of_content_is_taken_before_an_agreement_is_in_force() {
    for suite in Suite::ALL {
        let (_site, vault, mut hospital) = without_agreement(suite).await;
        let chunk = hospital.chunk(3000, 7);
        let error = vault.put_chunk(hospital.id, hospital.suite.address(&chunk), chunk.clone()).await.unwrap_err();
        assert_eq!(error.code(), code::NO_AGREEMENT);
        for make in [|hospital: &mut Hospital| hospital.small("a").1, |hospital: &mut Hospital| hospital.marker("a").1]
        {
            let problem = refused(&vault, &mut hospital, make).await;
            assert_eq!(problem.code, code::NO_AGREEMENT, "{problem:?}");
            assert!(problem.message.contains("shosoin agreement draft"), "{}", problem.message);
        }
        let agreed = terms(&vault, &hospital);
        agree(&vault, &mut hospital, agreed).await;
        vault.put_chunk(hospital.id, hospital.suite.address(&chunk), chunk).await.unwrap();
        let (parcel, deposit) = hospital.small("a");
        accept(&vault, &mut hospital, [deposit]).await;
        assert_holds(&vault, &hospital, &[parcel]).await;
        assert_clean(&vault).await;
    }
}

#[tokio::test]
async fn an_agreement_counts_from_its_time_on_and_whoever_signs_last_puts_it_in_force() {
    let (site, vault, mut hospital) = without_agreement(Suite::Default).await;
    let later = Terms { from_ms: NOW_MS + 5000, ..terms(&vault, &hospital) };
    let draft = Document::Agreement(Box::new(Agreement::draft(later))).encode();
    let by_operator = sign_as_operator(&vault, &hospital, &draft).await.unwrap();
    let problem = refused(&vault, &mut hospital, |hospital| stated(hospital, &by_operator)).await;
    assert!(problem.message.contains("the hospital has not signed it"), "{problem:?}");
    let Document::Agreement(half) = Document::decode(ActKind::Agreement, &by_operator).unwrap() else { panic!() };
    let both = Document::Agreement(Box::new(half.sign_as_hospital(&hospital.hospital_key))).encode();
    let act = stated(&mut hospital, &both);
    accept(&vault, &mut hospital, [act]).await;
    let problem = refused(&vault, &mut hospital, |hospital| hospital.small("a").1).await;
    assert!(problem.message.contains("not in force yet"), "{problem:?}");
    site.clock.advance(5000);
    let (_, deposit) = hospital.small("a");
    accept(&vault, &mut hospital, [deposit]).await;
}

#[tokio::test]
async fn record_type_label_and_retention_are_those_agreed_on_5_1_r2_6_3_r6() {
    let (_site, vault, mut hospital) = without_agreement(Suite::Default).await;
    let chart = RecordType::from_code("T4-01").unwrap();
    let mut agreed = terms(&vault, &hospital);
    agreed.types.retain(|rule| rule.record_type == chart);
    agreed.types[0].term_days_min = 1827;
    agreed.labels.retain(|rule| rule.label == Label::Ordinary);
    agree(&vault, &mut hospital, agreed).await;
    let good = DepositPolicy {
        record_type: chart,
        label: Label::Ordinary,
        retention: Retention::Term { term_days: 1827, start_ms: None },
    };
    let wrong = [
        (DepositPolicy { record_type: RecordType::OTHER, ..good }, "record type O-00"),
        (DepositPolicy { label: Label::Sensitive, ..good }, "label sensitive"),
        (DepositPolicy { retention: Retention::Term { term_days: 1826, start_ms: None }, ..good }, "1827 agreed on"),
        (DepositPolicy { retention: Retention::None, ..good }, "0 days"),
    ];
    let with = |policy| {
        move |hospital: &mut Hospital| {
            let chunk = hospital.chunk(900, 5);
            let mut parcel = hospital.parcel("a", &[chunk]);
            parcel.deposit.policy = policy;
            hospital.send(&parcel)
        }
    };
    for (policy, why) in wrong {
        let problem = refused(&vault, &mut hospital, with(policy)).await;
        assert_eq!((problem.code.as_str(), problem.kind.as_str()), (code::NOT_AGREED, "refused"));
        assert!(problem.message.contains(why), "{}", problem.message);
    }
    let deposit = with(good)(&mut hospital);
    accept(&vault, &mut hospital, [deposit]).await;
}

#[tokio::test]
async fn a_dispensing_record_and_a_type_of_no_table_are_refused_whatever_was_agreed_on_5_1_r2() {
    let (_site, vault, mut hospital) = without_agreement(Suite::Default).await;
    let agreed = terms(&vault, &hospital);
    agree(&vault, &mut hospital, agreed).await;
    for (number, why) in [(64u16, "may not be deposited"), (999, "no such type")] {
        let problem = refused(&vault, &mut hospital, |hospital| {
            let (_, mut request) = hospital.small("a");
            let mut entry = request.entry.to_vec();
            entry[413..415].copy_from_slice(&number.to_le_bytes());
            request.entry = entry.into();
            request
        })
        .await;
        assert!(problem.message.contains(why), "{}", problem.message);
    }
}

#[tokio::test]
async fn a_quota_is_kept_in_the_order_of_deposits_and_counted_anew_after_a_restart() {
    let (site, vault, mut hospital) = without_agreement(Suite::Default).await;
    let (parcel, deposit) = hospital.small("a");
    let bytes = parcel.deposit.stored_bytes;
    let agreed = Terms { quota_bytes: 3 * bytes, ..terms(&vault, &hospital) };
    (hospital.device.next_seq, hospital.device.prev) = (hospital.device.next_seq - 1, prev_of(&deposit));
    agree(&vault, &mut hospital, agreed).await;
    for name in ["a", "b"] {
        let (_, deposit) = hospital.small(name);
        accept(&vault, &mut hospital, [deposit]).await;
    }
    vault.close().await.unwrap();
    drop(vault);
    let vault = site.open().await;
    let (_, third) = hospital.small("c");
    accept(&vault, &mut hospital, [third]).await;
    let problem = refused(&vault, &mut hospital, |hospital| hospital.small("d").1).await;
    assert_eq!(problem.code, code::OVER_QUOTA);
    assert!(problem.message.contains(&format!("quota of {} bytes", 3 * bytes)), "{}", problem.message);
    let chunk = hospital.chunk(3000, 77);
    let error = vault.put_chunk(hospital.id, hospital.suite.address(&chunk), chunk).await.unwrap_err();
    assert_eq!(error.code(), code::OVER_QUOTA);
    let more = Terms { number: 2, quota_bytes: 4 * bytes, ..terms(&vault, &hospital) };
    let first =
        vault.agreement_command(AgreementCommand::Show { hospital: None }, Caller::this_process()).await.unwrap();
    let document = hex::decode(first["agreements"][0]["document"].as_str().unwrap()).unwrap();
    let Document::Agreement(first) = Document::decode(ActKind::Agreement, &document).unwrap() else { panic!() };
    agree(&vault, &mut hospital, Terms { previous: first.terms.digest(), ..more }).await;
    let (_, fourth) = hospital.small("d");
    accept(&vault, &mut hospital, [fourth]).await;
}

/// Entry before one that was signed and not sent.
fn prev_of(deposit: &DepositRequest) -> shosoin_protocol::Digest {
    shosoin_protocol::entry::Entry::decode(&deposit.entry).unwrap().statement().prev
}

#[tokio::test]
async fn an_agreement_altered_of_another_hospital_replayed_or_out_of_order_is_refused_on_the_record() {
    let (_site, vault, mut hospital) = without_agreement(Suite::Default).await;
    let first = terms(&vault, &hospital);
    let mut altered = signed(first.clone(), &hospital);
    altered[148] ^= 1; // the quota
    let problem = sign_as_operator(&vault, &hospital, &altered).await.unwrap_err();
    assert!(problem.message.contains("signature"), "{problem:?}");
    let stranger = Hospital::new(Suite::Default, 9, vault.id());
    let foreign = signed(terms(&vault, &stranger), &stranger);
    let problem = sign_as_operator(&vault, &hospital, &foreign).await.unwrap_err();
    assert!(problem.message.contains("another hospital"), "{problem:?}");
    let forged = signed(first.clone(), &stranger);
    sign_as_operator(&vault, &hospital, &forged).await.unwrap_err();
    agree(&vault, &mut hospital, first.clone()).await;
    let problem = sign_as_operator(&vault, &hospital, &signed(first.clone(), &hospital)).await.unwrap_err();
    assert!(problem.message.contains("older than the newest"), "{problem:?}");
    let second = Terms { number: 2, previous: first.digest(), ..first.clone() };
    agree(&vault, &mut hospital, second).await;
    let replayed = Agreement::draft(first).sign_as_hospital(&hospital.hospital_key);
    let replayed = replayed.sign_as_vault(&key(Suite::Default, 3));
    let document = Document::Agreement(Box::new(replayed)).encode();
    refused(&vault, &mut hospital, |hospital| stated(hospital, &document)).await;
    let refusals = vault.audit().read(&Default::default()).unwrap();
    let signed = refusals.iter().filter(|record| record.event.action.name() == "agreement-signed");
    let outcomes: Vec<&str> = signed.map(|record| record.event.outcome.name()).collect();
    assert_eq!(outcomes, ["refused", "refused", "refused", "done", "refused", "done"]);
}

#[tokio::test]
async fn what_is_in_force_is_the_same_after_the_index_was_made_anew() {
    let (site, vault, mut hospital) = without_agreement(Suite::Cryptrec).await;
    let agreed = terms(&vault, &hospital);
    agree(&vault, &mut hospital, agreed).await;
    let (_, deposit) = hospital.small("a");
    accept(&vault, &mut hospital, [deposit]).await;
    let shown = |vault: &Vault| {
        let vault = vault.clone();
        async move {
            vault.agreement_command(AgreementCommand::Show { hospital: None }, Caller::this_process()).await.unwrap()
        }
    };
    let before = shown(&vault).await;
    assert_eq!(before["in_force"], 1);
    assert!(before["used_bytes"].as_u64().unwrap() > 3000);
    vault.close().await.unwrap();
    drop(vault);
    std::fs::remove_dir_all(site.path().join("index")).unwrap();
    let vault = site.open().await;
    assert_eq!(shown(&vault).await, before);
    let (_, deposit) = hospital.small("b");
    accept(&vault, &mut hospital, [deposit]).await;
}
