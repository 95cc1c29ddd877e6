//! Reading fields one after the other; what does not fit is an error, never a panic.

use crate::error::{Error, Result};

/// The unread rest of a structure.
pub struct Fields<'a> {
    left: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// All of `bytes`, called `what` where they do not fit.
    pub fn of(bytes: &'a [u8], what: &'static str) -> Self {
        Fields { left: bytes, what }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        match self.left.split_at_checked(count) {
            Some((taken, left)) => {
                self.left = left;
                Ok(taken)
            }
            None => Err(Error::form(self.what, "it ends too early")),
        }
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A `u32` as a length or count.
    pub fn count(&mut self) -> Result<usize> {
        Ok(self.u32()? as usize)
    }

    /// A `u32` length and that many bytes.
    pub fn var(&mut self) -> Result<&'a [u8]> {
        let len = self.count()?;
        self.take(len)
    }

    /// The same as text.
    pub fn text(&mut self) -> Result<String> {
        let what = self.what;
        String::from_utf8(self.var()?.to_vec()).map_err(|_| Error::form(what, "a text is not UTF-8"))
    }

    /// Refuses anything that is left.
    pub fn end(self) -> Result<()> {
        match self.left.is_empty() {
            true => Ok(()),
            false => Err(Error::form(self.what, "it has bytes after its end")),
        }
    }

    /// What is left.
    pub fn rest(self) -> &'a [u8] {
        self.left
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
