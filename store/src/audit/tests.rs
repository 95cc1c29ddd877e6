//! The bytes of the audit log: golden ones, and the tables of `docs/format.md`.

use super::event::AuditEvent;
use super::file::{HEADER_LEN, Header, Tip, Walk, encode_record};
use super::head::Head;
use super::*;
use crate::accounts::{Role, Roles};
use crate::changes::{ChangeFacts, ChangeKind};
use crate::table::{Structure, byte_tables, compare, page};
use proptest::prelude::*;
use shosoin_protocol::codec::Writer;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{HospitalId, SegmentId};

const TIME: u64 = 0x0102_0304_0506_0708;

fn event() -> AuditEvent {
    AuditEvent {
        duration_ms: 5,
        segment: Some(SegmentId([0x22; 16])),
        hospital: Some(HospitalId([0x33; 16])),
        bytes: 4096,
        units: 2,
        ..AuditEvent::of_job(TIME, "scrub", Action::VolumeTested)
            .on(VolumeId([0x11; 16]))
            .ended(Outcome::Findings)
            .because("why")
            .with(Detail::Test { test: TestKind::Surface, value: 3, passed: false })
    }
}

fn tip() -> Tip {
    Tip { seq: 6, digest: Digest([0x44; 32]) }
}

#[test]
fn the_golden_record_is_what_it_was() {
    let (bytes, after) = encode_record(tip(), &event()).unwrap();
    let golden = "a000000001062c0007030000070000000000000008070605040302010500000000000000\
                  00100000000000000200000000000000111111111111111111111111111111112222222222222222222222222222222233333333\
                  333333333333333333333333090000006a6f623a7363727562030000007768790a00000003000300000000000000";
    let body_len = bytes.len() - 4 - 32;
    assert_eq!(hex::encode(&bytes[4..4 + body_len]), &golden.replace(char::is_whitespace, "")[8..]);
    assert_eq!(u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize, body_len);
    let expected = sha256(&[b"shosoin audit record v1\0", &[0x44; 32], &bytes[4..4 + body_len]]);
    assert_eq!((after.seq, after.digest), (7, expected));
    assert_eq!(bytes[4 + body_len..], expected.0);
}

#[test]
fn every_table_about_the_audit_log_says_what_the_encoders_write() {
    let tables = byte_tables(&page());
    for (title, structure) in [("Audit file", file()), ("Audit record", record()), ("Audit head", head())] {
        compare(tables.iter().find(|table| table.title == title).unwrap(), &structure);
    }
}

