//! Changes of names: versions, delete markers, withdrawals, tags. Each is one entry; what it expects of the name is
//! decided from the local view and kept by the vault, so a lost race is seen and decided anew.

use crate::assemble::{self, Plan};
use crate::clock::{fresh_version, now_ms};
use crate::hashing::md5;
use crate::lane::{Accepted, Intent};
use crate::object::{check_name, check_object, check_tags};
use crate::retry::repeat;
use crate::task::blocking;
use crate::{Client, Condition, Deleted, Error, NewObject, Part, Result, RowContent, Stored, Withdrawn};
use bytes::Bytes;
use shosoin_keyring::Keyring;
use shosoin_protocol::api::{InlineRecord, code};
use shosoin_protocol::entry::{Body, Expected, NameChange};
use shosoin_protocol::manifest::{ObjectFacts, Pairs, Summary, Versioning};
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::{Address, NameToken, RecordKind, VersionId};

/// Times a lost race is decided anew before it is called lost.
const RACES: u32 = 16;

impl Client {
    /// Deposits a version; durable, in the ledger and in the view on return. Everything about it is checked before
    /// anything is sent. A version that was asked for by its id and is in the ledger already is given as it is,
    /// whatever the condition says now.
    pub async fn put_object(&self, object: NewObject, parts: Vec<Part>, condition: Condition) -> Result<Stored> {
        let _inside = self.inner.buckets.read().await;
        let bucket = self.existing(&object.bucket)?;
        let policy = object.policy.unwrap_or(bucket.policy);
        self.check_agreed(&policy)?;
        self.check_suite()?;
        let object = check_object(object, &parts, policy.label)?;
        let (name, modified_ms) =
            ((object.bucket.clone(), object.name.clone()), object.modified_ms.unwrap_or_else(now_ms));
        let version = object.version.map_or_else(|| fresh_version(now_ms()), Ok)?;
        let null_version = bucket.versioning != Versioning::Enabled;
        let plan = Plan { version, modified_ms, null_version, policy, epoch: self.wrapping_epoch()? };
        let facts = assemble::facts(object, &parts, &plan);
        if let Some(leaf_index) = self.inner.view.placed(version)? {
            return self.stored_before(version, leaf_index, facts);
        }
        self.expected(&name.0, &name.1, &condition)?;
        let scanned = self.scanned(version, &parts).await?;
        let report = scanned.map(|scanned| Bytes::from(self.malware_report(version, &scanned, &facts)));
        let (keyring, stated) = (self.inner.keyring.clone(), facts.clone());
        let assembled =
            blocking("sealing a manifest", move || assemble::assemble(&keyring, stated, parts, &plan, |_, _| report))
                .await?;
        for (address, bytes) in assembled.ahead {
            self.send_ahead(address, bytes).await?;
        }
        let accepted = self
            .until_expected(|| {
                let mut deposit = assembled.deposit.clone();
                deposit.expected = self.expected(&name.0, &name.1, &condition)?;
                let (summary, records) = (Some(assembled.summary.clone()), assembled.records.clone());
                Ok(Intent { body: Body::Deposit(Box::new(deposit)), summary, document: None, records })
            })
            .await?;
        let (etag, Accepted { index, receipt }) = (assembled.etag, accepted);
        Ok(Stored { version, facts, etag, leaf_index: index, receipt })
    }

    /// Refuses what the agreement in force does not have. Called before anything is sealed it saves the sealing.
    pub fn check_agreed(&self, policy: &DepositPolicy) -> Result<()> {
        let Some(terms) = self.terms()? else { return Ok(()) };
        let objection = terms.objects_to(policy);
        objection.map_or(Ok(()), |source| Err(Error::NotAgreed { number: terms.number, source }))
    }

    /// What a deposit of this version would have answered. A version that is out of view by now is described by `facts`,
    /// which the same request gave then.
    fn stored_before(&self, version: VersionId, leaf_index: u64, facts: ObjectFacts) -> Result<Stored> {
        let row = self.lookup(&facts.bucket, &facts.name, Some(version))?;
        let facts = match row.map(|row| row.content) {
            Some(RowContent::Object { facts, .. }) => *facts,
            _ => facts,
        };
        Ok(Stored { version, etag: facts.etag(md5), facts, leaf_index, receipt: None })
    }

    /// Puts a delete marker on a name (S3 delete without a version). In a bucket that was never versioned the object
    /// goes out of view, and a name without one is left alone.
    pub async fn delete(&self, bucket: &str, name: &str, condition: Condition) -> Result<Deleted> {
        let _inside = self.inner.buckets.read().await;
        let versioning = self.existing(bucket)?.versioning;
        self.expected(bucket, name, &condition)?;
        let versioned = versioning != Versioning::Off;
        if !versioned && self.lookup(bucket, name, None)?.is_none() {
            return Ok(Deleted { marker: None, null_version: false });
        }
        let (modified_ms, null_version) = (now_ms(), versioning != Versioning::Enabled);
        let (id, token) = (fresh_version(modified_ms)?, self.token(bucket, name)?);
        let summary = Summary::Marker { bucket: bucket.to_owned(), name: name.to_owned(), modified_ms, null_version };
        self.until_expected(|| {
            let expected = self.expected(bucket, name, &condition)?;
            summary_intent(&self.inner.keyring, (id, expected, token), summary.clone(), Body::Marker)
        })
        .await?;
        Ok(Deleted { marker: versioned.then_some(id), null_version: versioned && null_version })
    }

