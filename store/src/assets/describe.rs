//! One entry of the asset ledger in words, from the entry on media and from where its records are.

use super::slot::{self, AssetState, Slot};
use crate::audit::{Action, AuditQuery, AuditRecord, Outcome};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::rows::{self, RecordRow, Rows};
use crate::vault::Inner;
use serde::Serialize;
use shosoin_protocol::act::agreement::{Copies, Terms};
use shosoin_protocol::entry::{Body, Deposit, PlacedEntry, VERSION};
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::policy::{Label, Retention};
use shosoin_protocol::{Address, SegmentId, VolumeId};
use shosoin_tiers::SegmentInfo;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Records of the audit log that are looked through for the handling of one deposit.
const HISTORY_RECORDS_MAX: usize = 10_000;

/// One deposit: fields a to k of 7.2.1-S2, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asset {
    /// a: reference number, which is its place in the hospital's log
    pub number: u64,
    /// b: its name, which only the hospital can open: version and token, in hex
    pub version: String,
    /// b: see above
    pub name_token: String,
    /// c: code of the record type
    pub kind: &'static str,
    /// class that decides how it is handled (7.2.2-M6)
    pub label: &'static str,
    /// d: how it is stored, and how it is read
    pub format: Format,
    /// e: where it is, whether it may be copied, where copies are
    pub location: Location,
    /// f: devices and media that hold it
    pub media: Vec<Held>,
    /// g: business of the hospital that uses it
    pub business: &'static str,
    /// h: who is responsible at the provider
    pub manager: String,
    /// i: who has which rights
    pub rights: Rights,
    /// j: when it arose, how long it is kept, when it is to be disposed of
    pub arisen: Arisen,
    /// what became of it
    pub state: AssetState,
    /// k: what was done with it
    pub history: Vec<Handling>,
    /// sealed bytes
    pub stored_bytes: u64,
}

/// How a deposit is stored, and how it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Format {
    /// version of the entry's format
    pub entry: u8,
    /// suite of its algorithms
    pub suite: u8,
    /// records it consists of, manifest, wrap, summary and address list not counted
    pub records: u32,
    /// what makes it readable: the hospital's keyring and this command, or any release since this format
    pub read_with: &'static str,
}

/// Where a deposit is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Location {
    /// sites of the volumes; empty where their labels name none
    pub sites: Vec<String>,
    /// segments
    pub segments: Vec<String>,
    /// whether it may be copied
    pub copying: Copying,
    /// places of copies; the shards of one segment are one holding and no copies
    pub copies: Vec<String>,
    /// every segment of the deposit is listed, and not only that of its manifest
    pub complete: bool,
}

/// Whether a deposit may be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Copying {
    /// nothing was agreed with the hospital, so it may not
    NotAgreed,
    /// it was agreed that it may not
    None,
    /// to the second site
    SecondSite,
    /// to the second site, and by exports of the hospital
    Exports,
}

impl Copying {
    /// What terms say of a label; what they do not allow at all, no label does (T8).
    fn of(terms: &Terms, label: Label) -> Self {
        match terms.of_label(label).map(|rule| rule.copies) {
            None => Copying::NotAgreed,
            Some(Copies::Exports) if terms.exports => Copying::Exports,
            Some(Copies::SecondSite | Copies::Exports) if terms.second_site => Copying::SecondSite,
            Some(_) => Copying::None,
        }
    }
}

/// A medium that holds shards of a deposit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// volume id, in hex
    pub volume: String,
    /// maker's serial number; empty where nobody says
    pub serial: String,
    /// machine it is in; empty where nobody says
    pub host: String,
}

/// Who has which rights on a deposit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rights {
    /// device of the hospital that signed it, in hex: it reads and writes
    pub hospital_device: String,
    /// operators that read this ledger; empty where the file system alone decides
    pub ledger_readers: Vec<String>,
    /// what operators may do with the content
    pub content: &'static str,
}

/// When a deposit arose, and how long it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arisen {
    /// by the hospital's clock, in milliseconds since 1970
    pub claimed_ms: u64,
    /// by the vault's clock
    pub accepted_ms: u64,
    /// days to keep it; missing where no term was set
    pub term_days: Option<u32>,
    /// when the term began; missing while the hospital has not told
    pub start_ms: Option<u64>,
    /// when it may be disposed of, on the hospital's order; missing where no end is known
    pub planned_disposal_ms: Option<u64>,
}

/// Something that was done with a deposit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Handling {
    /// when, in milliseconds since 1970
    pub at_ms: u64,
    /// what: `stored`, or an action of the audit log
    pub what: &'static str,
    /// who
    pub actor: String,
    /// number of the record in the audit log; missing for what the ledger itself says
    pub audit: Option<u64>,
}

/// Puts entries into words. Facts of segments and media are looked up once for a page.
pub struct Describer<'a> {
    inner: &'a Inner,
    desk: &'a Arc<Desk>,
    segments: BTreeMap<SegmentId, SegmentInfo>,
    media: BTreeMap<VolumeId, (Held, String)>,
}

impl<'a> Describer<'a> {
    /// For the deposits of one hospital.
    pub fn new(inner: &'a Inner, desk: &'a Arc<Desk>) -> Self {
        let segments = inner.tier.segments_of(desk.info().hospital).into_iter();
        let media = inner.media.media().into_iter().map(|medium| {
            let label = medium.label;
            let held = Held { volume: label.id.to_string(), serial: label.serial, host: label.domains.host };
            (label.id, (held, label.domains.site))
        });
        Describer { inner, desk, segments: segments.map(|info| (info.id, info)).collect(), media: media.collect() }
    }

