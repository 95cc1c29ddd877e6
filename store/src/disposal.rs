//! The only place that ends a record's life (DESIGN, invariant 7): the guard, and everything that acts on its word.
//!
//! Whoever ends one must hold a [`Permit`], and only [`judge`] and [`judge_order`] make one. They name every obstacle, not only the
//! first, so that a refusal says all that would have to change.
//!
//! In reading order: `due` is what could be ordered; `standing` what orders, cancellations and ends do to the index, and when they are
//! refused; `approvals` what people hand in; `survey` what an order would end, read from media; `run` the end itself; `ended` its proof
//! from media ever after; `erase` what is done to the copies; `certify` and `html` what is said of it; `status` what operators see.
//!
//! Invariants
//! - A term whose start the hospital has not told never ends (1.1-R1), and an end is not reached before its moment.
//! - Where everything was handed over, the hospital has confirmed that and the log has ended here, terms go on at the next vault and not
//!   here (docs/decisions/0040). Holds stop the end here all the same.
//! - A hold stops everything, whatever has expired.
//! - No disposal on a clock's word: while the clock of the vault is doubted, because it went back or far ahead, nothing
//!   has expired.
//! - No order, no disposal: not even of a record whose retention is long over. The order is the hospital's, signed by the person who
//!   asks and by a device; two other people approved it; it has not expired, and its cool-down is over.
//!
//! Every day the vault tries to dispose of one record of each hospital, its *canary*, and puts the refusal on the record:
//! a guard that has come loose is seen within a day, on a record that is still there.

mod approvals;
mod certify;
mod command;
mod config;
mod due;
pub mod ended;
pub(crate) mod erase;
mod html;
pub(crate) mod run;
pub mod standing;
mod status;
mod survey;

pub use approvals::ApprovalView;
pub use certify::Issued;
pub use command::DisposalCommand;
pub use config::{COOL_DOWN_DAYS_MIN, DisposalConfig};
pub use due::{Due, DueEntry, DueQuery};
pub use run::RunReport;
pub use status::{OrderView, ToApprove};

use crate::assets::{AssetQuery, AssetState, Slot, select};
use crate::audit::{Action, AuditEvent, AuditQuery, Detail, Outcome};
use crate::desk::Desk;
use crate::error::Result;
use crate::keeping;
use crate::rows::OrderStanding;
use crate::status::CanaryStatus;
use crate::vault::Inner;
use shosoin_protocol::act::Order;
use shosoin_protocol::retention::End;
use shosoin_tiers::life::DAY_MS;

/// Who tries on canaries, in the audit log.
const CANARY: &str = "job:canary";
/// Folder of approvals and certificates in the vault's folder.
const DIR: &str = "disposals";

pub use shosoin_protocol::certificate::APPROVALS_MIN;

/// What the guard looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// when its retention ends: its term, what the hospital added, a lock of an S3 client; never where another vault keeps it on
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
    /// the hospital took the order back
    Cancelled,
    /// its end has begun already
    EndedAlready,
    /// the order was not to be carried out from this moment on, in milliseconds since 1970
    Expired(u64),
    /// its cool-down ends at this moment
    CoolDown(u64),
    /// the entry is another one than was ordered
    OtherEntry,
    /// the order ends a change of a name of which a record lives
    NameLives,
    /// something was deposited after everything was ordered
    NewerDeposits,
    /// it was agreed to overwrite more often than the vault is configured to
    TooFewPasses {
        /// with the hospital
        agreed: u8,
        /// of `vault.toml`
        configured: u8,
    },
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
            Obstacle::Cancelled => f.write_str("order cancelled"),
            Obstacle::EndedAlready => f.write_str("its end has begun already"),
            Obstacle::Expired(at_ms) => write!(f, "order expired at {at_ms} ms"),
            Obstacle::CoolDown(end_ms) => write!(f, "cool-down until {end_ms} ms"),
            Obstacle::OtherEntry => f.write_str("another entry than was ordered"),
            Obstacle::NameLives => f.write_str("a record of that name lives"),
            Obstacle::NewerDeposits => f.write_str("deposits came after the order of everything"),
            Obstacle::TooFewPasses { agreed, configured } => {
                write!(f, "{agreed} passes of overwriting were agreed on, and disposal.passes is {configured}")
            }
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
        (end @ End::At(end_ms), Now::Trusted(now_ms)) if !end.has_come(now_ms) => {
            obstacles.push(Obstacle::NotExpired(end_ms))
        }
        _ => {}
    }
    if obstacles.is_empty() { Ok(Permit(())) } else { Err(obstacles) }
}

