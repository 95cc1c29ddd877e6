//! What keeps a version: its term, what the hospital added to it, a lock, and holds. Values and rules alone, once for the
//! vault that enforces them, the hospital's client that checks the vault, and whoever reads a ledger later.
//!
//! Invariants
//! - Nothing shortens, but for the end of a governance lock that says so ([`RetentionChange::Bypass`]).
//! - A term whose start is not known has no end (guideline 1.1-R1).
//! - No rule here looks at a clock: what was admitted once is admitted by everyone who reads the ledger.

use crate::act::{Document, Lock, LockMode, RetentionChange, Versions};
use crate::codec::{Reader, Writer};
use crate::limits::HOLDS_MAX;
use crate::policy::Retention;
use crate::{Error, Result, VersionId};

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// When a version may go, as far as time has to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// nothing keeps it
    Never,
    /// from this moment on, in milliseconds since 1970
    At(u64),
    /// its term has not begun, so nobody can say
    StartUnknown,
}

impl End {
    /// Whether time stands in the way no longer.
    pub fn has_come(self, now_ms: u64) -> bool {
        match self {
            End::Never => true,
            End::At(end_ms) => end_ms <= now_ms,
            End::StartUnknown => false,
        }
    }
}

/// What acts have added to what a deposit said of one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// the term as it is now; none: as it was deposited
    pub term: Option<Retention>,
    /// kept at least until this moment, in milliseconds since 1970; 0: nothing of the kind was said
    pub until_ms: u64,
    /// locked by an S3 client
    pub lock: Option<Lock>,
    /// the holds on it, by the ids of their acts, in the order in which they were set
    pub holds: Vec<VersionId>,
}

impl Kept {
    /// The term, given what the deposit said.
    pub fn retention(&self, deposited: Retention) -> Retention {
        self.term.unwrap_or(deposited)
    }

    /// When it may go, given what the deposit said. Holds are another matter.
    pub fn end(&self, deposited: Retention) -> End {
        let lock_ms = self.lock.map_or(0, |lock| lock.until_ms);
        let least_ms = self.until_ms.max(lock_ms);
        match self.retention(deposited) {
            Retention::Term { start_ms: None, .. } => End::StartUnknown,
            Retention::Term { term_days, start_ms: Some(start_ms) } => {
                End::At(term_end(start_ms, term_days).max(least_ms))
            }
            Retention::None if least_ms > 0 => End::At(least_ms),
            Retention::None => End::Never,
        }
    }

    /// What is left when `change` is made; refused where it would shorten. `deposited` is what the deposit said, where the
    /// deposit is in the ledger: a lock may be stated before the version that it keeps.
    pub fn changed(&self, deposited: Option<Retention>, change: &RetentionChange) -> Result<Kept> {
        let refuse = |why| Err(Error::Invalid { what: "change of retention", why });
        let term = || match deposited {
            Some(deposited) => Ok(self.retention(deposited)),
            None => {
                Err(Error::Invalid { what: "change of retention", why: "the ledger has no deposit of that version" })
            }
        };
        match *change {
            RetentionChange::Start { start_ms } => match term()? {
                Retention::None => refuse("it has no term that could start; extend it first"),
                Retention::Term { start_ms: Some(known), .. } if start_ms < known => {
                    refuse("its term started later, and an earlier start would shorten it")
                }
                Retention::Term { term_days, .. } => {
                    Ok(Kept { term: Some(Retention::Term { term_days, start_ms: Some(start_ms) }), ..self.clone() })
                }
            },
            RetentionChange::Term { term_days } => match term()? {
                Retention::Term { term_days: now, .. } if term_days < now => refuse("its term is longer already"),
                Retention::Term { start_ms, .. } => {
                    Ok(Kept { term: Some(Retention::Term { term_days, start_ms }), ..self.clone() })
                }
                Retention::None => {
                    Ok(Kept { term: Some(Retention::Term { term_days, start_ms: None }), ..self.clone() })
                }
            },
            RetentionChange::Until { until_ms } if until_ms < self.until_ms => refuse("it is kept longer already"),
            RetentionChange::Until { until_ms } => term().map(|_| Kept { until_ms, ..self.clone() }),
            RetentionChange::Lock(lock) => match self.lock {
                Some(now) if lock.until_ms < now.until_ms => refuse("it is locked longer already"),
                Some(now) if lock.mode < now.mode => refuse("a compliance lock stays one"),
                _ => Ok(Kept { lock: Some(lock), ..self.clone() }),
            },
            RetentionChange::Bypass(lock) => match self.lock {
                Some(Lock { mode: LockMode::Compliance, .. }) => refuse("nobody shortens or ends a compliance lock"),
                _ => Ok(Kept { lock, ..self.clone() }),
            },
        }
    }

