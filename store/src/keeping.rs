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

use crate::assets;
use crate::check::{Finding, Severity};
use crate::error::{Error, Result};
use crate::index::{Index, Pending};
use crate::rows::{self, ActRow, KeptTo, LeafIndex, RecordRow, Row, Rows};
use bytes::Bytes;
use shosoin_protocol::act::{Act, ActKind, Document};
use shosoin_protocol::policy::Retention;
use shosoin_protocol::retention::{About, Kept};
use shosoin_protocol::{Address, HospitalId, VersionId};
use shosoin_tiers::Tier;

/// Stands for everything where a version is expected.
pub const EVERYTHING: VersionId = VersionId([0; 16]);

/// Whether acts of a kind change what keeps a version.
pub fn concerns(kind: ActKind) -> bool {
    matches!(kind, ActKind::Hold | ActKind::Release | ActKind::Retention)
}

/// What one act changes, ready to be written.
#[derive(Debug, Default)]
pub struct Changes(Vec<(VersionId, Kept)>);

impl Changes {
    /// Writes them, and that the act at `leaf` is in.
    pub fn write(self, rows: &mut Pending<'_>, hospital: HospitalId, leaf: u64) -> Result<()> {
        for (version, kept) in self.0 {
            rows.put(rows::kept_key(hospital, version), kept.encode());
            if let Some(slot) = slot(rows, hospital, version)? {
                assets::put_slot(rows, hospital, &slot.kept(&kept))?;
            }
        }
        rows.put(rows::kept_to_key(hospital), KeptTo { leaf: leaf + 1, broken: false }.encode());
        Ok(())
    }
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
    hospital: HospitalId,
    act: &Act,
    document: &Document,
    document_of: &dyn Fn(&Act) -> Result<Document>,
) -> Result<Changes> {
    if !is_known(rows, hospital)? {
        let why = "an earlier act about retention or holds could not be read".to_owned();
        return Err(Error::ReadOnly { hospital, why });
    }
    let refused = |source| Error::Malformed { what: "act", source };
    if let Document::Release(release) = document {
        return released(rows, hospital, release.hold, document_of);
    }
    let Some(about) = About::of(act.subject, document).map_err(refused)? else { return Ok(Changes::default()) };
    let versions = match about {
        About::Everything => vec![EVERYTHING],
        About::These(versions) => versions,
    };
    let mut changes = Vec::with_capacity(versions.len());
    for version in versions {
        let (kept, slot) = (of(rows, hospital, version)?, slot(rows, hospital, version)?);
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
    Ok(Changes(changes))
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
    versions.into_iter().map(release).collect::<Result<_>>().map(Changes)
}

/// Takes in the acts of a log of `size` leaves that are not in yet. One that cannot be read is a finding, and ends it.
pub fn catch_up(index: &dyn Index, tier: &Tier, hospital: HospitalId, size: u64) -> Result<Option<Finding>> {
    let rows = &mut Pending::new(index);
    let to = index.row::<KeptTo>(&rows::kept_to_key(hospital))?.unwrap_or_default();
    for (leaf, act) in acts_from(index, hospital, to.leaf..size)? {
        rows.put(rows::kept_to_key(hospital), KeptTo { leaf, broken: false }.encode());
        let read = |act: &Act| read_document(index, tier, hospital, act);
        let judged = read(&act).and_then(|document| judge(rows, hospital, &act, &document, &read));
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
fn acts_from(index: &dyn Index, hospital: HospitalId, leaves: std::ops::Range<u64>) -> Result<Vec<(u64, Act)>> {
    let mut acts = Vec::new();
    index.scan(&rows::act_prefix(hospital), &mut |key, value| {
        let row = ActRow::decode(value)?;
        match rows::act_index(key).filter(|leaf| leaves.contains(leaf)) {
            Some(leaf) if concerns(row.act.kind) => acts.push((leaf, row.act)),
            _ => {}
        }
        Ok(true)
    })?;
    Ok(acts)
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
