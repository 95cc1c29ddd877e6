//! How long media last, and by when what is on them must have begun to move. Pure: facts and a time go in.
//!
//! Invariants
//! - Nothing is ever released, retired or disposed of because of what a clock says: dates here start copies early, and a
//!   clock that cannot be believed starts nothing and ends nothing.
//! - More bytes, a slower rate, fewer hours or a larger margin never make the latest safe start later.
//!
//! Source of the default lives: the table in `docs/operations.md`.

use crate::VolumeLabel;
use crate::volume::{MediaClass, RatedLife};

/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * HOUR_MS;
/// Milliseconds of a year of 365.25 days.
pub const YEAR_MS: u64 = 36_525 * DAY_MS / 100;
/// Between tests of a medium whose life nobody states.
pub const TEST_INTERVAL_MS: u64 = 3 * YEAR_MS;
/// A clock may go back this far without being doubted: time servers do that.
pub const CLOCK_BACK_MAX_MS: u64 = 10 * 60 * 1000;
/// A clock may stand this far ahead of the last thing that happened.
pub const CLOCK_AHEAD_MAX_MS: u64 = YEAR_MS;

const HOUR_MS: u64 = 60 * 60 * 1000;
const HOURS_OF_WEEK: u64 = 7 * 24;

/// Years that a medium of a class is taken to last where nobody says; `None` for what somebody else keeps alive.
pub const fn default_years(class: MediaClass) -> Option<u32> {
    match class {
        MediaClass::Ssd | MediaClass::Hdd => Some(5),
        MediaClass::Tape => Some(30),
        MediaClass::Optical => Some(10),
        MediaClass::Cloud => None,
    }
}

/// How much a medium has been used, as far as somebody knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wear {
    /// when it was read or entered, in milliseconds since 1970
    pub at_ms: u64,
    /// hours it was powered
    pub power_on_hours: Option<u64>,
    /// times it passed a head
    pub passes: Option<u64>,
}

/// When the life of a medium ends, in milliseconds since 1970; `None` where it does not end by itself.
///
/// Hours that nobody has read are counted as if it had run from its first use, and it is taken to run on day and night.
/// Passes go on at the pace so far; a medium is never taken to last longer by them than its class does.
pub fn ends_ms(label: &VolumeLabel, wear: Option<&Wear>) -> Option<u64> {
    let years = |years: u32| label.first_use_ms.saturating_add(u64::from(years).saturating_mul(YEAR_MS));
    let by_class = default_years(label.class).map(years);
    match label.rated_life {
        RatedLife::NotStated => by_class,
        RatedLife::Years(stated) => Some(years(stated)),
        RatedLife::Hours(stated) => {
            let read = wear.and_then(|wear| Some((wear.at_ms, wear.power_on_hours?)));
            let (from_ms, used) = read.unwrap_or((label.first_use_ms, 0));
            Some(from_ms.saturating_add(u64::from(stated).saturating_sub(used).saturating_mul(HOUR_MS)))
        }
        RatedLife::Passes(stated) => {
            let read = wear.and_then(|wear| Some((wear.at_ms, wear.passes?)));
            let Some((at_ms, used)) = read.filter(|(_, used)| *used > 0) else { return by_class };
            let left = u64::from(stated).saturating_sub(used);
            let elapsed_ms = at_ms.saturating_sub(label.first_use_ms);
            let more_ms = u128::from(elapsed_ms) * u128::from(left) / u128::from(used);
            let ends = at_ms.saturating_add(u64::try_from(more_ms).unwrap_or(u64::MAX));
            Some(by_class.map_or(ends, |by_class| ends.min(by_class)))
        }
    }
}

/// When a medium must next be tested: an optical disc whose maker states no life, three years after it was last known to
/// be good.
pub fn test_due_ms(label: &VolumeLabel, last_passed_ms: Option<u64>) -> Option<u64> {
    let unknown = label.class == MediaClass::Optical && label.rated_life == RatedLife::NotStated;
    let from_ms = last_passed_ms.unwrap_or(label.first_use_ms).max(label.first_use_ms);
    unknown.then(|| from_ms.saturating_add(TEST_INTERVAL_MS))
}

/// How fast, and how often, bytes may be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// bytes in a second while a copy runs, measured
    pub bytes_per_second: u64,
    /// hours of a week in which copies may run, at most 168
    pub hours_per_week: u32,
}

