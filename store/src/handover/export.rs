//! Export: writing a package, in the order of the ledger, while the hospital works; and going on where it was stopped.
//!
//! Invariants
//! - A file is in the manifest after it was synced and read back, and the manifest is signed anew each time. So a kill costs the
//!   file in hand, and what the manifest lists is there.
//! - An entry is packed after every record it names. The entries in complete files are the first of the log, and their number
//!   is the next leaf.
//! - The manifest says "whole" only when everything up to the head it states is in files that it lists, or named as missing.
//!
//! Not here: who may ask for it, and how a log ends (`ending`).

use super::contents;
use super::meter::Meter;
use super::package::{self, ENROLMENTS, FORMAT, README};
use super::scratch::Scratch;
use super::timestamps::{self, TIMESTAMPS};
use crate::config::VolumeSpec;
use crate::desk::Desk;
use crate::disposal::ended::Ended;
use crate::error::{Error, Result};
use crate::hospitals;
use crate::index::Pending;
use crate::ledger::Head;
use crate::rows::{self, RecordRow, Rows};
use crate::stores::Stores;
use crate::vault::Inner;
use bytes::Bytes;
use serde::Serialize;
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::limits::PACKAGE_MISSING_MAX;
use shosoin_protocol::package::{Package, PackageFile, PackageState};
use shosoin_protocol::{Address, Digest, ErrorKind, RecordKind, SegmentId, Suite, VolumeId, merkle};
use shosoin_tiers::layout::{LABEL, LABEL_BAK, REMOVED, SEGMENTS, TEMPORARY, hospital_dir, parse_shard_name};
use shosoin_tiers::media::Media;
use shosoin_tiers::pack::{PackOptions, PackedFile, Packer};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{Error as MediaError, Pace, Record, Volume, VolumeLabel, durable};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Folder in the vault's folder where exports keep their scratch rows.
pub(super) const SCRATCH_DIR: &str = "handover";
/// Security label of a package (7.6.7-M8).
const SECURITY_LABEL: &str = "sealed medical records (package of a hand-over)";
/// Payload of a file of a package, unless something else is asked for.
pub const SEGMENT_BYTES: u64 = 1 << 30;

/// Every byte of a package, explained, as this release writes it.
const FORMAT_MD: &str = include_str!("../../../docs/format.md");
/// What a person reads first.
const README_TXT: &str = include_str!("../../data/package-readme.txt");

/// Where a package goes.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// folder, or prefix of a bucket: empty, or with a package of this vault and hospital that is to grow
    pub to: VolumeSpec,
    /// bytes of payload after which a file is complete
    pub segment_bytes_max: u64,
    /// end the log first: the package is the last
    pub close: bool,
    /// folder with timestamped heads of the hospital, which are kept and sent along
    pub timestamps: Option<PathBuf>,
}

/// What an export did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// whose records, in hex
    pub hospital: String,
    /// where the package is
    pub place: String,
    /// `whole`, or `closed` where the log ended
    pub state: &'static str,
    /// entries of the ledger in it
    pub log_size: u64,
    /// records in it
    pub records: u64,
    /// their bytes
    pub record_bytes: u64,
    /// files in it, the manifest and the labels not counted
    pub files: u64,
    /// timestamped heads in it
    pub timestamps: u64,
    /// entries that this run added
    pub added_entries: u64,
    /// records that this run added
    pub added_records: u64,
    /// bytes of files that this run wrote
    pub added_bytes: u64,
    /// records that the ledger names and that could not be read, in hex
    pub missing: Vec<String>,
    /// fingerprint of the key that signed the manifest, as people read it to each other
    pub fingerprint: String,
}

/// Writes a package of everything of one hospital up to its newest head, or what is missing in one that is there.
pub(crate) fn export(
    inner: &Inner,
    desk: &Desk,
    options: &ExportOptions,
    pace: &dyn Pace,
    meter: &Meter,
) -> Result<ExportReport> {
    if let Some(from) = &options.timestamps {
        timestamps::take(inner, desk, from)?;
    }
    let media = Stores::new(&inner.dir).media(&options.to)?;
    let mut export = Export::begin(inner, desk, media, options, pace, meter)?;
    export.look_for_missing()?;
    if options.close && desk.ended()?.is_none() {
        export.leaves(None)?; // while the hospital works; what comes until its log ends is little
        inner.end_log(desk)?;
    }
    let ended = desk.ended()?.map(|row| row.index);
    let upto = export.leaves(ended)?;
    export.heads(&upto)?;
    export.finish(&upto, ended.is_some())
}

