//! Documents of acts.

use super::*;

pub(super) fn documents() -> Vec<(&'static str, Structure)> {
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

pub(super) fn report() -> (Vec<u8>, Fields) {
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

pub(super) fn remark() -> (Vec<u8>, Fields) {
    let said = Remark { report: VERSION, word: RemarkWord::Objects, text: Some(Digest([0xb3; 32])) };
    let fields =
        vec![("report", VERSION.0.to_vec()), ("word", vec![2]), ("reserved", vec![0; 7]), ("text", vec![0xb3; 32])];
    (Document::Remark(said).encode(), fields)
}

pub(super) fn quarantine_in() -> (Vec<u8>, Fields) {
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

pub(super) fn quarantine_out() -> (Vec<u8>, Fields) {
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

pub(super) fn stopped() -> (Vec<u8>, Fields) {
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

pub(super) fn reopened() -> (Vec<u8>, Fields) {
    let said = Reopened { stopped: VERSION, cause: StopCause::Attack, request: 9 };
    let fields =
        vec![("stopped", VERSION.0.to_vec()), ("cause", vec![4]), ("reserved", vec![0; 7]), ("request", u64(9))];
    (Document::Reopened(said).encode(), fields)
}

pub(super) fn agreement() -> (Vec<u8>, Fields) {
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
