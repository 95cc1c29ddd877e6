//! What a record on media means for the index. The committer and a rebuild both come through here, so an index that
//! was rebuilt is the index that was.
//!
//! Invariants
//! - The order in which records are applied does not matter, nor does applying one twice: what is newest is decided by
//!   leaf index and device sequence, never by which came last.
//! - Only [`grow`] depends on order: the tree grows over leaves that are there without a gap.

use crate::assets;
use crate::check::{Finding, Severity};
use crate::error::Result;
use crate::index::Pending;
use crate::rows::{
    self, ActRow, DeviceRow, DeviceState, DocumentsRow, EndedRow, EpochRow, HeadRow, LeafIndex, LeafRow, NameRow,
    RecordRow, RoleRow, Row, Rows, ShareRow, SuitePolicyRow, WrapRow,
};
use shosoin_protocol::act::{Act, ActKind, Document, Rewrap};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::{Body, DeviceChange, PlacedEntry, Statement};
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::{Address, Digest, HospitalId, RecordKind, VersionId};
use shosoin_tiers::Location;

/// A chunk, manifest page, address list, wrap, summary or document is at `at`.
pub fn record(rows: &mut Pending<'_>, hospital: HospitalId, kind: RecordKind, address: &Address, at: Location) {
    rows.put(rows::record_key(hospital, address), RecordRow { kind, at }.encode());
}

/// An entry is at `at`. Another entry with the same leaf index is a finding, and the one that came first stays.
pub fn entry(rows: &mut Pending<'_>, placed: &PlacedEntry, address: &Address, at: Location) -> Result<Option<Finding>> {
    let hospital = placed.entry.statement().hospital;
    let leaf = placed.entry.leaf_hash();
    if let Some(there) = rows.row::<LeafRow>(&rows::leaf_key(hospital, placed.index))?
        && there.leaf != leaf
    {
        return Ok(Some(two_entries(hospital, placed.index, &there.leaf, &leaf)));
    }
    place(rows, hospital, placed.index, LeafRow { leaf, address: *address, at });
    effects(rows, placed)?;
    Ok(None)
}

/// Where the entry of a leaf is.
pub fn place(rows: &mut Pending<'_>, hospital: HospitalId, index: u64, row: LeafRow) {
    rows.put(rows::leaf_key(hospital, index), row.encode());
}

/// What an entry changes, wherever it will be: versions, names, devices and their chains.
pub fn effects(rows: &mut Pending<'_>, placed: &PlacedEntry) -> Result<()> {
    let statement = placed.entry.statement();
    assets::note(rows, placed)?;
    name_change(rows, placed)?;
    chain(rows, statement, placed.entry.leaf_hash())?;
    match &statement.body {
        Body::Device(change) => device(rows, statement.hospital, change, placed.index),
        Body::Act(act) => act_row(rows, placed, act),
        _ => Ok(()),
    }
}

fn act_row(rows: &mut Pending<'_>, placed: &PlacedEntry, act: &Act) -> Result<()> {
    let hospital = placed.entry.statement().hospital;
    rows.put(rows::version_key(hospital, act.id), LeafIndex(placed.index).encode());
    let row = ActRow { act: act.clone(), accepted_ms: placed.accepted_ms };
    rows.put(rows::act_key(hospital, placed.index), row.encode());
    match act.kind {
        ActKind::HandOverIn => {
            rows.put(rows::taken_over_key(hospital, placed.index), row.encode());
            ended(rows, hospital, placed.index, act, false)?;
        }
        ActKind::HandOverOut => ended(rows, hospital, placed.index, act, act.subject.is_none())?,
        ActKind::ShareGrant => share(rows, hospital, act.id, |row| stated(row, act))?,
        ActKind::ShareAccepted | ActKind::Unshare => {
            let grant = act.subject.unwrap_or(act.id);
            share(rows, hospital, grant, |row| match act.kind {
                ActKind::Unshare => row.ended = true,
                _ => stated(row, act),
            })?;
        }
        _ => {}
    }
    Ok(())
}

