//! What the operator told the hospital, from its own ledger: acts of the operator, each verified like every entry before it is in the
//! view. And what the hospital remarks on a report.
//!
//! Invariant: nothing here is the vault's word of the moment. What was told is in the ledger, signed, and cannot be taken back.

use crate::view::row::ActRow;
use crate::{Client, Error, Result, Stated};
use shosoin_protocol::Digest;
use shosoin_protocol::act::{ActKind, Document, Remark, RemarkWord};

/// Acts of the operator that a person of the hospital must learn of.
const NOTICES: [ActKind; 9] = [
    ActKind::Incident,
    ActKind::QuarantineIn,
    ActKind::QuarantineOut,
    ActKind::Stopped,
    ActKind::Reopened,
    ActKind::Report,
    ActKind::Disposed,
    ActKind::HandOverOut,
    ActKind::HandOverIn,
];

impl Client {
    /// What the operator told the hospital from this leaf on, in the order of the ledger.
    pub fn notices(&self, from_leaf: u64) -> Result<Vec<ActRow>> {
        let mut acts = self.acts(&NOTICES)?;
        acts.retain(|act| act.leaf_index >= from_leaf);
        Ok(acts)
    }

    /// Says what the hospital thinks of the report of a month; `text` is the digest of what the operator is sent beside. Of two reports of a
    /// month, as of two vaults, the newer one is meant.
    pub async fn remark(&self, year: u16, month: u8, word: RemarkWord, text: Option<Digest>) -> Result<Stated> {
        let of_month = |act: &ActRow| matches!(&act.document, Document::Report(report) if (report.year, report.month) == (year, month));
        let report = self.acts(&[ActKind::Report])?.into_iter().rev().find(of_month);
        let report = report.ok_or(Error::Invalid { what: "month", why: "the ledger has no report of it" })?.id;
        self.state(None, Document::Remark(Remark { report, word, text })).await
    }
}
