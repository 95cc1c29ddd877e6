//! Group commit: what waits together becomes durable together, and nothing is answered before it is.
#![expect(clippy::unwrap_used, reason = "help for tests, which may panic")]

mod common;

use common::*;
use parking_lot::Mutex;
use shosoin_protocol::api::code;
use shosoin_protocol::entry::{Body, DeviceChange};
use shosoin_protocol::{ErrorKind, Suite};
use shosoin_store::{CheckOptions, Error, IndexKind, OpenOptions, Vault};
use shosoin_tiers::media::{Call, Fault, Faults, Hook, Hooked, Media, Op};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

const SHARDS: u64 = 6;

/// A vault on media that `hook` watches.
async fn vault_on<H: Hook + 'static>(hook: &Arc<H>) -> (Site, Vault) {
    let mut site = Site::on_media(IndexKind::Memory, Vec::new()).await;
    let watched = |media| Arc::new(Hooked::new(media, hook.clone())) as Arc<dyn Media>;
    let media = as_media(&memory_volumes(6)).into_iter().map(watched);
    site.options = OpenOptions { media: Some(media.collect()), ..site.options };
    let vault = site.open().await;
    (site, vault)
}

/// Holds the first sync it is armed for until the sender is used; everything else passes.
#[derive(Debug, Default)]
struct Gate {
    closed: Mutex<Option<Receiver<()>>>,
    held: AtomicBool,
}

impl Gate {
    fn hold_next_sync(&self) -> Sender<()> {
        let (open, closed) = channel();
        *self.closed.lock() = Some(closed);
        open
    }

    fn holds(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }
}

impl Hook for Gate {
    fn before(&self, call: &Call) -> Option<Fault> {
        let held = if call.op == Op::Sync { self.closed.lock().take() } else { None };
        if let Some(closed) = held {
            self.held.store(true, Ordering::Release);
            closed.recv().unwrap();
        }
        None
    }
}

