//! Acts in the ledgers of hospitals: putting those of the operator there, and reading both sides'.
//!
//! Invariants
//! - An act of the operator is durable in the hospital's log before whoever stated it goes on: nothing happens off the
//!   record (DESIGN, invariant 6).
//! - What is listed here was found by rows of the index; a document is read from media and checked against the address that
//!   the entry names.

use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::group::Seat;
use crate::index::Index;
use crate::rows::{self, ActRow, Row};
use crate::vault::{Vault, blocking};
use bytes::Bytes;
use shosoin_protocol::act::{ActKind, Author, Document};
use shosoin_protocol::api::VersionReply;
use shosoin_protocol::{HospitalId, VersionId};

/// An act that the operator is about to state.
#[derive(Debug, Clone)]
pub struct OperatorAct {
    /// its id, fresh
    pub id: VersionId,
    /// the version it is about
    pub subject: Option<VersionId>,
    /// what it says
    pub document: Document,
}

/// An act in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatedAct {
    /// leaf index
    pub index: u64,
    /// the vault's clock when it was accepted, in milliseconds since 1970
    pub accepted_ms: u64,
    /// its id
    pub id: VersionId,
    /// the version it is about; none: the hospital as a whole, or what its document says
    pub subject: Option<VersionId>,
    /// what it says
    pub document: Document,
}

impl Desk {
    /// Puts an act of the operator into the hospital's log; durable on `Ok`. Blocks.
    pub fn state(&self, act: OperatorAct) -> Result<Seat> {
        self.state_with(act, Vec::new())
    }

    /// The same, with the further records that its document names.
    pub fn state_with(&self, act: OperatorAct, attached: Vec<Bytes>) -> Result<Seat> {
        if act.document.kind().author() == Author::Hospital {
            return Err(Error::Bug("an act of the hospital was about to be stated by the operator"));
        }
        self.takes_entries()?;
        self.committer().state(act, attached)
    }

    /// Every act of these kinds, in the order of the log.
    pub fn acts(&self, index: &dyn Index, kinds: &[ActKind]) -> Result<Vec<StatedAct>> {
        let head = self.head()?;
        let mut acts = Vec::new();
        index.scan(&rows::act_prefix(self.info().hospital), &mut |key, value| {
            let row = ActRow::decode(value)?;
            match rows::act_index(key) {
                Some(index) if index < head.size && kinds.contains(&row.act.kind) => acts.push((index, row)),
                _ => {}
            }
            Ok(true)
        })?;
        acts.into_iter().map(|(index, row)| self.stated(index, row)).collect()
    }

    /// The newest snapshot of a view, with its place and proof.
    pub fn snapshot(&self) -> Result<VersionReply> {
        let (head, mut newest) = (self.head()?, None);
        self.index().scan(&rows::act_prefix(self.info().hospital), &mut |key, value| {
            match rows::act_index(key) {
                Some(at) if at < head.size && ActRow::decode(value)?.act.kind == ActKind::Snapshot => newest = Some(at),
                _ => {}
            }
            Ok(true)
        })?;
        let none = || Error::NotFound { what: "snapshot", id: self.info().hospital.to_string() };
        self.entry_with_proof(newest.ok_or_else(none)?)
    }

    fn stated(&self, index: u64, row: ActRow) -> Result<StatedAct> {
        let ActRow { act, accepted_ms } = row;
        let bytes = self.record(&act.document)?;
        let document = Document::decode(act.kind, &bytes);
        let document = document.map_err(|source| Error::Malformed { what: "document", source })?;
        Ok(StatedAct { index, accepted_ms, id: act.id, subject: act.subject, document })
    }
}

impl Vault {
    /// Puts an act of the operator into a hospital's log; durable on `Ok`. Gives its id.
    pub async fn state(
        &self,
        hospital: HospitalId,
        subject: Option<VersionId>,
        document: Document,
    ) -> Result<VersionId> {
        let (inner, desk) = (self.inner.clone(), self.desk(hospital)?);
        blocking(move || {
            let id = inner.fresh_id()?;
            desk.state(OperatorAct { id, subject, document }).map(|_| id)
        })
        .await
    }

    /// Every act of these kinds in a hospital's log, in its order.
    pub async fn acts(&self, hospital: HospitalId, kinds: &'static [ActKind]) -> Result<Vec<StatedAct>> {
        let (inner, desk) = (self.inner.clone(), self.desk(hospital)?);
        blocking(move || desk.acts(&*inner.index, kinds)).await
    }
}
