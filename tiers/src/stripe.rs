//! Stripe: the unit of group commit. Its payload is cut into k equal data units, m parity units are computed, and each
//! unit lies in its shard file behind a header of its own, at the same offset in every shard.
//!
//! Invariants
//! - Header and unit together are whole blocks, so no later write touches a synced one. The padding belongs to the last
//!   data units: it is zero, and it is encoded and digested like everything else.
//! - A header says everything about its stripe but which shard it is on, so one good header is enough to verify
//!   every unit, and any lost header can be written again from a good one.
//! - Stripes form a chain: each names the digest of the one before. Nothing is ever found by scanning for magic bytes.
//! - A stripe is submitted only after the one before it is durable, so every stripe but the last is committed.

use crate::layout::{BLOCK_BYTES, align_up};
use crate::{Code, Identity};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::limits::{RECORD_BYTES_MAX, SHARDS_MAX};
use shosoin_protocol::{Digest, Error, HospitalId, Result, SegmentId, Suite};

/// First bytes of every unit header.
pub const MAGIC: [u8; 4] = *b"shsu";
/// Version of the unit header.
pub const VERSION: u8 = 1;
/// Length of a unit header.
pub const HEADER_LEN: usize = 1024;
/// Largest payload of one stripe.
pub const STRIPE_PAYLOAD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Digest that the first stripe of a segment names as the one before it.
pub const CHAIN_START: Digest = Digest([0; 32]);

/// Where the digests of the units begin; there is room for the widest code.
const UNIT_DIGESTS_AT: usize = 112;
/// Where the stripe's own digest begins: everything before it is the same on every shard.
const STRIPE_DIGEST_AT: usize = 928;
/// Where the header's digest begins.
const HEADER_DIGEST_AT: usize = HEADER_LEN - 32;
const UNIT_DIGESTS: usize = SHARDS_MAX as usize;

const _: () = {
    assert!(RECORD_BYTES_MAX + crate::record::FRAME_LEN <= STRIPE_PAYLOAD_BYTES_MAX);
    assert!(STRIPE_PAYLOAD_BYTES_MAX < u32::MAX as usize);
    assert!(HEADER_LEN < BLOCK_BYTES);
};

/// Bytes of one unit of a stripe with `payload_len` bytes of payload: header and unit fill whole blocks.
pub const fn unit_len(payload_len: u32, code: Code) -> u64 {
    slot_len(payload_len, code) - HEADER_LEN as u64
}

/// Bytes that a stripe with `payload_len` bytes of payload takes in each shard file, header included.
pub const fn slot_len(payload_len: u32, code: Code) -> u64 {
    align_up(HEADER_LEN as u64 + (payload_len as u64).div_ceil(code.k() as u64))
}

/// What all units of one stripe say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeHeader {
    /// algorithm of every digest in it
    pub suite: Suite,
    /// data and parity units
    pub code: Code,
    /// segment it belongs to
    pub segment: SegmentId,
    /// whose records it holds
    pub hospital: HospitalId,
    /// how many stripes of the segment are before it
    pub stripe_no: u64,
    /// its offset in every shard file
    pub at: u64,
    /// bytes of payload: frames and records
    pub payload_len: u32,
    /// records in the payload
    pub records: u32,
    /// the writer's clock, in milliseconds since 1970
    pub written_ms: u64,
    /// digest of the stripe before it, [`CHAIN_START`] for the first
    pub previous: Digest,
    /// digest of every unit, k + m of them
    pub units: Vec<Digest>,
}

/// A unit header that has been read and believed: its digests hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitHeader {
    /// what it says about the stripe
    pub stripe: StripeHeader,
    /// which unit follows it
    pub shard: u8,
    /// digest of the stripe, the next link of the chain
    pub digest: Digest,
}

impl StripeHeader {
    /// The segment it says it belongs to.
    pub fn identity(&self) -> Identity {
        Identity { id: self.segment, hospital: self.hospital, suite: self.suite, code: self.code }
    }

