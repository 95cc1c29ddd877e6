use super::*;
use crate::volume::{MediaClass, TierKind};
use proptest::prelude::*;

/// Volumes whose lot, host, power feed and rack are given as numbers; 0 is not stated.
fn labels(domains: &[[u8; 4]]) -> Vec<VolumeLabel> {
    let text = |number: u8| if number == 0 { String::new() } else { number.to_string() };
    let label = |(index, [lot, host, power, rack]): (usize, &[u8; 4])| {
        let id = VolumeId([u8::try_from(index).unwrap(); 16]);
        let mut label = VolumeLabel::new(id, TierKind::Hot, MediaClass::Ssd, 0);
        label.lot = text(*lot);
        label.domains = Domains { host: text(*host), power: text(*power), rack: text(*rack), ..Domains::default() };
        label
    };
    domains.iter().enumerate().map(label).collect()
}

fn request(code: &str) -> Request {
    Request { code: Code::parse(code).unwrap(), segment: SegmentId([7; 16]), shard_bytes: 100, demo: false }
}

fn candidates(labels: &[VolumeLabel]) -> Vec<Candidate<'_>> {
    labels.iter().map(|label| Candidate { label, free_bytes: 1000 }).collect()
}

/// Most volumes of `chosen` that share anything.
fn most_shared(labels: &[VolumeLabel], chosen: &[usize]) -> usize {
    let shared: Vec<_> = chosen.iter().map(|index| shared(&labels[*index])).collect();
    let count = |kind: usize, value| shared.iter().filter(|other| other[kind] == Some(value)).count();
    let values = shared.iter().flat_map(|shared| shared.iter().enumerate());
    values.filter_map(|(kind, value)| Some(count(kind, (*value)?))).max().unwrap_or(1)
}

/// Whether some choice of `wanted` keeps `limit`, by trying every one.
fn exists(labels: &[VolumeLabel], wanted: usize, limit: usize) -> bool {
    (0u32..1 << labels.len()).filter(|set| set.count_ones() as usize == wanted).any(|set| {
        let chosen: Vec<usize> = (0..labels.len()).filter(|index| set & (1 << index) != 0).collect();
        most_shared(labels, &chosen) <= limit
    })
}

#[test]
fn shards_share_nothing_where_there_is_a_choice() {
    // Twelve volumes on six hosts; the first six are on three of them.
    let domains: Vec<[u8; 4]> = [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6].map(|host| [0, host, 0, 0]).to_vec();
    let labels = labels(&domains);
    let chosen = place(&request("4+2"), &candidates(&labels)).unwrap();
    assert_eq!(most_shared(&labels, &chosen), 1);
}

#[test]
fn at_most_m_shards_share_anything() {
    let labels = labels(&[1, 1, 1, 2, 2, 2, 3, 3].map(|lot| [lot, 0, 0, 0]));
    let chosen = place(&request("4+2"), &candidates(&labels)).unwrap();
    assert_eq!(most_shared(&labels, &chosen), 2);
}

