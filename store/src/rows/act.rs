//! Rows that are made of acts: what they say, and what follows from them.

use super::{Row, read_location};
use shosoin_protocol::act::{Act, ActKind, Epoch, Role, SuitePolicy};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::retention::Kept;
use shosoin_protocol::{Address, Digest, VersionId};
use shosoin_tiers::Location;

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
