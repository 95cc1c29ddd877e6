//! Logging on to the console: password and one-time code, with a delay after an error, a lock after several, and one answer for
//! whatever was wrong.
//!
//! Invariants
//! - Who is not let in learns nothing: an unknown id, a wrong password, a wrong code, a lock, the hour or a stopped account give
//!   the same words after the same time.
//! - Each wrong try is counted on disk before the answer; a restart forgives none.
//! - A session without a proved second factor, or with a first or expired password, can only mend that.
//!
//! Source: guideline 7.6.14-LOGON-M2, S1, S2, S3, S5.

use super::account::{Account, Standing, Tries};
use super::caller::{Caller, Who};
use super::keep::Noted;
use super::password::{Cost, PasswordRecord};
use super::rights::account_mut;
use super::session::{Before, Ended, Session};
use super::totp::parse_code;
use super::{AccountId, Accounts, Moment, Permission, State};
use crate::audit::{Action, AuditEvent, Outcome};
use crate::error::{Error, Result};
use shosoin_tiers::life::DAY_MS;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long an answer takes that lets nobody in.
pub(super) const REFUSAL_TAKES: Duration = Duration::from_millis(750);
/// Tries that are looked at or wait, at once: each costs 64 MiB for a moment, one after the other.
const TRIES_AT_ONCE: usize = 16;

/// What somebody typed.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// id
    pub id: &'a str,
    /// password
    pub password: &'a str,
    /// one-time code; empty where none was asked for yet
    pub code: &'a str,
    /// from where
    pub from: &'a str,
}

/// What a person must do before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstDo {
    /// nothing
    Nothing,
    /// choose a password: it is a first one, or too old
    ChangePassword,
    /// enrol a second factor and prove it
    ProveSecondFactor,
}

/// Somebody is logged on.
#[derive(Debug)]
pub struct LoggedOn {
    /// who
    pub account: AccountId,
    /// token of the session, for the browser alone
    pub token: Zeroizing<String>,
    /// how the account was used before
    pub before: Before,
    /// what comes first
    pub first_do: FirstDo,
}

/// Why nobody was let in, for the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Id,
    TooEarly,
    Locked,
    Standing,
    Password,
    FirstPasswordTooOld,
    Code,
    Hours,
}

impl Wrong {
    const fn name(self) -> &'static str {
        match self {
            Wrong::Id => "no such id",
            Wrong::TooEarly => "too soon after a wrong try",
            Wrong::Locked => "locked",
            Wrong::Standing => "the account may not act",
            Wrong::Password => "wrong password",
            Wrong::FirstPasswordTooOld => "first password too old",
            Wrong::Code => "wrong code",
            Wrong::Hours => "outside the hours",
        }
    }

    /// Whether it is a guess that brings the lock nearer.
    const fn counts(self) -> bool {
        matches!(self, Wrong::Password | Wrong::Code)
    }
}

impl Accounts {
    /// Lets somebody in, or nobody: then the error is the same whatever was wrong. Blocks for a good part of a second.
    pub fn log_on(&self, attempt: &Attempt<'_>) -> Result<LoggedOn> {
        let began = Instant::now();
        let _place = Place::take(&self.trying)?;
        let outcome = self.try_log_on(attempt);
        if matches!(outcome, Err(Error::LogOn)) {
            std::thread::sleep(self.refusal_takes.saturating_sub(began.elapsed()));
        }
        outcome
    }

    fn try_log_on(&self, attempt: &Attempt<'_>) -> Result<LoggedOn> {
        let id = attempt.id.parse::<AccountId>().ok();
        let known = id.as_ref().and_then(|id| self.get(id));
        let nobody = PasswordRecord::of_nobody(self.cost);
        let record = known.as_ref().and_then(|account| account.secrets.current.as_ref()).unwrap_or(&nobody);
        let password_is_right = {
            let _one_at_a_time = self.hashing.lock();
            record.is(attempt.password)?
        };
        let moment = self.now()?;
        let mut state = self.state.lock();
        let Some(account) = id.and_then(|id| state.book.accounts.get(&id).cloned()) else {
            return self.refuse(&mut state, &moment, None, attempt, Wrong::Id);
        };
        let unchanged = known.is_some_and(|known| known.secrets == account.secrets);
        let (mut factor, code) = (account.second_factor.clone(), parse_code(attempt.code).unwrap_or_default());
        let wrong = self.look(&state, &account, &moment, password_is_right && unchanged).or_else(|| {
            let proved = factor.as_mut().filter(|factor| factor.is_proved());
            proved.is_some_and(|factor| !factor.take(&code, &moment)).then_some(Wrong::Code)
        });
        if let Some(wrong) = wrong {
            return self.refuse(&mut state, &moment, Some(&account), attempt, wrong);
        }
        let before = Before {
            success_ms: account.last_success_ms,
            failure_ms: account.last_failure_ms,
            failures: account.failures_before,
        };
        let from = shortened(attempt.from);
        let opened = self.sessions.open(&account.id, (&from, before), &moment, &*self.random)?;
        let event = AuditEvent::new(moment.ms(), account.id.as_str(), Action::LoggedOn);
        let event = event.because(format!("console, from {from}")).seen_from(from.parse().ok());
        self.write(&mut state, &moment, Noted::new(event).about(&account.id), |book| {
            let known = account_mut(book, &account.id)?;
            (known.last_success_ms, known.failures_before, known.log_on) = (moment.ms(), 0, Tries::default());
            (known.standing, known.second_factor) = (Standing::Active, factor);
            Ok(())
        })
        .inspect_err(|_| drop(self.sessions.end(&opened.token)))?;
        drop(state);
        self.note_ended(&opened.ended, &moment)?;
        Ok(LoggedOn { token: opened.token, before, first_do: self.first_do(&account, &moment), account: account.id })
    }

