//! Mending the audit log on the vault's own disk from its copies on volumes, before it is opened.
//!
//! Invariants
//! - Only what is damaged is touched: a file whose records do not lead to where the next file, or the remembered head, says
//!   that they led. One that is whole and says something else than the copies is evidence, and stays.
//! - What is put in its place leads exactly there, so that it is what was written and nothing else.
//! - What was damaged is kept beside it.

use crate::audit::copies;
use crate::audit::file::{HEADER_LEN, Header, Tip, Walk};
use crate::audit::head::HeadFile;
use crate::audit::{DIR, file_name, survey};
use crate::check::{Finding, Severity};
use crate::error::{Error, Result};
use shosoin_tiers::durable;
use shosoin_tiers::media::{FileMedia, FileOptions, Media};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Where the records of a file end, as something outside the file says.
#[derive(Debug, Clone, Copy)]
struct End {
    tip: Tip,
    kept_bytes: u64,
    /// bytes in all; more may follow in the newest file
    total_bytes: Option<u64>,
}

/// Files of one number: ours first, then copies with their places.
type Files = BTreeMap<u32, Vec<(String, Vec<u8>)>>;

/// Mends what is damaged of the log of the vault in `dir` from copies on these media, and says what it did.
pub fn heal(dir: &Path, media: &[Arc<dyn Media>]) -> Result<Vec<Finding>> {
    let folder = dir.join(DIR);
    if !folder.is_dir() || survey::numbers(&folder)?.is_empty() {
        return Ok(Vec::new());
    }
    let (_, head) = HeadFile::open(&folder)?;
    let newest = head.map(|head| (head.file, End { tip: head.tip, kept_bytes: head.len, total_bytes: None }));
    let copies = gather(media);
    let last = survey::numbers(&folder)?.into_iter().chain(newest.map(|(number, _)| number)).max().unwrap_or(0);
    let (mut findings, mut before) = (Vec::new(), Tip::START);
    for number in 1..=last {
        let ours = |number| survey::read_file(&folder, number, u64::MAX).unwrap_or_default();
        let mine = ours(number);
        let end = newest.filter(|(newest, _)| *newest == number).map(|(_, end)| end);
        let end = end.or_else(|| told_by_next(number + 1, &ours(number + 1), &copies));
        let Some(end) = end else { break };
        if !leads(&mine, number, before, end) {
            findings.extend(mend(&folder, number, &mine, (before, end), &copies)?);
        }
        before = end.tip;
    }
    Ok(findings)
}

fn gather(media: &[Arc<dyn Media>]) -> Files {
    let mut files = Files::new();
    for medium in media {
        for (number, bytes) in copies::copies_on(&**medium).unwrap_or_default() {
            files.entry(number).or_default().push((medium.place(), bytes));
        }
    }
    files
}

fn header_of(bytes: &[u8], number: u32) -> Option<Header> {
    Header::decode(bytes.get(..HEADER_LEN)?).ok().filter(|header| header.number == number)
}

/// What the header of the next file says of this one: ours, or where that is damaged a copy of it.
fn told_by_next(next: u32, ours: &[u8], copies: &Files) -> Option<End> {
    let in_copies = || copies.get(&next)?.iter().find_map(|(_, bytes)| header_of(bytes, next));
    let header = header_of(ours, next).or_else(in_copies)?;
    Some(End { tip: header.before, kept_bytes: header.kept_bytes, total_bytes: Some(header.total_bytes) })
}

/// Whether the records of a file lead from `before` to `end`.
fn leads(bytes: &[u8], number: u32, before: Tip, end: End) -> bool {
    let Some(header) = header_of(bytes, number).filter(|header| header.before == before) else { return false };
    let whole = end.total_bytes.is_none_or(|total| total == bytes.len() as u64);
    let Some(kept) = usize::try_from(end.kept_bytes).ok().and_then(|kept| bytes.get(..kept)) else { return false };
    let mut walk = Walk::new(kept, &header);
    whole && walk.by_ref().all(|met| met.event.is_ok()) && walk.left() == 0 && walk.tip() == end.tip
}

/// Puts a copy in the place of a damaged file; what is newer than the copy is taken from the file itself.
fn mend(
    folder: &Path,
    number: u32,
    damaged: &[u8],
    (before, end): (Tip, End),
    copies: &Files,
) -> Result<Option<Finding>> {
    let joined = |copy: &Vec<u8>| [copy, damaged.get(copy.len()..).unwrap_or_default()].concat();
    let candidates = copies.get(&number).into_iter().flatten();
    let mut candidates = candidates.flat_map(|(place, copy)| [(place, joined(copy)), (place, copy.clone())]);
    let Some((place, good)) = candidates.find(|(_, bytes)| leads(bytes, number, before, end)) else {
        return Ok(None); // the survey says what is wrong with it
    };
    let name = file_name(number);
    let disk = FileMedia::open(folder, FileOptions { exclusive: false, ..FileOptions::default() })?;
    let kept = format!("{name}.damaged");
    if !damaged.is_empty() && !folder.join(&kept).exists() {
        durable::replace(&disk, &kept, damaged)?;
    }
    durable::replace(&disk, &name, &good)?;
    if std::fs::read(folder.join(&name)).ok().as_ref() != Some(&good) {
        let why = "it was mended from a copy and does not read back; look at the disk".to_owned();
        return Err(Error::Audit { path: folder.join(&name), why });
    }
    let message = format!(
        "audit file {name} was damaged or gone on the vault's own disk and was mended from the volume at {place}; what it \
         was is kept as {kept}"
    );
    Ok(Some(Finding { severity: Severity::Degraded, code: "audit-healed", message }))
}
