//! Listings: objects in the first and second form, and versions.
//!
//! A page comes from the local view of names; no record is fetched. Names ascend by bytes; a continuation token is
//! the name to go on after, written so that clients take it for what it is: opaque.

use crate::checksum;
use crate::name::{self, Spelling, Which, version_text};
use crate::reply;
use crate::s3::Gateway;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as TOKEN;
use s3s::dto::*;
use s3s::{S3Result, s3_error};
use shosoin_client::{ListPage, ListQuery, ListedChecksum, ListedObject, ListedVersion, VersionsPage, VersionsQuery};
use shosoin_protocol::VersionId;

/// Names in one page, and what a client gets that asks for more.
const PAGE_MAX: usize = 1000;

/// `ListObjectsV2`.
pub(crate) fn objects_v2(gateway: &Gateway, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    gateway.bucket(&input.bucket)?;
    let spelling = Spelling::parse(input.encoding_type)?;
    let max = page_size(input.max_keys)?;
    let continued = input.continuation_token.as_deref().map(read_token).transpose()?;
    let query = ListQuery {
        bucket: input.bucket.clone(),
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: given(input.delimiter),
        start_after: continued.or_else(|| given(input.start_after.clone())),
        max,
    };
    let page = page_of(gateway, &query)?;
    let owner = (input.fetch_owner == Some(true)).then(|| gateway.owner());
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(spelling.write(&query.prefix)),
        max_keys: Some(count(max)),
        key_count: Some(count(page.objects.len() + page.common_prefixes.len())),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_deref().map(write_token),
        contents: contents(page.objects, &spelling, owner.as_ref()),
        common_prefixes: prefixes(page.common_prefixes, &spelling),
        delimiter: query.delimiter.map(|delimiter| spelling.write(&delimiter)),
        encoding_type: spelling.echo(),
        start_after: input.start_after.map(|after| spelling.write(&after)),
        ..Default::default()
    })
}

/// `ListObjects`.
pub(crate) fn objects_v1(gateway: &Gateway, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
    gateway.bucket(&input.bucket)?;
    let spelling = Spelling::parse(input.encoding_type)?;
    let max = page_size(input.max_keys)?;
    let query = ListQuery {
        bucket: input.bucket.clone(),
        prefix: input.prefix.unwrap_or_default(),
        delimiter: given(input.delimiter),
        start_after: given(input.marker.clone()),
        max,
    };
    let page = page_of(gateway, &query)?;
    let next_marker = page.next.as_deref().filter(|_| query.delimiter.is_some()).map(|next| spelling.write(next));
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        // The one field of this form that SDKs do not decode.
        prefix: Some(query.prefix),
        marker: Some(spelling.write(&input.marker.unwrap_or_default())),
        max_keys: Some(count(max)),
        is_truncated: Some(page.next.is_some()),
        contents: contents(page.objects, &spelling, Some(&gateway.owner())),
        common_prefixes: prefixes(page.common_prefixes, &spelling),
        delimiter: query.delimiter.map(|delimiter| spelling.write(&delimiter)),
        next_marker,
        encoding_type: spelling.echo(),
        ..Default::default()
    })
}

/// A page of no names is empty and final, whatever the bucket holds.
fn page_of(gateway: &Gateway, query: &ListQuery) -> S3Result<ListPage> {
    match query.max {
        0 => Ok(ListPage::default()),
        _ => gateway.client.list(query).map_err(reply::s3),
    }
}

/// `ListObjectVersions`.
pub(crate) fn versions(gateway: &Gateway, input: ListObjectVersionsInput) -> S3Result<ListObjectVersionsOutput> {
    gateway.bucket(&input.bucket)?;
    let spelling = Spelling::parse(input.encoding_type)?;
    let max = page_size(input.max_keys)?;
    let query = VersionsQuery {
        bucket: input.bucket.clone(),
        prefix: input.prefix.unwrap_or_default(),
        delimiter: given(input.delimiter),
        version_marker: version_marker(
            gateway,
            &input.bucket,
            input.key_marker.as_deref(),
            input.version_id_marker.as_deref(),
        )?,
        key_marker: given(input.key_marker.clone()),
        max,
    };
    let page = match max {
        0 => VersionsPage::default(),
        _ => gateway.client.list_versions(&query).map_err(reply::s3)?,
    };
    let owner = gateway.owner();
    let (markers, objects): (Vec<_>, Vec<_>) = page.versions.into_iter().partition(|version| version.is_marker);
    let (next_key, next_version) = page.next.unzip();
    Ok(ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(spelling.write(&query.prefix)),
        key_marker: Some(spelling.write(&input.key_marker.unwrap_or_default())),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        max_keys: Some(count(max)),
        is_truncated: Some(next_key.is_some()),
        versions: some(objects.into_iter().map(|version| listed_version(version, &spelling, &owner)).collect()),
        delete_markers: some(markers.into_iter().map(|marker| listed_marker(marker, &spelling, &owner)).collect()),
        common_prefixes: prefixes(page.common_prefixes, &spelling),
        delimiter: query.delimiter.map(|delimiter| spelling.write(&delimiter)),
        next_key_marker: next_key.map(|next| spelling.write(&next)),
        next_version_id_marker: next_version.flatten().map(|version| version.to_string()),
        encoding_type: spelling.echo(),
        ..Default::default()
    })
}

