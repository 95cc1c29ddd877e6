//! What this store does not do, said before a byte is taken: access lists, keys of the client, other storage classes. What a bucket is not set up with is answered as S3 answers for a bucket that never was.
//!
//! An option that is silently ignored would be a promise that is not kept, so each is refused by name. Encryption with
//! `AES256` is accepted: it is what every record gets before it leaves the hospital. A canned ACL beside a create or put,
//! which many tools send unasked, opens nothing: what it would grant stays closed, and `GetObjectAcl` says so.

use crate::reply;
use crate::s3::Gateway;
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

/// Refuses what put, copy and multipart inputs may ask for in vain.
macro_rules! refuse_options {
    ($input:expr) => {{
        use $crate::unsupported as refuse;
        refuse::refuse_given("Granting access by header", $input.grant_full_control.is_some())?;
        refuse::refuse_given("Granting access by header", $input.grant_read.is_some())?;
        refuse::refuse_given("Granting access by header", $input.grant_read_acp.is_some())?;
        refuse::refuse_given("Granting access by header", $input.grant_write_acp.is_some())?;
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

/// Answers an attempt to set an access list: only the one that is there already, by its name or in full.
pub(crate) fn refuse_acl_change(
    gateway: &Gateway,
    canned: Option<&str>,
    full: Option<&AccessControlPolicy>,
) -> S3Result<()> {
    let same = match (canned, full) {
        (Some(canned), None) => canned == BucketCannedACL::PRIVATE,
        (None, Some(full)) => is_owner_alone(full, gateway.owner().id.as_deref()),
        _ => false,
    };
    if same { Ok(()) } else { Err(no_access_lists()) }
}

fn is_owner_alone(policy: &AccessControlPolicy, owner_id: Option<&str>) -> bool {
    let is_owner = |grant: &Grant| {
        grant.permission.as_ref().map(Permission::as_str) == Some(Permission::FULL_CONTROL)
            && grant.grantee.as_ref().is_some_and(|grantee| grantee.id.as_deref() == owner_id)
    };
    policy.grants.as_ref().is_some_and(|grants| matches!(grants.as_slice(), [grant] if is_owner(grant)))
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
        assert!(refuse_encryption(Some(&ServerSideEncryption::from_static("AES256"))).is_ok());
        assert!(refuse_encryption(Some(&ServerSideEncryption::from_static("aws:kms"))).is_err());
        assert!(refuse_storage_class(Some(&StorageClass::from_static("GLACIER"))).is_err());
        assert_eq!(refuse_given("A feature", true).unwrap_err().code(), &S3ErrorCode::NotImplemented);
    }
}
