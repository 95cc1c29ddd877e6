//! Sealed anew: which version took the place of which, with the same content under fresh keys.
//!
//! - Pairs are ascending by the older version, each there once, so a document has one form.
//! - The older version stays a record like any other until it is disposed of; the act only says what stands in for it.

use crate::codec::{Reader, Writer};
use crate::limits::RESEAL_MAX;
use crate::{Error, HospitalId, Result, VersionId};

/// Versions whose content was sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reseal {
    /// hospital id in whose ledger the new versions are; none: in this one
    successor: Option<HospitalId>,
    pairs: Vec<(VersionId, VersionId)>,
}

impl Reseal {
    /// Older and newer versions, in any order. Refuses none, too many, an older version twice, and one that is its own successor.
    pub fn new(successor: Option<HospitalId>, mut pairs: Vec<(VersionId, VersionId)>) -> Result<Self> {
        pairs.sort_unstable();
        Reseal { successor, pairs }.checked()
    }

    /// Hospital id in whose ledger the new versions are; none: in this one.
    pub fn successor(&self) -> Option<HospitalId> {
        self.successor
    }

    /// Each older version and what was sealed anew from it, ascending.
    pub fn pairs(&self) -> &[(VersionId, VersionId)] {
        &self.pairs
    }

    fn checked(self) -> Result<Self> {
        let refuse = |why| Err(Error::Invalid { what: "pairs of the act", why });
        if self.pairs.is_empty() {
            return refuse("there are none");
        }
        if self.pairs.len() > RESEAL_MAX {
            let (found, limit) = (self.pairs.len() as u64, RESEAL_MAX as u64);
            return Err(Error::OverLimit { what: "pairs of the act", found, limit });
        }
        if self.pairs.iter().any(|(old, new)| old == new) {
            return refuse("a version is not its own successor");
        }
        match self.pairs.is_sorted_by(|one, next| one.0 < next.0) {
            true => Ok(self),
            false => refuse("older versions must be ascending, and there once"),
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.put(&self.successor.map_or([0; 16], |hospital| hospital.0)).count(self.pairs.len());
        for (old, new) in &self.pairs {
            out.put(&old.0).put(&new.0);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let successor = Some(HospitalId::read(reader)?).filter(|hospital| hospital.0 != [0; 16]);
        let count = reader.count(RESEAL_MAX, "pairs of the act")?;
        let mut pairs = Vec::with_capacity(count.min(reader.left() / (2 * VersionId::LEN)));
        for _ in 0..count {
            pairs.push((VersionId::read(reader)?, VersionId::read(reader)?));
        }
        Reseal { successor, pairs }.checked()
    }
}
