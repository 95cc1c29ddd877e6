//! What is sealed inside manifests and summaries: object facts, lists of chunks, and the state of buckets.
//!
//! A manifest is a root page and, above [`MANIFEST_INLINE_ENTRIES_MAX`] chunks, further pages that the root lists
//! by address. A summary repeats the facts without the chunks, so a view of names never opens a manifest.

mod signature;

pub use signature::{DocumentSignature, DocumentSigner, SignerStanding};

use crate::bucket_rules::BucketRules;
use crate::codec::{Reader, Writer};
use crate::limits::*;
use crate::policy::DepositPolicy;
use crate::{Address, Digest, Error, Result, VersionId};

/// Names and values, sorted by name, each name once.
pub type Pairs = Vec<(String, String)>;

/// One chunk of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ChunkRef {
    /// hash of the sealed bytes
    pub address: Address,
    /// secret that its key and commitment derive from; never printed
    pub t: [u8; 32],
    /// bytes of plain text
    pub plain_len: u32,
}

impl std::fmt::Debug for ChunkRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("ChunkRef");
        out.field("address", &self.address).field("plain_len", &self.plain_len).finish_non_exhaustive()
    }
}

/// A checksum that a client sent or asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// which one
    pub algorithm: ChecksumAlgorithm,
    /// over the whole object rather than over the checksums of its parts
    pub full_object: bool,
    /// raw bytes, as long as the algorithm makes them
    pub value: Vec<u8>,
}

/// Checksums of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ChecksumAlgorithm {
    /// CRC-32
    Crc32 = 1,
    /// CRC-32C
    Crc32c = 2,
    /// CRC-64/NVME
    Crc64Nvme = 3,
    /// SHA-1
    Sha1 = 4,
    /// SHA-256
    Sha256 = 5,
}

impl ChecksumAlgorithm {
    /// By stored byte.
    pub fn from_code(code: u8) -> Result<Self> {
        match code {
            1 => Ok(ChecksumAlgorithm::Crc32),
            2 => Ok(ChecksumAlgorithm::Crc32c),
            3 => Ok(ChecksumAlgorithm::Crc64Nvme),
            4 => Ok(ChecksumAlgorithm::Sha1),
            5 => Ok(ChecksumAlgorithm::Sha256),
            _ => Err(Error::Invalid { what: "checksum algorithm", why: "no such code" }),
        }
    }

    /// Length of its value, in bytes.
    pub const fn value_len(self) -> usize {
        match self {
            ChecksumAlgorithm::Crc32 | ChecksumAlgorithm::Crc32c => 4,
            ChecksumAlgorithm::Crc64Nvme => 8,
            ChecksumAlgorithm::Sha1 => 20,
            ChecksumAlgorithm::Sha256 => 32,
        }
    }
}

/// One part of an object; an object stored in one piece has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartFact {
    /// part number of S3, 1 for a single upload
    pub number: u16,
    /// bytes of plain text
    pub size_bytes: u64,
    /// MD5 of the plain text, for the ETag
    pub md5: [u8; 16],
    /// digest of the plain text under the suite: what `verify` proves
    pub plain_digest: Digest,
    /// checksum of the part, if the client used one
    pub checksum: Option<Checksum>,
}

/// Everything S3 knows about one version of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFacts {
    /// bucket
    pub bucket: String,
    /// name (S3 object key)
    pub name: String,
    /// bytes of plain text
    pub size_bytes: u64,
    /// when it was stored, in milliseconds since 1970
    pub modified_ms: u64,
    /// made while versioning was off or suspended: S3 calls this version `null`
    pub null_version: bool,
    /// uploaded in parts: the ETag has the multipart form
    pub multipart: bool,
    /// content-type and the other headers S3 keeps, lower-case names
    pub headers: Pairs,
    /// user metadata, lower-case names without the `x-amz-meta-` prefix
    pub metadata: Pairs,
    /// tags at the time of storing; later changes are summaries of their own
    pub tags: Pairs,
    /// checksum of the whole object, if the client used one
    pub checksum: Option<Checksum>,
    /// the parts, ascending by number
    pub parts: Vec<PartFact>,
    /// the signature that the document brought with it
    pub signature: Option<DocumentSignature>,
}

/// Flags of object facts. Bit 2 is not used.
const NULL_VERSION: u8 = 1;
const MULTIPART: u8 = 2;
const SIGNED: u8 = 8;

