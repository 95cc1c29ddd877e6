//! Volume labels: the forms they have and the ways they can be wrong.

use super::vector::{Vector, describe};
use shosoin_protocol::VolumeId;
use shosoin_protocol::suite::sha256;
use shosoin_tiers::VolumeLabel;
use shosoin_tiers::volume::{Domains, MediaClass, RatedLife, TEXT_BYTES_MAX, TierKind};
use std::collections::BTreeMap;

/// Every case. A wrong one must be refused; with which error, its file says.
pub fn cases() -> Vec<Vector> {
    let valid = [
        ("valid-bare", "states nothing that may be left open", bare().encode().unwrap()),
        ("valid-full", "states everything; the worked example of docs/format.md", full().encode().unwrap()),
        ("valid-longest", "every text at its limit; still below one block of 4096 bytes", longest().encode().unwrap()),
    ];
    let content = full().encode().unwrap();
    let content = &content[..content.len() - 32];
    let with = |at: usize, value: u8| {
        let mut changed = content.to_vec();
        changed[at] = value;
        sum(&changed)
    };
    let wrong = [
        ("wrong-empty", "an empty file", vec![]),
        ("wrong-truncated", "the second half is gone", sum(content)[..70].to_vec()),
        ("wrong-truncated-text", "ends in its last text, under a right checksum", sum(&content[..content.len() - 1])),
        ("wrong-trailing", "one byte after the last text, under a right checksum", sum(&[content, &[0]].concat())),
        ("wrong-checksum", "one bit of the serial number is flipped", flip(sum(content), 70)),
        ("wrong-magic", "begins with other magic bytes", with(0, b'x')),
        ("wrong-version", "written by a newer release, and whole", with(4, 2)),
        ("wrong-flags", "a flag that has no meaning yet", with(5, 2)),
        ("wrong-tier", "a tier that there is not", with(6, 3)),
        ("wrong-class", "a media class that there is not", with(7, 0)),
        ("wrong-generation", "generations count from 1", with(24, 0)),
        ("wrong-life-unit", "a unit of rated life that there is not", with(40, 4)),
        ("wrong-life-amount", "an amount of rated life without a unit", with(40, 0)),
        ("wrong-padding", "padding that is not zero", with(41, 1)),
        ("wrong-text-limit", "a vendor of 241 bytes", with(48, 241)),
        ("wrong-text-utf8", "a vendor that is not UTF-8", with(52, 0xff)),
    ];
    let vector = |(name, why, body): (&str, &str, Vec<u8>)| Vector {
        name: format!("volume-label/{name}"),
        notes: vec![why.to_owned()],
        structure: "volume-label".into(),
        expect: VolumeLabel::decode(&body).map_or_else(|error| describe(&error), |_| "ok".into()),
        fields: BTreeMap::new(),
        body,
    };
    valid.into_iter().chain(wrong).map(vector).collect()
}

fn bare() -> VolumeLabel {
    VolumeLabel::new(VolumeId([0x22; 16]), TierKind::Archive, MediaClass::Tape, 0)
}

fn full() -> VolumeLabel {
    let domains = Domains {
        host: "h1".into(),
        power: "p1".into(),
        rack: "r1".into(),
        site: "nara".into(),
        device: "8:16".into(),
    };
    VolumeLabel {
        generation: 3,
        demo: true,
        vendor: "ACME".into(),
        model: "D-16T".into(),
        serial: "S1".into(),
        lot: "2026-07".into(),
        firmware: "F9".into(),
        rated_life: RatedLife::Years(5),
        security_label: "ordinary".into(),
        domains,
        ..VolumeLabel::new(VolumeId([0x11; 16]), TierKind::Hot, MediaClass::Hdd, 1_790_000_000_000)
    }
}

fn longest() -> VolumeLabel {
    let text = |digit: &str| digit.repeat(TEXT_BYTES_MAX);
    let (host, power, rack) = (text("7"), text("8"), text("9"));
    VolumeLabel {
        generation: u64::MAX,
        vendor: text("1"),
        model: text("2"),
        serial: text("3"),
        lot: text("4"),
        firmware: text("5"),
        rated_life: RatedLife::Passes(u32::MAX),
        security_label: text("6"),
        domains: Domains { host, power, rack, site: text("a"), device: text("b") },
        ..VolumeLabel::new(VolumeId([0x33; 16]), TierKind::Hot, MediaClass::Cloud, u64::MAX)
    }
}

/// `content` under a checksum that is right.
fn sum(content: &[u8]) -> Vec<u8> {
    [content, &sha256(&[content]).0].concat()
}

fn flip(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at] ^= 1;
    bytes
}