/// How far a package goes.
struct UpTo {
    size: u64,
    root: Digest,
    checkpoint: String,
}

/// An export that is under way.
struct Export<'a> {
    inner: &'a Inner,
    desk: &'a Desk,
    media: Arc<dyn Media>,
    pace: &'a dyn Pace,
    meter: &'a Meter,
    packer: Packer,
    packed: Packed,
    package: Package,
    missing: BTreeSet<Address>,
    next_leaf: u64,
    report: ExportReport,
}

/// Addresses of everything that is in the package, or waits to be.
struct Packed {
    scratch: Scratch,
    /// not written to the rows yet
    waiting: BTreeSet<Address>,
}

/// Addresses held back before they are written to the rows together.
const WAITING_MAX: usize = 4096;

impl Packed {
    fn contains(&self, address: &Address) -> Result<bool> {
        Ok(self.waiting.contains(address) || self.scratch.rows()?.get(&address.0)?.is_some())
    }

    fn insert(&mut self, address: Address) -> Result<()> {
        self.waiting.insert(address);
        if self.waiting.len() < WAITING_MAX {
            return Ok(());
        }
        let mut rows = Pending::new(self.scratch.rows()?);
        std::mem::take(&mut self.waiting).into_iter().for_each(|address| rows.put(address.0.to_vec(), Vec::new()));
        rows.write()
    }
}

impl<'a> Export<'a> {
    fn begin(
        inner: &'a Inner,
        desk: &'a Desk,
        media: Arc<dyn Media>,
        options: &ExportOptions,
        pace: &'a dyn Pace,
        meter: &'a Meter,
    ) -> Result<Self> {
        let info = desk.info();
        let dir = inner.dir.join(SCRATCH_DIR).join(info.hospital.to_string());
        let packed = Packed { scratch: Scratch::begin(inner.config.index, &dir)?, waiting: BTreeSet::new() };
        let pack =
            PackOptions { hospital: info.hospital, suite: info.suite, segment_bytes_max: options.segment_bytes_max };
        let packer = Packer::new(media.clone(), pack, inner.clock.clone(), inner.random.clone())?;
        let known = package::manifest(&*media)?;
        let mut export = Export {
            package: new_package(inner, desk),
            report: ExportReport {
                hospital: info.hospital.to_string(),
                place: media.place(),
                state: PackageState::Unfinished.name(),
                log_size: 0,
                records: 0,
                record_bytes: 0,
                files: 0,
                timestamps: 0,
                added_entries: 0,
                added_records: 0,
                added_bytes: 0,
                missing: Vec::new(),
                fingerprint: desk.ledger().public_key().fingerprint(),
            },
            inner,
            desk,
            media,
            pace,
            meter,
            packer,
            packed,
            missing: BTreeSet::new(),
            next_leaf: 0,
        };
        match known {
            Some(known) => export.resume(known)?,
            None => export.start(&options.to)?,
        }
        Ok(export)
    }

    /// Labels an empty medium and says that a package is being written to it.
    fn start(&mut self, to: &VolumeSpec) -> Result<()> {
        refuse_used(&*self.media)?;
        let class = if to.url.is_some() { MediaClass::Cloud } else { MediaClass::Hdd };
        let mut id = [0; 16];
        self.inner.random.fill(&mut id)?;
        let mut label = VolumeLabel::new(VolumeId(id), TierKind::Archive, class, self.inner.clock.now_ms());
        label.security_label = SECURITY_LABEL.to_owned();
        match Volume::create(self.media.clone(), label) {
            Err(MediaError::VolumeExists { .. }) => {} // an earlier start came no further than this
            created => drop(created?),
        }
        self.write_manifest()
    }

