//! Damage to the label of a volume: which copy is used, what is reported, and what is refused.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use shosoin_protocol::suite::sha256;
use shosoin_protocol::{ErrorKind, VolumeId};
use shosoin_tiers::layout::{LABEL, LABEL_BAK};
use shosoin_tiers::media::{Fault, Faults, FaultyMedia, MediaFile, MemoryMedia, Op, RecordedMedia, Recorder};
use shosoin_tiers::volume::{MediaClass, TierKind, refuse_duplicates};
use shosoin_tiers::{
    Code, Defect, Error, Finding, Media, Place, SystemClock, SystemRandom, Tier, TierOptions, Volume, VolumeLabel,
};
use std::io;
use std::sync::Arc;

fn label(id: u8) -> VolumeLabel {
    VolumeLabel { lot: "2026-07".into(), ..VolumeLabel::new(VolumeId([id; 16]), TierKind::Hot, MediaClass::Ssd, 7) }
}

fn labelled(id: u8) -> MemoryMedia {
    let media = MemoryMedia::new(&format!("v{id:02}"));
    Volume::create(Arc::new(media.clone()), label(id)).unwrap();
    media
}

fn open(media: &MemoryMedia) -> shosoin_tiers::Result<Volume> {
    Volume::open(Arc::new(media.clone()))
}

/// Paths of the findings of a volume.
fn reported(volume: &Volume) -> Vec<&str> {
    volume.findings().iter().map(path_of).collect()
}

fn path_of(finding: &Finding) -> &str {
    match &finding.defect {
        Defect::Label { path, .. } if finding.place == Place::volume(VolumeId([1; 16])) => path,
        _ => panic!("not about the label of this volume: {finding}"),
    }
}

/// Gives a label another byte at `at` and a checksum that is right.
fn forge(bytes: &mut [u8], at: usize, value: u8) {
    bytes[at] = value;
    let content = bytes.len() - 32;
    let checksum = sha256(&[&bytes[..content]]);
    bytes[content..].copy_from_slice(&checksum.0);
}

const VERSION_AT: usize = 4;
const LOT_AT: usize = 64;

#[test]
fn a_labelled_volume_opens_with_what_its_label_says_and_nothing_to_report() {
    let volume = open(&labelled(1)).unwrap();
    assert_eq!((&*volume.label(), volume.findings()), (&label(1), &[][..]));
    assert!(volume.takes_writes());
}

#[test]
fn one_damaged_copy_is_reported_and_the_other_is_used() {
    for path in [LABEL, LABEL_BAK] {
        let damages: [fn(&mut Vec<u8>); 4] =
            [|bytes| bytes[20] ^= 1, |bytes| bytes.truncate(50), |bytes| bytes.clear(), |bytes| bytes.resize(5000, 0)];
        for damage in damages {
            let media = labelled(1);
            media.tamper(path, damage).unwrap();
            let volume = open(&media).unwrap();
            assert_eq!((&*volume.label(), reported(&volume)), (&label(1), vec![path]));
        }
        let media = labelled(1);
        media.remove(path).unwrap();
        assert_eq!(reported(&open(&media).unwrap()), [path]);
    }
}

#[test]
fn a_copy_that_the_medium_does_not_give_is_reported_and_the_other_is_used() {
    for path in [LABEL, LABEL_BAK] {
        let faults = Arc::new(Faults::default());
        let unreadable = Some(Fault::Fail(io::ErrorKind::Other));
        faults.when(move |_, call| unreadable.filter(|_| call.op == Op::Read && call.path == path));
        let media = FaultyMedia::new(Arc::new(labelled(1)), faults);
        assert_eq!(reported(&Volume::open(Arc::new(media)).unwrap()), [path]);
    }
}

