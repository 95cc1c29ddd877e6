//! Import: taking a hospital over from a package. Everything in it is judged first, with no key of anybody; then it is written to
//! this vault's media under this vault's code, and the ledger goes on here with the act that says so.
//!
//! Invariants
//! - Nothing of a package is written before all of it was judged good, its log has ended, and the hospital's own word in it
//!   names this vault and its key.
//! - Nobody sees the hospital here before everything is durable, its ledger leads to the root that the package states, and the
//!   act that takes it over is in it. Until then a mark in the vault's folder says that it is coming.
//! - What was stopped goes on with the same package: what is held is not written again.

use super::export::SCRATCH_DIR;
use super::meter::Meter;
use super::package::{self, MANIFEST};
use super::timestamps;
use super::verify::{self, Ending, VerifyOptions, VerifyReport};
use crate::acts::OperatorAct;
use crate::apply;
use crate::config::VolumeSpec;
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::group::next_stripes;
use crate::hospitals;
use crate::index::Pending;
use crate::open::{self, Standing};
use crate::rebuild::{self, LedgerState};
use crate::rows::{self, LeafRow, Row as _, Rows as _, Watermark};
use crate::stores::Stores;
use crate::vault::Inner;
use bytes::Bytes;
use serde::Serialize;
use shosoin_protocol::act::handover::key_digest;
use shosoin_protocol::act::{Document, HandOverIn};
use shosoin_protocol::entry::PlacedEntry;
use shosoin_protocol::limits::PACKAGE_MANIFEST_BYTES_MAX;
use shosoin_protocol::package::{Package, PackageState};
use shosoin_protocol::{Digest, HospitalId, RecordKind};
use shosoin_tiers::media::Media;
use shosoin_tiers::{Location, Pace, Record, Tier, Walked, durable};
use std::path::Path;
use std::sync::Arc;

/// How the name of the mark of a hospital that is coming ends.
const MARK: &str = ".coming";
/// Bytes of records that are written in one go.
const BATCH_BYTES: usize = 16 << 20;

/// Where a package is, and what is asked of it.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// where it is
    pub from: VolumeSpec,
    /// fingerprint of the key of the vault that made it, as it is known from elsewhere
    pub fingerprint: String,
    /// take it although the vault that made it could not read everything any more
    pub accept_missing: bool,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// what was found in the package
    pub package: VerifyReport,
    /// whose, in hex
    pub hospital: String,
    /// entries of the ledger that were taken over
    pub entries: u64,
    /// records that this run wrote
    pub added_records: u64,
    /// their bytes
    pub added_bytes: u64,
    /// leaf at which the ledger goes on here
    pub leaf_index: u64,
    /// machines of the hospital that are let in
    pub machines: usize,
}

/// Whether a hospital is coming: its package was begun to be taken in.
pub(crate) fn is_coming(dir: &Path, hospital: HospitalId) -> bool {
    dir.join(mark_path(hospital)).exists()
}

/// Hospitals that are coming.
pub(crate) fn marked(dir: &Path) -> Vec<HospitalId> {
    let names = std::fs::read_dir(dir.join(SCRATCH_DIR)).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter_map(|name| name.strip_suffix(MARK)?.parse().ok()).collect()
}

fn mark_path(hospital: HospitalId) -> String {
    format!("{SCRATCH_DIR}/{hospital}{MARK}")
}

/// Takes a hospital over.
pub(crate) fn import(inner: &Inner, options: &ImportOptions, pace: &dyn Pace, meter: &Meter) -> Result<ImportReport> {
    let media = Stores::new(&inner.dir).media(&options.from)?;
    let package = package::manifest(&*media)?.ok_or_else(|| Error::NotFound { what: "package", id: media.place() })?;
    let manifest = package::read(&*media, MANIFEST, PACKAGE_MANIFEST_BYTES_MAX)?;
    let digest = Digest(package.suite().address(&manifest).0);
    let scratch = inner.dir.join(SCRATCH_DIR).join(format!("{}.judged", package.hospital));
    let _ = std::fs::remove_dir_all(&scratch); // of a run that was killed
    open::make_dir(&inner.dir.join(SCRATCH_DIR))?;
    let judged = VerifyOptions { fingerprint: Some(options.fingerprint.clone()), scratch, index: inner.config.index };
    let (report, ending) = verify::judge(media.clone(), &judged, pace, meter)?;
    let import = Import { inner, media, package, digest, pace, meter };
    let ending = import.may_come(&report, ending, options)?;
    import.mark()?;
    let (added_records, added_bytes) = import.copy()?;
    let (desk, leaf_index) = import.take_over(ending)?;
    let machines = desk.info_now().machines.len();
    timestamps::bring_in(inner, &*import.media, &import.package)?;
    inner.seat(desk);
    inner.folder.remove(&mark_path(import.package.hospital))?;
    let (hospital, entries) = (import.package.hospital.to_string(), import.package.log_size);
    Ok(ImportReport { package: report, hospital, entries, added_records, added_bytes, leaf_index, machines })
}

