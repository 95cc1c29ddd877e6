//! Tour: one scrub of everything on a volume, as a value that can be stored after each step and goes on from there.
//!
//! Invariants
//! - A tour reads every copy on its volume whose segment was closed before the tour began, and of open segments what is
//!   durable. Each is read once, in the order of [`ShardRef`], however often the process dies between two steps.
//! - Segments that appear behind the cursor wait for the next tour; what disappears is passed over.
//! - The cursor moves only behind a copy that was read to its end. A volume that vanishes stops the tour where it is, and one
//!   that could not be listed is not toured: what was not seen would pass for read.
//! - Its last step looks at the catalogue: what lies among the shards and is none, and shards that no present volume has.
//!   Over the tours of all volumes each missing shard is reported once.

use crate::finding::{Defect, Place};
use crate::mount::Mount;
use crate::pace::Pace;
use crate::scrub::{ShardOnVolume, ShardRef};
use crate::segment::{Segment, shard_no};
use crate::stripe::expect;
use crate::{Error, Finding, Result, Tier, catalogue};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Error as FormatError, HospitalId, Result as FormatResult, SegmentId, VolumeId};
use std::collections::VecDeque;
use std::sync::Arc;

/// First bytes of every stored tour.
pub const MAGIC: [u8; 4] = *b"shjt";
/// Version of a stored tour.
pub const VERSION: u8 = 1;
/// Length of a stored tour.
pub const TOUR_LEN: usize = 128;

/// Where its checksum begins.
const CHECKSUM_AT: usize = TOUR_LEN - 32;

/// Copies that are looked up in the catalogue at a time.
const UPCOMING_MAX: usize = 1024;

/// What a tour has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TourCounters {
    /// copies read to their end
    pub shards: u64,
    /// bytes read
    pub read_bytes: u64,
    /// units verified, good or bad
    pub units: u64,
    /// findings, listed or not
    pub findings: u64,
}

/// One pass over a volume.
#[derive(Debug, Clone)]
pub struct Tour {
    /// the volume
    pub volume: VolumeId,
    /// when it began, in milliseconds since 1970
    pub started_ms: u64,
    /// the last shard that was read to its end
    pub after: Option<ShardRef>,
    /// whether nothing is left
    pub ended: bool,
    /// what it has done so far
    pub done: TourCounters,
    /// what comes next, as the catalogue said a while ago; never stored
    upcoming: VecDeque<ShardRef>,
}

impl Tour {
    /// A tour that has not begun to read.
    pub fn new(volume: VolumeId, started_ms: u64) -> Self {
        let (done, upcoming) = (TourCounters::default(), VecDeque::new());
        Tour { volume, started_ms, after: None, ended: false, done, upcoming }
    }

    /// Scrubs the next copy and gives what it met; `None` when the tour has ended. After an error the cursor has not moved,
    /// and the same step can be tried again.
    pub fn step(&mut self, tier: &Tier, pace: &dyn Pace) -> Result<Option<Vec<Finding>>> {
        if self.ended {
            return Ok(None);
        }
        let mount = tier.listed(self.volume)?;
        while let Some(shard) = self.next(tier) {
            let found = match tier.scrub_copy(self.volume, shard, pace) {
                Ok(scrubbed) => {
                    self.done.shards += 1;
                    self.done.read_bytes += scrubbed.read_bytes;
                    self.done.units += scrubbed.units;
                    self.done.findings += scrubbed.findings.len() as u64 + scrubbed.unlisted;
                    Some(scrubbed.findings)
                }
                // not on the volume any more, as long as the volume itself is still the same one
                Err(Error::CopyUnknown { .. } | Error::SegmentUnknown { .. }) if is_in_use(tier, &mount) => None,
                Err(error) => {
                    self.upcoming.clear();
                    return Err(error);
                }
            };
            self.after = Some(shard);
            self.upcoming.pop_front();
            if found.is_some() {
                return Ok(found);
            }
        }
        let findings = look_at_catalogue(tier, &mount)?;
        self.done.findings += findings.len() as u64;
        self.ended = true;
        Ok(Some(findings))
    }

