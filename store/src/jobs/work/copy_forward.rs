//! The copy-forward job: volumes that near their end, or that an operator wants empty, one after the other. Every shard gets
//! a verified copy elsewhere; each new copy passes a scrub before the old one is released; an empty volume is retired.

use super::Work;
use crate::audit::{Action, AuditEvent, MediaState, Outcome};
use crate::check::{Finding, Severity};
use crate::error::Result;
use crate::jobs::report::{Figures, Gain};
use crate::jobs::{By, JobOptions};
use crate::vault::Inner;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{HospitalId, VolumeId};
use shosoin_tiers::{Drain, DrainPhase, DrainStep, Error as MediaError, Pace, ShardOnVolume, ShardRef};
use std::collections::VecDeque;

/// Why a volume is emptied that an operator named.
const ASKED: &str = "an operator asked for it";
/// Drains a cursor holds, at most.
const DRAINS_MAX: usize = 1024;
/// Longest stored drain.
const DRAIN_BYTES_MAX: usize = 1024;

/// Drains, the one in hand first.
pub struct CopyForward {
    drains: VecDeque<Drain>,
    /// nothing else is moved than what belongs to this hospital
    only: Option<HospitalId>,
    begun: bool,
    release_begun: bool,
    behind: u64,
}

/// Volumes that must be emptied, and why.
pub fn wanted(inner: &Inner, now_ms: u64) -> Vec<(VolumeId, String)> {
    inner.volumes_to_leave(now_ms).into_iter().filter(|(volume, _)| may_hold_shards(inner, *volume)).collect()
}

/// One that could not be listed may.
fn may_hold_shards(inner: &Inner, volume: VolumeId) -> bool {
    inner.tier.volumes().iter().any(|present| present.id == volume && (present.shards > 0 || !present.listed))
}

impl CopyForward {
    /// The drains in hand, then what must be emptied; for an operator who names a volume, that one. Of one hospital they
    /// begin anew each time: what has a copy elsewhere is not copied again.
    pub fn begin(inner: &Inner, options: &JobOptions, by: By, cursor: &[u8]) -> Result<Self> {
        let (now_ms, only) = (inner.clock.now_ms(), options.hospital);
        let in_hand = decode(cursor).ok().filter(|_| only.is_none()).unwrap_or_default().into_iter();
        let mut drains: VecDeque<Drain> = in_hand.filter(|drain| may_hold_shards(inner, drain.volume)).collect();
        let asked = options.volume.filter(|_| by == By::Operator).map(|volume| (volume, ASKED.to_owned()));
        for (volume, _) in wanted(inner, now_ms).into_iter().chain(asked) {
            if !drains.iter().any(|drain| drain.volume == volume) {
                drains.push_back(Drain::new(volume, now_ms));
            }
        }
        if let Some(volume) = options.volume {
            drains.retain(|drain| drain.volume == volume);
        }
        Ok(CopyForward { drains, only, begun: false, release_begun: false, behind: 0 })
    }

    /// Before anything moves, the volume takes nothing more; before anything is removed, the audit log says so.
    fn announce(&mut self, inner: &Inner) -> Result<()> {
        let Some(drain) = self.drains.front() else { return Ok(()) };
        if !self.begun && self.only.is_none() {
            let why = wanted(inner, inner.clock.now_ms()).into_iter().find(|(volume, _)| *volume == drain.volume);
            let why = why.map_or_else(|| ASKED.to_owned(), |(_, why)| why);
            inner.begin_draining(drain.volume, &why)?;
            self.begun = true;
        }
        if !self.release_begun && self.is_about_to_release(inner, drain) {
            let mut event = AuditEvent::of_job(inner.clock.now_ms(), "copy-forward", Action::Release).on(drain.volume);
            (event.outcome, event.bytes) = (Outcome::Begun, self.left_bytes(inner, drain));
            event.hospital = self.only;
            inner.record(&event)?;
            self.release_begun = true;
        }
        Ok(())
    }

