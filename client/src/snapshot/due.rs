//! When a gateway that runs makes the next snapshot by itself: a pure rule over what the acts of the ledger say of snapshots and
//! disposals.
//!
//! - At least so many entries come between two of them ([`SnapshotRule`]), and at least a quarter of what the newest one stands behind: so all
//!   snapshots that a hospital ever keeps are together about five times as long as the newest.
//! - Gateways of one hospital wait for different numbers of entries, by the id of their device. The first one makes it, and the others
//!   have read its act before their turn comes.
//! - One that a disposal has ended counts as none.

use crate::view::row::ActRow;
use shosoin_protocol::DeviceId;
use shosoin_protocol::act::{DisposalStep, Document};

/// Entries between two snapshots unless the hospital says otherwise: reading so many took 12 seconds where it was measured
/// (bench/RESULTS.md, "A new gateway"), which is about what a person waits for a gateway to start.
pub const SNAPSHOT_ENTRIES_DEFAULT: u64 = 100_000;
/// One part in so many of what the newest stands behind must have come since.
const SHARE: u64 = 4;

/// How often a gateway makes a snapshot by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotRule {
    /// entries that must have come since the newest one, at least; 0: never
    pub entries: u64,
}

impl Default for SnapshotRule {
    fn default() -> Self {
        SnapshotRule { entries: SNAPSHOT_ENTRIES_DEFAULT }
    }
}

/// What was read so far of the acts that matter here.
#[derive(Debug, Clone, Default)]
pub struct SnapshotsSeen {
    /// leaves that were looked at
    leaves: u64,
    /// leaves that the newest snapshot stands behind
    newest: Option<u64>,
    /// where the newest disposal began
    disposal: Option<u64>,
}

impl SnapshotsSeen {
    /// So many leaves were looked at.
    pub(crate) fn reached(&mut self, leaves: u64) {
        self.leaves = leaves;
    }

    /// Takes the next act.
    pub(crate) fn take(&mut self, act: &ActRow) {
        match &act.document {
            Document::Snapshot(snapshot) => self.newest = Some(snapshot.log_size),
            Document::Disposed(disposed) if matches!(disposed.step, DisposalStep::Begun { .. }) => {
                self.disposal = Some(act.leaf_index);
            }
            _ => {}
        }
    }

    /// Leaves that the newest snapshot stands behind, unless a disposal has ended it.
    pub fn alive(&self) -> Option<u64> {
        self.newest.filter(|size| self.disposal.is_none_or(|begun| *size > begun))
    }

    /// Leaves of the view when it was looked at last.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// Leaves with which the next one is due for this device; none where none ever is.
    pub fn due(&self, rule: SnapshotRule, device: DeviceId) -> Option<u64> {
        let turn = u64::from(u16::from_be_bytes([device.0[0], device.0[1]]));
        let (entries, newest) = (rule.entries, self.alive().unwrap_or(0));
        let turn = u64::try_from(u128::from(entries / SHARE) * u128::from(turn) / (1 << 16)).unwrap_or(0);
        let since = entries.max(newest / SHARE).saturating_add(turn);
        (entries > 0).then(|| newest.saturating_add(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: SnapshotRule = SnapshotRule { entries: 100 };
    const FIRST: DeviceId = DeviceId([0; 16]);

    fn seen(newest: Option<u64>, disposal: Option<u64>) -> SnapshotsSeen {
        SnapshotsSeen { leaves: 0, newest, disposal }
    }

    #[test]
    fn it_is_due_after_so_many_entries_and_a_quarter_of_the_newest() {
        assert_eq!(seen(None, None).due(RULE, FIRST), Some(100));
        assert_eq!(seen(Some(100), None).due(RULE, FIRST), Some(200));
        assert_eq!(seen(Some(1000), None).due(RULE, FIRST), Some(1250));
        assert_eq!(seen(None, None).due(SnapshotRule { entries: 0 }, FIRST), None);
        assert_eq!(seen(Some(u64::MAX), None).due(SnapshotRule { entries: u64::MAX }, FIRST), Some(u64::MAX));
    }

    #[test]
    fn gateways_take_turns_within_a_quarter_of_the_number() {
        let due = |first: u8| seen(None, None).due(RULE, DeviceId([first; 16])).unwrap();
        assert!(due(0) < due(0x80) && due(0x80) < due(0xFF) && due(0xFF) < 125);
    }

    #[test]
    fn one_that_a_disposal_ended_counts_as_none() {
        assert_eq!(seen(Some(500), Some(600)).due(RULE, FIRST), Some(100));
        assert_eq!(seen(Some(500), Some(500)).alive(), None);
        assert_eq!(seen(Some(601), Some(600)).alive(), Some(601));
    }
}
