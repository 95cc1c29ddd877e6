//! The files below `jobs/`: a small envelope that tells a good one from a torn, foreign or newer one. One that is not good
//! counts as absent, because losing it only repeats work; it is logged.

use crate::error::Result;
use shosoin_protocol::codec::Reader;
use shosoin_protocol::suite::sha256;
use shosoin_tiers::durable;
use shosoin_tiers::media::Media;

/// Folder of the files in the vault's folder.
pub const DIR: &str = "jobs";
/// First bytes of each.
const MAGIC: [u8; 4] = *b"shjb";
/// Version of all forms below together.
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 32;
/// Longest file that is read: a full repair queue is below it.
const FILE_BYTES_MAX: usize = 8 << 20;

/// What a file holds.
pub trait Stored: Sized {
    /// Its number in the file.
    const FORM: u8;

    /// Its bytes.
    fn encode(&self) -> Vec<u8>;

    /// Reads it.
    fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self>;
}

/// The whole file for a value.
pub fn seal<T: Stored>(value: &T) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &[VERSION, T::FORM]].concat();
    bytes.extend_from_slice(&value.encode());
    let checksum = sha256(&[&bytes]);
    bytes.extend_from_slice(&checksum.0);
    bytes
}

/// The value of a whole file.
pub fn open<T: Stored>(bytes: &[u8]) -> shosoin_protocol::Result<T> {
    use shosoin_protocol::Error;
    let truncated = Error::Truncated { what: "job file", needed: CHECKSUM_BYTES, left: bytes.len() };
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(truncated)?;
    if sha256(&[content]).0 != *checksum {
        return Err(Error::Invalid { what: "job file", why: "its checksum is another" });
    }
    let mut reader = Reader::new(content, "job file");
    if reader.array::<4>("magic")? != MAGIC {
        return Err(Error::Magic { what: "job file" });
    }
    match reader.u8("version")? {
        VERSION => {}
        found => return Err(Error::Version { what: "job file", found, known: VERSION }),
    }
    if reader.u8("form")? != T::FORM {
        return Err(Error::Invalid { what: "job file", why: "it holds something else" });
    }
    let value = T::read(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

/// Makes the folder.
pub fn prepare(folder: &dyn Media) -> Result<()> {
    match folder.make_dir(DIR) {
        Ok(()) | Err(shosoin_tiers::Error::Exists { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Replaces a file, durably.
pub fn save<T: Stored>(folder: &dyn Media, name: &str, value: &T) -> Result<()> {
    Ok(durable::replace(folder, &path(name), &seal(value))?)
}

/// Reads a file; `None` where there is none that is good.
pub fn load<T: Stored>(folder: &dyn Media, name: &str) -> Option<T> {
    let path = path(name);
    let mut bytes = Vec::new();
    let read = folder.open(&path).and_then(|file| {
        bytes.resize(usize::try_from(file.len()?).unwrap_or(usize::MAX).min(FILE_BYTES_MAX), 0);
        file.read_at(0, &mut bytes)
    });
    match read {
        Ok(len) => bytes.truncate(len),
        Err(shosoin_tiers::Error::NotFound { .. }) => return None,
        Err(error) => {
            tracing::warn!(path, %error, "what a job had done so far cannot be read, it begins anew");
            return None;
        }
    }
    open(&bytes).inspect_err(|error| tracing::warn!(path, %error, "a job file is not good, its job begins anew")).ok()
}

fn path(name: &str) -> String {
    format!("{DIR}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::codec::Writer;
    use shosoin_tiers::media::MemoryMedia;

    #[derive(Debug, PartialEq)]
    struct Number(u64);

    impl Stored for Number {
        const FORM: u8 = 200;

        fn encode(&self) -> Vec<u8> {
            let mut out = Writer::new();
            out.u64(self.0);
            out.finish()
        }

        fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
            reader.u64("number").map(Number)
        }
    }

    #[test]
    fn a_file_reads_back_and_one_that_is_not_whole_counts_as_absent() {
        let folder = MemoryMedia::new("vault");
        prepare(&folder).unwrap();
        prepare(&folder).unwrap();
        assert_eq!(load::<Number>(&folder, "n"), None);
        save(&folder, "n", &Number(7)).unwrap();
        assert_eq!(load(&folder, "n"), Some(Number(7)));
        let good = seal(&Number(7));
        for len in 0..good.len() {
            assert!(open::<Number>(&good[..len]).is_err());
        }
        for at in 0..good.len() {
            let mut flipped = good.clone();
            flipped[at] ^= 1;
            assert!(open::<Number>(&flipped).is_err(), "byte {at}");
        }
    }
}
