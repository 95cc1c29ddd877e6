//! What the vault says of itself to the operator.

use crate::accounts::{Accounts, Mode};
use crate::audit::LogRoom;
use crate::changes::SelfStatus;
use crate::check::{Finding, Severity};
use crate::config::{Config, IndexKind};
use crate::desk::Desk;
use crate::identity::Identity;
use crate::jobs::ScrubDebt;
use crate::network::NetworkStatus;
use crate::quarantine::QuarantineStatus;
use crate::time_sync::TimeStatus;
use crate::transfers::LineStatus;
use serde::Serialize;
use shosoin_protocol::Suite;
use shosoin_protocol::act::agreement::Scanning;
use shosoin_tiers::{SegmentState, Tier, VolumeState};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// State of the whole vault.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// vault id, hex
    pub vault: String,
    /// its signing keys, one of each suite: what a hospital that comes here names in its order
    pub keys: Vec<KeyStatus>,
    /// release
    pub release: String,
    /// a demonstration, not an archive
    pub demo: bool,
    /// a sentence about that, where it is so
    pub notice: Option<&'static str>,
    /// code of new segments
    pub code: String,
    /// which database holds the index
    pub index: IndexKind,
    /// each volume that is there
    pub volumes: Vec<VolumeStatus>,
    /// where volumes of the configuration are not
    pub volumes_absent: Vec<String>,
    /// until when what they hold is not rebuilt by itself, in milliseconds since 1970, where they are still waited for
    pub repair_waits_until_ms: Option<u64>,
    /// each hospital
    pub hospitals: Vec<HospitalStatus>,
    /// segments by state
    pub segments: SegmentCounts,
    /// how much is kept in each suite: what must stay readable for as long as any hospital has some of it (7.6.1-M3)
    pub formats: Vec<FormatUse>,
    /// stripes waiting for repair
    pub repair_queue: usize,
    /// what is owed to the rule that every byte is verified within a period
    pub scrub: ScrubDebt,
    /// work since the vault was opened
    pub counters: Counters,
    /// who may run it
    pub people: PeopleStatus,
    /// its own program and settings, by the register of changes, where this process looked at them
    pub itself: Option<SelfStatus>,
    /// whether its clock agrees with standard time, where this process asked
    pub time: Option<TimeStatus>,
    /// lines of hospitals, servers that are reached, connections
    pub network: Option<NetworkStatus>,
    /// what opening found and worked around
    pub findings: Vec<Finding>,
}

/// A signing key of the vault.
#[derive(Debug, Clone, Serialize)]
pub struct KeyStatus {
    /// for hospitals of this suite
    pub suite: u8,
    /// what two people read to each other
    pub fingerprint: String,
}

/// Who may run the vault.
#[derive(Debug, Clone, Serialize)]
pub struct PeopleStatus {
    /// `none`, `in-force` or `doubted`
    pub accounts: &'static str,
    /// a sentence about that, where something is missing
    pub notice: Option<String>,
    /// people who can act
    pub usable: usize,
    /// requests that wait for a second person
    pub requests_waiting: usize,
    /// grants for a while that are in force
    pub grants: usize,
}

/// State of one volume.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeStatus {
    /// volume id, hex
    pub id: String,
    /// where it is
    pub place: String,
    /// writable, full, read-only or suspect
    pub state: &'static str,
    /// bytes it holds when empty, if the medium says
    pub total_bytes: Option<u64>,
    /// bytes that can still be written, if the medium says
    pub free_bytes: Option<u64>,
    /// shards on it
    pub shards: u32,
    /// failed reads since it was opened
    pub read_errors: u64,
}

/// State of one hospital's log.
#[derive(Debug, Clone, Serialize)]
pub struct HospitalStatus {
    /// hospital id, hex
    pub hospital: String,
    /// suite number
    pub suite: u8,
    /// entries in its log
    pub log_size: u64,
    /// root over them, hex
    pub log_root: String,
    /// number of the agreement in force
    pub agreement: Option<u32>,
    /// whether contents are scanned for malware: as agreed on, or off because both agreed so
    pub scanning: &'static str,
    /// sealed bytes of the deposits that are held
    pub used_bytes: u64,
    /// sealed bytes that were agreed on
    pub quota_bytes: Option<u64>,
    /// term of the sequencer
    pub term: u64,
    /// requests that wait for the group being committed
    pub waiting: usize,
    /// why the log takes no more entries, if it does not
    pub read_only: Option<String>,
    /// what was set aside as evidence; missing where that is not known
    pub quarantine: Option<QuarantineStatus>,
    /// how its line stands
    pub line: Option<LineStatus>,
    /// what uploads brought that no deposit followed; missing where that is not known
    pub abandoned: Option<Abandoned>,
    /// whether the guard of disposal held; missing before the first try, and where there is no record
    pub canary: Option<CanaryStatus>,
}

