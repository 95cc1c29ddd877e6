//! Hospitals that move: from one vault to the next and on, with everything, on their own word, and with nothing left out
//! (6.2-R7, T10).
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::*;
use serde_json::{Value, json};
use shosoin_protocol::act::handover::key_digest;
use shosoin_protocol::act::{Act, ActKind, Document, HandOverWord, Hold, HoldReason, Looked, WordStage};
use shosoin_protocol::api::{DepositRequest, InlineRecord};
use shosoin_protocol::entry::Body;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{Lineage, LogId, RecordKind, Suite, VaultId, VersionId};
use shosoin_store::accounts::Caller;
use shosoin_store::handover::{HandoverCommand, HandoverRun};
use shosoin_store::identity::Identity;
use shosoin_store::{Error, IndexKind, Result, Vault, VolumeSpec};
use std::path::PathBuf;
use std::time::Duration;

/// A vault on disk, whose index is made anew at every start.
struct Provider {
    site: Site,
    vault: Vault,
}

impl Provider {
    async fn new() -> Provider {
        let site = Site::on_disk(IndexKind::Memory).await;
        let vault = site.open().await;
        Provider { site, vault }
    }

    /// Its key of a suite, without asking it.
    fn key(&self, suite: Suite) -> PublicKey {
        Identity::load(&self.site.path()).unwrap().key(suite).public()
    }

    fn package(&self) -> PathBuf {
        self.site.dir.path().join("package")
    }

    async fn run(&self, command: HandoverCommand) -> Result<Value> {
        self.vault.handover_command(command, Caller::this_process(), HandoverRun::default()).await
    }

    fn export_command(&self, close: bool) -> HandoverCommand {
        std::fs::create_dir_all(self.package()).unwrap();
        let (to, segment_bytes) = (VolumeSpec::at(self.package()), Some(1 << 20));
        HandoverCommand::Export { hospital: None, to, rate: None, segment_bytes, close, timestamps: None }
    }

    async fn export(&self, close: bool) -> Result<Value> {
        self.run(self.export_command(close)).await
    }

    fn import_command(&self, from: &Provider, suite: Suite) -> HandoverCommand {
        let (from, fingerprint) = (VolumeSpec::at(from.package()), from.key(suite).fingerprint());
        HandoverCommand::Import { from, fingerprint, accept_missing: false, rate: None }
    }

    async fn import(&self, from: &Provider, suite: Suite) -> Result<Value> {
        self.run(self.import_command(from, suite)).await
    }

    async fn reopened(self) -> Provider {
        let Provider { site, vault } = self;
        vault.close().await.unwrap();
        drop(vault);
        Provider { vault: site.open().await, site }
    }
}

/// An act of the hospital, with its document.
fn act(hospital: &mut Hospital, subject: Option<VersionId>, document: &Document) -> (VersionId, DepositRequest) {
    let (id, bytes) = (hospital.fresh_version(), document.encode());
    let act = Act { id, kind: document.kind(), subject, document: hospital.suite.address(&bytes) };
    let entry = hospital.device.sign(&hospital.named(), Body::Act(act));
    let records = vec![InlineRecord { kind: RecordKind::Document, bytes: bytes.into() }];
    (id, DepositRequest { entry: entry.bytes().to_vec().into(), records })
}

fn order(to: &Provider, suite: Suite) -> Document {
    Document::HandOverWord(Box::new(HandOverWord::order(to.vault.id(), key_digest(&to.key(suite)))))
}

async fn ordered(hospital: &mut Hospital, from: &Provider, to: &Provider) -> VersionId {
    let order = order(to, hospital.suite);
    let (id, request) = act(hospital, None, &order);
    accept(&from.vault, hospital, [request]).await;
    id
}

/// From now on the hospital's device signs for this vault.
async fn follows(hospital: &mut Hospital, to: &Provider) {
    hospital.log = LogId::of(to.vault.id(), hospital.id);
    let reply = to.vault.device(hospital.id, hospital.device.id()).await.unwrap();
    (hospital.device.next_seq, hospital.device.prev) = (reply.next_seq, reply.prev);
}

