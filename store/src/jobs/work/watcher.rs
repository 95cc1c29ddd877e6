//! The watcher: re-reads a sample of fresh records a minute, an hour, a day, a week and a month after they were stored. A
//! medium that forgets what it was just given is found before a tour comes by.
//!
//! What is fresh the ledger says: entries that became that old since the last look. Of each entry its own records are read,
//! and some of its chunks, each verified against its address.

use super::Work;
use crate::check::{Finding, Severity};
use crate::desk::Desk;
use crate::error::Result;
use crate::jobs::JobOptions;
use crate::jobs::report::{Figures, Gain};
use crate::vault::Inner;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::entry::Body;
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::{Address, ErrorKind, HospitalId};
use shosoin_tiers::Pace;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Chunks of one version that are read, at most.
const CHUNKS_PER_ENTRY: usize = 4;
/// Hospitals and ages a cursor holds, at most.
const CURSOR_MAX: usize = 16 * 1024;

/// The next leaf to look at, for each hospital and age in milliseconds.
type Cursor = BTreeMap<(HospitalId, u64), u64>;

/// A look at what is fresh.
pub struct Watcher {
    cursor: Cursor,
    waiting: VecDeque<(Arc<Desk>, u64)>,
    behind: u64,
}

impl Watcher {
    /// Every hospital at every age.
    pub fn begin(inner: &Inner, options: &JobOptions, cursor: &[u8]) -> Self {
        let ages: Vec<u64> = inner.config.jobs.watcher_ages.iter().map(|age| age.ms()).collect();
        let desks = inner.desks().into_iter();
        let desks = desks.filter(|desk| options.hospital.is_none_or(|asked| desk.info().hospital == asked));
        let waiting = desks.flat_map(|desk| ages.iter().map(move |age| (desk.clone(), *age)).collect::<Vec<_>>());
        Watcher { cursor: decode(cursor).unwrap_or_default(), waiting: waiting.collect(), behind: 0 }
    }
}

