//! Multipart uploads: parts in any order, each sealed and durable when it is answered; completing joins them.
//!
//! Invariants
//! - A part arrives before it is known: its file appears only when its last byte is in the vault.
//! - Completing reads the parts' chunk lists, deposits one version, and moves no content. Where the document brings a signature,
//!   or contents are scanned, it is read back for that.
//! - Completing again answers as the first time did, for a day. The upload decides the id of its version, so that a crash
//!   between deposit and answer leaves nothing that a second completion could double.
//! - Completing holds the chunk list of one object, never of all that was uploaded.

use crate::checksum::{self, answer_in, declared_in};
use crate::headers::{system_headers, user_metadata};
use crate::lock::{self, Asked, asked_lock};
use crate::object::{declared, length};
use crate::receive::receive;
use crate::s3::{Gateway, written_version};
use crate::unsupported::refuse_options;
use crate::uploads::{Done, StoredPart, Upload, UploadId, Uploads};
use crate::{conditions, list, policy, reply, signature, tagging};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};
use shosoin_client::{NewObject, Part as NewPart, now_ms};
use shosoin_protocol::limits::{OBJECT_CHUNKS_MAX, PART_BYTES_MIN, PARTS_MAX};
use shosoin_protocol::manifest::Checksum as KeptChecksum;
use shosoin_protocol::policy::DepositPolicy;
use std::sync::Arc;

/// Parts in one page of `ListParts`.
const PAGE_PARTS_MAX: usize = 1000;

/// `CreateMultipartUpload`.
pub(crate) async fn create(
    gateway: &Gateway,
    mut input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    refuse_options!(input);
    let bucket = gateway.bucket(&input.bucket)?;
    let signature = signature::take(&mut input.metadata)?;
    if let Some(cms) = &signature {
        gateway.client.check_signature(cms).map_err(reply::s3)?; // what cannot be read is refused before the parts are sent
    }
    let metadata = user_metadata(input.metadata.take())?;
    let upload = Upload {
        bucket: input.bucket.clone(),
        name: input.key.clone(),
        initiated_ms: now_ms(),
        headers: system_headers!(input)?,
        policy: policy::of_upload(bucket.policy, &metadata)?,
        metadata,
        tags: tagging::from_header(input.tagging.as_deref())?,
        checksum: asked_checksum(input.checksum_algorithm.as_ref(), input.checksum_type.as_ref())?,
        asked: asked_lock!(input, &bucket)?,
        signature,
    };
    gateway.client.check_agreed(&upload.policy).map_err(reply::s3)?;
    let id = UploadId::random().map_err(state_failed)?;
    let checksum = upload.checksum;
    let created = id.clone();
    gateway.on_disk(move |uploads, keyring| uploads.create(keyring, &created, &upload)).await?;
    let algorithm = checksum.map(|(algorithm, _)| checksum::algorithm_name(algorithm));
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id.as_str().to_owned()),
        checksum_algorithm: algorithm.map(ChecksumAlgorithm::from_static),
        checksum_type: checksum.map(|(_, full_object)| checksum::type_of(full_object)),
        ..Default::default()
    })
}

fn asked_checksum(
    algorithm: Option<&ChecksumAlgorithm>,
    kind: Option<&ChecksumType>,
) -> S3Result<Option<(shosoin_protocol::manifest::ChecksumAlgorithm, bool)>> {
    match (algorithm, kind) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(s3_error!(InvalidRequest, "A checksum type needs a checksum algorithm.")),
        (Some(algorithm), kind) => {
            let algorithm = checksum::algorithm(algorithm.as_str())?;
            Ok(Some((algorithm, checksum::full_object(algorithm, kind)?)))
        }
    }
}

