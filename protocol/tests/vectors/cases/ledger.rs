//! Entries, checkpoints, receipts and proofs.

use super::{Made, World, append, cut, flip, put};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::codec::Writer;
use shosoin_protocol::entry::{Body, DeviceChange, Entry, Expected, PlacedEntry, Seen};
use shosoin_protocol::malware::{Engine, MalwareReport, ScanResult};
use shosoin_protocol::package::{Package, PackageFile, PackageState};
use shosoin_protocol::receipt::{Durable, Inclusion, Receipt, write_proof};
use shosoin_protocol::reconciliation::{Account, Amount, Reconciliation};
use shosoin_protocol::{Address, Digest, LogId, VaultId, VersionId, merkle};

const DURABLE: Durable = Durable { level: 1, sites: 1, k: 4, m: 2 };

pub fn all() -> Vec<Made> {
    let [one, two] = World::both();
    [
        entries(&one),
        entries(&two),
        wrong_entries(&one, &two),
        placed(&one),
        checkpoints(&one, &two),
        wrong_checkpoints(&one),
        receipts(&one, &two),
        reconciliations(&one, &two),
        packages(&one, &two),
        malware_reports(&one, &two),
        proofs(),
    ]
    .concat()
}

fn entry(world: &World, name: &str, note: &str, entry: &Entry) -> Made {
    Made::new(format!("entry/{name}"), "entry", note, entry.bytes().to_vec())
        .with("log", world.log)
        .with("hospital", world.hospital)
        .with("key", world.device_key.public())
        .with("hospital-key", world.hospital_key.public())
}

fn entries(world: &World) -> Vec<Made> {
    let suite = world.suite.code();
    let sign = |body| Entry::sign(world.statement(body), &world.device_key);
    let revoke = DeviceChange::certify(world.log, false, world.vault_key.public(), &world.hospital_key);
    [
        (
            "deposit",
            "A version is deposited over an older one, with record type, label and retention.",
            world.deposit(),
        ),
        ("reported-deposit", "The same, with the address of its malware report.", world.reported_deposit()),
        (
            "marker",
            "A delete marker, whatever the name's newest change is.",
            sign(Body::Marker(world.name_change(Expected::Any))),
        ),
        (
            "policy",
            "Bucket state on a token that was never changed.",
            sign(Body::Policy(world.name_change(Expected::Absent))),
        ),
        (
            "enrol",
            "The first entry of a device enrols it: sequence 0, nothing before it, an empty log seen.",
            world.enrolment_of_device(),
        ),
        ("revoke", "A device states that the hospital revoked another.", sign(Body::Device(revoke))),
    ]
    .map(|(kind, note, made)| entry(world, &format!("valid-{kind}-suite-{suite}"), note, &made))
    .to_vec()
}

