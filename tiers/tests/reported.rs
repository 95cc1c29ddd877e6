//! What simulated histories found that a check did not say: each is told here as short as it goes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{Rig, append};
use shosoin_tiers::{Defect, SegmentState, Severity};

/// Zeroes every shard file on volume `no` from `from` on.
fn zero_from(rig: &Rig, no: usize, from: usize) {
    for path in rig.shards(no) {
        rig.media[no].tamper(&path, |bytes| bytes[from..].fill(0)).unwrap();
    }
}

/// Seed 39 without scrub: with all footers gone, a check followed the headers and was silent about what lay behind the last.
#[test]
fn a_check_names_stripes_of_a_closed_segment_that_no_footer_and_no_header_leads_to() {
    let rig = Rig::new("4+2", 0);
    let (tier, _) = rig.open();
    append(&tier, 0..3).unwrap();
    let second = append(&tier, 3..5).unwrap();
    append(&tier, 5..7).unwrap();
    tier.close().unwrap();
    drop(tier);
    let (tier, findings) = rig.open();
    assert_eq!(findings, []);
    let (segment, at) = (second[0].location.segment, second[0].location.stripe_at);
    (0..6).for_each(|no| zero_from(&rig, no, usize::try_from(at).unwrap()));
    let lost: Vec<_> = tier.check_segment(segment).into_iter().filter(|it| it.severity() == Severity::Lost).collect();
    assert!(
        lost.iter().any(|it| it.place.offset == Some(at) && matches!(it.defect, Defect::StripeLost { good: 0, .. })),
        "{lost:?}"
    );
}

/// Seed 56 beyond the budget: a start said that a last stripe could not be judged, and no later check said so again.
#[test]
fn a_check_names_a_last_stripe_that_could_not_be_judged() {
    let rig = Rig::new("4+2", 0);
    let (tier, _) = rig.open();
    let stored = append(&tier, 0..3).unwrap();
    drop(tier);
    [1, 2].into_iter().for_each(|no| zero_from(&rig, no, 0));
    let (tier, _) = rig.open_without(&[0]).unwrap();
    let info = tier.segments().into_iter().next().unwrap();
    assert_eq!(info.state, SegmentState::Unreadable);
    let said = tier.check_segment(stored[0].location.segment);
    assert!(
        said.iter().any(|it| matches!(it.defect, Defect::StripeUnjudged { good: 3, unseen: 1, needed: 4 })),
        "{said:?}"
    );
}

/// Seed 3: a segment that was closed with nothing in it was reported as short of a shard for ever, and nothing repaired it.
#[test]
fn a_check_misses_nothing_of_a_closed_segment_that_holds_nothing() {
    let rig = Rig::new("4+2", 0);
    let (tier, _) = rig.open();
    let stored = append(&tier, 0..1).unwrap();
    drop(tier);
    (0..6).for_each(|no| zero_from(&rig, no, 0));
    let (tier, _) = rig.open();
    let info = tier.segments().into_iter().next().unwrap();
    assert_eq!((info.state, info.stripes), (SegmentState::Closed, 0));
    drop(tier);
    let (tier, _) = rig.open_without(&[3]).unwrap();
    assert_eq!(tier.check_segment(stored[0].location.segment), []);
}
