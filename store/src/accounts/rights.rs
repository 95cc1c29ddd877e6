//! Changing who may do what: asked for by an administrator, agreed to by a second person as soon as there is one, and done
//! exactly as agreed. Stopping somebody needs nobody's agreement.

use super::account::{Account, Standing};
use super::admit::is_owner;
use super::book::{ACCOUNTS_MAX, Book};
use super::caller::Caller;
use super::change::Change;
use super::grant::{Grant, MINUTES_MAX};
use super::keep::{Noted, gone};
use super::request::{ApprovalRequest, RequestKind};
use super::role::{Role, Roles};
use super::two_person::{Wants, request_state};
use super::{AccountId, Accounts, Mode, Moment, Permission, State};
use crate::audit::{Action, AuditEvent, Outcome};
use crate::error::{Error, Result};
use shosoin_protocol::Digest;
use shosoin_protocol::codec::Writer;
use shosoin_protocol::suite::sha256;

/// What became of a change that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proposed {
    /// it is made
    Done,
    /// it waits for another person's agreement, under this number
    Waiting(u64),
}

impl Accounts {
    /// Asks for a change. It is made at once as long as nobody could agree to it, and waits for a second person otherwise.
    pub fn propose(&self, caller: &Caller, change: Change, reason: &str) -> Result<Proposed> {
        change.check()?;
        let moment = self.now()?;
        let mut state = self.state.lock();
        if let Some(actor) = self.owner_adds(&state, caller, &change) {
            self.add_as_owner(&mut state, &moment, &actor, &change, reason)?;
            return Ok(Proposed::Done);
        }
        let own = matches!(change, Change::BreakGlass { .. });
        let kind = if own { RequestKind::BreakGlass } else { RequestKind::Rights };
        let by = self.person(&mut state, caller, Wants::to_ask(kind, change.work()), &moment)?;
        if own && change.about() != &by {
            return Err(Error::Argument { what: "break-glass", why: "everybody asks for themselves".into() });
        }
        apply(&mut state.book.clone(), &moment, &change, 0)?; // what cannot be done is not asked for
        if !own && !state.book.confirmed {
            let event = Reason { by: by.as_str(), text: reason, request: None };
            self.make(&mut state, &moment, &event, &change)?;
            return Ok(Proposed::Done);
        }
        let made = |number| {
            let subject = format!("{} {} {}", change.work(), change.about(), change.gives());
            let subject: String = subject.trim().chars().take(160).collect();
            let request = ApprovalRequest::new(number, kind, subject, by.clone(), &moment);
            let about = Some(change.about().clone());
            ApprovalRequest { what: digest_of(&change), change: Some(change.clone()), about, ..request }
        };
        self.enter(&mut state, &moment, &by, made).map(|request| Proposed::Waiting(request.number))
    }

    /// Makes a change that enough people agreed to.
    pub(super) fn carry_out(
        &self,
        state: &mut State,
        moment: &Moment,
        by: &AccountId,
        request: Option<&ApprovalRequest>,
        change: &Change,
    ) -> Result<()> {
        let still = state.book.accounts.get(by).is_some_and(|account| match request {
            Some(request) => account.may(request.kind.rule().asks).is_ok(),
            None => true,
        });
        if let (Some(request), false) = (request, still) {
            return Err(request_state(request.number, "was made by somebody who may not any more; ask anew"));
        }
        self.make(state, moment, &Reason { by: by.as_str(), text: "", request }, change)
    }

    fn make(&self, state: &mut State, moment: &Moment, reason: &Reason<'_>, change: &Change) -> Result<()> {
        let number = reason.request.map_or(0, |request| request.number);
        let event = AuditEvent::new(moment.ms(), reason.by, action(change));
        let event = event.because(reason.text(change));
        let alarm = matches!(change, Change::BreakGlass { .. });
        let event = if alarm { event.ended(Outcome::Findings) } else { event };
        let noted = Noted::new(event).about(change.about()).by_request(number);
        self.write(state, moment, noted, |book| {
            apply(book, moment, change, number)?;
            if let Some(request) = reason.request {
                book.requests.insert(number, request.clone());
            }
            Ok(())
        })?;
        if alarm {
            tracing::error!(account = %change.about(), gives = change.gives(), "break-glass: somebody may do more for a while");
        }
        Ok(())
    }

