//! `GetObjectAttributes`: what is known about an object without reading it.

use crate::checksum::{self, answer_in};
use crate::list;
use crate::reply;
use crate::s3::Gateway;
use s3s::dto::*;
use s3s::{S3Result, s3_error};
use shosoin_protocol::manifest::{ObjectFacts, PartFact};

/// Parts in one answer.
const PARTS_MAX: usize = 1000;

/// The attributes asked for.
pub(crate) fn get(gateway: &Gateway, input: &GetObjectAttributesInput) -> S3Result<GetObjectAttributesOutput> {
    let found = gateway.find_object(&input.bucket, &input.key, input.version_id.as_deref())?;
    let facts = &found.facts;
    // SDKs send the names as one header each or as one with commas.
    let asked = |name: &str| {
        input.object_attributes.iter().flat_map(|list| list.as_str().split(',')).any(|one| one.trim() == name)
    };
    Ok(GetObjectAttributesOutput {
        checksum: checksum_of(facts).filter(|_| asked(ObjectAttributes::CHECKSUM)),
        e_tag: asked(ObjectAttributes::ETAG).then(|| ETag::Strong(found.etag.clone())),
        last_modified: Some(reply::timestamp(facts.modified_ms)),
        object_parts: match asked(ObjectAttributes::OBJECT_PARTS) && facts.multipart {
            true => Some(parts(facts, input.max_parts, input.part_number_marker)?),
            false => None,
        },
        object_size: list::size(facts.size_bytes).filter(|_| asked(ObjectAttributes::OBJECT_SIZE)),
        storage_class: asked(ObjectAttributes::STORAGE_CLASS)
            .then(|| StorageClass::from_static(StorageClass::STANDARD)),
        version_id: found.version_text(),
        ..Default::default()
    })
}

fn checksum_of(facts: &ObjectFacts) -> Option<Checksum> {
    let kept = facts.checksum.as_ref()?;
    let mut answer = Checksum { checksum_type: Some(checksum::type_of(kept.full_object)), ..Default::default() };
    answer_in!(answer, kept.algorithm, checksum::text(kept, facts.parts.len()));
    Some(answer)
}

fn parts(facts: &ObjectFacts, max: Option<i32>, marker: Option<i32>) -> S3Result<GetObjectAttributesParts> {
    let invalid = |_| s3_error!(InvalidArgument, "max-parts and part-number-marker must not be negative.");
    let max = max.map_or(Ok(PARTS_MAX), usize::try_from).map_err(invalid)?.min(PARTS_MAX);
    let after = marker.map_or(Ok(0), u16::try_from).map_err(invalid)?;
    let start = facts.parts.partition_point(|part| part.number <= after);
    let page = &facts.parts[start..facts.parts.len().min(start + max)];
    let truncated = start + page.len() < facts.parts.len();
    Ok(GetObjectAttributesParts {
        is_truncated: Some(truncated),
        max_parts: Some(list::count(max)),
        next_part_number_marker: page.last().map(|part| part.number.into()),
        part_number_marker: Some(after.into()),
        parts: list::some(page.iter().map(listed).collect()),
        total_parts_count: Some(list::count(facts.parts.len())),
    })
}

fn listed(part: &PartFact) -> ObjectPart {
    let number = Some(part.number.into());
    let mut answer = ObjectPart { part_number: number, size: list::size(part.size_bytes), ..Default::default() };
    if let Some(checksum) = &part.checksum {
        answer_in!(answer, checksum.algorithm, checksum::text(checksum, 1));
    }
    answer
}
