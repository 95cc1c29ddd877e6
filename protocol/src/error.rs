//! What can be wrong with bytes or with a claim about them.

use crate::kind::ErrorKind;

/// Why bytes were refused. `what` names the structure or field, as `docs/format.md` names it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end inside the field.
    #[error("{what} is truncated: {needed} bytes needed, {left} left")]
    Truncated {
        /// field that did not fit
        what: &'static str,
        /// bytes the field needs
        needed: usize,
        /// bytes that were left
        left: usize,
    },
    /// Bytes follow the end of the structure.
    #[error("{count} bytes follow the end of {what}")]
    Trailing {
        /// structure that had ended
        what: &'static str,
        /// bytes that follow it
        count: usize,
    },
    /// A length or count above its limit.
    #[error("{what} of {found} is over its limit of {limit}")]
    OverLimit {
        /// field with the limit
        what: &'static str,
        /// what was found
        found: u64,
        /// the limit, from [`crate::limits`]
        limit: u64,
    },
    /// A value that the format does not allow, or not in its one canonical form.
    #[error("{what} is not valid: {why}")]
    Invalid {
        /// field
        what: &'static str,
        /// the rule it breaks
        why: &'static str,
    },
    /// Not the structure that was expected here.
    #[error("{what} does not begin with its magic bytes")]
    Magic {
        /// structure
        what: &'static str,
    },
    /// Written by a newer release, or by none.
    #[error("{what} has version {found}, this release reads up to {known}")]
    Version {
        /// structure
        what: &'static str,
        /// version found
        found: u8,
        /// newest version known
        known: u8,
    },
    /// A suite byte that names no suite, or one the policy does not accept.
    #[error("suite {found} is not {expected}")]
    Suite {
        /// suite byte found
        found: u8,
        /// what was acceptable
        expected: &'static str,
    },
    /// A digest, root or address that is not the one expected.
    #[error("{what} does not match: expected {expected}, found {found}")]
    Mismatch {
        /// what was compared
        what: &'static str,
        /// expected, in hex
        expected: String,
        /// found, in hex
        found: String,
    },
    /// A signature that does not verify.
    #[error("signature of {what} does not verify")]
    Signature {
        /// what was signed
        what: &'static str,
    },
    /// A Merkle proof that does not lead to the root.
    #[error("{what} proof does not lead to the root")]
    Proof {
        /// inclusion or consistency
        what: &'static str,
    },
}

impl Error {
    /// Newer versions are `Unsupported`; everything else is damage, or an invalid claim, which callers tell apart.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Version { .. } | Error::Suite { .. } => ErrorKind::Unsupported,
            Error::OverLimit { .. } | Error::Invalid { .. } => ErrorKind::Invalid,
            _ => ErrorKind::Damaged,
        }
    }
}
