//! Every maximum, with its unit and its reason. Relations between them are asserted at compile time.

/// Smallest size a bucket may cut its chunks at, in bytes of plain text.
pub const CHUNK_PLAIN_BYTES_MIN: u32 = 256 * 1024;
/// Default chunk size, in bytes of plain text: large enough that per-chunk costs vanish, small enough to hold many.
pub const CHUNK_PLAIN_BYTES_DEFAULT: u32 = 4 * 1024 * 1024;
/// Largest chunk size, in bytes of plain text.
pub const CHUNK_PLAIN_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Below this many bytes of plain text a chunk gets a random key: small guesses must not meet.
pub const DEDUP_PLAIN_BYTES_MIN: u32 = 64 * 1024;
/// Largest record on media, in bytes: a padded, sealed chunk of the largest size and room for framing.
pub const RECORD_BYTES_MAX: usize = 18 * 1024 * 1024;
/// Entries in one manifest page: 68 bytes each, so a page stays below 280 KiB.
pub const MANIFEST_PAGE_ENTRIES_MAX: usize = 4096;
/// Entries inlined in the root page; a record of 1 GiB needs one manifest read.
pub const MANIFEST_INLINE_ENTRIES_MAX: usize = 256;
/// Pages of one manifest besides its root.
pub const MANIFEST_PAGES_MAX: usize = 128;
/// Chunks of one object, so that its address list is one record: 2 TiB in chunks of 4 MiB, 8 TiB in chunks of 16 MiB.
pub const OBJECT_CHUNKS_MAX: usize = MANIFEST_PAGE_ENTRIES_MAX * MANIFEST_PAGES_MAX;
/// Addresses in one address list: every chunk of an object and every page of its manifest but the root.
pub const ADDRESS_LIST_MAX: usize = OBJECT_CHUNKS_MAX + MANIFEST_PAGES_MAX;
/// Largest object, in bytes: the limit of S3.
pub const OBJECT_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024 * 1024;
/// Longest name (S3 object key), in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 1024;
/// Longest bucket name, in bytes.
pub const BUCKET_BYTES_MAX: usize = 63;
/// Longest lock that a bucket gives by default or a client asks for, in days: a hundred years, the limit of S3. A lock is never taken
/// back.
pub const LOCK_DAYS_MAX: u32 = 36_500;
/// Lifecycle rules of one bucket: a tenth of those of S3, so that a state of the longest prefixes stays below 140 KiB.
pub const LIFECYCLE_RULES_MAX: usize = 100;
/// Longest id of a lifecycle rule, in bytes: the limit of S3.
pub const LIFECYCLE_RULE_ID_BYTES_MAX: usize = 255;
/// User metadata of one object, names and values together, in bytes.
pub const USER_METADATA_BYTES_MAX: usize = 2 * 1024;
/// System headers of one object (content type and the like), names and values together, in bytes: S3 takes 8 KiB.
pub const HEADERS_BYTES_MAX: usize = 8 * 1024;
/// Headers or metadata pairs of one object.
pub const PAIRS_MAX: usize = 256;
/// Tags of one object.
pub const TAGS_MAX: usize = 50;
/// Tags of one object, names and values together, in bytes of UTF-8 (S3: 128 and 256 characters each).
pub const TAGS_BYTES_MAX: usize = TAGS_MAX * (128 + 256) * 4;
/// Parts of one multipart upload.
pub const PARTS_MAX: usize = 10_000;
/// Largest part, in bytes.
pub const PART_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Smallest part but the last, in bytes.
pub const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;
/// A sealed summary, in bytes: facts without chunk lists. The largest facts, padded, still fit.
pub const SUMMARY_BYTES_MAX: usize = 1088 * 1024;
/// Largest encoding of object facts, in bytes: every part with a SHA-256, every pair full, and a signature.
pub const FACTS_BYTES_MAX: usize = PARTS_MAX * 93
    + (HEADERS_BYTES_MAX + USER_METADATA_BYTES_MAX + TAGS_BYTES_MAX)
    + 8 * (2 * PAIRS_MAX + TAGS_MAX)
    + (BUCKET_BYTES_MAX + NAME_BYTES_MAX + 128)
    + (DOCUMENT_SIGNATURE_BYTES_MAX + DOCUMENT_SIGNERS_MAX * 73 + 32);
