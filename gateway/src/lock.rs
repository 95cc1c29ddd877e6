//! Object lock: what an S3 client asks to keep a version, as the acts by which a hospital keeps its records.
//!
//! | S3 | on the ledger |
//! |---|---|
//! | mode and date beside a write, `PutObjectRetention`, default of the bucket | act 5: a lock of the version |
//! | legal hold on | act 3: a hold for the reason `object-lock` |
//! | legal hold off | act 4: that hold ends |
//!
//! Invariants
//! - A lock is on the ledger before its version is, so that no version that was to be locked exists without.
//! - Nothing shortens, in either mode and with any header: what is refused says so. The larger of the date asked for, the default
//!   of the bucket and the known end of the term holds.
//! - What keeps a version is read from the ledger, never from a state of the gateway; the vault enforces the same acts.

use crate::s3::{Found, Gateway};
use crate::users::{Role, User};
use crate::{conditions, reply};
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use shosoin_client::{Condition, Keeping, NewObject, Part, Stored, now_ms};
use shosoin_protocol::VersionId;
use shosoin_protocol::act::{HoldReason, Lock, LockMode, RetentionChange};
use shosoin_protocol::bucket_rules::{DefaultLock, LockPeriod};
use shosoin_protocol::limits::LOCK_DAYS_MAX;
use shosoin_protocol::manifest::BucketFacts;
use shosoin_protocol::retention::{DAY_MS, End};
use time::{Date, Month, OffsetDateTime};

const ENABLED: &str = ObjectLockEnabled::ENABLED;
/// What is said to whoever asks for less.
const NEVER_SHORTER: &str = "What keeps a version is never shortened or taken away here, in governance mode neither, and no bypass \
                             changes that: records end by an order of the hospital, after their time.";

/// What a write asks to keep its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    /// a lock
    pub(crate) lock: Option<Lock>,
    /// a legal hold
    pub(crate) hold: bool,
    /// at least until this moment whatever its term says, as the source of a copy is; 0: nothing of the kind
    pub(crate) until_ms: u64,
}

/// What the lock headers of a put, a copy or an upload in parts ask for.
macro_rules! asked_lock {
    ($input:expr, $bucket:expr) => {
        $crate::lock::asked(
            $bucket,
            $input.object_lock_mode.take(),
            $input.object_lock_retain_until_date.take(),
            $input.object_lock_legal_hold_status.take(),
        )
    };
}
pub(crate) use asked_lock;

/// Puts what keeps a version into the fields that the answers to get and head share.
macro_rules! answer_lock {
    ($output:expr, $kept:expr) => {
        if let Some(kept) = $kept {
            let lock = $crate::lock::shown(&kept);
            $output.object_lock_mode = lock.map(|lock| ObjectLockMode::from_static($crate::lock::mode_name(lock.mode)));
            $output.object_lock_retain_until_date = lock.map(|lock| $crate::reply::timestamp(lock.until_ms));
            $output.object_lock_legal_hold_status =
                kept.is_on_hold().then(|| ObjectLockLegalHoldStatus::from_static(ObjectLockLegalHoldStatus::ON));
        }
    };
}
pub(crate) use answer_lock;

/// See [`asked_lock`].
pub(crate) fn asked(
    bucket: &BucketFacts,
    mode: Option<ObjectLockMode>,
    until: Option<Timestamp>,
    hold: Option<ObjectLockLegalHoldStatus>,
) -> S3Result<Asked> {
    if mode.is_some() || until.is_some() || hold.is_some() {
        needs_object_lock(bucket)?;
    }
    let lock = match (mode, until) {
        (None, None) => None,
        (Some(mode), Some(until)) => {
            let mode =
                mode_named(mode.as_str()).ok_or_else(|| s3_error!(InvalidArgument, "Unknown wormMode directive."))?;
            Some(Lock { mode, until_ms: until_ms(until, now_ms())? })
        }
        _ => {
            let message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied.";
            return Err(s3_error!(InvalidArgument, "{message}"));
        }
    };
    Ok(Asked { lock, hold: hold.map_or(Ok(false), |status| is_on(status.as_str()))?, until_ms: 0 })
}

