//! Epochs and new wraps at the vault, which opens none of them: their order, which wrap is the newest, and that media alone
//! bring back both.
#![expect(clippy::unwrap_used, reason = "help for tests, which may panic")]

mod common;

use bytes::Bytes;
use common::*;
use shosoin_protocol::act::{Custody, Document, Epoch, EpochReason, KeySource, Rewrap};
use shosoin_protocol::api::{DepositRequest, InlineRecord};
use shosoin_protocol::envelope::Context;
use shosoin_protocol::{Digest, RecordKind, Suite, VersionId};
use shosoin_store::{IndexKind, Vault};

fn epoch(number: u32) -> Document {
    let (reason, source, custody) = (EpochReason::Schedule, KeySource::Root, Custody::Passphrase);
    Document::Epoch(Epoch { number, reason, source, custody, commit: Digest([6; 32]) })
}

async fn begin(vault: &Vault, hospital: &mut Hospital, number: u32) {
    let request = hospital.act(None, &epoch(number)).1;
    accept(vault, hospital, [request]).await;
}

/// A wrap of a version as it looks to a vault.
fn wrap(hospital: &Hospital, version: VersionId, epoch: u32, wrap_no: u32) -> Bytes {
    let salt = u64::from(epoch * 100 + wrap_no);
    hospital.sealed(Context::Wrap { version, epoch, wrap_no, salt: [1; 32] }, 48, salt)
}

/// An act that names these wraps, and brings them.
fn rewrap(hospital: &mut Hospital, epoch: u32, wraps: &[(VersionId, Bytes)]) -> DepositRequest {
    let named = wraps.iter().map(|(version, bytes)| (*version, hospital.suite.address(bytes))).collect();
    let mut request = hospital.act(None, &Document::Rewrap(Rewrap::new(epoch, named).unwrap())).1;
    let record = |(_, bytes): &(VersionId, Bytes)| InlineRecord { kind: RecordKind::Wrap, bytes: bytes.clone() };
    request.records.extend(wraps.iter().map(record));
    request
}

async fn newest(vault: &Vault, hospital: &Hospital, versions: &[VersionId]) -> Vec<Bytes> {
    let wraps = vault.wraps(hospital.id, versions.to_vec()).await.unwrap().wraps;
    for (version, wrap) in versions.iter().zip(&wraps).filter(|(_, wrap)| !wrap.is_empty()) {
        assert_eq!(vault.version(hospital.id, *version).await.unwrap().wrap, wrap, "both answers have the same wrap");
    }
    wraps
}

/// A vault with a hospital in epoch 2 and three versions, deposited in epoch 1.
struct Ward {
    site: Site,
    vault: Vault,
    hospital: Hospital,
    versions: Vec<VersionId>,
}

impl Ward {
    async fn new(suite: Suite, index: IndexKind) -> Ward {
        let site = Site::on_disk(index).await;
        let vault = site.open().await;
        let mut hospital = enrolled(&vault, suite, 1).await;
        let mut versions = Vec::new();
        for name in ["a", "b", "c"] {
            let (parcel, request) = hospital.small(name);
            accept(&vault, &mut hospital, [request]).await;
            versions.push(parcel.deposit.version);
        }
        begin(&vault, &mut hospital, 2).await;
        Ward { site, vault, hospital, versions }
    }

