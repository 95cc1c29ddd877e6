//! Letting people do things: from who asks to the account, from what is asked to the permission. What is refused is on the
//! record before the answer.

use super::account::{Account, OsUser, Refusal, Standing};
use super::book::Book;
use super::caller::{Caller, Who};
use super::keep::Noted;
use super::permission::{Permission, asked_by};
use super::{AccountId, Accounts, Mode, Moment, State};
use crate::audit::{Action, AuditEvent, Outcome};
use crate::error::{Error, Result};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Work that stays possible while the accounts file is doubted: to see what is wrong.
const WHILE_DOUBTED: [&str; 5] = ["vault status", "vault check", "audit verify", "audit show", "jobs"];
/// How long after one use the next one is noted, in milliseconds.
const USE_NOTED_EVERY_MS: u64 = 3_600_000;

/// Somebody who may do what they asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// their name in the audit log: the id of their account, or the user of the machine in a vault without accounts
    pub actor: String,
    /// their account, in a vault that has any
    pub account: Option<AccountId>,
}

impl Accounts {
    /// Whether this caller may do `work`, a command or page of the table. Refusals are audit records.
    pub fn admit(&self, caller: &Caller, work: &str) -> Result<Admitted> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        match self.judge(&state, caller, work, &moment) {
            Ok((admitted, account)) => {
                if let Some(account) = account {
                    self.note_use(&mut state, caller, &account, &moment);
                }
                Ok(admitted)
            }
            Err((actor, why)) => Err(self.not_permitted(actor, work, why, &moment)?),
        }
    }

    /// The refusal, on record.
    pub(super) fn not_permitted(&self, actor: String, work: &str, why: Refusal, moment: &Moment) -> Result<Error> {
        let event = AuditEvent::new(moment.ms(), actor.clone(), Action::CommandRefused);
        let reason: String = format!("{work}: {why}").chars().take(160).collect();
        self.media.record(event.ended(Outcome::Refused).because(reason))?;
        tracing::warn!(actor, work, %why, "a command was refused");
        Ok(Error::NotPermitted { actor, work: work.to_owned(), why })
    }

    /// Which of these commands and pages this caller may have now, for menus: nothing is put on record.
    pub fn may_have<'w>(&self, caller: &Caller, works: &[&'w str]) -> Result<Vec<&'w str>> {
        let moment = self.now()?;
        let state = self.state.lock();
        Ok(works.iter().copied().filter(|work| self.judge(&state, caller, work, &moment).is_ok()).collect())
    }

    pub(super) fn judge(
        &self,
        state: &State,
        caller: &Caller,
        work: &str,
        moment: &Moment,
    ) -> std::result::Result<(Admitted, Option<Account>), (String, Refusal)> {
        let nameless = |actor: String| (Admitted { actor, account: None }, None);
        let outside = caller.os_user().map_or_else(|| "unknown".to_owned(), |user| user.name.clone());
        match &state.mode {
            Mode::NoAccounts => return Ok(nameless(outside)),
            Mode::Doubted(_) => {
                let owner = is_owner(&self.dir, caller).filter(|_| WHILE_DOUBTED.contains(&work));
                let actor = format!("os:{outside}");
                return owner.map(|_| nameless(actor.clone())).ok_or((actor, Refusal::Doubted));
            }
            Mode::InForce => {}
        }
        let Some(account) = account_of(&state.book, caller) else {
            return Err((format!("os:{outside}"), Refusal::NoAccount { user: outside }));
        };
        let refuse = |why| Err((account.id.to_string(), why));
        let Some(permission) = asked_by(work) else { return refuse(Refusal::NobodyMay) };
        if let Err(why) = self.may_now(&state.book, account, permission, moment) {
            return refuse(why);
        }
        let admitted = Admitted { actor: account.id.to_string(), account: Some(account.id.clone()) };
        Ok((admitted, Some(account.clone())))
    }

    /// Whether somebody may now: state, roles and hours, with what was granted to them for a while. The clock may be confirmed
    /// at any hour, because while it is in doubt no hour is known.
    pub(super) fn may_now(
        &self,
        book: &Book,
        account: &Account,
        permission: Permission,
        moment: &Moment,
    ) -> std::result::Result<(), Refusal> {
        let mut grants =
            book.grants.iter().filter(|grant| grant.account == account.id && grant.is_in_force(moment)).peekable();
        let any_hour = grants.peek().is_some() || permission == Permission::ConfirmClock;
        let granted = grants.any(|grant| grant.roles.has_any(permission.roles()));
        match account.may(permission) {
            Err(Refusal::NoRole(_)) if granted => {}
            other => other?,
        }
        match any_hour || account.hours.are_open(moment, self.config.utc_offset) {
            true => Ok(()),
            false => Err(Refusal::OutsideHours),
        }
    }

    /// Notes that somebody began to act, at most once an hour. What it costs not to is a date, so a disk that takes no
    /// writes stops nobody from looking.
    pub(super) fn note_use(&self, state: &mut State, caller: &Caller, account: &Account, moment: &Moment) {
        if caller.os_user().is_none() {
            return; // in the console the log-on was noted
        }
        let fresh = moment.ms().saturating_sub(account.last_success_ms) < USE_NOTED_EVERY_MS;
        if fresh && account.standing == Standing::Active {
            return;
        }
        let event =
            AuditEvent::new(moment.ms(), account.id.as_str(), Action::LoggedOn).because("administration socket");
        let noted = self.write(state, moment, Noted::new(event).about(&account.id), |book| {
            let known = book.accounts.get_mut(&account.id).ok_or(Error::Bug("an account vanished"))?;
            (known.last_success_ms, known.standing) = (moment.ms(), Standing::Active);
            Ok(())
        });
        if let Err(error) = noted {
            tracing::warn!(error = &error as &dyn std::error::Error, "the use of an account could not be noted");
        }
    }
}

/// The account of a caller.
pub(super) fn account_of<'a>(book: &'a Book, caller: &Caller) -> Option<&'a Account> {
    match &caller.0 {
        Who::Users(users) => users.iter().find_map(|user| mapped(book, user)),
        Who::Person(id) => book.accounts.get(id),
    }
}

/// The account that is a user of this machine.
pub(super) fn mapped<'a>(book: &'a Book, user: &OsUser) -> Option<&'a Account> {
    let open = book.accounts.values().filter(|account| account.standing != Standing::Closed);
    open.into_iter().find(|account| account.os_user.as_ref() == Some(user))
}

/// The name of the caller, if they are the user that owns the vault's folder.
pub(super) fn is_owner(dir: &Path, caller: &Caller) -> Option<String> {
    let owner = std::fs::metadata(dir).ok()?.uid();
    caller.os_user().filter(|user| user.uid == owner).map(|user| user.name.clone())
}
