//! What a shard file is made of: record frames, unit headers, whole stripes with their parity, footers.

use super::vector::{Vector, describe};
use shosoin_protocol::{Address, Digest, Error, HospitalId, RecordKind, Result, SegmentId, Suite};
use shosoin_tiers::footer::{ClosedBy, Closing, Footer, Locator, StripeRow, Table};
use shosoin_tiers::layout::BLOCK_BYTES;
use shosoin_tiers::stripe::{CHAIN_START, HEADER_LEN, StripeHeader, UnitHeader};
use shosoin_tiers::{Code, Erasure, FRAME_LEN, Frame, Identity};
use std::collections::BTreeMap;

/// Every case.
pub fn cases() -> Vec<Vector> {
    let cases = [("record", records()), ("unit", units()), ("stripe", stripes()), ("footer", footers())];
    let vector = |structure: &str, (name, why, body): Case| Vector {
        name: format!("{structure}/{name}"),
        notes: vec![why.to_owned()],
        structure: structure.into(),
        expect: run(structure, &body).unwrap().map_or_else(|error| describe(&error), |_| "ok".into()),
        fields: BTreeMap::new(),
        body,
    };
    cases
        .into_iter()
        .flat_map(|(structure, cases)| cases.into_iter().map(move |case| vector(structure, case)))
        .collect()
}

type Case = (&'static str, &'static str, Vec<u8>);

/// Decodes, checks and encodes again.
pub fn run(structure: &str, body: &[u8]) -> Option<Result<Vec<u8>>> {
    Some(match structure {
        "record" => Frame::decode(body).map(|frame| frame.encode().to_vec()),
        "unit" => unit(body),
        "stripe" => stripe(body),
        "footer" => footer(body),
        _ => return None,
    })
}

fn unit(body: &[u8]) -> Result<Vec<u8>> {
    let UnitHeader { stripe, shard, .. } = UnitHeader::decode(body)?;
    let mut out = vec![0; HEADER_LEN];
    let (common, digest) = stripe.encode();
    stripe.write_unit_header(&common, digest, shard, &mut out);
    Ok(out)
}

/// Verifies every unit, throws the data units away, decodes them from the rest, and makes the whole stripe again.
fn stripe(body: &[u8]) -> Result<Vec<u8>> {
    let header = UnitHeader::decode(body)?.stripe;
    let (code, slot_len) = (header.code, body.len() / header.code.shards());
    let mut out = body.to_vec();
    for (slot, expected) in out.chunks_exact_mut(slot_len).zip(&header.units) {
        let found = header.suite.digest(&[&slot[HEADER_LEN..]]);
        if found != *expected {
            return Err(Error::Mismatch { what: "unit", expected: expected.to_string(), found: found.to_string() });
        }
    }
    let erasure = Erasure::new(code).unwrap();
    out.chunks_exact_mut(slot_len).take(code.m()).for_each(|slot| slot[HEADER_LEN..].fill(0xee));
    let units = out.chunks_exact_mut(slot_len).map(|slot| &mut slot[HEADER_LEN..]);
    let mut units: Vec<_> = units.enumerate().map(|(no, unit)| (unit, no >= code.m())).collect();
    erasure.rebuild(&mut units).unwrap();
    let (common, digest) = header.encode();
    for (shard, slot) in (0..).zip(out.chunks_exact_mut(slot_len)) {
        header.write_unit_header(&common, digest, shard, slot);
    }
    Ok(out)
}

fn footer(body: &[u8]) -> Result<Vec<u8>> {
    let (rows, block) = body.split_at(body.len().saturating_sub(BLOCK_BYTES));
    let locator = Locator::decode(block)?;
    let rows = rows.get(..usize::try_from(locator.table_len).unwrap()).unwrap_or(rows);
    let table = Table::decode(rows, &locator)?;
    let closing = Closing {
        identity: locator.identity(),
        by: locator.closed_by,
        at_ms: locator.closed_ms,
        footer_at: locator.footer_at,
    };
    Ok(Footer::new(&table, closing).for_shard(locator.shard).to_vec())
}

fn records() -> Vec<Case> {
    let good = Frame { kind: RecordKind::Entry, len: 0x0001_0203, address: Address([0xab; 32]) }.encode().to_vec();
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    vec![
        ("valid-entry", "the frame of a ledger entry of 66051 bytes", good.clone()),
        ("valid-empty", "the frame of a record without bytes", [&good[..4], &[0; 4], &good[8..]].concat()),
        ("wrong-kind-zero", "kinds count from 1", with(0, 0)),
        ("wrong-kind", "a kind that there is not", with(0, 255)),
        ("wrong-flags", "a flag that has no meaning yet", with(1, 1)),
        ("wrong-reserved", "a reserved byte that is not zero", with(3, 1)),
        ("wrong-length", "longer than any record", with(7, 0x7f)),
        ("wrong-truncated", "the address ends early", good[..FRAME_LEN - 1].to_vec()),
        ("wrong-trailing", "one byte of the record behind its frame", [good.as_slice(), &[0]].concat()),
    ]
}

