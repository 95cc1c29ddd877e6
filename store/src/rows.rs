//! Every row of the index: keys and values, encoded by hand.
//!
//! | tag | key after the tag | value |
//! |---|---|---|
//! | 0 | | form `u8`, vault id |
//! | 1 | hospital, address | kind `u8`, location: a record but entries and checkpoints |
//! | 2 | hospital, leaf index `u64` | leaf hash, address and location of the placed entry |
//! | 3 | hospital, level `u8`, index `u64` | hash of a complete subtree of the ledger, level 1 and up |
//! | 4 | hospital, version | leaf index of its entry |
//! | 5 | hospital, name token | leaf index, version and kind of the newest change of the name |
//! | 6 | hospital, device | state and key of the device, and where its chain of entries stands |
//! | 7 | hospital | leaves in the tree, newest checkpoint |
//! | 8 | segment | offset where the next walk begins |
//! | 9 | segment | data units it needs, and the volume of each shard: where it is when it is on a shelf |
//! | 10 | hospital, address | since when it is known that no entry names the record, and where it was then |
//! | 11 | hospital, block `u64` | what the asset ledger filters and sorts by, of 64 leaves ([`crate::assets`]) |
//! | 12 | hospital, leaf index `u64` | fields of an act ([`crate::acts`]) |
//! | 13 | hospital, version | what acts say keeps a version; version zero: holds on everything ([`crate::keeping`]) |
//! | 14 | hospital | up to which leaf acts are in the rows of tags 13, 18 and 20 |
//! | 15 | hospital | how far documents of acts have had their effect |
//! | 16 | hospital | newest epoch |
//! | 17 | hospital, version | newest wrap of its data key, where it is not the one of its deposit |
//! | 18 | hospital | newest act by which the log ended or went on ([`crate::handover`]) |
//! | 19 | hospital, leaf index `u64` | fields of an act by which a vault took the log over ([`crate::handover`]) |
//! | 20 | hospital, order | a disposal order and how far it has come ([`crate::disposal`]) |
//! | 21 | hospital, address | where a record lies that was ended, until its segment has gone, and by which order |
//! | 22 | hospital, version | the order that ended it; version zero: everything below a leaf |
//! | 25 | hospital, id of a grant | that the hospital granted it, or accepted it, and whether it ended that ([`crate::sharing`]) |
//!
//! Integers in keys are big-endian, so that a scan is in their order. The form changes whenever any row does; an index
//! of another form is rebuilt, so there is nothing to migrate.

use crate::error::{Error, Result};
use crate::index::{Index, Pending};
use shosoin_protocol::act::{Act, ActKind, Epoch, Role, SuitePolicy};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::limits::CHECKPOINT_BYTES_MAX;
use shosoin_protocol::merkle::Node;
use shosoin_protocol::retention::Kept;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{
    Address, DeviceId, Digest, HospitalId, NameToken, RecordKind, SegmentId, VaultId, VersionId, VolumeId,
};
use shosoin_tiers::Location;

/// Form of all rows together.
pub const FORM: u8 = 10;

const META: u8 = 0;
const RECORD: u8 = 1;
const LEAF: u8 = 2;
const NODE: u8 = 3;
const VERSION: u8 = 4;
const NAME: u8 = 5;
const DEVICE: u8 = 6;
const HEAD: u8 = 7;
const WATERMARK: u8 = 8;
const SHELF: u8 = 9;
const UNNAMED: u8 = 10;
const ASSETS: u8 = 11;
const ACT: u8 = 12;
const KEPT: u8 = 13;
const KEPT_TO: u8 = 14;
const DOCUMENTS: u8 = 15;
const EPOCH: u8 = 16;
const WRAP: u8 = 17;
const ENDED: u8 = 18;
const TAKEN_OVER: u8 = 19;
const SHARE: u8 = 25;
const ORDER: u8 = 20;
const GONE: u8 = 21;
const DISPOSED: u8 = 22;
const SUITE_POLICY: u8 = 23;
const ROLE: u8 = 24;

