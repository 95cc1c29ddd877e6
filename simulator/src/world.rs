//! The world around the engine: every medium, what fails on it, and who pulls the plug. Each call of the engine on a
//! simulated medium comes through here, is counted, and may go wrong.

use crate::budget::Budget;
use crate::disk::{Disk, Health, Shared, shard_of};
use crate::fault::{FaultCounts, FaultKind};
use crate::oracle;
use crate::outcome::Rule;
use crate::rng::Rng;
use parking_lot::Mutex;
use shosoin_protocol::{SegmentId, VolumeId};
use shosoin_tiers::clock::{Clock, ManualClock};
use shosoin_tiers::layout::{BLOCK_BYTES, TEMPORARY};
use shosoin_tiers::media::Op;
use shosoin_tiers::{Error, Result};
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;

/// One day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How long a lying medium keeps in its own memory what it called durable.
const LIE_MS: u64 = 10 * DAY_MS;

/// How long a call on a slow volume waits before it gives up.
const BOUNDED_WAIT_MS: u64 = 5_000;

/// How often calls go wrong, once in so many; 0 is never.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallRates {
    /// reads that fail once
    pub read_error: u64,
    /// writes that are lost, torn or misdirected, and reported as done
    pub silent_write: u64,
    /// writes that fail
    pub write_error: u64,
    /// syncs that fail
    pub sync_error: u64,
    /// syncs that lie
    pub lying_sync: u64,
}

/// The world, shared by all its media.
#[derive(Debug)]
pub struct World {
    /// the clock of the engine
    pub clock: Arc<ManualClock>,
    state: Mutex<State>,
}

impl World {
    /// A world without media.
    pub fn new(rng: Rng, budget: Budget, rates: CallRates, window_ms: u64, start_ms: u64) -> Arc<Self> {
        let state = State {
            rng,
            disks: Vec::new(),
            budget,
            counts: FaultCounts::default(),
            rates,
            window_ms,
            dies_in: None,
            is_dead: false,
            calls: 0,
            trace: 0,
            unlisted: Vec::new(),
            broken: Vec::new(),
        };
        Arc::new(World { clock: Arc::new(ManualClock::new(start_ms)), state: Mutex::new(state) })
    }

    /// Runs `action` on what the world is like.
    pub fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        action(&mut self.state.lock())
    }

    /// What time it is.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// One call of the engine. `action` gets the world if the call reaches the medium.
    pub(crate) fn call<T>(&self, call: &Call<'_>, action: impl FnOnce(&mut State, u64) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock();
        let now_ms = self.clock.now_ms();
        match state.enter(call, now_ms) {
            Enter::Pass => action(&mut state, now_ms),
            Enter::Dies => {
                state.is_dead = true;
                let done = state.rng.once_in(2);
                if done || call.op == Op::Write {
                    let _ = action(&mut state, now_ms);
                }
                Err(call.failed(KILLED))
            }
            Enter::Fails(kind) => {
                if kind == ErrorKind::TimedOut {
                    self.clock.advance(BOUNDED_WAIT_MS);
                }
                Err(call.failed(kind))
            }
        }
    }
}

/// How calls of a killed process fail. Nobody sees it: whoever would is dead too.
const KILLED: ErrorKind = ErrorKind::ConnectionAborted;

/// One call on one medium.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub disk: usize,
    pub place: &'a str,
    pub op: Op,
    pub path: &'a str,
    pub at: u64,
    pub len: usize,
}

impl Call<'_> {
    pub(crate) fn failed(&self, kind: ErrorKind) -> Error {
        let (place, path, call) = (self.place.to_owned(), self.path.to_owned(), self.op.name());
        match kind {
            ErrorKind::NotFound => Error::NotFound { place, path },
            ErrorKind::AlreadyExists => Error::Exists { place, path },
            ErrorKind::StorageFull => Error::NoSpace { place, path, call },
            kind => Error::Io { place, path, call, source: kind.into() },
        }
    }
}

enum Enter {
    Pass,
    Dies,
    Fails(ErrorKind),
}

/// What the world is like.
#[derive(Debug)]
pub struct State {
    /// where media get their luck from
    pub rng: Rng,
    /// every medium there ever was
    pub disks: Vec<Disk>,
    /// which faults are still allowed
    pub budget: Budget,
    /// faults so far
    pub counts: FaultCounts,
    /// how often calls go wrong
    pub rates: CallRates,
    /// how long scrub and repair may take
    pub window_ms: u64,
    /// calls after which the process is killed
    pub dies_in: Option<u64>,
    /// whether it was
    pub is_dead: bool,
    /// calls so far
    pub calls: u64,
    /// digest of every call so far: equal for equal runs
    pub trace: u64,
    /// volumes whose listing failed since somebody asked
    pub unlisted: Vec<VolumeId>,
    /// rules that the engine broke on media
    pub broken: Vec<(Rule, String)>,
}

