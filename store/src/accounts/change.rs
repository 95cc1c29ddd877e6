//! Changes of rights, as values: they can wait for a second person's agreement, and are made exactly as they were agreed to.

use super::account::{NAME_BYTES_MAX, OsUser};
use super::hours::Hours;
use super::id::{AccountId, ID_BYTES_MAX};
use super::role::Roles;
use crate::audit::check_text;
use crate::error::Result;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{Error as FormatError, Result as FormatResult};

/// Longest name of a user of the machine, in bytes.
pub const OS_NAME_BYTES_MAX: usize = 64;

/// A change of somebody's rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// a new account
    Add {
        /// whose
        id: AccountId,
        /// the person's name
        name: String,
        /// duties
        roles: Roles,
        /// user of this machine
        os_user: Option<OsUser>,
        /// when the person may act
        hours: Hours,
    },
    /// other duties
    SetRoles {
        /// whose
        id: AccountId,
        /// all of them
        roles: Roles,
    },
    /// a person who was stopped may act again
    Resume {
        /// who
        id: AccountId,
    },
    /// another user of this machine, or none
    Map {
        /// whose
        id: AccountId,
        /// which
        os_user: Option<OsUser>,
    },
    /// another key, or none
    SetKey {
        /// whose
        id: AccountId,
        /// which
        key: Option<PublicKey>,
    },
    /// other hours
    SetHours {
        /// whose
        id: AccountId,
        /// which
        hours: Hours,
    },
    /// the second factor is forgotten, and made anew at the next log-on
    ForgetSecondFactor {
        /// whose
        id: AccountId,
    },
    /// more roles, or all hours, until a time
    BreakGlass {
        /// whose
        id: AccountId,
        /// roles besides their own
        roles: Roles,
        /// for how long, in minutes from the agreement
        minutes: u32,
    },
}

impl Change {
    /// Whom it is about.
    pub fn about(&self) -> &AccountId {
        match self {
            Change::Add { id, .. } | Change::SetRoles { id, .. } | Change::Resume { id } => id,
            Change::Map { id, .. } | Change::SetKey { id, .. } | Change::SetHours { id, .. } => id,
            Change::ForgetSecondFactor { id } | Change::BreakGlass { id, .. } => id,
        }
    }

    /// Number on disk.
    fn code(&self) -> u8 {
        match self {
            Change::Add { .. } => 1,
            Change::SetRoles { .. } => 2,
            Change::Resume { .. } => 3,
            Change::Map { .. } => 4,
            Change::SetKey { .. } => 5,
            Change::SetHours { .. } => 6,
            Change::ForgetSecondFactor { .. } => 7,
            Change::BreakGlass { .. } => 8,
        }
    }

