//! Evidence: what proves, to someone who trusts neither side, that a vault broke a promise, or when a ledger head existed.
//! One text, made of what was signed, that is judged offline with public keys alone.
//!
//! Invariants
//! - Judging believes nothing in the text but signatures by keys that the judge brings, and what hashes prove.
//! - What does not show a contradiction is refused, however it is signed: an honest vault cannot be accused by a text that
//!   a hospital made, nor by bytes the vault did not sign. Those only count as the word of the device that attests them.
//! - A text has one form. One that is cut, or changed anywhere, does not parse.
//!
//! Not here: gathering it (`client`), trusted timestamps in it (they are carried as they came), files.
//!
//! Source: RFC 9162, section 11.3 (misbehaving logs are proved by what they signed); tessera's `ErrInconsistency`;
//! RFC 4998 for timestamps that cover all that is before them.

mod judge;
mod text;

pub use judge::{Against, Keys, Verdict};

use crate::entry::DeviceChange;
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::{Address, DeviceId, Digest, Error, HospitalId, LogId, Result, VaultId};

/// What the evidence is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// two signed heads of which neither continues the other
    Fork,
    /// a ledger that the vault signed as shorter than it was
    Rollback,
    /// an entry that the vault acknowledged is not in the ledger
    Omission,
    /// bytes that are not those of the address they were given for
    Substitution,
    /// an entry, version or place in a device's chain twice, or an entry of another ledger
    Replay,
    /// an entry under weaker algorithms than the hospital accepts
    Downgrade,
    /// an entry that no enrolled device signed
    Injection,
    /// a record that the ledger names and the vault does not give
    Loss,
    /// times that contradict each other
    Time,
    /// a receipt that does not hold in itself
    FalseReceipt,
    /// no accusation: a signed head, with the trusted time at which it existed
    Head,
    /// no accusation: what an audit of the vault asked, and what came of it
    Audit,
}

impl Class {
    /// Every class, in the order of the page of formats.
    pub const ALL: [Class; 12] = [
        Class::Fork,
        Class::Rollback,
        Class::Omission,
        Class::Substitution,
        Class::Replay,
        Class::Downgrade,
        Class::Injection,
        Class::Loss,
        Class::Time,
        Class::FalseReceipt,
        Class::Head,
        Class::Audit,
    ];

    /// Its name in the text.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Fork => "fork",
            Class::Rollback => "rollback",
            Class::Omission => "omission",
            Class::Substitution => "substitution",
            Class::Replay => "replay",
            Class::Downgrade => "downgrade",
            Class::Injection => "injection",
            Class::Loss => "loss",
            Class::Time => "time",
            Class::FalseReceipt => "false-receipt",
            Class::Head => "head",
            Class::Audit => "audit",
        }
    }

    /// What the text says for people: fixed, so that nobody can put words into evidence.
    pub const fn sentence(self) -> &'static str {
        match self {
            Class::Fork => "Two heads of one ledger, both signed by the vault. Neither continues the other.",
            Class::Rollback => "The vault signed a head of its ledger that is shorter than one it had signed before.",
            Class::Omission => "The vault acknowledged an entry, and its ledger has something else, or nothing, there.",
            Class::Substitution => "The vault gave bytes that are not those of the address it was asked for.",
            Class::Replay => {
                "The ledger holds twice what it may hold once, or an entry that was made for another ledger."
            }
            Class::Downgrade => "The ledger holds an entry under weaker algorithms than the hospital accepts.",
            Class::Injection => "The ledger holds an entry that no enrolled device of the hospital signed.",
            Class::Loss => "The ledger names a record that the vault does not give.",
            Class::Time => "The vault signed times that contradict each other.",
            Class::FalseReceipt => "The vault signed a receipt that does not hold in itself.",
            Class::Head => "A ledger head that the vault signed. The timestamps below say since when it exists.",
            Class::Audit => "An audit of the vault: what was asked at random, and what came of it.",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Class::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// A place in a Merkle tree, with the path from the leaf to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// leaf index
    pub index: u64,
    /// hashes from the leaf up
    pub proof: Vec<Digest>,
}

