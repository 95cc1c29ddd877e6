//! Acts: what a hospital or the operator does on the record besides depositing. An act is a small entry that names one
//! *document*, a record in clear whose form follows from the kind of the act.
//!
//! Invariants
//! - Every kind has one author. A hospital's act is signed by an enrolled device, an operator's by the vault's key of the
//!   hospital's suite; neither can be signed by the other.
//! - A document says nothing that may not stand in the ledger: ids, digests, codes and times, no name and no free text
//!   (guideline 7.2-R2). What only the hospital may read travels sealed inside it.
//! - A kind whose document this release does not know is refused, never skipped.
//!
//! Not here: what an act changes. That is for whoever reads the ledger.

pub mod agreement;
mod communication;
mod device_role;
mod disposal;
mod epoch;
mod export;
pub mod handover;
mod hold;
mod incident;
mod quarantine;
mod report;
mod reseal;
mod retention;
mod rewrap;
pub mod share;
mod snapshot;
mod suite_policy;
mod versions;
mod witness;

pub use agreement::{Agreement, Terms};
pub use communication::{Reopened, StopCause, Stopped, TransferFailure};
pub use device_role::{DeviceRole, Role};
pub use disposal::{Cancel, DisposalReason, DisposalStep, Disposed, Order, OrderItem, Scope};
pub use epoch::{Custody, Epoch, EpochReason, KeySource};
pub use export::{Export, ExportScope};
pub use handover::{HandOverIn, HandOverOut, HandOverWord, Looked, OutState, WordStage};
pub use hold::{Hold, HoldReason, Release};
pub use incident::{Incident, IncidentClass, Severity};
pub use quarantine::{QuarantineIn, QuarantineOut, QuarantineOutcome, QuarantineReason, QuarantinedThing};
pub use report::{MonthReport, Remark, RemarkWord};
pub use reseal::Reseal;
pub use retention::{Lock, LockMode, Retain, RetentionChange};
pub use rewrap::Rewrap;
pub use share::{ShareAccepted, ShareGrant, ShareKem, SharePurpose, ShareTerms, Unshare, UnshareReason};
pub use snapshot::{Snapshot, SnapshotPiece};
pub use suite_policy::SuitePolicy;
pub use versions::Versions;
pub use witness::WitnessRule;

use crate::codec::{Reader, Writer};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::{Address, Error, Result, VersionId};

/// First bytes of every document.
pub const MAGIC: [u8; 4] = *b"shdc";
/// Version of the documents.
pub const VERSION: u8 = 1;

/// Who may state an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// a device of the hospital
    Hospital,
    /// the vault, with the key that signs the hospital's checkpoints
    Operator,
    /// either: what both have signed goes on the record by whoever signed last
    Either,
}

/// What kind of act it is. Codes are stable and never used again for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
pub enum ActKind {
    /// a new key-encryption key
    Epoch = 1,
    /// the least suite of what is stored from now on
    SuitePolicy = 2,
    /// a version, or everything, is put on hold
    Hold = 3,
    /// a hold ends
    Release = 4,
    /// hospital and operator agreed
    Agreement = 12,
    /// retention starts, grows, or is locked
    Retention = 5,
    /// something suspicious was set aside
    QuarantineIn = 13,
    /// what was set aside left
    QuarantineOut = 14,
    /// records are to end
    DisposalOrder = 6,
    /// an order is taken back
    DisposalCancelled = 7,
    /// the end of records has begun, or was certified
    Disposed = 8,
    /// something happened that the hospital must know of
    Incident = 15,
    /// records leave the hospital's archive as plain files
    Export = 16,
    /// the report of a month was made
    Report = 20,
    /// what the hospital says of a report
    Remark = 21,
    /// communication stopped
    Stopped = 24,
    /// communication goes on
    Reopened = 25,
    /// another hospital may read versions
    ShareGrant = 9,
    /// a grant, or its acceptance, ends
    Unshare = 10,
    /// what another hospital grants is accepted
    ShareAccepted = 11,
    /// new wraps of data keys
    Rewrap = 22,
    /// versions that were sealed anew
    Reseal = 23,
    /// a log ends at a vault, or does not after all
    HandOverOut = 17,
    /// a vault goes on with a log that another one kept
    HandOverIn = 18,
    /// the hospital orders or confirms a hand-over
    HandOverWord = 19,
    /// witnesses are required, or are no more
    Witness = 26,
    /// a view of names was kept
    Snapshot = 27,
    /// a machine that is about to be enrolled may do less than others
    DeviceRole = 28,
}

