//! Pieces of a snapshot of the view: chunks whose secret is derived from where they stand, so that the document of the snapshot
//! needs to name no secret, and a piece of another snapshot, ledger, hospital or place does not open.

use crate::chunk::{Codec, Scratch, SealedChunk};
use crate::seal::AwsLc;
use crate::secret::SecretKey;
use crate::{Keyring, Result, derive};
use bytes::Bytes;
use shosoin_protocol::Digest;
use shosoin_protocol::act::SnapshotPiece;
use shosoin_protocol::manifest::ChunkRef;

/// What all pieces of a snapshot have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPlace {
    /// form of the rows
    pub form: u8,
    /// leaves that were applied
    pub log_size: u64,
    /// root over them
    pub root: Digest,
    /// random, fresh for each snapshot: with it no secret ever meets two pieces
    pub salt: [u8; 32],
}

impl Keyring {
    /// Seals piece `number` of a snapshot, opens it again and compares.
    pub fn seal_snapshot_piece(
        &self,
        place: &SnapshotPlace,
        number: u32,
        plain: &[u8],
        scratch: &mut Scratch,
    ) -> Result<SealedChunk> {
        let secret = self.snapshot_secret(place, number);
        self.seal_chunk_as::<AwsLc>(0, Codec::Zstd, plain, scratch, |_, _| Ok(secret))
    }

    /// Opens piece `number`; address, commitment, tag and length are verified first.
    pub fn open_snapshot_piece(
        &self,
        place: &SnapshotPlace,
        number: u32,
        piece: &SnapshotPiece,
        stored: &[u8],
    ) -> Result<Bytes> {
        let t = *self.snapshot_secret(place, number).as_bytes();
        self.open_chunk(&ChunkRef { address: piece.address, t, plain_len: piece.plain_len }, stored)
    }

    fn snapshot_secret(&self, place: &SnapshotPlace, number: u32) -> SecretKey {
        let SnapshotPlace { form, log_size, root, salt } = place;
        let at: [&[u8]; 4] = [&[*form], &log_size.to_le_bytes(), &root.0, &number.to_le_bytes()];
        derive::snapshot_piece(self.view_key(), salt, &at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::Suite;

    #[test]
    fn a_piece_opens_at_its_own_place_and_nowhere_else() {
        for suite in Suite::ALL {
            let (keyring, other) = (Keyring::generate(suite).unwrap(), Keyring::generate(suite).unwrap());
            let place = SnapshotPlace { form: 5, log_size: 9, root: Digest([1; 32]), salt: [2; 32] };
            let plain = b"rows ".repeat(40_000);
            let sealed = keyring.seal_snapshot_piece(&place, 3, &plain, &mut Scratch::default()).unwrap();
            let piece = SnapshotPiece { plain_len: sealed.chunk.plain_len, address: sealed.chunk.address };
            assert!(sealed.bytes.len() < plain.len() / 4, "it is coded");
            assert_eq!(keyring.open_snapshot_piece(&place, 3, &piece, &sealed.bytes).unwrap(), plain);
            for elsewhere in [
                SnapshotPlace { form: 6, ..place },
                SnapshotPlace { log_size: 10, ..place },
                SnapshotPlace { root: Digest([3; 32]), ..place },
                SnapshotPlace { salt: [3; 32], ..place },
            ] {
                assert!(keyring.open_snapshot_piece(&elsewhere, 3, &piece, &sealed.bytes).is_err());
            }
            assert!(keyring.open_snapshot_piece(&place, 4, &piece, &sealed.bytes).is_err());
            assert!(other.open_snapshot_piece(&place, 3, &piece, &sealed.bytes).is_err());
            let mut altered = sealed.bytes.clone();
            altered[200] ^= 1;
            assert!(keyring.open_snapshot_piece(&place, 3, &piece, &altered).is_err());
        }
    }
}