    /// What is wrong with a try at a known account, the code aside. A try that is not looked at is no guess.
    fn look(&self, state: &State, account: &Account, moment: &Moment, password_is_right: bool) -> Option<Wrong> {
        let first_hours = u64::from(self.config.first_password_hours);
        let first_ends = account.secrets.set_ms.saturating_add(first_hours * 3_600_000);
        if account.is_locked(moment) {
            Some(Wrong::Locked)
        } else if !account.log_on.are_open(moment) {
            Some(Wrong::TooEarly)
        } else if !password_is_right {
            Some(Wrong::Password)
        } else if !account.is_usable() {
            Some(Wrong::Standing)
        } else if account.secrets.one_time && moment.may_be_past(first_ends) {
            Some(Wrong::FirstPasswordTooOld)
        } else if self.may_now(&state.book, account, Permission::OwnAccount, moment).is_err() {
            Some(Wrong::Hours)
        } else {
            None
        }
    }

    fn refuse(
        &self,
        state: &mut State,
        moment: &Moment,
        account: Option<&Account>,
        attempt: &Attempt<'_>,
        wrong: Wrong,
    ) -> Result<LoggedOn> {
        let actor = account.map_or("unknown", |account| account.id.as_str());
        let reason = format!("{}; from {}", wrong.name(), shortened(attempt.from));
        let event = AuditEvent::new(moment.ms(), actor, Action::LogOnRefused).ended(Outcome::Refused);
        let event = event.seen_from(attempt.from.parse().ok());
        match account.filter(|_| wrong.counts()) {
            Some(account) => self.count_wrong(state, moment, account, event.because(reason))?,
            None => {
                if let Some(count) = self.floods.count(&format!("{actor} {}", wrong.name()), moment.ms()) {
                    self.media.record(AuditEvent { units: count, ..event.because(reason) })?;
                }
            }
        }
        Err(Error::LogOn)
    }

    /// Counts a wrong guess, and locks where there were too many.
    fn count_wrong(&self, state: &mut State, moment: &Moment, account: &Account, event: AuditEvent) -> Result<()> {
        let failures = account.log_on.failures.saturating_add(1);
        let locks = failures >= self.config.wrong_tries;
        let event = match locks {
            true => AuditEvent { action: Action::AccountLocked, ..event.ended(Outcome::Findings) },
            false => event,
        };
        if locks {
            self.locks.fetch_add(1, Ordering::Relaxed);
            tracing::error!(account = %account.id, failures, "an account is locked after wrong tries to log on");
        }
        self.write(state, moment, Noted::new(event).about(&account.id), |book| {
            let known = account_mut(book, &account.id)?;
            (known.last_failure_ms, known.failures_before) = (moment.ms(), known.failures_before.saturating_add(1));
            known.log_on = self.after_wrong(known.log_on, moment);
            Ok(())
        })
    }

    /// Tries after one more that was wrong.
    pub(super) fn after_wrong(&self, before: Tries, moment: &Moment) -> Tries {
        let failures = before.failures.saturating_add(1);
        let not_before_ms = moment.ms().saturating_add(u64::from(self.config.retry_seconds) * 1000);
        match failures >= self.config.wrong_tries {
            true => {
                let lock = u64::from(self.config.lock_minutes) * 60_000;
                Tries { failures: 0, not_before_ms, locked_until_ms: moment.ms().saturating_add(lock) }
            }
            false => Tries { failures, not_before_ms, ..before },
        }
    }

    /// What a person must do before anything else in the console.
    pub fn first_do(&self, account: &Account, moment: &Moment) -> FirstDo {
        let days = u64::from(self.config.password_days);
        let expires = account.secrets.set_ms.saturating_add(days * DAY_MS);
        let expired = days > 0 && moment.may_be_past(expires);
        if account.secrets.one_time || expired {
            return FirstDo::ChangePassword;
        }
        match &account.second_factor {
            Some(factor) if factor.is_proved() => FirstDo::Nothing,
            _ => FirstDo::ProveSecondFactor,
        }
    }

