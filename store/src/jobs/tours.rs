//! Tours: when each volume was last read from end to end, and what follows for every byte on it.
//!
//! A copy counts as verified when its segment was closed (it was synced and its digests were fresh), when the last whole
//! tour of its volume began, or when the tour in hand passed it. Each is a lower bound, so a debt is never understated. A
//! time that lies in the future by the vault's clock is no evidence and is not used.

use super::file::Stored;
use super::report::{ScrubDebt, ScrubDebtOfVolume};
use super::settings::JobsConfig;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{HospitalId, Result, SegmentId, VolumeId};
use shosoin_tiers::{SegmentState, Tier};
use shosoin_tiers::{ShardRef, Tour};
use std::collections::{BTreeMap, HashMap};

/// Name of the file.
pub const TOURS: &str = "tours";
/// Volumes remembered; a vault has far fewer.
const VOLUMES_MAX: usize = 64 * 1024;
/// A clock that is read twice may be set back by a little between.
const TOLERANCE_MS: u64 = 86_400_000;

/// The last tour of a volume that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TourRecord {
    /// when it began
    pub started_ms: u64,
    /// when it ended
    pub ended_ms: u64,
    /// bytes it read
    pub read_bytes: u64,
    /// units it verified
    pub units: u64,
    /// findings
    pub findings: u64,
}

/// What is known of one volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Toured {
    /// from when on its age is counted while no tour of it has ended
    pub since_ms: u64,
    /// its last whole tour
    pub last: Option<TourRecord>,
}

/// The last shard that a scrub of one hospital alone read, and what was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picked {
    /// on this volume alone
    pub only: Option<VolumeId>,
    /// the volume it is on
    pub volume: VolumeId,
    /// the shard; it names the hospital
    pub shard: ShardRef,
}

impl Picked {
    /// Its bytes.
    pub fn write(&self, out: &mut Writer) {
        let ShardRef { hospital, segment, shard } = self.shard;
        out.u8(self.only.is_some().into()).put(&self.volume.0).put(&hospital.0).put(&segment.0).u8(shard);
    }

    /// Reads it.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let only = reader.u8("only one volume")? != 0;
        let volume = VolumeId::read(reader)?;
        let (hospital, segment) = (HospitalId::read(reader)?, SegmentId::read(reader)?);
        let shard = ShardRef { hospital, segment, shard: reader.u8("shard")? };
        Ok(Picked { only: only.then_some(volume), volume, shard })
    }
}

/// Every volume's tours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tours {
    /// by volume
    pub volumes: BTreeMap<VolumeId, Toured>,
}

impl Stored for Tours {
    const FORM: u8 = 3;

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.count(self.volumes.len().min(VOLUMES_MAX));
        for (volume, toured) in self.volumes.iter().take(VOLUMES_MAX) {
            out.put(&volume.0).u64(toured.since_ms);
            let last = toured.last;
            out.u8(u8::from(last.is_some()));
            let TourRecord { started_ms, ended_ms, read_bytes, units, findings } = last.unwrap_or(TourRecord::NONE);
            out.u64(started_ms).u64(ended_ms).u64(read_bytes).u64(units).u64(findings);
        }
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let count = reader.count(VOLUMES_MAX, "tours")?;
        let mut volumes = BTreeMap::new();
        for _ in 0..count {
            let volume = VolumeId::read(reader)?;
            let since_ms = reader.u64("known since")?;
            let ended = reader.u8("a tour ended")? != 0;
            let record = TourRecord {
                started_ms: reader.u64("tour began")?,
                ended_ms: reader.u64("tour ended")?,
                read_bytes: reader.u64("bytes read")?,
                units: reader.u64("units verified")?,
                findings: reader.u64("findings")?,
            };
            volumes.insert(volume, Toured { since_ms, last: ended.then_some(record) });
        }
        Ok(Tours { volumes })
    }
}

impl TourRecord {
    const NONE: TourRecord = TourRecord { started_ms: 0, ended_ms: 0, read_bytes: 0, units: 0, findings: 0 };
}

impl Tours {
    /// Notes volumes that are seen for the first time. Gives whether there were any.
    pub fn meet(&mut self, tier: &Tier, now_ms: u64) -> bool {
        let listed = tier.volumes().into_iter().filter(|volume| volume.listed); // of others nobody knows what is due
        let unknown: Vec<VolumeId> =
            listed.map(|volume| volume.id).filter(|id| !self.volumes.contains_key(id)).collect();
        if unknown.is_empty() {
            return false;
        }
        let closed = closed_times(tier);
        for volume in unknown {
            let shards = tier.shards_on(volume);
            let oldest = shards.iter().filter_map(|on| believable(*closed.get(&on.shard.segment)?, now_ms)).min();
            self.volumes.insert(volume, Toured { since_ms: oldest.unwrap_or(now_ms), ..Toured::default() });
        }
        true
    }

