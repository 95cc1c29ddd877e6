//! Quarantine: what is set aside, what the ledger says of it, and who lets it out.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use bytes::Bytes;
use common::*;
use serde_json::Value;
use shosoin_protocol::act::agreement::{QuarantineRule, Terms};
use shosoin_protocol::act::{ActKind, Document, QuarantineOutcome, QuarantineReason};
use shosoin_protocol::api::{DepositRequest, InlineRecord, code};
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::malware::{Engine, MalwareReport, ScanResult};
use shosoin_protocol::quarantine::EvidenceHead;
use shosoin_protocol::{Digest, HospitalId, RecordKind, Suite, VersionId};
use shosoin_store::accounts::{AccountCommand, Caller};
use shosoin_store::audit::{Action, AuditQuery, Outcome};
use shosoin_store::quarantine::QuarantineCommand;
use shosoin_store::{CheckOptions, IndexKind, Vault};
use std::path::PathBuf;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

async fn vault_with(suite: Suite, rule: QuarantineRule) -> (Site, Vault, Hospital) {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, suite, 1).await;
    agree(&vault, &mut hospital, |terms| Terms { quarantine: rule, ..terms }).await;
    (site, vault, hospital)
}

const RULE: QuarantineRule = QuarantineRule { term_days: 5, bytes_max: 1 << 20 };

/// A deposit of two chunks, one sent ahead, whose report says "infected"; it comes to nothing, and the chain stands.
async fn infected(vault: &Vault, hospital: &mut Hospital) -> (Parcel, DepositRequest) {
    let (ahead, along) = (hospital.chunk(9000, 1), hospital.chunk(500, 2));
    vault.put_chunk(hospital.id, address(hospital.suite, &ahead), ahead.clone()).await.unwrap();
    let mut parcel = hospital.parcel("ward 3", &[ahead, along.clone()]);
    let report = MalwareReport {
        suite: hospital.suite,
        result: ScanResult::Infected,
        hospital: hospital.id,
        version: parcel.deposit.version,
        device: hospital.device.id(),
        engine: Engine { release: [1, 4, 3], definitions_version: 5, definitions_ms: NOW_MS },
        pieces: 1,
        scanned_ms: NOW_MS,
        content: Digest([3; 32]),
    };
    let report = Bytes::from(report.sign(&hospital.device.key));
    parcel.deposit.report = Some(hospital.suite.address(&report));
    parcel.records.push(InlineRecord { kind: RecordKind::Document, bytes: report });
    parcel.chunks.remove(0);
    let request = hospital.send(&parcel);
    (parcel, request)
}

async fn set_aside(vault: &Vault, hospital: &mut Hospital, request: DepositRequest) -> String {
    let problem = refused(vault, hospital, request).await;
    let (_, after) = problem.message.split_once("quarantine as ").unwrap();
    see_head(vault, hospital).await;
    after[..32].to_owned()
}

async fn ask(vault: &Vault, command: QuarantineCommand) -> Value {
    vault.quarantine_command(command, Caller::this_process()).await.unwrap()
}

async fn listed(vault: &Vault, all: bool) -> Vec<Value> {
    let answer = ask(vault, QuarantineCommand::List { hospital: None, all }).await;
    answer["hospitals"][0]["items"].as_array().unwrap().clone()
}

fn show(id: &str) -> QuarantineCommand {
    QuarantineCommand::Show { hospital: None, id: id.to_owned() }
}

fn evidence(site: &Site, hospital: HospitalId, id: &str) -> PathBuf {
    site.path().join("quarantine").join(hospital.to_string()).join(format!("{id}.shqe"))
}

fn audited(vault: &Vault, action: Action, outcome: Outcome) -> usize {
    let query = AuditQuery { actions: vec![action], ..AuditQuery::default() };
    let found = vault.audit().read(&query).unwrap();
    found.iter().filter(|record| record.event.outcome == outcome).count()
}