async fn waiting(vault: &Vault) -> usize {
    vault.status().await.unwrap().hospitals[0].waiting
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_of_one_request_share_one_stripe_and_one_checkpoint() {
    let (_site, vault) = vault_on(&Arc::new(Gate::default())).await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let before = vault.counters();
    let requests: Vec<_> = (0..32).map(|no| hospital.small(&no.to_string()).1).collect();
    let receipts = accept(&vault, &mut hospital, requests).await;
    let after = vault.counters();
    assert_eq!((after.groups - before.groups, after.deposits - before.deposits), (1, 32));
    assert_eq!(after.syncs - before.syncs, SHARDS);
    assert_eq!(after.records - before.records, 32 * 6 + 1, "five records and an entry each, one checkpoint");
    let checkpoints: BTreeSet<_> = receipts.iter().map(|receipt| &receipt.inclusion.checkpoint).collect();
    assert_eq!(checkpoints.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_of_many_devices_and_chunks_that_wait_for_a_sync_share_the_next() {
    let gate = Arc::new(Gate::default());
    let (_site, vault) = vault_on(&gate).await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let mut devices = Vec::new();
    for no in 0..31 {
        let device = Device::new(Suite::Default, 150 + no);
        let change = DeviceChange::certify(hospital.log, true, device.key.public(), &hospital.hospital_key);
        let joins = bare(hospital.device.sign(&hospital.named(), Body::Device(change)));
        accept(&vault, &mut hospital, [joins]).await;
        devices.push(device);
    }
    let before = vault.counters();
    let open = gate.hold_next_sync();
    let (_, first) = hospital.small("first");
    let first = tokio::spawn({
        let (vault, id) = (vault.clone(), hospital.id);
        async move { vault.deposit(id, batch([first])).await.unwrap() }
    });
    while !gate.holds() {
        tokio::task::yield_now().await;
    }
    let chunk = hospital.chunk(50_000, 9);
    let mut tasks = Vec::new();
    for (no, device) in devices.iter_mut().enumerate() {
        let parcel = hospital.parcel(&format!("name {no}"), &[hospital.chunk(3_000, no as u64)]);
        let entry = device.sign(&hospital.named(), parcel.body());
        let (vault, id, request) = (vault.clone(), hospital.id, request(&entry, &parcel));
        tasks.push(tokio::spawn(async move { vault.deposit(id, batch([request])).await.unwrap() }));
    }
    let put = tokio::spawn({
        let (vault, id, address) = (vault.clone(), hospital.id, hospital.suite.address(&chunk));
        async move { vault.put_chunk(id, address, chunk).await.unwrap() }
    });
    // one request is held at the gate; 32 others wait for it
    while waiting(&vault).await < 32 {
        tokio::task::yield_now().await;
    }
    assert!(!first.is_finished() && !put.is_finished() && tasks.iter().all(|task| !task.is_finished()));
    open.send(()).unwrap();
    let mut checkpoints = BTreeSet::new();
    for task in tasks {
        let receipt = task.await.unwrap().replies.remove(0).unwrap();
        checkpoints.insert(receipt.inclusion.checkpoint);
    }
    first.await.unwrap().replies.remove(0).unwrap();
    put.await.unwrap();
    let after = vault.counters();
    assert_eq!(checkpoints.len(), 1, "all that waited are under one checkpoint");
    assert_eq!((after.groups - before.groups, after.syncs - before.syncs), (2, 2 * SHARDS));
    assert_eq!(after.deposits - before.deposits, 32);
    assert_clean(&vault).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_outcome_is_unknown_stops_the_log_and_reading_goes_on() {
    let faults = Arc::new(Faults::default());
    let (site, vault) = vault_on(&faults).await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let (kept, request) = hospital.small("kept");
    accept(&vault, &mut hospital, [request]).await;
    let head = vault.checkpoint(hospital.id).await.unwrap();

    faults.when(|_, call| (call.op == Op::Sync).then_some(Fault::DoneAndFail(std::io::ErrorKind::Other)));
    let (_, request) = hospital.small("unknown");
    let error = vault.deposit(hospital.id, batch([request])).await.unwrap_err();
    assert!(matches!(&error, Error::ReadOnly { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    faults.clear();
    let (_, request) = hospital.small("refused");
    assert!(matches!(vault.deposit(hospital.id, batch([request])).await, Err(Error::ReadOnly { .. })));
    assert!(vault.status().await.unwrap().hospitals[0].read_only.is_some());
    assert_eq!(vault.checkpoint(hospital.id).await.unwrap(), head, "nobody saw a head that may not be durable");
    assert_holds(&vault, &hospital, std::slice::from_ref(&kept)).await;
    drop(vault);

    let vault = site.open().await;
    let chain = vault.device(hospital.id, hospital.device.id()).await.unwrap();
    (hospital.device.next_seq, hospital.device.prev) = (chain.next_seq, chain.prev);
    let (after, request) = hospital.small("after");
    accept(&vault, &mut hospital, [request]).await;
    assert_holds(&vault, &hospital, &[kept, after]).await;
    let remembered = vec![head];
    let report = vault.check(CheckOptions { remembered, ..CheckOptions::default() }).await.unwrap();
    assert!(report.is_consistent(), "{:?}", report.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_vault_refuses_without_stopping_the_log() {
    let mut site = Site::on_media(IndexKind::Memory, Vec::new()).await;
    let volumes = memory_volumes(6);
    let media = as_media(&volumes);
    site.options = OpenOptions { media: Some(media), ..site.options };
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    vault.close().await.unwrap();
    drop(vault);

    volumes[2].set_read_only(true);
    let vault = site.open().await;
    let chunk = hospital.chunk(1_000, 1);
    let address = hospital.suite.address(&chunk);
    let error = vault.put_chunk(hospital.id, address, chunk.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.problem().code.as_str()), (ErrorKind::Unavailable, code::NO_WRITABLE_MEDIA));
    let device = Device {
        seen: hospital.device.seen,
        prev: hospital.device.prev,
        next_seq: hospital.device.next_seq,
        key: key(Suite::Default, 101),
    };
    let (_, request) = hospital.small("refused");
    let error = vault.deposit(hospital.id, batch([request])).await.unwrap_err();
    assert_eq!(error.problem().code, code::NO_WRITABLE_MEDIA);
    assert_eq!(vault.status().await.unwrap().hospitals[0].read_only, None);
    drop(vault);

    volumes[2].set_read_only(false);
    let vault = site.open().await;
    hospital.device = device;
    vault.put_chunk(hospital.id, address, chunk).await.unwrap();
    let (_, request) = hospital.small("accepted");
    accept(&vault, &mut hospital, [request]).await;
}
