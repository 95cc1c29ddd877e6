//! What S3 keeps beside the bytes: system headers and user metadata, from requests into facts and back.

use crate::reply;
use s3s::dto::{Metadata, Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};
use shosoin_protocol::limits::{HEADERS_BYTES_MAX, PAIRS_MAX, USER_METADATA_BYTES_MAX};
use shosoin_protocol::manifest::Pairs;

/// What an object without a content type has.
const CONTENT_TYPE_DEFAULT: &str = "binary/octet-stream";
/// Content coding of a signed upload in chunks; it ends at the gateway and is not a property of the object.
const AWS_CHUNKED: &str = "aws-chunked";

/// The system headers of a request, by the fields that put, copy and multipart inputs share.
macro_rules! system_headers {
    ($input:expr) => {
        $crate::headers::collect([
            ("cache-control", $input.cache_control.take()),
            ("content-disposition", $input.content_disposition.take()),
            ("content-encoding", $input.content_encoding.take()),
            ("content-language", $input.content_language.take()),
            ("content-type", $input.content_type.take()),
            ("expires", $crate::headers::expires_text($input.expires.take())),
            ("x-amz-website-redirect-location", $input.website_redirect_location.take()),
        ])
    };
}
pub(crate) use system_headers;

/// Puts facts into the fields that the answers to get and head share.
macro_rules! answer_headers {
    ($output:expr, $facts:expr) => {{
        let header = |name: &str| $crate::headers::value(&$facts.headers, name);
        $output.cache_control = header("cache-control");
        $output.content_disposition = header("content-disposition");
        $output.content_encoding = header("content-encoding");
        $output.content_language = header("content-language");
        $output.content_type = Some($crate::headers::content_type(&$facts.headers));
        $output.expires = $crate::headers::expires(&$facts.headers);
        $output.website_redirect_location = header("x-amz-website-redirect-location");
        $output.metadata = Some($crate::signature::metadata($facts));
    }};
}
pub(crate) use answer_headers;

/// See [`system_headers`]: sorted by name, each no longer than the format allows.
pub(crate) fn collect(headers: [(&str, Option<String>); 7]) -> S3Result<Pairs> {
    let mut kept = Pairs::new();
    for (name, value) in headers {
        let Some(value) = value.and_then(|value| kept_value(name, value)) else { continue };
        kept.push((name.into(), value));
    }
    match bytes_of(&kept) > HEADERS_BYTES_MAX {
        true => Err(s3_error!(InvalidArgument, "The system headers are longer than {HEADERS_BYTES_MAX} bytes.")),
        false => Ok(kept),
    }
}

fn kept_value(name: &str, value: String) -> Option<String> {
    if name != "content-encoding" || !value.contains(AWS_CHUNKED) {
        return Some(value);
    }
    let codings: Vec<&str> = value.split(',').map(str::trim).filter(|coding| *coding != AWS_CHUNKED).collect();
    Some(codings.join(",")).filter(|rest| !rest.is_empty())
}

/// User metadata, sorted; over 2 KiB is `MetadataTooLarge`.
pub(crate) fn user_metadata(metadata: Option<Metadata>) -> S3Result<Pairs> {
    let mut pairs: Pairs = metadata.unwrap_or_default().into_iter().collect();
    pairs.sort();
    match bytes_of(&pairs) > USER_METADATA_BYTES_MAX || pairs.len() > PAIRS_MAX {
        true => Err(s3_error!(MetadataTooLarge, "Your metadata headers exceed the maximum allowed metadata size.")),
        false => Ok(pairs),
    }
}

fn bytes_of(pairs: &Pairs) -> usize {
    pairs.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// One header.
pub(crate) fn value(headers: &Pairs, name: &str) -> Option<String> {
    headers.iter().find(|pair| pair.0 == name).map(|pair| pair.1.clone())
}

/// The content type, which every object has.
pub(crate) fn content_type(headers: &Pairs) -> String {
    value(headers, "content-type").unwrap_or_else(|| CONTENT_TYPE_DEFAULT.into())
}

/// `Expires` as it is kept: the text of HTTP.
pub(crate) fn expires_text(expires: Option<Timestamp>) -> Option<String> {
    let seconds = time::OffsetDateTime::from(expires?).unix_timestamp();
    let value = reply::http_date(u64::try_from(seconds).ok()?.checked_mul(1000)?)?;
    value.to_str().ok().map(str::to_owned)
}

/// `Expires` as an answer has it.
pub(crate) fn expires(headers: &Pairs) -> Option<Timestamp> {
    Timestamp::parse(TimestampFormat::HttpDate, &value(headers, "expires")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coding_of_the_transfer_is_not_kept() {
        let kept = |text: &str| kept_value("content-encoding", text.into());
        assert_eq!(kept("gzip, aws-chunked").as_deref(), Some("gzip"));
        assert_eq!(kept("aws-chunked,gzip").as_deref(), Some("gzip"));
        assert_eq!(kept("aws-chunked, aws-chunked"), None);
        assert_eq!(kept("deflate, gzip").as_deref(), Some("deflate, gzip"));
    }

    #[test]
    fn expires_comes_back_as_it_was_sent() {
        let sent = Timestamp::parse(TimestampFormat::HttpDate, "Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let kept = vec![("expires".to_owned(), expires_text(Some(sent.clone())).unwrap())];
        assert_eq!(expires(&kept), Some(sent));
    }

    #[test]
    fn metadata_over_two_kib_is_too_large() {
        let of = |len: usize| Some(Metadata::from([("k".to_owned(), "v".repeat(len))]));
        assert_eq!(user_metadata(of(2047)).unwrap().len(), 1);
        assert_eq!(user_metadata(of(2048)).unwrap_err().code(), &s3s::S3ErrorCode::MetadataTooLarge);
    }

    #[test]
    fn an_object_without_a_content_type_has_the_one_of_s3() {
        assert_eq!(content_type(&Pairs::new()), "binary/octet-stream");
    }
}
