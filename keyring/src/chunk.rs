//! Chunks: pieces of an object, sealed under a secret made from themselves or at random.
//!
//! ```text
//! payload = coded bytes | zeros up to their padded length | codec:u8 | plain_len:u32 | coded_len:u32
//! stored  = header | commitment | AES-256-GCM(payload) | tag
//! ```
//!
//! Invariants
//! - A chunk is given out only after its stored bytes, from which the address was taken *before*, were opened again
//!   with keys derived afresh and gave back the plain text. A bit that flips on the way is met here, or by the vault
//!   when it compares address and bytes.
//! - The plain text is not copied: it is sealed from where it is into the buffer that is uploaded, and what opens is
//!   handed on without its trailer. That is why codec and lengths stand at the end of the payload.

use crate::content_key;
use crate::seal::{Aead, AwsLc, Frame};
use crate::secret::SecretKey;
use crate::{Error, Keyring, Result, padding};
use bytes::Bytes;
use shosoin_protocol::codec::Writer;
use shosoin_protocol::envelope::Context;
use shosoin_protocol::limits::CHUNK_PLAIN_BYTES_MAX;
use shosoin_protocol::manifest::ChunkRef;

const WHAT: &str = "chunk";
/// Codec and the two lengths, at the end of a payload.
const TRAILER_LEN: usize = 9;
/// Bytes from the middle of a chunk that decide whether compressing all of it is worth a try.
const PROBE_BYTES: usize = 64 * 1024;

/// How the bytes of a chunk are coded before they are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// As they are.
    None = 0,
    /// Zstandard, level 1, for those chunks where it saves at least 12 % of the padded length.
    Zstd = 1,
}

impl TryFrom<u8> for Codec {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self> {
        match code {
            0 => Ok(Codec::None),
            1 => Ok(Codec::Zstd),
            found => Err(Error::Codec { found }),
        }
    }
}

/// A sealed chunk that was opened again and compared.
pub struct SealedChunk {
    /// what a manifest says of it
    pub chunk: ChunkRef,
    /// header, commitment, ciphertext, tag: what is uploaded
    pub bytes: Vec<u8>,
}

/// Buffers that sealing reuses: one per thread, each grows to the size of the largest chunk it met.
#[derive(Default)]
pub struct Scratch {
    opened: Vec<u8>,
    coded: Vec<u8>,
    compressor: Option<zstd::bulk::Compressor<'static>>,
}

impl Keyring {
    /// Seals `plain`, at most [`CHUNK_PLAIN_BYTES_MAX`] bytes, opens it again and compares.
    ///
    /// In `class` 0, and below 64 KiB, the chunk's secret is random; otherwise equal chunks of one class meet.
    pub fn seal_chunk(&self, class: u8, codec: Codec, plain: &[u8], scratch: &mut Scratch) -> Result<SealedChunk> {
        let class = content_key::effective_class(class, plain.len());
        self.seal_chunk_as::<AwsLc>(class, codec, plain, scratch, |content, tail| match class {
            0 => SecretKey::random(),
            _ => Ok(content_key::from_content(self.root(), class, content, tail)),
        })
    }

    /// Opens what is stored under `chunk.address`: address, commitment, tag and plain length are verified first.
    pub fn open_chunk(&self, chunk: &ChunkRef, stored: &[u8]) -> Result<Bytes> {
        self.owner().open_chunk(chunk, stored)
    }

    /// [`seal_chunk`](Self::seal_chunk) with the cipher and the source of the secret as arguments.
    pub(crate) fn seal_chunk_as<A: Aead>(
        &self,
        class: u8,
        codec: Codec,
        plain: &[u8],
        scratch: &mut Scratch,
        secret: impl FnOnce(&[u8], &[u8]) -> Result<SecretKey>,
    ) -> Result<SealedChunk> {
        let plain_len = plain_len(plain)?;
        let frame = Frame { suite: self.suite(), class, hospital: self.hospital(), context: Context::Chunk };
        let (codec, coded) = match codec == Codec::Zstd && scratch.compress(plain)? {
            true => (Codec::Zstd, scratch.coded.as_slice()),
            false => (Codec::None, plain),
        };
        let tail = payload_tail(codec, plain_len, coded.len())?;
        let secret = secret(coded, &tail)?;
        let bytes = frame.seal::<A>(WHAT, &secret, coded, &tail)?;
        let chunk = ChunkRef { address: self.suite().address(&bytes), t: *secret.as_bytes(), plain_len };
        self.compare(&chunk, &bytes, plain, &mut scratch.opened)?;
        Ok(SealedChunk { chunk, bytes })
    }

