//! What is sealed inside: facts of an object, its chunks, what withdraws a version: format.md, "What is sealed inside".

use crate::bytes::Fields;
use crate::crypto::{Address, Id, Key, derive};
use crate::error::{Error, Result};
use crate::keys::Root;
use crate::records::Records;

/// One version of an object.
pub struct Object {
    /// bucket
    pub bucket: String,
    /// name in it
    pub name: String,
    /// bytes of plain text
    pub size: u64,
    /// milliseconds since 1970
    pub modified_ms: u64,
    /// parts: size and digest of the plain text
    pub parts: Vec<(u64, [u8; 32])>,
    /// its chunks in order
    pub chunks: Vec<Chunk>,
}

/// A chunk as a manifest has it.
pub struct Chunk {
    /// where it is
    pub address: Address,
    /// what opens it
    pub secret: Key,
    /// bytes of plain text
    pub plain_len: usize,
}

/// Opens the manifest of a version, all pages.
pub fn read(root: &Root, records: &Records, version: &Id, manifest: &Address, key: &Key) -> Result<Object> {
    const WHAT: &str = "manifest";
    let (plain, pages) = page(root, records, version, manifest, key, 0)?;
    let mut fields = Fields::of(&plain, WHAT);
    let mut object = facts(&mut fields)?;
    let count = fields.count()?;
    object.chunks = chunks(&mut fields)?;
    let addresses: Vec<Address> = (0..fields.count()?).map(|_| fields.array()).collect::<Result<_>>()?;
    fields.end()?;
    if addresses.len() + 1 != pages as usize {
        return Err(Error::form(WHAT, "it does not have as many pages as it says"));
    }
    for (address, number) in addresses.iter().zip(1..) {
        let (plain, _) = page(root, records, version, address, key, number)?;
        let mut fields = Fields::of(&plain, WHAT);
        object.chunks.append(&mut chunks(&mut fields)?);
        fields.end()?;
    }
    let plain_bytes: u64 = object.chunks.iter().map(|chunk| chunk.plain_len as u64).sum();
    let part_bytes: u64 = object.parts.iter().map(|part| part.0).sum();
    match object.chunks.len() == count && plain_bytes == object.size && part_bytes == object.size {
        true => Ok(object),
        false => Err(Error::form(WHAT, "its chunks or parts do not make up its size")),
    }
}

/// An opened page, and how many pages there are.
fn page(
    root: &Root,
    records: &Records,
    version: &Id,
    address: &Address,
    key: &Key,
    number: u32,
) -> Result<(zeroize::Zeroizing<Vec<u8>>, u32)> {
    const WHAT: &str = "manifest page";
    let envelope = root.envelope(&[2], None, records.small(WHAT, address)?)?;
    let (place, salt) = envelope.context.split_at(24);
    let mut fields = Fields::of(place, WHAT);
    let (found_version, found, pages): (Id, u32, u32) = (fields.array()?, fields.u32()?, fields.u32()?);
    if found_version != *version || found != number {
        return Err(Error::form(WHAT, "it is of another version or place"));
    }
    let secret = derive(Some(salt), &key[..], "shosoin v1 manifest page", &[place]);
    Ok((envelope.open_padded(WHAT, &secret)?, pages))
}

/// The flag of a document that brings a signature.
const SIGNED: u8 = 8;
/// What is kept of one signer: standing, certificate, anchor, time.
const SIGNER_BYTES: usize = 1 + 32 + 32 + 8;

fn facts(fields: &mut Fields<'_>) -> Result<Object> {
    let (bucket, name) = (fields.text()?, fields.text()?);
    let (size, modified_ms, flags) = (fields.u64()?, fields.u64()?, fields.u8()?);
    for _pairs in 0..3 {
        for _pair in 0..fields.count()? {
            let _ = (fields.var()?, fields.var()?);
        }
    }
    checksum(fields)?;
    let mut parts = Vec::new();
    for _ in 0..fields.count()? {
        let (_number, size, _md5) = (fields.u16()?, fields.u64()?, fields.array::<16>()?);
        parts.push((size, fields.array()?));
        checksum(fields)?;
    }
    if flags & SIGNED != 0 {
        let (_form, _judged_ms, _signature) = (fields.u8()?, fields.u64()?, fields.var()?);
        for _signer in 0..fields.count()? {
            fields.take(SIGNER_BYTES)?;
        }
    }
    Ok(Object { bucket, name, size, modified_ms, parts, chunks: Vec::new() })
}

