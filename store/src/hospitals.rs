//! The hospitals a vault knows, by their signed enrolment files, kept as they were handed over: the first, and one for each
//! machine that came later, after a loss or beside others.
//!
//! ```text
//! hospitals/<hospital id>.enrolment                  the first; its device begins the ledger
//! hospitals/<hospital id>-<device id>.enrolment      a further machine, signed by the same hospital key
//! ```

use crate::error::{Error, Result};
use shosoin_protocol::api::Enrolment;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{DeviceId, HospitalId, Suite};
use shosoin_tiers::durable;
use shosoin_tiers::media::{FileMedia, Media};
use std::collections::BTreeMap;
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
    /// its machines, the first device's before the others
    pub machines: Vec<Machine>,
}

/// One machine of a hospital: who signs there, and how it is recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// its device; a machine whose device was revoked is not let in
    pub device: DeviceId,
    /// SHA-256 of the public key info of its TLS client certificate
    pub tls_pin: [u8; 32],
}

impl From<Enrolment> for HospitalInfo {
    fn from(enrolment: Enrolment) -> Self {
        let Enrolment { suite, hospital, hospital_key, device_key, tls_pin } = enrolment;
        let machines = vec![Machine { device: device_key.device_id(), tls_pin }];
        HospitalInfo { hospital, suite, hospital_key, device_key, machines }
    }
}

/// Reads and verifies an enrolment that was handed over.
pub fn verify(enrolment: &[u8]) -> Result<HospitalInfo> {
    let verified = Enrolment::verify(enrolment);
    Ok(verified.map_err(|source| Error::Malformed { what: "enrolment", source })?.into())
}

/// Keeps an enrolment, and gives the hospital with all its machines. One of a known hospital is a further machine's if it
/// is signed by the same hospital key, else it is refused; the same again changes nothing.
pub fn keep(folder: &FileMedia, dir: &Path, enrolment: &[u8]) -> Result<HospitalInfo> {
    let offered = verify(enrolment)?;
    let HospitalInfo { hospital, suite, ref hospital_key, .. } = offered;
    let known = load(folder, dir)?.into_iter().find(|known| known.hospital == hospital);
    let name = match &known {
        None => format!("{hospital}.enrolment"),
        Some(known) if known.suite != suite || known.hospital_key != *hospital_key => {
            return Err(Error::EnrolmentDiffers { hospital });
        }
        Some(known) if known.machines.contains(&offered.machines[0]) => return Ok(known.clone()),
        Some(known) if known.machines.iter().any(|machine| machine.device == offered.machines[0].device) => {
            return Err(Error::EnrolmentDiffers { hospital });
        }
        Some(_) => format!("{hospital}-{}.enrolment", offered.machines[0].device),
    };
    durable::replace(folder, &format!("{DIR}/{name}"), enrolment)?;
    let mut info = known.unwrap_or(HospitalInfo { machines: Vec::new(), ..offered.clone() });
    info.machines.extend(offered.machines);
    Ok(info)
}

