//! Packages: everything of one hospital, checked by whoever holds it and no key (6.2-R7).
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use common::*;
use shosoin_protocol::Suite;
use shosoin_protocol::package::{Package, PackageState};
use shosoin_store::accounts::Caller;
use shosoin_store::handover::{HandoverCommand, HandoverRun, Meter, VerifyOptions, VerifyReport, verify};
use shosoin_store::{IndexKind, Vault, VolumeSpec};
use shosoin_tiers::media::{FileMedia, FileOptions};
use shosoin_tiers::{Error as MediaError, Pace, Unpaced};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A vault of two hospitals, of which one fills several files of a package.
struct Two {
    site: Site,
    vault: Vault,
    hospital: Hospital,
    parcels: Vec<Parcel>,
}

impl Two {
    async fn new(suite: Suite) -> Two {
        let site = Site::on_disk(IndexKind::Memory).await;
        let vault = site.open().await;
        let hospital = enrolled(&vault, suite, 1).await;
        let mut other = enrolled(&vault, Suite::Default, 2).await;
        let (_, deposit) = other.small("not for the package");
        accept(&vault, &mut other, [deposit]).await;
        let mut two = Two { site, vault, hospital, parcels: Vec::new() };
        two.deposit(12).await;
        let (_, marker) = two.hospital.marker("0");
        accept(&two.vault, &mut two.hospital, [marker]).await;
        two
    }

    async fn deposit(&mut self, count: u64) {
        for _ in 0..count {
            let no = self.parcels.len() as u64;
            let shared = self.hospital.chunk(70_000, 5);
            let chunks = [shared, self.hospital.chunk(400_000 + 1_000 * u32::try_from(no).unwrap(), no + 50)];
            let parcel = self.hospital.parcel(&no.to_string(), &chunks);
            let request = self.hospital.send(&parcel);
            accept(&self.vault, &mut self.hospital, [request]).await;
            self.parcels.push(parcel);
        }
    }

