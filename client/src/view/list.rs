//! Pages of names and versions. A page costs what it shows: names under a common prefix are skipped by a seek, however
//! many they are.

use super::row::{CurrentRow, ListedChecksum, NameRow, VersionContent, VersionRow};
use super::{Reading, View, key};
use crate::{Error, Result};
use fjall::Slice;
use shosoin_protocol::VersionId;

/// Rows of a common prefix that are stepped over before a seek: a seek costs about as much.
const STEPS_BEFORE_SEEK: usize = 8;

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
    /// ETag, without quotes; empty for a delete marker
    pub etag: String,
    /// checksum of the whole object, if there is one
    pub checksum: Option<ListedChecksum>,
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

impl View {
    /// A page of current objects.
    pub fn list(&self, query: &ListQuery) -> Result<ListPage> {
        let mut page = ListPage::default();
        if query.max == 0 {
            return Ok(page);
        }
        let bucket = query.bucket.as_str();
        let roll = RollUp::new(&query.prefix, query.delimiter.as_deref());
        let from = match query.start_after.as_deref() {
            None => Some(key::current(bucket, &query.prefix)),
            Some(after) if roll.is_common(after) => key::after_prefix(key::current(bucket, after)),
            Some(after) => Some([key::current(bucket, after).as_slice(), &[0]].concat()),
        };
        let mut scan = Scan::new(self.reading(), key::current(bucket, &query.prefix), from);
        let mut last = None;
        while let Some((key, value)) = scan.next()? {
            if page.objects.len() + page.common_prefixes.len() == query.max {
                page.next = last;
                break;
            }
            let name = text(key::current_name(bucket, &key).ok_or(bad_key())?)?;
            match roll.common(&name) {
                Some(common) => {
                    scan.skip(key::current(bucket, common))?;
                    page.common_prefixes.push(common.to_owned());
                    last = Some(common.to_owned());
                }
                None => {
                    last = Some(name.clone());
                    page.objects.push(listed(name, CurrentRow::decode(&value).map_err(Error::ViewDamaged)?));
                }
            }
        }
        Ok(page)
    }

    /// A page of versions and delete markers.
    pub fn list_versions(&self, query: &VersionsQuery) -> Result<VersionsPage> {
        let mut page = VersionsPage::default();
        if query.max == 0 {
            return Ok(page);
        }
        let bucket = query.bucket.as_str();
        let roll = RollUp::new(&query.prefix, query.delimiter.as_deref());
        let rows = self.reading();
        let from = versions_start(&rows, query, &roll)?;
        let mut scan = Scan::new(rows, key::versions_from(bucket, query.prefix.as_bytes()), from);
        let mut state: Option<(String, NameRow)> = None;
        let mut last = None;
        while let Some((key, value)) = scan.next()? {
            if page.versions.len() + page.common_prefixes.len() == query.max {
                page.next = last;
                break;
            }
            let (name, index) = key::parse_version(bucket, &key).ok_or(bad_key())?;
            let name = text(&name)?;
            if let Some(common) = roll.common(&name) {
                scan.skip(key::versions_from(bucket, common.as_bytes()))?;
                page.common_prefixes.push(common.to_owned());
                last = Some((common.to_owned(), None));
                continue;
            }
            if state.as_ref().is_none_or(|(known, _)| *known != name) {
                state = scan.rows.name(bucket, &name)?.map(|row| (name.clone(), row));
            }
            let is_latest = state.as_ref().is_some_and(|(_, row)| row.latest == Some(index));
            let row = VersionRow::decode(&value).map_err(Error::ViewDamaged)?;
            last = Some((name.clone(), Some(row.version)));
            page.versions.push(listed_version(name, row, is_latest));
        }
        Ok(page)
    }
}

fn versions_start(rows: &Reading<'_>, query: &VersionsQuery, roll: &RollUp<'_>) -> Result<Option<Vec<u8>>> {
    let bucket = query.bucket.as_str();
    let Some(marker) = query.key_marker.as_deref() else {
        return Ok(Some(key::versions_from(bucket, query.prefix.as_bytes())));
    };
    let placed = match query.version_marker {
        Some(version) => rows.placed(version)?,
        None => None,
    };
    Ok(match placed {
        Some(index) => Some([key::version(bucket, marker, index).as_slice(), &[0]].concat()),
        None if roll.is_common(marker) => key::after_prefix(key::versions_from(bucket, marker.as_bytes())),
        None => key::after_prefix(key::versions_of(bucket, marker)),
    })
}

