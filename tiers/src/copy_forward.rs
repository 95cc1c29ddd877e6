//! Copy-forward: move closed shards to other volumes, whole, and release the old copy only after proof.
//!
//! Invariants
//! - What is read is verified unit by unit; what is bad is rebuilt from the other shards, and what cannot be is copied as it
//!   is. The new copy is synced and read back past the cache before it is used; the old one stays, spare.
//! - A copy is released only with proof that another one, on a volume still in use, was read whole, and that each unit of it
//!   is good or byte for byte what the copy to be released has; so the last good unit of a shard is never released, nor what
//!   is left of one that is lost.
//! - Shards of one segment never share a volume, and no more than m of them what can be lost at once.
//!
//! Not here: which shard goes where and when (`drain`, the scheduler), records of what was moved (the audit log).

use crate::blueprint::Blueprint;
use crate::bug::{self, Bug};
use crate::copies;
use crate::job::{Job, Left};
use crate::load::ShardFiles;
use crate::mount::Mount;
use crate::new_shard::NewShard;
use crate::pace::Pace;
use crate::rewrite::Rewrite;
use crate::scrub::ShardRef;
use crate::segment::Segment;
use crate::target::Wanted;
use crate::tier::SegmentState;
use crate::volume::TierKind;
use crate::{Error, Result, Tier};
use shosoin_protocol::VolumeId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A shard that was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// which shard
    pub shard: ShardRef,
    /// the volume it was read from, which still has it
    pub from: VolumeId,
    /// the volume it is used on now
    pub to: VolumeId,
    /// bytes written; 0 where a good copy was there already
    pub bytes: u64,
    /// bytes read from shards, and read back from the new copy
    pub read_bytes: u64,
    /// units, and a footer, that were bad at the source and are good in the copy
    pub mended: u64,
    /// units that nobody can bring back: the copy has what is left of them
    pub lost: u64,
}

/// Proof that a copy of a shard was read past the cache, all of it, and that releasing another one gives up nothing: it is
/// good, or where it is not the other has the same bytes. Only [`Tier::verify_other_copy`] makes one, and it holds only while
/// the volume stays in use.
#[derive(Debug)]
pub struct VerifiedCopy {
    shard: ShardRef,
    mount: Arc<Mount>,
    read_bytes: u64,
}

impl VerifiedCopy {
    /// Which shard.
    pub fn shard(&self) -> ShardRef {
        self.shard
    }

    /// The volume with the good copy.
    pub fn volume(&self) -> VolumeId {
        self.mount.id()
    }

    /// Bytes that were read to know.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes
    }
}

impl Tier {
    /// The volume that a further copy of `shard` goes to, of `tier` where that is said: never one that has another shard of
    /// the segment, and never so that more than m shards can be lost together.
    pub fn target_for(&self, shard: ShardRef, tier: Option<TierKind>) -> Result<VolumeId> {
        let (segment, no) = self.shard_of(shard)?;
        let plan = Blueprint::of(&self.access, &segment, self.now_ms())?;
        let refused = segment.copies_of(no).iter().map(|mount| mount.id()).collect();
        let wanted =
            Wanted { segment: &segment, shard: no, len: plan.file_len(), tier, refused: &refused, promised: &[] };
        Ok(self.choose_target(&wanted)?.id())
    }

    /// Copies a shard of a closed segment from one volume to another; an open one is closed first. The new copy is whole,
    /// read back and used when this returns; the old one stays, spare. Units that are bad at the source are rebuilt from
    /// the other shards; one that cannot be is copied as it is. A good copy that is on `to` already is verified and used.
    pub fn copy_shard(&self, shard: ShardRef, from: VolumeId, to: VolumeId, pace: &dyn Pace) -> Result<Copied> {
        let (segment, no) = self.shard_of(shard)?;
        let _working = self.access.begin_work(shard.segment)?;
        let source = copy_on(&segment, shard, from)?;
        let target = self.mount(to).ok_or(Error::VolumeUnknown { volume: to })?;
        if segment.state() == SegmentState::Open {
            self.close_writers(|open| open.id == shard.segment);
        }
        let plan = Blueprint::of(&self.access, &segment, self.now_ms())?;
        let mut copied = Copied { shard, from, to, bytes: 0, read_bytes: 0, mended: 0, lost: 0 };
        if segment.copies_of(no).iter().any(|mount| mount.id() == to) {
            let judged = copies::judge(&segment, &plan, no, &target, pace)?;
            copied.read_bytes = judged.read_bytes;
            if judged.is_good() {
                self.use_copy(&segment, no, &target)?;
                return Ok(copied);
            }
            let why = "the volume has a copy of it already, which is not good".to_owned();
            if from == to {
                return Err(Error::Placement { wanted: 1, offered: 1, why });
            }
        }
        let refused = BTreeSet::new();
        let len = plan.file_len();
        self.permit_target(
            &Wanted { segment: &segment, shard: no, len, tier: None, refused: &refused, promised: &[] },
            &target,
        )?;
        self.write_copy(&segment, &plan, &source, &target, pace, &mut copied)?;
        self.use_copy(&segment, no, &target)?;
        Ok(copied)
    }

