//! What every implementation of media must do, over every implementation of this crate.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[macro_use]
mod suite;

use shosoin_protocol::ErrorKind;
use shosoin_tiers::media::{
    Faults, FaultyMedia, FileMedia, FileOptions, MemoryMedia, RecordedMedia, Recorder, WriteUnit,
};
use shosoin_tiers::{Error, Media, durable};
use std::sync::Arc;

/// Runs `check` over an empty medium of each kind.
fn over_every_medium(check: impl Fn(&dyn Media)) {
    let memory = || Arc::new(MemoryMedia::new("memory"));
    check(&*memory());
    check(&RecordedMedia::new(memory(), Arc::new(Recorder::default())));
    check(&FaultyMedia::new(memory(), Arc::new(Faults::default())));
    for direct in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let options = FileOptions { direct, ..FileOptions::default() };
        check(&FileMedia::open(folder.path(), options).unwrap());
        let inner = Arc::new(FileMedia::open(tempfile::tempdir().unwrap().keep().as_path(), options).unwrap());
        let place = inner.place();
        check(&FaultyMedia::new(inner, Arc::new(Faults::default())));
        std::fs::remove_dir_all(place).unwrap();
    }
}

on_every_medium!(over_every_medium);
on_disks!(over_every_medium);

#[test]
fn a_folder_that_is_absent_or_no_folder_or_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open =
        |path: &std::path::Path, exclusive| FileMedia::open(path, FileOptions { exclusive, ..FileOptions::default() });
    assert!(matches!(open(&folder.path().join("none"), true), Err(Error::VolumeAbsent { .. })));
    std::fs::write(folder.path().join("file"), b"x").unwrap();
    assert!(matches!(open(&folder.path().join("file"), true), Err(Error::VolumeAbsent { .. })));
    let first = open(folder.path(), true).unwrap();
    let error = open(folder.path(), true).unwrap_err();
    assert!(matches!(error, Error::VolumeBusy { .. }) && error.kind() == ErrorKind::Unavailable);
    open(folder.path(), false).unwrap();
    drop(first);
    open(folder.path(), true).unwrap();
}

#[test]
fn a_folder_that_vanishes_is_an_absent_volume_and_never_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("volume");
    std::fs::create_dir(&root).unwrap();
    let media = FileMedia::open(&root, FileOptions::default()).unwrap();
    std::fs::remove_dir(&root).unwrap();
    assert!(matches!(media.list(""), Err(Error::VolumeAbsent { .. })));
    assert!(matches!(media.open("label"), Err(Error::VolumeAbsent { .. })));
    assert!(matches!(media.create("x", WriteUnit::Bytes), Err(Error::VolumeAbsent { .. })));
}

#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let media = FileMedia::open(folder.path(), FileOptions::default()).unwrap();
    durable::replace(&media, "file", b"secret").unwrap();
    let mode = std::fs::metadata(folder.path().join("file")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
