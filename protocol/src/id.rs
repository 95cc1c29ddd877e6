//! Every kind of identifier, alphabetically. Two kinds never mix by accident; as text, all are lower-case hex.

use crate::codec::{Reader, Writer};
use crate::{Error, Result};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $bytes;

            /// Reads one from a structure.
            #[inline]
            pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
                reader.array($what).map($name)
            }

            /// Writes it into a structure.
            pub fn write(&self, writer: &mut Writer) {
                writer.put(&self.0);
            }

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), hex::encode(self.0))
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let mut out = [0; $bytes];
                let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
                match hex::decode_to_slice(text, &mut out) {
                    Ok(()) if lower => Ok($name(out)),
                    _ => Err(Error::Invalid { what: $what, why: "it must be lower-case hex of the right length" }),
                }
            }
        }
    };
}

id! {
    /// Hash of stored bytes under the hospital's suite; anyone can verify it, no key needed.
    Address, 32, "address"
}
id! {
    /// A device of a hospital (one gateway or client installation): first half of SHA-256 of its public key.
    DeviceId, 16, "device id"
}
id! {
    /// Any other 32-byte digest: Merkle nodes and roots, commitments, digests of summaries.
    Digest, 32, "digest"
}
id! {
    /// A hospital, chosen at random when its keyring is made.
    HospitalId, 16, "hospital id"
}
id! {
    /// One hospital's ledger at one vault: first half of SHA-256 over a label, the vault and the hospital.
    LogId, 16, "log id"
}
id! {
    /// HMAC of bucket and name under the hospital's name key: equal names meet, nothing else shows.
    NameToken, 32, "name token"
}
id! {
    /// One segment, unique over all vaults.
    SegmentId, 16, "segment id"
}
id! {
    /// One vault.
    VaultId, 16, "vault id"
}
id! {
    /// One version of one name: 48 bits of milliseconds, big-endian, then random bits; unique over a hospital.
    VersionId, 16, "version id"
}
id! {
    /// One mounted medium.
    VolumeId, 16, "volume id"
}

impl VersionId {
    /// From a time and randomness that the caller brings; sorts by time.
    pub fn new(time_ms: u64, random: [u8; 10]) -> Self {
        let mut out = [0; 16];
        out[..6].copy_from_slice(&time_ms.to_be_bytes()[2..]);
        out[6..].copy_from_slice(&random);
        VersionId(out)
    }
}

impl LogId {
    /// The log that `vault` keeps for `hospital`.
    pub fn of(vault: VaultId, hospital: HospitalId) -> Self {
        let digest = crate::suite::sha256(&[b"shosoin log v1", &vault.0, &hospital.0]);
        let mut out = [0; 16];
        out.copy_from_slice(&digest.0[..16]);
        LogId(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_lower_case_hex_of_the_right_length() {
        let id = VaultId([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "ab", &"AB".repeat(16), &"ab".repeat(17), &"zz".repeat(16), &format!(" {id}")] {
            assert!(wrong.parse::<VaultId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn version_ids_sort_by_time() {
        let ids = [0, 1, 255, 256, 1_767_225_600_000, (1 << 48) - 1].map(|time_ms| VersionId::new(time_ms, [0xff; 10]));
        assert!(ids.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_log_id_names_vault_and_hospital() {
        let (vault, hospital) = (VaultId([1; 16]), HospitalId([2; 16]));
        let log = LogId::of(vault, hospital);
        assert_ne!(log, LogId::of(VaultId([2; 16]), hospital));
        assert_ne!(log, LogId::of(vault, HospitalId([1; 16])));
        assert_ne!(log, LogId::of(VaultId([2; 16]), HospitalId([1; 16])));
    }
}