    /// The command that asks for it, as the table of permissions has it.
    pub fn work(&self) -> &'static str {
        match self {
            Change::Add { .. } => "account add",
            Change::SetRoles { .. } => "account set-roles",
            Change::Resume { .. } => "account resume",
            Change::Map { .. } => "account map",
            Change::SetKey { .. } => "account key",
            Change::SetHours { .. } => "account set-hours",
            Change::ForgetSecondFactor { .. } => "account totp --forget",
            Change::BreakGlass { .. } => "account break-glass",
        }
    }

    /// What it would give, in words of ids and codes.
    pub fn gives(&self) -> String {
        let user = |user: &Option<OsUser>| user.as_ref().map_or("no user".to_owned(), |user| user.name.clone());
        match self {
            Change::Add { roles, os_user, hours, .. } => format!("{roles}, user {}, {hours}", user(os_user)),
            Change::SetRoles { roles, .. } => roles.to_string(),
            Change::Map { os_user, .. } => user(os_user),
            Change::SetKey { key, .. } => key.as_ref().map_or("no key".to_owned(), |key| key.fingerprint()),
            Change::SetHours { hours, .. } => hours.to_string(),
            Change::Resume { .. } | Change::ForgetSecondFactor { .. } => String::new(),
            Change::BreakGlass { roles, minutes, .. } => format!("{roles} for {minutes} minutes"),
        }
    }

    /// Refuses text that breaks a rule.
    pub fn check(&self) -> Result<()> {
        match self {
            Change::Add { name, os_user, .. } => {
                check_text("name", name, NAME_BYTES_MAX)?;
                os_user.iter().try_for_each(|user| check_text("user", &user.name, OS_NAME_BYTES_MAX))
            }
            Change::Map { os_user, .. } => {
                os_user.iter().try_for_each(|user| check_text("user", &user.name, OS_NAME_BYTES_MAX))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.code());
        write_id(out, self.about());
        match self {
            Change::Add { name, roles, os_user, hours, .. } => {
                out.var(name.as_bytes()).u8(roles.bits());
                write_os_user(out, os_user.as_ref());
                hours.write(out);
            }
            Change::SetRoles { roles, .. } => drop(out.u8(roles.bits())),
            Change::Map { os_user, .. } => write_os_user(out, os_user.as_ref()),
            Change::SetKey { key, .. } => write_key(out, key.as_ref()),
            Change::SetHours { hours, .. } => hours.write(out),
            Change::Resume { .. } | Change::ForgetSecondFactor { .. } => {}
            Change::BreakGlass { roles, minutes, .. } => drop(out.u8(roles.bits()).u32(*minutes)),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> FormatResult<Self> {
        let code = reader.u8("kind of change")?;
        let id = read_id(reader)?;
        Ok(match code {
            1 => Change::Add {
                id,
                name: read_text(reader, NAME_BYTES_MAX, "name of a person")?,
                roles: Roles::from_bits(reader.u8("roles")?)?,
                os_user: read_os_user(reader)?,
                hours: Hours::read(reader)?,
            },
            2 => Change::SetRoles { id, roles: Roles::from_bits(reader.u8("roles")?)? },
            3 => Change::Resume { id },
            4 => Change::Map { id, os_user: read_os_user(reader)? },
            5 => Change::SetKey { id, key: read_key(reader)? },
            6 => Change::SetHours { id, hours: Hours::read(reader)? },
            7 => Change::ForgetSecondFactor { id },
            8 => {
                let roles = Roles::from_bits(reader.u8("roles")?)?;
                Change::BreakGlass { id, roles, minutes: reader.u32("minutes")? }
            }
            _ => return Err(FormatError::Invalid { what: "change of rights", why: "no such kind" }),
        })
    }
}

pub(super) fn write_id(out: &mut Writer, id: &AccountId) {
    out.var(id.as_str().as_bytes());
}

pub(super) fn read_id(reader: &mut Reader<'_>) -> FormatResult<AccountId> {
    let text = reader.text(ID_BYTES_MAX, "account id")?;
    text.parse().map_err(|_| FormatError::Invalid { what: "account id", why: "it breaks the rule for ids" })
}

/// Text without control characters.
pub(super) fn read_text(reader: &mut Reader<'_>, limit: usize, what: &'static str) -> FormatResult<String> {
    let text = reader.text(limit, what)?;
    match text.chars().any(char::is_control) {
        true => Err(FormatError::Invalid { what, why: "it has control characters" }),
        false => Ok(text),
    }
}

/// A byte that says whether a value follows.
pub(super) fn read_flag(reader: &mut Reader<'_>, what: &'static str) -> FormatResult<bool> {
    match reader.u8(what)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(FormatError::Invalid { what, why: "it is 0 or 1" }),
    }
}

pub(super) fn write_os_user(out: &mut Writer, user: Option<&OsUser>) {
    out.u8(user.is_some().into());
    if let Some(user) = user {
        out.u32(user.uid).var(user.name.as_bytes());
    }
}

pub(super) fn read_os_user(reader: &mut Reader<'_>) -> FormatResult<Option<OsUser>> {
    if !read_flag(reader, "whether there is a user")? {
        return Ok(None);
    }
    let (uid, name) = (reader.u32("number of a user")?, read_text(reader, OS_NAME_BYTES_MAX, "name of a user")?);
    Ok(Some(OsUser { uid, name }))
}

pub(super) fn write_key(out: &mut Writer, key: Option<&PublicKey>) {
    out.u8(key.is_some().into());
    key.iter().for_each(|key| key.write(out));
}

pub(super) fn read_key(reader: &mut Reader<'_>) -> FormatResult<Option<PublicKey>> {
    match read_flag(reader, "whether there is a key")? {
        true => PublicKey::read(reader).map(Some),
        false => Ok(None),
    }
}
