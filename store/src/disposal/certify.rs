//! Certificates: what became of every copy, gathered from the audit log, the ledger of media and the index, signed, and put on
//! the record.
//!
//! ```text
//! disposals/<hospital id>/<order id>/certificate-<serial>.shcd      what is signed
//! disposals/<hospital id>/<order id>/certificate-<serial>.html      the same for people, in Japanese and English
//! ```
//!
//! Invariants
//! - A copy is called erased only where the audit log says that it was overwritten and read back.
//! - What could not be looked at is pending: on a shelf, away, on media that do not overwrite in place.
//! - A certificate is stated in the ledger after its file is durable, so the one that the ledger knows is there.
//!
//! Source: guideline 7.5.4-M4, 6.1-R8, 7.8-M3.

use super::html;
use super::standing::order_row;
use super::{DIR, ended};
use crate::acts::OperatorAct;
use crate::audit::{Action, AuditEvent, AuditQuery, AuditRecord, Detail, MediaState, Outcome};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::media_facts::class_name;
use crate::media_ledger::Medium;
use crate::rows::{self, GoneRow, OrderStanding, Row, ShelfRow};
use crate::vault::Inner;
use serde::Serialize;
use serde_json::{Value, json};
use shosoin_protocol::act::agreement::Erasure;
use shosoin_protocol::act::{DisposalStep, Disposed, Document, Scope};
use shosoin_protocol::certificate::{Caveat, Certificate, CopyFacts, CopyState, EndedFacts, MediumFacts, ProvedEntry};
use shosoin_protocol::entry::Body;
use shosoin_protocol::limits::CERTIFICATE_COPIES_MAX;
use shosoin_protocol::policy::Label;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{HospitalId, SegmentId, VersionId, VolumeId};
use shosoin_tiers::volume::MediaClass;
use shosoin_tiers::{SegmentState, durable};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// A certificate that was issued.
#[derive(Debug, Clone, Serialize)]
pub struct Issued {
    /// the order, in hex
    pub order: String,
    /// which certificate for it, from 1
    pub serial: u32,
    /// copies in it
    pub copies: u64,
    /// those whose bytes may still be somewhere
    pub pending: u64,
    /// every copy is gone, and no remains of earlier ones are known
    pub complete: bool,
    /// SHA-256 of the signed file, hex: what the ledger has
    pub digest: String,
    /// the signed file
    pub file: PathBuf,
    /// the same for people
    pub html: PathBuf,
}

/// Bytes of a signed certificate and its page that an answer carries; a larger one is fetched from the vault's folder by its owner.
const HANDED_OUT_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Issued {
    /// The answer to whoever asked, with both files in it: who may have a certificate need not be able to read the vault's folder.
    pub(super) fn handed_out(&self) -> Result<Value> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| Error::Io { action: "read", path: path.clone(), source })
        };
        let (signed, page) = (read(&self.file)?, read(&self.html)?);
        let mut answer = json!(self);
        if signed.len() + page.len() <= HANDED_OUT_BYTES_MAX {
            answer["signed_hex"] = hex::encode(signed).into();
            answer["page_hex"] = hex::encode(page).into();
        }
        Ok(answer)
    }
}

/// A copy, by what tells it from others.
type CopyKey = (SegmentId, u8, VolumeId);

impl Inner {
    /// Issues a certificate of a disposal that has begun, for `actor`. Where nothing changed since the last one, that is it.
    pub(crate) fn certify(&self, desk: &Arc<Desk>, order: VersionId, actor: &str) -> Result<Issued> {
        let row = order_row(self.index.as_ref(), desk.info().hospital, order)?;
        if !matches!(row.standing, OrderStanding::Begun | OrderStanding::Certified | OrderStanding::Closed) {
            return Err(Error::DisposalRefused {
                order,
                why: "it has not begun, so there is nothing to certify".into(),
            });
        }
        let copies = self.copies(desk, order)?;
        let certificate = self.certificate(desk, order, copies, row.serial + 1)?;
        // media that were erased, destroyed or lost since change what there is to say, after the end was closed too; and a
        // certificate whose file is gone is issued anew
        if row.serial > 0
            && let Ok((issued, last)) = self.issued(desk.info().hospital, order, row.serial)
            && open_points(&certificate) == open_points(&last)
        {
            return Ok(issued);
        }
        let bytes = certificate.sign(desk.ledger().key());
        let issued = self.keep_certificate(desk.info().hospital, order, &certificate, &bytes)?;
        let step = DisposalStep::Certified {
            certificate: sha256(&[&bytes]),
            serial: certificate.serial,
            pending: certificate.pending(),
        };
        let document = Document::Disposed(Disposed { order, step });
        desk.state(OperatorAct { id: self.fresh_id()?, subject: None, document })?;
        let event = AuditEvent::new(self.clock.now_ms(), actor, Action::DisposalCertified);
        let (hospital, units) = (Some(desk.info().hospital), issued.pending);
        self.media.record(AuditEvent { hospital, units, ..event }.with(Detail::Order(order)))?;
        if issued.pending == 0 {
            self.forget_gone(desk.info().hospital, order)?;
        }
        Ok(issued)
    }

