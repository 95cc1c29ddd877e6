//! A small tier on media in memory, and records to put on it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(dead_code, reason = "each test file uses a part of it")]

use bytes::Bytes;
use shosoin_protocol::{HospitalId, RecordKind, Suite, VolumeId};
use shosoin_tiers::clock::{ManualClock, SeededRandom};
use shosoin_tiers::media::{Fault, Faults, FaultyMedia, MemoryMedia, Op};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{Code, Finding, Location, Media, Record, Result, Tier, TierOptions, Volume, VolumeLabel, Walked};
use std::sync::Arc;

pub const HOSPITAL: HospitalId = HospitalId([0xab; 16]);
pub const SUITE: Suite = Suite::Default;

/// Labelled media in memory and how a tier on them is opened.
pub struct Rig {
    pub media: Vec<MemoryMedia>,
    pub options: TierOptions,
    pub clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
}

/// A record that was acknowledged, and where.
#[derive(Debug, Clone)]
pub struct Stored {
    pub record: Record,
    pub location: Location,
}

impl Rig {
    /// As many volumes as `code` needs, and `spare` more.
    pub fn new(code: &str, spare: usize) -> Rig {
        let code = Code::parse(code).unwrap();
        let media: Vec<_> = (0..code.shards() + spare).map(|no| MemoryMedia::new(&format!("v{no:02}"))).collect();
        for (no, media) in (1u8..).zip(&media) {
            let label = VolumeLabel::new(VolumeId([no; 16]), TierKind::Hot, MediaClass::Ssd, 0);
            Volume::create(Arc::new(media.clone()), label).unwrap();
        }
        let (clock, random) = (Arc::new(ManualClock::new(1_000)), Arc::new(SeededRandom::new(1)));
        Rig { media, options: TierOptions::new(code), clock, random }
    }

    pub fn open(&self) -> (Tier, Vec<Finding>) {
        self.open_without(&[]).unwrap()
    }

    /// Opens the tier while the volumes `lost` are absent.
    pub fn open_without(&self, lost: &[usize]) -> Result<(Tier, Vec<Finding>)> {
        let present = self.media.iter().enumerate().filter(|(no, _)| !lost.contains(no));
        self.open_on(present.map(|(_, media)| Arc::new(media.clone()) as Arc<dyn Media>))
    }

    /// Opens the tier while no shard on the volumes `unreadable` can be read.
    pub fn open_unreadable(&self, unreadable: &[usize]) -> Result<(Tier, Vec<Finding>)> {
        let faults = Arc::new(Faults::default());
        let places: Vec<String> = unreadable.iter().map(|no| self.media[*no].place()).collect();
        faults.when(move |_, call| {
            let hit = matches!(call.op, Op::Read | Op::ReadPastCache) && call.path.ends_with(".shard");
            (hit && places.contains(&call.place)).then_some(Fault::Fail(std::io::ErrorKind::Other))
        });
        self.open_through(&faults)
    }

    /// Opens the tier on media that fail as `faults` say.
    pub fn open_through(&self, faults: &Arc<Faults>) -> Result<(Tier, Vec<Finding>)> {
        let faulty = |media: &MemoryMedia| FaultyMedia::new(Arc::new(media.clone()), faults.clone());
        self.open_on(self.media.iter().map(|media| Arc::new(faulty(media)) as Arc<dyn Media>))
    }

    /// The same while the volumes `lost` are absent.
    pub fn open_hooked_without(&self, faults: &Arc<Faults>, lost: &[usize]) -> Result<(Tier, Vec<Finding>)> {
        let faulty = |media: &MemoryMedia| FaultyMedia::new(Arc::new(media.clone()), faults.clone());
        let present = self.media.iter().enumerate().filter(|(no, _)| !lost.contains(no));
        self.open_on(present.map(|(_, media)| Arc::new(faulty(media)) as Arc<dyn Media>))
    }

    fn open_on(&self, media: impl Iterator<Item = Arc<dyn Media>>) -> Result<(Tier, Vec<Finding>)> {
        let volumes = media.map(Volume::open).collect::<Result<Vec<_>>>()?;
        Tier::open(volumes, self.options.clone(), self.clock.clone(), self.random.clone())
    }

    /// Cuts the power of every volume. `SHOSOIN_SEED` gives other crashes than the usual ones.
    pub fn crash(&self, seed: u64) {
        let chosen = std::env::var("SHOSOIN_SEED").map_or(0, |seed| seed.parse::<u64>().unwrap());
        let random = SeededRandom::new(seed ^ (chosen << 32));
        self.media.iter().for_each(|media| media.crash(&random));
    }

    /// The shard files on volume `no`.
    pub fn shards(&self, no: usize) -> Vec<String> {
        self.media[no].paths().into_iter().filter(|path| path.ends_with(".shard")).collect()
    }
}

/// The number of a volume of a [`Rig`].
pub fn volume_no(volume: VolumeId) -> usize {
    usize::from(volume.0[0]) - 1
}

/// The record with number `no`: its bytes follow from the number, and so does its length of up to 40,000 bytes.
pub fn record(no: u32) -> Record {
    const LENGTHS: [usize; 7] = [300, 1, 40_000, 4096, 0, 9000, 4095];
    let mut bytes = vec![0; LENGTHS[no as usize % LENGTHS.len()]];
    blake3::Hasher::new().update(&no.to_le_bytes()).finalize_xof().fill(&mut bytes);
    let kind = RecordKind::ALL[no as usize % LENGTHS.len()]; // equal bytes, such as none, are of one kind
    Record { kind, address: SUITE.address(&bytes), bytes: Bytes::from(bytes) }
}

/// Appends the records with these numbers as one group.
pub fn append(tier: &Tier, numbers: std::ops::Range<u32>) -> Result<Vec<Stored>> {
    let records: Vec<Record> = numbers.map(record).collect();
    let committed = tier.append(HOSPITAL, SUITE, &records)?;
    let stored = records.into_iter().zip(committed.locations);
    Ok(stored.map(|(record, location)| Stored { record, location }).collect())
}

/// Whether every one of `stored` reads exact.
#[track_caller]
pub fn assert_all_read(tier: &Tier, stored: &[Stored], what: &str) {
    for Stored { record, location } in stored {
        let read = tier.read(SUITE, location, &record.address);
        let found =
            read.unwrap_or_else(|error| panic!("{what}: {location:?} of {} bytes: {error}", record.bytes.len()));
        assert!(found == record.bytes, "{what}: wrong bytes at {location:?}");
    }
}

/// Every record of every segment that can be walked.
pub fn walk_all(tier: &Tier) -> Vec<Walked> {
    let mut walked = Vec::new();
    for segment in tier.segments() {
        // A segment that cannot be walked says so; that it is reported is asserted where it matters.
        let _ = tier.walk(segment.id, 0, &mut |record| {
            walked.push(record);
            Ok(())
        });
    }
    walked
}
