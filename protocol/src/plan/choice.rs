//! The fewest media that make every segment readable: taking the most useful first, then looking for something smaller as
//! long as that takes no time.

use super::ShelfSegment;
use std::collections::BTreeMap;

/// Media that are looked at one by one for a smallest choice: one bit each.
const EXACT_MEDIA_MAX: u32 = u128::BITS;
/// Steps of that search; what it found until then counts.
const EXACT_STEPS_MAX: u32 = 100_000;

/// What to mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// media by number, in the order in which segments become readable soonest
    pub mounts: Vec<u32>,
    /// bytes to read from each of them
    pub bytes: Vec<u64>,
    /// segments, by place in what was asked, that too few media are left of
    pub short: Vec<usize>,
}

/// So many of these media.
#[derive(Debug, Clone)]
struct Demand {
    needed: usize,
    media: Vec<u32>,
}

impl Demand {
    fn missing(&self, chosen: &[u32]) -> usize {
        self.needed.saturating_sub(self.media.iter().filter(|medium| chosen.contains(medium)).count())
    }
}

/// The media to mount for `segments`.
pub fn choose(segments: &[ShelfSegment]) -> Choice {
    let needed = |segment: &ShelfSegment| usize::try_from(segment.needed).unwrap_or(usize::MAX);
    let is_short = |segment: &&ShelfSegment| needed(segment) > segment.media.len();
    let mut alike: BTreeMap<Vec<u32>, usize> = BTreeMap::new();
    for segment in segments.iter().filter(|segment| !is_short(segment)) {
        let mut media = segment.media.clone();
        media.sort_unstable();
        media.dedup();
        let most = alike.entry(media).or_default();
        *most = needed(segment).max(*most);
    }
    let demands: Vec<Demand> = alike.into_iter().map(|(media, needed)| Demand { needed, media }).collect();
    let first = most_useful_first(&demands);
    let mounts = in_order(&demands, &smallest(&demands, first));
    let bytes_from = |medium: &u32| {
        let of = segments.iter().filter(|segment| !is_short(segment) && segment.media.contains(medium));
        of.fold(0u64, |sum, segment| sum.saturating_add(segment.bytes_each))
    };
    let bytes = mounts.iter().map(bytes_from).collect();
    let short = (0..segments.len()).filter(|no| is_short(&&segments[*no])).collect();
    Choice { mounts, bytes, short }
}

/// Takes the medium that most unmet demands have until all are met, then leaves out what was not needed after all.
fn most_useful_first(demands: &[Demand]) -> Vec<u32> {
    let mut chosen: Vec<u32> = Vec::new();
    loop {
        let mut use_of: BTreeMap<u32, usize> = BTreeMap::new();
        for demand in demands.iter().filter(|demand| demand.missing(&chosen) > 0) {
            demand.media.iter().filter(|medium| !chosen.contains(medium)).for_each(|medium| {
                *use_of.entry(*medium).or_default() += 1;
            });
        }
        let Some((medium, _)) = use_of.into_iter().min_by_key(|(medium, uses)| (usize::MAX - uses, *medium)) else {
            break;
        };
        chosen.push(medium);
    }
    for medium in chosen.clone() {
        let without: Vec<u32> = chosen.iter().copied().filter(|other| *other != medium).collect();
        if demands.iter().all(|demand| demand.missing(&without) == 0) {
            chosen = without;
        }
    }
    chosen
}

/// A choice that is smaller than `first`, if there is one and it is found in time.
fn smallest(demands: &[Demand], first: Vec<u32>) -> Vec<u32> {
    let media: Vec<u32> = demands.iter().flat_map(|demand| demand.media.iter().copied()).collect();
    if media.iter().any(|medium| *medium >= EXACT_MEDIA_MAX) {
        return first;
    }
    let mask = |media: &[u32]| media.iter().fold(0u128, |mask, medium| mask | 1 << medium);
    let masks: Vec<(u32, u128)> =
        demands.iter().map(|demand| (u32::try_from(demand.needed).unwrap_or(u32::MAX), mask(&demand.media))).collect();
    let mut search = Search { demands: &masks, best: mask(&first), steps_left: EXACT_STEPS_MAX };
    search.go(0, 0);
    (0..EXACT_MEDIA_MAX).filter(|medium| search.best >> medium & 1 == 1).collect()
}

struct Search<'a> {
    demands: &'a [(u32, u128)],
    best: u128,
    steps_left: u32,
}

