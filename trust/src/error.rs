//! Why a signature of somebody else is not believed.

use shosoin_protocol::{Digest, ErrorKind};

/// Why a certificate, a signature or a timestamp is refused. Times are in milliseconds since 1970.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not the structure.
    #[error("{what} is not valid: {why}")]
    Form {
        /// structure
        what: &'static str,
        /// what is wrong with it
        why: String,
    },
    /// A certificate of the file whose fingerprint nobody entered.
    #[error("the certificate with fingerprint {found} is in the file, and nobody entered that fingerprint")]
    NotEntered {
        /// fingerprint of the certificate
        found: Digest,
    },
    /// A fingerprint that no certificate of the file has.
    #[error("no certificate of the file has the fingerprint {wanted} that was entered")]
    NoSuchAnchor {
        /// what was entered
        wanted: Digest,
    },
    /// The content is not what was signed.
    #[error("the content is not what was signed: its digest is another")]
    OtherContent,
    /// The signature does not hold.
    #[error("the signature does not hold under the key of certificate {signer}")]
    Forged {
        /// fingerprint of the certificate
        signer: Digest,
    },
    /// No path to an anchor.
    #[error("certificate {signer} leads to none of the trust anchors")]
    UnknownIssuer {
        /// fingerprint of the certificate
        signer: Digest,
    },
    /// A certificate on the path had ended.
    #[error("certificate {signer}, or one above it, was valid until {until_ms}, and it is about {at_ms}")]
    Expired {
        /// fingerprint of the certificate
        signer: Digest,
        /// when it ended
        until_ms: u64,
        /// the time that was asked about
        at_ms: u64,
    },
    /// A certificate on the path had not begun.
    #[error("certificate {signer}, or one above it, is valid from {from_ms} on, and it is about {at_ms}")]
    NotYetValid {
        /// fingerprint of the certificate
        signer: Digest,
        /// when it begins
        from_ms: u64,
        /// the time that was asked about
        at_ms: u64,
    },
    /// The path does not hold for another reason.
    #[error("certificate {signer} is not believed: {why}")]
    Path {
        /// fingerprint of the certificate
        signer: Digest,
        /// why
        why: String,
    },
    /// The certificate is for something else.
    #[error("certificate {signer} is not for {purpose}")]
    Purpose {
        /// fingerprint of the certificate
        signer: Digest,
        /// what it would have to be for
        purpose: &'static str,
    },
    /// An algorithm that is too weak, or that this release does not have.
    #[error("{what} by {algorithm} is not accepted: it is weak, or unknown to this release")]
    Algorithm {
        /// what is made by it
        what: &'static str,
        /// its object identifier
        algorithm: String,
    },
    /// The authority gave no timestamp.
    #[error("the timestamping authority refused with status {status}: {why}")]
    Refused {
        /// PKIStatus
        status: u8,
        /// what it says
        why: String,
    },
    /// The answer belongs to another query.
    #[error("the timestamp answers another query: its {what} is another")]
    OtherQuery {
        /// `nonce`, `imprint` or `hash algorithm`
        what: &'static str,
    },
    /// The clocks are too far apart.
    #[error(
        "the clocks disagree: the authority says {authority_ms}, and here it was between {from_ms} and {until_ms}; at most \
         {skew_ms} ms are accepted"
    )]
    Skew {
        /// time in the token
        authority_ms: u64,
        /// when it was asked
        from_ms: u64,
        /// when it had answered
        until_ms: u64,
        /// most that is accepted
        skew_ms: u64,
    },
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Form { .. } => ErrorKind::Invalid,
            Error::OtherContent | Error::Forged { .. } | Error::OtherQuery { .. } => ErrorKind::Damaged,
            Error::Algorithm { .. } => ErrorKind::Unsupported,
            Error::Refused { .. } => ErrorKind::Unavailable,
            Error::NotEntered { .. }
            | Error::NoSuchAnchor { .. }
            | Error::UnknownIssuer { .. }
            | Error::Expired { .. }
            | Error::NotYetValid { .. }
            | Error::Path { .. }
            | Error::Purpose { .. }
            | Error::Skew { .. } => ErrorKind::Refused,
        }
    }
}

/// The bytes are not `what`.
pub fn form(what: &'static str, why: impl ToString) -> Error {
    Error::Form { what, why: why.to_string() }
}