/// Every kind, its name for people and programs, and who states it.
const KINDS: [(ActKind, &str, Author); 28] = [
    (ActKind::Epoch, "epoch", Author::Hospital),
    (ActKind::SuitePolicy, "suite-policy", Author::Hospital),
    (ActKind::Hold, "hold", Author::Hospital),
    (ActKind::Release, "release", Author::Hospital),
    (ActKind::Agreement, "agreement", Author::Either),
    (ActKind::Retention, "retention", Author::Hospital),
    (ActKind::QuarantineIn, "quarantine-in", Author::Operator),
    (ActKind::QuarantineOut, "quarantine-out", Author::Operator),
    (ActKind::DisposalOrder, "disposal-order", Author::Hospital),
    (ActKind::DisposalCancelled, "disposal-cancelled", Author::Hospital),
    (ActKind::Disposed, "disposed", Author::Operator),
    (ActKind::Incident, "incident", Author::Operator),
    (ActKind::Export, "export", Author::Hospital),
    (ActKind::Report, "report", Author::Operator),
    (ActKind::Remark, "remark", Author::Hospital),
    (ActKind::Stopped, "communication-stopped", Author::Operator),
    (ActKind::Reopened, "communication-reopened", Author::Operator),
    (ActKind::ShareGrant, "share-grant", Author::Hospital),
    (ActKind::Unshare, "unshare", Author::Hospital),
    (ActKind::ShareAccepted, "share-accepted", Author::Hospital),
    (ActKind::Rewrap, "rewrap", Author::Hospital),
    (ActKind::Reseal, "reseal", Author::Hospital),
    (ActKind::HandOverOut, "handover-out", Author::Operator),
    (ActKind::HandOverIn, "handover-in", Author::Operator),
    (ActKind::HandOverWord, "handover-word", Author::Hospital),
    (ActKind::Witness, "witness", Author::Hospital),
    (ActKind::Snapshot, "snapshot", Author::Hospital),
    (ActKind::DeviceRole, "device-role", Author::Hospital),
];

impl ActKind {
    /// Every kind, by code.
    pub fn all() -> impl Iterator<Item = ActKind> {
        KINDS.iter().map(|(kind, _, _)| *kind)
    }

    /// The code in the entry.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Its name for people and programs.
    pub fn name(self) -> &'static str {
        KINDS.iter().find(|row| row.0 == self).map_or("unknown", |row| row.1)
    }

    /// Who may state it. A kind without a row would be nobody's: a test holds the table whole.
    pub fn author(self) -> Author {
        KINDS.iter().find(|row| row.0 == self).map_or(Author::Operator, |row| row.2)
    }

    /// Whether a log that ended takes it: what ends the relation, what must be told all the same, and its going on at the next
    /// vault. Orders of disposal and what is done on them (6 to 8), reports and remarks (20, 21) are among them.
    pub const fn comes_after_the_end(self) -> bool {
        matches!(self.code(), 3 | 4 | 6 | 7 | 8 | 15 | 17 | 18 | 19 | 20 | 21)
    }

    /// The kind of a code.
    pub fn from_code(code: u16) -> Result<Self> {
        let known = ActKind::all().find(|kind| kind.code() == code);
        known.ok_or(Error::Invalid { what: "act kind", why: "no such kind in this release" })
    }
}

/// Fields of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// id of this act, fresh among all versions and acts of the hospital
    pub id: VersionId,
    /// what kind of act
    pub kind: ActKind,
    /// the version it is about; none: the hospital as a whole, or what its document says
    pub subject: Option<VersionId>,
    /// address of its document
    pub document: Address,
}

impl Act {
    /// Writes it.
    pub fn write(&self, out: &mut Writer) {
        out.put(&self.id.0).u16(self.kind.code()).zeros(6);
        out.put(&self.subject.map_or([0; 16], |version| version.0)).put(&self.document.0);
    }

