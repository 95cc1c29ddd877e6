//! Why a command failed, and what a person can do about it: what failed, on what, why, what is still safe, what next.

use shosoin_protocol::ErrorKind;
use shosoin_protocol::api::{Problem, code};
use std::error::Error as _;
use std::path::{Path, PathBuf};

/// Result of every command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed command. `task` says what was being done, as in "get ct-0001.dcm from bucket records".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The hospital side failed, or the vault said no to it.
    #[error("cannot {task}")]
    Client {
        /// what was being done
        task: String,
        /// why it failed
        #[source]
        source: Box<shosoin_client::Error>,
    },
    /// The vault failed.
    #[error("cannot {task}")]
    Vault {
        /// what was being done
        task: String,
        /// why it failed
        #[source]
        source: Box<shosoin_store::Error>,
    },
    /// What was asked for is on media that are not mounted.
    #[error("cannot {task} yet: mount {count} media first, {mounts}")]
    OnShelf {
        /// what was being done
        task: String,
        /// how many media
        count: usize,
        /// which, and where they are kept
        mounts: String,
    },
    /// The process that serves the vault said no.
    #[error("cannot {task}: {}", problem.message)]
    Served {
        /// what was being done
        task: &'static str,
        /// what it said
        problem: Problem,
    },
    /// The gateway failed.
    #[error("cannot {task}")]
    Gateway {
        /// what was being done
        task: String,
        /// why it failed
        #[source]
        source: shosoin_gateway::Error,
    },
    /// The key file does not open, or cannot be made.
    #[error("cannot {action} key file {}", path.display())]
    KeyFile {
        /// what was tried
        action: &'static str,
        /// which file
        path: PathBuf,
        /// why it failed
        #[source]
        source: Box<shosoin_keyring::Error>,
    },
    /// Sheets do not bring the root back, or the root cannot be shared out.
    #[error("cannot {task}")]
    Escrow {
        /// what was being done
        task: String,
        /// why it failed
        #[source]
        source: Box<shosoin_keyring::Error>,
    },
    /// A token (HSM) cannot be used.
    #[error("cannot use the token to {task}")]
    Token {
        /// what was being done
        task: &'static str,
        /// why it failed
        #[source]
        source: Box<shosoin_keyring::Error>,
    },
    /// Something that was probed does not suffice; the report was printed.
    #[error("{what} does not suffice: {why}")]
    Unfit {
        /// what was probed
        what: &'static str,
        /// what it lacks
        why: &'static str,
    },
    /// There is no key file there.
    #[error("there is no key file at {}", path.display())]
    NoKeyFile {
        /// where it was looked for
        path: PathBuf,
    },
    /// A file of ours could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// what was tried
        action: &'static str,
        /// which file
        path: PathBuf,
        /// why it failed
        #[source]
        source: std::io::Error,
    },
    /// The system refused something that is not about a file.
    #[error("cannot {action}")]
    System {
        /// what was tried
        action: &'static str,
        /// why it failed
        #[source]
        source: std::io::Error,
    },
    /// Another process has the folder open.
    #[error("{} is in use by process {pid}", path.display())]
    InUse {
        /// which folder
        path: PathBuf,
        /// who has it, as far as its lock file says
        pid: String,
    },
    /// No gateway runs where one was asked.
    #[error("no gateway runs with the state in {}, or none that can be asked", path.display())]
    NoGateway {
        /// folder of its state
        path: PathBuf,
    },
    /// A witness could not be made, opened or run.
    #[error("cannot {task}")]
    Witness {
        /// what was being done
        task: &'static str,
        /// why
        #[source]
        source: shosoin_witness::Error,
    },
    /// An argument or a line of a configuration cannot be.
    #[error("{what} is not valid: {why}")]
    Invalid {
        /// argument or field
        what: String,
        /// the rule it breaks, and what would be right
        why: String,
    },
    /// Nobody confirmed, or confirmed something else.
    #[error("{what} was not confirmed: {why}")]
    NotConfirmed {
        /// what was to be confirmed
        what: &'static str,
        /// what was missing or different
        why: String,
    },
    /// Something that was asked about is not there.
    #[error("{what} {name} does not exist")]
    NotFound {
        /// what kind of thing
        what: &'static str,
        /// which one
        name: String,
    },
    /// A job broke off; its report was printed.
    #[error("{job} broke off: {why}")]
    Job {
        /// which one
        job: &'static str,
        /// why
        why: String,
    },
    /// Records could not be exported; each was printed with the reason, and all others are there.
    #[error("{count} records could not be exported: index.html and index.tsv list them with the reason")]
    NotExported {
        /// how many
        count: u64,
        /// the worst of the reasons
        kind: ErrorKind,
    },
    /// The report was printed, and says that stored data is wrong or gone.
    #[error("{count} {what}: see the report")]
    Damage {
        /// how many
        count: u64,
        /// of what
        what: &'static str,
    },
}