fn is_on(status: &str) -> S3Result<bool> {
    match status {
        ObjectLockLegalHoldStatus::ON => Ok(true),
        ObjectLockLegalHoldStatus::OFF => Ok(false),
        _ => Err(s3_error!(MalformedXML, "The status of a legal hold is ON or OFF.")),
    }
}

fn mode_named(name: &str) -> Option<LockMode> {
    match name {
        ObjectLockMode::GOVERNANCE => Some(LockMode::Governance),
        ObjectLockMode::COMPLIANCE => Some(LockMode::Compliance),
        _ => None,
    }
}

/// The name of a mode in S3.
pub(crate) fn mode_name(mode: LockMode) -> &'static str {
    match mode {
        LockMode::Governance => ObjectLockMode::GOVERNANCE,
        LockMode::Compliance => ObjectLockMode::COMPLIANCE,
    }
}

/// A date that somebody can have meant: ahead, and not so far that it is a slip.
fn until_ms(until: Timestamp, now_ms: u64) -> S3Result<u64> {
    let nanos = OffsetDateTime::from(until).unix_timestamp_nanos();
    let until_ms = u64::try_from(nanos / 1_000_000).unwrap_or(0);
    if until_ms <= now_ms {
        return Err(s3_error!(InvalidArgument, "The retain until date must be in the future!"));
    }
    match until_ms > now_ms.saturating_add(u64::from(LOCK_DAYS_MAX) * DAY_MS) {
        true => Err(s3_error!(InvalidArgument, "The retain until date is more than {LOCK_DAYS_MAX} days ahead.")),
        false => Ok(until_ms),
    }
}

fn needs_object_lock(bucket: &BucketFacts) -> S3Result<()> {
    match bucket.rules.object_lock {
        true => Ok(()),
        false => Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration")),
    }
}

/// The end of a default lock of what is stored now; years are those of the calendar.
fn default_until(period: LockPeriod, now_ms: u64) -> u64 {
    match period {
        LockPeriod::Days(days) => now_ms.saturating_add(u64::from(days) * DAY_MS),
        LockPeriod::Years(years) => {
            in_years(now_ms, years).unwrap_or(now_ms.saturating_add(u64::from(years) * 366 * DAY_MS))
        }
    }
}

/// The same day and time so many years on; 29 February becomes 1 March.
fn in_years(now_ms: u64, years: u32) -> Option<u64> {
    let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now_ms) * 1_000_000).ok()?;
    let year = now.year().checked_add(i32::try_from(years).ok()?)?;
    let date = now.date().replace_year(year).or_else(|_| Date::from_calendar_date(year, Month::March, 1)).ok()?;
    u64::try_from(now.replace_date(date).unix_timestamp_nanos() / 1_000_000).ok()
}

/// The stricter of two locks in each respect.
fn stricter(one: Option<Lock>, other: Option<Lock>) -> Option<Lock> {
    match (one, other) {
        (Some(one), Some(other)) => {
            Some(Lock { mode: one.mode.max(other.mode), until_ms: one.until_ms.max(other.until_ms) })
        }
        (one, other) => one.or(other),
    }
}

/// The lock that a new version gets: as asked, never below the default of the bucket, nor below an end that is known.
fn lock_of(asked: Option<Lock>, default: Option<DefaultLock>, end: End, now_ms: u64) -> Option<Lock> {
    let default = default.map(|lock| Lock { mode: lock.mode, until_ms: default_until(lock.period, now_ms) });
    let least_ms = if let End::At(end_ms) = end { end_ms } else { 0 };
    stricter(asked, default).map(|lock| Lock { until_ms: lock.until_ms.max(least_ms), ..lock })
}