impl Search<'_> {
    /// Goes on from media that are taken and media that are left out.
    fn go(&mut self, taken: u128, out: u128) {
        if self.steps_left == 0 {
            return;
        }
        self.steps_left -= 1;
        let missing = |(needed, media): &(u32, u128)| needed.saturating_sub((media & taken).count_ones());
        let Some(worst) = self.demands.iter().copied().max_by_key(|demand| missing(demand)) else { return };
        if taken.count_ones() + missing(&worst) >= self.best.count_ones() {
            return;
        }
        let free = worst.1 & !taken & !out;
        match missing(&worst) {
            0 => self.best = taken,
            missing if free.count_ones() < missing => {}
            _ => {
                let useful = |medium: &u32| self.demands.iter().filter(|(_, media)| media >> medium & 1 == 1).count();
                let Some(next) = (0..u128::BITS).filter(|medium| free >> medium & 1 == 1).max_by_key(useful) else {
                    return;
                };
                self.go(taken | 1 << next, out);
                self.go(taken, out | 1 << next);
            }
        }
    }
}

/// The chosen media in an order: always the demand that is nearest to being met next.
fn in_order(demands: &[Demand], chosen: &[u32]) -> Vec<u32> {
    let mut order: Vec<u32> = Vec::with_capacity(chosen.len());
    while let Some(demand) = demands
        .iter()
        .filter(|demand| demand.missing(&order) > 0)
        .min_by_key(|demand| (demand.missing(&order), usize::MAX - demand.media.len()))
    {
        let uses = |medium: &u32| demands.iter().filter(|demand| demand.media.contains(medium)).count();
        let open = chosen.iter().filter(|medium| demand.media.contains(medium) && !order.contains(medium));
        match open.max_by_key(|medium| (uses(medium), u32::MAX - **medium)) {
            Some(medium) => order.push(*medium),
            None => break, // a choice meets every demand, so there is always one
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(needed: u32, media: &[u32]) -> ShelfSegment {
        ShelfSegment { needed, media: media.to_vec(), bytes_each: 10, ..ShelfSegment::default() }
    }

    fn is_enough(segments: &[ShelfSegment], mounts: &[u32]) -> bool {
        let met = |segment: &ShelfSegment| segment.media.iter().filter(|medium| mounts.contains(medium)).count();
        segments
            .iter()
            .all(|segment| segment.media.len() < segment.needed as usize || met(segment) >= segment.needed as usize)
    }

    #[test]
    fn any_k_of_the_media_of_a_segment_are_enough_and_those_that_serve_two_segments_are_taken() {
        let segments = [segment(4, &[0, 1, 2, 3, 4, 5]), segment(4, &[2, 3, 4, 5, 6, 7])];
        let choice = choose(&segments);
        assert_eq!(choice.mounts, [2, 3, 4, 5]);
        assert_eq!(choice.bytes, [20; 4]);
    }

    #[test]
    fn nothing_to_mount_and_segments_that_are_short_of_media_are_told_apart() {
        assert_eq!(choose(&[]), Choice::default());
        let choice = choose(&[segment(4, &[0, 1, 2]), segment(1, &[3, 4])]);
        assert_eq!((choice.short, choice.mounts.len()), (vec![0], 1));
    }

    #[test]
    fn a_choice_is_smaller_than_what_the_most_useful_first_gives_where_that_is_not_best() {
        // the medium 9 is in most segments, and with it three are needed; without it two are
        let segments = [
            segment(1, &[1, 9]),
            segment(1, &[1, 8]),
            segment(1, &[2, 9]),
            segment(1, &[2, 8]),
            segment(1, &[9, 1, 2]),
        ];
        let choice = choose(&segments);
        assert_eq!(choice.mounts.len(), 2, "{choice:?}");
        assert!(is_enough(&segments, &choice.mounts));
    }

    #[test]
    fn what_becomes_readable_soonest_is_mounted_first() {
        let choice = choose(&[segment(3, &[0, 1, 2]), segment(1, &[5])]);
        assert_eq!(choice.mounts[0], 5);
    }

    #[test]
    fn hundreds_of_media_and_thousands_of_segments_are_chosen_from_in_bounded_steps() {
        let of = |no: u32| (0..6).map(|i| (no * 7 + i * 31) % 300).collect::<Vec<u32>>();
        let segments: Vec<ShelfSegment> = (0..3000).map(|no| segment(4, &of(no))).collect();
        assert!(is_enough(&segments, &choose(&segments).mounts));
    }

    proptest! {
        #[test]
        fn a_choice_is_enough_and_no_smaller_one_is(
            asked in prop::collection::vec((1u32..4, prop::collection::btree_set(0u32..9, 1..6)), 0..8),
        ) {
            let segments: Vec<ShelfSegment> = asked
                .iter()
                .map(|(needed, media)| segment(*needed, &media.iter().copied().collect::<Vec<_>>()))
                .collect();
            let choice = choose(&segments);
            prop_assert!(is_enough(&segments, &choice.mounts));
            let enough = |set: &u32| is_enough(&segments, &(0..9).filter(|medium| set >> medium & 1 == 1).collect::<Vec<_>>());
            let fewest = (0..1u32 << 9).filter(enough).map(|set| set.count_ones() as usize).min();
            prop_assert_eq!(Some(choice.mounts.len()), fewest);
        }
    }
}
