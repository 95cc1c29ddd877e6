//! Objects as they are asked for and answered: what to store, on which condition, and what came of it.

use crate::part::PartContent;
use crate::{CheckedDocument, Error, Result};
use shosoin_protocol::VersionId;
use shosoin_protocol::limits::*;
use shosoin_protocol::manifest::{Checksum, ObjectFacts, Pairs};
use shosoin_protocol::policy::{DepositPolicy, Label};
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
    /// the signature that the document brings, verified over the same content
    pub signature: Option<CheckedDocument>,
    /// id the version gets, fresh where there is none; asked for again, it is the same version and not another
    pub version: Option<VersionId>,
    /// when it was stored, in milliseconds since 1970; now where there is none. Only what is sealed anew brings it along
    pub modified_ms: Option<u64>,
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
    /// it is this version
    Newest(VersionId),
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
    /// the vault's receipt; none where the entry was found in the ledger: its answer was lost, or it was asked for again
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

/// Refuses what no vault would be told; gives the object with its pairs sorted.
pub(crate) fn check_object(mut object: NewObject, parts: &[Part], label: Label) -> Result<NewObject> {
    check_name(&object.name)?;
    object.headers = check_pairs(object.headers, "headers", PAIRS_MAX, HEADERS_BYTES_MAX)?;
    object.metadata = check_pairs(object.metadata, "user metadata", PAIRS_MAX, USER_METADATA_BYTES_MAX)?;
    object.tags = check_tags(object.tags)?;
    if parts.is_empty() || (!object.multipart && parts.len() != 1) {
        return Err(Error::Invalid { what: "parts", why: "a single upload has one part, a multipart at least one" });
    }
    let numbers_fit = parts.iter().all(|part| (1..=PARTS_MAX).contains(&usize::from(part.number)));
    if !numbers_fit || !parts.is_sorted_by(|a, b| a.number < b.number) {
        return Err(Error::Invalid { what: "part numbers", why: "they must ascend, from 1 to 10,000" });
    }
    if let Some(checked) = &object.signature {
        checked.for_parts(parts)?;
    }
    let size = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.content.size_bytes));
    over("object", size, OBJECT_BYTES_MAX)?;
    if label != Label::Ordinary && parts.iter().any(|part| part.content.may_meet) {
        return Err(Error::Invalid { what: "label", why: "its content was written under a lower one" });
    }
    let checksums = object.checksum.iter().chain(parts.iter().filter_map(|part| part.checksum.as_ref()));
    match checksums.into_iter().all(|checksum| checksum.value.len() == checksum.algorithm.value_len()) {
        true => Ok(object),
        false => Err(Error::Invalid { what: "checksum", why: "its length is not that of its algorithm" }),
    }
}

/// Refuses names that S3 does not have.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::Invalid { what: "name", why: "it must not be empty" });
    }
    over("name", name.len() as u64, NAME_BYTES_MAX as u64)
}

/// Refuses tags over the limits of S3; gives them sorted.
pub(crate) fn check_tags(tags: Pairs) -> Result<Pairs> {
    check_pairs(tags, "tags", TAGS_MAX, TAGS_BYTES_MAX)
}

fn check_pairs(mut pairs: Pairs, what: &'static str, count_max: usize, bytes_max: usize) -> Result<Pairs> {
    over(what, pairs.len() as u64, count_max as u64)?;
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    over(what, bytes as u64, bytes_max as u64)?;
    pairs.sort();
    match pairs.is_sorted_by(|a, b| a.0 < b.0) {
        true => Ok(pairs),
        false => Err(Error::Invalid { what, why: "a name is there twice" }),
    }
}

fn over(what: &'static str, found: u64, limit: u64) -> Result<()> {
    if found > limit { Err(Error::OverLimit { what, found, limit }) } else { Ok(()) }
}