/// Witnesses of one hospital.
pub const WITNESSES_MAX: usize = 16;
/// A detached signature that a document brings, in bytes: several signers with their certificates.
pub const DOCUMENT_SIGNATURE_BYTES_MAX: usize = 16 * 1024;
/// Signers of one document.
pub const DOCUMENT_SIGNERS_MAX: usize = 8;
/// A ledger entry with its signature, in bytes.
pub const ENTRY_BYTES_MAX: usize = 4 * 1024;
/// A checkpoint in text form, in bytes, witnesses included.
pub const CHECKPOINT_BYTES_MAX: usize = 8 * 1024;
/// Hashes in one Merkle proof: twice the depth of a tree of 2^64 leaves bounds a consistency proof.
pub const PROOF_HASHES_MAX: usize = 128;
/// Inline records of one deposit request.
pub const DEPOSIT_RECORDS_MAX: usize = 4096 + 16;
/// A document of an act, in bytes: thousands of ids, and a page of the log still holds many.
pub const DOCUMENT_BYTES_MAX: usize = 256 * 1024;
/// Records of one deposit that are kept as evidence; what is more is counted.
pub const EVIDENCE_RECORDS_MAX: usize = 65_536;
/// Head of evidence, in bytes: an entry as it came, and that many records.
pub const EVIDENCE_HEAD_BYTES_MAX: usize = DEPOSIT_BYTES_MAX + 4 * 1024 * 1024;
/// Things of one hospital in quarantine at one time; whoever sends more of that kind is stopped long before.
pub const EVIDENCE_ITEMS_MAX: usize = 1000;
/// Chunks and pages on one medium: 4 TiB of them at the usual size.
pub const MEDIUM_CHUNKS_MAX: usize = 1 << 20;
/// Batches of deposits on one medium.
pub const MEDIUM_BATCHES_MAX: usize = 65_536;
/// Record types of one agreement: more than the guideline has.
pub const AGREED_TYPES_MAX: usize = 256;
/// Entries of each other list of an agreement.
pub const AGREED_LIST_MAX: usize = 64;
/// Inline bytes of one deposit request; larger objects send their chunks first.
pub const DEPOSIT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Deposits in one batch: those of one device that waited together.
pub const DEPOSIT_BATCH_MAX: usize = 256;
/// Inline records of one batch, all its deposits together: many tiny ones must not unfold into much memory.
pub const DEPOSIT_BATCH_RECORDS_MAX: usize = 8192;
/// Bytes of one batch of deposits; a batch ends early rather than grow past this.
pub const DEPOSIT_BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A receipt with its proof and checkpoint, in bytes.
pub const RECEIPT_BYTES_MAX: usize = CHECKPOINT_BYTES_MAX + PROOF_HASHES_MAX * 32 + 256;
/// One field of a refusal, in bytes.
pub const PROBLEM_BYTES_MAX: usize = 4 * 1024;
/// Addresses in one question "which of these do you miss".
pub const ADDRESS_QUERY_MAX: usize = 4096;
/// Wraps that one act names: with their records they are one deposit. Versions in one question for their newest wraps.
pub const REWRAP_MAX: usize = 4096;
/// Pieces of one snapshot of a view, of at most a chunk each: a hundred million records.
pub const SNAPSHOT_PIECES_MAX: usize = 7000;
/// Versions sealed anew that one act names.
pub const RESEAL_MAX: usize = 4096;
/// A wrap, in bytes: 168 in the suites of this release.
pub const WRAP_BYTES_MAX: usize = 4096;
/// Ledger entries in one page of the log.
pub const LOG_PAGE_ENTRIES_MAX: usize = 1024;
/// Bytes of one page of the log: a page ends early rather than grow past this.
pub const LOG_PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Data shards of a code.
pub const DATA_SHARDS_MAX: u8 = 10;
/// Data and parity shards of a code together.
pub const SHARDS_MAX: u8 = 14;
/// How far a device's clock may be ahead of the vault's, in milliseconds, before its entry is refused.
pub const CLOCK_AHEAD_MS_MAX: u64 = 15 * 60 * 1000;
/// A text of evidence, in bytes: 4,096 failures of an audit, or 16 timestamps with their certificates.
pub const EVIDENCE_BYTES_MAX: usize = 1024 * 1024;
/// Lines of a report of an audit.
pub const EVIDENCE_REPORT_LINES_MAX: usize = 4096 + 64;
/// Timestamps of one evidence: one in a few years, for as long as records are kept.
pub const EVIDENCE_TIMESTAMPS_MAX: usize = 64;
/// Timestamped heads of one hospital that a vault keeps and a package has: one a week for longer than records are kept.
pub const TIMESTAMPED_HEADS_MAX: usize = 8192;
/// Versions that one act is about: half of a document.
pub const ACT_VERSIONS_MAX: usize = 8192;
/// Versions of one grant: their ids and sealed keys together are three quarters of a document.
pub const SHARE_VERSIONS_MAX: usize = 4096;
/// Key that a share is sealed to, or encapsulated key, in bytes: X-Wing has 1,216 and 1,120.
pub const SHARE_ENCAPSULATED_BYTES_MAX: usize = 2048;
/// Bucket and beginning of names that a machine may deposit under, sealed, in bytes.
pub const DEVICE_SCOPE_BYTES_MAX: usize = 2048;
/// Grants in one answer of the vault: the newest, as many as fit a page of the log.
pub const SHARE_OFFERS_MAX: usize = 4096;
/// An enrolment, in bytes: three keys, a pin and a signature.
pub const ENROLMENT_BYTES_MAX: usize = 1024;
/// The hospital's own reference to the case of a hold, sealed, in bytes.
pub const HOLD_NOTE_BYTES_MAX: usize = 512;
/// Holds that keep one version at the same time.
pub const HOLDS_MAX: usize = 256;
/// Entries that one disposal order names, 56 bytes each.
pub const ORDER_ITEMS_MAX: usize = 4096;
/// Approvals of one order.
pub const APPROVALS_MAX: usize = 16;
/// Addresses in one list of removals, so that it is one record.
pub const REMOVALS_MAX: usize = 512 * 1024;
/// Lists of removals of one order.
pub const REMOVAL_LISTS_MAX: usize = 64;
/// Copies that a certificate of disposal names: 100 TiB in segments of 1 GiB, six copies each, and more.
pub const CERTIFICATE_COPIES_MAX: usize = 1024 * 1024;
/// Media that it names.
pub const CERTIFICATE_MEDIA_MAX: usize = 4096;
/// One text in it, in bytes.
pub const CERTIFICATE_TEXT_BYTES_MAX: usize = 256;
/// The whole certificate, in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Missing deposits that a reconciliation names.
pub const RECONCILED_MISSING_MAX: usize = 4096;
/// Files of a package that is handed over: 256 TiB in files of 1 GiB.
pub const PACKAGE_FILES_MAX: usize = 256 * 1024;
/// Records that a package names as missing: a vault that lost more than these is not handed over but salvaged.
pub const PACKAGE_MISSING_MAX: usize = 1024 * 1024;
/// The manifest of a package, in bytes: every file with the longest path, every missing record, and the rest.
pub const PACKAGE_MANIFEST_BYTES_MAX: usize =
    PACKAGE_FILES_MAX * (4 + 256 + 40) + PACKAGE_MISSING_MAX * 32 + CHECKPOINT_BYTES_MAX + 512;

