//! The vault's signed answer to an audit: which bytes it gave for an address that the hospital chose, or why none.
//!
//! The question carries a nonce, so the answer was made after it; the answer names the newest ledger head, so it says how
//! long the ledger was then. Bytes that do not match the address, a record that is not there and a ledger that went back
//! are then the vault's own signed word ([`evidence`](crate::evidence)).
//!
//! Source: the audits of Ateniese et al., "Provable Data Possession at Untrusted Stores", 2007, with whole records in
//! place of tags: bytes that are addressed by their hash need none.

use crate::checkpoint::Checkpoint;
use crate::codec::{Reader, Writer};
use crate::limits::{CHECKPOINT_BYTES_MAX, RECORD_BYTES_MAX};
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::{Address, Digest, Error, HospitalId, Result, Suite, VaultId};
use bytes::Bytes;

/// First bytes of every answer.
pub const MAGIC: [u8; 4] = *b"shaa";
/// Version of the format.
pub const VERSION: u8 = 1;

/// What a hospital asks: fresh random bytes that the answer must repeat.
pub type Nonce = [u8; 32];

/// What became of the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// the bytes were read on media and given
    Given {
        /// how many
        len: u32,
        /// their digest under the hospital's suite: the address, if they are the right ones
        digest: Digest,
    },
    /// the vault has no such record
    NotHeld,
    /// too little of it is left on media to be read
    Unreadable,
    /// it is on media that must be mounted first
    OnShelf,
}

impl Outcome {
    fn code(self) -> u8 {
        match self {
            Outcome::Given { .. } => 0,
            Outcome::NotHeld => 1,
            Outcome::Unreadable => 2,
            Outcome::OnShelf => 3,
        }
    }

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Given { .. } => "given",
            Outcome::NotHeld => "not held",
            Outcome::Unreadable => "unreadable",
            Outcome::OnShelf => "on a shelf",
        }
    }
}

/// What a vault says to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// who answers
    pub vault: VaultId,
    /// whom
    pub hospital: HospitalId,
    /// nonce of the question
    pub nonce: Nonce,
    /// address that was asked for
    pub address: Address,
    /// what became of it
    pub outcome: Outcome,
    /// the vault's clock, in milliseconds since 1970
    pub time_ms: u64,
    /// newest signed head of the hospital's ledger
    pub checkpoint: String,
}

/// A signed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// algorithms of the hospital, and so of the signature
    pub suite: Suite,
    /// what it says
    pub said: Said,
    /// the vault's signature over all of the above
    pub signature: Signature,
}

impl Answer {
    /// Signs what is said.
    pub fn sign(said: Said, key: &SigningKey) -> Self {
        let suite = key.public().suite();
        let signature = key.sign(Domain::Answer, &signed_bytes(suite, &said));
        Answer { suite, said, signature }
    }

    /// Refuses an answer that this vault did not sign, or whose head it did not sign; gives that head.
    pub fn verify(&self, vault_key: &PublicKey) -> Result<Checkpoint> {
        if vault_key.suite() != self.suite {
            return Err(Error::Suite { found: self.suite.code(), expected: "the suite of the vault's key" });
        }
        vault_key.verify(Domain::Answer, &signed_bytes(self.suite, &self.said), &self.signature)?;
        let head = Checkpoint::verify(&self.said.checkpoint, vault_key)?;
        match (head.vault, head.hospital) == (self.said.vault, self.said.hospital) {
            true => Ok(head),
            false => Err(Error::Invalid { what: "audit answer", why: "its head is of another ledger" }),
        }
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = signed_bytes(self.suite, &self.said);
        bytes.extend_from_slice(&self.signature.0);
        bytes
    }

    /// Parses an answer without believing it.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "audit answer");
        if reader.array::<4>("magic of the audit answer")? != MAGIC {
            return Err(Error::Magic { what: "audit answer" });
        }
        match reader.u8("version of the audit answer")? {
            VERSION => {}
            found => return Err(Error::Version { what: "audit answer", found, known: VERSION }),
        }
        let suite = Suite::try_from(reader.u8("suite")?)?;
        let outcome = reader.u8("outcome")?;
        reader.zeros(1, "reserved byte of the audit answer")?;
        let (vault, hospital) = (VaultId::read(&mut reader)?, HospitalId::read(&mut reader)?);
        let (nonce, address) = (reader.array("nonce")?, Address::read(&mut reader)?);
        let (len, digest) = (reader.u32("length given")?, Digest::read(&mut reader)?);
        let outcome = read_outcome(outcome, len, digest)?;
        let (time_ms, checkpoint) = (reader.u64("time")?, reader.text(CHECKPOINT_BYTES_MAX, "checkpoint")?);
        let signature = Signature::read(&mut reader)?;
        reader.finish()?;
        let said = Said { vault, hospital, nonce, address, outcome, time_ms, checkpoint };
        Ok(Answer { suite, said, signature })
    }
}

