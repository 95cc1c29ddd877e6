//! The accounts file: everybody who may run the vault, what was asked for, what was granted. Bytes in, bytes out;
//! `docs/format.md` has the tables ("Accounts file").
//!
//! Invariants
//! - An id is in it once and is never taken out. A number of a request is used once.
//! - No two accounts that can act are one user of the machine, or have one key.

use super::account::{Account, NAME_BYTES_MAX, Standing, Tries};
use super::change::{
    Change, read_flag, read_id, read_key, read_os_user, read_text, write_id, write_key, write_os_user,
};
use super::grant::Grant;
use super::hours::Hours;
use super::id::AccountId;
use super::moment::Moment;
use super::password::{HISTORY_MAX, PasswordRecord, Secrets};
use super::permission::Permission;
use super::request::{APPROVALS_MAX, Approval, ApprovalRequest, Means, RequestKind, RequestState, SUBJECT_BYTES_MAX};
use super::role::Roles;
use super::totp::SecondFactor;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, Error as FormatError, Result as FormatResult};
use std::collections::{BTreeMap, BTreeSet};

/// First bytes.
pub const MAGIC: [u8; 4] = *b"shac";
/// Version of the form.
pub const VERSION: u8 = 1;
/// Bytes before the accounts.
pub const HEADER_LEN: usize = 40;
/// Accounts in one file, those of people who left included.
pub const ACCOUNTS_MAX: usize = 2048;
/// Requests that are remembered; ended ones leave the file first, and are in the audit log.
pub const REQUESTS_MAX: usize = 512;
/// Grants that are remembered.
pub const GRANTS_MAX: usize = 256;
/// Longest file, in bytes: every account with all it can hold is below it.
pub const FILE_BYTES_MAX: u64 = 8 << 20;

const CHECKSUM_LEN: usize = 32;
const LABEL_FILE: &[u8] = b"shosoin accounts file v1\0";
/// Bit of the header's flags: a second person agrees to rights from now on.
const CONFIRMED: u8 = 1;

/// Everything in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    /// raised by each change
    pub generation: u64,
    /// newest time that was written, in milliseconds since 1970
    pub written_ms: u64,
    /// last review of who may do what, in milliseconds since 1970
    pub reviewed_ms: u64,
    /// number of the next request
    pub next_request: u64,
    /// whether rights need a second person: true for ever from the moment there was one
    pub confirmed: bool,
    /// by id
    pub accounts: BTreeMap<AccountId, Account>,
    /// by number
    pub requests: BTreeMap<u64, ApprovalRequest>,
    /// by request
    pub grants: Vec<Grant>,
}