    /// Reads it.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let id = VersionId::read(reader)?;
        let kind = ActKind::from_code(reader.u16("act kind")?)?;
        reader.zeros(6, "reserved bytes of the act")?;
        let subject = Some(VersionId::read(reader)?).filter(|version| version.0 != [0; 16]);
        Ok(Act { id, kind, subject, document: Address::read(reader)? })
    }
}

/// What an act says, as its document has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// of a new epoch
    Epoch(Epoch),
    /// of a suite policy
    SuitePolicy(SuitePolicy),
    /// of a hold
    Hold(Hold),
    /// of a release
    Release(Release),
    /// of an agreement
    Agreement(Box<Agreement>),
    /// of a change of retention
    Retention(Retain),
    /// of something that was set aside
    QuarantineIn(QuarantineIn),
    /// of its end
    QuarantineOut(QuarantineOut),
    /// of a disposal order
    DisposalOrder(Order),
    /// of a cancellation
    DisposalCancelled(Cancel),
    /// of a disposal that has begun, or was certified
    Disposed(Disposed),
    /// of an incident
    Incident(Incident),
    /// of an export
    Export(Export),
    /// of a report
    Report(Box<MonthReport>),
    /// of a remark
    Remark(Remark),
    /// of a stop of communication
    Stopped(Stopped),
    /// of its end
    Reopened(Reopened),
    /// of new wraps
    Rewrap(Rewrap),
    /// of versions sealed anew
    Reseal(Reseal),
    /// of a grant
    ShareGrant(Box<ShareGrant>),
    /// of the end of a share
    Unshare(Unshare),
    /// of the acceptance of a grant
    ShareAccepted(ShareAccepted),
    /// of the end of a log
    HandOverOut(HandOverOut),
    /// of its going on
    HandOverIn(Box<HandOverIn>),
    /// of an order or a confirmation
    HandOverWord(Box<HandOverWord>),
    /// of required witnesses
    Witness(WitnessRule),
    /// of a kept view
    Snapshot(Box<Snapshot>),
    /// of what a machine may do
    DeviceRole(DeviceRole),
}

impl Document {
    /// The kind of act it belongs to.
    pub fn kind(&self) -> ActKind {
        match self {
            Document::Epoch(_) => ActKind::Epoch,
            Document::SuitePolicy(_) => ActKind::SuitePolicy,
            Document::Hold(_) => ActKind::Hold,
            Document::Release(_) => ActKind::Release,
            Document::Agreement(_) => ActKind::Agreement,
            Document::Retention(_) => ActKind::Retention,
            Document::QuarantineIn(_) => ActKind::QuarantineIn,
            Document::QuarantineOut(_) => ActKind::QuarantineOut,
            Document::DisposalOrder(_) => ActKind::DisposalOrder,
            Document::DisposalCancelled(_) => ActKind::DisposalCancelled,
            Document::Disposed(_) => ActKind::Disposed,
            Document::Incident(_) => ActKind::Incident,
            Document::Export(_) => ActKind::Export,
            Document::Report(_) => ActKind::Report,
            Document::Remark(_) => ActKind::Remark,
            Document::Stopped(_) => ActKind::Stopped,
            Document::Reopened(_) => ActKind::Reopened,
            Document::Rewrap(_) => ActKind::Rewrap,
            Document::Reseal(_) => ActKind::Reseal,
            Document::ShareGrant(_) => ActKind::ShareGrant,
            Document::Unshare(_) => ActKind::Unshare,
            Document::ShareAccepted(_) => ActKind::ShareAccepted,
            Document::HandOverOut(_) => ActKind::HandOverOut,
            Document::HandOverIn(_) => ActKind::HandOverIn,
            Document::HandOverWord(_) => ActKind::HandOverWord,
            Document::Witness(_) => ActKind::Witness,
            Document::Snapshot(_) => ActKind::Snapshot,
            Document::DeviceRole(_) => ActKind::DeviceRole,
        }
    }

