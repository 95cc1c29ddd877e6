//! Accounts and requests as people are shown them: no secret, nothing that makes one.

use super::account::{Account, OsUser, Standing};
use super::hours::Hours;
use super::id::AccountId;
use super::moment::Moment;
use super::request::{Approval, ApprovalRequest, RequestKind, RequestState};
use super::role::Roles;
use super::{Accounts, FirstDo};
use serde::Serialize;

/// An account. Times in milliseconds since 1970; missing where there is none.
#[derive(Debug, Clone, Serialize)]
pub struct AccountView {
    /// id
    pub id: AccountId,
    /// the person's name
    pub name: String,
    /// where in its life it is
    pub state: Standing,
    /// until when nobody logs on with it
    pub locked_until_ms: Option<u64>,
    /// duties
    pub roles: Roles,
    /// roles granted for a while, and until when
    pub granted: Vec<GrantView>,
    /// user of this machine
    pub os_user: Option<OsUser>,
    /// fingerprint of the key that signs approvals
    pub key: Option<String>,
    /// when the person may act
    pub hours: String,
    /// none, first, set or expired
    pub password: &'static str,
    /// none, not proved or proved
    pub second_factor: &'static str,
    /// made
    pub created_ms: u64,
    /// rights or state changed last
    pub changed_ms: u64,
    /// began to act last
    pub last_success_ms: Option<u64>,
    /// failed to log on last
    pub last_failure_ms: Option<u64>,
    /// failures since the last log-on
    pub failures: u32,
}

/// What is granted to somebody for a while.
#[derive(Debug, Clone, Serialize)]
pub struct GrantView {
    /// roles besides their own
    pub roles: Roles,
    /// from when
    pub from_ms: u64,
    /// until when
    pub until_ms: u64,
    /// number of the request behind it
    pub request: u64,
}

/// A request. Times in milliseconds since 1970.
#[derive(Debug, Clone, Serialize)]
pub struct RequestView {
    /// number
    pub number: u64,
    /// what it is about
    pub kind: RequestKind,
    /// on what
    pub subject: String,
    /// digest of exactly what is agreed to; missing where the subject says it all
    pub what: Option<String>,
    /// what became of it
    pub state: RequestState,
    /// who asked
    pub requested_by: AccountId,
    /// when
    pub requested_ms: u64,
    /// too old from then on
    pub expires_ms: u64,
    /// who agreed
    pub approvals: Vec<Approval>,
    /// how many must agree
    pub approvals_needed: u8,
}

impl Accounts {
    /// An account as it is shown.
    pub fn view(&self, account: &Account, moment: &Moment) -> AccountView {
        let some = |at_ms: u64| (at_ms > 0).then_some(at_ms);
        let grants = self.grants().into_iter().filter(|grant| grant.account == account.id && grant.is_in_force(moment));
        let password = match (&account.secrets.current, self.first_do(account, moment)) {
            (None, _) => "none",
            (Some(_), FirstDo::ChangePassword) if account.secrets.one_time => "first",
            (Some(_), FirstDo::ChangePassword) => "expired",
            (Some(_), _) => "set",
        };
        let second_factor = match &account.second_factor {
            None => "none",
            Some(factor) if factor.is_proved() => "proved",
            Some(_) => "not proved",
        };
        AccountView {
            id: account.id.clone(),
            name: account.name.clone(),
            state: account.standing,
            locked_until_ms: account.is_locked(moment).then_some(account.log_on.locked_until_ms),
            roles: account.roles,
            granted: grants
                .map(|grant| GrantView {
                    roles: grant.roles,
                    from_ms: grant.from_ms,
                    until_ms: grant.until_ms,
                    request: grant.request,
                })
                .collect(),
            os_user: account.os_user.clone(),
            key: account.key.as_ref().map(|key| key.fingerprint()),
            hours: Hours::to_string(&account.hours),
            password,
            second_factor,
            created_ms: account.created_ms,
            changed_ms: account.changed_ms,
            last_success_ms: some(account.last_success_ms),
            last_failure_ms: some(account.last_failure_ms),
            failures: account.failures_before,
        }
    }
}

impl From<&ApprovalRequest> for RequestView {
    fn from(request: &ApprovalRequest) -> Self {
        RequestView {
            number: request.number,
            kind: request.kind,
            subject: request.subject.clone(),
            what: (request.what.0 != [0; 32]).then(|| request.what.to_string()),
            state: request.state,
            requested_by: request.requested_by.clone(),
            requested_ms: request.requested_ms,
            expires_ms: request.expires_ms,
            approvals: request.approvals.clone(),
            approvals_needed: request.kind.rule().approvals,
        }
    }
}
