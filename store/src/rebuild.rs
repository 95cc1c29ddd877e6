//! Filling the index from media alone, without any key of a hospital: what opening does for the newest stripes, and
//! `vault rebuild` for everything.
//!
//! Invariants
//! - Every segment is walked from its watermark to its end, and rows and watermark are written together; stopped at any
//!   point, the next run goes on where this one was.
//! - Damage is a finding, and the walk goes on.
//! - Nothing on media is changed.

use crate::apply;
use crate::check::{Finding, Severity};
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::index::{Index, Pending};
use crate::keeping;
use crate::rows::{self, ActRow, DocumentsRow, Meta, RecordRow, Row, Rows, Watermark};
use serde::Serialize;
use shosoin_protocol::act::{Act, Document};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::PlacedEntry;
use shosoin_protocol::{HospitalId, RecordKind};
use shosoin_tiers::{SegmentInfo, SegmentState, Tier, Walked};
use std::collections::{BTreeMap, BTreeSet};

/// Progress of a rebuild.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// segments done
    pub segments: u64,
    /// segments in all
    pub segments_total: u64,
    /// payload bytes of the segments done
    pub bytes: u64,
    /// payload bytes in all
    pub bytes_total: u64,
}

/// What a rebuild did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RebuildReport {
    /// segments walked
    pub segments: u64,
    /// records found
    pub records: u64,
    /// ledger entries among them
    pub entries: u64,
    /// entries of each hospital's ledger, by hospital id
    pub log_sizes: BTreeMap<String, u64>,
    /// damage met on the way
    pub findings: Vec<Finding>,
    /// hospitals with segments that are not wholly in sight: their logs may be longer than what was found
    #[serde(skip)]
    pub incomplete: BTreeSet<HospitalId>,
}

/// Refuses an index that cannot be caught up: empty beside media that are not, of another vault or form, ahead, or from before
/// a segment was removed: its rows lead there.
pub fn usable(index: &dyn Index, identity: &Identity, tier: &Tier) -> Result<()> {
    let segments = tier.segments();
    let unusable = |why: String| Err(Error::Index { action: "open", why });
    match index.row::<Meta>(&rows::meta_key())? {
        None if segments.is_empty() => return Ok(()),
        None => return unusable("it is empty".into()),
        Some(meta) if meta.vault != identity.vault() => return unusable("it is of another vault".into()),
        Some(meta) if meta.form != rows::FORM => return unusable(format!("its form is {}", meta.form)),
        Some(_) => {}
    }
    let segments: BTreeMap<_, _> = segments.iter().map(|segment| (segment.id, segment)).collect();
    index.scan(&rows::watermark_prefix(), &mut |key, value| {
        let mark = Watermark::decode(value)?;
        let id = rows::watermark_segment(key);
        if let Some(id) = id.filter(|id| tier.is_removed(*id)) {
            return unusable(format!("it knows segment {id}, which was removed")).map(|()| false);
        }
        match id.and_then(|id| segments.get(&id)) {
            Some(segment) if segment.state != SegmentState::Unreadable && mark.0 > segment.end => {
                unusable(format!("it is ahead of segment {}", segment.id)).map(|()| false)
            }
            _ => Ok(true),
        }
    })
}

/// Walks every segment of `tier` from its watermark on, and grows the tree of each hospital.
pub fn catch_up(
    index: &dyn Index,
    tier: &Tier,
    identity: &Identity,
    hospitals: impl IntoIterator<Item = HospitalId>,
    progress: &dyn Fn(Progress),
) -> Result<RebuildReport> {
    let mut segments = tier.segments();
    // of a record that is in several segments the last one met counts, and that is to be a hot one
    segments.sort_by_key(|segment| tier.is_hot(segment.id).unwrap_or(true));
    let mut walk = Walk { tier, identity, rows: Pending::new(index), report: RebuildReport::default() };
    walk.rows.put(rows::meta_key(), Meta { form: rows::FORM, vault: identity.vault() }.encode());
    let mut done = Progress { segments_total: segments.len() as u64, ..Progress::default() };
    done.bytes_total = segments.iter().map(|segment| segment.payload_bytes).sum();
    for segment in &segments {
        walk.segment(segment)?;
        done.segments += 1;
        done.bytes += segment.payload_bytes;
        progress(done);
    }
    let mut hospitals: BTreeSet<HospitalId> = hospitals.into_iter().collect();
    hospitals.extend(segments.iter().map(|segment| segment.hospital));
    for hospital in hospitals {
        walk.ledger(index, hospital)?;
    }
    walk.rows.write()?;
    Ok(walk.report)
}

