//! Media against the index, and the index against media.

use crate::check::{Check, CheckReport, Finding, Severity};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::rows::{self, LeafRow, RecordRow, Row, Rows};
use crate::shelf;
use shosoin_protocol::entry::PlacedEntry;
use shosoin_protocol::{Address, HospitalId, RecordKind, SegmentId};
use shosoin_tiers::{SegmentInfo, Walked};
use std::collections::BTreeMap;

/// What a walk of one segment saw.
#[derive(Default)]
pub struct Seen {
    records: u64,
    sealed_bytes: u64,
    findings: Vec<Finding>,
}

impl Seen {
    /// Adds it to a report.
    pub fn add_to(self, report: &mut CheckReport) {
        report.segments += 1;
        report.records += self.records;
        report.sealed_bytes += self.sealed_bytes;
        report.findings.extend(self.findings);
    }
}

/// Every record of a segment is known to the index.
pub fn walk(check: &Check<'_>, segment: &SegmentInfo) -> Result<Seen> {
    let mut seen = Seen::default();
    if check.coming.contains(&segment.hospital) {
        return Ok(seen);
    }
    let Some(desk) = check.desk(segment.hospital) else {
        let message = format!("segment {} is of hospital {}, which is not enrolled", segment.id, segment.hospital);
        seen.findings.push(Finding::damaged("segment-foreign", message));
        return Ok(seen);
    };
    let mut failed = None;
    let walked = check.tier.walk(segment.id, 0, &mut |walked| {
        seen.records += 1;
        seen.sealed_bytes += u64::from(walked.location.len);
        let finding = record(check, desk, segment, &walked).map_err(|error| {
            failed = Some(error);
            shosoin_tiers::Error::Abandoned { what: "walk of a segment" }
        })?;
        seen.findings.extend(finding);
        Ok(())
    });
    match (failed, walked) {
        (Some(error), _) => Err(error),
        (None, Ok(_)) => Ok(seen),
        (None, Err(_)) if check.tier.is_removed(segment.id) => Ok(Seen::default()), // compacted meanwhile
        (None, Err(error)) => {
            let message = Error::from(error).problem().message;
            seen.findings.push(Finding::damaged("segment-unreadable", message));
            Ok(seen)
        }
    }
}

fn record(check: &Check<'_>, desk: &Desk, segment: &SegmentInfo, walked: &Walked) -> Result<Option<Finding>> {
    if known(check, desk, segment, walked)?.is_none() {
        return Ok(None);
    }
    desk.committer().settle(); // it may be of a group that was not in the index yet
    known(check, desk, segment, walked)
}

/// What is wrong with a record's place in index or ledger; `None` if nothing is.
fn known(check: &Check<'_>, desk: &Desk, segment: &SegmentInfo, walked: &Walked) -> Result<Option<Finding>> {
    let hospital = segment.hospital;
    match walked.kind {
        RecordKind::Entry => entry(check, segment, walked),
        RecordKind::Checkpoint => Ok(checkpoint(check, desk, segment, walked)),
        _ => match check.index.row::<RecordRow>(&rows::record_key(hospital, &walked.address))? {
            Some(row) if row.kind == walked.kind => Ok(None),
            _ => {
                let message = format!("record {} in segment {} has no row", walked.address, segment.id);
                Ok(Some(Finding::index("record-unindexed", message)))
            }
        },
    }
}

