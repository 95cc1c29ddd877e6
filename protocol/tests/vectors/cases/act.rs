//! Acts and their documents.

use super::disposal::{cancelled, certified, order, stated_begun};
use super::{Made, World, append, cut, put};
use shosoin_protocol::act::agreement::{Draft, Outward, Paper};
use shosoin_protocol::act::{
    Act, ActKind, Agreement, Author, Custody, DeviceRole, Document, Epoch, EpochReason, Export, ExportScope,
    HandOverIn, HandOverOut, HandOverWord, Hold, HoldReason, Incident, IncidentClass, KeySource, Lock, LockMode,
    Looked, MonthReport, OutState, QuarantineIn, QuarantineOut, QuarantineOutcome, QuarantineReason, QuarantinedThing,
    Release, Remark, RemarkWord, Reopened, Reseal, Retain, RetentionChange, Rewrap, Role, Severity, ShareAccepted,
    ShareGrant, ShareKem, SharePurpose, ShareTerms, Snapshot, SnapshotPiece, StopCause, Stopped, SuitePolicy, Terms,
    TransferFailure, Unshare, UnshareReason, Versions, WitnessRule, WordStage,
};
use shosoin_protocol::entry::{Body, DeviceChange, Entry};
use shosoin_protocol::note::{KeyUse, VerifierKey};
use shosoin_protocol::reconciliation::Amount;
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{Address, DeviceId, Digest, HospitalId, LogId, Suite, VaultId, VersionId};

pub fn all() -> Vec<Made> {
    let [one, two] = World::both();
    [
        entries(&one),
        entries(&two),
        documents(),
        wrong_documents(),
        wrong_operators_documents(),
        wrong_witnesses(),
        snapshots(),
    ]
    .concat()
}

const TIME: u64 = 1_767_225_600_000;

fn listed() -> Versions {
    Versions::new(vec![VersionId([7; 16]), VersionId([6; 16])]).unwrap()
}

/// The further forms of a change of retention.
fn changes() -> Vec<(&'static str, RetentionChange)> {
    let lock = |mode| Lock { mode, until_ms: TIME };
    vec![
        ("term", RetentionChange::Term { term_days: 3652 }),
        ("until", RetentionChange::Until { until_ms: TIME }),
        ("lock", RetentionChange::Lock(lock(LockMode::Compliance))),
        ("bypass", RetentionChange::Bypass(Some(lock(LockMode::Governance)))),
        ("bypass-all", RetentionChange::Bypass(None)),
    ]
}

/// Every document, with the version its act is about.
fn stated() -> Vec<(Option<VersionId>, Document)> {
    let incident = Incident {
        class: IncidentClass::MediumLost,
        severity: Severity::Serious,
        noticed_ms: 1_767_225_600_000,
        began_ms: Some(1_767_139_200_000),
        scene: Some(Digest([0x5c; 32])),
    };
    vec![
        (None, Document::Hold(Hold { reason: HoldReason::Litigation, versions: listed(), note: vec![0x5d; 9] })),
        (Some(VersionId([7; 16])), Document::Release(Release { hold: VersionId([8; 16]) })),
        (None, Document::Incident(incident)),
        (None, Document::Agreement(Box::new(agreement()))),
        (None, Document::Retention(Retain { change: RetentionChange::Start { start_ms: TIME }, versions: listed() })),
        (None, epoch()),
        (None, rewrap()),
        (None, Document::ShareGrant(Box::new(grant()))),
        (Some(VersionId([0x91; 16])), Document::Unshare(Unshare { reason: UnshareReason::ConsentWithdrawn })),
        (Some(VersionId([0x91; 16])), Document::ShareAccepted(accepted())),
        (None, Document::HandOverOut(handed_out())),
        (None, Document::HandOverIn(Box::new(taken_in()))),
        (None, Document::HandOverWord(Box::new(confirmed()))),
        (None, Document::QuarantineIn(quarantined())),
        (None, Document::QuarantineOut(left())),
        (None, export()),
        (None, Document::Report(Box::new(report()))),
        (None, Document::Remark(remark())),
        (None, device_role()),
        (None, Document::Stopped(stopped())),
        (None, Document::Reopened(reopened())),
        (None, Document::DisposalOrder(order(&World::new(Suite::Default)))),
        (None, Document::DisposalCancelled(cancelled())),
        (None, Document::Disposed(stated_begun(&World::new(Suite::Default)))),
        (None, reseal()),
        (None, suite_policy()),
    ]
}

