//! Conditional requests: which answer `If-Match` and its three relatives give for an object, in the order of RFC 9110.
//!
//! | first that is present | holds | fails |
//! |---|---|---|
//! | `If-Match`, else `If-Unmodified-Since` | go on | 412 |
//! | `If-None-Match`, else `If-Modified-Since` | go on | 304 on a read, 412 on a copy |
//!
//! Times are compared in whole seconds, as HTTP carries them.

use crate::name::Which;
use crate::reply;
use crate::s3::Gateway;
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};
use shosoin_client::{Condition, Error, NewObject, Part, Stored};
use time::OffsetDateTime;

/// The four conditions of one request.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

/// What became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// go on
    Holds,
    /// the caller has this version already
    NotModified,
    /// a precondition does not hold
    Failed,
}

/// The conditions of a read, by the fields that get and head share.
macro_rules! reader_conditions {
    ($input:expr) => {
        $crate::conditions::Conditions {
            if_match: $input.if_match,
            if_none_match: $input.if_none_match,
            if_modified_since: $input.if_modified_since,
            if_unmodified_since: $input.if_unmodified_since,
        }
    };
}
pub(crate) use reader_conditions;

/// The conditions on the source of a copy, by the fields that both kinds of copy share.
macro_rules! source_conditions {
    ($input:expr) => {
        $crate::conditions::Conditions {
            if_match: $input.copy_source_if_match.take(),
            if_none_match: $input.copy_source_if_none_match.take(),
            if_modified_since: $input.copy_source_if_modified_since.take(),
            if_unmodified_since: $input.copy_source_if_unmodified_since.take(),
        }
    };
}
pub(crate) use source_conditions;

impl Conditions {
    /// Judges an object by its ETag, without quotes, and its time in milliseconds since 1970.
    pub(crate) fn judge(&self, etag: &str, modified_ms: u64) -> Verdict {
        let modified_s = i64::try_from(modified_ms / 1000).unwrap_or(i64::MAX);
        let later_than = |since: &Timestamp| modified_s > OffsetDateTime::from(since.clone()).unix_timestamp();
        let precondition = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => matches(condition, etag),
            (None, Some(since)) => !later_than(since),
            (None, None) => true,
        };
        let changed = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => !matches(condition, etag),
            (None, Some(since)) => later_than(since),
            (None, None) => true,
        };
        match (precondition, changed) {
            (false, _) => Verdict::Failed,
            (true, false) => Verdict::NotModified,
            (true, true) => Verdict::Holds,
        }
    }

    /// Judges the source of a copy, where nothing can be "not modified".
    pub(crate) fn check_source(&self, etag: &str, modified_ms: u64) -> S3Result<()> {
        match self.judge(etag, modified_ms) {
            Verdict::Holds => Ok(()),
            Verdict::NotModified | Verdict::Failed => Err(failed()),
        }
    }
}

/// The condition of a write, which the client library keeps through to the ledger.
///
/// The client knows "has this ETag" and "there is none". "Has not this ETag" is made of those two and what is there now:
/// a race can then refuse a write that would have been allowed, never allow one that should have been refused.
pub(crate) fn of_write(
    gateway: &Gateway,
    new: &NewObject,
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::Any),
        (Some(ETagCondition::Any), None) => Ok(Condition::Exists),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Condition::Etag(etag.into_value())),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (None, Some(ETagCondition::ETag(unwanted))) => {
            let row = gateway.row(&new.bucket, &new.name, Which::Latest)?;
            match row.as_ref().and_then(|row| row.object()) {
                None => Ok(Condition::Absent),
                Some((_, etag)) if etag == unwanted.value() => Err(failed()),
                Some((_, etag)) => Ok(Condition::Etag(etag.to_owned())),
            }
        }
        (Some(_), Some(_)) => Err(reply::not_implemented("If-Match together with If-None-Match on a write")),
    }
}

/// Deposits under a condition. A condition on an object that is not there at all is `NoSuchKey`.
pub(crate) async fn deposit(
    gateway: &Gateway,
    new: NewObject,
    parts: Vec<Part>,
    condition: Condition,
) -> S3Result<Stored> {
    let wants_one = matches!(condition, Condition::Exists | Condition::Etag(_));
    let name = wants_one.then(|| (new.bucket.clone(), new.name.clone()));
    match (gateway.client.put_object(new, parts, condition).await, name) {
        (Ok(stored), _) => Ok(stored),
        (Err(Error::Precondition), Some((bucket, name))) => {
            let row = gateway.row(&bucket, &name, Which::Latest)?;
            match row.as_ref().and_then(|row| row.object()) {
                None => Err(reply::no_such_key()),
                Some(_) => Err(failed()),
            }
        }
        (Err(error), _) => Err(reply::s3(error)),
    }
}

/// The answer to a precondition that does not hold.
pub(crate) fn failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the preconditions you specified did not hold.")
}

/// The answer to a reader who has this version: no body, the validators again.
pub(crate) fn not_modified(etag: &str, modified_ms: u64) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = http::HeaderMap::new();
    if let Ok(value) = ETag::Strong(etag.into()).to_http_header() {
        headers.insert(http::header::ETAG, value);
    }
    if let Some(value) = reply::http_date(modified_ms) {
        headers.insert(http::header::LAST_MODIFIED, value);
    }
    error.set_headers(headers);
    error
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODIFIED_MS: u64 = 1_700_000_000_999;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp::from(OffsetDateTime::from_unix_timestamp(seconds).unwrap()))
    }

    fn tag(text: &str) -> Option<ETagCondition> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_request_without_conditions_holds() {
        assert_eq!(Conditions::default().judge("a", MODIFIED_MS), Verdict::Holds);
    }

    #[test]
    fn an_etag_condition_overrules_the_time_beside_it() {
        let stale = at(1_600_000_000);
        let held = Conditions { if_match: tag("\"a\""), if_unmodified_since: stale.clone(), ..Default::default() };
        assert_eq!(held.judge("a", MODIFIED_MS), Verdict::Holds);
        let known = Conditions { if_none_match: tag("\"a\""), if_modified_since: stale, ..Default::default() };
        assert_eq!(known.judge("a", MODIFIED_MS), Verdict::NotModified);
    }

    #[test]
    fn a_failed_precondition_outranks_not_modified() {
        let both = Conditions { if_match: tag("\"b\""), if_none_match: tag("\"a\""), ..Default::default() };
        assert_eq!(both.judge("a", MODIFIED_MS), Verdict::Failed);
    }

    #[test]
    fn times_are_compared_in_whole_seconds() {
        let since = |seconds| Conditions { if_modified_since: at(seconds), ..Default::default() };
        assert_eq!(since(1_700_000_000).judge("a", MODIFIED_MS), Verdict::NotModified);
        assert_eq!(since(1_699_999_999).judge("a", MODIFIED_MS), Verdict::Holds);
        let until = |seconds| Conditions { if_unmodified_since: at(seconds), ..Default::default() };
        assert_eq!(until(1_700_000_000).judge("a", MODIFIED_MS), Verdict::Holds);
        assert_eq!(until(1_699_999_999).judge("a", MODIFIED_MS), Verdict::Failed);
    }

    #[test]
    fn a_star_matches_whatever_is_there() {
        let star = Conditions { if_match: tag("*"), ..Default::default() };
        assert_eq!(star.judge("a", MODIFIED_MS), Verdict::Holds);
        let none = Conditions { if_none_match: tag("*"), ..Default::default() };
        assert_eq!(none.judge("a", MODIFIED_MS), Verdict::NotModified);
    }
}
