//! `add-checkpoint`: reading a request and judging it against what is remembered. Pure: nothing is signed or written here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use shosoin_protocol::note::{Note, TreeHead, VerifierKey, number};
use shosoin_protocol::{Digest, merkle};

/// Consistency proof lines of one request: what the protocol allows.
pub const PROOF_LINES_MAX: usize = 63;
/// Bytes of one request: as many lines, and a checkpoint.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// A request as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// leaves of the head that the caller believes was co-signed last
    pub old: u64,
    /// proof from there to the checkpoint
    pub proof: Vec<Digest>,
    /// the checkpoint as it came
    pub checkpoint: &'a str,
    /// the same, read
    pub note: Note<'a>,
    /// what it says
    pub head: TreeHead<'a>,
}

/// Why nothing is signed, each with its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// 400: not a request, or the old size is above the new
    Malformed(&'static str),
    /// 403: no signature of a key that is known for the origin, or one that does not verify
    NotTheLog,
    /// 404: no such log here
    UnknownLog,
    /// 409: the head co-signed last has another size
    OtherSize(u64),
    /// 422: the proof does not hold, or the roots differ
    Inconsistent(&'static str),
}

impl Refusal {
    /// Its HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Malformed(_) => 400,
            Refusal::NotTheLog => 403,
            Refusal::UnknownLog => 404,
            Refusal::OtherSize(_) => 409,
            Refusal::Inconsistent(_) => 422,
        }
    }
}

impl<'a> Request<'a> {
    /// Reads a body.
    pub fn parse(body: &'a str) -> Result<Self, Refusal> {
        let (lines, checkpoint) =
            body.split_once("\n\n").ok_or(Refusal::Malformed("no empty line before the checkpoint"))?;
        let mut lines = lines.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(number);
        let old = old.ok_or(Refusal::Malformed("the first line must be the old size"))?;
        let hash = |line: &str| BASE64.decode(line).ok()?.try_into().ok().map(Digest);
        let proof: Option<Vec<Digest>> = lines.map(hash).collect();
        let proof = proof.filter(|proof| proof.len() <= PROOF_LINES_MAX);
        let proof = proof.ok_or(Refusal::Malformed("the proof must be at most 63 hashes in base64"))?;
        let note = Note::parse(checkpoint).map_err(|_| Refusal::Malformed("the checkpoint is no signed note"))?;
        // the note is ours for as long as the body is
        let head = note.tree_head().map_err(|_| Refusal::Malformed("the note is no checkpoint"))?;
        Ok(Request { old, proof, checkpoint, head, note: note.clone() })
    }

    /// Refuses it unless the log signed it and it continues `latest`, the size and root that were co-signed last.
    pub fn judge(&self, keys: &[VerifierKey], latest: Option<(u64, Digest)>) -> Result<(), Refusal> {
        let mut signed = false;
        for key in keys {
            signed |= key.verify(&self.note).map_err(|_| Refusal::NotTheLog)?;
        }
        if !signed {
            return Err(Refusal::NotTheLog);
        }
        let TreeHead { size, root, .. } = self.head;
        if self.old > size {
            return Err(Refusal::Malformed("the old size is above that of the checkpoint"));
        }
        let (latest_size, latest_root) = latest.unwrap_or((0, merkle::empty_root()));
        if self.old != latest_size {
            return Err(Refusal::OtherSize(latest_size));
        }
        if size == 0 && root != merkle::empty_root() {
            return Err(Refusal::Inconsistent("an empty log has the root of the empty tree"));
        }
        let consistent = merkle::verify_consistency((latest_size, &latest_root), (size, &root), &self.proof);
        consistent
            .map_err(|_| Refusal::Inconsistent("the checkpoint does not continue the one that was co-signed last"))
    }
}
