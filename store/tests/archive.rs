//! Segments that move to the archive by the rules of `vault.toml`, and what a vault still knows when that is on its shelf.
#![expect(clippy::unwrap_used, reason = "help for tests, which may panic")]

mod common;

use common::*;
use shosoin_protocol::{ErrorKind, Suite, VolumeId};
use shosoin_store::audit::{Action, AuditQuery};
use shosoin_store::{CheckOptions, Error, IndexKind, OpenOptions, Vault};
use shosoin_tiers::media::{Media, MemoryMedia, WriteUnit};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{Volume, VolumeLabel};
use std::io::Write;
use std::sync::Arc;

const DAY_MS: u64 = 24 * 3_600_000;

/// A vault of 4+2 over six hot and six archive volumes, with records in closed segments.
struct Shelf {
    site: Site,
    volumes: Vec<MemoryMedia>,
    hospital: Hospital,
    parcels: Vec<Parcel>,
}

impl Shelf {
    async fn new(suite: Suite, index: IndexKind, rules: &str) -> Shelf {
        let mut volumes = memory_volumes(6);
        for no in 7u8..=12 {
            let media = MemoryMedia::new(&format!("v{no:02}"));
            let mut label = VolumeLabel::new(VolumeId([no; 16]), TierKind::Archive, MediaClass::Tape, 0);
            label.demo = true;
            Volume::create(Arc::new(media.clone()), label).unwrap();
            volumes.push(media);
        }
        let mut site = Site::on_media(index, as_media(&volumes)).await;
        site.options = OpenOptions { segment_bytes_max: Some(128 << 10), ..site.options };
        let file = site.path().join("vault.toml");
        let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
        write!(file, "\n{rules}").unwrap();
        let vault = site.open().await;
        let mut hospital = enrolled(&vault, suite, 1).await;
        let mut parcels = Vec::new();
        for no in 0..12 {
            let chunk = hospital.chunk(40_000, 5_000 + no);
            let parcel = hospital.parcel(&format!("name {no}"), &[chunk]);
            let request = hospital.send(&parcel);
            accept(&vault, &mut hospital, [request]).await;
            parcels.push(parcel);
        }
        vault.close().await.unwrap();
        site.clock.advance(100 * DAY_MS);
        Shelf { site, volumes, hospital, parcels }
    }

    async fn open(&self, present: impl Fn(usize) -> bool) -> Vault {
        let media: Vec<Arc<dyn Media>> = as_media(&self.volumes)
            .into_iter()
            .enumerate()
            .filter(|(no, _)| present(*no))
            .map(|(_, media)| media)
            .collect();
        let options = OpenOptions { media: Some(media), ..self.site.options.clone() };
        Vault::open(&self.site.path(), options).await.unwrap()
    }

    fn files_on(&self, volumes: std::ops::Range<usize>) -> usize {
        let paths = self.volumes[volumes].iter().flat_map(|media| media.paths());
        paths.filter(|path| path.ends_with(".shard")).count()
    }
}

fn rule(rest: &str) -> String {
    format!("[[migrate]]\nolder_than = \"90days\"\n{rest}")
}