async fn filled(provider: &Provider, suite: Suite) -> (Hospital, Vec<Parcel>) {
    let mut hospital = enrolled(&provider.vault, suite, 1).await;
    let mut parcels = Vec::new();
    for no in 0..6 {
        let chunks = [hospital.chunk(70_000, 5), hospital.chunk(300_000 + 1_000 * no, u64::from(no) + 50)];
        let parcel = hospital.parcel(&no.to_string(), &chunks);
        let request = hospital.send(&parcel);
        accept(&provider.vault, &mut hospital, [request]).await;
        parcels.push(parcel);
    }
    let hold = Document::Hold(Hold::whole(HoldReason::Litigation));
    let (_, request) = act(&mut hospital, Some(parcels[2].deposit.version), &hold);
    accept(&provider.vault, &mut hospital, [request]).await;
    (hospital, parcels)
}

/// The lineage as a client sees it.
async fn lineage(provider: &Provider, hospital: &Hospital) -> Lineage {
    let hello = provider.vault.hello(hospital.id).await.unwrap();
    let acts: Vec<_> = hello.taken_over.iter().map(|taken| taken.decode().unwrap()).collect();
    Lineage::trace(hospital.id, provider.vault.id(), provider.key(hospital.suite), &acts).unwrap()
}

fn refused(result: Result<Value>, code: &str, why: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    let message = error.problem().message;
    assert!(message.contains(why), "{message}");
}

#[tokio::test]
async fn a_hospital_moves_with_everything_and_on_again_and_its_ledger_is_one_tree_6_2_r7() {
    for suite in Suite::ALL {
        let (one, two, three) = (Provider::new().await, Provider::new().await, Provider::new().await);
        let (mut hospital, mut parcels) = filled(&one, suite).await;
        let seen_at_one = hospital.device.seen;
        ordered(&mut hospital, &one, &two).await;
        let packed = one.export(true).await.unwrap();
        assert_eq!(packed["state"], "closed");
        let took = two.import(&one, suite).await.unwrap();
        assert_eq!((&took["entries"], &took["leaf_index"]), (&packed["log_size"], &packed["log_size"]));
        assert_eq!(took["package"]["receiver"], two.vault.id().to_string());
        assert_holds(&two.vault, &hospital, &parcels).await;
        assert_clean(&two.vault).await;

        // the head that the hospital remembers from the first vault is a prefix of the second's
        let spans: Vec<VaultId> = lineage(&two, &hospital).await.spans().map(|span| span.vault).collect();
        assert_eq!(spans, [one.vault.id(), two.vault.id()]);
        let head =
            lineage(&two, &hospital).await.verify_head(&two.vault.checkpoint(hospital.id).await.unwrap()).unwrap();
        let proof = two.vault.consistency(hospital.id, seen_at_one.size, head.size()).await.unwrap();
        let (old, new) = ((seen_at_one.size, &seen_at_one.root), (head.size(), &head.checkpoint().root));
        shosoin_protocol::merkle::verify_consistency(old, new, &proof).unwrap();

        // the same device goes on there, an entry for the first vault is none for the second
        let stale = {
            let parcel = hospital.parcel("stale", &[hospital.chunk(3_000, 9)]);
            request_for(&mut hospital, &parcel)
        };
        let replies = two.vault.deposit(hospital.id, batch([stale])).await.unwrap().replies;
        assert!(replies[0].is_err(), "an entry that names another log");
        follows(&mut hospital, &two).await;
        let parcel = hospital.parcel("at two", &[hospital.chunk(5_000, 77)]);
        let request = hospital.send(&parcel);
        accept(&two.vault, &mut hospital, [request]).await;
        parcels.push(parcel);
        let two = two.reopened().await; // with an index made anew from media
        assert_holds(&two.vault, &hospital, &parcels).await;
        assert_clean(&two.vault).await;

        // and on to a third
        ordered(&mut hospital, &two, &three).await;
        two.export(true).await.unwrap();
        three.import(&two, suite).await.unwrap();
        let spans: Vec<VaultId> = lineage(&three, &hospital).await.spans().map(|span| span.vault).collect();
        assert_eq!(spans, [one.vault.id(), two.vault.id(), three.vault.id()]);
        let three = three.reopened().await;
        assert_holds(&three.vault, &hospital, &parcels).await;
        assert_clean(&three.vault).await;
        follows(&mut hospital, &three).await;
        let parcel = hospital.parcel("at three", &[hospital.chunk(5_000, 78)]);
        let request = hospital.send(&parcel);
        accept(&three.vault, &mut hospital, [request]).await;
        let holds = three.vault.acts(hospital.id, &[ActKind::Hold]).await.unwrap();
        assert_eq!(holds[0].subject, Some(parcels[2].deposit.version), "what was on hold is on hold");
    }
}

