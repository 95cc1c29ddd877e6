//! Sealing anew: the content of a record is opened and sealed again under fresh chunk secrets, a fresh data key and the newest
//! epoch, as a version of its own; the older one goes out of view and an act says which stands in for which.
//!
//! Invariants
//! - True re-encryption: chunk secrets are drawn at random, so nothing sealed anew has the address of anything before.
//! - What is written is what was read: size, MD5 and digest of each part are those of the older version, or nothing is deposited.
//! - Nothing is kept shorter: term, earliest end, lock and holds of the older version are on the newer one before the
//!   older one goes out of view.
//! - The id of the new version follows from the older one and the epoch, so a run that was killed goes on, and nothing is
//!   sealed twice.
//!
//! What it does not do: end the older version's sealed bytes, which is disposal's; shut out whoever knows the root.

use crate::sealer::Recipe;
use crate::upload::ObjectWriter;
use crate::{Client, Condition, Error, NewObject, OpenObject, Part, Result, Selected};
use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use shosoin_protocol::act::{ActKind, Document, Reseal, RetentionChange};
use shosoin_protocol::limits::RESEAL_MAX;
use shosoin_protocol::manifest::{BucketFacts, ObjectFacts, Versioning};
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{HospitalId, VersionId};
use std::collections::BTreeMap;

/// Records sealed anew at a time.
const AT_ONCE: usize = 8;
/// Successors that are named by one entry of the ledger, so that a run that is killed has few to name again.
const PAIRS: usize = 256;
/// Label of what follows from an older version and an epoch.
const ID_LABEL: &[u8] = b"shosoin v1 reseal\0";

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// sealed anew, now or by a run before
    Resealed {
        /// the version that stands in for it
        new: VersionId,
        /// bytes of plain text; 0 where a run before did it
        size_bytes: u64,
    },
    /// left as it is
    Left {
        /// why
        why: &'static str,
    },
    /// it could not be sealed anew; it is as it was
    Failed {
        /// why
        why: String,
    },
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResealProgress {
    /// records that are done
    pub records: u64,
    /// of how many
    pub records_total: u64,
    /// bytes of plain text that were sealed anew
    pub plain_bytes: u64,
}

impl ResealProgress {
    /// One record more is done; how far it has come now.
    pub(crate) fn done(&mut self, fate: &Fate) -> Self {
        self.records += 1;
        self.plain_bytes += if let Fate::Resealed { size_bytes, .. } = fate { *size_bytes } else { 0 };
        *self
    }
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct ResealReport {
    /// epoch of the new wraps
    pub epoch: u32,
    /// each record and what became of it, in the order they were given
    pub fates: Vec<(VersionId, Fate)>,
    /// entries that name successors
    pub acts: u64,
    /// bytes of plain text that were sealed anew in this run
    pub plain_bytes: u64,
}

impl ResealReport {
    /// How many records are sealed anew, were left, and failed.
    pub fn counts(&self) -> (u64, u64, u64) {
        let count = |of: fn(&Fate) -> bool| self.fates.iter().filter(|(_, fate)| of(fate)).count() as u64;
        let resealed = count(|fate| matches!(fate, Fate::Resealed { .. }));
        (resealed, count(|fate| matches!(fate, Fate::Left { .. })), count(|fate| matches!(fate, Fate::Failed { .. })))
    }
}

/// Id of what is sealed anew from `version` in `epoch`, for the hospital `target`.
pub(crate) fn successor_id(version: VersionId, target: HospitalId, epoch: u32) -> VersionId {
    let digest = sha256(&[ID_LABEL, &version.0, &target.0, &epoch.to_le_bytes()]).0;
    let mut id = version.0;
    id[6..].copy_from_slice(&digest[..10]);
    VersionId(id)
}

impl Client {
    /// Seals the selected records anew, in this ledger. Only the newest version of a name: an older one would become it.
    pub async fn reseal(
        &self,
        selected: Vec<Selected>,
        progress: &(dyn Fn(ResealProgress) + Send + Sync),
    ) -> Result<ResealReport> {
        self.refresh().await?;
        let epoch = self.wrapping_epoch()?;
        let records_total = selected.len() as u64;
        let state = Mutex::new(ResealProgress { records_total, ..ResealProgress::default() });
        progress(*state.lock());
        let mut report = ResealReport { epoch, ..ResealReport::default() };
        let mut named = self.successors()?;
        let mut unnamed: Vec<(VersionId, VersionId)> = Vec::new();
        let mut fates =
            stream::iter(selected).map(|record| self.reseal_counted(record, epoch, &state, progress)).buffered(AT_ONCE);
        while let Some((old, fate)) = fates.next().await {
            if let Fate::Resealed { new, .. } = fate
                && named.insert(old, new) != Some(new)
            {
                unnamed.push((old, new));
            }
            report.fates.push((old, fate));
            if unnamed.len() >= PAIRS {
                self.name_successors(None, std::mem::take(&mut unnamed)).await?;
                report.acts += 1;
            }
        }
        drop(fates);
        if !unnamed.is_empty() {
            self.name_successors(None, unnamed).await?;
            report.acts += 1;
        }
        report.plain_bytes = state.lock().plain_bytes;
        Ok(report)
    }

