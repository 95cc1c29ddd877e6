//! Break-glass: more rights, or other hours, for a while that ends by itself (7.6.14-LOGON-S4). Somebody asked, somebody else
//! agreed, and both are named in it.

use super::change::{read_id, write_id};
use super::id::AccountId;
use super::moment::Moment;
use super::role::Roles;
use shosoin_protocol::Result as FormatResult;
use shosoin_protocol::codec::{Reader, Writer};

/// Longest while, in minutes.
pub const MINUTES_MAX: u32 = 12 * 60;

/// A grant. Times in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// number of the request behind it
    pub request: u64,
    /// who may do more
    pub account: AccountId,
    /// roles besides their own
    pub roles: Roles,
    /// from when
    pub from_ms: u64,
    /// until when
    pub until_ms: u64,
    /// whether its end is on the record
    pub ended: bool,
}

impl Grant {
    /// Whether it is in force. A clock that goes back brings none back.
    pub fn is_in_force(&self, moment: &Moment) -> bool {
        !self.ended && !moment.may_be_past(self.until_ms)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u64(self.request);
        write_id(out, &self.account);
        out.u8(self.roles.bits()).u64(self.from_ms).u64(self.until_ms).u8(self.ended.into());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> FormatResult<Self> {
        let (request, account) = (reader.u64("request of a grant")?, read_id(reader)?);
        let roles = Roles::from_bits(reader.u8("roles of a grant")?)?;
        let (from_ms, until_ms) = (reader.u64("from")?, reader.u64("until")?);
        let ended = super::change::read_flag(reader, "whether a grant ended")?;
        Ok(Grant { request, account, roles, from_ms, until_ms, ended })
    }
}
