//! What the operator does with media: add, label, test, retire, put on a shelf, count, and look ahead. Works on an open
//! vault, beside its clients.
//!
//! Invariants
//! - Who, what and why is in the audit log before the effect is visible; refused tries are there too.
//! - A volume that holds the only copy of a shard is not retired, and one that is there is not declared lost.
//! - `vault.toml` names what is in use and is replaced as a whole; what left it stays in the ledger.

mod add;
mod change;
mod chart;
mod command;
mod outlook;
mod returning;
mod smart;
mod stocktake;
mod view;

pub use add::{AddVolume, Added, LabelChange};
pub use change::{Measured, StateChanged};
pub use chart::{ChartWords, chart};
pub use command::MediaCommand;
pub use outlook::{Expiring, ForecastMonth, ForecastReport, ForecastRequest, WhatIfReport};
pub use smart::SmartReport;
pub use stocktake::{Counted, StocktakeReport};
pub use view::{VolumeDetail, VolumeView};

use crate::audit::{Action, AuditEvent, AuditRecord, AuditReport, MediaState, Outcome};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::journal::{VAULT, log_media};
use crate::media_ledger::{MediaLedger, Medium};
use crate::shelf::{self, file::ShelfList};
use crate::stores::Stores;
use parking_lot::Mutex;
use shosoin_protocol::VolumeId;
use shosoin_tiers::life::{DAY_MS, Week, latest_safe_start_in};
use shosoin_tiers::media::{FileMedia, FileOptions};
use shosoin_tiers::{Clock, Mounted, Tier, VolumeState};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Time that is left between the last byte moved and the end of a medium's life.
pub const MARGIN_MS: u64 = 90 * DAY_MS;

/// The media of an open vault.
pub struct Volumes {
    dir: PathBuf,
    config: Mutex<Config>,
    /// when copies may run
    week: Week,
    tier: Arc<Tier>,
    index: Arc<dyn Index>,
    ledger: Arc<MediaLedger>,
    clock: Arc<dyn Clock>,
    /// media that were put on a shelf and have not left their place since
    still_there: Mutex<BTreeSet<VolumeId>>,
    /// held by whoever looks whether media are there
    looking: Mutex<()>,
}

/// By when a volume's shards must begin to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// the volume
    pub volume: VolumeId,
    /// where in its life it is
    pub state: MediaState,
    /// the last safe moment, in milliseconds since 1970; `None` where its life does not end
    pub latest_start_ms: Option<u64>,
    /// when it must be tested next
    pub test_due_ms: Option<u64>,
}

