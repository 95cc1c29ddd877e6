//! What a bucket does with its versions over time: object lock and its default, and lifecycle rules. Part of the sealed summary
//! of the bucket, behind its policy, and only there where something was set.
//!
//! Invariants
//! - Rules that say nothing are not written, so a state has one form.
//! - A period is never longer than [`LOCK_DAYS_MAX`]: a lock cannot be taken back, and a slip of the pen would last for ever.
//!
//! Not here: what keeps a version (`retention`), and when a rule is due (the gateway).

use crate::act::LockMode;
use crate::codec::{Reader, Writer};
use crate::limits::{LIFECYCLE_RULE_ID_BYTES_MAX, LIFECYCLE_RULES_MAX, LOCK_DAYS_MAX, NAME_BYTES_MAX};
use crate::{Error, Result};

/// How long a default lock lasts, from when a version is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockPeriod {
    /// so many days
    Days(u32),
    /// so many years of the calendar
    Years(u32),
}

/// The lock that every new version of a bucket gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultLock {
    /// what it takes to be ended early
    pub mode: LockMode,
    /// for how long
    pub period: LockPeriod,
}

/// What happens to the versions of names that begin with a prefix. Days of 0: nothing of the kind happens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LifecycleRule {
    /// its name, as the client gave it or the gateway made it
    pub id: String,
    /// whether it is applied
    pub enabled: bool,
    /// names it is about; empty: all
    pub prefix: String,
    /// days after which the current version is hidden behind a delete marker
    pub expire_days: u32,
    /// whether a delete marker with nothing behind it is taken away
    pub expire_markers: bool,
    /// days after it was replaced at which a version is withdrawn from view
    pub noncurrent_days: u32,
    /// so many of the newest replaced versions stay in view whatever their age
    pub noncurrent_kept: u32,
    /// days after which an upload in parts that was not completed is forgotten
    pub abort_days: u32,
}

/// Object lock and lifecycle of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BucketRules {
    /// versions may be locked and held through S3; never taken back
    pub object_lock: bool,
    /// the lock of new versions
    pub default_lock: Option<DefaultLock>,
    /// what happens over time
    pub lifecycle: Vec<LifecycleRule>,
}

impl LockPeriod {
    /// Refuses a period that is none, or that nobody can have meant.
    pub fn check(self) -> Result<Self> {
        let days = match self {
            LockPeriod::Days(days) => u64::from(days),
            LockPeriod::Years(years) => u64::from(years) * 365,
        };
        match days {
            0 => Err(Error::Invalid { what: "default lock", why: "its period must be at least a day" }),
            found if found > u64::from(LOCK_DAYS_MAX) => {
                Err(Error::OverLimit { what: "days of a default lock", found, limit: u64::from(LOCK_DAYS_MAX) })
            }
            _ => Ok(self),
        }
    }
}

impl LifecycleRule {
    /// Refuses a rule that does nothing, or keeps versions without withdrawing any.
    pub fn check(&self) -> Result<()> {
        let refuse = |why| Err(Error::Invalid { what: "lifecycle rule", why });
        let acts = self.expire_days > 0 || self.expire_markers || self.noncurrent_days > 0 || self.abort_days > 0;
        match (acts, self.noncurrent_kept > 0 && self.noncurrent_days == 0) {
            (false, _) => refuse("it does nothing"),
            (true, true) => refuse("it keeps replaced versions in view and withdraws none"),
            (true, false) => Ok(()),
        }
    }

    fn write(&self, out: &mut Writer) {
        out.var(self.id.as_bytes()).u8(u8::from(self.enabled)).u8(u8::from(self.expire_markers)).zeros(2);
        out.var(self.prefix.as_bytes()).u32(self.expire_days).u32(self.noncurrent_days).u32(self.noncurrent_kept);
        out.u32(self.abort_days);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let id = reader.text(LIFECYCLE_RULE_ID_BYTES_MAX, "id of a lifecycle rule")?;
        let (enabled, expire_markers) = (reader.flag("rule enabled")?, reader.flag("markers expire")?);
        reader.zeros(2, "reserved bytes of a lifecycle rule")?;
        let rule = LifecycleRule {
            id,
            enabled,
            prefix: reader.text(NAME_BYTES_MAX, "prefix of a lifecycle rule")?,
            expire_days: reader.u32("days to expiry")?,
            expire_markers,
            noncurrent_days: reader.u32("days of replaced versions")?,
            noncurrent_kept: reader.u32("replaced versions kept")?,
            abort_days: reader.u32("days of uploads")?,
        };
        rule.check().map(|()| rule)
    }
}

