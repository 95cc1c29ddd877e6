//! Acts and their documents.

use super::{Made, World, append, put};
use shosoin_protocol::act::{
    Act, ActKind, Author, Document, Hold, HoldReason, Incident, IncidentClass, Release, Severity,
};
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::{Digest, VersionId};

pub fn all() -> Vec<Made> {
    let [one, two] = World::both();
    [entries(&one), entries(&two), documents(), wrong_documents()].concat()
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
        (Some(VersionId([7; 16])), Document::Hold(Hold { reason: HoldReason::Litigation })),
        (Some(VersionId([7; 16])), Document::Release(Release { hold: VersionId([8; 16]) })),
        (None, Document::Incident(incident)),
    ]
}

fn entries(world: &World) -> Vec<Made> {
    let made = stated().into_iter().map(|(subject, document)| {
        let kind = document.kind();
        let act = Act { id: VersionId([9; 16]), kind, subject, document: world.suite.address(&document.encode()) };
        let (signer, note) = match kind.author() {
            Author::Hospital => (&world.device_key, "An act of the hospital, signed by a device."),
            Author::Operator => (&world.vault_key, "An act of the operator, signed by the vault."),
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
    made.collect()
}

fn wrong_documents() -> Vec<Made> {
    let hold = document(ActKind::Hold, "valid", "", &stated()[0].1);
    let incident = document(ActKind::Incident, "valid", "", &stated()[2].1);
    vec![
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
        incident.wrong("incident-class", "Class 0.", ("Invalid", "class of an incident"), put(8, &[0])),
        incident.wrong("incident-severity", "Severity 4.", ("Invalid", "severity of an incident"), put(9, &[4])),
        incident
            .wrong("incident-truncated", "Ends inside the scene.", ("Truncated", "digest"), |body| body.truncate(60)),
    ]
}
