//! The S3 operations this store has, each handed to the file of its noun. Those not here are `NotImplemented`.

use crate::name::{Which, version_text};
use crate::uploads::Uploads;
use crate::users::User;
use crate::{
    attributes, bucket, copy, delete, lifecycle, list, list_uploads, lock, multipart, object, reply, signature,
    tagging, unsupported, versioning,
};
use s3s::dto::*;
use s3s::{S3, S3ErrorCode, S3Request, S3Response, S3Result};
use shosoin_client::{Client, RowContent, ViewRow};
use shosoin_protocol::VersionId;
use shosoin_protocol::manifest::{BucketFacts, ObjectFacts, Versioning};
use std::sync::Arc;

/// What every operation needs.
pub(crate) struct Gateway {
    pub(crate) client: Client,
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) region: String,
}

/// One object version of a bucket, not a delete marker.
pub(crate) struct Found {
    pub(crate) version: VersionId,
    pub(crate) facts: Box<ObjectFacts>,
    pub(crate) etag: String,
    /// whether its bucket has object lock
    pub(crate) object_lock: bool,
    null_version: bool,
    versioning: Versioning,
}

impl Found {
    /// Its version id as answers have it: none where the bucket was never versioned.
    pub(crate) fn version_text(&self) -> Option<String> {
        (self.versioning != Versioning::Off).then(|| version_text(self.version, self.null_version))
    }
}

/// The version id that a write answers with: none where the version is S3's `null` one.
pub(crate) fn written_version(version: VersionId, null_version: bool) -> Option<String> {
    (!null_version).then(|| version.to_string())
}

impl Gateway {
    /// The bucket, or `NoSuchBucket`.
    pub(crate) fn bucket(&self, name: &str) -> S3Result<BucketFacts> {
        self.client.bucket(name).map_err(reply::s3)?.ok_or_else(reply::no_such_bucket)
    }

    /// The row of a version, if there is one; a delete marker included.
    pub(crate) fn row(&self, bucket: &str, name: &str, which: Which) -> S3Result<Option<ViewRow>> {
        let row = match which {
            Which::Latest => self.client.lookup(bucket, name, None),
            Which::Null => self.client.lookup_null(bucket, name),
            Which::Version(version) => self.client.lookup(bucket, name, Some(version)),
        };
        row.map_err(reply::s3)
    }

    /// The object version a request speaks of, or the S3 error for what is there instead.
    pub(crate) fn find_object(&self, bucket: &str, name: &str, version_id: Option<&str>) -> S3Result<Found> {
        let BucketFacts { versioning, rules, .. } = self.bucket(bucket)?;
        let object_lock = rules.object_lock;
        let which = Which::parse(version_id)?;
        let latest = which == Which::Latest;
        match self.row(bucket, name, which)? {
            None if latest => Err(reply::no_such_key()),
            None => Err(reply::no_such_version()),
            Some(ViewRow { version, null_version, content, .. }) => match content {
                RowContent::Object { facts, etag } => {
                    Ok(Found { version, facts, etag, object_lock, null_version, versioning })
                }
                RowContent::Marker { .. } => Err(reply::is_marker(version, null_version, !latest)),
            },
        }
    }

    /// Everything here belongs to the hospital.
    pub(crate) fn owner(&self) -> Owner {
        let id = self.client.keyring().hospital().to_string();
        Owner { display_name: Some("hospital".into()), id: Some(id) }
    }
}

fn ok<T>(result: S3Result<T>) -> S3Result<S3Response<T>> {
    result.map(S3Response::new)
}

