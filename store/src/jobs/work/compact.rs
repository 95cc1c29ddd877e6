//! The compact job: hospital by hospital, reads what the ledger names, then judges each closed segment on hot volumes, notes
//! what nothing names any more, and compacts where enough is gained.
//!
//! The cursor is the last segment that was dealt with in a tour of everything. A run of one hospital, one volume or one disposal
//! begins at its beginning, and leaves the tour's cursor as it is. What entries name is read anew by each run: it is what removal
//! depends on, and costs a hundred-thousandth of what it is about.

use super::{Work, is_asked_for};
use crate::audit::MediaState;
use crate::check::{Finding, Severity};
use crate::compaction::judge::{Judge, Verdict};
use crate::compaction::named::Named;
use crate::compaction::switch::{Done, Switch};
use crate::compaction::{Amplification, Released, SegmentGain};
use crate::desk::Desk;
use crate::disposal::ended::Ended;
use crate::error::{Error, Result};
use crate::index::Pending;
use crate::jobs::JobOptions;
use crate::jobs::report::{Figures, Gain};
use crate::jobs::state::Sparse;
use crate::media_ledger::Medium;
use crate::open;
use crate::rows::{self, LeafRow, RecordRow, Row, UnnamedRow};
use crate::vault::Inner;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{Address, HospitalId, SegmentId};
use shosoin_tiers::volume::TierKind;
use shosoin_tiers::{Error as MediaError, Gain as MediaGain, Pace, SegmentInfo, SegmentState, Unpaced, VolumeState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Entries read in one step.
const ENTRIES_PER_STEP: u64 = 256;

/// A compaction of everything.
pub struct Compact {
    bound: Amplification,
    /// nothing is noted and nothing written
    dry_run: bool,
    /// the hospital and volume that are asked for
    only: JobOptions,
    /// why nothing may be done at all, said once
    refused: Option<String>,
    waiting: VecDeque<Arc<Desk>>,
    current: Option<Current>,
    after: Option<(HospitalId, SegmentId)>,
    /// the cursor of the tour that this run is no part of
    of_the_tour: Option<Vec<u8>>,
    sweeps: bool,
    /// nothing but segments with records that were disposed of
    released_alone: bool,
    behind: u64,
    all: u64,
    left: Sparse,
    surveyed: Vec<SegmentGain>,
    sentences: Vec<String>,
}

/// The hospital in hand.
struct Current {
    desk: Arc<Desk>,
    named: Named,
    released: Released,
    /// everything its entries name was read
    ready: bool,
    segments: VecDeque<SegmentInfo>,
    /// rows of the index that lead to each segment: what no walk lists may be there all the same
    rows: BTreeMap<SegmentId, u64>,
}

/// Every hospital, or the one that is asked for; a dry run judges everything at once.
pub fn begin(inner: &Inner, options: &JobOptions, cursor: &[u8]) -> Result<Box<dyn Work>> {
    let of_the_tour = (options.hospital.is_some() || options.volume.is_some()).then(|| cursor.to_vec());
    let after = decode(cursor).ok().filter(|_| of_the_tour.is_none() && !options.dry_run);
    let desks = inner.desks().into_iter();
    let desks = desks.filter(|desk| options.hospital.is_none_or(|asked| desk.info().hospital == asked));
    let hot = Judge::on_hot_alone(&inner.tier);
    let mut compact = Compact {
        bound: options.amplification.unwrap_or(inner.config.jobs.compact_amplification_max),
        dry_run: options.dry_run,
        refused: refused(inner).filter(|_| !options.dry_run),
        only: options.clone(),
        waiting: desks.filter(|desk| after.is_none_or(|(hospital, _)| desk.info().hospital >= hospital)).collect(),
        current: None,
        after,
        of_the_tour,
        sweeps: !options.dry_run,
        released_alone: options.released,
        behind: 0,
        all: 0,
        left: Sparse::default(),
        surveyed: Vec::new(),
        sentences: Vec::new(),
    };
    compact.all = compact.waiting.iter().map(|desk| compact.bytes(inner, desk.info().hospital, &hot)).sum();
    while compact.dry_run
        && let Some(gain) = compact.step(inner, &Unpaced)?
    {
        compact.surveyed.extend(gain.segments);
        compact.sentences.extend(gain.findings.into_iter().map(|finding| finding.message));
    }
    Ok(Box::new(compact))
}

/// Why nothing is noted or removed now.
fn refused(inner: &Inner) -> Option<String> {
    if let Some(why) = inner.doubt() {
        return Some(format!(
            "the clock is doubted, and time decides what goes: {why}; confirm it, then run this again"
        ));
    }
    let volumes = inner.tier.volumes();
    if let Some(place) = open::unlisted(&inner.tier).into_iter().next() {
        return Some(format!(
            "volume {place} could not be listed, and may know of segments what the others do not; it is listed again when it answers"
        ));
    }
    let away = volumes.iter().find(|volume| volume.state == VolumeState::Away).map(|volume| volume.place.clone());
    let mounted = |medium: &Medium| volumes.iter().any(|volume| volume.id == medium.label.id);
    let shelved = |medium: &Medium| medium.state == MediaState::OnShelf && medium.label.tier == TierKind::Hot;
    let shelved = || inner.media.media().into_iter().find(|medium| shelved(medium) && !mounted(medium));
    let away = away.or_else(|| inner.absent().into_iter().next()).or_else(|| shelved().map(|medium| medium.place));
    away.map(|place| {
        format!("volume {place} is absent, and may know of segments what the others do not; bring it back or declare it lost")
    })
}

impl Compact {
    /// Segments that are judged, in order: closed, on hot volumes alone, and not dealt with yet.
    fn segments(&self, inner: &Inner, hospital: HospitalId, hot: &BTreeSet<SegmentId>) -> VecDeque<SegmentInfo> {
        let is_new = |info: &SegmentInfo| self.after.is_none_or(|after| (hospital, info.id) > after);
        let segments = inner.tier.segments_of(hospital).into_iter();
        let is_asked = |info: &SegmentInfo| is_asked_for(inner, &self.only, info.id);
        let is_judged =
            |info: &SegmentInfo| info.state == SegmentState::Closed && hot.contains(&info.id) && is_new(info);
        segments.filter(is_judged).filter(is_asked).collect()
    }

    /// The same, and those that hold what disposals ended, wherever they lie and whether or not they are closed yet.
    fn with_released(&self, inner: &Inner, hospital: HospitalId, released: &Released) -> Result<VecDeque<SegmentInfo>> {
        let mut concerned = BTreeSet::new();
        if !released.is_empty() {
            for info in inner.tier.segments_of(hospital) {
                let walked = inner.tier.walk(info.id, 0, &mut |walked| {
                    if released.order(&walked.address).is_some() {
                        concerned.insert(info.id);
                    }
                    Ok(())
                });
                if let Err(error) = walked {
                    tracing::warn!(segment = %info.id, %error, "a segment that may hold what was disposed of cannot be listed");
                }
            }
            if !self.dry_run {
                inner.tier.close_segments(&concerned);
            }
        }
        let asked = match self.released_alone {
            true => concerned,
            false => Judge::on_hot_alone(&inner.tier).into_iter().chain(concerned).collect(),
        };
        Ok(self.segments(inner, hospital, &asked))
    }

    fn bytes(&self, inner: &Inner, hospital: HospitalId, hot: &BTreeSet<SegmentId>) -> u64 {
        self.segments(inner, hospital, hot).iter().map(|info| info.payload_bytes).sum()
    }

    /// Takes the next hospital in hand. One whose log takes no entries is left out: what its ledger names is not known.
    fn take(&mut self, inner: &Inner, desk: Arc<Desk>) -> Option<Gain> {
        let hospital = desk.info().hospital;
        if let Err(error) = desk.takes_entries() {
            return Some(left_out("hospital-left-out", error.problem().message));
        }
        let prepared = inner.released(&desk).and_then(|released| {
            let segments = self.with_released(inner, hospital, &released)?;
            Ok((released, segments, Ended::of(inner, &desk)?))
        });
        let (released, segments, ended) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return Some(left_out("hospital-left-out", error.problem().message)),
        };
        if segments.is_empty() {
            return None;
        }
        let records = inner.tier.segments_of(hospital).iter().map(|info| u64::from(info.records)).sum();
        self.current = Some(Current {
            desk,
            named: Named::with_room(records).without(ended),
            released,
            ready: false,
            segments,
            rows: BTreeMap::new(),
        });
        None
    }

    /// Reads some entries of the hospital in hand.
    fn read_entries(current: &mut Current, pace: &dyn Pace) -> Result<u64> {
        let head = current.desk.head()?;
        let end = current.named.leaves().saturating_add(ENTRIES_PER_STEP).min(head.size);
        let mut read_bytes = 0;
        while current.named.leaves() < end {
            pace.spend(0)?;
            read_bytes += current.named.read_next(&current.desk)?;
        }
        pace.spend(read_bytes)?;
        current.ready = end == head.size;
        match current.ready && !current.named.is_whole(&head) {
            true => Err(Error::Damaged {
                what: "ledger of hospital",
                id: current.desk.info().hospital.to_string(),
                why: "its entries do not lead to its root".to_owned(),
            }),
            false => Ok(read_bytes),
        }
    }

    /// Judges the next segment of the hospital in hand, and compacts it where that is worth it.
    fn deal_with(&mut self, inner: &Inner, current: &mut Current, pace: &dyn Pace) -> Result<Gain> {
        let Some(info) = current.segments.front() else { return Ok(Gain::default()) };
        let (segment, hospital, payload_bytes) = (info.id, info.hospital, info.payload_bytes);
        let now_ms = inner.clock.now_ms();
        let judge = Judge {
            tier: &inner.tier,
            index: &*inner.index,
            desk: &current.desk,
            named: &current.named,
            released: &current.released,
            noted_by_ms: now_ms.saturating_sub(inner.config.jobs.upload_ms()),
            now_ms,
        };
        let verdict = judge.segment(info)?;
        if current.rows.get(&segment).is_some_and(|rows| *rows > verdict.rows) {
            current.segments.pop_front();
            self.behind += payload_bytes;
            self.after = Some((hospital, segment));
            let why = "the index leads to records of it that its table does not list, and they may come back";
            return Ok(left_out("segment-left-out", format!("segment {segment} stays: {why}")));
        }
        let bound = if verdict.released.is_empty() { self.bound.into() } else { f64::INFINITY };
        let expected = inner.tier.compaction_gain(segment, &mut |walked| verdict.is_live(walked))?;
        let worth_it = expected.dead_bytes > 0 && expected.amplification() <= bound;
        let waiting_bytes = verdict.waiting_bytes;
        let mut gain = Gain::default();
        gain.figures.read_bytes = verdict.leaves.len() as u64;
        if expected.dead_bytes + waiting_bytes > 0 {
            gain.segments.push(SegmentGain::new((segment, hospital), expected, waiting_bytes, worth_it));
        }
        if !self.dry_run {
            note(inner, hospital, &verdict, now_ms)?;
            if worth_it {
                let switch = Switch { inner, desk: &current.desk, segment, verdict };
                brought(&mut gain, segment, switch.complete(&mut current.named, bound, pace)?);
            }
        }
        if !worth_it {
            self.left += Sparse { live_bytes: expected.live_bytes, dead_bytes: expected.dead_bytes, waiting_bytes };
        }
        current.segments.pop_front();
        self.behind += payload_bytes;
        self.after = Some((hospital, segment));
        gain.save_now = gain.figures.items > 0;
        Ok(gain)
    }

    /// The hospital in hand is done as far as it can be: the error says why it is left out, if it is one of its own.
    fn give_up(&mut self, current: Current, error: Error) -> Result<Gain> {
        match error {
            Error::Media(MediaError::Stopped) => {
                self.current = Some(current);
                Err(error)
            }
            // one that is not right stays; the next one is another matter
            error @ Error::Media(_) if current.ready => {
                let mut current = current;
                if let Some(info) = current.segments.pop_front() {
                    self.behind += info.payload_bytes;
                    self.after = Some((info.hospital, info.id));
                }
                self.current = Some(current);
                Ok(left_out("segment-left-out", error.problem().message))
            }
            error @ (Error::Index { .. } | Error::Bug(_)) => Err(error),
            error => Ok(left_out("hospital-left-out", error.problem().message)),
        }
    }
}

