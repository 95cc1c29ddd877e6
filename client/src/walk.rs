//! Reading the ledger once more, from its first entry on, and holding what is read to a signed head: for whoever looks for
//! records that the view does not show, or counts.
//!
//! Invariant: nothing that was seen may be believed before the walk has ended well, because only then the entries are proved.

use crate::retry::repeat;
use crate::{Client, Error, Result};
use shosoin_protocol::api::LogItem;
use shosoin_protocol::limits::LOG_PAGE_ENTRIES_MAX;
use shosoin_protocol::merkle::Frontier;

/// What is asked during a walk.
const OPERATION: &str = "the ledger";

impl Client {
    /// Shows every entry of the ledger up to the newest head, in order, and proves afterwards that these were the entries
    /// under it. Gives the size of that head.
    pub(crate) async fn walk(&self, visit: &mut (dyn FnMut(u64, &LogItem) -> Result<()> + Send)) -> Result<u64> {
        self.inner.ledger.refresh().await?;
        let Some(head) = self.inner.ledger.head() else { return Ok(0) };
        let frontier = self.pages(head.size(), visit).await?;
        match frontier.root() == head.checkpoint().root {
            true => Ok(head.size()),
            false => {
                let why = format!("its entries do not lead to the root of its head of {} entries", head.size());
                Err(Error::Contradiction { operation: OPERATION, why })
            }
        }
    }

    /// Shows the first `size` entries and gives the tree over them, which proves nothing by itself.
    pub(crate) async fn pages(
        &self,
        size: u64,
        visit: &mut (dyn FnMut(u64, &LogItem) -> Result<()> + Send),
    ) -> Result<Frontier> {
        let mut frontier = Frontier::default();
        while frontier.size() < size {
            let from = frontier.size();
            let count = u32::try_from((size - from).min(LOG_PAGE_ENTRIES_MAX as u64)).unwrap_or(u32::MAX);
            let page = repeat(|| self.inner.transport.log_entries(from, count)).await?;
            if page.items.is_empty() || page.items.len() as u64 > u64::from(count) {
                let why = format!("a page of {} entries from {from} on was asked for {count}", page.items.len());
                return Err(Error::Contradiction { operation: OPERATION, why });
            }
            for item in &page.items {
                let index = frontier.size();
                frontier.push(item.placed.entry.leaf_hash(), |_, _| {});
                visit(index, item)?;
            }
        }
        Ok(frontier)
    }
}
