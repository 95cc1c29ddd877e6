//! Buckets: made, changed and ended by policy entries whose sealed summary is the whole state of the bucket.

use crate::change::summary_intent;
use crate::clock::{fresh_version, now_ms};
use crate::{Client, Error, Result};
use shosoin_protocol::entry::{Body, Expected};
use shosoin_protocol::limits::{BUCKET_BYTES_MAX, CHUNK_PLAIN_BYTES_MAX, CHUNK_PLAIN_BYTES_MIN};
use shosoin_protocol::manifest::{BucketFacts, Summary, Versioning};

impl Client {
    /// Makes a bucket.
    pub async fn create_bucket(&self, facts: BucketFacts) -> Result<()> {
        check(&facts)?;
        self.change_bucket(&facts.bucket, |now| match now {
            Some(_) => Err(Error::BucketExists { bucket: facts.bucket.clone() }),
            None => Ok(BucketFacts { deleted: false, ..facts.clone() }),
        })
        .await
    }

    /// Changes a bucket: versioning, policy, sealing of future chunks. Time of making stays.
    pub async fn update_bucket(&self, facts: BucketFacts) -> Result<()> {
        check(&facts)?;
        self.change_bucket(&facts.bucket, |now| match now {
            Some(now) => Ok(BucketFacts { deleted: false, created_ms: now.created_ms, ..facts.clone() }),
            None => Err(Error::NoSuchBucket { bucket: facts.bucket.clone() }),
        })
        .await
    }

    /// Changes a bucket by what is there now, so that nothing that somebody else changes meanwhile is lost.
    pub async fn edit_bucket(&self, bucket: &str, edit: impl Fn(&mut BucketFacts)) -> Result<()> {
        self.change_bucket(bucket, |now| {
            let mut facts = now.ok_or_else(|| Error::NoSuchBucket { bucket: bucket.to_owned() })?;
            edit(&mut facts);
            check(&facts).map(|()| facts)
        })
        .await
    }

    /// Ends a bucket that has no versions and no markers.
    pub async fn delete_bucket(&self, bucket: &str) -> Result<()> {
        self.change_bucket(bucket, |now| {
            let now = now.ok_or_else(|| Error::NoSuchBucket { bucket: bucket.to_owned() })?;
            match self.inner.view.is_empty(bucket)? {
                true => Ok(BucketFacts { deleted: true, ..now }),
                false => Err(Error::BucketNotEmpty { bucket: bucket.to_owned() }),
            }
        })
        .await
    }

    /// Replaces the state of a bucket by what `next` makes of it, while nothing inside it changes.
    async fn change_bucket(
        &self,
        bucket: &str,
        next: impl Fn(Option<BucketFacts>) -> Result<BucketFacts>,
    ) -> Result<()> {
        let _alone = self.inner.buckets.write().await;
        self.until_expected(|| {
            let row = self.inner.view.bucket(bucket)?;
            let expected = row.as_ref().map_or(Expected::Absent, |row| Expected::Version(row.change));
            let now = row.map(|row| row.facts).filter(|facts| !facts.deleted);
            let had_lock = now.as_ref().is_some_and(|now| now.rules.object_lock);
            let facts = next(now)?;
            check_lock(had_lock, &facts)?;
            let (id, token) = (fresh_version(now_ms())?, self.inner.keyring.bucket_token(bucket));
            summary_intent(&self.inner.keyring, (id, expected, token), Summary::Bucket(facts), Body::Policy)
        })
        .await
        .map(|_| ())
    }
}

/// Object lock stays for as long as the bucket, and every put of such a bucket is a version.
fn check_lock(had_lock: bool, facts: &BucketFacts) -> Result<()> {
    let refuse = |why| Err(Error::Invalid { what: "object lock", why });
    match facts.rules.object_lock {
        _ if facts.deleted => Ok(()),
        true if facts.versioning != Versioning::Enabled => refuse("the bucket needs versioning"),
        false if had_lock => refuse("it is never taken away from a bucket"),
        _ => Ok(()),
    }
}

fn check(facts: &BucketFacts) -> Result<()> {
    if facts.bucket.is_empty() || facts.bucket.contains(['\0', '/']) {
        return Err(Error::Invalid { what: "bucket name", why: "it must not be empty or hold a slash or a zero byte" });
    }
    let (found, limit) = (facts.bucket.len() as u64, BUCKET_BYTES_MAX as u64);
    if found > limit {
        return Err(Error::OverLimit { what: "bucket name", found, limit });
    }
    if !(CHUNK_PLAIN_BYTES_MIN..=CHUNK_PLAIN_BYTES_MAX).contains(&facts.chunk_plain_bytes) {
        return Err(Error::Invalid { what: "chunk size", why: "it must be 256 KiB to 16 MiB" });
    }
    Ok(())
}
