//! The damage matrix: what is done, to which part of a shard, and what happens next. Whatever it is, on at most m
//! shards, every record reads exact, and it is reported.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{HOSPITAL, Rig, SUITE, Stored, append, assert_all_read, walk_all};
use shosoin_protocol::HospitalId;
use shosoin_tiers::layout::{BLOCK_BYTES, LABEL};
use shosoin_tiers::media::{Fault, Faults, Op, WriteUnit};
use shosoin_tiers::{Finding, Location, Media, Tier};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is done to a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// cut the file off there
    Truncate,
    /// remove the file
    Delete,
    /// change one bit there
    Flip,
    /// zero the block there
    Zero,
    /// exchange the file with that of the next shard
    Swap,
    /// put a shard of another segment in its place
    Foreign,
}

const ACTIONS: [Action; 6] =
    [Action::Truncate, Action::Delete, Action::Flip, Action::Zero, Action::Swap, Action::Foreign];

/// Where it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Label,
    UnitHeader,
    DataUnit,
    ParityUnit,
    LastStripe,
    Footer,
}

const PARTS: [Part; 6] =
    [Part::Label, Part::UnitHeader, Part::DataUnit, Part::ParityUnit, Part::LastStripe, Part::Footer];

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Read,
    Reopen,
    AppendMore,
}

/// Whether the segment was closed, or its writer was killed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Closed,
    Killed,
}

/// One segment of three stripes, and where the shards of it are.
struct Filled {
    rig: Rig,
    tier: Tier,
    stored: Vec<Stored>,
    /// volume and path of each shard
    shards: Vec<(usize, String)>,
    /// where the last stripe begins, and ends
    last: (u64, u64),
}

fn filled(ended: Ended) -> Filled {
    let rig = Rig::new("4+2", 0);
    let (tier, _) = rig.open();
    let stored = [0..5, 5..8, 8..12].map(|numbers| append(&tier, numbers).unwrap()).concat();
    let tier = match ended {
        Ended::Closed => {
            tier.close().unwrap();
            tier
        }
        Ended::Killed => tier,
    };
    let info = tier.segments().remove(0);
    let shard = |no: usize| {
        let suffix = format!("-{no}.shard");
        let found = (0..6).flat_map(|volume| rig.shards(volume).into_iter().map(move |path| (volume, path)));
        found.into_iter().find(|(_, path)| path.ends_with(&suffix)).unwrap()
    };
    let shards = (0..6).map(shard).collect();
    let last = (stored.last().unwrap().location.stripe_at, info.end);
    Filled { rig, tier, stored, shards, last }
}

impl Filled {
    /// The shard that is damaged: a data shard, unless it is to be a parity shard.
    fn victim(&self, part: Part) -> usize {
        if part == Part::ParityUnit { 5 } else { 1 }
    }

    fn offset(&self, part: Part) -> u64 {
        match part {
            Part::Label => 20,
            Part::UnitHeader => 100,
            Part::DataUnit | Part::ParityUnit => BLOCK_BYTES as u64 + 7,
            Part::LastStripe => self.last.0 + 1100,
            Part::Footer => self.last.1 + 30,
        }
    }

    fn damage(&self, action: Action, part: Part) {
        let (volume, path) = &self.shards[self.victim(part)];
        let path = if part == Part::Label { LABEL } else { path };
        let media = &self.rig.media[*volume];
        let at = usize::try_from(self.offset(part)).unwrap();
        match action {
            Action::Truncate => media.tamper(path, |bytes| bytes.truncate(at)).unwrap(),
            Action::Delete => media.remove(path).unwrap(),
            Action::Flip => media.tamper(path, |bytes| bytes[at] ^= 4).unwrap(),
            Action::Zero => media
                .tamper(path, |bytes| {
                    let block = at / BLOCK_BYTES * BLOCK_BYTES;
                    let end = bytes.len().min(block + BLOCK_BYTES);
                    bytes[block..end].fill(0);
                })
                .unwrap(),
            Action::Swap => self.swap(part),
            Action::Foreign => {
                let foreign = match part {
                    Part::Label => foreign_label(),
                    _ => foreign_shard(self.victim(part)),
                };
                media.tamper(path, |bytes| *bytes = foreign).unwrap();
            }
        }
    }

