//! What the hospital says of retention after the deposit: the event from which a term counts, longer terms, and locks that
//! its S3 clients set. Nothing here shortens, but for the end of a governance lock, which is on the record as what it is.

use super::{Versions, codes};
use crate::codec::{Reader, Writer};
use crate::{Error, Result};

codes! {
    /// What a lock takes to be ended early.
    LockMode, "mode of a lock" {
        /// an administrator of the gateway may end or shorten it
        Governance = 1 "governance",
        /// nobody may
        Compliance = 2 "compliance",
    }
}

/// A lock as S3 has it: until its moment the version may not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// what it takes to be ended early
    pub mode: LockMode,
    /// until when, in milliseconds since 1970
    pub until_ms: u64,
}

/// What changes. Moments in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionChange {
    /// 1: the event happened from which the term counts (guideline 1.1-R1, 6.3-R6)
    Start {
        /// when
        start_ms: u64,
    },
    /// 2: the term has at least so many days
    Term {
        /// days
        term_days: u32,
    },
    /// 3: it is kept at least until a moment, whatever its term says
    Until {
        /// the moment
        until_ms: u64,
    },
    /// 4: it is locked
    Lock(Lock),
    /// 5: a governance lock ends early, or is replaced by a shorter one
    Bypass(Option<Lock>),
}

/// A change of what keeps the act's subject, or the versions listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retain {
    /// what changes
    pub change: RetentionChange,
    /// the versions; none beside a subject
    pub versions: Versions,
}

impl Retain {
    /// A change about the act's subject.
    pub fn of_subject(change: RetentionChange) -> Self {
        Retain { change, versions: Versions::default() }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        let (code, mode, days, moment) = match self.change {
            RetentionChange::Start { start_ms } => (1, 0, 0, start_ms),
            RetentionChange::Term { term_days } => (2, 0, term_days, 0),
            RetentionChange::Until { until_ms } => (3, 0, 0, until_ms),
            RetentionChange::Lock(Lock { mode, until_ms }) => (4, mode.code(), 0, until_ms),
            RetentionChange::Bypass(None) => (5, 0, 0, 0),
            RetentionChange::Bypass(Some(Lock { mode, until_ms })) => (5, mode.code(), 0, until_ms),
        };
        out.u8(code).u8(mode).zeros(2).u32(days).u64(moment);
        self.versions.write(out);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (code, mode) = (reader.u8("change of retention")?, reader.u8("mode of the lock")?);
        reader.zeros(2, "reserved bytes of the change")?;
        let (term_days, moment) = (reader.u32("term")?, reader.u64("moment")?);
        let lock = |code| Ok::<_, Error>(Lock { mode: LockMode::from_code(code)?, until_ms: moment });
        let change = match (code, mode, term_days, moment) {
            (1, 0, 0, start_ms) => RetentionChange::Start { start_ms },
            (2, 0, term_days, 0) => RetentionChange::Term { term_days },
            (3, 0, 0, until_ms) => RetentionChange::Until { until_ms },
            (4, mode, 0, _) => RetentionChange::Lock(lock(mode)?),
            (5, 0, 0, 0) => RetentionChange::Bypass(None),
            (5, mode, 0, _) => RetentionChange::Bypass(Some(lock(mode)?)),
            _ => {
                return Err(Error::Invalid {
                    what: "change of retention",
                    why: "no such change, or unused fields are set",
                });
            }
        };
        Ok(Retain { change, versions: Versions::read(reader)? })
    }
}
