//! Footer: what a closed segment holds, repeated on every shard behind the last stripe. Any one good copy is enough.
//!
//! ```text
//! stripe rows | record frames | zeros to a block | locator (the last block of the file)
//! ```
//!
//! Invariants
//! - The record rows are the frames of the segment, in order; where each lies follows from the lengths before it.
//! - The locator is the last block of the file and says where the footer begins, so opening a closed segment reads one
//!   block of one shard. After a recovery there may be torn bytes between the last stripe and the footer.
//! - A footer lists only stripes that are committed, or that recovery found k good units of.
//!
//! While a segment is open its table grows in memory; [`SEGMENT_RECORDS_MAX`] and the smallest stripe bound it.

use crate::layout::{BLOCK_BYTES, align_up};
use crate::record::{FRAME_LEN, FRAME_LEN_U32, Frame};
use crate::segment::Identity;
use crate::stripe::{self, CHAIN_START, STRIPE_PAYLOAD_BYTES_MAX, expect};
use crate::tier::Walked;
use crate::{AlignedBuf, Code, Location};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{Digest, Error, HospitalId, Result, SegmentId, Suite};

/// First bytes of every locator.
pub const MAGIC: [u8; 4] = *b"shsf";
/// Version of footer and locator.
pub const VERSION: u8 = 1;
/// Length of one stripe row.
pub const STRIPE_ROW_LEN: usize = 40;
/// Records after which a segment is closed, so that its table stays below 6 MiB.
pub const SEGMENT_RECORDS_MAX: u32 = 128 * 1024;
/// Stripes a table may list: many more than a segment of the default size has.
const SEGMENT_STRIPES_MAX: usize = 1 << 24;
/// Records a table may list: a last stripe of empty records may go far beyond [`SEGMENT_RECORDS_MAX`].
const TABLE_RECORDS_MAX: usize = SEGMENT_RECORDS_MAX as usize + STRIPE_PAYLOAD_BYTES_MAX / FRAME_LEN;
/// Where the locator's digest begins.
const LOCATOR_DIGEST_AT: usize = BLOCK_BYTES - 32;

/// Who closed a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ClosedBy {
    /// its writer
    Writer = 1,
    /// recovery, after its writer was gone
    Recovery = 2,
}

/// One stripe, as the table lists it; its offset follows from the stripes before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StripeRow {
    /// bytes of payload
    pub payload_len: u32,
    /// records in it; none where it was lost before they could be listed
    pub records: u32,
    /// its digest, a link of the chain
    pub digest: Digest,
}

/// The stripes and records of one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    code: Code,
    stripes: Vec<StripeRow>,
    /// encoded frames, exactly as the footer holds them
    frames: Vec<u8>,
    payload_bytes: u64,
    end: u64,
}

impl Table {
    /// The table of a segment without stripes.
    pub fn new(code: Code) -> Self {
        Table { code, stripes: Vec::new(), frames: Vec::new(), payload_bytes: 0, end: 0 }
    }

    /// Adds the next stripe.
    pub fn push(&mut self, row: StripeRow, frames: &[u8]) {
        debug_assert_eq!(frames.len(), row.records as usize * FRAME_LEN, "a row counts its frames");
        self.stripes.push(row);
        self.frames.extend_from_slice(frames);
        self.payload_bytes += u64::from(row.payload_len);
        self.end += stripe::slot_len(row.payload_len, self.code);
    }

    /// Stripes.
    pub fn stripes(&self) -> &[StripeRow] {
        &self.stripes
    }

    /// Stripes, each with where it begins in every shard.
    pub fn stripes_at(&self) -> impl Iterator<Item = (u64, &StripeRow)> {
        let mut end = 0;
        self.stripes.iter().map(move |row| {
            let at = end;
            end += stripe::slot_len(row.payload_len, self.code);
            (at, row)
        })
    }

    /// The frames of all records, encoded, in order.
    pub fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// Number of stripes.
    pub fn stripe_count(&self) -> u32 {
        u32::try_from(self.stripes.len()).unwrap_or(u32::MAX)
    }

    /// Number of records.
    pub fn record_count(&self) -> u32 {
        u32::try_from(self.frames.len() / FRAME_LEN).unwrap_or(u32::MAX)
    }

    /// Payload of all stripes, in bytes.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Where the next stripe would begin in every shard.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Digest of the last stripe.
    pub fn chain(&self) -> Digest {
        self.stripes.last().map_or(CHAIN_START, |row| row.digest)
    }