fn request_for(hospital: &mut Hospital, parcel: &Parcel) -> DepositRequest {
    let (seq, prev) = (hospital.device.next_seq, hospital.device.prev);
    let request = hospital.send(parcel);
    (hospital.device.next_seq, hospital.device.prev) = (seq, prev);
    request
}

#[tokio::test]
async fn a_log_ends_on_the_hospitals_word_alone_and_takes_only_what_ends_the_relation_t10() {
    let (one, two) = (Provider::new().await, Provider::new().await);
    let (mut hospital, _) = filled(&one, Suite::Default).await;
    refused(one.export(true).await, "not-ordered", "has not ordered it");
    refused(one.run(HandoverCommand::Reopen { hospital: None }).await, "invalid", "has not ended");
    ordered(&mut hospital, &one, &two).await;
    one.export(true).await.unwrap();
    let (_, late) = hospital.small("too late");
    let refusal = one.vault.deposit(hospital.id, batch([late])).await.unwrap().replies.remove(0).unwrap_err();
    assert_eq!(refusal.code, "handed-over");
    assert!(refusal.message.contains("goes on at another vault"));
    hospital.device.next_seq -= 1;
    let device = one.vault.device(hospital.id, hospital.device.id()).await.unwrap();
    (hospital.device.next_seq, hospital.device.prev) = (device.next_seq, device.prev);

    // a hold, and the word that confirms, are taken; the package stays what it was
    let before = std::fs::read(one.package().join("manifest")).unwrap();
    let hold = Document::Hold(Hold::whole(HoldReason::Audit));
    let confirmed = HandOverWord {
        stage: WordStage::Confirmed,
        looked: Looked { versions: 6, of: 6, ..Looked::default() },
        head: "a head of the receiver".to_owned(),
        ..HandOverWord::order(two.vault.id(), key_digest(&two.key(Suite::Default)))
    };
    for document in [hold, Document::HandOverWord(Box::new(confirmed))] {
        let (_, request) = act(&mut hospital, None, &document);
        accept(&one.vault, &mut hospital, [request]).await;
    }
    let status = one.run(HandoverCommand::Status { hospital: None }).await.unwrap();
    assert_eq!(status["confirmed"]["receiver"], two.vault.id().to_string());
    assert_eq!(status["confirmed"]["versions"], 6);
    let again = one.export(true).await.unwrap();
    assert_eq!((&again["state"], &again["added_records"]), (&json!("closed"), &json!(0)));
    assert_eq!(status["ended_at"], json!(again["log_size"].as_u64().unwrap() - 1));
    let manifest = |bytes: &[u8]| shosoin_protocol::package::Package::verify(bytes).unwrap();
    let after = std::fs::read(one.package().join("manifest")).unwrap();
    assert_eq!(manifest(&before).files, manifest(&after).files);
    two.import(&one, Suite::Default).await.unwrap();

    // the end is taken back once, and then another word is needed
    one.run(HandoverCommand::Reopen { hospital: None }).await.unwrap();
    let (_, request) = hospital.small("after all");
    accept(&one.vault, &mut hospital, [request]).await;
    refused(one.export(true).await, "not-ordered", "has not ordered it");
    let status = one.run(HandoverCommand::Status { hospital: None }).await.unwrap();
    assert_eq!((&status["ended_at"], &status["confirmed"]), (&Value::Null, &Value::Null));
    let whole = one.export(false).await.unwrap();
    assert_eq!(whole["state"], "whole", "the package grows again");
    assert_clean(&one.vault).await;
}

