//! `docs/format.md` against the code: every table of offsets is compared with bytes that the real encoders make, the
//! limits with their constants, the worked example with its vector.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod disposal;
mod kept;
mod structures;
mod table;

use shosoin_protocol::limits;
use std::collections::BTreeMap;
use table::{Structure, byte_tables, cells, compare, page};

/// Structures whose encoders are in `keyring`, `tiers` and `store`: their tests hold them to the same tables or to vectors.
const ELSEWHERE: &[&str] = &[
    "Body of an escrow drill",
    "Commitment and sealed bytes",
    "Payload of a chunk",
    "Payload of a manifest page or summary",
    "Body of a key file",
    "Body of a key file of a machine that only deposits",
    "Key file of a person",
    "Remembered head",
    "Signed entries",
    "Packed entries",
    "Rewrap cursor",
    "Vault key file",
    "Record",
    "Unit header",
    "Gap",
    "Stripe row",
    "Locator",
    "Mark of a kept file",
    "Shelf list",
    "Shelf table",
    "Last reads",
    "Tour",
    "Drain",
    "List of removed segments",
    "Audit file",
    "Audit record",
    "Audit head",
    "Witness key",
    "Accounts file",
    "Line file",
    "Shipment file",
    "Packed chain",
    "Gap",
];

#[test]
fn every_table_says_what_the_encoders_write() {
    let made = structures::all().into_iter().chain(disposal::all()).chain(kept::all());
    let mut structures: BTreeMap<&str, Structure> = made.collect();
    for table in byte_tables(&page()) {
        match structures.remove(table.title.as_str()) {
            Some(structure) => compare(&table, &structure),
            None => assert!(ELSEWHERE.contains(&table.title.as_str()), "nothing checks the table {}", table.title),
        }
    }
    assert!(structures.is_empty(), "not on the page: {:?}", structures.keys());
}

#[test]
fn every_table_is_without_gaps() {
    for table in byte_tables(&page()) {
        for pair in table.rows.windows(2) {
            if let (Some(offset), Some(bytes)) = (pair[0].offset, pair[0].bytes) {
                let next = pair[1].offset;
                assert_eq!(next, Some(offset + bytes), "{}: after {}", table.title, pair[0].name);
            } else {
                assert_eq!(pair[1].offset, None, "{}: {} has no fixed place", table.title, pair[1].name);
            }
        }
    }
}

macro_rules! limits {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), u64::try_from(limits::$name).unwrap())),*]
    };
}

