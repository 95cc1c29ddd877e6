//! All rows of a view in one stream, for a snapshot; and an empty view that is filled from one.
//!
//! While it is filled a view has no position, so that one that was filled in part is never taken for a view.

use super::row::PositionRow;
use super::{View, key};
use crate::{Error, Result};
use fjall::OwnedWriteBatch;
use shosoin_protocol::LogId;
use shosoin_protocol::codec::Writer;
use shosoin_protocol::merkle::Frontier;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Bytes of rows that go to the database together.
const BATCH_BYTES: usize = 1024 * 1024;

impl View {
    /// Gives all rows as they are at one moment, ascending, in pieces of about `piece_bytes`, each with the rows so far; and
    /// afterwards where the view stood, and the rows in all.
    pub fn dump(
        &self,
        piece_bytes: usize,
        mut give: impl FnMut(&PositionRow, Vec<u8>, u64) -> Result<()>,
    ) -> Result<(PositionRow, u64)> {
        let rows = self.reading();
        let position = rows.decode(key::POSITION, PositionRow::decode)?;
        let position = position.ok_or(Error::Lost { task: "the position of the view" })?;
        let (mut piece, mut count) = (Writer::with_capacity(piece_bytes + 4096), 0);
        for row in rows.range(Vec::new(), None) {
            let (key, value) = row.into_inner().map_err(Error::View)?;
            piece.var(&key).var(&value);
            count += 1;
            if piece.len() >= piece_bytes {
                let full = std::mem::replace(&mut piece, Writer::with_capacity(piece_bytes + 4096));
                give(&position, full.finish(), count)?;
            }
        }
        if !piece.is_empty() {
            give(&position, piece.finish(), count)?;
        }
        Ok((position, count))
    }

    /// Begins to fill this view, which stands at the first leaf.
    pub fn filling(self: Arc<Self>) -> Result<Filling> {
        self.rows.remove(key::POSITION).map_err(Error::View)?;
        let batch = self.database.batch();
        Ok(Filling { view: self, batch, batch_bytes: 0, rows: 0, last: Vec::new(), position: None })
    }

    /// Ends it: from now on the view stands at `position`.
    pub fn filled(&self, mut filling: Filling, position: &PositionRow) -> Result<()> {
        filling.batch.insert(&self.rows, key::POSITION, position.encode());
        filling.batch.commit().map_err(Error::View)?;
        self.acts.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Takes everything out; it stands at the first leaf again.
    pub fn begin_anew(&self, log: LogId) -> Result<PositionRow> {
        self.rows.clear().map_err(Error::View)?;
        let start = PositionRow { log, frontier: Frontier::default(), checkpoint: String::new() };
        self.rows.insert(key::POSITION, start.encode()).map_err(Error::View)?;
        Ok(start)
    }
}

/// A view that is being filled.
pub struct Filling {
    view: Arc<View>,
    batch: OwnedWriteBatch,
    batch_bytes: usize,
    rows: u64,
    last: Vec<u8>,
    position: Option<PositionRow>,
}

impl Filling {
    /// Takes the next row. Keys must ascend.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if self.rows > 0 && self.last.as_slice() >= key {
            let why = "its rows do not ascend".to_owned();
            return Err(Error::Contradiction { operation: "a snapshot of the view", why });
        }
        self.rows += 1;
        self.last.clear();
        self.last.extend_from_slice(key);
        if key == key::POSITION {
            self.position = Some(PositionRow::decode(value).map_err(Error::ViewDamaged)?);
            return Ok(());
        }
        self.batch.insert(&self.view.rows, key, value);
        self.batch_bytes += key.len() + value.len();
        if self.batch_bytes >= BATCH_BYTES {
            let full = std::mem::replace(&mut self.batch, self.view.database.batch());
            full.commit().map_err(Error::View)?;
            self.batch_bytes = 0;
        }
        Ok(())
    }

    /// Rows so far, and where they say that the view stands.
    pub fn position(&self) -> (u64, Option<PositionRow>) {
        (self.rows, self.position.clone())
    }
}