    /// Opens a fresh chunk as any later reader will, from nothing but `chunk` and the stored bytes.
    fn compare(&self, chunk: &ChunkRef, stored: &[u8], plain: &[u8], opened: &mut Vec<u8>) -> Result<()> {
        let payload = self.open_payload::<AwsLc>(chunk, stored, opened).map_err(|_| Error::SelfCheck)?;
        let same = match payload.codec {
            Codec::None => payload.coded == plain,
            Codec::Zstd => payload.decompress().is_ok_and(|decoded| decoded == plain),
        };
        if same { Ok(()) } else { Err(Error::SelfCheck) }
    }

    /// Opens into `opened` and reads the payload there. The address is the caller's to verify.
    pub(crate) fn open_payload<'a, A: Aead>(
        &self,
        chunk: &ChunkRef,
        stored: &[u8],
        opened: &'a mut Vec<u8>,
    ) -> Result<Payload<'a>> {
        self.owner().open_payload::<A>(chunk, stored, opened)
    }
}

fn plain_len(plain: &[u8]) -> Result<u32> {
    let limit = CHUNK_PLAIN_BYTES_MAX as usize;
    match u32::try_from(plain.len()) {
        Ok(len) if len <= CHUNK_PLAIN_BYTES_MAX => Ok(len),
        _ => Err(Error::TooLong { what: WHAT, found: plain.len(), limit }),
    }
}

/// What follows the coded bytes inside a payload: padding, codec, lengths.
fn payload_tail(codec: Codec, plain_len: u32, coded_len: usize) -> Result<Vec<u8>> {
    let field = u32::try_from(coded_len).map_err(|_| Error::Bug { what: "coded length" })?;
    let mut trailer = Writer::with_capacity(TRAILER_LEN);
    trailer.u8(codec as u8).u32(plain_len).u32(field);
    Ok(padding::tail(coded_len, &trailer.finish()))
}

/// A payload that was opened and has the one form it can have.
pub(crate) struct Payload<'a> {
    pub(crate) codec: Codec,
    pub(crate) plain_len: u32,
    pub(crate) coded: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Reads what was opened; `plain_len` is what the manifest says.
    pub(crate) fn read(opened: &'a [u8], expected_plain_len: u32) -> Result<Self> {
        let Some((padded, trailer)) = opened.split_last_chunk::<TRAILER_LEN>() else {
            return Err(Error::Content { what: WHAT, why: "it is shorter than its codec and lengths" });
        };
        let [codec, p0, p1, p2, p3, c0, c1, c2, c3] = *trailer;
        let codec = Codec::try_from(codec)?;
        let (plain_len, coded_len) = (u32::from_le_bytes([p0, p1, p2, p3]), u32::from_le_bytes([c0, c1, c2, c3]));
        let coded = padding::content(WHAT, padded, coded_len)?;
        if plain_len != expected_plain_len || plain_len > CHUNK_PLAIN_BYTES_MAX {
            return Err(Error::Content { what: WHAT, why: "its plain length is not the one in the manifest" });
        }
        match codec {
            Codec::None if coded_len != plain_len => {
                Err(Error::Content { what: WHAT, why: "coded and plain length differ without a codec" })
            }
            _ => Ok(Payload { codec, plain_len, coded }),
        }
    }

    /// The plain text of a compressed payload, in no more memory than the plain length that was checked.
    pub(crate) fn decompress(&self) -> Result<Vec<u8>> {
        let plain_len = self.plain_len as usize;
        match zstd::bulk::decompress(self.coded, plain_len) {
            Ok(plain) if plain.len() == plain_len => Ok(plain),
            _ => Err(Error::Content { what: WHAT, why: "it does not decompress to its plain length" }),
        }
    }
}

impl Scratch {
    /// Compresses into `self.coded`; `false` where that is not worth it.
    fn compress(&mut self, plain: &[u8]) -> Result<bool> {
        let middle = plain.len().saturating_sub(PROBE_BYTES) / 2;
        let probe = &plain[middle..plain.len().min(middle + PROBE_BYTES)];
        Ok(self.compress_if_smaller(probe)? && (probe.len() == plain.len() || self.compress_if_smaller(plain)?))
    }

    fn compress_if_smaller(&mut self, plain: &[u8]) -> Result<bool> {
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(zstd::bulk::Compressor::new(1).map_err(Error::Zstd)?),
        };
        self.coded.clear();
        self.coded.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        let coded_len = compressor.compress_to_buffer(plain, &mut self.coded).map_err(Error::Zstd)?;
        Ok(padding::padded_len(coded_len) * 100 <= padding::padded_len(plain.len()) * 88)
    }
}