    /// One hold more.
    pub fn held(&self, hold: VersionId) -> Result<Kept> {
        if self.holds.len() >= HOLDS_MAX {
            let (found, limit) = (self.holds.len() as u64 + 1, HOLDS_MAX as u64);
            return Err(Error::OverLimit { what: "holds on one version", found, limit });
        }
        let mut holds = self.holds.clone();
        holds.push(hold);
        Ok(Kept { holds, ..self.clone() })
    }

    /// One hold fewer; refused where it is not there.
    pub fn released(&self, hold: VersionId) -> Result<Kept> {
        let holds: Vec<VersionId> = self.holds.iter().copied().filter(|id| *id != hold).collect();
        match holds.len() < self.holds.len() {
            true => Ok(Kept { holds, ..self.clone() }),
            false => Err(Error::Invalid { what: "release", why: "that hold has ended already" }),
        }
    }

    /// Writes it, for rows of caches.
    pub fn write(&self, out: &mut Writer) {
        match self.term {
            None => out.u8(0).u32(0).u64(0),
            Some(Retention::None) => out.u8(1).u32(0).u64(0),
            Some(Retention::Term { term_days, start_ms: None }) => out.u8(2).u32(term_days).u64(0),
            Some(Retention::Term { term_days, start_ms: Some(start_ms) }) => out.u8(3).u32(term_days).u64(start_ms),
        };
        let (mode, until_ms) = self.lock.map_or((0, 0), |lock| (lock.mode.code(), lock.until_ms));
        out.u64(self.until_ms).u8(mode).u64(until_ms).count(self.holds.len());
        self.holds.iter().for_each(|hold| hold.write(out));
    }

    /// Reads what [`write`](Self::write) wrote.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (kind, term_days, start_ms) = (reader.u8("term kind")?, reader.u32("term")?, reader.u64("start")?);
        let term = match kind {
            0 => None,
            1 => Some(Retention::None),
            2 => Some(Retention::Term { term_days, start_ms: None }),
            3 => Some(Retention::Term { term_days, start_ms: Some(start_ms) }),
            _ => return Err(Error::Invalid { what: "term kind", why: "no such kind" }),
        };
        let until_ms = reader.u64("kept until")?;
        let lock = match (reader.u8("mode of the lock")?, reader.u64("locked until")?) {
            (0, _) => None,
            (mode, until_ms) => Some(Lock { mode: LockMode::from_code(mode)?, until_ms }),
        };
        let count = reader.count(HOLDS_MAX, "holds")?;
        let holds = (0..count).map(|_| VersionId::read(reader)).collect::<Result<_>>()?;
        Ok(Kept { term, until_ms, lock, holds })
    }
}

/// When a term that started then has so many days behind it, in milliseconds since 1970.
pub fn term_end(start_ms: u64, term_days: u32) -> u64 {
    start_ms.saturating_add(u64::from(term_days).saturating_mul(DAY_MS))
}

/// What an act about retention or a hold is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// everything the hospital has and will have
    Everything,
    /// these versions
    These(Vec<VersionId>),
}

