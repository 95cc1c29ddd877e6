//! The operator's audit log: what was done to the vault, by whom, when and why, in a chain of digests that nobody can
//! change unseen.
//!
//! ```text
//! audit/000001.log, 000002.log, ..    header, records    closed at 1 MiB, never changed afterwards
//! audit/head                          the newest record
//! <volume>/audit/000001.log, ..       copies on mounted volumes
//! ```
//!
//! Invariants
//! - An event is durable when [`AuditLog::append`] returns, so it can be written before its effect is visible.
//! - A record covers the digest of the one before it: a changed, removed, inserted or moved one is found, and so is an end
//!   that was cut off, by the remembered head and by copies on volumes.
//! - Nothing is ever cut off or written over. A record that a crash tore stays where it is; the next file says how much of
//!   the one before it counts.
//! - After a failed write or sync nothing more is appended until the log is opened again.
//! - While the space for it is short (`space`), what would begin something is refused, and the rest of it is kept for records of
//!   what ends, fails or is refused.
//!
//! Refuses: text with control characters. Holds no name of a patient and no free text but an operator's own reason.
//! Source: Schneier and Kelsey, "Secure Audit Logs to Support Computer Forensics", 1999.

mod copies;
mod event;
mod file;
mod head;
mod heal;
pub mod search;
mod space;
mod survey;
pub(crate) mod vocabulary;

pub(crate) use event::check_text;
pub use event::{ACTOR_BYTES_MAX, AuditEvent, Detail, NUMBERS_MAX, REASON_BYTES_MAX, shortened_reason};
pub use file::FILE_BYTES_MAX;
pub use vocabulary::{Action, MediaState, Outcome, TestKind};

use crate::check::{Finding, Severity};
use crate::error::{Error, Result};
use file::{Header, Tip, encode_record};
use head::{Head, HeadFile};
use parking_lot::Mutex;
use serde::Serialize;
use shosoin_protocol::{Digest, HospitalId, VolumeId};
use shosoin_tiers::durable;
use shosoin_tiers::media::{FileMedia, FileOptions, Media};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// Records that are kept in memory for whoever follows the log.
const RECENT: usize = 1024;

/// Folder of the log in the vault's folder, and of its copies on volumes.
pub const DIR: &str = "audit";

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// its number, from 1
    pub seq: u64,
    /// digest over it and the one before it
    #[serde(serialize_with = "as_hex")]
    pub digest: Digest,
    /// what happened
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// Which records are wanted; everything, unless something is set.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// not before, in milliseconds since 1970
    pub since_ms: Option<u64>,
    /// before, in milliseconds since 1970
    pub until_ms: Option<u64>,
    /// one of these; any, where there are none
    pub actions: Vec<Action>,
    /// about this volume
    pub volume: Option<VolumeId>,
    /// by this actor
    pub actor: Option<String>,
    /// for this hospital
    pub hospital: Option<HospitalId>,
    /// about the deposit with this number
    pub number: Option<u64>,
    /// from this address
    pub source: Option<IpAddr>,
    /// ended so
    pub outcome: Option<Outcome>,
    /// behind the record with this number
    pub after: Option<u64>,
    /// only the oldest so many
    pub oldest: Option<usize>,
    /// only the newest so many
    pub newest: Option<usize>,
}

impl AuditQuery {
    /// Whether an event is wanted.
    pub fn wants(&self, event: &AuditEvent) -> bool {
        self.since_ms.is_none_or(|since| event.at_ms >= since)
            && self.until_ms.is_none_or(|until| event.at_ms < until)
            && (self.actions.is_empty() || self.actions.contains(&event.action))
            && self.volume.is_none_or(|volume| event.volume == Some(volume))
            && self.actor.as_ref().is_none_or(|actor| *actor == event.actor)
            && self.hospital.is_none_or(|hospital| event.hospital == Some(hospital))
            && self.number.is_none_or(|number| event.is_about(number))
            && self.source.is_none_or(|source| event.source == Some(source.to_canonical()))
            && self.outcome.is_none_or(|outcome| event.outcome == outcome)
    }
}

/// What verifying a log gave.
#[derive(Debug, Clone, Serialize)]
pub struct AuditReport {
    /// records that are good
    pub records: u64,
    /// number of the newest one
    pub head_seq: u64,
    /// its digest: whoever remembers it elsewhere can tell later that nothing before it was changed
    #[serde(serialize_with = "as_hex")]
    pub head_digest: Digest,
    /// copies on volumes that were compared
    pub copies: u64,
    /// what is not as it should be
    pub findings: Vec<Finding>,
}