fn report() -> MonthReport {
    let amount = |count| Amount { count, bytes: count * 5_000 };
    MonthReport {
        year: 2026,
        month: 4,
        digest: Digest([0x5e; 32]),
        log_size: 900,
        log_root: Digest([0x5f; 32]),
        received: amount(40),
        held: amount(800),
        given_out: amount(3),
        disposed: amount(7),
        incidents: 1,
    }
}

fn remark() -> Remark {
    Remark { report: VersionId([8; 16]), word: RemarkWord::Asks, text: Some(Digest([0x60; 32])) }
}

fn grant() -> ShareGrant {
    let terms = ShareTerms {
        kem: ShareKem::X25519,
        purpose: SharePurpose::Treatment,
        recipient: HospitalId([0x92; 16]),
        recipient_key: Digest([0x93; 32]),
        consent: [0x94; 16],
        expires_ms: TIME,
        versions: listed(),
    };
    ShareGrant { terms, encapsulated: vec![0x95; 32], sealed: vec![0x96; 80] }
}

fn accepted() -> ShareAccepted {
    ShareAccepted { owner: HospitalId([0x97; 16]), grant: Address([0x98; 32]) }
}

fn handed_out() -> HandOverOut {
    HandOverOut { state: OutState::Closed, order: VersionId([0x71; 16]), receiver: VaultId([0x72; 16]) }
}

fn taken_in() -> HandOverIn {
    let [world, _] = World::both();
    let (head, _) = world.tree(5);
    HandOverIn {
        order: VersionId([0x71; 16]),
        former: world.vault,
        former_key: world.vault_key.public(),
        log_size: 5,
        log_root: head.root,
        package: Digest([0x73; 32]),
        head: head.sign(&world.vault_key),
    }
}

fn confirmed() -> HandOverWord {
    HandOverWord {
        stage: WordStage::Confirmed,
        receiver: VaultId([0x72; 16]),
        receiver_key: Digest([0x74; 32]),
        looked: Looked { versions: 4_603, of: 1_000_000, confidence_ppm: 990_000, bad_ppm: 1_000 },
        head: "text of a head".into(),
    }
}

/// An agreement in suite 1, with a list of each kind.
fn agreement() -> Agreement {
    let [world, _] = World::both();
    let draft = Draft { hospital: world.hospital, suite: world.suite, vault: world.vault, now_ms: 1_767_225_600_000 };
    let mut terms = Terms::proposal(draft);
    terms.types.truncate(2);
    terms.notices.truncate(1);
    terms.outward = vec![Outward::CloudVolumes];
    terms.papers = vec![(Paper::Specification, Digest([0x5d; 32]))];
    Agreement::draft(terms).sign_as_hospital(&world.hospital_key).sign_as_vault(&world.vault_key)
}

fn epoch() -> Document {
    Document::Epoch(Epoch {
        number: 2,
        reason: EpochReason::DeviceLost,
        source: KeySource::Root,
        custody: Custody::Token,
        commit: Digest([0x5d; 32]),
    })
}

/// Two of three witnesses.
fn witnesses() -> WitnessRule {
    let key = |seed: u8| {
        let key = SigningKey::from_seed(Suite::Default, &[seed; 32].into()).expect("a key").public();
        VerifierKey { name: format!("witness.example/{seed}"), key, key_use: KeyUse::Cosignature }
    };
    WitnessRule::new(2, &[key(1), key(2), key(3)]).expect("a rule")
}