/// `UploadPart`.
pub(crate) async fn upload_part(gateway: &Gateway, request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
    let S3Request { input, headers, trailing_headers, .. } = request;
    refuse_customer_key(input.sse_customer_key.is_some())?;
    let number = part_number(input.part_number)?;
    let (id, upload) = gateway.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let bucket = gateway.bucket(&input.bucket)?;
    let declared = declared(&headers, declared_in!(input)?, input.checksum_algorithm.as_ref())?;
    let of_upload = upload.checksum.map(|(algorithm, _)| algorithm);
    if let (Some(expected), Some(found)) = (of_upload, declared.algorithm())
        && expected != found
    {
        return Err(s3_error!(
            InvalidRequest,
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            checksum::algorithm_name(expected).to_lowercase(),
            checksum::algorithm_name(found).to_lowercase()
        ));
    }
    let declared = declared.or_algorithm(of_upload);
    let writer = gateway.client.writer(&bucket, upload.policy.label).map_err(reply::s3)?;
    let received =
        receive(writer, input.body, length(&headers, input.content_length)?, declared.hasher(), None).await?;
    declared.check(&received.content.md5, received.checksum.as_ref(), trailing_headers.as_ref())?;
    let part = StoredPart { uploaded_ms: now_ms(), checksum: received.checksum, content: received.content };
    let mut output = UploadPartOutput { e_tag: Some(ETag::Strong(part.etag())), ..Default::default() };
    if let Some(checksum) = &part.checksum {
        answer_in!(output, checksum.algorithm, checksum::text(checksum, 1));
    }
    gateway.keep_part(id, number, part).await?;
    Ok(output)
}

/// Refuses a key of the client, which parts can carry too.
pub(crate) fn refuse_customer_key(given: bool) -> S3Result<()> {
    crate::unsupported::refuse_given("Encryption with a key of the client", given)
}

/// A part number of a request.
pub(crate) fn part_number(number: i32) -> S3Result<u16> {
    match u16::try_from(number) {
        Ok(number) if (1..=PARTS_MAX).contains(&usize::from(number)) => Ok(number),
        _ => Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and {PARTS_MAX}, inclusive.")),
    }
}

/// `CompleteMultipartUpload`.
pub(crate) async fn complete(
    gateway: &Gateway,
    input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let bucket = gateway.bucket(&input.bucket)?;
    let id = UploadId::parse(&input.upload_id).ok_or_else(no_such_upload)?;
    let uploads = Arc::clone(&gateway.uploads);
    let _alone = uploads.lock(&id).write().await;
    if let Some(done) = gateway.done(&input.bucket, &input.key, &id).await? {
        return Ok(answer(done));
    }
    let (id, upload) = gateway.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let listed = listed_parts(input.multipart_upload.as_ref())?;
    let parts = gateway.take_parts(&id, listed).await?;
    check_size(&parts, input.mpu_object_size)?;
    let checksum = whole_checksum(&upload, &parts, declared_in!(input)?, input.checksum_type.as_ref())?;
    let policy = policy::of_completed(bucket.policy, upload.policy)?;
    let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    let version = id.version(upload.initiated_ms);
    let signature = match &upload.signature {
        Some(cms) => Some(gateway.client.check_signature_of_parts(cms, version, &parts).await.map_err(reply::s3)?),
        None => None,
    };
    let new = NewObject {
        bucket: upload.bucket,
        name: upload.name,
        headers: upload.headers,
        metadata: upload.metadata,
        tags: upload.tags,
        checksum,
        policy: Some(policy),
        multipart: true,
        signature,
        version: Some(version),
        modified_ms: None,
    };
    let condition = conditions::of_write(gateway, &new, input.if_match, input.if_none_match)?;
    let stored = lock::deposit(gateway, &bucket, upload.asked, new, parts, condition).await?;
    let done = Done {
        bucket: input.bucket,
        name: input.key,
        etag: stored.etag,
        version: written_version(stored.version, stored.facts.null_version),
        checksum: stored.facts.checksum,
        parts: count,
    };
    let outcome = done.clone();
    gateway.on_disk(move |uploads, keyring| uploads.finish(keyring, &id, &outcome)).await?;
    Ok(answer(done))
}

