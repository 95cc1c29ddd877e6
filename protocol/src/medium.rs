//! A medium that carries deposits from a hospital to its vault by courier: what is on it, signed by the device that packed it, and
//! what a station without any connection says of it.
//!
//! ```text
//! shosoin-medium/
//!   manifest              MediumManifest
//!   chunks/<address>      sealed chunks and manifest pages
//!   deposits/<number>     batches of deposits, from 0 on
//! ```
//!
//! Invariants
//! - What is on a medium is sealed as what goes over a line is; the manifest says nothing that the operator may not know.
//! - Files are named by what they are, so a manifest cannot lead out of its folder.
//! - A result is about the manifest whose digest it has, and so about every byte that the manifest names.
//!
//! Source: guideline 3.3, 7.6.8-M3.

use crate::codec::{Reader, Writer};
use crate::entry::DeviceChange;
use crate::limits::{DEPOSIT_BATCH_BYTES_MAX, MEDIUM_BATCHES_MAX, MEDIUM_CHUNKS_MAX, RECORD_BYTES_MAX};
use crate::malware::Engine;
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::suite::sha256;
use crate::{Address, Digest, Error, HospitalId, LogId, Result, Suite, VersionId};

/// First bytes of a manifest.
pub const MAGIC: [u8; 4] = *b"shmm";
/// First bytes of a result.
pub const CHECK_MAGIC: [u8; 4] = *b"shmc";
/// Version of both forms.
pub const VERSION: u8 = 1;
/// Folder on a medium.
pub const FOLDER: &str = "shosoin-medium";

crate::act::codes! {
    /// What kind of medium it is (3.3-H5: kinds are announced).
    MediumKind, "kind of a medium" {
        /// CD, DVD, BD
        Optical = 1 "optical",
        /// hard disk
        Disk = 2 "disk",
        /// tape
        Tape = 3 "tape",
        /// semiconductor memory
        Flash = 4 "flash",
    }

    /// What a station says of a medium.
    MediumVerdict, "verdict on a medium" {
        /// everything is as the manifest says, signed by the hospital, and no malware was found
        Clean = 1 "clean",
        /// malware was found on it
        Infected = 2 "infected",
        /// there is something on it that its manifest does not name
        Foreign = 3 "foreign",
        /// something that its manifest names is missing or is not what it says
        Damaged = 4 "damaged",
        /// it has no manifest that the hospital signed
        Unsigned = 5 "unsigned",
    }
}

/// Which medium of which shipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediumPlace {
    /// id of the shipment
    pub shipment: VersionId,
    /// its number, from 1
    pub number: u16,
    /// media of the shipment
    pub of: u16,
}

impl MediumPlace {
    fn write(&self, out: &mut Writer) {
        out.put(&self.shipment.0).u16(self.number).u16(self.of).zeros(4);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let shipment = VersionId::read(reader)?;
        let (number, of) = (reader.u16("number of the medium")?, reader.u16("media of the shipment")?);
        reader.zeros(4, "reserved bytes of the medium")?;
        match number >= 1 && number <= of {
            true => Ok(MediumPlace { shipment, number, of }),
            false => Err(Error::Invalid { what: "number of the medium", why: "it is not among those of the shipment" }),
        }
    }
}

/// A file of deposits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediumBatch {
    /// bytes
    pub len: u32,
    /// SHA-256 of them
    pub digest: Digest,
}

/// Everything that is on a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediumManifest {
    /// the hospital's algorithms
    pub suite: Suite,
    /// what kind of medium it is
    pub kind: MediumKind,
    /// whose
    pub hospital: HospitalId,
    /// the log that the deposits are for
    pub log: LogId,
    /// which medium
    pub place: MediumPlace,
    /// when it was packed, in milliseconds since 1970
    pub packed_ms: u64,
    /// the device that packed it, as the hospital certified it
    pub device: DeviceChange,
    /// sealed chunks and pages, ascending
    pub chunks: Vec<(Address, u32)>,
    /// batches of deposits, in the order of the device's chain
    pub batches: Vec<MediumBatch>,
}