    /// Withdraws one version from view (S3 delete with a version). The record itself stays in the vault.
    pub async fn withdraw(&self, bucket: &str, name: &str, version: VersionId) -> Result<Withdrawn> {
        let _inside = self.inner.buckets.read().await;
        self.existing(bucket)?;
        let missing = || Error::NoSuchVersion { bucket: bucket.to_owned(), version };
        let row = self.lookup(bucket, name, Some(version))?.ok_or_else(missing)?;
        let summary = Summary::Withdrawn { bucket: bucket.to_owned(), name: name.to_owned(), version };
        self.change_name(bucket, name, summary).await?;
        Ok(Withdrawn { was_marker: row.object().is_none() })
    }

    /// The same where others may be about it at the same moment: one of all takes the version out of view, and for the others there is
    /// no such version any more.
    pub async fn withdraw_once(&self, bucket: &str, name: &str, version: VersionId) -> Result<()> {
        let _inside = self.inner.buckets.read().await;
        self.existing(bucket)?;
        let token = self.token(bucket, name)?;
        let missing = || Error::NoSuchVersion { bucket: bucket.to_owned(), version };
        self.until_expected(|| {
            let row = self.lookup(bucket, name, Some(version))?.ok_or_else(missing)?;
            let expected = row.changed_last().map_or(Expected::Absent, Expected::Version);
            let summary = Summary::Withdrawn { bucket: bucket.to_owned(), name: name.to_owned(), version };
            summary_intent(&self.inner.keyring, (fresh_version(now_ms())?, expected, token), summary, Body::Policy)
        })
        .await
        .map(|_| ())
    }

    /// Replaces the tags of a version, `None` meaning the newest; gives the version.
    pub async fn set_tags(
        &self,
        bucket: &str,
        name: &str,
        version: Option<VersionId>,
        tags: Pairs,
    ) -> Result<VersionId> {
        let _inside = self.inner.buckets.read().await;
        let version = self.object_row(bucket, name, version)?.version;
        let tags = check_tags(tags)?;
        let summary = Summary::Tags { bucket: bucket.to_owned(), name: name.to_owned(), version, tags };
        self.change_name(bucket, name, summary).await?;
        Ok(version)
    }

    async fn change_name(&self, bucket: &str, name: &str, summary: Summary) -> Result<Accepted> {
        let (id, token) = (fresh_version(now_ms())?, self.token(bucket, name)?);
        let intent = summary_intent(&self.inner.keyring, (id, Expected::Any, token), summary, Body::Policy)?;
        self.inner.lane.submit(intent).await
    }

    fn token(&self, bucket: &str, name: &str) -> Result<NameToken> {
        check_name(name)?;
        Ok(self.inner.keyring.name_token(bucket, name))
    }

    /// What the vault must find for `condition` to hold, which it does now.
    fn expected(&self, bucket: &str, name: &str, condition: &Condition) -> Result<Expected> {
        if *condition == Condition::Any {
            return Ok(Expected::Any);
        }
        // The lock must be on the very state that was judged: a change in between would pass for the one that was seen.
        let (row, last_change) = self.inner.view.newest(bucket, name)?;
        let etag = row.as_ref().and_then(|row| row.object()).map(|(_, etag)| etag);
        match (condition, etag) {
            (Condition::Absent, Some(_)) => return Err(Error::Precondition),
            (Condition::Newest(wanted), _) if row.as_ref().is_none_or(|row| row.version != *wanted) => {
                return Err(Error::Precondition);
            }
            (Condition::Exists | Condition::Etag(_), None) => {
                return Err(Error::NoSuchName { bucket: bucket.to_owned() });
            }
            (Condition::Etag(wanted), Some(etag)) if wanted != etag => return Err(Error::Precondition),
            _ => {}
        }
        Ok(last_change.map_or(Expected::Absent, Expected::Version))
    }

    /// Deposits what `decide` makes of the view; when the vault says that the name changed meanwhile, catches up and
    /// decides anew.
    pub(crate) async fn until_expected(&self, decide: impl Fn() -> Result<Intent>) -> Result<Accepted> {
        for _ in 0..RACES {
            match self.inner.lane.submit(decide()?).await {
                Err(error) if error.is_problem(code::EXPECTED_VERSION) => self.inner.ledger.refresh().await?,
                outcome => return outcome,
            }
        }
        Err(Error::Precondition)
    }

    async fn send_ahead(&self, address: Address, bytes: Bytes) -> Result<()> {
        repeat(|| self.inner.transport.put_chunk(address, bytes.clone())).await
    }
}

/// The intent of a change that is all in its sealed summary; `body` says of which kind it is.
pub(crate) fn summary_intent(
    keyring: &Keyring,
    change: (VersionId, Expected, NameToken),
    summary: Summary,
    body: fn(NameChange) -> Body,
) -> Result<Intent> {
    let (version, expected, name_token) = change;
    let sealed = keyring.seal_summary(version, &summary);
    let sealed = sealed.map_err(|source| Error::Keyring { what: "summary", source })?;
    let change = NameChange { version, expected, name_token, summary: keyring.suite().address(&sealed) };
    let record = InlineRecord { kind: RecordKind::Summary, bytes: sealed.into() };
    Ok(Intent { body: body(change), summary: Some(summary), document: None, records: vec![record] })
}