fn answer(done: Done) -> CompleteMultipartUploadOutput {
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", done.bucket, done.name)),
        bucket: Some(done.bucket),
        key: Some(done.name),
        e_tag: Some(ETag::Strong(done.etag)),
        version_id: done.version,
        ..Default::default()
    };
    if let Some(checksum) = &done.checksum {
        output.checksum_type = Some(checksum::type_of(checksum.full_object));
        answer_in!(output, checksum.algorithm, checksum::text(checksum, done.parts as usize));
    }
    output
}

/// What the client says a part is.
struct ListedPart {
    number: u16,
    etag: String,
    checksum: Option<String>,
}

fn listed_parts(list: Option<&CompletedMultipartUpload>) -> S3Result<Vec<ListedPart>> {
    let parts = list.and_then(|list| list.parts.as_deref()).unwrap_or_default();
    if parts.is_empty() || parts.len() > PARTS_MAX {
        return Err(s3_error!(MalformedXML, "A completed upload lists 1 to {PARTS_MAX} parts."));
    }
    let mut listed: Vec<ListedPart> = Vec::with_capacity(parts.len());
    for part in parts {
        let number = part_number(part.part_number.unwrap_or_default())?;
        match listed.last().map(|last| last.number) {
            Some(last) if last > number => {
                return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."));
            }
            // A client that sent a part twice may list it twice; the later one is what it means.
            Some(last) if last == number => drop(listed.pop()),
            _ => {}
        }
        let etag = part.e_tag.as_ref().map(|etag| etag.value().to_owned()).unwrap_or_default();
        let checksum = declared_in!(part)?.map(|(_, text)| text);
        listed.push(ListedPart { number, etag, checksum });
    }
    Ok(listed)
}

fn check_size(parts: &[NewPart], said: Option<i64>) -> S3Result<()> {
    let total: u64 = parts.iter().map(|part| part.content.size_bytes).sum();
    match said {
        Some(said) if list::size(total) != Some(said) => {
            Err(s3_error!(InvalidRequest, "The object size does not match the sum of the parts, {total} bytes."))
        }
        _ => Ok(()),
    }
}

/// The checksum of the object, compared with what the client says of it.
fn whole_checksum(
    upload: &Upload,
    parts: &[NewPart],
    said: Option<(shosoin_protocol::manifest::ChecksumAlgorithm, String)>,
    kind: Option<&ChecksumType>,
) -> S3Result<Option<KeptChecksum>> {
    let Some((algorithm, full_object)) = upload.checksum else { return Ok(None) };
    if kind.is_some_and(|kind| *kind != checksum::type_of(full_object)) {
        return Err(s3_error!(InvalidRequest, "The checksum type is not the one the upload was created with."));
    }
    let pieces: Option<Vec<_>> =
        parts.iter().map(|part| Some((part.checksum.clone()?, part.content.size_bytes))).collect();
    let Some(pieces) = pieces else {
        return Err(s3_error!(InvalidPart, "A part has no checksum, but the upload was created with one."));
    };
    let whole = checksum::combine(algorithm, full_object, &pieces);
    let text = checksum::text(&whole, pieces.len());
    match said {
        Some((other, _)) if other != algorithm => {
            Err(s3_error!(InvalidRequest, "The upload was created with another checksum algorithm."))
        }
        // The count behind a checksum of checksums may be left out.
        Some((_, said)) if said != text && text.strip_prefix(&said).is_none_or(|rest| !rest.starts_with('-')) => {
            Err(s3_error!(BadDigest, "The checksum of the whole object did not match the one of its parts."))
        }
        _ => Ok(Some(whole)),
    }
}

/// `AbortMultipartUpload`.
pub(crate) async fn abort(gateway: &Gateway, input: AbortMultipartUploadInput) -> S3Result<AbortMultipartUploadOutput> {
    let (id, _) = gateway.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let uploads = Arc::clone(&gateway.uploads);
    let _alone = uploads.lock(&id).write().await;
    gateway.upload(&input.bucket, &input.key, &input.upload_id).await?;
    gateway.on_disk(move |uploads, _| uploads.remove(&id)).await?;
    Ok(AbortMultipartUploadOutput::default())
}