struct Import<'a> {
    inner: &'a Inner,
    media: Arc<dyn Media>,
    package: Package,
    /// of its manifest
    digest: Digest,
    pace: &'a dyn Pace,
    meter: &'a Meter,
}

impl Import<'_> {
    fn refuse<T>(&self, why: impl Into<String>) -> Result<T> {
        Err(Error::Package { place: self.media.place(), why: why.into() })
    }

    /// Refuses what is not good, not ended, not for this vault, or of a hospital that this vault has.
    fn may_come(&self, report: &VerifyReport, ending: Option<Ending>, options: &ImportOptions) -> Result<Ending> {
        if let Some(first) = report.findings.first() {
            let count = report.findings.len() as u64 + report.further_findings;
            let why = format!("{count} findings, the first: {}; `shosoin handover verify` lists them", first.message);
            return self.refuse(why);
        }
        if !report.missing.is_empty() && !options.accept_missing {
            let why = format!(
                "the vault that made it could not read {} records: have it repaired and exported again, or take it as it is \
                 with the hospital's consent (--accept-missing)",
                report.missing.len()
            );
            return self.refuse(why);
        }
        let Some(ending) = ending.filter(|_| self.package.state == PackageState::Closed) else {
            return self.refuse("its log has not ended: the vault that made it ends it with `handover export --close`");
        };
        if self.package.vault == self.inner.identity.vault() {
            return self.refuse("this vault made it");
        }
        let ours = self.inner.identity.key(self.package.suite()).public();
        if ending.word.receiver != self.inner.identity.vault() || ending.word.receiver_key != key_digest(&ours) {
            let to = ending.word.receiver;
            return self.refuse(format!("its hospital ordered it to be handed over to vault {to}, not to this one"));
        }
        let hospital = self.package.hospital;
        let begun = |desk: &Arc<Desk>| desk.info().hospital == hospital && desk.ledger().head().size > 0;
        if self.inner.desks().iter().any(begun) && !is_coming(&self.inner.dir, hospital) {
            return self.refuse("this vault has a ledger of that hospital already");
        }
        self.room()?;
        Ok(ending)
    }

    /// Refuses where it cannot fit, before anything is written.
    fn room(&self) -> Result<()> {
        let code = self.inner.tier.code();
        let needed = self.package.record_bytes.saturating_mul(code.shards() as u64) / code.k() as u64;
        let free: u64 = self.inner.tier.volumes().iter().filter_map(|volume| volume.free_bytes).sum();
        match free >= needed {
            true => Ok(()),
            false => self.refuse(format!("it takes {needed} bytes on media and {free} are free")),
        }
    }

    /// Says that the hospital is coming, and with which package; another one may not come meanwhile. Its desk, if there is one,
    /// takes and shows nothing from now on.
    fn mark(&self) -> Result<()> {
        let (hospital, path) = (self.package.hospital, mark_path(self.package.hospital));
        let text = format!("{}\n", self.digest);
        match std::fs::read_to_string(self.inner.dir.join(&path)) {
            Ok(other) if other != text => {
                return self.refuse("another package of that hospital was begun to be taken in; go on with that one");
            }
            _ => durable::replace(&self.inner.folder, &path, text.as_bytes())?,
        }
        self.inner.unseat(hospital);
        Ok(())
    }

    /// Writes what is not held; gives records and bytes.
    fn copy(&self) -> Result<(u64, u64)> {
        let (tier, _) = package::segments(self.media.clone())?;
        self.meter.begin("take records in", self.package.log_size, self.package.record_bytes);
        let mut copied =
            Copied { import: self, tier: &tier, waiting: Vec::new(), waiting_bytes: 0, records: 0, bytes: 0 };
        for segment in tier.segments() {
            package::walk(&tier, segment.id, &mut |walked| copied.take(&walked))?;
        }
        copied.write()?;
        let (records, bytes) = (copied.records, copied.bytes);
        self.leads_to_its_root()?;
        Ok((records, bytes))
    }

    fn leads_to_its_root(&self) -> Result<()> {
        let (index, Package { hospital, log_size, log_root, .. }) = (self.inner.index.as_ref(), &self.package);
        let damaged = |why| Err(Error::Damaged { what: "ledger of hospital", id: hospital.to_string(), why });
        let LedgerState { size, findings } =
            rebuild::catch_up_ledger(index, &self.inner.tier, &self.inner.identity, *hospital)?;
        if size < *log_size || apply::frontier_of(index, *hospital, *log_size)?.root() != *log_root {
            return damaged(format!("{size} entries were taken in, and they do not lead to the root of the package"));
        }
        // what keeps versions must be known before anything could end one
        findings.into_iter().next().map_or(Ok(()), |finding| damaged(finding.message))
    }

    /// Admits the machines of the hospital and states the act, unless an earlier run did.
    fn take_over(&self, ending: Ending) -> Result<(Arc<Desk>, u64)> {
        let (inner, hospital) = (self.inner, self.package.hospital);
        self.meter.begin("go on with the ledger", 0, 0);
        let enrolments = package::enrolments(&*self.media, &self.package)?;
        let mut paths: Vec<String> = enrolments.into_iter().map(|(path, _)| path).collect();
        paths.sort_by_key(|path| (path.contains('-'), path.clone())); // the first machine before further ones
        for path in paths {
            let bytes = package::read(&*self.media, &path, package::ENROLMENT_BYTES_MAX)?;
            hospitals::keep(&inner.folder, &inner.dir, &bytes)?;
        }
        let known = hospitals::load(&inner.folder, &inner.dir)?.into_iter().find(|info| info.hospital == hospital);
        let info = known.ok_or(Error::UnknownHospital { hospital })?;
        let ledger = open::open_ledger(&inner.identity, &info, &inner.index, &inner.tier, &*inner.clock)?;
        let desk = inner.open_desk(info, ledger, Standing::default())?;
        let leaf_index = match desk.ledger().head().size == self.package.log_size {
            true => {
                let (id, document) = (inner.fresh_id()?, self.document(ending));
                desk.state(OperatorAct { id, subject: None, document })?.index
            }
            false => self.package.log_size,
        };
        desk.lineage()?;
        Ok((Arc::new(desk), leaf_index))
    }

    fn document(&self, ending: Ending) -> Document {
        let Package { vault, ref vault_key, log_size, log_root, ref checkpoint, .. } = self.package;
        Document::HandOverIn(Box::new(HandOverIn {
            order: ending.order,
            former: vault,
            former_key: vault_key.clone(),
            log_size,
            log_root,
            package: self.digest,
            head: checkpoint.clone(),
        }))
    }
}

