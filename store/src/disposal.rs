//! The only place that may end a record's life (DESIGN, invariant 7). This release has the guard, and no way to end one.
//!
//! Whoever will unlink, overwrite or hand over must hold a [`Permit`], and only [`judge`] makes one. It names every
//! obstacle, not only the first, so that a refusal says all that would have to change.
//!
//! Invariants
//! - A term whose start the hospital has not told never ends (1.1-R1), and an end is not reached before its moment.
//! - A hold stops everything, whatever has expired.
//! - No disposal on a clock's word: while the clock of the vault is doubted, because it went back or far ahead, nothing
//!   has expired.
//! - No order, no disposal: not even of a record whose retention is long over.
//!
//! Every day the vault tries to dispose of one record of each hospital, its *canary*, and puts the refusal on the record:
//! a guard that has come loose is seen within a day, on a record that is still there.

mod command;
mod due;

pub use command::DisposalCommand;
pub use due::{Due, DueEntry, DueQuery};

use crate::assets::{AssetQuery, AssetState, Slot, select};
use crate::audit::{Action, AuditEvent, AuditQuery, Detail, Outcome};
use crate::desk::Desk;
use crate::error::Result;
use crate::keeping;
use crate::vault::Inner;
use shosoin_protocol::retention::End;
use shosoin_tiers::life::DAY_MS;

/// Who tries on canaries, in the audit log.
const CANARY: &str = "job:canary";
/// Approvals by distinct people that an order needs.
pub const APPROVALS_MIN: usize = 2;

/// What the guard looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// when its retention ends: its term, what the hospital added, a lock of an S3 client
    pub end: End,
    /// the hospital, or a court through it, forbids any end
    pub on_hold: bool,
    /// what was said of keeping it is known, every act of it
    pub keeping_known: bool,
    /// the hospital signed an order for this very record
    pub ordered: bool,
    /// distinct people who approved it, the one who asked not among them
    pub approvals: usize,
}

/// What time it is, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// in milliseconds since 1970
    Trusted(u64),
    /// the clock went back, or far ahead
    Doubted,
}

/// Why a record's life may not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// nobody ordered it
    NoOrder,
    /// too few people approved it
    Approvals,
    /// it is on hold
    OnHold,
    /// an act about retention or holds cannot be read
    KeepingUnknown,
    /// its term has not begun
    StartUnknown,
    /// its term ends at this moment, in milliseconds since 1970
    NotExpired(u64),
    /// the clock cannot say whether its term has ended
    ClockDoubted,
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Obstacle::NoOrder => f.write_str("no order of the hospital"),
            Obstacle::Approvals => write!(f, "fewer than {APPROVALS_MIN} approvals"),
            Obstacle::OnHold => f.write_str("on hold"),
            Obstacle::KeepingUnknown => f.write_str("an act about retention or holds cannot be read"),
            Obstacle::StartUnknown => f.write_str("start of its term not known"),
            Obstacle::NotExpired(end_ms) => write!(f, "kept until {end_ms} ms"),
            Obstacle::ClockDoubted => f.write_str("clock doubted"),
        }
    }
}

/// The guard found nothing against it. Only [`judge`] makes one.
#[derive(Debug)]
pub struct Permit(());

/// The guard: a permit, or every obstacle.
pub fn judge(case: &Case, now: Now) -> Result<Permit, Vec<Obstacle>> {
    let mut obstacles = Vec::new();
    if !case.ordered {
        obstacles.push(Obstacle::NoOrder);
    }
    if case.approvals < APPROVALS_MIN {
        obstacles.push(Obstacle::Approvals);
    }
    if case.on_hold {
        obstacles.push(Obstacle::OnHold);
    }
    if !case.keeping_known {
        obstacles.push(Obstacle::KeepingUnknown);
    }
    match (case.end, now) {
        (_, Now::Doubted) => obstacles.push(Obstacle::ClockDoubted),
        (End::StartUnknown, _) => obstacles.push(Obstacle::StartUnknown),
        (End::At(end_ms), Now::Trusted(now_ms)) if now_ms < end_ms => obstacles.push(Obstacle::NotExpired(end_ms)),
        _ => {}
    }
    if obstacles.is_empty() { Ok(Permit(())) } else { Err(obstacles) }
}

impl Inner {
    /// What time it is, for whoever wants to end something.
    fn now_for_disposal(&self) -> Result<Now> {
        let now_ms = self.clock.now_ms();
        Ok(if self.media.clock_is_trusted(now_ms)? { Now::Trusted(now_ms) } else { Now::Doubted })
    }

    /// Tries the canaries if that was not done within a day.
    pub(crate) fn watch_canaries(&self) {
        let now_ms = self.clock.now_ms();
        let mut tried_ms = self.canaries_ms.lock();
        let last_ms = match *tried_ms {
            Some(last_ms) => last_ms,
            None => self.canaries_recorded_ms().unwrap_or(0),
        };
        *tried_ms = Some(last_ms);
        if last_ms <= now_ms && now_ms - last_ms < DAY_MS {
            return;
        }
        *tried_ms = Some(now_ms);
        if let Err(error) = self.desks().iter().try_for_each(|desk| self.try_canary(desk).map(drop)) {
            tracing::error!(error = &error as &dyn std::error::Error, "the canaries could not be tried");
        }
    }

