//! Lost volumes: any m of k + m may go and every record reads exact; one more, and every read says so and nothing else
//! is harmed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{Rig, SUITE, Stored, append, assert_all_read, walk_all};
use shosoin_protocol::ErrorKind;
use shosoin_tiers::{Code, Severity, Tier};

/// A tier of `code` with three groups in it, closed or as a crash leaves it.
fn filled(code: &str, closed: bool) -> (Rig, Vec<Stored>) {
    let rig = Rig::new(code, 0);
    let (tier, _) = rig.open();
    let stored = [0..5, 5..6, 6..20].map(|numbers| append(&tier, numbers).unwrap()).concat();
    if closed {
        tier.close().unwrap();
    }
    drop(tier);
    (rig, stored)
}

/// Every choice of `count` out of `of`.
fn choices(of: usize, count: usize) -> Vec<Vec<usize>> {
    let sets = (0u32..1 << of).filter(|set| set.count_ones() as usize == count);
    sets.map(|set| (0..of).filter(|no| set & (1 << no) != 0).collect()).collect()
}

#[track_caller]
fn assert_all_refused(tier: &Tier, stored: &[Stored]) {
    for Stored { record, location } in stored {
        let error = tier.read(SUITE, location, &record.address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        let text = error.to_string();
        assert!(text.contains(&record.address.to_string()) && text.contains(&location.segment.to_string()), "{text}");
    }
}

#[test]
fn all_21_losses_of_one_or_two_of_six_volumes_read_exact_and_walk_whole() {
    for closed in [true, false] {
        let losses: Vec<Vec<usize>> = (1..=2).flat_map(|count| choices(6, count)).collect();
        assert_eq!(losses.len(), 21);
        for lost in losses {
            let (rig, stored) = filled("4+2", closed);
            let (tier, findings) = rig.open_without(&lost).unwrap();
            assert_all_read(&tier, &stored, &format!("without {lost:?}"));
            let walked: Vec<_> = walk_all(&tier).into_iter().map(|record| (record.location, record.address)).collect();
            let expected: Vec<_> = stored.iter().map(|stored| (stored.location, stored.record.address)).collect();
            assert_eq!(walked, expected, "without {lost:?}");
            assert!(findings.iter().any(|finding| finding.severity() == Severity::Degraded), "without {lost:?}");
            assert!(findings.iter().all(|finding| finding.severity() != Severity::Lost), "{findings:?}");
        }
    }
}

#[test]
fn all_20_losses_of_three_of_six_volumes_refuse_every_read_and_name_the_record() {
    for closed in [true, false] {
        let (rig, stored) = filled("4+2", closed);
        let losses = choices(6, 3);
        assert_eq!(losses.len(), 20);
        for lost in losses {
            let (tier, _) = rig.open_without(&lost).unwrap();
            let data_is_there = |stored: &Stored| {
                // Of a small record all bytes may lie in units that are present; then it is read, and verified.
                tier.read(SUITE, &stored.location, &stored.record.address)
                    .is_ok_and(|bytes| bytes == stored.record.bytes)
            };
            let (readable, refused): (Vec<Stored>, Vec<Stored>) = stored.iter().cloned().partition(data_is_there);
            assert_all_refused(&tier, &refused);
            assert!(refused.len() >= 3, "without {lost:?} {} are readable", readable.len());
        }
        let (tier, _) = rig.open();
        assert_all_read(&tier, &stored, "with every volume back");
    }
}

#[test]
fn every_code_survives_every_loss_of_m_volumes() {
    for code in Code::ALLOWED {
        let (rig, stored) = filled(&code.to_string(), true);
        for lost in choices(code.shards(), code.m()) {
            let (tier, _) = rig.open_without(&lost).unwrap();
            assert_all_read(&tier, &stored, &format!("{code} without {lost:?}"));
        }
    }
}

#[test]
fn opening_with_too_few_volumes_changes_nothing_on_those_that_are_there() {
    let (rig, stored) = filled("4+2", false);
    let content = |rig: &Rig| -> Vec<_> { rig.media.iter().map(|media| media.image()).collect() };
    let before = content(&rig);
    let (tier, findings) = rig.open_without(&[0, 1, 2]).unwrap();
    assert!(findings.iter().any(|finding| finding.severity() == Severity::Lost));
    drop(tier);
    assert!(content(&rig) == before);
    let (tier, findings) = rig.open();
    assert!(findings.iter().all(|finding| finding.severity() == Severity::Note), "{findings:?}");
    assert_all_read(&tier, &stored, "with every volume back");
}

#[test]
fn volumes_that_vanish_under_an_open_tier_are_read_around() {
    for lost in choices(6, 2) {
        let (rig, stored) = filled("4+2", true);
        let (tier, _) = rig.open();
        assert_all_read(&tier, &stored, "before");
        for no in &lost {
            for path in rig.shards(*no) {
                shosoin_tiers::Media::remove(&rig.media[*no], &path).unwrap();
            }
        }
        assert_all_read(&tier, &stored, &format!("without {lost:?}"));
        let (tier, _) = rig.open();
        assert_all_read(&tier, &stored, &format!("reopened without {lost:?}"));
    }
}

#[test]
fn what_was_missing_while_a_segment_was_recovered_does_not_confuse_it_when_it_is_back() {
    let (rig, stored) = filled("4+2", false);
    let (tier, _) = rig.open_without(&[1, 4]).unwrap();
    assert_all_read(&tier, &stored, "recovered without two");
    drop(tier);
    for lost in choices(6, 2) {
        let (tier, _) = rig.open_without(&lost).unwrap();
        assert_all_read(&tier, &stored, &format!("then without {lost:?}"));
    }
}

/// Where the last stripe begins in every shard.
fn last_stripe(stored: &[Stored]) -> usize {
    usize::try_from(stored.iter().map(|stored| stored.location.stripe_at).max().unwrap()).unwrap()
}

#[test]
fn a_start_with_any_of_the_volumes_decides_nothing_that_the_others_could_prove_wrong() {
    start_with_any(false);
}

#[test]
fn a_start_while_any_of_the_volumes_cannot_be_read_decides_nothing_that_they_could_prove_wrong() {
    start_with_any(true);
}

/// Damages up to m shards in every way, starts while any volumes are absent or unreadable, and then with all of them.
fn start_with_any(unreadable: bool) {
    let damages: [fn(&mut Vec<u8>, usize); 5] = [
        |_, _| {},
        |bytes, _| bytes.clear(),
        |bytes, last| bytes.truncate(last),
        |bytes, last| bytes[last..last + 1024].fill(0),
        |bytes, last| bytes[last + 1030] ^= 1,
    ];
    for code in ["4+2", "1+1", "1+2"].map(|code| Code::parse(code).unwrap()) {
        for damaged in (0..=code.m()).flat_map(|count| choices(code.shards(), count)) {
            for absent in (0..code.shards()).flat_map(|count| choices(code.shards(), count)) {
                for (no, damage) in damages.iter().enumerate() {
                    let (rig, stored) = filled(&code.to_string(), false);
                    for volume in &damaged {
                        let shard = &rig.shards(*volume)[0];
                        rig.media[*volume].tamper(shard, |bytes| damage(bytes, last_stripe(&stored))).unwrap();
                    }
                    match unreadable {
                        false => drop(rig.open_without(&absent)),
                        true => drop(rig.open_unreadable(&absent)),
                    }
                    let (tier, _) = rig.open();
                    let how = if unreadable { "while nothing can be read on" } else { "without" };
                    let what = format!("{code}, damage {no} on {damaged:?}, started {how} {absent:?}");
                    assert_all_read(&tier, &stored, &what);
                    assert_eq!(walk_all(&tier).len(), stored.len(), "{what}");
                }
            }
        }
    }
}
