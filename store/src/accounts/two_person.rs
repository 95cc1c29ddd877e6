//! Asking, agreeing, and doing what was agreed to, for every kind of request.

use super::account::{Account, Refusal};
use super::admit::account_of;
use super::caller::Caller;
use super::keep::Noted;
use super::permission::asked_by;
use super::request::{ApprovalRequest, Approved, Means, RequestKind, RequestState, SUBJECT_BYTES_MAX};
use super::{AccountId, Accounts, Mode, Moment, Permission, State};
use crate::audit::{Action, AuditEvent, Outcome, check_text};
use crate::error::{Error, Result};
use shosoin_protocol::Digest;

impl Accounts {
    /// Asks for something that others must agree to: `subject` is an id of the kind's own, `what` a digest of exactly what is
    /// to be done (zeros where the subject says it all).
    pub fn request(&self, caller: &Caller, kind: RequestKind, subject: &str, what: Digest) -> Result<ApprovalRequest> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        let by = self.person(&mut state, caller, Wants::to_ask(kind, "account requests"), &moment)?;
        let made = |number| {
            let request = ApprovalRequest::new(number, kind, subject.to_owned(), by.clone(), &moment);
            ApprovalRequest { what, ..request }
        };
        self.enter(&mut state, &moment, &by, made)
    }

    /// Enters a request under the next number.
    pub(super) fn enter(
        &self,
        state: &mut State,
        moment: &Moment,
        by: &AccountId,
        made: impl FnOnce(u64) -> ApprovalRequest,
    ) -> Result<ApprovalRequest> {
        let number = state.book.next_request.max(1);
        let request = made(number);
        check_text("subject", &request.subject, SUBJECT_BYTES_MAX)?;
        let waiting = |other: &&ApprovalRequest| {
            other.is_waiting(moment)
                && (other.kind, &other.subject, other.what) == (request.kind, &request.subject, request.what)
        };
        if let Some(other) = state.book.requests.values().find(waiting) {
            return Err(request_state(other.number, "asks for the same and waits already"));
        }
        let reason: String = format!("{} {}", request.kind, request.subject).chars().take(200).collect();
        let event = AuditEvent::new(moment.ms(), by.as_str(), Action::ApprovalRequested).because(reason);
        let about = request.about.clone();
        let noted = Noted { event, about: about.as_ref(), request: number };
        self.write(state, moment, noted, |book| {
            book.next_request = number + 1;
            book.requests.insert(number, request.clone());
            Ok(())
        })?;
        Ok(request)
    }

    /// Agrees to a request. What it asks of accounts is done at once when enough agreed; anything else waits for
    /// [`take`](Self::take). Who may not is refused, on the record.
    pub fn approve(&self, caller: &Caller, number: u64) -> Result<ApprovalRequest> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        let request = find(&state, number)?;
        let by = self.person(&mut state, caller, Wants::to_agree(request.kind, "account approve"), &moment)?;
        self.approve_as(&mut state, &moment, &by, caller.means(), request)
    }

    pub(super) fn approve_as(
        &self,
        state: &mut State,
        moment: &Moment,
        by: &AccountId,
        means: Means,
        mut request: ApprovalRequest,
    ) -> Result<ApprovalRequest> {
        let number = request.number;
        let event = || AuditEvent::new(moment.ms(), by.as_str(), Action::ApprovalGiven);
        if let Err(why) = request.can_be_approved_by(by, moment) {
            let reason = format!("request {number}: {why}");
            self.media.record(event().ended(Outcome::Refused).because(reason))?;
            return Err(request_state(number, &why.to_string()));
        }
        request.approve(by, means, moment);
        let reason = format!("request {number} of {}: {}", request.requested_by, request.kind);
        let done = request.state == RequestState::Approved;
        if let Some(change) = request.change.clone().filter(|_| done) {
            self.media.record(event().because(reason))?;
            request.end(RequestState::Used, moment);
            self.carry_out(state, moment, &request.requested_by.clone(), Some(&request), &change)?;
            return Ok(request);
        }
        self.write(state, moment, Noted::new(event().because(reason)).by_request(number), |book| {
            book.requests.insert(number, request.clone());
            Ok(request)
        })
    }

    /// Turns a request down: by somebody who could agree to it, or by who asked, who takes it back.
    pub fn turn_down(&self, caller: &Caller, number: u64, reason: &str) -> Result<ApprovalRequest> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        let mut request = find(&state, number)?;
        let own = account_of(&state.book, caller).is_some_and(|account| account.id == request.requested_by);
        let work = "account turn-down";
        let wants = if own { Wants::to(work) } else { Wants::to_agree(request.kind, work) };
        let by = self.person(&mut state, caller, wants, &moment)?;
        if !request.is_waiting(&moment) {
            return Err(request_state(number, &format!("is {}", request.state)));
        }
        request.end(RequestState::TurnedDown, &moment);
        let event = AuditEvent::new(moment.ms(), by.as_str(), Action::ApprovalEnded).because(reason);
        self.write(&mut state, &moment, Noted::new(event).by_request(number), |book| {
            book.requests.insert(number, request.clone());
            Ok(request)
        })
    }

    /// The agreement to do `what` to `subject`, taken; where nobody asked for it yet, asks for `caller`.
    pub fn take_or_ask(
        &self,
        caller: &Caller,
        kind: RequestKind,
        subject: &str,
        what: Digest,
        actor: &str,
    ) -> Result<Agreement> {
        let moment = self.now()?;
        let asked = |request: &&ApprovalRequest| {
            (request.kind, request.what) == (kind, what) && request.subject == subject && request.is_waiting(&moment)
        };
        let found = self.state.lock().book.requests.values().find(asked).cloned();
        match found {
            Some(request) if request.state == RequestState::Approved => {
                self.take(kind, subject, what, actor).map(Agreement::Given)
            }
            Some(request) => Ok(Agreement::Waits(Box::new(request))),
            None => self.request(caller, kind, subject, what).map(|request| Agreement::Waits(Box::new(request))),
        }
    }

    /// Takes the agreement to do `what` to `subject`, once: proof that enough people agreed who still may. `actor` is whoever
    /// does it now.
    pub fn take(&self, kind: RequestKind, subject: &str, what: Digest, actor: &str) -> Result<Approved> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        let none = || Error::AccountState {
            what: "agreement to",
            id: format!("{kind} {subject}"),
            why: format!(
                "is not there: somebody asks for it, {} others agree (`shosoin account approve`)",
                kind.rule().approvals
            ),
        };
        let asked =
            |request: &&ApprovalRequest| (request.kind, request.what) == (kind, what) && request.subject == subject;
        let ready = |request: &&ApprovalRequest| {
            asked(request) && request.state == RequestState::Approved && request.is_waiting(&moment)
        };
        let mut request = state.book.requests.values().find(ready).cloned().ok_or_else(none)?;
        let still_may = |id: &AccountId, permission: Permission| {
            state.book.accounts.get(id).is_some_and(|account| account.may(permission).is_ok())
        };
        let rule = kind.rule();
        let good = request.approvals.iter().filter(|approval| still_may(&approval.by, rule.agrees)).count();
        if good < usize::from(rule.approvals) || !still_may(&request.requested_by, rule.asks) {
            let why = "is no longer good: somebody who asked or agreed may not any more; ask anew";
            return Err(request_state(request.number, why));
        }
        request.end(RequestState::Used, &moment);
        let approved = Approved {
            number: request.number,
            requested_by: request.requested_by.clone(),
            by: request.approvals.iter().map(|approval| approval.by.clone()).collect(),
        };
        let reason: String = format!("{kind} {subject}").chars().take(200).collect();
        let event = AuditEvent::new(moment.ms(), actor, Action::ApprovalUsed).because(reason);
        self.write(&mut state, &moment, Noted::new(event).by_request(request.number), |book| {
            book.requests.insert(request.number, request);
            Ok(approved)
        })
    }

    /// The person who calls, if they have the permission by their own roles, now. What was granted to somebody for a while is
    /// enough to work and not to agree.
    pub(super) fn person(
        &self,
        state: &mut State,
        caller: &Caller,
        wants: Wants,
        moment: &Moment,
    ) -> Result<AccountId> {
        let outside = caller.os_user().map_or_else(|| "unknown".to_owned(), |user| user.name.clone());
        let judged = match (&state.mode, account_of(&state.book, caller)) {
            (Mode::Doubted(_), _) => Err((format!("os:{outside}"), Refusal::Doubted)),
            (Mode::NoAccounts, _) => Err((outside, Refusal::FirstIsAdmin)),
            (_, None) => Err((format!("os:{outside}"), Refusal::NoAccount { user: outside })),
            (_, Some(account)) => self.person_may(state, account, wants, moment),
        };
        match judged {
            Ok(account) => {
                self.note_use(state, caller, &account, moment);
                Ok(account.id)
            }
            Err((actor, why)) => Err(self.not_permitted(actor, wants.work, why, moment)?),
        }
    }

    fn person_may(
        &self,
        state: &State,
        account: &Account,
        wants: Wants,
        moment: &Moment,
    ) -> std::result::Result<Account, (String, Refusal)> {
        let refuse = |why| (account.id.to_string(), why);
        let permission = wants.permission.ok_or_else(|| refuse(Refusal::NobodyMay))?;
        account.may(permission).map_err(refuse)?;
        if !wants.at_any_hour {
            self.may_now(&state.book, account, permission, moment).map_err(refuse)?;
        }
        Ok(account.clone())
    }
}