impl Error {
    /// A failure of the hospital side during `task`.
    pub fn client(task: impl Into<String>) -> impl FnOnce(shosoin_client::Error) -> Self {
        move |source| Error::Client { task: task.into(), source: Box::new(source) }
    }

    /// A failure of the vault during `task`.
    pub fn vault(task: impl Into<String>) -> impl FnOnce(shosoin_store::Error) -> Self {
        move |source| Error::Vault { task: task.into(), source: Box::new(source) }
    }

    /// A failure of the gateway during `task`.
    pub fn gateway(task: impl Into<String>) -> impl FnOnce(shosoin_gateway::Error) -> Self {
        move |source| Error::Gateway { task: task.into(), source }
    }

    /// A failure to do `action` to the key file at `path`.
    pub fn key_file(action: &'static str, path: &Path) -> impl FnOnce(shosoin_keyring::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::KeyFile { action, path, source: Box::new(source) }
    }

    /// A failure to do `action` to the file at `path`.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Error::File { action, path: path.into(), source }
    }

    /// A failure with the shares of the root during `task`.
    pub fn escrow(task: impl Into<String>) -> impl FnOnce(shosoin_keyring::Error) -> Self {
        move |source| Error::Escrow { task: task.into(), source: Box::new(source) }
    }

    /// A failure of a token during `task`.
    pub fn token(task: &'static str) -> impl FnOnce(shosoin_keyring::Error) -> Self {
        move |source| Error::Token { task, source: Box::new(source) }
    }

    /// An argument that breaks a rule.
    pub fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Error::Invalid { what: what.into(), why: why.into() }
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Client { source, .. } => source.kind(),
            Error::Vault { source, .. } => source.kind(),
            Error::Served { problem, .. } => problem.kind(),
            Error::Gateway { source, .. } => source.kind(),
            Error::KeyFile { source, .. } | Error::Escrow { source, .. } | Error::Token { source, .. } => source.kind(),
            Error::NoKeyFile { .. } | Error::NotFound { .. } => ErrorKind::NotFound,
            Error::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            Error::File { .. }
            | Error::System { .. }
            | Error::InUse { .. }
            | Error::NoGateway { .. }
            | Error::Job { .. }
            | Error::OnShelf { .. } => ErrorKind::Unavailable,
            Error::Invalid { .. } => ErrorKind::Invalid,
            Error::NotConfirmed { .. } | Error::Unfit { .. } => ErrorKind::Refused,
            Error::Damage { .. } => ErrorKind::Damaged,
            Error::NotExported { kind, .. } => *kind,
            Error::Witness { source, .. } => source.kind(),
        }
    }

    /// Whether the vault refused with this code.
    pub fn is_problem(&self, code: &str) -> bool {
        match self {
            Error::Client { source, .. } => source.is_problem(code),
            Error::Vault { source, .. } => source.code() == code,
            Error::Served { problem, .. } => problem.code == code,
            _ => false,
        }
    }

    /// This error and its causes, outermost first.
    pub fn clauses(&self) -> Vec<String> {
        let mut clauses = vec![self.to_string()];
        let mut cause = self.source();
        while let Some(error) = cause {
            clauses.push(error.to_string());
            cause = error.source();
        }
        clauses.dedup();
        clauses
    }

    /// What is still safe, and what to do next.
    pub fn advice(&self) -> (&'static str, &'static str) {
        match self {
            Error::Client { source, .. } => client_advice(source).unwrap_or_else(|| kind_advice(self.kind())),
            Error::KeyFile { source, .. } if matches!(**source, shosoin_keyring::Error::WrongPassphrase) => (
                "the key file is intact and nothing was changed",
                "try the passphrase again; neither the key file nor the operator can bring it back",
            ),
            Error::KeyFile { source, .. } if matches!(**source, shosoin_keyring::Error::ForeignKeyFile) => NO_KEY_FILE,
            Error::KeyFile { source, .. } | Error::Token { source, .. } => token_advice(source),
            Error::Escrow { source, .. } => escrow_advice(source),
            Error::NoKeyFile { .. } => NO_KEY_FILE,
            Error::OnShelf { .. } => (
                "every record; what was fetched so far is verified and kept beside the file it is for",
                "ask the operator to mount them, then run the same command again: it goes on where it stopped",
            ),
            Error::NotExported { .. } => (
                "every record that is in the folder was verified, and those before it in the archive",
                "run the same command again once the cause is mended: what is there is not fetched again",
            ),
            Error::InUse { .. } => (
                "nothing was changed",
                "stop that process first (SIGTERM lets it finish), or read through another folder with --state",
            ),
            Error::NoGateway { .. } => (
                "nothing was changed",
                "start it with `shosoin gateway serve`; without it `shosoin gateway confirm` shows the device and the head",
            ),
            error if error.is_problem("unknown-volume") => {
                ("nothing was changed", "check the spelling; `shosoin volume list` shows every medium there ever was")
            }
            Error::Vault { source, .. } if matches!(**source, shosoin_store::Error::InUse { .. }) => {
                ("nothing was changed", "stop the process that serves this vault first (SIGTERM lets it finish)")
            }
            _ => kind_advice(self.kind()),
        }
    }
}