impl MediumManifest {
    /// Its bytes, signed by the device.
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let content = self.write();
        let signature = key.sign(Domain::Medium, &content);
        [&content[..], &signature.0].concat()
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(256 + 36 * (self.chunks.len() + self.batches.len()));
        out.put(&MAGIC).u8(VERSION).u8(self.suite.code()).u8(self.kind.code()).zeros(1);
        out.put(&self.hospital.0).put(&self.log.0);
        self.place.write(&mut out);
        out.u64(self.packed_ms);
        self.device.key.write(&mut out);
        out.put(&self.device.certificate.0).count(self.chunks.len());
        for (address, len) in &self.chunks {
            out.put(&address.0).u32(*len);
        }
        out.count(self.batches.len());
        for batch in &self.batches {
            out.u32(batch.len).put(&batch.digest.0);
        }
        out.finish()
    }

    /// Reads a manifest that a device of the hospital signed, whose key is `hospital_key`.
    pub fn verify(bytes: &[u8], hospital_key: &PublicKey) -> Result<Self> {
        let cut = Error::Truncated { what: "manifest of a medium", needed: Signature::LEN, left: bytes.len() };
        let (content, signature) = bytes.split_last_chunk::<{ Signature::LEN }>().ok_or(cut)?;
        let manifest = Self::read(content)?;
        manifest.device.verify(manifest.log, hospital_key)?;
        manifest.device.key.verify(Domain::Medium, content, &Signature(*signature))?;
        Ok(manifest)
    }

    fn read(content: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(content, "manifest of a medium");
        if reader.array::<4>("magic of the medium")? != MAGIC {
            return Err(Error::Magic { what: "manifest of a medium" });
        }
        match reader.u8("version of the medium")? {
            VERSION => {}
            found => return Err(Error::Version { what: "manifest of a medium", found, known: VERSION }),
        }
        let suite = Suite::try_from(reader.u8("suite of the medium")?)?;
        let kind = MediumKind::from_code(reader.u8("kind of the medium")?)?;
        reader.zeros(1, "reserved byte of the medium")?;
        let (hospital, log) = (HospitalId::read(&mut reader)?, LogId::read(&mut reader)?);
        let (place, packed_ms) = (MediumPlace::read(&mut reader)?, reader.u64("time of packing")?);
        let key = PublicKey::read(&mut reader)?;
        let certificate = Signature(reader.array("certificate of the device")?);
        if key.suite() != suite {
            return Err(Error::Invalid { what: "device of the medium", why: "its key is not of the hospital's suite" });
        }
        let count = reader.count(MEDIUM_CHUNKS_MAX, "chunks of a medium")?;
        let mut chunks: Vec<(Address, u32)> = Vec::new();
        for _ in 0..count {
            let chunk = (Address::read(&mut reader)?, reader.u32("length of a chunk")?);
            if chunks.last().is_some_and(|last| last.0 >= chunk.0) || chunk.1 as usize > RECORD_BYTES_MAX {
                return Err(Error::Invalid { what: "chunks of a medium", why: "they are ascending and within limits" });
            }
            chunks.push(chunk);
        }
        let count = reader.count(MEDIUM_BATCHES_MAX, "batches of a medium")?;
        let mut batches = Vec::new();
        for _ in 0..count {
            let batch = MediumBatch { len: reader.u32("length of a batch")?, digest: Digest::read(&mut reader)? };
            if batch.len as usize > DEPOSIT_BATCH_BYTES_MAX {
                return Err(Error::Invalid { what: "batches of a medium", why: "one is longer than any" });
            }
            batches.push(batch);
        }
        reader.finish()?;
        let device = DeviceChange { enrol: true, key, certificate };
        Ok(MediumManifest { suite, kind, hospital, log, place, packed_ms, device, chunks, batches })
    }

    /// By which a result names it: of its bytes, signature included.
    pub fn digest_of(bytes: &[u8]) -> Digest {
        sha256(&[bytes])
    }

    /// Name of a chunk's file in the folder.
    pub fn chunk_file(address: &Address) -> String {
        format!("chunks/{address}")
    }

    /// Name of a batch's file in the folder.
    pub fn batch_file(number: usize) -> String {
        format!("deposits/{number:06}")
    }
}

