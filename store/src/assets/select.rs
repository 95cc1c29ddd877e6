//! Filters, order and pages over the asset ledger.
//!
//! Invariants
//! - One pass and a heap of one page: memory does not depend on how many entries there are.
//! - A page ends in a cursor that says where the next begins, whatever was deposited in between.

use super::slot::{self, AssetState, Slot};
use crate::error::{Error, Result};
use crate::index::Index;
use serde::{Deserialize, Serialize};
use shosoin_protocol::policy::{Label, RecordType, Retention};
use shosoin_protocol::{DeviceId, HospitalId};
use std::collections::BinaryHeap;
use std::ops::Range;

/// Entries of one page, at most.
pub const PAGE_MAX: usize = 1000;
/// Entries of one page, unless another number is asked for.
pub const PAGE_DEFAULT: usize = 50;

/// What entries are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// reference number, which is the order of deposit
    #[default]
    Number,
    /// sealed bytes
    Bytes,
    /// record type
    Type,
    /// label
    Label,
    /// signing device
    Device,
    /// end of retention; those without a known end come last
    RetentionEnd,
}

impl Order {
    /// Every order by its name.
    pub const ALL: [(&'static str, Order); 6] = [
        ("number", Order::Number),
        ("bytes", Order::Bytes),
        ("type", Order::Type),
        ("label", Order::Label),
        ("device", Order::Device),
        ("retention-end", Order::RetentionEnd),
    ];

    fn key(self, slot: &Slot) -> u128 {
        match self {
            Order::Number => 0,
            Order::Bytes => slot.stored_bytes.into(),
            Order::Type => slot.policy.record_type.number().into(),
            Order::Label => (slot.policy.label as u8).into(),
            Order::Device => u128::from_be_bytes(slot.device.0),
            Order::RetentionEnd => slot.retention_end_ms().map_or(u128::MAX, u128::from),
        }
    }
}

/// Which retention is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetentionFilter {
    /// none was set
    None,
    /// a term whose start the hospital has not told
    StartUnknown,
    /// a term that ends before this moment, in milliseconds since 1970
    EndsBefore(u64),
    /// a term that ends at this moment or later
    EndsFrom(u64),
}

impl RetentionFilter {
    fn wants(self, slot: &Slot) -> bool {
        let end = slot.retention_end_ms();
        match self {
            RetentionFilter::None => slot.policy.retention == Retention::None,
            RetentionFilter::StartUnknown => matches!(slot.policy.retention, Retention::Term { start_ms: None, .. }),
            RetentionFilter::EndsBefore(moment) => end.is_some_and(|end| end < moment),
            RetentionFilter::EndsFrom(moment) => end.is_some_and(|end| end >= moment),
        }
    }
}

/// Which entries of one hospital, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AssetQuery {
    /// whose, in hex; may be left out where the vault knows one hospital
    pub hospital: Option<String>,
    /// codes of record types; any, where there are none
    pub types: Vec<String>,
    /// labels; any, where there are none
    pub labels: Vec<String>,
    /// states; any, where there are none
    pub states: Vec<AssetState>,
    /// signed by this device, in hex
    pub device: Option<String>,
    /// accepted at this moment or later, in milliseconds since 1970
    pub since_ms: Option<u64>,
    /// accepted before this moment
    pub until_ms: Option<u64>,
    /// retention
    pub retention: Option<RetentionFilter>,
    /// this number or higher
    pub from_number: Option<u64>,
    /// below this number
    pub to_number: Option<u64>,
    /// sorted by
    pub order: Order,
    /// largest first
    pub descending: bool,
    /// entries of the page
    pub limit: Option<usize>,
    /// cursor that the page before ended in
    pub after: Option<String>,
}

/// The numbers of a page.
pub struct Selection {
    /// its entries, in order
    pub slots: Vec<Slot>,
    /// entries that the filters let through; `None` where the look ended with the page
    pub matched: Option<u64>,
    /// where the next page begins
    pub next: Option<String>,
}

/// A query that was read.
struct Wanted {
    types: Vec<RecordType>,
    labels: Vec<Label>,
    device: Option<DeviceId>,
    limit: usize,
    after: Option<(u128, u64)>,
}