impl Volumes {
    /// The media of the vault in `dir`.
    pub fn new(
        dir: &Path,
        config: Config,
        tier: Arc<Tier>,
        index: Arc<dyn Index>,
        ledger: Arc<MediaLedger>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Volumes {
            dir: dir.to_owned(),
            week: config.jobs.week(),
            config: Mutex::new(config),
            tier,
            index,
            ledger,
            clock,
            still_there: Mutex::default(),
            looking: Mutex::default(),
        }
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn event(&self, actor: &str, action: Action, volume: VolumeId) -> AuditEvent {
        AuditEvent::new(self.now_ms(), actor, action).on(volume)
    }

    fn mounted(&self, volume: VolumeId) -> Option<Mounted> {
        self.tier.mounted().into_iter().find(|mounted| mounted.label.id == volume)
    }

    /// Shards on a volume and their bytes: as they are, or as the list has them that was made when it went to its shelf.
    fn holds(&self, volume: VolumeId) -> (u32, u64) {
        let (count, bytes) = match self.mounted(volume) {
            Some(_) => {
                let shards = self.tier.shards_on(volume);
                (shards.len(), shards.iter().map(|shard| shard.len_bytes).sum())
            }
            None => {
                let list: Option<ShelfList> = shelf::file::load(&self.dir, &volume.to_string());
                let shards = list.map(|list| list.shards).unwrap_or_default();
                (shards.len(), shards.iter().map(|shard| shard.len_bytes).sum())
            }
        };
        (u32::try_from(count).unwrap_or(u32::MAX), bytes)
    }

    fn used_bytes(&self, volume: VolumeId) -> u64 {
        self.holds(volume).1
    }

    /// Records that something was refused, and why, and gives the refusal.
    fn refused(&self, event: AuditEvent, error: Error) -> Error {
        let reason: String = error.problem().message.chars().filter(|c| !c.is_control()).take(60).collect();
        if let Err(failed) = self.ledger.record(event.ended(Outcome::Refused).because(reason)) {
            tracing::error!(error = &failed as &dyn std::error::Error, "a refusal could not be recorded");
        }
        error
    }

    /// Copies of the audit log, best effort.
    fn copy_log(&self) {
        let missed = self.ledger.audit().copy_to(&log_media(&self.tier));
        missed.iter().for_each(|finding| tracing::warn!("{}", finding.message));
    }

    /// Replaces `vault.toml`.
    fn save_config(&self, change: impl FnOnce(&mut Config)) -> Result<()> {
        let mut config = self.config.lock();
        let mut changed = Config::load(&self.dir)?;
        change(&mut changed);
        let folder = FileMedia::open(&self.dir, FileOptions { exclusive: false, ..FileOptions::default() })?;
        changed.save(&folder, &self.dir)?;
        *config = changed;
        Ok(())
    }

    /// When the shards of a medium must begin to move, at the rate measured so far and in the windows of the schedule.
    fn latest_start_ms(&self, medium: &Medium) -> Option<u64> {
        let (bytes, rate) = (self.used_bytes(medium.label.id), self.ledger.measured_rate());
        latest_safe_start_in(medium.ends_ms(), bytes, rate, &self.week, MARGIN_MS)
    }

    /// Every volume that is there, with when it must begin to move and to be tested.
    pub fn due(&self) -> Vec<Due> {
        let due = |mounted: &Mounted| {
            let medium = self.ledger.get(mounted.label.id)?;
            let (volume, state) = (medium.label.id, medium.state);
            let (latest_start_ms, test_due_ms) = (self.latest_start_ms(&medium), medium.test_due_ms());
            Some(Due { volume, state, latest_start_ms, test_due_ms })
        };
        self.tier.mounted().iter().filter_map(due).collect()
    }

    /// Verifies the audit log and every copy of it on volumes that are there.
    pub fn verify_log(&self) -> Result<AuditReport> {
        let media: Vec<_> = self.tier.mounted().into_iter().map(|mounted| mounted.media).collect();
        self.ledger.audit().verify(&media)
    }

    /// A person has compared the clock with a good one.
    pub fn confirm_clock(&self, actor: &str) -> Result<()> {
        self.ledger.confirm_clock(self.now_ms(), actor)
    }

    /// Records what the tier has learnt since: volumes on which a write failed become suspect in the ledger too. Where
    /// writes failed on all of them, it is the machine and not the media, and nothing is recorded.
    pub fn reconcile(&self) -> Result<()> {
        let statuses = self.tier.volumes();
        if statuses.iter().all(|status| status.state == VolumeState::Suspect) {
            return Ok(());
        }
        for status in statuses.iter().filter(|status| status.state == VolumeState::Suspect) {
            if let Some(medium) = self.ledger.get(status.id).filter(|medium| medium.state == MediaState::Active) {
                let event = self.event(VAULT, Action::VolumeState, status.id).because("a write or sync on it failed");
                let detail = crate::audit::Detail::State { from: Some(medium.state), to: MediaState::Suspect };
                self.ledger.record(event.with(detail))?;
            }
        }
        Ok(())
    }

    /// Takes out of `vault.toml` what the ledger has as retired: a departure that was cut short in between.
    pub fn finish_departures(&self) -> Result<()> {
        let retired = |place: &str| {
            let mut here = self.ledger.media().into_iter().filter(|medium| medium.place == place).peekable();
            here.peek().is_some() && here.all(|medium| medium.state == MediaState::Retired)
        };
        let stores = Stores::new(&self.dir);
        let places: Vec<String> = self.config.lock().volumes.iter().map(|spec| stores.place(spec)).collect();
        let over: Vec<String> = places.into_iter().filter(|place| retired(place)).collect();
        if over.is_empty() {
            return Ok(());
        }
        self.save_config(|config| config.volumes.retain(|spec| !over.contains(&stores.place(spec))))
    }

    /// How often what is removed is overwritten, and when that is.
    pub(super) fn erasing(&self) -> (u8, u64) {
        (self.config.lock().disposal.passes, self.now_ms())
    }

    /// Every medium there ever was, those in use first.
    pub fn list(&self) -> Vec<VolumeView> {
        let mut media = self.ledger.media();
        media.sort_by_key(|medium| (medium.state, medium.place.clone()));
        media.iter().map(|medium| self.view(medium)).collect()
    }

    /// One medium with its history from the audit log.
    pub fn show(&self, name: &str) -> Result<VolumeDetail> {
        let medium = self.ledger.find(name)?;
        let query = crate::audit::AuditQuery { volume: Some(medium.label.id), ..Default::default() };
        let history: Vec<AuditRecord> = self.ledger.audit().read(&query)?;
        Ok(VolumeDetail { volume: self.view(&medium), tests: medium.tests.clone(), history })
    }

    fn view(&self, medium: &Medium) -> VolumeView {
        let id = medium.label.id;
        let status = self.tier.volumes().into_iter().find(|status| status.id == id);
        VolumeView::new(medium, status.as_ref(), self.holds(id), self.latest_start_ms(medium))
    }
}
