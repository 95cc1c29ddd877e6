//! The count of failed transfers of one line, `lines/<hospital>`. `docs/format.md` has the table ("Line file"). A file that is not
//! good counts nothing and is logged: the ledger, not this file, says whether communication is stopped.

use crate::error::Result;
use shosoin_protocol::HospitalId;
use shosoin_protocol::act::TransferFailure;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use shosoin_tiers::durable;
use shosoin_tiers::media::Media;

/// Folder of the files in the vault's folder.
const DIR: &str = "lines";
/// First bytes of each.
const MAGIC: [u8; 4] = *b"shln";
const VERSION: u8 = 1;
/// Failures that are counted at most: with so many a line stops whatever was agreed on.
pub const FAILURES_MAX: usize = 4096;
/// Transfers that are cut within so many milliseconds of each other have one cause.
const TOGETHER_MS: u64 = 10_000;
const CHECKSUM_BYTES: usize = 32;
const FILE_BYTES_MAX: usize = 20 + 16 * FAILURES_MAX + CHECKSUM_BYTES;

/// One failed transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// when, in milliseconds since 1970
    pub at_ms: u64,
    /// how
    pub how: TransferFailure,
}

/// What is remembered of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineFile {
    /// the failures that may still count, oldest first
    pub(super) failures: Vec<Failure>,
    /// when it was decided that communication stops, in milliseconds since 1970
    pub(super) stop_ms: Option<u64>,
}

impl LineFile {
    /// Adds a failure, and forgets those that count no more beside it. Gives whether it counts by itself.
    pub(super) fn add(&mut self, failure: Failure, window_ms: u64) -> bool {
        let cut = |failure: &Failure| failure.how == TransferFailure::Cut;
        let beside = |old: &Failure| cut(old) && failure.at_ms.abs_diff(old.at_ms) < TOGETHER_MS;
        if cut(&failure) && self.failures.last().is_some_and(beside) {
            return false;
        }
        self.failures.retain(|old| counts(old, failure.at_ms, window_ms));
        if self.failures.len() == FAILURES_MAX {
            self.failures.remove(0);
        }
        self.failures.push(failure);
        true
    }

    /// Failures that count at this time.
    pub(super) fn counted(&self, now_ms: u64, window_ms: u64) -> usize {
        self.failures.iter().filter(|failure| counts(failure, now_ms, window_ms)).count()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(FILE_BYTES_MAX);
        out.put(&MAGIC).u8(VERSION).zeros(3).u64(self.stop_ms.unwrap_or(0)).count(self.failures.len());
        for failure in &self.failures {
            out.u64(failure.at_ms).u8(failure.how.code()).zeros(7);
        }
        let mut bytes = out.finish();
        let checksum = sha256(&[&bytes]);
        bytes.extend_from_slice(&checksum.0);
        bytes
    }

    fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Self> {
        use shosoin_protocol::Error;
        let cut = Error::Truncated { what: "line file", needed: CHECKSUM_BYTES, left: bytes.len() };
        let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(cut)?;
        if sha256(&[content]).0 != *checksum {
            return Err(Error::Invalid { what: "line file", why: "its checksum is another" });
        }
        let mut reader = Reader::new(content, "line file");
        if reader.array::<4>("magic")? != MAGIC {
            return Err(Error::Magic { what: "line file" });
        }
        match reader.u8("version")? {
            VERSION => {}
            found => return Err(Error::Version { what: "line file", found, known: VERSION }),
        }
        reader.zeros(3, "reserved bytes of the line file")?;
        let stop_ms = Some(reader.u64("time of the stop")?).filter(|stop_ms| *stop_ms != 0);
        let count = reader.count(FAILURES_MAX, "failures")?;
        let failure = |reader: &mut Reader<'_>| {
            let at_ms = reader.u64("time of a failure")?;
            let how = TransferFailure::from_code(reader.u8("failure")?)?;
            reader.zeros(7, "reserved bytes of a failure")?;
            Ok(Failure { at_ms, how })
        };
        let failures = (0..count).map(|_| failure(&mut reader)).collect::<shosoin_protocol::Result<_>>()?;
        reader.finish()?;
        Ok(LineFile { failures, stop_ms })
    }
}

/// A clock that went back makes nothing count less.
fn counts(failure: &Failure, now_ms: u64, window_ms: u64) -> bool {
    now_ms.saturating_sub(failure.at_ms) < window_ms
}

