//! The check job: the whole vault against itself, in one step that can be stopped between segments.

use super::Work;
use crate::check::CheckOptions;
use crate::error::Result;
use crate::jobs::JobOptions;
use crate::jobs::report::{Figures, Gain};
use crate::vault::Inner;
use shosoin_tiers::Pace;

/// A check.
pub struct WholeCheck {
    options: CheckOptions,
    done: bool,
}

impl WholeCheck {
    /// A check that has not begun.
    pub fn new(options: &JobOptions) -> Self {
        let check = CheckOptions { every_unit: options.every_unit, ..CheckOptions::default() };
        WholeCheck { options: check, done: false }
    }
}

impl Work for WholeCheck {
    fn step(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Gain>> {
        if self.done {
            return Ok(None);
        }
        let report = inner.check(&self.options, pace)?;
        self.done = true;
        let figures = Figures { items: report.records, read_bytes: report.sealed_bytes, ..Figures::default() };
        let (segments, records, entries) = (report.segments, report.records, report.entries);
        let sentence = format!("{segments} segments, {records} records and {entries} entries of ledgers compared");
        let gain = Gain { figures, ..Gain::said(sentence) };
        Ok(Some(gain.found(report.findings)))
    }

    fn extent(&self, inner: &Inner) -> (u64, Option<u64>) {
        let total = inner.tier.segments().iter().map(|segment| segment.payload_bytes).sum();
        (if self.done { total } else { 0 }, Some(total))
    }

    fn plan(&self, inner: &Inner) -> Vec<String> {
        let depth = if self.options.every_unit { "every unit" } else { "tables of records" };
        let segments = inner.tier.segments().len();
        vec![format!("{segments} segments, {depth}, against the index, and every ledger from its first entry")]
    }
}
