//! What can go wrong with secrets and sealed bytes.

use shosoin_protocol::ErrorKind;

/// Why a call failed. No variant carries a secret, a name or plain text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Stored bytes that do not have the form, the place or the address they must have.
    #[error("{what} does not have the form it must have")]
    Form {
        /// structure
        what: &'static str,
        /// which rule it breaks
        #[source]
        source: shosoin_protocol::Error,
    },
    /// Sealed under another key: another hospital's, another version's, or made to open under two keys.
    #[error("key commitment of {what} does not match its key")]
    Commitment {
        /// structure
        what: &'static str,
    },
    /// Right key, wrong bytes.
    #[error("{what} does not open: its bytes are not those that were sealed")]
    Tag {
        /// structure
        what: &'static str,
    },
    /// Opened, but what was sealed breaks a rule of its form.
    #[error("{what} opened, but its content is not valid: {why}")]
    Content {
        /// structure
        what: &'static str,
        /// the rule it breaks
        why: &'static str,
    },
    /// A fresh chunk or wrap that did not open to what was sealed: memory or processor failed. It was not given out.
    #[error("what was freshly sealed did not open to the same again, as when memory or processor fail")]
    SelfCheck,
    /// What was to be sealed could not be read back, so it was not sealed.
    #[error("{what} breaks a rule of its form and was not sealed")]
    Unreadable {
        /// structure
        what: &'static str,
        /// the rule it breaks
        #[source]
        source: shosoin_protocol::Error,
    },
    /// More bytes than the format allows.
    #[error("{what} of {found} bytes is over its limit of {limit}")]
    TooLong {
        /// structure
        what: &'static str,
        /// bytes found
        found: usize,
        /// the limit, from `protocol::limits`
        limit: usize,
    },
    /// A codec byte that names no codec.
    #[error("codec {found} is none that this release knows")]
    Codec {
        /// byte found
        found: u8,
    },
    /// Not a key file at all.
    #[error("this is not a Shosoin key file")]
    ForeignKeyFile,
    /// Written by a newer release.
    #[error("key file has version {found}, this release reads up to {known}")]
    NewerKeyFile {
        /// version found
        found: u8,
        /// newest version known
        known: u8,
    },
    /// A key file whose bytes changed since it was written.
    #[error("key file is damaged: {why}")]
    DamagedKeyFile {
        /// what does not fit
        why: &'static str,
    },
    /// The file is intact, the passphrase is not the one it was sealed with.
    #[error("passphrase does not open this key file")]
    WrongPassphrase,
    /// No passphrase was given.
    #[error("passphrase is empty")]
    EmptyPassphrase,
    /// A key file that a passphrase alone does not open.
    #[error("this key file needs the token {label:?}, serial number {serial:?}, besides its passphrase")]
    NeedsToken {
        /// label of the token
        label: String,
        /// its serial number
        serial: String,
    },
    /// The PKCS#11 module cannot be loaded.
    #[error("PKCS#11 module {} cannot be loaded: {why}", path.display())]
    TokenModule {
        /// the module
        path: std::path::PathBuf,
        /// why
        why: String,
    },
    /// No such token behind the module, or more than one of that name.
    #[error("{found} tokens are {wanted}; there are: {}", if tokens.is_empty() { "none" } else { tokens })]
    NoToken {
        /// which one was asked for
        wanted: String,
        /// tokens that fit
        found: usize,
        /// every token there is
        tokens: String,
    },
    /// The token refused the PIN. It counts how often.
    #[error("the token refused the PIN")]
    WrongPin,
    /// The token lets nobody in any more, whatever the PIN.
    #[error("the PIN of the token is locked or has expired")]
    LockedPin,
    /// A token that cannot do what is needed of it.
    #[error("the token cannot be used: {why}")]
    TokenCannot {
        /// what it lacks
        why: &'static str,
    },
    /// The right token, without the key.
    #[error("the token holds no wrapping key {}", hex_id(key))]
    NoTokenKey {
        /// the key that was looked for
        key: crate::keyfile::TokenKeyId,
    },
    /// A token that was there and failed, or went away.
    #[error("the token failed to {step}: {answer}")]
    Token {
        /// what was asked of it
        step: &'static str,
        /// which call of PKCS#11 answered what
        answer: String,
    },
    /// Argon2 parameters that would exhaust this machine, or that Argon2 does not have.
    #[error("key derivation parameter {what} of {found} is outside {least} to {most}")]
    Argon2Params {
        /// which one
        what: &'static str,
        /// value found
        found: u32,
        /// least value accepted
        least: u32,
        /// largest value accepted
        most: u32,
    },
    /// A split that makes no sense.
    #[error("{needed} of {shares} shares cannot be: at least 2 are needed, at most 16 are made")]
    Quorum {
        /// shares that bring the root back
        needed: u8,
        /// shares in all
        shares: u8,
    },
    /// A share that was altered or miscopied.
    #[error("share is damaged: its checksum does not match")]
    DamagedShare,
    /// A line of a sheet that cannot be what was printed; line 0 is the QR code.
    #[error("line {line} of the sheet is not right: {why}")]
    SheetLine {
        /// its number, from 1
        line: usize,
        /// the rule it breaks
        why: &'static str,
    },
    /// Words of a sheet that cannot be what was printed.
    #[error("word{} of the sheet {} not right: {why}", span(*from, *to), if from == to { "is" } else { "are" })]
    SheetWords {
        /// place of the first, from 1
        from: usize,
        /// place of the last
        to: usize,
        /// the rule they break
        why: &'static str,
    },
    /// The key file is of a machine that only deposits.
    #[error("the key file is of a machine that only deposits: nothing can be opened with it")]
    DepositOnly,
    /// Shares that do not belong together.
    #[error("the shares do not belong together: they differ in their {what}")]
    MixedShares {
        /// what differs
        what: &'static str,
    },
    /// The same share more than once counts once.
    #[error("share {index} was given twice")]
    RepeatedShare {
        /// its number
        index: u8,
    },
    /// Not enough shares.
    #[error("{found} shares were given and {needed} are needed")]
    TooFewShares {
        /// shares given
        found: usize,
        /// shares needed
        needed: usize,
    },
    /// Shares whose checksums are right and whose values are not: somebody altered them.
    #[error("the shares do not give the root that they were made from{}", named(which))]
    AlteredShares {
        /// which ones, where the others suffice to tell
        which: Vec<u8>,
    },
    /// Good shares, of another root than that of the key file.
    #[error("the shares are of another root than the key file")]
    OtherRoot,
    /// The system gave no random numbers.
    #[error("the system's random generator failed")]
    Random(#[source] getrandom::Error),
    /// The TLS identity could not be made or read.
    #[error("TLS identity of the hospital is not usable")]
    Tls(#[source] rcgen::Error),
    /// Zstandard could not be set up, or could not code.
    #[error("zstd failed")]
    Zstd(#[source] std::io::Error),
    /// A library refused what it never may: an invariant of ours is broken.
    #[error("{what} failed where it cannot fail")]
    Bug {
        /// step
        what: &'static str,
    },
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Form { source, .. } if source.kind() == ErrorKind::Unsupported => ErrorKind::Unsupported,
            Error::Codec { .. } | Error::NewerKeyFile { .. } => ErrorKind::Unsupported,
            Error::Form { .. } | Error::Commitment { .. } | Error::Tag { .. } | Error::Content { .. } => {
                ErrorKind::Damaged
            }
            Error::DamagedKeyFile { .. } | Error::Tls(_) => ErrorKind::Damaged,
            Error::DamagedShare | Error::SheetLine { .. } | Error::SheetWords { .. } => ErrorKind::Damaged,
            Error::AlteredShares { .. } => ErrorKind::Damaged,
            Error::Quorum { .. } | Error::MixedShares { .. } | Error::RepeatedShare { .. } => ErrorKind::Invalid,
            Error::TooFewShares { .. } | Error::OtherRoot => ErrorKind::Refused,
            Error::TooLong { .. } | Error::EmptyPassphrase | Error::Argon2Params { .. } => ErrorKind::Invalid,
            Error::ForeignKeyFile | Error::Unreadable { .. } => ErrorKind::Invalid,
            Error::WrongPassphrase | Error::NeedsToken { .. } | Error::DepositOnly => ErrorKind::Refused,
            Error::WrongPin | Error::LockedPin | Error::TokenCannot { .. } => ErrorKind::Refused,
            Error::TokenModule { .. } | Error::NoToken { .. } | Error::Token { .. } => ErrorKind::Unavailable,
            Error::NoTokenKey { .. } => ErrorKind::NotFound,
            Error::SelfCheck | Error::Random(_) | Error::Zstd(_) => ErrorKind::Unavailable,
            Error::Bug { .. } => ErrorKind::Bug,
        }
    }

    /// Wraps what `protocol` found wrong with the structure called `what`.
    pub(crate) fn form(what: &'static str) -> impl FnOnce(shosoin_protocol::Error) -> Self {
        move |source| Error::Form { what, source }
    }

    /// An envelope that is good, but not for the place it was found in.
    pub(crate) fn misplaced(what: &'static str, why: &'static str) -> Self {
        Error::Form { what, source: shosoin_protocol::Error::Invalid { what: "context of the envelope", why } }
    }
}

fn hex_id(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named(which: &[u8]) -> String {
    let numbers: Vec<String> = which.iter().map(u8::to_string).collect();
    match which {
        [] => String::new(),
        [_] => format!(": share {} was altered", numbers[0]),
        _ => format!(": shares {} were altered", numbers.join(", ")),
    }
}

/// Places of words, as in ` 7` or `s 25 to 48`.
fn span(from: usize, to: usize) -> String {
    if from == to { format!(" {from}") } else { format!("s {from} to {to}") }
}