#[test]
fn every_limit_has_the_value_on_the_page() {
    let known: BTreeMap<&str, u64> = limits![
        CHUNK_PLAIN_BYTES_MIN,
        CHUNK_PLAIN_BYTES_DEFAULT,
        CHUNK_PLAIN_BYTES_MAX,
        DEDUP_PLAIN_BYTES_MIN,
        RECORD_BYTES_MAX,
        MANIFEST_PAGE_ENTRIES_MAX,
        MANIFEST_INLINE_ENTRIES_MAX,
        MANIFEST_PAGES_MAX,
        OBJECT_CHUNKS_MAX,
        ADDRESS_LIST_MAX,
        OBJECT_BYTES_MAX,
        NAME_BYTES_MAX,
        BUCKET_BYTES_MAX,
        USER_METADATA_BYTES_MAX,
        HEADERS_BYTES_MAX,
        PAIRS_MAX,
        TAGS_MAX,
        TAGS_BYTES_MAX,
        PARTS_MAX,
        PART_BYTES_MAX,
        PART_BYTES_MIN,
        FACTS_BYTES_MAX,
        SUMMARY_BYTES_MAX,
        DOCUMENT_SIGNATURE_BYTES_MAX,
        DOCUMENT_SIGNERS_MAX,
        LIFECYCLE_RULES_MAX,
        LIFECYCLE_RULE_ID_BYTES_MAX,
        LOCK_DAYS_MAX,
        WITNESSES_MAX,
        ENTRY_BYTES_MAX,
        CHECKPOINT_BYTES_MAX,
        PROOF_HASHES_MAX,
        RECEIPT_BYTES_MAX,
        DOCUMENT_BYTES_MAX,
        EVIDENCE_RECORDS_MAX,
        EVIDENCE_HEAD_BYTES_MAX,
        EVIDENCE_ITEMS_MAX,
        MEDIUM_CHUNKS_MAX,
        MEDIUM_BATCHES_MAX,
        AGREED_TYPES_MAX,
        AGREED_LIST_MAX,
        ACT_VERSIONS_MAX,
        DEVICE_SCOPE_BYTES_MAX,
        SHARE_VERSIONS_MAX,
        SHARE_ENCAPSULATED_BYTES_MAX,
        SHARE_OFFERS_MAX,
        ENROLMENT_BYTES_MAX,
        HOLD_NOTE_BYTES_MAX,
        HOLDS_MAX,
        ORDER_ITEMS_MAX,
        APPROVALS_MAX,
        REMOVALS_MAX,
        REMOVAL_LISTS_MAX,
        CERTIFICATE_COPIES_MAX,
        CERTIFICATE_MEDIA_MAX,
        CERTIFICATE_TEXT_BYTES_MAX,
        CERTIFICATE_BYTES_MAX,
        DEPOSIT_RECORDS_MAX,
        DEPOSIT_BYTES_MAX,
        DEPOSIT_BATCH_MAX,
        DEPOSIT_BATCH_RECORDS_MAX,
        DEPOSIT_BATCH_BYTES_MAX,
        PROBLEM_BYTES_MAX,
        ADDRESS_QUERY_MAX,
        REWRAP_MAX,
        SNAPSHOT_PIECES_MAX,
        RESEAL_MAX,
        WRAP_BYTES_MAX,
        LOG_PAGE_ENTRIES_MAX,
        LOG_PAGE_BYTES_MAX,
        DATA_SHARDS_MAX,
        SHARDS_MAX,
        CLOCK_AHEAD_MS_MAX,
        RECONCILED_MISSING_MAX,
        EVIDENCE_BYTES_MAX,
        EVIDENCE_REPORT_LINES_MAX,
        EVIDENCE_TIMESTAMPS_MAX,
        TIMESTAMPED_HEADS_MAX,
        PACKAGE_FILES_MAX,
        PACKAGE_MISSING_MAX,
        PACKAGE_MANIFEST_BYTES_MAX,
    ]
    .into();
    let page = page();
    let section = page.split("## Limits").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `")).map(cells);
    let stated: BTreeMap<String, u64> =
        rows.map(|cells| (cells[0].trim_matches('`').to_owned(), cells[1].parse().unwrap())).collect();
    let known: BTreeMap<String, u64> = known.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(stated, known);
    let source = include_str!("../../src/limits.rs");
    assert_eq!(source.matches("pub const ").count(), known.len(), "a limit is missing here and on the page");
}

#[test]
fn the_worked_example_is_its_vector() {
    let page = page();
    let section = page.split("## Worked example").nth(1).unwrap();
    let file = section.split('`').nth(1).unwrap();
    let text = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap();
    let body: String = text.split_once("\n\n").unwrap().1.split_whitespace().collect();
    let dump = section.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let mut bytes = Vec::new();
    for line in dump.lines() {
        let mut words = line.split_whitespace();
        assert_eq!(words.next().unwrap().parse(), Ok(bytes.len()), "{line}");
        bytes.extend(hex::decode(words.next().unwrap()).unwrap());
    }
    assert_eq!(hex::encode(bytes), body);
}

#[test]
fn every_link_inside_the_page_leads_somewhere() {
    let page = page();
    let anchors: Vec<String> = page
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')))
        .map(|heading| heading.to_lowercase().replace(' ', "-"))
        .collect();
    for target in page.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        assert!(anchors.iter().any(|anchor| anchor == target), "#{target}");
    }
}
