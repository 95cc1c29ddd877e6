//! One value of each structure, encoded by the real code, and the bytes that each field should be.
//!
//! Fields hold values that differ, so a field at another's place shows.

use super::table::Structure;
use bytes::Bytes;
use shosoin_protocol::act::agreement::*;
use shosoin_protocol::act::{
    Act, ActKind, Custody, DeviceRole, Document, Epoch, EpochReason, Export, ExportScope, Hold, HoldReason, Incident,
    IncidentClass, KeySource, Lock, LockMode, MonthReport, QuarantineIn, QuarantineOut, QuarantineOutcome,
    QuarantineReason, QuarantinedThing, Release, Remark, RemarkWord, Reopened, Reseal, Retain, RetentionChange, Rewrap,
    Role, Severity, Snapshot, SnapshotPiece, StopCause, Stopped, SuitePolicy, TransferFailure, Versions, WitnessRule,
};
use shosoin_protocol::answer::{Answer, Outcome, Said};
use shosoin_protocol::api::{
    DepositBatch, DepositReplies, DepositRequest, DeviceReply, Enrolment, InlineRecord, LogItem, LogPage, Problem,
    VersionReply, WrapsReply, encode_addresses, encode_versions,
};
use shosoin_protocol::bucket_rules::{BucketRules, DefaultLock, LifecycleRule, LockPeriod};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::codec::Writer;
use shosoin_protocol::entry::{Body, Deposit, DeviceChange, Entry, Expected, NameChange, PlacedEntry, Seen, Statement};
use shosoin_protocol::envelope::{Context, Encapsulated, HEADER_LEN, write_aad};
use shosoin_protocol::malware::{Engine, MalwareReport, ScanResult};
use shosoin_protocol::manifest::*;
use shosoin_protocol::medium::{MediumBatch, MediumCheck, MediumKind, MediumManifest, MediumPlace, MediumVerdict};
use shosoin_protocol::note::{KeyUse, VerifierKey};
use shosoin_protocol::package::{Package, PackageFile, PackageState};
use shosoin_protocol::policy::{DepositPolicy, Label, RecordType, Retention};
use shosoin_protocol::quarantine::{EvidenceHead, EvidenceRecord};
use shosoin_protocol::receipt::{Durable, Inclusion, Receipt};
use shosoin_protocol::reconciliation::{Account, Amount, Reconciliation};
use shosoin_protocol::sign::{Domain, SigningKey};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{
    Address, DeviceId, Digest, HospitalId, LogId, NameToken, RecordKind, Suite, VaultId, VersionId,
};