/// The value of a row.
pub trait Row: Sized {
    /// Its bytes.
    fn encode(&self) -> Vec<u8>;
    /// Reads it.
    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self>;

    /// Reads a whole value. One that does not parse is an error of the index.
    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "index row");
        let row = Self::read(&mut reader).and_then(|row| reader.finish().map(|()| row));
        row.map_err(|error| Error::Index { action: "read", why: error.to_string() })
    }
}

/// Typed reads, from the index or through a pending batch.
pub trait Rows {
    /// The value of one key, parsed.
    fn row<R: Row>(&self, key: &[u8]) -> Result<Option<R>>;
}

impl Rows for dyn Index + '_ {
    fn row<R: Row>(&self, key: &[u8]) -> Result<Option<R>> {
        self.get(key)?.map(|value| R::decode(&value)).transpose()
    }
}

impl Rows for Pending<'_> {
    fn row<R: Row>(&self, key: &[u8]) -> Result<Option<R>> {
        self.get(key)?.map(|value| R::decode(&value)).transpose()
    }
}

fn key(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(tag);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// Key of [`Meta`].
pub fn meta_key() -> Vec<u8> {
    key(META, &[])
}

/// Key of a [`RecordRow`].
pub fn record_key(hospital: HospitalId, address: &Address) -> Vec<u8> {
    key(RECORD, &[&hospital.0, &address.0])
}

/// Begins the keys of every [`RecordRow`] of a hospital.
pub fn record_prefix(hospital: HospitalId) -> Vec<u8> {
    key(RECORD, &[&hospital.0])
}

/// Key of an [`UnnamedRow`].
pub fn unnamed_key(hospital: HospitalId, address: &Address) -> Vec<u8> {
    key(UNNAMED, &[&hospital.0, &address.0])
}

/// Begins the keys of every [`UnnamedRow`] of a hospital.
pub fn unnamed_prefix(hospital: HospitalId) -> Vec<u8> {
    key(UNNAMED, &[&hospital.0])
}

/// The address in the key of a [`RecordRow`], [`UnnamedRow`] or [`GoneRow`].
pub fn record_address(key: &[u8]) -> Option<Address> {
    let address = key.get(1 + HospitalId::LEN..)?;
    Some(Address(address.try_into().ok()?))
}

/// Key of a [`LeafRow`].
pub fn leaf_key(hospital: HospitalId, index: u64) -> Vec<u8> {
    key(LEAF, &[&hospital.0, &index.to_be_bytes()])
}

/// Begins the keys of every [`LeafRow`] of a hospital.
pub fn leaf_prefix(hospital: HospitalId) -> Vec<u8> {
    key(LEAF, &[&hospital.0])
}

/// Key of the [`Digest`] of a node at level 1 or above.
pub fn node_key(hospital: HospitalId, node: Node) -> Vec<u8> {
    key(NODE, &[&hospital.0, &[node.level], &node.index.to_be_bytes()])
}

/// Key of a version's [`LeafIndex`].
pub fn version_key(hospital: HospitalId, version: VersionId) -> Vec<u8> {
    key(VERSION, &[&hospital.0, &version.0])
}

/// Key of a [`NameRow`].
pub fn name_key(hospital: HospitalId, token: NameToken) -> Vec<u8> {
    key(NAME, &[&hospital.0, &token.0])
}

/// Key of a [`DeviceRow`].
pub fn device_key(hospital: HospitalId, device: DeviceId) -> Vec<u8> {
    key(DEVICE, &[&hospital.0, &device.0])
}

/// Key of a [`HeadRow`].
pub fn head_key(hospital: HospitalId) -> Vec<u8> {
    key(HEAD, &[&hospital.0])
}

/// Key of a segment's [`Watermark`].
pub fn watermark_key(segment: SegmentId) -> Vec<u8> {
    key(WATERMARK, &[&segment.0])
}

/// Key of a segment's [`ShelfRow`].
pub fn shelf_key(segment: SegmentId) -> Vec<u8> {
    key(SHELF, &[&segment.0])
}

/// Key of a block of the asset ledger.
pub fn assets_key(hospital: HospitalId, block: u64) -> Vec<u8> {
    key(ASSETS, &[&hospital.0, &block.to_be_bytes()])
}

/// Begins the keys of every block of the asset ledger of a hospital.
pub fn assets_prefix(hospital: HospitalId) -> Vec<u8> {
    key(ASSETS, &[&hospital.0])
}

/// The number in the key of a block of the asset ledger.
pub fn assets_block(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1 + HospitalId::LEN..)?.try_into().ok()?))
}