/// Writes it, durably.
pub(super) fn save(folder: &dyn Media, hospital: HospitalId, file: &LineFile) -> Result<()> {
    folder.make_dir(DIR)?;
    Ok(durable::replace(folder, &path(hospital), &file.encode())?)
}

/// Reads it.
pub(super) fn load(folder: &dyn Media, hospital: HospitalId) -> LineFile {
    let path = path(hospital);
    let mut bytes = Vec::new();
    let read = folder.open(&path).and_then(|file| {
        bytes.resize(usize::try_from(file.len()?).unwrap_or(usize::MAX).min(FILE_BYTES_MAX), 0);
        file.read_at(0, &mut bytes)
    });
    match read {
        Ok(len) => bytes.truncate(len),
        Err(shosoin_tiers::Error::NotFound { .. }) => return LineFile::default(),
        Err(error) => {
            tracing::warn!(path, %error, "the count of failed transfers cannot be read, it begins anew");
            return LineFile::default();
        }
    }
    let decoded = LineFile::decode(&bytes);
    decoded
        .inspect_err(|error| tracing::warn!(path, %error, "a line file is not good, its count begins anew"))
        .unwrap_or_default()
}

fn path(hospital: HospitalId) -> String {
    format!("{DIR}/{hospital}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Structure, byte_tables, compare, page};
    use shosoin_tiers::media::MemoryMedia;

    const HOSPITAL: HospitalId = HospitalId([7; 16]);

    fn failure(at_ms: u64) -> Failure {
        Failure { at_ms, how: TransferFailure::Digest }
    }

    #[test]
    fn failures_count_together_within_the_window_and_a_clock_that_goes_back_forgives_none() {
        let mut file = LineFile::default();
        for at_ms in [1000, 1500, 2200] {
            assert!(file.add(failure(at_ms), 1000));
        }
        assert_eq!(file.failures, [failure(1500), failure(2200)]);
        assert_eq!((file.counted(2400, 1000), file.counted(2500, 1000), file.counted(100, 1000)), (2, 1, 2));
        for at_ms in 0..2 * FAILURES_MAX as u64 {
            file.add(failure(at_ms + 3000), u64::MAX);
        }
        assert_eq!(file.failures.len(), FAILURES_MAX);
        assert!(file.encode().len() <= FILE_BYTES_MAX);
    }

    #[test]
    fn what_one_fault_cuts_at_the_same_moment_counts_once() {
        let cut = |at_ms| Failure { at_ms, how: TransferFailure::Cut };
        let mut file = LineFile::default();
        let counted = [0, 5, 9000, 10_001, 15_000].map(|at_ms| file.add(cut(at_ms), u64::MAX));
        assert_eq!(counted, [true, false, false, true, false]);
        assert!(file.add(failure(15_001), u64::MAX), "what was altered is never the line alone");
    }

    #[test]
    fn the_table_of_the_page_is_what_is_written() {
        let file = LineFile { failures: vec![Failure { at_ms: 0x0102, how: TransferFailure::Cut }], stop_ms: Some(3) };
        let encoded = file.encode();
        let (content, checksum) = encoded.split_last_chunk::<CHECKSUM_BYTES>().unwrap();
        let fields = vec![
            ("magic", b"shln".to_vec()),
            ("version", vec![1]),
            ("reserved", vec![0; 3]),
            ("stop", 3u64.to_le_bytes().to_vec()),
            ("failures", [&[1, 0, 0, 0, 2, 1][..], &[0; 6], &[1], &[0; 7]].concat()),
            ("checksum", checksum.to_vec()),
        ];
        assert_eq!(sha256(&[content]).0, *checksum);
        let structure = Structure { encoded: encoded.clone(), begins_at: 0, ends_at: encoded.len(), fields };
        let tables = byte_tables(&page());
        compare(tables.iter().find(|table| table.title == "Line file").unwrap(), &structure);
    }

    #[test]
    fn a_file_reads_back_and_one_that_is_not_whole_counts_nothing() {
        let folder = MemoryMedia::new("vault");
        assert_eq!(load(&folder, HOSPITAL), LineFile::default());
        let file = LineFile { failures: vec![failure(5), failure(6)], stop_ms: Some(7) };
        save(&folder, HOSPITAL, &file).unwrap();
        assert_eq!(load(&folder, HOSPITAL), file);
        let bytes = file.encode();
        assert!((0..bytes.len()).all(|len| LineFile::decode(&bytes[..len]).is_err()));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(LineFile::decode(&flipped).is_err(), "byte {at}");
        }
    }
}
