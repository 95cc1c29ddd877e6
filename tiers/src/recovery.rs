//! Recovery: opening the segments that are on media, and closing those whose writer did not.
//!
//! Rules learnt from others' data loss
//! - After an unclean stop a segment is closed, never appended to.
//! - A bad checksum is never a reason to truncate: every stripe before the last is committed, so damage there is reported
//!   and repaired. Only the last stripe may be set aside, and only when fewer than k of its units are good.
//! - What is set aside stays where it is, as evidence; the footer goes behind it.
//! - Stripes are found by following the chain from the start, never by scanning for magic bytes.
//! - Shards that are absent now may be back later. Nothing is decided that they could prove wrong: with fewer than k
//!   shards, or no more than m, or a last stripe that absent units could complete, the segment is left as it is. Only
//!   where an operator has declared every absent volume lost is it decided without them, and what is lost is named. What
//!   is present and cannot be read is not absent.

use crate::access::Access;
use crate::bug::{self, Bug};
use crate::catalogue::Found;
use crate::closed;
use crate::finding::{Defect, Finding, Place};
use crate::footer::{ClosedBy, Closing, Locator, SEGMENT_RECORDS_MAX, STRIPE_ROW_LEN, StripeRow, Table};
use crate::layout::{BLOCK_BYTES, align_up};
use crate::load::{Extent, ShardFiles, unreadable};
use crate::record::FRAME_LEN;
use crate::segment::{Identity, Segment, shard_no};
use crate::stripe::{CHAIN_START, STRIPE_PAYLOAD_BYTES_MAX, UnitHeader, slot_len};
use crate::tier::SegmentState;
use crate::writer::{FooterShard, write_footers};
use crate::{AlignedBuf, Code, Result};
use shosoin_protocol::{Digest, Suite};

/// On what terms a start decides.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// code of the tier, for segments that do not say theirs
    pub code: Code,
    /// the clock
    pub now_ms: u64,
    /// whether shards that are on no present volume are lost for good
    pub absence_is_final: bool,
}

impl Terms {
    /// Whether a shard with this defect may be good all the same, and show it another day.
    fn may_return(&self, defect: &Defect) -> bool {
        defect.is_unseen() && !(self.absence_is_final && defect.is_absence())
    }
}

/// Opens one segment that was found on media; closes it if its writer did not. `None` where nothing was ever stored in it.
pub fn open(access: &Access, found: &Found, terms: Terms) -> Result<(Option<Segment>, Vec<Finding>)> {
    let mut findings = Vec::new();
    if let Some(locator) = first_locator(found) {
        return Ok((Some(open_closed(access, found, &locator, &mut findings)), findings));
    }
    let Some(identity) = identify(found) else {
        if found.is_void(terms.code) {
            return Ok((None, vec![Finding::new(Place::segment(found.id), Defect::SegmentVoid)]));
        }
        return Ok((Some(open_empty(found, terms, &mut findings)), findings));
    };
    let shards = found.shards(identity.code);
    let files = ShardFiles::open(identity, &shards);
    report_absent(access, &files, &mut findings);
    let (present, needed) = (files.present(), identity.code.k());
    if present < needed
        && (0..identity.code.shards()).any(|shard| files.get(shard).is_err_and(|d| terms.may_return(&d)))
    {
        let defect = Defect::SegmentUnreadable { present: shard_no(present), needed: shard_no(needed) };
        findings.push(Finding::new(Place::segment(identity.id), defect));
        return Ok((Some(Segment::unreadable(identity, shards)), findings));
    }
    let mut survey = follow(access, &files, Some(terms))?;
    findings.append(&mut survey.findings);
    Ok((Some(close(found, identity, survey, &files, terms.now_ms, &mut findings)), findings))
}

fn first_locator(found: &Found) -> Option<Locator> {
    found.files().find_map(|(shard, file)| closed::locator(&*file.ok()?, found.id, found.hospital, shard).ok())
}

