//! Messages of the vault API, and enrolment files.

use super::{Made, World, append, cut, flip, put};
use bytes::Bytes;
use shosoin_protocol::act::ShareKem;
use shosoin_protocol::api::{
    DepositBatch, DepositReplies, DepositRequest, DeviceReply, Enrolment, InlineRecord, LogItem, LogPage, Problem,
    VersionReply, WrapsReply, encode_addresses, encode_versions,
};
use shosoin_protocol::entry::PlacedEntry;
use shosoin_protocol::receipt::{Durable, Inclusion, Receipt};
use shosoin_protocol::share::{Offer, Offers, ShareCard, SharedVersion, SignedEntry};
use shosoin_protocol::{Address, Digest, RecordKind, VersionId};

pub fn all() -> Vec<Made> {
    let [one, two] = World::both();
    [
        enrolments(&one, &two),
        batches(&one),
        replies(&one),
        small(),
        versions(&one),
        wraps(),
        log_pages(&one),
        cards(&one, &two),
        shared(&one),
    ]
    .concat()
}

fn wraps() -> Vec<Made> {
    let query = encode_versions(&[VersionId([2; 16]), VersionId([1; 16])]);
    let query = Made::new("version-query/valid", "version-query", "Two versions, in any order.", query);
    let reply = WrapsReply { wraps: vec![Bytes::from_static(b"wrap"), Bytes::new()] }.encode();
    let reply = Made::new("wraps-reply/valid", "wraps-reply", "A wrap, and none for the second version.", reply);
    vec![
        query.wrong("too-many", "Asks for 4,097.", ("OverLimit", "versions"), put(0, &[1, 0x10])),
        query.wrong("truncated", "The last version lacks a byte.", ("Truncated", "version"), cut(1)),
        query.wrong("trailing", "One byte follows.", ("Trailing", "version query"), append(0)),
        reply.wrong("too-many", "Brings 4,097.", ("OverLimit", "wraps"), put(0, &[1, 0x10])),
        reply.wrong("long", "A wrap of 4,097 bytes.", ("OverLimit", "wrap"), put(4, &[1, 0x10])),
        reply.wrong("trailing", "One byte follows.", ("Trailing", "wraps reply"), append(0)),
        query,
        reply,
    ]
}

fn enrolment_of(world: &World) -> Enrolment {
    Enrolment {
        suite: world.suite,
        hospital: world.hospital,
        hospital_key: world.hospital_key.public(),
        device_key: world.device_key.public(),
        tls_pin: [0x77; 32],
    }
}

fn enrolments(one: &World, two: &World) -> Vec<Made> {
    let made = |world: &World| {
        let bytes = enrolment_of(world).sign(&world.hospital_key);
        let name = format!("enrolment/valid-suite-{}", world.suite.code());
        Made::new(name, "enrolment", "Public facts of a hospital, signed by its key.", bytes)
    };
    let good = made(one);
    let mut mixed = enrolment_of(one);
    mixed.device_key = two.device_key.public();
    vec![
        good.wrong("magic", "Begins like an entry.", ("Magic", "enrolment"), put(0, b"shse")),
        good.wrong("newer-version", "Says version 2.", ("Version", "enrolment"), put(4, &[2])),
        good.wrong("reserved", "A reserved byte is not zero.", ("Invalid", "reserved bytes"), put(6, &[1])),
        good.wrong("mixed-suites", "A device of the other suite.", ("Suite", "2"), |body| {
            *body = mixed.sign(&one.hospital_key)
        }),
        good.wrong("suite", "Names suite 2 over keys of suite 1.", ("Suite", "1"), put(5, &[2])),
        good.wrong("not-self-signed", "Signed by a key that is not in it.", ("Signature", "enrolment"), |body| {
            *body = enrolment_of(one).sign(&one.vault_key);
        }),
        good.wrong("changed-pin", "The pin was changed after signing.", ("Signature", "enrolment"), flip(95)),
        good.wrong("truncated", "The signature lacks its last byte.", ("Truncated", "signature"), cut(1)),
        good.wrong("trailing", "One byte follows.", ("Trailing", "enrolment"), append(b'\n')),
        made(two),
        good,
    ]
}

