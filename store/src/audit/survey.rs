//! Reading a whole audit log from its folder: every file, every record, and whether they make one chain up to the
//! remembered head. What does not is a finding; the walk goes on behind it as far as the chain says where.

use crate::audit::file::{Header, Tip, Walk};
use crate::audit::head::Head;
use crate::audit::{AuditRecord, file_name, parse_file_name};
use crate::check::{Finding, Severity};
use crate::error::{Error, Result};
use shosoin_protocol::ErrorKind;
use std::path::Path;

/// What was seen of a log.
#[derive(Debug, Default)]
pub struct Survey {
    /// what is not as it should be
    pub findings: Vec<Finding>,
    /// records that are good
    pub records: u64,
    /// the newest file, if there is any
    pub last: Option<Last>,
    /// whether the remembered head was met
    pub head_met: bool,
}

/// The newest file.
#[derive(Debug, Clone, Copy)]
pub struct Last {
    /// its number
    pub number: u32,
    /// bytes up to the end of its last good record
    pub kept_bytes: u64,
    /// bytes in all
    pub total_bytes: u64,
    /// where the chain stands at its end
    pub tip: Tip,
}

/// Numbers of the files in the folder, in order.
pub fn numbers(dir: &Path) -> Result<Vec<u32>> {
    let failed = |source| Error::Io { action: "list", path: dir.to_owned(), source };
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        numbers.extend(name.to_str().and_then(parse_file_name));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads one file, no further than `limit` bytes.
pub fn read_file(dir: &Path, number: u32, limit: u64) -> Result<Vec<u8>> {
    let path = dir.join(file_name(number));
    match std::fs::read(&path) {
        Ok(mut bytes) => {
            bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(bytes)
        }
        Err(source) => Err(Error::Io { action: "read", path, source }),
    }
}

/// Walks the log in `dir`, which ended at `head` as far as is remembered. Files beyond `up_to` (number and length) are
/// not looked at: they are being written.
pub fn walk(
    dir: &Path,
    head: Option<&Head>,
    up_to: Option<(u32, u64)>,
    visit: &mut dyn FnMut(AuditRecord),
) -> Result<Survey> {
    let mut survey = Survey::default();
    let limit = |number: u32| match up_to {
        Some((last, len)) if number == last => len,
        _ => u64::MAX,
    };
    let mut numbers = numbers(dir)?;
    numbers.retain(|number| up_to.is_none_or(|(last, _)| *number <= last));
    let mut expected = (1, Tip::START);
    let mut next = numbers.first().map(|number| read_file(dir, *number, limit(*number))).transpose()?;
    for (index, number) in numbers.iter().enumerate() {
        let bytes = next.take().unwrap_or_default();
        refuse_newer(&bytes)?;
        next = numbers.get(index + 1).map(|number| read_file(dir, *number, limit(*number))).transpose()?;
        let follower = next.as_deref().and_then(|bytes| Header::decode(bytes.get(..super::file::HEADER_LEN)?).ok());
        let tip = survey.file(*number, &bytes, expected, follower.as_ref(), head, visit);
        // a file whose header is damaged tells nothing; the next one says where it goes on
        expected = (*number + 1, tip.or(follower.map(|header| header.before)).unwrap_or(expected.1));
    }
    Ok(survey)
}

/// A log that a newer release wrote is not damaged, and not for this one to go on with.
fn refuse_newer(bytes: &[u8]) -> Result<()> {
    match Header::decode(bytes.get(..super::file::HEADER_LEN).unwrap_or(bytes)) {
        Err(source) if source.kind() == ErrorKind::Unsupported => Err(Error::Malformed { what: "audit log", source }),
        _ => Ok(()),
    }
}

impl Survey {
    fn damaged(&mut self, message: String) {
        self.findings.push(Finding { severity: Severity::Damaged, code: "audit-damaged", message });
    }

    /// One file; gives where the chain stands at its end.
    fn file(
        &mut self,
        number: u32,
        bytes: &[u8],
        (expected_number, expected): (u32, Tip),
        follower: Option<&Header>,
        head: Option<&Head>,
        visit: &mut dyn FnMut(AuditRecord),
    ) -> Option<Tip> {
        let name = file_name(number);
        if number != expected_number {
            self.damaged(format!("audit log has no file {} before {name}", file_name(number.saturating_sub(1))));
        }
        let total_bytes = bytes.len() as u64;
        let header = match Header::decode(bytes.get(..super::file::HEADER_LEN).unwrap_or(bytes)) {
            Ok(header) if header.number == number => header,
            Ok(header) => {
                self.damaged(format!("audit file {name} says that it is number {}", header.number));
                return None;
            }
            Err(error) => {
                self.damaged(format!("header of audit file {name} is not good: {error}"));
                self.last = Some(Last { number, kept_bytes: total_bytes, total_bytes, tip: expected });
                return None;
            }
        };
        if header.before != expected {
            let (found, expected) = (header.before.seq, expected.seq);
            let what = format!("audit file {name} goes on behind record {found} with its digest");
            self.damaged(format!("{what}, and the file before it ends otherwise, at record {expected}"));
        }
        if let Some(follower) = follower.filter(|follower| follower.total_bytes != total_bytes) {
            let expected = follower.total_bytes;
            self.damaged(format!("audit file {name} has {total_bytes} bytes in place of {expected}"));
        }
        let kept = follower.map_or(bytes.len(), |follower| usize::try_from(follower.kept_bytes).unwrap_or(usize::MAX));
        let walked = self.records(&name, &bytes[..kept.min(bytes.len())], &header, head, visit);
        let (kept_bytes, tip) = walked;
        if follower.is_some() && kept_bytes < kept as u64 {
            self.damaged(format!("audit file {name} cannot be read from offset {kept_bytes} on"));
        }
        self.last = Some(Last { number, kept_bytes, total_bytes, tip });
        Some(tip)
    }

    /// The records of one file; gives the end of the last one, or of the last good one where bad ones end the file.
    fn records(
        &mut self,
        name: &str,
        bytes: &[u8],
        header: &Header,
        head: Option<&Head>,
        visit: &mut dyn FnMut(AuditRecord),
    ) -> (u64, Tip) {
        let mut walk = Walk::new(bytes, header);
        let head = head.filter(|head| head.file == header.number);
        let is_head = |at: usize, tip: Tip| head.is_some_and(|head| head.len == at as u64 && head.tip == tip);
        self.head_met |= is_head(walk.at(), walk.tip());
        let mut good = (walk.at(), walk.tip());
        let mut bad: Vec<String> = Vec::new();
        while let Some(met) = walk.next() {
            match met.event {
                Ok(event) => {
                    std::mem::take(&mut bad).into_iter().for_each(|message| self.damaged(message));
                    self.records += 1;
                    good = (walk.at(), walk.tip());
                    visit(AuditRecord { seq: met.seq, digest: met.digest, event });
                }
                Err(why) => bad.push(format!("record {} in audit file {name} at {}: {why}", met.seq, met.at)),
            }
            self.head_met |= is_head(walk.at(), walk.tip());
        }
        // what ends the file badly is damage only as far as it was there before; the caller knows what was remembered
        let remembered = |at: usize| head.is_some_and(|head| (at as u64) < head.len);
        if remembered(good.0) {
            bad.into_iter().for_each(|message| self.damaged(message));
        }
        (good.0 as u64, good.1)
    }
}
