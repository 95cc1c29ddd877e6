//! Scrub: whatever is wrong with a shard, wherever, a tour finds it in its place; what is right stays unmentioned, and
//! nothing on media changes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{HOSPITAL, Rig, SUITE, Stored, append, assert_all_read};
use parking_lot::Mutex;
use shosoin_protocol::{SegmentId, Suite, VolumeId};
use shosoin_tiers::layout::BLOCK_BYTES;
use shosoin_tiers::media::{Fault, Faults, Op};
use shosoin_tiers::{
    Code, Defect, Error, Finding, Pace, Place, Result, ShardRef, Threads, Tier, Tour, TourCounters, Unpaced,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const BLOCK: u64 = BLOCK_BYTES as u64;

/// A closed segment of three stripes, and where its shards are.
struct Filled {
    rig: Rig,
    tier: Tier,
    stored: Vec<Stored>,
    segment: SegmentId,
    /// volume and path of each shard
    shards: Vec<(usize, String)>,
    /// where each stripe begins
    stripes: Vec<u64>,
    /// where the table begins, and its length
    table: (u64, u64),
    /// length of each shard file
    len: u64,
}

fn filled(code: &str) -> Filled {
    filled_with(code, &[0..5, 5..8, 8..12])
}

/// Each group of record numbers is a stripe. The identity of the segment does not depend on what is in it.
fn filled_with(code: &str, groups: &[Range<u32>]) -> Filled {
    let rig = Rig::new(code, 0);
    let (tier, _) = rig.open();
    let stored: Vec<Stored> = groups.iter().flat_map(|group| append(&tier, group.clone()).unwrap()).collect();
    tier.close().unwrap();
    let info = tier.segments().remove(0);
    let volume_of = |shard: usize| usize::from(info.shards[shard].unwrap().0[0]) - 1;
    let path = |shard: usize| {
        let suffix = format!("-{shard}.shard");
        rig.shards(volume_of(shard)).into_iter().find(|path| path.ends_with(&suffix)).unwrap()
    };
    let shards: Vec<_> = (0..info.code.shards()).map(|shard| (volume_of(shard), path(shard))).collect();
    let mut stripes: Vec<u64> = stored.iter().map(|stored| stored.location.stripe_at).collect();
    stripes.dedup();
    let table = (info.end, u64::from(info.stripes) * 40 + u64::from(info.records) * 40);
    let len = rig.media[shards[0].0].image()[&shards[0].1].len() as u64;
    Filled { segment: info.id, rig, tier, stored, shards, stripes, table, len }
}

impl Filled {
    fn shard(&self, shard: u8) -> (VolumeId, ShardRef) {
        let volume = volume(self.shards[usize::from(shard)].0);
        (volume, ShardRef { hospital: HOSPITAL, segment: self.segment, shard })
    }

    fn bytes(&self, shard: u8) -> Vec<u8> {
        let (volume, path) = &self.shards[usize::from(shard)];
        self.rig.media[*volume].image()[path].clone()
    }

    fn tamper(&self, shard: u8, change: impl FnOnce(&mut Vec<u8>)) {
        let (volume, path) = &self.shards[usize::from(shard)];
        self.rig.media[*volume].tamper(path, change).unwrap();
    }

    /// The end of the stripe with this number.
    fn stripe_end(&self, no: usize) -> u64 {
        self.stripes.get(no + 1).copied().unwrap_or(self.table.0)
    }

    fn place(&self, shard: u8, offset: u64) -> Place {
        Place::segment(self.segment).shard(shard, Some(self.shard(shard).0)).at(offset)
    }

    /// What the tours of all volumes find.
    fn tours(&self) -> Vec<Finding> {
        (0..self.rig.media.len()).flat_map(|no| tour(&self.tier, volume(no)).0).collect()
    }

    /// Changes a shard, asserts that the tours find something at exactly `places` of it, and puts it back.
    #[track_caller]
    fn assert_found(&self, shard: u8, places: &[u64], what: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<Defect> {
        let good = self.bytes(shard);
        self.tamper(shard, change);
        assert!(self.bytes(shard) != good, "{what} changes nothing");
        let found = self.tours();
        let mut met: Vec<Place> = found.iter().map(|finding| finding.place).collect();
        met.dedup();
        let expected: Vec<Place> = places.iter().map(|at| self.place(shard, *at)).collect();
        assert_eq!(met, expected, "{what} in shard {shard}: {found:?}");
        let queued = self.tier.take_repairs();
        assert!(!queued.is_empty(), "{what} waits for no repair");
        assert!(queued.iter().all(|item| (item.segment, item.shard) == (self.segment, shard)), "{what}: {queued:?}");
        self.tamper(shard, |bytes| *bytes = good);
        found.into_iter().map(|finding| finding.defect).collect()
    }
}

fn volume(no: usize) -> VolumeId {
    VolumeId([u8::try_from(no + 1).unwrap(); 16])
}

/// A whole tour of one volume.
fn tour(tier: &Tier, volume: VolumeId) -> (Vec<Finding>, TourCounters) {
    let mut tour = Tour::new(volume, 5);
    let mut findings = Vec::new();
    while let Some(found) = tour.step(tier, &Unpaced).unwrap() {
        findings.extend(found);
    }
    (findings, tour.done)
}

#[test]
fn a_clean_tier_has_no_findings_and_a_tour_reads_every_byte_of_every_shard() {
    for code in Code::ALLOWED {
        for suite in Suite::ALL {
            let rig = Rig::new(&code.to_string(), 0);
            let (tier, _) = rig.open();
            for records in [vec![common::record(2)], (0..9).map(common::record).collect()] {
                let records: Vec<_> = records
                    .into_iter()
                    .map(|record| shosoin_tiers::Record { address: suite.address(&record.bytes), ..record })
                    .collect();
                tier.append(HOSPITAL, suite, &records).unwrap();
            }
            for state in ["open", "closed"] {
                let mut done = TourCounters::default();
                for no in 0..rig.media.len() {
                    let (findings, counted) = tour(&tier, volume(no));
                    assert_eq!(findings, [], "{code}, {suite:?}, {state}");
                    done.shards += counted.shards;
                    done.read_bytes += counted.read_bytes;
                    done.units += counted.units;
                }
                let on_media = rig.media.iter().flat_map(|media| media.image());
                let on_media: usize =
                    on_media.filter(|(path, _)| path.ends_with(".shard")).map(|(_, bytes)| bytes.len()).sum();
                assert_eq!((done.shards, done.units), (code.shards() as u64, 2 * code.shards() as u64));
                assert_eq!(done.read_bytes, on_media as u64, "{code}, {suite:?}, {state}");
                tier.close().unwrap();
            }
        }
    }
}

#[test]
fn one_flipped_byte_is_found_at_every_kind_of_place_of_data_and_parity() {
    let filled = filled("4+2");
    let flip = |at: u64| move |bytes: &mut Vec<u8>| bytes[usize::try_from(at).unwrap()] ^= 0x40;
    for shard in [0, 1, 4, 5] {
        for (no, stripe) in filled.stripes.iter().enumerate() {
            let last = filled.stripe_end(no) - 1;
            for at in [0, 5, 6, 63, 120, 700, 935, 960, 980, 1000, 1023].map(|at| stripe + at) {
                let defects = filled.assert_found(shard, &[*stripe], "a flip in a header", flip(at));
                assert!(matches!(defects[..], [Defect::HeaderDamaged { .. }]), "{at}: {defects:?}");
            }
            for at in [stripe + 1024, stripe + 1500, last] {
                let defects = filled.assert_found(shard, &[*stripe], "a flip in a unit", flip(at));
                assert!(matches!(defects[..], [Defect::UnitDamaged { .. }]), "{at}: {defects:?}");
            }
        }
        let (table_at, table_len) = filled.table;
        let locator_at = filled.len - BLOCK;
        let places = [
            (table_at, table_at),
            (table_at + 45, table_at),
            (table_at + table_len - 1, table_at),
            (table_at + table_len, table_at + table_len),
            (locator_at - 1, table_at + table_len),
            (locator_at, locator_at),
            (locator_at + 50, locator_at),
            (locator_at + 2000, locator_at),
            (filled.len - 1, locator_at),
        ];
        for (at, place) in places {
            let defects = filled.assert_found(shard, &[place], "a flip in a footer", flip(at));
            assert!(matches!(defects[..], [Defect::FooterDamaged { .. }]), "{at}: {defects:?}");
        }
    }
    assert_eq!(filled.tours(), []);
    assert_all_read(&filled.tier, &filled.stored, "at the end");
}

#[test]
fn every_single_byte_of_a_shard_is_verified() {
    let filled = filled_with("1+2", &[0..1, 1..2]);
    let (on, shard) = filled.shard(2);
    for at in 0..filled.len {
        let index = usize::try_from(at).unwrap();
        filled.tamper(2, |bytes| bytes[index] ^= 1);
        let found = filled.tier.scrub_copy(on, shard, &Unpaced).unwrap().findings;
        assert_eq!(found.len(), 1, "byte {at}: {found:?}");
        let offset = found[0].place.offset.unwrap();
        let stripe = filled.stripes.iter().rev().find(|stripe| **stripe <= at && at < filled.table.0);
        assert!(stripe.is_none_or(|stripe| *stripe == offset), "byte {at} was found at {offset}");
        assert!(stripe.is_some() || (filled.table.0..=at).contains(&offset), "byte {at} was found at {offset}");
        filled.tamper(2, |bytes| bytes[index] ^= 1);
    }
}

#[test]
fn valid_units_that_are_not_where_they_belong_are_found() {
    let filled = filled("4+2");
    let [first, second] = [filled.stripes[0], filled.stripes[1]].map(|at| usize::try_from(at).unwrap());
    for shard in [1, 5] {
        let places = [filled.stripes[0], filled.stripes[1]];
        filled.assert_found(shard, &places, "two headers and their first blocks that changed places", |bytes| {
            let (left, right) = bytes.split_at_mut(second);
            left[first..first + BLOCK_BYTES].swap_with_slice(&mut right[..BLOCK_BYTES]);
        });
        let of_other = filled.bytes(shard - 1);
        let end = usize::try_from(filled.stripe_end(1)).unwrap();
        filled.assert_found(shard, &places[1..], "the slot of another shard", |bytes| {
            bytes[second..end].copy_from_slice(&of_other[second..end]);
        });
        filled.assert_found(shard, &places[1..], "a unit of another shard behind the right header", |bytes| {
            bytes[second + 1024..end].copy_from_slice(&of_other[second + 1024..end]);
        });
        filled.assert_found(shard, &places[1..], "a write for the first stripe that went to the second", |bytes| {
            bytes.copy_within(first..first + BLOCK_BYTES, second);
        });
        let other_segment = filled_with("4+2", &[700..705, 705..708, 708..712]).bytes(shard);
        filled.assert_found(shard, &places[..1], "a slot of the same offset of another time", |bytes| {
            bytes[first..second].copy_from_slice(&other_segment[first..second]);
        });
    }
}

#[test]
fn zeros_are_found_although_all_zero_units_would_pass_parity() {
    let filled = filled("4+2");
    let (from, to) = (usize::try_from(filled.stripes[0]).unwrap(), usize::try_from(filled.stripe_end(0)).unwrap());
    for shard in 0..6 {
        filled.assert_found(shard, &filled.stripes[..1], "a lost write", |bytes| bytes[from..to].fill(0));
        let defects =
            filled.assert_found(shard, &filled.stripes[..1], "a zero unit", |bytes| bytes[from + 1024..to].fill(0));
        assert!(matches!(defects[..], [Defect::UnitDamaged { .. }]), "{defects:?}");
    }
    // zero on every shard at once: whoever asks parity is told that all is well
    (0..6).for_each(|shard| filled.tamper(shard, |bytes| bytes[from..to].fill(0)));
    let found = filled.tours();
    let places: Vec<Place> = found.iter().map(|finding| finding.place).collect();
    let expected = (0..6).map(|shard| filled.place(shard, filled.stripes[0]));
    assert!(expected.clone().all(|place| places.contains(&place)) && places.len() == 6, "{found:?}");
    let queued = filled.tier.take_repairs();
    assert_eq!((queued.len(), queued[0].redundancy_left), (6, 0));
}

#[test]
fn a_shard_that_ends_early_or_late_is_found_wherever_it_ends() {
    let filled = filled("4+2");
    let (on, shard) = filled.shard(5);
    let good = filled.bytes(5);
    for len in (0..filled.len).step_by(2048).chain([1, filled.len - 1]) {
        filled.tamper(5, |bytes| bytes.truncate(usize::try_from(len).unwrap()));
        let found = filled.tier.scrub_copy(on, shard, &Unpaced).unwrap().findings;
        let expected = Defect::ShardShort { missing_bytes: filled.len - len };
        assert_eq!(found, [Finding::new(filled.place(5, len), expected)]);
        let queued = filled.tier.take_repairs();
        assert!(matches!(queued[..], [item] if item.stripe_at.is_none() && item.redundancy_left == 1));
        filled.tamper(5, |bytes| *bytes = good.clone());
    }
    filled.assert_found(5, &[filled.len], "bytes behind the end", |bytes| bytes.extend_from_slice(&[0; 4096]));
}

#[test]
fn a_copy_that_agrees_only_with_itself_is_found() {
    // the same identity and the same lengths, other records: whole and valid, and not what the other shards say
    let (filled, other) = (filled("4+2"), filled_with("4+2", &[700..705, 705..708, 708..712]));
    assert_eq!((filled.segment, &filled.shards, filled.len), (other.segment, &other.shards, other.len));
    for shard in [0, 5] {
        let stale = other.bytes(shard);
        let mut places = filled.stripes.clone();
        places.extend([filled.table.0, filled.len - BLOCK]);
        filled.assert_found(shard, &places, "a copy of another time", |bytes| *bytes = stale);
    }
}

#[test]
fn a_cache_that_holds_good_bytes_does_not_hide_a_bad_medium() {
    let Filled { rig, tier, stored, segment, shards, stripes, .. } = filled("4+2");
    drop(tier);
    let faults = Arc::new(Faults::default());
    let (place, bad) = (shosoin_tiers::Media::place(&rig.media[shards[4].0]), shards[4].1.clone());
    faults.when(move |_, call| {
        let reads_medium = call.op == Op::ReadPastCache && call.place == place && call.path == bad && call.at == 0;
        reads_medium.then_some(Fault::Flip { at: 3000, mask: 1 })
    });
    let (tier, _) = rig.open_through(&faults).unwrap();
    let (found, _) = tour(&tier, volume(shards[4].0));
    let expected = Place::segment(segment).shard(4, Some(volume(shards[4].0))).at(stripes[0]);
    assert!(matches!(&found[..], [Finding { place, defect: Defect::UnitDamaged { .. } }] if *place == expected));
    assert_all_read(&tier, &stored, "through the cache");
}

#[test]
fn a_tour_changes_nothing_on_media() {
    let filled = filled("4+2");
    filled.tamper(1, |bytes| bytes[2000] ^= 1);
    filled.tamper(2, |bytes| bytes.truncate(5000));
    let images = || filled.rig.media.iter().map(|media| media.image()).collect::<Vec<_>>();
    let before = images();
    assert!(!filled.tours().is_empty());
    assert_eq!(images(), before);
}

#[test]
fn damage_in_every_footer_does_not_stop_the_units_from_being_verified() {
    let filled = filled("4+2");
    let locator_at = usize::try_from(filled.len - BLOCK).unwrap();
    (0..6).for_each(|shard| filled.tamper(shard, |bytes| bytes[locator_at + 70] ^= 1));
    filled.tamper(3, |bytes| bytes[5000] ^= 1);
    let (on, shard) = filled.shard(3);
    let scrubbed = filled.tier.scrub_copy(on, shard, &Unpaced).unwrap();
    assert_eq!(scrubbed.units, 3);
    let defects: Vec<_> = scrubbed.findings.iter().map(|finding| &finding.defect).collect();
    assert!(matches!(defects[..], [Defect::FooterDamaged { .. }, Defect::UnitDamaged { .. }]), "{defects:?}");
}

#[test]
fn shards_that_are_gone_are_found_in_their_place_and_on_no_volume_once() {
    let filled = filled("4+2");
    let (no, path) = &filled.shards[1];
    shosoin_tiers::Media::remove(&filled.rig.media[*no], path).unwrap();
    let missing = Finding::new(filled.place(1, 0), Defect::ShardMissing);
    assert_eq!(filled.tours(), std::slice::from_ref(&missing));
    filled.tier.detach(volume(filled.shards[0].0)).unwrap();
    let found: Vec<Finding> = filled.shards[1..].iter().flat_map(|(no, _)| tour(&filled.tier, volume(*no)).0).collect();
    let nowhere = Finding::new(Place::segment(filled.segment).shard(0, None), Defect::ShardMissing);
    assert_eq!(found, [missing, nowhere]);
    let queued = filled.tier.take_repairs();
    assert!(queued.iter().any(|item| item.shard == 0) && queued.iter().any(|item| item.shard == 1), "{queued:?}");
}

#[test]
fn what_lies_among_the_shards_and_is_none_is_found() {
    let filled = filled("4+2");
    let folder = shosoin_tiers::layout::hospital_dir(HOSPITAL);
    let foreign = format!("{folder}/notes.txt");
    shosoin_tiers::Media::create(&filled.rig.media[0], &foreign, shosoin_tiers::media::WriteUnit::Bytes).unwrap();
    let expected = Finding::new(Place::volume(volume(0)), Defect::ForeignFile { name: "notes.txt".into() });
    assert_eq!(filled.tours(), [expected]);
}

/// One sector of a shard cannot be read; how often the medium was asked for it is counted.
fn unreadable(faults: &Faults, path: &str, sector: Range<u64>) -> Arc<AtomicU64> {
    let (asked, path) = (Arc::new(AtomicU64::new(0)), path.to_owned());
    let count = asked.clone();
    faults.when(move |_, call| {
        let covers = call.at < sector.end && sector.start < call.at + call.len_bytes as u64;
        let hit = call.op == Op::ReadPastCache && call.path == path && covers;
        hit.then(|| count.fetch_add(1, Ordering::Relaxed));
        hit.then_some(Fault::Fail(std::io::ErrorKind::Other))
    });
    asked
}

/// Segments of many pieces: a stripe of about 2 MiB in each shard, and one of 100 KiB, three times.
fn large(threads: Threads) -> (Rig, Tier, Vec<u64>) {
    let mut rig = Rig::new("1+1", 0);
    rig.options.threads = threads;
    let (tier, _) = rig.open();
    let record = |len: usize, no: u8| {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&[no]).finalize_xof().fill(&mut bytes);
        shosoin_tiers::Record {
            kind: shosoin_protocol::RecordKind::Chunk,
            address: SUITE.address(&bytes),
            bytes: bytes.into(),
        }
    };
    let lens = [2_200_000, 100_000].repeat(3);
    let append = |(len, no)| tier.append(HOSPITAL, SUITE, &[record(len, no)]).unwrap().locations[0].stripe_at;
    let stripes = lens.into_iter().zip(0..).map(append).collect();
    tier.close().unwrap();
    (rig, tier, stripes)
}

#[test]
fn an_unreadable_sector_costs_the_units_near_it_and_no_more() {
    for threads in [Threads::PerVolume, Threads::None] {
        let (rig, tier, stripes) = large(threads);
        drop(tier);
        let path = rig.shards(0).remove(0);
        let faults = Arc::new(Faults::default());
        let sector = stripes[1] + 50_000..stripes[1] + 50_512;
        unreadable(&faults, &path, sector);
        let (tier, _) = rig.open_through(&faults).unwrap();
        let (found, done) = tour(&tier, volume(0));
        let places: Vec<u64> = found.iter().map(|finding| finding.place.offset.unwrap()).collect();
        assert!(!places.is_empty() && places.iter().all(|at| stripes[..3].contains(at)), "{found:?}");
        assert!(places.contains(&stripes[1]));
        assert!(found.iter().all(|finding| matches!(finding.defect, Defect::ShardUnreadable { .. })));
        assert_eq!(done.units, 6);
        assert!(tier.volumes().iter().any(|volume| volume.read_errors > 0));
    }
}

#[test]
fn a_dead_medium_is_given_up_after_a_bounded_number_of_reads() {
    let (rig, tier, _) = large(Threads::None);
    drop(tier);
    let path = rig.shards(0).remove(0);
    let faults = Arc::new(Faults::default());
    let asked = unreadable(&faults, &path, 0..u64::MAX);
    let (tier, _) = rig.open_through(&faults).unwrap();
    asked.store(0, Ordering::Relaxed);
    let on = tier.volumes().into_iter().find(|volume| volume.place == "v00").unwrap().id;
    let shard = tier.shards_on(on)[0].shard;
    let scrubbed = tier.scrub_copy(on, shard, &Unpaced).unwrap();
    assert!(matches!(scrubbed.findings[..], [Finding { defect: Defect::ShardUnreadable { .. }, .. }]));
    let asked = asked.load(Ordering::Relaxed);
    assert!((1..40).contains(&asked), "asked {asked} times");
    assert!(tier.take_repairs().iter().any(|item| item.stripe_at.is_none() && item.redundancy_left == 0));
}

#[test]
fn pieces_and_threads_make_no_difference_to_what_is_found() {
    for at in [0, 1500, 2_097_151, 2_097_152, 2_199_000, 4_194_303, 4_194_304, 6_000_000] {
        let found = [Threads::PerVolume, Threads::None].map(|threads| {
            let (rig, tier, stripes) = large(threads);
            assert_eq!(tour(&tier, volume(0)).0, []);
            rig.media[0].tamper(&rig.shards(0)[0], |bytes| bytes[at] ^= 1).unwrap();
            let (found, done) = tour(&tier, volume(0));
            let stripe = stripes.into_iter().rev().find(|stripe| *stripe <= at as u64).unwrap();
            assert!(matches!(&found[..], [one] if one.place.offset == Some(stripe)), "{at}: {found:?}");
            (found, done)
        });
        assert_eq!(found[0], found[1]);
    }
}

/// Stops when its bytes are spent, and counts what was asked.
struct Budget {
    left: Mutex<u64>,
    pieces: Mutex<Vec<u64>>,
}

impl Pace for Budget {
    fn spend(&self, bytes: u64) -> Result<()> {
        self.pieces.lock().push(bytes);
        let mut left = self.left.lock();
        *left = left.checked_sub(bytes).ok_or(Error::Stopped)?;
        Ok(())
    }
}

#[test]
fn a_pace_is_asked_before_every_piece_and_stops_a_tour_where_it_is() {
    let (_rig, tier, _) = large(Threads::PerVolume);
    let mut tour = Tour::new(volume(0), 5);
    let budget = Budget { left: Mutex::new(3_000_000), pieces: Mutex::default() };
    assert!(matches!(tour.step(&tier, &budget), Err(Error::Stopped)));
    assert_eq!((tour.after, tour.done), (None, TourCounters::default()));
    let all = Budget { left: Mutex::new(u64::MAX), pieces: Mutex::default() };
    assert_eq!(tour.step(&tier, &all).unwrap(), Some(Vec::new()));
    let pieces = all.pieces.into_inner();
    assert_eq!(pieces.iter().sum::<u64>(), tour.done.read_bytes);
    assert!(pieces.iter().all(|bytes| (1..=4 << 20).contains(bytes)), "{pieces:?}");
}

/// Closed segments of two hospitals, of one stripe each, and an open one.
fn many() -> (Rig, Tier) {
    let mut rig = Rig::new("1+2", 0);
    rig.options.segment_bytes_max = 1;
    let (tier, _) = rig.open();
    (0..10).for_each(|no| drop(append(&tier, no..no + 1).unwrap()));
    let other = shosoin_protocol::HospitalId([1; 16]);
    (10..15).for_each(|no| drop(tier.append(other, SUITE, &[common::record(no)]).unwrap()));
    (rig, tier)
}

#[test]
fn a_tour_that_is_killed_after_any_step_goes_on_with_the_next_shard() {
    let (rig, tier) = many();
    let mut whole: Vec<ShardRef> = tier.shards_on(volume(0)).iter().map(|on| on.shard).collect();
    assert_eq!(whole.len(), 15);
    assert!(whole.is_sorted() && tier.shards_on(volume(0)).iter().all(|on| on.len_bytes > 0 && !on.spare));
    let mut cursor = Tour::new(volume(0), 5).encode();
    let mut visited = Vec::new();
    let mut left = Tour::decode(&cursor).unwrap().total_bytes(&tier);
    drop(tier);
    loop {
        let (tier, _) = rig.open(); // a new process each time
        let mut tour = Tour::decode(&cursor).unwrap();
        assert_eq!(tour.left_bytes(&tier), left);
        let before = tour.done;
        if tour.step(&tier, &Unpaced).unwrap().is_none() {
            assert!(tour.ended);
            break;
        }
        left -= tour.done.read_bytes - before.read_bytes;
        visited.extend(tour.after.filter(|_| tour.done.shards > before.shards));
        cursor = tour.encode();
    }
    assert_eq!(left, 0);
    visited.sort_unstable(); // each once: a second visit would make it longer
    whole.sort_unstable();
    assert_eq!(visited, whole);
}

#[test]
fn segments_that_appear_and_disappear_during_a_tour_leave_the_others_covered() {
    let (_rig, tier) = many();
    let at_start: Vec<ShardRef> = tier.shards_on(volume(0)).iter().map(|on| on.shard).collect();
    let mut tour = Tour::new(volume(0), 5);
    let mut visited = BTreeMap::new();
    let mut step = 20;
    while tour.step(&tier, &Unpaced).unwrap().is_some() {
        tour.after.into_iter().for_each(|shard| *visited.entry(shard).or_insert(0) += 1);
        step += 1;
        append(&tier, step..step + 1).unwrap();
    }
    assert!(at_start.iter().all(|shard| visited.contains_key(shard)));
    assert!(tier.shards_on(volume(0)).len() > at_start.len());
}

#[test]
fn a_tour_waits_where_it_is_while_its_volume_is_away() {
    let (rig, tier) = many();
    let mut tour = Tour::new(volume(0), 5);
    tour.step(&tier, &Unpaced).unwrap();
    let (after, done) = (tour.after, tour.done);
    tier.detach(volume(0)).unwrap();
    for _ in 0..2 {
        assert!(matches!(tour.step(&tier, &Unpaced), Err(Error::VolumeUnknown { .. })));
        assert_eq!((tour.after, tour.done, tour.ended), (after, done, false));
    }
    let again = shosoin_tiers::Volume::open(Arc::new(rig.media[0].clone())).unwrap();
    tier.attach(again).unwrap();
    let mut steps = 0;
    while tour.step(&tier, &Unpaced).unwrap().is_some() {
        steps += 1;
    }
    assert_eq!((tour.done.shards, steps), (15, 15));
}

#[test]
fn a_copy_that_is_not_there_is_unknown_and_no_damage() {
    let filled = filled("4+2");
    let (on, shard) = filled.shard(1);
    let elsewhere = filled.tier.scrub_copy(filled.shard(2).0, shard, &Unpaced);
    assert!(matches!(elsewhere, Err(Error::CopyUnknown { shard: 1, .. })));
    let nowhere = ShardRef { segment: SegmentId([9; 16]), ..shard };
    assert!(matches!(filled.tier.scrub_copy(on, nowhere, &Unpaced), Err(Error::SegmentUnknown { .. })));
    assert_eq!(filled.tier.repairs_waiting(), 0);
}