/// Grows the tree of one hospital whose records are in the index, and brings in what acts in its ledger change.
pub fn catch_up_ledger(
    index: &dyn Index,
    tier: &Tier,
    identity: &Identity,
    hospital: HospitalId,
) -> Result<LedgerState> {
    let mut walk = Walk { tier, identity, rows: Pending::new(index), report: RebuildReport::default() };
    let size = walk.ledger(index, hospital)?;
    walk.rows.write()?;
    Ok(LedgerState { size, findings: walk.report.findings })
}

/// What came of one ledger.
pub struct LedgerState {
    /// leaves without a gap
    pub size: u64,
    /// acts whose documents could not be read
    pub findings: Vec<Finding>,
}

struct Walk<'a> {
    tier: &'a Tier,
    identity: &'a Identity,
    rows: Pending<'a>,
    report: RebuildReport,
}

impl Walk<'_> {
    fn ledger(&mut self, index: &dyn Index, hospital: HospitalId) -> Result<u64> {
        let size = apply::grow(&mut self.rows, hospital)?;
        self.report.log_sizes.insert(hospital.to_string(), size);
        self.rows.write()?;
        self.report.findings.extend(keeping::catch_up(index, self.tier, hospital, size)?);
        self.documents(index, hospital)?;
        Ok(size)
    }

    fn segment(&mut self, segment: &SegmentInfo) -> Result<()> {
        let key = rows::watermark_key(segment.id);
        let from = self.rows.row::<Watermark>(&key)?.map_or(0, |mark| mark.0);
        if segment.state != SegmentState::Unreadable && from >= segment.end {
            return Ok(());
        }
        self.report.segments += 1;
        if segment.state == SegmentState::Unreadable {
            // Volumes that are absent may hold acknowledged stripes of it, whatever can be walked here.
            self.report.incomplete.insert(segment.hospital);
        }
        let tier = self.tier;
        let mut failed = None;
        let walked = tier.walk(segment.id, from, &mut |walked| {
            // An error of the index ends the walk; the media's own errors are told apart from it below.
            self.record(segment, walked).map_err(|error| {
                failed = Some(error);
                shosoin_tiers::Error::Abandoned { what: "walk of a segment" }
            })
        });
        match (walked, failed) {
            (_, Some(error)) => return Err(error),
            (Ok(end), None) => self.rows.put(key, Watermark(end).encode()),
            (Err(error), None) => {
                self.report.incomplete.insert(segment.hospital);
                self.find("segment-unreadable", Error::from(error).problem().message);
            }
        }
        self.rows.write()
    }

    fn record(&mut self, segment: &SegmentInfo, walked: Walked) -> Result<()> {
        self.report.records += 1;
        if self.rows.is_many() {
            let mark = Watermark(walked.location.stripe_at);
            self.rows.put(rows::watermark_key(segment.id), mark.encode());
            self.rows.write()?;
        }
        match walked.kind {
            RecordKind::Entry => self.entry(segment, walked),
            RecordKind::Checkpoint => self.checkpoint(segment, walked),
            kind => {
                apply::record(&mut self.rows, segment.hospital, kind, &walked.address, walked.location);
                Ok(())
            }
        }
    }

    fn entry(&mut self, segment: &SegmentInfo, walked: Walked) -> Result<()> {
        self.report.entries += 1;
        let bytes = match self.tier.read(segment.suite, &walked.location, &walked.address) {
            Ok(bytes) => bytes,
            Err(error) => return self.damaged("entry-unreadable", Error::from(error)),
        };
        match PlacedEntry::decode(&bytes) {
            Ok(placed) if placed.entry.statement().hospital == segment.hospital => {
                let finding = apply::entry(&mut self.rows, &placed, &walked.address, walked.location)?;
                self.report.findings.extend(finding);
            }
            Ok(_) => self.find("foreign-entry", format!("entry {} is of another hospital", walked.address)),
            Err(source) => return self.damaged("entry-malformed", Error::Malformed { what: "entry on media", source }),
        }
        Ok(())
    }

    fn checkpoint(&mut self, segment: &SegmentInfo, walked: Walked) -> Result<()> {
        let bytes = match self.tier.read(segment.suite, &walked.location, &walked.address) {
            Ok(bytes) => bytes,
            Err(error) => return self.damaged("checkpoint-unreadable", Error::from(error)),
        };
        let text = String::from_utf8_lossy(&bytes);
        let former = Checkpoint::parse(&text).is_ok_and(|(head, _)| head.vault != self.identity.vault());
        if former {
            return Ok(()); // of a vault that kept the ledger before: a check judges it, and it is never the newest
        }
        match Checkpoint::verify(&text, &self.identity.key(segment.suite).public()) {
            Ok(checkpoint) if checkpoint.hospital == segment.hospital && checkpoint.vault == self.identity.vault() => {
                apply::checkpoint(&mut self.rows, &checkpoint, &text)
            }
            Ok(_) => {
                self.find("foreign-checkpoint", format!("checkpoint {} is of another log", walked.address));
                Ok(())
            }
            Err(source) => {
                self.damaged("checkpoint-malformed", Error::Malformed { what: "checkpoint on media", source })
            }
        }
    }

    /// What documents of acts change, which needs the record that the entry names, wherever that is. One that cannot be read
    /// now is read again when the vault is opened next.
    fn documents(&mut self, index: &dyn Index, hospital: HospitalId) -> Result<()> {
        let key = rows::documents_key(hospital);
        let known: DocumentsRow = self.rows.row(&key)?.unwrap_or_default();
        let mut done = DocumentsRow { gap: false, ..known };
        let mut acts = Vec::new();
        index.scan(&rows::act_prefix(hospital), &mut |key, value| {
            let act = ActRow::decode(value)?.act;
            match rows::act_index(key).filter(|leaf| *leaf >= done.below) {
                Some(leaf) if apply::has_effect(act.kind) => acts.push((leaf, act)),
                _ => {}
            }
            Ok(true)
        })?;
        for (leaf, act) in acts {
            match self.document(hospital, &act) {
                Ok(document) => apply::document(&mut self.rows, hospital, leaf, &document)?,
                Err(error @ Error::Index { .. }) => return Err(error),
                Err(error) => {
                    done.gap = true;
                    self.find("document-unreadable", format!("leaf {leaf}: {}", error.problem().message));
                }
            }
            done.below = if done.gap { done.below } else { leaf + 1 };
            self.rows.write_if_many()?;
        }
        if done != known {
            self.rows.put(key, done.encode());
        }
        Ok(())
    }

    fn document(&self, hospital: HospitalId, act: &Act) -> Result<Document> {
        let missing = || Error::NotFound { what: "document", id: act.document.to_string() };
        let row = self.rows.row::<RecordRow>(&rows::record_key(hospital, &act.document))?.ok_or_else(missing)?;
        let segment = self.tier.segment_info(row.at.segment).ok_or_else(missing)?;
        let bytes = self.tier.read(segment.suite, &row.at, &act.document)?;
        Document::decode(act.kind, &bytes).map_err(|source| Error::Malformed { what: "document", source })
    }

    fn damaged(&mut self, code: &'static str, error: Error) -> Result<()> {
        self.find(code, error.problem().message);
        Ok(())
    }

    fn find(&mut self, code: &'static str, message: String) {
        self.report.findings.push(Finding { severity: Severity::Damaged, code, message });
    }
}
