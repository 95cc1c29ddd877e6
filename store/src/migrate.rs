//! Which segments go from hot volumes to the archive, by the rules of `vault.toml`, and one run of moving them.
//!
//! Invariants
//! - A rule speaks of whole closed segments. Where it names record types or labels, every deposit in a segment must be of them,
//!   and a segment without deposits is of none.
//! - A segment whose bytes are mostly not chunks stays hot: these would be appended again at once.
//! - The audit log says what is about to be removed before it is, and what was copied when it was read back.
//!
//! Source of the order copy, verify, record, release: `tiers::Migration`.

use crate::apply;
use crate::audit::{Action, AuditEvent, Outcome};
use crate::error::{Error, Result};
use crate::index::{Index, Pending};
use crate::media_ledger::MediaLedger;
use crate::reads::Reads;
use crate::rows::LeafRow;
use crate::shelf;
use serde::{Deserialize, Serialize};
use shosoin_protocol::entry::{Body, PlacedEntry};
use shosoin_protocol::policy::{Label, RecordType};
use shosoin_protocol::{Address, HospitalId, RecordKind, SegmentId, Suite};
use shosoin_tiers::{
    Clock, Location, Migration, MigrationPhase, MigrationStep, Pace, SegmentInfo, SegmentState, Tier, Unpaced,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

/// One `[[migrate]]` of `vault.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrateRule {
    /// how long a segment has been closed at least, as in `90days`
    pub older_than: String,
    /// how long nothing of it was read at least, by whole days
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_for: Option<String>,
    /// of which hospital; all of them if it is not said
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hospital: Option<String>,
    /// codes of record types, as in `T4-01`; all of them if none is named
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub record_types: Vec<String>,
    /// labels: ordinary, sensitive, restricted; all of them if none is named
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// what stays hot
    pub keep: Keep,
}

/// Where a segment is after it moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// on hot volumes, which are read, and in the archive
    Both,
    /// in the archive alone
    Archive,
}

/// A rule whose words were understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    older_than_ms: u64,
    unread_for_ms: u64,
    hospital: Option<HospitalId>,
    record_types: BTreeSet<RecordType>,
    labels: BTreeSet<Label>,
    keep: Keep,
}

impl MigrateRule {
    /// Understands the words, or says which one it does not.
    pub fn parse(&self) -> Result<Rule, String> {
        let duration = |what: &str, text: &str| match humantime::parse_duration(text) {
            Ok(duration) => Ok(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
            Err(error) => Err(format!("{what} of a migrate rule is {text}: {error}; write it as in 90days")),
        };
        let hospital = |text: &String| text.parse().map_err(|_| format!("hospital {text} of a migrate rule is no id"));
        let record_type = |code: &String| RecordType::from_code(code).map_err(|error| format!("{code}: {error}"));
        let label = |name: &String| Label::from_name(name).map_err(|error| format!("{name}: {error}"));
        Ok(Rule {
            older_than_ms: duration("older_than", &self.older_than)?,
            unread_for_ms: self.unread_for.as_ref().map_or(Ok(0), |text| duration("unread_for", text))?,
            hospital: self.hospital.as_ref().map(hospital).transpose()?,
            record_types: self.record_types.iter().map(record_type).collect::<Result<_, _>>()?,
            labels: self.labels.iter().map(label).collect::<Result<_, _>>()?,
            keep: self.keep,
        })
    }
}

/// What a segment holds, as far as the operator can see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Contents {
    record_types: BTreeSet<RecordType>,
    labels: BTreeSet<Label>,
    chunk_bytes: u64,
    other_bytes: u64,
}

/// A segment that a rule wants moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// segment
    #[serde(serialize_with = "as_text")]
    pub segment: SegmentId,
    /// whose records it holds
    #[serde(serialize_with = "as_text")]
    pub hospital: HospitalId,
    /// what stays hot
    pub keep: Keep,
    /// bytes to copy
    pub bytes: u64,
}

fn as_text<S: serde::Serializer>(id: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&id.to_string())
}

impl Rule {
    /// Whether age, reads and hospital let a segment go; what it holds is asked only then.
    fn is_due(&self, info: &SegmentInfo, read_ms: u64, now_ms: u64) -> bool {
        let closed_for = info.closed_ms.map(|closed_ms| now_ms.saturating_sub(closed_ms));
        info.state == SegmentState::Closed
            && self.hospital.is_none_or(|hospital| hospital == info.hospital)
            && closed_for.is_some_and(|closed_for| closed_for >= self.older_than_ms)
            && (self.unread_for_ms == 0 || now_ms.saturating_sub(read_ms) >= self.unread_for_ms)
    }

    fn wants(&self, contents: &Contents) -> bool {
        let all_named = self.record_types.is_empty()
            || (!contents.record_types.is_empty() && contents.record_types.is_subset(&self.record_types));
        let all_labelled =
            self.labels.is_empty() || (!contents.labels.is_empty() && contents.labels.is_subset(&self.labels));
        all_named && all_labelled && contents.chunk_bytes >= contents.other_bytes
    }
}

