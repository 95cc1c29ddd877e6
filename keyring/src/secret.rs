//! Secret bytes: wiped when dropped, never printed, never copied by accident, drawn from the system's generator.

use crate::{Error, Result};
use zeroize::Zeroize;

/// 32 secret bytes. Boxed, so that moving the value leaves no copy behind; no `Debug`, no `Clone`, no `PartialEq`.
pub(crate) struct SecretKey(Box<[u8; 32]>);

impl SecretKey {
    /// Takes bytes over; the caller's copy is the caller's to wipe.
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        SecretKey(Box::new(bytes))
    }

    /// Fresh random bytes.
    pub(crate) fn random() -> Result<Self> {
        let mut key = SecretKey(Box::new([0; 32]));
        fill_random(&mut key.0[..])?;
        Ok(key)
    }

    /// The bytes, for derivation, the cipher and the key file.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Lets a derivation write the bytes where they will stay.
    pub(crate) fn fill_with(fill: impl FnOnce(&mut [u8; 32])) -> Self {
        let mut key = SecretKey(Box::new([0; 32]));
        fill(&mut key.0);
        key
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Random bytes that are not secret: salts, ids.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut out = [0; N];
    fill_random(&mut out)?;
    Ok(out)
}

/// Fills `out` from the system's generator.
pub(crate) fn fill_random(out: &mut [u8]) -> Result<()> {
    getrandom::fill(out).map_err(Error::Random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataKey, Keyring};

    /// Compiles only while `$type` does not implement `$trait`: otherwise the two impls below are ambiguous.
    macro_rules! assert_never {
        ($type:ty: $trait:path) => {{
            trait Ambiguous<Marker> {
                fn check() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Implemented;
            impl<T: ?Sized + $trait> Ambiguous<Implemented> for T {}
            <$type as Ambiguous<_>>::check();
        }};
    }

    #[test]
    fn secrets_can_neither_be_printed_nor_cloned() {
        assert_never!(SecretKey: std::fmt::Debug);
        assert_never!(SecretKey: std::fmt::Display);
        assert_never!(SecretKey: Clone);
        assert_never!(Keyring: std::fmt::Debug);
        assert_never!(Keyring: Clone);
        assert_never!(DataKey: std::fmt::Debug);
        assert_never!(DataKey: Clone);
    }

    #[test]
    fn two_random_secrets_differ() {
        assert_ne!(SecretKey::random().unwrap().as_bytes(), SecretKey::random().unwrap().as_bytes());
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
    }
}
