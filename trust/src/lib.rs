//! Signatures that are not ours: of the people who sign documents, and of the authorities that say what time it is.
//!
//! [`Anchors`] are the certificates that a hospital trusts, each entered by two ways: as a file, and as a fingerprint that
//! somebody typed. [`SignedMessage`] is a CMS signature (RFC 5652), of a [`document`] or of a [`timestamp`] (RFC 3161).
//!
//! Invariants
//! - Nothing is believed of a certificate but what a path to an anchor proves at the time that is asked about.
//! - SHA-1, MD5, and RSA below 2,048 bits are refused everywhere: a signature over them proves nothing now. One exception: the
//!   reference of a token to its certificate, which the path proves again.
//! - Total parsers with limits; no I/O, no clock: the caller says what time it is.
//!
//! Not here: fetching timestamps and keeping signatures (`client`), signatures of the vault and of devices (`protocol`).
//! Revocation is not asked for: what was revoked must be taken out of the anchors, or told by a shorter lived certificate.

mod algorithm;
mod anchors;
pub mod document;
mod error;
mod message;
mod path;
pub mod timestamp;

pub use algorithm::HashName;
pub use anchors::Anchors;
pub use error::Error;
pub use message::SignedMessage;
pub use path::{Purpose, Signer};

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