fn listed(name: String, row: CurrentRow) -> ListedObject {
    let CurrentRow { size_bytes, modified_ms, etag, checksum } = row;
    ListedObject { name, size_bytes, modified_ms, etag, checksum }
}

fn listed_version(name: String, row: VersionRow, is_latest: bool) -> ListedVersion {
    let (is_marker, current) = match &row.content {
        VersionContent::Object(facts) => (false, CurrentRow::of(facts)),
        VersionContent::Marker { modified_ms } => {
            let (size_bytes, etag) = (0, String::new());
            (true, CurrentRow { size_bytes, modified_ms: *modified_ms, etag, checksum: None })
        }
    };
    let (version, null_version) = (row.version, row.null_version);
    ListedVersion { version, null_version, is_latest, is_marker, object: listed(name, current) }
}

/// Which names are shown as their common prefix.
struct RollUp<'a> {
    prefix: &'a str,
    delimiter: Option<&'a str>,
}

impl<'a> RollUp<'a> {
    fn new(prefix: &'a str, delimiter: Option<&'a str>) -> Self {
        RollUp { prefix, delimiter: delimiter.filter(|delimiter| !delimiter.is_empty()) }
    }

    /// The common prefix that `name` is rolled up into: up to and with the first delimiter after the prefix.
    fn common<'n>(&self, name: &'n str) -> Option<&'n str> {
        let (tail, delimiter) = (name.strip_prefix(self.prefix)?, self.delimiter?);
        let end = self.prefix.len() + tail.find(delimiter)? + delimiter.len();
        Some(&name[..end])
    }

    fn is_common(&self, text: &str) -> bool {
        self.common(text) == Some(text)
    }
}

/// Rows in order, within the keys that begin with one prefix.
struct Scan<'a> {
    rows: Reading<'a>,
    end: Option<Vec<u8>>,
    iter: Option<fjall::Iter>,
    ahead: Option<(Slice, Slice)>,
}

impl<'a> Scan<'a> {
    /// Rows whose keys begin with `within`, from key `from` on; none where there is no such key.
    fn new(rows: Reading<'a>, within: Vec<u8>, from: Option<Vec<u8>>) -> Self {
        let from = from.map(|from| from.max(within.clone()));
        let mut scan = Scan { rows, end: key::after_prefix(within), iter: None, ahead: None };
        scan.seek(from);
        scan
    }

    fn seek(&mut self, from: Option<Vec<u8>>) {
        let within = from.filter(|from| self.end.as_ref().is_none_or(|end| from < end));
        self.iter = within.map(|from| self.rows.range(from, self.end.clone()));
    }

    fn next(&mut self) -> Result<Option<(Slice, Slice)>> {
        if let Some(row) = self.ahead.take() {
            return Ok(Some(row));
        }
        match self.iter.as_mut().and_then(Iterator::next) {
            Some(row) => row.into_inner().map(Some).map_err(Error::View),
            None => Ok(None),
        }
    }

    /// Goes on after every key that begins with `prefix`.
    fn skip(&mut self, prefix: Vec<u8>) -> Result<()> {
        for _ in 0..STEPS_BEFORE_SEEK {
            match self.next()? {
                Some(row) if row.0.starts_with(&prefix) => {}
                other => {
                    self.ahead = other;
                    return Ok(());
                }
            }
        }
        self.seek(key::after_prefix(prefix));
        Ok(())
    }
}

fn text(name: &[u8]) -> Result<String> {
    std::str::from_utf8(name).map(str::to_owned).map_err(|_| bad_key())
}

/// A key of a row that no release writes.
pub(super) fn bad_key() -> Error {
    Error::ViewDamaged(shosoin_protocol::Error::Invalid { what: "key of a row", why: "it names nothing" })
}
