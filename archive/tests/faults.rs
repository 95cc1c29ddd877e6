//! What goes wrong between a vault and a store, and what must come of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{Flaky, Op, Wrong};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use shosoin_archive::{Bridge, Limits, ObjectMedia};
use shosoin_protocol::{ErrorKind, VolumeId};
use shosoin_tiers::layout::BLOCK_BYTES;
use shosoin_tiers::media::{MediaFile, WriteUnit};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{Error, Media, Result, Volume, VolumeLabel, durable};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const PART: usize = 2 * BLOCK_BYTES;

struct Rig {
    store: Flaky,
    media: ObjectMedia,
    bridge: Arc<Bridge>,
}

impl Rig {
    fn new() -> Rig {
        let (store, bridge) = (Flaky::default(), Bridge::start().unwrap());
        // long enough that only a request that is never answered meets it
        let limits = Limits { part_bytes: PART, call: Duration::from_secs(2), list: Duration::from_secs(2) };
        let media = ObjectMedia::over(Arc::new(store.clone()), Path::from("v"), "mem://v", bridge.clone(), limits);
        Rig { store, media, bridge }
    }

    /// A file of `parts` parts, each byte its part's number; the error of whichever call failed.
    fn write(&self, path: &str, parts: u8) -> (Arc<dyn MediaFile>, Result<()>) {
        let file = self.media.create(path, WriteUnit::Bytes).unwrap();
        let mut pieces = (0..parts).map(|part| (u64::from(part) * PART as u64, vec![part; PART]));
        let written = pieces.try_for_each(|(at, piece)| file.write_at(at, &piece)).and_then(|()| file.sync());
        (file, written)
    }

    fn objects(&self) -> Vec<String> {
        let store = self.store.inner.clone();
        let mut listed = self.bridge.wait(async move {
            let found = futures::TryStreamExt::try_collect::<Vec<_>>(object_store::ObjectStore::list(&*store, None));
            found.await.unwrap().into_iter().map(|meta| meta.location.to_string()).collect::<Vec<_>>()
        });
        listed.as_mut().unwrap().sort();
        listed.unwrap()
    }
}

