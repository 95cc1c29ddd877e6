//! Scrub: read one copy of a shard, all of it, and find damage before a second fault meets it. A scrub reports and queues;
//! it changes nothing on media.
//!
//! Invariants
//! - Every byte that was promised is read past the page cache and verified: headers, units with their padding, the table,
//!   its padding, the locator, the file's length. Parity shards exactly as data shards; parity itself proves nothing.
//! - What the bytes must be is said from outside the shard wherever anything outside is there ([`crate::outline`]).
//! - A finding names volume, segment, shard and offset, with what was expected and found where that is a digest; no payload.
//! - Memory is three pieces, the digests of the segment's stripes, and a bounded list of findings.
//!
//! Not here: rebuilding (`repair`), shards that are on no volume (the last part of a [`Tour`](crate::Tour)), pacing (`pace`).
//! Torn bytes that a recovery left before the footer were never promised, and are not read.
//! Source: Bairavasundaram et al., "An Analysis of Latent Sector Errors in Disk Drives", 2007.

mod verify;

use crate::finding::{Defect, Place};
use crate::footer::STRIPE_ROW_LEN;
use crate::layout::{BLOCK_BYTES, align_up};
use crate::load::unreadable;
use crate::mount::Mount;
use crate::outline::Outline;
use crate::pace::Pace;
use crate::record::FRAME_LEN;
use crate::segment::{Segment, shard_no};
use crate::tier::{SegmentInfo, SegmentState};
use crate::{AlignedBuf, Error, Finding, MediaFile, RepairItem, Result, Tier, stream};
use shosoin_protocol::{HospitalId, SegmentId, VolumeId};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use verify::{FooterCheck, Span, UnitCheck};

/// Findings that a scrub of one copy lists. Of a copy with more damage nothing is worth keeping.
const FINDINGS_MAX: usize = 1000;

/// A piece that cannot be read is read again in steps of this many bytes, so that one bad sector costs only what is near it.
const STEP_BYTES: u64 = 64 * 1024;

/// Steps that fail one after the other until the copy is given up: a dead medium answers each of them late.
const STEPS_FAILED_MAX: u32 = 16;

/// One shard of one segment, wherever it is. Tours go in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardRef {
    /// whose records the segment holds
    pub hospital: HospitalId,
    /// segment
    pub segment: SegmentId,
    /// which of its shards
    pub shard: u8,
}

/// A copy of a shard on a volume, as the catalogue knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardOnVolume {
    /// which shard
    pub shard: ShardRef,
    /// bytes of stripes and footer; torn bytes that a recovery left between them are not counted
    pub len_bytes: u64,
    /// state of its segment
    pub state: SegmentState,
    /// whether another copy of the shard is the one that is used
    pub spare: bool,
}

/// What a scrub read and met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// bytes read from the copy
    pub read_bytes: u64,
    /// units verified, good or bad
    pub units: u64,
    /// what is not as it should be
    pub findings: Vec<Finding>,
    /// findings beyond those that are listed
    pub unlisted: u64,
}

impl std::ops::AddAssign for Scrubbed {
    fn add_assign(&mut self, other: Scrubbed) {
        self.read_bytes += other.read_bytes;
        self.units += other.units;
        self.findings.extend(other.findings);
        self.unlisted += other.unlisted;
    }
}

impl Tier {
    /// Every copy on a volume, used or spare, in the order of a tour.
    pub fn shards_on(&self, volume: VolumeId) -> Vec<ShardOnVolume> {
        let mut on: Vec<ShardOnVolume> =
            self.catalogue().iter().flat_map(|segment| copies_on(segment, volume)).collect();
        on.sort_unstable_by_key(|on| on.shard);
        on
    }

    /// Reads one copy of a shard, used or spare, past the page cache, and verifies every byte of it by digests that are held
    /// outside it where any are. Damage is reported, and queued for repair where the copy is the one that is used; nothing
    /// on media is changed.
    ///
    /// A volume that is not there any more is an error and not damage of everything on it.
    pub fn scrub_copy(&self, volume: VolumeId, shard: ShardRef, pace: &dyn Pace) -> Result<Scrubbed> {
        let unknown = || Error::CopyUnknown { segment: shard.segment, shard: shard.shard, volume };
        let segment = self.segment(shard.segment)?;
        let find = || segment.copies().find(|(no, on)| *no == shard.shard && on.id() == volume);
        let (_, mount) = find().ok_or_else(unknown)?;
        let mut scrub = Scrub::new(&segment, shard.shard, &mount);
        scrub.run(pace)?;
        if scrub.whole_shard == Some(Defect::ShardMissing) && find().is_none() {
            return Err(unknown()); // released meanwhile
        }
        scrub.queue(self);
        Ok(scrub.done)
    }
}