#[tokio::test]
async fn an_infected_deposit_is_kept_whole_apart_from_everything_and_the_ledger_says_so_3_4_r7() {
    for suite in Suite::ALL {
        let (site, vault, mut hospital) = vault_with(suite, RULE).await;
        let (parcel, request) = infected(&vault, &mut hospital).await;
        let problem = refused(&vault, &mut hospital, request.clone()).await;
        assert_eq!(problem.code, code::MALWARE_REPORT);
        let id = set_aside(&vault, &mut hospital, request.clone()).await;
        assert!(problem.message.contains(&id), "sent again it is the same evidence: {}", problem.message);
        let shown = ask(&vault, show(&id)).await;
        assert_eq!(
            (&shown["reason"], &shown["intact"], &shown["records"]),
            (&"infected".into(), &true.into(), &7.into())
        );
        assert_eq!(shown["version"], parcel.deposit.version.to_string());
        assert_eq!(shown["until_ms"], NOW_MS + 5 * DAY_MS);
        let held: Vec<&Value> =
            shown["contents"].as_array().unwrap().iter().filter(|record| record["origin"] == "held").collect();
        assert_eq!(held.len(), 1, "the chunk that was sent ahead");
        for record in &request.records {
            vault.record(hospital.id, suite.address(&record.bytes)).await.unwrap_err();
        }
        vault.version(hospital.id, parcel.deposit.version).await.unwrap_err();
        let acts = vault.acts(hospital.id, &[ActKind::QuarantineIn]).await.unwrap();
        let [act] = acts.as_slice() else { panic!("{} acts", acts.len()) };
        let Document::QuarantineIn(said) = &act.document else { panic!("{:?}", act.document) };
        assert_eq!((act.id.to_string(), said.reason, said.left_out), (id.clone(), QuarantineReason::Infected, 0));
        assert_eq!(audited(&vault, Action::Quarantined, Outcome::Done), 1);
        let status = vault.status().await.unwrap().hospitals[0].quarantine.unwrap();
        assert_eq!((status.items, status.overdue, status.bytes), (1, 0, said.bytes));
        assert_clean(&vault).await;

        vault.close().await.unwrap();
        drop(vault);
        std::fs::remove_dir_all(site.path().join("index")).unwrap();
        let vault = site.open().await;
        assert_eq!(ask(&vault, show(&id)).await["intact"], true, "known from media and its own folder alone");
        assert_clean(&vault).await;
        let (good, request) = hospital.small("after");
        accept(&vault, &mut hospital, [request]).await;
        assert_holds(&vault, &hospital, &[good]).await;
    }
}