#[test]
fn a_volume_without_a_good_copy_is_refused() {
    let media = labelled(1);
    for path in [LABEL, LABEL_BAK] {
        media.tamper(path, |bytes| bytes[30] ^= 0x40).unwrap();
    }
    let error = open(&media).unwrap_err();
    assert!(matches!(error, Error::LabelDamaged { .. }) && error.kind() == ErrorKind::Damaged);
    media.remove(LABEL).unwrap();
    assert!(matches!(open(&media), Err(Error::LabelDamaged { .. })));
    media.remove(LABEL_BAK).unwrap();
    assert!(matches!(open(&media), Err(Error::LabelMissing { place }) if place == "v01"));
}

#[test]
fn a_label_of_a_newer_release_is_unsupported_even_beside_one_that_could_be_read() {
    for paths in [&[LABEL, LABEL_BAK][..], &[LABEL], &[LABEL_BAK]] {
        let media = labelled(1);
        for path in paths {
            media.tamper(path, |bytes| forge(bytes, VERSION_AT, 2)).unwrap();
        }
        let error = open(&media).unwrap_err();
        assert!(matches!(error, Error::LabelUnsupported { .. }) && error.kind() == ErrorKind::Unsupported);
    }
}

#[test]
fn a_version_byte_that_decayed_is_damage_and_not_a_newer_release() {
    let media = labelled(1);
    media.tamper(LABEL, |bytes| bytes[VERSION_AT] = 2).unwrap();
    assert_eq!(reported(&open(&media).unwrap()), [LABEL]);
}

#[test]
fn copies_that_contradict_each_other_are_refused() {
    let media = labelled(1);
    media.tamper(LABEL, |bytes| forge(bytes, LOT_AT, b'9')).unwrap();
    assert!(matches!(open(&media), Err(Error::LabelDamaged { .. })));
    let media = labelled(1);
    media.tamper(LABEL_BAK, |bytes| forge(bytes, 10, 0xee)).unwrap();
    assert!(matches!(open(&media), Err(Error::LabelDamaged { .. })));
}

#[test]
fn two_volumes_of_one_id_are_refused_with_both_places() {
    let volumes = [open(&labelled(1)).unwrap(), open(&labelled(2)).unwrap()];
    refuse_duplicates(&volumes).unwrap();
    let copy = MemoryMedia::new("copy");
    Volume::create(Arc::new(copy.clone()), label(1)).unwrap();
    let volumes = [open(&labelled(2)).unwrap(), open(&labelled(1)).unwrap(), open(&copy).unwrap()];
    let error = refuse_duplicates(&volumes).unwrap_err();
    assert_eq!(error.to_string(), format!("volumes at v01 and copy are both labelled {}", VolumeId([1; 16])));
}

#[test]
fn a_volume_is_never_labelled_twice_even_where_the_label_is_damaged() {
    for path in [LABEL, LABEL_BAK] {
        let media = labelled(1);
        media.tamper(LABEL, |bytes| bytes.clear()).unwrap();
        media.remove(path).unwrap();
        let error = Volume::create(Arc::new(media), label(2)).unwrap_err();
        assert!(matches!(error, Error::VolumeExists { .. }) && error.kind() == ErrorKind::Refused);
    }
}

#[test]
fn opening_changes_nothing_and_a_read_only_volume_opens_for_reading() {
    let media = labelled(1);
    media.set_read_only(true);
    let recorder = Arc::new(Recorder::default());
    let volume = Volume::open(Arc::new(RecordedMedia::new(Arc::new(media), recorder.clone()))).unwrap();
    assert!(volume.is_read_only() && !volume.takes_writes());
    assert!(recorder.take().iter().all(|call| !call.op.changes()));
}

#[test]
fn a_suspect_volume_takes_no_writes_until_it_is_opened_again() {
    let media = labelled(1);
    let volume = open(&media).unwrap();
    volume.mark_suspect();
    assert!(volume.is_suspect() && !volume.takes_writes());
    assert!(open(&media).unwrap().takes_writes());
}