/// A closed segment. Shards that are missing or do not end where they should are reported, unless nothing is in it;
/// nothing more is read.
fn open_closed(access: &Access, found: &Found, locator: &Locator, findings: &mut Vec<Finding>) -> Segment {
    let identity = locator.identity();
    let shards = found.shards(identity.code);
    let mut lost = Vec::new();
    for (shard, mount) in shards.iter().enumerate().filter(|_| locator.stripes > 0) {
        let defect = match identity.open_shard(&shards, shard) {
            None => Some(Defect::ShardMissing),
            Some(Err(error)) => Some(unreadable(&error)),
            Some(Ok(file)) => match file.len() {
                Ok(len) if len == locator.file_len() => None,
                Ok(len) => {
                    let why = format!("the file has {len} bytes instead of {}", locator.file_len());
                    Some(Defect::FooterDamaged { why })
                }
                Err(error) => Some(unreadable(&error)),
            },
        };
        if let Some(defect) = defect {
            let place = Place::segment(identity.id).shard(shard_no(shard), mount.as_ref().map(|mount| mount.id()));
            findings.push(Finding::new(place, defect));
            lost.push(shard);
        }
    }
    access.queue_shards(identity.id, identity.code, &lost);
    Segment::closed(identity, shards, locator)
}

fn report_absent(access: &Access, files: &ShardFiles, findings: &mut Vec<Finding>) {
    let Identity { id, code, .. } = files.identity;
    let absent = |shard: &usize| files.get(*shard).is_err();
    let lost: Vec<usize> = (0..code.shards()).filter(absent).collect();
    for shard in &lost {
        if let Err(defect) = files.get(*shard) {
            findings.push(Finding::new(Place::segment(id).shard(shard_no(*shard), None), defect));
        }
    }
    access.queue_shards(id, code, &lost);
}

/// What any good first header says about the segment.
fn identify(found: &Found) -> Option<Identity> {
    found.files().find_map(|(shard, file)| {
        let mut bytes = AlignedBuf::default();
        file.ok()?.read_past_cache(0, BLOCK_BYTES, &mut bytes).ok()?;
        let UnitHeader { stripe, shard: stated, .. } = UnitHeader::decode(&bytes).ok()?;
        let ours = stripe.segment == found.id && stripe.hospital == found.hospital && usize::from(stated) == shard;
        ours.then_some(stripe.identity())
    })
}

/// A segment without a single good first header. A committed stripe is on every shard, so where nearly all are there, its
/// writer stopped before the first stripe was whole, and nothing is in it.
fn open_empty(found: &Found, terms: Terms, findings: &mut Vec<Finding>) -> Segment {
    let code = terms.code;
    let identity = Identity { id: found.id, hospital: found.hospital, suite: Suite::Default, code };
    let shards = found.shards(code);
    let files = ShardFiles::open(identity, &shards);
    let nothing_in_it =
        files.present() >= code.k() && ends_at(&files, 0, None) && files.longest() <= torn_bytes_max(code);
    if !nothing_in_it {
        let defect = Defect::SegmentUnreadable { present: 0, needed: shard_no(code.k()) };
        findings.push(Finding::new(Place::segment(identity.id), defect));
    }
    let decided = nothing_in_it || (terms.absence_is_final && ends_at(&files, 0, Some(terms)));
    if !decided {
        return Segment::unreadable(identity, shards);
    }
    let survey = Survey { table: Table::new(code), whole: true, findings: Vec::new() };
    close(found, identity, survey, &files, terms.now_ms, findings)
}

/// Whether more than m shards are known to hold no stripe at `at`: a committed one cannot be missing from so many.
fn ends_at(files: &ShardFiles, at: u64, terms: Option<Terms>) -> bool {
    let may_return = |defect: &Defect| terms.map_or(defect.is_unseen(), |terms| terms.may_return(defect));
    let settled = |header: &Result<UnitHeader, Defect>| !header.as_ref().is_err_and(may_return);
    files.headers(at).iter().filter(|header| settled(header)).count() > files.identity.code.m()
}