    fn swap(&self, part: Part) {
        let victim = self.victim(part);
        let other = (victim + 1) % 6;
        let path = |no: usize| if part == Part::Label { LABEL } else { self.shards[no].1.as_str() };
        let (first, second) = (&self.rig.media[self.shards[victim].0], &self.rig.media[self.shards[other].0]);
        let mut kept = Vec::new();
        first.tamper(path(victim), |bytes| kept.clone_from(bytes)).unwrap();
        second.tamper(path(other), |bytes| std::mem::swap(bytes, &mut kept)).unwrap();
        first.tamper(path(victim), |bytes| *bytes = kept).unwrap();
    }
}

/// The label of a volume of somebody else.
fn foreign_label() -> Vec<u8> {
    let other = Rig::new("10+4", 0);
    let mut label = Vec::new();
    other.media[13].tamper(LABEL, |bytes| label.clone_from(bytes)).unwrap();
    label
}

/// The same shard of another segment, of another hospital.
fn foreign_shard(shard: usize) -> Vec<u8> {
    let rig = Rig::new("4+2", 0);
    let (tier, _) = rig.open();
    let records: Vec<_> = (100..112).map(common::record).collect();
    tier.append(HospitalId([0xcd; 16]), SUITE, &records).unwrap();
    tier.close().unwrap();
    let suffix = format!("-{shard}.shard");
    let mut content = Vec::new();
    for media in &rig.media {
        for path in media.paths().into_iter().filter(|path| path.ends_with(&suffix)) {
            media.tamper(&path, |bytes| content.clone_from(bytes)).unwrap();
        }
    }
    content
}

/// Everything that was noticed anywhere.
fn noticed(tier: &Tier, findings: Vec<Finding>) -> bool {
    let checked = tier.segments().into_iter().flat_map(|segment| tier.check_segment(segment.id));
    let repairs = tier.take_repairs();
    findings.into_iter().chain(checked).count() + repairs.len() > 0
}

/// Whether the damage makes the volume itself unusable: its label's two copies contradict each other.
fn refuses_the_volume(action: Action, part: Part) -> bool {
    part == Part::Label && matches!(action, Action::Swap | Action::Foreign)
}

#[test]
fn whatever_is_damaged_on_at_most_m_shards_every_record_reads_exact_and_it_is_noticed() {
    for ended in [Ended::Closed, Ended::Killed] {
        for part in PARTS {
            for action in ACTIONS {
                for next in [Next::Read, Next::Reopen, Next::AppendMore] {
                    // Of a segment without a footer there is no footer to damage.
                    if ended == Ended::Closed || part != Part::Footer {
                        one_case(ended, part, action, next);
                    }
                }
            }
        }
    }
}

fn one_case(ended: Ended, part: Part, action: Action, next: Next) {
    let what = format!("{ended:?}, {action:?} {part:?}, then {next:?}");
    let filled = filled(ended);
    filled.damage(action, part);
    let Filled { rig, tier, mut stored, shards, .. } = filled;
    if next == Next::Read {
        assert_all_read(&tier, &stored, &what);
        assert!(part == Part::Label || noticed(&tier, Vec::new()), "{what}: nobody noticed");
        return;
    }
    drop(tier);
    let mut refused = Vec::new();
    if refuses_the_volume(action, part) {
        let victims = [1, 2].map(|shard: usize| shards[shard].0);
        refused.extend(&victims[..if action == Action::Swap { 2 } else { 1 }]);
        assert!(rig.open_without(&[]).is_err(), "{what}: a volume with a contradicting label was used");
    }
    let (tier, findings) = rig.open_without(&refused).unwrap();
    assert_all_read(&tier, &stored, &what);
    if next == Next::AppendMore && refused.is_empty() {
        stored.extend(append(&tier, 50..60).unwrap());
        assert_all_read(&tier, &stored, &what);
    }
    assert!(tier.segments().iter().all(|segment| segment.hospital == HOSPITAL), "{what}");
    let labels = rig.media.iter().enumerate().filter(|(no, _)| !refused.contains(no));
    let labels: Vec<Finding> = labels.flat_map(|(_, media)| label_findings(media)).collect();
    let all = findings.into_iter().chain(labels).collect();
    assert!(noticed(&tier, all), "{what}: nobody noticed");
    assert_eq!(walk_all(&tier).len(), stored.len(), "{what}");
}

