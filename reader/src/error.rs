//! What can go wrong. None of it carries a secret.

use std::fmt;
use std::path::{Path, PathBuf};

/// Result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Debug)]
pub enum Error {
    /// A file or folder.
    File {
        /// what was tried
        action: &'static str,
        /// on what
        path: PathBuf,
        /// what the system said
        source: std::io::Error,
    },
    /// Bytes that do not have the form they must have, or were changed.
    Form {
        /// structure
        what: &'static str,
        /// the rule it breaks
        why: &'static str,
    },
    /// A record that no volume holds, or too few units of it.
    Missing {
        /// which record
        what: &'static str,
        /// its address
        address: String,
    },
    /// What the caller asked for cannot be.
    Usage(String),
    /// Keys, passphrase or sheets are not the right ones.
    Keys(String),
}

impl Error {
    /// A structure that breaks a rule.
    pub fn form(what: &'static str, why: &'static str) -> Self {
        Error::Form { what, why }
    }

    /// A failure of the system at `path`.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Error::File { action, path: path.to_owned(), source }
    }

    /// Exit code, as `shosoin` has them: 2 invalid, 4 refused, 5 damaged, 6 unavailable.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Keys(_) => 4,
            Error::Form { .. } | Error::Missing { .. } => 5,
            Error::File { .. } => 6,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File { action, path, source } => write!(f, "cannot {action} {}: {source}", path.display()),
            Error::Form { what, why } => write!(f, "{what} is damaged: {why}"),
            Error::Missing { what, address } => write!(f, "{what} {address} is on none of the volumes, or lost"),
            Error::Usage(why) | Error::Keys(why) => f.write_str(why),
        }
    }
}
