//! What this store does not do, said before a byte is taken: access lists, keys of the client, locks, other storage
//! classes. What a bucket is not set up with is answered as S3 answers for a bucket that never was.
//!
//! An option that is silently ignored would be a promise that is not kept, so each is refused by name. Encryption with
//! `AES256` is accepted: it is what every record gets before it leaves the hospital.

use crate::reply;
use crate::s3::Gateway;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

/// Refuses what put, copy and multipart inputs may ask for in vain.
macro_rules! refuse_options {
    ($input:expr) => {{
        use $crate::unsupported as refuse;
        refuse::refuse_object_acl($input.acl.as_ref())?;
        refuse::refuse_given("Granting access by header", $input.grant_full_control.is_some())?;
        refuse::refuse_given("Granting access by header", $input.grant_read.is_some())?;
        refuse::refuse_given("Granting access by header", $input.grant_read_acp.is_some())?;
        refuse::refuse_given("Granting access by header", $input.grant_write_acp.is_some())?;
        refuse::refuse_given("Object lock", $input.object_lock_mode.is_some())?;
        refuse::refuse_given("Object lock", $input.object_lock_retain_until_date.is_some())?;
        refuse::refuse_given("Legal hold", $input.object_lock_legal_hold_status.is_some())?;
        refuse::refuse_given("Encryption with a key of the client", $input.sse_customer_key.is_some())?;
        refuse::refuse_given("Encryption with a key of the client", $input.sse_customer_algorithm.is_some())?;
        refuse::refuse_given("Encryption with a KMS key", $input.ssekms_key_id.is_some())?;
        refuse::refuse_encryption($input.server_side_encryption.as_ref())?;
        refuse::refuse_storage_class($input.storage_class.as_ref())?;
    }};
}
pub(crate) use refuse_options;

/// Refuses a feature that was asked for.
pub(crate) fn refuse_given(feature: &str, given: bool) -> S3Result<()> {
    match given {
        true => Err(reply::not_implemented(feature)),
        false => Ok(()),
    }
}

/// Objects belong to the hospital alone.
pub(crate) fn refuse_object_acl(acl: Option<&ObjectCannedACL>) -> S3Result<()> {
    match acl.map(ObjectCannedACL::as_str) {
        None | Some(ObjectCannedACL::PRIVATE | ObjectCannedACL::BUCKET_OWNER_FULL_CONTROL) => Ok(()),
        Some(_) => Err(no_access_lists()),
    }
}

/// Buckets too.
pub(crate) fn refuse_bucket_acl(acl: Option<&BucketCannedACL>) -> S3Result<()> {
    match acl.map(BucketCannedACL::as_str) {
        None | Some(BucketCannedACL::PRIVATE) => Ok(()),
        Some(_) => Err(no_access_lists()),
    }
}

/// Answers an attempt to set an access list: only the one that is there already.
pub(crate) fn refuse_acl_change(canned: Option<&str>) -> S3Result<()> {
    match canned {
        Some(BucketCannedACL::PRIVATE) => Ok(()),
        _ => Err(no_access_lists()),
    }
}

fn no_access_lists() -> S3Error {
    s3_error!(AccessControlListNotSupported, "The bucket does not allow ACLs.")
}

/// Everything is sealed with AES-256; other ways are not offered.
pub(crate) fn refuse_encryption(encryption: Option<&ServerSideEncryption>) -> S3Result<()> {
    match encryption.map(ServerSideEncryption::as_str) {
        None | Some(ServerSideEncryption::AES256) => Ok(()),
        Some(_) => Err(reply::not_implemented("Encryption other than AES256")),
    }
}

/// There is one storage class.
pub(crate) fn refuse_storage_class(class: Option<&StorageClass>) -> S3Result<()> {
    match class.map(StorageClass::as_str) {
        None | Some(StorageClass::STANDARD) => Ok(()),
        Some(_) => Err(s3_error!(InvalidStorageClass, "The storage class you specified is not valid.")),
    }
}

/// The answer about a configuration that no bucket here can have, once the bucket is known to exist.
pub(crate) fn absent<T>(gateway: &Gateway, bucket: &str, code: S3ErrorCode) -> S3Result<T> {
    gateway.bucket(bucket)?;
    let mut error = S3Error::with_message(code, "There is no such configuration for the bucket.");
    error.set_status_code(http::StatusCode::NOT_FOUND);
    Err(error)
}

/// The one grant there is: the hospital has full control.
pub(crate) fn owner_grants(gateway: &Gateway) -> Grants {
    let owner = gateway.owner();
    let grantee = Grantee {
        display_name: owner.display_name,
        email_address: None,
        id: owner.id,
        type_: Type::from_static(Type::CANONICAL_USER),
        uri: None,
    };
    vec![Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_nothing_to_promise_is_accepted_and_the_rest_refused() {
        assert!(refuse_object_acl(Some(&ObjectCannedACL::from_static("private"))).is_ok());
        assert!(refuse_object_acl(Some(&ObjectCannedACL::from_static("public-read"))).is_err());
        assert!(refuse_encryption(Some(&ServerSideEncryption::from_static("AES256"))).is_ok());
        assert!(refuse_encryption(Some(&ServerSideEncryption::from_static("aws:kms"))).is_err());
        assert!(refuse_storage_class(Some(&StorageClass::from_static("GLACIER"))).is_err());
        assert_eq!(refuse_given("Legal hold", true).unwrap_err().code(), &S3ErrorCode::NotImplemented);
    }
}