    /// When the next tour of a volume is due: early enough that no byte waits longer than the period, and at once where it
    /// was mounted from a shelf since the last one.
    pub fn due_ms(&self, volume: VolumeId, mounted_ms: Option<u64>, period_ms: u64, now_ms: u64) -> u64 {
        let toured = self.volumes.get(&volume).copied().unwrap_or_default();
        if mounted_ms > toured.last.map(|last| last.started_ms) && mounted_ms.is_some() {
            return 0;
        }
        let last = toured.last.map(|last| last.started_ms).unwrap_or(toured.since_ms);
        believable(last, now_ms).unwrap_or(0).saturating_add(period_ms - period_ms / 10)
    }
}

/// A time that can be: one of the future is none.
fn believable(at_ms: u64, now_ms: u64) -> Option<u64> {
    (at_ms <= now_ms.saturating_add(TOLERANCE_MS)).then_some(at_ms.min(now_ms))
}

fn closed_times(tier: &Tier) -> HashMap<SegmentId, u64> {
    tier.segments().into_iter().filter_map(|segment| Some((segment.id, segment.closed_ms?))).collect()
}

/// What is owed now. `in_hand` are the tours that have begun and not ended.
pub fn debt(
    tier: &Tier,
    tours: &Tours,
    in_hand: &BTreeMap<VolumeId, Tour>,
    config: &JobsConfig,
    now_ms: u64,
) -> ScrubDebt {
    let (period_ms, closed) = (config.scrub_period_ms(), closed_times(tier));
    let mut debt = ScrubDebt { period_ms, ..ScrubDebt::default() };
    for volume in tier.volumes().iter().map(|volume| volume.id) {
        let last = tours.volumes.get(&volume).and_then(|toured| toured.last);
        let toured_ms = last.and_then(|last| believable(last.started_ms, now_ms)).unwrap_or(0);
        let tour = in_hand.get(&volume);
        let mut here = ScrubDebtOfVolume {
            volume: volume.to_string(),
            total_bytes: 0,
            debt_bytes: 0,
            oldest_unverified_ms: 0,
            toured_ms: last.map(|last| last.ended_ms),
        };
        for on in tier.shards_on(volume).iter().filter(|on| on.state == SegmentState::Closed) {
            let closed_ms = closed.get(&on.shard.segment).and_then(|at| believable(*at, now_ms)).unwrap_or(0);
            let passed = tour.filter(|tour| Some(on.shard) <= tour.after);
            let passed_ms = passed.and_then(|tour| believable(tour.started_ms, now_ms)).unwrap_or(0);
            let age_ms = now_ms - closed_ms.max(toured_ms).max(passed_ms);
            here.total_bytes += on.len_bytes;
            here.debt_bytes += if age_ms > period_ms { on.len_bytes } else { 0 };
            here.oldest_unverified_ms = here.oldest_unverified_ms.max(age_ms);
        }
        debt.total_bytes += here.total_bytes;
        debt.debt_bytes += here.debt_bytes;
        debt.oldest_unverified_ms = debt.oldest_unverified_ms.max(here.oldest_unverified_ms);
        debt.volumes.push(here);
    }
    debt.alarm = debt.debt_bytes >= config.scrub_debt_alarm_bytes.max(1);
    debt
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    const HOUR_MS: u64 = 3_600_000;
    const DAY_MS: u64 = 24 * HOUR_MS;

    fn toured(started_ms: u64) -> Toured {
        let last = TourRecord { started_ms, ended_ms: started_ms + 1, read_bytes: 2, units: 3, findings: 4 };
        Toured { since_ms: 1, last: Some(last) }
    }

    #[test]
    fn tours_read_back() {
        let volumes = BTreeMap::from([(VolumeId([1; 16]), toured(7)), (VolumeId([2; 16]), Toured::default())]);
        let tours = Tours { volumes };
        assert_eq!(file::open::<Tours>(&file::seal(&tours)).unwrap(), tours);
    }

    #[test]
    fn the_next_tour_is_due_before_the_period_is_over_and_at_once_after_a_mount_or_a_time_that_cannot_be() {
        let (volume, now, period) = (VolumeId([1; 16]), 1_000 * DAY_MS, 30 * DAY_MS);
        let mut tours = Tours { volumes: BTreeMap::from([(volume, toured(now - DAY_MS))]) };
        assert_eq!(tours.due_ms(volume, None, period, now), now - DAY_MS + 27 * DAY_MS);
        assert_eq!(tours.due_ms(volume, Some(now - 2 * DAY_MS), period, now), now + 26 * DAY_MS);
        assert_eq!(tours.due_ms(volume, Some(now - HOUR_MS), period, now), 0, "it came from a shelf since");
        tours.volumes.insert(volume, toured(now + 3_650 * DAY_MS));
        assert!(tours.due_ms(volume, None, period, now) < now, "a tour ten years from now is no evidence");
    }
}