fn wrong_entries(world: &World, foreign: &World) -> Vec<Made> {
    let good = entry(world, "valid", "", &world.deposit());
    let mut made = vec![
        good.wrong("empty", "No bytes at all.", ("Truncated", "entry magic"), |body| body.clear()),
        good.wrong("truncated-header", "Ends inside the log id.", ("Truncated", "log id"), |body| body.truncate(20)),
        good.wrong("truncated-signature", "The signature lacks its last byte.", ("Truncated", "signature"), cut(1)),
        good.wrong("trailing", "One byte follows the signature.", ("Trailing", "entry"), append(0)),
        good.wrong("magic", "Begins like a receipt.", ("Magic", "entry"), put(0, b"shsr")),
        good.wrong(
            "newer-version",
            "Says version 2, which no release has written.",
            ("Version", "entry"),
            put(4, &[2]),
        ),
        good.wrong("unknown-suite", "Names suite 3.", ("Suite", "3"), put(5, &[3])),
        good.wrong("other-suite", "Names suite 2 over a signature of suite 1.", ("Signature", "entry"), put(5, &[2])),
        good.wrong("kind", "Kind 9 has no body in this release.", ("Invalid", "entry kind"), put(6, &[9])),
        good.wrong("report", "Kind 6, and no address of a report.", ("Truncated", "address"), |body| {
            body[6] = 6;
            body.truncate(429);
        }),
        good.wrong("type", "Kind 2 over the body of a deposit.", ("Trailing", "entry"), put(6, &[2])),
        good.wrong("reserved", "The reserved byte is not zero.", ("Invalid", "reserved byte"), put(7, &[1])),
        good.wrong("expected-kind", "The condition has kind 3.", ("Invalid", "expected version"), put(160, &[3])),
        good.wrong(
            "expected-unused",
            "The condition is `any`, and its unused bytes are not zero.",
            ("Invalid", "expected version"),
            put(160, &[0]),
        ),
        good.wrong(
            "record-type",
            "A record type that is in no table.",
            ("Invalid", "record type"),
            put(413, &[0xff, 0xff]),
        ),
        good.wrong(
            "dispensing-record",
            "A dispensing record, which may not be kept outside (1-R1).",
            ("Invalid", "record type"),
            put(413, &[64, 0]),
        ),
        good.wrong("label", "Label 3 does not exist.", ("Invalid", "label"), put(415, &[3])),
        good.wrong("retention-kind", "Retention of kind 3.", ("Invalid", "retention"), put(416, &[3])),
        good.wrong(
            "retention-unused",
            "No retention, and a term all the same.",
            ("Invalid", "retention"),
            put(416, &[0]),
        ),
        good.wrong(
            "changed-byte",
            "One bit of the stored size was changed after signing.",
            ("Signature", "entry"),
            flip(309),
        ),
        good.wrong("signature", "One bit of the signature was changed.", ("Signature", "entry"), flip(440)),
        good.wrong("over-limit", "Longer than an entry may be.", ("OverLimit", "entry"), |body| body.resize(4097, 0)),
    ];
    made.push(good.wrong(
        "foreign-hospital",
        "An entry of another hospital.",
        ("Mismatch", "hospital of the entry"),
        |body| {
            *body = foreign.deposit().bytes().to_vec();
        },
    ));
    made.push(good.wrong(
        "replayed-into-another-log",
        "A true entry, made for another vault's log.",
        ("Mismatch", "log of the entry"),
        |body| {
            let mut statement = world.deposit().statement().clone();
            statement.log = LogId::of(VaultId([0x7b; 16]), world.hospital);
            *body = Entry::sign(statement, &world.device_key).bytes().to_vec();
        },
    ));
    made.push(good.wrong(
        "other-device",
        "Signed by a device that it does not name.",
        ("Signature", "entry"),
        |body| {
            *body = Entry::sign(world.deposit().statement().clone(), &world.vault_key).bytes().to_vec();
        },
    ));
    made.push(good.wrong(
        "first-with-previous",
        "Sequence 0, and a previous entry all the same.",
        ("Invalid", "previous entry"),
        |body| {
            body[56..64].fill(0);
        },
    ));
    made.push(good.wrong(
        "seen-empty-with-root",
        "Saw an empty log that had a root.",
        ("Invalid", "seen root"),
        |body| {
            body[96..104].fill(0);
        },
    ));
    made.extend(wrong_devices(world, foreign));
    made
}

