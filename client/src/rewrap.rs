//! Wrapping data keys anew under the newest epoch: every deposit of the ledger, without touching what the keys seal.
//!
//! ```text
//! ledger ── deposits ── newest wraps, thousands at a time ── opened, wrapped, opened again ── act ── cursor
//! ```
//!
//! Invariants
//! - A new wrap leaves this machine only after it was opened and gave the key that the signed deposit commits to.
//! - The cursor is saved behind the act: killed anywhere, the next run does at most one act's worth twice, and finds it done.
//! - A key that does not open is told and left as it is; the others go on.
//!
//! Not here: what compaction makes of the old wraps (`store`).

mod cursor;

use crate::pages::{ProvedPages, WalkProgress};
use crate::retry::repeat;
use crate::task::blocking;
use crate::{Client, Error, Result};
use bytes::Bytes;
use cursor::Cursor;
use shosoin_keyring::{Keyring, WrapPlace};
use shosoin_protocol::act::{Document, Rewrap};
use shosoin_protocol::api::{InlineRecord, LogItem};
use shosoin_protocol::entry::Body;
use shosoin_protocol::limits::{LOG_PAGE_ENTRIES_MAX, REWRAP_MAX};
use shosoin_protocol::{Address, Digest, RecordKind, VersionId};

/// Failures that a report names; more are counted.
const NAMED_MAX: usize = 1000;

/// What wrapping anew came to, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RewrapReport {
    /// the epoch that wraps are of now
    pub epoch: u32,
    /// leaf that this run began at: more than 0 where an earlier one was stopped
    pub began_at: u64,
    /// leaves of the ledger that were read, earlier runs of the same job included
    pub leaves: u64,
    /// deposits among them
    pub counts: Counts,
    /// acts that name new wraps
    pub acts: u64,
    /// versions whose key did not open, and why; at most a thousand of them
    pub failed: Vec<(VersionId, String)>,
}

/// How to wrap anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewrapOptions {
    /// only count; nothing is changed
    pub dry_run: bool,
    /// wraps in one act, at most [`REWRAP_MAX`]
    pub act_wraps_max: usize,
}

impl Default for RewrapOptions {
    fn default() -> Self {
        RewrapOptions { dry_run: false, act_wraps_max: REWRAP_MAX }
    }
}

/// Deposits by what became of their wrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// wrapped anew, or with a dry run would be
    pub rewrapped: u64,
    /// wrapped under the newest epoch before
    pub already: u64,
    /// without a wrap: disposed of
    pub gone: u64,
    /// with a wrap that does not open
    pub failed: u64,
}

/// A deposit whose wrap is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wrapped {
    pub(crate) version: VersionId,
    pub(crate) dek_commit: Digest,
    pub(crate) stored_bytes: u64,
}

impl Wrapped {
    /// The deposits of a page.
    pub(crate) fn of(item: &LogItem) -> Option<Wrapped> {
        match item.placed.entry.body() {
            Body::Deposit(deposit) => {
                let (version, dek_commit, stored_bytes) = (deposit.version, deposit.dek_commit, deposit.stored_bytes);
                Some(Wrapped { version, dek_commit, stored_bytes })
            }
            _ => None,
        }
    }
}

impl Client {
    /// Wraps every data key that is not of the newest epoch yet; goes on where a run before was stopped.
    pub async fn rewrap(
        &self,
        options: RewrapOptions,
        progress: &(dyn Fn(WalkProgress) + Send + Sync),
    ) -> Result<RewrapReport> {
        self.refresh().await?;
        let epoch = self.wrapping_epoch()?;
        let file = cursor::File::of(self, epoch);
        let begun = if options.dry_run { None } else { file.load().await? };
        let Cursor { frontier, mut counts, mut acts } = begun.unwrap_or_default();
        let (began_at, before) = (frontier.size(), counts.deposits());
        let (mut walk, mut failed) = (ProvedPages::begin(self, frontier).await?, Vec::new());
        let mut waiting: Vec<Wrapped> = Vec::new();
        progress(walk.progress(0));
        loop {
            let page = walk.next().await?;
            waiting.extend(page.iter().flatten().filter_map(Wrapped::of));
            if page.is_some() && waiting.len() <= REWRAP_MAX - LOG_PAGE_ENTRIES_MAX {
                continue;
            }
            let done = self.wrapped_anew(std::mem::take(&mut waiting), epoch).await?;
            counts = counts.plus(done.counts);
            failed.extend(done.failed);
            failed.truncate(NAMED_MAX);
            if !options.dry_run {
                for wraps in done.wraps.chunks(options.act_wraps_max.clamp(1, REWRAP_MAX)) {
                    self.state_wraps(epoch, wraps).await?;
                    acts += 1;
                }
                file.save(Cursor { frontier: walk.frontier().clone(), counts, acts }).await?;
            }
            progress(walk.progress(counts.deposits() - before));
            if page.is_none() {
                break;
            }
        }
        if !options.dry_run {
            file.remove().await?;
        }
        Ok(RewrapReport { epoch, began_at, leaves: walk.leaves(), counts, acts, failed })
    }

