//! The records that are exported, page by page, in the order of bucket and name.
//!
//! As of a moment, the version of a name is the newest that the vault had accepted by then and that is still in view; a name
//! whose newest version then was a delete marker has none.

use crate::error::{Error, Result};
use shosoin_client::{Client, ListedVersion, VersionsQuery};
use shosoin_protocol::VersionId;
use shosoin_protocol::manifest::ObjectFacts;
use std::collections::VecDeque;

/// Versions listed at a time.
const PAGE: usize = 1000;

/// Which records.
#[derive(Debug, Clone)]
pub struct Selection {
    pub bucket: Option<String>,
    pub prefix: String,
    pub as_of_ms: Option<u64>,
}

impl Selection {
    /// Every record in view.
    pub fn is_everything(&self) -> bool {
        self.bucket.is_none() && self.prefix.is_empty()
    }

    /// Whether records of this name are chosen.
    pub fn takes(&self, bucket: &str, name: &str) -> bool {
        self.bucket.as_deref().is_none_or(|chosen| chosen == bucket) && name.starts_with(&self.prefix)
    }
}

/// One record.
#[derive(Debug, Clone)]
pub struct Item {
    pub bucket: String,
    pub name: String,
    pub version: VersionId,
    pub size_bytes: u64,
    pub modified_ms: u64,
}

impl Item {
    /// What the hospital signed of it.
    pub fn facts(&self, client: &Client) -> Result<ObjectFacts> {
        let row = client.lookup(&self.bucket, &self.name, Some(self.version)).map_err(Error::client("look it up"))?;
        let facts = row.as_ref().and_then(|row| row.object()).map(|(facts, _)| facts.clone());
        facts.ok_or_else(|| Error::NotFound { what: "version", name: self.version.to_string() })
    }
}

/// A walk over them. The view does not change meanwhile: the hospital's state is ours alone.
pub struct Walk<'a> {
    client: &'a Client,
    selection: &'a Selection,
    buckets: VecDeque<String>,
    next: (Option<String>, Option<VersionId>),
    /// the name that the last version was of, and whether its version is chosen
    name: Option<(String, bool)>,
}

impl<'a> Walk<'a> {
    /// Stands before the first record.
    pub fn begin(client: &'a Client, selection: &'a Selection) -> Result<Walk<'a>> {
        let buckets = match &selection.bucket {
            Some(bucket) => match client.bucket(bucket).map_err(Error::client("look the bucket up"))? {
                Some(_) => vec![bucket.clone()],
                None => return Err(Error::NotFound { what: "bucket", name: bucket.clone() }),
            },
            None => {
                let known = client.buckets().map_err(Error::client("list the buckets"))?;
                let mut names: Vec<String> = known.into_iter().map(|bucket| bucket.bucket).collect();
                names.sort_unstable();
                names
            }
        };
        Ok(Walk { client, selection, buckets: buckets.into(), next: (None, None), name: None })
    }

    /// The next records, which may be none; nothing at the end.
    pub fn next_page(&mut self) -> Result<Option<Vec<Item>>> {
        let Some(bucket) = self.buckets.front().cloned() else { return Ok(None) };
        let (key_marker, version_marker) = std::mem::take(&mut self.next);
        let (prefix, max) = (self.selection.prefix.clone(), PAGE);
        let query = VersionsQuery { bucket: bucket.clone(), prefix, delimiter: None, key_marker, version_marker, max };
        let page = self.client.list_versions(&query);
        let page = page.map_err(Error::client(format!("list the versions in bucket {bucket}")))?;
        match page.next {
            Some((name, version)) => self.next = (Some(name), version),
            None => drop(self.buckets.pop_front()),
        }
        let mut items = Vec::new();
        for row in page.versions {
            if self.chooses(&bucket, &row)? && !row.is_marker {
                let ListedVersion { version, object, .. } = row;
                let (size_bytes, modified_ms) = (object.size_bytes, object.modified_ms);
                items.push(Item { bucket: bucket.clone(), name: object.name, version, size_bytes, modified_ms });
            }
        }
        if self.next.0.is_none() {
            self.name = None;
        }
        Ok(Some(items))
    }

    /// Whether this is the version of its name that counts; newer ones come first.
    fn chooses(&mut self, bucket: &str, row: &ListedVersion) -> Result<bool> {
        let Some(as_of_ms) = self.selection.as_of_ms else { return Ok(row.is_latest) };
        let chosen = self.name.as_ref().is_some_and(|(name, chosen)| *name == row.object.name && *chosen);
        let chooses = !chosen && self.accepted_ms(bucket, row)? <= as_of_ms;
        self.name = Some((row.object.name.clone(), chosen || chooses));
        Ok(chooses)
    }

    fn accepted_ms(&self, bucket: &str, row: &ListedVersion) -> Result<u64> {
        let found = self.client.lookup(bucket, &row.object.name, Some(row.version));
        Ok(found.map_err(Error::client("look a version up"))?.map_or(u64::MAX, |row| row.accepted_ms))
    }
}
