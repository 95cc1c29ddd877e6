//! Objects as they are asked for and answered: what to store, on which condition, and what came of it.

use crate::part::PartContent;
use shosoin_protocol::VersionId;
use shosoin_protocol::manifest::{Checksum, ObjectFacts, Pairs};
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::receipt::Receipt;

/// Everything about a new version but its content. Pairs are sorted by name; [`crate::Client::put_object`] sorts them.
#[derive(Debug, Clone, Default)]
pub struct NewObject {
    /// bucket
    pub bucket: String,
    /// name (S3 object key)
    pub name: String,
    /// content-type and the other headers S3 keeps, lower-case names
    pub headers: Pairs,
    /// user metadata, lower-case names without the `x-amz-meta-` prefix
    pub metadata: Pairs,
    /// tags
    pub tags: Pairs,
    /// checksum of the whole object, if the caller used one
    pub checksum: Option<Checksum>,
    /// record type, label and retention; the bucket's own where there is none
    pub policy: Option<DepositPolicy>,
    /// uploaded in parts: the ETag gets the multipart form
    pub multipart: bool,
}

/// One part of a new version; an object stored in one piece has one, with number 1.
#[derive(Debug)]
pub struct Part {
    /// part number of S3, ascending over the parts
    pub number: u16,
    /// what [`crate::ObjectWriter::finish`] gave
    pub content: PartContent,
    /// checksum of the part, if the caller used one
    pub checksum: Option<Checksum>,
}

impl Part {
    /// The only part of an object stored in one piece.
    pub fn single(content: PartContent) -> Vec<Part> {
        vec![Part { number: 1, content, checksum: None }]
    }
}

/// What must be true of the current object of a name for a write or delete to happen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    /// anything
    #[default]
    Any,
    /// there is none (`If-None-Match: *`)
    Absent,
    /// there is one (`If-Match: *`)
    Exists,
    /// there is one with this ETag, without quotes (`If-Match`)
    Etag(String),
}

/// A version that is in the ledger, durable, and in the local view.
#[derive(Debug, Clone)]
pub struct Stored {
    /// its id
    pub version: VersionId,
    /// what it is
    pub facts: ObjectFacts,
    /// its ETag, without quotes
    pub etag: String,
    /// its place in the ledger
    pub leaf_index: u64,
    /// the vault's receipt; none where the answer was lost and the entry was found in the ledger afterwards
    pub receipt: Option<Receipt>,
}

/// What a delete did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// id of the delete marker that is now the newest version; none where the bucket was never versioned
    pub marker: Option<VersionId>,
    /// the marker is S3's `null` version
    pub null_version: bool,
}

/// What withdrawing a version did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawn {
    /// the version was a delete marker
    pub was_marker: bool,
}
