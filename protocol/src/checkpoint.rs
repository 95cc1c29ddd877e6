//! Signed ledger heads in the public checkpoint form (a signed note), so that existing witnesses can co-sign them.
//!
//! ```text
//! shosoin/<vault id>/<hospital id>        origin
//! <size in decimal>
//! <root in base64>
//! time <milliseconds since 1970>          extension lines: these two, in this order
//! term <number of the sequencer's term>
//!
//! — shosoin/<vault id>/<hospital id> <base64 of key id (4) and signature>
//! ```
//!
//! Invariants
//! - A text that parses is the text that signing gives back: one form of every number, no control characters.
//! - Lines of other signers are read for their form and otherwise left alone: they may be witnesses.
//!
//! Suite 1 signs as type 0x01 (Ed25519, 64 bytes), suite 2 as type 0x02 (ECDSA P-256 in DER, key id over the DER of
//! the key), so software that knows either can check and co-sign.
//! Source: the C2SP texts `tlog-checkpoint` and `signed-note`.

use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::suite::sha256;
use crate::{Digest, Error, HospitalId, Result, Suite, VaultId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// A ledger head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// who keeps the log
    pub vault: VaultId,
    /// whose log
    pub hospital: HospitalId,
    /// leaves
    pub size: u64,
    /// root over them
    pub root: Digest,
    /// the vault's clock, in milliseconds since 1970
    pub time_ms: u64,
    /// term of the sequencer, one sequencer at a time
    pub term: u64,
}

impl Checkpoint {
    /// The signed text.
    pub fn sign(&self, key: &SigningKey) -> String {
        let (text, origin) = (self.text(), self.origin());
        let public = key.public();
        let signature = key.sign(Domain::Note, text.as_bytes());
        let mut line = key_id(&origin, &public).to_vec();
        match public.suite() {
            Suite::Default => line.extend_from_slice(&signature.0),
            Suite::Cryptrec => line.extend(signature.to_der().unwrap_or_default()),
        }
        format!("{text}\n{DASH}{origin} {}\n", BASE64.encode(line))
    }

    /// Reads a signed text and refuses it unless the vault's key signed it. Signatures of others are left alone.
    pub fn verify(signed: &str, key: &PublicKey) -> Result<Self> {
        let (checkpoint, signatures) = Self::parse(signed)?;
        let (text, origin) = (checkpoint.text(), checkpoint.origin());
        let id = key_id(&origin, key);
        let mut verified = false;
        for line in signatures.lines() {
            let (name, bytes) = parse_signature(line)?;
            if let Some(signature) = bytes.strip_prefix(&id).filter(|_| name == origin) {
                let bad = Error::Signature { what: "checkpoint" };
                key.verify(Domain::Note, text.as_bytes(), &note_signature(key.suite(), signature).ok_or(bad)?)?;
                verified = true;
            }
        }
        if verified { Ok(checkpoint) } else { Err(Error::Signature { what: "checkpoint" }) }
    }

    /// Reads a signed text without believing it, and returns its signature lines.
    pub fn parse(signed: &str) -> Result<(Self, &str)> {
        let limit = CHECKPOINT_BYTES_MAX;
        if signed.len() > limit {
            return Err(Error::OverLimit { what: "checkpoint", found: signed.len() as u64, limit: limit as u64 });
        }
        let bad = |why| Error::Invalid { what: "checkpoint", why };
        let (text, signatures) = signed.rsplit_once("\n\n").ok_or(bad("no blank line before its signatures"))?;
        let checkpoint = parse_text(text)?;
        if checkpoint.text().strip_suffix('\n') != Some(text) {
            return Err(bad("it is not in its canonical form"));
        }
        match signatures.strip_suffix('\n') {
            Some(lines) => lines.split('\n').try_for_each(|line| parse_signature(line).map(|_| ()))?,
            None => return Err(bad("its last line must end in a newline")),
        }
        Ok((checkpoint, signatures))
    }

    /// What names the log, and its key, in the text.
    pub fn origin(&self) -> String {
        format!("shosoin/{}/{}", self.vault, self.hospital)
    }

    fn text(&self) -> String {
        let (origin, root) = (self.origin(), BASE64.encode(self.root.0));
        format!("{origin}\n{}\n{root}\ntime {}\nterm {}\n", self.size, self.time_ms, self.term)
    }
}

/// A checkpoint whose signature was verified, with the signed text it was read from. Many receipts share one, so it is
/// verified once and handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    checkpoint: Checkpoint,
    text: String,
}

impl SignedHead {
    /// Reads a signed text and refuses it unless the vault's key signed it.
    pub fn verify(signed: &str, key: &PublicKey) -> Result<Self> {
        Ok(SignedHead { checkpoint: Checkpoint::verify(signed, key)?, text: signed.to_owned() })
    }

    /// What it says.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Its signed text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }
}

fn parse_text(text: &str) -> Result<Checkpoint> {
    let bad = |why| Error::Invalid { what: "checkpoint", why };
    let lines: Vec<&str> = text.split('\n').collect();
    let [origin, size, root, time, term] = lines[..] else {
        return Err(bad("it must have five lines before its signatures"));
    };
    let mut origin = origin.split('/');
    let (Some("shosoin"), Some(vault), Some(hospital), None) =
        (origin.next(), origin.next(), origin.next(), origin.next())
    else {
        return Err(bad("its origin must be shosoin/<vault>/<hospital>"));
    };
    let number = |text: &str| text.parse::<u64>().map_err(|_| bad("a number does not parse"));
    let root = BASE64.decode(root).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    Ok(Checkpoint {
        vault: vault.parse()?,
        hospital: hospital.parse()?,
        size: number(size)?,
        root: Digest(root.ok_or(bad("its root must be 32 bytes in base64"))?),
        time_ms: number(time.strip_prefix("time ").ok_or(bad("its fourth line must be its time"))?)?,
        term: number(term.strip_prefix("term ").ok_or(bad("its fifth line must be its term"))?)?,
    })
}

/// Reads one signature line: its name, and key id with signature.
fn parse_signature(line: &str) -> Result<(&str, Vec<u8>)> {
    let bad = Error::Invalid { what: "checkpoint", why: "a signature line must be dash, name, base64" };
    let (name, text) = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or(bad.clone())?;
    let named = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+');
    match BASE64.decode(text) {
        Ok(bytes) if named && bytes.len() > 4 => Ok((name, bytes)),
        _ => Err(bad),
    }
}

fn note_signature(suite: Suite, bytes: &[u8]) -> Option<Signature> {
    match suite {
        Suite::Default => bytes.try_into().ok().map(Signature),
        Suite::Cryptrec => Signature::from_der(bytes),
    }
}

/// First four bytes of a SHA-256, as signed notes have it: over name, newline, 0x01 and an Ed25519 key, or over the
/// DER form of a P-256 key alone.
fn key_id(name: &str, key: &PublicKey) -> [u8; 4] {
    let digest = match key.p256_spki() {
        None => sha256(&[name.as_bytes(), b"\n\x01", key.as_bytes()]),
        Some(spki) => sha256(&[&spki]),
    };
    [digest.0[0], digest.0[1], digest.0[2], digest.0[3]]
}

#[cfg(test)]
mod tests;