/// Deposits what is to be kept so: the lock first, so that the version never is without it, and the hold behind it.
pub(crate) async fn deposit(
    gateway: &Gateway,
    bucket: &BucketFacts,
    asked: Asked,
    mut new: NewObject,
    parts: Vec<Part>,
    condition: Condition,
) -> S3Result<Stored> {
    let (now, policy) = (now_ms(), new.policy.unwrap_or(bucket.policy));
    let end = shosoin_protocol::retention::Kept::default().end(policy.retention);
    if let Some(lock) = lock_of(asked.lock, bucket.rules.default_lock, end, now) {
        let version = new.version.map_or_else(|| fresh_version(now), Ok)?;
        new.version = Some(version);
        gateway.raise(version, RetentionChange::Lock(lock)).await?;
    }
    let stored = conditions::deposit(gateway, new, parts, condition).await?;
    if asked.until_ms > 0 {
        gateway.raise(stored.version, RetentionChange::Until { until_ms: asked.until_ms }).await?;
    }
    if asked.hold {
        gateway.hold(stored.version).await?;
    }
    Ok(stored)
}

fn fresh_version(now_ms: u64) -> S3Result<VersionId> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|_| s3_error!(ServiceUnavailable, "The system gave no random numbers."))?;
    Ok(VersionId::new(now_ms, random))
}

impl Gateway {
    /// What keeps an object version, in a bucket with object lock.
    pub(crate) fn kept(&self, found: &Found) -> S3Result<Option<Keeping>> {
        match found.object_lock {
            true => self.client.keeping(found.version).map_err(reply::s3),
            false => Ok(None),
        }
    }

    async fn raise(&self, version: VersionId, change: RetentionChange) -> S3Result<()> {
        self.client.retain(vec![version], change).await.map(drop).map_err(reply::s3)
    }

    /// Sets the hold of S3 clients, unless it is there.
    async fn hold(&self, version: VersionId) -> S3Result<()> {
        if self.client.object_lock_holds(version).map_err(reply::s3)?.is_empty() {
            self.client.hold(Some(vec![version]), HoldReason::ObjectLock, None).await.map_err(reply::s3)?;
        }
        Ok(())
    }

    /// An object version in a bucket with object lock, and what keeps it.
    fn lockable(&self, bucket: &str, key: &str, version_id: Option<&str>) -> S3Result<(Found, Keeping)> {
        needs_object_lock(&self.bucket(bucket)?)?;
        let found = self.find_object(bucket, key, version_id)?;
        let keeping = self.kept(&found)?.ok_or_else(reply::no_such_version)?;
        Ok((found, keeping))
    }
}

/// Refuses to take from view what a lock or a hold is on, in buckets with object lock.
pub(crate) fn refuse_kept(gateway: &Gateway, bucket: &BucketFacts, version: VersionId) -> S3Result<()> {
    if !bucket.rules.object_lock {
        return Ok(());
    }
    let keeping = gateway.client.keeping(version).map_err(reply::s3)?;
    let locked = |keeping: &Keeping| keeping.kept.lock.is_some_and(|lock| lock.until_ms > now_ms());
    match keeping {
        Some(keeping) if keeping.is_on_hold() => {
            Err(s3_error!(AccessDenied, "Access Denied because the object version is on legal hold."))
        }
        Some(keeping) if locked(&keeping) => {
            Err(s3_error!(AccessDenied, "Access Denied because object protected by object lock. {NEVER_SHORTER}"))
        }
        _ => Ok(()),
    }
}

/// The lock as S3 clients see it: at least until the known end of the term.
pub(crate) fn shown(keeping: &Keeping) -> Option<Lock> {
    let least_ms = if let End::At(end_ms) = keeping.end() { end_ms } else { 0 };
    keeping.kept.lock.map(|lock| Lock { until_ms: lock.until_ms.max(least_ms), ..lock })
}