/// Key of an [`ActRow`].
pub fn act_key(hospital: HospitalId, index: u64) -> Vec<u8> {
    key(ACT, &[&hospital.0, &index.to_be_bytes()])
}

/// Begins the keys of every [`ActRow`] of a hospital.
pub fn act_prefix(hospital: HospitalId) -> Vec<u8> {
    key(ACT, &[&hospital.0])
}

/// Key of an [`EndedRow`].
pub fn ended_key(hospital: HospitalId) -> Vec<u8> {
    key(ENDED, &[&hospital.0])
}

/// Key of the [`ActRow`] of an act by which a vault took the log over.
pub fn taken_over_key(hospital: HospitalId, index: u64) -> Vec<u8> {
    key(TAKEN_OVER, &[&hospital.0, &index.to_be_bytes()])
}

/// Begins the keys of every [`ActRow`] by which a vault took the log over.
pub fn taken_over_prefix(hospital: HospitalId) -> Vec<u8> {
    key(TAKEN_OVER, &[&hospital.0])
}

/// The leaf index in the key of an [`ActRow`].
pub fn act_index(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1 + HospitalId::LEN..)?.try_into().ok()?))
}

/// Key of what keeps a version.
pub fn kept_key(hospital: HospitalId, version: VersionId) -> Vec<u8> {
    key(KEPT, &[&hospital.0, &version.0])
}

/// Key of [`KeptTo`].
pub fn kept_to_key(hospital: HospitalId) -> Vec<u8> {
    key(KEPT_TO, &[&hospital.0])
}

/// Key of a [`DocumentsRow`].
pub fn documents_key(hospital: HospitalId) -> Vec<u8> {
    key(DOCUMENTS, &[&hospital.0])
}

/// Key of a [`ShareRow`].
pub fn share_key(hospital: HospitalId, grant: VersionId) -> Vec<u8> {
    key(SHARE, &[&hospital.0, &grant.0])
}

/// Key of an [`EpochRow`].
pub fn epoch_key(hospital: HospitalId) -> Vec<u8> {
    key(EPOCH, &[&hospital.0])
}

/// Key of a [`SuitePolicyRow`].
pub fn suite_policy_key(hospital: HospitalId) -> Vec<u8> {
    key(SUITE_POLICY, &[&hospital.0])
}

/// Key of a [`RoleRow`].
pub fn role_key(hospital: HospitalId, device: DeviceId) -> Vec<u8> {
    key(ROLE, &[&hospital.0, &device.0])
}

/// Key of a [`WrapRow`].
pub fn wrap_key(hospital: HospitalId, version: VersionId) -> Vec<u8> {
    key(WRAP, &[&hospital.0, &version.0])
}

/// Key of an [`OrderRow`].
pub fn order_key(hospital: HospitalId, order: VersionId) -> Vec<u8> {
    key(ORDER, &[&hospital.0, &order.0])
}

/// Begins the keys of every [`OrderRow`] of a hospital.
pub fn order_prefix(hospital: HospitalId) -> Vec<u8> {
    key(ORDER, &[&hospital.0])
}

