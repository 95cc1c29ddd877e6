//! The content of one part: its digests, and where its sealed chunks are. It can be kept in a local file between the
//! requests of a multipart upload; only this hospital's keyring reads that file, for it holds the chunks' secrets.

use crate::budget::Reserved;
use crate::scan::Scanned;
use crate::{Error, Result};
use bytes::Bytes;
use shosoin_keyring::Keyring;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::limits::{OBJECT_CHUNKS_MAX, RECORD_BYTES_MAX};
use shosoin_protocol::malware::Engine;
use shosoin_protocol::manifest::ChunkRef;
use shosoin_protocol::{Address, Digest};
use std::sync::Arc;

/// Label under which part files are sealed.
const LABEL: &str = "part content";
/// Version of the plain form.
const VERSION: u8 = 2;
/// Length of one encoded chunk, in bytes.
const PIECE_BYTES: usize = 76;

/// Content that a writer sealed. What is not inline is in the vault already.
#[derive(Debug, Clone)]
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
    /// its chunks may meet equal ones: it was sealed for dedup
    pub may_meet: bool,
    /// what the scanner said of it, where it was scanned
    pub scanned: Option<Scanned>,
    /// memory that the inline chunks take
    pub(crate) _reserved: Vec<Arc<Reserved>>,
}

/// A sealed chunk of a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedPiece {
    /// what the manifest says of it
    pub chunk: ChunkRef,
    /// sealed bytes that this chunk accounts for: its own, or for chunks shared with another object, those of all of
    /// them at the first and none at the others
    pub stored_bytes: u64,
}

impl SealedPiece {
    /// A chunk and the length of its sealed bytes.
    pub fn new(chunk: ChunkRef, stored_len: usize) -> Self {
        SealedPiece { chunk, stored_bytes: stored_len as u64 }
    }
}

impl PartContent {
    /// Content whose chunks are all in the vault.
    pub fn uploaded(
        size_bytes: u64,
        md5: [u8; 16],
        plain_digest: Digest,
        chunks: Vec<SealedPiece>,
        may_meet: bool,
    ) -> Self {
        PartContent {
            size_bytes,
            md5,
            plain_digest,
            chunks,
            inline: Vec::new(),
            may_meet,
            scanned: None,
            _reserved: Vec::new(),
        }
    }

    /// Sealed bytes for a local file.
    pub fn encode(&self, keyring: &Keyring) -> Result<Vec<u8>> {
        let inline_bytes: usize = self.inline.iter().map(Bytes::len).sum();
        let mut out = Writer::with_capacity(128 + self.chunks.len() * PIECE_BYTES + inline_bytes);
        out.u8(VERSION)
            .u8(u8::from(self.may_meet))
            .u64(self.size_bytes)
            .put(&self.md5)
            .put(&self.plain_digest.0)
            .count(self.chunks.len());
        for piece in &self.chunks {
            piece.chunk.address.write(&mut out);
            out.put(&piece.chunk.t).u32(piece.chunk.plain_len).u64(piece.stored_bytes);
        }
        out.count(self.inline.len());
        for bytes in &self.inline {
            out.var(bytes);
        }
        write_scanned(&mut out, self.scanned.as_ref());
        keyring.seal_local(LABEL, &out.finish()).map_err(|source| Error::Keyring { what: LABEL, source })
    }

    /// Reads what [`encode`](Self::encode) gave.
    pub fn decode(keyring: &Keyring, sealed: &[u8]) -> Result<Self> {
        let plain = keyring.open_local(LABEL, sealed).map_err(|source| Error::Keyring { what: LABEL, source })?;
        Self::read(&plain).map_err(|source| Error::PartDamaged { source })
    }

    fn read(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        let mut reader = Reader::new(bytes, LABEL);
        match reader.u8("part version")? {
            VERSION => {}
            found => return Err(shosoin_protocol::Error::Version { what: LABEL, found, known: VERSION }),
        }
        let may_meet = reader.u8("dedup")? != 0;
        let (size_bytes, md5) = (reader.u64("part size")?, reader.array("part MD5")?);
        let plain_digest = Digest::read(&mut reader)?;
        let count = reader.count(OBJECT_CHUNKS_MAX, "chunks of a part")?;
        let mut chunks = Vec::with_capacity(count.min(reader.left() / PIECE_BYTES));
        for _ in 0..count {
            let address = Address::read(&mut reader)?;
            let (t, plain_len) = (reader.array("chunk secret")?, reader.u32("plain length")?);
            let stored_bytes = reader.u64("stored bytes")?;
            chunks.push(SealedPiece { chunk: ChunkRef { address, t, plain_len }, stored_bytes });
        }
        let count = reader.count(chunks.len(), "inline chunks of a part")?;
        let mut inline = Vec::with_capacity(count);
        for _ in 0..count {
            inline.push(Bytes::copy_from_slice(reader.var(RECORD_BYTES_MAX, "inline chunk")?));
        }
        let scanned = read_scanned(&mut reader)?;
        reader.finish()?;
        Ok(PartContent { size_bytes, md5, plain_digest, chunks, inline, may_meet, scanned, _reserved: Vec::new() })
    }
}

fn write_scanned(out: &mut Writer, scanned: Option<&Scanned>) {
    let Some(Scanned { engine, scanned_ms, pieces }) = scanned else {
        out.u8(0);
        return;
    };
    out.u8(1);
    for number in engine.release {
        out.u16(number);
    }
    out.u32(engine.definitions_version).u64(engine.definitions_ms).u64(*scanned_ms).u32(*pieces);
}

fn read_scanned(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Option<Scanned>> {
    if reader.u8("scanned")? == 0 {
        return Ok(None);
    }
    let release = [reader.u16("release")?, reader.u16("release")?, reader.u16("release")?];
    let (definitions_version, definitions_ms) = (reader.u32("definitions")?, reader.u64("their time")?);
    let engine = Engine { release, definitions_version, definitions_ms };
    Ok(Some(Scanned { engine, scanned_ms: reader.u64("time of the scan")?, pieces: reader.u32("pieces")? }))
}
