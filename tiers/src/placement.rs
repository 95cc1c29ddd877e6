//! Placement: which volumes get the shards of a new segment, so that no one cause takes more than m of them.
//!
//! Invariants
//! - Shards are on distinct volumes.
//! - At most m shards share a lot, firmware, host, power feed, rack or device; one, where there is a choice. Text that a
//!   label leaves empty states nothing and is compared with nothing.
//! - What cannot be kept is refused, unless the vault is labelled a demo.

use crate::volume::{Domains, VolumeLabel};
use crate::{Code, Error, Result};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{SegmentId, VolumeId};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A volume that could hold a shard.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// what it says about itself
    pub label: &'a VolumeLabel,
    /// room on it, in bytes
    pub free_bytes: u64,
}

/// What is to be placed.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// code of the segment
    pub code: Code,
    /// the segment; decides ties, so that parity is not always on the same volumes
    pub segment: SegmentId,
    /// room that each shard needs, in bytes
    pub shard_bytes: u64,
    /// whether the vault is labelled a demo: distinct volumes are enough
    pub demo: bool,
}

/// Steps that one search may take. Real sets of volumes need a few dozen; a search that is cut off counts as failed.
const SEARCH_STEPS_MAX: usize = 20_000;

/// Chooses k + m of `candidates`, given as indexes in shard order. Volumes with more room are preferred.
pub fn place(request: &Request, candidates: &[Candidate<'_>]) -> Result<Vec<usize>> {
    let wanted = request.code.shards();
    let roomy = |index: &usize| candidates[*index].free_bytes >= request.shard_bytes;
    let mut offered: Vec<usize> = (0..candidates.len()).filter(roomy).collect();
    let rank = |index: usize| rank(request.segment, candidates[index].label.id);
    offered.sort_by_key(|index| (Reverse(candidates[*index].free_bytes), rank(*index)));
    let refused = |why| Error::Placement { wanted, offered: offered.len(), why };
    if offered.len() < wanted {
        return Err(refused(format!("each needs {} free bytes", request.shard_bytes)));
    }
    let domains: Vec<Shared<'_>> = offered.iter().map(|index| shared(candidates[*index].label)).collect();
    let found = (1..=request.code.m()).find_map(|limit| Search::run(&domains, wanted, limit));
    let mut chosen: Vec<usize> = match found {
        Some(places) => places.into_iter().map(|place| offered[place]).collect(),
        None if request.demo => offered[..wanted].to_vec(),
        None => return Err(refused(reason(&domains, wanted, request.code.m()))),
    };
    chosen.sort_by_key(|index| rank(*index));
    Ok(chosen)
}

/// Chooses one of `candidates`, given as its index, for a shard beside `others`: the one that shares least with them, and
/// of these the one with most room.
pub fn place_one(
    code: Code,
    segment: SegmentId,
    others: &[&VolumeLabel],
    candidates: &[Candidate<'_>],
    demo: bool,
) -> Result<usize> {
    let others: Vec<Shared<'_>> = others.iter().map(|label| shared(label)).collect();
    let crowd = |index: usize| {
        let own = shared(candidates[index].label);
        let stated = own.iter().enumerate().filter_map(|(kind, value)| Some((kind, (*value)?)));
        let sharing = stated.map(|(kind, value)| others.iter().filter(|other| other[kind] == Some(value)).count() + 1);
        sharing.max().unwrap_or(1)
    };
    let merit = |index: &usize| {
        let Candidate { label, free_bytes } = candidates[*index];
        (crowd(*index), Reverse(free_bytes), rank(segment, label.id))
    };
    let best = (0..candidates.len()).min_by_key(merit);
    let allowed = best.filter(|index| demo || crowd(*index) <= code.m());
    let why = || match candidates.is_empty() {
        true => "no further volume has room and takes new shards".to_owned(),
        false => format!("at most {} may share a {}", code.m(), KINDS.join(", ")),
    };
    allowed.ok_or_else(|| Error::Placement { wanted: 1, offered: candidates.len(), why: why() })
}

/// Spreads segments over volumes of equal merit.
fn rank(segment: SegmentId, volume: VolumeId) -> [u8; 32] {
    sha256(&[&segment.0, &volume.0]).0
}

/// What a volume may be lost together with, by kind; `None` where it is not stated.
type Shared<'a> = [Option<&'a str>; KINDS.len()];

/// The kinds of [`Shared`]. The site is not among them: one vault is one site.
const KINDS: [&str; 6] = ["lot", "firmware", "host", "power feed", "rack", "device"];

fn shared(label: &VolumeLabel) -> Shared<'_> {
    let Domains { host, power, rack, device, .. } = &label.domains;
    [&label.lot, &label.firmware, host, power, rack, device]
        .map(|text| Some(text.as_str()).filter(|text| !text.is_empty()))
}

/// Which kind makes a choice with at most `limit` of each value impossible by itself, if one does, and how many volumes
/// it leaves.
fn bottleneck(domains: &[Shared<'_>], wanted: usize, limit: usize) -> Option<(&'static str, usize)> {
    let usable = |kind: usize| {
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        let stated = domains.iter().filter_map(|shared| shared[kind]);
        stated.for_each(|value| *count.entry(value).or_default() += 1);
        let unstated = domains.iter().filter(|shared| shared[kind].is_none()).count();
        unstated + count.values().map(|count| limit.min(*count)).sum::<usize>()
    };
    let mut kinds = KINDS.iter().enumerate().map(|(index, kind)| (*kind, usable(index)));
    kinds.find(|(_, usable)| *usable < wanted)
}

fn reason(domains: &[Shared<'_>], wanted: usize, limit: usize) -> String {
    match bottleneck(domains, wanted, limit) {
        Some((kind, usable)) => format!("at most {limit} may share a {kind}, which leaves {usable}"),
        None => format!("at most {limit} may share a {}, and no combination does", KINDS.join(", ")),
    }
}

/// A depth-first search in order of preference.
struct Search<'a> {
    domains: &'a [Shared<'a>],
    wanted: usize,
    limit: usize,
    steps: usize,
    chosen: Vec<usize>,
}

impl<'a> Search<'a> {
    /// The first `wanted` places, in order of preference, of which at most `limit` share anything.
    fn run(domains: &'a [Shared<'a>], wanted: usize, limit: usize) -> Option<Vec<usize>> {
        let impossible = bottleneck(domains, wanted, limit).is_some();
        let mut search = Search { domains, wanted, limit, steps: 0, chosen: Vec::with_capacity(wanted) };
        (!impossible && search.complete(0)).then_some(search.chosen)
    }

    /// Completes the choice from the places at `from` on; leaves it as it was where that fails.
    fn complete(&mut self, from: usize) -> bool {
        let missing = self.wanted - self.chosen.len();
        if missing == 0 {
            return true;
        }
        for place in from..=self.domains.len().saturating_sub(missing) {
            self.steps += 1;
            if self.steps > SEARCH_STEPS_MAX {
                return false;
            }
            if self.fits(place) {
                self.chosen.push(place);
                if self.complete(place + 1) {
                    return true;
                }
                self.chosen.pop();
            }
        }
        false
    }

    fn fits(&self, place: usize) -> bool {
        let shares =
            |kind: usize, value| self.chosen.iter().filter(|other| self.domains[**other][kind] == Some(value)).count();
        let mut stated = self.domains[place].iter().enumerate().filter_map(|(kind, value)| Some((kind, (*value)?)));
        stated.all(|(kind, value)| shares(kind, value) < self.limit)
    }
}

#[cfg(test)]
mod tests;
