//! Tests that cross files: golden vectors, wrong forms, round trips, the key file.

mod keyfile;
mod round_trip;
mod vectors;
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

/// The keyring of every vector: nothing in it is random.
fn keyring(suite: Suite) -> Keyring {
    keyring_of(suite, HOSPITAL, 0x33)
}

fn keyring_of(suite: Suite, hospital: HospitalId, root: u8) -> Keyring {
    let der = |text: &str| hex::decode(text.trim()).unwrap();
    let key_der = Zeroizing::new(der(include_str!("../vectors/tls-key.hex")));
    let tls = TlsIdentity::from_der(key_der, der(include_str!("../vectors/tls-certificate.hex"))).unwrap();
    let secret = |byte| SecretKey::new([byte; 32]);
    let secrets =
        Secrets { suite, hospital, root: secret(root), hospital_seed: secret(0x44), device_seed: secret(0x55), tls };
    Keyring::from_secrets(secrets).unwrap()
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

/// What is wrong, in words that do not change when a message is polished.
fn code(error: &Error) -> String {
    use shosoin_protocol::Error as Form;
    match error {
        Error::Form { source, .. } => match source {
            Form::Truncated { what, .. } => format!("truncated in {what}"),
            Form::Trailing { .. } => "trailing bytes".into(),
            Form::Invalid { what, .. } => format!("invalid {what}"),
            Form::Magic { .. } => "magic".into(),
            Form::Version { found, .. } => format!("version {found}"),
            Form::Suite { found, .. } => format!("suite {found}"),
            Form::Mismatch { what, .. } => format!("mismatch of {what}"),
            other => panic!("no wrong form has {other}"),
        },
        Error::Commitment { what } => format!("commitment of {what}"),
        Error::Tag { .. } => "tag".into(),
        Error::Content { why, .. } => format!("content: {why}"),
        Error::Codec { found } => format!("codec {found}"),
        other => panic!("no wrong form has {other}"),
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

/// Compares with a golden file, or writes it where `SHOSOIN_WRITE_VECTORS` is set: only for a new format version.
fn compare_with_golden(file: &str, found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(file);
    if std::env::var_os("SHOSOIN_WRITE_VECTORS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (line, (golden, found)) in golden.lines().zip(found.lines()).enumerate() {
        assert!(golden == found, "{file}:{}: the format changed\n golden {golden}\n found  {found}", line + 1);
    }
    assert_eq!(golden.lines().count(), found.lines().count(), "{file}");
}