fn u64(value: u64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

fn file() -> Structure {
    let header = Header { number: 3, before: tip(), kept_bytes: 700, total_bytes: 720, begun_ms: TIME };
    let encoded = header.encode();
    assert_eq!(Header::decode(&encoded), Ok(header));
    let fields = vec![
        ("magic", b"shal".to_vec()),
        ("version", vec![1]),
        ("reserved", vec![0; 3]),
        ("number", 3u32.to_le_bytes().to_vec()),
        ("reserved", vec![0; 4]),
        ("records before", u64(6)),
        ("bytes kept", u64(700)),
        ("bytes in all", u64(720)),
        ("begun", u64(TIME)),
        ("digest before", vec![0x44; 32]),
        ("header digest", sha256(&[b"shosoin audit file v1\0", &encoded[..80]]).0.to_vec()),
    ];
    Structure { begins_at: 0, ends_at: encoded.len(), encoded, fields }
}

fn record() -> Structure {
    let full = AuditEvent { number: Some(1042), ..event().seen_from(Some([10, 0, 8, 9].into())) };
    let (encoded, after) = encode_record(tip(), &full).unwrap();
    let var = |bytes: &[u8]| {
        let mut out = Writer::new();
        out.var(bytes);
        out.finish()
    };
    let fields = vec![
        ("length", 160u32.to_le_bytes().to_vec()),
        ("version", vec![1]),
        ("outcome", vec![6]),
        ("action", 44u16.to_le_bytes().to_vec()),
        ("flags", vec![31]),
        ("detail kind", vec![3]),
        ("reserved", vec![0; 2]),
        ("number", u64(7)),
        ("time", u64(TIME)),
        ("duration", u64(5)),
        ("bytes", u64(4096)),
        ("units", u64(2)),
        ("volume", vec![0x11; 16]),
        ("segment", vec![0x22; 16]),
        ("hospital", vec![0x33; 16]),
        ("source", [[0; 10].as_slice(), &[0xff, 0xff, 10, 0, 8, 9]].concat()),
        ("ledger number", u64(1042)),
        ("actor", var(b"job:scrub")),
        ("reason", var(b"why")),
        ("detail", var(&encoded[encoded.len() - 42..encoded.len() - 32])),
        ("digest", after.digest.0.to_vec()),
    ];
    let length = u32::try_from(encoded.len() - 36).unwrap();
    let fields = fields.into_iter().map(|(name, bytes)| match name {
        "length" => (name, length.to_le_bytes().to_vec()),
        _ => (name, bytes),
    });
    Structure { begins_at: 0, ends_at: encoded.len(), fields: fields.collect(), encoded }
}

fn head() -> Structure {
    let head = Head { file: 3, len: 900, tip: tip() };
    let encoded = head.encode();
    assert_eq!(Head::decode(&encoded), Ok(head));
    let fields = vec![
        ("magic", b"shah".to_vec()),
        ("version", vec![1]),
        ("reserved", vec![0; 3]),
        ("file", 3u32.to_le_bytes().to_vec()),
        ("reserved", vec![0; 4]),
        ("bytes", u64(900)),
        ("records", u64(6)),
        ("digest", vec![0x44; 32]),
        ("checksum", sha256(&[&encoded[..64]]).0.to_vec()),
    ];
    Structure { begins_at: 0, ends_at: encoded.len(), encoded, fields }
}

#[test]
fn a_header_of_a_newer_release_is_told_apart_from_a_damaged_one() {
    let header = Header { number: 1, before: Tip::START, kept_bytes: 0, total_bytes: 0, begun_ms: TIME };
    let mut bytes = header.encode();
    bytes[4] = 2;
    assert_ne!(Header::decode(&bytes).unwrap_err().kind(), shosoin_protocol::ErrorKind::Unsupported);
    let digest = sha256(&[b"shosoin audit file v1\0", &bytes[..80]]);
    bytes[80..].copy_from_slice(&digest.0);
    assert_eq!(Header::decode(&bytes).unwrap_err().kind(), shosoin_protocol::ErrorKind::Unsupported);
}

#[test]
fn text_that_is_too_long_or_moves_the_cursor_is_not_written() {
    for reason in ["x".repeat(241), "a\nb".to_owned(), "\u{1b}[2J".to_owned()] {
        assert!(encode_record(tip(), &event().because(reason)).is_err());
    }
    assert!(encode_record(tip(), &AuditEvent { actor: "x".repeat(65), ..event() }).is_err());
}

fn details() -> impl Strategy<Value = Detail> {
    prop_oneof![
        Just(Detail::None),
        (0..9usize, 0..10usize)
            .prop_map(|(to, from)| Detail::State { from: MediaState::ALL.get(from).copied(), to: MediaState::ALL[to] }),
        (0..5usize, any::<u64>(), any::<bool>()).prop_map(|(test, value, passed)| Detail::Test {
            test: TestKind::ALL[test],
            value,
            passed
        }),
        (any::<Option<u64>>(), any::<Option<u64>>(), any::<bool>())
            .prop_map(|(power_on_hours, passes, by_device)| Detail::Wear { power_on_hours, passes, by_device }),
        (any::<Option<i32>>(), any::<Option<u8>>()).prop_map(|(celsius_tenths, humidity_percent)| {
            Detail::Environment { celsius_tenths, humidity_percent }
        }),
        "[a-z/ ]{0,100}".prop_map(Detail::Place),
        (any::<[u8; 32]>(), any::<[u8; 32]>())
            .prop_map(|(program, settings)| Detail::Look { program: Digest(program), settings: Digest(settings) }),
        ("[a-z. ]{1,64}", "[!-~]{1,128}", any::<[u8; 32]>(), any::<u64>()).prop_map(
            |(subject, words, after, request)| {
                Detail::Change(Box::new(ChangeFacts {
                    kind: ChangeKind::Program,
                    subject,
                    before: None,
                    after: Some(Digest(after)),
                    request,
                    approved_by: words.clone(),
                    what: words.clone(),
                    tested: words,
                }))
            }
        ),
        (any::<u64>(), any::<u64>()).prop_map(|(findings, lost)| Detail::Found { findings, lost }),
        ("[a-z.-]{0,64}", any::<u64>(), any::<u64>(), any::<[u8; 32]>()).prop_map(
            |(account, request, generation, digest)| {
                let roles = Roles::of(&[Role::Keeper, Role::Media]).unwrap();
                Detail::Account { account, request, generation, roles, digest: Digest(digest) }
            }
        ),
    ]
}

proptest! {
    #[test]
    fn any_event_reads_back_and_any_bytes_are_an_error_and_no_panic(
        detail in details(), reason in "[ -~]{0,240}", action in 0..Action::ALL.len(), bytes: u64,
        noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let event = AuditEvent { bytes, ..event().because(reason).with(detail) };
        let event = AuditEvent { action: Action::ALL[action], ..event };
        let (record, _) = encode_record(tip(), &event).unwrap();
        let body = &record[4..record.len() - 32];
        prop_assert_eq!(AuditEvent::read(body).unwrap(), (7, event));
        let _ = AuditEvent::read(&noise);
        let header = Header { number: 1, before: Tip::START, kept_bytes: 0, total_bytes: 0, begun_ms: TIME };
        let file = [header.encode(), noise].concat();
        prop_assert_eq!(Walk::new(&file, &header).filter(|met| met.event.is_ok()).count(), 0);
        prop_assert!(file.len() >= HEADER_LEN);
    }
}

/// `SHOSOIN_AUDIT_RECORDS=1000000 cargo test --release -p shosoin-store --lib over_many_files -- --nocapture` measures it.
#[test]
fn a_log_over_many_files_opens_with_every_record_once() {
    use super::head::HeadFile;
    use std::io::Write as _;
    let records: u64 = std::env::var("SHOSOIN_AUDIT_RECORDS").map_or(50_000, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(DIR);
    std::fs::create_dir(&folder).unwrap();
    let first = Header { number: 1, before: Tip::START, kept_bytes: 0, total_bytes: 0, begun_ms: TIME };
    let (mut header, event) = (first, event());
    let (mut bytes, mut tip) = (header.encode(), header.tip());
    let record_len = encode_record(tip, &event).unwrap().0.len();
    for _ in 0..records {
        if bytes.len() + record_len > FILE_BYTES_MAX {
            std::fs::write(folder.join(file_name(header.number)), &bytes).unwrap();
            let len = bytes.len() as u64;
            header =
                Header { number: header.number + 1, before: tip, kept_bytes: len, total_bytes: len, begun_ms: TIME };
            (bytes, tip) = (header.encode(), header.tip());
        }
        let (record, after) = encode_record(tip, &event).unwrap();
        bytes.extend_from_slice(&record);
        tip = after;
    }
    std::fs::write(folder.join(file_name(header.number)), &bytes).unwrap();
    assert!(header.number > 2, "more than one file is full");
    HeadFile::open(&folder).unwrap().0.write(&Head { file: header.number, len: bytes.len() as u64, tip }).unwrap();
    let begun = std::time::Instant::now();
    let mut count = 0;
    let (_, findings) = AuditLog::open(dir.path(), TIME, &mut |_| count += 1).unwrap();
    assert_eq!((count, findings), (records, vec![]));
    let (files, all) = (header.number, begun.elapsed());
    writeln!(std::io::stdout(), "{records} records in {files} files: opened in {all:?}").unwrap();
}
