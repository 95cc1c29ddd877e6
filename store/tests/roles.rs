//! Machines that only deposit, at the vault: their role comes before they do and never changes, they sign deposits sealed to the
//! hospital and nothing else, and an index made from media alone knows it.
#![expect(clippy::unwrap_used, reason = "help for tests, which may panic")]

mod common;

use bytes::Bytes;
use common::*;
use shosoin_protocol::act::{DeviceRole, Document, Hold, HoldReason, Role};
use shosoin_protocol::api::{DepositRequest, InlineRecord};
use shosoin_protocol::entry::{Body, DeviceChange};
use shosoin_protocol::envelope::{Context, Encapsulated};
use shosoin_protocol::{DeviceId, RecordKind, Suite};
use shosoin_store::{IndexKind, Vault};

fn role_of(device: DeviceId) -> Document {
    Document::DeviceRole(DeviceRole { device, role: Role::DepositOnly, scope: vec![7; 40] })
}

fn joins(hospital: &Hospital, device: &Device, enrol: bool) -> Body {
    Body::Device(DeviceChange::certify(hospital.log, enrol, device.key.public(), &hospital.hospital_key))
}

fn to_hospital(suite: Suite) -> Encapsulated {
    match suite {
        Suite::Default => Encapsulated::X25519([9; 32]),
        Suite::Cryptrec => Encapsulated::P256([9; 65]),
    }
}

/// A parcel whose wrap and summary are sealed to the hospital; what is not to be is left as a full machine seals it.
fn parcel(hospital: &mut Hospital, wrap_too: bool, summary_too: bool) -> Parcel {
    let chunk = hospital.chunk(3_000, 77);
    let mut parcel = hospital.parcel("m", &[chunk]);
    let (version, to) = (parcel.deposit.version, to_hospital(hospital.suite));
    let put = |parcel: &mut Parcel, kind, bytes: Bytes| {
        parcel.records.retain(|record| record.kind != kind);
        parcel.records.push(InlineRecord { kind, bytes });
    };
    if wrap_too {
        let wrap = hospital.sealed(Context::HospitalWrap { version, to }, 48, 5);
        parcel.deposit.wrap = hospital.suite.address(&wrap);
        put(&mut parcel, RecordKind::Wrap, wrap);
    }
    if summary_too {
        let summary = hospital.sealed(Context::HospitalSummary { version, to }, 120, 6);
        parcel.deposit.summary = hospital.suite.address(&summary);
        put(&mut parcel, RecordKind::Summary, summary);
    }
    parcel
}

/// What the vault says against an entry that a device signs, whose chain stays where it was.
async fn refuses(
    vault: &Vault,
    hospital: &Hospital,
    device: &mut Device,
    body: Body,
    records: Vec<InlineRecord>,
) -> String {
    let chain = (device.next_seq, device.prev);
    let entry = device.sign(&hospital.named(), body);
    (device.next_seq, device.prev) = chain;
    let request = DepositRequest { entry: Bytes::copy_from_slice(entry.bytes()), records };
    refusal(vault, hospital, request).await
}

async fn takes(vault: &Vault, hospital: &Hospital, device: &mut Device, body: Body, records: Vec<InlineRecord>) {
    let entry = device.sign(&hospital.named(), body);
    let request = DepositRequest { entry: Bytes::copy_from_slice(entry.bytes()), records };
    let reply = vault.deposit(hospital.id, batch([request])).await.unwrap().replies.remove(0);
    reply.unwrap();
}

fn whole(parcel: &Parcel) -> Vec<InlineRecord> {
    let chunks = parcel.chunks.iter().map(|bytes| InlineRecord { kind: RecordKind::Chunk, bytes: bytes.clone() });
    parcel.records.iter().cloned().chain(chunks).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_only_deposits_signs_deposits_to_the_hospital_and_nothing_else_also_after_a_rebuild() {
    for suite in Suite::ALL {
        let site = Site::on_disk(IndexKind::Fjall).await;
        let vault = site.open().await;
        let mut hospital = enrolled(&vault, suite, 1).await;
        let mut machine = Device::new(suite, 222);
        let stated = hospital.act(None, &role_of(machine.id())).1;
        accept(&vault, &mut hospital, [stated]).await;
        let join = bare(hospital.device.sign(&hospital.named(), joins(&hospital, &machine, true)));
        accept(&vault, &mut hospital, [join]).await;
        machine.seen = hospital.device.seen;
        let good = parcel(&mut hospital, true, true);
        takes(&vault, &hospital, &mut machine, good.body(), whole(&good)).await;

        let mut vault = vault;
        for rebuilt in [false, true] {
            if rebuilt {
                vault.close().await.unwrap();
                drop(vault);
                std::fs::remove_dir_all(site.path().join("index")).unwrap();
                vault = site.open().await;
            }
            for (wrap_too, summary_too) in [(false, false), (true, false), (false, true)] {
                let bad = parcel(&mut hospital, wrap_too, summary_too);
                let why = refuses(&vault, &hospital, &mut machine, bad.body(), whole(&bad)).await;
                assert!(why.contains("envelope type") || why.contains("wrap") || why.contains("summary"), "{why}");
            }
            let hold = Document::Hold(Hold::whole(HoldReason::Audit));
            let bytes = Bytes::from(hold.encode());
            let act = shosoin_protocol::act::Act {
                id: hospital.fresh_version(),
                kind: hold.kind(),
                subject: None,
                document: suite.address(&bytes),
            };
            let records = vec![InlineRecord { kind: RecordKind::Document, bytes }];
            let why = refuses(&vault, &hospital, &mut machine, Body::Act(act), records).await;
            assert!(why.contains("only deposits"), "{why}");
            let another = Device::new(suite, 221);
            for body in [joins(&hospital, &another, true), joins(&hospital, &machine, false)] {
                let why = refuses(&vault, &hospital, &mut machine, body, Vec::new()).await;
                assert!(why.contains("only deposits"), "{why}");
            }
            // a full machine does not seal to the hospital, and its chain goes on
            let odd = parcel(&mut hospital, true, true);
            let chain = (hospital.device.next_seq, hospital.device.prev);
            let request = hospital.send(&odd);
            (hospital.device.next_seq, hospital.device.prev) = chain;
            assert!(!refusal(&vault, &hospital, request).await.is_empty());
            let next = hospital.small("n").1;
            accept(&vault, &mut hospital, [next]).await;
            machine.seen = hospital.device.seen;
            let more = parcel(&mut hospital, true, true);
            takes(&vault, &hospital, &mut machine, more.body(), whole(&more)).await;
        }
        assert_clean(&vault).await;
        vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_stated_before_its_machine_joins_and_once_so_that_it_never_grows() {
    let site = Site::on_disk(IndexKind::Memory).await;
    let vault = site.open().await;
    let mut hospital = enrolled(&vault, Suite::Default, 1).await;
    let (machine, known) = (Device::new(Suite::Default, 222), Device::new(Suite::Default, 223));
    let join = bare(hospital.device.sign(&hospital.named(), joins(&hospital, &known, true)));
    accept(&vault, &mut hospital, [join]).await;
    let stated = hospital.act(None, &role_of(machine.id())).1;
    accept(&vault, &mut hospital, [stated]).await;
    for device in [machine.id(), known.id(), hospital.device.id()] {
        let chain = (hospital.device.next_seq, hospital.device.prev);
        let request = hospital.act(None, &role_of(device)).1;
        (hospital.device.next_seq, hospital.device.prev) = chain;
        let why = refusal(&vault, &hospital, request).await;
        assert!(why.contains("before the device joins, and once"), "{why}");
    }
}
