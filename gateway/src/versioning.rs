//! Versioning of a bucket: off until it is enabled, from then on enabled or suspended.

use crate::reply;
use crate::s3::Gateway;
use s3s::dto::*;
use s3s::{S3Result, s3_error};
use shosoin_protocol::manifest::Versioning;

/// What the bucket does now; nothing where versioning was never enabled.
pub(crate) fn get(gateway: &Gateway, input: &GetBucketVersioningInput) -> S3Result<GetBucketVersioningOutput> {
    let status = match gateway.bucket(&input.bucket)?.versioning {
        Versioning::Off => None,
        Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
    };
    Ok(GetBucketVersioningOutput { status: status.map(BucketVersioningStatus::from_static), ..Default::default() })
}

/// Enables or suspends it.
pub(crate) async fn put(gateway: &Gateway, input: PutBucketVersioningInput) -> S3Result<PutBucketVersioningOutput> {
    let facts = gateway.bucket(&input.bucket)?;
    let asked = input.versioning_configuration;
    if asked.mfa_delete.as_ref().is_some_and(|mfa| mfa.as_str() == MFADelete::ENABLED) {
        return Err(reply::not_implemented("MFA delete"));
    }
    let versioning = match asked.status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        _ => {
            let message = "The versioning status is Enabled or Suspended.";
            return Err(s3_error!(IllegalVersioningConfigurationException, "{message}"));
        }
    };
    if facts.rules.object_lock && versioning != Versioning::Enabled {
        let message =
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.";
        return Err(s3_error!(InvalidBucketState, "{message}"));
    }
    if facts.versioning != versioning {
        let edited = gateway.client.edit_bucket(&input.bucket, |facts| facts.versioning = versioning);
        edited.await.map_err(reply::s3)?;
    }
    Ok(PutBucketVersioningOutput {})
}
