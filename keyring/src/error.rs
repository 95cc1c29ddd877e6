//! What can go wrong with secrets and sealed bytes.

use shosoin_protocol::ErrorKind;

/// Why a call failed. No variant carries a secret or a name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that do not have the form they must have.
    #[error(transparent)]
    Format(#[from] shosoin_protocol::Error),
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Format(cause) => cause.kind(),
        }
    }
}
