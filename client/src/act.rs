//! Acts of the hospital: stating one in the ledger, and reading those of both sides.

use crate::clock::{fresh_version, now_ms};
use crate::lane::{Accepted, Intent};
use crate::view::row::ActRow;
use crate::{Client, Error, Result};
use shosoin_protocol::act::{Act, ActKind, Author, Document};
use shosoin_protocol::api::InlineRecord;
use shosoin_protocol::entry::Body;
use shosoin_protocol::receipt::Receipt;
use shosoin_protocol::{RecordKind, VersionId};

/// An act that is in the ledger.
#[derive(Debug)]
pub struct Stated {
    /// its id
    pub id: VersionId,
    /// its place in the ledger
    pub leaf_index: u64,
    /// the vault's word; none where the answer was lost and the entry was found in the ledger
    pub receipt: Option<Receipt>,
}

impl Client {
    /// States an act of the hospital about a version, or about everything; durable and in the view on return.
    pub async fn state(&self, subject: Option<VersionId>, document: Document) -> Result<Stated> {
        self.state_with(subject, document, Vec::new()).await
    }

    /// [`Client::state`], with the records that the document names.
    pub(crate) async fn state_with(
        &self,
        subject: Option<VersionId>,
        document: Document,
        records: Vec<InlineRecord>,
    ) -> Result<Stated> {
        let kind = document.kind();
        if kind.author() == Author::Operator {
            return Err(Error::Invalid { what: "act", why: "only the operator can state one of this kind" });
        }
        self.state_as(fresh_version(now_ms())?, subject, document, records).await
    }

    /// The same, under an id that its document was made for.
    pub(crate) async fn state_as(
        &self,
        id: VersionId,
        subject: Option<VersionId>,
        document: Document,
        mut records: Vec<InlineRecord>,
    ) -> Result<Stated> {
        let (kind, bytes) = (document.kind(), document.encode());
        let body = Body::Act(Act { id, kind, subject, document: self.inner.keyring.suite().address(&bytes) });
        records.push(InlineRecord { kind: RecordKind::Document, bytes: bytes.into() });
        let intent = Intent { body, summary: None, document: Some(document), records };
        let Accepted { index, receipt } = self.inner.lane.submit(intent).await?;
        Ok(Stated { id, leaf_index: index, receipt })
    }

    /// Every act of these kinds in the ledger, as far as it is verified and applied, in its order. Acts that only name new
    /// wraps are not kept.
    pub fn acts(&self, kinds: &[ActKind]) -> Result<Vec<ActRow>> {
        self.inner.view.acts(kinds)
    }
}
