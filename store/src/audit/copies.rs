//! Copies of the audit log on mounted volumes: the vault's own disk is not the only place, and not the only witness.
//!
//! Invariants
//! - A copy is replaced only by a longer one that begins with it. One that says something else is evidence, and stays.
//! - A copy is taken back only if its whole chain is good.

use crate::audit::file::{Header, Tip, Walk};
use crate::audit::head::Head;
use crate::audit::{DIR, file_name, parse_file_name, survey};
use crate::check::{Finding, Severity};
use crate::error::{Error, Result};
use shosoin_tiers::media::{FileMedia, FileOptions, Media};
use shosoin_tiers::{Error as MediaError, durable};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

fn copy_path(number: u32) -> String {
    format!("{DIR}/{}", file_name(number))
}

/// Copies what `media` do not have yet of the log in `dir`, up to `head`.
pub fn copy(dir: &Path, head: &Head, media: &[Arc<dyn Media>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for medium in media {
        match copy_to_one(dir, head, &**medium) {
            Ok(differing) => findings.extend(differing),
            Err(error) => {
                let why = error.problem().message;
                let message = format!("audit log could not be copied to the volume at {}: {why}", medium.place());
                findings.push(Finding { severity: Severity::Notice, code: "audit-copy", message });
            }
        }
    }
    findings
}

fn copy_to_one(dir: &Path, head: &Head, media: &dyn Media) -> Result<Vec<Finding>> {
    media.make_dir(DIR)?;
    let mut findings = Vec::new();
    for number in survey::numbers(dir)?.into_iter().filter(|number| *number <= head.file) {
        let path = copy_path(number);
        let ours = survey::read_file(dir, number, if number == head.file { head.len } else { u64::MAX })?;
        match read(media, &path)? {
            Some(copy) if copy == ours => {}
            Some(copy) if !ours.starts_with(&copy) => findings.push(differs(media, number)),
            _ => durable::replace(media, &path, &ours)?,
        }
    }
    Ok(findings)
}

/// Compares the copies on `media` with the log in `dir` up to `head`; gives how many there were.
pub fn compare(dir: &Path, head: &Head, media: &[Arc<dyn Media>]) -> Result<(u64, Vec<Finding>)> {
    let (mut copies, mut findings) = (0, Vec::new());
    for medium in media {
        for (number, copy) in copies_on(&**medium)? {
            copies += 1;
            let limit = if number == head.file { head.len } else { u64::MAX };
            let ours = survey::read_file(dir, number, limit).unwrap_or_default();
            if !ours.starts_with(&copy) {
                findings.push(differs(&**medium, number));
            }
        }
    }
    Ok((copies, findings))
}

fn differs(media: &dyn Media, number: u32) -> Finding {
    let (place, name) = (media.place(), file_name(number));
    let message = format!("audit file {name} does not begin with what the volume at {place} holds of it");
    Finding { severity: Severity::Damaged, code: "audit-copy-differs", message }
}

/// Writes the longest good chain of copies on `media` into the folder of the vault in `dir`. Nothing where there is none.
pub fn restore(dir: &Path, media: &[Arc<dyn Media>]) -> Result<Option<Finding>> {
    let mut candidates: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
    for medium in media {
        for (number, copy) in copies_on(&**medium).unwrap_or_default() {
            candidates.entry(number).or_default().push(copy);
        }
    }
    let (mut chain, mut tip): (Vec<Vec<u8>>, Tip) = (Vec::new(), Tip::START);
    for (number, copies) in candidates {
        let good = copies.into_iter().filter_map(|copy| Some((chain_end(&copy, number, tip)?, copy)));
        let Some((end, copy)) = good.max_by_key(|(end, _)| end.seq) else { break };
        if number as usize != chain.len() + 1 {
            break;
        }
        (tip, chain) = (end, [chain, vec![copy]].concat());
    }
    if chain.is_empty() {
        return Ok(None);
    }
    let vault = FileMedia::open(dir, FileOptions { exclusive: false, ..FileOptions::default() })?;
    vault.make_dir(DIR)?;
    for (number, bytes) in (1..).zip(&chain) {
        durable::replace(&vault, &copy_path(number), bytes)?;
    }
    let message = format!(
        "audit log was lost on the vault's own disk and taken from copies on volumes, up to record {}; what was recorded \
         after they were made is gone",
        tip.seq
    );
    Ok(Some(Finding { severity: Severity::Degraded, code: "audit-restored", message }))
}

/// Where the chain stands behind a file, if it goes on from `before` and all of it is good.
fn chain_end(bytes: &[u8], number: u32, before: Tip) -> Option<Tip> {
    let header = Header::decode(bytes.get(..super::file::HEADER_LEN)?).ok()?;
    if header.number != number || header.before != before {
        return None;
    }
    let mut walk = Walk::new(bytes, &header);
    let all_good = walk.by_ref().all(|met| met.event.is_ok());
    (all_good && walk.left() == 0).then(|| walk.tip())
}

/// Every file of the log that a medium has.
pub fn copies_on(media: &dyn Media) -> Result<Vec<(u32, Vec<u8>)>> {
    let listed = match media.list(DIR) {
        Ok(listed) => listed,
        Err(MediaError::NotFound { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let numbers = listed.iter().filter_map(|listed| parse_file_name(&listed.name));
    numbers.map(|number| Ok((number, read(media, &copy_path(number))?.unwrap_or_default()))).collect()
}

fn read(media: &dyn Media, path: &str) -> Result<Option<Vec<u8>>> {
    let file = match media.open(path) {
        Ok(file) => file,
        Err(MediaError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    if len > 2 * super::FILE_BYTES_MAX {
        let why = format!("{path} on the volume at {} has {len} bytes, more than any file of it", media.place());
        return Err(Error::Audit { path: path.into(), why });
    }
    let mut bytes = vec![0; len];
    let found = file.read_at(0, &mut bytes)?;
    bytes.truncate(found);
    Ok(Some(bytes))
}
