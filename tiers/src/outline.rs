//! Outline: what the shards of a segment must hold, as far as anything outside one of them says: the digest of every
//! stripe, and the footer.
//!
//! Where it comes from, the best first: the table in memory of a segment that is open or could not be closed; a footer on
//! another shard or on another copy; the shard's own footer; the chain of headers over all shards. Where footers differ
//! the one that most copies have counts: a stale one is alone.

use crate::finding::Defect;
use crate::footer::{Locator, StripeRow};
use crate::load::{ShardFiles, header_in};
use crate::mount::Mount;
use crate::segment::{Identity, Segment};
use crate::stripe::{CHAIN_START, UnitHeader, slot_len};
use crate::tier::SegmentState;
use crate::{closed, recovery};
use std::sync::Arc;

/// What every shard of a segment must hold.
pub struct Outline {
    /// its committed stripes, in order
    pub stripes: Vec<StripeRow>,
    /// where the last of them ends
    pub end: u64,
    /// whether the segment is closed, so that every shard has a footer
    pub closed: bool,
    /// the footer of a closed segment, if one of them is good; its shard is any
    pub footer: Option<Locator>,
}

/// One copy of one shard.
pub type Copy<'a> = (u8, &'a Arc<Mount>);

impl Outline {
    /// What `copy` of `segment` must hold. Nothing that only `copy` says is taken where another copy says it too.
    pub fn of(segment: &Segment, copy: Copy<'_>) -> Self {
        if let Some(table) = segment.table() {
            return Outline { stripes: table.stripes().to_vec(), end: table.end(), closed: false, footer: None };
        }
        let footers = Footers::read(segment, copy);
        footers.outline(segment).unwrap_or_else(|| by_chain(segment, copy))
    }

    /// Bytes of every shard file.
    pub fn file_len(&self) -> u64 {
        self.footer.as_ref().map_or(self.end, Locator::file_len)
    }
}

/// The footer that most copies but this one agree on.
pub fn agreed_footer(segment: &Segment, copy: Copy<'_>) -> Option<Locator> {
    Footers::read(segment, copy).others.first().map(|(.., locator)| *locator)
}

/// The good locators of a segment.
struct Footers {
    /// of all copies but one, those that most agree on first
    others: Vec<Found>,
    /// of that one
    own: Option<Found>,
}

type Found = (u8, Arc<Mount>, Locator);

impl Footers {
    fn read(segment: &Segment, (shard, mount): Copy<'_>) -> Self {
        let read = |no: u8, on: Arc<Mount>| {
            let file = segment.identity.open_on(&on, usize::from(no)).ok()?;
            let Identity { id, hospital, .. } = segment.identity;
            let locator = closed::locator(&*file, id, hospital, usize::from(no)).ok()?;
            (locator.identity() == segment.identity).then_some((no, on, locator))
        };
        let is_other = |(no, on): &(u8, Arc<Mount>)| *no != shard || on.id() != mount.id();
        let mut others: Vec<Found> = segment.copies().filter(is_other).filter_map(|(no, on)| read(no, on)).collect();
        let own = read(shard, mount.clone());
        let votes: Vec<Locator> = others.iter().map(|(.., locator)| *locator).collect();
        let agreed = |locator: &Locator| votes.iter().filter(|other| locator.closes_like(other)).count();
        let own_agrees = |locator: &Locator| own.as_ref().is_some_and(|(.., own)| own.closes_like(locator));
        let rank = |locator: &Locator| (agreed(locator), own_agrees(locator), locator.end);
        others.sort_by_key(|(.., locator)| std::cmp::Reverse(rank(locator)));
        Footers { others, own }
    }

    /// By the first of them whose table is good.
    fn outline(&self, segment: &Segment) -> Option<Outline> {
        self.others.iter().chain(&self.own).find_map(|(shard, mount, locator)| {
            let mut shards = vec![None; segment.identity.code.shards()];
            *shards.get_mut(usize::from(*shard))? = Some(mount.clone());
            let files = ShardFiles::open(segment.identity, &shards);
            let table = closed::table_on(&files, usize::from(*shard)).ok()?;
            Some(Outline { stripes: table.stripes().to_vec(), end: table.end(), closed: true, footer: Some(*locator) })
        })
    }
}

/// By following the headers from the start, each from whichever shard has it.
fn by_chain(segment: &Segment, (shard, mount): Copy<'_>) -> Outline {
    let mut shards = segment.shards();
    if let Some(slot) = shards.get_mut(usize::from(shard)) {
        *slot = Some(mount.clone());
    }
    let files = ShardFiles::open(segment.identity, &shards);
    let mut outline =
        Outline { stripes: Vec::new(), end: 0, closed: segment.state() == SegmentState::Closed, footer: None };
    let (mut stripe_no, mut previous) = (0, CHAIN_START);
    while let Some(UnitHeader { stripe, digest, .. }) = recovery::link(&files, outline.end, stripe_no, previous) {
        outline.stripes.push(StripeRow { payload_len: stripe.payload_len, records: stripe.records, digest });
        outline.end += slot_len(stripe.payload_len, segment.identity.code);
        (stripe_no, previous) = (stripe_no + 1, digest);
    }
    outline
}

/// The header of the stripe at `at` with this digest, from any copy that has it: what verifies a unit whose own header is
/// damaged.
pub fn header_elsewhere(segment: &Segment, at: u64, row: &StripeRow) -> Option<UnitHeader> {
    segment.copies().find_map(|(shard, mount)| {
        let file = segment.identity.open_on(&mount, usize::from(shard)).ok()?;
        let header = header_in(&*file, segment.identity, usize::from(shard), at).ok()?;
        (header.digest == row.digest).then_some(header)
    })
}

/// Why a header that is valid and in its place is not the right one.
pub fn another_stripe() -> Defect {
    Defect::HeaderDamaged { why: "it describes another stripe than the table lists".into() }
}