impl BucketRules {
    /// Nothing was set.
    pub fn is_empty(&self) -> bool {
        !self.object_lock && self.default_lock.is_none() && self.lifecycle.is_empty()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        if self.is_empty() {
            return;
        }
        let (mode, unit, length) = match self.default_lock {
            None => (0, 0, 0),
            Some(DefaultLock { mode, period: LockPeriod::Days(days) }) => (mode.code(), 1, days),
            Some(DefaultLock { mode, period: LockPeriod::Years(years) }) => (mode.code(), 2, years),
        };
        out.u8(u8::from(self.object_lock)).u8(mode).u8(unit).zeros(1).u32(length).count(self.lifecycle.len());
        self.lifecycle.iter().for_each(|rule| rule.write(out));
    }

    /// What is left of a summary; nothing, where nothing was set.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        if reader.left() == 0 {
            return Ok(BucketRules::default());
        }
        let object_lock = reader.flag("object lock")?;
        let (mode, unit) = (reader.u8("mode of the default lock")?, reader.u8("unit of the default lock")?);
        reader.zeros(1, "reserved byte of bucket rules")?;
        let length = reader.u32("period of the default lock")?;
        let default_lock = match (mode, unit, length) {
            (0, 0, 0) => None,
            (mode, 1, days) => Some((mode, LockPeriod::Days(days))),
            (mode, 2, years) => Some((mode, LockPeriod::Years(years))),
            _ => return Err(Error::Invalid { what: "default lock", why: "no such unit, or unused fields are set" }),
        };
        let default_lock = default_lock
            .map(|(mode, period)| Ok(DefaultLock { mode: LockMode::from_code(mode)?, period: period.check()? }))
            .transpose()?;
        if default_lock.is_some() && !object_lock {
            return Err(Error::Invalid { what: "default lock", why: "the bucket has no object lock" });
        }
        let count = reader.count(LIFECYCLE_RULES_MAX, "lifecycle rules")?;
        let lifecycle = (0..count).map(|_| LifecycleRule::read(reader)).collect::<Result<_>>()?;
        let rules = BucketRules { object_lock, default_lock, lifecycle };
        match rules.is_empty() {
            true => Err(Error::Invalid { what: "bucket rules", why: "they say nothing and should not be there" }),
            false => Ok(rules),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<BucketRules> {
        let mut reader = Reader::new(bytes, "rules");
        let rules = BucketRules::read(&mut reader)?;
        reader.finish().map(|()| rules)
    }

    fn written(rules: &BucketRules) -> Vec<u8> {
        let mut out = Writer::new();
        rules.write(&mut out);
        out.finish()
    }

    #[test]
    fn rules_that_say_nothing_take_no_byte_and_have_no_other_form() {
        assert!(written(&BucketRules::default()).is_empty());
        assert_eq!(read(&[]).unwrap(), BucketRules::default());
        assert!(read(&[0; 12]).is_err());
    }

    #[test]
    fn a_default_lock_lasts_a_day_to_a_hundred_years_and_needs_object_lock() {
        let with = |object_lock, period| {
            let default_lock = Some(DefaultLock { mode: LockMode::Compliance, period });
            read(&written(&BucketRules { object_lock, default_lock, lifecycle: Vec::new() }))
        };
        assert!(with(true, LockPeriod::Days(36_500)).is_ok() && with(true, LockPeriod::Years(100)).is_ok());
        assert!(with(true, LockPeriod::Days(0)).is_err() && with(true, LockPeriod::Years(101)).is_err());
        assert!(with(true, LockPeriod::Days(36_501)).is_err() && with(false, LockPeriod::Days(1)).is_err());
    }

    #[test]
    fn a_rule_that_does_nothing_is_none() {
        let rule = LifecycleRule { id: "a".into(), enabled: true, expire_days: 3, ..LifecycleRule::default() };
        let rules = |rule| BucketRules { lifecycle: vec![rule], ..BucketRules::default() };
        assert_eq!(read(&written(&rules(rule.clone()))).unwrap(), rules(rule.clone()));
        assert!(read(&written(&rules(LifecycleRule { expire_days: 0, ..rule.clone() }))).is_err());
        assert!(read(&written(&rules(LifecycleRule { noncurrent_kept: 1, ..rule }))).is_err());
    }
}