fn copies_on(segment: &Segment, volume: VolumeId) -> Vec<ShardOnVolume> {
    let info = segment.info();
    let on = |(shard, _): (u8, Arc<Mount>)| ShardOnVolume {
        shard: ShardRef { hospital: info.hospital, segment: info.id, shard },
        len_bytes: shard_bytes(&info),
        state: info.state,
        spare: info.shards.get(usize::from(shard)) != Some(&Some(volume)),
    };
    segment.copies().filter(|(_, mount)| mount.id() == volume).map(on).collect()
}

/// Bytes of stripes and footer in each shard of a segment.
pub(crate) fn shard_bytes(info: &SegmentInfo) -> u64 {
    let table = u64::from(info.stripes) * STRIPE_ROW_LEN as u64 + u64::from(info.records) * FRAME_LEN as u64;
    let footer = align_up(table) + BLOCK_BYTES as u64;
    info.end + if info.state == SegmentState::Closed { footer } else { 0 }
}

/// One scrub of one copy.
struct Scrub<'a> {
    segment: &'a Segment,
    shard: u8,
    mount: &'a Arc<Mount>,
    done: Scrubbed,
    /// what made it look no further, or makes the whole shard one to rebuild
    whole_shard: Option<Defect>,
    steps_failed: u32,
}

impl<'a> Scrub<'a> {
    fn new(segment: &'a Segment, shard: u8, mount: &'a Arc<Mount>) -> Self {
        Scrub { segment, shard, mount, done: Scrubbed::default(), whole_shard: None, steps_failed: 0 }
    }

    fn note(&mut self, offset: u64, defect: Defect) {
        let place = Place::segment(self.segment.identity.id).shard(self.shard, Some(self.mount.id())).at(offset);
        match self.done.findings.len() < FINDINGS_MAX {
            true => self.done.findings.push(Finding::new(place, defect)),
            false => self.done.unlisted += 1,
        }
    }

    /// Notes what makes the whole shard one to rebuild.
    fn note_whole(&mut self, offset: u64, defect: Defect) {
        self.whole_shard.get_or_insert(defect.clone());
        self.note(offset, defect);
    }

    fn run(&mut self, pace: &dyn Pace) -> Result<()> {
        let opened = self.segment.identity.open_on(self.mount, usize::from(self.shard));
        let (file, len) = match opened.and_then(|file| file.len().map(|len| (file, len))) {
            Ok(opened) => opened,
            Err(error @ (Error::VolumeAbsent { .. } | Error::VolumeAway { .. })) => return Err(error),
            Err(error) => {
                self.mount.note_read_error(&error);
                self.still_here()?;
                self.note_whole(0, unreadable(&error));
                return Ok(());
            }
        };
        let outline = Outline::of(self.segment, (self.shard, self.mount));
        self.lengths(&outline, len);
        let mut units = UnitCheck::new(self.segment, &outline, self.shard);
        let mut footer = outline.footer.map(|footer| FooterCheck::new(footer, self.shard));
        let footer_at = outline.footer.map_or(outline.end, |footer| footer.footer_at);
        let readable = len - len % BLOCK_BYTES as u64;
        let ranges = [0..outline.end, footer_at..outline.file_len()];
        let ranges = ranges.map(|range| range.start.min(readable)..range.end.min(readable));
        let read = stream::read(self.mount, &file, &ranges, pace, &mut |piece, read| {
            self.piece(&file, piece, read, pace, &mut |scrub, at, span| match &mut footer {
                Some(footer) if at >= footer_at => footer.take(span),
                _ => units.take(span, scrub),
            })
        });
        match read {
            Err(_) if self.steps_failed > STEPS_FAILED_MAX => return Ok(()),
            read => read?,
        }
        if let Some(footer) = footer.filter(|_| outline.file_len() <= readable) {
            footer.finish().into_iter().for_each(|(at, defect)| self.note_whole(at, defect));
        }
        Ok(())
    }

    /// A file that is not as long as it must be, and a closed segment of which no footer is good.
    fn lengths(&mut self, outline: &Outline, len: u64) {
        let expected = outline.file_len();
        if len < expected {
            self.note_whole(len, Defect::ShardShort { missing_bytes: expected - len });
        } else if len > expected && outline.footer.is_some() {
            let why = format!("the file has {len} bytes instead of {expected}");
            self.note_whole(expected, Defect::FooterDamaged { why });
        } else if outline.closed && outline.footer.is_none() {
            let why = "no copy of it is good on any shard".into();
            self.note_whole(expected, Defect::FooterDamaged { why });
        }
    }

