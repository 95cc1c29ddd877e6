//! Objects: put, get, head.

use crate::checksum::{self, Declared, answer_in, declared_in};
use crate::conditions::{self, Conditions, Verdict, reader_conditions};
use crate::headers::{answer_headers, system_headers, user_metadata};
use crate::lock::{self, answer_lock, asked_lock};
use crate::receive::{announced, receive};
use crate::s3::{Found, Gateway, written_version};
use crate::span::Span;
use crate::unsupported::refuse_options;
use crate::{list, policy, reply, signature, tagging};
use futures::TryStreamExt;
use futures::future::Either;
use http::HeaderMap;
use http_body_util::StreamBody;
use s3s::dto::*;
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};
use shosoin_client::{NewObject, OpenObject, Part};
use shosoin_protocol::manifest::{ChecksumAlgorithm as Algorithm, ObjectFacts};

/// Header by which SDKs name the algorithm of the checksum they send.
const SDK_ALGORITHM: &str = "x-amz-sdk-checksum-algorithm";

/// `PutObject`: the answer is given when the record is durable.
pub(crate) async fn put(gateway: &Gateway, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
    let S3Request { mut input, headers, trailing_headers, .. } = request;
    refuse_options!(input);
    let bucket = gateway.bucket(&input.bucket)?;
    let asked = asked_lock!(input, &bucket)?;
    let declared = declared(&headers, declared_in!(input)?, input.checksum_algorithm.as_ref())?;
    let cms = signature::take(&mut input.metadata)?;
    let check = cms.map(|cms| gateway.client.check_signature(&cms)).transpose().map_err(reply::s3)?;
    let mut new = NewObject {
        bucket: input.bucket.clone(),
        name: input.key.clone(),
        headers: system_headers!(input)?,
        metadata: user_metadata(input.metadata.take())?,
        tags: tagging::from_header(input.tagging.as_deref())?,
        ..NewObject::default()
    };
    let policy = policy::of_upload(bucket.policy, &new.metadata)?;
    new.policy = Some(policy);
    gateway.client.check_agreed(&policy).map_err(reply::s3)?;
    let condition = conditions::of_write(gateway, &new, input.if_match, input.if_none_match)?;
    let writer = gateway.client.writer(&bucket, policy.label).map_err(reply::s3)?;
    let length = length(&headers, input.content_length)?;
    let received = receive(writer, input.body, length, declared.hasher(), check).await?;
    declared.check(&received.content.md5, received.checksum.as_ref(), trailing_headers.as_ref())?;
    new.checksum = received.checksum;
    let checked = received.signature.map(|check| gateway.client.checked_document(check, &[]));
    new.signature = checked.transpose().map_err(reply::s3)?;
    let stored = lock::deposit(gateway, &bucket, asked, new, Part::single(received.content), condition).await?;
    let mut output = PutObjectOutput {
        e_tag: Some(ETag::Strong(stored.etag)),
        version_id: written_version(stored.version, stored.facts.null_version),
        ..Default::default()
    };
    if let Some(checksum) = &stored.facts.checksum {
        output.checksum_type = Some(checksum::type_of(true));
        answer_in!(output, checksum.algorithm, checksum::text(checksum, 1));
    }
    Ok(output)
}

/// What the headers of an upload declare about its bytes.
pub(crate) fn declared(
    headers: &HeaderMap,
    header: Option<(Algorithm, String)>,
    algorithm: Option<&ChecksumAlgorithm>,
) -> S3Result<Declared> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    // `s3s` takes an empty header for none; an empty digest is a wrong one.
    Declared::new(text("content-md5"), header, algorithm.map(ChecksumAlgorithm::as_str).or(text(SDK_ALGORITHM)))
}

/// The length an upload announces, which it must.
pub(crate) fn length(headers: &HeaderMap, content_length: Option<i64>) -> S3Result<Option<u64>> {
    match content_length.is_none() && !headers.contains_key(http::header::TRANSFER_ENCODING) {
        true => Err(s3_error!(MissingContentLength, "You must provide the Content-Length HTTP header.")),
        false => announced(content_length),
    }
}