    /// Bytes of each unit.
    pub fn unit_len(&self) -> u64 {
        unit_len(self.payload_len, self.code)
    }

    /// Where the next stripe begins.
    pub fn end(&self) -> u64 {
        self.at + slot_len(self.payload_len, self.code)
    }

    /// The part that is the same on every shard, and its digest: what [`StripeHeader::write_unit_header`] is made from.
    pub fn encode(&self) -> (Vec<u8>, Digest) {
        debug_assert_eq!(self.units.len(), self.code.shards(), "a stripe has k + m units");
        let (k, m) = self.code.bytes();
        let mut out = Writer::with_capacity(HEADER_LEN);
        out.put(&MAGIC).u8(VERSION).u8(self.suite.code()).u8(k).u8(m);
        out.u32(u32::try_from(self.unit_len()).unwrap_or(u32::MAX)).zeros(4);
        out.put(&self.segment.0).put(&self.hospital.0).u64(self.stripe_no).u64(self.at);
        out.u32(self.payload_len).u32(self.records).u64(self.written_ms).put(&self.previous.0);
        self.units.iter().for_each(|digest| {
            out.put(&digest.0);
        });
        out.zeros(STRIPE_DIGEST_AT - out.len());
        let common = out.finish();
        let digest = self.suite.digest(&[&common]);
        (common, digest)
    }

    /// Writes the header of unit `shard` into `slot`, from what [`StripeHeader::encode`] gave.
    pub fn write_unit_header(&self, common: &[u8], digest: Digest, shard: u8, slot: &mut [u8]) {
        let header = &mut slot[..HEADER_LEN];
        header[..STRIPE_DIGEST_AT].copy_from_slice(common);
        header[STRIPE_DIGEST_AT..][..32].copy_from_slice(&digest.0);
        header[STRIPE_DIGEST_AT + 32..].fill(0);
        header[STRIPE_DIGEST_AT + 32] = shard;
        let digest = self.suite.digest(&[&header[..HEADER_DIGEST_AT]]);
        header[HEADER_DIGEST_AT..].copy_from_slice(&digest.0);
    }
}

impl UnitHeader {
    /// Parses and verifies the header at the start of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "unit header");
        let bytes = reader.take(HEADER_LEN, "unit header")?;
        let mut reader = Reader::new(bytes, "unit header");
        if reader.array::<4>("unit header magic")? != MAGIC {
            return Err(Error::Magic { what: "unit header" });
        }
        match reader.u8("unit header version")? {
            VERSION => {}
            found => return Err(Error::Version { what: "unit header", found, known: VERSION }),
        }
        let suite = Suite::try_from(reader.u8("suite")?)?;
        let found = suite.digest(&[&bytes[..HEADER_DIGEST_AT]]);
        expect("unit header digest", &found, &bytes[HEADER_DIGEST_AT..])?;
        let stripe = read_stripe(&mut reader, suite)?;
        let digest = suite.digest(&[&bytes[..STRIPE_DIGEST_AT]]);
        expect("stripe digest", &digest, reader.take(32, "stripe digest")?)?;
        let shard = reader.u8("shard")?;
        reader.zeros(HEADER_DIGEST_AT - STRIPE_DIGEST_AT - 33, "unit header reserved")?;
        match usize::from(shard) < stripe.code.shards() {
            true => Ok(UnitHeader { stripe, shard, digest }),
            false => Err(Error::Invalid { what: "shard", why: "it must be below k + m" }),
        }
    }
}