    /// Nothing of it is left to look for.
    fn forget_gone(&self, hospital: HospitalId, order: VersionId) -> Result<()> {
        let mut of_order = Vec::new();
        self.index.scan(&rows::gone_prefix(hospital), &mut |key, value| {
            if GoneRow::decode(value)?.order == order {
                of_order.push(key.to_vec());
            }
            Ok(true)
        })?;
        let mut rows = crate::index::Pending::new(self.index.as_ref());
        for key in of_order {
            rows.remove(key);
            rows.write_if_many()?;
        }
        rows.write()
    }

    fn keep_certificate(
        &self,
        hospital: HospitalId,
        order: VersionId,
        certificate: &Certificate,
        bytes: &[u8],
    ) -> Result<Issued> {
        use shosoin_tiers::media::Media as _;
        let dir = format!("{DIR}/{hospital}/{order}");
        for folder in [DIR.to_owned(), format!("{DIR}/{hospital}"), dir.clone()] {
            self.folder.make_dir(&folder)?;
        }
        let serial = certificate.serial;
        durable::replace(&self.folder, &format!("{dir}/certificate-{serial}.shcd"), bytes)?;
        let page = html::page(certificate, bytes);
        durable::replace(&self.folder, &format!("{dir}/certificate-{serial}.html"), page.as_bytes())?;
        self.issued(hospital, order, serial).map(|(issued, _)| issued)
    }

    /// A certificate that was issued, from its file.
    pub(crate) fn issued(&self, hospital: HospitalId, order: VersionId, serial: u32) -> Result<(Issued, Certificate)> {
        let file = |ending: &str| self.dir.join(format!("{DIR}/{hospital}/{order}/certificate-{serial}.{ending}"));
        let path = file("shcd");
        let bytes = std::fs::read(&path).map_err(|source| Error::Io { action: "read", path: path.clone(), source })?;
        let (certificate, _) =
            Certificate::decode(&bytes).map_err(|source| Error::Malformed { what: "certificate", source })?;
        let issued = Issued {
            order: order.to_string(),
            serial,
            copies: certificate.copies.len() as u64,
            pending: certificate.pending(),
            complete: certificate.is_complete(),
            digest: sha256(&[&bytes]).to_string(),
            file: path,
            html: file("html"),
        };
        Ok((issued, certificate))
    }

    fn certificate(
        &self,
        desk: &Arc<Desk>,
        order: VersionId,
        copies: BTreeMap<CopyKey, CopyFacts>,
        serial: u32,
    ) -> Result<Certificate> {
        let hospital = desk.info().hospital;
        let row = order_row(self.index.as_ref(), hospital, order)?;
        let begun = ended::begun_at(self.index.as_ref(), desk, row.begun_leaf)?;
        let begun = begun.ok_or(Error::Bug("a disposal that has begun has its act"))?;
        let head = desk.head()?;
        let proved = |index: u64| {
            let placed = desk.ledger().entry(index)?;
            let proof = desk.ledger().inclusion(&placed.entry.leaf_hash(), index, &head)?;
            let entry = placed.entry.bytes().to_vec();
            Ok::<_, Error>(ProvedEntry { index, accepted_ms: placed.accepted_ms, entry, proof })
        };
        let device = desk.ledger().entry(begun.order_leaf)?.entry.statement().device;
        let joined = self.joined(desk, device)?;
        if copies.len() > CERTIFICATE_COPIES_MAX {
            let why = format!("{} copies are more than one certificate can name", copies.len());
            return Err(Error::DisposalRefused { order, why });
        }
        let copies: Vec<CopyFacts> = copies.into_values().collect();
        let volumes: BTreeSet<VolumeId> = copies.iter().map(|copy| copy.volume).collect();
        let known: BTreeMap<VolumeId, Medium> =
            self.media.media().into_iter().map(|medium| (medium.label.id, medium)).collect();
        let earlier = self.earlier(hospital, &known)?;
        let media = volumes.iter().chain(&earlier).collect::<BTreeSet<_>>();
        let media = media.into_iter().map(|volume| medium_facts(*volume, known.get(volume))).collect();
        Ok(Certificate {
            vault: self.identity.vault(),
            hospital,
            vault_key: desk.ledger().public_key().clone(),
            serial,
            issued_ms: self.clock.now_ms(),
            checkpoint: head.checkpoint.clone(),
            ordered: proved(begun.order_leaf)?,
            order_document: begun.order_document.clone(),
            device: proved(joined)?,
            begun: proved(begun.begun_leaf)?,
            begun_document: begun.begun_document.clone(),
            ended: self.ended_facts(hospital, order, row.entries, &copies)?,
            copies,
            media,
            earlier: earlier.into_iter().collect(),
        })
    }

