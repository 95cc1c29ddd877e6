//! The hospitals a vault knows: one signed enrolment file each, kept as it was handed over.
//!
//! ```text
//! hospitals/<hospital id>.enrolment
//! ```

use crate::error::{Error, Result};
use shosoin_protocol::api::Enrolment;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{HospitalId, Suite};
use shosoin_tiers::durable;
use shosoin_tiers::media::{FileMedia, Media};
use std::path::Path;

/// Folder of the enrolment files.
const DIR: &str = "hospitals";

/// One enrolled hospital.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HospitalInfo {
    /// hospital id
    pub hospital: HospitalId,
    /// its algorithms
    pub suite: Suite,
    /// key that certifies its devices
    pub hospital_key: PublicKey,
    /// first device
    pub device_key: PublicKey,
    /// SHA-256 of the public key info of its TLS client certificate
    pub tls_pin: [u8; 32],
}

impl From<Enrolment> for HospitalInfo {
    fn from(enrolment: Enrolment) -> Self {
        let Enrolment { suite, hospital, hospital_key, device_key, tls_pin } = enrolment;
        HospitalInfo { hospital, suite, hospital_key, device_key, tls_pin }
    }
}

/// Reads and verifies an enrolment that was handed over.
pub fn verify(enrolment: &[u8]) -> Result<HospitalInfo> {
    let verified = Enrolment::verify(enrolment);
    Ok(verified.map_err(|source| Error::Malformed { what: "enrolment", source })?.into())
}

/// Keeps an enrolment. One of the same hospital with other keys is refused; the same again changes nothing.
pub fn keep(folder: &FileMedia, dir: &Path, enrolment: &[u8]) -> Result<HospitalInfo> {
    let info = verify(enrolment)?;
    let path = format!("{DIR}/{}.enrolment", info.hospital);
    match std::fs::read(dir.join(&path)) {
        Ok(kept) if verify(&kept)? == info => return Ok(info),
        Ok(_) => return Err(Error::EnrolmentDiffers { hospital: info.hospital }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(Error::Io { action: "read", path: dir.join(path), source }),
    }
    folder.make_dir(DIR)?;
    durable::replace(folder, &path, enrolment)?;
    Ok(info)
}

/// Every enrolled hospital. A file that does not verify stops the vault from opening: better than to serve some
/// hospitals and silently not others.
pub fn load(folder: &FileMedia, dir: &Path) -> Result<Vec<HospitalInfo>> {
    folder.make_dir(DIR)?;
    let mut hospitals = Vec::new();
    for listed in folder.list(DIR)? {
        if !listed.name.ends_with(".enrolment") {
            continue;
        }
        let path = dir.join(DIR).join(&listed.name);
        let read = std::fs::read(&path);
        let bytes = read.map_err(|source| Error::Io { action: "read", path: path.clone(), source })?;
        let bad = |error: shosoin_protocol::Error| Error::Config { path: path.clone(), why: error.to_string() };
        hospitals.push(Enrolment::verify(&bytes).map_err(bad)?.into());
    }
    Ok(hospitals)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::sign::SigningKey;
    use shosoin_tiers::media::FileOptions;
    use zeroize::Zeroizing;

    fn enrolment(hospital: u8, device: u8) -> Vec<u8> {
        let key = |seed: u8| SigningKey::from_seed(Suite::Default, &Zeroizing::new([seed; 32])).unwrap();
        let enrolment = Enrolment {
            suite: Suite::Default,
            hospital: HospitalId([hospital; 16]),
            hospital_key: key(1).public(),
            device_key: key(device).public(),
            tls_pin: [3; 32],
        };
        enrolment.sign(&key(1))
    }

    #[test]
    fn an_enrolment_is_kept_once_and_never_replaced_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let folder = FileMedia::open(dir.path(), FileOptions::default()).unwrap();
        assert_eq!(load(&folder, dir.path()).unwrap(), []);
        let info = keep(&folder, dir.path(), &enrolment(1, 2)).unwrap();
        assert_eq!(keep(&folder, dir.path(), &enrolment(1, 2)).unwrap(), info);
        assert!(matches!(keep(&folder, dir.path(), &enrolment(1, 9)), Err(Error::EnrolmentDiffers { .. })));
        keep(&folder, dir.path(), &enrolment(2, 2)).unwrap();
        let kept = load(&folder, dir.path()).unwrap();
        assert_eq!(kept.len(), 2);
        assert!(kept.contains(&info));
    }

    #[test]
    fn an_enrolment_with_one_bit_changed_is_refused_and_nothing_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let folder = FileMedia::open(dir.path(), FileOptions::default()).unwrap();
        let mut bytes = enrolment(1, 2);
        bytes[30] ^= 1;
        assert!(matches!(keep(&folder, dir.path(), &bytes), Err(Error::Malformed { .. })));
        assert_eq!(load(&folder, dir.path()).unwrap(), []);
    }
}