/// `ListParts`.
pub(crate) async fn list_parts(gateway: &Gateway, input: ListPartsInput) -> S3Result<ListPartsOutput> {
    let (id, upload) = gateway.upload(&input.bucket, &input.key, &input.upload_id).await?;
    let invalid = |_| s3_error!(InvalidArgument, "max-parts and part-number-marker must not be negative.");
    let max = input.max_parts.map_or(Ok(PAGE_PARTS_MAX), usize::try_from).map_err(invalid)?.min(PAGE_PARTS_MAX);
    let after = input.part_number_marker.map_or(Ok(0), u16::try_from).map_err(invalid)?;
    let (parts, truncated) =
        gateway.on_disk(move |uploads, keyring| page_of_parts(uploads, keyring, &id, after, max)).await?;
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        checksum_algorithm: upload
            .checksum
            .map(|(algorithm, _)| ChecksumAlgorithm::from_static(checksum::algorithm_name(algorithm))),
        checksum_type: upload.checksum.map(|(_, full_object)| checksum::type_of(full_object)),
        initiator: Some(gateway.initiator()),
        is_truncated: Some(truncated),
        max_parts: Some(list::count(max)),
        next_part_number_marker: parts.last().and_then(|part| part.part_number).or(Some(0)),
        owner: Some(gateway.owner()),
        part_number_marker: Some(after.into()),
        parts: list::some(parts),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        ..Default::default()
    })
}

fn page_of_parts(
    uploads: &Uploads,
    keyring: &shosoin_client::Keyring,
    id: &UploadId,
    after: u16,
    max: usize,
) -> Result<(Vec<Part>, bool), crate::Error> {
    let numbers = uploads.part_numbers(id)?;
    let rest = &numbers[numbers.partition_point(|number| *number <= after)..];
    let mut parts = Vec::with_capacity(rest.len().min(max));
    for number in rest.iter().take(max) {
        if let Some(part) = uploads.part(keyring, id, *number)? {
            parts.push(listed_part(*number, &part));
        }
    }
    Ok((parts, rest.len() > max && max > 0))
}

fn listed_part(number: u16, part: &StoredPart) -> Part {
    let mut listed = Part {
        e_tag: Some(ETag::Strong(part.etag())),
        last_modified: Some(reply::timestamp(part.uploaded_ms)),
        part_number: Some(number.into()),
        size: list::size(part.content.size_bytes),
        ..Default::default()
    };
    if let Some(checksum) = &part.checksum {
        answer_in!(listed, checksum.algorithm, checksum::text(checksum, 1));
    }
    listed
}

/// `NoSuchUpload`.
fn no_such_upload() -> S3Error {
    s3_error!(NoSuchUpload, "The specified multipart upload does not exist. It may have been aborted or completed.")
}

/// What failed on the gateway's own disk, for the log; the caller may try again.
fn state_failed(error: crate::Error) -> S3Error {
    tracing::error!(error = &error as &dyn std::error::Error, "multipart state failed");
    match error.kind() {
        shosoin_protocol::ErrorKind::Unavailable => {
            s3_error!(ServiceUnavailable, "The gateway's disk failed; nothing was changed.")
        }
        _ => s3_error!(InternalError, "The state of the multipart upload is damaged."),
    }
}

impl Gateway {
    /// Who began an upload: all users act for the hospital.
    pub(crate) fn initiator(&self) -> Initiator {
        let owner = self.owner();
        Initiator { display_name: owner.display_name, id: owner.id }
    }