fn snapshot(suite: Suite) -> Snapshot {
    let seed = |no: u8| SigningKey::from_seed(suite, &[no; 32].into()).expect("a key");
    let change = DeviceChange::certify(LogId([9; 16]), true, seed(41).public(), &seed(42));
    let piece = |no: u8| SnapshotPiece { plain_len: 4_194_304 - u32::from(no), address: Address([0x70 + no; 32]) };
    Snapshot {
        form: 5,
        log_size: 1_000_000,
        root: Digest([0x71; 32]),
        rows: 4_000_017,
        salt: [0x72; 32],
        device: change.key,
        certificate: change.certificate,
        pieces: vec![piece(0), piece(1)],
    }
}

fn snapshots() -> Vec<Made> {
    let made = |suite| Document::Snapshot(Box::new(snapshot(suite)));
    let good = document(
        ActKind::Snapshot,
        "valid-snapshot",
        "A view of a million entries, in two pieces.",
        &made(Suite::Default),
    );
    let what = ("Invalid", "snapshot");
    vec![
        good.wrong("snapshot-of-nothing", "It stands behind no leaf.", what, put(16, &[0; 8])),
        good.wrong("snapshot-reserved", "A reserved byte is set.", ("Invalid", "reserved"), put(9, &[1])),
        good.wrong("snapshot-empty-piece", "A piece without plain text.", what, put(197, &[0; 4])),
        good.wrong("snapshot-over-limit", "7,001 pieces.", ("OverLimit", "pieces"), put(193, &[0x59, 0x1b])),
        good.wrong("snapshot-truncated", "It ends within a piece.", ("Truncated", "address"), |body| {
            body.truncate(body.len() - 1)
        }),
        good,
        document(
            ActKind::Snapshot,
            "valid-snapshot-cryptrec",
            "The same, of a device of suite 2.",
            &made(Suite::Cryptrec),
        ),
    ]
}

fn wrong_witnesses() -> Vec<Made> {
    let good = document(ActKind::Witness, "valid-witness", "", &Document::Witness(witnesses()));
    let what = ("Invalid", "required witnesses");
    vec![
        good.wrong("witnesses-fewer-than-required", "Four of three.", what, put(8, &[4])),
        good.wrong("witnesses-none-required", "Three are named, none is required.", what, put(8, &[0])),
        good.wrong("witnesses-twice", "One is named twice.", what, |body| body.copy_within(20..52, 52)),
        good.wrong("witnesses-over-limit", "Seventeen.", ("OverLimit", "witnesses"), put(16, &[17])),
        good.wrong("witness-reserved", "A reserved byte is set.", ("Invalid", "reserved"), put(9, &[1])),
        document(
            ActKind::Witness,
            "valid-witness-none",
            "Witnesses are required no more.",
            &Document::Witness(WitnessRule::new(0, &[]).expect("a rule")),
        ),
    ]
}

fn rewrap() -> Document {
    let wrap = |no: u8| (VersionId([no; 16]), Address([0x60 + no; 32]));
    Document::Rewrap(Rewrap::new(2, vec![wrap(8), wrap(7)]).expect("two versions"))
}

fn reseal() -> Document {
    let pair = |no: u8| (VersionId([no; 16]), VersionId([0x70 + no; 16]));
    Document::Reseal(Reseal::new(Some(HospitalId([0x12; 16])), vec![pair(8), pair(7)]).expect("two pairs"))
}

fn export() -> Document {
    let ids = vec![VersionId([8; 16]), VersionId([7; 16])];
    let (scope, list) = (ExportScope::Chosen, Export::list(ids));
    Document::Export(Export { scope, as_of_ms: Some(TIME), versions: 2, list })
}

fn device_role() -> Document {
    Document::DeviceRole(DeviceRole { device: DeviceId([0x61; 16]), role: Role::DepositOnly, scope: vec![0x5f; 9] })
}

fn suite_policy() -> Document {
    Document::SuitePolicy(SuitePolicy { minimum: Suite::Cryptrec, successor: Some(HospitalId([0x12; 16])) })
}

