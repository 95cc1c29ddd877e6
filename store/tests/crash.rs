//! A workload, and every call it makes on media fails in turn, or is the last before the machine dies. After each: reopen,
//! check, and hold the vault to every answer it gave.
#![expect(clippy::unwrap_used, reason = "help for tests, which may panic")]

mod common;

use bytes::Bytes;
use common::*;
use shosoin_protocol::Suite;
use shosoin_protocol::api::DepositRequest;
use shosoin_protocol::entry::{Entry, Seen};
use shosoin_protocol::receipt::Receipt;
use shosoin_store::{CheckOptions, Finding, IndexKind, OpenOptions, Result, Severity, Vault};
use shosoin_tiers::clock::SeededRandom;
use shosoin_tiers::media::{Fault, Faults, FaultyMedia, Media, MemoryMedia};
use std::io::ErrorKind;
use std::sync::Arc;

/// One vault folder, and media that are new for every run.
struct Rig {
    site: Site,
    media: Vec<MemoryMedia>,
}

/// Everything the vault said yes to.
#[derive(Default)]
struct Acknowledged {
    receipts: Vec<(Entry, Receipt)>,
    chunks: Vec<Bytes>,
    refused: bool,
}

impl Rig {
    async fn new(index: IndexKind) -> Rig {
        let mut site = Site::on_media(index, Vec::new()).await;
        site.options.segment_bytes_max = Some(60_000);
        Rig { site, media: Vec::new() }
    }

    /// Fresh volumes, six and `spare` more; whatever was known of older ones is forgotten.
    fn renew(&mut self, spare: usize) {
        let _ = std::fs::remove_dir_all(self.site.path().join("index"));
        self.media = memory_volumes(6 + spare);
    }

    async fn open_through(&self, faults: &Arc<Faults>) -> Result<Vault> {
        let faulty = |media: &MemoryMedia| FaultyMedia::new(Arc::new(media.clone()), faults.clone());
        self.open_on(self.media.iter().map(|media| Arc::new(faulty(media)) as Arc<dyn Media>).collect()).await
    }

    async fn open(&self) -> Vault {
        self.open_on(as_media(&self.media)).await.unwrap()
    }

    async fn open_on(&self, media: Vec<Arc<dyn Media>>) -> Result<Vault> {
        let options = OpenOptions { media: Some(media), ..self.site.options.clone() };
        Vault::open(&self.site.path(), options).await
    }

    fn cut_power(&self, seed: u64) {
        let random = SeededRandom::new(seed);
        self.media.iter().for_each(|media| media.crash(&random));
    }
}

/// Deposits of every shape, until one is refused: as a client does that waits for its answers.
async fn workload(vault: &Vault, hospital: &mut Hospital) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    let first = hospital.first_entry();
    deposit(vault, hospital, vec![first], &mut acknowledged).await;
    for round in 0..3u64 {
        let (_, small) = hospital.small("name");
        deposit(vault, hospital, vec![small], &mut acknowledged).await;
        let chunks = [hospital.chunk(20_000, round), hospital.chunk(5_000, round + 100)];
        for chunk in &chunks {
            let put = vault.put_chunk(hospital.id, hospital.suite.address(chunk), chunk.clone()).await;
            match put {
                Ok(()) => acknowledged.chunks.push(chunk.clone()),
                Err(_) => acknowledged.refused = true,
            }
        }
        if acknowledged.refused {
            return acknowledged;
        }
        let large = hospital.parcel("large", &chunks);
        let entry = hospital.device.sign(&hospital.named(), large.body());
        let large = request(&entry, &Parcel { chunks: Vec::new(), ..large });
        let batch = vec![large, hospital.small("name").1, hospital.marker("name").1];
        deposit(vault, hospital, batch, &mut acknowledged).await;
    }
    acknowledged
}

