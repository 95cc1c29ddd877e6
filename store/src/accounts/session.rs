//! Sessions of the console: in memory, so that a restart ends them all.
//!
//! Invariants
//! - A session ends after a while without use, after a longest time, and when its person is stopped (7.6.14-LOGON-M1). None is
//!   brought back by a clock that goes back.
//! - So many at once and no more; a person has one, and a new log-on ends the one before (7.6.6-M10).
//! - Only a digest of the token is kept: who reads the memory of sessions takes over none.

use super::id::AccountId;
use super::moment::Moment;
use crate::error::{Error, Result};
use parking_lot::Mutex;
use shosoin_protocol::Digest;
use shosoin_protocol::suite::sha256;
use shosoin_tiers::Random;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const TOKEN_LEN: usize = 32;
const GONE: Error = Error::LoggedOff { why: "the session ended; log on again" };

/// When sessions end, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// milliseconds without use
    pub idle_ms: u64,
    /// milliseconds in all
    pub life_ms: u64,
    /// people at once
    pub count: usize,
}

/// A session. Times in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// whose
    pub account: AccountId,
    /// from where, as the console says it
    pub from: String,
    /// since when
    pub opened_ms: u64,
    /// used last
    pub used_ms: u64,
    /// what every form of the session sends back, so that no other site speaks for it
    pub form_token: String,
    /// how the account was used before
    pub before: Before,
}

/// How an account was used before a log-on. Times in milliseconds since 1970, 0 for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Before {
    /// the log-on before
    pub success_ms: u64,
    /// the last try that failed
    pub failure_ms: u64,
    /// tries that failed since the log-on before: if any, perhaps somebody else tried (7.6.14-LOGON-S1)
    pub failures: u32,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// its person ended it
    LoggedOff,
    /// nobody used it
    Idle,
    /// it lasted as long as one may
    TooOld,
    /// the same person logged on again
    Replaced,
    /// the person was stopped, or their password or second factor given anew
    Stopped,
}

impl Ended {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Ended::LoggedOff => "logged off",
            Ended::Idle => "not used",
            Ended::TooOld => "as long as one may last",
            Ended::Replaced => "logged on again",
            Ended::Stopped => "stopped",
        }
    }
}

/// What opening a session gave.
#[derive(Debug)]
pub struct Opened {
    /// what the browser keeps; nobody else sees it
    pub token: Zeroizing<String>,
    /// sessions that ended for it
    pub ended: Vec<(Session, Ended)>,
}

/// The sessions.
#[derive(Debug)]
pub struct Sessions {
    limits: SessionLimits,
    open: Mutex<BTreeMap<Digest, Session>>,
}

impl Sessions {
    /// None yet.
    pub fn new(limits: SessionLimits) -> Self {
        Sessions { limits, open: Mutex::default() }
    }

    /// Opens one for a person whose log-on was checked. Refused while as many others are there as may be.
    pub fn open(
        &self,
        account: &AccountId,
        (from, before): (&str, Before),
        moment: &Moment,
        random: &dyn Random,
    ) -> Result<Opened> {
        let mut ended = self.sweep(moment);
        let mut open = self.open.lock();
        let others = open.values().filter(|session| session.account != *account).count();
        if others >= self.limits.count {
            return Err(Error::LoggedOff { why: "as many people are logged on as may be at once; try again later" });
        }
        let (token, form_token) = (draw(random)?, draw(random)?);
        ended.extend(take(&mut open, |session| session.account == *account, Ended::Replaced));
        let (opened_ms, used_ms) = (moment.ms(), moment.ms());
        let (account, form_token) = (account.clone(), form_token.to_string());
        let session = Session { account, from: from.to_owned(), opened_ms, used_ms, form_token, before };
        open.insert(key(&token), session);
        Ok(Opened { token, ended })
    }

    /// The session of a token, used now.
    pub fn touch(&self, token: &str, moment: &Moment) -> Result<Session> {
        let mut open = self.open.lock();
        let session = open.get_mut(&key(token)).filter(|session| self.limits.ended(session, moment).is_none());
        let session = session.ok_or(GONE)?;
        session.used_ms = session.used_ms.max(moment.ms());
        Ok(session.clone())
    }

    /// The session of a token, which this does not count as a use.
    pub fn peek(&self, token: &str, moment: &Moment) -> Result<Session> {
        let open = self.open.lock();
        let session = open.get(&key(token)).filter(|session| self.limits.ended(session, moment).is_none());
        session.cloned().ok_or(GONE)
    }

    /// Ends the session of a token.
    pub fn end(&self, token: &str) -> Option<Session> {
        self.open.lock().remove(&key(token))
    }

    /// Ends those of a person.
    pub fn end_all(&self, account: &AccountId) -> Vec<(Session, Ended)> {
        take(&mut self.open.lock(), |session| session.account == *account, Ended::Stopped)
    }

