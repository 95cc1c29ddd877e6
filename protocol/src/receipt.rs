//! Receipts: the vault's signed word that an entry is in the ledger and every byte it speaks of is durable.

use crate::checkpoint::{Checkpoint, SignedHead};
use crate::codec::{Reader, Writer};
use crate::limits::{CHECKPOINT_BYTES_MAX, DATA_SHARDS_MAX, PROOF_HASHES_MAX, SHARDS_MAX};
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::{Digest, Error, Result, Suite, merkle};

/// First bytes of every receipt.
pub const MAGIC: [u8; 4] = *b"shsr";
/// Version of the receipt format.
pub const VERSION: u8 = 1;

/// How durable the bytes were when the receipt was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable {
    /// 1: synced on k + m volumes of one site (D1); 2: on both sites (D2)
    pub level: u8,
    /// sites
    pub sites: u8,
    /// data shards
    pub k: u8,
    /// parity shards, all of them synced
    pub m: u8,
}

impl Durable {
    fn check(self) -> Result<Self> {
        let bad = |why| Error::Invalid { what: "durable", why };
        match (self.level, self.sites) {
            (1, 1) | (2, 2..) => {}
            _ => return Err(bad("level 1 is one site, level 2 is two sites or more")),
        }
        match (self.k, self.m) {
            (1..=DATA_SHARDS_MAX, 1..) if self.k.saturating_add(self.m) <= SHARDS_MAX => Ok(self),
            _ => Err(bad("no such code of k + m shards")),
        }
    }
}

/// A place in the ledger with its proof; what receipts and read answers have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// leaf index
    pub index: u64,
    /// the vault's clock when it accepted the entry, in milliseconds since 1970
    pub accepted_ms: u64,
    /// path from the leaf to the root of the checkpoint
    pub proof: Vec<Digest>,
    /// signed ledger head
    pub checkpoint: String,
}

impl Inclusion {
    /// Refuses it unless the vault signed the checkpoint and the proof places `leaf` under it.
    pub fn verify(&self, leaf: &Digest, vault_key: &PublicKey) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::verify(&self.checkpoint, vault_key)?;
        self.prove(leaf, &checkpoint)?;
        Ok(checkpoint)
    }

    fn prove(&self, leaf: &Digest, checkpoint: &Checkpoint) -> Result<()> {
        merkle::verify_inclusion(leaf, self.index, checkpoint.size, &self.proof, &checkpoint.root)
    }

    /// Writes it into a structure.
    pub fn write(&self, out: &mut Writer) {
        out.u64(self.index).u64(self.accepted_ms);
        write_proof(out, &self.proof);
        out.var(self.checkpoint.as_bytes());
    }

    /// Reads it from a structure.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Inclusion {
            index: reader.u64("leaf index")?,
            accepted_ms: reader.u64("accepted time")?,
            proof: read_proof(reader)?,
            checkpoint: reader.text(CHECKPOINT_BYTES_MAX, "checkpoint")?,
        })
    }
}

/// Writes a list of hashes.
pub fn write_proof(out: &mut Writer, proof: &[Digest]) {
    out.count(proof.len());
    for hash in proof {
        out.put(&hash.0);
    }
}

/// Reads a list of hashes.
pub fn read_proof(reader: &mut Reader<'_>) -> Result<Vec<Digest>> {
    let count = reader.count(PROOF_HASHES_MAX, "proof hashes")?;
    (0..count).map(|_| Digest::read(reader)).collect()
}

/// A receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// algorithms of the hospital, and so of the vault's signature
    pub suite: Suite,
    /// hash of the entry as a leaf
    pub leaf: Digest,
    /// where the entry is, and the proof
    pub inclusion: Inclusion,
    /// what was synced
    pub durable: Durable,
    /// the vault's signature over all of the above
    pub signature: Signature,
}

impl Receipt {
    /// Signs a receipt.
    pub fn sign(leaf: Digest, inclusion: Inclusion, durable: Durable, key: &SigningKey) -> Self {
        let suite = key.public().suite();
        let signature = key.sign(Domain::Receipt, &signed_bytes(suite, &leaf, &inclusion, durable));
        Receipt { suite, leaf, inclusion, durable, signature }
    }

    /// Refuses a receipt that this vault did not sign, or whose proof does not hold; gives the checkpoint it proves.
    pub fn verify(&self, leaf: &Digest, vault_key: &PublicKey) -> Result<Checkpoint> {
        self.verify_signature(leaf, vault_key)?;
        self.inclusion.verify(leaf, vault_key)
    }

