//! A tier on real folders, written past the page cache where the file system lets it and through it where not.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{Stored, append, assert_all_read};
use shosoin_protocol::VolumeId;
use shosoin_tiers::media::{FileMedia, FileOptions, WriteMode};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{Code, Error, Result, Severity, SystemClock, SystemRandom, Tier, TierOptions, Volume, VolumeLabel};
use std::path::PathBuf;
use std::sync::Arc;

struct Folders {
    root: tempfile::TempDir,
    volumes: Vec<PathBuf>,
    direct: bool,
}

impl Folders {
    fn new(count: u8, direct: bool) -> Folders {
        let root = tempfile::tempdir().unwrap();
        let volumes: Vec<PathBuf> = (1..=count).map(|no| root.path().join(format!("v{no:02}"))).collect();
        let folders = Folders { root, volumes, direct };
        for (no, path) in (1..).zip(&folders.volumes) {
            std::fs::create_dir(path).unwrap();
            let label = VolumeLabel::new(VolumeId([no; 16]), TierKind::Hot, MediaClass::Ssd, 0);
            Volume::create(Arc::new(folders.media(path).unwrap()), label).unwrap();
        }
        folders
    }

    fn media(&self, path: &std::path::Path) -> Result<FileMedia> {
        FileMedia::open(path, FileOptions { direct: self.direct, ..FileOptions::default() })
    }

    /// Opens the tier on the volumes that are there; gives it and how severe the worst finding was.
    fn open(&self) -> (Tier, Option<Severity>) {
        let volume = |path: &PathBuf| self.media(path).and_then(|media| Volume::open(Arc::new(media)));
        let present =
            self.volumes.iter().map(volume).filter(|volume| !matches!(volume, Err(Error::VolumeAbsent { .. })));
        let volumes = present.collect::<Result<Vec<_>>>().unwrap();
        let options = TierOptions::new(Code::parse("4+2").unwrap());
        let (tier, findings) = Tier::open(volumes, options, Arc::new(SystemClock), Arc::new(SystemRandom)).unwrap();
        let worst = findings.iter().map(|finding| finding.severity()).max();
        (tier, worst)
    }

    fn lose(&self, numbers: [usize; 2]) {
        numbers.into_iter().for_each(|no| std::fs::remove_dir_all(&self.volumes[no]).unwrap());
    }
}

/// Runs `check` over six folders, with `spare` more, written in both ways.
fn both_ways(spare: u8, check: impl Fn(Folders)) {
    [true, false].into_iter().for_each(|direct| check(Folders::new(6 + spare, direct)));
}

#[test]
fn records_come_back_while_open_after_a_stop_without_closing_and_after_closing() {
    both_ways(0, |folders| {
        let (tier, worst) = folders.open();
        assert_eq!(worst, None);
        let mut stored: Vec<Stored> = append(&tier, 0..9).unwrap();
        assert_all_read(&tier, &stored, "open");
        drop(tier);
        let (tier, worst) = folders.open();
        assert_eq!(worst, Some(Severity::Note));
        assert_all_read(&tier, &stored, "recovered");
        stored.extend(append(&tier, 9..20).unwrap());
        tier.close().unwrap();
        drop(tier);
        let (tier, worst) = folders.open();
        assert_eq!(worst, None);
        assert_all_read(&tier, &stored, "closed");
    });
}

#[test]
fn two_folders_that_vanish_under_an_open_tier_and_stay_away_are_read_around() {
    both_ways(0, |folders| {
        let (tier, _) = folders.open();
        let stored = append(&tier, 0..20).unwrap();
        tier.close().unwrap();
        folders.lose([1, 4]);
        assert_all_read(&tier, &stored, "vanished");
        drop(tier);
        let (tier, worst) = folders.open();
        assert_eq!(worst, Some(Severity::Degraded));
        assert_all_read(&tier, &stored, "reopened");
        append(&tier, 20..21).unwrap_err();
        assert_all_read(&tier, &stored, "after a refused append");
    });
}

#[test]
fn where_folders_vanish_new_records_go_to_those_that_are_left() {
    both_ways(2, |folders| {
        let (tier, _) = folders.open();
        let mut stored = append(&tier, 0..5).unwrap();
        tier.close().unwrap();
        folders.lose([0, 7]);
        stored.extend(append(&tier, 5..20).unwrap());
        assert_all_read(&tier, &stored, "written around");
        drop(tier);
        let (tier, _) = folders.open();
        assert_all_read(&tier, &stored, "reopened");
    });
}

#[test]
fn status_says_where_writes_go_through_the_cache() {
    let (tier, _) = Folders::new(6, false).open();
    assert!(tier.volumes().iter().all(|volume| volume.write_mode == WriteMode::Buffered));
}

#[test]
fn a_tier_has_its_volumes_to_itself() {
    let folders = Folders::new(6, true);
    let (tier, _) = folders.open();
    assert!(matches!(folders.media(&folders.volumes[0]), Err(Error::VolumeBusy { .. })));
    drop(tier);
    folders.media(&folders.volumes[0]).unwrap();
    assert!(folders.root.path().is_dir());
}