#[tokio::test]
async fn a_package_is_taken_in_only_whole_ended_and_by_the_vault_that_the_hospital_named() {
    let (one, two, three) = (Provider::new().await, Provider::new().await, Provider::new().await);
    let (mut hospital, _) = filled(&one, Suite::Cryptrec).await;
    let suite = Suite::Cryptrec;
    one.export(false).await.unwrap();
    refused(two.import(&one, suite).await, "package", "has not ended");
    ordered(&mut hospital, &one, &two).await;
    one.export(true).await.unwrap();
    refused(three.import(&one, suite).await, "package", "not to this one");
    refused(one.import(&one, suite).await, "package", "this vault made it");
    let fingerprint = three.key(suite).fingerprint();
    let from = VolumeSpec::at(one.package());
    let by_another = HandoverCommand::Import { from, fingerprint, accept_missing: false, rate: None };
    refused(two.run(by_another).await, "package", "is signed by");
    let shard =
        files(&one.package()).into_iter().find(|path| path.extension().is_some_and(|end| end == "shard")).unwrap();
    let good = std::fs::read(&shard).unwrap();
    let mut bad = good.clone();
    bad[9_000] ^= 1;
    std::fs::write(&shard, bad).unwrap();
    refused(two.import(&one, suite).await, "package", "findings");
    std::fs::write(&shard, &good).unwrap();
    assert_eq!(two.vault.hospitals(), [], "nothing of it is here");
    assert!(two.vault.hello(hospital.id).await.is_err());
    two.import(&one, suite).await.unwrap();
    refused(two.import(&one, suite).await, "package", "has a ledger of that hospital already");
    // an order names a key too: a vault with the id alone is another vault
    let (four, five) = (Provider::new().await, Provider::new().await);
    let (mut hospital, _) = filled(&four, suite).await;
    let word = HandOverWord::order(five.vault.id(), key_digest(&two.key(suite)));
    let (_, request) = act(&mut hospital, None, &Document::HandOverWord(Box::new(word)));
    accept(&four.vault, &mut hospital, [request]).await;
    four.export(true).await.unwrap();
    refused(five.import(&four, suite).await, "package", "not to this one");
}

#[tokio::test]
async fn an_import_that_was_stopped_shows_nothing_and_goes_on_with_the_same_package() {
    let (one, two) = (Provider::new().await, Provider::new().await);
    let (mut hospital, parcels) = filled(&one, Suite::Default).await;
    ordered(&mut hospital, &one, &two).await;
    one.export(true).await.unwrap();
    let mut two = two;
    let mut stopped = 0;
    for round in 0u64.. {
        let run = HandoverRun::default();
        let work =
            two.vault.handover_command(two.import_command(&one, Suite::Default), Caller::this_process(), run.clone());
        let stop = async {
            while run.progress().step != "take records in" || run.progress().bytes < round * 400_000 {
                tokio::time::sleep(Duration::from_micros(200)).await; // the meter is looked at, nothing is waited for
                if run.progress().step == "go on with the ledger" {
                    return;
                }
            }
            run.stop();
        };
        let done = tokio::join!(work, stop).0;
        match done {
            Ok(_) => break,
            Err(Error::Media(shosoin_tiers::Error::Stopped)) => stopped += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(two.vault.hello(hospital.id).await.is_err(), "nobody sees a hospital that is half here");
        assert_clean(&two.vault).await;
        if round % 2 == 1 {
            two = two.reopened().await;
            assert_clean(&two.vault).await;
            let seen = two.vault.checkpoint(hospital.id).await;
            assert!(seen.is_err());
        }
    }
    assert!(stopped > 0, "it was stopped on the way");
    println!("stopped {stopped} times on the way");
    assert_holds(&two.vault, &hospital, &parcels).await;
    assert_clean(&two.vault).await;
    let two = two.reopened().await;
    assert_holds(&two.vault, &hospital, &parcels).await;
    assert_clean(&two.vault).await;
}