fn checksum(fields: &mut Fields<'_>) -> Result<()> {
    let len = match fields.u8()? {
        0 => return Ok(()),
        1 | 2 => 4,
        3 => 8,
        4 => 20,
        5 => 32,
        _ => return Err(Error::form("checksum", "its algorithm is unknown")),
    };
    fields.take(1 + len).map(|_| ())
}

fn chunks(fields: &mut Fields<'_>) -> Result<Vec<Chunk>> {
    let count = fields.count()?;
    (0..count)
        .map(|_| {
            let address = fields.array()?;
            let mut secret = Key::default();
            secret.copy_from_slice(fields.take(32)?);
            Ok(Chunk { address, secret, plain_len: fields.count()? })
        })
        .collect()
}

/// Opens a chunk: content, zeros, codec, both lengths.
pub fn open_chunk(root: &Root, chunk: &Chunk, stored: &[u8]) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    const WHAT: &str = "chunk";
    let mut payload = root.envelope(&[1], None, stored)?.open(WHAT, &chunk.secret)?;
    let Some((padded, trailer)) = payload.split_last_chunk::<9>() else {
        return Err(Error::form(WHAT, "it is shorter than its trailer"));
    };
    let mut fields = Fields::of(trailer, WHAT);
    let (codec, plain_len, coded_len) = (fields.u8()?, fields.count()?, fields.count()?);
    if coded_len > padded.len() || plain_len != chunk.plain_len {
        return Err(Error::form(WHAT, "its lengths do not fit"));
    }
    payload.truncate(coded_len);
    match codec {
        0 if coded_len == plain_len => Ok(payload),
        1 => decompress(&payload, plain_len).map(zeroize::Zeroizing::new),
        _ => Err(Error::form(WHAT, "its codec is unknown")),
    }
}

fn decompress(coded: &[u8], plain_len: usize) -> Result<Vec<u8>> {
    use std::io::Read as _;
    const WHAT: &str = "compressed chunk";
    let bad = || Error::form(WHAT, "it does not decompress to its length");
    let decoder = ruzstd::decoding::StreamingDecoder::new(coded).map_err(|_| bad())?;
    let mut plain = Vec::with_capacity(plain_len);
    decoder.take(plain_len as u64 + 1).read_to_end(&mut plain).map_err(|_| bad())?;
    match plain.len() == plain_len {
        true => Ok(plain),
        false => Err(bad()),
    }
}

/// What a summary says, as far as it decides which version a name has.
pub enum Meaning {
    /// a version was stored; S3's `null` version, or one of its own
    Object {
        /// it takes the place of the `null` version
        null: bool,
    },
    /// the name was hidden
    Marker {
        /// as above
        null: bool,
    },
    /// this version is out of view
    Withdrawn(Id),
    /// of a bucket, or tags
    Other,
}

/// Reads an opened summary.
pub fn meaning(summary: &[u8]) -> Result<Meaning> {
    let mut fields = Fields::of(summary, "summary");
    let kind = fields.u8()?;
    if !matches!(kind, 1 | 2 | 5) {
        return Ok(Meaning::Other);
    }
    let _ = (fields.text()?, fields.text()?);
    match kind {
        1 => {
            fields.take(8 + 8)?;
            Ok(Meaning::Object { null: fields.u8()? & 1 == 1 })
        }
        2 => {
            fields.take(8)?;
            Ok(Meaning::Marker { null: fields.u8()? == 1 })
        }
        _ => fields.array().map(Meaning::Withdrawn),
    }
}
