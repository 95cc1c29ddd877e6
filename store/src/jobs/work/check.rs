//! The check job: the whole vault against itself, or one hospital, part by part. The cursor is the last part that was done,
//! with what was counted so far; findings of the parts before it are counted in the report, and listed by the run that met
//! them.

use super::Work;
use crate::check::{Check, CheckReport, Finding, Part, Severity};
use crate::error::Result;
use crate::jobs::JobOptions;
use crate::jobs::report::{Figures, Gain};
use crate::vault::Inner;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{Error, HospitalId, SegmentId, VolumeId};
use shosoin_tiers::Pace;
use std::collections::{BTreeMap, VecDeque};

/// A check.
pub struct WholeCheck {
    asked: Asked,
    waiting: VecDeque<Part>,
    seen: Seen,
    began: bool,
    behind: u64,
    all: u64,
}

/// What was asked for: a cursor of another question is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    every_unit: bool,
    hospital: Option<HospitalId>,
    volume: Option<VolumeId>,
}

/// What the parts so far gave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    last: Option<Part>,
    segments: u64,
    records: u64,
    sealed_bytes: u64,
    entries: u64,
    /// findings worse than a notice
    findings: u64,
    /// those of them that say that something is wrong or gone
    damaged: u64,
}

impl Seen {
    fn add(&mut self, part: Part, report: &CheckReport) {
        let worse = |than: Severity| report.findings.iter().filter(|finding| finding.severity > than).count() as u64;
        self.last = Some(part);
        self.segments += report.segments;
        self.records += report.records;
        self.sealed_bytes += report.sealed_bytes;
        self.entries += report.entries;
        self.findings += worse(Severity::Notice);
        self.damaged += worse(Severity::Degraded);
    }
}

impl WholeCheck {
    /// A check from its beginning, or where an earlier one of the same question was stopped.
    pub fn begin(inner: &Inner, options: &JobOptions, cursor: &[u8]) -> Self {
        let asked = Asked { every_unit: options.every_unit, hospital: options.hospital, volume: options.volume };
        let earlier = decode(cursor).ok().filter(|(of, _)| *of == asked).map(|(_, seen)| seen);
        let seen = earlier.unwrap_or_default();
        let desks = inner.desks();
        let parts = inner.new_check(&desks).parts(asked.every_unit, asked.hospital, asked.volume);
        let bytes = bytes_of(inner);
        let weigh = |parts: &mut dyn Iterator<Item = &Part>| parts.map(|part| weight(&bytes, part)).sum::<u64>();
        let all = weigh(&mut parts.iter());
        let waiting: VecDeque<Part> = parts.into_iter().filter(|part| Some(*part) > seen.last).collect();
        let behind = all - weigh(&mut waiting.iter());
        WholeCheck { asked, waiting, seen, began: false, behind, all }
    }

    /// What opening met, and what an interrupted run found before.
    fn first(&self, inner: &Inner) -> Gain {
        let gain = Gain::default().found(inner.still_true());
        if self.seen.findings == 0 {
            return gain;
        }
        let Seen { findings, damaged, .. } = self.seen;
        let severity = if damaged > 0 { Severity::Damaged } else { Severity::Degraded };
        let message = format!(
            "the parts of this check that were done before it was interrupted gave {findings} findings, {damaged} of them \
             damage; the audit log has their count, and a check that is not interrupted lists them"
        );
        gain.found([Finding { severity, code: "found-before", message }])
    }
}

fn bytes_of(inner: &Inner) -> BTreeMap<SegmentId, u64> {
    inner.tier.segments().into_iter().map(|segment| (segment.id, segment.payload_bytes)).collect()
}

/// Bytes that a part is about; ledgers and rows are small beside them.
fn weight(bytes: &BTreeMap<SegmentId, u64>, part: &Part) -> u64 {
    match part {
        Part::Units(segment) | Part::Walk(segment) => bytes.get(segment).copied().unwrap_or(0),
        Part::Ledger(_) | Part::Rows(_) => 0,
    }
}

