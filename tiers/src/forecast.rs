//! Forecast: which media end their life in the months to come, what must be moved for that, and whether the hours of the
//! drives are enough. Pure: facts go in, a table comes out.
//!
//! Invariants
//! - Every byte on a medium whose life ends within the forecast is counted in exactly one month.
//! - What does not fit in a month is carried to the next one and said, never dropped.

use crate::VolumeLabel;
use crate::life::{DAY_MS, Pace, Week, YEAR_MS, latest_safe_start_in, latest_safe_start_ms};
use crate::volume::TierKind;
use shosoin_protocol::VolumeId;

/// Months of a forecast that nobody limited.
pub const MONTHS: u32 = 36;
/// The longest forecast.
pub const MONTHS_MAX: u32 = 600;
/// A month here: a twelfth of a year.
pub const MONTH_MS: u64 = YEAR_MS / 12;

/// A medium with bytes on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// what it says of itself
    pub label: VolumeLabel,
    /// when its life ends, in milliseconds since 1970; `None` where it does not
    pub ends_ms: Option<u64>,
    /// bytes of shards on it
    pub used_bytes: u64,
    /// bytes that fit on it besides; `None` where it does not say
    pub free_bytes: Option<u64>,
    /// whether new shards may be put on it
    pub takes_writes: bool,
}

/// What is forecast.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// now, in milliseconds since 1970
    pub now_ms: u64,
    /// how many months
    pub months: u32,
    /// every medium in use
    pub media: &'a [Medium],
    /// how fast and how often copies run
    pub pace: Pace,
    /// the days and hours in which they may run; spread over the week where nobody says
    pub week: Option<&'a Week>,
    /// drives that copy at the same time
    pub drives: u32,
    /// bytes of shards that come in newly each month
    pub growth_bytes_per_month: u64,
    /// time that must be left when the last byte has moved
    pub margin_ms: u64,
}

/// One medium whose life ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// which
    pub volume: VolumeId,
    /// when, in milliseconds since 1970
    pub ends_ms: u64,
    /// the last moment at which moving its bytes can begin; may be past
    pub latest_start_ms: u64,
    /// bytes on it
    pub bytes: u64,
}

/// One month.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Month {
    /// its beginning, in milliseconds since 1970
    pub begins_ms: u64,
    /// media whose bytes must begin to move in it, overdue ones in the first
    pub begin: Vec<Expiry>,
    /// bytes of those
    pub bytes: u64,
    /// drive-hours for them and for what earlier months left
    pub hours_needed: u64,
    /// drive-hours that its windows have
    pub hours_available: u64,
    /// drive-hours that do not fit and go to the next month
    pub hours_left_over: u64,
    /// bytes of new shards that have no room on the media of their tier at its end, expiring media gone
    pub bytes_without_room: u64,
}

/// The table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// by month
    pub months: Vec<Month>,
    /// media whose life ends within the forecast, by when
    pub expiring: Vec<Expiry>,
    /// the first month, from 0, in which hours or room are missing
    pub first_misfit: Option<u32>,
}

/// Answers.
pub fn forecast(question: &Question<'_>) -> Forecast {
    let months_asked = question.months.clamp(1, MONTHS_MAX);
    let end_ms = question.now_ms.saturating_add(u64::from(months_asked) * MONTH_MS);
    let mut expiring: Vec<Expiry> = question.media.iter().filter_map(|medium| expiry(question, medium)).collect();
    expiring.retain(|expiry| expiry.ends_ms < end_ms || expiry.latest_start_ms < end_ms);
    expiring.sort_by_key(|expiry| (expiry.ends_ms, expiry.volume));
    let mut months: Vec<Month> = (0..months_asked).map(|no| month(question, no)).collect();
    for expiry in &expiring {
        let no = expiry.latest_start_ms.saturating_sub(question.now_ms) / MONTH_MS;
        let no = usize::try_from(no).unwrap_or(usize::MAX).min(months.len() - 1);
        months[no].bytes = months[no].bytes.saturating_add(expiry.bytes);
        months[no].begin.push(expiry.clone());
    }
    carry(question, &mut months);
    room(question, &expiring, &mut months);
    let misfit = |month: &Month| month.hours_left_over > 0 || month.bytes_without_room > 0;
    let first_misfit = (0..).zip(&months).find(|(_, month)| misfit(month)).map(|(no, _)| no);
    Forecast { months, expiring, first_misfit }
}

fn expiry(question: &Question<'_>, medium: &Medium) -> Option<Expiry> {
    let ends_ms = medium.ends_ms?;
    let (ends, bytes, margin_ms) = (Some(ends_ms), medium.used_bytes, question.margin_ms);
    let start = match question.week {
        Some(week) => latest_safe_start_in(ends, bytes, question.pace.bytes_per_second, week, margin_ms)?,
        None => latest_safe_start_ms(ends, bytes, &question.pace, margin_ms)?,
    };
    Some(Expiry { volume: medium.label.id, ends_ms, latest_start_ms: start, bytes: medium.used_bytes })
}

fn month(question: &Question<'_>, no: u32) -> Month {
    let hours = u64::from(question.pace.hours_per_week.min(168)) * MONTH_MS / (7 * DAY_MS);
    Month {
        begins_ms: question.now_ms.saturating_add(u64::from(no) * MONTH_MS),
        hours_available: hours * u64::from(question.drives),
        ..Month::default()
    }
}

/// Gives each month the hours that it and what came before it need.
fn carry(question: &Question<'_>, months: &mut [Month]) {
    let mut left_over = 0u64;
    for month in months {
        month.hours_needed = question.pace.hours(month.bytes).saturating_add(left_over);
        month.hours_left_over = month.hours_needed.saturating_sub(month.hours_available);
        left_over = month.hours_left_over;
    }
}

/// What has no room: growth goes to the hot tier; what an expiring medium holds goes to media of its own tier.
fn room(question: &Question<'_>, expiring: &[Expiry], months: &mut [Month]) {
    for tier in [TierKind::Hot, TierKind::Archive] {
        let of_tier: Vec<&Medium> = question.media.iter().filter(|medium| medium.label.tier == tier).collect();
        let writable = || of_tier.iter().filter(|medium| medium.takes_writes);
        if writable().any(|medium| medium.free_bytes.is_none()) {
            continue;
        }
        let growth = if tier == TierKind::Hot { question.growth_bytes_per_month } else { 0 };
        for (no, month) in (1u64..).zip(months.iter_mut()) {
            let month_end = month.begins_ms.saturating_add(MONTH_MS);
            let goes = |medium: &&&Medium| {
                expiring.iter().any(|expiry| expiry.volume == medium.label.id && expiry.latest_start_ms < month_end)
            };
            let stays = writable().filter(|medium| !goes(medium)).filter_map(|medium| medium.free_bytes);
            let free = stays.fold(0, u64::saturating_add);
            let moving = of_tier.iter().filter(goes).fold(0, |sum: u64, medium| sum.saturating_add(medium.used_bytes));
            let wanted = moving.saturating_add(growth.saturating_mul(no));
            month.bytes_without_room = month.bytes_without_room.saturating_add(wanted.saturating_sub(free));
        }
    }
}

#[cfg(test)]
mod tests;