#[async_trait::async_trait]
impl S3 for Gateway {
    // Buckets
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        ok(bucket::create(self, request.input).await)
    }
    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        ok(bucket::head(self, &request.input))
    }
    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        ok(bucket::delete(self, request.input).await)
    }
    async fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        ok(bucket::list(self, request.extensions.get::<Arc<User>>().map(Arc::as_ref), request.input))
    }
    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        ok(bucket::location(self, &request.input))
    }
    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        ok(versioning::get(self, &request.input))
    }
    async fn put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> S3Result<S3Response<PutBucketVersioningOutput>> {
        ok(versioning::put(self, request.input).await)
    }

    // Listings
    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        ok(list::objects_v1(self, request.input))
    }
    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        ok(list::objects_v2(self, request.input))
    }
    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        ok(list::versions(self, request.input))
    }

    // Objects
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        ok(object::put(self, request).await)
    }
    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        match signature::is_asked(&request.uri) {
            true => ok(signature::get(self, &request.input)),
            false => ok(object::get(self, request.input).await),
        }
    }
    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        object::head(self, request.input)
    }
    async fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> S3Result<S3Response<GetObjectAttributesOutput>> {
        ok(attributes::get(self, &request.input))
    }
    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        ok(copy::object(self, request.input).await)
    }
    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        ok(delete::one(self, request.input).await)
    }
    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        ok(delete::many(self, request.input).await)
    }

    // Tags
    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        ok(tagging::put(self, request.input).await)
    }
    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        ok(tagging::get(self, &request.input))
    }
    async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        ok(tagging::delete(self, request.input).await)
    }

    // Multipart uploads
    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        ok(multipart::create(self, request.input).await)
    }
    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        ok(multipart::upload_part(self, request).await)
    }
    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        ok(copy::part(self, request.input).await)
    }
    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        ok(multipart::complete(self, request.input).await)
    }
    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        ok(multipart::abort(self, request.input).await)
    }
    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        ok(multipart::list_parts(self, request.input).await)
    }
    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        ok(list_uploads::list(self, request.input).await)
    }

    // Access: the hospital has full control, and nothing else can be set
    async fn get_bucket_acl(&self, request: S3Request<GetBucketAclInput>) -> S3Result<S3Response<GetBucketAclOutput>> {
        self.bucket(&request.input.bucket)?;
        let grants = Some(unsupported::owner_grants(self));
        ok(Ok(GetBucketAclOutput { grants, owner: Some(self.owner()) }))
    }
    async fn put_bucket_acl(&self, request: S3Request<PutBucketAclInput>) -> S3Result<S3Response<PutBucketAclOutput>> {
        self.bucket(&request.input.bucket)?;
        let input = &request.input;
        let canned = input.acl.as_ref().map(BucketCannedACL::as_str);
        unsupported::refuse_acl_change(self, canned, input.access_control_policy.as_ref())?;
        ok(Ok(PutBucketAclOutput {}))
    }
    async fn get_object_acl(&self, request: S3Request<GetObjectAclInput>) -> S3Result<S3Response<GetObjectAclOutput>> {
        let input = &request.input;
        self.find_object(&input.bucket, &input.key, input.version_id.as_deref())?;
        let grants = Some(unsupported::owner_grants(self));
        ok(Ok(GetObjectAclOutput { grants, owner: Some(self.owner()), request_charged: None }))
    }
    async fn put_object_acl(&self, request: S3Request<PutObjectAclInput>) -> S3Result<S3Response<PutObjectAclOutput>> {
        let input = &request.input;
        self.find_object(&input.bucket, &input.key, input.version_id.as_deref())?;
        let canned = input.acl.as_ref().map(ObjectCannedACL::as_str);
        unsupported::refuse_acl_change(self, canned, input.access_control_policy.as_ref())?;
        ok(Ok(PutObjectAclOutput::default()))
    }

    // Configurations that no bucket here has
    async fn get_bucket_policy(
        &self,
        request: S3Request<GetBucketPolicyInput>,
    ) -> S3Result<S3Response<GetBucketPolicyOutput>> {
        unsupported::absent(self, &request.input.bucket, S3ErrorCode::NoSuchBucketPolicy)
    }
    async fn get_bucket_cors(
        &self,
        request: S3Request<GetBucketCorsInput>,
    ) -> S3Result<S3Response<GetBucketCorsOutput>> {
        unsupported::absent(self, &request.input.bucket, S3ErrorCode::NoSuchCORSConfiguration)
    }
    async fn get_bucket_tagging(
        &self,
        request: S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        unsupported::absent(self, &request.input.bucket, S3ErrorCode::NoSuchTagSet)
    }
    async fn get_bucket_website(
        &self,
        request: S3Request<GetBucketWebsiteInput>,
    ) -> S3Result<S3Response<GetBucketWebsiteOutput>> {
        unsupported::absent(self, &request.input.bucket, S3ErrorCode::NoSuchWebsiteConfiguration)
    }
    async fn get_bucket_replication(
        &self,
        request: S3Request<GetBucketReplicationInput>,
    ) -> S3Result<S3Response<GetBucketReplicationOutput>> {
        unsupported::absent(self, &request.input.bucket, S3ErrorCode::ReplicationConfigurationNotFoundError)
    }
    async fn get_bucket_encryption(
        &self,
        request: S3Request<GetBucketEncryptionInput>,
    ) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
        unsupported::absent(self, &request.input.bucket, S3ErrorCode::ServerSideEncryptionConfigurationNotFoundError)
    }

    // What keeps versions, and what rules do over time
    async fn get_object_lock_configuration(
        &self,
        request: S3Request<GetObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<GetObjectLockConfigurationOutput>> {
        ok(lock::get_configuration(self, &request.input))
    }
    async fn put_object_lock_configuration(
        &self,
        request: S3Request<PutObjectLockConfigurationInput>,
    ) -> S3Result<S3Response<PutObjectLockConfigurationOutput>> {
        ok(lock::put_configuration(self, request.input).await)
    }
    async fn get_object_retention(
        &self,
        request: S3Request<GetObjectRetentionInput>,
    ) -> S3Result<S3Response<GetObjectRetentionOutput>> {
        ok(lock::get_retention(self, &request.input))
    }
    async fn put_object_retention(
        &self,
        request: S3Request<PutObjectRetentionInput>,
    ) -> S3Result<S3Response<PutObjectRetentionOutput>> {
        ok(lock::put_retention(self, request.input).await)
    }
    async fn get_object_legal_hold(
        &self,
        request: S3Request<GetObjectLegalHoldInput>,
    ) -> S3Result<S3Response<GetObjectLegalHoldOutput>> {
        ok(lock::get_hold(self, &request.input))
    }
    async fn put_object_legal_hold(
        &self,
        request: S3Request<PutObjectLegalHoldInput>,
    ) -> S3Result<S3Response<PutObjectLegalHoldOutput>> {
        let user = request.extensions.get::<Arc<User>>().map(Arc::as_ref);
        ok(lock::put_hold(self, user, request.input).await)
    }
    async fn get_bucket_lifecycle_configuration(
        &self,
        request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
        ok(lifecycle::get(self, &request.input))
    }
    async fn put_bucket_lifecycle_configuration(
        &self,
        request: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
        ok(lifecycle::put(self, request.input).await)
    }
    async fn delete_bucket_lifecycle(
        &self,
        request: S3Request<DeleteBucketLifecycleInput>,
    ) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
        ok(lifecycle::delete(self, request.input).await)
    }
}