impl Work for WholeCheck {
    fn step(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Gain>> {
        if !std::mem::replace(&mut self.began, true) {
            return Ok(Some(self.first(inner)));
        }
        let Some(part) = self.waiting.front().copied() else {
            let Seen { segments, records, entries, .. } = self.seen;
            let sentence = format!("{segments} segments, {records} records and {entries} entries of ledgers compared");
            let ended = self.seen.last.take().is_some();
            return Ok(ended.then(|| Gain::said(sentence)));
        };
        let desks = inner.desks();
        let mut check: Check<'_> = inner.new_check(&desks);
        check.part(part, pace)?;
        let report = check.into_report();
        self.waiting.pop_front();
        self.behind += weight(&bytes_of(inner), &part);
        self.seen.add(part, &report);
        let figures = Figures { items: report.records, read_bytes: report.sealed_bytes, ..Figures::default() };
        Ok(Some(Gain { figures, ..Gain::default() }.found(report.findings)))
    }

    fn extent(&self, _inner: &Inner) -> (u64, Option<u64>) {
        (self.behind, Some(self.all.max(self.behind)))
    }

    fn cursor(&self, _inner: &Inner) -> Vec<u8> {
        match self.seen.last {
            Some(last) => encode(self.asked, last, &self.seen),
            None => Vec::new(),
        }
    }

    fn plan(&self, _inner: &Inner) -> Vec<String> {
        let segments = self.waiting.iter().filter(|part| matches!(part, Part::Walk(_))).count();
        let depth = if self.asked.every_unit { "every unit" } else { "tables of records" };
        let ledgers = self.waiting.iter().filter(|part| matches!(part, Part::Ledger(_))).count();
        let mut plan = vec![format!(
            "{segments} segments, {depth}, against the index, and {ledgers} ledgers from their first entries"
        )];
        if self.seen.last.is_some() {
            plan.push(format!("it goes on where it was interrupted: {} parts are left", self.waiting.len()));
        }
        plan
    }
}

fn encode(asked: Asked, last: Part, seen: &Seen) -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(asked.every_unit.into()).u8(asked.hospital.is_some().into()).u8(asked.volume.is_some().into());
    if let Some(hospital) = asked.hospital {
        out.put(&hospital.0);
    }
    if let Some(volume) = asked.volume {
        out.put(&volume.0);
    }
    match last {
        Part::Units(segment) => out.u8(1).put(&segment.0),
        Part::Ledger(hospital) => out.u8(2).put(&hospital.0),
        Part::Walk(segment) => out.u8(3).put(&segment.0),
        Part::Rows(hospital) => out.u8(4).put(&hospital.0),
    };
    out.u64(seen.segments).u64(seen.records).u64(seen.sealed_bytes).u64(seen.entries);
    out.u64(seen.findings).u64(seen.damaged);
    out.finish()
}

fn decode(bytes: &[u8]) -> shosoin_protocol::Result<(Asked, Seen)> {
    const WHAT: &str = "cursor of a check";
    let mut reader = Reader::new(bytes, WHAT);
    let mut flag = |what| reader.u8(what).map(|flag| flag != 0);
    let (every_unit, of_hospital, of_volume) = (flag("depth")?, flag("of one hospital")?, flag("of one volume")?);
    let hospital = of_hospital.then(|| HospitalId::read(&mut reader)).transpose()?;
    let volume = of_volume.then(|| VolumeId::read(&mut reader)).transpose()?;
    let last = match reader.u8("part")? {
        1 => Part::Units(SegmentId::read(&mut reader)?),
        2 => Part::Ledger(HospitalId::read(&mut reader)?),
        3 => Part::Walk(SegmentId::read(&mut reader)?),
        4 => Part::Rows(HospitalId::read(&mut reader)?),
        _ => return Err(Error::Invalid { what: WHAT, why: "there is no such part" }),
    };
    let mut next = || reader.u64("figure of a check");
    let seen = Seen {
        last: Some(last),
        segments: next()?,
        records: next()?,
        sealed_bytes: next()?,
        entries: next()?,
        findings: next()?,
        damaged: next()?,
    };
    reader.finish()?;
    Ok((Asked { every_unit, hospital, volume }, seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_whatever_part_it_is_at_and_one_that_is_cut_is_refused() {
        let (segment, hospital) = (SegmentId([3; 16]), HospitalId([4; 16]));
        for last in [Part::Units(segment), Part::Ledger(hospital), Part::Walk(segment), Part::Rows(hospital)] {
            let volume = Some(VolumeId([5; 16]));
            for (hospital, volume) in [(None, None), (Some(hospital), None), (None, volume), (Some(hospital), volume)] {
                let asked = Asked { every_unit: hospital.is_none(), hospital, volume };
                let seen = Seen { last: Some(last), segments: 1, records: 2, damaged: 6, ..Seen::default() };
                let bytes = encode(asked, last, &seen);
                assert_eq!(decode(&bytes).unwrap(), (asked, seen));
                (0..bytes.len()).for_each(|len| assert!(decode(&bytes[..len]).is_err()));
            }
        }
    }
}