impl State {
    /// Mixes a number into the digest of the run.
    pub fn note(&mut self, number: u64) {
        self.trace = (self.trace ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn enter(&mut self, call: &Call<'_>, now_ms: u64) -> Enter {
        self.calls += 1;
        let name = call.path.bytes().fold(0u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        self.note(name ^ (call.op as u64) << 56 ^ (call.disk as u64) << 48 ^ call.at << 16 ^ call.len as u64);
        if self.is_dead {
            return Enter::Fails(KILLED);
        }
        if let Some(left) = &mut self.dies_in {
            match left.checked_sub(1) {
                Some(less) => *left = less,
                None => {
                    self.dies_in = None;
                    return Enter::Dies;
                }
            }
        }
        let disk = &self.disks[call.disk];
        if disk.health != Health::Present {
            return Enter::Fails(ErrorKind::NotConnected);
        }
        if disk.flaps_until_ms > now_ms && self.rng.once_in(2) {
            return Enter::Fails(ErrorKind::NotConnected);
        }
        if disk.slow_until_ms > now_ms && self.rng.once_in(4) {
            return Enter::Fails(ErrorKind::TimedOut);
        }
        if disk.is_read_only && changes(call.op) {
            return Enter::Fails(ErrorKind::ReadOnlyFilesystem);
        }
        Enter::Pass
    }

    /// A read reaches the medium: does it fail this once?
    pub(crate) fn read_fails(&mut self, call: &Call<'_>, now_ms: u64) -> bool {
        if !self.rng.once_in(self.rates.read_error) {
            return false;
        }
        let Some((segment, shard)) = shard_of(call.path) else { return false };
        let fails = self.budget.ruin(segment, shard, span(call.at, call.len), now_ms, now_ms + DAY_MS);
        if fails {
            self.counts.add(FaultKind::ReadError);
        }
        fails
    }

    /// A write reaches the medium.
    pub(crate) fn write(&mut self, call: &Call<'_>, file: &Shared, bytes: &[u8], now_ms: u64) -> Result<()> {
        let at = usize::try_from(call.at).map_err(|_| call.failed(ErrorKind::FileTooLarge))?;
        let disk = &mut self.disks[call.disk];
        let grows = (at + bytes.len()).saturating_sub(file.lock().len()) as u64;
        if disk.full_until_ms > now_ms || disk.used_bytes + grows > disk.capacity_bytes {
            return Err(call.failed(ErrorKind::StorageFull));
        }
        disk.used_bytes += grows;
        let buffered = disk.is_buffered;
        let range = at..at + bytes.len();
        let Some((segment, shard)) = shard_of(call.path) else {
            let kept = if self.is_dead { self.rng.index(bytes.len() + 1) } else { bytes.len() };
            file.lock().write(at, &bytes[..kept], buffered);
            return Ok(());
        };
        let is_final = !call.path.ends_with(TEMPORARY);
        if is_final && file.lock().is_synced(&range) {
            let what = format!("synced bytes were overwritten: {} at {at}", call.path);
            self.broken.push((Rule::Overwritten, what));
        }
        if is_final {
            self.budget.meant(segment, shard, call.at, bytes);
        }
        if self.is_dead {
            let kept = self.rng.index(bytes.len() / BLOCK_BYTES + 1) * BLOCK_BYTES;
            file.lock().write(at, &bytes[..kept], buffered);
            return Ok(());
        }
        if self.rng.once_in(self.rates.write_error) {
            self.counts.add(FaultKind::WriteError);
            let kept = self.rng.index(bytes.len() / BLOCK_BYTES + 1) * BLOCK_BYTES;
            file.lock().write(at, &bytes[..kept], buffered);
            return Err(call.failed(ErrorKind::Other));
        }
        file.lock().write(at, bytes, buffered);
        if self.rng.once_in(self.rates.silent_write) {
            let until_ms = now_ms + self.window_ms;
            if !is_final || self.budget.ruin(segment, shard, span(call.at, call.len), now_ms, until_ms) {
                self.spoil_write(call, file, range, now_ms);
            }
        }
        Ok(())
    }

    /// A write that is reported as done and is not.
    fn spoil_write(&mut self, call: &Call<'_>, file: &Shared, range: Range<usize>, now_ms: u64) {
        match self.rng.below(3) {
            0 => {
                let kept = self.rng.index(range.len() / 512) * 512;
                file.lock().spoil(range.start + kept..range.end, |_, bytes| bytes.fill(0));
                self.counts.add(FaultKind::TornWrite);
            }
            1 if self.misdirect(call, file, &range, now_ms) => self.counts.add(FaultKind::MisdirectedWrite),
            _ => {
                file.lock().spoil(range, |_, bytes| bytes.fill(0));
                self.counts.add(FaultKind::LostWrite);
            }
        }
    }

    /// Puts what was just written at `range` of `file` over something else on the same medium, if the budget allows.
    fn misdirect(&mut self, call: &Call<'_>, file: &Shared, range: &Range<usize>, now_ms: u64) -> bool {
        let victims: Vec<(SegmentId, u8, Shared)> =
            self.disks[call.disk].shards().map(|(segment, shard, file)| (segment, shard, file.clone())).collect();
        if victims.is_empty() {
            return false;
        }
        let (segment, shard, victim) = &victims[self.rng.index(victims.len())];
        let bytes = file.lock().written()[range.clone()].to_vec();
        let len = victim.lock().len();
        let start = self.rng.index(len / BLOCK_BYTES) * BLOCK_BYTES;
        let hit = start..len.min(start + bytes.len());
        let overlaps = Arc::ptr_eq(victim, file) && hit.start < range.end && range.start < hit.end;
        let until_ms = now_ms + self.window_ms;
        if hit.is_empty() || overlaps || !self.budget.ruin(*segment, *shard, wide(&hit), now_ms, until_ms) {
            return false;
        }
        file.lock().spoil(range.clone(), |_, bytes| bytes.fill(0));
        victim.lock().spoil(hit, |at, into| into.copy_from_slice(&bytes[at - start..at - start + into.len()]));
        true
    }

    /// A sync reaches the medium.
    pub(crate) fn sync(&mut self, call: &Call<'_>, file: &Shared, now_ms: u64) -> Result<()> {
        let Some((segment, shard)) = shard_of(call.path) else {
            file.lock().sync();
            return Ok(());
        };
        if self.rng.once_in(self.rates.sync_error) {
            file.lock().sync_failing();
            self.counts.add(FaultKind::SyncError);
            return Err(call.failed(ErrorKind::Other));
        }
        if self.rng.once_in(self.rates.lying_sync) {
            let ranges: Vec<Range<usize>> = file.lock().unsynced().collect();
            let until_ms = now_ms + LIE_MS + self.window_ms;
            let budget = &mut self.budget;
            if ranges.iter().all(|range| budget.ruin(segment, shard, wide(range), now_ms, until_ms)) {
                file.lock().sync_lying(now_ms + LIE_MS);
                self.counts.add(FaultKind::LyingSync);
                return Ok(());
            }
        }
        file.lock().sync();
        Ok(())
    }

    /// Whether listing a folder fails now.
    pub(crate) fn listing_fails(&mut self, disk: usize) -> bool {
        let fails = std::mem::take(&mut self.disks[disk].listing_fails);
        if fails {
            self.unlisted.push(self.disks[disk].id());
        }
        fails
    }

    /// The engine is about to remove a shard file, or to put another file in its place: if it is good, there must be
    /// another that is.
    pub(crate) fn expect_another_copy(&mut self, disk: usize, path: &str, by: Option<&str>) {
        let judged = !path.ends_with(TEMPORARY) && !self.is_dead && !self.budget.is_unlimited;
        let Some((segment, shard)) = shard_of(path).filter(|_| judged) else { return };
        let here = &self.disks[disk];
        let by = by.and_then(|by| here.file(by));
        let replaced = by.is_some_and(|file| oracle::is_whole_file(self, &file.lock(), segment, shard));
        let alive = |other: &&Disk| matches!(other.health, Health::Present | Health::Pulled);
        let others = self.disks.iter().enumerate().filter(|(no, _)| *no != disk).map(|(_, other)| other);
        let elsewhere = others.filter(alive).any(|other| oracle::is_whole_on(self, other, segment, shard));
        if oracle::is_whole_on(self, here, segment, shard) && !replaced && !elsewhere {
            let acknowledged = self.budget.acknowledged(segment).next().is_some();
            let what = format!("{path} was the last good copy");
            self.broken.extend(acknowledged.then_some((Rule::LastCopy, what)));
        }
    }

    /// Shards on a medium.
    pub fn shards_on(&self, disk: usize) -> Vec<(SegmentId, u8)> {
        self.disks[disk].shards().map(|(segment, shard, _)| (segment, shard)).collect()
    }

    /// Shards on a medium that hold something acknowledged which no other medium holds whole.
    pub fn needed_shards_on(&self, disk: usize) -> Vec<(SegmentId, u8)> {
        let alive = |other: &&Disk| matches!(other.health, Health::Present | Health::Pulled);
        let is_needed = |(segment, shard): &(SegmentId, u8)| {
            let others = self.disks.iter().enumerate().filter(|(no, _)| *no != disk).map(|(_, other)| other);
            let elsewhere = others.filter(alive).any(|other| oracle::is_whole_on(self, other, *segment, *shard));
            self.budget.acknowledged(*segment).next().is_some() && !elsewhere
        };
        self.shards_on(disk).into_iter().filter(is_needed).collect()
    }

    /// Starts the machine again after a kill, or after a power cut.
    pub fn revive(&mut self, power_cut: bool, now_ms: u64) {
        self.is_dead = false;
        self.dies_in = None;
        if power_cut {
            let rng = &mut self.rng;
            self.disks.iter_mut().filter(|disk| disk.health == Health::Present).for_each(|disk| {
                disk.cut_power(now_ms, rng);
            });
        }
    }
}

/// Whether a call changes what is on the medium.
fn changes(op: Op) -> bool {
    use Op::{Create, MakeDir, OpenToAppend, Remove, Rename, Write};
    matches!(op, Create | MakeDir | OpenToAppend | Remove | Rename | Write)
}

fn span(at: u64, len: usize) -> Range<u64> {
    at..at + len as u64
}

/// A range as the books have it.
pub(crate) fn wide(range: &Range<usize>) -> Range<u64> {
    range.start as u64..range.end as u64
}