impl Work for Watcher {
    fn step(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Gain>> {
        let Some((desk, age_ms)) = self.waiting.front().cloned() else { return Ok(None) };
        let key = (desk.info().hospital, age_ms);
        let from = self.cursor.get(&key).copied().unwrap_or(0);
        let (gain, to) = match desk.head() {
            Err(_) => (Gain::default(), from),
            Ok(head) => {
                let to = end_of_window(&desk, from, head.size, inner.clock.now_ms().saturating_sub(age_ms))?;
                (watch(inner, &desk, from..to, pace)?, to)
            }
        };
        self.waiting.pop_front();
        self.cursor.insert(key, to);
        self.behind += gain.figures.read_bytes;
        Ok(Some(gain))
    }

    fn extent(&self, _inner: &Inner) -> (u64, Option<u64>) {
        (self.behind, None)
    }

    fn cursor(&self, _inner: &Inner) -> Vec<u8> {
        encode(&self.cursor)
    }

    fn plan(&self, _inner: &Inner) -> Vec<String> {
        let sentence = |(desk, age_ms): &(Arc<Desk>, u64)| {
            let from = self.cursor.get(&(desk.info().hospital, *age_ms)).copied().unwrap_or(0);
            format!(
                "hospital {}: entries from leaf {from} on, {} s after they were stored",
                desk.info().hospital,
                age_ms / 1000
            )
        };
        self.waiting.iter().map(sentence).collect()
    }
}

/// The first leaf from `from` on that was accepted after `until_ms`.
fn end_of_window(desk: &Desk, from: u64, size: u64, until_ms: u64) -> Result<u64> {
    let (mut low, mut high) = (from, size.max(from)); // a log whose end is out of sight is shorter than before
    while low < high {
        let middle = low + (high - low) / 2;
        match desk.ledger().entry(middle) {
            Ok(placed) if placed.accepted_ms > until_ms => high = middle,
            Ok(_) => low = middle + 1,
            Err(error) if error.kind() == ErrorKind::Damaged => low = middle + 1,
            Err(error) => return Err(error),
        }
    }
    Ok(low)
}

/// Reads a sample of the entries in `leaves`, evenly spread.
fn watch(inner: &Inner, desk: &Desk, leaves: std::ops::Range<u64>, pace: &dyn Pace) -> Result<Gain> {
    let count = leaves.end - leaves.start;
    let sample = count.min(u64::from(inner.config.jobs.watcher_sample));
    let mut gain = Gain::default();
    for at in 0..sample {
        let leaf = leaves.start + at * count / sample;
        match watch_entry(desk, leaf, pace) {
            Ok(read_bytes) => {
                gain.figures += Figures { items: 1, read_bytes, ..Figures::default() };
            }
            Err(error) if error.kind() == ErrorKind::Damaged || error.kind() == ErrorKind::NotFound => {
                let hospital = desk.info().hospital;
                let message =
                    format!("a fresh record of leaf {leaf} of hospital {hospital}: {}", error.problem().message);
                gain.figures.items += 1;
                gain = gain.found([Finding { severity: Severity::Damaged, code: "watcher", message }]);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(gain)
}

/// Reads what an entry names, and gives the bytes.
fn watch_entry(desk: &Desk, leaf: u64, pace: &dyn Pace) -> Result<u64> {
    let placed = desk.ledger().entry(leaf)?;
    if desk.has_ended(&placed)? {
        return Ok(placed.entry.bytes().len() as u64);
    }
    let mut read_bytes = placed.entry.bytes().len() as u64;
    let mut read = |address: &Address| {
        pace.spend(0)?;
        let bytes = desk.record(address)?;
        read_bytes += bytes.len() as u64;
        Ok::<_, crate::Error>(bytes)
    };
    let body = placed.entry.body();
    if let Some(attachment) = body.attachment() {
        read(&attachment)?;
    }
    if let Body::Deposit(deposit) = body {
        read(&deposit.wrap)?;
        read(&deposit.manifest)?;
        deposit.report.iter().try_for_each(|report| read(report).map(drop))?;
        let list = read(&deposit.address_list)?;
        let damaged = |error: shosoin_protocol::Error| crate::Error::Damaged {
            what: "address list",
            id: deposit.address_list.to_string(),
            why: error.to_string(),
        };
        let list = AddressList::decode(&list).map_err(damaged)?;
        let chunks = list.addresses();
        let step = chunks.len().div_ceil(CHUNKS_PER_ENTRY).max(1);
        chunks.iter().step_by(step).try_for_each(|chunk| read(chunk).map(drop))?;
    }
    Ok(read_bytes)
}

fn encode(cursor: &Cursor) -> Vec<u8> {
    let mut out = Writer::new();
    out.count(cursor.len().min(CURSOR_MAX));
    for ((hospital, age_ms), leaf) in cursor.iter().take(CURSOR_MAX) {
        out.put(&hospital.0).u64(*age_ms).u64(*leaf);
    }
    out.finish()
}

fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Cursor> {
    let mut reader = Reader::new(bytes, "cursor of the watcher");
    let count = reader.count(CURSOR_MAX, "hospitals and ages")?;
    let mut cursor = Cursor::new();
    for _ in 0..count {
        let hospital = HospitalId::read(&mut reader)?;
        cursor.insert((hospital, reader.u64("age")?), reader.u64("leaf")?);
    }
    reader.finish()?;
    Ok(cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_one_that_is_cut_is_refused() {
        let cursor = Cursor::from([((HospitalId([1; 16]), 60_000), 7), ((HospitalId([1; 16]), 3_600_000), 2)]);
        let bytes = encode(&cursor);
        assert_eq!(decode(&bytes).unwrap(), cursor);
        (0..bytes.len()).for_each(|len| assert!(decode(&bytes[..len]).is_err()));
    }
}