async fn deposit(
    vault: &Vault,
    hospital: &mut Hospital,
    requests: Vec<DepositRequest>,
    acknowledged: &mut Acknowledged,
) {
    if acknowledged.refused {
        return;
    }
    let entries: Vec<Entry> = requests.iter().map(|request| Entry::decode(&request.entry).unwrap()).collect();
    let vault_key = vault_key(vault, hospital.id).await;
    let replies = vault.deposit(hospital.id, batch(requests)).await.map(|replies| replies.replies).unwrap_or_default();
    acknowledged.refused = replies.len() < entries.len();
    for (entry, reply) in entries.into_iter().zip(replies) {
        match reply {
            Ok(receipt) => {
                let head = receipt.verify(&entry.leaf_hash(), &vault_key).unwrap();
                hospital.device.seen = Seen { size: head.size, root: head.root };
                acknowledged.receipts.push((entry, receipt));
            }
            Err(_) => acknowledged.refused = true,
        }
    }
}

/// Opens through `faults` and runs the workload, if the vault opens at all.
async fn run(rig: &Rig, faults: &Arc<Faults>) -> (Hospital, Acknowledged) {
    let Ok(vault) = rig.open_through(faults).await else {
        let hospital = Hospital::new(Suite::Default, 1, rig.open().await.id());
        return (hospital, Acknowledged { refused: true, ..Acknowledged::default() });
    };
    let mut hospital = Hospital::new(Suite::Default, 1, vault.id());
    vault.enrol(&hospital.enrolment()).unwrap();
    let acknowledged = workload(&vault, &mut hospital).await;
    let _ = vault.close().await; // what a failed close leaves is recovered next
    (hospital, acknowledged)
}

/// Everything that was acknowledged is there, in its place, under a log that only ever grew; and the log goes on.
async fn assert_recovers(rig: &Rig, hospital: &mut Hospital, acknowledged: &Acknowledged, what: &str) {
    let vault = rig.open().await;
    vault.enrol(&hospital.enrolment()).unwrap();
    assert_sound(&vault, hospital, acknowledged, what).await;
    let chain = vault.device(hospital.id, hospital.device.id()).await.unwrap();
    assert!(chain.next_seq >= acknowledged.receipts.len() as u64, "{what}: the chain went back");
    (hospital.device.next_seq, hospital.device.prev) = (chain.next_seq, chain.prev);
    if chain.next_seq == 0 {
        hospital.device.seen = Seen::nothing();
        let first = hospital.first_entry();
        accept(&vault, hospital, [first]).await;
    }
    let (after, request) = hospital.small("after");
    accept(&vault, hospital, [request]).await;
    assert_sound(&vault, hospital, acknowledged, what).await;
    assert_holds(&vault, hospital, &[after]).await;
    vault.close().await.unwrap();
}

async fn assert_sound(vault: &Vault, hospital: &Hospital, acknowledged: &Acknowledged, what: &str) {
    for (entry, receipt) in &acknowledged.receipts {
        let index = receipt.inclusion.index;
        let page = vault.log_entries(hospital.id, index, 1).await.unwrap();
        assert_eq!(page.items[0].placed.entry.bytes(), entry.bytes(), "{what}: leaf {index}");
        assert_eq!(page.items[0].placed.accepted_ms, receipt.inclusion.accepted_ms, "{what}");
        if let Some((version, _, _)) = entry.body().name_change() {
            let reply = vault.version(hospital.id, version).await.unwrap();
            assert_eq!(reply.inclusion.index, index, "{what}");
        }
    }
    for chunk in &acknowledged.chunks {
        assert_eq!(&vault.record(hospital.id, hospital.suite.address(chunk)).await.unwrap(), chunk, "{what}");
    }
    let remembered = acknowledged.receipts.iter().map(|(_, receipt)| receipt.inclusion.checkpoint.clone()).collect();
    let report = vault.check(CheckOptions { every_unit: true, remembered }).await.unwrap();
    // Torn units and missing footers are what a crash leaves: redundancy to repair, reported as such.
    let expected = |finding: &Finding| finding.code == "media" && finding.severity < Severity::Damaged;
    let wrong: Vec<_> = report.findings.iter().filter(|finding| !expected(finding)).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:?}");
}

