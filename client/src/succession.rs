//! Moving a hospital to another suite: its records sealed anew into the ledger of a second hospital id of the same hospital,
//! whose keys and signatures are of that suite, and the policy that ends storing in the weaker one.
//!
//! Invariants
//! - Nothing of the old ledger is touched but for acts: everything in it stays readable, and is kept as long as before.
//! - What is in the new ledger was compared with what was read; a run that was killed goes on.
//! - The least suite only rises; the vault refuses what is below it, and a client refuses a ledger that has taken it.

use crate::reseal::{asked, keep_alike, successor_id, with_causes};
use crate::{
    Client, Condition, Error, Fate, ResealProgress, ResealReport, Result, Selected, Selection, Stated, VersionsQuery,
};
use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use shosoin_protocol::act::{Document, SuitePolicy};
use shosoin_protocol::{Suite, VersionId};
use std::collections::BTreeMap;

/// Names that move at a time; versions of one name move in their order.
const AT_ONCE: usize = 8;
/// Successors named by one entry.
const PAIRS: usize = 256;

impl Client {
    /// The weakest suite that is still stored in here, and under which hospital id storing goes on, where an act says so.
    pub fn suite_policy(&self) -> Result<Option<SuitePolicy>> {
        self.inner.view.suite_policy().map(|row| match row.map(|row| row.document) {
            Some(Document::SuitePolicy(policy)) => Some(policy),
            _ => None,
        })
    }

    /// Demands that what is stored from now on is at least of this suite. It never falls again.
    pub async fn require_suite(&self, policy: SuitePolicy) -> Result<Stated> {
        self.refresh().await?;
        if let Some(before) = self.suite_policy()? {
            policy.may_follow(&before).map_err(|source| Error::SuitePolicy { source })?;
        }
        self.state(None, Document::SuitePolicy(policy)).await
    }

    /// Refuses to store in a suite below the least one.
    pub(crate) fn check_suite(&self) -> Result<()> {
        let suite = self.keyring().suite();
        match self.suite_policy()? {
            Some(policy) if !policy.takes(suite) => {
                Err(Error::BelowSuite { suite, minimum: policy.minimum, successor: policy.successor })
            }
            _ => Ok(()),
        }
    }

    /// Seals everything that is in view into the ledger of `target`: buckets, versions in their order, markers that hide a
    /// name, terms, locks and holds. Names in this ledger what stands in for what.
    pub async fn succeed(
        &self,
        target: &Client,
        progress: &(dyn Fn(ResealProgress) + Send + Sync),
    ) -> Result<ResealReport> {
        let weaker = |suite: Suite| suite.code() < self.keyring().suite().code();
        if target.keyring().hospital() == self.keyring().hospital() || weaker(target.keyring().suite()) {
            let why = "it must be another hospital id, of a suite that is not weaker";
            return Err(Error::Invalid { what: "target of the move", why });
        }
        self.refresh().await?;
        target.refresh().await?;
        for facts in self.buckets()? {
            if target.bucket(&facts.bucket)?.is_none() {
                target.create_bucket(facts).await?;
            }
        }
        let records = self.select(&Selection::default()).await?;
        let state = Mutex::new(ResealProgress { records_total: records.len() as u64, ..ResealProgress::default() });
        let mut report = ResealReport { epoch: target.wrapping_epoch()?, ..ResealReport::default() };
        let mut named = self.successors()?;
        let mut unnamed: Vec<(VersionId, VersionId)> = Vec::new();
        let mut names =
            stream::iter(by_name(records)).map(|versions| self.move_name(target, versions, &state, progress));
        let mut moved = names.by_ref().buffer_unordered(AT_ONCE);
        while let Some(fates) = moved.next().await {
            for (old, fate) in fates {
                if let Fate::Resealed { new, .. } = fate
                    && named.insert(old, new) != Some(new)
                {
                    unnamed.push((old, new));
                }
                report.fates.push((old, fate));
            }
            if unnamed.len() >= PAIRS {
                self.name_successors(Some(target.keyring().hospital()), std::mem::take(&mut unnamed)).await?;
                report.acts += 1;
            }
        }
        drop(moved);
        if !unnamed.is_empty() {
            self.name_successors(Some(target.keyring().hospital()), unnamed).await?;
            report.acts += 1;
        }
        self.move_markers(target).await?;
        report.plain_bytes = state.lock().plain_bytes;
        Ok(report)
    }

    async fn move_name(
        &self,
        target: &Client,
        versions: Vec<Selected>,
        state: &Mutex<ResealProgress>,
        progress: &(dyn Fn(ResealProgress) + Send + Sync),
    ) -> Vec<(VersionId, Fate)> {
        let mut fates = Vec::with_capacity(versions.len());
        let mut stopped = false;
        for record in versions {
            let fate = match stopped {
                // a later version must not come before one that failed
                true => Fate::Left { why: "an older version of its name failed" },
                false => {
                    let moved = self.move_version(target, &record).await;
                    moved.unwrap_or_else(|error| Fate::Failed { why: with_causes(&error) })
                }
            };
            stopped |= matches!(fate, Fate::Failed { .. });
            progress(state.lock().done(&fate));
            fates.push((record.keeping.version, fate));
        }
        fates
    }

    async fn move_version(&self, target: &Client, record: &Selected) -> Result<Fate> {
        let old = record.keeping.version;
        let new = successor_id(old, target.keyring().hospital(), 0);
        if target.inner.view.placed(new)?.is_some() {
            keep_alike((self, old), (target, new)).await?;
            return Ok(Fate::Resealed { new, size_bytes: 0 });
        }
        let row = self.lookup(&record.bucket, &record.name, Some(old))?;
        let Some((facts, _)) = row.as_ref().and_then(|row| row.object()) else {
            return Ok(Fate::Left { why: "it is out of view, and stays readable where it is until its disposal" });
        };
        let bucket = target.existing(&record.bucket)?;
        let object = self.open_object(&record.bucket, &record.name, Some(old)).await?;
        let parts = object.parts_sealed_anew(target, &bucket).await?;
        let stored = target.put_object(asked(record, facts, &object, &parts, new), parts, Condition::Any).await?;
        keep_alike((self, old), (target, new)).await?;
        Ok(Fate::Resealed { new, size_bytes: stored.facts.size_bytes })
    }

    /// A name that a marker hides here is hidden there.
    async fn move_markers(&self, target: &Client) -> Result<()> {
        for bucket in self.buckets()? {
            let mut query = VersionsQuery { bucket: bucket.bucket.clone(), max: 1000, ..VersionsQuery::default() };
            loop {
                let page = self.list_versions(&query)?;
                for listed in page.versions.iter().filter(|listed| listed.is_latest && listed.is_marker) {
                    let there = target.lookup(&bucket.bucket, &listed.object.name, None)?;
                    if there.is_some_and(|row| row.object().is_some()) {
                        target.delete(&bucket.bucket, &listed.object.name, Condition::Any).await?;
                    }
                }
                let Some((name, version)) = page.next else { break };
                (query.key_marker, query.version_marker) = (Some(name), version);
            }
        }
        Ok(())
    }
}

/// Versions of each name together, in the order of the ledger.
fn by_name(records: Vec<Selected>) -> Vec<Vec<Selected>> {
    let mut names: BTreeMap<(String, String), Vec<Selected>> = BTreeMap::new();
    for record in records {
        names.entry((record.bucket.clone(), record.name.clone())).or_default().push(record);
    }
    names.into_values().collect()
}