/// The open log. One process writes it: the one that holds the vault's folder.
#[derive(Debug)]
pub struct AuditLog {
    dir: PathBuf,
    state: Mutex<State>,
    space: space::Watch,
    /// number of the newest record, for whoever waits for one
    news: watch::Sender<u64>,
    /// that number when this process opened the log
    opened_at: u64,
}

#[derive(Debug)]
struct State {
    /// the newest file; nothing after a failed write
    file: Option<File>,
    head_file: HeadFile,
    head: Head,
    /// records since the last copy to volumes
    not_copied: u64,
    /// the newest records that this process wrote, oldest first
    recent: VecDeque<AuditRecord>,
}

/// A log that was read and is not open yet.
#[derive(Debug)]
pub struct Looked {
    folder: PathBuf,
    head_file: HeadFile,
    remembered: Option<Head>,
    survey: survey::Survey,
}

impl Looked {
    /// Reads the log of the vault in `dir` and changes nothing but to make its folder. `visit` gets every good record.
    pub fn at(dir: &Path, visit: &mut dyn FnMut(AuditRecord)) -> Result<Self> {
        let folder = dir.join(DIR);
        let vault = FileMedia::open(dir, FileOptions { exclusive: false, ..FileOptions::default() })?;
        vault.make_dir(DIR)?;
        let (head_file, remembered) = HeadFile::open(&folder)?;
        let survey = survey::walk(&folder, remembered.as_ref(), None, visit)?;
        Ok(Looked { folder, head_file, remembered, survey })
    }

    /// Whether something is wrong or gone.
    pub fn is_damaged(&self) -> bool {
        let damaged = |finding: &Finding| finding.severity == Severity::Damaged;
        self.survey.findings.iter().any(damaged) || (self.remembered.is_some() && !self.survey.head_met)
    }

    /// Opens it; what is wrong with it stays as it is, and is said.
    pub fn open(self, now_ms: u64) -> Result<(AuditLog, Vec<Finding>)> {
        let Looked { folder, mut head_file, remembered, mut survey } = self;
        let mut findings = std::mem::take(&mut survey.findings);
        let (head, next) = judge_end(&survey, remembered, now_ms, &mut findings);
        let head = match next {
            None => head,
            Some(header) => begin(&folder, &header)?,
        };
        if Some(head) != remembered {
            head_file.write(&head)?;
        }
        let file = Some(open_to_append(&folder, head.file)?);
        let state = Mutex::new(State { file, head_file, head, not_copied: 0, recent: VecDeque::new() });
        let (space, opened_at) = (space::Watch::new(&folder), head.tip.seq);
        let log = AuditLog { dir: folder, state, space, news: watch::Sender::new(opened_at), opened_at };
        Ok((log, findings))
    }
}

impl AuditLog {
    /// Opens the log of the vault in `dir`, or makes one. `visit` gets every good record, oldest first.
    pub fn open(dir: &Path, now_ms: u64, visit: &mut dyn FnMut(AuditRecord)) -> Result<(AuditLog, Vec<Finding>)> {
        Looked::at(dir, visit)?.open(now_ms)
    }

    /// Writes an event behind the newest one; it is durable when its number is returned. After a failure nothing more is
    /// taken until the log is opened again: what is on disk is unknown.
    pub fn append(&self, event: &AuditEvent) -> Result<u64> {
        let mut state = self.state.lock();
        if state.file.is_none() {
            let why = "an earlier write to it failed; look at the disk, then start the vault again".to_owned();
            return Err(Error::Audit { path: self.dir.clone(), why });
        }
        self.space.lets_through(event)?;
        let (bytes, tip) = encode_record(state.head.tip, event)?;
        if state.head.len + bytes.len() as u64 > FILE_BYTES_MAX as u64 {
            self.rotate(&mut state, event.at_ms)?;
            let (bytes, tip) = encode_record(state.head.tip, event)?;
            return self.write(&mut state, (&bytes, tip), event);
        }
        self.write(&mut state, (&bytes, tip), event)
    }