/// What came of trying to dispose of a record that nobody ordered to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CanaryStatus {
    /// its reference number
    pub number: u64,
    /// when, in milliseconds since 1970
    pub tried_ms: u64,
    /// the guard refused, and the record is still there
    pub sound: bool,
}

/// Records that were found to be named by no entry: of uploads that were given up, or still go on. They go by compaction after
/// the days an upload may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Abandoned {
    /// how many
    pub records: u64,
    /// their bytes
    pub bytes: u64,
    /// since when the oldest of them is known, in milliseconds since 1970
    pub since_ms: Option<u64>,
    /// when it may go
    pub until_ms: Option<u64>,
}

/// Segments by state.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct SegmentCounts {
    /// taking records
    pub open: usize,
    /// finished
    pub closed: usize,
    /// with too few shards present to be read in full
    pub unreadable: usize,
    /// with fewer shards present than the code has
    pub degraded: usize,
    /// bytes of records
    pub payload_bytes: u64,
}

/// How much is kept in one suite, counted from the segments in sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FormatUse {
    /// suite number, which every header, address and signature names
    pub suite: u8,
    /// hospitals that have records in it
    pub hospitals: usize,
    /// segments
    pub segments: usize,
    /// records
    pub records: u64,
    /// bytes of records
    pub payload_bytes: u64,
}

impl FormatUse {
    /// One for each suite that this release reads, in use or not.
    fn all(tier: &Tier) -> Vec<Self> {
        let segments = tier.segments();
        let of = |suite: Suite| {
            let mut count = FormatUse { suite: suite.code(), hospitals: 0, segments: 0, records: 0, payload_bytes: 0 };
            let mut hospitals = BTreeSet::new();
            for segment in segments.iter().filter(|segment| segment.suite == suite) {
                hospitals.insert(segment.hospital);
                count.segments += 1;
                count.records += u64::from(segment.records);
                count.payload_bytes += segment.payload_bytes;
            }
            FormatUse { hospitals: hospitals.len(), ..count }
        };
        Suite::ALL.map(of).to_vec()
    }
}

/// Work since the vault was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// groups committed
    pub groups: u64,
    /// records appended, entries and checkpoints included
    pub records: u64,
    /// entries accepted
    pub deposits: u64,
    /// shard files synced
    pub syncs: u64,
}

/// Said of a demonstration wherever its state is shown.
const DEMO_NOTICE: &str = "this vault is a demonstration: its volumes may share one device, so that one failure can take \
                           more of them than the code survives; do not keep records here that must last";

/// Said of a vault that nobody has an account at.
const NO_ACCOUNTS: &str = "this vault has no accounts: whoever may open its folder may do everything with it";
/// Said while nobody could agree to what an administrator does.
const ONE_PERSON: &str =
    "one administrator changes rights alone until a second person who may agree has been here once";

/// How many times the reserve must be free before room for the audit log is said to run low.
const LOW: u64 = 8;

/// Where the state of a vault is.
pub struct Parts<'a> {
    /// which vault
    pub identity: &'a Identity,
    /// what the operator decided
    pub config: &'a Config,
    /// media
    pub tier: &'a Tier,
    /// places of volumes that are not there
    pub absent: &'a [String],
    /// until when they are waited for
    pub repair_waits_until_ms: Option<u64>,
    /// what opening met
    pub findings: &'a [Finding],
    /// hospitals
    pub desks: &'a [Arc<Desk>],
    /// work
    pub counters: Counters,
    /// bytes that were not verified in time
    pub scrub: ScrubDebt,
    /// people
    pub accounts: &'a Accounts,
    /// room for the audit log, where it can be measured
    pub log_room: Option<LogRoom>,
}

/// Gathers the state of a vault.
pub fn gather(parts: Parts<'_>) -> Status {
    let tier = parts.tier;
    Status {
        vault: parts.identity.vault().to_string(),
        keys: Suite::ALL.map(|suite| KeyStatus::of(parts.identity, suite)).to_vec(),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        demo: tier.is_demo(),
        notice: tier.is_demo().then_some(DEMO_NOTICE),
        code: tier.code().to_string(),
        index: parts.config.index,
        volumes: tier.volumes().iter().map(VolumeStatus::from).collect(),
        volumes_absent: parts.absent.to_vec(),
        repair_waits_until_ms: parts.repair_waits_until_ms,
        hospitals: parts.desks.iter().map(|desk| HospitalStatus::of(desk)).collect(),
        segments: SegmentCounts::of(tier),
        formats: FormatUse::all(tier),
        repair_queue: tier.repairs_waiting(),
        scrub: parts.scrub,
        counters: parts.counters,
        people: PeopleStatus::of(parts.accounts),
        itself: None,
        time: None,
        network: None,
        findings: parts.findings.iter().cloned().chain(parts.log_room.and_then(low_room)).collect(),
    }
}