fn entry(check: &Check<'_>, segment: &SegmentInfo, walked: &Walked) -> Result<Option<Finding>> {
    let read = check.tier.read(segment.suite, &walked.location, &walked.address);
    let placed = match read.map(|bytes| PlacedEntry::decode(&bytes)) {
        Ok(Ok(placed)) => placed,
        Ok(Err(error)) => return Ok(Some(unusable("entry", segment, walked, error.to_string()))),
        Err(error) => return Ok(Some(unusable("entry", segment, walked, error.to_string()))),
    };
    let row = check.index.row::<LeafRow>(&rows::leaf_key(segment.hospital, placed.index))?;
    match row {
        Some(row) if row.address == walked.address => Ok(None),
        Some(row) if row.leaf == placed.entry.leaf_hash() => Ok(None), // the same entry, written twice around a fault
        Some(_) => {
            let why = format!("leaf {} of the ledger is another entry", placed.index);
            Ok(Some(unusable("entry", segment, walked, why)))
        }
        None => {
            let message = format!("entry {} at leaf {} has no row", walked.address, placed.index);
            Ok(Some(Finding::index("entry-unindexed", message)))
        }
    }
}

fn checkpoint(check: &Check<'_>, desk: &Desk, segment: &SegmentInfo, walked: &Walked) -> Option<Finding> {
    let bytes = match check.tier.read(segment.suite, &walked.location, &walked.address) {
        Ok(bytes) => bytes,
        Err(error) => return Some(unusable("checkpoint", segment, walked, error.to_string())),
    };
    let verified = match desk.lineage() {
        Ok(lineage) => lineage.verify_head(&String::from_utf8_lossy(&bytes)).map_err(|error| error.to_string()),
        Err(error) => Err(error.problem().message),
    };
    let why = match verified.map(|head| head.checkpoint().clone()) {
        Err(why) => why,
        Ok(checkpoint) => match desk.ledger().root_at(checkpoint.size) {
            Ok(Some(root)) if root == checkpoint.root => return None,
            Ok(_) => format!("the ledger never had {} leaves with root {}", checkpoint.size, checkpoint.root),
            Err(error) => error.problem().message,
        },
    };
    Some(unusable("checkpoint", segment, walked, why))
}

fn unusable(what: &str, segment: &SegmentInfo, walked: &Walked, why: String) -> Finding {
    let message = format!("{what} {} in segment {}: {why}", walked.address, segment.id);
    Finding::damaged("ledger-record", message)
}

/// Whether a row leads to its record; it is read again where that has moved since.
fn leads_there(check: &Check<'_>, hospital: HospitalId, address: &Address, row: &RecordRow) -> bool {
    let is_there = |row: &RecordRow| check.tier.peek(&row.at, address).unwrap_or(false);
    let again = || match check.index.row::<RecordRow>(&rows::record_key(hospital, address)) {
        Ok(Some(moved)) => moved.at != row.at && is_there(&moved),
        Ok(None) => true, // removed meanwhile
        Err(_) => false,
    };
    is_there(row) || again()
}

/// Every row of a hospital's records leads to its record, or to a shelf.
pub fn rows(check: &Check<'_>, desk: &Desk) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let (away, hospital) = (shelf::all_away(check.index, check.tier)?, desk.info().hospital);
    let mut on_shelf: BTreeMap<SegmentId, u64> = BTreeMap::new();
    check.index.scan(&rows::record_prefix(hospital), &mut |key, value| {
        let (address, row) = (rows::record_address(key), RecordRow::decode(value));
        let confirmed = match (&address, &row) {
            (Some(address), Ok(row)) => leads_there(check, hospital, address, row),
            _ => false,
        };
        let shelved = row.as_ref().ok().map(|row| row.at.segment).filter(|segment| away.contains_key(segment));
        if let Some(segment) = shelved.filter(|_| !confirmed) {
            *on_shelf.entry(segment).or_default() += 1;
        } else if !confirmed {
            let address = address.map_or("of no address".to_owned(), |address| address.to_string());
            findings
                .push(Finding::damaged("record-not-there", format!("row of record {address} leads nowhere on media")));
        }
        Ok(true)
    })?;
    findings.extend(on_shelf.into_iter().map(|(segment, records)| {
        let message = format!("{records} records of segment {segment} are on a shelf and were not looked at");
        Finding { severity: Severity::Notice, code: "on-shelf", message }
    }));
    Ok(findings)
}