    /// As [`verify`](Self::verify), under a head that was verified before: the receipt must carry its very text.
    pub fn verify_under(&self, leaf: &Digest, vault_key: &PublicKey, head: &SignedHead) -> Result<()> {
        self.verify_signature(leaf, vault_key)?;
        if self.inclusion.checkpoint != head.text() {
            return Err(Error::Invalid { what: "receipt", why: "it is under another checkpoint" });
        }
        self.inclusion.prove(leaf, head.checkpoint())
    }

    fn verify_signature(&self, leaf: &Digest, vault_key: &PublicKey) -> Result<()> {
        if self.leaf != *leaf {
            let (expected, found) = (leaf.to_string(), self.leaf.to_string());
            return Err(Error::Mismatch { what: "entry of the receipt", expected, found });
        }
        self.verify_signature_alone(vault_key)
    }

    /// Refuses a receipt that this vault did not sign. What it says may still be false: then that is the vault's word.
    pub fn verify_signature_alone(&self, vault_key: &PublicKey) -> Result<()> {
        if vault_key.suite() != self.suite {
            return Err(Error::Suite { found: self.suite.code(), expected: "the suite of the vault's key" });
        }
        let signed = signed_bytes(self.suite, &self.leaf, &self.inclusion, self.durable);
        vault_key.verify(Domain::Receipt, &signed, &self.signature)
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = signed_bytes(self.suite, &self.leaf, &self.inclusion, self.durable);
        bytes.extend_from_slice(&self.signature.0);
        bytes
    }

    /// Parses a receipt without believing it.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "receipt");
        if reader.array::<4>("receipt magic")? != MAGIC {
            return Err(Error::Magic { what: "receipt" });
        }
        match reader.u8("receipt version")? {
            VERSION => {}
            found => return Err(Error::Version { what: "receipt", found, known: VERSION }),
        }
        let suite = Suite::try_from(reader.u8("suite")?)?;
        let durable = Durable {
            level: reader.u8("durable level")?,
            sites: reader.u8("sites")?,
            k: reader.u8("data shards")?,
            m: reader.u8("parity shards")?,
        }
        .check()?;
        reader.zeros(2, "reserved bytes of the receipt")?;
        let leaf = Digest::read(&mut reader)?;
        let inclusion = Inclusion::read(&mut reader)?;
        let signature = Signature::read(&mut reader)?;
        reader.finish()?;
        Ok(Receipt { suite, leaf, inclusion, durable, signature })
    }
}

fn signed_bytes(suite: Suite, leaf: &Digest, inclusion: &Inclusion, durable: Durable) -> Vec<u8> {
    let mut out = Writer::with_capacity(1024);
    out.put(&MAGIC).u8(VERSION).u8(suite.code()).u8(durable.level).u8(durable.sites).u8(durable.k).u8(durable.m);
    out.zeros(2).put(&leaf.0);
    inclusion.write(&mut out);
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HospitalId, VaultId};
    use zeroize::Zeroizing;

    #[test]
    fn a_receipt_is_proved_under_its_own_head_only() {
        let key = SigningKey::from_seed(Suite::Default, &Zeroizing::new([7; 32])).unwrap();
        let leaf = Digest([1; 32]);
        let head = |time_ms| {
            let (vault, hospital) = (VaultId([2; 16]), HospitalId([3; 16]));
            Checkpoint { vault, hospital, size: 1, root: leaf, time_ms, term: 1 }.sign(&key)
        };
        let (own, other) = (head(5), head(6));
        let inclusion = Inclusion { index: 0, accepted_ms: 5, proof: Vec::new(), checkpoint: own.clone() };
        let receipt = Receipt::sign(leaf, inclusion, Durable { level: 1, sites: 1, k: 4, m: 2 }, &key);
        let public = key.public();
        let under = |text: &str| receipt.verify_under(&leaf, &public, &SignedHead::verify(text, &public).unwrap());
        assert_eq!(under(&own), Ok(()));
        assert!(
            matches!(under(&other), Err(Error::Invalid { what: "receipt", .. })),
            "the same tree, but another text"
        );
        let forged = Receipt { signature: Signature([0; 64]), ..receipt.clone() };
        assert!(forged.verify_under(&leaf, &public, &SignedHead::verify(&own, &public).unwrap()).is_err());
    }
}
