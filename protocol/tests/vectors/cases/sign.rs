//! Keys and signatures in forms that some libraries accept and this format does not.

use super::{Made, World};
use shosoin_protocol::sign::Domain;

const MESSAGE: &str = "the same message";
/// Group order of P-256, big-endian.
const P256_ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
/// Group order of Ed25519, little-endian.
const ED25519_ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

pub fn all() -> Vec<Made> {
    let [one, two] = World::both();
    [keys(&one, &two), signatures(&one, &two)].concat()
}

fn key(name: &str, note: &str, text: &str) -> Made {
    Made::new(format!("public-key/{name}"), "public-key", note, hex::decode(text).expect("constants are hex"))
}

fn keys(one: &World, two: &World) -> Vec<Made> {
    let (good, other) = (one.device_key.public().to_string(), two.device_key.public().to_string());
    let valid = key("valid-suite-1", "An Ed25519 key.", &good);
    let p256 = key("valid-suite-2", "A compressed P-256 key.", &other);
    let from = |text: String| move |body: &mut Vec<u8>| *body = hex::decode(text).expect("constants are hex");
    let small = ("Invalid", "order is small");
    let no_point = ("Invalid", "no point of the curve");
    let compressed = ("Invalid", "no compressed point");
    vec![
        valid.wrong("small-order-identity", "The neutral point.", small, from(format!("0101{}", "00".repeat(31)))),
        valid.wrong("small-order-2", "The point of order 2.", small, from(format!("01ec{}7f", "ff".repeat(30)))),
        valid.wrong("small-order-4", "A point of order 4.", small, from(format!("01{}", "00".repeat(32)))),
        valid.wrong(
            "small-order-8",
            "A point of order 8.",
            small,
            from("01c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a".to_owned()),
        ),
        valid.wrong(
            "out-of-range",
            "y is p + 1: the neutral point, written otherwise.",
            no_point,
            from(format!("01ee{}7f", "ff".repeat(30))),
        ),
        valid.wrong(
            "out-of-range-full-order",
            "y is p + 3, which decompression takes for 3.",
            no_point,
            from(format!("01f0{}7f", "ff".repeat(30))),
        ),
        valid.wrong("not-on-the-curve", "y is 2.", no_point, from(format!("0102{}", "00".repeat(31)))),
        valid.wrong("suite", "Names suite 3.", ("Suite", "3"), |body| body[0] = 3),
        valid.wrong("truncated", "One byte is missing.", ("Truncated", "public key"), |body| body.truncate(32)),
        valid.wrong("of-other-suite", "An Ed25519 key called P-256.", ("Truncated", "public key"), |body| body[0] = 2),
        p256.wrong("compact", "The compact form (0x05) of a P-256 key.", compressed, |body| body[1] = 5),
        p256.wrong("hybrid", "Tag 0x06.", compressed, |body| body[1] = 6),
        p256.wrong("point-at-infinity", "Tag 0x00.", compressed, |body| body[1..].fill(0)),
        p256.wrong("x-out-of-range", "x is not below p.", compressed, |body| body[2..].fill(0xff)),
        p256.wrong("uncompressed", "65 bytes.", compressed, |body| {
            body[1] = 4;
            body.extend([0; 32]);
        }),
        valid,
        p256,
    ]
}

fn signatures(one: &World, two: &World) -> Vec<Made> {
    let made = |world: &World| {
        let signature = world.device_key.sign(Domain::Entry, MESSAGE.as_bytes());
        let name = format!("signature/valid-suite-{}", world.suite.code());
        Made::new(name, "signature", "Deterministic: the same key and message give these bytes.", signature.0.to_vec())
            .with("domain", "entry")
            .with("message", MESSAGE)
            .with("key", world.device_key.public())
    };
    let (ed25519, p256) = (made(one), made(two));
    let bad = ("Signature", "entry");
    vec![
        p256.wrong("higher-s", "n - s verifies as well as s; only the lower is taken.", bad, |body| {
            let order = hex::decode(P256_ORDER).expect("constants are hex");
            let mut borrow = 0;
            for at in (0..32).rev() {
                let found = i16::from(order[at]) - i16::from(body[32 + at]) - borrow;
                borrow = i16::from(found < 0);
                body[32 + at] = found.rem_euclid(256).try_into().expect("a byte");
            }
        }),
        p256.wrong("zero-r", "r is 0.", bad, |body| body[..32].fill(0)),
        p256.wrong("zero-s", "s is 0.", bad, |body| body[32..].fill(0)),
        p256.wrong("p256-other-message", "Over another message.", bad, |_| {}).with("message", "another message"),
        ed25519.wrong("s-out-of-range", "s + order satisfies the equation as well as s.", bad, |body| {
            let order = hex::decode(ED25519_ORDER).expect("constants are hex");
            let mut carry = 0;
            for at in 0..32 {
                let sum = u16::from(body[32 + at]) + u16::from(order[at]) + carry;
                body[32 + at] = sum.to_le_bytes()[0];
                carry = sum >> 8;
            }
        }),
        ed25519.wrong("small-order-r", "R is the neutral point.", bad, |body| {
            body[..32].fill(0);
            body[0] = 1;
        }),
        ed25519
            .wrong("other-domain", "Made for an entry, shown for a receipt.", ("Signature", "receipt"), |_| {})
            .with("domain", "receipt"),
        ed25519.wrong("ed25519-other-message", "Over another message.", bad, |_| {}).with("message", "another message"),
        ed25519.wrong("other-key", "By another key.", bad, |_| {}).with("key", one.vault_key.public()),
        ed25519.wrong("truncated", "63 bytes.", ("Truncated", "signature"), |body| body.truncate(63)),
        ed25519,
        p256,
    ]
}
