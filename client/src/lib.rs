//! The key-holding client: chunk, seal, upload, fetch, verify, local view of names.

pub mod error;
pub mod transport;

pub use error::Error;
pub use transport::Transport;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
