//! What is wrong with an address or with credentials, before any store is asked.

use shosoin_protocol::ErrorKind;
use std::path::PathBuf;

/// Result of reading addresses and credentials.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store cannot even be asked. Carries no part of a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address of a volume is not one.
    #[error("address {url} is not usable: {why}")]
    Address {
        /// as it was written, or without what follows the host where that could hold a secret
        url: String,
        /// the rule it breaks
        why: String,
    },
    /// The file with the credentials cannot be used.
    #[error("credentials in {} are not usable: {why}", path.display())]
    CredentialsFile {
        /// the file
        path: PathBuf,
        /// the rule it breaks
        why: String,
    },
    /// Credentials that a store needs are not given.
    #[error("{missing} is not given: set it in the credentials file that vault.toml names, or in the environment")]
    CredentialsMissing {
        /// which one
        missing: &'static str,
    },
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Address { .. } => ErrorKind::Invalid,
            Error::CredentialsFile { .. } | Error::CredentialsMissing { .. } => ErrorKind::Unavailable,
        }
    }
}