    fn write(&self, state: &mut State, (bytes, tip): (&[u8], Tip), event: &AuditEvent) -> Result<u64> {
        let path = self.dir.join(file_name(state.head.file));
        let mut file = state.file.take().ok_or(Error::Closing)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_data());
        written.map_err(|source| Error::Io { action: "write", path, source })?;
        state.head = Head { len: state.head.len + bytes.len() as u64, tip, ..state.head };
        state.head_file.write(&state.head)?;
        state.not_copied += 1;
        state.file = Some(file);
        state.recent.push_back(AuditRecord { seq: tip.seq, digest: tip.digest, event: event.clone() });
        if state.recent.len() > RECENT {
            state.recent.pop_front();
        }
        self.news.send_replace(tip.seq);
        Ok(tip.seq)
    }

    /// Begins the next file.
    fn rotate(&self, state: &mut State, now_ms: u64) -> Result<()> {
        state.file = None;
        let Head { file, len, tip } = state.head;
        let header = Header { number: file + 1, before: tip, kept_bytes: len, total_bytes: len, begun_ms: now_ms };
        state.head = begin(&self.dir, &header)?;
        state.head_file.write(&state.head)?;
        state.file = Some(open_to_append(&self.dir, state.head.file)?);
        Ok(())
    }

    /// The records behind number `after`, at most `count`, oldest first. Without a look at the disk where they are new.
    pub fn behind(&self, after: u64, count: usize) -> Result<Vec<AuditRecord>> {
        {
            let state = self.state.lock();
            let is_here = state.recent.front().map_or(state.head.tip.seq, |first| first.seq.saturating_sub(1)) <= after;
            if is_here {
                return Ok(state.recent.iter().filter(|record| record.seq > after).take(count).cloned().collect());
            }
        }
        self.read(&AuditQuery { after: Some(after), oldest: Some(count), ..AuditQuery::default() })
    }

    /// Tells when there are new records.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The newest record when this process opened it.
    pub fn opened_at(&self) -> u64 {
        self.opened_at
    }

    /// From now on this much is kept free for records of what ends; less is short.
    pub fn keep_free(&self, reserve_bytes: u64) {
        self.space.keep_free(reserve_bytes);
    }

    /// How much room there is for it.
    pub fn room(&self) -> Result<LogRoom> {
        self.space.look()
    }

    /// Number and digest of the newest record, for whoever wants to remember it elsewhere.
    pub fn head(&self) -> (u64, Digest) {
        let tip = self.state.lock().head.tip;
        (tip.seq, tip.digest)
    }

    /// Records that were appended since the last copy to volumes.
    pub fn not_copied(&self) -> u64 {
        self.state.lock().not_copied
    }

    /// Visits every good record that is wanted, oldest first.
    pub fn for_each(&self, query: &AuditQuery, visit: &mut dyn FnMut(AuditRecord)) -> Result<()> {
        let head = self.state.lock().head;
        let mut wanted = |record: AuditRecord| {
            if query.after.is_none_or(|after| record.seq > after) && query.wants(&record.event) {
                visit(record);
            }
        };
        survey::walk(&self.dir, Some(&head), Some((head.file, head.len)), &mut wanted).map(drop)
    }

    /// The records that are wanted, oldest first.
    pub fn read(&self, query: &AuditQuery) -> Result<Vec<AuditRecord>> {
        let mut records = VecDeque::new();
        self.for_each(query, &mut |record| {
            if query.oldest.is_some_and(|oldest| records.len() >= oldest) {
                return;
            }
            records.push_back(record);
            if query.newest.is_some_and(|newest| records.len() > newest) {
                records.pop_front();
            }
        })?;
        Ok(records.into())
    }

    /// Reads every record, follows the chain to the newest one, and compares the copies on these media.
    pub fn verify(&self, media: &[Arc<dyn Media>]) -> Result<AuditReport> {
        let head = self.state.lock().head;
        let mut survey = survey::walk(&self.dir, Some(&head), Some((head.file, head.len)), &mut |_| {})?;
        let mut findings = std::mem::take(&mut survey.findings);
        if !survey.head_met {
            findings.push(end_missing(&head));
        }
        findings.extend(self.behind_the_head());
        let (copies, differing) = copies::compare(&self.dir, &head, media)?;
        findings.extend(differing);
        Ok(AuditReport {
            records: survey.records,
            head_seq: head.tip.seq,
            head_digest: head.tip.digest,
            copies,
            findings,
        })
    }

    /// Bytes behind the newest record that this process did not write.
    fn behind_the_head(&self) -> Option<Finding> {
        let state = self.state.lock();
        let len = state.file.as_ref()?.metadata().ok()?.len();
        let (more, name) = (len.checked_sub(state.head.len).filter(|more| *more > 0)?, file_name(state.head.file));
        let message = format!("audit file {name} has {more} bytes behind its newest record that nobody here wrote");
        Some(Finding { severity: Severity::Damaged, code: "audit-damaged", message })
    }

    /// Copies what is new to these media, best effort: gives what could not be copied and why.
    pub fn copy_to(&self, media: &[Arc<dyn Media>]) -> Vec<Finding> {
        let head = {
            let mut state = self.state.lock();
            state.not_copied = 0;
            state.head
        };
        copies::copy(&self.dir, &head, media)
    }
}

