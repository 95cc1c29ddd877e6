//! Bringing shards from fuller volumes to one that was added, when an operator asks: `copy-forward --onto`. What was done is on
//! media, so a run needs no cursor; the one of drains in hand is kept as it is.

use super::Work;
use super::copy_forward::gain_of;
use crate::audit::{Action, AuditEvent, Outcome};
use crate::error::Result;
use crate::jobs::report::Gain;
use crate::vault::Inner;
use shosoin_protocol::VolumeId;
use shosoin_tiers::{Level, Pace};

/// Bringing shards to one volume.
pub struct Onto {
    level: Level,
    begun: bool,
    behind: u64,
    cursor: Vec<u8>,
}

impl Onto {
    /// Nothing moved yet; `cursor` is that of copy-forward.
    pub fn begin(volume: VolumeId, cursor: &[u8]) -> Self {
        Onto { level: Level::new(volume), begun: false, behind: 0, cursor: cursor.to_vec() }
    }

    fn left_bytes(&self, inner: &Inner) -> u64 {
        self.level.left_bytes(&inner.tier).unwrap_or(0)
    }
}

impl Work for Onto {
    fn step(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Gain>> {
        pace.spend(0)?;
        if !self.begun {
            // before anything is removed, the audit log says so
            let event = AuditEvent::of_job(inner.clock.now_ms(), "copy-forward", Action::Release).on(self.level.to);
            let why = "shards come to this volume from fuller ones: an operator asked for it".to_owned();
            let bytes = self.left_bytes(inner);
            inner.record(&AuditEvent { outcome: Outcome::Begun, bytes, reason: why, ..event })?;
            self.begun = true;
        }
        let Some(step) = self.level.step(&inner.tier, pace)? else { return Ok(None) };
        let (gain, bytes) = gain_of(inner, step)?;
        self.behind += bytes;
        Ok(Some(gain))
    }

    /// Every byte counts twice: once copied, once released.
    fn extent(&self, inner: &Inner) -> (u64, Option<u64>) {
        (self.behind, Some(self.behind + 2 * self.left_bytes(inner)))
    }

    fn cursor(&self, _inner: &Inner) -> Vec<u8> {
        self.cursor.clone()
    }

    fn plan(&self, inner: &Inner) -> Vec<String> {
        let (volume, bytes) = (self.level.to, self.left_bytes(inner));
        match bytes {
            0 => vec![format!("volume {volume} has its share already")],
            _ => vec![format!("up to {bytes} bytes would come to volume {volume} from fuller ones")],
        }
    }
}
