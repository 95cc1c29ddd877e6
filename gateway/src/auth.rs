//! Who is asking, and whether they may: signatures against the users file, then role and bucket for every operation.
//!
//! Signatures themselves are verified by `s3s`. A request without one is refused: there is no public bucket here.
//! Whoever may ask is let through once the view of names has everything that was in the ledger when the request came, so
//! that several gateways of one hospital answer as one: see `docs/s3.md`, "Several gateways at once".
//!
//! An operation that is not in the table below asks for [`Role::Admin`], so that one added later starts out closed.

use crate::reply;
use crate::users::{KnownUser, Role, User, Users};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{CopyObjectInput, CopySource, UploadPartCopyInput};
use s3s::{S3Request, S3Result, s3_error};
use shosoin_client::Client;
use std::sync::Arc;
use std::time::SystemTime;

/// The users file as `s3s` asks it: once for the secret, once for the permission.
#[derive(Clone)]
pub(crate) struct Door {
    client: Client,
    users: Arc<Users>,
}

impl Door {
    pub(crate) fn new(client: Client, users: Arc<Users>) -> Self {
        Door { client, users }
    }

    /// A client may say whose bucket it believes it speaks to.
    fn check_owner(&self, context: &S3AccessContext<'_>) -> S3Result<()> {
        let owner = self.client.keyring().hospital().to_string();
        match context.headers().get("x-amz-expected-bucket-owner") {
            Some(expected) if expected.as_bytes() != owner.as_bytes() => {
                Err(s3_error!(AccessDenied, "The bucket is not owned by the expected owner."))
            }
            _ => Ok(()),
        }
    }

    fn find(&self, access_key_id: &str) -> S3Result<KnownUser> {
        let found = self.users.find(self.client.keyring(), access_key_id, now_ms()).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the users file cannot be used");
            s3_error!(ServiceUnavailable, "the gateway cannot read its users")
        })?;
        found.ok_or_else(|| s3_error!(InvalidAccessKeyId, "The access key id is not known here."))
    }
}

#[async_trait::async_trait]
impl S3Auth for Door {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        Ok(self.find(access_key)?.secret)
    }
}

#[async_trait::async_trait]
impl S3Access for Door {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        refuse_version_2(context)?;
        self.check_owner(context)?;
        let Some(credentials) = context.credentials() else {
            return Err(s3_error!(AccessDenied, "Every request must be signed."));
        };
        let user = self.find(&credentials.access_key)?.user;
        if user.role < role_for(context.s3_op().name()) {
            return Err(s3_error!(AccessDenied, "The role of this access key does not allow the operation."));
        }
        if let Some(bucket) = context.s3_path().get_bucket_name() {
            check_bucket(&user, bucket)?;
        }
        self.users.note_use(&user, now_ms());
        context.extensions_mut().insert(user);
        // Only now, so that a stranger makes nobody ask the vault: what other gateways did before this request came shows.
        self.client.up_to_date().await.map_err(reply::s3)
    }

    async fn copy_object(&self, request: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        check_source(request.extensions.get(), &request.input.copy_source)
    }

    async fn upload_part_copy(&self, request: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        check_source(request.extensions.get(), &request.input.copy_source)
    }
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Signature version 2 in a header has no bound in time and does not cover the body. In a presigned URL it carries an
/// expiry, and older SDKs still presign with it by default; that form is let through.
fn refuse_version_2(context: &S3AccessContext<'_>) -> S3Result<()> {
    let header = context.headers().get(http::header::AUTHORIZATION);
    match header.is_some_and(|value| value.as_bytes().starts_with(b"AWS ")) {
        true => Err(s3_error!(InvalidRequest, "Please sign with AWS4-HMAC-SHA256; version 2 is not accepted.")),
        false => Ok(()),
    }
}

fn check_bucket(user: &User, bucket: &str) -> S3Result<()> {
    match user.may_use(bucket) {
        true => Ok(()),
        false => Err(s3_error!(AccessDenied, "This access key is for another bucket.")),
    }
}

fn check_source(user: Option<&Arc<User>>, source: &CopySource) -> S3Result<()> {
    match (user, source) {
        (Some(user), CopySource::Bucket { bucket, .. }) => check_bucket(user, bucket),
        (Some(_), _) => Err(s3_error!(NotImplemented, "Access points are not kept here.")),
        (None, _) => Err(s3_error!(AccessDenied)),
    }
}

/// The least role that may call an operation, by its name in S3.
fn role_for(operation: &str) -> Role {
    match operation {
        "ListBuckets" | "HeadBucket" | "GetBucketLocation" | "GetBucketVersioning" | "GetBucketAcl" => Role::Read,
        "GetBucketPolicy" | "GetBucketCors" | "GetBucketEncryption" | "GetBucketTagging" => Role::Read,
        "GetBucketLifecycleConfiguration" | "GetBucketReplication" | "GetBucketWebsite" => Role::Read,
        "GetObjectLockConfiguration" | "GetBucketOwnershipControls" | "GetBucketRequestPayment" => Role::Read,
        "ListObjects" | "ListObjectsV2" | "ListObjectVersions" | "ListMultipartUploads" | "ListParts" => Role::Read,
        "GetObject" | "HeadObject" | "GetObjectAcl" | "GetObjectAttributes" | "GetObjectTagging" => Role::Read,
        "GetObjectRetention" | "GetObjectLegalHold" => Role::Read,
        "PutObject" | "CopyObject" | "DeleteObject" | "DeleteObjects" => Role::Write,
        "PutObjectTagging" | "DeleteObjectTagging" => Role::Write,
        // These only ever keep more; ending a legal hold asks for more in its own file.
        "PutObjectRetention" | "PutObjectLegalHold" => Role::Write,
        "CreateMultipartUpload" | "UploadPart" | "UploadPartCopy" => Role::Write,
        "CompleteMultipartUpload" | "AbortMultipartUpload" => Role::Write,
        _ => Role::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_one_before_may() {
        assert!(Role::Read < Role::Write && Role::Write < Role::Admin);
    }

    #[test]
    fn an_operation_nobody_thought_of_asks_for_admin() {
        assert_eq!(role_for("PutBucketEverything"), Role::Admin);
        assert_eq!(role_for("CreateBucket"), Role::Admin);
        assert_eq!(role_for("PutBucketVersioning"), Role::Admin);
        assert_eq!(role_for("PutObjectLockConfiguration"), Role::Admin);
        assert_eq!(role_for("PutBucketLifecycleConfiguration"), Role::Admin);
    }

    #[test]
    fn whatever_changes_an_object_asks_for_write() {
        for operation in ["PutObject", "DeleteObject", "DeleteObjects", "CopyObject", "UploadPart", "PutObjectTagging"]
        {
            assert_eq!(role_for(operation), Role::Write, "{operation}");
        }
    }

    #[test]
    fn a_user_of_one_bucket_may_not_copy_from_another() {
        let user = Arc::new(User {
            name: "pacs".into(),
            access_key_id: "SHSNX".into(),
            role: Role::Write,
            bucket: Some("images".into()),
            expires_ms: None,
            disabled: false,
        });
        let source = |bucket: &str| CopySource::Bucket { bucket: bucket.into(), key: "a".into(), version_id: None };
        assert!(check_source(Some(&user), &source("images")).is_ok());
        assert!(check_source(Some(&user), &source("lab-results")).is_err());
        assert!(check_source(None, &source("images")).is_err());
    }
}
