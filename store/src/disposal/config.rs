//! `[disposal]` of `vault.toml`.

use serde::{Deserialize, Serialize};

/// Days between the last approval and the end that no production vault goes below.
pub const COOL_DOWN_DAYS_MIN: u16 = 7;

/// How records are ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DisposalConfig {
    /// days that pass between the second approval and the end; an order may ask for more, never for less
    pub cool_down_days: u16,
    /// times that each copy is overwritten before it is removed
    pub passes: u8,
}

impl Default for DisposalConfig {
    fn default() -> Self {
        DisposalConfig { cool_down_days: COOL_DOWN_DAYS_MIN, passes: 3 }
    }
}

impl DisposalConfig {
    /// Of a vault that is made: a demonstration does not wait, so that everything can be tried.
    pub fn at_first(demo: bool) -> Self {
        let cool_down_days = if demo { 0 } else { COOL_DOWN_DAYS_MIN };
        DisposalConfig { cool_down_days, ..DisposalConfig::default() }
    }

    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == DisposalConfig::default()
    }

    /// What the types alone do not refuse. A demonstration may wait less.
    pub fn check(&self, demo: bool) -> Result<(), String> {
        if self.cool_down_days < COOL_DOWN_DAYS_MIN && !demo {
            return Err(format!("disposal.cool_down_days is at least {COOL_DOWN_DAYS_MIN}"));
        }
        match self.passes {
            1..=35 => Ok(()),
            _ => Err("disposal.passes is 1 to 35".into()),
        }
    }
}
