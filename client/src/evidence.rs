//! Evidence against a vault, as files: made of what was signed, attested by this device, durable before the error that
//! names it is told. What it proves, and to whom, is in `protocol::evidence`.
//!
//! Invariants
//! - Evidence is never overwritten: a file is named by its class and the digest of what it is about.
//! - A vault cannot fill the disk with it: beyond [`FILES_MAX`] files of a class nothing is added, and those there prove
//!   enough.

use crate::Error;
use crate::clock::now_ms;
use crate::durable;
use crate::ledger::Identity;
use crate::task::blocking;
use shosoin_protocol::Suite;
use shosoin_protocol::entry::DeviceChange;
use shosoin_protocol::evidence::{Class, Evidence, Keys, Part, Verdict};
use shosoin_protocol::sign::{PublicKey, Signature};
use shosoin_protocol::suite::sha256;
use std::path::{Path, PathBuf};

/// Folder below the client's state.
pub const FOLDER: &str = "evidence";
/// Files of one class that are kept.
const FILES_MAX: usize = 32;

/// Evidence of `class`, attested by this device.
pub fn make(identity: &Identity, class: Class, parts: Vec<Part>) -> Evidence {
    let (keyring, ids) = (&identity.keyring, (identity.vault, identity.keyring.hospital()));
    let certificate = certificate(identity, &keyring.device_key().public());
    Evidence::new(class, ids, now_ms(), parts).attest(keyring.device_key(), certificate)
}

/// The hospital's word for a device of its own.
pub fn certificate(identity: &Identity, device: &PublicKey) -> Signature {
    DeviceChange::certify(identity.log, true, device.clone(), identity.keyring.hospital_key()).certificate
}

/// What the evidence proves to whoever has the public keys of this ledger. Which suite was the least that the hospital took is its own
/// act, which a judge is told (`evidence verify --least-suite`): here any but the strongest may have been too weak.
pub fn judge(identity: &Identity, evidence: &Evidence) -> shosoin_protocol::Result<Verdict> {
    let hospital_key = Some(identity.keyring.hospital_key().public());
    let least_suite = Suite::ALL.into_iter().max().filter(|_| evidence.class == Class::Downgrade);
    evidence.judge(&Keys { vault_key: identity.vault_key.clone(), hospital_key, least_suite })
}

/// Writes evidence below `state_dir` unless it is there. None if it proves nothing, or cannot be written: the log says why.
pub async fn keep(identity: &Identity, state_dir: &Path, class: Class, parts: Vec<Part>) -> Option<PathBuf> {
    let (identity, dir) = (identity.clone(), state_dir.to_owned());
    let kept = blocking("keeping evidence", move || {
        let evidence = make(&identity, class, parts);
        if let Err(error) = judge(&identity, &evidence) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                class = class.name(),
                "nothing to keep as evidence"
            );
            return Ok(None);
        }
        write(&dir, &evidence).map(Some).map_err(|source| Error::State { path: dir.clone(), source })
    });
    kept.await.unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "evidence against the vault could not be kept");
        None
    })
}

/// Writes the file; durable on return. Gives the file, or the folder where it holds enough already.
fn write(state_dir: &Path, evidence: &Evidence) -> std::io::Result<PathBuf> {
    let folder = state_dir.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    let about = Evidence { found_ms: 0, attestation: None, ..evidence.clone() };
    let digest = sha256(&[about.render().as_bytes()]).to_string();
    let path = folder.join(format!("{}-{}.txt", evidence.class.name(), &digest[..16]));
    if path.try_exists()? {
        return Ok(path);
    }
    let begins = format!("{}-", evidence.class.name());
    let of_class = |entry: &std::io::Result<std::fs::DirEntry>| {
        entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(&begins))
    };
    if std::fs::read_dir(&folder)?.filter(of_class).count() >= FILES_MAX {
        return Ok(folder);
    }
    durable::replace(&path, evidence.render().as_bytes())?;
    durable::sync_folder(state_dir).map(|()| path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keyring;
    use shosoin_protocol::checkpoint::Checkpoint;
    use shosoin_protocol::sign::SigningKey;
    use shosoin_protocol::{Digest, Lineage, LogId, VaultId};
    use std::sync::Arc;

    fn world() -> (Identity, SigningKey) {
        let keyring = Arc::new(Keyring::generate(Suite::Default).unwrap());
        let key = SigningKey::from_seed(Suite::Default, &[7; 32].into()).unwrap();
        let vault = VaultId([7; 16]);
        let log = LogId::of(vault, keyring.hospital());
        let lineage = Lineage::of(keyring.hospital(), vault, key.public());
        (Identity { keyring, vault, vault_key: key.public(), log, lineage, threads: 1 }, key)
    }

    fn fork(identity: &Identity, key: &SigningKey, root: u8) -> Vec<Part> {
        let (vault, hospital) = (identity.vault, identity.keyring.hospital());
        let head =
            |root| Checkpoint { vault, hospital, size: 3, root: Digest([root; 32]), time_ms: 5, term: 1 }.sign(key);
        vec![Part::Remembered(head(0)), Part::Head(head(root))]
    }

    #[tokio::test]
    async fn evidence_is_written_once_and_judged_from_its_file() {
        let (dir, (identity, key)) = (tempfile::tempdir().unwrap(), world());
        let path = keep(&identity, dir.path(), Class::Fork, fork(&identity, &key, 1)).await.unwrap();
        assert_eq!(keep(&identity, dir.path(), Class::Fork, fork(&identity, &key, 1)).await.unwrap(), path);
        assert_eq!(std::fs::read_dir(dir.path().join(FOLDER)).unwrap().count(), 1);
        let evidence = Evidence::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(judge(&identity, &evidence).unwrap().attested_by, Some(identity.keyring.device_id()));
        assert_eq!(keep(&identity, dir.path(), Class::Fork, fork(&identity, &key, 0)).await, None, "it proves nothing");
    }

    #[tokio::test]
    async fn a_vault_cannot_fill_the_disk_with_evidence_against_itself() {
        let (dir, (identity, key)) = (tempfile::tempdir().unwrap(), world());
        for root in 1..100 {
            keep(&identity, dir.path(), Class::Fork, fork(&identity, &key, root)).await.unwrap();
        }
        assert_eq!(std::fs::read_dir(dir.path().join(FOLDER)).unwrap().count(), FILES_MAX);
    }
}
