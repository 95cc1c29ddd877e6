//! The one source of chance in a run. Streams for the workload, the media and the engine are forked from one seed, so that
//! switching a job off does not change what the others draw.

use parking_lot::Mutex;
use shosoin_tiers::{Random, Result};

/// A seeded stream of numbers (splitmix64: small, fast, and the same on every machine). Never for keys.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Rng(seed ^ 0x5348_4f53_4f49_4e21)
    }

    /// Another stream, named so that two forks of one seed differ.
    pub fn fork(seed: u64, name: &str) -> Self {
        let named = blake3::hash(name.as_bytes());
        let mut salt = [0; 8];
        salt.copy_from_slice(&named.as_bytes()[..8]);
        Rng(Rng::new(seed).next() ^ u64::from_le_bytes(salt))
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 where `bound` is 0. The bias of a remainder does not matter here.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A place in something of `len` items.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or_default()
    }

    /// True once in `one_in` times; never where that is 0.
    pub fn once_in(&mut self, one_in: u64) -> bool {
        let drawn = self.next();
        one_in > 0 && drawn.is_multiple_of(one_in)
    }

    /// How often something happens that happens `per_million` times in a million on average.
    pub fn times(&mut self, per_million: u64) -> u64 {
        per_million / 1_000_000 + u64::from(self.below(1_000_000) < per_million % 1_000_000)
    }

    /// Fills `out`.
    pub fn fill(&mut self, out: &mut [u8]) {
        for part in out.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_le_bytes()[..part.len()]);
        }
    }
}

/// A stream for the engine.
#[derive(Debug)]
pub struct EngineRandom(Mutex<Rng>);

impl EngineRandom {
    /// The engine's stream of `seed`.
    pub fn new(seed: u64) -> Self {
        EngineRandom(Mutex::new(Rng::fork(seed, "engine")))
    }
}

impl Random for EngineRandom {
    fn fill(&self, out: &mut [u8]) -> Result<()> {
        self.0.lock().fill(out);
        Ok(())
    }
}