/// One thing against the end of records, and of which deposit; of none: of the order as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// reference number
    pub number: Option<u64>,
    /// what
    pub obstacle: Obstacle,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.number {
            Some(number) => write!(f, "{number}: {}", self.obstacle),
            None => self.obstacle.fmt(f),
        }
    }
}

/// What the guard looks at of an order, beside the records it names.
#[derive(Debug, Clone)]
pub struct OrderCase {
    /// how far it has come
    pub standing: OrderStanding,
    /// not to be carried out from this moment on, in milliseconds since 1970
    pub expires_ms: u64,
    /// when its cool-down ends; none before the second approval
    pub cool_down_ends_ms: Option<u64>,
    /// everything was ordered, and something was deposited since
    pub newer_deposits: bool,
    /// entries that are others than were ordered, and names that live
    pub identity: Vec<Refused>,
}

/// The guard of a whole order: a permit, or every obstacle of the order and of each deposit it names. One record that may not go
/// stands against all of it.
pub fn judge_order(order: &OrderCase, records: &[(u64, Case)], now: Now) -> Result<Permit, Vec<Refused>> {
    let mut refused = order.identity.clone();
    let mut whole = |obstacle| refused.push(Refused { number: None, obstacle });
    match order.standing {
        OrderStanding::Ordered => {}
        OrderStanding::Cancelled => whole(Obstacle::Cancelled),
        OrderStanding::Begun | OrderStanding::Certified | OrderStanding::Closed => whole(Obstacle::EndedAlready),
    }
    match (now, order.cool_down_ends_ms) {
        (Now::Doubted, _) => whole(Obstacle::ClockDoubted),
        (Now::Trusted(now_ms), _) if now_ms >= order.expires_ms => whole(Obstacle::Expired(order.expires_ms)),
        (Now::Trusted(now_ms), Some(end_ms)) if now_ms < end_ms => whole(Obstacle::CoolDown(end_ms)),
        (Now::Trusted(_), None) => whole(Obstacle::Approvals),
        _ => {}
    }
    if order.newer_deposits {
        whole(Obstacle::NewerDeposits);
    }
    for (number, case) in records {
        let Err(obstacles) = judge(case, now) else { continue };
        // what is of the order as a whole is said once
        let own = |obstacle: &Obstacle| !matches!(obstacle, Obstacle::ClockDoubted | Obstacle::Approvals);
        let approvals = obstacles.contains(&Obstacle::Approvals);
        refused.extend(obstacles.into_iter().filter(own).map(|obstacle| Refused { number: Some(*number), obstacle }));
        let known = |refused: &Refused| refused.obstacle == Obstacle::Approvals;
        if approvals && !refused.iter().any(known) {
            refused.push(Refused { number: None, obstacle: Obstacle::Approvals });
        }
    }
    if refused.is_empty() { Ok(Permit(())) } else { Err(refused) }
}

impl Inner {
    /// Days that pass between the second approval of an order and its end: those of the order, of the vault, and the most that was
    /// ever in force in an agreement with the hospital, whichever are more. Never fewer than before.
    fn cool_down_days(&self, desk: &Desk, order: &Order) -> Result<u64> {
        let now_ms = self.clock.now_ms();
        let agreed = desk.agreements().all()?;
        let in_force = agreed.iter().filter(|agreed| agreed.from_ms() <= now_ms);
        let agreed = in_force.map(|agreed| u64::from(agreed.terms.cool_down_days)).max().unwrap_or(0);
        Ok(agreed.max(order.cool_down_days.into()).max(self.config.disposal.cool_down_days.into()))
    }

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
        let (sound, number, tried_ms) = (event.outcome == Outcome::Refused, slot.number, event.at_ms);
        self.canaries.lock().insert(hospital, CanaryStatus { number, tried_ms, sound });
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