    fn package(&self) -> PathBuf {
        let path = self.site.dir.path().join("package");
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn command(&self) -> HandoverCommand {
        HandoverCommand::Export {
            hospital: Some(self.hospital.id.to_string()),
            to: VolumeSpec::at(self.package()),
            rate: None,
            segment_bytes: Some(1 << 20),
            close: false,
            timestamps: None,
        }
    }

    async fn export(&self) -> shosoin_store::Result<serde_json::Value> {
        self.vault.handover_command(self.command(), Caller::this_process(), HandoverRun::default()).await
    }
}

fn options(scratch: &Path) -> VerifyOptions {
    VerifyOptions { fingerprint: None, scratch: scratch.to_owned(), index: IndexKind::Memory }
}

fn judged(package: &Path) -> shosoin_store::Result<VerifyReport> {
    let scratch = tempfile::tempdir().unwrap();
    let media = FileMedia::open(package, FileOptions::default()).unwrap();
    verify::verify(Arc::new(media), &options(&scratch.path().join("rows")), &Unpaced, &Meter::default())
}

fn manifest(package: &Path) -> Package {
    Package::verify(&std::fs::read(package.join("manifest")).unwrap()).unwrap()
}

/// Every file with its bytes.
fn content(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files(dir).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[tokio::test]
async fn a_package_holds_everything_of_its_hospital_and_is_verified_without_any_key_6_2_r7() {
    for suite in Suite::ALL {
        let two = Two::new(suite).await;
        let report = two.export().await.unwrap();
        assert_eq!((&report["state"], &report["log_size"]), (&"whole".into(), &14.into()));
        assert_eq!(report["missing"], serde_json::json!([]));
        let before = content(&two.package());
        let judged = judged(&two.package()).unwrap();
        assert_eq!(judged.findings, []);
        assert!(judged.is_good());
        assert_eq!((judged.entries, judged.heads > 10), (14, true));
        assert_eq!(serde_json::json!(judged.records), report["records"]);
        assert_eq!(judged.fingerprint, vault_key(&two.vault, two.hospital.id).await.fingerprint());
        assert!(content(&two.package()) == before, "who reads a package changes nothing in it");
        let shards = manifest(&two.package()).files.iter().filter(|file| file.path.ends_with(".shard")).count();
        assert!(shards >= 4, "{shards} files");
        for foreign in ["vault.toml", "vault.key", "tls.key"] {
            assert!(!two.package().join(foreign).exists());
        }
        assert_clean(&two.vault).await;
    }
}

#[tokio::test]
async fn a_package_grows_with_its_hospital_and_keeps_the_files_it_has() {
    let mut two = Two::new(Suite::Default).await;
    two.export().await.unwrap();
    let first: BTreeSet<String> = manifest(&two.package())
        .files
        .into_iter()
        .map(|file| file.path)
        .filter(|path| path.ends_with("shard"))
        .collect();
    let again = two.export().await.unwrap();
    assert_eq!((&again["added_entries"], &again["added_records"]), (&0.into(), &0.into()));
    two.deposit(3).await;
    let grown = two.export().await.unwrap();
    assert_eq!(grown["added_entries"], 3);
    let second: BTreeSet<String> = manifest(&two.package())
        .files
        .into_iter()
        .map(|file| file.path)
        .filter(|path| path.ends_with("shard"))
        .collect();
    assert!(second.is_superset(&first) && second.len() > first.len());
    let report = judged(&two.package()).unwrap();
    assert_eq!((report.findings.clone(), report.entries), (vec![], 17));
}

/// Ends the work after this many pieces.
struct After(AtomicU64);

impl Pace for After {
    fn spend(&self, _bytes: u64) -> Result<(), MediaError> {
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Ok(()),
            Err(_) => Err(MediaError::Stopped),
        }
    }
}

#[tokio::test]
async fn verifying_stops_when_asked_and_leaves_nothing_behind() {
    let two = Two::new(Suite::Default).await;
    two.export().await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    for pieces in [0, 1, 5, 9] {
        let media = FileMedia::open(&two.package(), FileOptions::default()).unwrap();
        let rows = scratch.path().join("rows");
        let pace = After(AtomicU64::new(pieces));
        let stopped = verify::verify(Arc::new(media), &options(&rows), &pace, &Meter::default());
        assert!(matches!(stopped, Err(shosoin_store::Error::Media(MediaError::Stopped))));
        assert!(!rows.exists());
    }
}

#[tokio::test]
async fn an_export_that_was_stopped_is_unfinished_and_goes_on_without_writing_again_what_is_there() {
    let two = Two::new(Suite::Cryptrec).await;
    let run = HandoverRun::default();
    run.stop();
    let stopped = two.vault.handover_command(two.command(), Caller::this_process(), run).await;
    assert!(matches!(stopped, Err(shosoin_store::Error::Media(MediaError::Stopped))));
    assert_eq!(manifest(&two.package()).state, PackageState::Unfinished);
    let report = judged(&two.package()).unwrap();
    assert!(!report.is_good());
    assert_eq!(report.findings[0].code, "unfinished");
    two.export().await.unwrap();
    assert!(judged(&two.package()).unwrap().is_good());
}

#[tokio::test]
async fn what_a_kill_leaves_beside_the_files_that_are_listed_is_written_anew() {
    let two = Two::new(Suite::Default).await;
    two.export().await.unwrap();
    let whole = manifest(&two.package());
    let shards = two.package().join("segments").join(two.hospital.id.to_string());
    // as if the process had died before the last three files were listed, with another one cut off
    let key = shosoin_store::identity::Identity::load(&two.site.path()).unwrap();
    let mut cut = Package { state: PackageState::Unfinished, log_size: 0, checkpoint: String::new(), ..whole.clone() };
    let listed = order(&shards, &whole);
    cut.files.retain(|file| listed[..listed.len() - 3].contains(&file.path));
    std::fs::write(two.package().join("manifest"), cut.sign(key.key(Suite::Default))).unwrap();
    std::fs::write(shards.join(format!("{}-0.shard.tmp", "ab".repeat(16))), b"half").unwrap();
    let report = two.export().await.unwrap();
    assert!(report["added_entries"].as_u64().unwrap() > 0);
    let judged = judged(&two.package()).unwrap();
    assert_eq!((judged.findings.clone(), judged.entries), (vec![], 14));
    assert!(
        listed[..listed.len() - 3].iter().all(|path| manifest(&two.package()).files.iter().any(|f| f.path == *path))
    );
}

/// Paths of shard files in the order in which they were written.
fn order(shards: &Path, package: &Package) -> Vec<String> {
    let written =
        |path: &str| std::fs::metadata(shards.join(path.rsplit('/').next().unwrap())).unwrap().modified().unwrap();
    let mut paths: Vec<String> =
        package.files.iter().map(|file| file.path.clone()).filter(|path| path.ends_with("shard")).collect();
    paths.sort_by_key(|path| written(path));
    paths
}

#[tokio::test]
async fn a_place_in_use_is_refused_and_left_as_it_is() {
    let two = Two::new(Suite::Default).await;
    let refused = |result: shosoin_store::Result<serde_json::Value>, why: &str| {
        let message = result.unwrap_err().problem().message;
        assert!(message.contains(why), "{message}");
    };
    std::fs::write(two.package().join("notes.txt"), "mine").unwrap();
    refused(two.export().await, "notes.txt");
    assert_eq!(files(&two.package()).len(), 1);
    std::fs::remove_file(two.package().join("notes.txt")).unwrap();
    two.export().await.unwrap();
    let before = content(&two.package());
    let other = HandoverCommand::Export {
        hospital: Some("02".repeat(16)),
        to: VolumeSpec::at(two.package()),
        rate: None,
        segment_bytes: None,
        close: false,
        timestamps: None,
    };
    refused(
        two.vault.handover_command(other, Caller::this_process(), HandoverRun::default()).await,
        "package of hospital",
    );
    assert!(content(&two.package()) == before);
    let volume = two.site.path().join("volumes/v01");
    let onto_a_volume = HandoverCommand::Export {
        hospital: Some(two.hospital.id.to_string()),
        to: VolumeSpec::at(volume),
        rate: None,
        segment_bytes: None,
        close: false,
        timestamps: None,
    };
    let busy = two.vault.handover_command(onto_a_volume, Caller::this_process(), HandoverRun::default()).await;
    assert!(busy.is_err(), "a volume of the vault is in use");
}

#[tokio::test]
async fn a_record_that_the_vault_lost_is_named_and_everything_else_goes() {
    let two = Two::new(Suite::Default).await;
    let lost = two.parcels[3].chunks[1].clone();
    let address = two.hospital.suite.address(&lost);
    let Two { site, vault, hospital, parcels } = two;
    vault.close().await.unwrap();
    drop(vault);
    let volumes = site.path().join("volumes");
    for file in files(&volumes).into_iter().filter(|path| path.extension().is_some_and(|end| end == "shard")) {
        let mut bytes = std::fs::read(&file).unwrap();
        // its own bytes are cut over four units: spoil a piece of each that is found
        for piece in lost.chunks(lost.len() / 40) {
            if let Some(at) = piece.get(..64).and_then(|piece| memchr(&bytes, piece)) {
                bytes[at] ^= 0xff;
            }
        }
        let parity = ["-4.shard", "-5.shard"].iter().any(|end| file.to_string_lossy().ends_with(end));
        if parity && file.to_string_lossy().contains(&hospital.id.to_string()) {
            bytes[2048..].fill(0x55);
        }
        std::fs::write(&file, bytes).unwrap();
    }
    let two = Two { vault: site.open().await, site, hospital, parcels };
    let report = two.export().await.unwrap();
    let missing: Vec<&str> = report["missing"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert!(missing.contains(&address.to_string().as_str()), "{missing:?}");
    let judged = judged(&two.package()).unwrap();
    assert_eq!(judged.findings, [], "what the vault says it lost is no surprise");
    assert_eq!(judged.missing, missing);
}

fn memchr(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[tokio::test]
async fn every_kind_of_damage_to_a_package_is_found_and_named() {
    let two = Two::new(Suite::Default).await;
    two.export().await.unwrap();
    let package = manifest(&two.package());
    let whole = content(&two.package());
    let shards: Vec<&str> =
        package.files.iter().map(|file| file.path.as_str()).filter(|path| path.ends_with("shard")).collect();
    let restore = || {
        std::fs::remove_dir_all(two.package()).unwrap();
        for (path, bytes) in &whole {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    };
    let found = |what: &str| {
        let report = judged(&two.package()).unwrap();
        assert!(!report.is_good(), "{what} was not noticed");
        report.findings.into_iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    // any bit of any file
    for (no, file) in package.files.iter().enumerate() {
        for at in [0, 7, 900, file.len_bytes / 2, file.len_bytes - 5000.min(file.len_bytes), file.len_bytes - 1] {
            let path = two.package().join(&file.path);
            let mut bytes = std::fs::read(&path).unwrap();
            let at = usize::try_from(at).unwrap().min(bytes.len() - 1);
            bytes[at] ^= 1 << (no % 8);
            std::fs::write(&path, &bytes).unwrap();
            assert!(found(&format!("bit {at} of {}", file.path)).contains(&"file"));
            bytes[at] ^= 1 << (no % 8);
            std::fs::write(&path, &bytes).unwrap();
        }
    }
    assert!(judged(&two.package()).unwrap().is_good());
    // truncated, at many lengths: one of the long files, as names do not say which is the last and short one
    let long = package.files.iter().filter(|file| file.path.ends_with("shard")).max_by_key(|file| file.len_bytes);
    let long = long.filter(|file| file.len_bytes > 1_000_000).unwrap();
    for keep in [0u64, 1, 4096, 100_000, 1_000_000] {
        let path = two.package().join(&long.path);
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(keep).unwrap();
        let codes = found(&format!("a file cut to {keep}"));
        let is_missed = codes.iter().any(|code| code.starts_with("entry") || code.starts_with("record"));
        assert!(codes.contains(&"file") && is_missed, "cut to {keep}: {codes:?}");
        restore();
    }
    // swapped, missing, foreign
    let (one, two_) = (two.package().join(shards[0]), two.package().join(shards[1]));
    let aside = two.package().join("segments/aside");
    std::fs::rename(&one, &aside).unwrap();
    std::fs::rename(&two_, &one).unwrap();
    std::fs::rename(&aside, &two_).unwrap();
    assert!(found("two files changed places").contains(&"file"));
    restore();
    std::fs::remove_file(two.package().join(shards[2])).unwrap();
    assert!(found("a file went").contains(&"file"));
    restore();
    std::fs::copy(&one, two.package().join("segments").join(two.hospital.id.to_string()).join("extra")).unwrap();
    assert!(found("a file came").contains(&"foreign-file"));
    restore();
    // without an enrolment the ledger is not proved, with another hospital's it is not believed
    std::fs::remove_file(two.package().join(format!("enrolments/{}.enrolment", two.hospital.id))).unwrap();
    assert!(found("the enrolment went").contains(&"enrolment"));
    restore();
    // a manifest that nobody signed, or that is gone
    let path = two.package().join("manifest");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(judged(&two.package()).is_err());
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(judged(&two.package()), Err(shosoin_store::Error::NotFound { .. })));
}

#[tokio::test]
async fn a_package_signed_by_another_vault_is_known_by_the_fingerprint() {
    let two = Two::new(Suite::Default).await;
    two.export().await.unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let with = |fingerprint: String| {
        let media = FileMedia::open(&two.package(), FileOptions::default()).unwrap();
        let options = VerifyOptions { fingerprint: Some(fingerprint), ..options(&scratch.path().join("rows")) };
        verify::verify(Arc::new(media), &options, &Unpaced, &Meter::default()).unwrap()
    };
    let right = vault_key(&two.vault, two.hospital.id).await.fingerprint();
    assert!(with(right.to_uppercase()).is_good());
    let wrong = with(right.replace('a', "b"));
    assert_eq!(wrong.findings[0].code, "signer");
}

#[tokio::test]
async fn what_an_export_did_is_in_the_audit_log_before_and_after() {
    let two = Two::new(Suite::Default).await;
    two.export().await.unwrap();
    let events: Vec<(String, u64)> = two
        .vault
        .audit()
        .read(&Default::default())
        .unwrap()
        .into_iter()
        .map(|record| record.event)
        .filter(|event| event.action.name() == "handover-exported")
        .map(|event| (event.outcome.name().to_owned(), event.bytes))
        .collect();
    assert_eq!((events.len(), events[0].0.as_str(), events[1].0.as_str()), (2, "begun", "done"));
    assert!(events[1].1 > 4_000_000);
}
