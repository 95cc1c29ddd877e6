//! Tests that cross files: golden vectors, wrong forms, round trips, the key file.

mod deposits;
mod epochs;
mod escrow;
mod forms;
mod keyfile;
mod person;
mod round_trip;
mod vectors;
mod words;
mod wrong;

use crate::keyring::Secrets;
use crate::secret::SecretKey;
use crate::tls::TlsIdentity;
use crate::{Error, Keyring};
use shosoin_protocol::manifest::Summary;
use shosoin_protocol::{HospitalId, Suite, VersionId};
use zeroize::Zeroizing;

/// The hospital of every vector.
const HOSPITAL: HospitalId = HospitalId([0x11; 16]);
/// The version of every vector.
const VERSION: VersionId = VersionId([0x22; 16]);

/// The root secret of every vector.
const ROOT: [u8; 32] = [0x33; 32];

/// The keyring of every vector: nothing in it is random.
fn keyring(suite: Suite) -> Keyring {
    keyring_of(suite, HOSPITAL, ROOT)
}

fn keyring_of(suite: Suite, hospital: HospitalId, root: [u8; 32]) -> Keyring {
    let der = |text: &str| hex::decode(text.trim()).unwrap();
    let key_der = Zeroizing::new(der(include_str!("tests/tls-key.hex")));
    let tls = TlsIdentity::from_der(key_der, der(include_str!("tests/tls-certificate.hex"))).unwrap();
    let secret = |byte| SecretKey::new([byte; 32]);
    let root = SecretKey::new(root);
    let (hospital_seed, device_seed) = (secret(0x44), secret(0x55));
    Keyring::from_secrets(Secrets { suite, hospital, root, hospital_seed, device_seed, tls }).unwrap()
}

/// Bytes that do not compress and do not repeat within a vector.
fn noise(len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(b"shosoin vectors").finalize_xof().fill(&mut out);
    out
}

fn marker() -> Summary {
    Summary::Marker {
        bucket: "scans".into(),
        name: "2026/a.dcm".into(),
        modified_ms: 1_790_000_000_000,
        null_version: false,
    }
}

/// The error that must be there. (`unwrap_err` would want secrets to be printable.)
#[track_caller]
fn refused<T>(result: crate::Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it must be refused"),
        Err(error) => error,
    }
}
