//! The hospitals a vault knows: one signed enrolment file each, kept as it was handed over.

use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{HospitalId, Suite};

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
