//! Roles: what people may do, split by duty. One person may hold several, but no two of which one asks and the other agrees.

use crate::audit::vocabulary::vocabulary;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

vocabulary! {
    /// A duty.
    Role: u8, "role" {
        /// runs the vault from day to day: jobs, asset ledger, quarantine, disposals that were ordered
        Keeper = 1 "keeper",
        /// handles media
        Media = 2 "media",
        /// agrees to disposals
        DisposalApprover = 4 "disposal-approver",
        /// reads everything there is to read, agrees to rights, stops people; changes nothing
        Auditor = 8 "auditor",
        /// gives people their rights, and uses none of them
        Admin = 16 "admin",
    }
}

/// Pairs that one person never holds, and why.
const APART: [(Role, Role, &str); 7] = [
    (Role::Keeper, Role::DisposalApprover, "who runs disposals does not agree to them"),
    (Role::Media, Role::DisposalApprover, "who erases media does not agree to what is erased"),
    (Role::Keeper, Role::Auditor, "nobody audits their own work"),
    (Role::Media, Role::Auditor, "nobody audits their own work"),
    (Role::Admin, Role::Auditor, "who asks for rights does not agree to them in another role"),
    (Role::Keeper, Role::Admin, "who gives rights does not use them"),
    (Role::Media, Role::Admin, "who gives rights does not use them"),
];

/// A set of roles that one person may hold.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Role>", into = "Vec<Role>")]
pub struct Roles(u8);

impl Roles {
    /// Nothing.
    pub const NONE: Roles = Roles(0);

    /// These together; refused where two of them belong to two people.
    pub fn of(roles: &[Role]) -> Result<Self> {
        let set = Roles(roles.iter().fold(0, |bits, role| bits | role.code()));
        match APART.iter().find(|(one, other, _)| set.has(*one) && set.has(*other)) {
            None => Ok(set),
            Some((one, other, why)) => {
                let why = format!("{one} and {other} are never one person: {why}");
                Err(Error::Argument { what: "roles", why })
            }
        }
    }

    /// These and those; refused as in [`of`](Self::of).
    pub fn with(self, more: Roles) -> Result<Self> {
        Roles::of(&[self.list(), more.list()].concat())
    }

    /// What both have: of roles and grants that were held against each other when they were given.
    pub(super) fn and(self, more: Roles) -> Roles {
        Roles(self.0 | more.0)
    }

    /// Whether it is among them.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.code() != 0
    }

    /// Whether one of these is among them.
    pub fn has_any(self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.has(*role))
    }

    /// Each of them.
    pub fn list(self) -> Vec<Role> {
        Role::ALL.iter().copied().filter(|role| self.has(*role)).collect()
    }

    /// Bits on disk.
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// From bits on disk.
    pub(crate) fn from_bits(bits: u8) -> shosoin_protocol::Result<Self> {
        let invalid = |why| shosoin_protocol::Error::Invalid { what: "roles", why };
        let known = Role::ALL.iter().fold(0, |bits, role| bits | role.code());
        match bits & !known {
            0 => Roles::of(&Roles(bits).list()).map_err(|_| invalid("two of them are never one person")),
            _ => Err(invalid("no such role")),
        }
    }
}

impl TryFrom<Vec<Role>> for Roles {
    type Error = Error;

    fn try_from(roles: Vec<Role>) -> Result<Self> {
        Roles::of(&roles)
    }
}

impl From<Roles> for Vec<Role> {
    fn from(roles: Roles) -> Vec<Role> {
        roles.list()
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.list().into_iter().map(Role::name).collect();
        f.pad(&if names.is_empty() { "none".to_owned() } else { names.join("+") })
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_combinations_only_those_of_one_duty_are_let_through_7_6_14_priv_s1() {
        let allowed: Vec<String> =
            (0..32u8).filter_map(|bits| Roles::from_bits(bits).ok()).map(|roles| roles.to_string()).collect();
        let expected = [
            "none",
            "keeper",
            "media",
            "keeper+media",
            "disposal-approver",
            "auditor",
            "disposal-approver+auditor",
            "admin",
            "disposal-approver+admin",
        ];
        assert_eq!(allowed, expected);
        assert!(Roles::from_bits(32).is_err());
    }
}