    /// Place of the entry by which a device joined.
    fn joined(&self, desk: &Desk, device: shosoin_protocol::DeviceId) -> Result<u64> {
        for leaf in 0..desk.head()?.size {
            let placed = desk.ledger().entry(leaf)?;
            if let Body::Device(change) = placed.entry.body()
                && change.enrol
                && change.key.device_id() == device
            {
                return Ok(leaf);
            }
        }
        Err(Error::UnknownDevice { device, why: "is not enrolled" })
    }

    /// What was ended, as the audit log has it from when it began.
    fn ended_facts(
        &self,
        hospital: HospitalId,
        order: VersionId,
        entries: u64,
        copies: &[CopyFacts],
    ) -> Result<EndedFacts> {
        let query = AuditQuery { actions: vec![Action::Disposed], ..AuditQuery::default() };
        let of_order = |record: &AuditRecord| {
            record.event.hospital == Some(hospital) && record.event.detail == Detail::Order(order)
        };
        let records = self.media.audit().read(&query)?;
        let begun = records.iter().rev().find(|record| of_order(record) && record.event.outcome == Outcome::Begun);
        let figures = records.iter().rev().find_map(|record| match record.event.detail {
            Detail::Survey { order: of, shared, verified, unverified } if of == order => {
                Some((shared, verified, unverified))
            }
            _ => None,
        });
        let (shared, verified, unverified) = figures.unwrap_or_default();
        let times = || copies.iter().filter(|copy| copy.audit > 0).map(|copy| copy.at_ms);
        let began_ms = begun.map_or(0, |record| record.event.at_ms);
        Ok(EndedFacts {
            entries,
            records: begun.map_or(0, |record| record.event.units),
            bytes: begun.map_or(0, |record| record.event.bytes),
            shared,
            verified,
            unverified,
            began_ms,
            ended_ms: times().max().unwrap_or(began_ms),
        })
    }

    /// Every copy of every segment that held what an order ended, and what became of it.
    pub(crate) fn copies(&self, desk: &Arc<Desk>, order: VersionId) -> Result<BTreeMap<CopyKey, CopyFacts>> {
        let hospital = desk.info().hospital;
        let actions = vec![Action::DisposalSegment, Action::ShardErased];
        let records = self.media.audit().read(&AuditQuery { actions, ..AuditQuery::default() })?;
        let of_order = |record: &&AuditRecord| {
            record.event.action == Action::DisposalSegment && record.event.detail == Detail::Order(order)
        };
        let segments: BTreeSet<SegmentId> =
            records.iter().filter(of_order).filter_map(|record| record.event.segment).collect();
        let mut copies: BTreeMap<CopyKey, CopyFacts> = BTreeMap::new();
        for record in records.iter().filter(|record| record.event.action == Action::ShardErased) {
            let event = &record.event;
            let (Some(segment), Some(volume), Detail::Erased { shard, passes, state }) =
                (event.segment, event.volume, &event.detail)
            else {
                continue;
            };
            if segments.contains(&segment) && event.hospital == Some(hospital) {
                let copy = CopyFacts {
                    segment,
                    shard: *shard,
                    volume,
                    state: CopyState::from_code(*state).unwrap_or(CopyState::There),
                    passes: *passes,
                    caveat: Caveat::None,
                    bytes: event.bytes,
                    at_ms: event.at_ms,
                    audit: record.seq,
                    worker: event.actor.clone(),
                };
                let key = (segment, *shard, volume);
                // once it was overwritten it stays so, whatever a later look at the same volume found
                let erased = copies.get(&key).is_some_and(|known| known.state == CopyState::Erased);
                if !erased || copy.state == CopyState::Erased {
                    copies.insert(key, copy);
                }
            }
        }
        self.add_waiting(desk, order, &mut copies)?;
        self.judge_media(&mut copies, self.is_to_be_destroyed(desk, order)?)?;
        Ok(copies)
    }