/// Reads what follows the suite, up to the stripe's digest.
fn read_stripe(reader: &mut Reader<'_>, suite: Suite) -> Result<StripeHeader> {
    let (k, m) = (reader.u8("data shards")?, reader.u8("parity shards")?);
    let code =
        Code::new(k, m).map_err(|_| Error::Invalid { what: "code", why: "it is not one of the allowed ones" })?;
    let unit_len = reader.u32("unit length")?;
    reader.zeros(4, "unit header reserved")?;
    let stripe = StripeHeader {
        suite,
        code,
        segment: SegmentId::read(reader)?,
        hospital: HospitalId::read(reader)?,
        stripe_no: reader.u64("stripe number")?,
        at: reader.u64("stripe offset")?,
        payload_len: u32::try_from(reader.count(STRIPE_PAYLOAD_BYTES_MAX, "payload length")?).unwrap_or(u32::MAX),
        records: reader.u32("records")?,
        written_ms: reader.u64("written time")?,
        previous: Digest::read(reader)?,
        units: (0..code.shards()).map(|_| Digest::read(reader)).collect::<Result<_>>()?,
    };
    let unused = UNIT_DIGESTS - code.shards();
    let reserved = STRIPE_DIGEST_AT - UNIT_DIGESTS_AT - UNIT_DIGESTS * 32;
    reader.zeros(unused * 32 + reserved, "unit header reserved")?;
    match (u64::from(unit_len) == stripe.unit_len(), stripe.at.is_multiple_of(BLOCK_BYTES as u64)) {
        (true, true) => Ok(stripe),
        (false, _) => Err(Error::Invalid { what: "unit length", why: "it must follow from payload length and code" }),
        (_, false) => Err(Error::Invalid { what: "stripe offset", why: "it must be whole blocks" }),
    }
}

