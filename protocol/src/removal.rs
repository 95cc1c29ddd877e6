//! Lists of removals: the addresses of the records that a disposal ends, in clear, as records of their own that the act by
//! which it begins names. What was to go can be told from media alone, though the records that named it are gone.

use crate::codec::{Reader, Writer};
use crate::limits::REMOVALS_MAX;
use crate::{Address, Error, Result};

/// First bytes of every list.
pub const MAGIC: [u8; 4] = *b"shrl";
/// Version of its format.
pub const VERSION: u8 = 1;

/// Addresses, ascending, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemovalList(Vec<Address>);

impl RemovalList {
    /// The lists that hold these addresses together.
    pub fn lists(mut addresses: Vec<Address>) -> Vec<RemovalList> {
        addresses.sort_unstable();
        addresses.dedup();
        addresses.chunks(REMOVALS_MAX).map(|part| RemovalList(part.to_vec())).collect()
    }

    /// In order.
    pub fn addresses(&self) -> &[Address] {
        &self.0
    }

    /// The stored bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(12 + self.0.len() * Address::LEN);
        out.put(&MAGIC).u8(VERSION).zeros(3).count(self.0.len());
        self.0.iter().for_each(|address| address.write(&mut out));
        out.finish()
    }

    /// Reads what was stored.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let what = "list of removals";
        let mut reader = Reader::new(bytes, what);
        if reader.array::<4>("list magic")? != MAGIC {
            return Err(Error::Magic { what });
        }
        match reader.u8("list version")? {
            VERSION => {}
            found => return Err(Error::Version { what, found, known: VERSION }),
        }
        reader.zeros(3, "reserved bytes of the list")?;
        let count = reader.count(REMOVALS_MAX, "removals")?;
        let mut addresses = Vec::with_capacity(count.min(reader.left() / Address::LEN));
        for _ in 0..count {
            let address = Address::read(&mut reader)?;
            if addresses.last().is_some_and(|last| *last >= address) {
                return Err(Error::Invalid { what, why: "its addresses must ascend" });
            }
            addresses.push(address);
        }
        reader.finish().map(|()| RemovalList(addresses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_and_more_than_one_holds_are_several_lists() {
        let address = |number: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            Address(bytes)
        };
        let count = u32::try_from(REMOVALS_MAX).unwrap() + 5;
        let lists = RemovalList::lists((0..count).rev().chain(0..3).map(address).collect());
        assert_eq!(lists.iter().map(|list| list.addresses().len()).collect::<Vec<_>>(), [REMOVALS_MAX, 5]);
        let bytes = lists[1].encode();
        assert_eq!(RemovalList::decode(&bytes).as_ref(), Ok(&lists[1]));
        for cut in 0..bytes.len() {
            assert!(RemovalList::decode(&bytes[..cut]).is_err(), "cut to {cut}");
        }
        let mut swapped = bytes.clone();
        swapped[12..76].rotate_left(32);
        assert!(RemovalList::decode(&swapped).is_err(), "they must ascend");
    }
}