    /// Copies of segments that nobody came to yet: in sight and not compacted, or on media that are not here.
    fn add_waiting(&self, desk: &Arc<Desk>, order: VersionId, copies: &mut BTreeMap<CopyKey, CopyFacts>) -> Result<()> {
        let hospital = desk.info().hospital;
        let mut gone = BTreeSet::new();
        self.index.scan(&rows::gone_prefix(hospital), &mut |key, value| {
            if GoneRow::decode(value)?.order == order {
                gone.extend(rows::record_address(key));
            }
            Ok(true)
        })?;
        if gone.is_empty() {
            return Ok(());
        }
        let waiting = |segment, shard, volume| CopyFacts {
            segment,
            shard,
            volume,
            state: CopyState::There,
            passes: 0,
            caveat: Caveat::None,
            bytes: 0,
            at_ms: 0,
            audit: 0,
            worker: String::new(),
        };
        let mut seen = BTreeSet::new();
        for info in self.tier.segments_of(hospital) {
            let mut holds = info.state == SegmentState::Unreadable;
            let walked = self.tier.walk(info.id, 0, &mut |walked| {
                holds |= gone.contains(&walked.address);
                Ok(())
            });
            if walked.is_ok() || info.state != SegmentState::Unreadable {
                seen.insert(info.id);
            }
            if holds || walked.is_err() {
                for (shard, volume) in self.tier.copies_on(info.id) {
                    copies.entry((info.id, shard, volume)).or_insert_with(|| waiting(info.id, shard, volume));
                }
            }
        }
        // of what is on shelves nobody can say that it holds no old copy: it is told until somebody has looked
        for (segment, row) in self.shelved(hospital)? {
            if self.tier.is_removed(segment) || seen.contains(&segment) {
                continue;
            }
            for (shard, volume) in (0..).zip(&row.shards) {
                if let Some(volume) = volume {
                    copies.entry((segment, shard, *volume)).or_insert_with(|| waiting(segment, shard, *volume));
                }
            }
        }
        Ok(())
    }

    /// Segments of a hospital that are known to be on shelves.
    pub(crate) fn shelved(&self, hospital: HospitalId) -> Result<Vec<(SegmentId, ShelfRow)>> {
        let of_hospital = crate::shelf::segments_of(&self.dir, hospital)?;
        let mut shelved = Vec::new();
        self.index.scan(&rows::shelf_prefix(), &mut |key, value| {
            if let Some(segment) = rows::shelf_segment(key).filter(|segment| of_hospital.contains(segment)) {
                shelved.push((segment, ShelfRow::decode(value)?));
            }
            Ok(true)
        })?;
        Ok(shelved)
    }

    /// Whether it was agreed that the media of what an order ended are destroyed: for every label, or for one that is among it.
    fn is_to_be_destroyed(&self, desk: &Arc<Desk>, order: VersionId) -> Result<bool> {
        let Some(terms) = desk.agreements().in_force(self.clock.now_ms())? else { return Ok(false) };
        if terms.erasure == Erasure::Destroy {
            return Ok(true);
        }
        let destroyed: Vec<Label> =
            terms.labels.iter().filter(|rule| rule.erasure == Erasure::Destroy).map(|rule| rule.label).collect();
        if destroyed.is_empty() {
            return Ok(false);
        }
        let (_, order) = self.approved_order(desk, order)?;
        let mut leaves: Box<dyn Iterator<Item = u64>> = match &order.scope {
            Scope::These(items) => Box::new(items.iter().map(|item| item.leaf_index)),
            Scope::Everything { log_size, .. } => Box::new(0..*log_size),
        };
        leaves.try_fold(false, |found, leaf| match desk.ledger().entry(leaf)?.entry.body() {
            Body::Deposit(deposit) => Ok(found || destroyed.contains(&deposit.policy.label)),
            _ => Ok(found),
        })
    }

