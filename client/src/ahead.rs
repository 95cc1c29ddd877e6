//! Where this device's chain stands once the media that it packed were taken in: `state_dir/packed`. Without the file it stands
//! where the ledger says.

use crate::view::row::Chain;
use crate::{Error, Result, durable};
use shosoin_protocol::Digest;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const FILE: &str = "packed";
/// First bytes of the file.
const MAGIC: [u8; 4] = *b"shph";
/// Version of the file.
const VERSION: u8 = 1;

fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

fn encode(chain: &Chain) -> Vec<u8> {
    let mut out = Writer::with_capacity(80);
    out.put(&MAGIC).u8(VERSION).zeros(3).u64(chain.next_seq).put(&chain.prev.0);
    let mut bytes = out.finish();
    let digest = sha256(&[&bytes]);
    bytes.extend_from_slice(&digest.0);
    bytes
}

fn decode(bytes: &[u8]) -> shosoin_protocol::Result<Chain> {
    let mut reader = Reader::new(bytes, "packed chain");
    reader.form(MAGIC, VERSION, "packed chain")?;
    reader.zeros(3, "reserved bytes of the packed chain")?;
    let chain = Chain { next_seq: reader.u64("next sequence")?, prev: Digest::read(&mut reader)? };
    let found = Digest::read(&mut reader)?;
    reader.finish()?;
    match found == sha256(&[&bytes[..bytes.len() - Digest::LEN]]) {
        true => Ok(chain),
        false => Err(shosoin_protocol::Error::Invalid { what: "packed chain", why: "its checksum is another" }),
    }
}

/// Reads it; none: nothing is packed.
pub fn load(state: &Path) -> Result<Option<Chain>> {
    let path = path(state);
    match std::fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::State { path, source }),
        Ok(bytes) => decode(&bytes).map(Some).map_err(|source| Error::StateDamaged { path, source }),
    }
}

/// Writes it, durably.
pub fn save(state: &Path, chain: &Chain) -> Result<()> {
    let path = path(state);
    durable::replace(&path, &encode(chain)).map_err(|source| Error::State { path, source })
}

/// Removes it: what was packed has arrived, or never will.
pub fn forget(state: &Path) -> Result<()> {
    let path = path(state);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::State { path, source: error }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_chain_reads_back_and_an_altered_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), None);
        let chain = Chain { next_seq: 7, prev: Digest([9; 32]) };
        save(dir.path(), &chain).unwrap();
        assert_eq!(load(dir.path()).unwrap(), Some(chain));
        let bytes = encode(&chain);
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(decode(&flipped).is_err(), "byte {at}");
        }
        forget(dir.path()).unwrap();
        forget(dir.path()).unwrap();
        assert_eq!(load(dir.path()).unwrap(), None);
    }
}
