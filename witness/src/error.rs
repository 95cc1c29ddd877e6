//! Why a witness could not be made, opened or run.

use shosoin_protocol::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A failure of a witness. Requests that it refuses are answers, not errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of its folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// what was tried
        action: &'static str,
        /// which file
        path: PathBuf,
        /// why
        #[source]
        source: std::io::Error,
    },
    /// A file of its folder does not say what it should.
    #[error("{} does not say what a witness wrote", path.display())]
    Damaged {
        /// which file
        path: PathBuf,
        /// what is wrong with it
        #[source]
        source: shosoin_protocol::Error,
    },
    /// Another process has the folder open.
    #[error("witness {} is in use by another process", path.display())]
    InUse {
        /// which folder
        path: PathBuf,
    },
    /// Something is there already.
    #[error("{what} is there already, in {}", path.display())]
    Exists {
        /// what
        what: &'static str,
        /// where
        path: PathBuf,
    },
    /// A name or key that cannot be.
    #[error("{what} is not valid")]
    Invalid {
        /// argument
        what: &'static str,
        /// why
        #[source]
        source: shosoin_protocol::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}")]
    Listen {
        /// which address
        listen: SocketAddr,
        /// why
        #[source]
        source: std::io::Error,
    },
    /// The system gave no random bytes.
    #[error("no random bytes: {why}")]
    Randomness {
        /// what it said
        why: String,
    },
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            Error::Io { .. } | Error::InUse { .. } | Error::Listen { .. } | Error::Randomness { .. } => {
                ErrorKind::Unavailable
            }
            Error::Damaged { .. } => ErrorKind::Damaged,
            Error::Exists { .. } => ErrorKind::Refused,
            Error::Invalid { .. } => ErrorKind::Invalid,
        }
    }
}
