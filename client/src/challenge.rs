//! Which records an audit asks for: how many, and which ones.
//!
//! *How many.* Of `N` records at least `D = ceil(f N)` are damaged if the fraction `f` is. `n` of them, drawn without
//! repetition, miss all damage with probability `C(N - D, n) / C(N, n)`, the hypergeometric one; the smallest `n` for which
//! that is at most `1 - confidence` is asked for. It is never more than `ln(1 - confidence) / ln(1 - f)`, what drawing with
//! repetition needs however large `N` is, so one pass over the ledger suffices to draw without knowing `N`.
//!
//! *Which.* Every record of every deposit gets a random number as the ledger is read, and the records with the smallest
//! numbers are asked for. The numbers come from a seed of the system's randomness that the vault never sees.
//!
//! Source: Ateniese et al., "Provable Data Possession at Untrusted Stores", 2007, section 4.3.

use crate::{Error, Result};
use shosoin_protocol::{Address, Digest, VersionId};
use std::collections::BinaryHeap;

/// Records of one audit: more would be read faster with `verify --all --content`.
pub const SAMPLE_MAX: usize = 1 << 20;

/// What an audit is to find out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// probability, below 1, with which damage is found if there is as much as `damage`
    pub confidence: f64,
    /// fraction of the records whose damage must not go unnoticed
    pub damage: f64,
}

impl Wanted {
    /// Refuses what no sample can give.
    pub fn check(self) -> Result<Self> {
        let inside = |value: f64| value > 0.0 && value < 1.0;
        match (inside(self.confidence), inside(self.damage)) {
            (true, true) => Ok(self),
            (false, _) => Err(Error::Invalid { what: "confidence", why: "it must be between 0 and 1, as in 0.99" }),
            (_, false) => Err(Error::Invalid { what: "damage", why: "it must be between 0 and 1, as in 0.001" }),
        }
    }

    /// Records that suffice however many there are.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared with the limit before")]
    fn bound(self) -> usize {
        let bound = ((-self.confidence).ln_1p() / (-self.damage).ln_1p()).ceil();
        if bound < SAMPLE_MAX as f64 { (bound as usize).max(1) } else { SAMPLE_MAX }
    }

    /// Records to ask for, of `population`; an error where that is more than an audit may ask.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a population below 2^52 is exact, and a fraction of it is smaller"
    )]
    pub fn sample_size(self, population: u64) -> Result<usize> {
        let damaged = ((self.damage * population as f64).ceil() as u64).clamp(1, population.max(1));
        let (mut missed, wanted, mut sample) = (0.0f64, (-self.confidence).ln_1p(), 0u64);
        while missed > wanted && sample + damaged <= population {
            let left = population - sample;
            missed += (-(damaged as f64) / left as f64).ln_1p();
            sample += 1;
            if sample > SAMPLE_MAX as u64 {
                let (found, limit) = (sample, SAMPLE_MAX as u64);
                return Err(Error::OverLimit { what: "sample of the audit", found, limit });
            }
        }
        usize::try_from(sample.min(population)).map_err(|_| Error::Lost { task: "a sample" })
    }
}

/// Where a record is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// by the entry itself
    Own(Address),
    /// by the address list of the entry
    Listed {
        /// address of the list
        list: Address,
        /// its root, as the entry commits to it
        root: Digest,
        /// addresses in it
        count: u32,
        /// which of them
        slot: u32,
    },
}

/// A record that may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// how it is named
    pub named: Named,
    /// leaf index of the entry
    pub leaf_index: u64,
    /// version, or id of the change, of the entry
    pub version: VersionId,
}

/// A draw from records that come by one after the other.
pub struct Draw {
    random: blake3::OutputReader,
    keep: usize,
    /// those with the smallest numbers so far, the largest on top
    kept: BinaryHeap<(u64, Target)>,
    population: u64,
}

