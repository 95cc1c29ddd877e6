//! Signed ledger heads in the public checkpoint form (a signed note), so that existing witnesses can co-sign them.
//!
//! ```text
//! shosoin/<vault id>/<hospital id>        origin
//! <size in decimal>
//! <root in base64>
//! time <milliseconds since 1970>          extension lines: these two, in this order
//! term <number of the sequencer's term>
//!
//! — shosoin-<vault id> <base64 of key hash (4) and signature (64)>
//! ```
//! Source: the C2SP `tlog-checkpoint` and `signed-note` texts. Algorithm bytes: 0x01 Ed25519, 0x02 ECDSA.

use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::suite::sha256;
use crate::{Digest, Error, HospitalId, Result, Suite, VaultId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

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
        let text = self.text();
        let name = signer_name(self.vault);
        let mut line = key_hash(&name, &key.public()).to_vec();
        line.extend_from_slice(&key.sign(Domain::Note, text.as_bytes()).0);
        format!("{text}\n\u{2014} {name} {}\n", BASE64.encode(line))
    }

    /// Reads a signed text and refuses it unless the vault's key signed it. Signatures of others are left alone.
    pub fn verify(signed: &str, key: &PublicKey) -> Result<Self> {
        let (checkpoint, signatures) = Self::parse(signed)?;
        let name = signer_name(checkpoint.vault);
        let own_prefix = format!("\u{2014} {name} ");
        let own = signatures.lines().find_map(|line| line.strip_prefix(&own_prefix));
        let bad = Error::Signature { what: "checkpoint" };
        let line = own.and_then(|text| BASE64.decode(text).ok()).ok_or(bad.clone())?;
        match line.split_first_chunk::<4>() {
            Some((hash, signature)) if *hash == key_hash(&name, key) && signature.len() == Signature::LEN => {
                let mut fixed = [0; Signature::LEN];
                fixed.copy_from_slice(signature);
                key.verify(Domain::Note, checkpoint.text().as_bytes(), &Signature(fixed))?;
                Ok(checkpoint)
            }
            _ => Err(bad),
        }
    }

    /// Reads a signed text without believing it, and returns its signature lines.
    pub fn parse(signed: &str) -> Result<(Self, &str)> {
        let limit = CHECKPOINT_BYTES_MAX;
        if signed.len() > limit {
            return Err(Error::OverLimit { what: "checkpoint", found: signed.len() as u64, limit: limit as u64 });
        }
        let bad = |why| Error::Invalid { what: "checkpoint", why };
        let (text, signatures) = signed.split_once("\n\n").ok_or(bad("no blank line before its signatures"))?;
        let checkpoint = parse_text(text)?;
        match checkpoint.text().strip_suffix('\n') == Some(text) && signatures.ends_with('\n') {
            true => Ok((checkpoint, signatures)),
            false => Err(bad("it is not in its canonical form")),
        }
    }

    fn text(&self) -> String {
        let (vault, hospital, root) = (self.vault, self.hospital, BASE64.encode(self.root.0));
        format!("shosoin/{vault}/{hospital}\n{}\n{root}\ntime {}\nterm {}\n", self.size, self.time_ms, self.term)
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

fn signer_name(vault: VaultId) -> String {
    format!("shosoin-{vault}")
}

/// First four bytes of SHA-256 over name, newline, algorithm byte and key, as signed notes have it.
fn key_hash(name: &str, key: &PublicKey) -> [u8; 4] {
    let algorithm = match key.suite() {
        Suite::Default => 1,
        Suite::Cryptrec => 2,
    };
    let digest = sha256(&[name.as_bytes(), b"\n", &[algorithm], key.as_bytes()]);
    [digest.0[0], digest.0[1], digest.0[2], digest.0[3]]
}
