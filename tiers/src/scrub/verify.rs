//! Verifying a shard that arrives in order, piece by piece: units by the digests of their stripe, the footer by the one
//! that the segment has elsewhere. Bytes are hashed where they were read to, and kept nowhere.

use super::Scrub;
use crate::bug::{self, Bug};
use crate::finding::Defect;
use crate::footer::{Locator, StripeRow};
use crate::layout::{BLOCK_BYTES, align_up};
use crate::load::believe;
use crate::outline::{Outline, another_stripe, header_elsewhere};
use crate::segment::Segment;
use crate::stripe::{HEADER_LEN, UnitHeader, slot_len};
use shosoin_protocol::suite::Hasher;

/// A part of a shard: its bytes, whole blocks of them, or how many there are that could not be read and why.
#[derive(Clone, Copy)]
pub enum Span<'a> {
    Bytes(&'a [u8]),
    Unread(u64, &'a Defect),
}

impl Span<'_> {
    fn len(&self) -> u64 {
        match self {
            Span::Bytes(bytes) => bytes.len() as u64,
            Span::Unread(len, _) => *len,
        }
    }

    /// The first `at` bytes or fewer, and the rest.
    fn split(self, at: u64) -> (Self, Self) {
        match self {
            Span::Bytes(bytes) => {
                let at = usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len()));
                let (first, rest) = bytes.split_at(at);
                (Span::Bytes(first), Span::Bytes(rest))
            }
            Span::Unread(len, why) => (Span::Unread(at.min(len), why), Span::Unread(len - at.min(len), why)),
        }
    }
}

/// Verifies the units of one shard.
pub struct UnitCheck<'a> {
    segment: &'a Segment,
    outline: &'a Outline,
    shard: u8,
    /// the stripe it is in, by number
    stripe_no: usize,
    /// where that begins
    at: u64,
    unit: Unit,
    /// bytes of it that were taken
    taken: u64,
}

/// A unit that is arriving.
struct Unit {
    header: Result<UnitHeader, Defect>,
    hasher: Hasher,
    unread: Option<Defect>,
}

impl<'a> UnitCheck<'a> {
    pub fn new(segment: &'a Segment, outline: &'a Outline, shard: u8) -> Self {
        let unit = Unit::expected(segment);
        UnitCheck { segment, outline, shard, stripe_no: 0, at: 0, unit, taken: 0 }
    }

    /// Takes what follows the part taken last, and tells `scrub` what is wrong with units that end in it.
    pub fn take(&mut self, mut span: Span<'_>, scrub: &mut Scrub<'_>) {
        let outline = self.outline;
        while let Some(row) = outline.stripes.get(self.stripe_no).filter(|_| span.len() > 0) {
            let slot_len = slot_len(row.payload_len, self.segment.identity.code);
            let (part, rest) = span.split(slot_len - self.taken);
            self.add(part);
            span = rest;
            if self.taken == slot_len {
                self.judge(row, scrub);
                (self.stripe_no, self.at, self.taken) = (self.stripe_no + 1, self.at + slot_len, 0);
            }
        }
    }

    fn add(&mut self, part: Span<'_>) {
        match part {
            Span::Bytes(bytes) if self.taken == 0 => {
                self.unit.header = believe(bytes, self.segment.identity, usize::from(self.shard), self.at);
                self.unit.hasher.update(&bytes[HEADER_LEN..]);
            }
            Span::Bytes(bytes) => self.unit.hasher.update(bytes),
            Span::Unread(_, why) => drop(self.unit.unread.get_or_insert(why.clone())),
        }
        self.taken += part.len();
    }

    fn judge(&mut self, row: &StripeRow, scrub: &mut Scrub<'_>) {
        let Unit { header, hasher, unread } = std::mem::replace(&mut self.unit, Unit::expected(self.segment));
        scrub.done.units += 1;
        if bug::is(Bug::ParityOnlyScrub) && usize::from(self.shard) < self.segment.identity.code.k() {
            return;
        }
        if let Some(defect) = unread {
            return scrub.note(self.at, defect);
        }
        let listed = |header: UnitHeader| match header.digest == row.digest {
            true => Ok(header),
            false => Err(another_stripe()),
        };
        let header = header.and_then(listed).or_else(|defect| {
            let worth_it = scrub.done.unlisted == 0 && defect != Defect::UnitGap;
            scrub.note(self.at, defect);
            worth_it.then(|| header_elsewhere(self.segment, self.at, row)).flatten().ok_or(())
        });
        let Ok(UnitHeader { stripe, .. }) = header else { return };
        let (expected, found) = (stripe.units[usize::from(self.shard)], hasher.finish());
        if expected != found {
            scrub.note(self.at, Defect::UnitDamaged { expected, found });
        }
    }
}

impl Unit {
    fn expected(segment: &Segment) -> Self {
        let header = Err(Defect::HeaderDamaged { why: "it was not read".into() });
        Unit { header, hasher: Hasher::new(segment.identity.suite), unread: None }
    }
}

/// Verifies the footer of one shard.
pub struct FooterCheck {
    /// what its locator must be
    locator: Locator,
    /// bytes of it that were taken
    taken: u64,
    table: Hasher,
    padding_is_zero: bool,
    locator_is_right: bool,
    unread: Option<Defect>,
}

impl FooterCheck {
    pub fn new(footer: Locator, shard: u8) -> Self {
        let locator = Locator { shard, ..footer };
        let table = Hasher::new(locator.suite);
        FooterCheck { locator, taken: 0, table, padding_is_zero: true, locator_is_right: false, unread: None }
    }

    /// Takes what follows the part taken last.
    pub fn take(&mut self, span: Span<'_>) {
        let (table_len, padded_len) = (self.locator.table_len, align_up(self.locator.table_len));
        let (table, rest) = span.split(table_len.saturating_sub(self.taken));
        let (padding, locator) = rest.split(padded_len.saturating_sub(self.taken + table.len()));
        self.taken += span.len();
        if let Span::Unread(_, why) = span {
            self.unread.get_or_insert(why.clone());
        }
        if let (Span::Bytes(table), Span::Bytes(padding), Span::Bytes(locator)) = (table, padding, locator) {
            self.table.update(table);
            self.padding_is_zero &= padding.iter().all(|byte| *byte == 0);
            self.locator_is_right |= locator == self.locator.encode();
        }
    }

    /// What is wrong with it, and where.
    pub fn finish(self) -> Vec<(u64, Defect)> {
        let Locator { footer_at, table_len, table_digest, .. } = self.locator;
        if let Some(defect) = self.unread {
            return vec![(footer_at, defect)];
        }
        let found = self.table.finish();
        let damaged = |right: bool, at: u64, why: String| (!right).then_some((at, Defect::FooterDamaged { why }));
        let table = format!("its table has digest {found} instead of {table_digest}");
        let locator_at = self.locator.file_len() - BLOCK_BYTES as u64;
        let locator = "its locator is not the one that the segment has elsewhere".to_owned();
        [
            damaged(found == table_digest, footer_at, table),
            damaged(self.padding_is_zero, footer_at + table_len, "the padding of its table must be zero".into()),
            damaged(self.locator_is_right, locator_at, locator),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
