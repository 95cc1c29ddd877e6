//! Reading.
use crate::{Part, PartContent, Result};
use bytes::Bytes;
use futures::Stream;
use shosoin_protocol::VersionId;
use shosoin_protocol::manifest::{BucketFacts, ObjectFacts};
use shosoin_protocol::policy::Label;
use std::ops::Range;

/// A version whose entry, proof, key and manifest were verified and opened.
pub struct OpenObject {}

impl OpenObject {
    /// Which version it is.
    pub fn version(&self) -> VersionId {
        unimplemented!()
    }
    /// What it is.
    pub fn facts(&self) -> &ObjectFacts {
        unimplemented!()
    }
    /// Its bytes in `range`, in order. Only the chunks the range touches are fetched; no byte of a chunk comes before the
    /// whole chunk is verified. The range must lie within the object.
    pub fn read(&self, range: Range<u64>) -> impl Stream<Item = Result<Bytes>> + Send + Unpin + use<> {
        let _ = range;
        futures::stream::iter(Vec::new())
    }
    /// Its content as parts of another object, without moving a byte where the target seals alike.
    pub async fn copy_parts(&self, bucket: &BucketFacts, label: Label) -> Result<Vec<Part>> {
        let _ = (bucket, label);
        unimplemented!()
    }
    /// A range of its content as one part of another object; chunks that lie wholly in the range are not sent again where
    /// the target seals alike.
    pub async fn copy_range(&self, range: Range<u64>, bucket: &BucketFacts, label: Label) -> Result<PartContent> {
        let _ = (range, bucket, label);
        unimplemented!()
    }
}