/// Advice where a key file should be.
const NO_KEY_FILE: (&str, &str) = (
    "nothing was changed",
    "name the hospital's folder with --dir or its key file with --keyring; `shosoin keyring init` makes a new one",
);

/// Advice about tokens: a key file is replaced only when all went well.
fn token_advice(error: &shosoin_keyring::Error) -> (&'static str, &'static str) {
    use shosoin_keyring::Error::{
        LockedPin, NeedsToken, NoToken, NoTokenKey, Token, TokenCannot, TokenModule, WrongPin,
    };
    let next = match error {
        NeedsToken { .. } => {
            "run this on the machine that has the token, or restore from sheets: `shosoin escrow restore`"
        }
        TokenModule { .. } => {
            "check the path of the module, in token.toml or --module, and that its maker's software is installed"
        }
        NoToken { .. } => {
            "connect the token named above, or name one with --token; if it is gone for good, `shosoin escrow restore` makes a new key file from sheets"
        }
        WrongPin => "look the PIN up before it is tried again: the token counts, and locks itself",
        LockedPin => {
            "unlock it with its maker's tool and the security officer's PIN, or restore from sheets: `shosoin escrow restore`"
        }
        NoTokenKey { .. } => {
            "it was set up anew, or the key destroyed: `shosoin escrow restore` makes a new key file from sheets"
        }
        TokenCannot { .. } | Token { .. } => {
            "ask it what it can do with `shosoin keyring hsm probe`, then run the command again"
        }
        error => return kind_advice(error.kind()),
    };
    ("the key file is as it was, and every record", next)
}

/// Advice about sheets: nothing is ever written before all of them were right.
fn escrow_advice(error: &shosoin_keyring::Error) -> (&'static str, &'static str) {
    use shosoin_keyring::Error::{
        AlteredShares, DamagedShare, MixedShares, OtherRoot, RepeatedShare, SheetLine, SheetWords, TooFewShares,
    };
    let next = match error {
        SheetLine { .. } | SheetWords { .. } | DamagedShare => {
            "compare what was typed with the paper, line by line; scan the code if it can be"
        }
        MixedShares { .. } => "give only sheets of one split: its id and day are on each",
        RepeatedShare { .. } => "leave one of the two out, and give another holder's sheet",
        TooFewShares { .. } => "fetch another holder's sheet of the same split",
        AlteredShares { .. } => {
            "leave the named sheets out or try other holders' sheets, and find out who changed them"
        }
        OtherRoot => "take the sheets of this hospital's split, or split anew if the key file was made anew",
        error => return kind_advice(error.kind()),
    };
    ("nothing was changed; every sheet is as good as it was", next)
}