#[test]
fn a_promise_that_cannot_be_kept_is_refused_with_the_reason() {
    let labels = labels(&[[0, 1, 0, 0]; 6]);
    let error = place(&request("4+2"), &candidates(&labels)).unwrap_err();
    let expected = "no 6 of 6 volumes can hold a segment: at most 2 may share a host, which leaves 2";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn causes_that_cross_are_refused_where_no_combination_helps() {
    // Any two of three share either a lot or a host, so no two are free of both; each kind alone would allow it.
    let labels = labels(&[[1, 1, 0, 0], [1, 2, 0, 0], [2, 1, 0, 0]]);
    let two_apart = place(&request("1+1"), &candidates(&labels[1..])).unwrap();
    assert_eq!(two_apart.len(), 2);
    let crossing = [labels[0].clone(), labels[1].clone()];
    assert!(matches!(place(&request("1+1"), &candidates(&crossing)), Err(Error::Placement { .. })));
}

#[test]
fn a_demo_needs_distinct_volumes_and_no_more() {
    let labels = labels(&[[1, 1, 1, 1]; 6]);
    let demo = Request { demo: true, ..request("4+2") };
    let mut chosen = place(&demo, &candidates(&labels)).unwrap();
    chosen.sort_unstable();
    assert_eq!(chosen, [0, 1, 2, 3, 4, 5]);
    assert!(matches!(place(&demo, &candidates(&labels[1..])), Err(Error::Placement { wanted: 6, offered: 5, .. })));
}

#[test]
fn volumes_without_room_are_not_chosen_and_those_with_more_are_preferred() {
    let labels = labels(&[[0; 4]; 8]);
    let mut volumes = candidates(&labels);
    volumes[0].free_bytes = 99;
    volumes[1].free_bytes = 100;
    let mut chosen = place(&request("4+2"), &volumes).unwrap();
    chosen.sort_unstable();
    assert_eq!(chosen, [2, 3, 4, 5, 6, 7]);
    volumes[7].free_bytes = 0;
    let mut chosen = place(&request("4+2"), &volumes).unwrap();
    chosen.sort_unstable();
    assert_eq!(chosen, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn parity_moves_over_the_volumes_from_segment_to_segment() {
    let labels = labels(&[[0; 4]; 6]);
    let last = |segment: u8| {
        let request = Request { segment: SegmentId([segment; 16]), ..request("4+2") };
        place(&request, &candidates(&labels)).unwrap()[5]
    };
    let held: std::collections::BTreeSet<usize> = (0..100).map(last).collect();
    assert_eq!(held.len(), 6);
    assert_eq!(last(1), last(1));
}

#[test]
fn two_hundred_volumes_are_placed_within_the_steps_of_one_search() {
    // Twenty hosts in five racks, and lots that cross them.
    let domains: Vec<[u8; 4]> = (0u8..200).map(|n| [n % 7 + 1, n / 10 + 1, n / 20 + 1, n / 40 + 1]).collect();
    let labels = labels(&domains);
    let chosen = place(&request("10+4"), &candidates(&labels)).unwrap();
    assert!(most_shared(&labels, &chosen) <= 4);
}

proptest! {
    #[test]
    fn one_further_shard_goes_where_it_shares_least_and_nowhere_if_more_than_m_would_share(
        others in proptest::collection::vec([0u8..4, 0u8..4, 0u8..3, 0u8..3], 0..6),
        offered in proptest::collection::vec([0u8..4, 0u8..4, 0u8..3, 0u8..3], 0..6), code in 0usize..6, segment: [u8; 16],
    ) {
        let (code, all) = (Code::ALLOWED[code], labels(&[others.clone(), offered.clone()].concat()));
        let (others, offered) = all.split_at(others.len());
        let beside: Vec<&VolumeLabel> = others.iter().collect();
        // how many of the others share what the candidate states, the candidate counted
        let crowd = |candidate: &VolumeLabel| {
            let stated = shared(candidate).map(|value| value.map(str::to_owned));
            let is_same = |other: &VolumeLabel, kind: usize| shared(other)[kind].map(str::to_owned) == stated[kind];
            let sharing = |kind: usize| others.iter().filter(|other| is_same(other, kind)).count() + 1;
            (0..KINDS.len()).filter(|kind| stated[*kind].is_some()).map(sharing).max().unwrap_or(1)
        };
        let best = offered.iter().map(crowd).min();
        let choose = |demo| place_one(code, SegmentId(segment), &beside, &candidates(offered), demo);
        match (choose(false), best) {
            (Ok(chosen), Some(best)) => prop_assert!(crowd(&offered[chosen]) == best && best <= code.m()),
            (Err(Error::Placement { .. }), best) => prop_assert!(best.is_none_or(|best| best > code.m())),
            (other, best) => prop_assert!(false, "{other:?} {best:?}"),
        }
        prop_assert_eq!(choose(true).ok().map(|chosen| crowd(&offered[chosen])), best, "a demo takes the best there is");
    }

    #[test]
    fn a_choice_is_distinct_and_best_and_refused_only_where_there_is_none(
        domains in proptest::collection::vec([0u8..4, 0u8..4, 0u8..3, 0u8..3], 1..10), code in 0usize..6, segment: [u8; 16],
    ) {
        let labels = labels(&domains);
        let request = Request { code: Code::ALLOWED[code], segment: SegmentId(segment), ..request("1+1") };
        let (wanted, m) = (request.code.shards(), request.code.m());
        let best = (1..=m).find(|limit| exists(&labels, wanted, *limit));
        match (place(&request, &candidates(&labels)), best) {
            (Ok(chosen), Some(limit)) => {
                let mut distinct = chosen.clone();
                distinct.sort_unstable();
                distinct.dedup();
                prop_assert_eq!(distinct.len(), wanted);
                prop_assert!(most_shared(&labels, &chosen) <= limit);
            }
            (Err(Error::Placement { .. }), None) => {}
            (found, best) => prop_assert!(false, "{:?} where {:?} was possible", found, best),
        }
    }
}
