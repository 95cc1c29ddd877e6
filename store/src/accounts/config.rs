//! `[accounts]` of `vault.toml`: how strict the rules about people are. The defaults are what the guideline asks for; what is
//! laxer is taken, and the statement of applicability says so (T17).

use crate::jobs::window::UtcOffset;
use serde::{Deserialize, Serialize};

/// `[accounts]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountsConfig {
    /// days after which a password must be changed (7.6.14-PW-M3); 0: never
    pub password_days: u32,
    /// hours after which a first password nobody used is no good any more
    pub first_password_hours: u32,
    /// earlier passwords that are not taken again (7.6.14-PW-M4)
    pub password_history: u32,
    /// wrong tries in a row that lock (7.6.14-LOGON-M2, PW-M5)
    pub wrong_tries: u32,
    /// minutes that a lock lasts
    pub lock_minutes: u32,
    /// seconds after a wrong try in which no other is looked at
    pub retry_seconds: u32,
    /// minutes without use that end a session of the console (7.6.14-LOGON-M1)
    pub idle_minutes: u32,
    /// hours after which any session ends
    pub session_hours: u32,
    /// people in the console at once (7.6.6-M10)
    pub sessions_max: u32,
    /// days after which somebody must look again who may do what (7.6.14-ID-M7, ID-S1)
    pub review_days: u32,
    /// of the hours in which people may act
    pub utc_offset: UtcOffset,
    /// group of this machine whose members may open the administration socket; empty: the vault's own user alone
    pub socket_group: String,
}

impl Default for AccountsConfig {
    fn default() -> Self {
        AccountsConfig {
            password_days: 90,
            first_password_hours: 72,
            password_history: 5,
            wrong_tries: 5,
            lock_minutes: 30,
            retry_seconds: 3,
            idle_minutes: 15,
            session_hours: 12,
            sessions_max: 16,
            review_days: 90,
            utc_offset: UtcOffset::default(),
            socket_group: String::new(),
        }
    }
}

impl AccountsConfig {
    /// Whether it says nothing.
    pub fn is_default(&self) -> bool {
        *self == AccountsConfig::default()
    }

    /// What the types alone do not refuse: numbers that would switch a rule off without saying so.
    pub fn check(&self) -> Result<(), String> {
        let bounds = [
            ("password_days", self.password_days, 0, 3650),
            ("first_password_hours", self.first_password_hours, 1, 720),
            ("password_history", self.password_history, 0, 24),
            ("wrong_tries", self.wrong_tries, 2, 20),
            ("lock_minutes", self.lock_minutes, 1, 1440),
            ("retry_seconds", self.retry_seconds, 1, 300),
            ("idle_minutes", self.idle_minutes, 1, 480),
            ("session_hours", self.session_hours, 1, 24),
            ("sessions_max", self.sessions_max, 1, 256),
            ("review_days", self.review_days, 1, 366),
        ];
        match bounds.iter().find(|(_, found, least, most)| !(least..=most).contains(&found)) {
            Some((name, found, least, most)) => {
                Err(format!("accounts.{name} is {found}: it is from {least} to {most}"))
            }
            None => Ok(()),
        }
    }
}