impl Work for Compact {
    fn step(&mut self, inner: &Inner, pace: &dyn Pace) -> Result<Option<Gain>> {
        if let Some(why) = self.refused.take() {
            self.waiting.clear();
            self.sweeps = false;
            return Ok(Some(left_out("compaction-waits", why)));
        }
        pace.spend(0)?;
        if let Some(mut current) = self.current.take() {
            let stepped = match (current.ready, current.segments.is_empty()) {
                (_, true) => return Ok(Some(Gain::default())),
                (false, false) => Self::read_entries(&mut current, pace).and_then(|read_bytes| {
                    if current.ready {
                        current.rows = rows_by_segment(inner, current.desk.info().hospital)?;
                    }
                    if current.ready && !self.dry_run {
                        forget_named(inner, &current)?;
                    }
                    let figures = Figures { read_bytes, ..Figures::default() };
                    Ok(Gain { figures, ..Gain::default() })
                }),
                (true, false) => self.deal_with(inner, &mut current, pace),
            };
            return match stepped {
                Ok(gain) => {
                    self.current = Some(current);
                    Ok(Some(gain))
                }
                Err(error) => self.give_up(current, error).map(Some),
            };
        }
        if let Some(desk) = self.waiting.pop_front() {
            return Ok(Some(self.take(inner, desk).unwrap_or_default()));
        }
        self.after = None;
        if std::mem::take(&mut self.sweeps) {
            if self.only.hospital.is_none() && self.only.volume.is_none() {
                *inner.jobs.sparse.lock() = Some(self.left);
            }
            inner.sweep_erasing(pace)?;
        }
        Ok(None)
    }