impl Book {
    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(4096);
        out.put(&MAGIC).u8(VERSION).u8(if self.confirmed { CONFIRMED } else { 0 }).zeros(2);
        out.u64(self.generation).u64(self.written_ms).u64(self.reviewed_ms).u64(self.next_request);
        out.count(self.accounts.len());
        self.accounts.values().for_each(|account| write_account(account, &mut out));
        out.count(self.requests.len());
        self.requests.values().for_each(|request| write_request(request, &mut out));
        out.count(self.grants.len());
        self.grants.iter().for_each(|grant| grant.write(&mut out));
        let mut bytes = out.finish();
        let checksum = sha256(&[&bytes]);
        bytes.extend_from_slice(&checksum.0);
        bytes
    }

    /// Parses and checks a file.
    pub fn decode(bytes: &[u8]) -> FormatResult<Self> {
        let what = "accounts file";
        let truncated = FormatError::Truncated { what, needed: HEADER_LEN + CHECKSUM_LEN, left: bytes.len() };
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(truncated)?;
        if sha256(&[content]).0 != *checksum {
            return Err(FormatError::Invalid { what, why: "its checksum is another" });
        }
        let mut reader = Reader::new(content, what);
        if reader.array::<4>("magic of the accounts file")? != MAGIC {
            return Err(FormatError::Magic { what });
        }
        match reader.u8("version of the accounts file")? {
            VERSION => {}
            found => return Err(FormatError::Version { what, found, known: VERSION }),
        }
        let confirmed = read_flag(&mut reader, "flags of the accounts file")?;
        reader.zeros(2, "reserved bytes of the accounts file")?;
        let mut book = Book {
            generation: reader.u64("generation")?,
            written_ms: reader.u64("written")?,
            reviewed_ms: reader.u64("reviewed")?,
            next_request: reader.u64("next request")?,
            confirmed,
            ..Book::default()
        };
        let out_of_order = FormatError::Invalid { what, why: "ids and numbers ascend" };
        for _ in 0..reader.count(ACCOUNTS_MAX, "accounts")? {
            let account = read_account(&mut reader)?;
            if book.accounts.last_key_value().is_some_and(|(last, _)| *last >= account.id) {
                return Err(out_of_order);
            }
            book.accounts.insert(account.id.clone(), account);
        }
        for _ in 0..reader.count(REQUESTS_MAX, "requests")? {
            let request = read_request(&mut reader)?;
            if book.requests.last_key_value().is_some_and(|(last, _)| *last >= request.number) {
                return Err(out_of_order);
            }
            book.requests.insert(request.number, request);
        }
        for _ in 0..reader.count(GRANTS_MAX, "grants")? {
            let grant = Grant::read(&mut reader)?;
            if book.grants.last().is_some_and(|last| last.request >= grant.request) {
                return Err(out_of_order);
            }
            book.grants.push(grant);
        }
        reader.finish()?;
        book.check().map(|()| book)
    }

    /// What the types alone do not refuse.
    pub fn check(&self) -> FormatResult<()> {
        let invalid = |why| Err(FormatError::Invalid { what: "accounts file", why });
        let can_act = || self.accounts.values().filter(|account| account.standing != Standing::Closed);
        let users: Vec<u32> = can_act().filter_map(|account| Some(account.os_user.as_ref()?.uid)).collect();
        if users.iter().collect::<BTreeSet<_>>().len() != users.len() {
            return invalid("two accounts are one user of the machine");
        }
        let keys: Vec<String> = can_act().filter_map(|account| Some(account.key.as_ref()?.to_string())).collect();
        if keys.iter().collect::<BTreeSet<_>>().len() != keys.len() {
            return invalid("two accounts have one key");
        }
        if self.requests.keys().next_back().is_some_and(|last| *last >= self.next_request) {
            return invalid("a number of a request would be used again");
        }
        Ok(())
    }

    /// People in this state who may agree to rights.
    pub fn approvers(&self, standing: Standing) -> impl Iterator<Item = &Account> {
        let roles = Permission::ApproveRights.roles();
        self.accounts.values().filter(move |account| account.standing == standing && account.roles.has_any(roles))
    }

    /// What somebody may do by roles of their own and by those granted to them for a while; nothing while they may not act.
    pub fn roles_now(&self, id: &AccountId, moment: &Moment) -> Roles {
        let own = self.accounts.get(id).filter(|account| account.is_usable()).map(|account| account.roles);
        let grants = self.grants.iter().filter(|grant| grant.account == *id && grant.is_in_force(moment));
        own.map_or(Roles::NONE, |own| grants.fold(own, |roles, grant| roles.and(grant.roles)))
    }

    /// Ends what is too old, and forgets ended requests and grants that no longer fit; the audit log has them.
    pub fn tidy(&mut self, moment: &Moment) {
        let ended = |request: &ApprovalRequest| !matches!(request.state, RequestState::Open | RequestState::Approved);
        for request in self.requests.values_mut().filter(|request| !ended(request)) {
            if moment.may_be_past(request.expires_ms) {
                request.end(RequestState::Expired, moment);
            }
        }
        let over = (self.requests.len() + 1).saturating_sub(REQUESTS_MAX);
        let oldest: Vec<u64> =
            self.requests.values().filter(|request| ended(request)).map(|request| request.number).take(over).collect();
        oldest.iter().for_each(|number| drop(self.requests.remove(number)));
        let over = (self.grants.len() + 1).saturating_sub(GRANTS_MAX);
        let mut left = over;
        self.grants.retain(|grant| {
            let forget = grant.ended && left > 0;
            left -= usize::from(forget);
            !forget
        });
    }
}

/// What the audit log remembers of a file: nobody changes it unseen.
pub fn digest(bytes: &[u8]) -> Digest {
    sha256(&[LABEL_FILE, bytes])
}

fn write_account(account: &Account, out: &mut Writer) {
    write_id(out, &account.id);
    out.var(account.name.as_bytes()).u8(account.standing.code()).u8(account.roles.bits());
    out.u64(account.created_ms).u64(account.changed_ms).u64(account.last_success_ms).u64(account.last_failure_ms);
    out.u32(account.failures_before);
    write_tries(&account.log_on, out);
    write_tries(&account.change, out);
    write_os_user(out, account.os_user.as_ref());
    write_key(out, account.key.as_ref());
    account.hours.write(out);
    let secrets = &account.secrets;
    out.u8(secrets.current.is_some().into()).u8(secrets.one_time.into()).u64(secrets.set_ms);
    secrets.current.iter().for_each(|record| record.write(out));
    out.count(secrets.history.len());
    secrets.history.iter().for_each(|record| record.write(out));
    out.u8(account.second_factor.is_some().into());
    account.second_factor.iter().for_each(|factor| factor.write(out));
}

