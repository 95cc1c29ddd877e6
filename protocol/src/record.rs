//! Records: what a segment holds. The media layer knows their kind, length and address, and nothing else.

use crate::{Error, Result};

/// What a record on media is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RecordKind {
    /// A sealed chunk.
    Chunk = 1,
    /// A sealed manifest page.
    Manifest = 2,
    /// The addresses of one version, in clear, sorted.
    AddressList = 3,
    /// A data key under a key-encryption key.
    Wrap = 4,
    /// A sealed summary of one version.
    Summary = 5,
    /// A ledger entry with its leaf index.
    Entry = 6,
    /// A signed ledger head.
    Checkpoint = 7,
    /// What an act says, in clear.
    Document = 8,
}

impl RecordKind {
    /// Every kind, by code.
    pub const ALL: [RecordKind; 8] = [
        RecordKind::Chunk,
        RecordKind::Manifest,
        RecordKind::AddressList,
        RecordKind::Wrap,
        RecordKind::Summary,
        RecordKind::Entry,
        RecordKind::Checkpoint,
        RecordKind::Document,
    ];

    /// The code on media.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl TryFrom<u8> for RecordKind {
    type Error = Error;

    fn try_from(code: u8) -> Result<Self> {
        let known = RecordKind::ALL.into_iter().find(|kind| kind.code() == code);
        known.ok_or(Error::Invalid { what: "record kind", why: "no such code" })
    }
}
