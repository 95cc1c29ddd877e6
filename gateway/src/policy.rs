//! What kind of record an upload is: the bucket's policy, or what its `x-amz-meta-shosoin-*` headers say instead.
//!
//! | header | value |
//! |---|---|
//! | `x-amz-meta-shosoin-record-type` | a code of the table of record types, as in `T4-01` |
//! | `x-amz-meta-shosoin-label` | `ordinary`, `sensitive` or `restricted` |
//! | `x-amz-meta-shosoin-retention-days` | days to keep; `none` for no minimum |
//! | `x-amz-meta-shosoin-retention-start` | when the days begin, RFC 3339; without it they have not begun |
//!
//! The headers stay user metadata as well: a client reads back what it wrote.

use s3s::{S3Result, s3_error};
use shosoin_protocol::manifest::Pairs;
use shosoin_protocol::policy::{DepositPolicy, Label, RecordType, Retention};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The policy of one upload. An unknown code, label, number or date is refused, never ignored: a record filed under
/// the wrong rule would be kept too short.
pub(crate) fn of_upload(bucket: DepositPolicy, metadata: &Pairs) -> S3Result<DepositPolicy> {
    let header = |name: &str| metadata.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
    let record_type = match header("shosoin-record-type") {
        None => bucket.record_type,
        Some(code) => RecordType::from_code(code).map_err(|error| invalid("record-type", &error))?,
    };
    let label = match header("shosoin-label") {
        None => bucket.label,
        Some(name) => Label::from_name(name).map_err(|error| invalid("label", &error))?,
    };
    let retention = retention(bucket.retention, header("shosoin-retention-days"), header("shosoin-retention-start"))?;
    Ok(DepositPolicy { record_type, label, retention })
}

fn retention(bucket: Retention, days: Option<&str>, start: Option<&str>) -> S3Result<Retention> {
    let start_ms = start.map(parse_start).transpose()?;
    match (days, bucket) {
        (Some("none"), _) if start_ms.is_none() => Ok(Retention::None),
        (Some(days), _) => {
            let term_days = days.parse().map_err(|_| invalid("retention-days", &"it must be a number of days"))?;
            Ok(Retention::Term { term_days, start_ms })
        }
        (None, Retention::Term { term_days, start_ms: of_bucket }) => {
            Ok(Retention::Term { term_days, start_ms: start_ms.or(of_bucket) })
        }
        (None, Retention::None) if start_ms.is_some() => {
            Err(invalid("retention-start", &"a start needs retention-days, and the bucket has none"))
        }
        (None, Retention::None) => Ok(Retention::None),
    }
}

fn parse_start(text: &str) -> S3Result<u64> {
    let start = OffsetDateTime::parse(text, &Rfc3339).ok();
    let ms = start.and_then(|start| u64::try_from(start.unix_timestamp_nanos() / 1_000_000).ok());
    ms.ok_or_else(|| invalid("retention-start", &"it must be a time such as 2026-04-01T00:00:00Z"))
}

fn invalid(header: &str, why: &dyn std::fmt::Display) -> s3s::S3Error {
    s3_error!(InvalidArgument, "x-amz-meta-shosoin-{header}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Pairs {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn without_headers_the_bucket_decides() {
        let bucket = DepositPolicy {
            record_type: RecordType::from_code("T4-01").unwrap(),
            label: Label::Sensitive,
            retention: Retention::Term { term_days: 1826, start_ms: None },
        };
        assert_eq!(of_upload(bucket, &pairs(&[("patient-ward", "3")])).unwrap(), bucket);
    }

    #[test]
    fn headers_overrule_the_bucket_one_by_one() {
        let metadata = pairs(&[("shosoin-label", "restricted"), ("shosoin-retention-days", "3652")]);
        let policy = of_upload(DepositPolicy::default(), &metadata).unwrap();
        assert_eq!(policy.record_type, RecordType::OTHER);
        assert_eq!(policy.label, Label::Restricted);
        assert_eq!(policy.retention, Retention::Term { term_days: 3652, start_ms: None });
    }

    #[test]
    fn a_start_joins_the_days_of_the_bucket() {
        let bucket =
            DepositPolicy { retention: Retention::Term { term_days: 1, start_ms: None }, ..Default::default() };
        let metadata = pairs(&[("shosoin-retention-start", "1970-01-01T00:00:01Z")]);
        let policy = of_upload(bucket, &metadata).unwrap();
        assert_eq!(policy.retention, Retention::Term { term_days: 1, start_ms: Some(1000) });
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for wrong in [
            ("shosoin-record-type", "T9-99"),
            ("shosoin-record-type", "X-01"),
            ("shosoin-label", "secret"),
            ("shosoin-retention-days", "five years"),
            ("shosoin-retention-days", "-1"),
            ("shosoin-retention-start", "1969-01-01T00:00:00Z"),
            ("shosoin-retention-start", "2026-04-01T00:00:00Z"),
        ] {
            let error = of_upload(DepositPolicy::default(), &pairs(&[wrong])).unwrap_err();
            assert_eq!(error.code(), &s3s::S3ErrorCode::InvalidArgument, "{wrong:?}");
        }
    }
}
