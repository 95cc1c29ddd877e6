use super::*;
use proptest::prelude::*;

/// The label of the worked example in the format document.
fn golden() -> VolumeLabel {
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
        domains: Domains {
            host: "h1".into(),
            power: "p1".into(),
            rack: "r1".into(),
            site: "nara".into(),
            device: "8:16".into(),
        },
        ..VolumeLabel::new(VolumeId([0x11; 16]), TierKind::Hot, MediaClass::Hdd, 1_790_000_000_000)
    }
}

const GOLDEN: &str = concat!(
    "7368766c01010102111111111111111111111111111111110300000000000000006c50c4a001000001000000050000000400000041434d45",
    "05000000442d31365402000000533107000000323032362d3037020000004639080000006f7264696e617279020000006831020000007031",
    "020000007231040000006e61726104000000383a3136a386c5a8fe7a1a10138d8738a49875dc443855336cca7da7a7d8eee7685e83e9",
);

/// `content` with a checksum that is right.
fn with_checksum(content: &[u8]) -> Vec<u8> {
    [content, &sha256(&[content]).0].concat()
}

/// The golden label with one byte changed and a checksum that is right all the same.
fn with_byte(at: usize, value: u8) -> Result<VolumeLabel> {
    let mut content = golden().encode().unwrap();
    content.truncate(content.len() - CHECKSUM_BYTES);
    content[at] = value;
    VolumeLabel::decode(&with_checksum(&content))
}

#[test]
fn the_golden_label_has_its_golden_bytes() {
    assert_eq!(hex::encode(golden().encode().unwrap()), GOLDEN);
    assert_eq!(VolumeLabel::decode(&hex::decode(GOLDEN).unwrap()).unwrap(), golden());
}

#[test]
fn the_longest_label_fits_in_one_block() {
    let mut label = golden();
    label.texts_mut().into_iter().for_each(|(_, text)| *text = "x".repeat(TEXT_BYTES_MAX));
    let bytes = label.encode().unwrap();
    assert!(bytes.len() <= crate::layout::BLOCK_BYTES);
    assert_eq!(VolumeLabel::decode(&bytes).unwrap(), label);
    label.domains.rack.push('x');
    assert!(matches!(label.encode(), Err(Error::OverLimit { what: "rack", found: 241, limit: 240 })));
}

#[test]
fn every_single_bit_that_flips_is_noticed() {
    let bytes = golden().encode().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(VolumeLabel::decode(&flipped), Err(Error::Mismatch { .. })), "bit {bit}");
    }
}

#[test]
fn every_truncation_and_every_trailing_byte_is_noticed() {
    let bytes = golden().encode().unwrap();
    for len in 0..bytes.len() {
        assert!(VolumeLabel::decode(&bytes[..len]).is_err(), "{len} bytes");
    }
    assert!(VolumeLabel::decode(&[bytes.clone(), vec![0]].concat()).is_err());
    let content = &bytes[..bytes.len() - CHECKSUM_BYTES];
    let trailing = with_checksum(&[content, &[0]].concat());
    assert_eq!(VolumeLabel::decode(&trailing), Err(Error::Trailing { what: "volume label", count: 1 }));
}

#[test]
fn wrong_values_are_refused_even_under_a_right_checksum() {
    assert_eq!(with_byte(0, b'x'), Err(Error::Magic { what: "volume label" }));
    assert_eq!(with_byte(4, 2), Err(Error::Version { what: "volume label", found: 2, known: 1 }));
    assert_eq!(with_byte(5, 2), Err(Error::Invalid { what: "label flags", why: "unknown flags must be zero" }));
    assert_eq!(with_byte(6, 3), Err(Error::Invalid { what: "tier", why: "no such code" }));
    assert_eq!(with_byte(7, 0), Err(Error::Invalid { what: "media class", why: "no such code" }));
    assert_eq!(with_byte(24, 0), Err(Error::Invalid { what: "label generation", why: "it counts from 1" }));
    assert_eq!(with_byte(40, 4), Err(Error::Invalid { what: "rated life", why: "no such unit" }));
    assert_eq!(with_byte(40, 0), Err(Error::Invalid { what: "rated life", why: "no such unit" }));
    assert_eq!(with_byte(41, 1), Err(Error::Invalid { what: "label padding", why: "reserved bytes must be zero" }));
    assert_eq!(with_byte(48, 241), Err(Error::OverLimit { what: "vendor", found: 241, limit: 240 }));
    assert_eq!(with_byte(52, 0xff), Err(Error::Invalid { what: "vendor", why: "it must be UTF-8" }));
}

proptest! {
    #[test]
    fn any_label_reads_back(
        id: [u8; 16], generation in 1u64.., demo: bool, first_use_ms: u64, class in 0usize..5, amount: u32, unit in 1u8..4,
        texts in proptest::collection::vec("\\PC{0,60}", 11),
    ) {
        let rated_life = RatedLife::from_parts(unit, amount).unwrap();
        let base = VolumeLabel::new(VolumeId(id), TierKind::Archive, MediaClass::ALL[class], first_use_ms);
        let mut label = VolumeLabel { generation, demo, rated_life, ..base };
        for ((_, place), text) in label.texts_mut().into_iter().zip(texts) {
            *place = text;
        }
        prop_assert_eq!(VolumeLabel::decode(&label.encode().unwrap()).unwrap(), label);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = VolumeLabel::decode(&with_checksum(&bytes));
        prop_assert!(VolumeLabel::decode(&bytes).is_err());
    }
}