/// `PutObjectRetention`.
pub(crate) async fn put_retention(
    gateway: &Gateway,
    input: PutObjectRetentionInput,
) -> S3Result<PutObjectRetentionOutput> {
    let (found, keeping) = gateway.lockable(&input.bucket, &input.key, input.version_id.as_deref())?;
    let asked = input.retention.ok_or_else(|| s3_error!(MalformedXML, "A retention is a mode and a date."))?;
    let (mode, until) = match (asked.mode, asked.retain_until_date) {
        (Some(mode), Some(until)) => (mode, until),
        (None, None) => return Err(s3_error!(AccessDenied, "{NEVER_SHORTER}")),
        _ => return Err(s3_error!(MalformedXML, "A retention is a mode and a date.")),
    };
    let mode =
        mode_named(mode.as_str()).ok_or_else(|| s3_error!(MalformedXML, "A mode is GOVERNANCE or COMPLIANCE."))?;
    let asked = Lock { mode, until_ms: until_ms(until, now_ms())? };
    let now = keeping.kept.lock;
    if now.is_some_and(|now| asked.until_ms < now.until_ms || asked.mode < now.mode) {
        return Err(s3_error!(AccessDenied, "{NEVER_SHORTER}"));
    }
    let lock = lock_of(Some(asked), None, keeping.end(), now_ms());
    if let Some(lock) = lock.filter(|lock| now != Some(*lock)) {
        gateway.raise(found.version, RetentionChange::Lock(lock)).await?;
    }
    Ok(PutObjectRetentionOutput::default())
}

/// `GetObjectRetention`.
pub(crate) fn get_retention(gateway: &Gateway, input: &GetObjectRetentionInput) -> S3Result<GetObjectRetentionOutput> {
    let (_, keeping) = gateway.lockable(&input.bucket, &input.key, input.version_id.as_deref())?;
    let lock = shown(&keeping).ok_or_else(|| {
        let message = "The specified object does not have a ObjectLock configuration";
        not_found(S3ErrorCode::NoSuchObjectLockConfiguration, message)
    })?;
    let retention = ObjectLockRetention {
        mode: Some(ObjectLockRetentionMode::from_static(mode_name(lock.mode))),
        retain_until_date: Some(reply::timestamp(lock.until_ms)),
    };
    Ok(GetObjectRetentionOutput { retention: Some(retention) })
}

fn not_found(code: S3ErrorCode, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(code, message);
    error.set_status_code(http::StatusCode::NOT_FOUND);
    error
}

/// `PutObjectLegalHold`. To end one asks for an administrator, and ends what S3 clients set alone.
pub(crate) async fn put_hold(
    gateway: &Gateway,
    user: Option<&User>,
    input: PutObjectLegalHoldInput,
) -> S3Result<PutObjectLegalHoldOutput> {
    let (found, keeping) = gateway.lockable(&input.bucket, &input.key, input.version_id.as_deref())?;
    let status = input.legal_hold.and_then(|hold| hold.status);
    let status = status.ok_or_else(|| s3_error!(MalformedXML, "A legal hold has a status."))?;
    if is_on(status.as_str())? {
        gateway.hold(found.version).await?;
        return Ok(PutObjectLegalHoldOutput::default());
    }
    if user.is_none_or(|user| user.role < Role::Admin) {
        return Err(s3_error!(AccessDenied, "A legal hold is ended with an access key of the role admin."));
    }
    let of_clients = gateway.client.object_lock_holds(found.version).map_err(reply::s3)?;
    for hold in &of_clients {
        gateway.client.release(*hold).await.map_err(reply::s3)?;
    }
    match keeping.holds_on_everything.is_empty() && keeping.kept.holds.iter().all(|hold| of_clients.contains(hold)) {
        true => Ok(PutObjectLegalHoldOutput::default()),
        false => Err(s3_error!(
            AccessDenied,
            "A hold that the hospital set itself stays on the object version; it is released with `shosoin hold release`."
        )),
    }
}