impl ObjectFacts {
    /// ETag without quotes: the MD5, or for multipart the MD5 over the MD5s and the count, given by `md5`.
    pub fn etag(&self, md5: impl Fn(&[u8]) -> [u8; 16]) -> String {
        match (self.multipart, self.parts.as_slice()) {
            (false, [part]) => hex::encode(part.md5),
            (_, parts) => {
                let all: Vec<u8> = parts.iter().flat_map(|part| part.md5).collect();
                format!("{}-{}", hex::encode(md5(&all)), parts.len())
            }
        }
    }

    /// Writes the facts.
    pub fn write(&self, out: &mut Writer) {
        out.var(self.bucket.as_bytes()).var(self.name.as_bytes()).u64(self.size_bytes).u64(self.modified_ms);
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let (null_version, multipart) = (flag(self.null_version, NULL_VERSION), flag(self.multipart, MULTIPART));
        out.u8(null_version | multipart | flag(self.signature.is_some(), SIGNED));
        write_pairs(out, &self.headers);
        write_pairs(out, &self.metadata);
        write_pairs(out, &self.tags);
        write_checksum(out, self.checksum.as_ref());
        out.count(self.parts.len());
        for part in &self.parts {
            out.u16(part.number).u64(part.size_bytes).put(&part.md5).put(&part.plain_digest.0);
            write_checksum(out, part.checksum.as_ref());
        }
        self.signature.iter().for_each(|signature| signature.write(out));
    }

    /// Reads the facts.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (bucket, name) = read_place(reader)?;
        let (size_bytes, modified_ms) = (reader.u64("size")?, reader.u64("modified")?);
        let flags = reader.u8("object flags")?;
        if flags & !(NULL_VERSION | MULTIPART | SIGNED) != 0 {
            return Err(Error::Invalid { what: "object flags", why: "unknown bits are set" });
        }
        let headers = read_pairs(reader, PAIRS_MAX, HEADERS_BYTES_MAX, "headers")?;
        let metadata = read_pairs(reader, PAIRS_MAX, USER_METADATA_BYTES_MAX, "user metadata")?;
        let tags = read_pairs(reader, TAGS_MAX, TAGS_BYTES_MAX, "tags")?;
        let checksum = read_checksum(reader)?;
        let count = reader.count(PARTS_MAX, "parts")?;
        let mut parts: Vec<PartFact> = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            let part = read_part(reader)?;
            if parts.last().is_some_and(|last| last.number >= part.number) {
                return Err(Error::Invalid { what: "parts", why: "numbers must ascend" });
            }
            parts.push(part);
        }
        let (null_version, multipart) = (flags & NULL_VERSION != 0, flags & MULTIPART != 0);
        let signature = if flags & SIGNED != 0 { Some(DocumentSignature::read(reader)?) } else { None };
        let facts = ObjectFacts {
            bucket,
            name,
            size_bytes,
            modified_ms,
            null_version,
            multipart,
            headers,
            metadata,
            tags,
            checksum,
            parts,
            signature,
        };
        facts.check()
    }

    fn check(self) -> Result<Self> {
        if self.size_bytes > OBJECT_BYTES_MAX {
            return Err(Error::OverLimit { what: "size", found: self.size_bytes, limit: OBJECT_BYTES_MAX });
        }
        let total = self.parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.size_bytes));
        if total != Some(self.size_bytes) {
            return Err(Error::Invalid { what: "size", why: "it must be the sum of the parts" });
        }
        if self.parts.is_empty() || (!self.multipart && self.parts.len() != 1) {
            return Err(Error::Invalid {
                what: "parts",
                why: "a single upload has one part, a multipart at least one",
            });
        }
        Ok(self)
    }
}

fn read_part(reader: &mut Reader<'_>) -> Result<PartFact> {
    let number = reader.u16("part number")?;
    if number == 0 || usize::from(number) > PARTS_MAX {
        return Err(Error::Invalid { what: "part number", why: "it must be 1 to 10,000" });
    }
    Ok(PartFact {
        number,
        size_bytes: reader.u64("part size")?,
        md5: reader.array("part MD5")?,
        plain_digest: Digest::read(reader)?,
        checksum: read_checksum(reader)?,
    })
}

/// The root page of a manifest: facts, and the chunks or where their pages are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestRoot {
    /// what the object is
    pub facts: ObjectFacts,
    /// the chunks, if they fit here
    pub inline: Vec<ChunkRef>,
    /// addresses of pages 1, 2, ... otherwise
    pub pages: Vec<Address>,
    /// chunks in all
    pub chunk_count: u32,
}