    /// The bytes of the record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(256);
        out.put(&MAGIC).u8(VERSION).zeros(1).u16(self.kind().code());
        match self {
            Document::Epoch(epoch) => epoch.write(&mut out),
            Document::SuitePolicy(policy) => policy.write(&mut out),
            Document::Hold(hold) => hold.write(&mut out),
            Document::Release(release) => release.write(&mut out),
            Document::Agreement(agreement) => agreement.write(&mut out),
            Document::Retention(retain) => retain.write(&mut out),
            Document::QuarantineIn(quarantined) => quarantined.write(&mut out),
            Document::QuarantineOut(left) => left.write(&mut out),
            Document::DisposalOrder(order) => order.write(&mut out),
            Document::DisposalCancelled(cancel) => cancel.write(&mut out),
            Document::Disposed(disposed) => disposed.write(&mut out),
            Document::Incident(incident) => incident.write(&mut out),
            Document::Export(export) => export.write(&mut out),
            Document::Report(report) => report.write(&mut out),
            Document::Remark(remark) => remark.write(&mut out),
            Document::Stopped(stopped) => stopped.write(&mut out),
            Document::Reopened(reopened) => reopened.write(&mut out),
            Document::Rewrap(rewrap) => rewrap.write(&mut out),
            Document::Reseal(reseal) => reseal.write(&mut out),
            Document::ShareGrant(grant) => grant.write(&mut out),
            Document::Unshare(unshare) => unshare.write(&mut out),
            Document::ShareAccepted(accepted) => accepted.write(&mut out),
            Document::HandOverOut(handover) => handover.write(&mut out),
            Document::HandOverIn(handover) => handover.write(&mut out),
            Document::HandOverWord(word) => word.write(&mut out),
            Document::Witness(rule) => rule.write(&mut out),
            Document::Snapshot(snapshot) => snapshot.write(&mut out),
            Document::DeviceRole(role) => role.write(&mut out),
        }
        out.finish()
    }

    /// Reads the document of an act of this kind.
    pub fn decode(kind: ActKind, bytes: &[u8]) -> Result<Self> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            let (found, limit) = (bytes.len() as u64, DOCUMENT_BYTES_MAX as u64);
            return Err(Error::OverLimit { what: "document", found, limit });
        }
        let mut reader = Reader::new(bytes, "document");
        if reader.array::<4>("document magic")? != MAGIC {
            return Err(Error::Magic { what: "document" });
        }
        match reader.u8("document version")? {
            VERSION => {}
            found => return Err(Error::Version { what: "document", found, known: VERSION }),
        }
        reader.zeros(1, "reserved byte of the document")?;
        if reader.u16("act kind")? != kind.code() {
            return Err(Error::Invalid { what: "document", why: "it is of another kind than its act" });
        }
        let document = match kind {
            ActKind::Epoch => Document::Epoch(Epoch::read(&mut reader)?),
            ActKind::SuitePolicy => Document::SuitePolicy(SuitePolicy::read(&mut reader)?),
            ActKind::Hold => Document::Hold(Hold::read(&mut reader)?),
            ActKind::Release => Document::Release(Release::read(&mut reader)?),
            ActKind::Agreement => Document::Agreement(Box::new(Agreement::read(&mut reader)?)),
            ActKind::Retention => Document::Retention(Retain::read(&mut reader)?),
            ActKind::QuarantineIn => Document::QuarantineIn(QuarantineIn::read(&mut reader)?),
            ActKind::QuarantineOut => Document::QuarantineOut(QuarantineOut::read(&mut reader)?),
            ActKind::DisposalOrder => Document::DisposalOrder(Order::read(&mut reader)?),
            ActKind::DisposalCancelled => Document::DisposalCancelled(Cancel::read(&mut reader)?),
            ActKind::Disposed => Document::Disposed(Disposed::read(&mut reader)?),
            ActKind::Incident => Document::Incident(Incident::read(&mut reader)?),
            ActKind::Export => Document::Export(Export::read(&mut reader)?),
            ActKind::Report => Document::Report(Box::new(MonthReport::read(&mut reader)?)),
            ActKind::Remark => Document::Remark(Remark::read(&mut reader)?),
            ActKind::Stopped => Document::Stopped(Stopped::read(&mut reader)?),
            ActKind::Reopened => Document::Reopened(Reopened::read(&mut reader)?),
            ActKind::Rewrap => Document::Rewrap(Rewrap::read(&mut reader)?),
            ActKind::Reseal => Document::Reseal(Reseal::read(&mut reader)?),
            ActKind::ShareGrant => Document::ShareGrant(Box::new(ShareGrant::read(&mut reader)?)),
            ActKind::Unshare => Document::Unshare(Unshare::read(&mut reader)?),
            ActKind::ShareAccepted => Document::ShareAccepted(ShareAccepted::read(&mut reader)?),
            ActKind::HandOverOut => Document::HandOverOut(HandOverOut::read(&mut reader)?),
            ActKind::HandOverIn => Document::HandOverIn(Box::new(HandOverIn::read(&mut reader)?)),
            ActKind::HandOverWord => Document::HandOverWord(Box::new(HandOverWord::read(&mut reader)?)),
            ActKind::Witness => Document::Witness(WitnessRule::read(&mut reader)?),
            ActKind::Snapshot => Document::Snapshot(Box::new(Snapshot::read(&mut reader)?)),
            ActKind::DeviceRole => Document::DeviceRole(DeviceRole::read(&mut reader)?),
        };
        reader.finish().map(|()| document)
    }

    /// Further records that live as long as the act does, because its document names them.
    pub fn names(&self) -> Vec<Address> {
        match self {
            Document::Disposed(disposed) => disposed.removals().to_vec(),
            Document::Rewrap(rewrap) => rewrap.wraps().iter().map(|(_, wrap)| *wrap).collect(),
            Document::Snapshot(snapshot) => snapshot.pieces.iter().map(|piece| piece.address).collect(),
            Document::Epoch(_) | Document::Hold(_) | Document::Release(_) | Document::Agreement(_) => Vec::new(),
            Document::Retention(_) | Document::Incident(_) | Document::Export(_) => Vec::new(),
            Document::ShareGrant(_) | Document::Unshare(_) | Document::ShareAccepted(_) => Vec::new(),
            Document::HandOverOut(_) | Document::HandOverIn(_) | Document::HandOverWord(_) => Vec::new(),
            Document::QuarantineIn(_) | Document::QuarantineOut(_) => Vec::new(),
            Document::Report(_) | Document::Remark(_) => Vec::new(),
            Document::Stopped(_) | Document::Reopened(_) => Vec::new(),
            Document::Witness(_) | Document::DeviceRole(_) => Vec::new(),
            Document::DisposalOrder(_) | Document::DisposalCancelled(_) => Vec::new(),
            Document::SuitePolicy(_) | Document::Reseal(_) => Vec::new(),
        }
    }
}