    /// The session of a token, used now, with its account and what comes first. The account may have been stopped since.
    pub fn session(&self, token: &str) -> Result<(Session, Account, FirstDo)> {
        let moment = self.now()?;
        let session = self.sessions.touch(token, &moment)?;
        self.with_account(session, &moment)
    }

    fn with_account(&self, session: Session, moment: &Moment) -> Result<(Session, Account, FirstDo)> {
        let account = self.get(&session.account).filter(Account::is_usable);
        let account = account.ok_or(Error::LoggedOff { why: "the session ended; log on again" })?;
        let first_do = self.first_do(&account, moment);
        Ok((session, account, first_do))
    }

    /// The person of a session, to be admitted to pages. Refused while something else comes first.
    pub fn caller(&self, token: &str) -> Result<Caller> {
        self.session(token).and_then(caller_of)
    }

    /// The person of a session, for what comes first alone: a new password, a second factor.
    pub fn own_caller(&self, token: &str) -> Result<Caller> {
        self.session(token).map(|(session, _, _)| Caller(Who::Person(session.account)))
    }

    /// What [`session`](Self::session) gives, for a page that looks by itself how far things have come: no use of the session.
    pub fn session_unused(&self, token: &str) -> Result<(Session, Account, FirstDo)> {
        let moment = self.now()?;
        let session = self.sessions.peek(token, &moment)?;
        self.with_account(session, &moment)
    }

    /// What [`caller`](Self::caller) gives, for the same.
    pub fn caller_unused(&self, token: &str) -> Result<Caller> {
        self.session_unused(token).and_then(caller_of)
    }

    /// Puts on the record that somebody was turned away before anybody looked at what they wanted. The same again and again is
    /// one record a minute, with a count.
    pub fn note_turned_away(&self, actor: &str, action: Action, why: &str, from: IpAddr) -> Result<()> {
        let moment = self.now()?;
        let why: String = why.chars().filter(|c| !c.is_control()).take(160).collect();
        let Some(count) = self.floods.count(&format!("{actor} {why}"), moment.ms()) else { return Ok(()) };
        let event =
            AuditEvent::new(moment.ms(), actor, action).ended(Outcome::Refused).because(why).seen_from(Some(from));
        self.media.record(AuditEvent { units: count, ..event }).map(drop)
    }

    /// Puts on the record which page a person asked for, and from where.
    pub fn note_page(&self, actor: &str, page: &str, from: IpAddr) -> Result<()> {
        let event = AuditEvent::new(self.now()?.ms(), actor, Action::PageAsked).because(page).seen_from(Some(from));
        self.media.record(event).map(drop)
    }

    /// Ends a session.
    pub fn log_off(&self, token: &str) -> Result<()> {
        let moment = self.now()?;
        match self.sessions.end(token) {
            Some(session) => self.note_ended(&[(session, Ended::LoggedOff)], &moment),
            None => Ok(()),
        }
    }

    /// Ends sessions and grants whose time is over, on the record. Called from time to time.
    pub fn sweep(&self) -> Result<()> {
        let moment = self.now()?;
        let ended = self.sessions.sweep(&moment);
        self.note_ended(&ended, &moment)?;
        self.end_grants()
    }

    /// Who is logged on to the console.
    pub fn sessions(&self) -> Vec<Session> {
        self.sessions.list()
    }

    /// Accounts locked since the vault was opened, and people logged on now.
    pub fn figures(&self) -> (u64, usize) {
        (self.locks.load(Ordering::Relaxed), self.sessions.list().len())
    }

    pub(super) fn note_ended(&self, ended: &[(Session, Ended)], moment: &Moment) -> Result<()> {
        for (session, why) in ended {
            let mut event = AuditEvent::new(moment.ms(), session.account.as_str(), Action::LoggedOff);
            event.duration_ms = moment.ms().saturating_sub(session.opened_ms);
            self.media.record(event.because(why.name()).seen_from(session.from.parse().ok()))?;
        }
        Ok(())
    }

    /// What new passwords cost to check.
    pub(super) fn cost(&self) -> Cost {
        self.cost
    }
}

/// The person of a session for whom nothing else comes first.
fn caller_of((session, _, first_do): (Session, Account, FirstDo)) -> Result<Caller> {
    match first_do {
        FirstDo::Nothing => Ok(Caller(Who::Person(session.account))),
        FirstDo::ChangePassword => Err(Error::LoggedOff { why: "the password must be changed first" }),
        FirstDo::ProveSecondFactor => Err(Error::LoggedOff { why: "a second factor must be enrolled first" }),
    }
}

/// Where somebody came from, as far as it is written down.
fn shortened(from: &str) -> String {
    from.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// A place among the tries that are looked at.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(trying: &'a AtomicUsize) -> Result<Self> {
        let before = trying.fetch_add(1, Ordering::AcqRel);
        let place = Place(trying);
        match before < TRIES_AT_ONCE {
            true => Ok(place),
            false => Err(Error::Busy { what: "log-on" }),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
