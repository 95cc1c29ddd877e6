//! Rows of the view and their encoding. They are a cache: a row that does not decode means that the view is damaged and
//! is to be deleted, never that a record is.

use crate::hashing::md5;
use shosoin_protocol::act::{ActKind, Document};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::limits::*;
use shosoin_protocol::manifest::{BucketFacts, ChecksumAlgorithm, ObjectFacts, Summary};
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::retention::Kept;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{DeviceId, Digest, Error, LogId, Result, VersionId};

/// One version of a name, as the view has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewRow {
    /// its id
    pub version: VersionId,
    /// S3 calls it `null`
    pub null_version: bool,
    /// it is the newest of its name
    pub is_latest: bool,
    /// its place in the ledger
    pub leaf_index: u64,
    /// hash of its entry as a leaf of the ledger
    pub leaf: Digest,
    /// the vault's clock when it was accepted, in milliseconds since 1970
    pub accepted_ms: u64,
    /// newest change of the name, of whatever kind
    pub last_change: VersionId,
    /// what it is
    pub content: RowContent,
}

/// What a version is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowContent {
    /// an object, with the tags it has now
    Object {
        /// its facts
        facts: Box<ObjectFacts>,
        /// its ETag, without quotes
        etag: String,
    },
    /// a delete marker
    Marker {
        /// when it was put, in milliseconds since 1970
        modified_ms: u64,
    },
}

impl ViewRow {
    /// Its facts and ETag, unless it is a delete marker.
    pub fn object(&self) -> Option<(&ObjectFacts, &str)> {
        match &self.content {
            RowContent::Object { facts, etag } => Some((facts, etag)),
            RowContent::Marker { .. } => None,
        }
    }

    /// Newest change of the name of which the vault knows; none where only machines brought versions that make no name tokens.
    pub(crate) fn changed_last(&self) -> Option<VersionId> {
        Some(self.last_change).filter(|change| *change != super::UNCHANGED)
    }

    /// When it was stored or put, in milliseconds since 1970.
    pub fn modified_ms(&self) -> u64 {
        match &self.content {
            RowContent::Object { facts, .. } => facts.modified_ms,
            RowContent::Marker { modified_ms } => *modified_ms,
        }
    }
}

/// Where the view stands in the ledger, and under which signed head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionRow {
    pub log: LogId,
    pub frontier: Frontier,
    /// signed text; empty before the first
    pub checkpoint: String,
}

impl PositionRow {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(1024);
        out.u8(FORMAT).put(&self.log.0).u64(self.frontier.size()).count(self.frontier.peaks().len());
        for peak in self.frontier.peaks() {
            out.put(&peak.0);
        }
        out.var(self.checkpoint.as_bytes());
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "position of the view");
        match reader.u8("format of the view")? {
            FORMAT => {}
            found => return Err(Error::Version { what: "view", found, known: FORMAT }),
        }
        let log = LogId::read(&mut reader)?;
        let size = reader.u64("leaves")?;
        let count = reader.count(64, "peaks")?;
        let peaks = (0..count).map(|_| Digest::read(&mut reader)).collect::<Result<Vec<_>>>()?;
        let checkpoint = reader.text(CHECKPOINT_BYTES_MAX, "checkpoint")?;
        reader.finish()?;
        Ok(PositionRow { log, frontier: Frontier::from_peaks(size, peaks)?, checkpoint })
    }
}

/// Where a ledger ended: the next vault goes on behind these leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndRow {
    pub size: u64,
    pub root: Digest,
}

impl EndRow {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(40);
        out.u64(self.size).put(&self.root.0);
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "end of the ledger");
        let row = EndRow { size: reader.u64("leaves")?, root: Digest::read(&mut reader)? };
        reader.finish().map(|()| row)
    }
}

/// Format of all rows; a view of another format is thrown away and rebuilt.
pub const FORMAT: u8 = 5;

/// An act, whoever stated it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActRow {
    /// its place in the ledger
    pub leaf_index: u64,
    /// the vault's clock when it was accepted, in milliseconds since 1970
    pub accepted_ms: u64,
    /// hash of its entry as a leaf
    pub leaf: Digest,
    /// its id
    pub id: VersionId,
    /// who signed it
    pub device: DeviceId,
    /// the version it is about; none: the hospital as a whole, or what its document says
    pub subject: Option<VersionId>,
    /// what it says
    pub document: Document,
}