/// `GetObjectLegalHold`: any hold of the hospital, whoever set it.
pub(crate) fn get_hold(gateway: &Gateway, input: &GetObjectLegalHoldInput) -> S3Result<GetObjectLegalHoldOutput> {
    let (_, keeping) = gateway.lockable(&input.bucket, &input.key, input.version_id.as_deref())?;
    let status = match keeping.is_on_hold() {
        true => ObjectLockLegalHoldStatus::ON,
        false => ObjectLockLegalHoldStatus::OFF,
    };
    let legal_hold = ObjectLockLegalHold { status: Some(ObjectLockLegalHoldStatus::from_static(status)) };
    Ok(GetObjectLegalHoldOutput { legal_hold: Some(legal_hold) })
}

/// `PutObjectLockConfiguration`: object lock is enabled for ever; the default is for versions stored from now on.
pub(crate) async fn put_configuration(
    gateway: &Gateway,
    input: PutObjectLockConfigurationInput,
) -> S3Result<PutObjectLockConfigurationOutput> {
    let facts = gateway.bucket(&input.bucket)?;
    if facts.versioning != shosoin_protocol::manifest::Versioning::Enabled {
        return Err(s3_error!(
            InvalidBucketState,
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        ));
    }
    let configuration = input.object_lock_configuration.unwrap_or_default();
    if configuration.object_lock_enabled.as_ref().map(ObjectLockEnabled::as_str) != Some(ENABLED) {
        return Err(s3_error!(MalformedXML, "ObjectLockEnabled is Enabled; object lock is never taken away."));
    }
    let default_lock = configuration.rule.map(default_lock).transpose()?;
    let edited = gateway.client.edit_bucket(&input.bucket, |facts| {
        facts.rules.object_lock = true;
        facts.rules.default_lock = default_lock;
    });
    edited.await.map_err(reply::s3)?;
    Ok(PutObjectLockConfigurationOutput::default())
}

fn default_lock(rule: ObjectLockRule) -> S3Result<DefaultLock> {
    let malformed = || s3_error!(MalformedXML, "A default retention is a mode, and either days or years.");
    let default = rule.default_retention.ok_or_else(malformed)?;
    let mode = default.mode.and_then(|mode| mode_named(mode.as_str())).ok_or_else(malformed)?;
    let wrong = |why: String| {
        let mut error = S3Error::with_message(S3ErrorCode::Custom("InvalidRetentionPeriod".into()), why);
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        error
    };
    let length = |number: i32| u32::try_from(number).map_err(|_| wrong("A retention period is positive.".into()));
    let period = match (default.days, default.years) {
        (Some(days), None) => LockPeriod::Days(length(days)?),
        (None, Some(years)) => LockPeriod::Years(length(years)?),
        _ => return Err(malformed()),
    };
    Ok(DefaultLock { mode, period: period.check().map_err(|error| wrong(error.to_string()))? })
}