/// How an agreement of others stands.
#[derive(Debug)]
pub enum Agreement {
    /// enough agreed, and it is taken
    Given(Approved),
    /// it waits for them
    Waits(Box<ApprovalRequest>),
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wants {
    work: &'static str,
    /// what it takes; nobody has what is none
    permission: Option<Permission>,
    /// emergencies keep no hours
    at_any_hour: bool,
}

impl Wants {
    /// Some work of the table, within their hours.
    pub fn to(work: &'static str) -> Self {
        Wants { work, permission: asked_by(work), at_any_hour: false }
    }

    /// To ask for something of a kind, by this work.
    pub fn to_ask(kind: RequestKind, work: &'static str) -> Self {
        Wants { work, permission: Some(kind.rule().asks), at_any_hour: kind == RequestKind::BreakGlass }
    }

    /// To agree to something of a kind, by this work.
    pub fn to_agree(kind: RequestKind, work: &'static str) -> Self {
        Wants { work, permission: Some(kind.rule().agrees), at_any_hour: kind == RequestKind::BreakGlass }
    }
}

fn find(state: &State, number: u64) -> Result<ApprovalRequest> {
    let unknown = || Error::NotFound { what: "request", id: number.to_string() };
    state.book.requests.get(&number).cloned().ok_or_else(unknown)
}

pub(super) fn request_state(number: u64, why: &str) -> Error {
    Error::AccountState { what: "request", id: number.to_string(), why: why.to_owned() }
}
