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
//! | 23 | hospital | the newest suite policy |
//! | 24 | hospital, device | what a device may do, where that is less than all |
//! | 25 | hospital, id of a grant | that the hospital granted it, or accepted it, and whether it ended that ([`crate::sharing`]) |
//!
//! The form changes whenever any row does; an index of another form is rebuilt, so there is nothing to migrate.

mod act;
mod key;

pub use act::*;
pub use key::*;

use crate::error::{Error, Result};
use crate::index::{Index, Pending};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::limits::CHECKPOINT_BYTES_MAX;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{Address, Digest, RecordKind, VaultId, VersionId, VolumeId};
use shosoin_tiers::Location;

/// Form of all rows together.
pub const FORM: u8 = 10;

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
    use shosoin_protocol::act::{Act, ActKind, Role, SuitePolicy};
    use shosoin_protocol::merkle::Node;
    use shosoin_protocol::retention::Kept;
    use shosoin_protocol::{HospitalId, SegmentId};

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
