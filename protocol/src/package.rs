//! The manifest of a package: everything of one hospital at one vault, on one medium, file by file, signed by the vault.
//!
//! Invariants
//! - The files are in one order and each has one path, inside the package.
//! - What the vault could not read any more is named: a package says itself what it lacks.
//! - The key it is signed with is in it. Whoever has that key from elsewhere compares it; nobody else learns from it who signed.

use crate::codec::{Reader, Writer};
use crate::limits::{CHECKPOINT_BYTES_MAX, PACKAGE_FILES_MAX, PACKAGE_MANIFEST_BYTES_MAX, PACKAGE_MISSING_MAX};
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::{Address, Digest, Error, HospitalId, LogId, Result, Suite, VaultId};

/// First bytes of every manifest.
pub const MAGIC: [u8; 4] = *b"shpm";
/// Version of the format.
pub const VERSION: u8 = 1;
/// Longest path of a file, in bytes.
const PATH_BYTES_MAX: usize = 256;

/// How much of a hospital's log a package holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum PackageState {
    /// its export goes on
    Unfinished = 1,
    /// everything up to the head it states
    Whole = 2,
    /// the same, and the log ends there: the hospital was handed over
    Closed = 3,
}

impl PackageState {
    /// Its name for people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            PackageState::Unfinished => "unfinished",
            PackageState::Whole => "whole",
            PackageState::Closed => "closed",
        }
    }

    fn from_code(code: u8) -> Result<Self> {
        let all = [PackageState::Unfinished, PackageState::Whole, PackageState::Closed];
        let known = all.into_iter().find(|state| *state as u8 == code);
        known.ok_or(Error::Invalid { what: "state of the package", why: "no such code" })
    }
}

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageFile {
    /// where it is, below the package, with `/` between names
    pub path: String,
    /// its length
    pub len_bytes: u64,
    /// suite digest of all of it
    pub digest: Digest,
}

/// What a package holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// how much of the log
    pub state: PackageState,
    /// the vault that made it
    pub vault: VaultId,
    /// whose records
    pub hospital: HospitalId,
    /// the log of its newest entry
    pub log: LogId,
    /// the vault's clock when the manifest was written, in milliseconds since 1970
    pub made_ms: u64,
    /// leaves of the log that are in it
    pub log_size: u64,
    /// root over them
    pub log_root: Digest,
    /// the vault's key of the hospital's suite
    pub vault_key: PublicKey,
    /// records of all kinds
    pub records: u64,
    /// their bytes
    pub record_bytes: u64,
    /// newest signed head, as text; empty while the package is unfinished
    pub checkpoint: String,
    /// records that the ledger names and the vault could not read, ascending
    pub missing: Vec<Address>,
    /// the files, by path
    pub files: Vec<PackageFile>,
}

impl Package {
    /// The bytes, signed with the key that it states.
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let mut bytes = self.unsigned();
        let signature = key.sign(Domain::Package, &bytes);
        bytes.extend_from_slice(&signature.0);
        bytes
    }

    fn unsigned(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(512 + 32 * self.missing.len() + 140 * self.files.len());
        out.put(&MAGIC).u8(VERSION).u8(self.vault_key.suite().code()).u8(self.state as u8).zeros(1);
        out.put(&self.vault.0).put(&self.hospital.0).put(&self.log.0).u64(self.made_ms);
        out.u64(self.log_size).put(&self.log_root.0);
        self.vault_key.write(&mut out);
        out.u64(self.records).u64(self.record_bytes).var(self.checkpoint.as_bytes()).count(self.missing.len());
        for address in &self.missing {
            out.put(&address.0);
        }
        out.count(self.files.len());
        for PackageFile { path, len_bytes, digest } in &self.files {
            out.var(path.as_bytes()).u64(*len_bytes).put(&digest.0);
        }
        out.finish()
    }

    /// Parses a manifest and refuses one that the key it states did not sign.
    pub fn verify(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > PACKAGE_MANIFEST_BYTES_MAX {
            let (found, limit) = (bytes.len() as u64, PACKAGE_MANIFEST_BYTES_MAX as u64);
            return Err(Error::OverLimit { what: "package manifest", found, limit });
        }
        let mut reader = Reader::new(bytes, "package manifest");
        let package = read(&mut reader)?;
        let signed = &bytes[..bytes.len() - reader.left()];
        let signature = Signature::read(&mut reader)?;
        reader.finish()?;
        package.vault_key.verify(Domain::Package, signed, &signature)?;
        Ok(package)
    }

    /// Algorithms of the hospital.
    pub fn suite(&self) -> Suite {
        self.vault_key.suite()
    }
}