    /// An entry of a page: its location is that of its manifest.
    pub fn entry(&self, slot: &Slot) -> Result<Asset> {
        let (placed, deposit) = self.read(slot)?;
        let segments = self.segments_of(&[deposit.manifest])?;
        Ok(self.asset(slot, &placed, &deposit, &segments, false))
    }

    /// One entry with everywhere it is and everything that was done to it.
    pub fn in_full(&self, slot: &Slot) -> Result<Asset> {
        let (placed, deposit) = self.read(slot)?;
        let list = AddressList::decode(&self.desk.record(&deposit.address_list)?);
        let list = list.map_err(|source| Error::Malformed { what: "address list", source })?;
        let mut addresses = deposit.own_records();
        addresses.extend_from_slice(list.addresses());
        let segments = self.segments_of(&addresses)?;
        let mut asset = self.asset(slot, &placed, &deposit, &segments, true);
        asset.history.extend(self.handled(&segments, placed.accepted_ms)?);
        Ok(asset)
    }

    /// The entry on media, which must be what the index said.
    fn read(&self, slot: &Slot) -> Result<(PlacedEntry, Deposit)> {
        let placed = self.desk.ledger().entry(slot.number)?;
        match placed.entry.body() {
            Body::Deposit(deposit) if slot.is_of(&placed) => {
                let deposit = Deposit::clone(deposit);
                Ok((placed, deposit))
            }
            _ => Err(Error::Index { action: "read", why: format!("its facts of leaf {} are wrong", slot.number) }),
        }
    }

    fn segments_of(&self, addresses: &[Address]) -> Result<BTreeSet<SegmentId>> {
        let hospital = self.desk.info().hospital;
        let row = |address| self.inner.index.row::<RecordRow>(&rows::record_key(hospital, address));
        addresses.iter().filter_map(|address| row(address).transpose()).map(|row| Ok(row?.at.segment)).collect()
    }

    fn asset(
        &self,
        slot: &Slot,
        placed: &PlacedEntry,
        deposit: &Deposit,
        segments: &BTreeSet<SegmentId>,
        complete: bool,
    ) -> Asset {
        let statement = placed.entry.statement();
        let (sites, media) = self.holders(segments);
        let device = statement.device.to_string();
        let stored =
            Handling { at_ms: placed.accepted_ms, what: "stored", actor: format!("device {device}"), audit: None };
        Asset {
            number: slot.number,
            version: deposit.version.to_string(),
            name_token: deposit.name_token.to_string(),
            kind: deposit.policy.record_type.code(),
            label: deposit.policy.label.name(),
            format: Format {
                entry: VERSION,
                suite: statement.suite.code(),
                records: deposit.address_count,
                read_with: "shosoin get, with the hospital's keyring",
            },
            location: Location {
                sites,
                segments: segments.iter().map(SegmentId::to_string).collect(),
                copying: self.copying(deposit.policy.label),
                copies: Vec::new(),
                complete,
            },
            media,
            business: slot::business(deposit.policy.record_type),
            manager: self.inner.config.assets.manager.clone(),
            rights: Rights {
                hospital_device: device,
                ledger_readers: self.inner.config.assets.readers.clone(),
                content: "none: sealed, and the keys are the hospital's",
            },
            arisen: arisen(slot, statement.claimed_ms),
            state: slot.state,
            history: vec![stored],
            stored_bytes: slot.stored_bytes,
        }
    }

    /// Whether records of a label may be copied, as was agreed on.
    fn copying(&self, label: Label) -> Copying {
        let terms = self.desk.agreements().in_force(self.inner.clock.now_ms()).ok().flatten();
        terms.map_or(Copying::NotAgreed, |terms| Copying::of(&terms, label))
    }

    /// Sites and media of the shards of segments.
    fn holders(&self, segments: &BTreeSet<SegmentId>) -> (Vec<String>, Vec<Held>) {
        let infos = segments.iter().filter_map(|segment| self.segments.get(segment));
        let volumes: BTreeSet<VolumeId> = infos.flat_map(|info| info.shards.iter().flatten().copied()).collect();
        let known: Vec<_> = volumes.iter().filter_map(|volume| self.media.get(volume)).collect();
        let sites: BTreeSet<&String> = known.iter().map(|(_, site)| site).filter(|site| !site.is_empty()).collect();
        (sites.into_iter().cloned().collect(), known.into_iter().map(|(held, _)| held.clone()).collect())
    }

    /// What the audit log says was done with these segments since a deposit came.
    fn handled(&self, segments: &BTreeSet<SegmentId>, since_ms: u64) -> Result<Vec<Handling>> {
        let actions = [Action::Repair, Action::CopyForward, Action::Migrate, Action::Compact, Action::Release];
        let (since_ms, newest) = (Some(since_ms), Some(HISTORY_RECORDS_MAX));
        let query = AuditQuery { since_ms, actions: actions.to_vec(), newest, ..AuditQuery::default() };
        let about = |record: &AuditRecord| {
            let of_these = record.event.segment.is_some_and(|segment| segments.contains(&segment));
            of_these && matches!(record.event.outcome, Outcome::Done | Outcome::Findings)
        };
        let handling = |record: AuditRecord| Handling {
            at_ms: record.event.at_ms,
            what: record.event.action.name(),
            actor: record.event.actor,
            audit: Some(record.seq),
        };
        Ok(self.inner.media.audit().read(&query)?.into_iter().filter(about).map(handling).collect())
    }
}

fn arisen(slot: &Slot, claimed_ms: u64) -> Arisen {
    let (term_days, start_ms) = match slot.policy.retention {
        Retention::None => (None, None),
        Retention::Term { term_days, start_ms } => (Some(term_days), start_ms),
    };
    let planned_disposal_ms = slot.retention_end_ms();
    Arisen { claimed_ms, accepted_ms: slot.accepted_ms, term_days, start_ms, planned_disposal_ms }
}
