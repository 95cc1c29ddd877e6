//! Orders, approvals, lists of removals and certificates of disposal.

use super::{Made, World, append, flip, put};
use shosoin_protocol::act::{Act, Cancel, DisposalReason, DisposalStep, Disposed, Document, Order, OrderItem, Scope};
use shosoin_protocol::approval::{Approval, ApprovalFile, ApprovedOrder};
use shosoin_protocol::certificate::{Caveat, Certificate, CopyFacts, CopyState, EndedFacts, MediumFacts, ProvedEntry};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::removal::RemovalList;
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{Address, Digest, SegmentId, Suite, VersionId, VolumeId, merkle};

const TIME: u64 = 1_767_225_800_000;
const ORDER: VersionId = VersionId([0x0d; 16]);

pub fn all() -> Vec<Made> {
    let [one, two] = World::both();
    [of_suite(&one), of_suite(&two), removals(), wrong_approvals(&one), wrong_certificates(&one)].concat()
}

/// Who asks, and two who agree.
fn person(suite: Suite, number: u8) -> SigningKey {
    SigningKey::from_seed(suite, &[0x10 + number; 32].into()).expect("a constant that is a scalar")
}

pub fn order(world: &World) -> Order {
    let item = |place: u8| OrderItem {
        leaf_index: place.into(),
        version: VersionId([place; 16]),
        leaf: Digest([0x40 + place; 32]),
    };
    let scope = Scope::These(vec![item(3), item(5)]);
    let requester = person(world.suite, 0);
    Order::sign((world.log, ORDER), DisposalReason::RetentionEnded, scope, 7, TIME + 1_000, &requester)
}

pub fn cancelled() -> Cancel {
    Cancel { order: ORDER }
}

pub fn certified() -> Disposed {
    let step = DisposalStep::Certified { certificate: Digest([0x5e; 32]), serial: 2, pending: 3 };
    Disposed { order: ORDER, step }
}

/// The act by which an end began, with approvals of an order that nobody placed in a ledger.
pub fn stated_begun(world: &World) -> Disposed {
    begun(world, &ApprovedOrder { log: world.log, order: ORDER, leaf: Digest([8; 32]), document: Address([9; 32]) })
}

fn begun(world: &World, approved: &ApprovedOrder) -> Disposed {
    let approvals = [1, 2].map(|number| Approval::sign(approved, TIME, &person(world.suite, number)));
    let step = DisposalStep::Begun {
        order_document: approved.document,
        approvals: approvals.to_vec(),
        removals: vec![Address([0x3c; 32])],
        read_to: 6,
    };
    Disposed { order: ORDER, step }
}

/// An act with its document's bytes.
fn act(world: &World, id: VersionId, document: &Document, key: &SigningKey) -> (Entry, Vec<u8>) {
    let bytes = document.encode();
    let act = Act { id, kind: document.kind(), subject: None, document: world.suite.address(&bytes) };
    let mut statement = world.statement(Body::Act(act));
    statement.device = key.public().device_id();
    (Entry::sign(statement, key), bytes)
}

/// A device, and the order that it placed.
struct Ordered {
    device: Entry,
    ordered: (Entry, Vec<u8>),
    approved: ApprovedOrder,
}

fn ordered(world: &World) -> Ordered {
    let device = world.enrolment_of_device();
    let ordered = act(world, ORDER, &Document::DisposalOrder(order(world)), &world.device_key);
    let approved = ApprovedOrder {
        log: world.log,
        order: ORDER,
        leaf: ordered.0.leaf_hash(),
        document: world.suite.address(&ordered.1),
    };
    Ordered { device, ordered, approved }
}

fn certificate(world: &World) -> Certificate {
    let document = Document::Disposed(begun(world, &ordered(world).approved));
    with_beginning(world, &document)
}