    /// The next copy to read.
    fn next(&mut self, tier: &Tier) -> Option<ShardRef> {
        if self.upcoming.is_empty() {
            self.upcoming = self.left(tier).take(UPCOMING_MAX).map(|on| on.shard).collect();
        }
        self.upcoming.front().copied()
    }

    fn left(&self, tier: &Tier) -> impl Iterator<Item = ShardOnVolume> {
        let (after, ended) = (self.after, self.ended);
        tier.shards_on(self.volume).into_iter().filter(move |on| Some(on.shard) > after && !ended)
    }

    /// Bytes of everything that is on the volume now.
    pub fn total_bytes(&self, tier: &Tier) -> u64 {
        tier.shards_on(self.volume).iter().map(|on| on.len_bytes).sum()
    }

    /// Bytes of what the tour has still to read.
    pub fn left_bytes(&self, tier: &Tier) -> u64 {
        self.left(tier).map(|on| on.len_bytes).sum()
    }

    /// The tour as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let cursor = self.after.unwrap_or(NO_SHARD);
        let mut out = Writer::with_capacity(TOUR_LEN);
        out.put(&MAGIC).u8(VERSION).u8(self.ended.into()).u8(self.after.is_some().into()).u8(cursor.shard);
        out.put(&self.volume.0).u64(self.started_ms).put(&cursor.hospital.0).put(&cursor.segment.0);
        let TourCounters { shards, read_bytes, units, findings } = self.done;
        out.u64(shards).u64(read_bytes).u64(units).u64(findings);
        let content = out.finish();
        [&content[..], &sha256(&[&content]).0].concat()
    }

    /// Parses and verifies a stored tour.
    pub fn decode(bytes: &[u8]) -> FormatResult<Self> {
        let mut reader = Reader::new(bytes, "tour");
        if reader.array::<4>("tour magic")? != MAGIC {
            return Err(FormatError::Magic { what: "tour" });
        }
        match reader.u8("tour version")? {
            VERSION => {}
            found => return Err(FormatError::Version { what: "tour", found, known: VERSION }),
        }
        let (content, checksum) = bytes.split_at_checked(CHECKSUM_AT).unwrap_or((bytes, &[]));
        expect("tour checksum", &sha256(&[content]), checksum)?;
        let tour = read_tour(&mut reader)?;
        reader.take(32, "tour checksum")?;
        reader.finish()?;
        Ok(tour)
    }
}

/// Stands where a tour has no cursor yet.
const NO_SHARD: ShardRef = ShardRef { hospital: HospitalId([0; 16]), segment: SegmentId([0; 16]), shard: 0 };

fn read_tour(reader: &mut Reader<'_>) -> FormatResult<Tour> {
    let (ended, has_cursor) = (read_flag(reader, "ended")?, read_flag(reader, "cursor")?);
    let shard = reader.u8("shard")?;
    let (volume, started_ms) = (VolumeId::read(reader)?, reader.u64("started")?);
    let cursor = ShardRef { hospital: HospitalId::read(reader)?, segment: SegmentId::read(reader)?, shard };
    let after = match has_cursor {
        true => Some(cursor),
        false if cursor == NO_SHARD => None,
        false => return Err(FormatError::Invalid { what: "cursor", why: "it must be zero where there is none" }),
    };
    let done = TourCounters {
        shards: reader.u64("shards")?,
        read_bytes: reader.u64("read bytes")?,
        units: reader.u64("units")?,
        findings: reader.u64("findings")?,
    };
    Ok(Tour { after, ended, done, ..Tour::new(volume, started_ms) })
}

fn read_flag(reader: &mut Reader<'_>, what: &'static str) -> FormatResult<bool> {
    match reader.u8(what)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(FormatError::Invalid { what, why: "it must be 0 or 1" }),
    }
}

/// Whether `mount` is what the tier still uses under its id.
fn is_in_use(tier: &Tier, mount: &Arc<Mount>) -> bool {
    tier.mount(mount.id()).is_some_and(|now| Arc::ptr_eq(&now, mount))
}

