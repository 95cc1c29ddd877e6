//! One person who may run the vault.

use super::hours::Hours;
use super::id::AccountId;
use super::moment::Moment;
use super::password::Secrets;
use super::permission::Permission;
use super::role::Roles;
use super::totp::SecondFactor;
use crate::audit::vocabulary::vocabulary;
use serde::Serialize;
use shosoin_protocol::sign::PublicKey;

/// Longest name of a person, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 120;

vocabulary! {
    /// Where in its life an account is.
    Standing: u8, "account state" {
        /// made, and never used yet
        Invited = 1 "invited",
        /// in use
        Active = 2 "active",
        /// stopped; may be resumed with a second person's agreement
        Suspended = 3 "suspended",
        /// ended for ever; the id stays taken
        Closed = 4 "closed",
    }
}

/// A user of the machine. Number and name must both be the ones remembered: the system gives either to somebody else one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OsUser {
    /// number
    pub uid: u32,
    /// name
    pub name: String,
}

/// When and how often something went wrong, and until when nothing more is taken. Times in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tries {
    /// failures since the last success
    pub failures: u32,
    /// the next try is not looked at before
    pub not_before_ms: u64,
    /// none is looked at before
    pub locked_until_ms: u64,
}

impl Tries {
    /// Whether a try is looked at.
    pub fn are_open(&self, moment: &Moment) -> bool {
        moment.is_surely_past(self.not_before_ms) && moment.is_surely_past(self.locked_until_ms)
    }
}

/// An account. Times in milliseconds since 1970, 0 for never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// personal, never given to anybody else
    pub id: AccountId,
    /// the person's name
    pub name: String,
    /// where in its life it is
    pub standing: Standing,
    /// duties
    pub roles: Roles,
    /// user of this machine that is this person
    pub os_user: Option<OsUser>,
    /// key that signs approvals made outside the vault
    pub key: Option<PublicKey>,
    /// when the person may act
    pub hours: Hours,
    /// made
    pub created_ms: u64,
    /// rights or state changed last
    pub changed_ms: u64,
    /// began to act last
    pub last_success_ms: u64,
    /// failed to log on last
    pub last_failure_ms: u64,
    /// failures between the two last successes, for the one that is shown
    pub failures_before: u32,
    /// logging on
    pub log_on: Tries,
    /// changing the password
    pub change: Tries,
    /// password and those before it
    pub secrets: Secrets,
    /// second factor
    pub second_factor: Option<SecondFactor>,
}

/// Why somebody may not do something. What a caller is told; the audit log has it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// nobody is mapped to this user of the machine
    NoAccount {
        /// the user
        user: String,
    },
    /// the account is invited, suspended or closed
    Standing(Standing),
    /// none of its roles has the permission
    NoRole(Permission),
    /// not at this hour
    OutsideHours,
    /// no row of the table names what was asked for
    NobodyMay,
    /// there are no accounts yet, and this is not how the first one is made
    FirstIsAdmin,
    /// the accounts file is not the one the audit log knows
    Doubted,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::NoAccount { user } => write!(f, "user {user} of this machine is mapped to no account"),
            Refusal::Standing(standing) => write!(f, "the account is {standing}"),
            Refusal::NoRole(permission) => {
                let roles: Vec<&str> = permission.roles().iter().map(|role| role.name()).collect();
                write!(f, "{permission} is for {}", roles.join(", "))
            }
            Refusal::OutsideHours => f.write_str("it is outside the hours of the account, or the clock is in doubt"),
            Refusal::NobodyMay => f.write_str("no permission covers it"),
            Refusal::FirstIsAdmin => {
                f.write_str("the first account is an administrator's, made by the owner of the vault's folder")
            }
            Refusal::Doubted => f.write_str("the accounts file is not the one that the audit log knows"),
        }
    }
}

impl Account {
    /// Whether state and roles let this person do it, at any hour.
    pub fn may(&self, permission: Permission) -> Result<(), Refusal> {
        match self.standing {
            Standing::Invited | Standing::Active if self.roles.has_any(permission.roles()) => Ok(()),
            Standing::Invited | Standing::Active => Err(Refusal::NoRole(permission)),
            other => Err(Refusal::Standing(other)),
        }
    }

    /// Whether nobody logs on with this id now.
    pub fn is_locked(&self, moment: &Moment) -> bool {
        !moment.is_surely_past(self.log_on.locked_until_ms)
    }

    /// Whether the person can act at all.
    pub fn is_usable(&self) -> bool {
        matches!(self.standing, Standing::Invited | Standing::Active)
    }
}