fn cards(one: &World, two: &World) -> Vec<Made> {
    let card = |world: &World, kem, share_key| ShareCard {
        hospital: world.hospital,
        hospital_key: world.hospital_key.public(),
        kem,
        share_key,
    };
    let made = |world: &World, card: &ShareCard| {
        let name = format!("share-card/valid-{}-suite-{}", card.kem.name(), world.suite.code());
        Made::new(
            name,
            "share-card",
            "What a hospital hands to others, signed by its key.",
            card.sign(&world.hospital_key),
        )
    };
    let plain = card(one, ShareKem::X25519, vec![0xa1; 32]);
    let good = made(one, &plain);
    vec![
        good.wrong("magic", "Begins like an enrolment.", ("Magic", "share card"), put(0, b"shsh")),
        good.wrong("newer-version", "Says version 2.", ("Version", "share card"), put(4, &[2])),
        good.wrong("kem", "KEM 0.", ("Invalid", "KEM"), put(5, &[0])),
        good.wrong("reserved", "A reserved byte is not zero.", ("Invalid", "reserved bytes"), put(7, &[1])),
        good.wrong("changed-key", "Another key to seal to.", ("Signature", "share card"), flip(70)),
        good.wrong("not-self-signed", "Signed by a key that is not on it.", ("Signature", "share card"), |body| {
            *body = plain.sign(&one.vault_key);
        }),
        good.wrong("key-over-limit", "A key of 64 KiB.", ("OverLimit", "key to seal to"), put(57, &[0, 0, 1])),
        good.wrong("truncated", "The signature lacks its last byte.", ("Truncated", "signature"), cut(1)),
        good.wrong("trailing", "One byte follows.", ("Trailing", "share card"), append(b'\n')),
        made(one, &card(one, ShareKem::XWing, vec![0xa2; 1216])),
        made(two, &card(two, ShareKem::P256, vec![0xa3; 65])),
        good,
    ]
}

fn shared(world: &World) -> Vec<Made> {
    let deposit = SignedEntry {
        entry: Bytes::copy_from_slice(world.deposit().bytes()),
        enrolment: enrolment_of(world).sign(&world.hospital_key).into(),
    };
    let offer = Offer {
        owner: world.hospital,
        grant: deposit.clone(),
        document: Bytes::from_static(b"document"),
        ended: false,
    };
    let offers = Offers { offers: vec![offer.clone(), Offer { ended: true, ..offer }], left_out: 3 };
    let offers = Made::new("offers/valid", "offers", "Two offers; documents are as yet only bytes.", offers.encode());
    let version = SharedVersion { deposit, manifest: Bytes::from_static(b"manifest") };
    let version =
        Made::new("shared-version/valid", "shared-version", "A version of another hospital.", version.encode());
    vec![
        offers.wrong("flag", "Ended is neither 0 nor 1.", ("Invalid", "whether the offer ended"), put(24, &[53])),
        offers.wrong("too-many", "4,097 offers.", ("OverLimit", "offers"), put(4, &[1, 0x10])),
        offers.wrong("reserved", "A reserved byte.", ("Invalid", "reserved"), put(25, &[1])),
        offers.wrong("truncated", "The last byte is missing.", ("Truncated", "document"), cut(1)),
        offers.wrong("trailing", "One byte follows.", ("Trailing", "offers"), append(0)),
        version.wrong("entry-over-limit", "An entry of 64 KiB.", ("OverLimit", "entry"), put(0, &[0, 0, 1, 0])),
        version.wrong("truncated", "The last byte is missing.", ("Truncated", "manifest"), cut(1)),
        version.wrong("trailing", "One byte follows.", ("Trailing", "shared version"), append(0)),
        offers,
        version,
    ]
}

fn batches(world: &World) -> Vec<Made> {
    let record = |kind, bytes: &'static [u8]| InlineRecord { kind, bytes: Bytes::from_static(bytes) };
    let deposit = DepositRequest {
        entry: Bytes::copy_from_slice(world.deposit().bytes()),
        records: vec![record(RecordKind::Chunk, b"chunk"), record(RecordKind::Wrap, b"wrap")],
    };
    let batch = DepositBatch { deposits: vec![deposit.clone(), DepositRequest { records: Vec::new(), ..deposit }] };
    let good = Made::new(
        "deposit-batch/valid",
        "deposit-batch",
        "Two deposits; records are as yet only bytes.",
        batch.encode(),
    );
    let kind_at = 4 + 4 + 4 + 493 + 4;
    vec![
        good.wrong("count", "257 deposits.", ("OverLimit", "deposits of a batch"), put(0, &[1, 1])),
        good.wrong("entry-over-limit", "An entry of 64 KiB.", ("OverLimit", "entry"), put(8, &[0, 0, 1, 0])),
        good.wrong("record-kind", "A record of kind 0.", ("Invalid", "record kind"), put(kind_at, &[0])),
        good.wrong(
            "entry-as-record",
            "An entry among the records: the vault writes those.",
            ("Invalid", "record kind"),
            put(kind_at, &[6]),
        ),
        good.wrong(
            "checkpoint-as-record",
            "A checkpoint among the records.",
            ("Invalid", "record kind"),
            put(kind_at, &[7]),
        ),
        good.wrong("inner-trailing", "A deposit longer than its fields.", ("Trailing", "deposit"), |body| {
            body[4] += 1;
            let end = 8 + usize::from(u16::from_le_bytes([body[4], body[5]])) - 1;
            body.insert(end, 0);
        }),
        good.wrong("trailing", "One byte follows.", ("Trailing", "deposit batch"), append(0)),
        good.wrong("truncated", "The last byte is missing.", ("Truncated", "deposit"), cut(1)),
        Made::new(
            "deposit-batch/valid-empty",
            "deposit-batch",
            "No deposit.",
            DepositBatch { deposits: Vec::new() }.encode(),
        ),
        good,
    ]
}

