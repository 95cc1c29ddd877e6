//! What lifecycle rules do, on the gateway's own account: a pass over the buckets that have rules, at the start and every hour.
//!
//! Invariants
//! - No record ends here. A current version gets a delete marker; what is taken from view stays in the vault and in the ledger.
//! - A version is taken from view only where nothing keeps it any more ([`Keeping::is_over`](shosoin_client::Keeping::is_over)): its term has
//!   ended, no lock runs, no hold is on it. What is kept is left for a later pass.
//! - A marker is put under the condition that the version it hides is still the newest.
//! - Gateways of one hospital may pass at the same moment: each change is in the ledger once, made by one of them.
//! - Every id of a change carries the time of this gateway, and the vault refuses what is far from its own: a clock that jumps
//!   hides nothing.
//!
//! Days are counted as S3 counts them: from the moment, and then to the next midnight UTC.

use crate::uploads::Uploads;
use futures::{StreamExt, stream};
use shosoin_client::{Client, Condition, Error, ListedVersion, Result, VersionsQuery, now_ms};
use shosoin_protocol::VersionId;
use shosoin_protocol::bucket_rules::LifecycleRule;
use shosoin_protocol::manifest::{BucketFacts, Versioning};
use shosoin_protocol::retention::DAY_MS;
use std::sync::Arc;
use std::time::Duration;

/// Time between two passes.
const PASS_EVERY: Duration = Duration::from_secs(60 * 60);
/// Versions in one page of the view.
const PAGE_VERSIONS: usize = 1000;
/// Changes that wait for the ledger together; they travel in shared batches.
const AT_ONCE: usize = 16;

/// What one pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Counts {
    hidden: u64,
    withdrawn: u64,
    kept: u64,
    uploads: u64,
    failed: u64,
}

/// One change that a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// a delete marker over the current version
    Hide(String, VersionId),
    /// out of view, where nothing keeps it
    Withdraw(String, VersionId),
    /// out of view: it is a marker, which nothing keeps
    WithdrawMarker(String, VersionId),
}

impl Step {
    fn name(&self) -> &str {
        match self {
            Step::Hide(name, _) | Step::Withdraw(name, _) | Step::WithdrawMarker(name, _) => name,
        }
    }
}

/// Passes for ever; who started it ends it.
pub(crate) async fn run(client: Client, uploads: Arc<Uploads>) {
    let mut every = tokio::time::interval(PASS_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        match pass(&client, &uploads, now_ms()).await {
            Ok(counts) if counts == Counts::default() => {}
            Ok(Counts { hidden, withdrawn, kept, uploads, failed }) => {
                tracing::info!(hidden, withdrawn, kept, uploads, failed, "lifecycle rules were applied");
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "lifecycle rules could not be applied; the next pass tries again"
                );
            }
        }
    }
}

async fn pass(client: &Client, uploads: &Arc<Uploads>, now_ms: u64) -> Result<Counts> {
    let mut counts = Counts::default();
    for bucket in client.buckets()? {
        if bucket.rules.lifecycle.iter().any(|rule| rule.enabled) {
            client.up_to_date().await?; // a hold that came by another gateway keeps too
        }
        let rules: Vec<&LifecycleRule> = bucket.rules.lifecycle.iter().filter(|rule| rule.enabled).collect();
        if rules.iter().any(|rule| rule.expire_days > 0 || rule.expire_markers || rule.noncurrent_days > 0) {
            of_versions(client, &bucket, &rules, now_ms, &mut counts).await?;
        }
        if rules.iter().any(|rule| rule.abort_days > 0) {
            of_uploads(client, uploads, &bucket, now_ms, &mut counts).await;
        }
    }
    Ok(counts)
}

