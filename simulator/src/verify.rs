//! Verification: every answer of the engine held against what was acknowledged and against what the media hold.

use crate::oracle::{self, Acknowledged};
use crate::outcome::Rule;
use crate::run::Run;
use shosoin_protocol::SegmentId;
use shosoin_tiers::{Defect, Error, Finding, SegmentInfo, SegmentState, Severity};
use std::collections::BTreeSet;

impl Run<'_> {
    pub fn read_some(&mut self) {
        for _ in 0..3 {
            if self.acknowledged.is_empty() || self.is_dead() {
                return;
            }
            let no = self.rng.index(self.acknowledged.len());
            self.read(no);
        }
    }

    /// Reads one record and holds it against the oracle.
    fn read(&mut self, no: usize) {
        let Some(tier) = &self.tier else { return };
        let Acknowledged { address, suite, location, .. } = self.acknowledged[no];
        let mut read = tier.read(suite, &location, &address);
        if self.is_dead() {
            return;
        }
        if read.is_err() && !self.options.is_strict() {
            // beyond the budget a call that fails once may be the one too many; the verdict is about the media
            let rates = self.world.with(|state| std::mem::take(&mut state.rates));
            read = tier.read(suite, &location, &address);
            self.world.with(|state| state.rates = rates);
        }
        self.outcome.reads += 1;
        match read {
            Ok(bytes) if bytes == self.acknowledged[no].bytes => {}
            Ok(_) => {
                self.outcome.wrong += 1;
                self.violate(Rule::WrongBytes, format!("record {address} at {location:?}"));
            }
            Err(error) => self.judge(no, location.segment, location.stripe_at, &error),
        }
    }

    /// A record could not be read: was it lost, and may it be?
    fn judge(&mut self, no: usize, segment: SegmentId, at: u64, error: &Error) {
        let in_use = self.in_use();
        let (left, k) = (oracle::left(&self.world, &in_use, segment, at), self.options.code.k());
        let names_it =
            matches!(error, Error::RecordUnreadable { address, .. } if *address == self.acknowledged[no].address);
        if left.sure >= k {
            self.violate(Rule::Unreadable, format!("{left:?}, {error}"));
        } else if self.options.is_strict() {
            self.violate(Rule::Lost, format!("{left:?}, {error}"));
        } else if !names_it {
            self.violate(Rule::Misreported, format!("{left:?}, {error}"));
        }
        // an old image may yet bring it back: what is lost is counted at the end
        self.acknowledged[no].is_lost = self.is_settled && left.possible < k;
    }

    /// What must be whole again by now is looked at from outside.
    pub fn audit(&mut self) {
        let now_ms = self.world.now_ms();
        let due = self.world.with(|state| state.budget.take_due(now_ms));
        if !self.options.is_strict() {
            return;
        }
        for (segment, shard, stripes) in due {
            let damaged =
                self.world.with(|state| stripes.into_iter().find(|at| !oracle::is_whole(state, segment, shard, *at)));
            if let Some(at) = damaged {
                self.violate(Rule::Overdue, format!("segment {segment} shard {shard} at {at} is not whole again"));
            }
        }
    }

    /// The engine says that a stripe is durable: it must be on every volume that did not lie.
    pub fn acknowledge(&mut self, segment: SegmentId, at: u64) {
        let now_ms = self.world.now_ms();
        let missing = self.world.with(|state| {
            state.budget.acknowledge(segment, at);
            let shards = u8::try_from(state.budget.shards()).unwrap_or(u8::MAX);
            (0..shards).find(|shard| {
                !state.budget.is_ruined(segment, *shard, at, now_ms) && !oracle::is_durable(state, segment, *shard, at)
            })
        });
        if let Some(shard) = missing {
            self.violate(Rule::Undurable, format!("segment {segment} at {at} is not durable on shard {shard}"));
        }
    }

    /// Walking over everything lists every acknowledged record: an index can be rebuilt from media alone.
    pub fn expect_listed(&mut self) {
        let Some(tier) = &self.tier else { return };
        let mut listed = BTreeSet::new();
        for info in tier.segments() {
            let walked = tier.walk(info.id, 0, &mut |walked| {
                listed.insert((walked.address, walked.location));
                Ok(())
            });
            if walked.is_err() && self.is_dead() {
                return;
            }
        }
        let missing = |record: &&Acknowledged| !record.is_lost && !listed.contains(&(record.address, record.location));
        let missing = self.acknowledged.iter().find(missing).map(|record| record.location);
        if let Some(location) = missing.filter(|_| self.options.is_strict()) {
            self.violate(Rule::Unlisted, format!("no walk lists the record at {location:?}"));
        }
    }

    /// Every acknowledged record is read, and every segment checked: what is lost must be named, and nothing else.
    pub fn verify_everything(&mut self) {
        self.is_settled = true;
        for no in 0..self.acknowledged.len() {
            self.read(no);
        }
        self.expect_listed();
        self.outcome.lost = self.acknowledged.iter().filter(|record| record.is_lost).count() as u64;
        let Some(tier) = &self.tier else { return };
        let check = |info: SegmentInfo| {
            let mut findings = tier.check_segment(info.id);
            findings.retain(|found| found.severity() > Severity::Note);
            (info, findings)
        };
        let checked: Vec<(SegmentInfo, Vec<Finding>)> = tier.segments().into_iter().map(check).collect();
        self.outcome.reported += checked.iter().map(|(_, findings)| findings.len() as u64).sum::<u64>();
        let lost = self.acknowledged.iter().filter(|record| record.is_lost);
        let lost: Vec<(SegmentId, u64)> = lost.map(|lost| (lost.location.segment, lost.location.stripe_at)).collect();
        for (segment, at) in lost {
            let found = checked.iter().find(|(info, _)| info.id == segment);
            let mut decided = self.decided.iter().filter(|found| found.place.segment == Some(segment));
            // what lies behind the end of a closed segment no walk lists: a check of an index against media names it
            let ended = found.is_some_and(|(info, _)| info.state == SegmentState::Closed && at >= info.end);
            let named = ended
                || decided.any(|found| names(found, at))
                || found.is_none_or(|(_, findings)| findings.iter().any(|found| names(found, at)));
            if !named {
                self.violate(Rule::Misreported, format!("{segment} at {at} is lost and no check says so: {found:?}"));
            }
        }
        if self.options.is_strict() {
            let left: Vec<String> = checked.iter().flat_map(|(_, found)| found).map(ToString::to_string).collect();
            for what in left {
                self.violate(Rule::Overdue, format!("after everything was repaired: {what}"));
            }
        }
    }
}

/// Whether a finding says that the stripe at `at` is lost.
fn names(found: &Finding, at: u64) -> bool {
    // where a chain breaks, what lies behind cannot be listed one by one
    let unlisted = matches!(found.defect, Defect::StripeLost { good: 0, .. } | Defect::StripeUnjudged { .. });
    let covers = |offset: u64| offset == at || unlisted && offset < at;
    let gone = found.severity() == Severity::Lost
        || matches!(found.defect, Defect::StripeTorn { .. } | Defect::SegmentRecovered { stripes: 0, .. });
    gone && found.place.offset.is_none_or(covers)
}
