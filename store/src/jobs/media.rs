//! What jobs ask of the ledger of media: which volumes must be left, and what became of them.

use super::report::{Figures, Gain};
use crate::audit::{AuditEvent, MediaState};
use crate::error::{Error, Result};
use crate::open;
use crate::vault::Inner;
use crate::volumes::ForecastRequest;
use shosoin_protocol::VolumeId;
use shosoin_tiers::volume::MediaClass;

/// Who says so in the audit log.
const ACTOR: &str = "job:copy-forward";

impl Inner {
    /// Writes an event into the audit log; durable on `Ok`.
    pub(crate) fn record(&self, event: &AuditEvent) -> Result<()> {
        self.media.record(event.clone()).map(drop)
    }

    /// Whether volumes are absent that may come back, or what is on some is not known.
    pub(crate) fn awaits_volumes(&self) -> bool {
        !self.absent().is_empty() || !open::unlisted(&self.tier).is_empty()
    }

    /// Until when what absent volumes hold is not rebuilt by itself; `None` where none is absent, or they were waited for.
    pub(crate) fn repair_waits_until_ms(&self) -> Option<u64> {
        let until_ms = self.opened_ms.saturating_add(self.config.jobs.absence_grace_ms());
        (self.clock.now_ms() < until_ms && self.awaits_volumes()).then_some(until_ms)
    }

    /// Volumes whose records must move elsewhere, and why: their safe time has come, or a person says so.
    pub(crate) fn volumes_to_leave(&self, now_ms: u64) -> Vec<(VolumeId, String)> {
        let trusted = self.doubt().is_none();
        let mut leave = Vec::new();
        for due in self.volumes.due() {
            let why = match due.state {
                MediaState::Draining => "it is draining".to_owned(),
                MediaState::Suspect if self.is_suspect_by_person(due.volume) => "an operator suspects it".to_owned(),
                _ if trusted && due.latest_start_ms.is_some_and(|at_ms| at_ms <= now_ms) => {
                    "its latest safe start has come".to_owned()
                }
                _ => continue,
            };
            leave.push((due.volume, why));
        }
        leave
    }

    /// Since when a medium that is kept on a shelf is mounted.
    pub(crate) fn mounted_from_shelf_ms(&self, volume: VolumeId) -> Option<u64> {
        let medium = self.media.get(volume)?;
        matches!(medium.label.class, MediaClass::Tape | MediaClass::Optical).then_some(medium.since_ms)
    }

    fn is_suspect_by_person(&self, volume: VolumeId) -> bool {
        let medium = self.media.get(volume);
        medium.is_some_and(|medium| medium.actor != crate::journal::VAULT && !medium.actor.starts_with("job:"))
    }

    /// From now on a volume takes nothing more; the ledger of media says why.
    pub(crate) fn begin_draining(&self, volume: VolumeId, why: &str) -> Result<()> {
        if self.media.get(volume).is_some_and(|medium| medium.state != MediaState::Draining) {
            match self.volumes.set_state(&volume.to_string(), MediaState::Draining, why, false, ACTOR) {
                Ok(_) | Err(Error::VolumeState { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.tier.set_draining(volume, true)?)
    }

    /// Nothing depends on a volume any more.
    pub(crate) fn retire_volume(&self, volume: VolumeId) -> Result<()> {
        let why = "everything on it has a verified copy elsewhere";
        self.volumes.set_state(&volume.to_string(), MediaState::Retired, why, false, ACTOR).map(drop)
    }

    /// Works the forecast out anew, with the windows of this vault, and says what does not fit.
    pub(crate) fn refresh_forecast(&self) -> Result<Gain> {
        self.volumes.reconcile()?;
        let forecast = self.volumes.forecast(&ForecastRequest::default())?;
        let expiring = forecast.expiring.len();
        let sentence = match forecast.first_misfit {
            None => format!("{expiring} media end their lives within the forecast, and what must move fits"),
            Some(month) => format!("{expiring} media end their lives; in month {month} hours or room are missing"),
        };
        let short = u64::from(forecast.first_misfit.is_some());
        Ok(Gain { figures: Figures { short, ..Figures::default() }, ..Gain::said(sentence) })
    }
}