#[tokio::test(flavor = "multi_thread")]
async fn old_segments_move_to_the_archive_and_everything_is_read_as_before() {
    for suite in [Suite::Default, Suite::Cryptrec] {
        let shelf = Shelf::new(suite, IndexKind::Fjall, &rule("keep = \"archive\"")).await;
        let vault = shelf.open(|_| true).await;
        let planned = vault.migrate(true).await.unwrap();
        assert!(planned.dry_run && planned.moves.len() > 2 && planned.moves.iter().all(|wanted| wanted.bytes > 0));
        assert_eq!(shelf.files_on(6..12), 0, "a dry run moves nothing");
        let hot_before = shelf.files_on(0..6);
        let done = vault.migrate(false).await.unwrap();
        assert_eq!((done.moves, done.failed), (planned.moves.clone(), vec![]));
        assert_eq!(shelf.files_on(6..12), 6 * planned.moves.len());
        assert!(shelf.files_on(0..6) < hot_before + 6);
        assert_holds(&vault, &shelf.hospital, &shelf.parcels).await;
        assert!(vault.migrate(false).await.unwrap().moves.is_empty(), "it is done once");
        let mut actions = Vec::new();
        vault.audit().for_each(&AuditQuery::default(), &mut |record| actions.push(record.event.action)).unwrap();
        let count = |wanted: Action| actions.iter().filter(|action| **action == wanted).count();
        assert_eq!(count(Action::Migrate), 7 * planned.moves.len(), "six copies and what was appended, each");
        assert_eq!(count(Action::Release), 7 * planned.moves.len(), "what is about to go, and each that went");
        vault.close().await.unwrap();
        drop(vault);
        for lost in [[6, 7], [8, 11], [9, 10]] {
            let vault = shelf.open(|no| !lost.contains(&no)).await;
            assert_holds(&vault, &shelf.hospital, &shelf.parcels).await;
            vault.close().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_archive_on_its_shelf_everything_but_chunks_is_there_and_the_volumes_to_mount_are_named() {
    let mut shelf = Shelf::new(Suite::Default, IndexKind::Fjall, &rule("keep = \"archive\"")).await;
    let vault = shelf.open(|_| true).await;
    assert!(!vault.migrate(false).await.unwrap().moves.is_empty());
    vault.close().await.unwrap();
    drop(vault);
    let vault = shelf.open(|no| no < 6).await;
    let mut on_shelf = 0;
    for parcel in &shelf.parcels {
        vault.version(shelf.hospital.id, parcel.deposit.version).await.unwrap();
        match vault.record(shelf.hospital.id, address(Suite::Default, &parcel.chunks[0])).await {
            Ok(bytes) => assert_eq!(bytes, parcel.chunks[0]),
            Err(error) => {
                assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "on-shelf"), "{error}");
                let Error::OnShelf { needed: 4, volumes, .. } = &error else { panic!("{error}") };
                assert!(volumes.len() == 6 && volumes.iter().all(|id| id.0[0] > 6), "{volumes:?}");
                on_shelf += 1;
            }
        }
    }
    assert!(on_shelf > 5, "{on_shelf}");
    let report = vault.check(CheckOptions::default()).await.unwrap();
    let codes: Vec<&str> = report.findings.iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&"on-shelf") && !codes.contains(&"record-not-there"), "{codes:?}");
    let (parcel, request) = shelf.hospital.small("while the archive is away");
    accept(&vault, &mut shelf.hospital, [request]).await;
    shelf.parcels.push(parcel);
    vault.close().await.unwrap();
    drop(vault);
    let vault = shelf.open(|_| true).await;
    assert_holds(&vault, &shelf.hospital, &shelf.parcels).await;
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_rebuilt_from_hot_volumes_alone_after_its_segments_moved() {
    let shelf = Shelf::new(Suite::Default, IndexKind::Memory, &rule("keep = \"archive\"")).await;
    let vault = shelf.open(|_| true).await;
    vault.migrate(false).await.unwrap();
    let before = vault.checkpoint(shelf.hospital.id).await.unwrap();
    vault.close().await.unwrap();
    drop(vault);
    // an index in memory is made anew at every start
    let vault = shelf.open(|no| no < 6).await;
    assert_eq!(vault.checkpoint(shelf.hospital.id).await.unwrap(), before);
    for parcel in &shelf.parcels {
        vault.version(shelf.hospital.id, parcel.deposit.version).await.unwrap();
    }
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_made_anew_while_the_archive_is_on_its_shelf_still_names_the_volumes_and_where_each_record_is() {
    // an index in memory is made anew at every start
    let shelf = Shelf::new(Suite::Default, IndexKind::Memory, &rule("keep = \"archive\"")).await;
    let vault = shelf.open(|_| true).await;
    assert!(!vault.migrate(false).await.unwrap().moves.is_empty());
    vault.close().await.unwrap();
    drop(vault);
    let vault = shelf.open(|no| no < 6 || no == 8).await;
    let addresses: Vec<_> = shelf.parcels.iter().map(|parcel| address(Suite::Default, &parcel.chunks[0])).collect();
    let mut on_shelf = 0;
    for (parcel, address) in shelf.parcels.iter().zip(&addresses) {
        match vault.record(shelf.hospital.id, *address).await {
            Ok(bytes) => assert_eq!(bytes, parcel.chunks[0]),
            Err(Error::OnShelf { needed: 3, volumes, .. }) => {
                assert!(volumes.len() == 5 && volumes.iter().all(|id| id.0[0] > 6 && id.0[0] != 9), "{volumes:?}");
                on_shelf += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(on_shelf > 5, "{on_shelf}");
    let plan = vault.plan(shelf.hospital.id, &addresses).await.unwrap();
    assert_eq!((plan.unknown, plan.media.len()), (0, 5));
    assert!(plan.segments.iter().all(|segment| segment.needed == 3), "{plan:?}");
    vault.close().await.unwrap();
    drop(vault);
    // any four of the six will do
    let vault = shelf.open(|no| no < 6 || [7, 8, 10, 11].contains(&no)).await;
    assert_holds(&vault, &shelf.hospital, &shelf.parcels).await;
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_killed_while_it_released_hot_copies_takes_deposits_with_the_archive_out_of_reach() {
    for (index, kept) in [(IndexKind::Fjall, 1), (IndexKind::Memory, 1), (IndexKind::Memory, 2), (IndexKind::Memory, 3)]
    {
        let mut shelf = Shelf::new(Suite::Default, index, &rule("keep = \"archive\"")).await;
        let hot: Vec<_> = shelf.volumes[..6].iter().map(MemoryMedia::image).collect();
        let vault = shelf.open(|_| true).await;
        let moved = vault.migrate(false).await.unwrap().moves;
        vault.close().await.unwrap();
        drop(vault);
        // as a kill leaves it: so many of six hot copies of the first segment are not removed yet
        let segment = moved[0].segment.to_string();
        let mut left = 0usize;
        for (media, image) in shelf.volumes.iter().zip(&hot) {
            for (path, bytes) in image.iter().filter(|(path, _)| path.contains(&segment)).take(kept - left) {
                let file = media.create(path, WriteUnit::Bytes).unwrap();
                file.write_at(0, bytes).unwrap();
                file.sync().unwrap();
                left += 1;
            }
        }
        assert_eq!(left, kept);
        let vault = shelf.open(|no| no < 6).await;
        let (parcel, request) = shelf.hospital.small("while the archive is out of reach");
        accept(&vault, &mut shelf.hospital, [request]).await;
        shelf.parcels.push(parcel);
        vault.close().await.unwrap();
        drop(vault);
        let vault = shelf.open(|_| true).await;
        assert_holds(&vault, &shelf.hospital, &shelf.parcels).await;
        assert!(vault.migrate(false).await.unwrap().failed.is_empty());
        assert_holds(&vault, &shelf.hospital, &shelf.parcels).await;
        vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shelf_files_that_are_lost_or_damaged_are_made_again_when_the_media_are_mounted_once() {
    let shelf = Shelf::new(Suite::Default, IndexKind::Memory, &rule("keep = \"archive\"")).await;
    let vault = shelf.open(|_| true).await;
    vault.migrate(false).await.unwrap();
    vault.close().await.unwrap();
    drop(vault);
    let folder = shelf.site.path().join("shelf");
    let files = || std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect::<Vec<_>>();
    assert!(files().len() > 6, "a list for each medium, a table for each segment");
    files().iter().for_each(|path| std::fs::write(path, b"torn").unwrap());
    let vault = shelf.open(|no| no < 6).await;
    let unknown = address(Suite::Default, &shelf.parcels[0].chunks[0]);
    let error = vault.record(shelf.hospital.id, unknown).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    vault.close().await.unwrap();
    drop(vault);
    std::fs::remove_dir_all(&folder).unwrap();
    let vault = shelf.open(|_| true).await;
    vault.close().await.unwrap();
    drop(vault);
    let vault = shelf.open(|no| no < 6).await;
    let error = vault.record(shelf.hospital.id, unknown).await.unwrap_err();
    assert_eq!(error.code(), "on-shelf", "{error}");
    vault.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_a_restart_stays_hot_as_long_as_its_rule_says() {
    let rules = rule("unread_for = \"20days\"\nkeep = \"archive\"");
    let shelf = Shelf::new(Suite::Default, IndexKind::Memory, &rules).await;
    let vault = shelf.open(|_| true).await;
    let all = vault.migrate(true).await.unwrap().moves.len();
    vault.record(shelf.hospital.id, address(Suite::Default, &shelf.parcels[0].chunks[0])).await.unwrap();
    vault.close().await.unwrap();
    drop(vault);
    for (days, stays) in [(10, 1), (12, 0)] {
        shelf.site.clock.advance(days * DAY_MS);
        let vault = shelf.open(|_| true).await;
        assert_eq!(vault.migrate(true).await.unwrap().moves.len(), all - stays, "after {days} days more");
        vault.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_kept_on_both_survive_the_loss_of_every_hot_volume() {
    let shelf = Shelf::new(Suite::Default, IndexKind::Memory, &rule("keep = \"both\"")).await;
    let vault = shelf.open(|_| true).await;
    let hot = shelf.files_on(0..6);
    let moved = vault.migrate(false).await.unwrap().moves.len();
    assert!(vault.migrate(true).await.unwrap().moves.is_empty());
    assert_eq!((shelf.files_on(0..6), shelf.files_on(6..12)), (hot, 6 * moved));
    vault.close().await.unwrap();
    drop(vault);
    let vault = shelf.open(|no| no >= 6).await;
    let mut read = 0;
    for chunk in shelf.parcels.iter().flat_map(|parcel| &parcel.chunks) {
        // what was in the newest segment is lost with the hot volumes, and nothing else
        match vault.record(shelf.hospital.id, address(Suite::Default, chunk)).await {
            Ok(bytes) => read += usize::from(bytes == *chunk),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
        }
    }
    assert!(read >= 2 * moved, "{read} chunks in {moved} segments");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_moves_only_what_it_speaks_of() {
    let other = "00".repeat(16);
    let cases = [
        ("[[migrate]]\nolder_than = \"101days\"\nkeep = \"archive\"".to_owned(), false),
        (rule("unread_for = \"99days\"\nkeep = \"archive\""), true),
        (rule("unread_for = \"101days\"\nkeep = \"archive\""), false),
        (rule("record_types = [\"T4-01\"]\nkeep = \"archive\""), false),
        (rule("record_types = [\"T4-01\", \"O-00\"]\nkeep = \"archive\""), true),
        (rule("labels = [\"sensitive\"]\nkeep = \"archive\""), false),
        (rule("labels = [\"ordinary\"]\nkeep = \"archive\""), true),
        (rule(&format!("hospital = \"{other}\"\nkeep = \"archive\"")), false),
    ];
    for (rules, moves) in cases {
        let shelf = Shelf::new(Suite::Default, IndexKind::Memory, &rules).await;
        let vault = shelf.open(|_| true).await;
        assert_eq!(!vault.migrate(true).await.unwrap().moves.is_empty(), moves, "{rules}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_whose_words_mean_nothing_is_refused_by_name() {
    for (rules, why) in [
        ("[[migrate]]\nolder_than = \"soon\"\nkeep = \"archive\"", "soon"),
        ("[[migrate]]\nolder_than = \"1day\"\nkeep = \"nothing\"", "nothing"),
        ("[[migrate]]\nolder_than = \"1day\"\nkeep = \"both\"\nrecord_types = [\"T9-99\"]", "T9-99"),
    ] {
        let site = Site::on_media(IndexKind::Memory, as_media(&memory_volumes(6))).await;
        let file = site.path().join("vault.toml");
        let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
        write!(file, "\n{rules}").unwrap();
        let error = Vault::open(&site.path(), site.options.clone()).await.err().unwrap();
        assert!(matches!(&error, Error::Config { why: said, .. } if said.contains(why)), "{error}");
    }
}
