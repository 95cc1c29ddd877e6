//! What can go wrong in the vault, and what it means to whoever asked.

use crate::network::TurnedAway;
use shosoin_protocol::api::{Problem, code};
use shosoin_protocol::{Address, DeviceId, Digest, ErrorKind, HospitalId, NameToken, SegmentId, VersionId, VolumeId};
use std::path::PathBuf;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the vault did not do what it was asked. After any of these, nothing that was stored has changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the vault's folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// what was tried, as in "read"
        action: &'static str,
        /// on which file
        path: PathBuf,
        /// why
        #[source]
        source: std::io::Error,
    },
    /// A file of the vault's folder does not say what it should.
    #[error("{} is not usable: {why}", path.display())]
    Config {
        /// which file
        path: PathBuf,
        /// what is wrong with it, and what would be right
        why: String,
    },
    /// A vault was to be made where there is one already.
    #[error("{} holds a vault already", path.display())]
    Exists {
        /// the folder
        path: PathBuf,
    },
    /// Another process has this vault open.
    #[error("vault {} is in use by another process", path.display())]
    InUse {
        /// folder of the vault
        path: PathBuf,
    },
    /// The media refused or failed.
    #[error("media refused or failed")]
    Media(#[from] shosoin_tiers::Error),
    /// Bytes from outside do not follow the format.
    #[error("{what} was refused")]
    Malformed {
        /// what was sent
        what: &'static str,
        /// the rule it breaks
        #[source]
        source: shosoin_protocol::Error,
    },
    /// A well-formed request that breaks a rule of intake.
    #[error("{what} was refused: {why}")]
    Invalid {
        /// what was sent
        what: &'static str,
        /// the rule it breaks
        why: &'static str,
    },
    /// Something an operator typed breaks a rule.
    #[error("{what} is not valid: {why}")]
    Argument {
        /// what was typed
        what: &'static str,
        /// the rule it breaks
        why: String,
    },
    /// The ledger of media has no such volume.
    #[error("volume {volume} is not in the ledger of media")]
    UnknownVolume {
        /// what was asked for
        volume: String,
    },
    /// The state of a volume does not allow it.
    #[error("volume {volume} {why}")]
    VolumeState {
        /// which volume
        volume: String,
        /// what stands against it, and what would be right
        why: String,
    },
    /// The vault is to be served on registered files alone, and one of them is not.
    #[error("the {what} of this vault is not what the register of changes says")]
    Unregistered {
        /// program or settings
        what: &'static str,
        /// what is there
        found: Digest,
    },
    /// The register of machines does not allow it.
    #[error("machine {machine} {why}")]
    Machine {
        /// which
        machine: String,
        /// what stands against it
        why: String,
    },
    /// The audit log cannot be written or read.
    #[error("audit log at {} cannot be used: {why}", path.display())]
    Audit {
        /// its folder or file
        path: PathBuf,
        /// why
        why: String,
    },
    /// There is too little room for the audit log to begin anything more.
    #[error(
        "nothing was begun: {free_bytes} bytes are free for the audit log at {}, and {reserve_bytes} are kept for records of what ends; make \
         room there, and it goes on by itself",
        path.display()
    )]
    AuditFull {
        /// its folder
        path: PathBuf,
        /// bytes free there
        free_bytes: u64,
        /// bytes below which nothing is begun
        reserve_bytes: u64,
    },
    /// The accounts of operators cannot be believed or written.
    #[error("accounts file {} cannot be used: {why}", path.display())]
    Accounts {
        /// the file
        path: PathBuf,
        /// why
        why: String,
    },
    /// An account, a request or a session cannot take what was asked of it.
    #[error("{what} {id} {why}")]
    AccountState {
        /// account, request
        what: &'static str,
        /// which one
        id: String,
        /// what stands against it, and what would be right
        why: String,
    },
    /// Nobody was let in; why is in the audit log alone.
    #[error("log-on failed; after a wrong try wait a few seconds, after several a while")]
    LogOn,
    /// A session of the console is over, or cannot begin.
    #[error("not logged on: {why}")]
    LoggedOff {
        /// why, and what to do
        why: &'static str,
    },
    /// Too many ask for the same at once.
    #[error("too many try {what} at once; try again in a moment")]
    Busy {
        /// for what
        what: &'static str,
    },
    /// No enrolment of this hospital.
    #[error("hospital {hospital} is not enrolled at this vault")]
    UnknownHospital {
        /// who called
        hospital: HospitalId,
    },
    /// An enrolment that contradicts the one on file.
    #[error("hospital {hospital} is already enrolled with other keys")]
    EnrolmentDiffers {
        /// whose enrolment
        hospital: HospitalId,
    },
    /// The ledger does not list this device as enrolled.
    #[error("device {device} {why}")]
    UnknownDevice {
        /// who signed
        device: DeviceId,
        /// never enrolled, or revoked
        why: &'static str,
    },
    /// A device asked where or when its hospital's line does not let it.
    #[error("device {device} is not answered: {}", why.sentence())]
    OffLine {
        /// which one
        device: DeviceId,
        /// why
        why: TurnedAway,
    },
    /// A device that only deposits asked for something else.
    #[error("device {device} only deposits: it reads nothing, and signs nothing else")]
    OnlyDeposits {
        /// which one
        device: DeviceId,
    },
    /// An entry that is not the device's next one: replayed, out of order, or after a refused one.
    #[error("entry {found_seq} of device {device} is not its next: entry {expected_seq} after leaf {expected_prev} is")]
    OutOfSequence {
        /// who signed
        device: DeviceId,
        /// sequence that would be right
        expected_seq: u64,
        /// previous entry that would be right
        expected_prev: Digest,
        /// sequence found
        found_seq: u64,
    },
    /// A deposit of a batch whose entry does not follow the one before it, or follows a refused one.
    #[error("entry does not follow the one before it in the batch, or that one was refused")]
    NotAfterPrevious,
    /// The head a device claims to have seen is not in this log's history.
    #[error("device {device} has seen {seen_size} leaves with root {seen_root}, which this log never had")]
    ForeignHistory {
        /// who signed
        device: DeviceId,
        /// leaves it says it saw
        seen_size: u64,
        /// root it says it saw
        seen_root: Digest,
    },
    /// A claimed time too far in the future.
    #[error("clock of the device is {ahead_ms} ms ahead of the vault's, more than the {limit_ms} ms allowed")]
    ClockSkew {
        /// how far ahead
        ahead_ms: u64,
        /// how far is allowed
        limit_ms: u64,
    },
    /// The condition on the name does not hold.
    #[error("newest change of name {token} is {found}, which is not what the entry expected")]
    ExpectedVersion {
        /// which name
        token: NameToken,
        /// its newest change, or "none"
        found: String,
    },
    /// A version id that was used before.
    #[error("version {version} is in the ledger already")]
    VersionExists {
        /// the id
        version: VersionId,
    },
    /// A hold, a release or a change of retention that the rules do not allow.
    #[error("what keeps version {version} cannot change like that")]
    KeepingRule {
        /// which version; zeros: everything
        version: VersionId,
        /// the rule it breaks
        #[source]
        source: shosoin_protocol::Error,
    },
    /// An order that names an entry which the ledger does not have so.
    #[error("disposal order was refused: version {version} at leaf {leaf}: {why}")]
    OrderItem {
        /// place it names
        leaf: u64,
        /// version it names
        version: VersionId,
        /// what is wrong with it
        why: &'static str,
    },
    /// The guard found something against the end of records.
    #[error("disposal order {order} is not carried out: {why}")]
    DisposalRefused {
        /// which order
        order: VersionId,
        /// every obstacle
        why: String,
    },
    /// An approval that does not count.
    #[error("approval of disposal order {order} was refused: {why}")]
    Approval {
        /// which order
        order: VersionId,
        /// the rule it breaks
        why: String,
    },
    /// The records of a version were ended.
    #[error("version {version} was disposed of, by order {order}")]
    Disposed {
        /// which version
        version: VersionId,
        /// by which order
        order: VersionId,
    },
    /// Everything of a hospital was ended: it deposits nothing more.
    #[error("the contract has ended: everything was disposed of, by order {order}")]
    ContractEnded {
        /// by which order
        order: VersionId,
    },
    /// Time decides, and the clock is doubted.
    #[error("the clock is doubted: {why}; confirm it, then run this again")]
    ClockDoubted {
        /// what it did
        why: String,
    },
    /// An epoch that is not the next one: another machine began one first.
    #[error("epoch {found} cannot begin: the newest one of the ledger is {newest}")]
    EpochOutOfOrder {
        /// newest epoch of the ledger
        newest: u32,
        /// the one that was to begin
        found: u32,
    },
    /// A deposit in a weaker suite than the hospital still takes.
    #[error("it is sealed in suite {suite}, and the hospital's policy takes suite {minimum} and above")]
    BelowSuite {
        /// of the deposit
        suite: u8,
        /// the least one
        minimum: u8,
    },
    /// Addresses that are neither held nor sent along.
    #[error("{count} addresses of the deposit are not held, {first} among them")]
    MissingAddresses {
        /// how many
        count: usize,
        /// one of them
        first: Address,
    },
    /// Content comes, and no agreement with its hospital is in force.
    #[error("nothing is taken from hospital {hospital}: {}", no_agreement(*later))]
    NoAgreement {
        /// whose content
        hospital: HospitalId,
        /// one is signed, and counts from a later time on
        later: bool,
    },
    /// Content comes that the agreement in force does not have.
    #[error("it was not agreed to (agreement {number})")]
    NotAgreed {
        /// number of the terms
        number: u32,
        /// what was not agreed on
        #[source]
        source: shosoin_protocol::act::agreement::NotAgreed,
    },
    /// The malware report of a deposit is not what was agreed on.
    #[error("deposit was refused")]
    Report {
        /// what is wrong with it
        #[source]
        source: crate::malware::ReportFault,
    },
    /// An entry that is not meant for this log, or not of this hospital.
    #[error("entry was refused: {why}")]
    Misdirected {
        /// which of them
        why: &'static str,
    },
    /// What came is suspicious, and was kept as evidence.
    #[error("it was set aside in quarantine as {id}, and the operator was told")]
    Quarantined {
        /// number of the evidence
        id: VersionId,
        /// why it is suspicious
        #[source]
        source: Box<Error>,
    },
    /// Too many transfers failed, and nobody has found out why yet.
    #[error(
        "communication with hospital {hospital} is stopped since {since_ms} (milliseconds since 1970), because too many \
         transfers failed; a person at the operator must look for the cause and open it again; what is urgent goes by \
         {other_way}, as agreed"
    )]
    CommunicationStopped {
        /// whose line
        hospital: HospitalId,
        /// since when, in milliseconds since 1970
        since_ms: u64,
        /// the way that is left
        other_way: &'static str,
    },
    /// What a courier brought is not to be taken in.
    #[error("{what} was refused: the station says that it is not clean, or says so no more: {why}")]
    Unclean {
        /// medium
        what: &'static str,
        /// what the station found, or what is wrong with its result
        why: &'static str,
    },
    /// Content would take more than the agreement leaves room for.
    #[error("{asked} bytes more than the {used} bytes that are held would exceed the agreed quota of {quota} bytes")]
    OverQuota {
        /// sealed bytes that count already
        used: u64,
        /// sealed bytes that would come
        asked: u64,
        /// agreed on
        quota: u64,
    },
    /// There is no such thing.
    #[error("{what} {id} is not held")]
    NotFound {
        /// record, version, name
        what: &'static str,
        /// which one
        id: String,
    },
    /// What was asked for is on media that are not mounted now.
    #[error("segment {segment} is on a shelf: mount {needed} of the volumes {}, then ask again", list(volumes))]
    OnShelf {
        /// the segment
        segment: SegmentId,
        /// how many of them are needed
        needed: usize,
        /// those that hold its shards and are not there
        volumes: Vec<VolumeId>,
    },
    /// A write whose outcome is not known: the log takes no more entries until the vault is opened again.
    #[error("log of hospital {hospital} is read-only since {why}; reopen the vault to continue")]
    ReadOnly {
        /// whose log
        hospital: HospitalId,
        /// what happened
        why: String,
    },
    /// The log may be longer than what is in sight, so no head of it can be shown.
    #[error("log of hospital {hospital} is not in sight: {why}")]
    LogUnseen {
        /// whose log
        hospital: HospitalId,
        /// which media are absent or unreadable
        why: String,
    },
    /// The log ended here: the hospital was handed over to another vault.
    #[error("log of hospital {hospital} ended here: it was handed over, and goes on at another vault")]
    HandedOver {
        /// whose log
        hospital: HospitalId,
    },
    /// What another hospital granted is not given.
    #[error("grant {grant} gives nothing: {why}")]
    NotShared {
        /// id of the act
        grant: VersionId,
        /// what is missing
        why: &'static str,
    },
    /// Something that only the hospital can order.
    #[error("hospital {hospital} is not handed over: {why}")]
    NotOrdered {
        /// whose
        hospital: HospitalId,
        /// what is missing
        why: &'static str,
    },
    /// A package that cannot be taken in.
    #[error("the package at {place} cannot be taken in: {why}")]
    Package {
        /// where it is
        place: String,
        /// what stands against it, and what would be right
        why: String,
    },
    /// The group that the request was part of was not committed; everyone in it is told the same.
    #[error(transparent)]
    Group(std::sync::Arc<Error>),
    /// Something that was stored does not say what it must.
    #[error("{what} {id} is damaged: {why}")]
    Damaged {
        /// record, entry, proof
        what: &'static str,
        /// which one
        id: String,
        /// what is wrong
        why: String,
    },
    /// The index failed; it is a cache, and opening the vault again rebuilds it.
    #[error("index failed to {action}: {why}")]
    Index {
        /// what was tried
        action: &'static str,
        /// what the database said
        why: String,
    },
    /// The address to listen on cannot be had.
    #[error("cannot listen on {listen}")]
    Listen {
        /// address of the API
        listen: std::net::SocketAddr,
        /// why
        #[source]
        source: std::io::Error,
    },
    /// The TLS identity of the vault cannot be used.
    #[error("TLS identity of the vault is not usable")]
    Tls {
        /// why
        #[source]
        source: rustls::Error,
    },
    /// A certificate for the vault could not be made.
    #[error("cannot make a TLS certificate: {why}")]
    Certificate {
        /// what the library said
        why: String,
    },
    /// The same kind of job, or one of its lane, runs already because somebody asked for it.
    #[error("{job} is running already because somebody asked for it")]
    JobRunning {
        /// what runs
        job: &'static str,
    },
    /// Somebody asked for what is not theirs to do.
    #[error("{actor} may not {what}")]
    NotAllowed {
        /// who asked
        actor: String,
        /// for what
        what: &'static str,
    },
    /// Somebody asked for what their account does not allow.
    #[error("{actor} may not do `{work}`: {why}")]
    NotPermitted {
        /// who asked
        actor: String,
        /// command or page
        work: String,
        /// why not
        why: crate::accounts::Refusal,
    },
    /// The vault is closing.
    #[error("the vault is closing")]
    Closing,
    /// An invariant of ours is broken.
    #[error("internal error: {0}")]
    Bug(&'static str),
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Media(source) => source.kind(),
            Error::Group(error) => error.kind(),
            Error::Malformed { source, .. } if source.kind() == ErrorKind::Unsupported => ErrorKind::Unsupported,
            Error::Config { .. } | Error::Malformed { .. } | Error::Invalid { .. } => ErrorKind::Invalid,
            Error::Argument { .. } => ErrorKind::Invalid,
            Error::UnknownVolume { .. } => ErrorKind::NotFound,
            Error::VolumeState { .. } | Error::Machine { .. } | Error::Unregistered { .. } => ErrorKind::Refused,
            Error::Audit { .. } | Error::AuditFull { .. } | Error::Busy { .. } => ErrorKind::Unavailable,
            Error::Accounts { .. } => ErrorKind::Damaged,
            Error::AccountState { .. } | Error::LogOn | Error::LoggedOff { .. } | Error::NotPermitted { .. } => {
                ErrorKind::Refused
            }
            Error::OutOfSequence { .. } | Error::NotAfterPrevious => ErrorKind::Invalid,
            Error::MissingAddresses { .. } => ErrorKind::Invalid,
            Error::NotAllowed { .. } => ErrorKind::Refused,
            Error::NoAgreement { .. } | Error::NotAgreed { .. } | Error::OverQuota { .. } => ErrorKind::Refused,
            Error::Report { .. } | Error::CommunicationStopped { .. } => ErrorKind::Refused,
            Error::Unclean { .. } => ErrorKind::Refused,
            Error::Misdirected { .. } => ErrorKind::Invalid,
            Error::Quarantined { source, .. } => source.kind(),
            Error::UnknownHospital { .. } | Error::UnknownDevice { .. } => ErrorKind::Refused,
            Error::OnlyDeposits { .. } | Error::OffLine { .. } => ErrorKind::Refused,
            Error::NotShared { .. } => ErrorKind::Refused,
            Error::HandedOver { .. } | Error::NotOrdered { .. } | Error::Package { .. } => ErrorKind::Refused,
            Error::Exists { .. } | Error::EnrolmentDiffers { .. } | Error::ForeignHistory { .. } => ErrorKind::Refused,
            Error::ClockSkew { .. } | Error::ExpectedVersion { .. } | Error::VersionExists { .. } => ErrorKind::Refused,
            Error::KeepingRule { .. } | Error::ClockDoubted { .. } => ErrorKind::Refused,
            Error::EpochOutOfOrder { .. } | Error::BelowSuite { .. } => ErrorKind::Refused,
            Error::OrderItem { .. } | Error::DisposalRefused { .. } | Error::Approval { .. } => ErrorKind::Refused,
            Error::ContractEnded { .. } => ErrorKind::Refused,
            Error::Disposed { .. } => ErrorKind::NotFound,
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::Io { .. } | Error::InUse { .. } => ErrorKind::Unavailable,
            Error::ReadOnly { .. } | Error::LogUnseen { .. } | Error::OnShelf { .. } => ErrorKind::Unavailable,
            Error::Index { .. } | Error::Closing | Error::JobRunning { .. } | Error::Listen { .. } => {
                ErrorKind::Unavailable
            }
            Error::Damaged { .. } | Error::Tls { .. } => ErrorKind::Damaged,
            Error::Bug(_) | Error::Certificate { .. } => ErrorKind::Bug,
        }
    }

    /// Stable code for the other side, kebab-case; those it acts on are in [`shosoin_protocol::api::code`].
    pub fn code(&self) -> &'static str {
        match self {
            Error::Io { .. } => "io",
            Error::Config { .. } => "config",
            Error::Exists { .. } => "exists",
            Error::InUse { .. } => "in-use",
            Error::Media(source) => media_code(source),
            Error::Group(error) => error.code(),
            Error::Malformed { .. } => "malformed",
            Error::Invalid { .. } => "invalid",
            Error::Argument { .. } => "invalid",
            Error::UnknownVolume { .. } => "unknown-volume",
            Error::VolumeState { .. } => "volume-state",
            Error::Unregistered { .. } => "unregistered-change",
            Error::Machine { .. } => "machine",
            Error::Audit { .. } => "audit-log",
            Error::AuditFull { .. } => "audit-full",
            Error::Accounts { .. } => "accounts",
            Error::AccountState { .. } => "account-state",
            Error::LogOn => "log-on",
            Error::LoggedOff { .. } => "logged-off",
            Error::Busy { .. } => "busy",
            Error::NotPermitted { .. } => "not-permitted",
            Error::UnknownHospital { .. } => code::UNKNOWN_HOSPITAL,
            Error::EnrolmentDiffers { .. } => "enrolment-differs",
            Error::UnknownDevice { .. } => code::UNKNOWN_DEVICE,
            Error::OnlyDeposits { .. } => "deposit-only",
            Error::OffLine { .. } => "off-line",
            Error::OutOfSequence { .. } | Error::NotAfterPrevious => code::OUT_OF_SEQUENCE,
            Error::ForeignHistory { .. } => "foreign-history",
            Error::ClockSkew { .. } => code::CLOCK_SKEW,
            Error::ExpectedVersion { .. } => code::EXPECTED_VERSION,
            Error::VersionExists { .. } => "version-exists",
            Error::KeepingRule { .. } => code::KEEPING_RULE,
            Error::OrderItem { .. } => "order-item",
            Error::DisposalRefused { .. } => "disposal-refused",
            Error::Approval { .. } => "approval-refused",
            Error::ContractEnded { .. } => "contract-ended",
            Error::Disposed { .. } => code::DISPOSED,
            Error::ClockDoubted { .. } => "clock-doubted",
            Error::EpochOutOfOrder { .. } => code::EPOCH_ORDER,
            Error::BelowSuite { .. } => code::BELOW_SUITE,
            Error::MissingAddresses { .. } => code::MISSING_ADDRESSES,
            Error::NoAgreement { .. } => code::NO_AGREEMENT,
            Error::NotAgreed { .. } => code::NOT_AGREED,
            Error::OverQuota { .. } => code::OVER_QUOTA,
            Error::Report { .. } => code::MALWARE_REPORT,
            Error::Unclean { .. } => "unclean",
            Error::Misdirected { .. } => "invalid",
            Error::Quarantined { source, .. } => source.code(),
            Error::CommunicationStopped { .. } => code::COMMUNICATION_STOPPED,
            Error::NotFound { .. } => code::NOT_FOUND,
            Error::OnShelf { .. } => code::ON_SHELF,
            Error::ReadOnly { .. } => "read-only",
            Error::LogUnseen { .. } => "log-unseen",
            Error::NotShared { .. } => "not-shared",
            Error::HandedOver { .. } => "handed-over",
            Error::NotOrdered { .. } => "not-ordered",
            Error::Package { .. } => "package",
            Error::Damaged { .. } => code::UNREADABLE,
            Error::Index { .. } => "index",
            Error::Listen { .. } => "listen",
            Error::Tls { .. } => "tls-identity",
            Error::Certificate { .. } => "certificate",
            Error::NotAllowed { .. } => "not-allowed",
            Error::Closing => "closing",
            Error::JobRunning { .. } => "job-running",
            Error::Bug(_) => "bug",
        }
    }

    /// The failure as the vault API tells it, causes included.
    pub fn problem(&self) -> Problem {
        Problem { kind: self.kind().name().to_owned(), code: self.code().to_owned(), message: self.sentence() }
    }

    /// This error and its causes in one sentence.
    fn sentence(&self) -> String {
        let mut sentence = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            sentence.push_str(": ");
            sentence.push_str(&error.to_string());
            cause = error.source();
        }
        sentence
    }
}

fn no_agreement(later: bool) -> &'static str {
    match later {
        true => "its agreement is signed and not in force yet",
        false => "no agreement with it is signed; `shosoin agreement draft` begins one",
    }
}

/// Ids as a sentence lists them.
fn list(volumes: &[VolumeId]) -> String {
    volumes.iter().map(VolumeId::to_string).collect::<Vec<_>>().join(", ")
}

/// Code of a failure of the media.
fn media_code(error: &shosoin_tiers::Error) -> &'static str {
    use shosoin_tiers::Error as Media;
    match error {
        Media::NoWritableMedia { .. } | Media::NoSpace { .. } | Media::ReadOnly { .. } => code::NO_WRITABLE_MEDIA,
        _ if error.kind() == ErrorKind::Damaged => code::UNREADABLE,
        _ => "media",
    }
}
