//! The index is a cache: whatever happens to it, media bring back the index that was.
#![expect(clippy::unwrap_used, reason = "help for tests, which may panic")]

mod common;

use common::*;
use shosoin_protocol::entry::{Body, DeviceChange, Entry};
use shosoin_protocol::{ErrorKind, Suite};
use shosoin_store::{Error, Finding, IndexKind, OpenOptions, Severity, Vault, index};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type AllRows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A vault with something of everything, closed.
struct Archive {
    site: Site,
    kind: IndexKind,
    hospitals: Vec<(Hospital, Vec<Parcel>)>,
}

impl Archive {
    async fn new(kind: IndexKind) -> Archive {
        let mut site = Site::on_disk(kind).await;
        site.options = OpenOptions { segment_bytes_max: Some(64 << 10), ..site.options };
        let vault = site.open().await;
        let mut hospitals = Vec::new();
        for (suite, seed) in [(Suite::Default, 1), (Suite::Cryptrec, 2)] {
            let mut hospital = enrolled(&vault, suite, seed).await;
            let parcels = fill(&vault, &mut hospital).await;
            hospitals.push((hospital, parcels));
        }
        vault.close().await.unwrap();
        Archive { site, kind, hospitals }
    }

    fn index_dir(&self) -> PathBuf {
        let name = if self.kind == IndexKind::Sled { "sled" } else { "fjall" };
        self.site.path().join("index").join(name)
    }

    fn rows(&self) -> AllRows {
        let index = index::open(self.kind, &self.index_dir()).unwrap();
        let mut rows = AllRows::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            rows.insert(key.to_vec(), value.to_vec());
            Ok(true)
        };
        index.scan(&[], &mut visit).unwrap();
        rows
    }

    fn volume(&self, no: usize) -> PathBuf {
        self.site.path().join(format!("volumes/v{no:02}"))
    }

    fn take_away(&self, volumes: &[usize]) {
        volumes.iter().for_each(|no| std::fs::rename(self.volume(*no), self.volume(*no + 10)).unwrap());
    }

    fn bring_back(&self, volumes: &[usize]) {
        volumes.iter().for_each(|no| std::fs::rename(self.volume(*no + 10), self.volume(*no)).unwrap());
    }

    async fn holds(&self, vault: &Vault) {
        for (hospital, parcels) in &self.hospitals {
            assert_holds(vault, hospital, parcels).await;
        }
    }
}

/// Deposits, a marker, a second device that comes and goes: rows of every kind.
async fn fill(vault: &Vault, hospital: &mut Hospital) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    for no in 0..12 {
        let (parcel, request) = hospital.small(&format!("name {}", no % 5));
        accept(vault, hospital, [request]).await;
        parcels.push(parcel);
    }
    let second = key(hospital.suite, 200);
    for enrol in [true, false] {
        let change = DeviceChange::certify(hospital.log, enrol, second.public(), &hospital.hospital_key);
        let entry = hospital.device.sign(&hospital.named(), Body::Device(change));
        accept(vault, hospital, [bare(entry)]).await;
    }
    let (_, gone) = hospital.marker("name 3");
    let (last, request) = hospital.small("name 3");
    accept(vault, hospital, [gone, request]).await;
    parcels.push(last);
    parcels
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, target).unwrap();
    }
}

