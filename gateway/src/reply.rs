//! From our failures and times to those of S3.

use crate::name::version_text;
use http::HeaderValue;
use s3s::dto::Timestamp;
use s3s::{S3Error, S3ErrorCode, s3_error};
use shosoin_client::Error;
use shosoin_client::scan::ScanError;
use shosoin_protocol::{ErrorKind, VersionId, api};
use std::time::{Duration, UNIX_EPOCH};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// Date of HTTP (RFC 9110, IMF-fixdate).
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Code for a document signature that cannot be read.
const INVALID_DOCUMENT_SIGNATURE: &str = "InvalidDocumentSignature";

/// Date of a signature of version 4.
const AMZ_DATE: &[BorrowedFormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");

/// A failure of the client library, as S3 tells it. The cause goes to the log; failures of the client hold no names of
/// objects, so what a person can act on may go to the caller.
pub(crate) fn s3(error: Error) -> S3Error {
    tell(&error)
}

fn tell(error: &Error) -> S3Error {
    match error {
        Error::Shared(error) => tell(error),
        Error::NoSuchBucket { .. } => no_such_bucket(),
        Error::NoSuchName { .. } => no_such_key(),
        Error::NoSuchVersion { .. } | Error::WasDisposed { .. } => no_such_version(),
        Error::BucketExists { .. } => already_owned(),
        Error::BucketNotEmpty { .. } => s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty."),
        Error::KeepingRule { .. } => s3_error!(AccessDenied, "{}.", sentence(error)),
        Error::Precondition => crate::conditions::failed(),
        // Metadata and tags are measured before the client library sees them, and names but for those of a multi-delete;
        // what is left is content.
        Error::OverLimit { what: "name", .. } => s3_error!(KeyTooLongError, "Your key is too long"),
        Error::OverLimit { .. } => S3Error::with_message(S3ErrorCode::EntityTooLarge, error.to_string()),
        Error::Invalid { .. } => S3Error::with_message(S3ErrorCode::InvalidArgument, error.to_string()),
        Error::Scan(source) => scan(source),
        Error::DocumentSignature { .. } | Error::UntrustedSigner { .. } => document(error),
        Error::NotAgreed { .. } => agreed(api::code::NOT_AGREED, error),
        Error::Vault(problem) if is_of_agreement(&problem.code) => agreed(&problem.code, error),
        Error::IsMarker { .. } => s3_error!(MethodNotAllowed, "The specified version is a delete marker."),
        _ => other(error),
    }
}

/// What is not the caller's doing. A record that the ledger has and the vault has not is damage, never `NoSuchKey`: a
/// caller would take that for a delete. A vault that refuses this gateway is an outage, never `AccessDenied`: the
/// caller's key is good.
fn other(error: &Error) -> S3Error {
    tracing::error!(kind = error.kind().name(), error = error as &dyn std::error::Error, "a request failed");
    if error.is_problem(api::code::NO_WRITABLE_MEDIA) {
        return s3_error!(ServiceUnavailable, "The vault cannot write to enough volumes; nothing was changed.");
    }
    match (error.kind(), error) {
        (_, Error::State { .. } | Error::View(_)) => {
            s3_error!(ServiceUnavailable, "The gateway's own disk failed; its log says how. Nothing was changed.")
        }
        (_, Error::Unconfirmed { .. }) => {
            refused("GatewayReadOnly", http::StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        }
        (_, Error::Head { .. } | Error::WrongVault { .. }) => {
            s3_error!(ServiceUnavailable, "The gateway refuses its vault, which contradicts itself; its log says how.")
        }
        (ErrorKind::NotFound | ErrorKind::Damaged, _) => {
            s3_error!(InternalError, "The record cannot be given: {error}.")
        }
        (ErrorKind::Unavailable, Error::Vault(_)) => {
            s3_error!(ServiceUnavailable, "The vault cannot do this now, please try again: {error}.")
        }
        (ErrorKind::Unavailable, _) => {
            s3_error!(ServiceUnavailable, "The vault cannot be reached; please try again.")
        }
        (ErrorKind::Refused, _) => {
            s3_error!(ServiceUnavailable, "The vault refuses this gateway; its log says why: {error}.")
        }
        (ErrorKind::Unsupported, _) => {
            s3_error!(NotImplemented, "The record is of a newer format than this release reads.")
        }
        (ErrorKind::Invalid | ErrorKind::Bug, _) => s3_error!(InternalError, "We encountered an internal error."),
    }
}

fn is_of_agreement(code: &str) -> bool {
    [api::code::NO_AGREEMENT, api::code::NOT_AGREED, api::code::OVER_QUOTA, api::code::MALWARE_REPORT].contains(&code)
}

/// What hospital and operator did not agree on: to send it again does not help.
fn agreed(code: &str, error: &Error) -> S3Error {
    let name = match code {
        api::code::NO_AGREEMENT => "NoAgreement",
        api::code::OVER_QUOTA => "QuotaExceeded",
        api::code::MALWARE_REPORT => "MalwareReportRefused",
        _ => "NotAgreed",
    };
    refused(name, http::StatusCode::FORBIDDEN, sentence(error))
}

/// What the scanner let not through. Nothing of it was deposited; the status says whether the content is to blame (403) or
/// the scanner (424), and SDKs repeat neither by themselves.
fn scan(error: &ScanError) -> S3Error {
    let (name, status) = match error {
        ScanError::Infected { .. } => ("MalwareDetected", http::StatusCode::FORBIDDEN),
        ScanError::TooLong { .. } => ("NotScannable", http::StatusCode::FORBIDDEN),
        ScanError::Outdated { .. } | ScanError::NoDate => ("ScannerOutdated", http::StatusCode::FAILED_DEPENDENCY),
        _ => ("ScannerUnavailable", http::StatusCode::FAILED_DEPENDENCY),
    };
    tracing::warn!(error = error as &dyn std::error::Error, "an upload was not called clean");
    refused(name, status, format!("Nothing was stored: {}.", sentence(error)))
}

/// A document with a signature that does not hold over it, that cannot be read, or whose signer is not trusted.
fn document(error: &Error) -> S3Error {
    let (name, status) = match error.kind() {
        ErrorKind::Damaged => ("DocumentSignatureDoesNotMatch", http::StatusCode::BAD_REQUEST),
        ErrorKind::Refused => ("SignerNotTrusted", http::StatusCode::FORBIDDEN),
        _ => (INVALID_DOCUMENT_SIGNATURE, http::StatusCode::BAD_REQUEST),
    };
    tracing::warn!(error = error as &dyn std::error::Error, "a document was refused for its signature");
    refused(name, status, format!("Nothing was stored: {}.", sentence(error)))
}

/// A refusal that S3 has no code for.
fn refused(code: &'static str, status: http::StatusCode, message: String) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

/// An error with its causes.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// `NoSuchBucket`.
pub(crate) fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "The specified bucket does not exist.")
}

/// `NoSuchKey`.
pub(crate) fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

/// A header that is no signature.
pub(crate) fn no_signature(why: &str) -> S3Error {
    refused(INVALID_DOCUMENT_SIGNATURE, http::StatusCode::BAD_REQUEST, format!("Nothing was stored: {why}."))
}

/// A record whose signature is asked for, and that has none.
pub(crate) fn no_such_signature() -> S3Error {
    let message = "The document was stored without a signature.";
    refused("NoSuchSignature", http::StatusCode::NOT_FOUND, message.to_owned())
}

/// `NoSuchVersion`.
pub(crate) fn no_such_version() -> S3Error {
    s3_error!(NoSuchVersion, "The specified version does not exist.")
}

/// `BucketAlreadyOwnedByYou`.
pub(crate) fn already_owned() -> S3Error {
    s3_error!(BucketAlreadyOwnedByYou, "The bucket exists already, and it is yours.")
}

/// `NotImplemented`, for a feature by its name.
pub(crate) fn not_implemented(feature: &str) -> S3Error {
    s3_error!(NotImplemented, "{feature} is not supported by this store.")
}

/// The answer for a name whose newest version, or the version asked for, is a delete marker.
pub(crate) fn is_marker(version: VersionId, null_version: bool, asked_for: bool) -> S3Error {
    let mut error = match asked_for {
        true => s3_error!(MethodNotAllowed, "The specified version is a delete marker."),
        false => no_such_key(),
    };
    let mut headers = http::HeaderMap::new();
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    if let Ok(value) = HeaderValue::from_str(&version_text(version, null_version)) {
        headers.insert("x-amz-version-id", value);
    }
    if asked_for {
        headers.insert(http::header::ALLOW, HeaderValue::from_static("DELETE"));
    }
    error.set_headers(headers);
    error
}

/// A time as the structures of `s3s` have it.
pub(crate) fn timestamp(ms: u64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_millis(ms))
}