    /// Runs work on the state of uploads where it may block.
    pub(crate) async fn on_disk<T, F>(&self, work: F) -> S3Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Uploads, &shosoin_client::Keyring) -> Result<T, crate::Error> + Send + 'static,
    {
        let (uploads, client) = (Arc::clone(&self.uploads), self.client.clone());
        match tokio::task::spawn_blocking(move || work(&uploads, client.keyring())).await {
            Ok(result) => result.map_err(state_failed),
            Err(_) => Err(s3_error!(InternalError, "We encountered an internal error.")),
        }
    }

    /// The upload a request speaks of.
    pub(crate) async fn upload(&self, bucket: &str, key: &str, id: &str) -> S3Result<(UploadId, Upload)> {
        self.bucket(bucket)?;
        let id = UploadId::parse(id).ok_or_else(no_such_upload)?;
        let asked = id.clone();
        match self.on_disk(move |uploads, keyring| uploads.upload(keyring, &asked)).await? {
            Some(upload) if upload.bucket == bucket && upload.name == key => Ok((id, upload)),
            _ => Err(no_such_upload()),
        }
    }

    /// Raises what an upload will be kept under to that of a source of one of its parts.
    pub(crate) async fn raise_upload(&self, id: &UploadId, source: DepositPolicy, until_ms: u64) -> S3Result<()> {
        let uploads = Arc::clone(&self.uploads);
        let _alone = uploads.lock(id).write().await;
        let id = id.clone();
        let raised = self.on_disk(move |uploads, keyring| {
            let Some(upload) = uploads.upload(keyring, &id)? else { return Ok(false) };
            let asked = Asked { until_ms: upload.asked.until_ms.max(until_ms), ..upload.asked };
            let raised = Upload { policy: policy::no_lower_than(source, upload.policy), asked, ..upload.clone() };
            if raised != upload {
                uploads.put_upload(keyring, &id, &raised)?;
            }
            Ok(true)
        });
        match raised.await? {
            true => Ok(()),
            false => Err(no_such_upload()),
        }
    }

    async fn done(&self, bucket: &str, key: &str, id: &UploadId) -> S3Result<Option<Done>> {
        let id = id.clone();
        let done = self.on_disk(move |uploads, keyring| uploads.done(keyring, &id)).await?;
        Ok(done.filter(|done| done.bucket == bucket && done.name == key))
    }

    /// Makes a part known, unless its upload has ended meanwhile.
    pub(crate) async fn keep_part(&self, id: UploadId, number: u16, part: StoredPart) -> S3Result<()> {
        let uploads = Arc::clone(&self.uploads);
        let _shared = uploads.lock(&id).read().await;
        let kept = self.on_disk(move |uploads, keyring| match uploads.upload(keyring, &id)? {
            Some(_) => uploads.put_part(keyring, &id, number, &part).map(|()| true),
            None => Ok(false),
        });
        match kept.await? {
            true => Ok(()),
            false => Err(no_such_upload()),
        }
    }

    /// The parts a client lists, each as it was answered.
    async fn take_parts(&self, id: &UploadId, listed: Vec<ListedPart>) -> S3Result<Vec<NewPart>> {
        let id = id.clone();
        let taken = self.on_disk(move |uploads, keyring| {
            let mut taken = Taken::new(listed.len());
            for one in listed {
                let part = uploads.part(keyring, &id, one.number)?;
                if let Err(refused) = taken.add(&one, part) {
                    return Ok(Err(refused));
                }
            }
            Ok(Ok(taken.parts))
        });
        taken.await?
    }
}

/// The parts of a list as they are read. What cannot become an object is refused at the part that shows it: the files of
/// all parts together may be larger than memory.
struct Taken {
    parts: Vec<NewPart>,
    listed: usize,
    chunks: usize,
}

impl Taken {
    fn new(listed: usize) -> Self {
        Taken { parts: Vec::with_capacity(listed), listed, chunks: 0 }
    }