const _: () = {
    assert!(CHUNK_PLAIN_BYTES_MIN <= CHUNK_PLAIN_BYTES_DEFAULT && CHUNK_PLAIN_BYTES_DEFAULT <= CHUNK_PLAIN_BYTES_MAX);
    assert!(RECORD_BYTES_MAX > CHUNK_PLAIN_BYTES_MAX as usize * 112 / 100);
    assert!(DEPOSIT_BYTES_MAX > RECORD_BYTES_MAX);
    assert!(DEPOSIT_BATCH_BYTES_MAX > DEPOSIT_BYTES_MAX);
    assert!(DEPOSIT_BATCH_RECORDS_MAX > DEPOSIT_RECORDS_MAX && DEPOSIT_BATCH_RECORDS_MAX >= 32 * DEPOSIT_BATCH_MAX);
    assert!(MANIFEST_PAGE_ENTRIES_MAX * 68 < RECORD_BYTES_MAX);
    assert!(MANIFEST_INLINE_ENTRIES_MAX <= MANIFEST_PAGE_ENTRIES_MAX);
    assert!(OBJECT_CHUNKS_MAX as u64 * (CHUNK_PLAIN_BYTES_MAX as u64) >= OBJECT_BYTES_MAX);
    assert!(4 + ADDRESS_LIST_MAX * 32 < RECORD_BYTES_MAX);
    assert!(FACTS_BYTES_MAX + FACTS_BYTES_MAX / 50 + 256 < SUMMARY_BYTES_MAX);
    assert!(SUMMARY_BYTES_MAX < LOG_PAGE_BYTES_MAX);
    assert!(LIFECYCLE_RULES_MAX * (NAME_BYTES_MAX + LIFECYCLE_RULE_ID_BYTES_MAX + 32) < SUMMARY_BYTES_MAX / 2);
    assert!(DOCUMENT_BYTES_MAX < RECORD_BYTES_MAX && DOCUMENT_BYTES_MAX <= SUMMARY_BYTES_MAX);
    assert!(DEPOSIT_BYTES_MAX + EVIDENCE_RECORDS_MAX * 38 + 256 < EVIDENCE_HEAD_BYTES_MAX);
    assert!(SHARE_VERSIONS_MAX * 48 + SHARE_ENCAPSULATED_BYTES_MAX + 256 < DOCUMENT_BYTES_MAX);
    assert!(BUCKET_BYTES_MAX + NAME_BYTES_MAX + 256 < DEVICE_SCOPE_BYTES_MAX);
    assert!(ACT_VERSIONS_MAX * 16 <= DOCUMENT_BYTES_MAX / 2);
    assert!(REWRAP_MAX < DEPOSIT_RECORDS_MAX && REWRAP_MAX * 48 + 32 <= DOCUMENT_BYTES_MAX);
    assert!(RESEAL_MAX * 32 + 64 <= DOCUMENT_BYTES_MAX);
    assert!(SNAPSHOT_PIECES_MAX * 36 + 256 <= DOCUMENT_BYTES_MAX);
    assert!(REWRAP_MAX * (WRAP_BYTES_MAX + 64) < DEPOSIT_BYTES_MAX);
    assert!(ORDER_ITEMS_MAX * 56 + 512 <= DOCUMENT_BYTES_MAX);
    assert!(12 + REMOVALS_MAX * 32 < RECORD_BYTES_MAX);
    assert!(DATA_SHARDS_MAX < SHARDS_MAX);
};