    /// What stands in for which older version, by the acts of this ledger that say so.
    pub fn successors(&self) -> Result<BTreeMap<VersionId, VersionId>> {
        let acts = self.acts(&[ActKind::Reseal])?;
        let pairs = acts.iter().flat_map(|act| match &act.document {
            Document::Reseal(reseal) => reseal.pairs(),
            _ => &[],
        });
        Ok(pairs.copied().collect())
    }

    pub(crate) async fn name_successors(
        &self,
        successor: Option<HospitalId>,
        pairs: Vec<(VersionId, VersionId)>,
    ) -> Result<()> {
        for portion in pairs.chunks(RESEAL_MAX) {
            let reseal = Reseal::new(successor, portion.to_vec());
            let reseal = reseal.map_err(|_| Error::Invalid { what: "selection", why: "it means a version twice" })?;
            self.state(None, Document::Reseal(reseal)).await?;
        }
        Ok(())
    }

    async fn reseal_counted(
        &self,
        record: Selected,
        epoch: u32,
        state: &Mutex<ResealProgress>,
        progress: &(dyn Fn(ResealProgress) + Send + Sync),
    ) -> (VersionId, Fate) {
        let fate = self.reseal_one(&record, epoch).await;
        let fate = fate.unwrap_or_else(|error| Fate::Failed { why: with_causes(&error) });
        progress(state.lock().done(&fate));
        (record.keeping.version, fate)
    }

    async fn reseal_one(&self, record: &Selected, epoch: u32) -> Result<Fate> {
        let old = record.keeping.version;
        let new = successor_id(old, self.keyring().hospital(), epoch);
        let bucket = self.existing(&record.bucket)?;
        if self.inner.view.placed(new)?.is_some() {
            self.retire(record, &bucket, new).await?;
            return Ok(Fate::Resealed { new, size_bytes: 0 });
        }
        let row = self.lookup(&record.bucket, &record.name, Some(old))?;
        let Some((row, (facts, _))) = row.as_ref().and_then(|row| Some((row, row.object()?))) else {
            return Ok(Fate::Left { why: "it is out of view: only its disposal ends what is sealed under old keys" });
        };
        if !row.is_latest {
            return Ok(Fate::Left { why: "it is an older version: sealed anew it would become the newest" });
        }
        let object = self.open_object(&record.bucket, &record.name, Some(old)).await?;
        let parts = object.parts_sealed_anew(self, &bucket).await?;
        let stored = self.put_object(asked(record, facts, &object, &parts, new), parts, Condition::Newest(old)).await?;
        self.retire(record, &bucket, new).await?;
        Ok(Fate::Resealed { new, size_bytes: stored.facts.size_bytes })
    }