/// What a hospital says of a grant.
fn share(
    rows: &mut Pending<'_>,
    hospital: HospitalId,
    grant: VersionId,
    change: impl FnOnce(&mut ShareRow),
) -> Result<()> {
    let key = rows::share_key(hospital, grant);
    let mut row = rows.row::<ShareRow>(&key)?.unwrap_or_default();
    change(&mut row);
    rows.put(key, row.encode());
    Ok(())
}

fn stated(row: &mut ShareRow, act: &Act) {
    (row.is_stated, row.kind, row.document) = (true, act.kind, act.document);
}

/// Whether the log has ended, as of this act: one without a subject ends it, one with a subject takes the end back, and it goes
/// on where a vault takes it over.
fn ended(rows: &mut Pending<'_>, hospital: HospitalId, index: u64, act: &Act, ended: bool) -> Result<()> {
    let key = rows::ended_key(hospital);
    if rows.row::<EndedRow>(&key)?.is_none_or(|row| row.index <= index) {
        rows.put(key, EndedRow { index, act: act.id, ended }.encode());
    }
    Ok(())
}

/// Whether documents of a kind change anything here; what keeps versions is for `keeping`.
pub fn has_effect(kind: ActKind) -> bool {
    matches!(kind, ActKind::Epoch | ActKind::Rewrap | ActKind::SuitePolicy | ActKind::DeviceRole)
}

/// What the document of the act at leaf `index` changes.
pub fn document(rows: &mut Pending<'_>, hospital: HospitalId, index: u64, document: &Document) -> Result<()> {
    match document {
        Document::Epoch(epoch) => {
            let newest = rows.row::<EpochRow>(&rows::epoch_key(hospital))?.unwrap_or_default().0.max(epoch.number);
            rows.put(rows::epoch_key(hospital), EpochRow(newest).encode());
        }
        Document::DeviceRole(stated) => {
            // what came first holds: a role never changes
            let key = rows::role_key(hospital, stated.device);
            if rows.row::<RoleRow>(&key)?.is_none_or(|known| known.leaf >= index) {
                rows.put(key, RoleRow { leaf: index, role: stated.role }.encode());
            }
        }
        Document::Rewrap(rewrap) => wraps(rows, hospital, index, rewrap)?,
        Document::SuitePolicy(policy) => {
            let key = rows::suite_policy_key(hospital);
            if rows.row::<SuitePolicyRow>(&key)?.is_none_or(|known| known.leaf <= index) {
                rows.put(key, SuitePolicyRow { leaf: index, policy: *policy }.encode());
            }
        }
        _ => {}
    }
    Ok(())
}

/// The document of the act at leaf `index` has had its effect after all those before it.
pub fn documented(rows: &mut Pending<'_>, hospital: HospitalId, index: u64) -> Result<()> {
    let key = rows::documents_key(hospital);
    let known = rows.row::<DocumentsRow>(&key)?.unwrap_or_default();
    if !known.gap {
        rows.put(key, DocumentsRow { below: index + 1, gap: false }.encode());
    }
    Ok(())
}

/// A wrap counts if it is of a newer epoch than the one known, or of the same and named later.
fn wraps(rows: &mut Pending<'_>, hospital: HospitalId, leaf: u64, rewrap: &Rewrap) -> Result<()> {
    for (version, address) in rewrap.wraps() {
        let (key, row) =
            (rows::wrap_key(hospital, *version), WrapRow { epoch: rewrap.epoch(), leaf, address: *address });
        let known = rows.row::<WrapRow>(&key)?;
        if known.is_none_or(|known| (known.epoch, known.leaf) <= (row.epoch, row.leaf)) {
            rows.put(key, row.encode());
        }
    }
    Ok(())
}

fn two_entries(hospital: HospitalId, index: u64, first: &Digest, second: &Digest) -> Finding {
    Finding {
        severity: Severity::Damaged,
        code: "two-entries-at-one-leaf",
        message: format!("log of hospital {hospital} has two entries at leaf {index}: {first} and {second}"),
    }
}

