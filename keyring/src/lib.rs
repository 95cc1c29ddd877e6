//! The hospital's secrets, and everything that is sealed or opened with them.
//!
//! Only the hospital's side links this crate. The operator's crates, `store` and `tiers`, never do: that the operator
//! is blind is a fact of the dependency graph.
//!
//! A [`Keyring`] is made once per hospital, kept in a key file under a passphrase ([`keyfile`]), and opened by the
//! gateway and the command line. With it
//! - chunks are sealed and opened ([`Keyring::seal_chunk`], [`Keyring::open_chunk`]): equal chunks meet inside one
//!   hospital and class, and nowhere else; each is opened again and compared before it is given out;
//! - manifest pages are sealed under the random [`DataKey`] of their version, which is itself wrapped in a small
//!   record of its own;
//! - summaries are sealed under the view key, names become tokens, and entries are signed by the device key.
//!
//! What is always true
//! - Secrets are wiped when dropped and are never printed, cloned, logged or put into an error.
//! - Every derivation label is in `derive`, every call of the cipher in `seal`.
//! - A key seals one payload, ever; its commitment is checked before it opens anything.
//! - Bytes that open are exactly the bytes that were sealed, in their one canonical form; everything else is an error.
//!
//! The root itself is shared out to people by [`escrow`], for the day when every key file is gone; a key file can be
//! bound to a token ([`hsm`]), so that a copy of it and the passphrase are not enough. A machine that only deposits has a key
//! file of its own ([`keyfile::deposit`]), which opens nothing.
//!
//! Files in reading order: `secret`, `derive`, `content_key`, `padding`, `seal`, `chunk`, `wrap`, `manifest`,
//! `summary`, `deposits`, `mark`, `local`, `tls`, `keyring`, `keyfile`, `hsm`, `gf256`, `escrow`. Byte tables are in `docs/format.md`.

mod chunk;
mod content_key;
mod deposits;
mod derive;
mod error;
pub mod escrow;
mod gf256;
pub mod hsm;
pub mod keyfile;
mod keyring;
mod local;
mod manifest;
mod mark;
mod owner;
mod padding;
pub mod person;
mod seal;
mod secret;
mod share;
mod snapshot;
mod summary;
mod tls;
mod wrap;

#[cfg(test)]
mod tests;

pub use chunk::{Codec, Scratch, SealedChunk};
pub use deposits::{DepositKey, DepositTerms};
pub use error::Error;
pub use keyfile::Argon2Params;
pub use keyring::Keyring;
pub use mark::MarkedPart;
pub use owner::Owner;
pub use snapshot::SnapshotPlace;
pub use wrap::{DataKey, WrapPlace};

/// Result of every call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