impl Draw {
    /// A draw for `wanted`, with a seed that nobody else knows.
    pub fn new(wanted: Wanted) -> Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| Error::Randomness { why: error.to_string() })?;
        Ok(Draw::seeded(wanted, &seed))
    }

    fn seeded(wanted: Wanted, seed: &[u8; 32]) -> Self {
        let random = blake3::Hasher::new_derive_key("shosoin v1 audit draw").update(seed).finalize_xof();
        Draw { random, keep: wanted.bound(), kept: BinaryHeap::new(), population: 0 }
    }

    /// Takes a record into account.
    pub fn offer(&mut self, target: Target) {
        let mut number = [0; 8];
        self.random.fill(&mut number);
        let number = u64::from_le_bytes(number);
        self.population += 1;
        if self.kept.len() < self.keep {
            self.kept.push((number, target));
        } else if self.kept.peek().is_some_and(|(largest, _)| number < *largest) {
            self.kept.pop();
            self.kept.push((number, target));
        }
    }

    /// How many came by.
    pub fn population(&self) -> u64 {
        self.population
    }

    /// The `sample` that were drawn, by how they are named.
    pub fn finish(self, sample: usize) -> Vec<Target> {
        let drawn = self.kept.into_sorted_vec().into_iter().take(sample);
        let mut drawn: Vec<Target> = drawn.map(|(_, target)| target).collect();
        drawn.sort_unstable();
        drawn
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Probability that `sample` of `population` miss all of `damaged`, from the definition, in whole numbers' products.
    fn miss(population: u64, damaged: u64, sample: u64) -> f64 {
        (0..sample).map(|drawn| (population - damaged - drawn) as f64 / (population - drawn) as f64).product()
    }

    #[test]
    fn the_sample_is_the_smallest_that_gives_the_wanted_confidence() {
        for population in [1, 2, 7, 100, 1000, 54_321] {
            for (confidence, damage) in [(0.5, 0.5), (0.95, 0.01), (0.99, 0.001), (0.999, 0.05), (0.9, 1e-9)] {
                let wanted = Wanted { confidence, damage };
                let sample = wanted.sample_size(population).unwrap() as u64;
                let damaged = ((damage * population as f64).ceil() as u64).max(1);
                let short = population < sample + damaged;
                assert!(
                    short || miss(population, damaged, sample) <= 1.0 - confidence + 1e-9,
                    "{population} {wanted:?}"
                );
                assert!(
                    sample == 0 || miss(population, damaged, sample - 1) > 1.0 - confidence - 1e-9,
                    "{population} {wanted:?}: fewer would do"
                );
                assert!(sample as usize <= wanted.bound().max(population as usize));
            }
        }
        let wanted = Wanted { confidence: 0.99, damage: 0.001 };
        assert_eq!(wanted.bound(), 4603, "as tables of acceptance sampling have it");
        assert!(wanted.sample_size(u64::MAX >> 16).unwrap() <= 4603);
        assert_eq!(wanted.sample_size(0).unwrap(), 0);
        assert!(Wanted { confidence: 0.99, damage: 1e-9 }.sample_size(1 << 40).is_err());
        for wrong in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(Wanted { confidence: wrong, damage: 0.1 }.check().is_err());
            assert!(Wanted { confidence: 0.9, damage: wrong }.check().is_err());
        }
    }

    fn target(leaf_index: u64) -> Target {
        Target { named: Named::Own(Address([1; 32])), leaf_index, version: VersionId([2; 16]) }
    }

    #[test]
    fn every_record_is_drawn_as_often_as_any_other_and_none_twice() {
        let wanted = Wanted { confidence: 0.9, damage: 0.2 };
        let (population, rounds) = (40u64, 4000u32);
        let sample = wanted.sample_size(population).unwrap();
        let mut times: HashMap<u64, u32> = HashMap::new();
        for round in 0..rounds {
            let mut seed = [0; 32];
            seed[..4].copy_from_slice(&round.to_le_bytes());
            let mut draw = Draw::seeded(wanted, &seed);
            (0..population).for_each(|index| draw.offer(target(index)));
            assert_eq!(draw.population(), population);
            let drawn = draw.finish(sample);
            assert_eq!(drawn.len(), sample);
            assert!(drawn.is_sorted_by(|one, next| one < next), "each once");
            drawn.iter().for_each(|target| *times.entry(target.leaf_index).or_default() += 1);
        }
        let expected = f64::from(rounds) * sample as f64 / population as f64;
        for index in 0..population {
            let found = f64::from(times[&index]);
            assert!((found - expected).abs() < 6.0 * expected.sqrt(), "{index}: {found} of {expected}");
        }
    }
}