impl ActRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let document = self.document.encode();
        let mut out = Writer::with_capacity(80 + document.len());
        out.u64(self.leaf_index).u64(self.accepted_ms).put(&self.leaf.0).put(&self.id.0).put(&self.device.0);
        out.put(&self.subject.map_or([0; 16], |version| version.0)).u16(self.document.kind().code()).put(&document);
        out.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "act row");
        let (leaf_index, accepted_ms) = (reader.u64("leaf index")?, reader.u64("accepted time")?);
        let leaf = Digest::read(&mut reader)?;
        let (id, device) = (VersionId::read(&mut reader)?, DeviceId::read(&mut reader)?);
        let subject = Some(VersionId::read(&mut reader)?).filter(|version| version.0 != [0; 16]);
        let kind = ActKind::from_code(reader.u16("act kind")?)?;
        let document = Document::decode(kind, reader.rest())?;
        Ok(ActRow { leaf_index, accepted_ms, leaf, id, device, subject, document })
    }
}

/// What keeps a version: what its deposit said, and what acts said since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptRow {
    /// leaf of its deposit and what that said; none before the deposit
    pub deposited: Option<(u64, DepositPolicy)>,
    /// what acts said
    pub kept: Kept,
}

impl KeptRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(80);
        write_index(&mut out, self.deposited.map(|(index, _)| index));
        self.deposited.map_or_else(DepositPolicy::default, |(_, policy)| policy).write(&mut out);
        self.kept.write(&mut out);
        out.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "row of what keeps a version");
        let (index, policy) = (read_index(&mut reader)?, DepositPolicy::read(&mut reader)?);
        let kept = Kept::read(&mut reader)?;
        reader.finish().map(|()| KeptRow { deposited: index.map(|index| (index, policy)), kept })
    }
}

/// By which order the records of a version ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedRow {
    /// the order
    pub order: VersionId,
    /// place of the act by which it began
    pub begun_leaf: u64,
    /// of an end of everything: the first leaf that it is not about; else 0
    pub below: u64,
}

impl EndedRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(32);
        out.put(&self.order.0).u64(self.begun_leaf).u64(self.below);
        out.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "row of a version that has ended");
        let row = EndedRow {
            order: VersionId::read(&mut reader)?,
            begun_leaf: reader.u64("leaf index")?,
            below: reader.u64("leaf index")?,
        };
        reader.finish().map(|()| row)
    }
}

/// A bucket and its newest change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketRow {
    pub change: VersionId,
    pub facts: BucketFacts,
}

impl BucketRow {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.change.write(&mut out);
        out.put(&Summary::Bucket(self.facts.clone()).encode());
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "bucket row");
        let change = VersionId::read(&mut reader)?;
        match Summary::decode(reader.rest())? {
            Summary::Bucket(facts) => Ok(BucketRow { change, facts }),
            _ => Err(Error::Invalid { what: "bucket row", why: "it holds no bucket" }),
        }
    }
}

/// Where a device's chain of entries stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// sequence of the next entry
    pub next_seq: u64,
    /// leaf hash of the newest entry, zeros if there is none
    pub prev: Digest,
}

impl Chain {
    /// Before the first entry.
    pub const START: Chain = Chain { next_seq: 0, prev: Digest([0; 32]) };
}

/// A device that the ledger knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    pub key: PublicKey,
    pub enrolled: bool,
    pub chain: Chain,
}

impl DeviceRow {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.key.write(&mut out);
        out.u8(u8::from(self.enrolled)).u64(self.chain.next_seq).put(&self.chain.prev.0);
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "device row");
        let key = PublicKey::read(&mut reader)?;
        let enrolled = reader.u8("enrolled")? != 0;
        let chain = Chain { next_seq: reader.u64("next sequence")?, prev: Digest::read(&mut reader)? };
        reader.finish()?;
        Ok(DeviceRow { key, enrolled, chain })
    }
}

/// What is known of a name, whether or not it has an object now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameRow {
    pub last_change: VersionId,
    /// leaf index of the newest version that is in view
    pub latest: Option<u64>,
    /// leaf index of the version S3 calls `null`
    pub null: Option<u64>,
}

