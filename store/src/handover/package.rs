//! A package on a medium: its manifest, its small files, and its segments as a tier that is only read.

use crate::error::{Error, Result};
use shosoin_protocol::SegmentId;
use shosoin_protocol::api::Enrolment;
use shosoin_protocol::limits::PACKAGE_MANIFEST_BYTES_MAX;
use shosoin_protocol::package::Package;
use shosoin_protocol::sign::SigningKey;
use shosoin_tiers::media::{Media, ReadOnlyMedia};
use shosoin_tiers::{
    Code, Error as MediaError, Finding, SystemClock, SystemRandom, Threads, Tier, TierOptions, Volume, Walked, durable,
};
use std::sync::Arc;

/// The signed list of everything else.
pub const MANIFEST: &str = "manifest";
/// What a person reads first.
pub const README: &str = "README.txt";
/// Every byte of it, explained.
pub const FORMAT: &str = "format.md";
/// Folder of the enrolments.
pub const ENROLMENTS: &str = "enrolments";
/// How the name of an enrolment ends.
const ENROLMENT: &str = ".enrolment";
/// An enrolment has 190 bytes; nothing near this is one.
pub const ENROLMENT_BYTES_MAX: usize = 4096;

/// The manifest of the package on a medium; none where there is none.
pub fn manifest(media: &dyn Media) -> Result<Option<Package>> {
    let bytes = match read(media, MANIFEST, PACKAGE_MANIFEST_BYTES_MAX) {
        Err(Error::Media(MediaError::NotFound { .. })) => return Ok(None),
        read => read?,
    };
    let package = Package::verify(&bytes);
    package.map(Some).map_err(|source| Error::Malformed { what: "manifest of the package", source })
}

/// Replaces the manifest on a medium.
pub fn write_manifest(media: &dyn Media, package: &Package, key: &SigningKey) -> Result<()> {
    Ok(durable::replace(media, MANIFEST, &package.sign(key))?)
}

/// A whole file that is to be small.
pub fn read(media: &dyn Media, path: &str, limit: usize) -> Result<Vec<u8>> {
    let file = media.open(path)?;
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    if len > limit {
        let source = shosoin_protocol::Error::OverLimit { what: "file", found: len as u64, limit: limit as u64 };
        return Err(Error::Malformed { what: "file of the package", source });
    }
    let mut bytes = vec![0; len];
    let found = file.read_at(0, &mut bytes)?;
    bytes.truncate(found);
    Ok(bytes)
}

/// Every enrolment of a package: its file, and what it says or why it is none.
pub fn enrolments(media: &dyn Media, package: &Package) -> Result<Vec<(String, Result<Enrolment>)>> {
    let is_enrolment = |path: &str| path.starts_with(ENROLMENTS) && path.ends_with(ENROLMENT);
    let paths = package.files.iter().map(|file| &file.path).filter(|path| is_enrolment(path));
    let enrolment = |path: &String| {
        let read = read(media, path, ENROLMENT_BYTES_MAX).and_then(|bytes| {
            Enrolment::verify(&bytes).map_err(|source| Error::Malformed { what: "enrolment", source })
        });
        (path.clone(), read)
    };
    Ok(paths.map(enrolment).collect())
}

/// Every record of a segment, in order; what `visit` refuses ends the walk.
pub fn walk(tier: &Tier, segment: SegmentId, visit: &mut dyn FnMut(Walked) -> Result<()>) -> Result<()> {
    let mut refused = None;
    let walked = tier.walk(segment, 0, &mut |walked| {
        visit(walked).map_err(|error| {
            refused = Some(error);
            MediaError::Abandoned { what: "walk of a segment" }
        })
    });
    match (refused, walked) {
        (Some(error), _) => Err(error),
        (None, walked) => Ok(walked.map(drop)?),
    }
}

/// The segments of a package, and what was met on opening them. Nothing is written to the medium.
pub fn segments(media: Arc<dyn Media>) -> Result<(Tier, Vec<Finding>)> {
    let volume = Volume::open(Arc::new(ReadOnlyMedia::over(media)))?;
    let options = TierOptions { demo: true, threads: Threads::None, ..TierOptions::new(Code::PACKAGE) };
    Ok(Tier::open(vec![volume], options, Arc::new(SystemClock), Arc::new(SystemRandom))?)
}
