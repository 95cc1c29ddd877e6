//! The versions that an act is about where it is about several.

use crate::codec::{Reader, Writer};
use crate::limits::ACT_VERSIONS_MAX;
use crate::{Error, Result, VersionId};

/// Version ids, ascending, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions(Vec<VersionId>);

impl Versions {
    /// These versions, sorted, each once. More than an act may be about are refused, and so is the id that no version has.
    pub fn new(mut versions: Vec<VersionId>) -> Result<Self> {
        versions.sort_unstable();
        versions.dedup();
        match (versions.len(), versions.first()) {
            (_, Some(first)) if first.0 == [0; 16] => {
                Err(Error::Invalid { what: "versions of an act", why: "no version has the id of zeros" })
            }
            (count, _) if count <= ACT_VERSIONS_MAX => Ok(Versions(versions)),
            (count, _) => {
                let limit = ACT_VERSIONS_MAX as u64;
                Err(Error::OverLimit { what: "versions of one act", found: count as u64, limit })
            }
        }
    }

    /// In order.
    pub fn as_slice(&self) -> &[VersionId] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes count and ids.
    pub fn write(&self, out: &mut Writer) {
        out.count(self.0.len());
        self.0.iter().for_each(|version| version.write(out));
    }

    /// Reads them; they must ascend from above zero, so that a list has one form.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let count = reader.count(ACT_VERSIONS_MAX, "versions of one act")?;
        let mut versions = Vec::with_capacity(count.min(reader.left() / VersionId::LEN));
        for _ in 0..count {
            let version = VersionId::read(reader)?;
            if versions.last().copied().unwrap_or(VersionId([0; 16])) >= version {
                return Err(Error::Invalid { what: "versions of an act", why: "they must ascend" });
            }
            versions.push(version);
        }
        Ok(Versions(versions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_sorted_and_each_is_there_once() {
        let id = |byte| VersionId([byte; 16]);
        let versions = Versions::new(vec![id(3), id(1), id(3), id(2)]).unwrap();
        assert_eq!(versions.as_slice(), [id(1), id(2), id(3)]);
        let mut out = Writer::new();
        versions.write(&mut out);
        let bytes = out.finish();
        assert_eq!(Versions::read(&mut Reader::new(&bytes, "test")), Ok(versions));
        let mut swapped = bytes.clone();
        swapped.swap(4, 20);
        assert!(Versions::read(&mut Reader::new(&swapped, "test")).is_err(), "they must ascend");
        let many = (1..=ACT_VERSIONS_MAX as u64 + 1).map(|number| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_le_bytes());
            VersionId(id)
        });
        assert!(matches!(Versions::new(many.collect()), Err(Error::OverLimit { .. })));
    }
}