impl NameRow {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(34);
        self.last_change.write(&mut out);
        write_index(&mut out, self.latest);
        write_index(&mut out, self.null);
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "name row");
        let last_change = VersionId::read(&mut reader)?;
        let row = NameRow { last_change, latest: read_index(&mut reader)?, null: read_index(&mut reader)? };
        reader.finish()?;
        Ok(row)
    }
}

/// No leaf has this index: a ledger of that size cannot be.
const NO_INDEX: u64 = u64::MAX;

fn write_index(out: &mut Writer, index: Option<u64>) {
    out.u64(index.unwrap_or(NO_INDEX));
}

fn read_index(reader: &mut Reader<'_>) -> Result<Option<u64>> {
    Ok(Some(reader.u64("leaf index")?).filter(|index| *index != NO_INDEX))
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    pub version: VersionId,
    pub leaf: Digest,
    pub accepted_ms: u64,
    pub null_version: bool,
    pub content: VersionContent,
}

/// What a version row holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionContent {
    Object(Box<ObjectFacts>),
    Marker { modified_ms: u64 },
}

impl VersionRow {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(512);
        self.version.write(&mut out);
        out.put(&self.leaf.0).u64(self.accepted_ms).u8(u8::from(self.null_version));
        match &self.content {
            VersionContent::Object(facts) => facts.write(out.u8(1)),
            VersionContent::Marker { modified_ms } => {
                out.u8(2).u64(*modified_ms);
            }
        }
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "version row");
        let version = VersionId::read(&mut reader)?;
        let (leaf, accepted_ms) = (Digest::read(&mut reader)?, reader.u64("accepted time")?);
        let null_version = reader.u8("null version")? != 0;
        let content = match reader.u8("kind of version")? {
            1 => VersionContent::Object(Box::new(ObjectFacts::read(&mut reader)?)),
            2 => VersionContent::Marker { modified_ms: reader.u64("modified")? },
            _ => return Err(Error::Invalid { what: "version row", why: "no such kind" }),
        };
        reader.finish()?;
        Ok(VersionRow { version, leaf, accepted_ms, null_version, content })
    }

    /// The row as callers see it.
    pub fn into_view(self, leaf_index: u64, name: &NameRow) -> ViewRow {
        let content = match self.content {
            VersionContent::Object(facts) => RowContent::Object { etag: facts.etag(md5), facts },
            VersionContent::Marker { modified_ms } => RowContent::Marker { modified_ms },
        };
        ViewRow {
            version: self.version,
            null_version: self.null_version,
            is_latest: name.latest == Some(leaf_index),
            leaf_index,
            leaf: self.leaf,
            accepted_ms: self.accepted_ms,
            last_change: name.last_change,
            content,
        }
    }
}

/// What a list says of a current object, so that a page needs one scan of small rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentRow {
    pub size_bytes: u64,
    pub modified_ms: u64,
    pub etag: String,
    pub checksum: Option<ListedChecksum>,
}

/// What a list says of a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedChecksum {
    /// which one
    pub algorithm: ChecksumAlgorithm,
    /// over the whole object rather than over the checksums of its parts
    pub full_object: bool,
}

impl CurrentRow {
    pub fn of(facts: &ObjectFacts) -> Self {
        let checksum = facts.checksum.as_ref();
        CurrentRow {
            size_bytes: facts.size_bytes,
            modified_ms: facts.modified_ms,
            etag: facts.etag(md5),
            checksum: checksum.map(|c| ListedChecksum { algorithm: c.algorithm, full_object: c.full_object }),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(64);
        out.u64(self.size_bytes).u64(self.modified_ms).var(self.etag.as_bytes());
        let (algorithm, full) = self.checksum.map_or((0, false), |c| (c.algorithm as u8, c.full_object));
        out.u8(algorithm).u8(u8::from(full));
        out.finish()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "row of a current object");
        let (size_bytes, modified_ms) = (reader.u64("size")?, reader.u64("modified")?);
        let etag = reader.text(64, "ETag")?;
        let algorithm = match reader.u8("checksum algorithm")? {
            0 => None,
            code => Some(ChecksumAlgorithm::from_code(code)?),
        };
        let full_object = reader.u8("checksum kind")? != 0;
        reader.finish()?;
        let checksum = algorithm.map(|algorithm| ListedChecksum { algorithm, full_object });
        Ok(CurrentRow { size_bytes, modified_ms, etag, checksum })
    }
}