/// What a station says of a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediumCheck {
    /// what it found
    pub verdict: MediumVerdict,
    /// whether the station had a connection to anything while it looked
    pub connected: bool,
    /// the station's key, of suite 1
    pub station: PublicKey,
    /// whose medium
    pub hospital: HospitalId,
    /// which medium
    pub place: MediumPlace,
    /// of the manifest's bytes; zeros where there is none
    pub manifest: Digest,
    /// what scanned
    pub engine: Engine,
    /// files that were scanned
    pub files: u64,
    /// bytes that were scanned
    pub bytes: u64,
    /// when the check ended, in milliseconds since 1970
    pub checked_ms: u64,
}

impl MediumCheck {
    /// Its bytes, signed by the station.
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let content = self.write();
        let signature = key.sign(Domain::MediumCheck, &content);
        [&content[..], &signature.0].concat()
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(256);
        out.put(&CHECK_MAGIC).u8(VERSION).u8(self.verdict.code()).u8(self.connected.into()).zeros(1);
        self.station.write(&mut out);
        out.put(&self.hospital.0);
        self.place.write(&mut out);
        out.put(&self.manifest.0);
        for number in self.engine.release {
            out.u16(number);
        }
        out.zeros(2).u32(self.engine.definitions_version).u64(self.engine.definitions_ms);
        out.u64(self.files).u64(self.bytes).u64(self.checked_ms);
        out.finish()
    }

    /// Reads a result that its own station signed; whether that station is known is for the vault to say.
    pub fn verify(bytes: &[u8]) -> Result<Self> {
        let cut = Error::Truncated { what: "result of a station", needed: Signature::LEN, left: bytes.len() };
        let (content, signature) = bytes.split_last_chunk::<{ Signature::LEN }>().ok_or(cut)?;
        let mut reader = Reader::new(content, "result of a station");
        if reader.array::<4>("magic of the result")? != CHECK_MAGIC {
            return Err(Error::Magic { what: "result of a station" });
        }
        match reader.u8("version of the result")? {
            VERSION => {}
            found => return Err(Error::Version { what: "result of a station", found, known: VERSION }),
        }
        let verdict = MediumVerdict::from_code(reader.u8("verdict")?)?;
        let connected = match reader.u8("connection of the station")? {
            0 => false,
            1 => true,
            _ => return Err(Error::Invalid { what: "connection of the station", why: "it had one or not" }),
        };
        reader.zeros(1, "reserved byte of the result")?;
        let station = PublicKey::read(&mut reader)?;
        let (hospital, place) = (HospitalId::read(&mut reader)?, MediumPlace::read(&mut reader)?);
        let manifest = Digest::read(&mut reader)?;
        let mut release = [0; 3];
        for number in &mut release {
            *number = reader.u16("release of the engine")?;
        }
        reader.zeros(2, "reserved bytes of the result")?;
        let (definitions_version, definitions_ms) = (reader.u32("definitions")?, reader.u64("time of definitions")?);
        let engine = Engine { release, definitions_version, definitions_ms };
        let (files, bytes) = (reader.u64("files")?, reader.u64("bytes")?);
        let checked_ms = reader.u64("time of the check")?;
        reader.finish()?;
        station.verify(Domain::MediumCheck, content, &Signature(*signature))?;
        Ok(MediumCheck { verdict, connected, station, hospital, place, manifest, engine, files, bytes, checked_ms })
    }
}
