//! Which witnesses the hospital requires: on the record, so that nobody who can write one machine's configuration can do without.

use crate::codec::{Reader, Writer};
use crate::limits::WITNESSES_MAX;
use crate::note::VerifierKey;
use crate::suite::sha256;
use crate::{Digest, Error, Result};

/// From this act on, a head of the ledger counts for the hospital if so many of these witnesses have co-signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessRule {
    required: u8,
    witnesses: Vec<Digest>,
}

impl WitnessRule {
    /// A rule. None are required any more if `required` is 0, and then none are named.
    pub fn new(required: u8, keys: &[VerifierKey]) -> Result<Self> {
        let mut witnesses: Vec<Digest> = keys.iter().map(WitnessRule::name_of).collect();
        witnesses.sort_unstable_by_key(|witness| witness.0);
        WitnessRule { required, witnesses }.check()
    }

    /// How many must have signed.
    pub fn required(&self) -> usize {
        self.required.into()
    }

    /// Whether this witness counts.
    pub fn names(&self, key: &VerifierKey) -> bool {
        self.witnesses.contains(&WitnessRule::name_of(key))
    }

    /// How many count.
    pub fn witnesses(&self) -> usize {
        self.witnesses.len()
    }

    /// Digest of the key as people exchange it: name, id and key.
    fn name_of(key: &VerifierKey) -> Digest {
        sha256(&[key.to_string().as_bytes()])
    }

    fn check(self) -> Result<Self> {
        let (required, count) = (self.required(), self.witnesses.len());
        let why = match () {
            () if count > WITNESSES_MAX => "there are too many",
            () if !self.witnesses.is_sorted_by(|one, next| one.0 < next.0) => "they must ascend, each once",
            () if required > count => "more are required than there are",
            () if required == 0 && count > 0 => "some are named and none required",
            () => return Ok(self),
        };
        Err(Error::Invalid { what: "required witnesses", why })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.required).zeros(7).count(self.witnesses.len());
        self.witnesses.iter().for_each(|witness| {
            out.put(&witness.0);
        });
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let required = reader.u8("required witnesses")?;
        reader.zeros(7, "reserved bytes of the witness rule")?;
        let count = reader.count(WITNESSES_MAX, "witnesses")?;
        let witnesses = (0..count).map(|_| Digest::read(reader)).collect::<Result<Vec<_>>>()?;
        WitnessRule { required, witnesses }.check()
    }
}
