//! What can go wrong outside a request: the users file, the state directory, the listening socket.
//!
//! Inside a request every failure is an S3 error; [`s3`](crate::reply) makes one of a failure of the client.

use shosoin_protocol::ErrorKind;
use std::path::PathBuf;

/// Why the gateway could not start, or a user could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the gateway's state could not be read or written.
    #[error("{what} {} could not be {verb}", path.display())]
    File {
        /// what the file is
        what: &'static str,
        /// where it is
        path: PathBuf,
        /// `read` or `written`
        verb: &'static str,
        /// the cause
        #[source]
        source: std::io::Error,
    },
    /// A file of the gateway's state is not what this release writes.
    #[error("{what} {} is damaged: {why}", path.display())]
    Damaged {
        /// what the file is
        what: &'static str,
        /// where it is
        path: PathBuf,
        /// what is wrong with it
        why: String,
    },
    /// The secret of a user does not open with this hospital's keyring.
    #[error("the entry of user {name} does not open with this keyring")]
    ForeignUser {
        /// name of the user
        name: String,
        /// the cause
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The name is taken.
    #[error("there is a user {name} already")]
    UserExists {
        /// name of the user
        name: String,
    },
    /// No such user.
    #[error("there is no user {name}")]
    NoUser {
        /// name of the user
        name: String,
    },
    /// A name, role or bucket that cannot be given to a user.
    #[error("{what} {value:?} is not valid: {why}")]
    Invalid {
        /// which field
        what: &'static str,
        /// what was given
        value: String,
        /// the rule it breaks
        why: &'static str,
    },
    /// The system gave no random numbers.
    #[error("the system gave no random numbers: {0}")]
    Random(getrandom::Error),
    /// The address could not be listened on.
    #[error("the gateway cannot listen on {address}")]
    Listen {
        /// the address
        address: std::net::SocketAddr,
        /// the cause
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::File { .. } | Error::Random(_) | Error::Listen { .. } => ErrorKind::Unavailable,
            Error::Damaged { .. } | Error::ForeignUser { .. } => ErrorKind::Damaged,
            Error::UserExists { .. } => ErrorKind::Refused,
            Error::NoUser { .. } => ErrorKind::NotFound,
            Error::Invalid { .. } => ErrorKind::Invalid,
        }
    }

    pub(crate) fn read(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::File { what, path, verb: "read", source }
    }

    pub(crate) fn write(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::File { what, path, verb: "written", source }
    }
}