    /// Ends those whose time is over.
    pub fn sweep(&self, moment: &Moment) -> Vec<(Session, Ended)> {
        let mut open = self.open.lock();
        let idle = take(&mut open, |session| self.limits.ended(session, moment) == Some(Ended::Idle), Ended::Idle);
        let old = take(&mut open, |session| self.limits.ended(session, moment).is_some(), Ended::TooOld);
        [idle, old].concat()
    }

    /// Those that are open.
    pub fn list(&self) -> Vec<Session> {
        self.open.lock().values().cloned().collect()
    }
}

impl SessionLimits {
    fn ended(&self, session: &Session, moment: &Moment) -> Option<Ended> {
        if moment.may_be_past(session.used_ms.saturating_add(self.idle_ms)) {
            return Some(Ended::Idle);
        }
        moment.may_be_past(session.opened_ms.saturating_add(self.life_ms)).then_some(Ended::TooOld)
    }
}

fn take(open: &mut BTreeMap<Digest, Session>, which: impl Fn(&Session) -> bool, why: Ended) -> Vec<(Session, Ended)> {
    let keys: Vec<Digest> = open.iter().filter(|(_, session)| which(session)).map(|(key, _)| *key).collect();
    keys.iter().filter_map(|key| open.remove(key)).map(|session| (session, why)).collect()
}

fn draw(random: &dyn Random) -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; TOKEN_LEN]);
    random.fill(&mut bytes[..])?;
    Ok(Zeroizing::new(hex::encode(&bytes[..])))
}

fn key(token: &str) -> Digest {
    sha256(&[b"shosoin session v1\0", token.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_tiers::SystemRandom;

    const NOW: u64 = 1_900_000_000_000;
    const MINUTE: u64 = 60_000;

    fn sessions() -> Sessions {
        Sessions::new(SessionLimits { idle_ms: 15 * MINUTE, life_ms: 60 * MINUTE, count: 2 })
    }

    fn open(sessions: &Sessions, id: &str, at_ms: u64) -> Result<Opened> {
        sessions.open(&id.parse().unwrap(), ("127.0.0.1", Before::default()), &Moment::at(at_ms), &SystemRandom)
    }

    #[test]
    fn a_session_ends_without_use_and_after_its_longest_time_7_6_14_logon_m1() {
        let sessions = sessions();
        let token = open(&sessions, "hanako", NOW).unwrap().token;
        let touch = |minute: u64| sessions.touch(&token, &Moment::at(NOW + minute * MINUTE)).is_ok();
        assert!((1..6).all(|quarter| touch(quarter * 14 - 13)));
        assert!(!touch(60), "an hour is over, although it was used");
        let token = open(&sessions, "hanako", NOW).unwrap().token;
        assert!(sessions.touch(&token, &Moment::at(NOW + 15 * MINUTE)).is_err());
        assert_eq!(sessions.sweep(&Moment::at(NOW + 15 * MINUTE))[0].1, Ended::Idle);
    }

    #[test]
    fn a_look_that_nobody_asked_for_keeps_no_session_alive_7_6_14_logon_m1() {
        let sessions = sessions();
        let token = open(&sessions, "hanako", NOW).unwrap().token;
        let at = |minute: u64| Moment::at(NOW + minute * MINUTE);
        assert!((1..15).all(|minute| sessions.peek(&token, &at(minute)).is_ok()));
        assert!(sessions.peek(&token, &at(15)).is_err() && sessions.touch(&token, &at(15)).is_err());
    }

    #[test]
    fn a_clock_that_goes_back_brings_no_session_back() {
        let sessions = sessions();
        let token = open(&sessions, "hanako", NOW).unwrap().token;
        let later = NOW + 16 * MINUTE;
        let gone_back = Moment::of(NOW + MINUTE, Some(later));
        assert!(sessions.touch(&token, &gone_back).is_err());
    }

    #[test]
    fn so_many_people_at_once_and_one_session_each_7_6_6_m10() {
        let sessions = sessions();
        let first = open(&sessions, "hanako", NOW).unwrap();
        open(&sessions, "taro", NOW).unwrap();
        assert!(open(&sessions, "jiro", NOW).is_err());
        let again = open(&sessions, "hanako", NOW).unwrap();
        assert_eq!(again.ended[0].1, Ended::Replaced);
        assert!(sessions.touch(&first.token, &Moment::at(NOW)).is_err());
        assert!(sessions.touch(&again.token, &Moment::at(NOW)).is_ok());
        assert_eq!(sessions.end_all(&"hanako".parse().unwrap()).len(), 1);
        assert!(sessions.touch(&again.token, &Moment::at(NOW)).is_err());
        assert!(sessions.touch("", &Moment::at(NOW)).is_err());
        open(&sessions, "jiro", NOW).unwrap();
    }
}
