//! Device role: a machine that is about to be enrolled may do less than others. Stated before it is, and never again about the
//! same machine: what it may do can only be less, and never grows.
//!
//! - A machine that only deposits has no secret that opens anything: what it stores is sealed to a public key of the hospital.
//!   The vault gives it nothing to read and takes nothing from it but deposits.
//! - Where it may deposit is sealed, as names are: the hospital's own machines hold its deposits against it.

use super::codes;
use crate::codec::{Reader, Writer};
use crate::limits::DEVICE_SCOPE_BYTES_MAX;
use crate::{DeviceId, Result};

codes! {
    /// What a machine may do.
    Role, "role of a device" {
        /// deposit, and nothing else
        DepositOnly = 1 "deposit-only",
    }
}

/// What a machine may do, from its enrolment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRole {
    /// the machine
    pub device: DeviceId,
    /// what it may do
    pub role: Role,
    /// bucket and beginning of the names that it may deposit under, sealed by the hospital
    pub scope: Vec<u8>,
}

impl DeviceRole {
    pub(super) fn write(&self, out: &mut Writer) {
        out.put(&self.device.0).u8(self.role.code()).zeros(7).var(&self.scope);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let device = DeviceId::read(reader)?;
        let role = Role::from_code(reader.u8("role of the device")?)?;
        reader.zeros(7, "reserved bytes of the device role")?;
        Ok(DeviceRole { device, role, scope: reader.var(DEVICE_SCOPE_BYTES_MAX, "scope of the device")?.to_vec() })
    }
}
