//! The folder of the evidence: `<hospital>/<id>.shqe`, each a head and the bytes of its records behind it. The head is
//! [`shosoin_protocol::quarantine::EvidenceHead`]; `docs/format.md` has the file.

use super::Item;
use crate::error::{Error, Result};
use bytes::Bytes;
use parking_lot::Mutex;
use shosoin_protocol::limits::EVIDENCE_HEAD_BYTES_MAX;
use shosoin_protocol::quarantine::{EvidenceHead, EvidenceRecord};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{HospitalId, VersionId};
use shosoin_tiers::durable;
use shosoin_tiers::media::{FileMedia, FileOptions, Media, MediaFile};
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

/// Where it is unless the configuration says otherwise, in the vault's folder.
pub const DIR: &str = "quarantine";
/// What the name of a file of evidence ends with.
const ENDING: &str = ".shqe";
/// Bytes before the head: its length.
const PREFIX: u64 = PREFIX_LEN as u64;
const PREFIX_LEN: usize = 4;

/// The evidence of every hospital.
#[derive(Debug)]
pub struct Quarantine {
    media: FileMedia,
    /// held while something is set aside or released: one at a time
    pub(super) working: Mutex<()>,
    items: Mutex<BTreeMap<HospitalId, Arc<Vec<Item>>>>,
}

impl Quarantine {
    /// Opens the folder, which is made where there is none; only the owner of the vault may look into it.
    pub fn open(dir: &Path, place: &Path) -> Result<Self> {
        let root = match place.as_os_str().is_empty() {
            true => dir.join(DIR),
            false => dir.join(place),
        };
        let failed = |source| Error::Io { action: "make", path: root.clone(), source };
        std::fs::create_dir_all(&root).map_err(failed)?;
        std::fs::set_permissions(&root, Permissions::from_mode(0o700)).map_err(failed)?;
        let media = FileMedia::open(&root, FileOptions::default())?;
        Ok(Quarantine { media, working: Mutex::default(), items: Mutex::default() })
    }

    /// What is and was in a hospital's quarantine; `read` asks the ledger where that is not known.
    pub(super) fn items(
        &self,
        hospital: HospitalId,
        read: impl FnOnce() -> Result<Vec<Item>>,
    ) -> Result<Arc<Vec<Item>>> {
        if let Some(items) = self.items.lock().get(&hospital) {
            return Ok(items.clone());
        }
        let items = Arc::new(read()?);
        self.items.lock().insert(hospital, items.clone());
        Ok(items)
    }

    /// The ledger says something new.
    pub(super) fn forget(&self, hospital: HospitalId) {
        self.items.lock().remove(&hospital);
    }

    /// Writes evidence, durably; `bytes_of` gives the bytes of each record. Gives the bytes that count.
    pub(super) fn keep(
        &self,
        head: &EvidenceHead,
        mut bytes_of: impl FnMut(usize, &EvidenceRecord) -> Result<Bytes>,
    ) -> Result<u64> {
        self.media.make_dir(&head.hospital.to_string())?;
        let encoded = head.encode();
        let len = u32::try_from(encoded.len()).map_err(|_| Error::Bug("a head is below its limit"))?;
        durable::write(&self.media, &path(head.hospital, head.id), |file| {
            file.write_at(0, &len.to_le_bytes())?;
            file.write_at(PREFIX, &encoded)?;
            let mut at = PREFIX + u64::from(len);
            for (number, record) in head.records.iter().enumerate() {
                file.write_at(at, &bytes_of(number, record)?)?;
                at += u64::from(record.len);
            }
            Ok::<(), Error>(())
        })?;
        Ok(head.record_bytes() + head.entry.len() as u64)
    }

    /// The head of some evidence, as it is on disk.
    pub(super) fn head(&self, hospital: HospitalId, id: VersionId) -> Result<EvidenceHead> {
        let file = self.media.open(&path(hospital, id))?;
        let head = decode(id, &head_bytes(id, &*file)?)?;
        match head.hospital == hospital && head.id == id {
            true => Ok(head),
            false => Err(damaged(id, "its file has the head of other evidence")),
        }
    }

    /// Refuses evidence that is not what the ledger says.
    pub(super) fn verify(&self, hospital: HospitalId, item: &Item) -> Result<EvidenceHead> {
        let file = self.media.open(&path(hospital, item.id))?;
        let bytes = head_bytes(item.id, &*file)?;
        if sha256(&[&bytes]) != item.said.evidence {
            return Err(damaged(item.id, "its head is not the one in the ledger"));
        }
        let head = decode(item.id, &bytes)?;
        let mut at = PREFIX + bytes.len() as u64;
        for record in &head.records {
            let mut bytes = vec![0; record.len as usize];
            let read = file.read_at(at, &mut bytes)?;
            if read < bytes.len() || head.suite.address(&bytes) != record.address {
                return Err(damaged(item.id, &format!("record {} in it is damaged", record.address)));
            }
            at += u64::from(record.len);
        }
        match file.len()? == at {
            true => Ok(head),
            false => Err(damaged(item.id, "there is more in its file than its head says")),
        }
    }

    /// Hands the file out piece by piece.
    pub(super) fn copy(
        &self,
        hospital: HospitalId,
        id: VersionId,
        mut to: impl FnMut(&[u8]) -> std::io::Result<()>,
        place: &Path,
    ) -> Result<()> {
        let file = self.media.open(&path(hospital, id))?;
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            let read = file.read_at(at, &mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            let failed = |source| Error::Io { action: "write", path: place.to_owned(), source };
            to(&buffer[..read]).map_err(failed)?;
            at += read as u64;
        }
    }

    /// Removes evidence that the ledger says has left; nothing to remove is as good.
    pub(super) fn remove(&self, hospital: HospitalId, id: VersionId) -> Result<()> {
        match self.media.remove(&path(hospital, id)) {
            Ok(()) => Ok(self.media.sync_dir(&hospital.to_string())?),
            Err(shosoin_tiers::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The numbers of all evidence that is there. A folder that cannot be listed is an error, never an empty one.
    pub(super) fn ids(&self, hospital: HospitalId) -> Result<Vec<VersionId>> {
        let listed = match self.media.list(&hospital.to_string()) {
            Err(shosoin_tiers::Error::NotFound { .. }) => return Ok(Vec::new()),
            listed => listed?,
        };
        let id = |name: &str| name.strip_suffix(ENDING)?.parse().ok();
        Ok(listed.iter().filter_map(|file| id(&file.name)).collect())
    }
}

fn path(hospital: HospitalId, id: VersionId) -> String {
    format!("{hospital}/{id}{ENDING}")
}

fn head_bytes(id: VersionId, file: &dyn MediaFile) -> Result<Vec<u8>> {
    let mut prefix = [0; PREFIX_LEN];
    if file.read_at(0, &mut prefix)? < prefix.len() {
        return Err(damaged(id, "its file is cut"));
    }
    let len = u32::from_le_bytes(prefix) as usize;
    if len > EVIDENCE_HEAD_BYTES_MAX {
        return Err(damaged(id, "its head is longer than any"));
    }
    let mut bytes = vec![0; len];
    match file.read_at(PREFIX, &mut bytes)? == len {
        true => Ok(bytes),
        false => Err(damaged(id, "its file is cut")),
    }
}

fn decode(id: VersionId, bytes: &[u8]) -> Result<EvidenceHead> {
    EvidenceHead::decode(bytes).map_err(|error| damaged(id, &error.to_string()))
}

fn damaged(id: VersionId, why: &str) -> Error {
    Error::Damaged { what: "evidence", id: id.to_string(), why: why.to_owned() }
}
