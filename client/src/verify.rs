//! Proving a record.
use serde::Serialize;

/// How deep to go.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifyOptions {
    /// fetch and open every chunk and compare the digests of the parts
    pub content: bool,
}

/// What was proved of one version. Everything in it was checked; a check that fails is an error instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// version id, hex
    pub version: String,
}
