//! Opening a vault: volumes, segments, index, ledgers, in this order; what each step met and worked around is a finding.
//!
//! Invariants
//! - An index that is empty, of another vault, ahead of media or not readable is noticed, thrown away and made anew.
//! - A log that may be longer than what can be seen, because media are absent beyond what the code survives, takes no
//!   entries: giving a place twice would fork it. If the index had to be made anew in that state, its head is not shown
//!   either, and the next opening makes the index anew again.

use crate::accounts::{Accounts, Caller, Parts};
use crate::audit::{Action, AuditEvent, Outcome};
use crate::check::{Finding, Severity};
use crate::compaction;
use crate::config::{Config, IndexKind};
use crate::error::{Error, Result};
use crate::handover;
use crate::hospitals::{self, HospitalInfo};
use crate::identity::Identity;
use crate::index::{self, Index, WatchedIndex};
use crate::journal::{self, Journal, Judged};
use crate::ledger::{Ledger, LedgerKeys};
use crate::media_ledger::MediaLedger;
use crate::rebuild::{self, Progress, RebuildReport};
use crate::rows::{self, Meta, Rows};
use crate::shelf;
use crate::stores::Stores;
use crate::vault::OpenOptions;
use shosoin_protocol::{ErrorKind, HospitalId};
use shosoin_tiers::media::{FileMedia, FileOptions, Media};
use shosoin_tiers::volume::TierKind;
use shosoin_tiers::{Clock, Error as MediaError, Tier, TierOptions, Volume};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folder of the index in the vault's folder; one folder in it for each kind.
const INDEX_DIR: &str = "index";

/// The parts of an open vault.
pub struct Opened {
    /// its folder, locked against other processes
    pub folder: FileMedia,
    /// what the operator decided
    pub config: Config,
    /// its keys
    pub identity: Identity,
    /// its media
    pub tier: Arc<Tier>,
    /// its index, caught up with media
    pub index: Arc<dyn Index>,
    /// each hospital, its ledger, and what is wrong with it
    pub hospitals: Vec<(HospitalInfo, Ledger, Standing)>,
    /// every medium there ever was, and the audit log behind it
    pub media: Arc<MediaLedger>,
    /// places of volumes that are expected and not there
    pub absent: Vec<String>,
    /// what was met and worked around
    pub findings: Vec<Finding>,
}

/// What a log may still do.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// why it takes no entries, if it does not
    pub halted: Option<String>,
    /// why even its head is not known, if it is not: the index was made anew while media were out of sight
    pub unseen: Option<String>,
}

/// Opens the vault in `dir`, on the media its configuration names or on those of the options.
pub fn open(dir: &Path, options: &OpenOptions) -> Result<Opened> {
    let mounted = mount(dir, options)?;
    let (anew, indexed) = match catch_up(dir, &mounted, options) {
        Err(Error::Index { why, .. }) => (true, make_anew(dir, &mounted, options, &why, &|_| {})),
        other => (false, other),
    };
    let Indexed { index, ledgers, report } = indexed?;
    let with_standing = |(info, ledger): (HospitalInfo, Ledger)| {
        let halted = halted(dir, &mounted, &report, info.hospital);
        let unseen = halted.clone().filter(|_| anew || handover::is_coming(dir, info.hospital));
        (info, ledger, Standing { halted, unseen })
    };
    let hospitals: Vec<_> = ledgers.into_iter().map(with_standing).collect();
    if hospitals.iter().any(|(_, _, standing)| standing.unseen.is_some()) {
        let path = mark(dir, &mounted);
        let marked = std::fs::write(&path, "it was made while media were out of sight");
        marked.map_err(|source| Error::Io { action: "write", path, source })?;
    }
    let Mounted { folder, config, identity, tier, absent, mut journal, .. } = mounted;
    if let Err(error) = shelf::keep_all(dir, &tier, options.clock.now_ms()) {
        let message = format!("what is on archive volumes could not be written down: {}", error.problem().message);
        journal.findings.push(Finding { severity: Severity::Degraded, code: "shelf-list", message });
    }
    journal.opened(Action::VaultStarted)?;
    let Journal { media, mut findings, .. } = journal;
    findings.extend(report.findings);
    Ok(Opened { folder, config, identity, tier, index, hospitals, media, absent, findings })
}