/// `GetObject`: streams from the vault; no byte of a chunk comes before the chunk is verified, and the last one of a document that
/// brought a signature not before that holds over the whole.
pub(crate) async fn get(gateway: &Gateway, input: GetObjectInput) -> S3Result<GetObjectOutput> {
    let found = gateway.find_object(&input.bucket, &input.key, input.version_id.as_deref())?;
    check_reader(&reader_conditions!(input), &found)?;
    let span = Span::of(&found.facts, input.range, input.part_number)?;
    let opened = gateway.client.open_object(&input.bucket, &input.key, Some(found.version)).await.map_err(reply::s3)?;
    let facts = &found.facts;
    let mut output = GetObjectOutput {
        accept_ranges: Some("bytes".into()),
        body: Some(stream(&opened, &span)),
        content_length: list::size(span.len()),
        content_range: span.content_range(facts.size_bytes),
        e_tag: Some(ETag::Strong(found.etag.clone())),
        last_modified: Some(reply::timestamp(facts.modified_ms)),
        parts_count: span.parts_count(),
        tag_count: Some(list::count(facts.tags.len())).filter(|count| *count > 0),
        version_id: found.version_text(),
        ..Default::default()
    };
    answer_headers!(output, facts);
    answer_lock!(output, gateway.kept(&found)?);
    if let Some((algorithm, full_object, text)) = checksum_of(facts, &span, input.checksum_mode.as_ref()) {
        output.checksum_type = Some(checksum::type_of(full_object));
        answer_in!(output, algorithm, text);
    }
    Ok(output)
}

/// `HeadObject`: from the local view alone.
pub(crate) fn head(gateway: &Gateway, input: HeadObjectInput) -> S3Result<S3Response<HeadObjectOutput>> {
    let found = gateway.find_object(&input.bucket, &input.key, input.version_id.as_deref())?;
    check_reader(&reader_conditions!(input), &found)?;
    let span = Span::of(&found.facts, input.range, input.part_number)?;
    let facts = &found.facts;
    let mut output = HeadObjectOutput {
        accept_ranges: Some("bytes".into()),
        content_length: list::size(span.len()),
        content_range: span.content_range(facts.size_bytes),
        e_tag: Some(ETag::Strong(found.etag.clone())),
        last_modified: Some(reply::timestamp(facts.modified_ms)),
        parts_count: span.parts_count(),
        version_id: found.version_text(),
        ..Default::default()
    };
    answer_headers!(output, facts);
    output.metadata = Some(signature::metadata_of_head(facts));
    answer_lock!(output, gateway.kept(&found)?);
    if let Some((algorithm, full_object, text)) = checksum_of(facts, &span, input.checksum_mode.as_ref()) {
        output.checksum_type = Some(checksum::type_of(full_object));
        answer_in!(output, algorithm, text);
    }
    let partial = output.content_range.is_some();
    let mut response = S3Response::new(output);
    response.status = partial.then_some(http::StatusCode::PARTIAL_CONTENT);
    if !facts.tags.is_empty() {
        response.headers.insert("x-amz-tagging-count", facts.tags.len().into());
    }
    Ok(response)
}

fn check_reader(conditions: &Conditions, found: &Found) -> S3Result<()> {
    match conditions.judge(&found.etag, found.facts.modified_ms) {
        Verdict::Holds => Ok(()),
        Verdict::Failed => Err(conditions::failed()),
        Verdict::NotModified => Err(conditions::not_modified(&found.etag, found.facts.modified_ms)),
    }
}

fn stream(opened: &OpenObject, span: &Span) -> StreamingBlob {
    let bytes = match span {
        Span::Whole { .. } => Either::Left(opened.read_signed()),
        _ => Either::Right(opened.read(span.bytes())),
    };
    let frames = bytes.map_ok(hyper::body::Frame::data).map_err(|error| {
        tracing::error!(kind = error.kind().name(), error = &error as &dyn std::error::Error, "a read ended early");
        s3s::StdError::from(error)
    });
    StreamingBlob::from(Body::http_body_unsync(StreamBody::new(frames)))
}

/// The checksum an answer carries: of the whole object, or of the part that was asked for; none beside a range. Its
/// type is the object's in both cases.
fn checksum_of(facts: &ObjectFacts, span: &Span, mode: Option<&ChecksumMode>) -> Option<(Algorithm, bool, String)> {
    if mode.map(ChecksumMode::as_str) != Some(ChecksumMode::ENABLED) {
        return None;
    }
    let whole = facts.checksum.as_ref();
    let (checksum, parts) = match span {
        Span::Whole { .. } => (whole?, facts.parts.len()),
        Span::Part { index, .. } => (facts.parts.get(*index)?.checksum.as_ref()?, 1),
        Span::Range { .. } => return None,
    };
    let full_object = whole.is_none_or(|whole| whole.full_object);
    Some((checksum.algorithm, full_object, checksum::text(checksum, parts)))
}
