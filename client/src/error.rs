//! Why the client could not do what it was asked. Object names never appear here: they are personal data.

use crate::scan::ScanError;
use shosoin_protocol::api::{Problem, code};
use shosoin_protocol::{ErrorKind, VersionId};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failure of the client, of its local state, or of the vault it talks to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The vault answered, and its answer is no.
    #[error("the vault refused ({}): {}", .0.code, .0.message)]
    Vault(Problem),
    /// No answer came. What was asked may or may not have happened.
    #[error("the vault at {endpoint} gave no answer to {operation}")]
    Unreachable {
        /// where the vault was looked for
        endpoint: String,
        /// what was asked
        operation: &'static str,
        /// what the connection said
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The vault answered with something that is not what was asked for, or that does not verify.
    #[error("the vault's answer to {operation} does not hold")]
    Answer {
        /// what was asked
        operation: &'static str,
        /// what is wrong with it
        #[source]
        source: shosoin_protocol::Error,
    },
    /// The vault answered well-formed bytes that contradict what is known.
    #[error("the vault's answer to {operation} contradicts what is known: {why}")]
    Contradiction {
        /// what was asked
        operation: &'static str,
        /// what it contradicts
        why: String,
    },
    /// The peer is not the vault, or not for this hospital.
    #[error("this is not the vault that was pinned: {what} is {found}, expected {expected}")]
    WrongVault {
        /// which fact differs
        what: &'static str,
        /// pinned
        expected: String,
        /// found
        found: String,
    },
    /// The ledger the vault shows is not a continuation of the one remembered. Both signed heads are the evidence.
    #[error("the vault's ledger {why}: {}", kept(evidence.as_deref()))]
    Head {
        /// `went back`, `forked`, or what else it did
        why: &'static str,
        /// signed head that was remembered, as text
        remembered: String,
        /// signed head that was offered, as text
        offered: String,
        /// file with what proves it; none if nothing does, or it could not be written, which the log explains
        evidence: Option<PathBuf>,
    },
    /// The vault did what its own signatures prove against it.
    #[error("{source}; the evidence against the vault is kept in {}", evidence.display())]
    Proved {
        /// what was wrong
        source: Box<Error>,
        /// file with what proves it
        evidence: PathBuf,
    },
    /// The ledger has entries of this device that this state never signed: it is a copy, or was restored from a backup.
    #[error(
        "this gateway is read-only: the ledger has {found} entries of its device {device}, and the newest was not signed here \
         (this state knows of {known}). It was restored from a backup, or a copy of it is at work. Nothing was stored; \
         reading goes on. Stop the other copy, compare the head and confirm it with `shosoin gateway confirm`"
    )]
    Unconfirmed {
        /// this device
        device: shosoin_protocol::DeviceId,
        /// entries that this state knows to be its own, before what was on its way
        known: u64,
        /// entries in the ledger
        found: u64,
    },
    /// The head that a person compared is not in the ledger that the vault shows.
    #[error(
        "that head is not in the ledger: {why}. Nothing was confirmed; do not store anything before it is explained"
    )]
    NotTheHead {
        /// what the vault shows
        why: String,
    },
    /// Too few witnesses co-signed a head of the ledger.
    #[error("the vault's newest ledger head is not believed: {why}")]
    Unwitnessed {
        /// what each witness said
        why: String,
    },
    /// What an authority gave, or a chain of timestamps, does not count.
    #[error("the timestamp of {authority} does not count")]
    Timestamp {
        /// who gave it, or which chain it is
        authority: String,
        /// why
        #[source]
        source: shosoin_trust::Error,
    },
    /// The signature that a document brings is not over this content, or cannot be read; nothing was stored or given out.
    #[error("the signature that the document brings does not hold")]
    DocumentSignature {
        /// why
        #[source]
        source: shosoin_trust::Error,
    },
    /// A signer of a document is not trusted; nothing was stored.
    #[error("a signer of the document is {standing}")]
    UntrustedSigner {
        /// what the certificate is worth
        standing: &'static str,
        /// why
        #[source]
        source: shosoin_trust::Error,
    },
    /// No authority gave a timestamp.
    #[error("no timestamping authority gave a timestamp: {why}")]
    NoTimestamp {
        /// what came of each
        why: String,
    },
    /// Nobody has shown lately that the root can be brought back from its shares.
    #[error("this device does not join the ledger of a production vault: {}", drilled(*held_ms))]
    NoDrill {
        /// when a drill was held last, if ever; milliseconds since 1970
        held_ms: Option<u64>,
    },
    /// An agreement that is not to be signed, or does not say what it must.
    #[error("the agreement was refused")]
    Agreement {
        /// the rule it breaks
        #[source]
        source: shosoin_protocol::Error,
    },
    /// What was to be stored is not what was agreed on; refused before it was sealed.
    #[error("it was not agreed to (agreement {number})")]
    NotAgreed {
        /// number of the terms in force
        number: u32,
        /// what was not agreed on
        #[source]
        source: shosoin_protocol::act::agreement::NotAgreed,
    },
    /// A suite policy that would take back what was demanded before.
    #[error("the suite policy cannot change like that")]
    SuitePolicy {
        /// the rule it breaks
        #[source]
        source: shosoin_protocol::Error,
    },
    /// What was to be stored is in a weaker suite than the hospital still takes.
    #[error("nothing is stored here in suite {} any more: the hospital's policy demands suite {}{}", suite.code(), minimum.code(), going_on(*successor))]
    BelowSuite {
        /// of this keyring
        suite: shosoin_protocol::Suite,
        /// the least one
        minimum: shosoin_protocol::Suite,
        /// hospital id under which storing goes on
        successor: Option<shosoin_protocol::HospitalId>,
    },
    /// The ledger has an epoch whose key this key file does not have.
    #[error("epoch {epoch} of the ledger has a key that this key file does not give: it is of another root")]
    EpochKey {
        /// the epoch
        epoch: u32,
    },
    /// Another machine began an epoch at the same moment; this one began none.
    #[error("another machine began epoch {epoch} at the same moment, so this one began none")]
    EpochTaken {
        /// newest epoch now
        epoch: u32,
    },
    /// The chain of this device goes on on a medium.
    #[error(
        "entries of this device are on a medium that the vault has not taken in yet; deposit with another device, or wait; if \
         the medium is lost, `shosoin pack --forget`"
    )]
    Packed,
    /// The scanner let it not through. Nothing of it was deposited.
    #[error("it was not called clean")]
    Scan(#[from] ScanError),
    /// No such bucket.
    #[error("there is no bucket {bucket}")]
    NoSuchBucket {
        /// bucket asked for
        bucket: String,
    },
    /// The bucket exists already.
    #[error("bucket {bucket} exists already")]
    BucketExists {
        /// bucket asked for
        bucket: String,
    },
    /// The bucket still holds versions or markers.
    #[error("bucket {bucket} is not empty")]
    BucketNotEmpty {
        /// bucket asked for
        bucket: String,
    },
    /// The name has no such object now.
    #[error("there is no such object in bucket {bucket}")]
    NoSuchName {
        /// bucket looked in
        bucket: String,
    },
    /// The name has no such version.
    #[error("there is no version {version} of this name in bucket {bucket}")]
    NoSuchVersion {
        /// bucket looked in
        bucket: String,
        /// version asked for
        version: VersionId,
    },
    /// The records of the version were disposed of, on the hospital's order.
    #[error("version {version} was disposed of")]
    WasDisposed {
        /// version asked for
        version: VersionId,
    },
    /// A record that may not be disposed of was selected; nothing was sent.
    #[error("version {version} is still kept: its term has not ended, or a hold is on it")]
    StillKept {
        /// which version
        version: VersionId,
    },
    /// The ledger has no deposit of this version.
    #[error("the ledger has no deposit of version {version}")]
    UnknownVersion {
        /// version asked for
        version: VersionId,
    },
    /// What keeps the version may not change like that; refused before anything was sent.
    #[error("what keeps version {version} cannot change like that")]
    KeepingRule {
        /// which version
        version: VersionId,
        /// the rule it breaks
        #[source]
        source: shosoin_protocol::Error,
    },
    /// The version is a delete marker and has no content.
    #[error("version {version} is a delete marker")]
    IsMarker {
        /// version asked for
        version: VersionId,
    },
    /// The condition of a conditional write does not hold; nothing was changed.
    #[error("the condition on the name does not hold")]
    Precondition,
    /// Something is longer or larger than it may be; refused before anything was sent.
    #[error("{what} of {found} is over its limit of {limit}")]
    OverLimit {
        /// what is too large
        what: &'static str,
        /// its size
        found: u64,
        /// what is allowed, from `protocol::limits`
        limit: u64,
    },
    /// The caller asked for something that cannot be; refused before anything was sent.
    #[error("{what} is not valid: {why}")]
    Invalid {
        /// argument
        what: &'static str,
        /// the rule it breaks
        why: &'static str,
    },
    /// Sealing, opening or wrapping failed.
    #[error("{what} could not be sealed or opened")]
    Keyring {
        /// what it was
        what: &'static str,
        /// why
        #[source]
        source: shosoin_keyring::Error,
    },
    /// What was read back is not what was stored.
    #[error("version {version} is damaged: {why}")]
    Damaged {
        /// version that was read
        version: VersionId,
        /// what does not fit
        why: String,
    },
    /// A file or folder of the local state.
    #[error("local state at {}", path.display())]
    State {
        /// which one
        path: PathBuf,
        /// what the system said
        #[source]
        source: std::io::Error,
    },
    /// A file of the local state holds something else than it should.
    #[error("local state at {} is damaged", path.display())]
    StateDamaged {
        /// which one
        path: PathBuf,
        /// what is wrong with it
        #[source]
        source: shosoin_protocol::Error,
    },
    /// A part of a multipart upload that was kept in a local file does not decode; upload it again.
    #[error("a kept part of a multipart upload is damaged")]
    PartDamaged {
        /// what is wrong with it
        #[source]
        source: shosoin_protocol::Error,
    },
    /// The local view of names; it can be deleted and is rebuilt from the vault.
    #[error("the local view of names failed")]
    View(#[source] fjall::Error),
    /// A row of the local view does not decode; delete the view and it is rebuilt from the vault.
    #[error("a row of the local view of names is damaged")]
    ViewDamaged(#[source] shosoin_protocol::Error),
    /// A failure that several callers share.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// The client was closed while this waited.
    #[error("the client is closing")]
    Closing,
    /// The system gave no random bytes.
    #[error("no random bytes: {why}")]
    Randomness {
        /// what the system said
        why: String,
    },
    /// A background task ended without an answer: a bug of ours.
    #[error("{task} ended without an answer")]
    Lost {
        /// which task
        task: &'static str,
    },
}

fn kept(evidence: Option<&Path>) -> String {
    match evidence {
        Some(path) => format!("both signed heads and the proof are kept in {}", path.display()),
        None => "nothing that the vault signed proves it to others".to_owned(),
    }
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Vault(problem) => problem.kind(),
            Error::Unreachable { .. } | Error::Closing | Error::Unwitnessed { .. } => ErrorKind::Unavailable,
            Error::NoTimestamp { .. } => ErrorKind::Unavailable,
            Error::Timestamp { source, .. } | Error::DocumentSignature { source } => source.kind(),
            Error::UntrustedSigner { .. } => ErrorKind::Refused,
            Error::NoSuchBucket { .. } | Error::NoSuchName { .. } | Error::NoSuchVersion { .. } => ErrorKind::NotFound,
            Error::UnknownVersion { .. } | Error::WasDisposed { .. } => ErrorKind::NotFound,
            Error::StillKept { .. } => ErrorKind::Refused,
            Error::KeepingRule { .. } => ErrorKind::Refused,
            Error::BucketExists { .. } | Error::BucketNotEmpty { .. } | Error::Precondition => ErrorKind::Refused,
            Error::WrongVault { .. } | Error::Head { .. } | Error::NoDrill { .. } => ErrorKind::Refused,
            Error::Unconfirmed { .. } | Error::NotTheHead { .. } => ErrorKind::Refused,
            Error::NotAgreed { .. } => ErrorKind::Refused,
            Error::Agreement { .. } => ErrorKind::Invalid,
            Error::EpochKey { .. } | Error::EpochTaken { .. } => ErrorKind::Refused,
            Error::Packed => ErrorKind::Refused,
            Error::Scan(source) => source.kind(),
            Error::SuitePolicy { .. } | Error::BelowSuite { .. } => ErrorKind::Refused,
            Error::OverLimit { .. } | Error::Invalid { .. } | Error::IsMarker { .. } => ErrorKind::Invalid,
            Error::Answer { .. } | Error::Contradiction { .. } | Error::Damaged { .. } => ErrorKind::Damaged,
            Error::StateDamaged { source, .. } | Error::PartDamaged { source } | Error::ViewDamaged(source) => {
                match source.kind() {
                    ErrorKind::Unsupported => ErrorKind::Unsupported,
                    _ => ErrorKind::Damaged,
                }
            }
            Error::Keyring { source, .. } => source.kind(),
            Error::State { .. } | Error::View(_) | Error::Randomness { .. } => ErrorKind::Unavailable,
            Error::Shared(error) => error.kind(),
            Error::Proved { source, .. } => source.kind(),
            Error::Lost { .. } => ErrorKind::Bug,
        }
    }

    /// What several callers share, or this.
    pub fn root(&self) -> &Error {
        match self {
            Error::Shared(error) => error.root(),
            Error::Proved { source, .. } => source.root(),
            error => error,
        }
    }

    /// This error, with the file that proves it against the vault.
    pub(crate) fn with_evidence(self, evidence: Option<PathBuf>) -> Error {
        match evidence {
            Some(evidence) => Error::Proved { source: Box::new(self), evidence },
            None => self,
        }
    }

    /// The file that proves it against the vault, where there is one.
    pub fn evidence(&self) -> Option<&Path> {
        match self {
            Error::Proved { evidence, .. } => Some(evidence),
            Error::Head { evidence, .. } => evidence.as_deref(),
            Error::Shared(error) => error.evidence(),
            _ => None,
        }
    }

    /// Whether the vault refused with this code of [`shosoin_protocol::api::code`].
    pub fn is_problem(&self, wanted: &str) -> bool {
        matches!(self.root(), Error::Vault(problem) if problem.code == wanted)
    }

    /// One failure for one of several callers.
    pub(crate) fn share(error: &Arc<Error>) -> Error {
        match error.as_ref() {
            Error::Vault(problem) => Error::Vault(problem.clone()),
            _ => Error::Shared(error.clone()),
        }
    }

    /// Whether the vault says it has no such record, version or name.
    pub fn is_not_found(&self) -> bool {
        self.is_problem(code::NOT_FOUND)
    }
}

fn drilled(held_ms: Option<u64>) -> &'static str {
    match held_ms {
        None => "no restore drill of the escrow was held",
        Some(_) => "the last restore drill of the escrow is older than a year, or from the future",
    }
}

fn going_on(successor: Option<shosoin_protocol::HospitalId>) -> String {
    successor.map_or_else(String::new, |hospital| format!(", and storing goes on under hospital id {hospital}"))
}