    /// The drain in hand is over: an empty volume is retired, another is left as it is.
    fn end_one(&mut self, inner: &Inner) -> Result<Gain> {
        let Some(drain) = self.drains.front() else { return Ok(Gain::default()) };
        let (volume, done) = (drain.volume, drain.done);
        let (left, mut gain) = (self.left_bytes(inner, drain), Gain { save_now: true, ..Gain::default() });
        if let Some(hospital) = self.only.filter(|_| left == 0) {
            let copied = done.copied;
            gain.done
                .push(format!("nothing of hospital {hospital} is on volume {volume} any more: {copied} shards copied"));
        } else if may_hold_shards(inner, volume) {
            let message = format!("volume {volume} is not empty yet: {} shards, {left} bytes stay on it", done.kept);
            gain.figures.short += 1;
            gain = gain.found([Finding { severity: Severity::Degraded, code: "volume-not-empty", message }]);
        } else if let Err(error) = inner.retire_volume(volume) {
            let message = format!("volume {volume} is empty and was not retired: {}", error.problem().message);
            gain.figures.short += 1;
            gain = gain.found([Finding { severity: Severity::Degraded, code: "volume-not-retired", message }]);
        } else {
            gain.done.push(format!("volume {volume} is empty and retired: {} shards copied", done.copied));
        }
        self.leave_one(inner);
        Ok(gain)
    }

    /// The drain in hand waits for another time.
    fn put_off(&mut self, inner: &Inner, why: &MediaError) -> Gain {
        self.leave_one(inner);
        let mut gain = Gain { save_now: true, ..Gain::default() };
        gain.figures.short += 1;
        gain.found([Finding { severity: Severity::Degraded, code: "volume-not-empty", message: why.to_string() }])
    }

    fn leave_one(&mut self, inner: &Inner) {
        self.let_go(inner);
        self.drains.pop_front();
        (self.begun, self.release_begun) = (false, false);
    }

    /// A volume that one hospital left is written to again, unless all of them are to leave it.
    fn let_go(&self, inner: &Inner) {
        let Some(drain) = self.drains.front().filter(|_| self.only.is_some()) else { return };
        let leaves = inner.media.get(drain.volume).is_some_and(|medium| medium.state == MediaState::Draining);
        if !leaves {
            let _ = inner.tier.set_draining(drain.volume, false); // it may be gone
        }
    }

    /// What of a volume is asked for.
    fn shards_on(&self, inner: &Inner, volume: VolumeId) -> impl Iterator<Item = ShardOnVolume> {
        let only = self.only;
        inner.tier.shards_on(volume).into_iter().filter(move |on| only.is_none_or(|only| only == on.shard.hospital))
    }

    fn left_bytes(&self, inner: &Inner, drain: &Drain) -> u64 {
        self.shards_on(inner, drain.volume).map(|on| on.len_bytes).sum()
    }

    /// Whether the next step may remove an old copy.
    fn is_about_to_release(&self, inner: &Inner, drain: &Drain) -> bool {
        let more = || self.shards_on(inner, drain.volume).any(|on| Some(on.shard) > drain.after);
        drain.phase != DrainPhase::Copy || !more()
    }

    /// Bytes that are still to be moved: each counts twice, once copied, once released.
    fn moving_bytes(&self, inner: &Inner, drain: &Drain) -> u64 {
        let shards = self.shards_on(inner, drain.volume);
        shards.map(|on| if on.spare { on.len_bytes } else { 2 * on.len_bytes }).sum()
    }
}

