//! Object tags: from the header of a put or the body of a tagging request, checked by the rules of S3.
//!
//! At most 10 tags; keys of 1 to 128 and values of up to 256 characters; each key once; none that begins with `aws:`;
//! letters, digits, space and `+ - = . _ : / @` only.

use crate::s3::Gateway;
use crate::{name, reply};
use s3s::dto::*;
use s3s::{S3Result, s3_error};
use shosoin_protocol::manifest::Pairs;

/// Tags of one object.
const TAGS_MAX: usize = 10;
const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;

/// Replaces the tags of a version.
pub(crate) async fn put(gateway: &Gateway, input: PutObjectTaggingInput) -> S3Result<PutObjectTaggingOutput> {
    let found = gateway.find_object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let tags = from_tag_set(input.tagging.tag_set)?;
    gateway.client.set_tags(&input.bucket, &input.key, Some(found.version), tags).await.map_err(reply::s3)?;
    Ok(PutObjectTaggingOutput { version_id: found.version_text() })
}

/// The tags of a version.
pub(crate) fn get(gateway: &Gateway, input: &GetObjectTaggingInput) -> S3Result<GetObjectTaggingOutput> {
    let found = gateway.find_object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let tag = |pair: &(String, String)| Tag { key: Some(pair.0.clone()), value: Some(pair.1.clone()) };
    Ok(GetObjectTaggingOutput { tag_set: found.facts.tags.iter().map(tag).collect(), version_id: found.version_text() })
}

/// Removes the tags of a version.
pub(crate) async fn delete(gateway: &Gateway, input: DeleteObjectTaggingInput) -> S3Result<DeleteObjectTaggingOutput> {
    let found = gateway.find_object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let (bucket, key) = (&input.bucket, &input.key);
    gateway.client.set_tags(bucket, key, Some(found.version), Pairs::new()).await.map_err(reply::s3)?;
    Ok(DeleteObjectTaggingOutput { version_id: found.version_text() })
}

/// From `x-amz-tagging`, which has the form of a query string.
pub(crate) fn from_header(header: Option<&str>) -> S3Result<Pairs> {
    let pairs = header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let decoded = pairs.map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((name::url_decode(key)?, name::url_decode(value)?))
    });
    let tags: Option<Pairs> = decoded.collect();
    checked(tags.ok_or_else(|| s3_error!(InvalidArgument, "The header 'x-amz-tagging' shall be encoded as UTF-8."))?)
}

fn from_tag_set(tags: TagSet) -> S3Result<Pairs> {
    checked(tags.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())).collect())
}

fn checked(mut tags: Pairs) -> S3Result<Pairs> {
    if tags.len() > TAGS_MAX {
        return Err(s3_error!(InvalidTag, "Object tags cannot be greater than {TAGS_MAX}."));
    }
    tags.sort();
    if tags.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key."));
    }
    for (key, value) in &tags {
        check_text(key, 1..=KEY_CHARS_MAX, "key")?;
        check_text(value, 0..=VALUE_CHARS_MAX, "value")?;
        if key.starts_with("aws:") {
            return Err(s3_error!(InvalidTag, "Tag keys that begin with aws: are reserved."));
        }
    }
    Ok(tags)
}

fn check_text(text: &str, chars: std::ops::RangeInclusive<usize>, what: &str) -> S3Result<()> {
    let allowed = |letter: char| letter.is_alphanumeric() || letter.is_whitespace() || "+-=._:/@".contains(letter);
    match chars.contains(&text.chars().count()) && text.chars().all(allowed) {
        true => Ok(()),
        false => Err(s3_error!(InvalidTag, "The tag {what} you have provided is invalid.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(header: &str) -> String {
        from_header(Some(header)).unwrap_err().code().as_str().to_owned()
    }

    #[test]
    fn a_header_gives_sorted_decoded_tags() {
        let tags = from_header(Some("ward=3%20east&dept=r%2Bd&empty")).unwrap();
        let expected = [("dept", "r+d"), ("empty", ""), ("ward", "3 east")];
        assert_eq!(tags, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(from_header(None).unwrap().is_empty());
    }

    #[test]
    fn tags_against_the_rules_are_invalid() {
        let eleven: Vec<String> = (0..11).map(|number| format!("k{number}=v")).collect();
        assert_eq!(code(&eleven.join("&")), "InvalidTag");
        assert_eq!(code("a=1&a=2"), "InvalidTag");
        assert_eq!(code("=1"), "InvalidTag");
        assert_eq!(code("aws:x=1"), "InvalidTag");
        assert_eq!(code(&format!("{}=v", "k".repeat(129))), "InvalidTag");
        assert_eq!(code(&format!("k={}", "v".repeat(257))), "InvalidTag");
        assert_eq!(code("k=%3Cscript%3E"), "InvalidTag");
        assert_eq!(code("k=%zz"), "InvalidArgument");
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let longest = format!("{}={}", "%E6%82%A3".repeat(128), "%E8%80%85".repeat(256));
        assert_eq!(from_header(Some(&longest)).unwrap().len(), 1);
    }
}
