//! Transfers that fail: counted, and with as many as were agreed on communication stops until people open it again.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::*;
use serde_json::Value;
use shosoin_protocol::act::agreement::{RetryRule, Terms};
use shosoin_protocol::act::{ActKind, Document, StopCause, TransferFailure};
use shosoin_protocol::{HospitalId, Suite};
use shosoin_store::accounts::{AccountCommand, Caller};
use shosoin_store::transfers::TransferCommand;
use shosoin_store::{Error, IndexKind, Vault};

const MINUTE_MS: u64 = 60_000;

async fn agreed(vault: &Vault, seed: u8, retry: RetryRule) -> Hospital {
    let mut hospital = enrolled(vault, Suite::Default, seed).await;
    agree(vault, &mut hospital, |terms| Terms { retry, ..terms }).await;
    hospital
}

/// Sends bytes under an address that is not theirs.
async fn altered(vault: &Vault, hospital: &Hospital, salt: u64) -> Error {
    let (said, sent) = (hospital.chunk(600, salt), hospital.chunk(600, salt + 1));
    vault.put_chunk(hospital.id, address(hospital.suite, &said), sent).await.unwrap_err()
}

async fn status(vault: &Vault, hospital: HospitalId) -> Value {
    let command = TransferCommand::Status { hospital: Some(hospital.to_string()) };
    vault.transfer_command(command, Caller::this_process()).await.unwrap()["lines"][0]["line"].clone()
}

fn reopen(hospital: &Hospital) -> TransferCommand {
    let (cause, reason) = ("line".to_owned(), "a router was replaced".to_owned());
    TransferCommand::Reopen { hospital: Some(hospital.id.to_string()), cause, reason }
}

#[tokio::test]
async fn with_one_failure_too_many_all_communication_stops_reads_too_and_only_a_person_opens_it_7_6_8_m4d() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let vault = site.open().await;
    let mut hospital = agreed(&vault, 1, RetryRule { failures_max: 3, window_minutes: 60 }).await;
    let mut neighbour = agreed(&vault, 2, RetryRule { failures_max: 3, window_minutes: 60 }).await;
    let (parcel, request) = hospital.small("a");
    accept(&vault, &mut hospital, [request]).await;
    for salt in [10, 20] {
        altered(&vault, &hospital, salt).await;
    }
    see_head(&vault, &mut hospital).await;
    let (second, request) = hospital.small("b");
    accept(&vault, &mut hospital, [request]).await;
    assert_eq!(status(&vault, hospital.id).await["failures"], 2);
    altered(&vault, &hospital, 30).await;

    let stopped = |error: Error| assert_eq!(error.code(), "communication-stopped", "{error}");
    let everything_stopped = async |vault: &Vault, hospital: &mut Hospital| {
        stopped(vault.hello(hospital.id).await.unwrap_err());
        stopped(vault.record(hospital.id, parcel.deposit.wrap).await.unwrap_err());
        stopped(vault.version(hospital.id, parcel.deposit.version).await.unwrap_err());
        stopped(vault.checkpoint(hospital.id).await.unwrap_err());
        stopped(vault.log_entries(hospital.id, 0, 10).await.unwrap_err());
        stopped(vault.missing(hospital.id, &[parcel.deposit.wrap]).await.unwrap_err());
        let (_, request) = hospital.small("c");
        stopped(vault.deposit(hospital.id, batch([request])).await.map(drop).unwrap_err());
        hospital.device.next_seq -= 1;
    };
    let before = (hospital.device.next_seq, hospital.device.prev);
    everything_stopped(&vault, &mut hospital).await;
    let (_, request) = neighbour.small("of another");
    accept(&vault, &mut neighbour, [request]).await;
    let acts = vault.acts(hospital.id, &[ActKind::Stopped]).await.unwrap();
    let [act] = acts.as_slice() else { panic!("{} acts", acts.len()) };
    let Document::Stopped(said) = &act.document else { panic!("{:?}", act.document) };
    assert_eq!((said.failures, said.last, said.stopped_ms), (3, TransferFailure::Digest, NOW_MS));
    assert!(vault.metrics().await.unwrap().contains("shosoin_communication_stopped{} 1.0"));

    vault.close().await.unwrap();
    drop(vault);
    std::fs::remove_dir_all(site.path().join("index")).unwrap();
    std::fs::remove_dir_all(site.path().join("lines")).unwrap();
    let vault = site.open().await;
    everything_stopped(&vault, &mut hospital).await;

    let nothing = TransferCommand::Reopen {
        hospital: Some(hospital.id.to_string()),
        cause: "weather".into(),
        reason: "x".into(),
    };
    assert!(vault.transfer_command(nothing, Caller::this_process()).await.is_err());
    let done = vault.transfer_command(reopen(&hospital), Caller::this_process()).await.unwrap();
    assert_eq!(done["state"], "open");
    (hospital.device.next_seq, hospital.device.prev) = before;
    see_head(&vault, &mut hospital).await;
    assert_holds(&vault, &hospital, &[parcel, second]).await;
    let (_, request) = hospital.small("d");
    accept(&vault, &mut hospital, [request]).await;
    assert_eq!(status(&vault, hospital.id).await["failures"], 0);
    assert!(vault.transfer_command(reopen(&hospital), Caller::this_process()).await.is_err(), "it is open");
}

#[tokio::test]
async fn where_there_are_accounts_a_second_person_agrees_before_a_line_is_opened() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let vault = site.open().await;
    let hospital = agreed(&vault, 1, RetryRule { failures_max: 1, window_minutes: 60 }).await;
    altered(&vault, &hospital, 10).await;
    let [_, keeper, auditor] = people(&vault).await;
    assert!(
        vault.transfer_command(reopen(&hospital), auditor.clone()).await.is_err(),
        "an auditor does not ask for it"
    );
    let asked = vault.transfer_command(reopen(&hospital), keeper.clone()).await.unwrap();
    assert_eq!(asked["state"], "waiting");
    vault.hello(hospital.id).await.unwrap_err();
    let number = asked["request"].as_u64().unwrap();
    vault.account_command(AccountCommand::Approve { number }, auditor, true).await.unwrap();
    assert_eq!(vault.transfer_command(reopen(&hospital), keeper).await.unwrap()["state"], "open");
    vault.hello(hospital.id).await.unwrap();
    let acts = vault.acts(hospital.id, &[ActKind::Reopened]).await.unwrap();
    let Document::Reopened(said) = &acts[0].document else { panic!("{:?}", acts[0].document) };
    assert_eq!((said.cause, said.request), (StopCause::Line, number));
}

#[tokio::test]
async fn failures_count_over_a_restart_and_no_longer_than_the_window() {
    let site = Site::on_disk(IndexKind::Fjall).await;
    let vault = site.open().await;
    let hospital = agreed(&vault, 1, RetryRule { failures_max: 3, window_minutes: 60 }).await;
    for salt in [10, 20] {
        altered(&vault, &hospital, salt).await;
    }
    vault.close().await.unwrap();
    drop(vault);
    site.clock.advance(59 * MINUTE_MS);
    let vault = site.open().await;
    assert_eq!(status(&vault, hospital.id).await["failures"], 2);
    site.clock.advance(2 * MINUTE_MS);
    altered(&vault, &hospital, 30).await;
    vault.hello(hospital.id).await.unwrap();
    assert_eq!(status(&vault, hospital.id).await["failures"], 1);
    for salt in [40, 50] {
        altered(&vault, &hospital, salt).await;
    }
    vault.hello(hospital.id).await.unwrap_err();
}
