//! Records whose segments were closed on hot media and whose shard files then went to archive media, one each.

use shosoin_protocol::{Address, HospitalId, RecordKind, Suite, VolumeId};
use shosoin_tiers::clock::{ManualClock, SeededRandom};
use shosoin_tiers::layout::{SEGMENTS, hospital_dir};
use shosoin_tiers::media::{MemoryMedia, WriteUnit};
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{
    AlignedBuf, Code, Error, Location, Media, Record, SegmentState, Tier, TierOptions, Volume, VolumeLabel,
};
use std::sync::Arc;

const HOSPITAL: HospitalId = HospitalId([7; 16]);

pub struct Group {
    code: Code,
    archive: Vec<Arc<dyn Media>>,
    stored: Vec<(Address, Vec<u8>, Location)>,
}

fn volume(media: &Arc<dyn Media>, no: usize, tier: TierKind) -> Volume {
    let mut label = VolumeLabel::new(VolumeId([u8::try_from(no).unwrap(); 16]), tier, MediaClass::Cloud, 0);
    label.demo = true;
    Volume::create(media.clone(), label).unwrap()
}

fn open(volumes: Vec<Volume>, code: Code) -> Tier {
    let options = TierOptions { demo: true, ..TierOptions::new(code) };
    let (tier, _) =
        Tier::open(volumes, options, Arc::new(ManualClock::new(1_000)), Arc::new(SeededRandom::new(1))).unwrap();
    tier
}

impl Group {
    pub fn moved_to(code: &str, archive: Vec<Arc<dyn Media>>) -> Group {
        let code = Code::parse(code).unwrap();
        let hot = (0..archive.len()).map(|no| Arc::new(MemoryMedia::new(&format!("hot{no}"))) as Arc<dyn Media>);
        let hot: Vec<_> = hot.collect();
        let tier = open(hot.iter().enumerate().map(|(no, media)| volume(media, no, TierKind::Hot)).collect(), code);
        let mut stored = Vec::new();
        for no in 0u8..5 {
            let bytes = vec![no; 100_000 + usize::from(no)];
            let address = Suite::Default.address(&bytes);
            let record = Record { kind: RecordKind::Chunk, address, bytes: bytes.clone().into() };
            let done = tier.append(HOSPITAL, Suite::Default, &[record]).unwrap();
            stored.push((address, bytes, done.locations[0]));
        }
        tier.close().unwrap();
        for (no, (from, to)) in hot.iter().zip(&archive).enumerate() {
            volume(to, no + hot.len(), TierKind::Archive);
            copy(&**from, &**to);
        }
        Group { code, archive, stored }
    }

    fn open_without(&self, lost: &[usize]) -> Tier {
        let kept = self.archive.iter().enumerate().filter(|(no, _)| !lost.contains(no));
        open(kept.map(|(_, media)| Volume::open(media.clone()).unwrap()).collect(), self.code)
    }

    pub fn assert_every_choice_of_m_losses_is_survived(&self) {
        for lost in choices(self.archive.len(), self.code.m()) {
            let tier = self.open_without(&lost);
            assert!(tier.segments().iter().all(|segment| segment.state == SegmentState::Closed));
            for (address, bytes, location) in &self.stored {
                let read = tier.read(Suite::Default, location, address).unwrap();
                assert!(*read == bytes[..], "without {lost:?}");
            }
        }
    }

    pub fn assert_one_loss_more_is_refused_and_never_wrong(&self) {
        let lost: Vec<usize> = (0..=self.code.m()).collect();
        let tier = self.open_without(&lost);
        for (address, bytes, location) in &self.stored {
            match tier.read(Suite::Default, location, address) {
                Ok(read) => assert!(*read == bytes[..], "a record in units that are left may be read, and is exact"),
                Err(Error::RecordUnreadable { .. } | Error::SegmentUnknown { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

/// Copies every shard file, as any tool could: a shard file is volume-free.
fn copy(from: &dyn Media, to: &dyn Media) {
    let dir = hospital_dir(HOSPITAL);
    assert_eq!(from.list(SEGMENTS).unwrap().len(), 1);
    to.make_dir(&dir).unwrap();
    for listed in from.list(&dir).unwrap() {
        let path = format!("{dir}/{}", listed.name);
        let source = from.open(&path).unwrap();
        let mut bytes = AlignedBuf::default();
        source.read_past_cache(0, usize::try_from(source.len().unwrap()).unwrap(), &mut bytes).unwrap();
        let file = to.create(&format!("{path}.tmp"), WriteUnit::Blocks).unwrap();
        file.write_at(0, &bytes).unwrap();
        file.sync().unwrap();
        to.rename(&format!("{path}.tmp"), &path).unwrap();
        to.sync_dir(&dir).unwrap();
    }
}

/// Every choice of `count` of the numbers below `of`.
fn choices(of: usize, count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let rest = |first: usize| {
        choices(first, count - 1).into_iter().map(move |mut choice| {
            choice.push(first);
            choice
        })
    };
    (count - 1..of).flat_map(rest).collect()
}
