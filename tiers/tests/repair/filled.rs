//! One closed segment, whose every byte is known, and what to do with it.

use crate::common::{Rig, Stored, append, assert_all_read, volume_no};
use shosoin_tiers::{Repaired, Threads, Tier, Unpaced};
use std::collections::{BTreeMap, BTreeSet};

/// The content of every shard file, by path: a path says segment and shard, and nothing of the volume.
pub type Shards = BTreeMap<String, Vec<u8>>;

pub struct Filled {
    pub rig: Rig,
    pub stored: Vec<Stored>,
    pub shards: Shards,
    /// the volume of each shard, by number
    pub volumes: Vec<usize>,
    /// where each stripe begins, and the last one ends
    pub stripes: Vec<usize>,
}

/// One closed segment of three stripes on as many volumes as it needs, and `spare` empty ones.
pub fn filled(code: &str, spare: usize) -> Filled {
    let mut rig = Rig::new(code, spare);
    rig.options.threads = Threads::None;
    let needed = rig.options.code.shards();
    let (tier, _) = rig.open_without(&(needed..needed + spare).collect::<Vec<_>>()).unwrap();
    let stored = [0..5, 5..8, 8..12].map(|numbers| append(&tier, numbers).unwrap()).concat();
    tier.close().unwrap();
    filled_of(rig, &tier, stored)
}

pub fn filled_of(rig: Rig, tier: &Tier, stored: Vec<Stored>) -> Filled {
    let info = tier.segments().remove(0);
    let volumes = info.shards.iter().map(|volume| volume_no(volume.unwrap())).collect();
    let starts: BTreeSet<u64> = stored.iter().map(|stored| stored.location.stripe_at).chain([info.end]).collect();
    let stripes = starts.into_iter().map(|at| usize::try_from(at).unwrap()).collect();
    let shards =
        rig.media.iter().flat_map(|media| media.image()).filter(|(path, _)| path.ends_with(".shard")).collect();
    Filled { rig, stored, shards, volumes, stripes }
}

impl Filled {
    pub fn path(&self, shard: usize) -> String {
        self.shards.keys().find(|path| path.ends_with(&format!("-{shard}.shard"))).unwrap().clone()
    }

    pub fn damage(&self, shard: usize, change: impl FnOnce(&mut Vec<u8>)) {
        self.rig.media[self.volumes[shard]].tamper(&self.path(shard), change).unwrap();
    }

    pub fn flip(&self, shard: usize, stripe: usize) {
        let at = self.stripes[stripe] + 2000;
        self.damage(shard, |bytes| bytes[at] ^= 4);
    }

    pub fn images(&self) -> Vec<BTreeMap<String, Vec<u8>>> {
        self.rig.media.iter().map(|media| media.image()).collect()
    }

    /// Every shard is on a volume of its own, byte for byte what it was, and nothing else lies about.
    #[track_caller]
    pub fn assert_whole(&self, tier: &Tier, what: &str) {
        let mut seen = BTreeSet::new();
        for segment in tier.segments() {
            for (shard, volume) in segment.shards.iter().enumerate() {
                let volume = volume.unwrap_or_else(|| panic!("{what}: shard {shard} is missing"));
                assert!(seen.insert(volume), "{what}: two shards on {volume}");
                let image = self.rig.media[volume_no(volume)].image();
                let path = self.path(shard);
                assert!(image.get(&path) == self.shards.get(&path), "{what}: shard {shard} is not what it was");
            }
            assert_eq!(tier.check_segment(segment.id), [], "{what}");
        }
        assert_all_read(tier, &self.stored, what);
    }

    pub fn assert_no_temporary(&self, what: &str) {
        let paths: Vec<String> = self.rig.media.iter().flat_map(|media| media.paths()).collect();
        assert!(!paths.iter().any(|path| path.ends_with(".tmp")), "{what}: {paths:?}");
    }
}

/// Repairs until nothing waits that may be tried.
#[track_caller]
pub fn repair_all(tier: &Tier) -> Vec<Repaired> {
    let mut done = Vec::new();
    while let Some(repaired) = tier.repair_next(&Unpaced).unwrap() {
        done.push(repaired);
        assert!(done.len() < 20, "the queue never ends: {done:?}");
    }
    done
}

/// Reads every unit and footer, which queues what is bad, and repairs it.
pub fn check_and_repair(tier: &Tier) -> Vec<Repaired> {
    tier.segments().iter().for_each(|segment| drop(tier.check_segment(segment.id)));
    repair_all(tier)
}

pub fn choices(of: usize, count: usize) -> Vec<Vec<usize>> {
    let sets = (0u32..1 << of).filter(|set| set.count_ones() as usize == count);
    sets.map(|set| (0..of).filter(|no| set & (1 << no) != 0).collect()).collect()
}