/// The enrolment files of one hospital, by name, as they were handed over.
pub fn files_of(dir: &Path, hospital: HospitalId) -> Result<Vec<(String, Vec<u8>)>> {
    let dir = dir.join(DIR);
    let failed = |source| Error::Io { action: "read", path: dir.clone(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name.starts_with(&hospital.to_string()) && name.ends_with(".enrolment") {
            let read = std::fs::read(dir.join(&name));
            files.push((
                name.clone(),
                read.map_err(|source| Error::Io { action: "read", path: dir.join(&name), source })?,
            ));
        }
    }
    files.sort();
    Ok(files)
}

/// Every enrolled hospital. A file that does not verify stops the vault from opening: better than to serve some
/// hospitals and silently not others.
pub fn load(folder: &FileMedia, dir: &Path) -> Result<Vec<HospitalInfo>> {
    folder.make_dir(DIR)?;
    let mut names: Vec<String> = folder.list(DIR)?.into_iter().map(|listed| listed.name).collect();
    names.retain(|name| name.ends_with(".enrolment"));
    names.sort_by_key(|name| (name.contains('-'), name.clone())); // first machines before further ones
    let mut hospitals: BTreeMap<HospitalId, HospitalInfo> = BTreeMap::new();
    for name in names {
        let path = dir.join(DIR).join(&name);
        let read = std::fs::read(&path);
        let bytes = read.map_err(|source| Error::Io { action: "read", path: path.clone(), source })?;
        let bad = |why: String| Error::Config { path: path.clone(), why };
        let info: HospitalInfo = Enrolment::verify(&bytes).map_err(|error| bad(error.to_string()))?.into();
        match hospitals.get_mut(&info.hospital) {
            None if !name.contains('-') => drop(hospitals.insert(info.hospital, info)),
            Some(first) if first.hospital_key == info.hospital_key => first.machines.extend(info.machines),
            _ => return Err(bad("it is not signed by the key of a hospital that is enrolled".to_owned())),
        }
    }
    Ok(hospitals.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::sign::SigningKey;
    use shosoin_tiers::media::FileOptions;
    use zeroize::Zeroizing;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(Suite::Default, &Zeroizing::new([seed; 32])).unwrap()
    }

    fn enrolment(hospital: u8, device: u8) -> Vec<u8> {
        signed_by(1, hospital, device, device)
    }

    fn signed_by(signer: u8, hospital: u8, device: u8, pin: u8) -> Vec<u8> {
        let enrolment = Enrolment {
            suite: Suite::Default,
            hospital: HospitalId([hospital; 16]),
            hospital_key: key(signer).public(),
            device_key: key(device).public(),
            tls_pin: [pin; 32],
        };
        enrolment.sign(&key(signer))
    }

    fn folder() -> (tempfile::TempDir, FileMedia) {
        let dir = tempfile::tempdir().unwrap();
        let folder = FileMedia::open(dir.path(), FileOptions::default()).unwrap();
        (dir, folder)
    }

    #[test]
    fn an_enrolment_is_kept_once_and_never_replaced_by_another() {
        let (dir, folder) = folder();
        assert_eq!(load(&folder, dir.path()).unwrap(), []);
        let info = keep(&folder, dir.path(), &enrolment(1, 2)).unwrap();
        assert_eq!(keep(&folder, dir.path(), &enrolment(1, 2)).unwrap(), info);
        let other_hospital_key = keep(&folder, dir.path(), &signed_by(5, 1, 2, 2));
        assert!(matches!(other_hospital_key, Err(Error::EnrolmentDiffers { .. })));
        let other_pin_of_a_device = keep(&folder, dir.path(), &signed_by(1, 1, 2, 7));
        assert!(matches!(other_pin_of_a_device, Err(Error::EnrolmentDiffers { .. })));
        keep(&folder, dir.path(), &enrolment(2, 2)).unwrap();
        let kept = load(&folder, dir.path()).unwrap();
        assert_eq!(kept.len(), 2);
        assert!(kept.contains(&info));
    }

    #[test]
    fn a_further_machine_joins_with_the_same_hospital_key_and_the_first_device_stays_the_first() {
        let (dir, folder) = folder();
        keep(&folder, dir.path(), &enrolment(1, 9)).unwrap();
        let both = keep(&folder, dir.path(), &enrolment(1, 2)).unwrap();
        assert_eq!(both.device_key, key(9).public());
        assert_eq!(both.machines.iter().map(|machine| machine.tls_pin[0]).collect::<Vec<_>>(), [9, 2]);
        assert_eq!(keep(&folder, dir.path(), &enrolment(1, 2)).unwrap(), both);
        assert_eq!(keep(&folder, dir.path(), &enrolment(1, 9)).unwrap(), both);
        assert_eq!(load(&folder, dir.path()).unwrap(), [both]);
    }

    #[test]
    fn a_file_put_there_by_someone_without_the_hospital_key_stops_the_vault() {
        let (dir, folder) = folder();
        keep(&folder, dir.path(), &enrolment(1, 2)).unwrap();
        let (hospital, device) = (HospitalId([1; 16]), key(3).public().device_id());
        std::fs::write(dir.path().join(DIR).join(format!("{hospital}-{device}.enrolment")), signed_by(5, 1, 3, 3))
            .unwrap();
        assert!(matches!(load(&folder, dir.path()), Err(Error::Config { .. })));
    }

    #[test]
    fn an_enrolment_with_one_bit_changed_is_refused_and_nothing_is_kept() {
        let (dir, folder) = folder();
        let mut bytes = enrolment(1, 2);
        bytes[30] ^= 1;
        assert!(matches!(keep(&folder, dir.path(), &bytes), Err(Error::Malformed { .. })));
        assert_eq!(load(&folder, dir.path()).unwrap(), []);
    }
}
