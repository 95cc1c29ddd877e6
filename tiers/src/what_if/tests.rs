use super::*;
use crate::volume::{MediaClass, TierKind};
use proptest::prelude::*;

fn volume(no: u8) -> VolumeId {
    VolumeId([no; 16])
}

fn label(no: u8, lot: &str, rack: &str) -> VolumeLabel {
    let mut label = VolumeLabel::new(volume(no), TierKind::Hot, MediaClass::Hdd, 0);
    (label.lot, label.domains.rack) = (lot.to_owned(), rack.to_owned());
    label
}

fn segment(no: u8, shards: &[&[u8]]) -> SegmentCopies {
    SegmentCopies {
        segment: SegmentId([no; 16]),
        hospital: HospitalId([9; 16]),
        code: Code::parse("4+2").unwrap(),
        payload_bytes: 100,
        shards: shards.iter().map(|copies| copies.iter().map(|no| volume(*no)).collect()).collect(),
    }
}

fn six() -> Vec<VolumeLabel> {
    (1..=6).map(|no| label(no, if no <= 3 { "L1" } else { "L2" }, &no.div_ceil(2).to_string())).collect()
}

const SPREAD: [&[u8]; 6] = [&[1], &[2], &[3], &[4], &[5], &[6]];

#[test]
fn a_lost_lot_of_more_than_m_shards_loses_the_segment_and_a_lost_rack_of_m_does_not() {
    let segments = [segment(1, &SPREAD)];
    let lot = what_if(&segments, &six(), &[Loss::parse("lot:L1").unwrap()]);
    assert_eq!((lot.volumes.len(), lot.lost.len(), lot.degraded.len()), (3, 1, 0));
    assert_eq!((lot.lost[0].left, lot.lost[0].needed), (3, 4));
    let rack = what_if(&segments, &six(), &[Loss::parse("rack:1").unwrap()]);
    assert_eq!((rack.volumes.len(), rack.lost.len(), rack.degraded.len()), (2, 0, 1));
}

#[test]
fn a_second_copy_on_a_volume_that_stays_keeps_the_shard() {
    let copied = [segment(1, &[&[1, 7], &[2, 8], &[3], &[4], &[5], &[6]])];
    let labels = [six(), vec![label(7, "L3", "4"), label(8, "L3", "5")]].concat();
    let lot = what_if(&copied, &labels, &[Loss::Fate(Fate::Lot, "L1".into())]);
    assert_eq!((lot.lost.len(), lot.degraded.len()), (0, 1));
    assert_eq!(lot.degraded[0].left, 5);
}

#[test]
fn a_segment_that_is_gone_already_is_not_blamed_on_the_loss() {
    let gone = [segment(1, &[&[1], &[2], &[3], &[], &[], &[]])];
    let report = what_if(&gone, &six(), &[Loss::Volume(volume(1))]);
    assert_eq!((report.lost_already, report.lost.len()), (1, 0));
}

#[test]
fn more_than_m_shards_in_one_lot_is_a_violation_and_m_are_none() {
    let violations = violations(&[segment(1, &SPREAD)], &six());
    assert_eq!(violations.len(), 2);
    assert!(violations.iter().all(|found| found.fate == Fate::Lot && (found.shards, found.allowed) == (3, 2)));
}

#[test]
fn a_label_that_states_nothing_shares_nothing() {
    let silent: Vec<VolumeLabel> = (1..=6).map(|no| label(no, "", "")).collect();
    assert_eq!(violations(&[segment(1, &SPREAD)], &silent), []);
    assert_eq!(shared_fates(&silent), []);
    assert!(what_if(&[segment(1, &SPREAD)], &silent, &[Loss::Fate(Fate::Lot, String::new())]).volumes.is_empty());
}

#[test]
fn only_a_kind_and_a_value_are_a_loss() {
    for text in ["", "lot", "lot:", ":x", "colour:red", "volume:12", "volume:zz"] {
        assert_eq!(Loss::parse(text), None, "{text}");
    }
    let id = "ab".repeat(16);
    assert_eq!(Loss::parse(&format!("volume:{id}")).unwrap().to_string(), format!("volume:{id}"));
    assert_eq!(Loss::parse("firmware:1.0:b").unwrap(), Loss::Fate(Fate::Firmware, "1.0:b".into()));
}

proptest! {
    #[test]
    fn losing_m_volumes_of_a_spread_segment_never_loses_it(a in 1u8..=6, b in 1u8..=6) {
        let losses = [Loss::Volume(volume(a)), Loss::Volume(volume(b))];
        let report = what_if(&[segment(1, &SPREAD)], &six(), &losses);
        prop_assert_eq!((report.lost.len(), report.degraded.len()), (0, 1));
    }
}
