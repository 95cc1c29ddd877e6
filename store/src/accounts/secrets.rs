//! What a person keeps secret: choosing a password, getting a first one, enrolling a second factor.

use super::account::Account;
use super::caller::Caller;
use super::keep::Noted;
use super::password::{PasswordRecord, check_quality, draw_first};
use super::rights::{account, account_mut, account_state};
use super::session::Ended;
use super::totp::{SecondFactor, TotpHash, parse_code};
use super::two_person::Wants;
use super::{AccountId, Accounts, Moment, State};
use crate::audit::{Action, AuditEvent, Outcome};
use crate::error::{Error, Result};
use zeroize::Zeroizing;

impl Accounts {
    /// Chooses a password of one's own. The one in use is demanded, and after several wrong ones no change is taken for a while
    /// (7.6.14-PW-M5); somebody without one, known to the machine, needs none.
    pub fn change_password(&self, caller: &Caller, old: &str, new: &str) -> Result<()> {
        let (moment, known) = self.own(caller, "account password")?;
        if !known.change.are_open(&moment) {
            return Err(account_state(&known.id, "takes no change of password now, after wrong tries; wait a while"));
        }
        let secrets = &known.secrets;
        let (right, repeated) = {
            let _one_at_a_time = self.hashing.lock();
            let right = secrets.current.as_ref().map_or(Ok(true), |record| record.is(old))?;
            (right, right && secrets.knows(new)?)
        };
        if !right {
            return self.wrong_old(&moment, &known);
        }
        check_quality(new, &known.id, &known.name)?;
        let generations = self.config.password_history as usize;
        if repeated {
            let why = format!("it is the one in use, or one of the last {generations}");
            return Err(Error::Argument { what: "password", why });
        }
        let record = PasswordRecord::of(new, self.cost(), &*self.random)?;
        let mut state = self.state.lock();
        unchanged(&state, &known)?;
        let event = AuditEvent::new(moment.ms(), known.id.as_str(), Action::AccountPassword).because("chosen");
        self.write(&mut state, &moment, Noted::new(event).about(&known.id), |book| {
            let account = account_mut(book, &known.id)?;
            account.secrets.set(record, false, &moment, generations);
            account.change = Default::default();
            Ok(())
        })
    }

    fn wrong_old(&self, moment: &Moment, known: &Account) -> Result<()> {
        let mut state = self.state.lock();
        let event = AuditEvent::new(moment.ms(), known.id.as_str(), Action::AccountPassword);
        let event = event.ended(Outcome::Refused).because("the password in use was wrong");
        self.write(&mut state, moment, Noted::new(event).about(&known.id), |book| {
            let account = account_mut(book, &known.id)?;
            account.change = self.after_wrong(account.change, moment);
            if !moment.is_surely_past(account.change.locked_until_ms) {
                tracing::error!(account = %account.id, "changes of a password are refused after wrong tries");
            }
            Ok(())
        })?;
        Err(Error::Argument { what: "password in use", why: "it is another".into() })
    }