fn wrong_devices(world: &World, foreign: &World) -> Vec<Made> {
    let good = entry(world, "valid", "", &world.enrolment_of_device());
    let certified = |change| {
        let mut statement = world.statement(Body::Device(change));
        (statement.device_seq, statement.prev, statement.seen) = (0, Digest([0; 32]), Seen::nothing());
        Entry::sign(statement, &world.device_key).bytes().to_vec()
    };
    let key = world.device_key.public();
    let other_log = DeviceChange::certify(foreign.log, true, key.clone(), &world.hospital_key);
    let not_hospital = DeviceChange::certify(world.log, true, key.clone(), &world.vault_key);
    let mut turned = DeviceChange::certify(world.log, false, key, &world.hospital_key);
    turned.enrol = true;
    let other_suite = DeviceChange::certify(world.log, true, foreign.device_key.public(), &world.hospital_key);
    vec![
        good.wrong(
            "device-change",
            "The change is neither enrolment nor revocation.",
            ("Invalid", "device change"),
            put(144, &[2]),
        ),
        good.wrong(
            "certificate-replayed-into-another-log",
            "The hospital certified the device for another log.",
            ("Signature", "device certificate"),
            |body| *body = certified(other_log),
        ),
        good.wrong(
            "certificate-not-of-the-hospital",
            "Some other key certified the device.",
            ("Signature", "device certificate"),
            |body| *body = certified(not_hospital),
        ),
        good.wrong(
            "certificate-turned",
            "A certificate of revocation, used to enrol.",
            ("Signature", "device certificate"),
            |body| *body = certified(turned),
        ),
        good.wrong(
            "device-of-other-suite",
            "A device key of suite 2 in an entry of suite 1.",
            ("Suite", "2"),
            |body| *body = certified(other_suite),
        ),
    ]
}

fn placed(world: &World) -> Vec<Made> {
    let placed = PlacedEntry { index: 41, accepted_ms: 1_767_225_600_900, entry: world.deposit() };
    let good =
        Made::new("placed-entry/valid", "placed-entry", "An entry at leaf 41, as it is stored.", placed.encode());
    let wrong = good.wrong("truncated", "Ends inside the acceptance time.", ("Truncated", "accepted time"), |body| {
        body.truncate(12)
    });
    vec![good, wrong]
}

fn checkpoint(world: &World, name: &str, note: &str, text: String) -> Made {
    let made = Made::new(format!("checkpoint/{name}"), "checkpoint", note, text.into_bytes());
    made.with("key", world.vault_key.public())
}

fn checkpoints(one: &World, two: &World) -> Vec<Made> {
    let signed = |world: &World, size| world.tree(size).0.sign(&world.vault_key);
    let empty = Checkpoint { size: 0, root: merkle::empty_root(), ..one.tree(1).0 };
    let cosigned = signed(one, 13) + "\u{2014} witness.example/w1 AAAAAAECAwQFBgcICQ==\n";
    vec![
        checkpoint(one, "valid-suite-1", "Ed25519, as type 0x01 of signed notes.", signed(one, 13)),
        checkpoint(two, "valid-suite-2", "ECDSA P-256 in DER, as type 0x02 of signed notes.", signed(two, 13)),
        checkpoint(one, "valid-empty-log", "The head of a log without entries.", empty.sign(&one.vault_key)),
        checkpoint(one, "valid-cosigned", "A second line by a signer we do not know is left alone.", cosigned),
    ]
}