impl About {
    /// What an act says it is about; nothing for an act that changes nothing here. A subject beside a list is refused, and so
    /// is a change of retention of everything.
    pub fn of(subject: Option<VersionId>, document: &Document) -> Result<Option<About>> {
        let about = |versions: &Versions, everything: bool| {
            let refuse = |why| Err(Error::Invalid { what: "act", why });
            match (subject, versions.is_empty()) {
                (Some(_), false) => refuse("it has a subject and a list of versions"),
                (Some(subject), true) => Ok(Some(About::These(vec![subject]))),
                (None, false) => Ok(Some(About::These(versions.as_slice().to_vec()))),
                (None, true) if everything => Ok(Some(About::Everything)),
                (None, true) => refuse("it is about no version"),
            }
        };
        match document {
            Document::Hold(hold) => about(&hold.versions, true),
            Document::Retention(retain) => about(&retain.versions, false),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::{ActKind, Hold, HoldReason, Retain};
    use proptest::prelude::*;

    const TERM: Retention = Retention::Term { term_days: 10, start_ms: None };

    fn lock(mode: LockMode, until_ms: u64) -> Lock {
        Lock { mode, until_ms }
    }

    fn kept(changes: &[RetentionChange]) -> Result<Kept> {
        changes.iter().try_fold(Kept::default(), |kept, change| kept.changed(Some(TERM), change))
    }

    #[test]
    fn a_term_begins_when_the_hospital_says_so_and_never_earlier_again_1_1_r1() {
        assert_eq!(Kept::default().end(TERM), End::StartUnknown);
        let start = |start_ms| RetentionChange::Start { start_ms };
        assert_eq!(kept(&[start(5)]).unwrap().end(TERM), End::At(10 * DAY_MS + 5));
        assert_eq!(kept(&[start(5), start(7)]).unwrap().end(TERM), End::At(10 * DAY_MS + 7));
        assert!(kept(&[start(7), start(5)]).is_err());
        assert!(Kept::default().changed(Some(Retention::None), &start(5)).is_err(), "no term, no start");
        assert!(Kept::default().changed(None, &start(5)).is_err(), "no deposit, no term");
    }

    #[test]
    fn a_term_grows_and_never_shrinks_and_one_can_be_given_to_a_record_without_6_3_r6() {
        let term = |term_days| RetentionChange::Term { term_days };
        assert!(kept(&[term(9)]).is_err());
        let longer = kept(&[RetentionChange::Start { start_ms: 0 }, term(20)]).unwrap();
        assert_eq!(longer.end(TERM), End::At(20 * DAY_MS));
        let given = Kept::default().changed(Some(Retention::None), &term(3)).unwrap();
        assert_eq!(given.end(Retention::None), End::StartUnknown);
        let until = |until_ms| RetentionChange::Until { until_ms };
        assert_eq!(
            kept(&[RetentionChange::Start { start_ms: 0 }, until(30 * DAY_MS)]).unwrap().end(TERM),
            End::At(30 * DAY_MS)
        );
        assert!(kept(&[until(30), until(29)]).is_err());
        assert_eq!(Kept { until_ms: 8, ..Kept::default() }.end(Retention::None), End::At(8));
    }

    #[test]
    fn a_compliance_lock_is_never_shortened_and_a_governance_lock_only_by_a_bypass() {
        use LockMode::{Compliance, Governance};
        let set = |mode, until_ms| RetentionChange::Lock(lock(mode, until_ms));
        let bypass = RetentionChange::Bypass;
        assert_eq!(kept(&[set(Governance, 5), set(Governance, 6)]).unwrap().lock, Some(lock(Governance, 6)));
        assert!(kept(&[set(Governance, 5), set(Governance, 4)]).is_err());
        assert_eq!(
            kept(&[set(Governance, 5), bypass(Some(lock(Governance, 4)))]).unwrap().lock,
            Some(lock(Governance, 4))
        );
        assert_eq!(kept(&[set(Governance, 5), bypass(None)]).unwrap().lock, None);
        assert_eq!(kept(&[set(Governance, 5), set(Compliance, 5)]).unwrap().lock, Some(lock(Compliance, 5)));
        for weaker in [set(Compliance, 4), set(Governance, 9), bypass(None), bypass(Some(lock(Compliance, 4)))] {
            assert!(kept(&[set(Compliance, 5), weaker]).is_err(), "{weaker:?}");
        }
        let before = Kept::default().changed(None, &set(Compliance, 5)).unwrap();
        assert_eq!(before.end(Retention::None), End::At(5), "a lock may come before its version");
    }

    #[test]
    fn holds_end_one_by_one_and_only_once() {
        let (one, two) = (VersionId([1; 16]), VersionId([2; 16]));
        let held = Kept::default().held(one).unwrap().held(two).unwrap();
        let left = held.released(one).unwrap();
        assert_eq!(left.holds, [two]);
        assert!(left.released(one).is_err());
    }

    #[test]
    fn an_act_is_about_its_subject_or_a_list_and_a_hold_may_be_about_everything() {
        let id = VersionId([3; 16]);
        let hold = |versions| Document::Hold(Hold { versions, ..Hold::whole(HoldReason::Audit) });
        let list = || Versions::new(vec![id]).unwrap();
        let of = |subject, document: &Document| About::of(subject, document);
        assert_eq!(of(None, &hold(Versions::default())), Ok(Some(About::Everything)));
        assert_eq!(of(Some(id), &hold(Versions::default())), Ok(Some(About::These(vec![id]))));
        assert_eq!(of(None, &hold(list())), Ok(Some(About::These(vec![id]))));
        assert!(of(Some(id), &hold(list())).is_err());
        let start = Document::Retention(Retain::of_subject(RetentionChange::Start { start_ms: 1 }));
        assert!(of(None, &start).is_err() && of(Some(id), &start).is_ok());
        assert_eq!(start.kind(), ActKind::Retention);
    }

    fn any_change() -> impl Strategy<Value = RetentionChange> {
        let mode = prop_oneof![Just(LockMode::Governance), Just(LockMode::Compliance)];
        let lock = (mode, 0..40u64).prop_map(|(mode, until_ms)| Lock { mode, until_ms: until_ms * DAY_MS });
        prop_oneof![
            (0..40u64).prop_map(|days| RetentionChange::Start { start_ms: days * DAY_MS }),
            (0..40u32).prop_map(|term_days| RetentionChange::Term { term_days }),
            (0..40u64).prop_map(|days| RetentionChange::Until { until_ms: days * DAY_MS }),
            lock.prop_map(RetentionChange::Lock),
        ]
    }

    proptest! {
        /// Whatever is admitted, in whatever order: the end only moves away, and rows read back.
        #[test]
        fn no_sequence_of_changes_brings_the_end_nearer(
            started in proptest::option::of(0..40u64), changes in proptest::collection::vec(any_change(), 0..12),
        ) {
            let deposited = Retention::Term { term_days: 10, start_ms: started.map(|days| days * DAY_MS) };
            let mut kept = Kept::default();
            for change in changes {
                let Ok(next) = kept.changed(Some(deposited), &change) else { continue };
                match (kept.end(deposited), next.end(deposited)) {
                    (End::At(before), End::At(after)) => prop_assert!(after >= before, "{change:?}"),
                    (End::StartUnknown, _) => {}
                    (before, after) => prop_assert_eq!(before, after),
                }
                let mut out = Writer::new();
                next.write(&mut out);
                let bytes = out.finish();
                prop_assert_eq!(Kept::read(&mut Reader::new(&bytes, "row")).unwrap(), next.clone());
                kept = next;
            }
        }
    }
}