#[test]
fn relabelling_raises_the_generation_and_replaces_a_damaged_copy() {
    for path in [LABEL, LABEL_BAK] {
        let media = labelled(1);
        media.tamper(path, |bytes| bytes.clear()).unwrap();
        let volume = open(&media).unwrap();
        volume.relabel(|label| label.firmware = "F10".into()).unwrap();
        let again = open(&media).unwrap();
        assert_eq!(*again.label(), VolumeLabel { generation: 2, firmware: "F10".into(), ..label(1) });
        assert!(again.findings().is_empty());
    }
}

#[test]
fn opening_a_tier_reports_a_damaged_label_and_heals_it() {
    for path in [LABEL, LABEL_BAK] {
        let media: Vec<MemoryMedia> = (1..=6).map(labelled).collect();
        media[3].tamper(path, |bytes| bytes[17] ^= 1).unwrap();
        let open_tier = || {
            let volumes = media.iter().map(|media| open(media).unwrap()).collect();
            let options = TierOptions::new(Code::parse("4+2").unwrap());
            Tier::open(volumes, options, Arc::new(SystemClock), Arc::new(SystemRandom)).unwrap().1
        };
        let findings = open_tier();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].place, Place::volume(VolumeId([4; 16])));
        assert!(open_tier().is_empty());
        assert_eq!(open(&media[3]).unwrap().label().generation, 2);
    }
}

#[test]
fn a_damaged_label_on_a_read_only_volume_is_left_as_it_is() {
    let media = labelled(1);
    media.tamper(LABEL, |bytes| bytes[17] ^= 1).unwrap();
    media.set_read_only(true);
    let volume = open(&media).unwrap();
    volume.heal_label().unwrap();
    assert_eq!((reported(&volume), reported(&open(&media).unwrap())), (vec![LABEL], vec![LABEL]));
}

#[test]
fn a_crash_at_any_call_of_relabelling_leaves_the_old_label_or_the_new_one() {
    for damaged in [None, Some(LABEL), Some(LABEL_BAK)] {
        for seed in 0..4 {
            let mut n = 0;
            while relabel_and_crash(damaged, n, seed) {
                n += 1;
            }
            assert!(n >= 12, "two copies are replaced in at least six calls each");
        }
    }
}

/// Kills the machine at call `n` of relabelling; says whether there was such a call.
fn relabel_and_crash(damaged: Option<&str>, n: u64, seed: u64) -> bool {
    let (media, faults) = (labelled(1), Arc::new(Faults::default()));
    if let Some(path) = damaged {
        media.tamper(path, |bytes| bytes[9] ^= 1).unwrap();
    }
    let volume = Volume::open(Arc::new(FaultyMedia::new(Arc::new(media.clone()), faults.clone()))).unwrap();
    faults.kill_at(faults.calls() + n, seed * 37);
    let done = volume.relabel(|label| label.lot = "2027-01".into());
    media.crash(&shosoin_tiers::clock::SeededRandom::new(seed * 1000 + n));
    let found = VolumeLabel::clone(&open(&media).unwrap().label());
    let new = VolumeLabel { generation: 2, lot: "2027-01".into(), ..label(1) };
    assert!(found == new || (done.is_err() && found == label(1)), "call {n}, seed {seed}");
    done.is_err()
}

#[test]
fn a_handle_whose_sync_failed_takes_no_further_writes() {
    let faults = Arc::new(Faults::default());
    faults.when(|_, call| (call.op == Op::Sync).then_some(Fault::Fail(io::ErrorKind::Other)));
    let media = FaultyMedia::new(Arc::new(MemoryMedia::new("v01")), faults.clone());
    let file: Arc<dyn MediaFile> = media.create("x", shosoin_tiers::media::WriteUnit::Bytes).unwrap();
    file.write_at(0, b"one").unwrap();
    assert!(matches!(file.sync(), Err(Error::Io { .. })));
    faults.clear();
    assert!(matches!(file.write_at(3, b"two"), Err(Error::Suspect { .. })));
    assert!(matches!(file.sync(), Err(Error::Suspect { .. })));
}