fn wrong_checkpoints(world: &World) -> Vec<Made> {
    let good = checkpoint(world, "valid", "", world.tree(13).0.sign(&world.vault_key));
    let text = |from: &'static str, to: &'static str| {
        move |body: &mut Vec<u8>| {
            let text = String::from_utf8(body.clone()).expect("a checkpoint is text");
            assert!(text.contains(from), "{from} is in the text");
            *body = text.replacen(from, to, 1).into_bytes();
        }
    };
    let canonical = ("Invalid", "canonical form");
    let line = ("Invalid", "a signature line");
    vec![
        good.wrong("leading-zero", "The size has a leading zero.", canonical, text("\n13\n", "\n013\n")),
        good.wrong("plus-sign", "The size has a sign.", canonical, text("\n13\n", "\n+13\n")),
        good.wrong(
            "size-too-large",
            "The size does not fit 64 bits.",
            ("Invalid", "a number"),
            text("\n13\n", "\n18446744073709551616\n"),
        ),
        good.wrong("negative-term", "The term is negative.", ("Invalid", "a number"), text("term 1", "term -1")),
        good.wrong(
            "upper-case-origin",
            "The vault id is in upper case.",
            ("Invalid", "vault id"),
            text("/7a7a", "/7A7a"),
        ),
        good.wrong("foreign-origin", "Another kind of log.", ("Invalid", "origin"), text("shosoin/", "example/")),
        good.wrong(
            "swapped-extensions",
            "Term before time.",
            ("Invalid", "fourth line"),
            text("time 1767225601000\nterm 1", "term 1\ntime 1767225601000"),
        ),
        good.wrong("extra-line", "A sixth line.", ("Invalid", "five lines"), text("term 1\n", "term 1\nnote 1\n")),
        good.wrong(
            "carriage-return",
            "Lines end as on other systems.",
            ("Invalid", "hospital id"),
            text("\n13\n", "\r\n13\r\n"),
        ),
        good.wrong(
            "no-blank-line",
            "Nothing parts text and signatures.",
            ("Invalid", "no blank line"),
            text("\n\n", "\n"),
        ),
        good.wrong("no-signature", "The text alone.", ("Invalid", "newline"), |body| {
            let end = body.windows(2).position(|pair| pair == b"\n\n").expect("it has signatures");
            body.truncate(end + 2);
        }),
        good.wrong("no-last-newline", "The last line does not end.", ("Invalid", "newline"), cut(1)),
        good.wrong("hyphen", "A hyphen where the dash belongs.", line, text("\u{2014} ", "- ")),
        good.wrong("garbage-line", "A line after the signature that is none.", line, |body| {
            body.extend_from_slice(b"hello\n")
        }),
        good.wrong(
            "other-name",
            "Signed under the name of another log.",
            ("Signature", "checkpoint"),
            text("\u{2014} shosoin/7a", "\u{2014} shosoin/7b"),
        ),
        good.wrong(
            "changed-size",
            "The size was raised after signing.",
            ("Signature", "checkpoint"),
            text("\n13\n", "\n14\n"),
        ),
        good.wrong(
            "rolled-back",
            "The size was lowered after signing.",
            ("Signature", "checkpoint"),
            text("\n13\n", "\n12\n"),
        ),
        good.wrong("over-limit", "Longer than a checkpoint may be.", ("OverLimit", "checkpoint"), |body| {
            body.resize(8193, b'\n')
        }),
        good.wrong("not-utf-8", "Not text.", ("Invalid", "UTF-8"), put(0, &[0xff])),
        good.wrong(
            "other-vault-key",
            "The text of one vault, signed by another key.",
            ("Signature", "checkpoint"),
            |body| {
                *body = world.tree(13).0.sign(&world.device_key).into_bytes();
            },
        ),
    ]
}

