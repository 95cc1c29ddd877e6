//! Whole-vault consistency as a library: findings, not errors.
//!
//! Four passes: every unit on every volume, where that is wanted; each ledger from its first entry to its head; media against the index, and
//! the index against media; and checkpoints that others remember. A check changes nothing but the repair queue. It may
//! run beside deposits.
//!
//! What a finding about the index costs is a rebuild; what one about media or a ledger costs is written in it.

mod ledger;
mod media;
pub(crate) mod walk;

use crate::desk::Desk;
use crate::error::Result;
use crate::identity::Identity;
use crate::index::Index;
use serde::Serialize;
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::{HospitalId, SegmentId, Suite, VolumeId};
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
    pub(crate) fn damaged(code: &'static str, message: String) -> Self {
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
        let code = match finding.defect {
            shosoin_tiers::Defect::VolumeUnlisted { .. } => UNLISTED,
            _ => "media",
        };
        Finding { severity, code, message: finding.to_string() }
    }
}

/// Code of the finding that nobody knows all that is on a volume.
pub(crate) const UNLISTED: &str = "volume-unlisted";

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

/// A part of a check, in the order in which they are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// every unit of a segment
    Units(SegmentId),
    /// a ledger from its first entry to its head
    Ledger(HospitalId),
    /// the records of a segment against the index
    Walk(SegmentId),
    /// the rows of a hospital's records against media
    Rows(HospitalId),
}

/// One check of a whole vault.
pub struct Check<'a> {
    tier: &'a Tier,
    index: &'a dyn Index,
    identity: &'a Identity,
    desks: &'a [Arc<Desk>],
    /// hospitals whose packages are being taken in
    coming: Vec<HospitalId>,
    report: CheckReport,
}

impl<'a> Check<'a> {
    /// A check of these parts.
    pub fn new(tier: &'a Tier, index: &'a dyn Index, identity: &'a Identity, desks: &'a [Arc<Desk>]) -> Self {
        Check { tier, index, identity, desks, coming: Vec::new(), report: CheckReport::default() }
    }

    /// The same, while these hospitals are being taken over: what is there of them is no finding yet.
    pub fn expecting(self, coming: Vec<HospitalId>) -> Self {
        Check { coming, ..self }
    }

    /// Its parts, in order; of one hospital alone where one is given. Of one volume alone they are the segments that have a
    /// shard on it, and neither ledgers nor rows.
    pub fn parts(&self, every_unit: bool, hospital: Option<HospitalId>, volume: Option<VolumeId>) -> Vec<Part> {
        let asked = |of: HospitalId| hospital.is_none_or(|asked| asked == of);
        let segments = self.tier.segments().into_iter().filter(|segment| asked(segment.hospital));
        let segments = segments.filter(|info| volume.is_none_or(|volume| info.shards.contains(&Some(volume))));
        let segments: Vec<SegmentId> = segments.map(|segment| segment.id).collect();
        let desks = self.desks.iter().map(|desk| desk.info().hospital);
        let desks = desks.filter(|of| asked(*of) && volume.is_none() && !self.coming.contains(of));
        let desks: Vec<HospitalId> = desks.collect();
        let units = segments.iter().filter(|_| every_unit).copied().map(Part::Units);
        let ledgers = desks.iter().copied().map(Part::Ledger);
        let walks = segments.iter().copied().map(Part::Walk);
        units.chain(ledgers).chain(walks).chain(desks.iter().copied().map(Part::Rows)).collect()
    }

    /// Does one part; `pace` is asked before it. What went since the parts were listed is left out.
    pub fn part(&mut self, part: Part, pace: &dyn Pace) -> Result<()> {
        let segment = |id: SegmentId| self.tier.segments().into_iter().find(|segment| segment.id == id);
        match part {
            Part::Units(id) => {
                let Some(segment) = segment(id) else { return Ok(()) };
                pace.spend(segment.payload_bytes)?;
                let met = self.tier.check_segment(id);
                self.report.findings.extend(met.iter().map(Finding::from));
            }
            Part::Ledger(hospital) => {
                pace.spend(0)?;
                let desk = self.desks.iter().find(|desk| desk.info().hospital == hospital);
                desk.map_or(Ok(()), |desk| ledger::check(desk, self.index, &mut self.report))?;
            }
            Part::Walk(id) => {
                pace.spend(0)?;
                let Some(segment) = segment(id) else { return Ok(()) };
                media::walk(self, &segment)?.add_to(&mut self.report);
            }
            Part::Rows(hospital) => {
                pace.spend(0)?;
                let findings = self.desk(hospital).map_or(Ok(Vec::new()), |desk| media::rows(self, desk))?;
                self.report.findings.extend(findings);
            }
        }
        Ok(())
    }

    /// What was seen so far.
    pub fn into_report(self) -> CheckReport {
        self.report
    }

    /// Does every part.
    pub fn run(mut self, options: &CheckOptions, pace: &dyn Pace) -> Result<CheckReport> {
        for part in self.parts(options.every_unit, None, None) {
            self.part(part, pace)?;
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
