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

/// Ten hours a week: Saturday from 20:00 to Sunday 06:00, as minutes from Thursday.
fn ten_hours() -> Week {
    let hour = |ms: u64| ms / HOUR_MS;
    Week::new(|at| hour(at) >= 2 * 24 + 20 && hour(at) < 3 * 24 + 6)
}

#[test]
fn with_windows_of_ten_hours_a_week_a_copy_of_thirty_hours_begins_with_the_third_window_before_the_end() {
    let week = ten_hours();
    assert_eq!(week.hours(), 10);
    let (weeks, saturday) = (1000 * 7 * DAY_MS, (2 * 24 + 20) * HOUR_MS);
    let start = |end_ms: u64, hours: u64| latest_safe_start_in(Some(end_ms), hours * 3600 * 50, 50, &week, 0).unwrap();
    // the end is on a Wednesday: three whole windows lie before it
    let end_ms = weeks + 6 * DAY_MS;
    assert_eq!(start(end_ms, 30), weeks - 2 * 7 * DAY_MS + saturday);
    assert_eq!(start(end_ms, 1), weeks + saturday + 9 * HOUR_MS, "one hour fits in the end of the last window");
    assert_eq!(start(end_ms, 31), weeks - 3 * 7 * DAY_MS + saturday + 9 * HOUR_MS);
    // the end is in the middle of a window
    assert_eq!(start(weeks + saturday + 2 * HOUR_MS, 3), weeks - 7 * DAY_MS + saturday + 9 * HOUR_MS);
    let around_the_clock = latest_safe_start_in(Some(end_ms), 30 * 3600 * 50, 50, &Week::always(), 0);
    assert_eq!(around_the_clock, Some(end_ms - 30 * HOUR_MS));
    let never = Week::new(|_| false);
    assert_eq!(latest_safe_start_in(Some(end_ms), 1, 50, &never, 0), Some(0));
    assert_eq!(latest_safe_start_in(Some(end_ms), 0, 50, &never, DAY_MS), Some(end_ms - DAY_MS));
    assert_eq!(latest_safe_start_in(None, 1, 50, &week, 0), None);
}

proptest! {
    #[test]
    fn from_the_latest_safe_start_there_are_open_minutes_enough_and_a_minute_later_there_are_not(
        end in 60 * WEEK_MINUTES..80 * WEEK_MINUTES, minutes in 1u64..3000, from in 0u64..168, hours in 1u64..40,
    ) {
        let week = Week::new(|at| (at / HOUR_MS + 168 - from) % 168 < hours);
        let start = week.begin_before(end * MINUTE_MS, minutes) / MINUTE_MS;
        let open = |from: u64| (from..end).filter(|at| week.open[(at % WEEK_MINUTES) as usize]).count() as u64;
        prop_assert_eq!(open(start), minutes);
        prop_assert!(open(start + 1) < minutes);
    }

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
