//! Keys of the rows: a tag, then what it is about. Integers are big-endian, so that a scan is in their order.

use shosoin_protocol::merkle::Node;
use shosoin_protocol::{Address, DeviceId, HospitalId, NameToken, SegmentId, VersionId};

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
const ORDER: u8 = 20;
const GONE: u8 = 21;
const DISPOSED: u8 = 22;
const SUITE_POLICY: u8 = 23;
const ROLE: u8 = 24;
const SHARE: u8 = 25;

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