    /// Goes on with a package that is there.
    fn resume(&mut self, known: Package) -> Result<()> {
        let ours = (self.package.vault, self.package.hospital, &self.package.vault_key);
        if (known.vault, known.hospital, &known.vault_key) != ours {
            let why = format!("it holds a package of hospital {} at vault {}", known.hospital, known.vault);
            return Err(self.not_this(why));
        }
        self.package.files = known.files.into_iter().filter(|file| file.path.starts_with(SEGMENTS)).collect();
        self.missing = known.missing.into_iter().collect();
        self.remove_unlisted()?;
        for file in &self.package.files {
            let found = self.media.open(&file.path).and_then(|open| open.len());
            if !matches!(found, Ok(len) if len == file.len_bytes) {
                let why = format!("{}, which its manifest lists, is not there as it was written", file.path);
                return Err(self.not_this(why));
            }
        }
        let (tier, _) = package::segments(self.media.clone())?;
        self.meter.begin("read what is packed", 0, 0);
        for segment in tier.segments() {
            package::walk(&tier, segment.id, &mut |walked| {
                self.package.records += 1;
                self.package.record_bytes += u64::from(walked.location.len);
                self.next_leaf += u64::from(walked.kind == RecordKind::Entry);
                self.packed.insert(walked.address)
            })?;
        }
        self.same_history()
    }

    /// The newest entry that is packed is the one that the log has there.
    fn same_history(&self) -> Result<()> {
        let Some(newest) = self.next_leaf.checked_sub(1) else { return Ok(()) };
        let other = || Err(self.not_this(format!("entry {newest} in it is not the one that the log has")));
        if newest >= self.desk.head()?.size {
            return other();
        }
        let bytes = self.desk.ledger().entry(newest)?.encode();
        match self.packed.contains(&self.suite().address(&bytes))? {
            true => Ok(()),
            false => other(),
        }
    }

    /// Files of a run that was stopped before they were listed. They hold what is packed anew now.
    fn remove_unlisted(&self) -> Result<()> {
        let dir = hospital_dir(self.package.hospital);
        let listed = match self.media.list(&dir) {
            Err(MediaError::NotFound { .. }) => return Ok(()),
            listed => listed?,
        };
        for name in listed.into_iter().map(|listed| listed.name) {
            let path = format!("{dir}/{name}");
            let is_known = self.package.files.iter().any(|file| file.path == path);
            if !is_known && (parse_shard_name(&name).is_some() || name.ends_with(TEMPORARY)) {
                self.media.remove(&path)?;
            }
        }
        Ok(())
    }

    /// Records that an earlier run could not read may be readable now.
    fn look_for_missing(&mut self) -> Result<()> {
        for address in std::mem::take(&mut self.missing) {
            self.pack(&address)?;
        }
        Ok(())
    }

    /// Packs the log from the next leaf on, up to its newest head or the leaf at which it ended, and says how far that is. What
    /// comes behind its end stays here.
    fn leaves(&mut self, ended: Option<u64>) -> Result<UpTo> {
        loop {
            let head = self.desk.head()?;
            let size = ended.map_or(head.size, |leaf| leaf + 1);
            if self.next_leaf > size {
                return Err(self.not_this(format!("it has {} entries, and the log ended at {size}", self.next_leaf)));
            }
            if self.next_leaf == size {
                return self.up_to(size, &head);
            }
            self.meter.begin("pack the ledger and what it names", size, 0);
            let gone = Ended::of(self.inner, self.desk)?;
            while self.next_leaf < size {
                let placed = self.desk.ledger().entry(self.next_leaf)?;
                let named =
                    contents::named(placed.index, placed.entry.body(), &gone, &mut |address| self.read(address))?;
                for address in &named {
                    self.pack(address)?;
                }
                let bytes = Bytes::from(placed.encode());
                self.add(RecordKind::Entry, self.suite().address(&bytes), bytes)?;
                self.next_leaf += 1;
                self.report.added_entries += 1;
                self.meter.entries(self.next_leaf);
            }
        }
    }

    /// The signed head of this many leaves: the newest, or one that is signed anew where the log went on behind its end.
    fn up_to(&self, size: u64, head: &Head) -> Result<UpTo> {
        if size == head.size {
            return Ok(UpTo { size, root: head.root, checkpoint: head.checkpoint.clone() });
        }
        let ledger = self.desk.ledger();
        let root = ledger.root_at(size)?.ok_or(Error::Bug("a log has every size below its newest"))?;
        Ok(UpTo { size, root, checkpoint: ledger.sign_at(size, root, self.inner.clock.now_ms()) })
    }