pub use heal::heal;
pub use space::{LogRoom, RESERVE_BYTES};

/// Takes the newest copies on these media where the folder of the vault in `dir` has no log. Says what it did.
pub fn restore_lost(dir: &Path, media: &[Arc<dyn Media>]) -> Result<Option<Finding>> {
    let folder = dir.join(DIR);
    match folder.is_dir() && !survey::numbers(&folder)?.is_empty() {
        true => Ok(None),
        false => copies::restore(dir, media),
    }
}

/// What the end of the log says against what is remembered of it: where to go on, and with which new file.
fn judge_end(
    survey: &survey::Survey,
    remembered: Option<Head>,
    now_ms: u64,
    findings: &mut Vec<Finding>,
) -> (Head, Option<Header>) {
    let header = |number, before, kept_bytes, total_bytes| {
        Some(Header { number, before, kept_bytes, total_bytes, begun_ms: now_ms })
    };
    let start = Head { file: 1, len: 0, tip: Tip::START };
    let Some(last) = survey.last else {
        let Some(head) = remembered else { return (start, header(1, Tip::START, 0, 0)) };
        findings.push(end_missing(&head));
        return (head, header(head.file + 1, head.tip, head.len, 0));
    };
    let found = Head { file: last.number, len: last.kept_bytes, tip: last.tip };
    let end_is_bad = |head: &Head| head.file == last.number && last.kept_bytes < head.len;
    if let Some(head) = remembered.filter(|head| !survey.head_met || end_is_bad(head)) {
        if !survey.head_met {
            findings.push(end_missing(&head));
        }
        let number = head.file.max(last.number) + 1;
        return (head, header(number, head.tip, head.len.min(last.total_bytes), last.total_bytes));
    }
    if remembered.is_none() {
        let message = "the head of the audit log is not there: an end cut off would not be noticed here".to_owned();
        findings.push(Finding { severity: Severity::Degraded, code: "audit-head", message });
    }
    let torn = last.total_bytes - last.kept_bytes;
    if torn == 0 {
        return (found, None);
    }
    let name = file_name(last.number);
    let message = format!("{torn} bytes of a record that was never finished stay at the end of audit file {name}");
    findings.push(Finding { severity: Severity::Notice, code: "audit-torn", message });
    (found, header(last.number + 1, last.tip, last.kept_bytes, last.total_bytes))
}

fn end_missing(head: &Head) -> Finding {
    let (seq, name) = (head.tip.seq, file_name(head.file));
    let message = format!("audit log does not hold record {seq}, which file {name} is remembered to end with");
    Finding { severity: Severity::Damaged, code: "audit-truncated", message }
}

/// Makes a file with its header, durably and as a whole, and gives the head it makes.
fn begin(folder: &Path, header: &Header) -> Result<Head> {
    let media = FileMedia::open(folder, FileOptions { exclusive: false, ..FileOptions::default() })?;
    let bytes = header.encode();
    durable::replace(&media, &file_name(header.number), &bytes)?;
    Ok(Head { file: header.number, len: bytes.len() as u64, tip: header.tip() })
}

fn open_to_append(folder: &Path, number: u32) -> Result<File> {
    let path = folder.join(file_name(number));
    OpenOptions::new().append(true).open(&path).map_err(|source| Error::Io { action: "open", path, source })
}

/// Name of a file of the log.
fn file_name(number: u32) -> String {
    format!("{number:06}.log")
}

/// The number of a file's name.
fn parse_file_name(name: &str) -> Option<u32> {
    let number = name.strip_suffix(".log")?.parse().ok()?;
    (number > 0 && file_name(number) == name).then_some(number)
}

fn as_hex<S: serde::Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}

#[cfg(test)]
mod tests;
