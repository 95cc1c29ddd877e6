//! Probes for the statement of applicability: what must be refused is tried now, on nobody, and changes nothing.

use super::account::{OsUser, Tries};
use super::caller::{Caller, Who};
use super::log_on::Attempt;
use super::password::{Cost, PasswordRecord, check_quality, draw_first};
use super::permission::TABLE;
use super::request::{ApprovalRequest, NotApproved, RequestKind};
use super::session::{Before, SessionLimits, Sessions};
use super::{AccountId, Accounts, Moment};
use crate::error::Error;
use shosoin_tiers::SystemRandom;

/// A cost that is little, for what is thrown away.
const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };
/// An id that is well formed and nobody's.
const NOBODY: &str = "nobody.at.all";

/// Tries passwords that must be refused, and one that must be taken.
pub fn probe_passwords() -> bool {
    let Ok(id) = NOBODY.parse::<AccountId>() else { return false };
    let weak = ["", "short1!", "letters-only", "1234567890", "nobody-1234!"];
    let refused = weak.iter().all(|password| check_quality(password, &id, "").is_err());
    let drawn = || {
        let password = draw_first(&SystemRandom)?;
        let record = PasswordRecord::of(&password, CHEAP, &SystemRandom)?;
        let fits = check_quality(&password, &id, "").is_ok();
        Ok::<bool, Error>(fits && record.is(&password)? && !record.is("another-1!")?)
    };
    refused && drawn().unwrap_or(false)
}

impl Accounts {
    /// A user of no account tries every command and page: how many, and how many were refused.
    pub fn refuses_strangers(&self) -> (usize, usize) {
        let Ok(moment) = self.now() else { return (TABLE.len(), 0) };
        let stranger = Caller(Who::Users(vec![OsUser { uid: u32::MAX, name: "unknown".to_owned() }]));
        let state = self.state.lock();
        let refused = TABLE.iter().filter(|(work, _)| self.judge(&state, &stranger, work, &moment).is_err());
        (TABLE.len(), refused.count())
    }

    /// Who asks tries to agree, for each kind: how many, and how many were refused.
    pub fn refuses_own_requests(&self) -> (usize, usize) {
        let (Ok(id), Ok(moment)) = (NOBODY.parse::<AccountId>(), self.now()) else { return (1, 0) };
        let refused = RequestKind::ALL.iter().filter(|kind| {
            let request = ApprovalRequest::new(1, **kind, String::new(), id.clone(), &moment);
            request.can_be_approved_by(&id, &moment) == Err(NotApproved::OwnRequest)
        });
        (RequestKind::ALL.len(), refused.count())
    }

    /// Counts wrong tries of nobody until they lock, and until the lock ends.
    pub fn probe_lock(&self) -> bool {
        let Ok(now) = self.now() else { return false };
        let (mut tries, config) = (Tries::default(), &self.config);
        for _ in 0..config.wrong_tries {
            if !now.is_surely_past(tries.locked_until_ms) {
                return false; // too early
            }
            tries = self.after_wrong(tries, &now);
            if tries.are_open(&now) {
                return false; // no delay
            }
        }
        let ends = now.ms() + u64::from(config.lock_minutes) * 60_000;
        !tries.are_open(&Moment::at(ends - 1)) && tries.are_open(&Moment::at(ends))
    }

    /// Tries an id that nobody has.
    pub fn probe_words(&self) -> bool {
        let attempt = Attempt { id: NOBODY, password: "", code: "", from: "applicability" };
        matches!(self.log_on(&attempt), Err(Error::LogOn))
    }

    /// Opens sessions of nobody, apart from everybody's, until no more are taken, and lets one grow old.
    pub fn probe_sessions(&self) -> bool {
        let (Ok(now), config) = (self.now(), &self.config) else { return false };
        let (idle_ms, life_ms) = (u64::from(config.idle_minutes) * 60_000, u64::from(config.session_hours) * 3_600_000);
        let sessions = Sessions::new(SessionLimits { idle_ms, life_ms, count: 1 });
        let open = |id: &str| {
            let id = id.parse::<AccountId>().ok()?;
            sessions.open(&id, ("applicability", Before::default()), &now, &*self.random).ok()
        };
        let (Some(one), None) = (open("nobody.one"), open("nobody.two")) else { return false };
        let unused = Moment::at(now.ms() + idle_ms);
        sessions.touch(&one.token, &now).is_ok() && sessions.touch(&one.token, &unused).is_err()
    }
}