pub(super) type Fields = Vec<(&'static str, Vec<u8>)>;

pub(super) fn whole(encoded: Vec<u8>, fields: Fields) -> Structure {
    let ends_at = encoded.len();
    Structure { encoded, begins_at: 0, ends_at, fields }
}

pub(super) fn part(encoded: Vec<u8>, begins_at: usize, ends_at: usize, fields: Fields) -> Structure {
    Structure { encoded, begins_at, ends_at, fields }
}

/// Every structure this crate encodes, by the title of its table.
pub fn all() -> Vec<(&'static str, Structure)> {
    let mut all = envelopes();
    all.extend(facts_and_manifests());
    all.extend(summaries());
    all.extend(entries());
    all.extend(documents());
    all.extend(receipts());
    all.extend(messages());
    all.push(reconciliation());
    all.push(malware_report());
    all.push(audit_answer());
    all.extend(packages());
    all.extend(handovers());
    all.extend(shares());
    all
}

pub(super) fn var(bytes: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.var(bytes);
    out.finish()
}

pub(super) fn counted(count: u32, pieces: &[&[u8]]) -> Vec<u8> {
    [&count.to_le_bytes(), pieces.concat().as_slice()].concat()
}

pub(super) fn u32(value: u32) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

pub(super) fn u64(value: u64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

pub(super) const VERSION: VersionId = VersionId([0xa1; 16]);
pub(super) const HOSPITAL: HospitalId = HospitalId([0xa2; 16]);
pub(super) const LOG: LogId = LogId([0xa3; 16]);
pub(super) const TIME: u64 = 0x0102_0304_0506_0708;

fn envelopes() -> Vec<(&'static str, Structure)> {
    let aad = |context: Context| write_aad(Suite::Cryptrec, 0, HOSPITAL, &context, &[0xcc; 32], 0x0a0b);
    let chunk = write_aad(Suite::Cryptrec, 7, HOSPITAL, &Context::Chunk, &[0xcc; 32], 0x0a0b);
    let header = vec![
        ("magic", b"shsn".to_vec()),
        ("version", vec![1]),
        ("suite", vec![2]),
        ("type", vec![1]),
        ("class", vec![7]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("sealed length", u32(0x0a0b)),
        ("reserved", vec![0; 4]),
    ];
    let page = Context::Manifest { version: VERSION, page: 3, pages: 9, salt: [0xb1; 32] };
    let wrap = Context::Wrap { version: VERSION, epoch: 4, wrap_no: 5, salt: [0xb2; 32] };
    let summary = Context::Summary { version: VERSION, salt: [0xb3; 32] };
    let between = |context: Context, fields| part(aad(context), HEADER_LEN, HEADER_LEN + context.len(), fields);
    let version = ("version", VERSION.0.to_vec());
    vec![
        ("Envelope header", part(chunk, 0, HEADER_LEN, header)),
        (
            "Context of a manifest page",
            between(page, vec![version.clone(), ("page", u32(3)), ("pages", u32(9)), ("salt", vec![0xb1; 32])]),
        ),
        (
            "Context of a wrap",
            between(wrap, vec![version.clone(), ("epoch", u32(4)), ("wrap number", u32(5)), ("salt", vec![0xb2; 32])]),
        ),
        ("Context of a summary", between(summary, vec![version.clone(), ("salt", vec![0xb3; 32])])),
        (
            "Context of what is sealed to the hospital",
            between(
                Context::HospitalWrap { version: VERSION, to: Encapsulated::X25519([0xb4; 32]) },
                vec![version, ("KEM", vec![1]), ("reserved", vec![0; 3]), ("encapsulated key", vec![0xb4; 32])],
            ),
        ),
    ]
}

fn chunk() -> ChunkRef {
    ChunkRef { address: Address([0xd1; 32]), t: [0xd2; 32], plain_len: 77 }
}

fn encoded_chunk() -> Vec<u8> {
    [vec![0xd1; 32], vec![0xd2; 32], u32(77)].concat()
}

fn pairs(name: &str, value: &str) -> (Pairs, Vec<u8>) {
    (vec![(name.to_owned(), value.to_owned())], counted(1, &[&var(name.as_bytes()), &var(value.as_bytes())]))
}

fn checksum(algorithm: ChecksumAlgorithm, fill: u8) -> (Checksum, Vec<u8>) {
    let value = vec![fill; algorithm.value_len()];
    let encoded = [vec![algorithm as u8, 1], value.clone()].concat();
    (Checksum { algorithm, full_object: true, value }, encoded)
}

fn encoded_part() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("number", vec![9, 0]),
        ("size", u64(77)),
        ("MD5", vec![0xe1; 16]),
        ("plain digest", vec![0xe2; 32]),
        ("checksum", checksum(ChecksumAlgorithm::Sha1, 0xe3).1),
    ]
}

fn encoded_signer() -> Fields {
    vec![("standing", vec![1]), ("certificate", vec![0xe5; 32]), ("anchor", vec![0xe6; 32]), ("claimed", u64(TIME))]
}

fn document_signature() -> (DocumentSignature, Fields) {
    let signer = DocumentSigner {
        standing: SignerStanding::Trusted,
        certificate: Digest([0xe5; 32]),
        anchor: Some(Digest([0xe6; 32])),
        claimed_ms: Some(TIME),
    };
    let fields = vec![
        ("form", vec![1]),
        ("judged", u64(TIME)),
        ("signature", var(&[0xe7; 5])),
        ("signers", counted(1, &[&flat(&encoded_signer())])),
    ];
    (DocumentSignature { judged_ms: TIME, cms: vec![0xe7; 5], signers: vec![signer] }, fields)
}

fn flat(fields: &[(&'static str, Vec<u8>)]) -> Vec<u8> {
    fields.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
}

fn facts() -> (ObjectFacts, Fields) {
    let (headers, headers_encoded) = pairs("content-type", "application/dicom");
    let (metadata, metadata_encoded) = pairs("modality", "CT");
    let (tags, tags_encoded) = pairs("study", "1");
    let (of_object, of_object_encoded) = checksum(ChecksumAlgorithm::Crc64Nvme, 0xe4);
    let facts = ObjectFacts {
        bucket: "bucket".to_owned(),
        name: "a name".to_owned(),
        size_bytes: 77,
        modified_ms: TIME,
        null_version: false,
        multipart: true,
        headers,
        metadata,
        tags,
        checksum: Some(of_object),
        parts: vec![PartFact {
            number: 9,
            size_bytes: 77,
            md5: [0xe1; 16],
            plain_digest: Digest([0xe2; 32]),
            checksum: Some(checksum(ChecksumAlgorithm::Sha1, 0xe3).0),
        }],
        signature: Some(document_signature().0),
    };
    let fields = vec![
        ("bucket", var(b"bucket")),
        ("name", var(b"a name")),
        ("size", u64(77)),
        ("modified", u64(TIME)),
        ("flags", vec![10]),
        ("headers", headers_encoded),
        ("user metadata", metadata_encoded),
        ("tags", tags_encoded),
        ("checksum", of_object_encoded),
        ("parts", counted(1, &[&flat(&encoded_part())])),
        ("signature", flat(&document_signature().1)),
    ];
    (facts, fields)
}

fn facts_and_manifests() -> Vec<(&'static str, Structure)> {
    let (facts, fields) = facts();
    let mut out = Writer::new();
    facts.write(&mut out);
    let encoded = out.finish();
    let (signature, signature_fields) = document_signature();
    let parts_end = encoded.len() - flat(&signature_fields).len();
    let parts_at = parts_end - flat(&encoded_part()).len();
    let checksum_fields = vec![("algorithm", vec![4]), ("full object", vec![1]), ("value", vec![0xe3; 20])];
    let mut signature_encoded = Writer::new();
    signature.write(&mut signature_encoded);
    let signature_encoded = signature_encoded.finish();
    let signer_encoded = signature_encoded[signature_encoded.len() - 73..].to_vec();
    let root = ManifestRoot { facts: facts.clone(), inline: vec![chunk()], pages: Vec::new(), chunk_count: 1 };
    let paged = ManifestRoot { facts, inline: Vec::new(), pages: vec![Address([0xd3; 32])], chunk_count: 300 };
    let chunks = counted(1, &[&encoded_chunk()]);
    let root_fields = |count, inline, pages| {
        vec![("facts", encoded.clone()), ("chunk count", u32(count)), ("inline", inline), ("pages", pages)]
    };
    let paged_fields = root_fields(300, u32(0), counted(1, &[&[0xd3; 32]]));
    assert_eq!(paged.encode(), flat(&paged_fields));
    let list = AddressList::new(vec![Address([2; 32]), Address([1; 32])]);
    let chunk_fields = vec![("address", vec![0xd1; 32]), ("t", vec![0xd2; 32]), ("plain length", u32(77))];
    vec![
        ("Chunk reference", whole(encode_page(&[chunk()])[4..].to_vec(), chunk_fields)),
        ("Checksum", whole(encoded[parts_end - 22..parts_end].to_vec(), checksum_fields)),
        ("Part", whole(encoded[parts_at..parts_end].to_vec(), encoded_part())),
        ("Document signature", whole(signature_encoded, signature_fields)),
        ("Signer of a document", whole(signer_encoded, encoded_signer())),
        ("Object facts", whole(encoded.clone(), fields)),
        ("Manifest root", whole(root.encode(), root_fields(1, chunks.clone(), u32(0)))),
        ("Manifest page", whole(encode_page(&[chunk()]), vec![("chunks", chunks)])),
        ("Address list", whole(list.encode(), vec![("addresses", counted(2, &[&[1; 32], &[2; 32]]))])),
    ]
}

fn policy() -> (DepositPolicy, Fields) {
    let retention = Retention::Term { term_days: 1827, start_ms: Some(TIME) };
    let record_type = RecordType::from_number(13).expect("a type of the table");
    let fields = vec![
        ("record type", vec![13, 0]),
        ("label", vec![2]),
        ("retention kind", vec![2]),
        ("term", u32(1827)),
        ("start", u64(TIME)),
    ];
    (DepositPolicy { record_type, label: Label::Restricted, retention }, fields)
}

/// Rules of a bucket, their fields, and the fields of the one lifecycle rule in them.
fn bucket_rules() -> (BucketRules, Fields, Fields) {
    let rule = LifecycleRule {
        id: "r".to_owned(),
        enabled: true,
        prefix: "p/".to_owned(),
        expire_days: 11,
        expire_markers: true,
        noncurrent_days: 12,
        noncurrent_kept: 13,
        abort_days: 14,
    };
    let fields = vec![
        ("id", var(b"r")),
        ("enabled", vec![1]),
        ("expire markers", vec![1]),
        ("reserved", vec![0; 2]),
        ("prefix", var(b"p/")),
        ("expire days", u32(11)),
        ("noncurrent days", u32(12)),
        ("noncurrent kept", u32(13)),
        ("abort days", u32(14)),
    ];
    let default_lock = Some(DefaultLock { mode: LockMode::Compliance, period: LockPeriod::Years(5) });
    let all = vec![
        ("object lock", vec![1]),
        ("mode", vec![2]),
        ("unit", vec![2]),
        ("reserved", vec![0]),
        ("period", u32(5)),
        ("lifecycle", [u32(1), flat(&fields)].concat()),
    ];
    (BucketRules { object_lock: true, default_lock, lifecycle: vec![rule] }, all, fields)
}

fn summaries() -> Vec<(&'static str, Structure)> {
    let (facts, fields) = facts();
    let (policy, policy_fields) = policy();
    let [bucket, name] = ["bucket", "a name"].map(str::to_owned);
    let place = [("bucket", var(b"bucket")), ("name", var(b"a name"))];
    let (tags, tags_encoded) = pairs("study", "1");
    let (rules, rules_fields, rule_fields) = bucket_rules();
    let state = BucketFacts {
        bucket: bucket.clone(),
        created_ms: TIME,
        deleted: true,
        versioning: Versioning::Suspended,
        chunk_plain_bytes: 1 << 20,
        dedup_class: 5,
        codec: 1,
        policy,
        rules,
    };
    let encoded = Summary::Bucket(state.clone()).encode();
    let end_of = |fields: &Fields| encoded[encoded.len() - flat(fields).len()..].to_vec();
    let rules_of = whole(end_of(&rules_fields), rules_fields.clone());
    let rule_of = whole(end_of(&rule_fields), rule_fields);
    let bucket_fields = vec![
        ("kind", vec![3]),
        place[0].clone(),
        ("created", u64(TIME)),
        ("deleted", vec![1]),
        ("versioning", vec![2]),
        ("chunk size", u32(1 << 20)),
        ("dedup class", vec![5]),
        ("codec", vec![1]),
        ("policy", flat(&policy_fields)),
        ("rules", flat(&rules_fields)),
    ];
    let of_name = |kind: u8, rest: Fields| [vec![("kind", vec![kind])], place.to_vec(), rest].concat();
    let marker = Summary::Marker { bucket: bucket.clone(), name: name.clone(), modified_ms: TIME, null_version: true };
    let tagged = Summary::Tags { bucket: bucket.clone(), name: name.clone(), version: VERSION, tags };
    let withdrawn = Summary::Withdrawn { bucket, name, version: VERSION };
    let version = ("version", VERSION.0.to_vec());
    let mut out = Writer::new();
    policy.write(&mut out);
    vec![
        (
            "Summary of an object",
            whole(Summary::Object(facts).encode(), vec![("kind", vec![1]), ("facts", flat(&fields))]),
        ),
        (
            "Summary of a marker",
            whole(marker.encode(), of_name(2, vec![("modified", u64(TIME)), ("null version", vec![1])])),
        ),
        ("Summary of a bucket", whole(Summary::Bucket(state).encode(), bucket_fields)),
        ("Rules of a bucket", rules_of),
        ("Lifecycle rule", rule_of),
        ("Summary of tags", whole(tagged.encode(), of_name(4, vec![version.clone(), ("tags", tags_encoded)]))),
        ("Summary of a withdrawal", whole(withdrawn.encode(), of_name(5, vec![version]))),
        ("Deposit policy", whole(out.finish(), policy_fields)),
    ]
}

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Suite::Default, &[seed; 32].into()).expect("a constant that is a scalar")
}

pub(super) fn public(seed: u8) -> Vec<u8> {
    let mut out = Writer::new();
    key(seed).public().write(&mut out);
    out.finish()
}

fn statement(body: Body) -> Statement {
    Statement {
        suite: Suite::Default,
        log: LOG,
        hospital: HOSPITAL,
        device: DeviceId([0xa4; 16]),
        device_seq: 11,
        prev: Digest([0xa5; 32]),
        seen: Seen { size: 12, root: Digest([0xa6; 32]) },
        claimed_ms: TIME,
        body,
    }
}

fn deposit() -> (Entry, Fields) {
    let (policy, policy_fields) = policy();
    let expected = VersionId([0xb0; 16]);
    let deposit = Deposit {
        version: VERSION,
        expected: Expected::Version(expected),
        name_token: NameToken([0xb1; 32]),
        manifest: Address([0xb2; 32]),
        address_root: Digest([0xb3; 32]),
        address_list: Address([0xb4; 32]),
        address_count: 13,
        stored_bytes: 14,
        dek_commit: Digest([0xb5; 32]),
        wrap: Address([0xb6; 32]),
        summary: Address([0xb7; 32]),
        policy,
        report: None,
    };
    let fields = vec![
        ("version", VERSION.0.to_vec()),
        ("expected kind", vec![2]),
        ("expected version", expected.0.to_vec()),
        ("name token", vec![0xb1; 32]),
        ("manifest", vec![0xb2; 32]),
        ("address root", vec![0xb3; 32]),
        ("address list", vec![0xb4; 32]),
        ("address count", u32(13)),
        ("stored bytes", u64(14)),
        ("dek commit", vec![0xb5; 32]),
        ("wrap", vec![0xb6; 32]),
        ("summary", vec![0xb7; 32]),
        ("policy", flat(&policy_fields)),
    ];
    (Entry::sign(statement(Body::Deposit(Box::new(deposit))), &key(1)), fields)
}

/// A deposit with a malware report: the body of one without, and the address.
fn reported(deposit: &Entry) -> (&'static str, Structure) {
    let without = deposit.bytes()[144..429].to_vec();
    let mut statement = deposit.statement().clone();
    if let Body::Deposit(deposit) = &mut statement.body {
        deposit.report = Some(Address([0xb9; 32]));
    }
    let entry = Entry::sign(statement, &key(1));
    let fields = vec![("deposit", without), ("report", vec![0xb9; 32])];
    ("Body of a deposit with a malware report", part(entry.bytes().to_vec(), 144, 461, fields))
}

fn malware_report() -> (&'static str, Structure) {
    let (hospital, device) = (HOSPITAL, DeviceId([0xa4; 16]));
    let engine = Engine { release: [1, 4, 3], definitions_version: 0x1a, definitions_ms: TIME };
    let (result, content) = (ScanResult::NotScannable, Digest([0xba; 32]));
    let suite = Suite::Default;
    let report = MalwareReport {
        suite,
        result,
        hospital,
        version: VERSION,
        device,
        engine,
        pieces: 9,
        scanned_ms: TIME + 1,
        content,
    };
    let bytes = report.sign(&key(1));
    let signature = bytes[120..].to_vec();
    let fields = vec![
        ("magic", b"shmr".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("result", vec![2]),
        ("engine", vec![1]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("object version", VERSION.0.to_vec()),
        ("device", vec![0xa4; 16]),
        ("release", vec![1, 0, 4, 0, 3, 0]),
        ("reserved", vec![0; 2]),
        ("definitions", u32(0x1a)),
        ("pieces", u32(9)),
        ("made", u64(TIME)),
        ("scanned", u64(TIME + 1)),
        ("content mark", vec![0xba; 32]),
        ("signature", signature),
    ];
    ("Malware report", whole(bytes, fields))
}

fn entries() -> Vec<(&'static str, Structure)> {
    let (deposit, deposit_fields) = deposit();
    let change = NameChange {
        version: VERSION,
        expected: Expected::Absent,
        name_token: NameToken([0xb1; 32]),
        summary: Address([0xb7; 32]),
    };
    let marker = Entry::sign(statement(Body::Marker(change)), &key(1));
    let device = DeviceChange::certify(LOG, true, key(2).public(), &key(1));
    let device_fields = vec![("change", vec![1]), ("key", public(2)), ("certificate", device.certificate.0.to_vec())];
    let device = Entry::sign(statement(Body::Device(device)), &key(1));
    let act =
        Act { id: VERSION, kind: ActKind::Hold, subject: Some(VersionId([0xb8; 16])), document: Address([0xb9; 32]) };
    let act = Entry::sign(statement(Body::Act(act)), &key(1));
    let act_fields = vec![
        ("id", VERSION.0.to_vec()),
        ("act kind", vec![3, 0]),
        ("reserved", vec![0; 6]),
        ("subject", vec![0xb8; 16]),
        ("document", vec![0xb9; 32]),
    ];
    let header = vec![
        ("magic", b"shse".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("kind", vec![1]),
        ("reserved", vec![0]),
        ("log", LOG.0.to_vec()),
        ("hospital", HOSPITAL.0.to_vec()),
        ("device", vec![0xa4; 16]),
        ("device sequence", u64(11)),
        ("previous", vec![0xa5; 32]),
        ("seen size", u64(12)),
        ("seen root", vec![0xa6; 32]),
        ("claimed time", u64(TIME)),
    ];
    let marker_fields = vec![
        ("version", VERSION.0.to_vec()),
        ("expected kind", vec![1]),
        ("expected version", vec![0; 16]),
        ("name token", vec![0xb1; 32]),
        ("summary", vec![0xb7; 32]),
    ];
    let body = |entry: &Entry, fields| part(entry.bytes().to_vec(), 144, entry.bytes().len() - 64, fields);
    let placed = PlacedEntry { index: 15, accepted_ms: TIME, entry: deposit.clone() };
    let placed_fields = vec![("leaf index", u64(15)), ("accepted", u64(TIME)), ("entry", deposit.bytes().to_vec())];
    vec![
        ("Entry header", part(deposit.bytes().to_vec(), 0, 144, header)),
        ("Body of a deposit", body(&deposit, deposit_fields)),
        reported(&deposit),
        ("Body of a marker or policy entry", body(&marker, marker_fields)),
        ("Body of a device entry", body(&device, device_fields)),
        ("Body of an act", body(&act, act_fields)),
        ("Placed entry", whole(placed.encode(), placed_fields)),
    ]
}

fn documents() -> Vec<(&'static str, Structure)> {
    let header =
        vec![("magic", b"shdc".to_vec()), ("version", vec![1]), ("reserved", vec![0]), ("act kind", vec![3, 0])];
    let versions = Versions::new(vec![VersionId([0xba; 16])]).unwrap_or_default();
    let listed = counted(1, &[&[0xba; 16]]);
    let hold = Hold { reason: HoldReason::Audit, versions: versions.clone(), note: vec![0xbb; 3] };
    let hold = Document::Hold(hold).encode();
    let lock = RetentionChange::Bypass(Some(Lock { mode: LockMode::Compliance, until_ms: TIME }));
    let retention = Document::Retention(Retain { change: lock, versions }).encode();
    let release = Document::Release(Release { hold: VERSION }).encode();
    let (class, severity) = (IncidentClass::Access, Severity::Grave);
    let scene = Some(Digest([0xba; 32]));
    let incident = Incident { class, severity, noticed_ms: TIME, began_ms: Some(TIME - 1), scene };
    let incident = Document::Incident(incident).encode();
    let incident_fields = vec![
        ("class", vec![3]),
        ("severity", vec![3]),
        ("reserved", vec![0; 6]),
        ("noticed", u64(TIME)),
        ("began", u64(TIME - 1)),
        ("scene", vec![0xba; 32]),
    ];
    let (reason, source, custody) = (EpochReason::LeakKnown, KeySource::Root, Custody::Token);
    let epoch = Epoch { number: 6, reason, source, custody, commit: Digest([0xbb; 32]) };
    let epoch = Document::Epoch(epoch).encode();
    let epoch_fields = vec![
        ("number", u32(6)),
        ("reason", vec![5]),
        ("source", vec![1]),
        ("custody", vec![2]),
        ("reserved", vec![0]),
        ("commit", vec![0xbb; 32]),
    ];
    let wraps = vec![(VersionId([2; 16]), Address([0xbd; 32])), (VersionId([1; 16]), Address([0xbc; 32]))];
    let rewrap = Document::Rewrap(Rewrap::new(7, wraps).expect("two versions")).encode();
    let wraps = counted(2, &[&[1; 16], &[0xbc; 32], &[2; 16], &[0xbd; 32]]);
    let witness = VerifierKey { name: "w".to_owned(), key: key(1).public(), key_use: KeyUse::Cosignature };
    let named = sha256(&[witness.to_string().as_bytes()]).0;
    let witness = Document::Witness(WitnessRule::new(1, &[witness]).expect("one of one")).encode();
    let witness_fields = vec![("required", vec![1]), ("reserved", vec![0; 7]), ("witnesses", counted(1, &[&named]))];
    let change = DeviceChange::certify(LogId([1; 16]), true, key(2).public(), &key(1));
    let mut device = Writer::new();
    change.key.write(&mut device);
    let certificate = change.certificate.0.to_vec();
    let snapshot = Document::Snapshot(Box::new(Snapshot {
        form: 5,
        log_size: 9,
        root: Digest([0xc1; 32]),
        rows: 7,
        salt: [0xc2; 32],
        device: change.key,
        certificate: change.certificate,
        pieces: vec![SnapshotPiece { plain_len: 3, address: Address([0xc3; 32]) }],
    }))
    .encode();
    let snapshot_fields = vec![
        ("form", vec![5]),
        ("reserved", vec![0; 7]),
        ("log size", u64(9)),
        ("root", vec![0xc1; 32]),
        ("rows", u64(7)),
        ("salt", vec![0xc2; 32]),
        ("device", device.finish()),
        ("certificate", certificate),
        ("pieces", counted(1, &[&u32(3), &[0xc3; 32]])),
    ];
    let pairs = vec![(VersionId([2; 16]), VersionId([4; 16])), (VersionId([1; 16]), VersionId([3; 16]))];
    let reseal = Document::Reseal(Reseal::new(Some(HospitalId([0xbe; 16])), pairs).expect("two pairs")).encode();
    let pairs = counted(2, &[&[1; 16], &[3; 16], &[2; 16], &[4; 16]]);
    let policy = SuitePolicy { minimum: Suite::Cryptrec, successor: Some(HospitalId([0xbf; 16])) };
    let policy = Document::SuitePolicy(policy).encode();
    let policy_fields = vec![("minimum", vec![2]), ("reserved", vec![0; 7]), ("successor", vec![0xbf; 16])];
    let export = Export { scope: ExportScope::Chosen, as_of_ms: Some(TIME), versions: 3, list: Digest([0xc0; 32]) };
    let export = Document::Export(export).encode();
    let export_fields = vec![
        ("scope", vec![2]),
        ("reserved", vec![0; 7]),
        ("as of", u64(TIME)),
        ("versions", u64(3)),
        ("list", vec![0xc0; 32]),
    ];
    let role = DeviceRole { device: DeviceId([0xc1; 16]), role: Role::DepositOnly, scope: vec![0xc2; 5] };
    let role = Document::DeviceRole(role).encode();
    let role_fields =
        vec![("device", vec![0xc1; 16]), ("role", vec![1]), ("reserved", vec![0; 7]), ("scope", var(&[0xc2; 5]))];
    let body = |bytes: &[u8], fields| part(bytes.to_vec(), 8, bytes.len(), fields);
    let (agreement, agreement_fields) = agreement();
    vec![
        ("Agreement", body(&agreement, agreement_fields)),
        ("Device role", body(&role, role_fields)),
        ("Epoch", body(&epoch, epoch_fields)),
        ("Export", body(&export, export_fields)),
        ("Witness", body(&witness, witness_fields)),
        ("Snapshot", body(&snapshot, snapshot_fields)),
        ("Reseal", body(&reseal, vec![("successor", vec![0xbe; 16]), ("pairs", pairs)])),
        ("Suite policy", body(&policy, policy_fields)),
        ("Rewrap", body(&rewrap, vec![("epoch", u32(7)), ("wraps", wraps)])),
        ("Document header", part(hold.clone(), 0, 8, header)),
        (
            "Hold",
            body(
                &hold,
                vec![
                    ("reason", vec![4]),
                    ("reserved", vec![0; 7]),
                    ("versions", listed.clone()),
                    ("note", var(&[0xbb; 3])),
                ],
            ),
        ),
        (
            "Retention",
            body(
                &retention,
                vec![
                    ("change", vec![5]),
                    ("mode", vec![2]),
                    ("reserved", vec![0; 2]),
                    ("term days", u32(0)),
                    ("moment", u64(TIME)),
                    ("versions", listed),
                ],
            ),
        ),
        ("Release", body(&release, vec![("hold", VERSION.0.to_vec())])),
        ("Quarantine in", body(&quarantine_in().0, quarantine_in().1)),
        ("Quarantine out", body(&quarantine_out().0, quarantine_out().1)),
        ("Communication stopped", body(&stopped().0, stopped().1)),
        ("Communication reopened", body(&reopened().0, reopened().1)),
        ("Evidence head", evidence_head()),
        ("Medium manifest", medium_manifest()),
        ("Medium check", medium_check()),
        ("Incident", body(&incident, incident_fields)),
        ("Report", body(&report().0, report().1)),
        ("Remark", body(&remark().0, remark().1)),
    ]
}

fn report() -> (Vec<u8>, Fields) {
    let amount = |count| Amount { count, bytes: count + 1 };
    let said = MonthReport {
        year: 2026,
        month: 4,
        digest: Digest([0xb1; 32]),
        log_size: 9,
        log_root: Digest([0xb2; 32]),
        received: amount(10),
        held: amount(20),
        given_out: amount(30),
        disposed: amount(40),
        incidents: 3,
    };
    let both = |count: u64| [u64(count), u64(count + 1)].concat();
    let fields = vec![
        ("year", 2026u16.to_le_bytes().to_vec()),
        ("month", vec![4]),
        ("reserved", vec![0]),
        ("incidents", u32(3)),
        ("digest", vec![0xb1; 32]),
        ("log size", u64(9)),
        ("log root", vec![0xb2; 32]),
        ("received", both(10)),
        ("held", both(20)),
        ("given out", both(30)),
        ("disposed", both(40)),
    ];
    (Document::Report(Box::new(said)).encode(), fields)
}

fn remark() -> (Vec<u8>, Fields) {
    let said = Remark { report: VERSION, word: RemarkWord::Objects, text: Some(Digest([0xb3; 32])) };
    let fields =
        vec![("report", VERSION.0.to_vec()), ("word", vec![2]), ("reserved", vec![0; 7]), ("text", vec![0xb3; 32])];
    (Document::Remark(said).encode(), fields)
}

fn quarantine_in() -> (Vec<u8>, Fields) {
    let (reason, thing) = (QuarantineReason::Signature, QuarantinedThing::Deposit);
    let (taken_ms, until_ms, evidence) = (TIME, TIME + 1, Digest([0xbd; 32]));
    let version = Some(VERSION);
    let said = QuarantineIn { reason, thing, version, taken_ms, until_ms, records: 5, left_out: 6, bytes: 7, evidence };
    let fields = vec![
        ("reason", vec![3]),
        ("thing", vec![1]),
        ("reserved", vec![0; 6]),
        ("version", VERSION.0.to_vec()),
        ("taken", u64(TIME)),
        ("until", u64(TIME + 1)),
        ("records", u32(5)),
        ("left out", u32(6)),
        ("bytes", u64(7)),
        ("evidence", vec![0xbd; 32]),
    ];
    (Document::QuarantineIn(said).encode(), fields)
}

fn quarantine_out() -> (Vec<u8>, Fields) {
    let outcome = QuarantineOutcome::Destroyed;
    let said = QuarantineOut { quarantined: VERSION, outcome, intact: true, request: 8 };
    let fields = vec![
        ("quarantined", VERSION.0.to_vec()),
        ("outcome", vec![2]),
        ("intact", vec![1]),
        ("reserved", vec![0; 6]),
        ("request", u64(8)),
    ];
    (Document::QuarantineOut(said).encode(), fields)
}

fn stopped() -> (Vec<u8>, Fields) {
    let last = TransferFailure::Digest;
    let said = Stopped { last, failures: 5, window_minutes: 6, first_ms: TIME, stopped_ms: TIME + 1 };
    let fields = vec![
        ("last", vec![2]),
        ("reserved", vec![0; 7]),
        ("failures", u32(5)),
        ("window", u32(6)),
        ("first", u64(TIME)),
        ("stopped", u64(TIME + 1)),
    ];
    (Document::Stopped(said).encode(), fields)
}

fn reopened() -> (Vec<u8>, Fields) {
    let said = Reopened { stopped: VERSION, cause: StopCause::Attack, request: 9 };
    let fields =
        vec![("stopped", VERSION.0.to_vec()), ("cause", vec![4]), ("reserved", vec![0; 7]), ("request", u64(9))];
    (Document::Reopened(said).encode(), fields)
}

fn evidence_head() -> Structure {
    let record = EvidenceRecord { came_along: true, kind: RecordKind::Wrap, len: 0x0403, address: Address([0xbe; 32]) };
    let head = EvidenceHead {
        reason: QuarantineReason::Infected,
        thing: QuarantinedThing::Chunk,
        suite: Suite::Cryptrec,
        hospital: HOSPITAL,
        id: VERSION,
        taken_ms: TIME,
        left_out: 3,
        claimed: Address([0xbf; 32]),
        entry: vec![0xc0; 4],
        records: vec![record],
    };
    let row = [&[1, RecordKind::Wrap.code(), 3, 4, 0, 0][..], &[0xbe; 32]].concat();
    let fields = vec![
        ("magic", b"shqe".to_vec()),
        ("version", vec![1]),
        ("reason", vec![2]),
        ("thing", vec![2]),
        ("suite", vec![2]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("id", VERSION.0.to_vec()),
        ("taken", u64(TIME)),
        ("left out", u32(3)),
        ("claimed", vec![0xbf; 32]),
        ("entry", var(&[0xc0; 4])),
        ("records", counted(1, &[&row])),
    ];
    whole(head.encode(), fields)
}

const PLACE: MediumPlace = MediumPlace { shipment: VERSION, number: 2, of: 3 };

fn medium_manifest() -> Structure {
    let key = key(8);
    let log = LogId([0xc1; 16]);
    let device = DeviceChange::certify(log, true, key.public(), &key);
    let mut device_key = Writer::new();
    device.key.write(&mut device_key);
    let certificate = device.certificate.0.to_vec();
    let manifest = MediumManifest {
        suite: Suite::Default,
        kind: MediumKind::Disk,
        hospital: HOSPITAL,
        log,
        place: PLACE,
        packed_ms: TIME,
        device,
        chunks: vec![(Address([0xc2; 32]), 5)],
        batches: vec![MediumBatch { len: 6, digest: Digest([0xc3; 32]) }],
    };
    let encoded = manifest.sign(&key);
    let signature = encoded[encoded.len() - 64..].to_vec();
    let fields = vec![
        ("magic", b"shmm".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("kind", vec![2]),
        ("reserved", vec![0]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("log", vec![0xc1; 16]),
        ("shipment", VERSION.0.to_vec()),
        ("number", vec![2, 0]),
        ("media", vec![3, 0]),
        ("reserved", vec![0; 4]),
        ("packed", u64(TIME)),
        ("device key", device_key.finish()),
        ("certificate", certificate),
        ("chunks", counted(1, &[&[0xc2; 32], &[5, 0, 0, 0]])),
        ("batches", counted(1, &[&[6, 0, 0, 0], &[0xc3; 32]])),
        ("signature", signature),
    ];
    assert_eq!(MediumManifest::verify(&encoded, &key.public()).ok(), Some(manifest));
    whole(encoded, fields)
}

fn medium_check() -> Structure {
    let key = key(9);
    let mut station = Writer::new();
    key.public().write(&mut station);
    let check = MediumCheck {
        verdict: MediumVerdict::Foreign,
        connected: true,
        station: key.public(),
        hospital: HOSPITAL,
        place: PLACE,
        manifest: Digest([0xc4; 32]),
        engine: Engine { release: [1, 4, 3], definitions_version: 7, definitions_ms: TIME },
        files: 8,
        bytes: 9,
        checked_ms: TIME + 1,
    };
    let encoded = check.sign(&key);
    let signature = encoded[encoded.len() - 64..].to_vec();
    let fields = vec![
        ("magic", b"shmc".to_vec()),
        ("version", vec![1]),
        ("verdict", vec![3]),
        ("connected", vec![1]),
        ("reserved", vec![0]),
        ("station", station.finish()),
        ("hospital", HOSPITAL.0.to_vec()),
        ("shipment", VERSION.0.to_vec()),
        ("number", vec![2, 0]),
        ("media", vec![3, 0]),
        ("reserved", vec![0; 4]),
        ("manifest", vec![0xc4; 32]),
        ("engine", vec![1, 0, 4, 0, 3, 0]),
        ("reserved", vec![0; 2]),
        ("definitions", u32(7)),
        ("definitions made", u64(TIME)),
        ("files", u64(8)),
        ("bytes", u64(9)),
        ("checked", u64(TIME + 1)),
        ("signature", signature),
    ];
    assert_eq!(MediumCheck::verify(&encoded).ok(), Some(check));
    assert!((0..encoded.len()).all(|len| MediumCheck::verify(&encoded[..len]).is_err()));
    whole(encoded, fields)
}

fn agreement() -> (Vec<u8>, Fields) {
    let (hospital, vault) = (HOSPITAL, VaultId([0xa4; 16]));
    let terms = Terms::proposal(Draft { hospital, suite: Suite::Default, vault, now_ms: TIME });
    let rule =
        TypeRule { record_type: RecordType::from_number(2).expect("T4-02"), term_days_min: 11, read_within_s: 12 };
    let (label, deliver) = (Label::Sensitive, Deliver::Grants);
    let terms = Terms {
        number: 13,
        previous: Digest([0xa5; 32]),
        from_ms: TIME + 1,
        line: Line::InternetVpn,
        scan: ScanRule {
            scanning: Scanning::RequiredInPieces,
            definitions_hours_max: 14,
            scan_hours_max: 15,
            packed_hours_max: 16,
        },
        overwrite_passes: 17,
        cool_down_days: 18,
        emergency: Emergency::Other,
        retry: RetryRule { failures_max: 19, window_minutes: 20 },
        quarantine: QuarantineRule { term_days: 21, bytes_max: 22 },
        quota_bytes: 23,
        types: vec![rule],
        labels: vec![LabelRule { label, deliver, copies: Copies::SecondSite, erasure: Erasure::Destroy }],
        notices: vec![NoticeRule { notice: Notice::Quarantine, channel: Channel::Mail, target: 24 }],
        outward: vec![Outward::Mail],
        papers: vec![(Paper::SecurityPolicy, Digest([0xa6; 32]))],
        ..terms
    };
    let agreement = Agreement::draft(terms).sign_as_hospital(&key(1)).sign_as_vault(&key(2));
    let fields = vec![
        ("demonstration", vec![0]),
        ("suite", vec![1]),
        ("reserved", vec![0; 6]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("vault", vec![0xa4; 16]),
        ("number", u32(13)),
        ("reserved", vec![0; 4]),
        ("previous", vec![0xa5; 32]),
        ("made", u64(TIME)),
        ("in force", u64(TIME + 1)),
        ("routes", vec![7]),
        ("line", vec![3]),
        ("copying", vec![3]),
        ("scanning", vec![2]),
        ("erasure", vec![1]),
        ("passes", vec![17]),
        ("emergency", vec![3]),
        ("timestamps", vec![1]),
        ("cool-down", u32(18)),
        ("failures", u32(19)),
        ("window", u32(20)),
        ("definitions", u32(14)),
        ("scan age", u32(15)),
        ("packed age", u32(16)),
        ("quarantine term", u32(21)),
        ("quarantine bytes", u64(22)),
        ("quota", u64(23)),
        ("record types", counted(1, &[&[2, 0], &u32(11), &u32(12)])),
        ("labels", counted(1, &[&[1, 2, 1, 2]])),
        ("notices", counted(1, &[&[4, 3, 24, 0]])),
        ("outward", counted(1, &[&[3]])),
        ("papers", counted(1, &[&[8], &[0xa6; 32]])),
        ("hospital signature", agreement.by_hospital.expect("signed").0.to_vec()),
        ("vault signature", agreement.by_vault.expect("signed").0.to_vec()),
    ];
    (Document::Agreement(Box::new(agreement)).encode(), fields)
}

fn inclusion() -> (Inclusion, Fields) {
    let checkpoint = "a checkpoint\n".to_owned();
    let fields = vec![
        ("leaf index", u64(15)),
        ("accepted", u64(TIME)),
        ("proof", counted(1, &[&[0xc1; 32]])),
        ("checkpoint", var(checkpoint.as_bytes())),
    ];
    (Inclusion { index: 15, accepted_ms: TIME, proof: vec![Digest([0xc1; 32])], checkpoint }, fields)
}

fn receipt() -> Receipt {
    let durable = Durable { level: 2, sites: 3, k: 4, m: 5 };
    Receipt::sign(Digest([0xc2; 32]), inclusion().0, durable, &key(3))
}

fn receipts() -> Vec<(&'static str, Structure)> {
    let (inclusion, inclusion_fields) = inclusion();
    let mut out = Writer::new();
    inclusion.write(&mut out);
    let receipt = receipt();
    let fields = vec![
        ("magic", b"shsr".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("level", vec![2]),
        ("sites", vec![3]),
        ("k", vec![4]),
        ("m", vec![5]),
        ("reserved", vec![0; 2]),
        ("leaf", vec![0xc2; 32]),
        ("inclusion", flat(&inclusion_fields)),
        ("signature", receipt.signature.0.to_vec()),
    ];
    let enrolment = Enrolment {
        suite: Suite::Default,
        hospital: HOSPITAL,
        hospital_key: key(1).public(),
        device_key: key(2).public(),
        tls_pin: [0xc3; 32],
    };
    let enrolment = enrolment.sign(&key(1));
    let enrolment_fields = vec![
        ("magic", b"shsh".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("reserved", vec![0; 2]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("hospital key", public(1)),
        ("device key", public(2)),
        ("TLS pin", vec![0xc3; 32]),
        ("signature", enrolment[enrolment.len() - 64..].to_vec()),
    ];
    let signature = key(1).sign(Domain::Entry, b"message").0.to_vec();
    vec![
        ("Public key", whole(public(1), vec![("suite", vec![1]), ("key", key(1).public().as_bytes().to_vec())])),
        ("Signature", whole(signature.clone(), vec![("signature", signature)])),
        ("Inclusion", whole(out.finish(), inclusion_fields)),
        ("Receipt", whole(receipt.encode(), fields)),
        ("Enrolment", whole(enrolment, enrolment_fields)),
    ]
}

fn reconciliation() -> (&'static str, Structure) {
    let amount = |count| Amount { count, bytes: count + 0x100 };
    let account = Account {
        vault: VaultId([0xd1; 16]),
        hospital: HOSPITAL,
        log_size: 0xd2,
        log_root: Digest([0xd3; 32]),
        time_ms: TIME,
        received: amount(0x16),
        held: amount(0x11),
        given_out: amount(0x12),
        disposed: amount(0x13),
        missing: amount(1),
        missing_leaves: vec![0x77],
    };
    let signed = Reconciliation::sign(account, &key(3));
    let pair = |count| [u64(count), u64(count + 0x100)].concat();
    let fields = vec![
        ("magic", b"shrc".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("reserved", vec![0; 2]),
        ("vault", vec![0xd1; 16]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("log size", u64(0xd2)),
        ("log root", vec![0xd3; 32]),
        ("time", u64(TIME)),
        ("received", pair(0x16)),
        ("held", pair(0x11)),
        ("given out", pair(0x12)),
        ("disposed", pair(0x13)),
        ("missing", pair(1)),
        ("missing leaves", counted(1, &[&u64(0x77)])),
        ("signature", signed.signature.0.to_vec()),
    ];
    ("Reconciliation", whole(signed.encode(), fields))
}

fn audit_answer() -> (&'static str, Structure) {
    let outcome = Outcome::Given { len: 0x0bcd, digest: Digest([0xe4; 32]) };
    let head = Checkpoint {
        vault: VaultId([0xd1; 16]),
        hospital: HOSPITAL,
        size: 3,
        root: Digest([0xe1; 32]),
        time_ms: TIME,
        term: 1,
    };
    let said = Said {
        vault: VaultId([0xd1; 16]),
        hospital: HOSPITAL,
        nonce: [0xe2; 32],
        address: Address([0xe3; 32]),
        outcome,
        time_ms: TIME,
        checkpoint: head.sign(&key(3)),
    };
    let signed = Answer::sign(said, &key(3));
    let fields = vec![
        ("magic", b"shaa".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("outcome", vec![0]),
        ("reserved", vec![0]),
        ("vault", vec![0xd1; 16]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("nonce", vec![0xe2; 32]),
        ("address", vec![0xe3; 32]),
        ("length", u32(0x0bcd)),
        ("digest", vec![0xe4; 32]),
        ("time", u64(TIME)),
        ("checkpoint", var(signed.said.checkpoint.as_bytes())),
        ("signature", signed.signature.0.to_vec()),
    ];
    ("Audit answer", whole(signed.encode(), fields))
}

fn messages() -> Vec<(&'static str, Structure)> {
    let addresses = [Address([2; 32]), Address([1; 32])];
    let query = vec![("addresses", counted(2, &[&[2; 32], &[1; 32]]))];
    let record = InlineRecord { kind: RecordKind::Wrap, bytes: Bytes::from_static(b"bytes") };
    let request = DepositRequest { entry: Bytes::from_static(b"entry"), records: vec![record] };
    let request_fields = vec![("entry", var(b"entry")), ("records", counted(1, &[&[4], &var(b"bytes")]))];
    let batch = DepositBatch { deposits: vec![request.clone()] };
    let batch_fields = vec![("deposits", counted(1, &[&var(&flat(&request_fields))]))];
    let [kind, code, message] = ["refused", "a-code", "a message"].map(str::to_owned);
    let problem = [vec![1], var(b"refused"), var(b"a-code"), var(b"a message")].concat();
    let replies = DepositReplies { replies: vec![Err(Problem { kind, code, message }), Ok(receipt())] };
    let answered = [vec![0], var(&receipt().encode())].concat();
    let replies_fields = vec![("replies", counted(2, &[&problem, &answered]))];
    let device = DeviceReply { next_seq: 16, prev: Digest([0xc4; 32]) };
    let device_fields = vec![("next sequence", u64(16)), ("previous", vec![0xc4; 32])];
    let (inclusion, inclusion_fields) = inclusion();
    let [entry, wrap, manifest] = [&b"entry"[..], b"wrap", b"manifest"].map(Bytes::from_static);
    let version = VersionReply { entry, inclusion, wrap, manifest };
    let version_fields = vec![
        ("entry", var(b"entry")),
        ("inclusion", flat(&inclusion_fields)),
        ("wrap", var(b"wrap")),
        ("manifest", var(b"manifest")),
    ];
    let placed = PlacedEntry { index: 15, accepted_ms: TIME, entry: deposit().0 };
    let item = [var(&placed.encode()), var(b"summary")].concat();
    let page = LogPage { items: vec![LogItem { placed, attachment: Bytes::from_static(b"summary") }] };
    let versions = [VersionId([2; 16]), VersionId([1; 16])];
    let versions_asked = vec![("versions", counted(2, &[&[2; 16], &[1; 16]]))];
    let wraps = WrapsReply { wraps: vec![Bytes::from_static(b"wrap"), Bytes::new()] };
    vec![
        ("Version query", whole(encode_versions(&versions), versions_asked)),
        ("Wraps reply", whole(wraps.encode(), vec![("wraps", counted(2, &[&var(b"wrap"), &var(b"")]))])),
        ("Address query", whole(encode_addresses(&addresses), query)),
        ("Deposit request", whole(request.encode(), request_fields)),
        ("Deposit batch", whole(batch.encode(), batch_fields)),
        ("Deposit replies", whole(replies.encode(), replies_fields)),
        ("Device reply", whole(device.encode(), device_fields)),
        ("Version reply", whole(version.encode(), version_fields)),
        ("Log page", whole(page.encode(), vec![("items", counted(1, &[&item]))])),
    ]
}

fn handovers() -> Vec<(&'static str, Structure)> {
    use shosoin_protocol::act::{HandOverIn, HandOverOut, HandOverWord, Looked, OutState, WordStage};
    let order = ("order", vec![0x31; 16]);
    let out = HandOverOut { state: OutState::Reopened, order: VersionId([0x31; 16]), receiver: VaultId([0x32; 16]) };
    let of_out = vec![("state", vec![2]), ("reserved", vec![0; 7]), order.clone(), ("receiver", vec![0x32; 16])];
    let former_key = key(3).public();
    let taken = HandOverIn {
        order: VersionId([0x31; 16]),
        former: VaultId([0x33; 16]),
        log_size: 0x34,
        log_root: Digest([0x35; 32]),
        package: Digest([0x36; 32]),
        former_key: former_key.clone(),
        head: "head".into(),
    };
    let of_taken = vec![
        order,
        ("former", vec![0x33; 16]),
        ("log size", u64(0x34)),
        ("log root", vec![0x35; 32]),
        ("package", vec![0x36; 32]),
        ("former key", [&[1], former_key.as_bytes()].concat()),
        ("head", var(b"head")),
    ];
    let word = HandOverWord {
        stage: WordStage::Confirmed,
        receiver: VaultId([0x32; 16]),
        receiver_key: Digest([0x37; 32]),
        looked: Looked { versions: 0x38, of: 0x39, confidence_ppm: 0x3a, bad_ppm: 0x3b },
        head: "head".into(),
    };
    let of_word = vec![
        ("stage", vec![2]),
        ("reserved", vec![0; 7]),
        ("receiver", vec![0x32; 16]),
        ("receiver key", vec![0x37; 32]),
        ("versions", u64(0x38)),
        ("of", u64(0x39)),
        ("confidence", u32(0x3a)),
        ("bad", u32(0x3b)),
        ("head", var(b"head")),
    ];
    let body = |document: Document, fields| {
        let bytes = document.encode();
        let end = bytes.len();
        part(bytes, 8, end, fields)
    };
    vec![
        ("Hand-over out", body(Document::HandOverOut(out), of_out)),
        ("Hand-over in", body(Document::HandOverIn(Box::new(taken)), of_taken)),
        ("Hand-over word", body(Document::HandOverWord(Box::new(word)), of_word)),
    ]
}

fn shares() -> Vec<(&'static str, Structure)> {
    use shosoin_protocol::act::{
        ShareAccepted, ShareGrant, ShareKem, SharePurpose, ShareTerms, Unshare, UnshareReason, Versions,
    };
    use shosoin_protocol::share::{Offer, Offers, ShareCard, SharedVersion, SignedEntry};
    let versions = Versions::new(vec![VersionId([2; 16]), VersionId([1; 16])]).expect("two versions");
    let terms = ShareTerms {
        kem: ShareKem::P256,
        purpose: SharePurpose::Opinion,
        recipient: HOSPITAL,
        recipient_key: Digest([0x41; 32]),
        consent: [0x42; 16],
        expires_ms: TIME,
        versions,
    };
    let grant = ShareGrant { terms, encapsulated: vec![0x43; 65], sealed: vec![0x44; 80] };
    let of_grant = vec![
        ("KEM", vec![2]),
        ("purpose", vec![3]),
        ("reserved", vec![0; 6]),
        ("recipient", HOSPITAL.0.to_vec()),
        ("recipient key", vec![0x41; 32]),
        ("consent", vec![0x42; 16]),
        ("expires", u64(TIME)),
        ("versions", counted(2, &[&[1; 16], &[2; 16]])),
        ("encapsulated", var(&[0x43; 65])),
        ("sealed", var(&[0x44; 80])),
    ];
    let unshare = Unshare { reason: UnshareReason::Done };
    let accepted = ShareAccepted { owner: HOSPITAL, grant: Address([0x45; 32]) };
    let card = ShareCard {
        hospital: HOSPITAL,
        hospital_key: key(1).public(),
        kem: ShareKem::X25519,
        share_key: vec![0x46; 32],
    };
    let signed = card.sign(&key(1));
    let of_card = vec![
        ("magic", b"shsi".to_vec()),
        ("version", vec![1]),
        ("KEM", vec![1]),
        ("reserved", vec![0; 2]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("hospital key", [&[1], card.hospital_key.as_bytes()].concat()),
        ("share key", var(&[0x46; 32])),
        ("signature", signed[signed.len() - 64..].to_vec()),
    ];
    let entry = SignedEntry { entry: Bytes::from_static(b"entry"), enrolment: Bytes::from_static(b"enrolment") };
    let of_entry = vec![("entry", var(b"entry")), ("enrolment", var(b"enrolment"))];
    let document = Document::ShareGrant(Box::new(grant)).encode();
    let offer = Offer { owner: HOSPITAL, grant: entry.clone(), document: document.clone().into(), ended: true };
    let of_offer = [HOSPITAL.0.to_vec(), vec![1], vec![0; 7], flat(&of_entry), var(&document)].concat();
    let offers = Offers { offers: vec![offer], left_out: 0x47 };
    let of_offers = vec![("left out", u32(0x47)), ("offers", counted(1, &[&of_offer]))];
    let shared = SharedVersion { deposit: entry.clone(), manifest: Bytes::from_static(b"manifest") };
    let of_shared = vec![("deposit", flat(&of_entry)), ("manifest", var(b"manifest"))];
    let body = |bytes: Vec<u8>, fields| {
        let end = bytes.len();
        part(bytes, 8, end, fields)
    };
    vec![
        ("Share grant", body(document, of_grant)),
        ("Unshare", body(Document::Unshare(unshare).encode(), vec![("reason", vec![2]), ("reserved", vec![0; 7])])),
        (
            "Share accepted",
            body(
                Document::ShareAccepted(accepted).encode(),
                vec![("owner", HOSPITAL.0.to_vec()), ("grant", vec![0x45; 32])],
            ),
        ),
        ("Share card", whole(signed, of_card)),
        ("Signed entry", whole(entry.encode(), of_entry)),
        ("Offers", whole(offers.encode(), of_offers)),
        ("Shared version", whole(shared.encode(), of_shared)),
    ]
}

fn packages() -> Vec<(&'static str, Structure)> {
    let file = PackageFile { path: "a/b".into(), len_bytes: 0xe7, digest: Digest([0xe8; 32]) };
    let of_file = vec![("path", var(b"a/b")), ("length", u64(0xe7)), ("digest", vec![0xe8; 32])];
    let file_bytes: Vec<u8> = of_file.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let package = Package {
        state: PackageState::Closed,
        vault: VaultId([0xe1; 16]),
        hospital: HOSPITAL,
        log: LOG,
        made_ms: TIME,
        log_size: 0xe2,
        log_root: Digest([0xe3; 32]),
        vault_key: key(3).public(),
        records: 0xe4,
        record_bytes: 0xe5,
        checkpoint: "head".into(),
        missing: vec![Address([0xe6; 32])],
        files: vec![file],
    };
    let encoded = package.sign(&key(3));
    let end = encoded.len();
    let fields = vec![
        ("magic", b"shpm".to_vec()),
        ("version", vec![1]),
        ("suite", vec![1]),
        ("state", vec![3]),
        ("reserved", vec![0]),
        ("vault", vec![0xe1; 16]),
        ("hospital", HOSPITAL.0.to_vec()),
        ("log", LOG.0.to_vec()),
        ("made", u64(TIME)),
        ("log size", u64(0xe2)),
        ("log root", vec![0xe3; 32]),
        ("vault key", [&[1], key(3).public().as_bytes()].concat()),
        ("records", u64(0xe4)),
        ("record bytes", u64(0xe5)),
        ("checkpoint", var(b"head")),
        ("missing", counted(1, &[&[0xe6; 32]])),
        ("files", counted(1, &[&file_bytes])),
        ("signature", encoded[end - 64..].to_vec()),
    ];
    let file = encoded[end - 64 - file_bytes.len()..end - 64].to_vec();
    vec![("Package manifest", whole(encoded, fields)), ("File of a package", whole(file, of_file))]
}
