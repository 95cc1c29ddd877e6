//! What keeps each version of a hospital: terms that grew, locks, holds. It is what the acts of the ledger add up to, in the
//! order of the ledger, kept as rows of the index so that one version is answered by one look.
//!
//! Invariants
//! - The rules are those of [`shosoin_protocol::retention`]; an act that breaks one is refused before it has a place.
//! - The rows are a function of the ledger up to a leaf ([`KeptTo`]). After a start or a rebuild they are caught up from the
//!   acts and documents on media, in the order of the ledger.
//! - Where an act cannot be read, nobody knows what keeps what: no further act about it is taken, and nothing may go.
//!
//! Not here: whether something may go (`disposal`).

use crate::apply;
use crate::assets;
use crate::check::{Finding, Severity};
use crate::disposal::standing::{self, Ends, OrderChange, Surroundings};
use crate::error::{Error, Result};
use crate::index::{Index, Pending};
use crate::rows::{self, ActRow, DisposedRow, KeptTo, LeafIndex, LeafRow, RecordRow, Row, Rows};
use bytes::Bytes;
use shosoin_protocol::act::{Act, ActKind, Document};
use shosoin_protocol::entry::PlacedEntry;
use shosoin_protocol::policy::Retention;
use shosoin_protocol::retention::{About, Kept};
use shosoin_protocol::{Address, Digest, HospitalId, VersionId};
use shosoin_tiers::Tier;

/// Stands for everything where a version is expected.
pub const EVERYTHING: VersionId = VersionId([0; 16]);

/// Whether acts of a kind change what keeps a version.
pub fn concerns(kind: ActKind) -> bool {
    use ActKind::{DisposalCancelled, DisposalOrder, Disposed, Hold, Release, Retention};
    matches!(kind, Hold | Release | Retention | DisposalOrder | DisposalCancelled | Disposed)
}

/// What one act changes, ready to be written.
#[derive(Debug, Default)]
pub struct Changes {
    kept: Vec<(VersionId, Kept)>,
    order: Option<OrderChange>,
}

impl Changes {
    /// Writes them, and that the act at `leaf` is in.
    pub fn write(self, rows: &mut Pending<'_>, hospital: HospitalId, leaf: u64) -> Result<()> {
        for (version, kept) in self.kept {
            rows.put(rows::kept_key(hospital, version), kept.encode());
            if let Some(slot) = slot(rows, hospital, version)? {
                assets::put_slot(rows, hospital, &slot.kept(&kept))?;
            }
        }
        if let Some(OrderChange { order, row, ends }) = self.order {
            rows.put(rows::order_key(hospital, order), row.encode());
            for end in ends {
                write_end(rows, hospital, order, end)?;
            }
        }
        rows.put(rows::kept_to_key(hospital), KeptTo { leaf: leaf + 1, broken: false }.encode());
        Ok(())
    }
}

/// Writes that an order ended an entry, or everything below a place.
fn write_end(rows: &mut Pending<'_>, hospital: HospitalId, order: VersionId, end: Ends) -> Result<()> {
    let (version, leaves, below) = match end {
        Ends::Entry(item) => (item.version, item.leaf_index..item.leaf_index + 1, 0),
        Ends::Below(below) => (EVERYTHING, 0..below, below),
    };
    rows.put(rows::disposed_key(hospital, version), DisposedRow { order, below }.encode());
    for leaf in leaves {
        if let Some(slot) = assets::slot_of(rows, hospital, leaf)? {
            assets::put_slot(rows, hospital, &assets::Slot { state: assets::AssetState::Disposed, ..slot })?;
        }
    }
    Ok(())
}

/// What the asset ledger knows of a version; nothing where the ledger has no deposit of it.
pub fn slot(rows: &(impl Rows + ?Sized), hospital: HospitalId, version: VersionId) -> Result<Option<assets::Slot>> {
    match rows.row::<LeafIndex>(&rows::version_key(hospital, version))? {
        Some(LeafIndex(number)) => assets::slot_of(rows, hospital, number),
        None => Ok(None),
    }
}