/// What the rules want moved, the first rule that wants a segment deciding. A segment that cannot be looked into stays.
fn plan(tier: &Tier, rules: &[Rule], reads: &Reads, now_ms: u64) -> Vec<Move> {
    let mut moves = Vec::new();
    for info in tier.segments() {
        let mut due = rules.iter().filter(|rule| rule.is_due(&info, reads.last_ms(info.id), now_ms)).peekable();
        if due.peek().is_none() || is_where_it_should_be(tier, &info, due.clone()) {
            continue;
        }
        match contents(tier, &info) {
            Ok(contents) => {
                let Some(rule) = due.find(|rule| rule.wants(&contents)) else { continue };
                let bytes = tier.bytes_to_archive(info.id).unwrap_or(0);
                if bytes > 0 || rule.keep == Keep::Archive {
                    moves.push(Move { segment: info.id, hospital: info.hospital, keep: rule.keep, bytes });
                }
            }
            Err(error) => tracing::warn!(segment = %info.id, %error, "a segment cannot be looked into and stays hot"),
        }
    }
    moves
}

/// Spares a look into segments that have moved, whichever of the rules it was.
fn is_where_it_should_be<'a>(tier: &Tier, info: &SegmentInfo, mut due: impl Iterator<Item = &'a Rule>) -> bool {
    let copied = tier.bytes_to_archive(info.id).is_ok_and(|bytes| bytes == 0);
    let hot = tier.is_hot(info.id).unwrap_or(true);
    copied && (!hot || due.all(|rule| rule.keep == Keep::Both))
}

fn contents(tier: &Tier, info: &SegmentInfo) -> Result<Contents> {
    let (mut contents, mut entries) = (Contents::default(), Vec::new());
    tier.walk(info.id, 0, &mut |walked| {
        match walked.kind {
            RecordKind::Chunk => contents.chunk_bytes += u64::from(walked.location.len),
            _ => contents.other_bytes += u64::from(walked.location.len),
        }
        if walked.kind == RecordKind::Entry {
            entries.push(walked);
        }
        Ok(())
    })?;
    for walked in entries {
        let bytes = tier.read(info.suite, &walked.location, &walked.address)?;
        let placed = PlacedEntry::decode(&bytes);
        let placed = placed.map_err(|source| Error::Malformed { what: "entry on media", source })?;
        if let Body::Deposit(deposit) = placed.entry.body() {
            contents.record_types.insert(deposit.policy.record_type);
            contents.labels.insert(deposit.policy.label);
        }
    }
    Ok(contents)
}

/// Why nothing moves when the vault does not know what time it is.
pub const CLOCK_DOUBTED: &str = "the clock is doubted, and age decides what moves; confirm it, then run this again";

/// What the rules want moved now.
pub fn wanted(parts: &Parts<'_>, rules: &[MigrateRule], reads: &Reads) -> Result<Vec<Move>> {
    let rules = rules.iter().map(MigrateRule::parse).collect::<Result<Vec<_>, _>>();
    let rules = rules.map_err(|why| Error::Argument { what: "migrate rule", why })?;
    Ok(plan(parts.tier, &rules, reads, parts.clock.now_ms()))
}

/// What a whole run did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MigrateReport {
    /// nothing was done
    pub dry_run: bool,
    /// what the rules want moved
    pub moves: Vec<Move>,
    /// bytes that were read again or written
    pub bytes: u64,
    /// why segments could not move
    pub failed: Vec<String>,
}

/// Moves what the rules want moved, or only says what that is. Nothing moves while the clock is doubted.
pub fn run(parts: &Parts<'_>, rules: &[MigrateRule], reads: &Reads, dry_run: bool) -> Result<MigrateReport> {
    if !dry_run && !parts.media.clock_is_trusted(parts.clock.now_ms())? {
        return Ok(MigrateReport { failed: vec![CLOCK_DOUBTED.to_owned()], ..MigrateReport::default() });
    }
    let mut report = MigrateReport { dry_run, moves: wanted(parts, rules, reads)?, ..Default::default() };
    if dry_run {
        return Ok(report);
    }
    let mut run = MigrateRun::new(report.moves.clone());
    loop {
        match run.step(parts, &Unpaced) {
            Ok(Some(moved)) => report.bytes += moved.bytes,
            Ok(None) => return Ok(report),
            Err(error @ Error::Media(_)) => report.failed.push(error.problem().message),
            Err(error) => return Err(error),
        }
    }
}

/// What one step did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// shards that were copied or released, or records that were appended
    pub units: u64,
    /// bytes read again or written
    pub bytes: u64,
    /// those of them that are copies
    pub written_bytes: u64,
    /// bytes that hot volumes have again
    pub freed_bytes: u64,
}

/// Moves segments, one after the other, in steps of at most a shard.
#[derive(Debug)]
pub struct MigrateRun {
    moves: VecDeque<Move>,
    current: Option<Migration>,
}

/// What a run works on.
pub struct Parts<'a> {
    /// folder of the vault
    pub dir: &'a Path,
    /// the media
    pub tier: &'a Tier,
    /// where things are
    pub index: &'a dyn Index,
    /// ledger of media, and through it the audit log
    pub media: &'a Arc<MediaLedger>,
    /// what time it is
    pub clock: &'a dyn Clock,
}

