//! Erasure coding of the units of one stripe: k data units in, m parity units out, and any k of them back.
//!
//! Unit r of a stripe is, byte by byte, the value at r of the polynomial of degree below k over GF(256), reduced by 0x11d,
//! whose values at 0 to k - 1 are the data units. That is part of the format, and a test computes it a second way.
//!
//! Pure, and blind: it cannot tell a good unit from a bad one (all-zero units pass any parity check), so callers
//! verify units by digest first and pass only verified ones. Plans for each pattern of losses are kept by the coder.

use crate::{Code, Error, Result};
use reed_solomon_erasure::galois_8::ReedSolomon;

/// One unit for [`Erasure::rebuild`]: its bytes, and whether they are verified content or a place to rebuild into.
pub type Slot<'a> = (&'a mut [u8], bool);

/// The coder of one [`Code`]. Shared between threads.
#[derive(Debug)]
pub struct Erasure {
    code: Code,
    /// none where there is no parity
    coder: Option<ReedSolomon>,
}

impl Erasure {
    /// The coder of `code`.
    pub fn new(code: Code) -> Result<Self> {
        let coder = (code.m() > 0).then(|| ReedSolomon::new(code.k(), code.m())).transpose().map_err(units)?;
        Ok(Erasure { code, coder })
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Computes the m parity units of k data units, all of one length that is not zero.
    pub fn encode(&self, data: &[&[u8]], parity: &mut [&mut [u8]]) -> Result<()> {
        if let Some(coder) = self.coder.as_ref().filter(|_| !self.code.is_mirror()) {
            return coder.encode_sep(data, parity).map_err(units);
        }
        match data {
            [only] if parity.len() == self.code.m() && parity.iter().all(|copy| copy.len() == only.len()) => {
                parity.iter_mut().for_each(|copy| copy.copy_from_slice(only));
                Ok(())
            }
            _ => Err(Error::Units { why: "wrong number or lengths of copies" }),
        }
    }

    /// Rebuilds every unit that is not good, in place. Slots are all k + m units in shard order.
    pub fn rebuild(&self, slots: &mut [Slot<'_>]) -> Result<()> {
        match &self.coder {
            Some(coder) => coder.reconstruct(slots).map_err(|error| self.failed(error, slots)),
            None => self.nothing_to_rebuild_from(slots),
        }
    }

    /// Rebuilds only data units; the slots of parity units that are not good may be empty.
    pub fn rebuild_data(&self, slots: &mut [Slot<'_>]) -> Result<()> {
        match &self.coder {
            Some(coder) => coder.reconstruct_data(slots).map_err(|error| self.failed(error, slots)),
            None => self.nothing_to_rebuild_from(slots),
        }
    }

    /// Without parity all units are good, or nothing helps.
    fn nothing_to_rebuild_from(&self, slots: &[Slot<'_>]) -> Result<()> {
        match slots.iter().filter(|(_, is_good)| *is_good).count() {
            good if good >= self.code.k() => Ok(()),
            good => Err(Error::TooFewUnits { good, needed: self.code.k() }),
        }
    }

    fn failed(&self, error: reed_solomon_erasure::Error, slots: &[Slot<'_>]) -> Error {
        match error {
            reed_solomon_erasure::Error::TooFewShardsPresent => {
                let good = slots.iter().filter(|(_, is_good)| *is_good).count();
                Error::TooFewUnits { good, needed: self.code.k() }
            }
            other => units(other),
        }
    }
}

fn units(error: reed_solomon_erasure::Error) -> Error {
    use reed_solomon_erasure::Error as Cause;
    let why = match error {
        Cause::IncorrectShardSize => "units differ in length",
        Cause::EmptyShard => "units are empty",
        Cause::TooFewShards | Cause::TooManyShards => "wrong number of units",
        _ => "wrong number of data or parity units",
    };
    Error::Units { why }
}

#[cfg(test)]
mod tests;
