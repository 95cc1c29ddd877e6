//! A month of a calendar, as in `2026-04`.

use crate::jobs::window::UtcOffset;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use time::{Date, PrimitiveDateTime, Time};

/// One month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    year: i32,
    month: u8,
}

impl Month {
    /// Year and number of the month.
    pub fn parts(self) -> (u16, u8) {
        (u16::try_from(self.year).unwrap_or(0), self.month)
    }

    /// Its first moment and the first behind it, in milliseconds since 1970, where clocks are so far from universal time.
    pub fn span(self, offset: UtcOffset) -> (u64, u64) {
        let begin = |year: i32, month: u8| {
            let month = time::Month::try_from(month).ok();
            let day = month.and_then(|month| Date::from_calendar_date(year, month, 1).ok());
            let at = day.map(|day| PrimitiveDateTime::new(day, Time::MIDNIGHT).assume_utc().unix_timestamp());
            let at = at.map(|at| at.saturating_sub(offset.minutes() * 60));
            at.and_then(|at| u64::try_from(at.saturating_mul(1000)).ok()).unwrap_or(0)
        };
        let (year, next) = if self.month == 12 { (self.year + 1, 1) } else { (self.year, self.month + 1) };
        (begin(self.year, self.month), begin(year, next))
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is no month, as in 2026-04");
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        if year.len() != 4 || month.len() != 2 {
            return Err(wrong());
        }
        match (year.parse(), month.parse()) {
            (Ok(year), Ok(month)) if (1970..=9999).contains(&year) && (1..=12).contains(&month) => {
                Ok(Month { year, month })
            }
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Month {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> String {
        month.to_string()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_where_the_house_is() {
        let tokyo = UtcOffset::try_from("+09:00".to_owned()).unwrap();
        let (from, until) = "2026-12".parse::<Month>().unwrap().span(tokyo);
        assert_eq!((from, until - from), (1_796_050_800_000, 31 * 86_400_000));
        for wrong in ["2026", "2026-13", "2026-00", "26-04", "2026-4", "../../x", "2026-04-01", "+026-04"] {
            let parsed = wrong.parse::<Month>();
            assert!(parsed.is_err() || parsed.unwrap().to_string() != wrong, "{wrong}");
        }
        assert_eq!("2026-04".parse::<Month>().unwrap().to_string(), "2026-04");
    }
}
