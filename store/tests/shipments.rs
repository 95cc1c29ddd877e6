//! Media that a courier brings: what is taken in, what is not, and that no step can be left out.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::*;
use serde_json::Value;
use shosoin_protocol::act::agreement::{Routes, ScanRule, Scanning, Terms};
use shosoin_protocol::entry::DeviceChange;
use shosoin_protocol::malware::Engine;
use shosoin_protocol::medium::{
    FOLDER, MediumBatch, MediumCheck, MediumKind, MediumManifest, MediumPlace, MediumVerdict,
};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, Suite, VersionId};
use shosoin_store::accounts::Caller;
use shosoin_store::audit::{Action, AuditQuery, Outcome};
use shosoin_store::shipments::ShipmentCommand;
use shosoin_store::{IndexKind, Vault};
use std::path::{Path, PathBuf};

const HOUR_MS: u64 = 60 * 60 * 1000;
const SHIPMENT: VersionId = VersionId([0x51; 16]);

struct Scene {
    site: Site,
    vault: Vault,
    hospital: Hospital,
    station: SigningKey,
}

impl Scene {
    async fn new() -> Scene {
        let site = Site::on_disk(IndexKind::Fjall).await;
        let station = key(Suite::Default, 200);
        let path = site.path().join("vault.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let stations = format!("[intake]\nstations = [\"{}\"]\n\n[[volume]]", station.public());
        std::fs::write(&path, text.replacen("[[volume]]", &stations, 1)).unwrap();
        let vault = site.open().await;
        let mut hospital = enrolled(&vault, Suite::Default, 1).await;
        let routes = Routes { network: true, media: true, application: false };
        let scan =
            ScanRule { scanning: Scanning::Off, definitions_hours_max: 48, scan_hours_max: 12, packed_hours_max: 72 };
        agree(&vault, &mut hospital, |terms| Terms { routes, scan, ..terms }).await;
        Scene { site, vault, hospital, station }
    }

    /// A medium with one deposit, whose chunk is a file of its own, and the station's clean result.
    fn packed(&mut self) -> (Parcel, Packed) {
        let chunk = self.hospital.chunk(40_000, 5);
        let mut parcel = self.hospital.parcel("from the ward", std::slice::from_ref(&chunk));
        let all = parcel.clone();
        parcel.chunks.clear();
        let request = self.hospital.send(&parcel);
        let batch = batch([request]).encode();
        let folder = self.site.dir.path().join("disc");
        for part in ["chunks", "deposits"] {
            std::fs::create_dir_all(folder.join(FOLDER).join(part)).unwrap();
        }
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(FOLDER).join(name), bytes).unwrap();
        let chunk_address = address(Suite::Default, &chunk);
        write(&MediumManifest::chunk_file(&chunk_address), &chunk);
        write(&MediumManifest::batch_file(0), &batch);
        let device = DeviceChange::certify(
            self.hospital.log,
            true,
            self.hospital.device.key.public(),
            &self.hospital.hospital_key,
        );
        let manifest = MediumManifest {
            suite: Suite::Default,
            kind: MediumKind::Optical,
            hospital: self.hospital.id,
            log: self.hospital.log,
            place: MediumPlace { shipment: SHIPMENT, number: 1, of: 1 },
            packed_ms: NOW_MS - 20 * HOUR_MS,
            device,
            chunks: vec![(chunk_address, u32::try_from(chunk.len()).unwrap())],
            batches: vec![MediumBatch { len: u32::try_from(batch.len()).unwrap(), digest: sha256(&[&batch]) }],
        };
        let signed = manifest.sign(&self.hospital.device.key);
        write("manifest", &signed);
        let check = MediumCheck {
            verdict: MediumVerdict::Clean,
            connected: false,
            station: self.station.public(),
            hospital: self.hospital.id,
            place: manifest.place,
            manifest: MediumManifest::digest_of(&signed),
            engine: Engine { release: [1, 4, 3], definitions_version: 1, definitions_ms: NOW_MS - 10 * HOUR_MS },
            files: 3,
            bytes: 50_000,
            checked_ms: NOW_MS - HOUR_MS,
        };
        (all, Packed { folder, manifest, check })
    }