/// What keeps a version beside what its deposit said.
pub fn of(rows: &(impl Rows + ?Sized), hospital: HospitalId, version: VersionId) -> Result<Kept> {
    Ok(rows.row::<Kept>(&rows::kept_key(hospital, version))?.unwrap_or_default())
}

/// The holds on everything.
pub fn of_everything(rows: &(impl Rows + ?Sized), hospital: HospitalId) -> Result<Vec<VersionId>> {
    Ok(of(rows, hospital, EVERYTHING)?.holds)
}

/// Whether everything that was said of keeping is in the rows.
pub fn is_known(rows: &(impl Rows + ?Sized), hospital: HospitalId) -> Result<bool> {
    Ok(!rows.row::<KeptTo>(&rows::kept_to_key(hospital))?.unwrap_or_default().broken)
}

/// Judges an act by the rules, against the rows as they are; `document_of` reads the document of an earlier act.
pub fn judge(
    rows: &(impl Rows + ?Sized),
    around: &Surroundings<'_>,
    act: &Act,
    document: &Document,
) -> Result<Changes> {
    let hospital = around.hospital;
    if !is_known(rows, hospital)? {
        let why = "an earlier act about retention or holds could not be read".to_owned();
        return Err(Error::ReadOnly { hospital, why });
    }
    let refused = |source| Error::Malformed { what: "act", source };
    if let Document::Release(release) = document {
        return released(rows, hospital, release.hold, around.document_of);
    }
    if let Some(change) = standing::judge_act(rows, around, act, document)? {
        return Ok(Changes { order: Some(change), ..Changes::default() });
    }
    let Some(about) = About::of(act.subject, document).map_err(refused)? else { return Ok(Changes::default()) };
    let versions = match about {
        About::Everything => vec![EVERYTHING],
        About::These(versions) => versions,
    };
    let mut changes = Vec::with_capacity(versions.len());
    for version in versions {
        let (kept, slot) = (of(rows, hospital, version)?, slot(rows, hospital, version)?);
        if let Some(order) = slot.filter(|slot| slot.state == assets::AssetState::Disposed).map(|slot| slot.number) {
            let order = standing::ended_by(rows, hospital, version, order)?.unwrap_or(EVERYTHING);
            return Err(Error::Disposed { version, order });
        }
        let next = match document {
            Document::Hold(_) if slot.is_none() && version != EVERYTHING => {
                return Err(Error::NotFound { what: "deposit of version", id: version.to_string() });
            }
            Document::Hold(_) => kept.held(act.id),
            Document::Retention(retain) => {
                let deposited: Option<Retention> = slot.map(|slot| slot.policy.retention);
                kept.changed(deposited, &retain.change)
            }
            _ => Ok(kept),
        };
        let next = next.map_err(|source| Error::KeepingRule { version, source })?;
        changes.push((version, next));
    }
    Ok(Changes { kept: changes, order: None })
}

/// Ends a hold on everything it is on.
fn released(
    rows: &(impl Rows + ?Sized),
    hospital: HospitalId,
    hold: VersionId,
    document_of: &dyn Fn(&Act) -> Result<Document>,
) -> Result<Changes> {
    let no_hold = || Error::NotFound { what: "hold", id: hold.to_string() };
    let LeafIndex(leaf) = rows.row(&rows::version_key(hospital, hold))?.ok_or_else(no_hold)?;
    let row: ActRow = rows.row(&rows::act_key(hospital, leaf))?.ok_or_else(no_hold)?;
    if row.act.kind != ActKind::Hold {
        return Err(no_hold());
    }
    let about = About::of(row.act.subject, &document_of(&row.act)?);
    let versions = match about.map_err(|source| Error::Malformed { what: "act", source })? {
        Some(About::These(versions)) => versions,
        _ => vec![EVERYTHING],
    };
    let release = |version: VersionId| {
        let released = of(rows, hospital, version)?.released(hold);
        Ok((version, released.map_err(|source| Error::KeepingRule { version, source })?))
    };
    versions.into_iter().map(release).collect::<Result<_>>().map(|kept| Changes { kept, order: None })
}