    /// The records of the stripes at `from_stripe_at` and after it, in order.
    pub fn walk(&self, segment: SegmentId, from_stripe_at: u64) -> impl Iterator<Item = Result<Walked>> + '_ {
        let mut frames = self.frames.chunks_exact(FRAME_LEN);
        let mut stripe_at = 0;
        self.stripes.iter().flat_map(move |row| {
            let here = stripe_at;
            stripe_at += stripe::slot_len(row.payload_len, self.code);
            let skipped = here < from_stripe_at;
            let mut at = 0;
            let frames: Vec<&[u8]> = frames.by_ref().take(row.records as usize).collect();
            frames.into_iter().filter(move |_| !skipped).map(move |bytes| {
                let Frame { kind, len, address } = Frame::decode(bytes)?;
                let location = Location { segment, stripe_at: here, payload_len: row.payload_len, at, len };
                at += FRAME_LEN_U32 + len;
                Ok(Walked { kind, address, location })
            })
        })
    }

    /// The table as it lies on media.
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(self.encoded_len());
        for row in &self.stripes {
            out.u32(row.payload_len).u32(row.records).put(&row.digest.0);
        }
        out.put(&self.frames);
        out.finish()
    }

    fn encoded_len(&self) -> usize {
        self.stripes.len() * STRIPE_ROW_LEN + self.frames.len()
    }

    /// Parses and verifies the table that `locator` describes.
    pub fn decode(bytes: &[u8], locator: &Locator) -> Result<Self> {
        expect("table digest", &locator.suite.digest(&[bytes]), &locator.table_digest.0)?;
        let mut reader = Reader::new(bytes, "table");
        let rows: Vec<StripeRow> = (0..locator.stripes).map(|_| read_row(&mut reader)).collect::<Result<_>>()?;
        let mut table = Table::new(locator.code);
        for row in rows {
            let frames = reader.take(row.records as usize * FRAME_LEN, "frames of a stripe")?;
            fits(&row, frames)?;
            table.push(row, frames);
        }
        reader.finish()?;
        match locator.describes(&table) {
            true => Ok(table),
            false => Err(Error::Invalid { what: "locator", why: "its counts must be those of the table" }),
        }
    }
}

fn read_row(reader: &mut Reader<'_>) -> Result<StripeRow> {
    let payload_len = reader.count(STRIPE_PAYLOAD_BYTES_MAX, "payload length")?;
    Ok(StripeRow {
        payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
        records: reader.u32("records")?,
        digest: Digest::read(reader)?,
    })
}

/// Refuses frames that do not fill the payload exactly. A stripe that was lost when its segment was decided without the
/// volumes it was on has a row without records.
fn fits(row: &StripeRow, frames: &[u8]) -> Result<()> {
    if row.records == 0 {
        return Ok(());
    }
    let mut filled = 0;
    for frame in frames.chunks_exact(FRAME_LEN) {
        filled += Frame::decode(frame)?.framed_len();
    }
    match filled == u64::from(row.payload_len) {
        true => Ok(()),
        false => Err(Error::Invalid { what: "frames of a stripe", why: "they must fill its payload" }),
    }
}

/// The last block of a closed shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locator {
    /// algorithm of its digests
    pub suite: Suite,
    /// code of the segment
    pub code: Code,
    /// which shard this is
    pub shard: u8,
    /// who closed the segment
    pub closed_by: ClosedBy,
    /// segment
    pub segment: SegmentId,
    /// whose records it holds
    pub hospital: HospitalId,
    /// the clock when it was closed, in milliseconds since 1970
    pub closed_ms: u64,
    /// where the footer begins in every shard
    pub footer_at: u64,
    /// length of the table, without its padding
    pub table_len: u64,
    /// stripes
    pub stripes: u32,
    /// records
    pub records: u32,
    /// payload of all stripes, in bytes
    pub payload_bytes: u64,
    /// where the last stripe ends in every shard
    pub end: u64,
    /// digest of the last stripe
    pub chain: Digest,
    /// digest of the table
    pub table_digest: Digest,
}

impl Locator {
    /// Where the file ends.
    pub fn file_len(&self) -> u64 {
        self.footer_at + align_up(self.table_len) + BLOCK_BYTES as u64
    }