fn entries(world: &World) -> Vec<Made> {
    let made = stated().into_iter().map(|(subject, document)| {
        let kind = document.kind();
        let act = Act { id: VersionId([9; 16]), kind, subject, document: world.suite.address(&document.encode()) };
        let (signer, note) = match kind.author() {
            Author::Hospital => (&world.device_key, "An act of the hospital, signed by a device."),
            Author::Operator => (&world.vault_key, "An act of the operator, signed by the vault."),
            Author::Either => (&world.vault_key, "An act of both, put on the record by the vault, which signed last."),
        };
        let mut statement = world.statement(Body::Act(act));
        statement.device = signer.public().device_id();
        let entry = Entry::sign(statement, signer);
        Made::new(
            format!("entry/valid-act-{}-suite-{}", kind.name(), world.suite.code()),
            "entry",
            note,
            entry.bytes().into(),
        )
        .with("log", world.log)
        .with("hospital", world.hospital)
        .with("key", signer.public())
        .with("hospital-key", world.hospital_key.public())
    });
    let mut made: Vec<Made> = made.collect();
    if world.suite.code() == 1 {
        let good = made[0].clone();
        made.push(good.wrong("act-kind", "An act of kind 999.", ("Invalid", "act kind"), put(160, &[0xe7, 3])));
        made.push(good.wrong(
            "act-reserved",
            "A reserved byte of the act is set.",
            ("Invalid", "reserved"),
            put(162, &[1]),
        ));
    }
    made
}

fn document(kind: ActKind, name: &str, note: &str, document: &Document) -> Made {
    Made::new(format!("document/{name}"), "document", note, document.encode()).with("act-kind", kind.code())
}

fn documents() -> Vec<Made> {
    let made = stated().into_iter().map(|(_, stated)| {
        let kind = stated.kind();
        document(kind, &format!("valid-{}", kind.name()), "Every field is in use.", &stated)
    });
    let of_changes = changes().into_iter().map(|(name, change)| {
        let stated = Document::Retention(Retain::of_subject(change));
        document(ActKind::Retention, &format!("valid-retention-{name}"), "A change of the act's subject.", &stated)
    });
    let end = Document::Disposed(certified());
    let end = document(ActKind::Disposed, "valid-disposed-certified", "A certificate was issued.", &end);
    made.chain(of_changes).chain([end]).collect()
}

/// The document of a kind.
fn of(kind: ActKind) -> Document {
    stated().into_iter().map(|(_, document)| document).find(|document| document.kind() == kind).unwrap()
}

fn quarantined() -> QuarantineIn {
    QuarantineIn {
        reason: QuarantineReason::Report,
        thing: QuarantinedThing::Deposit,
        version: Some(VersionId([7; 16])),
        taken_ms: TIME,
        until_ms: TIME + 30 * 86_400_000,
        records: 5,
        left_out: 1,
        bytes: 70_000,
        evidence: Digest([0x5e; 32]),
    }
}

fn left() -> QuarantineOut {
    let outcome = QuarantineOutcome::HandedOut;
    QuarantineOut { quarantined: VersionId([8; 16]), outcome, intact: true, request: 7 }
}

fn stopped() -> Stopped {
    let last = TransferFailure::Cut;
    Stopped { last, failures: 10, window_minutes: 1440, first_ms: TIME - 3_600_000, stopped_ms: TIME }
}

fn reopened() -> Reopened {
    Reopened { stopped: VersionId([8; 16]), cause: StopCause::Line, request: 7 }
}