fn read_account(reader: &mut Reader<'_>) -> FormatResult<Account> {
    let id = read_id(reader)?;
    let name = read_text(reader, NAME_BYTES_MAX, "name of a person")?;
    let standing = Standing::from_code(reader.u8("state of an account")?)?;
    let roles = Roles::from_bits(reader.u8("roles")?)?;
    let (created_ms, changed_ms) = (reader.u64("created")?, reader.u64("changed")?);
    let (last_success_ms, last_failure_ms) = (reader.u64("last success")?, reader.u64("last failure")?);
    let failures_before = reader.u32("failures before")?;
    let (log_on, change) = (read_tries(reader)?, read_tries(reader)?);
    let (os_user, key, hours) = (read_os_user(reader)?, read_key(reader)?, Hours::read(reader)?);
    let has_password = read_flag(reader, "whether there is a password")?;
    let (one_time, set_ms) = (read_flag(reader, "whether it is a first one")?, reader.u64("password set")?);
    let current = has_password.then(|| PasswordRecord::read(reader)).transpose()?;
    let count = reader.count(HISTORY_MAX, "earlier passwords")?;
    let history = (0..count).map(|_| PasswordRecord::read(reader)).collect::<FormatResult<Vec<_>>>()?;
    let secrets = Secrets { current, one_time, set_ms, history };
    let has_factor = read_flag(reader, "whether there is a second factor")?;
    let second_factor = has_factor.then(|| SecondFactor::read(reader)).transpose()?;
    Ok(Account {
        id,
        name,
        standing,
        roles,
        os_user,
        key,
        hours,
        created_ms,
        changed_ms,
        last_success_ms,
        last_failure_ms,
        failures_before,
        log_on,
        change,
        secrets,
        second_factor,
    })
}

fn write_tries(tries: &Tries, out: &mut Writer) {
    out.u32(tries.failures).u64(tries.not_before_ms).u64(tries.locked_until_ms);
}

fn read_tries(reader: &mut Reader<'_>) -> FormatResult<Tries> {
    let failures = reader.u32("failures")?;
    let (not_before_ms, locked_until_ms) = (reader.u64("not before")?, reader.u64("locked until")?);
    Ok(Tries { failures, not_before_ms, locked_until_ms })
}

fn write_request(request: &ApprovalRequest, out: &mut Writer) {
    out.u64(request.number).u16(request.kind.code()).u8(request.state.code()).zeros(1);
    out.u64(request.requested_ms).u64(request.expires_ms).u64(request.state_ms).put(&request.what.0);
    write_id(out, &request.requested_by);
    out.var(request.subject.as_bytes());
    out.count(request.approvals.len());
    for approval in &request.approvals {
        write_id(out, &approval.by);
        out.u64(approval.at_ms).u8(approval.means.code());
    }
    out.u8(request.about.is_some().into());
    request.about.iter().for_each(|id| write_id(out, id));
    out.u8(request.change.is_some().into());
    request.change.iter().for_each(|change| change.write(out));
}

fn read_request(reader: &mut Reader<'_>) -> FormatResult<ApprovalRequest> {
    let number = reader.u64("number of a request")?;
    let kind = RequestKind::from_code(reader.u16("kind of a request")?)?;
    let state = RequestState::from_code(reader.u8("state of a request")?)?;
    reader.zeros(1, "reserved byte of a request")?;
    let (requested_ms, expires_ms) = (reader.u64("requested")?, reader.u64("expires")?);
    let (state_ms, what) = (reader.u64("state since")?, Digest::read(reader)?);
    let requested_by = read_id(reader)?;
    let subject = read_text(reader, SUBJECT_BYTES_MAX, "subject of a request")?;
    let mut approvals = Vec::new();
    for _ in 0..reader.count(APPROVALS_MAX, "approvals")? {
        let by = read_id(reader)?;
        let (at_ms, means) = (reader.u64("approved")?, Means::from_code(reader.u8("means of approval")?)?);
        approvals.push(Approval { by, at_ms, means });
    }
    let about = read_flag(reader, "whether it is about an account")?.then(|| read_id(reader)).transpose()?;
    let change = read_flag(reader, "whether it has a change")?.then(|| Change::read(reader)).transpose()?;
    Ok(ApprovalRequest {
        number,
        kind,
        subject,
        what,
        requested_by,
        requested_ms,
        expires_ms,
        approvals,
        state,
        state_ms,
        change,
        about,
    })
}