impl Wanted {
    fn read(query: &AssetQuery) -> Result<Self> {
        let wrong = |what, error: shosoin_protocol::Error| Error::Argument { what, why: error.to_string() };
        let types = query.types.iter().map(|code| RecordType::from_code(code).map_err(|error| wrong("type", error)));
        let device = query.device.as_deref().map(str::parse).transpose().map_err(|error| wrong("device", error))?;
        let limit = query.limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::Argument { what: "limit", why: format!("a page has 1 to {PAGE_MAX} entries") });
        }
        Ok(Wanted {
            types: types.collect::<Result<_>>()?,
            labels: query.labels.iter().map(|name| slot::label(name)).collect::<Result<_>>()?,
            device,
            limit,
            after: query.after.as_deref().map(read_cursor).transpose()?,
        })
    }

    fn wants(&self, query: &AssetQuery, slot: &Slot) -> bool {
        (self.types.is_empty() || self.types.contains(&slot.policy.record_type))
            && (self.labels.is_empty() || self.labels.contains(&slot.policy.label))
            && (query.states.is_empty() || query.states.contains(&slot.state))
            && self.device.is_none_or(|device| device == slot.device)
            && query.since_ms.is_none_or(|since| slot.accepted_ms >= since)
            && query.until_ms.is_none_or(|until| slot.accepted_ms < until)
            && query.retention.is_none_or(|retention| retention.wants(slot))
            && query.from_number.is_none_or(|from| slot.number >= from)
            && query.to_number.is_none_or(|to| slot.number < to)
    }
}

fn read_cursor(text: &str) -> Result<(u128, u64)> {
    let parsed = text
        .split_once('-')
        .and_then(|(key, number)| Some((u128::from_str_radix(key, 16).ok()?, u64::from_str_radix(number, 16).ok()?)));
    parsed.ok_or_else(|| Error::Argument { what: "cursor", why: "it is not one that a page ended in".into() })
}

/// Finds the page a query asks for, in a log of `size` leaves.
pub fn select(index: &dyn Index, hospital: HospitalId, size: u64, query: &AssetQuery) -> Result<Selection> {
    let wanted = Wanted::read(query)?;
    match query.order {
        Order::Number if !query.descending => in_order(index, hospital, size, query, &wanted),
        _ => sorted(index, hospital, size, query, &wanted),
    }
}

/// In the order of numbers a page is found without a look at what follows it.
fn in_order(
    index: &dyn Index,
    hospital: HospitalId,
    size: u64,
    query: &AssetQuery,
    wanted: &Wanted,
) -> Result<Selection> {
    let numbers = numbers(size, query, wanted);
    let mut slots = Vec::new();
    slot::span(index, hospital, numbers.clone(), &mut |slot| {
        if numbers.contains(&slot.number) && wanted.wants(query, &slot) {
            slots.push(slot);
        }
        Ok(slots.len() <= wanted.limit)
    })?;
    let more = slots.len() > wanted.limit;
    slots.truncate(wanted.limit);
    let next = slots.last().filter(|_| more).map(|slot| format!("0-{:x}", slot.number));
    let matched = (!more && wanted.after.is_none()).then_some(slots.len() as u64);
    Ok(Selection { slots, matched, next })
}

fn numbers(size: u64, query: &AssetQuery, wanted: &Wanted) -> Range<u64> {
    let after = wanted.after.map_or(0, |(_, number)| number.saturating_add(1));
    let start = query.from_number.unwrap_or(0).max(after);
    start..query.to_number.unwrap_or(size).min(size)
}

/// In any other order: one pass over everything, keeping the page.
fn sorted(
    index: &dyn Index,
    hospital: HospitalId,
    size: u64,
    query: &AssetQuery,
    wanted: &Wanted,
) -> Result<Selection> {
    let rank = |slot: &Slot| {
        let key = (query.order.key(slot), slot.number);
        if query.descending { (!key.0, !key.1) } else { key }
    };
    let (mut heap, mut matched) = (BinaryHeap::<((u128, u64), u64)>::new(), 0);
    let mut kept = std::collections::BTreeMap::new();
    slot::scan(index, hospital, &mut |slot| {
        if slot.number >= size || !wanted.wants(query, &slot) {
            return Ok(true);
        }
        matched += 1;
        let rank = rank(&slot);
        let fits = heap.len() <= wanted.limit || heap.peek().is_some_and(|(last, _)| rank < *last);
        if wanted.after.is_none_or(|after| rank > after) && fits {
            heap.push((rank, slot.number));
            kept.insert(slot.number, slot);
            if heap.len() > wanted.limit + 1
                && let Some((_, dropped)) = heap.pop()
            {
                kept.remove(&dropped);
            }
        }
        Ok(true)
    })?;
    let mut page = heap.into_sorted_vec();
    let more = page.len() > wanted.limit;
    page.truncate(wanted.limit);
    let next = page.last().filter(|_| more).map(|((key, number), _)| format!("{key:x}-{number:x}"));
    let slots = page.iter().filter_map(|(_, number)| kept.get(number).copied()).collect();
    Ok(Selection { slots, matched: Some(matched), next })
}

#[cfg(test)]
mod tests;
