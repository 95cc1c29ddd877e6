//! Windows: the days and hours in which background work may run, as in `Mon-Fri 20:00-06:00`.
//!
//! A window that ends before it begins goes on past midnight and belongs to the day it began on. Hours are those of one
//! fixed offset from UTC, so that no clock change ever skips or doubles a window. No window at all means always.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const DAY_MINUTES: u64 = 24 * 60;
const WEEK_MINUTES: u64 = 7 * DAY_MINUTES;
const MINUTE_MS: u64 = 60_000;
/// Minutes from Monday 00:00 to the first moment of 1970, a Thursday.
const EPOCH_MINUTE: u64 = 3 * DAY_MINUTES;
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// One window of a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    first_day: u64,
    last_day: u64,
    from_minute: u64,
    to_minute: u64,
}

impl Window {
    /// Minutes it lasts, on each of its days.
    fn minutes(&self) -> u64 {
        match self.to_minute > self.from_minute {
            true => self.to_minute - self.from_minute,
            false => DAY_MINUTES - self.from_minute + self.to_minute,
        }
    }

    /// The minutes of the week it begins at.
    fn begins(&self) -> impl Iterator<Item = u64> {
        let days = (self.last_day + 7 - self.first_day) % 7;
        let (first_day, from) = (self.first_day, self.from_minute);
        (0..=days).map(move |day| (first_day + day) % 7 * DAY_MINUTES + from)
    }

    fn holds(&self, minute: u64) -> bool {
        self.begins().any(|begin| (minute + WEEK_MINUTES - begin) % WEEK_MINUTES < self.minutes())
    }
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no window; one reads like `Mon-Fri 20:00-06:00`");
        let (days, hours) = match text.trim().split_once(' ') {
            Some((days, hours)) => (days, hours.trim()),
            None => ("Mon-Sun", text.trim()),
        };
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let (from, to) = hours.split_once('-').ok_or_else(bad)?;
        let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name)).map(|day| day as u64);
        Ok(Window {
            first_day: day(first).ok_or_else(bad)?,
            last_day: day(last).ok_or_else(bad)?,
            from_minute: minute(from).filter(|minute| *minute < DAY_MINUTES).ok_or_else(bad)?,
            to_minute: minute(to).ok_or_else(bad)?,
        })
    }
}

/// The minute of a day, as in `20:00`; `24:00` is its end.
fn minute(text: &str) -> Option<u64> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (u64, u64) = (hour.parse().ok()?, minute.parse().ok()?);
    (minute < 60 && hour * 60 + minute <= DAY_MINUTES).then_some(hour * 60 + minute)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |day: u64| DAYS.get(usize::try_from(day).unwrap_or(0)).copied().unwrap_or("Mon");
        let (from, to) = (self.from_minute, self.to_minute);
        write!(f, "{}-{} ", day(self.first_day), day(self.last_day))?;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> String {
        window.to_string()
    }
}

/// An offset from UTC, as in `+09:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UtcOffset {
    minutes: i64,
}

impl UtcOffset {
    /// Minutes east of Greenwich.
    pub(crate) fn minutes(self) -> i64 {
        self.minutes
    }
}

impl FromStr for UtcOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no offset from UTC; one reads like `+09:00`");
        let (sign, hours) = match text.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ => return Err(bad()),
        };
        let minutes = minute(hours).filter(|minutes| *minutes <= 14 * 60).ok_or_else(bad)?;
        Ok(UtcOffset { minutes: sign * i64::try_from(minutes).unwrap_or(0) })
    }
}