/// A certificate whose ledger has this beginning of an end.
fn with_beginning(world: &World, document: &Document) -> Certificate {
    let Ordered { device, ordered, .. } = ordered(world);
    let begun = act(world, VersionId([0x0e; 16]), document, &world.vault_key);
    let entries = [&device, &ordered.0, &begun.0];
    let (mut frontier, mut nodes) = (merkle::Frontier::default(), std::collections::BTreeMap::new());
    for entry in entries {
        frontier.push(entry.leaf_hash(), |node, hash| {
            nodes.insert(node, hash);
        });
    }
    let (vault, hospital, root) = (world.vault, world.hospital, frontier.root());
    let head = Checkpoint { vault, hospital, size: 3, root, time_ms: TIME + 1, term: 1 };
    let proved = |index: u64, entry: &Entry| ProvedEntry {
        index,
        accepted_ms: TIME,
        entry: entry.bytes().to_vec(),
        proof: merkle::inclusion_proof(index, 3, |node| nodes.get(&node).copied().ok_or(())).expect("a node is there"),
    };
    let copy = |shard: u8, state, caveat| CopyFacts {
        segment: SegmentId([0x51; 16]),
        volume: VolumeId([0x61; 16]),
        shard,
        state,
        passes: 3,
        caveat,
        bytes: 4096,
        at_ms: TIME + 2,
        audit: 77,
        worker: "keeper-1".to_owned(),
    };
    let [class, vendor, model, serial] = ["hdd", "a maker", "a model", "S-1"].map(str::to_owned);
    Certificate {
        vault,
        hospital,
        vault_key: world.vault_key.public(),
        serial: 1,
        issued_ms: TIME + 3,
        checkpoint: head.sign(&world.vault_key),
        ordered: proved(1, &ordered.0),
        order_document: ordered.1,
        device: proved(0, &device),
        begun: proved(2, &begun.0),
        begun_document: begun.1,
        ended: EndedFacts {
            entries: 2,
            records: 9,
            bytes: 36_864,
            shared: 1,
            verified: 8,
            unverified: 1,
            began_ms: TIME + 2,
            ended_ms: TIME + 2,
        },
        copies: vec![copy(0, CopyState::Erased, Caveat::None), copy(1, CopyState::Removed, Caveat::Flash)],
        media: vec![MediumFacts { volume: VolumeId([0x61; 16]), class, vendor, model, serial }],
        earlier: vec![VolumeId([0x62; 16])],
    }
}

fn made_certificate(world: &World, name: &str, note: &str, certificate: &Certificate) -> Made {
    Made::new(format!("certificate/{name}"), "certificate", note, certificate.sign(&world.vault_key))
        .with("key", world.vault_key.public())
        .with("hospital-key", world.hospital_key.public())
        .with("seed", 3)
}

fn made_approval(world: &World) -> Made {
    let order = ordered(world).approved;
    let approval = Approval::sign(&order, TIME, &person(world.suite, 1));
    let name = format!("approval/valid-suite-{}", world.suite.code());
    Made::new(name, "approval", "One person agrees to one order.", ApprovalFile { order, approval }.encode())
}

fn of_suite(world: &World) -> Vec<Made> {
    let name = format!("valid-suite-{}", world.suite.code());
    let note = "Two copies: one erased, one only removed, and remains of earlier ones.";
    vec![made_approval(world), made_certificate(world, &name, note, &certificate(world))]
}

fn removals() -> Vec<Made> {
    let lists = RemovalList::lists([5, 3, 4].map(|byte| Address([byte; 32])).to_vec());
    let good = Made::new("removal-list/valid", "removal-list", "Three addresses.", lists[0].encode());
    vec![
        good.wrong("magic", "Begins like a document.", ("Magic", "list of removals"), put(0, b"shdc")),
        good.wrong("newer-version", "Says version 2.", ("Version", "list of removals"), put(4, &[2])),
        good.wrong("reserved", "A reserved byte is set.", ("Invalid", "reserved bytes"), put(7, &[1])),
        good.wrong("twice", "An address twice.", ("Invalid", "list of removals"), put(44, &[3; 32])),
        good.wrong("many", "More addresses than allowed.", ("OverLimit", "removals"), put(8, &[1, 0, 8])),
        good.wrong("truncated", "Ends inside an address.", ("Truncated", "address"), |body| body.truncate(100)),
        good.wrong("trailing", "One byte follows.", ("Trailing", "list of removals"), append(0)),
        good,
    ]
}