/// A time as a header value.
pub(crate) fn http_date(ms: u64) -> Option<HeaderValue> {
    let text = OffsetDateTime::from(UNIX_EPOCH + Duration::from_millis(ms)).format(HTTP_DATE).ok()?;
    HeaderValue::from_str(&text).ok()
}

/// `x-amz-date` for a `Date`, if that is one: SDKs write the zone as `GMT` or as `-0000`.
pub(crate) fn amz_date(date: &str) -> Option<HeaderValue> {
    let at = OffsetDateTime::parse(date, &Rfc2822).ok()?.to_offset(UtcOffset::UTC);
    HeaderValue::from_str(&at.format(AMZ_DATE).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_form_of_http() {
        assert_eq!(http_date(784_111_777_000).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn a_date_of_any_zone_gives_the_date_of_a_signature() {
        for date in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 -0000", "Sun, 06 Nov 1994 17:49:37 +0900"]
        {
            assert_eq!(amz_date(date).unwrap(), "19941106T084937Z", "{date}");
        }
        assert_eq!(amz_date("19941106T084937Z"), None);
    }

    #[test]
    fn a_marker_answers_not_found_or_not_allowed_and_says_that_it_is_one() {
        let latest = is_marker(VersionId([1; 16]), false, false);
        assert_eq!(latest.code(), &S3ErrorCode::NoSuchKey);
        assert_eq!(latest.headers().unwrap()["x-amz-delete-marker"], "true");
        let asked = is_marker(VersionId([1; 16]), true, true);
        assert_eq!(asked.code(), &S3ErrorCode::MethodNotAllowed);
        assert_eq!(asked.headers().unwrap()["x-amz-version-id"], "null");
    }

    fn problem(kind: ErrorKind, code: &str) -> Error {
        Error::Vault(api::Problem { kind: kind.name().into(), code: code.into(), message: "it says".into() })
    }

    #[test]
    fn a_failure_names_what_failed() {
        let text = |error: Error| s3(error).message().unwrap_or_default().to_owned();
        let disk = Error::State { path: "/state".into(), source: std::io::ErrorKind::StorageFull.into() };
        assert!(text(disk).contains("gateway's own disk"));
        let heads = (String::new(), String::new());
        let head = Error::Head { why: "forked", remembered: heads.0, offered: heads.1, evidence: None };
        assert!(text(head).contains("gateway refuses its vault"));
        assert!(text(problem(ErrorKind::Refused, api::code::CLOCK_SKEW)).contains("clock-skew"));
        assert!(text(problem(ErrorKind::Unavailable, "busy")).contains("it says"));
    }

    #[test]
    fn every_failure_of_the_client_has_its_s3_code() {
        let bucket = || String::from("b");
        let version = VersionId([1; 16]);
        let cases = [
            (Error::NoSuchBucket { bucket: bucket() }, S3ErrorCode::NoSuchBucket),
            (Error::NoSuchName { bucket: bucket() }, S3ErrorCode::NoSuchKey),
            (Error::NoSuchVersion { bucket: bucket(), version }, S3ErrorCode::NoSuchVersion),
            (Error::BucketExists { bucket: bucket() }, S3ErrorCode::BucketAlreadyOwnedByYou),
            (Error::BucketNotEmpty { bucket: bucket() }, S3ErrorCode::BucketNotEmpty),
            (Error::Precondition, S3ErrorCode::PreconditionFailed),
            (Error::OverLimit { what: "content", found: 2, limit: 1 }, S3ErrorCode::EntityTooLarge),
            (Error::OverLimit { what: "name", found: 1025, limit: 1024 }, S3ErrorCode::KeyTooLongError),
            (Error::Invalid { what: "range", why: "it is empty" }, S3ErrorCode::InvalidArgument),
            (Error::IsMarker { version }, S3ErrorCode::MethodNotAllowed),
            (Error::Damaged { version, why: "a chunk".into() }, S3ErrorCode::InternalError),
            (Error::Closing, S3ErrorCode::ServiceUnavailable),
            (problem(ErrorKind::NotFound, api::code::NOT_FOUND), S3ErrorCode::InternalError),
            (problem(ErrorKind::Damaged, api::code::UNREADABLE), S3ErrorCode::InternalError),
            (problem(ErrorKind::Refused, api::code::UNKNOWN_DEVICE), S3ErrorCode::ServiceUnavailable),
            (problem(ErrorKind::Unavailable, api::code::NO_WRITABLE_MEDIA), S3ErrorCode::ServiceUnavailable),
            (Error::Shared(std::sync::Arc::new(Error::Precondition)), S3ErrorCode::PreconditionFailed),
        ];
        for (error, code) in cases {
            assert_eq!(s3(error).code(), &code);
        }
    }
}
