//! Copies: of an object, and of a range into a part of an upload. Chunks that are in the vault are named again, not
//! moved, wherever the target seals alike.

use crate::checksum::{self, Hasher, answer_in};
use crate::conditions::{Conditions, source_conditions};
use crate::headers::{system_headers, user_metadata};
use crate::lock::{self, Asked, asked_lock};
use crate::multipart::{part_number, refuse_customer_key};
use crate::s3::{Found, Gateway, written_version};
use crate::unsupported::{refuse_given, refuse_options};
use crate::uploads::StoredPart;
use crate::{policy, reply, signature, tagging};
use futures::StreamExt;
use s3s::dto::*;
use s3s::{S3Result, s3_error};
use shosoin_client::{NewObject, OpenObject, now_ms};
use shosoin_protocol::limits::PART_BYTES_MAX;
use shosoin_protocol::manifest::{Checksum as KeptChecksum, ChecksumAlgorithm as Algorithm};
use shosoin_protocol::policy::{DepositPolicy, Label};
use std::ops::Range;

/// The version a copy reads.
struct Source {
    bucket: String,
    name: String,
    /// an older version was asked for by its id
    by_version: bool,
    found: Found,
}

impl Source {
    fn find(gateway: &Gateway, asked: CopySource, conditions: &Conditions) -> S3Result<Self> {
        let CopySource::Bucket { bucket, key, version_id } = asked else {
            return Err(reply::not_implemented("Copying from an access point"));
        };
        let found = gateway.find_object(&bucket, &key, version_id.as_deref())?;
        conditions.check_source(&found.etag, found.facts.modified_ms)?;
        Ok(Source { bucket: bucket.into(), name: key.into(), by_version: version_id.is_some(), found })
    }

    /// What keeps the source by now: its deposit, and what the hospital said since.
    fn kept(&self, gateway: &Gateway) -> S3Result<(DepositPolicy, u64)> {
        let keeping = gateway.client.keeping(self.found.version).map_err(reply::s3)?;
        let keeping = keeping.ok_or_else(reply::no_such_version)?;
        Ok((DepositPolicy { retention: keeping.retention(), ..keeping.policy }, keeping.kept.until_ms))
    }

    async fn open(&self, gateway: &Gateway) -> S3Result<OpenObject> {
        gateway.client.open_object(&self.bucket, &self.name, Some(self.found.version)).await.map_err(reply::s3)
    }
}

/// `CopyObject`.
pub(crate) async fn object(gateway: &Gateway, mut input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
    refuse_options!(input);
    refuse_customer_key(input.copy_source_sse_customer_key.is_some())?;
    let bucket = gateway.bucket(&input.bucket)?;
    let asked = asked_lock!(input, &bucket)?;
    let source = Source::find(gateway, input.copy_source.clone(), &source_conditions!(input))?;
    refuse_no_change(&input, &source)?;
    if source.found.facts.size_bytes > PART_BYTES_MAX {
        return Err(s3_error!(
            InvalidRequest,
            "The copy source is larger than the maximum size of {PART_BYTES_MAX} bytes."
        ));
    }
    let cms = later_signature(&mut input, &source)?;
    let mut new = described(&mut input, &source)?;
    let opened = source.open(gateway).await?;
    let (of_source, until_ms) = source.kept(gateway)?;
    let policy = policy::of_copy(bucket.policy, of_source, &new.metadata)?;
    new.policy = Some(policy);
    new.signature = match cms {
        Some(cms) => Some(opened.check_signature(&gateway.client, &cms).await.map_err(reply::s3)?),
        None => opened.carried_signature(),
    };
    let algorithm = input.checksum_algorithm.as_ref().map(|asked| checksum::algorithm(asked.as_str())).transpose()?;
    new.checksum = checksum_of_copy(&opened, algorithm).await?;
    let parts = opened.copy_parts(&bucket, policy.label).await.map_err(reply::s3)?;
    let count = parts.len();
    let asked = Asked { until_ms, ..asked };
    let stored = lock::deposit(gateway, &bucket, asked, new, parts, shosoin_client::Condition::Any).await?;
    let mut result = CopyObjectResult {
        e_tag: Some(ETag::Strong(stored.etag)),
        last_modified: Some(reply::timestamp(stored.facts.modified_ms)),
        ..Default::default()
    };
    if let Some(checksum) = &stored.facts.checksum {
        result.checksum_type = Some(checksum::type_of(checksum.full_object));
        answer_in!(result, checksum.algorithm, checksum::text(checksum, count));
    }
    Ok(CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: source.found.version_text(),
        version_id: written_version(stored.version, stored.facts.null_version),
        ..Default::default()
    })
}

