//! What proves that a vault rewrote or rolled back its ledger: both signed heads, and the proof that fails between them,
//! in a file that anyone with the vault's public key can judge.
//!
//! Invariants
//! - The file is durable before the error that names it is told.
//! - Evidence is never overwritten: a file is named by the digest of what it holds.
//! - A vault cannot fill the disk with it: beyond [`FILES_MAX`] files nothing is added, and those there prove enough.
//!
//! Source: tessera's `ErrInconsistency`, whose errors carry both checkpoints and the proof.

use crate::durable;
use crate::ledger::Head;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use shosoin_protocol::Digest;
use shosoin_protocol::suite::sha256;
use std::fmt::Write as _;
use std::io::Result;
use std::path::{Path, PathBuf};

/// Folder below the client's state.
const FOLDER: &str = "evidence";
/// Files that are kept.
const FILES_MAX: usize = 64;

/// Two signed heads that contradict each other.
pub struct Evidence {
    /// `went back` or `forked`
    pub why: &'static str,
    /// the head that was remembered
    pub remembered: Head,
    /// the head that was offered
    pub offered: Head,
    /// what the vault gave as the proof that one continues the other; empty where none was needed to see it
    pub proof: Vec<Digest>,
}

impl Evidence {
    /// Writes the file below `state_dir` unless it is there; durable on return. Gives the file, or the folder where it
    /// holds enough already.
    pub fn keep(&self, state_dir: &Path) -> Result<PathBuf> {
        let (folder, text) = (state_dir.join(FOLDER), self.text());
        std::fs::create_dir_all(&folder)?;
        let digest = sha256(&[text.as_bytes()]).to_string();
        let path = folder.join(format!("head-{}.txt", &digest[..16]));
        if path.try_exists()? {
            return Ok(path);
        }
        if std::fs::read_dir(&folder)?.count() >= FILES_MAX {
            return Ok(folder);
        }
        durable::replace(&path, text.as_bytes())?;
        durable::sync_folder(state_dir).map(|()| path)
    }

    fn text(&self) -> String {
        let (remembered, offered) = (&self.remembered, &self.offered);
        let (old, new) = (remembered.size().min(offered.size()), remembered.size().max(offered.size()));
        let mut out = format!(
            "shosoin evidence v1\nThe vault's ledger {}. Both heads below are signed by the vault.\n\
             \n=== remembered\n{}\n=== offered\n{}\n=== consistency proof from {old} to {new} leaves\n",
            self.why,
            remembered.text(),
            offered.text()
        );
        for hash in &self.proof {
            let _ = writeln!(out, "{}", BASE64.encode(hash.0));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::checkpoint::Checkpoint;
    use shosoin_protocol::sign::SigningKey;
    use shosoin_protocol::{HospitalId, Suite, VaultId};

    fn evidence(size: u64) -> Evidence {
        let key = SigningKey::from_seed(Suite::Default, &[7; 32].into()).unwrap();
        let head = |size, root| {
            let (vault, hospital) = (VaultId([1; 16]), HospitalId([2; 16]));
            let checkpoint = Checkpoint { vault, hospital, size, root: Digest([root; 32]), time_ms: 5, term: 1 };
            Head::verify(&checkpoint.sign(&key), &key.public()).unwrap()
        };
        Evidence { why: "forked", remembered: head(3, 1), offered: head(size, 2), proof: vec![Digest([9; 32])] }
    }

    #[test]
    fn evidence_holds_both_signed_heads_and_the_proof_and_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let found = evidence(5);
        let path = found.keep(dir.path()).unwrap();
        assert_eq!(found.keep(dir.path()).unwrap(), path);
        let text = std::fs::read_to_string(&path).unwrap();
        for piece in [found.remembered.text(), found.offered.text(), &BASE64.encode([9; 32]), "from 3 to 5 leaves"] {
            assert!(text.contains(piece), "{piece}");
        }
        assert_eq!(std::fs::read_dir(dir.path().join(FOLDER)).unwrap().count(), 1);
    }

    #[test]
    fn a_vault_cannot_fill_the_disk_with_evidence_against_itself() {
        let dir = tempfile::tempdir().unwrap();
        for size in 4..100 {
            evidence(size).keep(dir.path()).unwrap();
        }
        assert_eq!(std::fs::read_dir(dir.path().join(FOLDER)).unwrap().count(), FILES_MAX);
    }
}