/// Refuses `found` unless it is what stands in `bytes`.
pub(crate) fn expect(what: &'static str, found: &Digest, bytes: &[u8]) -> Result<()> {
    match found.0 == bytes {
        true => Ok(()),
        false => Err(Error::Mismatch { what, expected: hex::encode(bytes), found: found.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(suite: Suite, code: Code) -> StripeHeader {
        StripeHeader {
            suite,
            code,
            segment: SegmentId([0x11; 16]),
            hospital: HospitalId([0x22; 16]),
            stripe_no: 3,
            at: 0x5000,
            payload_len: 10_000,
            records: 2,
            written_ms: 0x0123_4567_89ab,
            previous: Digest([0x33; 32]),
            units: (0..code.shards()).map(|no| Digest([0x40 + u8::try_from(no).unwrap(); 32])).collect(),
        }
    }

    fn bytes(stripe: &StripeHeader, shard: u8) -> Vec<u8> {
        let mut slot = vec![0xff; HEADER_LEN];
        let (common, digest) = stripe.encode();
        stripe.write_unit_header(&common, digest, shard, &mut slot);
        slot
    }

    #[test]
    fn a_unit_header_has_these_bytes() {
        for (suite, stripe_digest, header_digest) in GOLDEN_DIGESTS {
            let code = Code::parse("4+2").unwrap();
            let found = bytes(&header(suite, code), 5);
            let units: String = (0x40..0x46u8).map(|byte| hex::encode([byte; 32])).collect();
            let golden = [
                format!("73687375 01 0{} 04 02 000c0000 00000000", suite.code()),
                "11".repeat(16) + &"22".repeat(16),
                "0300000000000000 0050000000000000 10270000 02000000 ab89674523010000".into(),
                "33".repeat(32) + &units + &"00".repeat(8 * 32) + &"00".repeat(368),
                stripe_digest.into(),
                "05".to_owned() + &"00".repeat(31),
                header_digest.into(),
            ];
            assert_eq!(hex::encode(&found), golden.concat().replace(' ', ""));
            let digest = suite.digest(&[&found[..928]]);
            let expected = UnitHeader { stripe: header(suite, code), shard: 5, digest };
            assert_eq!(UnitHeader::decode(&found).unwrap(), expected);
        }
    }

    const GOLDEN_DIGESTS: [(Suite, &str, &str); 2] = [
        (
            Suite::Default,
            "c295c42f02deb8d36de59a0ee190e76384471e4215684c9290e769f31b2c7e2a",
            "b506e972c5cc769c82975c5e00bd2b4f7c3a9c9223438cdf157a4594fa69c1b0",
        ),
        (
            Suite::Cryptrec,
            "2bf29705da9a323f9a507b52e6ce826f5015b772e4a58abbbee419107a420ab3",
            "c0a1df4c17c7b13d027a4f023cb760c885beb269629cac60785c26da7e7a4703",
        ),
    ];

    #[test]
    fn a_header_with_any_one_byte_changed_is_refused() {
        for suite in Suite::ALL {
            let good = bytes(&header(suite, Code::parse("10+4").unwrap()), 13);
            for at in 0..HEADER_LEN {
                let mut bad = good.clone();
                bad[at] ^= 1;
                assert!(UnitHeader::decode(&bad).is_err(), "byte {at}");
            }
            assert!(UnitHeader::decode(&good[..HEADER_LEN - 1]).is_err());
        }
    }

    /// A header with good digests that says what `change` makes of it.
    fn forged(change: impl FnOnce(&mut [u8])) -> shosoin_protocol::Result<UnitHeader> {
        let suite = Suite::Default;
        let mut bytes = bytes(&header(suite, Code::parse("4+2").unwrap()), 0);
        change(&mut bytes);
        let digest = suite.digest(&[&bytes[..STRIPE_DIGEST_AT]]);
        bytes[STRIPE_DIGEST_AT..][..32].copy_from_slice(&digest.0);
        let digest = suite.digest(&[&bytes[..HEADER_DIGEST_AT]]);
        bytes[HEADER_DIGEST_AT..].copy_from_slice(&digest.0);
        UnitHeader::decode(&bytes)
    }

    #[test]
    fn headers_that_are_whole_and_wrong_are_refused() {
        assert!(forged(|_| {}).is_ok());
        assert!(matches!(forged(|bytes| bytes[4] = 2), Err(Error::Version { found: 2, .. })), "newer");
        assert!(matches!(forged(|bytes| bytes[0] = b'x'), Err(Error::Magic { .. })), "not a header");
        assert!(matches!(forged(|bytes| bytes[5] = 3), Err(Error::Suite { .. })), "unknown suite");
        assert!(forged(|bytes| bytes[6] = 5).is_err(), "no such code");
        assert!(forged(|bytes| bytes[8] = 1).is_err(), "unit length that does not follow");
        assert!(forged(|bytes| bytes[12] = 1).is_err(), "reserved");
        assert!(forged(|bytes| bytes[56] = 1).is_err(), "offset inside a block");
        assert!(forged(|bytes| bytes[67] = 0x10).is_err(), "payload over its limit");
        assert!(forged(|bytes| bytes[112 + 6 * 32] = 1).is_err(), "digest of a unit there is not");
        assert!(forged(|bytes| bytes[600] = 1).is_err(), "reserved");
        assert!(forged(|bytes| bytes[960] = 6).is_err(), "shard there is not");
        assert!(forged(|bytes| bytes[961] = 1).is_err(), "reserved");
    }

    proptest! {
        #[test]
        fn slots_are_whole_blocks_with_room_for_the_payload_and_not_a_block_more(
            payload_len in 0u32..=33_554_432, code in prop::sample::select(Code::ALLOWED.to_vec()),
        ) {
            let (slot, unit, k) = (slot_len(payload_len, code), unit_len(payload_len, code), code.k() as u64);
            prop_assert!(slot.is_multiple_of(4096) && slot == unit + 1024);
            prop_assert!(unit * k >= payload_len.into());
            prop_assert!(slot == 4096 || (unit - 4096) * k < payload_len.into());
        }

        #[test]
        fn any_bytes_are_a_header_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..1100)) {
            prop_assert!(UnitHeader::decode(&bytes).is_err());
        }
    }
}