fn wrong_approvals(world: &World) -> Vec<Made> {
    let good = made_approval(world);
    let signature = ("Signature", "approval");
    vec![
        good.wrong("magic", "Begins like an entry.", ("Magic", "approval"), put(0, b"shse")),
        good.wrong("newer-version", "Says version 2.", ("Version", "approval"), put(4, &[2])),
        good.wrong("reserved", "A reserved byte is set.", ("Invalid", "reserved bytes"), put(5, &[1])),
        good.wrong("ledger", "Of another ledger.", signature, flip(8)),
        good.wrong("order", "Of another order.", signature, flip(24)),
        good.wrong("leaf", "Of another entry.", signature, flip(40)),
        good.wrong("document", "Of another document.", signature, flip(72)),
        good.wrong("decided", "At another moment.", signature, flip(137)),
        good.wrong("trailing", "One byte follows.", ("Trailing", "approval"), append(0)),
    ]
}

fn wrong_certificates(world: &World) -> Vec<Made> {
    let good = certificate(world);
    let wrong = |name: &str, note: &str, expect, edit: &dyn Fn(&mut Certificate)| {
        let mut other = good.clone();
        edit(&mut other);
        made_certificate(world, "valid", "", &other).wrong(name, note, expect, |_| ())
    };
    let invalid = |what| ("Invalid", what);
    let bytes = made_certificate(world, "valid", "", &good);
    let approvals = |edit: &dyn Fn(&ApprovedOrder, &mut Vec<Approval>)| {
        let approved = ordered(world).approved;
        let Disposed { order, step } = begun(world, &approved);
        let DisposalStep::Begun { order_document, mut approvals, removals, read_to } = step else {
            unreachable!("an end that begins")
        };
        edit(&approved, &mut approvals);
        let step = DisposalStep::Begun { order_document, approvals, removals, read_to };
        with_beginning(world, &Document::Disposed(Disposed { order, step }))
    };
    let signed = |name: &str, note: &str, expect, certificate: &Certificate| {
        made_certificate(world, "valid", "", certificate).wrong(name, note, expect, |_| ())
    };
    let by_requester = |order: &ApprovedOrder, approvals: &mut Vec<Approval>| {
        approvals[1] = Approval::sign(order, TIME, &person(world.suite, 0));
    };
    vec![
        bytes.wrong("magic", "Begins like an entry.", ("Magic", "certificate"), put(0, b"shse")),
        bytes.wrong("newer-version", "Says version 2.", ("Version", "certificate"), put(4, &[2])),
        bytes.wrong("suite", "Says the other suite.", ("Suite", ""), put(5, &[2])),
        bytes.wrong("serial", "Another number, not signed.", ("Signature", "certificate"), flip(73)),
        bytes.wrong("trailing", "One byte follows.", ("Trailing", "certificate"), append(0)),
        wrong("hospital", "To another hospital.", invalid("certificate"), &|made| made.hospital.0[0] ^= 1),
        wrong("proof", "The order is proved at another place.", ("Proof", "inclusion proof"), &|made| {
            made.ordered.index = 2
        }),
        wrong("order-document", "Another order's document.", invalid("certificate"), &|made| {
            made.order_document[16] ^= 1
        }),
        wrong("device", "The device behind it is missing.", invalid("certificate"), &|made| {
            made.device = made.ordered.clone();
        }),
        wrong("worker", "A worker that moves a terminal's cursor.", invalid("worker"), &|made| {
            made.copies[0].worker = "\u{1b}[2J".to_owned();
        }),
        signed(
            "one-approval",
            "One person agreed.",
            invalid("approvals"),
            &approvals(&|_, approvals| {
                approvals.truncate(1);
            }),
        ),
        signed(
            "approved-twice",
            "One person agreed twice.",
            invalid("approvals"),
            &approvals(&|order, approvals| {
                approvals[1] = Approval::sign(order, TIME + 1, &person(world.suite, 1));
            }),
        ),
        signed("own-approval", "Who asked agreed.", invalid("approvals"), &approvals(&by_requester)),
    ]
}
