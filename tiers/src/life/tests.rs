use super::*;
use crate::volume::TierKind;
use proptest::prelude::*;
use shosoin_protocol::VolumeId;

const FIRST_USE: u64 = 1_700_000_000_000;

fn label(class: MediaClass, rated_life: RatedLife) -> VolumeLabel {
    VolumeLabel { rated_life, ..VolumeLabel::new(VolumeId([1; 16]), TierKind::Archive, class, FIRST_USE) }
}

#[test]
fn a_class_has_a_life_where_nobody_states_one_and_an_operator_overrides_it() {
    let ends = |class, life| ends_ms(&label(class, life), None);
    assert_eq!(ends(MediaClass::Ssd, RatedLife::NotStated), Some(FIRST_USE + 5 * YEAR_MS));
    assert_eq!(ends(MediaClass::Tape, RatedLife::NotStated), Some(FIRST_USE + 30 * YEAR_MS));
    assert_eq!(ends(MediaClass::Optical, RatedLife::NotStated), Some(FIRST_USE + 10 * YEAR_MS));
    assert_eq!(ends(MediaClass::Cloud, RatedLife::NotStated), None);
    assert_eq!(ends(MediaClass::Optical, RatedLife::Years(50)), Some(FIRST_USE + 50 * YEAR_MS));
}

#[test]
fn hours_count_from_what_the_device_said_and_else_from_the_first_use() {
    let disk = label(MediaClass::Hdd, RatedLife::Hours(1000));
    assert_eq!(ends_ms(&disk, None), Some(FIRST_USE + 1000 * HOUR_MS));
    let read = Wear { at_ms: FIRST_USE + 5000 * HOUR_MS, power_on_hours: Some(400), passes: None };
    assert_eq!(ends_ms(&disk, Some(&read)), Some(read.at_ms + 600 * HOUR_MS));
    let worn_out = Wear { power_on_hours: Some(2000), ..read };
    assert_eq!(ends_ms(&disk, Some(&worn_out)), Some(read.at_ms), "it has no hours left");
}

#[test]
fn passes_go_on_at_their_pace_and_never_outlast_the_class() {
    let tape = label(MediaClass::Tape, RatedLife::Passes(200));
    let read = Wear { at_ms: FIRST_USE + YEAR_MS, passes: Some(50), power_on_hours: None };
    assert_eq!(ends_ms(&tape, Some(&read)), Some(FIRST_USE + 4 * YEAR_MS));
    let rarely = Wear { passes: Some(1), ..read };
    assert_eq!(ends_ms(&tape, Some(&rarely)), Some(FIRST_USE + 30 * YEAR_MS));
    assert_eq!(ends_ms(&tape, None), Some(FIRST_USE + 30 * YEAR_MS));
}

#[test]
fn a_disc_of_unknown_life_is_tested_every_three_years_and_one_of_known_life_is_not() {
    let disc = label(MediaClass::Optical, RatedLife::NotStated);
    assert_eq!(test_due_ms(&disc, None), Some(FIRST_USE + 3 * YEAR_MS));
    assert_eq!(test_due_ms(&disc, Some(FIRST_USE + YEAR_MS)), Some(FIRST_USE + 4 * YEAR_MS));
    assert_eq!(test_due_ms(&label(MediaClass::Optical, RatedLife::Years(50)), None), None);
}

#[test]
fn a_clock_that_went_back_or_ten_years_ahead_is_recognised() {
    assert_eq!(judge_clock(None, 5), ClockState::Sound);
    assert_eq!(judge_clock(Some(FIRST_USE), FIRST_USE - 60_000), ClockState::Sound);
    assert_eq!(judge_clock(Some(FIRST_USE), FIRST_USE - HOUR_MS), ClockState::WentBack(HOUR_MS));
    assert_eq!(judge_clock(Some(FIRST_USE), FIRST_USE + 300 * DAY_MS), ClockState::Sound);
    assert_eq!(judge_clock(Some(FIRST_USE), FIRST_USE + 10 * YEAR_MS), ClockState::FarAhead(10 * YEAR_MS));
}

#[test]
fn a_copy_that_may_run_two_hours_a_week_takes_weeks() {
    let pace = Pace { bytes_per_second: 100_000_000, hours_per_week: 2 };
    let terabyte = 1_000_000_000_000;
    assert_eq!(pace.hours(terabyte), 3);
    assert_eq!(pace.duration_ms(terabyte), 14 * DAY_MS);
    assert_eq!(Pace { hours_per_week: 0, ..pace }.duration_ms(terabyte), u64::MAX);
    assert_eq!(latest_safe_start_ms(Some(FIRST_USE), terabyte, &Pace { hours_per_week: 0, ..pace }, 0), Some(0));
}

proptest! {
    #[test]
    fn the_latest_safe_start_never_moves_later_as_the_task_gets_harder(
        ends in 0u64..u64::MAX / 2, bytes in 0u64..1 << 50, more in 0u64..1 << 50,
        rate in 0u64..1 << 32, faster in 0u64..1 << 32, hours in 0u32..=200, longer in 0u32..200,
        margin in 0u64..YEAR_MS * 20, wider in 0u64..YEAR_MS * 20,
    ) {
        let start = |bytes, rate, hours, margin| {
            let pace = Pace { bytes_per_second: rate, hours_per_week: hours };
            latest_safe_start_ms(Some(ends), bytes, &pace, margin).unwrap()
        };
        let easy = start(bytes, rate + faster, hours + longer, margin);
        prop_assert!(start(bytes + more, rate + faster, hours + longer, margin) <= easy, "more bytes");
        prop_assert!(start(bytes, rate, hours + longer, margin) <= easy, "a slower rate");
        prop_assert!(start(bytes, rate + faster, hours, margin) <= easy, "fewer hours");
        prop_assert!(start(bytes, rate + faster, hours + longer, margin + wider) <= easy, "a wider margin");
        prop_assert!(easy <= ends, "never after the end of its life");
    }

    #[test]
    fn the_weeks_that_are_counted_have_windows_enough_for_the_bytes(
        bytes in 1u64..1 << 50, rate in 1u64..1 << 32, hours in 1u32..168,
    ) {
        let pace = Pace { bytes_per_second: rate, hours_per_week: hours };
        let weeks = pace.duration_ms(bytes) / (7 * DAY_MS);
        prop_assert!(u128::from(weeks) * u128::from(hours) * 3600 >= u128::from(bytes.div_ceil(rate)));
    }
}
