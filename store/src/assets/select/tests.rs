use super::*;
use crate::config::IndexKind;
use crate::index::{self, Batch};
use crate::rows;
use proptest::prelude::*;
use shosoin_protocol::policy::DepositPolicy;
use slot::{BLOCK_SLOTS, SLOT_BYTES};

const HOSPITAL: HospitalId = HospitalId([7; 16]);

/// Deposits that differ in everything; every fifth leaf is none.
fn slots(count: u64) -> Vec<Slot> {
    let types = ["O-00", "T4-01", "T4-11", "T5-03"];
    let slot = |number: u64| {
        let retention = match number % 4 {
            0 => Retention::None,
            1 => Retention::Term { term_days: 10, start_ms: None },
            _ => Retention::Term { term_days: 10, start_ms: Some(number * 977 % 5_000) },
        };
        let label = [Label::Ordinary, Label::Sensitive, Label::Restricted][(number % 3) as usize];
        let record_type = RecordType::from_code(types[(number * 31 % 4) as usize]).unwrap();
        Slot {
            number,
            state: AssetState::Held,
            policy: DepositPolicy { record_type, label, retention },
            keep_until_ms: 0,
            on_hold: false,
            accepted_ms: 1_000 + number,
            address_count: 1,
            stored_bytes: number * 7919 % 1_000,
            device: DeviceId([(number % 2) as u8; 16]),
        }
    };
    (0..count).filter(|number| number % 5 != 4).map(slot).collect()
}

fn filled(slots: &[Slot]) -> Box<dyn Index> {
    let index = index::open(IndexKind::Memory, std::path::Path::new("")).unwrap();
    let mut batch = Batch::default();
    let mut blocks = std::collections::BTreeMap::<u64, Vec<u8>>::new();
    for slot in slots {
        let block = blocks.entry(slot.number / BLOCK_SLOTS).or_default();
        let at = (slot.number % BLOCK_SLOTS) as usize * SLOT_BYTES;
        block.resize(block.len().max(at + SLOT_BYTES), 0);
        block[at..at + SLOT_BYTES].copy_from_slice(&slot.bytes());
    }
    blocks.into_iter().for_each(|(no, bytes)| batch.put(rows::assets_key(HOSPITAL, no), bytes));
    index.write(batch).unwrap();
    index
}

/// Every page of a query, one after the other.
fn pages(index: &dyn Index, size: u64, mut query: AssetQuery) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let page = select(index, HOSPITAL, size, &query).unwrap();
        assert!(page.slots.len() <= query.limit.unwrap_or(PAGE_DEFAULT));
        numbers.extend(page.slots.iter().map(|slot| slot.number));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return numbers,
        }
    }
}

proptest! {
    #[test]
    fn pages_in_any_order_give_every_wanted_entry_once_in_that_order(
        order in 0..6usize, descending: bool, limit in 1..90usize, sensitive: bool, ends: bool, from in 0..300u64,
    ) {
        let all = slots(400);
        let index = filled(&all);
        let order = Order::ALL[order].1;
        let query = AssetQuery {
            labels: if sensitive { vec!["sensitive".into()] } else { Vec::new() },
            retention: ends.then_some(RetentionFilter::EndsBefore(10 * 86_400_000 + 2_500)),
            from_number: Some(from),
            order,
            descending,
            limit: Some(limit),
            ..AssetQuery::default()
        };
        let mut expected: Vec<&Slot> = all.iter().filter(|slot| {
            slot.number >= from
                && (!sensitive || slot.policy.label == Label::Sensitive)
                && (!ends || slot.retention_end_ms().is_some_and(|end| end < 10 * 86_400_000 + 2_500))
        }).collect();
        expected.sort_by_key(|slot| (order.key(slot), slot.number));
        if descending {
            expected.reverse();
        }
        let expected: Vec<u64> = expected.iter().map(|slot| slot.number).collect();
        prop_assert_eq!(pages(index.as_ref(), 400, query), expected);
    }
}

#[test]
fn every_filter_lets_through_what_it_says_and_counts_it() {
    let all = slots(400);
    let index = filled(&all);
    let count = |query: AssetQuery| {
        let query = AssetQuery { order: Order::Bytes, ..query };
        select(index.as_ref(), HOSPITAL, 400, &query).unwrap().matched.unwrap()
    };
    let expected = |wanted: &dyn Fn(&Slot) -> bool| all.iter().filter(|slot| wanted(slot)).count() as u64;
    let query = AssetQuery::default;
    assert_eq!(count(query()), all.len() as u64);
    let of_type = count(AssetQuery { types: vec!["T4-01".into()], ..query() });
    assert_eq!(of_type, expected(&|slot| slot.policy.record_type.code() == "T4-01"));
    let by_device = count(AssetQuery { device: Some("01".repeat(16)), ..query() });
    assert_eq!(by_device, expected(&|slot| slot.device.0[0] == 1));
    let in_time = count(AssetQuery { since_ms: Some(1_100), until_ms: Some(1_150), ..query() });
    assert_eq!(in_time, expected(&|slot| (1_100..1_150).contains(&slot.accepted_ms)));
    let unknown = count(AssetQuery { retention: Some(RetentionFilter::StartUnknown), ..query() });
    assert_eq!(unknown, expected(&|slot| slot.number % 4 == 1));
    let disposed = count(AssetQuery { states: vec![AssetState::Disposed], ..query() });
    assert_eq!(disposed, 0);
    assert_eq!(count(AssetQuery { from_number: Some(10), to_number: Some(20), ..query() }), 8);
}

#[test]
fn entries_above_the_newest_head_are_not_shown() {
    let index = filled(&slots(400));
    for order in [Order::Number, Order::Bytes] {
        let numbers = pages(index.as_ref(), 100, AssetQuery { order, ..AssetQuery::default() });
        assert_eq!(numbers.len(), 80);
        assert!(numbers.iter().all(|number| *number < 100));
    }
}

#[test]
fn a_query_that_makes_no_sense_is_refused_by_name() {
    let index = filled(&slots(10));
    let wrong = [
        ("type", AssetQuery { types: vec!["X-01".into()], ..AssetQuery::default() }),
        ("label", AssetQuery { labels: vec!["secret".into()], ..AssetQuery::default() }),
        ("device", AssetQuery { device: Some("ff".into()), ..AssetQuery::default() }),
        ("limit", AssetQuery { limit: Some(0), ..AssetQuery::default() }),
        ("limit", AssetQuery { limit: Some(PAGE_MAX + 1), ..AssetQuery::default() }),
        ("cursor", AssetQuery { after: Some("x".into()), ..AssetQuery::default() }),
    ];
    for (named, query) in wrong {
        let refused = select(index.as_ref(), HOSPITAL, 10, &query).map(drop);
        assert!(matches!(&refused, Err(Error::Argument { what, .. }) if *what == named), "{named}: {refused:?}");
    }
}
