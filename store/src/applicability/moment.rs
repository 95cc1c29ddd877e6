//! Moments as RFC 3339 has them. Days to a date: H. Hinnant, "chrono-compatible low-level date algorithms".

const SECONDS_OF_DAY: u64 = 86_400;

/// Milliseconds since 1970 as a moment in UTC, to the second.
pub fn rfc3339(at_ms: u64) -> String {
    let seconds = at_ms / 1000;
    let (days, rest) = (seconds / SECONDS_OF_DAY, seconds % SECONDS_OF_DAY);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", date(days))
}

/// The day of a moment, as in `2026-04-01`.
pub fn day(at_ms: u64) -> String {
    date(at_ms / 1000 / SECONDS_OF_DAY)
}

fn date(days: u64) -> String {
    let shifted = days + 719_468; // days since the first of March of the year 0
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_read_as_calendars_have_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400_000), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(4_107_542_399_999), "2100-02-28T23:59:59Z");
        assert_eq!(day(1_767_225_600_000), "2026-01-01");
    }
}