fn receipts(one: &World, two: &World) -> Vec<Made> {
    let receipt = |world: &World, durable| {
        let (head, proof) = world.tree(13);
        let checkpoint = head.sign(&world.vault_key);
        let inclusion = Inclusion { index: 12, accepted_ms: 1_767_225_600_900, proof, checkpoint };
        Receipt::sign(world.deposit().leaf_hash(), inclusion, durable, &world.vault_key)
    };
    let made = |world: &World, name: &str, note: &str| {
        let made = Made::new(format!("receipt/{name}"), "receipt", note, receipt(world, DURABLE).encode());
        made.with("leaf", world.deposit().leaf_hash()).with("key", world.vault_key.public())
    };
    let good = made(one, "valid-suite-1", "Leaf 12 of 13, durable at level D1 on 4 + 2 volumes.");
    let again = |edit: fn(&mut Receipt)| {
        move |body: &mut Vec<u8>| {
            let mut wrong = receipt(one, DURABLE);
            edit(&mut wrong);
            *body = Receipt::sign(wrong.leaf, wrong.inclusion, wrong.durable, &one.vault_key).encode();
        }
    };
    let mut all = vec![
        good.wrong("magic", "Begins like an entry.", ("Magic", "receipt"), put(0, b"shse")),
        good.wrong("newer-version", "Says version 2.", ("Version", "receipt"), put(4, &[2])),
        good.wrong("other-suite", "Names suite 2 over a signature of suite 1.", ("Suite", "2"), put(5, &[2])),
        good.wrong("level", "Level 0 promises nothing.", ("Invalid", "durable"), put(6, &[0])),
        good.wrong("sites", "Level 1 on two sites.", ("Invalid", "durable"), put(7, &[2])),
        good.wrong("no-parity", "A code without parity.", ("Invalid", "durable"), put(9, &[0])),
        good.wrong("reserved", "A reserved byte is not zero.", ("Invalid", "reserved bytes"), put(10, &[1])),
        good.wrong("proof-count", "More hashes than any proof has.", ("OverLimit", "proof hashes"), put(60, &[129])),
        good.wrong("trailing", "One byte follows the signature.", ("Trailing", "receipt"), append(0)),
        good.wrong("truncated", "The signature lacks its last byte.", ("Truncated", "signature"), cut(1)),
        good.wrong("signature", "The acceptance time was changed after signing.", ("Signature", "receipt"), flip(52)),
        good.wrong(
            "index",
            "Signed, but the entry is not at that leaf.",
            ("Proof", "inclusion"),
            again(|receipt| receipt.inclusion.index = 11),
        ),
        good.wrong(
            "reordered-proof",
            "Signed, but the proof goes another way.",
            ("Proof", "inclusion"),
            again(|receipt| receipt.inclusion.proof.reverse()),
        ),
        good.wrong(
            "other-entry",
            "A true receipt, for another entry.",
            ("Mismatch", "entry of the receipt"),
            again(|receipt| receipt.leaf = Digest([9; 32])),
        ),
    ];
    all.push(made(two, "valid-suite-2", "The same under suite 2."));
    all.push(good);
    all
}

/// The eight leaves that Certificate Transparency implementations test with, and hashes published with them.
const CT_LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

fn ct_tree(size: usize) -> (merkle::Frontier, impl Fn(merkle::Node) -> Result<Digest, ()>) {
    let (mut frontier, mut nodes) = (merkle::Frontier::default(), std::collections::BTreeMap::new());
    for leaf in &CT_LEAVES[..size] {
        let leaf = hex::decode(leaf).expect("constants are hex");
        frontier.push(merkle::leaf_hash(&leaf), |node, hash| {
            nodes.insert(node, hash);
        });
    }
    (frontier, move |node| nodes.get(&node).copied().ok_or(()))
}

fn packages(world: &World, foreign: &World) -> Vec<Made> {
    let made = |world: &World, name: &str, note: &str| {
        let file =
            |path: &str, len_bytes, fill| PackageFile { path: path.into(), len_bytes, digest: Digest([fill; 32]) };
        let shard = format!("segments/{}/{}-0.shard", world.hospital, "5e".repeat(16));
        let package = Package {
            state: PackageState::Whole,
            vault: world.vault,
            hospital: world.hospital,
            log: world.log,
            made_ms: 1_767_225_603_000,
            log_size: 40,
            log_root: Digest([0x61; 32]),
            vault_key: world.vault_key.public(),
            records: 200,
            record_bytes: 123_456_789,
            checkpoint: "text of a head".into(),
            missing: vec![Address([0x62; 32]), Address([0x63; 32])],
            files: vec![file("format.md", 1000, 0x64), file(&shard, 1 << 30, 0x65)],
        };
        let name = format!("package-manifest/{name}-suite-{}", world.suite.code());
        Made::new(name, "package-manifest", note, package.sign(&world.vault_key)).with("seed", 3)
    };
    let good = made(world, "valid-missing", "Two records could not be read any more, and are named.");
    vec![
        made(foreign, "valid-missing", "The same with the other suite."),
        good.wrong("magic", "Begins like a receipt.", ("Magic", "package manifest"), put(0, b"shsr")),
        good.wrong("newer-version", "Says version 2.", ("Version", "package manifest"), put(4, &[2])),
        good.wrong("state", "A state that nobody defined.", ("Invalid", "state of the package"), put(6, &[4])),
        good.wrong("reserved", "The reserved byte is set.", ("Invalid", "reserved"), flip(7)),
        good.wrong("suite", "Its key is of another suite.", ("Suite", "the suite of the package"), put(5, &[2])),
        good.wrong("size", "One more leaf than was signed.", ("Signature", "package manifest"), flip(64)),
        good.wrong("order", "The missing records do not ascend.", ("Invalid", "missing records"), put(175, &[0x64])),
        good.wrong("path", "A file is outside of the package.", ("Invalid", "path of a file"), put(247, b"/")),
        good.wrong("cut", "The signature lacks its last byte.", ("Truncated", "signature"), cut(1)),
        good,
    ]
}