fn header(suite: Suite, code: &str) -> StripeHeader {
    let code = Code::parse(code).unwrap();
    StripeHeader {
        suite,
        code,
        segment: SegmentId([0x11; 16]),
        hospital: HospitalId([0x22; 16]),
        stripe_no: 3,
        at: 0x5000,
        payload_len: 10_000,
        records: 2,
        written_ms: 1_790_000_000_000,
        previous: Digest([0x33; 32]),
        units: (0x40..).take(code.shards()).map(|byte| Digest([byte; 32])).collect(),
    }
}

fn unit_bytes(stripe: &StripeHeader, shard: u8) -> Vec<u8> {
    let mut out = vec![0; HEADER_LEN];
    let (common, digest) = stripe.encode();
    stripe.write_unit_header(&common, digest, shard, &mut out);
    out
}

fn units() -> Vec<Case> {
    let suite = Suite::Default;
    let good = unit_bytes(&header(suite, "4+2"), 5);
    let sum = |bytes: &mut [u8], at: usize| {
        let digest = suite.digest(&[&bytes[..at]]);
        bytes[at..at + 32].copy_from_slice(&digest.0);
    };
    // under digests that are right, so that only the field itself is wrong
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        sum(&mut bytes, 928);
        sum(&mut bytes, 992);
        bytes
    };
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut foreign_stripe_digest = flip(930);
    sum(&mut foreign_stripe_digest, 992);
    vec![
        ("valid-suite-1", "shard 5 of a 4+2 stripe", good.clone()),
        ("valid-suite-2", "suite 2, shard 13 of a 10+4 stripe", unit_bytes(&header(Suite::Cryptrec, "10+4"), 13)),
        ("valid-mirror", "the copy of a 1+1 stripe", unit_bytes(&header(suite, "1+1"), 1)),
        ("wrong-truncated", "a header that ends early", good[..HEADER_LEN - 1].to_vec()),
        ("wrong-magic", "begins with other magic bytes", flip(0)),
        ("wrong-version", "written by a newer release", with(4, 2)),
        ("wrong-suite", "a suite that there is not", with(5, 3)),
        ("wrong-other-suite", "suite 2 said over digests of suite 1", with(5, 2)),
        ("wrong-code", "a code that is not allowed", with(6, 5)),
        ("wrong-unit-length", "a unit length that does not follow from the payload", with(8, 1)),
        ("wrong-reserved", "a reserved byte that is not zero", with(700, 1)),
        ("wrong-offset", "an offset inside a block", with(56, 1)),
        ("wrong-payload-length", "a payload over its limit", with(67, 0x10)),
        ("wrong-spare-digest", "the digest of a unit that the code does not have", with(112 + 6 * 32, 1)),
        ("wrong-shard", "a shard that the code does not have", with(960, 6)),
        ("wrong-stripe-digest", "a stripe digest that is not that of the stripe", foreign_stripe_digest),
        ("wrong-header-digest", "one bit of the header digest is flipped", flip(1000)),
        ("wrong-previous", "one bit of the link to the stripe before is flipped", flip(90)),
    ]
}

/// A whole stripe with two records, slot by slot; the second record has `len` bytes.
fn stripe_bytes(suite: Suite, code: &str, len: usize) -> Vec<u8> {
    let code = Code::parse(code).unwrap();
    let records: [Vec<u8>; 2] = [b"first record".to_vec(), (0..=255).cycle().take(len).collect()];
    let mut payload = Vec::new();
    for bytes in &records {
        let frame =
            Frame { kind: RecordKind::Chunk, len: u32::try_from(bytes.len()).unwrap(), address: suite.address(bytes) };
        payload.extend_from_slice(&frame.encode());
        payload.extend_from_slice(bytes);
    }
    let payload_len = u32::try_from(payload.len()).unwrap();
    let unit_len = usize::try_from(shosoin_tiers::stripe::unit_len(payload_len, code)).unwrap();
    payload.resize(unit_len * code.k(), 0);
    let data: Vec<&[u8]> = payload.chunks_exact(unit_len).collect();
    let mut parity = vec![vec![0; unit_len]; code.m()];
    let mut parity_units: Vec<&mut [u8]> = parity.iter_mut().map(Vec::as_mut_slice).collect();
    Erasure::new(code).unwrap().encode(&data, &mut parity_units).unwrap();
    let units: Vec<&[u8]> = data.into_iter().chain(parity.iter().map(Vec::as_slice)).collect();
    let header = StripeHeader {
        stripe_no: 0,
        at: 0,
        payload_len,
        previous: CHAIN_START,
        units: units.iter().map(|unit| suite.digest(&[unit])).collect(),
        ..header(suite, &code.to_string())
    };
    (0..).zip(units).flat_map(|(shard, unit)| [&unit_bytes(&header, shard), unit].concat()).collect()
}