impl ManifestRoot {
    /// The bytes that are sealed.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.facts.write(&mut out);
        out.u32(self.chunk_count);
        write_chunks(&mut out, &self.inline);
        out.count(self.pages.len());
        for page in &self.pages {
            page.write(&mut out);
        }
        out.finish()
    }

    /// Reads a root page that was opened.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "manifest root");
        let facts = ObjectFacts::read(&mut reader)?;
        let chunk_count = reader.u32("chunk count")?;
        let inline = read_chunks(&mut reader, MANIFEST_INLINE_ENTRIES_MAX)?;
        let count = reader.count(MANIFEST_PAGES_MAX, "manifest pages")?;
        let pages = (0..count).map(|_| Address::read(&mut reader)).collect::<Result<Vec<_>>>()?;
        reader.finish()?;
        let paged = (chunk_count as usize).div_ceil(MANIFEST_PAGE_ENTRIES_MAX);
        let one_form = match pages.is_empty() {
            true => chunk_count as usize == inline.len() && plain_bytes(&inline) == facts.size_bytes,
            false => inline.is_empty() && chunk_count as usize > MANIFEST_INLINE_ENTRIES_MAX && pages.len() == paged,
        };
        match one_form {
            true => Ok(ManifestRoot { facts, inline, pages, chunk_count }),
            false => {
                Err(Error::Invalid { what: "manifest root", why: "chunks are inline if few and in full pages if many" })
            }
        }
    }
}

/// Bytes of plain text that `chunks` hold together.
pub fn plain_bytes(chunks: &[ChunkRef]) -> u64 {
    chunks.iter().map(|chunk| u64::from(chunk.plain_len)).sum()
}

/// A further page of a manifest: up to [`MANIFEST_PAGE_ENTRIES_MAX`] chunks.
pub fn encode_page(chunks: &[ChunkRef]) -> Vec<u8> {
    let mut out = Writer::with_capacity(4 + chunks.len() * 68);
    write_chunks(&mut out, chunks);
    out.finish()
}

/// Reads a further page that was opened.
pub fn decode_page(bytes: &[u8]) -> Result<Vec<ChunkRef>> {
    let mut reader = Reader::new(bytes, "manifest page");
    let chunks = read_chunks(&mut reader, MANIFEST_PAGE_ENTRIES_MAX)?;
    reader.finish()?;
    Ok(chunks)
}

/// The addresses a version depends on besides its manifest root: chunks and further pages, sorted, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressList(Vec<Address>);

impl AddressList {
    /// Sorts and removes repetitions.
    pub fn new(mut addresses: Vec<Address>) -> Self {
        addresses.sort_unstable();
        addresses.dedup();
        AddressList(addresses)
    }

    /// The addresses, ascending.
    pub fn addresses(&self) -> &[Address] {
        &self.0
    }

    /// Merkle root, as the entry has it.
    pub fn root(&self) -> Digest {
        crate::merkle::root_of(self.0.iter().map(|address| address.0.as_slice()))
    }

    /// The stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(4 + self.0.len() * 32);
        out.count(self.0.len());
        for address in &self.0 {
            address.write(&mut out);
        }
        out.finish()
    }

    /// Reads a list; order and uniqueness are part of the form.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "address list");
        let count = reader.count(ADDRESS_LIST_MAX, "addresses")?;
        if reader.left() != count * Address::LEN {
            return Err(Error::Invalid { what: "address list", why: "its length must match its count" });
        }
        let addresses = (0..count).map(|_| Address::read(&mut reader)).collect::<Result<Vec<_>>>()?;
        reader.finish()?;
        match addresses.is_sorted_by(|a, b| a < b) {
            true => Ok(AddressList(addresses)),
            false => Err(Error::Invalid { what: "address list", why: "addresses must ascend, each once" }),
        }
    }
}

/// Versioning of a bucket, as S3 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Versioning {
    /// never enabled
    #[default]
    Off = 0,
    /// every put is a new version
    Enabled = 1,
    /// new puts are the `null` version; older ones stay
    Suspended = 2,
}

/// State of a bucket, whole each time it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketFacts {
    /// bucket
    pub bucket: String,
    /// when it was made, in milliseconds since 1970
    pub created_ms: u64,
    /// whether it is gone
    pub deleted: bool,
    /// versioning
    pub versioning: Versioning,
    /// bytes of plain text in one chunk
    pub chunk_plain_bytes: u32,
    /// dedup class of its chunks, 0 for none
    pub dedup_class: u8,
    /// codec of its chunks: 0 none, 1 zstd
    pub codec: u8,
    /// record type, label and retention of its deposits
    pub policy: DepositPolicy,
    /// object lock and lifecycle
    pub rules: BucketRules,
}