    /// Writes the copy that `copied` says, and counts there what that took.
    fn write_copy(
        &self,
        segment: &Segment,
        plan: &Blueprint,
        source: &Arc<Mount>,
        target: &Arc<Mount>,
        pace: &dyn Pace,
        copied: &mut Copied,
    ) -> Result<()> {
        let no = usize::from(copied.shard.shard);
        let mut mounts = segment.shards();
        mounts[no] = Some(source.clone());
        let files = ShardFiles::open(segment.identity, &mounts).with_spares_of(segment);
        let mut kept = None;
        let job = loop {
            let output = NewShard::begin(segment.identity, no, target.clone())?;
            let mut job = [Job { kept: kept.take(), ..Job::new(no, true, output) }];
            let mut pass = Rewrite::new(&self.access, plan, &files, pace);
            let ran = pass.run(&mut job);
            copied.read_bytes += pass.read_bytes;
            self.queue_repairs(pass.met.iter().map(|(_, item)| *item));
            let [mut job] = job;
            let given_up = ran.err().or_else(|| self.refuse_copy(segment, &job));
            if let Some(error) = given_up {
                job.discard();
                return Err(error);
            }
            match job.writes() {
                true => break job,
                false => {
                    job.discard();
                    kept = Some(job.lost);
                }
            }
        };
        (copied.mended, copied.lost) = (job.bad_units - job.lost.len() as u64, job.lost.len() as u64);
        copied.read_bytes += job.finish(plan, pace)??;
        copied.bytes = plan.file_len();
        Ok(())
    }

    /// Why a copy with lost units is not made: there is another one, and this one could not be released against it either,
    /// because what is left here cannot be read.
    fn refuse_copy(&self, segment: &Segment, job: &Job) -> Option<Error> {
        let is_second = segment.copies_of(job.shard).len() > 1;
        let unread = job.lost.values().find(|lost| lost.left == Left::Unread)?;
        is_second.then(|| Error::SegmentUnreadable { segment: segment.identity.id, why: unread.finding.to_string() })
    }

    /// Copies a shard from one volume to the best other one, of `tier` where that is said; where a volume fails to take it,
    /// to the next best.
    pub fn copy_away(
        &self,
        shard: ShardRef,
        from: VolumeId,
        tier: Option<TierKind>,
        pace: &dyn Pace,
    ) -> Result<Copied> {
        let (segment, no) = self.shard_of(shard)?;
        if segment.state() == SegmentState::Open {
            self.close_writers(|open| open.id == shard.segment);
        }
        let plan = Blueprint::of(&self.access, &segment, self.now_ms())?;
        let mut refused: BTreeSet<VolumeId> = segment.copies_of(no).iter().map(|mount| mount.id()).collect();
        let mut failed = None;
        loop {
            let wanted =
                Wanted { segment: &segment, shard: no, len: plan.file_len(), tier, refused: &refused, promised: &[] };
            let to = match self.choose_target(&wanted) {
                Ok(target) => target.id(),
                Err(error) => return Err(failed.unwrap_or(error)),
            };
            match self.copy_shard(shard, from, to, pace) {
                Err(error) if error.took_a_volume() || matches!(error, Error::ReadBack { .. }) => {
                    tracing::error!(volume = %to, segment = %shard.segment, shard = shard.shard, %error, "a copy failed");
                    refused.insert(to);
                    failed = Some(error);
                }
                result => return result,
            }
        }
    }

