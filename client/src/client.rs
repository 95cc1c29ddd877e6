//! The front type.
#![allow(unused_variables, clippy::unused_async)]
use crate::*;
use shosoin_keyring::Keyring;
use shosoin_protocol::VersionId;
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::manifest::{BucketFacts, Pairs};
use shosoin_protocol::policy::Label;
use std::sync::Arc;

/// The key-holding client of one hospital at one vault. Clones share it.
#[derive(Clone)]
pub struct Client {}

impl Client {
    /// Verifies the remembered head, enrols its device in the ledger if it is new, and catches the view of names up.
    pub async fn open(options: ClientOptions, keyring: Keyring, transport: Arc<dyn Transport>) -> Result<Client> {
        unimplemented!()
    }
    /// The hospital's secrets.
    pub fn keyring(&self) -> &Keyring {
        unimplemented!()
    }
    /// The transport.
    pub fn transport(&self) -> &dyn Transport {
        unimplemented!()
    }
    /// Catches the view up with the vault's newest head.
    pub async fn refresh(&self) -> Result<()> {
        unimplemented!()
    }
    /// The newest ledger head that was verified.
    pub fn head(&self) -> Option<Checkpoint> {
        unimplemented!()
    }
    /// Waits for deposits under way, saves the head, and closes the view.
    pub async fn close(&self) -> Result<()> {
        unimplemented!()
    }

    /// Makes a bucket.
    pub async fn create_bucket(&self, facts: BucketFacts) -> Result<()> {
        unimplemented!()
    }
    /// Changes a bucket: versioning, policy, sealing of future chunks.
    pub async fn update_bucket(&self, facts: BucketFacts) -> Result<()> {
        unimplemented!()
    }
    /// Ends a bucket that is empty.
    pub async fn delete_bucket(&self, bucket: &str) -> Result<()> {
        unimplemented!()
    }
    /// A bucket, unless there is none.
    pub fn bucket(&self, bucket: &str) -> Result<Option<BucketFacts>> {
        unimplemented!()
    }
    /// Every bucket, by name.
    pub fn buckets(&self) -> Result<Vec<BucketFacts>> {
        unimplemented!()
    }

    /// A writer of content for an object or part in `bucket` under `label`.
    pub fn writer(&self, bucket: &BucketFacts, label: Label) -> ObjectWriter {
        unimplemented!()
    }
    /// Deposits a version; durable, in the ledger and in the view on return.
    pub async fn put_object(&self, object: NewObject, parts: Vec<Part>, condition: Condition) -> Result<Stored> {
        unimplemented!()
    }
    /// Puts a delete marker on a name (S3 delete without a version).
    pub async fn delete(&self, bucket: &str, name: &str, condition: Condition) -> Result<Deleted> {
        unimplemented!()
    }
    /// Withdraws one version from view (S3 delete with a version). The record itself stays in the vault.
    pub async fn withdraw(&self, bucket: &str, name: &str, version: VersionId) -> Result<Withdrawn> {
        unimplemented!()
    }
    /// Replaces the tags of a version; `None` means the newest.
    pub async fn set_tags(
        &self,
        bucket: &str,
        name: &str,
        version: Option<VersionId>,
        tags: Pairs,
    ) -> Result<VersionId> {
        unimplemented!()
    }

    /// One version as the local view has it, a delete marker included; `None` for the version means the newest.
    pub fn lookup(&self, bucket: &str, name: &str, version: Option<VersionId>) -> Result<Option<ViewRow>> {
        unimplemented!()
    }
    /// The version of a name that S3 calls `null`.
    pub fn lookup_null(&self, bucket: &str, name: &str) -> Result<Option<ViewRow>> {
        unimplemented!()
    }
    /// A page of current objects.
    pub fn list(&self, query: &ListQuery) -> Result<ListPage> {
        unimplemented!()
    }
    /// A page of versions and delete markers.
    pub fn list_versions(&self, query: &VersionsQuery) -> Result<VersionsPage> {
        unimplemented!()
    }
    /// Opens a version for reading; `None` means the newest.
    pub async fn open_object(&self, bucket: &str, name: &str, version: Option<VersionId>) -> Result<OpenObject> {
        unimplemented!()
    }
    /// Proves a version: entry, place in the ledger, consistency, addresses, and on demand its content.
    pub async fn verify(
        &self,
        bucket: &str,
        name: &str,
        version: Option<VersionId>,
        options: VerifyOptions,
    ) -> Result<Proof> {
        unimplemented!()
    }
}
