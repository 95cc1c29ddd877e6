//! How a log ends at a vault and goes on at another: the acts, who may ask for them, and what follows from them.
//!
//! - A log ends on the newest word of the hospital that orders it, once; an end that was taken back needs a new word.
//! - Which vaults kept the ledger follows from the acts by which they took it over, each signed by the vault that did.

use crate::acts::{OperatorAct, StatedAct};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::rows::{self, ActRow, EndedRow, Row as _};
use crate::vault::Inner;
use serde::Serialize;
use shosoin_protocol::act::{ActKind, Document, HandOverIn, HandOverOut, HandOverWord, OutState, WordStage};
use shosoin_protocol::entry::Entry;
use shosoin_protocol::{Lineage, VersionId};

/// The acts by which vaults took a ledger over, oldest first.
pub(crate) fn taken_over(desk: &Desk, index: &dyn Index) -> Result<Vec<(Entry, HandOverIn)>> {
    let mut rows = Vec::new();
    index.scan(&rows::taken_over_prefix(desk.info().hospital), &mut |key, value| {
        rows.extend(rows::act_index(key).map(|index| (index, value.to_vec())));
        Ok(true)
    })?;
    let act = |(index, value): (u64, Vec<u8>)| {
        let bytes = desk.record(&ActRow::decode(&value)?.act.document)?;
        let document = Document::decode(ActKind::HandOverIn, &bytes);
        match document.map_err(|source| Error::Malformed { what: "document", source })? {
            Document::HandOverIn(taken) => Ok((desk.ledger().entry(index)?.entry, *taken)),
            _ => Err(Error::Bug("the document of an act is of its kind")),
        }
    };
    rows.into_iter().map(act).collect()
}

/// The vaults that kept the ledger of a desk.
pub(crate) fn lineage(desk: &Desk, index: &dyn Index) -> Result<Lineage> {
    let (ledger, acts) = (desk.ledger(), taken_over(desk, index)?);
    let traced = Lineage::trace(desk.info().hospital, ledger.vault(), ledger.public_key().clone(), &acts);
    traced.map_err(|source| Error::Malformed { what: "lineage of the ledger", source })
}

/// A word of the hospital.
struct Word {
    stated: StatedAct,
    word: HandOverWord,
}

/// How far a hand-over has come, on the record of the vault that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HandoverStatus {
    /// whose, in hex
    pub hospital: String,
    /// the vaults that kept the ledger, oldest first, this one last, in hex
    pub vaults: Vec<String>,
    /// the vault that the hospital ordered everything to be handed over to, in hex
    pub ordered_to: Option<String>,
    /// id of that word
    pub order: Option<String>,
    /// leaf at which the log ended here
    pub ended_at: Option<u64>,
    /// the hospital's confirmation that the vault for which the log ended has everything: what disposal here waits for
    pub confirmed: Option<Confirmed>,
}

/// What the hospital confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirmed {
    /// id of the act
    pub act: String,
    /// leaf index
    pub leaf_index: u64,
    /// the vault that has everything now, in hex
    pub receiver: String,
    /// versions that were fetched, opened and compared
    pub versions: u64,
    /// versions that there were
    pub of: u64,
    /// per million: how sure it was that fewer than `bad_ppm` of them are bad
    pub confidence_ppm: u32,
    /// per million
    pub bad_ppm: u32,
}

impl Inner {
    fn words(&self, desk: &Desk, stage: WordStage) -> Result<Vec<Word>> {
        let stated = desk.acts(&*self.index, &[ActKind::HandOverWord])?;
        let word = |stated: StatedAct| match &stated.document {
            Document::HandOverWord(word) if word.stage == stage => {
                Some(Word { word: HandOverWord::clone(word), stated })
            }
            _ => None,
        };
        Ok(stated.into_iter().filter_map(word).collect())
    }