fn stripes() -> Vec<Case> {
    let good = stripe_bytes(Suite::Default, "1+1", 100);
    let slot_len = good.len() / 2;
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    vec![
        (
            "valid-4-2",
            "two records in four data units, and two parity units",
            stripe_bytes(Suite::Default, "4+2", 9_000),
        ),
        ("valid-mirror", "a mirror, which the wrong ones here are made from", good.clone()),
        ("valid-suite-2", "suite 2, three copies", stripe_bytes(Suite::Cryptrec, "1+2", 5_000)),
        ("wrong-data-unit", "one bit of the first record is flipped", flip(HEADER_LEN + 45)),
        ("wrong-padding", "one bit behind the end of the payload is flipped", flip(slot_len - 1)),
        ("wrong-parity-unit", "one bit of the copy is flipped", flip(slot_len + HEADER_LEN)),
    ]
}

fn table(code: Code) -> Table {
    let frame = |len| Frame { kind: RecordKind::Chunk, len, address: Address([0xaa; 32]) }.encode();
    let mut table = Table::new(code);
    let first = StripeRow { payload_len: 85, records: 2, digest: Digest([1; 32]) };
    table.push(first, &[frame(5), frame(0)].concat());
    table.push(StripeRow { payload_len: 9040, records: 1, digest: Digest([2; 32]) }, &frame(9000));
    table
}

fn footer_bytes(suite: Suite, code: &str, by: ClosedBy, shard: u8) -> Vec<u8> {
    let code = Code::parse(code).unwrap();
    let identity = Identity { id: SegmentId([0x11; 16]), hospital: HospitalId([0x22; 16]), suite, code };
    let closing = Closing { identity, by, at_ms: 1_790_000_000_000, footer_at: 0x6000 };
    Footer::new(&table(code), closing).for_shard(shard).to_vec()
}

fn footers() -> Vec<Case> {
    let suite = Suite::Default;
    let good = footer_bytes(suite, "4+2", ClosedBy::Writer, 0);
    let (table, block) = (0, good.len() - BLOCK_BYTES);
    // under digests that are right, so that only the field itself is wrong
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        let digest = suite.digest(&[&bytes[..200]]);
        bytes[block + 128..block + 160].copy_from_slice(&digest.0);
        let digest = suite.digest(&[&bytes[block..block + 4064]]);
        bytes[block + 4064..].copy_from_slice(&digest.0);
        bytes
    };
    let flip = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    vec![
        ("valid-writer", "two stripes, three records, closed by their writer; shard 0", good.clone()),
        (
            "valid-recovery",
            "suite 2, a mirror, closed by recovery",
            footer_bytes(Suite::Cryptrec, "1+1", ClosedBy::Recovery, 1),
        ),
        ("wrong-truncated", "the last byte is gone", good[..good.len() - 1].to_vec()),
        ("wrong-magic", "the last block begins with other magic bytes", flip(block)),
        ("wrong-version", "written by a newer release", with(block + 4, 2)),
        ("wrong-code", "a code that is not allowed", with(block + 6, 5)),
        ("wrong-shard", "a shard that the code does not have", with(block + 8, 6)),
        ("wrong-closed-by", "closed by nobody known", with(block + 9, 3)),
        ("wrong-reserved", "a reserved byte that is not zero", with(block + 2000, 1)),
        ("wrong-footer-offset", "a footer that begins before the last stripe ends", with(block + 57, 0x10)),
        ("wrong-table-length", "a table length that is not that of its rows", with(block + 64, 201)),
        ("wrong-end", "an end of stripes that is not that of the table", with(block + 89, 0x50)),
        ("wrong-chain", "a last stripe that is not that of the table", with(block + 96, 9)),
        ("wrong-locator-digest", "one bit of the locator digest is flipped", flip(good.len() - 1)),
        ("wrong-table-digest", "one bit of an address in the table is flipped", flip(table + 100)),
        ("wrong-frames", "frames that do not fill the payload of their stripe", with(table, 84)),
        ("wrong-kind", "a record of a kind that there is not", with(table + 80, 9)),
    ]
}