/// Makes the index of the vault in `dir` anew.
pub fn rebuild(
    dir: &Path,
    options: &OpenOptions,
    caller: Option<&Caller>,
    progress: &dyn Fn(Progress),
) -> Result<RebuildReport> {
    let mounted = mount(dir, options)?;
    let (people, _) = accounts(dir, &mounted.config, &mounted.journal.media, options)?;
    let admitted = caller.map(|caller| people.admit(caller, "vault rebuild")).transpose()?;
    let actor = admitted.map_or_else(|| journal::VAULT.to_owned(), |admitted| admitted.actor);
    let begun = AuditEvent::new(options.clock.now_ms(), actor, Action::Rebuild).ended(Outcome::Begun);
    mounted.journal.media.record(begun)?;
    let Indexed { ledgers, mut report, .. } = make_anew(dir, &mounted, options, "a rebuild was asked for", progress)?;
    for (info, ledger) in ledgers {
        if let Some(why) = ledger.broken() {
            let message = format!("ledger of hospital {} is broken: {why}", info.hospital);
            report.findings.push(Finding { severity: Severity::Damaged, code: "ledger-broken", message });
        }
    }
    mounted.journal.opened(Action::Rebuild)?;
    mounted.journal.opened(Action::LogStopped)?;
    mounted.tier.close()?;
    report.findings.splice(0..0, mounted.journal.findings);
    Ok(report)
}

/// Who may run the vault in `dir`, and what is wrong with their file.
pub fn accounts(
    dir: &Path,
    config: &Config,
    media: &Arc<MediaLedger>,
    options: &OpenOptions,
) -> Result<(Accounts, Option<Finding>)> {
    let parts = Parts {
        media: media.clone(),
        clock: options.clock.clone(),
        random: options.random.clone(),
        config: config.accounts.clone(),
        vault: config.vault.chars().take(8).collect(),
    };
    Accounts::open(dir, parts)
}

/// A vault whose media are open, before its index is.
struct Mounted {
    folder: FileMedia,
    config: Config,
    identity: Identity,
    known: Vec<HospitalInfo>,
    tier: Arc<Tier>,
    absent: Vec<String>,
    journal: Journal,
}

