//! Hand-over: a hospital's ledger ends at one vault and goes on at the next (decision 33).
//!
//! ```text
//! hospital   word: ordered      names the vault that is to receive, and its key
//! old vault  out: closed        the log ends here for everything but what ends the relation
//! new vault  in                 first entry of the new log, behind the old log's leaves
//! hospital   word: confirmed    in both logs: what is there opens
//! ```

use super::codes;
use crate::checkpoint::SignedHead;
use crate::codec::{Reader, Writer};
use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::sign::PublicKey;
use crate::suite::sha256;
use crate::{Digest, Error, Result, VaultId, VersionId};

codes! {
    /// What the operator says of the end of a log.
    OutState, "state of a hand-over" {
        /// the log ends: only what ends the relation comes after this
        Closed = 1 "closed",
        /// it does not end after all
        Reopened = 2 "reopened",
    }

    /// What the hospital says of a hand-over.
    WordStage, "stage of a hand-over" {
        /// hand everything over to this vault
        Ordered = 1 "ordered",
        /// what this vault received was opened and compared
        Confirmed = 2 "confirmed",
    }
}

/// The operator ends a log, or takes that back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandOverOut {
    /// which of the two
    pub state: OutState,
    /// the hospital's word that orders it; of what is taken back, the one that ordered it
    pub order: VersionId,
    /// the vault that is to receive
    pub receiver: VaultId,
}

/// The operator of the next vault goes on with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOverIn {
    /// the hospital's word that orders it
    pub order: VersionId,
    /// the vault that kept the log before
    pub former: VaultId,
    /// its key of the hospital's suite
    pub former_key: PublicKey,
    /// leaves of the log before this one
    pub log_size: u64,
    /// root over them
    pub log_root: Digest,
    /// digest of the manifest of the package that was taken in
    pub package: Digest,
    /// the former vault's signed head over those leaves
    pub head: String,
}

/// How much the hospital looked at before it confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looked {
    /// versions that were fetched, opened and compared
    pub versions: u64,
    /// versions that there are
    pub of: u64,
    /// per million: how sure it is that fewer than the next are bad, where not all were looked at
    pub confidence_ppm: u32,
    /// per million of all versions
    pub bad_ppm: u32,
}

/// The hospital orders or confirms a hand-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOverWord {
    /// which of the two
    pub stage: WordStage,
    /// the vault that is to receive, or has received
    pub receiver: VaultId,
    /// digest of its key of the hospital's suite, as [`key_digest`] gives it
    pub receiver_key: Digest,
    /// what was looked at; zeros in an order
    pub looked: Looked,
    /// signed head of the receiver under which that was proved; empty in an order
    pub head: String,
}

/// What a fingerprint is of: SHA-256 of suite byte and key.
pub fn key_digest(key: &PublicKey) -> Digest {
    sha256(&[&[key.suite().code()], key.as_bytes()])
}

impl HandOverOut {
    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.state.code()).zeros(7).put(&self.order.0).put(&self.receiver.0);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let state = OutState::from_code(reader.u8("state of the hand-over")?)?;
        reader.zeros(7, "reserved bytes of the hand-over")?;
        Ok(HandOverOut { state, order: VersionId::read(reader)?, receiver: VaultId::read(reader)? })
    }
}

impl HandOverIn {
    pub(super) fn write(&self, out: &mut Writer) {
        out.put(&self.order.0).put(&self.former.0).u64(self.log_size).put(&self.log_root.0).put(&self.package.0);
        self.former_key.write(out);
        out.var(self.head.as_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(HandOverIn {
            order: VersionId::read(reader)?,
            former: VaultId::read(reader)?,
            log_size: reader.u64("leaves of the former log")?,
            log_root: Digest::read(reader)?,
            package: Digest::read(reader)?,
            former_key: PublicKey::read(reader)?,
            head: reader.text(CHECKPOINT_BYTES_MAX, "former head")?,
        })
    }

    /// Refuses a former head that the former vault did not sign, or that is not over the leaves it says.
    pub fn verify(&self) -> Result<()> {
        let head = SignedHead::verify(&self.head, &self.former_key)?;
        let checkpoint = head.checkpoint();
        match (checkpoint.vault, checkpoint.size, checkpoint.root) == (self.former, self.log_size, self.log_root) {
            true => Ok(()),
            false => Err(Error::Invalid { what: "former head", why: "it is not over the leaves before the hand-over" }),
        }
    }
}

impl HandOverWord {
    /// An order to hand over to a vault with this key.
    pub fn order(receiver: VaultId, receiver_key: Digest) -> Self {
        let (stage, looked) = (WordStage::Ordered, Looked::default());
        HandOverWord { stage, receiver, receiver_key, looked, head: String::new() }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.stage.code()).zeros(7).put(&self.receiver.0).put(&self.receiver_key.0);
        let Looked { versions, of, confidence_ppm, bad_ppm } = self.looked;
        out.u64(versions).u64(of).u32(confidence_ppm).u32(bad_ppm).var(self.head.as_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let stage = WordStage::from_code(reader.u8("stage of the hand-over")?)?;
        reader.zeros(7, "reserved bytes of the hand-over")?;
        let (receiver, receiver_key) = (VaultId::read(reader)?, Digest::read(reader)?);
        let looked = Looked {
            versions: reader.u64("versions looked at")?,
            of: reader.u64("versions in all")?,
            confidence_ppm: reader.u32("confidence")?,
            bad_ppm: reader.u32("bad versions")?,
        };
        let word =
            HandOverWord { stage, receiver, receiver_key, looked, head: reader.text(CHECKPOINT_BYTES_MAX, "head")? };
        let bare = word.looked == Looked::default() && word.head.is_empty();
        let Looked { versions, of, confidence_ppm, bad_ppm } = word.looked;
        let why = match stage {
            WordStage::Ordered if !bare => "an order looks at nothing",
            WordStage::Confirmed if word.head.is_empty() => "a confirmation is under a head",
            _ if versions > of => "no more can be looked at than there are",
            _ if confidence_ppm > 1_000_000 || bad_ppm > 1_000_000 => "a share is at most all",
            _ => return Ok(word),
        };
        Err(Error::Invalid { what: "word about the hand-over", why })
    }
}
