//! Reads of sealed records by devices of hospitals, on their way into the audit log (7.6.12-S2 a and b): one record when a
//! device begins to read, before it is answered, and one that says how much it read and which deposits it opened.
//!
//! Invariants
//! - Nobody is answered before a record says that they read. A process that is killed leaves that record without its end.
//! - What is counted is written after a minute at the latest, and when the vault is closed.
//!
//! Not here: what people look at (`operator`, `console`), who may read (`http`).

use crate::audit::{Action, AuditEvent, Detail, NUMBERS_MAX, Outcome};
use crate::error::Result;
use crate::media_ledger::MediaLedger;
use parking_lot::Mutex;
use shosoin_protocol::{DeviceId, HospitalId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// How long reads are counted before they are written, in milliseconds.
const WINDOW_MS: u64 = 60_000;
/// Readers that are counted at once; when there are more, what was counted is written.
const READERS_MAX: usize = 1024;

/// Who reads: a device, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visitor {
    /// of which hospital
    pub hospital: HospitalId,
    /// which device
    pub device: DeviceId,
    /// its address; none where it is in the process of the vault
    pub from: Option<IpAddr>,
}

#[derive(Debug)]
struct Window {
    since_ms: u64,
    records: u64,
    bytes: u64,
    numbers: BTreeSet<u64>,
}

impl Window {
    fn is_over(&self, now_ms: u64) -> bool {
        now_ms.abs_diff(self.since_ms) >= WINDOW_MS || self.numbers.len() >= NUMBERS_MAX
    }
}

/// Reads that are being counted.
#[derive(Debug)]
pub struct ReadLog {
    media: Arc<MediaLedger>,
    open: Mutex<BTreeMap<Visitor, Window>>,
}

impl ReadLog {
    /// Nobody reads yet.
    pub fn new(media: Arc<MediaLedger>) -> Self {
        ReadLog { media, open: Mutex::default() }
    }

    /// Whether a record says already that this visitor reads.
    pub fn is_begun(&self, visitor: &Visitor, now_ms: u64) -> bool {
        self.open.lock().get(visitor).is_some_and(|window| !window.is_over(now_ms))
    }

    /// Writes that a visitor reads; durable on return. Blocks, and others who begin wait.
    pub fn begin(&self, visitor: Visitor, now_ms: u64) -> Result<()> {
        let mut open = self.open.lock();
        if let Some(window) = open.get(&visitor) {
            if !window.is_over(now_ms) {
                return Ok(());
            }
            self.write(&visitor, window, now_ms)?;
            open.remove(&visitor);
        }
        if open.len() >= READERS_MAX {
            self.write_all(&mut open, now_ms, true)?;
        }
        self.media.record(event(&visitor, now_ms).ended(Outcome::Begun))?;
        open.insert(visitor, Window { since_ms: now_ms, records: 0, bytes: 0, numbers: BTreeSet::new() });
        Ok(())
    }

    /// Counts one record of `len_bytes` that a visitor was given, of the deposit with this number where that is known.
    pub fn count(&self, visitor: &Visitor, len_bytes: u64, number: Option<u64>) {
        if let Some(window) = self.open.lock().get_mut(visitor) {
            window.records = window.records.saturating_add(1);
            window.bytes = window.bytes.saturating_add(len_bytes);
            window.numbers.extend(number);
        }
    }

    /// Writes what was counted for a minute; everything, with `all`.
    pub fn keep(&self, now_ms: u64, all: bool) -> Result<()> {
        self.write_all(&mut self.open.lock(), now_ms, all)
    }

    fn write_all(&self, open: &mut BTreeMap<Visitor, Window>, now_ms: u64, all: bool) -> Result<()> {
        let over = open.iter().filter(|(_, window)| all || window.is_over(now_ms)).map(|(visitor, _)| *visitor);
        for visitor in over.collect::<Vec<_>>() {
            if let Some(window) = open.get(&visitor) {
                self.write(&visitor, window, now_ms)?;
            }
            open.remove(&visitor);
        }
        Ok(())
    }

    fn write(&self, visitor: &Visitor, window: &Window, now_ms: u64) -> Result<()> {
        let numbers: Vec<u64> = window.numbers.iter().copied().take(NUMBERS_MAX).collect();
        let detail = if numbers.is_empty() { Detail::None } else { Detail::Numbers(numbers) };
        let (duration_ms, bytes, units) = (now_ms.saturating_sub(window.since_ms), window.bytes, window.records);
        self.media.record(AuditEvent { duration_ms, bytes, units, ..event(visitor, now_ms).with(detail) }).map(drop)
    }
}

fn event(visitor: &Visitor, now_ms: u64) -> AuditEvent {
    let event = AuditEvent::new(now_ms, format!("device:{}", visitor.device), Action::RecordsRead);
    AuditEvent { hospital: Some(visitor.hospital), ..event.seen_from(visitor.from) }
}