    /// What became of a medium as a whole counts for every copy on it that is pending.
    fn judge_media(&self, copies: &mut BTreeMap<CopyKey, CopyFacts>, to_destroy: bool) -> Result<()> {
        let mut ends: BTreeMap<VolumeId, Option<AuditRecord>> = BTreeMap::new();
        for ((_, _, volume), copy) in copies.iter_mut() {
            let Some(medium) = self.media.get(*volume) else { continue };
            copy.caveat = match copy.state {
                CopyState::Erased if to_destroy => Caveat::ToDestroy,
                CopyState::Erased if medium.label.class == MediaClass::Ssd => Caveat::Flash,
                _ => Caveat::None,
            };
            let state = match medium.state {
                MediaState::Sanitised if !to_destroy => CopyState::Sanitised,
                MediaState::Destroyed => CopyState::Destroyed,
                MediaState::Lost => CopyState::Lost,
                _ => continue,
            };
            if !copy.is_pending() && copy.caveat == Caveat::None {
                continue;
            }
            let end = match ends.get(volume) {
                Some(end) => end.clone(),
                None => {
                    let actions = vec![Action::VolumeState];
                    let query = AuditQuery { volume: Some(*volume), actions, newest: Some(1), ..AuditQuery::default() };
                    let end = self.media.audit().read(&query)?.pop();
                    ends.insert(*volume, end.clone());
                    end
                }
            };
            if let Some(end) = end {
                (copy.state, copy.caveat, copy.at_ms, copy.audit) = (state, Caveat::None, end.event.at_ms, end.seq);
                copy.worker = end.event.actor;
            }
        }
        Ok(())
    }

    /// Media from which copies of this hospital's segments were removed without being overwritten, and that still may have
    /// remains of them: whatever moved or compacted segments before erased nothing.
    fn earlier(&self, hospital: HospitalId, known: &BTreeMap<VolumeId, Medium>) -> Result<BTreeSet<VolumeId>> {
        let actions =
            vec![Action::Release, Action::CopyForward, Action::Migrate, Action::Compact, Action::DisposalSegment];
        let records = self.media.audit().read(&AuditQuery { actions, ..AuditQuery::default() })?;
        let erased: BTreeSet<SegmentId> = records
            .iter()
            .filter(|record| record.event.action == Action::DisposalSegment)
            .filter_map(|record| record.event.segment)
            .collect();
        let is_end = |volume: &VolumeId| {
            known
                .get(volume)
                .is_some_and(|medium| matches!(medium.state, MediaState::Sanitised | MediaState::Destroyed))
        };
        let mut earlier = BTreeSet::new();
        for record in &records {
            let event = &record.event;
            let removed = matches!(event.action, Action::Release)
                && event.hospital.is_none_or(|of| of == hospital)
                && event.segment.is_none_or(|segment| !erased.contains(&segment));
            match event.volume {
                _ if !removed => {}
                Some(volume) => drop(earlier.insert(volume)),
                // a compaction says which segment went, and that was on every hot volume there may have been
                None => {
                    let hot = known.values().filter(|medium| medium.known_ms <= event.at_ms);
                    let hot = hot.filter(|medium| medium.label.tier == shosoin_tiers::volume::TierKind::Hot);
                    earlier.extend(hot.map(|medium| medium.label.id));
                }
            }
        }
        earlier.retain(|volume| !is_end(volume));
        Ok(earlier)
    }
}

/// What stands against taking an end for complete: copies with their states as far as they are pending or have a caveat, and
/// media with remains.
fn open_points(certificate: &Certificate) -> (Vec<(CopyKey, CopyState, Caveat)>, &[VolumeId]) {
    let open = certificate.copies.iter().filter(|copy| copy.is_pending() || copy.caveat != Caveat::None);
    let copies = open.map(|copy| ((copy.segment, copy.shard, copy.volume), copy.state, copy.caveat)).collect();
    (copies, &certificate.earlier)
}

fn medium_facts(volume: VolumeId, medium: Option<&Medium>) -> MediumFacts {
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    let label = medium.map(|medium| &medium.label);
    MediumFacts {
        volume,
        class: label.map_or_else(|| "unknown".to_owned(), |label| class_name(label.class).to_owned()),
        vendor: text(label.map(|label| &label.vendor)),
        model: text(label.map(|label| &label.model)),
        serial: text(label.map(|label| &label.serial)),
    }
}