/// A copy of an object to itself must change something, or name an older version to bring back.
fn refuse_no_change(input: &CopyObjectInput, source: &Source) -> S3Result<()> {
    let same = source.bucket == input.bucket && source.name == input.key && !source.by_version;
    let changed = replaces(input.metadata_directive.as_ref().map(MetadataDirective::as_str))?
        || input.website_redirect_location.is_some()
        || input.storage_class.is_some()
        || input.server_side_encryption.is_some();
    match same && !changed {
        false => Ok(()),
        true => Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes."
        )),
    }
}

/// A signature that comes after its document, with a copy that replaces the metadata. The one that is there already is kept
/// without being told, and a client that tells it, as it was read, changes nothing.
fn later_signature(input: &mut CopyObjectInput, source: &Source) -> S3Result<Option<Vec<u8>>> {
    let there = source.found.facts.signature.as_ref().map(|signature| signature.cms.as_slice());
    let cms = signature::take(&mut input.metadata)?.filter(|cms| there != Some(cms));
    match cms.is_some() && !replaces(input.metadata_directive.as_ref().map(MetadataDirective::as_str))? {
        false => Ok(cms),
        true => {
            Err(s3_error!(InvalidRequest, "A signature comes with a copy whose x-amz-metadata-directive is REPLACE."))
        }
    }
}

fn replaces(directive: Option<&str>) -> S3Result<bool> {
    match directive {
        None | Some(MetadataDirective::COPY) => Ok(false),
        Some(MetadataDirective::REPLACE) => Ok(true),
        Some(_) => Err(s3_error!(InvalidArgument, "A directive is COPY or REPLACE.")),
    }
}

/// What the copy will be: described by the request, or as its source is.
fn described(input: &mut CopyObjectInput, source: &Source) -> S3Result<NewObject> {
    let facts = &source.found.facts;
    let redirect = input.website_redirect_location.clone();
    let (headers, metadata) = match replaces(input.metadata_directive.as_ref().map(MetadataDirective::as_str))? {
        true => (system_headers!(input)?, user_metadata(input.metadata.take())?),
        false => {
            let mut headers = facts.headers.clone();
            headers.retain(|header| header.0 != "x-amz-website-redirect-location");
            headers.extend(redirect.map(|to| ("x-amz-website-redirect-location".to_owned(), to)));
            (headers, facts.metadata.clone())
        }
    };
    let tags = match replaces(input.tagging_directive.as_ref().map(TaggingDirective::as_str))? {
        true => tagging::from_header(input.tagging.as_deref())?,
        false => facts.tags.clone(),
    };
    Ok(NewObject {
        bucket: input.bucket.clone(),
        name: input.key.clone(),
        headers,
        metadata,
        tags,
        multipart: facts.multipart,
        ..NewObject::default()
    })
}

/// The source's checksum where it is of the algorithm asked for; else the bytes are read for it.
async fn checksum_of_copy(opened: &OpenObject, asked: Option<Algorithm>) -> S3Result<Option<KeptChecksum>> {
    let kept = opened.facts().checksum.as_ref();
    match asked {
        Some(asked) if kept.is_none_or(|kept| kept.algorithm != asked) => {
            read_checksum(opened, 0..opened.facts().size_bytes, asked).await.map(Some)
        }
        _ => Ok(kept.cloned()),
    }
}

async fn read_checksum(opened: &OpenObject, range: Range<u64>, algorithm: Algorithm) -> S3Result<KeptChecksum> {
    let mut hasher = Hasher::new(algorithm);
    let mut bytes = opened.read(range);
    while let Some(frame) = bytes.next().await {
        hasher.update(&frame.map_err(reply::s3)?);
    }
    Ok(hasher.finish())
}