/// The order in the key of an [`OrderRow`].
pub fn order_id(key: &[u8]) -> Option<VersionId> {
    Some(VersionId(key.get(1 + HospitalId::LEN..)?.try_into().ok()?))
}

/// Key of a [`GoneRow`].
pub fn gone_key(hospital: HospitalId, address: &Address) -> Vec<u8> {
    key(GONE, &[&hospital.0, &address.0])
}

/// Begins the keys of every [`GoneRow`] of a hospital.
pub fn gone_prefix(hospital: HospitalId) -> Vec<u8> {
    key(GONE, &[&hospital.0])
}

/// Key of a [`DisposedRow`].
pub fn disposed_key(hospital: HospitalId, version: VersionId) -> Vec<u8> {
    key(DISPOSED, &[&hospital.0, &version.0])
}

/// The segment in the key of a [`ShelfRow`].
pub fn shelf_segment(key: &[u8]) -> Option<SegmentId> {
    Some(SegmentId(key.get(1..)?.try_into().ok()?))
}

/// Begins the keys of every [`ShelfRow`].
pub fn shelf_prefix() -> Vec<u8> {
    key(SHELF, &[])
}

/// Begins the keys of every [`Watermark`].
pub fn watermark_prefix() -> Vec<u8> {
    key(WATERMARK, &[])
}

/// The segment in the key of a [`Watermark`].
pub fn watermark_segment(key: &[u8]) -> Option<SegmentId> {
    Some(SegmentId(key.get(1..)?.try_into().ok()?))
}

/// Which index this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// form of the rows
    pub form: u8,
    /// vault whose media it remembers
    pub vault: VaultId,
}

impl Row for Meta {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(self.form).put(&self.vault.0);
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(Meta { form: reader.u8("form of the index")?, vault: VaultId::read(reader)? })
    }
}

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordRow {
    /// what it is
    pub kind: RecordKind,
    /// where
    pub at: Location,
}

impl Row for RecordRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(1 + Location::LEN);
        out.u8(self.kind.code()).put(&self.at.encode());
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(RecordRow { kind: RecordKind::try_from(reader.u8("record kind")?)?, at: read_location(reader)? })
    }
}

/// One leaf of the ledger, and where its entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafRow {
    /// hash as a leaf
    pub leaf: Digest,
    /// address of the placed entry
    pub address: Address,
    /// where it is
    pub at: Location,
}

impl Row for LeafRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(64 + Location::LEN);
        out.put(&self.leaf.0).put(&self.address.0).put(&self.at.encode());
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(LeafRow { leaf: Digest::read(reader)?, address: Address::read(reader)?, at: read_location(reader)? })
    }
}

impl Row for Digest {
    fn encode(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Digest::read(reader)
    }
}

/// The leaf of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeafIndex(pub u64);

impl Row for LeafIndex {
    fn encode(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        reader.u64("leaf index").map(LeafIndex)
    }
}

/// The newest change of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameRow {
    /// leaf of its entry
    pub index: u64,
    /// its id
    pub version: VersionId,
    /// whether it is a delete marker
    pub marker: bool,
}

impl Row for NameRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(25);
        out.u64(self.index).put(&self.version.0).u8(u8::from(self.marker));
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let (index, version) = (reader.u64("leaf index")?, VersionId::read(reader)?);
        Ok(NameRow { index, version, marker: reader.u8("marker")? != 0 })
    }
}

/// What the ledger says of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum DeviceState {
    /// it has entries, and no entry about it was met yet
    Unknown = 0,
    /// it may sign entries
    Enrolled = 1,
    /// it may no longer
    Revoked = 2,
}

/// A device and its chain of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// what the ledger says of it
    pub state: DeviceState,
    /// leaf of the entry that says so
    pub state_at: u64,
    /// its key, once an entry about it was met
    pub key: Option<PublicKey>,
    /// sequence of its next entry
    pub next_seq: u64,
    /// leaf hash of its newest entry, zeros if there is none
    pub prev: Digest,
}