fn label_findings(media: &shosoin_tiers::media::MemoryMedia) -> Vec<Finding> {
    shosoin_tiers::Volume::open(std::sync::Arc::new(media.clone())).unwrap().findings().to_vec()
}

#[test]
fn every_flipped_byte_is_noticed_and_every_record_still_reads_exact() {
    let filled = filled(Ended::Closed);
    let Filled { rig, stored, shards, .. } = filled;
    let mut flips = 0;
    for (volume, path) in &shards {
        let media = &rig.media[*volume];
        let mut len = 0;
        media.tamper(path, |bytes| len = bytes.len()).unwrap();
        // Every byte of every 97, moved from shard to shard, and the edges of every block.
        let edge = |at: &usize| at % BLOCK_BYTES < 2 || at % BLOCK_BYTES == BLOCK_BYTES - 1;
        for at in (0..len).filter(|at| at % 97 == *volume || edge(at)) {
            media.tamper(path, |bytes| bytes[at] ^= 0x10).unwrap();
            let (tier, findings) = rig.open();
            assert_all_read(&tier, &stored, &format!("{path} at {at}"));
            assert!(noticed(&tier, findings), "{path} at {at}: nobody noticed");
            media.tamper(path, |bytes| bytes[at] ^= 0x10).unwrap();
            flips += 1;
        }
    }
    assert!(flips > 1000, "only {flips}");
    let (tier, findings) = rig.open();
    assert!(!noticed(&tier, findings), "every byte was put back");
}

#[test]
fn an_untouched_tier_has_nothing_to_report() {
    let filled = filled(Ended::Closed);
    assert!(!noticed(&filled.tier, Vec::new()));
    drop(filled.tier);
    let (tier, findings) = filled.rig.open();
    assert_all_read(&tier, &filled.stored, "untouched");
    assert!(!noticed(&tier, findings));
}

#[test]
fn files_that_are_not_ours_are_reported_and_left_alone() {
    let filled = filled(Ended::Closed);
    let dir = filled.shards[0].1.rsplit_once('/').unwrap().0.to_owned();
    let media = &filled.rig.media[0];
    for path in [format!("{dir}/notes.txt"), format!("{dir}/{}-0.shard", "zz".repeat(16)), "segments/x".into()] {
        let file = media.create(&path, WriteUnit::Bytes).unwrap();
        file.write_at(0, b"not a shard").unwrap();
        file.sync().unwrap();
    }
    let before = media.image();
    let (tier, findings) = filled.rig.open();
    assert_all_read(&tier, &filled.stored, "with strangers");
    assert_eq!(findings.len(), 3, "{findings:?}");
    assert_eq!(media.image(), before);
}

#[test]
fn a_shard_moved_to_another_volume_is_found_there() {
    let filled = filled(Ended::Closed);
    let (volume, path) = &filled.shards[2];
    let mut content = Vec::new();
    filled.rig.media[*volume].tamper(path, |bytes| content.clone_from(bytes)).unwrap();
    filled.rig.media[*volume].remove(path).unwrap();
    let target = &filled.rig.media[(volume + 1) % 6];
    let file = target.create(path, WriteUnit::Bytes).unwrap();
    file.write_at(0, &content).unwrap();
    let (tier, findings) = filled.rig.open();
    assert_all_read(&tier, &filled.stored, "moved");
    assert!(!noticed(&tier, findings), "moving a shard is a copy and nothing else");
}

#[test]
fn damage_on_more_than_m_shards_of_one_stripe_leaves_the_others_readable() {
    let filled = filled(Ended::Closed);
    let middle = filled.stored.iter().map(|stored| stored.location.stripe_at).find(|at| *at > 0).unwrap();
    for shard in 0..3 {
        let (volume, path) = &filled.shards[shard];
        let at = usize::try_from(middle).unwrap() + 1024;
        filled.rig.media[*volume].tamper(path, |bytes| bytes[at..at + 2000].fill(0xff)).unwrap();
    }
    let (tier, _) = filled.rig.open();
    let mut outcome: BTreeMap<bool, usize> = BTreeMap::new();
    for Stored { record, location } in &filled.stored {
        match tier.read(SUITE, location, &record.address) {
            Ok(bytes) => {
                assert_eq!(bytes, record.bytes);
                *outcome.entry(true).or_default() += 1;
            }
            Err(error) => {
                assert_eq!(location.stripe_at, middle, "{error}");
                assert!(error.to_string().contains(&record.address.to_string()), "{error}");
                *outcome.entry(false).or_default() += 1;
            }
        }
    }
    assert!(outcome.len() == 2, "{outcome:?}");
}