impl BucketFacts {
    /// A new bucket with the defaults: dedup within the hospital, no compression, nothing said of its records.
    pub fn new(bucket: impl Into<String>, created_ms: u64) -> Self {
        BucketFacts {
            bucket: bucket.into(),
            created_ms,
            deleted: false,
            versioning: Versioning::Off,
            chunk_plain_bytes: CHUNK_PLAIN_BYTES_DEFAULT,
            dedup_class: 1,
            codec: 0,
            policy: DepositPolicy::default(),
            rules: BucketRules::default(),
        }
    }
}

/// What a summary says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Summary {
    /// A version was stored.
    Object(ObjectFacts),
    /// A delete marker was put on a name.
    Marker {
        /// bucket
        bucket: String,
        /// name
        name: String,
        /// when, in milliseconds since 1970
        modified_ms: u64,
        /// the marker is S3's `null` version
        null_version: bool,
    },
    /// A bucket changed.
    Bucket(BucketFacts),
    /// The tags of a version changed.
    Tags {
        /// bucket
        bucket: String,
        /// name
        name: String,
        /// version whose tags these are
        version: VersionId,
        /// all tags it has now
        tags: Pairs,
    },
    /// One version was withdrawn from view by its id (S3 delete with a version). The record itself stays until disposal.
    Withdrawn {
        /// bucket
        bucket: String,
        /// name
        name: String,
        /// version withdrawn
        version: VersionId,
    },
}

impl Summary {
    /// The bytes that are sealed.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        match self {
            Summary::Object(facts) => facts.write(out.u8(1)),
            Summary::Marker { bucket, name, modified_ms, null_version } => {
                out.u8(2).var(bucket.as_bytes()).var(name.as_bytes()).u64(*modified_ms).u8(u8::from(*null_version));
            }
            Summary::Bucket(facts) => {
                out.u8(3).var(facts.bucket.as_bytes()).u64(facts.created_ms).u8(u8::from(facts.deleted));
                out.u8(facts.versioning as u8).u32(facts.chunk_plain_bytes).u8(facts.dedup_class).u8(facts.codec);
                facts.policy.write(&mut out);
                facts.rules.write(&mut out);
            }
            Summary::Tags { bucket, name, version, tags } => {
                out.u8(4).var(bucket.as_bytes()).var(name.as_bytes()).put(&version.0);
                write_pairs(&mut out, tags);
            }
            Summary::Withdrawn { bucket, name, version } => {
                out.u8(5).var(bucket.as_bytes()).var(name.as_bytes()).put(&version.0);
            }
        }
        out.finish()
    }

    /// Reads a summary that was opened.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "summary");
        let kind = reader.u8("summary kind")?;
        let summary = match kind {
            1 => Summary::Object(ObjectFacts::read(&mut reader)?),
            2 => {
                let (bucket, name) = read_place(&mut reader)?;
                let modified_ms = reader.u64("modified")?;
                Summary::Marker { bucket, name, modified_ms, null_version: read_bool(&mut reader, "null version")? }
            }
            3 => Summary::Bucket(read_bucket(&mut reader)?),
            4 => {
                let (bucket, name) = read_place(&mut reader)?;
                let version = VersionId::read(&mut reader)?;
                Summary::Tags {
                    bucket,
                    name,
                    version,
                    tags: read_pairs(&mut reader, TAGS_MAX, TAGS_BYTES_MAX, "tags")?,
                }
            }
            5 => {
                let (bucket, name) = read_place(&mut reader)?;
                Summary::Withdrawn { bucket, name, version: VersionId::read(&mut reader)? }
            }
            _ => return Err(Error::Invalid { what: "summary kind", why: "no such kind" }),
        };
        reader.finish()?;
        Ok(summary)
    }
}

/// Bucket and name; the name token has a zero byte between them, so a bucket has none.
fn read_place(reader: &mut Reader<'_>) -> Result<(String, String)> {
    let bucket = read_bucket_name(reader)?;
    match reader.text(NAME_BYTES_MAX, "name")? {
        name if name.is_empty() => Err(Error::Invalid { what: "name", why: "it must not be empty" }),
        name => Ok((bucket, name)),
    }
}

fn read_bucket_name(reader: &mut Reader<'_>) -> Result<String> {
    match reader.text(BUCKET_BYTES_MAX, "bucket")? {
        bucket if bucket.is_empty() => Err(Error::Invalid { what: "bucket", why: "it must not be empty" }),
        bucket if bucket.contains('\0') => Err(Error::Invalid { what: "bucket", why: "it must have no zero byte" }),
        bucket => Ok(bucket),
    }
}