impl TryFrom<String> for UtcOffset {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<UtcOffset> for String {
    fn from(UtcOffset { minutes }: UtcOffset) -> String {
        let sign = if minutes < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
    }
}

/// Whether work that keeps to `windows` may run at this moment.
pub fn is_open(windows: &[Window], offset: UtcOffset, at_ms: u64) -> bool {
    let minute = week_minute(offset, at_ms);
    windows.is_empty() || windows.iter().any(|window| window.holds(minute))
}

/// The first moment from `at_ms` on at which a window is open.
pub fn next_open(windows: &[Window], offset: UtcOffset, at_ms: u64) -> u64 {
    if is_open(windows, offset, at_ms) {
        return at_ms;
    }
    let minute = week_minute(offset, at_ms);
    let begins = windows.iter().flat_map(|window| window.begins());
    let wait = begins.map(|begin| (begin + WEEK_MINUTES - minute) % WEEK_MINUTES).min().unwrap_or(0);
    (at_ms / MINUTE_MS).saturating_add(wait).saturating_mul(MINUTE_MS)
}

/// Whole hours of each week in which work may run.
pub fn hours_per_week(windows: &[Window]) -> u32 {
    let open = |minute: &u64| windows.is_empty() || windows.iter().any(|window| window.holds(*minute));
    u32::try_from((0..WEEK_MINUTES).filter(open).count() / 60).unwrap_or(168)
}

fn week_minute(offset: UtcOffset, at_ms: u64) -> u64 {
    let minutes = (at_ms / MINUTE_MS).saturating_add(EPOCH_MINUTE).saturating_add(WEEK_MINUTES);
    minutes.saturating_add_signed(offset.minutes) % WEEK_MINUTES
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Monday 2026-06-01, 00:00 UTC.
    const MONDAY_MS: u64 = 1_780_272_000_000;
    const HOUR_MS: u64 = 3_600_000;

    fn windows(text: &str) -> Vec<Window> {
        vec![text.parse().unwrap()]
    }

    #[test]
    fn a_night_window_goes_on_past_midnight_and_ends_in_the_morning() {
        let night = windows("Mon-Fri 20:00-06:00");
        let open = |day: u64, hour: u64| is_open(&night, UtcOffset::default(), MONDAY_MS + (day * 24 + hour) * HOUR_MS);
        assert!(!open(0, 5), "Monday morning belongs to Sunday's night");
        assert!(!open(0, 19) && open(0, 20) && open(1, 5) && !open(1, 6));
        assert!(open(4, 23) && open(5, 5), "Friday's night ends on Saturday");
        assert!(!open(5, 20) && !open(6, 23));
        assert_eq!((hours_per_week(&night), hours_per_week(&[])), (50, 168));
    }

    #[test]
    fn the_next_opening_is_found_across_the_weekend_and_in_local_hours() {
        let night = windows("Mon-Fri 20:00-06:00");
        let saturday_noon = MONDAY_MS + (5 * 24 + 12) * HOUR_MS;
        assert_eq!(next_open(&night, UtcOffset::default(), saturday_noon), MONDAY_MS + (7 * 24 + 20) * HOUR_MS);
        let tokyo: UtcOffset = "+09:00".parse().unwrap();
        assert_eq!(next_open(&night, tokyo, MONDAY_MS), MONDAY_MS + 11 * HOUR_MS);
        assert_eq!(next_open(&[], tokyo, 77), 77);
    }

    #[test]
    fn what_is_printed_is_read_back_and_what_is_no_window_is_refused() {
        for text in ["Mon-Fri 20:00-06:00", "Sat-Sun 00:00-24:00", "Sun-Mon 22:30-23:00"] {
            assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
        }
        assert_eq!("20:00-06:00".parse::<Window>().unwrap().to_string(), "Mon-Sun 20:00-06:00");
        for text in ["", "Mon", "Mon-Fri", "Mon-Fri 25:00-06:00", "Mo 1:00-2:00", "Mon 24:00-06:00", "Mon 20:60-06:00"]
        {
            assert!(text.parse::<Window>().is_err(), "{text}");
        }
        for text in ["", "9", "+25:00", "09:00"] {
            assert!(text.parse::<UtcOffset>().is_err(), "{text}");
        }
        assert_eq!(String::from("-03:30".parse::<UtcOffset>().unwrap()), "-03:30");
    }
}