/// How a volume can answer reads that it should answer with what was written.
const READ_FAULTS: [Fault; 3] =
    [Fault::Fail(std::io::ErrorKind::Other), Fault::Flip { at: 77, mask: 2 }, Fault::ShortRead { keep: 100 }];

#[test]
fn two_volumes_that_answer_every_read_wrong_are_read_around() {
    for fault in READ_FAULTS {
        for (first, second) in (0..6).flat_map(|first| (0..first).map(move |second| (first, second))) {
            let Filled { rig, stored, .. } = filled(Ended::Closed);
            let faults = Arc::new(Faults::default());
            let (tier, _) = rig.open_through(&faults).unwrap();
            let places = [rig.media[first].place(), rig.media[second].place()];
            faults.when(move |_, call| {
                let reads = matches!(call.op, Op::Read | Op::ReadPastCache);
                (reads && places.contains(&call.place)).then_some(fault)
            });
            assert_all_read(&tier, &stored, &format!("{fault:?} from {first} and {second}"));
            assert!(noticed(&tier, Vec::new()), "{fault:?} from {first} and {second}: nobody noticed");
            faults.clear();
            assert_all_read(&tier, &stored, "healthy again");
        }
    }
}

#[test]
fn a_record_is_never_given_under_another_address_or_place() {
    let Filled { tier, stored, .. } = filled(Ended::Closed);
    for (asked, other) in stored.iter().flat_map(|asked| stored.iter().map(move |other| (asked, other))) {
        match tier.read(SUITE, &asked.location, &other.record.address) {
            Ok(bytes) => assert_eq!(bytes, other.record.bytes),
            Err(error) => assert_ne!(asked.location, other.location, "{error}"),
        }
    }
    let Stored { record, location } = &stored[2];
    let wrong = [
        Location { stripe_at: location.stripe_at + 4096, ..*location },
        Location { stripe_at: 1 << 40, ..*location },
        Location { stripe_at: location.stripe_at + 1, ..*location },
        Location { payload_len: u32::MAX, ..*location },
        Location { payload_len: 0, ..*location },
        Location { at: location.at + 1, ..*location },
        Location { at: u32::MAX, ..*location },
        Location { len: u32::MAX, ..*location },
        Location { len: location.len - 1, ..*location },
        Location { segment: shosoin_protocol::SegmentId([9; 16]), ..*location },
    ];
    for location in wrong {
        let read = tier.read(SUITE, &location, &record.address);
        assert!(read.is_err(), "{location:?}");
        assert_ne!(tier.peek(&location, &record.address).ok(), Some(true), "{location:?}");
    }
}

#[test]
fn many_readers_and_writers_at_once_over_two_bad_volumes_see_only_exact_records() {
    let rig = Rig::new("4+2", 2);
    let faults = Arc::new(Faults::default());
    let (tier, _) = rig.open_through(&faults).unwrap();
    let places = [rig.media[1].place(), rig.media[6].place()];
    faults.when(move |number, call| match call.op {
        Op::Write | Op::Sync if places.contains(&call.place) && number > 200 => {
            Some(Fault::Fail(std::io::ErrorKind::Other))
        }
        Op::Read | Op::ReadPastCache if places.contains(&call.place) => Some(Fault::Flip { at: number, mask: 1 }),
        _ => None,
    });
    let stored: Vec<Stored> = std::thread::scope(|scope| {
        let tier = &tier;
        let writer = |first: u32| {
            scope.spawn(move || {
                let mut mine = Vec::new();
                for group in 0..20 {
                    mine.extend(append(tier, first + group * 3..first + group * 3 + 3).unwrap());
                    assert_all_read(tier, &mine, "while others write");
                }
                mine
            })
        };
        let writers: Vec<_> = (0..4).map(|no| writer(no * 1000)).collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert_all_read(&tier, &stored, "all written");
    tier.close().unwrap();
    drop(tier);
    let (tier, _) = rig.open();
    assert_all_read(&tier, &stored, "reopened");
    assert_eq!(walk_all(&tier).len(), 240);
}