/// Takes in the acts of a log of `size` leaves that are not in yet. One that cannot be read is a finding, and ends it.
pub fn catch_up(index: &dyn Index, tier: &Tier, hospital: HospitalId, size: u64) -> Result<Option<Finding>> {
    let rows = &mut Pending::new(index);
    let to = index.row::<KeptTo>(&rows::kept_to_key(hospital))?.unwrap_or_default();
    for (leaf, row) in acts_from(index, hospital, to.leaf..size)? {
        rows.put(rows::kept_to_key(hospital), KeptTo { leaf, broken: false }.encode());
        let (act, read) = (row.act, |act: &Act| read_document(index, tier, hospital, act));
        let root_at = |size| root_at(index, hospital, size);
        let (now_ms, document_of, root_at) = (row.accepted_ms, &read, &root_at);
        let judged = placed_at(index, tier, hospital, leaf).and_then(|placed| {
            let (log, leaf_hash) = (placed.entry.statement().log, placed.entry.leaf_hash());
            let around = Surroundings { hospital, log, leaf, leaf_hash, now_ms, document_of, root_at };
            judge(rows, &around, &act, &read(&act)?)
        });
        match judged {
            Ok(changes) => changes.write(rows, hospital, leaf)?,
            Err(error @ Error::Index { .. }) => return Err(error),
            Err(error) => {
                rows.put(rows::kept_to_key(hospital), KeptTo { leaf, broken: true }.encode());
                let why = error.problem().message;
                let message =
                    format!("what keeps records of hospital {hospital} is not known from leaf {leaf} on: {why}");
                rows.write()?;
                return Ok(Some(Finding { severity: Severity::Damaged, code: "keeping-unknown", message }));
            }
        }
        rows.write_if_many()?;
    }
    rows.write().map(|()| None)
}

/// The acts about keeping among some leaves, in order.
fn acts_from(index: &dyn Index, hospital: HospitalId, leaves: std::ops::Range<u64>) -> Result<Vec<(u64, ActRow)>> {
    let mut acts = Vec::new();
    index.scan(&rows::act_prefix(hospital), &mut |key, value| {
        let row = ActRow::decode(value)?;
        match rows::act_index(key).filter(|leaf| leaves.contains(leaf)) {
            Some(leaf) if concerns(row.act.kind) => acts.push((leaf, row)),
            _ => {}
        }
        Ok(true)
    })?;
    Ok(acts)
}

/// Root of a log as it was with so many leaves, from the rows of its tree.
fn root_at(index: &dyn Index, hospital: HospitalId, size: u64) -> Result<Option<Digest>> {
    apply::frontier_of(index, hospital, size).map(|frontier| Some(frontier.root()))
}

/// The entry at a leaf. Its log is the one it was stated for, which may be that of a vault before this one.
fn placed_at(index: &dyn Index, tier: &Tier, hospital: HospitalId, leaf: u64) -> Result<PlacedEntry> {
    let missing = || Error::NotFound { what: "leaf", id: leaf.to_string() };
    let row: LeafRow = index.row(&rows::leaf_key(hospital, leaf))?.ok_or_else(missing)?;
    let segment = tier.segment_info(row.at.segment).ok_or_else(missing)?;
    let bytes = tier.read(segment.suite, &row.at, &row.address)?;
    PlacedEntry::decode(&bytes).map_err(|source| Error::Malformed { what: "entry on media", source })
}

fn read_document(index: &dyn Index, tier: &Tier, hospital: HospitalId, act: &Act) -> Result<Document> {
    let missing = || Error::NotFound { what: "record", id: act.document.to_string() };
    let row: RecordRow = index.row(&rows::record_key(hospital, &act.document))?.ok_or_else(missing)?;
    let segment = tier.segment_info(row.at.segment).ok_or_else(missing)?;
    decode(act, &tier.read(segment.suite, &row.at, &act.document)?)
}

/// The document of an act.
pub fn decode(act: &Act, bytes: &[u8]) -> Result<Document> {
    Document::decode(act.kind, bytes).map_err(|source| Error::Malformed { what: "document", source })
}

/// The document of an act that came with these records, or is held.
pub fn document(act: &Act, sent: Option<&Bytes>, held: impl FnOnce(&Address) -> Result<Bytes>) -> Result<Document> {
    match sent {
        Some(bytes) => decode(act, bytes),
        None => decode(act, &held(&act.document)?),
    }
}