    /// The bytes of a record; nothing where it cannot be read, which the manifest will say.
    fn read(&mut self, address: &Address) -> Result<Option<Bytes>> {
        if self.missing.contains(address) {
            return Ok(None);
        }
        match self.desk.record(address) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), ErrorKind::Damaged | ErrorKind::NotFound) => {
                self.lost(address, &error).map(|()| None)
            }
            Err(error) => Err(error),
        }
    }

    /// Packs a record, unless it is packed or cannot be read.
    fn pack(&mut self, address: &Address) -> Result<()> {
        if self.packed.contains(address)? {
            return Ok(());
        }
        let Some(bytes) = self.read(address)? else { return Ok(()) };
        let row = self.inner.index.row::<RecordRow>(&rows::record_key(self.package.hospital, address))?;
        let kind = row.map(|row| row.kind).ok_or(Error::Bug("a record that was read has a row"))?;
        self.add(kind, *address, bytes)
    }

    fn lost(&mut self, address: &Address, error: &Error) -> Result<()> {
        tracing::error!(%address, error = error as &dyn std::error::Error, "a record is missing in the package");
        if self.missing.len() >= PACKAGE_MISSING_MAX {
            let why = format!("more than {PACKAGE_MISSING_MAX} records cannot be read: repair the vault first");
            return Err(Error::Argument { what: "hand-over", why });
        }
        self.missing.insert(*address);
        Ok(())
    }

    fn add(&mut self, kind: RecordKind, address: Address, bytes: Bytes) -> Result<()> {
        if self.packed.contains(&address)? {
            return Ok(());
        }
        let len = bytes.len() as u64;
        self.package.records += 1;
        self.package.record_bytes += len;
        self.report.added_records += 1;
        self.meter.add_bytes(len);
        let complete = self.packer.add(Record { kind, address, bytes }, self.pace)?;
        self.packed.insert(address)?;
        complete.map_or(Ok(()), |file| self.list(file))
    }

    /// Puts a complete file into the manifest.
    fn list(&mut self, PackedFile { path, len_bytes, digest }: PackedFile) -> Result<()> {
        self.report.added_bytes += len_bytes;
        self.put(PackageFile { path, len_bytes, digest });
        self.write_manifest()
    }

    fn put(&mut self, file: PackageFile) {
        match self.package.files.binary_search_by(|known| known.path.cmp(&file.path)) {
            Ok(at) => self.package.files[at] = file,
            Err(at) => self.package.files.insert(at, file),
        }
    }

    fn write_manifest(&mut self) -> Result<()> {
        self.package.made_ms = self.inner.clock.now_ms();
        self.package.missing = self.missing.iter().copied().collect();
        package::write_manifest(&*self.media, &self.package, self.desk.ledger().key())
    }

    /// Packs every signed head that is on media, and the newest. What cannot be read of the older ones proves nothing that
    /// the newest does not.
    fn heads(&mut self, upto: &UpTo) -> Result<()> {
        self.meter.begin("pack signed heads", 0, 0);
        let mut seen: BTreeSet<SegmentId> = BTreeSet::new();
        loop {
            let tier = &self.inner.tier;
            let segments = tier.segments_of(self.package.hospital).into_iter().map(|segment| segment.id);
            let fresh: Vec<SegmentId> = segments.filter(|segment| !seen.contains(segment)).collect();
            if fresh.is_empty() {
                break;
            }
            for segment in fresh {
                seen.insert(segment);
                self.heads_in(segment, upto.size)?;
            }
        }
        let bytes = Bytes::from(upto.checkpoint.clone().into_bytes());
        self.add(RecordKind::Checkpoint, self.suite().address(&bytes), bytes)
    }

    fn heads_in(&mut self, segment: SegmentId, size: u64) -> Result<()> {
        let (tier, mut found) = (self.inner.tier.clone(), Vec::new());
        let walked = package::walk(&tier, segment, &mut |walked| {
            if walked.kind == RecordKind::Checkpoint {
                found.push(walked);
            }
            Ok(())
        });
        if let Err(error) = walked {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(%segment, error, "signed heads of a segment are not in the package");
        }
        for walked in found {
            let Ok(bytes) = tier.read(self.suite(), &walked.location, &walked.address) else { continue };
            let head = Checkpoint::parse(&String::from_utf8_lossy(&bytes)).map(|(head, _)| head.size);
            if head.is_ok_and(|head| head <= size) {
                self.add(RecordKind::Checkpoint, walked.address, bytes)?;
            }
        }
        Ok(())
    }

    fn finish(mut self, upto: &UpTo, ended: bool) -> Result<ExportReport> {
        if let Some(file) = self.packer.finish(self.pace)? {
            self.list(file)?;
        }
        self.small_file(README, README_TXT.as_bytes())?;
        self.small_file(FORMAT, FORMAT_MD.as_bytes())?;
        for (name, bytes) in hospitals::files_of(&self.inner.dir, self.package.hospital)? {
            self.small_file(&format!("{ENROLMENTS}/{name}"), &bytes)?;
        }
        for name in timestamps::kept_names(self.inner, self.desk)? {
            if let Some((_, bytes)) =
                timestamps::kept(self.inner, self.desk, &name)?.filter(|(head, _)| head.size <= upto.size)
            {
                self.small_file(&format!("{TIMESTAMPS}/{name}"), &bytes)?;
                self.report.timestamps += 1;
            }
        }
        self.package.state = if ended { PackageState::Closed } else { PackageState::Whole };
        (self.package.log_size, self.package.log_root) = (upto.size, upto.root);
        self.package.checkpoint.clone_from(&upto.checkpoint);
        self.write_manifest()?;
        let Package { state, log_size, records, record_bytes, ref files, .. } = self.package;
        let missing = self.missing.iter().map(Address::to_string).collect();
        let files = files.len() as u64;
        Ok(ExportReport { state: state.name(), log_size, records, record_bytes, files, missing, ..self.report })
    }

    fn small_file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        if let Some((dir, _)) = path.rsplit_once('/') {
            self.media.make_dir(dir)?;
        }
        durable::replace(&*self.media, path, bytes)?;
        let digest = Digest(self.suite().address(bytes).0);
        self.put(PackageFile { path: path.to_owned(), len_bytes: bytes.len() as u64, digest });
        Ok(())
    }

    fn suite(&self) -> Suite {
        self.desk.info().suite
    }

    fn not_this(&self, why: String) -> Error {
        Error::Argument {
            what: "place of the package",
            why: format!("{}: {why}; give an empty one", self.media.place()),
        }
    }
}