    fn extent(&self, _inner: &Inner) -> (u64, Option<u64>) {
        (self.behind, Some(self.all.max(self.behind)))
    }

    fn cursor(&self, _inner: &Inner) -> Vec<u8> {
        self.of_the_tour.clone().unwrap_or_else(|| self.after.map(encode).unwrap_or_default())
    }

    fn plan(&self, inner: &Inner) -> Vec<String> {
        let sentence = |gain: &SegmentGain| {
            let SegmentGain { segment, live_bytes, dead_bytes, waiting_bytes, amplification, worth_it, .. } = gain;
            let cost =
                amplification.map_or("nothing is gained yet".to_owned(), |cost| format!("amplification {cost:.3}"));
            let then = if *worth_it { "would be compacted" } else { "stays" };
            format!(
                "segment {segment} {then}: {live_bytes} bytes live, {dead_bytes} are dead, {waiting_bytes} are named by \
                 nothing and wait; {cost}"
            )
        };
        let refused = refused(inner).map(|why| format!("nothing would be done now: {why}"));
        let mut plan: Vec<String> = refused.into_iter().chain(self.sentences.iter().cloned()).collect();
        plan.extend(self.surveyed.iter().map(sentence));
        if plan.is_empty() {
            plan.push("every record of every closed segment lives: nothing to compact".to_owned());
        }
        plan
    }