    /// Whether the owner of the vault's folder adds somebody by themselves: the first administrator, one where none is left,
    /// or a second person where rights wait for one and there is none. Gives the owner's name.
    fn owner_adds(&self, state: &State, caller: &Caller, change: &Change) -> Option<String> {
        let Change::Add { roles, .. } = change else { return None };
        let can =
            |permission| state.book.accounts.values().filter(move |account| account.may(permission).is_ok()).count();
        let nobody_manages = can(Permission::ManageAccounts) == 0 && roles.has(Role::Admin);
        let nobody_agrees = state.book.confirmed
            && can(Permission::ApproveRights) < 2
            && roles.has_any(Permission::ApproveRights.roles());
        let in_force = !matches!(state.mode, Mode::Doubted(_));
        is_owner(&self.dir, caller).filter(|_| in_force && (nobody_manages || nobody_agrees))
    }

    fn add_as_owner(
        &self,
        state: &mut State,
        moment: &Moment,
        actor: &str,
        change: &Change,
        reason: &str,
    ) -> Result<()> {
        let first = state.mode == Mode::NoAccounts;
        let actor = if first { actor.to_owned() } else { format!("os:{actor}") };
        let outcome = if first { Outcome::Done } else { Outcome::Findings };
        if !first {
            tracing::error!(
                actor,
                "the owner of the vault's folder added an account because nobody could agree to one"
            );
        }
        let event = AuditEvent::new(moment.ms(), actor, Action::AccountAdded).ended(outcome).because(reason);
        self.write(state, moment, Noted::new(event).about(change.about()), |book| apply(book, moment, change, 0))
    }

    /// Stops somebody at once (7.6.14-ID-M5, 7.7-M3). Nobody stops themselves: a slip would be one nobody mends.
    pub fn suspend(&self, caller: &Caller, id: &AccountId, reason: &str) -> Result<()> {
        self.stop(caller, id, reason, Standing::Suspended)
    }

    /// Ends an account for ever.
    pub fn close(&self, caller: &Caller, id: &AccountId, reason: &str) -> Result<()> {
        self.stop(caller, id, reason, Standing::Closed)
    }

