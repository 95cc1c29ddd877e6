//! Entries of the ledger, and the malware report that a deposit brings.

use super::*;

pub(super) fn statement(body: Body) -> Statement {
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

pub(super) fn deposit() -> (Entry, Fields) {
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
pub(super) fn reported(deposit: &Entry) -> (&'static str, Structure) {
    let without = deposit.bytes()[144..429].to_vec();
    let mut statement = deposit.statement().clone();
    if let Body::Deposit(deposit) = &mut statement.body {
        deposit.report = Some(Address([0xb9; 32]));
    }
    let entry = Entry::sign(statement, &key(1));
    let fields = vec![("deposit", without), ("report", vec![0xb9; 32])];
    ("Body of a deposit with a malware report", part(entry.bytes().to_vec(), 144, 461, fields))
}

pub(super) fn malware_report() -> (&'static str, Structure) {
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

pub(super) fn entries() -> Vec<(&'static str, Structure)> {
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
