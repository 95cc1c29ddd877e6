//! What disposals released, and what is done to the segments that hold it: each copy overwritten, and each on the record before its
//! file goes.
//!
//! Invariants
//! - Nothing is released but by an act that is proved from media here, each time anew: the order signed by the hospital, two
//!   approvals, the vault's own word. This is the last look before anything is unlinked.

use super::ended;
use super::standing::order_row;
use crate::audit::{Action, AuditEvent, Detail, Outcome, shortened_reason};
use crate::compaction::Released;
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::media_ledger::MediaLedger;
use crate::rows::{self, GoneRow, Row, Rows, ShelfRow};
use crate::vault::Inner;
use shosoin_protocol::certificate::CopyState;
use shosoin_protocol::{HospitalId, SegmentId, VersionId};
use shosoin_tiers::{Compacted, ErasedCopy, How, Pace, Tier};
use std::collections::{BTreeMap, BTreeSet};

/// Who erases, in the audit log.
const JOB: &str = "compact";

impl Inner {
    /// What disposals released of a hospital's records and may still lie somewhere.
    pub(crate) fn released(&self, desk: &Desk) -> Result<Released> {
        let hospital = desk.info().hospital;
        let mut addresses = BTreeMap::new();
        self.index.scan(&rows::gone_prefix(hospital), &mut |key, value| {
            if let Some(address) = rows::record_address(key) {
                addresses.insert(address, GoneRow::decode(value)?.order);
            }
            Ok(true)
        })?;
        let orders: BTreeSet<VersionId> = addresses.values().copied().collect();
        for order in orders {
            let row = order_row(self.index.as_ref(), hospital, order)?;
            match ended::begun_at(self.index.as_ref(), desk, row.begun_leaf)? {
                Some(begun) if begun.order_id == order => {}
                _ => {
                    let why = "the ledger has no act by which it began".to_owned();
                    return Err(Error::Damaged { what: "disposal", id: order.to_string(), why });
                }
            }
        }
        Ok(Released::proved(addresses))
    }

    /// On the record, before anything of it goes: which orders a segment goes for, and its copies that are out of reach.
    pub(crate) fn note_disposal_segment(
        &self,
        hospital: HospitalId,
        segment: SegmentId,
        orders: &BTreeSet<VersionId>,
    ) -> Result<()> {
        for order in orders {
            let event = AuditEvent::of_job(self.clock.now_ms(), JOB, Action::DisposalSegment).ended(Outcome::Begun);
            let event = AuditEvent { segment: Some(segment), hospital: Some(hospital), ..event };
            self.media.record(event.with(Detail::Order(*order)))?;
        }
        let mounted: BTreeSet<_> = self.tier.copies_on(segment).into_iter().collect();
        let shelved = self.index.row::<ShelfRow>(&rows::shelf_key(segment))?.map(|row| row.shards).unwrap_or_default();
        for (shard, volume) in (0..).zip(shelved) {
            if let Some(volume) = volume.filter(|volume| !mounted.contains(&(shard, *volume))) {
                let how = How::Left("its volume is on a shelf or away".to_owned());
                let copy = ErasedCopy { hospital, segment, shard, volume, bytes: 0, how };
                note(&self.media, self.clock.now_ms(), &copy)?;
            }
        }
        Ok(())
    }

    /// Removes a compacted segment, overwriting every copy of it.
    pub(crate) fn erase_segment(&self, compacted: Compacted, pace: &dyn Pace) -> Result<Vec<shosoin_tiers::Finding>> {
        let passes = self.config.disposal.passes;
        told(|tell| self.tier.erase_segment(compacted, passes, pace, tell), &self.media, &|| self.clock.now_ms())
    }

    /// Erases what volumes that came back still have of removed segments.
    pub(crate) fn sweep_erasing(&self, pace: &dyn Pace) -> Result<u64> {
        sweep(&self.tier, &self.media, self.config.disposal.passes, &|| self.clock.now_ms(), pace)
    }
}

/// Erases what volumes still have of removed segments, each copy on the record.
pub fn sweep(tier: &Tier, media: &MediaLedger, passes: u8, now_ms: &dyn Fn() -> u64, pace: &dyn Pace) -> Result<u64> {
    told(|tell| tier.sweep_erasing(passes, pace, tell), media, now_ms)
}

/// Runs what erases, with every copy noted; an audit log that cannot be written ends it.
fn told<T>(
    work: impl FnOnce(&mut dyn FnMut(ErasedCopy) -> shosoin_tiers::Result<()>) -> shosoin_tiers::Result<T>,
    media: &MediaLedger,
    now_ms: &dyn Fn() -> u64,
) -> Result<T> {
    let mut failed = None;
    let done = work(&mut |copy| {
        note(media, now_ms(), &copy).map_err(|error| {
            failed = Some(error);
            shosoin_tiers::Error::Abandoned { what: "erasing that cannot be recorded" }
        })
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(done?),
    }
}

fn note(media: &MediaLedger, now_ms: u64, copy: &ErasedCopy) -> Result<()> {
    let (state, passes, outcome, reason) = match &copy.how {
        How::Overwritten(passes) => (CopyState::Erased, *passes, Outcome::Done, String::new()),
        How::OnlyRemoved => (CopyState::Removed, 0, Outcome::Done, "its medium does not overwrite in place".to_owned()),
        How::Left(why) => (CopyState::There, 0, Outcome::Stopped, shortened_reason(why)),
    };
    let event = AuditEvent::of_job(now_ms, JOB, Action::ShardErased).ended(outcome).because(reason).on(copy.volume);
    let (segment, hospital) = (Some(copy.segment), Some(copy.hospital));
    let event = AuditEvent { segment, hospital, bytes: copy.bytes, units: 1, ..event };
    media.record(event.with(Detail::Erased { shard: copy.shard, passes, state: state.code() })).map(drop)
}
