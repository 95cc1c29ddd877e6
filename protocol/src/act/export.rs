//! Export: records leave the archive as plain files, at the hospital. Stated before the first of them is read, so that a copy
//! outside of the archive is never off the record.
//!
//! - It says how many versions and commits to which; their names and the place they went to stay at the hospital.

use super::codes;
use crate::codec::{Reader, Writer};
use crate::suite::sha256;
use crate::{Digest, Result, VersionId};

codes! {
    /// How much is exported.
    ExportScope, "scope of an export" {
        /// every record in view
        Everything = 1 "everything",
        /// what the hospital chose by bucket or name
        Chosen = 2 "chosen",
    }
}

/// Versions are about to be written as plain files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Export {
    /// how much
    pub scope: ExportScope,
    /// the records as they were then, in milliseconds since 1970; none: as they are
    pub as_of_ms: Option<u64>,
    /// how many versions
    pub versions: u64,
    /// digest over their ids, as [`Export::list`] makes it
    pub list: Digest,
}

impl Export {
    /// SHA-256 of the ids, ascending.
    pub fn list(mut versions: Vec<VersionId>) -> Digest {
        versions.sort_unstable();
        let ids: Vec<&[u8]> = versions.iter().map(|version| &version.0[..]).collect();
        sha256(&ids)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.scope.code()).zeros(7).u64(self.as_of_ms.unwrap_or(0)).u64(self.versions).put(&self.list.0);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let scope = ExportScope::from_code(reader.u8("scope of the export")?)?;
        reader.zeros(7, "reserved bytes of the export")?;
        let as_of_ms = Some(reader.u64("moment of the export")?).filter(|at| *at != 0);
        Ok(Export { scope, as_of_ms, versions: reader.u64("versions of the export")?, list: Digest::read(reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_list_does_not_depend_on_its_order() {
        let (one, two) = (VersionId([1; 16]), VersionId([2; 16]));
        assert_eq!(Export::list(vec![two, one]), Export::list(vec![one, two]));
        assert_eq!(Export::list(vec![one, two]), sha256(&[&[1; 16], &[2; 16]]));
        assert_ne!(Export::list(vec![one]), Export::list(vec![one, two]));
    }
}
