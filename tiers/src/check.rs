//! Check: reads all of one segment past the page cache and reports what is not as it should be. Changes nothing but the
//! repair queue.
//!
//! Invariants
//! - Every unit is read, parity too, and every footer of a closed segment.
//! - Every record of a readable stripe is compared with its address, and every frame with the footer.

use crate::Frame;
use crate::access::Access;
use crate::closed;
use crate::finding::{Defect, Finding, Place};
use crate::footer::{StripeRow, Table};
use crate::load::{Extent, ShardFiles, Stripe};
use crate::record::FRAME_LEN;
use crate::recovery::{self, Survey};
use crate::segment::{Identity, Segment, shard_no};
use crate::stripe::slot_len;
use crate::tier::SegmentState;

/// Everything that is wrong with `segment` now.
pub fn segment(access: &Access, segment: &Segment) -> Vec<Finding> {
    let mut check = Check { access, segment, files: ShardFiles::of(segment), findings: Vec::new() };
    check.run();
    check.findings
}

struct Check<'a> {
    access: &'a Access,
    segment: &'a Segment,
    files: ShardFiles,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn run(&mut self) {
        self.shards();
        self.undecided();
        match closed::table(self.access, self.segment) {
            Ok(table) => self.stripes(&table),
            Err(defect) => self.findings.push(Finding::new(Place::segment(self.segment.identity.id), defect)),
        }
    }

    /// Shards that cannot be opened, and footers of a closed segment that are not good.
    fn shards(&mut self) {
        let mut lost = Vec::new();
        if self.segment.state() == SegmentState::Closed && self.segment.info().stripes == 0 {
            return; // nothing is in it, so nothing of it can be missed
        }
        for shard in 0..self.segment.identity.code.shards() {
            let defect = match (self.files.get(shard), self.segment.state()) {
                (Err(defect), _) => Some(defect),
                (Ok(_), SegmentState::Closed) => closed::table_on(&self.files, shard).err(),
                (Ok(_), SegmentState::Open | SegmentState::Unreadable) => None,
            };
            if let Some(defect) = defect {
                lost.push(shard);
                self.note(shard, None, defect);
            }
        }
        self.access.queue_shards(self.segment.identity.id, self.segment.identity.code, &lost);
    }

    /// A segment that nobody could close may hold more than its table lists.
    fn undecided(&mut self) {
        let Identity { id, code, .. } = self.segment.identity;
        let (present, needed) = (shard_no(self.files.present()), shard_no(code.k()));
        if self.segment.state() != SegmentState::Unreadable || present < needed {
            return;
        }
        let Ok(Survey { whole, findings, .. }) = recovery::survey(self.access, &self.files) else { return };
        let unjudged: Vec<Finding> =
            findings.into_iter().filter(|finding| matches!(finding.defect, Defect::StripeUnjudged { .. })).collect();
        if !whole && unjudged.is_empty() {
            let defect = Defect::SegmentUnreadable { present, needed };
            self.findings.push(Finding::new(Place::segment(id), defect));
        }
        self.findings.extend(unjudged);
    }

    fn stripes(&mut self, table: &Table) {
        let (mut at, mut frames) = (0, table.frames());
        for row in table.stripes() {
            let (here, rest) = frames.split_at(row.records as usize * FRAME_LEN);
            self.stripe(at, row, here);
            frames = rest;
            at += slot_len(row.payload_len, self.segment.identity.code);
        }
        if at < self.segment.info().end {
            // no footer is left, and no header from here on: what lies behind cannot even be listed
            let defect = Defect::StripeLost { good: 0, needed: shard_no(self.segment.identity.code.k()) };
            self.findings.push(Finding::new(Place::segment(self.segment.identity.id).at(at), defect));
        }
    }

    fn stripe(&mut self, at: u64, row: &StripeRow, frames: &[u8]) {
        let id = self.segment.identity.id;
        let mut stripe = self.files.load(at, row.payload_len, Extent::All);
        for (shard, defect) in stripe.defects() {
            if *defect != Defect::ShardMissing {
                self.note(usize::from(*shard), Some(at), defect.clone());
            }
        }
        self.access.queue(stripe.repairs(id, at));
        let (good, needed) = (stripe.good_count(), self.segment.identity.code.k());
        if good < needed {
            let defect = Defect::StripeLost { good: shard_no(good), needed: shard_no(needed) };
            return self.findings.push(Finding::new(Place::segment(id).at(at), defect));
        }
        let rebuilt = self.access.erasure(self.segment.identity.code).and_then(|erasure| stripe.rebuild(&erasure));
        let wrong = match rebuilt {
            Ok(()) => self.records(&stripe, row, frames),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = wrong {
            self.findings.push(Finding::new(Place::segment(id).at(at), Defect::RecordDamaged { why }));
        }
    }

    /// What is wrong with the records of a stripe whose units are good.
    fn records(&self, stripe: &Stripe, row: &StripeRow, frames: &[u8]) -> Option<String> {
        if stripe.header().is_some_and(|header| header.digest != row.digest) {
            return Some("the stripe is not the one that the table lists".into());
        }
        match stripe.frames() {
            Ok(found) if found == frames => {}
            Ok(_) => return Some("its frames are not those that the table lists".into()),
            Err(error) => return Some(error.to_string()),
        }
        let mut at = 0;
        for frame in frames.chunks_exact(FRAME_LEN).filter_map(|frame| Frame::decode(frame).ok()) {
            let bytes = stripe.payload(at + FRAME_LEN as u64..at + frame.framed_len());
            at += frame.framed_len();
            if let Err(error) = self.segment.identity.suite.verify(&frame.address, &bytes) {
                return Some(error.to_string());
            }
        }
        None
    }

    fn note(&mut self, shard: usize, at: Option<u64>, defect: Defect) {
        let volume = self.segment.shard(shard).map(|mount| mount.id());
        let place = Place::segment(self.segment.identity.id).shard(shard_no(shard), volume);
        self.findings.push(Finding::new(Place { offset: at, ..place }, defect));
    }
}