/// `UploadPartCopy`.
pub(crate) async fn part(gateway: &Gateway, mut input: UploadPartCopyInput) -> S3Result<UploadPartCopyOutput> {
    refuse_customer_key(input.sse_customer_key.is_some() || input.copy_source_sse_customer_key.is_some())?;
    refuse_given("Encryption with a key of the client", input.sse_customer_algorithm.is_some())?;
    let number = part_number(input.part_number)?;
    let (id, upload) = gateway.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let bucket = gateway.bucket(&input.bucket)?;
    let source = Source::find(gateway, input.copy_source.clone(), &source_conditions!(input))?;
    let range = source_range(input.copy_source_range.as_deref(), source.found.facts.size_bytes)?;
    let opened = source.open(gateway).await?;
    let (of_source, until_ms) = source.kept(gateway)?;
    refuse_lower_label(upload.policy.label, of_source.label)?;
    gateway.raise_upload(&id, of_source, until_ms).await?;
    let checksum = match upload.checksum {
        Some((algorithm, _)) => Some(read_checksum(&opened, range.clone(), algorithm).await?),
        None => None,
    };
    let content = opened.copy_range(range, &bucket, upload.policy.label).await.map_err(reply::s3)?;
    let part = StoredPart { uploaded_ms: now_ms(), checksum, content };
    let mut result = CopyPartResult {
        e_tag: Some(ETag::Strong(part.etag())),
        last_modified: Some(reply::timestamp(part.uploaded_ms)),
        ..Default::default()
    };
    if let Some(checksum) = &part.checksum {
        answer_in!(result, checksum.algorithm, checksum::text(checksum, 1));
    }
    gateway.keep_part(id, number, part).await?;
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: source.found.version_text(),
        ..Default::default()
    })
}

/// What an upload is labelled is decided when it begins, so a source above that cannot become a part of it.
fn refuse_lower_label(upload: Label, source: Label) -> S3Result<()> {
    match source > upload {
        false => Ok(()),
        true => Err(s3_error!(
            InvalidRequest,
            "The copy source is labelled {}, the upload {}: begin the upload with x-amz-meta-shosoin-label {}.",
            source.name(),
            upload.name(),
            source.name()
        )),
    }
}

/// `x-amz-copy-source-range`: `bytes=first-last`, both given, both inside the source.
fn source_range(text: Option<&str>, size_bytes: u64) -> S3Result<Range<u64>> {
    let range = match text {
        None => 0..size_bytes,
        Some(text) => {
            let (first, last) = parse_range(text).ok_or_else(|| {
                s3_error!(InvalidArgument, "The x-amz-copy-source-range value must be of the form bytes=first-last.")
            })?;
            if last >= size_bytes {
                return Err(s3_error!(InvalidRange, "The copy range is not within the source of {size_bytes} bytes."));
            }
            first..last + 1
        }
    };
    match range.end - range.start > PART_BYTES_MAX {
        true => Err(s3_error!(InvalidRequest, "A part is at most {PART_BYTES_MAX} bytes.")),
        false => Ok(range),
    }
}

fn parse_range(text: &str) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (first, last) = (digits(first).then(|| first.parse().ok())??, digits(last).then(|| last.parse().ok())??);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_range_names_both_ends_inside_the_source() {
        assert_eq!(source_range(Some("bytes=0-9"), 10).unwrap(), 0..10);
        assert_eq!(source_range(None, 10).unwrap(), 0..10);
        assert_eq!(source_range(Some("bytes=0-10"), 10).unwrap_err().code(), &s3s::S3ErrorCode::InvalidRange);
        for wrong in ["0-2", "bytes=0", "bytes=hello-world", "bytes=0-bar", "bytes=2-1", "bytes=0-2,3-5", "bytes=+1-2"]
        {
            assert_eq!(
                source_range(Some(wrong), 10).unwrap_err().code(),
                &s3s::S3ErrorCode::InvalidArgument,
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_part_is_not_copied_into_an_upload_with_a_lower_label_than_its_source() {
        assert!(refuse_lower_label(Label::Sensitive, Label::Ordinary).is_ok());
        assert!(refuse_lower_label(Label::Sensitive, Label::Sensitive).is_ok());
        assert!(refuse_lower_label(Label::Sensitive, Label::Restricted).is_err());
    }

    #[test]
    fn a_directive_is_copy_or_replace() {
        assert!(!replaces(None).unwrap() && !replaces(Some("COPY")).unwrap() && replaces(Some("REPLACE")).unwrap());
        assert!(replaces(Some("MERGE")).is_err());
    }
}
