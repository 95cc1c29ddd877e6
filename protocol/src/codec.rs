//! The one canonical encoding: fixed widths, little-endian, length-limited, no trailing bytes.
//!
//! Everything that is hashed, signed or stored passes through here, and nothing else does. A [`Reader`] cannot read
//! past its section and [`Reader::finish`] refuses to stop early; a [`Writer`] has no way to write a `usize`.
//!
//! The small reads are inlined into other crates: a page of the asset ledger decodes a million slots of a dozen fields each.

use crate::{Error, Result};

/// Reads one structure from a byte slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    left: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` as the structure called `what`.
    #[inline]
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Reader { left: bytes, what }
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8]> {
        match self.left.split_at_checked(count) {
            Some((head, tail)) => {
                self.left = tail;
                Ok(head)
            }
            None => Err(Error::Truncated { what, needed: count, left: self.left.len() }),
        }
    }

    /// The next `N` bytes, by value.
    #[inline]
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self, what: &'static str) -> Result<u8> {
        Ok(self.array::<1>(what)?[0])
    }

    /// How everything with a form of its own begins: a magic, and the one version that is known.
    pub fn form<const N: usize>(&mut self, magic: [u8; N], known: u8, what: &'static str) -> Result<()> {
        if self.array::<N>(what)? != magic {
            return Err(Error::Magic { what });
        }
        match self.u8(what)? {
            found if found != known => Err(Error::Version { what, found, known }),
            _ => Ok(()),
        }
    }

    /// A byte that is 0 or 1; any other would be a second form of the same.
    pub fn flag(&mut self, what: &'static str) -> Result<bool> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Error::Invalid { what, why: "it must be 0 or 1" }),
        }
    }

    /// Two bytes, little-endian.
    #[inline]
    pub fn u16(&mut self, what: &'static str) -> Result<u16> {
        self.array(what).map(u16::from_le_bytes)
    }

    /// Four bytes, little-endian.
    #[inline]
    pub fn u32(&mut self, what: &'static str) -> Result<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    #[inline]
    pub fn u64(&mut self, what: &'static str) -> Result<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A `u32` length and that many bytes, at most `limit`.
    pub fn var(&mut self, limit: usize, what: &'static str) -> Result<&'a [u8]> {
        let len = self.count(limit, what)?;
        self.take(len, what)
    }

    /// [`Reader::var`] that must be UTF-8.
    pub fn text(&mut self, limit: usize, what: &'static str) -> Result<String> {
        match std::str::from_utf8(self.var(limit, what)?) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(Error::Invalid { what, why: "it must be UTF-8" }),
        }
    }

    /// A `u32` count of things to follow, at most `limit`.
    pub fn count(&mut self, limit: usize, what: &'static str) -> Result<usize> {
        let found = self.u32(what)?;
        match usize::try_from(found) {
            Ok(count) if count <= limit => Ok(count),
            _ => Err(Error::OverLimit { what, found: found.into(), limit: limit as u64 }),
        }
    }

    /// Reserved bytes, which must be zero so that a later version can give them a meaning.
    #[inline]
    pub fn zeros(&mut self, count: usize, what: &'static str) -> Result<()> {
        const ZEROS: [u8; 1024] = [0; 1024]; // slices are compared many bytes at a time
        match self.take(count, what)?.chunks(ZEROS.len()).all(|part| *part == ZEROS[..part.len()]) {
            true => Ok(()),
            false => Err(Error::Invalid { what, why: "reserved bytes must be zero" }),
        }
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// Bytes not read yet.
    pub fn left(&self) -> usize {
        self.left.len()
    }

    /// Ends the structure; bytes that are left over are an error.
    #[inline]
    pub fn finish(self) -> Result<()> {
        match self.left.len() {
            0 => Ok(()),
            count => Err(Error::Trailing { what: self.what, count }),
        }
    }
}

/// Builds one structure.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty structure.
    pub fn new() -> Self {
        Writer::default()
    }

    /// An empty structure with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Writer { bytes: Vec::with_capacity(bytes) }
    }

    /// Bytes as they are.
    pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.put(&[value])
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.put(&value.to_le_bytes())
    }

    /// A `u32` length, then the bytes. Lengths come from [`crate::limits`], all far below 4 GiB.
    pub fn var(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len()).put(bytes)
    }

    /// A `u32` count of things to follow.
    pub fn count(&mut self, count: usize) -> &mut Self {
        debug_assert!(u32::try_from(count).is_ok(), "every count has a limit below 2^32");
        self.u32(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Reserved bytes.
    pub fn zeros(&mut self, count: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len() + count, 0);
        self
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The finished bytes.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_little_endian_and_of_fixed_width() {
        let mut out = Writer::new();
        out.u8(1).u16(2).u32(3).u64(4).var(b"ab").zeros(2);
        let bytes = out.finish();
        assert_eq!(hex::encode(&bytes), "0102000300000004000000000000000200000061620000");
        let mut reader = Reader::new(&bytes, "test");
        assert_eq!((reader.u8("a"), reader.u16("b"), reader.u32("c"), reader.u64("d")), (Ok(1), Ok(2), Ok(3), Ok(4)));
        assert_eq!(reader.var(2, "e"), Ok(&b"ab"[..]));
        assert_eq!((reader.zeros(2, "f"), reader.finish()), (Ok(()), Ok(())));
    }

    #[test]
    fn an_error_names_the_field_and_what_it_found() {
        let text = |result: Result<()>| result.unwrap_err().to_string();
        let mut reader = Reader::new(&[9, 0, 0, 0, 1], "test");
        assert_eq!(text(reader.clone().var(8, "name").map(drop)), "name of 9 is over its limit of 8");
        assert_eq!(text(reader.clone().var(9, "name").map(drop)), "name is truncated: 9 bytes needed, 1 left");
        assert_eq!(text(reader.clone().zeros(1, "pad")), "pad is not valid: reserved bytes must be zero");
        assert_eq!(reader.u32("count"), Ok(9));
        assert_eq!(text(reader.finish()), "1 bytes follow the end of test");
    }

    #[test]
    fn a_field_that_did_not_fit_leaves_the_reader_where_it_was() {
        let mut reader = Reader::new(&[1, 2, 3], "test");
        assert!(reader.u32("four").is_err());
        assert_eq!(reader.left(), 3);
        assert!(reader.take(usize::MAX, "all").is_err());
        assert_eq!(reader.rest(), [1, 2, 3]);
    }
}
