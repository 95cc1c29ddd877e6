//! Whose sealed bytes they are: what is checked and opened with no other secret than the one that is given, this hospital's or one
//! that another hospital shared.

use crate::chunk::{Codec, Payload};
use crate::seal::{self, Aead, AwsLc};
use crate::secret::SecretKey;
use crate::wrap::DataKey;
use crate::{Error, Result, derive, padding};
use bytes::Bytes;
use shosoin_protocol::envelope::{Context, Envelope, EnvelopeType};
use shosoin_protocol::manifest::ChunkRef;
use shosoin_protocol::{HospitalId, Suite, VersionId};

/// A hospital, as every sealed record of it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    suite: Suite,
    hospital: HospitalId,
}

impl Owner {
    /// A hospital of this suite.
    pub fn new(suite: Suite, hospital: HospitalId) -> Self {
        Owner { suite, hospital }
    }

    /// Opens a page of a manifest; one of another version, or from another place in the manifest, is refused.
    pub fn open_manifest_page(
        &self,
        key: &DataKey,
        version: VersionId,
        page: u32,
        pages: u32,
        stored: &[u8],
    ) -> Result<Vec<u8>> {
        self.open_manifest_page_as::<AwsLc>(key, (version, page, pages), stored)
    }

    pub(crate) fn open_manifest_page_as<A: Aead>(
        &self,
        key: &DataKey,
        expected: (VersionId, u32, u32),
        stored: &[u8],
    ) -> Result<Vec<u8>> {
        const WHAT: &str = "manifest page";
        let envelope = self.parse(WHAT, EnvelopeType::Manifest, stored)?;
        let secret = match envelope.context {
            Context::Manifest { version, page, pages, salt } if (version, page, pages) == expected => {
                derive::manifest_page(key.secret(), &salt, version, page, pages)
            }
            _ => return Err(Error::misplaced(WHAT, "it is of another version or another place in the manifest")),
        };
        self.open_padded::<A>(WHAT, &envelope, &secret)
    }

    /// Opens what is stored under `chunk.address`: address, commitment, tag and plain length are verified first.
    pub fn open_chunk(&self, chunk: &ChunkRef, stored: &[u8]) -> Result<Bytes> {
        self.suite.verify(&chunk.address, stored).map_err(Error::form("chunk"))?;
        let mut opened = Vec::new();
        let payload = self.open_payload::<AwsLc>(chunk, stored, &mut opened)?;
        match payload.codec {
            Codec::None => {
                let len = payload.coded.len();
                opened.truncate(len);
                Ok(Bytes::from(opened))
            }
            Codec::Zstd => payload.decompress().map(Bytes::from),
        }
    }

    /// Opens into `opened` and reads the payload there. The address is the caller's to verify.
    pub(crate) fn open_payload<'a, A: Aead>(
        &self,
        chunk: &ChunkRef,
        stored: &[u8],
        opened: &'a mut Vec<u8>,
    ) -> Result<Payload<'a>> {
        const WHAT: &str = "chunk";
        let envelope = self.parse(WHAT, EnvelopeType::Chunk, stored)?;
        seal::open::<A>(WHAT, &envelope, &SecretKey::new(chunk.t), opened)?;
        Payload::read(opened, chunk.plain_len)
    }

    /// An envelope of this hospital, of its suite and of the type that belongs here.
    pub(crate) fn parse<'a>(&self, what: &'static str, kind: EnvelopeType, stored: &'a [u8]) -> Result<Envelope<'a>> {
        let envelope = Envelope::parse(stored).map_err(Error::form(what))?;
        envelope.expect(self.hospital, kind).map_err(Error::form(what))?;
        match envelope.header.suite {
            suite if suite == self.suite => Ok(envelope),
            _ => Err(Error::misplaced(what, "it is of another suite than its hospital")),
        }
    }

    /// Opens `plain | zeros | length:u32`.
    pub(crate) fn open_padded<A: Aead>(
        &self,
        what: &'static str,
        envelope: &Envelope<'_>,
        secret: &SecretKey,
    ) -> Result<Vec<u8>> {
        let mut opened = Vec::new();
        seal::open::<A>(what, envelope, secret, &mut opened)?;
        let Some((padded, len)) = opened.split_last_chunk() else {
            return Err(Error::Content { what, why: "it is shorter than its length field" });
        };
        let len = padding::content(what, padded, u32::from_le_bytes(*len))?.len();
        opened.truncate(len);
        Ok(opened)
    }
}
