//! Judging a package with no key of anybody: what it says of itself, what is there, and whether the two agree.
//!
//! In order: the manifest and who signed it; every file against it; every unit of every segment; every entry of the ledger,
//! its signatures and its order; every record that an entry names; the tree over the entries against every signed head.
//!
//! Findings are the product, not errors: a package that is wrong in one place is judged everywhere else too. Only a package
//! without a manifest that can be believed is an error, because nothing can be said about it.

use super::contents;
use super::meter::Meter;
use super::package::{self, MANIFEST};
use super::scratch::Scratch;
use super::timestamps::{self, StampedHead};
use crate::check::walk::{Terms, Walk};
use crate::check::{Finding, Severity};
use crate::config::IndexKind;
use crate::disposal::ended::Ended;
use crate::error::{Error, Result};
use crate::index::{Index, Pending};
use crate::rows::{self, LeafRow, RecordRow, Row, Rows};
use serde::Serialize;
use shosoin_protocol::act::{ActKind, DisposalStep, Disposed, Document, HandOverWord, Order, OutState, WordStage};
use shosoin_protocol::approval::ApprovedOrder;
use shosoin_protocol::certificate::check_approvals;
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::{Body, Entry, PlacedEntry};
use shosoin_protocol::limits::{EVIDENCE_BYTES_MAX, TIMESTAMPED_HEADS_MAX};
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::package::{Package, PackageState};
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{Address, Digest, ErrorKind, Lineage, RecordKind, SegmentId, VersionId};
use shosoin_tiers::layout::{LABEL, LABEL_BAK, SEGMENTS, hospital_dir};
use shosoin_tiers::media::Media;
use shosoin_tiers::pack::file_digest;
use shosoin_tiers::{Pace, Tier, Walked};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

/// Findings that are listed one by one; the rest are counted.
const FINDINGS_MAX: usize = 1000;

/// How to judge.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// fingerprint of the vault's key, as it is known from elsewhere
    pub fingerprint: Option<String>,
    /// folder for scratch rows, which must not be there yet and is removed afterwards
    pub scratch: PathBuf,
    /// what scratch rows are kept in
    pub index: IndexKind,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// vault that made it, in hex
    pub vault: String,
    /// whose records, in hex
    pub hospital: String,
    /// algorithms of the hospital
    pub suite: u8,
    /// `unfinished`, `whole` or `closed`
    pub state: &'static str,
    /// when it was made, in milliseconds since 1970
    pub made_ms: u64,
    /// fingerprint of the key that signed it
    pub fingerprint: String,
    /// entries that it says it has
    pub log_size: u64,
    /// entries that were verified, one after the other
    pub entries: u64,
    /// records found
    pub records: u64,
    /// their bytes
    pub record_bytes: u64,
    /// files found as the manifest lists them
    pub files: u64,
    /// signed heads found, each of which the entries lead to
    pub heads: u64,
    /// timestamped heads of the hospital, each of which the entries lead to; what their tokens are worth is not judged here
    pub timestamps: Vec<Stamped>,
    /// the vaults that kept the ledger, oldest first, in hex
    pub vaults: Vec<String>,
    /// where the log ended: the vault that is to receive, in hex
    pub receiver: Option<String>,
    /// records that the manifest says could not be read, in hex
    pub missing: Vec<String>,
    /// everything that is not as it should be
    pub findings: Vec<Finding>,
    /// findings beyond those listed
    pub further_findings: u64,
}

/// A timestamped head in a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stamped {
    /// its file
    pub file: String,
    /// entries that the head is over
    pub size: u64,
    /// its timestamps
    pub tokens: usize,
}

impl VerifyReport {
    /// It is complete, and nothing in it is wrong; a record that was lost before it was made is another matter.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.state != PackageState::Unfinished.name()
    }
}

/// How a log ended, as a package proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// id of the hospital's word that ordered it
    pub order: VersionId,
    /// that word
    pub word: HandOverWord,
}

/// Judges the package on a medium.
pub fn verify(media: Arc<dyn Media>, options: &VerifyOptions, pace: &dyn Pace, meter: &Meter) -> Result<VerifyReport> {
    judge(media, options, pace, meter).map(|(report, _)| report)
}