    /// Draws a first password for somebody, who must change it at the first log-on (7.6.14-PW-M6). It is shown once. Nobody
    /// becomes somebody else by it alone: a proved second factor stays, and who has none but is known to the machine chooses
    /// their own.
    pub fn give_first_password(&self, caller: &Caller, id: &AccountId) -> Result<Zeroizing<String>> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        let by = self.person(&mut state, caller, Wants::to("account password --first"), &moment)?;
        let known = account(&state.book, id)?;
        if !known.is_usable() {
            return Err(account_state(id, &format!("is {}", known.standing)));
        }
        if by == *id {
            return Err(account_state(id, "is your own: change the password with the one in use"));
        }
        let proved = known.second_factor.as_ref().is_some_and(SecondFactor::is_proved);
        if known.os_user.is_some() && !proved {
            let why = "is known to the machine and has no second factor: the person chooses the password";
            return Err(account_state(id, why));
        }
        let password = draw_first(&*self.random)?;
        let record = PasswordRecord::of(&password, self.cost(), &*self.random)?;
        let generations = self.config.password_history as usize;
        let event = AuditEvent::new(moment.ms(), by.as_str(), Action::AccountPassword).because("first one given");
        self.write(&mut state, &moment, Noted::new(event).about(id), |book| {
            let account = account_mut(book, id)?;
            account.secrets.set(record, true, &moment, generations);
            (account.log_on, account.change) = Default::default();
            Ok(())
        })?;
        drop(state);
        self.end_sessions_of(id, &moment)?;
        Ok(password)
    }

    /// Draws a second factor for the caller: the URI that an app scans, shown once. It counts when a code of it was proved.
    /// Where one counts already, a code of it is demanded.
    pub fn enrol_second_factor(&self, caller: &Caller, hash: TotpHash, code: &str) -> Result<Zeroizing<String>> {
        let (moment, known) = self.own(caller, "account totp")?;
        let mut state = self.state.lock();
        unchanged(&state, &known)?;
        let mut before = known.second_factor.clone();
        if let Some(factor) = before.as_mut().filter(|factor| factor.is_proved())
            && !(known.change.are_open(&moment) && factor.take(code, &moment))
        {
            drop(state);
            return self.wrong_code(&moment, &known).map(|()| Zeroizing::default());
        }
        let factor = SecondFactor::draw(hash, &*self.random)?;
        let uri = factor.uri(&self.vault, known.id.as_str());
        let event = AuditEvent::new(moment.ms(), known.id.as_str(), Action::AccountSecondFactor).because("made");
        self.write(&mut state, &moment, Noted::new(event).about(&known.id), |book| {
            account_mut(book, &known.id)?.second_factor = Some(factor);
            Ok(())
        })?;
        Ok(uri)
    }

    /// Proves a second factor by a code of it; from then on every log-on demands one.
    pub fn prove_second_factor(&self, caller: &Caller, code: &str) -> Result<()> {
        let code = parse_code(code)?;
        let (moment, known) = self.own(caller, "account totp")?;
        let Some(mut factor) = known.second_factor.clone() else {
            return Err(account_state(&known.id, "has no second factor yet; enrol one first"));
        };
        if !(known.change.are_open(&moment) && factor.take(&code, &moment)) {
            return self.wrong_code(&moment, &known);
        }
        let mut state = self.state.lock();
        unchanged(&state, &known)?;
        let event = AuditEvent::new(moment.ms(), known.id.as_str(), Action::AccountSecondFactor).because("proved");
        self.write(&mut state, &moment, Noted::new(event).about(&known.id), |book| {
            account_mut(book, &known.id)?.second_factor = Some(factor);
            Ok(())
        })
    }

    fn wrong_code(&self, moment: &Moment, known: &Account) -> Result<()> {
        let mut state = self.state.lock();
        let event = AuditEvent::new(moment.ms(), known.id.as_str(), Action::AccountSecondFactor);
        let event = event.ended(Outcome::Refused).because("the code was wrong, used before, or too soon");
        self.write(&mut state, moment, Noted::new(event).about(&known.id), |book| {
            let account = account_mut(book, &known.id)?;
            if account.change.are_open(moment) {
                account.change = self.after_wrong(account.change, moment);
            }
            Ok(())
        })?;
        Err(Error::Argument {
            what: "code",
            why: "it is wrong, was used before, or came too soon after a wrong one".into(),
        })
    }

    /// The caller's own account.
    fn own(&self, caller: &Caller, work: &'static str) -> Result<(Moment, Account)> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        let id = self.person(&mut state, caller, Wants::to(work), &moment)?;
        Ok((moment, account(&state.book, &id)?.clone()))
    }

    pub(super) fn end_sessions_of(&self, id: &AccountId, moment: &Moment) -> Result<()> {
        let ended: Vec<(_, Ended)> = self.sessions.end_all(id);
        self.note_ended(&ended, moment)
    }
}

/// Refuses to go on where somebody changed the account meanwhile.
fn unchanged(state: &State, known: &Account) -> Result<()> {
    let now = account(&state.book, &known.id)?;
    match (&now.secrets, &now.second_factor, now.standing) == (&known.secrets, &known.second_factor, known.standing) {
        true => Ok(()),
        false => Err(account_state(&known.id, "was changed meanwhile; try again")),
    }
}