impl Pace {
    /// Time from the first byte to the last, weeks with their windows included: a whole week is counted for each week
    /// begun. `u64::MAX` where nothing would ever move.
    pub fn duration_ms(&self, bytes: u64) -> u64 {
        let hours_per_week = u64::from(self.hours_per_week).min(HOURS_OF_WEEK);
        if bytes == 0 {
            return 0;
        }
        if self.bytes_per_second == 0 || hours_per_week == 0 {
            return u64::MAX;
        }
        let seconds = bytes.div_ceil(self.bytes_per_second);
        if hours_per_week == HOURS_OF_WEEK {
            return seconds.saturating_mul(1000);
        }
        seconds.div_ceil(3600 * hours_per_week).saturating_mul(7 * DAY_MS)
    }

    /// Hours that copying `bytes` takes while it runs, rounded up.
    pub fn hours(&self, bytes: u64) -> u64 {
        match self.bytes_per_second {
            0 if bytes > 0 => u64::MAX,
            0 => 0,
            rate => bytes.div_ceil(rate).div_ceil(3600),
        }
    }
}

/// The last moment at which moving `bytes` off a medium can begin so that it is done `margin_ms` before its life ends, in
/// milliseconds since 1970; 0 where that was always too late. `None` where its life does not end.
pub fn latest_safe_start_ms(ends_ms: Option<u64>, bytes: u64, pace: &Pace, margin_ms: u64) -> Option<u64> {
    Some(ends_ms?.saturating_sub(margin_ms).saturating_sub(pace.duration_ms(bytes)))
}

/// Minutes of a week.
pub const WEEK_MINUTES: u64 = HOURS_OF_WEEK * 60;
const MINUTE_MS: u64 = 60 * 1000;

/// The minutes of each week in which copies may run. Weeks begin with the first moment of 1970, a Thursday.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Week {
    open: Vec<bool>,
    open_minutes: u64,
}

impl Week {
    /// Those for which `is_open` says so, given the time since the beginning of a week in milliseconds.
    pub fn new(is_open: impl Fn(u64) -> bool) -> Self {
        let open: Vec<bool> = (0..WEEK_MINUTES).map(|minute| is_open(minute * MINUTE_MS)).collect();
        let open_minutes = open.iter().filter(|open| **open).count() as u64;
        Week { open, open_minutes }
    }

    /// Every minute.
    pub fn always() -> Self {
        Week::new(|_| true)
    }

    /// Hours of each week in which copies may run, rounded down.
    pub fn hours(&self) -> u32 {
        u32::try_from(self.open_minutes / 60).unwrap_or(0)
    }

    /// The last whole minute from which `minutes` open ones are left until `end_ms`; 0 where there never were as many.
    fn begin_before(&self, end_ms: u64, minutes: u64) -> u64 {
        let end = end_ms / MINUTE_MS;
        if minutes == 0 {
            return end_ms;
        }
        let Some(weeks) = (minutes - 1).checked_div(self.open_minutes) else { return 0 };
        let (mut left, mut at) = (minutes - weeks * self.open_minutes, end);
        while left > 0 && at > 0 {
            at -= 1;
            let minute = usize::try_from(at % WEEK_MINUTES).unwrap_or(0);
            left -= u64::from(self.open[minute]);
        }
        match left {
            0 => at.saturating_sub(weeks.saturating_mul(WEEK_MINUTES)).saturating_mul(MINUTE_MS),
            _ => 0,
        }
    }
}

/// [`latest_safe_start_ms`] to the minute, with the days and hours in which copies may run.
pub fn latest_safe_start_in(
    ends_ms: Option<u64>,
    bytes: u64,
    bytes_per_second: u64,
    week: &Week,
    margin_ms: u64,
) -> Option<u64> {
    let end_ms = ends_ms?.saturating_sub(margin_ms);
    Some(match (bytes, bytes_per_second) {
        (0, _) => end_ms,
        (_, 0) => 0,
        (bytes, rate) => week.begin_before(end_ms, bytes.div_ceil(rate).div_ceil(60)),
    })
}

/// What a clock says beside the last thing that is known to have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// it can be believed
    Sound,
    /// it stands before what happened already, by so many milliseconds
    WentBack(u64),
    /// it stands further ahead than a vault is ever left alone, by so many milliseconds
    FarAhead(u64),
}

/// Judges a clock by the time of the last event; without one there is nothing to judge by.
pub fn judge_clock(last_event_ms: Option<u64>, now_ms: u64) -> ClockState {
    let Some(last) = last_event_ms else { return ClockState::Sound };
    match (last.saturating_sub(now_ms), now_ms.saturating_sub(last)) {
        (back, _) if back > CLOCK_BACK_MAX_MS => ClockState::WentBack(back),
        (_, ahead) if ahead > CLOCK_AHEAD_MAX_MS => ClockState::FarAhead(ahead),
        _ => ClockState::Sound,
    }
}

#[cfg(test)]
mod tests;