    /// The new version is kept as the older one is, and the older one goes out of view.
    async fn retire(&self, record: &Selected, bucket: &BucketFacts, new: VersionId) -> Result<()> {
        let old = record.keeping.version;
        keep_alike((self, old), (self, new)).await?;
        let in_view =
            bucket.versioning != Versioning::Off && self.lookup(&record.bucket, &record.name, Some(old))?.is_some();
        if in_view {
            self.withdraw(&record.bucket, &record.name, old).await?;
        }
        Ok(())
    }
}

/// What acts have added to the term of the first version is added to that of the second, where it is not yet.
pub(crate) async fn keep_alike(from: (&Client, VersionId), to: (&Client, VersionId)) -> Result<()> {
    let ((client, old), (target, new)) = (from, to);
    let (Some(from), Some(to)) = (client.keeping(old)?, target.keeping(new)?) else { return Ok(()) };
    if from.kept.until_ms > to.kept.until_ms {
        target.retain(vec![new], RetentionChange::Until { until_ms: from.kept.until_ms }).await?;
    }
    if let Some(lock) = from.kept.lock
        && to.kept.lock != Some(lock)
    {
        target.retain(vec![new], RetentionChange::Lock(lock)).await?;
    }
    if from.kept.holds.is_empty() {
        return Ok(());
    }
    // holds have ids of their own, so those that are there already are told by their reason
    let there = target.holds()?.into_iter().filter(|hold| to.kept.holds.contains(&hold.id));
    let mut there: Vec<_> = there.map(|hold| hold.reason).collect();
    for hold in client.holds()?.iter().filter(|hold| from.kept.holds.contains(&hold.id)) {
        match there.iter().position(|reason| *reason == hold.reason) {
            Some(at) => drop(there.swap_remove(at)),
            None => drop(target.hold(Some(vec![new]), hold.reason, hold.note.text()).await?),
        }
    }
    Ok(())
}

/// The older version as it is asked for again: everything but its content.
pub(crate) fn asked(
    record: &Selected,
    facts: &ObjectFacts,
    object: &OpenObject,
    parts: &[Part],
    new: VersionId,
) -> NewObject {
    let facts = facts.clone();
    NewObject {
        bucket: facts.bucket,
        name: facts.name,
        headers: facts.headers,
        metadata: facts.metadata,
        tags: facts.tags,
        checksum: facts.checksum,
        policy: Some(DepositPolicy { retention: record.keeping.retention(), ..record.keeping.policy }),
        multipart: facts.multipart,
        version: Some(new),
        modified_ms: Some(facts.modified_ms),
        signature: object.carried_signature().map(|checked| checked.of_parts(parts)),
    }
}

impl OpenObject {
    /// Its content, sealed by `target` under fresh random secrets, part for part.
    pub(crate) async fn parts_sealed_anew(&self, target: &Client, bucket: &BucketFacts) -> Result<Vec<Part>> {
        let recipe = Recipe::apart(bucket)?;
        let same_suite = target.keyring().suite() == self.inner.keyring.suite();
        let (mut parts, mut begin) = (Vec::with_capacity(self.facts().parts.len()), 0);
        for fact in &self.facts().parts {
            let range = begin..begin + fact.size_bytes;
            begin = range.end;
            let mut writer =
                ObjectWriter::new(target.inner.intake.clone(), recipe, bucket.chunk_plain_bytes, target.scan_plan()?)
                    .expect_bytes(fact.size_bytes);
            let mut plain = self.read(range);
            while let Some(bytes) = plain.next().await {
                writer.push(bytes?).await?;
            }
            let content = writer.finish().await?;
            if content.md5 != fact.md5 || (same_suite && content.plain_digest != fact.plain_digest) {
                let why = format!("part {} is not what its facts say", fact.number);
                return Err(Error::Damaged { version: self.version(), why });
            }
            parts.push(Part { number: fact.number, content, checksum: fact.checksum.clone() });
        }
        Ok(parts)
    }
}

pub(crate) fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