    /// The block.
    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        let (k, m) = self.code.bytes();
        let mut out = Writer::with_capacity(BLOCK_BYTES);
        out.put(&MAGIC).u8(VERSION).u8(self.suite.code()).u8(k).u8(m);
        out.u8(self.shard).u8(self.closed_by as u8).zeros(6);
        out.put(&self.segment.0).put(&self.hospital.0).u64(self.closed_ms).u64(self.footer_at).u64(self.table_len);
        out.u32(self.stripes).u32(self.records).u64(self.payload_bytes).u64(self.end);
        out.put(&self.chain.0).put(&self.table_digest.0);
        out.zeros(LOCATOR_DIGEST_AT - out.len());
        let mut block = [0; BLOCK_BYTES];
        block[..LOCATOR_DIGEST_AT].copy_from_slice(&out.finish());
        let digest = self.suite.digest(&[&block[..LOCATOR_DIGEST_AT]]);
        block[LOCATOR_DIGEST_AT..].copy_from_slice(&digest.0);
        block
    }

    /// Parses and verifies a locator that is all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "locator");
        if reader.array::<4>("locator magic")? != MAGIC {
            return Err(Error::Magic { what: "locator" });
        }
        match reader.u8("locator version")? {
            VERSION => {}
            found => return Err(Error::Version { what: "locator", found, known: VERSION }),
        }
        let suite = Suite::try_from(reader.u8("suite")?)?;
        let (block, digest) = bytes.split_at_checked(LOCATOR_DIGEST_AT).unwrap_or((bytes, &[]));
        expect("locator digest", &suite.digest(&[block]), digest)?;
        let locator = read_locator(&mut reader, suite)?;
        reader.zeros(LOCATOR_DIGEST_AT - LOCATOR_FIELDS_LEN, "locator reserved")?;
        reader.take(32, "locator digest")?;
        reader.finish()?;
        locator.verify()
    }

    /// Whether both are the end of the same segment, on whatever shards.
    pub fn closes_like(&self, other: &Locator) -> bool {
        *self == Locator { shard: self.shard, ..*other }
    }

    /// The segment it is the end of.
    pub fn identity(&self) -> Identity {
        Identity { id: self.segment, hospital: self.hospital, suite: self.suite, code: self.code }
    }

    fn verify(self) -> Result<Self> {
        let blocks = self.footer_at.is_multiple_of(BLOCK_BYTES as u64) && self.footer_at >= self.end;
        let rows = u64::from(self.stripes) * STRIPE_ROW_LEN as u64 + u64::from(self.records) * FRAME_LEN as u64;
        match (blocks, rows == self.table_len, usize::from(self.shard) < self.code.shards()) {
            (true, true, true) => Ok(self),
            (false, ..) => Err(Error::Invalid { what: "footer offset", why: "it must be a block behind the stripes" }),
            (_, false, _) => Err(Error::Invalid { what: "table length", why: "it must be that of its rows" }),
            _ => Err(Error::Invalid { what: "shard", why: "it must be below k + m" }),
        }
    }

    fn describes(&self, table: &Table) -> bool {
        let counts = (self.stripes, self.records, self.payload_bytes, self.end, self.chain);
        counts == (table.stripe_count(), table.record_count(), table.payload_bytes(), table.end(), table.chain())
    }
}

/// Bytes of the locator's fields.
const LOCATOR_FIELDS_LEN: usize = 160;

fn read_locator(reader: &mut Reader<'_>, suite: Suite) -> Result<Locator> {
    let (k, m) = (reader.u8("data shards")?, reader.u8("parity shards")?);
    let code =
        Code::new(k, m).map_err(|_| Error::Invalid { what: "code", why: "it is not one of the allowed ones" })?;
    let shard = reader.u8("shard")?;
    let closed_by = match reader.u8("closed by")? {
        1 => ClosedBy::Writer,
        2 => ClosedBy::Recovery,
        _ => return Err(Error::Invalid { what: "closed by", why: "no such code" }),
    };
    reader.zeros(6, "locator reserved")?;
    Ok(Locator {
        suite,
        code,
        shard,
        closed_by,
        segment: SegmentId::read(reader)?,
        hospital: HospitalId::read(reader)?,
        closed_ms: reader.u64("closed time")?,
        footer_at: reader.u64("footer offset")?,
        table_len: reader.u64("table length")?,
        stripes: u32::try_from(reader.count(SEGMENT_STRIPES_MAX, "stripes")?).unwrap_or(u32::MAX),
        records: u32::try_from(reader.count(TABLE_RECORDS_MAX, "records")?).unwrap_or(u32::MAX),
        payload_bytes: reader.u64("payload bytes")?,
        end: reader.u64("end of stripes")?,
        chain: Digest::read(reader)?,
        table_digest: Digest::read(reader)?,
    })
}

/// Which segment a footer closes, and how.
#[derive(Debug, Clone, Copy)]
pub struct Closing {
    /// segment
    pub identity: Identity,
    /// who closes it
    pub by: ClosedBy,
    /// the clock, in milliseconds since 1970
    pub at_ms: u64,
    /// where the footer begins: a block, not before the end of the last stripe
    pub footer_at: u64,
}