/// What following the chain of stripes gave.
pub struct Survey {
    /// stripes and records; a lost stripe is listed without records
    pub table: Table,
    /// whether it is certain that these are all committed stripes, and all of them could be read
    pub whole: bool,
    /// what was met
    pub findings: Vec<Finding>,
}

/// Follows the chain of stripes from the start to its end, and verifies what it needs to list the records: the data units
/// of every stripe, and every unit of the last.
pub fn survey(access: &Access, files: &ShardFiles) -> Result<Survey> {
    follow(access, files, None)
}

/// The same; a stripe that nobody will ever read is no reason to wait where `terms` say that what is absent is lost.
fn follow(access: &Access, files: &ShardFiles, terms: Option<Terms>) -> Result<Survey> {
    let terms = terms.filter(|terms| terms.absence_is_final);
    let Identity { id, code, .. } = files.identity;
    let mut survey = Survey { table: Table::new(code), whole: true, findings: Vec::new() };
    let mut next = link(files, 0, 0, CHAIN_START);
    while let Some(header) = next {
        let at = header.stripe.at;
        next = link(files, header.stripe.end(), header.stripe.stripe_no + 1, header.digest);
        let is_last = next.is_none();
        let kept = survey_stripe(access, files, &header, (is_last, terms), &mut survey)?;
        if !kept {
            return Ok(survey);
        }
        debug_assert!(survey.table.end() > at, "every kept stripe moves the end");
    }
    let (end, longest) = (survey.table.end(), files.longest());
    survey.whole &= ends_at(files, end, terms);
    if longest > end {
        let lost = longest - end > torn_bytes_max(code);
        let (good, needed) = (0, shard_no(code.k()));
        let defect = match lost {
            true => Defect::StripeLost { good, needed },
            false => Defect::StripeTorn { good, needed },
        };
        survey.whole &= !lost || terms.is_some();
        survey.findings.push(Finding::new(Place::segment(id).at(end), defect));
    }
    Ok(survey)
}

/// The header at `at` that continues the chain, from whichever shard has it.
pub fn link(files: &ShardFiles, at: u64, stripe_no: u64, previous: Digest) -> Option<UnitHeader> {
    let continues = |header: &UnitHeader| header.stripe.stripe_no == stripe_no && header.stripe.previous == previous;
    let headers = files.headers(at);
    let short = |header: &Result<UnitHeader, Defect>| matches!(header, Err(Defect::ShardShort { .. }));
    if bug::is(Bug::StaleVolumeTrusted) && headers.iter().any(short) {
        return None;
    }
    headers.into_iter().flatten().find(continues)
}