/// `GetObjectLockConfiguration`.
pub(crate) fn get_configuration(
    gateway: &Gateway,
    input: &GetObjectLockConfigurationInput,
) -> S3Result<GetObjectLockConfigurationOutput> {
    let rules = gateway.bucket(&input.bucket)?.rules;
    if !rules.object_lock {
        let message = "Object Lock configuration does not exist for this bucket";
        return Err(not_found(S3ErrorCode::ObjectLockConfigurationNotFoundError, message));
    }
    let rule = rules.default_lock.map(|DefaultLock { mode, period }| {
        let number = |number: u32| i32::try_from(number).ok();
        let (days, years) = match period {
            LockPeriod::Days(days) => (number(days), None),
            LockPeriod::Years(years) => (None, number(years)),
        };
        let mode = Some(ObjectLockRetentionMode::from_static(mode_name(mode)));
        ObjectLockRule { default_retention: Some(DefaultRetention { days, mode, years }) }
    });
    let enabled = Some(ObjectLockEnabled::from_static(ENABLED));
    let configuration = ObjectLockConfiguration { object_lock_enabled: enabled, rule };
    Ok(GetObjectLockConfigurationOutput { object_lock_configuration: Some(configuration) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-29T12:00:00Z
    const LEAP_DAY_MS: u64 = 1_709_208_000_000;

    fn lock(mode: LockMode, until_ms: u64) -> Option<Lock> {
        Some(Lock { mode, until_ms })
    }

    #[test]
    fn a_default_of_years_ends_on_the_same_day_of_the_calendar() {
        let until = |period| default_until(period, LEAP_DAY_MS);
        assert_eq!(until(LockPeriod::Years(4)), 1_835_438_400_000, "2028-02-29T12:00:00Z");
        assert_eq!(until(LockPeriod::Years(1)), 1_740_830_400_000, "2025-03-01T12:00:00Z");
        assert_eq!(until(LockPeriod::Days(1)), LEAP_DAY_MS + DAY_MS);
    }

    #[test]
    fn a_lock_is_never_below_the_default_of_the_bucket_or_a_known_end() {
        use LockMode::{Compliance, Governance};
        let default = Some(DefaultLock { mode: Compliance, period: LockPeriod::Days(10) });
        let of = |asked, default, end| lock_of(asked, default, end, 0);
        assert_eq!(of(None, None, End::At(5)), None, "a term alone is no lock");
        assert_eq!(of(lock(Governance, 5), None, End::StartUnknown), lock(Governance, 5));
        assert_eq!(of(lock(Governance, 5), default, End::Never), lock(Compliance, 10 * DAY_MS));
        assert_eq!(of(None, default, End::At(11 * DAY_MS)), lock(Compliance, 11 * DAY_MS));
        assert_eq!(of(lock(Governance, 99 * DAY_MS), default, End::Never), lock(Compliance, 99 * DAY_MS));
    }

    #[test]
    fn a_date_lies_ahead_and_not_beyond_a_hundred_years() {
        let of = |ms: u64| until_ms(reply::timestamp(ms), LEAP_DAY_MS);
        assert_eq!(of(LEAP_DAY_MS + 1).unwrap(), LEAP_DAY_MS + 1);
        assert!(of(LEAP_DAY_MS).is_err() && of(LEAP_DAY_MS + 36_501 * DAY_MS).is_err());
    }

    #[test]
    fn a_bucket_without_object_lock_takes_no_lock_and_half_a_lock_is_none() {
        let mut bucket = BucketFacts::new("b", 1);
        let mode = || Some(ObjectLockMode::from_static(ObjectLockMode::GOVERNANCE));
        let code = |bucket: &BucketFacts, mode, hold| asked(bucket, mode, None, hold).unwrap_err().code().clone();
        assert_eq!(code(&bucket, mode(), None), S3ErrorCode::InvalidRequest);
        assert_eq!(asked(&bucket, None, None, None).unwrap(), Asked::default());
        bucket.rules.object_lock = true;
        assert_eq!(code(&bucket, mode(), None), S3ErrorCode::InvalidArgument);
        let maybe = Some(ObjectLockLegalHoldStatus::from_static("MAYBE"));
        assert_eq!(code(&bucket, None, maybe), S3ErrorCode::MalformedXML);
    }

    #[test]
    fn a_default_is_a_mode_and_either_days_or_years() {
        let rule = |mode: Option<&'static str>, days, years| ObjectLockRule {
            default_retention: Some(DefaultRetention {
                days,
                mode: mode.map(ObjectLockRetentionMode::from_static),
                years,
            }),
        };
        let code = |rule| default_lock(rule).unwrap_err().code().as_str().to_owned();
        assert!(default_lock(rule(Some("COMPLIANCE"), None, Some(5))).is_ok());
        assert_eq!(code(rule(Some("COMPLIANCE"), Some(1), Some(1))), "MalformedXML");
        assert_eq!(code(rule(None, Some(1), None)), "MalformedXML");
        assert_eq!(code(rule(Some("abc"), Some(1), None)), "MalformedXML");
        assert_eq!(code(rule(Some("GOVERNANCE"), Some(0), None)), "InvalidRetentionPeriod");
        assert_eq!(code(rule(Some("GOVERNANCE"), None, Some(-1))), "InvalidRetentionPeriod");
    }
}