fn read_bucket(reader: &mut Reader<'_>) -> Result<BucketFacts> {
    let bucket = read_bucket_name(reader)?;
    let created_ms = reader.u64("created")?;
    let deleted = read_bool(reader, "deleted")?;
    let versioning = match reader.u8("versioning")? {
        0 => Versioning::Off,
        1 => Versioning::Enabled,
        2 => Versioning::Suspended,
        _ => return Err(Error::Invalid { what: "versioning", why: "no such state" }),
    };
    let chunk_plain_bytes = reader.u32("chunk size")?;
    if !(CHUNK_PLAIN_BYTES_MIN..=CHUNK_PLAIN_BYTES_MAX).contains(&chunk_plain_bytes) {
        return Err(Error::Invalid { what: "chunk size", why: "it must be 256 KiB to 16 MiB" });
    }
    let (dedup_class, codec) = (reader.u8("dedup class")?, reader.u8("codec")?);
    if codec > 1 {
        return Err(Error::Invalid { what: "codec", why: "no such codec" });
    }
    let (policy, rules) = (DepositPolicy::read(reader)?, BucketRules::read(reader)?);
    Ok(BucketFacts { bucket, created_ms, deleted, versioning, chunk_plain_bytes, dedup_class, codec, policy, rules })
}

fn read_bool(reader: &mut Reader<'_>, what: &'static str) -> Result<bool> {
    match reader.u8(what)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::Invalid { what, why: "it must be 0 or 1" }),
    }
}

fn write_chunks(out: &mut Writer, chunks: &[ChunkRef]) {
    out.count(chunks.len());
    for chunk in chunks {
        out.put(&chunk.address.0).put(&chunk.t).u32(chunk.plain_len);
    }
}

fn read_chunks(reader: &mut Reader<'_>, limit: usize) -> Result<Vec<ChunkRef>> {
    let count = reader.count(limit, "chunks")?;
    let mut chunks = Vec::with_capacity(count.min(reader.left() / 68 + 1));
    for _ in 0..count {
        let address = Address::read(reader)?;
        let (t, plain_len) = (reader.array("chunk secret")?, reader.u32("plain length")?);
        if plain_len == 0 || plain_len > CHUNK_PLAIN_BYTES_MAX {
            return Err(Error::Invalid { what: "plain length", why: "a chunk has 1 byte to 16 MiB" });
        }
        chunks.push(ChunkRef { address, t, plain_len });
    }
    Ok(chunks)
}

/// Writes names and values.
pub fn write_pairs(out: &mut Writer, pairs: &Pairs) {
    out.count(pairs.len());
    for (name, value) in pairs {
        out.var(name.as_bytes()).var(value.as_bytes());
    }
}

/// Reads what [`write_pairs`] wrote: at most `limit` pairs of `limit_bytes` together, ascending, each name once.
pub fn read_pairs(reader: &mut Reader<'_>, limit: usize, limit_bytes: usize, what: &'static str) -> Result<Pairs> {
    let count = reader.count(limit, what)?;
    let (mut pairs, mut bytes): (Pairs, usize) = (Vec::with_capacity(count), 0);
    for _ in 0..count {
        let pair = (reader.text(limit_bytes, what)?, reader.text(limit_bytes, what)?);
        bytes += pair.0.len() + pair.1.len();
        if bytes > limit_bytes {
            return Err(Error::OverLimit { what, found: bytes as u64, limit: limit_bytes as u64 });
        }
        if pair.0.is_empty() {
            return Err(Error::Invalid { what, why: "a name must not be empty" });
        }
        if pairs.last().is_some_and(|last| last.0 >= pair.0) {
            return Err(Error::Invalid { what, why: "names must ascend, each once" });
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

/// Writes a checksum or its absence.
pub fn write_checksum(out: &mut Writer, checksum: Option<&Checksum>) {
    match checksum {
        None => {
            out.u8(0);
        }
        Some(checksum) => {
            out.u8(checksum.algorithm as u8).u8(u8::from(checksum.full_object)).put(&checksum.value);
        }
    }
}

/// Reads what [`write_checksum`] wrote.
pub fn read_checksum(reader: &mut Reader<'_>) -> Result<Option<Checksum>> {
    let algorithm = match reader.u8("checksum algorithm")? {
        0 => return Ok(None),
        code => ChecksumAlgorithm::from_code(code)?,
    };
    let full_object = read_bool(reader, "checksum kind")?;
    let value = reader.take(algorithm.value_len(), "checksum")?.to_vec();
    Ok(Some(Checksum { algorithm, full_object, value }))
}

#[cfg(test)]
mod tests;