    /// What the vault says against a request that is signed out of turn: the device's chain does not move.
    async fn refuses(&mut self, make: impl FnOnce(&mut Hospital, &[VersionId]) -> DepositRequest) -> String {
        let chain = (self.hospital.device.next_seq, self.hospital.device.prev);
        let request = make(&mut self.hospital, &self.versions);
        (self.hospital.device.next_seq, self.hospital.device.prev) = chain;
        refusal(&self.vault, &self.hospital, request).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_begin_one_after_the_other_and_of_two_that_begin_at_once_one_is_refused() {
    let mut ward = Ward::new(Suite::Default, IndexKind::Memory).await;
    for number in [2, 4, u32::MAX] {
        let why = ward.refuses(|hospital, _| hospital.act(None, &epoch(number)).1).await;
        assert!(why.contains("the newest one of the ledger is 2"), "{why}");
    }
    // both in one batch, as two machines that cannot see each other would send them
    let both = [3, 3].map(|number| ward.hospital.act(None, &epoch(number)).1);
    let replies = ward.vault.deposit(ward.hospital.id, batch(both)).await.unwrap().replies;
    assert!(replies[0].is_ok());
    assert_eq!(replies[1].as_ref().unwrap_err().code, shosoin_protocol::api::code::EPOCH_ORDER);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_wrap_is_the_one_of_the_newest_epoch_that_was_named_last_and_media_alone_say_so() {
    for suite in Suite::ALL {
        let Ward { site, vault, mut hospital, versions } = Ward::new(suite, IndexKind::Fjall).await;
        let deposited = newest(&vault, &hospital, &versions).await;
        let of =
            |hospital: &Hospital, no: usize, epoch, number| (versions[no], wrap(hospital, versions[no], epoch, number));
        let first = [of(&hospital, 0, 2, 1), of(&hospital, 1, 2, 1)];
        let request = rewrap(&mut hospital, 2, &first);
        accept(&vault, &mut hospital, [request]).await;
        assert_eq!(newest(&vault, &hospital, &versions).await, [&first[0].1, &first[1].1, &deposited[2]]);

        begin(&vault, &mut hospital, 3).await;
        let newer = [of(&hospital, 0, 3, 2)];
        let again = [of(&hospital, 1, 2, 5)];
        // a wrap of an epoch before, however late it is named, is not the newest
        let older = [of(&hospital, 0, 2, 9)];
        for (epoch, wraps) in [(3, &newer), (2, &again), (2, &older)] {
            let request = rewrap(&mut hospital, epoch, wraps);
            accept(&vault, &mut hospital, [request]).await;
        }
        let expected = vec![newer[0].1.clone(), again[0].1.clone(), deposited[2].clone()];
        assert_eq!(newest(&vault, &hospital, &versions).await, expected);
        let unknown = VersionId([9; 16]);
        assert_eq!(vault.wraps(hospital.id, vec![unknown]).await.unwrap().wraps, [Bytes::new()]);
        assert_clean(&vault).await;

        vault.close().await.unwrap();
        drop(vault);
        std::fs::remove_dir_all(site.path().join("index")).unwrap();
        let vault = site.open().await;
        assert_eq!(newest(&vault, &hospital, &versions).await, expected, "{suite:?}");
        assert_clean(&vault).await;
        begin(&vault, &mut hospital, 4).await;
        vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wraps_that_are_not_what_their_act_says_are_refused() {
    let mut ward = Ward::new(Suite::Default, IndexKind::Memory).await;
    let why = ward.refuses(|hospital, of| rewrap(hospital, 3, &[(of[0], wrap(hospital, of[0], 3, 1))])).await;
    assert!(why.contains("has not begun"), "{why}");
    let why = ward.refuses(|hospital, of| rewrap(hospital, 2, &[(of[0], wrap(hospital, of[0], 1, 1))])).await;
    assert!(why.contains("another epoch than its act says"), "{why}");
    let why = ward.refuses(|hospital, of| rewrap(hospital, 2, &[(of[0], wrap(hospital, of[1], 2, 1))])).await;
    assert!(why.contains("sealed for another version"), "{why}");
    let why = ward.refuses(|hospital, _| {
        let unknown = VersionId([9; 16]);
        rewrap(hospital, 2, &[(unknown, wrap(hospital, unknown, 2, 1))])
    });
    assert!(why.await.contains("is not held"));
    let why = ward.refuses(|hospital, of| {
        let request = rewrap(hospital, 2, &[(of[0], wrap(hospital, of[0], 2, 1))]);
        DepositRequest { records: request.records[..1].to_vec(), ..request }
    });
    assert!(why.await.contains("are not held"));
    let why = ward.refuses(|hospital, of| {
        let mut request = rewrap(hospital, 2, &[(of[0], wrap(hospital, of[0], 2, 1))]);
        request.records.push(InlineRecord { kind: RecordKind::Wrap, bytes: wrap(hospital, of[1], 2, 1) });
        request
    });
    assert!(why.await.contains("does not name"));
    // and none of it had any effect
    let wraps = newest(&ward.vault, &ward.hospital, &ward.versions).await;
    begin(&ward.vault, &mut ward.hospital, 3).await;
    assert_eq!(newest(&ward.vault, &ward.hospital, &ward.versions).await, wraps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_under_an_epoch_that_has_not_begun_is_refused() {
    let mut ward = Ward::new(Suite::Default, IndexKind::Memory).await;
    for (epoch, taken) in [(3, false), (0, false), (1, true), (2, true)] {
        let mut parcel = ward.hospital.parcel("d", &[]);
        let wrap = wrap(&ward.hospital, parcel.deposit.version, epoch, 0);
        parcel.deposit.wrap = ward.hospital.suite.address(&wrap);
        parcel.records.retain(|record| record.kind != RecordKind::Wrap);
        parcel.records.push(InlineRecord { kind: RecordKind::Wrap, bytes: wrap });
        if taken {
            let request = ward.hospital.send(&parcel);
            accept(&ward.vault, &mut ward.hospital, [request]).await;
        } else {
            let why = ward.refuses(|hospital, _| hospital.send(&parcel)).await;
            assert!(why.contains("has not begun"), "epoch {epoch}: {why}");
        }
    }
}