impl Default for DeviceRow {
    fn default() -> Self {
        DeviceRow { state: DeviceState::Unknown, state_at: 0, key: None, next_seq: 0, prev: Digest([0; 32]) }
    }
}

impl Row for DeviceRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(90);
        out.u8(self.state as u8).u64(self.state_at).u64(self.next_seq).put(&self.prev.0);
        if let Some(key) = &self.key {
            key.write(&mut out);
        }
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let state = match reader.u8("device state")? {
            0 => DeviceState::Unknown,
            1 => DeviceState::Enrolled,
            2 => DeviceState::Revoked,
            _ => return Err(shosoin_protocol::Error::Invalid { what: "device state", why: "no such state" }),
        };
        let (state_at, next_seq) = (reader.u64("leaf index")?, reader.u64("next sequence")?);
        let prev = Digest::read(reader)?;
        let key = match reader.left() {
            0 => None,
            _ => Some(PublicKey::read(reader)?),
        };
        Ok(DeviceRow { state, state_at, key, next_seq, prev })
    }
}

/// How far the tree of a hospital has grown, and its newest signed head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadRow {
    /// leaves in the tree
    pub size: u64,
    /// text of the newest checkpoint on media; empty if there is none
    pub checkpoint: String,
}

impl Row for HeadRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(12 + self.checkpoint.len());
        out.u64(self.size).var(self.checkpoint.as_bytes());
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(HeadRow { size: reader.u64("log size")?, checkpoint: reader.text(CHECKPOINT_BYTES_MAX, "checkpoint")? })
    }
}

/// Where the next walk of a segment begins: everything before it is in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark(pub u64);

impl Row for Watermark {
    fn encode(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        reader.u64("watermark").map(Watermark)
    }
}

/// Where the shards of a segment are that no hot volume has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShelfRow {
    /// shards that are needed to read it
    pub needed: u8,
    /// the volume of each shard, where one is known
    pub shards: Vec<Option<VolumeId>>,
}

impl Row for ShelfRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(2 + 17 * self.shards.len());
        out.u8(self.needed).u8(u8::try_from(self.shards.len()).unwrap_or(u8::MAX));
        for shard in &self.shards {
            out.u8(shard.is_some().into());
            shard.iter().for_each(|volume| volume.write(&mut out));
        }
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let (needed, count) = (reader.u8("shards needed")?, reader.u8("shards")?);
        let shard = |reader: &mut Reader<'_>| match reader.u8("shard is known")? {
            0 => Ok(None),
            1 => VolumeId::read(reader).map(Some),
            _ => Err(shosoin_protocol::Error::Invalid { what: "shelf row", why: "it is known or it is not" }),
        };
        let shards = (0..count).map(|_| shard(reader)).collect::<shosoin_protocol::Result<_>>()?;
        Ok(ShelfRow { needed, shards })
    }
}

/// An act of the ledger, found without reading its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActRow {
    /// what the entry says
    pub act: Act,
    /// the vault's clock when it was accepted, in milliseconds since 1970
    pub accepted_ms: u64,
}

impl Row for ActRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(96);
        self.act.write(&mut out);
        out.u64(self.accepted_ms);
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(ActRow { act: Act::read(reader)?, accepted_ms: reader.u64("accepted time")? })
    }
}

impl Row for Kept {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(64);
        self.write(&mut out);
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Kept::read(reader)
    }
}

/// Up to which leaf acts are in the rows of what keeps versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeptTo {
    /// acts below this leaf are in
    pub leaf: u64,
    /// the next one could not be read, so nobody knows what keeps what
    pub broken: bool,
}

impl Row for KeptTo {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(9);
        out.u64(self.leaf).u8(self.broken.into());
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(KeptTo { leaf: reader.u64("leaf index")?, broken: reader.u8("broken")? != 0 })
    }
}