fn reconciliations(world: &World, foreign: &World) -> Vec<Made> {
    let account = |world: &World| {
        let amount = |count| Amount { count, bytes: count * 4096 };
        Account {
            vault: world.vault,
            hospital: world.hospital,
            log_size: 40,
            log_root: Digest([0x61; 32]),
            time_ms: 1_767_225_602_000,
            received: amount(30),
            held: amount(25),
            given_out: amount(2),
            disposed: amount(1),
            missing: amount(2),
            missing_leaves: vec![7, 39],
        }
    };
    let made = |world: &World, name: &str, note: &str| {
        let bytes = Reconciliation::sign(account(world), &world.vault_key).encode();
        let name = format!("reconciliation/{name}-suite-{}", world.suite.code());
        Made::new(name, "reconciliation", note, bytes).with("key", world.vault_key.public())
    };
    let good = made(world, "valid-missing", "Two of thirty deposits cannot be shown, and are named.");
    vec![
        made(foreign, "valid-missing", "The same with the other suite."),
        good.wrong("magic", "Begins like a receipt.", ("Magic", "reconciliation"), put(0, b"shsr")),
        good.wrong("newer-version", "Says version 2.", ("Version", "reconciliation"), put(4, &[2])),
        good.wrong("reserved", "A reserved byte is set.", ("Invalid", "reserved"), flip(6)),
        good.wrong("held", "One more is said to be held than was signed.", ("Signature", "reconciliation"), flip(104)),
        good.wrong("order", "The missing leaves do not ascend.", ("Invalid", "missing leaves"), put(172, &[40])),
        good.wrong("cut", "The signature lacks its last byte.", ("Truncated", "signature"), cut(1)),
        good,
    ]
}

