//! How old a scanner's definitions are: what the daemon says, and what their folder says. The older of the two counts.

use super::ScanError;
use shosoin_protocol::malware::Engine;
use std::io::Read as _;
use std::path::Path;
use std::time::UNIX_EPOCH;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Date of the definitions in the answer to `VERSION`: that of `ctime`, in the daemon's own zone.
const CTIME: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]");
/// Bytes of the header of an official database.
const CVD_HEADER_BYTES: u64 = 512;
/// Endings of database files that have that header.
const OFFICIAL: [&str; 2] = ["cvd", "cld"];

/// The engine of an answer to `VERSION`, with the date of its definitions.
pub fn engine(version: &str, folder: Option<&Path>) -> Result<Engine, ScanError> {
    let mut fields = version.split('/');
    let name = fields.next().unwrap_or_default();
    let Some(release) = name.strip_prefix("ClamAV ").and_then(release) else {
        return Err(ScanError::Failed { said: format!("it is no ClamAV: {name:?}") });
    };
    let definitions_version = fields.next().and_then(|number| number.trim().parse().ok()).unwrap_or(0);
    let said_ms = fields.next().and_then(date_ms);
    let found_ms = folder.and_then(newest_ms);
    let definitions_ms = match (said_ms, found_ms) {
        (Some(said), Some(found)) => said.min(found),
        (said, found) => said.or(found).ok_or(ScanError::NoDate)?,
    };
    Ok(Engine { release, definitions_version, definitions_ms })
}

/// `1.4.3`, whatever follows.
fn release(text: &str) -> Option<[u16; 3]> {
    let mut numbers = text.split(['.', '-', ' ', '+']).map(str::parse::<u16>);
    let major = numbers.next()?.ok()?;
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    Some([major, next(), next()])
}

fn date_ms(text: &str) -> Option<u64> {
    let at = PrimitiveDateTime::parse(text.trim(), CTIME).ok()?.assume_utc();
    u64::try_from(at.unix_timestamp()).ok().map(|seconds| seconds * 1000)
}

/// The newest database of a folder: of official ones the time in their header, of others that of the file.
fn newest_ms(folder: &Path) -> Option<u64> {
    let files = std::fs::read_dir(folder).ok()?.flatten();
    let of_file = |file: std::fs::DirEntry| {
        let path = file.path();
        let ending = path.extension()?.to_str()?.to_owned();
        match OFFICIAL.contains(&ending.as_str()) {
            true => built_ms(&path),
            false => {
                let modified = file.metadata().ok().filter(std::fs::Metadata::is_file)?.modified().ok()?;
                u64::try_from(modified.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
            }
        }
    };
    files.filter_map(of_file).max()
}

/// `ClamAV-VDB:date:version:signatures:level:MD5:signature:builder:seconds since 1970`
fn built_ms(path: &Path) -> Option<u64> {
    let mut header = Vec::new();
    std::fs::File::open(path).ok()?.take(CVD_HEADER_BYTES).read_to_end(&mut header).ok()?;
    let text = std::str::from_utf8(&header).ok()?;
    let fields: Vec<&str> = text.trim_end_matches([' ', '\0']).split(':').collect();
    match fields.as_slice() {
        ["ClamAV-VDB", .., seconds] => seconds.trim().parse::<u64>().ok().map(|seconds| seconds * 1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_version_gives_release_number_and_date() {
        let engine = engine("ClamAV 1.4.3/27654/Wed Jun  4 08:36:12 2025", None).unwrap();
        assert_eq!((engine.release, engine.definitions_version), ([1, 4, 3], 27654));
        assert_eq!(engine.definitions_ms, 1_749_026_172_000);
        assert!(matches!(super::engine("ClamAV 1.4.3", None), Err(ScanError::NoDate)));
        assert!(matches!(super::engine("OtherScanner 9", None), Err(ScanError::Failed { .. })));
    }

    #[test]
    fn the_older_of_two_dates_counts_and_a_folder_tells_where_the_daemon_does_not() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("own.ndb"), "x").unwrap();
        let own = engine("ClamAV 1.4.3", Some(dir.path())).unwrap();
        assert!(own.definitions_ms > 1_749_026_172_000, "the file is of now");
        let both = engine("ClamAV 1.4.3/27654/Wed Jun  4 08:36:12 2025", Some(dir.path())).unwrap();
        assert_eq!(both.definitions_ms, 1_749_026_172_000);
        std::fs::remove_file(dir.path().join("own.ndb")).unwrap();
        let header = format!("{:<512}", "ClamAV-VDB:04 Jun 2025 08-36 +0000:27654:2:90:x:y:raynman:1749026172");
        std::fs::write(dir.path().join("daily.cvd"), header).unwrap();
        assert_eq!(engine("ClamAV 1.4.3", Some(dir.path())).unwrap().definitions_ms, 1_749_026_172_000);
        assert!(matches!(engine("ClamAV 1.4.3", Some(&dir.path().join("none"))), Err(ScanError::NoDate)));
    }
}
