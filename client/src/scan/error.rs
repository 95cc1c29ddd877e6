//! Why a scan let nothing through.

use shosoin_protocol::ErrorKind;

/// Why content was not called clean. Nothing of it was deposited.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The scanner found malware.
    #[error("the scanner found {found}")]
    Infected {
        /// what it calls it
        found: String,
    },
    /// The content is longer than what the scanner scans, and the agreement does not take it in pieces.
    #[error("the content cannot be scanned: it is longer than the {limit} bytes that the scanner scans")]
    TooLong {
        /// bytes that it scans
        limit: u64,
    },
    /// The agreement demands a scan, and no scanner is set up here.
    #[error("the agreement demands a scan before sealing, and this machine has no scanner set up")]
    Missing,
    /// The scanner does not answer.
    #[error("the scanner at {address} does not answer")]
    Unreachable {
        /// where it was looked for
        address: String,
        /// what the system said
        #[source]
        source: std::io::Error,
    },
    /// The scanner answered with a failure of its own, or with something that is no answer.
    #[error("the scanner failed: {said}")]
    Failed {
        /// what it said
        said: String,
    },
    /// Nobody says how old the definitions are.
    #[error(
        "the age of the scanner's definitions is not known: neither the scanner nor a folder of definitions says it"
    )]
    NoDate,
    /// The definitions are too old.
    #[error("the scanner's definitions are {age_hours} hours old, at most {limit_hours} are allowed")]
    Outdated {
        /// how old
        age_hours: u64,
        /// how old they may be
        limit_hours: u32,
    },
    /// The test string was called clean.
    #[error("the scanner is blind: it calls the EICAR test string clean in a stream of {bytes} bytes")]
    Blind {
        /// how long the stream was
        bytes: u64,
    },
    /// The scanner scans less than it was said to.
    #[error("the scanner does not scan the {bytes} bytes that it was set up for")]
    ShortSighted {
        /// how long the stream was
        bytes: u64,
    },
}

impl ScanError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ScanError::Infected { .. } | ScanError::TooLong { .. } => ErrorKind::Refused,
            ScanError::Missing | ScanError::NoDate | ScanError::Outdated { .. } => ErrorKind::Refused,
            ScanError::Unreachable { .. } | ScanError::Failed { .. } => ErrorKind::Unavailable,
            ScanError::Blind { .. } | ScanError::ShortSighted { .. } => ErrorKind::Unavailable,
        }
    }
}
