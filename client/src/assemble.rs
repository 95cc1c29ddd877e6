//! From sealed content to a deposit: facts, data key, wrap, manifest pages, address list, summary.

use crate::hashing::md5;
use crate::part::SealedPiece;
use crate::{CheckedDocument, Error, NewObject, Part, Result};
use bytes::Bytes;
use shosoin_keyring::{DataKey, Keyring, WrapPlace};
use shosoin_protocol::api::InlineRecord;
use shosoin_protocol::entry::{Deposit, Expected};
use shosoin_protocol::limits::*;
use shosoin_protocol::manifest::{AddressList, ChunkRef, ManifestRoot, ObjectFacts, PartFact, Summary, encode_page};
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::{Address, RecordKind, VersionId};
use std::collections::{HashMap, HashSet};

/// Records of one deposit that travel inside it, in bytes, chunks included; what is more is sent ahead.
const INLINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the caller decided about a new version.
pub struct Plan {
    /// fresh id
    pub version: VersionId,
    /// when, in milliseconds since 1970
    pub modified_ms: u64,
    /// S3 calls it `null`
    pub null_version: bool,
    /// record type, label, retention
    pub policy: DepositPolicy,
    /// epoch of its wrap
    pub epoch: u32,
}

/// A deposit that only lacks its place in the device's chain.
pub struct Assembled {
    /// fields of the entry; its condition is the caller's to set
    pub deposit: Deposit,
    /// records that travel with it
    pub records: Vec<InlineRecord>,
    /// records that must be in the vault before it
    pub ahead: Vec<(Address, Bytes)>,
    /// what the view is told
    pub summary: Summary,
    /// ETag, without quotes
    pub etag: String,
}

/// Makes facts of what was asked and what was written.
pub fn facts(object: NewObject, parts: &[Part], plan: &Plan) -> ObjectFacts {
    let part_facts = parts.iter().map(|part| PartFact {
        number: part.number,
        size_bytes: part.content.size_bytes,
        md5: part.content.md5,
        plain_digest: part.content.plain_digest,
        checksum: part.checksum.clone(),
    });
    ObjectFacts {
        bucket: object.bucket,
        name: object.name,
        size_bytes: parts.iter().map(|part| part.content.size_bytes).sum(),
        modified_ms: plan.modified_ms,
        null_version: plan.null_version,
        multipart: object.multipart,
        headers: object.headers,
        metadata: object.metadata,
        tags: object.tags,
        checksum: object.checksum,
        parts: part_facts.collect(),
        signature: object.signature.map(CheckedDocument::into_signature),
    }
}

/// Seals facts and lists of chunks; `report` gives the malware report that goes along. CPU work: call it on a blocking thread.
pub fn assemble(
    keyring: &Keyring,
    facts: ObjectFacts,
    parts: Vec<Part>,
    plan: &Plan,
    report: impl FnOnce(&DataKey, &ObjectFacts) -> Option<Bytes>,
) -> Result<Assembled> {
    let version = plan.version;
    let sealing = |source| Error::Keyring { what: "manifest", source };
    let data_key = keyring.new_data_key().map_err(sealing)?;
    let report = report(&data_key, &facts);
    let pieces: Vec<SealedPiece> = parts.iter().flat_map(|part| part.content.chunks.iter().copied()).collect();
    let chunks: Vec<ChunkRef> = pieces.iter().map(|piece| piece.chunk).collect();
    let manifest = seal_manifest(keyring, &data_key, version, &facts, &chunks)?;
    let wrap = keyring.wrap(&data_key, version, WrapPlace::first(plan.epoch)).map_err(sealing)?;
    let (name_token, etag) = (keyring.name_token(&facts.bucket, &facts.name), facts.etag(md5));
    let summary = Summary::Object(facts);
    let sealed_summary = keyring.seal_summary(version, &summary).map_err(sealing)?;

    let page_addresses = manifest.pages.iter().map(|(address, _)| *address);
    let list = AddressList::new(chunks.iter().map(|chunk| chunk.address).chain(page_addresses).collect());
    let list_bytes = list.encode();
    let suite = keyring.suite();
    let deposit = Deposit {
        version,
        expected: Expected::Any,
        name_token,
        manifest: suite.address(&manifest.root),
        address_root: list.root(),
        address_list: suite.address(&list_bytes),
        address_count: u32::try_from(list.addresses().len()).unwrap_or(u32::MAX),
        stored_bytes: manifest.stored_bytes() + unique_bytes(&pieces),
        dek_commit: data_key.commit(),
        wrap: suite.address(&wrap),
        summary: suite.address(&sealed_summary),
        policy: plan.policy,
        report: report.as_ref().map(|report| suite.address(report)),
    };
    let mut load = Load::default();
    load.carry(RecordKind::AddressList, list_bytes.into());
    load.carry(RecordKind::Wrap, wrap.into());
    load.carry(RecordKind::Manifest, manifest.root.into());
    load.carry(RecordKind::Summary, sealed_summary.into());
    report.into_iter().for_each(|report| load.carry(RecordKind::Document, report));
    for (address, page) in manifest.pages {
        load.carry_or_send(RecordKind::Manifest, address, page);
    }
    for part in parts {
        for bytes in part.content.inline {
            load.carry_or_send(RecordKind::Chunk, suite.address(&bytes), bytes);
        }
    }
    Ok(Assembled { deposit, records: load.records, ahead: load.ahead, summary, etag })
}

