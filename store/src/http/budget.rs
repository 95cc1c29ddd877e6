//! Bytes of bodies in memory at one time, over all connections. A caller waits for room before its body is read, and a
//! reply holds its room until the last byte has left.

use super::reply::Refusal;
use bytes::Bytes;
use shosoin_protocol::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is counted in pieces of this many bytes, so that counts fit the semaphore.
const PIECE_BYTES: usize = 4096;

/// Room for bodies.
#[derive(Clone)]
pub(super) struct Budget {
    pieces: Arc<Semaphore>,
    patience: Duration,
}

impl Budget {
    /// Room for `bytes_max`, and how long a caller waits for some of it.
    pub(super) fn new(bytes_max: usize, patience: Duration) -> Self {
        Budget { pieces: Arc::new(Semaphore::new(bytes_max / PIECE_BYTES)), patience }
    }

    /// How long to wait for a peer.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Waits for room for a body of up to `bytes`.
    pub(super) async fn reserve(&self, bytes: usize) -> Result<Room, Refusal> {
        let pieces = u32::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX);
        match tokio::time::timeout(self.patience, self.pieces.clone().acquire_many_owned(pieces)).await {
            Ok(Ok(permit)) => Ok(Room(permit)),
            _ => Err(Refusal::new(ErrorKind::Unavailable, "busy", "the vault has no memory free for another body")),
        }
    }
}

/// Room that was reserved.
pub(super) struct Room(OwnedSemaphorePermit);

impl Room {
    /// Ties the room to the bytes that use it, and gives back what they do not need.
    pub(super) fn hold(mut self, bytes: Bytes) -> Bytes {
        let spare = self.0.num_permits().saturating_sub(bytes.len().div_ceil(PIECE_BYTES));
        drop(self.0.split(spare));
        Bytes::from_owner(Held { bytes, _room: self })
    }
}

struct Held {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_gives_its_room_back_when_it_is_dropped_and_the_unused_part_at_once() {
        let budget = Budget::new(10 * PIECE_BYTES, Duration::from_millis(1));
        let body = budget
            .reserve(10 * PIECE_BYTES)
            .await
            .unwrap_or_else(|_| panic!("all is free"))
            .hold(Bytes::from(vec![0; 4097]));
        assert_eq!(budget.pieces.available_permits(), 8);
        let slice = body.slice(1..2);
        drop(body);
        assert_eq!(budget.pieces.available_permits(), 8);
        drop(slice);
        assert_eq!(budget.pieces.available_permits(), 10);
    }

    #[tokio::test]
    async fn a_caller_who_finds_no_room_is_told_to_come_back() {
        let budget = Budget::new(PIECE_BYTES, Duration::from_millis(1));
        let _all = budget.reserve(1).await;
        let refusal = budget.reserve(1).await.err().map(|refusal| refusal.kind());
        assert_eq!(refusal, Some(ErrorKind::Unavailable));
    }
}
