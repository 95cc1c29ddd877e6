//! `ListMultipartUploads`: the uploads under way in a bucket, by name, then by id.

use crate::checksum;
use crate::list::{self, given};
use crate::name::Spelling;
use crate::reply;
use crate::s3::Gateway;
use crate::uploads::{Upload, UploadId};
use s3s::dto::*;
use s3s::{S3Result, s3_error};
use std::collections::BTreeMap;

/// Uploads in one page.
const PAGE_UPLOADS_MAX: usize = 1000;

/// One page.
pub(crate) async fn list(gateway: &Gateway, input: ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
    gateway.bucket(&input.bucket)?;
    let spelling = Spelling::parse(input.encoding_type)?;
    let max = match input.max_uploads.map(usize::try_from) {
        None => PAGE_UPLOADS_MAX,
        Some(Ok(max)) => max.min(PAGE_UPLOADS_MAX),
        Some(Err(_)) => return Err(s3_error!(InvalidArgument, "max-uploads must not be negative.")),
    };
    let query = Query {
        prefix: input.prefix.unwrap_or_default(),
        delimiter: given(input.delimiter),
        key_marker: given(input.key_marker),
        id_marker: given(input.upload_id_marker),
        max,
    };
    let bucket = input.bucket.clone();
    let found = gateway.on_disk(move |uploads, keyring| uploads.list(keyring, &bucket)).await?;
    let page = query.page(found);
    let next = page.next.unzip();
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: list::prefixes(page.common_prefixes, &spelling),
        delimiter: query.delimiter.as_deref().map(|delimiter| spelling.write(delimiter)),
        encoding_type: spelling.echo(),
        is_truncated: Some(next.0.is_some()),
        key_marker: Some(spelling.write(&query.key_marker.unwrap_or_default())),
        max_uploads: Some(list::count(max)),
        next_key_marker: next.0.map(|name| spelling.write(&name)),
        next_upload_id_marker: next.1,
        prefix: Some(spelling.write(&query.prefix)),
        upload_id_marker: Some(query.id_marker.unwrap_or_default()),
        uploads: list::some(page.uploads.into_iter().map(|one| listed(gateway, &spelling, one)).collect()),
        ..Default::default()
    })
}

struct Query {
    prefix: String,
    delimiter: Option<String>,
    key_marker: Option<String>,
    id_marker: Option<String>,
    max: usize,
}

type Found = ((String, UploadId), Upload);

#[derive(Default)]
struct Page {
    uploads: Vec<Found>,
    common_prefixes: Vec<String>,
    next: Option<(String, String)>,
}

impl Query {
    fn page(&self, found: BTreeMap<(String, UploadId), Upload>) -> Page {
        let mut page = Page::default();
        let mut last = None;
        for ((name, id), upload) in found {
            if !name.starts_with(&self.prefix) || !self.is_after_markers(&name, &id) {
                continue;
            }
            let rolled = self.common_prefix(&name);
            if rolled.is_some() && page.common_prefixes.last() == rolled.as_ref() {
                continue;
            }
            if page.uploads.len() + page.common_prefixes.len() == self.max {
                page.next = last;
                break;
            }
            match rolled {
                Some(prefix) => {
                    last = Some((prefix.clone(), String::new()));
                    page.common_prefixes.push(prefix);
                }
                None => {
                    last = Some((name.clone(), id.as_str().to_owned()));
                    page.uploads.push(((name, id), upload));
                }
            }
        }
        page
    }

    /// A marker that is a common prefix hides all that is rolled up in it.
    fn is_after_markers(&self, name: &str, id: &UploadId) -> bool {
        match (&self.key_marker, &self.id_marker) {
            (None, _) => true,
            (Some(marker), Some(after)) if name == marker => id.as_str() > after.as_str(),
            (Some(marker), _) => name > marker.as_str() && self.common_prefix(name).as_ref() != Some(marker),
        }
    }

    fn common_prefix(&self, name: &str) -> Option<String> {
        let delimiter = self.delimiter.as_deref()?;
        let rest = name.strip_prefix(&self.prefix)?;
        let end = self.prefix.len() + rest.find(delimiter)? + delimiter.len();
        Some(name[..end].to_owned())
    }
}

fn listed(gateway: &Gateway, spelling: &Spelling, ((name, id), upload): Found) -> MultipartUpload {
    let algorithm = upload.checksum.map(|(algorithm, _)| checksum::algorithm_name(algorithm));
    MultipartUpload {
        checksum_algorithm: algorithm.map(ChecksumAlgorithm::from_static),
        checksum_type: upload.checksum.map(|(_, full_object)| checksum::type_of(full_object)),
        initiated: Some(reply::timestamp(upload.initiated_ms)),
        initiator: Some(gateway.initiator()),
        key: Some(spelling.write(&name)),
        owner: Some(gateway.owner()),
        storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
        upload_id: Some(id.as_str().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Asked;
    use shosoin_protocol::policy::DepositPolicy;

    fn found(names: &[&str]) -> BTreeMap<(String, UploadId), Upload> {
        let upload = |name: &str| Upload {
            bucket: "b".into(),
            name: name.into(),
            initiated_ms: 0,
            headers: Vec::new(),
            metadata: Vec::new(),
            tags: Vec::new(),
            policy: DepositPolicy::default(),
            asked: Asked::default(),
            signature: None,
            checksum: None,
        };
        let id = |number: usize| UploadId::parse(&format!("{number:032x}")).unwrap();
        names.iter().enumerate().map(|(number, name)| (((*name).to_owned(), id(number)), upload(name))).collect()
    }

    fn query(delimiter: Option<&str>, max: usize) -> Query {
        Query { prefix: String::new(), delimiter: delimiter.map(Into::into), key_marker: None, id_marker: None, max }
    }

    fn walk(names: &[&str], delimiter: Option<&str>, max: usize) -> Vec<String> {
        let mut query = query(delimiter, max);
        let mut seen = Vec::new();
        loop {
            let page = query.page(found(names));
            let mut both: Vec<String> = page.uploads.into_iter().map(|((name, _), _)| name).collect();
            both.extend(page.common_prefixes);
            both.sort();
            seen.extend(both);
            match page.next {
                None => return seen,
                Some((key, id)) => {
                    query.key_marker = given(Some(key));
                    query.id_marker = given(Some(id));
                }
            }
        }
    }

    #[test]
    fn pages_of_any_size_give_each_upload_once() {
        let names = ["a", "a", "a", "b/1", "b/2", "c"];
        for max in 1..8 {
            assert_eq!(walk(&names, None, max), ["a", "a", "a", "b/1", "b/2", "c"], "{max}");
            assert_eq!(walk(&names, Some("/"), max), ["a", "a", "a", "b/", "c"], "{max}");
        }
    }
}