fn mount(dir: &Path, options: &OpenOptions) -> Result<Mounted> {
    let config = Config::load(dir)?;
    let folder = lock(dir)?;
    let identity = Identity::load(dir)?;
    if identity.vault() != config.vault_id(dir)? {
        let why = "vault is not the one whose keys are beside it".to_owned();
        return Err(Error::Config { path: dir.join(crate::config::FILE), why });
    }
    let known = hospitals::load(&folder, dir)?;
    let (mut volumes, mut missing) = (Vec::new(), Vec::new());
    for (place, media) in media(dir, &config, options) {
        match media.and_then(Volume::open) {
            Ok(volume) => volumes.push(volume),
            Err(error) if is_absent(&error) || (is_store(&place) && error.kind() == ErrorKind::Unavailable) => {
                missing.push((place, error));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut journal = Journal::open(dir, &volumes, options.clock.now_ms())?;
    let judged = journal.judge(&mut volumes, missing.iter().map(|(place, _)| place.clone()).collect())?;
    missing.retain(|(place, _)| judged.absent.contains(place));
    journal.findings.extend(missing.into_iter().map(|(_, error)| volume_absent(error)));
    let Judged { absent, absence_is_final } = judged;
    let tier_options = TierOptions { demo: config.demo, ..TierOptions::new(config.code(dir)?) };
    let mut tier_options = TierOptions { absence_is_final, ..tier_options };
    if let Some(bytes) = options.segment_bytes_max {
        tier_options.segment_bytes_max = bytes;
    }
    let (tier, met) = Tier::open(volumes, tier_options, options.clock.clone(), options.random.clone())?;
    journal.settle(&tier)?;
    let erasing = (config.disposal.passes, options.clock.now_ms());
    compaction::sweep_after(&tier, &journal.media, erasing, &met);
    journal.findings.extend(met.iter().map(Finding::from));
    Ok(Mounted { folder, config, identity, known, tier: Arc::new(tier), absent, journal })
}

type NamedMedia = (String, Result<Arc<dyn Media>, MediaError>);

fn media(dir: &Path, config: &Config, options: &OpenOptions) -> Vec<NamedMedia> {
    if let Some(media) = &options.media {
        return media.iter().map(|media| (media.place(), Ok(media.clone()))).collect();
    }
    let stores = Stores::new(dir);
    config.volumes.iter().map(|spec| (stores.place(spec), stores.media(spec))).collect()
}

/// A mount point without its medium looks like an empty folder, so a missing label is an absent volume. So is one whose
/// label nobody can read; what it holds is rebuilt from the others.
fn is_absent(error: &MediaError) -> bool {
    matches!(error, MediaError::VolumeAbsent { .. } | MediaError::LabelMissing { .. } | MediaError::LabelDamaged { .. })
}

/// A store can be lost between two requests of one opening, so any failure to reach it is an absent volume.
fn is_store(place: &str) -> bool {
    place.contains("://")
}

fn volume_absent(error: MediaError) -> Finding {
    Finding { severity: Severity::Degraded, code: "volume-absent", message: Error::from(error).problem().message }
}

/// An index caught up with media, and the ledgers it gives.
struct Indexed {
    index: Arc<dyn Index>,
    ledgers: Vec<(HospitalInfo, Ledger)>,
    report: RebuildReport,
}

/// Opens the index and catches it up. Whatever makes it unusable is an error of the index, a panic of the database too.
fn catch_up(dir: &Path, mounted: &Mounted, options: &OpenOptions) -> Result<Indexed> {
    index::guarded(|| {
        if mark(dir, mounted).exists() {
            return Err(Error::Index { action: "open", why: "it failed the last time it was used".into() });
        }
        let index = open_index(dir, mounted)?;
        rebuild::usable(index.as_ref(), &mounted.identity, &mounted.tier)?;
        let indexed = fill(dir, index, mounted, options, &|_| {})?;
        match indexed.ledgers.iter().find_map(|(_, ledger)| ledger.broken()) {
            None => Ok(indexed),
            Some(why) => Err(Error::Index { action: "open", why: why.to_owned() }),
        }
    })
}

/// Throws the index away and fills a new one from media.
fn make_anew(
    dir: &Path,
    mounted: &Mounted,
    options: &OpenOptions,
    why: &str,
    progress: &dyn Fn(Progress),
) -> Result<Indexed> {
    tracing::warn!(why, "the index is made anew from media");
    wipe(&index_dir(dir, mounted))?;
    wipe(&mark(dir, mounted))?;
    let mut indexed = fill(dir, open_index(dir, mounted)?, mounted, options, progress)?;
    let message = format!("index was made anew from media: {why}");
    indexed.report.findings.push(Finding { severity: Severity::Notice, code: "index-rebuilt", message });
    Ok(indexed)
}

fn fill(
    dir: &Path,
    index: Arc<dyn Index>,
    mounted: &Mounted,
    options: &OpenOptions,
    progress: &dyn Fn(Progress),
) -> Result<Indexed> {
    let Mounted { identity, known, tier, .. } = mounted;
    let hospitals = known.iter().map(|info| info.hospital);
    let is_new = index.row::<Meta>(&rows::meta_key())?.is_none();
    let report = rebuild::catch_up(index.as_ref(), tier, identity, hospitals, progress)?;
    let open = |info: &HospitalInfo| Ok((info.clone(), open_ledger(identity, info, &index, tier, &*options.clock)?));
    let ledgers = known.iter().map(open).collect::<Result<Vec<_>>>()?;
    shelf::remember_all(&*index, tier)?;
    if is_new {
        shelf::take_in(dir, &*index, tier)?;
    }
    Ok(Indexed { index, ledgers, report })
}

/// Opens the ledger of one hospital.
pub fn open_ledger(
    identity: &Identity,
    info: &HospitalInfo,
    index: &Arc<dyn Index>,
    tier: &Arc<Tier>,
    clock: &dyn Clock,
) -> Result<Ledger> {
    let key = identity.key(info.suite).clone();
    let keys = LedgerKeys { vault: identity.vault(), hospital: info.hospital, suite: info.suite, key };
    Ledger::open(keys, index.clone(), tier.clone(), clock.now_ms())
}

/// Why a log takes no entries although its ledger is whole as far as it can be seen.
fn halted(dir: &Path, mounted: &Mounted, report: &RebuildReport, hospital: HospitalId) -> Option<String> {
    let unread = || "a segment of its records cannot be read".to_owned();
    if handover::is_coming(dir, hospital) {
        return Some("its package is being taken in; `shosoin handover import` goes on with it".to_owned());
    }
    too_many_absent(&mounted.tier, &mounted.journal.media, &mounted.absent)
        .or_else(|| report.incomplete.contains(&hospital).then(unread))
}

/// With more volumes absent or unlisted than the code survives, whole segments may be out of sight. Those of the archive do not count:
/// what only they hold is no part of a log, because everything but chunks stays on hot volumes too.
pub fn too_many_absent(tier: &Tier, ledger: &MediaLedger, absent: &[String]) -> Option<String> {
    let (survives, known) = (tier.code().m(), ledger.media());
    let archived = |place: &String| {
        let mut there = known.iter().filter(|medium| medium.place == *place).peekable();
        is_store(place) || (there.peek().is_some() && there.all(|medium| medium.label.tier == TierKind::Archive))
    };
    let unlisted = unlisted(tier);
    let count = absent.iter().chain(&unlisted).filter(|place| !archived(place)).count();
    let why = || format!("{count} volumes are absent or could not be listed, and the code survives {survives}");
    (count > survives).then(why)
}

/// The places of volumes that are there and could not be listed.
pub fn unlisted(tier: &Tier) -> Vec<String> {
    tier.mounted().into_iter().filter(|mounted| mounted.unlisted).map(|mounted| mounted.place).collect()
}

fn open_index(dir: &Path, mounted: &Mounted) -> Result<Arc<dyn Index>> {
    make_dir(&dir.join(INDEX_DIR))?;
    let index = index::open(mounted.config.index, &index_dir(dir, mounted))?;
    Ok(Arc::new(WatchedIndex::new(index, mark(dir, mounted))))
}

/// Where a failed index leaves its mark.
fn mark(dir: &Path, mounted: &Mounted) -> PathBuf {
    index_dir(dir, mounted).with_extension("failed")
}

/// Each kind of index has its own folder, so that changing the kind and back finds an old one, which is caught up.
fn index_dir(dir: &Path, mounted: &Mounted) -> PathBuf {
    dir.join(INDEX_DIR).join(match mounted.config.index {
        IndexKind::Fjall => "fjall",
        IndexKind::Sled => "sled",
        IndexKind::Memory => "memory",
    })
}

fn wipe(path: &Path) -> Result<()> {
    let removed = match path.is_dir() {
        true => std::fs::remove_dir_all(path),
        false => std::fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { action: "remove", path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Makes a folder and those it is in.
pub fn make_dir(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|source| Error::Io { action: "create", path: path.to_owned(), source })
}

/// Opens the vault's folder so that no other process can.
pub fn lock(dir: &Path) -> Result<FileMedia> {
    match FileMedia::open(dir, FileOptions::default()) {
        Err(MediaError::VolumeBusy { .. }) => Err(Error::InUse { path: dir.to_owned() }),
        Err(MediaError::VolumeAbsent { source, .. }) => Err(Error::Io { action: "open", path: dir.to_owned(), source }),
        other => Ok(other?),
    }
}
