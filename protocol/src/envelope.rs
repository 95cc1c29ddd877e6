//! Sealed envelopes: the part that is readable without any key. What is sealed inside is `keyring`'s business.
//!
//! Invariants
//! - Everything before the sealed bytes is authenticated with them (it is their AAD).
//! - The header says suite, type, class, hospital and length, so no envelope can stand in for another.

use crate::act::ShareKem;
use crate::codec::{Reader, Writer};
use crate::limits::{MANIFEST_PAGES_MAX, RECORD_BYTES_MAX};
use crate::{Error, HospitalId, Result, Suite, VersionId};

/// First bytes of every envelope.
pub const MAGIC: [u8; 4] = *b"shsn";
/// Version of the envelope format.
pub const VERSION: u8 = 1;
/// Length of the common header, in bytes.
pub const HEADER_LEN: usize = 32;
/// Length of a key commitment, in bytes.
pub const COMMIT_LEN: usize = 32;
/// Length of the authentication tag at the end of the sealed bytes.
pub const TAG_LEN: usize = 16;

/// What an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EnvelopeType {
    /// A piece of an object, under a key made from itself or from 32 random bytes.
    Chunk = 1,
    /// A page of a manifest, under the data key of the version.
    Manifest = 2,
    /// A data key, under a key-encryption key.
    Wrap = 3,
    /// A summary, under the view key.
    Summary = 4,
    /// A data key, sealed to the hospital by a machine that only deposits.
    HospitalWrap = 6,
    /// A summary, sealed to the hospital by a machine that only deposits.
    HospitalSummary = 7,
}

impl EnvelopeType {
    /// Whether the bytes say that they are an envelope of this type; nothing else of them is looked at.
    pub fn is_of(self, bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC) && bytes.get(6) == Some(&(self as u8))
    }
}

/// The public half of what was sealed to the hospital's key for deposits (RFC 9180): only whoever has the private key makes
/// the same secret of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encapsulated {
    /// DHKEM(X25519, HKDF-SHA-256)
    X25519([u8; 32]),
    /// DHKEM(P-256, HKDF-SHA-256): an uncompressed point
    P256([u8; 65]),
}

impl Encapsulated {
    /// Its KEM.
    pub fn kem(&self) -> ShareKem {
        match self {
            Encapsulated::X25519(_) => ShareKem::X25519,
            Encapsulated::P256(_) => ShareKem::P256,
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Encapsulated::X25519(bytes) => bytes,
            Encapsulated::P256(bytes) => bytes,
        }
    }

    /// The encapsulated key of a KEM; none where deposits do not use it, or it has another length.
    pub fn of(kem: ShareKem, bytes: &[u8]) -> Option<Self> {
        match kem {
            ShareKem::X25519 => bytes.try_into().ok().map(Encapsulated::X25519),
            ShareKem::P256 => bytes.try_into().ok().map(Encapsulated::P256),
            ShareKem::XWing => None,
        }
    }

    fn len(&self) -> usize {
        4 + self.bytes().len()
    }

    fn write(&self, out: &mut Writer) {
        out.u8(self.kem().code()).zeros(3).put(self.bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let kem = ShareKem::from_code(reader.u8("KEM of the envelope")?)?;
        reader.zeros(3, "reserved bytes of the KEM")?;
        match kem {
            ShareKem::X25519 => reader.array("encapsulated key").map(Encapsulated::X25519),
            ShareKem::P256 => reader.array("encapsulated key").map(Encapsulated::P256),
            ShareKem::XWing => Err(Error::Invalid { what: "KEM of the envelope", why: "deposits do not use it" }),
        }
    }
}

/// The common header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// algorithms
    pub suite: Suite,
    /// what is inside
    pub kind: EnvelopeType,
    /// dedup class of a chunk, 0 where dedup is off; 0 for everything else
    pub class: u8,
    /// whose it is
    pub hospital: HospitalId,
    /// sealed bytes with their tag
    pub sealed_len: u32,
}