    /// Reads a copy of `shard` on another volume than `than`, all of it past the cache, and gives the proof if it is good, or
    /// has the same bytes as the copy on `than` where it is not. One that is not good is queued for repair if it is the one
    /// that is used.
    pub fn verify_other_copy(&self, shard: ShardRef, than: VolumeId, pace: &dyn Pace) -> Result<VerifiedCopy> {
        let (segment, no) = self.shard_of(shard)?;
        let plan = Blueprint::of(&self.access, &segment, self.now_ms())?;
        let mut why = "there is no other copy";
        for mount in segment.copies_of(no).into_iter().filter(|mount| mount.id() != than) {
            let judged = copies::judge(&segment, &plan, no, &mount, pace)?;
            let mut read_bytes = judged.read_bytes;
            let mut gives_up_nothing = judged.is_good() || bug::is(Bug::ReleaseBeforeVerify);
            if !gives_up_nothing && judged.footer_is_good {
                let here = copy_on(&segment, shard, than)?;
                let compared = copies::compare(&segment, &plan, no, [&here, &mount], &judged.bad, pace)?;
                gives_up_nothing = compared.are_same;
                read_bytes += compared.read_bytes;
            }
            let is_used = segment.shard(no).is_some_and(|used| used.id() == mount.id());
            if !judged.is_good() && (is_used || gives_up_nothing) {
                self.access.queue_shards(shard.segment, segment.identity.code, &[no]);
            }
            if gives_up_nothing {
                return Ok(VerifiedCopy { shard, mount, read_bytes });
            }
            why = "no other copy is good, or has the same bytes where it is not";
        }
        Err(Error::Unproven { segment: shard.segment, shard: shard.shard, volume: than, why: why.to_owned() })
    }

    /// Removes the copy of `shard` on `volume`, durably, and gives the bytes that frees. The proof must be of another copy
    /// that is still there: the last good copy is never released.
    pub fn release_copy(&self, shard: ShardRef, volume: VolumeId, proof: VerifiedCopy) -> Result<u64> {
        let (segment, no) = self.shard_of(shard)?;
        let _working = self.access.begin_work(shard.segment)?;
        let mount = copy_on(&segment, shard, volume)?;
        let in_use = self.mount(proof.volume()).is_some_and(|known| Arc::ptr_eq(&known, &proof.mount));
        let there = segment.copies_of(no).iter().any(|copy| Arc::ptr_eq(copy, &proof.mount));
        let why = match (proof.shard == shard, proof.volume() != volume, in_use && there) {
            (false, ..) => Some("the proof is of another shard"),
            (_, false, _) => Some("the proof is of this copy itself"),
            (.., false) => Some("the verified copy is not in use any more"),
            _ if !mount.volume.takes_writes() || !mount.answers() => Some("the volume takes no writes"),
            _ => None,
        };
        if let Some(why) = why {
            let why = why.to_owned();
            return Err(Error::Unproven { segment: shard.segment, shard: shard.shard, volume, why });
        }
        if segment.shard(no).is_some_and(|used| used.id() == volume) {
            self.use_copy(&segment, no, &proof.mount)?;
        }
        let freed = remove_copy(&segment, no, &mount)?;
        segment.forget_copy(no, volume);
        self.access.forget(shard.segment, no);
        Ok(freed)
    }

    /// A shard of a segment that is known here.
    fn shard_of(&self, shard: ShardRef) -> Result<(Arc<Segment>, usize)> {
        let segment = self.segment(shard.segment)?;
        let no = usize::from(shard.shard);
        match segment.identity.hospital == shard.hospital && no < segment.identity.code.shards() {
            true => Ok((segment, no)),
            false => Err(Error::SegmentUnknown { segment: shard.segment }),
        }
    }
}

fn copy_on(segment: &Segment, shard: ShardRef, volume: VolumeId) -> Result<Arc<Mount>> {
    let unknown = Error::CopyUnknown { segment: shard.segment, shard: shard.shard, volume };
    segment.copies_of(shard.shard.into()).into_iter().find(|mount| mount.id() == volume).ok_or(unknown)
}

/// Removes one shard file, durably; one that is gone already is not an error. Gives the bytes that frees.
pub(crate) fn remove_copy(segment: &Segment, shard: usize, mount: &Mount) -> Result<u64> {
    let (media, path) = (mount.volume.media().clone(), segment.identity.path(shard));
    mount.change("a removal", move || {
        let freed = media.open(&path).and_then(|file| file.len()).unwrap_or(0);
        match media.remove(&path) {
            Ok(()) | Err(Error::NotFound { .. }) => media.sync_dir(crate::layout::parent(&path)).map(|()| freed),
            Err(error) => Err(error),
        }
    })
}