impl MigrateRun {
    /// A run over what [`wanted`] gave. What was done is on media, so that a run needs no cursor.
    pub fn new(moves: Vec<Move>) -> Self {
        MigrateRun { moves: moves.into(), current: None }
    }

    /// Segments that are not done.
    pub fn left(&self) -> impl Iterator<Item = &Move> {
        self.moves.iter()
    }

    /// Does the next piece; `None` when every segment is where it should be. A segment that cannot move now is left out, and
    /// the error is given once.
    pub fn step(&mut self, parts: &Parts<'_>, pace: &dyn Pace) -> Result<Option<Moved>> {
        while let Some(wanted) = self.moves.front() {
            let (segment, keep) = (wanted.segment, wanted.keep);
            let mut migration = self.current.take().unwrap_or_else(|| Migration::new(segment, keep == Keep::Both));
            let event = |action| AuditEvent {
                segment: Some(segment),
                hospital: Some(wanted.hospital),
                ..AuditEvent::of_job(parts.clock.now_ms(), "migrate", action)
            };
            let before = migration.phase;
            let step = migration.step(parts.tier, pace);
            let done = match step {
                Err(error) if matches!(error, shosoin_tiers::Error::Stopped) => {
                    self.current = Some(migration);
                    return Err(error.into());
                }
                Err(error) => {
                    let why: String = error.to_string().chars().take(200).collect();
                    parts.media.record(event(Action::Migrate).ended(Outcome::Failed).because(why))?;
                    self.moves.pop_front();
                    return Err(error.into());
                }
                Ok(done) => done,
            };
            let Some(done) = done else {
                shelf::remember(parts.dir, parts.index, parts.tier, segment)?;
                shelf::keep_lists(parts.dir, parts.tier, parts.clock.now_ms())?;
                self.moves.pop_front();
                continue;
            };
            let moved = recorded(parts, &done, event)?;
            if before != MigrationPhase::Release && migration.phase == MigrationPhase::Release {
                shelf::remember(parts.dir, parts.index, parts.tier, segment)?;
                let begun = event(Action::Release).ended(Outcome::Begun);
                parts
                    .media
                    .record(begun.because("its hot copies go, each when its copy in the archive was verified"))?;
            }
            self.current = Some(migration);
            return Ok(Some(moved));
        }
        Ok(None)
    }
}

/// Writes down what a step did: rows of records that are hot again, and the audit log.
fn recorded(parts: &Parts<'_>, step: &MigrationStep, event: impl Fn(Action) -> AuditEvent) -> Result<Moved> {
    let moved = match step {
        MigrationStep::Copied(copied) => {
            let bytes = copied.bytes + copied.read_bytes;
            parts.media.record(AuditEvent { bytes, units: 1, ..event(Action::Migrate).on(copied.to) })?;
            Moved { bytes, units: 1, written_bytes: copied.bytes, freed_bytes: 0 }
        }
        MigrationStep::Appended { records, bytes } => {
            remember_records(parts, records, &event)?;
            let units = records.len() as u64;
            let why = "records other than chunks stay on hot volumes too";
            parts.media.record(AuditEvent { bytes: *bytes, units, ..event(Action::Migrate).because(why) })?;
            Moved { bytes: *bytes, units, written_bytes: *bytes, freed_bytes: 0 }
        }
        MigrationStep::Released { from, bytes, .. } => {
            parts.media.record(AuditEvent { bytes: *bytes, units: 1, ..event(Action::Release).on(*from) })?;
            Moved { bytes: *bytes, units: 1, written_bytes: 0, freed_bytes: *bytes }
        }
    };
    Ok(moved)
}

/// Lets the index find records where they are hot, wherever else they are.
fn remember_records(
    parts: &Parts<'_>,
    records: &[(RecordKind, Address, Location)],
    event: &impl Fn(Action) -> AuditEvent,
) -> Result<()> {
    let Some(hospital) = event(Action::Migrate).hospital else { return Ok(()) };
    let suites = parts.tier.segments_of(hospital).into_iter().map(|info| (info.id, info.suite));
    let suites: BTreeMap<SegmentId, Suite> = suites.collect();
    let mut rows = Pending::new(parts.index);
    for (kind, address, at) in records {
        match kind {
            RecordKind::Checkpoint => {}
            RecordKind::Entry => {
                let unknown = || shosoin_tiers::Error::SegmentUnknown { segment: at.segment };
                let suite = suites.get(&at.segment).copied().ok_or_else(unknown)?;
                let bytes = parts.tier.read(suite, at, address)?;
                let placed = PlacedEntry::decode(&bytes);
                let placed = placed.map_err(|source| Error::Malformed { what: "entry on media", source })?;
                let row = LeafRow { leaf: placed.entry.leaf_hash(), address: *address, at: *at };
                apply::place(&mut rows, hospital, placed.index, row);
            }
            kind => apply::record(&mut rows, hospital, *kind, address, *at),
        }
        rows.write_if_many()?;
    }
    rows.write()
}
