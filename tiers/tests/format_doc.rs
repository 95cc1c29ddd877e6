//! What `docs/format.md` says of segments, against the bytes that the real encoders make.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../protocol/tests/format_doc/table.rs"]
mod table;

use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Address, Digest, HospitalId, RecordKind, SegmentId, Suite, VolumeId};
use shosoin_tiers::footer::{ClosedBy, Closing, Footer, StripeRow, Table};
use shosoin_tiers::stripe::{HEADER_LEN, StripeHeader};
use shosoin_tiers::{
    Code, Drain, DrainCounters, DrainPhase, Frame, Identity, ShardRef, Tour, TourCounters, gap, removed,
};
use std::collections::BTreeSet;
use table::{Structure, byte_tables, compare, page};

const SEGMENT: SegmentId = SegmentId([0x11; 16]);
const HOSPITAL: HospitalId = HospitalId([0x22; 16]);
const TIME: u64 = 0x0102_0304_0506_0708;

fn u32(value: u32) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

fn u64(value: u64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

fn code() -> Code {
    Code::parse("4+2").expect("an allowed code")
}

fn unit_header() -> Structure {
    let units: Vec<Digest> = (0x40..0x46).map(|fill| Digest([fill; 32])).collect();
    let mut digests = units.iter().flat_map(|digest| digest.0).collect::<Vec<u8>>();
    digests.resize(448, 0);
    let stripe = StripeHeader {
        suite: Suite::Cryptrec,
        code: code(),
        segment: SEGMENT,
        hospital: HOSPITAL,
        stripe_no: 3,
        at: 0x5000,
        payload_len: 10_000,
        records: 2,
        written_ms: TIME,
        previous: Digest([0x33; 32]),
        units,
    };
    let (common, digest) = stripe.encode();
    let mut encoded = vec![0xff; HEADER_LEN];
    stripe.write_unit_header(&common, digest, 5, &mut encoded);
    let fields = vec![
        ("magic", b"shsu".to_vec()),
        ("version", vec![1]),
        ("suite", vec![2]),
        ("k", vec![4]),
        ("m", vec![2]),
        ("unit length", u32(3072)),
        ("reserved", vec![0; 4]),
        ("segment", SEGMENT.0.to_vec()),
        ("hospital", HOSPITAL.0.to_vec()),
        ("stripe number", u64(3)),
        ("offset", u64(0x5000)),
        ("payload length", u32(10_000)),
        ("records", u32(2)),
        ("written", u64(TIME)),
        ("previous", vec![0x33; 32]),
        ("unit digests", digests),
        ("reserved", vec![0; 368]),
        ("stripe digest", Suite::Cryptrec.digest(&[&encoded[..928]]).0.to_vec()),
        ("shard", vec![5]),
        ("reserved", vec![0; 31]),
        ("header digest", Suite::Cryptrec.digest(&[&encoded[..992]]).0.to_vec()),
    ];
    Structure { begins_at: 0, ends_at: encoded.len(), encoded, fields }
}

fn record() -> Structure {
    let frame = Frame { kind: RecordKind::Wrap, len: 5, address: Address([0xaa; 32]) };
    let encoded = [&frame.encode()[..], b"bytes"].concat();
    let fields = vec![
        ("kind", vec![4]),
        ("flags", vec![0]),
        ("reserved", vec![0; 2]),
        ("length", u32(5)),
        ("address", vec![0xaa; 32]),
        ("bytes", b"bytes".to_vec()),
    ];
    Structure { begins_at: 0, ends_at: encoded.len(), encoded, fields }
}

/// Shard 5 of a segment of one stripe of one record.
fn footer() -> Vec<u8> {
    let frame = Frame { kind: RecordKind::Wrap, len: 5, address: Address([0xaa; 32]) };
    let mut table = Table::new(code());
    table.push(StripeRow { payload_len: 45, records: 1, digest: Digest([0x44; 32]) }, &frame.encode());
    let identity = Identity { id: SEGMENT, hospital: HOSPITAL, suite: Suite::Default, code: code() };
    let closing = Closing { identity, by: ClosedBy::Recovery, at_ms: TIME, footer_at: 0x9000 };
    Footer::new(&table, closing).for_shard(5).to_vec()
}

fn gap() -> Structure {
    let identity = Identity { id: SEGMENT, hospital: HOSPITAL, suite: Suite::Cryptrec, code: code() };
    let encoded = gap::encode(identity, 5, 0x5000);
    let fields = vec![
        ("magic", b"shsg".to_vec()),
        ("version", vec![1]),
        ("suite", vec![2]),
        ("shard", vec![5]),
        ("reserved", vec![0]),
        ("segment", SEGMENT.0.to_vec()),
        ("hospital", HOSPITAL.0.to_vec()),
        ("offset", u64(0x5000)),
        ("gap digest", Suite::Cryptrec.digest(&[&encoded[..48]]).0.to_vec()),
    ];
    Structure { begins_at: 0, ends_at: encoded.len(), encoded, fields }
}

fn stripe_row() -> Structure {
    let fields = vec![("payload length", u32(45)), ("records", u32(1)), ("stripe digest", vec![0x44; 32])];
    Structure { begins_at: 0, ends_at: 40, encoded: footer(), fields }
}

fn locator() -> Structure {
    let encoded = footer();
    let at = encoded.len() - 4096;
    let digest = |bytes: &[u8]| Suite::Default.digest(&[bytes]).0.to_vec();
    let fields = vec![
        ("magic", b"shsf".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("k", vec![4]),
        ("m", vec![2]),
        ("shard", vec![5]),
        ("closed by", vec![2]),
        ("reserved", vec![0; 6]),
        ("segment", SEGMENT.0.to_vec()),
        ("hospital", HOSPITAL.0.to_vec()),
        ("closed", u64(TIME)),
        ("footer offset", u64(0x9000)),
        ("table length", u64(80)),
        ("stripes", u32(1)),
        ("records", u32(1)),
        ("payload bytes", u64(45)),
        ("end", u64(4096)),
        ("chain", vec![0x44; 32]),
        ("table digest", digest(&encoded[..80])),
        ("reserved", vec![0; 3904]),
        ("locator digest", digest(&encoded[at..at + 4064])),
    ];
    Structure { begins_at: 0, ends_at: 4096, encoded: encoded[at..].to_vec(), fields }
}

fn tour() -> Structure {
    let done = TourCounters { shards: 3, read_bytes: 0x1234_5678_9abc, units: 9, findings: 2 };
    let mut tour = Tour::new(VolumeId([0x33; 16]), TIME);
    tour.after = Some(ShardRef { hospital: HOSPITAL, segment: SEGMENT, shard: 5 });
    tour.done = done;
    let encoded = tour.encode();
    let fields = vec![
        ("magic", b"shjt".to_vec()),
        ("version", vec![1]),
        ("ended", vec![0]),
        ("has cursor", vec![1]),
        ("shard", vec![5]),
        ("volume", vec![0x33; 16]),
        ("started", u64(TIME)),
        ("hospital", HOSPITAL.0.to_vec()),
        ("segment", SEGMENT.0.to_vec()),
        ("shards", u64(done.shards)),
        ("read bytes", u64(done.read_bytes)),
        ("units", u64(done.units)),
        ("findings", u64(done.findings)),
        ("checksum", sha256(&[&encoded[..96]]).0.to_vec()),
    ];
    Structure { begins_at: 0, ends_at: encoded.len(), encoded, fields }
}

fn drain() -> Structure {
    let done = DrainCounters { copied: 3, copied_bytes: 0x1234_5678_9abc, released: 2, released_bytes: 0x99, kept: 1 };
    let mut drain = Drain::new(VolumeId([0x33; 16]), TIME);
    drain.phase = DrainPhase::Release;
    drain.after = Some(ShardRef { hospital: HOSPITAL, segment: SEGMENT, shard: 5 });
    drain.done = done;
    let encoded = drain.encode();
    let fields = vec![
        ("magic", b"shjd".to_vec()),
        ("version", vec![1]),
        ("phase", vec![2]),
        ("has cursor", vec![1]),
        ("shard", vec![5]),
        ("volume", vec![0x33; 16]),
        ("started", u64(TIME)),
        ("hospital", HOSPITAL.0.to_vec()),
        ("segment", SEGMENT.0.to_vec()),
        ("copied", u64(done.copied)),
        ("copied bytes", u64(done.copied_bytes)),
        ("released", u64(done.released)),
        ("released bytes", u64(done.released_bytes)),
        ("kept", u64(done.kept)),
        ("checksum", sha256(&[&encoded[..104]]).0.to_vec()),
    ];
    Structure { begins_at: 0, ends_at: encoded.len(), encoded, fields }
}

fn removed_list() -> Structure {
    let encoded = removed::encode(&BTreeSet::from([SegmentId([0x12; 16]), SEGMENT]));
    let fields = vec![
        ("magic", b"shrm".to_vec()),
        ("version", vec![1]),
        ("reserved", vec![0; 3]),
        ("count", u32(2)),
        ("segments", [[0x11; 16], [0x12; 16]].concat()),
        ("checksum", sha256(&[&encoded[..44]]).0.to_vec()),
    ];
    Structure { begins_at: 0, ends_at: encoded.len(), encoded, fields }
}

#[test]
fn every_table_about_segments_says_what_the_encoders_write() {
    let tables = byte_tables(&page());
    let structures = [
        ("Unit header", unit_header()),
        ("Record", record()),
        ("Gap", gap()),
        ("Stripe row", stripe_row()),
        ("Locator", locator()),
        ("Tour", tour()),
        ("Drain", drain()),
        ("List of removed segments", removed_list()),
    ];
    for (title, structure) in structures {
        let table = tables.iter().find(|table| table.title == title);
        compare(table.expect("the page has the table"), &structure);
    }
}