async fn of_versions(
    client: &Client,
    bucket: &BucketFacts,
    rules: &[&LifecycleRule],
    now_ms: u64,
    counts: &mut Counts,
) -> Result<()> {
    let mut query = VersionsQuery { bucket: bucket.bucket.clone(), max: PAGE_VERSIONS, ..VersionsQuery::default() };
    let mut walk = Walk::new(rules, now_ms);
    loop {
        let page = client.list_versions(&query)?;
        let mut steps = Vec::new();
        page.versions.into_iter().for_each(|version| walk.visit(version, &mut steps));
        let next = page.next;
        if next.is_none() {
            walk.end_name(&mut steps);
        }
        // a change is under the condition that the name is as it was seen, so changes of one name wait for each other
        let by_name: Vec<Vec<Step>> =
            steps.chunk_by(|one, next| one.name() == next.name()).map(<[_]>::to_vec).collect();
        let taken = stream::iter(by_name).map(|steps| take_all(client, bucket, steps, now_ms));
        let outcomes: Vec<Vec<Outcome>> = taken.buffer_unordered(AT_ONCE).collect().await;
        for outcome in outcomes.into_iter().flatten() {
            match outcome {
                Outcome::Hidden => counts.hidden += 1,
                Outcome::Withdrawn => counts.withdrawn += 1,
                Outcome::Kept => counts.kept += 1,
                Outcome::Changed => {}
                Outcome::Failed => counts.failed += 1,
            }
        }
        match next {
            Some((key, version)) => (query.key_marker, query.version_marker) = (Some(key), version),
            None => return Ok(()),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Hidden,
    Withdrawn,
    Kept,
    /// somebody changed the name meanwhile
    Changed,
    Failed,
}

async fn take_all(client: &Client, bucket: &BucketFacts, steps: Vec<Step>, now_ms: u64) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(steps.len());
    for step in steps {
        outcomes.push(take(client, bucket, step, now_ms).await);
    }
    outcomes
}

async fn take(client: &Client, bucket: &BucketFacts, step: Step, now_ms: u64) -> Outcome {
    let done = match step {
        // Where no marker can be taken away again, hiding is as good as withdrawing.
        Step::Hide(_, version) if bucket.versioning != Versioning::Enabled && !is_over(client, version, now_ms) => {
            return Outcome::Kept;
        }
        Step::Hide(name, version) => {
            let deleted = client.delete(&bucket.bucket, &name, Condition::Newest(version)).await;
            deleted.map(|_| Outcome::Hidden)
        }
        Step::Withdraw(_, version) if !is_over(client, version, now_ms) => return Outcome::Kept,
        Step::Withdraw(name, version) | Step::WithdrawMarker(name, version) => {
            client.withdraw_once(&bucket.bucket, &name, version).await.map(|()| Outcome::Withdrawn)
        }
    };
    match done {
        Ok(outcome) => outcome,
        Err(Error::Precondition | Error::NoSuchVersion { .. } | Error::NoSuchName { .. }) => Outcome::Changed,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a lifecycle rule could not be applied to a version"
            );
            Outcome::Failed
        }
    }
}

/// Whether nothing keeps a version; what cannot be looked up is kept.
fn is_over(client: &Client, version: VersionId, now_ms: u64) -> bool {
    matches!(client.keeping(version), Ok(Some(keeping)) if keeping.is_over(now_ms))
}

async fn of_uploads(client: &Client, uploads: &Arc<Uploads>, bucket: &BucketFacts, now_ms: u64, counts: &mut Counts) {
    let (of_bucket, keyring, name) = (Arc::clone(uploads), client.clone(), bucket.bucket.clone());
    let listed = tokio::task::spawn_blocking(move || of_bucket.list(keyring.keyring(), &name)).await;
    let Ok(Ok(listed)) = listed else {
        counts.failed += 1;
        return tracing::warn!("the uploads of a bucket could not be listed; the next pass tries again");
    };
    for ((name, id), upload) in listed {
        let aborts = |rule: &LifecycleRule| {
            rule.enabled && name.starts_with(&rule.prefix) && due(upload.initiated_ms, rule.abort_days, now_ms)
        };
        if !bucket.rules.lifecycle.iter().any(aborts) {
            continue;
        }
        let _alone = uploads.lock(&id).write().await;
        let of_upload = Arc::clone(uploads);
        match tokio::task::spawn_blocking(move || of_upload.remove(&id)).await {
            Ok(Ok(())) => counts.uploads += 1,
            _ => counts.failed += 1,
        }
    }
}

/// Whether so many days after a moment, and then midnight, have passed. No days: never.
fn due(from_ms: u64, days: u32, now_ms: u64) -> bool {
    let at_ms = from_ms.saturating_add(u64::from(days).saturating_mul(DAY_MS));
    days > 0 && at_ms.div_ceil(DAY_MS).saturating_mul(DAY_MS) <= now_ms
}

/// Goes over versions as they are listed: names ascending, the newest of a name first.
struct Walk<'a> {
    rules: &'a [&'a LifecycleRule],
    now_ms: u64,
    name: String,
    /// when the version before, of the same name, was stored: since then the next one is replaced
    replaced_ms: u64,
    /// replaced versions of the name so far
    replaced: u32,
    /// a marker that is the newest of its name, and the only one so far
    marker: Option<VersionId>,
}