/// A footer in memory, the same for every shard but for the shard in its locator.
pub struct Footer {
    bytes: AlignedBuf,
    locator: Locator,
}

impl Footer {
    /// The footer of `table`.
    pub fn new(table: &Table, closing: Closing) -> Self {
        let rows = table.encode();
        let Identity { id, hospital, suite, code } = closing.identity;
        let locator = Locator {
            suite,
            code,
            shard: 0,
            closed_by: closing.by,
            segment: id,
            hospital,
            closed_ms: closing.at_ms,
            footer_at: closing.footer_at,
            table_len: rows.len() as u64,
            stripes: table.stripe_count(),
            records: table.record_count(),
            payload_bytes: table.payload_bytes(),
            end: table.end(),
            chain: table.chain(),
            table_digest: suite.digest(&[&rows]),
        };
        let mut bytes = AlignedBuf::with_capacity(rows.len() + 2 * BLOCK_BYTES);
        bytes.extend_from_slice(&rows);
        bytes.pad_to_block();
        Footer { bytes, locator }
    }

    /// The bytes for `shard`.
    pub fn for_shard(&self, shard: u8) -> AlignedBuf {
        let mut bytes = AlignedBuf::with_capacity(self.bytes.len() + BLOCK_BYTES);
        bytes.extend_from_slice(&self.bytes);
        bytes.extend_from_slice(&Locator { shard, ..self.locator }.encode());
        bytes
    }

    /// Where it begins in every shard.
    pub fn at(&self) -> u64 {
        self.locator.footer_at
    }

