//! Rows of the view.
use shosoin_protocol::VersionId;
use shosoin_protocol::manifest::ObjectFacts;

/// One version of a name, as the view has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewRow {
    /// its id
    pub version: VersionId,
    /// S3 calls it `null`
    pub null_version: bool,
    /// it is the newest of its name
    pub is_latest: bool,
    /// its place in the ledger
    pub leaf_index: u64,
    /// the vault's clock when it was accepted, in milliseconds since 1970
    pub accepted_ms: u64,
    /// newest change of the name, of whatever kind
    pub last_change: VersionId,
    /// what it is
    pub content: RowContent,
}

/// What a version is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowContent {
    /// an object, with the tags it has now
    Object {
        /// its facts
        facts: Box<ObjectFacts>,
        /// its ETag, without quotes
        etag: String,
    },
    /// a delete marker
    Marker {
        /// when it was put, in milliseconds since 1970
        modified_ms: u64,
    },
}

impl ViewRow {
    /// Its facts and ETag, unless it is a delete marker.
    pub fn object(&self) -> Option<(&ObjectFacts, &str)> {
        match &self.content {
            RowContent::Object { facts, etag } => Some((facts, etag)),
            RowContent::Marker { .. } => None,
        }
    }
}
