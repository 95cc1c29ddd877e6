//! What keeps the hospital's records: reading it, reporting starts, extending, locking, holding and releasing.
//!
//! Invariants
//! - What the rules refuse is refused here first, with the reason, and nothing is sent.
//! - A selection is made from the whole ledger, so it also finds versions that a delete took out of view.

use crate::view::keeping::{EVERYTHING, about};
use crate::view::row::ActRow;
use crate::{Client, Error, Result, Stated};
use shosoin_protocol::act::{ActKind, Document, Hold, HoldReason, Release, Retain, RetentionChange, Versions};
use shosoin_protocol::entry::Body;
use shosoin_protocol::envelope::EnvelopeType;
use shosoin_protocol::limits::{ACT_VERSIONS_MAX, HOLD_NOTE_BYTES_MAX};
use shosoin_protocol::manifest::Summary;
use shosoin_protocol::policy::{DepositPolicy, Retention};
use shosoin_protocol::retention::{End, Kept};
use shosoin_protocol::{Digest, VersionId};
use std::collections::BTreeMap;

/// Label under which the reference of a hold is sealed.
const NOTE_LABEL: &str = "note of a hold v1";

/// What keeps one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// which version
    pub version: VersionId,
    /// its place in the ledger
    pub leaf_index: u64,
    /// what its deposit said
    pub policy: DepositPolicy,
    /// what acts said since
    pub kept: Kept,
    /// holds on everything, by the ids of their acts
    pub holds_on_everything: Vec<VersionId>,
}

impl Keeping {
    /// The term as it is now.
    pub fn retention(&self) -> Retention {
        self.kept.retention(self.policy.retention)
    }

    /// When it may go, as far as time has to do with it.
    pub fn end(&self) -> End {
        self.kept.end(self.policy.retention)
    }

    /// Whether a hold is on it, or on everything.
    pub fn is_on_hold(&self) -> bool {
        !self.kept.holds.is_empty() || !self.holds_on_everything.is_empty()
    }

    /// Whether nothing keeps it at a moment, in milliseconds since 1970: its term has ended, no lock runs, and no hold is on it.
    /// What the vault's own guard asks of a disposal, as far as the hospital can see it.
    pub fn is_over(&self, now_ms: u64) -> bool {
        !self.is_on_hold() && self.end().has_come(now_ms)
    }
}

/// The hospital's own reference to the case of a hold, in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldNote {
    /// none was given
    None,
    /// as it was given
    Text(String),
    /// it does not open: another hospital's key made it, or it is damaged
    Unreadable,
}

impl HoldNote {
    /// What it says, where it says something that can be read.
    pub fn text(&self) -> Option<&str> {
        match self {
            HoldNote::Text(text) => Some(text),
            HoldNote::None | HoldNote::Unreadable => None,
        }
    }
}

/// A hold in the ledger.
#[derive(Debug, Clone)]
pub struct HoldStanding {
    /// id of its act
    pub id: VersionId,
    /// when it was set, by the vault's clock, in milliseconds since 1970
    pub set_ms: u64,
    /// when it was released; none while it stands
    pub released_ms: Option<u64>,
    /// why
    pub reason: HoldReason,
    /// the hospital's own reference
    pub note: HoldNote,
    /// the versions; none: everything
    pub versions: Option<Vec<VersionId>>,
}

/// Which deposits are meant.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// only of this bucket
    pub bucket: Option<String>,
    /// only of this name
    pub name: Option<String>,
    /// only of names that begin so
    pub prefix: Option<String>,
    /// only these versions; any, where there are none
    pub versions: Vec<VersionId>,
}

impl Selection {
    fn wants(&self, version: VersionId, bucket: &str, name: &str) -> bool {
        self.bucket.as_deref().is_none_or(|wanted| wanted == bucket)
            && self.name.as_deref().is_none_or(|wanted| wanted == name)
            && self.prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix))
            && (self.versions.is_empty() || self.versions.contains(&version))
    }
}

