//! What keeps versions, in the view: the same rules as at the vault, so that a vault that lets something shorten is seen.

use super::apply::Change;
use super::row::{ActRow, KeptRow};
use super::{Reading, key};
use crate::{Error, Result};
use shosoin_protocol::VersionId;
use shosoin_protocol::act::{Act, Document};
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::retention::{About, Kept};

/// Stands for everything where a version is expected.
pub const EVERYTHING: VersionId = VersionId([0; 16]);

impl Reading<'_> {
    pub(super) fn kept(&self, version: VersionId) -> Result<KeptRow> {
        Ok(self.decode(&key::kept(version), KeptRow::decode)?.unwrap_or_default())
    }

    pub(super) fn act(&self, id: VersionId) -> Result<Option<ActRow>> {
        match self.placed(id)? {
            Some(index) => self.decode(&key::act(index), ActRow::decode),
            None => Ok(None),
        }
    }
}

impl Change<'_> {
    /// A deposit is there: what acts said of it before stays.
    pub(super) fn deposited(&mut self, version: VersionId, policy: DepositPolicy) -> Result<()> {
        let row = KeptRow { deposited: Some((self.index, policy)), ..self.rows.kept(version)? };
        self.put(key::kept(version), row.encode());
        Ok(())
    }

    /// What an act says of keeping. One that breaks the rules should have been refused by the vault.
    pub(super) fn keeping(&mut self, act: &Act, document: &Document) -> Result<()> {
        let broken = |index: u64| {
            move |source: shosoin_protocol::Error| Error::Contradiction {
                operation: "the ledger",
                why: format!("the vault took the act at leaf {index}, which breaks a rule: {source}"),
            }
        };
        let index = self.index;
        let (versions, release) = match document {
            Document::Release(release) => {
                let hold = self.rows.act(release.hold)?.filter(|hold| matches!(hold.document, Document::Hold(_)));
                let missing = shosoin_protocol::Error::Invalid { what: "release", why: "there is no such hold" };
                let hold = hold.ok_or_else(|| broken(index)(missing))?;
                (about(hold.subject, &hold.document).map_err(broken(index))?, Some(release.hold))
            }
            document => (about(act.subject, document).map_err(broken(index))?, None),
        };
        for version in versions {
            let row = self.rows.kept(version)?;
            let next = match (document, release) {
                (_, Some(hold)) => row.kept.released(hold),
                (Document::Hold(_), _) => row.kept.held(act.id),
                (Document::Retention(retain), _) => {
                    row.kept.changed(row.deposited.map(|(_, policy)| policy.retention), &retain.change)
                }
                _ => Ok::<Kept, _>(row.kept.clone()),
            };
            let row = KeptRow { kept: next.map_err(broken(index))?, ..row };
            self.put(key::kept(version), row.encode());
        }
        Ok(())
    }
}

/// The versions that an act is about, [`EVERYTHING`] among them; none for an act that keeps nothing.
pub fn about(subject: Option<VersionId>, document: &Document) -> shosoin_protocol::Result<Vec<VersionId>> {
    Ok(match About::of(subject, document)? {
        None => Vec::new(),
        Some(About::Everything) => vec![EVERYTHING],
        Some(About::These(versions)) => versions,
    })
}
