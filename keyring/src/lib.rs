//! The hospital's secrets, and everything that is sealed or opened with them.
//!
//! Only code on the hospital's side links this crate; the operator's `store` and `tiers` never do.

pub mod keyfile;
mod keyring;

pub use keyfile::Argon2Params;
pub use keyring::{Codec, DataKey, Keyring, Scratch, SealedChunk};

mod error;
pub use error::Error;

/// Result of every call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
