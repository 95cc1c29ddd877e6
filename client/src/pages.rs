//! Reading the ledger once more, from some leaf to the newest head, for work that goes over everything that was deposited.
//!
//! - The leaves of every page are hashed onto those before it and proved to be a prefix of a head that was verified, whose
//!   entries were checked one by one when the view took them. So a page that is given out shows what the view was made from.
//! - Where it stands is a [`Frontier`]: kept in a file, it goes on from there after a restart.

use crate::ledger::Head;
use crate::retry::repeat;
use crate::{Client, Error, Result};
use shosoin_protocol::api::LogItem;
use shosoin_protocol::limits::LOG_PAGE_ENTRIES_MAX;
use shosoin_protocol::merkle::{self, Frontier};

/// What is asked of the vault here.
const OPERATION: &str = "entries of the ledger";

/// The ledger page by page, to the head that was newest when it began.
pub struct ProvedPages<'a> {
    client: &'a Client,
    begun_at: u64,
    frontier: Frontier,
    end: Head,
}

/// How far work over the whole ledger has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkProgress {
    /// leaves that were done before, by a run that was stopped
    pub leaves_before: u64,
    /// leaves done
    pub leaves: u64,
    /// leaves in all
    pub leaves_total: u64,
    /// versions done in this run
    pub versions: u64,
}

impl<'a> ProvedPages<'a> {
    /// Catches up with the vault, and begins after the leaves of `frontier`.
    pub async fn begin(client: &'a Client, frontier: Frontier) -> Result<ProvedPages<'a>> {
        client.refresh().await?;
        let end = client.inner.ledger.head().ok_or(Error::Lost { task: "the remembered head" })?;
        match frontier.size() <= end.size() {
            true => Ok(ProvedPages { client, begun_at: frontier.size(), frontier, end }),
            false => Err(Error::Invalid { what: "place in the ledger", why: "it is behind the ledger's end" }),
        }
    }

    /// Where it stands.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Leaves in all.
    pub fn leaves(&self) -> u64 {
        self.end.size()
    }

    /// How far it has come, with that many versions in this run.
    pub fn progress(&self, versions: u64) -> WalkProgress {
        let (leaves_before, leaves) = (self.begun_at, self.frontier.size());
        WalkProgress { leaves_before, leaves, leaves_total: self.leaves(), versions }
    }

    /// The next entries with what they name, proved to be in the ledger; nothing at its end.
    pub async fn next(&mut self) -> Result<Option<Vec<LogItem>>> {
        let (from, end) = (self.frontier.size(), self.end.size());
        if from == end {
            return Ok(None);
        }
        let transport = &self.client.inner.transport;
        let count = u32::try_from((end - from).min(LOG_PAGE_ENTRIES_MAX as u64)).unwrap_or(u32::MAX);
        let page = repeat(|| transport.log_entries(from, count)).await?;
        let starts = page.items.first().map(|item| item.placed.index);
        if starts != Some(from) || page.items.len() as u64 > end - from {
            let why = format!("a page of {} entries does not go on at {from}", page.items.len());
            return Err(Error::Contradiction { operation: OPERATION, why });
        }
        let mut frontier = self.frontier.clone();
        page.items.iter().for_each(|item| frontier.push(item.placed.entry.leaf_hash(), |_, _| {}));
        let (size, root) = (frontier.size(), frontier.root());
        let proof = match size == end {
            true => Vec::new(),
            false => repeat(|| transport.consistency(size, end)).await?,
        };
        let proved = merkle::verify_consistency((size, &root), (end, &self.end.checkpoint().root), &proof);
        if proved.is_err() {
            let why = format!("its entries up to {size} do not lead to the head of {end} leaves that was verified");
            return Err(Error::Contradiction { operation: OPERATION, why });
        }
        self.frontier = frontier;
        Ok(Some(page.items))
    }
}
