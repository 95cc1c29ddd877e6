//! Snapshots of a view: what a gateway knows of names, sealed, so that another need not read the whole ledger again.
//!
//! - A snapshot stands behind a number of leaves whose root it names: it is worth nothing for any other ledger.
//! - Its pieces are sealed under a key of the hospital that all of this is bound into. Who does not know the root of the
//!   hospital can neither read nor make one.
//! - It is a help and no record: whoever cannot use it reads the ledger. A disposal ends every snapshot made before it.

use crate::codec::{Reader, Writer};
use crate::limits::{CHUNK_PLAIN_BYTES_MAX, SNAPSHOT_PIECES_MAX};
use crate::sign::{PublicKey, Signature};
use crate::{Address, Digest, Error, Result};

/// One piece of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPiece {
    /// bytes of plain text
    pub plain_len: u32,
    /// hash of the sealed bytes
    pub address: Address,
}

/// A snapshot of the view of a hospital.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// form of its rows; a client that has another form cannot use it
    pub form: u8,
    /// leaves that it has applied
    pub log_size: u64,
    /// root over them
    pub root: Digest,
    /// rows in it
    pub rows: u64,
    /// salt of the secrets of its pieces
    pub salt: [u8; 32],
    /// key of the device that states it
    pub device: PublicKey,
    /// the hospital's certificate for it, as when it was enrolled
    pub certificate: Signature,
    /// its pieces, in their order
    pub pieces: Vec<SnapshotPiece>,
}

impl Snapshot {
    /// Refuses one that cannot be.
    pub fn check(&self) -> Result<()> {
        let lengths = self.pieces.iter().all(|piece| (1..=CHUNK_PLAIN_BYTES_MAX).contains(&piece.plain_len));
        let why = match () {
            () if self.log_size == 0 => "it stands behind nothing",
            () if self.pieces.is_empty() => "it has no pieces",
            () if self.pieces.len() > SNAPSHOT_PIECES_MAX => "it has too many pieces",
            () if !lengths => "a piece is empty, or longer than a chunk",
            () => return Ok(()),
        };
        Err(Error::Invalid { what: "snapshot", why })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.form).zeros(7).u64(self.log_size).put(&self.root.0).u64(self.rows).put(&self.salt);
        self.device.write(out);
        out.put(&self.certificate.0).count(self.pieces.len());
        for piece in &self.pieces {
            out.u32(piece.plain_len).put(&piece.address.0);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let form = reader.u8("form of the snapshot")?;
        reader.zeros(7, "reserved bytes of the snapshot")?;
        let (log_size, root) = (reader.u64("leaves")?, Digest::read(reader)?);
        let (rows, salt) = (reader.u64("rows")?, reader.array("salt")?);
        let (device, certificate) = (PublicKey::read(reader)?, Signature::read(reader)?);
        let count = reader.count(SNAPSHOT_PIECES_MAX, "pieces of the snapshot")?;
        let mut pieces = Vec::with_capacity(count);
        for _ in 0..count {
            pieces.push(SnapshotPiece { plain_len: reader.u32("plain length")?, address: Address::read(reader)? });
        }
        let snapshot = Snapshot { form, log_size, root, rows, salt, device, certificate, pieces };
        snapshot.check().map(|()| snapshot)
    }
}