fn wrong_operators_documents() -> Vec<Made> {
    let made = |stated: Document| document(stated.kind(), "valid", "", &stated);
    let (inn, out) = (made(Document::QuarantineIn(quarantined())), made(Document::QuarantineOut(left())));
    let (stop, open) = (made(Document::Stopped(stopped())), made(Document::Reopened(reopened())));
    vec![
        inn.wrong("quarantine-in-reason", "Reason 9.", ("Invalid", "reason of quarantine"), put(8, &[9])),
        inn.wrong("quarantine-in-thing", "Thing 3.", ("Invalid", "thing in quarantine"), put(9, &[3])),
        inn.wrong("quarantine-in-reserved", "A reserved byte is set.", ("Invalid", "reserved bytes"), put(15, &[1])),
        out.wrong("quarantine-out-outcome", "Outcome 0.", ("Invalid", "outcome of quarantine"), put(24, &[0])),
        out.wrong("quarantine-out-intact", "Neither intact nor not.", ("Invalid", "intact evidence"), put(25, &[2])),
        stop.wrong("stopped-failure", "Failure 6.", ("Invalid", "failure of a transfer"), put(8, &[6])),
        open.wrong("reopened-cause", "Cause 6.", ("Invalid", "cause of a stop"), put(24, &[6])),
        open.wrong("reopened-trailing", "One byte follows.", ("Trailing", "document"), append(0)),
    ]
}

