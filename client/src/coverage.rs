//! Coverage: which records still depend on which epoch and suite, and how many bytes that is.
//!
//! - A version depends on the epoch of the newest wrap that the vault gives for it. The wrap is opened, and must bring the key
//!   that the signed deposit commits to: what is counted is true, and not what the vault says.
//! - Older wraps may still be on media. What they protect is told by `exposure`, not here.

use crate::pages::{ProvedPages, WalkProgress};
use crate::rewrap::Wrapped;
use crate::task::blocking;
use crate::{Client, Result};
use bytes::Bytes;
use shosoin_keyring::{Keyring, WrapPlace};
use shosoin_protocol::api::LogItem;
use shosoin_protocol::limits::{LOG_PAGE_ENTRIES_MAX, REWRAP_MAX};
use shosoin_protocol::manifest::Summary;
use shosoin_protocol::{Suite, VersionId};
use std::collections::BTreeMap;

/// What a version depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependence {
    /// epoch of its newest wrap
    pub epoch: u32,
    /// suite that it was sealed in
    pub suite: Suite,
}

/// One version and what it depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// the version
    pub version: VersionId,
    /// bucket and name, where its summary opens
    pub name: Option<(String, String)>,
    /// what it depends on
    pub on: Dependence,
    /// sealed bytes
    pub stored_bytes: u64,
}

/// How many versions depend on what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CoverageReport {
    /// leaves of the ledger that were read
    pub leaves: u64,
    /// newest epoch
    pub epoch: u32,
    /// versions and sealed bytes by what they depend on
    pub on: BTreeMap<Dependence, (u64, u64)>,
    /// versions without a wrap: disposed of
    pub gone: u64,
    /// versions whose wrap does not open, at most a thousand of them, and why
    pub failed: Vec<(VersionId, String)>,
    /// how many those are
    pub failed_count: u64,
}

/// Failures that a report names.
const NAMED_MAX: usize = 1000;

impl Client {
    /// Reads the whole ledger and opens every wrap. `each` is told of every version that `wanted` asks for, with its name.
    pub async fn coverage(
        &self,
        wanted: impl Fn(&Dependence) -> bool + Send + Sync,
        mut each: impl FnMut(Covered) + Send,
        progress: &(dyn Fn(WalkProgress) + Send + Sync),
    ) -> Result<CoverageReport> {
        let mut walk = ProvedPages::begin(self, Default::default()).await?;
        let mut report = CoverageReport { leaves: walk.leaves(), epoch: self.epoch()?, ..CoverageReport::default() };
        let mut waiting: Vec<(Wrapped, LogItem)> = Vec::new();
        progress(walk.progress(0));
        loop {
            let page = walk.next().await?;
            let at_end = page.is_none();
            waiting.extend(page.into_iter().flatten().filter_map(|item| Some((Wrapped::of(&item)?, item))));
            if !at_end && waiting.len() <= REWRAP_MAX - LOG_PAGE_ENTRIES_MAX {
                continue;
            }
            for (item, opened) in self.dependences(std::mem::take(&mut waiting)).await? {
                report.take(&self.inner.keyring, item, opened, &wanted, &mut each);
            }
            progress(walk.progress(report.versions() + report.gone + report.failed_count));
            if at_end {
                return Ok(report);
            }
        }
    }

    /// Opens the newest wraps of these deposits; none where there is no wrap any more.
    async fn dependences(&self, deposits: Vec<(Wrapped, LogItem)>) -> Result<Vec<(LogItem, Opened)>> {
        if deposits.is_empty() {
            return Ok(Vec::new());
        }
        let (wrapped, items): (Vec<Wrapped>, Vec<LogItem>) = deposits.into_iter().unzip();
        let wraps = self.newest_wraps(&wrapped).await?;
        let keyring = self.inner.keyring.clone();
        let open = move || {
            let opened = wrapped.iter().zip(&wraps).map(|(deposit, wrap)| Opened::of(&keyring, deposit, wrap));
            Ok(items.into_iter().zip(opened).collect())
        };
        blocking("opening wraps", open).await
    }
}

/// What became of one wrap.
struct Opened {
    version: VersionId,
    stored_bytes: u64,
    place: Option<Result<WrapPlace, String>>,
}

impl Opened {
    fn of(keyring: &Keyring, deposit: &Wrapped, wrap: &Bytes) -> Self {
        let Wrapped { version, dek_commit, stored_bytes } = *deposit;
        let open = || {
            keyring.unwrap(version, wrap, &dek_commit)?;
            keyring.wrap_place(wrap)
        };
        let place = (!wrap.is_empty()).then(|| open().map_err(|error: shosoin_keyring::Error| error.to_string()));
        Opened { version, stored_bytes, place }
    }
}

impl CoverageReport {
    fn take(
        &mut self,
        keyring: &Keyring,
        item: LogItem,
        opened: Opened,
        wanted: &impl Fn(&Dependence) -> bool,
        each: &mut impl FnMut(Covered),
    ) {
        let Opened { version, stored_bytes, place } = opened;
        let place = match place {
            None => return self.gone += 1,
            Some(Err(why)) => {
                self.failed_count += 1;
                if self.failed.len() < NAMED_MAX {
                    self.failed.push((version, why));
                }
                return;
            }
            Some(Ok(place)) => place,
        };
        let on = Dependence { epoch: place.epoch, suite: item.placed.entry.statement().suite };
        let (count, bytes) = self.on.entry(on).or_default();
        *count += 1;
        *bytes += stored_bytes;
        if wanted(&on) {
            let name = match keyring.open_summary(version, &item.attachment) {
                Ok(Summary::Object(facts)) => Some((facts.bucket, facts.name)),
                _ => None,
            };
            each(Covered { version, name, on, stored_bytes });
        }
    }

    /// Versions with a wrap that opens.
    pub fn versions(&self) -> u64 {
        self.on.values().map(|(count, _)| count).sum()
    }
}