fn read(reader: &mut Reader<'_>) -> Result<Package> {
    if reader.array::<4>("package manifest magic")? != MAGIC {
        return Err(Error::Magic { what: "package manifest" });
    }
    match reader.u8("package manifest version")? {
        VERSION => {}
        found => return Err(Error::Version { what: "package manifest", found, known: VERSION }),
    }
    let suite = Suite::try_from(reader.u8("suite")?)?;
    let state = PackageState::from_code(reader.u8("state of the package")?)?;
    reader.zeros(1, "reserved byte of the package manifest")?;
    let (vault, hospital, log) = (VaultId::read(reader)?, HospitalId::read(reader)?, LogId::read(reader)?);
    let (made_ms, log_size) = (reader.u64("time of the package")?, reader.u64("log size")?);
    let (log_root, vault_key) = (Digest::read(reader)?, PublicKey::read(reader)?);
    if vault_key.suite() != suite {
        return Err(Error::Suite { found: vault_key.suite().code(), expected: "the suite of the package" });
    }
    let (records, record_bytes) = (reader.u64("records")?, reader.u64("bytes of the records")?);
    let checkpoint = reader.text(CHECKPOINT_BYTES_MAX, "checkpoint")?;
    let count = reader.count(PACKAGE_MISSING_MAX, "missing records")?;
    let missing = (0..count).map(|_| Address::read(reader)).collect::<Result<Vec<_>>>()?;
    if !missing.is_sorted_by(|one, next| one < next) {
        return Err(Error::Invalid { what: "missing records", why: "they must ascend" });
    }
    let count = reader.count(PACKAGE_FILES_MAX, "files of the package")?;
    let files = (0..count).map(|_| read_file(reader)).collect::<Result<Vec<_>>>()?;
    if !files.is_sorted_by(|one, next| one.path < next.path) {
        return Err(Error::Invalid { what: "files of the package", why: "their paths must ascend" });
    }
    Ok(Package {
        state,
        vault,
        hospital,
        log,
        made_ms,
        log_size,
        log_root,
        vault_key,
        records,
        record_bytes,
        checkpoint,
        missing,
        files,
    })
}

fn read_file(reader: &mut Reader<'_>) -> Result<PackageFile> {
    let path = reader.text(PATH_BYTES_MAX, "path of a file")?;
    let is_name = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
    };
    match path.split('/').all(is_name) {
        true => Ok(PackageFile { path, len_bytes: reader.u64("length of a file")?, digest: Digest::read(reader)? }),
        false => {
            Err(Error::Invalid { what: "path of a file", why: "it must stay inside the package, in plain letters" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(suite: Suite, seed: u8) -> SigningKey {
        SigningKey::from_seed(suite, &[seed; 32].into()).unwrap()
    }

    fn package(suite: Suite) -> Package {
        let file = |path: &str, len_bytes| PackageFile { path: path.into(), len_bytes, digest: Digest([9; 32]) };
        Package {
            state: PackageState::Whole,
            vault: VaultId([1; 16]),
            hospital: HospitalId([2; 16]),
            log: LogId([3; 16]),
            made_ms: 4,
            log_size: 5,
            log_root: Digest([6; 32]),
            vault_key: key(suite, 7).public(),
            records: 8,
            record_bytes: 9,
            checkpoint: "a head".into(),
            missing: vec![Address([1; 32]), Address([2; 32])],
            files: vec![file("README.txt", 10), file("segments/a/b-0.shard", 11)],
        }
    }

    #[test]
    fn a_manifest_reads_back_and_one_with_any_byte_changed_or_cut_is_refused() {
        for suite in Suite::ALL {
            let bytes = package(suite).sign(&key(suite, 7));
            assert_eq!(Package::verify(&bytes), Ok(package(suite)));
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1;
                assert!(Package::verify(&changed).is_err(), "byte {at}");
                assert!(Package::verify(&bytes[..at]).is_err(), "cut at {at}");
            }
            assert!(Package::verify(&[&bytes[..], &[0]].concat()).is_err());
            assert!(Package::verify(&package(suite).sign(&key(suite, 8))).is_err(), "another key signed");
        }
    }

    #[test]
    fn a_path_that_could_leave_the_package_is_refused() {
        for path in ["", "/etc/passwd", "a//b", "../x", "a/../b", ".hidden", "a\\b", "a b", "a\0b", "名", "a/"] {
            let mut package = package(Suite::Default);
            package.files = vec![PackageFile { path: path.into(), len_bytes: 1, digest: Digest([0; 32]) }];
            let refused = Package::verify(&package.sign(&key(Suite::Default, 7))).unwrap_err();
            assert!(matches!(refused, Error::Invalid { what: "path of a file", .. }), "{path:?}: {refused}");
        }
    }

    #[test]
    fn lists_have_one_order() {
        let signed = |change: &dyn Fn(&mut Package)| {
            let mut package = package(Suite::Default);
            change(&mut package);
            Package::verify(&package.sign(&key(Suite::Default, 7)))
        };
        assert!(signed(&|_| {}).is_ok());
        assert!(signed(&|package| package.files.reverse()).is_err());
        assert!(signed(&|package| package.files[1] = package.files[0].clone()).is_err());
        assert!(signed(&|package| package.missing.reverse()).is_err());
    }
}
