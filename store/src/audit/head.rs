//! The head file: which record is the newest, so that an end cut off is noticed. Two slots a block apart, written in turn
//! and in place, so that a torn write spoils only the older one.
//!
//! Who can write the vault's disk can write this file too: it finds accidents, and the copies on volumes find the rest.

use crate::audit::file::Tip;
use crate::error::{Error, Result};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, Error as FormatError};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Name of the file.
pub const FILE: &str = "head";
/// First bytes of each slot.
pub const MAGIC: [u8; 4] = *b"shah";
/// Version of a slot.
pub const VERSION: u8 = 1;
/// Bytes of a slot.
pub const SLOT_LEN: usize = 96;
/// Where the second slot begins: no block holds both.
pub const SLOT_STEP: u64 = 4096;

/// Where the log ended when it was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// number of its newest file
    pub file: u32,
    /// bytes of that file
    pub len: u64,
    /// where the chain stood
    pub tip: Tip,
}

impl Head {
    /// The bytes of a slot.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(SLOT_LEN);
        out.put(&MAGIC).u8(VERSION).zeros(3).u32(self.file).zeros(4).u64(self.len).u64(self.tip.seq);
        out.put(&self.tip.digest.0);
        let mut bytes = out.finish();
        let checksum = sha256(&[&bytes]);
        bytes.extend_from_slice(&checksum.0);
        bytes
    }

    /// Parses and checks one.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(bytes, "audit head");
        let covered = Reader::new(bytes, "audit head").take(SLOT_LEN - Digest::LEN, "audit head")?;
        if reader.array::<4>("audit head magic")? != MAGIC {
            return Err(FormatError::Magic { what: "audit head" });
        }
        match reader.u8("audit head version")? {
            VERSION => {}
            found => return Err(FormatError::Version { what: "audit head", found, known: VERSION }),
        }
        reader.zeros(3, "audit head padding")?;
        let file = reader.u32("audit file number")?;
        reader.zeros(4, "audit head padding")?;
        let (len, seq) = (reader.u64("audit file length")?, reader.u64("audit number")?);
        let tip = Tip { seq, digest: Digest::read(&mut reader)? };
        let found = Digest::read(&mut reader)?;
        reader.finish()?;
        let expected = sha256(&[covered]);
        match expected == found {
            true => Ok(Head { file, len, tip }),
            false => {
                let (expected, found) = (expected.to_string(), found.to_string());
                Err(FormatError::Mismatch { what: "checksum of the audit head", expected, found })
            }
        }
    }
}

/// The open head file.
#[derive(Debug)]
pub struct HeadFile {
    file: File,
    path: PathBuf,
    next_slot: u64,
}

impl HeadFile {
    /// Opens or makes the file in the folder `dir`, with the newest good slot in it.
    pub fn open(dir: &Path) -> Result<(Self, Option<Head>)> {
        let path = dir.join(FILE);
        let failed = |source| Error::Io { action: "open", path: dir.join(FILE), source };
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(failed)?;
        let read = |slot: u64| {
            let mut bytes = [0; SLOT_LEN];
            file.read_exact_at(&mut bytes, slot * SLOT_STEP).ok()?;
            Head::decode(&bytes).ok()
        };
        let slots = [read(0), read(1)];
        let newest = slots.iter().flatten().max_by_key(|head| (head.tip.seq, head.file)).copied();
        let next_slot = u64::from(slots[0].is_some() && slots[0] == newest);
        Ok((HeadFile { file, path, next_slot }, newest))
    }

    /// Remembers `head`, durably.
    pub fn write(&mut self, head: &Head) -> Result<()> {
        let written = self.file.write_all_at(&head.encode(), self.next_slot * SLOT_STEP);
        let written = written.and_then(|()| self.file.sync_data());
        written.map_err(|source| Error::Io { action: "write", path: self.path.clone(), source })?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }
}
