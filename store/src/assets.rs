//! The asset ledger: every deposit as one entry with the fields a to k of guideline 7.2.1-S2, none of which identifies
//! a person.
//!
//! What it says comes from the entries on media, from where their segments are, from the audit log and from
//! `vault.toml`; the index only says which entries a filter lets through, and every one that is shown is read on media
//! and compared with it.
//!
//! Invariants
//! - One entry per deposit, without exception (7.2.1-M2): the entry is the deposit.
//! - Closed vocabularies, ids and numbers only (7.2-R2). The name of an asset is its token, which nobody but the
//!   hospital can open.
//! - Who reads it is in the audit log before the answer, and so is who was refused (7.2.1-M5).
//!
//! Not here: ending a record's life (`disposal`), comparing totals with the hospital (`reconcile`).

mod command;
mod describe;
mod select;
mod slot;

pub use command::AssetCommand;
pub use describe::{Arisen, Asset, Copying, Format, Handling, Held, Location, Rights};
pub use select::{AssetQuery, Order, PAGE_MAX, RetentionFilter, Selection, select};
pub(crate) use slot::scan as scan_slots;
pub use slot::{AssetState, Slot, fill};
pub(crate) use slot::{get as slot_of, note, put as put_slot, scan};

use crate::audit::{ACTOR_BYTES_MAX, Action, AuditEvent, Outcome};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::vault::Inner;
use describe::Describer;
use serde::{Deserialize, Serialize};
use shosoin_protocol::HospitalId;
use std::sync::Arc;
use std::time::Instant;

/// `[assets]` of `vault.toml`: who answers for the asset ledger, and who may read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AssetsConfig {
    /// who is responsible for what is held (7.2.1-S2h), by the id of an operator
    pub manager: String,
    /// who may read it (7.2.1-M4, 8.2-R5), by names of users of this machine; nobody else may. Empty: whoever may open
    /// the vault
    pub readers: Vec<String>,
}

impl AssetsConfig {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == AssetsConfig::default()
    }

    /// What the types alone do not refuse.
    pub fn check(&self) -> Result<(), String> {
        let bad = |name: &String| name.is_empty() || name.len() > ACTOR_BYTES_MAX || name.chars().any(char::is_control);
        match self.readers.iter().find(|name| bad(name)) {
            Some(name) => Err(format!("assets.readers: {name:?} is no name of a user")),
            None if !self.manager.is_empty() && bad(&self.manager) => {
                Err("assets.manager is too long, or has control characters".into())
            }
            None => Ok(()),
        }
    }
}

/// A page of the asset ledger.
#[derive(Debug, Clone, Serialize)]
pub struct AssetPage {
    /// whose, in hex
    pub hospital: String,
    /// entries of the hospital's log, of which deposits are a part
    pub log_size: u64,
    /// deposits that the filters let through; missing where the look ended with the page
    pub matched: Option<u64>,
    /// the page
    pub assets: Vec<Asset>,
    /// where the next page begins; missing at the end
    pub next: Option<String>,
    /// how long it took
    pub elapsed_ms: u64,
}

impl Inner {
    /// A page of the asset ledger, for `actor`.
    pub(crate) fn assets(&self, query: &AssetQuery, actor: &str) -> Result<AssetPage> {
        let began = Instant::now();
        let desk = self.asset_desk(query.hospital.as_deref(), actor)?;
        let size = desk.head()?.size;
        let hospital = desk.info().hospital;
        let selected = select(self.index.as_ref(), hospital, size, query)?;
        self.note_read(hospital, actor, selected.slots.len() as u64, None)?;
        let describer = Describer::new(self, &desk);
        let assets = selected.slots.iter().map(|slot| describer.entry(slot)).collect::<Result<Vec<_>>>()?;
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (matched, next) = (selected.matched, selected.next);
        Ok(AssetPage { hospital: hospital.to_string(), log_size: size, matched, assets, next, elapsed_ms })
    }

    /// One deposit with everywhere it is and everything that was done to it, for `actor`.
    pub(crate) fn asset(&self, hospital: Option<&str>, number: u64, actor: &str) -> Result<Asset> {
        let desk = self.asset_desk(hospital, actor)?;
        let not_found = || Error::NotFound { what: "deposit", id: number.to_string() };
        if number >= desk.head()?.size {
            return Err(not_found());
        }
        self.note_read(desk.info().hospital, actor, 1, Some(number))?;
        let slot = slot_of(self.index.as_ref(), desk.info().hospital, number)?.ok_or_else(not_found)?;
        Describer::new(self, &desk).in_full(&slot)
    }

    /// The desk of the hospital that is meant, if `actor` may read its ledger.
    pub(crate) fn asset_desk(&self, hospital: Option<&str>, actor: &str) -> Result<Arc<Desk>> {
        self.reader(actor)?;
        self.desk_of(hospital)
    }

    /// Refuses, on the record, whoever may not read the asset ledger.
    pub(crate) fn reader(&self, actor: &str) -> Result<()> {
        let readers = &self.config.assets.readers;
        if readers.is_empty() || readers.iter().any(|reader| reader == actor) {
            return Ok(());
        }
        let event = AuditEvent::new(self.clock.now_ms(), actor, Action::AssetsRead).ended(Outcome::Refused);
        self.media.record(event.because("not among the readers of the asset ledger"))?;
        Err(Error::NotAllowed { actor: actor.to_owned(), what: "read the asset ledger" })
    }

    fn note_read(&self, hospital: HospitalId, actor: &str, entries: u64, number: Option<u64>) -> Result<()> {
        let mut event = AuditEvent::new(self.clock.now_ms(), actor, Action::AssetsRead);
        event.hospital = Some(hospital);
        (event.units, event.number) = (entries, number);
        self.media.record(event).map(drop)
    }
}