    fn add(&mut self, listed: &ListedPart, part: Option<StoredPart>) -> S3Result<()> {
        let Some(part) = part.filter(|part| listed.is(part)) else {
            return Err(s3_error!(
                InvalidPart,
                "Part {} could not be found, or its entity tag or checksum does not match.",
                listed.number
            ));
        };
        let is_last = self.parts.len() + 1 == self.listed;
        if !is_last && part.content.size_bytes < PART_BYTES_MIN {
            return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size."));
        }
        self.chunks += part.content.chunks.len();
        if self.chunks > OBJECT_CHUNKS_MAX {
            return Err(s3_error!(
                EntityTooLarge,
                "The object has more than {OBJECT_CHUNKS_MAX} chunks; a bucket with larger chunks takes larger objects."
            ));
        }
        self.parts.push(NewPart { number: listed.number, content: part.content, checksum: part.checksum });
        Ok(())
    }
}

impl ListedPart {
    fn is(&self, part: &StoredPart) -> bool {
        let checksum = part.checksum.as_ref().map(|checksum| checksum::text(checksum, 1));
        self.etag == part.etag() && (self.checksum.is_none() || checksum.is_none() || self.checksum == checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_client::{PartContent, SealedPiece};
    use shosoin_protocol::manifest::ChunkRef;
    use shosoin_protocol::{Address, Digest};

    fn listed(numbers: &[i32]) -> Result<usize, String> {
        let part = |number: &i32| CompletedPart {
            part_number: Some(*number),
            e_tag: Some(ETag::Strong("e".into())),
            ..Default::default()
        };
        let list = CompletedMultipartUpload { parts: Some(numbers.iter().map(part).collect()) };
        listed_parts(Some(&list)).map(|parts| parts.len()).map_err(|error| error.code().as_str().to_owned())
    }

    #[test]
    fn a_list_of_parts_ascends_and_is_not_empty() {
        assert_eq!(listed(&[1, 5, 10_000]), Ok(3));
        assert_eq!(listed(&[]), Err("MalformedXML".into()));
        assert_eq!(listed(&[2, 1]), Err("InvalidPartOrder".into()));
        assert_eq!(listed(&[1, 1]), Ok(1));
        assert_eq!(listed(&[0]), Err("InvalidArgument".into()));
        assert_eq!(listed(&[10_001]), Err("InvalidArgument".into()));
    }

    #[test]
    fn parts_that_make_no_object_are_refused_at_the_part_that_shows_it() {
        let part = |size_bytes: u64, chunks: usize| {
            let chunk = ChunkRef { address: Address([1; 32]), t: [2; 32], plain_len: 1 };
            let pieces = vec![SealedPiece::new(chunk, 1); chunks];
            let content = PartContent::uploaded(size_bytes, [7; 16], Digest([8; 32]), pieces, false);
            StoredPart { uploaded_ms: 0, checksum: None, content }
        };
        let listed = ListedPart { number: 1, etag: hex::encode([7; 16]), checksum: None };
        let code = |added: S3Result<()>| added.unwrap_err().code().as_str().to_owned();
        let mut taken = Taken::new(3);
        assert_eq!(code(taken.add(&listed, Some(part(PART_BYTES_MIN - 1, 2)))), "EntityTooSmall");
        assert_eq!(code(taken.add(&listed, None)), "InvalidPart");
        taken.add(&listed, Some(part(PART_BYTES_MIN, OBJECT_CHUNKS_MAX - 1))).unwrap();
        taken.add(&listed, Some(part(PART_BYTES_MIN, 1))).unwrap();
        assert_eq!(code(taken.add(&listed, Some(part(1, 1)))), "EntityTooLarge");
        assert!(Taken::new(1).add(&listed, Some(part(1, 1))).is_ok(), "the last part may be small");
    }

    #[test]
    fn a_checksum_type_belongs_to_an_algorithm() {
        let full = ChecksumType::from_static(ChecksumType::FULL_OBJECT);
        assert!(asked_checksum(None, Some(&full)).is_err());
        assert_eq!(asked_checksum(None, None).unwrap(), None);
        let crc = ChecksumAlgorithm::from_static(ChecksumAlgorithm::CRC32);
        assert!(asked_checksum(Some(&crc), Some(&full)).unwrap().unwrap().1);
        assert!(!asked_checksum(Some(&crc), None).unwrap().unwrap().1);
    }
}