/// What a step brought, and the bytes it took behind it; the audit log has every release.
pub fn gain_of(inner: &Inner, step: DrainStep) -> Result<(Gain, u64)> {
    let mut gain = Gain::default();
    gain.figures.items = 1;
    let behind = match step {
        DrainStep::Copied(copied) => {
            let bytes = copied.bytes;
            gain.figures += Figures {
                read_bytes: copied.read_bytes,
                written_bytes: bytes,
                reread_bytes: bytes,
                rebuilt: copied.mended,
                ..Figures::default()
            };
            if copied.lost > 0 {
                let ShardRef { segment, shard, .. } = copied.shard;
                let message = format!(
                    "shard {shard} of segment {segment} was copied with {} units as they are that nobody can bring back",
                    copied.lost
                );
                gain = gain.found([Finding { severity: Severity::Damaged, code: "units-lost", message }]);
            }
            bytes
        }
        DrainStep::Released { shard, from, verified_on, bytes } => {
            gain.figures.freed_bytes = bytes;
            gain.figures.reread_bytes = bytes;
            let segment = shard.segment;
            let mut event = AuditEvent::of_job(inner.clock.now_ms(), "copy-forward", Action::Release);
            (event.segment, event.hospital, event.bytes) = (Some(segment), Some(shard.hospital), bytes);
            event.volume = Some(from);
            event.reason = format!("shard {} is verified on volume {verified_on}", shard.shard);
            inner.record(&event)?;
            bytes
        }
        DrainStep::Kept { shard, why } => {
            let message = format!("shard {} of segment {} stays where it is: {why}", shard.shard, shard.segment);
            gain = gain.found([Finding { severity: Severity::Degraded, code: "shard-kept", message }]);
            0
        }
    };
    Ok((gain, behind))
}

impl Work for CopyForward {
    fn step(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Gain>> {
        pace.spend(0)?;
        self.announce(inner)?;
        let only = self.only;
        let Some(drain) = self.drains.front_mut() else { return Ok(None) };
        match drain.step_of(only, &inner.tier, pace) {
            Err(error @ MediaError::VolumeUnlisted { .. }) => Ok(Some(self.put_off(inner, &error))),
            Err(error) => {
                self.let_go(inner);
                Err(error.into())
            }
            Ok(None) => self.end_one(inner).map(Some),
            Ok(Some(step)) => {
                let (gain, bytes) = gain_of(inner, step)?;
                self.behind += bytes;
                Ok(Some(gain))
            }
        }
    }

    fn extent(&self, inner: &Inner) -> (u64, Option<u64>) {
        let left = self.drains.iter().map(|drain| self.moving_bytes(inner, drain)).sum::<u64>();
        (self.behind, Some(self.behind + left))
    }

    fn cursor(&self, _inner: &Inner) -> Vec<u8> {
        match self.only {
            Some(_) => Vec::new(), // its drains passed over what belongs to others
            None => encode(&self.drains),
        }
    }

    fn plan(&self, inner: &Inner) -> Vec<String> {
        let why = wanted(inner, inner.clock.now_ms());
        let reason = |volume| {
            let found = why.iter().find(|(wanted, _)| *wanted == volume);
            found.map_or(ASKED, |(_, why)| why.as_str())
        };
        let sentence = |drain: &Drain| {
            let volume = drain.volume;
            let (bytes, why) = (self.left_bytes(inner, drain), reason(volume));
            match self.only {
                None => format!("volume {volume} would be emptied of {bytes} bytes: {why}"),
                Some(hospital) => format!("{bytes} bytes of hospital {hospital} would leave volume {volume}: {why}"),
            }
        };
        self.drains.iter().map(sentence).collect()
    }
}

fn encode(drains: &VecDeque<Drain>) -> Vec<u8> {
    if drains.is_empty() {
        return Vec::new();
    }
    let mut out = Writer::new();
    out.count(drains.len().min(DRAINS_MAX));
    for drain in drains.iter().take(DRAINS_MAX) {
        out.var(&drain.encode());
    }
    out.finish()
}

fn decode(bytes: &[u8]) -> shosoin_protocol::Result<VecDeque<Drain>> {
    let mut reader = Reader::new(bytes, "drains");
    let count = reader.count(DRAINS_MAX, "drains")?;
    let mut drains = VecDeque::new();
    for _ in 0..count {
        drains.push_back(Drain::decode(reader.var(DRAIN_BYTES_MAX, "drain")?)?);
    }
    reader.finish()?;
    Ok(drains)
}
