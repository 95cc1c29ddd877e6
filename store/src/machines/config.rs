//! `[machines]` of `vault.toml`: how strict the register of processing devices is.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[machines]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MachinesConfig {
    /// days that a check of a machine is good (7.5.3-M13)
    pub check_days: u32,
    /// whether a vault refuses to be served on a host that the register does not know as active, where it knows any; without it
    /// that is an alarm
    pub refuse_unknown_host: bool,
    /// file that says which host this is, and no other has
    pub host_id: PathBuf,
}

impl Default for MachinesConfig {
    fn default() -> Self {
        MachinesConfig { check_days: 90, refuse_unknown_host: false, host_id: "/etc/machine-id".into() }
    }
}

impl MachinesConfig {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == MachinesConfig::default()
    }

    /// What the types alone do not refuse.
    pub fn check(&self) -> Result<(), String> {
        match self.check_days {
            1..=366 => Ok(()),
            days => Err(format!("machines.check_days is {days}: a check is good for 1 to 366 days")),
        }
    }
}