/// Judges the package on a medium, and says how its log ended.
pub(super) fn judge(
    media: Arc<dyn Media>,
    options: &VerifyOptions,
    pace: &dyn Pace,
    meter: &Meter,
) -> Result<(VerifyReport, Option<Ending>)> {
    let package = package::manifest(&*media)?.ok_or_else(|| Error::NotFound { what: "package", id: media.place() })?;
    let scratch = Scratch::fresh(options.index, &options.scratch)?;
    let mut judge = Judge::new(&*media, &package, scratch.rows()?, pace, meter);
    judge.signer(options.fingerprint.as_deref());
    judge.files()?;
    let opened = package::segments(media.clone());
    match opened {
        Ok((tier, met)) => {
            met.iter().for_each(|finding| judge.found(Finding::from(finding)));
            judge.units(&tier)?;
            judge.list(&tier)?;
            judge.trace(&tier);
            judge.timestamps();
            judge.entries(&tier)?;
        }
        Err(error) => judge.damaged("segments", error.problem().message),
    }
    Ok((judge.report, judge.ending))
}

/// An order of disposal in the ledger.
struct Ordered {
    leaf: Digest,
    document: Address,
    order: Order,
}

struct Judge<'a> {
    media: &'a dyn Media,
    package: &'a Package,
    rows: &'a dyn Index,
    pace: &'a dyn Pace,
    meter: &'a Meter,
    /// texts of signed heads, by their number of leaves
    heads: BTreeMap<u64, Vec<String>>,
    /// timestamped heads, by their number of leaves
    stamped: BTreeMap<u64, Vec<(Stamped, String)>>,
    /// acts by which vaults took the ledger over, and that ordered and began disposals, by leaf
    telling: BTreeMap<u64, Entry>,
    /// what disposals ended
    ended: Ended,
    lineage: Lineage,
    /// words of the hospital that order a hand-over
    orders: HashMap<VersionId, HandOverWord>,
    ending: Option<Ending>,
    report: VerifyReport,
}

impl<'a> Judge<'a> {
    fn new(
        media: &'a dyn Media,
        package: &'a Package,
        rows: &'a dyn Index,
        pace: &'a dyn Pace,
        meter: &'a Meter,
    ) -> Self {
        let report = VerifyReport {
            vault: package.vault.to_string(),
            hospital: package.hospital.to_string(),
            suite: package.suite().code(),
            state: package.state.name(),
            made_ms: package.made_ms,
            fingerprint: package.vault_key.fingerprint(),
            log_size: package.log_size,
            entries: 0,
            records: 0,
            record_bytes: 0,
            files: 0,
            heads: 0,
            timestamps: Vec::new(),
            vaults: vec![package.vault.to_string()],
            receiver: None,
            missing: package.missing.iter().map(Address::to_string).collect(),
            findings: Vec::new(),
            further_findings: 0,
        };
        let lineage = Lineage::of(package.hospital, package.vault, package.vault_key.clone());
        let (heads, stamped, telling) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (orders, ended, ending) = (HashMap::new(), Ended::default(), None);
        Judge { media, package, rows, pace, meter, heads, stamped, telling, ended, lineage, orders, ending, report }
    }

    fn found(&mut self, finding: Finding) {
        match self.report.findings.len() < FINDINGS_MAX {
            true => self.report.findings.push(finding),
            false => self.report.further_findings += 1,
        }
    }

    fn damaged(&mut self, code: &'static str, message: String) {
        self.found(Finding { severity: Severity::Damaged, code, message });
    }

    /// The manifest is signed by the key in it; whose that is only somebody who knows it can say.
    fn signer(&mut self, expected: Option<&str>) {
        let bare = |text: &str| text.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_lowercase();
        let found = &self.report.fingerprint;
        if let Some(expected) = expected.filter(|expected| bare(expected) != bare(found)) {
            self.damaged("signer", format!("its manifest is signed by {found}, not by {expected}"));
        }
        if self.package.state == PackageState::Unfinished {
            let message = "its export was stopped: the same command at the vault goes on with it".to_owned();
            self.damaged("unfinished", message);
        }
    }