/// How far documents of acts have had their effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DocumentsRow {
    /// those of leaves below this
    pub below: u64,
    /// the one at that leaf could not be read; later ones may have had their effect, and all are read again
    pub gap: bool,
}

impl Row for DocumentsRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(9);
        out.u64(self.below).u8(self.gap.into());
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(DocumentsRow { below: reader.u64("leaf index")?, gap: reader.u8("gap")? != 0 })
    }
}

/// The newest epoch of a hospital.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochRow(pub u32);

impl Default for EpochRow {
    fn default() -> Self {
        EpochRow(Epoch::FIRST)
    }
}

impl Row for EpochRow {
    fn encode(&self) -> Vec<u8> {
        self.0.to_le_bytes().to_vec()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        reader.u32("epoch").map(EpochRow)
    }
}

/// The newest suite policy of a hospital.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuitePolicyRow {
    /// leaf index of its act
    pub leaf: u64,
    /// what it says
    pub policy: SuitePolicy,
}

impl Row for SuitePolicyRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(32);
        out.u64(self.leaf);
        self.policy.write(&mut out);
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(SuitePolicyRow { leaf: reader.u64("leaf index")?, policy: SuitePolicy::read(reader)? })
    }
}

/// What a device may do, where that is less than others may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleRow {
    /// leaf index of the act that says so
    pub leaf: u64,
    /// what it may do
    pub role: Role,
}

impl Row for RoleRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(9);
        out.u64(self.leaf).u8(self.role.code());
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(RoleRow { leaf: reader.u64("leaf index")?, role: Role::from_code(reader.u8("role of a device")?)? })
    }
}

/// The newest wrap of a version that an act names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrapRow {
    /// its epoch
    pub epoch: u32,
    /// leaf index of the act
    pub leaf: u64,
    /// where it is
    pub address: Address,
}

impl Row for WrapRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(44);
        out.u32(self.epoch).u64(self.leaf).put(&self.address.0);
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(WrapRow { epoch: reader.u32("epoch")?, leaf: reader.u64("leaf index")?, address: Address::read(reader)? })
    }
}

/// Whether a log has ended, by the newest act by which it ended or went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedRow {
    /// leaf of that act
    pub index: u64,
    /// its id
    pub act: VersionId,
    /// whether the log ended by it
    pub ended: bool,
}

impl Row for EndedRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(25);
        out.u64(self.index).put(&self.act.0).u8(u8::from(self.ended));
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let (index, act) = (reader.u64("leaf index")?, VersionId::read(reader)?);
        Ok(EndedRow { index, act, ended: reader.u8("ended")? != 0 })
    }
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum OrderStanding {
    /// it waits
    Ordered = 0,
    /// the hospital took it back
    Cancelled = 1,
    /// its end has begun
    Begun = 2,
    /// a certificate was issued, and copies are pending
    Certified = 3,
    /// the newest certificate has no pending copy
    Closed = 4,
}

impl OrderStanding {
    const ALL: [OrderStanding; 5] = [
        OrderStanding::Ordered,
        OrderStanding::Cancelled,
        OrderStanding::Begun,
        OrderStanding::Certified,
        OrderStanding::Closed,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            OrderStanding::Ordered => "ordered",
            OrderStanding::Cancelled => "cancelled",
            OrderStanding::Begun => "begun",
            OrderStanding::Certified => "certified",
            OrderStanding::Closed => "closed",
        }
    }
}

/// A disposal order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    /// place of its entry
    pub leaf: u64,
    /// hash of its entry as a leaf
    pub leaf_hash: Digest,
    /// when it was accepted, in milliseconds since 1970
    pub accepted_ms: u64,
    /// address of its document
    pub document: Address,
    /// everything, at the end of a contract
    pub everything: bool,
    /// entries it names
    pub entries: u64,
    /// not to be carried out from this moment on
    pub expires_ms: u64,
    /// days that the hospital wants between the last approval and the end
    pub cool_down_days: u16,
    /// how far it has come
    pub standing: OrderStanding,
    /// place of the act by which its end began, 0 before
    pub begun_leaf: u64,
    /// when that was
    pub begun_ms: u64,
    /// certificates issued
    pub serial: u32,
    /// copies pending in the newest one
    pub pending: u64,
}