    /// Fetches the newest wraps and makes new ones where they are of another epoch.
    async fn wrapped_anew(&self, deposits: Vec<Wrapped>, epoch: u32) -> Result<Done> {
        if deposits.is_empty() {
            return Ok(Done::default());
        }
        let wraps = self.newest_wraps(&deposits).await?;
        let keyring = self.inner.keyring.clone();
        let make = move || {
            let mut done = Done::default();
            for (deposit, wrap) in deposits.iter().zip(&wraps) {
                done.take(&keyring, deposit, wrap, epoch);
            }
            Ok(done)
        };
        blocking("wrapping data keys", make).await
    }

    /// The newest wrap of each of these deposits, empty where there is none any more.
    pub(crate) async fn newest_wraps(&self, deposits: &[Wrapped]) -> Result<Vec<Bytes>> {
        let versions: Vec<VersionId> = deposits.iter().map(|deposit| deposit.version).collect();
        let wraps = repeat(|| self.inner.transport.wraps(&versions)).await?;
        match wraps.len() == versions.len() {
            true => Ok(wraps),
            false => {
                let why = format!("{} wraps of {} versions", wraps.len(), versions.len());
                Err(Error::Contradiction { operation: "the newest wraps", why })
            }
        }
    }

    /// Names new wraps in the ledger, and sends them along.
    async fn state_wraps(&self, epoch: u32, wraps: &[(VersionId, Bytes)]) -> Result<()> {
        let suite = self.inner.keyring.suite();
        let named: Vec<(VersionId, Address)> =
            wraps.iter().map(|(version, wrap)| (*version, suite.address(wrap))).collect();
        let rewrap = Rewrap::new(epoch, named);
        let rewrap = rewrap.map_err(|source| Error::Answer { operation: "entries of the ledger", source })?;
        let record = |(_, bytes): &(VersionId, Bytes)| InlineRecord { kind: RecordKind::Wrap, bytes: bytes.clone() };
        let records = wraps.iter().map(record).collect();
        self.state_with(None, Document::Rewrap(rewrap), records).await.map(drop)
    }
}

/// What one round of deposits came to.
#[derive(Default)]
struct Done {
    wraps: Vec<(VersionId, Bytes)>,
    counts: Counts,
    failed: Vec<(VersionId, String)>,
}

impl Done {
    fn take(&mut self, keyring: &Keyring, deposit: &Wrapped, wrap: &Bytes, epoch: u32) {
        if wrap.is_empty() {
            self.counts.gone += 1;
            return;
        }
        let place = keyring.wrap_place(wrap);
        if place.as_ref().is_ok_and(|WrapPlace { epoch: of, .. }| *of == epoch) {
            self.counts.already += 1;
            return;
        }
        let fresh = place.and_then(|_| keyring.rewrap(deposit.version, wrap, &deposit.dek_commit, epoch));
        match fresh {
            Ok(fresh) => {
                self.counts.rewrapped += 1;
                self.wraps.push((deposit.version, fresh.into()));
            }
            Err(error) => {
                self.counts.failed += 1;
                self.failed.push((deposit.version, error.to_string()));
            }
        }
    }
}

impl Counts {
    fn plus(self, more: Counts) -> Counts {
        Counts {
            rewrapped: self.rewrapped + more.rewrapped,
            already: self.already + more.already,
            gone: self.gone + more.gone,
            failed: self.failed + more.failed,
        }
    }

    /// Deposits looked at.
    pub fn deposits(&self) -> u64 {
        self.rewrapped + self.already + self.gone + self.failed
    }
}