fn name_change(rows: &mut Pending<'_>, placed: &PlacedEntry) -> Result<()> {
    let Some((version, _, token)) = placed.entry.body().name_change() else { return Ok(()) };
    let hospital = placed.entry.statement().hospital;
    let index = placed.index;
    rows.put(rows::version_key(hospital, version), LeafIndex(index).encode());
    let key = rows::name_key(hospital, token);
    let newest = rows.row::<NameRow>(&key)?.is_none_or(|row| row.index <= index);
    if newest {
        let marker = matches!(placed.entry.body(), Body::Marker(_));
        rows.put(key, NameRow { index, version, marker }.encode());
    }
    Ok(())
}

fn chain(rows: &mut Pending<'_>, statement: &Statement, leaf: Digest) -> Result<()> {
    let key = rows::device_key(statement.hospital, statement.device);
    let mut row = rows.row::<DeviceRow>(&key)?.unwrap_or_default();
    if statement.device_seq >= row.next_seq {
        row.next_seq = statement.device_seq.saturating_add(1);
        row.prev = leaf;
        rows.put(key, row.encode());
    }
    Ok(())
}

fn device(rows: &mut Pending<'_>, hospital: HospitalId, change: &DeviceChange, index: u64) -> Result<()> {
    let key = rows::device_key(hospital, change.key.device_id());
    let mut row = rows.row::<DeviceRow>(&key)?.unwrap_or_default();
    if row.state == DeviceState::Unknown || index >= row.state_at {
        row.state = if change.enrol { DeviceState::Enrolled } else { DeviceState::Revoked };
        row.state_at = index;
        row.key = Some(change.key.clone());
        rows.put(key, row.encode());
    }
    Ok(())
}

/// A checkpoint with a good signature was met: it counts if it is the newest.
pub fn checkpoint(rows: &mut Pending<'_>, checkpoint: &Checkpoint, text: &str) -> Result<()> {
    let key = rows::head_key(checkpoint.hospital);
    let mut head = rows.row::<HeadRow>(&key)?.unwrap_or_default();
    let rank = |checkpoint: &Checkpoint| (checkpoint.size, checkpoint.term, checkpoint.time_ms);
    let newer = match Checkpoint::parse(&head.checkpoint) {
        Ok((newest, _)) => rank(checkpoint) > rank(&newest),
        Err(_) => true,
    };
    if newer {
        head.checkpoint = text.to_owned();
        rows.put(key, head.encode());
    }
    Ok(())
}

/// One leaf at the edge of the tree: the nodes it completes.
pub fn leaf(rows: &mut Pending<'_>, hospital: HospitalId, frontier: &mut Frontier, leaf: Digest) {
    frontier.push(leaf, |node, hash| {
        if node.level > 0 {
            rows.put(rows::node_key(hospital, node), hash.encode());
        }
    });
}

/// Grows the tree over every leaf that is there, without a gap, and records how far that is. Writes as it goes, so that
/// what is pending stays small.
pub fn grow(rows: &mut Pending<'_>, hospital: HospitalId) -> Result<u64> {
    let key = rows::head_key(hospital);
    let mut head = rows.row::<HeadRow>(&key)?.unwrap_or_default();
    let mut frontier = frontier_of(rows, hospital, head.size)?;
    while let Some(row) = rows.row::<LeafRow>(&rows::leaf_key(hospital, frontier.size()))? {
        leaf(rows, hospital, &mut frontier, row.leaf);
        if rows.is_many() {
            head.size = frontier.size();
            rows.put(key.clone(), head.encode());
            rows.write()?;
        }
    }
    head.size = frontier.size();
    rows.put(key, head.encode());
    Ok(head.size)
}

/// The right edge of a tree of `size` leaves, from its rows.
pub fn frontier_of(rows: &(impl Rows + ?Sized), hospital: HospitalId, size: u64) -> Result<Frontier> {
    let mut peaks = Vec::new();
    for node in Frontier::nodes(size) {
        let hash = match node.level {
            0 => rows.row::<LeafRow>(&rows::leaf_key(hospital, node.index))?.map(|row| row.leaf),
            _ => rows.row::<Digest>(&rows::node_key(hospital, node))?,
        };
        let missing = || crate::Error::Index { action: "read", why: format!("node {node:?} of the ledger is missing") };
        peaks.push(hash.ok_or_else(missing)?);
    }
    Frontier::from_peaks(size, peaks).map_err(|_| crate::Error::Bug("a frontier has one peak for each one-bit"))
}