impl Row for OrderRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(160);
        out.u64(self.leaf).put(&self.leaf_hash.0).u64(self.accepted_ms).put(&self.document.0);
        out.u8(self.everything.into()).u64(self.entries).u64(self.expires_ms).u16(self.cool_down_days);
        out.u8(self.standing as u8).u64(self.begun_leaf).u64(self.begun_ms).u32(self.serial).u64(self.pending);
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(OrderRow {
            leaf: reader.u64("leaf index")?,
            leaf_hash: Digest::read(reader)?,
            accepted_ms: reader.u64("accepted time")?,
            document: Address::read(reader)?,
            everything: reader.u8("scope")? != 0,
            entries: reader.u64("entries")?,
            expires_ms: reader.u64("expiry")?,
            cool_down_days: reader.u16("cool-down")?,
            standing: {
                let code = reader.u8("standing of the order")?;
                let known = OrderStanding::ALL.into_iter().find(|standing| *standing as u8 == code);
                known.ok_or(shosoin_protocol::Error::Invalid { what: "standing of the order", why: "no such code" })?
            },
            begun_leaf: reader.u64("leaf index")?,
            begun_ms: reader.u64("beginning")?,
            serial: reader.u32("serial")?,
            pending: reader.u64("pending copies")?,
        })
    }
}

/// Where a record lies that was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoneRow {
    /// where the index had it
    pub at: Location,
    /// by which order
    pub order: VersionId,
}

impl Row for GoneRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(16 + Location::LEN);
        out.put(&self.order.0).put(&self.at.encode());
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(GoneRow { order: VersionId::read(reader)?, at: read_location(reader)? })
    }
}

/// By which order an entry lost its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisposedRow {
    /// the order
    pub order: VersionId,
    /// of an end of everything: the first leaf that it is not about; else 0
    pub below: u64,
}

impl Row for DisposedRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(24);
        out.put(&self.order.0).u64(self.below);
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(DisposedRow { order: VersionId::read(reader)?, below: reader.u64("leaf index")? })
    }
}

/// What one hospital says of a grant: that it grants or accepts it, and whether it ended that. The end may be applied first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareRow {
    /// whether it was granted or accepted, and not only ended
    pub is_stated: bool,
    /// by which of the two acts
    pub kind: ActKind,
    /// its document
    pub document: Address,
    /// whether it ended
    pub ended: bool,
}

impl Default for ShareRow {
    fn default() -> Self {
        ShareRow { is_stated: false, kind: ActKind::Unshare, document: Address([0; 32]), ended: false }
    }
}

impl Row for ShareRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(36);
        out.u8(self.is_stated.into()).u8(self.ended.into()).u16(self.kind.code()).put(&self.document.0);
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let (is_stated, ended) = (reader.u8("stated")? != 0, reader.u8("ended")? != 0);
        let kind = ActKind::from_code(reader.u16("act kind")?)?;
        Ok(ShareRow { is_stated, kind, document: Address::read(reader)?, ended })
    }
}

/// A record that no entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnnamedRow {
    /// since when that is known; from then on no upload was told that it is held
    pub since_ms: u64,
    /// where it was then: one that was stored again since is another matter
    pub at: Location,
}

impl Row for UnnamedRow {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(8 + Location::LEN);
        out.u64(self.since_ms).put(&self.at.encode());
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        Ok(UnnamedRow { since_ms: reader.u64("since")?, at: read_location(reader)? })
    }
}

