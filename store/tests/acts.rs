//! Acts: the operator's are in the hospital's log before anything goes on, the hospital's only with its device's signature,
//! and media alone bring back both.
#![expect(clippy::unwrap_used, reason = "help for tests, which may panic")]

mod common;

use bytes::Bytes;
use common::*;
use shosoin_protocol::act::{Act, ActKind, Document, Hold, HoldReason, Incident, IncidentClass, Release, Severity};
use shosoin_protocol::api::{DepositRequest, InlineRecord};
use shosoin_protocol::entry::{Body, DeviceChange, Entry};
use shosoin_protocol::{RecordKind, Suite, VersionId};
use shosoin_store::{IndexKind, Vault, acts::StatedAct};

const BOTH: &[ActKind] = &[ActKind::Hold, ActKind::Release, ActKind::Incident];

fn incident() -> Document {
    let (class, severity) = (IncidentClass::Outage, Severity::Notice);
    Document::Incident(Incident { class, severity, noticed_ms: NOW_MS, began_ms: None, scene: None })
}

fn hold() -> Document {
    Document::Hold(Hold::whole(HoldReason::Litigation))
}

/// An act as a device of the hospital signs it, with the document that it brings.
fn stated(hospital: &mut Hospital, kind: ActKind, subject: Option<VersionId>, document: &Document) -> DepositRequest {
    let bytes = Bytes::from(document.encode());
    let act = Act { id: hospital.fresh_version(), kind, subject, document: hospital.suite.address(&bytes) };
    let entry = hospital.device.sign(&hospital.named(), Body::Act(act));
    let records = vec![InlineRecord { kind: RecordKind::Document, bytes }];
    DepositRequest { entry: Bytes::copy_from_slice(entry.bytes()), records }
}

async fn acts(vault: &Vault, hospital: &Hospital) -> Vec<StatedAct> {
    vault.acts(hospital.id, BOTH).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_of_both_sides_are_in_the_log_in_both_suites_and_media_alone_bring_them_back() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let vault = site.open().await;
    let mut hospitals = Vec::new();
    for (suite, seed) in [(Suite::Default, 1), (Suite::Cryptrec, 2)] {
        let mut hospital = enrolled(&vault, suite, seed).await;
        let (parcel, request) = hospital.small("record");
        accept(&vault, &mut hospital, [request]).await;
        let subject = Some(parcel.deposit.version);
        let on_hold = stated(&mut hospital, ActKind::Hold, subject, &hold());
        accept(&vault, &mut hospital, [on_hold]).await;
        for _ in 0..2 {
            vault.state(hospital.id, None, incident()).await.unwrap();
        }
        let (_, request) = hospital.small("after the acts of the operator");
        accept(&vault, &mut hospital, [request]).await;
        let found = acts(&vault, &hospital).await;
        let said: Vec<_> = found.iter().map(|act| (act.index, act.subject, act.document.clone())).collect();
        assert_eq!(said, [(2, subject, hold()), (3, None, incident()), (4, None, incident())]);
        hospitals.push((hospital, found));
    }
    assert_clean(&vault).await;
    vault.close().await.unwrap();
    drop(vault);
    std::fs::remove_dir_all(site.path().join("index")).unwrap();
    let vault = site.open().await;
    assert_clean(&vault).await;
    for (hospital, found) in hospitals {
        assert_eq!(acts(&vault, &hospital).await, found);
        vault.state(hospital.id, None, incident()).await.unwrap();
    }
    assert_clean(&vault).await;
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_side_states_what_only_the_other_may() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let request = stated(&mut hospital, ActKind::Incident, None, &incident());
    assert!(refusal(&vault, &hospital, request).await.contains("only the operator"));
    assert!(vault.state(hospital.id, None, hold()).await.is_err());
    assert_eq!(acts(&vault, &hospital).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_the_vault_never_becomes_a_device_of_a_hospital() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let key = vault_key(&vault, hospital.id).await;
    let change = DeviceChange::certify(hospital.log, true, key, &hospital.hospital_key);
    let request = bare(hospital.device.sign(&hospital.named(), Body::Device(change)));
    assert!(refusal(&vault, &hospital, request).await.contains("the vault's"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_missing_of_another_kind_or_not_alone_is_refused() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let hospital = enrolled(&vault, Suite::Default, 1).await;
    let good = |kind, document: &Document| {
        let mut hospital = Hospital::new(Suite::Default, 1, vault.id());
        hospital.device = Device { seen: hospital.device.seen, ..Device::new(Suite::Default, 101) };
        hospital.first_entry();
        stated(&mut hospital, kind, None, document)
    };
    let release = Document::Release(Release { hold: VersionId([3; 16]) });
    assert!(refusal(&vault, &hospital, good(ActKind::Hold, &release)).await.contains("another kind"));
    let missing = DepositRequest { records: Vec::new(), ..good(ActKind::Hold, &hold()) };
    assert!(refusal(&vault, &hospital, missing).await.contains("are not held"));
    let mut more = good(ActKind::Hold, &hold());
    more.records.push(InlineRecord { kind: RecordKind::Document, bytes: release.encode().into() });
    assert!(refusal(&vault, &hospital, more).await.contains("does not name"));
    let mut damaged = good(ActKind::Hold, &hold());
    damaged.records[0].bytes = [&hold().encode()[..15], &[1]].concat().into();
    assert!(!refusal(&vault, &hospital, damaged).await.is_empty());
    assert_eq!(acts(&vault, &hospital).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_taken_once_by_a_version_or_an_act() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let (parcel, request) = hospital.small("record");
    accept(&vault, &mut hospital, [request]).await;
    let bytes = Bytes::from(hold().encode());
    let act = Act {
        id: parcel.deposit.version,
        kind: ActKind::Hold,
        subject: None,
        document: hospital.suite.address(&bytes),
    };
    let entry: Entry = hospital.device.sign(&hospital.named(), Body::Act(act));
    let records = vec![InlineRecord { kind: RecordKind::Document, bytes }];
    let request = DepositRequest { entry: Bytes::copy_from_slice(entry.bytes()), records };
    assert!(refusal(&vault, &hospital, request).await.contains("in the ledger already"));
}