impl<'a> Walk<'a> {
    fn new(rules: &'a [&'a LifecycleRule], now_ms: u64) -> Self {
        Walk { rules, now_ms, name: String::new(), replaced_ms: 0, replaced: 0, marker: None }
    }

    fn any(&self, wanted: impl Fn(&LifecycleRule) -> bool) -> bool {
        self.rules.iter().any(|rule| self.name.starts_with(&rule.prefix) && wanted(rule))
    }

    fn visit(&mut self, listed: ListedVersion, steps: &mut Vec<Step>) {
        let ListedVersion { version, is_latest, is_marker, object, .. } = listed;
        if is_latest || object.name != self.name {
            self.end_name(steps);
            (self.name, self.replaced) = (object.name, 0);
        } else {
            self.marker = None;
        }
        let now = self.now_ms;
        match (is_latest, is_marker) {
            (true, true) => self.marker = Some(version),
            (true, false) if self.any(|rule| due(object.modified_ms, rule.expire_days, now)) => {
                steps.push(Step::Hide(self.name.clone(), version));
            }
            (true, false) => {}
            (false, is_marker) => {
                let (since, newer) = (self.replaced_ms, self.replaced);
                if self.any(|rule| newer >= rule.noncurrent_kept && due(since, rule.noncurrent_days, now)) {
                    let step = if is_marker { Step::WithdrawMarker } else { Step::Withdraw };
                    steps.push(step(self.name.clone(), version));
                }
                self.replaced += 1;
            }
        }
        self.replaced_ms = object.modified_ms;
    }

    fn end_name(&mut self, steps: &mut Vec<Step>) {
        if let Some(marker) = self.marker.take().filter(|_| self.any(|rule| rule.expire_markers)) {
            steps.push(Step::WithdrawMarker(self.name.clone(), marker));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_client::ListedObject;

    const NOW_MS: u64 = 100 * DAY_MS;

    fn listed(name: &str, day: u64, is_latest: bool, is_marker: bool) -> ListedVersion {
        let object = ListedObject {
            name: name.into(),
            size_bytes: 1,
            modified_ms: day * DAY_MS,
            etag: String::new(),
            checksum: None,
        };
        let version = VersionId([u8::try_from(day).unwrap(); 16]);
        ListedVersion { version, null_version: false, is_latest, is_marker, object }
    }

    fn steps(rules: &[LifecycleRule], versions: Vec<ListedVersion>) -> Vec<(&'static str, u8)> {
        let rules: Vec<&LifecycleRule> = rules.iter().collect();
        let (mut walk, mut steps) = (Walk::new(&rules, NOW_MS), Vec::new());
        versions.into_iter().for_each(|version| walk.visit(version, &mut steps));
        walk.end_name(&mut steps);
        let told = |step: Step| match step {
            Step::Hide(_, version) => ("hide", version.0[0]),
            Step::Withdraw(_, version) => ("withdraw", version.0[0]),
            Step::WithdrawMarker(_, version) => ("marker", version.0[0]),
        };
        steps.into_iter().map(told).collect()
    }

    #[test]
    fn days_are_counted_to_the_next_midnight() {
        assert!(due(90 * DAY_MS, 10, NOW_MS) && !due(90 * DAY_MS + 1, 10, NOW_MS));
        assert!(due(89 * DAY_MS + 1, 10, NOW_MS) && !due(0, 0, NOW_MS));
        assert!(!due(u64::MAX, 1, NOW_MS));
    }

    #[test]
    fn a_current_version_is_hidden_when_it_is_old_enough_and_its_name_is_meant() {
        let rule = LifecycleRule { prefix: "a/".into(), expire_days: 10, ..LifecycleRule::default() };
        let versions = vec![
            listed("a/1", 90, true, false),
            listed("a/2", 91, true, false),
            listed("a/3", 40, true, true),
            listed("b/1", 20, true, false),
        ];
        assert_eq!(steps(&[rule], versions), [("hide", 90)]);
    }

    #[test]
    fn a_replaced_version_counts_from_when_it_was_replaced_and_the_newest_of_them_stay() {
        let rule = LifecycleRule { noncurrent_days: 10, noncurrent_kept: 1, ..LifecycleRule::default() };
        let versions = vec![
            listed("a", 95, true, false),
            listed("a", 30, false, false), // replaced on day 95
            listed("a", 20, false, false), // replaced on day 30
            listed("a", 10, false, true),
            listed("b", 80, true, false),
            listed("b", 1, false, false), // the one that stays
        ];
        assert_eq!(steps(&[rule], versions), [("withdraw", 20), ("marker", 10)]);
    }

    #[test]
    fn a_marker_goes_only_where_nothing_is_behind_it() {
        let rule = LifecycleRule { expire_markers: true, ..LifecycleRule::default() };
        let versions = vec![
            listed("a", 50, true, true),
            listed("a", 40, false, false),
            listed("b", 30, true, true),
            listed("c", 20, true, true),
        ];
        assert_eq!(steps(&[rule], versions), [("marker", 30), ("marker", 20)]);
    }
}