    async fn ask(&self, command: ShipmentCommand) -> Result<Value, shosoin_store::Error> {
        self.vault.shipment_command(command, Caller::this_process()).await
    }

    async fn announce(&self) {
        let announce = ShipmentCommand::Announce {
            hospital: None,
            shipment: SHIPMENT.to_string(),
            media: vec![("optical".into(), "A-1041".into())],
            courier: "T. Ono".into(),
            expected_ms: NOW_MS,
        };
        self.ask(announce).await.unwrap();
    }

    fn receive(&self, media: &[(&str, &str)], identity: &str) -> ShipmentCommand {
        let media = media.iter().map(|(kind, seal)| ((*kind).to_owned(), (*seal).to_owned())).collect();
        ShipmentCommand::Receive { shipment: SHIPMENT.to_string(), media, identity: identity.to_owned() }
    }

    async fn announced_and_received(&self) {
        self.announce().await;
        self.ask(self.receive(&[("optical", "A-1041")], "staff card seen")).await.unwrap();
    }

    /// Takes the medium with this result.
    async fn take(&self, packed: &Packed, check: &MediumCheck) -> Result<Value, shosoin_store::Error> {
        let file = self.site.dir.path().join("result");
        std::fs::write(&file, check.sign(&self.station)).unwrap();
        self.take_with(packed, &file).await
    }

    async fn take_with(&self, packed: &Packed, check: &Path) -> Result<Value, shosoin_store::Error> {
        let receipts = self.receipts();
        std::fs::create_dir_all(&receipts).unwrap();
        self.ask(ShipmentCommand::Take { medium: packed.folder.clone(), check: check.to_owned(), receipts }).await
    }

    fn receipts(&self) -> PathBuf {
        self.site.dir.path().join("receipts")
    }

    fn audited(&self, action: Action, outcome: Outcome) -> usize {
        let query = AuditQuery { actions: vec![action], ..AuditQuery::default() };
        self.vault.audit().read(&query).unwrap().iter().filter(|record| record.event.outcome == outcome).count()
    }
}

struct Packed {
    folder: PathBuf,
    manifest: MediumManifest,
    check: MediumCheck,
}

#[tokio::test]
async fn a_medium_that_was_announced_received_and_checked_is_taken_in_with_receipts_and_disposed_of_3_3_p3_p5_p6() {
    let mut scene = Scene::new().await;
    let (parcel, packed) = scene.packed();
    scene.announced_and_received().await;
    let taken = scene.take(&packed, &packed.check).await.unwrap();
    assert_eq!(
        (&taken["deposits"], &taken["chunks"], &taken["refused"]),
        (&1.into(), &1.into(), &Value::Array(vec![]))
    );
    see_head(&scene.vault, &mut scene.hospital).await;
    assert_holds(&scene.vault, &scene.hospital, std::slice::from_ref(&parcel)).await;
    let receipt = scene.receipts().join(format!("{}.receipt", parcel.deposit.version));
    let receipt = shosoin_protocol::receipt::Receipt::decode(&std::fs::read(receipt).unwrap()).unwrap();
    let entry = scene.vault.version(scene.hospital.id, parcel.deposit.version).await.unwrap().entry;
    let leaf = shosoin_protocol::entry::Entry::decode(&entry).unwrap().leaf_hash();
    receipt.verify(&leaf, &vault_key(&scene.vault, scene.hospital.id).await).unwrap();
    assert!(scene.take(&packed, &packed.check).await.is_err(), "it was taken in before");

    let dispose = |method: &str, worker: &str| ShipmentCommand::Dispose {
        shipment: SHIPMENT.to_string(),
        number: 1,
        method: method.to_owned(),
        worker: worker.to_owned(),
    };
    assert!(scene.ask(dispose("overwritten", "K. Mori")).await.is_err(), "a disc is never overwritten (7.6.7-M1)");
    assert!(scene.ask(dispose("destroyed", " ")).await.is_err());
    let done = scene.ask(dispose("destroyed", "K. Mori")).await.unwrap();
    assert_eq!(done["media"][0]["step"], "disposed");
    assert_eq!(scene.audited(Action::CourierMediumDisposed, Outcome::Done), 1);
    assert_eq!(scene.audited(Action::MediumTaken, Outcome::Done), 1);
    let (_, request) = scene.hospital.small("over the line");
    accept(&scene.vault, &mut scene.hospital, [request]).await;
    assert_clean(&scene.vault).await;
}