/// A deposit that was found, with the name that its summary gives.
#[derive(Debug, Clone)]
pub struct Selected {
    /// its place in the ledger
    pub leaf_index: u64,
    /// hash of its entry as a leaf
    pub leaf: Digest,
    /// when it was accepted, by the vault's clock, in milliseconds since 1970
    pub accepted_ms: u64,
    /// bucket
    pub bucket: String,
    /// name
    pub name: String,
    /// sealed bytes
    pub stored_bytes: u64,
    /// what keeps it
    pub keeping: Keeping,
}

impl Client {
    /// What keeps a version; nothing where the ledger has no deposit of it.
    pub fn keeping(&self, version: VersionId) -> Result<Option<Keeping>> {
        let row = self.inner.view.kept(version)?;
        let holds_on_everything = self.inner.view.kept(EVERYTHING)?.kept.holds;
        let keeping =
            |(leaf_index, policy)| Keeping { version, leaf_index, policy, kept: row.kept, holds_on_everything };
        Ok(row.deposited.map(keeping))
    }

    /// Makes the same change for versions, in as many acts as that takes. Nothing is sent unless every one may change so.
    pub async fn retain(&self, versions: Vec<VersionId>, change: RetentionChange) -> Result<Vec<Stated>> {
        for version in &versions {
            let row = self.inner.view.kept(*version)?;
            let deposited = row.deposited.map(|(_, policy)| policy.retention);
            let changed = row.kept.changed(deposited, &change);
            changed.map_err(|source| Error::KeepingRule { version: *version, source })?;
        }
        let mut stated = Vec::new();
        for versions in in_acts(versions)? {
            let (subject, versions) = subject_or_list(versions);
            stated.push(self.state(subject, Document::Retention(Retain { change, versions })).await?);
        }
        Ok(stated)
    }

    /// Sets a hold on versions, or on everything; `reference` is the hospital's own, and only the hospital reads it. More
    /// versions than one act is about are several holds.
    pub async fn hold(
        &self,
        versions: Option<Vec<VersionId>>,
        reason: HoldReason,
        reference: Option<&str>,
    ) -> Result<Vec<Stated>> {
        let sealed = reference.map(|text| self.inner.keyring.seal_local(NOTE_LABEL, text.as_bytes())).transpose();
        let note =
            sealed.map_err(|source| Error::Keyring { what: "reference of the hold", source })?.unwrap_or_default();
        if note.len() > HOLD_NOTE_BYTES_MAX {
            let (found, limit) = (note.len() as u64, HOLD_NOTE_BYTES_MAX as u64);
            return Err(Error::OverLimit { what: "reference of the hold, sealed,", found, limit });
        }
        let Some(versions) = versions else {
            let hold = Hold { note, ..Hold::whole(reason) };
            return self.state(None, Document::Hold(hold)).await.map(|stated| vec![stated]);
        };
        for version in &versions {
            if self.inner.view.kept(*version)?.deposited.is_none() {
                return Err(Error::UnknownVersion { version: *version });
            }
        }
        let mut stated = Vec::new();
        for versions in in_acts(versions)? {
            let (subject, versions) = subject_or_list(versions);
            let hold = Hold { reason, versions, note: note.clone() };
            stated.push(self.state(subject, Document::Hold(hold)).await?);
        }
        Ok(stated)
    }

    /// Ends a hold by its id, on everything it is on.
    pub async fn release(&self, hold: VersionId) -> Result<Stated> {
        let standing = self.holds()?.into_iter().find(|standing| standing.id == hold);
        match standing {
            Some(HoldStanding { released_ms: None, .. }) => self.state(None, Document::Release(Release { hold })).await,
            Some(_) => Err(Error::Invalid { what: "release", why: "that hold has ended already" }),
            None => Err(Error::Invalid { what: "release", why: "the ledger has no hold of that id" }),
        }
    }