fn inclusion(world: &World) -> Inclusion {
    let (head, proof) = world.tree(13);
    Inclusion { index: 12, accepted_ms: 1_767_225_600_900, proof, checkpoint: head.sign(&world.vault_key) }
}

fn replies(world: &World) -> Vec<Made> {
    let durable = Durable { level: 1, sites: 1, k: 4, m: 2 };
    let receipt = Receipt::sign(world.deposit().leaf_hash(), inclusion(world), durable, &world.vault_key);
    let [kind, code, message] = ["refused", "expected-version", "another version is current"].map(str::to_owned);
    let replies = DepositReplies { replies: vec![Err(Problem { kind, code, message }), Ok(receipt)] };
    let good = Made::new("deposit-replies/valid", "deposit-replies", "A refusal and a receipt.", replies.encode());
    vec![
        good.wrong("kind", "Neither receipt nor refusal.", ("Invalid", "reply kind"), put(4, &[2])),
        good.wrong(
            "problem-over-limit",
            "A refusal with 64 KiB of kind.",
            ("OverLimit", "problem kind"),
            put(5, &[0, 0, 1]),
        ),
        good.wrong("problem-not-utf-8", "A refusal that is not text.", ("Invalid", "UTF-8"), put(9, &[0xff])),
        good.wrong("truncated", "The receipt lacks its last byte.", ("Truncated", "receipt"), cut(1)),
        good,
    ]
}

fn small() -> Vec<Made> {
    let device = DeviceReply { next_seq: 42, prev: Digest([0x11; 32]) };
    let device = Made::new("device-reply/valid", "device-reply", "A device that made 42 entries.", device.encode());
    let query = encode_addresses(&[Address([2; 32]), Address([1; 32])]);
    let query =
        Made::new("address-query/valid", "address-query", "A question about two addresses, in any order.", query);
    vec![
        device.wrong("truncated", "Ends inside the digest.", ("Truncated", "digest"), cut(1)),
        device.wrong("trailing", "One byte follows.", ("Trailing", "device reply"), append(0)),
        query.wrong("over-limit", "4,097 addresses.", ("OverLimit", "addresses"), put(0, &[1, 16])),
        query.wrong("count", "Three addresses said, two there.", ("Truncated", "address"), put(0, &[3])),
        device,
        query,
    ]
}

fn versions(world: &World) -> Vec<Made> {
    let reply = |wrap: &'static [u8], manifest: &'static [u8]| VersionReply {
        entry: Bytes::copy_from_slice(world.deposit().bytes()),
        inclusion: inclusion(world),
        wrap: Bytes::from_static(wrap),
        manifest: Bytes::from_static(manifest),
    };
    let good = Made::new(
        "version-reply/valid",
        "version-reply",
        "Entry, place, wrap and manifest.",
        reply(b"wrap", b"manifest").encode(),
    );
    vec![
        good.wrong("truncated", "Ends inside the manifest.", ("Truncated", "manifest root"), cut(1)),
        good.wrong("trailing", "One byte follows.", ("Trailing", "version reply"), append(0)),
        Made::new(
            "version-reply/valid-marker",
            "version-reply",
            "A marker has neither wrap nor manifest.",
            reply(b"", b"").encode(),
        ),
        good,
    ]
}

fn log_pages(world: &World) -> Vec<Made> {
    let item = |index| LogItem {
        placed: PlacedEntry { index, accepted_ms: 1_767_225_600_900, entry: world.deposit() },
        attachment: Bytes::from_static(b"summary"),
    };
    let page = |indexes: &[u64]| LogPage { items: indexes.iter().map(|index| item(*index)).collect() }.encode();
    let good = Made::new("log-page/valid", "log-page", "Leaves 41 and 42.", page(&[41, 42]));
    let gap = ("Invalid", "consecutive");
    vec![
        good.wrong("omitted-entry", "Leaf 42 was left out.", gap, |body| *body = page(&[41, 43])),
        good.wrong("reordered", "Leaf 42 before 41.", gap, |body| *body = page(&[42, 41])),
        good.wrong("duplicate", "Leaf 41 twice.", gap, |body| *body = page(&[41, 41])),
        good.wrong("wraps-around", "No leaf follows the last there can be.", gap, |body| *body = page(&[u64::MAX, 0])),
        good.wrong("count", "1,025 entries.", ("OverLimit", "entries of a log page"), put(0, &[1, 4])),
        good.wrong("truncated", "Ends inside a summary.", ("Truncated", "summary"), cut(1)),
        good,
    ]
}