fn read_location(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Location> {
    let bytes = reader.take(Location::LEN, "location")?;
    let bad = shosoin_protocol::Error::Invalid { what: "location", why: "the record must lie in its stripe" };
    Location::decode(bytes).map_err(|_| bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<R: Row + PartialEq + std::fmt::Debug>(row: R) {
        let bytes = row.encode();
        assert_eq!(R::decode(&bytes).unwrap(), row);
        for len in 0..bytes.len() {
            let _ = R::decode(&bytes[..len]); // any bytes give a value or an error, never a panic
        }
        let longer = [&bytes[..], &[0; 70]].concat();
        assert!(R::decode(&longer).is_err(), "trailing bytes are refused");
    }

    #[test]
    fn every_row_reads_back_and_refuses_trailing_bytes() {
        let at = Location { segment: SegmentId([1; 16]), stripe_at: 4096, payload_len: 500, at: 10, len: 77 };
        round_trip(Meta { form: FORM, vault: VaultId([2; 16]) });
        round_trip(RecordRow { kind: RecordKind::Wrap, at });
        round_trip(UnnamedRow { since_ms: 14, at });
        round_trip(LeafRow { leaf: Digest([3; 32]), address: Address([4; 32]), at });
        round_trip(Digest([5; 32]));
        round_trip(LeafIndex(6));
        round_trip(NameRow { index: 7, version: VersionId([8; 16]), marker: true });
        round_trip(DeviceRow::default());
        let key = Some(PublicKey::P256([2; 33]));
        round_trip(DeviceRow { state: DeviceState::Revoked, state_at: 9, key, next_seq: 10, prev: Digest([11; 32]) });
        round_trip(HeadRow { size: 12, checkpoint: "head".into() });
        round_trip(Watermark(13));
        let (id, subject, document) = (VersionId([15; 16]), Some(VersionId([16; 16])), Address([17; 32]));
        let act = Act { id, kind: ActKind::Hold, subject, document };
        round_trip(ActRow { act, accepted_ms: 18 });
        round_trip(Kept { until_ms: 19, holds: vec![VersionId([20; 16])], ..Kept::default() });
        round_trip(KeptTo { leaf: 21, broken: true });
        round_trip(DocumentsRow { below: 19, gap: true });
        round_trip(EpochRow(20));
        let policy = SuitePolicy { minimum: shosoin_protocol::Suite::Cryptrec, successor: Some(HospitalId([25; 16])) };
        round_trip(SuitePolicyRow { leaf: 24, policy });
        round_trip(RoleRow { leaf: 26, role: Role::DepositOnly });
        round_trip(WrapRow { epoch: 21, leaf: 22, address: Address([23; 32]) });
        let (kind, document) = (ActKind::ShareAccepted, Address([24; 32]));
        round_trip(ShareRow { is_stated: true, kind, document, ended: true });
        round_trip(ShareRow::default());
        round_trip(EndedRow { index: 19, act: VersionId([20; 16]), ended: true });
        round_trip(GoneRow { at, order: VersionId([22; 16]) });
        round_trip(DisposedRow { order: VersionId([23; 16]), below: 24 });
        round_trip(OrderRow {
            leaf: 25,
            leaf_hash: Digest([26; 32]),
            accepted_ms: 27,
            document: Address([28; 32]),
            everything: true,
            entries: 29,
            expires_ms: 30,
            cool_down_days: 31,
            standing: OrderStanding::Closed,
            begun_leaf: 32,
            begun_ms: 33,
            serial: 34,
            pending: 35,
        });
    }

    #[test]
    fn keys_sort_by_their_integers_and_give_back_what_they_name() {
        let hospital = HospitalId([7; 16]);
        assert!(leaf_key(hospital, 255) < leaf_key(hospital, 256));
        assert_eq!(record_address(&record_key(hospital, &Address([9; 32]))), Some(Address([9; 32])));
        assert_eq!(watermark_segment(&watermark_key(SegmentId([3; 16]))), Some(SegmentId([3; 16])));
        assert_eq!(record_address(b"short"), None);
        let node = |level, index| node_key(hospital, Node { level, index });
        assert!(node(1, 300) < node(2, 0));
    }
}
