//! Sharing by consent between hospitals of one vault: the card by which they know each other, and what the vault answers the one
//! that was granted something.
//!
//! ```text
//! request                                                  answer
//! GET /v1/shares                                           Offers: what other hospitals grant the caller
//! GET /v1/shares/{owner}/{grant}/versions/{version}        SharedVersion
//! GET /v1/shares/{owner}/{grant}/versions/{version}/records/{address}    the record
//! ```
//!
//! Nothing of what the vault answers here is believed for being its answer: grants and versions are signed by devices of the
//! owner, whose enrolments are signed by the owner's hospital key, and that key is on the card that people compared.

use crate::act::{Act, ActKind, Document, ShareGrant, ShareKem};
use crate::api::Enrolment;
use crate::codec::{Reader, Writer};
use crate::entry::{Body, Deposit, Entry};
use crate::limits::*;
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::{Address, Error, HospitalId, Result, Suite, VersionId};
use bytes::Bytes;

/// What a hospital asks of what others granted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareAsk {
    /// what there is
    Offers,
    /// a version
    Version {
        /// whose
        owner: HospitalId,
        /// id of the grant
        grant: VersionId,
        /// which
        version: VersionId,
    },
    /// a record that a version depends on
    Record {
        /// whose
        owner: HospitalId,
        /// id of the grant
        grant: VersionId,
        /// of which version
        version: VersionId,
        /// where it is
        address: Address,
    },
}

impl ShareAsk {
    /// Path of the request.
    pub fn path(&self) -> String {
        match self {
            ShareAsk::Offers => "/v1/shares".to_owned(),
            ShareAsk::Version { owner, grant, version } => format!("/v1/shares/{owner}/{grant}/versions/{version}"),
            ShareAsk::Record { owner, grant, version, address } => {
                format!("/v1/shares/{owner}/{grant}/versions/{version}/records/{address}")
            }
        }
    }
}

/// What a hospital hands to those that share with it, or that it shares with: public facts, signed by its own key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareCard {
    /// whose
    pub hospital: HospitalId,
    /// its key, by whose fingerprint people know it
    pub hospital_key: PublicKey,
    /// how keys are sealed to it
    pub kem: ShareKem,
    /// the key they are sealed to
    pub share_key: Vec<u8>,
}

impl ShareCard {
    /// First bytes.
    pub const MAGIC: [u8; 4] = *b"shsi";
    /// Version of the form.
    pub const VERSION: u8 = 1;

    /// The signed card.
    pub fn sign(&self, key: &SigningKey) -> Vec<u8> {
        let mut bytes = self.signed_bytes();
        let signature = key.sign(Domain::ShareCard, &bytes);
        bytes.extend_from_slice(&signature.0);
        bytes
    }

    /// Reads a card and refuses it unless the key on it signed it. Who holds that key is for people to compare.
    pub fn verify(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "share card");
        if reader.array::<4>("magic of the card")? != Self::MAGIC {
            return Err(Error::Magic { what: "share card" });
        }
        match reader.u8("version of the card")? {
            Self::VERSION => {}
            found => return Err(Error::Version { what: "share card", found, known: Self::VERSION }),
        }
        let kem = ShareKem::from_code(reader.u8("KEM of the card")?)?;
        reader.zeros(2, "reserved bytes of the card")?;
        let (hospital, hospital_key) = (HospitalId::read(&mut reader)?, PublicKey::read(&mut reader)?);
        let share_key = reader.var(SHARE_ENCAPSULATED_BYTES_MAX, "key to seal to")?.to_vec();
        let signature = Signature::read(&mut reader)?;
        reader.finish()?;
        let card = ShareCard { hospital, hospital_key, kem, share_key };
        card.hospital_key.verify(Domain::ShareCard, &card.signed_bytes(), &signature)?;
        Ok(card)
    }

    /// Its hospital's algorithms.
    pub fn suite(&self) -> Suite {
        self.hospital_key.suite()
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(128 + self.share_key.len());
        out.put(&Self::MAGIC).u8(Self::VERSION).u8(self.kem.code()).zeros(2).put(&self.hospital.0);
        self.hospital_key.write(&mut out);
        out.var(&self.share_key);
        out.finish()
    }
}

/// An entry of another hospital's ledger, with what shows that a device of that hospital signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedEntry {
    /// the entry
    pub entry: Bytes,
    /// enrolment of the device that signed it
    pub enrolment: Bytes,
}

