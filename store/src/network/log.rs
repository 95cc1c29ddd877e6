//! Who connected, on its way into the audit log (7.6.6-M11): one record when somebody connects, before they are answered, and one
//! when their hour is over that says how often they came. So a device that keeps ten connections open costs two records an hour.
//!
//! Invariants
//! - Nobody is answered before a record says that they came.
//! - The log is bounded: guests whom nobody knows yet (at the console, before they log on) are told apart up to a number, and
//!   are one guest without an address beyond it.

use super::TurnedAway;
use crate::audit::{Action, AuditEvent, Outcome};
use crate::error::Result;
use crate::media_ledger::MediaLedger;
use parking_lot::Mutex;
use shosoin_protocol::HospitalId;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How long connections are counted before that is written, in milliseconds.
const WINDOW_MS: u64 = 3_600_000;
/// Guests that are counted at once; when there are more, what was counted is written.
const GUESTS_MAX: usize = 1024;
/// Guests whom nobody knows that are told apart.
const STRANGERS_MAX: usize = 64;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guest {
    /// `device:` and its id, or `console`
    pub actor: String,
    /// of which hospital
    pub hospital: Option<HospitalId>,
    /// from where; none for those beyond the number that are told apart
    pub from: Option<IpAddr>,
}

impl Guest {
    fn is_stranger(&self) -> bool {
        self.hospital.is_none()
    }
}

#[derive(Debug)]
struct Window {
    since_ms: u64,
    connections: u64,
}

impl Window {
    fn is_over(&self, now_ms: u64) -> bool {
        now_ms.abs_diff(self.since_ms) >= WINDOW_MS
    }
}

/// Connections that are being counted.
#[derive(Debug)]
pub struct ConnectionLog {
    media: Arc<MediaLedger>,
    open: Mutex<BTreeMap<Guest, Window>>,
    connections: AtomicU64,
    turned_away: Mutex<BTreeMap<TurnedAway, u64>>,
}

impl ConnectionLog {
    /// Nobody came yet.
    pub fn new(media: Arc<MediaLedger>) -> Self {
        let (open, turned_away) = (Mutex::default(), Mutex::default());
        ConnectionLog { media, open, connections: AtomicU64::new(0), turned_away }
    }

    /// Counts a connection of somebody of whom a record says already that they came; false where none does.
    pub fn count(&self, guest: &Guest, now_ms: u64) -> bool {
        let mut open = self.open.lock();
        let guest = told_apart(&open, guest.clone());
        let known = open.get_mut(&guest).filter(|window| !window.is_over(now_ms));
        known.map(|window| window.connections += 1).inspect(|()| self.came()).is_some()
    }

    /// Writes that somebody came; durable on return. Blocks, and others who come wait.
    pub fn begin(&self, guest: Guest, now_ms: u64) -> Result<()> {
        let mut open = self.open.lock();
        let guest = told_apart(&open, guest);
        match open.get_mut(&guest) {
            Some(window) if !window.is_over(now_ms) => {
                window.connections += 1;
                self.came();
                return Ok(());
            }
            Some(window) => {
                self.write(&guest, window, now_ms)?;
                open.remove(&guest);
            }
            None => {}
        }
        if open.len() >= GUESTS_MAX {
            self.write_all(&mut open, now_ms, true)?;
        }
        self.media.record(event(&guest, now_ms).ended(Outcome::Begun))?;
        open.insert(guest, Window { since_ms: now_ms, connections: 1 });
        self.came();
        Ok(())
    }

    /// Writes what was counted for an hour; everything, with `all`.
    pub fn keep(&self, now_ms: u64, all: bool) -> Result<()> {
        self.write_all(&mut self.open.lock(), now_ms, all)
    }

    /// Counts somebody who was turned away.
    pub fn turned_away(&self, why: TurnedAway) {
        *self.turned_away.lock().entry(why).or_default() += 1;
    }

    /// Connections since the vault was opened, and who was turned away.
    pub fn figures(&self) -> (u64, BTreeMap<TurnedAway, u64>) {
        (self.connections.load(Ordering::Relaxed), self.turned_away.lock().clone())
    }

    fn came(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    fn write_all(&self, open: &mut BTreeMap<Guest, Window>, now_ms: u64, all: bool) -> Result<()> {
        let over = open.iter().filter(|(_, window)| all || window.is_over(now_ms)).map(|(guest, _)| guest.clone());
        for guest in over.collect::<Vec<_>>() {
            if let Some(window) = open.get(&guest) {
                self.write(&guest, window, now_ms)?;
            }
            open.remove(&guest);
        }
        Ok(())
    }

    fn write(&self, guest: &Guest, window: &Window, now_ms: u64) -> Result<()> {
        let (duration_ms, units) = (now_ms.saturating_sub(window.since_ms), window.connections);
        self.media.record(AuditEvent { duration_ms, units, ..event(guest, now_ms) }).map(drop)
    }
}

/// The guest under whom somebody is counted.
fn told_apart(open: &BTreeMap<Guest, Window>, guest: Guest) -> Guest {
    let strangers = || open.keys().filter(|guest| guest.is_stranger() && guest.from.is_some()).count();
    match guest.is_stranger() && !open.contains_key(&guest) && strangers() >= STRANGERS_MAX {
        true => Guest { from: None, ..guest },
        false => guest,
    }
}

fn event(guest: &Guest, now_ms: u64) -> AuditEvent {
    let event = AuditEvent::new(now_ms, guest.actor.clone(), Action::Connected);
    AuditEvent { hospital: guest.hospital, ..event.seen_from(guest.from) }
}