/// What is said where room for the audit log runs low, in good time (7.6.12-M5b).
fn low_room(room: LogRoom) -> Option<Finding> {
    let LogRoom { free_bytes, reserve_bytes, .. } = room;
    let message = format!(
        "{free_bytes} bytes are free for the audit log; below {reserve_bytes} nothing new is begun: make room there"
    );
    (free_bytes / LOW < reserve_bytes).then_some(Finding { severity: Severity::Degraded, code: "log-space", message })
}

impl KeyStatus {
    fn of(identity: &Identity, suite: Suite) -> Self {
        KeyStatus { suite: suite.code(), fingerprint: identity.key(suite).public().fingerprint() }
    }
}

impl PeopleStatus {
    fn of(accounts: &Accounts) -> Self {
        let (name, notice) = match accounts.mode() {
            Mode::NoAccounts => ("none", Some(NO_ACCOUNTS.to_owned())),
            Mode::Doubted(why) => ("doubted", Some(format!("{why}: operators are refused"))),
            Mode::InForce if accounts.rights_are_confirmed() => ("in-force", None),
            Mode::InForce => ("in-force", Some(ONE_PERSON.to_owned())),
        };
        let (requests, grants) = accounts.waiting();
        let usable = accounts.list().iter().filter(|account| account.is_usable()).count();
        PeopleStatus { accounts: name, notice, usable, requests_waiting: requests, grants }
    }
}

impl From<&shosoin_tiers::VolumeStatus> for VolumeStatus {
    fn from(status: &shosoin_tiers::VolumeStatus) -> Self {
        let state = match status.state {
            VolumeState::Writable => "writable",
            VolumeState::Full => "full",
            VolumeState::ReadOnly => "read-only",
            VolumeState::Draining => "draining",
            VolumeState::Suspect => "suspect",
            VolumeState::Unlisted => "unlisted",
            VolumeState::Away => "away",
        };
        VolumeStatus {
            id: status.id.to_string(),
            place: status.place.clone(),
            state,
            total_bytes: status.total_bytes,
            free_bytes: status.free_bytes,
            shards: status.shards,
            read_errors: status.read_errors,
        }
    }
}

impl HospitalStatus {
    fn of(desk: &Desk) -> Self {
        let head = desk.ledger().head();
        let terms = desk.agreements().in_force(desk.now_ms()).ok().flatten();
        let scanning = terms.as_ref().map_or("not-agreed", |terms| match terms.scan.scanning {
            Scanning::Off => "off-by-agreement",
            other => other.name(),
        });
        HospitalStatus {
            agreement: terms.as_ref().map(|terms| terms.number),
            scanning,
            used_bytes: desk.agreements().used_bytes().unwrap_or(0),
            quota_bytes: terms.as_ref().map(|terms| terms.quota_bytes),
            hospital: desk.info().hospital.to_string(),
            suite: desk.info().suite.code(),
            log_size: head.size,
            log_root: head.root.to_string(),
            term: desk.ledger().term(),
            waiting: desk.committer().waiting(),
            read_only: desk.committer().halted(),
            quarantine: None,
            line: None,
            abandoned: None,
            canary: None,
        }
    }
}

impl SegmentCounts {
    fn of(tier: &Tier) -> Self {
        let mut counts = SegmentCounts::default();
        for segment in tier.segments() {
            match segment.state {
                SegmentState::Open => counts.open += 1,
                SegmentState::Closed => counts.closed += 1,
                SegmentState::Unreadable => counts.unreadable += 1,
            }
            counts.degraded += usize::from(segment.shards.iter().any(Option::is_none));
            counts.payload_bytes += segment.payload_bytes;
        }
        counts
    }
}

/// Work of all committers, as it happens.
#[derive(Debug, Default)]
pub struct Work {
    groups: AtomicU64,
    deposits: AtomicU64,
}

impl Work {
    /// A group with this many entries was committed.
    pub fn committed(&self, deposits: u64) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.deposits.fetch_add(deposits, Ordering::Relaxed);
    }

    /// The figures so far, with those of the media.
    pub fn counters(&self, media: shosoin_tiers::TierCounters) -> Counters {
        Counters {
            groups: self.groups.load(Ordering::Relaxed),
            deposits: self.deposits.load(Ordering::Relaxed),
            records: media.records,
            syncs: media.syncs,
        }
    }
}