#[tokio::test]
async fn a_shipment_that_is_not_what_was_announced_is_not_received_and_nothing_of_it_is_taken_7_6_8_m3() {
    let mut scene = Scene::new().await;
    let (_, packed) = scene.packed();
    assert!(scene.ask(scene.receive(&[("optical", "A-1041")], "card")).await.is_err(), "nobody announced it");
    scene.announce().await;
    type Came = &'static [(&'static str, &'static str)];
    let wrong: [(Came, &str, &str); 5] = [
        (&[("optical", "A-1041"), ("optical", "A-1042")], "card", "2 media came, 1 were announced"),
        (&[("flash", "A-1041")], "card", "another kind"),
        (&[("optical", "")], "card", "seal of medium 1"),
        (&[("optical", "B-7")], "card", "seal of medium 1"),
        (&[("optical", "A-1041")], " ", "who carried it"),
    ];
    for (media, identity, why) in wrong {
        let error = scene.ask(scene.receive(media, identity)).await.unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(scene.audited(Action::ShipmentReceived, Outcome::Refused), 5);
    let error = scene.take(&packed, &packed.check).await.unwrap_err();
    assert!(error.to_string().contains("nobody has received"), "{error}");
    assert_eq!(scene.audited(Action::MediumTaken, Outcome::Refused), 1);
}

#[tokio::test]
async fn a_result_that_is_forged_stale_of_another_medium_or_not_clean_takes_nothing_in() {
    let mut scene = Scene::new().await;
    let (parcel, packed) = scene.packed();
    scene.announced_and_received().await;
    let good = &packed.check;
    let old_engine = Engine { definitions_ms: NOW_MS - 60 * HOUR_MS, ..good.engine };
    let cases = [
        (MediumCheck { verdict: MediumVerdict::Infected, ..good.clone() }, "infected"),
        (MediumCheck { verdict: MediumVerdict::Foreign, ..good.clone() }, "foreign"),
        (MediumCheck { connected: true, ..good.clone() }, "connected to something"),
        (MediumCheck { manifest: Digest([7; 32]), ..good.clone() }, "another medium"),
        (MediumCheck { engine: old_engine, ..good.clone() }, "definitions of the station"),
        (MediumCheck { checked_ms: NOW_MS - 80 * HOUR_MS, ..good.clone() }, "agreed on"),
        (MediumCheck { checked_ms: NOW_MS + 9 * HOUR_MS, ..good.clone() }, "in the future"),
    ];
    for (check, why) in cases {
        let error = scene.take(&packed, &check).await.unwrap_err();
        assert!(error.problem().message.contains(why), "{why}: {}", error.problem().message);
    }
    let stranger = key(Suite::Default, 99);
    let file = scene.site.dir.path().join("other");
    let check = MediumCheck { station: stranger.public(), ..good.clone() };
    std::fs::write(&file, check.sign(&stranger)).unwrap();
    let error = scene.take_with(&packed, &file).await.unwrap_err();
    assert!(error.to_string().contains("intake.stations"), "{error}");
    std::fs::write(&file, good.sign(&stranger)).unwrap();
    assert!(scene.take_with(&packed, &file).await.is_err(), "signed by another than it names");
    scene.vault.version(scene.hospital.id, parcel.deposit.version).await.unwrap_err();
    scene.take(&packed, good).await.unwrap();
}

#[tokio::test]
async fn a_medium_that_changed_since_it_was_checked_or_was_packed_by_a_stranger_is_refused() {
    let mut scene = Scene::new().await;
    let (parcel, packed) = scene.packed();
    scene.announced_and_received().await;
    let batch = packed.folder.join(FOLDER).join(MediumManifest::batch_file(0));
    let good = std::fs::read(&batch).unwrap();
    let mut flipped = good.clone();
    flipped[100] ^= 1;
    for bytes in [flipped, good[..good.len() - 1].to_vec(), [&good[..], b"x"].concat()] {
        std::fs::write(&batch, bytes).unwrap();
        assert!(scene.take(&packed, &packed.check).await.is_err());
    }
    std::fs::write(&batch, &good).unwrap();
    let chunk = packed.folder.join(FOLDER).join(MediumManifest::chunk_file(&packed.manifest.chunks[0].0));
    let whole = std::fs::read(&chunk).unwrap();
    let mut flipped = whole.clone();
    flipped[300] ^= 1;
    std::fs::write(&chunk, flipped).unwrap();
    let error = scene.take(&packed, &packed.check).await.unwrap_err();
    assert!(error.to_string().contains("quarantine"), "{error}");
    std::fs::write(&chunk, whole).unwrap();

    let manifest = packed.folder.join(FOLDER).join("manifest");
    let signed = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, packed.manifest.sign(&key(Suite::Default, 77))).unwrap();
    assert!(scene.take(&packed, &packed.check).await.is_err(), "no device of the hospital signed it");
    std::fs::write(&manifest, signed).unwrap();
    scene.vault.version(scene.hospital.id, parcel.deposit.version).await.unwrap_err();
    scene.take(&packed, &packed.check).await.unwrap();
}

