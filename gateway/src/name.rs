//! Names as S3 writes them: version ids, and the URL form of names inside a listing.

use s3s::dto::EncodingType;
use s3s::validation::NameValidation;
use s3s::{S3Result, s3_error};
use shosoin_protocol::VersionId;

/// The rules for bucket names: those of `s3s`, and what S3 says besides about dots, prefixes and suffixes.
pub(crate) struct BucketNames;

impl NameValidation for BucketNames {
    fn validate_bucket_name(&self, name: &str) -> bool {
        let reserved = name.starts_with("sthree-")
            || ["-s3alias", "--ol-s3", "--x-s3", ".mrap"].iter().any(|end| name.ends_with(end));
        s3s::path::check_bucket_name(name) && !name.contains("-.") && !name.contains(".-") && !reserved
    }
}

/// What S3 calls the version that was stored while versioning was off or suspended.
pub(crate) const NULL: &str = "null";

/// Which version of a name a request speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// the newest
    Latest,
    /// the one stored while versioning was off or suspended
    Null,
    /// this one
    Version(VersionId),
}

impl Which {
    /// From `versionId`; text that never was a version id is an invalid argument, as S3 has it.
    pub(crate) fn parse(version_id: Option<&str>) -> S3Result<Self> {
        match version_id {
            None | Some("") => Ok(Which::Latest),
            Some(NULL) => Ok(Which::Null),
            Some(text) => match text.parse() {
                Ok(version) => Ok(Which::Version(version)),
                Err(_) => Err(s3_error!(InvalidArgument, "Invalid version id specified")),
            },
        }
    }
}

/// The text of a version id.
pub(crate) fn version_text(version: VersionId, null_version: bool) -> String {
    match null_version {
        true => NULL.into(),
        false => version.to_string(),
    }
}

/// How the names of one listing are written.
#[derive(Debug, Clone)]
pub(crate) struct Spelling(Option<EncodingType>);

impl Spelling {
    /// From `encoding-type`; only `url` exists.
    pub(crate) fn parse(encoding_type: Option<EncodingType>) -> S3Result<Self> {
        match encoding_type.as_ref().map(EncodingType::as_str) {
            None | Some("") => Ok(Spelling(None)),
            Some(EncodingType::URL) => Ok(Spelling(encoding_type)),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    /// What the answer says about it.
    pub(crate) fn echo(&self) -> Option<EncodingType> {
        self.0.clone()
    }

    /// A name as the answer has it.
    pub(crate) fn write(&self, name: &str) -> String {
        match self.0 {
            None => name.into(),
            Some(_) => url_encode(name),
        }
    }
}

/// Percent-encoding of S3 listings: all but unreserved letters and the slash.
fn url_encode(name: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(name.len() + 16);
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'*' | b'/' => out.push(byte.into()),
            _ => {
                out.push('%');
                out.push(HEX[usize::from(byte >> 4)].into());
                out.push(HEX[usize::from(byte & 15)].into());
            }
        }
    }
    out
}

/// The reverse, as forms and headers have it: `+` is a space. None if it is not percent-encoded UTF-8.
pub(crate) fn url_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                let mut decoded = [0];
                hex::decode_to_slice(digits, &mut decoded).ok()?;
                out.push(decoded[0]);
                rest = tail;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names_follow_the_rules_of_s3() {
        for good in ["abc", "a.b.c", "0-1-2", &"a".repeat(63)] {
            assert!(BucketNames.validate_bucket_name(good), "{good}");
        }
        for wrong in ["ab", "Abc", "a_b", "10.0.0.1", "a..b", "a-.b", "a.-b", "xn--abc", "abc-s3alias", &"a".repeat(64)]
        {
            assert!(!BucketNames.validate_bucket_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn decoding_is_the_reverse_and_refuses_what_is_not_encoded() {
        assert_eq!(url_decode("3%20east+wing").as_deref(), Some("3 east wing"));
        assert_eq!(url_decode(&url_encode("患者/+ %")).as_deref(), Some("患者/+ %"));
        for wrong in ["%", "%2", "%zz", "%ff"] {
            assert_eq!(url_decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_listing_keeps_slashes_and_encodes_plus_and_space() {
        assert_eq!(url_encode("quux ab/th+ud"), "quux%20ab/th%2Bud");
        assert_eq!(url_encode("患者"), "%E6%82%A3%E8%80%85");
    }

    #[test]
    fn version_ids_are_null_hex_or_refused() {
        assert_eq!(Which::parse(None).unwrap(), Which::Latest);
        assert_eq!(Which::parse(Some("null")).unwrap(), Which::Null);
        let version = VersionId::new(1, [0xab; 10]);
        assert_eq!(Which::parse(Some(&version.to_string())).unwrap(), Which::Version(version));
        for wrong in ["NULL", "abc", "00", &version.to_string().to_uppercase()] {
            assert_eq!(Which::parse(Some(wrong)).unwrap_err().code(), &s3s::S3ErrorCode::InvalidArgument, "{wrong}");
        }
    }

    #[test]
    fn only_url_is_an_encoding() {
        assert!(Spelling::parse(Some(EncodingType::from_static("base64"))).is_err());
        let spelling = Spelling::parse(Some(EncodingType::from_static(EncodingType::URL))).unwrap();
        assert_eq!(spelling.write("a b"), "a%20b");
        assert_eq!(Spelling::parse(None).unwrap().write("a b"), "a b");
    }
}