    /// Verifies one piece; what could not be read is tried again in small steps.
    fn piece(
        &mut self,
        file: &Arc<dyn MediaFile>,
        piece: Range<u64>,
        read: Result<&[u8]>,
        pace: &dyn Pace,
        verify: Verify<'_, 'a>,
    ) -> Result<()> {
        let len = piece.end - piece.start;
        match read {
            Ok(bytes) if bytes.len() as u64 == len => {
                self.done.read_bytes += len;
                self.steps_failed = 0;
                verify(self, piece.start, Span::Bytes(bytes));
                Ok(())
            }
            _ => self.steps(file, piece, pace, verify),
        }
    }

    fn steps(
        &mut self,
        file: &Arc<dyn MediaFile>,
        piece: Range<u64>,
        pace: &dyn Pace,
        verify: Verify<'_, 'a>,
    ) -> Result<()> {
        let mut buffer = AlignedBuf::default();
        let step_len = usize::try_from(STEP_BYTES).unwrap_or(usize::MAX);
        for at in piece.clone().step_by(step_len) {
            let step = at..piece.end.min(at + STEP_BYTES);
            let len = step.end - step.start;
            pace.spend(len)?;
            let (read, filled) = self.mount.read(file, step, std::mem::take(&mut buffer)).end();
            buffer = filled;
            let missing_bytes = len - (buffer.len() as u64).min(len);
            let error = match read {
                Ok(()) if missing_bytes == 0 => {
                    self.done.read_bytes += len;
                    self.steps_failed = 0;
                    verify(self, at, Span::Bytes(&buffer));
                    continue;
                }
                Ok(()) => None,
                Err(error) => Some(error),
            };
            let defect = error.as_ref().map_or(Defect::ShardShort { missing_bytes }, unreadable);
            self.step_failed(at, error, &defect)?;
            verify(self, at, Span::Unread(len, &defect));
        }
        Ok(())
    }

    /// Allows to go on behind a step that gave an error or too little, unless the volume is away or too many have failed.
    fn step_failed(&mut self, at: u64, error: Option<Error>, defect: &Defect) -> Result<()> {
        if let Some(error) = error {
            self.mount.note_read_error(&error);
            self.still_here()?;
        }
        self.steps_failed += 1;
        match self.steps_failed > STEPS_FAILED_MAX {
            true => {
                self.note_whole(at, defect.clone());
                Err(Error::Abandoned { what: "a scrub of a shard that cannot be read" })
            }
            false => Ok(()),
        }
    }

    /// Refuses to take a volume that is away for one whose shards are damaged.
    fn still_here(&self) -> Result<()> {
        match self.mount.answers() {
            true => Ok(()),
            false => Err(Error::VolumeAway { volume: self.mount.id(), place: self.mount.volume.media().place() }),
        }
    }

    /// Queues what was met, unless another copy of the shard is the one that is used.
    fn queue(&self, tier: &Tier) {
        let is_used = self.segment.shard(usize::from(self.shard)).is_some_and(|used| used.id() == self.mount.id());
        if !is_used {
            return;
        }
        let whole = self.whole_shard.is_some() || self.done.unlisted > 0;
        let places: BTreeSet<Option<u64>> = match whole {
            true => BTreeSet::from([None]),
            false => self.done.findings.iter().map(|finding| finding.place.offset).collect(),
        };
        let known = tier.access.repairs.of(self.segment.identity.id);
        let item = |stripe_at: Option<u64>| RepairItem {
            redundancy_left: self.redundancy_left(&known, stripe_at),
            segment: self.segment.identity.id,
            shard: self.shard,
            stripe_at,
        };
        tier.access.queue(places.into_iter().map(item).collect());
    }

    /// Shards that may still be lost at `stripe_at`, or anywhere, from what is known now: which shards are on no present
    /// volume, and what waits for repair.
    fn redundancy_left(&self, known: &[RepairItem], stripe_at: Option<u64>) -> u8 {
        let missing = self.segment.shards().into_iter().enumerate().filter(|(_, on)| on.is_none());
        let mut lost: BTreeSet<u8> = missing.map(|(shard, _)| shard_no(shard)).collect();
        let meets = |item: &&RepairItem| item.stripe_at.is_none() || stripe_at.is_none() || item.stripe_at == stripe_at;
        lost.extend(known.iter().filter(meets).map(|item| item.shard));
        lost.insert(self.shard);
        shard_no(self.segment.identity.code.m().saturating_sub(lost.len()))
    }
}

/// Takes what was read at an offset, or was not.
type Verify<'v, 'a> = &'v mut dyn FnMut(&mut Scrub<'a>, u64, Span<'_>);
