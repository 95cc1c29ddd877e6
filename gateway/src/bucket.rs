//! Buckets: create, head, list, delete, where they are, and what they are not set up to do.

use crate::reply;
use crate::s3::Gateway;
use crate::users::User;
use s3s::dto::*;
use s3s::{S3Result, s3_error};
use shosoin_protocol::manifest::{BucketFacts, Versioning};

/// The region that S3 treats unlike all others.
const FIRST_REGION: &str = "us-east-1";
/// Buckets in one page of the list.
const PAGE_BUCKETS_MAX: usize = 10_000;
/// Makes a bucket; one that exists is the caller's own.
pub(crate) async fn create(gateway: &Gateway, input: CreateBucketInput) -> S3Result<CreateBucketOutput> {
    check_location(gateway, input.create_bucket_configuration.as_ref())?;
    let mut facts = BucketFacts::new(&input.bucket, shosoin_client::now_ms());
    if input.object_lock_enabled_for_bucket == Some(true) {
        (facts.versioning, facts.rules.object_lock) = (Versioning::Enabled, true);
    }
    let created = gateway.client.create_bucket(facts).await;
    match created {
        // The oldest region of S3 answers a repeated creation with success, and tools rely on it there.
        Err(shosoin_client::Error::BucketExists { .. })
            if gateway.region == FIRST_REGION && input.create_bucket_configuration.is_none() => {}
        created => created.map_err(reply::s3)?,
    }
    Ok(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) })
}

fn check_location(gateway: &Gateway, configuration: Option<&CreateBucketConfiguration>) -> S3Result<()> {
    let asked = configuration.and_then(|configuration| configuration.location_constraint.as_ref());
    match asked.map(BucketLocationConstraint::as_str) {
        None | Some("") => Ok(()),
        Some(region) if region == gateway.region => Ok(()),
        Some(_) => Err(s3_error!(
            IllegalLocationConstraintException,
            "The location constraint is not the region of this gateway, {}.",
            gateway.region
        )),
    }
}

/// Whether there is such a bucket.
pub(crate) fn head(gateway: &Gateway, input: &HeadBucketInput) -> S3Result<HeadBucketOutput> {
    gateway.bucket(&input.bucket)?;
    Ok(HeadBucketOutput { bucket_region: Some(gateway.region.clone()), ..Default::default() })
}

/// Ends an empty bucket.
pub(crate) async fn delete(gateway: &Gateway, input: DeleteBucketInput) -> S3Result<DeleteBucketOutput> {
    gateway.bucket(&input.bucket)?;
    gateway.client.delete_bucket(&input.bucket).await.map_err(reply::s3)?;
    gateway.on_disk(move |uploads, keyring| uploads.forget_bucket(keyring, &input.bucket)).await?;
    Ok(DeleteBucketOutput {})
}

/// The buckets the user may use.
pub(crate) fn list(gateway: &Gateway, user: Option<&User>, input: ListBucketsInput) -> S3Result<ListBucketsOutput> {
    let after = input.continuation_token.as_deref().map(crate::list::read_token).transpose()?;
    let max = match input.max_buckets {
        None => PAGE_BUCKETS_MAX,
        Some(max) => usize::try_from(max)
            .ok()
            .filter(|max| (1..=PAGE_BUCKETS_MAX).contains(max))
            .ok_or_else(|| s3_error!(InvalidArgument, "max-buckets must be 1 to {PAGE_BUCKETS_MAX}."))?,
    };
    let prefix = input.prefix.clone().unwrap_or_default();
    let shown = |facts: &BucketFacts| {
        facts.bucket.starts_with(&prefix)
            && user.is_some_and(|user| user.may_use(&facts.bucket))
            && after.as_ref().is_none_or(|after| facts.bucket > *after)
    };
    let mut found: Vec<BucketFacts> = gateway.client.buckets().map_err(reply::s3)?;
    found.retain(shown);
    let truncated = found.len() > max;
    found.truncate(max);
    let last = found.last().filter(|_| truncated).map(|facts| crate::list::write_token(&facts.bucket));
    Ok(ListBucketsOutput {
        buckets: Some(found.into_iter().map(|facts| listed(gateway, facts)).collect()),
        continuation_token: last,
        owner: Some(gateway.owner()),
        prefix: input.prefix,
    })
}

fn listed(gateway: &Gateway, facts: BucketFacts) -> Bucket {
    Bucket {
        bucket_region: Some(gateway.region.clone()),
        creation_date: Some(reply::timestamp(facts.created_ms)),
        name: Some(facts.bucket),
    }
}

/// The region; S3 leaves the oldest one out.
pub(crate) fn location(gateway: &Gateway, input: &GetBucketLocationInput) -> S3Result<GetBucketLocationOutput> {
    gateway.bucket(&input.bucket)?;
    let named = (gateway.region != FIRST_REGION).then(|| gateway.region.clone());
    Ok(GetBucketLocationOutput { location_constraint: named.map(BucketLocationConstraint::from) })
}