/// The error and all its causes, as a person reads them.
fn told(error: &Error) -> String {
    let mut text = format!("{error} ({error:?})");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[test]
fn a_part_that_fails_at_any_place_leaves_no_file_and_no_name() {
    for op in [Op::BeginParts, Op::Part, Op::Complete] {
        for nth in 0..4 {
            let rig = Rig::new();
            let met = Arc::new(AtomicUsize::new(0));
            let seen = met.clone();
            rig.store.when(move |asked, _| {
                let now = asked == op && seen.fetch_add(1, Ordering::SeqCst) == nth;
                now.then_some(Wrong::Answer(500, "InternalError"))
            });
            let (file, written) = rig.write("x.tmp", 4);
            if met.load(Ordering::SeqCst) <= nth {
                written.unwrap();
                continue;
            }
            let error = written.unwrap_err();
            assert!(
                matches!(error, Error::Io { .. }) && error.kind() == ErrorKind::Unavailable,
                "{op:?} {nth}: {error}"
            );
            assert!(rig.objects().is_empty(), "{op:?} {nth}: {:?}", rig.objects());
            rig.store.heal();
            assert!(matches!(file.write_at(0, &[1]), Err(Error::Suspect { .. })));
            assert!(matches!(file.sync(), Err(Error::Suspect { .. })));
            rig.write("x.tmp", 4).1.unwrap();
        }
    }
}

#[test]
fn a_file_that_is_dropped_before_it_is_synced_is_aborted_and_never_seen() {
    let rig = Rig::new();
    let file = rig.media.create("x", WriteUnit::Bytes).unwrap();
    file.write_at(0, &vec![7; 3 * PART]).unwrap();
    assert!(matches!(rig.media.create("x", WriteUnit::Bytes), Err(Error::Exists { .. })), "its name is taken");
    drop(file);
    assert!(rig.store.take_calls().contains(&Op::Abort) && rig.objects().is_empty());
}

#[test]
fn what_the_store_changed_while_it_stored_it_is_noticed_before_anyone_is_told_yes() {
    for (op, parts) in [(Op::Put, 1), (Op::Part, 3)] {
        let rig = Rig::new();
        rig.store.when(move |asked, _| (asked == op).then_some(Wrong::Flip));
        let (file, written) = rig.write("x.tmp", parts);
        let told = told(&written.unwrap_err());
        assert!(told.contains("read back") && told.contains("digest"), "{told}");
        assert!(matches!(file.sync(), Err(Error::Suspect { .. })));
    }
}

#[test]
fn a_rename_reads_the_copy_back_and_keeps_the_original_until_it_is_good() {
    let rig = Rig::new();
    rig.write("x.tmp", 3).1.unwrap();
    rig.store.when(|op, _| (op == Op::Copy).then_some(Wrong::Flip));
    let text = told(&rig.media.rename("x.tmp", "x").unwrap_err());
    assert!(text.contains("read back"), "{text}");
    rig.store.heal();
    assert_eq!(rig.media.open("x.tmp").unwrap().len().unwrap(), 3 * PART as u64);
    rig.media.rename("x.tmp", "x").unwrap();
    assert_eq!(rig.media.verify("x").unwrap(), 3 * PART as u64);
    assert!(matches!(rig.media.open("x.tmp"), Err(Error::NotFound { .. })));
}

#[test]
fn a_put_that_was_tried_again_after_its_answer_was_lost_is_not_taken_for_somebody_elses_file() {
    let rig = Rig::new();
    let file = rig.media.create("x.tmp", WriteUnit::Bytes).unwrap();
    file.write_at(0, &[1; 100]).unwrap();
    rig.store.when(|op, path| (op == Op::Put && path.as_ref() == "v/x.tmp").then_some(Wrong::DoneTwice));
    file.sync().unwrap();
    assert_eq!(rig.media.open("x.tmp").unwrap().len().unwrap(), 100);
}

#[test]
fn of_two_writers_of_one_name_one_is_refused_and_the_file_is_the_others() {
    for parts in [1u8, 3] {
        let rig = Rig::new();
        let (first, second) =
            (rig.media.create("x", WriteUnit::Bytes).unwrap(), rig.media.create("x", WriteUnit::Bytes).unwrap());
        let len = usize::from(parts) * PART;
        first.write_at(0, &vec![1; len]).unwrap();
        let late = second.write_at(0, &vec![2; len]).and_then(|()| {
            first.sync().unwrap();
            second.sync()
        });
        assert!(matches!(late, Err(Error::Exists { .. })), "{late:?}");
        first.sync().unwrap();
        drop(second);
        let mut read = vec![0; len];
        assert_eq!(rig.media.open("x").unwrap().read_at(0, &mut read).unwrap(), len);
        assert!(read.iter().all(|byte| *byte == 1));
    }
}

#[test]
fn a_listing_that_fails_is_an_error_and_never_an_empty_folder() {
    let rig = Rig::new();
    rig.media.make_dir("segments").unwrap();
    rig.write("segments/x", 1).1.unwrap();
    for wrong in [Wrong::Answer(500, "InternalError"), Wrong::Answer(404, "NoSuchBucket"), Wrong::Silence] {
        rig.store.when(move |op, _| (op == Op::List).then_some(wrong));
        for dir in ["", "segments"] {
            let error = rig.media.list(dir).unwrap_err();
            assert!(matches!(error, Error::Io { .. } | Error::VolumeAbsent { .. }), "{error}");
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
    }
    rig.store.heal();
    assert_eq!(rig.media.list("segments").unwrap().len(), 1);
}

#[test]
fn a_read_that_gives_fewer_bytes_than_asked_for_is_an_error() {
    let rig = Rig::new();
    rig.write("x", 3).1.unwrap();
    rig.store.when(|op, _| (op == Op::Get).then_some(Wrong::Short));
    let file = rig.media.open("x").unwrap();
    let text = told(&file.read_at(10, &mut [0; 100]).unwrap_err());
    assert!(text.contains("99 bytes instead of 100"), "{text}");
}

#[test]
fn an_object_that_was_replaced_while_it_was_open_is_noticed() {
    let rig = Rig::new();
    rig.write("x", 1).1.unwrap();
    let file = rig.media.open("x").unwrap();
    let store = rig.store.inner.clone();
    rig.bridge.wait(async move { store.put(&Path::from("v/x"), vec![9; PART].into()).await.unwrap() }).unwrap();
    let text = told(&file.read_at(0, &mut [0; 10]).unwrap_err());
    assert!(text.contains("replaced while it was open"), "{text}");
    assert!(told(&rig.media.verify("x").unwrap_err()).contains("digest differs"));
}

#[test]
fn a_store_that_never_answers_is_waited_for_no_longer_than_the_limit() {
    let rig = Rig::new();
    rig.store.when(|op, _| (op == Op::Put).then_some(Wrong::Silence));
    let begun = std::time::Instant::now();
    let error = rig.write("x.tmp", 1).1.unwrap_err();
    assert!(told(&error).contains("no answer within 2s"), "{}", told(&error));
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn refused_credentials_say_what_to_do_and_show_no_secret() {
    let rig = Rig::new();
    for code in ["InvalidAccessKeyId", "ExpiredToken", "SignatureDoesNotMatch", "AccessDenied"] {
        rig.store.when(move |_, _| Some(Wrong::Answer(403, code)));
        for error in [rig.media.probe().unwrap_err(), rig.media.list("").unwrap_err()] {
            let text = told(&error);
            assert!(text.contains(code) && text.contains("put new ones") && !text.contains("hunter2"), "{text}");
        }
    }
}

#[test]
fn a_bucket_that_is_gone_makes_the_volume_absent_and_not_its_files_missing() {
    let rig = Rig::new();
    rig.store.when(|op, _| (op == Op::List).then_some(Wrong::Answer(404, "NoSuchBucket")));
    for error in [rig.media.open("label").unwrap_err(), rig.media.remove("label").unwrap_err()] {
        assert!(matches!(error, Error::VolumeAbsent { .. }), "{error}");
    }
}

#[test]
fn a_file_is_uploaded_in_parts_and_read_back_before_sync_says_yes() {
    let rig = Rig::new();
    let file = rig.media.create("x", WriteUnit::Bytes).unwrap();
    rig.store.take_calls();
    for part in 0..10u64 {
        file.write_at(part * PART as u64, &vec![3; PART]).unwrap();
    }
    assert_eq!(rig.store.take_calls().iter().filter(|op| **op == Op::Part).count(), 9, "parts go as they fill");
    file.sync().unwrap();
    let calls = rig.store.take_calls();
    let after = calls.iter().position(|op| *op == Op::Complete).unwrap();
    assert_eq!(calls[after..].iter().filter(|op| **op == Op::Get).count(), 10, "all of it is read back");
    assert_eq!(rig.objects(), ["v/digests/x", "v/x"]);
}

#[test]
fn a_file_is_written_from_start_to_end_and_never_again() {
    let rig = Rig::new();
    let file = rig.media.create("x", WriteUnit::Bytes).unwrap();
    assert!(matches!(file.write_at(5, &[1]), Err(Error::WholeFilesOnly { .. })));
    file.write_at(0, &[1; 10]).unwrap();
    assert!(matches!(file.write_at(0, &[1]), Err(Error::WholeFilesOnly { .. })));
    file.sync().unwrap();
    file.sync().unwrap();
    for refused in [file.write_at(10, &[1]), rig.media.open_to_append("x").map(drop)] {
        let error = refused.unwrap_err();
        assert!(matches!(error, Error::WholeFilesOnly { .. }) && error.kind() == ErrorKind::Refused);
    }
}

#[test]
fn a_volume_is_labelled_opened_and_relabelled_in_a_store() {
    let rig = Rig::new();
    let label = VolumeLabel::new(VolumeId([7; 16]), TierKind::Archive, MediaClass::Cloud, 5);
    let media: Arc<dyn Media> = Arc::new(rig.media.clone());
    Volume::create(media.clone(), label.clone()).unwrap();
    assert!(matches!(Volume::create(media.clone(), label), Err(Error::VolumeExists { .. })));
    let volume = Volume::open(media.clone()).unwrap();
    volume.relabel(|label| label.domains.site = "Osaka".into()).unwrap();
    let opened = Volume::open(media.clone()).unwrap();
    assert!(opened.findings().is_empty() && opened.label().generation == 2 && opened.label().domains.site == "Osaka");
    durable::replace(&*media, "label", b"damaged").unwrap();
    assert_eq!(Volume::open(media).unwrap().findings().len(), 1);
}
