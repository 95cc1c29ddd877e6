//! Communication that stops, and goes on: transfers failed as often as the agreement allows, so nothing more passes between
//! the two until a named person has looked for the cause (guideline 7.6.8-M4d, T11).

use super::codes;
use crate::codec::{Reader, Writer};
use crate::{Result, VersionId};

codes! {
    /// How a transfer failed.
    TransferFailure, "failure of a transfer" {
        /// it did not arrive whole
        Cut = 1 "cut",
        /// what arrived is not what was announced
        Digest = 2 "digest",
        /// what arrived is not signed by whom it names
        Signature = 3 "signature",
        /// what arrived was set aside for another reason
        Quarantined = 4 "quarantined",
        /// a person stopped it
        Person = 5 "person",
    }

    /// What was found to be the cause.
    StopCause, "cause of a stop" {
        /// the line between the two
        Line = 1 "line",
        /// a machine or program of the hospital
        Hospital = 2 "hospital",
        /// a machine or program of the operator
        Operator = 3 "operator",
        /// an attack
        Attack = 4 "attack",
        /// nothing was found
        Unknown = 5 "unknown",
    }
}

/// Communication stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// how the last transfer failed
    pub last: TransferFailure,
    /// transfers that failed within the window
    pub failures: u32,
    /// minutes of the window
    pub window_minutes: u32,
    /// when the first of them failed, in milliseconds since 1970
    pub first_ms: u64,
    /// when communication stopped, in milliseconds since 1970
    pub stopped_ms: u64,
}

/// Communication goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reopened {
    /// id of the act by which it stopped
    pub stopped: VersionId,
    /// what was found
    pub cause: StopCause,
    /// number of the request that two people agreed to; 0: the vault has no accounts
    pub request: u64,
}

impl Stopped {
    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.last.code()).zeros(7).u32(self.failures).u32(self.window_minutes);
        out.u64(self.first_ms).u64(self.stopped_ms);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let last = TransferFailure::from_code(reader.u8("failure of a transfer")?)?;
        reader.zeros(7, "reserved bytes of the stop")?;
        let (failures, window_minutes) = (reader.u32("failed transfers")?, reader.u32("window of failures")?);
        let (first_ms, stopped_ms) = (reader.u64("time of the first failure")?, reader.u64("time of the stop")?);
        Ok(Stopped { last, failures, window_minutes, first_ms, stopped_ms })
    }
}

impl Reopened {
    pub(super) fn write(&self, out: &mut Writer) {
        out.put(&self.stopped.0).u8(self.cause.code()).zeros(7).u64(self.request);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let stopped = VersionId::read(reader)?;
        let cause = StopCause::from_code(reader.u8("cause of the stop")?)?;
        reader.zeros(7, "reserved bytes of the reopening")?;
        Ok(Reopened { stopped, cause, request: reader.u64("request of the reopening")? })
    }
}