async fn was_rebuilt(vault: &Vault) -> bool {
    vault.status().await.unwrap().findings.iter().any(|finding| finding.code == "index-rebuilt")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuilt_index_is_the_index_that_was_row_by_row() {
    for kind in [IndexKind::Fjall, IndexKind::Sled] {
        let archive = Archive::new(kind).await;
        let before = archive.rows();
        assert!(before.len() > 200, "{}", before.len());
        let report = Vault::rebuild(&archive.site.path(), |_| {}).await.unwrap();
        // a rebuild goes by the clock of the machine, and this vault had one of its own
        let expected = |finding: &Finding| finding.severity == Severity::Notice || finding.code == "clock-jumped";
        assert!(report.findings.iter().all(expected), "{:?}", report.findings);
        assert_eq!(report.entries, 34);
        assert_eq!(report.log_sizes.values().copied().collect::<Vec<_>>(), [17, 17]);
        assert_eq!(archive.rows(), before);
        let vault = archive.site.open().await;
        archive.holds(&vault).await;
        assert_clean(&vault).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_tells_how_far_it_is_and_ends_at_everything() {
    let archive = Archive::new(IndexKind::Fjall).await;
    let seen = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let told = seen.clone();
    let report = Vault::rebuild(&archive.site.path(), move |progress| told.lock().push(progress)).await.unwrap();
    let seen = seen.lock().clone();
    assert_eq!(seen.len() as u64, report.segments);
    assert!(seen.is_sorted_by_key(|progress| (progress.segments, progress.bytes)));
    let last = seen.last().unwrap();
    assert_eq!((last.segments, last.bytes), (last.segments_total, last.bytes_total));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_one_or_two_of_six_volumes_may_be_missing() {
    let archive = Archive::new(IndexKind::Fjall).await;
    let before = archive.rows();
    let pairs = (1..=6).flat_map(|a| (a..=6).map(move |b| if a == b { vec![a] } else { vec![a, b] }));
    for lost in pairs {
        archive.take_away(&lost);
        let report = Vault::rebuild(&archive.site.path(), |_| {}).await.unwrap();
        assert!(report.findings.iter().all(|finding| finding.severity < Severity::Damaged), "{:?}", report.findings);
        assert_eq!(archive.rows(), before, "without {lost:?}");
        let vault = archive.site.open().await;
        archive.holds(&vault).await;
        assert_eq!(vault.status().await.unwrap().volumes_absent.len(), lost.len());
        drop(vault);
        archive.bring_back(&lost);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_three_volumes_missing_nothing_is_served_wrong_nothing_is_taken_and_all_comes_back_with_them() {
    let mut archive = Archive::new(IndexKind::Fjall).await;
    std::fs::remove_dir_all(archive.index_dir()).unwrap();
    archive.take_away(&[1, 3, 5]);
    let vault = archive.site.open().await;
    let (hospital, parcels) = &mut archive.hospitals[0];
    for parcel in parcels.iter() {
        let version = vault.version(hospital.id, parcel.deposit.version).await.unwrap_err();
        assert!(matches!(version, Error::LogUnseen { .. } | Error::NotFound { .. }), "{version}");
        let address = hospital.suite.address(&parcel.chunks[0]);
        match vault.record(hospital.id, address).await {
            Ok(bytes) => assert_eq!(bytes, parcel.chunks[0]), // wholly on a volume that is there
            Err(error) => assert!(matches!(error.kind(), ErrorKind::Damaged | ErrorKind::NotFound), "{error}"),
        }
    }
    // a log that begins again would be a fork
    let chunk = hospital.chunk(100, 1);
    let refused = vault.put_chunk(hospital.id, hospital.suite.address(&chunk), chunk).await.unwrap_err();
    assert!(matches!(&refused, Error::ReadOnly { .. }), "{refused}");
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let (_, request) = hospital.small("never");
    assert!(matches!(vault.deposit(hospital.id, batch([request])).await, Err(Error::ReadOnly { .. })));
    drop(vault);
    let vault = archive.site.open().await;
    let head = vault.checkpoint(archive.hospitals[0].0.id).await;
    assert!(matches!(head, Err(Error::LogUnseen { .. })), "the second opening knows no more than the first");
    drop(vault);
    archive.bring_back(&[1, 3, 5]);
    let vault = archive.site.open().await;
    archive.holds(&vault).await;
    assert_clean(&vault).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_index_is_noticed_and_made_anew() {
    for kind in [IndexKind::Fjall, IndexKind::Sled] {
        let archive = Archive::new(kind).await;
        std::fs::remove_dir_all(archive.site.path().join("index")).unwrap();
        let vault = archive.site.open().await;
        assert!(was_rebuilt(&vault).await, "{kind:?}");
        archive.holds(&vault).await;
        assert_clean(&vault).await;
        drop(vault);
        let vault = archive.site.open().await;
        assert!(!was_rebuilt(&vault).await, "{kind:?}: once is enough");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_garbage_or_cut_off_never_gives_a_wrong_answer_and_is_made_anew() {
    for kind in [IndexKind::Fjall, IndexKind::Sled] {
        let archive = Archive::new(kind).await;
        let good = tempfile::tempdir().unwrap();
        copy(&archive.index_dir(), good.path());
        let wholly_wrong: [fn(&Path); 2] =
            [|file| std::fs::write(file, vec![0x5a; 4_000]).unwrap(), |file| std::fs::write(file, []).unwrap()];
        for ruin in wholly_wrong {
            std::fs::remove_dir_all(archive.index_dir()).unwrap();
            copy(good.path(), &archive.index_dir());
            files(&archive.index_dir()).iter().for_each(|file| ruin(file));
            let vault = archive.site.open().await;
            assert!(was_rebuilt(&vault).await, "{kind:?}");
            archive.holds(&vault).await;
        }
        for file in files(good.path()) {
            let len = std::fs::metadata(&file).unwrap().len();
            for cut in [0, len / 2] {
                std::fs::remove_dir_all(archive.index_dir()).unwrap();
                copy(good.path(), &archive.index_dir());
                let target = archive.index_dir().join(file.strip_prefix(good.path()).unwrap());
                std::fs::File::options().write(true).open(target).unwrap().set_len(cut).unwrap();
                let vault = archive.site.open().await;
                archive.holds(&vault).await;
                assert_clean(&vault).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_changed_in_an_index_file_is_an_error_at_worst_and_gone_after_reopening() {
    for kind in [IndexKind::Fjall, IndexKind::Sled] {
        let archive = Archive::new(kind).await;
        let good = tempfile::tempdir().unwrap();
        copy(&archive.index_dir(), good.path());
        for file in files(good.path()) {
            let bytes = std::fs::read(&file).unwrap();
            for at in [bytes.len() / 7, bytes.len() / 2, bytes.len().saturating_sub(9)] {
                if bytes.is_empty() {
                    continue;
                }
                std::fs::remove_dir_all(archive.index_dir()).unwrap();
                copy(good.path(), &archive.index_dir());
                let mut wrong = bytes.clone();
                wrong[at] ^= 0xff;
                std::fs::write(archive.index_dir().join(file.strip_prefix(good.path()).unwrap()), wrong).unwrap();
                let vault = archive.site.open().await;
                for (hospital, parcels) in &archive.hospitals {
                    for parcel in parcels {
                        let reply = vault.version(hospital.id, parcel.deposit.version).await;
                        if let Ok(reply) = reply {
                            assert_eq!(hospital.suite.address(&reply.manifest), parcel.deposit.manifest);
                        }
                    }
                }
                drop(vault);
                let vault = archive.site.open().await;
                archive.holds(&vault).await;
            }
        }
    }
}

/// Changes every row whose key begins with `tag`.
fn spoil(archive: &Archive, tag: u8, change: impl Fn(&mut Vec<u8>)) {
    let index = index::open(archive.kind, &archive.index_dir()).unwrap();
    let mut batch = index::Batch::default();
    let mut spoil = |key: &[u8], value: &[u8]| {
        let mut value = value.to_vec();
        change(&mut value);
        batch.put(key.to_vec(), value);
        Ok(true)
    };
    index.scan(&[tag], &mut spoil).unwrap();
    assert!(!batch.is_empty());
    index.write(batch).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_lie_are_never_believed() {
    let archive = Archive::new(IndexKind::Fjall).await;
    // leaves, nodes, versions, names, devices, heads, in the order of their tags
    for tag in 2..=7 {
        spoil(&archive, tag, |value| value[0] ^= 1);
        let vault = archive.site.open().await;
        for (hospital, parcels) in &archive.hospitals {
            let vault_key = vault_key(&vault, hospital.id).await;
            for parcel in parcels {
                if let Ok(reply) = vault.version(hospital.id, parcel.deposit.version).await {
                    let entry = Entry::decode(&reply.entry).unwrap();
                    assert_eq!(entry.body(), &parcel.body(), "tag {tag}");
                    reply.inclusion.verify(&entry.leaf_hash(), &vault_key).unwrap();
                }
            }
        }
        drop(vault);
        std::fs::remove_dir_all(archive.index_dir()).unwrap();
        let vault = archive.site.open().await;
        archive.holds(&vault).await;
        assert_clean(&vault).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_nodes_of_the_tree_are_computed_again_and_proofs_hold() {
    let archive = Archive::new(IndexKind::Fjall).await;
    let good = archive.rows();
    // 17 leaves: the node over the first 16 is at the edge and is verified on opening, those beneath it are not
    let index = index::open(archive.kind, &archive.index_dir()).unwrap();
    let mut batch = index::Batch::default();
    for key in good.keys().filter(|key| key[0] == 3 && key[17] < 4) {
        batch.put(key.clone(), vec![0xee; 32]);
    }
    assert!(!batch.is_empty());
    index.write(batch).unwrap();
    drop(index);
    let vault = archive.site.open().await;
    assert!(!was_rebuilt(&vault).await);
    archive.holds(&vault).await;
    assert_clean(&vault).await;
    vault.close().await.unwrap();
    drop(vault);
    assert_eq!(archive.rows(), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_copy_of_the_index_is_caught_up() {
    for kind in [IndexKind::Fjall, IndexKind::Sled] {
        let mut archive = Archive::new(kind).await;
        let stale = tempfile::tempdir().unwrap();
        copy(&archive.index_dir(), stale.path());
        let vault = archive.site.open().await;
        let (hospital, parcels) = &mut archive.hospitals[0];
        parcels.extend(fill_more(&vault, hospital).await);
        vault.close().await.unwrap();
        drop(vault);
        let newest = archive.rows();
        std::fs::remove_dir_all(archive.index_dir()).unwrap();
        copy(stale.path(), &archive.index_dir());
        assert_ne!(archive.rows(), newest);

        let vault = archive.site.open().await;
        archive.holds(&vault).await;
        assert_clean(&vault).await;
        vault.close().await.unwrap();
        drop(vault);
        assert_eq!(archive.rows(), newest, "{kind:?}");
    }
}

async fn fill_more(vault: &Vault, hospital: &mut Hospital) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    for no in 0..7 {
        let (parcel, request) = hospital.small(&format!("more {no}"));
        accept(vault, hospital, [request]).await;
        parcels.push(parcel);
    }
    parcels
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_ahead_of_media_or_of_another_vault_is_noticed_and_made_anew() {
    let mut archive = Archive::new(IndexKind::Fjall).await;
    let (older, volumes) = (tempfile::tempdir().unwrap(), archive.site.path().join("volumes"));
    // Media go back in time while a segment is open: the index then knows stripes that are not there.
    let vault = archive.site.open().await;
    let (hospital, parcels) = &mut archive.hospitals[0];
    let (parcel, request) = hospital.small("kept");
    accept(&vault, hospital, [request]).await;
    parcels.push(parcel);
    copy(&volumes, older.path());
    let (lost, request) = hospital.small("lost with the media");
    accept(&vault, hospital, [request]).await;
    drop(vault);
    std::fs::remove_dir_all(&volumes).unwrap();
    copy(older.path(), &volumes);
    let vault = archive.site.open().await;
    assert!(was_rebuilt(&vault).await);
    archive.holds(&vault).await;
    let hospital = &archive.hospitals[0].0;
    assert!(matches!(vault.version(hospital.id, lost.deposit.version).await, Err(Error::NotFound { .. })));
    vault.close().await.unwrap();
    drop(vault);

    let other = Archive::new(IndexKind::Fjall).await;
    std::fs::remove_dir_all(archive.index_dir()).unwrap();
    copy(&other.index_dir(), &archive.index_dir());
    let vault = archive.site.open().await;
    assert!(was_rebuilt(&vault).await);
    archive.holds(&vault).await;
    assert_clean(&vault).await;
}
