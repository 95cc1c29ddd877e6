//! The order in which one segment goes.
//!
//! 1. what goes is not held any more; deposits that began before have ended; the ledger is read to its head once more, and
//!    what was named meanwhile lives
//! 2. what lives is written anew and read back (`tiers`)
//! 3. the rows of the index lead to the new places, and those of what goes are removed, with the segment's own
//! 4. the audit log says what is about to go
//! 5. every volume lists the segment as removed, then its shards go (`tiers`)
//!
//! A kill after 3 and before 5 leaves the segment without a watermark, so that the next opening walks it again, and nothing
//! has happened. After 5 has begun it counts as removed; an index from before 3 is then made anew.

use crate::audit::{Action, AuditEvent, Outcome};
use crate::compaction::judge::{Verdict, place};
use crate::compaction::named::Named;
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::index::Pending;
use crate::rows::{self, LeafRow, RecordRow, Row, Rows, UnnamedRow};
use crate::vault::Inner;
use crate::{apply, check};
use shosoin_protocol::{HospitalId, RecordKind, SegmentId};
use shosoin_tiers::{Compacted, Gain, Moved, Pace};

/// Rows that are written while no group is being committed, at a time.
const ROWS_AT_ONCE: usize = 4096;

/// What became of one segment.
#[derive(Debug)]
pub struct Done {
    /// records that have a new place
    pub moved: u64,
    /// what it cost and gained
    pub gain: Gain,
    /// shards that could not be removed now
    pub left: Vec<check::Finding>,
}

/// One segment that goes.
pub struct Switch<'a> {
    /// the vault
    pub(crate) inner: &'a Inner,
    /// whose records they are
    pub desk: &'a Desk,
    /// the segment
    pub segment: SegmentId,
    /// how it was judged
    pub verdict: Verdict,
}

impl Switch<'_> {
    fn hospital(&self) -> HospitalId {
        self.desk.info().hospital
    }

    /// Compacts the segment where that costs at most `bound`, and removes it.
    pub fn complete(mut self, named: &mut Named, bound: f64, pace: &dyn Pace) -> Result<Done> {
        let inner = self.inner;
        let _going = inner.records.begin_going(self.hospital(), self.verdict.going());
        inner.in_flight.wait_for_earlier(|| pace.spend(0))?;
        self.look_again(named)?;
        let (verdict, desk) = (&self.verdict, self.desk);
        let compacted = inner.tier.compact_segment(self.segment, &mut |walked| verdict.is_live(walked), bound, pace)?;
        for moved in compacted.moved().chunks(ROWS_AT_ONCE) {
            desk.committer().between_groups(|| self.lead(moved))?;
        }
        desk.committer().between_groups(|| self.forget())?;
        let gain = compacted.gain();
        inner.record(&self.event(Action::Release, gain.dead_bytes).ended(Outcome::Begun).because("it is compacted"))?;
        let done = self.remove(compacted, pace)?;
        let event = self.event(Action::Compact, gain.live_bytes);
        inner.record(&AuditEvent { units: done.moved, ..event })?;
        Ok(done)
    }

    fn event(&self, action: Action, bytes: u64) -> AuditEvent {
        let event = AuditEvent::of_job(self.inner.clock.now_ms(), "compact", action);
        AuditEvent { segment: Some(self.segment), hospital: Some(self.hospital()), bytes, ..event }
    }

    /// Reads the entries that came meanwhile; what they name lives.
    fn look_again(&mut self, named: &mut Named) -> Result<()> {
        let head = self.desk.head()?;
        while named.leaves() < head.size {
            named.read_next(self.desk)?;
        }
        if !named.is_whole(&head) {
            return Err(Error::Bug("the ledger grew to another root than its entries lead to"));
        }
        self.verdict.unnamed.retain(|address, _| !named.contains(address));
        Ok(())
    }

    /// Rows of records that lived in the segment lead to their new places; one that was stored again meanwhile stays.
    fn lead(&self, moved: &[Moved]) -> Result<()> {
        let mut rows = Pending::new(&*self.inner.index);
        for Moved { kind, address, to, .. } in moved {
            match kind {
                RecordKind::Checkpoint => {}
                RecordKind::Entry => {
                    let Some(leaf) = self.verdict.leaves.get(address) else { continue };
                    let row = rows.row::<LeafRow>(&rows::leaf_key(self.hospital(), leaf.index))?;
                    if row.is_none_or(|row| row.at.segment == self.segment && row.leaf == leaf.hash) {
                        let row = LeafRow { leaf: leaf.hash, address: *address, at: *to };
                        apply::place(&mut rows, self.hospital(), leaf.index, row);
                    }
                }
                kind => {
                    let row = rows.row::<RecordRow>(&rows::record_key(self.hospital(), address))?;
                    if row.is_none_or(|row| row.at.segment == self.segment) {
                        apply::record(&mut rows, self.hospital(), *kind, address, *to);
                    }
                    let key = rows::unnamed_key(self.hospital(), address);
                    if let Some(noted) = rows.row::<UnnamedRow>(&key)? {
                        rows.put(key, UnnamedRow { at: *to, ..noted }.encode());
                    }
                }
            }
        }
        rows.write()
    }

    /// Rows of what goes, and of the segment itself.
    fn forget(&self) -> Result<()> {
        let mut rows = Pending::new(&*self.inner.index);
        for (address, here) in &self.verdict.unnamed {
            let key = rows::record_key(self.hospital(), address);
            let row = rows.row::<RecordRow>(&key)?;
            if row.is_some_and(|row| row.at.segment == self.segment && place(&row.at) == *here) {
                rows.remove(key);
            }
        }
        rows.remove(rows::watermark_key(self.segment));
        rows.remove(rows::shelf_key(self.segment));
        rows.write()
    }

    /// Removes the segment; one that holds what disposals ended is overwritten, and everything done to it is on the record.
    fn remove(&self, compacted: Compacted, pace: &dyn Pace) -> Result<Done> {
        let (moved, gain) = (compacted.moved().len() as u64, compacted.gain());
        let left = match self.verdict.orders.is_empty() {
            true => self.inner.tier.remove_segment(compacted)?,
            false => {
                self.inner.note_disposal_segment(self.hospital(), self.segment, &self.verdict.orders)?;
                self.inner.erase_segment(compacted, pace)?
            }
        };
        Ok(Done { moved, gain, left: left.iter().map(check::Finding::from).collect() })
    }
}
