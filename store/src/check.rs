//! Whole-vault consistency as a library: findings, not errors.

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// worth knowing, nothing to do
    Notice,
    /// redundancy is lost, every record is still readable
    Degraded,
    /// something stored is wrong or gone
    Damaged,
}

/// One line of a report. Names places, never payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// how bad
    pub severity: Severity,
    /// stable code, kebab-case
    pub code: &'static str,
    /// what, where, why, in one sentence
    pub message: String,
}

/// How deep to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckOptions {
    /// read and verify every unit on every volume, not only what records need
    pub every_unit: bool,
}

/// What a check saw.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CheckReport {
    /// segments walked
    pub segments: u64,
    /// records seen
    pub records: u64,
    /// bytes of those records
    pub sealed_bytes: u64,
    /// ledger entries verified
    pub entries: u64,
    /// everything that is not as it should be
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// No record is wrong or gone; redundancy may be reduced.
    pub fn is_consistent(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity < Severity::Damaged)
    }
}
