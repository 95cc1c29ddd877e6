//! What a courier's medium says of itself, and what a station says of it.

use super::{Made, World, append, cut, flip, put};
use shosoin_protocol::entry::DeviceChange;
use shosoin_protocol::malware::Engine;
use shosoin_protocol::medium::{MediumBatch, MediumCheck, MediumKind, MediumManifest, MediumPlace, MediumVerdict};
use shosoin_protocol::{Address, Digest, VersionId};

const TIME: u64 = 1_767_225_600_000;
const PLACE: MediumPlace = MediumPlace { shipment: VersionId([0x51; 16]), number: 2, of: 3 };

pub fn all() -> Vec<Made> {
    let [one, two] = World::both();
    let of_two = made(&two, &manifest(&two));
    [manifests(&one), vec![of_two], checks(&one)].concat()
}

fn manifest(world: &World) -> MediumManifest {
    MediumManifest {
        suite: world.suite,
        kind: MediumKind::Optical,
        hospital: world.hospital,
        log: world.log,
        place: PLACE,
        packed_ms: TIME,
        device: DeviceChange::certify(world.log, true, world.device_key.public(), &world.hospital_key),
        chunks: vec![(Address([0x32; 32]), 4096), (Address([0x33; 32]), 17)],
        batches: vec![MediumBatch { len: 900, digest: Digest([0x34; 32]) }],
    }
}

fn made(world: &World, manifest: &MediumManifest) -> Made {
    let name = format!("medium-manifest/valid-suite-{}", world.suite.code());
    let note = "What is on a courier's medium, signed by the device that packed it.";
    Made::new(name, "medium-manifest", note, manifest.sign(&world.device_key))
        .with("hospital-key", world.hospital_key.public())
}

fn manifests(world: &World) -> Vec<Made> {
    let good = made(world, &manifest(world));
    let other = |change: fn(&mut MediumManifest)| {
        let mut other = manifest(world);
        change(&mut other);
        let bytes = other.sign(&world.device_key);
        move |body: &mut Vec<u8>| *body = bytes
    };
    let stranger = DeviceChange::certify(world.log, true, world.device_key.public(), &world.vault_key);
    let uncertified = MediumManifest { device: stranger, ..manifest(world) }.sign(&world.device_key);
    let not_by_it = manifest(world).sign(&world.vault_key);
    vec![
        good.wrong("magic", "Begins like a result.", ("Magic", "manifest of a medium"), put(0, b"shmc")),
        good.wrong("newer-version", "Says version 2.", ("Version", "manifest of a medium"), put(4, &[2])),
        good.wrong("suite", "Suite 9.", ("Suite", ""), put(5, &[9])),
        good.wrong("kind", "A kind that is none.", ("Invalid", "kind of a medium"), put(6, &[9])),
        good.wrong("reserved", "A reserved byte is not zero.", ("Invalid", "reserved byte"), put(7, &[1])),
        good.wrong("number", "Medium 4 of 3.", ("Invalid", "number of the medium"), put(56, &[4])),
        good.wrong("no-key", "A device key that is no point of the curve.", ("Invalid", "public key"), flip(80)),
        good.wrong(
            "chunks-order",
            "Two chunks, the greater first.",
            ("Invalid", "chunks of a medium"),
            other(|manifest| manifest.chunks.reverse()),
        ),
        good.wrong(
            "chunk-over-limit",
            "A chunk that is longer than any.",
            ("Invalid", "chunks of a medium"),
            other(|manifest| manifest.chunks[1].1 = u32::MAX),
        ),
        good.wrong(
            "batch-over-limit",
            "A batch that is longer than any.",
            ("Invalid", "batches of a medium"),
            other(|manifest| manifest.batches[0].len = u32::MAX),
        ),
        good.wrong(
            "chunks-count",
            "More chunks than a medium has.",
            ("OverLimit", "chunks of a medium"),
            put(172, &[1]),
        ),
        good.wrong("uncertified", "No hospital certified the device.", ("Signature", ""), |body| *body = uncertified),
        good.wrong("not-by-device", "Signed by another key.", ("Signature", "manifest of a medium"), |body| {
            *body = not_by_it;
        }),
        good.wrong("truncated", "It lacks its last byte.", ("Truncated", ""), cut(1)),
        good.wrong("trailing", "One byte follows.", ("Trailing", "manifest of a medium"), append(0)),
        good,
    ]
}

fn checks(world: &World) -> Vec<Made> {
    let check = MediumCheck {
        verdict: MediumVerdict::Clean,
        connected: false,
        station: world.vault_key.public(),
        hospital: world.hospital,
        place: PLACE,
        manifest: Digest([0x35; 32]),
        engine: Engine { release: [1, 4, 3], definitions_version: 27_500, definitions_ms: TIME - 3_600_000 },
        files: 4,
        bytes: 5013,
        checked_ms: TIME + 60_000,
    };
    let note = "What a station found on a medium, signed by it.";
    let made = |name: &str, check: &MediumCheck| Made::new(name, "medium-check", note, check.sign(&world.vault_key));
    let good = made("medium-check/valid-clean", &check);
    let infected = MediumCheck { verdict: MediumVerdict::Infected, ..check.clone() };
    let unsigned =
        MediumCheck { verdict: MediumVerdict::Unsigned, connected: true, manifest: Digest([0; 32]), ..check.clone() };
    let not_by_it = check.sign(&world.device_key);
    vec![
        good.wrong("magic", "Begins like a manifest.", ("Magic", "result of a station"), put(0, b"shmm")),
        good.wrong("newer-version", "Says version 2.", ("Version", "result of a station"), put(4, &[2])),
        good.wrong("verdict", "A verdict that is none.", ("Invalid", "verdict"), put(5, &[9])),
        good.wrong("connected", "Neither connected nor not.", ("Invalid", "connection"), put(6, &[2])),
        good.wrong("reserved", "A reserved byte is not zero.", ("Invalid", "reserved byte"), put(7, &[1])),
        good.wrong("cleaned", "An infected medium is called clean.", ("Signature", "result of a station"), |body| {
            *body = infected.sign(&world.vault_key);
            body[5] = MediumVerdict::Clean.code();
        }),
        good.wrong(
            "not-by-station",
            "Signed by another key than its own.",
            ("Signature", "result of a station"),
            |body| {
                *body = not_by_it;
            },
        ),
        good.wrong("truncated", "It lacks its last byte.", ("Truncated", ""), cut(1)),
        good.wrong("trailing", "One byte follows.", ("Trailing", "result of a station"), append(0)),
        made("medium-check/valid-infected", &infected),
        made("medium-check/valid-unsigned", &unsigned),
        good,
    ]
}