fn read_outcome(code: u8, len: u32, digest: Digest) -> Result<Outcome> {
    if code != 0 && (len, digest) != (0, Digest([0; 32])) {
        return Err(Error::Invalid { what: "audit answer", why: "where nothing is given, length and digest are zero" });
    }
    match code {
        0 => Ok(Outcome::Given { len, digest }),
        1 => Ok(Outcome::NotHeld),
        2 => Ok(Outcome::Unreadable),
        3 => Ok(Outcome::OnShelf),
        _ => Err(Error::Invalid { what: "audit answer", why: "no such outcome" }),
    }
}

fn signed_bytes(suite: Suite, said: &Said) -> Vec<u8> {
    let (len, digest) = match said.outcome {
        Outcome::Given { len, digest } => (len, digest),
        _ => (0, Digest([0; 32])),
    };
    let mut out = Writer::with_capacity(256 + said.checkpoint.len());
    out.put(&MAGIC).u8(VERSION).u8(suite.code()).u8(said.outcome.code()).zeros(1);
    out.put(&said.vault.0).put(&said.hospital.0).put(&said.nonce).put(&said.address.0);
    out.u32(len).put(&digest.0).u64(said.time_ms).var(said.checkpoint.as_bytes());
    out.finish()
}

/// The body of the reply: the signed answer and, where it says so, the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditReply {
    /// signed answer
    pub answer: Answer,
    /// the record; empty where none is given
    pub record: Bytes,
}

/// An encoded answer, in bytes.
const ANSWER_BYTES_MAX: usize = CHECKPOINT_BYTES_MAX + 256;

impl AuditReply {
    /// Largest body, in bytes.
    pub const BYTES_MAX: usize = ANSWER_BYTES_MAX + RECORD_BYTES_MAX + 8;

    /// The body of the answer.
    pub fn encode(&self) -> Vec<u8> {
        let answer = self.answer.encode();
        let mut out = Writer::with_capacity(answer.len() + self.record.len() + 8);
        out.var(&answer).var(&self.record);
        out.finish()
    }

    /// Reads a body; the record shares its memory.
    pub fn decode(body: &Bytes) -> Result<Self> {
        let mut reader = Reader::new(body, "audit reply");
        let answer = Answer::decode(reader.var(ANSWER_BYTES_MAX, "audit answer")?)?;
        let record = body.slice_ref(reader.var(RECORD_BYTES_MAX, "record")?);
        reader.finish()?;
        Ok(AuditReply { answer, record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outcome: Outcome) -> (Answer, PublicKey) {
        let key = SigningKey::from_seed(Suite::Default, &[7; 32].into()).unwrap();
        let (vault, hospital) = (VaultId([1; 16]), HospitalId([2; 16]));
        let head = Checkpoint { vault, hospital, size: 3, root: Digest([4; 32]), time_ms: 5, term: 1 };
        let (nonce, address, checkpoint) = ([6; 32], Address([8; 32]), head.sign(&key));
        let said = Said { vault, hospital, nonce, address, outcome, time_ms: 9, checkpoint };
        (Answer::sign(said, &key), key.public())
    }

    #[test]
    fn an_answer_that_was_changed_or_cut_is_refused() {
        let given = Outcome::Given { len: 3, digest: Digest([9; 32]) };
        for outcome in [given, Outcome::NotHeld, Outcome::Unreadable, Outcome::OnShelf] {
            let (signed, key) = answer(outcome);
            assert_eq!(signed.verify(&key).unwrap().size, 3);
            let bytes = signed.encode();
            assert_eq!(Answer::decode(&bytes), Ok(signed));
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert!(Answer::decode(&changed).and_then(|read| read.verify(&key)).is_err(), "byte {at}");
                assert!(Answer::decode(&bytes[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn an_answer_under_the_head_of_another_ledger_is_refused() {
        let (signed, key) = answer(Outcome::NotHeld);
        let secret = SigningKey::from_seed(Suite::Default, &[7; 32].into()).unwrap();
        let other = Said { hospital: HospitalId([3; 16]), ..signed.said };
        let refused = Answer::sign(other, &secret).verify(&key);
        assert!(matches!(refused, Err(Error::Invalid { what: "audit answer", .. })));
    }
}