/// A closed vocabulary of one byte: unknown codes are refused.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $code:literal $text:literal,)+ })+) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $code,)+
        }

        impl $name {
            /// Every word, by code.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// Its code on media.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The word of a code.
            pub fn from_code(code: u8) -> $crate::Result<Self> {
                let known = Self::ALL.iter().copied().find(|word| word.code() == code);
                known.ok_or($crate::Error::Invalid { what: $what, why: "no such code" })
            }

            /// Its name for people and programs.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }

            /// The word of a name.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.name() == name)
            }
        }
    )+ };
}
pub(crate) use codes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_in_the_table_once_and_has_its_own_code_and_name() {
        for (at, (kind, name, author)) in KINDS.iter().enumerate() {
            assert_eq!((kind.name(), kind.author()), (*name, *author));
            assert_eq!(ActKind::from_code(kind.code()).unwrap(), *kind);
            let others = KINDS.iter().enumerate().filter(|(other, _)| *other != at);
            assert!(others.into_iter().all(|(_, row)| row.0.code() != kind.code() && row.1 != *name));
        }
        assert!(ActKind::from_code(0).is_err());
    }

    #[test]
    fn a_document_of_one_kind_does_not_stand_in_for_another() {
        let hold = Document::Hold(Hold::whole(HoldReason::Litigation));
        let bytes = hold.encode();
        assert_eq!(Document::decode(ActKind::Hold, &bytes).unwrap(), hold);
        for kind in ActKind::all().filter(|kind| *kind != ActKind::Hold) {
            assert!(Document::decode(kind, &bytes).is_err());
        }
        assert!(Document::decode(ActKind::Hold, &[&bytes[..], &[0]].concat()).is_err(), "trailing bytes are refused");
        let over = vec![0; DOCUMENT_BYTES_MAX + 1];
        assert!(matches!(Document::decode(ActKind::Hold, &over), Err(Error::OverLimit { .. })));
    }
}
