//! The key file.

use crate::{Keyring, Result};

/// Cost of turning a passphrase into a key; stored in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Params {
    /// memory, in KiB
    pub memory_kib: u32,
    /// passes over the memory
    pub passes: u32,
    /// lanes
    pub lanes: u32,
}

impl Default for Argon2Params {
    fn default() -> Self {
        Argon2Params { memory_kib: 64 * 1024, passes: 3, lanes: 1 }
    }
}

/// The bytes of a key file that holds `keyring` under `passphrase`.
pub fn seal(keyring: &Keyring, passphrase: &[u8], params: Argon2Params) -> Result<Vec<u8>> {
    let _ = (keyring, passphrase, params);
    unimplemented!()
}

/// Opens the bytes of a key file.
pub fn open(bytes: &[u8], passphrase: &[u8]) -> Result<Keyring> {
    let _ = (bytes, passphrase);
    unimplemented!()
}