fn malware_reports(world: &World, foreign: &World) -> Vec<Made> {
    let engine = Engine { release: [1, 4, 3], definitions_version: 27_654, definitions_ms: 1_767_139_200_000 };
    let made = |world: &World, name: &str, note: &str, result, pieces| {
        let report = MalwareReport {
            suite: world.suite,
            result,
            hospital: world.hospital,
            version: VersionId::new(1_767_225_600_000, [5; 10]),
            device: world.device_key.public().device_id(),
            engine,
            pieces,
            scanned_ms: 1_767_225_599_000,
            content: Digest([0x3a; 32]),
        };
        let name = format!("malware-report/valid-{name}-suite-{}", world.suite.code());
        Made::new(name, "malware-report", note, report.sign(&world.device_key)).with("key", world.device_key.public())
    };
    let good = made(world, "clean", "The whole content is clean.", ScanResult::Clean, 1);
    vec![
        made(foreign, "clean", "The same with the other suite.", ScanResult::Clean, 1),
        made(world, "pieces", "Too long for the scanner, clean in 7 pieces.", ScanResult::NotScannable, 7),
        made(world, "infected", "No honest client sends it, and no vault takes it.", ScanResult::Infected, 1),
        good.wrong("magic", "Begins like a receipt.", ("Magic", "malware report"), put(0, b"shsr")),
        good.wrong("newer-version", "Says version 2.", ("Version", "malware report"), put(4, &[2])),
        good.wrong("result", "Result 4.", ("Invalid", "result of the scan"), put(6, &[4])),
        good.wrong("engine", "Engine 2.", ("Invalid", "engine"), put(7, &[2])),
        good.wrong("reserved", "A reserved byte is set.", ("Invalid", "reserved"), put(62, &[1])),
        good.wrong("pieces", "Clean as a whole, in two pieces.", ("Invalid", "pieces"), put(68, &[2])),
        good.wrong(
            "infected",
            "Says clean over a signature of something else.",
            ("Signature", "malware report"),
            flip(88),
        ),
        good.wrong("cut", "The signature lacks its last byte.", ("Truncated", "signature"), cut(1)),
        good.wrong("trailing", "One byte follows.", ("Trailing", "malware report"), append(0)),
        good,
    ]
}

fn proofs() -> Vec<Made> {
    let encoded = |proof: Result<Vec<Digest>, ()>| {
        let mut out = Writer::new();
        write_proof(&mut out, &proof.expect("every node is complete"));
        out.finish()
    };
    let (tree, get) = ct_tree(8);
    let leaf = merkle::leaf_hash(&hex::decode(CT_LEAVES[5]).expect("constants are hex"));
    let inclusion = Made::new(
        "inclusion-proof/valid",
        "inclusion-proof",
        "Leaf 5 of 8 of the tree that CT implementations test with.",
        encoded(merkle::inclusion_proof(5, 8, &get)),
    );
    let inclusion = inclusion.with("leaf", leaf).with("index", 5).with("size", 8).with("root", tree.root());
    let consistency = Made::new(
        "consistency-proof/valid",
        "consistency-proof",
        "Six leaves are a prefix of eight.",
        encoded(merkle::consistency_proof(6, 8, &get)),
    );
    let consistency = consistency
        .with("old-size", 6)
        .with("old-root", ct_tree(6).0.root())
        .with("new-size", 8)
        .with("new-root", tree.root());
    let no_way = ("Proof", "inclusion");
    vec![
        inclusion.wrong("other-leaf", "Another place in the tree.", no_way, |_| {}).with("index", 4),
        inclusion.wrong("index-past-the-end", "No such leaf.", no_way, |_| {}).with("index", 8),
        inclusion.wrong("reordered", "The hashes in reverse.", no_way, |body| {
            let hashes: Vec<Vec<u8>> = body[4..].chunks(32).rev().map(<[u8]>::to_vec).collect();
            body.truncate(4);
            body.extend(hashes.concat());
        }),
        inclusion.wrong("short", "One hash is missing.", no_way, |body| {
            body[0] -= 1;
            body.truncate(body.len() - 32);
        }),
        inclusion.wrong("long", "One hash too many.", no_way, |body| {
            body[0] += 1;
            body.extend([0; 32]);
        }),
        inclusion.wrong("count", "It says more hashes than it has.", ("Truncated", "digest"), |body| body[0] += 1),
        consistency
            .wrong("fork", "The old head is of another history.", ("Proof", "consistency"), |_| {})
            .with("old-root", Digest([7; 32])),
        consistency.wrong("rollback", "The new head is older.", ("Proof", "consistency"), |_| {}).with("new-size", 5),
        consistency
            .wrong("same-size-other-root", "Two heads of one size differ.", ("Proof", "consistency"), |_| {})
            .with("new-size", 6),
        consistency.wrong("changed", "One bit of a hash was changed.", ("Proof", "consistency"), flip(20)),
        inclusion,
        consistency,
    ]
}
