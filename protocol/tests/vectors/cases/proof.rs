//! Answers to audits, and evidence of every class.

use super::world::{self as evidence_world, World as Sides};
use super::{Made, World, append, cut, flip, put};
use shosoin_protocol::answer::{Answer, Outcome, Said};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::evidence::{Class, Evidence, Part};
use shosoin_protocol::{Address, Digest, Suite};

pub fn all() -> Vec<Made> {
    let [one, two] = World::both();
    [answers(&one, &two), evidence(), wrong_evidence()].concat()
}

fn answers(world: &World, foreign: &World) -> Vec<Made> {
    let made = |world: &World, name: &str, note: &str, outcome| {
        let (vault, hospital) = (world.vault, world.hospital);
        let head =
            Checkpoint { vault, hospital, size: 9, root: Digest([0x71; 32]), time_ms: 1_767_225_600_000, term: 2 };
        let said = Said {
            vault,
            hospital,
            nonce: [0x72; 32],
            address: Address([0x73; 32]),
            outcome,
            time_ms: 1_767_225_605_000,
            checkpoint: head.sign(&world.vault_key),
        };
        let name = format!("audit-answer/valid-{name}-suite-{}", world.suite.code());
        Made::new(name, "audit-answer", note, Answer::sign(said, &world.vault_key).encode())
            .with("key", world.vault_key.public())
    };
    let given = Outcome::Given { len: 4096, digest: Digest([0x73; 32]) };
    let good = made(world, "given", "The record was read on media and given.", given);
    let lost = made(world, "not-held", "The vault has no such record, and signs that.", Outcome::NotHeld);
    vec![
        made(foreign, "given", "The same with the other suite.", given),
        made(world, "unreadable", "Too little of the record is left.", Outcome::Unreadable),
        made(world, "on-shelf", "A medium must be mounted first.", Outcome::OnShelf),
        good.wrong("empty", "No bytes at all.", ("Truncated", "magic of the audit answer"), |body| body.clear()),
        good.wrong("magic", "Begins like a receipt.", ("Magic", "audit answer"), put(0, b"shsr")),
        good.wrong("newer-version", "Says version 2.", ("Version", "audit answer"), put(4, &[2])),
        good.wrong("outcome", "An outcome that no release has.", ("Invalid", "audit answer"), |body| {
            body[6] = 4;
            body[104..140].fill(0);
        }),
        good.wrong("reserved", "A reserved byte is set.", ("Invalid", "reserved byte"), put(7, &[1])),
        lost.wrong("digest-of-nothing", "Nothing is given, and has a digest.", ("Invalid", "audit answer"), flip(108)),
        good.wrong("nonce", "The nonce was changed after it was signed.", ("Signature", "audit answer"), flip(40)),
        good.wrong("truncated", "The signature lacks its last byte.", ("Truncated", "signature"), cut(1)),
        good.wrong("trailing", "One byte follows the signature.", ("Trailing", "audit answer"), append(0)),
        good,
        lost,
    ]
}

fn text(sides: &Sides, name: String, note: &str, evidence: &Evidence) -> Made {
    Made::new(format!("evidence/{name}"), "evidence", note, evidence.render().into_bytes())
        .with("vault-key", sides.vault_key.public())
        .with("hospital-key", sides.hospital_key.public())
}

fn evidence() -> Vec<Made> {
    let mut made = Vec::new();
    for suite in Suite::ALL {
        let sides = Sides::new(suite);
        for evidence in sides.one_of_each() {
            let (class, code) = (evidence.class, suite.code());
            made.push(text(&sides, format!("valid-{}-suite-{code}", class.name()), class.sentence(), &evidence));
        }
    }
    made
}

fn wrong_evidence() -> Vec<Made> {
    let sides = Sides::new(Suite::Default);
    let fork = &sides.one_of_each()[0];
    let good = text(&sides, "valid".to_owned(), "", fork);
    let changed = "Invalid";
    let replace = |from: &'static str, to: &'static str| {
        move |body: &mut Vec<u8>| {
            let text = String::from_utf8(body.clone()).expect("evidence is text");
            assert!(text.contains(from), "{from}");
            *body = text.replacen(from, to, 1).into_bytes();
        }
    };
    let honest = {
        let (short, long) = (sides.tree(1..4), sides.tree(1..7));
        let (old, new) = (sides.head(&short, 50), sides.head(&long, 60));
        let proof = sides.consistency(&long, short.frontier.size());
        sides.evidence(Class::Fork, vec![Part::Remembered(old), Part::Head(new), proof])
    };
    let forger = Sides { vault_key: sides.device_key_again(), ..Sides::new(Suite::Default) };
    let forged = forger.one_of_each().remove(0);
    let of_other_keys = |evidence: &Evidence| evidence.render().into_bytes();
    vec![
        good.wrong("cut", "Its last line is missing.", (changed, "evidence"), |body| {
            let end = body.len() - 65;
            body.truncate(end);
        }),
        good.wrong(
            "without-digest",
            "The digest and its heading are missing.",
            (changed, "its digest is missing"),
            |body| {
                let text = String::from_utf8(body.clone()).expect("evidence is text");
                body.truncate(text.find("=== digest").expect("it has one"));
            },
        ),
        good.wrong("first-line", "Begins like something else.", ("Magic", "evidence"), replace("shosoin", "shosoim")),
        good.wrong("newer-version", "Says version 2.", (changed, "version 1"), replace("evidence v1", "evidence v2")),
        good.wrong("class", "A class that no release has.", (changed, "no such class"), replace("fork", "spoon")),
        good.wrong(
            "other-class",
            "It says that it is of another class.",
            (changed, "changed"),
            replace("class fork", "class time"),
        ),
        good.wrong("words", "Words were put into it.", (changed, "changed"), replace("Neither", "Surely neither")),
        good.wrong("time", "The time was changed.", (changed, "changed"), replace("found 77", "found 78")),
        good.wrong("section", "A section that no release has.", (changed, "section"), replace("=== head", "=== feet")),
        good.wrong("digest", "The digest is another one.", (changed, "changed"), |body| {
            let last = body.len() - 2;
            body[last] = if body[last] == b'0' { b'1' } else { b'0' };
        }),
        good.wrong("trailing", "An empty line follows.", (changed, "changed"), append(b'\n')),
        good.wrong("line-ends", "Lines end as another system has it.", (changed, ""), |body| {
            *body = String::from_utf8(body.clone()).expect("evidence is text").replace('\n', "\r\n").into_bytes();
        }),
        good.wrong("honest", "One head continues the other.", (changed, "nothing contradicts"), |body| {
            *body = of_other_keys(&honest);
        }),
        good.wrong("forged", "The heads are signed by somebody else.", ("Signature", "checkpoint"), |body| {
            *body = of_other_keys(&forged);
        }),
        good.wrong("unattested", "The word of the device was changed.", ("Signature", "evidence"), |body| {
            let mut other = evidence_world::World::new(Suite::Default).one_of_each().remove(0);
            if let Some(attestation) = &mut other.attestation {
                attestation.signature.0[0] ^= 1;
            }
            *body = other.render().into_bytes();
        }),
    ]
}