/// Fields between header and commitment, by type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// A chunk has none: equal chunks of one class must be equal bytes.
    Chunk,
    /// Page `page` of `pages`.
    Manifest {
        /// version the manifest belongs to
        version: VersionId,
        /// page number, 0 is the root
        page: u32,
        /// pages in all, the root among them
        pages: u32,
        /// salt of the sealing key
        salt: [u8; 32],
    },
    /// Wrap of the data key of a version.
    Wrap {
        /// version whose key it is
        version: VersionId,
        /// epoch of the key-encryption key
        epoch: u32,
        /// how often this key was wrapped before
        wrap_no: u32,
        /// salt of the wrapping key
        salt: [u8; 32],
    },
    /// Summary of a version.
    Summary {
        /// version it describes
        version: VersionId,
        /// salt of the sealing key
        salt: [u8; 32],
    },
    /// Data key of a version, sealed to the hospital.
    HospitalWrap {
        /// version whose key it is
        version: VersionId,
        /// what the secret is made of again
        to: Encapsulated,
    },
    /// Summary of a version, sealed to the hospital.
    HospitalSummary {
        /// version it describes
        version: VersionId,
        /// what the secret is made of again
        to: Encapsulated,
    },
}

impl Context {
    fn kind(&self) -> EnvelopeType {
        match self {
            Context::Chunk => EnvelopeType::Chunk,
            Context::Manifest { .. } => EnvelopeType::Manifest,
            Context::Wrap { .. } => EnvelopeType::Wrap,
            Context::Summary { .. } => EnvelopeType::Summary,
            Context::HospitalWrap { .. } => EnvelopeType::HospitalWrap,
            Context::HospitalSummary { .. } => EnvelopeType::HospitalSummary,
        }
    }

    /// Length of the fields, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Context::Chunk => 0,
            Context::Manifest { .. } => 56,
            Context::Wrap { .. } => 56,
            Context::Summary { .. } => 48,
            Context::HospitalWrap { to, .. } | Context::HospitalSummary { to, .. } => 16 + to.len(),
        }
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes before the sealed bytes: header, these fields, commitment.
    pub fn aad_len(&self) -> usize {
        HEADER_LEN + self.len() + COMMIT_LEN
    }
}

/// Writes header, context and commitment: the AAD, and everything that precedes the sealed bytes.
pub fn write_aad(
    suite: Suite,
    class: u8,
    hospital: HospitalId,
    context: &Context,
    commit: &[u8; COMMIT_LEN],
    sealed_len: u32,
) -> Vec<u8> {
    let mut out = Writer::with_capacity(context.aad_len());
    out.put(&MAGIC).u8(VERSION).u8(suite.code()).u8(context.kind() as u8).u8(class);
    hospital.write(&mut out);
    out.u32(sealed_len).zeros(4);
    match context {
        Context::Chunk => {}
        Context::Manifest { version, page, pages, salt } => {
            out.put(&version.0).u32(*page).u32(*pages).put(salt);
        }
        Context::Wrap { version, epoch, wrap_no, salt } => {
            out.put(&version.0).u32(*epoch).u32(*wrap_no).put(salt);
        }
        Context::Summary { version, salt } => {
            out.put(&version.0).put(salt);
        }
        Context::HospitalWrap { version, to } | Context::HospitalSummary { version, to } => {
            to.write(out.put(&version.0));
        }
    }
    out.put(commit);
    out.finish()
}

