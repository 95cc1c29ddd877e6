//! Decay: what happens to media that nobody touches, and to whole volumes. Everything asks the budget first.

use crate::disk::{Health, Shared};
use crate::fault::FaultKind;
use crate::world::{DAY_MS, State, wide};
use shosoin_protocol::SegmentId;
use shosoin_tiers::layout::{BLOCK_BYTES, LABEL, LABEL_BAK};

/// How often things happen to one volume, per million volume-days.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecayRates {
    /// latent faults: sectors, flips, pages
    pub latent: u64,
    /// one copy of the label
    pub label: u64,
    /// slow, flapping or full for a while
    pub episode: u64,
    /// read-only, for good
    pub read_only: u64,
    /// dead
    pub death: u64,
    /// a whole lot dead, per million days of all volumes
    pub lot_death: u64,
}

/// How long after an episode the operator has taken the volume into use again.
const SETTLE_MS: u64 = 12 * DAY_MS;

/// Days for which the page cache holds a file on average.
const CACHED_DAYS: u64 = 90;

/// Blocks that one latent fault may take in a row.
const CLUSTER_MAX: u64 = 6;

impl State {
    /// Lets `days` pass over one medium.
    pub fn decay(&mut self, disk: usize, days: u64, rates: &DecayRates, now_ms: u64) {
        if self.disks[disk].health != Health::Present {
            return;
        }
        let wear = self.wear(disk, now_ms);
        for _ in 0..self.rng.times(rates.latent * days * wear) {
            self.latent(disk, now_ms);
        }
        for _ in 0..self.rng.times(rates.label * days) {
            self.damage_label(disk);
        }
        if self.rng.times(rates.episode * days) > 0 {
            self.episode(disk, now_ms);
        }
        if self.rng.times(rates.read_only * days) > 0 && !self.disks[disk].is_read_only {
            self.disks[disk].is_read_only = true;
            self.counts.add(FaultKind::ReadOnlyVolume);
        }
        if self.rng.times(rates.death * days * wear) > 0 {
            self.kill(&[disk], FaultKind::VolumeDeath, now_ms);
        }
        if self.rng.once_in(CACHED_DAYS / days.clamp(1, CACHED_DAYS)) {
            self.disks[disk].evict();
        }
    }

    /// How many times the usual rate a medium fails: more once its rated life is over.
    fn wear(&self, disk: usize, now_ms: u64) -> u64 {
        let over_ms = now_ms.saturating_sub(self.disks[disk].rated_until_ms);
        1 + (over_ms / (90 * DAY_MS)).min(20) * 2
    }

    /// One latent fault somewhere on a medium.
    fn latent(&mut self, disk: usize, now_ms: u64) {
        let shards: Vec<(SegmentId, u8, Shared)> =
            self.disks[disk].shards().map(|(segment, shard, file)| (segment, shard, file.clone())).collect();
        if shards.is_empty() {
            return;
        }
        let (segment, shard, file) = &shards[self.rng.index(shards.len())];
        let mut file = file.lock();
        let blocks = file.len() / BLOCK_BYTES;
        if blocks == 0 {
            return;
        }
        let first = self.rng.index(blocks);
        let kind = self.rng.below(10);
        let count = if kind < 4 { 1 + self.rng.index(usize::try_from(CLUSTER_MAX).unwrap_or(1)) } else { 1 };
        for block in first..blocks.min(first + count) {
            let range = block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES;
            if !self.budget.ruin(*segment, *shard, wide(&range), now_ms, now_ms + self.window_ms) {
                return;
            }
            let kind = match kind {
                0..4 => {
                    file.kill_block(block);
                    FaultKind::LatentSector
                }
                4..7 => {
                    let (at, mask) = (range.start + self.rng.index(BLOCK_BYTES), 1 << self.rng.below(8));
                    file.spoil(at..at + 1, |_, bytes| bytes[0] ^= mask);
                    FaultKind::BitFlip
                }
                7..9 => {
                    let stale = file.block(self.rng.index(blocks));
                    file.spoil(range, |_, bytes| bytes.copy_from_slice(&stale[..bytes.len()]));
                    FaultKind::StalePage
                }
                _ => {
                    file.spoil(range, |_, bytes| bytes.fill(0));
                    FaultKind::ZeroPage
                }
            };
            self.counts.add(kind);
        }
    }

    /// One copy of a label decays, if the other one is good.
    fn damage_label(&mut self, disk: usize) {
        let paths = if self.rng.once_in(2) { [LABEL, LABEL_BAK] } else { [LABEL_BAK, LABEL] };
        let [Some(victim), Some(other)] = paths.map(|path| self.disks[disk].file(path).cloned()) else { return };
        let whole = |file: &Shared| {
            let file = file.lock();
            file.len() > 0 && file.unsynced().next().is_none() && file.is_whole(0..file.len())
        };
        if !whole(&victim) || !whole(&other) {
            return;
        }
        let mut victim = victim.lock();
        let (at, mask) = (self.rng.index(victim.len()), 1 << self.rng.below(8));
        match self.rng.once_in(3) {
            true => victim.kill_block(0),
            false => victim.spoil(at..at + 1, |_, bytes| bytes[0] ^= mask),
        }
        self.counts.add(FaultKind::LabelDamage);
    }

    /// A medium is slow, comes and goes, or has no room for a while.
    fn episode(&mut self, disk: usize, now_ms: u64) {
        let until_ms = now_ms + DAY_MS * (1 + self.rng.below(6));
        let kind = self.rng.below(3);
        if kind == 0 {
            self.disks[disk].full_until_ms = until_ms;
            return self.counts.add(FaultKind::VolumeFull);
        }
        let shards = self.shards_on(disk);
        if !self.budget.take_away(&shards, now_ms, until_ms + SETTLE_MS) {
            return;
        }
        if kind == 1 {
            self.disks[disk].slow_until_ms = until_ms;
            self.counts.add(FaultKind::SlowVolume);
        } else {
            self.disks[disk].flaps_until_ms = until_ms;
            self.counts.add(FaultKind::FlappingVolume);
        }
    }

    /// Media die together, for good; false where the budget has no room for it.
    pub fn kill(&mut self, disks: &[usize], kind: FaultKind, now_ms: u64) -> bool {
        let shards: Vec<(SegmentId, u8)> = disks.iter().flat_map(|disk| self.shards_on(*disk)).collect();
        if !self.budget.take_away(&shards, now_ms, crate::budget::FOR_GOOD) {
            return false;
        }
        disks.iter().for_each(|disk| self.disks[*disk].health = Health::Dead);
        self.counts.add(kind);
        true
    }

    /// All present media of one lot die, if the budget has room for it.
    pub fn kill_lot(&mut self, now_ms: u64) {
        let present: Vec<usize> =
            (0..self.disks.len()).filter(|disk| self.disks[*disk].health == Health::Present).collect();
        if present.is_empty() {
            return;
        }
        let lot = self.disks[present[self.rng.index(present.len())]].label.lot.clone();
        let same: Vec<usize> = present.into_iter().filter(|disk| self.disks[*disk].label.lot == lot).collect();
        self.kill(&same, FaultKind::LotDeath, now_ms);
    }
}
