//! Which addresses the entries of a ledger name: a filter that may take a few others for named, and never one that is named
//! for not.
//!
//! A vault names more addresses than memory holds. Addresses are digests, so four words of each serve as four independent
//! hashes of a Bloom filter (Bloom 1970); what is taken for named by mistake stays a little longer, and nothing else.

use crate::desk::Desk;
use crate::disposal::ended::Ended;
use crate::error::{Error, Result};
use crate::ledger::Head;
use shosoin_protocol::act::Document;
use shosoin_protocol::entry::Body;
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::{Address, Digest};

/// Bits for each address: one in a hundred others is taken for named.
const BITS_PER_ADDRESS: u64 = 10;
const BITS_MIN: u64 = 1 << 16;
/// At most 256 MiB, enough for 200 million records at that rate.
const BITS_MAX: u64 = 1 << 31;
const WORD_BITS: u64 = 64;

/// What the first entries of a ledger name.
pub struct Named {
    bits: Vec<u64>,
    /// entries that name nothing any more
    ended: Ended,
    frontier: Frontier,
}

impl Named {
    /// Nothing yet, with room for about this many addresses.
    pub fn with_room(addresses: u64) -> Self {
        let bits = addresses.saturating_mul(BITS_PER_ADDRESS).clamp(BITS_MIN, BITS_MAX).next_power_of_two();
        let words = usize::try_from(bits / WORD_BITS).unwrap_or(usize::MAX);
        Named { bits: vec![0; words], ended: Ended::default(), frontier: Frontier::default() }
    }

    /// The same, without what entries named whose records have ended.
    #[must_use]
    pub fn without(self, ended: Ended) -> Self {
        Named { ended, ..self }
    }

    /// The bits that stand for an address: word, and bit in it.
    fn places(&self, address: &Address) -> [(usize, u64); 4] {
        let mask = self.bits.len() as u64 * WORD_BITS - 1;
        let (words, _) = address.0.as_chunks::<8>();
        std::array::from_fn(|no| {
            let bit = u64::from_le_bytes(words[no]) & mask;
            (usize::try_from(bit / WORD_BITS).unwrap_or(usize::MAX), 1 << (bit % WORD_BITS))
        })
    }

    fn insert(&mut self, address: &Address) {
        for (word, bit) in self.places(address) {
            self.bits[word] |= bit;
        }
    }

    /// Whether an entry names it. Seldom true of one that none names, never false of one that is.
    pub fn contains(&self, address: &Address) -> bool {
        self.places(address).into_iter().all(|(word, bit)| self.bits[word] & bit != 0)
    }

    /// Entries behind it.
    pub fn leaves(&self) -> u64 {
        self.frontier.size()
    }

    /// Reads the next entry and what it names; gives the bytes read.
    pub fn read_next(&mut self, desk: &Desk) -> Result<u64> {
        let placed = desk.ledger().entry(self.leaves())?;
        let mut read_bytes = placed.entry.bytes().len() as u64;
        let body = placed.entry.body();
        if self.ended.is(placed.index) && body.name_change().is_some() {
            self.frontier.push(placed.entry.leaf_hash(), |_, _: Digest| {});
            return Ok(read_bytes);
        }
        body.attachment().iter().for_each(|attachment| self.insert(attachment));
        if let Body::Act(act) = body {
            let bytes = desk.record(&act.document)?;
            let document = Document::decode(act.kind, &bytes);
            let document = document.map_err(|source| Error::Malformed { what: "document", source })?;
            self.ended.names(&document).iter().for_each(|address| self.insert(address));
            read_bytes += bytes.len() as u64;
        }
        if let Body::Deposit(deposit) = body {
            let bytes = desk.record(&deposit.address_list)?;
            let list = AddressList::decode(&bytes);
            let list = list.map_err(|source| Error::Malformed { what: "address list", source })?;
            deposit.own_records().iter().for_each(|address| self.insert(address));
            list.addresses().iter().for_each(|address| self.insert(address));
            read_bytes += bytes.len() as u64;
        }
        self.frontier.push(placed.entry.leaf_hash(), |_, _: Digest| {});
        Ok(read_bytes)
    }

    /// Whether these are all entries under `head`, and lead to its root.
    pub fn is_whole(&self, head: &Head) -> bool {
        self.leaves() == head.size && self.frontier.root() == head.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::suite::sha256;

    #[test]
    fn every_address_that_is_named_is_known_and_few_others_are() {
        let address = |number: u64| Address(sha256(&[&number.to_le_bytes()]).0);
        let mut named = Named::with_room(20_000);
        (0..20_000).for_each(|number| named.insert(&address(number)));
        assert!((0..20_000).all(|number| named.contains(&address(number))));
        let mistaken = (20_000..40_000).filter(|number| named.contains(&address(*number))).count();
        assert!(mistaken < 400, "{mistaken} of 20000");
    }
}
