//! Whole-vault consistency as a library: findings, not errors.
//!
//! Four passes: every unit on every volume, where that is wanted; each ledger from its first entry to its head; media against the index, and
//! the index against media; and checkpoints that others remember. A check changes nothing but the repair queue. It may
//! run beside deposits.
//!
//! What a finding about the index costs is a rebuild; what one about media or a ledger costs is written in it.

mod ledger;
mod media;

use crate::desk::Desk;
use crate::error::Result;
use crate::identity::Identity;
use crate::index::Index;
use serde::Serialize;
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::{HospitalId, Suite};
use shosoin_tiers::Pace;
use shosoin_tiers::Tier;
use std::sync::Arc;

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

impl Finding {
    fn damaged(code: &'static str, message: String) -> Self {
        Finding { severity: Severity::Damaged, code, message }
    }

    /// Something about the index: records are as safe as before, and a rebuild makes it right.
    fn index(code: &'static str, message: String) -> Self {
        Finding { severity: Severity::Degraded, code, message: format!("{message}; a rebuild makes it right") }
    }
}

impl From<&shosoin_tiers::Finding> for Finding {
    fn from(finding: &shosoin_tiers::Finding) -> Self {
        let severity = match finding.severity() {
            shosoin_tiers::Severity::Note => Severity::Notice,
            shosoin_tiers::Severity::Degraded => Severity::Degraded,
            shosoin_tiers::Severity::Lost => Severity::Damaged,
        };
        Finding { severity, code: "media", message: finding.to_string() }
    }
}

/// How deep to look.
#[derive(Debug, Clone, Default)]
pub struct CheckOptions {
    /// read and verify every unit on every volume too, not only index, ledger and tables of records
    pub every_unit: bool,
    /// checkpoints somebody else remembers; each must be in the history of its log
    pub remembered: Vec<String>,
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

/// One check of a whole vault.
pub struct Check<'a> {
    tier: &'a Tier,
    index: &'a dyn Index,
    identity: &'a Identity,
    desks: &'a [Arc<Desk>],
    report: CheckReport,
}

impl<'a> Check<'a> {
    /// A check of these parts.
    pub fn new(tier: &'a Tier, index: &'a dyn Index, identity: &'a Identity, desks: &'a [Arc<Desk>]) -> Self {
        Check { tier, index, identity, desks, report: CheckReport::default() }
    }

    /// Runs every pass; `pace` is asked before each segment and ledger.
    pub fn run(mut self, options: &CheckOptions, pace: &dyn Pace) -> Result<CheckReport> {
        let segments = self.tier.segments();
        if options.every_unit {
            for segment in &segments {
                pace.spend(segment.payload_bytes)?;
                let met = self.tier.check_segment(segment.id);
                self.report.findings.extend(met.iter().map(Finding::from));
            }
        }
        for desk in self.desks {
            pace.spend(0)?;
            ledger::check(desk, self.index, &mut self.report)?;
        }
        for segment in &segments {
            pace.spend(0)?;
            media::walk(&self, segment).map(|seen| seen.add_to(&mut self.report))?;
        }
        for desk in self.desks {
            let findings = media::rows(&self, desk)?;
            self.report.findings.extend(findings);
        }
        for text in &options.remembered {
            let finding = self.remembered(text)?;
            self.report.findings.extend(finding);
        }
        Ok(self.report)
    }

    fn desk(&self, hospital: HospitalId) -> Option<&Desk> {
        self.desks.iter().map(Arc::as_ref).find(|desk| desk.info().hospital == hospital)
    }

    /// Refuses a checkpoint that this vault did not sign, or whose tree its log never had.
    fn remembered(&self, text: &str) -> Result<Option<Finding>> {
        let bad = |why: String| Ok(Some(Finding::damaged("remembered-checkpoint", why)));
        let signed =
            Suite::ALL.iter().find_map(|suite| Checkpoint::verify(text, &self.identity.key(*suite).public()).ok());
        let Some(checkpoint) = signed else { return bad("a remembered checkpoint is not signed by this vault".into()) };
        let Some(desk) = self.desk(checkpoint.hospital) else {
            return bad(format!(
                "a checkpoint is remembered of hospital {}, which is not enrolled",
                checkpoint.hospital
            ));
        };
        match desk.ledger().root_at(checkpoint.size) {
            Ok(Some(root)) if root == checkpoint.root => Ok(None),
            Ok(_) => bad(format!(
                "log of hospital {} never had the {} leaves with root {} that are remembered of it",
                checkpoint.hospital, checkpoint.size, checkpoint.root
            )),
            Err(error) => bad(error.problem().message),
        }
    }
}