#[tokio::test]
async fn what_is_not_signed_is_of_another_hospital_or_has_another_address_is_set_aside_7_6_8_m4c() {
    let (_site, vault, mut hospital) = vault_with(Suite::Default, RULE).await;
    let (_, mut unsigned) = hospital.small("a");
    let mut bytes = unsigned.entry.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    unsigned.entry = bytes.into();
    let problem = refused(&vault, &mut hospital, unsigned).await;
    assert_eq!(problem.code, "malformed");
    see_head(&vault, &mut hospital).await;

    let mut stranger = Hospital::new(Suite::Default, 9, vault.id());
    let (_, foreign) = stranger.small("a");
    let reply = vault.deposit(hospital.id, batch([foreign])).await.unwrap().replies.remove(0).unwrap_err();
    assert_eq!(reply.code, "invalid");

    let chunk = hospital.chunk(700, 3);
    let other = address(Suite::Default, &hospital.chunk(700, 4));
    vault.put_chunk(hospital.id, other, chunk.clone()).await.unwrap_err();
    vault.put_chunk(hospital.id, other, chunk).await.unwrap_err();
    let reasons: Vec<String> =
        listed(&vault, false).await.iter().map(|item| item["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons, ["signature", "misdirected", "digest"]);

    let (_, early) = hospital.small("b");
    hospital.device.next_seq += 5;
    let (_, late) = hospital.small("c");
    for request in [late] {
        assert!(!refusal(&vault, &hospital, request).await.contains("quarantine"));
    }
    drop(early);
    assert_eq!(listed(&vault, false).await.len(), 3, "what is only out of sequence is no evidence of anything");
}

#[tokio::test]
async fn evidence_that_was_altered_or_taken_away_is_found_by_check() {
    let (site, vault, mut hospital) = vault_with(Suite::Default, RULE).await;
    let (_, request) = infected(&vault, &mut hospital).await;
    let id = set_aside(&vault, &mut hospital, request).await;
    let path = evidence(&site, hospital.id, &id);
    let good = std::fs::read(&path).unwrap();
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    let forms = [altered, good[..good.len() - 1].to_vec(), [&good[..], &[0]].concat(), Vec::new()];
    for bytes in forms {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(ask(&vault, show(&id)).await["intact"], false);
    }
    std::fs::remove_file(&path).unwrap();
    let report = vault.check(CheckOptions::default()).await.unwrap();
    assert!(report.findings.iter().any(|finding| finding.code == "quarantine-evidence"), "{:?}", report.findings);
    std::fs::write(&path, good).unwrap();
    assert_clean(&vault).await;
}

#[tokio::test]
async fn nothing_leaves_before_two_people_agreed_and_what_was_handed_out_is_what_came_in_t6() {
    let (site, vault, mut hospital) = vault_with(Suite::Default, RULE).await;
    let (_, request) = infected(&vault, &mut hospital).await;
    let id = set_aside(&vault, &mut hospital, request.clone()).await;
    let (_, second) = infected(&vault, &mut hospital).await;
    let other = set_aside(&vault, &mut hospital, second).await;
    let to = site.dir.path().join("for-the-police.shqe");
    let release = |to: Option<&PathBuf>, id: &str| QuarantineCommand::Release {
        hospital: None,
        id: id.to_owned(),
        to: to.cloned(),
    };
    let alone = vault.quarantine_command(release(Some(&to), &id), Caller::this_process()).await;
    assert!(alone.is_err(), "in a vault without accounts nobody can be the second person");

    let [admin, keeper, auditor] = people(&vault).await;
    assert!(vault.quarantine_command(release(Some(&to), &id), auditor.clone()).await.is_err());
    let answer = vault.quarantine_command(release(Some(&to), &id), keeper.clone()).await.unwrap();
    assert_eq!(answer["state"], "waiting");
    let number = answer["request"].as_u64().unwrap();
    let again = vault.quarantine_command(release(Some(&to), &id), keeper.clone()).await.unwrap();
    assert_eq!((&again["state"], &again["request"]), (&"waiting".into(), &number.into()));
    let approve = AccountCommand::Approve { number };
    assert!(vault.account_command(approve.clone(), keeper.clone(), true).await.is_err(), "nobody agrees to their own");
    vault.account_command(approve, auditor.clone(), true).await.unwrap();
    let other_way = vault.quarantine_command(release(None, &id), keeper.clone()).await.unwrap();
    assert_eq!(other_way["state"], "waiting", "handing out was agreed to, destroying was not");
    let done = vault.quarantine_command(release(Some(&to), &id), keeper.clone()).await.unwrap();
    assert_eq!((&done["state"], &done["request"]), (&"handed-out".into(), &number.into()));

    let file = std::fs::read(&to).unwrap();
    let len = u32::from_le_bytes(file[..4].try_into().unwrap()) as usize;
    let head = EvidenceHead::decode(&file[4..4 + len]).unwrap();
    assert_eq!((head.id.to_string(), head.entry.as_slice()), (id.clone(), &request.entry[..]));
    assert!(!evidence(&site, hospital.id, &id).exists());
    assert!(vault.quarantine_command(release(Some(&to), &id), keeper.clone()).await.is_err(), "it left already");

    let answer = vault.quarantine_command(release(None, &other), keeper.clone()).await.unwrap();
    let number = answer["request"].as_u64().unwrap();
    vault.account_command(AccountCommand::Approve { number }, admin, true).await.unwrap();
    let done = vault.quarantine_command(release(None, &other), keeper.clone()).await.unwrap();
    assert_eq!(done["state"], "destroyed");
    let outcomes: Vec<QuarantineOutcome> = vault
        .acts(hospital.id, &[ActKind::QuarantineOut])
        .await
        .unwrap()
        .into_iter()
        .map(|act| match act.document {
            Document::QuarantineOut(out) => out.outcome,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(outcomes, [QuarantineOutcome::HandedOut, QuarantineOutcome::Destroyed]);
    assert_eq!(audited(&vault, Action::QuarantineReleased, Outcome::Done), 2);
    let list = QuarantineCommand::List { hospital: None, all: true };
    let listed = vault.quarantine_command(list, keeper).await.unwrap();
    assert_eq!(listed["hospitals"][0]["items"].as_array().unwrap().len(), 2, "the ledger keeps what was");
    assert_clean(&vault).await;
}

#[tokio::test]
async fn a_term_that_is_over_ends_nothing_and_is_shown() {
    let (site, vault, mut hospital) = vault_with(Suite::Default, RULE).await;
    let (_, request) = infected(&vault, &mut hospital).await;
    let id = set_aside(&vault, &mut hospital, request).await;
    site.clock.advance(5 * DAY_MS);
    assert_eq!(listed(&vault, false).await[0]["overdue"], true);
    assert_eq!(ask(&vault, show(&id)).await["intact"], true);
    assert_eq!(vault.status().await.unwrap().hospitals[0].quarantine.unwrap().overdue, 1);
    let figures = vault.metrics().await.unwrap();
    assert!(figures.contains("shosoin_quarantine_overdue{} 1.0"), "{figures}");
}

#[tokio::test]
async fn what_there_is_no_room_for_is_refused_all_the_same_and_the_log_says_that_there_is_no_evidence() {
    let (_site, vault, mut hospital) =
        vault_with(Suite::Default, QuarantineRule { term_days: 5, bytes_max: 4000 }).await;
    let (_, request) = infected(&vault, &mut hospital).await;
    let id = set_aside(&vault, &mut hospital, request).await;
    let shown = ask(&vault, show(&id)).await;
    assert_eq!((&shown["left_out"], &shown["intact"]), (&1.into(), &true.into()), "what came along fits, the rest not");
    for round in 0..4 {
        let (_, request) = infected(&vault, &mut hospital).await;
        let problem = refused(&vault, &mut hospital, request).await;
        assert_eq!(problem.code, code::MALWARE_REPORT, "round {round}");
        see_head(&vault, &mut hospital).await;
    }
    assert!(audited(&vault, Action::Quarantined, Outcome::Failed) > 0);
    assert!(listed(&vault, false).await.len() < 4);
}

#[tokio::test]
async fn evidence_that_a_kill_left_without_its_entry_gets_it_at_the_next_start() {
    let (site, vault, mut hospital) = vault_with(Suite::Default, RULE).await;
    let (_, request) = infected(&vault, &mut hospital).await;
    let id = set_aside(&vault, &mut hospital, request).await;
    vault.close().await.unwrap();
    drop(vault);
    let path = evidence(&site, hospital.id, &id);
    let file = std::fs::read(&path).unwrap();
    let len = u32::from_le_bytes(file[..4].try_into().unwrap()) as usize;
    let mut head = EvidenceHead::decode(&file[4..4 + len]).unwrap();
    head.id = VersionId([0x77; 16]);
    let orphan = [&file[..4], &head.encode(), &file[4 + len..]].concat();
    std::fs::write(path.with_file_name(format!("{}.shqe", head.id)), orphan).unwrap();
    let vault = site.open().await;
    let ids: Vec<Value> = listed(&vault, false).await.iter().map(|item| item["id"].clone()).collect();
    assert_eq!(ids, [id, head.id.to_string()]);
    assert_clean(&vault).await;
    let entry = Entry::decode(&head.entry).unwrap();
    assert!(matches!(entry.body(), Body::Deposit(_)));
}
