//! The content of one part: its digests and where its sealed chunks are.
use crate::Result;
use bytes::Bytes;
use shosoin_keyring::Keyring;
use shosoin_protocol::Digest;
use shosoin_protocol::manifest::ChunkRef;

/// Content that a writer sealed. What is not inline is in the vault already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartContent {
    /// bytes of plain text
    pub size_bytes: u64,
    /// MD5 of the plain text
    pub md5: [u8; 16],
    /// digest of the plain text under the suite
    pub plain_digest: Digest,
    /// the chunks, in order
    pub chunks: Vec<SealedPiece>,
    /// sealed chunks of a small content, not sent yet: they travel with the deposit
    pub inline: Vec<Bytes>,
}

/// A sealed chunk of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedPiece {
    /// what the manifest says of it
    pub chunk: ChunkRef,
    /// length of its sealed bytes
    pub stored_len: u32,
}

impl PartContent {
    /// Sealed bytes, for a local file; only this hospital's keyring reads them.
    pub fn encode(&self, keyring: &Keyring) -> Result<Vec<u8>> {
        let _ = keyring;
        unimplemented!()
    }
    /// Reads what [`encode`](Self::encode) gave.
    pub fn decode(keyring: &Keyring, bytes: &[u8]) -> Result<Self> {
        let _ = (keyring, bytes);
        unimplemented!()
    }
}