/// Splits records into those that travel with the deposit and those sent ahead of it.
#[derive(Default)]
struct Load {
    bytes: usize,
    records: Vec<InlineRecord>,
    ahead: Vec<(Address, Bytes)>,
    addresses: HashSet<Address>,
}

impl Load {
    fn carry(&mut self, kind: RecordKind, bytes: Bytes) {
        self.bytes += bytes.len();
        self.records.push(InlineRecord { kind, bytes });
    }

    fn carry_or_send(&mut self, kind: RecordKind, address: Address, bytes: Bytes) {
        if !self.addresses.insert(address) {
            return;
        }
        match self.bytes + bytes.len() <= INLINE_BYTES_MAX && self.records.len() < DEPOSIT_RECORDS_MAX {
            true => self.carry(kind, bytes),
            false => self.ahead.push((address, bytes)),
        }
    }
}

struct SealedManifest {
    root: Vec<u8>,
    pages: Vec<(Address, Bytes)>,
}

impl SealedManifest {
    fn stored_bytes(&self) -> u64 {
        self.root.len() as u64 + self.pages.iter().map(|(_, page)| page.len() as u64).sum::<u64>()
    }
}

fn seal_manifest(
    keyring: &Keyring,
    data_key: &DataKey,
    version: VersionId,
    facts: &ObjectFacts,
    chunks: &[ChunkRef],
) -> Result<SealedManifest> {
    if chunks.len() > OBJECT_CHUNKS_MAX {
        let (found, limit) = (chunks.len() as u64, OBJECT_CHUNKS_MAX as u64);
        return Err(Error::OverLimit { what: "number of chunks (the bucket may use larger ones)", found, limit });
    }
    let paged = if chunks.len() > MANIFEST_INLINE_ENTRIES_MAX { chunks } else { &[] };
    let page_count = paged.len().div_ceil(MANIFEST_PAGE_ENTRIES_MAX);
    let pages_in_all = u32::try_from(page_count).unwrap_or(u32::MAX) + 1;
    let seal = |page: u32, plain: &[u8]| {
        keyring
            .seal_manifest_page(data_key, version, page, pages_in_all, plain)
            .map_err(|source| Error::Keyring { what: "manifest page", source })
    };
    let mut pages = Vec::with_capacity(page_count);
    for (number, entries) in (1..).zip(paged.chunks(MANIFEST_PAGE_ENTRIES_MAX)) {
        let page = seal(number, &encode_page(entries))?;
        pages.push((keyring.suite().address(&page), Bytes::from(page)));
    }
    let root = ManifestRoot {
        facts: facts.clone(),
        inline: if paged.is_empty() { chunks.to_vec() } else { Vec::new() },
        pages: pages.iter().map(|(address, _)| *address).collect(),
        chunk_count: u32::try_from(chunks.len()).unwrap_or(u32::MAX),
    };
    Ok(SealedManifest { root: seal(0, &root.encode())?, pages })
}

/// Sealed bytes of the chunks, each address once.
fn unique_bytes(pieces: &[SealedPiece]) -> u64 {
    let mut by_address: HashMap<Address, u64> = HashMap::new();
    for piece in pieces {
        let known = by_address.entry(piece.chunk.address).or_default();
        *known = piece.stored_bytes.max(*known);
    }
    by_address.into_values().sum()
}
