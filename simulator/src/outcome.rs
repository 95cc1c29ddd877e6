//! What a run gave.

use crate::fault::FaultCounts;

/// Something that must never happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// which rule
    pub rule: Rule,
    /// day of the run
    pub day: u64,
    /// what was seen
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "day {}: {}: {}", self.day, self.rule.name(), self.what)
    }
}

/// A rule that holds in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// no bytes but the right ones
    WrongBytes,
    /// inside the budget nothing acknowledged is lost
    Lost,
    /// what the media hold can be read
    Unreadable,
    /// what is lost is reported as lost, and nothing else
    Misreported,
    /// what is acknowledged is on all k + m volumes, as far as these did not lie
    Undurable,
    /// a walk over the media lists every acknowledged record
    Unlisted,
    /// the last good copy of a shard is never removed or replaced by a bad one
    LastCopy,
    /// damage is repaired within its window
    Overdue,
    /// what open, list and attach meet is reported or refused
    Unreported,
    /// what was removed stays removed
    Returned,
    /// nothing that was synced is overwritten
    Overwritten,
    /// the vault opens after any stop
    Unopened,
    /// the engine does not panic
    Panicked,
}

impl Rule {
    /// Name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Rule::WrongBytes => "wrong-bytes",
            Rule::Lost => "lost",
            Rule::Unreadable => "unreadable",
            Rule::Misreported => "misreported",
            Rule::Undurable => "undurable",
            Rule::Unlisted => "unlisted",
            Rule::LastCopy => "last-copy",
            Rule::Overdue => "overdue",
            Rule::Unreported => "unreported",
            Rule::Returned => "returned",
            Rule::Overwritten => "overwritten",
            Rule::Unopened => "unopened",
            Rule::Panicked => "panicked",
        }
    }
}

/// What a run gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// faults injected
    pub faults: FaultCounts,
    /// records acknowledged
    pub records: u64,
    /// bytes of them
    pub bytes: u64,
    /// deposits that were refused, and said so
    pub refused: u64,
    /// records read and compared
    pub reads: u64,
    /// shards rebuilt
    pub repaired: u64,
    /// shards moved to another volume
    pub copied: u64,
    /// records moved out of sparse segments
    pub compacted: u64,
    /// segments removed
    pub removed: u64,
    /// segments that went to the archive
    pub archived: u64,
    /// findings reported by jobs and starts
    pub reported: u64,
    /// acknowledged records that cannot be read any more
    pub lost: u64,
    /// reads that gave other bytes than were acknowledged
    pub wrong: u64,
    /// starts
    pub starts: u64,
    /// bytes read by scrubs
    pub scrubbed_bytes: u64,
    /// most days between two complete tours of one volume
    pub scrub_age_days: u64,
    /// volumes emptied before they were taken out of use
    pub retired: u64,
    /// most days that a volume was in use beyond its rated life
    pub copy_forward_late_days: u64,
    /// calls on media
    pub calls: u64,
    /// digest of every call on media: equal for equal runs
    pub trace: u64,
    /// rules that were broken
    pub violations: Vec<Violation>,
}

impl Outcome {
    /// Adds another run: counts are summed, ages are the highest.
    pub fn merge(&mut self, other: Outcome) {
        self.faults.merge(&other.faults);
        let sums = [
            (&mut self.records, other.records),
            (&mut self.bytes, other.bytes),
            (&mut self.refused, other.refused),
            (&mut self.reads, other.reads),
            (&mut self.repaired, other.repaired),
            (&mut self.copied, other.copied),
            (&mut self.compacted, other.compacted),
            (&mut self.removed, other.removed),
            (&mut self.archived, other.archived),
            (&mut self.reported, other.reported),
            (&mut self.lost, other.lost),
            (&mut self.wrong, other.wrong),
            (&mut self.starts, other.starts),
            (&mut self.scrubbed_bytes, other.scrubbed_bytes),
            (&mut self.retired, other.retired),
            (&mut self.calls, other.calls),
        ];
        sums.into_iter().for_each(|(sum, more)| *sum += more);
        self.scrub_age_days = self.scrub_age_days.max(other.scrub_age_days);
        self.copy_forward_late_days = self.copy_forward_late_days.max(other.copy_forward_late_days);
        self.trace ^= other.trace;
        self.violations.extend(other.violations);
    }
}
