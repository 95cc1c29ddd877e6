//! The operator: buys media in lots, replaces what died when the technician comes, moves data on before rated life ends,
//! and makes the mistakes that operators make.

use crate::disk::{Disk, Folder, Health, Shared, shard_name};
use crate::fault::FaultKind;
use crate::media::SimMedia;
use crate::outcome::Rule;
use crate::rng::Rng;
use crate::run::{Run, START_MS};
use crate::world::{DAY_MS, State};
use shosoin_protocol::{SegmentId, VolumeId};
use shosoin_tiers::volume::{Domains, MediaClass, RatedLife, TierKind};
use shosoin_tiers::{
    Drain, DrainPhase, Error, RepairItem, Tour, Unpaced, VerifiedCopy, Volume, VolumeLabel, VolumeState, VolumeStatus,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Days before the end of rated life at which copying forward begins.
const LEAD_DAYS: u64 = 240;

/// Media of one lot that are bought together: few enough that placement need not put two of them under one segment.
const LOTS: usize = 6;

/// What the operator remembers from day to day.
#[derive(Debug)]
pub(crate) struct Operator {
    rng: Rng,
    volumes: usize,
    bought: u64,
    /// dead volumes, and when the technician comes
    visits: BTreeMap<usize, u64>,
    /// healthy volumes that were pulled, and when somebody notices
    pulled: BTreeMap<usize, u64>,
    /// volumes that could not be listed and are mounted again at the next occasion
    remounts: Vec<VolumeId>,
    /// images of volumes, and when they were taken
    images: VecDeque<(usize, u64, BTreeMap<String, Folder>)>,
    /// generation that each label was last known by
    pub generations: BTreeMap<VolumeId, u64>,
    /// volumes being emptied, with the cursor as it is stored
    pub drains: BTreeMap<VolumeId, Vec<u8>>,
    /// tours under way, with the cursor as it is stored
    pub tours: BTreeMap<VolumeId, Vec<u8>>,
    /// the repair queue as it is stored
    pub repairs: Vec<RepairItem>,
    /// when each volume was last toured to its end
    pub toured_ms: BTreeMap<VolumeId, u64>,
}

impl Operator {
    pub fn new(seed: u64, volumes: usize) -> Self {
        Operator {
            rng: Rng::fork(seed, "operator"),
            volumes,
            bought: 0,
            visits: BTreeMap::new(),
            pulled: BTreeMap::new(),
            remounts: Vec::new(),
            images: VecDeque::new(),
            generations: BTreeMap::new(),
            drains: BTreeMap::new(),
            tours: BTreeMap::new(),
            repairs: Vec::new(),
            toured_ms: BTreeMap::new(),
        }
    }

    /// Whether every volume that is not there was declared lost.
    pub fn expects_none_back(&self) -> bool {
        self.visits.is_empty() && self.pulled.is_empty()
    }

    /// Whether a volume is in use although it could not be listed.
    pub fn is_unlisted(&self, volume: VolumeId) -> bool {
        self.remounts.contains(&volume)
    }

    /// A new medium of the generation of the day: every five years another class, and more room.
    fn buy(&mut self, now_ms: u64, used_days: u64, tier: TierKind) -> Disk {
        const CLASSES: [(MediaClass, u64); 4] =
            [(MediaClass::Hdd, 5), (MediaClass::Ssd, 7), (MediaClass::Optical, 10), (MediaClass::Tape, 8)];
        let no = self.bought;
        self.bought += 1;
        let generation = (now_ms - START_MS) / (5 * 365 * DAY_MS);
        let (class, years) = CLASSES[usize::try_from(generation).unwrap_or(0) % CLASSES.len()];
        let mut id = [0; 16];
        self.rng.fill(&mut id);
        let first_use_ms = now_ms - used_days * DAY_MS;
        let lot = no % LOTS as u64 + no / self.volumes as u64 * LOTS as u64;
        let label = VolumeLabel {
            vendor: format!("maker {}", generation % 3),
            model: format!("generation {generation}"),
            serial: format!("{no:05}"),
            lot: format!("lot {lot}"),
            firmware: format!("firmware {lot}"),
            rated_life: RatedLife::Years(u32::try_from(years).unwrap_or(u32::MAX)),
            domains: Domains { host: format!("host {}", no % LOTS as u64), ..Domains::default() },
            ..VolumeLabel::new(VolumeId(id), tier, class, first_use_ms)
        };
        let spread = self.rng.below(365);
        let rated_until_ms = first_use_ms + (years * 365 + spread) * DAY_MS;
        let mut disk = Disk::new(format!("slot {no}"), label, (256 << 20) << generation.min(8), rated_until_ms);
        disk.is_buffered = no.is_multiple_of(2);
        disk
    }
}

impl Run<'_> {
    /// The first volumes: of different ages, so that they do not end together.
    pub fn install(&mut self) {
        for no in 0..self.options.volumes {
            let used_days = (no as u64 * 1600 / self.options.volumes as u64).min(1600);
            self.new_volume(used_days, TierKind::Hot);
        }
        for no in 0..self.options.archive {
            let used_days = (no as u64 * 1500 / self.options.archive as u64).min(1500);
            self.new_volume(used_days, TierKind::Archive);
        }
    }

    /// Puts a new, labelled volume into the world.
    fn new_volume(&mut self, used_days: u64, tier: TierKind) -> Option<usize> {
        let now_ms = self.world.now_ms();
        let disk = self.operator.buy(now_ms, used_days, tier);
        let (label, volume) = (disk.label.clone(), disk.id());
        let no = self.world.with(|state| {
            state.disks.push(disk);
            state.disks.len() - 1
        });
        self.operator.toured_ms.insert(volume, now_ms);
        if Volume::create(Arc::new(SimMedia::new(&self.world, no)), label).is_err() {
            // only a killed process does that: the medium is thrown away
            self.world.with(|state| state.disks[no].health = Health::Retired);
            return None;
        }
        Some(no)
    }

    /// What the operator does on this day.
    pub fn operate(&mut self) {
        self.look();
        self.note_deaths();
        self.visit();
        self.put_back();
        self.remount();
        self.attach_what_answers_again();
        self.begin_drains();
        if self.operator.rng.once_in(120) {
            self.take_image();
        }
        if self.operator.rng.once_in(200) {
            self.clone_a_volume();
        }
    }

    fn present(&self) -> Vec<usize> {
        self.world
            .with(|state| (0..state.disks.len()).filter(|disk| state.disks[*disk].health == Health::Present).collect())
    }

    /// Whoever keeps a tier looks at its volumes now and then, and remembers the generation of each label.
    fn look(&mut self) {
        let Some(tier) = &self.tier else { return };
        tier.look_at_volumes();
        let met = tier.list_again().unwrap_or_default();
        for mounted in tier.mounted() {
            let known = self.operator.generations.entry(mounted.label.id).or_default();
            *known = mounted.label.generation.max(*known);
        }
        self.take_report(&met);
    }

    fn note_deaths(&mut self) {
        let now_ms = self.world.now_ms();
        let dead: Vec<usize> = self
            .world
            .with(|state| (0..state.disks.len()).filter(|disk| state.disks[*disk].health == Health::Dead).collect());
        for disk in dead {
            let delay = 1 + self.operator.rng.below(14);
            self.operator.visits.entry(disk).or_insert(now_ms + delay * DAY_MS);
        }
    }

    /// The technician replaces what died, or what he takes for it.
    fn visit(&mut self) {
        let now_ms = self.world.now_ms();
        let due: Vec<usize> =
            self.operator.visits.iter().filter(|(_, at)| **at <= now_ms).map(|(disk, _)| *disk).collect();
        for disk in due {
            if self.is_dead() {
                return;
            }
            if self.operator.rng.once_in(8) && self.pull_the_wrong_one() {
                self.operator.visits.insert(disk, now_ms + DAY_MS);
                continue;
            }
            let (volume, kind) = self.world.with(|state| (state.disks[disk].id(), state.disks[disk].label.tier));
            if let Some(tier) = &self.tier {
                let _ = tier.detach(volume); // unknown where it was dead at the last start
            }
            if self.is_dead() {
                return;
            }
            self.operator.visits.remove(&disk);
            let shards = self.world.with(|state| state.shards_on(disk));
            self.retire(disk, &shards);
            self.add_volume(kind);
        }
    }

    /// A volume is taken out of use for good; `shards` of it must be elsewhere within the window.
    fn retire(&mut self, disk: usize, shards: &[(SegmentId, u8)]) {
        let now_ms = self.world.now_ms();
        let volume = self.world.with(|state| {
            let until_ms = now_ms + state.window_ms;
            state.budget.expect_back(shards, until_ms);
            let disk = &mut state.disks[disk];
            disk.health = Health::Retired;
            disk.folders.clear();
            disk.id()
        });
        self.operator.toured_ms.remove(&volume);
        self.operator.tours.remove(&volume);
        self.operator.drains.remove(&volume);
    }

    /// Buys a volume and takes it into use.
    fn add_volume(&mut self, tier: TierKind) {
        if let Some(disk) = self.new_volume(0, tier) {
            self.attach(disk);
        }
    }

    /// Takes a medium into use. It is known after the next start at the latest.
    fn attach(&mut self, disk: usize) {
        let Some(tier) = &self.tier else { return };
        if let Ok(findings) = Volume::open(Arc::new(SimMedia::new(&self.world, disk))).and_then(|it| tier.attach(it)) {
            self.take_report(&findings);
        }
    }

    /// Somebody pulls a healthy volume.
    fn pull_the_wrong_one(&mut self) -> bool {
        let present = self.present();
        let now_ms = self.world.now_ms();
        if present.is_empty() {
            return false;
        }
        let disk = present[self.operator.rng.index(present.len())];
        let back_ms = now_ms + DAY_MS * (1 + self.operator.rng.below(5));
        let pulled = self.world.with(|state| {
            let shards = state.shards_on(disk);
            let allowed = state.budget.take_away(&shards, now_ms, back_ms + 10 * DAY_MS);
            if allowed {
                let State { disks, rng, counts, .. } = state;
                disks[disk].cut_power(now_ms, rng);
                disks[disk].health = Health::Pulled;
                counts.add(FaultKind::WrongVolumePulled);
            }
            allowed
        });
        if pulled {
            self.operator.pulled.insert(disk, back_ms);
        }
        pulled
    }

    fn put_back(&mut self) {
        let now_ms = self.world.now_ms();
        let due: Vec<usize> =
            self.operator.pulled.iter().filter(|(_, at)| **at <= now_ms).map(|(disk, _)| *disk).collect();
        for disk in due {
            self.operator.pulled.remove(&disk);
            let volume = self.world.with(|state| {
                state.disks[disk].health = Health::Present;
                state.disks[disk].id()
            });
            if let Some(tier) = &self.tier {
                let _ = tier.detach(volume); // it may never have been missed
            }
            self.attach(disk);
        }
    }

    /// Volumes that could not be listed are mounted again.
    fn remount(&mut self) {
        for volume in std::mem::take(&mut self.operator.remounts) {
            let (Some(disk), Some(tier)) = (self.disk_of(volume), &self.tier) else { continue };
            let _ = tier.detach(volume);
            self.attach(disk);
        }
    }

    /// Media that did not answer at the last start are taken into use.
    fn attach_what_answers_again(&mut self) {
        let now_ms = self.world.now_ms();
        let Some(tier) = &self.tier else { return };
        let in_use: Vec<VolumeId> = tier.volumes().iter().map(|status| status.id).collect();
        for disk in self.present() {
            let waits = self
                .world
                .with(|state| state.disks[disk].is_steady(now_ms) && !in_use.contains(&state.disks[disk].id()));
            if waits && !self.is_dead() {
                self.attach(disk);
            }
        }
    }

    /// Volumes near the end of their rated life are emptied; a new one is bought for each.
    fn begin_drains(&mut self) {
        let now_ms = self.world.now_ms();
        for disk in self.present() {
            let (volume, kind, due) = self.world.with(|state| {
                let disk = &state.disks[disk];
                let ends = disk.rated_until_ms.saturating_sub(LEAD_DAYS * DAY_MS) <= now_ms;
                (disk.id(), disk.label.tier, ends || disk.is_read_only)
            });
            if due && !self.operator.drains.contains_key(&volume) && !self.is_dead() {
                self.operator.drains.insert(volume, Drain::new(volume, now_ms).encode());
                self.add_volume(kind);
            }
        }
    }

    /// A volume that is empty leaves, and one that takes no writes when all it has is elsewhere too. One that is not gets
    /// another drain.
    pub fn end_drain(&mut self, drain: &Drain) {
        debug_assert_eq!(drain.phase, DrainPhase::Ended);
        let now_ms = self.world.now_ms();
        let (Some(disk), Some(tier)) = (self.disk_of(drain.volume), &self.tier) else { return };
        let (left, is_read_only) =
            self.world.with(|state| (state.needed_shards_on(disk), state.disks[disk].is_read_only));
        let is_suspect = |status: VolumeStatus| status.id == drain.volume && status.state == VolumeState::Suspect;
        let takes_no_writes = is_read_only || tier.volumes().into_iter().any(is_suspect);
        let may_leave = takes_no_writes && left.is_empty();
        if !may_leave && !tier.shards_on(drain.volume).is_empty() {
            self.operator.drains.insert(drain.volume, Drain::new(drain.volume, now_ms).encode());
            return;
        }
        if tier.detach(drain.volume).is_err() || self.is_dead() {
            return;
        }
        if !left.is_empty() {
            let first = left[0].0;
            self.violate(Rule::Unreported, format!("an emptied volume still holds {} shards, of {first}", left.len()));
        }
        let late_ms = self.world.with(|state| now_ms.saturating_sub(state.disks[disk].rated_until_ms));
        self.outcome.copy_forward_late_days = self.outcome.copy_forward_late_days.max(late_ms / DAY_MS);
        self.outcome.retired += 1;
        self.retire(disk, &left);
    }

    fn take_image(&mut self) {
        let (present, now_ms) = (self.present(), self.world.now_ms());
        if !present.is_empty() {
            let disk = present[self.operator.rng.index(present.len())];
            let image = self.world.with(|state| state.disks[disk].image());
            self.operator.images.push_back((disk, now_ms, image));
            if self.operator.images.len() > 3 {
                self.operator.images.pop_front();
            }
        }
    }

    /// Somebody puts a copy of a volume beside the original: it must be refused by name.
    fn clone_a_volume(&mut self) {
        let (present, now_ms) = (self.present(), self.world.now_ms());
        if present.is_empty() || self.is_dead() {
            return;
        }
        let original = present[self.operator.rng.index(present.len())];
        let known = |volume| self.tier.as_ref().is_some_and(|tier| tier.volumes().iter().any(|it| it.id == volume));
        let (copy, volume) = self.world.with(|state| {
            let disk = &state.disks[original];
            let copy = Disk { folders: disk.image(), place: format!("clone of {}", disk.place), ..disk.clone() };
            let (steady, volume) = (disk.is_steady(now_ms), disk.id());
            state.disks.push(copy);
            (steady.then_some(state.disks.len() - 1), volume)
        });
        if let (Some(copy), Some(tier), true) = (copy, &self.tier, known(volume)) {
            let attached = Volume::open(Arc::new(SimMedia::new(&self.world, copy))).and_then(|it| tier.attach(it));
            self.world.with(|state| state.counts.add(FaultKind::ClonedVolume));
            if !matches!(attached, Err(Error::VolumeDuplicate { .. })) && !self.is_dead() {
                self.violate(Rule::Unreported, format!("a copy of volume {volume} was not refused: {attached:?}"));
            }
        }
        self.world.with(|state| {
            state.disks.pop();
        });
    }

    /// While the vault is down, somebody may restore an old image, and a listing may be about to fail.
    pub fn while_stopped(&mut self) {
        if self.operator.rng.once_in(6) {
            self.restore_an_image();
        }
        if self.operator.rng.once_in(6) {
            let (present, now_ms) = (self.present(), self.world.now_ms());
            let disk = present[self.operator.rng.index(present.len())];
            let until_ms = now_ms + 3 * self.options.step_days * DAY_MS;
            self.world.with(|state| {
                let shards = state.shards_on(disk);
                if state.disks[disk].is_steady(now_ms) && state.budget.take_away(&shards, now_ms, until_ms) {
                    state.disks[disk].listing_fails = true;
                    state.counts.add(FaultKind::ListingError);
                    self.operator.remounts.push(state.disks[disk].id());
                }
            });
        }
    }

    fn restore_an_image(&mut self) {
        let Some((disk, _, image)) = self.operator.images.pop_front() else { return };
        let now_ms = self.world.now_ms();
        self.world.with(|state| {
            if state.disks[disk].health != Health::Present || state.disks[disk].is_read_only {
                return;
            }
            let lost = newer_than(&state.disks[disk], &image);
            if state.budget.take_away(&lost, now_ms, now_ms + state.window_ms) {
                state.disks[disk].folders = image;
                state.disks[disk].count_used();
                state.counts.add(FaultKind::OldImage);
            }
        });
    }

    /// Spare copies that a volume's return left behind are released, where another copy is proved good.
    pub fn tidy(&mut self, volume: VolumeId) {
        let Some(tier) = &self.tier else { return };
        for on in tier.shards_on(volume).into_iter().filter(|on| on.spare) {
            let proof: Result<VerifiedCopy, Error> = tier.verify_other_copy(on.shard, volume, &Unpaced);
            if let Ok(proof) = proof {
                let _ = tier.release_copy(on.shard, volume, proof); // it may be needed after all
            }
            if self.is_dead() {
                return;
            }
        }
    }

    /// A tour of `volume` that goes on where the last one was stored.
    pub fn tour_of(&self, volume: VolumeId) -> Tour {
        let stored = self.operator.tours.get(&volume).and_then(|bytes| Tour::decode(bytes).ok());
        stored.unwrap_or_else(|| Tour::new(volume, self.world.now_ms()))
    }
}

/// Shards that `disk` holds and an old image of it does not, or not as they are now.
fn newer_than(disk: &Disk, image: &BTreeMap<String, Folder>) -> Vec<(SegmentId, u8)> {
    let old = |name: &str| image.values().find_map(|folder| folder.files().get(name));
    let differs = |(segment, shard, file): (SegmentId, u8, &Shared)| {
        let same = old(&shard_name(segment, shard)).is_some_and(|old| {
            let (old, new) = (old.lock(), file.lock());
            old.written() == new.written() && old.is_whole(0..old.len())
        });
        (!same).then_some((segment, shard))
    };
    disk.shards().filter_map(differs).collect()
}
