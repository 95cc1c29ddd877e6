use super::*;
use crate::volume::MediaClass;
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000_000;
const TB: u64 = 1_000_000_000_000;

fn medium(no: u8, ends_ms: Option<u64>, used_bytes: u64, free_bytes: u64) -> Medium {
    let label = VolumeLabel::new(VolumeId([no; 16]), TierKind::Hot, MediaClass::Hdd, NOW);
    Medium { label, ends_ms, used_bytes, free_bytes: Some(free_bytes), takes_writes: true }
}

fn question(media: &[Medium]) -> Question<'_> {
    let pace = Pace { bytes_per_second: 100_000_000, hours_per_week: 168 };
    Question {
        now_ms: NOW,
        months: 36,
        media,
        pace,
        week: None,
        drives: 1,
        growth_bytes_per_month: 0,
        margin_ms: 40 * DAY_MS,
    }
}

#[test]
fn a_medium_is_begun_before_its_margin_and_not_counted_when_it_outlasts_the_forecast() {
    let media = [
        medium(1, Some(NOW + 10 * MONTH_MS), TB, 10 * TB),
        medium(2, Some(NOW + 60 * MONTH_MS), TB, 10 * TB),
        medium(3, None, TB, 10 * TB),
    ];
    let forecast = forecast(&question(&media));
    assert_eq!(forecast.expiring.len(), 1);
    let begun: Vec<usize> = (0..36).filter(|no| !forecast.months[*no].begin.is_empty()).collect();
    assert_eq!(begun, [8]);
    assert_eq!((forecast.months[8].bytes, forecast.months[8].hours_needed), (TB, 3));
    assert_eq!(forecast.first_misfit, None);
}

#[test]
fn a_medium_past_its_life_is_due_in_the_first_month() {
    let forecast = forecast(&question(&[medium(1, Some(NOW - YEAR_MS), TB, 0), medium(2, None, 0, 10 * TB)]));
    assert_eq!(forecast.months[0].begin.len(), 1);
    assert!(forecast.months[0].begin[0].latest_start_ms < NOW);
}

#[test]
fn hours_that_are_not_there_are_carried_on_and_named() {
    let media = [medium(1, Some(NOW + 3 * MONTH_MS), 40 * TB, 0), medium(2, None, 0, 100 * TB)];
    let slow = Pace { bytes_per_second: 100_000_000, hours_per_week: 10 };
    let forecast = forecast(&Question { pace: slow, ..question(&media) });
    // 112 hours of copying, 43 hours of windows in a month
    let first: Vec<(u64, u64)> =
        forecast.months[..4].iter().map(|month| (month.hours_needed, month.hours_left_over)).collect();
    assert_eq!(first, [(112, 69), (69, 26), (26, 0), (0, 0)]);
    assert_eq!(forecast.first_misfit, Some(0));
}

#[test]
fn bytes_that_have_nowhere_to_go_are_said_with_the_month() {
    let media = [medium(1, Some(NOW + 10 * MONTH_MS), 5 * TB, TB), medium(2, None, TB, 3 * TB)];
    let found = forecast(&question(&media));
    assert_eq!(found.first_misfit, Some(8));
    assert_eq!(found.months[8].bytes_without_room, 2 * TB);
    let growing = forecast(&Question { growth_bytes_per_month: TB, ..question(&media[1..]) });
    assert_eq!((growing.first_misfit, growing.months[3].bytes_without_room), (Some(3), TB));
}

proptest! {
    #[test]
    fn every_byte_of_every_expiring_medium_is_in_one_month_and_the_hours_add_up(
        media in prop::collection::vec((0u64..200, 0u64..50 * TB), 1..30), drives in 1u32..4, hours in 1u32..=168,
        months in 1u32..120,
    ) {
        let media: Vec<Medium> = (1..).zip(&media)
            .map(|(no, (ends, bytes))| medium(no, Some(NOW + ends * MONTH_MS), *bytes, TB)).collect();
        let pace = Pace { bytes_per_second: 200_000_000, hours_per_week: hours };
        let forecast = forecast(&Question { months, pace, drives, ..question(&media) });
        let expiring: u64 = forecast.expiring.iter().map(|expiry| expiry.bytes).sum();
        prop_assert_eq!(forecast.months.iter().map(|month| month.bytes).sum::<u64>(), expiring);
        prop_assert_eq!(forecast.months.iter().map(|month| month.begin.len()).sum::<usize>(), forecast.expiring.len());
        let ending = |medium: &&Medium| medium.ends_ms.unwrap() < NOW + u64::from(months) * MONTH_MS;
        prop_assert!(forecast.expiring.len() >= media.iter().filter(ending).count());
        let own: u64 = forecast.months.iter().map(|month| pace.hours(month.bytes)).sum();
        let done: u64 = forecast.months.iter().map(|month| month.hours_needed - month.hours_left_over).sum();
        prop_assert_eq!(own, done + forecast.months.last().unwrap().hours_left_over);
    }
}