/// What lies among the shards of a volume and is none, and the shards that no present volume has of the segments that this
/// volume speaks for: those of which it has the first shard that is present.
fn look_at_catalogue(tier: &Tier, mount: &Arc<Mount>) -> Result<Vec<Finding>> {
    let mut findings = catalogue::foreign_files(mount)?;
    for segment in tier.catalogue() {
        let shards = segment.shards();
        let speaks = shards.iter().flatten().next().is_some_and(|first| first.id() == mount.id());
        if !speaks || segment.info().stripes == 0 {
            continue;
        }
        let missing = shards.iter().enumerate().filter(|(_, on)| on.is_none());
        let lost: Vec<usize> = missing.map(|(shard, _)| shard).collect();
        findings.extend(lost.iter().map(|shard| missing_shard(&segment, *shard)));
        tier.access.queue_shards(segment.identity.id, segment.identity.code, &lost);
    }
    Ok(findings)
}

fn missing_shard(segment: &Segment, shard: usize) -> Finding {
    Finding::new(Place::segment(segment.identity.id).shard(shard_no(shard), None), Defect::ShardMissing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tour() -> Tour {
        let shard = ShardRef { hospital: HospitalId([0x22; 16]), segment: SegmentId([0x11; 16]), shard: 5 };
        let done = TourCounters { shards: 3, read_bytes: 0x0102_0304_0506, units: 9, findings: 2 };
        Tour { after: Some(shard), done, ..Tour::new(VolumeId([0x33; 16]), 0x0123_4567_89ab) }
    }

    #[test]
    fn a_stored_tour_has_these_bytes() {
        let fields = [
            "73686a74 01 00 01 05".to_owned() + &"33".repeat(16),
            "ab89674523010000".to_owned() + &"22".repeat(16) + &"11".repeat(16),
            "0300000000000000 0605040302010000 0900000000000000 0200000000000000".into(),
            CHECKSUM.into(),
        ];
        assert_eq!(hex::encode(tour().encode()), fields.concat().replace(' ', ""));
        assert_eq!(tour().encode().len(), TOUR_LEN);
    }

    /// Computed elsewhere.
    const CHECKSUM: &str = "8f195d11bd406eb99d16bc2a639d40334cc799ff9b8a17060e10137275fae760";

    #[test]
    fn a_tour_with_any_one_byte_changed_or_cut_is_refused() {
        let good = tour().encode();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(Tour::decode(&bad).is_err(), "byte {at}");
            assert!(Tour::decode(&good[..at]).is_err(), "cut at {at}");
        }
        assert!(Tour::decode(&[good, vec![0]].concat()).is_err(), "trailing");
    }

    #[test]
    fn tours_that_are_whole_and_wrong_are_refused() {
        let forged = |at: usize, value: u8| {
            let mut content = tour().encode();
            content.truncate(CHECKSUM_AT);
            content[at] = value;
            Tour::decode(&[&content[..], &sha256(&[&content]).0].concat())
        };
        assert!(forged(5, 0).is_ok());
        assert!(matches!(forged(4, 2), Err(FormatError::Version { found: 2, .. })), "newer");
        assert!(forged(5, 2).is_err() && forged(6, 2).is_err(), "flags that are neither");
        assert!(forged(6, 0).is_err(), "a cursor where there is none");
    }

    proptest! {
        #[test]
        fn any_tour_reads_back(volume: [u8; 16], started_ms: u64, after: Option<([u8; 16], [u8; 16], u8)>, ended: bool, counts: [u64; 4]) {
            let after = after.map(|(hospital, segment, shard)| ShardRef { hospital: HospitalId(hospital), segment: SegmentId(segment), shard });
            let [shards, read_bytes, units, findings] = counts;
            let done = TourCounters { shards, read_bytes, units, findings };
            let tour = Tour { after, ended, done, ..Tour::new(VolumeId(volume), started_ms) };
            let read = Tour::decode(&tour.encode()).unwrap();
            prop_assert_eq!((read.volume, read.started_ms, read.after), (tour.volume, tour.started_ms, tour.after));
            prop_assert_eq!((read.ended, read.done), (tour.ended, tour.done));
        }

        #[test]
        fn any_bytes_are_a_tour_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Tour::decode(&bytes).is_err());
        }
    }
}