    /// Every hold there ever was, in the order of the ledger.
    pub fn holds(&self) -> Result<Vec<HoldStanding>> {
        let acts = self.inner.view.acts(&[ActKind::Hold, ActKind::Release])?;
        let released: BTreeMap<VersionId, u64> = acts
            .iter()
            .filter_map(|act| match &act.document {
                Document::Release(release) => Some((release.hold, act.accepted_ms)),
                _ => None,
            })
            .collect();
        let standing = |act: &ActRow| self.standing(act, released.get(&act.id).copied());
        Ok(acts.iter().filter_map(standing).collect())
    }

    fn standing(&self, act: &ActRow, released_ms: Option<u64>) -> Option<HoldStanding> {
        let Document::Hold(hold) = &act.document else { return None };
        let versions = about(act.subject, &act.document).unwrap_or_default();
        let opened = || {
            let text = self.inner.keyring.open_local(NOTE_LABEL, &hold.note).ok()?;
            String::from_utf8(text).ok().filter(|text| !text.chars().any(char::is_control))
        };
        let note = match hold.note.is_empty() {
            true => HoldNote::None,
            false => opened().map_or(HoldNote::Unreadable, HoldNote::Text),
        };
        let versions = (versions != [EVERYTHING]).then_some(versions);
        Some(HoldStanding { id: act.id, set_ms: act.accepted_ms, released_ms, reason: hold.reason, note, versions })
    }

    /// The holds of S3 clients on a version: those that `PutObjectLegalHold` ends.
    pub fn object_lock_holds(&self, version: VersionId) -> Result<Vec<VersionId>> {
        let mut holds = Vec::new();
        for id in self.inner.view.kept(version)?.kept.holds {
            let act = self.inner.view.act(id)?.map(|act| act.document);
            if let Some(Document::Hold(Hold { reason: HoldReason::ObjectLock, .. })) = act {
                holds.push(id);
            }
        }
        Ok(holds)
    }

    /// Every deposit of the ledger that a selection means, those out of view among them. Reads the whole ledger.
    pub async fn select(&self, selection: &Selection) -> Result<Vec<Selected>> {
        let mut found = Vec::new();
        self.walk(&mut |leaf_index, item| {
            let Body::Deposit(deposit) = item.placed.entry.body() else { return Ok(()) };
            if item.attachment.is_empty() {
                return Ok(()); // disposed of
            }
            let opened = self.inner.keyring.open_summary(deposit.version, &item.attachment);
            if opened.is_err() && EnvelopeType::HospitalSummary.is_of(&item.attachment) {
                return Ok(()); // a machine that only deposits brought what it may not bring: no name has it
            }
            let summary = opened.map_err(|source| Error::Keyring { what: "summary", source })?;
            if let Summary::Object(facts) = summary
                && selection.wants(deposit.version, &facts.bucket, &facts.name)
                && let Some(keeping) = self.keeping(deposit.version)?
            {
                let (leaf, accepted_ms) = (item.placed.entry.leaf_hash(), item.placed.accepted_ms);
                let (bucket, name, stored_bytes) = (facts.bucket, facts.name, deposit.stored_bytes);
                found.push(Selected { leaf_index, leaf, accepted_ms, bucket, name, stored_bytes, keeping });
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }
}

/// Versions in the portions that one act may be about.
fn in_acts(mut versions: Vec<VersionId>) -> Result<Vec<Versions>> {
    versions.sort_unstable();
    versions.dedup();
    if versions.is_empty() {
        return Err(Error::Invalid { what: "selection", why: "it means no version" });
    }
    let portion = |portion: &[VersionId]| Versions::new(portion.to_vec());
    let portions = versions.chunks(ACT_VERSIONS_MAX).map(portion).collect::<shosoin_protocol::Result<_>>();
    portions.map_err(|_| Error::Invalid { what: "selection", why: "the id of zeros is no version" })
}

/// One version is an act's subject, several are a list.
fn subject_or_list(versions: Versions) -> (Option<VersionId>, Versions) {
    match versions.as_slice() {
        [one] => (Some(*one), Versions::default()),
        _ => (None, versions),
    }
}