/// Advice for failures that have their own; the rest follow their kind.
fn client_advice(error: &shosoin_client::Error) -> Option<(&'static str, &'static str)> {
    use shosoin_client::Error::{
        DocumentSignature, EpochKey, EpochTaken, Head, NoDrill, NoTimestamp, NotTheHead, Timestamp, Unconfirmed,
        Unreachable, UntrustedSigner, Unwitnessed, WrongVault,
    };
    match error {
        WrongVault { .. } => Some((
            "nothing was sent to it",
            "ask the operator for the vault's pin over a channel you trust, and change --vault-pin only if they confirm it",
        )),
        Unconfirmed { .. } => Some((
            "everything that is in the vault, and reading; nothing was stored",
            "stop the other copy, if one runs; compare `shosoin gateway confirm` here and at another gateway, and give the head with --head",
        )),
        NotTheHead { .. } => Some((
            "everything that was confirmed before; this gateway still reads and stores nothing",
            "compare the head once more; if it is right, the operator shows another ledger than before: keep what you compared, and \
             ask another gateway or a witness before anything is stored",
        )),
        Unwitnessed { .. } => Some((
            "everything that was believed before; what was just stored may be in the vault",
            "look after the witnesses named above, then run the command again; `require_witnesses` in gateway.toml says how many",
        )),
        DocumentSignature { .. } => Some((
            "nothing was stored or given out; the document and the signature are as they were",
            "compare document and signature with where they came from; one of them is not the one that was signed",
        )),
        UntrustedSigner { .. } => Some((
            "nothing was stored",
            "if the signer is trusted, enter the anchor under [documents] in gateway.toml by file and fingerprint; to keep the \
             document as what it is, name the standing with --accept-signer",
        )),
        NoTimestamp { .. } => Some((
            "everything that was stored and timestamped before; no token was kept",
            "check addresses and network of the authorities in gateway.toml, then run the command again",
        )),
        Timestamp { source: shosoin_trust::Error::Skew { .. }, .. } => Some((
            "everything that was stored and timestamped before; the token was not kept",
            "compare this machine's clock with another, and set it if it is wrong; if it is right, tell the authority",
        )),
        Timestamp { .. } => Some((
            "everything that was stored and timestamped before; the token was not kept",
            "ask the authority which certificates it uses now, and compare fingerprints by another way before changing gateway.toml",
        )),
        NoDrill { .. } => Some((
            "nothing was sent; the key file is as it was",
            "split the root with `shosoin escrow split`, print the sheets, and hold `shosoin escrow drill` with them",
        )),
        Unreachable { .. } => Some((
            "everything that was acknowledged is in the vault; what was not may or may not be",
            "check address, port and network, and that `shosoin vault serve` runs there; then run the command again",
        )),
        Head { .. } => Some((
            "the remembered head is kept, and nothing more will be read or written",
            "keep the file named above and ask the operator: a vault restored from an old copy looks like this too",
        )),
        EpochTaken { .. } => Some((
            "every record; the epoch of the other machine has begun",
            "run the command again if one more epoch is wanted after that one",
        )),
        EpochKey { .. } => Some((
            "every record is as readable as before; nothing is stored under a key that other machines do not have",
            "use the key file of a machine that began the epoch, or restore one from the sheets of the newest split",
        )),
        error if error.is_problem(code::UNKNOWN_HOSPITAL) => Some((
            "nothing was changed",
            "give the operator the file `shosoin keyring show --enrolment FILE` writes, for `shosoin hospital enrol`",
        )),
        error if error.is_problem(code::CLOCK_SKEW) => {
            Some(("nothing was changed", "set this machine's clock, then run the command again"))
        }
        _ => None,
    }
}

fn kind_advice(kind: ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::NotFound => ("nothing was changed", "check the spelling; `shosoin ls` shows what there is"),
        ErrorKind::Refused => ("nothing was changed", "the rule that forbids it is named above"),
        ErrorKind::Invalid => ("nothing was changed", "correct it and run the command again; --help has an example"),
        ErrorKind::Damaged => (
            "every other record, and what was proved before",
            "keep the folders as they are and run `shosoin vault check` at the operator's",
        ),
        ErrorKind::Unavailable => ("everything that was acknowledged", "run the command again a little later"),
        ErrorKind::Unsupported => ("nothing was changed", "use a newer release of shosoin"),
        ErrorKind::Bug => ("everything that was acknowledged", "please report this, with what was printed"),
    }
}