    fn stop(&self, caller: &Caller, id: &AccountId, reason: &str, to: Standing) -> Result<()> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        let (work, action) = match to {
            Standing::Closed => ("account close", Action::AccountClosed),
            _ => ("account suspend", Action::AccountSuspended),
        };
        let by = self.person(&mut state, caller, Wants::to(work), &moment)?;
        if by == *id {
            return Err(account_state(id, "is your own; somebody else stops it"));
        }
        let found = account(&state.book, id)?.standing;
        if found == Standing::Closed || found == to {
            return Err(account_state(id, &format!("is {found} already")));
        }
        let event = AuditEvent::new(moment.ms(), by.as_str(), action).because(reason);
        self.write(&mut state, &moment, Noted::new(event).about(id), |book| {
            let account = account_mut(book, id)?;
            (account.standing, account.changed_ms) = (to, moment.ms());
            if to == Standing::Closed {
                (account.os_user, account.key, account.second_factor) = (None, None, None);
                account.secrets = super::password::Secrets::default();
            }
            let over = |grant: &&mut Grant| grant.account == *id;
            book.grants.iter_mut().filter(over).for_each(|grant| grant.ended = true);
            Ok(())
        })?;
        drop(state);
        self.end_sessions_of(id, &moment)
    }

    /// Puts on the record which grants have ended since the last look. Called from time to time.
    pub fn end_grants(&self) -> Result<()> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        let over = |grant: &&Grant| !grant.ended && !grant.is_in_force(&moment);
        let over: Vec<Grant> = state.book.grants.iter().filter(over).cloned().collect();
        for grant in over {
            let event = AuditEvent::new(moment.ms(), "vault", Action::BreakGlassEnded);
            let noted = Noted::new(event).about(&grant.account).by_request(grant.request);
            self.write(&mut state, &moment, noted, |book| {
                let same = book.grants.iter_mut().filter(|other| other.request == grant.request);
                same.for_each(|grant| grant.ended = true);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Who makes a change, and why.
struct Reason<'a> {
    by: &'a str,
    text: &'a str,
    request: Option<&'a ApprovalRequest>,
}

impl Reason<'_> {
    fn text(&self, change: &Change) -> String {
        let agreed = self.request.map(|request| {
            let names: Vec<&str> = request.approvals.iter().map(|approval| approval.by.as_str()).collect();
            format!("agreed by {}", names.join(", "))
        });
        let parts = [self.text.to_owned(), change.gives(), agreed.unwrap_or_default()];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        crate::audit::shortened_reason(&parts.join("; "))
    }
}

fn action(change: &Change) -> Action {
    match change {
        Change::Add { .. } => Action::AccountAdded,
        Change::SetRoles { .. } => Action::AccountRoles,
        Change::Resume { .. } => Action::AccountResumed,
        Change::Map { .. } => Action::AccountMapped,
        Change::SetKey { .. } => Action::AccountKey,
        Change::SetHours { .. } => Action::AccountHours,
        Change::ForgetSecondFactor { .. } => Action::AccountSecondFactor,
        Change::BreakGlass { .. } => Action::BreakGlass,
    }
}

fn digest_of(change: &Change) -> Digest {
    let mut out = Writer::new();
    change.write(&mut out);
    sha256(&[b"shosoin change of rights v1\0", &out.finish()])
}

/// Makes a change in the book, or says why it cannot be made.
fn apply(book: &mut Book, moment: &Moment, change: &Change, request: u64) -> Result<()> {
    if let Change::Add { id, name, roles, os_user, hours } = change {
        if book.accounts.contains_key(id) {
            return Err(account_state(id, "is taken, now or by somebody who left: ids are never used again"));
        }
        if book.accounts.len() >= ACCOUNTS_MAX {
            return Err(account_state(id, "is one too many: the file has no room"));
        }
        let blank = gone(id.clone(), moment);
        let (name, os_user, hours) = (name.clone(), os_user.clone(), hours.clone());
        let account = Account { standing: Standing::Invited, name, roles: *roles, os_user, hours, ..blank };
        book.accounts.insert(id.clone(), account);
        return one_each(book);
    }
    let account = account_mut(book, change.about())?;
    if account.standing == Standing::Closed {
        return Err(account_state(&account.id, "is closed for ever"));
    }
    account.changed_ms = moment.ms();
    match change {
        Change::Add { .. } => {}
        Change::SetRoles { roles, .. } => account.roles = *roles,
        Change::Resume { .. } => match account.standing {
            Standing::Suspended => {
                account.standing = Standing::Active;
                (account.log_on, account.change) = Default::default();
            }
            standing if account.log_on.locked_until_ms == 0 => {
                return Err(account_state(&account.id, &format!("is {standing}, and not locked")));
            }
            _ => (account.log_on, account.change) = Default::default(),
        },
        Change::Map { os_user, .. } => account.os_user.clone_from(os_user),
        Change::SetKey { key, .. } => account.key.clone_from(key),
        Change::SetHours { hours, .. } => account.hours = hours.clone(),
        Change::ForgetSecondFactor { .. } => account.second_factor = None,
        Change::BreakGlass { roles, minutes, .. } => grant(book, moment, change.about(), (*roles, *minutes), request)?,
    }
    Roles::of(&book.roles_now(change.about(), moment).list())?;
    one_each(book)
}

fn grant(book: &mut Book, moment: &Moment, id: &AccountId, (roles, minutes): (Roles, u32), request: u64) -> Result<()> {
    account(book, id)?;
    if !(1..=MINUTES_MAX).contains(&minutes) {
        return Err(Error::Argument {
            what: "while",
            why: format!("it lasts from a minute to {} hours", MINUTES_MAX / 60),
        });
    }
    let from_ms = moment.ms();
    let until_ms = from_ms.saturating_add(u64::from(minutes) * 60_000);
    book.grants.push(Grant { request, account: id.clone(), roles, from_ms, until_ms, ended: false });
    book.grants.sort_by_key(|grant| grant.request);
    Ok(())
}

/// No two people are one user of the machine or have one key.
fn one_each(book: &Book) -> Result<()> {
    book.check().map_err(|source| Error::Malformed { what: "change of rights", source })
}

pub(super) fn account<'a>(book: &'a Book, id: &AccountId) -> Result<&'a Account> {
    book.accounts.get(id).ok_or_else(|| Error::NotFound { what: "account", id: id.to_string() })
}

pub(super) fn account_mut<'a>(book: &'a mut Book, id: &AccountId) -> Result<&'a mut Account> {
    book.accounts.get_mut(id).ok_or_else(|| Error::NotFound { what: "account", id: id.to_string() })
}

pub(super) fn account_state(id: &AccountId, why: &str) -> Error {
    Error::AccountState { what: "account", id: id.to_string(), why: why.to_owned() }
}