    /// Every file of the manifest is there as it was written, and nothing else is.
    fn files(&mut self) -> Result<()> {
        let total = self.package.files.iter().map(|file| file.len_bytes).sum();
        self.meter.begin("compare files with the manifest", 0, total);
        for file in &self.package.files {
            let found = file_digest(self.media, &file.path, self.package.suite(), self.pace);
            self.meter.add_bytes(file.len_bytes);
            let why = match found {
                Ok((len, digest)) if len == file.len_bytes && digest == file.digest => {
                    self.report.files += 1;
                    continue;
                }
                Ok((len, _)) if len != file.len_bytes => format!("has {len} bytes, not {}", file.len_bytes),
                Ok(_) => "has another content than was written".to_owned(),
                Err(shosoin_tiers::Error::Stopped) => return Err(shosoin_tiers::Error::Stopped.into()),
                Err(error) => format!("cannot be read: {error}"),
            };
            self.damaged("file", format!("{} {why}", file.path));
        }
        let listed: BTreeSet<&str> = self.package.files.iter().map(|file| file.path.as_str()).collect();
        for path in self.paths()? {
            if !listed.contains(path.as_str()) {
                self.damaged("foreign-file", format!("{path} is not in the manifest"));
            }
        }
        Ok(())
    }

    /// Every file that a package may have by its place, as far as it is one.
    fn paths(&self) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        for listed in self.media.list("")? {
            match listed.name.as_str() {
                MANIFEST | LABEL | LABEL_BAK => {}
                SEGMENTS => {
                    for folder in self.media.list(SEGMENTS)? {
                        let dir = format!("{SEGMENTS}/{}", folder.name);
                        match folder.is_dir && dir == hospital_dir(self.package.hospital) {
                            true => paths.extend(self.names_in(&dir)?),
                            false => paths.push(dir),
                        }
                    }
                }
                name if listed.is_dir => paths.extend(self.names_in(name)?),
                name => paths.push(name.to_owned()),
            }
        }
        Ok(paths)
    }

    fn names_in(&self, dir: &str) -> Result<Vec<String>> {
        Ok(self.media.list(dir)?.into_iter().map(|listed| format!("{dir}/{}", listed.name)).collect())
    }

    /// Every unit has its digest, and every record its address.
    fn units(&mut self, tier: &Tier) -> Result<()> {
        let segments = tier.segments();
        self.meter.begin("verify units and records", 0, segments.iter().map(|segment| segment.payload_bytes).sum());
        for segment in segments {
            self.pace.spend(segment.payload_bytes)?;
            tier.check_segment(segment.id).iter().for_each(|finding| self.found(Finding::from(finding)));
            self.meter.add_bytes(segment.payload_bytes);
        }
        Ok(())
    }

    /// Where every record is.
    fn list(&mut self, tier: &Tier) -> Result<()> {
        self.meter.begin("list records", 0, 0);
        let mut rows = Pending::new(self.rows);
        for segment in tier.segments() {
            let walked = package::walk(tier, segment.id, &mut |walked| {
                self.report.records += 1;
                self.report.record_bytes += u64::from(walked.location.len);
                rows.write_if_many()?;
                match walked.kind {
                    RecordKind::Entry => self.place(tier, &mut rows, walked),
                    RecordKind::Checkpoint => self.head(tier, walked),
                    kind => {
                        let row = RecordRow { kind, at: walked.location };
                        rows.put(rows::record_key(self.package.hospital, &walked.address), row.encode());
                        Ok(())
                    }
                }
            });
            self.unreadable(segment.id, walked)?;
        }
        rows.write()
    }

    /// A segment that cannot be walked is a finding; anything else ends the judging.
    fn unreadable(&mut self, segment: SegmentId, walked: Result<()>) -> Result<()> {
        match walked {
            Err(error) if error.kind() == ErrorKind::Damaged => {
                self.damaged("segment", format!("{segment}: {}", error.problem().message));
                Ok(())
            }
            walked => walked,
        }
    }

    fn place(&mut self, tier: &Tier, rows: &mut Pending<'_>, walked: Walked) -> Result<()> {
        let bytes = match tier.read(self.package.suite(), &walked.location, &walked.address) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.damaged("entry", format!("{}: {error}", walked.address));
                return Ok(());
            }
        };
        match PlacedEntry::decode(&bytes) {
            Ok(placed) => {
                let (key, leaf) = (rows::leaf_key(self.package.hospital, placed.index), placed.entry.leaf_hash());
                let there = rows.row::<LeafRow>(&key)?;
                if there.is_some_and(|there| there.leaf != leaf) {
                    self.damaged("two-entries-at-one-leaf", format!("leaf {} has two entries", placed.index));
                }
                let row = LeafRow { leaf, address: walked.address, at: walked.location };
                rows.put(key, row.encode());
                let telling = [ActKind::HandOverIn, ActKind::DisposalOrder, ActKind::Disposed];
                if matches!(placed.entry.body(), Body::Act(act) if telling.contains(&act.kind)) {
                    self.telling.insert(placed.index, placed.entry);
                }
            }
            Err(error) => self.damaged("entry", format!("{}: {error}", walked.address)),
        }
        Ok(())
    }

    fn head(&mut self, tier: &Tier, walked: Walked) -> Result<()> {
        let read = tier.read(self.package.suite(), &walked.location, &walked.address);
        let text = read.map_err(|error| error.to_string()).and_then(|bytes| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let size = Checkpoint::parse(&text).map(|(head, _)| head.size);
            size.map(|size| (size, text)).map_err(|error| error.to_string())
        });
        match text {
            Ok((size, text)) => self.heads.entry(size).or_default().push(text),
            Err(why) => self.damaged("head", format!("{}: {why}", walked.address)),
        }
        Ok(())
    }

    /// The vaults that kept the ledger, by the acts in it.
    fn trace(&mut self, tier: &Tier) {
        let mut acts = Vec::new();
        let mut ordered = HashMap::new();
        for (index, entry) in std::mem::take(&mut self.telling) {
            let Body::Act(act) = entry.body() else { continue };
            match (self.document(tier, entry.body()), act.kind) {
                (Some(Document::HandOverIn(taken)), _) => acts.push((entry, *taken)),
                (Some(Document::DisposalOrder(order)), _) => {
                    ordered.insert(act.id, Ordered { leaf: entry.leaf_hash(), document: act.document, order });
                }
                (Some(Document::Disposed(disposed)), _) => self.disposed(index, &entry, disposed, &ordered),
                (_, ActKind::HandOverIn) => {
                    self.damaged("entry-lineage", format!("leaf {index}: what it takes over cannot be read"));
                }
                // its document is missing, and that is found where the entry is judged
                _ => {}
            }
        }
        let Package { hospital, vault, ref vault_key, .. } = *self.package;
        match Lineage::trace(hospital, vault, vault_key.clone(), &acts) {
            Ok(lineage) => {
                self.report.vaults = lineage.spans().map(|span| span.vault.to_string()).collect();
                self.lineage = lineage;
            }
            Err(error) => self.damaged("entry-lineage", error.to_string()),
        }
    }

    /// Takes what a disposal ended for ended, where the order that was agreed to stands before it in the ledger.
    fn disposed(&mut self, index: u64, entry: &Entry, disposed: Disposed, ordered: &HashMap<VersionId, Ordered>) {
        let DisposalStep::Begun { order_document, approvals, .. } = disposed.step else { return };
        let of_order = ordered.get(&disposed.order).filter(|ordered| ordered.document == order_document);
        let Some(Ordered { leaf, document, order }) = of_order else {
            return self.damaged("disposal", format!("leaf {index}: records ended without an order"));
        };
        let log = entry.statement().log;
        let approved = ApprovedOrder { log, order: disposed.order, leaf: *leaf, document: *document };
        match order.verify(log, disposed.order).and_then(|()| check_approvals(&approved, order, &approvals)) {
            Ok(()) => self.ended.add(order, index),
            Err(error) => self.damaged("disposal", format!("leaf {index}: records ended, and {error}")),
        }
    }

    /// The timestamped heads: evidence, of a head that one of these vaults signed.
    fn timestamps(&mut self) {
        let package = self.package;
        if timestamps::paths(package).count() > TIMESTAMPED_HEADS_MAX {
            self.damaged("timestamp", format!("there are more than {TIMESTAMPED_HEADS_MAX} timestamped heads"));
        }
        for path in timestamps::paths(package).take(TIMESTAMPED_HEADS_MAX) {
            let bytes = package::read(self.media, path, EVIDENCE_BYTES_MAX).map_err(|error| error.problem().message);
            match bytes.and_then(|bytes| StampedHead::read(path, &bytes, package.hospital, &self.lineage)) {
                Ok(head) if head.size <= package.log_size => {
                    let stamped = Stamped { file: path.to_owned(), size: head.size, tokens: head.tokens() };
                    self.stamped.entry(head.size).or_default().push((stamped, head.head().to_owned()));
                }
                Ok(_) => self.damaged("timestamp", format!("{path}: its head is newer than the manifest")),
                Err(why) => self.damaged("timestamp", format!("{path}: {why}")),
            }
        }
    }

    /// What an act says, where it can be read.
    fn document(&self, tier: &Tier, body: &Body) -> Option<Document> {
        let Body::Act(act) = body else { return None };
        let key = rows::record_key(self.package.hospital, &act.document);
        let row = self.rows.row::<RecordRow>(&key).ok().flatten()?;
        Document::decode(act.kind, &tier.read(self.package.suite(), &row.at, &act.document).ok()?).ok()
    }

    /// The ledger, from its first entry to its newest head.
    fn entries(&mut self, tier: &Tier) -> Result<()> {
        let Some(hospital_key) = self.hospital_key()? else { return Ok(()) };
        let Package { hospital, log_size, .. } = *self.package;
        self.meter.begin("verify the ledger", log_size, 0);
        if self.package.log != self.lineage.current().log {
            self.damaged("manifest", "its log is not the vault's log of this hospital".to_owned());
        }
        let lineage = self.lineage.clone();
        let mut walk = Walk::begin(Terms { hospital, suite: self.package.suite(), hospital_key, lineage });
        let mut frontier = Frontier::default();
        self.lead_to_heads(&frontier);
        for index in 0..log_size {
            let Some(placed) = self.entry(tier, index)? else {
                self.damaged(
                    "entry-missing",
                    format!("leaf {index} and all behind it are not proved: it is not there"),
                );
                return Ok(());
            };
            let leaf = placed.entry.leaf_hash();
            walk.step(&placed, leaf, frontier.root()).into_iter().for_each(|(code, why)| self.damaged(code, why));
            self.report.entries += 1;
            self.named(tier, &placed)?;
            self.towards_the_end(tier, &placed);
            frontier.push(leaf, |_, _| {});
            self.lead_to_heads(&frontier);
            self.meter.entries(index + 1);
        }
        let beyond: Vec<u64> = self.heads.keys().copied().filter(|size| *size > log_size).collect();
        for size in beyond {
            self.damaged("head", format!("a signed head of {size} entries is newer than the manifest"));
        }
        self.newest_head(frontier.root());
        if self.package.state == PackageState::Closed && self.ending.is_none() {
            let message = "its last entry does not end the log on the hospital's word, as its manifest says".to_owned();
            self.damaged("ending", message);
        }
        Ok(())
    }

    /// Remembers orders of the hospital, and the act that ended the log if it is the last entry.
    fn towards_the_end(&mut self, tier: &Tier, placed: &PlacedEntry) {
        let Body::Act(act) = placed.entry.body() else { return };
        match self.document(tier, placed.entry.body()) {
            Some(Document::HandOverWord(word)) if word.stage == WordStage::Ordered => {
                self.orders.insert(act.id, *word);
            }
            Some(Document::HandOverOut(out)) if out.state == OutState::Closed => {
                let is_last = placed.index + 1 == self.package.log_size;
                let word = self.orders.get(&out.order).filter(|word| is_last && word.receiver == out.receiver);
                self.ending = word.map(|word| Ending { order: out.order, word: word.clone() });
                self.report.receiver = self.ending.as_ref().map(|ending| ending.word.receiver.to_string());
            }
            _ => {}
        }
    }

    fn entry(&mut self, tier: &Tier, index: u64) -> Result<Option<PlacedEntry>> {
        let row = self.rows.row::<LeafRow>(&rows::leaf_key(self.package.hospital, index))?;
        let read = row.map(|row| tier.read(self.package.suite(), &row.at, &row.address));
        Ok(read.and_then(|read| PlacedEntry::decode(&read.ok()?).ok()))
    }

    /// The key that certifies the hospital's devices, which all enrolments must agree on.
    fn hospital_key(&mut self) -> Result<Option<PublicKey>> {
        let mut keys = BTreeMap::new();
        for (path, enrolment) in package::enrolments(self.media, self.package)? {
            match enrolment {
                Ok(enrolment) if enrolment.hospital == self.package.hospital => {
                    keys.insert(enrolment.hospital_key.to_string(), enrolment.hospital_key);
                }
                Ok(_) => self.damaged("enrolment", format!("{path} is of another hospital")),
                Err(error) => self.damaged("enrolment", format!("{path}: {}", error.problem().message)),
            }
        }
        if keys.len() != 1 {
            let message = format!("its enrolments name {} keys of the hospital; the ledger is not proved", keys.len());
            self.damaged("enrolment", message);
            return Ok(None);
        }
        Ok(keys.into_values().next())
    }

    /// Everything an entry names is there, or the manifest says that it is not.
    fn named(&mut self, tier: &Tier, placed: &PlacedEntry) -> Result<()> {
        let suite = self.package.suite();
        let named = contents::named(placed.index, placed.entry.body(), &self.ended, &mut |address| {
            let row = self.rows.row::<RecordRow>(&rows::record_key(self.package.hospital, address))?;
            Ok(row.and_then(|row| tier.read(suite, &row.at, address).ok()))
        });
        let named = match named {
            Ok(named) => named,
            Err(error @ Error::Index { .. }) => return Err(error),
            Err(error) => {
                self.damaged("address-list", format!("leaf {}: {}", placed.index, error.problem().message));
                return Ok(());
            }
        };
        for address in named {
            let is_there = self.rows.get(&rows::record_key(self.package.hospital, &address))?.is_some();
            if !is_there && self.package.missing.binary_search(&address).is_err() {
                self.damaged(
                    "record-missing",
                    format!("record {address}, named at leaf {}, is not there", placed.index),
                );
            }
        }
        Ok(())
    }

    /// The entries so far lead to every signed head of their number, and to every timestamped one.
    fn lead_to_heads(&mut self, frontier: &Frontier) {
        let (size, root) = (frontier.size(), frontier.root());
        let lineage = &self.lineage;
        let leads = |text: &str| match lineage.verify_head(text) {
            Ok(head) if head.checkpoint().root == root => Ok(()),
            Ok(_) => Err("the entries do not lead to it".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let heads = self.heads.get(&size).map_or(&[][..], Vec::as_slice);
        let wrong: Vec<String> = heads.iter().filter_map(|text| leads(text).err()).collect();
        let stamped = self.stamped.remove(&size).unwrap_or_default();
        let stamped: Vec<_> = stamped.into_iter().map(|(stamped, head)| (leads(&head), stamped)).collect();
        self.report.heads += (heads.len() - wrong.len()) as u64;
        for why in wrong {
            self.damaged("head", format!("a signed head of {size} entries: {why}"));
        }
        for (led, stamped) in stamped {
            match led {
                Ok(()) => self.report.timestamps.push(stamped),
                Err(why) => self.damaged("timestamp", format!("{}: {why}", stamped.file)),
            }
        }
    }

    /// The newest head is the one that the manifest states.
    fn newest_head(&mut self, root: Digest) {
        if root != self.package.log_root {
            let size = self.package.log_size;
            self.damaged("root", format!("the {size} entries do not lead to the root that the manifest states"));
        }
        let why = match self.lineage.verify_head(&self.package.checkpoint) {
            Ok(head) if head.size() == self.package.log_size && head.checkpoint().root == root => return,
            Ok(_) => "it is of other entries".to_owned(),
            Err(_) if self.package.state == PackageState::Unfinished => return,
            Err(error) => error.to_string(),
        };
        self.damaged("head", format!("the signed head in the manifest: {why}"));
    }
}