    /// When canaries were tried last, as the audit log has it.
    pub(crate) fn canaries_recorded_ms(&self) -> Option<u64> {
        let actor = Some(CANARY.to_owned());
        let query =
            AuditQuery { actions: vec![Action::DisposalRefused], actor, newest: Some(1), ..AuditQuery::default() };
        self.media.audit().read(&query).ok()?.pop().map(|last| last.event.at_ms)
    }

    /// Tries to dispose of one record of a hospital. Nobody ordered that, so the guard must refuse, and the record must
    /// still be there. Says whether both are so; `None` where there is no record yet.
    pub(crate) fn try_canary(&self, desk: &Desk) -> Result<Option<bool>> {
        let Some(slot) = self.canary(desk)? else { return Ok(None) };
        let hospital = desk.info().hospital;
        let case = Case {
            end: slot.end(),
            on_hold: slot.on_hold || !keeping::of_everything(self.index.as_ref(), hospital)?.is_empty(),
            keeping_known: keeping::is_known(self.index.as_ref(), hospital)?,
            ordered: false,
            approvals: 0,
        };
        let verdict = judge(&case, self.now_for_disposal()?);
        let entry = desk.ledger().entry(slot.number);
        let mut event = AuditEvent::of_job(self.clock.now_ms(), "canary", Action::DisposalRefused);
        (event.hospital, event.units) = (Some(desk.info().hospital), slot.number);
        let event = match (verdict, entry) {
            (Err(obstacles), Ok(_)) => {
                let named = obstacles.iter().map(Obstacle::to_string).collect::<Vec<_>>().join(", ");
                event.ended(Outcome::Refused).because(format!("canary {}: {named}", slot.number))
            }
            (Ok(Permit(())), _) => {
                tracing::error!(number = slot.number, "the guard of disposal let a canary through");
                let found = Detail::Found { findings: 1, lost: 0 };
                event.ended(Outcome::Findings).because(format!("canary {}: not refused", slot.number)).with(found)
            }
            (Err(_), Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a canary cannot be read");
                let found = Detail::Found { findings: 1, lost: 1 };
                event.ended(Outcome::Findings).because(format!("canary {}: gone", slot.number)).with(found)
            }
        };
        let sound = event.outcome == Outcome::Refused;
        self.media.record(event).map(|_| Some(sound))
    }

    /// The record that is tried: the first deposit of the hospital that is held.
    fn canary(&self, desk: &Desk) -> Result<Option<Slot>> {
        let query = AssetQuery { limit: Some(1), states: vec![AssetState::Held], ..AssetQuery::default() };
        let selected = select(self.index.as_ref(), desk.info().hospital, desk.head()?.size, &query)?;
        Ok(selected.slots.first().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END_MS: u64 = 10 * DAY_MS;

    /// A case against which nothing can be said after [`END_MS`].
    fn clear() -> Case {
        let end = End::At(END_MS);
        Case { end, on_hold: false, keeping_known: true, ordered: true, approvals: APPROVALS_MIN }
    }

    fn obstacles(case: Case, now: Now) -> Vec<Obstacle> {
        judge(&case, now).err().unwrap_or_default()
    }

    #[test]
    fn a_record_whose_term_is_over_that_was_ordered_and_approved_twice_may_end() {
        assert_eq!(obstacles(clear(), Now::Trusted(END_MS)), []);
        let without_term = Case { end: End::Never, ..clear() };
        assert_eq!(obstacles(without_term, Now::Trusted(0)), []);
    }

    #[test]
    fn each_thing_that_is_missing_is_an_obstacle_by_itself_and_all_are_named() {
        let now = Now::Trusted(END_MS);
        assert_eq!(obstacles(Case { ordered: false, ..clear() }, now), [Obstacle::NoOrder]);
        assert_eq!(obstacles(Case { approvals: 1, ..clear() }, now), [Obstacle::Approvals]);
        assert_eq!(obstacles(Case { on_hold: true, ..clear() }, now), [Obstacle::OnHold]);
        assert_eq!(obstacles(clear(), Now::Trusted(END_MS - 1)), [Obstacle::NotExpired(END_MS)]);
        assert_eq!(obstacles(Case { keeping_known: false, ..clear() }, now), [Obstacle::KeepingUnknown]);
        let nothing = Case { ordered: false, approvals: 0, on_hold: true, ..clear() };
        assert_eq!(obstacles(nothing, Now::Trusted(0)).len(), 4);
    }

    #[test]
    fn a_term_whose_start_is_not_known_never_ends_1_1_r1() {
        let unknown = Case { end: End::StartUnknown, ..clear() };
        assert_eq!(obstacles(unknown, Now::Trusted(u64::MAX)), [Obstacle::StartUnknown]);
    }

    #[test]
    fn while_the_clock_is_doubted_nothing_has_expired() {
        for end in [clear().end, End::Never] {
            assert_eq!(obstacles(Case { end, ..clear() }, Now::Doubted), [Obstacle::ClockDoubted]);
        }
    }
}