    /// Ends the log of a hospital, if it ordered that and it has not ended yet. Gives the leaf at which it ended.
    pub(crate) fn end_log(&self, desk: &Desk) -> Result<u64> {
        if let Some(row) = desk.ended()? {
            return Ok(row.index);
        }
        let newest_out = self.newest_out(desk)?;
        let order = self.words(desk, WordStage::Ordered)?.pop();
        let order = order.filter(|order| newest_out.is_none_or(|out| out < order.stated.index));
        let Some(Word { stated, word }) = order else {
            let why = "its hospital has not ordered it: `shosoin handover order` at the hospital does, and names the vault \
                       that is to receive";
            return Err(Error::NotOrdered { hospital: desk.info().hospital, why });
        };
        let document = HandOverOut { state: OutState::Closed, order: stated.id, receiver: word.receiver };
        self.state_out(desk, None, document)
    }

    /// Takes the end of a log back.
    pub(crate) fn reopen_log(&self, desk: &Desk) -> Result<u64> {
        let not_ended = || Error::Argument { what: "hand-over", why: "the log has not ended".to_owned() };
        let EndedRow { index, act, .. } = desk.ended()?.ok_or_else(not_ended)?;
        let ended = desk.acts(&*self.index, &[ActKind::HandOverOut])?.into_iter().find(|out| out.index == index);
        let Some(StatedAct { document: Document::HandOverOut(out), .. }) = ended else {
            return Err(Error::Bug("the act that ended a log is in it"));
        };
        self.state_out(desk, Some(act), HandOverOut { state: OutState::Reopened, ..out })
    }

    fn state_out(&self, desk: &Desk, subject: Option<VersionId>, document: HandOverOut) -> Result<u64> {
        let document = Document::HandOverOut(document);
        let seat = desk.state(OperatorAct { id: self.fresh_id()?, subject, document })?;
        Ok(seat.index)
    }

    fn newest_out(&self, desk: &Desk) -> Result<Option<u64>> {
        Ok(desk.acts(&*self.index, &[ActKind::HandOverOut])?.last().map(|out| out.index))
    }

    /// How far a hand-over has come.
    pub(crate) fn handover_status(&self, desk: &Desk) -> Result<HandoverStatus> {
        let order = self.words(desk, WordStage::Ordered)?.pop();
        let confirmed = self.handover_confirmation(desk)?;
        Ok(HandoverStatus {
            hospital: desk.info().hospital.to_string(),
            vaults: desk.lineage()?.spans().map(|span| span.vault.to_string()).collect(),
            ordered_to: order.as_ref().map(|order| order.word.receiver.to_string()),
            order: order.map(|order| order.stated.id.to_string()),
            ended_at: desk.ended()?.map(|row| row.index),
            confirmed: confirmed.map(|(stated, word)| Confirmed {
                act: stated.id.to_string(),
                leaf_index: stated.index,
                receiver: word.receiver.to_string(),
                versions: word.looked.versions,
                of: word.looked.of,
                confidence_ppm: word.looked.confidence_ppm,
                bad_ppm: word.looked.bad_ppm,
            }),
        })
    }

    /// The hospital's word that another vault has everything, where the log has ended here for that vault: what disposal at the
    /// source waits for (T10).
    pub(crate) fn handover_confirmation(&self, desk: &Desk) -> Result<Option<(StatedAct, HandOverWord)>> {
        let Some(ended) = desk.ended()? else { return Ok(None) };
        let outs = desk.acts(&*self.index, &[ActKind::HandOverOut])?;
        let receiver = outs.into_iter().find(|out| out.index == ended.index).and_then(|out| match out.document {
            Document::HandOverOut(out) => Some(out.receiver),
            _ => None,
        });
        let confirmed = self.words(desk, WordStage::Confirmed)?.pop();
        let counts = |word: &Word| word.stated.index > ended.index && Some(word.word.receiver) == receiver;
        Ok(confirmed.filter(counts).map(|Word { stated, word }| (stated, word)))
    }
}
