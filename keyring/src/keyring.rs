//! The keyring itself.
#![allow(unused_variables)]

use crate::Result;
use bytes::Bytes;
use shosoin_protocol::manifest::{ChunkRef, Summary};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{DeviceId, Digest, HospitalId, NameToken, Suite, VersionId};

/// Opened secrets of one hospital.
pub struct Keyring;
/// Key of one version.
pub struct DataKey;
/// Buffers that sealing reuses.
#[derive(Default)]
pub struct Scratch;

/// How the bytes of a chunk are coded before they are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// as they are
    None = 0,
    /// Zstandard where it saves enough
    Zstd = 1,
}

/// A sealed chunk that was opened again and compared.
pub struct SealedChunk {
    /// what a manifest says of it
    pub chunk: ChunkRef,
    /// header, commitment, ciphertext, tag
    pub bytes: Vec<u8>,
}

impl TryFrom<u8> for Codec {
    type Error = crate::Error;
    fn try_from(code: u8) -> Result<Self> {
        unimplemented!()
    }
}

impl DataKey {
    /// Commitment that the signed entry carries.
    pub fn commit(&self) -> Digest {
        unimplemented!()
    }
}

impl Keyring {
    /// New secrets for a new hospital.
    pub fn generate(suite: Suite) -> Result<Self> {
        unimplemented!()
    }
    /// suite
    pub fn suite(&self) -> Suite {
        unimplemented!()
    }
    /// hospital
    pub fn hospital(&self) -> HospitalId {
        unimplemented!()
    }
    /// device key
    pub fn device_key(&self) -> &SigningKey {
        unimplemented!()
    }
    /// hospital key
    pub fn hospital_key(&self) -> &SigningKey {
        unimplemented!()
    }
    /// device id
    pub fn device_id(&self) -> DeviceId {
        unimplemented!()
    }
    /// TLS client certificate
    pub fn tls_certificate_der(&self) -> &[u8] {
        unimplemented!()
    }
    /// PKCS#8
    pub fn tls_key_der(&self) -> &[u8] {
        unimplemented!()
    }
    /// SHA-256 of the SPKI DER
    pub fn tls_pin(&self) -> [u8; 32] {
        unimplemented!()
    }
    /// Signed `protocol::api::Enrolment`.
    pub fn enrolment(&self) -> Vec<u8> {
        unimplemented!()
    }
    /// Token of a name.
    pub fn name_token(&self, bucket: &str, name: &str) -> NameToken {
        unimplemented!()
    }
    /// Token of a bucket.
    pub fn bucket_token(&self, bucket: &str) -> NameToken {
        unimplemented!()
    }
    /// Seals a chunk.
    pub fn seal_chunk(&self, class: u8, codec: Codec, plain: &[u8], scratch: &mut Scratch) -> Result<SealedChunk> {
        unimplemented!()
    }
    /// Opens a chunk: the plain text without a copy.
    pub fn open_chunk(&self, chunk: &ChunkRef, stored: &[u8]) -> Result<Bytes> {
        unimplemented!()
    }
    /// A fresh data key.
    pub fn new_data_key(&self) -> Result<DataKey> {
        unimplemented!()
    }
    /// Wraps a data key.
    pub fn wrap(&self, key: &DataKey, version: VersionId, wrap_no: u32) -> Result<Vec<u8>> {
        unimplemented!()
    }
    /// Unwraps it.
    pub fn unwrap(&self, version: VersionId, wrap: &[u8], dek_commit: &Digest) -> Result<DataKey> {
        unimplemented!()
    }
    /// Seals a manifest page.
    pub fn seal_manifest_page(
        &self,
        key: &DataKey,
        version: VersionId,
        page: u32,
        pages: u32,
        plain: &[u8],
    ) -> Result<Vec<u8>> {
        unimplemented!()
    }
    /// Opens a manifest page.
    pub fn open_manifest_page(
        &self,
        key: &DataKey,
        version: VersionId,
        page: u32,
        pages: u32,
        stored: &[u8],
    ) -> Result<Vec<u8>> {
        unimplemented!()
    }
    /// Seals a summary.
    pub fn seal_summary(&self, version: VersionId, summary: &Summary) -> Result<Vec<u8>> {
        unimplemented!()
    }
    /// Opens a summary.
    pub fn open_summary(&self, version: VersionId, stored: &[u8]) -> Result<Summary> {
        unimplemented!()
    }
    /// Seals a small file of the hospital's side.
    pub fn seal_local(&self, label: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        unimplemented!()
    }
    /// Opens it.
    pub fn open_local(&self, label: &str, bytes: &[u8]) -> Result<Vec<u8>> {
        unimplemented!()
    }
}