#[tokio::test]
async fn a_take_that_was_cut_off_is_run_again_and_every_deposit_has_its_receipt_3_3_p6() {
    let mut scene = Scene::new().await;
    let (parcel, packed) = scene.packed();
    scene.announced_and_received().await;
    scene.take(&packed, &packed.check).await.unwrap();
    // what a kill leaves that came behind the deposit: a receipt that is cut, and a shipment that says nothing of it yet
    let receipt = scene.receipts().join(format!("{}.receipt", parcel.deposit.version));
    let whole = std::fs::read(&receipt).unwrap();
    std::fs::write(&receipt, &whole[..whole.len() / 2]).unwrap();
    let state = scene.site.path().join("shipments").join(SHIPMENT.to_string());
    let taken = std::fs::read(&state).unwrap();
    std::fs::remove_file(&state).unwrap();
    scene.announced_and_received().await;
    let again = scene.take(&packed, &packed.check).await.unwrap();
    assert_eq!((&again["deposits"], &again["refused"]), (&1.into(), &Value::Array(vec![])));
    let found = shosoin_protocol::receipt::Receipt::decode(&std::fs::read(&receipt).unwrap()).unwrap();
    let entry = scene.vault.version(scene.hospital.id, parcel.deposit.version).await.unwrap().entry;
    let leaf = shosoin_protocol::entry::Entry::decode(&entry).unwrap().leaf_hash();
    found.verify(&leaf, &vault_key(&scene.vault, scene.hospital.id).await).unwrap();
    let first = shosoin_protocol::receipt::Receipt::decode(&whole).unwrap();
    assert_eq!(found.durable, first.durable);
    assert_eq!(std::fs::read(&state).unwrap().len(), taken.len(), "the medium counts as taken again");
    assert_eq!(
        (scene.audited(Action::MediumTaken, Outcome::Begun), scene.audited(Action::MediumTaken, Outcome::Done)),
        (2, 2)
    );
}

#[tokio::test]
async fn a_medium_for_another_vault_is_refused() {
    let mut scene = Scene::new().await;
    let (_, packed) = scene.packed();
    let other = Site::on_disk(IndexKind::Memory).await;
    let vault = other.open().await;
    enrolled(&vault, Suite::Default, 1).await;
    let check = scene.site.dir.path().join("result");
    std::fs::write(&check, packed.check.sign(&scene.station)).unwrap();
    let take = ShipmentCommand::Take { medium: packed.folder.clone(), check, receipts: scene.receipts() };
    let error = vault.shipment_command(take, Caller::this_process()).await.unwrap_err();
    assert!(error.problem().message.contains("for another vault"), "{}", error.problem().message);
}