/// Runs the workload without faults and gives how many calls opening and all of it make.
async fn calls(rig: &mut Rig, spare: usize) -> (u64, u64) {
    rig.renew(spare);
    let faults = Arc::new(Faults::default());
    drop(rig.open_through(&faults).await.unwrap());
    let opening = faults.calls();
    let faults = Arc::new(Faults::default());
    let (_, acknowledged) = run(rig, &faults).await;
    assert!(!acknowledged.refused);
    assert_eq!((acknowledged.receipts.len(), acknowledged.chunks.len()), (13, 6));
    (opening, faults.calls())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_call_every_answer_still_holds() {
    let mut rig = Rig::new(IndexKind::Memory).await;
    let (_, calls) = calls(&mut rig, 0).await;
    for call in 0..calls {
        rig.renew(0);
        let faults = Arc::new(Faults::default());
        faults.kill_at(call, call * 977 % 9000);
        let (mut hospital, acknowledged) = run(&rig, &faults).await;
        let power_cut = call % 2 == 0;
        if power_cut {
            rig.cut_power(call);
        }
        let what = format!("killed at call {call} of {calls}, power cut {power_cut}");
        assert_recovers(&rig, &mut hospital, &acknowledged, &what).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_an_index_on_disk_it_is_caught_up_and_right() {
    for kind in [IndexKind::Fjall, IndexKind::Sled] {
        let mut rig = Rig::new(kind).await;
        let (opening, calls) = calls(&mut rig, 0).await;
        for call in (opening..calls).step_by(9) {
            rig.renew(0);
            let faults = Arc::new(Faults::default());
            faults.kill_at(call, call * 977 % 9000);
            let (mut hospital, acknowledged) = run(&rig, &faults).await;
            rig.cut_power(call);
            let what = format!("{kind:?} killed at call {call} of {calls}");
            assert_recovers(&rig, &mut hospital, &acknowledged, &what).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_call_may_fail_without_a_spare_volume_and_what_was_answered_holds() {
    let mut rig = Rig::new(IndexKind::Memory).await;
    let (opening, calls) = calls(&mut rig, 0).await;
    let mut refused = 0;
    for (call, fault) in (opening..calls).zip(FAULTS.into_iter().cycle()) {
        rig.renew(0);
        let faults = Arc::new(Faults::default());
        faults.at(call, fault);
        let (mut hospital, acknowledged) = run(&rig, &faults).await;
        refused += u64::from(acknowledged.refused);
        assert_recovers(&rig, &mut hospital, &acknowledged, &format!("{fault:?} at call {call} of {calls}")).await;
    }
    assert!(refused > 20, "{refused} runs met their fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_call_may_fail_with_spare_volumes_and_nothing_is_refused() {
    let mut rig = Rig::new(IndexKind::Memory).await;
    let (opening, calls) = calls(&mut rig, 2).await;
    for (call, fault) in (opening..calls).zip(FAULTS.into_iter().cycle()).step_by(2) {
        rig.renew(2);
        let faults = Arc::new(Faults::default());
        faults.at(call, fault);
        let (mut hospital, acknowledged) = run(&rig, &faults).await;
        let what = format!("{fault:?} at call {call} of {calls}");
        assert!(!acknowledged.refused, "{what}");
        assert_recovers(&rig, &mut hospital, &acknowledged, &what).await;
    }
}

const FAULTS: [Fault; 5] = [
    Fault::Fail(ErrorKind::Other),
    Fault::DoneAndFail(ErrorKind::Other),
    Fault::Torn { keep: 1500, kind: ErrorKind::Other },
    Fault::Fail(ErrorKind::StorageFull),
    Fault::Fail(ErrorKind::ReadOnlyFilesystem),
];