/// One piece of evidence. Each is there once at most, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// the signed head that was remembered
    Remembered(String),
    /// the signed head that this is about
    Head(String),
    /// what the vault gave as the proof that one of the two continues the other
    Consistency {
        /// leaves of the smaller head
        from: u64,
        /// leaves of the larger head
        to: u64,
        /// the hashes, the first complete subtree always among them: see
        /// [`consistency_roots`](crate::merkle::consistency_roots)
        proof: Vec<Digest>,
    },
    /// a receipt
    Receipt(Vec<u8>),
    /// an entry
    Entry(Vec<u8>),
    /// where the entry is, under the head
    EntryPlace(Place),
    /// another entry
    OtherEntry(Vec<u8>),
    /// where the other entry is, under the head; without another entry, where the entry is a second time
    OtherPlace(Place),
    /// where an address is among those that the entry commits to
    AddressPlace(Place),
    /// a signed answer to an audit
    Answer(Vec<u8>),
    /// the hospital's certificate for a device
    Device {
        /// key of the device
        key: PublicKey,
        /// the hospital's signature over ledger, enrolment and key
        certificate: Signature,
    },
    /// what came without a signature: the word of whoever attests the evidence
    Received {
        /// asked for
        address: Address,
        /// how many bytes came
        len: u64,
        /// digest of the bytes under the hospital's suite
        digest: Digest,
    },
    /// names and values of an audit
    Report(Vec<(String, String)>),
}

impl Part {
    /// Its place in the order.
    fn rank(&self) -> usize {
        match self {
            Part::Remembered(_) => 0,
            Part::Head(_) => 1,
            Part::Consistency { .. } => 2,
            Part::Receipt(_) => 3,
            Part::Entry(_) => 4,
            Part::EntryPlace(_) => 5,
            Part::OtherEntry(_) => 6,
            Part::OtherPlace(_) => 7,
            Part::AddressPlace(_) => 8,
            Part::Answer(_) => 9,
            Part::Device { .. } => 10,
            Part::Received { .. } => 11,
            Part::Report(_) => 12,
        }
    }
}

/// The word of a device of the hospital for the evidence it found, and the hospital's word for the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// key of the device
    pub device_key: PublicKey,
    /// the hospital's certificate for it, for the ledger that the evidence is about
    pub certificate: Signature,
    /// the device's signature over the text up to its attestation
    pub signature: Signature,
}

/// Evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// of what
    pub class: Class,
    /// which vault
    pub vault: VaultId,
    /// whose ledger
    pub hospital: HospitalId,
    /// the finder's clock, in milliseconds since 1970
    pub found_ms: u64,
    /// what it consists of, in the order of [`Part`]
    pub parts: Vec<Part>,
    /// whose word it is besides
    pub attestation: Option<Attestation>,
    /// RFC 3161 tokens in DER, oldest first; each covers the text before it
    pub timestamps: Vec<Vec<u8>>,
}

impl Evidence {
    /// Evidence without attestation and timestamps.
    pub fn new(class: Class, (vault, hospital): (VaultId, HospitalId), found_ms: u64, mut parts: Vec<Part>) -> Self {
        parts.sort_by_key(Part::rank);
        Evidence { class, vault, hospital, found_ms, parts, attestation: None, timestamps: Vec::new() }
    }

    /// The same with the word of a device, whose certificate the hospital made for the ledger.
    pub fn attest(mut self, device_key: &SigningKey, certificate: Signature) -> Self {
        self.timestamps.clear();
        let signature = device_key.sign(Domain::Evidence, text::body(&self).as_bytes());
        self.attestation = Some(Attestation { device_key: device_key.public(), certificate, signature });
        self
    }

    /// The text that the next timestamp must cover.
    pub fn to_be_timestamped(&self) -> String {
        text::covered(self, self.timestamps.len())
    }

    /// The text that timestamp `number` covers.
    pub fn timestamped(&self, number: usize) -> String {
        text::covered(self, number)
    }

    /// The text.
    pub fn render(&self) -> String {
        text::render(self)
    }

    /// Reads a text without believing it.
    pub fn parse(text: &str) -> Result<Self> {
        text::parse(text)
    }

    /// The device that attests it, if the hospital with this key certified it and it did sign.
    pub fn attested_by(&self, hospital_key: &PublicKey) -> Result<Option<DeviceId>> {
        let Some(Attestation { device_key, certificate, signature }) = &self.attestation else { return Ok(None) };
        self.certified(device_key, certificate, hospital_key)?;
        device_key.verify(Domain::Evidence, text::body(self).as_bytes(), signature)?;
        Ok(Some(device_key.device_id()))
    }

    /// Refuses a certificate that the hospital did not make for the ledger of this evidence.
    fn certified(&self, key: &PublicKey, certificate: &Signature, hospital_key: &PublicKey) -> Result<()> {
        let change = DeviceChange { enrol: true, key: key.clone(), certificate: *certificate };
        change.verify(LogId::of(self.vault, self.hospital), hospital_key)
    }

    fn part<'a, T>(&'a self, pick: impl Fn(&'a Part) -> Option<T>) -> Option<T> {
        self.parts.iter().find_map(pick)
    }
}

/// What is wrong with a text that is no evidence.
fn invalid(why: &'static str) -> Error {
    Error::Invalid { what: "evidence", why }
}
