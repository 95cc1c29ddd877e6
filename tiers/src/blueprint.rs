//! Blueprint: what every shard file of a closed segment must be, byte for byte but for the units themselves: the table,
//! the footer, and the digest of every stripe. It comes from a good footer and is what all rebuilding is checked against.
//!
//! Invariants
//! - The table matches its digest, and the stripes of a shard are believed only if they are the ones that it lists.
//! - Where footers differ, the one that most shards have counts, then the one that lists most; nothing is averaged.

use crate::access::Access;
use crate::closed;
use crate::finding::Defect;
use crate::footer::{ClosedBy, Closing, Footer, Locator, Table};
use crate::layout::{BLOCK_BYTES, align_up};
use crate::load::{ShardFiles, believe};
use crate::recovery;
use crate::segment::{Identity, Segment, shard_no};
use crate::stripe::{HEADER_LEN, UnitHeader, slot_len};
use crate::tier::SegmentState;
use crate::{Error, Result};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of each shard that are read, rebuilt and written in one go, unless one stripe has more.
const WINDOW_BYTES: u64 = 1 << 20;

/// What every shard file of one segment must be.
pub struct Blueprint {
    /// the segment
    pub identity: Identity,
    /// its stripes and records
    pub table: Arc<Table>,
    footer: Footer,
    /// where each stripe begins, and the last one ends
    at: Vec<u64>,
}

/// Stripes that follow each other and are read in one go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// which stripes
    pub stripes: Range<usize>,
    /// where they begin in every shard
    pub at: u64,
    /// bytes they take in every shard
    pub len: usize,
}

impl Blueprint {
    /// The blueprint of a closed segment. Where no footer is left, the stripes themselves are followed.
    pub fn of(access: &Access, segment: &Segment, now_ms: u64) -> Result<Self> {
        let identity = segment.identity;
        match segment.state() {
            SegmentState::Closed => {}
            SegmentState::Open => return Err(unclosed(identity, "its writer still appends to it")),
            SegmentState::Unreadable => {
                return Err(unclosed(identity, "shards that are absent could still decide what it holds"));
            }
        }
        let files = ShardFiles::of(segment);
        let closed_by = |table, locator| {
            let Locator { closed_by: by, closed_ms: at_ms, footer_at, .. } = locator;
            Blueprint::new(Arc::new(table), Closing { identity, by, at_ms, footer_at })
        };
        for (locator, shards) in locators(&files) {
            if let Some(table) = shards.into_iter().find_map(|shard| closed::table_on(&files, shard).ok()) {
                return Ok(closed_by(table, locator));
            }
        }
        for (shard, spare) in files.spares() {
            let footer = spare.get(shard).and_then(|it| closed::locator(&**it, identity.id, identity.hospital, shard));
            if let (Ok(locator), Ok(table)) = (footer, closed::table_on(&spare, shard)) {
                return Ok(closed_by(table, locator));
            }
        }
        let unreadable = |why: &str| Error::SegmentUnreadable { segment: identity.id, why: why.to_owned() };
        if files.present() < identity.code.k() {
            return Err(unreadable("no footer is left, and too few shards are present to follow its stripes"));
        }
        let survey = recovery::survey(access, &files)?;
        if !survey.whole {
            return Err(unreadable("no footer is left, and its stripes cannot all be followed"));
        }
        let footer_at = align_up(files.longest().max(survey.table.end()));
        let closing = Closing { identity, by: ClosedBy::Recovery, at_ms: now_ms, footer_at };
        Ok(Blueprint::new(Arc::new(survey.table), closing))
    }

    fn new(table: Arc<Table>, closing: Closing) -> Self {
        let code = closing.identity.code;
        let mut at = vec![0];
        let mut end = 0;
        for row in table.stripes() {
            end += slot_len(row.payload_len, code);
            at.push(end);
        }
        Blueprint { identity: closing.identity, footer: Footer::new(&table, closing), table, at }
    }

    /// Length of every shard file.
    pub fn file_len(&self) -> u64 {
        self.footer.file_len()
    }

    /// Where the stripes end and the footer begins. What is between is evidence of an unclean stop, or zero.
    pub fn gap(&self) -> Range<u64> {
        self.table.end()..self.footer.at()
    }

    /// Where a stripe lies in every shard, in bytes from the start of the file.
    pub fn stripe(&self, no: usize) -> Range<u64> {
        self.at[no]..self.at[no + 1]
    }

    /// The footer of one shard.
    pub fn footer(&self, shard: usize) -> crate::AlignedBuf {
        self.footer.for_shard(shard_no(shard))
    }

