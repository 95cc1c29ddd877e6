//! Sharing by consent: the owner of records grants another hospital of the same vault to read some of them, for a purpose, until a
//! moment, on a patient's consent; the other hospital accepts; either side ends it.
//!
//! ```text
//! owner      grant      in its own ledger: who, which versions, and their data keys, sealed to that hospital alone
//! recipient  accepted   in its own ledger: this grant, word for word
//! either     unshare    in its own ledger: from now on nothing is served any more
//! ```
//!
//! What is sealed is opened by the recipient only together with everything before it, so a grant that was changed opens for
//! nobody.

use super::{Versions, codes};
use crate::codec::{Reader, Writer};
use crate::limits::{SHARE_ENCAPSULATED_BYTES_MAX, SHARE_VERSIONS_MAX};
use crate::{Address, Digest, Error, HospitalId, Result};

/// Bytes of a data key.
pub const DATA_KEY_BYTES: usize = 32;
/// Bytes of the tag behind the sealed keys.
const TAG_BYTES: usize = 16;

codes! {
    /// What records are shared for.
    SharePurpose, "purpose of a share" {
        /// the other hospital treats the patient
        Treatment = 1 "treatment",
        /// the patient moves there
        Transfer = 2 "transfer",
        /// the patient asked for another opinion
        Opinion = 3 "opinion",
        /// the patient asked for it
        PatientRequest = 4 "patient-request",
        /// an emergency
        Emergency = 5 "emergency",
        /// research that the patient agreed to
        Research = 6 "research",
        /// what the hospital keeps in its own files
        Other = 7 "other",
    }

    /// Why a share ends.
    UnshareReason, "reason for the end of a share" {
        /// the patient took the consent back
        ConsentWithdrawn = 1 "consent-withdrawn",
        /// what it was for is done
        Done = 2 "done",
        /// it should not have been granted
        Mistake = 3 "mistake",
        /// the recipient does not want it any more
        Declined = 4 "declined",
        /// what the hospital keeps in its own files
        Other = 5 "other",
    }

    /// How the data keys of a share are sealed (HPKE, RFC 9180, base mode, one message): the KEM. Key derivation is HKDF-SHA-256
    /// and the cipher AES-256-GCM with each.
    ShareKem, "KEM of a share" {
        /// DHKEM(X25519, HKDF-SHA-256)
        X25519 = 1 "x25519",
        /// DHKEM(P-256, HKDF-SHA-256)
        P256 = 2 "p256",
        /// X-Wing: X25519 and ML-KEM-768, good as long as one of the two is
        XWing = 3 "x-wing",
    }
}

/// Who a share is for, what of, and on which consent: everything of a grant that is in clear before what is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareTerms {
    /// how the keys are sealed
    pub kem: ShareKem,
    /// what for
    pub purpose: SharePurpose,
    /// who may read
    pub recipient: HospitalId,
    /// digest of the recipient's key that the data keys are sealed to, as [`key_digest`] gives it
    pub recipient_key: Digest,
    /// the owner's reference of the patient's consent: an id in its own files
    pub consent: [u8; 16],
    /// from when on nothing is served, in milliseconds since 1970
    pub expires_ms: u64,
    /// which versions
    pub versions: Versions,
}

/// The owner grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareGrant {
    /// who, what, why, until when
    pub terms: ShareTerms,
    /// the encapsulated key
    pub encapsulated: Vec<u8>,
    /// data keys in the order of the versions, sealed as one message; everything before is authenticated with it
    pub sealed: Vec<u8>,
}

/// Either side ends a share; the act's subject is the grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unshare {
    /// why
    pub reason: UnshareReason,
}

/// The recipient accepts; the act's subject is the grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareAccepted {
    /// who grants
    pub owner: HospitalId,
    /// address of the grant's document: the hash of every word of it
    pub grant: Address,
}

/// What [`ShareTerms::recipient_key`] is: SHA-256 of the KEM's code and the key.
pub fn key_digest(kem: ShareKem, key: &[u8]) -> Digest {
    crate::suite::sha256(&[&[kem.code()], key])
}

impl ShareTerms {
    /// The bytes that are authenticated with the sealed keys.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(96 + 16 * self.versions.as_slice().len());
        self.write(&mut out);
        out.finish()
    }

    /// Refuses what no grant may say.
    pub fn check(&self) -> Result<()> {
        let invalid = |why| Err(Error::Invalid { what: "grant", why });
        match self.versions.as_slice().len() {
            0 => invalid("it must name a version"),
            count if count > SHARE_VERSIONS_MAX => Err(Error::OverLimit {
                what: "versions of one grant",
                found: count as u64,
                limit: SHARE_VERSIONS_MAX as u64,
            }),
            _ if self.consent == [0; 16] => invalid("it must name a consent"),
            _ => Ok(()),
        }
    }

    fn write(&self, out: &mut Writer) {
        out.u8(self.kem.code()).u8(self.purpose.code()).zeros(6);
        out.put(&self.recipient.0).put(&self.recipient_key.0).put(&self.consent).u64(self.expires_ms);
        self.versions.write(out);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let kem = ShareKem::from_code(reader.u8("KEM of the grant")?)?;
        let purpose = SharePurpose::from_code(reader.u8("purpose of the grant")?)?;
        reader.zeros(6, "reserved bytes of the grant")?;
        let terms = ShareTerms {
            kem,
            purpose,
            recipient: HospitalId::read(reader)?,
            recipient_key: Digest::read(reader)?,
            consent: reader.array("consent")?,
            expires_ms: reader.u64("end of the grant")?,
            versions: Versions::read(reader)?,
        };
        terms.check().map(|()| terms)
    }
}

impl ShareGrant {
    pub(super) fn write(&self, out: &mut Writer) {
        self.terms.write(out);
        out.var(&self.encapsulated).var(&self.sealed);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let terms = ShareTerms::read(reader)?;
        let sealed_bytes = terms.versions.as_slice().len() * DATA_KEY_BYTES + TAG_BYTES;
        let encapsulated = reader.var(SHARE_ENCAPSULATED_BYTES_MAX, "encapsulated key")?.to_vec();
        let sealed = reader.var(sealed_bytes, "sealed keys")?.to_vec();
        match sealed.len() == sealed_bytes {
            true => Ok(ShareGrant { terms, encapsulated, sealed }),
            false => Err(Error::Invalid { what: "grant", why: "it must seal one key for each version" }),
        }
    }
}

impl Unshare {
    pub(super) fn write(self, out: &mut Writer) {
        out.u8(self.reason.code()).zeros(7);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let reason = UnshareReason::from_code(reader.u8("reason for the end of the share")?)?;
        reader.zeros(7, "reserved bytes of the end of the share")?;
        Ok(Unshare { reason })
    }
}

impl ShareAccepted {
    pub(super) fn write(self, out: &mut Writer) {
        out.put(&self.owner.0).put(&self.grant.0);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(ShareAccepted { owner: HospitalId::read(reader)?, grant: Address::read(reader)? })
    }
}
