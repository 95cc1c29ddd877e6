//! A shard of which several volumes have a copy: the wrong one is in use, or none of them is whole.

use crate::common::{SUITE, assert_all_read, volume_no};
use crate::filled::{Filled, check_and_repair, filled};
use proptest::prelude::*;
use shosoin_protocol::VolumeId;
use shosoin_tiers::media::WriteUnit;
use shosoin_tiers::{Media, ShardRef, Unpaced};
use std::collections::BTreeSet;

/// The volumes beyond those that the code needs; they come last, so a start uses the copies on the others.
const SPARE: usize = 6;

/// Puts another copy of `shard` on volume `no`, damaged in `bad` stripes.
fn put_copy(filled: &Filled, shard: usize, no: usize, bad: &[usize]) {
    let (path, media) = (filled.path(shard), &filled.rig.media[no]);
    let mut bytes = filled.shards[&path].clone();
    bad.iter().for_each(|stripe| bytes[filled.stripes[*stripe] + 2000] ^= 4);
    media.make_dir(path.rsplit_once('/').unwrap().0).unwrap();
    media.create(&path, WriteUnit::Bytes).unwrap().write_at(0, &bytes).unwrap();
}

#[test]
fn of_a_shard_with_a_bad_and_a_good_copy_the_good_one_is_used_and_the_bad_one_goes() {
    let filled = filled("4+2", 1);
    put_copy(&filled, 1, SPARE, &[]);
    filled.flip(1, 1);
    let (tier, _) = filled.rig.open();
    let segment = tier.segments()[0].id;
    let repaired = tier.repair_segment(segment, &[1], &Unpaced).unwrap();
    assert!(repaired.written_bytes == 0 && repaired.rebuilt.len() == 1, "{repaired:?}");
    assert_eq!(volume_no(repaired.rebuilt[0].1), SPARE);
    filled.assert_whole(&tier, "the spare one");
    drop(tier);
    let (tier, _) = filled.rig.open();
    filled.assert_whole(&tier, "no start takes the bad one again");
}

#[test]
fn what_the_copies_in_use_are_too_few_for_is_read_from_a_spare_one_and_repaired() {
    let filled = filled("4+2", 1);
    put_copy(&filled, 1, SPARE, &[]);
    [0, 1, 2].into_iter().for_each(|shard| filled.flip(shard, 1));
    let (tier, _) = filled.rig.open();
    assert_eq!(volume_no(tier.segments()[0].shards[1].unwrap()), filled.volumes[1], "the bad copy is in use");
    assert_all_read(&tier, &filled.stored, "three units of the copies in use");
    let named = tier.check_segment(tier.segments()[0].id);
    assert!(named.len() == 3 && named.iter().all(|finding| finding.place.shard.is_some()), "{named:?}");
    check_and_repair(&tier);
    filled.assert_whole(&tier, "repaired");
}

#[test]
fn two_copies_that_are_damaged_in_different_places_are_one_whole_shard() {
    let filled = filled("4+2", 3);
    put_copy(&filled, 1, SPARE, &[0, 2]);
    filled.flip(1, 1);
    [0, 1, 2].into_iter().for_each(|stripe| filled.flip(2, stripe));
    let (tier, _) = filled.rig.open_without(&[filled.volumes[0]]).unwrap();
    assert_all_read(&tier, &filled.stored, "in pieces");
    let repaired = check_and_repair(&tier);
    assert!(repaired.iter().all(|repaired| repaired.short.is_empty()), "{repaired:?}");
    filled.assert_whole(&tier, "put together");
}

#[test]
fn a_copy_is_made_of_whatever_copies_have_it() {
    let filled = filled("4+2", 2);
    put_copy(&filled, 1, SPARE, &[0]);
    [0, 1, 2].into_iter().for_each(|shard| filled.flip(shard, 1));
    let (tier, _) = filled.rig.open();
    let info = tier.segments().remove(0);
    let shard = ShardRef { hospital: info.hospital, segment: info.id, shard: 1 };
    let copied = tier.copy_shard(shard, info.shards[1].unwrap(), VolumeId([8; 16]), &Unpaced).unwrap();
    assert_eq!(copied.mended, 1);
    assert!(filled.rig.media[7].image()[&filled.path(1)] == filled.shards[&filled.path(1)]);
}

#[test]
fn footers_that_only_spare_copies_have_are_enough() {
    let filled = filled("4+2", 1);
    put_copy(&filled, 5, SPARE, &[]);
    let (tier, _) = filled.rig.open();
    (0..6).for_each(|shard| filled.damage(shard, |bytes| *bytes.last_mut().unwrap() ^= 1));
    let mut walked = 0;
    let segment = tier.segments()[0].id;
    let count = |_| {
        walked += 1;
        Ok(())
    };
    tier.walk(segment, 0, &mut { count }).unwrap();
    assert_eq!(walked, filled.stored.len());
    let repaired = tier.repair_segment(segment, &[0, 1, 2, 3, 4, 5], &Unpaced).unwrap();
    assert!(repaired.rebuilt.len() == 6 && repaired.short.is_empty(), "{repaired:?}");
    filled.assert_whole(&tier, "from the footer of a spare copy");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_k_shards_of_each_stripe_have_a_good_unit_on_some_copy_everything_is_read_and_comes_back(
        doubled in prop::collection::btree_set(0usize..6, 0..3),
        bad in prop::collection::btree_set((0usize..6, 0usize..3, prop::bool::ANY), 0..12),
    ) {
        let filled = filled("4+2", 4);
        let is_bad = |shard: usize, stripe: usize, copy: bool| bad.contains(&(shard, stripe, copy));
        for (no, shard) in doubled.iter().enumerate() {
            let damaged: Vec<usize> = (0..3).filter(|stripe| is_bad(*shard, *stripe, true)).collect();
            put_copy(&filled, *shard, SPARE + no, &damaged);
        }
        bad.iter().filter(|(.., copy)| !copy).for_each(|(shard, stripe, _)| filled.flip(*shard, *stripe));
        let good = |shard: usize, stripe: usize| {
            !is_bad(shard, stripe, false) || doubled.contains(&shard) && !is_bad(shard, stripe, true)
        };
        let alive: BTreeSet<usize> =
            (0..3).filter(|stripe| (0..6).filter(|shard| good(*shard, *stripe)).count() >= 4).collect();
        let (tier, _) = filled.rig.open();
        for stored in &filled.stored {
            let at = usize::try_from(stored.location.stripe_at).unwrap();
            let stripe = filled.stripes.iter().position(|start| *start == at).unwrap();
            match tier.read(SUITE, &stored.location, &stored.record.address) {
                Ok(bytes) => prop_assert!(bytes == stored.record.bytes),
                Err(error) => prop_assert!(!alive.contains(&stripe), "stripe {}: {}", stripe, error),
            }
        }
        check_and_repair(&tier);
        if alive.len() == 3 {
            filled.assert_whole(&tier, "repaired");
        }
    }
}