    /// All stripes, in order, in pieces of bounded size.
    pub fn windows(&self) -> impl Iterator<Item = Window> + '_ {
        let mut first = 0;
        std::iter::from_fn(move || {
            let at = *self.at.get(first)?;
            let fits = |last: &usize| *last == first || self.at[last + 1] - at <= WINDOW_BYTES;
            let last = (first..self.at.len() - 1).take_while(fits).last()?;
            let window = Window {
                stripes: first..last + 1,
                at,
                len: usize::try_from(self.at[last + 1] - at).unwrap_or(usize::MAX),
            };
            first = last + 1;
            Some(window)
        })
    }

    /// Believes the header of unit `shard` of stripe `no` if it is whole and belongs exactly there.
    pub fn believe(&self, bytes: &[u8], shard: usize, no: usize) -> Result<UnitHeader, Defect> {
        let header = believe(bytes, self.identity, shard, self.at[no])?;
        match header.digest == self.table.stripes()[no].digest {
            true => Ok(header),
            false => Err(Defect::HeaderDamaged { why: "it describes another stripe than the table lists".into() }),
        }
    }

    /// Whether `shard` ends as it must: its length, and its footer byte for byte.
    pub fn judge_footer(&self, files: &ShardFiles, shard: usize) -> Result<(), Defect> {
        let found = files.get(shard)?.len().map_err(|error| crate::load::unreadable(&error))?;
        if found != self.file_len() {
            let why = format!("the file has {found} bytes instead of {}", self.file_len());
            return Err(Defect::FooterDamaged { why });
        }
        let expected = self.footer(shard);
        let mut bytes = crate::AlignedBuf::default();
        files.read(shard, self.footer.at(), expected.len(), &mut bytes)?;
        match *bytes == *expected {
            true => Ok(()),
            false => Err(Defect::FooterDamaged { why: "it is not the footer of this segment and shard".into() }),
        }
    }

    /// Bytes of every footer.
    pub fn footer_len(&self) -> u64 {
        self.file_len() - self.footer.at()
    }
}

fn unclosed(identity: Identity, why: &'static str) -> Error {
    Error::SegmentUnclosed { segment: identity.id, why }
}

/// The different locators of a segment, and the shards that have each: the one that most shards agree on first, then the
/// one that lists most.
fn locators(files: &ShardFiles) -> Vec<(Locator, Vec<usize>)> {
    let Identity { id, hospital, code, .. } = files.identity;
    let mut found: Vec<(Locator, Vec<usize>)> = Vec::new();
    for shard in 0..code.shards() {
        let Ok(locator) = files.get(shard).and_then(|file| closed::locator(&**file, id, hospital, shard)) else {
            continue;
        };
        let locator = Locator { shard: 0, ..locator };
        match found.iter_mut().find(|(known, _)| *known == locator) {
            Some((_, shards)) => shards.push(shard),
            None => found.push((locator, vec![shard])),
        }
    }
    found.sort_by_key(|(locator, shards)| std::cmp::Reverse((shards.len(), locator.end)));
    found
}

/// Whether the header and unit at the start of `slot` are good, by the digest of the stripe in the table.
pub fn judge_slot(plan: &Blueprint, slot: &[u8], shard: usize, no: usize) -> Result<(), Defect> {
    let header = plan.believe(slot, shard, no)?;
    let (expected, found) = (header.stripe.units[shard], plan.identity.suite.digest(&[&slot[HEADER_LEN..]]));
    match expected == found {
        true => Ok(()),
        false => Err(Defect::UnitDamaged { expected, found }),
    }
}

const _: () = assert!(WINDOW_BYTES.is_multiple_of(BLOCK_BYTES as u64));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Code;
    use crate::footer::StripeRow;
    use proptest::prelude::*;
    use shosoin_protocol::{Digest, HospitalId, SegmentId, Suite};

    proptest! {
        #[test]
        fn windows_cover_every_stripe_once_in_order_and_are_bounded(
            lens in prop::collection::vec(0u32..3_000_000, 0..60), code in prop::sample::select(Code::ALLOWED.to_vec()),
            torn in 0u64..9,
        ) {
            let mut table = Table::new(code);
            lens.iter().for_each(|len| table.push(StripeRow { payload_len: *len, records: 0, digest: Digest([7; 32]) }, &[]));
            let footer_at = table.end() + torn * BLOCK_BYTES as u64;
            let identity = Identity { id: SegmentId([1; 16]), hospital: HospitalId([2; 16]), suite: Suite::Default, code };
            let end = table.end();
            let plan = Blueprint::new(Arc::new(table), Closing { identity, by: ClosedBy::Writer, at_ms: 5, footer_at });
            let (mut stripe, mut at) = (0, 0);
            for window in plan.windows() {
                prop_assert!(window.stripes.start == stripe && window.at == at && !window.stripes.is_empty());
                prop_assert!(window.len as u64 <= WINDOW_BYTES || window.stripes.len() == 1);
                stripe = window.stripes.end;
                at += window.len as u64;
                prop_assert_eq!(plan.stripe(stripe - 1).end, at);
            }
            prop_assert_eq!((stripe, at), (lens.len(), end));
            prop_assert_eq!(plan.gap(), end..footer_at);
            prop_assert_eq!(plan.file_len(), footer_at + plan.footer_len());
            prop_assert_eq!(plan.footer(0).len() as u64, plan.footer_len());
        }
    }
}