impl SignedEntry {
    /// The entry, if a device signed it that the hospital on the card enrolled.
    pub fn verify(&self, owner: &ShareCard) -> Result<Entry> {
        let enrolment = Enrolment::verify(&self.enrolment)?;
        if (enrolment.hospital, &enrolment.hospital_key) != (owner.hospital, &owner.hospital_key) {
            return Err(Error::Invalid { what: "enrolment", why: "it is not of the hospital on the card" });
        }
        let entry = Entry::decode(&self.entry)?;
        if entry.statement().hospital != owner.hospital {
            return Err(Error::Invalid { what: "entry", why: "it is of another hospital" });
        }
        entry.verify(&enrolment.device_key)?;
        Ok(entry)
    }

    /// The bytes of one.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.write(&mut out);
        out.finish()
    }

    fn write(&self, out: &mut Writer) {
        out.var(&self.entry).var(&self.enrolment);
    }

    fn read(body: &Bytes, reader: &mut Reader<'_>) -> Result<Self> {
        let entry = body.slice_ref(reader.var(ENTRY_BYTES_MAX, "entry")?);
        let enrolment = body.slice_ref(reader.var(ENROLMENT_BYTES_MAX, "enrolment")?);
        Ok(SignedEntry { entry, enrolment })
    }
}

/// What another hospital grants the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// who grants, as the vault says
    pub owner: HospitalId,
    /// the owner's act
    pub grant: SignedEntry,
    /// its document
    pub document: Bytes,
    /// whether the owner ended it, as the vault says
    pub ended: bool,
}

impl Offer {
    /// The act and what it grants, if the hospital on the card stated it to `recipient`.
    pub fn verify(&self, owner: &ShareCard, recipient: HospitalId) -> Result<(Act, ShareGrant)> {
        let entry = self.grant.verify(owner)?;
        let invalid = |why| Error::Invalid { what: "grant", why };
        let Body::Act(act) = entry.body() else { return Err(invalid("its entry is no act")) };
        owner.suite().verify(&act.document, &self.document)?;
        match (act.kind, Document::decode(act.kind, &self.document)?) {
            (ActKind::ShareGrant, Document::ShareGrant(grant)) if grant.terms.recipient == recipient => {
                Ok((act.clone(), *grant))
            }
            (ActKind::ShareGrant, _) => Err(invalid("it is for another hospital")),
            _ => Err(invalid("its entry grants nothing")),
        }
    }
}

/// What other hospitals grant the caller, newest first, in one answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offers {
    /// the grants
    pub offers: Vec<Offer>,
    /// older ones that did not fit
    pub left_out: u32,
}

impl Offers {
    /// The answer's body.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u32(self.left_out).count(self.offers.len());
        for offer in &self.offers {
            out.put(&offer.owner.0).u8(offer.ended.into()).zeros(7);
            offer.grant.write(&mut out);
            out.var(&offer.document);
        }
        out.finish()
    }

    /// Reads one.
    pub fn decode(body: &Bytes) -> Result<Self> {
        let mut reader = Reader::new(body, "offers");
        let left_out = reader.u32("offers left out")?;
        let count = reader.count(SHARE_OFFERS_MAX, "offers")?;
        let mut offers = Vec::new();
        for _ in 0..count {
            let owner = HospitalId::read(&mut reader)?;
            let ended = reader.flag("whether the offer ended")?;
            reader.zeros(7, "reserved bytes of the offer")?;
            let grant = SignedEntry::read(body, &mut reader)?;
            let document = body.slice_ref(reader.var(DOCUMENT_BYTES_MAX, "document of the offer")?);
            offers.push(Offer { owner, grant, document, ended });
        }
        reader.finish()?;
        Ok(Offers { offers, left_out })
    }
}

/// A version of another hospital that the caller may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedVersion {
    /// the owner's deposit
    pub deposit: SignedEntry,
    /// its manifest root
    pub manifest: Bytes,
}

impl SharedVersion {
    /// The answer's body.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        self.deposit.write(&mut out);
        out.var(&self.manifest);
        out.finish()
    }

    /// Reads one.
    pub fn decode(body: &Bytes) -> Result<Self> {
        let mut reader = Reader::new(body, "shared version");
        let deposit = SignedEntry::read(body, &mut reader)?;
        let manifest = body.slice_ref(reader.var(RECORD_BYTES_MAX, "manifest")?);
        reader.finish()?;
        Ok(SharedVersion { deposit, manifest })
    }

    /// The deposit of `version`, if the hospital on the card made it and this is its manifest.
    pub fn verify(&self, owner: &ShareCard, version: VersionId) -> Result<Deposit> {
        let entry = self.deposit.verify(owner)?;
        match entry.body() {
            Body::Deposit(deposit) if deposit.version == version => {
                owner.suite().verify(&deposit.manifest, &self.manifest)?;
                Ok(deposit.as_ref().clone())
            }
            _ => Err(Error::Invalid { what: "shared version", why: "its entry is no deposit of it" }),
        }
    }
}
