//! Pages of names and versions.
use shosoin_protocol::VersionId;
use shosoin_protocol::manifest::Checksum;

/// Which names to list: those of current objects.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// bucket
    pub bucket: String,
    /// only names that begin with this
    pub prefix: String,
    /// names that have this after the prefix are rolled up into common prefixes
    pub delimiter: Option<String>,
    /// only names after this; a common prefix that a page ended with is skipped whole
    pub start_after: Option<String>,
    /// names and common prefixes together
    pub max: usize,
}

/// A page of current objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// the objects, ascending by name in byte order
    pub objects: Vec<ListedObject>,
    /// the common prefixes, ascending
    pub common_prefixes: Vec<String>,
    /// `start_after` of the next page; none at the end
    pub next: Option<String>,
}

/// One current object in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// name
    pub name: String,
    /// bytes of plain text
    pub size_bytes: u64,
    /// when it was stored, in milliseconds since 1970
    pub modified_ms: u64,
    /// ETag, without quotes
    pub etag: String,
    /// checksum of the whole object, if there is one
    pub checksum: Option<Checksum>,
}

/// Which versions to list.
#[derive(Debug, Clone, Default)]
pub struct VersionsQuery {
    /// bucket
    pub bucket: String,
    /// only names that begin with this
    pub prefix: String,
    /// names that have this after the prefix are rolled up into common prefixes
    pub delimiter: Option<String>,
    /// only names after this, or with a version marker, from this name on
    pub key_marker: Option<String>,
    /// only versions of `key_marker` that are older than this one
    pub version_marker: Option<VersionId>,
    /// versions and common prefixes together
    pub max: usize,
}

/// A page of versions: names ascending, newest first within a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionsPage {
    /// objects and delete markers
    pub versions: Vec<ListedVersion>,
    /// the common prefixes, ascending
    pub common_prefixes: Vec<String>,
    /// markers of the next page; none at the end
    pub next: Option<(String, Option<VersionId>)>,
}

/// One version in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// its id
    pub version: VersionId,
    /// S3 calls it `null`
    pub null_version: bool,
    /// it is the newest of its name
    pub is_latest: bool,
    /// it is a delete marker: size 0, no ETag
    pub is_marker: bool,
    /// name, size, times, ETag
    pub object: ListedObject,
}