/// The version a page goes on after; it says nothing without a name.
fn version_marker(
    gateway: &Gateway,
    bucket: &str,
    key: Option<&str>,
    marker: Option<&str>,
) -> S3Result<Option<VersionId>> {
    let which = Which::parse(marker)?;
    match (which, key.filter(|key| !key.is_empty())) {
        (Which::Latest, _) => Ok(None),
        (_, None) => Err(s3_error!(InvalidArgument, "A version-id marker cannot be specified without a key marker.")),
        (Which::Version(version), Some(_)) => Ok(Some(version)),
        (Which::Null, Some(key)) => {
            Ok(gateway.client.lookup_null(bucket, key).map_err(reply::s3)?.map(|row| row.version))
        }
    }
}

fn page_size(max: Option<i32>) -> S3Result<usize> {
    match max.map(usize::try_from) {
        None => Ok(PAGE_MAX),
        Some(Ok(max)) => Ok(max.min(PAGE_MAX)),
        Some(Err(_)) => Err(s3_error!(InvalidArgument, "max-keys must be 0 to 2147483647.")),
    }
}

/// The continuation token for what follows `name`.
pub(crate) fn write_token(name: &str) -> String {
    TOKEN.encode(name)
}

/// The name inside a continuation token.
pub(crate) fn read_token(token: &str) -> S3Result<String> {
    let name = TOKEN.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect."))
}

/// A field that is there and not empty.
pub(crate) fn given(field: Option<String>) -> Option<String> {
    field.filter(|text| !text.is_empty())
}

/// A count of at most a page.
pub(crate) fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A list that is left out when it is empty, as S3 has it.
pub(crate) fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Common prefixes as the answer has them.
pub(crate) fn prefixes(prefixes: Vec<String>, spelling: &Spelling) -> Option<Vec<CommonPrefix>> {
    some(prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(spelling.write(prefix)) }).collect())
}

/// A size as S3 counts it.
pub(crate) fn size(bytes: u64) -> Option<i64> {
    i64::try_from(bytes).ok()
}

fn contents(objects: Vec<ListedObject>, spelling: &Spelling, owner: Option<&Owner>) -> Option<Vec<Object>> {
    let listed = |object: ListedObject| {
        let checksum = object.checksum.as_ref();
        Object {
            checksum_algorithm: checksum.map(|checksum| vec![algorithm_of(checksum)]),
            checksum_type: checksum.map(|checksum| checksum::type_of(checksum.full_object)),
            e_tag: Some(ETag::Strong(object.etag)),
            key: Some(spelling.write(&object.name)),
            last_modified: Some(reply::timestamp(object.modified_ms)),
            owner: owner.cloned(),
            size: size(object.size_bytes),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..Default::default()
        }
    };
    some(objects.into_iter().map(listed).collect())
}

fn algorithm_of(checksum: &ListedChecksum) -> ChecksumAlgorithm {
    ChecksumAlgorithm::from_static(checksum::algorithm_name(checksum.algorithm))
}

fn listed_version(listed: ListedVersion, spelling: &Spelling, owner: &Owner) -> ObjectVersion {
    let checksum = listed.object.checksum.as_ref();
    ObjectVersion {
        checksum_algorithm: checksum.map(|checksum| vec![algorithm_of(checksum)]),
        checksum_type: checksum.map(|checksum| checksum::type_of(checksum.full_object)),
        e_tag: Some(ETag::Strong(listed.object.etag)),
        is_latest: Some(listed.is_latest),
        key: Some(spelling.write(&listed.object.name)),
        last_modified: Some(reply::timestamp(listed.object.modified_ms)),
        owner: Some(owner.clone()),
        size: size(listed.object.size_bytes),
        storage_class: Some(ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD)),
        version_id: Some(version_text(listed.version, listed.null_version)),
        ..Default::default()
    }
}

fn listed_marker(listed: ListedVersion, spelling: &Spelling, owner: &Owner) -> DeleteMarkerEntry {
    DeleteMarkerEntry {
        is_latest: Some(listed.is_latest),
        key: Some(spelling.write(&listed.object.name)),
        last_modified: Some(reply::timestamp(listed.object.modified_ms)),
        owner: Some(owner.clone()),
        version_id: Some(name::version_text(listed.version, listed.null_version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_at_most_a_thousand_names() {
        assert_eq!(page_size(None).unwrap(), 1000);
        assert_eq!(page_size(Some(0)).unwrap(), 0);
        assert_eq!(page_size(Some(5000)).unwrap(), 1000);
        assert!(page_size(Some(-1)).is_err());
    }

    #[test]
    fn a_token_gives_back_its_name_and_garbage_is_refused() {
        assert_eq!(read_token(&write_token("患者/a b")).unwrap(), "患者/a b");
        assert_eq!(read_token("***").unwrap_err().code(), &s3s::S3ErrorCode::InvalidArgument);
        assert!(read_token(&TOKEN.encode([0xff])).is_err());
    }
}