/// Reads one stripe into the survey; false when it is not kept.
fn survey_stripe(
    access: &Access,
    files: &ShardFiles,
    header: &UnitHeader,
    (is_last, terms): (bool, Option<Terms>),
    survey: &mut Survey,
) -> Result<bool> {
    let Identity { id, code, .. } = files.identity;
    let place = Place::segment(id).at(header.stripe.at);
    let extent = if is_last { Extent::All } else { Extent::Data };
    let mut stripe = files.load(header.stripe.at, header.stripe.payload_len, extent);
    let (good, needed) = (shard_no(stripe.good_count()), shard_no(code.k()));
    let present = |(_, defect): &&(u8, Defect)| *defect != Defect::ShardMissing;
    let damaged = stripe.defects().iter().filter(present);
    survey.findings.extend(damaged.map(|(shard, defect)| Finding::new(place.shard(*shard, None), defect.clone())));
    access.queue(stripe.repairs(id, header.stripe.at));
    if bug::is(Bug::TruncateOnBadDigest) && stripe.defects().iter().any(|(_, defect)| !defect.is_unseen()) {
        return Ok(false);
    }
    let unseen = shard_no(stripe.unseen_count());
    let returning = stripe.defects().iter().filter(|(_, defect)| terms.is_some_and(|terms| terms.may_return(defect)));
    let decided = terms.is_some() && usize::from(good) + returning.count() < usize::from(needed);
    if good < needed && is_last {
        let torn = good + unseen < needed;
        survey.whole &= torn || decided;
        let defect = match (torn, decided) {
            (true, _) => Defect::StripeTorn { good, needed },
            (false, true) => Defect::StripeLost { good, needed },
            (false, false) => Defect::StripeUnjudged { good, unseen, needed },
        };
        survey.findings.push(Finding::new(place, defect));
        return Ok(false);
    }
    let mut row =
        StripeRow { payload_len: header.stripe.payload_len, records: header.stripe.records, digest: header.digest };
    let frames = match good < needed {
        true => Err(Defect::StripeLost { good, needed }),
        false => {
            stripe.rebuild(&*access.erasure(code)?)?;
            stripe.frames().map_err(|error| Defect::RecordDamaged { why: error.to_string() })
        }
    };
    let frames = frames.unwrap_or_else(|defect| {
        survey.findings.push(Finding::new(place, defect));
        survey.whole &= decided || (good >= needed && terms.is_some());
        row.records = 0;
        Vec::new()
    });
    survey.table.push(row, &frames);
    Ok(true)
}

/// The most bytes that an unfinished stripe and the unfinished footers of a few recoveries leave behind the last stripe.
fn torn_bytes_max(code: Code) -> u64 {
    const RECOVERIES: u64 = 4;
    let footer = (SEGMENT_RECORDS_MAX as usize * (FRAME_LEN + STRIPE_ROW_LEN) + 2 * BLOCK_BYTES) as u64;
    let payload_len = u32::try_from(STRIPE_PAYLOAD_BYTES_MAX).unwrap_or(u32::MAX);
    slot_len(payload_len, code) + RECOVERIES * footer
}

/// Closes a surveyed segment behind its longest shard. One that is not whole is left as it is: a footer would make what is
/// lost now lost for good.
fn close(
    found: &Found,
    identity: Identity,
    survey: Survey,
    files: &ShardFiles,
    now_ms: u64,
    findings: &mut Vec<Finding>,
) -> Segment {
    let shards = found.shards(identity.code);
    let place = Place::segment(identity.id);
    let Survey { table, whole, .. } = survey;
    let segment = |state, table| Segment::with_table(identity, shards.clone(), state, table);
    if !whole {
        return segment(SegmentState::Unreadable, table);
    }
    let mut open = Vec::new();
    for (shard, mount) in shards.iter().enumerate() {
        let Some(mount) = mount.as_ref().filter(|mount| mount.volume.takes_writes()) else { continue };
        match mount.volume.media().open_to_append(&identity.path(shard)) {
            Ok(file) => open.push(FooterShard { shard, mount: mount.clone(), file }),
            Err(error) => {
                let defect = Defect::FooterUnwritten { why: error.to_string() };
                findings.push(Finding::new(place.shard(shard_no(shard), Some(mount.id())), defect));
            }
        }
    }
    let footer_at = match bug::is(Bug::ReappendAfterUncleanStop) {
        true => table.end(),
        false => align_up(files.longest().max(table.end())),
    };
    let closing = Closing { identity, by: ClosedBy::Recovery, at_ms: now_ms, footer_at };
    let failures = write_footers(&table, closing, &open);
    for (volume, error) in &failures {
        let defect = Defect::FooterUnwritten { why: error.to_string() };
        findings.push(Finding::new(Place { volume: Some(*volume), ..place }, defect));
    }
    let (stripes, records) = (table.stripe_count(), table.record_count());
    findings.push(Finding::new(place, Defect::SegmentRecovered { stripes, records }));
    let recovered = segment(SegmentState::Unreadable, table);
    if failures.len() < open.len() {
        recovered.stop(true, now_ms);
    }
    recovered
}