/// An envelope that parsed. Its sealed bytes are not believed before they are opened.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// common header
    pub header: Header,
    /// fields by type
    pub context: Context,
    /// commitment to the key
    pub commit: [u8; COMMIT_LEN],
    /// everything before the sealed bytes
    pub aad: &'a [u8],
    /// ciphertext and tag
    pub sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Parses a whole envelope; the sealed bytes must end where the bytes do.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(Error::OverLimit {
                what: "envelope",
                found: bytes.len() as u64,
                limit: RECORD_BYTES_MAX as u64,
            });
        }
        let mut reader = Reader::new(bytes, "envelope");
        let header = read_header(&mut reader)?;
        let context = read_context(&mut reader, header.kind)?;
        let commit = reader.array("key commitment")?;
        let sealed = reader.take(header.sealed_len as usize, "sealed bytes")?;
        reader.finish()?;
        Ok(Envelope { header, context, commit, aad: &bytes[..context.aad_len()], sealed })
    }

    /// Refuses an envelope that is not of this hospital and type.
    pub fn expect(&self, hospital: HospitalId, kind: EnvelopeType) -> Result<()> {
        if self.header.kind != kind {
            return Err(Error::Invalid { what: "envelope type", why: "it is not the type that belongs here" });
        }
        if self.header.hospital != hospital {
            return Err(Error::Mismatch {
                what: "hospital of the envelope",
                expected: hospital.to_string(),
                found: self.header.hospital.to_string(),
            });
        }
        Ok(())
    }
}

fn read_header(reader: &mut Reader<'_>) -> Result<Header> {
    if reader.array::<4>("envelope magic")? != MAGIC {
        return Err(Error::Magic { what: "envelope" });
    }
    match reader.u8("envelope version")? {
        VERSION => {}
        found => return Err(Error::Version { what: "envelope", found, known: VERSION }),
    }
    let suite = Suite::try_from(reader.u8("suite")?)?;
    let kind = match reader.u8("envelope type")? {
        1 => EnvelopeType::Chunk,
        2 => EnvelopeType::Manifest,
        3 => EnvelopeType::Wrap,
        4 => EnvelopeType::Summary,
        6 => EnvelopeType::HospitalWrap,
        7 => EnvelopeType::HospitalSummary,
        _ => return Err(Error::Invalid { what: "envelope type", why: "no such type" }),
    };
    let class = reader.u8("class")?;
    if class != 0 && kind != EnvelopeType::Chunk {
        return Err(Error::Invalid { what: "class", why: "only chunks have one" });
    }
    let hospital = HospitalId::read(reader)?;
    let sealed_len = reader.u32("sealed length")?;
    reader.zeros(4, "reserved bytes of the envelope header")?;
    if (sealed_len as usize) < TAG_LEN {
        return Err(Error::Invalid { what: "sealed length", why: "it is shorter than its tag" });
    }
    Ok(Header { suite, kind, class, hospital, sealed_len })
}

fn read_context(reader: &mut Reader<'_>, kind: EnvelopeType) -> Result<Context> {
    Ok(match kind {
        EnvelopeType::Chunk => Context::Chunk,
        EnvelopeType::Manifest => {
            let version = VersionId::read(reader)?;
            let (page, pages) = (reader.u32("page number")?, reader.u32("page count")?);
            let limit = MANIFEST_PAGES_MAX as u64 + 1;
            if u64::from(pages) > limit {
                return Err(Error::OverLimit { what: "page count", found: pages.into(), limit });
            }
            if page >= pages {
                return Err(Error::Invalid { what: "page number", why: "it must be below the page count" });
            }
            Context::Manifest { version, page, pages, salt: reader.array("salt")? }
        }
        EnvelopeType::Wrap => Context::Wrap {
            version: VersionId::read(reader)?,
            epoch: reader.u32("epoch")?,
            wrap_no: reader.u32("wrap number")?,
            salt: reader.array("salt")?,
        },
        EnvelopeType::Summary => Context::Summary { version: VersionId::read(reader)?, salt: reader.array("salt")? },
        EnvelopeType::HospitalWrap => {
            Context::HospitalWrap { version: VersionId::read(reader)?, to: Encapsulated::read(reader)? }
        }
        EnvelopeType::HospitalSummary => {
            Context::HospitalSummary { version: VersionId::read(reader)?, to: Encapsulated::read(reader)? }
        }
    })
}
