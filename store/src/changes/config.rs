//! `[changes]` of `vault.toml`: what a vault does whose program or settings nobody registered.

use serde::{Deserialize, Serialize};

/// `[changes]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChangesConfig {
    /// whether it refuses to be served, where any were registered; without it that is an alarm and an incident
    pub refuse_unregistered: bool,
}

impl ChangesConfig {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == ChangesConfig::default()
    }
}
