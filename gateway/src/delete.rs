//! Deletes: of a name, which puts a marker, and of one version, which withdraws it from view.
//!
//! Neither ends a record: it stays in the vault until an authorised disposal. A name or version that is not there
//! is deleted already, and the answer says so.

use crate::conditions::{self, Conditions, Verdict};
use crate::list;
use crate::lock;
use crate::name::{Which, version_text};
use crate::reply;
use crate::s3::Gateway;
use futures::StreamExt;
use s3s::dto::*;
use s3s::{S3Error, S3Result, s3_error};
use shosoin_client::{Condition, RowContent};

/// Keys in one request.
const KEYS_MAX: usize = 1000;
/// Deletes of one request that wait for the ledger together; they travel in shared batches.
const AT_ONCE: usize = 64;

/// What must be true of the object for it to be deleted.
#[derive(Debug, Default)]
struct Guard {
    etag: Option<ETagCondition>,
    modified: Option<Timestamp>,
    size: Option<i64>,
}

impl Guard {
    fn is_none(&self) -> bool {
        self.etag.is_none() && self.modified.is_none() && self.size.is_none()
    }

    /// Whether this is the object the caller means. A marker has no ETag, so only `*` means it, and no bytes.
    fn check(&self, content: &RowContent) -> S3Result<()> {
        let holds = match content {
            RowContent::Object { facts, etag } => {
                let wanted = Conditions { if_match: self.etag.clone(), ..Default::default() };
                wanted.judge(etag, facts.modified_ms) == Verdict::Holds
                    && self.modified.as_ref().is_none_or(|modified| same_second(modified, facts.modified_ms))
                    && self.size.is_none_or(|size| list::size(facts.size_bytes) == Some(size))
            }
            RowContent::Marker { modified_ms } => {
                self.etag.as_ref().is_none_or(ETagCondition::is_any)
                    && self.modified.as_ref().is_none_or(|modified| same_second(modified, *modified_ms))
                    && self.size.is_none_or(|size| size == 0)
            }
        };
        match holds {
            true => Ok(()),
            false => Err(conditions::failed()),
        }
    }
}

fn same_second(said: &Timestamp, stored_ms: u64) -> bool {
    let seconds = |at: Timestamp| time::OffsetDateTime::from(at).unix_timestamp();
    seconds(said.clone()) == seconds(reply::timestamp(stored_ms))
}

/// What a delete did, as both answers tell it.
struct Done {
    /// the version asked for, else the marker that was put
    version: Option<String>,
    /// a marker was put, or the version was one
    marker: bool,
}

/// `DeleteObject`.
pub(crate) async fn one(gateway: &Gateway, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
    gateway.bucket(&input.bucket)?;
    let guard = Guard { etag: input.if_match, modified: input.if_match_last_modified_time, size: input.if_match_size };
    let done = delete(gateway, &input.bucket, &input.key, input.version_id.as_deref(), guard).await?;
    Ok(DeleteObjectOutput {
        delete_marker: done.marker.then_some(true),
        version_id: done.version,
        ..Default::default()
    })
}

/// `DeleteObjects`: each key has its own outcome.
pub(crate) async fn many(gateway: &Gateway, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
    gateway.bucket(&input.bucket)?;
    let quiet = input.delete.quiet == Some(true);
    if input.delete.objects.is_empty() || input.delete.objects.len() > KEYS_MAX {
        return Err(s3_error!(MalformedXML, "A request deletes 1 to {KEYS_MAX} keys."));
    }
    let bucket = input.bucket.as_str();
    let outcomes = futures::stream::iter(input.delete.objects)
        .map(|object| delete_listed(gateway, bucket, object))
        .buffered(AT_ONCE);
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    let mut outcomes = std::pin::pin!(outcomes);
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(done) if !quiet => deleted.push(done),
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
    Ok(DeleteObjectsOutput { deleted: list::some(deleted), errors: list::some(errors), ..Default::default() })
}

async fn delete_listed(gateway: &Gateway, bucket: &str, object: ObjectIdentifier) -> Result<DeletedObject, Error> {
    let ObjectIdentifier { e_tag, key, last_modified_time, size, version_id } = object;
    let guard = Guard { etag: e_tag.map(ETagCondition::ETag), modified: last_modified_time, size };
    match delete(gateway, bucket, &key, version_id.as_deref(), guard).await {
        Ok(done) => Ok(DeletedObject {
            delete_marker: done.marker.then_some(true),
            delete_marker_version_id: done.version.filter(|_| done.marker),
            key: Some(key),
            version_id,
        }),
        Err(error) => Err(failure(key, version_id, &error)),
    }
}

fn failure(key: String, version_id: Option<String>, error: &S3Error) -> Error {
    Error {
        code: Some(error.code().as_str().to_owned()),
        key: Some(key),
        message: error.message().map(str::to_owned),
        version_id,
    }
}

async fn delete(gateway: &Gateway, bucket: &str, key: &str, version_id: Option<&str>, guard: Guard) -> S3Result<Done> {
    match Which::parse(version_id)? {
        Which::Latest => put_marker(gateway, bucket, key, guard).await,
        which => withdraw(gateway, bucket, key, which, guard).await,
    }
}

async fn put_marker(gateway: &Gateway, bucket: &str, key: &str, guard: Guard) -> S3Result<Done> {
    let mut condition = Condition::Any;
    if !guard.is_none() {
        let Some(row) = gateway.row(bucket, key, Which::Latest)? else {
            return Ok(Done { version: None, marker: false });
        };
        guard.check(&row.content)?;
        if let Some((_, etag)) = row.object() {
            condition = Condition::Etag(etag.to_owned());
        }
    }
    let deleted = gateway.client.delete(bucket, key, condition).await.map_err(reply::s3)?;
    let version = deleted.marker.map(|marker| version_text(marker, deleted.null_version));
    Ok(Done { marker: version.is_some(), version })
}

async fn withdraw(gateway: &Gateway, bucket: &str, key: &str, which: Which, guard: Guard) -> S3Result<Done> {
    let Some(row) = gateway.row(bucket, key, which)? else {
        let version = match which {
            Which::Version(version) => version.to_string(),
            Which::Null | Which::Latest => crate::name::NULL.into(),
        };
        return Ok(Done { version: Some(version), marker: false });
    };
    guard.check(&row.content)?;
    if row.object().is_some() {
        lock::refuse_kept(gateway, &gateway.bucket(bucket)?, row.version)?;
    }
    let version = Some(version_text(row.version, row.null_version));
    match gateway.client.withdraw(bucket, key, row.version).await {
        Ok(withdrawn) => Ok(Done { version, marker: withdrawn.was_marker }),
        Err(shosoin_client::Error::NoSuchVersion { .. }) => Ok(Done { version, marker: false }),
        Err(error) => Err(reply::s3(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_marker_is_only_meant_by_a_star() {
        let marker = RowContent::Marker { modified_ms: 0 };
        let guard = |etag: &str| Guard { etag: Some(etag.parse().unwrap()), ..Guard::default() };
        assert!(guard("*").check(&marker).is_ok());
        assert_eq!(guard("\"a\"").check(&marker).unwrap_err().code(), &s3s::S3ErrorCode::PreconditionFailed);
        assert!(Guard::default().is_none() && !guard("*").is_none());
    }
}
