use super::*;
use proptest::prelude::*;

fn full() -> VolumeLabel {
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

/// `content` with a checksum that is right.
fn with_checksum(content: &[u8]) -> Vec<u8> {
    [content, &sha256(&[content]).0].concat()
}

#[test]
fn the_longest_label_fits_in_one_block() {
    let mut label = full();
    label.texts_mut().into_iter().for_each(|(_, text)| *text = "x".repeat(TEXT_BYTES_MAX));
    let bytes = label.encode().unwrap();
    assert!(bytes.len() <= crate::layout::BLOCK_BYTES);
    assert_eq!(VolumeLabel::decode(&bytes).unwrap(), label);
    label.domains.rack.push('x');
    assert!(matches!(label.encode(), Err(Error::OverLimit { what: "rack", found: 241, limit: 240 })));
}

#[test]
fn every_single_bit_that_flips_is_noticed() {
    let bytes = full().encode().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(VolumeLabel::decode(&flipped), Err(Error::Mismatch { .. })), "bit {bit}");
    }
}

#[test]
fn every_truncation_and_every_trailing_byte_is_noticed() {
    let bytes = full().encode().unwrap();
    for len in 0..bytes.len() {
        assert!(VolumeLabel::decode(&bytes[..len]).is_err(), "{len} bytes");
    }
    assert!(VolumeLabel::decode(&[bytes.clone(), vec![0]].concat()).is_err());
    let content = &bytes[..bytes.len() - CHECKSUM_BYTES];
    let trailing = with_checksum(&[content, &[0]].concat());
    assert_eq!(VolumeLabel::decode(&trailing), Err(Error::Trailing { what: "volume label", count: 1 }));
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
