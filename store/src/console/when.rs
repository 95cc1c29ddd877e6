//! Times and sizes as people read them.

use crate::jobs::window::UtcOffset;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

const MINUTE: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]");
const SECOND: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const DAY_MS: u64 = 86_400_000;

/// A moment at an offset from UTC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments(UtcOffset);

impl Moments {
    /// By the clock on this wall.
    pub(super) fn at(offset: UtcOffset) -> Self {
        Moments(offset)
    }

    /// What the wall's clock is set to, as in `UTC+09:00`.
    pub(super) fn zone(self) -> String {
        format!("UTC{}", String::from(self.0))
    }

    /// To the minute.
    pub(super) fn minute(self, at_ms: u64) -> String {
        self.written(at_ms, MINUTE)
    }

    /// To the second.
    pub(super) fn second(self, at_ms: u64) -> String {
        self.written(at_ms, SECOND)
    }

    /// The day.
    pub(super) fn day(self, at_ms: u64) -> String {
        self.written(at_ms, DAY)
    }

    fn written(self, at_ms: u64, form: &[BorrowedFormatItem<'_>]) -> String {
        self.moment(at_ms).and_then(|at| at.format(form).ok()).unwrap_or_else(|| "—".to_owned())
    }

    fn moment(self, at_ms: u64) -> Option<OffsetDateTime> {
        let seconds = i64::try_from(at_ms / 1000).ok()?;
        let minutes = i32::try_from(self.0.minutes()).ok()?;
        let offset = time::UtcOffset::from_whole_seconds(minutes * 60).ok()?;
        OffsetDateTime::from_unix_timestamp(seconds).ok()?.checked_to_offset(offset)
    }

    /// The first moment of a day, as in `2026-04-01`, in milliseconds since 1970.
    pub(super) fn begin_of(self, day: &str) -> Option<u64> {
        let day = Date::parse(day.trim(), DAY).ok()?.midnight().assume_utc().unix_timestamp();
        u64::try_from((day - self.0.minutes() * 60).checked_mul(1000)?).ok()
    }

    /// The first moment after a day.
    pub(super) fn end_of(self, day: &str) -> Option<u64> {
        self.begin_of(day)?.checked_add(DAY_MS)
    }
}

/// For programs that read pages.
pub(super) fn machine(at_ms: u64) -> String {
    let at = i64::try_from(at_ms / 1000).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Bytes with a unit, as in `4.0 MiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut size, mut unit) = (count as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        (size, unit) = (size / 1024.0, unit + 1);
    }
    match unit {
        0 => format!("{count} B"),
        _ => format!("{size:.1} {}", UNITS[unit]),
    }
}

/// A number in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = {
        let first = digits.len() % 3;
        let (head, rest) = digits.split_at(first);
        let rest = rest.as_bytes().chunks(3).filter_map(|three| std::str::from_utf8(three).ok());
        Some(head).into_iter().filter(|head| !head.is_empty()).chain(rest).collect()
    };
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_wall_and_days_begin_there() {
        let tokyo = Moments::at("+09:00".parse().unwrap());
        assert_eq!(tokyo.minute(1_767_225_600_000), "2026-01-01 09:00");
        assert_eq!(
            (tokyo.day(1_767_225_600_000 - 9 * 3_600_000 - 1), tokyo.zone()),
            ("2025-12-31".into(), "UTC+09:00".into())
        );
        assert_eq!(tokyo.begin_of("2026-01-01"), Some(1_767_225_600_000 - 9 * 3_600_000));
        assert_eq!(tokyo.end_of("2026-01-01"), tokyo.begin_of("2026-01-02"));
        for wrong in ["", "2026-13-01", "2026-02-30", "1960-01-01", "tomorrow", "2026-01-01T00:00", "９９９９-01-01"]
        {
            assert_eq!(tokyo.begin_of(wrong), None, "{wrong}");
        }
        assert_eq!(tokyo.second(u64::MAX), "—");
        assert_eq!(machine(0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn sizes_and_numbers_are_written_for_people() {
        assert_eq!(
            (bytes(1023), bytes(4 << 20), bytes(u64::MAX)),
            ("1023 B".into(), "4.0 MiB".into(), "16384.0 PiB".into())
        );
        assert_eq!(
            (grouped(0), grouped(999), grouped(1000), grouped(12_345_678)),
            ("0".into(), "999".into(), "1,000".into(), "12,345,678".into())
        );
    }
}