/// Records on their way from the package to this vault's media.
struct Copied<'a> {
    import: &'a Import<'a>,
    tier: &'a Tier,
    waiting: Vec<Record>,
    waiting_bytes: usize,
    records: u64,
    bytes: u64,
}

impl Copied<'_> {
    fn take(&mut self, walked: &Walked) -> Result<()> {
        let (package, len) = (&self.import.package, u64::from(walked.location.len));
        self.import.meter.add_bytes(len);
        if self.import.inner.records.held(package.hospital, &walked.address)?.is_some() {
            return Ok(());
        }
        self.import.pace.spend(len)?;
        let bytes = self.tier.read(package.suite(), &walked.location, &walked.address)?;
        if walked.kind == RecordKind::Entry && self.has_entry(&bytes)? {
            return Ok(());
        }
        self.waiting_bytes += bytes.len();
        self.waiting.push(Record { kind: walked.kind, address: walked.address, bytes });
        match self.waiting_bytes >= BATCH_BYTES {
            true => self.write(),
            false => Ok(()),
        }
    }

    fn has_entry(&self, bytes: &Bytes) -> Result<bool> {
        let placed = decoded(bytes)?;
        let key = rows::leaf_key(self.import.package.hospital, placed.index);
        let row = self.import.inner.index.row::<LeafRow>(&key)?;
        Ok(row.is_some_and(|row| row.leaf == placed.entry.leaf_hash()))
    }

    /// Makes what is waiting durable, then indexes it, with the watermarks, in one batch.
    fn write(&mut self) -> Result<()> {
        let records = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if records.is_empty() {
            return Ok(());
        }
        let (inner, package) = (self.import.inner, &self.import.package);
        let committed = inner.tier.append(package.hospital, package.suite(), &records)?;
        let mut rows = Pending::new(inner.index.as_ref());
        for (record, at) in records.iter().zip(&committed.locations) {
            self.index(&mut rows, record, *at)?;
            self.records += 1;
            self.bytes += record.bytes.len() as u64;
        }
        for (segment, stripe_at) in next_stripes(&committed.locations, inner.tier.code()) {
            rows.put(rows::watermark_key(segment), Watermark(stripe_at).encode());
        }
        rows.write()
    }

    fn index(&self, rows: &mut Pending<'_>, record: &Record, at: Location) -> Result<()> {
        let hospital = self.import.package.hospital;
        let damaged = |why| Error::Damaged { what: "ledger of hospital", id: hospital.to_string(), why };
        match record.kind {
            RecordKind::Checkpoint => Ok(()),
            RecordKind::Entry => match apply::entry(rows, &decoded(&record.bytes)?, &record.address, at)? {
                None => Ok(()),
                Some(finding) => Err(damaged(finding.message)),
            },
            kind => {
                apply::record(rows, hospital, kind, &record.address, at);
                Ok(())
            }
        }
    }
}

fn decoded(bytes: &[u8]) -> Result<PlacedEntry> {
    PlacedEntry::decode(bytes).map_err(|source| Error::Malformed { what: "entry of the package", source })
}
