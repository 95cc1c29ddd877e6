//! What kind of record an upload is: the bucket's policy, or what its `x-amz-meta-shosoin-*` headers say beyond it.
//!
//! | header | value |
//! |---|---|
//! | `x-amz-meta-shosoin-record-type` | a code of the table of record types, as in `T4-01` |
//! | `x-amz-meta-shosoin-label` | `ordinary`, `sensitive` or `restricted` |
//! | `x-amz-meta-shosoin-retention-days` | days to keep; `none` for no minimum |
//! | `x-amz-meta-shosoin-retention-start` | when the days begin, RFC 3339; without it they have not begun |
//!
//! The headers stay user metadata as well: a client reads back what it wrote.
//!
//! Invariant: a label is never lower and a retention never shorter than the bucket's, nor, for a copy, than the source's
//! (guideline 7.6.8-M2c). Whoever asks for less gets the bucket's; whoever asks for more gets more.

use s3s::{S3Result, s3_error};
use shosoin_protocol::manifest::Pairs;
use shosoin_protocol::policy::{DepositPolicy, Label, RecordType, Retention};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

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
    Ok(no_lower_than(bucket, DepositPolicy { record_type, label, retention }))
}

/// The policy of a copy: as of an upload, and never below its source.
pub(crate) fn of_copy(bucket: DepositPolicy, source: DepositPolicy, metadata: &Pairs) -> S3Result<DepositPolicy> {
    Ok(no_lower_than(source, of_upload(bucket, metadata)?))
}

/// The policy of an upload in parts when it completes: the bucket's may have been raised since it began. A label cannot be, for
/// the parts were sealed under the lower one.
pub(crate) fn of_completed(bucket: DepositPolicy, upload: DepositPolicy) -> S3Result<DepositPolicy> {
    match bucket.label > upload.label {
        false => Ok(no_lower_than(bucket, upload)),
        true => Err(s3_error!(
            InvalidRequest,
            "The bucket's records are labelled {} since the upload began: abort it and begin again.",
            bucket.label.name()
        )),
    }
}

/// `policy`, raised where it is below `floor`.
pub(crate) fn no_lower_than(floor: DepositPolicy, policy: DepositPolicy) -> DepositPolicy {
    let retention = no_shorter_than(floor.retention, policy.retention);
    DepositPolicy { label: policy.label.max(floor.label), retention, ..policy }
}

/// `asked`, or what keeps at least as long as `floor`. A floor without a start says how many days, and leaves it to the
/// hospital to say when they begin; one with a start says until when.
fn no_shorter_than(floor: Retention, asked: Retention) -> Retention {
    let (Retention::Term { term_days: least, start_ms: from }, Retention::Term { term_days, start_ms }) =
        (floor, asked)
    else {
        return if asked == Retention::None { floor } else { asked };
    };
    let end = |days: u32, start_ms: u64| start_ms.saturating_add(u64::from(days).saturating_mul(DAY_MS));
    match (from, start_ms) {
        (Some(from), Some(start)) if end(term_days, start) < end(least, from) => floor,
        (Some(_), Some(_)) => asked,
        (_, start_ms) => Retention::Term { term_days: term_days.max(least), start_ms },
    }
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
    fn no_header_shortens_the_retention_or_lowers_the_label_of_the_bucket() {
        let term = |term_days, start_ms| Retention::Term { term_days, start_ms };
        let of = |retention, headers: &[(&str, &str)]| {
            let bucket = DepositPolicy { label: Label::Sensitive, retention, ..Default::default() };
            of_upload(bucket, &pairs(headers)).unwrap()
        };
        assert_eq!(of(term(1826, None), &[("shosoin-retention-days", "none")]).retention, term(1826, None));
        assert_eq!(of(term(1826, None), &[("shosoin-retention-days", "30")]).retention, term(1826, None));
        assert_eq!(of(term(1826, None), &[("shosoin-retention-days", "3652")]).retention, term(3652, None));
        let early = [("shosoin-retention-days", "1826"), ("shosoin-retention-start", "1970-01-01T00:00:00Z")];
        let bound = term(1826, Some(1_700_000_000_000));
        assert_eq!(of(bound, &early).retention, bound, "the same days from an earlier start end earlier");
        let late = [("shosoin-retention-days", "1"), ("shosoin-retention-start", "2100-01-01T00:00:00Z")];
        assert_eq!(of(bound, &late).retention, term(1, Some(4_102_444_800_000)), "it ends later, so it may");
        assert_eq!(of(term(1, None), &[("shosoin-label", "ordinary")]).label, Label::Sensitive);
        assert_eq!(of(term(1, None), &[("shosoin-label", "restricted")]).label, Label::Restricted);
    }

    #[test]
    fn a_copy_keeps_the_label_and_the_retention_of_its_source_7_6_8_m2c() {
        let source = DepositPolicy {
            label: Label::Restricted,
            retention: Retention::Term { term_days: 3652, start_ms: Some(5) },
            ..Default::default()
        };
        let lower = pairs(&[("shosoin-label", "ordinary"), ("shosoin-retention-days", "1")]);
        for metadata in [pairs(&[]), lower] {
            let copied = of_copy(DepositPolicy::default(), source, &metadata).unwrap();
            assert_eq!(copied.label, Label::Restricted);
            let kept = [source.retention, Retention::Term { term_days: 3652, start_ms: None }];
            assert!(kept.contains(&copied.retention), "{copied:?}");
        }
    }

    #[test]
    fn an_upload_in_parts_completes_under_what_the_bucket_asks_by_then() {
        let term = |term_days| Retention::Term { term_days, start_ms: None };
        let of = |label, retention| DepositPolicy { label, retention, ..Default::default() };
        let upload = of(Label::Sensitive, term(10));
        assert_eq!(of_completed(of(Label::Ordinary, term(20)), upload).unwrap(), of(Label::Sensitive, term(20)));
        assert_eq!(of_completed(of(Label::Sensitive, Retention::None), upload).unwrap(), upload);
        assert!(of_completed(of(Label::Restricted, term(1)), upload).is_err());
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
