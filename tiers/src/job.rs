//! Job: one shard that is written anew in a pass, and what was found out about it.
//!
//! Invariants
//! - A shard of which every unit can be had is written whole. One of which some cannot is only read to its end; if anything
//!   of it can be mended it is written in a second pass, which is told of them ([`Job::kept`]), with what was found in place of
//!   the units that are lost: their own bytes, or a [gap](crate::gap) where there were none.
//! - Such a shard takes the place of its old copy only if nothing there is given up by it: every lost unit was read there twice
//!   with the same bytes, or is not there at all.

use crate::blueprint::Blueprint;
use crate::finding::Finding;
use crate::mount::Mount;
use crate::new_shard::{NewShard, Trouble};
use crate::pace::Pace;
use crate::unit::Unit;
use crate::{Error, Result};
use shosoin_protocol::Digest;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Units of one shard that can be brought back by nobody, by number of their stripe.
pub type LostUnits = BTreeMap<usize, Lost>;

/// One shard that is written anew.
pub struct Job {
    /// which shard
    pub shard: usize,
    /// whether a copy of it is there to be read
    pub own: bool,
    /// the volume it is written to
    pub target: Arc<Mount>,
    /// what is written there, until that fails
    pub output: Result<NewShard, Error>,
    /// units, and a footer, that were not good in its own copy
    pub bad_units: u64,
    /// whether its own copy is good from its first to its last byte
    pub sound: bool,
    /// units that can be brought back by nobody
    pub lost: LostUnits,
    /// the same of an earlier pass; `Some` if the others are written without them
    pub kept: Option<LostUnits>,
}

/// A unit that can be brought back by nobody.
#[derive(Debug, Clone)]
pub struct Lost {
    /// why
    pub finding: Finding,
    /// what its own copy has there
    pub left: Left,
    /// digest of what is written there, header and unit
    pub written: Digest,
}

/// What a copy has in place of a unit that is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// bytes that are not the unit, header included
    Bytes(Digest),
    /// nothing
    Nothing,
    /// nobody knows: it cannot be read
    Unread,
}

impl Left {
    /// What `unit` left, of which `digest` is that of header and unit.
    pub fn of(unit: Option<&Unit>, digest: impl FnOnce() -> Digest) -> Self {
        match unit {
            None => Left::Nothing,
            Some(Unit { header: Err(defect), .. }) if defect.is_absence() => Left::Nothing,
            Some(Unit { digest: None, .. }) => Left::Unread,
            Some(_) => Left::Bytes(digest()),
        }
    }
}

impl Job {
    /// Nothing read or written yet.
    pub fn new(shard: usize, own: bool, output: NewShard) -> Self {
        let target = output.mount().clone();
        let lost = BTreeMap::new();
        Job { shard, own, target, output: Ok(output), bad_units: 0, sound: false, lost, kept: None }
    }

    /// Whether what comes next is to be written.
    pub fn writes(&self) -> bool {
        self.lost.is_empty() || self.kept.is_some()
    }

    /// Whether it would be better than its own copy, where it is not whole.
    pub fn gains(&self) -> bool {
        self.bad_units > self.lost.len() as u64
    }

    /// Whether it may take the place of its own copy: nothing that could be read there some day is given up.
    pub fn may_replace(&self) -> bool {
        let twice = |no: &usize, lost: &Lost| {
            let before = self.kept.as_ref().and_then(|kept| kept.get(no));
            before.is_some_and(|before| before.left == lost.left)
        };
        self.lost.iter().all(|(no, lost)| match lost.left {
            Left::Nothing => true,
            Left::Bytes(_) => twice(no, lost),
            Left::Unread => false,
        })
    }

    /// Gives up what was written so far.
    pub fn discard(&mut self) {
        if let Ok(output) = &mut self.output {
            output.discard();
        }
    }

    /// Ends it when its stripes are all written: its file takes its place. Gives the bytes read back; what went wrong with
    /// its volume is the inner error.
    pub fn finish(self, plan: &Blueprint, pace: &dyn Pace) -> Result<Result<u64>> {
        match self.output.map(|output| output.finish(plan, &self.lost, pace)) {
            Ok(Ok(reread)) => Ok(Ok(reread)),
            Ok(Err(Trouble::Stop(error))) => Err(error),
            Ok(Err(Trouble::Target(error))) | Err(error) => Ok(Err(error)),
        }
    }
}
