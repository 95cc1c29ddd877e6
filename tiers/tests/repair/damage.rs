//! What is damaged, where, and what happens next: every combination, and any combination of lost and damaged shards.

use crate::common::{assert_all_read, volume_no};
use crate::filled::{Filled, check_and_repair, filled};
use proptest::prelude::*;
use shosoin_tiers::{Media, SegmentState, Unpaced};
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Action {
    Flip,
    Zero,
    Truncate,
    Delete,
    Swap,
    Stale,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Header,
    DataUnit,
    ParityUnit,
    LastUnit,
    Footer,
    Table,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Next {
    Repair,
    Read,
    Reopen,
}

fn do_damage(filled: &Filled, action: Action, part: Part) {
    let shard = if part == Part::ParityUnit { 4 } else { 1 };
    let len = filled.shards[&filled.path(shard)].len();
    let at = match part {
        Part::Header => 100,
        Part::DataUnit | Part::ParityUnit => filled.stripes[1] + 1500,
        Part::LastUnit => filled.stripes[2] + 1024,
        Part::Table => filled.stripes[3] + 50,
        Part::Footer => len - 4000,
    };
    match action {
        Action::Flip => filled.damage(shard, |bytes| bytes[at] ^= 0x40),
        Action::Zero => filled.damage(shard, |bytes| bytes[at / 4096 * 4096..][..4096].fill(0)),
        Action::Truncate => filled.damage(shard, |bytes| bytes.truncate(at)),
        Action::Delete => filled.rig.media[filled.volumes[shard]].remove(&filled.path(shard)).unwrap(),
        Action::Swap => {
            let (mine, other) = (filled.shards[&filled.path(shard)].clone(), filled.shards[&filled.path(3)].clone());
            filled.damage(shard, |bytes| *bytes = other);
            filled.damage(3, |bytes| *bytes = mine);
        }
        // as it was when the segment was still open: a prefix without a footer
        Action::Stale => filled.damage(shard, |bytes| bytes.truncate(filled.stripes[part as usize % 3])),
    }
}

#[test]
fn whatever_is_damaged_on_at_most_m_shards_is_mended_byte_for_byte_on_its_own_volume() {
    use Action::*;
    use Part::*;
    for action in [Flip, Zero, Truncate, Delete, Swap, Stale] {
        for part in [Header, DataUnit, ParityUnit, LastUnit, Footer, Table] {
            for next in [Next::Repair, Next::Read, Next::Reopen] {
                let what = format!("{action:?} {part:?}, then {next:?}");
                let filled = filled("4+2", 0);
                let (mut tier, _) = filled.rig.open();
                do_damage(&filled, action, part);
                match next {
                    Next::Repair => {}
                    Next::Read => assert_all_read(&tier, &filled.stored, &what),
                    Next::Reopen => tier = filled.rig.open().0,
                }
                let repaired = check_and_repair(&tier);
                let rebuilt: Vec<_> = repaired.iter().flat_map(|repaired| &repaired.rebuilt).collect();
                let expected = if action == Swap { 2 } else { 1 };
                assert_eq!(rebuilt.len(), expected, "{what}: {repaired:?}");
                for (shard, volume) in rebuilt {
                    assert_eq!(volume_no(*volume), filled.volumes[usize::from(*shard)], "{what}");
                }
                filled.assert_whole(&tier, &what);
                filled.assert_no_temporary(&what);
                assert_eq!(check_and_repair(&tier), [], "{what}: nothing is left to do");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_k_good_units_of_each_stripe_are_left_every_shard_comes_back_and_with_fewer_exactly_that_is_said(
        bad in prop::collection::btree_set((0usize..6, 0usize..3), 0..10), lost in prop::collection::btree_set(0usize..6, 0..2),
        footers in prop::collection::btree_set(0usize..6, 0..6),
    ) {
        let filled = filled("4+2", 2);
        bad.iter().for_each(|(shard, stripe)| filled.flip(*shard, *stripe));
        footers.iter().for_each(|shard| filled.damage(*shard, |bytes| *bytes.last_mut().unwrap() ^= 1));
        let absent: Vec<usize> = lost.iter().map(|shard| filled.volumes[*shard]).collect();
        let Ok((tier, _)) = filled.rig.open_without(&absent) else { panic!("not opened") };
        prop_assume!(tier.segments()[0].state == SegmentState::Closed);
        let gone = |shard: usize, stripe: usize| lost.contains(&shard) || bad.contains(&(shard, stripe));
        let dead: BTreeSet<usize> =
            (0..3).filter(|stripe| (0..6).filter(|shard| gone(*shard, *stripe)).count() > 2).collect();
        let segment = tier.segments()[0].id;
        let repaired = tier.repair_segment(segment, &[0, 1, 2, 3, 4, 5], &Unpaced).unwrap();
        let short: BTreeSet<(usize, usize)> = repaired.short.iter().map(|finding| {
            let at = usize::try_from(finding.place.offset.unwrap()).unwrap();
            (finding.place.shard.unwrap().into(), filled.stripes.iter().position(|start| *start == at).unwrap())
        }).collect();
        let expected: BTreeSet<(usize, usize)> =
            dead.iter().flat_map(|stripe| (0..6).map(move |shard| (shard, *stripe))).filter(|(shard, stripe)| gone(*shard, *stripe)).collect();
        prop_assert_eq!(&short, &expected);
        for (shard, volume) in tier.segments()[0].shards.iter().enumerate() {
            let short = short.iter().any(|(no, _)| *no == shard);
            let Some(volume) = volume else { prop_assert!(short); continue };
            let same = filled.rig.media[volume_no(*volume)].image()[&filled.path(shard)] == filled.shards[&filled.path(shard)];
            prop_assert_eq!(same, !short);
        }
        filled.assert_no_temporary("repaired");
    }
}
