//! What proves something to whoever was not there: evidence, media, receipts, reconciliations, answers.

use super::*;

pub(super) fn evidence_head() -> Structure {
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

pub(super) fn medium_manifest() -> Structure {
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

pub(super) fn medium_check() -> Structure {
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

pub(super) fn inclusion() -> (Inclusion, Fields) {
    let checkpoint = "a checkpoint\n".to_owned();
    let fields = vec![
        ("leaf index", u64(15)),
        ("accepted", u64(TIME)),
        ("proof", counted(1, &[&[0xc1; 32]])),
        ("checkpoint", var(checkpoint.as_bytes())),
    ];
    (Inclusion { index: 15, accepted_ms: TIME, proof: vec![Digest([0xc1; 32])], checkpoint }, fields)
}

pub(super) fn receipt() -> Receipt {
    let durable = Durable { level: 2, sites: 3, k: 4, m: 5 };
    Receipt::sign(Digest([0xc2; 32]), inclusion().0, durable, &key(3))
}

pub(super) fn receipts() -> Vec<(&'static str, Structure)> {
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

pub(super) fn reconciliation() -> (&'static str, Structure) {
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

pub(super) fn audit_answer() -> (&'static str, Structure) {
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