    /// Where every shard file ends.
    pub fn file_len(&self) -> u64 {
        self.locator.file_len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shosoin_protocol::{Address, RecordKind};

    fn frame(len: u32) -> Vec<u8> {
        Frame { kind: RecordKind::Chunk, len, address: Address([0xaa; 32]) }.encode().to_vec()
    }

    /// A table whose stripes hold records of these lengths.
    fn table(code: Code, stripes: &[Vec<u32>]) -> Table {
        let mut table = Table::new(code);
        for (no, lens) in (1..).zip(stripes) {
            let frames: Vec<u8> = lens.iter().flat_map(|len| frame(*len)).collect();
            let payload_len = lens.iter().map(|len| FRAME_LEN_U32 + len).sum();
            let records = u32::try_from(lens.len()).unwrap();
            table.push(StripeRow { payload_len, records, digest: Digest([no; 32]) }, &frames);
        }
        table
    }

    fn closing(suite: Suite, code: Code, footer_at: u64) -> Closing {
        let identity = Identity { id: SegmentId([0x11; 16]), hospital: HospitalId([0x22; 16]), suite, code };
        Closing { identity, by: ClosedBy::Recovery, at_ms: 0x0123_4567_89ab, footer_at }
    }

    fn split_footer(bytes: &[u8]) -> (&[u8], Locator) {
        let (rows, block) = bytes.split_at(bytes.len() - BLOCK_BYTES);
        let locator = Locator::decode(block).unwrap();
        (&rows[..usize::try_from(locator.table_len).unwrap()], locator)
    }

    #[test]
    fn a_footer_has_these_bytes() {
        let code = Code::parse("1+1").unwrap();
        let table = table(code, &[vec![5, 0], vec![9000]]);
        let bytes = Footer::new(&table, closing(Suite::Cryptrec, code, 0x6000)).for_shard(1);
        let frame = |len: &str| format!("01000000 {len} {}", "aa".repeat(32));
        let rows = [
            "55000000 02000000".to_owned() + &"01".repeat(32),
            "50230000 01000000".to_owned() + &"02".repeat(32),
            frame("05000000") + &frame("00000000") + &frame("28230000"),
        ];
        let rows = rows.concat().replace(' ', "");
        let locator = [
            "73687366 01 02 01 01 01 02 000000000000".to_owned() + &"11".repeat(16) + &"22".repeat(16),
            "ab89674523010000 0060000000000000 c800000000000000 02000000 03000000".into(),
            "a523000000000000 0040000000000000".to_owned() + &"02".repeat(32),
            GOLDEN_TABLE_DIGEST.to_owned() + &"00".repeat(3904) + GOLDEN_LOCATOR_DIGEST,
        ];
        let golden = rows.clone() + &"00".repeat(BLOCK_BYTES - rows.len() / 2) + &locator.concat().replace(' ', "");
        assert_eq!(hex::encode(&*bytes), golden);
        let (rows, locator) = split_footer(&bytes);
        assert_eq!(Table::decode(rows, &locator).unwrap(), table);
        assert_eq!(locator.file_len(), 0x6000 + bytes.len() as u64);
    }

    const GOLDEN_TABLE_DIGEST: &str = "55862670a206dc83083bdc3e6c46fec834e9c35d6fe18d8d3681a5bbea87bc6f";
    const GOLDEN_LOCATOR_DIGEST: &str = "24cd67f6e67aede5c74086996d304896e72c564142ca851a590fdb01f7b347d6";

    #[test]
    fn a_locator_with_any_one_byte_changed_is_refused() {
        let code = Code::parse("4+2").unwrap();
        let bytes = Footer::new(&table(code, &[vec![5]]), closing(Suite::Default, code, 0x6000)).for_shard(0);
        let good = &bytes[bytes.len() - BLOCK_BYTES..];
        for at in 0..BLOCK_BYTES {
            let mut bad = good.to_vec();
            bad[at] ^= 0x10;
            assert!(Locator::decode(&bad).is_err(), "byte {at}");
        }
        assert!(Locator::decode(&good[1..]).is_err() && Locator::decode(&[good, &[0]].concat()).is_err());
    }

    #[test]
    fn a_table_that_is_whole_and_wrong_is_refused() {
        let code = Code::parse("4+2").unwrap();
        let good = table(code, &[vec![5, 6], vec![7]]);
        let decode = |rows: &[u8], change: &dyn Fn(&mut Locator)| {
            let (_, mut locator) =
                split_footer(&Footer::new(&good, closing(Suite::Default, code, 0x6000)).for_shard(0));
            change(&mut locator);
            locator.table_digest = locator.suite.digest(&[rows]);
            Table::decode(rows, &locator)
        };
        let rows = good.encode();
        assert_eq!(decode(&rows, &|_| {}).unwrap(), good);
        let with = |at: usize, byte: u8| {
            let mut rows = rows.clone();
            rows[at] = byte;
            decode(&rows, &|_| {})
        };
        assert!(with(0, 1).is_err(), "frames that do not fill the payload");
        assert!(with(4, 3).is_err(), "frames of another stripe");
        assert!(with(80, 9).is_err(), "unknown kind");
        assert!(with(84, 6).is_err(), "length that does not fit");
        assert!(decode(&rows[..rows.len() - 1], &|_| {}).is_err(), "truncated");
        assert!(decode(&[rows.as_slice(), &[0]].concat(), &|_| {}).is_err(), "trailing");
        assert!(decode(&rows, &|locator| locator.end += 4096).is_err(), "another end");
        assert!(decode(&rows, &|locator| locator.payload_bytes += 1).is_err(), "another payload");
        assert!(decode(&rows, &|locator| locator.chain = CHAIN_START).is_err(), "another chain");
        let (_, locator) = split_footer(&Footer::new(&good, closing(Suite::Default, code, 0x6000)).for_shard(0));
        let mut flipped = rows.clone();
        flipped[100] ^= 1;
        assert!(matches!(Table::decode(&flipped, &locator), Err(Error::Mismatch { what: "table digest", .. })));
    }

    proptest! {
        #[test]
        fn any_table_reads_back_and_walks_in_order(
            stripes in prop::collection::vec(prop::collection::vec(0u32..3000, 1..6), 0..20),
            code in prop::sample::select(Code::ALLOWED.to_vec()),
            suite in prop::sample::select(Suite::ALL.to_vec()),
            from in 0usize..20,
        ) {
            let table = table(code, &stripes);
            let footer_at = align_up(table.end() + 1);
            let bytes = Footer::new(&table, closing(suite, code, footer_at)).for_shard(1);
            let (rows, locator) = split_footer(&bytes);
            prop_assert_eq!(&Table::decode(rows, &locator).unwrap(), &table);
            prop_assert_eq!(locator.file_len(), footer_at + bytes.len() as u64);

            let mut expected = Vec::new();
            let (mut stripe_at, mut from_stripe_at) = (0, 0);
            for (no, lens) in stripes.iter().enumerate() {
                let payload_len = lens.iter().map(|len| FRAME_LEN_U32 + len).sum();
                if no < from {
                    from_stripe_at = stripe_at + stripe::slot_len(payload_len, code);
                } else {
                    let mut at = 0;
                    for len in lens {
                        expected.push(Location { segment: SegmentId([1; 16]), stripe_at, payload_len, at, len: *len });
                        at += FRAME_LEN_U32 + len;
                    }
                }
                stripe_at += stripe::slot_len(payload_len, code);
            }
            let walked = table.walk(SegmentId([1; 16]), from_stripe_at).map(|walked| walked.unwrap().location);
            prop_assert_eq!(walked.collect::<Vec<_>>(), expected);
        }
    }
}