fn wrong_documents() -> Vec<Made> {
    let hold = document(ActKind::Hold, "valid", "", &stated()[0].1);
    let incident = document(ActKind::Incident, "valid", "", &stated()[2].1);
    let agreement = document(ActKind::Agreement, "valid", "", &stated()[3].1);
    let retention = document(ActKind::Retention, "valid", "", &stated()[4].1);
    let order =
        document(ActKind::DisposalOrder, "valid", "", &Document::DisposalOrder(order(&World::new(Suite::Default))));
    let disposed =
        document(ActKind::Disposed, "valid", "", &Document::Disposed(stated_begun(&World::new(Suite::Default))));
    let twice = |body: &mut Vec<u8>| {
        let last = body.len() - 16;
        body.copy_within(last - 16..last, last);
    };
    let [epoch, rewrap, reseal, policy] =
        [epoch(), rewrap(), reseal(), suite_policy()].map(|stated| document(stated.kind(), "valid", "", &stated));
    let role = document(ActKind::DeviceRole, "valid", "", &device_role());
    let export = document(ActKind::Export, "valid", "", &export());
    let [report, remark] = [Document::Report(Box::new(report())), Document::Remark(remark())]
        .map(|stated| document(stated.kind(), "valid", "", &stated));
    let share = document(ActKind::ShareGrant, "valid", "", &of(ActKind::ShareGrant));
    let unshare = document(ActKind::Unshare, "valid", "", &of(ActKind::Unshare));
    let out = document(ActKind::HandOverOut, "valid", "", &of(ActKind::HandOverOut));
    let word = document(ActKind::HandOverWord, "valid", "", &of(ActKind::HandOverWord));
    let taken = document(ActKind::HandOverIn, "valid", "", &of(ActKind::HandOverIn));
    vec![
        role.wrong("device-role-role", "Role 2.", ("Invalid", "role of a device"), put(24, &[2])),
        role.wrong("device-role-reserved", "A reserved byte is set.", ("Invalid", "reserved"), put(31, &[1])),
        export.wrong("export-scope", "Scope 3.", ("Invalid", "scope of an export"), put(8, &[3])),
        export.wrong("export-reserved", "A reserved byte is set.", ("Invalid", "reserved"), put(15, &[1])),
        share.wrong("share-grant-kem", "KEM 9.", ("Invalid", "KEM"), put(8, &[9])),
        share.wrong("share-grant-purpose", "Purpose 0.", ("Invalid", "purpose"), put(9, &[0])),
        share.wrong("share-grant-reserved", "A reserved byte.", ("Invalid", "reserved"), put(15, &[1])),
        share.wrong("share-grant-consent", "No consent.", ("Invalid", "consent"), put(64, &[0; 16])),
        share.wrong("share-grant-order", "Versions that do not ascend.", ("Invalid", "ascend"), put(92, &[9; 16])),
        share.wrong("share-grant-keys", "A key for one version less.", ("Invalid", "one key for each"), |body| {
            let at = body.len() - 84;
            body[at] -= 32;
            body.truncate(at + 4 + 48);
        }),
        share.wrong("share-grant-trailing", "One byte follows.", ("Trailing", "document"), append(0)),
        unshare.wrong("unshare-reason", "Reason 0.", ("Invalid", "reason"), put(8, &[0])),
        out.wrong("handover-out-state", "State 3.", ("Invalid", "state of a hand-over"), put(8, &[3])),
        taken.wrong("handover-in-key", "A key that is no point.", ("Invalid", "public key"), put(113, &[0xff; 32])),
        word.wrong("handover-word-stage", "Stage 0.", ("Invalid", "stage of a hand-over"), put(8, &[0])),
        word.wrong(
            "handover-word-order-that-looked",
            "An order with figures of a confirmation.",
            ("Invalid", "an order looks at nothing"),
            put(8, &[1]),
        ),
        word.wrong(
            "handover-word-more-than-all",
            "More was looked at than there is.",
            ("Invalid", "no more can be looked at"),
            put(66, &[0xff]),
        ),
        word.wrong("handover-word-share", "Surer than sure.", ("Invalid", "a share is at most all"), put(83, &[1])),
        agreement.wrong("agreement-routes", "No way in at all.", ("Invalid", "routes"), put(104, &[0])),
        agreement.wrong("agreement-line", "Line 9.", ("Invalid", "line"), put(105, &[9])),
        agreement.wrong("agreement-number", "Number 0.", ("Invalid", "number"), put(48, &[0])),
        agreement.wrong(
            "agreement-dispensing-record",
            "Agrees on a dispensing record (1-R1).",
            ("Invalid", "record type"),
            put(160, &[64]),
        ),
        agreement.wrong(
            "agreement-types-twice",
            "The second record type is the first again.",
            ("Invalid", "record types"),
            put(170, &[0]),
        ),
        order.wrong("order-scope", "Scope 3.", ("Invalid", "scope of the order"), put(8, &[3])),
        order.wrong("order-reason", "Reason 9.", ("Invalid", "reason of a disposal"), put(9, &[9])),
        order.wrong("order-reserved", "A reserved byte is set.", ("Invalid", "reserved bytes"), put(13, &[1])),
        order.wrong("order-of-nothing", "No entry.", ("Invalid", "items of an order"), put(24, &[0; 4])),
        order.wrong(
            "order-many",
            "More entries than allowed.",
            ("OverLimit", "items of an order"),
            put(24, &[1, 0x10]),
        ),
        order.wrong("order-twice", "The same entry twice.", ("Invalid", "items of an order"), put(84, &[3])),
        disposed.wrong("disposed-step", "Step 3.", ("Invalid", "step of the disposal"), put(8, &[3])),
        disposed.wrong(
            "disposed-approvals",
            "More approvals than allowed.",
            ("OverLimit", "approvals"),
            put(72, &[17]),
        ),
        retention.wrong("retention-change", "Change 6.", ("Invalid", "change of retention"), put(8, &[6])),
        retention.wrong("retention-unused", "A start with a mode.", ("Invalid", "change of retention"), put(9, &[1])),
        retention.wrong("retention-days", "A start with days.", ("Invalid", "change of retention"), put(12, &[1])),
        retention.wrong("retention-lock-mode", "A lock of mode 3.", ("Invalid", "mode of a lock"), put(8, &[4, 3])),
        retention.wrong("retention-twice", "One version twice.", ("Invalid", "versions of an act"), twice),
        retention.wrong("retention-zero", "A version of zeros.", ("Invalid", "versions of an act"), put(28, &[0; 16])),
        retention.wrong(
            "retention-many",
            "More versions than allowed.",
            ("OverLimit", "versions of one act"),
            put(24, &[1, 0x20]),
        ),
        hold.wrong("hold-note", "A longer note than allowed.", ("OverLimit", "note of the hold"), put(52, &[1, 2])),
        hold.wrong("magic", "Begins like an entry.", ("Magic", "document"), put(0, b"shse")),
        hold.wrong(
            "newer-version",
            "Says version 2, which no release has written.",
            ("Version", "document"),
            put(4, &[2]),
        ),
        hold.wrong("reserved", "The reserved byte is not zero.", ("Invalid", "reserved byte"), put(5, &[1])),
        hold.wrong("other-kind", "A release under an act that is a hold.", ("Invalid", "document"), put(6, &[4])),
        hold.wrong("trailing", "One byte follows.", ("Trailing", "document"), append(0)),
        hold.wrong("hold-reason", "A hold for reason 9.", ("Invalid", "reason of a hold"), put(8, &[9])),
        hold.wrong(
            "hold-reserved",
            "A reserved byte of the hold is set.",
            ("Invalid", "reserved bytes"),
            put(15, &[1]),
        ),
        report.wrong("report-month", "Month 13.", ("Invalid", "month of the report"), put(10, &[13])),
        remark.wrong("remark-word", "Word 4.", ("Invalid", "word of a remark"), put(24, &[4])),
        incident.wrong("incident-class", "Class 0.", ("Invalid", "class of an incident"), put(8, &[0])),
        incident.wrong("incident-severity", "Severity 4.", ("Invalid", "severity of an incident"), put(9, &[4])),
        epoch.wrong(
            "epoch-first",
            "Begins epoch 1, which has no act.",
            ("Invalid", "number of the epoch"),
            put(8, &[1]),
        ),
        epoch.wrong("epoch-reason", "Reason 0.", ("Invalid", "reason of an epoch"), put(12, &[0])),
        epoch.wrong("epoch-source", "A key from source 99.", ("Invalid", "source of an epoch's key"), put(13, &[99])),
        epoch.wrong("epoch-custody", "Custody 99.", ("Invalid", "custody of the root"), put(14, &[99])),
        epoch.wrong("epoch-reserved", "The reserved byte is not zero.", ("Invalid", "reserved byte"), put(15, &[1])),
        rewrap.wrong("rewrap-none", "No wraps.", ("Invalid", "wraps of the act"), |body| {
            body.truncate(12);
            body.extend_from_slice(&[0; 4]);
        }),
        rewrap.wrong("rewrap-epoch", "Wraps of epoch 0.", ("Invalid", "epoch of the wraps"), put(8, &[0])),
        rewrap.wrong("rewrap-order", "Versions are not ascending.", ("Invalid", "wraps of the act"), put(16, &[9; 16])),
        rewrap.wrong("rewrap-twice", "One version twice.", ("Invalid", "wraps of the act"), put(16, &[8; 16])),
        rewrap.wrong("rewrap-too-many", "4,097 wraps.", ("OverLimit", "wraps of the act"), put(12, &[1, 0x10])),
        rewrap.wrong("rewrap-truncated", "The last address lacks a byte.", ("Truncated", "address"), cut(1)),
        reseal.wrong("reseal-none", "No pairs.", ("Invalid", "pairs of the act"), |body| {
            body.truncate(24);
            body.extend_from_slice(&[0; 4]);
        }),
        reseal.wrong("reseal-order", "Not ascending.", ("Invalid", "pairs of the act"), put(28, &[9; 16])),
        reseal.wrong("reseal-twice", "One version twice.", ("Invalid", "pairs of the act"), put(28, &[8; 16])),
        reseal.wrong("reseal-itself", "Its own successor.", ("Invalid", "pairs of the act"), put(44, &[7; 16])),
        reseal.wrong("reseal-too-many", "4,097 pairs.", ("OverLimit", "pairs of the act"), put(24, &[1, 0x10])),
        reseal.wrong("reseal-truncated", "The last id lacks a byte.", ("Truncated", "version id"), cut(1)),
        policy.wrong("suite-policy-suite", "Suite 3.", ("Suite", "suite"), put(8, &[3])),
        policy.wrong("suite-policy-reserved", "A reserved byte is set.", ("Invalid", "reserved bytes"), put(15, &[1])),
        policy.wrong("suite-policy-truncated", "Ends inside the successor.", ("Truncated", "hospital"), cut(1)),
        incident
            .wrong("incident-truncated", "Ends inside the scene.", ("Truncated", "digest"), |body| body.truncate(60)),
    ]
}