fn new_package(inner: &Inner, desk: &Desk) -> Package {
    Package {
        state: PackageState::Unfinished,
        vault: inner.identity.vault(),
        hospital: desk.info().hospital,
        log: desk.log(),
        made_ms: inner.clock.now_ms(),
        log_size: 0,
        log_root: merkle::empty_root(),
        vault_key: desk.ledger().public_key().clone(),
        records: 0,
        record_bytes: 0,
        checkpoint: String::new(),
        missing: Vec::new(),
        files: Vec::new(),
    }
}

/// Refuses a medium that holds anything but what an export leaves that was stopped before its first manifest.
fn refuse_used(media: &dyn Media) -> Result<()> {
    let own = |name: &str| [LABEL, LABEL_BAK, REMOVED, SEGMENTS].contains(&name) || name.ends_with(TEMPORARY);
    let listed = match media.list("") {
        Err(MediaError::NotFound { .. }) => return Ok(()),
        listed => listed?,
    };
    let has_segments = listed.iter().any(|listed| listed.name == SEGMENTS);
    let foreign = listed.iter().find(|listed| !own(&listed.name));
    let used = has_segments && !media.list(SEGMENTS)?.is_empty();
    let why = match (foreign, used) {
        (None, false) => return Ok(()),
        (Some(foreign), _) => format!("{} holds {}: give an empty one", media.place(), foreign.name),
        (None, true) => format!("{} is a volume in use: give an empty one", media.place()),
    };
    Err(Error::Argument { what: "place of the package", why })
}
