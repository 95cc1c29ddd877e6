//! What both sides of Shosoin must agree on, in reading order: identifiers, the one canonical encoding, sealed
//! envelopes, manifests, ledger entries, acts and their documents, Merkle proofs, checkpoints, receipts, and the messages of the vault API.
//!
//! Invariants
//! - No I/O, no clock, no randomness: every function here is a function of its arguments.
//! - Every parser is total: any bytes give a value or a typed error, never a panic, and never unbounded memory.
//! - Every value has exactly one encoding; bytes that decode are the bytes that encoding gives back.
//!
//! The byte tables are in `docs/format.md`; a test holds the two together.

pub mod act;
pub mod answer;
pub mod api;
pub mod approval;
pub mod bucket_rules;
pub mod certificate;
pub mod checkpoint;
pub mod codec;
pub mod entry;
pub mod envelope;
pub mod error;
pub mod evidence;
pub mod id;
pub mod kind;
pub mod limits;
pub mod lineage;
pub mod malware;
pub mod manifest;
pub mod medium;
pub mod merkle;
pub mod note;
pub mod package;
pub mod plan;
pub mod policy;
pub mod quarantine;
pub mod receipt;
pub mod reconciliation;
pub mod record;
pub mod removal;
pub mod retention;
pub mod share;
pub mod sign;
pub mod suite;

pub use error::Error;
pub use id::{Address, DeviceId, Digest, HospitalId, LogId, NameToken, SegmentId, VaultId, VersionId, VolumeId};
pub use kind::ErrorKind;
pub use lineage::Lineage;
pub use record::RecordKind;
pub use suite::Suite;

/// Result of every parser and check in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