    fn segments(&self) -> Vec<SegmentGain> {
        self.surveyed.clone()
    }
}

/// Notes what nothing names, so that its time begins.
fn note(inner: &Inner, hospital: HospitalId, verdict: &Verdict, now_ms: u64) -> Result<()> {
    let mut rows = Pending::new(&*inner.index);
    for (address, at) in &verdict.fresh {
        rows.put(rows::unnamed_key(hospital, address), UnnamedRow { since_ms: now_ms, at: *at }.encode());
        rows.write_if_many()?;
    }
    rows.write()
}

/// How many rows of a hospital lead to each segment. To a closed one they only become fewer.
fn rows_by_segment(inner: &Inner, hospital: HospitalId) -> Result<BTreeMap<SegmentId, u64>> {
    let mut rows: BTreeMap<SegmentId, u64> = BTreeMap::new();
    inner.index.scan(&rows::record_prefix(hospital), &mut |_, value| {
        *rows.entry(RecordRow::decode(value)?.at.segment).or_default() += 1;
        Ok(true)
    })?;
    inner.index.scan(&rows::leaf_prefix(hospital), &mut |_, value| {
        *rows.entry(LeafRow::decode(value)?.at.segment).or_default() += 1;
        Ok(true)
    })?;
    Ok(rows)
}

/// Takes back what was noted of records that are named after all, or gone.
fn forget_named(inner: &Inner, current: &Current) -> Result<()> {
    let hospital = current.desk.info().hospital;
    let mut named: Vec<Address> = Vec::new();
    inner.index.scan(&rows::unnamed_prefix(hospital), &mut |key, _| {
        let Some(address) = rows::record_address(key) else { return Ok(true) };
        if current.named.contains(&address) || inner.index.get(&rows::record_key(hospital, &address))?.is_none() {
            named.push(address);
        }
        Ok(true)
    })?;
    let mut rows = Pending::new(&*inner.index);
    for address in named {
        rows.remove(rows::unnamed_key(hospital, &address));
        rows.write_if_many()?;
    }
    rows.write()
}

fn brought(gain: &mut Gain, segment: SegmentId, done: Done) {
    let Done { moved, gain: MediaGain { live_bytes, dead_bytes }, left } = done;
    gain.figures += Figures {
        items: 1,
        read_bytes: live_bytes,
        written_bytes: live_bytes,
        reread_bytes: live_bytes,
        freed_bytes: dead_bytes,
        ..Figures::default()
    };
    gain.done.push(format!("segment {segment} was compacted: {moved} records moved, {dead_bytes} bytes freed"));
    *gain = std::mem::take(gain).found(left);
}

fn left_out(code: &'static str, message: String) -> Gain {
    let mut gain = Gain::default();
    gain.figures.short = 1;
    gain.found([Finding { severity: Severity::Degraded, code, message }])
}

fn encode((hospital, segment): (HospitalId, SegmentId)) -> Vec<u8> {
    let mut out = Writer::new();
    out.put(&hospital.0).put(&segment.0);
    out.finish()
}

fn decode(bytes: &[u8]) -> shosoin_protocol::Result<(HospitalId, SegmentId)> {
    let mut reader = Reader::new(bytes, "cursor of a compaction");
    let after = (HospitalId::read(&mut reader)?, SegmentId::read(&mut reader)?);
    reader.finish()?;
    Ok(after)
}
