//! Reviews: a person looks at who may do what, at intervals, and says so (7.6.13-M3, 7.6.14-ID-M7, ID-S1).

use super::account::{Account, Standing};
use super::caller::Caller;
use super::keep::Noted;
use super::permission::Permission;
use super::role::Role;
use super::two_person::Wants;
use super::view::AccountView;
use super::{AccountId, Accounts};
use crate::audit::{Action, AuditEvent};
use crate::error::Result;
use serde::Serialize;
use shosoin_tiers::life::DAY_MS;

/// Days without use after which an account is perhaps no longer needed.
pub const UNUSED_DAYS: u64 = 60;

/// What a review shows. Times in milliseconds since 1970.
#[derive(Debug, Clone, Serialize)]
pub struct Review {
    /// everybody who is not gone for ever
    pub accounts: Vec<AccountView>,
    /// ids of people who left
    pub closed: Vec<AccountId>,
    /// nobody used them for a while, or ever
    pub unused: Vec<AccountId>,
    /// they give rights
    pub administrators: Vec<AccountId>,
    /// they have no second factor, and so only the administration socket
    pub without_second_factor: Vec<AccountId>,
    /// requests that wait
    pub requests_waiting: u64,
    /// whether a second person agrees to rights
    pub rights_are_confirmed: bool,
    /// the review before this one
    pub reviewed_before_ms: Option<u64>,
}

impl Accounts {
    /// Shows who may do what to a person who then has looked at it; with `reason` it is on record as a review.
    pub fn review(&self, caller: &Caller, reason: Option<&str>) -> Result<Review> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        let by = self.person(&mut state, caller, Wants::to("account review"), &moment)?;
        let book = state.book.clone();
        if let Some(reason) = reason {
            let mut event = AuditEvent::new(moment.ms(), by.as_str(), Action::AccountsReviewed).because(reason);
            event.units = book.accounts.values().filter(|account| account.standing != Standing::Closed).count() as u64;
            self.write(&mut state, &moment, Noted::new(event), |book| {
                book.reviewed_ms = moment.ms();
                Ok(())
            })?;
        }
        drop(state);
        let ids = |wanted: &dyn Fn(&Account) -> bool| -> Vec<AccountId> {
            book.accounts.values().filter(|account| wanted(account)).map(|account| account.id.clone()).collect()
        };
        let unused_ms = UNUSED_DAYS * DAY_MS;
        let since = |account: &Account| account.last_success_ms.max(account.created_ms);
        let open = book.accounts.values().filter(|account| account.standing != Standing::Closed);
        Ok(Review {
            accounts: open.map(|account| self.view(account, &moment)).collect(),
            closed: ids(&|account| account.standing == Standing::Closed),
            unused: ids(&|account| account.is_usable() && moment.may_be_past(since(account).saturating_add(unused_ms))),
            administrators: ids(&|account| account.is_usable() && account.roles.has(Role::Admin)),
            without_second_factor: ids(&|account| {
                account.is_usable() && !account.second_factor.as_ref().is_some_and(|factor| factor.is_proved())
            }),
            requests_waiting: book.requests.values().filter(|request| request.is_waiting(&moment)).count() as u64,
            rights_are_confirmed: book.confirmed,
            reviewed_before_ms: (book.reviewed_ms > 0).then_some(book.reviewed_ms),
        })
    }

    /// When somebody last looked at who may do what, in milliseconds since 1970.
    pub fn reviewed_ms(&self) -> Option<u64> {
        Some(self.state.lock().book.reviewed_ms).filter(|at_ms| *at_ms > 0)
    }

    /// Whether somebody may see a request: who asked, who may agree, and who reads accounts.
    pub(super) fn may_see(&self, account: &Account, request: &super::ApprovalRequest) -> bool {
        let may = |permission| account.may(permission).is_ok();
        request.requested_by == account.id || may(request.kind.rule().agrees) || may(Permission::ReadAccounts)
    }
}
